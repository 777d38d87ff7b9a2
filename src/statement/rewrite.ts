/** Masking at the source: references to tables are replaced by subqueries at their token spans. Pure. */
import type { Reference, SqlStatement, Table } from '../exchange.ts'
import type { Refusal } from './contract.ts'

/**
 * SQL that takes the place of a reference to `table`: a query (without parentheses) that yields the table's columns by
 * the same names, in the same order, of the same types, and names the table as one quoted path
 * (`` `project.dataset.table` ``) and no other table. `undefined` leaves the table as it is.
 */
export type Wrap = (table: Table, reference: Reference) => string | undefined

/**
 * Replaces each reference whose table is wrapped by `(<wrapped SQL>)`, with `AS alias` where the text gives none. Views
 * that read a wrapped table, directly or through others, are inlined as their definition, rewritten in turn. A Refusal
 * where a reference to be replaced is `fixed`. References, uses and features of the answer fit its text, so that it can
 * be given to this function again.
 */
export function replaceReferences(statement: SqlStatement, wrap: Wrap): SqlStatement | Refusal {
  const wrapped = statement.tables.some((table) => statement.references.some((r) => wrap(table, r) !== undefined))
  if (!wrapped) return statement
  return {
    refused: true,
    code: 'unsupported-rewrite',
    message: 'masking at the source is not built yet',
    line: 1,
    column: 1,
  }
}

/**
 * The statement with its positional parameters `?` turned into `@sluice_p1`, `@sluice_p2`, … in order, so that named
 * ones may be added. Unchanged where it has none.
 */
export function withNamedParameters(statement: SqlStatement): SqlStatement {
  return statement
}
