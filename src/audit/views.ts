/**
 * What auditors read: plainly named views over `events` and `payloads`, each column with a comment that says what it means.
 *
 * What is filtered by goes through as it is, without a cast, so that the tables' order and indexes serve it: the time of a
 * decision, the tokens of a statement, the id of an exchange and, because that id begins with it, when it was asked.
 */
import { PAYLOAD_COLUMNS } from './payload.ts'
import { COLUMNS } from './record.ts'

/** Name, ClickHouse type, what it means, and the expression over `from` where it is not the name itself. */
export type ViewColumn = readonly [name: string, type: string, comment: string, expression?: string]

export interface View {
  readonly name: string
  readonly comment: string
  readonly columns: readonly ViewColumn[]
  /** What stands behind FROM; `{events}` and `{payloads}` are the tables. Inside, columns are named with `e.`: a bare name may be the view's own. */
  readonly from: string
}

/** What an exchange's id begins with: when it was asked. `ix_asked` is over these very words. */
export const ASKED_AT = "UUIDv7ToDateTime(exchange_id, 'UTC')"

const TIME = "DateTime64(6, 'UTC')"
const MILLIS = "DateTime64(3, 'UTC')"
const WORDS = 'Array(String)'

const WHO: readonly ViewColumn[] = [
  ['issuer', 'String', 'who vouched for the principal'],
  ['principal', 'String', 'who asked', 'subject'],
  ['principal_kind', 'String', 'agent, service or person'],
  ['groups', WORDS, 'the groups of the principal'],
  ['acts_for', 'String', 'the person for whom the agent acted', 'acts_for_subject'],
]

const STATEMENT: readonly ViewColumn[] = [
  ['connection', 'String', 'the upstream'],
  ['statement_kind', 'String', 'SELECT, INSERT, ...'],
  ['statement', 'String', 'the text as it was analysed, or as it was sent where it was refused'],
  ['shape', 'String', 'equal for statements that differ in literals only; empty where it was not analysed'],
]

/** The last, or first, value among an exchange's records of some kinds. */
const last = (column: string, condition: string): string => `argMaxIf(e.${column}, (e.ts, e.writer_seq), ${condition})`
const first = (column: string, condition: string): string => `argMinIf(e.${column}, (e.ts, e.writer_seq), ${condition})`
/** Of what is the same in every record that tells it: who asked and what never change, and there is one end. Cheaper than the first. */
const same = (column: string, condition: string): string => `anyIf(e.${column}, ${condition})`
const DECIDED = "e.kind = 'decided'"
const COMPLETED = "e.kind = 'completed'"
const SETTLED = "e.kind = 'settled'"
const ENDED = "e.kind IN ('completed', 'failed', 'settled')"
const ASKED = "e.kind IN ('decided', 'refused', 'completed', 'failed')"
const BROKE = "e.kind IN ('refused', 'failed')"

