/**
 * RFC 6962 Merkle trees: hashes, proofs and their checks. Pure. Nodes of a tree that grows are kept in the order in which
 * they become known, as golang.org/x/mod/sumdb/tlog does: a leaf, then each subtree that it completes.
 */

/** SHA-256 over the parts, one behind the other. */
export type Sha256 = (...parts: readonly Uint8Array[]) => Uint8Array

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)

export function leafHash(sha256: Sha256, data: Uint8Array): Uint8Array {
  return sha256(LEAF, data)
}

export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE, left, right)
}

/** The root over these leaf hashes; over none, the hash of nothing. */
export function rootOf(sha256: Sha256, leaves: readonly Uint8Array[]): Uint8Array {
  const range = new CompactRange(sha256)
  for (const leaf of leaves) range.add(leaf)
  return range.root()
}

/** The largest power of two below `size`, which is at least 2. */
function split(size: number): number {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}

/** Whether it is a power of two; a logarithm cannot tell where numbers are large. */
function isPower(size: number): boolean {
  let rest = size
  while (rest > 1 && rest % 2 === 0) rest /= 2
  return rest === 1
}

/** As much of a tree as is needed to add to it and to know its root: the complete subtrees that it is made of. */
export class CompactRange {
  readonly #sha256: Sha256
  readonly #subtrees: { readonly level: number; readonly hash: Uint8Array }[]
  #size: number

  /** `subtrees`: those of a tree that has leaves already, the largest first. */
  constructor(sha256: Sha256, subtrees: readonly { readonly level: number; readonly hash: Uint8Array }[] = []) {
    this.#sha256 = sha256
    this.#subtrees = [...subtrees]
    this.#size = subtrees.reduce((sum, { level }) => sum + 2 ** level, 0)
  }

  get size(): number {
    return this.#size
  }

  /** The hashes that become known, in the order in which they are kept: the leaf, then each subtree that it completes. */
  add(leaf: Uint8Array): readonly Uint8Array[] {
    const known = [leaf]
    let added = { level: 0, hash: leaf }
    for (;;) {
      const last = this.#subtrees.at(-1)
      if (last === undefined || last.level !== added.level) break
      this.#subtrees.pop()
      added = { level: added.level + 1, hash: nodeHash(this.#sha256, last.hash, added.hash) }
      known.push(added.hash)
    }
    this.#subtrees.push(added)
    this.#size += 1
    return known
  }

  root(): Uint8Array {
    const last = this.#subtrees.at(-1)
    if (last === undefined) return this.#sha256()
    return this.#subtrees.slice(0, -1).reduceRight((right, { hash }) => nodeHash(this.#sha256, hash, right), last.hash)
  }
}

/** Where the hash of the `index`th complete subtree of 2^level leaves is kept, counted in hashes. */
export function storedIndex(level: number, index: number): number {
  let leaf = index
  for (let i = 0; i < level; i++) leaf = 2 * leaf + 1
  return storedBefore(leaf) + level
}

/** Hashes that are kept before that of a leaf. */
function storedBefore(leaf: number): number {
  let sum = 0
  for (let rest = leaf; rest > 0; rest = Math.floor(rest / 2)) sum += rest
  return sum
}

/** Hashes that are kept of a tree of `size` leaves. */
export function storedCount(size: number): number {
  return storedBefore(size)
}

/** The largest tree of which `count` hashes hold all. */
export function wholeSize(count: number): number {
  // A tree of n leaves keeps between n and 2n hashes.
  let [low, high] = [0, count]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (storedCount(middle) <= count) low = middle
    else high = middle - 1
  }
  return low
}

/** The complete subtrees that a tree of `size` leaves is made of, the largest first. */
export function subtreesOf(size: number): readonly { readonly level: number; readonly index: number }[] {
  const found: { level: number; index: number }[] = []
  let start = 0
  for (let level = Math.floor(Math.log2(Math.max(size, 1))); level >= 0; level--) {
    if (Math.floor(size / 2 ** level) % 2 === 0) continue
    found.push({ level, index: start / 2 ** level })
    start += 2 ** level
  }
  return found
}

/** Gives the hash of the `index`th complete subtree of 2^level leaves. */
export type ReadNode = (level: number, index: number) => Promise<Uint8Array> | Uint8Array

/** The root over the leaves from `start` up to `end`, as a subtree of a larger tree has it. */
export async function rangeRoot(sha256: Sha256, read: ReadNode, start: number, end: number): Promise<Uint8Array> {
  const size = end - start
  if (size === 0) return sha256()
  if (isPower(size) && start % size === 0) return read(Math.round(Math.log2(size)), start / size)
  const middle = start + split(size)
  const left = await rangeRoot(sha256, read, start, middle)
  return nodeHash(sha256, left, await rangeRoot(sha256, read, middle, end))
}

/** That a leaf is in the tree of `size`: its sibling hashes, the deepest first. `index` MUST be below `size`. */
export async function proveInclusion(
  sha256: Sha256,
  read: ReadNode,
  size: number,
  index: number,
): Promise<readonly Uint8Array[]> {
  const path = async (start: number, end: number): Promise<Uint8Array[]> => {
    if (end - start <= 1) return []
    const middle = start + split(end - start)
    return index < middle
      ? [...(await path(start, middle)), await rangeRoot(sha256, read, middle, end)]
      : [...(await path(middle, end)), await rangeRoot(sha256, read, start, middle)]
  }
  return path(0, size)
}

/** That the tree of `size` begins with that of `from`, which is at least 1 and no larger. */
export async function proveConsistency(
  sha256: Sha256,
  read: ReadNode,
  from: number,
  size: number,
): Promise<readonly Uint8Array[]> {
  const path = async (start: number, end: number, isOldRoot: boolean): Promise<Uint8Array[]> => {
    if (from === end) return isOldRoot ? [] : [await rangeRoot(sha256, read, start, end)]
    const middle = start + split(end - start)
    return from <= middle
      ? [...(await path(start, middle, isOldRoot)), await rangeRoot(sha256, read, middle, end)]
      : [...(await path(middle, end, false)), await rangeRoot(sha256, read, start, middle)]
  }
  return path(0, size, true)
}

/** The root of the tree of `size` that has this leaf at `index`, by its proof; `undefined` where it is no such proof. */
export function inclusionRoot(
  sha256: Sha256,
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
): Uint8Array | undefined {
  if (!(index >= 0 && index < size)) return undefined
  let [at, last, hash] = [index, size - 1, leaf]
  for (const sibling of proof) {
    if (last === 0 || sibling.length !== leaf.length) return undefined
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sha256, sibling, hash)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else {
      hash = nodeHash(sha256, hash, sibling)
    }
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 ? hash : undefined
}

/** Whether the tree of `size` under `root` begins with that of `from` under `old` (RFC 9162, 2.1.4.2). */
export function isConsistent(
  sha256: Sha256,
  from: number,
  old: Uint8Array,
  size: number,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!(from >= 1 && from <= size)) return false
  if (from === size) return proof.length === 0 && equalBytes(old, root)
  // A tree of 2^n leaves is itself the first of the hashes.
  const [first, ...rest] = isPower(from) ? [old, ...proof] : proof
  if (first === undefined) return false
  let [at, last] = [from - 1, size - 1]
  while (at % 2 === 1) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  let [oldHash, newHash] = [first, first]
  for (const sibling of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      oldHash = nodeHash(sha256, sibling, oldHash)
      newHash = nodeHash(sha256, sibling, newHash)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else {
      newHash = nodeHash(sha256, newHash, sibling)
    }
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 && equalBytes(oldHash, old) && equalBytes(newHash, root)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
