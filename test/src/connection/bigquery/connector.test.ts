import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createBigQueryClients } from '../../../../src/connection/bigquery/client.node.ts'
import type { BigQueryApi } from '../../../../src/connection/bigquery/client.ts'
import { createBigQueryConnector, type BigQueryOptions } from '../../../../src/connection/bigquery/connector.ts'
import type { Answer, Connector } from '../../../../src/connection/contract.ts'
import type { Failure } from '../../../../src/failure.ts'
import { fakeBigQuery, ID, JOB, permitted, refusal, type Asked, type Fake, type Said } from './fake.ts'
import { sqlStatement } from '../../../support/statement.ts'

const SCHEMA = { fields: [{ name: 'n', type: 'INTEGER', mode: 'NULLABLE' }] }
const RUNNING: Said = { body: { jobReference: { jobId: JOB, location: 'EU' }, status: { state: 'RUNNING' } } }
const DONE: Said = {
  body: {
    jobReference: { jobId: JOB, location: 'EU' },
    configuration: { query: { query: 'SELECT 1' } },
    status: { state: 'DONE' },
    statistics: {
      startTime: '1000',
      endTime: '1250',
      query: { totalBytesProcessed: '10', totalBytesBilled: '10485760', cacheHit: false, statementType: 'SELECT' },
    },
  },
}
/** A finished job of `SELECT 1` that says this of itself. */
const done = (query: object): Said => ({
  body: {
    jobReference: { jobId: JOB, location: 'EU' },
    configuration: { query: { query: 'SELECT 1' } },
    status: { state: 'DONE' },
    statistics: { query },
  },
})
const row = (n: number): object => ({ f: [{ v: String(n) }] })
const pageOf = (rows: object[], pageToken?: string, totalRows = String(rows.length)): Said => ({
  body: { schema: SCHEMA, totalRows, ...(pageToken && { pageToken }), rows, jobComplete: true, cacheHit: false },
})

let fake: Fake | undefined
afterEach(async () => {
  await fake?.close()
  fake = undefined
})

/** A connector over a fake that answers `routes`, by `METHOD /path`. */
async function over(
  routes: Record<string, Said | ((asked: Asked, before: number) => Said)>,
  options: Partial<BigQueryOptions> = {},
): Promise<Connector> {
  fake = await fakeBigQuery((asked, before) => {
    const route = routes[`${asked.method} ${asked.path}`] ?? refusal(404, 'notFound', 'Not found')
    return typeof route === 'function' ? route(asked, before) : route
  })
  const clients = createBigQueryClients({ project: 'p', apiEndpoint: fake.url, credentials: { type: 'none' } })
  return createBigQueryConnector(
    {
      name: 'warehouse',
      project: 'p',
      clock: { now: () => 0, monotonic: () => 0 },
      retry: { attempts: 3, baseMs: 1 },
      ...options,
    },
    clients,
  )
}

async function textOf(answer: Answer): Promise<string> {
  let text = ''
  for await (const batch of answer.batches) text += new TextDecoder().decode(batch.bytes)
  return text
}

const forever = (): AbortSignal => new AbortController().signal
const requests = (): string[] => fake!.asked.map(({ method, path }) => `${method} ${path}`)
const queries = `GET /queries/${JOB}`

