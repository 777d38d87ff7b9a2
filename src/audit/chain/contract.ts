/** What the audit log asks of the chain: the Merkle tree over its sealed segments, and the signed heads of it. */
import type { SealedRows } from '../ship.ts'

export interface Chain {
  /** The last segment that is in the tree; 0 where none is. */
  reached(): number
  /**
   * Adds a segment by its rows. Durable when it resolves. One that is in the tree already changes nothing; one that is in it
   * with other rows, or is not the next, rejects.
   */
  extend(sealed: SealedRows, rows: readonly Uint8Array[]): Promise<void>
  /** Adds a segment whose rows cannot be read any more: the tree says so for ever. */
  extendDamaged(sealed: SealedRows): Promise<void>
  /** Begins to sign heads: at once, whenever the tree has grown, and when it has not, so that silence is seen. */
  start(): void
  status(): ChainStatus
  /** Signs the last head, hands it to whoever takes it within `boundMs`, and closes. */
  close(boundMs: number): Promise<void>
}

export interface ChainStatus {
  /** Segments in the tree. */
  readonly size: number
  /** Milliseconds since 1970 UTC of the last signed head. */
  readonly signedAt?: number
  /** Exports that do not get on, by name, with a short code. */
  readonly problems: Readonly<Record<string, string>>
}

/** A signed head on its way out. */
export interface Checkpoint {
  readonly origin: string
  readonly writer: string
  readonly epoch: string
  /** Segments that it covers. */
  readonly size: number
  /** Base64. */
  readonly root: string
  /** Milliseconds since 1970 UTC. */
  readonly signedAt: number
  /** The signed note, C2SP tlog-checkpoint, with what witnesses added. */
  readonly note: string
}

/** Somewhere a checkpoint goes: a file, standard output, ClickHouse. MUST reject where it did not arrive. */
export interface CheckpointSink {
  readonly name: string
  take(checkpoint: Checkpoint, signal: AbortSignal): Promise<void>
}
