/**
 * The few types of ClickHouse's RowBinary that audit rows are made of, both ways. One value has one encoding, so equal
 * rows are equal bytes: what is hashed here can be hashed again from what ClickHouse holds.
 */

/** Bytes that do not hold what they should. */
export class MalformedBytes extends Error {
  override readonly name = 'MalformedBytes'
}

/** Grows as it is written to. */
export class ByteWriter {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  #room(more: number): number {
    const at = this.#length
    const needed = at + more
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#length = needed
    return at
  }

  byte(value: number): void {
    const at = this.#room(1)
    this.#bytes[at] = value
  }

  u16(value: number): void {
    const at = this.#room(2)
    this.#view.setUint16(at, value, true)
  }

  u64(value: bigint): void {
    const at = this.#room(8)
    this.#view.setBigUint64(at, value, true)
  }

  i64(value: bigint): void {
    const at = this.#room(8)
    this.#view.setBigInt64(at, value, true)
  }

  f64(value: number): void {
    const at = this.#room(8)
    this.#view.setFloat64(at, value, true)
  }

  /** An unsigned LEB128: lengths. */
  varint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.byte((rest % 0x80) + 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }

  /** UTF-8 with its length in front; a lone surrogate becomes U+FFFD. */
  text(value: string): void {
    if (value.length < SHORT && this.#ascii(value)) return
    const bytes = UTF8.encode(value)
    this.varint(bytes.length)
    const at = this.#room(bytes.length)
    this.#bytes.set(bytes, at)
  }

  /** As they are, with their length in front. */
  bytes(value: Uint8Array): void {
    this.varint(value.length)
    const at = this.#room(value.length)
    this.#bytes.set(value, at)
  }

  /** Most texts are short words, for which a loop is several times as fast as the encoder. False: nothing is written. */
  #ascii(value: string): boolean {
    const at = this.#room(1 + value.length)
    this.#bytes[at] = value.length
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i)
      if (unit >= 0x80) {
        this.#length = at
        return false
      }
      this.#bytes[at + 1 + i] = unit
    }
    return true
  }

  /** 8 bytes, the last one first. */
  reversed(hex: string): void {
    const at = this.#room(8)
    this.#view.setUint32(at, Number.parseInt(hex.slice(8), 16), true)
    this.#view.setUint32(at + 4, Number.parseInt(hex.slice(0, 8), 16), true)
  }

  /** What was written, as bytes of its own. */
  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }
}

