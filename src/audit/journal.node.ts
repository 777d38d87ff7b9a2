/**
 * The durable local log: rows are here, synced, before anything is answered, and stay until ClickHouse has them.
 *
 *     append ─▶ queue ─▶ one write + one fdatasync for all that wait ─▶ resolve
 *                            │ enough bytes, or old enough
 *                            ▼
 *                          sealed (its length fixed in the header of the file after it) ─▶ shipped ─▶ removed
 *
 * After a failed write or sync the file is never written to or believed again: everything rejects until a new file, which
 * says how much of the old one counts, has been written and synced.
 */
import { Failure } from '../failure.ts'
import type { Clock, Log } from '../runtime.ts'
import { writeAll, type Appendable, type Files } from './files.node.ts'
import { MalformedBytes } from './rowbinary.ts'
import {
  decodeHeader,
  encodeFrames,
  encodeHeader,
  frameBytes,
  HEADER_BYTES,
  scan,
  type JournalKind,
  type SegmentHeader,
} from './segment.node.ts'

export interface JournalLimits {
  /** A segment is sealed once it has this many bytes … */
  readonly segmentBytes: number
  /** … or this many milliseconds after its first record, unless many wait already. */
  readonly sealAfterMs: number
  /** Most bytes that one write and sync takes, one large record aside. */
  readonly batchBytes: number
  readonly recordBytes: number
  readonly queueRecords: number
  readonly queueBytes: number
  /** Of all segments and the queue together. */
  readonly diskBytes: number
  /** Longest that one write and sync may take. */
  readonly ioTimeoutMs: number
  /** First pause before a broken journal is tried again; doubles up to `maxProbeMs`. */
  readonly probeMs: number
  readonly maxProbeMs: number
  /** A write and sync that takes longer is slow; the journal is tight for `slowForMs` after the last of them. */
  readonly slowMs: number
  readonly slowForMs: number
}

export const JOURNAL_LIMITS: JournalLimits = {
  segmentBytes: 4 * 1024 * 1024,
  sealAfterMs: 1000,
  batchBytes: 1024 * 1024,
  recordBytes: 8 * 1024 * 1024,
  queueRecords: 20_000,
  queueBytes: 64 * 1024 * 1024,
  diskBytes: 2 * 1024 * 1024 * 1024,
  ioTimeoutMs: 15_000,
  probeMs: 1000,
  maxProbeMs: 30_000,
  slowMs: 2_000,
  slowForMs: 30_000,
}

/** Beginnings are refused at this share of a bound, so that what has begun can still be finished and recorded. */
const OPENING_SHARE = 0.9

/** From this share of a bound on, whoever is careful begins nothing. */
const TIGHT_SHARE = 0.75

/**
 * With this many sealed segments waiting for everybody, age seals no more of them: one larger insert is better than many
 * small. With as many for somebody, whom the others need not wait for, it seals as many times more seldom.
 */
const WAITING_ENOUGH = 8
const MORE_SELDOM = 10

export interface SealedSegment {
  readonly segment: number
  /** The version of the schema that its rows have. */
  readonly schema: number
  /** The sequence number of its first record. */
  readonly firstSeq: number
  readonly records: number
  /** Of the file, as far as it counts. */
  readonly length: number
}

export interface JournalParts {
  readonly files: Files
  readonly kind: JournalKind
  /** A fresh UUID, should the folder be empty. */
  readonly newEpoch: () => string
  readonly clock: Clock
  readonly log: Log
  readonly limits: JournalLimits
}

interface Waiting {
  readonly row: Uint8Array
  readonly resolve: () => void
  readonly reject: (failure: Failure) => void
}

interface Current {
  readonly header: SegmentHeader
  readonly file: Appendable
  /** Bytes that are synced. */
  length: number
  records: number
}

