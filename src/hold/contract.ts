/** What the gateway asks of the state store: holds, idempotency keys, and what is spent of budgets. */
import type { Amounts, Budget, Held, Permitted, PolicyDigest, Subject } from '../exchange.ts'

export type HoldState =
  | 'pending'
  | 'approved'
  | 'rejected'
  | 'expired'
  | 'withdrawn'
  | 'running'
  | 'done'
  | 'failed'
  | 'unknown'
  | 'voided'

/** A held exchange, as it was asked, and what became of it. */
export interface HoldEntry {
  /** The exchange's id. */
  readonly id: string
  readonly state: HoldState
  readonly exchange: Held
  /** Milliseconds since 1970 UTC, like all times here. */
  readonly createdAt: number
  readonly expiresAt: number
  readonly decisions: readonly HoldDecision[]
  /** Set when it ended: a code and words for whoever asks what happened. */
  readonly outcome?: HoldOutcome
}

export interface HoldOutcome {
  readonly code: string
  readonly detail: string
  /** What an HTTP request was answered with, as its requester saw it, where it was small enough to be kept. */
  readonly answer?: KeptAnswer
}

export interface KeptAnswer {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Base64. Absent: an answer without a body. */
  readonly body?: string
  /** Of the policies under which it was given. */
  readonly policy: PolicyDigest
}

export interface HoldDecision {
  readonly by: Subject
  /** Their groups then: what they counted for. */
  readonly groups: readonly string[]
  readonly effect: 'approve' | 'reject' | 'withdraw'
  readonly comment: string
  readonly at: number
}

/** The state that follows from all words on a hold. Pure. */
export type AfterDecision = (
  decisions: readonly HoldDecision[],
) => Extract<HoldState, 'pending' | 'approved' | 'rejected' | 'withdrawn'>

/** Answers of a compare-and-set: the entry as it now is, and whether this call moved it. */
export interface Moved {
  readonly moved: boolean
  readonly entry: HoldEntry
}

export interface HoldFilter {
  readonly states?: readonly HoldState[]
  readonly limit: number
  readonly before?: Pick<HoldEntry, 'id' | 'createdAt'>
}

/**
 * One small store. Every write is durable when it resolves; every change of state is one conditional update, so that of
 * racing callers, in this process or another, exactly one moves it. Expiry is part of each condition; sweeping tidies.
 * Rejects with `store-unavailable`.
 */
export interface Store {
  /**
   * The hold of this exchange; or, where its principal has one for the same `request` (a digest) that is pending or approved,
   * that one. Rejects with `conflict` where one of its id is there, with `too-many-requests` where `most` are pending.
   */
  openHold(exchange: Held, most?: number, request?: string): Promise<HoldEntry>
  /** `undefined` where there is none. An entry past its time reads as `expired`. */
  hold(id: string): Promise<HoldEntry | undefined>
  /** Newest first; with `before`, those that are older than that one. */
  holds(filter: HoldFilter): Promise<readonly HoldEntry[]>
  /**
   * Adds a word to what is pending, and moves it to what `after` makes of all words on it: called with this one as the last, on
   * the entry as it is then, so that of racing words each is weighed behind the others. What it throws takes the word back.
   */
  decideHold(id: string, decision: HoldDecision, after: AfterDecision): Promise<Moved>
  /** approved → running, once; `writer` names the gateway that runs it. */
  startHold(id: string, at: number, writer: string): Promise<Moved>
  /** pending | approved → voided: what was asked is no longer what would run. */
  voidHold(id: string, outcome: HoldOutcome): Promise<Moved>
  /** unknown → done | failed, once the upstream has said which. */
  settleHold(id: string, to: 'done' | 'failed', outcome: HoldOutcome): Promise<Moved>
  /** running → done | failed | unknown. */
  endHold(id: string, to: 'done' | 'failed' | 'unknown', outcome: HoldOutcome): Promise<Moved>
  /** Resolves when the hold's state is no longer `state`, the time is up or `signal` aborts; with the entry as it is. */
  waitHold(id: string, state: HoldState, waitMs: number, signal: AbortSignal): Promise<HoldEntry | undefined>
  /** Moves what is past its time to `expired`; the entries that this call moved. */
  expireHolds(at: number): Promise<readonly HoldEntry[]>
  /** After a crash: what was `running` under this writer becomes `unknown`; the entries that this call moved. */
  abandonRunning(writer: string): Promise<readonly HoldEntry[]>

  /** Claims a key for what an exchange comes to, once per principal and key, until it expires. */
  claimKey(claim: KeyClaim): Promise<KeyState>

  /**
   * Sets aside what a run may spend, of all its budgets or of none. Of racing reservations, in this process or another,
   * no more are granted than fit. A job that is read again is charged only what it was not charged before, and nothing
   * once it was read to its end.
   */
  reserve(reservation: Reservation): Promise<Reserved>
  /** What is used of each budget of that day, set aside or spent; none of a budget that was never touched. */
  used(owner: Subject, connection: string, day: string): Promise<Amounts>
  /**
   * What was truly spent takes the place of what was set aside, once the last of the job's readers has settled; more
   * than that counts at once. Settled twice, or never reserved, changes nothing. What is never settled stays spent.
   */
  settle(settlement: Settlement): Promise<void>

  /** Resolves when the store takes writes. */
  ready(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface KeyClaim {
  readonly owner: Subject
  readonly key: string
  /** Of the request: connection, sql, params, bounds. The same key with another digest is a conflict. */
  readonly requestDigest: string
  readonly exchange: string
  /** What a repeated request is answered from. */
  readonly outcome: KeyOutcome
  readonly at: number
  readonly expiresAt: number
}

/** `fresh`: yours now. `taken`: answer as the first request was answered. `conflict`: another request has it. */
export type KeyState =
  | { readonly state: 'fresh' }
  | { readonly state: 'conflict'; readonly exchange: string }
  | { readonly state: 'taken'; readonly exchange: string; readonly outcome: KeyOutcome }

/** `ran`: the job of this exchange holds the answer. `held`: answer with the hold. */
export type KeyOutcome =
  | { readonly kind: 'ran'; readonly exchange: Permitted }
  | { readonly kind: 'held'; readonly hold: string }

export interface Reservation {
  readonly owner: Subject
  readonly connection: string
  /** The exchange whose job it is: the first with its idempotency key. */
  readonly job: string
  /** The exchange that reads it. */
  readonly reader: string
  /** The UTC day whose budgets are spent, `2026-01-31`. A job that is read again the next day is still of its first. */
  readonly day: string
  readonly amounts: Amounts
  /** Of the same budgets as `amounts`. */
  readonly limits: Amounts
  /** Until when the job may be read again, milliseconds since 1970 UTC. */
  readonly keepUntil: number
}

/** `used` counts what others have set aside. */
export type Reserved =
  | { readonly granted: true }
  | {
      readonly granted: false
      readonly budget: Budget
      readonly limit: number
      readonly used: number
      readonly asked: number
    }

export interface Settlement {
  readonly job: string
  readonly reader: string
  /** Of a budget that is missing, all that was set aside counts as spent. */
  readonly spent: Amounts
  /** The answer was read to its end: reading it again gives nothing more. */
  readonly whole: boolean
}
