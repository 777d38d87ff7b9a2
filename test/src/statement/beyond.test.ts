/**
 * What ZetaSQL reads and BigQuery, or we, do not follow. Where lineage can be told, it is: no source is lost. All else is
 * known by every name in it, so that a policy can judge it, and is never bound.
 */
import { expect, test } from 'vitest'
import type { Table, TablePath } from '../../../src/exchange.ts'
import { replaceReferences } from '../../../src/statement/rewrite.ts'
import { bind, bound, BOUNDS, DEFAULTS, flow, statements } from './support.ts'

/** SQL, then `output<sources | columns read`; resources without `shop.`. */
const FLOWS: readonly (readonly [string, string])[] = [
  ['SELECT (email).UPPER().SUBSTR(1, 3) AS e FROM shop.leads', 'e<leads.email | leads.email'],
  ["SELECT CONCAT('a', source).(NET.HOST)() AS e FROM shop.leads", 'e<leads.source | leads.source'],
  [
    "SELECT ('a').CONCAT(email, (SELECT MAX(name) FROM shop.customers)) AS e FROM shop.leads",
    'e<customers.name,leads.email | customers.name leads.email',
  ],
  ['SELECT (source).MAX() OVER (PARTITION BY email) AS e FROM shop.leads', 'e<leads.source | leads.email leads.source'],
  [
    'SELECT (email).ARRAY_AGG(ORDER BY source LIMIT 1) AS e FROM shop.leads',
    'e<leads.email,leads.source | leads.email leads.source',
  ],
  ['SELECT (id).DATE_TRUNC(MONTH) AS e FROM shop.orders', 'e<orders.id | orders.id'],
  ['SELECT ARRAY_FILTER(tags, t -> TRUE) AS a FROM shop.customers', 'a<customers.tags | customers.tags'],
  ['SELECT ARRAY_TRANSFORM([1], x -> email) AS a FROM shop.leads', 'a<leads.email | leads.email'],
  ['SELECT ARRAY_TRANSFORM([1], email -> email) AS a FROM shop.leads', 'a< | '],
  ['SELECT ARRAY_TRANSFORM([1], (x, email) -> x + email) AS a FROM shop.leads', 'a< | '],
  ['SELECT ARRAY_TRANSFORM([1], (x, email) -> leads.email) AS a FROM shop.leads', 'a<leads.email | leads.email'],
  [
    'SELECT ARRAY_TRANSFORM(contacts, c -> c.value) AS a FROM shop.customers',
    'a<customers.contacts | customers.contacts',
  ],
  [
    'SELECT ARRAY_TRANSFORM([1], x -> (SELECT MAX(salary) FROM hr.salaries)) AS a',
    'a<hr.salaries.salary | hr.salaries.salary',
  ],
  [
    'SELECT ARRAY_FILTER([1], x -> EXISTS(SELECT 1 FROM hr.salaries WHERE salary = x)) AS a',
    'a<hr.salaries.salary | hr.salaries.salary',
  ],
  [
    'SELECT ARRAY_TRANSFORM([source], x -> ARRAY_TRANSFORM([email], y -> CONCAT(x, y))) AS a FROM shop.leads',
    'a<leads.email,leads.source | leads.email leads.source',
  ],
  ['SELECT (tags).ARRAY_FILTER(t -> LENGTH(t) > 1) AS a FROM shop.customers', 'a<customers.tags | customers.tags'],
  [
    'SELECT c.name, l.source FROM shop.orders o JOIN shop.customers c JOIN shop.leads l ON l.email = c.email ON c.id = o.id',
    'name<customers.name source<leads.source | customers.email customers.id customers.name leads.email leads.source orders.id',
  ],
  [
    'SELECT l.source FROM shop.orders o JOIN shop.customers c JOIN shop.leads l USING (email) USING (id)',
    'source<leads.source | customers.email customers.id leads.email leads.source orders.id',
  ],
  [
    'SELECT email FROM shop.orders o LEFT JOIN shop.customers c FULL JOIN shop.leads l USING (email) ON TRUE',
    'email<customers.email,leads.email | customers.email leads.email',
  ],
  ['(SELECT email AS e FROM shop.leads) AS x |> SELECT x.e', 'e<leads.email | leads.email'],
  ['SELECT (address).city.UPPER() AS c FROM shop.customers', 'c<customers.address.city | customers.address.city'],
]

