/**
 * chDB, which is ClickHouse as a library: one data folder per process, a connection per request.
 *
 * A connection is never used twice: settings that a request made stay on it, and after an error it may answer the next
 * query with what the failed one left behind.
 */
import { createRequire } from 'node:module'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** The addon's functions that we use (chdb 3.4.0). */
interface Addon {
  CreateConnection(path: string, args: readonly string[]): unknown
  CloseConnection(connection: unknown): void
  EngineVersion(): string
  QueryAsyncConnection(connection: unknown, sql: string, format: string): Promise<Answer>
  StreamQuery(connection: unknown, sql: string, format: string): unknown
  StreamFetch(stream: unknown): Promise<{ done: boolean; bytes: Buffer; numRows: number }>
  StreamCancel(stream: unknown): void
  DurableClassifyAsync(connection: unknown, sql: string, database: null): Promise<Classified>
}

export interface Answer {
  readonly bytes: Buffer
  /** Seconds. */
  readonly elapsed: number
  readonly rowsRead: number
  readonly bytesRead: number
}

interface Classified {
  /** 0: it does not parse. */
  readonly statementCount: number
  /** 0: reads only. */
  readonly queryClass: number
}

/** What ClickHouse says went wrong, in its own words. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const ARGUMENTS = ['--implicit_select=0']

/** How long a folder may stay locked by a process that was just killed. */
const LOCK_MS = 15_000

export class Engine {
  readonly #addon: Addon
  readonly #path: string
  /** Keeps the engine loaded; runs nothing of a client's. */
  readonly #own: unknown
  readonly #open = new Set<Session>()

  private constructor(addon: Addon, path: string, own: unknown) {
    this.#addon = addon
    this.#path = path
    this.#own = own
  }

  /** Opens the folder; waits a while for the lock of a process that has just ended. */
  static async open(folder: string): Promise<Engine> {
    const require = createRequire(createRequire(import.meta.url).resolve('chdb/package.json'))
    const addon = (require('./dist/loader.js') as { loadNative(): Addon }).loadNative()
    const path = join(folder, 'engine')
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const deadline = Date.now() + LOCK_MS
    for (;;) {
      try {
        return new Engine(addon, path, addon.CreateConnection(path, ARGUMENTS))
      } catch (error) {
        if (Date.now() > deadline || !/lock/i.test(String(error))) throw error
        await pause(100)
      }
    }
  }

  /** `26.7.2.1` */
  get version(): string {
    return this.#addon.EngineVersion().replaceAll('"', '')
  }

  /** How many statements `sql` is, by the engine's own parser, and whether it only reads. */
  async classify(sql: string): Promise<{ count: number; reads: boolean }> {
    const { statementCount, queryClass } = await engineErrors(() =>
      this.#addon.DurableClassifyAsync(this.#own, sql, null),
    )
    return { count: statementCount, reads: queryClass === 0 }
  }

  /** A connection of a request's own. The caller MUST close it. */
  session(): Session {
    const session = new Session(this.#addon, this.#path, () => this.#open.delete(session))
    this.#open.add(session)
    return session
  }

  /** Ends what runs under this id. */
  async kill(id: string): Promise<void> {
    await this.#addon.QueryAsyncConnection(
      this.#own,
      `KILL QUERY WHERE startsWith(query, ${literal(queryTag(id))}) ASYNC`,
      'Null',
    )
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((session) => session.close()))
    this.#addon.CloseConnection(this.#own)
  }
}

export class Session {
  readonly #addon: Addon
  readonly #connection: unknown
  readonly #closed: () => void
  #running: Promise<unknown> = Promise.resolve()
  #stream: unknown
  #ended = false

  constructor(addon: Addon, path: string, closed: () => void) {
    this.#addon = addon
    this.#connection = addon.CreateConnection(path, ARGUMENTS)
    this.#closed = closed
  }

  /** Runs a statement and gives its whole answer. */
  run(sql: string, format = 'Null'): Promise<Answer> {
    return this.#track(() => this.#addon.QueryAsyncConnection(this.#connection, sql, format))
  }

  /** Runs a statement and gives its answer piece by piece; only for formats without header or footer. */
  async *stream(sql: string, format: string): AsyncGenerator<Buffer> {
    this.#stream = await engineErrors(() => Promise.resolve(this.#addon.StreamQuery(this.#connection, sql, format)))
    for (;;) {
      const piece = await this.#track(() => this.#addon.StreamFetch(this.#stream))
      if (piece.done) {
        this.#stream = undefined
        return
      }
      yield piece.bytes
    }
  }

  #track<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#ended)
      return Promise.reject(
        new EngineError(394, 'Code: 394. DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)'),
      )
    const running = engineErrors(work)
    this.#running = running.catch(() => undefined)
    return running
  }

  /** Destroying a connection under a running call aborts the process, so this waits for it. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#running
    if (this.#stream !== undefined) this.#addon.StreamCancel(this.#stream)
    this.#addon.CloseConnection(this.#connection)
    this.#closed()
  }
}

async function engineErrors<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new EngineError(Number(/Code: (\d+)/.exec(message)?.[1] ?? 1002), message)
  }
}

/** Stands before a statement, so that it can be found and ended. The engine gives queries no ids of ours. */
export function queryTag(id: string): string {
  return `/*q:${id.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 200)}*/ `
}

/** A string in ClickHouse's SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
