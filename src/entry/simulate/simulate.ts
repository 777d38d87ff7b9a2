/** Recorded exchanges, decided again: what other policies would change, and whether the record agrees with itself. */
import * as z from 'zod'
import type { Inspected } from '../../exchange.ts'
import { inspectedOf, type LoadedPolicies, type Recalled } from '../../policy/index.ts'
import { BARRING } from '../../second-opinion.ts'
import { asDecided, compare, isApproved, isBeyondPolicy, rulesOf, verdictOf, type Verdict } from './compare.ts'
import type { Difference, Direction } from './obligations.ts'
import type { RecordedDecision } from './store.ts'

/** The policies of a digest, as they were recorded; `undefined` where they cannot be had. */
export type InForce = (digest: string) => Promise<LoadedPolicies | undefined>

/** Exchanges that change alike. */
export interface Group {
  readonly direction: Direction
  readonly what: string
  /** Codes of the reasons that were recorded, and of those that would be given. */
  readonly was: readonly string[]
  readonly is: readonly string[]
  /** `issuer:subject`, and for whom it acted. */
  readonly principal: string
  readonly connection: string
  readonly count: number
  /** The newest few. */
  readonly exchanges: readonly string[]
}

/** What could not be said, how often, and of which exchanges for instance. */
export interface Unknown {
  readonly why: string
  readonly count: number
  readonly exchanges: readonly string[]
}

export interface Simulation {
  /** Records that were read; each is of one decision. */
  readonly records: number
  /** By the strongest of its changes. */
  readonly same: number
  readonly loosened: number
  readonly tightened: number
  readonly changed: number
  /** What lets more through first, then by how often. */
  readonly groups: readonly Group[]
  /** Changes beyond the groups that are told apart. */
  readonly untold: number
  readonly undecided: readonly Unknown[]
}

export interface Check {
  readonly records: number
  readonly agreed: number
  readonly disagreed: number
  /** The newest few of those. */
  readonly examples: readonly { readonly exchange: string; readonly recorded: Verdict; readonly again: Verdict }[]
  readonly undecided: readonly Unknown[]
}

/** Most groups that are told apart: principals and rules are few, and a report is for people. */
const MOST_GROUPS = 10_000
/** Most exchanges that a group or a reason names. */
const MOST_EXAMPLES = 3

/** Decides each record again under `next`. */
export async function simulate(
  records: AsyncIterable<RecordedDecision>,
  next: LoadedPolicies,
  inForce: InForce,
): Promise<Simulation> {
  const tally = new Tally()
  const unknown = new Reasons()
  const counts = { records: 0, same: 0, loosened: 0, tightened: 0, changed: 0 }
  for await (const record of records) {
    counts.records += 1
    const found = await changesOf(record, next, inForce)
    if ('why' in found) unknown.add(found.why, record.exchange_id)
    else {
      counts[strongestOf(found.differences)] += 1
      for (const difference of found.differences) tally.add(difference, found, record)
    }
  }
  return { ...counts, groups: tally.groups(), untold: tally.untold, undecided: unknown.all() }
}

/** Decides each record again under the policies that decided it. What comes out must be what is recorded. */
export async function check(records: AsyncIterable<RecordedDecision>, inForce: InForce): Promise<Check> {
  const unknown = new Reasons()
  const examples: Check['examples'][number][] = []
  const counts = { records: 0, agreed: 0, disagreed: 0 }
  for await (const record of records) {
    counts.records += 1
    const policies = await inForce(record.policy)
    const recalled = inspectedOf(record)
    const recorded = recordedVerdict(record)
    if (policies === undefined) unknown.add(NOT_RECORDED, record.exchange_id)
    else if ('missing' in recalled) unknown.add(recalled.missing, record.exchange_id)
    else if (recorded === undefined) unknown.add(UNREADABLE, record.exchange_id)
    else {
      const again = decideAgain(recalled, policies)
      const [why] = recalled.missed
      if (agrees(recorded, again, recalled.exchange, policies)) counts.agreed += 1
      else if (why !== undefined) unknown.add(notHeld(why), record.exchange_id)
      else {
        counts.disagreed += 1
        if (examples.length < MOST_EXAMPLES) examples.push({ exchange: record.exchange_id, recorded, again })
      }
    }
  }
  return { ...counts, examples, undecided: unknown.all() }
}

