/** What the gateway asks of the audit log. */
import type {
  Completed,
  Decision,
  Finding,
  Keep,
  Plane,
  PolicyDigest,
  Principal,
  ResourceUse,
  Stated,
  Statistics,
} from '../exchange.ts'
import type { ChainStatus } from './chain/contract.ts'

/**
 * `refused`: not proven or not understood. `decided`: permit, hold or deny, before anything runs. `completed`: ran and
 * answered, whole or cut. `failed`: permitted, then broke. `settled`: the end of another, which a crash left open, was found
 * out. `hold`: a hold changed state. `looked`: somebody was told what the gateway itself holds (connections, schemas, holds).
 * `audit-query`: an auditor asked. `policy`: another policy set is in force. `started`, `stopped`: the writer itself.
 */
export type RecordKind =
  | 'refused'
  | 'decided'
  | 'completed'
  | 'failed'
  | 'settled'
  | 'hold'
  | 'looked'
  | 'audit-query'
  | 'policy'
  | 'started'
  | 'stopped'

/** One entry of evidence. Plain; every part that does not apply is absent. */
export interface AuditRecord {
  readonly kind: RecordKind
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  /** When the request came, milliseconds since 1970 UTC. */
  readonly receivedAt?: number
  /** The exchange's UUIDv7; for records of no exchange, the record's own. */
  readonly exchange: string
  /** The door: `query`, `preflight`, `holds`, `audit`, `gateway`. */
  readonly surface: string
  readonly plane?: Plane
  readonly principal?: Principal
  readonly connection?: string
  readonly purpose?: string
  readonly statement?: RecordedStatement
  readonly findings?: readonly Finding[]
  readonly decision?: Decision
  readonly policy?: PolicyDigest
  /** For `refused` and `failed`. */
  readonly failure?: { readonly code: string; readonly message: string }
  /** For `completed`. */
  readonly completion?: Pick<
    Completed,
    'ran' | 'job' | 'rowCount' | 'byteCount' | 'status' | 'sent' | 'masked' | 'statistics' | 'ending' | 'cut'
  > & { readonly timings?: Timings; readonly bodies?: RecordedBodies }
  /** For `failed`. */
  readonly broken?: { readonly timings?: Timings; readonly bodies?: RecordedBodies }
  /** For `settled`. */
  readonly settled?: SettledEnd
  /** For `started` and `policy`: what is in force, by path. */
  readonly documents?: Readonly<Record<string, string>>
  /** For `hold`: the state it moved to, by whom (absent: by time), and their words. */
  readonly hold?: { readonly id: string; readonly state: string; readonly comment?: string }
  /** For `policy`, `started`, `stopped`: what changed, in a few words. */
  readonly note?: string
}

/** What an upstream said, afterwards, of an exchange whose end a crash kept from being written down. */
export interface SettledEnd {
  readonly outcome: 'ran' | 'not-run' | 'unknown'
  /** In words. */
  readonly detail: string
  readonly job?: string
  readonly ran?: string
  readonly statistics?: Statistics
}

/** Milliseconds since the request came. */
export interface Timings {
  readonly firstByteMs?: number
  readonly totalMs: number
}

/** What the payload log holds of an exchange. */
export interface RecordedBodies {
  readonly request?: KeptBody
  readonly answer?: KeptBody
}

/** A body as far as policy wants it kept. Secret values are digests in it, so it need not be what went over the wire. */
export interface KeptBody {
  /** `digest`: nothing of it is kept. */
  readonly mode: 'full' | 'first' | 'digest'
  readonly type: string
  /** Of all of it. */
  readonly bytes: number
  /** SHA-256 of all of it, 64 hex digits. */
  readonly digest: string
  /** Bytes that are kept: all, where `full` kept its promise. */
  readonly kept: number
  /** SHA-256 of those. */
  readonly keptDigest: string
}

export interface RecordedStatement {
  readonly language: string
  readonly kind: string
  readonly text: string
  readonly uses: readonly ResourceUse[]
  /** Parameter names and types; values are row data and stay out. */
  readonly parameters: readonly string[]
  readonly estimatedBytes?: number
  /** `SqlStatement.shape` */
  readonly shape?: string
  /** The body of an HTTP request. */
  readonly request?: RecordedBody
  /** What policies weighed of it, as JSON, from which the decision can be made again. */
  readonly weighed?: string
}

