/**
 * Carrying out what a decision still demands. A plugin may only narrow a statement; this file holds it to that, and an
 * obligation that nobody can carry out denies.
 */
import { concatenated } from './bytes.ts'
import { mediaTypeOf } from './connection/contract.ts'
import {
  BUDGETS,
  type Amounts,
  type Batch,
  type HttpStatement,
  type Language,
  type Masked,
  type Obligation,
  type Permitted,
  type Reason,
  type SqlStatement,
  type Stated,
  type Statement,
} from './exchange.ts'
import { Failure } from './failure.ts'
import type { BodyHead, Fulfilment, Hooks, Need, Originals, Recording, Transform, Unfulfilled } from './plugin.ts'
import type { Refusal } from './statement/contract.ts'

/** A plugin's hooks under its name, made with the options that the policies in force give this principal. */
export interface ActivePlugin {
  readonly name: string
  readonly hooks: Hooks
}

/** The second lock on a rewritten SQL statement: why it does not hold, if it does not. */
export type Verify = (original: SqlStatement, narrowed: SqlStatement) => Refusal | undefined

/** The statement as the obligations leave it, or why one of them cannot be carried out. */
export async function fulfil(
  exchange: Stated,
  obligations: readonly Obligation[],
  plugins: readonly ActivePlugin[],
  verify: Verify,
): Promise<Statement | Unfulfilled> {
  let statement = exchange.statement
  for (const obligation of obligations) {
    const fulfilment = find(obligation.name, plugins)
    if (fulfilment === undefined) return unfulfilled('obligation-unknown', `nothing can fulfil \`${obligation.name}\``)
    if (fulfilment.language !== undefined && fulfilment.language !== statement.language) {
      return unfulfilled('obligation-elsewhere', ELSEWHERE[fulfilment.language](obligation.name))
    }
    if (fulfilment.before === undefined) continue
    const next = await fulfilment.before(statement, obligation, exchange)
    if ('unfulfilled' in next) return next
    const widened = widening(statement, next)
    if (widened !== undefined) return unfulfilled('obligation-widens', `\`${obligation.name}\` would widen ${widened}`)
    statement = next
  }
  const original = exchange.statement
  if (original.language !== 'googlesql' || statement.language !== 'googlesql') return statement
  const refusal = verify(original, statement)
  if (refusal !== undefined) {
    return { unfulfilled: { code: 'obligation-unproven', because: refusal.message, where: place(refusal) } }
  }
  return statement
}

const ELSEWHERE: Readonly<Record<Language, (name: string) => string>> = {
  googlesql: (name) => `\`${name}\` is for SQL, and a policy demands it of a request to an HTTP API`,
  http: (name) => `\`${name}\` is for requests to HTTP APIs, and a policy demands it of SQL`,
}

/**
 * What changes a body on its way, in the order of the obligations; or why one of them cannot be carried out on it. An
 * obligation that nobody can carry out at all is one of those.
 */
export function transformsOf(
  way: 'answer' | 'request',
  head: BodyHead,
  exchange: Permitted,
  plugins: readonly ActivePlugin[],
  originals?: Originals,
): readonly Transform[] | Unfulfilled {
  const transforms: Transform[] = []
  for (const obligation of exchange.decision.obligations) {
    const fulfilment = find(obligation.name, plugins)
    if (fulfilment === undefined) return unfulfilled('obligation-unknown', `nothing can fulfil \`${obligation.name}\``)
    const transform = fulfilment[way]?.(head, obligation, exchange, originals)
    if (transform === undefined) continue
    if ('unfulfilled' in transform) return transform
    transforms.push(transform)
  }
  return transforms
}

/** Headers that ask for part of an answer, or learn from its status alone what it is: of a masked one neither can be given. */
const CONDITIONAL: ReadonlySet<string> = new Set([
  'range',
  'if-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
])

/** Several as one: what is left in each goes through those behind it. */
export function chained(transforms: readonly Transform[]): Transform {
  const through = (bytes: Uint8Array, from: number): Uint8Array =>
    transforms.slice(from).reduce((so, transform) => transform.push(so), bytes)
  return {
    push: (chunk) => through(chunk, 0),
    end: () => concatenated(transforms.map((transform, i) => through(transform.end(), i + 1))),
    counts: () => transforms.flatMap((transform) => transform.counts()),
  }
}

/** What of an HTTP request its obligations cannot be carried out on; known before anything is sent. */
export function barrierOf(
  { headers, body }: HttpStatement,
  exchange: Permitted,
  plugins: readonly ActivePlugin[],
): Unfulfilled | undefined {
  if (body !== undefined) {
    const transforms = transformsOf('request', bodyHead(body.type), exchange, plugins)
    if ('unfulfilled' in transforms) return transforms
  }
  const isMasked = exchange.decision.obligations.some(({ name }) => find(name, plugins)?.answer !== undefined)
  const conditional = isMasked ? headers.find(([name]) => CONDITIONAL.has(name))?.[0] : undefined
  if (conditional === undefined) return undefined
  const because = `the answer is masked, and \`${conditional}\` would tell what is behind the mask`
  return { unfulfilled: { code: 'conditional-under-mask', because, fix: `leave \`${conditional}\` out` } }
}

/** `text/csv; charset=Latin1` as a head. */
export function bodyHead(value: string): BodyHead {
  const { type, charset } = mediaTypeOf(value)
  return { contentType: type, ...(charset !== undefined && { charset }) }
}

