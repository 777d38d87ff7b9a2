/** The audit log on Node: records become rows, rows go to the journal, sealed segments to ClickHouse. */
import type { Clock, Log } from '../runtime.ts'
import { Failure } from '../failure.ts'
import type { AuditLog, AuditRecord, AuditStatus, RecordKind } from './contract.ts'
import { filesIn, type Files } from './files.node.ts'
import { Journal, JOURNAL_LIMITS, type JournalLimits, type SealedSegment } from './journal.node.ts'
import { lockFolder, type FolderLock } from './lock.node.ts'
import { encodeUnplaced, toRow } from './record.ts'
import { createMigrator, type Commander } from './schema.ts'
import { Shipper, SHIP_LIMITS, type Inserter, type ShipLimits } from './ship.ts'

/** What the log asks of ClickHouse; its session's database MUST be one that exists before ours does: `default`. */
export type AuditClickHouse = Commander & Inserter & { close(): Promise<void> }

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
  /** How long ClickHouse keeps a record. */
  readonly retainDays?: number
  /** Absent: records stay in the journal. Closed with the log. */
  readonly clickhouse?: AuditClickHouse
  readonly database?: string
  /** For tests: another file system. */
  readonly files?: Files
  /** Longest that closing waits for a last delivery, in milliseconds. */
  readonly lastDeliveryMs?: number
}

const RETAIN_DAYS = 400
const LAST_DELIVERY_MS = 5000
const DATABASE = 'audit'

/** Records that end what another began may use the last of each bound. */
const FINISHING: ReadonlySet<RecordKind> = new Set(['completed', 'failed', 'hold', 'stopped'])

/**
 * Opens the journal, recovers what an earlier process left, and begins to ship. Rejects with `audit-unavailable` where
 * the folder is in use, damaged or not writable; ClickHouse need not answer.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { dir, clock, log, newId, clickhouse } = options
  const limits = limitsOf(options.limits)
  const files = options.files ?? (await folder(dir))
  const lock = lockFolder(dir)
  try {
    const journal = await Journal.open({ files, newEpoch: newId, clock, log, limits })
    const shipper = clickhouse && shipperOf(journal, clickhouse, options, limits)
    if (shipper === undefined) log('warn', 'no ClickHouse is configured: audit records stay in the journal')
    else {
      journal.onSealed = () => shipper.wake()
      shipper.start()
    }
    return new NodeAuditLog(options, journal, shipper, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

class NodeAuditLog implements AuditLog {
  readonly #options: AuditLogOptions
  readonly #journal: Journal
  readonly #shipper: Shipper<SealedSegment> | undefined
  readonly #lock: FolderLock
  #closing: Promise<void> | undefined

  constructor(
    options: AuditLogOptions,
    journal: Journal,
    shipper: Shipper<SealedSegment> | undefined,
    lock: FolderLock,
  ) {
    this.#options = options
    this.#journal = journal
    this.#shipper = shipper
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
    const { writable, backlogRecords, backlogBytes, damaged } = this.#journal.status()
    const { deliveredAt, problem } = this.#shipper?.status() ?? { problem: 'no-clickhouse' }
    const deliveryProblem = problem ?? (damaged > 0 ? 'segment-damaged' : undefined)
    return {
      writable,
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

  #encode(record: AuditRecord): Uint8Array {
    const { newId, writer, retainDays = RETAIN_DAYS } = this.#options
    return encodeUnplaced(toRow(record, { recordId: newId(), writer, epoch: this.#journal.epoch, retainDays }))
  }
}

function shipperOf(
  journal: Journal,
  clickhouse: AuditClickHouse,
  { clock, log, database = DATABASE }: AuditLogOptions,
  limits: ShipLimits,
): Shipper<SealedSegment> {
  const inserter: Inserter = {
    insertRowBinary: (table, columns, bytes, token, signal) =>
      clickhouse.insertRowBinary(`${database}.${table}`, columns, bytes, token, signal),
  }
  const migrator = createMigrator(clickhouse, database)
  return new Shipper({ segments: journal, inserter, migrator, clock, log, limits })
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
