/** Our analysis beside the warehouse's dry run: what is the same, what is taken from it, and what disagrees. */
import { describe, expect, it } from 'vitest'
import type { Estimate, OutputColumn, SqlType } from '../../src/exchange.ts'
import { disagreements, settled } from '../../src/second-opinion.ts'
import { sqlStatement } from '../support/statement.ts'

const INT64: SqlType = { kind: 'INT64' }
const STRING: SqlType = { kind: 'STRING' }
/** As analysis writes a type that it does not know. */
const UNKNOWN: SqlType = { kind: 'STRUCT', fields: [] }
const column = (name: string, type: SqlType = INT64): OutputColumn => ({ name, type, sources: [] })

/** What disagrees once the columns are settled, as the journey does it. */
function compared(ours: readonly OutputColumn[], estimate: Partial<Estimate>, kind = 'SELECT'): readonly unknown[] {
  const told: Estimate = { bytes: 1, kind: 'SELECT', tables: ['shop.orders'], output: [], ...estimate }
  const uses = [{ action: 'read' as const, resource: 'shop.orders' }]
  const statement = sqlStatement({ kind, uses, output: settled(ours, told), estimate: told })
  return disagreements(statement).map(({ where }) => where)
}

describe('columns, position by position', () => {
  it.each([
    ['that are the same', [column('a')], [column('a')]],
    ['in other letters', [column('A')], [column('a')]],
    ['of a type that we do not know', [column('a', UNKNOWN)], [column('a', STRING)]],
    [
      'of an array of which we know no more',
      [column('a', { kind: 'ARRAY', of: UNKNOWN })],
      [column('a', { kind: 'ARRAY', of: INT64 })],
    ],
    ['without names', [column('f0_'), column('f1_')], [column('f1_'), column('f2_')]],
    ['of a name that stands twice', [column('id'), column('id')], [column('id'), column('id_1')]],
    [
      'whose anonymous fields have names in the answer',
      [column('s', { kind: 'STRUCT', fields: [{ name: '', type: INT64 }] })],
      [column('s', { kind: 'STRUCT', fields: [{ name: '_field_1', type: INT64 }] })],
    ],
  ])('%s agree, under the names and types of the warehouse', (_, ours, theirs) => {
    expect(compared(ours, { output: theirs })).toEqual([])
    const told = { bytes: 1, kind: 'SELECT', tables: [], output: theirs }
    expect(settled(ours, told)).toEqual(theirs)
  })

  it.each([
    ['another name', [column('a'), column('b')], [column('a'), column('c')], 'column 2, `b` INT64 or `c` INT64'],
    [
      'the two the other way round',
      [column('a'), column('b')],
      [column('b'), column('a')],
      'column 1, `a` INT64 or `b` INT64',
    ],
    ['another type', [column('a')], [column('a', STRING)], 'column 1, `a` INT64 or `a` STRING'],
    [
      'a number behind a name that stands once',
      [column('id')],
      [column('id_1')],
      'column 1, `id` INT64 or `id_1` INT64',
    ],
    ['one more', [column('a')], [column('a'), column('b')], 'the number of columns'],
    ['none', [column('a')], [], 'the number of columns'],
    [
      'another field',
      [column('s', { kind: 'STRUCT', fields: [{ name: 'a', type: INT64 }] })],
      [column('s', { kind: 'STRUCT', fields: [{ name: 'b', type: INT64 }] })],
      'column 1, `s` STRUCT<a INT64> or `s` STRUCT<b INT64>',
    ],
    [
      'another element',
      [column('s', { kind: 'ARRAY', of: INT64 })],
      [column('s', INT64)],
      'column 1, `s` ARRAY<INT64> or `s` INT64',
    ],
  ])('%s disagree', (_, ours, theirs, where) => {
    expect(compared(ours, { output: theirs })).toEqual([where])
  })

  it('that the analysis cannot tell are those of the dry run', () => {
    expect(compared([], { output: [column('a')] })).toEqual([])
  })

  it('of a statement without an answer are not asked', () => {
    expect(compared([], { kind: 'INSERT' }, 'INSERT')).toEqual([])
  })
})

describe('kind and tables', () => {
  it('that differ disagree; a table by no name, which its reader need not know', () => {
    expect(compared([], { kind: 'SCRIPT', tables: ['shop.orders', 'hr.salaries'] })).toEqual([
      'kind SELECT or SCRIPT',
      'a table that the statement does not name',
    ])
  })
})
