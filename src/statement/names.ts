/** Which of the names behind FROM are tables: a scope walk over the tree, before any schema is known. */
import type { ResourceUse, TablePath } from '../exchange.ts'
import type { Defaults } from './contract.ts'
import { CONSTANTS } from './functions.ts'
import { DATE_PARTS, type Grammar } from './grammar.ts'
import { shorten } from './grammar-tokens.ts'
import { refuse } from './lexer.ts'
import type {
  Body,
  Call,
  Cte,
  Expression,
  FromItem,
  FunctionItem,
  Item,
  JoinItem,
  Name,
  OpaqueName,
  Path,
  Pipe,
  Pivot,
  Query,
  Select,
  TableItem,
  Tree,
} from './syntax.ts'
import { NAMESPACES } from './words.ts'

/** What a name behind FROM stands for. */
export type Meaning =
  | { readonly is: 'table'; readonly table: NamedTable }
  | { readonly is: 'cte'; readonly cte: Cte }
  | { readonly is: 'array' }

/** A table as the text names it. */
export interface NamedTable {
  readonly path: TablePath
  readonly resource: string
  readonly start: number
  readonly end: number
  /** What must be written behind a subquery in its place; absent where the text gives an alias. */
  readonly alias?: string
  readonly fixed?: string
  /** Clauses behind it that are its own. */
  readonly clauses?: TableItem['clauses']
}

export interface Names {
  readonly meanings: ReadonlyMap<TableItem, Meaning>
  /** Read tables, then targets and copies, each place once. */
  readonly tables: readonly NamedTable[]
  readonly uses: readonly ResourceUse[]
  readonly paths: readonly TablePath[]
  /** Every place where a table, a common table expression or an array stands as a source or target. */
  readonly places: readonly { readonly start: number; readonly end: number }[]
}

type Ctes = ReadonlyMap<string, Cte>
type Aliases = ReadonlySet<string>
const NO_CTES: Ctes = new Map()
const NO_ALIASES: Aliases = new Set()

/** Throws Stop where a path cannot be one. */
export function resolveNames(tree: Tree, grammar: Grammar, defaults: Defaults): Names {
  return new NameWalk(grammar, defaults).run(tree)
}

