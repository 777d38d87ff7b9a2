/** What ties the segments of a pack to signed heads: the heads, that each grew out of the one before, and a proof for all. */
import * as z from 'zod'
import { base64, fromBase64 } from '../../bytes.ts'
import { orAbort } from '../../runtime.ts'
import { damagedBytes, entryBytes, parseCheckpoint, type CheckpointBody } from '../proof/entry.ts'
import { CompactRange, leafHash, nodeHash, proveConsistency, rangeRoot, type Sha256 } from '../proof/merkle.ts'
import { parseNote } from '../proof/note.ts'
import { NOTE_SEPARATOR, wholeSubtrees, type Leaves, type PackProofs } from './layout.ts'
import { json, pathPart, text, type Member } from './pack.ts'
import type { Log } from './segments.ts'
import type { Store } from './store.ts'

/** What ties a log of the pack to a signed head. */
export interface Head {
  readonly writer: string
  readonly epoch: string
  /** Segments with records in the span. */
  readonly first: number
  readonly last: number
  readonly checkpoints: number
  /** Of the newest checkpoint; absent where there is none. */
  readonly size?: number
  /** Milliseconds since 1970 UTC. */
  readonly signedAt?: number
  /** Whether it covers the last segment. */
  readonly covered: boolean
  /** Seconds of the longest time in the span without a signed head between two. */
  readonly silence: number
}

/** For how long after a record a head that covers it is waited for: heads are signed now and then. */
export interface Patience {
  readonly now: () => number
  readonly mostMs: number
}

/** The checkpoints and proofs of each log. What cannot be proven is left out of them, and the verifier says so. */
export async function* proofMembers(
  store: Store,
  logs: readonly Log[],
  sha256: Sha256,
  signal: AbortSignal,
): AsyncGenerator<Member, readonly Head[]> {
  const heads: Head[] = []
  for (const log of logs) {
    const { writer, epoch, first, last } = log
    const checkpoints = await checkpointsOf(store, log, signal)
    const newest = checkpoints.at(-1)
    const covered = isCovered(log, checkpoints)
    const silence = await silenceOf(store, log, signal)
    const head = { writer, epoch, first, last, checkpoints: checkpoints.length, covered, silence }
    heads.push(newest === undefined ? head : { ...head, size: newest.body.size, signedAt: newest.body.time })
    if (newest === undefined) continue
    const folder = `${pathPart(writer)}/${epoch}`
    yield text(`checkpoints/${folder}.txt`, checkpoints.map(({ note }) => note).join(NOTE_SEPARATOR))
    yield json(`proofs/${folder}.json`, await proofsOf(store, log, checkpoints, sha256, signal))
  }
  return heads
}

/**
 * Resolves once the last segment of each log is in `segments` and under a signed head, or once neither can be expected any
 * more: records come into the store a moment before what is said of them.
 */
export async function awaitHeads(
  store: Store,
  logs: readonly Log[],
  { now, mostMs }: Patience,
  signal: AbortSignal,
): Promise<void> {
  for (const log of logs) {
    const until = (log.blocks.at(-1)?.to ?? 0) + mostMs
    while (now() < until) {
      const known = isCovered(log, await checkpointsOf(store, log, signal)) && (await isHashed(store, log, signal))
      if (known) break
      await pause(ASK_AGAIN_MS, signal)
    }
  }
}

const hashedRow = z.object({ hashed: z.number() })

async function isHashed(store: Store, { writer, epoch, last }: Log, signal: AbortSignal): Promise<boolean> {
  const [row] = await store.rows(
    hashedRow,
    `SELECT count() AS hashed FROM segments
    WHERE writer = {writer:String} AND epoch = {epoch:UUID} AND segment = {last:UInt64}`,
    { writer, epoch, last },
    signal,
  )
  return (row?.hashed ?? 0) > 0
}
const ASK_AGAIN_MS = 1000

function isCovered({ last }: Log, checkpoints: readonly Signed[]): boolean {
  const newest = checkpoints.at(-1)?.body
  return newest !== undefined && last < newest.first + newest.size
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    await orAbort(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))), signal)
  } finally {
    clearTimeout(timer)
  }
}

interface Signed {
  readonly note: string
  readonly body: CheckpointBody
}

const noteRow = z.object({ note: z.string(), size: z.number() })

/**
 * The last before the span, one an hour of it, and the first that covers its last segment; those of a size once. They are
 * handed on as they are in the store: whether they are signed is the verifier's to say.
 */
