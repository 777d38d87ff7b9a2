/**
 * The decision: pure, synchronous, over compiled rules. deny > hold > permit; what nothing permits is denied; an error
 * denies. `policies/README.md` says the same for those who write rules.
 */
import type {
  Action,
  Approvers,
  Decision,
  Deny,
  Inspected,
  Obligation,
  Principal,
  Reason,
  ResourceUse,
  SqlStatement,
  Statement,
} from '../exchange.ts'
import { factsOf, type Condition } from './condition.ts'
import type { Named } from './contract.ts'
import type { Vocabulary } from './vocabulary.ts'

/** A rule, ready to be asked. */
export interface CompiledRule {
  /** `<policy>/<rule>` */
  readonly code: string
  readonly effect: 'permit' | 'hold' | 'deny'
  readonly because: string
  readonly fix?: string
  readonly matchesKind: (kind: string) => boolean
  readonly matchesAction: (action: Action) => boolean
  /** Absent where the rule names no resources: it is then about the statement as a whole. */
  readonly resources?: { covers(resource: string): boolean; touches(resource: string): boolean }
  /** What of the statement's functions, tags or columns a rule that names some is about; `undefined`: nothing. Never on permits. */
  readonly narrowed?: (statement: SqlStatement) => string | undefined
  readonly condition?: Condition
  /** One term per obligation that the rule names. `guards`: it binds beyond what the rule is about. */
  readonly obligations: readonly { readonly name: string; readonly term: unknown; readonly guards?: boolean }[]
  /** For holds. */
  readonly approvers: readonly Approvers[]
  readonly expiresInMs: number
}

export interface CompiledDocument {
  readonly applies: (principal: Principal, connection: string) => boolean
  readonly rules: readonly CompiledRule[]
}

/** A decision and the codes of the rules that took part in it: those that matched, with a true condition. */
export interface Explained {
  readonly decision: Decision
  readonly matched: readonly string[]
}

/** The use that a statement without any resource counts as, so that `SELECT 1` too needs a permit. */
const NOTHING: ResourceUse = { action: 'read', resource: '' }

/** Decides one exchange over all documents. */
export function decide(documents: readonly CompiledDocument[], exchange: Inspected, vocabulary: Vocabulary): Explained {
  const applicable = documents.filter((document) => document.applies(exchange.principal, exchange.connection))
  const rules = applicable.flatMap((document) => document.rules)
  const uses = usesOf(exchange.statement.uses)
  const { facts, refused } = factsOf(exchange, vocabulary)
  if (refused !== undefined) return { decision: deny([factRefused(refused)]), matched: [] }

  const places: Places = new Map()
  const matched: CompiledRule[] = []
  const failed: CompiledRule[] = []
  for (const rule of rules) {
    if (!concerns(rule, exchange.statement.kind, uses)) continue
    if (rule.narrowed !== undefined) {
      // It is about SQL alone: no operation of an API calls a function or reads a column.
      const met = exchange.statement.language === 'googlesql' ? rule.narrowed(exchange.statement) : undefined
      if (met === undefined) continue
      places.set(rule, met)
    }
    const outcome = rule.condition === undefined ? 'true' : rule.condition(facts)
    if (outcome === 'failed') failed.push(rule)
    else if (outcome === 'true') matched.push(rule)
  }
  // What a rule would have consented to, had its condition not failed, is denied for that failure.
  const denials = denialsOf(matched, [...matched, ...failed], uses, applicable.length > 0, places)
  const codes = matched.map((rule) => rule.code)
  const reasons = [...denials, ...failed.map(conditionFailed)]
  if (reasons.length > 0) return { decision: deny(reasons), matched: codes }
  const obligations = obligationsOf(rules, new Set(matched), isBeyondReading(exchange.statement))
  return { decision: consent(matched, obligations, uses, exchange.receivedAt, places), matched: codes }
}

/** Whether it may move, tell of or give away what tables hold other than in its rows. */
function isBeyondReading({ language, kind, uses }: Statement): boolean {
  if (language !== 'googlesql') return false
  const isPlain = uses.every(
    ({ action, resource }) => action === 'read' && !/(^|\.)INFORMATION_SCHEMA(\.|$)/i.test(resource),
  )
  return kind !== 'SELECT' || !isPlain
}

/** The denial that names alone bring about, whatever the conditions will say. */
export function denyByName(documents: readonly CompiledDocument[], named: Named): Deny | undefined {
  const applicable = documents.filter((document) => document.applies(named.principal, named.connection))
  const uses = usesOf(named.uses)
  const possible = applicable.flatMap((document) => document.rules).filter((rule) => concerns(rule, named.kind, uses))
  const certain = possible.filter((rule) => rule.condition === undefined && rule.narrowed === undefined)
  const denials = denialsOf(certain, possible, uses, applicable.length > 0)
  return denials.length > 0 ? deny(denials) : undefined
}

function usesOf(uses: readonly ResourceUse[]): readonly ResourceUse[] {
  return uses.length > 0 ? uses : [NOTHING]
}

/** Whether the rule's kind, actions and resources meet any of the uses. */
function concerns(rule: CompiledRule, kind: string, uses: readonly ResourceUse[]): boolean {
  return rule.matchesKind(kind) && uses.some((use) => touches(rule, use))
}

/**
 * Some of what the use stands for is named: enough to deny, to hold, and for the obligations of a permit to bind. A
 * wildcard table that includes a masked one is masked, though the rule that masks would not permit all of it.
 */
