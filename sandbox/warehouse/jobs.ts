/** Query jobs: run once, kept for the life of the process, their rows spooled to a file in BigQuery's encoding. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { open, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { queryError, type Engine } from './engine.ts'
import { invalidQuery, statusOf, WarehouseError } from './errors.ts'
import { PROJECT } from './sql/catalog.ts'
import { text, type Parameters, type Reference, type Translated } from './sql/translate.ts'
import { fieldOf, rowText, type Field } from './types.ts'

export interface QueryRequest {
  readonly id: string
  readonly query: string
  readonly parameters: Parameters
  readonly defaultDataset: string | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly maximumBytesBilled: number | undefined
  readonly dryRun: boolean
  /** `configuration.query` as it came, to be shown again. */
  readonly configuration: unknown
}

export interface Affected {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

export interface Job {
  readonly request: QueryRequest
  readonly createdAt: number
  readonly translated: Translated
  readonly tables: readonly Reference[]
  readonly bytes: number
  readonly fields: readonly Field[]
  state: 'RUNNING' | 'DONE'
  endedAt: number
  error: WarehouseError | undefined
  rowCount: number
  affected: Affected | undefined
  operation: string | undefined
  spool: Spool | undefined
  connection: DuckDBConnection | undefined
  cancelled: boolean
  /** Resolves when the state is DONE; never rejects. */
  readonly done: Promise<void>
  cancel: () => void
}

/** Names of BigQuery's own, which no column of a result may have. */
const RESERVED_NAME = /^(?:_PARTITION|_TABLE_|_FILE_|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER)/i
/** BigQuery's limit for a page of rows. */
const PAGE_BYTES = 10 * 1024 * 1024
/** Rows between two entries of a spool's index. */
const STRIDE = 4096
const MAX_JOBS = 10_000
/** Results beyond this many bytes on disk are dropped, oldest first. */
const MAX_SPOOLED = 4 * 1024 ** 3
const MAX_DELAY_MS = 600_000
const MEGABYTE = 1024 * 1024

/** What BigQuery bills: whole megabytes, at least ten for each query that reads. */
export function billed(bytes: number): number {
  return bytes === 0 ? 0 : Math.max(10, Math.ceil(bytes / MEGABYTE)) * MEGABYTE
}

export class Jobs {
  readonly #engine: Engine
  readonly #jobs = new Map<string, Job>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get(id: string): Job {
    const job = this.#jobs.get(id)
    if (!job) throw new WarehouseError(404, 'notFound', `Not found: Job ${PROJECT}:US.${id}`)
    return job
  }

  has(id: string): boolean {
    return this.#jobs.has(id)
  }

