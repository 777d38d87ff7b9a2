/** Waiting that ends. */
import { orAbort } from '../../runtime.ts'

/** How often and how fast to try again. */
export interface Retry {
  /** Tries in all, the first included. */
  readonly attempts: number
  /** Longest wait before the second try, in milliseconds; it doubles for each further one. */
  readonly baseMs: number
}

/** `work` again while it fails in a way that `passes`, after growing waits of random length. */
export async function retrying<T>(
  work: () => Promise<T>,
  passes: (error: unknown) => boolean,
  retry: Retry,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      if (attempt >= retry.attempts || signal.aborted || !passes(error)) throw error
    }
    await pause(retry.baseMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2), signal)
  }
}

/** Resolves after `ms` milliseconds; rejects with the signal's reason if that comes first. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, ms)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

/** Waits for `work` at most `ms` milliseconds, however it ends. Never rejects. */
export async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  await orAbort(work, AbortSignal.timeout(ms)).catch(() => {})
}
