/**
 * The chain over a journal: each sealed segment becomes an entry of one Merkle tree, whose head is signed and sent to wherever
 * whoever owns this machine cannot take it back.
 */
import { setImmediate } from 'node:timers/promises'
import { Failure } from '../../failure.ts'
import type { Files } from '../files.node.ts'
import { writeAll } from '../files.node.ts'
import { damagedBytes, entryBytes, entryInPieces, originParts, parseCheckpoint } from '../proof/entry.ts'
import { equalBytes, leafHash, type ReadNode } from '../proof/merkle.ts'
import { parseNote } from '../proof/note.ts'
import type { SealedRows } from '../ship.ts'
import type { Chain, ChainStatus } from './contract.ts'
import { Heads, type HeadsParts } from './heads.node.ts'
import { refusal, TreeFile, type TreeHead, type TreeOf } from './tree.node.ts'

export interface ChainOptions extends TreeOf, Omit<HeadsParts, 'head' | 'read' | 'keep' | 'lastAt'> {}

/** The last head that was signed, in the journal's folder: what was once signed must stay in the tree. */
const LAST = 'checkpoint'
const MOST_LAST = 1_000_000

/** Opens the tree. Rejects with `audit-unavailable` where it is not that of this journal, or not what was signed. */
export async function openChain(options: ChainOptions): Promise<Chain> {
  const { log, oldest, extended } = options
  const tree = await TreeFile.open(options)
  let last: Signed | undefined
  try {
    last = await lastSigned(options)
    if (last !== undefined && last.size <= tree.head.size) await mustBe(tree, last)
  } catch (error) {
    await tree.close().catch(() => {})
    throw error
  }
  if (tree.head.size === 0 && oldest > 1) {
    log('warn', 'a new audit tree begins over a journal that is older', { segment: oldest })
  }
  if (tree.next <= extended) log('warn', 'the audit tree grows again from the journal', { segment: tree.next })
  return new NodeChain(options, tree, last)
}

interface Signed extends TreeHead {
  /** Milliseconds since 1970 UTC. */
  readonly time: number
}

class NodeChain implements Chain {
  readonly #options: ChainOptions
  readonly #heads: Heads
  #tree: TreeFile
  /** What the tree must come to again before it is signed anew: it lost entries that the journal still has. */
  #owed: Signed | undefined
  /** It is not what was signed: nothing is added to it, so nothing is shipped, until somebody has looked. */
  #refused: Failure | undefined
  /** It could not be written: it is opened anew before it is written again. */
  #isBroken = false
  #isClosed = false
  /** Extensions, one behind the other. */
  #extending: Promise<void> = Promise.resolve()

