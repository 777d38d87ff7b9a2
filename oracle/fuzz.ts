/** `npm run oracle -- fuzz`: does ZetaSQL name a table, in any text that we take, that we do not? */
import { readFileSync } from 'node:fs'
import type { Parsed } from '../src/statement/contract.ts'
import { createStatements } from '../src/statement/index.ts'
import { DEFAULTS, difference } from './compare.ts'
import { closing, type Mutant, mutants, tokensOf } from './mutate.ts'
import { ZetaSql } from './zetasql.ts'

export interface Options {
  readonly seeds: readonly string[]
  readonly mutants: number
  readonly seed: number
}

/** Longer ones say nothing that shorter ones do not. */
const MAX_CHARACTERS = 20_000
const IN_FLIGHT = 16
const SHOWN = 200

/** How many refusals are also shown to ZetaSQL, to count what we refuse without need: each hundredth. */
const SAMPLED = 100

type Tally = ReturnType<typeof newTally>

function newTally() {
  return {
    made: 0,
    weRefuse: 0,
    bothTake: 0,
    theyRefuse: 0,
    crashed: 0,
    missed: 0,
    /** Not missed, but read as BigQuery reads a path in one pair of backticks; see `isQuoting`. */
    quotedWhole: 0,
    /** Not missed: the extractor alone calls them tables, the analyzer arrays; see `areArrays`. */
    extractorOnly: 0,
    more: 0,
    otherKind: 0,
    /** What would run, re-emitted without comments, is refused or names other tables than what was asked. */
    otherText: 0,
    /** Of the sample of what we refuse. */
    sampled: 0,
    sampledTheyTake: 0,
    slowestMs: 0,
    reasons: new Map<string, number>(),
  }
}

/** Resolves with whether nothing was missed. */
export async function fuzz({ seeds, mutants: count, seed }: Options): Promise<boolean> {
  const statements = createStatements(new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm')))
  const zetasql = new ZetaSql()
  const tally = newTally()
  const began = Date.now()
  const inFlight = new Set<Promise<void>>()
  for (const mutant of mutants(seeds, seed)) {
    if (tally.made === count) break
    if (mutant.sql.length > MAX_CHARACTERS) continue
    tally.made++
    if (tally.made % 10_000 === 0) progress(tally, began)
    const asked = performance.now()
    const parsed = statements.parse(mutant.sql, DEFAULTS)
    tally.slowestMs = Math.max(tally.slowestMs, performance.now() - asked)
    if (parsed.refused) {
      tally.weRefuse++
      if (tally.weRefuse % SAMPLED !== 0) continue
    }
    const judged = parsed.refused
      ? sample(mutant, parsed.code, zetasql, tally)
      : judge({ mutant, parsed, zetasql, tally })
    const waiting = judged.finally(() => inFlight.delete(waiting))
    inFlight.add(waiting)
    if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight)
  }
  await Promise.all(inFlight)
  zetasql.stop()
  report(tally, zetasql.crashes, Date.now() - began)
  return tally.missed + tally.otherText === 0
}

interface Case {
  readonly mutant: Mutant
  readonly parsed: Parsed
  readonly zetasql: ZetaSql
  readonly tally: Tally
}

async function judge({ mutant, parsed, zetasql, tally }: Case): Promise<void> {
  const isScript = parsed.kind === 'SCRIPT'
  const answer = await zetasql.read(mutant.sql, { withKind: !isScript })
  if (answer.is === 'crashed') tally.crashed++
  if (answer.is === 'refused') tally.theyRefuse++
  if (answer.is !== 'read') return
  tally.bothTake++
  const { missing, more } = difference(parsed, answer.tables)
  if (more.length > 0) tally.more++
  if (missing.length > 0 && (await isQuoting(mutant.sql, parsed, zetasql))) {
    tally.quotedWhole++
    show(tally.quotedWhole, `QUOTED ${missing.join(' ')}`, mutant)
  } else if (missing.length > 0 && areArrays(mutant.sql, missing)) {
    tally.extractorOnly++
    show(tally.extractorOnly, `EXTRACTOR ${missing.join(' ')}`, mutant)
  } else if (missing.length > 0) {
    tally.missed++
    const uses = parsed.uses.map(({ action, resource }) => `${action} ${resource}`).join(', ')
    show(tally.missed, `MISSED ${missing.join(' ')} (ours: ${parsed.kind} ${uses})`, mutant)
  }
  await judgeText({ mutant, parsed, zetasql, tally }, answer.tables)
  // A query that is none, or the reverse. `undefined`: several statements.
  // Behind a hint its parser tells no kind.
  const isHinted = answer.kind === 'hinted'
  // BigQuery takes temporary functions with a query behind them for a query.
  const isFunctions = answer.kind === undefined && parsed.kind === 'SELECT' && /CREATE\s+TEMP/i.test(parsed.text)
  if (!isScript && !isHinted && !isFunctions && (answer.kind === 'query') !== (parsed.kind === 'SELECT')) {
    tally.otherKind++
    show(tally.otherKind, `KIND ours ${parsed.kind}, theirs ${answer.kind ?? 'no single statement'}`, mutant)
  }
}

