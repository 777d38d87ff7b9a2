import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Page } from '../../../../src/connection/bigquery/page.ts'
import { rowNames } from '../../../../src/connection/bigquery/schema.ts'
import { RowReader, shapesOf } from '../../../../src/connection/bigquery/transcode.ts'
import type { SqlField, SqlType } from '../../../../src/exchange.ts'
import { Failure } from '../../../../src/failure.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** The lines that the reader makes of rows as BigQuery sends them. */
function lines(columns: readonly SqlField[], rows: string, limit = 1 << 20): string[] {
  const reader = new RowReader(encode(rows), 0, shapesOf(rowNames(columns)), { bytes: new Uint8Array() })
  const found: string[] = []
  for (let batch = reader.read(limit); batch !== undefined; batch = reader.read(limit)) {
    const text = new TextDecoder().decode(batch.bytes)
    const some = text.split('\n')
    expect(some.pop()).toBe('')
    expect(some).toHaveLength(batch.rowCount)
    found.push(...some)
  }
  expect(reader.end).toBe(encode(rows).length)
  return found
}

function one(type: SqlType, value: unknown): string {
  return lines([{ name: 'a', type }], JSON.stringify([{ f: [{ v: value }] }])).join()
}

describe('the encoding of a value', () => {
  it.each([
    ['INT64', '9223372036854775807', '["9223372036854775807"]'],
    ['NUMERIC', '-0.000000001', '["-0.000000001"]'],
    ['BIGNUMERIC', '1.10', '["1.10"]'],
    ['FLOAT64', '1.5', '[1.5]'],
    ['FLOAT64', '1.0E10', '[1.0E10]'],
    ['FLOAT64', '-0.0', '[-0.0]'],
    ['FLOAT64', '.5', '[0.5]'],
    ['FLOAT64', '5.', '[5]'],
    ['FLOAT64', '+1e3', '[1000]'],
    ['FLOAT64', '007', '[7]'],
    ['FLOAT64', 'NaN', '["NaN"]'],
    ['FLOAT64', 'Infinity', '["Infinity"]'],
    ['FLOAT64', '-inf', '["-Infinity"]'],
    ['BOOL', 'true', '[true]'],
    ['BOOL', 'false', '[false]'],
    ['STRING', 'a"b\\c\n\u0001ü😀', '["a\\"b\\\\c\\n\\u0001ü😀"]'],
    ['BYTES', '3q2+7w==', '["3q2+7w=="]'],
    ['JSON', '{"n": 12345678901234567890}', '["{\\"n\\": 12345678901234567890}"]'],
    ['DATE', '2026-01-31', '["2026-01-31"]'],
    ['TIMESTAMP', '1767323045123456', '["2026-01-02T03:04:05.123456Z"]'],
    ['TIMESTAMP', '0', '["1970-01-01T00:00:00.000000Z"]'],
    ['TIMESTAMP', '-1', '["1969-12-31T23:59:59.999999Z"]'],
    ['TIMESTAMP', '-1000000', '["1969-12-31T23:59:59.000000Z"]'],
    ['TIMESTAMP', '-62135596800000000', '["0001-01-01T00:00:00.000000Z"]'],
    ['TIMESTAMP', '253402300799999999', '["9999-12-31T23:59:59.999999Z"]'],
  ] as const)('of %s %s', (kind, value, line) => expect(one({ kind }, value)).toBe(line))

  it('of a RANGE is its text, with timestamps written as timestamps', () => {
    expect(one({ kind: 'RANGE', of: { kind: 'DATE' } }, '[2026-01-01, UNBOUNDED)')).toBe('["[2026-01-01, UNBOUNDED)"]')
    expect(one({ kind: 'RANGE', of: { kind: 'TIMESTAMP' } }, '[UNBOUNDED, 1767323045123456)')).toBe(
      '["[UNBOUNDED, 2026-01-02T03:04:05.123456Z)"]',
    )
  })

  it('keeps every field of a struct, anonymous and repeated ones under names of their own', () => {
    const type: SqlType = {
      kind: 'STRUCT',
      fields: [
        { name: '', type: { kind: 'INT64' } },
        { name: 'a', type: { kind: 'BOOL' } },
        { name: 'A', type: { kind: 'STRING' } },
        { name: 'a_3', type: { kind: 'STRING' } },
      ],
    }
    const value = { f: [{ v: '1' }, { v: 'true' }, { v: 'x' }, { v: null }] }
    expect(one(type, value)).toBe('[{"_1":"1","a":true,"A_3_":"x","a_3":null}]')
  })

  it('writes empty arrays and NULL', () => {
    expect(one({ kind: 'ARRAY', of: { kind: 'INT64' } }, [])).toBe('[[]]')
    expect(one({ kind: 'ARRAY', of: { kind: 'INT64' } }, null)).toBe('[null]')
  })
})

