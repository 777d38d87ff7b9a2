/** The named factors of a statement's risk. The README has the table; `VERSION` changes whenever a score would. */
import type { ResourceUse, SqlStatement, Stated } from '../../src/plugin.ts'

/** An exchange of SQL. */
export type SqlStated = Stated & { readonly statement: SqlStatement }
import { kindOf, OF_TABLES } from './functions.ts'

/** Of the factors below and their default weights. */
export const VERSION = 2

/** Points that each factor adds at most. What is not listed under `FEATURES` counts as `other-feature`. */
export const WEIGHTS = {
  // What it does.
  destroy: 80,
  administer: 80,
  execute: 50,
  export: 60,
  define: 25,
  write: 30,
  irreversible: 20,
  'or-replace': 25,
  'no-where': 50,
  rows: 20,
  // What it takes.
  bytes: 30,
  cost: 10,
  'bytes-unknown': 10,
  'full-scan': 10,
  'cross-join': 15,
  'comma-join': 5,
  wildcard: 5,
  'wildcard-whole': 10,
  'select-star': 5,
  'wide-star': 10,
  unbounded: 5,
  'subquery-depth': 5,
  // What it touches.
  'tagged-columns': 10,
  'information-schema': 10,
  model: 15,
  'unknown-function': 10,
  // What it hides.
  'comment-trick': 15,
  'encoded-literal': 15,
  encoding: 5,
  stacked: 10,
  'readers-differ': 25,
  'other-feature': 5,
  // What its principal usually does.
  'new-shape': 5,
  'new-table': 10,
  'unusual-hour': 10,
  'unusual-volume': 15,
  'no-history': 0,
} as const

export type FactorName = keyof typeof WEIGHTS
export type Weights = Readonly<Record<FactorName, number>>

/** One reason for the score. */
export interface Factor {
  readonly name: FactorName
  /** Of the weight: 0 to 1. */
  readonly share: number
  /** A resource, function or `line:column`. */
  readonly where?: string
  /** Of rows, tables or columns. */
  readonly count?: number
}

/** A price of reading, US dollars for each TiB. */
export type UsdPerTib = number

const MIB = 2 ** 20
const GIB = 2 ** 30
const TIB = 2 ** 40

/** Factors that count each time they are seen, up to three times; any other counts once. */
const REPEATED: ReadonlySet<FactorName> = new Set(['unknown-function', 'tagged-columns'])
const MOST_REPEATS = 3

/** Every factor that applies, in the order of the table. Pure: equal exchanges have equal factors, in whatever order. */
export function factorsOf(stated: SqlStated, usdPerTib: UsdPerTib): readonly Factor[] {
  const { statement } = stated
  const found = [
    ...ofUses(statement),
    ...ofRows(statement),
    ...ofBytes(statement, usdPerTib),
    ...ofFeatures(statement),
    ...ofStars(statement),
    ...ofTags(statement),
    ...ofFunctions(statement),
    ...ofPast(stated),
  ]
  const order = Object.keys(WEIGHTS)
  const sorted = found.toSorted(
    (a, b) => order.indexOf(a.name) - order.indexOf(b.name) || b.share - a.share || compare(a.where, b.where),
  )
  const seen = new Map<FactorName, number>()
  return sorted.filter(({ name }) => {
    const times = (seen.get(name) ?? 0) + 1
    seen.set(name, times)
    return times <= (REPEATED.has(name) ? MOST_REPEATS : 1)
  })
}

function compare(a = '', b = ''): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

// ── what it does ───────────────────────────────────────────────────────────────────────────────────────────────────

const ACTIONS = {
  delete: 'destroy',
  administer: 'administer',
  execute: 'execute',
  export: 'export',
  define: 'define',
  write: 'write',
} as const

/** What no time travel brings back: views, routines, datasets that are dropped, and rows that have left. */
const IRREVERSIBLE = /^(?:DROP_(?!TABLE$)|EXPORT_)/

function ofUses(statement: SqlStatement): readonly Factor[] {
  const { uses, kind } = statement
  const factors = uses.flatMap((use): readonly Factor[] => {
    const { resource } = use
    const name = doing(use, statement)
    const own: Factor[] = name === undefined ? [] : [{ name, share: 1, where: resource }]
    if (/(^|\.)INFORMATION_SCHEMA(\.|$)/i.test(resource)) {
      own.push({ name: 'information-schema', share: 1, where: resource })
    }
    if (resource.endsWith('*')) own.push({ name: 'wildcard', share: 1, where: resource })
    return own
  })
  return IRREVERSIBLE.test(kind) ? [...factors, { name: 'irreversible', share: 1, where: kind }] : factors
}