async function checkpointsOf(store: Store, { writer, epoch, last }: Log, signal: AbortSignal): Promise<Signed[]> {
  const OF_LOG = 'writer = {writer:String} AND epoch = {epoch:UUID}'
  const FROM = `fromUnixTimestamp64Milli({span_from:Int64}, 'UTC')`
  const TO = `fromUnixTimestamp64Milli({span_to:Int64}, 'UTC')`
  const rows = await store.rows(
    noteRow,
    `SELECT note, size FROM (
      SELECT argMax(c.note, c.signed_at) AS note, argMax(c.size, c.signed_at) AS size FROM checkpoints AS c
        WHERE ${OF_LOG} AND c.signed_at < ${FROM} HAVING count() > 0
      UNION ALL
      SELECT argMax(c.note, c.signed_at) AS note, argMax(c.size, c.signed_at) AS size FROM checkpoints AS c
        WHERE ${OF_LOG} AND c.signed_at >= ${FROM} AND c.signed_at < ${TO} GROUP BY toStartOfHour(c.signed_at)
      UNION ALL
      SELECT c.note AS note, c.size AS size FROM checkpoints AS c
        WHERE ${OF_LOG} AND c.signed_at >= ${FROM} AND c.size + ${FIRST} > {last:UInt64} ORDER BY c.signed_at LIMIT 1)
    ORDER BY size LIMIT ${MOST_CHECKPOINTS}`,
    { writer, epoch, last },
    signal,
  )
  const found: Signed[] = []
  for (const { note } of rows) {
    const body = bodyOf(note)
    // A row that holds no checkpoint is no evidence; that it is there is for the verifier of the store.
    if (body !== undefined && found.at(-1)?.body.size !== body.size) found.push({ note, body })
  }
  return found
}
const silenceRow = z.object({ silence: z.number() })

async function silenceOf(store: Store, { writer, epoch }: Log, signal: AbortSignal): Promise<number> {
  const [row] = await store.rows(
    silenceRow,
    `SELECT max(waited) AS silence FROM (
      SELECT dateDiff('second', lagInFrame(signed_at, 1, signed_at) OVER (ORDER BY signed_at), signed_at) AS waited
      FROM checkpoints WHERE writer = {writer:String} AND epoch = {epoch:UUID}
        AND signed_at >= fromUnixTimestamp64Milli({span_from:Int64}, 'UTC')
        AND signed_at < fromUnixTimestamp64Milli({span_to:Int64}, 'UTC'))`,
    { writer, epoch },
    signal,
  )
  return row?.silence ?? 0
}

/** One an hour for two years. */
const MOST_CHECKPOINTS = 20_000
/** The segment of the first entry, as a checkpoint says it; 1 where it says nothing. */
const FIRST = `toUInt64OrZero(if(extract(c.note, '\\nfirst ([0-9]+)\\n') = '', '1', extract(c.note, '\\nfirst ([0-9]+)\\n')))`

function bodyOf(note: string): CheckpointBody | undefined {
  try {
    return parseCheckpoint(parseNote(note).text)
  } catch {
    return undefined
  }
}

async function proofsOf(
  store: Store,
  log: Log,
  checkpoints: readonly Signed[],
  sha256: Sha256,
  signal: AbortSignal,
): Promise<PackProofs> {
  const { writer, epoch } = log
  const { first, size, root } = checkpoints.at(-1)?.body ?? { first: 1, size: 0, root: new Uint8Array(32) }
  const proofs: PackProofs = { writer, epoch, first, size, root: base64(root), consistency: [] }
  const tree = await Tree.read(store, { writer, epoch, first, size }, sha256, signal)
  if (tree === undefined) return proofs
  const read = (level: number, index: number): Promise<Uint8Array> => tree.node(level, index)
  const consistency: PackProofs['consistency'][number][] = []
  for (const [i, { body }] of checkpoints.entries()) {
    const next = checkpoints[i + 1]?.body
    if (next === undefined || body.size === 0) continue
    const hashes = await proveConsistency(sha256, read, body.size, next.size)
    consistency.push({ from: body.size, to: next.size, hashes: hashes.map(base64) })
  }
  const from = Math.max(0, log.first - first)
  const to = Math.min(size, log.last - first + 1)
  if (from >= to) return { ...proofs, consistency }
  const roots = async (ranges: readonly Leaves[]): Promise<readonly string[]> => {
    const hashes: string[] = []
    for (const range of ranges) hashes.push(base64(await rangeRoot(sha256, read, range.start, range.end)))
    return hashes
  }
  const inclusion = { from, to, left: await roots(wholeSubtrees(0, from)), right: await roots(wholeSubtrees(to, size)) }
  return { ...proofs, inclusion, consistency }
}

/** Leaves of a block: the hashes of what is below are made again when they are asked for. */
const LEVEL = 8
const BLOCK = 2 ** LEVEL
/** Blocks that are read at once, and that are kept. */
const BLOCKS = 16

