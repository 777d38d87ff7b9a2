/** What a principal did before, for whoever weighs what it asks now: remembered for a minute, and never waited for long. */
import type { Habits, HabitReader } from './audit/contract.ts'
import type { Past, Principal, SqlStatement } from './exchange.ts'
import { orAbort, type Runtime } from './runtime.ts'

export interface History {
  /**
   * `undefined` where nobody can say, or not in time. Never rejects. Tells of what was answered: not of the exchange that
   * asks, and perhaps not yet of what was answered in the last minute or two.
   */
  past(of: Asking, statement: SqlStatement, signal: AbortSignal): Promise<Past | undefined>
}

export interface Asking {
  readonly principal: Principal
  readonly connection: string
}

export interface HistoryLimits {
  /** How far back it looks, milliseconds. */
  readonly spanMs: number
  /** How long what was read is remembered, and how long that it could not be read. */
  readonly keptMs: number
  readonly failedMs: number
  /** How long an exchange waits for it; the reading goes on for the next one. */
  readonly waitMs: number
  readonly readMs: number
  /** Principals and connections that are remembered, and read of at once. */
  readonly entries: number
  readonly readings: number
}

export const HISTORY_LIMITS: HistoryLimits = {
  spanMs: 30 * 86_400_000,
  keptMs: 60_000,
  failedMs: 10_000,
  waitMs: 500,
  readMs: 5000,
  entries: 200,
  readings: 4,
}

interface Known {
  readonly since: number
  /** Absent: they could not be read. */
  readonly habits?: Habits
  /** By the clock that only grows. */
  readonly until: number
}

/** Asks `reader` once for each principal and connection, and keeps the answer for a while. */
export function createHistory(
  reader: HabitReader,
  runtime: Pick<Runtime, 'clock' | 'log'>,
  limits: HistoryLimits = HISTORY_LIMITS,
): History {
  return new Remembered(reader, runtime, limits)
}

class Remembered implements History {
  readonly #reader: HabitReader
  readonly #runtime: Pick<Runtime, 'clock' | 'log'>
  readonly #limits: HistoryLimits
  /** In the order in which they were read. */
  readonly #known = new Map<string, Known>()
  readonly #readings = new Map<string, Promise<Known>>()
  #failing = false
  #quietUntil = Number.NEGATIVE_INFINITY

  constructor(reader: HabitReader, runtime: Pick<Runtime, 'clock' | 'log'>, limits: HistoryLimits) {
    this.#reader = reader
    this.#runtime = runtime
    this.#limits = limits
  }

  async past(of: Asking, statement: SqlStatement, signal: AbortSignal): Promise<Past | undefined> {
    const key = keyOf(of)
    const known = this.#known.get(key)
    if (known !== undefined && this.#runtime.clock.monotonic() < known.until) return pastOf(known, statement)
    const reading = this.#readings.get(key) ?? this.#begin(key, of)
    if (reading === undefined) return undefined
    try {
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(this.#limits.waitMs)])
      return pastOf(await orAbort(reading, inTime), statement)
    } catch (error) {
      // Who has left has nothing to say about it.
      if (!signal.aborted) this.#failed('late', error)
      return undefined
    }
  }

  /** Nothing where enough is read already: a slow ClickHouse must not gather what waits for it. */
  #begin(key: string, of: Asking): Promise<Known> | undefined {
    if (this.#readings.size >= this.#limits.readings) return undefined
    const reading = this.#read(of).then((known) => {
      this.#readings.delete(key)
      this.#keep(key, known)
      return known
    })
    this.#readings.set(key, reading)
    return reading
  }

  /** Never rejects. */
  async #read({ principal, connection }: Asking): Promise<Known> {
    const { clock, log } = this.#runtime
    const { spanMs, readMs, keptMs, failedMs } = this.#limits
    const since = clock.now() - spanMs
    try {
      const signal = AbortSignal.timeout(readMs)
      const habits = await orAbort(this.#reader.habits({ principal, connection, since }, signal), signal)
      if (this.#failing) log('info', 'what principals did before is known again')
      this.#failing = false
      return { since, habits, until: clock.monotonic() + keptMs }
    } catch (error) {
      this.#failed('failed', error)
      return { since, until: clock.monotonic() + failedMs }
    }
  }

  #keep(key: string, known: Known): void {
    this.#known.delete(key)
    this.#known.set(key, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > this.#limits.entries && oldest !== undefined) this.#known.delete(oldest)
  }

  /** Once, until it works again; and where it is late again and again, once a while. */
  #failed(how: string, error: unknown): void {
    const now = this.#runtime.clock.monotonic()
    if (this.#failing || now < this.#quietUntil) return
    this.#failing = true
    this.#quietUntil = now + this.#limits.keptMs
    this.#runtime.log('warn', 'what principals did before is not known; risk is weighed without it', { how }, error)
  }
}

function pastOf({ since, habits }: Known, { shape, uses }: SqlStatement): Past | undefined {
  if (habits === undefined) return undefined
  const touched = [...new Set(uses.map(({ resource }) => resource))].sort()
  return {
    since,
    exchanges: habits.exchanges,
    sameShape: shape === undefined ? 0 : (habits.shapes.get(shape) ?? 0),
    hours: habits.hours,
    ...(habits.bytesP95 !== undefined && { bytesP95: habits.bytesP95 }),
    tables: touched.filter((resource) => habits.tables.has(resource)),
  }
}

function keyOf({ principal: { issuer, subject, actsFor }, connection }: Asking): string {
  return JSON.stringify([connection, issuer, subject, actsFor?.issuer, actsFor?.subject])
}
