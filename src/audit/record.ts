/**
 * An audit record as one row of `audit.events`: its columns, and their bytes. Pure.
 *
 * The order of `COLUMNS` is the order of the bytes and never changes within a version; a column is only ever added in a
 * new version, which it names: rows that an older gateway left in the journal are of the columns that there were. None of them has a DEFAULT or is MATERIALIZED: ClickHouse holds what we wrote and nothing else.
 */
import type { Decision, Finding } from '../exchange.ts'
import type { AuditRecord, RecordKind } from './contract.ts'
import {
  bool,
  ByteReader,
  ByteWriter,
  count,
  day,
  float,
  list,
  MalformedBytes,
  micros,
  millis,
  optional,
  text,
  uuid,
  word,
  type Codec,
} from './rowbinary.ts'

/** The version of `COLUMNS`. */
export const SCHEMA_VERSION = 4

interface Column<Name extends string, T> {
  readonly name: Name
  readonly codec: Codec<T>
  /** For auditors: what it says. */
  readonly comment: string
  /** The version of the schema that brought it. */
  readonly since: number
}

function column<Name extends string, T>(name: Name, codec: Codec<T>, comment: string, since = 1): Column<Name, T> {
  return { name, codec, comment, since }
}

/** Every column in the order of the bytes. The last two, 8 bytes each, say where in the journal the row was written. */
export const COLUMNS = [
  column('ts', micros, 'when it happened, UTC'),
  column('record_id', uuid, 'of this record alone; a UUIDv7'),
  column('exchange_id', uuid, 'of the exchange it belongs to: the `Sluice-Exchange` header of the answer'),
  column(
    'kind',
    word,
    'refused, decided, completed, failed, settled, hold, looked, audit-query, policy, started or stopped',
  ),
  column('surface', word, 'the door: query, preflight, holds, audit, connections, gateway'),
  column('plane', word, 'agents or people; empty where nobody was proven'),
  column('issuer', word, 'who vouched for the principal; keys for API keys'),
  column('subject', word, 'the principal, as its issuer names it'),
  column('principal_kind', word, 'agent, service or person'),
  column('groups', list(word), 'the groups of the principal'),
  column('acts_for_issuer', word, 'who vouched for the person for whom the agent acts'),
  column('acts_for_subject', text, 'the person for whom the agent acts'),
  column('connection', word, 'the upstream by its configured name'),
  column('purpose', text, 'why, in the words of the requester'),
  column('language', word, 'of the statement'),
  column('statement_kind', word, 'SELECT, INSERT, ... as BigQuery names it'),
  column('statement', text, 'the text as it was analysed, or as it was sent where it was refused'),
  column('actions', list(word), 'read, write, define, delete, ...; each on the table at the same position in `tables`'),
  column('tables', list(word), 'the tables and views that are touched'),
  column('vias', list(word), 'the view through which, or empty where it is named in the text itself'),
  column('parameters', list(text), 'names and types of the parameters; values are never recorded'),
  column('estimated_bytes', optional(count), 'bytes that the dry run said it would read'),
  column('effect', word, 'permit, hold or deny'),
  column('reason_codes', list(word), 'why, as codes: policy/rule, or a code of the gateway'),
  column('reason_texts', list(text), 'why, in words; each for the code at the same position'),
  column('reasons', text, 'why, whole, as JSON'),
  column('obligations', text, 'what the permit demanded (masks, limits), as JSON'),
  column('approver_groups', text, 'who may approve, as JSON: one entry per rule that holds'),
  column('hold_expires_at', optional(millis), 'until when it may be approved'),
  column('findings', text, 'what the plugins saw, as JSON'),
  column('policy', word, 'digest of the policies in force'),
  column('failure_code', word, 'why it was refused or failed'),
  column('failure_message', text, 'the same in words'),
  column('ran', text, 'the text that truly ran, masks and all'),
  column('job', text, 'the job id of the upstream'),
  column('row_count', optional(count), 'rows that were answered'),
  column('byte_count', optional(count), 'bytes of rows that were answered'),
  column('masked_tables', list(word), 'the table of each masked column'),
  column('masked_columns', list(word), 'columns that were masked in what ran'),
  column('masked_strategies', list(word), 'how each was masked'),
  column('ending', word, 'whole or cut'),
  column('cut', text, 'why it was cut'),
  column('bytes_processed', optional(count), 'as the upstream says'),
  column('bytes_billed', optional(count), 'as the upstream says'),
  column('cache_hit', optional(bool), 'as the upstream says'),
  column('rows_affected', optional(count), 'rows that DML changed'),
  column('duration_ms', optional(float), 'how long the upstream took'),
  column('hold_id', text, 'the hold that changed its state'),
  column('hold_state', word, 'the state it moved to'),
  column('hold_comment', text, 'the words of whoever moved it'),
  column(
    'note',
    text,
    'what changed, for policy, started and stopped; what was found out, for settled; what was shown, for looked',
  ),
  column('writer', word, 'the gateway that wrote it'),
  column('epoch', uuid, 'of its journal; a new one where the journal began anew'),
  column('retain_until', day, 'kept until then'),
  column('shape', word, 'the statement but for its literals: 16 hex digits, equal where only literals differ', 2),
  column('status', optional(count), 'the status of an HTTP answer', 3),
  column(
    'masked_counts',
    list(count),
    'how many values of each masked column were masked; 0 where they are not counted',
    3,
  ),
  column('request_type', word, 'the content type of the body that was sent', 3),
  column('request_bytes', optional(count), 'the size of the body that was sent', 3),
  column('request_digest', word, 'the SHA-256 of the body that was sent, 64 hex digits', 3),
  column('request_body', text, 'the body that was sent, where it is text; a mark where it was cut', 3),
  column('received_at', optional(micros), 'when the request came, UTC', 4),
  column('first_byte_ms', optional(float), 'from the request to the first byte of the answer', 4),
  column('total_ms', optional(float), 'from the request to this end', 4),
  column('weighed', text, 'what policies weighed of the statement, as JSON: the decision can be made again from it', 4),
  column(
    'request_recorded',
    word,
    'how the request is kept in `payloads`: full, first or digest; empty: not at all',
    4,
  ),
  column('request_kept', optional(count), 'bytes of the request that are kept in `payloads`', 4),
  column('request_kept_digest', word, 'the SHA-256 of those, 64 hex digits', 4),
  column('answer_type', word, 'the content type of the answer as it is recorded', 4),
  column('answer_recorded', word, 'how the answer is kept in `payloads`: full, first or digest; empty: not at all', 4),
  column('answer_bytes', optional(count), 'bytes of the whole answer as it would be recorded in full', 4),
  column('answer_digest', word, 'the SHA-256 of those, 64 hex digits', 4),
  column('answer_kept', optional(count), 'bytes of the answer that are kept in `payloads`', 4),
  column('answer_kept_digest', word, 'the SHA-256 of those, 64 hex digits', 4),
  column('outcome', word, 'for settled: ran, not-run or unknown, as the upstream says', 4),
  column('documents', text, 'for started and policy: the documents in force, as JSON', 4),
  column('segment', count, 'of the journal'),
  column('writer_seq', count, 'position in the journal: contiguous for a writer and epoch'),
] as const