/** A path's place in the warehouse. Throws Stop. */
export function tablePath(path: Path, grammar: Grammar, defaults: Defaults): { path: TablePath; resource: string } {
  const parts = path.names.map((name) => name.text)
  const shown = shorten(grammar.text.slice(path.start, path.end))
  const no = (message: string, fix?: string): never => grammar.stop(path.start, 'unknown-table', message, fix)
  if (parts.some((part) => /[\p{Cc}`$@/\\]/u.test(part)) || parts.slice(0, -1).some((part) => part.includes('*'))) {
    no(`\`${shown}\` holds characters that a table's path may not`)
  }
  const schema = parts.findIndex((part) => part.toUpperCase() === 'INFORMATION_SCHEMA')
  if (schema !== -1) return informationSchema(parts, schema, defaults, () => no(`\`${shown}\` is no view we know`))
  if (parts.length > 3) return longPath(path, parts, grammar)
  const [table = '', dataset = defaults.dataset, project = defaults.project] = parts.toReversed()
  if (dataset === undefined) return no(`\`${shown}\` names no dataset`, 'write it as `dataset.table`')
  // `c*` would read `customers` under a name that no policy for `customers` knows.
  if (table.includes('*') && !/[_0-9]\*$/.test(table)) {
    if (!table.endsWith('*')) no(`\`${shown}\` holds characters that a table's path may not`)
    // A policy can be asked about it: whoever denies one of the tables that it stands for denies it.
    unbound(path, grammar, `\`${shown}\` is too wide for a wildcard table`, 'write the whole prefix: `events_*`')
  }
  return { path: { project, dataset, table }, resource: resourceOf({ project, dataset, table }, defaults) }
}

/** What has more parts than any table of BigQuery: its whole name may be judged, and is never looked up. */
function longPath(path: Path, parts: readonly string[], grammar: Grammar): { path: TablePath; resource: string } {
  const shown = shorten(grammar.text.slice(path.start, path.end))
  unbound(path, grammar, `\`${shown}\` has more than three parts`, 'write it as `project.dataset.table`')
  if (parts.some((part) => part.includes('*')))
    grammar.stop(path.start, 'unknown-table', `\`${shown}\` is too wide for a wildcard table`)
  const [project = '', dataset = '', ...rest] = parts
  return { path: { project, dataset, table: rest.join('.') }, resource: parts.join('.') }
}

function unbound({ start }: Path, grammar: Grammar, message: string, fix: string): void {
  grammar.unbound ??= refuse(grammar.text, start, 'unknown-table', message, fix)
  grammar.beyond.push('never bound')
}

/** `dataset.INFORMATION_SCHEMA.TABLES` is a resource of its own; so is `INFORMATION_SCHEMA.SCHEMATA` without a dataset. */
function informationSchema(parts: readonly string[], at: number, defaults: Defaults, no: () => never) {
  const view = parts.slice(at + 1)
  const before = parts.slice(0, at)
  if (view.length !== 1 || view[0] === undefined || before.length > 2) return no()
  const [dataset, project = defaults.project] = before.toReversed()
  const name = view[0].toUpperCase()
  const path: TablePath =
    dataset === undefined
      ? { project, dataset: 'INFORMATION_SCHEMA', table: name }
      : { project, dataset, table: `INFORMATION_SCHEMA.${name}` }
  return { path, resource: resourceOf(path, defaults) }
}

/** `dataset.table` in the own project, `project.dataset.table` elsewhere. */
export function resourceOf({ project, dataset, table }: TablePath, defaults: Defaults): string {
  return project === defaults.project ? `${dataset}.${table}` : `${project}.${dataset}.${table}`
}

/** Sorted, each once. */
export function sortedUses(uses: readonly ResourceUse[]): ResourceUse[] {
  const byKey = new Map(uses.map((use) => [`${use.resource} ${use.action} ${use.via ?? ''}`, use]))
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, use]) => use)
}

class NameWalk {
  readonly #grammar: Grammar
  readonly #defaults: Defaults
  readonly #meanings = new Map<TableItem, Meaning>()
  readonly #tables: NamedTable[] = []
  readonly #uses: ResourceUse[] = []
  readonly #paths = new Map<string, TablePath>()
  readonly #places: Path[] = []
  #exports = false

  constructor(grammar: Grammar, defaults: Defaults) {
    this.#grammar = grammar
    this.#defaults = defaults
  }

