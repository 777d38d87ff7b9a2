/** `npm run oracle -- columns`: do we name, of each column of an answer, all that ZetaSQL sees flow into it? */
import { readFileSync } from 'node:fs'
import { type Bounds, type SqlStatement, typeText } from '../src/exchange.ts'
import { createStatements } from '../src/statement/index.ts'
import type { Refusal, Statements } from '../src/statement/contract.ts'
import { type Json, type Lineage, lineageOf } from './lineage.ts'
import { type Mutant, mutants, tokensOf } from './mutate.ts'
import { queries } from './queries.ts'
import { catalog, leavesOf, SCHEMAS, typeOf, withViews } from './schema.ts'
import { ZetaSql } from './zetasql.ts'

export const DEFAULTS = { project: 'own', dataset: 'shop' }
const BOUNDS: Bounds = { maxRows: 1, timeoutMs: 1000, maxBytesBilled: 1 }
const IN_FLIGHT = 8
const SHOWN = 40
const BATCH = 500

const COMPARED = /^(SELECT|INSERT|UPDATE|DELETE|MERGE)$/

/** How often a kind of finding was met. */
type Counts = Map<string, number>

interface Tally {
  made: number
  readonly what: Counts
  readonly reasons: Counts
}

/** Written queries, and as many mutants of them. */
export function* texts(seed: number): Generator<Mutant, never> {
  const written = queries(seed)
  for (let round = 0; ; round++) {
    const some = Array.from({ length: BATCH }, () => written.next().value)
    yield* some
    const made = mutants(
      some.map(({ sql }) => sql),
      seed + round,
    )
    for (let left = BATCH; left > 0; left--) yield made.next().value
  }
}

/** Asks both about so many texts. Resolves with whether nothing was missed. */
export async function columns({ texts: count, seed }: { texts: number; seed: number }): Promise<boolean> {
  const statements = createStatements(new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm')))
  const zetasql = new ZetaSql(catalog)
  const tally: Tally = { made: 0, what: new Map(), reasons: new Map() }
  const began = Date.now()
  const inFlight = new Set<Promise<void>>()
  for (const text of texts(seed)) {
    if (tally.made === count) break
    tally.made++
    if (tally.made % 10_000 === 0) console.log(`${tally.made} texts`, Object.fromEntries(tally.what))
    const waiting = judge(text, { statements, zetasql, tally }).finally(() => inFlight.delete(waiting))
    inFlight.add(waiting)
    if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight)
  }
  await Promise.all(inFlight)
  zetasql.stop()
  const seconds = Math.round((Date.now() - began) / 1000)
  console.table({ made: tally.made, ...Object.fromEntries(tally.what), crashes: zetasql.crashes, seconds })
  const often = [...tally.reasons].toSorted((a, b) => b[1] - a[1]).slice(0, 20)
  console.log('what ZetaSQL answers and we refuse:')
  for (const [reason, times] of often) console.log(`  ${times} ${reason}`)
  return !['TABLE', 'SOURCE', 'READ', 'USED', 'SHAPE', 'TYPE'].some((finding) => tally.what.has(finding))
}

interface Tools {
  readonly statements: Statements
  readonly zetasql: ZetaSql
  readonly tally: Tally
}

async function judge(mutant: Mutant, { statements, zetasql, tally }: Tools): Promise<void> {
  const ours = await bind(mutant.sql, statements)
  const isRefused = 'refused' in ours
  if (!isRefused && !COMPARED.test(ours.kind)) return
  const theirs = await zetasql.analyze(withViews(mutant.sql))
  const lineage = theirs.is === 'read' ? lineageOf(theirs.statement as { readonly [key: string]: Json }) : undefined
  if (lineage === undefined) {
    add(tally.what, theirs.is !== 'refused' ? theirs.is : isRefused ? 'both refuse' : 'they alone refuse')
    return
  }
  if (isRefused) {
    add(tally.what, 'we alone refuse')
    const reason = `${ours.code}: ${ours.message}`
    if (add(tally.reasons, reason) === 1) show(`REFUSED ${reason}`, mutant)
    return
  }
  add(tally.what, 'both take')
  for (const { finding, says } of await agreed(mutant.sql, ours, lineage, zetasql)) {
    if (add(tally.what, finding) <= SHOWN) show(`${finding} ${says}`, mutant)
  }
}

