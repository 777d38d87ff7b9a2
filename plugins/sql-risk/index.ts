/** Scores how risky a statement looks, from named factors: a number for policies, names for the people who read it. */
import * as z from 'zod'
import type { Finding, Plugin, SqlStatement } from '../../src/plugin.ts'
import { factorsOf, scoreOf, WEIGHTS, type FactorName, type Weights } from './factors.ts'

const weight = z.number('a weight from 0 to 100').min(0).max(100)

const names = Object.keys(WEIGHTS) as FactorName[]

/** `{ weights: { 'select-star': 0, bytes: 50 } }`: what differs from the defaults. */
const options = z.strictObject({ weights: z.partialRecord(z.enum(names), weight).default({}) }).default({ weights: {} })

export const sqlRisk: Plugin<z.output<typeof options>> = {
  name: 'sql-risk',
  options,
  facts: { risk: { score: 'number', factors: 'list' } },
  create({ weights }) {
    const all: Weights = { ...WEIGHTS, ...weights }
    return { inspect: ({ statement }) => assess(statement, all) }
  },
}

/** `sql-risk/score` with the facts, then a finding for each factor that adds to it. */
export function assess(statement: SqlStatement, weights: Weights = WEIGHTS): readonly Finding[] {
  const factors = factorsOf(statement).filter(({ name }) => weights[name] > 0)
  const score = scoreOf(factors, weights)
  return [
    { kind: 'sql-risk/score', facts: { risk: { score, factors: [...new Set(factors.map(({ name }) => name))] } } },
    ...factors.map(({ name, where }) => ({ kind: `sql-risk/${name}`, ...(where !== undefined && { where }) })),
  ]
}
