/**
 * Resolves every name of a statement against known tables, and follows which table columns flow into which output. Where
 * GoogleSQL's scoping is not modelled exactly, a name is refused, or all that it could mean is counted as read.
 */
import type { Feature, SqlType, Table } from '../exchange.ts'
import { DATE_PARTS, type Grammar, Stop } from './grammar.ts'
import { callType, CONSTANTS, isPartAt, isSystemFunction, remarkOn, sharedType } from './functions.ts'
import { lower, operands, seesLeft, type Names } from './names.ts'
import { nearest } from './nearest.ts'
import type { Analysed } from './parse.ts'
import type {
  Aliased,
  Body,
  ByName,
  Call,
  Cte,
  Expression,
  FromItem,
  FunctionItem,
  Item,
  JoinItem,
  Name,
  Path,
  Pipe,
  Pivot,
  PivotItem,
  Query,
  Select,
  Star,
  TableItem,
  UnnestItem,
} from './syntax.ts'
import {
  arrayOf,
  elementOf,
  fieldOf,
  fieldsOf,
  fromTable,
  mixed,
  type NamedValue,
  NOTHING,
  NULL,
  rowOf,
  typed,
  unionOf,
  type Value,
} from './value.ts'

/** A table or view whose columns are known, under the path that names it. */
export interface Source {
  readonly table: Table
  /** The columns' values: the table's own, or what a view's definition makes them. */
  readonly columns: readonly NamedValue[]
}

/** By `pathKey`. */
export type Sources = ReadonlyMap<string, Source>

export interface Bound {
  readonly output: readonly NamedValue[]
  readonly columnsRead: ReadonlySet<string>
  /** Those of `columnsRead` that choose the rows of the answer, or may: all but what is only listed in a plain SELECT. */
  readonly choosing: ReadonlySet<string>
  readonly functions: ReadonlySet<string>
  readonly features: readonly Feature[]
  /** By the offset of a table: where its pseudo-columns are used, which no subquery has. */
  readonly pseudo: ReadonlyMap<number, PseudoUse>
}

/** Where the pseudo-columns of one table are named. `isFixed`: where no column of a subquery could stand for them. */
export interface PseudoUse {
  readonly isFixed: boolean
  readonly names: readonly Name[]
  readonly stars: readonly Star[]
}

/** A row source behind FROM under its alias. */
interface Range {
  readonly name: string | undefined
  readonly row: Value
  /** Where in the text a table with pseudo-columns is named. */
  readonly table?: { readonly start: number; readonly source: Source; readonly wildcard: boolean }
}

/** What FROM yields: rows by alias, and columns in the order of `*`. */
interface Frame {
  readonly ranges: readonly Range[]
  readonly columns: readonly NamedValue[]
  /** What any further column holds: a table function's rows have columns that only the warehouse knows. */
  readonly open?: Value
}

interface Scope extends Frame {
  readonly parent: Scope | undefined
  /** Of the select list, where GROUP BY, HAVING, QUALIFY and ORDER BY see it. */
  readonly aliases?: readonly NamedValue[]
}

/** The columns of a query; `isValue` for `SELECT AS STRUCT` and `AS VALUE`, which have one. */
interface Result {
  readonly columns: readonly NamedValue[]
  readonly isValue: boolean
  /** What further columns hold, where `*` stands for columns that only the warehouse knows. */
  readonly open?: Value
}

const EMPTY: Frame = { ranges: [], columns: [] }
/** Steps, summed over everything; ends statements whose stars or recursion multiply. */
const WORK = 400_000
const COLUMNS = 20_000
/** Those that a column of a subquery may stand for; the others belong to functions of changes. */
const EXPORTED = /^_(partitiontime|partitiondate|file_name|table_suffix)$/i
/** Pipe operators behind which the rows of FROM are named as before, and no column more is seen than named. */
const TRANSPARENT = /^(where|order|limit|extend|set|drop|rename|join|project|aggregate|with)$/
const PSEUDO: ReadonlyMap<string, SqlType> = new Map<string, SqlType>([
  ['_partitiontime', { kind: 'TIMESTAMP' }],
  ['_partitiondate', { kind: 'DATE' }],
  ['_file_name', { kind: 'STRING' }],
  ['_table_suffix', { kind: 'STRING' }],
  ['_change_type', { kind: 'STRING' }],
  ['_change_timestamp', { kind: 'TIMESTAMP' }],
])

/** Key of a table's path in `Sources`. */
export function pathKey(path: { project: string; dataset: string; table: string }): string {
  return JSON.stringify([path.project, path.dataset, path.table])
}

const COLUMNS_OF = new WeakMap<Table, readonly NamedValue[]>()

/** The columns of a base table. A table's description never changes; a changed table is described anew. */
export function baseColumns(table: Table): readonly NamedValue[] {
  const known = COLUMNS_OF.get(table)
  if (known !== undefined) return known
  const columns = table.columns.map(({ name, type }) => ({ name, value: fromTable(`${table.resource}.${name}`, type) }))
  COLUMNS_OF.set(table, columns)
  return columns
}

const SUFFIX = '_TABLE_SUFFIX'

/** Binds a parsed statement. Throws Stop where a name is unknown or a construct cannot be proven. */
export function bindTree(analysed: Analysed, sources: Sources): Bound {
  if (analysed.grammar.unbound !== undefined) throw new Stop(analysed.grammar.unbound)
  return new Binder(analysed, sources).run()
}

class Binder {
  readonly #grammar: Grammar
  readonly #names: Names
  readonly #analysed: Analysed
  readonly #sources: Sources
  readonly #ctes = new Map<Cte, Result>()
  readonly #functions = new Set<string>()
  readonly #features: Feature[] = []
  /** By the offset of a table: where pseudo-columns of it are named, by the offsets of the names. */
  readonly #pseudo = new Map<number, Map<number, Name>>()
  /** Offsets of tables whose rows are used whole, so that a further column would be seen; and where `*` stands for one. */
  #whole = new Set<number>()
  readonly #stars = new Map<number, Set<Star>>()
  readonly #rows = new Map<Value, number>()
  /** Tables that are divided (by a column, or into shards), and the columns by which rows are chosen. */
  readonly #divided: { readonly resource: string; readonly by: string; readonly start: number }[] = []
  readonly #filtered = new Set<string>()
  #reads = new Set<string>()
  /** What only the columns of the statement's own SELECT read. */
  readonly #listed = new Set<string>()
  #work = 0
  #depth = 0
  #deepest = 0

  constructor(analysed: Analysed, sources: Sources) {
    this.#analysed = analysed
    this.#grammar = analysed.grammar
    this.#names = analysed.names
    this.#sources = sources
  }

