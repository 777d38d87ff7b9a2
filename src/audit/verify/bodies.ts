/** That recorded bodies are what the records of their exchanges say: those are under a signed head, and bind them by digest. */
import type { Row } from '../record.ts'
import type { Evidence } from './contract.ts'

/** Hashes a body piece by piece. */
export interface BodyHasher {
  update(bytes: Uint8Array): void
  /** 64 hex digits. */
  hex(): string
}

export interface BodyOptions {
  hasher(): BodyHasher
  /** For how many days the bodies of this record's exchange are kept. */
  retainDays(row: Row): number
}

export interface BodyProblem {
  readonly code: 'body-changed' | 'body-missing'
  readonly words: string
  readonly segment: number
  readonly seq: number
}

/** What a record says of a body. */
interface Bound {
  readonly row: Row
  readonly direction: 'request' | 'answer'
  readonly kept: number
  readonly digest: string
}

interface Found {
  readonly hasher: BodyHasher
  bytes: number
}

/** Exchanges that are asked for together. */
const BATCH = 256
const DAY_MS = 86_400_000

export class BodyCheck {
  readonly #evidence: Required<Pick<Evidence, 'bodies'>>
  readonly #options: BodyOptions & { readonly now: number; readonly graceMs: number }
  readonly #say: (problem: BodyProblem) => void
  #bound: Bound[] = []
  whole = 0
  expired = 0
  pending = 0

  constructor(
    evidence: Required<Pick<Evidence, 'bodies'>>,
    options: BodyOptions & { readonly now: number; readonly graceMs: number },
    say: (problem: BodyProblem) => void,
  ) {
    this.#evidence = evidence
    this.#options = options
    this.#say = say
  }

  /** `row` MUST be one that is as it was written. */
  async add(row: Row): Promise<void> {
    const { request_kept: request, answer_kept: answer } = row
    if (request !== null && row.request_kept_digest !== '') {
      this.#bound.push({ row, direction: 'request', kept: request, digest: row.request_kept_digest })
    }
    if (answer !== null && row.answer_kept_digest !== '') {
      this.#bound.push({ row, direction: 'answer', kept: answer, digest: row.answer_kept_digest })
    }
    if (this.#bound.length >= BATCH) await this.flush()
  }

  async flush(): Promise<void> {
    const bound = this.#bound
    this.#bound = []
    if (bound.length === 0) return
    const found = await this.#found([...new Set(bound.map(({ row }) => row.exchange_id))])
    for (const each of bound) this.#compare(each, found.get(`${each.row.exchange_id} ${each.direction}`))
  }

  async #found(exchanges: readonly string[]): Promise<ReadonlyMap<string, Found>> {
    const found = new Map<string, Found>()
    for await (const { exchange, direction, content } of this.#evidence.bodies(exchanges)) {
      const key = `${exchange} ${direction}`
      const body = found.get(key) ?? { hasher: this.#options.hasher(), bytes: 0 }
      body.hasher.update(content)
      body.bytes += content.length
      found.set(key, body)
    }
    return found
  }

  #compare({ row, direction, kept, digest }: Bound, body: Found | undefined): void {
    const { now, graceMs } = this.#options
    const place = { segment: row.segment, seq: row.writer_seq }
    if (body === undefined ? kept === 0 : body.bytes === kept && body.hasher.hex() === digest) this.whole++
    else if (this.#isOver(row)) this.expired++
    // Bodies have a log of their own, which may be later than that of the records: then there is too little of one.
    else if (now - row.ts / 1000 <= graceMs && (body?.bytes ?? 0) < kept) this.pending++
    else if (body === undefined) {
      this.#say({ code: 'body-missing', words: `its ${direction} is gone before its time`, ...place })
    } else {
      this.#say({ code: 'body-changed', words: `its ${direction} is not what was recorded`, ...place })
    }
  }

  #isOver(row: Row): boolean {
    const began = (row.received_at ?? row.ts) / 1000
    const until = Math.floor(began / DAY_MS) + this.#options.retainDays(row)
    return until <= Math.floor(this.#options.now / DAY_MS)
  }
}