const EXCHANGES: View = {
  name: 'exchanges',
  comment: 'one row per exchange: who asked what, what was decided and why, and how it ended',
  columns: [
    ['exchange_id', 'UUID', 'the `Sluice-Exchange` header of the answer'],
    ['asked_at', MILLIS, 'when it was asked, UTC: a filter on it reads that time alone', ASKED_AT],
    ['ended_at', TIME, 'its last record, UTC', 'x_ended_at'],
    ['surface', 'String', 'the door: query, preflight, ...', 'x_surface'],
    ['issuer', 'String', 'who vouched for the principal', 'x_issuer'],
    ['principal', 'String', 'who asked', 'x_subject'],
    ['principal_kind', 'String', 'agent, service or person', 'x_principal_kind'],
    ['groups', WORDS, 'the groups of the principal', 'x_groups'],
    ['acts_for', 'String', 'the person for whom the agent acted', 'x_acts_for'],
    ['connection', 'String', 'the upstream', 'x_connection'],
    ['purpose', 'String', 'why, in the words of the requester', 'x_purpose'],
    ['statement_kind', 'String', 'SELECT, INSERT, ...', 'x_statement_kind'],
    ['statement', 'String', 'the text as it was analysed, or as it was sent where it was refused', 'x_statement'],
    [
      'shape',
      'String',
      'equal for statements that differ in literals only; empty where it was not analysed',
      'x_shape',
    ],
    ['tables', WORDS, 'what it touches', 'x_tables'],
    ['effect', 'String', 'the last decision: permit, hold, deny; empty where it was refused before', 'x_effect'],
    ['reason_codes', WORDS, 'why, as codes', 'x_reason_codes'],
    ['reason_texts', WORDS, 'why, in words', 'x_reason_texts'],
    ['policy', 'String', 'digest of the policies that decided', 'x_policy'],
    [
      'outcome',
      'String',
      'answered, cut, failed, denied, held, foreseen (preflight), refused; ran or not-run: a crash left it open and the upstream told afterwards; unknown: permitted, and no end is known',
      `multiIf(x_completed > 0, if(x_ending = 'cut', 'cut', 'answered'), x_failed > 0, 'failed',
        x_settled != '', x_settled,
        x_surface = 'preflight' AND x_effect != '', 'foreseen', x_effect = 'deny', 'denied', x_effect = 'hold', 'held',
        x_effect = 'permit', 'unknown', 'refused')`,
    ],
    [
      'outcome_unknown',
      'Bool',
      'permitted, and neither an answer nor a failure is recorded or was found out: it runs, or the gateway died while it ran',
      "x_effect = 'permit' AND x_completed = 0 AND x_failed = 0 AND x_settled IN ('', 'unknown') AND x_surface != 'preflight'",
    ],
    [
      'settled',
      'String',
      'ran, not-run or unknown: what was found out after a crash; empty where none was',
      'x_settled',
    ],
    ['settled_note', 'String', 'the same in words', 'x_settled_note'],
    ['row_count', 'Nullable(UInt64)', 'rows that were answered', 'x_row_count'],
    ['byte_count', 'Nullable(UInt64)', 'bytes of rows that were answered', 'x_byte_count'],
    ['status', 'Nullable(UInt64)', 'the status of an HTTP answer', 'x_status'],
    ['request_type', 'String', 'the content type of the body that was sent to an HTTP API', 'x_request_type'],
    ['request_bytes', 'Nullable(UInt64)', 'its size', 'x_request_bytes'],
    ['request_digest', 'String', 'its SHA-256', 'x_request_digest'],
    ['request_body', 'String', 'the body itself, where it is text; a mark where it was cut', 'x_request_body'],
    ['masked', WORDS, '`table.column strategy` of each masked column', 'x_masked'],
    ['ending', 'String', 'whole or cut', 'x_ending'],
    ['cut', 'String', 'why it was cut', 'x_cut'],
    ['failure_code', 'String', 'why it was refused or failed', 'x_failure_code'],
    ['failure_message', 'String', 'the same in words', 'x_failure_message'],
    ['hold_state', 'String', 'the last state of its hold; empty where it was not held', 'x_hold_state'],
    ['ran', 'String', 'the text that truly ran, masks and all', 'x_ran'],
    ['job', 'String', 'the job id of the upstream', 'x_job'],
    ['first_byte_ms', 'Nullable(Float64)', 'from the request to the first byte of the answer', 'x_first_byte_ms'],
    ['total_ms', 'Nullable(Float64)', 'from the request to its end', 'x_total_ms'],
    [
      'request_recorded',
      'String',
      'how the request is kept: full, first or digest; empty: not at all',
      'x_request_recorded',
    ],
    ['request_kept', 'Nullable(UInt64)', 'bytes of it that are kept', 'x_request_kept'],
    ['answer_type', 'String', 'the content type of the answer as it is recorded', 'x_answer_type'],
    [
      'answer_recorded',
      'String',
      'how the answer is kept: full, first or digest; empty: not at all',
      'x_answer_recorded',
    ],
    ['answer_bytes', 'Nullable(UInt64)', 'bytes of it, were it kept in full', 'x_answer_bytes'],
    ['answer_kept', 'Nullable(UInt64)', 'bytes of it that are kept', 'x_answer_kept'],
    ['answer_digest', 'String', 'the SHA-256 of the whole', 'x_answer_digest'],
  ],
  from: `(SELECT e.exchange_id AS exchange_id, max(e.ts) AS x_ended_at,
    ${first('surface', ASKED)} AS x_surface, ${same('issuer', ASKED)} AS x_issuer,
    ${same('subject', ASKED)} AS x_subject, ${same('principal_kind', ASKED)} AS x_principal_kind,
    ${first('groups', ASKED)} AS x_groups, ${same('acts_for_subject', ASKED)} AS x_acts_for,
    ${same('connection', ASKED)} AS x_connection, ${same('purpose', ASKED)} AS x_purpose,
    ${same('statement_kind', ASKED)} AS x_statement_kind, ${first('statement', ASKED)} AS x_statement,
    ${last('shape', ASKED)} AS x_shape, ${first('tables', ASKED)} AS x_tables,
    ${last('effect', DECIDED)} AS x_effect, ${last('reason_codes', DECIDED)} AS x_reason_codes,
    ${last('reason_texts', DECIDED)} AS x_reason_texts, ${last('policy', ASKED)} AS x_policy,
    countIf(${COMPLETED}) AS x_completed, countIf(e.kind = 'failed') AS x_failed,
    ${same('row_count', COMPLETED)} AS x_row_count, ${same('byte_count', COMPLETED)} AS x_byte_count,
    ${same('status', COMPLETED)} AS x_status, ${last('request_type', ASKED)} AS x_request_type,
    ${last('request_bytes', ASKED)} AS x_request_bytes, ${last('request_digest', ASKED)} AS x_request_digest,
    ${same('request_body', ASKED)} AS x_request_body,
    arrayMap((t, c, s) -> concat(t, '.', c, ' ', s), ${same('masked_tables', COMPLETED)},
      ${same('masked_columns', COMPLETED)}, ${same('masked_strategies', COMPLETED)}) AS x_masked,
    ${same('ending', COMPLETED)} AS x_ending, ${same('cut', COMPLETED)} AS x_cut,
    ${last('failure_code', BROKE)} AS x_failure_code, ${last('failure_message', BROKE)} AS x_failure_message,
    ${last('hold_state', "e.kind = 'hold'")} AS x_hold_state,
    ${last('outcome', SETTLED)} AS x_settled, ${last('note', SETTLED)} AS x_settled_note,
    ${last('ran', ENDED)} AS x_ran, ${last('job', ENDED)} AS x_job,
    ${last('first_byte_ms', ENDED)} AS x_first_byte_ms, ${last('total_ms', ENDED)} AS x_total_ms,
    ${last('request_recorded', ENDED)} AS x_request_recorded, ${last('request_kept', ENDED)} AS x_request_kept,
    ${last('answer_type', ENDED)} AS x_answer_type, ${last('answer_recorded', ENDED)} AS x_answer_recorded,
    ${last('answer_bytes', ENDED)} AS x_answer_bytes, ${last('answer_kept', ENDED)} AS x_answer_kept,
    ${last('answer_digest', ENDED)} AS x_answer_digest
    FROM {events} AS e WHERE e.kind IN ('decided', 'refused', 'completed', 'failed', 'settled', 'hold')
      AND NOT (e.kind = 'completed' AND e.surface = 'audit')
    GROUP BY e.exchange_id HAVING countIf(${ASKED}) > 0)`,
}