  list(): Job[] {
    return [...this.#jobs.values()].toReversed()
  }

  /** Checks the query, and starts it unless it is a dry run. Throws what BigQuery answers to `jobs.insert`. */
  async insert(request: QueryRequest): Promise<Job> {
    this.#refuseDuplicate(request.id)
    const { translated, tables, bytes, fields } = await this.#check(request)
    // Another request may have taken the id meanwhile.
    this.#refuseDuplicate(request.id)
    const finish = Promise.withResolvers<void>()
    const cancelled = Promise.withResolvers<void>()
    const job: Job = {
      request,
      translated,
      tables,
      bytes,
      fields,
      createdAt: Date.now(),
      state: 'RUNNING',
      endedAt: 0,
      error: undefined,
      rowCount: 0,
      affected: undefined,
      operation: undefined,
      spool: undefined,
      connection: undefined,
      cancelled: false,
      done: finish.promise,
      cancel: () => {
        if (job.state === 'DONE') return
        job.cancelled = true
        cancelled.resolve()
        job.connection?.interrupt()
      },
    }
    if (request.dryRun) {
      job.state = 'DONE'
      finish.resolve()
      return job
    }
    this.#jobs.set(request.id, job)
    this.#run(job, cancelled.promise)
      .catch((error: unknown) => {
        job.error = job.cancelled ? stopped() : queryError(error, request.query)
      })
      .finally(() => {
        job.state = 'DONE'
        job.endedAt = Date.now()
        finish.resolve()
        void this.#evict()
      })
    return job
  }

  #refuseDuplicate(id: string): void {
    if (this.#jobs.has(id)) throw new WarehouseError(409, 'duplicate', `Already Exists: Job ${PROJECT}:US.${id}`)
  }

  async #check(
    request: QueryRequest,
  ): Promise<{ translated: Translated; tables: Reference[]; bytes: number; fields: Field[] }> {
    const engine = this.#engine
    try {
      const translated = await engine.translate(request.query, request.parameters, request.defaultDataset)
      const { tables, words } = await engine.baseTables(translated.references)
      let fields: Field[] = []
      if (translated.kind === 'query' || translated.query) {
        fields = (await engine.describe(translated.query?.sql ?? translated.sql)).map((column) =>
          fieldOf(column.name, column.type),
        )
      } else if (translated.check !== undefined) {
        const connection = await engine.connect()
        try {
          ;(await connection.prepare(translated.check)).destroySync()
        } finally {
          connection.closeSync()
        }
      }
      if (translated.type === 'CREATE_TABLE')
        fields = (translated.columns ?? []).map((column) => fieldOf(column.name, column.type))
      for (const { name } of fields) {
        if (RESERVED_NAME.test(name))
          throw invalidQuery(
            `Invalid field name "${name}". Field names are not allowed to start with the (case-insensitive) prefixes _PARTITION, _TABLE_, _FILE_, _ROW_TIMESTAMP, __ROOT__ and _COLIDENTIFIER`,
          )
      }
      if (translated.type === 'CREATE_TABLE') fields = []
      return { translated, tables, bytes: await this.#estimate(translated, tables, words), fields }
    } catch (error) {
      throw queryError(error, request.query)
    }
  }

  /** The sizes of the columns that the text names, of all tables that it reads. */
  async #estimate(
    translated: Translated,
    tables: readonly Reference[],
    viewWords: ReadonlySet<string>,
  ): Promise<number> {
    if (translated.type === 'TRUNCATE_TABLE' || (translated.type === 'INSERT' && tables.length <= 1)) return 0
    let bytes = 0
    for (const table of tables) {
      const { bytes: columns } = await this.#engine.facts(table)
      const words = new Set([...translated.words, ...viewWords])
      // What changes rows is billed for all columns of their table.
      const whole =
        translated.kind === 'dml' &&
        translated.type !== 'INSERT' &&
        table.dataset === translated.target?.dataset &&
        table.table === translated.target.table
      for (const [column, size] of columns) if (whole || words.has('*') || words.has(column)) bytes += size
    }
    return bytes
  }

