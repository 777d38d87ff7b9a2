/** DuckDB's types as BigQuery's table schema, values as JSON text in BigQuery's encoding, and parameters back into SQL. */
import { invalidQuery, unsupported } from './errors.ts'
import { fieldsOf, googleType } from './sql/catalog.ts'
import type { Expression } from './sql/functions.ts'
import { quote, stringSql } from './sql/translate.ts'

export interface Field {
  readonly name: string
  readonly type: string
  readonly mode: 'NULLABLE' | 'REQUIRED' | 'REPEATED'
  readonly fields?: readonly Field[]
}

const WIRE: Record<string, string> = { INT64: 'INTEGER', FLOAT64: 'FLOAT', BOOL: 'BOOLEAN' }

/** A column as `schema.fields` shows it. */
export function fieldOf(name: string, type: string, required = false): Field {
  if (type.endsWith('[][]')) throw invalidQuery('Cannot return an array of arrays')
  const repeated = type.endsWith('[]')
  const element = repeated ? type.slice(0, -2) : type
  const google = googleType(element)
  const mode = repeated ? 'REPEATED' : required ? 'REQUIRED' : 'NULLABLE'
  if (!google.startsWith('STRUCT<')) return { name, type: WIRE[google] ?? google, mode }
  return { name, type: 'RECORD', mode, fields: fieldsOf(element).map((field) => fieldOf(field.name, field.type)) }
}

/** SQL that makes a whole row's JSON text, a comma behind it, from columns `c0`, `c1`, … */
export function rowText(types: readonly string[]): string {
  const cells = types.map((type, at) => `${at === 0 ? '' : "'},', "}'{"v":', ${json(`c${at}`, type, 0)}`)
  return `concat('{"f":[', ${cells.join(', ')}, '}]},')`
}

/** SQL for one value's JSON text; never NULL. */
function json(value: string, type: string, depth: number): string {
  if (type.endsWith('[]')) {
    const element = `_x${depth}`
    const item = `concat('{"v":', ${json(element, type.slice(0, -2), depth + 1)}, '}')`
    return `CASE WHEN ${value} IS NULL THEN '[]' ELSE concat('[', array_to_string(list_transform(${value}, lambda ${element}: ${item}), ','), ']') END`
  }
  const google = googleType(type)
  if (google.startsWith('STRUCT<')) {
    const fields = fieldsOf(type).map(
      (field, at) =>
        `${at === 0 ? '' : "'},', "}'{"v":', ${json(`struct_extract(${value}, ${stringSql(field.name)})`, field.type, depth)}`,
    )
    return `CASE WHEN ${value} IS NULL THEN 'null' ELSE concat('{"f":[', ${fields.join(', ')}, '}]}') END`
  }
  const plain = plainText(value, google, type)
  if (plain !== undefined) return `CASE WHEN ${value} IS NULL THEN 'null' ELSE concat('"', ${plain}, '"') END`
  const string = google === 'GEOGRAPHY' ? `struct_extract(${value}, '_wkt')` : `CAST(${value} AS VARCHAR)`
  // Escaping is what costs most; few strings need it.
  return `CASE WHEN ${string} IS NULL THEN 'null' WHEN regexp_matches(${string}, '["\\\\\\x00-\\x1f\\x7f]') THEN CAST(to_json(${string}) AS VARCHAR)
    ELSE concat('"', ${string}, '"') END`
}

/** SQL of a text that never needs escaping, or undefined for a type whose text may. */
function plainText(value: string, google: string, type: string): string | undefined {
  switch (google) {
    case 'INT64':
    case 'BOOL':
    case 'DATE':
      return value
    case 'FLOAT64':
      return `bq_float_text(CAST(${value} AS DOUBLE))`
    case 'NUMERIC':
      return `bq_decimal_text(CAST(${type === 'DECIMAL(38,9)' ? value : `CAST(${value} AS DECIMAL(38,9))`} AS VARCHAR))`
    case 'BIGNUMERIC':
      return `bq_decimal_text(CAST(${value} AS VARCHAR))`
    case 'BYTES':
      return `to_base64(${value})`
    case 'TIMESTAMP':
      return `epoch_us(${value})`
    case 'DATETIME':
      return `bq_datetime_text(${value})`
    case 'TIME':
      return `bq_time_text(${value})`
    case 'INTERVAL':
      return `bq_interval_text(${value})`
    default:
      return undefined
  }
}

/** True where some value is a TIMESTAMP, whose form the reader of a page may choose. */
export function hasTimestamp(fields: readonly Field[]): boolean {
  return fields.some((field) => field.type === 'TIMESTAMP' || hasTimestamp(field.fields ?? []))
}

/** One cell of a row on the wire. */
export interface Cell {
  v: unknown
}

/** Rewrites rows so that TIMESTAMPs are seconds as a float's text, BigQuery's default form. */
export function floatTimestamps(fields: readonly Field[], rows: readonly { f: Cell[] }[]): void {
  for (const row of rows) {
    row.f.forEach((cell, at) => {
      const field = fields[at]
      if (field === undefined || cell.v === null) return
      const cells = field.mode === 'REPEATED' ? (cell.v as Cell[]) : [cell]
      for (const one of cells) {
        if (one.v === null) continue
        if (field.type === 'RECORD') floatTimestamps(field.fields ?? [], [one.v as { f: Cell[] }])
        else if (field.type === 'TIMESTAMP') one.v = secondsText(scalarText(one.v))
      }
    })
  }
}

