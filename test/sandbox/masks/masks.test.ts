import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pads, type Pads } from '../../../src/statement/hmac.ts'
import { planTables, wrappedTable } from '../../../plugins/mask-columns/plan.ts'
import { columnMasks } from '../../../plugins/mask-columns/terms.ts'
import type { Table } from '../../../src/exchange.ts'
import { customers, statementOf, tableOf } from '../../plugins/support.ts'
import { startWarehouse, type Warehouse } from '../warehouse/support.ts'

const KEY = 'a key for the tests of masking'

let warehouse: Warehouse
let blocks: Pads
beforeAll(async () => {
  blocks = await pads(new TextEncoder().encode(KEY))
  warehouse = await startWarehouse()
})
afterAll(() => warehouse.stop())

const hmac = (value: string | Buffer): Buffer => createHmac('sha256', KEY).update(value).digest()
const hex = (value: string): string => hmac(value).toString('hex')
const hashedInteger = (value: string): string => BigInt(`0x${hex(value).slice(0, 15)}`).toString()

/** The kept ends, at most a third of the characters together, as the README says. */
function partly(value: string, keepFirst: number, keepLast: number): string {
  const letters = Array.from(value)
  const last = Math.min(keepLast, Math.floor(letters.length / 3))
  const first = Math.min(keepFirst, Math.floor(letters.length / 3) - last)
  const shows = (at: number): boolean => at < first || at >= letters.length - last
  return letters.map((letter, at) => (shows(at) ? letter : '*')).join('')
}

function wrap(table: Table, columns: Readonly<Record<string, unknown>>): string {
  const plans = planTables(statementOf('', [table]), columnMasks([{ columns }]))
  if ('because' in plans) throw new Error(plans.because)
  const plan = plans.get(table.resource)
  if (plan === undefined) throw new Error('nothing is masked')
  return wrappedTable(plan, () => ({ inner: '@sluice_k1_ipad', outer: '@sluice_k1_opad' }))
}

function run(sql: string): Promise<unknown[][]> {
  if (!sql.includes('@sluice')) return warehouse.rows(sql)
  const params = {
    sluice_k1_ipad: Buffer.from(blocks.inner, 'base64'),
    sluice_k1_opad: Buffer.from(blocks.outer, 'base64'),
  }
  return warehouse.rows(sql, { params })
}

/** Each of `values` (GoogleSQL, all of `type`) as it reads masked. */
async function masked(type: string, strategy: unknown, values: readonly string[], path = 'x'): Promise<unknown[]> {
  const sql = wrap(tableOf('d.t', { id: 'INT64', x: type }), { [`d.t.${path}`]: strategy })
  const rows = values.map((value, at) => `SELECT ${at} AS id, ${value} AS x`).join(' UNION ALL ')
  expect(sql).toContain('FROM `demo.d.t` AS')
  const answer = await run(`SELECT x FROM (${sql.replace('`demo.d.t`', `(${rows})`)}) ORDER BY id`)
  return answer.map(([value]) => value)
}

