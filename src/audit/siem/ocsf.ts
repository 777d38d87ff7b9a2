/**
 * An audit record as an event of the Open Cybersecurity Schema Framework. Pure.
 *
 * It says who asked for what of which connection, what was decided and why, and what came of it. It never says what was
 * answered: no record does. Bodies of requests, policy documents and the text that was rewritten for masks stay in the
 * records. What is longer than its bound is cut, and `metadata.debug` says so.
 */
import { decodeRow, type Row } from '../record.ts'
import { activityOf, type Activity } from './activity.ts'
import { actionOf, riskOf, severityOf, statusOf, SEVERITIES } from './outcome.ts'
import { Cutter, present, type Bounds, type Json } from './parts.ts'

/** The version of the schema. */
export const OCSF_VERSION = '1.5.0'

/** One event. */
export interface OcsfEvent {
  readonly class_uid: number
  readonly severity_id: number
  /** Milliseconds since 1970 UTC. */
  readonly time: number
  readonly metadata: {
    readonly uid?: string
    readonly sequence: number
    readonly event_code: string
    readonly [name: string]: Json | undefined
  }
  readonly [attribute: string]: Json | undefined
}

export interface OcsfOptions {
  /** Of the gateway. */
  readonly version: string
  readonly bounds: Bounds
}

/** Where a row was written; known though the row itself cannot be read. */
export interface Place {
  readonly writer: string
  readonly segment: number
  readonly sequence: number
  /** Records from there on that cannot be read, should this be one. */
  readonly lost: number
  /** Milliseconds since 1970 UTC, for a row that cannot be read. */
  readonly now: number
}

/**
 * The event of a row in RowBinary, of that version of the schema. A row that cannot be read is an event of its own, which
 * says where it is: nothing is left out in silence.
 */
export function ocsfOf(bytes: Uint8Array, schema: number, place: Place, options: OcsfOptions): OcsfEvent {
  let row: Row
  try {
    row = decodeRow(bytes, schema)
  } catch {
    return unreadable(place, options)
  }
  return eventOf(row, options)
}

/** The event of a row. */
export function eventOf(row: Row, { version, bounds }: OcsfOptions): OcsfEvent {
  const cut = new Cutter(bounds)
  const activity = activityOf(row)
  const severity = severityOf(row)
  const event = {
    ...classOf(activity),
    severity_id: severity,
    severity: SEVERITIES[severity] ?? 'Unknown',
    ...statusOf(row, cut),
    ...actionOf(row, cut),
    ...riskOf(row),
    time: msOf(row.ts),
    ...(row.received_at !== null && { start_time: msOf(row.received_at), end_time: msOf(row.ts) }),
    ...(row.total_ms !== null && { duration: Math.round(row.total_ms) }),
    message: messageOf(row, activity, cut),
    ...activity.attributes(cut),
    unmapped: unmapped(row, cut),
  }
  // Last: by now it is known what was cut.
  return { ...event, metadata: metadata(row, version, cut) }
}

function classOf({ category, categoryName, class: uid, className, id, name }: Activity) {
  return {
    category_uid: category,
    category_name: categoryName,
    class_uid: uid,
    class_name: className,
    activity_id: id,
    activity_name: name,
    type_uid: uid * 100 + id,
    type_name: `${className}: ${name}`,
  }
}

function metadata(row: Row, version: string, cut: Cutter) {
  return {
    version: OCSF_VERSION,
    product: productOf(version),
    uid: row.record_id,
    correlation_uid: row.exchange_id,
    event_code: row.kind,
    log_name: 'audit',
    log_provider: row.writer,
    sequence: row.writer_seq,
    profiles: ['security_control'],
    ...(cut.said.length > 0 && { debug: cut.said }),
  }
}

function productOf(version: string) {
  return { name: 'Sluice', vendor_name: 'Sluice', version }
}

/** `permit: SELECT by agent-7 on warehouse`. */
function messageOf(row: Row, { name }: Activity, cut: Cutter): string {
  const what = row.hold_state !== '' ? `hold ${row.hold_state}` : row.effect !== '' ? row.effect : row.kind
  const by = row.subject === '' ? '' : ` by ${row.subject}`
  const on = row.connection === '' ? '' : ` on ${row.connection}`
  return cut.text('message', `${what}: ${row.statement_kind === '' ? name : row.statement_kind}${by}${on}`)
}

