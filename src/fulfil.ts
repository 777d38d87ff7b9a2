/**
 * Carrying out what a decision still demands. A plugin may only narrow a statement; this file holds it to that, and an
 * obligation that nobody can carry out denies.
 */
import { BUDGETS, type Amounts, type Obligation, type Reason, type SqlStatement, type Stated } from './exchange.ts'
import { Failure } from './failure.ts'
import type { Fulfilment, Hooks, Unfulfilled } from './plugin.ts'
import type { Statements } from './statement/contract.ts'

/** A plugin's hooks under its name, made with the options that the policies in force give this principal. */
export interface ActivePlugin {
  readonly name: string
  readonly hooks: Hooks
}

/** The statement as the obligations leave it, or why one of them cannot be carried out. */
export async function fulfil(
  exchange: Stated,
  obligations: readonly Obligation[],
  plugins: readonly ActivePlugin[],
  statements: Statements,
  defaults: { readonly project: string; readonly dataset?: string },
): Promise<SqlStatement | Unfulfilled> {
  let statement = exchange.statement
  for (const obligation of obligations) {
    const fulfilment = find(obligation.name, plugins)
    if (fulfilment === undefined) return unfulfilled('obligation-unknown', `nothing can fulfil \`${obligation.name}\``)
    if (fulfilment.before === undefined) continue
    const next = await fulfilment.before(statement, obligation, exchange)
    if ('unfulfilled' in next) return next
    const widened = widening(statement, next)
    if (widened !== undefined) return unfulfilled('obligation-widens', `\`${obligation.name}\` would widen ${widened}`)
    statement = next
  }
  const refusal = statements.verify(exchange.statement, statement, defaults)
  if (refusal !== undefined) {
    return { unfulfilled: { code: 'obligation-unproven', because: refusal.message, where: place(refusal) } }
  }
  return statement
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
export function widening(before: SqlStatement, after: SqlStatement): string | undefined {
  if (after.kind !== before.kind || after.language !== before.language) return 'the kind of statement'
  const known = new Set(before.uses.map((use) => `${use.action} ${use.resource}`))
  if (after.uses.some((use) => !known.has(`${use.action} ${use.resource}`))) return 'the resources used'
  if (after.output.length !== before.output.length) return 'the columns answered'
  const { maxRows, timeoutMs, maxBytesBilled } = before.bounds
  // Written so that a NaN counts as wider.
  const narrower =
    after.bounds.maxRows <= maxRows &&
    after.bounds.timeoutMs <= timeoutMs &&
    after.bounds.maxBytesBilled <= maxBytesBilled
  return narrower ? undefined : 'the bounds'
}
