/** Every GoogleSQL type through the front door: out of a table as JSON and NDJSON, and in as a parameter. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway.stop())

const COLUMNS = [
  ['id', 'INT64'],
  ['int64', 'INT64'],
  ['numeric', 'NUMERIC'],
  ['bignumeric', 'BIGNUMERIC'],
  ['float64', 'FLOAT64'],
  ['bool', 'BOOL'],
  ['string', 'STRING'],
  ['bytes', 'BYTES'],
  ['date', 'DATE'],
  ['time', 'TIME'],
  ['datetime', 'DATETIME'],
  ['timestamp', 'TIMESTAMP'],
  ['interval', 'INTERVAL'],
  ['json', 'JSON'],
  ['geography', 'GEOGRAPHY'],
  ['ints', 'ARRAY<INT64>'],
  ['strings', 'ARRAY<STRING>'],
  ['struct', 'STRUCT<a INT64, b STRING, c STRUCT<d DATE, e ARRAY<NUMERIC>>>'],
  ['structs', 'ARRAY<STRUCT<k STRING, v FLOAT64>>'],
].map(([name, type]) => ({ name, type }))

/** `shop.types` as it was seeded, in the order of `COLUMNS`. */
const ROWS = [
  [
    '1',
    '9223372036854775807',
    '99999999999999999999999999999.999999999',
    '123456789012345678.12345678901234567891',
    1.5,
    true,
    'plain',
    'AP8Q',
    '2026-02-28',
    '23:59:59.999999',
    '2026-02-28T23:59:59.999999',
    '2026-02-28T23:59:59.999999Z',
    '1-2 3 4:5:6.789000',
    '{"a":[1,2,{"b":null}],"n":12345678901234567890}',
    'POINT(1 2)',
    ['1', '9007199254740993'],
    ['a', 'b'],
    { a: '1', b: 'x', c: { d: '2026-01-01', e: ['1.5', '2.25'] } },
    [
      { k: 'one', v: 1 },
      { k: 'two', v: 2.5 },
    ],
  ],
  [
    '2',
    '-9223372036854775808',
    '-0.000000001',
    '-0.00000000000000000001',
    'NaN',
    false,
    'quote " backslash \\ newline \n tab \t é 漢字 🙂',
    '',
    '0001-01-01',
    '00:00:00',
    '0001-01-01T00:00:00',
    '1970-01-01T00:00:00.000000Z',
    '-1-0 0 0:0:0',
    'null',
    'POLYGON((0 0,1 0,1 1,0 0))',
    [],
    [],
    { a: null, b: null, c: null },
    [],
  ],
  [
    '3',
    '9007199254740993',
    '0',
    '0',
    'Infinity',
    null,
    '',
    'aGVsbG8=',
    '9999-12-31',
    '12:00:00',
    '9999-12-31T23:59:59',
    '9999-12-31T23:59:59.000000Z',
    '0-0 0 0:0:0',
    '"text"',
    null,
    ['0'],
    [''],
    { a: '-1', b: '', c: { d: null, e: [] } },
    [{ k: null, v: null }],
  ],
  [
    '4',
    '0',
    '12345.6789',
    '0.5',
    '-Infinity',
    true,
    '<script>&amp;</script>',
    'w6k=',
    '2024-02-29',
    '01:02:03.500000',
    '2024-02-29T01:02:03.500000',
    '1969-12-31T23:59:59.500000Z',
    '0-0 -3 -1:0:0',
    '[1.10,true,""]',
    'LINESTRING(0 0,1 1)',
    ['-1', '1'],
    ['é'],
    { a: '2', b: 'y', c: { d: '2024-02-29', e: ['0'] } },
    [{ k: 'nan', v: 'NaN' }],
  ],
  // NULL everywhere; BigQuery tells a NULL array and an empty one apart nowhere.
  ['5', ...Array<null>(14).fill(null), [], [], null, []],
]