/** The differences, unless there are none once the text is `divided`. */
async function agreed(sql: string, ours: SqlStatement, theirs: Lineage, zetasql: ZetaSql): Promise<Finding[]> {
  const found = differences(ours, theirs)
  if (divided(sql) === sql || found.every(({ finding }) => finding === 'more')) return found
  const other = await zetasql.analyze(withViews(divided(sql)))
  const lineage = other.is === 'read' ? lineageOf(other.statement as { readonly [key: string]: Json }) : undefined
  const rest = lineage === undefined ? found : differences(ours, lineage)
  return rest.every(({ finding }) => finding === 'more') ? rest : found
}

/** `a.b` in one pair of backticks is called b by BigQuery and a.b by ZetaSQL: here each part stands in its own. */
export function divided(sql: string): string {
  return tokensOf(sql)
    .map((token) => (token.startsWith('`') ? token.replaceAll('.', '`.`') : token))
    .join('')
}

export async function bind(sql: string, statements: Statements): Promise<SqlStatement | Refusal> {
  const parsed = statements.parse(sql, DEFAULTS)
  if (parsed.refused) return parsed
  return statements.bind(parsed, DEFAULTS, SCHEMAS, [], BOUNDS, AbortSignal.timeout(10_000))
}

interface Finding {
  /** `more`: we name what ZetaSQL sees flow, and more. */
  readonly finding: 'TABLE' | 'SOURCE' | 'READ' | 'USED' | 'SHAPE' | 'TYPE' | 'more'
  readonly says: string
}

function differences(ours: SqlStatement, theirs: Lineage): Finding[] {
  const touched = new Set(ours.uses.map(({ resource }) => resource))
  for (const table of theirs.tables) if (!touched.has(table)) return [{ finding: 'TABLE', says: table }]
  const names = (output: readonly { readonly name: string }[]): string =>
    output.map(({ name }) => name.replace(/^(\$.*|f\d+_)$/, '?')).join(' ')
  if (names(ours.output) !== names(theirs.output)) {
    return [{ finding: 'SHAPE', says: `ours ${names(ours.output)}, theirs ${names(theirs.output)}` }]
  }
  const found: Finding[] = []
  const read = new Set(ours.columnsRead.flatMap(leavesOf))
  for (const column of theirs.read) {
    if (!leavesOf(column).some((leaf) => read.has(leaf))) found.push({ finding: 'READ', says: column })
  }
  const unused = theirs.used.filter((column) => !leavesOf(column).every((leaf) => read.has(leaf)))
  if (unused.length > 0) found.push({ finding: 'USED', says: unused.join(' ') })
  for (const [nth, column] of theirs.output.entries()) {
    const our = ours.output[nth]
    if (our === undefined) continue
    const sources = new Set(our.sources.flatMap(leavesOf))
    const flowing = new Set(column.sources.flatMap(leavesOf))
    const missed = [...flowing].filter((leaf) => !sources.has(leaf))
    if (missed.length > 0) found.push({ finding: 'SOURCE', says: `${our.name}: ${missed.join(' ')}` })
    else if (flowing.size < sources.size) found.push({ finding: 'more', says: '' })
    const type = typeOf(column.type as unknown as Parameters<typeof typeOf>[0])
    const isKnown = our.type.kind !== 'STRUCT' || our.type.fields.length > 0
    if (isKnown && type !== undefined && typeText(our.type) !== typeText(type)) {
      found.push({ finding: 'TYPE', says: `${our.name}: ours ${typeText(our.type)}, theirs ${typeText(type)}` })
    }
  }
  return found
}

function add(counts: Counts, key: string): number {
  const now = (counts.get(key) ?? 0) + 1
  counts.set(key, now)
  return now
}

function show(title: string, { sql, by }: Mutant): void {
  if (title.startsWith('more')) return
  console.log(`── ${title}\n   ${by.join(' · ')}\n${sql}`)
}
