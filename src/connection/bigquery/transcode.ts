/**
 * BigQuery's rows to ours, byte for byte: `[{"f":[{"v":"1"},{"v":null}]},…]` in, one JSON array per line out. No
 * JavaScript value is made for a cell, so that nothing is lost (INT64, NUMERIC) and nothing is slow. Strings arrive
 * JSON-escaped and leave as they came. The reader is strict: whatever it does not expect ends the answer with
 * `upstream-failed`, because a row that is half understood may show a value in a wrong column.
 *
 *     page bytes ──▶ RowReader.read(limit) ──▶ Batch ──▶ RowReader.read(limit) ──▶ Batch ──▶ undefined
 */
import type { Batch, SqlField, SqlType } from '../../exchange.ts'
import { Failure } from '../../failure.ts'

const NEWLINE = 0x0a
const QUOTE = 0x22
const PLUS = 0x2b
const COMMA = 0x2c
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const CLOSE_BRACKET = 0x5d
const LOWER_F = 0x66
const LOWER_N = 0x6e
const LOWER_T = 0x74
const LOWER_U = 0x75
const LOWER_V = 0x76
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** How a value is written. Several GoogleSQL types share one. */
const HOW = { text: 0, digits: 1, float: 2, bool: 3, timestamp: 4, range: 5, struct: 6, array: 7 } as const

/** What the reader needs to know of a column; made once per answer. */
export interface Shape {
  readonly how: number
  /** Of a struct: its fields, and what is written before each: `{"a":`, `,"b":`. */
  readonly fields: readonly Shape[]
  readonly keys: readonly Uint8Array[]
  /** Of an array: its elements. */
  readonly of: Shape | undefined
  /** Of a RANGE: whether its bounds are timestamps. */
  readonly timestamps: boolean
}

/** Room that any single write may need beyond what it reads. */
const SLACK = 64

/** A piece of memory that one reader at a time writes into; kept between pages, so that none is cleared again. */
export interface Scratch {
  bytes: Uint8Array
}

/** The shapes of an answer's columns, whose struct fields bear the names that rows carry (`rowNames`). */
export function shapesOf(columns: readonly SqlField[]): readonly Shape[] {
  return columns.map((column) => shapeOf(column.type))
}

function shapeOf(type: SqlType): Shape {
  const plain = { fields: [], keys: [], of: undefined, timestamps: false }
  switch (type.kind) {
    case 'INT64':
    case 'NUMERIC':
    case 'BIGNUMERIC':
      return { ...plain, how: HOW.digits }
    case 'FLOAT64':
      return { ...plain, how: HOW.float }
    case 'BOOL':
      return { ...plain, how: HOW.bool }
    case 'TIMESTAMP':
      return { ...plain, how: HOW.timestamp }
    case 'RANGE':
      return { ...plain, how: HOW.range, timestamps: type.of.kind === 'TIMESTAMP' }
    case 'ARRAY':
      return { ...plain, how: HOW.array, of: shapeOf(type.of) }
    case 'STRUCT': {
      const encoder = new TextEncoder()
      const keys = type.fields.map((field, index) =>
        encoder.encode(`${index === 0 ? '{' : ','}${JSON.stringify(field.name)}:`),
      )
      return { ...plain, how: HOW.struct, fields: type.fields.map((field) => shapeOf(field.type)), keys }
    }
    case 'STRING':
    case 'BYTES':
    case 'JSON':
    case 'GEOGRAPHY':
    case 'INTERVAL':
    case 'DATE':
    case 'TIME':
    case 'DATETIME':
      return { ...plain, how: HOW.text }
  }
}

/** Reads the rows of one page, as many at a time as are asked for. Synchronous: no two readers share a turn. */
export class RowReader {
  readonly #source: Uint8Array
  readonly #shapes: readonly Shape[]
  readonly #scratch: Scratch
  #out: Uint8Array
  #in: number
  #to = 0
  #ended = false
  /** The day that `#date` writes, in days since 1970. */
  #day = Number.NaN
  readonly #date = new Uint8Array(11)

  /** `start` is the offset of the `[` that opens `rows`. `scratch` is no other reader's between two calls of `read`. */
  constructor(source: Uint8Array, start: number, shapes: readonly Shape[], scratch: Scratch) {
    this.#source = source
    this.#shapes = shapes
    this.#scratch = scratch
    this.#out = scratch.bytes
    this.#in = start
    this.#expect(OPEN_BRACKET)
    if (this.#peek() === CLOSE_BRACKET) {
      this.#in++
      this.#ended = true
    }
  }

