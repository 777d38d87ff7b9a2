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
import { decided, holdMoved } from './audit/entries.ts'
import { Treasury, type Standing } from './budget.ts'
import type { Knock, Room, Seen } from './door.ts'
import type {
  Decided,
  Decision,
  Denied,
  Held,
  Permit,
  Permitted,
  Principal,
  Reason,
  Statement,
  Surface,
} from './exchange.ts'
import { askedAgain, askedOf } from './asked.ts'
import { fromBase64 } from './bytes.ts'
import { asFailure, Failure } from './failure.ts'
import type { Verify } from './fulfil.ts'
import type { HoldEntry, KeptAnswer } from './hold/contract.ts'
import type {
  Answered,
  Asked,
  Connection,
  Ending,
  Foreseen,
  HeldOutcome,
  Outcome,
  Parts,
  Question,
  Read,
  Ready,
  Replied,
  Unstated,
} from './journey.ts'
import { digestOf, Once } from './once.ts'
import { weighedOf } from './policy/recall.ts'
import { decide } from './stations/decide.ts'
import { driftOf, withinCeiling } from './stations/drift.ts'
import { disagreed, inspect } from './stations/inspect.ts'
import { perform, recordFailure } from './stations/perform.ts'
import { mayBegin } from './stations/pressure.ts'
import { state } from './stations/state.ts'
import { unknownConnection } from './unknown.ts'

export type * from './journey.ts'

/** What is asked, by whom, of which connection. */
interface Proven {
  readonly unstated: Unstated
  readonly asked: Asked
  readonly question: Question
  readonly connection: Connection
}

export class Gateway {
  readonly #parts: Parts
  readonly #once: Once
  readonly #treasury: Treasury

  constructor(parts: Parts) {
    this.#parts = parts
    this.#treasury = new Treasury(parts.store, parts.runtime, parts.limits.keyMs)
    this.#once = new Once(parts.store, parts.runtime.clock, parts.limits.keyMs)
  }

