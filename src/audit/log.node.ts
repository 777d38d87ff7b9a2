/**
 * The audit log on Node: records become rows, rows go to the journal; each sealed segment to the chain, then to ClickHouse
 * and whoever else wants it.
 */
import type { Clock, Log } from '../runtime.ts'
import { Failure } from '../failure.ts'
import type { Chain } from './chain/contract.ts'
import { sha256 } from './chain/keys.node.ts'
import { segmentRows } from './chain/segment-row.ts'
import type { AuditLog, AuditRecord, AuditStatus, DestinationStatus, RecordKind } from './contract.ts'
import { Deliveries, keptPosition } from './delivery.node.ts'
import { filesIn, type Files } from './files.node.ts'
import { Journal, JOURNAL_LIMITS, type JournalLimits, type SealedSegment } from './journal.node.ts'
import { lockFolder, type FolderLock } from './lock.node.ts'
import { columnNames, encodeUnplaced, toRow } from './record.ts'
import { createMigrator, type Commander } from './schema.ts'
import { RECORDS } from './segment.node.ts'
import { Shipper, SHIP_LIMITS, type Deliver, type SealedRows, type ShipLimits, type ShipStatus } from './ship.ts'
import { createSegmentStorage, createStorage, type Inserter } from './storage.ts'

/** What the log asks of ClickHouse; its session's database MUST be one that exists before ours does: `default`. */
export type AuditClickHouse = Commander & Inserter & { close(): Promise<void> }