  run(): Bound {
    const output = this.#statement()
    if (this.#deepest > 3) this.#features.push({ name: 'subquery-depth' })
    this.#noteWhole()
    return {
      output,
      columnsRead: new Set([...this.#reads, ...this.#listed]),
      choosing: this.#reads,
      functions: this.#functions,
      features: this.#features,
      pseudo: new Map(
        [...this.#pseudo].map(([start, names]) => [
          start,
          {
            isFixed: this.#whole.has(start),
            names: [...names.values()],
            stars: [...(this.#stars.get(start) ?? [])],
          },
        ]),
      ),
    }
  }

  /** Their rows are used as they are: a column more would change what comes out. */
  #seenWhole(ranges: readonly Range[]): void {
    for (const { table } of ranges) if (table !== undefined) this.#whole.add(table.start)
  }

  #starOver(star: Star, tables: readonly (number | undefined)[]): void {
    for (const start of tables) {
      if (start !== undefined) this.#stars.set(start, (this.#stars.get(start) ?? new Set()).add(star))
    }
  }

  // ── statements ─────────────────────────────────────────────────────────────────────────────────────────────────

  #statement(): readonly NamedValue[] {
    const { does, copies, functions } = this.#analysed.tree
    for (const { parameters, body } of functions ?? []) {
      const columns = parameters.map(({ text }): NamedValue => ({ name: text, value: NOTHING }))
      if (body !== undefined) this.#expression(body, this.#scope({ ranges: [], columns }))
    }
    for (const { path, extra } of copies) {
      this.#copy(path)
      this.#each(extra, undefined)
    }
    switch (does.is) {
      case 'query':
      case 'define': {
        if (does.query === undefined) return []
        const output = this.#outputOf(this.#query(does.query, undefined))
        if (does.is === 'query' && !does.query.limited && !does.exports) this.#note('no-limit', does.query.start)
        return does.is === 'query' && !does.exports ? output : []
      }
      case 'insert': {
        this.#checkColumns(does.columns, this.#target(undefined))
        if (does.query !== undefined) this.#query(does.query, undefined)
        this.#each(does.values, undefined)
        return []
      }
      case 'update': {
        const target = this.#target(does.alias)
        const scope = this.#scope(
          does.from === undefined ? target : this.#merge(target, this.#from(does.from, undefined, EMPTY)),
        )
        this.#checkColumns(
          does.set.flatMap(({ target: [first] }) => (first === undefined ? [] : [first])),
          target,
          does.alias?.text ?? this.#analysed.tree.targets[0]?.path.names.at(-1)?.text,
        )
        for (const { value } of does.set) this.#expression(value, scope)
        this.#dmlWhere(does.where, scope)
        return []
      }
      case 'delete':
        this.#dmlWhere(does.where, this.#scope(this.#target(does.alias)))
        return []
      case 'merge': {
        const target = this.#target(does.alias)
        const source = this.#from(does.source, undefined, EMPTY)
        const both = this.#merge(target, source)
        this.#dmlWhere(does.on, this.#scope(both))
        for (const { values, row, ...sees } of does.whens) {
          // A row that is missed on one side has nothing of that side.
          this.#each(values, this.#scope(sees.target ? (sees.source ? both : target) : source))
          if (row === true && source.open !== undefined) this.#openStar(does.on.start)
          if (row === true) for (const { value } of source.columns) this.#consume(value)
        }
        return []
      }
      case 'opaque':
        return this.#stop(
          this.#analysed.tree.start,
          'unsupported-script',
          'what a script does is not known before it runs',
        )
    }
  }

  /** Empty where only the warehouse knows the columns: its dry run tells them. */
  #outputOf({ columns, isValue, open }: Result): readonly NamedValue[] {
    if (open !== undefined) return []
    const [only] = columns
    return (isValue && only !== undefined ? fieldsOf(only.value) : undefined) ?? columns
  }

  #copy(path: Path): void {
    const source = this.#sourceAt(path)
    for (const column of source.columns) this.#consume(column.value)
  }

  #target(alias: Name | undefined): Frame {
    const [target] = this.#analysed.tree.targets
    if (target === undefined) return EMPTY
    const source = this.#sourceAt(target.path)
    if (source.table.kind === 'VIEW' || source.table.kind === 'MATERIALIZED_VIEW') {
      this.#stop(
        target.path.start,
        'unsupported-target',
        `\`${source.table.resource}\` is a view and cannot be changed by DML`,
      )
    }
    const name = alias?.text ?? target.path.names.at(-1)?.text
    return this.#tableFrame(source, name, target.path.start, false)
  }

  /** A path that the name walk took for a table. */
  #sourceAt(path: Path): Source {
    const named = this.#names.tables.find((table) => table.start === path.start)
    const source = named === undefined ? undefined : this.#sources.get(pathKey(named.path))
    if (source === undefined) return this.#stop(path.start, 'unknown-table', 'a table here is not known')
    return source
  }

  #checkColumns(names: readonly Name[], target: Frame, alias?: string): void {
    for (const name of names) {
      // `SET t.column = …` names the target first.
      if (alias !== undefined && lower(alias) === lower(name.text)) continue
      if (!target.columns.some((column) => lower(column.name) === lower(name.text))) {
        this.#unknown(
          name,
          target.columns.map((column) => column.name),
        )
      }
    }
  }

  #dmlWhere(where: Expression, scope: Scope): void {
    const always = alwaysTrue(where)
    if (always) this.#note('always-true-where', where.start)
    const { size } = this.#filter(where, scope)
    // No column decides: it is all rows or none.
    if (size === 0 && !always) this.#note('constant-where', where.start)
  }

  #filter(where: Expression, scope: Scope): Value['sources'] {
    const { sources } = this.#expression(where, scope)
    if (!alwaysTrue(where)) for (const source of sources) this.#filtered.add(source.toLowerCase())
    return sources
  }

  /** Divided tables of which no filter chooses a part: they are read whole. */
  #noteWhole(): void {
    for (const { resource, by, start } of this.#divided) {
      const names = /^_PARTITION(TIME|DATE)$/i.test(by) ? ['_PARTITIONTIME', '_PARTITIONDATE'] : [by]
      if (names.some((name) => this.#filtered.has(`${resource}.${name}`.toLowerCase()))) continue
      this.#note(by === SUFFIX ? 'wildcard-unfiltered' : 'partition-unfiltered', start, resource)
    }
  }

  // ── queries ────────────────────────────────────────────────────────────────────────────────────────────────────

  #query(query: Query, outer: Scope | undefined): Result {
    this.#deepest = Math.max(this.#deepest, ++this.#depth)
    for (const cte of query.ctes)
      this.#ctes.set(cte, query.recursive ? this.#recursive(cte) : this.#query(cte.query, undefined))
    const { result, scope } = this.#body(query.body, outer, query.pipes.length > 0)
    const sees: Scope = scope ?? { ranges: [], columns: result.columns, parent: outer }
    this.#each(query.orderBy, { ...sees, aliases: result.columns })
    const piped = query.pipes.length === 0 ? result : this.#piped(query, result, scope, outer)
    // No select list says what is read: all that comes out is, as behind `SELECT *`.
    if (query.body.is === 'from' || query.pipes.length > 0) for (const { value } of piped.columns) this.#consume(value)
    this.#depth--
    return piped
  }

  // ── pipes ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #piped({ body, pipes }: Query, result: Result, scope: Scope | undefined, outer: Scope | undefined): Result {
    let frame = body.is === 'from' && scope !== undefined ? scope : this.#queryFrame(result, undefined)
    for (const pipe of pipes) {
      this.#step(1 + frame.columns.length / 8, pipe.start)
      if (!TRANSPARENT.test(pipe.is)) this.#seenWhole(frame.ranges)
      frame = this.#pipe(pipe, frame, outer)
      this.#bounded(frame.columns, pipe.start)
    }
    this.#seenWhole(frame.ranges)
    return { columns: frame.columns, isValue: false, ...openOf(frame, EMPTY) }
  }

  #bounded(columns: readonly NamedValue[], start: number): void {
    if (columns.length > COLUMNS) this.#stop(start, 'too-large', `a query has more than ${COLUMNS} columns`)
  }

  #openStar(start: number): never {
    return this.#stop(
      start,
      'unsupported-star',
      'the columns of a table function are not known here',
      'select the columns by name',
    )
  }

  /** What the operator makes of the rows before it. Where it renames a column, aliases of tables keep what they named. */
  #pipe(pipe: Pipe, frame: Frame, outer: Scope | undefined): Frame {
    const scope = this.#scope(frame, outer)
    const none = { ranges: [] }
    switch (pipe.is) {
      case 'project': {
        const { result } = this.#selectOver(pipe.select, scope)
        return this.#queryFrame(result, undefined)
      }
      case 'extend': {
        const added = this.#items(pipe.items, scope)
        this.#each(
          pipe.windows.flatMap((w) => w.window.parts),
          scope,
        )
        return { ...frame, columns: [...frame.columns, ...added] }
      }
      case 'set':
        return { ...frame, columns: this.#pipeSet(pipe.items, frame, scope) }
      case 'drop': {
        for (const name of pipe.names) this.#own(name, frame)
        const gone = new Set(pipe.names.map((name) => lower(name.text)))
        return { ...frame, columns: frame.columns.filter((column) => !gone.has(lower(column.name))) }
      }
      case 'rename': {
        for (const { from } of pipe.items) this.#own(from, frame)
        const names = new Map(pipe.items.map(({ from, to }) => [lower(from.text), to.text]))
        const columns = frame.columns.map(({ name, value }) => ({ name: names.get(lower(name)) ?? name, value }))
        return { ...frame, columns }
      }
      case 'as':
        return { ...frame, ranges: [this.#range1(pipe.alias.text, frame)] }
      case 'where':
        this.#filter(pipe.of, scope)
        return frame
      case 'order':
        this.#each(pipe.by, scope)
        return frame
      case 'limit':
        return frame
      case 'distinct':
        for (const { value } of frame.columns) this.#consume(value)
        return frame
      case 'aggregate':
        return { ...none, columns: this.#aggregate(pipe, scope) }
      case 'join':
        return this.#joinPipe(pipe.join, frame, outer)
      case 'union': {
        if (frame.open !== undefined) this.#openStar(pipe.start)
        const arms = pipe.arms.map((arm) => this.#query(arm, outer))
        const [first, ...rest] = [{ columns: frame.columns, isValue: false }, ...arms]
        return { ...none, columns: this.#united(pipe.start, first, rest, pipe.byName).columns }
      }
      case 'pivot':
        return this.#pivoted(pipe.pivot, frame, pipe.alias, scope)
      case 'with':
        for (const cte of pipe.ctes) this.#ctes.set(cte, this.#query(cte.query, undefined))
        return frame
      case 'call': {
        const given = frame.columns.map((column) => this.#consume(column.value))
        if (frame.open !== undefined) given.push(frame.open)
        return this.#function(pipe.function, outer, given)
      }
      case 'branch':
        return this.#stop(pipe.start, 'unsupported-pipe', `the pipe operator \`${pipe.name}\` is not supported`)
    }
  }

  #range1(name: string | undefined, { columns, open }: Frame): Range {
    const row = rowOf(columns)
    return { name, row: open === undefined ? row : { sources: unionOf([row, open]) } }
  }

  /** The one column of that name. */
  #own(name: Name, { columns, open }: Frame): NamedValue {
    this.#step(1 + columns.length / 8, name.start)
    const found = columns.filter((column) => lower(column.name) === lower(name.text))
    const [only] = found
    if (found.length > 1) this.#stop(name.start, 'ambiguous-column', `\`${name.text}\` is ambiguous`)
    if (only === undefined && open !== undefined) this.#openStar(name.start)
    return (
      only ??
      this.#unknown(
        name,
        columns.map((c) => c.name),
      )
    )
  }

  #pipeSet(items: Extract<Pipe, { is: 'set' }>['items'], frame: Frame, scope: Scope): NamedValue[] {
    const values = new Map(items.map(({ name, value }) => [this.#own(name, frame), this.#expression(value, scope)]))
    return frame.columns.map((column) => ({ name: column.name, value: values.get(column) ?? column.value }))
  }

  /** Group columns, then aggregates. */
  #aggregate({ items, groupBy, start }: Extract<Pipe, { is: 'aggregate' }>, scope: Scope): NamedValue[] {
    const grouped = groupBy.map((item) => this.#item(item, scope))
    if (items.some((item) => item.is === 'star')) this.#stop(start, 'unparseable', '`*` cannot stand in `AGGREGATE`')
    return [...grouped, ...this.#items(items, scope)]
  }

  #items(items: readonly Item[], scope: Scope): NamedValue[] {
    return items.flatMap((item) => (item.is === 'star' ? this.#star(item, scope) : [this.#item(item, scope)]))
  }

  #joinPipe(join: Extract<Pipe, { is: 'join' }>['join'], left: Frame, outer: Scope | undefined): Frame {
    return this.#joined(join, left, this.#from(join.right, outer, seesLeft(join) ? left : EMPTY), EMPTY, outer)
  }

  // ── parts of queries ───────────────────────────────────────────────────────────────────────────────────────────

  /** By fixpoint: what flows round and round is added until nothing new comes. */
  #recursive(cte: Cte): Result {
    const { body, ctes } = cte.query
    const [anchor] = body.is === 'set' && ctes.length === 0 && cte.query.pipes.length === 0 ? body.arms : []
    if (anchor === undefined) return this.#query(cte.query, undefined)
    let known = this.#body(anchor, undefined).result
    for (;;) {
      this.#ctes.set(cte, known)
      const next = this.#query(cte.query, undefined)
      if (next.open !== undefined || known.open !== undefined) this.#openStar(cte.query.start)
      const columns = known.columns.map(({ name, value }, i): NamedValue => {
        const more = next.columns[i]?.value ?? NOTHING
        return { name, value: { type: value.type, sources: unionOf([value, more]) } }
      })
      const grown = columns.some(({ value }, i) => value.sources.size > (known.columns[i]?.value.sources.size ?? 0))
      known = { columns, isValue: known.isValue }
      if (!grown) return known
    }
  }

  /** `isPiped`: a pipe operator decides what of the rows of FROM is seen. */
  #body(body: Body, outer: Scope | undefined, isPiped = false): { result: Result; scope?: Scope } {
    switch (body.is) {
      case 'select':
        return this.#select(body, outer)
      case 'nested':
        return { result: this.#query(body.query, outer) }
      case 'from': {
        const scope = this.#scope(this.#from(body.from, outer, EMPTY), outer)
        if (!isPiped) this.#seenWhole(scope.ranges)
        return { result: { columns: scope.columns, isValue: false, ...openOf(scope, EMPTY) }, scope }
      }
      case 'set': {
        const [first, ...rest] = body.arms.map((arm) => this.#body(arm, outer).result)
        if (first === undefined) return { result: { columns: [], isValue: false } }
        return { result: this.#united(body.start, first, rest, body.byName) }
      }
    }
  }

  /** A set operation: values of the same place, or of the same name, flow together. */
  #united(start: number, first: Result, rest: readonly Result[], byName: ByName | undefined): Result {
    for (const arm of [first, ...rest]) if (arm.open !== undefined) this.#openStar(start)
    const arms = byName === undefined ? [first, ...rest] : this.#matched(start, [first, ...rest], byName)
    const [lead] = arms
    if (lead === undefined) return first
    for (const arm of arms) {
      if (arm.columns.length !== lead.columns.length || arm.isValue !== lead.isValue) {
        this.#stop(start, 'unparseable', 'the sides of a set operation have different numbers of columns')
      }
    }
    // Of rows that go or stay by comparison, every column decides; of all others, none is lost.
    const columns = lead.columns.map(({ name }, i): NamedValue => {
      const values = arms.map((arm) => arm.columns[i]?.value ?? NOTHING)
      return { name, value: mixed(values, sharedType(values)) }
    })
    return { columns, isValue: lead.isValue }
  }

  /** Each arm's columns, in one order; a column that an arm lacks is NULL there. */
  #matched(start: number, arms: readonly Result[], { keeps, names }: ByName): Result[] {
    for (const { columns, isValue } of arms) {
      const distinct = new Set(columns.map((column) => lower(column.name)))
      if (isValue || distinct.size < columns.length || distinct.has('')) {
        this.#stop(start, 'unparseable', 'a set operation by name needs columns with names of their own')
      }
    }
    const byArm = arms.map((arm) => new Map(arm.columns.map((column) => [lower(column.name), column])))
    const all = [...new Map(arms.flatMap((arm) => arm.columns.map((c) => [lower(c.name), c.name] as const)))]
    const wanted = names === undefined ? all : names.map((name) => [lower(name.text), name.text] as const)
    const kept = wanted.filter(([key]) => {
      const inFirst = byArm[0]?.has(key) === true
      const inAll = byArm.every((arm) => arm.has(key))
      if (keeps === 'same' && !inAll)
        this.#stop(start, 'unknown-column', `\`${key}\` is not in each side of a set operation`)
      return keeps === 'all' || keeps === 'same' || (keeps === 'first' ? inFirst : inAll)
    })
    if (kept.length === 0) this.#stop(start, 'unparseable', 'the sides of a set operation share no column')
    // Columns that are dropped may still decide which rows stay.
    for (const arm of arms) for (const { value } of arm.columns) this.#consume(value)
    return byArm.map((arm) => ({
      isValue: false,
      columns: kept.map(([key, name]) => ({
        name: byArm[0]?.get(key)?.name ?? name,
        value: arm.get(key)?.value ?? NOTHING,
      })),
    }))
  }

  #select(select: Select, outer: Scope | undefined): { result: Result; scope: Scope } {
    const scope = this.#scope(select.from === undefined ? EMPTY : this.#from(select.from, outer, EMPTY), outer)
    return this.#selectOver(select, scope)
  }

  #selectOver(select: Select, scope: Scope): { result: Result; scope: Scope } {
    if (select.with !== undefined) {
      this.#stop(select.start, 'unsupported-clause', `\`SELECT WITH ${select.with}\` is not supported`)
    }
    if (select.where !== undefined) this.#filter(select.where, scope)
    const columns = this.#isPlain(select)
      ? select.items.flatMap((item) => this.#listedItem(item, scope))
      : this.#items(select.items, scope)
    this.#bounded(columns, select.start)
    const later: Scope = { ...scope, aliases: columns }
    this.#each(select.groupBy, later)
    this.#each(
      select.windows.flatMap((w) => w.window.parts),
      later,
    )
    if (select.having !== undefined) this.#expression(select.having, later)
    if (select.qualify !== undefined) this.#expression(select.qualify, later)
    const hasStar = select.items.some((item) => item.is === 'star' && item.of === undefined)
    const open = hasStar ? scope.open : undefined
    if (open !== undefined && select.as !== undefined) this.#openStar(select.start)
    return { result: { ...this.#shaped(select, columns), ...(open !== undefined && { open }) }, scope }
  }

  /** The statement's own SELECT, of which no column chooses rows by being listed. */
  #isPlain(select: Select): boolean {
    const { tree, grammar } = this.#analysed
    if (tree.does.is !== 'query' || tree.does.query.body !== select || tree.does.query.pipes.length > 0) return false
    // `GROUP BY ALL` leaves no trace in the tree.
    return !select.distinct && select.as === undefined && !grammar.tokens.some((token) => token.word === 'GROUP')
  }

  /** What is read beyond what flows into the columns (a subquery's filter) belongs to none of them: it may choose rows. */
  #listedItem(item: Item, scope: Scope): NamedValue[] {
    const outside = this.#reads
    const read = new Set<string>()
    this.#reads = read
    const columns = this.#items([item], scope)
    this.#reads = outside
    for (const source of read) this.#listed.add(source)
    const flowing = unionOf(columns.map((column) => column.value))
    for (const source of read) if (!flowing.has(source)) outside.add(source)
    return columns
  }

  #shaped(select: Select, columns: readonly NamedValue[]): Result {
    if (select.as === undefined) return { columns, isValue: false }
    if (select.as === 'STRUCT') return { columns: [{ name: '', value: rowOf(columns) }], isValue: true }
    if (columns.length !== 1) this.#stop(select.start, 'unparseable', '`SELECT AS VALUE` takes one column')
    return { columns, isValue: true }
  }

  #item({ value, alias }: { value: Expression; alias?: Name }, scope: Scope): NamedValue {
    const bound = this.#expression(value, scope)
    // The column would bear another name than it had.
    if (alias === undefined) this.#unnamed(value)
    return { name: alias?.text ?? impliedName(value), value: bound }
  }

  #unnamed(value: Expression): void {
    const last = value.is === 'path' ? value.names.at(-1) : undefined
    if (last === undefined) return
    for (const [start, names] of this.#pseudo) if (names.has(last.start)) this.#whole.add(start)
  }

  /** The row behind `row.*`, which of a table may be written without some columns. */
  #starred(star: Star, of: Expression, scope: Scope): Value {
    const before = new Set(this.#whole)
    const value = this.#chain(of, scope)
    const table = this.#rows.get(value)
    if (table === undefined) return value
    this.#whole = before
    this.#starOver(star, [table])
    return value
  }

  #star(star: Star, scope: Scope): NamedValue[] {
    this.#note('select-star', star.start)
    const isOpen = star.of === undefined && scope.open !== undefined
    if (star.of === undefined)
      this.#starOver(
        star,
        scope.ranges.map((range) => range.table?.start),
      )
    const columns = star.of === undefined ? scope.columns : fieldsOf(this.#starred(star, star.of, scope))
    if (columns === undefined) {
      return this.#stop(star.start, 'unsupported-star', '`.*` of a value whose fields are not known', 'name the fields')
    }
    if (isOpen) this.#consume(scope.open)
    if (columns.length === 0 && !isOpen) {
      return this.#stop(star.start, 'unparseable', '`*` stands for no columns here')
    }
    const has = (name: Name): void => {
      if (!isOpen && !columns.some((c) => lower(c.name) === lower(name.text)))
        this.#unknown(
          name,
          columns.map((c) => c.name),
        )
    }
    star.except.forEach(has)
    const replaced = new Map<string, NamedValue>()
    for (const { value, alias } of star.replace) {
      has(alias)
      // It bears the name as it is written here.
      replaced.set(lower(alias.text), { name: alias.text, value: this.#expression(value, scope) })
    }
    const except = new Set(star.except.map((name) => lower(name.text)))
    return columns
      .filter(({ name }) => !except.has(lower(name)))
      .map(({ name, value }) => replaced.get(lower(name)) ?? { name, value: this.#consume(value) })
  }

  // ── FROM ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #scope(frame: Frame, parent?: Scope): Scope {
    return { ...frame, parent }
  }

  #merge(left: Frame, right: Frame): Frame {
    return {
      ranges: [...left.ranges, ...right.ranges],
      columns: [...left.columns, ...right.columns],
      ...openOf(left, right),
    }
  }

  /** `left` is what stands before it in the same FROM, which array paths may name. */
  #from(item: FromItem, outer: Scope | undefined, left: Frame): Frame {
    switch (item.is) {
      case 'join':
        return this.#join(item, outer, left)
      case 'subquery': {
        const result = this.#query(item.query, outer)
        return this.#queryFrame(result, item.alias?.text)
      }
      case 'unnest':
        return this.#array(this.#expression(item.of, this.#scope(left, outer)), item, item.alias?.text)
      case 'table':
        return this.#table(item, outer, left)
      case 'function':
        return this.#function(item, outer, [])
      case 'pivot':
        return this.#pivotItem(item, outer, left)
    }
  }

  /** The rows that a call yields: each column may hold whatever the call was given. */
  #function(item: FunctionItem, outer: Scope | undefined, before: readonly Value[]): Frame {
    if (!isSystemFunction(item.name)) {
      return this.#stop(
        item.start,
        'unsupported-table-function',
        `what the table function \`${item.name.toLowerCase()}\` reads is not known here`,
      )
    }
    this.#functions.add(item.name)
    this.#note('table-function', item.start)
    const given = item.arguments.flatMap((argument): Value[] => {
      switch (argument.is) {
        case 'value':
          return [this.#expression(argument.value, outer)]
        case 'query':
          return this.#allOf(this.#query(argument.query, outer))
        case 'table':
          return this.#handed(argument.path)
        case 'model':
          return []
      }
    })
    const open = mixed([...before, ...given])
    return { columns: [], ranges: [{ name: item.alias?.text, row: open }], open }
  }

  #allOf({ columns, open }: Result): Value[] {
    return [...columns.map((column) => this.#consume(column.value)), ...(open === undefined ? [] : [open])]
  }

  /** All columns of a table that a call is handed. */
  #handed(path: Path): Value[] {
    const named = this.#names.tables.find((table) => table.start === path.start)
    if (named === undefined) {
      return this.#stop(
        path.start,
        'unsupported-table-function',
        'a common table expression cannot be handed over by `TABLE`',
        'write `(SELECT … FROM …)`',
      )
    }
    return this.#sourceAt(path).columns.map((column) => this.#consume(column.value))
  }

  #pivotItem(item: PivotItem, outer: Scope | undefined, left: Frame): Frame {
    const frame = this.#from(item.of, outer, left)
    return this.#pivoted(item.pivot, frame, item.alias, this.#scope(frame, outer))
  }

  #pivoted(pivot: Pivot, frame: Frame, alias: Name | undefined, scope: Scope): Frame {
    if (frame.open !== undefined) this.#openStar(pivot.start)
    this.#seenWhole(frame.ranges)
    const columns = pivot.is === 'pivot' ? this.#pivotColumns(pivot, frame, scope) : this.#unpivotColumns(pivot, frame)
    return { columns, ranges: [this.#range1(alias?.text, { columns, ranges: [] })] }
  }

  /** The columns that PIVOT does not name group the rows; then comes one for each value and aggregate. */
  #pivotColumns(pivot: Extract<Pivot, { is: 'pivot' }>, frame: Frame, scope: Scope): NamedValue[] {
    const by = this.#expression(pivot.for, scope)
    const names = new Set<string>()
    for (const e of [pivot.for, ...pivot.aggregates.map((a) => a.value)]) this.#namesIn(e, frame, names)
    const groups = frame.columns.filter((column) => !names.has(lower(column.name)))
    for (const { value } of groups) this.#consume(value)
    const made = pivot.aggregates.map(({ value, alias }) => ({
      alias: alias?.text,
      value: this.#aggregateCall(value, by, scope),
    }))
    if (pivot.values.length * made.length > COLUMNS)
      this.#stop(pivot.start, 'too-large', `more than ${COLUMNS} columns`)
    const values = pivot.values.map((item) => {
      this.#expression(item.value, scope)
      return this.#pivotName(item)
    })
    const columns = values.flatMap((label) =>
      made.map(({ alias, value }) => ({ name: alias === undefined ? label : `${alias}_${label}`, value })),
    )
    if (made.length > 1 && made.some(({ alias }) => alias === undefined)) {
      this.#stop(pivot.start, 'unsupported-pivot', 'each of several aggregates in `PIVOT` needs an alias')
    }
    return [...groups, ...columns]
  }

  #aggregateCall(value: Expression, by: Value, scope: Scope): Value {
    if (value.is !== 'call') return this.#stop(value.start, 'unparseable', '`PIVOT` takes a call of an aggregate')
    const made = this.#expression(value, scope)
    return mixed([by, made], made.type)
  }

  /** How BigQuery names what comes of a value. */
  #pivotName({ value, alias }: Aliased): string {
    if (alias !== undefined) return alias.text
    if (value.is === 'literal') {
      const word = /^(['"])([A-Za-z_]\w*)\1$/.exec(value.text)?.[2]
      if (word !== undefined) return word
      if (/^\d+$/.test(value.text)) return `_${value.text}`
    }
    return this.#stop(
      value.start,
      'unsupported-pivot',
      'the name of a column of `PIVOT` is not known',
      'give it an alias',
    )
  }

  /** The columns of the frame that an expression names; those that a subquery in it names cannot be told. */
  #namesIn(e: Expression, frame: Frame, names: Set<string>): void {
    if (e.is === 'subquery' || e.is === 'in') {
      this.#stop(e.start, 'unsupported-pivot', 'a subquery in `PIVOT` is not supported')
    }
    if (e.is === 'lambda') this.#stop(e.start, 'unsupported-pivot', 'a lambda in `PIVOT` is not supported')
    if (e.is === 'path') {
      const [first, second] = e.names.map((name) => lower(name.text))
      const isAlias = frame.ranges.some((range) => range.name !== undefined && lower(range.name) === first)
      if (isAlias && second === undefined)
        this.#stop(e.start, 'unsupported-pivot', 'a whole row in `PIVOT` is not supported')
      for (const name of isAlias ? [first, second] : [first]) if (name !== undefined) names.add(name)
    }
    for (const inner of operands(e)) this.#namesIn(inner, frame, names)
  }

  /** All other columns, then the values, then their names. */
  #unpivotColumns(pivot: Extract<Pivot, { is: 'unpivot' }>, frame: Frame): NamedValue[] {
    const groups = pivot.groups.map((group) => group.columns.map((name) => this.#own(name, frame)))
    const gone = new Set(groups.flat())
    const values = pivot.columns.map((name, i): NamedValue => {
      const of = groups.flatMap((group) => (group[i] === undefined ? [] : [this.#consume(group[i].value)]))
      return { name: name.text, value: mixed(of, sharedType(of)) }
    })
    const label = pivot.groups[0]?.label
    const type: SqlType = label?.is === 'literal' && label.type?.kind === 'INT64' ? label.type : { kind: 'STRING' }
    const rest = frame.columns.filter((column) => !gone.has(column))
    return [...rest, ...values, { name: pivot.name.text, value: typed(type) }]
  }

  #queryFrame(result: Result, alias: string | undefined): Frame {
    const [only] = result.columns
    const fields = result.isValue && only !== undefined ? fieldsOf(only.value) : undefined
    if (result.isValue && fields === undefined && only !== undefined) {
      const columns = [{ name: alias ?? '', value: only.value }]
      return { columns, ranges: [{ name: alias, row: only.value }] }
    }
    const frame: Frame = { columns: fields ?? result.columns, ranges: [], ...openOf(result, EMPTY) }
    return { ...frame, ranges: [this.#range1(alias, frame)] }
  }

  #table(item: TableItem, outer: Scope | undefined, left: Frame): Frame {
    const meaning = this.#names.meanings.get(item)
    const last = item.path.names.at(-1)
    const alias = item.alias?.text ?? last?.text
    this.#each(item.extra, outer)
    if (meaning?.is === 'cte') {
      const result = this.#ctes.get(meaning.cte)
      if (result === undefined)
        this.#stop(item.start, 'unsupported-recursion', 'this form of recursion is not supported')
      return this.#queryFrame(result, alias)
    }
    const scope = this.#scope(left, outer)
    if (meaning?.is === 'array') {
      return this.#array(this.#consume(this.#path(item.path.names, scope)), item, alias)
    }
    this.#unambiguous(item.path, scope)
    const source = this.#sourceAt(item.path)
    const wildcard = source.table.path.table.endsWith('*') || last?.text.endsWith('*') === true
    const { resource, partitionedBy: by } = source.table
    if (wildcard) this.#note('wildcard-table', item.start, resource)
    if (by !== undefined) this.#divided.push({ resource, by, start: item.start })
    if (wildcard) this.#divided.push({ resource, by: SUFFIX, start: item.start })
    if (/(^|\.)INFORMATION_SCHEMA\./.test(source.table.resource)) {
      this.#note('information-schema', item.start, source.table.resource)
    }
    if (item.fixed !== undefined) this.#note(item.fixed, item.start, source.table.resource)
    return this.#tableFrame(source, alias, item.start, wildcard)
  }

  /** `FROM t, a.b`: where `a` is a column of `t`, BigQuery reads an array, and we would read a table. */
  #unambiguous({ names, start }: Path, scope: Scope): void {
    const [first, second] = names
    if (first === undefined || second === undefined || second.start <= first.end) return
    for (let s: Scope | undefined = scope; s !== undefined; s = s.parent) {
      if (s.columns.some((column) => lower(column.name) === lower(first.text))) {
        this.#stop(
          start,
          'ambiguous-table',
          `\`${first.text}\` is a column, too`,
          'write the path of the table in backticks',
        )
      }
    }
  }

  #tableFrame(source: Source, name: string | undefined, start: number, wildcard: boolean): Frame {
    const row = rowOf(source.columns)
    this.#rows.set(row, start)
    return { columns: source.columns, ranges: [{ name, row, table: { start, source, wildcard } }] }
  }

  #array(array: Value, item: TableItem | UnnestItem, alias: string | undefined): Frame {
    const element = elementOf(array)
    if (element === undefined) this.#stop(item.start, 'unparseable', 'what stands here is no array')
    const fields = fieldsOf(element)
    const columns: NamedValue[] = [...(fields ?? [{ name: alias ?? '', value: element }])]
    const ranges: Range[] = [{ name: alias, row: element }]
    if (item.offset !== undefined) {
      const value = typed({ kind: 'INT64' })
      columns.push({ name: item.offset.text, value })
      ranges.push({ name: item.offset.text, row: value })
    }
    return { columns, ranges }
  }

  #join(join: JoinItem, outer: Scope | undefined, before: Frame): Frame {
    const left = this.#from(join.left, outer, before)
    const seen = seesLeft(join) ? this.#merge(before, left) : EMPTY
    return this.#joined(join, left, this.#from(join.right, outer, seen), before, outer)
  }

  /** `before` stands further left in the same FROM. */
  #joined(
    join: Omit<JoinItem, 'left' | 'is'>,
    left: Frame,
    right: Frame,
    before: Frame,
    outer: Scope | undefined,
  ): Frame {
    const bare = join.on === undefined && join.using.length === 0 && !this.#isArray(join.right)
    if (bare) this.#note(join.kind === ',' ? 'comma-join' : 'cross-join', join.start)
    if (join.on !== undefined) {
      if (alwaysTrue(join.on)) this.#note('cross-join', join.start)
      this.#expression(join.on, this.#scope(this.#merge(left, right), this.#scope(before, outer)))
    }
    return join.using.length === 0 ? this.#merge(left, right) : this.#using(join, left, right)
  }

  #isArray(item: FromItem): boolean {
    return item.is === 'unnest' || (item.is === 'table' && this.#names.meanings.get(item)?.is === 'array')
  }

  #using({ using }: Pick<JoinItem, 'using'>, left: Frame, right: Frame): Frame {
    const shared = new Set(using.map((name) => lower(name.text)))
    const columns = using.map((name): NamedValue => {
      const values = [left, right].map(({ columns: side, open }) => {
        const found = side.filter((column) => lower(column.name) === lower(name.text))
        const [only] = found
        if (only === undefined && open !== undefined) return this.#consume(open)
        if (only === undefined)
          return this.#unknown(
            name,
            side.map((column) => column.name),
          )
        if (found.length > 1) this.#stop(name.start, 'ambiguous-column', `\`${name.text}\` is ambiguous`)
        return this.#consume(only.value)
      })
      return { name: name.text, value: mixed(values, sharedType(values)) }
    })
    const rest = [...left.columns, ...right.columns].filter((column) => !shared.has(lower(column.name)))
    return { ranges: [...left.ranges, ...right.ranges], columns: [...columns, ...rest], ...openOf(left, right) }
  }

  // ── expressions ────────────────────────────────────────────────────────────────────────────────────────────────

  #each(expressions: readonly Expression[], scope: Scope | undefined): Value[] {
    return expressions.map((expression) => this.#expression(expression, scope))
  }

  /** The value of an expression, all of which counts as read. */
  #expression(e: Expression, scope: Scope | undefined): Value {
    return this.#consume(this.#chain(e, scope))
  }

  /** The value of an expression; a path is read only as far as the caller goes on to use it. */
  #chain(e: Expression, scope: Scope | undefined): Value {
    this.#step(1, e.start)
    switch (e.is) {
      case 'literal':
        return e.type === undefined && /^null$/i.test(e.text) ? NULL : typed(e.type)
      case 'parameter':
        return NOTHING
      case 'path':
        return this.#path(e.names, scope)
      case 'field':
        return this.#field(this.#chain(e.of, scope), e.name)
      case 'element': {
        this.#expression(e.index, scope)
        const of = this.#chain(e.of, scope)
        // A field of JSON by its name, or of a STRUCT by its place.
        return elementOf(of) ?? { sources: of.sources }
      }
      case 'call':
        return this.#call(e, scope)
      case 'cast':
        return mixed(this.#each(operands(e), scope), e.to)
      case 'extract':
        return mixed(this.#each(operands(e), scope), extractType(e.part))
      case 'interval':
        return mixed(this.#each([e.of], scope), { kind: 'INTERVAL' })
      case 'case': {
        const tests = this.#each(e.tests, scope)
        const results = this.#each(e.results, scope)
        return mixed([...tests, ...results], sharedType(results))
      }
      case 'operator': {
        const values = this.#each(e.operands, scope)
        return mixed(values, operatorType(e.operator, values))
      }
      case 'array':
        return this.#arrayLiteral(this.#each(e.items, scope), e.type)
      case 'struct': {
        const items = e.items.map((item) => this.#item(item, requireScope(scope)))
        const fields = e.isTuple === true ? items.map(({ value }) => ({ name: '', value })) : items
        return e.type === undefined
          ? rowOf(fields)
          : mixed(
              fields.map((f) => f.value),
              e.type,
            )
      }
      case 'subquery':
        return this.#subquery(e.as, e.query, scope)
      case 'in': {
        const of = this.#expression(e.of, scope)
        const [{ columns, open }, read] = this.#capture(() => this.#query(e.query, scope))
        if (open !== undefined) this.#openStar(e.query.start)
        return mixed([of, ...columns.map((c) => c.value), { sources: read }], { kind: 'BOOL' })
      }
      case 'lambda':
        return this.#stop(e.start, 'unsupported-lambda', 'a lambda cannot stand here')
    }
  }

  #arrayLiteral(values: readonly Value[], type: SqlType | undefined): Value {
    if (type !== undefined) return mixed(values, type)
    const [only] = values
    if (values.length === 1 && only !== undefined) return arrayOf(only)
    const row = rowByPosition(values)
    if (row !== undefined) return arrayOf(row)
    const shared = sharedType(values)
    return mixed(values, shared === undefined ? undefined : { kind: 'ARRAY', of: shared })
  }

  #subquery(as: 'scalar' | 'array' | 'exists', query: Query, scope: Scope | undefined): Value {
    const [{ columns, open }, read] = this.#capture(() => this.#query(query, scope))
    if (open !== undefined) this.#openStar(query.start)
    if (as === 'exists') return { type: { kind: 'BOOL' }, sources: read }
    const [only] = columns
    if (columns.length !== 1 || only === undefined) {
      return this.#stop(
        query.start,
        'unparseable',
        'a subquery in an expression yields one column',
        'use `SELECT AS STRUCT`',
      )
    }
    return as === 'array' ? arrayOf(only.value) : only.value
  }

  /** What `work` reads, which counts as read here, too. */
  #capture<T>(work: () => T): [T, ReadonlySet<string>] {
    const outside = this.#reads
    const inside = new Set<string>()
    this.#reads = inside
    const value = work()
    this.#reads = outside
    for (const source of inside) outside.add(source)
    return [value, inside]
  }

  #call(call: Call, scope: Scope | undefined): Value {
    const { name, routine } = call
    this.#functions.add(name)
    if (routine !== undefined && !isSystemFunction(name)) {
      return this.#stop(
        call.start,
        'unsupported-routine',
        `what the routine \`${name.toLowerCase()}\` reads is not known here`,
        'call built-in functions only',
      )
    }
    const remark = routine === undefined ? remarkOn(name) : 'unknown-function'
    if (remark !== undefined) this.#note(remark, call.start)
    const plain = call.arguments
      .filter((argument, i) => argument.is !== 'lambda' && !(isPartAt(name, i) && isPart(argument)))
      .map((argument) => this.#expression(argument, scope))
    const given = [...plain, ...this.#lambdas(call, plain, scope)]
    const extra = this.#each(call.extra, scope)
    if (call.over !== undefined) this.#each(call.over.parts, scope)
    return mixed([...given, ...extra], callType(name, given))
  }

  /** What lambdas make of elements of what their call is given, all of which may flow into each of their arguments. */
  #lambdas(call: Call, given: readonly Value[], scope: Scope | undefined): Value[] {
    const element: Value = { sources: unionOf(given) }
    return call.arguments.flatMap((argument) => {
      if (argument.is !== 'lambda') return []
      const columns = argument.parameters.map(({ text }): NamedValue => ({ name: text, value: element }))
      return [this.#expression(argument.body, { ranges: [], columns, parent: scope })]
    })
  }

  // ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #path(names: readonly Name[], scope: Scope | undefined): Value {
    const [first, ...rest] = names
    if (first === undefined) return NOTHING
    const found = this.#find(first, rest, scope)
    if (found !== undefined) return found
    const pseudo = this.#barePseudo(first, scope)
    if (pseudo !== undefined) return this.#fields(pseudo, rest)
    if (rest.length === 0 && !first.quoted && CONSTANTS.has(first.text.toUpperCase())) {
      this.#functions.add(first.text.toUpperCase())
      return typed(callType(first.text.toUpperCase(), []))
    }
    return this.#unknown(first, visible(scope))
  }

  #find(first: Name, rest: readonly Name[], scope: Scope | undefined): Value | undefined {
    const [second, ...fields] = rest
    for (let s = scope; s !== undefined; s = s.parent) {
      const range = this.#range(first, s)
      if (range !== undefined && second !== undefined) {
        const pseudo = this.#pseudoOf(range, second)
        if (pseudo !== undefined) return this.#fields(pseudo, fields)
      }
      const found = this.#here(first, second !== undefined, range, s)
      if (found !== undefined) return this.#fields(found, rest)
      if (s.open === undefined) continue
      // It may be a column that only the warehouse knows, or one further out: both count.
      const further = this.#find(first, rest, s.parent)
      return { sources: unionOf(further === undefined ? [s.open] : [s.open, further]) }
    }
    return undefined
  }

  #fields(value: Value, names: readonly Name[]): Value {
    return names.reduce((of, name) => this.#field(of, name), value)
  }

  #field(of: Value, name: Name): Value {
    const field = fieldOf(of, name.text)
    return (
      field ??
      this.#unknown(
        name,
        (fieldsOf(of) ?? []).map((f) => f.name),
      )
    )
  }

  #range(name: Name, scope: Scope): Range | undefined {
    const found = scope.ranges.filter((range) => range.name !== undefined && lower(range.name) === lower(name.text))
    if (found.length > 1) this.#stop(name.start, 'ambiguous-column', `the alias \`${name.text}\` is given twice`)
    return found[0]
  }

  /** What a name means in one scope. Where a column and an alias of the select list share it, both count. */
  #here(name: Name, isQualified: boolean, range: Range | undefined, scope: Scope): Value | undefined {
    const wanted = lower(name.text)
    const columns = scope.columns.filter((column) => lower(column.name) === wanted)
    const aliases = (scope.aliases ?? []).filter((column) => lower(column.name) === wanted)
    const row = range?.row
    if (row !== undefined && isQualified) return row
    if (range !== undefined) this.#seenWhole([range])
    if (columns.length > 1 && row === undefined && aliases.length === 0) {
      return this.#stop(
        name.start,
        'ambiguous-column',
        `\`${name.text}\` is ambiguous`,
        'put the alias of its table before it',
      )
    }
    const all = new Set([
      ...(row === undefined ? [] : [row]),
      ...columns.map((c) => c.value),
      ...aliases.map((c) => c.value),
    ])
    const values = [...all]
    const [only] = values
    if (values.length < 2) return only
    return row !== undefined && aliases.length === 0
      ? { ...row, sources: unionOf(values) }
      : mixed(values, sharedType(values))
  }

  #barePseudo(name: Name, scope: Scope | undefined): Value | undefined {
    if (!PSEUDO.has(lower(name.text))) return undefined
    for (let s = scope; s !== undefined; s = s.parent) {
      const found = s.ranges.filter((range) => range.table !== undefined)
      const values = found.map((range) => this.#pseudoOf(range, name)).filter((value) => value !== undefined)
      if (values.length > 1) this.#seenWhole(found)
      if (values.length > 0) return mixed(values, values[0]?.type)
    }
    return undefined
  }

  /** A pseudo-column of a table; a subquery in the table's place has it under another name only. */
  #pseudoOf({ table }: Range, name: Name): Value | undefined {
    const type = PSEUDO.get(lower(name.text))
    if (type === undefined || table === undefined) return undefined
    if (lower(name.text) === '_table_suffix' && !table.wildcard) return undefined
    const { source, start } = table
    if (source.columns.some((column) => lower(column.name) === lower(name.text))) return undefined
    this.#pseudo.set(start, (this.#pseudo.get(start) ?? new Map<number, Name>()).set(name.start, name))
    if (!EXPORTED.test(name.text) || /VIEW/.test(source.table.kind)) this.#whole.add(start)
    return fromTable(`${source.table.resource}.${name.text.toUpperCase()}`, type)
  }

  // ── remarks, refusals, bounds ──────────────────────────────────────────────────────────────────────────────────

  #consume(value: Value): Value {
    this.#step(1 + value.sources.size / 8, 0)
    for (const source of value.sources) this.#reads.add(source)
    return value
  }

  #step(size: number, at: number): void {
    this.#work += size
    if (this.#work > WORK) this.#stop(at, 'too-large', 'the statement is too complex to analyse', 'split it')
  }

  #note(name: string, start: number, resource?: string): void {
    this.#features.push({ name, at: this.#at(start), ...(resource !== undefined && { resource }) })
  }

  #at(start: number): string {
    return placeOf(this.#grammar.text, start)
  }

  #stop(at: number, code: string, message: string, fix?: string): never {
    return this.#grammar.stop(at, code, message, fix)
  }

  #unknown(name: Name, known: readonly string[]): never {
    const near = nearest(name.text, known)
    const fix = near === undefined ? undefined : `did you mean \`${near}\`?`
    return this.#stop(name.start, 'unknown-column', `\`${name.text}\` is not known here`, fix)
  }
}

