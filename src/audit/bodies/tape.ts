/**
 * One body on its way into the log of bodies: put together to pieces of moderate size, counted and digested, kept as far as
 * policy wants. Pure but for what it is handed.
 */
import { concatenated } from '../../bytes.ts'
import type { Keep } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Hasher } from '../../runtime.ts'
import type { KeptBody, Tape, TapedBody } from '../contract.ts'
import type { UnplacedPayload } from '../payload.ts'

/** Most bytes of one piece. */
export const PIECE_BYTES = 262_144

/** Nothing more is added to a piece this many milliseconds after it began: replay is as fine as that. */
const PIECE_MS = 250

/** Most digests of one piece. */
const PIECE_DIGESTS = 4_096

export interface TapeParts {
  readonly body: TapedBody
  readonly writer: string
  readonly epoch: string
  /** Days since 1970 UTC. */
  readonly retainUntil: number
  /** Resolves when the piece is durable; rejects with `audit-unavailable`. */
  append(piece: UnplacedPayload): Promise<void>
  hasher(): Hasher
  /** Wall clock, milliseconds since 1970 UTC. */
  now(): number
}

/** A piece that is being put together. */
interface Piece {
  readonly at: number
  readonly offset: number
  readonly parts: Uint8Array[]
  readonly digests: Set<string>
  size: number
}

export class PieceTape implements Tape {
  readonly #parts: TapeParts
  readonly #whole: Hasher
  /** Of what is kept, where that is not all. */
  readonly #keptPart: Hasher | undefined
  readonly #most: number
  #bytes = 0
  #kept = 0
  #chunk = 0
  #piece: Piece | undefined
  /** The last append: pieces are durable in their order, and at most one is on its way while the next is put together. */
  #appending: Promise<void> = Promise.resolve()
  /** Pushes and the end, one behind the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #state: 'open' | 'broken' | 'ended' = 'open'

  constructor(parts: TapeParts) {
    this.#parts = parts
    this.#whole = parts.hasher()
    this.#most = mostOf(parts.body.keep)
    this.#keptPart = this.#most === Infinity ? undefined : parts.hasher()
  }

  push(bytes: Uint8Array, digests: readonly string[] = []): Promise<void> {
    return this.#inTurn(() => this.#push(bytes, digests))
  }

  end(mark = ''): Promise<KeptBody> {
    return this.#inTurn(() => this.#end(mark))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(async () => {
      if (this.#state !== 'open') throw new Failure('audit-unavailable', 'the body is no longer recorded')
      try {
        return await work()
      } catch (error) {
        this.#state = 'broken'
        throw error
      }
    })
    this.#turn = mine.catch(() => {})
    return mine
  }

  async #push(bytes: Uint8Array, digests: readonly string[]): Promise<void> {
    this.#whole.update(bytes)
    this.#bytes += bytes.length
    const kept = bytes.subarray(0, this.#most - this.#kept)
    this.#keptPart?.update(kept)
    for (let at = 0; at < kept.length; at += PIECE_BYTES) await this.#add(kept.subarray(at, at + PIECE_BYTES))
    for (const digest of digests) {
      if (this.#piece !== undefined && this.#piece.digests.size >= PIECE_DIGESTS) await this.#flush()
      this.#begun().digests.add(digest)
    }
  }

  async #add(part: Uint8Array): Promise<void> {
    const under = this.#piece
    const isFull = under !== undefined && under.size + part.length > PIECE_BYTES
    if (isFull || (under !== undefined && this.#parts.now() - under.at > PIECE_MS)) await this.#flush()
    const piece = this.#begun()
    piece.parts.push(part)
    piece.size += part.length
    this.#kept += part.length
  }

  #begun(): Piece {
    this.#piece ??= { at: this.#parts.now(), offset: this.#kept, parts: [], digests: new Set(), size: 0 }
    return this.#piece
  }

  async #flush(last?: { readonly mark: string }): Promise<void> {
    const piece = this.#begun()
    this.#piece = undefined
    const row = this.#row(piece, last)
    await this.#appending
    this.#appending = this.#parts.append(row)
    // Whoever comes next hears of it; until then it is nobody's unheard rejection.
    this.#appending.catch(() => {})
  }

  async #end(mark: string): Promise<KeptBody> {
    const { keep, type } = this.#parts.body
    // Of a body of which nothing is kept there is something to write only where secrets were found in it, or it was marked.
    const isSilent = keep === 'digest' && this.#chunk === 0 && this.#piece === undefined && mark === ''
    if (!isSilent) await this.#flush({ mark: [mark, this.#shortening()].filter((it) => it !== '').join('; ') })
    await this.#appending
    this.#state = 'ended'
    const digest = this.#whole.hex()
    return {
      mode: typeof keep === 'object' ? 'first' : keep,
      type,
      bytes: this.#bytes,
      digest,
      kept: this.#kept,
      keptDigest: this.#keptPart?.hex() ?? digest,
    }
  }

  #shortening(): string {
    if (this.#kept === this.#bytes) return ''
    return this.#kept === 0 ? `none of ${this.#bytes} bytes are kept` : `${this.#kept} of ${this.#bytes} bytes are kept`
  }

  #row({ at, offset, parts, digests }: Piece, last: { readonly mark: string } | undefined): UnplacedPayload {
    const { body, writer, epoch, retainUntil } = this.#parts
    const { exchange, direction, type } = body
    return {
      ts: Math.round(at * 1000),
      exchange_id: exchange.id,
      direction,
      chunk: this.#chunk++,
      offset,
      type,
      content: concatenated(parts),
      is_last: last !== undefined,
      mark: last?.mark ?? '',
      digests: [...digests],
      connection: exchange.connection,
      issuer: exchange.principal.issuer,
      subject: exchange.principal.subject,
      writer,
      epoch,
      retain_until: retainUntil,
    }
  }
}

function mostOf(keep: Keep): number {
  if (keep === 'full') return Infinity
  return keep === 'digest' ? 0 : keep.first
}
