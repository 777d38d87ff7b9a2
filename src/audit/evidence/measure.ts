/** The numbers of the report: each a bounded question over the span. */
import * as z from 'zod'
import type { Store } from './store.ts'

export type Bucket = 'hour' | 'day' | 'week' | 'month'

const DAY_MS = 86_400_000

/** Columns of time such that a chart has some tens of them. */
export function bucketOf(from: number, to: number): Bucket {
  const days = (to - from) / DAY_MS
  if (days <= 3) return 'hour'
  if (days <= 100) return 'day'
  return days <= 730 ? 'week' : 'month'
}

const START: Readonly<Record<Bucket, string>> = {
  hour: 'toStartOfHour(e.ts)',
  day: 'toStartOfDay(e.ts)',
  week: "toStartOfWeek(e.ts, 1, 'UTC')",
  month: 'toStartOfMonth(e.ts)',
}

const n = z.number().int().min(0)
const word = z.string()
const time = z.string()

/** Rows of each list, at most. */
const TOP = 25
/** Samples of each kind. */
const SAMPLES = 6
/** Characters of a statement in a sample. */
const EXCERPT = 240

const ASKED = "e.kind = 'decided' AND e.surface != 'preflight'"

/** Codes of refusals at the door, and of what was not understood. */
export const TURNED_AWAY: readonly string[] = [
  'credential-missing',
  'credential-refused',
  'wrong-plane',
  'not-auditor',
  'not-approver',
  'too-many-requests',
  'overloaded',
]
export const NOT_UNDERSTOOD: readonly string[] = [
  'statement-refused',
  'target-refused',
  'upgrade-refused',
  'body-too-large',
  'resource-unknown',
  'connection-unknown',
]
const quoted = (codes: readonly string[]): string => codes.map((code) => `'${code}'`).join(', ')

const SAMPLE = `toString(e.exchange_id) AS exchange, e.ts AS at, e.subject AS principal, e.acts_for_subject AS acts_for,
  e.connection AS connection, substringUTF8(e.statement, 1, ${EXCERPT}) AS statement`
/** The same ones each time: by a hash of their ids, not by chance. */
const PICK = `ORDER BY cityHash64(e.exchange_id), e.ts LIMIT ${SAMPLES}`

const sampleShape = {
  exchange: word,
  at: time,
  principal: word,
  acts_for: word,
  connection: word,
  statement: word,
}

/** What became of each exchange that was permitted in the span, also where it ended after it. */
const PERMIT = `e.kind = 'decided' AND e.effect = 'permit' AND e.surface != 'preflight'
  AND e.ts < fromUnixTimestamp64Milli({span_to:Int64}, 'UTC')`
const ENDS = `SELECT e.exchange_id AS x_exchange, countIf(e.kind = 'completed') AS done, countIf(e.kind = 'failed') AS broke,
    countIf(e.kind = 'settled') AS found, countIf(e.kind = 'completed' AND e.ending = 'cut') AS cuts,
    minIf(e.ts, ${PERMIT}) AS x_at, anyIf(e.subject, ${PERMIT}) AS x_principal,
    anyIf(e.acts_for_subject, ${PERMIT}) AS x_acts_for, anyIf(e.connection, ${PERMIT}) AS x_connection,
    anyIf(e.statement, ${PERMIT}) AS x_statement
  FROM {later} WHERE e.kind IN ('decided', 'completed', 'failed', 'settled')
  GROUP BY e.exchange_id HAVING countIf(${PERMIT}) > 0`

