/** Tags that the configuration gives to columns, and the names that it has for those of the warehouse. */
import type { Column, SqlType, Table } from '../exchange.ts'

export interface TagOptions {
  /**
   * Tag → patterns of columns, `shop.customers.email`, `shop.*.email`, `shop.customers.address.street`: a resource, a column
   * and fields within it. `*` stands for any characters within one dotted part; upper and lower case are alike.
   */
  readonly columnTags?: Readonly<Record<string, readonly string[]>>
  /** What the warehouse calls a tag → a name that policies may use as well. */
  readonly tagNames?: Readonly<Record<string, string>>
}

/** The deepest nesting of fields that is followed. */
const DEPTH = 16

/** Makes what gives a table its tags. */
export function createTagger({ columnTags = {}, tagNames = {} }: TagOptions): (table: Table) => Table {
  const patterns = Object.entries(columnTags).flatMap(([tag, list]) =>
    list.map((pattern) => ({ tag, parts: pattern.toLowerCase().split('.') })),
  )
  const named = (tags: readonly string[]): readonly string[] =>
    sorted(tags.flatMap((tag) => (Object.hasOwn(tagNames, tag) ? [tag, tagNames[tag] ?? tag] : [tag])))
  return (table) => {
    const resource = table.resource.toLowerCase().split('.')
    const about = patterns
      .filter(({ parts }) => parts.length > resource.length && resource.every((part, i) => meet(parts[i] ?? '', part)))
      .map(({ tag, parts }) => ({ tag, parts: parts.slice(resource.length) }))
    return { ...table, columns: table.columns.map((column) => tagged(column, about, named)) }
  }
}

interface Wanted {
  readonly tag: string
  /** A column and fields within it. */
  readonly parts: readonly string[]
}

function tagged(
  column: Column,
  wanted: readonly Wanted[],
  named: (tags: readonly string[]) => readonly string[],
): Column {
  const mine = wanted.filter(({ parts }) => meet(parts[0] ?? '', column.name.toLowerCase()))
  const { tags: told = [], fieldTags: toldOfFields = {}, ...rest } = column
  const tags = named([...told, ...mine.filter(({ parts }) => parts.length === 1).map(({ tag }) => tag)])
  const fields = new Map(Object.entries(toldOfFields).map(([path, its]) => [path, named(its)]))
  const inner = mine.filter(({ parts }) => parts.length > 1)
  if (inner.length > 0) {
    for (const path of pathsOf(column.type)) {
      const its = inner.filter(({ parts }) => isSame(parts.slice(1), path)).map(({ tag }) => tag)
      const key = path.join('.')
      if (its.length > 0) fields.set(key, sorted([...(fields.get(key) ?? []), ...its]))
    }
  }
  return {
    ...rest,
    ...(tags.length > 0 && { tags }),
    ...(fields.size > 0 && { fieldTags: Object.fromEntries(fields) }),
  }
}

/** The path of every field within a type. */
function pathsOf(type: SqlType, depth = 0): readonly (readonly string[])[] {
  if (depth > DEPTH) return []
  if (type.kind === 'ARRAY') return pathsOf(type.of, depth + 1)
  if (type.kind !== 'STRUCT') return []
  return type.fields.flatMap(({ name, type: inner }) => [
    [name],
    ...pathsOf(inner, depth + 1).map((path) => [name, ...path]),
  ])
}

function isSame(pattern: readonly string[], path: readonly string[]): boolean {
  return pattern.length === path.length && pattern.every((part, i) => meet(part, (path[i] ?? '').toLowerCase()))
}

/**
 * Whether two texts in which `*` stands for any characters have one in common: a table may be a wildcard itself, and then
 * stands for all its shards. Reachability over pairs of positions, so quadratic and no more.
 */
function meet(a: string, b: string): boolean {
  if (!a.includes('*') && !b.includes('*')) return a === b
  // `row[j]`: a[0..i) and b[0..j) have a text in common.
  let row = Array.from({ length: b.length + 1 }, (_, j) => /^\**$/.test(b.slice(0, j)))
  for (let i = 1; i <= a.length; i++) {
    const above = row
    const isAny = a[i - 1] === '*'
    row = [isAny && above[0] === true]
    for (let j = 1; j <= b.length; j++) {
      const isAnyToo = b[j - 1] === '*'
      const same = above[j - 1] === true && (isAny || isAnyToo || a[i - 1] === b[j - 1])
      const skipped = (isAny || isAnyToo) && (above[j] === true || row[j - 1] === true)
      row.push(same || skipped)
    }
  }
  return row[b.length] === true
}

function sorted(tags: readonly string[]): readonly string[] {
  return [...new Set(tags)].sort()
}
