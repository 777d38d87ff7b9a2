import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toWire } from '../../../src/connection/bigquery/wire.ts'
import { typeText } from '../../../src/exchange.ts'
import { parseParameters } from '../../../src/statement/parameters.ts'

/** Type and wire text of one value. */
function one(json: unknown): unknown[] {
  return parseParameters([json]).map(({ type, value }) => [typeText(type), value])[0] ?? []
}

function refusal(json: unknown): unknown {
  try {
    parseParameters(json)
  } catch (error) {
    return { code: (error as { code: string }).code, where: (error as { detail: { where: string } }).detail.where }
  }
  return 'not refused'
}

describe('plain values', () => {
  it.each([
    ['text', ['STRING', 'text']],
    [5, ['INT64', '5']],
    [-0, ['INT64', '0']],
    [9007199254740991, ['INT64', '9007199254740991']],
    [1.5, ['FLOAT64', '1.5']],
    [true, ['BOOL', 'true']],
    [
      ['a', 'b'],
      ['ARRAY<STRING>', ['a', 'b']],
    ],
    [
      [1, 2.5],
      ['ARRAY<FLOAT64>', ['1', '2.5']],
    ],
  ])('%j is %j', (json, expected) => expect(one(json)).toEqual(expected))

  it.each([
    [null, 'params[0]'],
    [9007199254740992, 'params[0]'],
    [[], 'params[0]'],
    [[1, 'a'], 'params[0]'],
    [[1, null], 'params[0][1]'],
    [[[1]], 'params[0][0]'],
    [{ a: 1 }, 'params[0]'],
    [{ type: 'INT64' }, 'params[0]'],
    [{ type: 'INT64', value: 1, more: 1 }, 'params[0]'],
  ])('%j needs a type', (json, where) => {
    expect(refusal([json])).toEqual({ code: 'parameter-refused', where })
  })
})

describe('values with a type', () => {
  it.each([
    ['INT64', '-9223372036854775808', '-9223372036854775808'],
    ['int64', 7, '7'],
    ['NUMERIC', '1.10', '1.10'],
    ['NUMERIC', '-00012.5', '-12.5'],
    ['NUMERIC', '99999999999999999999999999999.999999999', '99999999999999999999999999999.999999999'],
    ['BIGNUMERIC', `${'9'.repeat(38)}.${'9'.repeat(38)}`, `${'9'.repeat(38)}.${'9'.repeat(38)}`],
    ['FLOAT64', 'nan', 'NaN'],
    ['FLOAT64', '-inf', '-Infinity'],
    ['BOOL', 'false', 'false'],
    ['BYTES', '3q2+7w==', '3q2+7w=='],
    ['JSON', '{"a": 1}', '{"a": 1}'],
    ['DATE', '2024-02-29', '2024-02-29'],
    ['TIME', '23:59:59.999999', '23:59:59.999999'],
    ['DATETIME', '2026-01-31 01:02:03', '2026-01-31T01:02:03'],
    ['TIMESTAMP', '2026-01-31T01:02:03.5Z', '2026-01-31T01:02:03.5Z'],
    ['TIMESTAMP', '2026-01-31 01:02:03', '2026-01-31T01:02:03Z'],
    ['TIMESTAMP', '2026-01-31 01:02:03+02', '2026-01-31T01:02:03+02:00'],
    ['INTERVAL', '1-2 3 4:5:6.5', '1-2 3 4:5:6.5'],
    ['GEOGRAPHY', 'POINT(1 2)', 'POINT(1 2)'],
    ['RANGE<DATE>', '[2026-01-01, NULL)', '[2026-01-01, UNBOUNDED)'],
    ['RANGE<DATE>', { start: null, end: '2026-01-01' }, '[UNBOUNDED, 2026-01-01)'],
    ['STRING', null, null],
    ['ARRAY<INT64>', [], []],
    ['ARRAY<STRUCT<a INT64, b STRING>>', [{ b: 'x', a: 1 }, null], [['1', 'x'], null]],
  ])('%s of %j is sent as %j', (type, value, wire) => {
    expect(parseParameters([{ type, value }])[0]?.value).toEqual(wire)
  })

  it.each([
    ['INT64', '9223372036854775808'],
    ['INT64', 1.5],
    ['FLOAT64', '1e400'],
    ['NUMERIC', 1.1],
    ['NUMERIC', '1.1234567890'],
    ['NUMERIC', '100000000000000000000000000000'],
    ['BIGNUMERIC', `6${'0'.repeat(38)}`],
    ['BOOL', 1],
    ['BYTES', 'abc'],
    ['JSON', '{'],
    ['JSON', { a: 1 }],
    ['DATE', '2025-02-29'],
    ['DATE', '0000-01-01'],
    ['TIME', '24:00:00'],
    ['TIMESTAMP', '2026-01-31T01:02:03 Europe/Berlin'],
    ['INTERVAL', '3 days'],
    ['RANGE<DATE>', '(2026-01-01, 2026-01-02]'],
    ['STRING', '\ud800'],
    ['ARRAY<INT64>', 1],
    ['STRUCT<a INT64>', { a: 1, b: 2 }],
    ['STRUCT<a INT64>', {}],
    ['STRUCT<a INT64>', [1]],
  ])('%s of %j is refused at its place, without the value', (type, value) => {
    expect(refusal({ id: { type, value } })).toEqual({ code: 'parameter-refused', where: 'params.id' })
    expect(() => parseParameters({ id: { type, value } })).toThrow(/^[^0-9]*(?:64)?[^0-9]*$/)
  })

  it.each([
    'INT65',
    'ARRAY<ARRAY<INT64>>',
    'ARRAY<INT64',
    'INT64>',
    'RANGE<INT64>',
    'STRUCT<INT64>',
    'STRUCT<a INT64, A STRING>',
    'STRUCT<>',
    'NUMERIC(10, 2)',
    '',
    'ARRAY<'.repeat(3000),
    'STRUCT<a '.repeat(20) + 'INT64' + '>'.repeat(20),
  ])('the type %.40s is refused', (type) => {
    expect(refusal([{ type, value: null }])).toEqual({ code: 'parameter-refused', where: 'params[0].type' })
  })
})

