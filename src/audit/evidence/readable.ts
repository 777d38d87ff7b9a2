/** The records of the span once more, for people and their tools: JSON lines or Parquet, in parts of bounded size. */
import * as z from 'zod'
import { Failure } from '../../failure.ts'
import { COLUMN_NAMES } from '../record.ts'
import { MEMBER_BYTES } from './layout.ts'
import { gzipped, type Member } from './pack.ts'
import type { Store } from './store.ts'

/** Records that the first part is aimed at, and any at most. */
const FIRST_RECORDS = 5_000
const PART_RECORDS = 50_000
/** Bytes that a part is aimed at. */
const AIM_BYTES = MEMBER_BYTES / 2
/** Of a single record that is larger than a part may be. */
const MOST_RECORD = 8 * MEMBER_BYTES

const keyRow = z.object({ ts: z.number(), record_id: z.string(), day: z.string(), records: z.number() })
type Key = z.infer<typeof keyRow>

export async function* readableMembers(
  store: Store,
  format: 'ndjson' | 'parquet',
  signal: AbortSignal,
): AsyncGenerator<Member> {
  let behind: Pick<Key, 'ts' | 'record_id'> = { ts: -1, record_id: '00000000-0000-0000-0000-000000000000' }
  let aim = FIRST_RECORDS
  let day = ''
  let part = 0
  for (;;) {
    const upTo = await keyBehind(store, behind, aim, signal)
    if (upTo === undefined) return
    const most = upTo.records === 1 ? MOST_RECORD : MEMBER_BYTES
    const bytes = await store.bytes(partSql(store), keys(behind, upTo), FORMATS[format], most, signal)
    if (bytes === undefined) {
      if (upTo.records === 1) throw new Failure('upstream-refused', 'a record is larger than an export takes')
      aim = Math.max(1, Math.floor(upTo.records / 2))
      continue
    }
    part = upTo.day === day ? part + 1 : 1
    day = upTo.day
    const stem = `readable/${day}-${String(part).padStart(4, '0')}`
    yield format === 'parquet'
      ? { path: `${stem}.parquet`, bytes }
      : { path: `${stem}.ndjson.gz`, bytes: await gzipped(bytes) }
    behind = upTo
    // Far below what a member may be, so that few are asked for twice and little is held at once.
    const fitting = Math.floor((upTo.records * AIM_BYTES) / Math.max(1, bytes.length))
    aim = Math.max(1, Math.min(PART_RECORDS, fitting))
  }
}

const FORMATS = { ndjson: 'JSONEachRow', parquet: 'Parquet' } as const

const AFTER = `ts >= fromUnixTimestamp64Micro({after_ts:Int64}, 'UTC')
  AND (ts, record_id) > (fromUnixTimestamp64Micro({after_ts:Int64}, 'UTC'), {after_id:UUID})`

/** The last of the next records of one day, at most `aim`. */
async function keyBehind(
  store: Store,
  behind: Pick<Key, 'ts' | 'record_id'>,
  aim: number,
  signal: AbortSignal,
): Promise<Key | undefined> {
  const rows = await store.rows(
    keyRow,
    `SELECT toUnixTimestamp64Micro(k_ts) AS ts, toString(k_id) AS record_id, toString(k_day) AS day, k_nth AS records
    FROM (
      SELECT ts AS k_ts, record_id AS k_id, toDate(ts) AS k_day, row_number() OVER (ORDER BY ts, record_id) AS k_nth,
        min(toDate(ts)) OVER () AS k_first
      FROM (SELECT ts, record_id FROM ${store.events} WHERE ${AFTER} ORDER BY ts, record_id LIMIT {aim:UInt64}))
    WHERE k_day = k_first ORDER BY k_nth DESC LIMIT 1`,
    { after_ts: behind.ts, after_id: behind.record_id, aim },
    signal,
  )
  return rows[0]
}

function partSql(store: Store): string {
  return `SELECT ${COLUMN_NAMES.join(', ')} FROM ${store.events} WHERE ${AFTER}
    AND (ts, record_id) <= (fromUnixTimestamp64Micro({upto_ts:Int64}, 'UTC'), {upto_id:UUID})
    AND ts <= fromUnixTimestamp64Micro({upto_ts:Int64}, 'UTC')
    ORDER BY ts, record_id`
}

function keys(behind: Pick<Key, 'ts' | 'record_id'>, upTo: Key) {
  return { after_ts: behind.ts, after_id: behind.record_id, upto_ts: upTo.ts, upto_id: upTo.record_id }
}
