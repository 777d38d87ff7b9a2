/** The segments of a log one behind the other, every record of them hashed again. Pure. */
import { damagedBytes, entryBytes } from '../proof/entry.ts'
import { equalBytes, leafHash, rootOf, type Sha256 } from '../proof/merkle.ts'
import { decodeRow } from '../record.ts'
import type { BodyCheck } from './bodies.ts'
import type { Evidence, LogId, ProblemCode, StoredSegment } from './contract.ts'

/** Names what is wrong with a segment, or with one record of it. */
export type Say = (code: ProblemCode, words: string, segment: number, seq?: number) => void

export interface RecordOptions {
  readonly sha256: Sha256
  /** Milliseconds since 1970 UTC. */
  readonly now: number
  /** Whether the records of a segment are read at all. */
  isWanted(segment: number): boolean
  readonly say: Say
  readonly bodies?: BodyCheck
  readonly progress?: (records: number) => void
}

/** A segment, and the leaf that it is in the tree of its log. */
export interface Entry {
  readonly segment: StoredSegment
  readonly leaf: Uint8Array
}

/** Records that are read together, and the segments that these may be of. */
const BATCH_RECORDS = 20_000
const BATCH_SEGMENTS = 256

export class RecordCheck {
  readonly #evidence: Evidence
  readonly #log: LogId
  readonly #options: RecordOptions
  /** That are as they were written, or not; and that are gone because their time was over. */
  records = 0
  expired = 0

  constructor(evidence: Evidence, log: LogId, options: RecordOptions) {
    this.#evidence = evidence
    this.#log = log
    this.#options = options
  }

  /** Each segment, once its records are checked against what it says of them. */
  async *entries(): AsyncGenerator<Entry> {
    let batch: StoredSegment[] = []
    let records = 0
    for await (const segment of this.#evidence.segments(this.#log)) {
      const last = batch.at(-1)
      const isFull = batch.length >= BATCH_SEGMENTS || records + segment.records > BATCH_RECORDS
      if (last !== undefined && (isFull || last.schema !== segment.schema)) {
        yield* await this.#checked(batch)
        batch = []
        records = 0
      }
      batch.push(segment)
      records += segment.records
    }
    yield* await this.#checked(batch)
    await this.#options.bodies?.flush()
  }

  async #checked(batch: readonly StoredSegment[]): Promise<readonly Entry[]> {
    // What is said of a segment that cannot be so is not held against its records: it leads to no head anyway.
    const sound = batch.filter((segment) => !isDamaged(segment) && this.#isSound(segment))
    const wanted = sound.filter(({ segment }) => this.#options.isWanted(segment))
    if (wanted.length > 0) await this.#checkRows(wanted)
    for (const segment of batch) {
      if (isDamaged(segment) && this.#options.isWanted(segment.segment)) await this.#mustBeEmpty(segment)
    }
    return batch.map((segment) => ({ segment, leaf: entryLeaf(this.#options.sha256, segment) }))
  }

  /** Nothing of a segment that was damaged was ever delivered. */
  async #mustBeEmpty(segment: StoredSegment): Promise<void> {
    for await (const row of this.#evidence.rows(this.#log, [segment])) {
      const words = 'its segment was damaged before any of it was delivered'
      this.#options.say('record-inserted', words, segment.segment, placeOf(row).seq)
    }
  }

  /** That its root is over its leaves. */
  #isSound({ segment, records, leaves, days, root }: StoredSegment): boolean {
    const { sha256, say } = this.#options
    if (leaves.length !== records * 32 || days.length !== records * 2) {
      say('segment-changed', 'it has not as many leaves as records', segment)
      return false
    }
    if (!equalBytes(rootOf(sha256, leavesOf(leaves)), root)) {
      say('segment-changed', 'its root is not over its leaves', segment)
    }
    return true
  }

  async #checkRows(segments: readonly StoredSegment[]): Promise<void> {
    const { say, progress } = this.#options
    const open = new Map(
      segments.map((segment) => [segment.segment, { segment, seen: new Uint8Array(segment.records) }]),
    )
    for await (const row of this.#evidence.rows(this.#log, segments)) {
      const { segment, seq } = placeOf(row)
      const place = open.get(segment)
      const at = place === undefined ? -1 : seq - place.segment.firstSeq
      if (place === undefined || !(at >= 0 && at < place.segment.records)) {
        say('record-inserted', 'there is no such place in its segment', segment, seq)
      } else if (place.seen[at] === 1) {
        say('record-inserted', 'it is there twice', segment, seq)
      } else {
        place.seen[at] = 1
        await this.#checkRow(row, place.segment, at)
      }
    }
    for (const { segment, seen } of open.values()) this.#missing(segment, seen)
    progress?.(this.records)
  }

  async #checkRow(row: Uint8Array, { segment, schema, firstSeq, leaves }: StoredSegment, at: number): Promise<void> {
    const { sha256, say, bodies } = this.#options
    this.records++
    if (equalBytes(leafHash(sha256, row), leaves.subarray(at * 32, at * 32 + 32))) {
      await bodies?.add(decodeRow(row, schema))
    } else say('record-changed', 'it is not what was written', segment, firstSeq + at)
  }

  /** A record may be gone once the day until which it was to be kept is past. */
  #missing({ segment, firstSeq, days }: StoredSegment, seen: Uint8Array): void {
    const today = Math.floor(this.#options.now / 86_400_000)
    const view = new DataView(days.buffer, days.byteOffset, days.byteLength)
    for (const [at, mark] of seen.entries()) {
      if (mark === 1) continue
      if (view.getUint16(at * 2, true) <= today) this.expired++
      else this.#options.say('record-missing', 'it is gone before its time', segment, firstSeq + at)
    }
  }
}

/** Says of itself that its rows could not be read any more when it was added to the tree. */
export function isDamaged({ root, leaves, days }: Pick<StoredSegment, 'root' | 'leaves' | 'days'>): boolean {
  return root.length === 0 && leaves.length === 0 && days.length === 0
}

/** The hash of the entry that a segment is in the tree of its log. */
export function entryLeaf(sha256: Sha256, segment: StoredSegment): Uint8Array {
  return leafHash(sha256, isDamaged(segment) ? damagedBytes(segment) : entryBytes(sha256, segment))
}

/** The leaf hashes of a segment one by one. */
export function leavesOf(leaves: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: Math.floor(leaves.length / 32) }, (_, i) => leaves.subarray(i * 32, i * 32 + 32))
}

/** The last 16 bytes of a row. */
function placeOf(row: Uint8Array): { readonly segment: number; readonly seq: number } {
  if (row.byteLength < 16) return { segment: -1, seq: -1 }
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength)
  return {
    segment: Number(view.getBigUint64(row.byteLength - 16, true)),
    seq: Number(view.getBigUint64(row.byteLength - 8, true)),
  }
}