export interface JournalStatus {
  readonly writable: boolean
  /** Filling up, or slow: soon it may not be writable. */
  readonly tight: boolean
  readonly backlogRecords: number
  readonly backlogBytes: number
  /** Segments that were set aside because they are not as they were written. */
  readonly damaged: number
}

export class Journal {
  readonly #parts: JournalParts
  readonly #sealed: SealedSegment[]
  #current: Current
  /** Of `#sealed`: they may be many, and each append asks. */
  #sealedBytes: number
  #damaged: number
  #state: 'open' | 'broken' | 'closing' | 'closed' = 'open'
  #queue: Waiting[] = []
  #queuedBytes = 0
  #sealWanted = false
  #sealTimer: ReturnType<typeof setTimeout> | undefined
  #probeTimer: ReturnType<typeof setTimeout> | undefined
  #work: Promise<void> | undefined
  /** The write or sync under way; where it was too late, a new file waits for its end. */
  #io: Promise<unknown> = Promise.resolve()
  /** Until when, on the monotonic clock, it counts as slow. */
  #slowUntil = -Infinity
  /** How many sealed segments nobody who wants them has taken yet. */
  waiting: () => number = () => this.#sealed.length
  /** Called whenever a segment is sealed. */
  onSealed: () => void = () => {}

  private constructor(parts: JournalParts, current: Current, sealed: SealedSegment[], damaged: number) {
    this.#parts = parts
    this.#current = current
    this.#sealed = sealed
    this.#sealedBytes = sealed.reduce((sum, { length }) => sum + length, 0)
    this.#damaged = damaged
  }

  /**
   * Opens what the folder holds, whatever ended the last writer: every record that was acknowledged is there, what was
   * cut short is not. Rejects with `audit-unavailable` where a file is not what was written, or nothing can be written.
   */
  static async open(parts: JournalParts): Promise<Journal> {
    try {
      const { next, sealed, damaged } = await recover(parts)
      const file = await begin(parts, next)
      return new Journal(parts, { header: next, file, length: HEADER_BYTES, records: 0 }, sealed, damaged)
    } catch (cause) {
      if (cause instanceof Failure) throw cause
      throw new Failure('audit-unavailable', 'the audit journal cannot be opened', { cause })
    }
  }

  get epoch(): string {
    return this.#current.header.epoch
  }

  /**
   * Resolves when the row is durable; its segment and sequence number are added behind it. `finishing` rows end what an
   * earlier one began, and may use all of each bound. Rejects with `audit-unavailable`.
   */
  append(row: Uint8Array, finishing: boolean): Promise<void> {
    const refusal = this.#refusal(frameBytes(row), finishing)
    if (refusal !== undefined) return Promise.reject(refusal)
    return new Promise((resolve, reject) => {
      this.#queue.push({ row, resolve, reject })
      this.#queuedBytes += frameBytes(row)
      this.#kick()
    })
  }

  status(): JournalStatus {
    return {
      writable: this.#state === 'open' && this.#refusal(0, false) === undefined,
      tight: this.isTight(),
      backlogRecords: this.#sealed.reduce((sum, { records }) => sum + records, this.#current.records),
      backlogBytes: this.#diskBytes() - HEADER_BYTES * (this.#sealed.length + 1),
      damaged: this.#damaged,
    }
  }

  /** The oldest segment that is still here, or the one that is written. */
  get oldest(): number {
    return this.#sealed[0]?.segment ?? this.#current.header.segment
  }