const HOLDS: View = {
  name: 'holds',
  comment: 'one row per hold: who asked for what, who may approve, and what became of it',
  columns: [
    ['hold_id', 'String', 'of the hold', 'x_hold_id'],
    ['exchange_id', 'UUID', 'the exchange that is held'],
    ['state', 'String', 'pending, approved, rejected, expired, withdrawn, running, done, failed or unknown', 'x_state'],
    ['asked_at', TIME, 'when it was first recorded, UTC', 'x_asked_at'],
    ['expires_at', "Nullable(DateTime64(3, 'UTC'))", 'until when it may be approved', 'x_expires_at'],
    ['principal', 'String', 'who asked', 'x_subject'],
    ['acts_for', 'String', 'the person for whom the agent acted', 'x_acts_for'],
    ['connection', 'String', 'the upstream', 'x_connection'],
    ['statement', 'String', 'what is held', 'x_statement'],
    ['reason_codes', WORDS, 'why it is held, as codes', 'x_reason_codes'],
    ['reason_texts', WORDS, 'why it is held, in words', 'x_reason_texts'],
    ['approver_groups', 'String', 'who may approve, as JSON', 'x_approver_groups'],
    ['decided_by', 'String', 'who approved, rejected or withdrew it last', 'x_decided_by'],
    ['comment', 'String', 'their words', 'x_comment'],
  ],
  from: `(SELECT e.exchange_id AS exchange_id, ${last('hold_id', "e.kind = 'hold'")} AS x_hold_id,
    ${last('hold_state', "e.kind = 'hold'")} AS x_state, min(e.ts) AS x_asked_at,
    ${first('hold_expires_at', "e.kind = 'decided' AND e.effect = 'hold'")} AS x_expires_at,
    ${first('subject', DECIDED)} AS x_subject, ${first('acts_for_subject', DECIDED)} AS x_acts_for,
    ${first('connection', DECIDED)} AS x_connection, ${first('statement', DECIDED)} AS x_statement,
    ${first('reason_codes', "e.kind = 'decided' AND e.effect = 'hold'")} AS x_reason_codes,
    ${first('reason_texts', "e.kind = 'decided' AND e.effect = 'hold'")} AS x_reason_texts,
    ${first('approver_groups', "e.kind = 'decided' AND e.effect = 'hold'")} AS x_approver_groups,
    ${last('subject', "e.hold_state IN ('approved', 'rejected', 'withdrawn')")} AS x_decided_by,
    ${last('hold_comment', "e.hold_state IN ('approved', 'rejected', 'withdrawn')")} AS x_comment
    FROM {events} AS e WHERE e.kind IN ('decided', 'hold')
    GROUP BY e.exchange_id HAVING countIf(e.kind = 'hold') > 0)`,
}

