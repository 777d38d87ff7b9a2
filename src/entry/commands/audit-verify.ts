/** `sluice audit verify` and `sluice audit prove`: what an auditor runs, with nothing but a public key. */
import { readFile } from 'node:fs/promises'
import { openClickHouse } from '../../audit/clickhouse.node.ts'
import { columnNames, SCHEMA_VERSION, type Row } from '../../audit/record.ts'
import { bodyRetentionOf } from '../../audit/retention.ts'
import { ByteReader } from '../../audit/rowbinary.ts'
import type { ClickHouse } from '../../audit/reader/contract.ts'
import { MalformedNote, parseKey, type VerifierKey } from '../../audit/proof/note.ts'
import type { Evidence, VerifyReport } from '../../audit/verify/contract.ts'
import { hasher, sha256 } from '../../audit/verify/hash.node.ts'
import { openPack } from '../../audit/verify/pack.node.ts'
import { checkProof, exchangeProof, prove, type FoundRow } from '../../audit/verify/proof.ts'
import { storedEvidence } from '../../audit/verify/store.ts'
import { verify, type VerifyOptions } from '../../audit/verify/verify.ts'
import type { Principal } from '../../exchange.ts'
import { loadConfig, Refusal, readerOf } from '../node.ts'
import { createRuntime } from '../runtime.ts'
import { argumentsOf, type Command } from './command.ts'

const MINUTE_MS = 60_000
/** For all of a verification. */
const VERIFY_MS = 24 * 3_600_000
const MOST_PROOF = 256 * 1024 * 1024

export const auditVerify: Command = {
  name: 'audit verify',
  takes: '--key VKEY [PACK | PROOF]',
  about: 'verify the audit store, an evidence pack or a proof, trusting the public key alone',
  async run(args) {
    const { values, positionals } = argumentsOf(args, {
      key: { type: 'string', multiple: true },
      checkpoints: { type: 'string', multiple: true, default: [] },
      writer: { type: 'string', multiple: true, default: [] },
      grace: { type: 'string', default: '5' },
      alive: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string' },
      bodies: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    })
    const keys = keysOf(values.key)
    const [path] = positionals
    if (path?.endsWith('.json')) return verifyProof(path, keys)
    const span = spanOf(values.from, values.to)
    if (path !== undefined && (values.bodies || span !== undefined)) {
      throw new Refusal('--bodies, --from and --to are for the store: a pack is of one span, and has no bodies')
    }
    const opened = path === undefined ? await openStore(values.config) : await openedPack(path, keys)
    try {
      const kept = (await Promise.all(values.checkpoints.map((file) => readFile(file, 'utf8')))).flatMap(notesIn)
      const report = await verify(opened.evidence, {
        sha256,
        keys,
        kept,
        writers: values.writer,
        now: Date.now(),
        graceMs: minutes(values.grace, 'grace') * MINUTE_MS,
        ...(values.alive !== undefined && { aliveMs: minutes(values.alive, 'alive') * MINUTE_MS }),
        ...(span !== undefined && { span }),
        ...(values.bodies && opened.retainDays && { bodies: { hasher, retainDays: opened.retainDays } }),
        progress: (records) => {
          if (process.stderr.isTTY) process.stderr.write(`\r${records} records hashed`)
        },
      })
      if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
      const whole: VerifyReport = { ...report, problems: [...opened.problems, ...report.problems] }
      console.log(values.json ? JSON.stringify(whole, null, 2) : plain(rendered(whole)))
      if (path === undefined && !values.bodies && !values.json) {
        console.error('recorded bodies were not held against their records: --bodies does')
      }
      if (!opened.verifiable) {
        console.error('the pack has no whole segments, so nothing in it can be checked against a signed head')
        return 1
      }
      return whole.problems.length === 0 && whole.logs.length > 0 ? 0 : 1
    } catch (cause) {
      // What is in a pack is anyone's: that it cannot be read to its end is said in words.
      if (path === undefined) throw cause
      throw new Refusal(`not verified: ${path} cannot be read as an evidence pack`, { cause })
    } finally {
      await opened.close()
    }
  },
}

export const auditProve: Command = {
  name: 'audit prove',
  takes: '--key VKEY EXCHANGE',
  about: 'prove that the records of an exchange were written: a document that `audit verify` checks anywhere',
  async run(args) {
    const { values, positionals } = argumentsOf(args, { key: { type: 'string', multiple: true } })
    const [exchange = ''] = positionals
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(exchange)) {
      throw new Refusal('name an exchange by its id, as the `Sluice-Exchange` header of its answer says it')
    }
    const keys = keysOf(values.key)
    const { client, evidence, close } = await openStore(values.config)
    try {
      const rows = await rowsOf(client, exchange)
      const proof = await prove(evidence, exchange, rows, keys, sha256)
      if ('unproven' in proof) throw new Refusal(proof.unproven)
      console.log(JSON.stringify(proof, null, 2))
      return 0
    } finally {
      await close()
    }
  },
}

