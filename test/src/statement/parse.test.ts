/** What a text names and does, before anything is known of its tables; and why a text is refused. */
import { expect, test } from 'vitest'
import { LIMITS } from '../../../src/statement/lexer.ts'
import { DEFAULTS, statements } from './support.ts'

function named(sql: string): string {
  const parsed = statements().parse(sql, DEFAULTS)
  if (parsed.refused) return `${parsed.code} ${parsed.line}:${parsed.column}`
  return `${parsed.kind} ${parsed.uses.map(({ action, resource }) => `${action}:${resource}`).join(' ')}`.trim()
}

const KINDS: readonly (readonly [string, string])[] = [
  ['SELECT 1', 'SELECT'],
  ['SELECT 1 FROM s.t', 'SELECT read:s.t'],
  ['SELECT 1 FROM `p.s.t`', 'SELECT read:p.s.t'],
  ['SELECT 1 FROM own.s.t', 'SELECT read:s.t'],
  ['SELECT 1 FROM a-b-12.s.t', 'SELECT read:a-b-12.s.t'],
  ['SELECT 1 FROM `example.com:p.s.t`', 'SELECT read:example.com:p.s.t'],
  ['SELECT 1 FROM s.T, s.t', 'SELECT read:s.T read:s.t'],
  ['SELECT 1 FROM s.t a, a.arr, UNNEST(a.more)', 'SELECT read:s.t'],
  ['WITH t AS (SELECT 1 FROM s.x) SELECT 1 FROM t, s.t', 'SELECT read:s.t read:s.x'],
  ['SELECT 1 FROM `s.events_*`', 'SELECT read:s.events_*'],
  ['SELECT 1 FROM s.INFORMATION_SCHEMA.COLUMNS', 'SELECT read:s.INFORMATION_SCHEMA.COLUMNS'],
  ['SELECT 1 FROM `region-us`.information_schema.jobs', 'SELECT read:region-us.INFORMATION_SCHEMA.JOBS'],
  ['SELECT 1 FROM INFORMATION_SCHEMA.SCHEMATA', 'SELECT read:INFORMATION_SCHEMA.SCHEMATA'],
  ['INSERT INTO s.t (a) VALUES (1)', 'INSERT write:s.t'],
  ['INSERT s.t (a) SELECT a FROM s.u', 'INSERT write:s.t read:s.u'],
  ['INSERT s.t (SELECT a FROM s.u)', 'INSERT write:s.t read:s.u'],
  ['UPDATE s.t SET a = (SELECT MAX(b) FROM s.u) WHERE TRUE', 'UPDATE write:s.t read:s.u'],
  ['UPDATE s.t SET a = 1 FROM s.u WHERE t.x = u.x', 'UPDATE write:s.t read:s.u'],
  ['DELETE FROM `p.s.t` WHERE TRUE', 'DELETE write:p.s.t'],
  ['DELETE s.t WHERE a IN (SELECT a FROM s.u)', 'DELETE write:s.t read:s.u'],
  ['MERGE s.t USING s.u ON FALSE WHEN NOT MATCHED THEN INSERT (a) VALUES (1)', 'MERGE write:s.t read:s.u'],
  ['MERGE s.t USING (SELECT 1 AS a FROM s.u) u ON t.a = u.a WHEN MATCHED THEN DELETE', 'MERGE write:s.t read:s.u'],
  ['CREATE TABLE s.t (a INT64 REFERENCES s.u (a) NOT ENFORCED)', 'CREATE_TABLE define:s.t read:s.u'],
  [
    'CREATE TABLE s.t (a INT64) WITH CONNECTION p.us.c AS SELECT b FROM s.u',
    'CREATE_TABLE_AS_SELECT define:s.t read:s.u',
  ],
  ['ALTER TABLE s.t RENAME TO u', 'ALTER_TABLE define:s.t define:s.u'],
  ['DROP SNAPSHOT TABLE s.t', 'DROP_SNAPSHOT_TABLE delete:s.t'],
  ['CREATE FUNCTION s.f(a INT64) AS (a + 1)', 'CREATE_FUNCTION define:s.f'],
  [
    'CREATE OR REPLACE FUNCTION s.f(a STRING) RETURNS STRING LANGUAGE js AS "return a"',
    'CREATE_FUNCTION define:s.f delete:s.f',
  ],
  ['DROP FUNCTION IF EXISTS s.f', 'DROP_FUNCTION delete:s.f'],
  ['DROP TABLE FUNCTION s.f', 'DROP_TABLE_FUNCTION delete:s.f'],
  ['DROP PROCEDURE s.p', 'DROP_PROCEDURE delete:s.p'],
  ["CREATE MODEL s.m OPTIONS (model_type = 'linear_reg') AS SELECT a FROM s.t", 'CREATE_MODEL define:s.m read:s.t'],
  ['ALTER MODEL s.m SET OPTIONS (description = "x")', 'ALTER_MODEL define:s.m'],
  [
    "CREATE EXTERNAL TABLE s.t WITH CONNECTION p.us.c OPTIONS (uris = ['gs://b/*'])",
    'CREATE_EXTERNAL_TABLE define:s.t',
  ],
  [
    "CREATE ROW ACCESS POLICY r ON s.t GRANT TO ('user:a') FILTER USING (b = 1)",
    'CREATE_ROW_ACCESS_POLICY administer:s.t',
  ],
  ['DROP ALL ROW ACCESS POLICIES ON s.t', 'DROP_ROW_ACCESS_POLICY administer:s.t'],
  ['CREATE SEARCH INDEX i ON dataset.t(ALL COLUMNS)', 'CREATE_SEARCH_INDEX define:dataset.t'],
  ['DROP VECTOR INDEX i ON s.t', 'DROP_VECTOR_INDEX define:s.t'],
  ["GRANT `roles/x` ON TABLE s.t TO 'user:a', 'user:b'", 'GRANT administer:s.t'],
  ["REVOKE `roles/x` ON SCHEMA s FROM 'user:a'", 'REVOKE administer:s'],
  ["LOAD DATA INTO s.t FROM FILES (uris = ['gs://b/x'])", 'LOAD_DATA write:s.t'],
  [
    "LOAD DATA OVERWRITE s.t (a INT64) FROM FILES (uris = ['gs://b/x']) WITH PARTITION COLUMNS",
    'LOAD_DATA delete:s.t write:s.t',
  ],
  ["EXPORT MODEL s.m OPTIONS (uri = 'gs://b/x')", 'EXPORT_MODEL export:s.m'],
  [
    "EXPORT DATA WITH CONNECTION p.us.c OPTIONS (uri = 's3://b/x') AS SELECT a FROM s.t",
    'EXPORT_DATA export:s.t read:s.t',
  ],
  ['ALTER RESERVATION `p.region-us.r` SET OPTIONS (slot_capacity = 100)', 'ALTER_RESERVATION administer:p.region-us.r'],
  ['UNDROP SCHEMA s', 'UNDROP_SCHEMA define:s'],
  ['UPDATE s.t SET a = DEFAULT WHERE TRUE', 'UPDATE write:s.t'],
  // Not read, but known by the names in them.
  ['CREATE TABLE s.t (a INT64 DEFAULT (SELECT MAX(b) FROM s.u))', 'CREATE_TABLE define:s.t read:s.u'],
  ['CREATE TEMP TABLE t AS SELECT a FROM s.u', 'CREATE_TABLE read:s.u define:t'],
  ['CREATE FUNCTION s.f() AS ((SELECT MAX(a) FROM s.t))', 'CREATE_FUNCTION define:s.f read:s.t'],
  ['CREATE FUNCTION s.f() AS (s.g(1))', 'CREATE_FUNCTION define:s.f execute:s.g'],
  ['CREATE TABLE FUNCTION s.f(a INT64) AS SELECT b FROM s.t WHERE c = a', 'CREATE_TABLE_FUNCTION define:s.f read:s.t'],
  ['CREATE PROCEDURE s.p() BEGIN DELETE FROM s.t WHERE TRUE; END', 'SCRIPT execute:SCRIPT define:s.p write:s.t'],
  ['CALL s.p(1)', 'CALL execute:s.p'],
  ["EXECUTE IMMEDIATE 'SELECT 1'", 'SCRIPT execute:SCRIPT'],
  ['DECLARE x INT64 DEFAULT (SELECT MAX(a) FROM s.t)', 'SCRIPT execute:SCRIPT read:s.t'],
  ['SELECT 1; DROP TABLE s.t', 'SCRIPT execute:SCRIPT delete:s.t'],
  [
    'BEGIN TRANSACTION; INSERT s.t SELECT * FROM s.u; MERGE s.v USING s.w ON TRUE WHEN MATCHED THEN DELETE; COMMIT TRANSACTION',
    'SCRIPT execute:SCRIPT write:s.t read:s.u write:s.v read:s.w',
  ],
  [
    'IF EXISTS (SELECT 1 FROM s.t) THEN TRUNCATE TABLE s.u; ELSE CALL s.p(); END IF',
    'SCRIPT execute:SCRIPT execute:s.p read:s.t delete:s.u',
  ],
  // Temporary functions with one query behind them are a query, as BigQuery takes them.
  ['CREATE TEMP FUNCTION f(x INT64) AS (x); SELECT f(a) FROM s.t', 'SELECT read:s.t'],
  [
    'CREATE TEMP FUNCTION f(x ANY TYPE) AS (x); CREATE TEMPORARY FUNCTION g(a STRING) RETURNS STRING LANGUAGE js AS "return a"; WITH c AS (SELECT f(a), g(b) FROM s.t) SELECT * FROM c',
    'SELECT execute:JAVASCRIPT read:s.t',
  ],
  ['CREATE TEMP FUNCTION f() AS ((SELECT MAX(a) FROM s.t)); SELECT f()', 'SCRIPT execute:SCRIPT define:f read:s.t'],
  ['CREATE TEMP FUNCTION f() AS (s.g()); SELECT f()', 'SCRIPT execute:SCRIPT define:f execute:s.g'],
  [
    'CREATE TEMP FUNCTION f() AS ((SELECT MAX(a) FROM s.g())); SELECT f()',
    'SCRIPT execute:SCRIPT define:f execute:s.g',
  ],
  [
    'CREATE TEMP FUNCTION lower(a STRING) AS (a); SELECT lower(a) FROM s.t',
    'SCRIPT execute:SCRIPT define:lower read:s.t',
  ],
  ['CREATE TEMP FUNCTION f() AS (1); SELECT f(); SELECT 1 FROM s.t', 'SCRIPT execute:SCRIPT define:f read:s.t'],
  ['CREATE TEMP FUNCTION f() AS (1); DROP TABLE s.t', 'SCRIPT execute:SCRIPT define:f delete:s.t'],
  ["SET @@dataset_id = 'hr'; SELECT 1 FROM s.t", 'SCRIPT execute:SCRIPT read:s.t'],
  ['ASSERT EXISTS (SELECT 1 FROM s.t)', 'ASSERT read:s.t'],
  // Code that is called, and what it is handed.
  ['SELECT a FROM s.f(1)', 'SELECT execute:s.f'],
  ["SELECT a FROM EXTERNAL_QUERY('c', 'SELECT 1')", 'SELECT execute:EXTERNAL_QUERY'],
  ['SELECT a FROM ML.PREDICT(MODEL s.m, TABLE s.t)', 'SELECT execute:ML.PREDICT execute:s.m read:s.t'],
  [
    'SELECT a FROM ML.PREDICT(MODEL s.m, (SELECT * FROM s.t, s.u))',
    'SELECT execute:ML.PREDICT execute:s.m read:s.t read:s.u',
  ],
  ['SELECT a FROM APPENDS(TABLE s.t, NULL, NULL)', 'SELECT execute:APPENDS read:s.t'],
  [
    'SELECT s.udf(1), `p.s.g`(a), ML.BAG(1), NET.HOST(b), SAFE.LEFT(c, 1) FROM s.t',
    'SELECT execute:ML.BAG execute:p.s.g read:s.t execute:s.udf',
  ],
  // Pipes.
  ['FROM s.t', 'SELECT read:s.t'],
  ['FROM s.t |> WHERE a', 'SELECT read:s.t'],
  [
    'SELECT 1 FROM s.t |> JOIN s.u ON TRUE |> UNION ALL (SELECT 1 FROM s.v), (FROM s.w)',
    'SELECT read:s.t read:s.u read:s.v read:s.w',
  ],
  ['WITH c AS (FROM s.t |> SELECT a) FROM c |> WHERE EXISTS (FROM s.u |> WHERE b)', 'SELECT read:s.t read:s.u'],
  ['FROM s.t |> WITH u AS (FROM s.v) |> JOIN u USING (a)', 'SELECT read:s.t read:s.v'],
  ['FROM s.t a |> JOIN a.b', 'SELECT read:s.t'],
  // Behind SELECT and AGGREGATE the alias is gone: a path is a table's.
  ['FROM s.t a |> SELECT x |> JOIN a.b', 'SELECT read:a.b read:s.t'],
  [
    'FROM s.t |> CALL s.f(1) |> CALL ML.PREDICT(MODEL s.m)',
    'SELECT execute:ML.PREDICT execute:s.f execute:s.m read:s.t',
  ],
  ['FROM s.t |> CREATE TABLE s.u', 'SELECT read:s.t define:s.u'],
  ['FROM s.t |> FORK (|> JOIN s.u USING (a)), (|> WHERE b)', 'SELECT read:s.t read:s.u'],
  [
    "SELECT 1 FROM s.t AS x PIVOT (SUM(a) FOR b IN ('x')), s.u UNPIVOT (a FOR b IN (c, d)) y",
    'SELECT read:s.t read:s.u',
  ],
  ['SELECT 1 AS a UNION ALL BY NAME SELECT 2 AS a FROM s.t', 'SELECT read:s.t'],
  ['SELECT 1 AS a FROM s.t LEFT OUTER UNION ALL BY NAME ON (a) SELECT 2 AS a FROM s.u', 'SELECT read:s.t read:s.u'],
  ['SELECT 1 FROM s.t UNION ALL (SELECT 2 FROM s.u) ORDER BY 1', 'SELECT read:s.t read:s.u'],
  ["SELECT a FROM s.t ORDER BY a COLLATE 'und:ci', b", 'SELECT read:s.t'],
  ['SELECT WITH AGGREGATION_THRESHOLD OPTIONS (threshold = 4) a FROM s.t', 'SELECT read:s.t'],
  ['SELECT 1 FROM s.t WHERE a LIKE b', 'SELECT read:s.t'],
  ['TRUNCATE TABLE s.t', 'TRUNCATE_TABLE delete:s.t'],
  ['CREATE TABLE s.t (a INT64, b STRING)', 'CREATE_TABLE define:s.t'],
  ['CREATE TABLE s.t PARTITION BY d AS SELECT 1 AS a FROM s.u', 'CREATE_TABLE_AS_SELECT define:s.t read:s.u'],
  ['CREATE OR REPLACE TABLE s.t AS SELECT 1 AS a', 'CREATE_TABLE_AS_SELECT define:s.t delete:s.t'],
  ['CREATE TABLE IF NOT EXISTS s.t LIKE s.u', 'CREATE_TABLE define:s.t read:s.u'],
  ['CREATE TABLE s.t COPY s.u', 'CREATE_TABLE define:s.t read:s.u'],
  ['CREATE SNAPSHOT TABLE s.t CLONE s.u', 'CREATE_SNAPSHOT_TABLE define:s.t read:s.u'],
  ['CREATE VIEW s.v AS SELECT a FROM s.u', 'CREATE_VIEW read:s.u define:s.v'],
  ['CREATE MATERIALIZED VIEW s.v AS SELECT a FROM s.u', 'CREATE_MATERIALIZED_VIEW read:s.u define:s.v'],
  ['CREATE SCHEMA d', 'CREATE_SCHEMA define:d'],
  ['DROP TABLE s.t', 'DROP_TABLE delete:s.t'],
  ['DROP VIEW IF EXISTS s.t', 'DROP_VIEW delete:s.t'],
  ['DROP MATERIALIZED VIEW s.t', 'DROP_MATERIALIZED_VIEW delete:s.t'],
  ['DROP SCHEMA d CASCADE', 'DROP_SCHEMA delete:d'],
  ['ALTER TABLE s.t ADD COLUMN x INT64', 'ALTER_TABLE define:s.t'],
  ['ALTER TABLE s.t DROP COLUMN x', 'ALTER_TABLE define:s.t'],
  ["EXPORT DATA OPTIONS (uri = 'gs://x/*', format = 'CSV') AS SELECT a FROM s.u", 'EXPORT_DATA export:s.u read:s.u'],
]

