/**
 * Masks values of JSON documents as their bytes go by: bytes in, slices of bytes out. What is not masked leaves as it came
 * (spaces, order of keys, text of numbers, keys that occur twice); what is masked never leaves; what is no JSON throws. It
 * holds one scalar at most, and a stack as deep as the document.
 *
 *     push(chunk) ─▶ the chunk with its masked values replaced; where it has none, the chunk itself
 */
import { Automaton, type Place } from './automaton.ts'
import { Output } from './output.ts'
import type { JsonPath } from './path.ts'

/** What takes the place of a masked value. A JSON `null` always stays. */
export type JsonMask =
  /** The same JSON text for every value, whatever it holds. */
  | { readonly constant: string }
  /**
   * JSON text for a string (decoded), a number (as it is written) or `true` and `false`. An array is masked element by
   * element; of an object, `instead` takes the place, for its keys may tell: but where they are `plain`, its members are
   * masked one by one. `instead` is there also where the text is longer than the masker may hold.
   */
  | {
      readonly instead: string
      readonly keys?: 'plain'
      scalar(text: string, kind: 'string' | 'number' | 'boolean'): string
    }

/** Paths with their masks, ready to be followed. Made once, used by any number of maskers. */
export class JsonMasks {
  readonly automaton: Automaton
  readonly count: number
  readonly #resolve: (paths: readonly number[]) => JsonMask
  readonly #resolved = new Map<string, Resolved>()

  /** `resolve` gives one mask where several paths end at one value: by position in `paths`, each once, in order. Pure. */
  constructor(paths: readonly JsonPath[], resolve: (paths: readonly number[]) => JsonMask) {
    this.automaton = new Automaton(paths)
    this.count = paths.length
    this.#resolve = resolve
  }

  at(paths: readonly number[]): Resolved {
    const key = paths.join()
    const known = this.#resolved.get(key)
    if (known !== undefined) return known
    if (this.#resolved.size >= RESOLVED) this.#resolved.clear()
    const mask = this.#resolve(paths)
    const constant = new TextEncoder().encode('constant' in mask ? mask.constant : mask.instead)
    const resolved =
      'constant' in mask
        ? { paths, constant, scalar: undefined, entersObjects: false }
        : { paths, constant, scalar: mask.scalar.bind(mask), entersObjects: mask.keys === 'plain' }
    this.#resolved.set(key, resolved)
    return resolved
  }
}

/** Sets of paths whose mask is remembered. */
const RESOLVED = 1_024

interface Resolved {
  readonly paths: readonly number[]
  /** What takes the place of a value that is not looked at. */
  readonly constant: Uint8Array
  readonly scalar: ((text: string, kind: 'string' | 'number' | 'boolean') => string) | undefined
  readonly entersObjects: boolean
}

export interface JsonMaskerOptions {
  /** `one` document, or `many`: NDJSON, JSON sequences, or one after the other. */
  readonly documents: 'one' | 'many'
  /** Containers within containers. Default 512. */
  readonly maxDepth?: number
  /** Bytes of one scalar that a mask looks at. Default 65,536. */
  readonly maxScalar?: number
  /** Where to count, if several maskers count together. */
  readonly counts?: number[]
  /** Is told what each mask replaces, by the positions of the paths: a decoded scalar, or the JSON of a container. */
  readonly original?: (paths: readonly number[], text: string) => void
}

/** What is told in the place of an original that is longer than the masker may hold. */
export const TOO_LONG = '[too long]'

/** Bytes that are no JSON, or nest too deep. `at` counts the bytes before. The document's own text is in no word of it. */
export class MalformedJson extends Error {
  override readonly name = 'MalformedJson'
  readonly at: number
  constructor(problem: string, at: number) {
    super(`${problem} at byte ${at}`)
    this.at = at
  }
}

// What comes next. Numbers, not names: the loop below runs once per byte.
const VALUE = 0
const FIRST_ELEMENT = 1
const FIRST_KEY = 2
const KEY = 3
const COLON = 4
const AFTER = 5
const STRING = 6
const ESCAPE = 7
const HEX = 8
const UTF8 = 9
const NUMBER = 10
const WORD = 11
const DONE = 12

// Inside a number.
const MINUS = 0
const ZERO = 1
const INTEGER = 2
const DOT = 3
const FRACTION = 4
const E = 5
const E_SIGN = 6
const EXPONENT = 7

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** Begins each document of a JSON sequence (RFC 7464). */
const RECORD = 0x1e
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

/** How a value leaves. */
type Mode = 'pass' | 'drop' | 'hold'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const EMPTY = new Uint8Array()

export class JsonMasker {
  readonly #automaton: Automaton
  readonly #known: JsonMasks
  readonly #options: Required<Omit<JsonMaskerOptions, 'counts' | 'original'>>
  readonly #original: JsonMaskerOptions['original']
  /** How many values each path has masked, by position in `paths`. */
  readonly counts: number[]

