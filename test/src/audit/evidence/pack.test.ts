import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { packTar } from 'modern-tar'
import { expect, test } from 'vitest'
import { Cutter } from '../../../../src/audit/evidence/cutter.ts'
import { rootOfInclusion, wholeSubtrees } from '../../../../src/audit/evidence/layout.ts'
import { json, listed, packed, pathPart, text, type Member } from '../../../../src/audit/evidence/pack.ts'
import { checkPack } from '../../../../src/audit/evidence/unpack.ts'
import { rangeRoot, rootOf, type Sha256 } from '../../../../src/audit/proof/merkle.ts'
import { nodeHasher } from '../../../support/hasher.ts'

const sha256: Sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** A length as RowBinary has it, and as many bytes. */
function row(length: number, fill: number): Uint8Array {
  const bytes: number[] = []
  let rest = length
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80)
  return Uint8Array.from([...bytes, rest, ...Array.from({ length }, () => fill)])
}

test('rows come out as they went in, however the answer was cut into chunks', () => {
  const anyRow = fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 255 }))
  fc.assert(
    fc.property(fc.array(anyRow, { maxLength: 20 }), fc.integer({ min: 1, max: 300 }), (rows, size) => {
      const cutter = new Cutter(500)
      const answer = Buffer.concat(rows.map(([length, fill]) => row(length, fill)))
      const pieces: Uint8Array[] = []
      for (let at = 0; at < answer.length; at += size) {
        cutter.push(new Uint8Array(answer.subarray(at, at + size)))
        if (cutter.full) pieces.push(cutter.take())
      }
      expect(cutter.ended).toBe(true)
      pieces.push(cutter.take())
      const expected = rows.map(([length, fill]) => {
        const framed = Buffer.alloc(4 + length, fill)
        framed.writeUInt32LE(length)
        return framed
      })
      expect(Buffer.concat(pieces).equals(Buffer.concat(expected))).toBe(true)
    }),
  )
})

test('an answer that breaks off in a row is seen', () => {
  const cutter = new Cutter(500)
  cutter.push(row(100, 1).subarray(0, 50))
  expect([cutter.ended, cutter.empty]).toEqual([false, true])
  expect(() => new Cutter(1).push(new Uint8Array(12).fill(0xff))).toThrow('a record is longer than any can be')
})

test('leaves of the middle and the subtrees beside them lead to the root; nothing else does', async () => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat())
  await fc.assert(
    fc.asyncProperty(sizes, async ([size, a, b]) => {
      const leaves = Array.from({ length: size }, (_, i) => sha256(Uint8Array.of(0, i)))
      const from = a % size
      const to = from + 1 + (b % (size - from))
      const node = (level: number, index: number): Uint8Array =>
        rootOf(sha256, leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))
      const roots = async (start: number, end: number): Promise<string[]> => {
        const found = wholeSubtrees(start, end).map((it) => rangeRoot(sha256, node, it.start, it.end))
        return (await Promise.all(found)).map((hash) => Buffer.from(hash).toString('base64'))
      }
      const inclusion = { from, to, left: await roots(0, from), right: await roots(to, size) }
      const middle = leaves.slice(from, to)
      const root = rootOf(sha256, leaves)
      expect(rootOfInclusion(sha256, { size, inclusion }, middle)).toEqual(root)
      expect(rootOfInclusion(sha256, { size, inclusion }, middle.with(0, sha256(root)))).not.toEqual(root)
      expect(rootOfInclusion(sha256, { size, inclusion }, middle.slice(1))).toBeUndefined()
      expect(
        rootOfInclusion(sha256, { size, inclusion: { ...inclusion, left: inclusion.left.map(() => 'AAAA') } }, middle),
      ).toEqual(from === 0 ? root : undefined)
    }),
    { numRuns: 60 },
  )
})

async function* pack(change: (members: Member[]) => Member[] = (members) => members): AsyncGenerator<Member> {
  const content = [text('a.txt', 'one'), text('b/c.txt', 'two'), text('empty.ndjson', '')]
  const files = await Promise.all(content.map(listed))
  const manifest = { format: 'sluice-evidence', version: 1, from: 'a', to: 'b', verifiable: true, counts: {}, files }
  yield* change([...content, json('manifest.json', manifest)])
}

const read = (stream: ReadableStream<Uint8Array>) => checkPack(stream, nodeHasher, () => {})
const tar = (change?: (members: Member[]) => Member[]) => packed(pack(change), 0, AbortSignal.timeout(5000))

test('a pack is in order where every member is as the manifest says', async () => {
  const seen: string[] = []
  const found = await checkPack(tar(), nodeHasher, ({ path }) => seen.push(path))
  expect(seen).toEqual(['a.txt', 'b/c.txt', 'empty.ndjson', 'manifest.json'])
  expect(found.files.map(({ path, bytes }) => [path, bytes])).toEqual([
    ['a.txt', 3],
    ['b/c.txt', 3],
    ['empty.ndjson', 0],
  ])
})

test.each<readonly [string, (members: Member[]) => Member[], string]>([
  [
    'a member that was changed',
    (all) => all.with(0, text('a.txt', 'oNe')),
    'its members are not those of its manifest',
  ],
  ['a member that was left out', (all) => all.slice(1), 'its members are not those of its manifest'],
  ['a member that was renamed', (all) => all.with(0, text('a2.txt', 'one')), 'its members are not those'],
  ['a member that was put in', (all) => [text('x', 'x'), ...all], 'its members are not those of its manifest'],
  ['members in another order', ([a, b, ...rest]) => [b, a, ...rest] as Member[], 'its members are not those'],
  ['no manifest', (all) => all.slice(0, -1), 'the manifest is missing'],
  ['something behind the manifest', (all) => [...all, text('x', 'x')], 'something follows the manifest'],
  ['a manifest that is none', (all) => [...all.slice(0, -1), text('manifest.json', '{}')], 'its manifest is not one'],
])('%s is found', async (_, change, words) => {
  await expect(read(tar(change))).rejects.toThrow(words)
})

test('a tar that breaks off, or holds what is no file, is none', async () => {
  const whole = await new Response(tar()).bytes()
  await expect(read(new Blob([whole.slice(0, 700)]).stream())).rejects.toThrow()
  const linked = await packTar([{ header: { name: 'a', size: 0, type: 'symlink', linkname: '/etc/passwd' } }])
  await expect(read(new Blob([linked]).stream())).rejects.toThrow('a member is not a file')
})

test('the same members make the same bytes', async () => {
  const [one, two] = await Promise.all([tar(), tar()].map((stream) => new Response(stream).bytes()))
  expect(Buffer.from(one ?? []).equals(Buffer.from(two ?? []))).toBe(true)
})

test.each([
  ['gateway-1', 'gateway-1'],
  ['..', '_..'],
  ['', '_'],
  ['a/b\\c', 'a_b_c'],
  ['Zürich\n', 'Z_rich_'],
])('`%s` is `%s` in a path', (name, part) => {
  expect(pathPart(name)).toBe(part)
})
