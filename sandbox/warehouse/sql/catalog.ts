/** What tables and views there are, and INFORMATION_SCHEMA over them. */
import { notFound, unsupported } from '../errors.ts'

export const PROJECT = 'sluice-sandbox'

export interface Column {
  readonly name: string
  /** DuckDB's type. */
  readonly type: string
  readonly required: boolean
}

export interface Relation {
  readonly kind: 'table' | 'view'
  readonly dataset: string
  readonly name: string
  readonly columns: readonly Column[]
  /** A view's GoogleSQL. */
  readonly source?: string
  /** Partitioned by ingestion time: the table holds `_PARTITIONTIME`, which is none of its columns. */
  readonly ingested?: true
}

export type Catalog = ReadonlyMap<string, ReadonlyMap<string, Relation>>

/** GoogleSQL's name of a DuckDB type: `ARRAY<STRUCT<sku STRING>>`. */
export function googleType(type: string): string {
  if (type.endsWith('[]')) return `ARRAY<${googleType(type.slice(0, -2))}>`
  if (/^STRUCT\("?_wkt"? VARCHAR\)$/.test(type)) return 'GEOGRAPHY'
  if (type.startsWith('STRUCT(')) {
    return `STRUCT<${fieldsOf(type)
      .map((field) => `${field.name} ${googleType(field.type)}`)
      .join(', ')}>`
  }
  if (type.startsWith('DECIMAL')) return type === 'DECIMAL(38,20)' ? 'BIGNUMERIC' : 'NUMERIC'
  const known: Record<string, string> = {
    BOOLEAN: 'BOOL',
    DOUBLE: 'FLOAT64',
    FLOAT: 'FLOAT64',
    VARCHAR: 'STRING',
    BLOB: 'BYTES',
    DATE: 'DATE',
    TIME: 'TIME',
    TIMESTAMP: 'DATETIME',
    'TIMESTAMP WITH TIME ZONE': 'TIMESTAMP',
    INTERVAL: 'INTERVAL',
    JSON: 'JSON',
    UUID: 'STRING',
    TINYINT: 'INT64',
    SMALLINT: 'INT64',
    INTEGER: 'INT64',
    BIGINT: 'INT64',
    HUGEINT: 'INT64',
    UTINYINT: 'INT64',
    USMALLINT: 'INT64',
    UINTEGER: 'INT64',
    UBIGINT: 'INT64',
    '"NULL"': 'INT64',
    NULL: 'INT64',
  }
  const name = known[type]
  if (name === undefined) throw unsupported(`The type ${type}`)
  return name
}

/** A DuckDB struct type's fields. */
export function fieldsOf(type: string): { name: string; type: string }[] {
  const inner = type.slice(7, -1)
  const names = structFields(type) ?? []
  const parts: string[] = []
  let depth = 0
  let start = 0
  let open = false
  for (let at = 0; at <= inner.length; at++) {
    const unit = inner[at]
    if (unit === '"') open = !open
    if (open) continue
    if (unit === '(') depth++
    else if (unit === ')') depth--
    else if ((unit === ',' && depth === 0) || unit === undefined) {
      parts.push(inner.slice(start, at).trim())
      start = at + 1
    }
  }
  return parts.map((part, at) => ({
    name: names[at] ?? '',
    type: part.replace(/^(?:"(?:[^"]|"")*"|\w+)\s+/, ''),
  }))
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`

/** INFORMATION_SCHEMA's view as a subquery of values. */
export function informationSchema(catalog: Catalog, before: readonly string[], after: readonly string[]): string {
  const scope = before.filter((part) => part !== PROJECT && !/^region-/i.test(part))
  const [dataset] = scope
  if (dataset !== undefined && !catalog.has(dataset)) throw notFound('Dataset', `${PROJECT}:${dataset}`)
  const view = (after[0] ?? '').toUpperCase()
  const tables = [...catalog]
    .filter(([name]) => dataset === undefined || name === dataset)
    .flatMap(([, found]) => [...found.values()])
  switch (view) {
    case 'SCHEMATA':
      return values(
        ['catalog_name', 'schema_name', 'location'],
        [...catalog.keys()].map((name) => [text(PROJECT), text(name), "'US'"]),
      )
    case 'TABLES':
      return values(
        ['table_catalog', 'table_schema', 'table_name', 'table_type', 'is_insertable_into'],
        tables.map((table) => [
          text(PROJECT),
          text(table.dataset),
          text(table.name),
          table.kind === 'view' ? "'VIEW'" : "'BASE TABLE'",
          table.kind === 'view' ? "'NO'" : "'YES'",
        ]),
      )
    case 'VIEWS':
      return values(
        ['table_catalog', 'table_schema', 'table_name', 'view_definition', 'use_standard_sql'],
        tables
          .filter((table) => table.kind === 'view')
          .map((table) => [text(PROJECT), text(table.dataset), text(table.name), text(table.source ?? ''), "'YES'"]),
      )
    case 'COLUMNS':
      return values(
        ['table_catalog', 'table_schema', 'table_name', 'column_name', 'ordinal_position', 'is_nullable', 'data_type'],
        tables.flatMap((table) =>
          table.columns.map((column, at) => [
            text(PROJECT),
            text(table.dataset),
            text(table.name),
            text(column.name),
            `CAST(${at + 1} AS BIGINT)`,
            column.required ? "'NO'" : "'YES'",
            text(googleType(column.type)),
          ]),
        ),
      )
    default:
      throw unsupported(`INFORMATION_SCHEMA.${view}`)
  }
}

function values(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const names = columns.map((column) => `"${column}"`).join(', ')
  if (rows.length === 0)
    return `(SELECT ${columns.map((column) => `CAST(NULL AS VARCHAR) AS "${column}"`).join(', ')} WHERE FALSE)`
  return `(SELECT * FROM (VALUES ${rows.map((row) => `(${row.join(', ')})`).join(', ')}) AS _(${names}))`
}

/** The field names of a DuckDB struct type as text, or undefined for another type. */
export function structFields(type: string): string[] | undefined {
  if (!type.startsWith('STRUCT(') || !type.endsWith(')')) return undefined
  const names: string[] = []
  const inner = type.slice(7, -1)
  let depth = 0
  let wanted = true
  for (let at = 0; at < inner.length; at++) {
    const unit = inner[at]
    if (unit === '"') {
      const end = endOfQuoted(inner, at)
      if (wanted && depth === 0) names.push(inner.slice(at + 1, end).replaceAll('""', '"'))
      wanted = false
      at = end
    } else if (wanted && depth === 0 && unit !== ' ') {
      const name = /^\w+/.exec(inner.slice(at))?.[0] ?? ''
      names.push(name)
      at += Math.max(0, name.length - 1)
      wanted = false
    } else if (unit === '(') depth++
    else if (unit === ')') depth--
    else if (unit === ',' && depth === 0) wanted = true
  }
  return names
}

function endOfQuoted(value: string, start: number): number {
  for (let at = start + 1; at < value.length; at++) {
    if (value[at] !== '"') continue
    if (value[at + 1] === '"') at++
    else return at
  }
  return value.length
}
