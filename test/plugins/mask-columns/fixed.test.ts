/** Where no mask can be put, all that a masked column decides counts as reading it: wherever it stands, however it is dressed. */
import { describe, expect, test } from 'vitest'
import { maskStatement } from '../../../plugins/mask-columns/index.ts'
import type { Pads } from '../../../src/statement/hmac.ts'
import { bind, bound, DEFAULTS, statements } from '../../src/statement/support.ts'

const MASKS = {
  name: 'mask-columns',
  terms: [
    {
      columns: {
        'shop.customers.email': 'redact',
        'shop.customers.address.street': 'redact',
        'shop.customers.contacts.value': 'redact',
        'shop.customers.metadata.$.card': 'redact',
      },
    },
  ],
}
const SECOND = statements()
const NO_KEYS = new Map<string, Pads>()
const T = `shop.customers AS x FOR SYSTEM_TIME AS OF (SELECT TIMESTAMP '2026-01-01')`

/** Each is a STRING that tells of a masked value of `x`. */
const VALUES = [
  'x.email',
  'address.street',
  'x.`Email`',
  'x.address.street',
  '(address).street',
  'TO_JSON_STRING(x.address)',
  'TO_JSON_STRING(x)',
  "FORMAT('%T', x)",
  'x.contacts[SAFE_OFFSET(0)].value',
  '(SELECT value FROM x.contacts LIMIT 1)',
  '(SELECT v.value FROM UNNEST(contacts) v LIMIT 1)',
  '(SELECT MAX(value) FROM UNNEST(x.contacts))',
  '(SELECT TO_JSON_STRING(v) FROM UNNEST(contacts) AS v WITH OFFSET AS o WHERE o = 0)',
  '(SELECT ANY_VALUE(w.value) FROM (SELECT * FROM UNNEST(x.contacts)) w)',
  'STRING(metadata.card)',
  "STRING(x.metadata['card'])",
  "JSON_VALUE(metadata, '$.card')",
  '(SELECT AS STRUCT x.*).email',
  '(SELECT s.email FROM (SELECT x.*) s)',
  '(SELECT s.y.email FROM (SELECT x AS y) s)',
  'STRUCT(x.email AS a).a',
  'STRUCT<a STRING>(x.email).a',
  '[x.email][OFFSET(0)]',
  'ARRAY<STRING>[x.email][OFFSET(0)]',
  '(SELECT e FROM UNNEST([x.email]) e)',
  '(SELECT e.email FROM UNNEST([x]) e)',
  '(SELECT a FROM UNNEST([STRUCT(x.email AS a)]))',
  "CASE WHEN x.email LIKE '1%' THEN 'a' ELSE 'b' END",
  "CASE x.email WHEN 'a' THEN 'b' END",
  "IF(x.email > 'm', 'a', 'b')",
  "CAST(x.email IN ('a', 'b') AS STRING)",
  "CAST('a' IN (SELECT x.email) AS STRING)",
  'CAST(EXISTS (SELECT 1 FROM (SELECT 1) WHERE x.email IS NULL) AS STRING)',
  "CAST(x.email BETWEEN 'a' AND 'b' AS STRING)",
  "CAST((x.id, x.email) = (1, 'a') AS STRING)",
  '(SELECT MAX(source) FROM shop.leads l WHERE l.email = x.email)',
  '(SELECT source FROM shop.leads ORDER BY x.email LIMIT 1)',
  '(SELECT STRING_AGG(source ORDER BY x.email) FROM shop.leads)',
  '(SELECT MAX(source) FROM shop.leads GROUP BY x.email)',
  "(SELECT MAX(source) FROM shop.leads HAVING MAX(x.email) = 'a')",
  '(SELECT source FROM shop.leads l JOIN shop.orders o ON x.email = l.email LIMIT 1)',
  "CONCAT('a', UPPER(REVERSE(x.email)))",
  'CAST(STRPOS(x.email, name) AS STRING)',
] as const

