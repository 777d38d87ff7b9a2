/** The bound statement beyond what flows: references, views, uses, features, types, parameters, caching. */
import { expect, test } from 'vitest'
import { BOUNDS, bind, bound, DEFAULTS, schemas, statements } from './support.ts'

test('a whole statement, as plugins see it', async () => {
  const { tables, ...statement } = await bound('SELECT c.id, UPPER(email) AS mail FROM shop.customers AS c LIMIT 5')
  expect(tables.map((table) => table.resource)).toEqual(['shop.customers'])
  expect(statement).toEqual({
    language: 'googlesql',
    kind: 'SELECT',
    text: 'SELECT c.id, UPPER(email) AS mail FROM shop.customers AS c LIMIT 5',
    shape: '4fefca49440a1a14',
    uses: [{ action: 'read', resource: 'shop.customers' }],
    references: [{ resource: 'shop.customers', start: 39, end: 53 }],
    views: [],
    columnsRead: ['shop.customers.email', 'shop.customers.id'],
    output: [
      { name: 'id', type: { kind: 'INT64' }, sources: ['shop.customers.id'] },
      { name: 'mail', type: { kind: 'STRING' }, sources: ['shop.customers.email'] },
    ],
    parameters: [],
    functions: ['UPPER'],
    features: [],
    bounds: BOUNDS,
    masks: [],
  })
})

test('a view brings what it reads', async () => {
  const statement = await bound('SELECT email FROM shop.deeper')
  expect(statement.uses).toEqual([
    { action: 'read', resource: 'shop.customers', via: 'shop.directory' },
    { action: 'read', resource: 'shop.deeper' },
    { action: 'read', resource: 'shop.directory', via: 'shop.deeper' },
  ])
  expect(statement.views).toEqual([
    {
      resource: 'shop.directory',
      text: 'SELECT id, email, address.city FROM shop.customers',
      references: [{ resource: 'shop.customers', start: 36, end: 50, alias: 'customers' }],
    },
    {
      resource: 'shop.deeper',
      text: 'SELECT email FROM `own.shop.directory` WHERE id > 1',
      references: [{ resource: 'shop.directory', start: 18, end: 38, alias: 'directory' }],
    },
  ])
})

test('exporting a view takes out what it reads', async () => {
  const { uses } = await bound("EXPORT DATA OPTIONS (uri = 'gs://x/*') AS SELECT email FROM shop.directory")
  expect(uses.map(({ action, resource }) => `${action} ${resource}`)).toEqual([
    'export shop.customers',
    'read shop.customers',
    'export shop.directory',
    'read shop.directory',
  ])
})

const CHANGES: readonly (readonly [string, readonly string[]])[] = [
  ['UPDATE shop.orders SET amount = 1 WHERE TRUE', ['write']],
  ['UPDATE shop.orders SET amount = 1 WHERE id = 7', ['read', 'write']],
  ['UPDATE shop.orders o SET amount = o.id WHERE TRUE', ['read', 'write']],
  ['DELETE FROM shop.orders WHERE id = 7', ['read', 'write']],
  ['INSERT INTO shop.orders (id) VALUES (1)', ['write']],
]
test.each(CHANGES)('a target whose columns are used is read, too: %s', async (sql, actions) => {
  const { uses } = await bound(sql)
  expect(uses).toEqual(actions.map((action) => ({ action, resource: 'shop.orders' })))
})

