/** `sluice audit digest`, `audit unseal` and `audit auditor-key new`: for those who look for secret values, or may read them. */
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { newAuditorKey, unsealed } from '../../audit/bodies/seal.ts'
import { canonicalText, digesterOf } from '../../statement/json/digest.ts'
import { loadConfig, Refusal, type Loaded } from '../node.ts'
import { createRuntime } from '../runtime.ts'
import { argumentsOf, type Command } from './command.ts'

export const auditDigest: Command = {
  name: 'audit digest',
  takes: 'VALUE|-',
  about: 'the digest under which a secret value is recorded, and the query that finds it',
  async run(args) {
    const { values, positionals } = argumentsOf(args, {})
    const [value] = positionals
    if (value === undefined || positionals.length > 1) {
      throw new Refusal('name one value, or `-` for one on stdin: sluice audit digest VALUE')
    }
    const loaded = await loadConfig(values.config)
    const digest = await digesterFor(loaded)
    const found = digest(canonicalText(value === '-' ? await firstLine() : value, 'string'))
    const { database = 'audit' } = loaded.config.audit.clickhouse ?? {}
    console.error(`every exchange in whose recorded bodies this value is, for \`POST /v1/audit/query\`:\n`)
    console.error(
      `SELECT exchange_id, direction, min(ts) AS at, any(subject) AS subject, any(connection) AS connection\n` +
        `FROM ${database}.payloads WHERE has(digests, '${found}') GROUP BY exchange_id, direction ORDER BY at\n`,
    )
    console.log(found)
    return 0
  },
}

/** A value that is in no list of processes and in no shell's history. */
async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) return line
  throw new Refusal('there is no value on stdin')
}

/** Digests as the gateway of this configuration makes them. */
async function digesterFor({ config, base }: Loaded): Promise<(canonical: string) => string> {
  const { digestKey } = config.audit.bodies
  if (digestKey === undefined) throw new Refusal('the configuration has no `audit.bodies.digestKey`')
  const key = await createRuntime({ base, level: 'error' })
    .secrets.read(digestKey)
    .catch((cause: Error) => {
      throw new Refusal(cause.message, { cause })
    })
  return digesterOf(key).catch((cause: Error) => {
    throw new Refusal(`\`audit.bodies.digestKey\`: ${cause.message}`, { cause })
  })
}

export const auditUnseal: Command = {
  name: 'audit unseal',
  takes: '--key FILE [FILE]',
  about: "read sealed originals (lines of JWE, or stdin) with an auditor's private key",
  async run(args) {
    const { values, positionals } = argumentsOf(args, { key: { type: 'string' } })
    if (values.key === undefined || positionals.length > 1) {
      throw new Refusal('name the private key: sluice audit unseal --key FILE [FILE]')
    }
    const key = await privateKey(values.key)
    const [path] = positionals
    const input = path === undefined || path === '-' ? process.stdin : createReadStream(resolve(path))
    let line = 0
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      line++
      if (text.trim() === '') continue
      const originals = await unsealed(text, key).catch((cause: Error) => {
        throw new Refusal(`line ${line} cannot be opened with this key: it is sealed to others, or was changed`, {
          cause,
        })
      })
      for (const original of originals) console.log(JSON.stringify(original))
    }
    return 0
  },
}

export const auditorKeyNew: Command = {
  name: 'audit auditor-key new',
  about:
    'make a key pair to which originals are sealed: the private half for an auditor, the public one for the gateway',
  async run(args) {
    argumentsOf(args, {})
    const { publicKey, privateKey: secret } = await newAuditorKey()
    console.error(
      'the line below is the private half: keep it where auditors alone can read it, never with the gateway.',
    )
    console.error('put the public half into a file that `audit.bodies.sealTo` of sluice.yaml names:\n')
    console.error(`${JSON.stringify(publicKey)}\n`)
    console.log(JSON.stringify(secret))
    return 0
  },
}

type PrivateKey = Parameters<typeof unsealed>[1]

async function privateKey(path: string): Promise<PrivateKey> {
  try {
    const key = JSON.parse(await readFile(resolve(path), 'utf8')) as PrivateKey
    if (typeof key === 'object' && key !== null && key.d !== undefined) return key
  } catch (cause) {
    throw new Refusal(`${path} is no file with a private key (JWK)`, { cause })
  }
  throw new Refusal(`${path} holds no private key (JWK)`)
}