/** What may be asked of one, `?`, in a query. */
const PLACES = [
  `SELECT ? FROM ${T}`,
  `SELECT AS STRUCT ? FROM ${T}`,
  `SELECT DISTINCT ? FROM ${T}`,
  `SELECT * REPLACE (? AS name) FROM (SELECT id, name, email, address, contacts, metadata FROM ${T}) AS x`,
  `SELECT id FROM ${T} WHERE ? IS NOT NULL`,
  `SELECT id FROM ${T} ORDER BY ? LIMIT 1`,
  `SELECT COUNT(*) FROM ${T} GROUP BY ?`,
  `SELECT COUNT(*) FROM ${T} HAVING MAX(?) > 'a'`,
  `SELECT id FROM ${T} QUALIFY RANK() OVER (ORDER BY ?) = 1`,
  `SELECT SUM(id) OVER (PARTITION BY ?) FROM ${T}`,
  `SELECT SUM(id) OVER w FROM ${T} WINDOW w AS (ORDER BY ?)`,
  `SELECT STRING_AGG(name ORDER BY ?) FROM ${T}`,
  `SELECT l.source FROM ${T} JOIN shop.leads l ON l.email = ?`,
  `SELECT l.source FROM ${T} LEFT JOIN shop.leads l ON FALSE OR ? = 'a'`,
  `SELECT e FROM ${T}, UNNEST([?]) AS e`,
  `SELECT COUNT(*) FROM ${T}, UNNEST(IF(? = 'a', [1], [2, 3])) AS e`,
  `WITH w AS (SELECT ? AS v, id FROM ${T}) SELECT v FROM w`,
  `WITH w AS (SELECT ? AS v, id FROM ${T}) SELECT id FROM w WHERE v LIKE 'a%'`,
  `WITH w AS (SELECT ? AS v, id FROM ${T}) SELECT COUNT(*) FROM (SELECT DISTINCT * FROM w)`,
  `WITH RECURSIVE w AS (SELECT ? AS v FROM ${T} UNION ALL SELECT v FROM w WHERE FALSE) SELECT * FROM w`,
  `SELECT COUNT(*) FROM (SELECT ? FROM ${T} EXCEPT DISTINCT SELECT 'a')`,
  `SELECT source FROM shop.leads WHERE email IN (SELECT ? FROM ${T})`,
  `SELECT source FROM shop.leads WHERE email = (SELECT MAX(?) FROM ${T})`,
  `SELECT ARRAY(SELECT ? FROM ${T})`,
  `SELECT TO_JSON_STRING(t) FROM (SELECT ? AS v FROM ${T}) t`,
  `SELECT COUNT(*) FROM (SELECT ? AS source FROM ${T}) JOIN shop.leads USING (source)`,
] as const

/** The same for syntax that the analysis may come to refuse or to understand: it is never let through. */
const NEWER_PLACES = [
  `FROM ${T} |> SELECT ?`,
  `FROM ${T} |> SELECT id, ? AS v |> SELECT v`,
  `FROM ${T} |> SELECT id, ? AS v |> DROP v`,
  `FROM ${T} |> EXTEND ? AS v |> SELECT v`,
  `FROM ${T} |> EXTEND ? AS v |> WHERE v = 'a' |> SELECT id`,
  `FROM ${T} |> WHERE ? = 'a' |> SELECT id`,
  `FROM ${T} |> SET name = ? |> SELECT name`,
  `FROM ${T} |> AGGREGATE COUNT(*) GROUP BY ?`,
  `FROM ${T} |> AGGREGATE COUNT(*) AS n GROUP BY ? AS v |> SELECT n`,
  `FROM ${T} |> AGGREGATE MAX(?)`,
  `FROM ${T} |> AGGREGATE STRING_AGG(name ORDER BY ?)`,
  `FROM ${T} |> ORDER BY ? |> SELECT id |> LIMIT 1`,
  `FROM ${T} |> EXTEND RANK() OVER (ORDER BY ?) AS r |> WHERE r = 1 |> SELECT id`,
  `FROM shop.leads l |> JOIN ${T} ON ? = l.email |> SELECT l.source`,
  `FROM shop.leads l |> LEFT JOIN ${T} ON TRUE |> SELECT ?`,
  `FROM shop.leads |> WHERE email IN (FROM ${T} |> SELECT ?) |> SELECT source`,
  `FROM shop.leads |> SELECT email |> UNION ALL (FROM ${T} |> SELECT ?)`,
  `FROM shop.leads |> SELECT email |> EXCEPT DISTINCT (SELECT ? FROM ${T})`,
  `WITH w AS (FROM ${T} |> SELECT ? AS v, id) FROM w |> SELECT v`,
  `FROM shop.leads |> WITH w AS (SELECT ? AS v FROM ${T}) |> CROSS JOIN w |> SELECT v`,
  `SELECT (FROM ${T} |> AGGREGATE MAX(?))`,
  `SELECT ? FROM ${T} |> LIMIT 1`,
  `SELECT v FROM (SELECT id, ? AS v FROM ${T}) PIVOT (MAX(v) AS v FOR id IN (1))`,
  `SELECT * FROM (SELECT id, name, ? AS v FROM ${T}) PIVOT (COUNT(*) AS n FOR id IN (1))`,
  `SELECT * FROM (SELECT id, name, ? AS v FROM ${T}) PIVOT (COUNT(id) AS n FOR v IN ('a', 'b'))`,
  `SELECT w FROM (SELECT id, name, ? AS v FROM ${T}) UNPIVOT (w FOR k IN (name, v))`,
  `SELECT k FROM (SELECT id, name, ? AS v FROM ${T}) UNPIVOT (w FOR k IN (name, v))`,
  `SELECT WITH(a AS ?, a) FROM ${T}`,
  `SELECT ARRAY_TRANSFORM([1], e -> ?) FROM ${T}`,
  `SELECT ARRAY_FILTER([1, 2], e -> ? = 'a') FROM ${T}`,
  `SELECT MAX(name HAVING MIN ?) FROM ${T}`,
  `SELECT COUNT(*) FROM ${T} GROUP BY ROLLUP (id, ?)`,
  `SELECT COUNT(*) FROM ${T} GROUP BY GROUPING SETS ((id), (?))`,
  `SELECT name, COUNT(*) OVER (ORDER BY ? ROWS 1 PRECEDING) FROM ${T}`,
  `SELECT id FROM ${T} WHERE name LIKE ANY (?, 'a')`,
  `SELECT * FROM ML.PREDICT(MODEL shop.m, (SELECT ? AS v FROM ${T}))`,
  `SELECT shop.udf(?) FROM ${T}`,
] as const

