/**
 * The hashes of a log's tree in a file that only grows: whatever a crash leaves of a last write is written again.
 *
 *     header  'SLUICET1' ‖ epoch, 36 bytes ‖ first segment, 64 bits ‖ zeros, to 64 bytes
 *     hashes  32 bytes each, in the order in which they become known (proof/merkle.ts)
 */
import { Failure } from '../../failure.ts'
import { concatenated } from '../../bytes.ts'
import { writeAll, type Appendable, type Files } from '../files.node.ts'
import {
  CompactRange,
  equalBytes,
  rangeRoot,
  storedCount,
  storedIndex,
  subtreesOf,
  wholeSize,
  type ReadNode,
  type Sha256,
} from '../proof/merkle.ts'

const NAME = 'tree'
const MAGIC = 'SLUICET1'
const HEADER_BYTES = 64
const HASH_BYTES = 32

/** Entries at the end of the file that are hashed again when it is opened: a last write may be there in part. */
const DOUBTED = 64

const FIX =
  'put the newest `tree` back; or keep the journal folder as evidence and start with an empty one, which begins a new log'

/** Whose tree it is, and what is known of it without its file. */
export interface TreeOf {
  readonly files: Files
  readonly sha256: Sha256
  /** Of the journal. */
  readonly epoch: string
  /** The oldest segment that the journal still has, or that it writes next. */
  readonly oldest: number
  /** A segment that is known to be in it; 0 where none is. */
  readonly extended: number
}

export interface TreeHead {
  /** Entries. */
  readonly size: number
  /** 32 bytes. */
  readonly root: Uint8Array
}

export class TreeFile {
  readonly #of: TreeOf
  readonly #file: Appendable
  readonly #range: CompactRange
  /** The segment of the first entry. */
  readonly first: number
  /** What is on the disk. */
  #head: TreeHead

  private constructor(of: TreeOf, file: Appendable, range: CompactRange, first: number) {
    this.#of = of
    this.#file = file
    this.#range = range
    this.first = first
    this.#head = { size: range.size, root: range.root() }
  }