const FIXED: readonly (readonly [string, string | undefined])[] = [
  ['SELECT id FROM shop.orders', undefined],
  ['SELECT id FROM shop.orders FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()', undefined],
  ['SELECT id FROM shop.orders FOR SYSTEM_TIME AS OF (SELECT CURRENT_TIMESTAMP())', 'time-travel'],
  ['SELECT id FROM shop.orders TABLESAMPLE SYSTEM (10 PERCENT)', undefined],
  ['SELECT id FROM shop.orders o WHERE o._PARTITIONDATE IS NULL', undefined],
  ['SELECT _PARTITIONDATE FROM shop.orders', 'pseudo-column'],
  ['SELECT TO_JSON_STRING(o) FROM shop.orders o WHERE o._PARTITIONDATE IS NULL', 'pseudo-column'],
  ['FROM shop.orders |> WHERE _PARTITIONDATE IS NULL', 'pseudo-column'],
  ['SELECT 1 FROM shop.orders a, shop.customers b WHERE _PARTITIONDATE IS NULL', 'pseudo-column pseudo-column'],
  ['SELECT id FROM shop.directory WHERE _PARTITIONDATE IS NULL', 'pseudo-column'],
  ["SELECT 1 FROM shop.orders WHERE _CHANGE_TYPE = 'a'", 'pseudo-column'],
  ['SELECT name FROM `shop.events_*`', undefined],
  ['DELETE shop.orders WHERE id = 1', 'target'],
  ['UPDATE shop.orders SET id = 1 WHERE id = 2', 'target'],
  ['TRUNCATE TABLE shop.orders', 'target'],
  ['CREATE TABLE shop.x CLONE shop.orders', 'target copied'],
  ['INSERT shop.leads (email) SELECT status FROM shop.orders', 'target '],
]

test.each(FIXED)('%s: where no subquery may stand', async (sql, fixed) => {
  const { references } = await bound(sql)
  expect(references.map((reference) => reference.fixed).join(' ')).toBe(fixed ?? '')
})

const FEATURES: readonly (readonly [string, string])[] = [
  ['SELECT id FROM shop.orders LIMIT 1', ''],
  ['SELECT * FROM shop.leads', 'select-star@1:8 no-limit@1:1'],
  ['DELETE shop.leads WHERE TRUE', 'dml@1:1 always-true-where@1:25'],
  ['DELETE shop.leads WHERE 1 = 1 OR email = "a"', 'dml@1:1 always-true-where@1:25'],
  ['DELETE shop.leads AS l WHERE l.email >= L.EMAIL', 'dml@1:1 always-true-where@1:30'],
  ['DELETE shop.leads WHERE LENGTH(email) <= LENGTH(EMAIL)', 'dml@1:1 always-true-where@1:25'],
  ['DELETE shop.leads WHERE LENGTH(email) = LENGTH(source)', 'dml@1:1'],
  ['DELETE shop.leads WHERE CONCAT(email, "a") = CONCAT(email, "A")', 'dml@1:1'],
  ['DELETE shop.leads WHERE LENGTH("x") > 0', 'dml@1:1 constant-where@1:25'],
  ['MERGE shop.leads USING shop.orders ON FALSE WHEN NOT MATCHED BY SOURCE THEN DELETE', 'dml@1:1 constant-where@1:39'],
  ['DELETE shop.leads WHERE email >= source', 'dml@1:1'],
  ['SELECT email FROM shop.leads, shop.orders LIMIT 1', 'comma-join@1:29'],
  ['SELECT email FROM shop.leads CROSS JOIN shop.orders LIMIT 1', 'cross-join@1:30'],
  ['SELECT t FROM shop.customers, customers.tags t LIMIT 1', ''],
  ['SELECT table_name FROM shop.INFORMATION_SCHEMA.TABLES LIMIT 1', 'information-schema@1:24'],
  ['SELECT name FROM `shop.events_*` LIMIT 1', 'wildcard-table@1:18 wildcard-unfiltered@1:18'],
  ['SELECT/**/1; ', 'comment@ comment-trick@1:7 no-limit@1:1'],
  ['SELECT TO_HEX(SHA256(email)) FROM shop.leads LIMIT 1', 'encoding-function@1:8 encoding-function@1:15'],
  ['SELECT STRANGE(email) FROM shop.leads LIMIT 1', 'unknown-function@1:8'],
  ['SELECT 1 -- why\n LIMIT 1', 'comment@'],
  ['DROP TABLE shop.leads', 'ddl@1:1'],
  ['CREATE OR REPLACE TABLE shop.x AS SELECT 1 AS a', 'or-replace@1:1 ddl@1:1'],
  ['SELECT (SELECT (SELECT (SELECT 1))) LIMIT 1', 'subquery-depth@'],
]