describe('a statement that runs', () => {
  it('is one job under a fixed id, with labels, bounds and parameters as we encode them', async () => {
    const connector = await over(
      { 'POST /jobs': RUNNING, [queries]: pageOf([row(1)]), [`GET /jobs/${JOB}`]: DONE },
      { dataset: 'shop', location: 'EU', labels: { team: 'data', sluice_exchange: 'mine' } },
    )
    const asked = sqlStatement({
      text: "SELECT @n, '{{projectId}}'",
      parameters: [{ name: 'n', type: { kind: 'INT64' }, value: '9223372036854775807' }],
    })
    const answer = await connector.run(asked, permitted(), forever())
    expect(await textOf(answer)).toBe('["1"]\n')
    expect({ job: answer.job, columns: answer.columns, totalRows: answer.totalRows }).toEqual({
      job: JOB,
      columns: [{ name: 'n', type: { kind: 'INT64' } }],
      totalRows: 1,
    })
    expect(answer.statistics()).toEqual({
      bytesProcessed: 10,
      bytesBilled: 10_485_760,
      cacheHit: false,
      durationMs: 250,
    })
    expect(fake?.asked[0]?.body).toEqual({
      jobReference: { projectId: 'p', jobId: JOB, location: 'EU' },
      configuration: {
        jobTimeoutMs: '60000',
        labels: { team: 'data', sluice_exchange: ID, sluice_principal: expect.stringMatching(/^[0-9a-f]{16}$/) },
        query: {
          query: "SELECT @n, '{{projectId}}'",
          useLegacySql: false,
          maximumBytesBilled: '1000000000',
          defaultDataset: { projectId: 'p', datasetId: 'shop' },
          parameterMode: 'NAMED',
          queryParameters: [
            { name: 'n', parameterType: { type: 'INT64' }, parameterValue: { value: '9223372036854775807' } },
          ],
        },
      },
    })
    expect(fake?.asked[1]?.query).toMatchObject({
      location: 'EU',
      'formatOptions.useInt64Timestamp': 'true',
      prettyPrint: 'false',
      timeoutMs: '10000',
    })
  })

  it('is waited for by long polls, and its pages are sized by what their rows weigh', async () => {
    const rows = Array.from({ length: 10 }, (_, n) => row(n))
    const connector = await over(
      {
        'POST /jobs': RUNNING,
        [`GET /jobs/${JOB}`]: DONE,
        [queries]: ({ query }, before) => {
          if (before < 2) return { body: { jobReference: { jobId: JOB }, jobComplete: false } }
          const at = Number(query['pageToken'] ?? 0)
          const end = at + Number(query['maxResults'])
          return pageOf(rows.slice(at, end), end < 10 ? String(end) : undefined, '10')
        },
      },
      { paging: { firstRows: 2, pageBytes: 400, batchBytes: 1 } },
    )
    const answer = await connector.run(sqlStatement(), permitted(), forever())
    expect(await textOf(answer)).toBe(rows.map((_, n) => `["${n}"]\n`).join(''))
    const asked = fake!.asked.filter(({ path }) => path === `/queries/${JOB}`).map(({ query }) => query['maxResults'])
    expect(asked.slice(0, 3)).toEqual(['2', '2', '2'])
    expect(Number(asked[3])).toBeGreaterThan(2)
  })

  it('fetches one page ahead, and no further while nobody pulls', async () => {
    const connector = await over(
      {
        'POST /jobs': RUNNING,
        [`GET /jobs/${JOB}`]: DONE,
        [queries]: ({ query }) => pageOf([row(1)], String(Number(query['pageToken'] ?? 0) + 1), '1000'),
      },
      { paging: { firstRows: 1, maxPageRows: 1 } },
    )
    const answer = await connector.run(sqlStatement(), permitted(), forever())
    const batches = answer.batches[Symbol.asyncIterator]()
    for (let pulled = 0; pulled < 5; pulled++) await batches.next()
    await batches.return?.()
    const pages = fake!.asked.filter(({ path }) => path === `/queries/${JOB}`).length
    expect(pages).toBeGreaterThanOrEqual(5)
    expect(pages).toBeLessThanOrEqual(6)
  })

  it('does not fetch ahead what nobody may read', async () => {
    const connector = await over({
      'POST /jobs': RUNNING,
      [`GET /jobs/${JOB}`]: DONE,
      [queries]: ({ query }) =>
        pageOf(
          Array.from({ length: Number(query['maxResults']) }, (_, n) => row(n)),
          't',
          '99',
        ),
    })
    const asked = sqlStatement({ bounds: { maxRows: 3, timeoutMs: 1000, maxBytesBilled: 1 } })
    const answer = await connector.run(asked, permitted(), forever())
    const batches = answer.batches[Symbol.asyncIterator]()
    expect(await batches.next()).toMatchObject({ value: { rowCount: 4 } })
    await batches.return?.()
    expect(fake!.asked.filter(({ path }) => path === `/queries/${JOB}`).map((one) => one.query['maxResults'])).toEqual([
      '4',
    ])
  })

  it('that writes answers without columns or rows, and says how many rows it changed', async () => {
    const connector = await over({
      'POST /jobs': RUNNING,
      [queries]: { body: { schema: SCHEMA, jobComplete: true, numDmlAffectedRows: '3' } },
      [`GET /jobs/${JOB}`]: done({ statementType: 'UPDATE' }),
    })
    const answer = await connector.run(sqlStatement({ kind: 'UPDATE' }), permitted(), forever())
    expect(answer.columns).toEqual([])
    expect(await textOf(answer)).toBe('')
    expect(answer.statistics().rowsAffected).toBe(3)
  })

  it('whose rows are fewer than BigQuery said ends in a failure, not in silence', async () => {
    const connector = await over({
      'POST /jobs': RUNNING,
      [`GET /jobs/${JOB}`]: DONE,
      [queries]: pageOf([row(1)], undefined, '2'),
    })
    const answer = await connector.run(sqlStatement(), permitted(), forever())
    await expect(textOf(answer)).rejects.toMatchObject({ code: 'upstream-failed' })
  })
})

