/** Pipes, pivots, table functions, set operations by name: what flows where, and one evasion for each. Written by hand. */
import { expect, test } from 'vitest'
import { bind, bound, flow } from './support.ts'

/** SQL, then `output<sources,… … | columns read`; resources without `shop.`. */
const FLOWS: readonly (readonly [string, string])[] = [
  // FROM first.
  ['FROM shop.leads', 'email<leads.email source<leads.source | leads.email leads.source'],
  ["FROM shop.leads |> WHERE email = 'x'", 'email<leads.email source<leads.source | leads.email leads.source'],
  ['FROM shop.leads |> SELECT source AS s, UPPER(email)', 's<leads.source f0_<leads.email | leads.email leads.source'],
  ['FROM shop.leads AS l |> SELECT l.email', 'email<leads.email | leads.email'],
  ['FROM shop.leads l |> SELECT TO_JSON_STRING(l) AS j', 'j<leads.email,leads.source | leads.email leads.source'],
  ['SELECT email FROM shop.leads |> WHERE email IS NULL', 'email<leads.email | leads.email'],
  ['FROM shop.leads |> EXTEND LOWER(email) AS e |> SELECT e', 'e<leads.email | leads.email'],
  ['FROM shop.leads |> SET source = email |> DROP email', 'source<leads.email | leads.email'],
  [
    'FROM shop.leads l |> SET source = email |> SELECT l.source, source AS s',
    'source<leads.source s<leads.email | leads.email leads.source',
  ],
  ['FROM shop.leads |> RENAME email AS harmless |> SELECT harmless', 'harmless<leads.email | leads.email'],
  ['FROM shop.leads |> RENAME email AS source, source email |> SELECT source', 'source<leads.email | leads.email'],
  ['FROM shop.leads |> SELECT email AS e |> AS x |> SELECT x.e', 'e<leads.email | leads.email'],
  ['FROM shop.leads |> DISTINCT', 'email<leads.email source<leads.source | leads.email leads.source'],
  ['FROM shop.leads |> AGGREGATE COUNT(*) AS n GROUP BY email', 'email<leads.email n< | leads.email'],
  [
    'FROM shop.leads |> AGGREGATE MAX(email) AS m, COUNT(*) GROUP AND ORDER BY source AS s DESC',
    's<leads.source m<leads.email f0_< | leads.email leads.source',
  ],
  ['FROM shop.leads |> AGGREGATE GROUP BY email', 'email<leads.email | leads.email'],
  [
    'FROM shop.leads |> ORDER BY email DESC |> LIMIT 3 OFFSET 1 |> SELECT source',
    'source<leads.source | leads.email leads.source',
  ],
  [
    'FROM shop.leads |> WINDOW MAX(email) OVER (PARTITION BY source) AS m |> SELECT m',
    'm<leads.email | leads.email leads.source',
  ],
  [
    'FROM shop.orders o |> JOIN shop.customers c ON c.id = o.customer_id |> SELECT email, amount',
    'email<customers.email amount<orders.amount | customers.email customers.id orders.amount orders.customer_id',
  ],
  [
    'FROM shop.customers |> LEFT JOIN shop.leads USING (email) |> SELECT email',
    'email<customers.email,leads.email | customers.email leads.email',
  ],
  [
    'FROM shop.customers c |> JOIN c.contacts x |> SELECT x.value',
    'value<customers.contacts.value | customers.contacts customers.contacts.value',
  ],
  [
    'FROM shop.customers |> CROSS JOIN UNNEST(contacts) AS x |> SELECT x.value',
    'value<customers.contacts.value | customers.contacts customers.contacts.value',
  ],
  [
    'SELECT source AS a FROM shop.leads |> UNION ALL (SELECT email FROM shop.leads), (SELECT name FROM shop.customers)',
    'a<customers.name,leads.email,leads.source | customers.name leads.email leads.source',
  ],
  [
    'SELECT id FROM shop.orders WHERE id IN (FROM shop.leads |> WHERE email = source |> SELECT 1)',
    'id<orders.id | leads.email leads.source orders.id',
  ],
  ['SELECT (FROM shop.leads |> AGGREGATE MAX(email)) AS m', 'm<leads.email | leads.email'],
  ['WITH c AS (FROM shop.leads |> SELECT email AS e) FROM c |> WHERE e IS NULL', 'e<leads.email | leads.email'],
  [
    'FROM shop.orders |> WITH c AS (SELECT email FROM shop.leads) |> CROSS JOIN c |> SELECT email',
    'email<leads.email | leads.email',
  ],
  [
    'FROM shop.directory |> SELECT email',
    'email<customers.email | customers.address.city customers.email customers.id',
  ],

  // PIVOT and UNPIVOT.
  [
    "SELECT * FROM (SELECT source, email FROM shop.leads) PIVOT (MAX(email) FOR source IN ('web', 'shop' AS s))",
    'web<leads.email,leads.source s<leads.email,leads.source | leads.email leads.source',
  ],
  [
    "SELECT * FROM shop.orders PIVOT (SUM(amount) AS total, COUNT(*) AS n FOR status IN ('open')) AS p",
    'id<orders.id customer_id<orders.customer_id total_open<orders.amount,orders.status n_open<orders.status | orders.amount orders.customer_id orders.id orders.status',
  ],
  [
    "SELECT p.open FROM shop.orders AS o PIVOT (SUM(o.amount) FOR o.status IN ('open')) AS p",
    'open<orders.amount,orders.status | orders.amount orders.customer_id orders.id orders.status',
  ],
  [
    'FROM shop.orders |> SELECT amount, id |> PIVOT (SUM(amount) FOR id IN (1, 2 AS two))',
    '_1<orders.amount,orders.id two<orders.amount,orders.id | orders.amount orders.id',
  ],
  [
    'SELECT harmless FROM shop.leads UNPIVOT (harmless FOR column IN (email, source))',
    'harmless<leads.email,leads.source | leads.email leads.source',
  ],
  [
    "SELECT * FROM shop.customers UNPIVOT INCLUDE NULLS ((a, b) FOR n IN ((name, email) 'x')) u |> SELECT a, b, n",
    'a<customers.name b<customers.email n< | customers.address customers.contacts customers.email customers.id customers.metadata customers.name customers.tags',
  ],
  [
    'FROM shop.leads |> UNPIVOT (v FOR n IN (email, source)) |> SELECT v',
    'v<leads.email,leads.source | leads.email leads.source',
  ],

  // Set operations by name.
  [
    'SELECT email, source FROM shop.leads UNION ALL BY NAME SELECT name AS source, email FROM shop.customers',
    'email<customers.email,leads.email source<customers.name,leads.source | customers.email customers.name leads.email leads.source',
  ],
  [
    'SELECT source FROM shop.leads FULL UNION ALL BY NAME SELECT email FROM shop.customers',
    'source<leads.source email<customers.email | customers.email leads.source',
  ],
  [
    'SELECT source, email FROM shop.leads INNER UNION ALL BY NAME SELECT email, id FROM shop.customers',
    'email<customers.email,leads.email | customers.email customers.id leads.email leads.source',
  ],
  [
    'SELECT source, email FROM shop.leads LEFT UNION ALL CORRESPONDING SELECT email, id FROM shop.customers',
    'source<leads.source email<customers.email,leads.email | customers.email customers.id leads.email leads.source',
  ],

  // Calls that yield rows: every column may hold all that they were given.
  [
    'SELECT predicted FROM ML.PREDICT(MODEL shop.m, (SELECT email FROM shop.leads))',
    'predicted<leads.email | leads.email',
  ],
  [
    'SELECT p.predicted FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads) AS p',
    'predicted<leads.email,leads.source | leads.email leads.source',
  ],
  [
    'SELECT _CHANGE_TYPE AS c FROM APPENDS(TABLE shop.leads, NULL)',
    'c<leads.email,leads.source | leads.email leads.source',
  ],
  [
    'SELECT base.id, distance FROM VECTOR_SEARCH(TABLE shop.orders, "v", (SELECT email FROM shop.leads))',
    'id<leads.email,orders.amount,orders.customer_id,orders.id,orders.status distance<leads.email,orders.amount,orders.customer_id,orders.id,orders.status | leads.email orders.amount orders.customer_id orders.id orders.status',
  ],
  [
    'FROM shop.leads |> CALL ML.PREDICT(MODEL shop.m) |> SELECT x',
    'x<leads.email,leads.source | leads.email leads.source',
  ],
  ['SELECT AI.GENERATE(CONCAT("q", email)).result FROM shop.leads', 'result<leads.email | leads.email'],
  // What `*` stands for the warehouse tells; that everything is read is known.
  ['SELECT * FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads)', ' | leads.email leads.source'],
  ['FROM ML.PREDICT(MODEL shop.m, (SELECT email FROM shop.leads))', ' | leads.email'],
  [
    'WITH c AS (SELECT * FROM ML.PREDICT(MODEL shop.m, (SELECT email FROM shop.leads))) SELECT x, c.y FROM c',
    'x<leads.email y<leads.email | leads.email',
  ],
  [
    'SELECT l.source, p.* EXCEPT (b) FROM (SELECT email AS a, source AS b FROM shop.leads) p, shop.leads l, ML.WEIGHTS(MODEL shop.m)',
    'source<leads.source a<leads.email | leads.email leads.source',
  ],
  [
    'SELECT x FROM ML.PREDICT(MODEL shop.m, (SELECT * FROM ML.PREDICT(MODEL shop.n, (SELECT email FROM shop.leads))))',
    'x<leads.email | leads.email',
  ],
  // A name may be the call's or the outer table's: both count.
  [
    'SELECT (SELECT email FROM ML.PREDICT(MODEL shop.m, (SELECT id FROM shop.orders)) LIMIT 1) AS x FROM shop.leads',
    'x<leads.email,orders.id | leads.email orders.id',
  ],
  // Temporary functions: what they answer is made of all that they are given.
  [
    "CREATE TEMP FUNCTION f(x STRING, y ARRAY<STRING>) AS ((SELECT MAX(v) FROM UNNEST(y) AS v WHERE v > x)); SELECT f(email, ['a']) AS f FROM shop.leads",
    'f<leads.email | leads.email',
  ],
  [
    'CREATE TEMP FUNCTION f(x STRING) RETURNS STRING LANGUAGE js AS "return x"; SELECT f(email) AS f FROM shop.leads',
    'f<leads.email | leads.email',
  ],
  [
    'CREATE TEMP FUNCTION id(x STRING) AS (x); FROM shop.leads |> SELECT id(source) AS s',
    's<leads.source | leads.source',
  ],
  ['SELECT source FROM shop.leads ORDER BY email COLLATE "und:ci"', 'source<leads.source | leads.email leads.source'],
]

