/**
 * Signs the head of a log's tree and sends it away: soon after the tree has grown, and once in a while when it has not, so
 * that silence is seen. What did not arrive somewhere is made good by the next, for each head proves all before it.
 */
import { base64 } from '../../bytes.ts'
import { orAbort, type Clock, type Log } from '../../runtime.ts'
import { problemOf } from '../problem.ts'
import { checkpointText } from '../proof/entry.ts'
import type { ReadNode } from '../proof/merkle.ts'
import { renderNote, signNote, type Note, type Signer } from '../proof/note.ts'
import type { Checkpoint, CheckpointSink } from './contract.ts'
import type { TreeHead } from './tree.node.ts'

/** Cosigns checkpoints elsewhere. */
export interface Cosigner {
  readonly name: string
  /** Its cosignatures. Rejects where it gives none that holds. */
  cosign(note: Note, read: ReadNode, signal: AbortSignal): Promise<Note['signatures']>
}

export interface HeadsParts {
  readonly writer: string
  readonly epoch: string
  /** The first part of the log's name. */
  readonly origin: string
  /** Each signs every checkpoint. Never empty. */
  readonly signers: readonly Signer[]
  /** Longest time between two checkpoints, in milliseconds. */
  readonly everyMs: number
  readonly sinks: readonly CheckpointSink[]
  readonly witnesses: readonly Cosigner[]
  readonly clock: Clock
  readonly log: Log
  /** What is to be signed; `undefined`: nothing may be now. */
  readonly head: () => (TreeHead & { readonly first: number }) | undefined
  readonly read: ReadNode
  /** Makes the signed note durable here, before anyone else is handed it. */
  readonly keep: (note: string) => Promise<void>
  /** When the last was signed, by an earlier process too. */
  readonly lastAt?: number
}

/** Shortest time between two checkpoints of a tree that grows, and first before another try, in milliseconds. */
const SOON_MS = 5_000

/** Longest that witnesses together, and then sinks together, may take. */
const COSIGN_MS = 5_000
const TAKE_MS = 10_000

/** How far back a clock may be set, in milliseconds, without the checkpoints' times going back with it. */
const MOST_BACK_MS = 600_000

export class Heads {
  readonly #parts: HeadsParts
  readonly #problems = new Map<string, string>()
  #timer: ReturnType<typeof setTimeout> | undefined
  /** When it rings, on the monotonic clock. */
  #dueAt = Infinity
  #signing: Promise<void> | undefined
  /** Ends the exports under way. */
  #leaving = new AbortController()
  #signedSize = -1
  #signedAt: number | undefined
  #lastAt: number
  /** Checkpoints in a row that did not reach everyone. */
  #failures = 0
  #state: 'new' | 'open' | 'closed' = 'new'

  constructor(parts: HeadsParts) {
    this.#parts = parts
    this.#lastAt = parts.lastAt ?? 0
  }

  get problems(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#problems)
  }

  /** Milliseconds since 1970 UTC. */
  get signedAt(): number | undefined {
    return this.#signedAt
  }

  start(): void {
    if (this.#state !== 'new') return
    this.#state = 'open'
    this.#within(0)
  }

  /** The tree has grown. */
  grown(): void {
    // Once the one under way is done it looks by itself.
    if (this.#signing === undefined) this.#within(this.#soonMs())
  }

  /** Signs once more, whatever it takes away from the one under way, and hands it to whoever takes it within `boundMs`. */
  async close(boundMs: number): Promise<void> {
    const wasOpen = this.#state === 'open'
    this.#state = 'closed'
    clearTimeout(this.#timer)
    this.#leaving.abort(late())
    await this.#signing
    if (!wasOpen) return
    this.#leaving = new AbortController()
    await this.#sign(boundMs / 2, boundMs / 2)
  }

  #soonMs(): number {
    return Math.min(SOON_MS, this.#parts.everyMs)
  }

  /** Signs no later than `ms` from now; sooner where that was asked before. */
  #within(ms: number): void {
    if (this.#state !== 'open') return
    const at = this.#parts.clock.monotonic() + ms
    if (this.#timer !== undefined && this.#dueAt <= at) return
    clearTimeout(this.#timer)
    this.#dueAt = at
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#signing = this.#sign(COSIGN_MS, TAKE_MS).finally(() => {
        this.#signing = undefined
        this.#within(this.#pauseMs())
      })
    }, ms).unref()
  }

  #pauseMs(): number {
    const { everyMs, head } = this.#parts
    if (this.#failures > 0) return Math.min(SOON_MS * 2 ** Math.min(this.#failures - 1, 20), everyMs)
    return head()?.size === this.#signedSize ? everyMs : this.#soonMs()
  }

  /** Never rejects: what a checkpoint did not reach is a problem in the status. */
  async #sign(cosignMs: number, takeMs: number): Promise<void> {
    const { origin, writer, epoch, signers, sinks, witnesses, keep, read } = this.#parts
    const head = this.#parts.head()
    if (head === undefined) return
    const { size, first, root } = head
    const name = `${origin}/${writer}/${epoch}`
    const signedAt = this.#inOrder()
    const signed = await this.#told('signing', async () => {
      const note = await signNote(checkpointText({ origin: name, size, root, time: signedAt, first }), signers)
      await keep(renderNote(note))
      return note
    })
    // What is not kept here was never signed: a tree that is rolled back must be found out.
    if (signed === undefined) return void this.#failures++
    this.#signedSize = size
    this.#signedAt = signedAt
    const cosigned = await Promise.all(
      // Of an empty tree there is nothing to witness.
      (size === 0 ? [] : witnesses).map((witness) =>
        this.#told(
          `witness-${witness.name}`,
          this.#timely(cosignMs, (signal) => witness.cosign(signed, read, signal)),
        ),
      ),
    )
    const note = renderNote({
      ...signed,
      signatures: [...signed.signatures, ...cosigned.flatMap((each) => each ?? [])],
    })
    const checkpoint: Checkpoint = { origin: name, writer, epoch, size, root: base64(root), signedAt, note }
    const taken = await Promise.all(
      sinks.map((sink) =>
        this.#told(
          sink.name,
          this.#timely(takeMs, (signal) => sink.take(checkpoint, signal).then(() => true)),
        ),
      ),
    )
    const isEverywhere = [...cosigned, ...taken].every((each) => each !== undefined)
    this.#failures = isEverywhere ? 0 : this.#failures + 1
  }

  /** Now, but never before the last one's time, so that a clock that is set back turns no order around. */
  #inOrder(): number {
    const now = this.#parts.clock.now()
    const isBack = now <= this.#lastAt && this.#lastAt - now <= MOST_BACK_MS
    this.#lastAt = isBack ? this.#lastAt + 1 : now
    return this.#lastAt
  }

  /** Whoever does not heed the signal is left alone with it. */
  #timely<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): () => Promise<T> {
    return () => {
      const bell = new AbortController()
      const timer = setTimeout(() => bell.abort(late()), ms)
      const signal = AbortSignal.any([bell.signal, this.#leaving.signal])
      return orAbort(work(signal), signal).finally(() => clearTimeout(timer))
    }
  }

  async #told<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const value = await work()
      this.#problems.delete(name)
      return value
    } catch (error) {
      const problem = problemOf(error)
      // Said once, not with every checkpoint.
      if (this.#problems.get(name) !== problem) {
        this.#parts.log('warn', 'a checkpoint of the audit log did not arrive', { for: name, problem }, error)
      }
      this.#problems.set(name, problem)
      return undefined
    }
  }
}

function late(): DOMException {
  return new DOMException('it took too long', 'TimeoutError')
}
