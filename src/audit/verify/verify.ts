/**
 * Verifies evidence, trusting nothing but public keys: every record is hashed again, every segment's hash leads to a head that
 * a trusted key has signed, and whatever does not is named. Pure.
 */
import { parseCheckpoint, damagedBytes, entryBytes, originParts, type CheckpointBody } from '../proof/entry.ts'
import { CompactRange, equalBytes, isConsistent, leafHash, rootOf, type Sha256 } from '../proof/merkle.ts'
import { MalformedNote, parseNote, signersOf, type VerifierKey } from '../proof/note.ts'
import type { Evidence, Lead, LogId, LogReport, Problem, ProblemCode, StoredSegment, VerifyReport } from './contract.ts'

export interface VerifyOptions {
  readonly sha256: Sha256
  /** Whoever these belong to is believed; one signature is enough. */
  readonly keys: readonly VerifierKey[]
  /** Signed notes that were kept elsewhere, of any of the logs. */
  readonly kept?: readonly string[]
  /** Writers that must be there. */
  readonly writers?: readonly string[]
  /** Milliseconds since 1970 UTC. */
  readonly now: number
  /** For how long, in milliseconds, what is on its way may still be missing. */
  readonly graceMs: number
  /** The newest checkpoint of each log must be no older, in milliseconds; absent: it may be of any age. */
  readonly aliveMs?: number
  /** Called now and then with how many records were hashed. */
  readonly progress?: (records: number) => void
}

/** Of one kind, in one log: more are counted and not told one by one. */
const MOST_OF_A_KIND = 20
/** Records that are read together. */
const BATCH_RECORDS = 20_000
const BATCH_SEGMENTS = 256

export async function verify(evidence: Evidence, options: VerifyOptions): Promise<VerifyReport> {
  const problems = new Problems()
  const kept = (options.kept ?? []).map((note) => ({ note, id: originOf(note) }))
  const logs = await evidence.logs()
  const known = new Set(logs.map(nameOf))
  for (const { id } of kept) {
    if (id === undefined)
      problems.add({ code: 'checkpoint-forged', words: 'a kept checkpoint is none of a Sluice log' })
    else if (!known.has(nameOf(id))) {
      known.add(nameOf(id))
      problems.add({
        code: 'log-missing',
        log: nameOf(id),
        words: 'a checkpoint of it was kept, and nothing of it is left',
      })
    }
  }
  for (const writer of options.writers ?? []) {
    if (!logs.some((log) => log.writer === writer)) {
      problems.add({ code: 'writer-missing', words: `there is no record of the gateway \`${writer}\`` })
    }
  }
  const reports: LogReport[] = []
  for (const log of logs) {
    const mine = kept.flatMap(({ note, id }) => (id !== undefined && nameOf(id) === nameOf(log) ? [note] : []))
    reports.push(await new LogCheck(evidence, options, log, problems).run(mine))
  }
  return { logs: reports, problems: problems.all }
}

/** What is wrong, the first of each kind in each log, in the order in which it was found. */
class Problems {
  readonly #found: Problem[] = []
  readonly #counts = new Map<string, number>()

  add(problem: Problem): void {
    const kind = `${problem.log ?? ''} ${problem.code}`
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    if (count <= MOST_OF_A_KIND) this.#found.push(problem)
  }

