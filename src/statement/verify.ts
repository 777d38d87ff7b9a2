/** The second lock: what obligations made of a statement is read again, and compared with what was decided about. */
import type { SqlStatement, SqlType } from '../exchange.ts'
import { baseColumns, bindTree, pathKey, type Source } from './binder.ts'
import type { Defaults, Refusal } from './contract.ts'
import { refuse } from './lexer.ts'
import { lower, resourceOf } from './names.ts'
import type { Analysed } from './parse.ts'
import { Stop } from './stop.ts'
import type { Item, Select, TableItem } from './syntax.ts'

/** See `Statements.verify`. `read` parses as any text is parsed. */
export function verifyNarrowed(
  original: SqlStatement,
  narrowed: SqlStatement,
  defaults: Defaults,
  read: (text: string) => Analysed | Refusal,
): Refusal | undefined {
  const no = (message: string, at = 0): Refusal => refuse(narrowed.text, at, 'unproven', message)
  const again = read(narrowed.text)
  if (again.refused) return { ...again, message: `the rewritten statement is not understood: ${again.message}` }
  if (again.kind !== original.kind || narrowed.kind !== original.kind) return no('the kind of statement has changed')
  if (again.tree.does.is === 'opaque') return { ...again.tree.does.refusal, code: 'unproven' }
  if (again.grammar.unbound !== undefined) return { ...again.grammar.unbound, code: 'unproven' }
  const known = new Set(original.tables.map((table) => table.resource))
  for (const use of original.uses) known.add(use.resource)
  for (const path of again.paths) {
    const resource = resourceOf(path, defaults)
    if (!known.has(resource)) return no(`the rewritten statement names \`${resource}\`, which the original does not`)
  }
  if (isUntold(original, narrowed))
    return no('a masked table is read, and what `*` stands for is not known: select columns by name')
  return (
    changedOutput(original, narrowed, no) ??
    unmasked(narrowed, again, defaults, no) ??
    untold(narrowed, no) ??
    changedColumns(original, narrowed, again, no)
  )
}

/** `SELECT *` from a table function answers with columns of which no mask can be told. */
function isUntold({ kind, output }: SqlStatement, { masks }: SqlStatement): boolean {
  return kind === 'SELECT' && output.length === 0 && masks.length > 0
}

function changedOutput(
  { output }: SqlStatement,
  narrowed: SqlStatement,
  no: (message: string) => Refusal,
): Refusal | undefined {
  const same =
    output.length === narrowed.output.length &&
    output.every(({ name, type }, i) => name === narrowed.output[i]?.name && sameType(type, narrowed.output[i]?.type))
  return same ? undefined : no('names or types of the answer have changed')
}

function sameType(a: SqlType, b: SqlType | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** A column of the answer into which a masked column flows must say so. */
function untold({ output, masks }: SqlStatement, no: (message: string) => Refusal): Refusal | undefined {
  const paths = masks.map(({ resource, column }) => lower(`${resource}.${column.split('.$')[0] ?? ''}`))
  const silent = output.find(
    ({ masked, sources }) =>
      masked === undefined && sources.some((source) => paths.some((path) => isWithin(lower(source), path))),
  )
  return silent && no(`a masked column flows into \`${silent.name}\` of the answer, which does not tell`)
}

/** Same column, or one holds the other. */
function isWithin(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}.`) || b.startsWith(`${a}.`)
}

/** What a `*` stands for must be what it stood for: the rewritten text is bound anew, its views taken for tables. */
function changedColumns(
  { kind, output, tables }: SqlStatement,
  { masks }: SqlStatement,
  again: Analysed,
  no: (message: string) => Refusal,
): Refusal | undefined {
  if (kind !== 'SELECT' || output.length === 0 || masks.length === 0) return undefined
  const byPath = new Map(tables.map((table) => [lower(pathKey(table.path)), table]))
  const sources = new Map<string, Source>()
  for (const path of again.paths) {
    const table = byPath.get(lower(pathKey(path)))
    if (table !== undefined) sources.set(pathKey(path), { table, columns: baseColumns(table) })
  }
  try {
    const bound = bindTree(again, sources).output
    const same =
      bound.length === output.length &&
      bound.every(({ name }, i) => name === '' || isNamed(lower(output[i]?.name ?? ''), lower(name)))
    return same ? undefined : no('the columns of the answer have changed')
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    return no(`the rewritten statement is not understood: ${error.refusal.message}`)
  }
}

/** The warehouse counts columns of one name: `id`, `id_1`. */
function isNamed(told: string, name: string): boolean {
  return told === name || (told.startsWith(`${name}_`) && /^\d+$/.test(told.slice(name.length + 1)))
}

/** Each table with masks must be read inside a subquery of its own, and a view that reads one must be gone. */
function unmasked(
  narrowed: SqlStatement,
  again: Analysed,
  defaults: Defaults,
  no: (message: string, at?: number) => Refusal,
): Refusal | undefined {
  const masked = new Set(narrowed.masks.map((mask) => mask.resource))
  if (masked.size === 0) return undefined
  const hidden = new Set(
    narrowed.views.filter((view) => reaches(view.resource, narrowed, masked)).map((v) => v.resource),
  )
  // `FROM t AS shop, shop.customers` reads an array of `t`; a warehouse that took it for the table would read that bare.
  for (const [{ path, start }, { is }] of again.names.meanings) {
    const [last = '', dataset = '', project = defaults.project] = path.names.map((name) => name.text).toReversed()
    const resource = resourceOf({ project, dataset, table: last }, defaults)
    if (is === 'array' && masked.has(resource)) return no(`\`${resource}\` is a masked table's name, too`, start)
  }
  const wrapped = wrappers(again.tree)
  for (const table of again.names.tables) {
    if (hidden.has(table.resource)) return no(`the view \`${table.resource}\` reads a masked table`, table.start)
    if (!masked.has(table.resource) || table.fixed === 'target') continue
    const replaced = wrapped.get(table.start)
    if (table.fixed !== undefined || !columnsOf(table.resource, narrowed).every((column) => replaced?.has(column))) {
      return no(`a reference to \`${table.resource}\` is not masked`, table.start)
    }
  }
  return undefined
}

