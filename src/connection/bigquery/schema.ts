/** BigQuery's table schemas as the API writes them, and ours. */
import type { Column, ScalarType, SqlField, SqlType } from '../../exchange.ts'
import { Failure } from '../../failure.ts'

/** `TableFieldSchema` of the REST API, as far as it matters to us. */
export interface FieldSchema {
  readonly name?: string
  readonly type?: string
  readonly mode?: string
  readonly description?: string
  readonly policyTags?: { readonly names?: readonly string[] }
  readonly fields?: readonly FieldSchema[]
  readonly rangeElementType?: { readonly type?: string }
}

/** `TableSchema` of the REST API. */
export interface TableSchema {
  readonly fields?: readonly FieldSchema[]
}

/** Deepest nesting that we follow; BigQuery itself stops at 15. */
const MAX_DEPTH = 16

/** BigQuery writes some types by two names. */
const SCALARS: ReadonlyMap<string, ScalarType> = new Map<string, ScalarType>([
  ['BOOL', 'BOOL'],
  ['BOOLEAN', 'BOOL'],
  ['INT64', 'INT64'],
  ['INTEGER', 'INT64'],
  ['FLOAT64', 'FLOAT64'],
  ['FLOAT', 'FLOAT64'],
  ['NUMERIC', 'NUMERIC'],
  ['BIGNUMERIC', 'BIGNUMERIC'],
  ['STRING', 'STRING'],
  ['BYTES', 'BYTES'],
  ['JSON', 'JSON'],
  ['GEOGRAPHY', 'GEOGRAPHY'],
  ['INTERVAL', 'INTERVAL'],
  ['DATE', 'DATE'],
  ['TIME', 'TIME'],
  ['DATETIME', 'DATETIME'],
  ['TIMESTAMP', 'TIMESTAMP'],
])

/** The type of a field. Throws `upstream-failed` for a type that we do not know: it could not be encoded. */
export function fieldType(field: FieldSchema, depth = 0): SqlType {
  const one = elementType(field, depth)
  return field.mode === 'REPEATED' ? { kind: 'ARRAY', of: one } : one
}

/** The fields of a schema, with the names that it gives. */
export function schemaFields(schema: TableSchema | undefined): readonly SqlField[] {
  return (schema?.fields ?? []).map((field) => ({ name: field.name ?? '', type: fieldType(field) }))
}

/** The columns of a table, as the catalog keeps them. */
export function schemaColumns(schema: TableSchema | undefined): readonly Column[] {
  return (schema?.fields ?? []).map((field) => ({
    name: field.name ?? '',
    type: fieldType(field),
    nullable: field.mode !== 'REQUIRED' && field.mode !== 'REPEATED',
    ...(field.description === undefined ? {} : { description: field.description }),
    ...tagsOf(field),
  }))
}

/** The policy tags of a column, by their resource names, and those of fields within it. */
function tagsOf(field: FieldSchema): Pick<Column, 'tags' | 'fieldTags'> {
  const tags = [...(field.policyTags?.names ?? [])].sort()
  const fieldTags = Object.fromEntries(innerTags(field))
  return { ...(tags.length > 0 && { tags }), ...(Object.keys(fieldTags).length > 0 && { fieldTags }) }
}

function innerTags({ fields = [] }: FieldSchema, depth = 0): readonly (readonly [string, readonly string[]])[] {
  if (depth > MAX_DEPTH) return []
  return fields.flatMap((inner) => {
    const own = [...(inner.policyTags?.names ?? [])].sort()
    const deeper = innerTags(inner, depth + 1).map(([path, its]) => [`${inner.name ?? ''}.${path}`, its] as const)
    return own.length > 0 ? [[inner.name ?? '', own] as const, ...deeper] : deeper
  })
}

/**
 * The same fields with the names that rows carry: inside a STRUCT an anonymous field is `_<position>`, and one whose
 * name was there before (GoogleSQL compares without case) is `<name>_<position>`, both 1-based. A JSON object keeps
 * no two values under one key, so without this a value would be lost.
 */
export function rowNames(fields: readonly SqlField[]): readonly SqlField[] {
  return fields.map((field) => ({ name: field.name, type: withRowNames(field.type) }))
}

function elementType(field: FieldSchema, depth: number): SqlType {
  if (depth > MAX_DEPTH) throw new Failure('upstream-failed', 'the warehouse sent a schema that is nested too deep')
  const type = field.type ?? ''
  if (type === 'RECORD' || type === 'STRUCT') {
    const fields = (field.fields ?? []).map((inner) => ({ name: inner.name ?? '', type: fieldType(inner, depth + 1) }))
    return { kind: 'STRUCT', fields }
  }
  if (type === 'RANGE') return { kind: 'RANGE', of: { kind: scalar(field.rangeElementType?.type ?? '') } }
  return { kind: scalar(type) }
}

function scalar(type: string): ScalarType {
  const kind = SCALARS.get(type)
  if (kind === undefined)
    throw new Failure('upstream-failed', `the warehouse sent a type that is not known, \`${type}\``)
  return kind
}

function withRowNames(type: SqlType): SqlType {
  if (type.kind === 'ARRAY') return { kind: 'ARRAY', of: withRowNames(type.of) }
  if (type.kind !== 'STRUCT') return type
  const given = new Set(type.fields.map((field) => field.name.toLowerCase()))
  const used = new Set<string>()
  const fields = type.fields.map((field, index) => {
    let name = field.name
    if (name === '' || used.has(name.toLowerCase())) {
      name = `${name}_${index + 1}`
      while (given.has(name.toLowerCase()) || used.has(name.toLowerCase())) name += '_'
    }
    used.add(name.toLowerCase())
    return { name, type: withRowNames(field.type) }
  })
  return { kind: 'STRUCT', fields }
}
