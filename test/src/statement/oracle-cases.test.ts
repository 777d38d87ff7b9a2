/**
 * What the real ZetaSQL found that we had missed (`npm run oracle -- fuzz`), each made as small as it goes, and what it sees
 * otherwise for a reason.
 */
import { expect, test } from 'vitest'
import { typeText } from '../../../src/exchange.ts'
import { bound, statements } from './support.ts'

/** `read d.a, write d.t`, sorted, or the code of a refusal. */
function uses(sql: string): string {
  const parsed = statements().parse(sql, { project: 'own', dataset: 'd' })
  if (parsed.refused) return parsed.code
  return parsed.uses
    .map(({ action, resource }) => `${action} ${resource}`)
    .toSorted()
    .join(', ')
}

test('each table that CLONE DATA takes rows from is named, in a script too', () => {
  expect(uses('CLONE DATA INTO t FROM a UNION ALL b')).toBe('read d.a, read d.b, write d.t')
  expect(uses('CLONE DATA INTO t FROM a WHERE x UNION ALL s.b UNION ALL c; SELECT 1')).toBe(
    'execute SCRIPT, read d.a, read d.c, read s.b, write d.t',
  )
})

test('an alias of what DML changes hides its name: a path behind the name is a table again', () => {
  expect(uses('DELETE shop AS s WHERE id IN (SELECT id FROM shop.orders)')).toBe('read shop.orders, write d.shop')
  expect(uses('UPDATE shop s SET a = 1 FROM shop.orders WHERE TRUE')).toBe('read shop.orders, write d.shop')
  expect(uses('MERGE shop s USING (SELECT 1) x ON EXISTS(SELECT 1 FROM shop.orders) WHEN MATCHED THEN DELETE')).toBe(
    'read shop.orders, write d.shop',
  )
  expect(uses('DELETE shop AS s WHERE id IN (SELECT id FROM s.orders)')).toBe('write d.shop')
  expect(uses('DELETE shop WHERE id IN (SELECT id FROM shop.orders)')).toBe('write d.shop')
})

test('the source of MERGE does not see its target, what stands behind both sees both', () => {
  const merge = (source: string, on: string) =>
    uses(`MERGE s.t AS t USING ${source} AS u ON ${on} WHEN MATCHED THEN DELETE`)
  expect(merge('t.orders', 'TRUE')).toBe('read t.orders, write s.t')
  expect(merge('(SELECT x FROM t.orders)', 'TRUE')).toBe('read t.orders, write s.t')
  expect(merge('s.v', 'EXISTS(SELECT 1 FROM t.orders, u.items)')).toBe('read s.v, write s.t')
})

test('a part that begins with a digit behind a space is not cut off a name', () => {
  expect(uses('DROP TABLE d.t .1')).toBe('unparseable')
  expect(uses('SELECT 1; SELECT * FROM d.t .1')).toBe('unparseable')
  expect(uses('SELECT 1; SELECT .1 FROM d.t')).toBe('execute SCRIPT, read d.t')
})

test('PIVOT and UNPIVOT hide the alias of what they turn, and have one of their own', () => {
  expect(uses('SELECT 1 FROM d.wide AS w PIVOT(MAX(a) FOR b IN (1)), w.x')).toBe('read d.wide, read w.x')
  expect(uses('SELECT 1 FROM d.wide AS w UNPIVOT(a FOR b IN (c)) AS u, u.x, w.x')).toBe('read d.wide, read w.x')
})

test('a clause of MERGE sees only the side that its rows are of', () => {
  const merge = (target: string, source: string, clause: string) =>
    uses(`MERGE ${target} USING ${source} ON TRUE ${clause}`)
  const none = 'WHEN NOT MATCHED THEN INSERT (id) VALUES ((SELECT MAX(salary) FROM hr.salaries))'
  expect(merge('shop.hr AS hr', 'leads', none)).toBe('read d.leads, read hr.salaries, write shop.hr')
  expect(merge('leads', 'shop.hr AS hr', none)).toBe('read shop.hr, write d.leads')
  const alone = 'WHEN NOT MATCHED BY SOURCE AND EXISTS(SELECT 1 FROM hr.salaries) THEN DELETE'
  expect(merge('leads', 'shop.hr AS hr', alone)).toBe('read hr.salaries, read shop.hr, write d.leads')
  expect(merge('shop.hr AS hr', 'leads', alone)).toBe('read d.leads, write shop.hr')
  const both = 'WHEN MATCHED AND EXISTS(SELECT 1 FROM hr.salaries) THEN DELETE'
  expect(merge('shop.hr AS hr', 'leads', both)).toBe('read d.leads, write shop.hr')
  expect(merge('leads', 'shop.hr AS hr', both)).toBe('read shop.hr, write d.leads')
})

