/** What ClickHouse is handed of each sealed segment, under a token that never changes: sent twice, it is kept once. */
import { concatenated } from '../bytes.ts'
import type { ClickHouse } from './reader/contract.ts'
import { SEGMENT_COLUMNS, type Migrator } from './schema.ts'
import type { Deliver, SealedRows } from './ship.ts'

/** What storing asks of ClickHouse. */
export type Inserter = Pick<ClickHouse, 'insertRowBinary'>

export interface StorageParts {
  readonly inserter: Inserter
  /** The audit database, a plain identifier. */
  readonly database: string
  readonly migrator: Migrator
  /** Of the journal. */
  readonly epoch: string
  readonly table: 'events' | 'payloads'
  /** What the segment hashes to, as a row of `segments`; absent where the rows are in no tree. */
  readonly segmentRow?: (sealed: SealedRows, rows: readonly Uint8Array[]) => Uint8Array
  /** The columns of rows of a version of the schema, in the order of their bytes. */
  readonly columns: (version: number) => readonly string[]
}

/** Puts a segment's rows into their table. */
export function createStorage(parts: StorageParts): Deliver<SealedRows> {
  const { inserter, database, migrator, epoch, table, columns, segmentRow } = parts
  let migrated = false
  return async (sealed, rows, signal) => {
    const { segment, schema, records } = sealed
    try {
      if (!migrated) await migrator(signal)
      migrated = true
      // Tokens of the records' own table are as they were before there was another.
      const token = table === 'events' ? `${epoch}:${segment}` : `${epoch}:${segment}:${table}`
      const bytes = concatenated(rows)
      if (records > 0) await inserter.insertRowBinary(`${database}.${table}`, columns(schema), bytes, token, signal)
      if (segmentRow === undefined) return
      const names = SEGMENT_COLUMNS.map(([name]) => name)
      const row = segmentRow(sealed, rows)
      await inserter.insertRowBinary(`${database}.segments`, names, row, `${epoch}:${segment}:segments`, signal)
    } catch (error) {
      // Whatever it was, the tables may be what is missing.
      migrated = false
      throw error
    }
  }
}
