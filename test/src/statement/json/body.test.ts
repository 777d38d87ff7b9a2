/** What stands before a document, and is none of it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concatenated } from '../../../../src/bytes.ts'
import { withoutMark, type Bytes } from '../../../../src/statement/json/body.ts'

const plain = (): Bytes => ({ push: (chunk) => chunk.slice(), end: () => new Uint8Array() })

/** What comes out of `bytes` cut at each of `cuts`. */
function through(bytes: readonly number[], cuts: readonly number[]): number[] {
  const way = withoutMark(plain())
  const edges = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  const pieces = [...edges, bytes.length].map((end, i) => Uint8Array.from(bytes.slice(i === 0 ? 0 : edges[i - 1], end)))
  return [...concatenated([...pieces.map((piece) => way.push(piece)), way.end()])]
}

test('a byte order mark at the beginning is left out, however it is cut; nothing else is', () => {
  const byte = fc.constantFrom(0xef, 0xbb, 0xbf, 0x7b, 0x7d)
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 8 }), fc.array(fc.nat(8), { maxLength: 4 }), (bytes, cuts) => {
      const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
      expect(through(bytes, cuts)).toEqual(hasMark ? bytes.slice(3) : bytes)
    }),
  )
})
