/**
 * Verifies evidence, trusting nothing but public keys: every record is hashed again, every segment's hash leads to a head that
 * a trusted key has signed, and whatever does not is named. Pure.
 */
import { damagedBytes, originParts, parseCheckpoint, type CheckpointBody } from '../proof/entry.ts'
import { CompactRange, equalBytes, isConsistent, leafHash, type Sha256 } from '../proof/merkle.ts'
import { MalformedNote, parseNote, signersOf, type VerifierKey } from '../proof/note.ts'
import { BodyCheck, type BodyOptions } from './bodies.ts'
import type { Evidence, Lead, LogId, LogReport, Problem, ProblemCode, StoredSegment, VerifyReport } from './contract.ts'
import { isDamaged, RecordCheck } from './records.ts'

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
  /**
   * The newest checkpoint of each of `writers`, or of every writer where none is named, must be no older, in milliseconds;
   * absent: it may be of any age.
   */
  readonly aliveMs?: number
  /**
   * Only records of segments that were sealed in this time are hashed again, milliseconds since 1970 UTC; the tree and its
   * heads always are. Signed heads say which segments these are.
   */
  readonly span?: { readonly from?: number; readonly to?: number }
  /** Recorded bodies are held against their records too, where they are in the evidence. */
  readonly bodies?: BodyOptions
  /** Called now and then with how many records were hashed. */
  readonly progress?: (records: number) => void
}

/** Of one kind, in one log: more are counted and not told one by one. */
const MOST_OF_A_KIND = 20
/** Segments in a row that may be missing before the tree is given up. */
const MOST_GAP = 1_000_000
/** A head may be signed this long before the last record that came before it is in its tree, in milliseconds. */
const SEALING_MS = 60_000

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
  const newest = new Map<string, number>()
  for (const log of logs) {
    const mine = kept.flatMap(({ note, id }) => (id !== undefined && nameOf(id) === nameOf(log) ? [note] : []))
    const check = new LogCheck(evidence, options, log, problems)
    reports.push(await check.run(mine))
    newest.set(log.writer, Math.max(newest.get(log.writer) ?? 0, check.newestHead))
  }
  mustBeAlive(newest, options, problems)
  return { logs: reports, problems: problems.all }
}

