/** What two sets of obligations differ in, and which of the two lets more through. Pure. */
import type { Inspected, Obligation } from '../../exchange.ts'
import { maskOf, strategyName, strongest, type Mask, type WrittenMask } from '../../statement/strategy.ts'

/** `loosened`: more gets through, or it cannot be shown that no more does. */
export type Direction = 'loosened' | 'tightened' | 'changed'

/** One thing that is otherwise: `mask of shop.customers.email: hash → none`. */
export interface Difference {
  readonly direction: Direction
  readonly what: string
}

/**
 * Every difference between what bound before and what would bind now, on this exchange. A mask of a column that the
 * statement does not read makes no difference to it.
 */
export function differences(
  before: readonly Obligation[],
  after: readonly Obligation[],
  exchange: Pick<Inspected, 'statement'>,
): readonly Difference[] {
  const names = new Set([...before, ...after].map(({ name }) => name))
  return [...names].flatMap((name) => {
    const [was, is] = [termsOf(before, name), termsOf(after, name)]
    if (JSON.stringify(was) === JSON.stringify(is)) return []
    const compare = Object.hasOwn(COMPARE, name) ? COMPARE[name] : undefined
    return compare === undefined ? ofUnknown(name, was, is) : compare(was, is, exchange)
  })
}

type Terms = readonly unknown[]
type Compare = (was: Terms, is: Terms, exchange: Pick<Inspected, 'statement'>) => readonly Difference[]

const COMPARE: Readonly<Record<string, Compare>> = {
  'mask-columns': (was, is, { statement }) => {
    const before = masksOf(was, 'columns')
    const after = masksOf(is, 'columns')
    const lines = [...new Set([...before.keys(), ...after.keys()])].filter((line) => isRead(line, statement))
    return lines.flatMap((line) => ofMask(line, strongestOver(line, before), strongestOver(line, after)))
  },
  'mask-json': (was, is) => [
    ...(['response', 'request'] as const).flatMap((way) => {
      const before = masksOf(was, way)
      const after = masksOf(is, way)
      const paths = [...new Set([...before.keys(), ...after.keys()])]
      return paths.flatMap((path) => ofMask(`${way} ${path}`, before.get(path), after.get(path)))
    }),
    ...ofPassing(was, is),
  ],
  'mask-patterns': (was, is) => {
    const gone = was.filter((term) => !is.some((other) => findsAsMuch(other, term)))
    if (gone.length > 0)
      return [{ direction: 'loosened', what: `values found by mask-patterns: ${pattern(gone)} → ${pattern(is)}` }]
    const more = is.filter((term) => !was.some((other) => findsAsMuch(other, term)))
    if (more.length === 0) return []
    return [{ direction: 'tightened', what: `values found by mask-patterns: ${pattern(was)} → ${pattern(is)}` }]
  },
  limits: (was, is) => LIMITS.flatMap((path) => ofLimit(path, lowest(was, path), lowest(is, path))),
}

function termsOf(obligations: readonly Obligation[], name: string): Terms {
  return obligations.filter((it) => it.name === name).flatMap(({ terms }) => terms)
}

/**
 * Terms of which nothing is known but that all of them bind: a term more is stricter, and a term less is not. A changed one
 * is taken for looser.
 */
function ofUnknown(name: string, was: Terms, is: Terms): readonly Difference[] {
  const [before, after] = [new Set(was.map(textOf)), new Set(is.map(textOf))]
  const gone = [...before].filter((term) => !after.has(term)).length
  const added = [...after].filter((term) => !before.has(term)).length
  if (gone > 0) {
    const what = is.length === 0 ? `obligation ${name}: falls away` : `obligation ${name}: terms fall away or change`
    return [{ direction: 'loosened', what }]
  }
  return added > 0 ? [{ direction: 'tightened', what: `obligation ${name}: more terms bind` }] : []
}

