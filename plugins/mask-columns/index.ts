/**
 * Masks columns at the source: each reference to a masked table becomes a query that yields the table with its masked
 * columns. Whatever the statement then does, it does with masked values.
 */
import * as z from 'zod'
import type {
  Obligation,
  OutputColumn,
  Parameter,
  Plugin,
  Reason,
  Reference,
  SqlStatement,
  SqlType,
  Unfulfilled,
} from '../../src/plugin.ts'
import { exportsOf, replaceReferences, withNamedParameters } from '../../src/statement/rewrite.ts'
import { readKeys, type Pads } from '../../src/statement/hmac.ts'
import { barredNames, barredSchemaView } from './barred.ts'
import { planTables, touches, wrappedTable, type TablePlan } from './plan.ts'
import { columnMasks, terms } from './terms.ts'

const reference = z.string().regex(/^(env|file):.+$/, 'a reference such as `env:SLUICE_MASK_KEY`')
const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a name of small letters, digits and dashes')

/** `{ keys: { default: 'env:SLUICE_MASK_KEY' } }`: the keys of strategy `hash`. */
const options = z.strictObject({ keys: z.record(name, reference).default({}) }).default({ keys: {} })

export const maskColumns: Plugin<z.output<typeof options>> = {
  name: 'mask-columns',
  options,
  async create({ keys }, runtime) {
    const pads = await readKeys(keys, runtime)
    return {
      fulfil: {
        'mask-columns': {
          terms,
          guards: true,
          language: 'googlesql',
          before: (statement, obligation) =>
            statement.language === 'googlesql' ? maskStatement(statement, obligation, pads) : statement,
        },
      },
    }
  },
}

type Plans = ReadonlyMap<string, TablePlan>

/** The statement with its tables masked, or why that cannot be done or proven. Pure. */
export function maskStatement(
  statement: SqlStatement,
  obligation: Obligation,
  pads: ReadonlyMap<string, Pads>,
): SqlStatement | Unfulfilled {
  const masks = columnMasks(obligation.terms)
  const closed = barredSchemaView(statement) ?? barredNames(statement, masks)
  if (closed !== undefined) return { unfulfilled: closed }
  const plans = planTables(statement, masks)
  if ('because' in plans) return { unfulfilled: plans }
  if (plans.size === 0) return statement
  const barrier =
    barredKind(statement, plans) ??
    barredReference(statement, plans) ??
    barredWrite(statement, plans) ??
    barredParameter(statement) ??
    missingKey(plans, pads)
  return barrier === undefined ? rewritten(statement, plans, pads) : { unfulfilled: barrier }
}

function rewritten(statement: SqlStatement, plans: Plans, pads: ReadonlyMap<string, Pads>): SqlStatement | Unfulfilled {
  const keys = [...new Set([...plans.values()].flatMap((plan) => plan.keys))].sort()
  const named = keys.length === 0 ? statement : withNamedParameters(statement)
  const parameterOf = (key: string, side: 'ipad' | 'opad'): string => `sluice_k${keys.indexOf(key) + 1}_${side}`
  const padsOf = (key: string) => ({ inner: `@${parameterOf(key, 'ipad')}`, outer: `@${parameterOf(key, 'opad')}` })
  const replaced = replaceReferences(named, (table, at) => {
    const plan = plans.get(table.resource)
    if (at.fixed !== undefined || plan === undefined) return undefined
    const isListed = at.clauses !== undefined || table.path.table.endsWith('*')
    return wrappedTable(plan, padsOf, exportsOf(at), isListed)
  })
  if ('refused' in replaced) {
    const { message, line, column, fix } = replaced
    return unprovable(message, `${line}:${column}`, fix)
  }
  const added = keys.flatMap((key): Parameter[] => {
    const blocks = pads.get(key)
    if (blocks === undefined) return []
    return [
      { name: parameterOf(key, 'ipad'), type: { kind: 'BYTES' }, value: blocks.inner },
      { name: parameterOf(key, 'opad'), type: { kind: 'BYTES' }, value: blocks.outer },
    ]
  })
  return {
    ...replaced,
    parameters: [...replaced.parameters, ...added],
    masks: [...statement.masks, ...carried(statement, plans)],
    output: statement.output.map((column) => markedOutput(column, plans)),
  }
}

/** The masks of those tables that were wrapped somewhere. */
function carried(statement: SqlStatement, plans: Plans): SqlStatement['masks'] {
  const open = new Set(allReferences(statement).flatMap(({ at }) => (at.fixed === undefined ? [at.resource] : [])))
  return [...plans]
    .filter(([resource]) => open.has(resource))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, plan]) => plan.masks)
}

function markedOutput(column: OutputColumn, plans: Plans): OutputColumn {
  const strategies = new Set(column.masked?.split('+') ?? [])
  for (const plan of plans.values()) {
    for (const mask of plan.masks) {
      const path = `${mask.resource}.${mask.column.split('.$')[0]}`.toLowerCase()
      const flows = column.sources.some((source) => related(source.toLowerCase(), path))
      if (flows) strategies.add(mask.strategy)
    }
  }
  return strategies.size === 0 ? column : { ...column, masked: [...strategies].sort().join('+') }
}

