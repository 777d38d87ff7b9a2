/**
 * One page of results as the API sends it: an object whose `rows` may be large and whose other members are small. The
 * small ones are parsed; of `rows` only the place is noted, for `RowReader`.
 */
import { Failure } from '../../failure.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** What stands beside the rows. Members that we do not use are read over. */
export type Envelope = Readonly<Record<string, unknown>>

export class Page {
  readonly bytes: Uint8Array
  /** Offset of the `[` of `rows`; absent where there is none. */
  readonly rowsAt: number | undefined
  readonly #members: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  #at = 0
  #first = true
  #whole = false

  /**
   * Reads as far as `rows`, or the whole page when `needed` members were not all seen before them: they may stand
   * behind. Throws `upstream-failed` where it is not the JSON of a page.
   */
  constructor(bytes: Uint8Array, needed: readonly string[]) {
    this.bytes = bytes
    this.#expect('{')
    let rowsAt: number | undefined
    while (!this.#whole) {
      const name = this.#member()
      if (name === undefined) break
      if (name !== 'rows') {
        this.#value(name)
        continue
      }
      if (rowsAt !== undefined) this.#fail()
      rowsAt = this.#at
      if (needed.every((member) => this.#members[member] !== undefined)) break
      this.#skip()
    }
    this.rowsAt = rowsAt
  }

  get envelope(): Envelope {
    return this.#members
  }

  /** Reads what stands behind the rows, which end at `end`, and makes sure that the page ends there too. */
  finish(end: number): void {
    if (this.#whole) return
    this.#at = end
    for (let name = this.#member(); name !== undefined; name = this.#member()) {
      if (name === 'rows' || name === 'pageToken') this.#fail()
      this.#value(name)
    }
  }

  /** The name of the next member, with its colon read; `undefined` at the end of the object, which ends the page. */
  #member(): string | undefined {
    const next = this.#peek()
    if (next === '}') {
      this.#at++
      while (this.#at < this.bytes.length) if (!isSpace(this.bytes[this.#at++])) this.#fail()
      this.#whole = true
      return undefined
    }
    if (this.#first) this.#first = false
    else this.#expect(',')
    this.#peek()
    const start = this.#at
    this.#string()
    const name = this.#parse(start)
    this.#expect(':')
    this.#peek()
    return typeof name === 'string' ? name : this.#fail()
  }

  #value(name: string): void {
    const start = this.#at
    this.#skip()
    this.#members[name] = this.#parse(start)
  }

  #parse(start: number): unknown {
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(this.bytes.subarray(start, this.#at)))
    } catch {
      return this.#fail()
    }
  }

  /** Leaves a value behind without looking at it but for its brackets and quotes. */
  #skip(): void {
    const bytes = this.bytes
    let depth = 0
    while (this.#at < bytes.length) {
      const byte = bytes[this.#at]
      if (byte === QUOTE) this.#string()
      else if (byte === 0x7b || byte === 0x5b) {
        depth++
        this.#at++
      } else if (byte === 0x7d || byte === 0x5d) {
        if (depth === 0) return
        depth--
        this.#at++
      } else if (depth === 0 && byte === 0x2c) return
      else {
        this.#at++
        continue
      }
      if (depth === 0) return
    }
    this.#fail()
  }

  #string(): void {
    const bytes = this.bytes
    if (bytes[this.#at] !== QUOTE) this.#fail()
    let at = this.#at + 1
    while (bytes[at] !== QUOTE) {
      if (at >= bytes.length) this.#fail()
      at += bytes[at] === BACKSLASH ? 2 : 1
    }
    this.#at = at + 1
  }

  #expect(char: string): void {
    if (this.#peek() !== char) this.#fail()
    this.#at++
  }

  /** The next character that is no white space, which is not yet read. */
  #peek(): string {
    while (isSpace(this.bytes[this.#at])) this.#at++
    return String.fromCharCode(this.bytes[this.#at] ?? 0)
  }

  #fail(): never {
    throw new Failure('upstream-failed', 'the warehouse sent a page that cannot be read', {
      cause: new Error(`not the JSON of a page, at byte ${this.#at}`),
    })
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}