/** Each question by name: what its rows are, and how they are asked for. */
const QUESTIONS = {
  overview: {
    shape: z.object({
      records: n,
      exchanges: n,
      first: time,
      last: time,
      principals: n,
      people: n,
      connections: n,
      writers: n,
      rows: n,
      bytes: n,
    }),
    sql: () => `SELECT count() AS records,
      uniqExactIf(e.exchange_id, e.kind IN ('decided', 'refused')) AS exchanges, min(e.ts) AS first, max(e.ts) AS last,
      uniqExactIf((e.issuer, e.subject), e.kind = 'decided') AS principals,
      uniqExactIf((e.acts_for_issuer, e.acts_for_subject), e.kind = 'decided' AND e.acts_for_subject != '') AS people,
      uniqExactIf(e.connection, e.kind = 'decided') AS connections, uniqExact(e.writer) AS writers,
      sumIf(ifNull(e.row_count, 0), e.kind = 'completed' AND e.surface != 'audit') AS rows,
      sumIf(ifNull(e.byte_count, 0), e.kind = 'completed' AND e.surface != 'audit') AS bytes FROM {events}`,
  },
  decisions: {
    shape: z.object({ start: time, permit: n, hold: n, deny: n, refused: n, failed: n, cut: n, settled: n }),
    sql: (start: string) => `SELECT toString(toDateTime(${start}, 'UTC')) AS start,
      countIf(${ASKED} AND e.effect = 'permit') AS permit, countIf(${ASKED} AND e.effect = 'hold') AS hold,
      countIf(${ASKED} AND e.effect = 'deny') AS deny, countIf(e.kind = 'refused') AS refused,
      countIf(e.kind = 'failed') AS failed, countIf(e.kind = 'settled') AS settled,
      countIf(e.kind = 'completed' AND e.ending = 'cut' AND e.surface != 'audit') AS cut
      FROM {events} WHERE e.kind IN ('decided', 'refused', 'failed', 'completed', 'settled')
      GROUP BY start ORDER BY start LIMIT 2000`,
  },
  identity: {
    shape: z.object({ start: time, proven: n, refused: n }),
    sql: (start: string) => `SELECT toString(toDateTime(${start}, 'UTC')) AS start,
      countIf(e.kind = 'decided') AS proven,
      countIf(e.kind = 'refused' AND e.failure_code IN ('credential-missing', 'credential-refused', 'wrong-plane')) AS refused
      FROM {events} WHERE e.kind IN ('decided', 'refused') GROUP BY start ORDER BY start LIMIT 2000`,
  },
  refusals: {
    shape: z.object({ code: word, times: n, principals: n }),
    sql: () => `SELECT e.failure_code AS code, count() AS times,
      uniqExactIf((e.issuer, e.subject), e.subject != '') AS principals
      FROM {events} WHERE e.kind = 'refused' GROUP BY code ORDER BY times DESC, code LIMIT 100`,
  },
  connections: {
    shape: z.object({ connection: word, permit: n, hold: n, deny: n, refused: n, rows: n, bytes: n, principals: n }),
    sql: () => `SELECT e.connection AS connection, countIf(${ASKED} AND e.effect = 'permit') AS permit,
      countIf(${ASKED} AND e.effect = 'hold') AS hold, countIf(${ASKED} AND e.effect = 'deny') AS deny,
      countIf(e.kind = 'refused') AS refused, sumIf(ifNull(e.row_count, 0), e.kind = 'completed' AND e.surface != 'audit') AS rows,
      sumIf(ifNull(e.byte_count, 0), e.kind = 'completed' AND e.surface != 'audit') AS bytes,
      uniqExactIf((e.issuer, e.subject), e.kind = 'decided') AS principals
      FROM {events} WHERE e.connection != '' GROUP BY connection ORDER BY permit + hold + deny DESC, connection LIMIT ${TOP}`,
  },
  principals: {
    shape: z.object({
      issuer: word,
      principal: word,
      kind: word,
      groups: z.array(word),
      exchanges: n,
      denied: n,
      acts_for: n,
      last: time,
    }),
    sql: () => `SELECT e.issuer AS issuer, e.subject AS principal, any(e.principal_kind) AS kind,
      arraySlice(arraySort(arrayDistinct(arrayFlatten(groupUniqArray(20)(e.groups)))), 1, 12) AS groups,
      uniqExact(e.exchange_id) AS exchanges, countIf(e.effect = 'deny') AS denied,
      uniqExactIf(e.acts_for_subject, e.acts_for_subject != '') AS acts_for, max(e.ts) AS last
      FROM {events} WHERE e.kind = 'decided' GROUP BY issuer, principal ORDER BY exchanges DESC, principal LIMIT ${TOP}`,
  },
  rules: {
    shape: z.object({ code: word, because: word, effect: word, times: n, principals: n }),
    sql: () => `SELECT r_code AS code, any(r_text) AS because, e.effect AS effect, count() AS times,
      uniqExact(e.issuer, e.subject) AS principals
      FROM {events} ARRAY JOIN e.reason_codes AS r_code, e.reason_texts AS r_text
      WHERE ${ASKED} AND e.effect IN ('deny', 'hold') GROUP BY code, effect ORDER BY times DESC, code LIMIT ${TOP}`,
  },
  holds: {
    shape: z.object({ state: word, times: n }),
    sql: () => `SELECT e.hold_state AS state, count() AS times FROM {events} WHERE e.kind = 'hold'
      GROUP BY state ORDER BY times DESC, state LIMIT ${TOP}`,
  },
  approvers: {
    shape: z.object({ approver: word, groups: z.array(word), approved: n, rejected: n, own: n }),
    sql: () => `SELECT e.subject AS approver, arraySlice(any(e.groups), 1, 12) AS groups,
      countIf(e.hold_state = 'approved') AS approved, countIf(e.hold_state = 'rejected') AS rejected,
      countIf((e.issuer, e.subject) = (h.issuer, h.requester) OR (e.issuer, e.subject) = (h.acts_issuer, h.acts_for)) AS own
      FROM (SELECT * FROM {events} WHERE e.kind = 'hold' AND e.hold_state IN ('approved', 'rejected')) AS e
      LEFT JOIN ({held}) AS h ON h.held = e.exchange_id
      GROUP BY e.issuer, approver ORDER BY approved + rejected DESC, approver LIMIT ${TOP}`,
  },
  waiting: {
    shape: z.object({ decided: n, approved: n, own: n, median: z.number(), longest: z.number() }),
    sql: () => `SELECT count() AS decided, countIf(approved) AS approved, countIf(own) AS own,
      ifNotFinite(median(waited), 0) AS median, max(waited) AS longest FROM (
      SELECT dateDiff('second', h.held_at, e.ts) AS waited, e.hold_state = 'approved' AS approved,
        (e.issuer, e.subject) = (h.issuer, h.requester) OR (e.issuer, e.subject) = (h.acts_issuer, h.acts_for) AS own
      FROM (SELECT * FROM {events} WHERE e.kind = 'hold' AND e.hold_state IN ('approved', 'rejected')) AS e
      INNER JOIN ({held}) AS h ON h.held = e.exchange_id)`,
  },
  masked: {
    shape: z.object({
      connection: word,
      table: word,
      column: word,
      strategy: word,
      answers: n,
      values: n,
      principals: n,
    }),
    sql: () => `SELECT e.connection AS connection, m_table AS table, m_column AS column, m_strategy AS strategy,
      uniqExact(e.exchange_id) AS answers, sum(m_count) AS values, uniqExact(e.issuer, e.subject) AS principals
      FROM {events} ARRAY JOIN e.masked_tables AS m_table, e.masked_columns AS m_column, e.masked_strategies AS m_strategy,
        arrayResize(e.masked_counts, length(e.masked_tables)) AS m_count
      WHERE e.kind = 'completed' GROUP BY connection, table, column, strategy
      ORDER BY answers DESC, connection, table, column LIMIT ${TOP}`,
  },
  answers: {
    shape: z.object({ start: time, masked: n, plain: n }),
    sql: (start: string) => `SELECT toString(toDateTime(${start}, 'UTC')) AS start,
      countIf(notEmpty(e.masked_columns)) AS masked, countIf(empty(e.masked_columns)) AS plain
      FROM {events} WHERE e.kind = 'completed' AND e.surface != 'audit' GROUP BY start ORDER BY start LIMIT 2000`,
  },
  writes: {
    shape: z.object({ action: word, permit: n, hold: n, deny: n }),
    sql: () => `SELECT w_action AS action, countIf(e.effect = 'permit') AS permit, countIf(e.effect = 'hold') AS hold,
      countIf(e.effect = 'deny') AS deny FROM {events} ARRAY JOIN arrayDistinct(e.actions) AS w_action
      WHERE ${ASKED} GROUP BY action ORDER BY permit + hold + deny DESC, action LIMIT ${TOP}`,
  },
  findings: {
    shape: z.object({ kind: word, times: n, exchanges: n, denied: n }),
    sql: () => `SELECT JSONExtractString(f_finding, 'kind') AS kind, count() AS times,
      uniqExact(e.exchange_id) AS exchanges, countIf(e.effect IN ('deny', 'hold')) AS denied
      FROM {events} ARRAY JOIN JSONExtractArrayRaw(e.findings) AS f_finding WHERE ${ASKED}
      GROUP BY kind ORDER BY times DESC, kind LIMIT ${TOP}`,
  },
  changes: {
    shape: z.object({ at: time, kind: word, writer: word, policy: word, note: word }),
    sql: () => `SELECT e.ts AS at, e.kind AS kind, e.writer AS writer, e.policy AS policy,
      substringUTF8(e.note, 1, ${EXCERPT}) AS note
      FROM {events} WHERE e.kind IN ('policy', 'started', 'stopped') ORDER BY e.ts DESC, e.record_id LIMIT 60`,
  },
  changeCounts: {
    shape: z.object({ kind: word, times: n, digests: n }),
    sql: () => `SELECT e.kind AS kind, count() AS times, uniqExact(e.policy) AS digests FROM {events}
      WHERE e.kind IN ('policy', 'started', 'stopped') GROUP BY kind ORDER BY kind`,
  },
  ends: {
    shape: z.object({ permitted: n, answered: n, cut: n, failed: n, settled: n, open: n }),
    sql: () => `SELECT count() AS permitted, countIf(done > 0 AND cuts = 0) AS answered, countIf(cuts > 0) AS cut,
      countIf(done = 0 AND broke > 0) AS failed, countIf(done = 0 AND broke = 0 AND found > 0) AS settled,
      countIf(done = 0 AND broke = 0 AND found = 0) AS open FROM (${ENDS})`,
  },
  open: {
    shape: z.object(sampleShape),
    sql: () => `SELECT toString(x_exchange) AS exchange, x_at AS at, x_principal AS principal, x_acts_for AS acts_for,
      x_connection AS connection, substringUTF8(x_statement, 1, ${EXCERPT}) AS statement
      FROM (${ENDS}) WHERE done = 0 AND broke = 0 AND found = 0 ORDER BY x_at LIMIT ${TOP}`,
  },
  own: {
    shape: z.object({ exchange: word, at: time, principal: word, state: word, comment: word }),
    sql: () => `SELECT toString(e.exchange_id) AS exchange, e.ts AS at, e.subject AS principal, e.hold_state AS state,
      substringUTF8(e.hold_comment, 1, ${EXCERPT}) AS comment
      FROM (SELECT * FROM {events} WHERE e.kind = 'hold' AND e.hold_state IN ('approved', 'rejected')) AS e
      INNER JOIN ({held}) AS h ON h.held = e.exchange_id
      WHERE (e.issuer, e.subject) = (h.issuer, h.requester) OR (e.issuer, e.subject) = (h.acts_issuer, h.acts_for)
      ORDER BY e.ts LIMIT ${TOP}`,
  },
  auditors: {
    shape: z.object({ principal: word, queries: n, refused: n, last: time }),
    sql: () => `SELECT e.subject AS principal, countIf(e.kind = 'audit-query') AS queries,
      countIf(e.kind = 'refused') AS refused, max(e.ts) AS last FROM {events}
      WHERE e.surface = 'audit' AND e.kind IN ('audit-query', 'refused') GROUP BY e.issuer, principal
      ORDER BY queries DESC, principal LIMIT ${TOP}`,
  },
  retention: {
    shape: z.object({ connection: word, days: z.number(), soonest: word, records: n }),
    sql: () => `SELECT e.connection AS connection, dateDiff('day', toDate(e.ts), e.retain_until) AS days,
      toString(min(e.retain_until)) AS soonest, count() AS records FROM {events}
      GROUP BY connection, days ORDER BY connection, days LIMIT ${TOP * 2}`,
  },
  bodies: {
    shape: z.object({ recorded: word, answers: n, bytes: n }),
    sql: () => `SELECT if(e.answer_recorded = '', 'not kept', e.answer_recorded) AS recorded, count() AS answers,
      sum(ifNull(e.answer_kept, 0)) AS bytes FROM {events} WHERE e.kind = 'completed' AND e.surface != 'audit'
      GROUP BY recorded ORDER BY answers DESC LIMIT ${TOP}`,
  },
  denied: {
    shape: z.object({ ...sampleShape, why: word }),
    sql: () => `SELECT ${SAMPLE}, arrayStringConcat(arrayMap((c, t) -> concat(c, ': ', t), e.reason_codes, e.reason_texts), '; ') AS why
      FROM {events} WHERE ${ASKED} AND e.effect = 'deny' ${PICK}`,
  },
  permitted: {
    shape: z.object({ ...sampleShape, why: word }),
    sql: () => `SELECT ${SAMPLE}, arrayStringConcat(arrayMap((c, t) -> concat(c, ': ', t), e.reason_codes, e.reason_texts), '; ') AS why
      FROM {events} WHERE ${ASKED} AND e.effect = 'permit' ${PICK}`,
  },
  turnedAway: {
    shape: z.object({ ...sampleShape, why: word }),
    sql: () => `SELECT ${SAMPLE}, concat(e.failure_code, ': ', e.failure_message) AS why FROM {events}
      WHERE e.kind = 'refused' AND e.failure_code IN (${quoted(TURNED_AWAY)}) ${PICK}`,
  },
  notUnderstood: {
    shape: z.object({ ...sampleShape, why: word }),
    sql: () => `SELECT ${SAMPLE}, concat(e.failure_code, ': ', e.failure_message) AS why FROM {events}
      WHERE e.kind = 'refused' AND e.failure_code IN (${quoted(NOT_UNDERSTOOD)}) ${PICK}`,
  },
  maskedSamples: {
    shape: z.object({ ...sampleShape, why: word }),
    sql: () => `SELECT ${SAMPLE}, arrayStringConcat(arrayMap((t, c, s) -> concat(t, '.', c, ' ', s), e.masked_tables,
        e.masked_columns, e.masked_strategies), '; ') AS why
      FROM {events} WHERE e.kind = 'completed' AND notEmpty(e.masked_columns) ${PICK}`,
  },
  approved: {
    shape: z.object({ ...sampleShape, why: word, approver: word, comment: word, state: word }),
    sql: () => `SELECT toString(e.exchange_id) AS exchange, e.ts AS at, h.requester AS principal, h.acts_for AS acts_for,
      e.connection AS connection, substringUTF8(h.statement, 1, ${EXCERPT}) AS statement,
      arrayStringConcat(h.reason_texts, '; ') AS why, e.subject AS approver,
      substringUTF8(e.hold_comment, 1, ${EXCERPT}) AS comment, e.hold_state AS state
      FROM (SELECT * FROM {events} WHERE e.kind = 'hold' AND e.hold_state IN ('approved', 'rejected')) AS e
      INNER JOIN ({held}) AS h ON h.held = e.exchange_id ${PICK}`,
  },
  broken: {
    shape: z.object({ ...sampleShape, why: word }),
    sql: () => `SELECT ${SAMPLE}, if(e.kind = 'failed', concat(e.failure_code, ': ', e.failure_message),
        if(e.kind = 'settled', concat('settled: ', e.outcome, ' ', e.note), concat('cut: ', e.cut))) AS why
      FROM {events} WHERE e.kind IN ('failed', 'settled') OR (e.kind = 'completed' AND e.ending = 'cut' AND e.surface != 'audit') ${PICK}`,
  },
} as const