describe('what the written SQL gives', () => {
  it.each([
    ['STRING', "'ada'", '[redacted]'],
    ['BYTES', "b'ada'", ''],
    ['BOOL', 'TRUE', 'false'],
    ['INT64', '7', '0'],
    ['FLOAT64', 'CAST(7.5 AS FLOAT64)', '0.0'],
    ['NUMERIC', "NUMERIC '7.5'", '0'],
    ['DATE', "DATE '2020-05-06'", '1970-01-01'],
    ['TIME', "TIME '10:11:12'", '00:00:00'],
    ['DATETIME', "DATETIME '2020-05-06 10:11:12'", '1970-01-01T00:00:00'],
    ['TIMESTAMP', "TIMESTAMP '2020-05-06 10:11:12+00'", '0'],
    ['JSON', 'JSON \'{"a": 1}\'', '"[redacted]"'],
  ])('redact %s; NULL stays NULL', async (type, value, constant) => {
    expect(await masked(type, 'redact', [value, `CAST(NULL AS ${type})`])).toEqual([constant, null])
  })

  it.each([
    ['STRING', "'ada'"],
    ['INT64', '7'],
    ['DATE', "DATE '2020-05-06'"],
    ['JSON', "JSON '1'"],
    ['STRUCT<a STRING>', "STRUCT('ada' AS a)"],
  ])('null %s', async (type, value) => {
    expect(await masked(type, 'null', [value])).toEqual([null])
  })

  it('hash as HMAC-SHA256 of the standard', async () => {
    expect(await masked('STRING', 'hash', ["'ada'", "'žluťoučký 🐎'", "''", 'CAST(NULL AS STRING)'])).toEqual([
      hex('ada'),
      hex('žluťoučký 🐎'),
      hex(''),
      null,
    ])
    expect(await masked('BYTES', 'hash', ["b'ada'", 'CAST(NULL AS BYTES)'])).toEqual([
      hmac(Buffer.from('ada')).toString('base64'),
      null,
    ])
  })

  it('hash of INT64 as INT64', async () => {
    expect(await masked('INT64', 'hash', ['7', '-9223372036854775808', 'CAST(NULL AS INT64)'])).toEqual([
      hashedInteger('7'),
      hashedInteger('-9223372036854775808'),
      null,
    ])
  })

  it.each([
    [0, 4],
    [2, 0],
    [3, 4],
    [0, 0],
  ])('partial, first %i and last %i', async (keepFirst, keepLast) => {
    const values = ['', 'a', 'ab', 'abc', 'abcdef', '4111222233334444', 'žluťoučký 🐎 kůň']
    const sql = [...values.map((value) => `'${value}'`), 'CAST(NULL AS STRING)']
    const strategy = { strategy: 'partial', keepFirst, keepLast }
    expect(await masked('STRING', strategy, sql)).toEqual([
      ...values.map((it) => partly(it, keepFirst, keepLast)),
      null,
    ])
  })

  it('truncates dates and numbers', async () => {
    expect(await masked('DATE', 'year', ["DATE '2020-05-06'", 'CAST(NULL AS DATE)'])).toEqual(['2020-01-01', null])
    const month = { strategy: 'truncate', to: 'MONTH' }
    expect(await masked('DATETIME', month, ["DATETIME '2020-05-06 10:11:12'"])).toEqual(['2020-05-01T00:00:00'])
    const start = String(Date.UTC(2020, 4, 1) * 1000)
    expect(await masked('TIMESTAMP', month, ["TIMESTAMP '2020-05-31 23:59:59.999999+00'"])).toEqual([start])
    const ten = { strategy: 'truncate', step: 10 }
    expect(await masked('INT64', ten, ['19', '-19', '20', 'CAST(NULL AS INT64)'])).toEqual(['10', '-10', '20', null])
    expect(await masked('NUMERIC', ten, ["NUMERIC '19.999999999'", "NUMERIC '-0.5'"])).toEqual(['10', '0'])
    expect(await masked('FLOAT64', ten, ['CAST(19.9 AS FLOAT64)'])).toEqual(['10.0'])
  })

  it('masks places in JSON and leaves what is missing or null', async () => {
    const values = [
      'JSON \'{"card":"4111222233334444","plan":"pro"}\'',
      'JSON \'{"plan":"free"}\'',
      'JSON \'{"card":null}\'',
      'CAST(NULL AS JSON)',
    ]
    const at = async (strategy: unknown) => (await masked('JSON', strategy, values, 'x.$.card')).map(parsed)
    const rest = [{ plan: 'free' }, { card: null }, null]
    expect(await at('redact')).toEqual([{ card: '[redacted]', plan: 'pro' }, ...rest])
    expect(await at('null')).toEqual([{ card: null, plan: 'pro' }, ...rest])
    expect(await at('partial')).toEqual([{ card: '************4444', plan: 'pro' }, ...rest])
    expect(await at('hash')).toEqual([{ card: hex('4111222233334444'), plan: 'pro' }, ...rest])
  })

  it('masks within nested values, in order', async () => {
    const type = 'ARRAY<STRUCT<k INT64, s STRUCT<v ARRAY<STRING>, n STRING>>>'
    const value =
      "[STRUCT(1 AS k, STRUCT(['a', 'b'] AS v, 'x' AS n) AS s), STRUCT(2 AS k, STRUCT(['c'] AS v, 'y' AS n) AS s)]"
    expect(await masked(type, 'redact', [value], 'x.s.v')).toEqual([
      [
        { k: '1', s: { v: ['[redacted]', '[redacted]'], n: 'x' } },
        { k: '2', s: { v: ['[redacted]'], n: 'y' } },
      ],
    ])
    expect(await masked('ARRAY<STRING>', 'hash', ["['b', 'a']", 'CAST([] AS ARRAY<STRING>)'])).toEqual([
      [hex('b'), hex('a')],
      [],
    ])
    const struct = 'STRUCT<a STRING, b INT64>'
    const structs = [
      "STRUCT('ada' AS a, 1 AS b)",
      'STRUCT(CAST(NULL AS STRING) AS a, 2 AS b)',
      `CAST(NULL AS ${struct})`,
    ]
    expect(await masked(struct, 'redact', structs, 'x.a')).toEqual([
      { a: '[redacted]', b: '1' },
      { a: null, b: '2' },
      null,
    ])
  })
})

