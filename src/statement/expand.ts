/** Fetches the tables that a statement names, and expands views: their definitions are parsed and bound like any text. */
import type { Reference, ResourceUse, Table, View } from '../exchange.ts'
import { baseColumns, bindTree, pathKey, type Bound, type PseudoUse, type Source } from './binder.ts'
import type { Schemas } from './contract.ts'
import { Stop } from './grammar.ts'
import { nearest } from './nearest.ts'
import type { NamedTable } from './names.ts'
import { analyse, type Analysed } from './parse.ts'
import { mixed, VIEW_MARK, type NamedValue } from './value.ts'

/** Views within views. */
const DEPTH = 8
/** Tables of one statement, those of its views included. */
const TABLES = 200

export interface Expansion {
  readonly sources: ReadonlyMap<string, Source>
  readonly tables: readonly Table[]
  readonly views: readonly View[]
  /** What views read: each under the view that names it. */
  readonly uses: readonly ResourceUse[]
  /** Columns, functions and features of the views' own texts. */
  readonly columnsRead: ReadonlySet<string>
  /** Of those, what chooses the rows of views. */
  readonly choosing: ReadonlySet<string>
  readonly functions: ReadonlySet<string>
}

/** Throws Stop where a table is unknown or a view cannot be understood. Rejects when the warehouse cannot be asked. */
export async function expand(analysed: Analysed, schemas: Schemas, signal: AbortSignal): Promise<Expansion> {
  const expander = new Expander(analysed, schemas, signal)
  await expander.visit(analysed, [])
  return expander
}

class Expander implements Expansion {
  readonly sources = new Map<string, Source>()
  readonly views: View[] = []
  readonly uses: ResourceUse[] = []
  readonly columnsRead = new Set<string>()
  readonly choosing = new Set<string>()
  readonly functions = new Set<string>()
  readonly #root: Analysed
  readonly #schemas: Schemas
  readonly #signal: AbortSignal

  constructor(root: Analysed, schemas: Schemas, signal: AbortSignal) {
    this.#root = root
    this.#schemas = schemas
    this.#signal = signal
  }

  get tables(): readonly Table[] {
    return [...this.sources.values()].map((source) => source.table)
  }

  /** `above` are the views whose definitions lead here. `at` is where the statement itself names the first of them. */
  async visit(analysed: Analysed, above: readonly string[], at?: number): Promise<void> {
    const wanted = new Set(analysed.paths.map(pathKey))
    for (const named of analysed.names.tables) {
      const key = pathKey(named.path)
      if (above.includes(key))
        this.#stop(at ?? named.start, 'unsupported-view', `the view \`${named.resource}\` reads itself`)
      if (!wanted.has(key) || this.sources.has(key)) continue
      if (this.sources.size >= TABLES) this.#stop(at ?? named.start, 'too-large', `more than ${TABLES} tables are read`)
      const table = await this.#schemas.table(named.path, this.#signal)
      if (table === undefined)
        return this.#unknown(named, at, (await this.#schemas.like?.(named.path, this.#signal)) ?? [])
      const columns = this.#isExpanded(table, named) ? await this.#view(table, named, above, at) : baseColumns(table)
      this.sources.set(key, { table, columns })
    }
  }

