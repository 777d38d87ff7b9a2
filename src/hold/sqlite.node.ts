/** The embedded state store: one SQLite file that several processes of one machine may share. */
import { closeSync, openSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { BUDGETS, type Amounts, type Budget, type Held, type Subject } from '../exchange.ts'
import { asFailure, Failure } from '../failure.ts'
import type { Clock } from '../runtime.ts'
import { Commits } from './commits.node.ts'
import type {
  AfterDecision,
  HoldDecision,
  HoldEntry,
  HoldFilter,
  HoldOutcome,
  HoldState,
  KeyClaim,
  KeyState,
  Moved,
  Reservation,
  Reserved,
  Settlement,
  Store,
} from './contract.ts'
import { reserved, settled } from './ledger.ts'
import { MIGRATIONS } from './schema.ts'
import { accountRow, holdEntry, storedOutcome, type AccountRow, type HoldRow } from './stored.ts'
import { Waiters } from './waiters.ts'

export interface SqliteOptions {
  /** The file; made if it is not there. Its folder must exist. */
  readonly path: string
  readonly clock: Clock
  /** The name of this gateway. */
  readonly writer: string
  /** How long a change may wait for another process's, in milliseconds. It blocks the event loop meanwhile. */
  readonly busyTimeoutMs?: number
}

const BUSY_MS = 2_000

/** How often what is waited for is looked at, for changes by other processes and by time alone. */
const POLL_MS = 250

/** Waits at once, entries of one listing, rows that one sweep moves or removes. */
const WAITS = 10_000
const LISTED = 1_000
const SWEPT = 1_000

/** How long counters are kept behind their day, for whoever wants to know. */
const BUDGETS_KEPT_MS = 7 * 86_400_000

/** What has run out of time reads as expired, swept or not. */
const STATE = `CASE WHEN state IN ('pending', 'approved') AND expires_at <= :now THEN 'expired' ELSE state END`
const ENTRY = 'id, exchange, created_at, expires_at, decisions, outcome'

const SQL = {
  // The hold itself is swept, and recorded, as any that ran out of time.
  release: `UPDATE holds SET request = NULL WHERE issuer = :issuer AND subject = :subject AND request = :request
            AND state IN ('pending', 'approved') AND expires_at <= :now`,
  same: `SELECT ${ENTRY}, ${STATE} AS state FROM holds WHERE issuer = :issuer AND subject = :subject AND request = :request
         AND state IN ('pending', 'approved') AND expires_at > :now`,
  open: `INSERT INTO holds (id, state, exchange, created_at, expires_at, issuer, subject, request)
         VALUES (:id, 'pending', :exchange, :now, :expires, :issuer, :subject, :request)
         ON CONFLICT DO NOTHING RETURNING ${ENTRY}, state`,
  pending: `SELECT count(*) AS pending FROM holds
            WHERE state = 'pending' AND issuer = :issuer AND subject = :subject AND expires_at > :now`,
  read: `SELECT ${ENTRY}, ${STATE} AS state FROM holds WHERE id = :id`,
  peek: `SELECT ${STATE} AS state FROM holds WHERE id = :id`,
  list: `SELECT ${ENTRY}, ${STATE} AS state FROM holds
         WHERE state = :stored AND (created_at, id) < (:before, :beforeId) AND ${STATE} IN (SELECT value FROM json_each(:states))
         ORDER BY created_at DESC, id DESC LIMIT :limit`,
  listAll: `SELECT ${ENTRY}, ${STATE} AS state FROM holds WHERE (created_at, id) < (:before, :beforeId)
            ORDER BY created_at DESC, id DESC LIMIT :limit`,
  decide: `UPDATE holds SET state = :to, decisions = :decisions
           WHERE id = :id AND state = 'pending' AND expires_at > :now RETURNING ${ENTRY}, state`,
  start: `UPDATE holds SET state = 'running', writer = :writer
          WHERE id = :id AND state = 'approved' AND expires_at > :now RETURNING ${ENTRY}, state`,
  void: `UPDATE holds SET state = 'voided', outcome = :outcome
         WHERE id = :id AND state IN ('pending', 'approved') AND expires_at > :now RETURNING ${ENTRY}, state`,
  settle: `UPDATE holds SET state = :to, outcome = :outcome WHERE id = :id AND state = 'unknown' RETURNING ${ENTRY}, state`,
  end: `UPDATE holds SET state = :to, outcome = :outcome WHERE id = :id AND state = 'running' RETURNING ${ENTRY}, state`,
  expire: `UPDATE holds SET state = 'expired' WHERE id IN (
             SELECT id FROM holds WHERE state IN ('pending', 'approved') AND expires_at <= :now LIMIT ${SWEPT})
           RETURNING ${ENTRY}, state`,
  abandon: `UPDATE holds SET state = 'unknown', outcome = :outcome WHERE state = 'running' AND writer = :writer
            RETURNING ${ENTRY}, state`,
  forget: 'DELETE FROM keys WHERE issuer = :issuer AND subject = :subject AND key = :key AND expires_at <= :now',
  claim: `INSERT INTO keys (issuer, subject, key, digest, exchange, outcome, claimed_at, expires_at, writer)
          VALUES (:issuer, :subject, :key, :digest, :exchange, :outcome, :now, :expires, :writer) ON CONFLICT DO NOTHING`,
  claimed: `SELECT digest, exchange, outcome FROM keys WHERE issuer = :issuer AND subject = :subject AND key = :key`,
  used: `SELECT used FROM budgets
         WHERE issuer = :issuer AND subject = :subject AND connection = :connection AND day = :day AND budget = :budget`,
  use: `INSERT INTO budgets (issuer, subject, connection, day, budget, used)
        VALUES (:issuer, :subject, :connection, :day, :budget, :amount)
        ON CONFLICT DO UPDATE SET used = used + excluded.used`,
  account: 'SELECT job, issuer, subject, connection, day, account, keep_until FROM reservations WHERE job = :job',
  book: `INSERT INTO reservations (job, issuer, subject, connection, day, account, keep_until)
         VALUES (:job, :issuer, :subject, :connection, :day, :account, :keepUntil)
         ON CONFLICT DO UPDATE SET account = excluded.account, keep_until = max(keep_until, excluded.keep_until)`,
  strike: 'DELETE FROM reservations WHERE job = :job',
  // Reservations that nobody settled leave only their counter, which stands.
  tidyReservations: `DELETE FROM reservations WHERE rowid IN (
                       SELECT rowid FROM reservations WHERE keep_until <= :old LIMIT ${SWEPT})`,
  tidyBudgets: `DELETE FROM budgets WHERE rowid IN (SELECT rowid FROM budgets WHERE day < :day LIMIT ${SWEPT})`,
  tidy: `DELETE FROM keys WHERE rowid IN (SELECT rowid FROM keys WHERE expires_at <= :now LIMIT ${SWEPT})`,
  pulse: 'INSERT INTO pulse (writer, at) VALUES (:writer, :now) ON CONFLICT (writer) DO UPDATE SET at = excluded.at',
} as const

type Values = Record<string, SQLInputValue>

/** Opens the store and brings its tables up to date. Rejects with `store-unavailable`. */
export function openSqliteStore(options: SqliteOptions): Promise<Store> {
  return opened(options.path, async () => {
    // Ours alone: SQLite gives its other files the rights of this one.
    closeSync(openSync(options.path, 'a', 0o600))
    const database = new DatabaseSync(options.path, { timeout: options.busyTimeoutMs ?? BUSY_MS })
    try {
      database.exec('PRAGMA journal_mode = WAL')
      database.exec('PRAGMA synchronous = FULL')
      migrate(database)
      return new SqliteStore(database, options.clock, options.writer)
    } catch (error) {
      database.close()
      throw error
    }
  })
}

function migrate(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > MIGRATIONS.length) {
      throw new Failure('store-unavailable', 'the state store was written by a newer version of Sluice', {
        fix: 'start that version, or name another file',
      })
    }
    for (const step of MIGRATIONS.slice(version)) database.exec(step)
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync
  readonly #clock: Clock
  readonly #writer: string
  readonly #commits: Commits
  readonly #waiters = new Waiters()
  readonly #statements: Readonly<Record<keyof typeof SQL, StatementSync>>
  #poll: ReturnType<typeof setInterval> | undefined
  #closed = false

  constructor(database: DatabaseSync, clock: Clock, writer: string) {
    this.#database = database
    this.#clock = clock
    this.#writer = writer
    this.#commits = new Commits(database)
    this.#statements = Object.fromEntries(
      Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]),
    ) as Record<keyof typeof SQL, StatementSync>
  }

  openHold(exchange: Held, most = Infinity, request?: string): Promise<HoldEntry> {
    const values = { id: exchange.id, exchange: JSON.stringify(exchange), expires: exchange.decision.expiresAt }
    const { issuer, subject } = exchange.principal
    return this.#write(() => {
      const now = this.#clock.now()
      const asked = { issuer, subject, request: request ?? null, now }
      this.#run('release', asked)
      const [same] = this.#entries('same', asked)
      if (same !== undefined) return same
      const [row] = this.#rows('open', { ...values, ...asked })
      if (row === undefined) throw new Failure('conflict', `hold \`${exchange.id}\` is there already`)
      // This one is among them; what throws here takes it back.
      const pending = Number(this.#statements.pending.get({ issuer, subject, now })?.['pending'])
      if (!(pending <= most)) {
        throw new Failure('too-many-requests', `${most} of your requests wait for a person already`, {
          fix: 'withdraw one: POST /v1/holds/{id}/withdraw; or wait until one is decided',
        })
      }
      return holdEntry(row)
    })
  }

  hold(id: string): Promise<HoldEntry | undefined> {
    return this.#read(() => this.#entry(id))
  }

  holds(filter: HoldFilter): Promise<readonly HoldEntry[]> {
    const { states, before } = filter
    const from = { before: before?.createdAt ?? Number.MAX_SAFE_INTEGER, beforeId: before?.id ?? '' }
    return this.#read(() => {
      const bounds = { now: this.#clock.now(), limit: Math.min(Math.max(Math.trunc(filter.limit), 0), LISTED), ...from }
      if (states === undefined) return this.#entries('listAll', bounds)
      // What reads as expired may be stored as what it was before. State by state, so that each is read in order from its
      // index and never sorted whole.
      const stored = new Set([...states, ...(states.includes('expired') ? ['pending', 'approved'] : [])])
      const rows = [...stored].flatMap((state) =>
        this.#rows('list', { ...bounds, stored: state, states: JSON.stringify(states) }),
      )
      return rows.toSorted(newestFirst).slice(0, bounds.limit).map(holdEntry)
    })
  }

  decideHold(id: string, decision: HoldDecision, after: AfterDecision): Promise<Moved> {
    return this.#move(id, () => {
      const entry = this.#entry(id)
      if (entry?.state !== 'pending') return []
      const decisions = [...entry.decisions, decision]
      const to = after(decisions)
      return this.#entries('decide', {
        id,
        to,
        decisions: JSON.stringify(decisions),
        now: this.#now(decision.at),
      })
    })
  }

  voidHold(id: string, outcome: HoldOutcome): Promise<Moved> {
    return this.#move(id, () => this.#entries('void', { id, outcome: JSON.stringify(outcome), now: this.#clock.now() }))
  }

  startHold(id: string, at: number, writer: string): Promise<Moved> {
    return this.#move(id, () => this.#entries('start', { id, writer, now: this.#now(at) }))
  }

  settleHold(id: string, to: 'done' | 'failed', outcome: HoldOutcome): Promise<Moved> {
    return this.#move(id, () => this.#entries('settle', { id, to, outcome: JSON.stringify(outcome) }))
  }

  endHold(
    id: string,
    to: 'done' | 'failed' | 'unknown',
    outcome: { readonly code: string; readonly detail: string },
  ): Promise<Moved> {
    return this.#move(id, () => this.#entries('end', { id, to, outcome: JSON.stringify(outcome) }))
  }

  async waitHold(id: string, state: HoldState, waitMs: number, signal: AbortSignal): Promise<HoldEntry | undefined> {
    if (this.#waiters.size >= WAITS)
      throw new Failure('overloaded', 'too many requests wait for holds', { retryAfter: 1 })
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = (): void => {
      // A store that cannot be read ends the wait; the read below then says so.
      if (this.#closed || this.#stateNow(id) !== state) resolve()
    }
    // Registered first: a change after the look finds the waiter, one before it is seen by the look.
    const remove = this.#waiters.add(id, look)
    this.#poll ??= setInterval(() => this.#waiters.wakeAll(), POLL_MS)
    const timer = setTimeout(() => resolve(), Math.max(waitMs, 0))
    const abort = (): void => resolve()
    signal.addEventListener('abort', abort, { once: true })
    try {
      if (signal.aborted) resolve()
      look()
      await promise
      return await this.hold(id)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      remove()
      if (this.#waiters.size === 0) this.#stopPolling()
    }
  }

  expireHolds(at: number): Promise<readonly HoldEntry[]> {
    return this.#moveMany(() => {
      this.#run('tidy', { now: at })
      const old = at - BUDGETS_KEPT_MS
      this.#run('tidyReservations', { old })
      this.#run('tidyBudgets', { day: new Date(old).toISOString().slice(0, 10) })
      return this.#entries('expire', { now: at })
    })
  }

  abandonRunning(writer: string): Promise<readonly HoldEntry[]> {
    const outcome = {
      code: 'gateway-ended',
      detail: 'the gateway ended while it ran; whether it took effect is not known',
    }
    return this.#moveMany(() => this.#entries('abandon', { writer, outcome: JSON.stringify(outcome) }))
  }

  claimKey(claim: KeyClaim): Promise<KeyState> {
    const key = keyValues(claim.owner, claim.key)
    const now = this.#now(claim.at)
    return this.#write(() => {
      this.#run('forget', { ...key, now })
      const claimed = this.#run('claim', {
        ...key,
        digest: claim.requestDigest,
        exchange: claim.exchange,
        outcome: JSON.stringify(claim.outcome),
        now,
        expires: claim.expiresAt,
        writer: this.#writer,
      })
      if (claimed === 1) return { state: 'fresh' }
      return keyState(this.#statements.claimed.get(key), claim.requestDigest)
    })
  }

  reserve(reservation: Reservation): Promise<Reserved> {
    return this.#write(() => {
      const { job, owner, connection, keepUntil } = reservation
      const there = this.#account(job)
      if (there !== undefined && !isOf(there, owner, connection)) {
        throw new Failure('internal', 'a job was reserved by another principal')
      }
      // A job that is there already is still of the day of its first reader.
      const page: Page = { ...owner, connection, day: there?.day ?? reservation.day }
      const step = reserved(there?.account, reservation, (budget) => this.#used(page, budget))
      if ('granted' in step) return step
      this.#use(page, step.moves)
      this.#run('book', { ...page, job, account: JSON.stringify(step.account), keepUntil })
      return { granted: true }
    })
  }

  used(owner: Subject, connection: string, day: string): Promise<Amounts> {
    const page: Page = { issuer: owner.issuer, subject: owner.subject, connection, day }
    return this.#read(() =>
      Object.fromEntries(
        BUDGETS.map((budget) => [budget, this.#used(page, budget)] as const).filter(([, amount]) => amount !== 0),
      ),
    )
  }

  settle(settlement: Settlement): Promise<void> {
    return this.#write(() => {
      const { job } = settlement
      const there = this.#account(job)
      const step = there === undefined ? undefined : settled(there.account, settlement)
      if (there === undefined || step === undefined) return
      const { account: _, keepUntil, ...page } = there
      this.#use(page, step.moves)
      const over = step.account.readers.length === 0 && keepUntil <= this.#clock.now()
      if (over) this.#run('strike', { job })
      else this.#run('book', { ...page, job, account: JSON.stringify(step.account), keepUntil })
    })
  }

  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#write(() => this.#run('pulse', { writer: this.#writer, now: this.#clock.now() }))
  }

  close(): Promise<void> {
    return guarded(async () => {
      if (this.#closed) return
      this.#commits.flush()
      this.#closed = true
      this.#stopPolling()
      this.#waiters.wakeAll()
      this.#database.close()
    })
  }

  /** Never before the caller's time, nor before ours: what is past either is past. */
  #now(at: number): number {
    return Math.max(at, this.#clock.now())
  }

  #entry(id: string): HoldEntry | undefined {
    const [entry] = this.#entries('read', { id, now: this.#clock.now() })
    return entry
  }

  /** `undefined` where there is no such hold, or none can be read. */
  #stateNow(id: string): unknown {
    try {
      return this.#statements.peek.get({ id, now: this.#clock.now() })?.['state']
    } catch {
      return undefined
    }
  }

  #rows(statement: keyof typeof SQL, values: Values): HoldRow[] {
    return this.#statements[statement].all(values)
  }

  #entries(statement: keyof typeof SQL, values: Values): readonly HoldEntry[] {
    return this.#rows(statement, values).map(holdEntry)
  }

  #account(job: string): AccountRow | undefined {
    const row = this.#statements.account.get({ job })
    return row === undefined ? undefined : accountRow(row)
  }

  #used(page: Page, budget: Budget): number {
    const row = this.#statements.used.get({ ...page, budget })
    return row === undefined ? 0 : Number(row['used'])
  }

  #use(page: Page, moves: Amounts): void {
    for (const [budget, amount] of Object.entries(moves)) this.#run('use', { ...page, budget, amount })
  }

  /** Rows changed. */
  #run(statement: keyof typeof SQL, values: Values): number {
    return Number(this.#statements[statement].run(values).changes)
  }

  async #move(id: string, change: () => readonly HoldEntry[]): Promise<Moved> {
    const moved = await this.#write((): Moved => {
      const [changed] = change()
      if (changed !== undefined) return { moved: true, entry: changed }
      const entry = this.#entry(id)
      if (entry === undefined) throw new Failure('not-found', `no hold \`${id}\``)
      return { moved: false, entry }
    })
    if (moved.moved) this.#waiters.wake(id)
    return moved
  }

  async #moveMany(change: () => readonly HoldEntry[]): Promise<readonly HoldEntry[]> {
    const entries = await this.#write(change)
    for (const { id } of entries) this.#waiters.wake(id)
    return entries
  }

  #read<Value>(work: () => Value): Promise<Value> {
    return guarded(async () => work())
  }

  #write<Value>(work: () => Value): Promise<Value> {
    return guarded(() => {
      if (this.#closed) throw new Failure('store-unavailable', 'the state store is closed')
      return this.#commits.write(work)
    })
  }

  #stopPolling(): void {
    clearInterval(this.#poll)
    this.#poll = undefined
  }
}