/** A gateway may have begun another log since; the newest head of any of them counts. */
function mustBeAlive(newest: ReadonlyMap<string, number>, options: VerifyOptions, problems: Problems): void {
  const { aliveMs, now, writers = [] } = options
  if (aliveMs === undefined) return
  for (const [writer, time] of newest) {
    if ((writers.length > 0 && !writers.includes(writer)) || now - time <= aliveMs) continue
    const since = time === 0 ? 'there is none at all' : `the newest is of ${timeText(time)}`
    problems.add({ code: 'silent', words: `no checkpoint of the gateway \`${writer}\` is recent: ${since}` })
  }
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

type Head = CheckpointBody

class LogCheck {
  readonly #evidence: Evidence
  readonly #options: VerifyOptions
  readonly #log: LogId
  readonly #problems: Problems
  readonly #name: string
  /** When the newest head was signed, milliseconds since 1970 UTC; 0 where there is none. */
  newestHead = 0

  constructor(evidence: Evidence, options: VerifyOptions, log: LogId, problems: Problems) {
    this.#evidence = evidence
    this.#options = options
    this.#log = log
    this.#problems = problems
    this.#name = nameOf(log)
  }

  async run(kept: readonly string[]): Promise<LogReport> {
    const stored = await this.#evidence.checkpoints(this.#log)
    const heads = [...(await this.#heads(stored)), ...(await this.#heads(kept))].toSorted(
      (a, b) => a.time - b.time || a.size - b.size,
    )
    this.newestHead = heads.at(-1)?.time ?? 0
    if (heads.length === 0) this.#say('not-signed', 'no checkpoint of it is signed by a key that is trusted')
    this.#mustGrow(heads)
    const bodies = this.#bodies()
    const records = this.#records(heads, bodies)
    const lead = await this.#evidence.proofs?.(this.#log)
    const came =
      this.#evidence.proofs === undefined
        ? await this.#whole(heads, records)
        : await this.#part(heads, records, lead, await this.#sizes(stored))
    const pending = came.pending + (await this.#surplus())
    return {
      ...this.#log,
      ...came,
      records: records.records,
      expired: records.expired,
      pending,
      checkpoints: heads.length,
      ...(bodies !== undefined && {
        bodies: { whole: bodies.whole, expired: bodies.expired, pending: bodies.pending },
      }),
    }
  }

  #bodies(): BodyCheck | undefined {
    const { bodies, now, graceMs } = this.#options
    const read = this.#evidence.bodies
    if (bodies === undefined || read === undefined) return undefined
    return new BodyCheck({ bodies: read }, { ...bodies, now, graceMs }, ({ code, words, segment, seq }) =>
      this.#say(code, words, segment, seq),
    )
  }

  #records(heads: readonly Head[], bodies: BodyCheck | undefined): RecordCheck {
    const { sha256, now, progress } = this.#options
    const [low, high] = this.#spanOf(heads)
    return new RecordCheck(this.#evidence, this.#log, {
      sha256,
      now,
      isWanted: (segment) => segment >= low && segment < high,
      say: (code, words, segment, seq) => this.#say(code, words, segment, seq),
      ...(bodies !== undefined && { bodies }),
      ...(progress !== undefined && { progress }),
    })
  }

  /** The segments that may hold records of the span, the second exclusive: as signed heads say, not as the store says. */
  #spanOf(heads: readonly Head[]): readonly [number, number] {
    const { from = -Infinity, to = Infinity } = this.#options.span ?? {}
    const before = heads.filter(({ time }) => time <= from - SEALING_MS).map(({ first, size }) => first + size)
    const behind = heads.filter(({ time }) => time >= to + SEALING_MS).map(({ first, size }) => first + size)
    return [Math.max(0, ...before), Math.min(Infinity, ...behind)]
  }

  // ── heads ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Those that a trusted key has signed. */
  async #heads(notes: readonly string[]): Promise<readonly Head[]> {
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
        } else heads.push(head)
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
      if (most !== undefined && head.first !== most.first) {
        const words = `one head says that it begins with segment ${most.first}, another with ${head.first}`
        this.#say('rolled-back', words)
      }
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

  // ── a log that is all here ───────────────────────────────────────────────────────────────────────────────────

  async #whole(heads: readonly Head[], records: RecordCheck): Promise<Came> {
    const first = heads.at(-1)?.first ?? 1
    const tree = new Tree(this.#options.sha256, first, heads, (code, words, segment) => this.#say(code, words, segment))
    let previous: StoredSegment | undefined
    let segments = 0
    for await (const { segment, leaf } of records.entries()) {
      const number = segment.segment
      if (number < tree.next) {
        this.#say('segment-changed', number < first ? 'it is from before the log began' : 'it is there twice', number)
        continue
      }
      if (number - tree.next > MOST_GAP) {
        this.#say('segment-missing', `nothing is here of any segment up to ${number}`, tree.next)
        break
      }
      while (tree.next < number) {
        tree.add(leafHash(this.#options.sha256, damagedBytes(gapOf(tree.next, previous, segment))), 'missing')
      }
      const expected = previous === undefined ? undefined : previous.firstSeq + previous.records
      if (expected !== undefined && previous?.segment === number - 1 && segment.firstSeq !== expected) {
        this.#say('sequence-gap', `it begins with ${segment.firstSeq}; ${expected} was next`, number)
      }
      tree.add(leaf, isDamaged(segment) ? 'damaged' : 'whole')
      previous = segment
      segments++
    }
    tree.end()
    return { segments, ...this.#ends(heads, tree, previous) }
  }

  /** What is behind the last head, or what the last head covers and is not here. */
  #ends(heads: readonly Head[], tree: Tree, last: StoredSegment | undefined): Omit<Came, 'segments'> {
    const { now, graceMs } = this.#options
    const { size, signed, isBroken } = tree
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
    if (unsigned > 0 && most !== undefined && !isBroken) {
      if (last !== undefined && now - last.sealedAt <= graceMs) return { pending: unsigned, ...signedPart }
      this.#say('not-signed', `${unsigned} segments are behind the newest head`, most.first + most.size)
    }
    return { pending: 0, ...signedPart }
  }

  // ── a part of a log, with what leads to its head ─────────────────────────────────────────────────────────────

  async #part(
    heads: readonly Head[],
    records: RecordCheck,
    lead: Lead | undefined,
    sizes: readonly number[],
  ): Promise<Came> {
    const head = heads.find(({ size }) => size === lead?.size)
    const begin = lead === undefined || head === undefined ? undefined : head.first + lead.from
    const leaves = await this.#leaves(records, begin)
    const segments = leaves.length
    const unsigned: Came = { segments, pending: 0, signedSize: 0 }
    if (lead === undefined || head === undefined || begin === undefined) {
      if (segments > 0) this.#say('not-signed', 'nothing leads from its segments to a head that is signed')
      return unsigned
    }
    this.#mustFollow(lead, heads, sizes)
    const covered = leaves.slice(0, lead.to - lead.from)
    // A pack is finished: nothing of it is on its way to a head any more.
    if (covered.length < segments) {
      const words = `${segments - covered.length} segments are behind the newest head of the pack`
      this.#say('not-signed', words, begin + covered.length)
    }
    if (covered.length === 0) return unsigned
    const root = lead.root(covered)
    if (root === undefined || !equalBytes(root, head.root)) {
      const words = `segments ${begin} to ${begin + covered.length - 1} do not lead to the head of ${timeText(head.time)}`
      this.#say('checkpoint-mismatch', words, begin)
      return unsigned
    }
    this.#mustHaveBeen(lead, heads, covered)
    const complete = completeness(lead, heads)
    return { ...unsigned, signedSize: head.size, signedAt: head.time, ...(complete !== undefined && { complete }) }
  }

  /** The leaves of the segments from `begin` on, where that is known. */
  async #leaves(records: RecordCheck, begin: number | undefined): Promise<readonly Uint8Array[]> {
    const leaves: Uint8Array[] = []
    let previous: StoredSegment | undefined
    for await (const { segment, leaf } of records.entries()) {
      const next = begin === undefined ? segment.segment : begin + leaves.length
      if (segment.segment - next > MOST_GAP) {
        this.#say('segment-missing', `nothing is here of any segment up to ${segment.segment}`, next)
        break
      }
      for (let gap = next; gap < segment.segment; gap++) {
        this.#say('segment-missing', 'nothing of it is here', gap)
        leaves.push(leafHash(this.#options.sha256, damagedBytes(gapOf(gap, previous, segment))))
      }
      if (isDamaged(segment)) this.#say('segment-damaged', DAMAGED, segment.segment)
      leaves.push(leaf)
      previous = segment
    }
    return leaves
  }

  /** Of the heads of a pack, each must have grown out of the one before. */
  #mustFollow(lead: Lead, heads: readonly Head[], sizes: readonly number[]): void {
    const bySize = new Map(heads.map((head) => [head.size, head]))
    const grown = [...new Set(sizes)].filter((size) => size > 0).toSorted((a, b) => a - b)
    for (const [i, to] of grown.entries()) {
      const from = grown[i - 1]
      if (from === undefined) continue
      const [old, next] = [bySize.get(from), bySize.get(to)]
      if (old === undefined || next === undefined) continue
      const isShown = lead.consistency.some(
        (step) =>
          step.from === from &&
          step.to === to &&
          isConsistent(this.#options.sha256, from, old.root, to, next.root, step.hashes),
      )
      if (!isShown) this.#say('rolled-back', `nothing shows that the log of ${to} segments begins with that of ${from}`)
    }
  }

  /** Heads of when the log ended within the pack, also those that were kept elsewhere, are of the same log. */
  #mustHaveBeen(lead: Lead, heads: readonly Head[], leaves: readonly Uint8Array[]): void {
    for (const { size, root, time } of heads) {
      if (size < Math.max(1, lead.from) || size > lead.to) continue
      const then = lead.rootThen(leaves.slice(0, size - lead.from))
      if (then !== undefined && equalBytes(then, root)) continue
      this.#say('rolled-back', `the head of ${timeText(time)} is of another log of ${size} segments`)
    }
  }

  /** The sizes of those heads of the evidence itself that a trusted key has signed. */
  async #sizes(notes: readonly string[]): Promise<readonly number[]> {
    const sizes: number[] = []
    for (const text of notes) {
      try {
        const note = parseNote(text)
        if ((await signersOf(note, this.#options.keys)).length > 0) sizes.push(parseCheckpoint(note.text).size)
      } catch (error) {
        // It was named when the heads were read.
        if (!(error instanceof MalformedNote)) throw error
      }
    }
    return sizes
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

type Came = Pick<LogReport, 'segments' | 'pending' | 'signedSize' | 'signedAt' | 'complete'>

const DAMAGED = 'its file was damaged before it could be shipped; its gateway put that on record'

/** The tree of a log that is all here, held against every head that was signed of it as it grows. */
class Tree {
  readonly #range: CompactRange
  readonly #first: number
  readonly #heads: ReadonlyMap<number, readonly Head[]>
  readonly #say: (code: ProblemCode, words: string, segment: number) => void
  /** Segments that are not here, or say that they were damaged: the next head tells whether that was so. */
  #doubtful: { readonly segment: number; readonly state: 'missing' | 'damaged' }[] = []
  /** The newest that the tree led to, before it led to another. */
  signed: Head | undefined
  isBroken = false

  constructor(
    sha256: Sha256,
    first: number,
    heads: readonly Head[],
    say: (code: ProblemCode, words: string, segment: number) => void,
  ) {
    this.#range = new CompactRange(sha256)
    this.#first = first
    this.#heads = Map.groupBy(heads, ({ size }) => size)
    this.#say = say
    this.#atHeads()
  }

  get size(): number {
    return this.#range.size
  }

  /** The segment that is next. */
  get next(): number {
    return this.#first + this.#range.size
  }

  add(leaf: Uint8Array, state: 'whole' | 'missing' | 'damaged'): void {
    if (state !== 'whole') this.#doubtful.push({ segment: this.next, state })
    this.#range.add(leaf)
    this.#atHeads()
  }

  /** No more comes. Whether what says that it was damaged was, a head will tell that is not signed yet. */
  end(): void {
    this.#doubtful = this.#doubtful.filter(({ state }) => state === 'missing')
    this.#unconfirmed()
  }

  #atHeads(): void {
    for (const head of this.#heads.get(this.size) ?? []) {
      if (equalBytes(this.#range.root(), head.root)) {
        for (const { segment } of this.#doubtful) this.#say('segment-damaged', DAMAGED, segment)
        this.#doubtful = []
        this.signed = head
      } else if (!this.isBroken) {
        this.#mismatch(head)
        this.isBroken = true
      }
    }
  }

  #mismatch({ time }: Head): void {
    const since = this.signed === undefined ? this.#first : this.#first + this.signed.size
    const words = `segments ${since} to ${this.next - 1} hash to another head than was signed at ${timeText(time)}`
    if (this.#doubtful.length === 0) this.#say('checkpoint-mismatch', words, since)
    this.#unconfirmed()
  }

  #unconfirmed(): void {
    for (const { segment, state } of this.#doubtful) {
      if (state === 'missing') this.#say('segment-missing', 'nothing of it is here', segment)
      else this.#say('segment-changed', 'it says that it was damaged, and no head says so', segment)
    }
    this.#doubtful = []
  }
}

/** Whatever was sealed between two heads between which all segments are in the pack. */
function completeness(lead: Lead, heads: readonly Head[]): LogReport['complete'] {
  const from = Math.min(...heads.filter(({ size }) => size >= lead.from).map(({ time }) => time))
  const to = Math.max(...heads.filter(({ size }) => size <= lead.to).map(({ time }) => time))
  return from < to ? { from, to } : undefined
}

/** What a segment of which nothing is left would have said of itself, by its neighbours. */
function gapOf(segment: number, before: StoredSegment | undefined, after: StoredSegment) {
  const firstSeq = before === undefined ? 1 : before.firstSeq + before.records
  return { segment, schema: before?.schema ?? after.schema, firstSeq, records: after.firstSeq - firstSeq }
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
