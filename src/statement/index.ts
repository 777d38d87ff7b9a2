/** SQL text → what it names, what it does, what flows where: the front of statement analysis. */
import type { Bounds, Feature, OutputColumn, Parameter, ResourceUse, SqlStatement, Table } from '../exchange.ts'
import { type Bound, bindTree, pathKey, placeOf } from './binder.ts'
import type { Defaults, Parsed, Refusal, Schemas, Statements } from './contract.ts'
import { expand, type Expansion, referenceOf } from './expand.ts'
import { Stop } from './grammar.ts'
import { refuse, type Token } from './lexer.ts'
import { Lru } from './lru.ts'
import { type Names, sortedUses } from './names.ts'
import { analyse, type Analysed } from './parse.ts'
import { scanNames } from './scan.ts'
import { shapeOf } from './shape.ts'
import { SecondReader } from './second-reader.ts'
import { UNKNOWN_TYPE, VIEW_MARK } from './value.ts'
import { advice, type TableLister } from './third-reader.ts'
import { verifyNarrowed } from './verify.ts'

export type { Defaults, Parsed, Refusal, Schemas, Statements } from './contract.ts'

/** Characters of texts whose analysis is kept. Trees take some thirty times as many bytes. */
const CACHED = 1_000_000

type Analysis = Omit<SqlStatement, 'parameters' | 'bounds' | 'masks'>

/**
 * Statement analysis over a compiled `bq2cst` module (on Node, read from its package; on workerd, imported). Instances share
 * nothing. With `list`, a third reader gives advice.
 */
export function createStatements(wasm: WebAssembly.Module, list?: TableLister): Statements {
  return new GoogleSql(wasm, list)
}

class GoogleSql implements Statements {
  readonly #second: SecondReader
  /** By text. Where one is sent to two connections by turns, the last is known. */
  readonly #parsed = new Lru<{
    readonly project: string
    readonly dataset: string | undefined
    readonly analysed: Analysed | Refusal
  }>(CACHED)
  /** The last binding of a parsed text. */
  readonly #bound = new WeakMap<Analysed, Analysis>()
  /** The tree behind what `parse` answered. */
  readonly #trees = new WeakMap<Parsed, { readonly analysed: Analysed; readonly defaults: Defaults }>()
  readonly #list: TableLister | undefined
  readonly #advice = new WeakMap<Analysed, readonly Feature[]>()

  constructor(wasm: WebAssembly.Module, list: TableLister | undefined) {
    this.#second = new SecondReader(wasm)
    this.#list = list
  }

  parse(sql: string, defaults: Defaults): Parsed | Refusal {
    const analysed = this.#analyse(sql, defaults)
    if (analysed.refused) return analysed
    const { refused, kind, text, uses, paths } = analysed
    const parsed: Parsed = { refused, kind, text, uses, paths }
    this.#trees.set(parsed, { analysed, defaults })
    return parsed
  }

  advise(parsed: Parsed): readonly Feature[] {
    const analysed = this.#trees.get(parsed)?.analysed
    if (analysed === undefined || this.#list === undefined) return []
    const known = this.#advice.get(analysed)
    if (known !== undefined) return known
    const { text, grammar, names } = analysed
    const tokens = grammar.tokens.filter((token) => token.kind !== 'end' && token.end <= text.length)
    const features = advice({ text, tokens, places: names.places }, this.#list)
    this.#advice.set(analysed, features)
    return features
  }

  async bind(
    parsed: Parsed,
    defaults: Defaults,
    schemas: Schemas,
    parameters: readonly Parameter[],
    bounds: Bounds,
    signal: AbortSignal,
  ): Promise<SqlStatement | Refusal> {
    const known = this.#trees.get(parsed)
    const analysed = known?.defaults === defaults ? known.analysed : this.#analyse(parsed.text, defaults)
    if (analysed.refused) return analysed
    const { does } = analysed.tree
    if (does.is === 'opaque') return does.refusal
    if (analysed.grammar.unbound !== undefined) return analysed.grammar.unbound
    try {
      checkParameters(analysed, parameters)
      const last = this.#bound.get(analysed)
      if (last !== undefined && (await isCurrent(last.tables, schemas, signal))) {
        return { ...last, parameters, bounds, masks: [] }
      }
      const expansion = await expand(analysed, schemas, signal)
      const shape = shapeOf(analysed.grammar.tokens.filter((token) => token.end <= analysed.text.length))
      const analysis = { ...describe(analysed, expansion, bindTree(analysed, expansion.sources)), shape }
      this.#bound.set(analysed, analysis)
      return { ...analysis, parameters, bounds, masks: [] }
    } catch (error) {
      if (error instanceof Stop) return error.refusal
      return orTooDeep(error)
    }
  }

  verify(original: SqlStatement, narrowed: SqlStatement, defaults: Defaults): Refusal | undefined {
    return verifyNarrowed(original, narrowed, defaults, (text) => this.#analyse(text, defaults))
  }

  #analyse(sql: string, defaults: Defaults): Analysed | Refusal {
    const { project, dataset } = defaults
    const known = this.#parsed.get(sql)
    if (known?.project === project && known.dataset === dataset) return known.analysed
    return this.#parsed.set(sql, { project, dataset, analysed: this.#readTwice(sql, defaults) }).analysed
  }

  /** By our own grammar, and by another's. */
  #readTwice(sql: string, defaults: Defaults): Analysed | Refusal {
    try {
      return this.#readBoth(sql, defaults)
    } catch (error) {
      return orTooDeep(error)
    }
  }

  #readBoth(sql: string, defaults: Defaults): Analysed | Refusal {
    const first = analyse(sql, defaults)
    if (first.refused) return first
    const { kind, text, grammar, names, tree } = first
    // Never bound: it is known by name only, so that a policy can judge it.
    if (tree.does.is === 'opaque') return first
    const tokens = grammar.tokens.filter((token) => token.kind !== 'end' && token.end <= text.length)
    const missed = disagreementOfScan(text, tokens, names.places, grammar.unbound !== undefined)
    // Constructs that bq2cst is known not to read: our grammar and the scan of tokens must do, and the dry run follows.
    if (missed !== undefined || grammar.beyond.length > 0) return missed ?? first
    const sources = names.places.filter(({ start }) => isShown(first, start))
    const functions = tree.functions?.length ?? 0
    return this.#second.disagreement(text, { kind, tokens, sources, functions, hidden: grammar.hidden }) ?? first
  }
}

