/**
 * Schemas and view definitions of a connection, remembered for a while.
 *
 *     bind ──▶ table(path) ──▶ remembered? ──▶ answer
 *                                  └── no ──▶ one question upstream, however many ask ──▶ remembered, answered
 */
import type { Table, TablePath } from '../exchange.ts'
import { Failure } from '../failure.ts'
import { orAbort, type Clock } from '../runtime.ts'
import { createTagger, type TagOptions } from './tags.ts'

/** Schemas as the upstream holds them. */
export interface Metadata {
  /** `undefined` where there is no such table. */
  table(path: TablePath, signal: AbortSignal): Promise<Table | undefined>
  datasets(signal: AbortSignal): Promise<readonly string[]>
  tables(dataset: string, signal: AbortSignal): Promise<readonly TablePath[]>
}

export interface CatalogOptions extends TagOptions {
  /** How long a schema is believed, in milliseconds. */
  readonly ttlMs: number
  /** How long it is believed that there is no such table, in milliseconds. Default: `ttlMs`, at most 5,000. */
  readonly absentMs?: number
  /** Tables that are remembered; the least used goes first. Default 10,000. */
  readonly maxEntries?: number
  /** Longest that one question upstream may take, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number
  readonly clock: Pick<Clock, 'monotonic'>
}

export interface Catalog {
  /** `undefined` where there is no such table. Rejects when the warehouse cannot be asked: nothing stale is served. */
  table(path: TablePath, signal: AbortSignal): Promise<Table | undefined>
  /** Every table of the connection's own project, by dataset and name. */
  list(signal: AbortSignal): Promise<readonly TablePath[]>
  /** Forgets a table, and the list with it; without a path, everything. */
  invalidate(path?: TablePath): void
}

const ABSENT_MS = 5_000
const MAX_ENTRIES = 10_000
const TIMEOUT_MS = 30_000
/** Datasets whose tables are listed at the same time. */
const LISTED_AT_ONCE = 8
/** Tables that a list may have. */
const MAX_LISTED = 200_000

export function createCatalog(metadata: Metadata, options: CatalogOptions): Catalog {
  const { ttlMs, clock, maxEntries = MAX_ENTRIES, timeoutMs = TIMEOUT_MS } = options
  const absentMs = options.absentMs ?? Math.min(ttlMs, ABSENT_MS)
  const tag = createTagger(options)
  const tables = new Memory<Table | undefined>(clock, maxEntries, timeoutMs)
  const lists = new Memory<readonly TablePath[]>(clock, 1, timeoutMs)
  return {
    table: (path, signal) =>
      tables.get(
        keyOf(path),
        async (limit) => {
          const table = await metadata.table(path, limit)
          return table === undefined ? undefined : tag(table)
        },
        (table) => (table === undefined ? absentMs : ttlMs),
        signal,
      ),
    list: (signal) =>
      lists.get(
        'all',
        (limit) => listAll(metadata, limit),
        () => ttlMs,
        signal,
      ),
    invalidate(path) {
      if (path === undefined) tables.clear()
      else tables.forget(keyOf(path))
      lists.clear()
    },
  }
}

/** No part of a path holds a NUL. */
function keyOf({ project, dataset, table }: TablePath): string {
  return `${project}\0${dataset}\0${table}`
}

async function listAll(metadata: Metadata, signal: AbortSignal): Promise<readonly TablePath[]> {
  const datasets = [...(await metadata.datasets(signal))].sort()
  const listed: TablePath[] = []
  for (let at = 0; at < datasets.length; at += LISTED_AT_ONCE) {
    const some = datasets.slice(at, at + LISTED_AT_ONCE)
    for (const tables of await Promise.all(some.map((dataset) => metadata.tables(dataset, signal)))) {
      for (const table of [...tables].sort((a, b) => (a.table < b.table ? -1 : 1))) listed.push(table)
    }
    if (listed.length > MAX_LISTED)
      throw new Failure('upstream-failed', 'the warehouse has more tables than can be listed')
  }
  return listed
}

interface Entry<Value> {
  readonly value: Value
  /** On the monotonic clock. */
  readonly until: number
}

/** A bounded memory of answers that are good for a while; what is being asked is asked once. */
class Memory<Value> {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #maxEntries: number
  readonly #timeoutMs: number
  readonly #entries = new Map<string, Entry<Value>>()
  readonly #asking = new Map<string, Promise<Value>>()

  constructor(clock: Pick<Clock, 'monotonic'>, maxEntries: number, timeoutMs: number) {
    this.#clock = clock
    this.#maxEntries = maxEntries
    this.#timeoutMs = timeoutMs
  }

  /**
   * What is remembered under `key`, or what `ask` answers, which is remembered for `ttl` of it. An error is not
   * remembered. Whoever's `signal` aborts leaves; the question goes on for the others, under a deadline of its own.
   */
  async get(
    key: string,
    ask: (signal: AbortSignal) => Promise<Value>,
    ttl: (value: Value) => number,
    signal: AbortSignal,
  ): Promise<Value> {
    signal.throwIfAborted()
    const known = this.#entries.get(key)
    if (known !== undefined) {
      this.#entries.delete(key)
      if (known.until > this.#clock.monotonic()) {
        this.#entries.set(key, known)
        return known.value
      }
    }
    return orAbort(this.#asking.get(key) ?? this.#ask(key, ask, ttl), signal)
  }

  forget(key: string): void {
    this.#entries.delete(key)
    this.#asking.delete(key)
  }

  clear(): void {
    this.#entries.clear()
    this.#asking.clear()
  }

  #ask(key: string, ask: (signal: AbortSignal) => Promise<Value>, ttl: (value: Value) => number): Promise<Value> {
    const since = this.#clock.monotonic()
    const asked = ask(AbortSignal.timeout(this.#timeoutMs))
    const asking = asked.then(
      (value) => {
        // Forgotten meanwhile: the answer may be from before whatever changed.
        if (this.#asking.get(key) === asking) {
          this.#asking.delete(key)
          this.#remember(key, { value, until: since + ttl(value) })
        }
        return value
      },
      (error: unknown) => {
        if (this.#asking.get(key) === asking) this.#asking.delete(key)
        throw error
      },
    )
    this.#asking.set(key, asking)
    return asking
  }

  #remember(key: string, entry: Entry<Value>): void {
    this.#entries.set(key, entry)
    if (this.#entries.size <= this.#maxEntries) return
    const oldest = this.#entries.keys().next()
    if (oldest.done !== true) this.#entries.delete(oldest.value)
  }
}