/** A body by its size and digest, and as text where it is one, with a mark where it was cut. */
export interface RecordedBody {
  readonly type: string
  readonly bytes?: number
  /** SHA-256, 64 hex digits. */
  readonly digest?: string
  readonly text?: string
}

export interface AuditLog {
  /**
   * Resolves when the record is durable. MUST reject with `audit-unavailable` when it cannot be made so, and then
   * nothing may run or be answered.
   */
  append(record: AuditRecord): Promise<void>
  /** For readiness and metrics. */
  status(): AuditStatus
  /** Resolves when what was appended is durable and the log is closed. */
  close(): Promise<void>
}

export interface AuditStatus {
  /** False once the journal refuses writes. */
  readonly writable: boolean
  /** The journal is filling up or slow: a connection that is careful stops here, before nothing can be recorded. */
  readonly tight: boolean
  /** Records that are durable here and that not everyone who is to have them has: ClickHouse, a SIEM. */
  readonly backlogRecords: number
  readonly backlogBytes: number
  /** Milliseconds since 1970 UTC of the last delivery to ClickHouse, if there was one. */
  readonly deliveredAt?: number
  /** Why delivery to ClickHouse does not get on, if it does not. */
  readonly deliveryProblem?: string
  /** Everyone who is handed records. */
  readonly destinations?: readonly DestinationStatus[]
  /** The tree over all records, and its signed heads. */
  readonly chain?: ChainStatus
}

/** How far one of those is who are handed records. */
export interface DestinationStatus {
  /** `chain`, `clickhouse`, `siem-soc`. */
  readonly name: string
  /** Records that are durable here and that it does not have. */
  readonly lagRecords: number
  /** Milliseconds since 1970 UTC of the last delivery since the gateway was started, if there was one. */
  readonly deliveredAt?: number
  /** Why delivery does not get on, if it does not: a code. */
  readonly problem?: string
}

/** Bodies of exchanges, as far as policy wants them kept; a log of its own beside that of the records. */
export interface PayloadLog {
  /** Keyed digest of a value's canonical text, 32 hex digits. Absent: no key is configured. */
  readonly digest?: (canonical: string) => string
  /** Encrypts for the auditors alone: one line. `exchange` is bound to it. Absent: no auditor's key is configured. */
  readonly seal?: (plaintext: Uint8Array, exchange: string) => Promise<Uint8Array>
  /** Begins to record a body. Throws `audit-unavailable` where no more can be written. */
  open(body: TapedBody): Tape
  /** For readiness and metrics. */
  status(): AuditStatus
  /** Resolves when what was pushed is durable and the log is closed. */
  close(): Promise<void>
}

export interface TapedBody {
  readonly exchange: Pick<Stated, 'id' | 'connection' | 'principal'>
  readonly direction: 'request' | 'answer' | 'sealed'
  /** The content type of what is recorded. */
  readonly type: string
  readonly keep: Keep
}

/** One body on its way into the log. What is pushed while another push is under way waits for it. */
export interface Tape {
  /**
   * Resolves when there is room for more: whoever pushes waits for the disk. `digests` are those of secret values in these
   * bytes; they are listed though the bytes are not kept. Rejects with `audit-unavailable`, then and ever after.
   */
  push(bytes: Uint8Array, digests?: readonly string[]): Promise<void>
  /** Resolves when all of it is durable. `mark` says why the body is not whole, if it is not. Called once, last. */
  end(mark?: string): Promise<KeptBody>
}

/** What auditors read: SQL over the audit views, and single exchanges. */
export interface AuditReader {
  /** Read-only. Rejects with `statement-refused` for what is not allowed. */
  query(request: AuditQuery, signal: AbortSignal): Promise<AuditAnswer>
  /** Everything that is recorded of an exchange; `undefined` where nothing is, or nothing that may be seen. */
  exchange(asked: ExchangeAsked, signal: AbortSignal): Promise<RecordedExchange | undefined>
  /** The same in the order of time, bodies and all, as fast as it is read; `undefined` as above. */
  replay(asked: ExchangeAsked, signal: AbortSignal): Promise<AsyncIterable<ReplayEvent> | undefined>
  ready(signal: AbortSignal): Promise<void>
}

