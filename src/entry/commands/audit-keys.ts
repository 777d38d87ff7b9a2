/** `sluice audit key …`: the keys that sign checkpoints, and those that check them. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { newCheckpointKey, signerOfKey } from '../../audit/chain/keys.node.ts'
import { renderKey } from '../../audit/proof/note.ts'
import { checkpointSigners, loadConfig, Refusal } from '../node.ts'
import { createRuntime } from '../runtime.ts'
import { argumentsOf, type Command } from './command.ts'

export const newAuditKey: Command = {
  name: 'audit key new',
  about: 'make a key that signs checkpoints: the secret, and what checks its signatures',
  async run(args) {
    const { config } = await loadConfig(argumentsOf(args, {}).values.config)
    const key = newCheckpointKey()
    const { verifier } = await signerOfKey(config.audit.checkpoints.origin, key)
    console.error(
      'keep the key secret and name it in `audit.checkpoints.key` of sluice.yaml, as env:NAME or file:path;',
    )
    console.error('the old one goes to `previousKeys` until every verifier knows the new:')
    console.error(`  ${renderKey(verifier)}`)
    console.log(key)
    return 0
  },
}

export const showAuditKey: Command = {
  name: 'audit key show',
  about: 'print what checks the signatures of this gateway: give it to auditors by another way than its records',
  async run(args) {
    const loaded = await loadConfig(argumentsOf(args, {}).values.config)
    const data = resolve(loaded.base, loaded.config.data)
    const path = join(data, 'checkpoint-key')
    // Made by the gateway, as whoever it runs as; not by whoever looks.
    if (loaded.config.audit.checkpoints.key === undefined && !existsSync(path)) {
      throw new Refusal(`there is no key yet: start the gateway once, which makes ${path},
or make one with \`sluice audit key new\` and name it in \`audit.checkpoints.key\``)
    }
    const { secrets } = createRuntime({ base: loaded.base, level: 'error' })
    for (const { verifier } of await checkpointSigners(loaded, data, secrets)) console.log(renderKey(verifier))
    return 0
  },
}