describe('what does not fit the schema', () => {
  const columns: SqlField[] = [{ name: 'a', type: { kind: 'INT64' } }]
  it.each([
    ['[{"f":[{"v":"1"},{"v":"2"}]}]', 'a cell too many'],
    ['[{"f":[]}]', 'a cell too few'],
    ['[{"f":[{"v":1}]}]', 'a number that is no string'],
    ['[{"f":[{"v":"x"}]}]', 'a word for a number'],
    ['[{"f":[{"v":""}]}]', 'nothing for a number'],
    ['[{"f":[{"v":{"f":[]}}]}]', 'a struct for a number'],
    ['[{"f":[{"w":"1"}]}]', 'another key'],
    ['[{"f":[{"v":"1"', 'the end of the page'],
    ['[{"f":[{"v":"1"}]} {"f":[{"v":"1"}]}]', 'no comma'],
    ['[{"f":[{"v":nul}]}]', 'half a null'],
  ])('%s is refused: %s', (rows) => {
    expect(() => lines(columns, rows)).toThrow(expect.objectContaining({ code: 'upstream-failed' }))
  })

  it.each([
    [{ kind: 'STRING' }, '"a\nb"'],
    [{ kind: 'STRING' }, '"a\\x"'],
    [{ kind: 'STRING' }, '"\\u12g4"'],
    [{ kind: 'BOOL' }, '"maybe"'],
    [{ kind: 'FLOAT64' }, '"1,5"'],
    [{ kind: 'TIMESTAMP' }, '"253402300800000000"'],
    [{ kind: 'TIMESTAMP' }, '"1.7E9"'],
    [{ kind: 'TIMESTAMP' }, '"-"'],
    [{ kind: 'RANGE', of: { kind: 'TIMESTAMP' } }, '"[\u0001, ü)"'],
    [{ kind: 'RANGE', of: { kind: 'TIMESTAMP' } }, '"2026"'],
  ] as const)('%s %s is refused', (type, value) => {
    expect(() => lines([{ name: 'a', type }], `[{"f":[{"v":${value}}]}]`)).toThrow(
      expect.objectContaining({ code: 'upstream-failed' }),
    )
  })
})

// ── against a slow reference ─────────────────────────────────────────────────────────────────────────────────────

/** A type, what BigQuery sends for a value of it, and what we make of that, all slowly. */
interface Sample {
  readonly type: SqlType
  readonly wire: fc.Arbitrary<unknown>
}

const INSTANT = fc.bigInt(-62_135_596_800_000_000n, 253_402_300_799_999_999n)

const scalars: Sample[] = [
  { type: { kind: 'INT64' }, wire: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String) },
  { type: { kind: 'STRING' }, wire: fc.string({ unit: 'binary', maxLength: 30 }) },
  { type: { kind: 'JSON' }, wire: fc.json() },
  { type: { kind: 'BOOL' }, wire: fc.boolean().map(String) },
  { type: { kind: 'FLOAT64' }, wire: fc.double().map(String) },
  { type: { kind: 'TIMESTAMP' }, wire: INSTANT.map(String) },
]

const sample: fc.Arbitrary<Sample> = fc.letrec<{ one: Sample; struct: Sample; array: Sample; scalar: Sample }>(
  (tie) => ({
    scalar: fc.constantFrom(...scalars).map(({ type, wire }) => ({ type, wire: fc.option(wire, { freq: 5 }) })),
    struct: fc
      .array(fc.tuple(fc.string({ maxLength: 5 }), tie('one')), { minLength: 1, maxLength: 4 })
      .map((fields) => ({
        type: { kind: 'STRUCT', fields: fields.map(([name, { type }]) => ({ name, type })) } as SqlType,
        wire: fc.option(
          fc.tuple(...fields.map(([, { wire }]) => wire)).map((values) => ({ f: values.map((v) => ({ v })) })),
          { freq: 5 },
        ),
      })),
    array: fc.oneof(tie('struct'), tie('scalar')).map(({ type, wire }) => ({
      type: { kind: 'ARRAY', of: type } as SqlType,
      wire: fc.array(
        wire.map((v) => ({ v })),
        { maxLength: 4 },
      ),
    })),
    one: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('scalar'), tie('struct'), tie('array')),
  }),
).one

function slow(type: SqlType, wire: unknown): unknown {
  if (wire === null) return null
  switch (type.kind) {
    case 'ARRAY':
      return (wire as { v: unknown }[]).map(({ v }) => slow(type.of, v))
    case 'STRUCT':
      return Object.fromEntries(
        type.fields.map((field, index) => [
          field.name,
          slow(field.type, (wire as { f: { v: unknown }[] }).f[index]?.v),
        ]),
      )
    case 'BOOL':
      return wire === 'true'
    case 'FLOAT64':
      return Number.isFinite(Number(wire)) ? Number(wire) : wire
    case 'TIMESTAMP': {
      const micros = BigInt(wire as string)
      const millis = micros / 1000n - (micros % 1000n < 0n ? 1n : 0n)
      const rest = String(micros - millis * 1000n).padStart(3, '0')
      return new Date(Number(millis)).toISOString().replace('Z', `${rest}Z`)
    }
    default:
      return wire
  }
}