describe('the shop’s customers', () => {
  it('read as they are, but for the masks, row by row', async () => {
    const table = { ...customers, path: { ...customers.path, project: 'sluice-sandbox' } }
    const sql = wrap(table, {
      'shop.customers.email': 'hash',
      'shop.customers.ssn': 'redact',
      'shop.customers.phone': 'partial',
      'shop.customers.birth_date': 'year',
      'shop.customers.address.street': 'redact',
      'shop.customers.contacts.value': 'redact',
      'shop.customers.metadata.$.card': 'redact',
    })
    const raw = await warehouse.rows('SELECT * FROM shop.customers ORDER BY id')
    const found = await run(`SELECT * FROM (${sql}) AS customers ORDER BY id`)
    expect(raw.length).toBe(2000)
    expect(found.map(comparable)).toEqual(raw.map(expectedCustomer).map(comparable))
  })
})

const parsed = (value: unknown): unknown => (typeof value === 'string' ? JSON.parse(value) : value)

/** JSON texts may differ in spaces and in the order of members. */
function comparable(row: readonly unknown[]): readonly unknown[] {
  return row.map((value, at) => (customers.columns[at]?.name === 'metadata' ? parsed(value) : value))
}

function expectedCustomer(row: readonly unknown[]): readonly unknown[] {
  const text = (value: unknown, change: (it: string) => string): unknown =>
    typeof value === 'string' ? change(value) : value
  const redacted = (value: unknown): unknown => text(value, () => '[redacted]')
  return row.map((value, at) => {
    switch (customers.columns[at]?.name) {
      case 'email':
        return text(value, hex)
      case 'ssn':
        return redacted(value)
      case 'phone':
        return text(value, (it) => partly(it, 0, 4))
      case 'birth_date':
        return text(value, (it) => `${it.slice(0, 4)}-01-01`)
      case 'address': {
        const address = value as { street: unknown } | null
        return address && { ...address, street: redacted(address.street) }
      }
      case 'contacts':
        return (value as { value: unknown }[]).map((contact) => ({ ...contact, value: redacted(contact.value) }))
      case 'metadata': {
        const metadata = parsed(value) as { card?: string } | null
        return JSON.stringify(metadata?.card === undefined ? metadata : { ...metadata, card: '[redacted]' })
      }
      default:
        return value
    }
  })
}