  /** Whether it is filling up, or was slow lately. */
  isTight(): boolean {
    const { clock, limits } = this.#parts
    if (this.#state !== 'open') return true
    if (this.#queue.length >= limits.queueRecords * TIGHT_SHARE) return true
    if (this.#queuedBytes >= limits.queueBytes * TIGHT_SHARE) return true
    if (this.#diskBytes() + this.#queuedBytes >= limits.diskBytes * TIGHT_SHARE) return true
    return clock.monotonic() < this.#slowUntil
  }

  /** The oldest sealed segment behind `segment` that is still here. */
  next(segment: number): SealedSegment | undefined {
    return this.#sealed.find((sealed) => sealed.segment > segment)
  }

  /** Sealed segments that are here behind `segment`. */
  segmentsBehind(segment: number): number {
    return this.#sealed.filter((sealed) => sealed.segment > segment).length
  }

  /** Somebody has taken a segment. */
  taken(): void {
    if (this.#current.records > 0 && this.#sealTimer === undefined) this.#sealByAge()
  }

  /** Records that are here behind `segment`, those that are in no sealed segment yet among them. */
  recordsBehind(segment: number): number {
    const behind = this.#sealed.filter((sealed) => sealed.segment > segment)
    return behind.reduce((sum, { records }) => sum + records, this.#current.records)
  }

  /** The rows of a sealed segment, each as it goes to ClickHouse. `undefined`: it is damaged. */
  async read(sealed: SealedSegment): Promise<readonly Uint8Array[] | undefined> {
    const raw = await this.#parts.files.read(nameOf(sealed.segment))
    try {
      const { rows, length, header } = scan(raw.subarray(0, sealed.length), this.#parts.kind)
      const whole = length === sealed.length && rows.length === sealed.records && header.segment === sealed.segment
      return whole ? rows : undefined
    } catch (error) {
      if (error instanceof MalformedBytes) return undefined
      throw error
    }
  }

  /** Forgets a segment that everyone who wants it has. Should the file outlive a crash, its token keeps it single. */
  async delivered({ segment }: SealedSegment): Promise<void> {
    await this.#parts.files.remove(nameOf(segment)).catch(ignoreMissing)
    this.#forget(segment)
  }

  /** Keeps a damaged segment for whoever investigates, out of the way of those behind it. */
  async setAside({ segment }: SealedSegment): Promise<void> {
    await this.#parts.files.rename(nameOf(segment), `${nameOf(segment)}.damaged`)
    this.#damaged++
    this.#parts.log('error', 'a journal segment is damaged and was set aside', { segment })
    this.#forget(segment)
  }

  /** Seals what there is; resolves when it is sealed or the journal is broken. */
  async seal(): Promise<void> {
    this.#sealWanted = true
    this.#kick()
    while (this.#work !== undefined) await this.#work
  }

  /** Resolves when everything that was appended is durable or rejected. Appends nothing more. */
  async close(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing'
      await this.seal()
    }
    clearTimeout(this.#sealTimer)
    clearTimeout(this.#probeTimer)
    while (this.#work !== undefined) await this.#work
    this.#rejectQueue(new Failure('audit-unavailable', 'the audit journal is closed'))
    if (this.#state !== 'broken') await this.#current.file.close().catch(() => {})
    this.#state = 'closed'
  }

  #refusal(bytes: number, finishing: boolean): Failure | undefined {
    const { limits } = this.#parts
    const share = finishing ? 1 : OPENING_SHARE
    if (this.#state === 'closing' || this.#state === 'closed') return unavailable('the audit journal is closed')
    if (this.#state === 'broken') return unavailable('the audit journal cannot be written', 1)
    if (bytes > limits.recordBytes) return unavailable('the record is too large for the audit journal')
    if (this.#queue.length >= limits.queueRecords * share || this.#queuedBytes + bytes > limits.queueBytes * share) {
      return unavailable('the audit journal is behind', 1)
    }
    if (this.#diskBytes() + this.#queuedBytes + bytes > limits.diskBytes * share) {
      return unavailable('the audit journal is full: its records wait for ClickHouse', 30)
    }
    return undefined
  }

  #diskBytes(): number {
    return this.#sealedBytes + this.#current.length
  }

  #kick(): void {
    if (this.#work !== undefined) return
    this.#begin(this.#run())
  }

  /** One piece of work at a time; what was asked for while it ended is begun behind it. */
  #begin(work: Promise<void>): void {
    this.#work = work.finally(() => {
      this.#work = undefined
      if (this.#hasWork()) this.#kick()
    })
  }

  #hasWork(): boolean {
    return (this.#state === 'open' || this.#state === 'closing') && (this.#queue.length > 0 || this.#sealWanted)
  }

  /** Never rejects: whatever breaks ends in `#break`. */
  async #run(): Promise<void> {
    // Whoever appends in this turn shares the first write.
    await Promise.resolve()
    while (this.#hasWork()) {
      const batch = this.#takeBatch()
      try {
        if (batch.length > 0) await this.#commit(batch)
        if (this.#sealWanted || this.#current.length >= this.#parts.limits.segmentBytes) await this.#rotate()
      } catch (cause) {
        this.#break(batch, cause)
      }
    }
  }

  #takeBatch(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { row } of this.#queue) {
      if (count > 0 && bytes + frameBytes(row) > this.#parts.limits.batchBytes) break
      bytes += frameBytes(row)
      count++
    }
    this.#queuedBytes -= bytes
    return this.#queue.splice(0, count)
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const current = this.#current
    const { segment, firstSeq } = current.header
    const rows = batch.map(({ row }) => row)
    const frames = encodeFrames(rows, segment, firstSeq + current.records)
    const { clock, limits } = this.#parts
    const began = clock.monotonic()
    await this.#timely(writeAll(current.file, frames, current.length).then(() => current.file.sync()))
    const ended = clock.monotonic()
    if (ended - began > limits.slowMs) this.#slowUntil = ended + limits.slowForMs
    if (current.records === 0) this.#sealLater()
    current.length += frames.length
    current.records += batch.length
    for (const { resolve } of batch) resolve()
  }

  #sealLater(): void {
    clearTimeout(this.#sealTimer)
    const { sealAfterMs } = this.#parts.limits
    const after = this.#sealed.length < WAITING_ENOUGH ? sealAfterMs : sealAfterMs * MORE_SELDOM
    this.#sealTimer = setTimeout(() => {
      this.#sealTimer = undefined
      this.#sealByAge()
    }, after).unref()
  }

  #sealByAge(): void {
    // Many wait: `taken` comes back here once they are fewer.
    if (this.waiting() >= WAITING_ENOUGH || this.#state !== 'open') return
    this.#sealWanted = true
    this.#kick()
  }

  #forget(segment: number): void {
    const index = this.#sealed.findIndex((sealed) => sealed.segment === segment)
    const [gone] = index < 0 ? [] : this.#sealed.splice(index, 1)
    this.#sealedBytes -= gone?.length ?? 0
    this.taken()
  }

  /** Begins the next segment, whose header seals this one. */
  async #rotate(): Promise<void> {
    this.#sealWanted = false
    const old = this.#current
    if (old.records === 0) return
    const header = this.#nextHeader()
    const file = await this.#timely(begin(this.#parts, header), (late) => void late.close().catch(() => {}))
    this.#follow(header, file)
    await old.file.close().catch(() => {})
  }

  #nextHeader(): SegmentHeader {
    const { header, records, length } = this.#current
    return {
      segment: header.segment + 1,
      schema: this.#parts.kind.version,
      firstSeq: header.firstSeq + records,
      previousLength: length,
      epoch: header.epoch,
    }
  }

  #follow(header: SegmentHeader, file: Appendable): void {
    const { header: old, records, length } = this.#current
    clearTimeout(this.#sealTimer)
    this.#sealTimer = undefined
    this.#current = { header, file, length: HEADER_BYTES, records: 0 }
    // An empty one is listed too: delivering nothing removes its file.
    const { segment, schema, firstSeq } = old
    this.#sealed.push({ segment, schema, firstSeq, records, length })
    this.#sealedBytes += length
    this.onSealed()
  }

  /** Rejects when `io` does, or when it is late; what comes of it then is handed to `late`. */
  async #timely<T>(io: Promise<T>, late: (value: T) => void = () => {}): Promise<T> {
    this.#io = io.catch(() => {})
    let timer: ReturnType<typeof setTimeout> | undefined
    let isLate = false
    const bell = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isLate = true
        reject(new Error('the disk did not answer in time'))
      }, this.#parts.limits.ioTimeoutMs)
    })
    io.then(
      (value) => isLate && late(value),
      () => {},
    )
    try {
      return await Promise.race([io, bell])
    } finally {
      clearTimeout(timer)
    }
  }

  #break(batch: readonly Waiting[], cause: unknown): void {
    const closing = this.#state === 'closing'
    this.#state = 'broken'
    this.#sealWanted = false
    const failure = new Failure('audit-unavailable', 'the audit journal cannot be written', { cause, retryAfter: 1 })
    this.#parts.log('error', 'the audit journal cannot be written', { code: codeOf(cause) }, cause)
    for (const { reject } of batch) reject(failure)
    this.#rejectQueue(failure)
    // Closed once whatever is under way has ended; its content beyond `length` counts no more.
    const { file } = this.#current
    void this.#io.then(() => file.close()).catch(() => {})
    if (!closing) this.#probeAfter(this.#parts.limits.probeMs)
  }

  #rejectQueue(failure: Failure): void {
    for (const { reject } of this.#queue.splice(0)) reject(failure)
    this.#queuedBytes = 0
  }

  #probeAfter(pauseMs: number): void {
    this.#probeTimer = setTimeout(() => {
      if (this.#state !== 'broken' || this.#work !== undefined) return
      this.#begin(this.#probe(pauseMs))
    }, pauseMs).unref()
  }

  /** Takes records again once the next segment has been written and synced. */
  async #probe(pauseMs: number): Promise<void> {
    try {
      await this.#timely(this.#io)
      const header = this.#nextHeader()
      const file = await this.#timely(begin(this.#parts, header), (late) => void late.close().catch(() => {}))
      this.#follow(header, file)
      this.#state = 'open'
      this.#parts.log('info', 'the audit journal is written again', { segment: header.segment })
    } catch (cause) {
      this.#parts.log('warn', 'the audit journal still cannot be written', { code: codeOf(cause) }, cause)
      this.#probeAfter(Math.min(pauseMs * 2, this.#parts.limits.maxProbeMs))
    }
  }
}

