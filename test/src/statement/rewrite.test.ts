/** Replacing references at their places, and the second lock on what comes of it. */
import { expect, test } from 'vitest'
import type { Reference, SqlStatement, Table } from '../../../src/exchange.ts'
import { exportsOf, quotedPath, replaceReferences, withNamedParameters } from '../../../src/statement/rewrite.ts'
import { bound, DEFAULTS, statements } from './support.ts'

/** Masks `email` of customers; nothing else. */
function wrap(table: Table, at: Reference): string | undefined {
  const pseudo = exportsOf(at).map(({ name, alias }) => `, t.${name} AS ${alias}`)
  const alias = pseudo.length === 0 ? '' : ' AS t'
  return table.resource === 'shop.customers'
    ? `SELECT * REPLACE ('x' AS \`email\`)${pseudo.join('')} FROM ${quotedPath(table)}${alias}`
    : undefined
}
const W = "(SELECT * REPLACE ('x' AS `email`) FROM `own.shop.customers`)"
/** `pseudo(14, 'date')`: with `_PARTITIONDATE`, for a reference at 14. */
function pseudo(at: number, ...names: readonly string[]): string {
  const more = names.map((name) => `, t._PARTITION${name.toUpperCase()} AS sluice_x${at}_partition${name}`)
  return `(SELECT * REPLACE ('x' AS \`email\`)${more.join('')} FROM \`own.shop.customers\` AS t)`
}
const MASKS = [{ resource: 'shop.customers', column: 'email', strategy: 'redact' }]

async function rewritten(sql: string): Promise<SqlStatement> {
  const result = replaceReferences(await bound(sql), wrap)
  if ('refused' in result) throw new Error(result.code)
  const output = result.output.map((column) =>
    column.sources.includes('shop.customers.email') ? { ...column, masked: 'redact' } : column,
  )
  return { ...result, masks: MASKS, output }
}