  constructor(options: ChainOptions, tree: TreeFile, last: Signed | undefined) {
    this.#options = options
    this.#tree = tree
    this.#owed = last !== undefined && last.size > tree.head.size ? last : undefined
    this.#heads = new Heads({
      ...options,
      head: () => (this.#owed === undefined ? { ...this.#tree.head, first: this.#tree.first } : undefined),
      read: (level, index) => this.#read(level, index),
      keep: (note) => keep(options.files, note),
      ...(last !== undefined && { lastAt: last.time }),
    })
  }

  reached(): number {
    return this.#tree.head.size === 0 ? 0 : this.#tree.next - 1
  }

  extend(sealed: SealedRows, rows: readonly Uint8Array[]): Promise<void> {
    const { sha256 } = this.#options
    return this.#add(sealed, async () => {
      const leaf = entryBytes(sha256, await entryInPieces(sha256, sealed, rows, () => setImmediate()))
      return { leaf: leafHash(sha256, leaf), mustMatch: true }
    })
  }

  extendDamaged(sealed: SealedRows): Promise<void> {
    const { sha256 } = this.#options
    // It may have been in the tree before it was damaged: then the tree keeps what it was.
    return this.#add(sealed, async () => ({ leaf: leafHash(sha256, damagedBytes(sealed)), mustMatch: false }))
  }

  start(): void {
    this.#heads.start()
  }

  status(): ChainStatus {
    const { signedAt, problems } = this.#heads
    return { size: this.#tree.head.size, ...(signedAt !== undefined && { signedAt }), problems }
  }

  async close(boundMs: number): Promise<void> {
    this.#isClosed = true
    await this.#extending
    await this.#heads.close(boundMs)
    await this.#tree.close().catch(() => {})
  }

  readonly #read: ReadNode = (level, index) => this.#tree.read(level, index)

  #add(sealed: SealedRows, make: () => Promise<Added>): Promise<void> {
    const work = this.#extending.then(() => this.#addNext(sealed, make))
    this.#extending = work.catch(() => {})
    return work
  }

  async #addNext({ segment }: SealedRows, make: () => Promise<Added>): Promise<void> {
    if (this.#isClosed) throw new Failure('audit-unavailable', 'the audit chain is closed')
    if (this.#refused !== undefined) throw this.#refused
    if (this.#isBroken) await this.#reopen()
    const tree = this.#tree
    if (segment > tree.next) throw refusal(`segment ${tree.next} is missing in the audit log's tree`)
    const { leaf, mustMatch } = await make()
    if (segment < tree.next) {
      // What came before the tree did is not its to say.
      if (!mustMatch || segment < tree.first) return
      if (equalBytes(await tree.read(0, segment - tree.first), leaf)) return
      throw refusal(`segment ${segment} of the journal is not the one that is in the audit log's tree`)
    }
    try {
      await tree.add(leaf)
    } catch (error) {
      this.#isBroken = true
      throw error
    }
    await this.#settle(tree)
    this.#heads.grown()
  }

  /** Once a tree that grows again is as large as it was when it was signed, it must be the same. */
  async #settle(tree: TreeFile): Promise<void> {
    if (this.#owed === undefined || this.#owed.size > tree.head.size) return
    try {
      await mustBe(tree, this.#owed)
    } catch (error) {
      if (error instanceof Failure) this.#refused = error
      throw error
    }
    this.#owed = undefined
  }

  async #reopen(): Promise<void> {
    await this.#tree.close().catch(() => {})
    this.#tree = await TreeFile.open({ ...this.#options, extended: this.reached() }, this.#tree.head.size)
    this.#isBroken = false
  }
}

interface Added {
  readonly leaf: Uint8Array
  /** Whether one that is there already must be the same. */
  readonly mustMatch: boolean
}

/** The tree must have grown out of what was signed. */
async function mustBe(tree: TreeFile, { size, root }: TreeHead): Promise<void> {
  if (equalBytes(await tree.rootOf(size), root)) return
  throw refusal(`the audit log's tree is not the one that was signed at ${size} segments`)
}

async function lastSigned({ files, epoch }: ChainOptions): Promise<Signed | undefined> {
  if (!(await files.list()).includes(LAST)) return undefined
  try {
    const text = new TextDecoder().decode(await files.read(LAST, MOST_LAST))
    const { origin, size, root, time } = parseCheckpoint(parseNote(text).text)
    // Of an earlier journal of this folder: the tree has its own epoch and is checked against it.
    return originParts(origin)?.epoch === epoch ? { size, root, time } : undefined
  } catch (cause) {
    throw new Failure('audit-unavailable', 'the file `checkpoint` of the audit journal is damaged', {
      cause,
      fix: 'put back the last checkpoint that this gateway exported; see docs/evidence.md',
    })
  }
}

async function keep(files: Files, note: string): Promise<void> {
  const draft = await files.create(`${LAST}.tmp`)
  try {
    await writeAll(draft, new TextEncoder().encode(note), 0)
    await draft.sync()
  } finally {
    await draft.close()
  }
  await files.rename(`${LAST}.tmp`, LAST)
  await files.syncFolder()
}