/**
 * Whether each name begins with an alias that ZetaSQL's extractor of names does not look at, though its analyzer does (asked with
 * a catalog that holds both a table and an array of the name, it takes the array): that of PIVOT or UNPIVOT, and the one of the
 * target behind MERGE's ON. Counted apart and shown, so that whoever reads can disagree.
 */
function areArrays(sql: string, names: readonly string[]): boolean {
  const tokens = tokensOf(sql)
    .filter((token) => !/^(\s|--|#|\/\*)/.test(token))
    .map((token) => token.toLowerCase().replaceAll('`', ''))
  const aliases = new Set<string>()
  tokens.forEach((token, at) => {
    const end = token === 'pivot' || token === 'unpivot' ? closing(tokens, at) : endOfTarget(tokens, at)
    if (end !== undefined) aliases.add(tokens[tokens[end] === 'as' ? end + 1 : end] ?? '')
  })
  return names.every((name) => aliases.has(name.split('.')[0] ?? ''))
}

/** Behind the path that follows MERGE; undefined elsewhere. */
function endOfTarget(tokens: readonly string[], at: number): number | undefined {
  if (tokens[at] !== 'merge') return undefined
  let end = at + (tokens[at + 1] === 'into' ? 3 : 2)
  while (tokens[end] === '.' || tokens[end] === '-') end += 2
  return end
}

/**
 * Whether all that is missed is BigQuery's own rule: `a.b` in one pair of backticks is the path of a and b, so the table is
 * called b where ZetaSQL calls it a.b, and `FROM \`a.b\`, b.c` reads an array. Shown the path in parts, ZetaSQL must agree.
 */
async function isQuoting(sql: string, parsed: Parsed, zetasql: ZetaSql): Promise<boolean> {
  const parts = tokensOf(sql).map((token) => (token.startsWith('`') ? token.replaceAll('.', '`.`') : token))
  const divided = parts.join('')
  if (divided === sql) return false
  const answer = await zetasql.read(divided)
  return answer.is === 'read' && difference(parsed, answer.tables).missing.length === 0
}

/** What is sent to a warehouse is not the text as it was asked, but the one that we emit. */
async function judgeText({ mutant, parsed, zetasql, tally }: Case, asked: readonly string[]): Promise<void> {
  if (parsed.text === mutant.sql) return
  const answer = await zetasql.read(parsed.text)
  if (answer.is === 'crashed') tally.crashed++
  if (answer.is === 'read' && answer.tables.toSorted().join() === asked.toSorted().join()) return
  tally.otherText++
  show(tally.otherText, `TEXT ${JSON.stringify(parsed.text)}`, mutant)
}

async function sample({ sql }: Mutant, code: string, zetasql: ZetaSql, tally: Tally): Promise<void> {
  const answer = await zetasql.read(sql)
  tally.sampled++
  if (answer.is !== 'read') return
  tally.sampledTheyTake++
  tally.reasons.set(code, (tally.reasons.get(code) ?? 0) + 1)
}

function show(nth: number, title: string, { sql, by }: Mutant): void {
  if (nth <= SHOWN) console.log(`── ${title}\n   ${by.join(' · ')}\n${JSON.stringify(sql)}`)
}

function progress(tally: Tally, began: number): void {
  const perSecond = Math.round((1000 * tally.made) / (Date.now() - began))
  console.log(`${tally.made} mutants, ${perSecond}/s, both take ${tally.bothTake}, missed ${tally.missed}`)
}

function report(tally: Tally, crashes: number, ms: number): void {
  const { reasons, ...counts } = tally
  console.table({ ...counts, slowestMs: Math.round(tally.slowestMs), crashes, seconds: Math.round(ms / 1000) })
  const often = [...reasons].toSorted((a, b) => b[1] - a[1]).slice(0, 20)
  console.log(`of ${tally.sampled} that we refuse, ZetaSQL reads ${tally.sampledTheyTake}:`)
  for (const [code, count] of often) console.log(`  ${count} ${code}`)
}
