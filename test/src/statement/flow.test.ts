/** What flows where: each statement with its output columns, their sources, and every column read. Written by hand. */
import { expect, test } from 'vitest'
import { bind, flow } from './support.ts'

/** SQL, then `output<sources,… … | columns read`; resources without `shop.`. */
const FLOWS: readonly (readonly [string, string])[] = [
  [
    'SELECT source FROM shop.leads UNION DISTINCT (SELECT email FROM shop.leads) ORDER BY 1 LIMIT 3',
    'source<leads.email,leads.source | leads.email leads.source',
  ],
  ['SELECT (SELECT email) AS x FROM shop.leads', 'x<leads.email | leads.email'],
  ['SELECT (SELECT l.email FROM (SELECT 1)) AS x FROM shop.leads l', 'x<leads.email | leads.email'],
  [
    'SELECT ARRAY_AGG(l)[OFFSET(0)].email AS e FROM shop.leads l',
    'e<leads.email,leads.source | leads.email leads.source',
  ],
  [
    'SELECT ARRAY_AGG(STRUCT(l.email AS a, l.source AS b) LIMIT 1)[OFFSET(0)].b AS e FROM shop.leads l',
    'e<leads.email,leads.source | leads.email leads.source',
  ],
  ['SELECT o.s FROM (SELECT STRUCT(email AS s) AS o FROM shop.leads)', 's<leads.email | leads.email'],
  ['SELECT a FROM (SELECT [STRUCT(email AS a)] AS arr FROM shop.leads) t, t.arr', 'a<leads.email | leads.email'],
  [
    'SELECT a FROM (SELECT ARRAY_AGG(STRUCT(email AS a)) AS arr FROM shop.leads) t, UNNEST(t.arr)',
    'a<leads.email | leads.email',
  ],
  ["SELECT a FROM UNNEST([STRUCT(1 AS a, 'x' AS b)])", 'a< | '],
  ["SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')])", 'a< b< | '],
  [
    'SELECT e.b FROM shop.orders o, UNNEST([STRUCT(1 AS a, id AS b), (id, amount)]) AS e',
    'b<orders.amount,orders.id | orders.amount orders.id',
  ],
  ["SELECT a FROM UNNEST(ARRAY<STRUCT<a INT64, b STRING>>[(1, 'x')])", 'a< | '],
  ['SELECT x FROM UNNEST(GENERATE_ARRAY(1, 3)) AS x', 'x< | '],
  ["SELECT x FROM UNNEST(SPLIT('a,b')) x WITH OFFSET off ORDER BY off", 'x< | '],
  [
    "SELECT JSON_VALUE(x, '$.a') FROM shop.customers, UNNEST(JSON_QUERY_ARRAY(metadata, '$.l')) AS x",
    'f0_<customers.metadata | customers.metadata',
  ],
  ["SELECT d FROM UNNEST(GENERATE_DATE_ARRAY('2026-01-01', '2026-02-01', INTERVAL 1 DAY)) d", 'd< | '],
  [
    'WITH a AS (SELECT id, email FROM shop.customers), b AS (SELECT a.* FROM a JOIN shop.orders o ON o.customer_id = a.id) SELECT b.email, COUNT(*) FROM b GROUP BY email ORDER BY COUNT(*) DESC',
    'email<customers.email f0_< | customers.email customers.id orders.customer_id',
  ],
  [
    'SELECT status, SUM(amount) s FROM shop.orders GROUP BY status HAVING SUM(amount) > 1 ORDER BY s DESC LIMIT 3',
    'status<orders.status s<orders.amount | orders.amount orders.status',
  ],
  [
    'SELECT MAX(o.amount) AS amount FROM shop.orders o WHERE o.amount > 1 GROUP BY o.status ORDER BY amount',
    'amount<orders.amount | orders.amount orders.status',
  ],
  [
    "SELECT TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), TIMESTAMP '2026-01-01', HOUR) > 1, EXTRACT(DAYOFWEEK FROM CURRENT_DATE)",
    'f0_< f1_< | ',
  ],
  ['SELECT APPROX_TOP_COUNT(email, 2)[OFFSET(0)].value FROM shop.leads', 'value<leads.email | leads.email'],
  [
    'SELECT x.value FROM (SELECT APPROX_TOP_COUNT(email, 2) t FROM shop.leads), UNNEST(t) x',
    'value<leads.email | leads.email',
  ],
  [
    'SELECT COUNT(*) FROM shop.orders o FULL JOIN shop.customers c ON c.id = o.customer_id RIGHT JOIN shop.leads l USING (email)',
    'f0_< | customers.email customers.id leads.email orders.customer_id',
  ],
  [
    "SELECT name FROM shop.customers WHERE name LIKE '%x%' OR REGEXP_CONTAINS(name, r'^a\\b')",
    'name<customers.name | customers.name',
  ],
  [
    'SELECT c.address.city, COUNT(1) FROM shop.customers AS c GROUP BY c.address.city',
    'city<customers.address.city f0_< | customers.address.city',
  ],
  [
    'SELECT * FROM shop.orders WHERE amount = (SELECT MAX(amount) FROM shop.orders)',
    'id<orders.id customer_id<orders.customer_id amount<orders.amount status<orders.status | orders.amount orders.customer_id orders.id orders.status',
  ],
  [
    'SELECT LAG(amount, 1) OVER (PARTITION BY customer_id ORDER BY id) FROM shop.orders',
    'f0_<orders.amount | orders.amount orders.customer_id orders.id',
  ],
  ['SELECT COUNT(*) OVER () FROM shop.orders', 'f0_< | '],
  ['SELECT RANK() OVER w FROM shop.orders WINDOW w AS (ORDER BY amount DESC)', 'f0_< | orders.amount'],
  ['SELECT COUNT(*) c FROM (SELECT DISTINCT email FROM shop.leads)', 'c< | leads.email'],
  ['SELECT id AS month, month FROM shop.orders o, UNNEST([1]) AS month', 'month<orders.id month< | orders.id'],
  ["INSERT INTO shop.leads (email, source) VALUES ('a', DEFAULT), (DEFAULT, 'c')", ' | '],
  ["SELECT * EXCEPT (email)\n REPLACE ('x' AS source) FROM shop.leads", 'source< | '],
  ['SELECT id, email FROM shop.customers', 'id<customers.id email<customers.email | customers.email customers.id'],
  ['SELECT * FROM shop.leads', 'email<leads.email source<leads.source | leads.email leads.source'],
  ['SELECT * EXCEPT (email) FROM shop.leads', 'source<leads.source | leads.source'],
  ["SELECT * REPLACE ('x' AS email) FROM shop.leads", 'email< source<leads.source | leads.source'],
  ['SELECT * REPLACE (email AS source) FROM shop.leads', 'email<leads.email source<leads.email | leads.email'],
  ['SELECT l.* FROM shop.leads AS l', 'email<leads.email source<leads.source | leads.email leads.source'],
  ['SELECT l FROM shop.leads AS l', 'l<leads.email,leads.source | leads.email leads.source'],
  ['SELECT TO_JSON_STRING(l) FROM shop.leads l', 'f0_<leads.email,leads.source | leads.email leads.source'],
  ['SELECT leads.email FROM shop.leads', 'email<leads.email | leads.email'],
  ["SELECT EMAIL FROM shop.leads LEADS WHERE LEADS.Source = 'x'", 'EMAIL<leads.email | leads.email leads.source'],
  ['SELECT `email` FROM `shop.leads`', 'email<leads.email | leads.email'],
  ['SELECT email FROM `own.shop.leads`', 'email<leads.email | leads.email'],
  ['SELECT email FROM `own`.shop.leads', 'email<leads.email | leads.email'],
  ['SELECT x FROM `other-1.d.t`', 'x<other-1.d.t.x | other-1.d.t.x'],
  ['SELECT x FROM other-1.d.t', 'x<other-1.d.t.x | other-1.d.t.x'],
  ['SELECT x FROM `other-1`.d.t', 'x<other-1.d.t.x | other-1.d.t.x'],
  ['SELECT email e FROM shop.leads', 'e<leads.email | leads.email'],
  ['SELECT UPPER(email) AS e FROM shop.leads', 'e<leads.email | leads.email'],
  ['SELECT CONCAT(email, source) FROM shop.leads', 'f0_<leads.email,leads.source | leads.email leads.source'],
  ['SELECT email || source AS both FROM shop.leads', 'both<leads.email,leads.source | leads.email leads.source'],
  ["SELECT CASE WHEN email = 'a' THEN 1 ELSE 2 END AS guess FROM shop.leads", 'guess<leads.email | leads.email'],
  [
    "SELECT IF(email LIKE 'a%', source, 'b') FROM shop.leads",
    'f0_<leads.email,leads.source | leads.email leads.source',
  ],
  ["SELECT 1 FROM shop.leads WHERE email = 'x'", 'f0_< | leads.email'],
  ['SELECT source FROM shop.leads ORDER BY email', 'source<leads.source | leads.email leads.source'],
  ['SELECT source AS s FROM shop.leads ORDER BY s', 's<leads.source | leads.source'],
  ['SELECT source AS email FROM shop.leads ORDER BY email', 'email<leads.source | leads.email leads.source'],
  [
    'SELECT source, COUNT(*) AS n FROM shop.leads GROUP BY source HAVING n > 1',
    'source<leads.source n< | leads.source',
  ],
  [
    'SELECT source, COUNT(DISTINCT email) n FROM shop.leads GROUP BY 1',
    'source<leads.source n<leads.email | leads.email leads.source',
  ],
  ['SELECT source, COUNT(*) FROM shop.leads GROUP BY ALL', 'source<leads.source f0_< | leads.source'],
  ['SELECT source FROM shop.leads GROUP BY ROLLUP (source)', 'source<leads.source | leads.source'],
  [
    'SELECT ANY_VALUE(email HAVING MAX source) FROM shop.leads',
    'f0_<leads.email,leads.source | leads.email leads.source',
  ],
  [
    'SELECT ARRAY_AGG(email IGNORE NULLS ORDER BY source LIMIT 1) FROM shop.leads',
    'f0_<leads.email,leads.source | leads.email leads.source',
  ],
  ["SELECT STRING_AGG(DISTINCT email, ',' ORDER BY email) FROM shop.leads", 'f0_<leads.email | leads.email'],
  ['SELECT address.city FROM shop.customers', 'city<customers.address.city | customers.address.city'],
  ['SELECT customers.address.city FROM shop.customers', 'city<customers.address.city | customers.address.city'],
  ['SELECT address FROM shop.customers', 'address<customers.address | customers.address'],
  [
    'SELECT address.* FROM shop.customers',
    'street<customers.address.street city<customers.address.city | customers.address.city customers.address.street',
  ],
  ['SELECT address.* EXCEPT (street) FROM shop.customers', 'city<customers.address.city | customers.address.city'],
  ['SELECT metadata.plan FROM shop.customers', 'plan<customers.metadata | customers.metadata'],
  ["SELECT metadata['plan'] AS plan FROM shop.customers", 'plan<customers.metadata | customers.metadata'],
  ["SELECT JSON_VALUE(metadata, '$.plan') FROM shop.customers", 'f0_<customers.metadata | customers.metadata'],
  ['SELECT tags[OFFSET(0)] FROM shop.customers', 'f0_<customers.tags | customers.tags'],
  ['SELECT tags[SAFE_OFFSET(id)] FROM shop.customers', 'f0_<customers.tags | customers.id customers.tags'],
  ['SELECT contacts[0].value FROM shop.customers', 'value<customers.contacts.value | customers.contacts.value'],
  ['SELECT t FROM shop.customers, customers.tags AS t', 't<customers.tags | customers.tags'],
  ['SELECT t FROM shop.customers c, c.tags t', 't<customers.tags | customers.tags'],
  ['SELECT t FROM shop.customers c CROSS JOIN UNNEST(c.tags) AS t', 't<customers.tags | customers.tags'],
  [
    'SELECT c.value FROM shop.customers, UNNEST(contacts) AS c',
    'value<customers.contacts.value | customers.contacts customers.contacts.value',
  ],
  [
    'SELECT value FROM shop.customers, UNNEST(contacts)',
    'value<customers.contacts.value | customers.contacts customers.contacts.value',
  ],
  [
    'SELECT kind, o FROM shop.customers, UNNEST(contacts) WITH OFFSET AS o',
    'kind<customers.contacts.kind o< | customers.contacts customers.contacts.kind',
  ],
  ['SELECT offset FROM shop.customers, UNNEST(tags) WITH OFFSET', 'offset< | customers.tags'],
  ['SELECT c FROM shop.customers, customers.contacts AS c', 'c<customers.contacts | customers.contacts'],
  [
    'SELECT (SELECT value FROM UNNEST(contacts) LIMIT 1) AS v FROM shop.customers',
    'v<customers.contacts.value | customers.contacts customers.contacts.value',
  ],
  [
    'SELECT ARRAY(SELECT value FROM UNNEST(contacts)) AS v FROM shop.customers',
    'v<customers.contacts.value | customers.contacts customers.contacts.value',
  ],
  [
    'SELECT ARRAY(SELECT AS STRUCT kind FROM UNNEST(contacts)) AS v FROM shop.customers',
    'v<customers.contacts.kind | customers.contacts customers.contacts.kind',
  ],
  [
    "SELECT id FROM shop.customers WHERE EXISTS (SELECT 1 FROM customers.contacts c WHERE c.value = 'x')",
    'id<customers.id | customers.contacts customers.contacts.value customers.id',
  ],
  ["SELECT id FROM shop.customers WHERE 'vip' IN UNNEST(tags)", 'id<customers.id | customers.id customers.tags'],
  ["SELECT EXISTS (SELECT 1 FROM shop.leads WHERE email = 'x') AS there", 'there<leads.email | leads.email'],
  [
    'SELECT id IN (SELECT customer_id FROM shop.orders) AS bought FROM shop.customers',
    'bought<customers.id,orders.customer_id | customers.id orders.customer_id',
  ],
  ['SELECT (SELECT MAX(email) FROM shop.leads) AS m', 'm<leads.email | leads.email'],
  [
    'SELECT (SELECT AS STRUCT email, source FROM shop.leads LIMIT 1).email AS e',
    'e<leads.email | leads.email leads.source',
  ],
  [
    'SELECT c.name, o.amount FROM shop.customers c JOIN shop.orders o ON c.id = o.customer_id',
    'name<customers.name amount<orders.amount | customers.id customers.name orders.amount orders.customer_id',
  ],
  [
    'SELECT email FROM shop.customers JOIN shop.leads USING (email)',
    'email<customers.email,leads.email | customers.email leads.email',
  ],
  [
    'SELECT * FROM shop.leads a JOIN shop.leads b USING (email)',
    'email<leads.email source<leads.source source<leads.source | leads.email leads.source',
  ],
  [
    'SELECT c.id FROM shop.customers c LEFT OUTER JOIN shop.orders o ON o.customer_id = c.id WHERE o.id IS NULL',
    'id<customers.id | customers.id orders.customer_id orders.id',
  ],
  ['SELECT l.email FROM shop.leads l, shop.orders o', 'email<leads.email | leads.email'],
  [
    'SELECT l.email FROM shop.leads l, shop.customers c JOIN shop.orders o ON o.id = c.id AND l.email = c.email',
    'email<leads.email | customers.email customers.id leads.email orders.id',
  ],
  [
    'SELECT l.email FROM (shop.leads l JOIN shop.customers c ON l.email = c.email) JOIN shop.orders o ON o.customer_id = c.id',
    'email<leads.email | customers.email customers.id leads.email orders.customer_id',
  ],
  ['SELECT e FROM (SELECT email AS e FROM shop.leads)', 'e<leads.email | leads.email'],
  ['SELECT d.e FROM (SELECT email AS e, source FROM shop.leads) AS d', 'e<leads.email | leads.email leads.source'],
  ['SELECT d FROM (SELECT AS STRUCT email FROM shop.leads) AS d', 'd<leads.email | leads.email'],
  ['SELECT email FROM (SELECT AS STRUCT email FROM shop.leads)', 'email<leads.email | leads.email'],
  ['SELECT v FROM (SELECT AS VALUE email FROM shop.leads) AS v', 'v<leads.email | leads.email'],
  [
    'SELECT AS STRUCT email, source FROM shop.leads',
    'email<leads.email source<leads.source | leads.email leads.source',
  ],
  ['SELECT AS VALUE STRUCT(email AS a, 1 AS b) FROM shop.leads', 'a<leads.email b< | leads.email'],
  ['WITH x AS (SELECT email FROM shop.leads) SELECT * FROM x', 'email<leads.email | leads.email'],
  [
    'WITH x AS (SELECT email FROM shop.leads), y AS (SELECT email AS z FROM x) SELECT z FROM y',
    'z<leads.email | leads.email',
  ],
  ['WITH leads AS (SELECT id FROM shop.customers) SELECT * FROM leads', 'id<customers.id | customers.id'],
  ['WITH x AS (SELECT 1 AS a) SELECT a FROM X', 'a< | '],
  [
    'WITH x AS (SELECT email FROM shop.leads) SELECT source FROM shop.leads WHERE email IN (SELECT email FROM x)',
    'source<leads.source | leads.email leads.source',
  ],
  [
    "WITH RECURSIVE r AS (SELECT id, email FROM shop.customers UNION ALL SELECT id + 1, CONCAT(email, 'x') FROM r WHERE id < 9) SELECT id FROM r",
    'id<customers.id | customers.email customers.id',
  ],
  [
    "WITH RECURSIVE r AS (SELECT 'a' AS x, 'b' AS y, 'c' AS z, email FROM shop.leads UNION ALL SELECT email, x, y, 'd' FROM r) SELECT x, y, z FROM r",
    'x<leads.email y<leads.email z<leads.email | leads.email',
  ],
  ['WITH ce AS (SELECT email FROM shop.leads ce) SELECT email FROM ce', 'email<leads.email | leads.email'],
  [
    'SELECT email FROM shop.leads UNION ALL SELECT name FROM shop.customers',
    'email<customers.name,leads.email | customers.name leads.email',
  ],
  [
    '(SELECT source FROM shop.leads) EXCEPT DISTINCT SELECT email FROM shop.leads',
    'source<leads.email,leads.source | leads.email leads.source',
  ],
  ['((SELECT source FROM shop.leads))', 'source<leads.source | leads.source'],
  ['SELECT ((SELECT 1) + 1) AS a, ((SELECT MAX(id) FROM shop.orders)) AS b', 'a< b<orders.id | orders.id'],
  [
    'SELECT ROW_NUMBER() OVER (PARTITION BY source ORDER BY email) AS n FROM shop.leads',
    'n< | leads.email leads.source',
  ],
  [
    'SELECT FIRST_VALUE(email) OVER w AS f FROM shop.leads WINDOW w AS (PARTITION BY source)',
    'f<leads.email | leads.email leads.source',
  ],
  [
    'SELECT SUM(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM shop.orders',
    'f0_<orders.id | orders.id',
  ],
  [
    'SELECT source FROM shop.leads QUALIFY ROW_NUMBER() OVER (PARTITION BY email ORDER BY source) = 1',
    'source<leads.source | leads.email leads.source',
  ],
  ['SELECT STRUCT(email AS a, source AS b).b AS c FROM shop.leads', 'c<leads.source | leads.email leads.source'],
  ['SELECT STRUCT<a STRING>(email).a AS c FROM shop.leads', 'c<leads.email | leads.email'],
  ['SELECT [email, source][OFFSET(0)] AS c FROM shop.leads', 'c<leads.email,leads.source | leads.email leads.source'],
  ['SELECT (email, source) AS c FROM shop.leads', 'c<leads.email,leads.source | leads.email leads.source'],
  [
    'SELECT CAST(id AS STRING) AS c, SAFE_CAST(email AS INT64) AS d FROM shop.customers',
    'c<customers.id d<customers.email | customers.email customers.id',
  ],
  ["SELECT EXTRACT(YEAR FROM DATE '2026-01-01') AS y, DATE_TRUNC(CURRENT_DATE(), MONTH) AS m", 'y< m< | '],
  [
    "SELECT DATE_DIFF(CURRENT_DATE, DATE '2026-01-01', DAY) AS d, DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY) AS e",
    'd< e< | ',
  ],
  ['SELECT DATE_TRUNC(CURRENT_DATE(), WEEK(MONDAY)) AS w', 'w< | '],
  [
    "SELECT COUNT(*) FROM `shop.events_*` WHERE _TABLE_SUFFIX BETWEEN '20260101' AND '20260103'",
    'f0_< | events_*._TABLE_SUFFIX',
  ],
  ['SELECT e._TABLE_SUFFIX AS s FROM `own.shop.events_*` AS e', 's<events_*._TABLE_SUFFIX | events_*._TABLE_SUFFIX'],
  [
    "SELECT id FROM shop.orders WHERE _PARTITIONTIME > TIMESTAMP '2026-01-01'",
    'id<orders.id | orders._PARTITIONTIME orders.id',
  ],
  ['SELECT id FROM shop.orders FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()', 'id<orders.id | orders.id'],
  ['SELECT id FROM shop.orders TABLESAMPLE SYSTEM (10 PERCENT)', 'id<orders.id | orders.id'],
  [
    'SELECT table_name FROM shop.INFORMATION_SCHEMA.TABLES',
    'table_name<INFORMATION_SCHEMA.TABLES.table_name | INFORMATION_SCHEMA.TABLES.table_name',
  ],
  [
    'SELECT table_name FROM `own.shop.information_schema.tables`',
    'table_name<INFORMATION_SCHEMA.TABLES.table_name | INFORMATION_SCHEMA.TABLES.table_name',
  ],
  ['SELECT email FROM shop.directory', 'email<customers.email | customers.address.city customers.email customers.id'],
  [
    'SELECT * FROM shop.directory',
    'id<customers.id email<customers.email city<customers.address.city | customers.address.city customers.email customers.id',
  ],
  ['SELECT email FROM shop.deeper', 'email<customers.email | customers.address.city customers.email customers.id'],
  ['SELECT x FROM `other-1.d.v`', 'x<other-1.d.t.x | other-1.d.t.x'],
  [
    'SELECT id FROM shop.customers c WHERE (SELECT COUNT(*) FROM shop.orders o WHERE o.customer_id = c.id) > 3',
    'id<customers.id | customers.id orders.customer_id',
  ],
  ['SELECT email FROM shop.leads AS email', 'email<leads.email,leads.source | leads.email leads.source'],
  ["SELECT 1 AS a, 'x' AS b, TRUE AS c, NULL AS d", 'a< b< c< d< | '],
  [
    'SELECT id >> 1, id << 1, id & 1, id | 1, id ^ 1, ~id, -id FROM shop.orders',
    'f0_<orders.id f1_<orders.id f2_<orders.id f3_<orders.id f4_<orders.id f5_<orders.id f6_<orders.id | orders.id',
  ],
  [
    "SELECT id BETWEEN 1 AND 2 AND status IS NOT NULL AND NOT status IN ('a', 'b') AS ok FROM shop.orders",
    'ok<orders.id,orders.status | orders.id orders.status',
  ],
  ["SELECT status IS DISTINCT FROM 'a' AS ok FROM shop.orders", 'ok<orders.status | orders.status'],
  [
    'SELECT NET.HOST(email) AS h, SAFE.SUBSTR(email, 0) AS s FROM shop.leads',
    'h<leads.email s<leads.email | leads.email',
  ],
  ['SELECT email, FROM shop.leads', 'email<leads.email | leads.email'],
  ['SELECT email FROM shop.leads;', 'email<leads.email | leads.email'],
  ['SELECT email FROM shop.leads LIMIT 10 OFFSET 5', 'email<leads.email | leads.email'],
  ['SELECT/*a*/email/*b*/FROM/*c*/shop.leads--d', 'email<leads.email | leads.email'],
  ['INSERT shop.leads SELECT email, name FROM shop.customers', ' | customers.email customers.name'],
  ["UPDATE shop.leads SET source = 'x' WHERE email = 'a'", ' | leads.email'],
  [
    'UPDATE shop.leads l SET l.source = c.name FROM shop.customers c WHERE c.email = l.email',
    ' | customers.email customers.name leads.email',
  ],
  ['DELETE FROM shop.leads WHERE email IN (SELECT email FROM shop.customers)', ' | customers.email leads.email'],
  ['DELETE shop.leads WHERE TRUE', ' | '],
  [
    'MERGE shop.leads t USING shop.customers s ON t.email = s.email WHEN MATCHED THEN UPDATE SET source = s.name WHEN NOT MATCHED THEN INSERT (email) VALUES (s.email) WHEN NOT MATCHED BY SOURCE THEN DELETE',
    ' | customers.email customers.name leads.email',
  ],
  ['CREATE TABLE shop.copy AS SELECT email FROM shop.leads', ' | leads.email'],
  ['CREATE OR REPLACE VIEW shop.v AS SELECT email FROM shop.leads', ' | leads.email'],
  ['CREATE TABLE shop.copy CLONE shop.leads', ' | leads.email leads.source'],
  [
    "EXPORT DATA OPTIONS (uri = 'gs://x/*', format = 'CSV') AS SELECT email FROM shop.directory",
    ' | customers.address.city customers.email customers.id',
  ],
  ['TRUNCATE TABLE shop.leads', ' | '],
  ['DROP TABLE IF EXISTS shop.leads', ' | '],
]