/** Someone besides ClickHouse who is handed every record, at least once: a SIEM. */
export interface Follower {
  /** Of small letters, digits and dashes; names how far it has come. */
  readonly name: string
  readonly deliver: Deliver<SealedRows>
  /** Takes note, for good, that the records of a segment cannot be read any more. */
  damaged(sealed: SealedRows, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** How long ClickHouse keeps a record, in days. */
export type Retention = (record: Pick<AuditRecord, 'kind' | 'connection'>) => number

/** What a chain must know of the journal that it is over. */
export interface ChainedJournal {
  readonly files: Files
  readonly epoch: string
  /** The oldest segment that it still has, or that it writes next. */
  readonly oldest: number
  /** The last segment that was told to be in the tree; 0 where nothing says so. */
  readonly extended: number
}

export interface AuditLogOptions {
  /** The journal's own folder; made if it is not there. */
  readonly dir: string
  /** This gateway's name in the records. */
  readonly writer: string
  readonly clock: Clock
  /** A fresh UUIDv7. */
  readonly newId: () => string
  readonly log: Log
  /** `maxBytes`: most that may wait for ClickHouse; then nothing is recorded, so nothing runs. */
  readonly limits?: Partial<JournalLimits & ShipLimits> & { readonly maxBytes?: number }
  readonly retention?: Retention
  /** Absent: records stay in the journal. Closed with the log. */
  readonly clickhouse?: AuditClickHouse
  readonly database?: string
  /** Makes the chain over this journal; absent: there is none, as in tests of other parts. */
  readonly chain?: (journal: ChainedJournal) => Promise<Chain>
  /** Each keeps segments until it has had them. */
  readonly followers?: readonly Follower[]
  /** For tests: another file system. */
  readonly files?: Files
  /** Longest that closing waits for a last delivery, in milliseconds. */
  readonly lastDeliveryMs?: number
}

const RETAIN_DAYS = 400
const LAST_DELIVERY_MS = 5000
const DATABASE = 'audit'

/** How far back a clock may be set, in milliseconds, without the records' times going back with it. */
const MOST_BACK_MS = 600_000

/** Names of destinations. */
const CHAIN = 'chain'
const CLICKHOUSE = 'clickhouse'

/** Records that end what another began may use the last of each bound. */
const FINISHING: ReadonlySet<RecordKind> = new Set([
  'completed',
  'failed',
  'settled',
  'hold',
  'policy',
  'started',
  'stopped',
])

/**
 * Opens the journal, recovers what an earlier process left, and begins to ship. Rejects with `audit-unavailable` where
 * the folder is in use, damaged or not writable; ClickHouse need not answer.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { dir, clock, log, newId } = options
  const limits = limitsOf(options.limits)
  const files = options.files ?? (await folder(dir))
  const lock = lockFolder(dir)
  try {
    const journal = await Journal.open({ files, kind: RECORDS, newEpoch: newId, clock, log, limits })
    const { epoch, oldest } = journal
    const chain = await options.chain?.({ files, epoch, oldest, extended: await keptPosition(files, CHAIN, epoch) })
    const { shippers, deliveries } = await shippersOf(journal, files, chain, options, limits)
    if (options.clickhouse === undefined) {
      log('warn', 'no ClickHouse is configured: audit records stay in the journal')
    }
    chain?.start()
    return new NodeAuditLog(options, { journal, chain, shippers, deliveries, lock })
  } catch (error) {
    lock.release()
    throw error
  }
}

type Shippers = ReadonlyMap<string, Shipper<SealedSegment>>

interface Opened {
  readonly journal: Journal
  readonly chain: Chain | undefined
  readonly shippers: Shippers
  readonly deliveries: Deliveries
  readonly lock: FolderLock
}

class NodeAuditLog implements AuditLog {
  readonly #options: AuditLogOptions
  readonly #journal: Journal
  readonly #chain: Chain | undefined
  readonly #shippers: Shippers
  readonly #deliveries: Deliveries
  readonly #lock: FolderLock
  #closing: Promise<void> | undefined
  /** The time of the last record, in milliseconds. */
  #lastAt = 0

  constructor(options: AuditLogOptions, { journal, chain, shippers, deliveries, lock }: Opened) {
    this.#options = options
    this.#journal = journal
    this.#chain = chain
    this.#shippers = shippers
    this.#deliveries = deliveries
    this.#lock = lock
  }

  append(record: AuditRecord): Promise<void> {
    let row: Uint8Array
    try {
      row = this.#encode(record)
    } catch (cause) {
      return Promise.reject(new Failure('audit-unavailable', 'the record has no canonical form', { cause }))
    }
    return this.#journal.append(row, FINISHING.has(record.kind))
  }

  status(): AuditStatus {
    const { writable, tight, backlogRecords, backlogBytes, damaged } = this.#journal.status()
    const { deliveredAt, problem } = this.#shippers.get(CLICKHOUSE)?.status() ?? { problem: 'no-clickhouse' }
    const deliveryProblem = problem ?? (damaged > 0 ? 'segment-damaged' : undefined)
    return {
      writable,
      tight,
      backlogRecords,
      backlogBytes,
      ...(deliveredAt !== undefined && { deliveredAt }),
      ...(deliveryProblem !== undefined && { deliveryProblem }),
      ...(this.#chain && { chain: this.#chain.status() }),
      destinations: Array.from(this.#shippers, ([name, shipper]) => this.#destination(name, shipper.status())),
    }
  }

  #destination(name: string, status: ShipStatus): DestinationStatus {
    return { name, lagRecords: this.#deliveries.lagOf(name), ...status }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { lastDeliveryMs = LAST_DELIVERY_MS, followers = [], clickhouse } = this.#options
    try {
      await this.#journal.close()
      // The chain first: what is behind it waits for it.
      await this.#shippers.get(CHAIN)?.close(lastDeliveryMs)
      await this.#chain?.close(lastDeliveryMs)
      await Promise.all([...this.#shippers.values()].map((shipper) => shipper.close(lastDeliveryMs)))
      await Promise.all(followers.map((follower) => follower.close()))
      await clickhouse?.close()
    } finally {
      this.#lock.release()
    }
  }

  #encode(record: AuditRecord): Uint8Array {
    const { newId, writer, retention } = this.#options
    const retainDays = retention?.(record) ?? RETAIN_DAYS
    const stamp = { recordId: newId(), writer, epoch: this.#journal.epoch, retainDays }
    return encodeUnplaced(toRow({ ...record, at: this.#inOrder(record.at) }, stamp))
  }

  /**
   * The time of a record: never before that of the one written before it, so that a clock which is set back does not turn
   * their order around. One that was far ahead is not followed: then the sequence alone tells the order.
   */
  #inOrder(at: number): number {
    const isBack = at < this.#lastAt && this.#lastAt - at <= MOST_BACK_MS
    this.#lastAt = isBack ? this.#lastAt : at
    return this.#lastAt
  }
}

/** One for each destination, begun. What has gone nowhere but to the chain stays in the journal. */
async function shippersOf(
  journal: Journal,
  files: Files,
  chain: Chain | undefined,
  { clickhouse, database = DATABASE, followers = [], clock, log, writer }: AuditLogOptions,
  limits: ShipLimits,
): Promise<Pick<Opened, 'shippers' | 'deliveries'>> {
  const destinations = new Map<string, Deliver<SealedSegment>>()
  /** What else is told of a segment that cannot be read, before it is set aside. */
  const damages = new Map<string, (sealed: SealedSegment) => Promise<void>>()
  if (chain !== undefined) {
    destinations.set(CHAIN, (sealed, rows) => chain.extend(sealed, rows))
    damages.set(CHAIN, (sealed) => chain.extendDamaged(sealed))
  }
  if (clickhouse !== undefined) {
    const { epoch } = journal
    const shared = { inserter: clickhouse, database, migrator: createMigrator(clickhouse, database), epoch }
    const store = createStorage({ ...shared, table: 'events', columns: columnNames })
    destinations.set(CLICKHOUSE, store)
    if (chain !== undefined) {
      const hashes = createSegmentStorage({ ...shared, segmentRow: segmentRows(sha256, { writer, epoch }) })
      destinations.set(CLICKHOUSE, async (sealed, rows, signal) => {
        await store(sealed, rows, signal)
        await hashes(sealed, rows, signal)
      })
      damages.set(CLICKHOUSE, (sealed) => hashes(sealed, undefined, AbortSignal.timeout(limits.tryMs)))
    }
  }
  for (const follower of followers) {
    destinations.set(follower.name, (sealed, rows, signal) => follower.deliver(sealed, rows, signal))
    damages.set(follower.name, (sealed) => follower.damaged(sealed, AbortSignal.timeout(limits.tryMs)))
  }
  // Named though it is not configured: nothing is removed that the store of evidence has not had.
  const names = [...new Set([...destinations.keys(), CLICKHOUSE])]
  // What is in the tree, the tree knows better than a cursor.
  const known = new Map(chain === undefined ? [] : [[CHAIN, chain.reached()] as const])
  const deliveries = await Deliveries.open(journal, files, names, known)
  const behind = chain === undefined ? undefined : CHAIN
  const shippers = new Map(
    Array.from(destinations, ([name, deliver]) => {
      const segments = damageTold(deliveries.of(name, name === CHAIN ? undefined : behind), damages.get(name))
      return [name, new Shipper({ name, segments, deliver, clock, log, limits })] as const
    }),
  )
  const wake = (): void => {
    for (const shipper of shippers.values()) shipper.wake()
  }
  journal.onSealed = wake
  // The chain is always there: it says nothing of how those do for whom the records are.
  const takers = [...destinations.keys()].filter((name) => name !== CHAIN)
  journal.waiting = () => deliveries.waitingFor(takers)
  deliveries.onDelivered = wake
  for (const shipper of shippers.values()) shipper.start()
  return { shippers, deliveries }
}

function damageTold(
  segments: ReturnType<Deliveries['of']>,
  tell: ((sealed: SealedSegment) => Promise<void>) | undefined,
): ReturnType<Deliveries['of']> {
  return {
    ...segments,
    async setAside(sealed) {
      await tell?.(sealed)
      await segments.setAside(sealed)
    },
  }
}

function limitsOf(given: AuditLogOptions['limits'] = {}): JournalLimits & ShipLimits {
  const { maxBytes, ...rest } = given
  return { ...JOURNAL_LIMITS, ...SHIP_LIMITS, ...(maxBytes !== undefined && { diskBytes: maxBytes }), ...rest }
}

async function folder(dir: string): Promise<Files> {
  try {
    return await filesIn(dir)
  } catch (cause) {
    throw new Failure('audit-unavailable', `the audit journal's folder \`${dir}\` cannot be made`, { cause })
  }
}
