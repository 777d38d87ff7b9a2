/**
 * Budgets: what a principal may spend on a connection in one UTC day. Set aside before anything runs, as the most that
 * it may come to; when it has ended, what it truly came to is counted. What nobody can count stays set aside.
 */
import { BUDGETS, type Amounts, type Budget, type SqlStatement, type Statement, type Statistics } from './exchange.ts'
import { Failure } from './failure.ts'
import type { Reserved, Store } from './hold/contract.ts'
import type { Foreseen, Ready } from './journey.ts'
import type { Runtime } from './runtime.ts'

const DAY_MS = 86_400_000
const MEBIBYTE = 1_048_576

/** What a warehouse bills at least for each table that is read: dry runs leave it out. */
const LEAST_BILLED = 10 * MEBIBYTE

/** Statements of which a dry run cannot say what they read. */
const UNFORESEEN: ReadonlySet<string> = new Set(['SCRIPT', 'CALL', 'EXECUTE_IMMEDIATE'])

/** What one reader of one job has set aside. */
export interface Spending {
  /**
   * Counts `spent` instead, and all that was set aside of a budget that is missing there. `whole`: the answer was read
   * to its end. Never rejects: what cannot be settled stays set aside. Only the first call counts.
   */
  settle(spent: Amounts, whole: boolean): Promise<void>
}

/** For what has no budget, and for what was never set aside. */
export const NO_SPENDING: Spending = { settle: async () => {} }

/** How a budget of today stands, and the most that one request may take of it. */
export interface Standing {
  readonly budget: Budget
  readonly limit: number
  readonly used: number
  readonly takes: number
}

export class Treasury {
  readonly #store: Store
  readonly #runtime: Runtime
  readonly #keyMs: number

  /** `keyMs`: how long the job of an idempotency key may be read again. */
  constructor(store: Store, runtime: Runtime, keyMs: number) {
    this.#store = store
    this.#runtime = runtime
    this.#keyMs = keyMs
  }

  /** Sets aside what reading `job` may come to. Throws `budget-exhausted`, or `store-unavailable`: then nothing may run. */
  async reserve({ exchange, narrowed, budgets }: Ready, job: string, repeatable: boolean): Promise<Spending> {
    const limited = Object.keys(budgets) as Budget[]
    if (limited.length === 0) return NO_SPENDING
    const { issuer, subject } = exchange.principal
    const now = this.#runtime.clock.now()
    const most = mostOf(narrowed)
    const reserved = await this.#store.reserve({
      owner: { issuer, subject },
      connection: exchange.connection,
      job,
      reader: exchange.id,
      day: dayOf(now),
      amounts: Object.fromEntries(limited.map((budget) => [budget, most[budget]])),
      limits: budgets,
      keepUntil: repeatable ? now + this.#keyMs : now,
    })
    if (!reserved.granted) throw exhausted(reserved, exchange.connection, now)
    return { settle: (spent, whole) => this.#settle(job, exchange.id, spent, whole) }
  }

  /** Each budget that binds what was foreseen; sets nothing aside. None where the store cannot say: nothing hangs on it. */
  async standing({ exchange, narrowed, budgets }: Foreseen): Promise<readonly Standing[]> {
    if (narrowed === undefined || budgets === undefined || Object.keys(budgets).length === 0) return []
    const { id, principal, connection } = exchange
    let used: Amounts
    try {
      used = await this.#store.used(principal, connection, dayOf(this.#runtime.clock.now()))
    } catch (error) {
      this.#runtime.log('warn', 'the budgets cannot be told', { exchange: id }, error)
      return []
    }
    const most = mostOf(narrowed)
    return BUDGETS.flatMap((budget) => {
      const limit = budgets[budget]
      return limit === undefined ? [] : [{ budget, limit, used: used[budget] ?? 0, takes: most[budget] }]
    })
  }

  async #settle(job: string, reader: string, spent: Amounts, whole: boolean): Promise<void> {
    try {
      await this.#store.settle({ job, reader, spent, whole })
    } catch (error) {
      this.#runtime.log('warn', 'a budget was not settled', { exchange: reader }, error)
    }
  }
}

/** The most that running it may come to. */
export function mostOf(statement: Statement): Required<Amounts> {
  if (statement.language === 'http') return { queries: 1, rows: 0, bytesBilled: 0 }
  const { kind, bounds, estimate } = statement
  // Only a SELECT answers rows; where nobody has said what it is, it may.
  const answers = estimate === undefined || kind === 'SELECT' || UNFORESEEN.has(kind)
  return { queries: 1, rows: answers ? bounds.maxRows : 0, bytesBilled: mostBytes(statement) }
}

function mostBytes({ kind, bounds, estimate }: SqlStatement): number {
  if (estimate === undefined || UNFORESEEN.has(kind)) return bounds.maxBytesBilled
  const rounded = Math.ceil(estimate.bytes / MEBIBYTE) * MEBIBYTE
  return Math.min(bounds.maxBytesBilled, Math.max(rounded, estimate.tables.length * LEAST_BILLED))
}

/** What an answer that has ended, whole or cut, came to. Bytes that the upstream does not tell stay set aside. */
export function spentOn(rows: number, { bytesBilled, cacheHit }: Statistics): Amounts {
  const bytes = bytesBilled ?? (cacheHit === true ? 0 : undefined)
  return { rows, ...(bytes !== undefined && { bytesBilled: bytes }) }
}

/** The UTC day: `2026-01-31`. */
function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

function exhausted(
  { budget, limit, used, asked }: Exclude<Reserved, { granted: true }>,
  connection: string,
  now: number,
): Failure {
  const left = Math.max(limit - used, 0)
  return new Failure(
    'budget-exhausted',
    `your budget of \`${budget}\` on \`${connection}\` is ${limit} per day; ${used} are used, and this request may take ${asked}`,
    { fix: fixOf(budget, left), retryAfter: Math.ceil((DAY_MS - (now % DAY_MS)) / 1000) },
  )
}

function fixOf(budget: Budget, left: number): string {
  const later = 'ask again after midnight UTC'
  if (left === 0 || budget === 'queries') return later
  return budget === 'rows'
    ? `ask for fewer rows with \`maxRows\`: ${left} are left; or ${later}`
    : `read fewer bytes, by fewer columns or a filter on the partition: ${left} are left; or ${later}`
}
