import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWarehouse, type Warehouse } from './support.ts'

let warehouse: Warehouse
beforeAll(async () => {
  warehouse = await startWarehouse()
})
afterAll(() => warehouse.stop())

const MICROS = (text: string): string => String(BigInt(Date.parse(text)) * 1000n)

describe('an expression is answered as BigQuery answers it', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    // Literals.
    ['1', '1'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['0xff', '255'],
    ['1.5', '1.5'],
    ['1e3', '1000.0'],
    [`"double \\"quoted\\" and 'single'"`, `double "quoted" and 'single'`],
    [`r'raw\\d'`, 'raw\\d'],
    [`'''triple 'quoted' text'''`, `triple 'quoted' text`],
    [`'tab\\tnewline\\nunicode \\u00e9'`, 'tab\tnewline\nunicode é'],
    [`b'abc'`, 'YWJj'],
    [`b'\\x00\\xff'`, 'AP8='],
    ['TRUE', 'true'],
    ['NULL', null],
    [`DATE '2026-02-28'`, '2026-02-28'],
    [`TIMESTAMP '2026-02-28 01:02:03+00'`, MICROS('2026-02-28T01:02:03Z')],
    [`TIMESTAMP '2026-02-28 01:02:03 UTC'`, MICROS('2026-02-28T01:02:03Z')],
    [`DATETIME '2026-02-28 01:02:03.5'`, '2026-02-28T01:02:03.500000'],
    [`TIME '01:02:03'`, '01:02:03'],
    [`NUMERIC '12345678901234567890.123456789'`, '12345678901234567890.123456789'],
    [`JSON '{"a":1}'`, '{"a":1}'],
    ['[1, 2, 3]', ['1', '2', '3']],
    ['ARRAY<STRING>[]', []],
    ['ARRAY<INT64>[1, NULL, 3][OFFSET(2)]', '3'],
    [`STRUCT(1 AS a, 'x' AS b)`, { a: '1', b: 'x' }],
    [`STRUCT<a INT64, b STRING>(1, 'x')`, { a: '1', b: 'x' }],
    [`STRUCT<a ARRAY<STRUCT<b INT64>>>([STRUCT(1 AS b)])`, { a: [{ b: '1' }] }],
    [`STRUCT(STRUCT(1 AS a) AS s).s.a`, '1'],
    // Operators.
    ['1 + 2 * 3', '7'],
    ['7 / 2', '3.5'],
    ['-7 + 2', '-5'],
    ['(SELECT MAX(id) - MIN(id) FROM shop.customers)', '1999'],
    ['1 < 2 AND NOT FALSE', 'true'],
    ['NULL IS NULL', 'true'],
    ['1 IS DISTINCT FROM NULL', 'true'],
    ['5 BETWEEN 1 AND 5', 'true'],
    ['5 NOT BETWEEN 1 AND 5', 'false'],
    [`'a_c' LIKE 'a\\\\_c'`, 'true'],
    [`'abc' LIKE 'a\\\\_c'`, 'false'],
    [`'a' || 'b'`, 'ab'],
    ['2 IN (1, 2)', 'true'],
    ['2 NOT IN (1, 3)', 'true'],
    ['2 IN UNNEST([1, 2])', 'true'],
    ['3 IN UNNEST([1, 2])', 'false'],
    ['3 IN UNNEST([1, NULL])', null],
    ['NULL IN UNNEST(ARRAY<INT64>[])', 'false'],
    ['3 NOT IN UNNEST([1, 2])', 'true'],
    ['6 & 3 | 8', '10'],
    ['6 ^ 3', '5'],
    ['1 << 3', '8'],
    ['~0', '-1'],
    ['EXISTS (SELECT 1 FROM shop.leads)', 'true'],
    [`CASE WHEN 1 = 2 THEN 'a' ELSE 'b' END`, 'b'],
    [`CASE 1 WHEN 1 THEN 'one' END`, 'one'],
    [`DATE '2026-03-01' - DATE '2026-01-01'`, '0-0 59 0:0:0'],
    // Aggregates of several rows, sets of groups and percentiles.
    ['(SELECT APPROX_QUANTILES(x, 4) FROM UNNEST([5, 1, 4, NULL, 2, 3]) AS x)', ['1', '2', '3', '4', '5']],
    ['(SELECT PERCENTILE_CONT(x, 0.5) OVER () FROM UNNEST([1, 2]) AS x LIMIT 1)', '1.5'],
    ['(SELECT PERCENTILE_DISC(x, 0.5) OVER () FROM UNNEST([1, 2, 3]) AS x LIMIT 1)', '2'],
    [
      `ARRAY(SELECT COUNT(*) AS n FROM UNNEST(['a', 'a', 'b']) AS x GROUP BY GROUPING SETS ((x), ()) ORDER BY n)`,
      ['1', '2', '3'],
    ],
    [`DATE '2026-01-31' + 1`, '2026-02-01'],
    [`DATE '2026-01-31' - 31`, '2025-12-31'],
    [`(SELECT MAX(birth_date) + 1 - MAX(birth_date) FROM shop.customers)`, '0-0 1 0:0:0'],
    [`FORMAT_TIMESTAMP('%F %H', TIMESTAMP '2026-07-01 23:00:00+00', 'Europe/Berlin')`, '2026-07-02 01'],
    [`CURRENT_DATE('UTC') = CURRENT_DATE()`, 'true'],
    [`JSON_QUERY_ARRAY('{"a":[1,{"b":"x"}]}', '$.a')`, ['1', '{"b":"x"}']],
    [`JSON_VALUE_ARRAY(JSON '["a",1]')`, ['a', '1']],
    [`JSON_VALUE_ARRAY('{"a":1}', '$.a')`, []],
    [`JSON_TYPE(JSON '{"a":1}')`, 'object'],
    [`JSON_TYPE(JSON '1.5')`, 'number'],
    [`'abc' LIKE ANY ('x%', 'a%')`, 'true'],
    [`'abc' LIKE ALL ('x%', 'a%')`, 'false'],
    [`'abc' NOT LIKE ANY ('x%', 'y%')`, 'true'],
    [`INITCAP('hELLO world-wide o\\'neil [x]')`, "Hello World-Wide O'neil [X]"],
    [`DATETIME(TIMESTAMP '2026-07-01 10:00:00+00', 'Europe/Berlin')`, '2026-07-01T12:00:00'],
    [`DATETIME(DATE '2026-07-01', TIME '10:00:00')`, '2026-07-01T10:00:00'],
    ['ST_ASTEXT(ST_GEOGPOINT(1, 2.5))', 'POINT(1 2.5)'],
    // Conditions.
    [`IF(1 = 1, 'yes', 'no')`, 'yes'],
    [`IFNULL(NULL, 'x')`, 'x'],
    ['COALESCE(NULL, NULL, 3)', '3'],
    ['NULLIF(1, 1)', null],
    ['GREATEST(1, 3, 2)', '3'],
    ['GREATEST(1, NULL)', null],
    ['LEAST(1, 3, 2)', '1'],
    // Strings and bytes.
    [`CONCAT('a', 'b', 'c')`, 'abc'],
    [`CONCAT('a', NULL)`, null],
    [`CONCAT(b'a', b'\\xff')`, 'Yf8='],
    [`LENGTH('é漢')`, '2'],
    [`LENGTH(b'\\xc3\\xa9')`, '2'],
    [`CHAR_LENGTH('é')`, '1'],
    [`BYTE_LENGTH('é')`, '2'],
    [`SUBSTR('apple', 2)`, 'pple'],
    [`SUBSTR('apple', -2)`, 'le'],
    [`SUBSTR('apple', -9, 2)`, 'ap'],
    [`SUBSTR('apple', 0, 2)`, 'ap'],
    [`SUBSTR('apple', 2, 0)`, ''],
    [`SUBSTR(b'apple', 2, 2)`, 'cHA='],
    [`SUBSTR(b'apple', -2)`, 'bGU='],
    [`LEFT('apple', 2) || RIGHT('apple', 2)`, 'aple'],
    [`UPPER('é') || LOWER('ABC')`, 'Éabc'],
    [`REVERSE('abc')`, 'cba'],
    [`REPLACE('banana', 'a', 'o')`, 'bonono'],
    [`TRIM('  x ') || '|' || LTRIM('  x') || '|' || RTRIM('xyx', 'x')`, 'x|x|xy'],
    [`TRIM('xxaxx', 'x')`, 'a'],
    [`REPEAT('ab', 3)`, 'ababab'],
    [`LPAD('7', 3, '0') || LPAD('abcd', 2)`, '007ab'],
    [`RPAD('7', 3) || '|'`, '7  |'],
    [`STRPOS('hello', 'l')`, '3'],
    [`INSTR('hello', 'z')`, '0'],
    [`SPLIT('a,b,c')`, ['a', 'b', 'c']],
    [`SPLIT('a-b', '-')[OFFSET(1)]`, 'b'],
    [`STARTS_WITH('abc', 'ab')`, 'true'],
    [`ENDS_WITH('abc', 'bc')`, 'true'],
    [`REGEXP_CONTAINS('abc', 'b')`, 'true'],
    [`REGEXP_REPLACE('a1b22', r'\\d+', '#')`, 'a#b#'],
    [`REGEXP_REPLACE('john smith', r'(\\w+) (\\w+)', r'\\2 \\1')`, 'smith john'],
    [`REGEXP_EXTRACT('a@b.c', r'@(.*)$')`, 'b.c'],
    [`REGEXP_EXTRACT('abc', r'\\d')`, null],
    [`REGEXP_EXTRACT_ALL('a1b2', r'[a-z](\\d)')`, ['1', '2']],
    [`FORMAT('%s is %d years, %.2f, %05d, 100%%', 'Ada', 36, 1.5, 42)`, 'Ada is 36 years, 1.50, 00042, 100%'],
    [`FORMAT('%t', DATE '2026-01-02')`, '2026-01-02'],
    [`TO_HEX(SHA256(b'abc'))`, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [`TO_HEX(SHA256('abc')) = TO_HEX(SHA256(b'abc'))`, 'true'],
    [`TO_HEX(MD5('abc'))`, '900150983cd24fb0d6963f7d28e17f72'],
    [`TO_HEX(b'\\x00\\xff')`, '00ff'],
    [`FROM_HEX('00ff')`, 'AP8='],
    [`TO_BASE64(b'abc')`, 'YWJj'],
    [`CAST(FROM_BASE64('YWJj') AS STRING)`, 'abc'],
    [
      `ARRAY<STRUCT<a INT64, b STRING>>[(1, 'x'), STRUCT(2, 'y')]`,
      [
        { a: '1', b: 'x' },
        { a: '2', b: 'y' },
      ],
    ],
    [`CAST(STRUCT(1, 'x') AS STRUCT<a INT64, b STRING>)`, { a: '1', b: 'x' }],
    [`(1, 'x') IN ((1, 'x'), (2, 'y'))`, 'true'],
    // Casts.
    [`CAST('12' AS INT64)`, '12'],
    ['CAST(2.5 AS INT64)', '3'],
    ['CAST(-2.5 AS INT64)', '-3'],
    [`CAST(NUMERIC '2.5' AS INT64)`, '3'],
    ['CAST(TRUE AS INT64)', '1'],
    [`CAST('true' AS BOOL)`, 'true'],
    ['CAST(0 AS BOOL)', 'false'],
    [`CAST('1.5' AS FLOAT64)`, '1.5'],
    [`CAST('NaN' AS FLOAT64)`, 'NaN'],
    ['CAST(1 AS STRING)', '1'],
    ['CAST(1.0 AS STRING)', '1.0'],
    [`CAST(NUMERIC '1.50' AS STRING)`, '1.5'],
    [`CAST(TRUE AS STRING)`, 'true'],
    [`CAST(b'\\xc3\\xa9' AS STRING)`, 'é'],
    [`CAST('é' AS BYTES)`, 'w6k='],
    [`CAST(DATE '2026-01-02' AS STRING)`, '2026-01-02'],
    [`CAST(TIMESTAMP '2026-01-02 03:04:05+00' AS STRING)`, '2026-01-02 03:04:05+00'],
    [`CAST(DATETIME '2026-01-02 03:04:05' AS STRING)`, '2026-01-02 03:04:05'],
    [`CAST('2026-01-02' AS DATE)`, '2026-01-02'],
    [`CAST(TIMESTAMP '2026-01-02 23:04:05+00' AS DATE)`, '2026-01-02'],
    [`CAST(DATE '2026-01-02' AS TIMESTAMP)`, MICROS('2026-01-02T00:00:00Z')],
    [`CAST('2026-01-02 03:04:05' AS DATETIME)`, '2026-01-02T03:04:05'],
    [`CAST('1.123456789' AS NUMERIC)`, '1.123456789'],
    [`CAST('0.12345678901234567891' AS BIGNUMERIC)`, '0.12345678901234567891'],
    [`SAFE_CAST('x' AS INT64)`, null],
    [`SAFE_CAST(b'\\xff' AS STRING)`, null],
    [`SAFE_CAST('x' AS DATE)`, null],
    ['CAST(NULL AS STRING)', null],
    [`CAST(['1'] AS ARRAY<STRING>)`, ['1']],
    // Numbers.
    [`ROUND(2.5) || ''`, '3.0'],
    [`ROUND(NUMERIC '2.345', 2)`, '2.35'],
    [`ROUND(NUMERIC '-2.345', 2)`, '-2.35'],
    [`TRUNC(NUMERIC '-2.349', 2)`, '-2.34'],
    [`TRUNC(NUMERIC '12.9')`, '12'],
    ['TRUNC(12.99, 1)', '12.9'],
    ['FLOOR(5)', '5.0'],
    [`FLOOR(NUMERIC '-1.5')`, '-2'],
    ['CEIL(1.2)', '2.0'],
    ['MOD(-7, 3)', '-1'],
    [`MOD(NUMERIC '7.5', 2)`, '1.5'],
    ['DIV(7, 2)', '3'],
    ['ABS(-3)', '3'],
    ['SIGN(-3)', '-1'],
    ['POW(2, 10)', '1024.0'],
    ['LOG(8, 2)', '3.0'],
    ['SAFE_DIVIDE(1, 0)', null],
    ['SAFE_DIVIDE(6, 4)', '1.5'],
    [`NUMERIC '1' / NUMERIC '3'`, '0.333333333'],
    [`NUMERIC '2' / 3`, '0.666666667'],
    [`NUMERIC '-2' / 3`, '-0.666666667'],
    [`NUMERIC '1.1' * NUMERIC '1.1'`, '1.21'],
    ['IS_NAN(CAST("NaN" AS FLOAT64))', 'true'],
    // Dates.
    [`DATE(2026, 2, 28)`, '2026-02-28'],
    [`DATE(TIMESTAMP '2026-01-01 02:00:00+00', 'America/New_York')`, '2025-12-31'],
    [`DATE_TRUNC(DATE '2026-02-28', MONTH)`, '2026-02-01'],
    [`DATE_TRUNC(DATE '2026-11-21', WEEK)`, '2026-11-15'],
    [`DATE_TRUNC(DATE '2026-11-21', WEEK(MONDAY))`, '2026-11-16'],
    [`DATE_TRUNC(DATE '2026-11-22', ISOWEEK)`, '2026-11-16'],
    [`DATE_TRUNC(DATE '2026-11-22', QUARTER)`, '2026-10-01'],
    [`DATE_TRUNC(DATE '2026-11-22', YEAR)`, '2026-01-01'],
    [`TIMESTAMP_TRUNC(TIMESTAMP '2026-11-21 12:34:56+00', HOUR)`, MICROS('2026-11-21T12:00:00Z')],
    [`TIMESTAMP_TRUNC(TIMESTAMP '2026-11-21 02:00:00+00', DAY, 'America/New_York')`, MICROS('2026-11-20T05:00:00Z')],
    [`DATETIME_TRUNC(DATETIME '2026-11-21 12:34:56', MINUTE)`, '2026-11-21T12:34:00'],
    [`DATE_ADD(DATE '2026-01-31', INTERVAL 1 MONTH)`, '2026-02-28'],
    [`DATE_SUB(DATE '2026-03-01', INTERVAL 1 DAY)`, '2026-02-28'],
    [`DATE_DIFF(DATE '2026-03-01', DATE '2026-02-01', DAY)`, '28'],
    [`DATE_DIFF(DATE '2026-03-01', DATE '2026-02-28', MONTH)`, '1'],
    [`DATE_DIFF(DATE '2026-11-22', DATE '2026-11-21', WEEK)`, '1'],
    [`TIMESTAMP_ADD(TIMESTAMP '2026-01-01 00:00:00+00', INTERVAL 90 MINUTE)`, MICROS('2026-01-01T01:30:00Z')],
    [`TIMESTAMP_SUB(TIMESTAMP '2026-01-01 00:00:00+00', INTERVAL 1 DAY)`, MICROS('2025-12-31T00:00:00Z')],
    [`TIMESTAMP_DIFF(TIMESTAMP '2026-01-01 01:59:59+00', TIMESTAMP '2026-01-01 00:00:00+00', HOUR)`, '1'],
    [`DATETIME_DIFF(DATETIME '2026-01-01 01:00:00', DATETIME '2026-01-01 00:59:59', HOUR)`, '1'],
    [`EXTRACT(DAYOFWEEK FROM DATE '2026-11-22')`, '1'],
    [`EXTRACT(YEAR FROM TIMESTAMP '2026-11-22 00:00:00+00')`, '2026'],
    [`EXTRACT(ISOWEEK FROM DATE '2026-01-01')`, '1'],
    [`EXTRACT(HOUR FROM TIMESTAMP '2026-01-01 00:00:00+00' AT TIME ZONE 'America/New_York')`, '19'],
    [`EXTRACT(DATE FROM TIMESTAMP '2026-11-22 05:00:00+00')`, '2026-11-22'],
    [`FORMAT_DATE('%Y/%m/%d', DATE '2026-01-02')`, '2026/01/02'],
    [`FORMAT_TIMESTAMP('%F %T', TIMESTAMP '2026-01-02 03:04:05+00')`, '2026-01-02 03:04:05'],
    [`PARSE_DATE('%d.%m.%Y', '28.02.2026')`, '2026-02-28'],
    [`PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%S', '2026-01-02 03:04:05')`, MICROS('2026-01-02T03:04:05Z')],
    [`UNIX_SECONDS(TIMESTAMP '1970-01-01 00:01:00+00')`, '60'],
    ['TIMESTAMP_SECONDS(60)', '60000000'],
    [`LAST_DAY(DATE '2026-02-03')`, '2026-02-28'],
    ['CURRENT_DATE() = CAST(CURRENT_TIMESTAMP() AS DATE)', 'true'],
    ['CURRENT_TIMESTAMP > TIMESTAMP("2024-01-01")', 'true'],
    [`TIMESTAMP('2026-01-02 03:04:05')`, MICROS('2026-01-02T03:04:05Z')],
    [`INTERVAL 3 DAY`, '0-0 3 0:0:0'],
    // JSON.
    [`JSON_VALUE(JSON '{"a":{"b":"x"}}', '$.a.b')`, 'x'],
    [`JSON_VALUE(JSON '{"a":{"b":"x"}}', '$.a')`, null],
    [`JSON_VALUE('{"a":[1,2]}', '$.a[1]')`, '2'],
    [`JSON_VALUE(JSON '{"a":true}', '$.a')`, 'true'],
    [`JSON_VALUE(JSON '{"a":null}', '$.a')`, null],
    [`JSON_QUERY(JSON '{"a":{"b":1}}', '$.a')`, '{"b":1}'],
    [`JSON_QUERY('{"a":{"b":1}}', "$['a']")`, '{"b":1}'],
    [`PARSE_JSON('{"a":1}')`, '{"a":1}'],
    [`TO_JSON(STRUCT(1 AS a, 'x' AS b))`, '{"a":1,"b":"x"}'],
    [`TO_JSON('x')`, '"x"'],
    [`TO_JSON_STRING([1, 2])`, '[1,2]'],
    [`TO_JSON_STRING(CAST(NULL AS STRING))`, 'null'],
    [
      `JSON_SET(JSON '{"card":"4111","plan":"pro"}', '$.card', 'x', create_if_missing => false)`,
      '{"card":"x","plan":"pro"}',
    ],
    [`JSON_SET(JSON '{"plan":"pro"}', '$.card', 'x', create_if_missing => false)`, '{"plan":"pro"}'],
    [`JSON_SET(JSON '{"plan":"pro"}', '$.card', 'x')`, '{"plan":"pro","card":"x"}'],
    [
      `JSON_SET(JSON '{"a":[1,{"b":12345678901234567890}]}', '$.a[1].c', NULL)`,
      '{"a":[1,{"b":12345678901234567890,"c":null}]}',
    ],
    [
      `JSON_SET(CAST(NULL AS JSON), '$.card', 'x')`.replace('CAST(NULL AS JSON)', 'PARSE_JSON(CAST(NULL AS STRING))'),
      null,
    ],
    [`JSON_REMOVE(JSON '{"a":1,"b":2}', '$.a')`, '{"b":2}'],
    [`STRING(JSON '"x"')`, 'x'],
    [`INT64(JSON '7')`, '7'],
    // Arrays.
    ['ARRAY_LENGTH([1, 2])', '2'],
    [`ARRAY_TO_STRING(['a', NULL, 'b'], '-')`, 'a-b'],
    [`ARRAY_TO_STRING(['a', NULL], '-', '?')`, 'a-?'],
    ['ARRAY_CONCAT([1], [2, 3])', ['1', '2', '3']],
    ['ARRAY_REVERSE([1, 2])', ['2', '1']],
    ['GENERATE_ARRAY(1, 7, 3)', ['1', '4', '7']],
    [`GENERATE_DATE_ARRAY('2026-01-30', '2026-02-01')`, ['2026-01-30', '2026-01-31', '2026-02-01']],
    ['[10, 20][ORDINAL(1)]', '10'],
    ['[10, 20][SAFE_OFFSET(5)]', null],
    ['ARRAY(SELECT x * 2 FROM UNNEST([3, 1, 2]) AS x WITH OFFSET AS o ORDER BY o)', ['6', '2', '4']],
    ['ARRAY(SELECT x FROM UNNEST([3, 1, 2]) AS x ORDER BY x DESC)', ['3', '2', '1']],
    ['ARRAY(SELECT AS STRUCT x AS a, o FROM UNNEST([7]) AS x WITH OFFSET o)', [{ a: '7', o: '0' }]],
    ['(SELECT SUM(x) FROM UNNEST([1, 2, 3]) AS x)', '6'],
    ['(SELECT AS STRUCT 1 AS a, "x" AS b)', { a: '1', b: 'x' }],
    ['SAFE.SUBSTR("abc", 1, -1)', null],
  ]
  test.each(cases)('%s', async (expression, expected) => {
    expect(await warehouse.value(`SELECT ${expression} AS x`)).toEqual(expected)
  })
})