describe.each(NEWER_PLACES)('%s', (place) => {
  test.each(VALUES)('%s', async (value) => {
    const statement = await bind(place.replace('?', () => value))
    if ('refused' in statement) return
    expect(maskStatement(statement, MASKS, NO_KEYS)).toEqual({
      unfulfilled: expect.objectContaining({ code: 'mask-unprovable' }),
    })
  })
})

test.each([
  'CREATE TABLE shop.copy CLONE shop.customers',
  'CREATE TABLE shop.copy COPY shop.customers',
  'CREATE SNAPSHOT TABLE shop.copy CLONE shop.customers',
  'CREATE VIEW shop.copy AS SELECT id FROM shop.customers',
  'CREATE MATERIALIZED VIEW shop.copy AS SELECT MAX(email) AS m FROM shop.customers',
  'CREATE MATERIALIZED VIEW shop.copy AS REPLICA OF shop.customers',
  'CREATE FUNCTION shop.f() AS ((SELECT MAX(email) FROM shop.customers))',
  'CREATE TABLE FUNCTION shop.f() AS SELECT * FROM shop.customers',
  'CREATE PROCEDURE shop.p() BEGIN SELECT email FROM shop.customers; END',
  "CREATE MODEL shop.m OPTIONS (model_type = 'kmeans') AS SELECT email FROM shop.customers",
  'CREATE TEMP TABLE copy AS SELECT * FROM shop.customers',
  `FROM ${T}`,
  `FROM ${T} |> DISTINCT |> AGGREGATE COUNT(*)`,
  `FROM ${T} |> AS y |> SELECT y.email`,
  `FROM ${T} |> RENAME email AS e |> SELECT e`,
  `FROM ${T} |> RENAME email AS e |> WHERE e = 'a' |> SELECT id`,
  `FROM ${T} |> DROP name`,
  `FROM ${T} |> SELECT * |> SELECT email`,
  `FROM ${T} |> JOIN shop.leads USING (email) |> SELECT source`,
  `FROM shop.leads |> JOIN ${T} USING (email) |> SELECT source`,
  `FROM shop.leads l |> CROSS JOIN ${T} |> SELECT x.email`,
  `FROM ${T} |> JOIN UNNEST(x.contacts) AS v |> SELECT v.value`,
  `FROM ${T}, x.contacts AS v |> SELECT v.value`,
  `FROM ${T} |> UNION DISTINCT (SELECT * FROM shop.customers) |> AGGREGATE COUNT(*)`,
  `FROM ${T} |> PIVOT (COUNT(*) AS n FOR id IN (1)) |> AGGREGATE COUNT(*)`,
  `FROM ${T} |> UNPIVOT (v FOR k IN (name, email)) |> SELECT v`,
  `SELECT * FROM ${T} PIVOT (COUNT(*) AS n FOR id IN (1))`,
  `SELECT COUNT(*) FROM ${T} PIVOT (COUNT(*) AS n FOR id IN (1))`,
  `SELECT k FROM ${T} UNPIVOT (v FOR k IN (name, email))`,
  `SELECT * FROM ${T}`,
  `SELECT x.* FROM ${T}`,
  `SELECT x FROM ${T}`,
  `SELECT AS VALUE x FROM ${T}`,
  `SELECT DISTINCT x.id, x FROM ${T}`,
  `SELECT COUNT(DISTINCT TO_JSON_STRING(x)) FROM ${T}`,
  `SELECT COUNT(*) FROM (SELECT DISTINCT * FROM ${T})`,
  `SELECT * EXCEPT (id) FROM ${T}`,
  `SELECT id FROM ${T} JOIN shop.leads USING (email)`,
  `SELECT source FROM shop.leads FULL JOIN (SELECT email FROM ${T}) USING (email)`,
  `SELECT v.value FROM ${T}, x.contacts v`,
  `SELECT v FROM ${T}, UNNEST(x.contacts) v`,
  `SELECT EXISTS (SELECT * FROM ${T})`,
  `SELECT * FROM APPENDS(TABLE shop.customers, NULL, NULL)`,
  `SELECT id FROM CHANGES(TABLE shop.customers, NULL, NULL)`,
  `SELECT * FROM ML.PREDICT(MODEL shop.m, TABLE shop.customers)`,
  `SELECT base.id FROM VECTOR_SEARCH(TABLE shop.customers, 'email', TABLE shop.leads)`,
])('%s', async (sql) => {
  const statement = await bind(sql)
  if ('refused' in statement) return
  expect(maskStatement(statement, MASKS, NO_KEYS)).toEqual({
    unfulfilled: expect.objectContaining({ code: 'mask-unprovable' }),
  })
})

