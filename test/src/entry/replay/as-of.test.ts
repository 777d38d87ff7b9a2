import { describe, expect, test } from 'vitest'
import { asOf } from '../../../../src/entry/replay/as-of.ts'

const AT = Date.UTC(2026, 0, 5, 9, 30)
const NOW = AT + 3_600_000
const CLAUSE = "FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-05T09:30:00.000Z'"

const timed = (sql: string, vias: readonly string[] = [], now = NOW) =>
  asOf(sql, AT, now, { project: 'own', dataset: 'shop' }, vias)

describe('each table is read as it was', () => {
  test.each([
    ['SELECT id FROM shop.customers', 'SELECT id FROM shop.customers @'],
    ['SELECT c.id FROM shop.customers AS c WHERE c.id = 1', 'SELECT c.id FROM shop.customers AS c @ WHERE c.id = 1'],
    [
      'SELECT 1 FROM `own.shop.customers` c JOIN orders USING (id)',
      'SELECT 1 FROM `own.shop.customers` c @ JOIN orders @ USING (id)',
    ],
    ['SELECT 1 FROM a.b, UNNEST([1]) AS x', 'SELECT 1 FROM a.b @, UNNEST([1]) AS x'],
    ['SELECT 1 FROM a.b AS t, t.items AS i', 'SELECT 1 FROM a.b AS t @, t.items AS i'],
    [
      'WITH b AS (SELECT * FROM s.b) SELECT (SELECT MAX(x) FROM s.c AS `c d`) FROM b',
      'WITH b AS (SELECT * FROM s.b @) SELECT (SELECT MAX(x) FROM s.c AS `c d` @) FROM b',
    ],
    ['SELECT 1 FROM a.b TABLESAMPLE SYSTEM (10 PERCENT)', 'SELECT 1 FROM a.b @ TABLESAMPLE SYSTEM (10 PERCENT)'],
    [
      "SELECT 1 FROM a.b FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01' JOIN a.c ON TRUE",
      "SELECT 1 FROM a.b FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01' JOIN a.c @ ON TRUE",
    ],
    ['SELECT 1 AS one', 'SELECT 1 AS one'],
    [
      'SELECT "FROM a.b" FROM a.b WHERE x IN (SELECT 1 FROM a.b)',
      'SELECT "FROM a.b" FROM a.b @ WHERE x IN (SELECT 1 FROM a.b @)',
    ],
  ])('%s', (sql, expected) => {
    expect(timed(sql)).toEqual({ sql: expected.replaceAll('@', CLAUSE) })
  })
})

describe('or all of them as they are', () => {
  test.each<[sql: string, instead: string, vias?: string[]]>([
    ['SELECT 1 FROM shop.directory', '`shop.directory` is a view', ['', 'shop.directory']],
    ['SELECT 1 FROM shop.events_*', 'the recorded text is not understood any more'],
    ['SELECT 1 FROM `shop.events_*`', '`shop.events_*` is not one table with a past'],
    ['SELECT 1 FROM shop.INFORMATION_SCHEMA.TABLES', '`shop.INFORMATION_SCHEMA.TABLES` is not one table with a past'],
    ['SELECT * FROM ML.PREDICT(MODEL m.m, TABLE a.b)', 'a table stands where no time may be said'],
    ['INSERT INTO a.b SELECT * FROM a.c', 'it is no SELECT but a INSERT'],
    ['SELECT FROM', 'the recorded text is not understood any more'],
  ])('%s', (sql, instead, vias) => {
    expect(timed(sql, vias)).toEqual({ instead })
  })

  test('after seven days', () => {
    expect(timed('SELECT 1 FROM a.b', [], AT + 7 * 86_400_000)).toEqual({
      instead: 'it was asked more than 7 days ago',
    })
  })
})