  #state = VALUE
  /** Bytes before this chunk. */
  #before = 0
  #documents = 0

  // The stack: for each open container whether it is an object, where its own paths stand, its masks, and the next index.
  #depth = 0
  readonly #isObject: boolean[] = []
  readonly #places: Place[] = []
  readonly #inherited: (readonly number[])[] = []
  readonly #indexes: number[] = []

  // The value that is being read.
  #place: Place
  #masks: readonly number[] = []
  #mask: Resolved | undefined
  #mode: Mode = 'pass'
  /** The depth at which a dropped container began. */
  #dropped = -1
  #isKey = false
  #number = MINUS
  #word = ''
  #matched = 0
  #hexLeft = 0
  #utf8Left = 0
  #utf8Least = 0x80
  #utf8Most = 0xbf

  /** Where the bytes of a container that is told as an original begin in this chunk; -1: none is. */
  #captured = -1

  // Bytes of the key, held scalar or told container that came in earlier chunks, without those of this one.
  #held: Uint8Array[] = []
  #heldBytes = 0
  #escaped = false
  #isTooLong = false

  constructor(masks: JsonMasks, options: JsonMaskerOptions) {
    this.#known = masks
    this.#automaton = masks.automaton
    this.#options = { maxDepth: 512, maxScalar: 65_536, ...options }
    this.#original = options.original
    this.counts = options.counts ?? Array.from({ length: masks.count }, () => 0)
    this.#place = this.#automaton.root
  }