test('FROM of an UPDATE does not see the target', () => {
  const update = (from: string) => uses(`UPDATE shop.hr AS hr SET id = 1 FROM ${from} WHERE TRUE`)
  expect(update('hr.salaries')).toBe('read hr.salaries, write shop.hr')
  expect(update('(SELECT 1 FROM hr.salaries) AS s')).toBe('read hr.salaries, write shop.hr')
  expect(update('d.t AS s, s.salaries')).toBe('read d.t, write shop.hr')
  expect(uses('UPDATE shop.hr SET id = 1 FROM hr.salaries WHERE TRUE')).toBe('read hr.salaries, write shop.hr')
})

test('the mode of a set operation is no table', () => {
  const both = 'read d.a, read d.b'
  expect(uses('SELECT x FROM a UNION ALL CORRESPONDING SELECT x FROM b')).toBe(both)
  expect(uses('SELECT x FROM a UNION ALL BY NAME SELECT x FROM b')).toBe(both)
  expect(uses('FROM a |> UNION ALL (FROM b)')).toBe(both)
  expect(uses('SELECT 1; SELECT x FROM a UNION ALL STRICT CORRESPONDING SELECT x FROM b')).toBe(
    `execute SCRIPT, ${both}`,
  )
})

test('a path in one pair of backticks is called by its last part, as BigQuery does and ZetaSQL does not', () => {
  expect(uses('SELECT e FROM `s.t`, t.elements AS e')).toBe('read s.t')
  expect(uses('SELECT e FROM s.t AS u, t.elements AS e')).toBe('read s.t, read t.elements')
})

test('a path that is not read to its end names nothing, in a script too', () => {
  expect(uses('SELECT a FROM p-1.q-2.d.t; SELECT 1')).toBe('unparseable')
  expect(uses('SELECT a FROM p-1.d.t; SELECT 1 - 2')).toBe('execute SCRIPT, read p-1.d.t')
})

test('what stands behind RIGHT or FULL JOIN sees nothing of what stands before it', async () => {
  for (const join of ['RIGHT', 'FULL', 'FULL OUTER']) {
    const behind = (right: string) => uses(`SELECT x.name FROM shop.hr ${join} JOIN ${right} AS x ON TRUE`)
    expect(behind('UNNEST((SELECT ARRAY_AGG(s) FROM hr.salaries AS s))')).toBe('read hr.salaries, read shop.hr')
    expect(behind('UNNEST(ARRAY(SELECT s.name FROM hr.salaries AS s))')).toBe('read hr.salaries, read shop.hr')
    expect(behind('hr.salaries')).toBe('unparseable')
    expect(behind('`hr.salaries`')).toBe('read hr.salaries, read shop.hr')
  }
  for (const join of ['LEFT JOIN', 'JOIN', 'CROSS JOIN', ',']) {
    const on = /^(LEFT )?JOIN$/.test(join) ? ' ON TRUE' : ''
    const right = 'UNNEST((SELECT ARRAY_AGG(s) FROM hr.salaries AS s)) AS x'
    expect(uses(`SELECT x FROM shop.hr ${join} ${right}${on}`)).toBe('read shop.hr')
  }
  // A row made up so that its field bears a table's name: not it, but the table is read.
  const { output } = await bound(
    'SELECT x.email FROM (SELECT [STRUCT("a" AS email)] AS leads) AS shop RIGHT JOIN UNNEST((SELECT ARRAY_AGG(s) FROM shop.leads AS s)) AS x ON TRUE',
  )
  expect(output.map(({ sources }) => sources)).toEqual([['shop.leads.email', 'shop.leads.source']])
  expect(uses('FROM shop.hr |> RIGHT JOIN UNNEST((SELECT ARRAY_AGG(s) FROM hr.salaries AS s)) AS x ON TRUE')).toBe(
    'read hr.salaries, read shop.hr',
  )
})

test('the fields of a tuple have no names', async () => {
  const { output } = await bound('SELECT (id, status) AS pair, STRUCT(id, status) AS named FROM shop.orders')
  expect(output.map(({ type }) => typeText(type))).toEqual(['STRUCT<INT64, STRING>', 'STRUCT<id INT64, status STRING>'])
})

test('a column that REPLACE replaces bears the name as it is written there', async () => {
  const { output } = await bound("SELECT * REPLACE ('x' AS EMAIL) FROM shop.leads")
  expect(output.map(({ name }) => name)).toEqual(['EMAIL', 'source'])
})

test('SET may name its target by its table', async () => {
  const { columnsRead } = await bound("UPDATE shop.leads SET leads.source = leads.email WHERE leads.email = 'x'")
  expect(columnsRead).toEqual(['shop.leads.email'])
})

test('a clause of MERGE reads its columns from the side that its rows are of', async () => {
  const merge = 'MERGE shop.leads AS l USING shop.customers AS c ON FALSE'
  const [none, alone] = await Promise.all([
    bound(`${merge} WHEN NOT MATCHED THEN INSERT (email) VALUES (email)`),
    bound(`${merge} WHEN NOT MATCHED BY SOURCE THEN UPDATE SET source = email`),
  ])
  expect(none.columnsRead).toEqual(['shop.customers.email'])
  expect(alone.columnsRead).toEqual(['shop.leads.email'])
})