  /** A view that is dropped or altered is not read. */
  #isExpanded(table: Table, named: NamedTable): boolean {
    return (table.kind === 'VIEW' || table.kind === 'MATERIALIZED_VIEW') && named.fixed !== 'target'
  }

  async #view(
    table: Table,
    named: NamedTable,
    above: readonly string[],
    at = named.start,
  ): Promise<readonly NamedValue[]> {
    const shown = `the view \`${table.resource}\``
    if (above.length >= DEPTH) this.#stop(at, 'unsupported-view', `views nest deeper than ${DEPTH}`)
    if (table.definition === undefined)
      return this.#stop(at, 'unsupported-view', `${shown} has no definition that we can read`)
    const analysed = analyse(table.definition, { project: table.path.project })
    if (analysed.refused) return this.#stop(at, 'unsupported-view', `${shown} is not understood: ${analysed.message}`)
    if (analysed.kind !== 'SELECT') return this.#stop(at, 'unsupported-view', `${shown} is no query`)
    await this.visit(analysed, [...above, pathKey(table.path)], at)
    return this.#bindView(table, analysed, at)
  }

  #bindView(table: Table, analysed: Analysed, at: number): NamedValue[] {
    const shown = `the view \`${table.resource}\``
    const bound = this.#quietly(() => bindTree(analysed, this.sources), at, shown)
    if (bound.output.length !== table.columns.length) {
      return this.#stop(at, 'unsupported-view', `${shown} has other columns than its definition`)
    }
    // Inlined, it must have the names that it has as a view.
    const renamed = table.columns.find(({ name }, i) => {
      const own = bound.output[i]?.name ?? ''
      return own === '' ? !/^f\d+_$/.test(name) : own.toLowerCase() !== name.toLowerCase()
    })
    if (renamed !== undefined) this.#stop(at, 'unsupported-view', `${shown} renames the columns of its definition`)
    const references = analysed.names.tables.map((named) => this.#reference(named, bound.pseudo))
    this.views.push({ resource: table.resource, text: analysed.text, references })
    for (const { resource } of references) this.uses.push({ action: 'read', resource, via: table.resource })
    for (const column of bound.columnsRead) this.columnsRead.add(column)
    for (const column of bound.choosing) this.choosing.add(column)
    for (const name of bound.functions) this.functions.add(name)
    return table.columns.map(({ name, type }, i) => {
      const value = bound.output[i]?.value
      if (value === undefined) throw new Error('a view lost a column')
      const known = value.type === undefined ? mixed([value], type) : value
      const sources = new Set([...known.sources, `${VIEW_MARK}${table.resource}.${name}`])
      return { name, value: { ...known, sources } }
    })
  }

  #reference(named: NamedTable, pseudo: Bound['pseudo']): Reference {
    const resource = this.sources.get(pathKey(named.path))?.table.resource ?? named.resource
    return referenceOf({ ...named, resource }, pseudo)
  }

  /** Positions in a view's text mean nothing to the writer of the statement. */
  #quietly<T>(work: () => T, at: number, shown: string): T {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof Stop)) throw error
      return this.#stop(at, 'unsupported-view', `${shown} is not understood: ${error.refusal.message}`)
    }
  }

  #unknown(named: NamedTable, at: number | undefined, like: readonly string[]): never {
    // What a view reads is not for everybody who may read the view.
    if (at !== undefined) this.#stop(at, 'unknown-table', 'a table that this view reads is not known')
    // Names that the statement gives itself, and those that its writer may see.
    const given = [...this.sources.values()].map((source) => source.table.resource)
    const near = nearest(named.resource, [...given, ...like])
    const fix = near === undefined ? 'look at the resources of this connection' : `did you mean \`${near}\`?`
    return this.#stop(named.start, 'unknown-table', `\`${named.resource}\` is not known`, fix)
  }

  #stop(at: number, code: string, message: string, fix?: string): never {
    return this.#root.grammar.stop(at, code, message, fix)
  }
}

/** A named table as a place where a subquery may stand. */
export function referenceOf(named: Omit<NamedTable, 'path'>, pseudo: Bound['pseudo']): Reference {
  const { resource, start, end, alias, clauses } = named
  const used = pseudo.get(start)
  const fixed = named.fixed ?? (used?.isFixed === true ? 'pseudo-column' : undefined)
  return {
    resource,
    start,
    end,
    ...(alias !== undefined && { alias }),
    ...(fixed !== undefined && { fixed }),
    ...(fixed === undefined && clauses !== undefined && { clauses }),
    ...(fixed === undefined && used !== undefined && pseudoOf(used)),
  }
}

/** In the order of the text, so that each place has the same name whoever asks. */
function pseudoOf({ names, stars }: PseudoUse): Pick<Reference, 'pseudo' | 'stars'> {
  const places = names.toSorted((a, b) => a.start - b.start)
  const kinds = [...new Set(places.map((name) => name.text.toUpperCase()))]
  return {
    pseudo: kinds.map((kind) => ({
      name: kind,
      at: places.filter((name) => name.text.toUpperCase() === kind).map(({ start, end }) => ({ start, end })),
    })),
    stars: stars.map(({ behind, except }) => ({ at: behind, isList: except.length > 0 })),
  }
}