/** Whether each table, those behind views included, is as it was: which tables they are follows from their definitions. */
async function isCurrent(tables: readonly Table[], schemas: Schemas, signal: AbortSignal): Promise<boolean> {
  for (const { path, resource, version } of tables) {
    const now = await schemas.table(path, signal)
    if (now?.version !== version || now.resource !== resource) return false
  }
  return true
}

/** Every name that the scan of tokens takes for a table must be one of ours, and every one of ours its. */
function disagreementOfScan(
  text: string,
  tokens: readonly Token[],
  places: Analysed['names']['places'],
  isUnbound: boolean,
) {
  const scanned = scanNames(tokens).filter(({ role }) => role !== 'execute')
  const theirs = new Map(scanned.map((name) => [name.start, name.end]))
  const ours = new Map(places.map((place) => [place.start, place.end]))
  const [odd] = [
    ...scanned.filter(({ start, end }) => ours.get(start) !== end),
    // What is never bound may name more than the scan knows of, and never less.
    ...places.filter(({ start, end }) => !isUnbound && theirs.get(start) !== end),
  ]
  if (odd === undefined) return undefined
  return refuse(text, odd.start, 'unproven', 'a second reading takes another word for a table here', SIMPLER)
}

const SIMPLER = 'write the statement in a simpler form'

/** bq2cst tells the targets of DML as it tells sources, and those of DDL otherwise. */
function isShown({ kind, tree }: Analysed, start: number): boolean {
  if (/^(INSERT|UPDATE|DELETE|MERGE|TRUNCATE_TABLE)$/.test(kind)) return true
  const functions = tree.functions?.map((f) => f.name) ?? []
  return ![...functions, ...[...tree.targets, ...tree.copies].map(({ path }) => path)].some((it) => it.start === start)
}

/** Our walks are recursive: where the stack is too small for a text (thousands of joins), the text is refused. */
function orTooDeep(error: unknown): Refusal {
  if (!(error instanceof RangeError)) throw error
  return refuse('', 0, 'too-deep', 'the statement nests too deep to analyse', 'split it')
}

