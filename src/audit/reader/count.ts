/** How many rows an answer has, told by its bytes as they go by: what the record of an audit query says of its answer. */
import type { AuditQuery } from '../contract.ts'
import { concatenated } from '../../bytes.ts'

export interface RowCounter {
  push(bytes: Uint8Array): void
  /** Rows so far; for `json` and `parquet` 0 until the end has come by, which tells. */
  rows(): number
}

const COUNTERS: Readonly<Record<AuditQuery['format'], () => RowCounter>> = {
  ndjson: () => lines(),
  csv: () => records(),
  json: () => fromTail(4096, jsonRows),
  parquet: () => fromTail(4 * 1024 * 1024, parquetRows),
}

export function rowCounter(format: AuditQuery['format']): RowCounter {
  return COUNTERS[format]()
}

const LF = 0x0a
const QUOTE = 0x22

function lines(): RowCounter {
  let rows = 0
  return {
    push(bytes) {
      for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) rows += 1
    },
    rows: () => rows,
  }
}

/** A line break in quotes is none; the first line is names. */
function records(): RowCounter {
  let ended = 0
  let quoted = false
  return {
    push(bytes) {
      for (const byte of bytes) {
        if (byte === QUOTE) quoted = !quoted
        else if (byte === LF && !quoted) ended += 1
      }
    },
    rows: () => Math.max(0, ended - 1),
  }
}

function fromTail(most: number, read: (tail: Uint8Array) => number): RowCounter {
  let parts: Uint8Array[] = []
  let length = 0
  return {
    push(bytes) {
      parts.push(bytes.slice(-most))
      length += Math.min(bytes.length, most)
      if (length <= 2 * most) return
      const tail = concatenated(parts).slice(-most)
      parts = [tail]
      length = tail.length
    },
    rows: () => read(concatenated(parts)),
  }
}

/** In data a line break is written as `\n`, so a bare one before the word is ClickHouse's own. */
function jsonRows(tail: Uint8Array): number {
  const text = new TextDecoder().decode(tail)
  return Number([...text.matchAll(/\n\t"rows": (\d+)[,\n]/g)].at(-1)?.[1] ?? 0)
}

/**
 * The third field of Parquet's footer (`FileMetaData.num_rows`), which stands before its last eight bytes in Thrift's compact
 * encoding. 0 where the tail is not one.
 */
function parquetRows(tail: Uint8Array): number {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  if (tail.length < 12 || view.getUint32(tail.length - 4, true) !== 0x31_52_41_50) return 0
  const start = tail.length - 8 - view.getUint32(tail.length - 8, true)
  if (start < 0) return 0
  try {
    return numberOfRows(new Thrift(tail, start))
  } catch {
    return 0
  }
}

const NUM_ROWS = 3

function numberOfRows(from: Thrift): number {
  let id = 0
  for (;;) {
    const head = from.byte()
    if (head === 0) return 0
    const type = head & 0x0f
    id = head >> 4 === 0 ? from.zigzag() : id + (head >> 4)
    if (id === NUM_ROWS) return from.zigzag()
    from.skip(type, 0)
  }
}

const DEEPEST = 64

/** As much of Thrift's compact encoding as finding a field takes. */
class Thrift {
  readonly #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new RangeError('the footer is cut')
    this.#at += 1
    return byte
  }

  varint(): number {
    let value = 0
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw new RangeError('a number is too large')
  }

  zigzag(): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** Passes over a value of one of the types of fields: booleans are in their heads, in lists a byte each. */
  skip(type: number, depth: number, inList = false): void {
    if (depth > DEEPEST) throw new RangeError('the footer is too deep')
    switch (type) {
      case 1:
      case 2:
        if (inList) this.byte()
        return
      case 3:
        return void this.byte()
      case 4:
      case 5:
      case 6:
        return void this.varint()
      case 7:
        this.#at += 8
        return
      case 8: {
        const length = this.varint()
        this.#at += length
        return
      }
      case 9:
      case 10:
        return this.#skipList(depth)
      case 12:
        return this.#skipStruct(depth)
      default:
        throw new RangeError('a type is not known')
    }
  }

  #skipList(depth: number): void {
    const head = this.byte()
    const size = head >> 4 === 15 ? this.varint() : head >> 4
    for (let i = 0; i < size; i += 1) this.skip(head & 0x0f, depth + 1, true)
  }

  #skipStruct(depth: number): void {
    for (let head = this.byte(); head !== 0; head = this.byte()) {
      if (head >> 4 === 0) this.varint()
      this.skip(head & 0x0f, depth + 1)
    }
  }
}
