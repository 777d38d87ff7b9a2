/** `npm run oracle -- corpus FILE`: a file of statements, read by us and by ZetaSQL, group by group. */
import { readFileSync } from 'node:fs'
import type { Bounds } from '../src/exchange.ts'
import type { Parsed, Schemas, Statements } from '../src/statement/contract.ts'
import { createStatements } from '../src/statement/index.ts'
import { DEFAULTS, difference } from './compare.ts'
import { ZetaSql } from './zetasql.ts'

interface Entry {
  readonly id: string
  readonly group: string
  readonly sub: string
  readonly sql: string
}

type Tally = ReturnType<typeof newTally>

function newTally() {
  return {
    asked: 0,
    parsed: 0,
    /** Of those parsed, what binding would follow if the catalog knew its tables: all but what is known by its names only. */
    followed: 0,
    theyRead: 0,
    bothRead: 0,
    equal: 0,
    more: 0,
    missed: 0,
    theyAlone: 0,
    weAlone: 0,
  }
}

const BOUNDS: Bounds = { maxRows: 1, timeoutMs: 1000, maxBytesBilled: 1 }
const NO_TABLES: Schemas = { table: () => Promise.resolve(undefined) }

/** Resolves with whether nothing was missed. */
export async function measure(file: string): Promise<boolean> {
  const statements = createStatements(new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm')))
  const zetasql = new ZetaSql()
  const groups = new Map<string, Tally>()
  for (const entry of entriesOf(file)) {
    const group = entry.group === '1' ? (entry.sub.split('-')[0] ?? '') : entry.group
    const tally = groups.get(group) ?? newTally()
    groups.set(group, tally)
    await compare(entry, tally, { statements, zetasql })
  }
  zetasql.stop()
  const rows = [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))
  console.table(Object.fromEntries(rows.map(([group, tally]) => [group, rated(tally)])))
  return rows.every(([, { missed }]) => missed === 0)
}

async function compare(
  { id, sql }: Entry,
  tally: Tally,
  { statements, zetasql }: { readonly statements: Statements; readonly zetasql: ZetaSql },
): Promise<void> {
  tally.asked++
  const parsed = statements.parse(sql, DEFAULTS)
  const answer = await zetasql.read(sql)
  const theyRead = answer.is === 'read'
  if (theyRead) tally.theyRead++
  if (parsed.refused) {
    if (theyRead) tally.theyAlone++
    return
  }
  tally.parsed++
  if (await isFollowed(parsed, statements)) tally.followed++
  if (!theyRead) {
    tally.weAlone++
    return
  }
  tally.bothRead++
  const { missing, more } = difference(parsed, answer.tables)
  if (missing.length > 0) {
    tally.missed++
    console.log(`missed in ${id}: ${missing.join(' ')}`)
  } else if (more.length > 0) tally.more++
  else tally.equal++
}

/** Asked with a catalog that has no tables: who gets as far as to miss one is followed. */
async function isFollowed(parsed: Parsed, statements: Statements): Promise<boolean> {
  const names = [...new Set([...parsed.text.matchAll(/@([A-Za-z_]\w*)/g)].map(([, name = '']) => name))]
  const given = names.map((name) => ({ name, type: { kind: 'STRING' }, value: null }) as const)
  const bound = await statements.bind(parsed, DEFAULTS, NO_TABLES, given, BOUNDS, AbortSignal.timeout(10_000))
  return !('refused' in bound) || bound.code === 'unknown-table'
}

function rated(tally: Tally): object {
  const percent = (of: number): string => `${((100 * of) / tally.asked).toFixed(1)} %`
  return { ...tally, 'parsed %': percent(tally.parsed), 'followed %': percent(tally.followed) }
}

function entriesOf(file: string): Entry[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as Entry)
}