/** What an action counts as. What CREATE OR REPLACE takes away is replaced, and a model that is asked runs no code of ours. */
function doing({ action, resource }: ResourceUse, statement: SqlStatement): FactorName | undefined {
  if (action === 'read') return undefined
  if (action === 'delete' && isReplaced(resource, statement)) return 'or-replace'
  if (action === 'execute' && OF_TABLES.has(resource)) return undefined
  if (action === 'execute' && isModel(resource, statement)) return 'model'
  return ACTIONS[action]
}

function isReplaced(resource: string, { uses, features }: SqlStatement): boolean {
  const replaces = features.some(({ name }) => name === 'or-replace')
  return replaces && uses.some((use) => use.action === 'define' && use.resource === resource)
}

/** A model, or BigQuery's own function that asks one: no routine that the text calls by that name. */
function isModel(resource: string, { functions }: SqlStatement): boolean {
  const name = resource.toUpperCase()
  if (kindOf(name) === 'model') return true
  const isCalled = functions.some((it) => it === name || it.endsWith(`.${name}`) || name.endsWith(`.${it}`))
  return !isCalled && functions.some((it) => kindOf(it) === 'model')
}

/** Kinds whose target holds no rows. */
const ROWLESS = /(?:FUNCTION|PROCEDURE|MODEL|INDEX|POLICY|(?<!MATERIALIZED_)VIEW)$/

const FEW_ROWS = 1_000
const MANY_ROWS = 100_000_000

/** Of what is deleted whole, or changed without a filter: how many rows that is, as far as the catalog knows. */
function ofRows(statement: SqlStatement): readonly Factor[] {
  const { kind, uses, features, tables } = statement
  if (ROWLESS.test(kind)) return []
  const unfiltered = features.some(({ name }) => FEATURES[name] === 'no-where')
  const hit = uses.filter(({ action, resource }) =>
    action === 'delete' ? !isReplaced(resource, statement) : unfiltered && action === 'write',
  )
  return hit.flatMap(({ resource }): readonly Factor[] => {
    const count = tables.find((table) => table.resource === resource)?.rowCount
    // An unknown number is no small one.
    if (count === undefined || !(count >= 0)) return [{ name: 'rows', share: 1, where: resource }]
    const share = logShare(count, FEW_ROWS, MANY_ROWS)
    return share > 0 ? [{ name: 'rows', share, where: resource, count }] : []
  })
}

/** 0 up to `none`, 1 from `all` on, by the logarithm between; 1 for what is no count. */
function logShare(value: number, none: number, all: number): number {
  if (!(value >= 0)) return 1
  if (value <= none) return 0
  return Math.min(1, Math.log(value / none) / Math.log(all / none))
}

// ── what it takes ──────────────────────────────────────────────────────────────────────────────────────────────────

function ofBytes(statement: SqlStatement, usdPerTib: UsdPerTib): readonly Factor[] {
  const { estimate, tables } = statement
  const cost = logShare(costOf(statement, usdPerTib), 1, 100)
  const factors: Factor[] = cost > 0 && estimate !== undefined ? [{ name: 'cost', share: cost }] : []
  if (estimate === undefined) return tables.length === 0 ? [] : [{ name: 'bytes-unknown', share: 1 }]
  const share = logShare(estimate.bytes, GIB, 10 * TIB)
  return share > 0 ? [{ name: 'bytes', share }, ...factors] : factors
}

/** US dollars, to a hundredth of a cent. Where nobody could say how much it reads: the price of the most that it may. */
export function costOf({ estimate, tables, bounds }: SqlStatement, usdPerTib: UsdPerTib): number {
  const told = estimate?.bytes ?? (tables.length === 0 ? 0 : Number.NaN)
  const bytes = told >= 0 && Number.isFinite(told) ? told : bounds.maxBytesBilled
  return Math.round((bytes / TIB) * usdPerTib * 10_000) / 10_000
}

/** Names of `SqlStatement.features` that are factors. */
const FEATURES: Readonly<Record<string, FactorName>> = {
  'no-where': 'no-where',
  'always-true-where': 'no-where',
  'constant-where': 'no-where',
  'or-replace': 'or-replace',
  'partition-unfiltered': 'full-scan',
  'cross-join': 'cross-join',
  'comma-join': 'comma-join',
  'wildcard-table': 'wildcard',
  'wildcard-unfiltered': 'wildcard-whole',
  'select-star': 'select-star',
  'no-limit': 'unbounded',
  'information-schema': 'information-schema',
  'subquery-depth': 'subquery-depth',
  'comment-trick': 'comment-trick',
  'encoded-literal': 'encoded-literal',
  'encoding-function': 'encoding',
  'stacked-statements': 'stacked',
  'advisory-reader': 'readers-differ',
  export: 'export',
}