test.each(KINDS)('%s', (sql, expected) => {
  expect(named(sql)).toBe(expected)
})

const REFUSED: readonly (readonly [string, string])[] = [
  ['', 'unparseable 1:1'],
  ['-- nothing', 'unparseable 1:1'],
  ['SELEC 1', 'unsupported-statement 1:1'],
  ['SELECT 1 FROM t', 'unknown-table 1:15'],
  ['SELECT 1 FROM `s.t$20260101`', 'unknown-table 1:15'],
  ['SELECT `f`(1)', 'unsupported-routine 1:8'],
  ['SELECT 1 UNION SELECT 2', 'unparseable 1:16'],
  ['SELECT 1 UNION ALL SELECT 2 EXCEPT DISTINCT SELECT 3', 'unparseable 1:1'],
  ['SELECT x -> x + 1', 'unparseable 1:10'],
  ['SELECT F(x.y -> x)', 'unsupported-lambda 1:14'],
  ['SELECT a COLLATE b', 'unparseable 1:10'],
  ['SELECT 1 LIMIT (SELECT 1)', 'unsupported-clause 1:17'],
  ["SELECT 1 LIMIT 'a'", 'unparseable 1:16'],
  ['SELECT @@', 'unparseable 1:8'],
  ['SELECT @{h=(SELECT 1 FROM s.t)} 1', 'unparseable 1:8'],
  ['SELECT @{h=s.f(1)} 1', 'unparseable 1:8'],
  ['SELECT @{h=1', 'unparseable 1:8'],
  ['SELECT @{h=@{i=1}} 1', 'unparseable 1:12'],
  ['SELECT 1 }', 'unparseable 1:10'],
  ['SELECT 1a', 'unparseable 1:8'],
  ['SELECT a FROM s.t AS `x.y`', 'unsupported-alias 1:22'],
  ['SELECT a FROM APPENDS(TABLE . t)', 'unparseable 1:29'],
  ['SELECT a FROM APPENDS(TABLE)', 'unparseable 1:28'],
  ['SELECT é', 'unparseable 1:8'],
  ["SELECT 'a\n'", 'unparseable 1:8'],
  ['SELECT /* a', 'unparseable 1:8'],
  ['SELECT `a', 'unparseable 1:8'],
  ['SELECT `a\\`', 'unparseable 1:8'],
  ['SELECT (1', 'unparseable 1:10'],
  ['SELECT 1)', 'unparseable 1:9'],
  ['SELECT \0', 'unparseable 1:8'],
  ['SELECT select FROM s.t', 'unparseable 1:8'],
  ['DELETE FROM s.t WHERE', 'unparseable 1:22'],
]

