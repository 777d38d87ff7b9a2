/** Exchanges of a gateway that were permitted and whose end nobody wrote down: it died while they ran. One bounded query. */
import * as z from 'zod'
import type { Principal } from '../exchange.ts'
import type { Unfinished, UnfinishedReader } from './contract.ts'
import type { ClickHouse } from './reader/contract.ts'

const LIMITS = { seconds: 30, memoryBytes: 1024 ** 3, rowsRead: 500_000_000 }

/** Most that one call tells of. */
const MOST = 1000

/** Characters of an answer, above what `MOST` lines of names come to. */
const MOST_TEXT = 16 * 1024 * 1024

const line = z.strictObject({
  exchange: z.string(),
  surface: z.string(),
  connection: z.string(),
  plane: z.enum(['agents', 'people']),
  issuer: z.string(),
  subject: z.string(),
  principal_kind: z.enum(['agent', 'service', 'person']),
  groups: z.array(z.string()),
  acts_for_issuer: z.string(),
  acts_for_subject: z.string(),
})

const LAST = (column: string): string => `argMaxIf(e.${column}, (e.ts, e.writer_seq), e.kind = 'decided')`

const SQL = `SELECT toString(e.exchange_id) AS exchange, ${LAST('surface')} AS surface, ${LAST('connection')} AS connection,
    ${LAST('plane')} AS plane, ${LAST('issuer')} AS issuer, ${LAST('subject')} AS subject,
    ${LAST('principal_kind')} AS principal_kind, ${LAST('groups')} AS groups,
    ${LAST('acts_for_issuer')} AS acts_for_issuer, ${LAST('acts_for_subject')} AS acts_for_subject
  FROM events AS e
  WHERE e.writer = {writer:String} AND e.ts >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND e.ts < fromUnixTimestamp64Milli({before:Int64}, 'UTC') AND e.kind IN ('decided', 'completed', 'failed', 'settled')
  GROUP BY e.exchange_id
  HAVING countIf(e.kind != 'decided') = 0 AND ${LAST('effect')} = 'permit' AND surface != 'preflight'
  ORDER BY e.exchange_id LIMIT ${MOST}`

/** `client`'s own database MUST be the audit database. */
export function createUnfinished(client: Pick<ClickHouse, 'query'>): UnfinishedReader {
  const settings = {
    readonly: 1,
    max_execution_time: LIMITS.seconds,
    timeout_overflow_mode: 'throw',
    max_memory_usage: LIMITS.memoryBytes,
    max_rows_to_read: LIMITS.rowsRead,
    read_overflow_mode: 'throw',
  }
  const ask = async (
    sql: string,
    params: Readonly<Record<string, string | number>>,
    signal: AbortSignal,
  ): Promise<readonly unknown[]> => {
    const text = await textOf(await client.query({ sql, params, format: 'JSONEachRow', settings }, signal))
    return text.split('\n').flatMap((row) => (row === '' ? [] : [JSON.parse(row) as unknown]))
  }
  return {
    async arrived(record, signal) {
      const sql = 'SELECT 1 AS found FROM events WHERE exchange_id = {record:UUID} LIMIT 1'
      return (await ask(sql, { record }, signal)).length > 0
    },
    async unfinished({ writer, since, before }, signal) {
      const params = { writer, since: Math.round(since), before: Math.round(before) }
      return (await ask(SQL, params, signal)).map((row) => unfinishedOf(line.parse(row)))
    },
  }
}

function unfinishedOf(row: z.infer<typeof line>): Unfinished {
  const { exchange, surface, connection, issuer, subject, plane, groups } = row
  const principal: Principal = {
    issuer,
    subject,
    plane,
    groups,
    kind: row.principal_kind,
    ...(row.acts_for_subject !== '' && {
      actsFor: { issuer: row.acts_for_issuer, subject: row.acts_for_subject },
    }),
  }
  return { exchange, surface, connection, principal }
}

async function textOf(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let whole = ''
  for await (const chunk of body) {
    whole += decoder.decode(chunk, { stream: true })
    if (whole.length > MOST_TEXT) throw new Error('the answer is too long')
  }
  return whole + decoder.decode()
}
