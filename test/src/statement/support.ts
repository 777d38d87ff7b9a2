/** A small catalog, and statements in one line: what a test asserts stands beside what it asks. */
import { readFileSync } from 'node:fs'
import type { Bounds, Parameter, SqlStatement, SqlType, Table, TablePath } from '../../../src/exchange.ts'
import type { Refusal, Schemas, Statements } from '../../../src/statement/contract.ts'
import { createStatements } from '../../../src/statement/index.ts'

const wasm = new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm'))

/** Fresh, with nothing cached. */
export function statements(): Statements {
  return createStatements(wasm)
}

export const DEFAULTS = { project: 'own' }
export const BOUNDS: Bounds = { maxRows: 10, timeoutMs: 1000, maxBytesBilled: 1000 }

const INT64: SqlType = { kind: 'INT64' }
const STRING: SqlType = { kind: 'STRING' }
const ADDRESS: SqlType = {
  kind: 'STRUCT',
  fields: [
    { name: 'street', type: STRING },
    { name: 'city', type: STRING },
  ],
}
const CONTACTS: SqlType = {
  kind: 'ARRAY',
  of: {
    kind: 'STRUCT',
    fields: [
      { name: 'kind', type: STRING },
      { name: 'value', type: STRING },
    ],
  },
}

type Columns = readonly (readonly [string, SqlType])[]

const CUSTOMERS: Columns = [
  ['id', INT64],
  ['name', STRING],
  ['email', STRING],
  ['address', ADDRESS],
  ['tags', { kind: 'ARRAY', of: STRING }],
  ['contacts', CONTACTS],
  ['metadata', { kind: 'JSON' }],
]

/** `project.dataset.table` → its columns; with a text, a view. */
const CATALOG: Readonly<Record<string, Columns | readonly [Columns, string]>> = {
  'own.shop.customers': CUSTOMERS,
  'own.shop.orders': [
    ['id', INT64],
    ['customer_id', INT64],
    ['amount', { kind: 'NUMERIC' }],
    ['status', STRING],
  ],
  'own.shop.leads': [
    ['email', STRING],
    ['source', STRING],
  ],
  'own.shop.events_*': [
    ['event_id', INT64],
    ['name', STRING],
  ],
  'own.hr.salaries': [
    ['employee_id', INT64],
    ['salary', INT64],
  ],
  'own.shop.INFORMATION_SCHEMA.TABLES': [['table_name', STRING]],
  'other-1.d.t': [['x', INT64]],
  'own.shop.directory': [
    [
      ['id', INT64],
      ['email', STRING],
      ['city', STRING],
    ],
    'SELECT id, email, address.city FROM shop.customers -- as it was saved',
  ],
  'own.shop.deeper': [[['email', STRING]], 'SELECT email FROM `own.shop.directory` WHERE id > 1'],
  'own.shop.circle': [[['a', INT64]], 'SELECT a FROM shop.circle2'],
  'own.shop.circle2': [[['a', INT64]], 'SELECT a FROM shop.circle'],
  'own.shop.renamed': [[['mail', STRING]], 'SELECT email FROM shop.customers'],
  'other-1.d.v': [[['x', INT64]], 'SELECT x FROM d.t'],
}

export const schemas: Schemas = {
  table: (path: TablePath) => Promise.resolve(tableOf(path)),
}

function tableOf(path: TablePath): Table | undefined {
  const entry = CATALOG[`${path.project}.${path.dataset}.${path.table}`]
  if (entry === undefined) return undefined
  const definition = typeof entry[1] === 'string' ? entry[1] : undefined
  const columns = (definition === undefined ? entry : entry[0]) as Columns
  return {
    path,
    resource: `${path.project === 'own' ? '' : `${path.project}.`}${path.dataset}.${path.table}`,
    kind: definition === undefined ? 'TABLE' : 'VIEW',
    version: '1',
    columns: columns.map(([name, type]) => ({ name, type, nullable: true })),
    ...(definition !== undefined && { definition }),
  }
}

/** Parses and binds. */
export async function bind(
  sql: string,
  parameters: readonly Parameter[] = [],
  by: Statements = statements(),
): Promise<SqlStatement | Refusal> {
  const parsed = by.parse(sql, DEFAULTS)
  if (parsed.refused) return parsed
  return by.bind(parsed, DEFAULTS, schemas, parameters, BOUNDS, AbortSignal.timeout(10_000))
}

/** Binds what must be understood. */
export async function bound(sql: string, parameters: readonly Parameter[] = []): Promise<SqlStatement> {
  const statement = await bind(sql, parameters)
  if ('refused' in statement) throw new Error(`${statement.code}: ${statement.message}`)
  return statement
}

/** `email<customers.email id<customers.id | customers.email customers.id`: outputs with their sources, then reads. */
export function flow(statement: SqlStatement | Refusal): string {
  if ('refused' in statement) return `${statement.code} ${statement.line}:${statement.column} ${statement.message}`
  const short = (names: readonly string[]): string => names.map((name) => name.replace(/^shop\./, '')).join(' ')
  const output = statement.output.map(({ name, sources }) => `${name}<${short(sources).replaceAll(' ', ',')}`)
  return `${output.join(' ')} | ${short(statement.columnsRead)}`
}
