/** Station 4, decide: the one decision, and whether what it demands can be done. */
import type { Deny, Finding, Inspected, Reason } from '../exchange.ts'
import { budgetsOf, fulfil, type ActivePlugin } from '../fulfil.ts'
import type { Foreseen } from '../journey.ts'
import type { PolicySet } from '../policy/contract.ts'
import { BARRING, type Barring } from '../second-opinion.ts'
import type { Defaults, Statements } from '../statement/contract.ts'

/** What no plugin can carry out is denied here, before it is recorded, held or run. */
export async function decide(
  inspected: Inspected,
  policies: PolicySet,
  plugins: readonly ActivePlugin[],
  statements: Statements,
  defaults: Defaults,
): Promise<Foreseen> {
  const policy = policies.digest
  const decision = barred(inspected.findings) ?? policies.decide(inspected)
  if (decision.effect === 'deny') return { exchange: { ...inspected, decision, policy } }
  const narrowed = await fulfil(inspected, decision.obligations, plugins, statements, defaults)
  if (!('unfulfilled' in narrowed)) {
    const budgets = budgetsOf(decision.obligations, plugins)
    return { exchange: { ...inspected, decision, policy }, narrowed, budgets }
  }
  const denial: Deny = { effect: 'deny', reasons: [narrowed.unfulfilled] }
  return { exchange: { ...inspected, decision: denial, policy } }
}

/** The denial that follows from findings which no policy may overrule. */
function barred(findings: readonly Finding[]): Deny | undefined {
  const reasons: Reason[] = findings
    .filter((finding) => (BARRING as readonly string[]).includes(finding.kind))
    .map(({ kind, where }) => ({ ...WORDS[kind as Barring], ...(where !== undefined && { where }) }))
  return reasons.length === 0 ? undefined : { effect: 'deny', reasons }
}

/** What the requester is told of each. */
const WORDS: Readonly<Record<Barring, Reason>> = {
  'gateway/inspection-failed': {
    code: 'inspection-failed',
    because: 'an inspection failed or was late, and what is not known to be harmless does not run',
    fix: 'send it again; if that does not help, tell the operator',
  },
  'gateway/readers-disagree': {
    code: 'readers-disagree',
    because: 'our analysis and the warehouse read this statement differently',
    fix: 'send it again in case a table has just changed; else name the columns instead of `*`, or write it more plainly',
  },
}