const DECISIONS: View = {
  name: 'decisions',
  comment: 'each decision, as it was made before anything ran',
  columns: [
    ['decided_at', TIME, 'UTC', 'ts'],
    ['exchange_id', 'UUID', 'the exchange'],
    ['surface', 'String', 'the door: query or preflight'],
    ...WHO,
    ...STATEMENT,
    ['tables', WORDS, 'what it touches'],
    ['effect', 'String', 'permit, hold or deny'],
    ['reason_codes', WORDS, 'why, as codes'],
    ['reason_texts', WORDS, 'why, in words'],
    ['obligations', 'String', 'what the permit demanded, as JSON'],
    ['findings', 'String', 'what was known when it was decided, as JSON'],
    ['estimated_bytes', 'Nullable(UInt64)', 'bytes that the dry run said it would read'],
    ['policy', 'String', 'digest of the policies in force'],
  ],
  from: "{events} AS e WHERE e.kind = 'decided'",
}

const APPROVALS: View = {
  name: 'approvals',
  comment: 'each word of a person on a hold: approved, rejected, or withdrawn by its requester',
  columns: [
    ['at', TIME, 'UTC', 'ts'],
    ['hold_id', 'String', 'of the hold'],
    ['exchange_id', 'UUID', 'the exchange that is held'],
    ['state', 'String', 'approved, rejected or withdrawn', 'hold_state'],
    ['issuer', 'String', 'who vouched for the person'],
    ['principal', 'String', 'who decided', 'subject'],
    ['groups', WORDS, 'their groups'],
    ['comment', 'String', 'their words', 'hold_comment'],
  ],
  from: "{events} AS e WHERE e.kind = 'hold' AND e.hold_state IN ('approved', 'rejected', 'withdrawn')",
}

const MASKED_COLUMNS: View = {
  name: 'masked_columns',
  comment: 'one row per masked column of each answer',
  columns: [
    ['at', TIME, 'UTC', 'ts'],
    ['exchange_id', 'UUID', 'the exchange'],
    ['principal', 'String', 'who asked', 'subject'],
    ['connection', 'String', 'the upstream'],
    ['table', 'String', 'the table', 'm_table'],
    ['column', 'String', 'the column or field', 'm_column'],
    ['strategy', 'String', 'how it was masked', 'm_strategy'],
    ['values', 'UInt64', 'how many values; 0 where they are not counted, as in SQL', 'm_count'],
  ],
  from: `{events} AS e ARRAY JOIN e.masked_tables AS m_table, e.masked_columns AS m_column,
    e.masked_strategies AS m_strategy,
    arrayResize(e.masked_counts, length(e.masked_tables)) AS m_count WHERE e.kind = 'completed'`,
}