describe('a table with a column of each type', () => {
  const sql = 'SELECT * FROM shop.types ORDER BY id'

  it('leaves as JSON without a digit lost', async () => {
    const { status, body } = await gateway.query('agent', sql)
    expect({ status, columns: body.columns, rows: body.rows }).toEqual({ status: 200, columns: COLUMNS, rows: ROWS })
    expect(body).toMatchObject({ rowCount: 5, ending: 'whole' })
  })

  it('leaves as NDJSON with the same bytes for the same values', async () => {
    const answer = await gateway.post(
      '/v1/query',
      'agent',
      { connection: 'warehouse', sql },
      { Accept: 'application/x-ndjson' },
    )
    const lines = (await answer.text()).trimEnd().split('\n')
    expect(JSON.parse(lines[0]!).columns).toEqual(COLUMNS)
    expect(lines.slice(1, -1).map((line) => JSON.parse(line))).toEqual(ROWS)
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ rowCount: 5, ending: 'whole' })
    expect(lines[1]).toContain('[{"k":"one","v":1.0},{"k":"two","v":2.5}]')
  })
})

/** Type, value given, value that comes back; `undefined` where it is the same. */
const ECHOES: [type: string, value: unknown, back?: unknown][] = [
  ['BOOL', true],
  ['BOOL', 'false', false],
  ['INT64', '9223372036854775807'],
  ['INT64', '-9223372036854775808'],
  ['INT64', 7, '7'],
  ['NUMERIC', '99999999999999999999999999999.999999999'],
  ['NUMERIC', '-99999999999999999999999999999.999999999'],
  ['NUMERIC', '1.10', '1.1'],
  ['BIGNUMERIC', '123456789012345678.12345678901234567891'],
  ['BIGNUMERIC', '-0.00000000000000000001'],
  ['FLOAT64', 1.7976931348623157e308],
  ['FLOAT64', 5e-324],
  ['FLOAT64', 'NaN'],
  ['FLOAT64', '-Infinity'],
  ['STRING', 'quote " \' backslash \\ newline \n é 漢字 🙂 -- @p ?'],
  ['STRING', ''],
  ['BYTES', 'AP8Q'],
  ['BYTES', ''],
  ['DATE', '0001-01-01'],
  ['DATE', '9999-12-31'],
  ['TIME', '23:59:59.999999'],
  ['DATETIME', '9999-12-31T23:59:59.999999'],
  ['DATETIME', '2026-01-31 10:00:00', '2026-01-31T10:00:00'],
  ['TIMESTAMP', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
  ['TIMESTAMP', '9999-12-31 23:59:59.999999+00', '9999-12-31T23:59:59.999999Z'],
  ['TIMESTAMP', '2026-01-01T00:00:00+05:30', '2025-12-31T18:30:00.000000Z'],
  ['INTERVAL', '1-2 3 4:5:6.5', '1-2 3 4:5:6.500000'],
  ['INTERVAL', '-1-0 -3 -1:0:0', '-1-0 -3 -1:0:0'],
  ['JSON', '{"a":[1,{"n":12345678901234567890}]}'],
  ['GEOGRAPHY', 'POINT(1 2)'],
  ['ARRAY<INT64>', [1, '9007199254740993'], ['1', '9007199254740993']],
  ['ARRAY<STRING>', []],
  ['ARRAY<BYTES>', ['AP8Q', '']],
  ['ARRAY<NUMERIC>', ['-0.000000001']],
  ['ARRAY<TIMESTAMP>', ['2026-01-01T00:00:00Z'], ['2026-01-01T00:00:00.000000Z']],
  ['ARRAY<INTERVAL>', ['0-1 0 0:0:0']],
  ['STRUCT<a INT64, b STRING>', { a: '1', b: 'x' }],
  ['STRUCT<a INT64, b STRING>', { b: null, a: null }],
  [
    'STRUCT<a INT64, s STRUCT<t ARRAY<STRUCT<x DATE, y NUMERIC>>>>',
    {
      a: '1',
      s: {
        t: [
          { x: '2026-01-01', y: '1.5' },
          { x: null, y: null },
        ],
      },
    },
  ],
  [
    'ARRAY<STRUCT<k STRING, v FLOAT64>>',
    [
      { k: 'a', v: 1.5 },
      { k: null, v: 'NaN' },
    ],
  ],
  ['ARRAY<STRUCT<k STRING, v FLOAT64>>', []],
]
const NULLS = [...new Set(ECHOES.map(([type]) => type))].map((type): [string, unknown, unknown] => [
  type,
  null,
  type.startsWith('ARRAY') ? [] : null,
])

describe('a parameter of each type', () => {
  it.each([...ECHOES, ...NULLS].map((echo) => [echo[0], JSON.stringify(echo[1]), echo] as const))(
    '%s %s comes back as it went in, by name and by position',
    async (_, __, [type, value, back = value]) => {
      const named = await gateway.query('agent', 'SELECT @p AS p', { params: { p: { type, value } } })
      expect({ columns: named.body.columns, rows: named.body.rows, detail: named.body.detail }).toEqual({
        columns: [{ name: 'p', type }],
        rows: [[back]],
        detail: undefined,
      })
      const placed = await gateway.query('agent', 'SELECT ? AS p', { params: [{ type, value }] })
      expect(placed.body.rows).toEqual([[back]])
    },
  )

  it.each([
    ['x', 'STRING', 'x'],
    [5, 'INT64', '5'],
    [1.5, 'FLOAT64', 1.5],
    [true, 'BOOL', true],
    [[1, 2], 'ARRAY<INT64>', ['1', '2']],
    [[1, 2.5], 'ARRAY<FLOAT64>', [1, 2.5]],
    [['a'], 'ARRAY<STRING>', ['a']],
  ])('written plainly as %j is %s', async (value, type, back) => {
    const { body } = await gateway.query('agent', 'SELECT @p AS p', { params: { p: value } })
    expect([body.columns, body.rows]).toEqual([[{ name: 'p', type }], [[back]]])
  })

  it('filters as the value that it is', async () => {
    const { body } = await gateway.query(
      'agent',
      'SELECT id FROM shop.types WHERE numeric = @n AND bytes = @b AND timestamp < @t AND id IN UNNEST(@ids)',
      {
        params: {
          n: { type: 'NUMERIC', value: '-0.000000001' },
          b: { type: 'BYTES', value: '' },
          t: { type: 'TIMESTAMP', value: '1970-01-01T00:00:01Z' },
          ids: [1, 2, 3],
        },
      },
    )
    expect(body.rows).toEqual([['2']])
  })

  it('of RANGE goes out as BigQuery takes it; the sandbox has none and says so', async () => {
    const { status, body } = await gateway.query('agent', 'SELECT @p AS p', {
      params: { p: { type: 'RANGE<DATE>', value: '[2026-01-01, UNBOUNDED)' } },
    })
    expect([status, body.code, body.detail]).toEqual([
      400,
      'upstream-refused',
      'the warehouse refused the statement (`invalidQuery`): A parameter of type RANGE is not supported in the sandbox',
    ])
  })

  it('of BIGNUMERIC beyond what the sandbox holds is refused, not rounded', async () => {
    const value = '0.00000000000000000000000000000000000001'
    const { body } = await gateway.query('agent', 'SELECT @p AS p', { params: { p: { type: 'BIGNUMERIC', value } } })
    expect(body.detail).toContain('not supported in the sandbox')
  })
})

describe('a parameter that is wrong', () => {
  const integer = 'write an integer between -2^63 and 2^63 - 1'
  const numeric = 'write a decimal number as text, with at most 29 digits before the point and 9 behind'
  const struct = 'write a struct as `{"type": "STRUCT<a INT64>", "value": {"a": 1}}`'
  it.each<[unknown, string, string | undefined]>([
    [{ type: 'INT64', value: '9223372036854775808' }, 'this is no INT64', integer],
    [{ type: 'INT64', value: 1.5 }, 'this is no INT64', integer],
    [{ type: 'INT64', value: true }, 'this is no INT64', integer],
    [2 ** 53, 'this number is too large to be exact', 'write it as `{"type": "INT64", "value": "…"}`'],
    [{ type: 'NUMERIC', value: 1.1 }, 'this is no NUMERIC', numeric],
    [{ type: 'NUMERIC', value: '1.1234567891' }, 'this is no NUMERIC', numeric],
    [{ type: 'BOOL', value: 'yes' }, 'this is no BOOL', 'write true or false'],
    [{ type: 'BYTES', value: '???' }, 'this is no BYTES', 'write base64 with padding'],
    [{ type: 'DATE', value: '2026-02-30' }, 'this is no DATE', 'write a date such as `2026-01-31`'],
    [{ type: 'TIME', value: '24:00:00' }, 'this is no TIME', 'write a time such as `23:59:59.999999`'],
    [
      { type: 'TIMESTAMP', value: '2026-01-01T00:00:00+15:00' },
      'this is no TIMESTAMP',
      'write a time with its offset such as `2026-01-31T23:59:59Z`',
    ],
    [{ type: 'INTERVAL', value: 'P1Y' }, 'this is no INTERVAL', 'write an interval such as `1-2 3 4:5:6.5`'],
    [{ type: 'JSON', value: '{a:1}' }, 'this is no JSON', 'write JSON as text, such as `"{\\"a\\": 1}"`'],
    [{ type: 'JSON', value: { a: 1 } }, 'this is no JSON', 'write JSON as text, such as `"{\\"a\\": 1}"`'],
    [{ type: 'GEOGRAPHY', value: '' }, 'this is no GEOGRAPHY', 'write WKT or GeoJSON as text'],
    [{ type: 'ARRAY<INT64>', value: '1,2' }, 'the value of an ARRAY is an array', 'for example `["1", "2"]`'],
    [['a', 1], 'the elements are not of one type', 'write it as `{"type": "ARRAY<INT64>", "value": […]}`'],
    [[], 'an empty array has no type', 'write it as `{"type": "ARRAY<INT64>", "value": […]}`'],
    [null, 'null has no type', 'write it as `{"type": "STRING", "value": null}`'],
    [{ type: 'STRUCT<a INT64>', value: {} }, 'the field `a` is missing', 'give it, or give it as null'],
    [{ type: 'STRUCT<a INT64>', value: [1] }, 'the value of a STRUCT is an object', struct],
    [
      { a: 1 },
      'an object is a parameter with `type` and `value`, and nothing else',
      `write \`{"type": "INT64", "value": "5"}\`; ${struct}`,
    ],
    [
      { type: 'VARCHAR', value: 'x' },
      'this is no GoogleSQL type that a parameter may have',
      'for example `NUMERIC` or `ARRAY<STRING>`',
    ],
    [
      { type: 'NUMERIC(10, 2)', value: '1' },
      'the type of a parameter has no length or precision',
      'leave out the parentheses',
    ],
  ])('%j: %s', async (parameter, detail, fix) => {
    const { status, body } = await gateway.query('agent', 'SELECT @p AS p', { params: { p: parameter } })
    expect({ status, code: body.code, detail: body.detail, fix: body.fix }).toEqual({
      status: 400,
      code: 'parameter-refused',
      detail,
      fix,
    })
    expect(body.where).toMatch(/^params\.p/)
  })

  it('is refused where params is neither an object nor an array', async () => {
    const { status, body } = await gateway.query('agent', 'SELECT 1 AS a', { params: 'x' })
    expect([status, body.code, body.detail]).toEqual([
      400,
      'bad-request',
      '`params`: an object by name or an array by position',
    ])
  })

  it('is refused where the statement names one that is not given', async () => {
    const { status, body } = await gateway.query('agent', 'SELECT @p AS p', { params: { other: 1 } })
    expect([status, body.code, body.detail]).toEqual([400, 'statement-refused', 'the parameter `@p` is not given'])
  })

  it('of the wrong type for a masked table gets no words of the warehouse, and is told why', async () => {
    const { status, body } = await gateway.query('agent', 'SELECT id FROM shop.customers WHERE id = @p', {
      params: { p: 'x' },
    })
    expect([status, body.code, body.detail]).toEqual([
      400,
      'upstream-refused',
      'the warehouse refused the statement (`invalidQuery`)',
    ])
    expect(body.fix).toContain('may quote masked values')
  })
})