/** `seg-000000000001`: names in order are segments in order. */
function nameOf(segment: number): string {
  return `seg-${String(segment).padStart(12, '0')}`
}
const SEGMENT_NAME = /^seg-\d{12}$/

/** Writes and syncs a file with nothing but its header. It has its name once it is whole. */
async function begin(
  { files, kind }: Pick<JournalParts, 'files' | 'kind'>,
  header: SegmentHeader,
): Promise<Appendable> {
  const name = nameOf(header.segment)
  const file = await writeAs(files, `${name}.tmp`, encodeHeader(header, kind))
  try {
    await files.rename(`${name}.tmp`, name)
    await files.syncFolder()
    return file
  } catch (error) {
    await file.close().catch(() => {})
    throw error
  }
}

async function writeAs(files: Files, name: string, bytes: Uint8Array): Promise<Appendable> {
  const file = await files.create(name)
  try {
    await writeAll(file, bytes, 0)
    await file.sync()
    return file
  } catch (error) {
    await file.close().catch(() => {})
    throw error
  }
}

interface Recovered {
  /** Of the segment to begin. */
  readonly next: SegmentHeader
  readonly sealed: SealedSegment[]
  readonly damaged: number
}

async function recover(parts: JournalParts): Promise<Recovered> {
  const { files, kind } = parts
  const names = await files.list()
  for (const name of names.filter((name) => name.endsWith('.tmp'))) await files.remove(name)
  const damaged = names.filter((name) => name.endsWith('.damaged')).length
  const found = names.filter((name) => SEGMENT_NAME.test(name)).sort()
  const headers: SegmentHeader[] = []
  for (const name of found) headers.push(await readHeader(parts, name, headers[0]?.epoch))
  const last = headers.at(-1)
  if (last === undefined) {
    const next = { segment: 1, schema: kind.version, firstSeq: 1, previousLength: 0, epoch: parts.newEpoch() }
    return { next, sealed: [], damaged }
  }
  const sealed: SealedSegment[] = []
  for (const [index, header] of headers.slice(0, -1).entries()) {
    sealed.push(sealedBetween(header, headers[index + 1]))
  }
  const rest = await recoverLast(parts, last)
  // Begun anew, whatever gateway had begun it.
  if (rest.records === 0) return { next: { ...last, schema: kind.version }, sealed, damaged: damaged + rest.setAside }
  return {
    next: {
      segment: last.segment + 1,
      schema: kind.version,
      firstSeq: last.firstSeq + rest.records,
      previousLength: rest.length,
      epoch: last.epoch,
    },
    sealed: [...sealed, rest],
    damaged: damaged + rest.setAside,
  }
}