  /** Whether every row of the page was read. */
  get ended(): boolean {
    return this.#ended
  }

  /** The offset behind the `]` that closes `rows`, once they have `ended`. */
  get end(): number {
    return this.#in
  }

  /** The next rows: about `limit` bytes of them, or `undefined` at the end of the page. Throws `upstream-failed`. */
  read(limit: number): Batch | undefined {
    if (this.#ended) return undefined
    // What is written is at most as long as what is read, but for the few places that call `#room`.
    const needed = this.#source.length - this.#in + SLACK
    if (this.#scratch.bytes.length < needed) this.#scratch.bytes = new Uint8Array(needed + (needed >> 3))
    this.#out = this.#scratch.bytes
    this.#to = 0
    let rowCount = 0
    do {
      this.#row()
      rowCount++
      const next = this.#token()
      if (next === CLOSE_BRACKET) this.#ended = true
      else if (next !== COMMA) this.#fail('a comma between rows')
    } while (!this.#ended && this.#to < limit)
    return { rowCount, bytes: this.#out.slice(0, this.#to) }
  }

  #row(): void {
    const shapes = this.#shapes
    this.#open(LOWER_F)
    this.#expect(OPEN_BRACKET)
    this.#room(shapes.length + 2)
    this.#out[this.#to++] = OPEN_BRACKET
    for (let index = 0; index < shapes.length; index++) {
      if (index > 0) {
        this.#expect(COMMA)
        this.#out[this.#to++] = COMMA
      }
      this.#cell(shapes[index] as Shape)
    }
    this.#expect(CLOSE_BRACKET)
    this.#expect(CLOSE_BRACE)
    this.#out[this.#to++] = CLOSE_BRACKET
    this.#out[this.#to++] = NEWLINE
  }

  /** `{"v":…}` */
  #cell(shape: Shape): void {
    this.#open(LOWER_V)
    this.#value(shape)
    if (this.#source[this.#in] === CLOSE_BRACE) this.#in++
    else this.#expect(CLOSE_BRACE)
  }

  #value(shape: Shape): void {
    const first = this.#source[this.#in]
    const byte = first === QUOTE ? first : this.#peek()
    if (byte === LOWER_N) return this.#null()
    switch (shape.how) {
      case HOW.text:
        return this.#text()
      case HOW.digits:
        return this.#digits()
      case HOW.float:
        return this.#float()
      case HOW.bool:
        return this.#bool()
      case HOW.timestamp:
        return this.#timestamp()
      case HOW.range:
        return this.#range(shape.timestamps)
      case HOW.struct:
        return this.#struct(shape)
      default:
        return this.#array(shape)
    }
  }

  #struct(shape: Shape): void {
    this.#open(LOWER_F)
    this.#expect(OPEN_BRACKET)
    const { fields, keys } = shape
    if (fields.length === 0) this.#fail('a struct with fields')
    for (let index = 0; index < fields.length; index++) {
      if (index > 0) this.#expect(COMMA)
      const key = keys[index] as Uint8Array
      this.#room(key.length)
      this.#out.set(key, this.#to)
      this.#to += key.length
      this.#cell(fields[index] as Shape)
    }
    this.#expect(CLOSE_BRACKET)
    this.#expect(CLOSE_BRACE)
    this.#out[this.#to++] = CLOSE_BRACE
  }

  #array(shape: Shape): void {
    const of = shape.of as Shape
    this.#expect(OPEN_BRACKET)
    this.#out[this.#to++] = OPEN_BRACKET
    if (this.#peek() === CLOSE_BRACKET) this.#in++
    else
      for (;;) {
        this.#cell(of)
        const next = this.#token()
        if (next === CLOSE_BRACKET) break
        if (next !== COMMA) this.#fail('a comma between elements')
        this.#out[this.#to++] = COMMA
      }
    this.#out[this.#to++] = CLOSE_BRACKET
  }

  /** A JSON string, copied with its quotes and escapes. */
  #text(): void {
    const source = this.#source
    const out = this.#out
    let at = this.#in
    let to = this.#to
    if (source[at++] !== QUOTE) this.#fail('a string')
    out[to++] = QUOTE
    for (;;) {
      const byte = source[at++] as number
      if (byte === QUOTE) break
      // `undefined >= 0x20` is false too: the end of the page is no part of a string.
      if (!(byte >= 0x20)) this.#fail('a closed string')
      out[to++] = byte
      if (byte === BACKSLASH || byte >= 0x80) {
        const length = byte === BACKSLASH ? this.#escape(at) : this.#continuation(byte, at)
        for (let copied = 0; copied < length; copied++) out[to++] = source[at++] as number
      }
    }
    out[to++] = QUOTE
    this.#in = at
    this.#to = to
  }

