import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPart, type Part } from '../../../sandbox/parts.ts'
import { connectBigQuery } from '../../../src/connection/bigquery/client.node.ts'
import type { Answer, Connector } from '../../../src/connection/contract.ts'
import { typeText, type Parameter, type SqlStatement } from '../../../src/exchange.ts'
import { parseParameters } from '../../../src/statement/parameters.ts'
import { permitted } from '../../src/connection/bigquery/fake.ts'
import { sqlStatement } from '../../support/statement.ts'

const data = mkdtempSync(join(tmpdir(), 'sluice-bigquery-'))
let warehouse: Part
let connector: Connector

beforeAll(async () => {
  warehouse = await startPart('warehouse', { port: 0, data })
  connector = connectBigQuery(
    'warehouse',
    { project: 'sluice-sandbox', apiEndpoint: warehouse.url, credentials: { type: 'none' } },
    data,
  )
})

afterAll(async () => {
  await connector.close()
  await warehouse.stop()
  rmSync(data, { recursive: true, force: true })
})

const within = (): AbortSignal => AbortSignal.timeout(60_000)
const run = (text: string, over: Partial<SqlStatement> = {}): Promise<Answer> =>
  connector.run(sqlStatement({ text, ...over }), permitted({ id: randomUUID(), ...reading('shop.*') }), within())

/** Decided about: reading these. */
const reading = (resource: string) => ({ statement: sqlStatement({ uses: [{ action: 'read', resource }] }) })

async function rowsOf(answer: Answer): Promise<unknown[]> {
  let text = ''
  for await (const batch of answer.batches) text += new TextDecoder().decode(batch.bytes)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)
}

