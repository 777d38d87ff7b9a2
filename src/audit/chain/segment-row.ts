/** A segment's entry as a row of `segments`, in the order of SEGMENT_COLUMNS. Pure. */
import { hex } from '../../digest.ts'
import { entryOf } from '../proof/entry.ts'
import type { Sha256 } from '../proof/merkle.ts'
import { blob, byte, ByteWriter, count, millis, text, uuid, word } from '../rowbinary.ts'
import type { SealedRows } from '../ship.ts'

/** Whose segments they are. */
export interface Owner {
  readonly writer: string
  readonly epoch: string
}

/** The bytes of the row. The time is that of the last record, so that a segment that is sent again has the same bytes. */
export function segmentRow(
  sha256: Sha256,
  { writer, epoch }: Owner,
  sealed: SealedRows,
  rows: readonly Uint8Array[],
  sealedAt: number,
): Uint8Array {
  const { segment, schema, firstSeq, records, root, leaves, days } = entryOf(sha256, sealed, rows)
  const to = new ByteWriter()
  word.write(to, writer)
  uuid.write(to, epoch)
  count.write(to, segment)
  byte.write(to, schema)
  count.write(to, firstSeq)
  count.write(to, records)
  text.write(to, hex(root))
  blob.write(to, leaves)
  blob.write(to, days)
  millis.write(to, sealedAt)
  return to.done()
}