  async #run(job: Job, cancelled: Promise<void>): Promise<void> {
    const { request, translated } = job
    const delay = Number(request.labels.sandbox_delay_ms ?? 0)
    if (Number.isFinite(delay) && delay > 0) {
      let timer: NodeJS.Timeout | undefined
      const waited = new Promise<void>((resolve) => (timer = setTimeout(resolve, Math.min(delay, MAX_DELAY_MS))))
      await Promise.race([waited, cancelled])
      clearTimeout(timer)
    }
    if (job.cancelled) throw stopped()
    const fail = request.labels.sandbox_fail
    if (fail !== undefined) {
      // Labels are lower case; reasons are not.
      const reason = REASONS.find((known) => known.toLowerCase() === fail.replaceAll(/[-_]/g, '').toLowerCase()) ?? fail
      throw new WarehouseError(statusOf(reason), reason, `The sandbox was asked to fail with ${reason}`)
    }
    const limit = request.maximumBytesBilled
    if (limit !== undefined && billed(job.bytes) > limit) {
      throw new WarehouseError(
        400,
        'bytesBilledLimitExceeded',
        `Query exceeded limit for bytes billed: ${limit}. ${billed(job.bytes)} or higher required.`,
      )
    }
    if (translated.kind === 'query') await this.#withConnection(job, (connection) => this.#select(job, connection))
    else await this.#engine.exclusively(() => this.#withConnection(job, (connection) => this.#write(job, connection)))
  }

  async #withConnection(job: Job, inner: (connection: DuckDBConnection) => Promise<void>): Promise<void> {
    const connection = await this.#engine.connect()
    job.connection = connection
    try {
      if (job.cancelled) throw stopped()
      await inner(connection)
    } finally {
      job.connection = undefined
      connection.closeSync()
    }
  }

  async #select(job: Job, connection: DuckDBConnection): Promise<void> {
    const { sql } = job.translated
    const columns = await this.#engine.describe(sql, connection)
    const path = join(
      this.#engine.spool,
      `${Buffer.from(job.request.id).toString('hex').slice(0, 100)}-${Date.now()}-${Math.trunc(performance.now() * 1000)}`,
    )
    const names = columns.map((_, at) => `c${at}`).join(', ')
    // DuckDB writes the pages' text itself, on all its threads; a row's text has no raw line feed, so a line is a row.
    const result = await connection.run(
      `COPY (SELECT ${rowText(columns.map((column) => column.type))} FROM (${sql}) AS _(${names})) TO ${text(path)} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')`,
    )
    job.rowCount = Number((await result.getRows())[0]?.[0] ?? 0)
    job.spool = await Spool.open(path, job.rowCount)
  }

  async #write(job: Job, connection: DuckDBConnection): Promise<void> {
    const { translated } = job
    const engine = this.#engine
    await connection.run('BEGIN')
    try {
      if (translated.kind === 'dml') job.affected = await affectedBy(translated, connection)
      else await this.#define(job, connection)
      if (job.cancelled) throw stopped()
      await connection.run('COMMIT')
    } catch (error) {
      await connection.run('ROLLBACK').catch(() => undefined)
      throw error
    }
    if (translated.target) engine.written(translated.target)
    if (translated.kind === 'ddl') await engine.refresh()
  }

  async #define(job: Job, connection: DuckDBConnection): Promise<void> {
    const { translated } = job
    const { target } = translated
    const was = target !== undefined && this.#engine.catalog.get(target.dataset)?.has(target.table) === true
    await connection.run(translated.sql)
    const drop = translated.type.startsWith('DROP')
    job.operation = drop
      ? was || target === undefined
        ? 'DROP'
        : 'SKIP'
      : was
        ? translated.ifExists
          ? 'SKIP'
          : 'REPLACE'
        : 'CREATE'
    if (target === undefined) {
      if (translated.type === 'DROP_SCHEMA') {
        await connection.run(
          "DELETE FROM wh._sluice.views WHERE dataset NOT IN (SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'wh')",
        )
      }
      return
    }
    if (job.operation === 'SKIP') return
    const same = `dataset = ${text(target.dataset)} AND name = ${text(target.table)}`
    if (translated.type.endsWith('_VIEW')) await connection.run(`DELETE FROM wh._sluice.views WHERE ${same}`)
    if (translated.type === 'CREATE_VIEW') {
      await connection.run(
        `INSERT INTO wh._sluice.views VALUES (${text(target.dataset)}, ${text(target.table)}, ${text(translated.query?.source ?? '')})`,
      )
    }
  }

  async #evict(): Promise<void> {
    let spooled = 0
    let count = 0
    for (const job of this.list()) {
      count++
      spooled += job.spool?.size ?? 0
      if (job.state !== 'DONE' || (count <= MAX_JOBS && spooled <= MAX_SPOOLED)) continue
      this.#jobs.delete(job.request.id)
      await job.spool?.close()
    }
  }
}

const REASONS = [
  'accessDenied',
  'backendError',
  'billingNotEnabled',
  'bytesBilledLimitExceeded',
  'internalError',
  'invalid',
  'invalidQuery',
  'jobBackendError',
  'jobInternalError',
  'notFound',
  'policyViolation',
  'quotaExceeded',
  'rateLimitExceeded',
  'resourcesExceeded',
  'responseTooLarge',
  'stopped',
  'timeout',
]

