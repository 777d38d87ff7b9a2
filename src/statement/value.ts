/** What the binder knows of a value: its type as far as derivable, and which table columns flow into it. */
import type { SqlField, SqlType } from '../exchange.ts'

export interface Value {
  readonly type?: SqlType | undefined
  /** `shop.customers.email`: every table column that flows into it. */
  readonly sources: ReadonlySet<string>
  /** The table column or field that it is, unchanged: a field of it is a column of its own. */
  readonly origin?: string
  /** Fields with a history of their own: of a row, or of a STRUCT built in the text. */
  readonly fields?: readonly NamedValue[]
  /** The element of an ARRAY built in the text. */
  readonly element?: Value
  /** It is the word NULL, which takes the type of what it stands beside. */
  readonly isNull?: true
}

export interface NamedValue {
  /** '' where it has none. */
  readonly name: string
  readonly value: Value
}

/** Stands before the name of a view's column among the sources of a value: `^shop.directory.email`. */
export const VIEW_MARK = '^'

export const NOTHING: Value = { sources: new Set() }

export const NULL: Value = { sources: NOTHING.sources, isNull: true }

/** What an unknown type looks like outside: the dry run fills it. */
export const UNKNOWN_TYPE: SqlType = { kind: 'STRUCT', fields: [] }

export function typed(type: SqlType | undefined): Value {
  return { type, sources: NOTHING.sources }
}

/** A column of a table, or a field of one. */
export function fromTable(origin: string, type: SqlType): Value {
  return { type, origin, sources: new Set([origin]) }
}

export function unionOf(values: readonly Value[]): ReadonlySet<string> {
  const [first] = values
  if (values.length === 1 && first !== undefined) return first.sources
  return new Set(values.flatMap((value) => [...value.sources]))
}

/** A value made of others: all their sources flow into it. */
export function mixed(values: readonly Value[], type?: SqlType): Value {
  return { type, sources: unionOf(values) }
}

/** A row or STRUCT of named values. */
export function rowOf(fields: readonly NamedValue[]): Value {
  const types: SqlField[] = []
  for (const { name, value } of fields) if (value.type !== undefined) types.push({ name, type: value.type })
  const type: SqlType | undefined = types.length === fields.length ? { kind: 'STRUCT', fields: types } : undefined
  return { type, fields, sources: unionOf(fields.map((field) => field.value)) }
}

/** `undefined` where the value is known to have no such field. */
export function fieldOf(value: Value, name: string): Value | undefined {
  const wanted = name.toLowerCase()
  if (value.fields !== undefined) return value.fields.find((field) => field.name.toLowerCase() === wanted)?.value
  const { type, sources, origin } = value
  if (type === undefined) return { sources }
  if (type.kind === 'JSON') return { type, sources }
  if (type.kind !== 'STRUCT') return undefined
  const field = type.fields.find((f) => f.name.toLowerCase() === wanted)
  if (field === undefined) return undefined
  return origin === undefined ? { type: field.type, sources } : fromTable(`${origin}.${field.name}`, field.type)
}

/** The fields of a value in order; `undefined` where they are not known. */
export function fieldsOf(value: Value): readonly NamedValue[] | undefined {
  if (value.fields !== undefined) return value.fields
  if (value.type?.kind !== 'STRUCT' || value.type.fields.length === 0) return undefined
  return value.type.fields.map(({ name, type }) => ({
    name,
    value: fieldOf(value, name) ?? { type, sources: value.sources },
  }))
}

/** An element of an array or of JSON; `undefined` where the value is known to have none. */
export function elementOf(value: Value): Value | undefined {
  if (value.element !== undefined) return value.element
  const { type, sources, origin } = value
  if (type === undefined) return { sources }
  if (type.kind === 'JSON') return { type, sources }
  if (type.kind !== 'ARRAY') return undefined
  return { type: type.of, sources, ...(origin !== undefined && { origin }) }
}

export function arrayOf(element: Value): Value {
  const { type, sources } = element
  return { type: type === undefined ? undefined : { kind: 'ARRAY', of: type }, element, sources }
}
