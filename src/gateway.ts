/**
 * The journey. A request becomes an exchange, walks one way through seven stations and is widened at each.
 *
 *   1 identify   credential → principal                   ──▶ 401 refused, recorded
 *   2 state      connection + parsed statement + facts    ──▶ 400/404 refused, recorded
 *   3 inspect    plugins → findings                       ──▶ an error or a late answer denies
 *   4 decide     policy(principal, statement, findings)   ──▶ 403 denied · 202 held
 *   5 record     the decision, durable                    ──▶ 503: nothing runs unrecorded
 *   6 perform    obligations, then the connector          ──▶ 502
 *   7 return     batch by batch, then the completion      ──▶ the answer is cut
 *
 * An approved hold joins at 2 and is decided again: `resume` walks the same stations. Plugins find facts and carry out
 * obligations; policies decide; only the gateway acts.
 */
import { completed, completion, decided, failed, holdMoved } from './audit/entries.ts'
import type { AuditLog } from './audit/contract.ts'
import type { Connector } from './connection/contract.ts'
import type { Door, Knock, Room, Seen } from './door.ts'
import { RecordedFailure } from './door.ts'
import type {
  Batch,
  Bounds,
  Completed,
  Decided,
  Decision,
  Denied,
  Held,
  Inspected,
  OutputColumn,
  Parameter,
  Permit,
  Permitted,
  Principal,
  Reason,
  SqlStatement,
  Stated,
  Surface,
  TablePath,
} from './exchange.ts'
import { asFailure, Failure, type FailureCode } from './failure.ts'
import { fulfil, type ActivePlugin } from './fulfil.ts'
import type { HoldEntry, Store } from './hold/contract.ts'
import type { Finding } from './plugin.ts'
import { Once } from './once.ts'
import type { PolicySet } from './policy/contract.ts'
import { orAbort, type Runtime } from './runtime.ts'
import { BARRING, disagreements } from './second-opinion.ts'
import { firstRows, NO_ROWS } from './rows.ts'
import type { Parsed, Refusal, Schemas, Statements } from './statement/contract.ts'

/** What an agent asks, read from a body that was checked for shape. */
export interface Question {
  readonly connection: string
  readonly sql: string
  readonly parameters: readonly Parameter[]
  readonly maxRows?: number
  readonly timeoutMs?: number
  readonly purpose?: string
  readonly idempotencyKey?: string
  /** How long the caller waits for an approval in this very call; 0: not at all. */
  readonly waitMs: number
}

/** Reads a question; gives up when `signal` aborts. */
export type Read = (signal: AbortSignal) => Promise<Question>

/** A connection with the schemas it serves. */
export interface Connection {
  readonly connector: Connector
  readonly schemas: Schemas & {
    /** Every table of the connection's own project. */
    list(signal: AbortSignal): Promise<readonly TablePath[]>
  }
  readonly maxBytesBilled: number
}

/** One policy set and the plugins made for it. A reload swaps both at once; an exchange keeps what it began with. */
export interface InForce {
  readonly policies: PolicySet
  plugins(principal: Principal, connection: string): readonly ActivePlugin[]
}

export interface Limits {
  readonly defaultMaxRows: number
  readonly maxRows: number
  readonly defaultTimeoutMs: number
  readonly maxTimeoutMs: number
  /** For all plugins together, milliseconds. */
  readonly inspectMs: number
  /** How long an idempotency key is remembered, milliseconds. */
  readonly keyMs: number
}

export interface Parts {
  readonly runtime: Runtime
  readonly door: Door
  readonly statements: Statements
  readonly connections: ReadonlyMap<string, Connection>
  readonly inForce: () => InForce
  readonly audit: AuditLog
  readonly store: Store
  /** Names this gateway in holds that it runs. */
  readonly writer: string
  readonly limits: Limits
}

/** An answer on its way. `rows` MUST be read to its end or returned early: both record how it ended. */
export interface Answered {
  readonly kind: 'answer'
  readonly exchange: Permitted
  readonly columns: readonly OutputColumn[]
  readonly rows: AsyncGenerator<Batch, Completed, void>
  /** Aborts when the answer must end, read or not: out of time, client gone, gateway told to stop. */
  readonly signal: AbortSignal
}
export interface HeldOutcome {
  readonly kind: 'held'
  readonly exchange: Held
  readonly hold: HoldEntry
}
export interface DeniedOutcome {
  readonly kind: 'denied'
  readonly exchange: Denied
}
export type Outcome = Answered | HeldOutcome | DeniedOutcome

