/** Rows as ClickHouse hands them out (a String column in RowBinary) → rows with a length of 4 bytes, in pieces. Pure. */
import { concatenated } from '../../bytes.ts'
import { Failure } from '../../failure.ts'
import { LENGTH_BYTES } from './layout.ts'

/** Longest row that is believed. */
const MOST_ROW = 256 * 1024 * 1024

export class Cutter {
  readonly #most: number
  /** What came and is not yet a row. */
  #rest: Uint8Array = new Uint8Array(0)
  /** What of the next row is still to come, so that not every chunk is copied again. */
  #waiting: Uint8Array[] = []
  #wanted = 0
  #rows: Uint8Array[] = []
  #bytes = 0

  /** A piece is `full` with `most` bytes; it ends with the row that fills it. */
  constructor(most: number) {
    this.#most = most
  }

  get full(): boolean {
    return this.#bytes >= this.#most
  }

  get empty(): boolean {
    return this.#rows.length === 0
  }

  /** Whether what came ends with a row. */
  get ended(): boolean {
    return this.#rest.length === 0 && this.#waiting.length === 0
  }

  push(chunk: Uint8Array): void {
    this.#waiting.push(chunk)
    const have = this.#waiting.reduce((sum, { length }) => sum + length, this.#rest.length)
    if (have < this.#wanted) return
    const bytes = concatenated([this.#rest, ...this.#waiting])
    this.#waiting = []
    this.#wanted = 0
    let at = 0
    for (;;) {
      const row = rowAt(bytes, at)
      if (row === undefined || row.end > bytes.length) {
        this.#wanted = row === undefined ? 0 : row.end - at
        break
      }
      this.#take(bytes.subarray(row.begin, row.end))
      at = row.end
    }
    this.#rest = bytes.slice(at)
  }

  /** The rows so far, as one piece; begins the next. */
  take(): Uint8Array<ArrayBuffer> {
    const piece = concatenated(this.#rows).slice()
    this.#rows = []
    this.#bytes = 0
    return piece
  }

  #take(row: Uint8Array): void {
    const length = new Uint8Array(LENGTH_BYTES)
    new DataView(length.buffer).setUint32(0, row.length, true)
    this.#rows.push(length, row)
    this.#bytes += LENGTH_BYTES + row.length
  }
}

/** Where the row is whose length stands at `at`; `undefined` where the length is not all there. */
function rowAt(bytes: Uint8Array, at: number): { begin: number; end: number } | undefined {
  let length = 0
  let factor = 1
  for (let i = at; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    length += (byte & 0x7f) * factor
    if (length > MOST_ROW) throw new Failure('upstream-failed', 'a record is longer than any can be')
    if (byte < 0x80) return { begin: i + 1, end: i + 1 + length }
    factor *= 0x80
    if (factor > 2 ** 35) throw new Failure('upstream-failed', 'a length is not one')
  }
  return undefined
}
