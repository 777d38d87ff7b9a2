/**
 * Which table columns flow into which column of an answer, read off ZetaSQL's resolved tree. Nothing of our own binder is in
 * it: where the tree holds something unknown, all that stands in it flows.
 */
import { elementOf, TABLES } from './schema.ts'

/** The service's JSON. Numbers of 64 bits come as `{ low }`; of a `oneof` the field `node` names the member. */
export type Json = null | string | number | boolean | readonly Json[] | { readonly [key: string]: Json }
type JsonObject = { readonly [key: string]: Json }

/** Where a value comes from: fields (by number) of a column of the tree, by its id. */
interface Flow {
  readonly column: number
  readonly fields: readonly number[]
}

type Definition =
  | { readonly is: 'table'; readonly table: string; readonly name: string }
  | { readonly is: 'made'; readonly of: Json }
  | { readonly is: 'same'; readonly columns: readonly number[] }

export interface TheirOutput {
  /** Begins with `$` where it has none. */
  readonly name: string
  readonly type: Json
  readonly sources: readonly string[]
}

export interface Lineage {
  /** `shop.customers`: what is read or changed. */
  readonly tables: ReadonlySet<string>
  readonly output: readonly TheirOutput[]
  /** `shop.customers.email`: what is read of tables for any purpose. */
  readonly read: readonly string[]
  /** The same by the expressions that use it, to the field: `shop.customers.address.city`. */
  readonly used: readonly string[]
}

/** Calls that hand one of their arguments on whole: a field of the result is a field of an argument. */
const HANDED_ON = new Set(
  '$case_no_value if ifnull coalesce nullif $make_array $array_at_offset $array_at_ordinal $safe_array_at_offset $safe_array_at_ordinal array_concat array_reverse any_value array_agg array_concat_agg first_value last_value nth_value lag lead min max'.split(
    ' ',
  ),
)

const DML = /^resolved(Insert|Update|Delete|Merge)StmtNode$/

/** Of a query, or of DML, which has no output. `undefined` for all others. */
export function lineageOf(statement: JsonObject): Lineage | undefined {
  const { kind, body } = concrete(statement)
  const tree = new Definitions()
  tree.collect(body)
  const { tables } = tree
  // The columns of a target's scan are those that are assigned, too.
  if (DML.test(kind)) return { tables, output: [], read: [], used: [...tree.used()].sort() }
  if (kind !== 'resolvedQueryStmtNode') return undefined
  const output = list(body['outputColumnList']).flatMap((item) => {
    const { name, column } = object(item)
    return outputs(text(name), object(column ?? null), body['isValueTable'] === true, tree)
  })
  return { tables, output, read: [...tree.read].sort(), used: [...tree.used()].sort() }
}

/** A query `AS STRUCT` answers with its fields as columns. */
function outputs(name: string, column: JsonObject, isRow: boolean, tree: Definitions): TheirOutput[] {
  const id = number(column['columnId'])
  const type = column['type'] ?? null
  const fields = isRow ? list(object(object(type)['structType'] ?? null)['field']).map(object) : []
  if (fields.length === 0) return [{ name, type, sources: [...tree.sources({ column: id, fields: [] })].sort() }]
  return fields.map(({ fieldName, fieldType }, nth) => ({
    name: fieldName === '' ? '$' : text(fieldName),
    type: fieldType ?? null,
    sources: [...tree.sources({ column: id, fields: [nth] })].sort(),
  }))
}

class Definitions {
  readonly tables = new Set<string>()
  readonly read = new Set<string>()
  readonly #byId = new Map<number, Definition[]>()
  readonly #withColumns = new Map<string, readonly number[]>()
  /** Of the recursive queries around, the innermost last. */
  readonly #recursive: (readonly number[])[] = []
  readonly #expressions: Json[] = []
  #unpivoted = 0

  /** Walks over all that stands in a node. */
  collect(json: Json): void {
    if (Array.isArray(json)) for (const item of json) this.collect(item)
    else if (json !== null && typeof json === 'object') this.#object(json as JsonObject)
  }