/** What would happen: the decision, and the statement as obligations would leave it. */
export interface Foreseen {
  readonly exchange: Decided
  readonly narrowed?: SqlStatement
}

export class Gateway {
  readonly #parts: Parts
  readonly #once: Once

  constructor(parts: Parts) {
    this.#parts = parts
    this.#once = new Once(parts.store, parts.runtime.clock, parts.limits.keyMs)
  }

  /** The whole journey of a query. `read` gives what is asked; it is called once the principal is known. */
  handle(knock: Knock, read: Read): Promise<Outcome> {
    return this.#parts.door.enter(knock, async (seen, signal, room) => {
      const { foreseen, question, connection } = await this.#foresee(knock, 'query', read, seen, signal)
      await this.#record(foreseen.exchange)
      if (isPermitted(foreseen)) return this.#perform(foreseen, question, connection, signal, room.stay())
      if (isHeld(foreseen.exchange)) return this.#hold(foreseen.exchange, question, connection, signal, room)
      return { kind: 'denied', exchange: foreseen.exchange as Denied }
    })
  }

  /** The journey up to the record: what would be decided, and which masks would apply. Runs nothing. */
  preflight(knock: Knock, read: Read): Promise<Foreseen> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const { foreseen } = await this.#foresee(knock, 'preflight', read, seen, signal)
      await this.#record(foreseen.exchange)
      return foreseen
    })
  }

  /** Runs what was approved, once, as it was held. Only the requester may ask. */
  resume(knock: Knock, holdId: string): Promise<Outcome> {
    return this.#parts.door.enter(knock, async (seen, signal, room) => {
      const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents'], signal))
      const entry = await this.#parts.store.hold(holdId)
      if (entry === undefined || !isSame(entry.exchange.principal, principal)) {
        throw new Failure('not-found', `no hold \`${holdId}\` of yours`)
      }
      seen.connection = entry.exchange.connection
      return this.#resume(entry, principal, this.#connection(entry.exchange.connection), signal, room)
    })
  }

  // ── 1 to 4 ───────────────────────────────────────────────────────────────────────────────────────────────────

  async #foresee(
    knock: Knock,
    surface: Surface,
    read: Read,
    seen: Seen,
    signal: AbortSignal,
  ): Promise<{ foreseen: Foreseen; question: Question; connection: Connection }> {
    const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents'], signal))
    const question = await read(signal)
    seen.connection = question.connection
    seen.text = question.sql
    if (question.purpose !== undefined) seen.purpose = question.purpose
    const connection = this.#connection(question.connection)
    const { id, receivedAt } = knock
    const asked: Omit<Stated, 'statement'> = {
      id,
      receivedAt,
      surface,
      principal,
      connection: question.connection,
      ...(question.purpose !== undefined && { purpose: question.purpose }),
    }
    const bounds = this.#bounds(question, connection)
    const limited = AbortSignal.any([signal, AbortSignal.timeout(bounds.timeoutMs)])
    const foreseen = await this.#stateAndDecide(asked, question.sql, question.parameters, bounds, connection, limited)
    return { foreseen, question, connection }
  }

  async #stateAndDecide(
    asked: Omit<Stated, 'statement'>,
    sql: string,
    parameters: readonly Parameter[],
    bounds: Bounds,
    connection: Connection,
    signal: AbortSignal,
  ): Promise<Foreseen> {
    const force = this.#parts.inForce()
    const parsed = understood(this.#parts.statements.parse(sql, connection.connector.defaults))
    // Names are judged before the catalog or the warehouse is asked, so that neither tells a stranger what exists.
    const denial = force.policies.denyByName({ ...asked, kind: parsed.kind, uses: parsed.uses })
    if (denial !== undefined) {
      const statement = namedOnly(parsed, parameters, bounds)
      return { exchange: { ...asked, statement, findings: [], decision: denial, policy: force.policies.digest } }
    }
    const stated = await this.#state(asked, parsed, parameters, bounds, connection, signal)
    const plugins = force.plugins(asked.principal, asked.connection)
    return this.#decide(await this.#inspect(stated, plugins, signal), force.policies, plugins, connection)
  }

  async #state(
    asked: Omit<Stated, 'statement'>,
    parsed: Parsed,
    parameters: readonly Parameter[],
    bounds: Bounds,
    { connector, schemas }: Connection,
    signal: AbortSignal,
  ): Promise<Stated> {
    const { statements } = this.#parts
    const bound = understood(await statements.bind(parsed, connector.defaults, schemas, parameters, bounds, signal))
    const estimate = await connector.estimate(bound, asked.principal, signal)
    return { ...asked, statement: { ...bound, estimate, output: named(bound.output, estimate.output) } }
  }

  /** A plugin that throws or is late leaves a finding that denies: silence is no consent. */
  async #inspect(stated: Stated, plugins: readonly ActivePlugin[], signal: AbortSignal): Promise<Inspected> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#parts.limits.inspectMs)])
    const found = await Promise.all(
      plugins.map(async ({ name, hooks }): Promise<readonly Finding[]> => {
        if (hooks.inspect === undefined) return []
        try {
          return await orAbort(hooks.inspect(stated, limited), limited)
        } catch (error) {
          this.#parts.runtime.log('warn', 'an inspection failed', { plugin: name, exchange: stated.id }, error)
          return [{ kind: 'gateway/inspection-failed', where: name }]
        }
      }),
    )
    return { ...stated, findings: [...disagreements(stated.statement), ...found.flat()] }
  }

  /** What no plugin can carry out is denied here, before it is recorded, held or run. */
  async #decide(
    inspected: Inspected,
    policies: PolicySet,
    plugins: readonly ActivePlugin[],
    connection: Connection,
  ): Promise<Foreseen> {
    const policy = policies.digest
    const decision = barred(inspected.findings) ?? policies.decide(inspected)
    if (decision.effect === 'deny') return { exchange: { ...inspected, decision, policy } }
    const narrowed = await fulfil(
      inspected,
      decision.obligations,
      plugins,
      this.#parts.statements,
      connection.connector.defaults,
    )
    if ('unfulfilled' in narrowed) {
      const denial: Decision = { effect: 'deny', reasons: [narrowed.unfulfilled] }
      return { exchange: { ...inspected, decision: denial, policy } }
    }
    return { exchange: { ...inspected, decision, policy }, narrowed }
  }

  // ── 5 ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Recorded before it runs: what cannot be recorded does not happen. */
  async #record(exchange: Decided): Promise<void> {
    await this.#parts.audit.append(decided(exchange, this.#parts.runtime.clock.now()))
  }

  // ── 6 and 7 ──────────────────────────────────────────────────────────────────────────────────────────────────

  async #perform(
    { exchange, narrowed }: PermittedForeseen,
    question: Pick<Question, 'idempotencyKey'>,
    { connector }: Connection,
    signal: AbortSignal,
    leave: () => void,
    ended: (how: Ending) => Promise<void> = async () => {},
  ): Promise<Answered | HeldOutcome> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(narrowed.bounds.timeoutMs)])
    try {
      const first = await this.#once.claim(exchange, question.idempotencyKey)
      if (first.kind === 'held') {
        await this.#parts.audit.append(failed(exchange, this.#parts.runtime.clock.now(), ANSWERED_WITH_HOLD))
        leave()
        return { kind: 'held', exchange: first.hold.exchange, hold: first.hold }
      }
      // The upstream job bears the id of the first exchange of its key: a repeated request finds it and reads its answer.
      const answer = await connector.run(narrowed, { ...exchange, id: first.id }, limited)
      const columns = labelled(answer.columns, narrowed)
      const rows = this.#return(exchange, narrowed, answer, limited, leave, ended)
      await rows.next() // to where returning early is recorded
      this.#endWith(limited, rows)
      return { kind: 'answer', exchange, columns, rows, signal: limited }
    } catch (error) {
      leave()
      throw await this.#failed(exchange, asFailure(error, 'upstream-failed'), ended)
    }
  }

  async *#return(
    exchange: Permitted,
    ran: SqlStatement,
    answer: Awaited<ReturnType<Connector['run']>>,
    signal: AbortSignal,
    leave: () => void,
    ended: (how: Ending) => Promise<void>,
  ): AsyncGenerator<Batch, Completed, void> {
    const { maxRows } = ran.bounds
    let rowCount = 0
    let byteCount = 0
    let cut: string | undefined
    let closed: Completed | undefined
    const close = async (): Promise<Completed> => {
      const statistics = answer.statistics()
      const came = { job: answer.job, rowCount, byteCount, statistics, ...(cut !== undefined && { cut }) }
      closed = completion(exchange, ran, came)
      try {
        await this.#parts.audit.append(completed(closed, this.#parts.runtime.clock.now()))
      } finally {
        await ended(cut === undefined || cut === 'max-rows' ? { state: 'done' } : { state: 'done', cut })
      }
      return closed
    }
    try {
      yield NO_ROWS
      try {
        for await (const batch of answer.batches) {
          const room = maxRows - rowCount
          const kept = batch.rowCount <= room ? batch : firstRows(batch, room)
          rowCount += kept.rowCount
          byteCount += kept.bytes.byteLength
          if (kept.rowCount > 0) yield kept
          if (kept !== batch) {
            cut = 'max-rows'
            return await close()
          }
        }
      } catch (error) {
        const failure = asFailure(error, 'upstream-failed')
        this.#parts.runtime.log(
          'warn',
          'an answer was cut',
          { exchange: exchange.id, code: failure.code },
          failure.cause,
        )
        cut = failure.code
      }
      return await close()
    } finally {
      // Returned early: the client left, or reads too slowly. Its record is written all the same.
      try {
        if (closed === undefined) {
          cut = reasonOf(signal)
          await close()
        }
      } finally {
        leave()
      }
    }
  }

  /** A client that reads nothing keeps nothing: once the signal aborts, the rows end though nobody asks for them. */
  #endWith(signal: AbortSignal, rows: Answered['rows']): void {
    const end = (): void => this.#parts.runtime.background('end an answer', rows.return(undefined as never))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  }

  /** The failure to answer with, once its record is written. */
  async #failed(exchange: Decided, failure: Failure, ended: (how: Ending) => Promise<void>): Promise<Failure> {
    this.#parts.runtime.log('warn', 'an exchange failed', { exchange: exchange.id, code: failure.code }, failure.cause)
    try {
      await this.#parts.audit.append(failed(exchange, this.#parts.runtime.clock.now(), failure))
      // Only a refusal is proof that nothing ran; whatever else went wrong, the upstream may have done it.
      const certain = failure.code === 'upstream-refused'
      await ended({ state: certain ? 'failed' : 'unknown', cut: failure.code })
      return RecordedFailure.of(failure)
    } catch (unrecorded) {
      return RecordedFailure.of(asFailure(unrecorded, 'audit-unavailable'))
    }
  }

  // ── holds ────────────────────────────────────────────────────────────────────────────────────────────────────

  async #hold(
    exchange: Held,
    question: Question,
    connection: Connection,
    signal: AbortSignal,
    room: Room,
  ): Promise<Outcome> {
    const { store } = this.#parts
    let entry = await this.#open(exchange, question.idempotencyKey)
    if (question.waitMs > 0 && entry.state === 'pending') {
      const { id } = entry
      entry = (await room.aside(() => store.waitHold(id, 'pending', question.waitMs, signal))) ?? entry
    }
    // Only in the call that waited: a repeated one is told where to run it.
    if (question.waitMs > 0 && entry.state === 'approved') {
      return this.#resume(entry, exchange.principal, connection, signal, room)
    }
    return { kind: 'held', exchange: entry.exchange, hold: entry }
  }

  /** The exchange's hold, under its key's first id: two requests with one key make one hold. */
  async #open(exchange: Held, key: string | undefined): Promise<HoldEntry> {
    const { store, audit, runtime } = this.#parts
    try {
      const first = await this.#once.claim(exchange, key)
      if (first.kind === 'held') return first.hold
      const opened: Held = { ...exchange, id: first.id }
      try {
        const entry = await store.openHold(opened)
        await audit.append(holdMoved(opened, runtime.clock.now(), 'pending'))
        return entry
      } catch (error) {
        // Another request with this key was faster by a moment: its hold is the answer to both.
        const there = isConflict(error) ? await store.hold(opened.id) : undefined
        if (there === undefined) throw error
        return there
      }
    } catch (error) {
      throw await this.#failed(exchange, asFailure(error), async () => {})
    }
  }

  async #resume(
    entry: HoldEntry,
    principal: Principal,
    connection: Connection,
    signal: AbortSignal,
    room: Room,
  ): Promise<Outcome> {
    const { store, runtime, writer } = this.#parts
    if (entry.state !== 'approved') {
      throw new Failure('conflict', `the hold is ${entry.state}, not approved`, { fix: holdFix(entry) })
    }
    const { statement, findings: _, decision, policy: __, ...asked } = entry.exchange
    const limited = AbortSignal.any([signal, AbortSignal.timeout(statement.bounds.timeoutMs)])
    // Everything is looked up, inspected and decided again, with the groups the requester has now: a new denial wins.
    const foreseen = await this.#stateAndDecide(
      { ...asked, principal },
      statement.text,
      statement.parameters,
      statement.bounds,
      connection,
      limited,
    )
    if (foreseen.exchange.decision.effect === 'deny' || foreseen.narrowed === undefined) {
      await this.#record(foreseen.exchange)
      return { kind: 'denied', exchange: foreseen.exchange as Denied }
    }
    const permitted: PermittedForeseen = {
      exchange: { ...foreseen.exchange, decision: approved(foreseen.exchange.decision, decision.reasons, entry) },
      narrowed: foreseen.narrowed,
    }
    const { moved, entry: now } = await store.startHold(entry.id, runtime.clock.now(), writer)
    if (!moved) throw new Failure('conflict', `the hold is ${now.state}, not approved`, { fix: holdFix(now) })
    const ended = (how: Ending): Promise<void> => this.#endHold(permitted.exchange, how)
    try {
      await this.#record(permitted.exchange)
    } catch (error) {
      await store.endHold(entry.id, 'failed', { code: 'audit-unavailable', detail: 'nothing ran' })
      throw error
    }
    return this.#perform(permitted, {}, connection, signal, room.stay(), ended)
  }

  async #endHold(exchange: Permitted, { state, cut }: Ending): Promise<void> {
    const { store, audit, runtime, connections } = this.#parts
    const job = connections.get(exchange.connection)?.connector.jobId(exchange.id) ?? ''
    const detail = { done: 'it ran', failed: 'nothing ran', unknown: `look up job ${job}` }[state]
    await store.endHold(exchange.id, state, { code: cut ?? 'whole', detail })
    await audit.append(holdMoved(exchange, runtime.clock.now(), state))
  }

  // ── small things ─────────────────────────────────────────────────────────────────────────────────────────────

  #connection(name: string): Connection {
    const connection = this.#parts.connections.get(name)
    if (connection === undefined)
      throw new Failure('connection-unknown', `no connection \`${name}\``, {
        fix: 'GET /v1/connections lists yours',
      })
    return connection
  }

  #bounds(question: Question, connection: Connection): Bounds {
    const { defaultMaxRows, maxRows, defaultTimeoutMs, maxTimeoutMs } = this.#parts.limits
    const within = (name: string, asked: number | undefined, usual: number, most: number): number => {
      if (asked === undefined) return usual
      if (asked >= 1 && asked <= most) return asked
      throw new Failure('bad-request', `\`${name}\` is ${asked}; it may be 1 to ${most}`, { where: name })
    }
    return {
      maxRows: within('maxRows', question.maxRows, defaultMaxRows, maxRows),
      timeoutMs: within('timeoutMs', question.timeoutMs, defaultTimeoutMs, maxTimeoutMs),
      maxBytesBilled: connection.maxBytesBilled,
    }
  }
}