test.each(FLOWS)('follows %s', async (sql, expected) => {
  expect(flow(await bound(sql))).toBe(expected)
})

test('MERGE … INSERT ROW reads every column of its source', async () => {
  const sql = 'MERGE shop.leads t USING shop.leads s ON FALSE WHEN NOT MATCHED THEN INSERT ROW'
  expect((await bound(sql)).columnsRead).toEqual(['shop.leads.email', 'shop.leads.source'])
})

/** Refused at bind, though each part is read. */
const LOST: readonly (readonly [string, string])[] = [
  // A join in a join sees nothing of what stands before it: not as a column, not as an array.
  [
    'SELECT 1 FROM shop.orders o JOIN shop.customers c JOIN shop.leads l ON o.id = c.id ON TRUE',
    'unknown-column 1:72 `o` is not known here',
  ],
  [
    'SELECT 1 FROM shop.customers shop JOIN shop.orders o JOIN shop.contacts x ON TRUE ON TRUE',
    'unknown-table 1:59 `shop.contacts` is not known',
  ],
  ['SELECT x -> 1 FROM shop.leads', 'unparseable 1:10 `->` stands where the end of the statement is expected'],
  [
    'SELECT ARRAY_FILTER(tags, (t.u) -> TRUE) FROM shop.customers',
    'unsupported-lambda 1:33 a lambda of this form is not supported',
  ],
  ['SELECT ARRAY_TRANSFORM([1], x -> y) AS a', 'unknown-column 1:34 `y` is not known here'],
  [
    'SELECT (email).`hr.mail`() FROM shop.leads',
    'unsupported-routine 1:9 what the routine `hr.mail` reads is not known here',
  ],
  [
    'SELECT (email).(hr.mail)() FROM shop.leads',
    'unsupported-routine 1:9 what the routine `hr.mail` reads is not known here',
  ],
  ['SELECT (email).(UPPER) FROM shop.leads', 'unparseable 1:24 `FROM` stands where `(` is expected'],
  [
    'SELECT 1 FROM shop.orders o JOIN shop.leads l ON TRUE ON TRUE',
    'unparseable 1:55 `ON` stands where another join is expected',
  ],
  ['SELECT 1 FROM shop.orders o RIGHT JOIN shop.leads l', 'unparseable 1:29 a `RIGHT JOIN` needs `ON` or `USING`'],
  [
    'SELECT 1 FROM shop.orders o JOIN shop.leads l, shop.customers c ON TRUE',
    'unparseable 1:65 `ON` stands where another join is expected',
  ],
]

test.each(LOST)('refuses %s', async (sql, expected) => {
  expect(flow(await bind(sql))).toBe(expected)
})

