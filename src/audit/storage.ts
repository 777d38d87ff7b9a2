/** What ClickHouse is handed of each sealed segment, under a token of its bytes: sent twice, it is kept once. */
import { concatenated } from '../bytes.ts'
import { sha256HexOf } from '../digest.ts'
import type { SegmentRow } from './chain/segment-row.ts'
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
  /** The columns of rows of a version of the schema, in the order of their bytes. */
  readonly columns: (version: number) => readonly string[]
}

/** Puts a segment's rows into their table. */
export function createStorage(parts: StorageParts): Deliver<SealedRows> {
  const { inserter, database, epoch, table, columns } = parts
  const migrated = onceMigrated(parts.migrator)
  return async ({ segment, schema, records }, rows, signal) => {
    if (records === 0) return
    const bytes = concatenated(rows)
    const token = await tokenOf(epoch, segment, table, bytes)
    await migrated(signal, () =>
      inserter.insertRowBinary(`${database}.${table}`, columns(schema), bytes, token, signal),
    )
  }
}

/**
 * The same for the same bytes alone. A journal that was put back from a backup, or copied with its machine, writes other
 * records under numbers that were used: those must not be taken for what was sent before, or they would be lost unseen.
 */
async function tokenOf(epoch: string, segment: number, table: string, bytes: Uint8Array): Promise<string> {
  const digest = await sha256HexOf(bytes)
  return `${digest.slice(0, 32)}:${epoch}:${segment}:${table}`
}

export interface SegmentStorageParts extends Pick<StorageParts, 'inserter' | 'database' | 'migrator' | 'epoch'> {
  readonly segmentRow: SegmentRow
}

/** Puts what a segment hashes to into `segments`, or that it was damaged where its rows are `undefined`. */
export function createSegmentStorage(parts: SegmentStorageParts) {
  const { inserter, database, epoch, segmentRow } = parts
  const names = SEGMENT_COLUMNS.map(([name]) => name)
  const migrated = onceMigrated(parts.migrator)
  return async (sealed: SealedRows, rows: readonly Uint8Array[] | undefined, signal: AbortSignal): Promise<void> => {
    const row = await segmentRow(sealed, rows)
    const token = await tokenOf(epoch, sealed.segment, 'segments', row)
    await migrated(signal, () => inserter.insertRowBinary(`${database}.segments`, names, row, token, signal))
  }
}

/** Does `work` once the tables are there. */
function onceMigrated(migrator: Migrator): (signal: AbortSignal, work: () => Promise<void>) => Promise<void> {
  let isMigrated = false
  return async (signal, work) => {
    try {
      if (!isMigrated) await migrator(signal)
      isMigrated = true
      await work()
    } catch (error) {
      // Whatever it was, the tables may be what is missing.
      isMigrated = false
      throw error
    }
  }
}
