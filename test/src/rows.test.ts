import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asElements, firstRows, NO_ROWS } from '../../src/rows.ts'
import type { Batch } from '../../src/exchange.ts'

function batch(rows: readonly unknown[][]): Batch {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  return { rowCount: rows.length, bytes: new TextEncoder().encode(text) }
}
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const someRows = fc.array(fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 4 }), { minLength: 1, maxLength: 20 })

describe('a batch of rows', () => {
  it('as elements of an array reads back as the same rows', () => {
    fc.assert(
      fc.property(someRows, (rows) => {
        expect(JSON.parse(`[${text(asElements(batch(rows)))}]`)).toEqual(JSON.parse(JSON.stringify(rows)))
      }),
    )
  })

  it('is left as it was', () => {
    const rows = batch([[1], [2]])
    asElements(rows)
    expect(text(rows.bytes)).toBe('[1]\n[2]\n')
  })

  it('cut to its first rows has just those', () => {
    fc.assert(
      fc.property(someRows, fc.nat(), (rows, n) => {
        const count = n % rows.length
        expect(firstRows(batch(rows), count)).toEqual(batch(rows.slice(0, count)))
      }),
    )
  })

  it('that says more rows than it holds is not trusted', () => {
    expect(() => firstRows({ rowCount: 3, bytes: batch([[1]]).bytes }, 2)).toThrow('fewer rows than it says')
    expect(NO_ROWS.rowCount).toBe(0)
  })
})