/** Features that actions or functions tell better, or that are no risk: a comment does not reach the warehouse. */
const UNWEIGHED = new Set(['dml', 'ddl', 'comment', 'table-function', 'unknown-function'])

function ofFeatures({ features }: SqlStatement): readonly Factor[] {
  return features
    .filter((feature) => !UNWEIGHED.has(feature.name))
    .map((feature): Factor => {
      const name = (Object.hasOwn(FEATURES, feature.name) && FEATURES[feature.name]) || 'other-feature'
      const where = feature.at ?? feature.resource
      return { name, share: 1, ...(where !== undefined && { where }) }
    })
}

/** Columns from which on a table is wide. */
const WIDE = 20

/** `SELECT *` that answers with many columns; one that answers nothing, but writes, is as wide as its widest table. */
function ofStars({ features, output, tables }: SqlStatement): readonly Factor[] {
  const star = features.find(({ name }) => name === 'select-star')
  if (star === undefined) return []
  const count = output.length > 0 ? output.length : Math.max(0, ...tables.map(({ columns }) => columns.length))
  return count > WIDE ? [{ name: 'wide-star', share: 1, count, ...(star.at !== undefined && { where: star.at }) }] : []
}

// ── what it touches ────────────────────────────────────────────────────────────────────────────────────────────────

/** One factor for each tag among the columns and fields that are used, with the number of those that bear it. */
function ofTags({ tables, columnsRead }: SqlStatement): readonly Factor[] {
  const counts = new Map<string, number>()
  const count = (tags: readonly string[]): void => {
    for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1)
  }
  for (const { resource, columns } of tables) {
    const read = columnsRead.filter((path) => path.startsWith(`${resource}.`)).map((path) => path.toLowerCase())
    // A parent stands for all its fields, and a field makes its parent used.
    const isRead = (path: string): boolean => {
      const whole = `${resource}.${path}`.toLowerCase()
      return read.some((it) => it === whole || it.startsWith(`${whole}.`) || whole.startsWith(`${it}.`))
    }
    for (const { name, tags = [], fieldTags = {} } of columns) {
      if (isRead(name)) count(tags)
      for (const [field, own] of Object.entries(fieldTags)) if (isRead(`${name}.${field}`)) count(own)
    }
  }
  return [...counts].map(([where, times]) => ({ name: 'tagged-columns', share: 1, where, count: times }))
}

function ofFunctions({ functions }: SqlStatement): readonly Factor[] {
  return functions.flatMap((where): readonly Factor[] => {
    const kind = kindOf(where)
    if (kind === 'known') return []
    return [{ name: kind === 'model' ? 'model' : 'unknown-function', share: 1, where }]
  })
}

// ── what its principal usually does ────────────────────────────────────────────────────────────────────────────────

/** Answers from which on there are habits, and habits of the day. */
const HABIT = 20
const DAILY_HABIT = 50

/** How many times as much as usual is unusual, and how much must be read at least. */
const MUCH_MORE = 10
const LITTLE_BYTES = 100 * MIB

function ofPast({ past, statement, receivedAt }: SqlStated): readonly Factor[] {
  if (past === undefined || !(past.exchanges >= HABIT)) return [{ name: 'no-history', share: 1 }]
  const factors: Factor[] = []
  const { estimate, shape, uses } = statement
  if (shape !== undefined && past.sameShape === 0) factors.push({ name: 'new-shape', share: 1, where: shape })
  const fresh = [...new Set(uses.map(({ resource }) => resource))].filter(
    (resource) => resource !== '' && !past.tables.includes(resource),
  )
  const [first] = fresh.toSorted()
  if (first !== undefined) factors.push({ name: 'new-table', share: 1, where: first, count: fresh.length })
  const hour = new Date(receivedAt).getUTCHours()
  const around = [hour + 23, hour, hour + 1].map((it) => past.hours[it % 24] ?? 0)
  if (past.exchanges >= DAILY_HABIT && around.every((times) => times === 0)) {
    factors.push({ name: 'unusual-hour', share: 1, where: `${hour}:00 UTC` })
  }
  const usual = past.bytesP95
  if (usual !== undefined && estimate !== undefined) {
    const isUsual = estimate.bytes <= Math.max(LITTLE_BYTES, usual * MUCH_MORE)
    if (!isUsual) factors.push({ name: 'unusual-volume', share: 1 })
  }
  return factors
}

// ── the score ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** 0 to 100, whole: the sum of what each factor adds. */
export function scoreOf(factors: readonly Factor[], weights: Weights): number {
  const sum = factors.reduce((total, { name, share }) => total + weights[name] * share, 0)
  return Math.min(100, Math.round(sum))
}
