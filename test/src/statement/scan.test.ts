/** The scan of tokens alone: which words stand as tables, told by the words before them. */
import { expect, test } from 'vitest'
import { lex } from '../../../src/statement/lexer.ts'
import { scanNames } from '../../../src/statement/scan.ts'
import { DEFAULTS, statements } from './support.ts'

function scanned(sql: string): string {
  const lexed = lex(sql)
  if ('refused' in lexed) throw new Error(lexed.code)
  return scanNames(lexed.tokens)
    .map(({ role, start, end }) => `${role} ${sql.slice(start, end)}`)
    .join(', ')
}

const CASES: readonly (readonly [string, string])[] = [
  ['MERGE s.t USING s.u ON TRUE WHEN NOT MATCHED THEN INSERT ROW WHEN MATCHED THEN DELETE', 'write s.t, read s.u'],
  ['IF TRUE THEN INSERT row VALUES (1)', 'write row'],
  ['SELECT a, b FROM s.t, `p-1.s.u` x JOIN a-b.c.d USING (k), y', 'read s.t, read `p-1.s.u`, read a-b.c.d, read y'],
  ['SELECT EXTRACT(YEAR FROM d), a IS NOT DISTINCT FROM b FROM s.t', 'read s.t'],
  ['SELECT x.from, y.join FROM s.t WHERE c LIKE d', 'read s.t'],
  ['SELECT 1 FROM (s.t JOIN (SELECT 1 FROM s.u) ON TRUE), s.v', 'read s.t, read s.u, read s.v'],
  ['SELECT 1 FROM UNNEST((SELECT a FROM s.t)) x, s.u', 'read s.t, read s.u'],
  ['SELECT 1 FROM s.t FOR SYSTEM_TIME AS OF a, s.u TABLESAMPLE SYSTEM (1 PERCENT)', 'read s.t, read s.u'],
  ['SELECT 1 FROM s.t PIVOT (SUM(a) FOR b IN (c, d)) p, s.u', 'read s.t, read s.u'],
  ['SELECT f(a, b), s.g(c) FROM s.h(TABLE s.t, MODEL s.m)', 'execute s.g, execute s.h, read s.t, execute s.m'],
  [
    'FROM s.t |> JOIN s.u ON a = b |> AGGREGATE c, d GROUP BY e, f |> UNION ALL (FROM s.v)',
    'read s.t, read s.u, read s.v',
  ],
  ['MERGE INTO s.t USING s.u ON TRUE WHEN MATCHED THEN UPDATE SET a = b', 'write s.t, read s.u'],
  [
    'MERGE s.t x USING (SELECT 1 FROM s.u JOIN s.v USING (k)) y ON TRUE WHEN MATCHED THEN DELETE',
    'write s.t, read s.u, read s.v',
  ],
  ['UPDATE s.t SET a = (SELECT 1 FROM s.u), b = 2 FROM s.v, s.w WHERE TRUE', 'write s.t, read s.u, read s.v, read s.w'],
  ['DELETE s.t WHERE a IN (SELECT b FROM s.u); TRUNCATE TABLE s.v', 'write s.t, read s.u, delete s.v'],
  ['INSERT s.t (a, b) SELECT c, d FROM s.u', 'write s.t, read s.u'],
  ['CREATE OR REPLACE TABLE IF NOT EXISTS s.t COPY s.u', 'define s.t, read s.u'],
  ['CREATE TABLE s.t (a INT64 REFERENCES s.u (b)) AS SELECT 1 FROM s.v', 'define s.t, read s.u, read s.v'],
  ['CREATE ROW ACCESS POLICY r ON s.t FILTER USING (a IN (SELECT b FROM s.u))', 'administer s.t, read s.u'],
  ["REVOKE `roles/x` ON TABLE s.t FROM 'user:a'", 'administer s.t'],
  [
    'BEGIN IF a THEN CALL s.p(); ELSE DROP VIEW s.v; END IF; EXPORT MODEL s.m OPTIONS (); END',
    'execute s.p, delete s.v, read s.m',
  ],
  // Where a name could be a table, it counts as one.
  ['SELECT a, TABLE t FROM s.u', 'read t, read s.u'],
]

test.each(CASES)('%s', (sql, expected) => {
  expect(scanned(sql)).toBe(expected)
})

test('what only one of the readers takes for a table is refused, where the third cannot be asked, too', () => {
  const refusal = (sql: string) => statements().parse(sql, DEFAULTS)
  const unproven = { refused: true, code: 'unproven', message: 'a second reading takes another word for a table here' }
  expect(refusal('SELECT a, TABLE t FROM s.u')).toMatchObject({ ...unproven, column: 17 })
  expect(refusal('SELECT (FROM s.u |> SELECT a, TABLE t)')).toMatchObject({ ...unproven, column: 37 })
})