/** STRUCTs of as many fields each, as one: position by position, by the names of the first. */
function rowByPosition(values: readonly Value[]): Value | undefined {
  const rows = values.map((value) => fieldsOf(value))
  const [first] = rows
  if (first === undefined || rows.some((row) => row?.length !== first.length)) return undefined
  return rowOf(
    first.map(({ name }, i) => {
      const there = rows.flatMap((row) => row?.[i]?.value ?? [])
      return { name, value: mixed(there, sharedType(there)) }
    }),
  )
}

function openOf(left: { readonly open?: Value }, right: { readonly open?: Value }): { open?: Value } {
  const open = [left.open, right.open].filter((value) => value !== undefined)
  return open.length === 0 ? {} : { open: mixed(open) }
}

/** `line:column` of an offset. */
export function placeOf(text: string, at: number): string {
  const before = text.slice(0, at)
  return `${before.split('\n').length}:${at - before.lastIndexOf('\n')}`
}

function requireScope(scope: Scope | undefined): Scope {
  return scope ?? { ...EMPTY, parent: undefined }
}

function visible(scope: Scope | undefined): string[] {
  const names: string[] = []
  for (let s = scope; s !== undefined; s = s.parent) {
    names.push(...s.columns.map((c) => c.name), ...s.ranges.flatMap((r) => (r.name === undefined ? [] : [r.name])))
  }
  return names
}

