/** Scores how risky a statement looks, from named factors: a number for policies, names for the people who read it. */
import * as z from 'zod'
import type { Finding, Plugin, Stated } from '../../src/plugin.ts'
import { costOf, factorsOf, scoreOf, VERSION, WEIGHTS, type Factor, type FactorName, type Weights } from './factors.ts'

const weight = z.number('a weight from 0 to 100').min(0).max(100)

const names = Object.keys(WEIGHTS) as FactorName[]

/** `{ weights: { 'select-star': 0, bytes: 50 }, usdPerTib: 7.5 }`: what differs from the defaults. */
const options = z
  .strictObject({
    weights: z.partialRecord(z.enum(names), weight).default({}),
    usdPerTib: z.number('a price in US dollars').min(0).max(1_000_000).default(6.25),
  })
  .prefault({})

type Options = z.output<typeof options>

export const sqlRisk: Plugin<Options> = {
  name: 'sql-risk',
  options,
  facts: { risk: { score: 'number', factors: 'list', points: 'list', version: 'number', costUsd: 'number' } },
  create: (given) => ({ inspect: (exchange) => assess(exchange, given) }),
}

/** `sql-risk/score` with the facts, then a finding for each factor that adds to it. Of what is no SQL it says nothing. */
export function assess(stated: Stated, given: Options = options.parse(undefined)): readonly Finding[] {
  const { statement } = stated
  if (statement.language !== 'googlesql') return []
  const weights: Weights = { ...WEIGHTS, ...given.weights }
  const factors = factorsOf({ ...stated, statement }, given.usdPerTib).filter(({ name }) => weights[name] > 0)
  const risk = {
    score: scoreOf(factors, weights),
    factors: [...new Set(factors.map(({ name }) => name))],
    points: pointsOf(factors, weights),
    version: VERSION,
    costUsd: costOf(statement, given.usdPerTib),
  }
  return [
    { kind: 'sql-risk/score', facts: { risk } },
    ...factors.map(({ name, where, count }) => ({
      kind: `sql-risk/${name}`,
      ...(where !== undefined && { where }),
      ...(count !== undefined && { count }),
    })),
  ]
}

/** `write 30`: what each factor adds, to a tenth of a point, in the order of the names. */
function pointsOf(factors: readonly Factor[], weights: Weights): readonly string[] {
  const points = new Map<FactorName, number>()
  for (const { name, share } of factors) points.set(name, (points.get(name) ?? 0) + weights[name] * share)
  return [...points].map(([name, sum]) => `${name} ${Math.round(sum * 10) / 10}`)
}
