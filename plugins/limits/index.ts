/**
 * Lowers what may be spent, by one request and by all of a day. The gateway cuts an answer at `bounds.maxRows`, stops it
 * at `bounds.timeoutMs` and has the upstream refuse above `bounds.maxBytesBilled`, and it counts what a day's budgets say,
 * so there is nothing to do on the way back.
 */
import * as z from 'zod'
import type { Amounts, Obligation, Plugin, Statement } from '../../src/plugin.ts'

const amount = (unit: string) => z.int(`a whole number of ${unit}`).min(1).exactOptional()

const perDay = z
  .strictObject({
    queries: amount('queries').describe('Most requests that run.'),
    rows: amount('rows').describe('Most rows of all answers.'),
    bytesBilled: amount('bytes').describe('Most bytes that the upstream may bill for all of them.'),
  })
  .refine((value) => Object.keys(value).length > 0, 'at least one of `queries`, `rows`, `bytesBilled`')

const terms = z
  .strictObject({
    rows: amount('rows').describe('Most rows of an answer.'),
    bytesBilled: amount('bytes').describe('Most bytes that the upstream may bill.'),
    timeMs: amount('milliseconds').describe('Longest run.'),
    perDay: perDay.exactOptional().describe('For each principal on each connection, per UTC day.'),
  })
  .refine((value) => Object.keys(value).length > 0, 'at least one of `rows`, `bytesBilled`, `timeMs`, `perDay`')

export const limits: Plugin<Record<string, never>> = {
  name: 'limits',
  options: z.strictObject({}).default({}),
  create: () => ({ fulfil: { limits: { terms, before: limit, budgets } } }),
}

/** The lowest of each bound; a term can raise none. */
export function limit<S extends Statement>(statement: S, obligation: Obligation): S {
  const all = obligation.terms.map((term) => terms.parse(term))
  const { maxRows, maxBytesBilled, timeoutMs } = statement.bounds
  return {
    ...statement,
    bounds: {
      maxRows: Math.min(maxRows, ...all.flatMap((term) => term.rows ?? [])),
      maxBytesBilled: Math.min(maxBytesBilled, ...all.flatMap((term) => term.bytesBilled ?? [])),
      timeoutMs: Math.min(timeoutMs, ...all.flatMap((term) => term.timeMs ?? [])),
    },
  }
}

/** The lowest of each budget. */
export function budgets(obligation: Obligation): Amounts {
  const all = obligation.terms.map((term) => terms.parse(term).perDay ?? {})
  const lowest = (['queries', 'rows', 'bytesBilled'] as const).flatMap((budget) => {
    const limits = all.flatMap((term) => term[budget] ?? [])
    return limits.length === 0 ? [] : [[budget, Math.min(...limits)] as const]
  })
  return Object.fromEntries(lowest)
}
