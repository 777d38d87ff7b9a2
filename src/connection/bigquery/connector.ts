/**
 * The BigQuery connector: jobs under fixed ids, dry runs, rows as NDJSON. See README.md here for how values are
 * encoded and what each failure becomes.
 */
import type { Estimate, Permitted, Principal, SqlField, SqlStatement, Statistics } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { orAbort, type Clock } from '../../runtime.ts'
import type { Answer, Connector, Settlement } from '../contract.ts'
import { mustAgree } from './agree.ts'
import { readRows, type Paging } from './answer.ts'
import type { BigQueryApi, BigQueryClients, JobResource } from './client.ts'
import { abandoned, failureOf, isAbsent, isPassing, jobError, UpstreamError } from './errors.ts'
import { anotherJob, find, finished, jobIdOf, labelsOf, queryJob, start, type Started } from './job.ts'
import { createMetadata, resourceName } from './metadata.ts'
import type { Page } from './page.ts'
import { rowNames, schemaFields, type TableSchema } from './schema.ts'
import type { Scratch } from './transcode.ts'
import { atMost, retrying, type Retry } from './wait.ts'

export interface BigQueryOptions {
  /** As configured: `warehouse`. */
  readonly name: string
  /** Where jobs run and unqualified names resolve. */
  readonly project: string
  readonly dataset?: string
  /** BigQuery's location of the data: `EU`, `europe-west3`. Absent: BigQuery finds it. */
  readonly location?: string
  /** Never pass on BigQuery's own words. Where a masked table is read they are kept back in any case. */
  readonly quietErrors?: boolean
  /** Put on every job beside ours, which win. */
  readonly labels?: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly retry?: Retry
  readonly paging?: Partial<Paging>
  /** Longest wait for a cancellation to be accepted, in milliseconds. */
  readonly cancelMs?: number
}

const RETRY: Retry = { attempts: 4, baseMs: 250 }
const PAGING: Paging = { pageBytes: 4_000_000, maxPageRows: 100_000, batchBytes: 256 * 1024, firstRows: 1_000 }
const CANCEL_MS = 5_000
/** Largest page that is read at all, in bytes: one row may be as heavy as BigQuery lets it be. */
const MAX_PAGE_BYTES = 128 * 1024 * 1024

export function createBigQueryConnector(options: BigQueryOptions, clients: BigQueryClients): Connector {
  return new BigQueryConnector(options, clients)
}

class BigQueryConnector implements Connector {
  readonly name: string
  readonly type = 'bigquery'
  readonly defaults: Connector['defaults']
  readonly metadata: Connector['metadata']
  readonly #options: BigQueryOptions
  readonly #clients: BigQueryClients
  readonly #retry: Retry
  readonly #paging: Paging
  readonly #cancelMs: number
  readonly #scratch: Scratch = { bytes: new Uint8Array() }