/** How a permitted request ends on record whose key belongs to a hold that was opened under earlier policies. */
const ANSWERED_WITH_HOLD = { code: 'conflict', message: 'answered with the hold of the first request with its key' }

interface PermittedForeseen {
  readonly exchange: Permitted
  readonly narrowed: SqlStatement
}
interface Ending {
  readonly state: 'done' | 'failed' | 'unknown'
  readonly cut?: string
}

function isPermitted(foreseen: Foreseen): foreseen is PermittedForeseen {
  return foreseen.exchange.decision.effect === 'permit' && foreseen.narrowed !== undefined
}
function isHeld(exchange: Decided): exchange is Held {
  return exchange.decision.effect === 'hold'
}
function isConflict(error: unknown): boolean {
  return error instanceof Failure && error.code === 'conflict'
}
function isSame(a: Principal, b: Principal): boolean {
  return a.issuer === b.issuer && a.subject === b.subject && a.kind === b.kind
}

/** The parsed or bound text; a refusal is thrown with its place. */
function understood(result: Parsed | Refusal): Parsed
function understood(result: SqlStatement | Refusal): SqlStatement
function understood(result: Parsed | SqlStatement | Refusal): Parsed | SqlStatement {
  if (!('refused' in result) || !result.refused) return result
  const { code, message, line, column, fix } = result
  const unknown = code === 'unknown-table' || code === 'unknown-column'
  throw new Failure(unknown ? 'resource-unknown' : 'statement-refused', message, {
    where: `line ${line}, column ${column} (${code})`,
    ...(fix !== undefined && { fix }),
  })
}

