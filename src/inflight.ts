/** How much is under way at once: a bound, an early and cheap refusal over it, and a drain at the end. */
import { Failure } from './failure.ts'

/** How long what was aborted may take to leave, at a shutdown. */
const LEAVE_MS = 5_000

/** How many may be under way with those who wait for a person, as a multiple of the limit: they cost memory only. */
const WITH_WAITING = 16

/** One request's place. */
export interface Place {
  /** Aborts when the request must end. */
  readonly signal: AbortSignal
  readonly leave: () => void
  /** Waits for a person: the place is free for others meanwhile. */
  readonly aside: <T>(wait: () => Promise<T>) => Promise<T>
}

export class Inflight {
  readonly #limit: number
  readonly #mostMs: number
  readonly #running = new Set<AbortController>()
  #aside = 0
  #closing = false
  #idle: (() => void) | undefined

  /** At most `limit` at once, each for at most `mostMs`. */
  constructor(limit: number, mostMs: number) {
    this.#limit = limit
    this.#mostMs = mostMs
  }

  get count(): number {
    return this.#running.size
  }

  /**
   * Takes a place, with a signal that aborts when `signal` does, when the time is up, or when the gateway runs out of
   * patience at shutdown. Throws `overloaded` or `shutting-down` when there is none. `leave` MUST be called once, whatever happens.
   */
  enter(signal: AbortSignal): Place {
    if (this.#closing) throw new Failure('shutting-down', 'the gateway is shutting down', { retryAfter: 5 })
    const { size } = this.#running
    if (size - this.#aside >= this.#limit || size >= this.#limit * WITH_WAITING) {
      throw new Failure('overloaded', `the gateway already handles ${this.#limit} requests`, { retryAfter: 1 })
    }
    const controller = new AbortController()
    this.#running.add(controller)
    const timer = setTimeout(() => {
      controller.abort(new Failure('upstream-late', `the request took longer than ${this.#mostMs / 1000} s`))
    }, this.#mostMs)
    return {
      signal: AbortSignal.any([signal, controller.signal]),
      leave: () => {
        clearTimeout(timer)
        this.#running.delete(controller)
        if (this.#running.size === 0) this.#idle?.()
      },
      aside: async (wait) => {
        this.#aside++
        try {
          return await wait()
        } finally {
          this.#aside--
        }
      },
    }
  }

  /** Refuses newcomers, waits up to `graceMs` for the rest, then aborts them and waits, within bounds, until each has left. */
  async drain(graceMs: number): Promise<void> {
    this.#closing = true
    if (this.#running.size === 0) return
    const idle = new Promise<void>((resolve) => (this.#idle = resolve))
    let last: ReturnType<typeof setTimeout> | undefined
    const timer = setTimeout(() => {
      last = setTimeout(() => this.#idle?.(), LEAVE_MS)
      for (const controller of this.#running) {
        controller.abort(new Failure('shutting-down', 'the gateway is shutting down', { retryAfter: 5 }))
      }
    }, graceMs)
    await idle
    clearTimeout(timer)
    clearTimeout(last)
  }
}
