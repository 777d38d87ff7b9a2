/** RFC 6962 trees, against their definition and the known answers of RFC 6962's own tests. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CompactRange,
  inclusionRoot,
  isConsistent,
  leafHash,
  nodeHash,
  proveConsistency,
  proveInclusion,
  rangeRoot,
  rootOf,
  storedCount,
  storedIndex,
  subtreesOf,
  wholeSize,
  type Sha256,
} from '../../../../src/audit/proof/merkle.ts'

const sha256: Sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** The leaves of certificate-transparency-go's tests, and the roots over the first 0, 1, … of them. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
const leaf = (n: number): Uint8Array => leafHash(sha256, Buffer.from(`leaf ${n}`))

/** The definition, straight from RFC 6962. */
function defined(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves
  if (only === undefined) return sha256()
  if (leaves.length === 1) return only
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return nodeHash(sha256, defined(leaves.slice(0, k)), defined(leaves.slice(k)))
}

/** A tree with its kept hashes, as the chain's file holds them. */
function grown(size: number) {
  const range = new CompactRange(sha256)
  const kept: Uint8Array[] = []
  for (let n = 0; n < size; n++) kept.push(...range.add(leaf(n)))
  const read = (level: number, index: number): Uint8Array => {
    const hash = kept[storedIndex(level, index)]
    if (hash === undefined) throw new Error(`no node ${level}/${index}`)
    return hash
  }
  return { range, kept, read }
}

test('the known answers', () => {
  const leaves = LEAVES.map((text) => leafHash(sha256, Buffer.from(text, 'hex')))
  expect(ROOTS.map((_, n) => hex(rootOf(sha256, leaves.slice(0, n))))).toEqual(ROOTS)
})

/** Roots of ranges of those leaves. */
const OF = {
  leaf0: '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  leaf1: '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  leaf4: 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  leaves01: 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  leaves23: '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  leaves45: '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
  leaves67: 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
  leaves0123: 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  leaves4567: '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
}

describe('the known proofs', () => {
  const leaves = LEAVES.map((text) => leafHash(sha256, Buffer.from(text, 'hex')))
  const read = (level: number, index: number): Uint8Array =>
    defined(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))

  test.each<[number, number, readonly (keyof typeof OF)[]]>([
    [0, 1, []],
    [0, 8, ['leaf1', 'leaves23', 'leaves4567']],
    [5, 8, ['leaf4', 'leaves67', 'leaves0123']],
    [2, 3, ['leaves01']],
    [1, 5, ['leaf0', 'leaves23', 'leaf4']],
  ])('of leaf %i in a tree of %i', async (index, size, path) => {
    const proof = await proveInclusion(sha256, read, size, index)
    expect(proof.map(hex)).toEqual(path.map((name) => OF[name]))
    expect(hex(inclusionRoot(sha256, leaves[index]!, index, size, proof)!)).toBe(ROOTS[size])
  })

  test.each<[number, number, readonly (keyof typeof OF)[]]>([
    [1, 1, []],
    [1, 8, ['leaf1', 'leaves23', 'leaves4567']],
    [6, 8, ['leaves45', 'leaves67', 'leaves0123']],
    [2, 5, ['leaves23', 'leaf4']],
  ])('that the tree of %i became that of %i', async (from, size, path) => {
    const proof = await proveConsistency(sha256, read, from, size)
    expect(proof.map(hex)).toEqual(path.map((name) => OF[name]))
    const [old, root] = [from, size].map((n) => Buffer.from(ROOTS[n]!, 'hex'))
    expect(isConsistent(sha256, from, old!, size, root!, proof)).toBe(true)
  })
})

test('hashes are kept in the order of sumdb/tlog: a leaf, then each subtree that it completes', () => {
  const order = [
    [0, 0],
    [0, 1],
    [1, 0],
    [0, 2],
    [0, 3],
    [1, 1],
    [2, 0],
    [0, 4],
  ] as const
  expect(order.map(([level, index]) => storedIndex(level, index))).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  const all = Array.from({ length: 8 }, (_, level) =>
    Array.from({ length: Math.floor(128 / 2 ** level) }, (__, index) => storedIndex(level, index)),
  ).flat()
  expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: storedCount(128) }, (_, place) => place))
})

describe('a tree of any size', () => {
  test('has the root of the definition, of any of its earlier sizes too', async () => {
    const { kept, read } = grown(70)
    const leaves = Array.from({ length: 70 }, (_, n) => leaf(n))
    for (let size = 0; size <= 70; size++) {
      expect(hex(await rangeRoot(sha256, read, 0, size))).toBe(hex(defined(leaves.slice(0, size))))
    }
    expect(kept).toHaveLength(storedCount(70))
  })

  test('is made again from its subtrees', () => {
    for (let size = 0; size <= 70; size++) {
      const { range, read } = grown(size)
      const again = new CompactRange(
        sha256,
        subtreesOf(size).map(({ level, index }) => ({ level, hash: read(level, index) })),
      )
      expect([again.size, hex(again.root())]).toEqual([size, hex(range.root())])
    }
  })

  test('is known by how many hashes are kept; one that is not whole is the one before', () => {
    for (let size = 0; size < 70; size++) {
      for (let count = storedCount(size); count < storedCount(size + 1); count++) expect(wholeSize(count)).toBe(size)
    }
  })
})

describe('a proof', () => {
  test('of a leaf holds for it, at its place, in that tree, and for nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat(), async (size, a, b) => {
        const [index, other] = [a % size, b % size]
        const { range, read } = grown(size)
        const proof = await proveInclusion(sha256, read, size, index)
        const root = (at: number, of: Uint8Array, n = size): string =>
          hex(inclusionRoot(sha256, of, at, n, proof) ?? sha256())
        expect(root(index, leaf(index))).toBe(hex(range.root()))
        if (other !== index) {
          expect(root(index, leaf(other))).not.toBe(hex(range.root()))
          expect(root(other, leaf(index))).not.toBe(hex(range.root()))
        }
        if (proof.length > 0) {
          expect(inclusionRoot(sha256, leaf(index), index, size, proof.slice(1))).not.toEqual(range.root())
        }
        expect(inclusionRoot(sha256, leaf(index), index, size, [...proof, sha256()])).not.toEqual(range.root())
      }),
    )
  })

  test('that a tree begins with an earlier one holds for these two, and no others', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 300 }), fc.nat(), async (size, a) => {
        const from = (a % size) + 1
        const { range, read } = grown(size)
        const old = await rangeRoot(sha256, read, 0, from)
        const proof = await proveConsistency(sha256, read, from, size)
        expect(isConsistent(sha256, from, old, size, range.root(), proof)).toBe(true)
        const wrong = sha256(old)
        expect(isConsistent(sha256, from, wrong, size, range.root(), proof)).toBe(false)
        expect(isConsistent(sha256, from, old, size, wrong, proof)).toBe(false)
        if (proof.length > 0) expect(isConsistent(sha256, from, old, size, range.root(), proof.slice(1))).toBe(false)
        expect(isConsistent(sha256, from, old, size, range.root(), [...proof, wrong])).toBe(false)
      }),
    )
  })
})