/** SQL; its kind and uses; why it is never bound. */
const NAMED: readonly (readonly [string, string, string])[] = [
  ['SELECT 1 FROM a.b.c.d', 'SELECT read:a.b.c.d', 'unknown-table 1:15'],
  [
    'SELECT 1 FROM `[P].[R].[B]._Logs` JOIN s.t ON TRUE',
    'SELECT read:[P].[R].[B]._Logs read:s.t',
    'unknown-table 1:15',
  ],
  ['SELECT 1 FROM own.a.b.c', 'SELECT read:own.a.b.c', 'unknown-table 1:15'],
  ['DELETE `a.b.c.d` WHERE TRUE', 'DELETE write:a.b.c.d', 'unknown-table 1:8'],
  ['SELECT 1 FROM `s.c*`', 'SELECT read:s.c*', 'unknown-table 1:15'],
  ['SELECT 1 FROM `p.s.*`', 'SELECT read:p.s.*', 'unknown-table 1:15'],
  ['SELECT @@project_id FROM s.t', 'SELECT read:s.t', 'unsupported-variable 1:8'],
  ['SELECT @@error.message, (SELECT 1 FROM s.t)', 'SELECT read:s.t', 'unsupported-variable 1:8'],
  [
    '@{a=1} SELECT @{b.c=[1, "x"]} 1 FROM s.t @{d=e} JOIN @5 s.u ON TRUE',
    'SELECT read:s.t read:s.u',
    'unsupported-hint 1:1',
  ],
  ['SELECT F(x -> (SELECT 1 FROM s.u)) FROM s.t', 'SELECT read:s.t read:s.u', 'unsupported-lambda 1:10'],
  ['SELECT COUNT(*, k => (SELECT 1 FROM s.u)) FROM s.t', 'SELECT read:s.t read:s.u', 'bound'],
  ['SELECT SUM(x WHERE y IN (SELECT 1 FROM s.u)) FROM s.t', 'SELECT read:s.t read:s.u', 'unsupported-call 1:14'],
  [
    'SELECT SUM(MAX(x) GROUP BY (SELECT 1 FROM s.u) HAVING TRUE) FROM s.t',
    'SELECT read:s.t read:s.u',
    'unsupported-call 1:19',
  ],
  ['SELECT F(1 AS x, (SELECT 1 FROM s.u))', 'SELECT read:s.u', 'unsupported-call 1:10'],
  ['SELECT F(INPUT TABLE)', 'SELECT', 'unsupported-call 1:10'],
  ["SELECT 'a' 'b' FROM s.t", 'SELECT read:s.t', 'unsupported-literal 1:12'],
  ['SELECT CAST((SELECT a FROM s.u) AS INT32) FROM s.t', 'SELECT read:s.t read:s.u', 'unsupported-type 1:36'],
  ['SELECT CAST(a AS p.q.R) FROM s.t', 'SELECT read:s.t', 'unsupported-type 1:18'],
  ["SELECT CAST(a AS STRING COLLATE 'x') FROM s.t", 'SELECT read:s.t', 'unsupported-type 1:25'],
  ['SELECT AS p.q a FROM s.t', 'SELECT read:s.t', 'unsupported-type 1:11'],
  ['SELECT 1 FROM s.t LIMIT 1 + 1', 'SELECT read:s.t', 'unsupported-limit 1:25'],
  [
    'SELECT 1 FROM s.t TABLESAMPLE RESERVOIR (5 ROWS) WITH WEIGHT w, s.u',
    'SELECT read:s.t read:s.u',
    'unsupported-tablesample 1:31',
  ],
  [
    'SELECT 1 FROM (SELECT 1 FROM s.t) TABLESAMPLE SYSTEM (5 PERCENT)',
    'SELECT read:s.t',
    'unsupported-tablesample 1:35',
  ],
  ['SELECT 1 FROM UNNEST([1], (SELECT a FROM s.u)) x, s.t', 'SELECT read:s.t read:s.u', 'unsupported-unnest 1:25'],
  ['SELECT 1 FROM s.t NATURAL JOIN s.u', 'SELECT read:s.t read:s.u', 'unsupported-join 1:19'],
  ['SELECT 1 FROM s.t LEFT HASH JOIN s.u ON TRUE', 'SELECT read:s.t read:s.u', 'unsupported-join 1:19'],
  ['SELECT 1 FROM s.t WITH OFFSET o', 'SELECT read:s.t', 'unsupported-clause 1:15'],
  [
    'SELECT 1 FROM s.t MATCH_RECOGNIZE (ORDER BY a PATTERN (b) DEFINE b AS TRUE) t, t.u',
    'SELECT read:s.t',
    'unsupported-match-recognize 1:19',
  ],
  [
    'SELECT 1 FROM s.t x MATCH_RECOGNIZE (ORDER BY a PATTERN (b) DEFINE b AS TRUE) m, x.u',
    'SELECT read:s.t read:x.u',
    'unsupported-match-recognize 1:21',
  ],
  ['FROM s.t |> ASSERT (SELECT TRUE FROM s.u), a', 'SELECT read:s.t read:s.u', 'unsupported-pipe 1:13'],
  ['FROM s.t |> STATIC_DESCRIBE |> JOIN s.u ON TRUE', 'SELECT read:s.t read:s.u', 'unsupported-pipe 1:13'],
  [
    'FROM s.t |> IF (SELECT TRUE FROM s.u) THEN (|> JOIN s.v ON TRUE) ELSEIF FALSE THEN () ELSE (|> JOIN s.w ON TRUE)',
    'SELECT read:s.t read:s.u read:s.v read:s.w',
    'unsupported-pipe 1:13',
  ],
  // Behind IF, an alias may be gone: what bears its name is a table's path.
  ['FROM s.t x |> IF TRUE THEN (|> AS y) |> JOIN x.u ON TRUE', 'SELECT read:s.t read:x.u', 'unsupported-pipe 1:15'],
  ['FROM s.t |> EXPORT DATA OPTIONS (uri = "gs://b/*")', 'SELECT export:s.t read:s.t', 'unsupported-pipe 1:13'],
  ['FROM s.t |> TEE |> SELECT 1', 'SELECT read:s.t', 'unsupported-pipe 1:13'],
  ['FROM s.t |> INSERT OR IGNORE s.u (a) THEN RETURN a', 'SELECT read:s.t write:s.u', 'unsupported-pipe 1:13'],
  ['FROM s.t |> CALL s.f(INPUT TABLE, TABLE s.u)', 'SELECT execute:s.f read:s.t read:s.u', 'unsupported-call 1:22'],
  ['SELECT 1 FROM s.f(CONNECTION c, DESCRIPTOR(a), TABLE s.u)', 'SELECT execute:s.f read:s.u', 'unsupported-call 1:19'],
  ['INSERT OR UPDATE INTO s.t (a) SELECT a FROM s.u', 'INSERT read:s.u write:s.t', 'unsupported-clause 1:8'],
  [
    'INSERT s.t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2 WHERE b',
    'INSERT write:s.t',
    'unsupported-clause 1:27',
  ],
  ['DELETE s.t WHERE TRUE ASSERT_ROWS_MODIFIED 1', 'DELETE write:s.t', 'unsupported-clause 1:23'],
  ['UPDATE s.t SET a = 1 WHERE TRUE THEN RETURN *, b', 'UPDATE write:s.t', 'unsupported-clause 1:33'],
  [
    'UPDATE s.t SET a[OFFSET((SELECT 1 FROM s.u))].b = 5 WHERE TRUE',
    'UPDATE read:s.u write:s.t',
    'unsupported-update 1:17',
  ],
  [
    'UPDATE s.t t SET (DELETE FROM t.a x WHERE x IN (SELECT 1 FROM s.u)), (INSERT t.b (SELECT 1 FROM s.v)) WHERE TRUE',
    'UPDATE read:s.u read:s.v write:s.t',
    'unsupported-update 1:18',
  ],
  ['CREATE INDEX i ON s.t UNNEST(a) AS x (a) STORING (b)', 'CREATE_INDEX define:s.t', 'unsupported-statement 1:8'],
  ["CREATE ROW POLICY r ON s.t TO 'a' USING (b = 1)", 'CREATE_ROW_POLICY administer:s.t', 'unsupported-statement 1:8'],
  [
    "CREATE ROW POLICY r ON s.t TO 'a' USING (b IN (SELECT c FROM s.u))",
    'CREATE_ROW_POLICY administer:s.t read:s.u',
    'unsupported-clause 1:48',
  ],
  [
    'CREATE CONSTANT c = (SELECT 1 FROM s.u)',
    'CREATE_CONSTANT administer:CREATE_CONSTANT read:s.u',
    'unsupported-statement 1:8',
  ],
  ['DROP SEQUENCE s.q', 'DROP_SEQUENCE administer:DROP_SEQUENCE', 'unsupported-statement 1:6'],
  ['ANALYZE OPTIONS (a = b) s.t (c, d), s.u', 'ANALYZE administer:s.t administer:s.u', 'unsupported-statement 1:1'],
  ['ANALYZE', 'ANALYZE administer:ANALYZE', 'unsupported-statement 1:1'],
  [
    'CLONE DATA INTO s.t FROM s.u WHERE a IN (SELECT 1 FROM s.v) UNION ALL s.w',
    'CLONE_DATA read:s.u read:s.v read:s.w write:s.t',
    'unsupported-statement 1:1',
  ],
  ['START TRANSACTION', 'SCRIPT execute:SCRIPT', 'unsupported-script 1:1'],
]

