/** The events of a segment, made as they are asked for: a segment may be large. */
import type { Clock } from '../../runtime.ts'
import type { SealedRows } from '../ship.ts'
import { ocsfOf, type OcsfEvent } from './ocsf.ts'
import type { Bounds } from './parts.ts'

/** Who sends. */
export interface Source {
  /** This gateway's name in the records. */
  readonly writer: string
  /** Of the gateway. */
  readonly version: string
  readonly clock: Clock
}

/** The event of the row at `at`. */
export function eventAt(
  sealed: SealedRows,
  rows: readonly Uint8Array[],
  at: number,
  { writer, version, clock }: Source,
  bounds: Bounds,
): OcsfEvent {
  const { segment, firstSeq, records } = sealed
  // Fewer rows than records: the segment is damaged, and its one row stands for all.
  const lost = rows.length < records ? records : 1
  const place = { writer, segment, sequence: firstSeq + at, lost, now: clock.now() }
  return ocsfOf(rows[at] ?? new Uint8Array(0), sealed.schema, place, { version, bounds })
}

/** So many are made, in about a millisecond, before others have their turn: an exchange may be waiting. */
const IN_A_ROW = 20

/**
 * What `make` makes of the rows from `from` on: at least one, and no more than `most`, nor longer together than `length`
 * unless the first alone is.
 */
export async function partOf<T extends { readonly length: number }>(
  rows: { readonly length: number },
  from: number,
  make: (at: number) => T,
  bounds: { readonly most: number; readonly length: number },
): Promise<readonly T[]> {
  const part: T[] = []
  let length = 0
  for (let at = from; at < rows.length && part.length < bounds.most; at++) {
    if (part.length % IN_A_ROW === IN_A_ROW - 1) await turnOfOthers()
    const made = make(at)
    length += made.length
    if (part.length > 0 && length > bounds.length) break
    part.push(made)
  }
  return part
}

function turnOfOthers(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
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
