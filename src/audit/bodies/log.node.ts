/**
 * The log of bodies on Node: of the same make as that of the records, in a folder of its own, so that large answers never
 * stand in the way of records. Its rows go to ClickHouse's table `payloads`.
 */
import { Failure } from '../../failure.ts'
import type { Clock, Hasher, Log } from '../../runtime.ts'
import type { AuditStatus, PayloadLog, Tape, TapedBody } from '../contract.ts'
import { Deliveries } from '../delivery.node.ts'
import { filesIn, type Files } from '../files.node.ts'
import { Journal, JOURNAL_LIMITS, type JournalLimits, type SealedSegment } from '../journal.node.ts'
import { lockFolder, type FolderLock } from '../lock.node.ts'
import type { AuditClickHouse } from '../log.node.ts'
import { encodePayload, PAYLOAD_NAMES, type UnplacedPayload } from '../payload.ts'
import { createMigrator } from '../schema.ts'
import { PAYLOADS } from '../segment.node.ts'
import { Shipper, SHIP_LIMITS, type ShipLimits } from '../ship.ts'
import { createStorage } from '../storage.ts'
import { Room } from './room.ts'
import { PieceTape } from './tape.ts'

export interface PayloadLogOptions {
  /** The journal's own folder; made if it is not there. Not that of the records. */
  readonly dir: string
  /** This gateway's name in the rows. */
  readonly writer: string
  readonly clock: Clock
  /** A fresh UUIDv7. */
  readonly newId: () => string
  readonly hasher: () => Hasher
  readonly log: Log
  /** How many days a body is kept. */
  readonly retainDays: (body: TapedBody['exchange']) => number
  /** `maxBytes`: most that may wait for ClickHouse; then nothing runs whose body is to be recorded. */
  readonly limits?: Partial<JournalLimits & ShipLimits> & { readonly maxBytes?: number }
  /** Absent: bodies stay in the journal. Closed with the log. */
  readonly clickhouse?: AuditClickHouse
  readonly database?: string
  readonly digest?: PayloadLog['digest']
  readonly seal?: PayloadLog['seal']
  /** For tests: another file system. */
  readonly files?: Files
  /** Longest that closing waits for a last delivery, in milliseconds. */
  readonly lastDeliveryMs?: number
}

const LAST_DELIVERY_MS = 5000
const DATABASE = 'audit'
const CLICKHOUSE = 'clickhouse'

/** Bodies come in large pieces: fewer and larger segments than those of records. */
const SEGMENT_BYTES = 16 * 1024 * 1024

/** Most bytes of all pieces that wait for the disk: whoever brings more waits, so that the journal never refuses a piece. */
const WAITING_BYTES = 32 * 1024 * 1024

const DAY_MS = 86_400_000
const LAST_DAY = 65_535

/** Opens the journal of bodies, recovers what an earlier process left, and begins to ship. Rejects as `openAuditLog` does. */
export async function openPayloadLog(options: PayloadLogOptions): Promise<PayloadLog> {
  const { dir, clock, log, newId } = options
  const limits = limitsOf(options.limits)
  const files = options.files ?? (await folder(dir))
  const lock = lockFolder(dir)
  try {
    const journal = await Journal.open({ files, kind: PAYLOADS, newEpoch: newId, clock, log, limits })
    return new NodePayloadLog(options, journal, await shipperOf(journal, files, options, limits), lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

class NodePayloadLog implements PayloadLog {
  readonly digest?: NonNullable<PayloadLog['digest']>
  readonly seal?: NonNullable<PayloadLog['seal']>
  readonly #options: PayloadLogOptions
  readonly #journal: Journal
  readonly #shipper: Shipper<SealedSegment> | undefined
  readonly #lock: FolderLock
  readonly #room = new Room(WAITING_BYTES)
  #closing: Promise<void> | undefined

  constructor(
    options: PayloadLogOptions,
    journal: Journal,
    shipper: Shipper<SealedSegment> | undefined,
    lock: FolderLock,
  ) {
    this.#options = options
    this.#journal = journal
    this.#shipper = shipper
    this.#lock = lock
    if (options.digest !== undefined) this.digest = options.digest
    if (options.seal !== undefined) this.seal = options.seal
  }

  open(body: TapedBody): Tape {
    if (!this.#journal.status().writable) {
      throw new Failure(
        'audit-unavailable',
        'the body would have to be recorded, and the log of bodies takes no more',
        {
          retryAfter: 30,
        },
      )
    }
    const { writer, clock, hasher, retainDays } = this.#options
    const until = Math.floor(clock.now() / DAY_MS) + retainDays(body.exchange)
    return new PieceTape({
      body,
      writer,
      epoch: this.#journal.epoch,
      retainUntil: Math.min(LAST_DAY, Math.max(0, until)),
      append: (piece) => this.#append(piece),
      hasher,
      now: () => clock.now(),
    })
  }

  status(): AuditStatus {
    const { writable, tight, backlogRecords, backlogBytes, damaged } = this.#journal.status()
    const { deliveredAt, problem } = this.#shipper?.status() ?? { problem: 'no-clickhouse' }
    const deliveryProblem = problem ?? (damaged > 0 ? 'segment-damaged' : undefined)
    return {
      writable,
      tight,
      backlogRecords,
      backlogBytes,
      ...(deliveredAt !== undefined && { deliveredAt }),
      ...(deliveryProblem !== undefined && { deliveryProblem }),
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      await this.#journal.close()
      await this.#shipper?.close(this.#options.lastDeliveryMs ?? LAST_DELIVERY_MS)
      await this.#options.clickhouse?.close()
    } finally {
      this.#lock.release()
    }
  }

  async #append(piece: UnplacedPayload): Promise<void> {
    let row: Uint8Array
    try {
      row = encodePayload(piece)
    } catch (cause) {
      throw new Failure('audit-unavailable', 'the body has no canonical form', { cause })
    }
    await this.#room.take(row.length)
    try {
      // What has begun may use the last of each bound: its record is written all the same, and says so where it was cut.
      await this.#journal.append(row, true)
    } finally {
      this.#room.give(row.length)
    }
  }
}

async function shipperOf(
  journal: Journal,
  files: Files,
  { clickhouse, database = DATABASE, clock, log }: PayloadLogOptions,
  limits: ShipLimits,
): Promise<Shipper<SealedSegment> | undefined> {
  if (clickhouse === undefined) return undefined
  const deliveries = await Deliveries.open(journal, files, [CLICKHOUSE])
  const deliver = createStorage({
    inserter: clickhouse,
    database,
    migrator: createMigrator(clickhouse, database),
    epoch: journal.epoch,
    table: 'payloads',
    columns: () => PAYLOAD_NAMES,
  })
  const shipper = new Shipper({ name: 'payloads', segments: deliveries.of(CLICKHOUSE), deliver, clock, log, limits })
  journal.onSealed = () => shipper.wake()
  shipper.start()
  return shipper
}

function limitsOf(given: PayloadLogOptions['limits'] = {}): JournalLimits & ShipLimits {
  const { maxBytes, ...rest } = given
  const disk = maxBytes === undefined ? {} : { diskBytes: maxBytes }
  return { ...JOURNAL_LIMITS, ...SHIP_LIMITS, segmentBytes: SEGMENT_BYTES, ...disk, ...rest }
}

async function folder(dir: string): Promise<Files> {
  try {
    return await filesIn(dir)
  } catch (cause) {
    throw new Failure('audit-unavailable', `the folder \`${dir}\` for bodies cannot be made`, { cause })
  }
}
