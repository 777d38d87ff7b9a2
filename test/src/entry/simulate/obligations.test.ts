/** What lets more through, and what less. */
import { describe, expect, test } from 'vitest'
import type { Obligation, SqlStatement } from '../../../../src/exchange.ts'
import { compare, type Verdict } from '../../../../src/entry/simulate/compare.ts'
import { differences } from '../../../../src/entry/simulate/obligations.ts'
import { sqlStatement } from '../../../support/statement.ts'

const READ = sqlStatement({
  uses: [{ action: 'read', resource: 'shop.customers' }],
  columnsRead: ['shop.customers.email', 'shop.customers.address.street'],
})

const masks = (...columns: Record<string, unknown>[]): Obligation[] => [
  { name: 'mask-columns', terms: columns.map((each) => ({ columns: each })) },
]

/** `loosened mask of …` for each difference. */
function told(before: Obligation[], after: Obligation[], statement: Partial<SqlStatement> = {}): string[] {
  return differences(before, after, { statement: { ...READ, ...statement } }).map(
    ({ direction, what }) => `${direction} ${what}`,
  )
}

const email = (strategy: unknown) => ({ 'shop.customers.email': strategy })

describe('a mask', () => {
  test.each([
    ['falls away', [], 'loosened mask of shop.customers.email: redact → none'],
    [
      'is weaker',
      masks(email('partial')),
      'loosened mask of shop.customers.email: redact → partial (keepFirst 0, keepLast 4)',
    ],
    ['is stronger', masks(email('null')), 'tightened mask of shop.customers.email: redact → null'],
    ['is said by two terms, the stronger as strong as it was', masks(email('hash'), email('redact')), undefined],
    ['is said in other words', masks(email({ strategy: 'redact' })), undefined],
    [
      'is that of what contains it now',
      masks({ 'shop.customers.address.street': 'redact', ...email('redact') }),
      'tightened mask of shop.customers.address.street: none → redact',
    ],
  ])('%s', (_, after, expected) => {
    expect(told(masks(email('redact')), after)).toEqual(expected === undefined ? [] : [expected])
  })

  test('shows the other end of a value: neither hides what the other hid', () => {
    const [head, tail] = [
      { strategy: 'partial', keepFirst: 4 },
      { strategy: 'partial', keepLast: 4 },
    ]
    expect(told(masks(email(tail)), masks(email(head)))).toEqual([
      'loosened mask of shop.customers.email: partial (keepFirst 0, keepLast 4) → partial (keepFirst 4, keepLast 0)',
    ])
  })

  test('keeps more characters, or coarser buckets', () => {
    const keep = (keepLast: number) => masks(email({ strategy: 'partial', keepLast }))
    const step = (by: number) => masks(email({ strategy: 'truncate', step: by }))
    expect(told(keep(4), keep(6))[0]).toMatch(/^loosened/)
    expect(told(keep(4), keep(2))[0]).toMatch(/^tightened/)
    expect(told(step(10), step(30))[0]).toMatch(/^tightened/)
    expect(told(step(10), step(15))[0]).toMatch(/^loosened/)
  })

  test('under another key shows as little', () => {
    expect(told(masks(email('hash')), masks(email({ strategy: 'hash', key: 'other' })))).toEqual([
      'changed mask of shop.customers.email: hash (key default) → hash (key other)',
    ])
  })

  test('of a whole struct covers its fields, and that of a field does not cover the struct', () => {
    const whole = masks({ 'shop.customers.address': 'redact' })
    const field = masks({ 'shop.customers.address.street': 'redact' })
    expect(told(field, whole)).toEqual(['tightened mask of shop.customers.address: none → redact'])
    expect(told(whole, field)).toEqual(['loosened mask of shop.customers.address: redact → none'])
  })

  test('of a column that the statement does not read makes no difference to it', () => {
    const gone = masks({ 'shop.customers.ssn': 'redact', 'shop.orders.email': 'redact' })
    expect(told(gone, [])).toEqual([])
  })

  test.each<[string, Partial<SqlStatement>]>([
    ['copies the table', { kind: 'CREATE_TABLE_AS_SELECT' }],
    ['reads a view, of which columns are not told', { columnsRead: [] }],
    ['reads tables by a wildcard', { uses: [{ action: 'read', resource: 'shop.cust*' }] }],
    ['reads the parent', { columnsRead: ['shop.customers.ssn'] }],
    ['calls what nobody sees into', { uses: [{ action: 'execute', resource: 'shop.f' }] }],
    ['reads what tells of tables', { uses: [{ action: 'read', resource: 'shop.INFORMATION_SCHEMA.COLUMNS' }] }],
    ['writes it in other letters', { columnsRead: ['shop.customers.SSN'] }],
  ])('counts where the statement %s', (_, statement) => {
    expect(told(masks({ 'shop.customers.ssn.last': 'redact' }), [], statement)).toEqual([
      'loosened mask of shop.customers.ssn.last: redact → none',
    ])
  })
})

