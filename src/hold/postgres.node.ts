/** The state store of several gateways: PostgreSQL, over one pool, with LISTEN and NOTIFY to wake who waits on any of them. */
import postgres, { type Sql, type TransactionSql } from 'postgres'
import { BUDGETS, type Amounts, type Budget, type Held, type Subject } from '../exchange.ts'
import { asFailure, Failure } from '../failure.ts'
import type { Clock, Log } from '../runtime.ts'
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
import { POSTGRES_MIGRATIONS } from './schema.ts'
import { accountRow, holdEntry, storedOutcome, type AccountRow, type HoldRow } from './stored.ts'
import { Waiters } from './waiters.ts'

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with `?sslmode=…`. */
  readonly url: string
  /** The schema of its tables, a plain name; made where it is not there. */
  readonly schema: string
  readonly clock: Clock
  readonly log: Log
  /** The name of this gateway. */
  readonly writer: string
  /** Connections at once, besides the one that listens. */
  readonly connections?: number
  /** Longest that one statement may take, in milliseconds. */
  readonly statementMs?: number
}

const CONNECTIONS = 10
const STATEMENT_MS = 10_000
const CONNECT_SECONDS = 10

/** How often what is waited for is looked at, for changes by time alone and notifications that were lost. */
const POLL_MS = 2_000

/** Waits at once, entries of one listing, rows that one sweep moves or removes. */
const WAITS = 10_000
const LISTED = 1_000
const SWEPT = 1_000

/** How long counters are kept behind their day. */
const BUDGETS_KEPT_MS = 7 * 86_400_000

/** Names the channel and the locks; any number will do as long as all gateways have the same. */
const CHANNEL = 'sluice_holds'
const MIGRATING = 7_151_823

type Tx = TransactionSql<{ bigint: number }>
type Db = Sql<{ bigint: number }>

/** Opens the store and brings its tables up to date, which any number of gateways may do at once. Rejects with `store-unavailable`. */
export async function openPostgresStore(options: PostgresOptions): Promise<Store> {
  const { url, schema, connections = CONNECTIONS, statementMs = STATEMENT_MS } = options
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new Failure('store-unavailable', 'the schema has no plain name')
  const bigint = { to: 20, from: [20], parse: Number, serialize: String }
  const sql: Db = postgres(url, {
    max: connections,
    connect_timeout: CONNECT_SECONDS,
    idle_timeout: 0,
    max_lifetime: null,
    onnotice: () => {},
    types: { bigint },
    connection: { search_path: schema, statement_timeout: statementMs, application_name: 'sluice' },
  })
  try {
    await migrate(sql, schema)
    const store = new PostgresStore(sql, options)
    await store.listen()
    return store
  } catch (cause) {
    await sql.end({ timeout: 1 }).catch(() => {})
    if (cause instanceof Failure) throw cause
    throw new Failure('store-unavailable', 'the state store in PostgreSQL cannot be opened', {
      cause,
      fix: 'see that it answers at `store.url`, and that its user may create the schema, or owns it',
    })
  }
}