const entryRow = z.object({
  segment: z.number(),
  schema: z.number(),
  first_seq: z.number(),
  records: z.number(),
  root: z.string(),
  days: z.string(),
})

interface TreeOf {
  readonly writer: string
  readonly epoch: string
  readonly first: number
  readonly size: number
}

/** The log's tree as `segments` holds it: of the lower levels, whatever was asked for last. */
class Tree {
  readonly #store: Store
  readonly #of: TreeOf
  readonly #sha256: Sha256
  readonly #signal: AbortSignal
  /** By level, from `LEVEL` on. */
  readonly #nodes: Uint8Array[][] = []
  /** The last few that were asked for, by number. */
  readonly #blocks = new Map<number, readonly Uint8Array[]>()

  private constructor(store: Store, of: TreeOf, sha256: Sha256, signal: AbortSignal) {
    this.#store = store
    this.#of = of
    this.#sha256 = sha256
    this.#signal = signal
  }

  /** `undefined` where an entry is missing: then nothing can be proven of the tree. */
  static async read(store: Store, of: TreeOf, sha256: Sha256, signal: AbortSignal): Promise<Tree | undefined> {
    const tree = new Tree(store, of, sha256, signal)
    return (await tree.#fill()) ? tree : undefined
  }

  /** The hash of the `index`th complete subtree of 2^level leaves. */
  async node(level: number, index: number): Promise<Uint8Array> {
    const kept = this.#nodes[level - LEVEL]?.[index]
    if (kept !== undefined) return kept
    const width = 2 ** level
    const block = Math.floor((index * width) / BLOCK)
    const leaves = this.#blocks.get(block) ?? (await this.#leaves(block * BLOCK, (block + 1) * BLOCK))
    this.#blocks.delete(block)
    this.#blocks.set(block, leaves)
    for (const old of [...this.#blocks.keys()].slice(0, -BLOCKS)) this.#blocks.delete(old)
    const start = index * width - block * BLOCK
    const range = new CompactRange(this.#sha256)
    for (const leaf of leaves.slice(start, start + width)) range.add(leaf)
    if (range.size !== width) throw new Error('an entry of the log has gone while it was read')
    return range.root()
  }

  async #fill(): Promise<boolean> {
    const { size } = this.#of
    for (let start = 0; start < size; start += BLOCK * BLOCKS) {
      const end = Math.min(size, start + BLOCK * BLOCKS)
      const leaves = await this.#leaves(start, end)
      if (leaves.length !== end - start) return false
      for (let at = 0; at + BLOCK <= leaves.length; at += BLOCK) {
        const range = new CompactRange(this.#sha256)
        for (const leaf of leaves.slice(at, at + BLOCK)) range.add(leaf)
        this.#keep(0, range.root())
      }
    }
    return true
  }

  /** Keeps the next node of a level, and what it completes. */
  #keep(level: number, hash: Uint8Array): void {
    const nodes = (this.#nodes[level] ??= [])
    nodes.push(hash)
    const left = nodes.at(-2)
    if (nodes.length % 2 === 0 && left !== undefined) this.#keep(level + 1, nodeHash(this.#sha256, left, hash))
  }

  /** The hashes of the entries from `start` to `end`, as far as they are there and none is missing between them. */
  async #leaves(start: number, end: number): Promise<readonly Uint8Array[]> {
    const { writer, epoch, first, size } = this.#of
    const rows = await this.#store.rows(
      entryRow,
      `SELECT segment, schema, first_seq, records, root, base64Encode(days) AS days FROM segments FINAL
      WHERE writer = {writer:String} AND epoch = {epoch:UUID} AND segment >= {low:UInt64} AND segment < {high:UInt64}
      ORDER BY segment`,
      { writer, epoch, low: first + start, high: first + Math.min(end, size) },
      this.#signal,
    )
    const whole = rows.findIndex(({ segment }, i) => segment !== first + start + i)
    return rows.slice(0, whole === -1 ? rows.length : whole).map((row) => leafOf(row, this.#sha256))
  }
}

/** The hash of a segment's entry; one without a root is a damaged one. */
function leafOf(row: z.infer<typeof entryRow>, sha256: Sha256): Uint8Array {
  const place = { segment: row.segment, schema: row.schema, firstSeq: row.first_seq, records: row.records }
  if (row.root === '') return leafHash(sha256, damagedBytes(place))
  return leafHash(sha256, entryBytes(sha256, { ...place, root: fromHex(row.root), days: fromBase64(row.days) }))
}

function fromHex(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/[0-9a-f]{2}/g) ?? [], (pair) => Number.parseInt(pair, 16))
}
