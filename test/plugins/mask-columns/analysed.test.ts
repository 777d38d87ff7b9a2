import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { maskStatement } from '../../../plugins/mask-columns/index.ts'
import type { Parameter } from '../../../src/exchange.ts'
import { createStatements } from '../../../src/statement/index.ts'
import { customers, tableOf } from '../support.ts'

const statements = createStatements(new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm')))
const defaults = { project: 'demo', dataset: 'shop' }
const orders = tableOf('shop.orders', { id: 'INT64', customer_email: 'STRING' })
const leads = tableOf('shop.leads', { email: 'STRING', source: 'STRING' })
const directory = tableOf(
  'shop.customer_directory',
  { id: 'INT64', email: 'STRING' },
  { kind: 'VIEW', definition: 'SELECT id, email FROM `demo.shop.customers`' },
)
const view = (name: string, columns: Readonly<Record<string, string>>, definition: string) =>
  tableOf(`shop.${name}`, columns, { kind: 'VIEW', definition })
const IDS = { id: 'INT64', email: 'STRING' }
const tables = [
  customers,
  orders,
  leads,
  directory,
  view('known_customers', { id: 'INT64' }, "SELECT id FROM `demo.shop.customers` WHERE email LIKE '%a'"),
  view('distinct_customers', IDS, 'SELECT DISTINCT id, email FROM `demo.shop.customers`'),
  view('grouped_customers', IDS, 'SELECT id, email FROM `demo.shop.customers` GROUP BY ALL'),
  view(
    'subquery_customers',
    { id: 'INT64', m: 'STRING' },
    "SELECT id, (SELECT MAX(source) FROM `demo.shop.leads` WHERE email = 'a' AND c.email = 'b') AS m FROM `demo.shop.customers` c",
  ),
]
const schemas = {
  table: ({ dataset, table }: { readonly dataset: string; readonly table: string }) =>
    Promise.resolve(tables.find(({ path }) => path.dataset === dataset && path.table === table)),
}
const pads = new Map([['default', { inner: 'aQ==', outer: 'bw==' }]])
const EMAIL = { 'shop.customers.email': 'redact' }
const WRAPPED =
  "(SELECT * REPLACE (IF(sluice_t1.`email` IS NULL, NULL, '[redacted]') AS `email`) FROM `demo.shop.customers` AS sluice_t1)"

/** What becomes of a text: analysed, masked, and analysed again as the second lock. */
async function masked(
  sql: string,
  columns: Readonly<Record<string, unknown>> = EMAIL,
  parameters: readonly Parameter[] = [],
) {
  const parsed = statements.parse(sql, defaults)
  if (parsed.refused) throw new Error(parsed.message)
  const bounds = { maxRows: 10, timeoutMs: 1000, maxBytesBilled: 1e9 }
  const bound = await statements.bind(parsed, defaults, schemas, parameters, bounds, AbortSignal.timeout(5000))
  if ('refused' in bound) return { refused: bound.code }
  const result = maskStatement(bound, { name: 'mask-columns', terms: [{ columns }] }, pads)
  if ('unfulfilled' in result) return { unfulfilled: result.unfulfilled.code, where: result.unfulfilled.where }
  expect(statements.verify(bound, result, defaults)).toBeUndefined()
  return { text: result.text, masked: result.output.map((column) => column.masked) }
}

describe('mask-columns on analysed statements', () => {
  it('masks each reference, aliased or not, joined, and in subqueries', async () => {
    expect(await masked('SELECT id, email FROM customers')).toEqual({
      text: `SELECT id, email FROM ${WRAPPED} AS \`customers\``,
      masked: [undefined, 'redact'],
    })
    expect(await masked('SELECT UPPER(c.email) FROM shop.customers c JOIN customers USING (id)')).toEqual({
      text: `SELECT UPPER(c.email) FROM ${WRAPPED} c JOIN ${WRAPPED} AS \`customers\` USING (id)`,
      masked: ['redact'],
    })
    expect(await masked("SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM customers WHERE email LIKE 'a%')")).toEqual({
      text: `SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM ${WRAPPED} AS \`customers\` WHERE email LIKE 'a%')`,
      masked: [undefined],
    })
  })

  it('masks what a view reads, and a masked view over a masked table', async () => {
    const inlined = `(SELECT id, email FROM ${WRAPPED} AS \`customers\`)`
    expect(await masked('SELECT email FROM customer_directory')).toEqual({
      text: `SELECT email FROM ${inlined} AS \`customer_directory\``,
      masked: ['redact'],
    })
    const both = await masked('SELECT id FROM customer_directory', { ...EMAIL, 'shop.customer_directory.id': 'null' })
    expect(both).toEqual({
      text: `SELECT id FROM (SELECT * REPLACE (CAST(NULL AS INT64) AS \`id\`) FROM ${inlined} AS sluice_t1) AS \`customer_directory\``,
      masked: [undefined],
    })
  })

  it('joins hashes, with positional parameters beside the key', async () => {
    const sql = 'SELECT o.id FROM customers c JOIN orders o ON c.email = o.customer_email WHERE o.id = ?'
    const columns = { 'shop.customers.email': 'hash', 'shop.orders.customer_email': 'hash' }
    const answer = await masked(sql, columns, [{ type: { kind: 'INT64' }, value: '1' }])
    expect(answer).toMatchObject({ text: expect.stringMatching(/WHERE o\.id = @sluice_p1$/) })
  })

  it('lets a name of its own shadow a masked table', async () => {
    const sql = "WITH customers AS (SELECT 'a' AS email) SELECT email FROM customers"
    expect(await masked(sql)).toEqual({ text: sql, masked: [undefined] })
  })

  it.each([
    ['SELECT CAST(id AS STRING) FROM customer_directory', 'masked-value-write'],
    ['SELECT email FROM customer_directory', undefined],
    ['SELECT TO_JSON_STRING(d) FROM customer_directory d', 'masked-value-write'],
    ['SELECT a.email FROM customer_directory a JOIN customer_directory b USING (id)', 'masked-value-write'],
  ])('a mask on a view binds what is used of its column: INSERT … %s', async (sql, code) => {
    const answer = await masked(`INSERT INTO shop.leads (email) ${sql}`, { 'shop.customer_directory.id': 'redact' })
    expect('unfulfilled' in answer ? answer.unfulfilled : undefined).toBe(code)
  })

  it.each([
    ["UPDATE shop.customers SET name = 'x' WHERE id = 5", undefined],
    ["UPDATE shop.customers SET name = 'x' WHERE email = 'a'", 'mask-unprovable'],
    ["DELETE FROM shop.customers WHERE email = 'a'", 'mask-unprovable'],
    ["INSERT INTO shop.leads (email, source) SELECT name, 'x' FROM customers", undefined],
    ["INSERT INTO shop.leads (email, source) SELECT email, 'x' FROM customers", 'masked-value-write'],
    ["INSERT INTO shop.leads (email, source) SELECT email, 'x' FROM customer_directory", 'masked-value-write'],
    ['INSERT INTO shop.leads (source) SELECT CAST(id AS STRING) FROM customer_directory', undefined],
    ['INSERT INTO shop.leads (source) SELECT CAST(COUNT(*) AS STRING) FROM customer_directory', undefined],
    ['INSERT INTO shop.leads (source) SELECT CAST(id AS STRING) FROM known_customers', 'masked-value-write'],
    ['INSERT INTO shop.leads (source) SELECT CAST(id AS STRING) FROM distinct_customers', 'masked-value-write'],
    ['INSERT INTO shop.leads (source) SELECT CAST(id AS STRING) FROM grouped_customers', 'masked-value-write'],
    ['INSERT INTO shop.leads (source) SELECT m FROM subquery_customers', 'masked-value-write'],
    ['INSERT INTO shop.leads (source) SELECT CAST(id AS STRING) FROM subquery_customers', 'masked-value-write'],
    ['INSERT INTO shop.leads (source) SELECT TO_JSON_STRING(d) FROM customer_directory d', 'masked-value-write'],
    ['CREATE TABLE shop.x AS SELECT id FROM customer_directory', undefined],
    ['CREATE TABLE shop.x AS SELECT * FROM customer_directory', 'masked-value-write'],
    ['CREATE TABLE shop.x AS SELECT * FROM customers', 'masked-value-write'],
    ['CREATE TABLE shop.x CLONE shop.customers', 'mask-unprovable'],
    ['CREATE VIEW shop.x AS SELECT id FROM customers', 'mask-unprovable'],
    ["SELECT email FROM customers FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01'", undefined],
    ['SELECT email FROM customer_directory FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()', 'mask-unprovable'],
    ['SELECT email, TO_JSON_STRING(customers) FROM customers WHERE _PARTITIONDATE IS NULL', 'mask-unprovable'],
    ["SELECT id FROM customers FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01'", undefined],
  ])('%s: %s', async (sql, code) => {
    const answer = await masked(sql)
    expect('unfulfilled' in answer ? answer.unfulfilled : undefined).toBe(code)
  })
})