describe('a job that did something else than was decided', () => {
  const asked = sqlStatement({ output: [{ name: 'n', type: { kind: 'INT64' }, sources: [] }] })
  const decided = permitted({
    statement: sqlStatement({
      uses: [
        { action: 'read', resource: 'shop.orders' },
        { action: 'read', resource: 'shop.events_*' },
      ],
    }),
  })
  const table = (datasetId: string, tableId: string, projectId = 'p') => ({ projectId, datasetId, tableId })
  const running = (query: object, schema: object = SCHEMA) =>
    over({
      'POST /jobs': RUNNING,
      [queries]: { body: { schema, totalRows: '1', rows: [row(1)], jobComplete: true } },
      [`GET /jobs/${JOB}`]: done({ statementType: 'SELECT', ...query }),
      [`POST /jobs/${JOB}/cancel`]: { body: {} },
    })

  it.each([
    ['the tables that were', { referencedTables: [table('shop', 'orders'), table('shop', 'events_20260101')] }],
    ['fewer', { referencedTables: [] }],
    ['none, from the cache', { cacheHit: true, statementType: undefined }],
  ])('is not one that read %s', async (_, query) => {
    const connector = await running(query)
    expect(await textOf(await connector.run(asked, decided, forever()))).toBe('["1"]\n')
  })

  it.each([
    ['it read another table', { referencedTables: [table('shop', 'orders'), table('hr', 'salaries')] }],
    ['it read another table', { referencedTables: [table('shop', 'orders', 'other')] }],
    ['another kind of statement ran', { statementType: 'SCRIPT' }],
    ['another kind of statement ran', { statementType: undefined }],
  ])('gives no row: %s', async (what, query) => {
    const connector = await running(query)
    await expect(connector.run(asked, decided, forever())).rejects.toMatchObject({
      code: 'upstream-differs',
      message: `what ran is not what was decided: ${what}`,
    })
  })

  it.each([
    ['number of columns', { fields: [...SCHEMA.fields, ...SCHEMA.fields] }, undefined],
    ['number of columns', undefined, undefined],
    ['column', { fields: [{ name: 'n', type: 'STRING' }] }, 'column 1 (`n`)'],
    ['column', { fields: [{ name: 'm', type: 'INTEGER' }] }, 'column 1 (`n`)'],
    ['column', { fields: [{ name: 'n', type: 'INTEGER', mode: 'REPEATED' }] }, 'column 1 (`n`)'],
  ])('gives no row: its answer has another %s', async (what, schema, where) => {
    const connector = await running({}, schema ?? {})
    const failure: unknown = await connector.run(asked, decided, forever()).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'upstream-differs',
      message: `what ran is not what was decided: its answer has another ${what}`,
    })
    expect((failure as Failure).detail.where).toBe(where)
  })

  it('gives none to one who attaches, either', async () => {
    const connector = await over({
      [queries]: pageOf([row(1)]),
      [`GET /jobs/${JOB}`]: done({ statementType: 'SELECT', referencedTables: [table('hr', 'salaries')] }),
    })
    await expect(connector.attach(asked, decided, forever())).rejects.toMatchObject({ code: 'upstream-differs' })
  })

  it('is not told from one that says nothing of itself', async () => {
    const connector = await over({ 'POST /jobs': RUNNING, [queries]: pageOf([row(1)]) })
    await expect(connector.run(asked, decided, forever())).rejects.toMatchObject({ code: 'upstream-failed' })
  })
})