type Columns = (typeof COLUMNS)[number]

/** One row, by column name. */
export type Row = { readonly [C in Columns as C['name']]: C extends Column<string, infer T> ? T : never }

/** A row that has no place in a journal yet. */
export type UnplacedRow = Omit<Row, 'segment' | 'writer_seq'>

/** Column names in the order of the bytes, for INSERT and for `formatRow`. */
export const COLUMN_NAMES: readonly string[] = COLUMNS.map(({ name }) => name)

/** The same of an older version of the schema. */
export function columnNames(version: number): readonly string[] {
  return COLUMNS.filter(({ since }) => since <= version).map(({ name }) => name)
}

const UNPLACED: readonly Columns[] = COLUMNS.slice(0, -2)

/** Bytes at the end of each row that say where it was written: segment and sequence number, little-endian UInt64. */
export const PLACE_BYTES = 16

/** What the log adds to a record. */
export interface Stamp {
  readonly recordId: string
  readonly writer: string
  readonly epoch: string
  readonly retainDays: number
}

/** The row of a record. Throws `MalformedBytes` where the record holds something that has no canonical form. */
export function toRow(record: AuditRecord, stamp: Stamp): UnplacedRow {
  return {
    ts: Math.round(record.at * 1000),
    record_id: stamp.recordId,
    exchange_id: record.exchange,
    kind: record.kind satisfies RecordKind,
    surface: record.surface,
    connection: record.connection ?? '',
    purpose: record.purpose ?? '',
    policy: record.policy ?? '',
    findings: canonicalJson((record.findings ?? []) satisfies readonly Finding[]),
    failure_code: record.failure?.code ?? '',
    failure_message: record.failure?.message ?? '',
    hold_id: record.hold?.id ?? '',
    hold_state: record.hold?.state ?? '',
    hold_comment: record.hold?.comment ?? '',
    note: record.note ?? record.settled?.detail ?? '',
    ...who(record),
    ...what(record),
    ...request(record),
    ...why(record.decision),
    ...outcome(record),
    ...bodies(record.completion?.bodies ?? record.broken?.bodies),
    received_at: whole(record.receivedAt === undefined ? undefined : record.receivedAt * 1000),
    weighed: record.statement?.weighed ?? '',
    outcome: record.settled?.outcome ?? '',
    documents: record.documents === undefined ? '' : canonicalJson(record.documents),
    writer: stamp.writer,
    epoch: stamp.epoch,
    retain_until: dayOf(record.at + stamp.retainDays * DAY_MS),
  }
}