  get all(): readonly Problem[] {
    const more = Array.from(this.#counts)
      .filter(([, count]) => count > MOST_OF_A_KIND)
      .map(([kind, count]): Problem => {
        const [log = '', code = ''] = kind.split(' ')
        return { code: code as ProblemCode, ...(log !== '' && { log }), words: `and ${count - MOST_OF_A_KIND} more` }
      })
    return [...this.#found, ...more]
  }
}

interface Head extends CheckpointBody {
  /** Whether it came with the evidence, and not from elsewhere. */
  readonly isStored: boolean
}

class LogCheck {
  readonly #evidence: Evidence
  readonly #options: VerifyOptions
  readonly #log: LogId
  readonly #problems: Problems
  readonly #name: string
  #records = 0
  #expired = 0

  constructor(evidence: Evidence, options: VerifyOptions, log: LogId, problems: Problems) {
    this.#evidence = evidence
    this.#options = options
    this.#log = log
    this.#problems = problems
    this.#name = nameOf(log)
  }

  async run(kept: readonly string[]): Promise<LogReport> {
    const stored = await this.#evidence.checkpoints(this.#log)
    const heads = [...(await this.#heads(stored, true)), ...(await this.#heads(kept, false))].toSorted(
      (a, b) => a.time - b.time || a.size - b.size,
    )
    this.#mustGrow(heads)
    const lead = await this.#evidence.proofs?.(this.#log)
    const came = this.#evidence.proofs === undefined ? await this.#whole(heads) : await this.#part(heads, lead)
    const pending = came.pending + (await this.#surplus())
    const newest = heads.at(-1)
    if (heads.length === 0) this.#say('not-signed', 'no checkpoint of it is signed by a key that is trusted')
    this.#mustBeAlive(newest)
    return {
      ...this.#log,
      segments: came.segments,
      records: this.#records,
      expired: this.#expired,
      pending,
      signedSize: came.signedSize,
      ...(came.signedAt !== undefined && { signedAt: came.signedAt }),
      checkpoints: heads.length,
    }
  }

  // ── heads ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Those that a trusted key has signed. */
  async #heads(notes: readonly string[], isStored: boolean): Promise<readonly Head[]> {
    const heads: Head[] = []
    for (const text of notes) {
      try {
        const note = parseNote(text)
        const by = await signersOf(note, this.#options.keys)
        const head = parseCheckpoint(note.text)
        const of = originParts(head.origin)
        if (of === undefined || nameOf(of) !== this.#name) {
          this.#say('checkpoint-forged', `a checkpoint of \`${printable(head.origin)}\` is among its own`)
        } else if (by.length === 0) {
          this.#say('checkpoint-unsigned', `that of ${timeText(head.time)} is signed by no key that is trusted`)
        } else heads.push({ ...head, isStored })
      } catch (error) {
        if (!(error instanceof MalformedNote)) throw error
        this.#say('checkpoint-forged', error.message)
      }
    }
    return heads
  }

  /** A later head is of no smaller tree: else the log was taken back to an earlier state. */
  #mustGrow(heads: readonly Head[]): void {
    let most: Head | undefined
    for (const head of heads) {
      if (most !== undefined && head.size < most.size) {
        const words = `the head of ${timeText(head.time)} has ${head.size} segments; that of ${timeText(most.time)} had ${most.size}`
        this.#say('rolled-back', words)
      }
      if (most !== undefined && head.size === most.size && !equalBytes(head.root, most.root)) {
        this.#say('rolled-back', `two heads of ${head.size} segments differ: the log was written twice`)
      }
      if (most === undefined || head.size >= most.size) most = head
    }
  }

  #mustBeAlive(newest: Head | undefined): void {
    const { aliveMs, now } = this.#options
    if (aliveMs === undefined || newest === undefined || now - newest.time <= aliveMs) return
    this.#say('silent', `its newest checkpoint is of ${timeText(newest.time)}`)
  }

  // ── a log that is all here ───────────────────────────────────────────────────────────────────────────────────

  async #whole(heads: readonly Head[]): Promise<Came> {
    const { sha256, now, graceMs } = this.#options
    const first = heads.at(-1)?.first ?? 1
    const range = new CompactRange(sha256)
    const bySize = Map.groupBy(heads, ({ size }) => size)
    let signed: Head | undefined
    let broken = false
    /** Segments that may have been damaged before they could be shipped: the next head tells. */
    let doubtful: number[] = []
    const atHead = (): void => {
      for (const head of bySize.get(range.size) ?? []) {
        if (equalBytes(range.root(), head.root)) {
          for (const segment of doubtful) {
            this.#say(
              'segment-damaged',
              'its file was damaged before it could be shipped; its gateway put that on record',
              segment,
            )
          }
          doubtful = []
          signed = head
        } else if (!broken) {
          const since = signed === undefined ? first : first + signed.size
          const until = first + range.size - 1
          for (const segment of doubtful) this.#say('segment-missing', 'nothing of it is here', segment)
          if (doubtful.length === 0) {
            this.#say(
              'checkpoint-mismatch',
              `segments ${since} to ${until} hash to another head than was signed at ${timeText(head.time)}`,
              since,
            )
          }
          doubtful = []
          broken = true
        }
      }
    }
    atHead()
    let previous: StoredSegment | undefined
    let segments = 0
    for await (const { segment, leaf } of this.#entries(this.#evidence.segments(this.#log))) {
      for (let gap = first + range.size; gap < segment.segment; gap++) {
        doubtful.push(gap)
        range.add(leafHash(sha256, damagedBytes(gapOf(gap, previous, segment))))
        atHead()
      }
      if (segment.segment < first + range.size) {
        this.#say('segment-changed', 'it is there twice', segment.segment)
        continue
      }
      const expected = previous === undefined ? undefined : previous.firstSeq + previous.records
      if (expected !== undefined && previous?.segment === segment.segment - 1 && segment.firstSeq !== expected) {
        this.#say('sequence-gap', `it begins with ${segment.firstSeq}; ${expected} was next`, segment.segment)
      }
      range.add(leaf)
      atHead()
      previous = segment
      segments++
    }
    for (const segment of doubtful) this.#say('segment-missing', 'nothing of it is here', segment)
    return { segments, ...this.#ends(heads, range.size, signed, broken, now, graceMs, previous) }
  }

