import { describe, expect, it } from 'vitest'
import { budgets, limit, limits } from '../../../plugins/limits/index.ts'
import { statementOf } from '../support.ts'

const statement = statementOf('SELECT 1', [])
const under = (...terms: unknown[]) => limit(statement, { name: 'limits', terms }).bounds

describe('limits', () => {
  it('lowers each bound to the lowest of all terms', () => {
    const bounds = under({ rows: 10, timeMs: 5 }, { rows: 20, bytesBilled: 7 })
    expect(bounds).toEqual({ maxRows: 10, timeoutMs: 5, maxBytesBilled: 7 })
  })

  it('raises none', () => {
    expect(under({ rows: 1e9, timeMs: 1e9, bytesBilled: 1e15 })).toEqual(statement.bounds)
  })

  it('says the lowest of each budget of all terms, and none where no rule sets one', () => {
    const of = (...all: unknown[]) => budgets({ name: 'limits', terms: all })
    expect(of({ rows: 5 })).toEqual({})
    expect(of({ perDay: { queries: 9, rows: 7 } }, { rows: 5 }, { perDay: { rows: 8, bytesBilled: 3 } })).toEqual({
      queries: 9,
      rows: 7,
      bytesBilled: 3,
    })
  })

  it('leaves the bounds of one request alone where it limits the day', () => {
    expect(under({ perDay: { rows: 1 } })).toEqual(statement.bounds)
  })

  it('refuses terms that say nothing, say it wrongly, or say something else', () => {
    const terms = limits.create({}, {} as never)
    if (terms instanceof Promise) throw new Error('limits need nothing to wait for')
    const parse = (input: unknown) => () => terms.fulfil?.['limits']?.terms.parse(input)
    expect(parse({})).toThrow('at least one of')
    expect(parse({ rows: 0 })).toThrow('rows')
    expect(parse({ rows: '5' })).toThrow('a whole number of rows')
    expect(parse({ rows: 5, bytes: 5 })).toThrow('bytes')
    expect(parse({ perDay: {} })).toThrow('at least one of')
    expect(parse({ perDay: { rows: 0 } })).toThrow('rows')
    expect(parse({ perDay: { timeMs: 5 } })).toThrow('timeMs')
    expect(parse({ perDay: { queries: 5 } })).not.toThrow()
  })
})