test.each(REFUSED)('refuses %j', (sql, expected) => {
  expect(named(sql)).toBe(expected)
})

/** The ways round a list of tables that other parsers left open. */
const BYPASSES: readonly (readonly [string, string])[] = [
  ['SELECT s.* FROM d.a a JOIN d.a b ON a.id=b.id, d.secret s', 'SELECT read:d.a read:d.secret'],
  ["SELECT '''x' FROM d.a -- ''', ssn FROM d.secret", 'SELECT read:d.secret'],
  ['INSERT INTO p.d.t (a) VALUES (1)', 'INSERT write:p.d.t'],
  ['DELETE p.d.t WHERE TRUE', 'DELETE write:p.d.t'],
  ['SELECT 1 FROM d.secret--x\n', 'SELECT read:d.secret'],
  ['SELECT 1 -- x\rFROM d.secret', 'unparseable 1:14'],
  ['SELECT 1 /* /* */ FROM d.a -- */ FROM d.b', 'SELECT read:d.a'],
  ["SELECT r'q\\\\', (SELECT z FROM d.b) -- '", 'SELECT read:d.b'],
  ['SELECT 1 WHERE 1 IN UNNEST(ARRAY(SELECT z FROM d.b))', 'SELECT read:d.b'],
  ['SELECT 1 FROM UNNEST((SELECT z FROM d.b))', 'SELECT read:d.b'],
  ['SELECT 1 FROM (d.a JOIN d.b ON TRUE)', 'SELECT read:d.a read:d.b'],
  ['SELECT 1 FROM c`p.d.t`', 'unparseable 1:16'],
  ['SELECT a, TABLE FROM d.t WHERE b = TABLE', 'SELECT read:d.t'],
  ['SELECT a, TABLE d FROM d.t', 'unproven 1:17'],
  ['SELECT 1 FROM d.a, (SELECT 1 FROM a.b)', 'SELECT read:a.b read:d.a'],
  ['WITH c AS (SELECT 1 FROM `c`) SELECT 1 FROM c', 'unknown-table 1:26'],
  ['WITH d AS (SELECT 1) SELECT 1 FROM d.secret', 'SELECT read:d.secret'],
]