/** Named or positional parameters, never both, and as many as the text has marks. */
function checkParameters({ grammar, marks }: Analysed, given: readonly Parameter[]): void {
  const [named] = marks.filter((token) => token.value !== '')
  const [positional] = marks.filter((token) => token.value === '')
  if (named !== undefined && positional !== undefined) {
    grammar.stop(positional.start, 'unparseable', 'named and positional parameters stand in one text')
  }
  const names = new Set(given.flatMap(({ name }) => (name === undefined ? [] : [name.toLowerCase()])))
  for (const mark of marks) {
    if (mark.value !== '' && !names.has(mark.value.toLowerCase())) {
      const fix = `give it in \`params\`: {"${mark.value}": …}`
      grammar.stop(mark.start, 'unknown-parameter', `the parameter \`@${mark.value}\` is not given`, fix)
    }
  }
  const count = given.filter(({ name }) => name === undefined).length
  if (positional !== undefined && grammar.positional !== count) {
    const message = `the text has ${grammar.positional} positional parameters, and ${count} are given`
    grammar.stop(positional.start, 'unknown-parameter', message, 'give an array in `params`, one value for each `?`')
  }
}

function describe(analysed: Analysed, expansion: Expansion, bound: Bound): Analysis {
  const { kind, text, uses, names } = analysed
  const columnsRead = ofTables([...bound.columnsRead, ...expansion.columnsRead])
  const used = [...bound.columnsRead, ...expansion.choosing].map((column) => column.replace(VIEW_MARK, ''))
  const functions = [...new Set([...bound.functions, ...expansion.functions])].sort()
  return {
    language: 'googlesql',
    kind,
    text,
    uses: allUses(analysed, expansion, columnsRead),
    tables: expansion.tables,
    references: names.tables.map((named) => {
      const resource = expansion.sources.get(pathKey(named.path))?.table.resource ?? named.resource
      return referenceOf({ ...named, resource }, bound.pseudo)
    }),
    views: expansion.views,
    columnsRead,
    ...(expansion.views.length > 0 && { columnsUsed: [...new Set(used)].sort() }),
    output: outputOf(bound),
    functions,
    features: featuresOf(analysed, bound, uses),
  }
}

/**
 * What the text names, and what its views read; an export takes out what they read, too. A target whose columns decide
 * or supply what is written is read as well as written, so that rules for readers, and their masks, hold for it.
 */
function allUses({ uses: own, kind, names }: Analysed, expansion: Expansion, columnsRead: readonly string[]) {
  const uses = [...own, ...readTargets(names, expansion, columnsRead)]
  const named = new Set(uses.filter((use) => use.action === 'read').map((use) => use.resource))
  const through = expansion.uses.filter((use) => !named.has(use.resource))
  const exported = kind === 'EXPORT_DATA' ? through.map((use) => ({ ...use, action: 'export' as const })) : []
  return sortedUses([...uses, ...through, ...exported])
}

function readTargets({ tables }: Names, expansion: Expansion, columnsRead: readonly string[]): ResourceUse[] {
  return tables
    .filter(({ fixed, path, resource }) => {
      const spelled = expansion.sources.get(pathKey(path))?.table.resource ?? resource
      return fixed === 'target' && columnsRead.some((column) => column.startsWith(`${spelled}.`))
    })
    .map(({ resource }): ResourceUse => ({ action: 'read', resource }))
}

/** The columns of tables, sorted, each once. */
function ofTables(sources: Iterable<string>): string[] {
  return [...new Set(sources)].filter((source) => !source.startsWith(VIEW_MARK)).sort()
}

/** Unnamed columns are `f0_`, `f1_`, … as BigQuery names them. */
function outputOf(bound: Bound): OutputColumn[] {
  let unnamed = 0
  return bound.output.map(({ name, value }) => ({
    name: name === '' ? `f${unnamed++}_` : name,
    type: value.type ?? UNKNOWN_TYPE,
    sources: ofTables(value.sources),
  }))
}

const DML = /^(INSERT|UPDATE|DELETE|MERGE)$/
const READS = /^(SELECT|EXPORT_DATA)$/

function featuresOf(
  { tree, comments, suspicions, kind, text }: Analysed,
  bound: Bound,
  uses: Parsed['uses'],
): Feature[] {
  const at = placeOf(text, tree.start)
  const features: Feature[] = tree.features.map((f) => ({ name: f.name, at: placeOf(text, f.start) }))
  if (DML.test(kind)) features.push({ name: 'dml', at })
  else if (!READS.test(kind)) features.push({ name: 'ddl', at })
  if (comments > 0) features.push({ name: 'comment' })
  for (const { name, start } of suspicions) features.push({ name, at: placeOf(text, start) })
  const [exported] = uses.filter((use) => use.action === 'export')
  if (exported !== undefined) features.push({ name: 'export', at })
  return [...features, ...bound.features]
}