describe('a query is answered as BigQuery answers it', () => {
  const nulls = `SELECT 1 AS id, STRUCT('a' AS street, 'b' AS city) AS s UNION ALL SELECT 2, NULL`
  const produce = `SELECT 'Kale' AS product, 51 AS sales, 'Q1' AS quarter, 2020 AS year UNION ALL SELECT 'Kale', 23, 'Q2', 2020
    UNION ALL SELECT 'Apple', 77, 'Q1', 2020 UNION ALL SELECT 'Apple', 0, 'Q2', 2020 UNION ALL SELECT 'Apple', 1, 'Q1', 2021`
  const arrays = `SELECT 1 AS id, [STRUCT('email' AS kind, 'x' AS value), STRUCT('phone', NULL)] AS contacts, ['a', 'b'] AS tags`
  const cases: readonly (readonly [string, unknown[][]])[] = [
    // What masking rewrites queries into.
    [`SELECT * REPLACE (UPPER(b) AS b) FROM (SELECT 1 AS a, 'x' AS b) AS t`, [['1', 'X']]],
    [`SELECT * EXCEPT (a) FROM (SELECT 1 AS a, 'x' AS b)`, [['x']]],
    [`SELECT * EXCEPT (a) REPLACE (UPPER(b) AS b) FROM (SELECT 1 AS a, 'x' AS b)`, [['X']]],
    [`SELECT t.* EXCEPT (a) REPLACE (UPPER(t.b) AS b), 1 AS z FROM (SELECT 1 AS a, 'x' AS b) t`, [['X', '1']]],
    [
      `SELECT id, (SELECT AS STRUCT s.* REPLACE ('z' AS street)) AS s FROM (${nulls}) ORDER BY id`,
      [
        ['1', { street: 'z', city: 'b' }],
        ['2', { street: 'z', city: null }],
      ],
    ],
    [
      `SELECT * REPLACE (IF(s IS NULL, NULL, (SELECT AS STRUCT s.* REPLACE (UPPER(s.street) AS street))) AS s) FROM (${nulls}) ORDER BY id`,
      [
        ['1', { street: 'A', city: 'b' }],
        ['2', null],
      ],
    ],
    [
      `SELECT * REPLACE (IF(t.s IS NULL, NULL, (SELECT AS STRUCT t.s.* REPLACE (CAST(NULL AS STRING) AS street))) AS s) FROM (${nulls}) AS t ORDER BY id`,
      [
        ['1', { street: null, city: 'b' }],
        ['2', null],
      ],
    ],
    [
      `SELECT * REPLACE (ARRAY(SELECT AS STRUCT c.* REPLACE (IF(c.value IS NULL, NULL, '***') AS value) FROM UNNEST(contacts) AS c WITH OFFSET AS o ORDER BY o) AS contacts) FROM (${arrays})`,
      [
        [
          '1',
          [
            { kind: 'email', value: '***' },
            { kind: 'phone', value: null },
          ],
          ['a', 'b'],
        ],
      ],
    ],
    [
      `SELECT * REPLACE (ARRAY(SELECT TO_HEX(SHA256(t)) FROM UNNEST(tags) AS t WITH OFFSET AS o ORDER BY o) AS tags) FROM (SELECT ['a'] AS tags)`,
      [[['ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb']]],
    ],
    [
      `SELECT ARRAY(SELECT AS STRUCT c.kind, UPPER(c.value) AS value FROM UNNEST(contacts) AS c WITH OFFSET o ORDER BY o DESC) AS x FROM (${arrays})`,
      [
        [
          [
            { kind: 'phone', value: null },
            { kind: 'email', value: 'X' },
          ],
        ],
      ],
    ],
    [
      `SELECT IF(s IS NULL, NULL, STRUCT(s.city AS street, s.street AS city)) AS s FROM (${nulls}) ORDER BY id`,
      [[{ street: 'b', city: 'a' }], [null]],
    ],
    [
      `SELECT id, email, metadata FROM (SELECT * REPLACE ('masked' AS email, JSON_SET(metadata, '$.card', 'x', create_if_missing => false) AS metadata) FROM \`sluice-sandbox.shop.customers\`) AS customers WHERE id IN (1, 41, 43) ORDER BY id`,
      [
        ['1', 'masked', '{"card":"x","plan":"pro","seats":1}'],
        ['41', 'masked', '{"plan":"free"}'],
        ['43', 'masked', null],
      ],
    ],
    // Arrays in FROM.
    [
      `SELECT id, t, o FROM (${arrays}), UNNEST(tags) AS t WITH OFFSET AS o ORDER BY o`,
      [
        ['1', 'a', '0'],
        ['1', 'b', '1'],
      ],
    ],
    [
      `SELECT x.id, t FROM (${arrays}) AS x, x.tags AS t ORDER BY t`,
      [
        ['1', 'a'],
        ['1', 'b'],
      ],
    ],
    [
      `SELECT x.id, c.kind, value FROM (${arrays}) AS x CROSS JOIN UNNEST(x.contacts) AS c ORDER BY c.kind`,
      [
        ['1', 'email', 'x'],
        ['1', 'phone', null],
      ],
    ],
    [
      `SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), STRUCT(2, 'y')]) ORDER BY a`,
      [
        ['1', 'x'],
        ['2', 'y'],
      ],
    ],
    [
      `SELECT * FROM UNNEST(['x', 'y']) AS v WITH OFFSET ORDER BY offset`,
      [
        ['x', '0'],
        ['y', '1'],
      ],
    ],
    [`SELECT id, v FROM (SELECT 1 AS id, ARRAY<INT64>[] AS a) LEFT JOIN UNNEST(a) AS v`, [['1', null]]],
    [
      `SELECT o.id, i.sku, i.quantity FROM shop.orders AS o, o.items AS i WHERE o.id IN (1, 3, 4) ORDER BY o.id`,
      [
        ['1', 'SKU-1', '2'],
        ['4', 'SKU-4', '5'],
      ],
    ],
    [
      `SELECT sku, COUNT(*) AS n FROM shop.orders, UNNEST(items) WHERE id < 10 GROUP BY sku ORDER BY n DESC, sku LIMIT 2`,
      [
        ['SKU-1', '1'],
        ['SKU-12', '1'],
      ],
    ],
    [
      `SELECT COUNT(*) FROM shop.customers AS c WHERE EXISTS (SELECT 1 FROM UNNEST(c.contacts) AS k WHERE k.kind = 'chat' AND k.value = '@handle5')`,
      [['1']],
    ],
    [
      'SELECT u.id, (SELECT MAX(id) FROM shop.customers) AS m, (SELECT id + v FROM (SELECT 1 AS v)) AS s FROM UNNEST([STRUCT(9 AS id)]) AS u',
      [['9', '2000', '10']],
    ],
    // A NULL field makes a comparison NULL, unless another field differs.
    [
      'SELECT (1, NULL) IN ((1, 2)), (1, NULL) IN ((2, NULL)), STRUCT(1 AS a, NULL AS b) = STRUCT(1 AS a, 2 AS b), (1, 2) != (1, 3)',
      [[null, 'false', null, 'true']],
    ],
    [
      'SELECT MAX_BY(x, y), MIN_BY(x, y) FROM UNNEST([STRUCT(1 AS x, 1 AS y), STRUCT(NULL, 2), STRUCT(7, NULL)])',
      [[null, '1']],
    ],
    // Functions of aggregates.
    [
      "SELECT COUNT(*) / 2, ROUND(SUM(x) / COUNT(x), 2), ROUND(AVG(x), 1), CAST(MAX(x) AS STRING), LENGTH(MAX(s)), CAST(SUM(x) AS INT64), SAFE_DIVIDE(SUM(x), COUNT(*)) FROM UNNEST([STRUCT(NUMERIC '1' AS x, 'ab' AS s), STRUCT(NUMERIC '2', 'c')])",
      [['1.0', '1.5', '1.5', '2', '1', '3', '1.5']],
    ],
    [
      'SELECT DATE_TRUNC(DATE(placed_at), YEAR) AS y, ROUND(AVG(amount), 2) AS a FROM shop.orders WHERE id < 3 GROUP BY y HAVING ROUND(SUM(amount)) > 1 ORDER BY y',
      [['2024-01-01', '118.79']],
    ],
    // The rest of a query.
    [`WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT a.x, b.x AS y FROM a, b`, [['1', '2']]],
    [
      `WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n ORDER BY i`,
      [['1'], ['2'], ['3']],
    ],
    [`SELECT 1 AS x UNION ALL SELECT 2 ORDER BY x DESC`, [['2'], ['1']]],
    [`SELECT x FROM UNNEST([1, 1, 2]) AS x INTERSECT DISTINCT SELECT 1`, [['1']]],
    [`SELECT x FROM UNNEST([1, 2]) AS x EXCEPT DISTINCT SELECT 1`, [['2']]],
    [`SELECT a, b, c FROM (SELECT 1 AS a, 2 AS b) JOIN (SELECT 1 AS a, 3 AS c) USING (a)`, [['1', '2', '3']]],
    [`SELECT * FROM (SELECT 1 AS a, 2 AS b) LEFT JOIN (SELECT 9 AS a, 3 AS c) USING (a)`, [['1', '2', null]]],
    [
      `SELECT l.a, r.a AS b FROM (SELECT 1 AS a) l FULL OUTER JOIN (SELECT 2 AS a) r ON l.a = r.a ORDER BY l.a`,
      [
        [null, '2'],
        ['1', null],
      ],
    ],
    [`SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x`, [[null], ['1'], ['2']]],
    [`SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x DESC`, [['2'], ['1'], [null]]],
    [`SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x NULLS LAST LIMIT 2 OFFSET 1`, [['2'], [null]]],
    [
      `SELECT k, SUM(v) AS s FROM UNNEST([STRUCT('a' AS k, 1 AS v), STRUCT('a', 2), STRUCT('b', 5)]) GROUP BY ROLLUP(k) ORDER BY k`,
      [
        [null, '8'],
        ['a', '3'],
        ['b', '5'],
      ],
    ],
    [
      `SELECT k, GROUPING(k) AS g, COUNT(*) AS n FROM UNNEST(['a', NULL]) AS k GROUP BY GROUPING SETS ((k), ()) ORDER BY g, k`,
      [
        [null, '0', '1'],
        ['a', '0', '1'],
        [null, '1', '2'],
      ],
    ],
    [`SELECT k, COUNT(*) AS n FROM UNNEST(['a', 'a', 'b']) AS k GROUP BY ALL HAVING n > 1`, [['a', '2']]],
    [`SELECT x FROM UNNEST([1, 2, 3]) AS x QUALIFY ROW_NUMBER() OVER (ORDER BY x DESC) = 1`, [['3']]],
    [
      `SELECT x, LAG(x) OVER (ORDER BY x) AS l, SUM(x) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s, RANK() OVER w AS r FROM UNNEST([1, 2]) AS x WINDOW w AS (ORDER BY x) ORDER BY x`,
      [
        ['1', null, '1', '1'],
        ['2', '1', '3', '2'],
      ],
    ],
    [
      `SELECT COUNT(*), COUNT(x), COUNT(DISTINCT x), COUNTIF(x > 1), SUM(x), AVG(x), MIN(x), MAX(x), APPROX_COUNT_DISTINCT(x), LOGICAL_AND(x > 0), LOGICAL_OR(x > 3) FROM UNNEST([1, 2, 3, 3, NULL]) AS x`,
      [['5', '4', '3', '3', '9', '2.25', '1', '3', '3', 'true', 'false']],
    ],
    [`SELECT COUNT(*), COUNTIF(x > 1), SUM(x), ARRAY_AGG(x) FROM UNNEST(ARRAY<INT64>[]) AS x`, [['0', '0', null, []]]],
    [`SELECT AVG(x), SUM(x) FROM UNNEST([NUMERIC '1', NUMERIC '2', NUMERIC '2']) AS x`, [['1.666666667', '5']]],
    [
      `SELECT ARRAY_AGG(x IGNORE NULLS ORDER BY x DESC LIMIT 2), STRING_AGG(CAST(x AS STRING), '-' ORDER BY x), ANY_VALUE(1) FROM UNNEST([1, NULL, 3, 2]) AS x`,
      [[['3', '2'], '1-2-3', '1']],
    ],
    [
      `SELECT _TABLE_SUFFIX AS day, COUNT(*) AS n FROM \`sluice-sandbox.shop.events_*\` WHERE _TABLE_SUFFIX BETWEEN '20260102' AND '20260103' GROUP BY day ORDER BY day`,
      [
        ['20260102', '200'],
        ['20260103', '200'],
      ],
    ],
    [
      `SELECT * FROM \`shop.events_2026*\` WHERE event_id = 'e1-1'`,
      [['e1-1', '9', 'purchase', MICROS('2026-01-01T00:07:11Z'), '{"page":"/p/1","position":1}']],
    ],
    [
      `SELECT table_name, table_type FROM shop.INFORMATION_SCHEMA.TABLES WHERE table_name LIKE 'c%' ORDER BY 1`,
      [
        ['customer_directory', 'VIEW'],
        ['customers', 'BASE TABLE'],
      ],
    ],
    [
      `SELECT column_name, data_type FROM shop.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'orders' AND column_name IN ('items', 'amount') ORDER BY 1`,
      [
        ['amount', 'NUMERIC'],
        ['items', 'ARRAY<STRUCT<sku STRING, quantity INT64, price NUMERIC>>'],
      ],
    ],
    // The columns of USING come first, whoever has them.
    [`SELECT * FROM (SELECT 2 AS b, 1 AS a) x RIGHT JOIN (SELECT 3 AS c, 7 AS a) y USING (a)`, [['7', null, '3']]],
    [
      `SELECT * FROM (SELECT 2 AS b, 1 AS a) x FULL JOIN (SELECT 3 AS c, 7 AS a) y USING (a) ORDER BY a`,
      [
        ['1', '2', null],
        ['7', null, '3'],
      ],
    ],
    [
      `SELECT * FROM (SELECT 2 AS b, 1 AS a) x JOIN (SELECT 3 AS c, 1 AS a) y USING (a) JOIN (SELECT 9 AS d, 3 AS c, 1 AS a) z USING (c, a)`,
      [['3', '1', '2', '9']],
    ],
    [
      `SELECT * EXCEPT (c) REPLACE (b + 1 AS b) FROM (SELECT 2 AS b, 1 AS a) x JOIN (SELECT 3 AS c, 1 AS a) y USING (a)`,
      [['1', '3']],
    ],
    [
      `SELECT x.*, y.* EXCEPT (a) FROM (SELECT 1 AS a, 2 AS b) x JOIN (SELECT 1 AS a, 3 AS c) y ON x.a = y.a`,
      [['1', '2', '3']],
    ],
    [
      `SELECT COUNT(*) FROM shop.leads WHERE EXISTS (SELECT * FROM (SELECT 1 AS a) x JOIN (SELECT 1 AS a) y ON x.a = y.a)`,
      [['500']],
    ],
    [
      `SELECT E.event_id, E.* EXCEPT (ts, event_id) FROM \`shop.events_*\` AS e WHERE event_id = 'e1-1'`,
      [['e1-1', '9', 'purchase', '{"page":"/p/1","position":1}']],
    ],
    [`SELECT ARRAY<STRUCT<a INT64>>[] AS x FROM shop.leads WHERE email = 'lead.1@prospect.example'`, [[[]]]],
    // Set operations by name: the left query's order, NULL for what a query does not have.
    [
      `SELECT 1 AS a, 'x' AS b UNION ALL BY NAME SELECT 'y' AS b, 2 AS a ORDER BY a`,
      [
        ['1', 'x'],
        ['2', 'y'],
      ],
    ],
    [
      `SELECT 1 AS a, 'x' AS b FULL OUTER UNION ALL BY NAME SELECT 'y' AS c, 2 AS a ORDER BY a`,
      [
        ['1', 'x', null],
        ['2', null, 'y'],
      ],
    ],
    [
      `SELECT 1 AS a, 'x' AS b LEFT UNION ALL CORRESPONDING SELECT 'y' AS c, 2 AS a ORDER BY a`,
      [
        ['1', 'x'],
        ['2', null],
      ],
    ],
    [`SELECT 1 AS a, 'x' AS b UNION ALL CORRESPONDING SELECT 'y' AS c, 2 AS a ORDER BY a`, [['1'], ['2']]],
    [`SELECT 1 AS a, 'x' AS b INNER UNION ALL BY NAME SELECT 'y' AS c, 2 AS a ORDER BY a`, [['1'], ['2']]],
    [`SELECT 1 AS a, 'x' AS b UNION DISTINCT CORRESPONDING BY (b) SELECT 'x' AS b, 2 AS a`, [['x']]],
    [`SELECT 1 AS a, 'x' AS b EXCEPT DISTINCT BY NAME ON (a) SELECT 'x' AS b, 2 AS a`, [['1']]],
    [
      'SELECT 1 AS a, 2 AS b FULL UNION ALL BY NAME SELECT 3 AS c FULL UNION ALL BY NAME SELECT 4 AS b ORDER BY b',
      [
        [null, null, '3'],
        ['1', '2', null],
        [null, '4', null],
      ],
    ],
    [`SELECT a FROM (SELECT 1 AS a) LEFT UNION ALL BY NAME SELECT a FROM (SELECT 2 AS b, 1 AS a)`, [['1'], ['1']]],
    ['SELECT 1 AS x UNION ALL SELECT 1.5 UNION ALL SELECT NULL ORDER BY x', [[null], ['1.0'], ['1.5']]],
    // Tables of less than a block are sampled whole; what a table was, it is until somebody writes it.
    [`SELECT COUNT(*) FROM shop.leads AS l TABLESAMPLE SYSTEM (1.5 PERCENT) WHERE l.source = 'web'`, [['121']]],
    [
      `SELECT COUNT(*) FROM shop.leads AS l FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP() WHERE l.source = 'web'`,
      [['121']],
    ],
    // PIVOT: what it does not name groups the rows. UNPIVOT: the values, then their names, behind all else.
    [
      `SELECT * FROM (${produce}) PIVOT(SUM(sales) FOR quarter IN ('Q1', 'Q2', 'Q3')) ORDER BY product, year`,
      [
        ['Apple', '2020', '77', '0', null],
        ['Apple', '2021', '1', null, null],
        ['Kale', '2020', '51', '23', null],
      ],
    ],
    [
      `SELECT x.product, total_Q1, n_second FROM (SELECT product, sales, quarter FROM (${produce})) AS p PIVOT(SUM(p.sales) AS total, COUNT(*) AS n FOR p.quarter IN ('Q1', 'Q2' AS second)) AS x ORDER BY 1`,
      [
        ['Apple', '78', '1'],
        ['Kale', '51', '1'],
      ],
    ],
    [
      `SELECT _1, minus_3, \`NULL\` FROM (SELECT 1 AS v, 1 AS k UNION ALL SELECT 2, NULL UNION ALL SELECT 4, -3) PIVOT(AVG(v) FOR k IN (1, -3, NULL))`,
      [['1.0', '4.0', '2.0']],
    ],
    [`SELECT * FROM (SELECT 1 AS v, 1 AS k LIMIT 0) PIVOT(COUNT(v) FOR k IN (1, 2))`, [['0', '0']]],
    [
      `SELECT * FROM (SELECT 'Kale' AS product, 51 AS Q1, CAST(NULL AS INT64) AS Q2) UNPIVOT(sales FOR quarter IN (Q1 AS 'first', Q2))`,
      [['Kale', '51', 'first']],
    ],
    [
      `SELECT * FROM (SELECT 'Kale' AS product, 51 AS Q1, CAST(NULL AS INT64) AS Q2) AS s UNPIVOT INCLUDE NULLS (sales FOR quarter IN (Q1 AS 1, Q2 AS 2)) AS u WHERE u.quarter = 2`,
      [['Kale', null, '2']],
    ],
    [
      `SELECT * FROM (SELECT 'Kale' AS product, 51 AS Q1, 23 AS Q2, 45 AS Q3, 3 AS Q4) UNPIVOT((first_half, second_half) FOR semesters IN ((Q1, Q2) AS 'one', (Q3, Q4) AS 'two'))`,
      [
        ['Kale', '51', '23', 'one'],
        ['Kale', '45', '3', 'two'],
      ],
    ],
    // Partitioned by ingestion time: what is no column is read by its name, and no star has it.
    [`SELECT * FROM shop.visits WHERE id = 1`, [['1', 'visitor.7@visit.example', '/p/11', '37']]],
    [
      `SELECT v.* EXCEPT (page, seconds), _PARTITIONDATE AS day, v._PARTITIONTIME AS t FROM shop.visits v WHERE v._PARTITIONTIME >= TIMESTAMP '2026-01-06' ORDER BY id LIMIT 1`,
      [['5', 'visitor.35@visit.example', '2026-01-06', MICROS('2026-01-06T00:00:00Z')]],
    ],
    [
      `FROM shop.visits |> WHERE _PARTITIONDATE = '2026-01-02' |> EXTEND 1 AS one |> WHERE id = 1`,
      [['1', 'visitor.7@visit.example', '/p/11', '37', '1']],
    ],
    // Temporary functions.
    [
      'CREATE TEMP FUNCTION AddFourAndDivide(x INT64, y INT64) RETURNS FLOAT64 AS ((x + 4) / y); SELECT val, AddFourAndDivide(val, 2) FROM UNNEST([2, 3, 5, 8]) AS val',
      [
        ['2', '3.0'],
        ['3', '3.5'],
        ['5', '4.5'],
        ['8', '6.0'],
      ],
    ],
    [
      `CREATE TEMP FUNCTION head(s STRING) AS (CONCAT(SUBSTR(s, 1, 2), '*')); CREATE TEMPORARY FUNCTION shout(s STRING) AS (UPPER(head(s))); SELECT shout(name) AS n, head(NULL), \`shout\`(MAX(name)) FROM (SELECT 'abcd' AS name) GROUP BY name;`,
      [['AB*', null, 'AB*']],
    ],
    [
      'CREATE TEMP FUNCTION twice(s FLOAT64) AS (s + s); CREATE TEMP FUNCTION third(a NUMERIC) AS (a / 3); SELECT twice(SUM(x)), third(1), COUNTIF(twice(x) > 2) FROM UNNEST([1, 2]) AS x',
      [['6.0', '0.333333333', '1']],
    ],
    [
      'CREATE TEMP FUNCTION f(a STRUCT<x INT64, y ARRAY<STRUCT<z INT64>>>) AS (a.y[OFFSET(a.x)].z); SELECT f(STRUCT(0 AS x, [STRUCT(2 AS z)] AS y)) AS z',
      [['2']],
    ],
    // Pipes.
    [
      'FROM shop.orders AS o |> JOIN shop.customers AS c ON o.customer_id = c.id |> WHERE o.id < 3 |> SELECT o.id, c.email |> ORDER BY id',
      [
        ['1', 'ines.8@mail.example'],
        ['2', 'farid.15@example.org'],
      ],
    ],
    [
      'FROM shop.orders |> WHERE id < 4 |> LEFT JOIN shop.leads AS l ON customer_email = l.email |> AGGREGATE COUNT(*) AS n, COUNT(l.email) AS m',
      [['3', '0']],
    ],
    ['FROM (SELECT 1 AS a) x, (SELECT 2 AS b) y |> JOIN (SELECT 5 AS c, 1 AS a) z USING (a)', [['1', '2', '5']]],
    ['SELECT 1 AS x |> UNION ALL (SELECT 2 AS x), (SELECT 3) |> AGGREGATE SUM(x) AS s', [['6']]],
    [
      'SELECT 1 AS x, 2 AS y |> LEFT UNION ALL BY NAME (SELECT 5 AS y) |> ORDER BY y',
      [
        ['1', '2'],
        [null, '5'],
      ],
    ],
    ['SELECT 1 AS x |> EXCEPT DISTINCT (SELECT 1)', []],
    [
      'FROM UNNEST([5, 7]) AS x |> WINDOW SUM(x) OVER (ORDER BY x) AS s |> ORDER BY x',
      [
        ['5', '5'],
        ['7', '12'],
      ],
    ],
    [
      `FROM (${produce}) AS t |> WHERE sales > 1 |> DROP year |> PIVOT(SUM(sales) FOR quarter IN ('Q1', 'Q2')) AS p |> SELECT p.product, Q2 |> ORDER BY product`,
      [
        ['Apple', null],
        ['Kale', '23'],
      ],
    ],
    [
      'SELECT 1 AS a, 2 AS b |> UNPIVOT(v FOR n IN (a, b)) |> ORDER BY v',
      [
        ['1', 'a'],
        ['2', 'b'],
      ],
    ],
    ['FROM shop.leads |> TABLESAMPLE SYSTEM (10 PERCENT) |> AGGREGATE COUNT(*) AS n', [['500']]],
    [
      'WITH z AS (SELECT 0 AS a) FROM z |> WITH w AS (SELECT 1 AS a), v AS (SELECT a + 1 AS a FROM w) |> UNION ALL (FROM w), (FROM v) |> ORDER BY a',
      [['0'], ['1'], ['2']],
    ],
    ['FROM (SELECT 1 AS a, 2 AS b) |> RENAME a AS b, b AS a |> SELECT a, b', [['2', '1']]],
    ['FROM (SELECT 1 AS a) x JOIN (SELECT 1 AS a, 5 AS b) y USING (a) |> RENAME b AS c |> SET c = c + 1', [['1', '6']]],
    [
      'FROM shop.customers AS c |> WHERE c.id < 3 |> SELECT id, c.address.city |> ORDER BY id DESC |> LIMIT 1',
      [['2', 'Cork']],
    ],
    ['FROM UNNEST([1, 2, 3]) AS x |> WHERE x > 1', [['2'], ['3']]],
    [
      'SELECT 1 AS a, 2 AS b |> EXTEND a + b AS c |> SET a = c * 2 |> DROP b |> RENAME c AS d |> AS t |> SELECT t.a, d',
      [['6', '3']],
    ],
    [
      `FROM shop.events_20260101 |> AGGREGATE COUNT(*) AS n GROUP BY name |> WHERE n > 0 |> AGGREGATE SUM(n) AS s`,
      [['200']],
    ],
    ['SELECT (FROM shop.leads |> AGGREGATE COUNT(*)) AS n', [['500']]],
    ['WITH a AS (SELECT 1 AS x) SELECT x FROM a |> WHERE x IN (SELECT x FROM a)', [['1']]],
    ['SELECT 1 AS x UNION ALL SELECT 1 |> DISTINCT', [['1']]],
    [`SELECT schema_name FROM INFORMATION_SCHEMA.SCHEMATA ORDER BY 1`, [['hr'], ['shop']]],
    [`SELECT COUNT(*) FROM shop.INFORMATION_SCHEMA.VIEWS`, [['1']]],
    [`SELECT id, city FROM shop.customer_directory WHERE id = 1`, [['1', 'Turin']]],
    [
      'SELECT (SELECT MAX(id) FROM shop.customers) AS m, c.address.city FROM shop.customers c WHERE c.id = 1 -- comment\n;',
      [['2000', 'Turin']],
    ],
  ]
  test.each(cases)('%s', async (query, expected) => {
    expect(await warehouse.rows(query)).toEqual(expected)
  })

  test('every type is encoded without loss, an all-NULL row too', async () => {
    const rows = await warehouse.rows('SELECT * EXCEPT (`struct`, structs) FROM shop.types ORDER BY id')
    expect(rows[0]).toEqual([
      '1',
      '9223372036854775807',
      '99999999999999999999999999999.999999999',
      '123456789012345678.12345678901234567891',
      '1.5',
      'true',
      'plain',
      'AP8Q',
      '2026-02-28',
      '23:59:59.999999',
      '2026-02-28T23:59:59.999999',
      '1772323199999999',
      '1-2 3 4:5:6.789000',
      '{"a":[1,2,{"b":null}],"n":12345678901234567890}',
      'POINT(1 2)',
      ['1', '9007199254740993'],
      ['a', 'b'],
    ])
    expect(rows[1]?.slice(4, 7)).toEqual(['NaN', 'false', 'quote " backslash \\ newline \n tab \t é 漢字 🙂'])
    expect(rows[1]?.slice(8, 11)).toEqual(['0001-01-01', '00:00:00', '0001-01-01T00:00:00'])
    expect(rows[2]?.[4]).toBe('Infinity')
    expect(rows[3]?.slice(9, 13)).toEqual(['01:02:03.500000', '2024-02-29T01:02:03.500000', '-500000', '0-0 -3 -1:0:0'])
    expect(rows[4]).toEqual(['5', ...Array.from({ length: 14 }, () => null), [], []])
    expect(await warehouse.rows('SELECT `struct`, structs FROM shop.types ORDER BY id LIMIT 2')).toEqual([
      [
        { a: '1', b: 'x', c: { d: '2026-01-01', e: ['1.5', '2.25'] } },
        [
          { k: 'one', v: '1.0' },
          { k: 'two', v: '2.5' },
        ],
      ],
      [{ a: null, b: null, c: null }, []],
    ])
  })

  test('parameters of every kind, named and positional', async () => {
    const params = {
      s: `it's`,
      n: 7,
      f: 1.5,
      b: true,
      a: [1, 2],
      t: { x: 'y', z: 3 },
      bytes: Buffer.from('hi'),
      none: null,
    }
    expect(
      await warehouse.rows('SELECT @s, @n, @f, @b, @a, @t.x, @t, TO_HEX(@bytes), @none, 2 IN UNNEST(@a)', {
        params,
        types: { none: 'STRING' } as never,
      }),
    ).toEqual([[`it's`, '7', '1.5', 'true', ['1', '2'], 'y', { x: 'y', z: '3' }, '6869', null, 'true']])
    expect(await warehouse.rows('SELECT ? + ?, ?', { params: [1, 2, 'x'] })).toEqual([['3', 'x']])
    expect(
      await warehouse.rows('SELECT ? AS a, ? AS b, c FROM (SELECT ? AS c) WHERE c = ? LIMIT ?', {
        params: ['in the list', 2, 'in FROM', 'in FROM', 1],
      }),
    ).toEqual([['in the list', '2', 'in FROM']])
    expect(
      await warehouse.rows('SELECT x FROM UNNEST(@a) AS x ORDER BY x DESC LIMIT @l', {
        params: { a: ['p', 'q'], l: 1 },
      }),
    ).toEqual([['q']])
  })
})