  /** What is behind the last head, or what the last head covers and is not here. */
  #ends(
    heads: readonly Head[],
    size: number,
    signed: Head | undefined,
    broken: boolean,
    now: number,
    graceMs: number,
    last: StoredSegment | undefined,
  ): Omit<Came, 'segments'> {
    const most = heads.reduce<Head | undefined>((a, b) => (a === undefined || b.size > a.size ? b : a), undefined)
    const signedPart = { signedSize: signed?.size ?? 0, ...(signed !== undefined && { signedAt: signed.time }) }
    if (most !== undefined && most.size > size) {
      // The oldest head that covers what is missing says since when it should be here.
      const since = heads.find((head) => head.size > size) ?? most
      if (now - since.time <= graceMs) return { pending: most.size - size, ...signedPart }
      const words = `${size} segments are here; the head of ${timeText(most.time)} covers ${most.size}`
      this.#say('truncated', words, most.first + size)
      return { pending: 0, ...signedPart }
    }
    const unsigned = size - (most?.size ?? 0)
    if (unsigned > 0 && most !== undefined && !broken) {
      if (last !== undefined && now - last.sealedAt <= graceMs) return { pending: unsigned, ...signedPart }
      this.#say('not-signed', `${unsigned} segments are behind the newest head`, most.first + most.size)
    }
    return { pending: 0, ...signedPart }
  }

  // ── a part of a log, with what leads to its head ─────────────────────────────────────────────────────────────

  async #part(heads: readonly Head[], lead: Lead | undefined): Promise<Came> {
    const { sha256 } = this.#options
    const leaves: Uint8Array[] = []
    let previous: StoredSegment | undefined
    for await (const { segment, leaf } of this.#entries(this.#evidence.segments(this.#log))) {
      const from = lead === undefined ? segment.segment : lead.first + lead.from
      for (let gap = from + leaves.length; gap < segment.segment; gap++) {
        this.#say('segment-missing', 'nothing of it is here', gap)
        leaves.push(leafHash(sha256, damagedBytes(gapOf(gap, previous, segment))))
      }
      leaves.push(leaf)
      previous = segment
    }
    const head = heads.find(({ size }) => size === lead?.size)
    const segments = leaves.length
    if (lead === undefined || head === undefined) {
      if (segments > 0) this.#say('not-signed', 'nothing leads from its segments to a head that is signed')
      return { segments, pending: 0, signedSize: 0 }
    }
    for (const step of lead.consistency) this.#mustFollow(step, heads)
    const covered = leaves.slice(0, Math.max(0, lead.to - lead.from))
    const root = lead.root(covered)
    if (covered.length > 0 && (root === undefined || !equalBytes(root, head.root))) {
      const [a, b] = [lead.first + lead.from, lead.first + lead.to - 1]
      this.#say('checkpoint-mismatch', `segments ${a} to ${b} do not lead to the head of ${timeText(head.time)}`, a)
      return { segments, pending: 0, signedSize: 0 }
    }
    return { segments, pending: leaves.length - covered.length, signedSize: head.size, signedAt: head.time }
  }

  #mustFollow({ from, to, hashes }: Lead['consistency'][number], heads: readonly Head[]): void {
    const [old, next] = [heads.find(({ size }) => size === from), heads.find(({ size }) => size === to)]
    if (old === undefined || next === undefined || from === 0) return
    if (isConsistent(this.#options.sha256, from, old.root, to, next.root, hashes)) return
    this.#say('rolled-back', `the log of ${to} segments does not begin with that of ${from}`)
  }

  // ── segments and records ─────────────────────────────────────────────────────────────────────────────────────

  /** Each segment with the leaf that it is, its records checked against what it says of them. */
  async *#entries(
    segments: AsyncIterable<StoredSegment>,
  ): AsyncGenerator<{ readonly segment: StoredSegment; readonly leaf: Uint8Array }> {
    const { sha256 } = this.#options
    let batch: StoredSegment[] = []
    const flush = async (): Promise<readonly { segment: StoredSegment; leaf: Uint8Array }[]> => {
      const some = batch
      batch = []
      await this.#checkRows(some)
      return some.map((segment) => ({ segment, leaf: leafHash(sha256, entryBytes(sha256, segment)) }))
    }
    for await (const segment of segments) {
      const count = batch.reduce((sum, { records }) => sum + records, 0)
      const last = batch.at(-1)
      const isFull = batch.length >= BATCH_SEGMENTS || count + segment.records > BATCH_RECORDS
      if (last !== undefined && (isFull || last.schema !== segment.schema)) yield* await flush()
      this.#checkSegment(segment)
      batch.push(segment)
    }
    if (batch.length > 0) yield* await flush()
  }

  /** That its root is over its leaves. */
  #checkSegment(segment: StoredSegment): void {
    const { records, leaves, days, root } = segment
    if (leaves.length !== records * 32 || days.length !== records * 2) {
      this.#say('segment-changed', 'it has not as many leaves as records', segment.segment)
      return
    }
    const each = Array.from({ length: records }, (_, i) => leaves.subarray(i * 32, i * 32 + 32))
    if (!equalBytes(rootOf(this.#options.sha256, each), root)) {
      this.#say('segment-changed', 'its root is not over its leaves', segment.segment)
    }
  }

  async #checkRows(segments: readonly StoredSegment[]): Promise<void> {
    const bySegment = new Map(segments.map((segment) => [segment.segment, segment]))
    const seen = new Map(segments.map(({ segment, records }) => [segment, new Uint8Array(records)]))
    for await (const row of this.#evidence.rows(this.#log, segments)) {
      const { segment, seq } = placeOf(row)
      const stored = bySegment.get(segment)
      const marks = seen.get(segment)
      const at = stored === undefined ? -1 : seq - stored.firstSeq
      if (stored === undefined || marks === undefined || !(at >= 0 && at < stored.records)) {
        this.#say('record-inserted', 'there is no such place in its segment', segment, seq)
        continue
      }
      if (marks[at] === 1) {
        this.#say('record-inserted', 'it is there twice', segment, seq)
        continue
      }
      marks[at] = 1
      this.#records++
      const leaf = stored.leaves.subarray(at * 32, at * 32 + 32)
      if (!equalBytes(leafHash(this.#options.sha256, row), leaf)) {
        this.#say('record-changed', 'it is not what was written', segment, seq)
      }
    }
    for (const [segment, marks] of seen) this.#missing(bySegment.get(segment), marks)
    this.#options.progress?.(this.#records)
  }

  /** A record may be gone once the day until which it was to be kept is past. */
  #missing(segment: StoredSegment | undefined, marks: Uint8Array): void {
    if (segment === undefined) return
    const today = Math.floor(this.#options.now / 86_400_000)
    const days = new DataView(segment.days.buffer, segment.days.byteOffset, segment.days.byteLength)
    for (const [at, mark] of marks.entries()) {
      if (mark === 1) continue
      const until = at * 2 + 2 <= segment.days.byteLength ? days.getUint16(at * 2, true) : Infinity
      if (until <= today) this.#expired++
      else this.#say('record-missing', 'it is gone before its time', segment.segment, segment.firstSeq + at)
    }
  }

  /** How many segments are still on their way. */
  async #surplus(): Promise<number> {
    const { now, graceMs } = this.#options
    let pending = 0
    for (const { segment, records, isKnown, newest } of await this.#evidence.surplus(this.#log)) {
      // Rows come before the row of their segment.
      if (!isKnown && now - newest <= graceMs) pending++
      else this.#say('record-inserted', `${records} records are in no place that was ever signed`, segment)
    }
    return pending
  }

  #say(code: ProblemCode, words: string, segment?: number, seq?: number): void {
    this.#problems.add({
      code,
      log: this.#name,
      ...(segment !== undefined && { segment }),
      ...(seq !== undefined && { seq }),
      words,
    })
  }
}

interface Came {
  readonly segments: number
  readonly pending: number
  readonly signedSize: number
  readonly signedAt?: number
}

/** What a segment of which nothing is left would have said of itself, by its neighbours. */
function gapOf(segment: number, before: StoredSegment | undefined, after: StoredSegment) {
  const firstSeq = before === undefined ? 1 : before.firstSeq + before.records
  return { segment, schema: before?.schema ?? after.schema, firstSeq, records: after.firstSeq - firstSeq }
}

/** The last 16 bytes of a row. */
function placeOf(row: Uint8Array): { readonly segment: number; readonly seq: number } {
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength)
  if (row.byteLength < 16) return { segment: -1, seq: -1 }
  return {
    segment: Number(view.getBigUint64(row.byteLength - 16, true)),
    seq: Number(view.getBigUint64(row.byteLength - 8, true)),
  }
}

function nameOf({ writer, epoch }: LogId): string {
  return `${writer}/${epoch}`
}

function originOf(note: string): LogId | undefined {
  return originParts(note.split('\n', 1)[0] ?? '')
}

function timeText(time: number): string {
  return new Date(time).toISOString()
}

function printable(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]/g, '?').slice(0, 200)
}