function touches(rule: CompiledRule, use: ResourceUse): boolean {
  if (!rule.matchesAction(use.action)) return false
  return rule.resources === undefined || rule.resources.touches(use.resource)
}

/** Enough to permit: all of what the use stands for is named. */
function covers(rule: CompiledRule, use: ResourceUse): boolean {
  if (!rule.matchesAction(use.action)) return false
  return rule.resources === undefined || rule.resources.covers(use.resource)
}

/** Whether a rule gives its consent to a use. A hold that names no resource escalates; it opens nothing. */
function consents(rule: CompiledRule, use: ResourceUse): boolean {
  if (rule.effect === 'deny') return false
  if (rule.effect === 'hold' && rule.resources === undefined) return false
  return covers(rule, use)
}

/** What `certain` rules deny, and each use to which none of the `consenting` rules consents. */
function denialsOf(
  certain: readonly CompiledRule[],
  consenting: readonly CompiledRule[],
  uses: readonly ResourceUse[],
  anyPolicy: boolean,
  places: Places = new Map(),
): readonly Reason[] {
  const denying = certain.filter((rule) => rule.effect === 'deny')
  const left = uses.filter(
    (use) => !denying.some((rule) => touches(rule, use)) && !consenting.some((rule) => consents(rule, use)),
  )
  return [...denying.map((rule) => reasonOf(rule, uses, places)), ...left.map((use) => noPermit(use, anyPolicy))]
}

function consent(
  matched: readonly CompiledRule[],
  obligations: readonly Obligation[],
  uses: readonly ResourceUse[],
  receivedAt: number,
  places: Places,
): Decision {
  const holds = matched.filter((rule) => rule.effect === 'hold')
  if (holds.length === 0) {
    return { effect: 'permit', reasons: matched.map((rule) => reasonOf(rule, uses, places)), obligations }
  }
  return {
    effect: 'hold',
    reasons: holds.map((rule) => reasonOf(rule, uses, places)),
    obligations,
    approvers: together(holds.flatMap((rule) => rule.approvers)),
    expiresAt: receivedAt + Math.min(...holds.map((rule) => rule.expiresInMs)),
  }
}

/** Several that ask the same groups are one, which asks for as many people as the most demanding of them. */
function together(approvers: readonly Approvers[]): readonly Approvers[] {
  const byGroups = new Map<string, Approvers>()
  for (const each of approvers) {
    const key = JSON.stringify(each.groups.toSorted())
    const other = byGroups.get(key)
    const comment = each.comment ?? other?.comment
    const count = Math.max(each.count, other?.count ?? 0)
    byGroups.set(key, { groups: other?.groups ?? each.groups, count, ...(comment !== undefined && { comment }) })
  }
  return [...byGroups.values()]
}

/**
 * The terms of all matching permits and holds, by name in the order of first mention. Where `isGuarded`, what guards binds
 * by every rule: one who reads a table masked may not copy, rename or give it away unmasked by a rule for that alone.
 */
function obligationsOf(
  rules: readonly CompiledRule[],
  matched: ReadonlySet<CompiledRule>,
  isGuarded: boolean,
): readonly Obligation[] {
  const terms = new Map<string, unknown[]>()
  for (const rule of rules) {
    for (const { name, term, guards } of rule.obligations) {
      if (matched.has(rule) || (isGuarded && guards === true)) terms.set(name, [...(terms.get(name) ?? []), term])
    }
  }
  return Array.from(terms, ([name, list]) => ({ name, terms: list }))
}

function deny(reasons: readonly Reason[]): Deny {
  return { effect: 'deny', reasons }
}

/** What of a statement each rule with `functions`, `tags` or `columns` has met. */
type Places = Map<CompiledRule, string>

/** The rule's own reason. It names the function, column or first resource met, unless it is about the statement as a whole. */
function reasonOf(rule: CompiledRule, uses: readonly ResourceUse[], places: Places): Reason {
  const met = rule.resources === undefined ? undefined : uses.find((use) => touches(rule, use))
  const place = places.get(rule)
  const where = place ?? met?.resource ?? ''
  const fix = rule.fix ?? (place === undefined ? undefined : `leave \`${place}\` out of the statement`)
  return {
    code: rule.code,
    because: rule.because,
    ...(fix === undefined ? {} : { fix }),
    ...(where === '' ? {} : { where }),
  }
}

function noPermit(use: ResourceUse, anyPolicy: boolean): Reason {
  if (!anyPolicy) {
    return {
      code: 'no-permit',
      because: 'no policy applies to you on this connection',
      fix: 'ask whoever keeps the policies for access to this connection',
      ...(use.resource === '' ? {} : { where: use.resource }),
    }
  }
  if (use.resource === '') {
    return {
      code: 'no-permit',
      because: 'no rule permits a statement that names no table',
      fix: 'name a table that you may read',
    }
  }
  return {
    code: 'no-permit',
    because: `no rule permits \`${use.action}\` on this resource`,
    fix: 'leave it out of the statement, or ask whoever keeps the policies for access to it',
    where: use.resource,
  }
}

function conditionFailed(rule: CompiledRule): Reason {
  return {
    code: 'condition-failed',
    because: 'a condition could not be evaluated: a fact that it weighs is missing or has no such part',
    where: rule.code,
  }
}

function factRefused(fact: string): Reason {
  return {
    code: 'fact-refused',
    because: 'a plugin stated a fact that it does not declare, in another type, or twice and differently',
    where: fact,
  }
}
