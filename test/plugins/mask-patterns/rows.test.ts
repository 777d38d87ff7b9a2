/** Well-known values in rows of SQL: found by what they are, in the columns that a policy names. */
import { describe, expect, test } from 'vitest'
import type { Batch, OutputColumn } from '../../../src/exchange.ts'
import { maskRows } from '../../../plugins/mask-patterns/rows.ts'

const column = (name: string, ...sources: readonly string[]): OutputColumn => ({
  name,
  type: { kind: 'STRING' },
  sources,
})
const COLUMNS = [column('a', 'shop.tickets.body'), column('b', 'shop.tickets.author.name'), column('c')]

function masked(rows: readonly (readonly unknown[])[], term: object, columns: readonly OutputColumn[] = COLUMNS) {
  const bytes = new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const batch: Batch = { rowCount: rows.length, bytes }
  const next = maskRows(batch, { name: 'mask-patterns', terms: [term] }, columns, new Map())
  const lines = new TextDecoder().decode(next.bytes)
  expect([next.rowCount, lines.endsWith('\n')]).toEqual([rows.length, true])
  return {
    rows: lines
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    masked: next.masked,
  }
}

const CARD = '4111 1111 1111 1111'

describe('rows', () => {
  test('have what is found masked in every column, in arrays and fields, and counted by column', () => {
    const rows = [
      [`pay with ${CARD}`, null, '5'],
      [[CARD, 'b'], { x: { y: `mail ada@example.com` } }, 'ada@example.com'],
    ]
    expect(masked(rows, { kinds: ['card', 'email'] })).toEqual({
      rows: [
        ['pay with [redacted]', null, '5'],
        [['[redacted]', 'b'], { x: { y: 'mail [redacted]' } }, '[redacted]'],
      ],
      masked: [
        { resource: 'shop.tickets.body', column: 'card', strategy: 'redact', count: 2 },
        { resource: 'shop.tickets.author.name', column: 'email', strategy: 'redact', count: 1 },
        { resource: 'answer', column: 'email', strategy: 'redact', count: 1 },
      ],
    })
  })

  test.each([
    [['shop.tickets.body'], [true, false, false]],
    [['Shop.*.BODY'], [true, false, false]],
    [['shop.tickets.author'], [false, true, false]],
    [['shop.tickets.author.*'], [false, true, false]],
    [['shop.orders.body'], [false, false, false]],
    [undefined, [true, true, true]],
  ])('of columns %j alone', (columns, expected) => {
    const term = { kinds: 'all', ...(columns && { columns }) }
    const { rows } = masked([[CARD, CARD, CARD]], term)
    expect((rows[0] as string[]).map((it) => it !== CARD)).toEqual(expected)
  })

  test('of which nothing is known are searched whole, whatever columns are named', () => {
    expect(masked([[CARD]], { kinds: 'all', columns: ['shop.tickets.body'] }, []).rows).toEqual([['[redacted]']])
  })

  test('without anything to find leave as they came', () => {
    const rows = [
      ['1', ['x'], { y: null }],
      [null, 'ünï', '2026-01-01'],
    ]
    expect(masked(rows, { kinds: 'all' })).toEqual({ rows, masked: [] })
  })
})
