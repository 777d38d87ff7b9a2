/** What a principal was answered on a connection lately, from the audit log itself: one bounded query, one row. */
import * as z from 'zod'
import type { Habits, HabitReader, HabitsAsked } from './contract.ts'
import type { ClickHouse } from './reader/contract.ts'

export interface HabitLimits {
  readonly seconds: number
  readonly memoryBytes: number
  readonly rowsRead: number
  /** Most shapes and tables that are told: the most frequent, and any. */
  readonly shapes: number
  readonly tables: number
}

export const HABIT_LIMITS: HabitLimits = {
  seconds: 5,
  memoryBytes: 512 * 1024 ** 2,
  rowsRead: 200_000_000,
  shapes: 1000,
  tables: 500,
}

/** Characters of an answer, well above what the limits let through. */
const MOST_TEXT = 1024 * 1024

const count = z.number().int().min(0)

const answer = z.strictObject({
  exchanges: count,
  hours: z.tuple([z.array(z.number().int().min(0).max(23)), z.array(count)]),
  shapes: z.array(z.tuple([z.string(), count])),
  tables: z.array(z.string()),
  estimated: count,
  bytes_p95: z.number().min(0).nullable(),
})

/**
 * Only what was answered makes a habit: what was denied, held or merely foreseen must not teach the gateway that it is usual.
 * An agent that acts for a person has other habits than the same agent for another.
 */
function sqlOf({ shapes, tables }: HabitLimits): string {
  return `SELECT count() AS exchanges,
    sumMap([toHour(ts)], [toUInt64(1)]) AS hours,
    arraySlice(arrayReverseSort(s -> (s.2, s.1), arrayZip(m.1, m.2)), 1, ${shapes}) AS shapes,
    arraySort(groupUniqArrayArray(${tables})(tables)) AS tables,
    countIf(isNotNull(estimated_bytes)) AS estimated,
    quantileExactIf(0.95)(assumeNotNull(estimated_bytes), isNotNull(estimated_bytes)) AS bytes_p95,
    sumMapIf([shape], [toUInt64(1)], shape != '') AS m
  FROM events
  WHERE kind = 'completed' AND ts >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND connection = {connection:String} AND issuer = {issuer:String} AND subject = {subject:String}
    AND acts_for_issuer = {actsForIssuer:String} AND acts_for_subject = {actsForSubject:String}`
}

/** `client`'s own database MUST be the audit database. Rejects as the client does, and where the answer is not one. */
export function createHabits(client: Pick<ClickHouse, 'query'>, limits: HabitLimits = HABIT_LIMITS): HabitReader {
  const sql = `SELECT exchanges, hours, shapes, tables, estimated, bytes_p95 FROM (${sqlOf(limits)})`
  const settings = {
    readonly: 1,
    max_execution_time: limits.seconds,
    timeout_overflow_mode: 'throw',
    max_memory_usage: limits.memoryBytes,
    max_rows_to_read: limits.rowsRead,
    read_overflow_mode: 'throw',
    output_format_json_quote_64bit_integers: 0,
  }
  return {
    async habits({ principal, connection, since }: HabitsAsked, signal: AbortSignal): Promise<Habits> {
      const { issuer, subject, actsFor } = principal
      const params = {
        since: Math.round(since),
        connection,
        issuer,
        subject,
        actsForIssuer: actsFor?.issuer ?? '',
        actsForSubject: actsFor?.subject ?? '',
      }
      return habitsOf(await textOf(await client.query({ sql, params, format: 'JSONEachRow', settings }, signal)))
    },
  }
}

function habitsOf(text: string): Habits {
  const row = answer.parse(JSON.parse(text))
  const hours = Array.from({ length: 24 }, () => 0)
  for (const [index, hour] of row.hours[0].entries()) hours[hour] = row.hours[1][index] ?? 0
  return {
    exchanges: row.exchanges,
    hours,
    shapes: new Map(row.shapes),
    tables: new Set(row.tables),
    ...(row.estimated > 0 && row.bytes_p95 !== null && { bytesP95: row.bytes_p95 }),
  }
}

async function textOf(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let whole = ''
  for await (const chunk of body) {
    whole += decoder.decode(chunk, { stream: true })
    if (whole.length > MOST_TEXT) throw new Error('the habits are too long')
  }
  return whole + decoder.decode()
}