function impliedName(e: Expression): string {
  if (e.is === 'path') return e.names.at(-1)?.text ?? ''
  return e.is === 'field' ? e.name.text : ''
}

/** `MONTH`, `WEEK(MONDAY)`, `NFC` where a function takes one. */
function isPart(e: Expression): boolean {
  if (e.is === 'call')
    return e.name === 'WEEK' && e.arguments.every((day) => day.is === 'path' && day.names.length === 1)
  const [only, more] = e.is === 'path' ? e.names : []
  return only !== undefined && more === undefined && !only.quoted && isPartWord(only.text.toUpperCase())
}

function isPartWord(word: string): boolean {
  return DATE_PARTS.has(word) || /^NFK?[CD]$/.test(word)
}

function alwaysTrue(e: Expression): boolean {
  if (e.is === 'literal') return e.truth === true
  if (e.is !== 'operator') return false
  const [a, b] = e.operands
  if (e.operator === 'OR') return e.operands.some(alwaysTrue)
  if (e.operator === 'AND') return e.operands.every(alwaysTrue)
  if (/^[<>]?=$/.test(e.operator) && a?.is !== 'literal' && isSame(a, b)) return true
  if (e.operator !== '=' || a?.is !== 'literal' || b?.is !== 'literal') return false
  return a.text !== '' && a.text === b.text
}