/** What obligations do to each batch of rows, in their order. Throws where one gives other rows than it was given. */
export function afterOf(
  exchange: Permitted,
  plugins: readonly ActivePlugin[],
): ((batch: Batch) => Promise<Batch>) | undefined {
  const steps = exchange.decision.obligations.flatMap((obligation) => {
    const fulfilment = find(obligation.name, plugins)
    return fulfilment?.after === undefined ? [] : [{ fulfilment, obligation }]
  })
  if (steps.length === 0) return undefined
  return async (batch) => {
    let so = batch
    const masked: Masked[] = []
    for (const { fulfilment, obligation } of steps) {
      const next = (await fulfilment.after?.(so, obligation, exchange)) ?? so
      if (next.rowCount !== so.rowCount)
        throw new Failure('internal', `\`${obligation.name}\` changed how many rows there are`)
      masked.push(...(next.masked ?? []))
      so = { rowCount: next.rowCount, bytes: next.bytes }
    }
    return { ...so, masked }
  }
}

/** The lowest of each budget that any of the obligations sets. */
export function budgetsOf(obligations: readonly Obligation[], plugins: readonly ActivePlugin[]): Amounts {
  const all = obligations.map((obligation) => find(obligation.name, plugins)?.budgets?.(obligation) ?? {})
  const lowest = BUDGETS.flatMap((budget) => {
    const limits = all.flatMap((amounts) => amounts[budget] ?? [])
    if (!limits.every((limit) => Number.isSafeInteger(limit) && limit >= 0)) {
      throw new Failure('internal', `a budget of \`${budget}\` is no whole number`)
    }
    return limits.length === 0 ? [] : [[budget, Math.min(...limits)] as const]
  })
  return Object.fromEntries(lowest)
}

/** What of the bodies is to be recorded; `undefined` where no obligation says. Throws where two of them do. */
export function recordingOf(
  obligations: readonly Obligation[],
  plugins: readonly ActivePlugin[],
): Recording | undefined {
  const all = obligations.flatMap((obligation) => {
    const recording = find(obligation.name, plugins)?.record?.(obligation)
    return recording === undefined ? [] : [recording]
  })
  if (all.length > 1) throw new Failure('internal', 'two obligations say what is recorded')
  return all[0]
}

/** What the log of bodies provides of what may be needed. */
export interface Provided {
  readonly digest?: unknown
  readonly seal?: unknown
}

const LACKS: Readonly<Record<Need, string>> = {
  'digest-key': '`secrets` are recorded under `audit.bodies.digestKey`, which is not configured',
  'auditor-keys': '`seal` needs the keys of auditors in `audit.bodies.sealTo`, which are not configured',
}

/** Why what is to be recorded cannot be, as far as that is known beforehand. */
export function lackOf({ secrets, seal }: Recording, log: Provided | undefined): Unfulfilled | undefined {
  if (log === undefined)
    return unfulfilled('recording-unavailable', 'policy wants bodies recorded, and no log takes them')
  const needs: readonly Need[] = [
    ...(secrets === undefined ? [] : (['digest-key'] as const)),
    ...(seal ? (['auditor-keys'] as const) : []),
  ]
  const because = lackingOf(needs, log)
  return because === undefined ? undefined : unfulfilled('recording-unavailable', because)
}

/** The terms of an obligation as a policy may write them: of what is not provided, the load says so. */
export function termsOf({ terms, needs }: Fulfilment, provided: Provided): { parse(input: unknown): unknown } {
  return {
    parse(input) {
      const term = terms.parse(input)
      const because = needs === undefined ? undefined : lackingOf(needs(term), provided)
      if (because !== undefined) throw new Error(because)
      return term
    },
  }
}

function lackingOf(needs: readonly Need[], { digest, seal }: Provided): string | undefined {
  const has: Readonly<Record<Need, boolean>> = {
    'digest-key': digest !== undefined,
    'auditor-keys': seal !== undefined,
  }
  const lacking = needs.find((need) => !has[need])
  return lacking === undefined ? undefined : LACKS[lacking]
}

function find(name: string, plugins: readonly ActivePlugin[]): Fulfilment | undefined {
  return plugins.map((plugin) => plugin.hooks.fulfil?.[name]).find((fulfilment) => fulfilment !== undefined)
}

function unfulfilled(code: string, because: string): Unfulfilled {
  const reason: Reason = { code, because }
  return { unfulfilled: reason }
}

function place(refusal: { line: number; column: number }): string {
  return `${refusal.line}:${refusal.column}`
}

/** What `after` may do that `before` may not, in a word; `undefined` where it only narrows. */
export function widening(before: Statement, after: Statement): string | undefined {
  if (after.kind !== before.kind || after.language !== before.language) return 'the kind of statement'
  const known = new Set(before.uses.map((use) => `${use.action} ${use.resource}`))
  if (after.uses.some((use) => !known.has(`${use.action} ${use.resource}`))) return 'the resources used'
  if (before.language === 'googlesql') {
    if (after.language !== 'googlesql' || after.output.length !== before.output.length) return 'the columns answered'
  } else if (after.language !== 'http' || sent(after) !== sent(before)) return 'what is sent'
  const { maxRows, timeoutMs, maxBytesBilled } = before.bounds
  // Written so that a NaN counts as wider.
  const narrower =
    after.bounds.maxRows <= maxRows &&
    after.bounds.timeoutMs <= timeoutMs &&
    after.bounds.maxBytesBilled <= maxBytesBilled
  return narrower ? undefined : 'the bounds'
}

/** All of a request that decides what it does. Its body is changed on the way out, by `request`, never here. */
function sent({ text, target, headers, body }: HttpStatement): string {
  return JSON.stringify([text, target, headers, body ?? null])
}