/** Same column, or one holds the other. */
function related(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}.`) || b.startsWith(`${a}.`)
}

// ── what cannot be masked, or cannot be proven to be ─────────────────────────────────────────────────────────────

/** A masked column that is used. Of a view's nested column it is not known which field is. */
function usedMasked(statement: SqlStatement, plan: TablePlan): string | undefined {
  const { resource, columns } = plan.table
  const isView = statement.views.some((view) => view.resource === resource)
  const nested = new Set(columns.flatMap(({ name, type }) => (isNested(type) ? [name.toLowerCase()] : [])))
  if (isView && [...plan.columns.keys()].some((column) => nested.has(column))) return resource
  const used = statement.columnsUsed ?? statement.columnsRead
  return used.find((column) => isColumnOf(column, plan) && touches(plan, column))
}

function isNested({ kind }: SqlType): boolean {
  return kind === 'STRUCT' || kind === 'ARRAY' || kind === 'JSON' || kind === 'RANGE'
}

/** A masked column that is read. Lineage passes through views to their tables, so of a masked view all may be. */
function readMasked({ views, columnsRead }: SqlStatement, plan: TablePlan): string | undefined {
  const { resource } = plan.table
  if (views.some((view) => view.resource === resource)) return resource
  return columnsRead.find((column) => isColumnOf(column, plan) && touches(plan, column))
}

/** Kinds whose every read of a table is a reference that can be wrapped, or a target that `columnsRead` tells of. */
const KINDS = /^(SELECT|INSERT|UPDATE|DELETE|MERGE|CREATE_TABLE_AS_SELECT|EXPORT_DATA|TRUNCATE_TABLE|DROP_[A-Z_]+)$/

function barredKind({ kind }: SqlStatement, plans: Plans): Reason | undefined {
  if (KINDS.test(kind)) return undefined
  const resources = [...plans.keys()].map((it) => `\`${it}\``).join(', ')
  return reason(`a ${kind} statement over ${resources} cannot be shown to keep its masks`, undefined, 'use a SELECT')
}

function barredReference(statement: SqlStatement, plans: Plans): Reason | undefined {
  const references = allReferences(statement)
  for (const [resource, plan] of plans) {
    const own = references.filter(({ at }) => at.resource === resource)
    if (own.length === 0 && reads(statement, resource)) {
      return reason(`\`${resource}\` has masked columns and is read where no mask can be put`, undefined)
    }
    const read = readMasked(statement, plan)
    const fixed = own.find(({ at }) => at.fixed !== undefined)
    if (read === undefined || fixed === undefined) continue
    return reason(
      `\`${read}\` is masked, and no mask can be put where \`${resource}\` stands (${fixed.at.fixed})`,
      position(fixed.text, fixed.at.start),
      `leave \`${read}\` out of this statement`,
    )
  }
  return undefined
}

/** What is stored or given away must be true: a masked value that stands elsewhere would pass for the real one. */
function barredWrite(statement: SqlStatement, plans: Plans): Reason | undefined {
  if (!statement.uses.some(({ action }) => /^(write|define|export)$/.test(action))) return undefined
  for (const plan of plans.values()) {
    const read = usedMasked(statement, plan)
    if (read === undefined) continue
    return {
      code: 'masked-value-write',
      because: `\`${read}\` is masked, so this statement would write by masked values`,
      fix: `leave \`${read}\` out of this statement`,
      where: read,
    }
  }
  return undefined
}

/** An `@`, then a name of ours, or a quoted name with an escape that may spell one. */
const OUR_PARAMETER = /@\s*`?\s*sluice_|@\s*`[^`]*\\/i

/** A text that names our parameters would read the key. */
function barredParameter(statement: SqlStatement): Reason | undefined {
  const texts = [statement.text, ...statement.views.map((view) => view.text)]
  const named = statement.parameters.some((parameter) => parameter.name?.toLowerCase().startsWith('sluice_'))
  if (!named && !texts.some((text) => OUR_PARAMETER.test(text))) return undefined
  return {
    code: 'mask-parameter-reserved',
    because: 'parameters whose names begin with `sluice_` are the gateway’s own',
    fix: 'give the parameter another name',
  }
}

function missingKey(plans: Plans, pads: ReadonlyMap<string, Pads>): Reason | undefined {
  const key = [...plans.values()].flatMap((plan) => plan.keys).find((it) => !pads.has(it))
  if (key === undefined) return undefined
  return {
    code: 'mask-key-unknown',
    because: `policy hashes with key \`${key}\`, which is not configured`,
    fix: `ask the policy owner to set \`plugins.mask-columns.keys.${key}\``,
  }
}

// ── looking at a statement ───────────────────────────────────────────────────────────────────────────────────────

interface Located {
  readonly at: Reference
  readonly text: string
}

function allReferences({ references, text, views }: SqlStatement): readonly Located[] {
  return [{ references, text }, ...views].flatMap((it) => it.references.map((at) => ({ at, text: it.text })))
}

function reads({ uses }: SqlStatement, resource: string): boolean {
  return uses.some((use) => use.action === 'read' && use.resource === resource)
}

function isColumnOf(column: string, { table }: TablePlan): boolean {
  return column.toLowerCase().startsWith(`${table.resource.toLowerCase()}.`)
}

/** 1-based `line:column` of an offset. */
function position(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n')
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}

function reason(because: string, where: string | undefined, fix?: string): Reason {
  return { code: 'mask-unprovable', because, ...(fix !== undefined && { fix }), ...(where !== undefined && { where }) }
}

function unprovable(because: string, where: string, fix: string | undefined): Unfulfilled {
  return { unfulfilled: reason(because, where, fix) }
}