const stopped = (): WarehouseError =>
  new WarehouseError(400, 'stopped', 'Job execution was cancelled: User requested cancellation')

async function affectedBy(translated: Translated, connection: DuckDBConnection): Promise<Affected> {
  if (translated.type === 'MERGE') {
    const actions = await (await connection.run(`${translated.sql} RETURNING merge_action`)).getRows()
    const count = (action: string): number => actions.filter(([found]) => found === action).length
    return { inserted: count('INSERT'), updated: count('UPDATE'), deleted: count('DELETE') }
  }
  const { rowsChanged } = await connection.run(translated.sql)
  return {
    inserted: translated.type === 'INSERT' ? rowsChanged : 0,
    updated: translated.type === 'UPDATE' ? rowsChanged : 0,
    deleted: translated.type === 'DELETE' || translated.type === 'TRUNCATE_TABLE' ? rowsChanged : 0,
  }
}

/** A finished result: one row's JSON text and a comma on each line of a file. */
export class Spool {
  readonly #file: FileHandle
  readonly #path: string
  readonly #rows: number
  readonly size: number
  /** Where rows 0, STRIDE, 2 × STRIDE … begin. */
  readonly #index: readonly number[]

  private constructor(file: FileHandle, path: string, rows: number, size: number, index: readonly number[]) {
    this.#file = file
    this.#path = path
    this.#rows = rows
    this.size = size
    this.#index = index
  }

  static async open(path: string, rows: number): Promise<Spool> {
    const file = await open(path, 'r')
    const { size } = await stat(path)
    const index = [0]
    if (rows > STRIDE) {
      const buffer = Buffer.allocUnsafe(4 * MEGABYTE)
      let seen = 0
      for (let at = 0; at < size;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
        if (bytesRead === 0) break
        for (let i = buffer.indexOf(10); i >= 0 && i < bytesRead; i = buffer.indexOf(10, i + 1))
          if (++seen % STRIDE === 0) index.push(at + i + 1)
        at += bytesRead
      }
    }
    return new Spool(file, path, rows, size, index)
  }

  async close(): Promise<void> {
    await this.#file.close()
    await rm(this.#path, { force: true })
  }

  /** Rows from `start`, at most `most` of them and of 10 MB, as JSON text without the last comma. */
  async page(start: number, most: number): Promise<{ rows: Buffer; count: number }> {
    const wanted = Math.min(most, this.#rows - start)
    if (wanted <= 0) return { rows: Buffer.alloc(0), count: 0 }
    let from = this.#index[Math.floor(start / STRIDE)] ?? 0
    if (start % STRIDE > 0) from = await this.#afterLines(from, start % STRIDE)
    const end = this.#index[Math.ceil((start + wanted) / STRIDE)] ?? this.size
    let length = Math.min(PAGE_BYTES, end - from)
    for (;;) {
      const buffer = Buffer.allocUnsafe(length)
      const { bytesRead } = await this.#file.read(buffer, 0, length, from)
      let count = 0
      let last = -1
      for (let i = buffer.indexOf(10); i >= 0 && i < bytesRead; i = buffer.indexOf(10, i + 1)) {
        last = i
        if (++count === wanted) break
      }
      // A row larger than a page is served alone.
      if (count > 0) return { rows: buffer.subarray(0, last - 1), count }
      if (from + length >= this.size) throw new Error('a spooled result ended early')
      length = Math.min(length * 2, this.size - from)
    }
  }

  async #afterLines(from: number, lines: number): Promise<number> {
    const buffer = Buffer.allocUnsafe(MEGABYTE)
    let seen = 0
    for (let at = from; at < this.size;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, at)
      for (let i = buffer.indexOf(10); i >= 0 && i < bytesRead; i = buffer.indexOf(10, i + 1))
        if (++seen === lines) return at + i + 1
      at += bytesRead
    }
    throw invalidQuery('Start index is beyond the result')
  }
}