const FINDINGS: View = {
  name: 'findings',
  comment: 'one row per finding that a decision weighed',
  columns: [
    ['at', TIME, 'UTC', 'ts'],
    ['exchange_id', 'UUID', 'the exchange'],
    ['principal', 'String', 'who asked', 'subject'],
    ['connection', 'String', 'the upstream'],
    ['kind', 'String', 'plugin and kind', "JSONExtractString(f_finding, 'kind')"],
    ['place', 'String', 'a resource, column or position', "JSONExtractString(f_finding, 'where')"],
    ['times', 'UInt64', 'how often', "JSONExtractUInt(f_finding, 'count')"],
    ['facts', 'String', 'what conditions of policies see, as JSON', "JSONExtractRaw(f_finding, 'facts')"],
    ['effect', 'String', 'what was decided'],
  ],
  from: "{events} AS e ARRAY JOIN JSONExtractArrayRaw(e.findings) AS f_finding WHERE e.kind = 'decided'",
}

const RESOURCES: View = {
  name: 'resources',
  comment: 'one row per action on each table or view that a decision was about',
  columns: [
    ['at', TIME, 'UTC', 'ts'],
    ['exchange_id', 'UUID', 'the exchange'],
    ['principal', 'String', 'who asked', 'subject'],
    ['acts_for', 'String', 'the person for whom the agent acted', 'acts_for_subject'],
    ['connection', 'String', 'the upstream'],
    ['action', 'String', 'read, write, define, delete, ...', 'r_action'],
    ['resource', 'String', 'the table or view', 'r_table'],
    ['via', 'String', 'the view through which it is touched; empty where it is named in the text', 'r_via'],
    ['effect', 'String', 'what was decided'],
  ],
  from: "{events} AS e ARRAY JOIN e.actions AS r_action, e.tables AS r_table, e.vias AS r_via WHERE e.kind = 'decided'",
}

const DENIALS: View = {
  name: 'denials',
  comment: 'everything that was turned away: denied by policy, or refused before',
  columns: [
    ['at', TIME, 'UTC', 'ts'],
    ['exchange_id', 'UUID', 'the exchange'],
    ['turned_away', 'String', 'denied or refused', "if(kind = 'decided', 'denied', 'refused')"],
    ['surface', 'String', 'the door'],
    ...WHO,
    ...STATEMENT,
    ['tables', WORDS, 'what it would have touched'],
    ['codes', WORDS, 'why, as codes', "if(kind = 'decided', reason_codes, [failure_code])"],
    ['texts', WORDS, 'why, in words', "if(kind = 'decided', reason_texts, [failure_message])"],
    ['policy', 'String', 'digest of the policies that decided'],
  ],
  from: "{events} AS e WHERE e.kind = 'refused' OR (e.kind = 'decided' AND e.effect = 'deny')",
}

const BODIES: View = {
  name: 'bodies',
  comment: 'one row per recorded body: what of it is kept in `payloads`, without its content',
  columns: [
    ['exchange_id', 'UUID', 'the exchange'],
    [
      'direction',
      'String',
      'request, answer or sealed: originals of masked values, encrypted for the auditors',
      'b_direction',
    ],
    ['asked_at', MILLIS, 'when the exchange was asked, UTC', ASKED_AT],
    ['begun_at', TIME, 'when its first piece went out or came in, UTC', 'b_begun_at'],
    ['ended_at', TIME, 'when its last did, UTC', 'b_ended_at'],
    ['type', 'String', 'its content type', 'b_type'],
    ['pieces', 'UInt64', 'how many rows of `payloads`', 'b_pieces'],
    ['bytes', 'UInt64', 'how many bytes of it are kept', 'b_bytes'],
    ['ended', 'Bool', 'its last piece is there; false: it is on its way, or a crash cut it', 'b_ended'],
    ['mark', 'String', 'why the body is not whole; empty where it is', 'b_mark'],
    ['digests', 'UInt64', 'how many secret values are digests in it', 'b_digests'],
    ['issuer', 'String', 'who vouched for the principal', 'b_issuer'],
    ['principal', 'String', 'who asked', 'b_subject'],
    ['connection', 'String', 'the upstream', 'b_connection'],
    ['kept_until', 'Date', 'the day until which it is kept', 'b_retain_until'],
  ],
  from: `(SELECT e.exchange_id AS exchange_id, e.direction AS b_direction, min(e.ts) AS b_begun_at, max(e.ts) AS b_ended_at,
    any(e.type) AS b_type, count() AS b_pieces, sum(length(e.content)) AS b_bytes, max(e.is_last) AS b_ended,
    anyIf(e.mark, e.is_last) AS b_mark, sum(length(e.digests)) AS b_digests, any(e.issuer) AS b_issuer,
    any(e.subject) AS b_subject, any(e.connection) AS b_connection, min(e.retain_until) AS b_retain_until
    FROM {payloads} AS e GROUP BY e.exchange_id, e.direction)`,
}