/** The lengths of the rows that come out; none if the page is refused, which must be with our own failure. */
function attempt(bytes: Uint8Array, fields: readonly SqlField[]): number[] {
  const lengths: number[] = []
  try {
    const reader = new RowReader(bytes, 0, shapesOf(fields), { bytes: new Uint8Array() })
    for (let batch = reader.read(1 << 20); batch !== undefined; batch = reader.read(1 << 20)) {
      for (const line of new TextDecoder('utf-8', { fatal: true }).decode(batch.bytes).trimEnd().split('\n')) {
        lengths.push((JSON.parse(line) as unknown[]).length)
      }
    }
  } catch (error) {
    if (!(error instanceof Failure && error.code === 'upstream-failed')) throw error
  }
  return lengths
}

describe('any page', () => {
  const page = fc.array(sample, { minLength: 1, maxLength: 5 }).chain((columns) =>
    fc.record({
      fields: fc.constant(rowNames(columns.map(({ type }, index) => ({ name: `c${index}`, type })))),
      rows: fc.array(fc.tuple(...columns.map(({ wire }) => wire)), { maxLength: 20 }),
      limit: fc.constantFrom(1, 100, 1 << 20),
      indent: fc.constantFrom(0, 1),
    }),
  )

  it('comes out as a slow reader of it would say', () => {
    fc.assert(
      fc.property(page, ({ fields, rows, limit, indent }) => {
        const wire = JSON.stringify(
          rows.map((row) => ({ f: row.map((v) => ({ v })) })),
          null,
          indent,
        )
        const expected = rows.map((row) => fields.map(({ type }, index) => slow(type, row[index])))
        expect(lines(fields, wire, limit).map((line) => JSON.parse(line) as unknown)).toEqual(expected)
      }),
      { numRuns: 300 },
    )
  })

  it('that is changed in one byte is refused, or is still rows of the same shape', () => {
    fc.assert(
      fc.property(page, fc.nat(), fc.integer({ min: 0, max: 255 }), ({ fields, rows }, at, byte) => {
        const bytes = encode(JSON.stringify(rows.map((row) => ({ f: row.map((v) => ({ v })) }))))
        bytes[at % bytes.length] = byte
        const outcome = attempt(bytes, fields)
        expect(outcome.every((length) => length === fields.length)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

describe('text', () => {
  it('passes exactly when it is UTF-8', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 2 }).map((text) => Array.from(encode(text))),
      fc.array(fc.integer({ min: 0x80, max: 0xff }), { maxLength: 4 }),
    )
    const isUtf8 = (bytes: Uint8Array): boolean => {
      try {
        new TextDecoder('utf-8', { fatal: true }).decode(bytes)
        return true
      } catch {
        return false
      }
    }
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 3 }), (pieces) => {
        const inside = pieces.flat().filter((byte) => byte >= 0x20 && byte !== 0x22 && byte !== 0x5c)
        const bytes = Uint8Array.from([...encode('[{"f":[{"v":"'), ...inside, ...encode('"}]}]')])
        const passed = attempt(bytes, [{ name: 'a', type: { kind: 'STRING' } }]).length === 1
        expect(passed).toBe(isUtf8(Uint8Array.from(inside)))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a page around its rows', () => {
  it('says what stands before them and behind them', () => {
    const text = '{"kind":"x", "rows" : [{"f":[{"v":"]}"}]}], "pageToken":"t\\"", "totalRows":"1"}'
    const page = new Page(encode(text), ['pageToken'])
    expect({ ...page.envelope }).toEqual({ kind: 'x', pageToken: 't"', totalRows: '1' })
    expect(text.slice(page.rowsAt)).toMatch(/^\[\{"f"/)
  })

  it('is read only as far as the rows where nothing more is needed, and finished behind them', () => {
    const text = '{"pageToken":"t","rows":[],"cacheHit":true}'
    const page = new Page(encode(text), ['pageToken'])
    expect({ ...page.envelope }).toEqual({ pageToken: 't' })
    page.finish(text.indexOf(',"cacheHit'))
    expect({ ...page.envelope }).toEqual({ pageToken: 't', cacheHit: true })
  })

  it.each([
    '',
    '[]',
    '{',
    '{"a":1',
    '{"a" 1}',
    '{"a":1}x',
    '{"rows":[],"rows":[]}',
    '{"a":tru}',
    '{"rows":[}',
    '<html>',
  ])('that is %j is refused', (text) => {
    expect(() => new Page(encode(text), ['pageToken'])).toThrow(expect.objectContaining({ code: 'upstream-failed' }))
  })
})
