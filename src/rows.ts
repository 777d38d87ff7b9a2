/** Batches of rows as bytes. */
import type { Batch } from './exchange.ts'

const NEWLINE = 0x0a

export const NO_ROWS: Batch = { rowCount: 0, bytes: new Uint8Array() }

/** The first `count` rows of a batch; `count` is less than it holds. */
export function firstRows(batch: Batch, count: number): Batch {
  let end = 0
  for (let row = 0; row < count; row++) {
    const next = batch.bytes.indexOf(NEWLINE, end)
    if (next === -1) throw new Error('a batch holds fewer rows than it says')
    end = next + 1
  }
  return { rowCount: count, bytes: batch.bytes.subarray(0, end) }
}

/** The rows of a batch as elements of a JSON array: joined by commas, none behind the last. */
export function asElements(batch: Batch): Uint8Array {
  const elements = batch.bytes.slice(0, -1)
  for (let at = elements.indexOf(NEWLINE); at !== -1; at = elements.indexOf(NEWLINE, at + 1)) elements[at] = 0x2c
  return elements
}