test('masks of bodies go by way and path; a type that passes unmasked is more', () => {
  const json = (term: object): Obligation[] => [{ name: 'mask-json', terms: [term] }]
  const before = json({ response: { '$..email': 'hash', '$.a': 'redact' }, passTypes: ['image/png'] })
  const after = json({ request: { '$..email': 'hash' }, response: { '$.a': 'null' }, passTypes: ['text/csv'] })
  expect(told(before, after)).toEqual([
    'loosened mask of response $..email: hash (key default) → none',
    'tightened mask of response $.a: redact → null',
    'tightened mask of request $..email: none → hash (key default)',
    'loosened bodies of text/csv pass unmasked',
    'tightened bodies of image/png pass no more',
  ])
})

test('values that are found by their looks: a term must find as much, wherever another did, and leave no more', () => {
  const find = (...terms: object[]): Obligation[] => [{ name: 'mask-patterns', terms }]
  const cards = { kinds: ['card', 'iban'], strategy: 'partial' }
  for (const stricter of [
    { kinds: 'all', strategy: 'redact' },
    { kinds: 'all' },
    { kinds: ['iban', 'card'], strategy: 'hash', bodies: ['request', 'response'] },
  ]) {
    expect(told(find(cards), find(stricter))[0]).toMatch(/^tightened values found by mask-patterns: /)
    expect(told(find(stricter), find(cards))[0]).toMatch(/^loosened values found by mask-patterns: /)
    expect(told(find(cards), find({ kinds: ['card'] }, cards, stricter))[0]).toMatch(/^tightened/)
  }
  for (const looser of [
    { ...cards, kinds: ['card'] },
    { ...cards, columns: ['shop.tickets.body'] },
    { ...cards, bodies: ['request'] },
    { ...cards, passTypes: ['image/png'] },
  ]) {
    expect(told(find(cards), find(looser))[0]).toMatch(/^loosened/)
  }
  expect(told(find(cards), [])).toEqual([
    'loosened values found by mask-patterns: card|iban partial (keepFirst 0, keepLast 4) → none',
  ])
  expect(told(find(cards), find({ kinds: ['iban', 'card'], strategy: 'partial', bodies: ['response'] }))).toEqual([])
})

test('limits go by the lowest of all terms; none is the most', () => {
  const limits = (...terms: object[]): Obligation[] => [{ name: 'limits', terms }]
  expect(told(limits({ rows: 10 }, { rows: 5, perDay: { queries: 7 } }), limits({ rows: 8, timeMs: 100 }))).toEqual([
    'loosened limit of rows: 5 → 8',
    'tightened limit of timeMs: none → 100',
    'loosened limit of perDay.queries: 7 → none',
  ])
})

test('of an obligation that nobody knows here, a term more is stricter and any other change is taken for looser', () => {
  const other = (...terms: unknown[]): Obligation[] => [{ name: 'other', terms }]
  expect(told(other({ a: 1, b: 2 }), other({ b: 2, a: 1 }, 'more'))).toEqual([
    'tightened obligation other: more terms bind',
  ])
  expect(told(other(1), other(2))).toEqual(['loosened obligation other: terms fall away or change'])
  expect(told(other(1), [])).toEqual(['loosened obligation other: falls away'])
  expect(told([], other(1))).toEqual(['tightened obligation other: more terms bind'])
})

describe('a hold', () => {
  const hold = (...approvers: NonNullable<Verdict['approvers']>[number][]): Verdict => ({
    effect: 'hold',
    reasons: [],
    obligations: [],
    approvers,
  })
  const [one, two] = [
    { groups: ['owners'], count: 1 },
    { groups: ['owners'], count: 2 },
  ]
  const told = (before: Verdict, after: Verdict): string[] =>
    compare(before, after, { statement: READ }).map(({ direction, what }) => `${direction} ${what}`)

  test.each([
    ['fewer people', hold(two), hold(one), 'loosened approvers: 2 of owners → owners'],
    ['more people', hold(one), hold(two), 'tightened approvers: owners → 2 of owners'],
    [
      'another group that may, too',
      hold(one),
      hold({ groups: ['owners', 'all'], count: 1 }),
      'loosened approvers: owners → owners|all',
    ],
    [
      'no second entry',
      hold(one, { groups: ['legal'], count: 1 }),
      hold(one),
      'loosened approvers: owners and legal → owners',
    ],
    [
      'no comment',
      hold({ ...one, comment: 'required' }),
      hold(one),
      'loosened approvers: owners with a comment → owners',
    ],
  ])('with %s', (_, before, after, expected) => {
    expect(told(before, after)).toEqual([expected])
  })

  test('in the place of a permit that masked lets more through once it is approved', () => {
    const permit: Verdict = { effect: 'permit', reasons: [], obligations: masks(email('redact')) }
    expect(told(permit, hold(one))).toEqual([
      'tightened permit → hold',
      'loosened mask of shop.customers.email: redact → none',
    ])
  })

  test('that waits longer is different, no more', () => {
    expect(told({ ...hold(one), expiresAt: 5 }, { ...hold(one), expiresAt: 6 })).toEqual(['changed holds wait longer'])
  })
})