const REWRITES: readonly (readonly [string, string])[] = [
  ['SELECT email FROM shop.customers', `SELECT email FROM ${W} AS \`customers\``],
  ['SELECT c.email FROM shop.customers c', `SELECT c.email FROM ${W} c`],
  ['SELECT c.email FROM shop.customers AS c', `SELECT c.email FROM ${W} AS c`],
  ['SELECT email FROM `own.shop.customers` WHERE id = 1', `SELECT email FROM ${W} AS \`customers\` WHERE id = 1`],
  ['SELECT kind FROM shop.customers, customers.contacts', `SELECT kind FROM ${W} AS \`customers\`, customers.contacts`],
  [
    'SELECT a.id FROM shop.customers a JOIN shop.customers b USING (email)',
    `SELECT a.id FROM ${W} a JOIN ${W} b USING (email)`,
  ],
  [
    'SELECT id FROM shop.orders WHERE customer_id IN (SELECT id FROM shop.customers)',
    `SELECT id FROM shop.orders WHERE customer_id IN (SELECT id FROM ${W} AS \`customers\`)`,
  ],
  [
    'WITH customers AS (SELECT * FROM shop.customers) SELECT email FROM customers',
    `WITH customers AS (SELECT * FROM ${W} AS \`customers\`) SELECT email FROM customers`,
  ],
  [
    'SELECT email FROM shop.directory',
    `SELECT email FROM (SELECT id, email, address.city FROM ${W} AS \`customers\`) AS \`directory\``,
  ],
  [
    'SELECT d.email FROM shop.deeper d',
    `SELECT d.email FROM (SELECT email FROM (SELECT id, email, address.city FROM ${W} AS \`customers\`) AS \`directory\` WHERE id > 1) d`,
  ],
  ['SELECT email FROM shop.leads', 'SELECT email FROM shop.leads'],
  ['FROM shop.customers', `FROM ${W} AS \`customers\``],
  [
    'FROM shop.orders |> JOIN shop.customers c ON c.id = customer_id |> SELECT email',
    `FROM shop.orders |> JOIN ${W} c ON c.id = customer_id |> SELECT email`,
  ],
  [
    'FROM shop.customers |> EXTEND LOWER(email) AS e |> AGGREGATE MAX(e) GROUP BY customers.name',
    `FROM ${W} AS \`customers\` |> EXTEND LOWER(email) AS e |> AGGREGATE MAX(e) GROUP BY customers.name`,
  ],
  [
    'SELECT (FROM shop.customers |> SELECT MAX(email)) AS m',
    `SELECT (FROM ${W} AS \`customers\` |> SELECT MAX(email)) AS m`,
  ],
  [
    "SELECT * FROM shop.customers PIVOT (MAX(email) FOR name IN ('a')) AS p",
    `SELECT * FROM ${W} AS \`customers\` PIVOT (MAX(email) FOR name IN ('a')) AS p`,
  ],
  [
    'CREATE TEMP FUNCTION f(x STRING) AS (x); SELECT f(email) AS m FROM shop.customers',
    `CREATE TEMP FUNCTION f(x STRING) AS (x); SELECT f(email) AS m FROM ${W} AS \`customers\``,
  ],
  [
    'SELECT v FROM shop.customers c UNPIVOT (v FOR n IN (email, name))',
    `SELECT v FROM ${W} c UNPIVOT (v FOR n IN (email, name))`,
  ],
  [
    'SELECT x FROM ML.PREDICT(MODEL shop.m, (SELECT email FROM shop.customers))',
    `SELECT x FROM ML.PREDICT(MODEL shop.m, (SELECT email FROM ${W} AS \`customers\`))`,
  ],
  [
    'SELECT email FROM shop.leads UNION ALL BY NAME SELECT email FROM shop.customers',
    `SELECT email FROM shop.leads UNION ALL BY NAME SELECT email FROM ${W} AS \`customers\``,
  ],
  [
    "SELECT c.email FROM shop.customers AS c FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01' WHERE id = 1",
    `SELECT c.email FROM ${W.slice(0, -1)} FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01') AS c WHERE id = 1`,
  ],
  [
    'SELECT email FROM shop.customers FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)',
    `SELECT email FROM ${W.slice(0, -1)} FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)) AS \`customers\``,
  ],
  [
    'SELECT email FROM shop.customers TABLESAMPLE SYSTEM (1 PERCENT) JOIN shop.leads USING (email)',
    `SELECT email FROM ${W.slice(0, -1)} TABLESAMPLE SYSTEM (1 PERCENT)) AS \`customers\` JOIN shop.leads USING (email)`,
  ],
  [
    'SELECT email FROM shop.customers c TABLESAMPLE SYSTEM (1 PERCENT)',
    `SELECT email FROM ${W.slice(0, -1)} TABLESAMPLE SYSTEM (1 PERCENT)) c`,
  ],
  [
    'SELECT * FROM shop.customers c WHERE _PARTITIONTIME IS NULL AND c._PARTITIONDATE = _partitiondate',
    `SELECT * EXCEPT (sluice_x14_partitiontime, sluice_x14_partitiondate) FROM ${pseudo(14, 'time', 'date')} c WHERE sluice_x14_partitiontime IS NULL AND c.sluice_x14_partitiondate = sluice_x14_partitiondate`,
  ],
  [
    'SELECT c.* EXCEPT (id) REPLACE (1 AS name), _PARTITIONDATE AS day FROM shop.customers c',
    `SELECT c.* EXCEPT (id, sluice_x71_partitiondate) REPLACE (1 AS name), sluice_x71_partitiondate AS day FROM ${pseudo(71, 'date')} c`,
  ],
  [
    'SELECT * FROM shop.customers a JOIN shop.customers b USING (id) WHERE a._PARTITIONDATE = b._PARTITIONDATE',
    `SELECT * EXCEPT (sluice_x14_partitiondate, sluice_x36_partitiondate) FROM ${pseudo(14, 'date')} a JOIN ${pseudo(36, 'date')} b USING (id) WHERE a.sluice_x14_partitiondate = b.sluice_x36_partitiondate`,
  ],
  [
    'SELECT email FROM shop.leads l WHERE EXISTS (SELECT 1 FROM shop.customers c WHERE c.email = l.email AND _PARTITIONDATE IS NULL)',
    `SELECT email FROM shop.leads l WHERE EXISTS (SELECT 1 FROM ${pseudo(59, 'date')} c WHERE c.email = l.email AND sluice_x59_partitiondate IS NULL)`,
  ],
  [
    'FROM shop.customers |> WHERE _PARTITIONDATE IS NULL |> SELECT email',
    `FROM ${pseudo(5, 'date')} AS \`customers\` |> WHERE sluice_x5_partitiondate IS NULL |> SELECT email`,
  ],
  [
    'SELECT MAX(_PARTITIONTIME) AS last, COUNT(*) FROM shop.customers FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP GROUP BY _PARTITIONDATE',
    `SELECT MAX(sluice_x50_partitiontime) AS last, COUNT(*) FROM ${pseudo(50, 'time', 'date').slice(0, -1)} FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP) AS \`customers\` GROUP BY sluice_x50_partitiondate`,
  ],
  [
    'INSERT shop.leads (email) SELECT email FROM shop.customers',
    `INSERT shop.leads (email) SELECT email FROM ${W} AS \`customers\``,
  ],
]

