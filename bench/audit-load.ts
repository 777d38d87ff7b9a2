/** Generated records into a ClickHouse: through the codec of the journal, in inserts of the size of its segments. */
import { concatenated } from '../src/bytes.ts'
import type { ClickHouse } from '../src/audit/reader/contract.ts'
import { columnNames, encodeRow, SCHEMA_VERSION, toRow } from '../src/audit/record.ts'
import { createMigrator } from '../src/audit/schema.ts'
import { generate } from './audit-generate.ts'

export interface LoadOptions {
  /** Its own database is `default`. */
  readonly client: ClickHouse
  readonly database: string
  readonly records: number
  readonly days: number
  readonly seed?: number
  readonly progress?: (records: number) => void
}

export interface Loaded {
  readonly records: number
  readonly seconds: number
  /** Of the rows, as they go over the wire. */
  readonly wireBytes: number
  /** Of them, spent in making and encoding the records. */
  readonly encodeSeconds: number
  /** When the newest record is from, milliseconds since 1970 UTC. */
  readonly newest: number
}

/** `JOURNAL_LIMITS.segmentBytes` of a gateway under load. */
const SEGMENT_BYTES = 16 * 1024 * 1024
const WRITER = '5f0c8ea4-4c1b-4f0e-9b44-0a1d6a1f3c11'
const EPOCH = '0193a7a0-0000-7000-8000-000000000000'
const INSERT_MS = 120_000
const DAY_MS = 86_400_000

/** Makes the tables, then the records; resolves when all are in. */
export async function loadAudit(options: LoadOptions): Promise<Loaded> {
  const { client, database, records, days, seed = 1, progress } = options
  await createMigrator(client, database)(AbortSignal.timeout(INSERT_MS))
  const began = performance.now()
  const to = Date.now()
  const stamp = { writer: WRITER, epoch: EPOCH, retainDays: 400 }
  const loaded = { records: 0, wireBytes: 0, encodeMs: 0, newest: 0 }
  let rows: Uint8Array[] = []
  let bytes = 0
  let segment = 1
  // One insert is under way while the next is made, as with the journal and its shipper.
  let inserting: Promise<void> = Promise.resolve()
  const flush = async (): Promise<void> => {
    const body = concatenated(rows)
    const token = `${EPOCH}:${segment}`
    rows = []
    bytes = 0
    segment++
    await inserting
    progress?.(loaded.records)
    inserting = client.insertRowBinary(
      `${database}.events`,
      columnNames(SCHEMA_VERSION),
      body,
      token,
      AbortSignal.timeout(INSERT_MS),
    )
    // Awaited before the next; said here so that it is nobody's surprise meanwhile.
    inserting.catch(() => undefined)
  }
  let mark = performance.now()
  for (const { record, recordId } of generate({ records, from: to - days * DAY_MS, to, seed })) {
    const row = encodeRow({ ...toRow(record, { ...stamp, recordId }), segment, writer_seq: ++loaded.records })
    rows.push(row)
    bytes += row.length
    loaded.wireBytes += row.length
    loaded.newest = Math.max(loaded.newest, record.at)
    if (bytes < SEGMENT_BYTES) continue
    loaded.encodeMs += performance.now() - mark
    await flush()
    mark = performance.now()
  }
  await flush()
  await inserting
  const { encodeMs, ...rest } = loaded
  return { ...rest, seconds: (performance.now() - began) / 1000, encodeSeconds: encodeMs / 1000 }
}