/** A JSON scalar as text; empty for anything else. */
export function scalarText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

function secondsText(micros: string): string {
  const seconds = (Number(micros) / 1e6).toString()
  return seconds.includes('.') ? seconds : `${seconds}.0`
}

export interface ParameterType {
  readonly type: string
  readonly arrayType?: ParameterType
  readonly structTypes?: readonly { readonly name?: string; readonly type: ParameterType }[]
}

export interface ParameterValue {
  readonly value?: unknown
  readonly arrayValues?: readonly ParameterValue[]
  readonly structValues?: Readonly<Record<string, ParameterValue>>
}

const DUCK: Record<string, string> = {
  INT64: 'BIGINT',
  INTEGER: 'BIGINT',
  FLOAT64: 'DOUBLE',
  FLOAT: 'DOUBLE',
  NUMERIC: 'DECIMAL(38,9)',
  BIGNUMERIC: 'DECIMAL(38,20)',
  BOOL: 'BOOLEAN',
  BOOLEAN: 'BOOLEAN',
  STRING: 'VARCHAR',
  BYTES: 'BLOB',
  DATE: 'DATE',
  TIME: 'TIME',
  DATETIME: 'TIMESTAMP',
  TIMESTAMP: 'TIMESTAMPTZ',
  INTERVAL: 'INTERVAL',
  JSON: 'JSON',
  GEOGRAPHY: 'STRUCT(_wkt VARCHAR)',
}

function duckType(type: ParameterType): string {
  if (type.type === 'ARRAY') return `${duckType(type.arrayType ?? { type: 'missing' })}[]`
  if (type.type === 'STRUCT') {
    return `STRUCT(${(type.structTypes ?? []).map((field, at) => `${quote(field.name ?? `_field_${at + 1}`)} ${duckType(field.type)}`).join(', ')})`
  }
  const known = Object.hasOwn(DUCK, type.type) ? DUCK[type.type] : undefined
  if (known === undefined) throw unsupported(`A parameter of type ${type.type}`)
  return known
}

/** A query parameter as it came in the request, as SQL. Throws 400. */
export function parameterSql(type: ParameterType, value: ParameterValue | undefined): Expression {
  const duck = duckType(type)
  if (type.type === 'ARRAY') {
    const items = (value?.arrayValues ?? []).map(
      (item) => parameterSql(type.arrayType ?? { type: 'missing' }, item).sql,
    )
    return { sql: `CAST([${items.join(', ')}] AS ${duck})` }
  }
  if (type.type === 'STRUCT') {
    const fields = (type.structTypes ?? []).map((field, at) => {
      const name = field.name ?? `_field_${at + 1}`
      return `${quote(name)} := ${parameterSql(field.type, value?.structValues?.[name]).sql}`
    })
    if (value?.structValues === undefined || fields.length === 0) return { sql: `CAST(NULL AS ${duck})` }
    return { sql: `CAST(struct_pack(${fields.join(', ')}) AS ${duck})` }
  }
  const given = value?.value
  if (given === undefined || given === null) return { sql: `CAST(NULL AS ${duck})` }
  if (type.type === 'BYTES') return { sql: `unhex('${bytesOf(given).toString('hex')}')` }
  if (typeof given === 'object') throw invalidQuery(`Invalid value for a parameter of type ${type.type}`)
  const literal = scalarText(given)
  if (type.type === 'STRING') return { sql: stringSql(literal), literal }
  if (duck === 'BIGINT' && !/^\s*[+-]?\d+\s*$/.test(literal))
    throw invalidQuery('Invalid value for a parameter of type INT64')
  if (type.type === 'INTERVAL') return { sql: intervalSql(literal) }
  if (type.type === 'BIGNUMERIC' && !/^[+-]?\d{0,18}(?:\.\d{0,20})?$/.test(literal))
    throw unsupported('A BIGNUMERIC of more than 18 digits before the point or 20 behind it')
  if (type.type === 'GEOGRAPHY') return { sql: `struct_pack(_wkt := ${stringSql(literal)})` }
  return { sql: `CAST(${stringSql(literal)} AS ${duck})`, literal }
}

/** `years-months days hours:minutes:seconds`, BigQuery's canonical form. */
function intervalSql(literal: string): string {
  const form =
    /^\s*([+-]?)(\d{1,5})-(\d{1,6}) ([+-]?\d{1,7}) ([+-]?)(\d{1,8}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?\s*$/.exec(
      literal,
    )
  if (form === null) throw invalidQuery('Invalid value for a parameter of type INTERVAL')
  const [, sign, years, months, days, clock, hours, minutes, seconds, fraction = ''] = form
  const total = Number(years) * 12 + Number(months)
  const micros =
    ((BigInt(hours ?? 0) * 60n + BigInt(minutes ?? 0)) * 60n + BigInt(seconds ?? 0)) * 1_000_000n +
    BigInt(fraction.padEnd(6, '0'))
  return `(to_months(${sign === '-' ? -total : total}) + to_days(${Number(days)}) + to_microseconds(${clock === '-' ? -micros : micros}))`
}

/** Base64, or the JSON of a Node buffer, which is what the official Node client sends. */
function bytesOf(given: unknown): Buffer {
  if (typeof given === 'object' && given !== null && 'data' in given && Array.isArray(given.data))
    return Buffer.from(given.data as number[])
  return Buffer.from(scalarText(given), 'base64')
}
