/** What is to be masked in the tables of one statement, and the query that takes a table's place. */
import type { Masked, Reason, SqlField, SqlStatement, SqlType, Table } from '../../src/plugin.ts'
import type { Export } from '../../src/statement/rewrite.ts'
import { masked, maskNode, misfit, quote, type MaskNode, type Scope } from './expression.ts'
import { strategyName, strongest, type Mask } from '../../src/statement/strategy.ts'
import type { ColumnMask } from './terms.ts'

/** A table with its masks. */
export interface TablePlan {
  readonly table: Table
  /** By lower-case column name. */
  readonly columns: ReadonlyMap<string, MaskNode>
  /** Sorted by column. */
  readonly masks: readonly Masked[]
  /** Column paths, JSON paths left off, that are masked: `shop.customers.address.street`. */
  readonly paths: readonly string[]
  /** Names of the hash keys it needs. */
  readonly keys: readonly string[]
}

/** A plan for each table of the statement that some mask names, by resource; or why one cannot be masked. */
export function planTables(
  statement: SqlStatement,
  masks: readonly ColumnMask[],
): ReadonlyMap<string, TablePlan> | Reason {
  const plans = new Map<string, TablePlan>()
  for (const table of statement.tables) {
    const plan = planTable(table, masks)
    if (plan !== undefined && 'because' in plan) return plan
    if (plan !== undefined) plans.set(table.resource, plan)
  }
  return plans
}

function planTable(table: Table, masks: readonly ColumnMask[]): TablePlan | Reason | undefined {
  const columns = new Map<string, MaskNode>()
  const found = new Map<string, Mask>()
  const paths = new Set<string>()
  for (const line of masks) {
    for (const column of columnsNamed(line.path, table)) {
      const spelled = place(table.columns, columns, column.split('.'), line)
      if (spelled === undefined) return unknownColumn(table, column)
      const name = line.json === undefined ? spelled : `${spelled}.${line.json}`
      const earlier = found.get(name)
      found.set(name, earlier === undefined ? line.mask : strongest(earlier, line.mask))
      paths.add(`${table.resource}.${spelled}`)
    }
  }
  if (found.size === 0) return undefined
  for (const column of table.columns) {
    const node = columns.get(column.name.toLowerCase())
    const problem = node && misfit(column.type, node)
    if (problem !== undefined) return wrongType(table, column.name, problem)
  }
  const all = [...found].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    table,
    columns,
    masks: all.map(([column, mask]) => ({ resource: table.resource, column, strategy: strategyName(mask) })),
    paths: [...paths].sort(),
    keys: [...new Set(all.flatMap(([, mask]) => (mask.strategy === 'hash' ? [mask.key] : [])))].sort(),
  }
}

/** The column part of `path`, for each way to read its beginning as a name of this table. */
function columnsNamed(path: string, table: Table): readonly string[] {
  const { project, dataset, table: name } = table.path
  const names = [...new Set([table.resource, `${dataset}.${name}`, `${project}.${dataset}.${name}`])]
  // The short name is that of the connection's own project only.
  const own = names.filter((it) => it !== `${dataset}.${name}` || table.resource === it)
  const parts = path.split('.')
  return parts.slice(1).flatMap((_, index) => {
    const resource = parts.slice(0, index + 1).join('.')
    return own.some((it) => covers(resource, it)) ? [parts.slice(index + 1).join('.')] : []
  })
}

/**
 * Whether a mask is about a resource that a statement names: a table, or the dataset that holds it. A mask may be written
 * with the connection's own project, which the resource of a use leaves off.
 */
export function isAbout({ path }: ColumnMask, resource: string): boolean {
  const parts = path.split('.')
  return parts.slice(1).some((_, index) => {
    const own = parts.slice(0, index + 1)
    return covers(own.join('.'), resource) || (own.length > 1 && covers(own.slice(1).join('.'), resource))
  })
}

/** Same name, or one of the two is a wildcard that covers the other. Letter case cannot shed a mask. */
function covers(written: string, resource: string): boolean {
  const [a, b] = [written.toLowerCase(), resource.toLowerCase()]
  return a === b || startsLike(a, b) || startsLike(b, a)
}

function startsLike(wildcard: string, name: string): boolean {
  return wildcard.endsWith('*') && name.startsWith(wildcard.slice(0, -1))
}

