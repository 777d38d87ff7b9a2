/**
 * What an auditor of some connections may read. ClickHouse itself filters every table that has a `connection`, wherever a
 * query, a view or a join reads it; every other table of the database is out of reach. Asked anew for each query, so that
 * a table that came since is not overlooked.
 */
import * as z from 'zod'
import { Failure } from '../../failure.ts'
import { quote } from '../views.ts'
import type { ClickHouse } from './contract.ts'
import { textOf } from './text.ts'

/** What scoping adds to a query. */
export interface Scope {
  /** Tables that may not be named. */
  readonly hidden: ReadonlySet<string>
  readonly settings: Readonly<Record<string, string | number>>
}

/** Tables whose rows each say of which connection they are, if they have that column. */
const FILTERED = /MergeTree$|^Distributed$/

const SQL = `SELECT t.name AS name, t.engine AS engine,
    t.name IN (SELECT table FROM system.columns WHERE database = {database:String} AND name = 'connection') AS scoped
  FROM system.tables AS t WHERE t.database = {database:String} LIMIT 10001`

/**
 * Optimizations that ask a condition of the auditor's of rows before the filter has been asked of them: its errors would tell
 * what is in rows that are hidden. Not each server knows each; what it does not know, it does not do.
 */
const UNSAFE = ['query_plan_merge_filters', 'enable_join_runtime_filters'] as const

const KNOWN_SQL = `SELECT name FROM system.settings WHERE name IN (${UNSAFE.map(quote).join(', ')})`

const MOST_TABLES = 10_000
const MOST_TEXT = 4 * 1024 * 1024

const table = z.strictObject({ name: z.string(), engine: z.string(), scoped: z.number() })
const setting = z.strictObject({ name: z.enum(UNSAFE) })

/** Reads what tables there are. Rejects as ClickHouse does. */
export async function scopeOf(
  client: Pick<ClickHouse, 'query'>,
  database: string,
  connections: readonly string[],
  signal: AbortSignal,
): Promise<Scope> {
  const ask = async (sql: string, params: Readonly<Record<string, string>>): Promise<readonly unknown[]> => {
    const settings = { readonly: 1, max_execution_time: 10 }
    const body = await client.query({ sql, params, format: 'JSONEachRow', settings }, signal)
    const lines = (await textOf(body, MOST_TEXT)).split('\n').filter((text) => text !== '')
    return lines.map((text) => JSON.parse(text) as unknown)
  }
  const [tables, known] = await Promise.all([ask(SQL, { database }), ask(KNOWN_SQL, {})])
  if (tables.length > MOST_TABLES) throw new Failure('upstream-failed', 'the audit database has too many tables')
  const unsafe = known.map((row) => setting.parse(row).name)
  return scopeTo(
    connections,
    database,
    tables.map((row) => table.parse(row)),
    unsafe,
  )
}

/** The same of tables that are known, and of optimizations that must be off. Pure. */
export function scopeTo(
  connections: readonly string[],
  database: string,
  tables: readonly z.infer<typeof table>[],
  unsafe: readonly string[] = UNSAFE,
): Scope {
  const filter = onlyOf(connections)
  const hidden = new Set<string>()
  const filters: string[] = []
  for (const { name, engine, scoped } of tables) {
    // A view is what it reads, and that is filtered.
    if (engine === 'View') continue
    const isFiltered = FILTERED.test(engine) && scoped === 1
    if (!isFiltered) hidden.add(name)
    filters.push(`${quote(`${database}.${name}`)}: ${quote(isFiltered ? filter : '0')}`)
  }
  // Without a filter everything would be seen.
  if (filters.length === 0) throw new Failure('upstream-failed', 'the audit database has no tables yet')
  return {
    hidden,
    settings: {
      additional_table_filters: `{${filters.join(', ')}}`,
      ...Object.fromEntries(unsafe.map((name) => [name, 0])),
      // They count rows that are not theirs.
      output_format_write_statistics: 0,
    },
  }
}

/** A condition on `connection`; false for none. */
export function onlyOf(connections: readonly string[]): string {
  return connections.length === 0 ? '0' : `connection IN (${connections.map(quote).join(', ')})`
}
