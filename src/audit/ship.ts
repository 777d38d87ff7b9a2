/**
 * Brings sealed segments to one destination, oldest first, one at a time, for as long as it takes: each at least once. The
 * destination makes of that what it can; ClickHouse keeps a segment that is sent twice (an answer was lost, a process was
 * killed) once, because its bytes and its token never change.
 */
import type { Clock, Log } from '../runtime.ts'
import { problemOf } from './problem.ts'

/** What is known of a sealed segment. */
export interface SealedRows {
  readonly segment: number
  /** The version of the schema that its rows have. */
  readonly schema: number
  /** The `writer_seq` of its first row. */
  readonly firstSeq: number
  readonly records: number
}

/** Takes the rows of a segment, each in RowBinary, for good. MAY be handed one again. Rejects where it did not. */
export type Deliver<Sealed extends SealedRows> = (
  sealed: Sealed,
  rows: readonly Uint8Array[],
  signal: AbortSignal,
) => Promise<void>

/** What the shipper asks of the journal. */
export interface Segments<Sealed extends SealedRows> {
  oldest(): Sealed | undefined
  /** `undefined`: damaged. */
  read(sealed: Sealed): Promise<readonly Uint8Array[] | undefined>
  delivered(sealed: Sealed): Promise<void>
  setAside(sealed: Sealed): Promise<void>
}

export interface ShipLimits {
  /** Longest that one try may take. */
  readonly tryMs: number
  /** First pause after a failed try; doubles up to `maxPauseMs`, each by chance between half and whole. */
  readonly pauseMs: number
  readonly maxPauseMs: number
}

export const SHIP_LIMITS: ShipLimits = { tryMs: 30_000, pauseMs: 200, maxPauseMs: 30_000 }

export interface ShipperParts<Sealed extends SealedRows> {
  /** Of the destination: `clickhouse`. */
  readonly name: string
  readonly segments: Segments<Sealed>
  readonly deliver: Deliver<Sealed>
  readonly clock: Clock
  readonly log: Log
  readonly limits: ShipLimits
}

export interface ShipStatus {
  readonly deliveredAt?: number
  /** A code: `UNKNOWN_TABLE`, `ECONNREFUSED`, `late`. */
  readonly problem?: string
}

export class Shipper<Sealed extends SealedRows> {
  readonly #parts: ShipperParts<Sealed>
  readonly #closing = new AbortController()
  #awake = Promise.withResolvers<void>()
  #idle = Promise.withResolvers<void>()
  #deliveredAt: number | undefined
  #problem: string | undefined
  #running: Promise<void> | undefined

  constructor(parts: ShipperParts<Sealed>) {
    this.#parts = parts
  }

  /** Begins; nothing is awaited and nothing rejects. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** There is another sealed segment. */
  wake(): void {
    this.#awake.resolve()
  }

  status(): ShipStatus {
    return {
      ...(this.#deliveredAt !== undefined && { deliveredAt: this.#deliveredAt }),
      ...(this.#problem !== undefined && { problem: this.#problem }),
    }
  }

  /** Resolves when everything sealed is delivered, or after `boundMs`; ships nothing more. */
  async close(boundMs: number): Promise<void> {
    if (this.#running === undefined) return
    this.wake()
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, boundMs)))
    while (this.#parts.segments.oldest() !== undefined) {
      const first = await Promise.race([late.then(() => 'late'), this.#idle.promise])
      if (first === 'late') break
    }
    clearTimeout(timer)
    this.#closing.abort()
    this.wake()
    await this.#running
  }

  async #run(): Promise<void> {
    const { limits, log } = this.#parts
    let pauseMs = limits.pauseMs
    while (!this.#closing.signal.aborted) {
      try {
        const sealed = await this.#next()
        if (sealed === undefined) continue
        await this.#ship(sealed, AbortSignal.any([this.#closing.signal, AbortSignal.timeout(limits.tryMs)]))
        pauseMs = limits.pauseMs
      } catch (cause) {
        if (this.#closing.signal.aborted) return
        this.#problem = problemOf(cause)
        log('warn', 'audit records wait', { for: this.#parts.name, problem: this.#problem, pauseMs }, cause)
        await this.#pause(pauseMs * (0.5 + Math.random() / 2))
        pauseMs = Math.min(pauseMs * 2, limits.maxPauseMs)
      }
    }
  }

  /** The oldest segment, or nothing once it was worth looking again. */
  async #next(): Promise<Sealed | undefined> {
    const sealed = this.#parts.segments.oldest()
    if (sealed !== undefined) return sealed
    this.#idle.resolve()
    await this.#awake.promise
    this.#awake = Promise.withResolvers()
    this.#idle = Promise.withResolvers()
    return undefined
  }

  async #ship(sealed: Sealed, signal: AbortSignal): Promise<void> {
    const { segments, deliver, clock } = this.#parts
    const rows = await segments.read(sealed)
    if (rows === undefined) return segments.setAside(sealed)
    await within(deliver(sealed, rows, signal), signal)
    if (sealed.records > 0) this.#deliveredAt = clock.now()
    this.#problem = undefined
    await segments.delivered(sealed)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#closing
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      signal.addEventListener('abort', end)
    })
  }
}

/** `work`, or the signal's reason where that comes first: no client is trusted to heed its signal. */
function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