describe('names', () => {
  it('are kept as written, once each', () => {
    expect(parseParameters({ Id: 1, _b2: 'x' })).toEqual([
      { name: 'Id', type: { kind: 'INT64' }, value: '1' },
      { name: '_b2', type: { kind: 'STRING' }, value: 'x' },
    ])
    expect(refusal({ id: 1, ID: 2 })).toEqual({ code: 'parameter-refused', where: 'params.ID' })
  })

  it.each(['1a', 'a-b', '', 'ü', 'a'.repeat(129), 'İ'])('%j is none', (name) => {
    expect(refusal({ [name]: 1 })).toEqual({ code: 'parameter-refused', where: 'params' })
  })

  it('that start with `sluice_` are ours', () => {
    expect(refusal({ Sluice_key: 1 })).toEqual({ code: 'parameter-refused', where: 'params.Sluice_key' })
  })
})

describe('bounds', () => {
  it.each([
    Array.from({ length: 1001 }, () => 1),
    [Array.from({ length: 100_000 }, () => 1)],
    ['x'.repeat(5_000_000)],
    'text',
    null,
    5,
  ])('hold for params %#', (json) => {
    expect(refusal(json)).toEqual({ code: 'parameter-refused', where: 'params' })
  })

  it('hold for anything that JSON can say: parameters or a refusal', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        expect(['parameter-refused', undefined]).toContain((refusal(json) as { code?: string }).code)
      }),
    )
  })
})

describe('on the wire', () => {
  it('a parameter is what the REST API takes', () => {
    const parameters = parseParameters([
      { type: 'ARRAY<STRUCT<a INT64, b STRING>>', value: [{ a: 1, b: null }] },
      { type: 'RANGE<DATE>', value: '[2026-01-01, UNBOUNDED)' },
    ])
    expect(toWire(parameters)).toEqual({
      parameterMode: 'POSITIONAL',
      queryParameters: [
        {
          parameterType: {
            type: 'ARRAY',
            arrayType: {
              type: 'STRUCT',
              structTypes: [
                { name: 'a', type: { type: 'INT64' } },
                { name: 'b', type: { type: 'STRING' } },
              ],
            },
          },
          parameterValue: { arrayValues: [{ structValues: { a: { value: '1' }, b: {} } }] },
        },
        {
          parameterType: { type: 'RANGE', rangeElementType: { type: 'DATE' } },
          parameterValue: { rangeValue: { start: { value: '2026-01-01' } } },
        },
      ],
    })
    expect(toWire([])).toEqual({})
  })
})