  #object(json: JsonObject): void {
    if (json['column'] !== undefined && json['expr'] !== undefined) {
      this.#define(json['column'], { is: 'made', of: json['expr'] })
      // A name for a column or field is no use of it: whoever uses the name is.
      if (isChain(json['expr'])) return
    }
    const { kind, body } = concrete(json)
    if (kind !== '') this.#node(kind, body)
    else {
      // What is assigned is not used.
      const isAssigned = json['setValue'] !== undefined
      for (const [key, value] of Object.entries(json)) {
        if (!isParameters(key) && !(isAssigned && key === 'target')) this.collect(value)
      }
    }
  }

  #node(kind: string, body: JsonObject): void {
    switch (kind) {
      case 'resolvedTableScanNode':
        this.#table(body)
        break
      case 'resolvedArrayScanNode':
        this.#define(body['elementColumn'], { is: 'made', of: body['arrayExpr'] ?? null })
        // Of an array that is a column, whoever uses its elements does.
        if (isChain(body['arrayExpr'] ?? null)) {
          this.#parts({ ...body, arrayExpr: null })
          return
        }
        break
      case 'resolvedSetOperationScanNode':
        for (const item of list(body['inputItemList'])) this.#alike(body, object(item))
        break
      case 'resolvedWithScanNode':
        for (const entry of list(body['withEntryList'])) {
          const { withQueryName, withSubquery } = object(entry)
          this.#withColumns.set(text(withQueryName), columnsOf(object(withSubquery ?? null)))
        }
        break
      case 'resolvedWithRefScanNode':
        this.#same(columnsOfBody(body), this.#withColumns.get(text(body['withQueryName'])) ?? [])
        break
      case 'resolvedRecursiveScanNode':
        this.#alike(body, object(body['nonRecursiveTerm'] ?? null))
        this.#alike(body, object(body['recursiveTerm'] ?? null))
        this.#recursive.push(columnsOfBody(body))
        this.#parts(body)
        this.#recursive.pop()
        return
      case 'resolvedRecursiveRefScanNode':
        this.#same(columnsOfBody(body), this.#recursive.at(-1) ?? [])
        break
      case 'resolvedPivotScanNode':
        this.#pivot(body)
        break
      case 'resolvedUnpivotScanNode':
        this.#unpivot(body)
        return
      default:
        if (kind === 'resolvedColumnRefNode' || kind === 'resolvedGetStructFieldNode') {
          this.#expressions.push({ node: kind, [kind]: body })
          // The column below the field is no use of the whole.
          if (kind === 'resolvedGetStructFieldNode' && isChain(body['expr'] ?? null)) return
        }
    }
    this.#parts(body)
  }

  #parts(body: JsonObject): void {
    for (const [key, value] of Object.entries(body)) if (!isParameters(key)) this.collect(value)
  }

  #table(body: JsonObject): void {
    const table = text(object(body['table'] ?? null)['name'])
    this.tables.add(table)
    for (const column of list(object(body['parent'] ?? null)['columnList'])) {
      const name = text(object(column)['name'])
      const known = TABLES[table]?.find((c) => c.name.toLowerCase() === name.toLowerCase())?.name ?? name
      if (this.#unpivoted === 0) this.read.add(`${table}.${known}`)
      this.#define(column, { is: 'table', table, name: known })
    }
  }

  #pivot(body: JsonObject): void {
    const expressions = list(body['pivotExprList'])
    for (const item of list(body['pivotColumnList'])) {
      const { column, pivotExprIndex } = object(item)
      this.#define(column, { is: 'made', of: expressions[number(pivotExprIndex)] ?? null })
    }
  }

  #unpivot(body: JsonObject): void {
    for (const arg of list(body['unpivotArgList'])) {
      const columns = list(object(arg)['columnList'])
      for (const [nth, column] of list(body['valueColumnList']).entries()) {
        const id = number(object(object(columns[nth] ?? null)['column'] ?? null)['columnId'])
        this.#define(column, { is: 'same', columns: [id] })
      }
    }
    // It hands on every column of its input, those too that nobody uses.
    for (const item of list(body['projectedInputColumnList'])) {
      const { column, expr } = object(item)
      this.#define(column, { is: 'made', of: expr ?? null })
    }
    this.collect(body['unpivotArgList'] ?? null)
    this.#unpivoted++
    this.collect(body['inputScan'] ?? null)
    this.#unpivoted--
  }

  /** A side of a set operation: its columns are the operation's, by position. */
  #alike(operation: JsonObject, side: JsonObject): void {
    this.#same(columnsOfBody(operation), idsOf(side['outputColumnList']))
  }

  #same(columns: readonly number[], others: readonly number[]): void {
    for (const [nth, id] of columns.entries()) {
      const other = others[nth]
      if (other !== undefined) this.#add(id, { is: 'same', columns: [other] })
    }
  }

  #define(column: Json | undefined, definition: Definition): void {
    if (column !== undefined && column !== null) this.#add(number(object(column)['columnId']), definition)
  }

  #add(id: number, definition: Definition): void {
    this.#byId.set(id, [...(this.#byId.get(id) ?? []), definition])
  }

  /** The table columns, to the field, that flow into a column. */
  sources(flow: Flow, found = new Set<string>(), seen = new Set<string>()): Set<string> {
    const key = `${flow.column}.${flow.fields.join('.')}`
    // A recursive query may make ever longer paths only out of ever deeper types: eight is more than any has.
    if (seen.has(key) || flow.fields.length > 8) return found
    seen.add(key)
    for (const definition of this.#byId.get(flow.column) ?? []) {
      if (definition.is === 'table') found.add(pathOf(definition.table, definition.name, flow.fields))
      else if (definition.is === 'same') {
        for (const column of definition.columns) this.sources({ column, fields: flow.fields }, found, seen)
      } else for (const next of flows(definition.of, flow.fields)) this.sources(next, found, seen)
    }
    return found
  }

  /** What expressions name, wherever they stand. */
  used(): Set<string> {
    const found = new Set<string>()
    for (const expression of this.#expressions) {
      for (const flow of flows(expression, [])) this.sources(flow, found)
    }
    return found
  }
}