test.each(FLOWS)('%s', async (sql, expected) => {
  expect(flow(await bind(sql))).toBe(expected)
})

/** SQL, then `code line:column message`. */
const UNKNOWN: readonly (readonly [string, string])[] = [
  [
    'SELECT shop.orders FROM shop.customers AS shop, shop.tags AS orders',
    'unknown-column 1:13 `orders` is not known here',
  ],
  ['SELECT r\'\\\', """a\nb""", b\'x\', 0xFF, .5, 1e3', 'unparseable 1:8 a string is not closed on its line'],
  ["SELECT 'don''t' FROM shop.leads", 'unparseable 1:13 a literal stands where the end of the statement is expected'],
  ['SELECT emial FROM shop.leads', 'unknown-column 1:8 `emial` is not known here'],
  ['SELECT leads.emai FROM shop.leads', 'unknown-column 1:14 `emai` is not known here'],
  ['SELECT address.town FROM shop.customers', 'unknown-column 1:16 `town` is not known here'],
  ['SELECT source.x FROM shop.leads', 'unknown-column 1:15 `x` is not known here'],
  ['SELECT * EXCEPT (nope) FROM shop.leads', 'unknown-column 1:18 `nope` is not known here'],
  ['SELECT id FROM shop.customers, shop.orders', 'ambiguous-column 1:8 `id` is ambiguous'],
  ['SELECT 1 FROM shop.leads a, shop.orders a WHERE a.id = 1', 'ambiguous-column 1:49 the alias `a` is given twice'],
  ['SELECT * FROM shop.customer', 'unknown-table 1:15 `shop.customer` is not known'],
  ['SELECT * FROM shop.leads, shop.lead', 'unknown-table 1:27 `shop.lead` is not known'],
  ['SELECT x.email FROM shop.leads, (SELECT leads.email) x', 'unknown-column 1:41 `leads` is not known here'],
  [
    'WITH x AS (SELECT id FROM shop.orders) SELECT (SELECT email FROM x)',
    'unknown-column 1:55 `email` is not known here',
  ],
  ['SELECT * FROM shop.circle', 'unsupported-view 1:15 the view `shop.circle` reads itself'],
  ['SELECT * FROM shop.renamed', 'unsupported-view 1:15 the view `shop.renamed` renames the columns of its definition'],
  ['SELECT 1 UNION ALL SELECT 1, 2', 'unparseable 1:1 the sides of a set operation have different numbers of columns'],
  ['SELECT (SELECT 1, 2)', 'unparseable 1:9 a subquery in an expression yields one column'],
  ['SELECT @p', 'unknown-parameter 1:8 the parameter `@p` is not given'],
  ['SELECT ?, @p', 'unparseable 1:8 named and positional parameters stand in one text'],
  ['SELECT 1 FROM shop.leads, source.x', 'unknown-table 1:27 `source.x` is not known'],
  ['INSERT INTO shop.leads (nope) VALUES (1)', 'unknown-column 1:25 `nope` is not known here'],
  ['UPDATE shop.leads SET nope = 1 WHERE TRUE', 'unknown-column 1:23 `nope` is not known here'],
  [
    "UPDATE shop.directory SET email = 'x' WHERE TRUE",
    'unsupported-target 1:8 `shop.directory` is a view and cannot be changed by DML',
  ],
  [
    'WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a',
    'unsupported-recursion 1:36 this form of recursion is not supported',
  ],
  ['SELECT *', 'unparseable 1:8 `*` stands for no columns here'],
  ['SELECT shop.leads.email FROM shop.leads', 'unknown-column 1:8 `shop` is not known here'],
]

test.each(UNKNOWN)('refuses %s', async (sql, expected) => {
  expect(flow(await bind(sql))).toBe(expected)
})
