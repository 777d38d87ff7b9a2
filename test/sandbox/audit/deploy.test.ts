/** deploy/clickhouse and docs/audit-schema.md are what the code says, and ClickHouse understands them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPart, type Part } from '../../../sandbox/parts.ts'
import { openClickHouse } from '../../../src/audit/clickhouse.node.ts'
import { clusterFile, clusterSql } from '../../../src/audit/ddl.ts'
import type { ClickHouse } from '../../../src/audit/reader/contract.ts'
import { GENERATED, schemaPage } from '../../../src/audit/schema-page.ts'

const ROOT = join(import.meta.dirname, '../../..')
const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')

let data: string
let part: Part
let client: ClickHouse

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-deploy-'))
  part = await startPart('clickhouse', { port: 0, data })
  client = openClickHouse({ url: part.url, database: 'default', requestTimeoutMs: 20_000 })
})

afterAll(async () => {
  await client.close()
  await part.stop()
  await rm(data, { recursive: true, force: true })
})

describe.each([
  ['deploy/clickhouse/replicated.sql', false],
  ['deploy/clickhouse/sharded.sql', true],
])('%s', (path, sharded) => {
  const options = { cluster: 'audit', database: 'sluice', sharded }

  test('is what `sluice audit ddl` prints', async () => {
    expect(await read(path)).toBe(clusterFile(options))
  })

  test('is understood', async () => {
    for (const sql of clusterSql(options)) await parsed(sql)
  })
})

test('every table of a cluster is replicated, with a path of its own, and knows tokens for longer than an outage', () => {
  const tables = clusterSql({ cluster: 'audit', database: 'sluice', sharded: true }).filter((sql) =>
    sql.startsWith('CREATE TABLE'),
  )
  const local = tables.filter((sql) => sql.includes('_local` ON CLUSTER'))
  expect(local).toHaveLength(tables.length / 2)
  const paths = local.map((sql) => /Replicated(?:Replacing)?MergeTree\('([^']+)', '\{replica\}'\)/.exec(sql)?.[1])
  expect(new Set(paths).size).toBe(local.length)
  expect(paths).not.toContain(undefined)
  const [events] = local
  expect(events).toContain('replicated_deduplication_window_seconds = 2592000')
  expect(events).not.toContain('non_replicated')
})

test('a name that is none is refused', () => {
  expect(() => clusterSql({ cluster: "a'", database: 'sluice', sharded: false })).toThrow("`a'` is no plain name")
})

test('users.sql is understood, and lets nobody in', async () => {
  const statements = (await read('deploy/clickhouse/users.sql'))
    .replaceAll(/^--.*$/gm, '')
    .split(';')
    .map((sql) => sql.trim())
    .filter((sql) => sql !== '')
  for (const sql of statements) await parsed(sql)
  const users = statements.filter((sql) => sql.startsWith('CREATE USER'))
  expect(users.length).toBeGreaterThan(0)
  expect(users.filter((sql) => !sql.endsWith('HOST NONE'))).toEqual([])
  const writer = statements.filter((sql) => sql.startsWith('GRANT') && sql.endsWith('TO sluice_writer'))
  expect(writer.map((sql) => sql.replace(/ TO .*/, ''))).toEqual([
    'GRANT INSERT ON sluice.events',
    'GRANT INSERT ON sluice.payloads',
    'GRANT INSERT ON sluice.segments',
    'GRANT INSERT ON sluice.checkpoints',
    'GRANT SELECT ON sluice.migrations',
  ])
})

test('docs/audit-schema.md ends with what `sluice audit schema` prints', async () => {
  const page = await read('docs/audit-schema.md')
  expect(page.slice(page.indexOf(GENERATED)).trim()).toBe(schemaPage().trim())
})

/** Rejects where ClickHouse's own parser does not take it. */
async function parsed(sql: string): Promise<void> {
  const signal = AbortSignal.timeout(20_000)
  await new Response(await client.query({ sql: `EXPLAIN AST ${sql}`, format: 'TSVRaw' }, signal)).text()
}