/** The bytes of a row but for its place, which the journal adds. */
export function encodeUnplaced(row: UnplacedRow): Uint8Array {
  return encode(row, UNPLACED)
}

/** The bytes of a whole row. */
export function encodeRow(row: Row): Uint8Array {
  return encode(row, COLUMNS)
}

/**
 * The row that these bytes are, no byte more, of some version of the schema; what came later has its type's empty value.
 * Throws `MalformedBytes`.
 */
export function decodeRow(bytes: Uint8Array, version: number = SCHEMA_VERSION): Row {
  const from = new ByteReader(bytes)
  const row = readRow(from, version)
  if (!from.ended) throw new MalformedBytes('a row ends too late')
  return row
}

/** The day of `retain_until` of a row. Reads no more of it than it must. Throws `MalformedBytes`. */
export function retainDayOf(bytes: Uint8Array, version: number = SCHEMA_VERSION): number {
  const from = new ByteReader(bytes)
  for (const { name, codec, since } of COLUMNS) {
    if (name === 'retain_until') return codec.read(from)
    if (since <= version) codec.skip(from)
  }
  throw new MalformedBytes('a row has no day until which it is kept')
}

/** The time of a row, in milliseconds since 1970 UTC: it stands first. */
export function timeOf(bytes: Uint8Array): number {
  return Math.floor(micros.read(new ByteReader(bytes)) / 1000)
}

/** The rows that these bytes are, one behind the other. Throws `MalformedBytes`. */
export function decodeRows(bytes: Uint8Array, version: number = SCHEMA_VERSION): readonly Row[] {
  const from = new ByteReader(bytes)
  const rows: Row[] = []
  while (!from.ended) rows.push(readRow(from, version))
  return rows
}

function readRow(from: ByteReader, version: number): Row {
  return Object.fromEntries(
    COLUMNS.map(({ name, codec, since }) => [name, since <= version ? codec.read(from) : codec.empty]),
  ) as unknown as Row
}

function encode(row: Readonly<Record<string, unknown>>, columns: readonly Columns[]): Uint8Array {
  const to = new ByteWriter()
  for (const { name, codec } of columns) (codec as Codec<unknown>).write(to, row[name])
  return to.done()
}

function who({ plane, principal }: AuditRecord) {
  return {
    plane: plane ?? principal?.plane ?? '',
    issuer: principal?.issuer ?? '',
    subject: principal?.subject ?? '',
    principal_kind: principal?.kind ?? '',
    groups: principal?.groups ?? [],
    acts_for_issuer: principal?.actsFor?.issuer ?? '',
    acts_for_subject: principal?.actsFor?.subject ?? '',
  }
}

function what({ statement }: AuditRecord) {
  const uses = statement?.uses ?? []
  return {
    language: statement?.language ?? '',
    statement_kind: statement?.kind ?? '',
    statement: statement?.text ?? '',
    actions: uses.map(({ action }) => action),
    tables: uses.map(({ resource }) => resource),
    vias: uses.map(({ via }) => via ?? ''),
    parameters: statement?.parameters ?? [],
    estimated_bytes: whole(statement?.estimatedBytes),
    shape: statement?.shape ?? '',
  }
}

