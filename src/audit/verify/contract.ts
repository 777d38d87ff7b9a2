/**
 * What verifying asks of where the evidence is, and what it says. Nothing here, nor beside it, imports what writes evidence:
 * only the form of rows, and the mathematics.
 */

/** One journal of one gateway. */
export interface LogId {
  readonly writer: string
  readonly epoch: string
}

/** A row of `segments`, as it is stored: nothing of it is believed before it leads to a signed head. */
export interface StoredSegment {
  readonly segment: number
  readonly schema: number
  readonly firstSeq: number
  readonly records: number
  readonly root: Uint8Array
  readonly leaves: Uint8Array
  readonly days: Uint8Array
  /** Milliseconds since 1970 UTC. */
  readonly sealedAt: number
}

/** Where evidence is: a live store, or a pack. */
export interface Evidence {
  /** Every log of which there is a row, a segment or a checkpoint. */
  logs(): Promise<readonly LogId[]>
  /** Signed notes, in any order. */
  checkpoints(log: LogId): Promise<readonly string[]>
  /** In the order of segments. */
  segments(log: LogId): AsyncIterable<StoredSegment>
  /** The bytes of all rows of these segments, which follow each other and have one schema, in the order of their places. */
  rows(log: LogId, segments: readonly StoredSegment[]): AsyncIterable<Uint8Array>
  /** Segments of which there are more rows than `segments` knows, or that it does not know at all. */
  surplus(log: LogId): Promise<readonly Surplus[]>
  /** What leads from the segments that are here to a signed head; absent where they are all there ever were. */
  proofs?(log: LogId): Promise<Lead | undefined>
  /** What is kept of the bodies of these exchanges, each body's pieces in their order; absent where bodies are elsewhere. */
  readonly bodies?: (exchanges: readonly string[]) => AsyncIterable<BodyPiece>
}

export interface BodyPiece {
  readonly exchange: string
  readonly direction: string
  readonly content: Uint8Array
}

export interface Surplus {
  readonly segment: number
  /** Rows that should not be there. */
  readonly records: number
  /** Whether `segments` knows it. */
  readonly isKnown: boolean
  /** Milliseconds since 1970 UTC of the newest of its rows. */
  readonly newest: number
}

/** How a part of a log leads to the head of the whole. */
export interface Lead {
  readonly first: number
  readonly size: number
  /** Positions of its entries, `to` exclusive; equal where it leads from nothing. */
  readonly from: number
  readonly to: number
  /** The root of the whole that the leaf hashes of all its entries lead to; `undefined`: the proof is none. */
  root(leaves: readonly Uint8Array[]): Uint8Array | undefined
  /** The root of the log when it ended with the last of these, the first of its entries' leaf hashes. */
  rootThen(leaves: readonly Uint8Array[]): Uint8Array | undefined
  readonly consistency: readonly {
    readonly from: number
    readonly to: number
    readonly hashes: readonly Uint8Array[]
  }[]
}

export type ProblemCode =
  | 'record-changed'
  | 'record-missing'
  | 'record-inserted'
  | 'record-misplaced'
  | 'segment-changed'
  | 'segment-missing'
  | 'segment-damaged'
  | 'sequence-gap'
  | 'checkpoint-mismatch'
  | 'checkpoint-forged'
  | 'checkpoint-unsigned'
  | 'rolled-back'
  | 'truncated'
  | 'not-signed'
  | 'log-missing'
  | 'writer-missing'
  | 'silent'
  | 'pack-changed'
  | 'body-changed'
  | 'body-missing'

/** Something that is not as it was written. */
export interface Problem {
  readonly code: ProblemCode
  /** `<writer>/<epoch>` */
  readonly log?: string
  readonly segment?: number
  /** The `writer_seq` of the record. */
  readonly seq?: number
  readonly words: string
}

export interface LogReport extends LogId {
  readonly segments: number
  readonly records: number
  /** Records that are gone because they were to be kept until a day that is past. */
  readonly expired: number
  /** Segments that a checkpoint of a moment ago covers and that are still on their way, or the other way around. */
  readonly pending: number
  /** Entries under the newest signed head that leads to them, and when that was signed, milliseconds since 1970 UTC. */
  readonly signedSize: number
  readonly signedAt?: number
  readonly checkpoints: number
  /**
   * Bodies that are as their records say, those that are gone because their time was over, and those that are on their way.
   * Absent: not looked at.
   */
  readonly bodies?: { readonly whole: number; readonly expired: number; readonly pending: number }
  /** Of a part of a log: whatever was sealed between these times is in it, milliseconds since 1970 UTC. */
  readonly complete?: { readonly from: number; readonly to: number }
}

export interface VerifyReport {
  readonly logs: readonly LogReport[]
  readonly problems: readonly Problem[]
}
