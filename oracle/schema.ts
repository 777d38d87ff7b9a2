/** A small warehouse, told to us and to ZetaSQL alike. */
import type { SqlField, SqlType, Table, TablePath } from '../src/exchange.ts'
import type { Schemas } from '../src/statement/contract.ts'

const INT64: SqlType = { kind: 'INT64' }
const STRING: SqlType = { kind: 'STRING' }

const struct = (fields: Readonly<Record<string, SqlType>>): SqlType => ({
  kind: 'STRUCT',
  fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
})
const array = (of: SqlType): SqlType => ({ kind: 'ARRAY', of })

/** `dataset.table` → its columns. Datasets, tables, columns and fields share names on purpose: each hides others somewhere. */
export const TABLES: Readonly<Record<string, readonly SqlField[]>> = Object.fromEntries(
  Object.entries({
    'shop.customers': {
      id: INT64,
      name: STRING,
      email: STRING,
      address: struct({ street: STRING, city: STRING, geo: struct({ lat: { kind: 'FLOAT64' }, name: STRING }) }),
      tags: array(STRING),
      contacts: array(struct({ kind: STRING, value: STRING, tags: array(STRING) })),
      born: { kind: 'DATE' },
    },
    'shop.orders': {
      id: INT64,
      customer_id: INT64,
      amount: { kind: 'NUMERIC' },
      status: STRING,
      lines: array(struct({ sku: STRING, id: INT64, price: { kind: 'FLOAT64' } })),
      placed: { kind: 'TIMESTAMP' },
    },
    'shop.leads': { email: STRING, name: STRING, source: STRING },
    // Called like a column of another, like a dataset, like a field.
    'shop.address': { id: INT64, email: STRING, city: STRING },
    'shop.hr': { id: INT64, salaries: array(struct({ salary: INT64, name: STRING })) },
    'hr.salaries': { id: INT64, name: STRING, salary: INT64, paid: { kind: 'BOOL' } },
    'hr.customers': { id: INT64, ssn: STRING },
  } satisfies Record<string, Record<string, SqlType>>).map(([name, columns]) => [
    name,
    Object.entries(columns).map(([name, type]) => ({ name, type })),
  ]),
)

/** Views: ours are tables with a text, ZetaSQL has them as CTEs in front of the query; see `withViews`. */
export const VIEWS: Readonly<Record<string, { readonly columns: readonly SqlField[]; readonly definition: string }>> = {
  v_people: {
    columns: [
      { name: 'id', type: INT64 },
      { name: 'mail', type: STRING },
      { name: 'town', type: STRING },
      { name: 'geo', type: struct({ lat: { kind: 'FLOAT64' }, name: STRING }) },
      { name: 'tags', type: array(STRING) },
    ],
    definition: `SELECT id, email AS mail, address.city AS town, address.geo, tags FROM own.shop.customers WHERE name != 'x'`,
  },
  v_pay: {
    columns: [
      { name: 'name', type: STRING },
      { name: 'more', type: INT64 },
      { name: 'ssn', type: STRING },
    ],
    definition:
      'SELECT s.name, s.salary + 1 AS more, c.ssn FROM own.hr.salaries AS s JOIN own.hr.customers AS c USING (id)',
  },
  v_deep: {
    columns: [
      { name: 'mail', type: STRING },
      { name: 'town', type: STRING },
      { name: 'top', type: INT64 },
    ],
    definition:
      'SELECT p.mail, ANY_VALUE(p.town) AS town, MAX(w.more) AS top FROM own.shop.v_people AS p LEFT JOIN own.shop.v_pay AS w ON w.name = p.mail GROUP BY p.mail',
  },
}

/** A query that names views, as ZetaSQL is asked: each of them, and what they name, a CTE in front. */
export function withViews(sql: string): string {
  const local = (text: string): string => text.replaceAll(/\b(own\.)?shop\.(v_(?:people|pay|deep))\b/gi, '$2')
  const named = new Set(sql.toLowerCase().match(/\bv_(people|pay|deep)\b/g))
  if (named.size === 0) return sql
  if (named.has('v_deep')) for (const name of Object.keys(VIEWS)) named.add(name)
  const ctes = Object.entries(VIEWS)
    .filter(([name]) => named.has(name))
    .map(([name, { definition }]) => `${name} AS (${local(definition)})`)
  const [, words = '', rest = ''] = /^\s*(WITH\s+(?:RECURSIVE\s+)?)?([^]*)$/i.exec(local(sql)) ?? []
  return words === '' ? `WITH ${ctes.join(', ')} ${rest}` : `${words}${ctes.join(', ')}, ${rest}`
}

/** As our binder asks for it. */
export const SCHEMAS: Schemas = { table: (path) => Promise.resolve(tableOf(path)) }

