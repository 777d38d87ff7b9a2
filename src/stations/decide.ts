/** Station 4, decide: the one decision, and whether what it demands can be done. */
import type { PayloadLog } from '../audit/contract.ts'
import type { Decided, Deny, Finding, Hold, HttpStatement, Inspected, Permit, Reason } from '../exchange.ts'
import { barrierOf, budgetsOf, fulfil, lackOf, recordingOf, type ActivePlugin, type Verify } from '../fulfil.ts'
import type { Foreseen } from '../journey.ts'
import type { Unfulfilled } from '../plugin.ts'
import type { PolicySet } from '../policy/contract.ts'
import { BARRING, type Barring } from '../second-opinion.ts'
import { withheld } from './recording.ts'

/** What no plugin can carry out, or no log of bodies can take, is denied here, before it is recorded, held or run. */
export async function decide(
  inspected: Inspected,
  policies: PolicySet,
  plugins: readonly ActivePlugin[],
  verify: Verify,
  payloads: PayloadLog | undefined,
): Promise<Foreseen> {
  const policy = policies.digest
  const decision = barred(inspected.findings) ?? policies.decide(inspected)
  if (decision.effect === 'deny') return { exchange: { ...inspected, decision, policy } }
  const narrowed = await fulfil(inspected, decision.obligations, plugins, verify)
  if ('unfulfilled' in narrowed) return denied(narrowed)
  const barrier =
    narrowed.language === 'http' ? barrierOfHttp(narrowed, { ...inspected, decision, policy }, plugins) : undefined
  if (barrier !== undefined) return denied(barrier)
  const recording = recordingOf(decision.obligations, plugins)
  const lack = recording && lackOf(recording, payloads)
  if (lack !== undefined) return denied(lack)
  const exchange = withheld({ ...inspected, decision, policy }, recording, payloads)
  const budgets = budgetsOf(decision.obligations, plugins)
  return { exchange, narrowed, budgets, plugins }

  function denied({ unfulfilled }: Unfulfilled): Foreseen {
    return { exchange: { ...inspected, decision: { effect: 'deny', reasons: [unfulfilled] }, policy } }
  }
}

/** Why what was consented to cannot be done to this request. */
function barrierOfHttp(
  narrowed: HttpStatement,
  { decision, ...exchange }: Decided<Permit | Hold>,
  plugins: readonly ActivePlugin[],
): Unfulfilled | undefined {
  const { effect, obligations } = decision
  if (effect === 'hold' && narrowed.body !== undefined && narrowed.body.content === undefined) {
    const because = 'a person must approve it, and its body is too large to be kept until then'
    return { unfulfilled: { code: 'too-large-to-hold', because, fix: 'send it in smaller parts' } }
  }
  return barrierOf(narrowed, { ...exchange, decision: { effect: 'permit', reasons: [], obligations } }, plugins)
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