test.each(NAMED)('names all of %s, and does not bind it', async (sql, uses, why) => {
  const parsed = statements().parse(sql, DEFAULTS)
  if (parsed.refused) throw new Error(`${parsed.code} ${parsed.line}:${parsed.column}: ${parsed.message}`)
  const shown = parsed.uses.map(({ action, resource }) => `${action}:${resource}`).toSorted()
  expect([parsed.kind, ...shown].join(' ')).toBe(uses)
  if (why === 'bound') return
  const refusal = await bind(sql)
  expect('refused' in refusal && `${refusal.code} ${refusal.line}:${refusal.column}`).toBe(why)
})

/** Where no tree holds what is read, no table and no routine may be named. */
const HIDING: readonly (readonly [string, string])[] = [
  ['SELECT 1 LIMIT ARRAY_LENGTH(ARRAY(SELECT a FROM s.t))', 'unsupported-clause 1:35'],
  ['SELECT 1 LIMIT s.f(1)', 'unsupported-clause 1:17'],
  ['SELECT 1 LIMIT `s.f`(1)', 'unsupported-clause 1:16'],
  ['SELECT 1 FROM s.t TABLESAMPLE SYSTEM ((SELECT 1) PERCENT)', 'unsupported-clause 1:40'],
  ['SELECT 1 FROM s.t TABLESAMPLE X (1 ROWS PARTITION BY (SELECT 1))', 'unsupported-clause 1:55'],
  ['FROM s.t |> MATCH_RECOGNIZE (MEASURES (SELECT 1 FROM s.u) AS a)', 'unsupported-clause 1:40'],
  ['INSERT s.t (a) VALUES (1) THEN RETURN (SELECT 1 FROM s.u)', 'unsupported-clause 1:40'],
  ['DELETE s.t WHERE TRUE ASSERT_ROWS_MODIFIED (SELECT 1 FROM s.u)', 'unsupported-clause 1:45'],
  ['FROM s.t |> EXPORT DATA OPTIONS (a = (SELECT 1 FROM s.u))', 'unsupported-clause 1:39'],
  ['CREATE INDEX i ON s.t (a) WHERE b IN (SELECT 1 FROM s.u)', 'CREATE_INDEX'],
  ['ANALYZE s.t (a, (SELECT 1 FROM s.u))', 'unsupported-clause 1:18'],
  ['SELECT F(DESCRIPTOR(a))', 'unsupported-call 1:10'],
]

