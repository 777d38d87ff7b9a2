/**
 * `npm run oracle -- masks`: a query with masks on some columns, as it would run. ZetaSQL must take it, answer with the same
 * columns and types, and see no masked value flow anywhere or decide about anything.
 */
import { readFileSync } from 'node:fs'
import { maskStatement } from '../plugins/mask-columns/index.ts'
import { typeText } from '../src/exchange.ts'
import { createStatements } from '../src/statement/index.ts'
import type { Statements } from '../src/statement/contract.ts'
import { bind, DEFAULTS, divided, texts } from './columns.ts'
import { type Json, type Lineage, lineageOf, withoutNullTests } from './lineage.ts'
import type { Mutant } from './mutate.ts'
import { catalog, leavesOf, typeOf, withViews } from './schema.ts'
import { ZetaSql } from './zetasql.ts'

/** Whole columns, fields, fields of fields, of elements, and arrays; by strategies that let nothing through. */
const MASKS: Readonly<Record<string, string>> = {
  'shop.customers.email': 'redact',
  'shop.customers.born': 'null',
  'shop.customers.tags': 'redact',
  'shop.customers.address.street': 'null',
  'shop.customers.address.geo.name': 'redact',
  'shop.customers.contacts.value': 'redact',
  'shop.orders.amount': 'null',
  'shop.orders.lines.sku': 'null',
  'shop.leads.name': 'redact',
  'shop.address.city': 'null',
  'shop.hr.salaries.salary': 'null',
  'hr.salaries.salary': 'null',
  'hr.customers.ssn': 'redact',
}
const HIDDEN = new Set(Object.keys(MASKS).flatMap(leavesOf))
const IN_FLIGHT = 8
const SHOWN = 30

type Counts = Map<string, number>

interface Tools {
  readonly statements: Statements
  readonly zetasql: ZetaSql
  readonly what: Counts
}

/** Resolves with whether every masked query kept its meaning and its secrets. */
export async function masks({ texts: count, seed }: { texts: number; seed: number }): Promise<boolean> {
  const statements = createStatements(new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm')))
  const zetasql = new ZetaSql(catalog)
  const what: Counts = new Map()
  const began = Date.now()
  const inFlight = new Set<Promise<void>>()
  let made = 0
  for (const text of texts(seed)) {
    if (made === count) break
    made++
    if (made % 10_000 === 0) console.log(`${made} texts`, Object.fromEntries(what))
    const waiting = judge(text, { statements, zetasql, what }).finally(() => inFlight.delete(waiting))
    inFlight.add(waiting)
    if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight)
  }
  await Promise.all(inFlight)
  zetasql.stop()
  const seconds = Math.round((Date.now() - began) / 1000)
  console.table({ made, ...Object.fromEntries(what), crashes: zetasql.crashes, seconds })
  return !['LEAK', 'BROKEN', 'CHANGED'].some((finding) => what.has(finding))
}

async function judge(mutant: Mutant, { statements, zetasql, what }: Tools): Promise<void> {
  const bound = await bind(mutant.sql, statements)
  if ('refused' in bound || bound.kind !== 'SELECT') return
  const before = await zetasql.analyze(withViews(mutant.sql))
  if (before.is !== 'read') return add(what, `ZetaSQL ${before.is}`)
  const masked = maskStatement(bound, { name: 'mask-columns', terms: [{ columns: MASKS }] }, new Map())
  if ('unfulfilled' in masked) return add(what, `unfulfilled: ${masked.unfulfilled.code}`)
  if (masked.text === bound.text) return add(what, 'nothing to mask')
  // The second lock may refuse more than it must; what it refuses does not run.
  const second = statements.verify(bound, masked, DEFAULTS)
  if (second !== undefined) return add(what, `refused after masking: ${second.code}`)
  add(what, 'masked')
  const found = await findings(mutant.sql, masked.text, zetasql)
  // A path in one pair of backticks is called otherwise by ZetaSQL than by BigQuery; see `divided`.
  const isSettled =
    divided(mutant.sql) !== mutant.sql &&
    (await findings(divided(mutant.sql), divided(masked.text), zetasql)).length === 0
  for (const { finding, says } of isSettled ? [] : found) {
    add(what, finding)
    if ((what.get(finding) ?? 0) > SHOWN) continue
    console.log(`── ${finding} ${says}\n   ${mutant.by.join(' · ')}\n${mutant.sql}\n${masked.text}`)
  }
}

interface Finding {
  readonly finding: 'BROKEN' | 'CHANGED' | 'LEAK'
  readonly says: string
}

async function findings(sql: string, masked: string, zetasql: ZetaSql): Promise<Finding[]> {
  // Of views that read what is masked, the definitions stand in the text.
  const [before, after] = [await zetasql.analyze(withViews(sql)), await zetasql.analyze(masked)]
  if (before.is !== 'read' || after.is === 'crashed') return []
  if (after.is === 'refused') return [{ finding: 'BROKEN', says: after.message }]
  const [old, now] = [lineage(before.statement), lineage(after.statement)]
  if (old === undefined || now === undefined) return []
  const found: Finding[] = []
  if (shape(old) !== shape(now)) found.push({ finding: 'CHANGED', says: `from ${shape(old)} to ${shape(now)}` })
  const told = [...now.output.flatMap(({ sources }) => sources), ...now.used].flatMap(leavesOf)
  const leaked = told.filter((leaf) => HIDDEN.has(leaf))
  if (leaked.length > 0) found.push({ finding: 'LEAK', says: [...new Set(leaked)].join(' ') })
  return found
}

function lineage(statement: Readonly<Record<string, unknown>>): Lineage | undefined {
  return lineageOf(withoutNullTests(statement as { readonly [key: string]: Json }) as { readonly [key: string]: Json })
}

function shape({ output }: Lineage): string {
  return output
    .map(({ name, type }) => {
      const known = typeOf(type as unknown as Parameters<typeof typeOf>[0])
      return `${name.startsWith('$') ? '?' : name} ${known === undefined ? '?' : typeText(known)}`
    })
    .join(', ')
}

function add(counts: Counts, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
