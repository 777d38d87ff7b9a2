/** Originals of masked values on their way to the auditors: in plain only here, for as long as a piece is put together. */
import type { PayloadLog, Tape } from '../audit/contract.ts'
import type { Permitted } from '../exchange.ts'
import { Failure } from '../failure.ts'
import type { Originals } from '../plugin.ts'

/** Characters of originals that are encrypted together: whatever they are, the line is not larger than a piece of the log. */
const PIECE = 24_576

/** Most characters of one original; of all of an exchange. */
const ONE_MOST = 16_384
const ALL_MOST = 4_194_304

interface Original {
  readonly where: string
  readonly value: string
  /** It was longer. */
  readonly cut?: true
}

/** The originals of one exchange. */
export class Sealer {
  readonly #exchange: Permitted
  readonly #payloads: PayloadLog
  #tape: Tape | undefined
  #waiting: Original[] = []
  #size = 0
  #all = 0
  /** How many had no place any more. */
  #left = 0

  constructor(exchange: Permitted, payloads: PayloadLog) {
    this.#exchange = exchange
    this.#payloads = payloads
  }

  readonly tell: Originals = (where, text) => {
    const value = text.slice(0, ONE_MOST)
    const size = where.length + value.length + 24
    if (this.#all + size > ALL_MOST) {
      this.#left++
      return
    }
    this.#all += size
    this.#size += size
    this.#waiting.push({ where, value, ...(value.length < text.length && { cut: true }) })
  }

  /** Encrypts what is told, where it is enough for a piece. */
  async keep(): Promise<void> {
    while (this.#size >= PIECE) await this.#seal()
  }

  async end(cut = ''): Promise<void> {
    while (this.#waiting.length > 0) await this.#seal()
    const marks = [cut, this.#left === 0 ? '' : `${this.#left} more originals are not kept`]
    await this.#tape?.end(marks.filter((it) => it !== '').join('; '))
  }

  async #seal(): Promise<void> {
    const { seal } = this.#payloads
    if (seal === undefined) throw new Error('there is no auditor to seal for')
    let size = 0
    let count = 0
    for (const { where, value } of this.#waiting) {
      if (count > 0 && size + where.length + value.length > PIECE) break
      size += where.length + value.length + 24
      count++
    }
    const originals = this.#waiting.splice(0, count)
    this.#size = this.#waiting.length === 0 ? 0 : Math.max(0, this.#size - size)
    const { id } = this.#exchange
    const plain = new TextEncoder().encode(JSON.stringify({ exchange: id, originals }))
    this.#tape ??= this.#payloads.open({
      exchange: this.#exchange,
      direction: 'sealed',
      type: 'application/jose+json',
      keep: 'full',
    })
    let sealed: Uint8Array
    try {
      sealed = await seal(plain, id)
    } catch (cause) {
      throw new Failure('audit-unavailable', 'originals could not be sealed for the auditors', { cause })
    }
    await this.#tape.push(sealed)
  }
}
