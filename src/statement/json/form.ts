/** Forms (`application/x-www-form-urlencoded`), pair by pair. */
import { concatenated } from '../../bytes.ts'
import { MalformedBody, type Bytes } from './body.ts'

/** Bytes of one pair, encoded. */
const PAIR_BYTES = 196_608

const AMPERSAND = 0x26
const SEMICOLON = 0x3b

/** A pair, decoded. */
export interface Pair {
  readonly name: string
  readonly value: string
}

/**
 * `changed` gives what takes a pair's place; nothing where it goes as it came. A pair that two readers could take for two
 * different ones (a bad percent sequence, bytes that are no UTF-8, a bare `;`) throws.
 */
export class FormBody implements Bytes {
  readonly #changed: (pair: Pair) => Pair | undefined
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #held: Uint8Array[] = []
  #bytes = 0

  constructor(changed: (pair: Pair) => Pair | undefined) {
    this.#changed = changed
  }

  push(chunk: Uint8Array): Uint8Array {
    let out = ''
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      if (chunk[i] === SEMICOLON) throw new MalformedBody('a form with a bare semicolon')
      if (chunk[i] !== AMPERSAND) continue
      this.#hold(chunk.subarray(start, i))
      out += `${this.#pair()}&`
      start = i + 1
    }
    if (start < chunk.length) this.#hold(chunk.slice(start))
    return new TextEncoder().encode(out)
  }

  end(): Uint8Array {
    return new TextEncoder().encode(this.#pair())
  }

  #hold(bytes: Uint8Array): void {
    this.#bytes += bytes.length
    if (this.#bytes > PAIR_BYTES) throw new MalformedBody(`a form's value of more than ${PAIR_BYTES} bytes`)
    this.#held.push(bytes)
  }

  #pair(): string {
    const text = this.#decoder.decode(concatenated(this.#held))
    this.#held = []
    this.#bytes = 0
    const equals = text.indexOf('=')
    const name = decoded(equals < 0 ? text : text.slice(0, equals))
    const value = equals < 0 ? '' : decoded(text.slice(equals + 1))
    const pair = this.#changed({ name, value })
    return pair === undefined ? text : `${encoded(pair.name)}=${encoded(pair.value)}`
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new MalformedBody('a form with a bad percent sequence')
  }
}

function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll('%20', '+')
}