/** One gateway at a time: the others find it done. */
async function migrate(sql: Db, schema: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(${MIGRATING})`
    const [there] = await tx`SELECT 1 FROM information_schema.schemata WHERE schema_name = ${schema}`
    if (there === undefined) await tx`CREATE SCHEMA ${tx(schema)}`
    await tx`CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())`
    const [row] = await tx`SELECT coalesce(max(version), 0)::int AS version FROM migrations`
    const version = Number(row?.['version'])
    if (version > POSTGRES_MIGRATIONS.length) {
      throw new Failure('store-unavailable', 'the state store was written by a newer version of Sluice', {
        fix: 'start that version',
      })
    }
    for (const [i, step] of POSTGRES_MIGRATIONS.entries()) {
      if (i < version) continue
      await tx.unsafe(step)
      await tx`INSERT INTO migrations (version) VALUES (${i + 1})`
    }
  })
}

class PostgresStore implements Store {
  readonly #sql: Db
  readonly #clock: Clock
  readonly #log: Log
  readonly #writer: string
  readonly #waiters = new Waiters()
  #poll: ReturnType<typeof setInterval> | undefined
  #closed = false

  constructor(sql: Db, { clock, log, writer }: PostgresOptions) {
    this.#sql = sql
    this.#clock = clock
    this.#log = log
    this.#writer = writer
  }

  /** Hears of every hold that any gateway changes. What was missed while the connection was lost is looked at once it is back. */
  async listen(): Promise<void> {
    await this.#sql.listen(
      CHANNEL,
      (id) => this.#waiters.wake(id),
      () => this.#waiters.wakeAll(),
    )
  }

  openHold(exchange: Held, most = Infinity, request?: string): Promise<HoldEntry> {
    const { issuer, subject } = exchange.principal
    return this.#transaction(async (tx) => {
      // Of one principal one after the other: else two that race would each count without the other.
      await lock(tx, `pending ${issuer} ${subject}`)
      const now = this.#clock.now()
      if (request !== undefined) {
        // The hold itself is swept, and recorded, as any that ran out of time.
        await tx`UPDATE holds SET request = NULL WHERE issuer = ${issuer} AND subject = ${subject} AND request = ${request}
          AND state IN ('pending', 'approved') AND expires_at <= ${now}`
        const [same] = await tx<HoldRow[]>`SELECT ${entryColumns(tx)}, state FROM holds
          WHERE issuer = ${issuer} AND subject = ${subject} AND request = ${request} AND state IN ('pending', 'approved')`
        if (same !== undefined) return holdEntry(same)
      }
      const [row] = await tx<HoldRow[]>`
        INSERT INTO holds (id, state, exchange, created_at, expires_at, issuer, subject, request)
        VALUES (${exchange.id}, 'pending', ${JSON.stringify(exchange)}, ${now}, ${exchange.decision.expiresAt}, ${issuer}, ${subject}, ${request ?? null})
        ON CONFLICT DO NOTHING RETURNING ${entryColumns(tx)}, state`
      if (row === undefined) throw new Failure('conflict', `hold \`${exchange.id}\` is there already`)
      const [counted] = await tx`SELECT count(*)::int AS pending FROM holds
        WHERE state = 'pending' AND issuer = ${issuer} AND subject = ${subject} AND expires_at > ${now}`
      if (!(Number(counted?.['pending']) <= most)) {
        throw new Failure('too-many-requests', `${most} of your requests wait for a person already`, {
          fix: 'withdraw one: POST /v1/holds/{id}/withdraw; or wait until one is decided',
        })
      }
      return holdEntry(row)
    })
  }

  hold(id: string): Promise<HoldEntry | undefined> {
    return guarded(() => this.#entry(this.#sql, id))
  }

  holds({ states, before, limit }: HoldFilter): Promise<readonly HoldEntry[]> {
    const most = Math.min(Math.max(Math.trunc(limit), 0), LISTED)
    const [at, id] = [before?.createdAt ?? Number.MAX_SAFE_INTEGER, before?.id ?? '']
    return guarded(async () => {
      const sql = this.#sql
      const read = stateNow(sql, this.#clock.now())
      // What reads as expired may be stored as what it was before: both are looked for by the index.
      const stored = states && [...new Set([...states, ...(states.includes('expired') ? ['pending', 'approved'] : [])])]
      const rows = await sql<HoldRow[]>`
        SELECT ${entryColumns(sql)}, ${read} AS state FROM holds
        WHERE (created_at, id) < (${at}, ${id})
          ${stored === undefined ? sql`` : sql`AND state = ANY(${stored}) AND ${read} = ANY(${[...(states ?? [])]})`}
        ORDER BY created_at DESC, id DESC LIMIT ${most}`
      return rows.map(holdEntry)
    })
  }

  decideHold(id: string, decision: HoldDecision, after: AfterDecision): Promise<Moved> {
    return this.#move(id, async (tx, entry) => {
      if (entry.state !== 'pending') return undefined
      const decisions = [...entry.decisions, decision]
      const to = after(decisions)
      return tx<HoldRow[]>`UPDATE holds SET state = ${to}, decisions = ${JSON.stringify(decisions)}
        WHERE id = ${id} AND state = 'pending' AND expires_at > ${this.#now(decision.at)} RETURNING ${entryColumns(tx)}, state`
    })
  }

  voidHold(id: string, outcome: HoldOutcome): Promise<Moved> {
    return this.#move(
      id,
      (tx) => tx<HoldRow[]>`UPDATE holds SET state = 'voided', outcome = ${JSON.stringify(outcome)}
        WHERE id = ${id} AND state IN ('pending', 'approved') AND expires_at > ${this.#clock.now()}
        RETURNING ${entryColumns(tx)}, state`,
    )
  }

  startHold(id: string, at: number, writer: string): Promise<Moved> {
    return this.#move(
      id,
      (tx) => tx<HoldRow[]>`UPDATE holds SET state = 'running', writer = ${writer}
        WHERE id = ${id} AND state = 'approved' AND expires_at > ${this.#now(at)} RETURNING ${entryColumns(tx)}, state`,
    )
  }

  settleHold(id: string, to: 'done' | 'failed', outcome: HoldOutcome): Promise<Moved> {
    return this.#move(
      id,
      (tx) => tx<HoldRow[]>`UPDATE holds SET state = ${to}, outcome = ${JSON.stringify(outcome)}
        WHERE id = ${id} AND state = 'unknown' RETURNING ${entryColumns(tx)}, state`,
    )
  }

  endHold(id: string, to: 'done' | 'failed' | 'unknown', outcome: HoldOutcome): Promise<Moved> {
    return this.#move(
      id,
      (tx) => tx<HoldRow[]>`UPDATE holds SET state = ${to}, outcome = ${JSON.stringify(outcome)}
        WHERE id = ${id} AND state = 'running' RETURNING ${entryColumns(tx)}, state`,
    )
  }

  async waitHold(id: string, state: HoldState, waitMs: number, signal: AbortSignal): Promise<HoldEntry | undefined> {
    if (this.#waiters.size >= WAITS) {
      throw new Failure('overloaded', 'too many requests wait for holds', { retryAfter: 1 })
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = (): void => void this.#look(id, state, resolve)
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

  /** Ends the wait where the hold has moved. A store that cannot be read ends it as well: the read behind it says so. */
  async #look(id: string, state: HoldState, end: () => void): Promise<void> {
    try {
      const entry = this.#closed ? undefined : await this.#entry(this.#sql, id)
      if (entry?.state !== state) end()
    } catch (error) {
      this.#log('warn', 'a hold that is waited for cannot be read', {}, error)
      end()
    }
  }

  expireHolds(at: number): Promise<readonly HoldEntry[]> {
    const old = at - BUDGETS_KEPT_MS
    return this.#moveMany(async (tx) => {
      await tx`DELETE FROM keys WHERE ctid IN (SELECT ctid FROM keys WHERE expires_at <= ${at} LIMIT ${SWEPT})`
      await tx`DELETE FROM reservations WHERE ctid IN (SELECT ctid FROM reservations WHERE keep_until <= ${old} LIMIT ${SWEPT})`
      await tx`DELETE FROM budgets WHERE ctid IN (
        SELECT ctid FROM budgets WHERE day < ${new Date(old).toISOString().slice(0, 10)} LIMIT ${SWEPT})`
      // Rows that another gateway is just moving are its own.
      return tx<HoldRow[]>`UPDATE holds SET state = 'expired' WHERE id IN (
          SELECT id FROM holds WHERE state IN ('pending', 'approved') AND expires_at <= ${at}
          LIMIT ${SWEPT} FOR UPDATE SKIP LOCKED)
        RETURNING ${entryColumns(tx)}, state`
    })
  }

  abandonRunning(writer: string): Promise<readonly HoldEntry[]> {
    const outcome = {
      code: 'gateway-ended',
      detail: 'the gateway ended while it ran; whether it took effect is not known',
    }
    return this.#moveMany(
      (tx) => tx<HoldRow[]>`UPDATE holds SET state = 'unknown', outcome = ${JSON.stringify(outcome)}
        WHERE state = 'running' AND writer = ${writer} RETURNING ${entryColumns(tx)}, state`,
    )
  }

  claimKey({ owner, key, at, ...claim }: KeyClaim): Promise<KeyState> {
    const { issuer, subject } = owner
    const now = this.#now(at)
    return this.#transaction(async (tx) => {
      await tx`DELETE FROM keys
        WHERE issuer = ${issuer} AND subject = ${subject} AND key = ${key} AND expires_at <= ${now}`
      const claimed = await tx`
        INSERT INTO keys (issuer, subject, key, digest, exchange, outcome, claimed_at, expires_at, writer)
        VALUES (${issuer}, ${subject}, ${key}, ${claim.requestDigest}, ${claim.exchange}, ${JSON.stringify(claim.outcome)},
          ${now}, ${claim.expiresAt}, ${this.#writer})
        ON CONFLICT DO NOTHING`
      if (claimed.count === 1) return { state: 'fresh' }
      const [row] = await tx`SELECT digest, exchange, outcome FROM keys
        WHERE issuer = ${issuer} AND subject = ${subject} AND key = ${key}`
      const exchange: unknown = row?.['exchange']
      if (row === undefined || typeof exchange !== 'string') {
        throw new Failure('store-unavailable', 'a stored idempotency key is damaged')
      }
      if (row['digest'] !== claim.requestDigest) return { state: 'conflict', exchange }
      return { state: 'taken', exchange, outcome: storedOutcome(row['outcome']) }
    })
  }

  reserve(reservation: Reservation): Promise<Reserved> {
    const { job, owner, connection, keepUntil } = reservation
    return this.#transaction(async (tx) => {
      await lock(tx, budgetLock(owner, connection))
      const there = await account(tx, job)
      if (there !== undefined && !isOf(there, owner, connection)) {
        throw new Failure('internal', 'a job was reserved by another principal')
      }
      // A job that is there already is still of the day of its first reader.
      const page: Page = { ...owner, connection, day: there?.day ?? reservation.day }
      const amounts = await usedOf(tx, page)
      const step = reserved(there?.account, reservation, (budget) => amounts[budget] ?? 0)
      if ('granted' in step) return step
      await use(tx, page, step.moves)
      await book(tx, page, job, JSON.stringify(step.account), keepUntil)
      return { granted: true }
    })
  }

  used(owner: Subject, connection: string, day: string): Promise<Amounts> {
    const page: Page = { issuer: owner.issuer, subject: owner.subject, connection, day }
    return guarded(async () => {
      const amounts = await usedOf(this.#sql, page)
      return Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount !== 0))
    })
  }

  settle(settlement: Settlement): Promise<void> {
    const { job } = settlement
    return this.#transaction(async (tx) => {
      const whose = await account(tx, job)
      if (whose === undefined) return
      await lock(tx, budgetLock(whose, whose.connection))
      // As it is now that nobody else changes it.
      const there = await account(tx, job)
      const step = there === undefined ? undefined : settled(there.account, settlement)
      if (there === undefined || step === undefined) return
      const { account: _, keepUntil, ...page } = there
      await use(tx, page, step.moves)
      const over = step.account.readers.length === 0 && keepUntil <= this.#clock.now()
      if (over) await tx`DELETE FROM reservations WHERE job = ${job}`
      else await book(tx, page, job, JSON.stringify(step.account), keepUntil)
    })
  }

  ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return guarded(async () => {
      // A write: a replica that only reads is not ready.
      await this.#sql`INSERT INTO pulse (writer, at) VALUES (${this.#writer}, ${this.#clock.now()})
        ON CONFLICT (writer) DO UPDATE SET at = excluded.at`
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#stopPolling()
    this.#waiters.wakeAll()
    await this.#sql.end({ timeout: 5 })
  }

  /** Never before the caller's time, nor before ours: what is past either is past. */
  #now(at: number): number {
    return Math.max(at, this.#clock.now())
  }

  async #entry(sql: Db | Tx, id: string): Promise<HoldEntry | undefined> {
    const [row] = await sql<HoldRow[]>`
      SELECT ${entryColumns(sql)}, ${stateNow(sql, this.#clock.now())} AS state FROM holds WHERE id = ${id}`
    return row === undefined ? undefined : holdEntry(row)
  }

  /** One conditional update of a row that nobody else changes meanwhile. */
  async #move(
    id: string,
    change: (tx: Tx, entry: HoldEntry) => PromiseLike<readonly HoldRow[] | undefined>,
  ): Promise<Moved> {
    return this.#transaction(async (tx) => {
      await tx`SELECT 1 FROM holds WHERE id = ${id} FOR UPDATE`
      const entry = await this.#entry(tx, id)
      if (entry === undefined) throw new Failure('not-found', `no hold \`${id}\``)
      const [row] = (await change(tx, entry)) ?? []
      if (row === undefined) return { moved: false, entry }
      await tx`SELECT pg_notify(${CHANNEL}, ${id})`
      return { moved: true, entry: holdEntry(row) }
    })
  }

  #moveMany(change: (tx: Tx) => PromiseLike<readonly HoldRow[]>): Promise<readonly HoldEntry[]> {
    return this.#transaction(async (tx) => {
      const entries = (await change(tx)).map(holdEntry)
      for (const { id } of entries) await tx`SELECT pg_notify(${CHANNEL}, ${id})`
      return entries
    })
  }

  #transaction<Value>(work: (tx: Tx) => Promise<Value>): Promise<Value> {
    return guarded(async () => {
      if (this.#closed) throw new Failure('store-unavailable', 'the state store is closed')
      return (await this.#sql.begin((tx) => work(tx))) as Value
    })
  }

  #stopPolling(): void {
    clearInterval(this.#poll)
    this.#poll = undefined
  }
}

