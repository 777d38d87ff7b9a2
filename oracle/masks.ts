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
import { catalog, leavesOf, typeOf } from './schema.ts'
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
  const before = await lineage(mutant.sql, zetasql)
  if (before === undefined) return add(what, 'ZetaSQL refuses')
  const masked = maskStatement(bound, { name: 'mask-columns', terms: [{ columns: MASKS }] }, new Map())
  if ('unfulfilled' in masked) return add(what, `unfulfilled: ${masked.unfulfilled.code}`)
  if (masked.text === bound.text) return add(what, 'nothing to mask')
  add(what, 'masked')
  const found = (finding: string, says: string): void => {
    add(what, finding)
    if ((what.get(finding) ?? 0) > SHOWN) return
    console.log(`── ${finding} ${says}\n   ${mutant.by.join(' · ')}\n${mutant.sql}\n${masked.text}`)
  }
  const second = statements.verify(bound, masked, DEFAULTS)
  // The second lock may refuse more than it must; what it refuses does not run.
  if (second !== undefined) return add(what, `refused after masking: ${second.code}`)
  const after = await lineage(masked.text, zetasql)
  if (after === undefined) return found('BROKEN', await refusal(masked.text, zetasql))
  const [old, now] = [shape(before), shape(after)]
  if (old !== now) found('CHANGED', `from ${old} to ${now}`)
  const told = [...after.output.flatMap(({ sources }) => sources), ...after.used].flatMap(leavesOf)
  const leaked = told.filter((leaf) => HIDDEN.has(leaf))
  if (leaked.length > 0) found('LEAK', [...new Set(leaked)].join(' '))
}

async function lineage(sql: string, zetasql: ZetaSql): Promise<Lineage | undefined> {
  const answer = await zetasql.analyze(divided(sql))
  if (answer.is !== 'read') return undefined
  return lineageOf(withoutNullTests(answer.statement as { readonly [key: string]: Json }) as { [key: string]: Json })
}

async function refusal(sql: string, zetasql: ZetaSql): Promise<string> {
  const answer = await zetasql.analyze(divided(sql))
  return answer.is === 'refused' ? answer.message : answer.is
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