/** Notes the mask at its column; the path as the warehouse spells it, or `undefined` where there is no such column. */
function place(
  columns: readonly SqlField[],
  nodes: Map<string, MaskNode>,
  path: readonly string[],
  { json, mask }: ColumnMask,
): string | undefined {
  let fields: readonly SqlField[] = columns
  let children = nodes
  let node: MaskNode | undefined
  const spelled: string[] = []
  for (const part of path) {
    const field = fields.find(({ name }) => name.toLowerCase() === part.toLowerCase())
    if (field === undefined) return undefined
    spelled.push(field.name)
    const key = field.name.toLowerCase()
    node = children.get(key) ?? maskNode()
    children.set(key, node)
    children = node.fields
    const inner = unwrapped(field.type)
    fields = inner.kind === 'STRUCT' ? inner.fields : []
  }
  if (node === undefined) return undefined
  if (json === undefined) node.own = node.own === undefined ? mask : strongest(node.own, mask)
  else node.json.set(json, merged(node.json.get(json), mask))
  return spelled.join('.')
}

function merged(earlier: Mask | undefined, mask: Mask): Mask {
  return earlier === undefined ? mask : strongest(earlier, mask)
}

/** An array's elements are masked by the path of the array. */
function unwrapped(type: SqlType): SqlType {
  return type.kind === 'ARRAY' ? unwrapped(type.of) : type
}

function unknownColumn(table: Table, column: string): Reason {
  return {
    code: 'mask-unknown-column',
    because: `policy masks \`${column}\` of \`${table.resource}\`, which has no such column: it may bear another name now`,
    fix: 'ask the policy owner to name the column as the table has it',
    where: `${table.resource}.${column}`,
  }
}

function wrongType(table: Table, column: string, problem: string): Reason {
  return {
    code: 'mask-type',
    because: `\`${table.resource}.${column}\` cannot be masked as policy asks: ${problem}`,
    fix: 'ask the policy owner for a strategy that fits the type, such as `redact` or `null`',
    where: `${table.resource}.${column}`,
  }
}

/** Whether `column` (`shop.customers.address`) is a masked column, part of one, or holds one. */
export function touches(plan: TablePlan, column: string): boolean {
  const name = column.toLowerCase()
  return plan.paths.some((path) => {
    const masked = path.toLowerCase()
    return name === masked || name.startsWith(`${masked}.`) || masked.startsWith(`${name}.`)
  })
}

/** The query that yields the table with its masked columns: same names, order and types; then the pseudo-columns asked for. */
/** `isListed`: each column by name, for a table that may have others than we know (yesterday, in another shard). */
export function wrappedTable(
  plan: TablePlan,
  pads: Scope['pads'],
  exported: readonly Export[] = [],
  isListed = false,
): string {
  const scope: Scope = { alias: aliases(plan.table), pads }
  const alias = scope.alias('t')
  const items = plan.table.columns.flatMap((column) => {
    const node = plan.columns.get(column.name.toLowerCase())
    const own = `${alias}.${quote(column.name)}`
    const sql = (node && masked(column.type, own, node, scope)) ?? (isListed ? own : undefined)
    return sql === undefined ? [] : [`${sql} AS ${quote(column.name)}`]
  })
  const pseudo = exported.map((it) => `, ${alias}.${it.name} AS ${it.alias}`).join('')
  const { project, dataset, table } = plan.table.path
  const list = isListed ? items.join(', ') : `* REPLACE (${items.join(', ')})`
  return `SELECT ${list}${pseudo} FROM ${quote(`${project}.${dataset}.${table}`)} AS ${alias}`
}

/** Aliases that no column or field of the table has: inside UNNEST the fields of a struct are names as well. */
function aliases(table: Table): (base: string) => string {
  const taken = new Set<string>()
  const collect = (fields: readonly SqlField[]): void => {
    for (const { name, type } of fields) {
      taken.add(name.toLowerCase())
      const inner = unwrapped(type)
      if (inner.kind === 'STRUCT') collect(inner.fields)
    }
  }
  collect(table.columns)
  return (base) => {
    let count = 1
    while (taken.has(`sluice_${base}${count}`)) count += 1
    const alias = `sluice_${base}${count}`
    taken.add(alias)
    return alias
  }
}