  constructor(options: BigQueryOptions, clients: BigQueryClients) {
    this.#options = options
    this.#clients = clients
    this.#retry = options.retry ?? RETRY
    this.#paging = { ...PAGING, ...options.paging }
    this.#cancelMs = options.cancelMs ?? CANCEL_MS
    this.name = options.name
    this.defaults = {
      project: options.project,
      ...(options.dataset === undefined ? {} : { dataset: options.dataset }),
    }
    this.metadata = createMetadata(clients.own, options.project, options.location, this.#retry)
  }

  jobId(exchange: string): string {
    return jobIdOf(exchange)
  }

  async estimate(statement: SqlStatement, principal: Principal, signal: AbortSignal): Promise<Estimate> {
    return this.#guarded(statement, signal, async () => {
      const api = this.#clients.as(principal)
      const job = {
        ...queryJob(statement, this.#options, await this.#labels(principal)),
        dryRun: true,
        useQueryCache: false,
      }
      const dry = await retrying(() => orAbort(api.insert(job), signal), isPassing, this.#retry, signal)
      if (dry.status?.errorResult !== undefined) throw jobError(dry.status.errorResult)
      return estimateOf(dry, this.#options.project)
    })
  }

  async run(statement: SqlStatement, exchange: Permitted, signal: AbortSignal): Promise<Answer> {
    return this.#guarded(statement, signal, async () => {
      const api = this.#clients.as(exchange.principal)
      const labels = await this.#labels(exchange.principal, exchange.id)
      const job = { ...queryJob(statement, this.#options, labels), jobId: jobIdOf(exchange.id) }
      const since = this.#options.clock.monotonic()
      const started = await start(api, job, this.#retry, this.#cancelMs, signal)
      try {
        return await this.#answer(api, started, statement, exchange, since, signal)
      } catch (error) {
        // A job that BigQuery ended is over. Any other goes on, and nobody will read what it does.
        const ended = error instanceof UpstreamError && !isPassing(error) && !signal.aborted
        if (!ended) await atMost(api.cancel(started.id, started.location), this.#cancelMs)
        throw error
      }
    })
  }

  async attach(statement: SqlStatement, exchange: Permitted, signal: AbortSignal): Promise<Answer> {
    return this.#guarded(statement, signal, async () => {
      const api = this.#clients.as(exchange.principal)
      const id = jobIdOf(exchange.id)
      const job = await find(api, id, this.#options.location, this.#retry, signal).catch((error: unknown) => {
        throw isAbsent(error) ? new Failure('not-found', 'the exchange has no job upstream', { cause: error }) : error
      })
      // Its rows carry the masks of the text that ran, which must be those of the text that was decided.
      if (job.configuration?.query?.query !== statement.text) throw anotherJob()
      const started = { id, location: job.jobReference?.location ?? this.#options.location }
      return this.#answer(api, started, statement, exchange, this.#options.clock.monotonic(), signal)
    })
  }

  async settle(exchange: string, principal: Principal, signal: AbortSignal): Promise<Settlement> {
    let job: JobResource
    try {
      job = await find(this.#clients.as(principal), jobIdOf(exchange), this.#options.location, this.#retry, signal)
    } catch (error) {
      if (isAbsent(error)) return { outcome: 'not-run' }
      throw failureOf(error, signal, false)
    }
    if (job.status?.state !== 'DONE') return { outcome: 'running' }
    const { errorResult } = job.status
    const text = job.configuration?.query?.query
    return {
      outcome: 'ran',
      ...(text !== undefined && { text }),
      ...(errorResult !== undefined && { failure: errorResult.reason ?? 'unknown' }),
      statistics: statisticsOf(job, { durationMs: 0 }),
    }
  }

  async ready(signal: AbortSignal): Promise<void> {
    try {
      const path = ['projects', this.#options.project, 'datasets']
      await this.#clients.own.get(path, { maxResults: '1', prettyPrint: 'false' }, MAX_PAGE_BYTES, signal)
    } catch (error) {
      throw failureOf(error, signal, false)
    }
  }

  close(): Promise<void> {
    return this.#clients.close()
  }

  /** Waits for the job, has it say that it did what was decided, and describes its answer. Rows are fetched as they are pulled. */
  async #answer(
    api: BigQueryApi,
    job: Started,
    statement: SqlStatement,
    exchange: Permitted,
    since: number,
    signal: AbortSignal,
  ): Promise<Answer> {
    const place: Record<string, string> = {
      prettyPrint: 'false',
      'formatOptions.useInt64Timestamp': 'true',
      ...(job.location === undefined ? {} : { location: job.location }),
    }
    const path = ['projects', this.#options.project, 'queries', job.id]
    const fetch = (query: Readonly<Record<string, string>>, limit: AbortSignal): Promise<Uint8Array> =>
      retrying(() => api.get(path, { ...place, ...query }, MAX_PAGE_BYTES, limit), isPassing, this.#retry, limit)

    const reads = statement.kind === 'SELECT'
    const asked = reads ? Math.min(this.#paging.firstRows, statement.bounds.maxRows + 1) : 0
    const first = await finished(fetch, asked, signal)
    const schema = reads ? schemaFields(first.envelope['schema'] as TableSchema | undefined) : []
    const resource = await find(api, job.id, job.location, this.#retry, signal).catch((error: unknown) => {
      // Not `upstream-refused`, which is told where nothing ran: it did.
      const isOver = error instanceof UpstreamError && !isPassing(error)
      throw isOver ? new Failure('upstream-failed', 'the job does not say what it did', { cause: error }) : error
    })
    const decided = exchange.statement
    if (decided.language !== 'googlesql') throw new Failure('internal', 'a warehouse was sent what is no SQL')
    mustAgree(resource, schema, statement, decided, this.#options.project)
    const columns = rowNames(schema)
    const totalRows = reads ? countOf(first.envelope['totalRows']) : 0
    const statistics = statisticsOf(resource, firstStatistics(first, this.#options.clock.monotonic() - since))
    const batches = this.#batches(reads, { first, asked, columns, totalRows }, statement, fetch, signal)
    return {
      job: job.id,
      columns,
      ...(totalRows === undefined ? {} : { totalRows }),
      batches,
      statistics: () => statistics,
    }
  }

  async *#batches(
    reads: boolean,
    rows: { first: Page; asked: number; columns: readonly SqlField[]; totalRows: number | undefined },
    statement: SqlStatement,
    fetch: (query: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<Uint8Array>,
    signal: AbortSignal,
  ): Answer['batches'] extends AsyncIterable<infer B> ? AsyncGenerator<B> : never {
    if (!reads) return
    try {
      const next = (pageToken: string, maxResults: number, unwanted: AbortSignal): Promise<Uint8Array> =>
        fetch({ pageToken, maxResults: String(maxResults) }, AbortSignal.any([signal, unwanted]))
      const { maxRows } = statement.bounds
      for await (const batch of readRows({ ...rows, maxRows }, next, this.#paging, this.#scratch)) {
        if (signal.aborted) throw abandoned(signal)
        yield batch
      }
    } catch (error) {
      throw failureOf(error, signal, this.#quiet(statement), `${this.#options.project} ${statement.text}`)
    }
  }

  async #guarded<T>(statement: SqlStatement, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw failureOf(error, signal, this.#quiet(statement), `${this.#options.project} ${statement.text}`)
    }
  }

  async #labels(principal: Principal, exchange?: string): Promise<Readonly<Record<string, string>>> {
    return { ...this.#options.labels, ...(await labelsOf(principal, exchange)) }
  }

  #quiet(statement: SqlStatement): boolean {
    return this.#options.quietErrors === true || statement.masks.length > 0
  }
}

function estimateOf(dry: JobResource, project: string): Estimate {
  const query = dry.statistics?.query
  const kind = query?.statementType
  const bytes = countOf(query?.totalBytesProcessed ?? dry.statistics?.totalBytesProcessed)
  if (kind === undefined || bytes === undefined) {
    throw new Failure('upstream-failed', 'the dry run does not say what the statement is and reads')
  }
  const tables = (query?.referencedTables ?? []).map(({ projectId, datasetId, tableId }) =>
    resourceName({ project: projectId ?? project, dataset: datasetId ?? '', table: tableId ?? '' }, project),
  )
  return {
    bytes,
    kind,
    tables: [...new Set(tables)].sort(),
    output: kind === 'SELECT' ? schemaFields(query?.schema) : [],
  }
}

/** What the first page says of the run. */
function firstStatistics(page: Page, durationMs: number): Statistics {
  const { cacheHit } = page.envelope
  return withoutHoles({
    bytesProcessed: countOf(page.envelope['totalBytesProcessed']),
    cacheHit: typeof cacheHit === 'boolean' ? cacheHit : undefined,
    rowsAffected: countOf(page.envelope['numDmlAffectedRows']),
    durationMs,
  })
}

/** What the finished job says of itself, over what was known before. */
function statisticsOf({ statistics }: JobResource, known: Statistics): Statistics {
  const started = countOf(statistics?.startTime ?? statistics?.creationTime)
  const ended = countOf(statistics?.endTime)
  return withoutHoles({
    bytesProcessed:
      countOf(statistics?.query?.totalBytesProcessed ?? statistics?.totalBytesProcessed) ?? known.bytesProcessed,
    bytesBilled: countOf(statistics?.query?.totalBytesBilled),
    cacheHit: statistics?.query?.cacheHit ?? known.cacheHit,
    rowsAffected: countOf(statistics?.query?.numDmlAffectedRows) ?? known.rowsAffected,
    durationMs: started === undefined || ended === undefined ? known.durationMs : ended - started,
  })
}

function withoutHoles(statistics: { readonly [Key in keyof Statistics]: Statistics[Key] | undefined }): Statistics {
  const known = Object.entries(statistics).filter(([, value]) => value !== undefined)
  return Object.fromEntries(known) as unknown as Statistics
}

/** A count in BigQuery's decimal text; `undefined` for anything else. */
function countOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^\d{1,19}$/.test(value)) return undefined
  return Number(value)
}
