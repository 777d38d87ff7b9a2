/** BigQuery's REST v2 over the jobs: routes, bodies and errors, as the official clients expect them. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { randomUUID } from 'node:crypto'
import type { Engine } from './engine.ts'
import { invalidQuery, notFound, unsupported, WarehouseError } from './errors.ts'
import { billed, type Job, type Jobs, type QueryRequest } from './jobs.ts'
import { PROJECT, type Relation } from './sql/catalog.ts'
import type { Parameters } from './sql/translate.ts'
import {
  fieldOf,
  floatTimestamps,
  hasTimestamp,
  parameterSql,
  scalarText,
  type Cell,
  type ParameterType,
} from './types.ts'

const MAX_BODY = 12 * 1024 * 1024
const DEFAULT_WAIT_MS = 10_000
const MAX_WAIT_MS = 200_000
const LOCATION = 'US'
const STARTED = Date.now()

type Json = Record<string, unknown>

interface Call {
  readonly engine: Engine
  readonly jobs: Jobs
  readonly query: URLSearchParams
  readonly body: Json
  /** Retried `jobs.query` calls, by their `requestId`. */
  readonly requests: Map<string, string>
  readonly gone: AbortSignal
}

type Handler = (call: Call, ...parts: string[]) => Promise<Json | Buffer[]> | Json

const ROUTES: readonly (readonly [string, RegExp, Handler])[] = [
  ['POST', /^\/jobs$/, insertJob],
  ['GET', /^\/jobs$/, listJobs],
  ['GET', /^\/jobs\/([^/]+)$/, ({ jobs }, id = '') => jobResource(jobs.get(id))],
  ['POST', /^\/jobs\/([^/]+)\/cancel$/, cancelJob],
  ['POST', /^\/queries$/, query],
  ['GET', /^\/queries\/([^/]+)$/, async (call, id = '') => results(call, call.jobs.get(id), call.query)],
  ['GET', /^\/datasets$/, listDatasets],
  ['GET', /^\/datasets\/([^/]+)$/, getDataset],
  ['GET', /^\/datasets\/([^/]+)\/tables$/, listTables],
  ['GET', /^\/datasets\/([^/]+)\/tables\/([^/]+)$/, getTable],
]