test.each(BYPASSES)('sees through %j', (sql, expected) => {
  expect(named(sql)).toBe(expected)
})

test('bounds size, tokens and nesting, and answers soon', () => {
  const { parse } = bindAll()
  const code = (sql: string) => {
    const parsed = parse(sql)
    return parsed.refused ? parsed.code : parsed.kind
  }
  expect(code(`SELECT '${'x'.repeat(LIMITS.bytes)}'`)).toBe('too-large')
  expect(code(`SELECT ${'1+'.repeat(LIMITS.tokens)}1`)).toBe('too-large')
  expect(code(`SELECT ${'('.repeat(101)}1${')'.repeat(101)}`)).toBe('too-deep')
  expect(code(`SELECT ${'NOT '.repeat(5000)}TRUE`)).toBe('too-deep')
  expect(code(`SELECT ${'- '.repeat(5000)}1`)).toBe('too-deep')
  expect(code(`SELECT a${'.b'.repeat(100)}`)).toBe('too-deep')
  expect(code(`SELECT a${'[0]'.repeat(100)}`)).toBe('too-deep')
  expect(code(`SELECT ${'STRUCT('.repeat(30)}1${')'.repeat(30)}`)).toBe('SELECT')
  expect(code(`SELECT ${'['.repeat(30)}1${']'.repeat(30)}`)).toBe('SELECT')
  expect(code(`SELECT TRUE${' AND TRUE'.repeat(3000)}`)).toBe('SELECT')
  expect(code('WITH ce AS (SELECT a FROM s.t ce) SELECT a FROM ce')).toBe('SELECT')
})