  /**
   * The tree of this epoch, or a new one. Rejects with `audit-unavailable` where it is another's, or where it has lost what
   * the journal cannot give again: a log that forgets is not one that auditors may go on to trust. `most`: entries that are
   * believed, where a later one could not be synced.
   */
  static async open(of: TreeOf, most = Infinity): Promise<TreeFile> {
    const { files, epoch, oldest, extended } = of
    if (!(await files.list()).includes(NAME)) {
      // All of the journal is still there where its first segment is: then the same tree grows again.
      if (extended > 0 && oldest > 1) throw refusal('the file `tree` of the audit journal is gone')
      await begin(files, epoch, oldest)
    }
    const header = Buffer.from(await files.readAt(NAME, 0, HEADER_BYTES))
    const isOurs =
      header.length === HEADER_BYTES &&
      header.toString('latin1', 0, MAGIC.length) === MAGIC &&
      header.toString('latin1', 8, 44) === epoch
    if (!isOurs) throw refusal('the file `tree` of the audit journal is of another journal, or damaged')
    const first = Number(header.readBigUInt64LE(44))
    const range = await soundRange(of, most)
    const next = first + range.size
    if (next < oldest) throw refusal(`the audit log's tree ends before segment ${next}, which is gone`)
    const file = await files.reopen(NAME)
    try {
      await secured(files, file, range.size)
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
    return new TreeFile(of, file, range, first)
  }

  /** Of what is on the disk. */
  get head(): TreeHead {
    return this.#head
  }

  /** The segment of the next entry. */
  get next(): number {
    return this.first + this.#head.size
  }

  /** The root that it had when it was of this size. */
  rootOf(size: number): Promise<Uint8Array> {
    return rangeRoot(this.#of.sha256, this.read, 0, size)
  }

  /** A hash of it. Rejects where there is none. */
  readonly read: ReadNode = (level, index) => readNode(this.#of.files, level, index)

  /** Adds a leaf. Durable when it resolves; where it rejects, the tree MUST be opened anew. */
  async add(leaf: Uint8Array): Promise<void> {
    const position = HEADER_BYTES + storedCount(this.#range.size) * HASH_BYTES
    const known = this.#range.add(leaf)
    await writeAll(this.#file, concatenated(known), position)
    await this.#file.sync()
    this.#head = { size: this.#range.size, root: this.#range.root() }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/**
 * As much of the file as can be believed: a tree of whole entries. A write that a crash cut short may have left zeros, or
 * some of the hashes of its entry; what it completed must be what is below it.
 */
async function soundRange({ files, sha256 }: TreeOf, most: number): Promise<CompactRange> {
  const whole = Math.min(most, wholeSize(await hashesIn(files)))
  const range = await rangeAt(files, sha256, Math.max(0, whole - DOUBTED))
  for (let size = range.size; size < whole; size++) {
    const place = storedCount(size)
    const stored = await readHashes(files, place, storedCount(size + 1) - place)
    const leaf = stored.slice(0, HASH_BYTES)
    const isSound = leaf.some((byte) => byte !== 0) && equalBytes(concatenated(range.add(leaf)), stored)
    if (!isSound) return rangeAt(files, sha256, size)
  }
  return range
}

/** Writes the last entries again: that they can be read does not mean that their sync had not failed. */
async function secured(files: Files, file: Appendable, size: number): Promise<void> {
  const place = storedCount(Math.max(0, size - DOUBTED))
  const hashes = await readHashes(files, place, storedCount(size) - place)
  await writeAll(file, hashes, HEADER_BYTES + place * HASH_BYTES)
  await file.sync()
}

/** The tree as it was at this size. */
async function rangeAt(files: Files, sha256: Sha256, size: number): Promise<CompactRange> {
  const subtrees: { level: number; hash: Uint8Array }[] = []
  for (const { level, index } of subtreesOf(size)) subtrees.push({ level, hash: await readNode(files, level, index) })
  return new CompactRange(sha256, subtrees)
}

async function begin(files: Files, epoch: string, first: number): Promise<void> {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write(MAGIC, 0, 'latin1')
  header.write(epoch, 8, 36, 'latin1')
  header.writeBigUInt64LE(BigInt(first), 44)
  const draft = await files.create(`${NAME}.tmp`)
  try {
    await writeAll(draft, header, 0)
    await draft.sync()
  } finally {
    await draft.close()
  }
  await files.rename(`${NAME}.tmp`, NAME)
  await files.syncFolder()
}

function readNode(files: Files, level: number, index: number): Promise<Uint8Array> {
  return readHashes(files, storedIndex(level, index), 1)
}

/** Hashes that stand one behind the other. */
async function readHashes(files: Files, place: number, count: number): Promise<Uint8Array> {
  const hashes = await files.readAt(NAME, HEADER_BYTES + place * HASH_BYTES, count * HASH_BYTES)
  if (hashes.length !== count * HASH_BYTES) throw refusal('the file `tree` of the audit journal is damaged')
  return hashes
}

/** How many whole hashes the file has: found by halving, since a file does not say its length here. */
async function hashesIn(files: Files): Promise<number> {
  const isThere = async (count: number): Promise<boolean> => {
    const position = HEADER_BYTES + (count - 1) * HASH_BYTES
    return (await files.readAt(NAME, position, HASH_BYTES)).length === HASH_BYTES
  }
  let [low, high] = [0, 1]
  while (await isThere(high)) [low, high] = [high, high * 2]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (await isThere(middle)) low = middle
    else high = middle
  }
  return low
}

/** Nothing is recorded, so nothing runs, until somebody has looked. */
export function refusal(message: string): Failure {
  return new Failure('audit-unavailable', message, { cause: new TreeRefused(), fix: FIX })
}

/** What operators see of it in metrics and logs. */
class TreeRefused extends Error {
  readonly code = 'TREE_REFUSED'
}