/** The listener of `main.ts`. Any credential or none is accepted: it is a sandbox on the loopback interface. */
export function api(engine: Engine, jobs: Jobs): RequestListener {
  const requests = new Map<string, string>()
  return (request, response) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    answer(engine, jobs, requests, request, gone.signal).then(
      (body) => send(response, 200, body),
      (error: unknown) => {
        const known =
          error instanceof WarehouseError
            ? error
            : new WarehouseError(500, 'internalError', 'An internal error occurred')
        if (known !== error)
          process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : 'unknown error'}\n`)
        send(response, known.status, errorBody(known))
      },
    )
  }
}

async function answer(
  engine: Engine,
  jobs: Jobs,
  requests: Map<string, string>,
  request: IncomingMessage,
  gone: AbortSignal,
): Promise<Json | Buffer[]> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1')
  const path = /^(?:\/bigquery\/v2)?\/projects\/([^/]+)(\/.*)$/.exec(url.pathname)
  if (!path) throw new WarehouseError(404, 'notFound', 'Not found')
  if (decodeURIComponent(path[1] ?? '') !== PROJECT) {
    throw new WarehouseError(
      403,
      'accessDenied',
      `Access Denied: Project ${path[1]}: User does not have permission in project ${path[1]}`,
    )
  }
  for (const [method, pattern, handler] of ROUTES) {
    const found = method === request.method ? pattern.exec(path[2] ?? '') : null
    if (!found) continue
    const body = method === 'POST' ? await readBody(request) : {}
    return handler(
      { engine, jobs, requests, gone, body, query: url.searchParams },
      ...found.slice(1).map(decodeURIComponent),
    )
  }
  throw new WarehouseError(501, 'notImplemented', `${request.method} ${path[2]} is not supported in the sandbox`)
}

async function readBody(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) throw new WarehouseError(413, 'uploadTooLarge', 'Request body too large')
    chunks.push(chunk)
  }
  if (size === 0) return {}
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
    if (isObject(body)) return body
  } catch {
    // Answered below.
  }
  throw new WarehouseError(400, 'parseError', 'Invalid JSON payload received')
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function send(response: ServerResponse, status: number, body: Json | Buffer[]): void {
  const parts = Array.isArray(body) ? body : [Buffer.from(JSON.stringify(body))]
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8', 'content-length': length })
  for (const part of parts) response.write(part)
  response.end()
}

function errorBody(error: WarehouseError): Json {
  return {
    error: {
      code: error.status,
      message: error.message,
      errors: [errorProto(error)],
      status: RPC[error.status] ?? 'INVALID_ARGUMENT',
    },
  }
}

const RPC: Record<number, string> = {
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
}

function errorProto(error: WarehouseError): Json {
  return {
    message: error.message,
    domain: 'global',
    reason: error.reason,
    ...(error.location === undefined ? {} : { location: error.location, locationType: 'other' }),
  }
}

// Jobs.

/** Fields that would make a query something else than a read of its text; none is silently dropped. */
const REFUSED = [
  'destinationTable',
  'tableDefinitions',
  'userDefinedFunctionResources',
  'createSession',
  'continuous',
  'schemaUpdateOptions',
  'timePartitioning',
  'rangePartitioning',
  'clustering',
  'destinationEncryptionConfiguration',
  'scriptOptions',
  'connectionProperties',
  'writeIncrementalResults',
]

function queryRequest(id: string, given: Json, labels: unknown, dryRun: unknown): QueryRequest {
  const text = given.query
  if (typeof text !== 'string' || text.trim() === '')
    throw new WarehouseError(400, 'required', 'Required parameter is missing: query')
  if (given.useLegacySql !== false) throw unsupported('Legacy SQL (set useLegacySql to false)')
  if (/^\s*#\s*(legacy|standard)sql/i.test(text)) throw unsupported('A dialect prefix')
  for (const field of REFUSED) {
    const value = given[field]
    if (value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0)) {
      throw new WarehouseError(400, 'invalid', `${field} is not supported in the sandbox`)
    }
  }
  const limit = given.maximumBytesBilled
  if (limit !== undefined && !/^\d+$/.test(scalarText(limit)))
    throw new WarehouseError(400, 'invalid', 'Invalid value for maximumBytesBilled')
  const dataset = isObject(given.defaultDataset) ? given.defaultDataset : undefined
  if (dataset?.projectId !== undefined && dataset.projectId !== PROJECT)
    throw notFound('Project', scalarText(dataset.projectId))
  return {
    id,
    query: text,
    parameters: parametersOf(given),
    defaultDataset: typeof dataset?.datasetId === 'string' ? dataset.datasetId : undefined,
    labels: labelsOf(labels),
    maximumBytesBilled: limit === undefined ? undefined : Number(limit),
    dryRun: dryRun === true,
    configuration: given,
  }
}

function labelsOf(labels: unknown): Record<string, string> {
  if (labels === undefined || labels === null) return {}
  const entries = isObject(labels) ? Object.entries(labels) : []
  if (
    !isObject(labels) ||
    entries.length > 64 ||
    entries.some(
      ([key, value]) =>
        !/^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key) ||
        !/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(String(value)),
    )
  ) {
    throw new WarehouseError(
      400,
      'invalid',
      'Invalid labels: at most 64, lower-case letters, digits, `_` and `-`, at most 63 long',
    )
  }
  return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]))
}

function parametersOf(given: Json): Parameters {
  const named = new Map<string, ReturnType<typeof parameterSql>>()
  const positional: ReturnType<typeof parameterSql>[] = []
  const list = given.queryParameters ?? []
  if (!Array.isArray(list)) throw new WarehouseError(400, 'invalid', 'Invalid queryParameters')
  for (const one of list as unknown[]) {
    if (!isObject(one) || !isObject(one.parameterType))
      throw new WarehouseError(400, 'invalid', 'Invalid queryParameters')
    const value = parameterSql(
      one.parameterType as unknown as ParameterType,
      isObject(one.parameterValue) ? one.parameterValue : undefined,
    )
    if (typeof one.name === 'string' && one.name !== '') named.set(one.name.toLowerCase(), value)
    else positional.push(value)
  }
  if (named.size > 0 && positional.length > 0) throw invalidQuery('Cannot mix named and positional parameters')
  return { named, positional }
}

async function insertJob({ body, jobs }: Call): Promise<Json> {
  const configuration = isObject(body.configuration) ? body.configuration : {}
  for (const kind of ['load', 'copy', 'extract']) {
    if (configuration[kind] !== undefined)
      throw new WarehouseError(501, 'notImplemented', `${kind} jobs are not supported in the sandbox`)
  }
  if (!isObject(configuration.query))
    throw new WarehouseError(400, 'required', 'Required parameter is missing: configuration.query')
  const reference = isObject(body.jobReference) ? body.jobReference : {}
  const id = reference.jobId ?? `job_${randomUUID()}`
  if (typeof id !== 'string' || !/^[\w-]{1,1024}$/.test(id)) throw new WarehouseError(400, 'invalid', 'Invalid job ID')
  if (
    reference.location !== undefined &&
    reference.location !== null &&
    scalarText(reference.location).toUpperCase() !== LOCATION
  ) {
    throw notFound('Location', scalarText(reference.location))
  }
  return jobResource(
    await jobs.insert(queryRequest(id, configuration.query, configuration.labels, configuration.dryRun)),
  )
}

function listJobs({ jobs, query }: Call): Json {
  const most = Math.min(numberOf(query.get('maxResults')) ?? 50, 1000)
  const start = numberOf(query.get('pageToken')) ?? 0
  const states = query.getAll('stateFilter').map((state) => state.toUpperCase())
  const all = jobs.list().filter((job) => states.length === 0 || states.includes(job.state))
  const page = all.slice(start, start + most)
  return {
    kind: 'bigquery#jobList',
    jobs: page.map((job) => ({
      ...jobResource(job),
      state: job.state,
      ...(job.error ? { errorResult: errorProto(job.error) } : {}),
    })),
    ...(start + most < all.length ? { nextPageToken: String(start + most) } : {}),
  }
}

function cancelJob({ jobs }: Call, id = ''): Json {
  const job = jobs.get(id)
  job.cancel()
  return { kind: 'bigquery#jobCancelResponse', job: jobResource(job) }
}

function jobReference(job: Job): Json {
  return { projectId: PROJECT, jobId: job.request.id, location: LOCATION }
}

function jobResource(job: Job): Json {
  const { request, translated } = job
  const finished = job.state === 'DONE' && job.error === undefined
  const target = translated.target && {
    projectId: PROJECT,
    datasetId: translated.target.dataset,
    tableId: translated.target.table,
  }
  const ddl = translated.kind === 'ddl'
  return {
    kind: 'bigquery#job',
    etag: `${request.id}-${job.state}`,
    id: `${PROJECT}:${LOCATION}.${request.id}`,
    user_email: 'sandbox@sluice-sandbox.example',
    jobReference: request.dryRun ? { projectId: PROJECT, location: LOCATION } : jobReference(job),
    configuration: {
      jobType: 'QUERY',
      ...(request.dryRun ? { dryRun: true } : {}),
      labels: request.labels,
      query: request.configuration,
    },
    status: {
      state: job.state,
      ...(job.error ? { errorResult: errorProto(job.error), errors: [errorProto(job.error)] } : {}),
    },
    statistics: {
      creationTime: String(job.createdAt),
      ...(request.dryRun ? {} : { startTime: String(job.createdAt) }),
      ...(job.state === 'DONE' && !request.dryRun ? { endTime: String(job.endedAt) } : {}),
      totalBytesProcessed: String(job.bytes),
      query: {
        statementType: translated.type,
        totalBytesProcessed: String(job.bytes),
        ...(request.dryRun ? { totalBytesProcessedAccuracy: 'PRECISE' } : {}),
        ...(finished || request.dryRun
          ? { totalBytesBilled: request.dryRun ? '0' : String(billed(job.bytes)), cacheHit: false }
          : {}),
        ...(request.dryRun && translated.kind === 'query' ? { schema: { fields: job.fields } } : {}),
        referencedTables: job.tables.map((table) => ({
          projectId: PROJECT,
          datasetId: table.dataset,
          tableId: table.table,
        })),
        ...(ddl && target ? { ddlTargetTable: target } : {}),
        ...(job.operation === undefined ? {} : { ddlOperationPerformed: job.operation }),
        ...affected(job),
      },
    },
  }
}

function affected(job: Job): Json {
  if (!job.affected) return {}
  const { inserted, updated, deleted } = job.affected
  return {
    numDmlAffectedRows: String(inserted + updated + deleted),
    dmlStats: {
      insertedRowCount: String(inserted),
      updatedRowCount: String(updated),
      deletedRowCount: String(deleted),
    },
  }
}

// Results.

async function query(call: Call): Promise<Json | Buffer[]> {
  const { body, jobs, requests } = call
  const options = new URLSearchParams()
  for (const name of ['maxResults', 'timeoutMs'] as const)
    if (body[name] !== undefined && body[name] !== null) options.set(name, scalarText(body[name]))
  const format = isObject(body.formatOptions) ? body.formatOptions : {}
  if (format.useInt64Timestamp === true || format.timestampOutputFormat === 'INT64')
    options.set('formatOptions.useInt64Timestamp', 'true')
  const requestId = typeof body.requestId === 'string' ? body.requestId : undefined
  const known = requestId === undefined ? undefined : requests.get(requestId)
  if (known !== undefined && jobs.has(known)) return results(call, jobs.get(known), options)
  const id = `job_${randomUUID()}`
  const request = queryRequest(id, body, body.labels, body.dryRun)
  if (requestId !== undefined && !request.dryRun) {
    requests.set(requestId, id)
    if (requests.size > 10_000) requests.delete(requests.keys().next().value ?? '')
  }
  const job = await jobs.insert(request)
  if (job.request.dryRun) {
    return {
      kind: 'bigquery#queryResponse',
      jobComplete: true,
      schema: { fields: job.fields },
      totalBytesProcessed: String(job.bytes),
      cacheHit: false,
      jobReference: { projectId: PROJECT, location: LOCATION },
    }
  }
  return results(call, job, options)
}

async function results(call: Call, job: Job, options: URLSearchParams): Promise<Json | Buffer[]> {
  const wait = Math.min(numberOf(options.get('timeoutMs')) ?? DEFAULT_WAIT_MS, MAX_WAIT_MS)
  if (job.state !== 'DONE') await waitFor(job.done, wait, call.gone)
  const head: Json = { kind: 'bigquery#getQueryResultsResponse', jobReference: jobReference(job) }
  if (job.state !== 'DONE') return { ...head, jobComplete: false }
  if (job.error) throw job.error
  const done = {
    ...head,
    etag: job.request.id,
    jobComplete: true,
    totalBytesProcessed: String(job.bytes),
    totalBytesBilled: String(billed(job.bytes)),
    cacheHit: false,
    ...affected(job),
  }
  if (job.translated.kind !== 'query' || !job.spool) return { ...done, schema: { fields: [] }, totalRows: '0' }
  const token = options.get('pageToken')
  const start = token === null || token === '' ? (numberOf(options.get('startIndex')) ?? 0) : numberOf(token)
  if (start === undefined) throw new WarehouseError(400, 'invalid', 'Invalid page token')
  const most = numberOf(options.get('maxResults')) ?? Number.MAX_SAFE_INTEGER
  const page = await job.spool.page(start, most)
  const next = start + page.count
  // The last page has no token; a page of no rows that was asked for so may go on from where it stands.
  const more = next < job.rowCount && (page.count > 0 || most === 0)
  const full = {
    ...done,
    schema: { fields: job.fields },
    totalRows: String(job.rowCount),
    ...(more ? { pageToken: String(next) } : {}),
  }
  if (page.count === 0) return full
  const integers =
    /^true$/i.test(options.get('formatOptions.useInt64Timestamp') ?? '') ||
    options.get('formatOptions.timestampOutputFormat') === 'INT64'
  const text = JSON.stringify(full).slice(0, -1)
  if (integers || !hasTimestamp(job.fields)) return [Buffer.from(`${text},"rows":[`), page.rows, Buffer.from(']}')]
  const rows = JSON.parse(`[${page.rows.toString()}]`) as { f: Cell[] }[]
  floatTimestamps(job.fields, rows)
  return { ...full, rows }
}

async function waitFor(done: Promise<void>, ms: number, gone: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
    gone.addEventListener('abort', () => resolve(), { once: true })
  })
  await Promise.race([done, late])
  clearTimeout(timer)
}

function numberOf(value: string | null): number | undefined {
  if (value === null || value === '') return undefined
  if (!/^\d{1,15}$/.test(value)) throw new WarehouseError(400, 'invalid', `Invalid number ${JSON.stringify(value)}`)
  return Number(value)
}

// Metadata.

function datasetReference(dataset: string): Json {
  return { projectId: PROJECT, datasetId: dataset }
}

function paged<T>(
  items: readonly T[],
  query: URLSearchParams,
  name: string,
  kind: string,
  of: (item: T) => Json,
): Json {
  const start = numberOf(query.get('pageToken')) ?? 0
  const most = numberOf(query.get('maxResults')) ?? 1000
  return {
    kind,
    [name]: items.slice(start, start + most).map(of),
    totalItems: items.length,
    ...(most > 0 && start + most < items.length ? { nextPageToken: String(start + most) } : {}),
  }
}

function listDatasets({ engine, query }: Call): Json {
  return paged([...engine.catalog.keys()], query, 'datasets', 'bigquery#datasetList', (dataset) => ({
    kind: 'bigquery#dataset',
    id: `${PROJECT}:${dataset}`,
    datasetReference: datasetReference(dataset),
    location: LOCATION,
  }))
}

function tablesOf(engine: Engine, dataset: string): ReadonlyMap<string, Relation> {
  const tables = engine.catalog.get(dataset)
  if (!tables) throw notFound('Dataset', `${PROJECT}:${dataset}`)
  return tables
}

function getDataset({ engine }: Call, dataset = ''): Json {
  tablesOf(engine, dataset)
  return {
    kind: 'bigquery#dataset',
    etag: dataset,
    id: `${PROJECT}:${dataset}`,
    datasetReference: datasetReference(dataset),
    location: LOCATION,
    creationTime: String(STARTED),
    lastModifiedTime: String(STARTED),
  }
}

function tableHead(relation: Relation): Json {
  return {
    kind: 'bigquery#table',
    id: `${PROJECT}:${relation.dataset}.${relation.name}`,
    tableReference: { projectId: PROJECT, datasetId: relation.dataset, tableId: relation.name },
    type: relation.kind === 'view' ? 'VIEW' : 'TABLE',
    creationTime: String(STARTED),
    ...(relation.source === undefined ? {} : { view: { query: relation.source, useLegacySql: false } }),
  }
}

function listTables({ engine, query }: Call, dataset = ''): Json {
  return paged([...tablesOf(engine, dataset).values()], query, 'tables', 'bigquery#tableList', tableHead)
}

async function getTable({ engine }: Call, dataset = '', table = ''): Promise<Json> {
  const relation = tablesOf(engine, dataset).get(table)
  if (!relation) throw notFound('Table', `${PROJECT}:${dataset}.${table}`)
  const reference = { dataset, table }
  const schema = { fields: relation.columns.map((column) => fieldOf(column.name, column.type, column.required)) }
  const head = {
    ...tableHead(relation),
    location: LOCATION,
    schema,
    etag: `${dataset}.${table}.${relation.columns.length}.${engine.version(reference)}`,
    lastModifiedTime: String(STARTED + engine.version(reference)),
  }
  if (relation.kind === 'view') return { ...head, numRows: '0', numBytes: '0' }
  const facts = await engine.facts(reference)
  const bytes = [...facts.bytes.values()].reduce((sum, size) => sum + size, 0)
  // Said to be partitioned as a real table of this shape would be; the sandbox stores it whole.
  const partitioned =
    dataset === 'shop' && table === 'metrics'
      ? { timePartitioning: { type: 'DAY', field: 'day' } }
      : relation.ingested
        ? { timePartitioning: { type: 'DAY' } }
        : {}
  return { ...head, numRows: String(facts.rows), numBytes: String(bytes), numLongTermBytes: '0', ...partitioned }
}
