/** Recorded decisions, and the policies that were in force, out of the audit database: streamed, bounded, read-only. */
import * as z from 'zod'
import { openClickHouse } from '../../audit/clickhouse.node.ts'
import type { ClickHouse } from '../../audit/reader/contract.ts'
import type { Recorded } from '../../policy/index.ts'
import { readerOf, Refusal, type Loaded } from '../node.ts'
import { createRuntime } from '../runtime.ts'

/** A decision as it was recorded. */
export interface RecordedDecision extends Recorded {
  readonly policy: string
  readonly effect: 'permit' | 'hold' | 'deny'
  /** JSON, as are the two below. */
  readonly reasons: string
  readonly obligations: string
  readonly approver_groups: string
  /** Milliseconds since 1970 UTC. */
  readonly hold_expires_at: number | null
}

/** Which records are asked for. Times in milliseconds since 1970 UTC. */
export interface Span {
  readonly since: number
  readonly until: number
  /** `issuer:subject`, or a subject of any issuer. */
  readonly principal?: string
  readonly connection?: string
  /** Most records, the newest. */
  readonly limit: number
}

/** Characters of one line of an answer; a record holds far less. */
const MOST_LINE = 64 * 1024 * 1024

/** What a command may take of the database. */
const SETTINGS = {
  readonly: 1,
  max_execution_time: 3600,
  timeout_overflow_mode: 'throw',
  max_memory_usage: 4 * 1024 ** 3,
  output_format_json_quote_64bit_integers: 0,
} as const

/** The audit database of a configuration. Throws a Refusal where there is none. */
export async function openStore({ config, base }: Loaded): Promise<ClickHouse> {
  const { clickhouse } = config.audit
  if (clickhouse === undefined) {
    throw new Refusal('no ClickHouse is configured, so there are no records to read\nset `audit.clickhouse`')
  }
  const { secrets } = createRuntime({ base, level: 'error' })
  return openClickHouse({
    url: clickhouse.url,
    username: clickhouse.username,
    database: clickhouse.database,
    requestTimeoutMs: clickhouse.requestTimeout,
    ...(clickhouse.password !== undefined && { password: await secrets.read(clickhouse.password) }),
    ...(await readerOf(config, secrets)),
  })
}

/** Answers one row after another; rejects as the client does, and where a row is not one. */
export async function* rowsOf<T>(
  client: Pick<ClickHouse, 'query'>,
  asked: { readonly sql: string; readonly params: Readonly<Record<string, string | number>> },
  shape: z.ZodType<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const body = await client.query({ ...asked, format: 'JSONEachRow', settings: SETTINGS }, signal)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MOST_LINE) throw new Refusal('a record in the audit database is longer than any that was written')
    for (const line of lines) if (line !== '') yield shape.parse(JSON.parse(line))
  }
  if (rest !== '') yield shape.parse(JSON.parse(rest))
}

const words = z.array(z.string())
const count = z.number().int().min(0)

const decision: z.ZodType<RecordedDecision> = z
  .strictObject({
    exchange: z.string(),
    at: z.number().int(),
    received: z.number().int().nullable(),
    expires: z.number().int().nullable(),
    surface: z.string(),
    plane: z.string(),
    issuer: z.string(),
    subject: z.string(),
    principal_kind: z.string(),
    groups: words,
    acts_for_issuer: z.string(),
    acts_for_subject: z.string(),
    connection: z.string(),
    purpose: z.string(),
    language: z.string(),
    statement_kind: z.string(),
    statement: z.string(),
    actions: words,
    tables: words,
    vias: words,
    estimated_bytes: count.nullable(),
    shape: z.string(),
    findings: z.string(),
    weighed: z.string(),
    request_type: z.string(),
    request_bytes: count.nullable(),
    request_body: z.string(),
    policy: z.string(),
    effect: z.enum(['permit', 'hold', 'deny']),
    reasons: z.string(),
    obligations: z.string(),
    approver_groups: z.string(),
  })
  .transform(({ exchange, at, received, expires, ...rest }) => ({
    ...rest,
    exchange_id: exchange,
    ts: at,
    received_at: received,
    hold_expires_at: expires,
  }))

const PLAIN =
  `surface plane issuer subject principal_kind groups acts_for_issuer acts_for_subject connection purpose language
  statement_kind statement actions tables vias estimated_bytes shape findings weighed request_type request_bytes
  request_body policy effect reasons obligations approver_groups`.split(/\s+/)

/** The newest first. `client`'s own database MUST be the audit database. */
export function decisionsOf(
  client: Pick<ClickHouse, 'query'>,
  { since, until, principal, connection, limit }: Span,
  signal: AbortSignal,
): AsyncGenerator<RecordedDecision> {
  const sql = `SELECT toString(e.exchange_id) AS exchange, toUnixTimestamp64Micro(e.ts) AS at,
      toUnixTimestamp64Micro(e.received_at) AS received, toUnixTimestamp64Milli(e.hold_expires_at) AS expires,
      ${PLAIN.map((name) => `e.\`${name}\` AS \`${name}\``).join(', ')}
    FROM events AS e
    WHERE e.kind = 'decided' AND e.ts >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
      AND e.ts < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
      ${principal === undefined ? '' : "AND (e.subject = {principal:String} OR concat(e.issuer, ':', e.subject) = {principal:String})"}
      ${connection === undefined ? '' : 'AND e.connection = {connection:String}'}
    ORDER BY e.ts DESC, e.record_id DESC LIMIT {limit:UInt64}`
  const params = {
    since: Math.round(since),
    until: Math.round(until),
    limit,
    ...(principal !== undefined && { principal }),
    ...(connection !== undefined && { connection }),
  }
  return rowsOf(client, { sql, params }, decision, signal)
}

const inForce = z.strictObject({ policy: z.string(), text: z.string() })
const documentsShape = z.record(z.string(), z.string())

/** The documents of a policy set that was in force, by path; `undefined` where no record tells. */
export async function documentsOf(
  client: Pick<ClickHouse, 'query'>,
  digest: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>> | undefined> {
  const sql = `SELECT e.policy AS policy, e.documents AS text FROM events AS e
    WHERE e.kind IN ('started', 'policy') AND e.policy = {digest:String} AND e.documents != '' LIMIT 1`
  for await (const { text } of rowsOf(client, { sql, params: { digest } }, inForce, signal)) {
    return documentsShape.parse(JSON.parse(text))
  }
  return undefined
}
