/**
 * Records to a SIEM over HTTPS: events in batches, each a POST that is answered before the next is sent.
 *
 * At least once: a batch counts when a status of 200 to 299 came back. Anything else is sent again, for as long as it takes;
 * only its size may change.
 */
import type { Deliver, SealedRows } from '../ship.ts'
import { eventAt, partOf, Progress, type Source } from './events.ts'
import type { Bounds } from './parts.ts'
import { Undelivered } from './undelivered.ts'

export interface HttpsOptions extends Source {
  readonly url: string
  /** One event a line, or one JSON array. */
  readonly format: 'ndjson' | 'json'
  /** Longest that one batch may take to be answered, in milliseconds. */
  readonly timeoutMs: number
  /** The value of the `Authorization` header. Asked for with every segment: it may be renewed. */
  readonly authorization?: () => Promise<string>
  readonly fetch: typeof globalThis.fetch
}

/** Of a batch, one large event aside. */
const BATCH_EVENTS = 1000
const BATCH_CHARS = 1024 * 1024

/** Of an event, and of one that was too large for the receiver. */
const USUAL: Bounds = { chars: 16_384, items: 100 }
const SMALLEST: Bounds = { chars: 256, items: 5 }

/** Longest that `Retry-After` is heeded. */
const LONGEST_PAUSE_MS = 3_600_000

/** Hands segments to a SIEM over HTTPS. Rejects with `Undelivered`, or as `fetch` does. */
export function createHttps(options: HttpsOptions): Deliver<SealedRows> {
  const sender = new Sender(options)
  return (sealed, rows, signal) => sender.send(sealed, rows, signal)
}

class Sender {
  readonly #options: HttpsOptions
  readonly #progress = new Progress()
  /** Smaller once the receiver found a batch too large. */
  #batchChars = BATCH_CHARS
  /** Not before then, as the receiver said; by `Clock.monotonic`. */
  #notBefore = Number.NEGATIVE_INFINITY
  #refusal = ''

  constructor(options: HttpsOptions) {
    this.#options = options
  }

  async send(sealed: SealedRows, rows: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const { clock, authorization } = this.#options
    if (clock.monotonic() < this.#notBefore) throw new Undelivered(this.#refusal, 'the SIEM asked to wait')
    const proof = await authorization?.()
    for (let from = this.#progress.rowsOf(sealed); from < rows.length; from = this.#progress.rowsOf(sealed)) {
      const taken = await this.#post(sealed, rows, from, proof, signal)
      this.#progress.took(sealed, from + taken)
    }
  }

  /** How many were taken: of a batch that is too large its first half, of an event that is too large a smaller one. */
  async #post(
    sealed: SealedRows,
    rows: readonly Uint8Array[],
    from: number,
    proof: string | undefined,
    signal: AbortSignal,
  ): Promise<number> {
    let batch = await this.#batch(sealed, rows, from)
    while (!(await this.#isTaken(batch, proof, signal))) {
      if (batch.length === 1) {
        const smallest = JSON.stringify(eventAt(sealed, rows, from, this.#options, SMALLEST))
        if (await this.#isTaken([smallest], proof, signal)) return 1
        throw new Undelivered('http_413', 'the SIEM does not take an event of this size')
      }
      batch = batch.slice(0, Math.ceil(batch.length / 2))
      this.#batchChars = charsOf(batch)
    }
    return batch.length
  }

  #batch(sealed: SealedRows, rows: readonly Uint8Array[], from: number): Promise<readonly string[]> {
    const make = (at: number): string => JSON.stringify(eventAt(sealed, rows, at, this.#options, USUAL))
    return partOf(rows, from, make, { most: BATCH_EVENTS, length: this.#batchChars })
  }

  /** False: too large. Rejects where it was not taken for another reason. */
  async #isTaken(batch: readonly string[], proof: string | undefined, signal: AbortSignal): Promise<boolean> {
    const { url, format, timeoutMs, fetch } = this.#options
    const isLines = format === 'ndjson'
    const response = await fetch(url, {
      method: 'POST',
      // Where a redirect leads nobody vouched for, and it would be shown the credential.
      redirect: 'manual',
      headers: {
        'content-type': isLines ? 'application/x-ndjson' : 'application/json',
        'user-agent': 'sluice',
        ...(proof !== undefined && { authorization: proof }),
      },
      body: isLines ? `${batch.join('\n')}\n` : `[${batch.join(',')}]`,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    // What it says is of no use, and may be without an end. Its status is what counts.
    await response.body?.cancel().catch(() => {})
    if (response.status >= 200 && response.status < 300) return true
    if (response.status === 413) return false
    throw this.#refused(response)
  }

  #refused({ status, headers }: Response): Undelivered {
    this.#refusal = `http_${status}`
    const { clock } = this.#options
    if (status === 429 || status === 503) {
      this.#notBefore = clock.monotonic() + pauseMs(headers.get('retry-after'), clock.now())
    }
    return new Undelivered(this.#refusal, `the SIEM answered ${status}`)
  }
}

function charsOf(batch: readonly string[]): number {
  return batch.reduce((sum, { length }) => sum + length, 0)
}

/** Of seconds, or of a date as HTTP writes it; nothing else is a pause. */
function pauseMs(retryAfter: string | null, now: number): number {
  if (retryAfter === null) return 0
  const ms = /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - now
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), LONGEST_PAUSE_MS) : 0
}
