/**
 * `npm run bench -- corpus FILE`: how much of a corpus is understood, by group, and whether the tables that we name are those
 * that a reference parser names. FILE holds one JSON object per line: `group`, `sub`, `id`, `sql`, `tables` (dotted names, or
 * null where the reference parser does not know). Nothing of it is copied here.
 */
import { readFileSync } from 'node:fs'
import type { Defaults } from '../src/statement/contract.ts'
import { createStatements } from '../src/statement/index.ts'

interface Entry {
  readonly id: string
  readonly group: string
  readonly sub: string
  readonly sql: string
  readonly tables: readonly string[] | null
}

/** What became of the statements of one group. */
interface Tally {
  asked: number
  parsed: number
  /** Of those parsed, with a list of tables to compare with. */
  compared: number
  equal: number
  missing: number
  more: number
}

const DEFAULTS: Defaults = { project: 'own', dataset: 'd' }

/** Prints a table of rates; with `--why CODE-or-id`, each refusal whose code or id begins so. */
export function measureCorpus({ file, why, only }: { file: string; why?: string; only?: string }): void {
  const statements = createStatements(new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm')))
  const groups = new Map<string, Tally>()
  const codes = new Map<string, number>()
  for (const entry of entriesOf(file)) {
    const name = /^[12]$/.test(entry.group) || entry.group === '3' ? (entry.sub.split('-')[0] ?? '') : entry.group
    if (only !== undefined && !name.startsWith(only)) continue
    const tally = groups.get(name) ?? { asked: 0, parsed: 0, compared: 0, equal: 0, missing: 0, more: 0 }
    groups.set(name, tally)
    tally.asked++
    const parsed = statements.parse(entry.sql, DEFAULTS)
    if (parsed.refused) {
      const code = `${name} ${parsed.code}: ${parsed.message}`
      codes.set(code, (codes.get(code) ?? 0) + 1)
      if (why !== undefined && (parsed.code.startsWith(why) || entry.id.startsWith(why))) {
        console.log(`── ${entry.id} ${parsed.code} ${parsed.line}:${parsed.column} ${parsed.message}\n${entry.sql}\n`)
      }
      continue
    }
    tally.parsed++
    if (entry.tables === null) continue
    tally.compared++
    const ours = new Set(parsed.uses.map((use) => use.resource.toLowerCase()))
    const theirs = new Set(entry.tables.map(resourceOf))
    const missing = [...theirs].filter((table) => !ours.has(table))
    // Models, routines, and what is created are no tables of theirs.
    const tables = parsed.uses.filter(({ action }) => action === 'read' || action === 'write')
    const more = tables.filter(({ resource }) => !theirs.has(resource.toLowerCase()))
    if (missing.length > 0) {
      tally.missing++
      console.log(`missing in ${entry.id}: ${missing.join(' ')} (ours: ${[...ours].join(' ')})`)
    } else if (more.length > 0) tally.more++
    else tally.equal++
  }
  print(groups)
  const often = [...codes].toSorted((a, b) => b[1] - a[1]).slice(0, 40)
  console.log(`\nrefusals, most frequent first\n${often.map(([code, count]) => `${count} ${code}`).join('\n')}`)
}

function entriesOf(file: string): Entry[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry)
}

/** A dotted name as our resources are written, letter case aside. */
function resourceOf(dotted: string): string {
  const parts = dotted.replaceAll('`', '').toLowerCase().split('.')
  if (parts.length === 1) return `d.${parts[0]}`
  return parts.length === 3 && parts[0] === 'own' ? parts.slice(1).join('.') : parts.join('.')
}

function print(groups: ReadonlyMap<string, Tally>): void {
  const rows = [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, tally]) => {
      const rate = `${((100 * tally.parsed) / tally.asked).toFixed(1)} %`
      return {
        group,
        asked: tally.asked,
        parsed: tally.parsed,
        rate,
        compared: tally.compared,
        equal: tally.equal,
        more: tally.more,
        missing: tally.missing,
      }
    })
  console.table(rows)
}