  /** The bytes that may leave now. Throws MalformedJson; then nothing more may be given. */
  push(chunk: Uint8Array): Uint8Array {
    const out = new Output(chunk)
    const { length } = chunk
    let state = this.#state
    /** Where the bytes that pass begin; -1 while none do. */
    let from = this.#mode === 'pass' ? 0 : -1
    /** Where the bytes of a key or held scalar begin in this chunk. */
    let start = 0
    let i = 0
    while (i < length) {
      const byte = chunk[i] ?? 0
      switch (state) {
        case STRING: {
          // Most bytes are here.
          let b = byte
          while (b !== QUOTE && b !== BACKSLASH && b >= 0x20 && b < 0x80) {
            i++
            if (i === length) break
            b = chunk[i] ?? 0
          }
          if (i === length) continue
          if (b === QUOTE) {
            i++
            if (this.#isKey) {
              this.#endKey(chunk, start, i - 1)
              state = COLON
            } else {
              from = this.#endScalar(chunk, start, i, from, out)
              state = this.#afterValue()
            }
          } else if (b === BACKSLASH) {
            this.#escaped = true
            state = ESCAPE
            i++
          } else if (b < 0x20) {
            throw this.#malformed('a control character in a string', i)
          } else {
            this.#beginUtf8(b, i)
            state = UTF8
            i++
          }
          continue
        }
        case UTF8:
          if (byte < this.#utf8Least || byte > this.#utf8Most) throw this.#malformed('bytes that are no UTF-8', i)
          this.#utf8Least = 0x80
          this.#utf8Most = 0xbf
          if (--this.#utf8Left === 0) state = STRING
          i++
          continue
        case ESCAPE:
          if (byte === 0x75) {
            this.#hexLeft = 4
            state = HEX
          } else if (isEscape(byte)) state = STRING
          else throw this.#malformed('an escape that JSON does not have', i)
          i++
          continue
        case HEX:
          if (!isHex(byte)) throw this.#malformed('an escape that JSON does not have', i)
          if (--this.#hexLeft === 0) state = STRING
          i++
          continue
        case NUMBER: {
          const next = afterDigit(this.#number, byte)
          if (next >= 0) {
            this.#number = next
            i++
            continue
          }
          if (!isWhole(this.#number)) throw this.#malformed('a number that JSON does not have', i)
          from = this.#endScalar(chunk, start, i, from, out)
          state = this.#afterValue()
          continue
        }
        case WORD:
          if (byte !== this.#word.charCodeAt(this.#matched)) throw this.#malformed('a word that JSON does not have', i)
          i++
          if (++this.#matched === this.#word.length) {
            from = this.#endScalar(chunk, start, i, from, out)
            state = this.#afterValue()
          }
          continue
        default:
          break
      }
      if (isSpace(byte)) {
        i++
        continue
      }
      if (byte === RECORD && this.#depth === 0 && this.#options.documents === 'many') {
        i++
        continue
      }
      switch (state) {
        case FIRST_ELEMENT:
        case VALUE:
        case DONE:
          if (state === FIRST_ELEMENT && byte === CLOSE_ARRAY) {
            from = this.#close(chunk, i + 1, from)
            state = this.#afterValue()
            i++
            continue
          }
          if (state === DONE && this.#options.documents === 'one') throw this.#malformed('more than one document', i)
          from = this.#beginValue(chunk, i, from, out)
          start = i
          state = this.#open(byte, i)
          if (this.#mode === 'hold' && state < STRING) {
            // A container under a mask of scalars: an array is entered, an object is replaced.
            from = this.#enterUnderMask(byte, i, out)
          }
          i++
          continue
        case FIRST_KEY:
        case KEY:
          if (byte === QUOTE) {
            this.#isKey = true
            this.#escaped = false
            if (this.#captured < 0) {
              this.#isTooLong = false
              this.#forget()
            }
            start = i + 1
            state = STRING
          } else if (byte === CLOSE_OBJECT && state === FIRST_KEY) {
            from = this.#close(chunk, i + 1, from)
            state = this.#afterValue()
          } else throw this.#malformed('something else than a key', i)
          i++
          continue
        case COLON:
          if (byte !== 0x3a) throw this.#malformed('something else than a colon', i)
          state = VALUE
          i++
          continue
        default: {
          // AFTER a value, inside a container.
          const isObject = this.#isObject[this.#depth - 1] === true
          if (byte === COMMA) {
            if (isObject) state = KEY
            else {
              this.#nextElement()
              state = VALUE
            }
          } else if (byte === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
            from = this.#close(chunk, i + 1, from)
            state = this.#afterValue()
          } else throw this.#malformed('something else than a comma or an end', i)
          i++
        }
      }
    }
    this.#keep(chunk, start, state)
    this.#state = state
    this.#before += length
    return out.end(from < 0 ? length : from)
  }

  /** The bytes that a number at the very end still holds back. Throws MalformedJson where the document is not whole. */
  end(): Uint8Array {
    const out = new Output(EMPTY)
    if (this.#state === NUMBER && this.#depth === 0 && isWhole(this.#number)) {
      this.#endScalar(EMPTY, 0, 0, -1, out)
      this.#state = this.#afterValue()
    }
    const isWholeDocument =
      this.#state === DONE || (this.#documents === 0 && this.#state === VALUE && this.#depth === 0)
    if (!isWholeDocument) throw this.#malformed('the end of the bytes before the end of the document', 0)
    return out.end(0)
  }

  // ── values ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Decides how the value that begins at `i` leaves. The answer is where passing bytes begin. */
  #beginValue(chunk: Uint8Array, i: number, from: number, out: Output): number {
    if (this.#depth === 0) this.#place = this.#automaton.root
    if (this.#mode === 'drop') return -1
    const own = this.#place.ends
    const inherited = this.#depth === 0 ? NONE : (this.#inherited[this.#depth - 1] ?? NONE)
    this.#masks =
      own.length === 0 ? inherited : inherited.length === 0 ? own : [...new Set([...inherited, ...own])].sort(byNumber)
    // A null stays: it says that there is nothing to mask.
    if (this.#masks.length === 0 || chunk[i] === 0x6e) return from
    const mask = this.#known.at(this.#masks)
    this.#mask = mask
    this.#forget()
    this.#escaped = false
    this.#isTooLong = false
    if (from >= 0) out.pass(from, i)
    if (mask.scalar === undefined && this.#original === undefined) {
      this.#replace(mask.constant, mask, out)
      this.#mode = 'drop'
      this.#dropped = this.#depth
    } else this.#mode = 'hold'
    return -1
  }

  #replace(value: Uint8Array | string, { paths }: Resolved, out: Output): void {
    if (typeof value === 'string') out.addText(value)
    else out.add(value)
    for (const path of paths) this.counts[path] = (this.counts[path] ?? 0) + 1
  }

  /** An array is masked element by element; an object, whose keys may tell, is replaced, and so is all of a constant's. */
  #enterUnderMask(byte: number, i: number, out: Output): number {
    const mask = this.#mask
    if (mask === undefined) throw new Error('no mask')
    if (mask.scalar !== undefined && (byte === OPEN_ARRAY || mask.entersObjects)) {
      this.#inherited[this.#depth - 1] = this.#masks
      this.#mode = 'pass'
      return i
    }
    this.#replace(mask.constant, mask, out)
    this.#mode = 'drop'
    this.#dropped = this.#depth - 1
    if (this.#original !== undefined) this.#captured = i
    return -1
  }

  /** The state after the first byte of a value. */
  #open(byte: number, i: number): number {
    switch (byte) {
      case QUOTE:
        this.#isKey = false
        return STRING
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        this.#enter(byte === OPEN_OBJECT, i)
        return byte === OPEN_OBJECT ? FIRST_KEY : FIRST_ELEMENT
      case 0x74:
        return this.#beginWord('true')
      case 0x66:
        return this.#beginWord('false')
      case 0x6e:
        return this.#beginWord('null')
      default:
        this.#number = byte === 0x2d ? MINUS : byte === 0x30 ? ZERO : INTEGER
        if (byte !== 0x2d && (byte < 0x30 || byte > 0x39)) throw this.#malformed('something else than a value', i)
        return NUMBER
    }
  }

  #beginWord(word: string): number {
    this.#word = word
    this.#matched = 1
    return WORD
  }

  #enter(isObject: boolean, i: number): void {
    if (this.#depth >= this.#options.maxDepth) throw this.#malformed('nesting that is too deep', i)
    this.#isObject[this.#depth] = isObject
    this.#places[this.#depth] = this.#place
    this.#indexes[this.#depth] = 0
    // Of an object, nothing is handed down: its members have paths of their own.
    this.#inherited[this.#depth] = NONE
    this.#depth++
    if (!isObject && this.#mode !== 'drop') this.#place = this.#automaton.element(this.#place, 0)
  }

  #nextElement(): void {
    if (this.#mode === 'drop') return
    const top = this.#depth - 1
    const index = (this.#indexes[top] ?? 0) + 1
    this.#indexes[top] = index
    this.#place = this.#automaton.element(this.#places[top] ?? this.#automaton.root, index)
  }

  /** Behind the bracket that ends a container. */
  #close(chunk: Uint8Array, after: number, from: number): number {
    this.#depth--
    if (this.#mode !== 'drop' || this.#dropped !== this.#depth) return from
    this.#mode = 'pass'
    if (this.#captured >= 0) this.#tellContainer(chunk, after)
    return after
  }

  #tellContainer(chunk: Uint8Array, end: number): void {
    const start = this.#captured
    this.#captured = -1
    const isTooLong = this.#isTooLong || this.#heldBytes + end - start > this.#options.maxScalar
    const text = isTooLong ? TOO_LONG : decoder.decode(this.#whole(chunk, start, end))
    this.#forget()
    this.#isTooLong = false
    this.#original?.(this.#mask?.paths ?? NONE, text)
  }

  /** Behind a scalar, whose last bytes stand from `start` to `end`. */
  #endScalar(chunk: Uint8Array, start: number, end: number, from: number, out: Output): number {
    if (this.#mode === 'pass') return from
    if (this.#mode === 'hold') {
      const mask = this.#mask
      if (mask === undefined) throw new Error('no mask')
      this.#replace(this.#masked(mask, chunk, start, end), mask, out)
    } else if (this.#dropped !== this.#depth) return -1
    this.#mode = 'pass'
    return end
  }

  #masked({ paths, constant, scalar }: Resolved, chunk: Uint8Array, start: number, end: number): Uint8Array | string {
    const isTooLong = this.#isTooLong || this.#heldBytes + end - start > this.#options.maxScalar
    if (isTooLong) this.#original?.(paths, TOO_LONG)
    if (isTooLong || (scalar === undefined && this.#original === undefined)) return constant
    const raw = decoder.decode(this.#whole(chunk, start, end))
    const isString = raw.startsWith('"')
    const text = !isString ? raw : this.#escaped ? String(JSON.parse(raw)) : raw.slice(1, -1)
    this.#original?.(paths, text)
    if (scalar === undefined) return constant
    return scalar(text, isString ? 'string' : raw === 'true' || raw === 'false' ? 'boolean' : 'number')
  }

  /** The state behind a value. */
  #afterValue(): number {
    if (this.#depth > 0) return AFTER
    this.#documents++
    return DONE
  }

  // ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #endKey(chunk: Uint8Array, start: number, end: number): void {
    if (this.#mode === 'drop') return
    const above = this.#places[this.#depth - 1] ?? this.#automaton.root
    if (!above.hasNames) this.#place = this.#automaton.other(above)
    else if (this.#isTooLong) this.#place = this.#automaton.other(above)
    else if (this.#heldBytes === 0 && !this.#escaped) this.#place = this.#automaton.memberAt(above, chunk, start, end)
    else {
      const raw = decoder.decode(this.#whole(chunk, start, end))
      this.#place = this.#automaton.member(above, this.#escaped ? String(JSON.parse(`"${raw}"`)) : raw)
    }
  }

  // ── what spans chunks ──────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes of a key or scalar that are needed when it ends. */
  #keep(chunk: Uint8Array, start: number, state: number): void {
    if (this.#captured >= 0) {
      this.#hold(chunk.subarray(this.#captured), this.#options.maxScalar)
      // What is held goes on at the beginning of the next chunk.
      this.#captured = 0
      return
    }
    if (state < STRING || state === DONE || this.#isTooLong) return
    const isKey = this.#isKey && state <= UTF8
    if (!isKey && this.#mode !== 'hold') return
    // Six bytes can stand for one of a name. A longer key is none that a path has; a longer scalar is not looked at.
    const most = isKey ? 6 * this.#automaton.longest : this.#options.maxScalar
    this.#hold(chunk.subarray(start), most)
  }

  #hold(part: Uint8Array, most: number): void {
    this.#heldBytes += part.length
    if (this.#heldBytes > most) {
      this.#isTooLong = true
      this.#held = []
    } else if (part.length > 0) this.#held.push(part.slice())
  }

  #forget(): void {
    if (this.#heldBytes === 0) return
    this.#held = []
    this.#heldBytes = 0
  }

  #whole(chunk: Uint8Array, start: number, end: number): Uint8Array {
    if (this.#held.length === 0) return chunk.subarray(start, end)
    const whole = new Uint8Array(this.#heldBytes + end - start)
    let at = 0
    for (const part of [...this.#held, chunk.subarray(start, end)]) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }

  #beginUtf8(byte: number, i: number): void {
    this.#utf8Least = 0x80
    this.#utf8Most = 0xbf
    if (byte >= 0xc2 && byte <= 0xdf) this.#utf8Left = 1
    else if (byte >= 0xe0 && byte <= 0xef) {
      this.#utf8Left = 2
      if (byte === 0xe0) this.#utf8Least = 0xa0
      if (byte === 0xed) this.#utf8Most = 0x9f
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      this.#utf8Left = 3
      if (byte === 0xf0) this.#utf8Least = 0x90
      if (byte === 0xf4) this.#utf8Most = 0x8f
    } else throw this.#malformed('bytes that are no UTF-8', i)
  }

  #malformed(problem: string, i: number): MalformedJson {
    return new MalformedJson(problem, this.#before + i)
  }
}

const NONE: readonly number[] = []

function byNumber(a: number, b: number): number {
  return a - b
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** `" \ / b f n r t` */
function isEscape(byte: number): boolean {
  return (
    byte === QUOTE ||
    byte === BACKSLASH ||
    byte === 0x2f ||
    byte === 0x62 ||
    byte === 0x66 ||
    byte === 0x6e ||
    byte === 0x72 ||
    byte === 0x74
  )
}

function isHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}

/** Where a number stands after one more byte; -1 where that byte is not of it. */
function afterDigit(state: number, byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) {
    if (state === MINUS) return byte === 0x30 ? ZERO : INTEGER
    if (state === ZERO) return -1
    if (state === DOT) return FRACTION
    if (state === E || state === E_SIGN) return EXPONENT
    return state
  }
  if (byte === 0x2e) return state === ZERO || state === INTEGER ? DOT : -1
  if (byte === 0x65 || byte === 0x45) return state === ZERO || state === INTEGER || state === FRACTION ? E : -1
  if (byte === 0x2b || byte === 0x2d) return state === E ? E_SIGN : -1
  return -1
}

function isWhole(state: number): boolean {
  return state === ZERO || state === INTEGER || state === FRACTION || state === EXPONENT
}
