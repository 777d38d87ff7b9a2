/** A process with an audit log and its chain, which appends as fast as it may until it is killed; heads go to files. */
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { openChain } from '../../../../src/audit/chain/chain.node.ts'
import { sha256 } from '../../../../src/audit/chain/keys.node.ts'
import { fileSink } from '../../../../src/audit/chain/sinks.node.ts'
import { openAuditLog } from '../../../../src/audit/log.node.ts'
import { signerOf } from '../../../../src/audit/proof/note.ts'

const [dir = '', heads = ''] = process.argv.slice(2)
const signers = [await signerOf(sha256, 'sluice', new Uint8Array(32).fill(7))]
const clock = { now: () => Date.now(), monotonic: () => performance.now() }
const shared = { writer: 'gateway-1', clock, log: () => {} }
const log = await openAuditLog({
  ...shared,
  dir,
  newId: randomUUID,
  limits: { segmentBytes: 16_384, sealAfterMs: 5, pauseMs: 20, maxPauseMs: 100 },
  chain: (journal) =>
    openChain({
      ...journal,
      ...shared,
      sha256,
      origin: 'sluice',
      signers,
      everyMs: 1,
      sinks: [fileSink(heads)],
      witnesses: [],
    }),
})
let next = 0
async function appendForever(): Promise<never> {
  for (;;) {
    const note = String(next++)
    await log.append({ kind: 'policy', at: Date.now(), exchange: randomUUID(), surface: 'gateway', note })
    writeSync(1, `${note}\n`)
  }
}
await Promise.all(Array.from({ length: 8 }, appendForever))
