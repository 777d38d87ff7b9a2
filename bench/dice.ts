/** Chance that comes out the same each time. */

const HEX = Array.from({ length: 65_536 }, (_, n) => n.toString(16).padStart(4, '0'))

/** Numbers that look random and are the same for the same seed (sfc32). */
export class Dice {
  #a: number
  #b = 0x9e3779b9
  #c = 0x243f6a88
  #d = 1

  constructor(seed: number) {
    this.#a = seed | 0
    for (let i = 0; i < 20; i++) this.#next()
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }

  /** 0 to 1, exclusive. */
  number(): number {
    return this.#next() / 4_294_967_296
  }

  /** 0 to `below`, exclusive. */
  whole(below: number): number {
    return Math.floor(this.number() * below)
  }

  pick<T>(of: readonly T[]): T {
    return known(of[this.whole(of.length)])
  }

  /** The first of them more often than the last. */
  often<T>(of: readonly T[]): T {
    return known(of[Math.floor(this.number() ** 2 * of.length)])
  }

  hex(digits: number): string {
    let text = ''
    while (text.length < digits) text += HEX[this.#next() >>> 16]
    return text.slice(0, digits)
  }

  uuidv7(at: number): string {
    const time = Math.floor(at).toString(16).padStart(12, '0')
    const variant = '89ab'[this.#next() >>> 30]
    return `${time.slice(0, 8)}-${time.slice(8)}-7${this.hex(3)}-${variant}${this.hex(3)}-${this.hex(12)}`
  }
}

function known<T>(one: T | undefined): T {
  if (one === undefined) throw new Error('there is nothing to pick from')
  return one
}