  /** The length of the escape behind a backslash at `at`. */
  #escape(at: number): number {
    const kind = this.#source[at]
    switch (kind) {
      case QUOTE:
      case BACKSLASH:
      case 0x2f: // /
      case 0x62: // b
      case LOWER_F:
      case LOWER_N:
      case 0x72: // r
      case LOWER_T:
        return 1
      case LOWER_U:
        for (let digit = at + 1; digit <= at + 4; digit++) if (!isHex(this.#source[digit])) this.#fail('an escape')
        return 5
      default:
        return this.#fail('an escape')
    }
  }

  /** How many bytes of UTF-8 follow `lead`, the first of a character beyond ASCII; all of them are at `at`. */
  #continuation(lead: number, at: number): number {
    const source = this.#source
    const length = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3
    if (lead < 0xc2 || lead > 0xf4) this.#fail('UTF-8')
    // Neither overlong, nor half of a surrogate pair, nor past U+10FFFF.
    const second = source[at] ?? 0
    const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (second < least || second > most) this.#fail('UTF-8')
    for (let next = at + 1; next < at + length; next++) {
      if (((source[next] ?? 0) & 0xc0) !== 0x80) this.#fail('UTF-8')
    }
    return length
  }

  /** Decimal text, copied as a string. */
  #digits(): void {
    const source = this.#source
    const out = this.#out
    const start = this.#in
    let at = start
    let to = this.#to
    if (source[at++] !== QUOTE) this.#fail('a number')
    out[to++] = QUOTE
    for (;;) {
      const byte = source[at++] as number
      if (byte === QUOTE) break
      if (!((byte >= ZERO && byte <= 0x39) || byte === MINUS || byte === DOT || isExponent(byte)))
        this.#fail('a number')
      out[to++] = byte
    }
    if (at === start + 2) this.#fail('a number')
    out[to++] = QUOTE
    this.#in = at
    this.#to = to
  }

  /** A JSON number as the warehouse writes it; the three that JSON has no word for stay strings. */
  #float(): void {
    const source = this.#source
    let at = this.#in
    if (source[at++] !== QUOTE) this.#fail('a number')
    const start = at
    let plain = true
    for (;;) {
      const byte = source[at++] as number
      if (byte === QUOTE) break
      if (!((byte >= ZERO && byte <= 0x39) || byte === MINUS || byte === DOT || byte === PLUS || isExponent(byte)))
        plain = false
      if (!(byte >= 0x20)) this.#fail('a number')
    }
    const end = at - 1
    if (!plain || !isJsonNumber(source, start, end)) {
      this.#room(SLACK)
      this.#put(normalFloat(this.#words(start, end)) ?? this.#fail('a number'))
    } else {
      let to = this.#to
      for (let from = start; from < end; from++) this.#out[to++] = source[from] as number
      this.#to = to
    }
    this.#in = at
  }

  #bool(): void {
    const source = this.#source
    const at = this.#in
    if (source[at] !== QUOTE) this.#fail('a boolean')
    if (source[at + 1] === LOWER_T) {
      if (source[at + 5] !== QUOTE || this.#words(at + 1, at + 5) !== 'true') this.#fail('a boolean')
      this.#put('true')
      this.#in = at + 6
    } else {
      if (source[at + 6] !== QUOTE || this.#words(at + 1, at + 6) !== 'false') this.#fail('a boolean')
      this.#put('false')
      this.#in = at + 7
    }
  }

  /** Microseconds since 1970 as `"2026-01-02T03:04:05.123456Z"`. */
  #timestamp(): void {
    const source = this.#source
    let at = this.#in
    if (source[at++] !== QUOTE) this.#fail('a timestamp')
    const start = at
    while (source[at] !== QUOTE) {
      if (at - start > 20 || at >= source.length) this.#fail('a timestamp')
      at++
    }
    this.#room(SLACK)
    this.#out[this.#to++] = QUOTE
    this.#instant(start, at)
    this.#out[this.#to++] = QUOTE
    this.#in = at + 1
  }

  /** Writes the instant whose microseconds stand in `source` from `start` to `end`: exact, in two parts below 2^53. */
  #instant(start: number, end: number): void {
    const source = this.#source
    const negative = source[start] === MINUS
    const digits = negative ? start + 1 : start
    if (digits >= end) this.#fail('a timestamp')
    const split = Math.max(digits, end - 6)
    let seconds = 0
    for (let at = digits; at < split; at++) seconds = seconds * 10 + this.#digit(at)
    let micros = 0
    for (let at = split; at < end; at++) micros = micros * 10 + this.#digit(at)
    if (negative) {
      seconds = -seconds
      if (micros > 0) {
        seconds -= 1
        micros = 1_000_000 - micros
      }
    }
    const day = Math.floor(seconds / 86_400)
    if (day !== this.#day) {
      if (day < -719_162 || day > 2_932_896) this.#fail('a timestamp between the years 1 and 9999')
      writeDate(this.#date, day)
      this.#day = day
    }
    const out = this.#out
    let to = this.#to
    const date = this.#date
    for (let index = 0; index < 11; index++) out[to++] = date[index] as number
    const rest = seconds - day * 86_400
    const hour = (rest / 3_600) | 0
    const minute = ((rest / 60) | 0) % 60
    const second = rest % 60
    out[to++] = ZERO + ((hour / 10) | 0)
    out[to++] = ZERO + (hour % 10)
    out[to++] = COLON
    out[to++] = ZERO + ((minute / 10) | 0)
    out[to++] = ZERO + (minute % 10)
    out[to++] = COLON
    out[to++] = ZERO + ((second / 10) | 0)
    out[to++] = ZERO + (second % 10)
    out[to++] = DOT
    for (let index = to + 5; index >= to; index--) {
      out[index] = ZERO + (micros % 10)
      micros = (micros / 10) | 0
    }
    to += 6
    out[to++] = 0x5a // Z
    this.#to = to
  }

  #digit(at: number): number {
    const digit = (this.#source[at] as number) - ZERO
    if (!(digit >= 0 && digit <= 9)) this.#fail('a timestamp')
    return digit
  }

  /** `"[a, b)"`; bounds that are microseconds are written as timestamps. */
  #range(timestamps: boolean): void {
    if (!timestamps) return this.#text()
    const source = this.#source
    const start = this.#in
    let end = start + 1
    while (source[end] !== QUOTE) {
      if (source[end] === BACKSLASH || end - start > 80 || end >= source.length) this.#fail('a range')
      end++
    }
    const parts = /^\[([^,]+), ([^,]+)\)$/.exec(this.#words(start + 1, end))
    if (source[start] !== QUOTE || parts === null) return this.#fail('a range')
    const low = start + 2
    const high = low + (parts[1] ?? '').length + 2
    this.#room(2 * SLACK)
    this.#put('"[')
    this.#bound(low, high - 2)
    this.#put(', ')
    this.#bound(high, end - 1)
    this.#put(')"')
    this.#in = end + 1
  }

  /** One bound of a range of timestamps: microseconds, or text that is copied (`UNBOUNDED`, a literal). */
  #bound(start: number, end: number): void {
    const text = this.#words(start, end)
    if (/^-?\d{1,18}$/.test(text)) this.#instant(start, end)
    else if (/^(?:UNBOUNDED|NULL|[\d TZ:.+-]+)$/.test(text)) this.#put(text)
    else this.#fail('a range')
  }

  #null(): void {
    const at = this.#in
    if (this.#words(at, at + 4) !== 'null') this.#fail('null')
    this.#put('null')
    this.#in = at + 4
  }

  /** `{"k":` for a key of one letter. */
  #open(key: number): void {
    const source = this.#source
    const at = this.#in
    if (
      source[at] === OPEN_BRACE &&
      source[at + 1] === QUOTE &&
      source[at + 2] === key &&
      source[at + 3] === QUOTE &&
      source[at + 4] === COLON
    ) {
      this.#in = at + 5
      return
    }
    this.#expect(OPEN_BRACE)
    this.#peek()
    if (source[this.#in] !== QUOTE || source[this.#in + 1] !== key || source[this.#in + 2] !== QUOTE)
      this.#fail(`the key \`${String.fromCharCode(key)}\``)
    this.#in += 3
    this.#expect(COLON)
  }

  #expect(byte: number): void {
    if (this.#source[this.#in] === byte) this.#in++
    else if (this.#token() !== byte) this.#fail(`\`${String.fromCharCode(byte)}\``)
  }

  /** The next byte that is no white space, which is left behind. */
  #token(): number {
    const byte = this.#peek()
    this.#in++
    return byte
  }

  /** The next byte that is no white space, which is not yet read. */
  #peek(): number {
    const source = this.#source
    for (;;) {
      const byte = source[this.#in]
      if (byte === undefined) return this.#fail('more')
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte
      this.#in++
    }
  }

  /** Makes sure that `count` bytes more than what is still to be read can be written. */
  #room(count: number): void {
    const needed = this.#to + (this.#source.length - this.#in) + count + SLACK
    if (needed <= this.#out.length) return
    const bytes = new Uint8Array(needed + (needed >> 1))
    bytes.set(this.#out.subarray(0, this.#to))
    this.#scratch.bytes = bytes
    this.#out = bytes
  }

  /** Writes ASCII. */
  #put(text: string): void {
    for (let index = 0; index < text.length; index++) this.#out[this.#to++] = text.charCodeAt(index)
  }

  /** Bytes as Latin-1: for comparing ASCII only. */
  #words(start: number, end: number): string {
    let text = ''
    for (let at = start; at < end; at++) text += String.fromCharCode(this.#source[at] ?? 0)
    return text
  }

  #fail(expected: string): never {
    throw new Failure('upstream-failed', 'the warehouse sent rows that do not fit their schema', {
      cause: new Error(`expected ${expected} at byte ${this.#in}`),
    })
  }
}

