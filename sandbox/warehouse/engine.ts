/** DuckDB with BigQuery's functions, the data, and what is known of its tables. */
import {
  BOOLEAN,
  DuckDBInstance,
  DuckDBScalarFunction,
  VARCHAR,
  type DuckDBConnection,
  type DuckDBValue,
} from '@duckdb/node-api'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { complaintOf } from './complaints.ts'
import { invalidQuery, WarehouseError } from './errors.ts'
import { jsonRemove, jsonSet } from './json.ts'
import { SEED } from './seed.ts'
import type { Catalog, Column, Relation } from './sql/catalog.ts'
import { MACROS, SINGLE_MACROS } from './sql/macros.ts'
import {
  quote,
  tableName,
  text,
  translate,
  TypeWanted,
  type Parameters,
  type Reference,
  type Translated,
} from './sql/translate.ts'

export interface TableFacts {
  readonly rows: number
  /** Logical bytes by column. */
  readonly bytes: ReadonlyMap<string, number>
}

/** Rounds of asking DuckDB for a type in one translation. */
const MAX_QUESTIONS = 256

export class Engine {
  readonly #instance: DuckDBInstance
  readonly #main: DuckDBConnection
  /** Where results are spooled. */
  readonly spool: string
  catalog: Catalog = new Map()
  readonly #facts = new Map<string, Promise<TableFacts>>()
  readonly #versions = new Map<string, number>()
  /** When a table was last written; what an earlier process did, nobody knows. */
  readonly #changed = new Map<string, number>()
  readonly #started = Date.now()
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(instance: DuckDBInstance, main: DuckDBConnection, spool: string) {
    this.#instance = instance
    this.#main = main
    this.spool = spool
  }

