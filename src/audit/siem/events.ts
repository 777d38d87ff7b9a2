/** The events of a segment, made as they are asked for: a segment may be large. */
import type { Clock } from '../../runtime.ts'
import type { SealedRows } from '../ship.ts'
import { ocsfOf, type OcsfEvent } from './ocsf.ts'

/** Who sends. */
export interface Source {
  /** This gateway's name in the records. */
  readonly writer: string
  /** Of the gateway. */
  readonly version: string
  readonly clock: Clock
}

/** The event of the row at `at`; `mostChars` of each text. */
export function eventAt(
  sealed: SealedRows,
  rows: readonly Uint8Array[],
  at: number,
  { writer, version, clock }: Source,
  mostChars: number,
): OcsfEvent {
  const { segment, firstSeq, records } = sealed
  // Fewer rows than records: the segment is damaged, and its one row stands for all.
  const lost = rows.length < records ? records : 1
  const place = { writer, segment, sequence: firstSeq + at, lost, now: clock.now() }
  return ocsfOf(rows[at] ?? new Uint8Array(0), sealed.schema, place, { version, mostChars })
}

/** How much of the segment under way was taken: what was is not sent again, unless the gateway was stopped in between. */
export class Progress {
  #segment = 0
  #rows = 0

  rowsOf({ segment }: SealedRows): number {
    return this.#segment === segment ? this.#rows : 0
  }

  took({ segment }: SealedRows, rows: number): void {
    this.#segment = segment
    this.#rows = rows
  }
}