describe('a job that is sent twice', () => {
  it('runs once: a duplicate is the try before, which got through', async () => {
    const connector = await over({
      'POST /jobs': (_, before) => (before === 0 ? 'break' : refusal(409, 'duplicate', 'Already Exists: Job')),
      [`GET /jobs/${JOB}`]: DONE,
      [queries]: pageOf([row(1)]),
    })
    expect(await textOf(await connector.run(sqlStatement(), permitted(), forever()))).toBe('["1"]\n')
    expect(requests().slice(0, 3)).toEqual(['POST /jobs', 'POST /jobs', `GET /jobs/${JOB}`])
    const [first, second] = fake!.asked
    expect(second?.body).toEqual(first?.body)
  })

  it('is not joined when the job there runs something else', async () => {
    const connector = await over({
      'POST /jobs': refusal(409, 'duplicate', 'Already Exists: Job'),
      [`GET /jobs/${JOB}`]: DONE,
      [queries]: pageOf([row(1)]),
    })
    await expect(connector.run(sqlStatement({ text: 'SELECT 2' }), permitted(), forever())).rejects.toMatchObject({
      code: 'upstream-failed',
      message: 'another job has the id of this exchange',
    })
    expect(requests()).not.toContain(queries)
  })

  it('is read again by attaching, which runs nothing and cancels nothing', async () => {
    const connector = await over({ [`GET /jobs/${JOB}`]: DONE, [queries]: pageOf([row(1)]) })
    expect(await textOf(await connector.attach(sqlStatement(), permitted(), forever()))).toBe('["1"]\n')
    expect(requests().filter((one) => one.startsWith('POST'))).toEqual([])
  })

  it('is not attached to when it ran another text', async () => {
    const connector = await over({ [`GET /jobs/${JOB}`]: DONE, [queries]: pageOf([row(1)]) })
    const other = sqlStatement({ text: 'SELECT 2' })
    await expect(connector.attach(other, permitted(), forever())).rejects.toMatchObject({
      code: 'upstream-failed',
      message: 'another job has the id of this exchange',
    })
    expect(requests()).toEqual([`GET /jobs/${JOB}`])
  })

  it('cannot be attached to when it never was', async () => {
    const connector = await over({})
    await expect(connector.attach(sqlStatement(), permitted(), forever())).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('a client that leaves', () => {
  it.each([
    ['the client', new DOMException('gone', 'AbortError'), 'client-gone'],
    ['the deadline', new DOMException('late', 'TimeoutError'), 'upstream-late'],
  ])('by %s cancels the job', async (_, reason, code) => {
    const leave = new AbortController()
    const connector = await over({
      'POST /jobs': RUNNING,
      [queries]: () => {
        setImmediate(() => leave.abort(reason))
        return 'hang'
      },
      [`POST /jobs/${JOB}/cancel`]: { body: {} },
    })
    await expect(connector.run(sqlStatement(), permitted(), leave.signal)).rejects.toMatchObject({ code })
    expect(requests().at(-1)).toBe(`POST /jobs/${JOB}/cancel`)
    expect(fake?.asked.at(-1)?.query['location']).toBe('EU')
  })

  it('while the job is being sent has it cancelled once it is there', async () => {
    const leave = new AbortController()
    const connector = await over({
      'POST /jobs': () => {
        leave.abort(new DOMException('gone', 'AbortError'))
        return RUNNING
      },
      [`POST /jobs/${JOB}/cancel`]: { body: {} },
    })
    await expect(connector.run(sqlStatement(), permitted(), leave.signal)).rejects.toMatchObject({
      code: 'client-gone',
    })
    expect(requests()).toEqual(['POST /jobs', `POST /jobs/${JOB}/cancel`])
  })
})

describe('what BigQuery refuses', () => {
  const words = 'Bad int64 value: 078-05-1120 at [1:8]'
  it.each([
    [
      'invalidQuery',
      400,
      { code: 'upstream-refused', message: `the warehouse refused the statement (\`invalidQuery\`): ${words}` },
    ],
    [
      'accessDenied',
      403,
      { code: 'upstream-refused', message: `the warehouse refused the statement (\`accessDenied\`): ${words}` },
    ],
    [
      'notFound',
      404,
      { code: 'upstream-refused', message: `the warehouse refused the statement (\`notFound\`): ${words}` },
    ],
    [
      'bytesBilledLimitExceeded',
      400,
      { code: 'upstream-refused', message: 'the statement would bill more bytes than it may' },
    ],
    ['stopped', 499, { code: 'upstream-failed', message: 'the job was cancelled upstream' }],
    ['timeout', 400, { code: 'upstream-late', message: 'the warehouse gave up on the statement' }],
    ['quotaExceeded', 403, { code: 'upstream-failed', message: 'the warehouse is asked too much' }],
    ['authError', 401, { code: 'upstream-failed', message: 'the warehouse failed' }],
  ] as const)('for %s (%i)', async (reason, status, failure) => {
    const connector = await over({
      'POST /jobs': RUNNING,
      [queries]: refusal(status, reason, words),
      [`POST /jobs/${JOB}/cancel`]: { body: {} },
    })
    await expect(connector.run(sqlStatement(), permitted(), forever())).rejects.toMatchObject(failure)
    expect(requests()).not.toContain(`POST /jobs/${JOB}/cancel`)
  })

  it('is told without its words where a masked table is read', async () => {
    const connector = await over({
      'POST /jobs': RUNNING,
      [queries]: refusal(400, 'invalidQuery', words),
      [`POST /jobs/${JOB}/cancel`]: { body: {} },
    })
    const masked = sqlStatement({ masks: [{ resource: 'shop.customers', column: 'ssn', strategy: 'redact' }] })
    const error = (await connector.run(masked, permitted(), forever()).catch((thrown: unknown) => thrown)) as Error
    expect(error).toMatchObject({
      code: 'upstream-refused',
      message: 'the warehouse refused the statement (`invalidQuery`)',
      detail: { where: 'line 1, column 8' },
    })
    expect(`${error.message} ${(error.cause as Error).message} ${(error.cause as Error).stack}`).not.toContain('078')
  })

  it.each([
    ['Unrecognized name: emial; Did you mean email? at [1:8]', true],
    ['No matching signature for operator = for argument types: INT64, STRING at [1:20]', true],
    ['Not found: Table p:shop.v was not found in location EU', true],
    ['Access Denied: Table p:hr.salaries: User does not have permission to query table p:hr.salaries', false],
    ['Access Denied: User gateway@p.iam.gserviceaccount.com does not have bigquery.jobs.create in project p', false],
    ['View `p.shop.v` is invalid: unrecognized name iban in `hr.salaries` at [3:9]', false],
  ])('is told where it names nothing that the statement does not: %s', async (words, isTold) => {
    const connector = await over({ 'POST /jobs': refusal(400, 'invalidQuery', words) })
    const asked = sqlStatement({ text: 'SELECT emial FROM shop.v WHERE id = 1.5' })
    const estimate = connector.estimate(asked, permitted().principal, forever())
    const failure = (await estimate.catch((error: unknown) => error)) as Failure
    expect(failure.code).toBe('upstream-refused')
    expect(failure.message.includes(words)).toBe(isTold)
    expect(failure.detail.fix === undefined).toBe(isTold)
    expect(failure.message).toContain('the warehouse refused the statement (`invalidQuery`)')
  })

  it('is tried again a few times where it passes, and then failed', async () => {
    const connector = await over({
      'POST /jobs': refusal(503, 'backendError', 'Try again'),
      [`POST /jobs/${JOB}/cancel`]: refusal(404, 'notFound', 'Not found'),
    })
    await expect(connector.run(sqlStatement(), permitted(), forever())).rejects.toMatchObject({
      code: 'upstream-failed',
    })
    expect(requests()).toEqual(['POST /jobs', 'POST /jobs', 'POST /jobs', `POST /jobs/${JOB}/cancel`])
  })

  it('is not waited for without end: a silent upstream is given up, and the job cancelled', async () => {
    fake = await fakeBigQuery(({ path }) => (path.endsWith('/cancel') ? { body: {} } : 'hang'))
    const clients = createBigQueryClients({
      project: 'p',
      apiEndpoint: fake.url,
      credentials: { type: 'none' },
      controlMs: 20,
    })
    const clock = { now: () => 0, monotonic: () => 0 }
    const retry = { attempts: 2, baseMs: 1 }
    const connector = createBigQueryConnector({ name: 'warehouse', project: 'p', clock, retry }, clients)
    await expect(connector.run(sqlStatement(), permitted(), forever())).rejects.toMatchObject({
      code: 'upstream-failed',
    })
    expect(requests()).toEqual(['POST /jobs', 'POST /jobs', `POST /jobs/${JOB}/cancel`])
  })

  it('fails when nobody listens', async () => {
    const connector = await over({})
    await fake!.close()
    await expect(connector.estimate(sqlStatement(), permitted().principal, forever())).rejects.toMatchObject({
      code: 'upstream-failed',
    })
    await expect(connector.ready(forever())).rejects.toMatchObject({ code: 'upstream-failed' })
  })
})

describe('an estimate', () => {
  it('is a dry run without the cache', async () => {
    const connector = await over({
      'POST /jobs': {
        body: {
          jobReference: {},
          status: { state: 'DONE' },
          statistics: {
            query: {
              statementType: 'SELECT',
              totalBytesProcessed: '123',
              schema: SCHEMA,
              referencedTables: [
                { projectId: 'p', datasetId: 'shop', tableId: 'orders' },
                { projectId: 'q', datasetId: 'd', tableId: 't' },
              ],
            },
          },
        },
      },
    })
    expect(await connector.estimate(sqlStatement(), permitted().principal, forever())).toEqual({
      bytes: 123,
      kind: 'SELECT',
      tables: ['q.d.t', 'shop.orders'],
      output: [{ name: 'n', type: { kind: 'INT64' } }],
    })
    expect(fake?.asked[0]?.body?.['configuration']).toMatchObject({ dryRun: true, query: { useQueryCache: false } })
  })

  it('fails when it does not say what the statement is', async () => {
    const connector = await over({
      'POST /jobs': { body: { jobReference: {}, status: { state: 'DONE' }, statistics: { query: {} } } },
    })
    await expect(connector.estimate(sqlStatement(), permitted().principal, forever())).rejects.toMatchObject({
      code: 'upstream-failed',
    })
  })
})

describe('metadata', () => {
  const path = { project: 'p', dataset: 'shop', table: 'orders' }
  const at = 'GET /datasets/shop/tables/orders'
  const base = { etag: 'e1', tableReference: { projectId: 'p', datasetId: 'shop', tableId: 'orders' } }

  it('of a table has its columns, size and partitioning', async () => {
    const connector = await over({
      [at]: {
        body: {
          ...base,
          type: 'TABLE',
          numRows: '5',
          numBytes: '50',
          timePartitioning: { type: 'DAY' },
          schema: {
            fields: [
              { name: 'id', type: 'INTEGER', mode: 'REQUIRED', description: 'the id' },
              { name: 'items', type: 'RECORD', mode: 'REPEATED', fields: [{ name: 'sku', type: 'STRING' }] },
              { name: 'valid', type: 'RANGE', rangeElementType: { type: 'DATE' } },
            ],
          },
        },
      },
    })
    expect(await connector.metadata.table(path, forever())).toEqual({
      path,
      resource: 'shop.orders',
      kind: 'TABLE',
      columns: [
        { name: 'id', type: { kind: 'INT64' }, nullable: false, description: 'the id' },
        {
          name: 'items',
          type: { kind: 'ARRAY', of: { kind: 'STRUCT', fields: [{ name: 'sku', type: { kind: 'STRING' } }] } },
          nullable: false,
        },
        { name: 'valid', type: { kind: 'RANGE', of: { kind: 'DATE' } }, nullable: true },
      ],
      version: 'e1',
      rowCount: 5,
      byteCount: 50,
      partitionedBy: '_PARTITIONTIME',
    })
  })

  it.each([
    [
      { type: 'VIEW', view: { query: 'SELECT 1', useLegacySql: false } },
      { kind: 'VIEW', definition: 'SELECT 1' },
    ],
    [{ type: 'VIEW', view: { query: 'SELECT 1 FROM [p:d.t]', useLegacySql: true } }, { kind: 'OTHER' }],
    [{ type: 'VIEW', view: { query: 'SELECT 1' } }, { kind: 'OTHER' }],
    [
      { type: 'MATERIALIZED_VIEW', materializedView: { query: 'SELECT 2' } },
      { kind: 'MATERIALIZED_VIEW', definition: 'SELECT 2' },
    ],
    [{ type: 'TABLE', cloneDefinition: {} }, { kind: 'CLONE' }],
    [{ type: 'SNAPSHOT' }, { kind: 'SNAPSHOT' }],
    [{ type: 'MODEL' }, { kind: 'OTHER' }],
  ])('of %j is %j', async (resource, table) => {
    const connector = await over({ [at]: { body: { ...base, ...resource } } })
    expect(await connector.metadata.table(path, forever())).toEqual({
      path,
      resource: 'shop.orders',
      columns: [],
      version: 'e1',
      ...table,
    })
  })

  it('has the policy tags of columns and of fields within them', async () => {
    const tags = (...names: number[]) => ({
      names: names.map((n) => `projects/p/locations/eu/taxonomies/1/policyTags/${n}`),
    })
    const fields = [
      { name: 'id', type: 'INTEGER', policyTags: { names: [] } },
      { name: 'email', type: 'STRING', policyTags: tags(3, 2) },
      {
        name: 'contacts',
        type: 'RECORD',
        mode: 'REPEATED',
        fields: [
          { name: 'kind', type: 'STRING' },
          { name: 'home', type: 'RECORD', fields: [{ name: 'street', type: 'STRING', policyTags: tags(2) }] },
        ],
      },
    ]
    const connector = await over({ [at]: { body: { ...base, type: 'TABLE', schema: { fields } } } })
    const table = await connector.metadata.table(path, forever())
    expect(table?.columns.map(({ name, tags, fieldTags }) => ({ name, tags, fieldTags }))).toEqual([
      { name: 'id' },
      {
        name: 'email',
        tags: [
          'projects/p/locations/eu/taxonomies/1/policyTags/2',
          'projects/p/locations/eu/taxonomies/1/policyTags/3',
        ],
      },
      { name: 'contacts', fieldTags: { 'home.street': ['projects/p/locations/eu/taxonomies/1/policyTags/2'] } },
    ])
  })

  it('of what is not there is nothing, and of what cannot be asked a failure', async () => {
    const connector = await over({})
    expect(await connector.metadata.table(path, forever())).toBeUndefined()
    await fake!.close()
    await expect(connector.metadata.table(path, forever())).rejects.toMatchObject({ code: 'upstream-failed' })
  })

  it('lists every page of datasets and tables', async () => {
    const connector = await over({
      'GET /datasets': ({ query }) => ({
        body: query['pageToken']
          ? { datasets: [{ datasetReference: { datasetId: 'b' } }] }
          : { datasets: [{ datasetReference: { datasetId: 'a' } }], nextPageToken: 'x' },
      }),
      'GET /datasets/a/tables': { body: { tables: [{ tableReference: { tableId: 't' } }] } },
    })
    expect(await connector.metadata.datasets(forever())).toEqual(['a', 'b'])
    expect(await connector.metadata.tables('a', forever())).toEqual([{ project: 'p', dataset: 'a', table: 't' }])
  })
})

describe('credentials', () => {
  it('`none` are refused for an endpoint that is not loopback', () => {
    for (const apiEndpoint of ['https://bigquery.googleapis.com', 'http://127.evil.example', undefined]) {
      const options = { project: 'p', credentials: { type: 'none' } as const }
      expect(() => createBigQueryClients(apiEndpoint ? { ...options, apiEndpoint } : options)).toThrow('loopback')
    }
  })

  it('by impersonation never fall back to the shared account', () => {
    const clients = createBigQueryClients({
      project: 'p',
      credentials: { type: 'impersonate', accounts: { analysts: 'a@p.iam.gserviceaccount.com' } },
    })
    expect(() => clients.as(permitted().principal)).toThrow(expect.objectContaining({ code: 'upstream-refused' }))
    const analyst = { ...permitted().principal, groups: ['other', 'analysts'] }
    expect(clients.as(analyst)).toBe(clients.as(analyst))
    expect(clients.as(analyst)).not.toBe(clients.own)
  })

  it('of each principal are the token of its own service account, and schemas are read with the gateway’s own', async () => {
    const account = (name: string): string => `/v1/projects/-/serviceAccounts/${name}@p.iam:generateAccessToken`
    const lent = (accessToken: string): Said => ({
      body: { accessToken, expireTime: new Date(Date.now() + 3_600_000).toISOString() },
    })
    fake = await fakeBigQuery(({ path }) => {
      if (path === '/token') return { body: { access_token: 'own', token_type: 'Bearer', expires_in: 3600 } }
      if (decodeURIComponent(path) === account('a')) return lent('of-a')
      if (decodeURIComponent(path) === account('b')) return lent('of-b')
      return { body: { datasets: [] } }
    })
    const folder = mkdtempSync(join(tmpdir(), 'sluice-credentials-'))
    writeFileSync(join(folder, 'subject'), 'subject-token')
    const keyFile = join(folder, 'key.json')
    const key = {
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${fake.url}/token`,
      credential_source: { file: join(folder, 'subject') },
    }
    writeFileSync(keyFile, JSON.stringify(key))
    const clients = createBigQueryClients({
      project: 'p',
      apiEndpoint: fake.url,
      iamEndpoint: fake.url,
      credentials: { type: 'impersonate', keyFile, accounts: { as: 'a@p.iam', bs: 'b@p.iam' } },
    })
    const { principal } = permitted()
    const read = async (api: BigQueryApi): Promise<string | undefined> => {
      await api.get(['projects', 'p', 'datasets'], {}, 1000, forever())
      return fake?.asked.at(-1)?.authorization
    }
    expect(await read(clients.as({ ...principal, groups: ['as'] }))).toBe('Bearer of-a')
    expect(await read(clients.as({ ...principal, groups: ['bs'] }))).toBe('Bearer of-b')
    expect(await read(clients.as({ ...principal, groups: ['as'] }))).toBe('Bearer of-a')
    expect(await read(clients.own)).toBe('Bearer own')
    expect(fake.asked.filter(({ path }) => path.startsWith('/v1/'))).toHaveLength(2)
    rmSync(folder, { recursive: true })
  })
})