  /** Opens the database in `data`, and fills it if it is empty. */
  static async open(data: string): Promise<Engine> {
    const spool = join(data, 'spool')
    rmSync(spool, { recursive: true, force: true })
    mkdirSync(spool, { recursive: true, mode: 0o700 })
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: '450MB',
      temp_directory: join(data, 'temporary'),
      threads: '2',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      default_null_order: 'nulls_first_on_asc_last_on_desc',
    })
    const main = await instance.connect()
    await main.run("SET GLOBAL TimeZone = 'UTC'")
    main.registerScalarFunction(jsonFunction('bq_json_set', 4))
    main.registerScalarFunction(jsonFunction('bq_json_remove', 2))
    for (const macro of [...MACROS, ...SINGLE_MACROS]) await main.run(`CREATE MACRO ${macro}`)
    await main.run(`ATTACH ${text(join(data, 'warehouse.duckdb'))} AS wh`)
    const engine = new Engine(instance, main, spool)
    await engine.#seed()
    await engine.refresh()
    return engine
  }

  async #seed(): Promise<void> {
    const found = await this.rows(
      "SELECT 1 FROM duckdb_schemas() WHERE database_name = 'wh' AND schema_name = '_sluice'",
    )
    if (found.length > 0) return
    // One transaction: a process killed in the middle starts afresh.
    await this.#main.run('BEGIN')
    for (const statement of SEED) await this.#main.run(statement)
    await this.#main.run('COMMIT')
    await this.#main.run('CHECKPOINT wh')
  }

  async rows(sql: string, connection = this.#main): Promise<DuckDBValue[][]> {
    return (await connection.run(sql)).getRows()
  }

  connect(): Promise<DuckDBConnection> {
    return this.#instance.connect()
  }

  close(): void {
    this.#main.closeSync()
    this.#instance.closeSync()
    rmSync(this.spool, { recursive: true, force: true })
  }

  /** Reads tables, views and columns anew: after each definition. */
  async refresh(): Promise<void> {
    const catalog = new Map<string, Map<string, Relation>>()
    const hidden = new Set(['main', '_sluice', 'information_schema', 'pg_catalog'])
    for (const [name] of await this.rows(
      "SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'wh' ORDER BY 1",
    )) {
      if (!hidden.has(String(name))) catalog.set(String(name), new Map())
    }
    const views = new Map(
      (await this.rows('SELECT dataset, name, source FROM wh._sluice.views')).map(([d, n, s]) => [
        `${String(d)}.${String(n)}`,
        String(s),
      ]),
    )
    const found =
      await this.rows(`SELECT schema_name, table_name, column_name, data_type, is_nullable FROM duckdb_columns()
      WHERE database_name = 'wh' ORDER BY schema_name, table_name, column_index`)
    const columns = new Map<string, Column[]>()
    for (const [dataset, table, name, type, nullable] of found) {
      const key = `${String(dataset)}.${String(table)}`
      const list = columns.get(key) ?? []
      list.push({ name: String(name), type: String(type), required: nullable === false })
      columns.set(key, list)
    }
    for (const [key, list] of columns) {
      const dot = key.indexOf('.')
      const [dataset, name] = [key.slice(0, dot), key.slice(dot + 1)]
      const source = views.get(key)
      const own = list.filter((column) => column.name !== '_PARTITIONTIME')
      const relation: Relation =
        source === undefined
          ? { kind: 'table', dataset, name, columns: own, ...(own.length < list.length && { ingested: true as const }) }
          : { kind: 'view', dataset, name, columns: list, source }
      catalog.get(dataset)?.set(name, relation)
    }
    this.catalog = catalog
  }

  /** Translates, asking DuckDB for the types on which the translation depends. */
  async translate(source: string, parameters: Parameters, defaultDataset: string | undefined): Promise<Translated> {
    const types = new Map<string, string>()
    for (let round = 0; round < MAX_QUESTIONS; round++) {
      try {
        return translate(source, {
          catalog: this.catalog,
          parameters,
          defaultDataset,
          types,
          unchangedSince: (table) => this.#changed.get(`${table.dataset}.${table.table}`) ?? this.#started,
        })
      } catch (error) {
        if (!(error instanceof TypeWanted)) throw error
        types.set(error.sql, await (error.isValue ? this.#valueOf(error.sql) : this.#typeOf(error.sql)))
      }
    }
    throw invalidQuery('Too many arrays in FROM and subtractions for the sandbox')
  }

  async #valueOf(sql: string): Promise<string> {
    const value = (await this.rows(sql))[0]?.[0]
    return typeof value === 'string' ? value : ''
  }

  async #typeOf(sql: string): Promise<string> {
    try {
      return (await this.describe(sql))[0]?.type ?? ''
    } catch {
      // The statement as a whole will fail at the same place, with a better message.
      return ''
    }
  }

  /** Names and DuckDB types of a query's columns, without running it. */
  async describe(sql: string, connection = this.#main): Promise<{ name: string; type: string }[]> {
    return (await this.rows(`DESCRIBE ${sql}`, connection)).map(([name, type]) => ({
      name: String(name),
      type: String(type),
    }))
  }

  /** Tables that a statement reads at the end of all views. */
  async baseTables(references: readonly Reference[], depth = 0): Promise<{ tables: Reference[]; words: Set<string> }> {
    const tables = new Map<string, Reference>()
    const words = new Set<string>()
    for (const reference of references) {
      const relation = this.catalog.get(reference.dataset)?.get(reference.table)
      if (relation?.source === undefined || depth > 16) {
        tables.set(`${reference.dataset}.${reference.table}`, reference)
        continue
      }
      const inner = await this.translate(relation.source, { named: new Map(), positional: [] }, undefined)
      for (const word of inner.words) words.add(word)
      const base = await this.baseTables(inner.references, depth + 1)
      for (const word of base.words) words.add(word)
      for (const table of base.tables) tables.set(`${table.dataset}.${table.table}`, table)
    }
    return { tables: [...tables.values()], words }
  }

  /** Rows and logical bytes of a table; kept until somebody writes it. */
  facts(reference: Reference): Promise<TableFacts> {
    const key = `${reference.dataset}.${reference.table}`
    let known = this.#facts.get(key)
    if (known === undefined) {
      known = this.#measure(reference)
      this.#facts.set(key, known)
      known.catch(() => this.#facts.delete(key))
    }
    return known
  }

  async #measure(reference: Reference): Promise<TableFacts> {
    const columns = this.catalog.get(reference.dataset)?.get(reference.table)?.columns ?? []
    const sizes = columns.map((column) => bytesSql(column))
    const connection = await this.connect()
    try {
      const [row = []] = await this.rows(
        `SELECT count(*), ${sizes.join(', ')} FROM ${tableName(reference.dataset, reference.table)}`,
        connection,
      )
      return {
        rows: Number(row[0]),
        bytes: new Map(columns.map((column, at) => [column.name.toLowerCase(), Number(row[at + 1] ?? 0)])),
      }
    } finally {
      connection.closeSync()
    }
  }

  /** A number that grows with each write of a table in this process's life. */
  version(reference: Reference): number {
    return this.#versions.get(`${reference.dataset}.${reference.table}`) ?? 1
  }

  /** Forgets what was measured of a table that was written. */
  written(reference: Reference): void {
    const key = `${reference.dataset}.${reference.table}`
    this.#facts.delete(key)
    this.#versions.set(key, this.version(reference) + 1)
    this.#changed.set(key, Date.now())
  }

  /** Writers take turns: DuckDB refuses concurrent writes of a table, BigQuery queues them. */
  exclusively<T>(inner: () => Promise<T>): Promise<T> {
    const turn = this.#writing.then(inner, inner)
    this.#writing = turn.catch(() => undefined)
    return turn
  }
}

