/** The people's side of holds: who may see one, who may decide on it, and the record of each decision. */
import { holdMoved, looked } from './audit/entries.ts'
import type { AuditLog } from './audit/contract.ts'
import type { Door, Knock } from './door.ts'
import type { Approvers, Principal, Subject } from './exchange.ts'
import { Failure } from './failure.ts'
import type { AfterDecision, HoldDecision, HoldEntry, HoldState, Store } from './hold/contract.ts'
import { isAsked, isWanted, missing } from './hold/quorum.ts'
import type { Runtime } from './runtime.ts'

export interface ApprovalsParts {
  readonly runtime: Runtime
  readonly door: Door
  readonly store: Store
  readonly audit: AuditLog
}

/** Most holds that one listing answers with. */
const LIST_MOST = 200

/** Holds that one listing looks at: so many at a time, so many times. */
const PAGE = 500
const PAGES_MOST = 10

export class Approvals {
  readonly #parts: ApprovalsParts

  constructor(parts: ApprovalsParts) {
    this.#parts = parts
  }

  /** Holds that this principal asked for or may decide on, newest first. */
  list(knock: Knock, states?: readonly HoldState[]): Promise<readonly HoldEntry[]> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents', 'people'], signal))
      const entries = await this.#visibleOf(principal, states)
      await this.#parts.audit.append(
        looked(knock, this.#parts.runtime.clock.now(), principal, `a list of ${entries.length} holds`),
      )
      return entries
    })
  }

  /** One hold; with `waitMs`, once its state has changed or the time is up. */
  see(knock: Knock, id: string, waitMs: number): Promise<HoldEntry> {
    return this.#parts.door.enter(knock, async (seen, signal, room) => {
      const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents', 'people'], signal))
      const entry = await this.#visible(id, principal)
      const { connection } = entry.exchange
      seen.connection = connection
      // Before what it holds is told, and before it is waited for.
      await this.#parts.audit.append(
        looked(knock, this.#parts.runtime.clock.now(), principal, `the hold ${id}`, connection),
      )
      if (waitMs === 0) return entry
      return (await room.aside(() => this.#parts.store.waitHold(id, entry.state, waitMs, signal))) ?? entry
    })
  }

  /** An approver's word. Never the requester's own, nor that of the person for whom the requester acts. */
  decide(
    knock: Knock,
    id: string,
    effect: 'approve' | 'reject',
    read: (signal: AbortSignal) => Promise<{ readonly comment: string }>,
  ): Promise<HoldEntry> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const principal = (seen.principal = await this.#parts.door.identify(knock, ['people'], signal))
      const { comment } = await read(signal)
      const entry = await this.#visible(id, principal)
      seen.connection = entry.exchange.connection
      const barrier = whyNot(entry, principal)
      if (barrier !== undefined) throw new Failure('not-approver', barrier)
      if (comment.trim() === '' && mustSayWhy(entry, principal)) {
        throw new Failure('bad-request', 'the policy wants to know why', { fix: 'send a `comment`', where: 'comment' })
      }
      return this.#move(entry, principal, effect, comment)
    })
  }

  /** The requester takes it back. */
  withdraw(
    knock: Knock,
    id: string,
    read: (signal: AbortSignal) => Promise<{ readonly comment: string }>,
  ): Promise<HoldEntry> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents'], signal))
      const { comment } = await read(signal)
      const entry = await this.#visible(id, principal)
      seen.connection = entry.exchange.connection
      return this.#move(entry, principal, 'withdraw', comment)
    })
  }

  /** Moves what ran out of time and records it; called now and then. */
  async expire(): Promise<void> {
    const { store, runtime, audit } = this.#parts
    // What is past its time reads as expired meanwhile; it is moved once that can be recorded.
    if (!audit.status().writable) return
    const moved = await store.expireHolds(runtime.clock.now())
    await Promise.all(moved.map((entry) => this.#recordMove(entry)))
  }

  /** Settles what this gateway was running when it ended without a word: nobody may run it again silently. */
  async recover(writer: string): Promise<void> {
    const moved = await this.#parts.store.abandonRunning(writer)
    await Promise.all(moved.map((entry) => this.#recordMove(entry)))
  }

  /** Page by page: what others asked for must not push out of the listing what this principal may see. */
  async #visibleOf(principal: Principal, states: readonly HoldState[] | undefined): Promise<readonly HoldEntry[]> {
    const visible: HoldEntry[] = []
    let before: HoldEntry | undefined
    for (let page = 0; page < PAGES_MOST && visible.length < LIST_MOST; page++) {
      const filter = { limit: PAGE, ...(states && { states }), ...(before && { before }) }
      const entries = await this.#parts.store.holds(filter)
      visible.push(...entries.filter((entry) => maySee(entry, principal)))
      before = entries.at(-1)
      if (entries.length < PAGE) break
    }
    return visible.slice(0, LIST_MOST)
  }

  async #visible(id: string, principal: Principal): Promise<HoldEntry> {
    const entry = await this.#parts.store.hold(id)
    // A hold that you may not see and one that is not there answer alike.
    if (entry === undefined || !maySee(entry, principal)) throw new Failure('not-found', `no hold \`${id}\``)
    return entry
  }

  async #move(
    entry: HoldEntry,
    principal: Principal,
    effect: 'approve' | 'reject' | 'withdraw',
    comment: string,
  ): Promise<HoldEntry> {
    const { store, runtime, audit } = this.#parts
    // Known beforehand, so that a word which cannot be recorded does not count either.
    if (!audit.status().writable) throw new Failure('audit-unavailable', 'the audit journal takes no writes')
    const by: Subject = { issuer: principal.issuer, subject: principal.subject }
    const decision: HoldDecision = { by, groups: principal.groups, effect, comment, at: runtime.clock.now() }
    const { approvers } = entry.exchange.decision
    const { moved, entry: now } = await store.decideHold(entry.id, decision, (all) => afterAll(approvers, all))
    if (!moved) throw new Failure('conflict', `the hold is ${now.state} already`)
    // Answered only once it is recorded. Should the record fail, the run is refused as well: it needs the same journal.
    await this.#recordMove(now, principal, comment, now.state === 'pending' ? 'partly-approved' : now.state)
    return now
  }

  async #recordMove(
    entry: HoldEntry,
    principal?: Principal,
    comment?: string,
    state: string = entry.state,
  ): Promise<void> {
    const { audit, runtime } = this.#parts
    await audit.append(holdMoved(entry.exchange, runtime.clock.now(), state, principal, comment))
  }
}