function textOf(term: unknown): string {
  return JSON.stringify(sorted(term))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, item]) => [key, sorted(item)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

// ── masks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** By column or path, what satisfies every term. */
function masksOf(terms: Terms, key: string): ReadonlyMap<string, Mask> {
  const found = new Map<string, Mask>()
  for (const term of terms) {
    for (const [line, written] of Object.entries(recordOf(recordOf(term)[key]))) {
      const mask = maskOf(written as WrittenMask)
      const earlier = found.get(line)
      found.set(line, earlier === undefined ? mask : strongest(earlier, mask))
    }
  }
  return found
}

/** The mask of a column: its own, or that of what contains it, whichever is stronger. */
function strongestOver(line: string, masks: ReadonlyMap<string, Mask>): Mask | undefined {
  const all = [...masks].filter(([other]) => other === line || isWithin(line, other)).map(([, mask]) => mask)
  const [first, ...rest] = all
  return first === undefined ? undefined : rest.reduce(strongest, first)
}

function ofMask(line: string, was: Mask | undefined, is: Mask | undefined): readonly Difference[] {
  if (textOf(was ?? null) === textOf(is ?? null)) return []
  const what = `mask of ${line}: ${described(was)} → ${described(is)}`
  if (was === undefined) return [{ direction: 'tightened', what }]
  if (is === undefined) return [{ direction: 'loosened', what }]
  // Another key shows as little, but no longer joins with what was hashed under the first.
  if (was.strategy === 'hash' && is.strategy === 'hash') return [{ direction: 'changed', what }]
  const hidesAsMuch = textOf(strongest(was, is)) === textOf(is)
  return [{ direction: hidesAsMuch ? 'tightened' : 'loosened', what }]
}

function described(mask: Mask | undefined): string {
  if (mask === undefined) return 'none'
  const name = strategyName(mask)
  const { strategy: _, ...options } = mask
  const words = Object.entries(options).map(([key, value]) => `${key} ${value}`)
  return words.length === 0 || name === 'year' ? name : `${name} (${words.join(', ')})`
}

/** Whether what a line masks may be in what the statement reads; where that is not known, it is. */
function isRead(line: string, statement: Inspected['statement']): boolean {
  if (statement.language !== 'googlesql') return true
  const { uses, tables, columnsRead, kind } = statement
  const resources = [...uses.map(({ resource }) => resource), ...tables.map(({ resource }) => resource)]
  if ([line, ...resources].some((it) => it.includes('*') || /(?:^|\.)INFORMATION_SCHEMA(?:\.|$)/i.test(it))) return true
  // Nobody sees what a routine or table function reads.
  if (uses.some(({ action }) => action === 'execute')) return true
  const owners = resources.filter((resource) => isWithin(line, resource))
  if (owners.length === 0) return false
  // What copies or gives away a table reads all of it; of a view, columns are not always told apart.
  if (kind !== 'SELECT' || !columnsRead.some((column) => owners.some((owner) => isWithin(column, owner)))) return true
  return columnsRead.some((column) => isSame(column, line) || isWithin(column, line) || isWithin(line, column))
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function isWithin(name: string, parent: string): boolean {
  return name.toLowerCase().startsWith(`${parent.toLowerCase()}.`)
}

// ── values that are found by their looks ─────────────────────────────────────────────────────────────────────────

/** Whether a term finds all that another finds, in all of the places, and leaves no more of it. */
function findsAsMuch(term: unknown, other: unknown): boolean {
  const [mine, theirs] = [patternOf(term), patternOf(other)]
  const kinds = mine.kinds === 'all' || (theirs.kinds !== 'all' && isSubset(theirs.kinds, mine.kinds))
  const columns = mine.columns === undefined || (theirs.columns !== undefined && isSubset(theirs.columns, mine.columns))
  const isAsStrong = textOf(strongest(theirs.mask, mine.mask)) === textOf(mine.mask)
  return (
    kinds && columns && isAsStrong && isSubset(theirs.bodies, mine.bodies) && isSubset(mine.passing, theirs.passing)
  )
}

interface Pattern {
  readonly kinds: 'all' | readonly string[]
  readonly mask: Mask
  readonly bodies: readonly string[]
  readonly columns: readonly string[] | undefined
  readonly passing: readonly string[]
}

/** A term with what it means where it says nothing. */
function patternOf(term: unknown): Pattern {
  const { kinds, strategy, bodies, columns, passTypes } = recordOf(term)
  return {
    kinds: kinds === 'all' ? kinds : listOf(kinds),
    mask: maskOf((strategy ?? 'redact') as WrittenMask),
    bodies: bodies === undefined ? ['response'] : listOf(bodies),
    columns: columns === undefined ? undefined : listOf(columns),
    passing: listOf(passTypes),
  }
}

function isSubset(few: readonly string[], many: readonly string[]): boolean {
  return few.every((each) => many.includes(each))
}

function pattern(terms: Terms): string {
  const words = terms.map((term) => {
    const { kinds, mask } = patternOf(term)
    return `${kinds === 'all' ? kinds : kinds.join('|')} ${described(mask)}`
  })
  return words.length === 0 ? 'none' : words.join(' and ')
}

/** Content types that pass without a mask: those that every term lets pass. */
function ofPassing(was: Terms, is: Terms): readonly Difference[] {
  const [before, after] = [passing(was), passing(is)]
  // Without any term everything passes.
  if (before === undefined || after === undefined) return []
  return [
    ...[...after]
      .filter((type) => !before.has(type))
      .map((type): Difference => ({ direction: 'loosened', what: `bodies of ${type} pass unmasked` })),
    ...[...before]
      .filter((type) => !after.has(type))
      .map((type): Difference => ({ direction: 'tightened', what: `bodies of ${type} pass no more` })),
  ]
}

function passing(terms: Terms): ReadonlySet<string> | undefined {
  const lists = terms.map((term) => listOf(recordOf(term)['passTypes']))
  const [first, ...rest] = lists
  return first && new Set(first.filter((type) => rest.every((list) => list.includes(type))))
}

// ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────

const LIMITS = ['rows', 'bytesBilled', 'timeMs', 'perDay.queries', 'perDay.rows', 'perDay.bytesBilled'] as const

function lowest(terms: Terms, path: string): number {
  const found = terms.map((term) => path.split('.').reduce<unknown>((at, key) => recordOf(at)[key], term))
  return Math.min(...found.filter((value) => typeof value === 'number'))
}

function ofLimit(path: string, was: number, is: number): readonly Difference[] {
  if (was === is) return []
  const words = (value: number): string => (value === Infinity ? 'none' : `${value}`)
  return [{ direction: is > was ? 'loosened' : 'tightened', what: `limit of ${path}: ${words(was)} → ${words(is)}` }]
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
