import { describe, expect, it } from 'vitest'
import { limit, limits } from '../../../plugins/limits/index.ts'
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

  it('refuses terms that say nothing, say it wrongly, or say something else', () => {
    const terms = limits.create({}, {} as never)
    if (terms instanceof Promise) throw new Error('limits need nothing to wait for')
    const parse = (input: unknown) => () => terms.fulfil?.['limits']?.terms.parse(input)
    expect(parse({})).toThrow('at least one of')
    expect(parse({ rows: 0 })).toThrow('rows')
    expect(parse({ rows: '5' })).toThrow('a whole number of rows')
    expect(parse({ rows: 5, bytes: 5 })).toThrow('bytes')
  })
})