const UTF8 = new TextEncoder()
/** Lengths below this take one byte. */
const SHORT = 0x80
const FROM_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads what `ByteWriter` wrote. Throws `MalformedBytes` at anything else. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length
  }

  /** Bytes that were read. */
  get at(): number {
    return this.#at
  }

  #take(count: number): number {
    const at = this.#at
    if (at + count > this.#bytes.length) throw new MalformedBytes('a row ends too early')
    this.#at = at + count
    return at
  }

  skip(count: number): void {
    this.#take(count)
  }

  byte(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true)
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  varint(): number {
    let value = 0
    for (let factor = 1; factor <= 2 ** 42; factor *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw new MalformedBytes('a length is too long')
  }

  /** A copy, as `ByteWriter.bytes` wrote them. */
  bytes(): Uint8Array {
    const length = this.varint()
    const at = this.#take(length)
    return this.#bytes.slice(at, at + length)
  }

  text(): string {
    const length = this.varint()
    const at = this.#take(length)
    try {
      return FROM_UTF8.decode(this.#bytes.subarray(at, at + length))
    } catch (cause) {
      throw new MalformedBytes('a text is not UTF-8', { cause })
    }
  }
}

/** A ClickHouse type with both directions. */
export interface Codec<T> {
  readonly type: string
  /** What a row has where there is nothing, as ClickHouse fills it in. */
  readonly empty: T
  write(to: ByteWriter, value: T): void
  read(from: ByteReader): T
  /** Goes past one value, as fast as that can be done. */
  skip(from: ByteReader): void
}

const skipText = (from: ByteReader): void => from.skip(from.varint())

export const text: Codec<string> = {
  type: 'String',
  empty: '',
  write: (to, value) => to.text(value),
  read: (from) => from.text(),
  skip: skipText,
}

/** Bytes that need not be text. */
export const blob: Codec<Uint8Array> = {
  type: 'String',
  empty: new Uint8Array(0),
  write: (to, value) => to.bytes(value),
  read: (from) => from.bytes(),
  skip: skipText,
}

/** Few different values: the same bytes as a String, stored as a dictionary. */
export const word: Codec<string> = { ...text, type: 'LowCardinality(String)' }

/** `12345678-1234-7234-8234-123456789abc`, lower case. Throws at anything else. */
export const uuid: Codec<string> = {
  type: 'UUID',
  empty: '00000000-0000-0000-0000-000000000000',
  write(to, value) {
    if (!UUID.test(value)) throw new MalformedBytes('an id is not a UUID')
    const hex = value.replaceAll('-', '')
    to.reversed(hex.slice(0, 16))
    to.reversed(hex.slice(16))
  },
  read(from) {
    const hex = [from.u64(), from.u64()].map((half) => half.toString(16).padStart(16, '0')).join('')
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  },
  skip: (from) => from.skip(16),
}
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Microseconds since 1970 UTC, a whole number. */
export const micros: Codec<number> = {
  type: "DateTime64(6, 'UTC')",
  empty: 0,
  write: (to, value) => to.i64(BigInt(value)),
  read: (from) => Number(from.i64()),
  skip: (from) => from.skip(8),
}

/** Milliseconds since 1970 UTC, a whole number. */
export const millis: Codec<number> = { ...micros, type: "DateTime64(3, 'UTC')" }

/** Days since 1970 UTC, 0 to 65535. */
export const day: Codec<number> = {
  type: 'Date',
  empty: 0,
  write: (to, value) => to.u16(value),
  read: (from) => from.u16(),
  skip: (from) => from.skip(2),
}

/** A whole number, 0 to 2^53 - 1. */
export const count: Codec<number> = {
  type: 'UInt64',
  empty: 0,
  write: (to, value) => to.u64(BigInt(value)),
  read: (from) => Number(from.u64()),
  skip: (from) => from.skip(8),
}

/** A whole number, 0 to 255. */
export const byte: Codec<number> = {
  type: 'UInt8',
  empty: 0,
  write: (to, value) => to.byte(value),
  read: (from) => from.byte(),
  skip: (from) => from.skip(1),
}

export const float: Codec<number> = {
  type: 'Float64',
  empty: 0,
  write: (to, value) => to.f64(value),
  read: (from) => from.f64(),
  skip: (from) => from.skip(8),
}

export const bool: Codec<boolean> = {
  type: 'Bool',
  empty: false,
  write: (to, value) => to.byte(value ? 1 : 0),
  read: (from) => from.byte() !== 0,
  skip: (from) => from.skip(1),
}

export function optional<T>(inner: Codec<T>): Codec<T | null> {
  return {
    type: `Nullable(${inner.type})`,
    empty: null,
    write(to, value) {
      to.byte(value === null ? 1 : 0)
      if (value !== null) inner.write(to, value)
    },
    read: (from) => (from.byte() === 0 ? inner.read(from) : null),
    skip(from) {
      if (from.byte() === 0) inner.skip(from)
    },
  }
}

export function list<T>(inner: Codec<T>): Codec<readonly T[]> {
  return {
    type: `Array(${inner.type})`,
    empty: [],
    write(to, values) {
      to.varint(values.length)
      for (const value of values) inner.write(to, value)
    },
    read(from) {
      const values: T[] = []
      for (let left = from.varint(); left > 0; left--) values.push(inner.read(from))
      return values
    },
    skip(from) {
      for (let left = from.varint(); left > 0; left--) inner.skip(from)
    },
  }
}