export interface ExchangeAsked {
  /** A UUID. */
  readonly exchange: string
  /** The connections of which the auditor may see records; absent: of all. */
  readonly connections?: readonly string[]
}

/** An exchange as plain JSON: what is empty is left out, times are ISO 8601. */
export interface RecordedExchange {
  readonly exchange: string
  /** Every record, in the order in which they were written, each with its place in the log. */
  readonly records: readonly Readonly<Record<string, unknown>>[]
  /** What `payloads` holds, without the content. */
  readonly bodies: readonly StoredBody[]
}

/** A body as far as the store has it. */
export interface StoredBody {
  readonly direction: string
  readonly type: string
  readonly pieces: number
  /** Of all pieces. */
  readonly bytes: number
  /** Its last piece is there. */
  readonly ended: boolean
  /** Why it is not whole. */
  readonly mark?: string
}

/** Something that happened in an exchange: `at` milliseconds since the request came. */
export interface ReplayEvent {
  readonly at: number
  readonly event: string
  readonly [fact: string]: unknown
}

/** What a gateway began in an earlier life and did not end. */
export interface UnfinishedReader {
  /** Whether a record is in the store already: then so is everything that its writer wrote before it. */
  arrived(record: string, signal: AbortSignal): Promise<boolean>
  /** Permitted and without an end, the oldest first; bounded. Times in milliseconds since 1970 UTC. */
  unfinished(
    asked: { readonly writer: string; readonly since: number; readonly before: number },
    signal: AbortSignal,
  ): Promise<readonly Unfinished[]>
}

export interface Unfinished {
  readonly exchange: string
  readonly surface: string
  readonly connection: string
  readonly principal: Principal
}

/** What principals were answered before, for weighing what they ask now. */
export interface HabitReader {
  /** Rejects where the log cannot be read. Records may come into it a minute after what they tell of. */
  habits(asked: HabitsAsked, signal: AbortSignal): Promise<Habits>
}

export interface HabitsAsked {
  readonly principal: Pick<Principal, 'issuer' | 'subject' | 'actsFor'>
  readonly connection: string
  /** From when on, milliseconds since 1970 UTC. */
  readonly since: number
}

/** Of statements that were answered; bounded, the most frequent shapes first. */
export interface Habits {
  readonly exchanges: number
  /** 24 counts, by the hour of the day, UTC. */
  readonly hours: readonly number[]
  /** How often each `SqlStatement.shape`. */
  readonly shapes: ReadonlyMap<string, number>
  readonly tables: ReadonlySet<string>
  /** Of the estimates that are recorded. */
  readonly bytesP95?: number
}

export interface AuditQuery {
  readonly sql: string
  /** ClickHouse query parameters: `{name:Type}` in the text. */
  readonly params: Readonly<Record<string, string | number | boolean | null>>
  readonly format: 'json' | 'ndjson' | 'csv' | 'parquet'
  /** The connections of which the auditor may see records; absent: of all. */
  readonly connections?: readonly string[]
}

/** The bytes of the answer, in the format asked for. */
export interface AuditAnswer {
  readonly contentType: string
  readonly body: ReadableStream<Uint8Array>
  /** Rows of the answer so far; all of them once the body has ended. */
  rows(): number
}

/** Evidence packs, for auditors. */
export interface EvidenceExporter {
  /** Rejects before anything is answered where the span cannot be exported; later the body breaks off without an end. */
  export(request: EvidenceRequest, signal: AbortSignal): Promise<EvidencePack>
}

export interface EvidenceRequest {
  /** Milliseconds since 1970 UTC. */
  readonly from: number
  /** Exclusive. */
  readonly to: number
  /** Of the records that people read. */
  readonly format: 'ndjson' | 'parquet'
  /** Trust Services Criteria that the report is about; none: all that it knows. */
  readonly controls: readonly string[]
  /** The connections of which the auditor may see records; absent: of all. */
  readonly connections?: readonly string[]
  /** Who asks, and under which exchange that is recorded. */
  readonly by: Pick<Principal, 'issuer' | 'subject'>
  readonly exchange: string
}

export interface EvidencePack {
  readonly contentType: string
  /** For the file that it becomes. */
  readonly name: string
  /** Records of the span. */
  readonly records: number
  readonly body: ReadableStream<Uint8Array>
}
