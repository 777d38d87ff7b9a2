/**
 * Changes texts of JSON documents wherever they stand, names of members among them, as their bytes go by. Whoever uses it
 * has made sure that the bytes are JSON; everything but changed texts leaves as it came.
 */
import { concatenated } from '../../bytes.ts'
import type { Bytes } from './body.ts'
import { JsonMasker, JsonMasks } from './masker.ts'
import { REDACTED } from './value.ts'

/** Bytes of one text that is looked at, as it is written. A longer one is replaced as a whole. */
export const TEXT_BYTES = 1_048_576

/** What takes a text's place; nothing where it stays. */
export interface TextChange {
  text(text: string): string | undefined
  /** The same for a number of at least 9 digits, as it is written; what takes its place is a string. */
  number(text: string): string | undefined
  /** A text was too long to be looked at and was replaced. */
  tooLong(): void
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

const BETWEEN = 0
const STRING = 1
const ESCAPE = 2
const NUMBER = 3

/** Bytes that a text has to have one of before anything can be found in it. `I` is in the keys that may have no digit. */
const TELLING = new Uint8Array(256)
for (const char of '0123456789@-._I\\') TELLING[char.charCodeAt(0)] = 1
for (let byte = 0x80; byte < 256; byte++) TELLING[byte] = 1

/** Digits, signs, point and exponent. */
const NUMERIC = new Uint8Array(256)
for (const char of '0123456789+-.eE') NUMERIC[char.charCodeAt(0)] = 1

/** Texts shorter than this hold nothing that is looked for. */
const SHORTEST = 6

const NO_PATHS = new JsonMasks([], () => ({ constant: 'null' }))

export class JsonStrings implements Bytes {
  readonly #change: TextChange
  /** Lets nothing through that is no JSON. */
  readonly #guard: JsonMasker
  #state = BETWEEN
  /** Of the text under way: what earlier chunks brought. */
  #held: Uint8Array[] = []
  #heldBytes = 0
  #isTelling = false
  #isTooLong = false
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  readonly #encoder = new TextEncoder()

  constructor(change: TextChange, documents: 'one' | 'many') {
    this.#change = change
    this.#guard = new JsonMasker(NO_PATHS, { documents })
  }

  push(chunk: Uint8Array): Uint8Array {
    this.#guard.push(chunk)
    const out: Uint8Array[] = []
    const { length } = chunk
    let state = this.#state
    /** Where bytes that pass, or those of the text under way, begin. */
    let from = 0
    let i = 0
    while (i < length) {
      const byte = chunk[i] ?? 0
      if (state === STRING) {
        let b = byte
        while (b !== QUOTE && b !== BACKSLASH) {
          if (TELLING[b] === 1) this.#isTelling = true
          if (++i === length) break
          b = chunk[i] ?? 0
        }
        if (i === length) break
        if (b === BACKSLASH) {
          this.#isTelling = true
          state = ESCAPE
        } else {
          this.#endText(chunk, from, i, out)
          from = i
          state = BETWEEN
        }
      } else if (state === ESCAPE) state = STRING
      else if (state === NUMBER) {
        if (NUMERIC[byte] === 1) {
          i++
          continue
        }
        this.#endNumber(chunk, from, i, out)
        from = i
        state = BETWEEN
        continue
      } else if (byte === QUOTE || byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
        const isText = byte === QUOTE
        const start = isText ? i + 1 : i
        if (start > from) out.push(chunk.subarray(from, start))
        from = start
        state = isText ? STRING : NUMBER
        this.#isTelling = !isText
        this.#isTooLong = false
      }
      i++
    }
    this.#state = state
    if (state === BETWEEN) {
      if (from < length) out.push(chunk.subarray(from))
    } else this.#hold(chunk.subarray(from))
    return concatenated(out)
  }

  end(): Uint8Array {
    this.#guard.end()
    const out: Uint8Array[] = []
    if (this.#state === NUMBER) this.#endNumber(NOTHING, 0, 0, out)
    return concatenated(out)
  }

  #hold(part: Uint8Array): void {
    this.#heldBytes += part.length
    if (this.#heldBytes > TEXT_BYTES) {
      this.#isTooLong = true
      this.#held = []
    } else if (part.length > 0) this.#held.push(part.slice())
  }

  /** The raw text under way, and forgets it; `undefined` where it is too long. */
  #take(chunk: Uint8Array, from: number, to: number): Uint8Array | undefined {
    const isTooLong = this.#isTooLong || this.#heldBytes + to - from > TEXT_BYTES
    const raw =
      this.#held.length === 0 ? chunk.subarray(from, to) : concatenated([...this.#held, chunk.subarray(from, to)])
    this.#held = []
    this.#heldBytes = 0
    return isTooLong ? undefined : raw
  }

  #endText(chunk: Uint8Array, from: number, to: number, out: Uint8Array[]): void {
    const raw = this.#take(chunk, from, to)
    if (raw === undefined) {
      this.#change.tooLong()
      out.push(this.#encoder.encode(REDACTED))
      return
    }
    const changed = this.#isTelling && raw.length >= SHORTEST ? this.#changed(raw) : undefined
    out.push(changed === undefined ? raw : this.#encoder.encode(JSON.stringify(changed).slice(1, -1)))
  }

  #changed(raw: Uint8Array): string | undefined {
    const text = this.#decoder.decode(raw)
    return this.#change.text(raw.includes(BACKSLASH) ? String(JSON.parse(`"${text}"`)) : text)
  }

  #endNumber(chunk: Uint8Array, from: number, to: number, out: Uint8Array[]): void {
    const raw = this.#take(chunk, from, to)
    if (raw === undefined) {
      this.#change.tooLong()
      out.push(this.#encoder.encode(JSON.stringify(REDACTED)))
      return
    }
    const changed = raw.length < 9 ? undefined : this.#change.number(this.#decoder.decode(raw))
    out.push(changed === undefined ? raw : this.#encoder.encode(JSON.stringify(changed)))
  }
}

const NOTHING = new Uint8Array()