test.each(REWRITES)('%s', async (sql, expected) => {
  const result = await rewritten(sql)
  expect(result.text).toBe(expected)
  for (const { start, end, resource } of result.references) {
    expect(result.text.slice(start, end).replaceAll('`', '').replace('own.', '')).toBe(resource)
  }
  expect(statements().verify(await bound(sql), result, DEFAULTS)).toBeUndefined()
})

test('a rewritten statement can be rewritten again, inside', async () => {
  const once = await rewritten('SELECT id FROM shop.customers, shop.leads')
  const twice = replaceReferences(once, (table) =>
    table.resource === 'shop.orders' ? undefined : `SELECT * FROM ${quotedPath(table)} WHERE TRUE`,
  )
  expect(twice).toMatchObject({
    text:
      "SELECT id FROM (SELECT * REPLACE ('x' AS `email`) FROM (SELECT * FROM `own.shop.customers` WHERE TRUE) AS `customers`)" +
      ' AS `customers`, (SELECT * FROM `own.shop.leads` WHERE TRUE) AS `leads`',
  })
})

test.each([
  ['DELETE FROM shop.customers WHERE email = "a"', 'fixed-target'],
  ['SELECT id FROM shop.customers FOR SYSTEM_TIME AS OF (SELECT CURRENT_TIMESTAMP())', 'fixed-time-travel'],
  ['SELECT id FROM shop.directory FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()', 'fixed-view-clause'],
  ['SELECT TO_JSON_STRING(c) FROM shop.customers c WHERE c._PARTITIONTIME IS NULL', 'fixed-pseudo-column'],
  ['SELECT id AS sluice_x1 FROM shop.customers WHERE _PARTITIONTIME IS NULL', 'unsupported-rewrite'],
  ['CREATE TABLE shop.x COPY shop.customers', 'fixed-copied'],
  ['SELECT x FROM ML.PREDICT(MODEL shop.m, TABLE shop.customers)', 'fixed-table-function'],
  ['SELECT x FROM APPENDS(TABLE shop.directory)', 'fixed-table-function'],
])('refuses to replace what no subquery may stand for: %s', async (sql, code) => {
  expect(replaceReferences(await bound(sql), wrap)).toMatchObject({ refused: true, code })
})

test('refuses a wrapper that names another table, or none', async () => {
  const statement = await bound('SELECT id FROM shop.customers')
  for (const sql of ['SELECT 1', 'SELECT * FROM `own.hr.salaries`', 'SELECT * FROM a.b, a.b', 'SELECT (']) {
    expect(replaceReferences(statement, () => sql)).toMatchObject({ refused: true, code: 'unsupported-rewrite' })
  }
})

test('positional parameters become named ones', async () => {
  const parameters = [
    { type: { kind: 'STRING' as const }, value: 'a' },
    { type: { kind: 'INT64' as const }, value: '1' },
  ]
  const statement = await bound("SELECT '?' FROM shop.customers c WHERE c.email = ? AND c.id > ?", parameters)
  const named = withNamedParameters(statement)
  expect(named.text).toBe("SELECT '?' FROM shop.customers c WHERE c.email = @sluice_p1 AND c.id > @sluice_p2")
  expect(named.parameters.map((p) => p.name)).toEqual(['sluice_p1', 'sluice_p2'])
  const replaced = replaceReferences(named, wrap)
  expect(replaced).toMatchObject({ text: `SELECT '?' FROM ${W} c WHERE c.email = @sluice_p1 AND c.id > @sluice_p2` })
})

test.each([
  'SELECT c.email FROM (SELECT [STRUCT("a" AS email)] AS customers) AS shop, shop.customers, `shop.customers` AS c',
  'SELECT (SELECT MAX(email) FROM shop.customers) FROM (SELECT [STRUCT("a" AS email)] AS customers) AS shop, `shop.customers`',
])('an array that bears the name of a masked table is refused beside it: %s', async (sql) => {
  expect(statements().verify(await bound(sql), await rewritten(sql), DEFAULTS)).toMatchObject({
    refused: true,
    code: 'unproven',
    message: "`shop.customers` is a masked table's name, too",
  })
})

test('an answer of which no mask can be told is refused where a masked table is read', async () => {
  const sql = 'SELECT * FROM ML.PREDICT(MODEL shop.m, (SELECT email FROM shop.customers))'
  expect(statements().verify(await bound(sql), await rewritten(sql), DEFAULTS)).toMatchObject({
    code: 'unproven',
    message: 'a masked table is read, and what `*` stands for is not known: select columns by name',
  })
  const plain = await bound('SELECT * FROM ML.PREDICT(MODEL shop.m, (SELECT email FROM shop.leads))')
  expect(statements().verify(plain, plain, DEFAULTS)).toBeUndefined()
})

