/** What one exchange came to, and what it would come to: the difference, and which way it goes. Pure. */
import type { Approvers, Decision, Inspected, Obligation, Reason } from '../../exchange.ts'
import { differences, type Difference } from './obligations.ts'

/** A decision as it is recorded, or as it is made again. */
export interface Verdict {
  readonly effect: Decision['effect']
  readonly reasons: readonly Reason[]
  readonly obligations: readonly Obligation[]
  /** Of a hold; absent where they are not known. */
  readonly approvers?: readonly Approvers[]
  /** Of a hold, milliseconds since 1970 UTC; absent where it is not known. */
  readonly expiresAt?: number
}

/** `approved` says who approved what was held; it is no rule's. */
const APPROVED = 'approved'

/** Codes that policies themselves give; a rule's has a slash. Any other is the gateway's. */
const OWN_CODES: ReadonlySet<string> = new Set(['no-permit', 'condition-failed', 'fact-refused'])

export function verdictOf(decision: Decision): Verdict {
  const { effect, reasons } = decision
  if (effect === 'deny') return { effect, reasons, obligations: [] }
  if (effect === 'permit') return { effect, reasons, obligations: decision.obligations }
  const { obligations, approvers, expiresAt } = decision
  return { effect, reasons, obligations, approvers, expiresAt }
}

/** A permit that people gave is the hold that they gave it for. */
export function asDecided(verdict: Verdict): Verdict {
  if (verdict.effect !== 'permit' || !isApproved(verdict)) return verdict
  const { reasons, obligations } = verdict
  return { effect: 'hold', reasons: reasons.filter(({ code }) => code !== APPROVED), obligations }
}

export function isApproved({ reasons }: Verdict): boolean {
  return reasons.some(({ code }) => code === APPROVED)
}

/** Whether the gateway denied what policies had consented to: an obligation could not be carried out. */
export function isBeyondPolicy({ effect, reasons }: Verdict): boolean {
  return (
    effect === 'deny' && reasons.length > 0 && !reasons.some(({ code }) => code.includes('/') || OWN_CODES.has(code))
  )
}

/** The codes of its reasons, each once, sorted. */
export function rulesOf({ reasons }: Verdict): readonly string[] {
  return [...new Set(reasons.map(({ code }) => code))].toSorted()
}

const RANK = { deny: 0, hold: 1, permit: 2 } as const

/** Every difference; none where the two come to the same. `changed` alone: other reasons, or what binds nobody. */
export function compare(
  before: Verdict,
  after: Verdict,
  exchange: Pick<Inspected, 'statement'>,
): readonly Difference[] {
  const found = [...ofEffect(before, after), ...ofConsent(before, after, exchange)]
  if (found.length > 0) return found
  return rulesOf(before).join() === rulesOf(after).join() ? [] : [{ direction: 'changed', what: 'other reasons' }]
}

function ofEffect({ effect: was }: Verdict, { effect: is }: Verdict): readonly Difference[] {
  if (was === is) return []
  return [{ direction: RANK[is] > RANK[was] ? 'loosened' : 'tightened', what: `${was} → ${is}` }]
}

/** What is masked less is so, too, where people must approve it now. */
function ofConsent(before: Verdict, after: Verdict, exchange: Pick<Inspected, 'statement'>): readonly Difference[] {
  if (before.effect === 'deny' || after.effect === 'deny') return []
  const bound = differences(before.obligations, after.obligations, exchange)
  if (before.effect !== after.effect) return bound
  return [...bound, ...ofApprovers(before.approvers, after.approvers), ...ofExpiry(before.expiresAt, after.expiresAt)]
}

/** Each entry must be satisfied: by so many people of any of its groups, with a comment where one is required. */
function ofApprovers(
  before: readonly Approvers[] | undefined,
  after: readonly Approvers[] | undefined,
): readonly Difference[] {
  if (before === undefined || after === undefined) return []
  const isKept = (entry: Approvers, by: readonly Approvers[]): boolean =>
    by.some(
      ({ groups, count, comment }) =>
        groups.every((group) => entry.groups.includes(group)) &&
        count >= entry.count &&
        (entry.comment === undefined || comment !== undefined),
    )
  const what = `approvers: ${approverWords(before)} → ${approverWords(after)}`
  if (!before.every((entry) => isKept(entry, after))) return [{ direction: 'loosened', what }]
  return after.every((entry) => isKept(entry, before)) ? [] : [{ direction: 'tightened', what }]
}

function approverWords(all: readonly Approvers[]): string {
  const words = all.map(({ groups, count, comment }) => {
    const people = count === 1 ? '' : `${count} of `
    return `${people}${groups.join('|')}${comment === undefined ? '' : ' with a comment'}`
  })
  return words.join(' and ')
}

/** Longer or shorter: whoever may approve has more or less time for it. */
function ofExpiry(before: number | undefined, after: number | undefined): readonly Difference[] {
  if (before === undefined || after === undefined || before === after) return []
  return [{ direction: 'changed', what: `holds wait ${after > before ? 'longer' : 'less long'}` }]
}
