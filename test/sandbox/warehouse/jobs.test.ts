import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPart } from '../../../sandbox/parts.ts'
import { connect, startWarehouse, type Warehouse } from './support.ts'

let warehouse: Warehouse
beforeAll(async () => {
  warehouse = await startWarehouse()
})
afterAll(() => warehouse.stop())

interface Answer {
  status: number
  body: {
    jobComplete?: boolean
    totalRows?: string
    pageToken?: string
    rows?: { f: { v: unknown }[] }[]
    error?: { code: number; message: string; errors: { reason: string; message: string }[] }
    status?: { state: string; errorResult?: { reason: string; message: string } }
    statistics?: { query: Record<string, unknown> }
    jobReference?: { jobId: string }
  }
}

async function call(path: string, body?: unknown): Promise<Answer> {
  const init =
    body === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const response = await fetch(`${warehouse.part.url}/bigquery/v2/projects/sluice-sandbox${path}`, init)
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

function insert(
  query: string,
  id: string = randomUUID(),
  labels: Record<string, string> = {},
  more: object = {},
): Promise<Answer> {
  return call('/jobs', {
    configuration: { query: { query, useLegacySql: false, ...more }, labels },
    jobReference: { projectId: 'sluice-sandbox', jobId: id },
  })
}

describe('a job', () => {
  test('is kept under the id that its client chose, and a second one of that id is a duplicate', async () => {
    const id = `chosen-${randomUUID()}`
    expect((await insert('SELECT 7 AS x', id)).body.jobReference).toEqual({
      projectId: 'sluice-sandbox',
      jobId: id,
      location: 'US',
    })
    const again = await insert('SELECT 8 AS x', id)
    expect([again.status, again.body.error?.errors[0]?.reason]).toEqual([409, 'duplicate'])
    for (let reading = 0; reading < 2; reading++) {
      expect((await call(`/queries/${id}`)).body.rows).toEqual([{ f: [{ v: '7' }] }])
    }
  })

  test('says what it read, what it is billed and what it was labelled', async () => {
    const [job] = await warehouse.client.createQueryJob({
      query: 'SELECT id FROM shop.customer_directory',
      labels: { who: 'agent' },
    })
    await job.getQueryResults()
    const [metadata] = await job.getMetadata()
    expect(metadata.configuration.labels).toEqual({ who: 'agent' })
    expect(metadata.status).toEqual({ state: 'DONE' })
    expect(metadata.statistics.query).toMatchObject({
      statementType: 'SELECT',
      cacheHit: false,
      totalBytesBilled: '10485760',
      referencedTables: [{ projectId: 'sluice-sandbox', datasetId: 'shop', tableId: 'customers' }],
    })
  })

  test('of temporary functions and one query behind them is that query, and no script', async () => {
    const [job] = await warehouse.client.createQueryJob({
      query: 'CREATE TEMP FUNCTION one() AS (1); SELECT one() AS x',
      dryRun: true,
    })
    const { statistics } = job.metadata as { statistics: { query: { statementType: string; schema: unknown } } }
    expect([statistics.query.statementType, statistics.query.schema]).toEqual([
      'SELECT',
      { fields: [{ name: 'x', type: 'INTEGER', mode: 'NULLABLE' }] },
    ])
  })

  test('with a delay is unfinished until then, and cancelling ends it at once', async () => {
    const id = randomUUID()
    expect((await insert('SELECT 1', id, { sandbox_delay_ms: '600000' })).body.status).toEqual({ state: 'RUNNING' })
    expect(await call(`/queries/${id}?timeoutMs=1`)).toMatchObject({ status: 200, body: { jobComplete: false } })
    await call(`/jobs/${id}/cancel`, {})
    expect((await call(`/queries/${id}`)).body.error?.errors[0]?.reason).toBe('stopped')
    expect((await call(`/jobs/${id}`)).body.status).toMatchObject({ state: 'DONE', errorResult: { reason: 'stopped' } })
  })

  test('that computes is interrupted by cancelling', async () => {
    const id = randomUUID()
    await insert('SELECT SUM(a.id * b.id) FROM shop.metrics a, shop.metrics b WHERE MOD(a.id + b.id, 7) = 1', id)
    expect((await call(`/queries/${id}?timeoutMs=50`)).body.jobComplete).toBe(false)
    const began = Date.now()
    await call(`/jobs/${id}/cancel`, {})
    expect((await call(`/queries/${id}`)).body.error?.errors[0]?.reason).toBe('stopped')
    expect(Date.now() - began).toBeLessThan(5000)
  })

  test('fails with the reason that it was asked for', async () => {
    const id = randomUUID()
    await insert('SELECT 1', id, { sandbox_fail: 'accessdenied' })
    const answer = await call(`/queries/${id}`)
    expect([answer.status, answer.body.error?.errors[0]?.reason]).toEqual([403, 'accessDenied'])
  })

  test('beyond its limit of bytes fails without running', async () => {
    const id = randomUUID()
    await insert('DELETE FROM shop.leads WHERE TRUE', id, {}, { maximumBytesBilled: '1' })
    expect((await call(`/queries/${id}`)).body.error?.errors[0]?.reason).toBe('bytesBilledLimitExceeded')
    expect(await warehouse.value('SELECT COUNT(*) FROM shop.leads')).toBe('500')
  })

  test('dry, runs nothing and says type, schema, base tables and bytes', async () => {
    const [job] = await warehouse.client.createQueryJob({
      query: 'SELECT d.email, o.amount FROM shop.customer_directory d JOIN shop.orders o ON o.customer_id = d.id',
      dryRun: true,
    })
    const { query } = job.metadata.statistics
    expect(query.statementType).toBe('SELECT')
    expect(query.schema.fields).toEqual([
      { name: 'email', type: 'STRING', mode: 'NULLABLE' },
      { name: 'amount', type: 'NUMERIC', mode: 'NULLABLE' },
    ])
    expect(query.referencedTables.map((table: { tableId: string }) => table.tableId)).toEqual(['customers', 'orders'])
    expect(Number(query.totalBytesProcessed)).toBeGreaterThan(100_000)
    await warehouse.client.createQueryJob({ query: 'DROP TABLE shop.leads', dryRun: true })
    expect(await warehouse.value('SELECT COUNT(*) FROM shop.leads')).toBe('500')
  })

  test('refuses what it would otherwise have to drop silently', async () => {
    for (const more of [
      { destinationTable: { datasetId: 'shop', tableId: 'x' } },
      { useLegacySql: true },
      { tableDefinitions: { t: {} } },
    ]) {
      expect((await insert('SELECT 1', randomUUID(), {}, more)).status).toBe(400)
    }
  })
})

describe('results', () => {
  test('come in pages of the size asked for, from where was asked', async () => {
    const id = randomUUID()
    await insert('SELECT x FROM UNNEST(GENERATE_ARRAY(1, 10000)) AS x', id)
    const first = await call(`/queries/${id}?maxResults=3`)
    expect([first.body.totalRows, first.body.rows?.map((row) => row.f[0]?.v)]).toEqual(['10000', ['1', '2', '3']])
    expect((await call(`/queries/${id}?maxResults=1&pageToken=${first.body.pageToken}`)).body.rows?.[0]?.f[0]?.v).toBe(
      '4',
    )
    const last = await call(`/queries/${id}?startIndex=9998`)
    expect([last.body.rows?.map((row) => row.f[0]?.v), last.body.pageToken]).toEqual([['9999', '10000'], undefined])
    expect((await call(`/queries/${id}?maxResults=0`)).body).toMatchObject({ totalRows: '10000', jobComplete: true })
  })

  test('of a million rows keep their order and stay below 10 MB a page', async () => {
    const [job] = await warehouse.client.createQueryJob({ query: 'SELECT * FROM shop.metrics ORDER BY id' })
    let token = ''
    let rows = 0
    do {
      const response = await fetch(
        `${warehouse.part.url}/projects/sluice-sandbox/queries/${job.id}?maxResults=60000&formatOptions.useInt64Timestamp=true&pageToken=${token}`,
      )
      const text = await response.text()
      expect(text.length).toBeLessThan(11 * 1024 * 1024)
      const body = JSON.parse(text) as NonNullable<Answer['body']>
      expect(body.rows?.[0]?.f[0]?.v).toBe(String(rows + 1))
      rows += body.rows?.length ?? 0
      expect(body.rows?.at(-1)?.f[0]?.v).toBe(String(rows))
      token = body.pageToken ?? ''
    } while (token !== '')
    expect(rows).toBe(1_000_000)
  })

  test('show timestamps as the reader asks', async () => {
    const id = randomUUID()
    await insert(`SELECT TIMESTAMP '2026-01-01 00:00:00.5+00' AS t, [TIMESTAMP '1970-01-01 00:00:00+00'] AS a`, id)
    expect((await call(`/queries/${id}`)).body.rows).toEqual([{ f: [{ v: '1767225600.5' }, { v: [{ v: '0.0' }] }] }])
    expect((await call(`/queries/${id}?formatOptions.useInt64Timestamp=true`)).body.rows).toEqual([
      { f: [{ v: '1767225600500000' }, { v: [{ v: '0' }] }] },
    ])
  })

  test('reach the official client as its own types', async () => {
    const [rows] = await warehouse.client.query({
      query: 'SELECT id, tags, address FROM shop.customers WHERE id = @id',
      params: { id: 2 },
    })
    expect(rows).toEqual([
      { id: 2, tags: ['new', 'vip'], address: { street: '63 Rosa Street', city: 'Cork', zip: '02474' } },
    ])
  })
})

describe('metadata', () => {
  test('lists datasets and tables, and describes a table and a view', async () => {
    const [datasets] = await warehouse.client.getDatasets()
    expect(datasets.map((dataset) => dataset.id)).toEqual(['hr', 'shop'])
    const [orders] = await warehouse.client.dataset('shop').table('orders').getMetadata()
    expect([orders.numRows, orders.type, orders.schema.fields.at(-1)]).toEqual([
      '6000',
      'TABLE',
      {
        name: 'items',
        type: 'RECORD',
        mode: 'REPEATED',
        fields: [
          { name: 'sku', type: 'STRING', mode: 'NULLABLE' },
          { name: 'quantity', type: 'INTEGER', mode: 'NULLABLE' },
          { name: 'price', type: 'NUMERIC', mode: 'NULLABLE' },
        ],
      },
    ])
    const [view] = await warehouse.client.dataset('shop').table('customer_directory').getMetadata()
    expect([view.type, view.view]).toEqual([
      'VIEW',
      {
        query: 'SELECT id, name, email, address.city AS city FROM `sluice-sandbox.shop.customers`',
        useLegacySql: false,
      },
    ])
    await expect(warehouse.client.dataset('shop').table('nope').getMetadata()).rejects.toMatchObject({ code: 404 })
    await expect(warehouse.client.dataset('nope').getMetadata()).rejects.toMatchObject({ code: 404 })
  })
})

describe('writes', () => {
  async function affected(query: string): Promise<unknown> {
    const [job] = await warehouse.client.createQueryJob({ query })
    await job.getQueryResults()
    const [metadata] = await job.getMetadata()
    return [
      metadata.statistics.query.statementType,
      metadata.statistics.query.numDmlAffectedRows ?? metadata.statistics.query.ddlOperationPerformed,
    ]
  }

  test('say how many rows they changed', async () => {
    expect(
      await affected('CREATE TABLE shop.notes (id INT64 NOT NULL, text STRING, place STRUCT<x INT64, y INT64>)'),
    ).toEqual(['CREATE_TABLE', 'CREATE'])
    expect(
      await affected(
        `INSERT INTO shop.notes (id, text, place) VALUES (1, 'a', STRUCT(1 AS x, 2 AS y)), (2, 'b', NULL), (3, 'c', NULL)`,
      ),
    ).toEqual(['INSERT', '3'])
    expect(await affected(`UPDATE shop.notes SET text = UPPER(text), place.x = 9 WHERE id = 1`)).toEqual([
      'UPDATE',
      '1',
    ])
    expect(
      await affected(`UPDATE shop.notes n SET text = s.t FROM (SELECT 2 AS id, 'from' AS t) s WHERE n.id = s.id`),
    ).toEqual(['UPDATE', '1'])
    expect(await affected('DELETE FROM shop.notes WHERE id = 3')).toEqual(['DELETE', '1'])
    expect(
      await affected(`MERGE shop.notes t USING (SELECT 1 AS id, 'm' AS text UNION ALL SELECT 4, 'n') s ON t.id = s.id
        WHEN MATCHED THEN UPDATE SET text = s.text WHEN NOT MATCHED THEN INSERT (id, text) VALUES (s.id, s.text)`),
    ).toEqual(['MERGE', '2'])
    expect(await warehouse.rows('SELECT * FROM shop.notes ORDER BY id')).toEqual([
      ['1', 'm', { x: '9', y: '2' }],
      ['2', 'from', null],
      ['4', 'n', null],
    ])
    expect(await affected('CREATE OR REPLACE TABLE shop.notes AS SELECT 5 AS id')).toEqual([
      'CREATE_TABLE_AS_SELECT',
      'REPLACE',
    ])
    expect(await affected('TRUNCATE TABLE shop.notes')).toEqual(['TRUNCATE_TABLE', '1'])
    expect(await affected('CREATE VIEW shop.seen AS SELECT id FROM shop.notes')).toEqual(['CREATE_VIEW', 'CREATE'])
    expect(await affected('DROP VIEW shop.seen')).toEqual(['DROP_VIEW', 'DROP'])
    expect(await affected('DROP TABLE shop.notes')).toEqual(['DROP_TABLE', 'DROP'])
    expect(await affected('DROP TABLE IF EXISTS shop.notes')).toEqual(['DROP_TABLE', 'SKIP'])
  })

  test('survive kill -9', async () => {
    const first = await startWarehouse()
    await first.rows('CREATE TABLE shop.kept AS SELECT 1 AS id')
    await first.rows('INSERT INTO shop.kept VALUES (2)')
    await first.rows('CREATE VIEW shop.kept_view AS SELECT id FROM `sluice-sandbox.shop.kept`')
    await first.part.stop('SIGKILL')
    const part = await startPart('warehouse', { port: 0, data: first.data })
    const [rows] = await connect(part.url).query('SELECT id FROM shop.kept_view ORDER BY id')
    expect(rows).toEqual([{ id: 1 }, { id: 2 }])
    await part.stop()
    await first.stop()
  })
})
