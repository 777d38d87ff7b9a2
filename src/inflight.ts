/** How much is under way at once: a bound, an early and cheap refusal over it, and a drain at the end. */
import type { Subject } from './exchange.ts'
import { Failure } from './failure.ts'

/** How long what was aborted may take to leave, at a shutdown. */
const LEAVE_MS = 5_000

/** How many may be under way with those who wait for a person, as a multiple of the limit: they cost memory only. */
const WITH_WAITING = 16

/** One request's place. */
export interface Place {
  /** Aborts when the request must end. */
  readonly signal: AbortSignal
  /** The same, but for the time that a request may take: of an answer that is long by its nature, and has bounds of its own. */
  readonly patient: AbortSignal
  /** Counts it as this principal's from now on. Throws `too-many-requests` where it has as many as it may. */
  readonly claim: (principal: Subject) => void
  readonly leave: () => void
  /** Waits for a person: the place is free for others meanwhile. */
  readonly aside: <T>(wait: () => Promise<T>) => Promise<T>
}

/** How many of one kind are under way, and how many of them wait for a person. */
interface Count {
  running: number
  aside: number
}

export class Inflight {
  readonly #limit: number
  readonly #mostMs: number
  readonly #each: number
  readonly #running = new Set<AbortController>()
  readonly #principals = new Map<string, Count>()
  #aside = 0
  #closing = false
  #idle: (() => void) | undefined

  /** At most `limit` at once, each for at most `mostMs`, and at most `each` of any one principal. */
  constructor(limit: number, mostMs: number, each: number = limit) {
    this.#limit = limit
    this.#mostMs = mostMs
    this.#each = each
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
    const closing = new AbortController()
    const late = new AbortController()
    this.#running.add(closing)
    const timer = setTimeout(() => {
      late.abort(new Failure('upstream-late', `the request took longer than ${this.#mostMs / 1000} s`))
    }, this.#mostMs)
    let own: Count | undefined
    let forget = (): void => {}
    const patient = AbortSignal.any([signal, closing.signal])
    return {
      signal: AbortSignal.any([patient, late.signal]),
      patient,
      claim: (principal) => {
        if (own !== undefined) throw new Failure('internal', 'a place has one principal')
        const name = JSON.stringify([principal.issuer, principal.subject])
        const count = (own = this.#take(name))
        forget = () => {
          count.running--
          if (count.running === 0) this.#principals.delete(name)
          forget = () => {}
        }
      },
      leave: () => {
        clearTimeout(timer)
        forget()
        this.#running.delete(closing)
        if (this.#running.size === 0) this.#idle?.()
      },
      aside: async (wait) => {
        const mine = own
        this.#aside++
        if (mine !== undefined) mine.aside++
        try {
          return await wait()
        } finally {
          this.#aside--
          if (mine !== undefined) mine.aside--
        }
      },
    }
  }

  /** One more of this principal. */
  #take(name: string): Count {
    const count = this.#principals.get(name) ?? { running: 0, aside: 0 }
    if (count.running - count.aside >= this.#each || count.running >= this.#each * WITH_WAITING) {
      throw new Failure('too-many-requests', `you have ${this.#each} requests under way already`, {
        fix: 'wait for one of them to end',
        retryAfter: 1,
      })
    }
    count.running++
    this.#principals.set(name, count)
    return count
  }

  /** Refuses newcomers, waits up to `graceMs` for the rest, then aborts them and waits, within bounds, until each has left. */
  async drain(graceMs: number): Promise<void> {
    this.#closing = true
    if (this.#running.size === 0) return
    const idle = new Promise<void>((resolve) => (this.#idle = resolve))
    let last: ReturnType<typeof setTimeout> | undefined
    const timer = setTimeout(() => {
      last = setTimeout(() => this.#idle?.(), LEAVE_MS)
      for (const closing of this.#running) {
        closing.abort(new Failure('shutting-down', 'the gateway is shutting down', { retryAfter: 5 }))
      }
    }, graceMs)
    await idle
    clearTimeout(timer)
    clearTimeout(last)
  }
}