describe('the connector over the sandbox warehouse', () => {
  it('answers with values of every type that the sandbox has, exactly', async () => {
    const answer = await run(`
      SELECT CAST(9223372036854775807 AS INT64) AS i, CAST('1.10' AS NUMERIC) AS n, 1.5 AS f, TRUE AS b, 'a"b' AS s,
        DATE '2026-01-31' AS d, TIMESTAMP '2026-01-02 03:04:05.123456+00' AS t, [1, 2] AS a,
        STRUCT('x' AS street, 5 AS zip) AS st, CAST(NULL AS STRING) AS z, CAST('NaN' AS FLOAT64) AS nan,
        b'\\xde\\xad' AS by`)
    expect(await rowsOf(answer)).toEqual([
      [
        '9223372036854775807',
        '1.1',
        1.5,
        true,
        'a"b',
        '2026-01-31',
        '2026-01-02T03:04:05.123456Z',
        ['1', '2'],
        { street: 'x', zip: '5' },
        null,
        'NaN',
        '3q0=',
      ],
    ])
    expect(answer.columns.map(({ name, type }) => `${name} ${typeText(type)}`)).toEqual([
      'i INT64',
      'n NUMERIC',
      'f FLOAT64',
      'b BOOL',
      's STRING',
      'd DATE',
      't TIMESTAMP',
      'a ARRAY<INT64>',
      'st STRUCT<street STRING, zip INT64>',
      'z STRING',
      'nan FLOAT64',
      'by BYTES',
    ])
    expect(answer.statistics()).toMatchObject({ durationMs: expect.any(Number) })
  })

  it.each<[string, readonly Parameter[], unknown]>([
    ['@i', parseParameters({ i: '9' }), '9'],
    ['@i', parseParameters({ i: { type: 'INT64', value: '9223372036854775807' } }), '9223372036854775807'],
    ['@n', parseParameters({ n: { type: 'NUMERIC', value: '0.000000001' } }), '0.000000001'],
    ['@b', parseParameters({ b: true }), true],
    ['@d', parseParameters({ d: { type: 'DATE', value: '2026-01-31' } }), '2026-01-31'],
    [
      '@t',
      parseParameters({ t: { type: 'TIMESTAMP', value: '2026-01-31 01:02:03.5+02' } }),
      '2026-01-30T23:02:03.500000Z',
    ],
    ['@by', parseParameters({ by: { type: 'BYTES', value: '3q0=' } }), '3q0='],
    ['@s', parseParameters({ s: { type: 'STRING', value: null } }), null],
    ['@a', parseParameters({ a: [1, 2] }), ['1', '2']],
    ['@st.zip', parseParameters({ st: { type: 'STRUCT<zip INT64, c STRING>', value: { zip: 5, c: 'x' } } }), '5'],
    ['?', parseParameters(['{{projectId}}']), '{{projectId}}'],
  ])('takes %s as %j', async (text, parameters, value) => {
    expect(await rowsOf(await run(`SELECT ${text} AS v`, { parameters }))).toEqual([[value]])
  })

  it('streams a million rows in order, in pages, with flat memory', async () => {
    const answer = await run('SELECT * FROM shop.metrics')
    let rows = 0
    let heaviest = 0
    const before = process.memoryUsage.rss()
    for await (const batch of answer.batches) {
      rows += batch.rowCount
      heaviest = Math.max(heaviest, process.memoryUsage.rss() - before)
    }
    expect(rows).toBe(1_000_000)
    expect(answer.totalRows).toBe(1_000_000)
    expect(heaviest).toBeLessThan(150 * 1024 * 1024)
  })

  it('estimates what a statement would read', async () => {
    const estimate = await connector.estimate(
      sqlStatement({ text: 'SELECT id, email FROM shop.customers' }),
      permitted().principal,
      within(),
    )
    expect(estimate).toEqual({
      bytes: expect.any(Number),
      kind: 'SELECT',
      tables: ['shop.customers'],
      output: [
        { name: 'id', type: { kind: 'INT64' } },
        { name: 'email', type: { kind: 'STRING' } },
      ],
    })
  })

  const at = (table: string) => ({ project: 'sluice-sandbox', dataset: 'shop', table })

  it('describes tables, views and what is not there', async () => {
    const customers = await connector.metadata.table(at('customers'), within())
    expect(customers?.columns.map(({ name, type }) => `${name} ${typeText(type)}`)).toEqual([
      'id INT64',
      'name STRING',
      'email STRING',
      'ssn STRING',
      'phone STRING',
      'birth_date DATE',
      'address STRUCT<street STRING, city STRING, zip STRING>',
      'tags ARRAY<STRING>',
      'contacts ARRAY<STRUCT<kind STRING, value STRING>>',
      'metadata JSON',
      'created_at TIMESTAMP',
    ])
    expect(await connector.metadata.table(at('customer_directory'), within())).toMatchObject({
      kind: 'VIEW',
      definition: expect.stringContaining('customers'),
    })
    expect(await connector.metadata.table(at('nothing'), within())).toBeUndefined()
    expect(await connector.metadata.datasets(within())).toEqual(expect.arrayContaining(['hr', 'shop']))
    expect((await connector.metadata.tables('shop', within())).map(({ table }) => table)).toContain('orders')
  })

  it('what no description names is known by what reading it would give', async () => {
    const shards = await connector.metadata.table(at('events_*'), within())
    expect(shards?.resource).toBe('shop.events_*')
    expect(shards?.columns.map(({ name, type }) => `${name} ${type.kind}`)).toEqual([
      'event_id STRING',
      'user_id INT64',
      'name STRING',
      'ts TIMESTAMP',
      'properties JSON',
    ])
    expect(shards?.version).toBe((await connector.metadata.table(at('events_2026010*'), within()))?.version)
    const views = await connector.metadata.table(at('INFORMATION_SCHEMA.TABLES'), within())
    expect(views?.columns.map(({ name }) => name)).toContain('table_name')
    expect(await connector.metadata.table(at('nothing_*'), within())).toBeUndefined()
    expect(await connector.metadata.table(at('INFORMATION_SCHEMA.NOTHING'), within())).toBeUndefined()
    expect(await connector.metadata.table(at('x`; DROP TABLE y; --*'), within())).toBeUndefined()
  })

  it('runs an exchange once, and reads its answer again', async () => {
    const exchange = permitted({ id: randomUUID(), ...reading('shop.orders') })
    const asked = sqlStatement({ text: 'SELECT COUNT(*) AS n FROM shop.orders' })
    const first = await rowsOf(await connector.run(asked, exchange, within()))
    expect(await rowsOf(await connector.run(asked, exchange, within()))).toEqual(first)
    expect(await rowsOf(await connector.attach(asked, exchange, within()))).toEqual(first)
  })

  it('gives no row of a job that read another table, or has other columns, than were decided about', async () => {
    const text = 'SELECT id FROM shop.orders'
    const asked = sqlStatement({ text, output: [{ name: 'id', type: { kind: 'INT64' }, sources: [] }] })
    const run = (statement: SqlStatement, resource: string) =>
      connector.run(statement, permitted({ id: randomUUID(), ...reading(resource) }), within())
    expect(await rowsOf(await run(asked, 'shop.orders'))).toHaveLength(6000)
    await expect(run(asked, 'shop.leads')).rejects.toMatchObject({ code: 'upstream-differs' })
    const other = { ...asked, output: [{ name: 'id', type: { kind: 'STRING' }, sources: [] }] } as const
    await expect(run(other, 'shop.orders')).rejects.toMatchObject({ code: 'upstream-differs' })
    await expect(run({ ...asked, kind: 'EXPORT_DATA' }, 'shop.orders')).rejects.toMatchObject({
      code: 'upstream-differs',
    })
  })

  it('cancels the job of a client that leaves', async () => {
    const exchange = permitted({ id: randomUUID() })
    const leave = new AbortController()
    const endless = sqlStatement({
      text: 'SELECT SUM(a.id * b.id * c.id) AS s FROM shop.orders a CROSS JOIN shop.orders b CROSS JOIN shop.orders c',
    })
    const running = connector.run(endless, exchange, leave.signal)
    running.catch(() => {})
    const state = async (): Promise<string> => {
      const path = `/bigquery/v2/projects/sluice-sandbox/jobs/${connector.jobId(exchange.id)}`
      const answer = await fetch(warehouse.url + path)
      return ((await answer.json()) as { status?: { state: string } }).status?.state ?? 'absent'
    }
    await expect.poll(state).toBe('RUNNING')
    leave.abort(new DOMException('gone', 'AbortError'))
    await expect(running).rejects.toMatchObject({ code: 'client-gone' })
    await expect.poll(state).toBe('DONE')
  })

  it('passes on what the warehouse refuses', async () => {
    await expect(run('SELECT nope FROM shop.orders')).rejects.toMatchObject({ code: 'upstream-refused' })
    await expect(connector.attach(sqlStatement(), permitted({ id: randomUUID() }), within())).rejects.toMatchObject({
      code: 'not-found',
    })
  })

  it('says that it is ready', async () => {
    await connector.ready(within())
  })
})