describe('what is not known to be right is refused', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['SELEC 1', 'invalidQuery: The statement SELEC is not supported in the sandbox at [1:1]'],
    ['SELECT 1 +', 'invalidQuery: Syntax error: Unexpected end of script at [1:11]'],
    ['SELECT nope FROM shop.leads', 'invalidQuery: Unrecognized name: nope at [1:8]'],
    ['SELECT * FROM shop.nope', 'notFound: Not found: Table sluice-sandbox:shop.nope was not found in location US'],
    ['SELECT * FROM nope.leads', 'notFound: Not found: Dataset sluice-sandbox:nope'],
    [
      'SELECT * FROM leads',
      'invalidQuery: Table "leads" must be qualified with a dataset (e.g. dataset.table). at [1:15]',
    ],
    ['SELECT SOUNDEX("x")', 'invalidQuery: The function SOUNDEX is not supported in the sandbox at [1:8]'],
    ['SELECT read_csv("/etc/passwd")', 'invalidQuery: The function READ_CSV is not supported in the sandbox at [1:8]'],
    [
      'SELECT * FROM `/etc/passwd`',
      'invalidQuery: Table "/etc/passwd" must be qualified with a dataset (e.g. dataset.table). at [1:15]',
    ],
    [
      'FROM shop.leads AS a, shop.leads AS b |> LIMIT 1',
      'invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): email',
    ],
    ['FROM shop.leads |> TEE', 'invalidQuery: The pipe operator TEE is not supported in the sandbox at [1:20]'],
    [
      'FROM shop.leads |> EXTEND 1 AS email',
      'invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): email',
    ],
    [
      `SELECT 1 AS a UNION ALL BY NAME SELECT 2 AS a, 'y' AS c`,
      'invalidQuery: The queries of UNION ALL BY NAME do not have the same columns',
    ],
    [
      'SELECT 1 AS a INNER UNION ALL BY NAME SELECT 2 AS b',
      'invalidQuery: The queries of UNION ALL have no column in common',
    ],
    [`SELECT 1 UNION ALL SELECT 'a'`, 'invalidQuery: Column 1 in UNION ALL has incompatible types: INT64, STRING'],
    [
      'SELECT 1 UNION ALL SELECT 2, 3',
      'invalidQuery: Queries in UNION ALL have mismatched column count; query 1 has 1 columns, query 2 has 2 columns',
    ],
    [
      'SELECT 1 UNION ALL SELECT 2 UNION DISTINCT SELECT 3',
      'invalidQuery: Syntax error: Different set operations cannot be used in the same query without using parentheses for grouping at [1:29]',
    ],
    [
      'SELECT 1 EXCEPT ALL SELECT 3',
      'invalidQuery: Syntax error: Expected keyword DISTINCT but got keyword ALL at [1:17]',
    ],
    [
      `SELECT 1 FROM shop.leads FOR SYSTEM_TIME AS OF CURRENT_DATE()`,
      'invalidQuery: FOR SYSTEM_TIME AS OF expression must be of type TIMESTAMP at [1:26]',
    ],
    [
      `SELECT 1 FROM shop.leads AS l FOR SYSTEM_TIME AS OF l.email`,
      'invalidQuery: Unrecognized name: l.email at [1:55]',
    ],
    [
      'SELECT 1 FROM shop.leads FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP(), shop.leads AS x',
      'invalidQuery: A statement that reads shop.leads as of more than one time is not supported in the sandbox at [1:69]',
    ],
    [
      'SELECT 1 FROM shop.customer_directory FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()',
      'invalidQuery: FOR SYSTEM_TIME AS OF anything but a table is not supported in the sandbox at [1:39]',
    ],
    [
      'SELECT 1 FROM shop.leads TABLESAMPLE SYSTEM (101 PERCENT)',
      'invalidQuery: TABLESAMPLE percent value must be in the range [0, 100] at [1:26]',
    ],
    [
      'SELECT 1 FROM (SELECT 1) TABLESAMPLE SYSTEM (1 PERCENT)',
      'invalidQuery: TABLESAMPLE of anything but a table is not supported in the sandbox at [1:26]',
    ],
    [
      'SELECT * FROM shop.customers PIVOT(COUNT(*) FOR id IN (1))',
      'invalidQuery: Column address of a type that cannot be grouped is not named in PIVOT',
    ],
    [
      `SELECT * FROM (SELECT 1 AS a, 2 AS b) PIVOT(SUM(a) FOR b IN ('x'))`,
      'invalidQuery: A value in PIVOT of another type than its column is not supported in the sandbox at [1:62]',
    ],
    [
      'SELECT * FROM (SELECT 1 AS a, 2 AS b) PIVOT(ARRAY_AGG(a) FOR b IN (1))',
      'invalidQuery: ARRAY_AGG in PIVOT is not supported in the sandbox at [1:45]',
    ],
    [
      `SELECT * FROM (SELECT 1 AS a, 'x' AS b) UNPIVOT(v FOR n IN (a, b))`,
      'invalidQuery: UNPIVOT of columns of several types is not supported in the sandbox at [1:66]',
    ],
    [
      'SELECT * FROM (SELECT 1 AS a, 2 AS b, 3 AS c, CAST(NULL AS INT64) AS d) UNPIVOT((v, w) FOR n IN ((a, b), (c, d)))',
      'invalidQuery: UNPIVOT of values of which some are NULL is not supported in the sandbox',
    ],
    [
      'FROM shop.leads |> WHERE TRUE |> TABLESAMPLE SYSTEM (10 PERCENT)',
      'invalidQuery: TABLESAMPLE of anything but a table is not supported in the sandbox at [1:34]',
    ],
    [
      'SELECT _PARTITIONTIME FROM shop.visits',
      'invalidQuery: Invalid field name "_PARTITIONTIME". Field names are not allowed to start with the (case-insensitive) prefixes _PARTITION, _TABLE_, _FILE_, _ROW_TIMESTAMP, __ROOT__ and _COLIDENTIFIER',
    ],
    [
      'SELECT 1 FROM (SELECT * FROM shop.visits) WHERE _PARTITIONTIME IS NULL',
      'invalidQuery: Unrecognized name: _PARTITIONTIME at [1:49]',
    ],
    [
      'SELECT TO_JSON_STRING(v) FROM shop.visits v',
      'invalidQuery: A whole row of a table with pseudo-columns is not supported in the sandbox at [1:23]',
    ],
    [
      'SELECT ARRAY(SELECT AS STRUCT v.*) FROM shop.visits v',
      'invalidQuery: A whole row of a table with pseudo-columns is not supported in the sandbox at [1:34]',
    ],
    [
      'DELETE FROM shop.visits WHERE TRUE',
      'invalidQuery: Writing a table that is partitioned by ingestion time is not supported in the sandbox',
    ],
    [
      'SELECT id FROM shop.orders AS o, UNNEST([STRUCT(5 AS id)]) AS u',
      'invalidQuery: Column name id is ambiguous at [1:8]',
    ],
    [
      'SELECT id FROM shop.orders AS o, o.items AS i WITH OFFSET AS id',
      'invalidQuery: Column name id is ambiguous at [1:8]',
    ],
    [
      'SELECT 1 FROM shop.customers AS c JOIN shop.customers AS d ON c.address = d.address',
      'invalidQuery: Comparing STRUCTs is not supported in the sandbox at [1:84]',
    ],
    // A function sees its parameters and nothing else.
    [
      `CREATE TEMP FUNCTION m(s STRING) AS (email); SELECT m('x') FROM shop.leads`,
      'invalidQuery: Unrecognized name: email at [1:38]',
    ],
    [
      'CREATE TEMP FUNCTION m(s STRING) AS ((SELECT s)); SELECT 1',
      'invalidQuery: A subquery in a function is not supported in the sandbox at [1:39]',
    ],
    [
      'CREATE TEMP FUNCTION m(s INT64) AS (SUM(s)); SELECT 1',
      'invalidQuery: An aggregate or a window in a function is not supported in the sandbox at [1:37]',
    ],
    [
      'CREATE TEMP FUNCTION m(s INT64) AS (s + @p); SELECT 1',
      'invalidQuery: A query parameter in a function is not supported in the sandbox at [1:41]',
    ],
    [
      'CREATE TEMP FUNCTION Substr(s INT64) AS (s); SELECT 1',
      'invalidQuery: A function with the name of a function, Substr, is not supported in the sandbox at [1:22]',
    ],
    [
      'CREATE TEMP FUNCTION twice(s FLOAT64) AS (s + s); SELECT twice(RAND())',
      'invalidQuery: A value that is not the same twice as an argument of twice is not supported in the sandbox at [1:58]',
    ],
    [
      `CREATE TEMP FUNCTION twice(s FLOAT64) AS (s + s); SELECT twice('1')`,
      'invalidQuery: An argument of twice of type STRING for s of another type is not supported in the sandbox at [1:58]',
    ],
    [
      'CREATE TEMP FUNCTION f(a STRING) RETURNS INT64 AS (a); SELECT 1',
      'invalidQuery: Function declared to return INT64 but the function body produces incompatible type STRING at [1:52]',
    ],
    [
      'CREATE TEMP FUNCTION f(a INT64) AS (f(a)); SELECT f(1)',
      'invalidQuery: The function F is not supported in the sandbox at [1:37]',
    ],
    [
      'CREATE TEMP FUNCTION f(a INT64) AS (a); SELECT f(1, 2)',
      'invalidQuery: Number of arguments does not match for function f. Supported signature: f(INT64) at [1:48]',
    ],
    [
      'CREATE TEMP FUNCTION f(a INT64) RETURNS INT64 LANGUAGE js AS "return a"; SELECT f(1)',
      'invalidQuery: A function that is not of SQL is not supported in the sandbox at [1:47]',
    ],
    ['SELECT 1; SELECT 2', 'invalidQuery: A script of several statements is not supported in the sandbox at [1:11]'],
    [
      'SELECT 1 AS a, 2 AS a',
      'invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): a',
    ],
    [
      'WITH t AS (SELECT 1 AS a) SELECT 1 AS a, 2 AS A',
      'invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): A',
    ],
    [
      'SELECT * FROM shop.leads AS l JOIN shop.leads AS r ON l.email = r.email',
      'invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): email',
    ],
    [
      'WITH t AS (SELECT * FROM shop.leads AS l, shop.leads AS r) SELECT email FROM t',
      'invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): email',
    ],
    [
      'SELECT l.*, r.* FROM shop.leads AS l, shop.leads AS r',
      'invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): email',
    ],
    [
      'SELECT *, 1 AS email FROM shop.leads',
      'invalidQuery: Duplicate column names in the result are not supported. Found duplicate(s): email',
    ],
    ['SELECT 1 / 0', 'invalidQuery: division by zero'],
    ['SELECT [1][OFFSET(3)]', 'invalidQuery: Array index is out of bounds'],
    ['SELECT @missing', `invalidQuery: Query parameter 'missing' not found at [1:8]`],
    [
      'EXPORT DATA OPTIONS(uri="x") AS SELECT 1',
      'invalidQuery: The statement EXPORT is not supported in the sandbox at [1:1]',
    ],
  ]
  test.each(cases)('%s', async (query, refusal) => {
    expect(await warehouse.refusal(query)).toBe(refusal)
  })

  // BigQuery's words hold the value: what a gateway must not hand on.
  test.each([
    ['CAST(email AS INT64)', 'Bad int64 value: lead.1@prospect.example'],
    ['CAST(email AS FLOAT64)', 'Bad double value: lead.1@prospect.example'],
    ['CAST(email AS BOOL)', 'Bad bool value: lead.1@prospect.example'],
    ['CAST(email AS NUMERIC)', 'Invalid NUMERIC value: lead.1@prospect.example'],
    ['CAST(email AS DATE)', `Invalid date: 'lead.1@prospect.example'`],
    ['CAST(email AS TIMESTAMP)', `Invalid timestamp: 'lead.1@prospect.example'`],
    ['CAST(email AS TIME)', 'Invalid time string "lead.1@prospect.example"'],
    ['PARSE_DATE("%Y", email)', 'Failed to parse input string "lead.1@prospect.example"'],
    ['PARSE_JSON(email)', `syntax error while parsing value - invalid literal; last read: 'l'`],
    ['ERROR(email)', 'lead.1@prospect.example'],
    ['(SELECT l.email FROM shop.leads AS l)', 'Scalar subquery produced more than one element'],
    [`CAST(CONCAT(email, '\\n"x", \\'y') AS INT64)`, `Bad int64 value: lead.1@prospect.example\n"x", 'y`],
    [
      `CAST(CONCAT('Column "', email, '" not found') AS DATE)`,
      `Invalid date: 'Column "lead.1@prospect.example" not found'`,
    ],
    ['9223372036854775807 + LENGTH(email)', 'int64 overflow: 9223372036854775807 + 23'],
  ])('%s', async (expression, message) => {
    const query = `SELECT ${expression} AS x FROM shop.leads WHERE email = 'lead.1@prospect.example'`
    expect(await warehouse.refusal(query)).toBe(`invalidQuery: ${message}`)
  })

  test('a time before a table was as it is, and one to come', async () => {
    const asOf = (time: string): Promise<string> =>
      warehouse.refusal(`SELECT COUNT(*) FROM shop.leads FOR SYSTEM_TIME AS OF ${time}`)
    expect(await asOf(`'2017-01-01 10:00:00-07:00'`)).toMatch(
      /^invalidQuery: Invalid snapshot time 1483290000000 for table sluice-sandbox:shop.leads@1483290000000. Cannot read before \d{13}$/,
    )
    expect(await asOf('TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY)')).toMatch(/Cannot read from the future$/)
    await warehouse.client.query('CREATE TABLE shop.moved AS SELECT 1 AS x')
    const made = new Date().toISOString()
    const query = `SELECT x FROM shop.moved FOR SYSTEM_TIME AS OF TIMESTAMP '${made}'`
    expect(await warehouse.rows(query)).toEqual([['1']])
    await warehouse.client.query('UPDATE shop.moved SET x = 2 WHERE TRUE')
    expect(await warehouse.refusal(query)).toMatch(/Cannot read before \d{13}$/)
    await warehouse.client.query('DROP TABLE shop.moved')
  })
})
