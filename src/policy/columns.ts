/** Columns that a statement reads, under every name that a rule may know them by: their tags, their fields, their parents. */
import type { Column, SqlStatement, SqlType, Table } from '../exchange.ts'
import { compilePatterns } from './pattern.ts'

/** A column that is read, or a field of one. */
export interface ColumnRead {
  /** `shop.customers.address.street`, in the letters of the statement's analysis. */
  readonly name: string
  /** What contains it: `shop.customers.address`. A rule about that is about it. */
  readonly parents: readonly string[]
  /** What it contains: whoever reads the whole reads these. */
  readonly parts: readonly string[]
  /** Those of it, its parents and its parts. Sorted, each once. */
  readonly tags: readonly string[]
}

/** The deepest nesting that is followed, as deep as BigQuery's. */
const DEPTH = 16

/** Each column that the statement reads, in order. */
export function columnsRead({ columnsRead: read, tables }: Pick<SqlStatement, 'columnsRead' | 'tables'>): ColumnRead[] {
  return read.map((name) => describe(name, tables))
}

/** The tags of all columns read. Sorted, each once. */
export function tagsRead(statement: Pick<SqlStatement, 'columnsRead' | 'tables'>): readonly string[] {
  return unique(columnsRead(statement).flatMap(({ tags }) => tags))
}

function describe(name: string, tables: readonly Table[]): ColumnRead {
  // Several where the name of one table begins with another's: each of them may be meant.
  const owners = tables.filter(({ resource }) => isWithin(name, resource))
  const parents = new Set<string>()
  const parts = new Set<string>()
  const tags: string[] = []
  for (const { resource, columns } of owners) {
    const [first = '', ...path] = name.slice(resource.length + 1).split('.')
    for (const [i] of path.entries()) parents.add([resource, first, ...path.slice(0, i)].join('.'))
    const column = columns.find((each) => lower(each.name) === lower(first))
    if (column === undefined) continue
    for (const field of fieldsUnder(column.type, path)) parts.add(`${name}.${field}`)
    tags.push(...tagsOf(column, path.join('.')))
  }
  return { name, parents: [...parents], parts: [...parts], tags: unique(tags) }
}

/** The column's own, and those of its fields that contain `path`, are it, or lie within it. */
function tagsOf({ tags = [], fieldTags = {} }: Column, path: string): string[] {
  const fields = Object.entries(fieldTags).filter(
    ([field]) => path === '' || lower(field) === lower(path) || isWithin(field, path) || isWithin(path, field),
  )
  return [...tags, ...fields.flatMap(([, its]) => its)]
}

/** Dotted paths of everything within the field that `path` leads to. */
function fieldsUnder(type: SqlType, path: readonly string[], depth = 0): string[] {
  if (depth > DEPTH) return []
  if (type.kind === 'ARRAY') return fieldsUnder(type.of, path, depth + 1)
  if (type.kind !== 'STRUCT') return []
  const [first, ...rest] = path
  if (first !== undefined) {
    const field = type.fields.find((each) => lower(each.name) === lower(first))
    return field === undefined ? [] : fieldsUnder(field.type, rest, depth + 1)
  }
  return type.fields.flatMap((field) => [
    field.name,
    ...fieldsUnder(field.type, [], depth + 1).map((inner) => `${field.name}.${inner}`),
  ])
}

/** Whether a rule's `columns` are about what is read; see `policies/README.md`. */
export function compileColumns(list: readonly string[]): (column: ColumnRead) => boolean {
  const [plain, takenAway] = [list.filter((it) => !it.startsWith('!')), list.filter((it) => it.startsWith('!'))]
  const named = compilePatterns(plain)
  const left = compilePatterns(list)
  const without = takenAway.length === 0 ? undefined : compilePatterns(takenAway.map((it) => it.slice(1)))
  return ({ name, parents, parts }) => {
    const whole = [name, ...parents]
    if (without !== undefined && whole.some((each) => without.covers(each))) return false
    return whole.some((each) => named.touches(each)) || parts.some((each) => left.touches(each))
  }
}

function isWithin(name: string, parent: string): boolean {
  return lower(name).startsWith(`${lower(parent)}.`)
}

function lower(text: string): string {
  return text.toLowerCase()
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort()
}
