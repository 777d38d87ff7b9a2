/**
 * Lowers what may be spent. The gateway cuts an answer at `bounds.maxRows`, stops it at `bounds.timeoutMs` and has the
 * upstream refuse above `bounds.maxBytesBilled`, so there is nothing to do on the way back.
 */
import * as z from 'zod'
import type { Obligation, Plugin, SqlStatement } from '../../src/plugin.ts'

const amount = (unit: string) => z.int(`a whole number of ${unit}`).min(1).exactOptional()

const terms = z
  .strictObject({
    rows: amount('rows').describe('Most rows of an answer.'),
    bytesBilled: amount('bytes').describe('Most bytes that the upstream may bill.'),
    timeMs: amount('milliseconds').describe('Longest run.'),
  })
  .refine((value) => Object.keys(value).length > 0, 'at least one of `rows`, `bytesBilled`, `timeMs`')

export const limits: Plugin<Record<string, never>> = {
  name: 'limits',
  options: z.strictObject({}).default({}),
  create: () => ({ fulfil: { limits: { terms, before: limit } } }),
}

/** The lowest of each bound; a term can raise none. */
export function limit(statement: SqlStatement, obligation: Obligation): SqlStatement {
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
