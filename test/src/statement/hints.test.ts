import { describe, expect, it } from 'vitest'
import { hintForStatement } from '../../../src/statement/hints.ts'
import { analyse } from '../../../src/statement/parse.ts'

/** The fix of a refusal; `none` where there is one without, `understood` where there is none. */
function fixOf(sql: string): string {
  const read = analyse(sql, { project: 'p' })
  return read.refused ? (read.fix ?? 'none') : 'understood'
}

describe('a text in the words of another dialect is told what to write', () => {
  it.each([
    ['SELECT TOP 5 * FROM shop.orders', 'write `LIMIT n` at the end for `TOP n`'],
    ['SELECT id FROM shop.orders LIMIT 5, 10', 'for `LIMIT skip, count` write `LIMIT count OFFSET skip`'],
    ['SELECT id::STRING FROM shop.orders', 'write `CAST(x AS STRING)` for `x::STRING`'],
    [`SELECT id FROM shop.orders WHERE status ILIKE 'x'`, 'write `LOWER(x) LIKE LOWER(pattern)`'],
    [`SELECT id FROM shop.orders WHERE status RLIKE 'x'`, 'write `REGEXP_CONTAINS(x, pattern)`'],
    ['SHOW TABLES', 'read `dataset.INFORMATION_SCHEMA.TABLES` or `dataset.INFORMATION_SCHEMA.COLUMNS`'],
    ['DESCRIBE shop.orders', 'read `dataset.INFORMATION_SCHEMA.TABLES` or `dataset.INFORMATION_SCHEMA.COLUMNS`'],
    ['EXPLAIN SELECT 1', 'POST /v1/preflight tells what a statement would do and read'],
    ['SELEC 1', 'did you mean `SELECT`?'],
    ['UPDTE shop.orders SET id = 1 WHERE TRUE', 'did you mean `UPDATE`?'],
  ])('%s', (sql, fix) => {
    expect(fixOf(sql)).toBe(fix)
  })

  it.each([
    'SELECT top, id FROM shop.orders LIMIT 5 OFFSET 10',
    'SELECT CAST(id AS STRING) FROM shop.orders',
    `SELECT id FROM shop.orders WHERE LOWER(status) LIKE LOWER('x')`,
  ])('not so what is GoogleSQL: %s', (sql) => {
    expect(fixOf(sql)).toBe('understood')
  })

  it('and a word like none of ours gets no guess', () => {
    expect(hintForStatement('ABRACADABRA')).toBeUndefined()
    expect(fixOf('SELECT 1 1')).toBe('none')
  })
})