test.each(HIDING)('hides nothing in %s', (sql, expected) => {
  const parsed = statements().parse(sql, DEFAULTS)
  const shown = parsed.refused ? `${parsed.code} ${parsed.line}:${parsed.column}` : parsed.kind
  expect(shown).toBe(expected)
  if (!parsed.refused) expect(parsed.uses.map(({ resource }) => resource)).toContain('s.u')
})

/** Names that begin with a digit, behind a point. */
test('a part of a path may begin with a digit, unless a word stands before it', async () => {
  const named = (sql: string): unknown => {
    const parsed = statements().parse(sql, DEFAULTS)
    return parsed.refused ? parsed.code : parsed.uses.map(({ resource }) => resource)
  }
  expect(named('SELECT 1 FROM s.2024_01')).toEqual(['s.2024_01'])
  expect(named('SELECT 1 FROM p.2s.25x AS a')).toEqual(['p.2s.25x'])
  expect(named('SELECT 1 FROM s.25e1, s.t')).toEqual(['s.25e1', 's.t'])
  expect(named('SELECT 1 FROM.5')).toBe('unparseable')
  expect(named('SELECT 1 FROM s.1`t`')).toBe('unparseable')
  expect(flow(await bind('SELECT metadata.1 AS m FROM shop.customers'))).toBe(
    'm<customers.metadata | customers.metadata',
  )
})