/** A statement of which only names are known: enough to record why it was denied. */
function namedOnly(parsed: Parsed, parameters: readonly Parameter[], bounds: Bounds): SqlStatement {
  const { kind, text, uses } = parsed
  return {
    language: 'googlesql',
    kind,
    text,
    uses,
    parameters,
    bounds,
    tables: [],
    references: [],
    views: [],
    columnsRead: [],
    output: [],
    functions: [],
    features: [],
    masks: [],
  }
}

/** Our columns under the names and types that the dry run gives them. */
function named(ours: SqlStatement['output'], theirs: readonly { name: string; type: OutputColumn['type'] }[]) {
  if (ours.length !== theirs.length) return ours
  return ours.map((column, i) => ({ ...column, ...theirs[i] }))
}

/** The answer's columns, each with the mask its values carry. A masked answer whose columns do not line up is not given. */
function labelled(columns: readonly { name: string; type: OutputColumn['type'] }[], ran: SqlStatement): OutputColumn[] {
  if (columns.length !== ran.output.length && ran.masks.length > 0 && columns.length > 0) {
    throw new Failure('internal', 'the answer has other columns than were analysed')
  }
  return columns.map((column, i) => ({ sources: [], ...ran.output[i], ...column }))
}

/** The denial that follows from findings which no policy may overrule. */
function barred(findings: readonly Finding[]): Decision | undefined {
  const reasons: Reason[] = findings
    .filter((finding) => (BARRING as readonly string[]).includes(finding.kind))
    .map(({ kind, where }) => ({
      code: kind.slice('gateway/'.length),
      because:
        kind === 'gateway/inspection-failed'
          ? 'an inspection failed or was late, and what is not known to be harmless does not run'
          : 'our analysis and the warehouse read this statement differently',
      ...(where !== undefined && { where }),
    }))
  return reasons.length === 0 ? undefined : { effect: 'deny', reasons }
}