const POLICIES: View = {
  name: 'policies',
  comment: 'the documents in force since a gateway started or loaded others: policies, access lists, one row each',
  columns: [
    ['since', TIME, 'UTC', 'ts'],
    ['writer', 'String', 'the gateway'],
    ['policy', 'String', 'digest of the policies, as decisions name it'],
    ['path', 'String', 'the path of the document', 'p_document.1'],
    ['document', 'String', 'its text', 'p_document.2'],
  ],
  from: `{events} AS e ARRAY JOIN JSONExtractKeysAndValues(e.documents, 'String') AS p_document
    WHERE e.kind IN ('started', 'policy') AND e.documents != ''`,
}

/** Every view of the newest schema. */
export const VIEWS: readonly View[] = [
  EXCHANGES,
  DECISIONS,
  HOLDS,
  APPROVALS,
  MASKED_COLUMNS,
  FINDINGS,
  RESOURCES,
  DENIALS,
  BODIES,
  POLICIES,
]

/** The type under which a view shows a column: that of the table where it is the table's own. */
export function shownType([name, type, , expression = name]: ViewColumn): string {
  const own = TABLE_TYPES.get(expression)
  return own !== undefined && plain(own) === type ? own : type
}

const WORD = 'LowCardinality(String)'

/** By name. Where both tables have one, it is of the same type. */
const TABLE_TYPES: ReadonlyMap<string, string> = new Map([
  ...COLUMNS.map(({ name, codec }) => [name, codec.type] as const),
  ...PAYLOAD_COLUMNS.map(([name, codec]) => [name, codec.type] as const),
  // What ARRAY JOIN makes of lists of words.
  ...['r_action', 'r_table', 'r_via', 'm_table', 'm_column', 'm_strategy'].map((name) => [name, WORD] as const),
])

/** A type without how it is stored. */
function plain(type: string): string {
  return type.replaceAll(/LowCardinality\(([^()]*)\)/g, '$1')
}

/** Not cast: what is there has this type. */
function isOwn([name, type, , expression = name]: ViewColumn): boolean {
  const own = TABLE_TYPES.get(expression)
  return expression === ASKED_AT || (own !== undefined && plain(own) === type)
}

/** The statement that makes a view in `database`, a plain identifier; `on` is `ON CLUSTER …`. */
export function viewSql(database: string, view: View, on = ''): string {
  const columns = view.columns.map((column) => `\`${column[0]}\` ${shownType(column)} COMMENT ${quote(column[2])}`)
  const values = view.columns.map((column) => {
    const [name, type, , expression = `\`${name}\``] = column
    return `${isOwn(column) ? expression : `CAST(${expression}, ${quote(type)})`} AS \`${name}\``
  })
  const from = view.from.replaceAll(/\{(events|payloads)\}/g, (_, table: string) => `\`${database}\`.${table}`)
  return [
    `CREATE OR REPLACE VIEW \`${database}\`.\`${view.name}\`${on === '' ? '' : ` ${on}`} (${columns.join(', ')}) AS`,
    `SELECT ${values.join(', ')} FROM ${from}`,
    `COMMENT ${quote(view.comment)}`,
  ].join('\n')
}

/** A ClickHouse string literal. */
export function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