/** What a value is made of, or (by number, the outermost first) one field of it. */
function flows(json: Json, fields: readonly number[]): Flow[] {
  if (Array.isArray(json)) return json.flatMap((item) => flows(item as Json, fields))
  if (json === null || typeof json !== 'object') return []
  const value = json as JsonObject
  if (typeof value['node'] !== 'string') return Object.values(value).flatMap((part) => flows(part, fields))
  const { kind, body } = concrete(value)
  switch (kind) {
    case 'resolvedColumnRefNode':
      return [{ column: number(object(body['column'] ?? null)['columnId']), fields }]
    case 'resolvedGetStructFieldNode':
      return flows(body['expr'] ?? null, [number(body['fieldIdx']), ...fields])
    case 'resolvedMakeStructNode': {
      const [first, ...rest] = fields
      const parts = list(body['fieldList'])
      return first === undefined ? flows(parts, []) : flows(parts[first] ?? null, rest)
    }
    case 'resolvedSubqueryExprNode':
      return subquery(body, fields)
    case 'resolvedWithExprNode':
      return flows(body['expr'] ?? null, fields)
    default:
      return flows(Object.values(body), HANDED_ON.has(nameOfCall(body)) ? fields : [])
  }
}

const [SCALAR, ARRAY, EXISTS] = [0, 1, 2]

function subquery(body: JsonObject, fields: readonly number[]): Flow[] {
  const type = body['subqueryType']
  if (type === EXISTS) return []
  const [column] = columnsOf(object(body['subquery'] ?? null))
  if (column === undefined) return []
  if (type === SCALAR || type === ARRAY) return [{ column, fields }]
  return [{ column, fields: [] }, ...flows(body['inExpr'] ?? null, [])]
}

function nameOfCall(body: JsonObject): string {
  for (let at: JsonObject = body; ; at = object(at['parent'] ?? null)) {
    const { function: called, parent } = at
    if (called !== undefined && called !== null) return text(object(called)['name']).replace(/^ZetaSQL:/, '')
    if (parent === undefined || parent === null) return ''
  }
}

/** A column, or a field of a field of one. */
function isChain(json: Json): boolean {
  const { kind, body } = concrete(object(json))
  return kind === 'resolvedColumnRefNode' || (kind === 'resolvedGetStructFieldNode' && isChain(body['expr'] ?? null))
}

function pathOf(table: string, name: string, fields: readonly number[]): string {
  let type = elementOf(TABLES[table]?.find((column) => column.name === name)?.type)
  let path = `${table}.${name}`
  for (const nth of fields) {
    const field = type?.kind === 'STRUCT' ? type.fields[nth] : undefined
    if (field === undefined) return path
    path += `.${field.name}`
    type = elementOf(field.type)
  }
  return path
}

/** Abstract kinds hold a node in turn. */
function concrete(json: JsonObject): { readonly kind: string; readonly body: JsonObject } {
  const kind = json['node']
  if (typeof kind !== 'string') return { kind: '', body: json }
  const body = object(json[kind] ?? null)
  return typeof body['node'] === 'string' ? concrete(body) : { kind, body }
}

function columnsOf(scan: JsonObject): readonly number[] {
  return columnsOfBody(concrete(scan).body)
}

/** `columnList` stands in one of the `parent`s. */
function columnsOfBody(body: JsonObject): readonly number[] {
  const { parent, columnList } = body
  if (columnList !== undefined) return idsOf(columnList)
  return parent === undefined || parent === null ? [] : columnsOfBody(object(parent))
}

function idsOf(columns: Json | undefined): readonly number[] {
  return list(columns).map((column) => number(object(column)['columnId']))
}

/** The tree without what is only asked whether it is NULL. */
export function withoutNullTests(json: Json): Json {
  if (Array.isArray(json)) return json.map((item) => withoutNullTests(item as Json))
  if (json === null || typeof json !== 'object') return json
  const value = json as JsonObject
  if (typeof value['node'] === 'string' && nameOfCall(concrete(value).body) === '$is_null') return null
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withoutNullTests(part)]))
}

/** What a subquery or lambda may take from around it, named again where it is taken. */
const isParameters = (key: string): boolean => /parameterList$/i.test(key)

const object = (json: Json): JsonObject => (json !== null && typeof json === 'object' ? (json as JsonObject) : {})
const list = (json: Json | undefined): readonly Json[] => (Array.isArray(json) ? (json as readonly Json[]) : [])
const text = (json: Json | undefined): string => (typeof json === 'string' ? json : '')
const number = (json: Json | undefined): number =>
  typeof json === 'number' ? json : Number(object(json ?? null)['low'] ?? -1)