type Questions = typeof QUESTIONS
export type Measures = { readonly [Q in keyof Questions]: readonly z.infer<Questions[Q]['shape']>[] }
export type Sample = z.infer<Questions['denied']['shape']>

/** What holds began with, for those that moved in the span. */
const HELD = `SELECT e.exchange_id AS held, min(e.ts) AS held_at, argMin(e.issuer, e.ts) AS issuer,
    argMin(e.subject, e.ts) AS requester, argMin(e.acts_for_issuer, e.ts) AS acts_issuer,
    argMin(e.acts_for_subject, e.ts) AS acts_for, argMin(e.statement, e.ts) AS statement,
    argMin(e.reason_texts, e.ts) AS reason_texts
  FROM {earlier} WHERE e.kind = 'decided' AND e.effect = 'hold'
    AND e.exchange_id IN (SELECT exchange_id FROM {events} WHERE e.kind = 'hold') GROUP BY held`

/** Asks everything, one after the other: an export is no reason for other auditors to wait. */
export async function measure(store: Store, signal: AbortSignal): Promise<Measures> {
  const start = START[bucketOf(store.span.from, store.span.to)]
  const found: Record<string, readonly unknown[]> = {}
  for (const [name, { shape, sql }] of Object.entries(QUESTIONS)) {
    const text = sql(start)
      .replaceAll('{held}', HELD)
      .replaceAll('{events}', store.events)
      .replaceAll('{earlier}', store.eventsUntil)
      .replaceAll('{later}', store.eventsFrom)
    found[name] = await store.rows<unknown>(shape, text, {}, signal)
  }
  return found as unknown as Measures
}
