/**
 * The hashes of a log's tree in a file that only grows: whatever a crash leaves of a last write is written again.
 *
 *     header  'SLUICET1' ‖ epoch, 36 bytes ‖ first segment, 64 bits ‖ zeros, to 64 bytes ‖
 *     hashes  32 bytes each, in the order in which they become known (proof/merkle.ts)
 */
import { Failure } from '../../failure.ts'
import { writeAll, type Appendable, type Files } from '../files.node.ts'
import {
  CompactRange,
  storedCount,
  storedIndex,
  subtreesOf,
  wholeSize,
  type ReadNode,
  type Sha256,
} from '../proof/merkle.ts'
import { concatenated } from '../../bytes.ts'

const NAME = 'tree'
const MAGIC = 'SLUICET1'
const HEADER_BYTES = 64
const HASH_BYTES = 32

export class TreeFile {
  readonly #files: Files
  readonly #file: Appendable
  readonly #range: CompactRange
  /** The segment of the first entry. */
  readonly first: number

  private constructor(files: Files, file: Appendable, range: CompactRange, first: number) {
    this.#files = files
    this.#file = file
    this.#range = range
    this.first = first
  }

  /** The tree of this epoch, or a new one that begins at `first`. Rejects with `audit-unavailable` where it is another's. */
  static async open(files: Files, sha256: Sha256, epoch: string, first: number): Promise<TreeFile> {
    if (!(await files.list()).includes(NAME)) await begin(files, epoch, first)
    const header = Buffer.from(await files.readAt(NAME, 0, HEADER_BYTES))
    const isOurs =
      header.length === HEADER_BYTES &&
      header.toString('latin1', 0, 8) === MAGIC &&
      header.toString('latin1', 8, 44) === epoch
    if (!isOurs) throw damaged()
    const count = await hashesIn(files)
    const size = wholeSize(count)
    const subtrees: { level: number; hash: Uint8Array }[] = []
    for (const { level, index } of subtreesOf(size)) subtrees.push({ level, hash: await readNode(files, level, index) })
    const file = await files.reopen(NAME)
    return new TreeFile(files, file, new CompactRange(sha256, subtrees), Number(header.readBigUInt64LE(44)))
  }

  get size(): number {
    return this.#range.size
  }

  root(): Uint8Array {
    return this.#range.root()
  }

  readonly read: ReadNode = (level, index) => readNode(this.#files, level, index)

  /** Adds a leaf. Durable when it resolves; where it rejects, the tree MUST be opened anew. */
  async add(leaf: Uint8Array): Promise<void> {
    const position = HEADER_BYTES + storedCount(this.#range.size) * HASH_BYTES
    const known = this.#range.add(leaf)
    await writeAll(this.#file, concatenated(known), position)
    await this.#file.sync()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
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

async function readNode(files: Files, level: number, index: number): Promise<Uint8Array> {
  const hash = await files.readAt(NAME, HEADER_BYTES + storedIndex(level, index) * HASH_BYTES, HASH_BYTES)
  if (hash.length !== HASH_BYTES) throw damaged()
  return hash
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

function damaged(): Failure {
  return new Failure('audit-unavailable', 'the file `tree` of the audit journal is of another journal, or damaged', {
    fix: 'put the right one back; or keep the journal folder as evidence and start with an empty one, which begins a new log',
  })
}