const TAMPERED: readonly (readonly [string, (s: SqlStatement) => SqlStatement])[] = [
  ['a reference left bare', (s) => ({ ...s, text: 'SELECT email FROM shop.customers' })],
  ['a mask on another column', (s) => ({ ...s, text: s.text.replace('`email`', '`name`') })],
  [
    'a wrapper that selects the column again',
    (s) => ({ ...s, text: s.text.replace('SELECT * REPLACE', 'SELECT email AS e, * REPLACE') }),
  ],
  ['another table', (s) => ({ ...s, text: `${s.text}, hr.salaries` })],
  ['another kind', (s) => ({ ...s, text: 'DELETE shop.customers WHERE TRUE' })],
  ['text that does not parse', (s) => ({ ...s, text: `${s.text})` })],
  ['another output name', (s) => ({ ...s, output: s.output.map((column) => ({ ...column, name: 'other' })) })],
  ['another output type', (s) => ({ ...s, output: s.output.map((column) => ({ ...column, type: { kind: 'JSON' } })) })],
  [
    'a column of the answer that does not tell',
    (s) => ({ ...s, output: s.output.map((c) => ({ ...c, masked: undefined! })) }),
  ],
  [
    'a wrapper with a filter',
    (s) => ({ ...s, text: s.text.replace('`own.shop.customers`', "`own.shop.customers` WHERE email > 'm'") }),
  ],
  ['a wrapper that groups', (s) => ({ ...s, text: s.text.replace('SELECT * REPLACE', 'SELECT DISTINCT * REPLACE') })],
  [
    'a wrapper that exports a column as if it were a pseudo-column',
    (s) => ({
      ...s,
      text: s.text.replace(') FROM `own.shop.customers`', '), t.email AS p FROM `own.shop.customers` AS t'),
    }),
  ],
  [
    'a wrapper that exports a field of a pseudo-column, or makes something of it',
    (s) => ({
      ...s,
      text: s.text.replace(
        ') FROM `own.shop.customers`',
        '), CONCAT(t._FILE_NAME, email) AS p FROM `own.shop.customers` AS t',
      ),
    }),
  ],
  [
    'a wrapper that exports a pseudo-column under no name',
    (s) => ({
      ...s,
      text: s.text.replace(') FROM `own.shop.customers`', '), t._FILE_NAME FROM `own.shop.customers` AS t'),
    }),
  ],
  [
    'a list with the column as it is',
    (s) => ({
      ...s,
      text: s.text
        .replace(/\* REPLACE .*? FROM/, 't.id AS id, t.email AS email FROM')
        .replace('customers`', 'customers` AS t'),
    }),
  ],
  [
    'a list with the column under another name, too',
    (s) => ({
      ...s,
      text: s.text
        .replace(/\* REPLACE .*? FROM/, "t.Email AS name, 'x' AS email FROM")
        .replace('customers`', 'customers` AS t'),
    }),
  ],
  ['a column more in the answer', (s) => ({ ...s, text: s.text.replace('SELECT c.email', 'SELECT c.*') })],
  [
    'the time of a table in a query of its own',
    (s) => ({
      ...s,
      text: s.text.replace(
        '`own.shop.customers`',
        '`own.shop.customers` FOR SYSTEM_TIME AS OF (SELECT MAX(email) FROM shop.customers)',
      ),
    }),
  ],
  ['fewer outputs', (s) => ({ ...s, output: [] })],
  ['a view that reads the table', (s) => ({ ...s, text: 'SELECT email FROM shop.directory' })],
]

test('the second lock finds a helper column that comes out with a `*`', async () => {
  const sql = 'SELECT * FROM shop.customers c WHERE c._PARTITIONDATE IS NULL'
  const right = await rewritten(sql)
  const wrong = { ...right, text: right.text.replace(' EXCEPT (sluice_x14_partitiondate)', '') }
  expect(wrong.text).not.toBe(right.text)
  expect(statements().verify(await bound(sql), wrong, DEFAULTS)).toMatchObject({
    code: 'unproven',
    message: 'the columns of the answer have changed',
  })
})

test.each(TAMPERED)('the second lock finds %s', async (_, tamper) => {
  const sql = 'SELECT c.email FROM shop.customers c, shop.directory d'
  const original = await bound(sql)
  expect(statements().verify(original, await rewritten(sql), DEFAULTS)).toBeUndefined()
  expect(statements().verify(original, tamper(await rewritten(sql)), DEFAULTS)).toMatchObject({ refused: true })
})
