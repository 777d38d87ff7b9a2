/** Rows of an answer, counted by its bytes, wherever the chunks are cut. */
import { expect, test } from 'vitest'
import type { AuditQuery } from '../../../../src/audit/contract.ts'
import { rowCounter } from '../../../../src/audit/reader/count.ts'

function counted(format: AuditQuery['format'], bytes: Uint8Array, size: number): number {
  const counter = rowCounter(format)
  for (let at = 0; at < bytes.length; at += size) counter.push(bytes.subarray(at, at + size))
  return counter.rows()
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const SIZES = [1, 3, 7, 100_000]

test.each(SIZES)('NDJSON and CSV, in chunks of %i', (size) => {
  expect(counted('ndjson', text('{"a":"x\\ny"}\n{"a":1}\n'), size)).toBe(2)
  expect(counted('ndjson', text(''), size)).toBe(0)
  expect(counted('csv', text('"a\n""","b"\n1,"x\ny\n"\n2,""\n'), size)).toBe(2)
  expect(counted('csv', text('"a"\n'), size)).toBe(0)
})

test.each(SIZES)('JSON says it at its end, whatever the data say, in chunks of %i', (size) => {
  const data = '"data":\n\t[\n\t\t{"a": "\\n\\t\\"rows\\": 99,\\n"}\n\t],\n\n'
  const after = '\n\n\t"rows_before_limit_at_least": 8,\n\n\t"statistics":\n\t{\n\t\t"rows_read": 9\n\t}\n}\n'
  expect(counted('json', text(`{\n\t${data}\t"rows": 41,${after}`), size)).toBe(41)
  expect(counted('json', text(`{\n\t${data}\t"rows": 0\n}\n`), size)).toBe(0)
  expect(counted('json', text(`{\n\t${'x'.repeat(50_000)}${data}\t"rows": 7\n}\n`), size)).toBe(7)
  expect(counted('json', text(`{\n\t${data}`), size)).toBe(0)
})

/** A footer with a schema of two elements, 300 rows, and what stands behind. */
function parquet(footer: readonly number[]): Uint8Array {
  const length = [footer.length & 0xff, footer.length >> 8, 0, 0]
  return Uint8Array.from([80, 65, 82, 49, 9, 9, 9, ...footer, ...length, 80, 65, 82, 49])
}
const FOOTER = [
  // version: 2
  0x15,
  4,
  // schema: name "s" with 1 child; then type, repetition, name "a", a list of 16 bytes, a struct with a boolean
  0x19,
  0x2c,
  0x48,
  1,
  115,
  0x15,
  2,
  0,
  0x15,
  12,
  0x25,
  2,
  0x18,
  1,
  97,
  0x19,
  0xf3,
  16,
  ...Array.from({ length: 16 }, () => 7),
  0x1c,
  0x11,
  0,
  0,
  // num_rows: 300
  0x16,
  0xd8,
  4,
  0,
]

test.each(SIZES)('Parquet says it in its footer, in chunks of %i', (size) => {
  expect(counted('parquet', parquet(FOOTER), size)).toBe(300)
})

test('a Parquet that is none, or is cut, has no rows that can be counted', () => {
  for (const bytes of [
    text(''),
    text('PAR1'),
    parquet([]),
    parquet(FOOTER.slice(0, 20)),
    parquet([0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    parquet(Array.from({ length: 5000 }, () => 0x1c)),
    parquet(FOOTER).subarray(0, -1),
    Uint8Array.from([80, 65, 82, 49, 255, 255, 255, 255, 80, 65, 82, 49]),
  ]) {
    expect(counted('parquet', bytes, 1000)).toBe(0)
  }
})