/**
 * A float that JSON does not write the warehouse's way, in JSON; `undefined` where it is no float. A value that is
 * finite stays the same double.
 */
function normalFloat(text: string): string | undefined {
  const special = /^([+-]?)(?:(nan)|(?:inf(?:inity)?))$/i.exec(text)
  if (special !== null) {
    if (special[2] !== undefined) return '"NaN"'
    return special[1] === '-' ? '"-Infinity"' : '"Infinity"'
  }
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) return undefined
  const number = Number(text)
  if (!Number.isFinite(number)) return undefined
  return Object.is(number, -0) ? '-0.0' : String(number)
}

/** Whether the bytes are `-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?`. */
function isJsonNumber(source: Uint8Array, start: number, end: number): boolean {
  let at = start
  if (source[at] === MINUS) at++
  const first = at
  at = skipDigits(source, at, end)
  if (at === first || (source[first] === ZERO && at > first + 1)) return false
  if (at < end && source[at] === DOT) {
    const fraction = ++at
    at = skipDigits(source, at, end)
    if (at === fraction) return false
  }
  if (at < end && isExponent(source[at] as number)) {
    at++
    if (source[at] === PLUS || source[at] === MINUS) at++
    const exponent = at
    at = skipDigits(source, at, end)
    if (at === exponent) return false
  }
  return at === end
}

function skipDigits(source: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && (source[at] as number) >= ZERO && (source[at] as number) <= 0x39) at++
  return at
}

function isExponent(byte: number): boolean {
  return byte === 0x65 || byte === 0x45
}

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false
  const lower = byte | 0x20
  return (byte >= ZERO && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66)
}

/** Writes `2026-01-02T` for a day counted from 1970-01-01 (proleptic Gregorian, Hinnant's `civil_from_days`). */
function writeDate(out: Uint8Array, day: number): void {
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const dayOfMonth = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  let rest = year
  for (let index = 3; index >= 0; index--) {
    out[index] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  out[4] = MINUS
  out[5] = ZERO + Math.floor(month / 10)
  out[6] = ZERO + (month % 10)
  out[7] = MINUS
  out[8] = ZERO + Math.floor(dayOfMonth / 10)
  out[9] = ZERO + (dayOfMonth % 10)
  out[10] = 0x54 // T
}