/** Whose budgets of which day. */
type Page = { readonly issuer: string; readonly subject: string; readonly connection: string; readonly day: string }

function entryColumns(sql: Db | Tx) {
  return sql`id, exchange, created_at, expires_at, decisions, outcome`
}

/** What has run out of time reads as expired, swept or not. */
function stateNow(sql: Db | Tx, now: number) {
  return sql`CASE WHEN state IN ('pending', 'approved') AND expires_at <= ${now}::bigint THEN 'expired' ELSE state END`
}

/** Until the transaction ends, no other has the lock of this name. */
async function lock(tx: Tx, name: string): Promise<void> {
  await tx`SELECT pg_advisory_xact_lock(hashtextextended(${name}, 0))`
}

function budgetLock({ issuer, subject }: Subject, connection: string): string {
  return `budget ${issuer} ${subject} ${connection}`
}

async function account(tx: Tx, job: string): Promise<AccountRow | undefined> {
  const [row] =
    await tx`SELECT job, issuer, subject, connection, day, account, keep_until FROM reservations WHERE job = ${job}`
  return row === undefined ? undefined : accountRow(row)
}

async function usedOf(sql: Db | Tx, { issuer, subject, connection, day }: Page): Promise<Amounts> {
  const rows = await sql`SELECT budget, used FROM budgets
    WHERE issuer = ${issuer} AND subject = ${subject} AND connection = ${connection} AND day = ${day}`
  return Object.fromEntries(
    rows.flatMap((row): (readonly [Budget, number])[] => {
      const budget = BUDGETS.find((name) => name === row['budget'])
      return budget === undefined ? [] : [[budget, Number(row['used'])]]
    }),
  )
}