test.each(FLOWS)('%s', async (sql, expected) => {
  expect(flow(await bind(sql))).toBe(expected)
})

/** Understood enough to be judged by name, and not enough to run. */
const UNBOUND: readonly (readonly [string, string])[] = [
  ['SELECT shop.f(email) FROM shop.leads', 'unsupported-routine'],
  ['SELECT ml.my_own(email) FROM shop.leads', 'unsupported-routine'],
  ['SELECT a FROM shop.f(1)', 'unsupported-table-function'],
  ["SELECT a FROM EXTERNAL_QUERY('own.us.c', 'SELECT email FROM customers')", 'unsupported-table-function'],
  ['SELECT * FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads) UNION ALL SELECT 1', 'unsupported-star'],
  ['SELECT AS STRUCT * FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads)', 'unsupported-star'],
  ['SELECT (SELECT * FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads))', 'unsupported-star'],
  ['SELECT 1 IN (SELECT * FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads))', 'unsupported-star'],
  ['FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads) |> UNION ALL (SELECT 1)', 'unsupported-star'],
  ["FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads) |> PIVOT (MAX(a) FOR b IN ('c'))", 'unsupported-star'],
  ['SELECT p.* FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads) p', 'unsupported-star'],
  ['WITH c AS (SELECT 1 AS a) SELECT a FROM GAP_FILL(TABLE c)', 'unsupported-table-function'],
  ['FROM shop.leads |> FORK (|> SELECT email), (|> SELECT source)', 'unsupported-pipe'],
  ['FROM shop.leads |> SELECT source |> WHERE email IS NULL', 'unknown-column'],
  ['FROM shop.leads l |> SELECT source |> WHERE l.email IS NULL', 'unknown-column'],
  ['FROM shop.leads |> DROP nope', 'unknown-column'],
  ['FROM shop.leads |> AGGREGATE COUNT(*) |> WHERE email IS NULL', 'unknown-column'],
  ["SELECT * FROM shop.leads l PIVOT (MAX(TO_JSON_STRING(l)) FOR source IN ('a'))", 'unsupported-pivot'],
  ["SELECT * FROM shop.leads PIVOT (MAX((SELECT 1)) FOR source IN ('a'))", 'unsupported-pivot'],
  ["SELECT * FROM shop.leads PIVOT (MAX(email) FOR source IN ('a b'))", 'unsupported-pivot'],
  ['SELECT leads.email FROM shop.leads UNPIVOT (v FOR n IN (email, source))', 'unknown-column'],
  ['SELECT email FROM shop.leads UNION ALL BY NAME SELECT source FROM shop.leads', 'unknown-column'],
  ['SELECT 1; SELECT email FROM shop.leads', 'unsupported-script'],
  ["EXECUTE IMMEDIATE 'SELECT email FROM shop.leads'", 'unsupported-script'],
  ['CALL shop.p()', 'unsupported-script'],
  ['CREATE TEMP FUNCTION f(x STRING) AS (y); SELECT f(email) FROM shop.leads', 'unknown-column'],
  ['CREATE TEMP FUNCTION f() AS ((SELECT MAX(email) FROM shop.leads)); SELECT f()', 'unsupported-script'],
  ["CREATE TEMP FUNCTION f() AS ((SELECT MAX(a) FROM EXTERNAL_QUERY('c', 'x'))); SELECT f()", 'unsupported-script'],
  ['CREATE TEMP FUNCTION f() AS ((SELECT MAX(a) FROM APPENDS(TABLE shop.leads))); SELECT f()', 'unsupported-script'],
  ['CREATE FUNCTION shop.f() AS ((SELECT MAX(email) FROM shop.leads))', 'unsupported-routine'],
  ['CREATE TABLE shop.x (a STRING DEFAULT (SELECT MAX(email) FROM shop.leads))', 'unsupported-clause'],
  ['CREATE VIEW shop.v AS SELECT email FROM shop.leads MATCH_RECOGNIZE (ORDER BY a)', 'unsupported-match-recognize'],
  ['SELECT WITH ANONYMIZATION email FROM shop.leads', 'unsupported-clause'],
]

