/**
 * What no mask can be put on, judged by names alone. Masks go by the names of tables and columns, so whoever a mask binds
 * may not rename, copy, redefine or grant what it names, nor read where the warehouse keeps others' statements.
 */
import type { Reason, SqlStatement } from '../../src/plugin.ts'
import { isAbout } from './plan.ts'
import type { ColumnMask } from './terms.ts'

/**
 * Views of INFORMATION_SCHEMA without texts of statements and values of rows. Any other is closed, those that BigQuery has
 * yet to add among them: JOBS… have each statement's text, PARTITIONS the values by which a table is divided, VIEWS, ROUTINES
 * and indexes what was written into their definitions.
 */
const OPEN_VIEWS = new RegExp(
  `^(${[
    'SCHEMATA(_OPTIONS|_LINKS|_REPLICAS(_BY_FAILOVER_RESERVATION)?)?',
    'TABLES',
    'TABLE_OPTIONS',
    'COLUMNS',
    'COLUMN_FIELD_PATHS',
    'TABLE_CONSTRAINTS',
    'KEY_COLUMN_USAGE',
    'CONSTRAINT_COLUMN_USAGE',
    'TABLE_STORAGE(_BY_[A-Z]+|_USAGE_TIMELINE(_BY_[A-Z]+)?|_TIMELINE(_BY_[A-Z]+)?)?',
    'TABLE_SNAPSHOTS',
    'OBJECT_PRIVILEGES',
    'SEARCH_INDEX_COLUMNS',
    'VECTOR_INDEX_COLUMNS',
    'CAPACITY_COMMITMENTS(_BY_[A-Z]+)?',
    'RESERVATIONS(_BY_[A-Z]+)?',
    'ASSIGNMENTS(_BY_[A-Z]+)?',
  ].join('|')})$`,
  'i',
)
/** The column of an open view that holds texts: those of views. */
const CLOSED_COLUMNS = /\.ddl$/i
const SCHEMA_VIEW = /(?:^|\.)INFORMATION_SCHEMA(?:\.(.*))?$/i

/** Views of INFORMATION_SCHEMA that tell what others asked, or what stands in rows. */
export function barredSchemaView({ uses, columnsRead }: SqlStatement): Reason | undefined {
  for (const { resource } of uses) {
    const found = SCHEMA_VIEW.exec(resource)
    if (found === null) continue
    if (!OPEN_VIEWS.test(found[1] ?? '')) {
      return closedView(resource, 'it may hold texts of statements or values of rows', 'read `COLUMNS` or `TABLES`')
    }
    const text = columnsRead.find((column) => column.startsWith(`${resource}.`) && CLOSED_COLUMNS.test(column))
    if (text !== undefined) {
      return closedView(text, 'it holds texts of statements', 'name the other columns that you need instead of `*`')
    }
  }
  return undefined
}

function closedView(where: string, why: string, fix: string): Reason {
  return {
    code: 'mask-unprovable',
    because: `\`${where}\` cannot be read by one for whom columns are masked: ${why}`,
    fix,
    where,
  }
}

/** Statements that make, alter, hand out or give away something under a name that is masked, or the dataset around it. */
export function barredNames({ kind, uses }: SqlStatement, masks: readonly ColumnMask[]): Reason | undefined {
  const met = uses.find(
    ({ action, resource }) => /^(define|administer)$/.test(action) && masks.some((mask) => isAbout(mask, resource)),
  )
  if (met === undefined) return undefined
  return {
    code: 'mask-unprovable',
    because: `\`${met.resource}\` has columns that are masked for you, and ${kind} could leave them unmasked: masks go by name`,
    fix: 'leave it to someone for whom nothing in it is masked',
    where: met.resource,
  }
}
