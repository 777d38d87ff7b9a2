/** An approval is for what the approvers saw. */
import { describe, expect, test } from 'vitest'
import type { Decided, Held, SqlStatement, Table } from '../../src/exchange.ts'
import { ceilingOf, driftOf, withinCeiling } from '../../src/stations/drift.ts'
import { AGENT, HOLD, STATEMENT } from '../support/journey.ts'
import { sqlStatement } from '../support/statement.ts'

const MIB = 1024 * 1024
const table = (name: string, version: string): Table => ({
  path: { project: 'p', dataset: 'shop', table: name },
  resource: `shop.${name}`,
  kind: 'TABLE',
  columns: [],
  version,
})
const statement = (bytes: number | undefined, ...tables: readonly Table[]): SqlStatement =>
  sqlStatement({
    ...STATEMENT,
    tables,
    ...(bytes !== undefined && { estimate: { bytes, kind: 'SELECT', tables: [], output: [] } }),
  })
const held = {
  id: 'h1',
  principal: { ...AGENT, groups: ['analysts', 'writers'] },
  statement: statement(1000 * MIB, table('orders', 'v1'), table('leads', 'v1')),
  decision: HOLD,
  policy: 'sha256:1',
} as unknown as Held
const now = (more: Partial<Decided>): Decided => ({ ...held, ...more }) as Decided

describe('what would run is what was approved', () => {
  test('where nothing has changed, the tables have grown a little, and the requester has more groups', () => {
    expect(driftOf(held, now({}))).toBeUndefined()
    const grown = statement(1100 * MIB, table('leads', 'v1'), table('orders', 'v1'))
    const principal = { ...held.principal, groups: ['writers', 'more', 'analysts'] }
    expect(driftOf(held, now({ statement: grown, principal }))).toBeUndefined()
  })

  test.each([
    ['other policies', { policy: 'sha256:2' }, 'the policies have changed since it was asked'],
    ['a lost group', { principal: { ...AGENT, groups: ['analysts'] } }, 'the requester is no longer in `writers`'],
    [
      'another text',
      { statement: sqlStatement({ ...(held.statement as SqlStatement), text: 'SELECT 2' }) },
      'the request reads differently now',
    ],
    [
      'another schema',
      { statement: statement(1000 * MIB, table('orders', 'v2'), table('leads', 'v1')) },
      '`shop.orders` has changed since it was asked',
    ],
    [
      'one table less',
      { statement: statement(1000 * MIB, table('orders', 'v1')) },
      '`shop.leads` has changed since it was asked',
    ],
    [
      'one table more',
      { statement: statement(1000 * MIB, table('orders', 'v1'), table('leads', 'v1'), table('x', 'v1')) },
      '`shop.x` has changed since it was asked',
    ],
    [
      'more to read',
      { statement: statement(1101 * MIB, table('orders', 'v1'), table('leads', 'v1')) },
      `it would read ${1101 * MIB} bytes; at most ${1100 * MIB} were approved`,
    ],
    [
      'nobody knows how much',
      { statement: statement(undefined, table('orders', 'v1'), table('leads', 'v1')) },
      `it would read nobody knows how many bytes; at most ${1100 * MIB} were approved`,
    ],
  ] as const)('not with %s', (_, more, why) => {
    expect(driftOf(held, now(more))).toBe(why)
  })
})

test('the ceiling binds what BigQuery may bill, and is never below what it bills at least', () => {
  expect(ceilingOf(statement(0, table('orders', 'v1'), table('leads', 'v1')))).toBe(20 * MIB)
  expect(ceilingOf(statement(undefined))).toBeUndefined()
  const wide = sqlStatement({ ...STATEMENT, bounds: { maxRows: 1, timeoutMs: 1, maxBytesBilled: 5000 * MIB } })
  expect(withinCeiling(wide, held.statement).bounds.maxBytesBilled).toBe(1100 * MIB)
  const narrow = sqlStatement({ ...STATEMENT, bounds: { maxRows: 1, timeoutMs: 1, maxBytesBilled: 5 * MIB } })
  expect(withinCeiling(narrow, held.statement).bounds.maxBytesBilled).toBe(5 * MIB)
  expect(withinCeiling(wide, statement(undefined))).toBe(wide)
})
