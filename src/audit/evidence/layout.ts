/**
 * An evidence pack: a tar whose members these are. Pure; what writes packs and what reads them agree here.
 *
 *     README.txt                                                   what this is, in words
 *     readable/<day>-<part>.ndjson.gz | .parquet                    the records, for people and their tools
 *     approvals.ndjson · masked-columns.ndjson · policies/<digest>/<path> · access.json
 *     records/<writer>/<epoch>/segments-<a>-<b>.rowbinary.gz        whole rows of the segments a to b, as they were written
 *     records/<writer>/<epoch>/segments-<a>-<a>.<piece>.rowbinary.gz  of one segment that is too large for one member
 *     segments/<writer>/<epoch>/<a>-<b>.ndjson                      rows of `segments`, every one from the first to the last
 *     checkpoints/<writer>/<epoch>.txt                              signed notes, oldest first, a line `---` between them
 *     proofs/<writer>/<epoch>.json                                  `PackProofs`
 *     report.html
 *     manifest.json                                                 the last: `Manifest`
 *
 * A member is at most `MEMBER_BYTES` before compression but for a single row that is larger. Members of one folder come in
 * the order of their first segment. A pack of an auditor who may see some connections alone has no `records/`,
 * `segments/`, `checkpoints/` and `proofs/`: whole segments would tell of the others.
 */

import { base64, fromBase64 } from '../../bytes.ts'
import { nodeHash, type Sha256 } from '../proof/merkle.ts'

export const PACK_FORMAT = 'sluice-evidence'
export const PACK_VERSION = 1

/** What a member is aimed at, and what it holds at most unless one row is larger. */
export const MEMBER_BYTES = 16 * 1024 * 1024

export const RECORDS_PATH =
  /^records\/(?<writer>[^/]+)\/(?<epoch>[0-9a-f-]{36})\/segments-(?<first>\d+)-(?<last>\d+)(?:\.(?<piece>\d+))?\.rowbinary\.gz$/
export const SEGMENTS_PATH = /^segments\/(?<writer>[^/]+)\/(?<epoch>[0-9a-f-]{36})\/(?<first>\d+)-(?<last>\d+)\.ndjson$/
export const CHECKPOINTS_PATH = /^checkpoints\/(?<writer>[^/]+)\/(?<epoch>[0-9a-f-]{36})\.txt$/
export const PROOFS_PATH = /^proofs\/(?<writer>[^/]+)\/(?<epoch>[0-9a-f-]{36})\.json$/

/** Between the notes of a member of `checkpoints/`: a line of its own. */
export const NOTE_SEPARATOR = '---\n'

/** Each row of a member of `records/`: its length as 4 bytes, little-endian, and its bytes with the 16 of its place. */
export const LENGTH_BYTES = 4

/** One line of a member of `segments/`: a row of `segments`. */
export interface PackedSegment {
  readonly writer: string
  readonly epoch: string
  readonly segment: number
  readonly schema: number
  readonly first_seq: number
  readonly records: number
  /** As the column holds it. */
  readonly root: string
  /** Base64: 32 bytes for each row. */
  readonly leaves: string
  /** Base64: 2 bytes for each row, little-endian. */
  readonly days: string
  /** RFC 3339, UTC. */
  readonly sealed_at: string
}

/**
 * What ties the segments of a pack to signed heads. All hashes in base64; positions count entries of the log from 0, which
 * is the entry of segment `first`.
 */
export interface PackProofs {
  readonly writer: string
  readonly epoch: string
  /** The segment of the first entry of the log. */
  readonly first: number
  /** The newest checkpoint of the pack: all of this file leads to its root. */
  readonly size: number
  readonly root: string
  /**
   * The entries from `from` (inclusive) to `to` (exclusive) are those of `segments/`. `left` are the roots of the largest
   * whole subtrees that make up the entries before them, `right` of those behind, both from left to right: hashed
   * together they are the root. Absent where the pack has no segment that the checkpoint covers.
   */
  readonly inclusion?: {
    readonly from: number
    readonly to: number
    readonly left: readonly string[]
    readonly right: readonly string[]
  }
  /** From each checkpoint of the pack to the next that is larger: RFC 6962 consistency proofs. */
  readonly consistency: readonly { readonly from: number; readonly to: number; readonly hashes: readonly string[] }[]
}