test.each(UNBOUND)('refuses %s', async (sql, code) => {
  expect(await bind(sql)).toMatchObject({ refused: true, code })
})

/** DDL that is read whole: what it names is bound, and what a query in it reads. */
test.each([
  ['CREATE FUNCTION shop.f(a INT64) AS (a + 1)', ''],
  ['DROP FUNCTION shop.f', ''],
  ["CREATE MODEL shop.m OPTIONS (model_type = 'kmeans') AS SELECT email FROM shop.leads", 'shop.leads.email'],
  ["CREATE ROW ACCESS POLICY r ON shop.leads GRANT TO ('user:a') FILTER USING (source = 'x')", ''],
  ["CREATE EXTERNAL TABLE shop.x WITH CONNECTION p.us.c OPTIONS (uris = ['gs://b/*'])", ''],
  ["CREATE MODEL shop.m REMOTE WITH CONNECTION DEFAULT OPTIONS (endpoint = 'x')", ''],
  ["GRANT `roles/x` ON TABLE shop.leads TO 'user:a'", ''],
  ["LOAD DATA INTO shop.leads FROM FILES (uris = ['gs://b/x'])", ''],
])('%s', async (sql, columnsRead) => {
  const statement = await bound(sql)
  expect(statement.columnsRead.join(' ')).toBe(columnsRead)
  expect(statement.output).toEqual([])
})

test('a table that is handed over by name is fixed in its place', async () => {
  const { references } = await bound('SELECT x FROM ML.PREDICT(MODEL shop.m, TABLE shop.leads), shop.orders')
  expect(references).toEqual([
    { resource: 'shop.leads', start: 45, end: 55, fixed: 'table-function' },
    { resource: 'shop.orders', start: 58, end: 69, alias: 'orders' },
  ])
})