function bytesSql(column: Column): string {
  const name = quote(column.name)
  const fixed: Record<string, number> = {
    BIGINT: 8,
    DOUBLE: 8,
    BOOLEAN: 1,
    DATE: 8,
    TIME: 8,
    TIMESTAMP: 8,
    'TIMESTAMP WITH TIME ZONE': 8,
    INTERVAL: 16,
  }
  const size = fixed[column.type] ?? (column.type.startsWith('DECIMAL') ? 16 : undefined)
  if (size !== undefined) return `count(${name}) * ${size}`
  if (column.type === 'BLOB') return `coalesce(sum(octet_length(${name}) + 2), 0)`
  return `coalesce(sum(strlen(CAST(${name} AS VARCHAR)) + 2), 0)`
}

function jsonFunction(name: string, arity: 2 | 4): DuckDBScalarFunction {
  return DuckDBScalarFunction.create({
    name,
    parameterTypes: arity === 4 ? [VARCHAR, VARCHAR, VARCHAR, BOOLEAN] : [VARCHAR, VARCHAR],
    returnType: VARCHAR,
    mainFunction(_info, chunk, output) {
      const columns = Array.from({ length: arity }, (_, at) => chunk.getColumnVector(at))
      for (let row = 0; row < chunk.rowCount; row++) {
        const [json, path, value, create] = columns.map((column) => column.getItem(row))
        if (json === null || path === null || value === null || create === null) output.setItem(row, null)
        else {
          const steps = JSON.parse(String(path)) as (string | number)[]
          output.setItem(
            row,
            arity === 4
              ? jsonSet(String(json), steps, String(value), create === true)
              : jsonRemove(String(json), steps),
          )
        }
      }
      output.flush()
    },
  })
}

/** DuckDB's complaint in BigQuery's words, as far as they are known. */
export function queryError(error: unknown, source: string): WarehouseError {
  if (error instanceof WarehouseError) return error
  const message = error instanceof Error ? error.message : 'unknown error'
  const first = message.split('\n\n')[0]?.split('\n')[0] ?? message
  // Before names: a value may read like a complaint of a missing one.
  const complaint = complaintOf(message)
  if (complaint !== undefined) return invalidQuery(complaint)
  const missing =
    /(?:Referenced c|C)olumn "([^"]+)" (?:(?:was )?not found|referenced that exists in the SELECT)|Referenced table "([^"]+)" not found|does not have a column named "([^"]+)"|Could not find key "([^"]+)" in struct/.exec(
      message,
    )
  const name = missing?.[1] ?? missing?.[2] ?? missing?.[3] ?? missing?.[4]
  if (name !== undefined) {
    const at = source.toLowerCase().indexOf(name.toLowerCase())
    const before = source.slice(0, Math.max(0, at)).split('\n')
    const place = at < 0 ? undefined : { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
    return invalidQuery(`Unrecognized name: ${name}`, place)
  }
  return invalidQuery(
    first
      .replace(/^(?:\w+ ){1,3}Error: /, '')
      .replace(/ wh\./g, ' ')
      .slice(0, 500),
  )
}