export interface PackedFile {
  readonly path: string
  /** In the pack, so compressed where its name says so. */
  readonly bytes: number
  /** 64 hex digits. */
  readonly sha256: string
}

/** The last member, `manifest.json`. Times in RFC 3339, UTC. */
export interface Manifest {
  readonly format: typeof PACK_FORMAT
  readonly version: typeof PACK_VERSION
  readonly from: string
  /** Exclusive. */
  readonly to: string
  readonly made_at: string
  /** Who asked for it. */
  readonly by: { readonly issuer: string; readonly subject: string }
  /** The exchange under which the export is itself recorded. */
  readonly exchange: string
  /** `null`: all. */
  readonly connections: readonly string[] | null
  /** Whether whole segments are in it: without them nothing can be checked against a checkpoint. */
  readonly verifiable: boolean
  readonly controls: readonly string[]
  readonly counts: Readonly<Record<string, number>>
  /** Public keys of checkpoints, as vkeys of signed notes. Take them from elsewhere to trust them. */
  readonly verifierKeys: readonly string[]
  /** What a reader must know of what is not in it. */
  readonly notes: readonly string[]
  /** Every member but this one, in their order. */
  readonly files: readonly PackedFile[]
  /** A signed note over `manifestText` of the manifest without this member. Absent where nothing could sign it. */
  readonly signature?: string
}

/** What is signed of a manifest: `json` is the manifest without its signature, as JSON with two spaces. */
export function manifestText(sha256: Sha256, json: string): string {
  return `sluice-evidence manifest v1\n${base64(sha256(new TextEncoder().encode(json)))}\n`
}

/** A run of leaves of a tree, from `start` to `end`. */
export interface Leaves {
  readonly start: number
  readonly end: number
}

/** The largest complete subtrees that make up the leaves from `start` to `end` of a tree, from left to right. */
export function wholeSubtrees(start: number, end: number): readonly Leaves[] {
  const found: Leaves[] = []
  for (let at = start; at < end;) {
    let size = 1
    while (at % (size * 2) === 0 && at + size * 2 <= end) size *= 2
    found.push({ start: at, end: at + size })
    at += size
  }
  return found
}

/**
 * The root to which these leaf hashes lead, which are those of the entries from `from` to `to`; `undefined` where the proof is
 * not one for a tree of `size`. To be compared with the root of the checkpoint.
 */
export function rootOfInclusion(
  sha256: Sha256,
  { size, inclusion }: Pick<PackProofs, 'size' | 'inclusion'>,
  leaves: Iterable<Uint8Array>,
): Uint8Array | undefined {
  if (inclusion === undefined) return undefined
  const { from, to } = inclusion
  const left = hashesOf(inclusion.left, wholeSubtrees(0, from))
  const right = hashesOf(inclusion.right, wholeSubtrees(to, size))
  if (left === undefined || right === undefined) return undefined
  const stack: { level: number; hash: Uint8Array }[] = []
  const push = (level: number, hash: Uint8Array): void => {
    let added = { level, hash }
    for (let last = stack.at(-1); last !== undefined && last.level === added.level; last = stack.at(-1)) {
      stack.pop()
      added = { level: added.level + 1, hash: nodeHash(sha256, last.hash, added.hash) }
    }
    stack.push(added)
  }
  let count = 0
  for (const { level, hash } of left) push(level, hash)
  for (const leaf of leaves) {
    push(0, leaf)
    count++
  }
  for (const { level, hash } of right) push(level, hash)
  if (count !== to - from) return undefined
  return stack
    .slice(0, -1)
    .reduceRight((hash, { hash: sibling }) => nodeHash(sha256, sibling, hash), stack.at(-1)?.hash ?? sha256())
}

function hashesOf(encoded: readonly string[], ranges: readonly Leaves[]) {
  if (encoded.length !== ranges.length || !encoded.every((hash) => HASH.test(hash))) return undefined
  return ranges.map(({ start, end }, i) => ({ level: Math.log2(end - start), hash: fromBase64(encoded[i] ?? '') }))
}
/** 32 bytes in base64. */
const HASH = /^[A-Za-z0-9+/]{43}=$/