test.each(FEATURES)('%j: what weighs on risk', async (sql, expected) => {
  const { features } = await bound(sql)
  expect(features.map(({ name, at }) => `${name}@${at ?? ''}`).join(' ')).toBe(expected)
})

test('DML without WHERE is refused, as BigQuery would', async () => {
  expect(await bind('DELETE shop.leads')).toEqual({
    refused: true,
    code: 'no-where',
    message: '`DELETE` needs a `WHERE`',
    line: 1,
    column: 18,
    fix: 'to mean every row, write `WHERE TRUE`',
  })
})

const TYPES: readonly (readonly [string, unknown])[] = [
  ['COUNT(*)', { kind: 'INT64' }],
  ['SUM(amount)', { kind: 'NUMERIC' }],
  ['AVG(id)', { kind: 'FLOAT64' }],
  ['MAX(status)', { kind: 'STRING' }],
  ["COALESCE(MAX(status), 'x')", { kind: 'STRING' }],
  ['ARRAY_AGG(id)', { kind: 'ARRAY', of: { kind: 'INT64' } }],
  ['CAST(MAX(id) AS STRING)', { kind: 'STRING' }],
  ['MAX(id) / 2', { kind: 'FLOAT64' }],
  ['MAX(id) > 2', { kind: 'BOOL' }],
  ['[1, 2]', { kind: 'ARRAY', of: { kind: 'INT64' } }],
  ['STRUCT(1 AS a)', { kind: 'STRUCT', fields: [{ name: 'a', type: { kind: 'INT64' } }] }],
  ["DATE '2026-01-01'", { kind: 'DATE' }],
  // Unknown: the dry run says.
  ['STRANGE(MAX(id))', { kind: 'STRUCT', fields: [] }],
]

test.each(TYPES)('%s has the type %j', async (expression, type) => {
  const { output } = await bound(`SELECT ${expression} FROM shop.orders`)
  expect(output[0]?.type).toEqual(type)
})

test('a mistyped name is answered with the nearest one of the statement, and none besides', async () => {
  expect(await bind('SELECT emial FROM shop.leads')).toMatchObject({
    code: 'unknown-column',
    fix: 'did you mean `email`?',
  })
  expect(await bind('SELECT zzzzzz FROM shop.leads')).not.toHaveProperty('fix')
  // `shop.customers` is there, but the statement does not name it.
  expect(await bind('SELECT 1 FROM shop.customer')).toMatchObject({ fix: 'look at the resources of this connection' })
})

test('positions are those of the text as it was sent', async () => {
  const refusal = await bind('-- a comment\nSELECT /* x */ emial\nFROM shop.leads')
  expect(refusal).toMatchObject({ refused: true, code: 'unknown-column', line: 2, column: 16 })
})

test('what multiplies is refused, and soon', async () => {
  const stars = Array.from({ length: 40 }, (_, i) => `x${i} AS (SELECT *, * FROM x${i - 1})`)
  const sql = `WITH x_ AS (SELECT email FROM shop.leads), ${stars.join(', ').replace('x-1', 'x_')} SELECT * FROM x39`
  expect(await bind(sql)).toMatchObject({ refused: true, code: 'too-large' })
})

test('a statement is bound again when a schema has changed', async () => {
  const by = statements()
  let version = '1'
  const changing: typeof schemas = {
    table: async (path, signal) => {
      const table = await schemas.table(path, signal)
      if (table === undefined || version === '1') return table
      return { ...table, version, columns: table.columns.filter((column) => column.name !== 'email') }
    },
  }
  const ask = async () => {
    const parsed = by.parse('SELECT * FROM shop.leads', DEFAULTS)
    if (parsed.refused) return parsed
    return by.bind(parsed, DEFAULTS, changing, [], BOUNDS, AbortSignal.timeout(1000))
  }
  expect(await ask()).toMatchObject({ output: [{ name: 'email' }, { name: 'source' }] })
  version = '2'
  expect(await ask()).toMatchObject({ output: [{ name: 'source' }] })
})