const NOT_RECORDED = 'the policies that decided it are not recorded whole, or do not load under this configuration'
const UNREADABLE = 'the record does not read as one of this gateway'

function notHeld(what: string): string {
  return `a condition weighs what the record does not hold: ${what}`
}

interface Found {
  readonly differences: readonly Difference[]
  readonly before: Verdict
  readonly after: Verdict
}

async function changesOf(
  record: RecordedDecision,
  next: LoadedPolicies,
  inForce: InForce,
): Promise<Found | { readonly why: string }> {
  const recalled = inspectedOf(record)
  if ('missing' in recalled) return { why: recalled.missing }
  const recorded = recordedVerdict(record)
  if (recorded === undefined) return { why: UNREADABLE }
  const { exchange } = recalled
  const then = await inForce(record.policy)
  const other = otherFacts(exchange, then, next)
  if (other !== undefined) return { why: other }
  const after = decideAgain(recalled, next)
  const [missed] = recalled.missed
  if (missed !== undefined) return { why: notHeld(missed) }
  const before = asDecided(recorded)
  if (recalled.namesOnly) {
    if (after.effect === 'deny') return { differences: compare(before, after, exchange), before, after }
    const what = 'deny → not denied by its names; nothing else of it is recorded'
    return { differences: [{ direction: 'loosened', what }], before, after }
  }
  if (!isBeyondPolicy(before) || isBarred(exchange)) {
    return { differences: compare(before, after, exchange), before, after }
  }
  // What policies had consented to and could not be done can be done no better where they consent to it in the same way.
  const consented = then && decideAgain(recalled, then)
  return { differences: compare(consented ?? before, after, exchange), before, after }
}

/** What a policy set says of a recalled exchange, with what no policy may overrule. */
function decideAgain({ exchange, namesOnly }: Recalled, policies: LoadedPolicies): Verdict {
  if (isBarred(exchange)) return { effect: 'deny', reasons: barredReasons(exchange), obligations: [] }
  if (!namesOnly) return verdictOf(policies.decide(exchange))
  const { principal, connection, statement } = exchange
  const denied = policies.denyByName({ principal, connection, kind: statement.kind, uses: statement.uses })
  return denied === undefined ? { effect: 'permit', reasons: [], obligations: [] } : verdictOf(denied)
}

function isBarred({ findings }: Inspected): boolean {
  return findings.some(({ kind }) => (BARRING as readonly string[]).includes(kind))
}

/** By their codes; the words are the gateway's. */
function barredReasons({ findings }: Inspected): Verdict['reasons'] {
  const barring = findings.filter(({ kind }) => (BARRING as readonly string[]).includes(kind))
  return barring.map(({ kind }) => ({ code: kind.slice(kind.indexOf('/') + 1), because: '' }))
}

/** Whether two decisions are one, but for what came of it later: approval, and obligations that could not be carried out. */
function agrees(recorded: Verdict, again: Verdict, exchange: Inspected, policies: LoadedPolicies): boolean {
  if (isBarred(exchange)) return recorded.effect === 'deny' && rulesOf(recorded).join() === rulesOf(again).join()
  if (isBeyondPolicy(recorded)) return again.effect !== 'deny'
  if (isApproved(recorded)) {
    return again.effect !== 'deny' && textOf(recorded.obligations) === textOf(again.obligations)
  }
  if (textOf(recorded) === textOf(again)) return true
  // An HTTP request that its names alone deny is denied before its facts are looked for.
  const { principal, connection, statement } = exchange
  if (statement.language !== 'http') return false
  const denied = policies.denyByName({ principal, connection, kind: statement.kind, uses: statement.uses })
  return denied !== undefined && textOf(recorded) === textOf(verdictOf(denied))
}

/**
 * Why the facts that were found then are not those that would be found: a plugin that states facts would have other
 * options.
 */