/** Masks `email` of customers where it stands. */
async function masked(sql: string): Promise<string> {
  const original = await bound(sql)
  const narrowed = replaceReferences(original, ({ resource }) =>
    resource === 'shop.customers' ? "SELECT * REPLACE ('x' AS `email`) FROM `own.shop.customers`" : undefined,
  )
  if ('refused' in narrowed) return narrowed.code
  const masks = [{ resource: 'shop.customers', column: 'email', strategy: 'redact' }]
  const output = narrowed.output.map((column) =>
    column.sources.includes('shop.customers.email') ? { ...column, masked: 'redact' } : column,
  )
  const refusal = statements().verify(original, { ...narrowed, masks, output }, DEFAULTS)
  return refusal === undefined
    ? narrowed.text.replaceAll("(SELECT * REPLACE ('x' AS `email`) FROM `own.shop.customers`)", 'W')
    : `${refusal.code}: ${refusal.message}`
}

test('masks reach into all that is followed', async () => {
  expect(
    await masked(
      'SELECT c.email FROM shop.orders o JOIN shop.customers c JOIN shop.leads l USING (email) ON c.id = o.id',
    ),
  ).toBe('SELECT c.email FROM shop.orders o JOIN W c JOIN shop.leads l USING (email) ON c.id = o.id')
  expect(await masked('SELECT ARRAY_TRANSFORM([1], x -> (SELECT MAX(email) FROM shop.customers)) AS e')).toBe(
    'SELECT ARRAY_TRANSFORM([1], x -> (SELECT MAX(email) FROM W AS `customers`)) AS e',
  )
  expect(await masked('SELECT (email).UPPER().SUBSTR(1, 2) AS e FROM shop.customers')).toBe(
    'SELECT (email).UPPER().SUBSTR(1, 2) AS e FROM W AS `customers`',
  )
  expect(await masked('(SELECT email FROM shop.customers) AS x |> SELECT x.email')).toBe(
    '(SELECT email FROM W AS `customers`) AS x |> SELECT x.email',
  )
})

test('the second lock lets nothing pass that is never bound', async () => {
  const original = await bound('SELECT email FROM shop.customers')
  for (const text of [
    'SELECT email FROM shop.customers @{a=1}',
    'SELECT email FROM a.b.c.d',
    'SELECT @@a FROM shop.customers',
  ]) {
    expect(statements().verify(original, { ...original, text }, DEFAULTS)).toMatchObject({ code: 'unproven' })
  }
})

test('a view that holds what is never bound is not read', async () => {
  const definition = 'SELECT id FROM shop.orders TABLESAMPLE BERNOULLI (5 PERCENT)'
  const columns = [{ name: 'id', type: { kind: 'INT64' as const }, nullable: true }]
  const by = statements()
  const parsed = by.parse('SELECT id FROM shop.sample', DEFAULTS)
  if (parsed.refused) throw new Error(parsed.message)
  const table = (path: TablePath): Promise<Table> =>
    Promise.resolve({
      path,
      resource: `shop.${path.table}`,
      kind: path.table === 'sample' ? 'VIEW' : 'TABLE',
      version: '1',
      columns,
      ...(path.table === 'sample' && { definition }),
    })
  const refusal = await by.bind(parsed, DEFAULTS, { table }, [], BOUNDS, AbortSignal.timeout(5000))
  expect(refusal).toMatchObject({ refused: true, code: 'unsupported-view' })
})