  /** The whole journey of a query. `read` gives what is asked; it is called once the principal is known. */
  handle(knock: Knock, read: Read): Promise<Outcome> {
    return this.#parts.door.enter(knock, async (seen, signal, room) => {
      const proven = await this.#identify(knock, 'query', read, seen, signal) // 1
      const foreseen = await this.#foresee(proven, signal) // 2, 3, 4
      mayBegin(foreseen.exchange, proven.connection, this.#parts.audit)
      await this.#record(foreseen.exchange) // 5
      if (isReady(foreseen)) return this.#perform(foreseen, proven, signal, room) // 6, 7
      if (isHeld(foreseen.exchange)) return this.#hold(foreseen.exchange, proven, signal, room)
      return { kind: 'denied', exchange: foreseen.exchange as Denied }
    })
  }

  /** The journey up to the record: what would be decided, which masks would apply, what budgets are left. Runs nothing. */
  preflight(knock: Knock, read: Read): Promise<Foreseen & { readonly standing: readonly Standing[] }> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const proven = await this.#identify(knock, 'preflight', read, seen, signal)
      const foreseen = await this.#foresee(proven, signal)
      await this.#record(foreseen.exchange)
      return { ...foreseen, standing: await this.#treasury.standing(foreseen) }
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

  /** Station 1. The principal first: nothing that a stranger sent is read. */
  async #identify(knock: Knock, surface: Surface, read: Read, seen: Seen, signal: AbortSignal): Promise<Proven> {
    const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents'], signal))
    const question = await read(signal)
    const { purpose } = question
    seen.connection = question.connection
    seen.language = question.language
    seen.text = question.language === 'http' ? `${question.method} ${question.target}` : question.sql
    if (purpose !== undefined) seen.purpose = purpose
    const connection = this.#connection(question.connection)
    const { id, receivedAt } = knock
    const about = { connection: question.connection, ...(purpose !== undefined && { purpose }) }
    return {
      unstated: { id, receivedAt, surface: question.language === 'http' ? 'proxy' : surface, principal, ...about },
      asked: await askedOf(question, connection, this.#parts.limits, signal),
      question,
      connection,
    }
  }

  /** Stations 2, 3 and 4, under one policy set and one deadline. */
  async #foresee({ unstated, asked, connection }: Omit<Proven, 'question'>, outer: AbortSignal): Promise<Foreseen> {
    const { inForce, runtime, limits } = this.#parts
    const force = inForce()
    const signal = AbortSignal.any([outer, AbortSignal.timeout(asked.bounds.timeoutMs)])
    const stated = await state(unstated, asked, connection, force, this.#parts, signal)
    if ('decision' in stated) return { exchange: stated }
    const plugins = force.plugins(unstated.principal, unstated.connection)
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(limits.inspectMs)])
    // What was found in the past is in the findings: that is what is decided on, held and recorded.
    const { past: _, ...inspected } = await inspect(stated, plugins, runtime.log, inTime)
    // A schema may have changed under us: whoever asks next meets the new one.
    if (disagreed(inspected)) forget(stated.statement, connection)
    return decide(inspected, force.policies, plugins, this.#verifier(connection), this.#parts.payloads)
  }

  /** Station 5. Recorded before it runs: what cannot be recorded does not happen. */
  async #record(exchange: Decided): Promise<void> {
    const { audit, runtime } = this.#parts
    await audit.append(decided(exchange, runtime.clock.now(), weighedOf(exchange)))
  }

  /** Stations 6 and 7. */
  #perform(
    ready: Ready,
    {
      question,
      asked,
      connection,
    }: { readonly question?: Question; readonly asked: Asked; readonly connection: Connection },
    signal: AbortSignal,
    room: Room,
    ended?: (how: Ending) => Promise<void>,
  ): Promise<Answered | Replied | HeldOutcome> {
    const { runtime, audit, payloads } = this.#parts
    const parts = { runtime, audit, ...(payloads && { payloads }), once: this.#once, treasury: this.#treasury }
    const way = { asked, connection, ...(question?.idempotencyKey !== undefined && { key: question.idempotencyKey }) }
    const keeps = ended !== undefined
    return perform(ready, way, signal, parts, { leave: room.stay(), ended: ended ?? (async () => {}), keeps })
  }

  // ── holds ────────────────────────────────────────────────────────────────────────────────────────────────────

  async #hold(exchange: Held, { question, connection }: Proven, signal: AbortSignal, room: Room): Promise<Outcome> {
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

  /**
   * The exchange's hold, under its key's first id: two requests with one key make one hold. So do two that are the same and
   * have no key, while the hold of the first waits or may run.
   */
  async #open(exchange: Held, key: string | undefined): Promise<HoldEntry> {
    const { store, audit, runtime } = this.#parts
    try {
      const first = await this.#once.claim(exchange, key)
      if (first.kind === 'held') return first.hold
      const opened: Held = { ...exchange, id: first.id }
      try {
        const request = key === undefined ? await digestOf(exchange) : undefined
        const entry = await store.openHold(opened, this.#parts.limits.maxPendingHolds, request)
        if (entry.id === opened.id) await audit.append(holdMoved(opened, runtime.clock.now(), 'pending'))
        return entry
      } catch (error) {
        // Another request with this key was faster by a moment: its hold is the answer to both.
        const there = isConflict(error) ? await store.hold(opened.id) : undefined
        if (there === undefined) throw error
        return there
      }
    } catch (error) {
      throw await recordFailure(exchange, asFailure(error), this.#parts)
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
    const kept = entry.outcome?.answer
    if (entry.state !== 'approved' && kept === undefined) {
      throw new Failure('conflict', `the hold is ${entry.state}, not approved`, { fix: holdFix(entry) })
    }
    const { statement, findings: _, decision, policy: __, ...unstated } = entry.exchange
    const asked = askedAgain(statement)
    // Everything is looked up, inspected and decided again, with the groups the requester has now: a new denial wins.
    const foreseen = await this.#foresee({ unstated: { ...unstated, principal }, asked, connection }, signal)
    const { narrowed, budgets, plugins } = foreseen
    if (foreseen.exchange.decision.effect === 'deny' || !narrowed || !budgets || !plugins) {
      await this.#record(foreseen.exchange)
      return { kind: 'denied', exchange: foreseen.exchange as Denied }
    }
    const drift = kept === undefined ? driftOf(entry.exchange, foreseen.exchange) : undefined
    if (drift !== undefined) throw await this.#void(entry, drift)
    const ready: Ready = {
      exchange: { ...foreseen.exchange, decision: approved(foreseen.exchange.decision, decision.reasons, entry) },
      narrowed: withinCeiling(narrowed, statement),
      budgets,
      plugins,
    }
    if (kept !== undefined) return this.#again(ready.exchange, kept, signal)
    mayBegin(ready.exchange, connection, this.#parts.audit)
    const { moved, entry: now } = await store.startHold(entry.id, runtime.clock.now(), writer)
    if (!moved) throw new Failure('conflict', `the hold is ${now.state}, not approved`, { fix: holdFix(now) })
    try {
      await this.#record(ready.exchange)
    } catch (error) {
      await store.endHold(entry.id, 'failed', { code: 'audit-unavailable', detail: 'nothing ran' })
      throw error
    }
    return this.#perform(ready, { asked, connection }, signal, room, (how) => this.#endHold(ready.exchange, how))
  }

  /** The approval is for something else than would run now; on record, with the reason. */
  async #void(entry: HoldEntry, why: string): Promise<Failure> {
    const { store, audit, runtime } = this.#parts
    const { moved } = await store.voidHold(entry.id, { code: 'voided', detail: why })
    if (moved) await audit.append(holdMoved(entry.exchange, runtime.clock.now(), 'voided', undefined, why))
    return new Failure('conflict', `the approval is void: ${why}`, { fix: 'send the request again' })
  }

  /** What the one run was answered with, for a requester who may have lost it; on record, and under the same policies only. */
  async #again(
    exchange: Permitted,
    { status, headers, body, policy }: KeptAnswer,
    signal: AbortSignal,
  ): Promise<Replied> {
    const { audit, runtime } = this.#parts
    if (policy !== exchange.policy) {
      throw new Failure('conflict', 'it ran, and policy has changed since: its answer is not given again')
    }
    await audit.append(
      holdMoved(exchange, runtime.clock.now(), 'done', exchange.principal, 'its answer was given again'),
    )
    return { kind: 'reply', exchange, status, headers, body: body === undefined ? body : fromBase64(body), signal }
  }

  async #endHold(exchange: Permitted, { state, cut, answer }: Ending): Promise<void> {
    const { store, audit, runtime, connections } = this.#parts
    const connection = connections.get(exchange.connection)
    const unknown =
      connection?.language === 'googlesql'
        ? `look up job ${connection.connector.jobId(exchange.id)}`
        : `ask the API whether it did it; it was sent with X-Request-Id ${exchange.id}`
    const detail = { done: 'it ran', failed: 'nothing ran', unknown }[state]
    await store.endHold(exchange.id, state, { code: cut ?? 'whole', detail, ...(answer && { answer }) })
    await audit.append(holdMoved(exchange, runtime.clock.now(), state))
  }

  // ── small things ─────────────────────────────────────────────────────────────────────────────────────────────

  #connection(name: string): Connection {
    const connection = this.#parts.connections.get(name)
    if (connection === undefined) throw unknownConnection(name)
    return connection
  }

  /** The second lock, over the names of this connection. An HTTP request is not rewritten. */
  #verifier(connection: Connection): Verify {
    const { statements } = this.#parts
    return (original, narrowed) => {
      if (connection.language !== 'googlesql') throw new Failure('internal', 'SQL on a connection that speaks none')
      return statements.verify(original, narrowed, connection.connector.defaults)
    }
  }
}

/** A schema may have changed under us. */
function forget(statement: Statement, connection: Connection): void {
  if (statement.language !== 'googlesql' || connection.language !== 'googlesql') return
  for (const { path } of statement.tables) connection.schemas.invalidate(path)
}

function isReady(foreseen: Foreseen): foreseen is Ready {
  const { exchange, narrowed, budgets, plugins } = foreseen
  return exchange.decision.effect === 'permit' && !!narrowed && !!budgets && !!plugins
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
