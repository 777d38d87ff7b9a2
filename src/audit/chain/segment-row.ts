/** A segment's entry as a row of `segments`, in the order of SEGMENT_COLUMNS. Pure. */
import { hex } from '../../digest.ts'
import { entryInPieces, type SegmentEntry, type SegmentPlace } from '../proof/entry.ts'
import type { Sha256 } from '../proof/merkle.ts'
import { timeOf } from '../record.ts'
import { blob, byte, ByteWriter, count, millis, text, uuid, word } from '../rowbinary.ts'

/** Whose segments they are. */
export interface Owner {
  readonly writer: string
  readonly epoch: string
}

/** The bytes of a segment's row; those of one whose rows `undefined` are say that it was damaged. */
export type SegmentRow = (place: SegmentPlace, rows: readonly Uint8Array[] | undefined) => Promise<Uint8Array>

/** Rows that are the same whenever they are made: their time is that of the last record, 0 where there is none. */
export function segmentRows(sha256: Sha256, owner: Owner): SegmentRow {
  return async (place, rows) => {
    if (rows === undefined) return encoded(owner, place, { root: '', leaves: NONE, days: NONE }, 0)
    const entry = await entryInPieces(sha256, place, rows, nextTurn)
    const last = rows.at(-1)
    return encoded(owner, place, { ...entry, root: hex(entry.root) }, last === undefined ? 0 : timeOf(last))
  }
}

const NONE = new Uint8Array(0)

/** Of the event loop. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}

type Hashes = Pick<SegmentEntry, 'leaves' | 'days'> & { readonly root: string }

function encoded({ writer, epoch }: Owner, place: SegmentPlace, { root, leaves, days }: Hashes, sealedAt: number) {
  const to = new ByteWriter()
  word.write(to, writer)
  uuid.write(to, epoch)
  count.write(to, place.segment)
  byte.write(to, place.schema)
  count.write(to, place.firstSeq)
  count.write(to, place.records)
  text.write(to, root)
  blob.write(to, leaves)
  blob.write(to, days)
  millis.write(to, sealedAt)
  return to.done()
}
