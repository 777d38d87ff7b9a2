/** A row of `events` as an auditor reads it: plain JSON without what is empty, times as ISO 8601, lists that belong together joined. Pure. */
import type { Row } from '../record.ts'

/** Facts of a record, by name. */
export type Plain = Readonly<Record<string, unknown>>

/** Everything that a row says. */
export function plainRecord(row: Row): Plain {
  return {
    ...plainEvent(row),
    at: isoOfMicros(row.ts),
    ...present({ receivedAt: row.received_at === null ? null : isoOfMicros(row.received_at) }),
    record: row.record_id,
    log: {
      writer: row.writer,
      epoch: row.epoch,
      segment: row.segment,
      seq: row.writer_seq,
      retainUntil: new Date(row.retain_until * DAY_MS).toISOString().slice(0, 10),
    },
  }
}

/** What happened, without when and where it is written. */
export function plainEvent(row: Row): Plain {
  return present({
    kind: row.kind,
    surface: row.surface,
    plane: row.plane,
    principal: principalOf(row),
    connection: row.connection,
    purpose: row.purpose,
    statement: statementOf(row),
    decision: decisionOf(row),
    findings: parsed(row.findings),
    policy: row.policy,
    failure: present({ code: row.failure_code, message: row.failure_message }),
    completion: completionOf(row),
    timings: present({ firstByteMs: row.first_byte_ms, totalMs: row.total_ms }),
    bodies: present({ request: keptRequest(row), answer: keptAnswer(row) }),
    outcome: row.outcome,
    hold: present({ id: row.hold_id, state: row.hold_state, comment: row.hold_comment }),
    note: row.note,
    documents: parsed(row.documents),
  })
}

const DAY_MS = 86_400_000

/** `2026-01-05T09:30:00.123456Z` */
function isoOfMicros(micros: number): string {
  const rest = ((micros % 1000) + 1000) % 1000
  return `${new Date((micros - rest) / 1000).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}

/** What is not empty; 0 and false are not. */
function present(facts: Plain): Plain {
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => !isEmpty(fact)))
}

function isEmpty(fact: unknown): boolean {
  if (fact === undefined || fact === null || fact === '') return true
  if (typeof fact !== 'object') return false
  return Array.isArray(fact) ? fact.length === 0 : Object.keys(fact).length === 0
}

/** JSON of our own; as text where it is none: the record says what it says. */
function parsed(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function principalOf(row: Row): Plain {
  return present({
    issuer: row.issuer,
    subject: row.subject,
    kind: row.principal_kind,
    groups: row.groups,
    actsFor: present({ issuer: row.acts_for_issuer, subject: row.acts_for_subject }),
  })
}

function statementOf(row: Row): Plain {
  return present({
    language: row.language,
    kind: row.statement_kind,
    text: row.statement,
    uses: row.tables.map((resource, i) => present({ action: row.actions[i], resource, via: row.vias[i] })),
    parameters: row.parameters,
    estimatedBytes: row.estimated_bytes,
    shape: row.shape,
    request: present({
      type: row.request_type,
      bytes: row.request_bytes,
      digest: row.request_digest,
      text: row.request_body,
    }),
    weighed: parsed(row.weighed),
  })
}

function decisionOf(row: Row): Plain | undefined {
  if (row.effect === '') return undefined
  return present({
    effect: row.effect,
    reasons: parsed(row.reasons),
    obligations: parsed(row.obligations),
    approvers: parsed(row.approver_groups),
    expiresAt: row.hold_expires_at === null ? null : new Date(row.hold_expires_at).toISOString(),
  })
}

function completionOf(row: Row): Plain {
  return present({
    ran: row.ran,
    job: row.job,
    rowCount: row.row_count,
    byteCount: row.byte_count,
    status: row.status,
    masked: row.masked_tables.map((table, i) =>
      present({
        table,
        column: row.masked_columns[i],
        strategy: row.masked_strategies[i],
        // 0: they are not counted, as in SQL.
        count: row.masked_counts[i] === 0 ? undefined : row.masked_counts[i],
      }),
    ),
    ending: row.ending,
    cut: row.cut,
    statistics: present({
      bytesProcessed: row.bytes_processed,
      bytesBilled: row.bytes_billed,
      cacheHit: row.cache_hit,
      rowsAffected: row.rows_affected,
      durationMs: row.duration_ms,
    }),
  })
}

function keptRequest(row: Row): Plain {
  if (row.request_recorded === '') return {}
  return present({ mode: row.request_recorded, kept: row.request_kept, keptDigest: row.request_kept_digest })
}

function keptAnswer(row: Row): Plain {
  if (row.answer_recorded === '') return {}
  return present({
    mode: row.answer_recorded,
    type: row.answer_type,
    bytes: row.answer_bytes,
    digest: row.answer_digest,
    kept: row.answer_kept,
    keptDigest: row.answer_kept_digest,
  })
}