/** `id = id`, `LENGTH(id) = LENGTH(ID)`: true of every row, but for NULL. */
function isSame(a: Expression | undefined, b: Expression | undefined): boolean {
  return a !== undefined && b !== undefined && a.is === b.is && wordsOf(a) === wordsOf(b)
}

/** What an expression says, wherever it stands. */
function wordsOf(e: Expression): string {
  return JSON.stringify(e, (key: string, value: unknown) => {
    if (key === 'start' || key === 'end') return undefined
    return key === 'names' && Array.isArray(value) ? value.map(({ text }: Name) => lower(text)) : value
  })
}

function extractType(part: string): SqlType {
  return { kind: part === 'DATE' || part === 'TIME' || part === 'DATETIME' ? part : 'INT64' }
}

function operatorType(operator: string, values: readonly Value[]): SqlType | undefined {
  if (/^(OR|AND|NOT|=|<|>|<=|>=|<>|!=|IS|LIKE|BETWEEN|IN)$/.test(operator)) return { kind: 'BOOL' }
  const type = sharedType(values)
  if (operator === '/') return type?.kind === 'INT64' ? { kind: 'FLOAT64' } : type
  if (operator === '-' && type?.kind !== 'INT64' && type?.kind !== 'FLOAT64' && type?.kind !== 'NUMERIC')
    return undefined
  return type
}