describe.each(PLACES)('%s', (place) => {
  test.each(VALUES)('%s', async (value) => {
    const statement = await bound(place.replace('?', () => value))
    expect(maskStatement(statement, MASKS, NO_KEYS)).toEqual({
      unfulfilled: expect.objectContaining({ code: 'mask-unprovable' }),
    })
  })
})

describe.each([
  `shop.customers AS x FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01'`,
  'shop.customers AS x TABLESAMPLE SYSTEM (50 PERCENT)',
  '(SELECT * FROM shop.customers AS x WHERE x._PARTITIONDATE IS NULL) AS x',
  '(SELECT x.* FROM shop.customers AS x FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP() JOIN shop.leads l ON x._PARTITIONDATE IS NULL) AS x',
])('where a mask takes what belongs to the table along, each place is masked or refused: %s', (table) => {
  // What `*` over a table function stands for is not known: the second lock refuses that.
  const places = [...PLACES, ...NEWER_PLACES].filter((place) => !place.startsWith('SELECT * FROM ML.'))
  test.each(places)('%s', async (place) => {
    for (const value of VALUES.filter((_, i) => i % 8 === 0)) {
      const statement = await bind(place.replaceAll(T, table).replace('?', () => value))
      if ('refused' in statement) continue
      const result = maskStatement(statement, MASKS, NO_KEYS)
      if ('unfulfilled' in result) continue
      expect(result.text).toContain("'[redacted]'")
      expect(SECOND.verify(statement, result, DEFAULTS)).toBeUndefined()
    }
  })
})

describe.each([
  'UPDATE shop.customers AS x SET name = ? WHERE TRUE',
  "UPDATE shop.customers AS x SET name = 'a' WHERE ? = 'a'",
  'UPDATE shop.customers AS x SET address.city = ? WHERE id = 1',
  "DELETE FROM shop.customers AS x WHERE ? LIKE 'a%'",
  'MERGE shop.customers AS x USING shop.leads AS m ON ? = m.source WHEN MATCHED THEN DELETE',
  "MERGE shop.customers AS x USING shop.leads AS m ON FALSE WHEN NOT MATCHED BY SOURCE AND ? = 'a' THEN DELETE",
  'MERGE shop.customers AS x USING shop.leads AS m ON x.id = 1 WHEN MATCHED THEN UPDATE SET name = ?',
])('%s', (place) => {
  test.each(VALUES)('%s', async (value) => {
    const statement = await bound(place.replace('?', () => value))
    expect(statement.uses).toContainEqual({ action: 'read', resource: 'shop.customers' })
    expect(maskStatement(statement, MASKS, NO_KEYS)).toEqual({
      unfulfilled: expect.objectContaining({ code: 'mask-unprovable' }),
    })
  })
})