function keysOf(texts: readonly string[] = []): readonly VerifierKey[] {
  const named = texts.flatMap((text) => text.split(/\s+/)).filter((each) => each !== '')
  if (named.length === 0) {
    throw new Refusal('name the key that you trust: --key VKEY, as `sluice audit key show` prints it on the gateway')
  }
  return named.map((text) => {
    try {
      return parseKey(sha256, text)
    } catch (cause) {
      if (cause instanceof MalformedNote) throw new Refusal(`--key: ${cause.message}`, { cause })
      throw cause
    }
  })
}

function minutes(text: string, name: string): number {
  const value = Number(text)
  if (!(value >= 0)) throw new Refusal(`--${name} is \`${text}\`; it is a number of minutes`)
  return value
}

/** Times as `Date.parse` knows them: `2026-10-01`, `2026-10-01T12:00:00Z`. */
function spanOf(from: string | undefined, to: string | undefined): VerifyOptions['span'] {
  const time = (name: string, text: string): number => {
    const at = Date.parse(text)
    if (Number.isNaN(at)) throw new Refusal(`--${name} is \`${text}\`; it is a time, such as 2026-10-01T12:00:00Z`)
    return at
  }
  if (from === undefined && to === undefined) return undefined
  return { ...(from !== undefined && { from: time('from', from) }), ...(to !== undefined && { to: time('to', to) }) }
}

interface Opened {
  readonly evidence: Evidence
  readonly problems: VerifyReport['problems']
  readonly verifiable: boolean
  /** For how many days the bodies of a record's exchange are kept. */
  readonly retainDays?: (row: Row) => number
  readonly close: () => Promise<void>
}

async function openStore(config: string): Promise<Opened & { readonly client: ClickHouse }> {
  const { config: loaded, base } = await loadConfig(config)
  const { clickhouse } = loaded.audit
  if (clickhouse === undefined)
    throw new Refusal('`audit.clickhouse` of the configuration is not set: there is no store')
  const { secrets } = createRuntime({ base, level: 'error' })
  const client = openClickHouse({
    url: clickhouse.url,
    username: clickhouse.username,
    database: clickhouse.database,
    requestTimeoutMs: VERIFY_MS,
    ...(clickhouse.password !== undefined && { password: await secrets.read(clickhouse.password) }),
    ...(await readerOf(loaded, secrets)),
  })
  const evidence = storedEvidence(client, AbortSignal.timeout(VERIFY_MS))
  const days = bodyRetentionOf(loaded.audit)
  const retainDays = (row: Row): number => days({ connection: row.connection, principal: principalOf(row) })
  return { client, evidence, problems: [], verifiable: true, retainDays, close: () => client.close() }
}

/** As far as legal holds name principals. */
function principalOf(row: Row): Principal {
  const { issuer, subject, acts_for_issuer: forIssuer, acts_for_subject: forSubject } = row
  const actsFor = forSubject === '' ? {} : { actsFor: { issuer: forIssuer, subject: forSubject } }
  return { issuer, subject, kind: 'agent', plane: 'agents', groups: [], ...actsFor }
}

async function openedPack(path: string, keys: readonly VerifierKey[]): Promise<Opened> {
  try {
    return await openPack(path, sha256, keys)
  } catch (cause) {
    throw new Refusal(cause instanceof Error ? cause.message : `${path} cannot be read`, { cause })
  }
}

/** The notes of a file as `audit.checkpoints.files` keeps them, or one alone. */
function notesIn(text: string): readonly string[] {
  return text.split(/^---\n/m).filter((note) => note.trim() !== '')
}

async function verifyProof(path: string, keys: readonly VerifierKey[]): Promise<number> {
  const text = await readFile(path, 'utf8')
  if (text.length > MOST_PROOF) throw new Refusal(`${path} is too large for a proof`)
  const parsed = exchangeProof.safeParse(parsedJson(text, path))
  if (!parsed.success) throw new Refusal(`${path} is no proof of this version`)
  const found = await checkProof(parsed.data, keys, sha256)
  if ('unproven' in found) {
    console.log(plain(`not proven: ${found.unproven}`))
    return 1
  }
  for (const { row, head } of found) {
    const who = row.subject === '' ? '' : ` ${row.issuer}:${row.subject}`
    const what = `${new Date(row.ts / 1000).toISOString()} ${row.kind}${who} ${row.effect}${row.ending}`
    console.log(plain(what.trimEnd()))
    console.log(
      plain(`  record ${row.writer_seq} of ${head.origin}, under the head of ${new Date(head.time).toISOString()}`),
    )
  }
  const distinct = new Set(found.map(({ row }) => `${row.writer}/${row.epoch}/${row.writer_seq}`)).size
  console.log(`proven: ${distinct} records of exchange ${parsed.data.exchange}; it may have more`)
  return 0
}

function parsedJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Refusal(`${path} is no JSON`, { cause })
  }
}

/** Where the rows of an exchange are, then each as it was written in its version of the schema. */
async function rowsOf(client: ClickHouse, exchange: string): Promise<readonly FoundRow[]> {
  const signal = AbortSignal.timeout(VERIFY_MS)
  const sql = `SELECT writer, toString(epoch), segment, writer_seq FROM events
    WHERE exchange_id = {exchange:UUID} ORDER BY writer, epoch, writer_seq LIMIT 10000`
  const answer = await client.query(
    { sql, params: { exchange }, format: 'RowBinary', settings: { readonly: 1 } },
    signal,
  )
  const from = new ByteReader(new Uint8Array(await new Response(answer).arrayBuffer()))
  const places: Omit<FoundRow, 'row'>[] = []
  while (!from.ended) {
    places.push({ writer: from.text(), epoch: from.text(), segment: Number(from.u64()), seq: Number(from.u64()) })
  }
  const found: FoundRow[] = []
  for (const place of places) {
    const schema = await schemaOf(client, place, signal)
    const columns = columnNames(schema).map((name) => `\`${name}\``)
    const one = `SELECT formatRow('RowBinary', ${columns.join(', ')}) FROM events
      WHERE exchange_id = {exchange:UUID} AND writer = {writer:String} AND epoch = {epoch:UUID} AND writer_seq = {seq:UInt64}`
    const params = { exchange, writer: place.writer, epoch: place.epoch, seq: place.seq }
    const bytes = await client.query({ sql: one, params, format: 'RowBinary', settings: { readonly: 1 } }, signal)
    found.push({ ...place, row: new ByteReader(new Uint8Array(await new Response(bytes).arrayBuffer())).bytes() })
  }
  return found
}

async function schemaOf(
  client: ClickHouse,
  { writer, epoch, segment }: Omit<FoundRow, 'row'>,
  signal: AbortSignal,
): Promise<number> {
  const sql = `SELECT schema FROM segments FINAL
    WHERE writer = {writer:String} AND epoch = {epoch:UUID} AND segment = {segment:UInt64}`
  const params = { writer, epoch, segment }
  const answer = await client.query({ sql, params, format: 'RowBinary', settings: { readonly: 1 } }, signal)
  const bytes = new Uint8Array(await new Response(answer).arrayBuffer())
  return bytes[0] ?? SCHEMA_VERSION
}

/** What a name in the evidence could do to a terminal, it does not: controls and what turns text around are shown as `?`. */
function plain(text: string): string {
  return text.replaceAll(/[^\P{C}\n]/gu, '?')
}

function rendered({ logs, problems }: VerifyReport): string {
  const lines = logs.flatMap((log) => [
    `${log.writer}/${log.epoch}`,
    `  ${log.records} records in ${log.segments} segments` +
      (log.expired === 0 ? '' : `, ${log.expired} more expired as they were to`) +
      (log.pending === 0 ? '' : `; ${log.pending} segments are on their way`),
    log.signedAt === undefined
      ? '  under no signed head'
      : `  under the head of ${new Date(log.signedAt).toISOString()}, which covers ${log.signedSize} segments (${log.checkpoints} checkpoints)`,
    ...(log.complete === undefined
      ? []
      : [
          `  whatever was sealed from ${new Date(log.complete.from).toISOString()} to ${new Date(log.complete.to).toISOString()} is in it`,
        ]),
    ...(log.bodies === undefined
      ? []
      : [
          `  ${log.bodies.whole} bodies are what was recorded` +
            (log.bodies.expired === 0 ? '' : `, ${log.bodies.expired} more expired as they were to`) +
            (log.bodies.pending === 0 ? '' : `; ${log.bodies.pending} are on their way`),
        ]),
  ])
  const wrong = problems.map(({ code, log, segment, seq, words }) => {
    const where = [
      log === undefined ? '' : ` ${log}`,
      segment === undefined ? '' : ` segment ${segment}`,
      seq === undefined ? '' : ` record ${seq}`,
    ].join('')
    return `${code}:${where}${where === '' ? '' : ':'} ${words}`
  })
  if (logs.length === 0) wrong.push('there is nothing to verify')
  return [...lines, ...(wrong.length === 0 ? ['verified'] : ['', ...wrong, 'NOT VERIFIED'])].join('\n')
}
