import { describe, expect, it } from 'vitest'
import { columnMasks, terms } from '../../../plugins/mask-columns/terms.ts'

describe('the terms of mask-columns', () => {
  it('reads words and strategies with options', () => {
    const columns = {
      'shop.customers.email': 'hash',
      'shop.customers.address.street': 'redact',
      'shop.customers.contacts.value': { strategy: 'partial', keepLast: 2 },
      'shop.customers.phone': 'partial',
      'shop.customers.metadata.$.card': 'null',
      'shop.customers.birth_date': 'year',
      'shop.customers.created_at': { strategy: 'truncate', to: 'MONTH' },
      'shop.customers.id': { strategy: 'truncate', step: 100 },
      'other.shop.customers.email': { strategy: 'hash', key: 'partner' },
    }
    expect(columnMasks([{ columns }])).toEqual([
      { path: 'other.shop.customers.email', mask: { strategy: 'hash', key: 'partner' } },
      { path: 'shop.customers.address.street', mask: { strategy: 'redact' } },
      { path: 'shop.customers.birth_date', mask: { strategy: 'truncate', to: 'YEAR' } },
      { path: 'shop.customers.contacts.value', mask: { strategy: 'partial', keepFirst: 0, keepLast: 2 } },
      { path: 'shop.customers.created_at', mask: { strategy: 'truncate', to: 'MONTH' } },
      { path: 'shop.customers.email', mask: { strategy: 'hash', key: 'default' } },
      { path: 'shop.customers.id', mask: { strategy: 'truncate', step: 100 } },
      { path: 'shop.customers.metadata', json: '$.card', mask: { strategy: 'null' } },
      { path: 'shop.customers.phone', mask: { strategy: 'partial', keepFirst: 0, keepLast: 4 } },
    ])
  })

  it('gives back what it was given, so that a held exchange may be read again', () => {
    const written = { columns: { 'shop.customers.phone': { strategy: 'partial', keepFirst: 3 }, 'a.b.c': 'hash' } }
    expect(terms.parse(terms.parse(written))).toEqual(written)
  })

  it.each([
    [{}, 'columns'],
    [{ columns: {} }, 'at least one column'],
    [{ columns: { 'a.b.c': 'hash' }, more: 1 }, 'more'],
    [{ columns: { email: 'hash' } }, 'a column such as'],
    [{ columns: { 'shop.email': 'hash' } }, 'a column such as'],
    [{ columns: { 'shop..email.x': 'hash' } }, 'a column such as'],
    [{ columns: { 'a.b.c': 'blur' } }, '`redact`'],
    [{ columns: { 'a.b.c': { strategy: 'partial', keep: 1 } } }, 'keep'],
    [{ columns: { 'a.b.c': { strategy: 'partial', keepLast: -1 } } }, ''],
    [{ columns: { 'a.b.c': { strategy: 'truncate' } } }, 'either `to`'],
    [{ columns: { 'a.b.c': { strategy: 'truncate', to: 'YEAR', step: 5 } } }, 'either `to`'],
    [{ columns: { 'a.b.c': { strategy: 'truncate', step: 0 } } }, ''],
  ])('refuses %j', (input, words) => {
    expect(() => terms.parse(input)).toThrow(words)
  })

  it.each([
    '$',
    '$.',
    '$..card',
    '$.*',
    '$.a[*]',
    '$.a[?(@.x)]',
    '$.a[-1]',
    '$.a[0:2]',
    '$.a[0,1]',
    '$.0',
    '$.a^',
    "$.a'b",
  ])('refuses the JSON path %s, which has no one place', (path) => {
    expect(() => terms.parse({ columns: { [`shop.customers.metadata.${path}`]: 'redact' } })).toThrow(
      /JSON path of plain members|a column such as/,
    )
  })

  it.each(['$.card', '$.cards[0].number', '$[3]', '$.a-b.c_d'])('takes the JSON path %s', (json) => {
    const [mask] = columnMasks([{ columns: { [`shop.customers.metadata.${json}`]: 'redact' } }])
    expect(mask).toEqual({ path: 'shop.customers.metadata', json, mask: { strategy: 'redact' } })
  })
})
