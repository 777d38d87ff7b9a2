/** Places on the way to the upstream: so many at once, and a line of bounded length before them. */
import { RestFailure } from './failure.ts'

interface Waiter {
  readonly enter: () => void
}

/** First come, first served. Whoever leaves the line takes no room in it any more. */
export class Slots {
  readonly #line = new Set<Waiter>()
  readonly #mostWaiting: number
  #free: number

  constructor(slots: number, mostWaiting: number) {
    this.#free = slots
    this.#mostWaiting = mostWaiting
  }

  /**
   * Resolves to what gives the place back, called once or more often. Rejects with `overloaded` where the line is full,
   * with `upstream-late` after `ms` milliseconds, and with the signal's reason.
   */
  async take(ms: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#free > 0) this.#free -= 1
    else await this.#wait(ms, signal)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#release()
    }
  }

  /** Ends when the place of somebody else has become ours. */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#line.size >= this.#mostWaiting) {
      throw new RestFailure('overloaded', 'too many requests wait for the upstream', true, { retryAfter: 1 })
    }
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        this.#line.delete(waiter)
      }
      const waiter: Waiter = {
        enter: () => {
          leave()
          resolve()
        },
      }
      const abort = (): void => {
        leave()
        reject(signal.reason as Error)
      }
      const timer = setTimeout(() => {
        leave()
        reject(new RestFailure('upstream-late', 'no connection to the upstream in time', true))
      }, ms)
      signal.addEventListener('abort', abort, { once: true })
      this.#line.add(waiter)
    })
  }

  #release(): void {
    const [next] = this.#line
    if (next === undefined) this.#free += 1
    else next.enter()
  }
}
