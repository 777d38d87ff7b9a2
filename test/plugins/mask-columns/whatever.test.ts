/** A mask binds whatever a statement does with its table: by no other action is a masked value had. */
import { describe, expect, test } from 'vitest'
import { maskStatement } from '../../../plugins/mask-columns/index.ts'
import type { Pads } from '../../../src/statement/hmac.ts'
import { sqlStatement } from '../../support/statement.ts'
import { bind, DEFAULTS, statements } from '../../src/statement/support.ts'

const COLUMNS = { 'shop.customers.email': 'redact', 'own.shop.orders.status': 'redact', 'shop.events_*.name': 'null' }
const MASKS = { name: 'mask-columns', terms: [{ columns: COLUMNS }] }
const NO_KEYS = new Map<string, Pads>()

/** The code of the denial; `undefined` where the statement may run. */
async function outcome(sql: string): Promise<string | undefined> {
  const statement = await bind(sql)
  if ('refused' in statement) return statement.code
  const result = maskStatement(statement, MASKS, NO_KEYS)
  if ('unfulfilled' in result) return result.unfulfilled.code
  expect(statements().verify(statement, result, DEFAULTS)).toBeUndefined()
  return undefined
}

describe('what would shed a mask is denied', () => {
  test.each([
    'ALTER TABLE shop.customers RENAME TO c2',
    'ALTER TABLE `own.shop.customers` RENAME COLUMN email TO e',
    'ALTER TABLE shop.CUSTOMERS DROP COLUMN email',
    'ALTER TABLE shop.orders RENAME TO o2',
    'ALTER TABLE shop.events_20260101 RENAME TO plain',
    'ALTER TABLE shop.leads RENAME TO customers',
    "ALTER SCHEMA shop SET OPTIONS (description = 'x')",
    'CREATE TABLE shop.customers (id INT64)',
    'CREATE OR REPLACE TABLE shop.customers AS SELECT id FROM shop.customers',
    "CREATE EXTERNAL TABLE shop.customers OPTIONS (format = 'CSV', uris = ['gs://b/x'])",
    'CREATE TABLE shop.x LIKE shop.customers',
    'CREATE TABLE shop.x COPY shop.customers',
    'CREATE TABLE shop.x CLONE shop.orders',
    'CREATE SNAPSHOT TABLE shop.x CLONE shop.customers FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()',
    'CREATE VIEW shop.x AS SELECT id FROM shop.customers',
    'CREATE MATERIALIZED VIEW shop.x AS SELECT MAX(email) AS m FROM shop.customers',
    'CREATE SEARCH INDEX i ON shop.customers(ALL COLUMNS)',
    "CREATE VECTOR INDEX i ON shop.customers(email) OPTIONS(index_type = 'IVF')",
    "CREATE ROW ACCESS POLICY p ON shop.customers GRANT TO ('user:a@b.c') FILTER USING (email = 'x')",
    'DROP ALL ROW ACCESS POLICIES ON shop.customers',
    "GRANT `roles/bigquery.dataViewer` ON TABLE shop.customers TO 'user:a@b.c'",
    "GRANT `roles/bigquery.dataViewer` ON SCHEMA shop TO 'user:a@b.c'",
    "CREATE MODEL shop.m OPTIONS (model_type = 'kmeans') AS SELECT id FROM shop.customers",
  ])('%s', async (sql) => {
    expect(await outcome(sql)).toBe('mask-unprovable')
  })

  test.each([
    "EXPORT DATA OPTIONS (uri = 'gs://b/*', format = 'CSV') AS SELECT email FROM shop.customers",
    'MERGE shop.leads l USING shop.customers c ON FALSE WHEN NOT MATCHED THEN INSERT ROW',
    'UPDATE shop.leads SET source = (SELECT MAX(email) FROM shop.customers) WHERE TRUE',
    'CREATE TABLE shop.x AS SELECT * FROM shop.customers WHERE _PARTITIONDATE IS NULL',
    'INSERT shop.leads (email) SELECT name FROM `shop.events_*` WHERE _TABLE_SUFFIX > "1"',
  ])('%s', async (sql) => {
    expect(await outcome(sql)).toBe('masked-value-write')
  })
})

describe('what tells nothing runs', () => {
  test.each([
    'DROP TABLE shop.customers',
    'TRUNCATE TABLE shop.customers',
    "UPDATE shop.customers SET email = 'a' WHERE id = 1",
    'DELETE FROM shop.customers WHERE id = 1',
    'CREATE TABLE shop.x AS SELECT id FROM shop.customers WHERE _PARTITIONDATE IS NULL',
    "EXPORT DATA OPTIONS (uri = 'gs://b/*', format = 'CSV') AS SELECT id FROM shop.customers",
    'CREATE TABLE shop.x (id INT64)',
    'ALTER TABLE shop.leads RENAME TO l2',
    'SELECT table_name FROM shop.INFORMATION_SCHEMA.TABLES',
  ])('%s', async (sql) => {
    expect(await outcome(sql)).toBeUndefined()
  })
})

describe('views of INFORMATION_SCHEMA', () => {
  const read = (resource: string, columnsRead: readonly string[] = []) => {
    const statement = sqlStatement({ uses: [{ action: 'read', resource }], columnsRead })
    const result = maskStatement(statement, MASKS, NO_KEYS)
    return 'unfulfilled' in result ? result.unfulfilled.where : 'open'
  }

  const CLOSED =
    'JOBS JOBS_BY_USER JOBS_BY_ORGANIZATION JOBS_TIMELINE SESSIONS_BY_USER INSIGHTS RECOMMENDATIONS PARTITIONS ROUTINES ' +
    'PARAMETERS VIEWS MATERIALIZED_VIEWS SEARCH_INDEXES VECTOR_INDEXES ROW_ACCESS_POLICIES STREAMING_TIMELINE WHAT_MAY_COME TABLES_AND_MORE XTABLES jobs'

  test.each(CLOSED.split(' '))('%s is closed', (name) => {
    for (const before of ['shop.', 'region-eu.', '', 'other.region-eu.', 'other.']) {
      expect(read(`${before}INFORMATION_SCHEMA.${name}`)).toBe(`${before}INFORMATION_SCHEMA.${name}`)
    }
  })

  test.each(['TABLES', 'COLUMNS', 'COLUMN_FIELD_PATHS', 'SCHEMATA', 'TABLE_STORAGE_BY_PROJECT', 'tables'])(
    '%s is open',
    (name) => {
      expect(read(`shop.INFORMATION_SCHEMA.${name}`)).toBe('open')
    },
  )

  test('but for the definitions in TABLES', () => {
    const tables = 'shop.INFORMATION_SCHEMA.TABLES'
    expect(read(tables, [`${tables}.table_name`])).toBe('open')
    expect(read(tables, [`${tables}.ddl`, `${tables}.table_name`])).toBe(`${tables}.ddl`)
  })
})