/** Whose budgets of which day. */
type Page = { readonly issuer: string; readonly subject: string; readonly connection: string; readonly day: string }

function isOf(row: AccountRow, owner: Subject, connection: string): boolean {
  return row.issuer === owner.issuer && row.subject === owner.subject && row.connection === connection
}

function newestFirst(a: HoldRow, b: HoldRow): number {
  const age = Number(b['created_at']) - Number(a['created_at'])
  return age === 0 ? (String(a['id']) < String(b['id']) ? 1 : -1) : age
}

function keyValues({ issuer, subject }: Subject, key: string): { issuer: string; subject: string; key: string } {
  return { issuer, subject, key }
}

function keyState(row: Record<string, unknown> | undefined, digest: string): KeyState {
  const exchange = row?.['exchange']
  if (row === undefined || typeof exchange !== 'string') {
    throw new Failure('store-unavailable', 'a stored idempotency key is damaged')
  }
  if (row['digest'] !== digest) return { state: 'conflict', exchange }
  return { state: 'taken', exchange, outcome: storedOutcome(row['outcome']) }
}

/** Says which file it is that cannot be opened, and what to do: whoever starts a gateway has nothing else to go by. */
async function opened(path: string, open: () => Promise<Store>): Promise<Store> {
  try {
    return await open()
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    throw new Failure('store-unavailable', `the state store \`${path}\` cannot be opened`, {
      cause,
      fix: 'see that it can be written and is whole; removed, it is made anew without the holds and keys that were in it',
    })
  }
}

/** What SQLite throws becomes `store-unavailable`; its message stays in the cause. */
async function guarded<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw asFailure(error, 'store-unavailable')
  }
}