/** What the schema has no place for, under the names of our own columns. */
function unmapped(row: Row, cut: Cutter): Json {
  return present({
    surface: row.surface,
    plane: row.plane,
    connection: row.connection,
    purpose: cut.text('unmapped.purpose', row.purpose),
    ...(row.acts_for_subject !== '' && { acts_for: { issuer: row.acts_for_issuer, subject: row.acts_for_subject } }),
    shape: row.shape,
    effect: row.effect,
    reasons: cut.items(
      'unmapped.reasons',
      row.reason_codes.map((code, at) => ({
        code,
        because: cut.text('unmapped.reasons', row.reason_texts[at] ?? ''),
      })),
    ),
    findings: cut.items('unmapped.findings', findingsOf(row.findings, cut)),
    policy: row.policy,
    resources: cut.items(
      'unmapped.resources',
      row.tables.map((name, at) =>
        present({ name: cut.text('unmapped.resources', name), action: row.actions[at] ?? '', via: row.vias[at] ?? '' }),
      ),
    ),
    ...(row.hold_id !== '' && {
      hold: present({
        id: row.hold_id,
        state: row.hold_state,
        comment: cut.text('unmapped.hold.comment', row.hold_comment),
      }),
    }),
    ...(row.hold_expires_at !== null && { hold_expires_at: row.hold_expires_at / 1000 }),
    masked: cut.items(
      'unmapped.masked',
      row.masked_columns.map((column, at) => ({
        resource: cut.text('unmapped.masked', row.masked_tables[at] ?? ''),
        column: cut.text('unmapped.masked', column),
        strategy: row.masked_strategies[at] ?? '',
        count: row.masked_counts[at] ?? 0,
      })),
    ),
    ...outcome(row, cut),
    note: cut.text('unmapped.note', row.note),
    writer: row.writer,
    epoch: row.epoch,
    segment: row.segment,
  })
}

function outcome(row: Row, cut: Cutter): Readonly<Record<string, Json | undefined>> {
  return {
    job: cut.text('unmapped.job', row.job),
    row_count: row.row_count ?? undefined,
    byte_count: row.byte_count ?? undefined,
    bytes_billed: row.bytes_billed ?? undefined,
    rows_affected: row.rows_affected ?? undefined,
    estimated_bytes: row.estimated_bytes ?? undefined,
    first_byte_ms: row.first_byte_ms ?? undefined,
    ending: row.ending,
    cut: cut.text('unmapped.cut', row.cut),
    outcome: row.outcome,
    request_digest: row.request_digest,
    answer_digest: row.answer_digest,
  }
}

/** Kinds, places and counts; the facts behind them stay in the record. */
function findingsOf(findings: string, cut: Cutter): readonly Json[] {
  const all: unknown = jsonOf(findings)
  if (!Array.isArray(all)) return []
  return all.map((finding: unknown) => {
    const { kind, where, count } = (finding ?? {}) as Readonly<Record<string, unknown>>
    return present({
      kind: typeof kind === 'string' ? kind : undefined,
      where: typeof where === 'string' ? cut.text('unmapped.findings', where) : undefined,
      count: typeof count === 'number' ? count : undefined,
    })
  })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A base event that says which record could not be read. */
function unreadable({ writer, segment, sequence, lost, now }: Place, { version }: OcsfOptions): OcsfEvent {
  return {
    category_uid: 0,
    category_name: 'Uncategorized',
    class_uid: 0,
    class_name: 'Base Event',
    activity_id: 99,
    activity_name: 'Unreadable',
    type_uid: 99,
    type_name: 'Base Event: Unreadable',
    severity_id: 4,
    severity: 'High',
    status_id: 2,
    status: 'Failure',
    time: now,
    message: lost === 1 ? 'an audit record cannot be read' : `${lost} audit records cannot be read`,
    metadata: {
      version: OCSF_VERSION,
      product: productOf(version),
      event_code: 'unreadable',
      log_name: 'audit',
      log_provider: writer,
      sequence,
    },
    unmapped: { writer, segment, records: lost },
  }
}

function msOf(micros: number): number {
  return Math.floor(micros / 1000)
}