function isRequester({ exchange }: HoldEntry, principal: Subject): boolean {
  return exchange.principal.issuer === principal.issuer && exchange.principal.subject === principal.subject
}

function isActedFor({ exchange }: HoldEntry, principal: Subject): boolean {
  const { actsFor } = exchange.principal
  return actsFor !== undefined && actsFor.issuer === principal.issuer && actsFor.subject === principal.subject
}

function inApprovers({ exchange }: HoldEntry, principal: Principal): boolean {
  return isAsked(exchange.decision.approvers, principal.groups)
}

/** What all words on a hold make of it. Throws where the last of them is one too many. */
function afterAll(approvers: readonly Approvers[], decisions: readonly HoldDecision[]): ReturnType<AfterDecision> {
  const last = decisions.at(-1)
  if (last?.effect === 'withdraw') return 'withdrawn'
  if (last?.effect === 'reject') return 'rejected'
  const approvals = decisions.filter(({ effect }) => effect === 'approve')
  const before = approvals.slice(0, -1)
  if (last === undefined || before.some(({ by }) => by.issuer === last.by.issuer && by.subject === last.by.subject)) {
    throw new Failure('conflict', 'you have approved this already; somebody else must too')
  }
  if (!isWanted(approvers, before, last.groups)) {
    throw new Failure('conflict', 'enough people of your groups have approved this; others must too')
  }
  return missing(approvers, approvals).length === 0 ? 'approved' : 'pending'
}

/** Whether any of those whose approval this would be must say why. */
function mustSayWhy({ exchange }: HoldEntry, principal: Principal): boolean {
  return exchange.decision.approvers.some((entry) => entry.comment === 'required' && isAsked([entry], principal.groups))
}

function maySee(entry: HoldEntry, principal: Principal): boolean {
  if (principal.plane === 'agents') return isRequester(entry, principal)
  return inApprovers(entry, principal) || isActedFor(entry, principal)
}

/** Why this person may not decide on the hold; `undefined` where they may. */
function whyNot(entry: HoldEntry, principal: Principal): string | undefined {
  if (principal.kind !== 'person' || principal.plane !== 'people') return 'only a person may decide on a hold'
  if (isRequester(entry, principal)) return 'you asked for this yourself; somebody else must decide'
  if (isActedFor(entry, principal)) return 'this was asked on your behalf; somebody else must decide'
  if (!inApprovers(entry, principal)) return 'you are in none of the groups that may decide on this'
  return undefined
}