function otherFacts(exchange: Inspected, then: LoadedPolicies | undefined, next: LoadedPolicies): string | undefined {
  const { principal, connection } = exchange
  const stating = Object.entries(next.vocabulary.plugins).flatMap(([name, { facts }]) => (facts ? [name] : []))
  const would = next.pluginOptions(principal, connection)
  const did = then?.pluginOptions(principal, connection)
  const other = stating.find((name) =>
    then === undefined ? would.has(name) : would.get(name)?.key !== did?.get(name)?.key,
  )
  return other === undefined ? undefined : `\`${other}\` has other options than it had, and would state other facts`
}

// ── reading what was recorded ────────────────────────────────────────────────────────────────────────────────────

const reasons = z.array(
  z.strictObject({
    code: z.string(),
    because: z.string(),
    fix: z.string().exactOptional(),
    where: z.string().exactOptional(),
  }),
)
const obligations = z.array(z.strictObject({ name: z.string(), terms: z.array(z.unknown()) }))
const approvers = z.array(
  z.strictObject({
    groups: z.array(z.string()),
    count: z.number().default(1),
    comment: z.literal('required').exactOptional(),
  }),
)

function recordedVerdict(record: RecordedDecision): Verdict | undefined {
  try {
    const { effect, hold_expires_at: expiresAt } = record
    const verdict: Verdict = {
      effect,
      reasons: reasons.parse(JSON.parse(record.reasons)),
      obligations: obligations.parse(JSON.parse(record.obligations)),
    }
    if (effect !== 'hold') return verdict
    return {
      ...verdict,
      approvers: approvers.parse(JSON.parse(record.approver_groups)),
      // A record that does not tell when the request came cannot tell how long it waits.
      ...(expiresAt !== null && record.received_at !== null && { expiresAt }),
    }
  } catch {
    return undefined
  }
}

/** Equal for equal values, whatever the order of their keys. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}

// ── counting ─────────────────────────────────────────────────────────────────────────────────────────────────────

const ORDER: Readonly<Record<Direction, number>> = { loosened: 0, tightened: 1, changed: 2 }

function strongestOf(found: readonly Difference[]): Direction | 'same' {
  const directions = found.map(({ direction }) => direction).toSorted((a, b) => ORDER[a] - ORDER[b])
  return directions[0] ?? 'same'
}

interface Counted {
  count: number
  readonly exchanges: string[]
}

function count(counted: Counted, exchange: string): void {
  counted.count += 1
  if (counted.exchanges.length < MOST_EXAMPLES) counted.exchanges.push(exchange)
}

class Tally {
  readonly #groups = new Map<string, Omit<Group, keyof Counted> & Counted>()
  untold = 0

  add({ direction, what }: Difference, { before, after }: Found, record: RecordedDecision): void {
    const about = {
      direction,
      what,
      was: rulesOf(before),
      is: rulesOf(after),
      principal: principalOf(record),
      connection: record.connection,
    }
    const key = JSON.stringify(about)
    const group = this.#groups.get(key) ?? { ...about, count: 0, exchanges: [] }
    if (group.count === 0) {
      if (this.#groups.size >= MOST_GROUPS) {
        this.untold += 1
        return
      }
      this.#groups.set(key, group)
    }
    count(group, record.exchange_id)
  }

  groups(): readonly Group[] {
    return [...this.#groups.values()].toSorted(
      (a, b) => ORDER[a.direction] - ORDER[b.direction] || b.count - a.count || (a.what < b.what ? -1 : 1),
    )
  }
}

/** Few different ones: they are our own words. */
class Reasons {
  readonly #all = new Map<string, Counted>()

  add(why: string, exchange: string): void {
    const counted = this.#all.get(why) ?? { count: 0, exchanges: [] }
    this.#all.set(why, counted)
    count(counted, exchange)
  }

  all(): readonly Unknown[] {
    return [...this.#all]
      .map(([why, { count: times, exchanges }]) => ({ why, count: times, exchanges }))
      .toSorted((a, b) => b.count - a.count)
  }
}

function principalOf({ issuer, subject, acts_for_subject: actsFor }: RecordedDecision): string {
  return `${issuer}:${subject}${actsFor === '' ? '' : ` for ${actsFor}`}`
}
