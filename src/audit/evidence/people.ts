/** What people did and what was in force: approvals, masked columns, policies, access lists. */
import * as z from 'zod'
import { MEMBER_BYTES } from './layout.ts'
import { json, pathPart, text, type Member } from './pack.ts'
import type { Store } from './store.ts'

/** Lines asked for at once. */
const PAGE = 5_000

const APPROVALS = `SELECT e.ts AS at, e.hold_id AS hold_id, toString(e.exchange_id) AS exchange_id, e.hold_state AS state,
    e.issuer AS issuer, e.subject AS principal, e.principal_kind AS principal_kind, e.groups AS groups,
    e.hold_comment AS comment, e.connection AS connection, h.requester AS requester, h.acts_for AS acts_for,
    h.purpose AS purpose, h.statement AS statement, h.reason_codes AS reason_codes, h.reason_texts AS reason_texts,
    h.held_at AS held_at, h.approver_groups AS approver_groups, h.policy AS policy
  FROM (SELECT * FROM {events} WHERE e.kind = 'hold' AND e.hold_state != 'pending'
    ORDER BY ts, record_id LIMIT {page:UInt64} OFFSET {skip:UInt64}) AS e
  LEFT JOIN (SELECT e.exchange_id AS held, min(e.ts) AS held_at, argMin(e.subject, e.ts) AS requester,
      argMin(e.acts_for_subject, e.ts) AS acts_for, argMin(e.purpose, e.ts) AS purpose,
      argMin(e.statement, e.ts) AS statement, argMin(e.reason_codes, e.ts) AS reason_codes,
      argMin(e.reason_texts, e.ts) AS reason_texts, argMin(e.approver_groups, e.ts) AS approver_groups,
      argMin(e.policy, e.ts) AS policy
    FROM {earlier} WHERE e.kind = 'decided' AND e.effect = 'hold'
      AND e.exchange_id IN (SELECT exchange_id FROM {events} WHERE e.kind = 'hold') GROUP BY held) AS h
  ON h.held = e.exchange_id ORDER BY e.ts, e.record_id`

const MASKED = `SELECT toString(toDate(e.ts)) AS day, e.connection AS connection, m_table AS table, m_column AS column,
    m_strategy AS strategy, uniqExact(e.exchange_id) AS answers, sum(m_count) AS values,
    uniqExact(e.issuer, e.subject) AS principals, arraySort(groupUniqArray(3)(toString(e.exchange_id))) AS samples
  FROM {events} ARRAY JOIN e.masked_tables AS m_table, e.masked_columns AS m_column, e.masked_strategies AS m_strategy,
    arrayResize(e.masked_counts, length(e.masked_tables)) AS m_count
  WHERE e.kind = 'completed'
  GROUP BY day, connection, table, column, strategy ORDER BY day, connection, table, column, strategy
  LIMIT {page:UInt64} OFFSET {skip:UInt64}`

/** Each move of a hold but its beginning, by whom, with what was asked and why it was held. */
export function approvalMembers(store: Store, signal: AbortSignal): AsyncGenerator<Member> {
  return lines(store, 'approvals', APPROVALS, signal)
}

/** Each column that was masked, by day: how, how often, and in which exchanges among others. */
export function maskedMembers(store: Store, signal: AbortSignal): AsyncGenerator<Member> {
  return lines(store, 'masked-columns', MASKED, signal)
}

/** JSON lines, in as many members as they need; one that is empty where there are none. */
async function* lines(store: Store, name: string, sql: string, signal: AbortSignal): AsyncGenerator<Member> {
  const whole = sql.replaceAll('{events}', store.events).replaceAll('{earlier}', store.eventsUntil)
  let page = PAGE
  for (let skip = 0, part = 1; ;) {
    const bytes = await store.bytes(whole, { page, skip }, 'JSONEachRow', MEMBER_BYTES, signal)
    if (bytes === undefined && page > 1) {
      page = Math.ceil(page / 2)
      continue
    }
    const content = bytes ?? new Uint8Array(0)
    const count = content.reduce((sum, byte) => (byte === 0x0a ? sum + 1 : sum), 0)
    if (part === 1 || count > 0)
      yield { path: part === 1 ? `${name}.ndjson` : `${name}-${part}.ndjson`, bytes: content }
    if (count < page) return
    skip += page
    part++
  }
}