async function readHeader(
  { files, kind }: JournalParts,
  name: string,
  epoch: string | undefined,
): Promise<SegmentHeader> {
  try {
    const header = decodeHeader(await files.read(name, HEADER_BYTES), kind)
    if (nameOf(header.segment) !== name) throw new MalformedBytes('a journal file has the name of another')
    if (epoch !== undefined && header.epoch !== epoch) throw new MalformedBytes('a file is of another journal')
    return header
  } catch (cause) {
    if (!(cause instanceof MalformedBytes)) throw cause
    throw damagedFile(name, cause)
  }
}

function sealedBetween(header: SegmentHeader, next: SegmentHeader | undefined): SealedSegment {
  if (next === undefined || next.segment !== header.segment + 1) throw damagedFile(nameOf(header.segment + 1))
  const { segment, schema, firstSeq } = header
  return { segment, schema, firstSeq, records: next.firstSeq - firstSeq, length: next.previousLength }
}

/**
 * The last file has no other to say how much of it counts: every sound frame does. Those are written anew, because a file
 * whose sync may have failed cannot be believed to be on the disk only because it can be read.
 */
async function recoverLast(
  { files, kind, limits, log }: JournalParts,
  { segment, schema, firstSeq }: SegmentHeader,
): Promise<SealedSegment & { setAside: number }> {
  const name = nameOf(segment)
  const raw = await files.read(name)
  const { rows, length } = scan(raw, kind)
  const torn = raw.length - length
  if (torn > 0) log('warn', 'the audit journal ends in a torn write, which was never acknowledged', { segment, torn })
  // No single write is as long as this: the file was damaged, and what cannot be read is kept as evidence.
  const setAside = torn > Math.max(limits.batchBytes, limits.recordBytes) ? 1 : 0
  if (setAside > 0) {
    log('error', 'the audit journal is damaged; the damaged file was kept', { segment, torn })
    await (await writeAs(files, `${name}.damaged`, raw)).close()
  }
  if (rows.length > 0) {
    await (await writeAs(files, `${name}.tmp`, raw.subarray(0, length))).close()
    await files.rename(`${name}.tmp`, name)
  }
  return { segment, schema, firstSeq, records: rows.length, length, setAside }
}

function damagedFile(name: string, cause?: unknown): Failure {
  return new Failure('audit-unavailable', `the journal file \`${name}\` is damaged or missing`, {
    cause,
    fix: 'keep the journal folder as evidence and start with an empty one',
  })
}

function unavailable(message: string, retryAfter?: number): Failure {
  return new Failure('audit-unavailable', message, retryAfter === undefined ? {} : { retryAfter })
}

/** `ENOSPC`, `EIO`: what the system calls it. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}