async function use(tx: Tx, { issuer, subject, connection, day }: Page, moves: Amounts): Promise<void> {
  for (const [budget, amount] of Object.entries(moves)) {
    await tx`INSERT INTO budgets (issuer, subject, connection, day, budget, used)
      VALUES (${issuer}, ${subject}, ${connection}, ${day}, ${budget}, ${amount})
      ON CONFLICT (issuer, subject, connection, day, budget) DO UPDATE SET used = budgets.used + excluded.used`
  }
}

async function book(
  tx: Tx,
  { issuer, subject, connection, day }: Page,
  job: string,
  stored: string,
  keepUntil: number,
): Promise<void> {
  await tx`INSERT INTO reservations (job, issuer, subject, connection, day, account, keep_until)
    VALUES (${job}, ${issuer}, ${subject}, ${connection}, ${day}, ${stored}, ${keepUntil})
    ON CONFLICT (job) DO UPDATE
      SET account = excluded.account, keep_until = greatest(reservations.keep_until, excluded.keep_until)`
}

function isOf(row: AccountRow, owner: Subject, connection: string): boolean {
  return row.issuer === owner.issuer && row.subject === owner.subject && row.connection === connection
}

/** What PostgreSQL throws becomes `store-unavailable`; its message stays in the cause. */
async function guarded<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw asFailure(error, 'store-unavailable')
  }
}
