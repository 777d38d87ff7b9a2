/**
 * The chain over a journal: each sealed segment becomes an entry of one Merkle tree, and the tree's head is signed, when it has
 * grown and when it has not, and sent to wherever whoever owns this machine cannot take it back.
 */
import { Failure } from '../../failure.ts'
import type { Clock, Log } from '../../runtime.ts'
import { base64 } from '../../bytes.ts'
import type { Files } from '../files.node.ts'
import { problemOf } from '../problem.ts'
import { checkpointText, damagedBytes, entryBytes, entryOf } from '../proof/entry.ts'
import { leafHash, type Sha256 } from '../proof/merkle.ts'
import { renderNote, signNote, type Note, type Signer } from '../proof/note.ts'
import type { SealedRows } from '../ship.ts'
import type { Chain, ChainStatus, Checkpoint, CheckpointSink } from './contract.ts'
import { TreeFile } from './tree.node.ts'
import type { Witness } from './witness.ts'

export interface ChainOptions {
  /** The journal's folder. */
  readonly files: Files
  readonly epoch: string
  /** The oldest segment that the journal still has, or that it writes next. */
  readonly oldest: number
  readonly writer: string
  /** The first part of the log's name. */
  readonly origin: string
  /** Each signs every checkpoint. Never empty. */
  readonly signers: readonly Signer[]
  /** Longest time between two checkpoints, in milliseconds. */
  readonly everyMs: number
  readonly sinks: readonly CheckpointSink[]
  readonly witnesses: readonly Witness[]
  readonly sha256: Sha256
  readonly clock: Clock
  readonly log: Log
}

/** Shortest time between two checkpoints of a tree that grows, in milliseconds. */
const GROWN_MS = 5_000

/** For a witness or sink to take one. */
const TAKE_MS = 10_000

/** Opens the tree. Rejects with `audit-unavailable` where it is not that of this journal. */
export async function openChain(options: ChainOptions): Promise<Chain> {
  const { files, sha256, epoch, oldest, log } = options
  const tree = await TreeFile.open(files, sha256, epoch, oldest)
  const next = tree.first + tree.size
  if (next < oldest) {
    throw new Failure('audit-unavailable', `the audit log's tree ends before segment ${next}, which is gone`, {
      fix: 'put the newest file `tree` back; or keep the journal folder as evidence and start with an empty one',
    })
  }
  if (tree.size === 0 && oldest > 1) log('warn', 'a new tree begins over a journal that is older', { segment: oldest })
  return new NodeChain(options, tree)
}

class NodeChain implements Chain {
  readonly #options: ChainOptions
  #tree: TreeFile
  /** What went wrong while it was written: then it is opened anew before it is written again. */
  #isBroken = false
  /** Extensions, one behind the other. */
  #extending: Promise<void> = Promise.resolve()
  #signing: Promise<void> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** When it rings, on the monotonic clock. */
  #dueAt = 0
  #signedSize = -1
  #signedAt: number | undefined
  #isClosed = false
  readonly #problems = new Map<string, string>()

  constructor(options: ChainOptions, tree: TreeFile) {
    this.#options = options
    this.#tree = tree
  }

  extend(sealed: SealedRows, rows: readonly Uint8Array[]): Promise<void> {
    const { sha256 } = this.#options
    return this.#add(sealed, () => entryBytes(sha256, entryOf(sha256, sealed, rows)))
  }

  extendDamaged(sealed: SealedRows): Promise<void> {
    return this.#add(sealed, () => damagedBytes(sealed))
  }

  #add(sealed: SealedRows, bytes: () => Uint8Array): Promise<void> {
    const work = this.#extending.then(() => this.#addNext(sealed, bytes))
    this.#extending = work.catch(() => {})
    return work
  }

  async #addNext({ segment }: SealedRows, bytes: () => Uint8Array): Promise<void> {
    if (this.#isBroken) await this.#reopen()
    const next = this.#tree.first + this.#tree.size
    if (segment < next) return
    if (segment > next) throw new Failure('audit-unavailable', `segment ${next} is missing in the audit log's tree`)
    const leaf = leafHash(this.#options.sha256, bytes())
    try {
      await this.#tree.add(leaf)
    } catch (error) {
      this.#isBroken = true
      throw error
    }
    this.#signWithin(Math.min(GROWN_MS, this.#options.everyMs))
  }

  async #reopen(): Promise<void> {
    const { files, sha256, epoch, oldest } = this.#options
    await this.#tree.close().catch(() => {})
    this.#tree = await TreeFile.open(files, sha256, epoch, oldest)
    this.#isBroken = false
  }

  start(): void {
    this.#signWithin(0)
  }

  status(): ChainStatus {
    return {
      size: this.#tree.size,
      ...(this.#signedAt !== undefined && { signedAt: this.#signedAt }),
      problems: Object.fromEntries(this.#problems),
    }
  }

  async close(boundMs: number): Promise<void> {
    clearTimeout(this.#timer)
    await this.#extending
    await this.#signing
    if (this.#signedSize !== this.#tree.size && !this.#isBroken) await this.#sign(boundMs)
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#tree.close().catch(() => {})
  }

  /** Signs no later than `ms` from now; sooner where that was asked before. */
  #signWithin(ms: number): void {
    // Once the one under way is done it is asked again.
    if (this.#isClosed || this.#signing !== undefined) return
    const at = this.#options.clock.monotonic() + ms
    if (this.#timer !== undefined && this.#dueAt <= at) return
    clearTimeout(this.#timer)
    this.#dueAt = at
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#signing = this.#sign(TAKE_MS).finally(() => {
        this.#signing = undefined
        const { everyMs } = this.#options
        this.#signWithin(this.#signedSize === this.#tree.size ? everyMs : Math.min(GROWN_MS, everyMs))
      })
    }, ms).unref()
  }

  /** Never rejects: what a checkpoint did not reach is a problem in the status, and gets the next one. */
  async #sign(boundMs: number): Promise<void> {
    const { origin, writer, epoch, signers, sinks, witnesses, clock, log } = this.#options
    const { size, first } = this.#tree
    const name = `${origin}/${writer}/${epoch}`
    const root = this.#tree.root()
    const time = clock.now()
    const signal = AbortSignal.timeout(boundMs)
    try {
      const signed = await signNote(checkpointText({ origin: name, size, root, time, first }), signers)
      const cosigned = await Promise.all(witnesses.map((witness) => this.#cosigned(witness, signed, signal)))
      const note = renderNote({ text: signed.text, signatures: [...signed.signatures, ...cosigned.flat()] })
      const checkpoint: Checkpoint = { origin: name, writer, epoch, size, root: base64(root), signedAt: time, note }
      await Promise.all(sinks.map((sink) => this.#told(sink.name, () => sink.take(checkpoint, signal))))
      this.#signedSize = size
    } catch (error) {
      log('error', 'the audit log could not be signed', {}, error)
      this.#problems.set('signing', problemOf(error))
    }
    this.#signedAt = time
  }

  async #cosigned(witness: Witness, note: Note, signal: AbortSignal): Promise<Note['signatures']> {
    // Of an empty tree there is nothing to witness.
    if (this.#tree.size === 0) return []
    return (await this.#told(witness.name, () => witness.cosign(note, this.#tree.read, signal))) ?? []
  }

  async #told<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const value = await work()
      this.#problems.delete(name)
      return value
    } catch (error) {
      const problem = problemOf(error)
      if (this.#problems.get(name) !== problem) {
        this.#options.log('warn', 'a checkpoint did not arrive', { for: name, problem }, error)
      }
      this.#problems.set(name, problem)
      return undefined
    }
  }
}