/** The body of a request: known beforehand where it was kept, and at the end where it streamed. */
function request({ statement, completion }: AuditRecord) {
  const body = statement?.request
  return {
    request_type: body?.type ?? '',
    request_bytes: whole(completion?.sent?.bytes ?? body?.bytes),
    request_digest: completion?.sent?.digest ?? body?.digest ?? '',
    request_body: body?.text ?? '',
  }
}

function why(decision: Decision | undefined) {
  const reasons = decision?.reasons ?? []
  return {
    effect: decision?.effect ?? '',
    reason_codes: reasons.map(({ code }) => code),
    reason_texts: reasons.map(({ because }) => because),
    reasons: canonicalJson(reasons),
    obligations: canonicalJson(decision === undefined || decision.effect === 'deny' ? [] : decision.obligations),
    approver_groups: canonicalJson(decision?.effect === 'hold' ? decision.approvers : []),
    hold_expires_at: decision?.effect === 'hold' ? Math.round(decision.expiresAt) : null,
  }
}

function outcome({ completion, settled, broken }: AuditRecord) {
  const masked = completion?.masked ?? []
  const statistics = completion?.statistics ?? settled?.statistics
  const { timings } = completion ?? broken ?? {}
  return {
    ran: completion?.ran ?? settled?.ran ?? '',
    job: completion?.job ?? settled?.job ?? '',
    row_count: whole(completion?.rowCount),
    byte_count: whole(completion?.byteCount),
    masked_tables: masked.map(({ resource }) => resource),
    masked_columns: masked.map(({ column }) => column),
    masked_strategies: masked.map(({ strategy }) => strategy),
    masked_counts: masked.map(({ count: times }) => times ?? 0),
    status: whole(completion?.status),
    ending: completion?.ending ?? '',
    cut: completion?.cut ?? '',
    bytes_processed: whole(statistics?.bytesProcessed),
    bytes_billed: whole(statistics?.bytesBilled),
    cache_hit: statistics?.cacheHit ?? null,
    rows_affected: whole(statistics?.rowsAffected),
    duration_ms: duration(statistics?.durationMs),
    first_byte_ms: duration(timings?.firstByteMs),
    total_ms: duration(timings?.totalMs),
  }
}

/** What of the bodies is kept, and where it ends. */
function bodies(kept: NonNullable<AuditRecord['completion']>['bodies']) {
  const { request, answer } = kept ?? {}
  return {
    request_recorded: request?.mode ?? '',
    request_kept: whole(request?.kept),
    request_kept_digest: request?.keptDigest ?? '',
    answer_type: answer?.type ?? '',
    answer_recorded: answer?.mode ?? '',
    answer_bytes: whole(answer?.bytes),
    answer_digest: answer?.digest ?? '',
    answer_kept: whole(answer?.kept),
    answer_kept_digest: answer?.keptDigest ?? '',
  }
}

function duration(ms: number | undefined): number | null {
  return ms !== undefined && Number.isFinite(ms) ? ms : null
}

/** The upstream's numbers are its own affair: one that is no count is recorded as absent, not refused. */
function whole(value: number | undefined): number | null {
  if (value === undefined || !(value >= 0) || value > Number.MAX_SAFE_INTEGER) return null
  return Math.round(value)
}

const DAY_MS = 86_400_000
const LAST_DAY = 65_535

function dayOf(at: number): number {
  return Math.min(LAST_DAY, Math.max(0, Math.floor(at / DAY_MS)))
}

/** Deeper than any term of a policy is meant to be; also ends cycles. */
const MAX_DEPTH = 64

/** JSON with sorted keys and nothing between its tokens. Throws `MalformedBytes` where there is no such text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value, 0))
}

function sorted(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new MalformedBytes('a part of the record is nested too deeply')
  if (Array.isArray(value)) return value.map((item: unknown) => sorted(item, depth + 1))
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    entries.sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item, depth + 1)]))
  }
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (Number.isFinite(value)) return value
      break
    default:
      if (value === null) return value
  }
  throw new MalformedBytes('a part of the record has no JSON form')
}