  run(tree: Tree): Names {
    for (const target of tree.targets) this.#target(target)
    for (const { path, extra } of tree.copies) {
      this.#places.push(path)
      this.#read(path, 'copied', undefined)
      this.#all(extra, NO_CTES, NO_ALIASES)
    }
    for (const path of tree.arrays ?? []) this.#places.push(path)
    this.#does(tree)
    const paths = [...this.#paths].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)
    const tables = this.#tables.toSorted((a, b) => a.start - b.start)
    const places = this.#places.toSorted((a, b) => a.start - b.start)
    return { meanings: this.#meanings, tables, uses: sortedUses(this.#uses), paths, places }
  }

  #target({ path, actions, dataset, object, derived }: Tree['targets'][number]): void {
    if (object !== 'raw' && derived === undefined) this.#places.push(path)
    if (object === 'raw') {
      const resource = path.names.map((name) => name.text).join('.')
      for (const action of actions) this.#uses.push({ action, resource })
      return
    }
    if (dataset) {
      const [name = '', project = this.#defaults.project, ...more] = path.names.map((n) => n.text).toReversed()
      if (more.length > 0 || /[\p{Cc}*`$@/\\]/u.test(name)) {
        this.#grammar.stop(path.start, 'unparseable', 'a dataset is expected here')
      }
      const resource = project === this.#defaults.project ? name : `${project}.${name}`
      for (const action of actions) this.#uses.push({ action, resource })
      return
    }
    const place = tablePath(path, this.#grammar, this.#defaults)
    if (object === 'unlisted' || derived) {
      for (const action of actions) this.#uses.push({ action, resource: place.resource })
      return
    }
    const alias = path.names.at(-1)?.text ?? ''
    this.#tables.push({ ...place, start: path.start, end: path.end, alias, fixed: 'target' })
    for (const action of actions) this.#uses.push({ action, resource: place.resource })
    // A created table need not be there yet.
    if (!actions.includes('define')) this.#paths.set(JSON.stringify(place.path), place.path)
  }

  #read(path: Path, fixed: string | undefined, alias: string | undefined, clauses?: TableItem['clauses']): NamedTable {
    const place = tablePath(path, this.#grammar, this.#defaults)
    const table = {
      ...place,
      start: path.start,
      end: path.end,
      ...(alias !== undefined && { alias }),
      ...(fixed !== undefined && { fixed }),
      ...(clauses !== undefined && { clauses }),
    }
    this.#tables.push(table)
    this.#uses.push({ action: 'read', resource: place.resource })
    this.#paths.set(JSON.stringify(place.path), place.path)
    return table
  }

  #does({ does, targets, functions }: Tree): void {
    const own = new Set<string>()
    // An alias hides the name: behind `DELETE shop AS s`, `shop.orders` is a table again.
    if ('alias' in does && does.alias !== undefined) own.add(lower(does.alias.text))
    else for (const { path } of targets) own.add(lower(path.names.at(-1)?.text ?? ''))
    switch (does.is) {
      case 'query':
        for (const { name, body } of functions ?? []) {
          this.#places.push({ start: name.start, end: name.end, names: [name] })
          if (body !== undefined) this.#expression(body, NO_CTES, NO_ALIASES)
        }
        this.#query(does.query, NO_CTES, NO_ALIASES)
        if (does.exports || this.#exports)
          this.#uses.push(...this.#uses.map((use) => ({ ...use, action: 'export' as const })))
        break
      case 'insert':
        if (does.query !== undefined) this.#query(does.query, NO_CTES, NO_ALIASES)
        this.#all(does.values, NO_CTES, NO_ALIASES)
        break
      case 'update':
        if (does.from !== undefined) {
          const from = new Set<string>()
          // FROM does not see the target: behind `UPDATE shop.hr AS hr`, `hr.salaries` is a table there.
          this.#from(does.from, NO_CTES, from, NO_ALIASES)
          for (const alias of from) own.add(alias)
        }
        this.#all(
          does.set.map((s) => s.value),
          NO_CTES,
          own,
        )
        this.#expression(does.where, NO_CTES, own)
        break
      case 'delete':
        this.#expression(does.where, NO_CTES, own)
        break
      case 'merge': {
        const source = new Set<string>()
        // The source does not see the target; the condition sees both, and a clause only what its rows are matched in.
        this.#from(does.source, NO_CTES, source, NO_ALIASES)
        this.#expression(does.on, NO_CTES, new Set([...own, ...source]))
        for (const when of does.whens) {
          this.#all(when.values, NO_CTES, new Set([...(when.target ? own : []), ...(when.source ? source : [])]))
        }
        break
      }
      case 'define':
        if (does.query !== undefined) this.#query(does.query, NO_CTES, NO_ALIASES)
        break
      case 'opaque':
        for (const name of does.names) this.#opaque(name)
        break
    }
  }

  /** A name in a text that is not read: a name of one part may be a temporary table's. */
  #opaque({ path, action }: OpaqueName): void {
    const [only, ...more] = path.names
    if (action === 'execute') this.#executes(path)
    else if (only !== undefined && more.length === 0 && this.#defaults.dataset === undefined) {
      this.#uses.push({ action, resource: only.text })
    } else this.#uses.push({ action, resource: tablePath(path, this.#grammar, this.#defaults).resource })
  }

  #query(query: Query, outer: Ctes, aliases: Aliases): void {
    const ctes = new Map(outer)
    const add = (cte: Cte): void => void ctes.set(lower(cte.name.text), cte)
    if (query.recursive) query.ctes.forEach(add)
    for (const cte of query.ctes) {
      // A common table expression sees nothing of the query around it.
      this.#query(cte.query, ctes, NO_ALIASES)
      add(cte)
    }
    const inner = this.#body(query.body, ctes, aliases)
    this.#all(query.orderBy, ctes, inner)
    const behind = new Set(query.body.is === 'from' ? inner : aliases)
    for (const pipe of query.pipes) this.#pipe(pipe, ctes, behind, aliases)
  }

  /** The aliases that ORDER BY, or the first pipe operator, sees. */
  #body(body: Body, ctes: Ctes, outer: Aliases): Aliases {
    switch (body.is) {
      case 'nested':
        this.#query(body.query, ctes, outer)
        return outer
      case 'set':
        for (const arm of body.arms) this.#body(arm, ctes, outer)
        return outer
      case 'from': {
        const aliases = new Set(outer)
        this.#from(body.from, ctes, aliases, outer)
        return aliases
      }
      case 'select':
        return this.#select(body, ctes, outer)
    }
  }

  #select(select: Select, ctes: Ctes, outer: Aliases): Aliases {
    const aliases = new Set(outer)
    if (select.from !== undefined) this.#from(select.from, ctes, aliases, outer)
    this.#selected(select, ctes, aliases)
    return aliases
  }

  #selected({ items, where, groupBy, having, qualify, windows }: Select, ctes: Ctes, aliases: Aliases): void {
    this.#items(items, ctes, aliases)
    const rest = [where, ...groupBy, having, qualify, ...windows.flatMap((w) => w.window.parts)]
    this.#all(
      rest.filter((e) => e !== undefined),
      ctes,
      aliases,
    )
  }

  #items(items: readonly Item[], ctes: Ctes, aliases: Aliases): void {
    for (const item of items) {
      if (item.is === 'value') this.#expression(item.value, ctes, aliases)
      else this.#all([...(item.of === undefined ? [] : [item.of]), ...item.replace.map((r) => r.value)], ctes, aliases)
    }
  }

  /** Adds what the operator brings into view to `aliases`, or to `ctes`. */
  #pipe(pipe: Pipe, ctes: Map<string, Cte>, aliases: Set<string>, outer: Aliases): void {
    switch (pipe.is) {
      case 'project':
        this.#selected(pipe.select, ctes, aliases)
        return only(aliases, outer)
      case 'extend':
        this.#items(pipe.items, ctes, aliases)
        return this.#windows(pipe.windows, ctes, aliases)
      case 'set':
        return this.#values(pipe.items, ctes, aliases)
      case 'aggregate':
        this.#items(pipe.items, ctes, aliases)
        this.#values(pipe.groupBy, ctes, aliases)
        return only(aliases, outer)
      case 'where':
        return this.#expression(pipe.of, ctes, aliases)
      case 'order':
        return this.#all(pipe.by, ctes, aliases)
      case 'as':
        return only(aliases, outer, pipe.alias)
      case 'join': {
        const { join } = pipe
        this.#right(join, ctes, aliases, outer)
        return join.on === undefined ? undefined : this.#expression(join.on, ctes, aliases)
      }
      case 'union':
        for (const arm of pipe.arms) this.#query(arm, ctes, outer)
        return only(aliases, outer)
      case 'pivot':
        this.#pivot(pipe.pivot, ctes, aliases)
        return only(aliases, outer, pipe.alias)
      case 'branch':
        return this.#branch(pipe, ctes, aliases, outer)
      case 'with':
        for (const cte of pipe.ctes) {
          this.#query(cte.query, ctes, NO_ALIASES)
          ctes.set(lower(cte.name.text), cte)
        }
        return
      case 'call':
        this.#function(pipe.function, ctes, outer)
        return only(aliases, outer, pipe.function.alias)
      case 'drop':
      case 'rename':
      case 'limit':
      case 'distinct':
        return
    }
  }

  #branch(pipe: Extract<Pipe, { is: 'branch' }>, ctes: Ctes, aliases: Set<string>, outer: Aliases): void {
    if (pipe.name === 'EXPORT') this.#exports = true
    this.#all(pipe.conditions ?? [], ctes, aliases)
    if (pipe.target !== undefined) this.#target({ path: pipe.target.path, actions: [pipe.target.action] })
    for (const pipes of pipe.branches) {
      const [inside, seen] = [new Map(ctes), new Set(aliases)]
      for (const each of pipes) this.#pipe(each, inside, seen, outer)
    }
    // Which aliases are still in view cannot be told: without them, a path is a table's.
    if (pipe.name !== 'TEE') only(aliases, outer)
  }

  #windows(windows: Select['windows'], ctes: Ctes, aliases: Aliases): void {
    for (const { window } of windows) this.#all(window.parts, ctes, aliases)
  }

  #values(items: readonly { readonly value: Expression }[], ctes: Ctes, aliases: Aliases): void {
    for (const { value } of items) this.#expression(value, ctes, aliases)
  }

  #pivot(pivot: Pivot, ctes: Ctes, aliases: Aliases): void {
    if (pivot.is === 'unpivot') return
    this.#values([...pivot.aggregates, ...pivot.values, { value: pivot.for }], ctes, aliases)
  }

  /** A call that yields rows: what is called is executed, and what it is handed is read. */
  #function(item: FunctionItem, ctes: Ctes, aliases: Aliases): void {
    this.#executes(item.path)
    for (const given of item.arguments) {
      switch (given.is) {
        case 'value':
          this.#expression(given.value, ctes, aliases)
          break
        case 'query':
          this.#query(given.query, ctes, aliases)
          break
        case 'table': {
          this.#places.push(given.path)
          const [only, more] = given.path.names
          // `TABLE c` may hand over a common table expression; what that reads is known where it is defined.
          const isCte = more === undefined && only !== undefined && ctes.has(lower(only.text))
          if (!isCte) this.#read(given.path, 'table-function', undefined)
          break
        }
        case 'model':
          this.#executes(given.path)
          break
      }
    }
  }

  /** Code, as a resource: `ML.PREDICT`, `dataset.routine`, `dataset.model`. */
  #executes(path: Path): void {
    const names = path.names.map((name) => name.text)
    const [first = ''] = names
    const isOurs = names.length === 1 || OUTSIDE.has(first.toUpperCase())
    const resource = isOurs ? names.join('.').toUpperCase() : tablePath(path, this.#grammar, this.#defaults).resource
    this.#uses.push({ action: 'execute', resource })
  }

  /** Adds each item's alias to `aliases` behind it; a subquery sees only those of `outer`. */
  #from(item: FromItem, ctes: Ctes, aliases: Set<string>, outer: Aliases): void {
    switch (item.is) {
      case 'join':
        this.#from(item.left, ctes, aliases, outer)
        this.#right(item, ctes, aliases, outer)
        if (item.on !== undefined) this.#expression(item.on, ctes, aliases)
        return
      case 'subquery':
        this.#query(item.query, ctes, outer)
        break
      case 'unnest':
        this.#expression(item.of, ctes, aliases)
        break
      case 'function':
        // Its arguments see nothing of the FROM that it stands in.
        this.#function(item, ctes, outer)
        break
      case 'pivot': {
        // What is pivoted goes out of view behind it.
        const inside = new Set(aliases)
        this.#from(item.of, ctes, inside, outer)
        this.#pivot(item.pivot, ctes, inside)
        break
      }
      case 'table':
        this.#places.push(item.path)
        this.#meanings.set(item, this.#meaning(item, ctes, aliases))
        this.#all(item.extra, ctes, outer)
        break
    }
    const implied = item.is === 'table' ? item.path.names.at(-1) : undefined
    const alias = item.alias ?? implied
    if (alias !== undefined) aliases.add(lower(alias.text))
  }

  /** Where the right side sees nothing of what stands before it, `a.items` is a table there, in a subquery of UNNEST too. */
  #right(join: Pick<JoinItem, 'kind' | 'right'>, ctes: Ctes, aliases: Set<string>, outer: Aliases): void {
    const { right } = join
    if (seesLeft(join)) return this.#from(right, ctes, aliases, outer)
    const path =
      right.is === 'table' ? right.path : right.is === 'pivot' && right.of.is === 'table' ? right.of.path : undefined
    const [first, second] = path?.names ?? []
    if (first !== undefined && second !== undefined && second.start > first.end && aliases.has(lower(first.text))) {
      const message = `an array of \`${first.text}\` cannot stand behind \`${join.kind} JOIN\``
      this.#grammar.stop(right.start, 'unparseable', message, 'write the path of a table in backticks')
    }
    const inside = new Set(outer)
    this.#from(right, ctes, inside, outer)
    for (const alias of inside) aliases.add(alias)
  }

  #meaning(item: TableItem, ctes: Ctes, aliases: Aliases): Meaning {
    const { names } = item.path
    const [first, second] = names
    const refusal = (what: string): never => this.#grammar.stop(item.start, 'unparseable', `${what} cannot stand here`)
    if (first !== undefined && second === undefined) {
      const cte = ctes.get(lower(first.text))
      if (cte !== undefined) return item.fixed === undefined ? { is: 'cte', cte } : refusal('a clause for tables')
    }
    // A path quoted as a whole is a table's, whatever its first part says.
    if (first !== undefined && second !== undefined && second.start > first.end && aliases.has(lower(first.text))) {
      return item.fixed === undefined ? { is: 'array' } : refusal('a clause for tables')
    }
    if (item.offset !== undefined) this.#grammar.never(item.start, 'clause', '`WITH OFFSET` behind a table')
    const implied = item.alias === undefined ? names.at(-1)?.text : undefined
    const { fixed, clauses } = item
    const isMovable = item.extra.every(isConstant)
    return { is: 'table', table: this.#read(item.path, isMovable ? undefined : fixed, implied, clauses) }
  }

  #called({ routine }: Call): void {
    if (routine !== undefined) this.#executes(routine)
  }

  #all(expressions: readonly Expression[], ctes: Ctes, aliases: Aliases): void {
    for (const expression of expressions) this.#expression(expression, ctes, aliases)
  }

  #expression(expression: Expression, ctes: Ctes, aliases: Aliases): void {
    if (expression.is === 'call') this.#called(expression)
    if (expression.is === 'subquery' || expression.is === 'in') this.#query(expression.query, ctes, aliases)
    this.#all(operands(expression), ctes, aliases)
  }
}

/** A join inside a join does not see what stands before it, and neither does what stands behind RIGHT or FULL JOIN. */
export function seesLeft({ kind, right }: Pick<JoinItem, 'kind' | 'right'>): boolean {
  return right.is !== 'join' && kind !== 'RIGHT' && kind !== 'FULL'
}

/** What stood before a pipe operator is out of view behind it: leaves `outer` in `aliases`, and `alias`. */
function only(aliases: Set<string>, outer: Aliases, alias?: Name): void {
  aliases.clear()
  for (const name of outer) aliases.add(name)
  if (alias !== undefined) aliases.add(lower(alias.text))
}

/** First parts of names that are no datasets': built-in code that reaches out of the query. */
const OUTSIDE: ReadonlySet<string> = new Set(['ML', 'AI', 'OBJ', 'BQ', ...NAMESPACES])

/** The expressions right inside an expression, subqueries left out. */
export function operands(e: Expression): readonly Expression[] {
  switch (e.is) {
    case 'literal':
    case 'parameter':
    case 'path':
    case 'subquery':
      return []
    case 'field':
    case 'interval':
    case 'in':
      return [e.of]
    case 'lambda':
      return [e.body]
    case 'element':
      return [e.of, e.index]
    case 'call':
      return [...e.arguments, ...e.extra, ...(e.over?.parts ?? [])]
    case 'cast':
    case 'extract':
      return [e.of, ...e.extra]
    case 'case':
      return [...e.tests, ...e.results]
    case 'operator':
      return e.operands
    case 'array':
      return e.items
    case 'struct':
      return e.items.map((item) => item.value)
  }
}

/** Whether it means the same wherever it stands: no column and no query is in it. */
function isConstant(e: Expression): boolean {
  if (e.is === 'subquery' || e.is === 'in' || e.is === 'lambda') return false
  if (e.is !== 'path') return operands(e).every(isConstant)
  const [only, more] = e.names
  if (only === undefined || more !== undefined || only.quoted) return false
  const word = only.text.toUpperCase()
  return CONSTANTS.has(word) || DATE_PARTS.has(word)
}

/** How GoogleSQL compares aliases and columns. */
export function lower(name: string): string {
  return name.toLowerCase()
}
