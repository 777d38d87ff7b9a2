/**
 * What we ask of the machine. An interface only: `src/entry` makes one for Node, and later one for Workers.
 * Web standards that both have (`crypto.subtle`, `TextEncoder`, `AbortSignal`, streams) are used directly.
 */
export interface Runtime {
  readonly clock: Clock
  /** A fresh UUIDv7: sortable by time, unique across replicas. */
  newId(): string
  readonly secrets: Secrets
  /** `fetch` with a bounded pool. The caller passes a signal with a deadline. */
  readonly fetch: typeof globalThis.fetch
  /** A SHA-256 under way. */
  hasher(): Hasher
  /** Operational log: codes, names, counts. Never a credential, a row value or statement text. */
  readonly log: Log
  /** Keeps `work` alive after the answer has gone out; its failure is logged under `name`. */
  background(name: string, work: Promise<unknown>): void
}

export interface Hasher {
  update(bytes: Uint8Array): void
  /** 64 hex digits over all of it. Called once, last. */
  hex(): string
}

export interface Clock {
  /** Wall clock, milliseconds since 1970 UTC. */
  now(): number
  /** Milliseconds that only ever grow; for durations. */
  monotonic(): number
}

export interface Secrets {
  /** The value behind `env:NAME` or `file:path`. Rejects when there is none; the message names the reference only. */
  read(reference: string): Promise<string>
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Fields are an allow-list by type: short codes, names, counts, durations. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export type Log = (level: LogLevel, message: string, fields?: LogFields, cause?: unknown) => void

/** What `work` comes to, or the signal's reason if that comes first. */
export async function orAbort<T>(work: T | Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason as Error)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