const documentsRow = z.object({
  at: z.string(),
  writer: z.string(),
  kind: z.string(),
  policy: z.string(),
  documents: z.string(),
})

/** What was in force at some time, and from when on. */
export interface InForce {
  readonly at: string
  readonly writer: string
  /** `started`, `policy`, or `before`: what was in force when the span began. */
  readonly kind: string
  readonly policy: string
  /** How many documents are recorded with it. */
  readonly documents: number
}

/**
 * The documents of each policy digest, once; then the access lists, each with when it took force. `seen` is told of what was
 * in force.
 */
export async function* policyMembers(
  store: Store,
  signal: AbortSignal,
  seen: (inForce: InForce) => void,
): AsyncGenerator<Member> {
  const paths = new Set<string>()
  const access: { at: string; writer: string; policy: string; access: unknown }[] = []
  for await (const { documents, ...row } of documentRows(store, signal)) {
    const texts = Object.entries(documentsOf(documents))
    seen({ ...row, documents: texts.length })
    for (const [path, content] of texts) {
      const member = text(`policies/${pathPart(row.policy.replace(/^sha256:/, ''))}/${safePath(path)}`, content)
      if (path === 'access.json') {
        const last = access.findLast(({ writer }) => writer === row.writer)
        const now = parsed(content)
        if (JSON.stringify(last?.access) !== JSON.stringify(now)) {
          access.push({ at: row.at, writer: row.writer, policy: row.policy, access: now })
        }
      } else if (!paths.has(member.path)) {
        paths.add(member.path)
        yield member
      }
    }
  }
  yield json('access.json', access)
}

/** The last before the span of each writer, and every one in it; documents that were seen once are not asked for again. */
async function* documentRows(store: Store, signal: AbortSignal): AsyncGenerator<z.infer<typeof documentsRow>> {
  const before = `SELECT max(e.ts) AS at, e.writer AS writer, 'before' AS kind, argMax(e.policy, e.ts) AS policy,
      argMax(e.documents, e.ts) AS documents
    FROM ${store.eventsUntil} WHERE e.kind IN ('started', 'policy')
      AND e.ts < fromUnixTimestamp64Milli({span_from:Int64}, 'UTC') GROUP BY writer
    ORDER BY at DESC LIMIT {page:UInt64} OFFSET {skip:UInt64}`
  const within = `SELECT e.ts AS at, e.writer AS writer, e.kind AS kind, e.policy AS policy, e.documents AS documents
    FROM ${store.events} WHERE e.kind IN ('started', 'policy')
    ORDER BY e.ts, e.record_id LIMIT {page:UInt64} OFFSET {skip:UInt64}`
  for (const sql of [before, within]) {
    for (let skip = 0; skip < MOST_CHANGES; skip += DOCUMENTS_PAGE) {
      const rows = await store.rows(documentsRow, sql, { page: DOCUMENTS_PAGE, skip }, signal)
      yield* rows
      if (rows.length < DOCUMENTS_PAGE) break
    }
  }
}
/** Records with documents, which may be some megabytes each, at once; and how many at most. */
const DOCUMENTS_PAGE = 10
const MOST_CHANGES = 10_000

function documentsOf(recorded: string): Readonly<Record<string, string>> {
  // Records of before version 4 of the schema have the digest alone.
  return recorded === '' ? {} : z.record(z.string(), z.string()).parse(JSON.parse(recorded))
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    return content
  }
}

function safePath(path: string): string {
  return path.split('/').map(pathPart).join('/')
}