function tableOf(path: TablePath): Table | undefined {
  const resource = `${path.dataset}.${path.table}`
  const view = path.dataset === 'shop' && path.project === 'own' ? VIEWS[path.table] : undefined
  if (view !== undefined) {
    const { columns, definition } = view
    return {
      path,
      resource,
      kind: 'VIEW',
      version: '1',
      definition,
      columns: columns.map((c) => ({ ...c, nullable: true })),
    }
  }
  const columns = path.project === 'own' ? TABLES[resource] : undefined
  if (columns === undefined) return undefined
  return { path, resource, kind: 'TABLE', version: '1', columns: columns.map((c) => ({ ...c, nullable: true })) }
}

/** As ZetaSQL's service asks for it: `a.b`, `own.a.b`, each whole in one pair of backticks, and b of `shop`. */
export function catalog(languageOptions: object): object {
  const datasets = Map.groupBy(Object.entries(TABLES), ([name]) => name.split('.')[0] ?? '')
  const catalogs = [...datasets].map(([name, tables]) => ({
    name,
    table: tables.map(([table, columns]) => simpleTable(table, columns, table.split('.')[1] ?? '')),
  }))
  const whole = Object.entries(TABLES).flatMap(([table, columns]) => [
    simpleTable(table, columns, table),
    simpleTable(table, columns, `own.${table}`),
    // The dataset where names of one part stand.
    ...(table.startsWith('shop.') ? [simpleTable(table, columns, table.slice('shop.'.length))] : []),
  ])
  return {
    name: 'root',
    builtinFunctionOptions: { languageOptions },
    catalog: [...catalogs, { name: 'own', catalog: catalogs }],
    table: whole,
  }
}

function simpleTable(name: string, columns: readonly SqlField[], nameInCatalog: string): object {
  return { name, nameInCatalog, column: columns.map(({ name, type }) => ({ name, type: typeProto(type) })) }
}

/** ZetaSQL's `TypeKind`. */
const KINDS: Readonly<Record<number, SqlType['kind']>> = {
  2: 'INT64',
  5: 'BOOL',
  7: 'FLOAT64',
  8: 'STRING',
  9: 'BYTES',
  10: 'DATE',
  16: 'ARRAY',
  17: 'STRUCT',
  19: 'TIMESTAMP',
  20: 'TIME',
  21: 'DATETIME',
  22: 'GEOGRAPHY',
  23: 'NUMERIC',
  24: 'BIGNUMERIC',
  26: 'JSON',
  27: 'INTERVAL',
  29: 'RANGE',
}

interface TypeProto {
  readonly typeKind: number
  readonly arrayType?: { readonly elementType: TypeProto }
  readonly structType?: { readonly field?: readonly { readonly fieldName: string; readonly fieldType: TypeProto }[] }
}

function typeProto(type: SqlType): TypeProto {
  const typeKind = Number(Object.entries(KINDS).find(([, kind]) => kind === type.kind)?.[0])
  if (type.kind === 'ARRAY') return { typeKind, arrayType: { elementType: typeProto(type.of) } }
  if (type.kind !== 'STRUCT') return { typeKind }
  const field = type.fields.map(({ name, type }) => ({ fieldName: name, fieldType: typeProto(type) }))
  return { typeKind, structType: { field } }
}

/** `undefined` for what BigQuery does not have. */
export function typeOf(proto: TypeProto): SqlType | undefined {
  const kind = KINDS[proto.typeKind]
  if (kind === undefined || kind === 'RANGE') return undefined
  if (kind === 'ARRAY') {
    const of = proto.arrayType && typeOf(proto.arrayType.elementType)
    return of && { kind, of }
  }
  if (kind !== 'STRUCT') return { kind }
  const fields: SqlField[] = []
  for (const { fieldName: name, fieldType } of proto.structType?.field ?? []) {
    const type = typeOf(fieldType)
    if (type === undefined) return undefined
    fields.push({ name, type })
  }
  return { kind, fields }
}

/** All paths under one that hold no STRUCT: `shop.customers.address` → `….street`, `….city`, … `ssn` of no table: itself. */
export function leavesOf(path: string): string[] {
  const [dataset, table, ...names] = path.split('.')
  let type: SqlType | undefined = { kind: 'STRUCT', fields: TABLES[`${dataset}.${table}`] ?? [] }
  for (const name of names) {
    const within: SqlType | undefined = elementOf(type)
    type = within?.kind === 'STRUCT' ? within.fields.find((f) => f.name === name)?.type : undefined
  }
  return leavesBelow(path, type)
}

function leavesBelow(path: string, type: SqlType | undefined): string[] {
  const within = elementOf(type)
  if (within?.kind !== 'STRUCT') return [path]
  return within.fields.flatMap((field) => leavesBelow(`${path}.${field.name}`, field.type))
}

/** Of an array what is in it. */
export function elementOf(type: SqlType | undefined): SqlType | undefined {
  return type?.kind === 'ARRAY' ? elementOf(type.of) : type
}
