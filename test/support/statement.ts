/** A statement to build tests on: `SELECT 1`, touching nothing, with `over` in place of what it says. */
import type { SqlStatement } from '../../src/exchange.ts'

export function sqlStatement(over: Partial<SqlStatement> = {}): SqlStatement {
  return {
    language: 'googlesql',
    kind: 'SELECT',
    text: 'SELECT 1',
    uses: [],
    tables: [],
    references: [],
    views: [],
    columnsRead: [],
    output: [],
    parameters: [],
    functions: [],
    features: [],
    bounds: { maxRows: 1_000_000, timeoutMs: 60_000, maxBytesBilled: 1_000_000_000 },
    masks: [],
    ...over,
  }
}