/** The table's columns that are masked, whole or in part. */
function columnsOf(resource: string, { masks }: SqlStatement): string[] {
  return masks.filter((mask) => mask.resource === resource).map((mask) => lower(mask.column.split('.')[0] ?? ''))
}

/** Whether a view reads one of these tables, itself or through other views. */
export function reaches(
  resource: string,
  { views }: Pick<SqlStatement, 'views'>,
  wanted: ReadonlySet<string>,
  seen: ReadonlySet<string> = new Set(),
): boolean {
  const view = views.find((v) => v.resource === resource)
  if (view === undefined || seen.has(resource)) return false
  const deeper = new Set([...seen, resource])
  return view.references.some((r) => wanted.has(r.resource) || reaches(r.resource, { views }, wanted, deeper))
}

/**
 * The queries `SELECT * REPLACE (…)[, a._PARTITIONTIME AS p, …] FROM t AS a` (or EXCEPT, or a list of all columns) of a
 * tree, by where they name `t`, with the columns replaced or left out.
 */
function wrappers(value: unknown, found = new Map<number, Set<string>>()): Map<number, Set<string>> {
  if (typeof value !== 'object' || value === null) return found
  if (isSelect(value)) note(value, found)
  for (const inner of Object.values(value)) wrappers(inner, found)
  return found
}

function isSelect(value: object): value is Select {
  return 'is' in value && value.is === 'select'
}

function note(select: Select, found: Map<number, Set<string>>): void {
  const { from, items } = select
  const [star, ...more] = items
  if (from?.is !== 'table' || !isBare(select)) return
  if (star?.is === 'value') return noteList(items, from, found)
  if (star === undefined || star.of !== undefined) return
  if (!more.every((item) => isExport(item, from.alias?.text))) return
  const columns = [...star.except, ...star.replace.map((r) => r.alias)].map((name) => lower(name.text))
  found.set(from.start, new Set(columns))
}

/** `SELECT a.x AS x, … AS y FROM t AS a`: of a column that stands there as it is, none is replaced. */
function noteList(items: readonly Item[], { start, alias }: TableItem, found: Map<number, Set<string>>): void {
  const replaced = new Set<string>()
  const bare = new Set<string>()
  for (const item of items) {
    if (item.is !== 'value' || item.alias === undefined || alias === undefined) return
    const { value } = item
    if (value.is !== 'path') replaced.add(lower(item.alias.text))
    else if (value.names.length === 2 && value.names[0]?.text === alias.text)
      bare.add(lower(value.names[1]?.text ?? ''))
    else return
  }
  found.set(start, replaced.difference(bare))
}

/** It has a list and FROM, and nothing else. */
function isBare({ as, with: privacy, distinct, where, groupBy, having, qualify, windows }: Select): boolean {
  const others = [as, privacy, where, having, qualify]
  return !distinct && groupBy.length === 0 && windows.length === 0 && others.every((it) => it === undefined)
}

const PSEUDO = /^_(partitiontime|partitiondate|file_name|table_suffix)$/i

/** `alias._PARTITIONTIME AS name`: what the table has beside its columns, and no column. */
function isExport(item: Item, table: string | undefined): boolean {
  if (item.is !== 'value' || item.value.is !== 'path' || item.alias === undefined || table === undefined) return false
  const [first, second, ...more] = item.value.names
  return first?.text === table && second !== undefined && PSEUDO.test(second.text) && more.length === 0
}