/** A permit by approval: the obligations of today's decision, and why it was held, and who approved it. */
function approved(today: Exclude<Decision, { effect: 'deny' }>, why: readonly Reason[], entry: HoldEntry): Permit {
  const approvals = entry.decisions
    .filter((d) => d.effect === 'approve')
    .map(({ by, comment }) => ({
      code: 'approved',
      because: `approved by ${by.issuer}:${by.subject}${comment === '' ? '' : `: ${comment}`}`,
    }))
  return { effect: 'permit', reasons: [...why, ...approvals], obligations: today.obligations }
}

/** Why an answer ended before its rows did, as the code that its record tells. */
function reasonOf({ aborted, reason }: AbortSignal): FailureCode {
  if (aborted && reason instanceof Failure) return reason.code
  return aborted && reason instanceof DOMException && reason.name === 'TimeoutError' ? 'upstream-late' : 'client-gone'
}

function holdFix(entry: HoldEntry): string {
  switch (entry.state) {
    case 'pending':
      return `wait for an approver: GET /v1/holds/${entry.id}?wait=25`
    case 'running':
    case 'done':
      return 'an approval is good for one run; ask again for another'
    case 'unknown':
      return entry.outcome?.detail ?? 'look up the upstream job before asking again'
    default:
      return 'ask again: POST /v1/query'
  }
}
