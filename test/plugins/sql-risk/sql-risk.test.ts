import { describe, expect, it } from 'vitest'
import { WEIGHTS } from '../../../plugins/sql-risk/factors.ts'
import { assess, sqlRisk } from '../../../plugins/sql-risk/index.ts'
import type { Estimate } from '../../../src/exchange.ts'
import { customers, statedOf, statementOf } from '../support.ts'

const estimate = (bytes: number): Estimate => ({ bytes, kind: 'SELECT', tables: [], output: [] })
const select = (more: Parameters<typeof statementOf>[2] = {}) =>
  statementOf('SELECT id FROM shop.customers', [customers], { estimate: estimate(1000), ...more })
const risk = (statement: ReturnType<typeof statementOf>) => assess(statement)[0]?.facts?.['risk']

describe('sql-risk', () => {
  it('finds nothing in a small plain read', () => {
    expect(assess(select())).toEqual([{ kind: 'sql-risk/score', facts: { risk: { score: 0, factors: [] } } }])
  })

  it('names each factor, and where', () => {
    const statement = statementOf('DELETE FROM shop.customers', [customers], {
      kind: 'DELETE',
      estimate: estimate(0),
      uses: [{ action: 'write', resource: 'shop.customers' }],
      features: [{ name: 'no-where', at: '1:1', resource: 'shop.customers' }],
    })
    expect(assess(statement)).toEqual([
      { kind: 'sql-risk/score', facts: { risk: { score: 70, factors: ['write', 'no-where'] } } },
      { kind: 'sql-risk/write', where: 'shop.customers' },
      { kind: 'sql-risk/no-where', where: '1:1' },
    ])
  })

  it('weighs bytes by their logarithm, from 1 GiB to 10 TiB', () => {
    const scores = [0, 2 ** 30, 100 * 2 ** 30, 10 * 2 ** 40, 1e18].map(
      (it) => risk(select({ estimate: estimate(it) }))?.['score'],
    )
    expect(scores).toEqual([0, 0, 15, 30, 30])
  })

  it('takes bytes that are unknown for no good sign', () => {
    const { estimate: _, ...unknown } = select()
    expect(risk(unknown)).toEqual({ score: 10, factors: ['bytes-unknown'] })
    expect(risk(select({ estimate: estimate(Number.NaN) }))).toEqual({ score: 30, factors: ['bytes'] })
  })

  it('counts a thing once though two signs tell of it, and each unknown function up to three', () => {
    const uses = [{ action: 'read', resource: 'shop.events_*' }] as const
    const wildcard = select({ uses, features: [{ name: 'wildcard-table', at: '1:15' }] })
    expect(risk(wildcard)).toEqual({ score: 5, factors: ['wildcard'] })
    const functions = ['CONCAT', 'SAFE.SUBSTR', 'shop.F', 'A.B', 'C', 'D']
    expect(risk(select({ functions }))).toEqual({ score: 30, factors: ['unknown-function'] })
  })

  it('does not overlook a feature that it does not know', () => {
    expect(risk(select({ features: [{ name: 'brand-new' }] }))).toEqual({ score: 5, factors: ['other-feature'] })
    const told = ['dml', 'ddl', 'comment'].map((name) => ({ name }))
    expect(risk(select({ features: told }))).toEqual({ score: 0, factors: [] })
    expect(risk(select({ features: [{ name: 'constructor' }] }))).toEqual({ score: 5, factors: ['other-feature'] })
  })

  it('never exceeds 100', () => {
    const uses = (['delete', 'administer', 'execute', 'export'] as const).map((action) => ({ action, resource: 'a.b' }))
    expect(risk(select({ uses }))?.['score']).toBe(100)
  })

  it('takes weights per identity; a factor without weight is not named', async () => {
    const options = sqlRisk.options.parse({ weights: { 'select-star': 0, 'cross-join': 40 } })
    const hooks = await sqlRisk.create(options, {} as never)
    const statement = select({
      features: [
        { name: 'select-star', at: '1:8' },
        { name: 'cross-join', at: '1:20' },
      ],
    })
    expect(await hooks.inspect?.(statedOf(statement), AbortSignal.timeout(1000))).toEqual([
      { kind: 'sql-risk/score', facts: { risk: { score: 40, factors: ['cross-join'] } } },
      { kind: 'sql-risk/cross-join', where: '1:20' },
    ])
    expect(() => sqlRisk.options.parse({ weights: { 'no-such': 1 } })).toThrow('no-such')
    expect(() => sqlRisk.options.parse({ weights: { bytes: 101 } })).toThrow('100')
    expect(sqlRisk.options.parse(undefined)).toEqual({ weights: {} })
  })

  it('promises the facts that it finds', () => {
    expect(sqlRisk.facts).toEqual({ risk: { score: 'number', factors: 'list' } })
    expect(Object.values(WEIGHTS).every((weight) => weight > 0 && weight <= 100)).toBe(true)
  })
})