test('goes on after a text that the second parser cannot bear', () => {
  const { parse } = bindAll()
  for (const depth of [60, 90, 99]) parse(`SELECT ${'(SELECT '.repeat(depth)}1${')'.repeat(depth)}`)
  parse(`SELECT ${'CASE WHEN TRUE THEN '.repeat(150)}1${' END'.repeat(150)}`)
  expect(parse('SELECT 1').refused).toBe(false)
})

test('re-emits the text without comments, each token where it stood', () => {
  const sql = 'SELECT a -- one\n  /* two\n */ , b FROM s.t -- three\n ; '
  const parsed = statements().parse(sql, DEFAULTS)
  expect(parsed).toMatchObject({ refused: false, text: 'SELECT a       \n        \n    , b FROM s.t' })
})

test('never throws', () => {
  const { parse } = bindAll()
  for (const sql of [
    '\ud800',
    '?',
    '@',
    '`',
    '"',
    "r'",
    '.',
    '(((',
    ')))',
    ';',
    'SELECT',
    'WITH',
    'MERGE',
    'CREATE',
    '\u202e',
  ]) {
    expect([sql, parse(sql).refused]).toEqual([sql, true])
  }
})

function bindAll() {
  const by = statements()
  return { parse: (sql: string) => by.parse(sql, DEFAULTS) }
}
