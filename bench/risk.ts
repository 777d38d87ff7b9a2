/**
 * `npm run bench -- risk FILE [--only GROUP]`: which scores sql-risk gives to the statements of a corpus (as `corpus` reads
 * it), so that what everyday statements come to is measured and not felt. The corpus has no schemas: each table is given the
 * columns that make its statement bind, and a dry run of 10 GiB. Nothing of the corpus is copied here.
 */
import { readFileSync } from 'node:fs'
import { WEIGHTS } from '../plugins/sql-risk/factors.ts'
import { assess } from '../plugins/sql-risk/index.ts'
import type { SqlStatement, Stated, Table } from '../src/exchange.ts'
import type { Defaults, Parsed, Refusal, Statements } from '../src/statement/contract.ts'
import { createStatements } from '../src/statement/index.ts'

const DEFAULTS: Defaults = { project: 'own', dataset: 'd' }
const BOUNDS = { maxRows: 1000, timeoutMs: 1000, maxBytesBilled: 2 ** 40 }
const ESTIMATE_BYTES = 10 * 2 ** 30

/** From which score on the policies that come with Sluice hold. */
const HELD = 80
const STEPS = [0, 20, 40, 60, HELD]

interface Entry {
  readonly id: string
  readonly sub: string
  readonly sql: string
}

/** Prints, for each group, how many statements score how much, and the factors of those that would be held. */
export async function measureRisk({ file, only = '' }: { file: string; only?: string }): Promise<void> {
  const statements = createStatements(new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm')))
  const groups = new Map<string, { asked: number; readonly scores: number[] }>()
  const held: string[] = []
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line.trim() === '') continue
    const { id, sub, sql } = JSON.parse(line) as Entry
    if (!sub.startsWith(only)) continue
    const name = sub.split('-')[0] ?? ''
    const group = groups.get(name) ?? { asked: 0, scores: [] }
    groups.set(name, group)
    group.asked++
    const statement = await boundSomehow(sql, statements)
    if (statement === undefined) continue
    const risk = assess(stated(statement))[0]?.facts?.['risk']
    const score = Number(risk?.['score'])
    group.scores.push(score)
    if (score >= HELD) held.push(`${name} ${id} ${statement.kind} ${score}: ${String(risk?.['points'])}`)
  }
  console.log(`${Object.keys(WEIGHTS).length} factors; statements of 10 GiB, without a past\n`)
  console.log(['group', 'asked', 'bound', ...STEPS.map((step, i) => range(step, STEPS[i + 1])), 'median'].join('\t'))
  for (const [name, { asked, scores }] of [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const counts = STEPS.map((step, i) => scores.filter((it) => it >= step && it < (STEPS[i + 1] ?? 101)).length)
    const median = scores.toSorted((a, b) => a - b)[Math.floor(scores.length / 2)] ?? '-'
    console.log([name, asked, scores.length, ...counts, median].join('\t'))
  }
  console.log(`\n${held.join('\n')}`)
}

const range = (from: number, to = 101): string => `${from}–${to - 1}`

function stated(statement: SqlStatement): Stated {
  return {
    id: '019aa000-0000-7000-8000-000000000000',
    receivedAt: 0,
    surface: 'query',
    principal: { issuer: 'bench', subject: 'agent', kind: 'agent', plane: 'agents', groups: [] },
    connection: 'bench',
    statement: {
      ...statement,
      estimate: { bytes: ESTIMATE_BYTES, kind: statement.kind, tables: [], output: [] },
    },
  }
}

const MOST_MISSED = 200

/** Bound over tables that are given one column after the other, wherever one is missed, until all are there. */
async function boundSomehow(sql: string, statements: Statements): Promise<SqlStatement | undefined> {
  const parsed = statements.parse(sql, DEFAULTS)
  if (parsed.refused) return undefined
  const columns = new Map<string, readonly string[]>()
  const attempt = (extra?: readonly [string, string]): Promise<SqlStatement | Refusal> =>
    bind(parsed, statements, extra === undefined ? columns : new Map([...columns, added(columns, extra)]))
  let bound = await attempt()
  for (let missed = 0; 'refused' in bound && missed < MOST_MISSED; missed++) {
    const missing = /`([^`]+)`/.exec(bound.message)?.[1]
    if (bound.code !== 'unknown-column' || missing === undefined) return undefined
    const before = bound
    let found = false
    for (const resource of parsed.uses.map((use) => use.resource)) {
      const extra = [resource, missing.split('.').at(-1) ?? missing] as const
      const next = await attempt(extra)
      const isFurther = !('refused' in next) || (next.code === 'unknown-column' && !isSamePlace(next, before))
      if (!isFurther) continue
      columns.set(...added(columns, extra))
      bound = next
      found = true
      break
    }
    if (!found) return undefined
  }
  return 'refused' in bound ? undefined : bound
}

function added(columns: ReadonlyMap<string, readonly string[]>, [resource, column]: readonly [string, string]) {
  return [resource, [...(columns.get(resource) ?? []), column]] as const
}

function isSamePlace(a: Refusal, b: Refusal): boolean {
  return a.line === b.line && a.column === b.column
}

function bind(parsed: Parsed, statements: Statements, columns: ReadonlyMap<string, readonly string[]>) {
  // Another version each time: a binding is kept for tables that did not change.
  const version = JSON.stringify([...columns])
  const parameters = [...new Set([...parsed.text.matchAll(/@([A-Za-z_]\w*)/g)].map(([, name = '']) => name))]
  const schemas = {
    table: async (path: Table['path']): Promise<Table> => {
      const own = `${path.dataset}.${path.table}`
      const resource = path.project === DEFAULTS.project ? own : `${path.project}.${own}`
      const names = columns.get(resource) ?? []
      const typed = names.map((name) => ({ name, type: { kind: 'JSON' }, nullable: true }) as const)
      return { path, resource, kind: 'TABLE', columns: typed, version, rowCount: 1_000_000 }
    },
  }
  const given = parameters.map((name) => ({ name, type: { kind: 'STRING' }, value: null }) as const)
  return statements.bind(parsed, DEFAULTS, schemas, given, BOUNDS, AbortSignal.timeout(10_000))
}
