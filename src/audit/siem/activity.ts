/**
 * Which class of event a record is, which activity of it, and the attributes that the class demands. Pure.
 *
 *     refused, nobody proven                    Authentication 3002
 *     SQL of agents, and of auditors            Datastore Activity 6005
 *     HTTP of agents; holds; what was shown     API Activity 6003
 *     another policy set                        Entity Management 3004
 *     started, stopped                          Application Lifecycle 6002
 */
import type { Row } from '../record.ts'
import { isUnauthenticated } from './outcome.ts'
import { present, type Cutter, type Json } from './parts.ts'

export interface Activity {
  readonly category: number
  readonly categoryName: string
  readonly class: number
  readonly className: string
  readonly id: number
  readonly name: string
  /** Those of the class, beside those of every event. */
  readonly attributes: (cut: Cutter) => Readonly<Record<string, Json | undefined>>
}

const IAM = { category: 3, categoryName: 'Identity & Access Management' }
const APPLICATION = { category: 6, categoryName: 'Application Activity' }

const AUTHENTICATION = { ...IAM, class: 3002, className: 'Authentication' }
const ENTITY = { ...IAM, class: 3004, className: 'Entity Management' }
const LIFECYCLE = { ...APPLICATION, class: 6002, className: 'Application Lifecycle' }
const API = { ...APPLICATION, class: 6003, className: 'API Activity' }
const DATASTORE = { ...APPLICATION, class: 6005, className: 'Datastore Activity' }

/** Surfaces whose statements are SQL: of the upstream, or of the audit log itself. */
const SQL_SURFACES = new Set(['query', 'preflight'])

export function activityOf(row: Row): Activity {
  if (isUnauthenticated(row)) {
    return { ...AUTHENTICATION, id: 1, name: 'Logon', attributes: (cut) => logon(row, cut) }
  }
  switch (row.kind) {
    case 'started':
      return { ...LIFECYCLE, id: 3, name: 'Start', attributes: () => ({ app: appOf(row) }) }
    case 'stopped':
      return { ...LIFECYCLE, id: 4, name: 'Stop', attributes: () => ({ app: appOf(row) }) }
    case 'policy':
      return { ...ENTITY, id: 3, name: 'Update', attributes: (cut) => policyChange(row, cut) }
    case 'hold':
      return { ...API, id: 3, name: 'Update', attributes: (cut) => call(row, `hold.${row.hold_state}`, cut) }
    case 'looked':
      return { ...API, id: 2, name: 'Read', attributes: (cut) => call(row, row.surface, cut) }
  }
  if (isSql(row)) return { ...DATASTORE, ...sqlActivity(row), attributes: (cut) => datastore(row, cut) }
  return { ...API, ...httpActivity(row), attributes: (cut) => http(row, cut) }
}

function isSql(row: Row): boolean {
  if (row.language !== '') return row.language !== 'http'
  return SQL_SURFACES.has(row.surface)
}

const SQL_KINDS: readonly (readonly [RegExp, number, string])[] = [
  [/^SELECT$/, 4, 'Query'],
  [/^(INSERT|LOAD_DATA)/, 5, 'Write'],
  [/^(UPDATE|MERGE|ALTER)/, 2, 'Update'],
  [/^(DELETE|DROP|TRUNCATE)/, 7, 'Delete'],
  [/^CREATE/, 6, 'Create'],
]

function sqlActivity(row: Row): { readonly id: number; readonly name: string } {
  const known = SQL_KINDS.find(([pattern]) => pattern.test(row.statement_kind))
  if (known !== undefined) return { id: known[1], name: known[2] }
  if (row.statement_kind === '' || row.statement_kind === 'UNKNOWN') return { id: 0, name: 'Unknown' }
  return { id: 99, name: row.statement_kind }
}

/** By what it does, where the record says so; else by its method. */
function httpActivity(row: Row): { readonly id: number; readonly name: string } {
  const [action] = row.actions
  const method = row.statement_kind
  if (action === 'delete' || (action === undefined && method === 'DELETE')) return { id: 4, name: 'Delete' }
  if (action === 'read' || (action === undefined && (method === 'GET' || method === 'HEAD'))) {
    return { id: 2, name: 'Read' }
  }
  if (action === 'define') return { id: 1, name: 'Create' }
  if (action === 'write' || action === undefined) {
    if (method === 'POST') return { id: 1, name: 'Create' }
    if (method === 'PUT' || method === 'PATCH') return { id: 3, name: 'Update' }
    return action === undefined ? { id: 0, name: 'Unknown' } : { id: 3, name: 'Update' }
  }
  return { id: 99, name: action }
}

/** OCSF's kinds of user: 1 a person; for agents and services it has none. */
function userOf(row: Row, cut: Cutter): Json {
  if (row.subject === '') return { name: 'unknown', type_id: 0, type: 'Unknown' }
  const isPerson = row.principal_kind === 'person'
  return present({
    uid: cut.text('user.uid', row.subject),
    name: cut.text('user.name', row.subject),
    domain: row.issuer,
    type_id: isPerson ? 1 : 99,
    type: isPerson ? 'User' : row.principal_kind === 'service' ? 'Service' : 'Agent',
    groups: cut.items(
      'user.groups',
      row.groups.map((name) => ({ name: cut.text('user.groups', name) })),
    ),
  })
}

/** The principal; of what the gateway did by itself, the gateway. */
function actorOf(row: Row, cut: Cutter): Json {
  if (row.subject === '' && row.plane === '' && row.kind !== 'refused') {
    return { app_name: 'sluice', app_uid: row.writer }
  }
  return { user: userOf(row, cut), ...(row.issuer !== '' && { idp: { name: row.issuer } }) }
}

/** Where it came from. The record names the principal and no network address. */
function sourceOf(row: Row, cut: Cutter): Json {
  if (row.subject !== '') return { name: cut.text('src_endpoint.name', row.subject), type_id: 0, type: 'Unknown' }
  return row.kind === 'refused' ? { name: 'unknown', type_id: 0, type: 'Unknown' } : { name: row.writer }
}

function targetOf(row: Row): Readonly<Record<string, Json>> {
  return row.connection === '' ? {} : { dst_endpoint: { svc_name: row.connection } }
}

function logon(row: Row, cut: Cutter) {
  return {
    user: userOf(row, cut),
    service: { name: 'sluice', uid: row.writer },
    src_endpoint: sourceOf(row, cut),
    auth_protocol_id: 99,
    auth_protocol: 'Bearer',
    is_remote: true,
  }
}

function datastore(row: Row, cut: Cutter) {
  const [table] = row.tables
  return {
    actor: actorOf(row, cut),
    src_endpoint: sourceOf(row, cut),
    ...targetOf(row),
    type_id: 1,
    type: 'Database',
    database: { name: databaseOf(row), type_id: 1, type: 'Relational' },
    ...(table !== undefined && { table: { name: cut.text('table.name', table) } }),
    ...(row.statement !== '' && {
      query_info: present({
        uid: row.exchange_id,
        query_string: cut.text('query_info.query_string', row.statement),
        bytes: row.byte_count ?? undefined,
      }),
    }),
  }
}

function databaseOf({ connection, kind, surface }: Row): string {
  if (connection !== '') return connection
  return kind === 'audit-query' || surface === 'audit' ? 'audit' : 'unknown'
}

/** Method, path and query of a statement of HTTP; the methods are those that OCSF knows. */
const HTTP_REQUEST = /^(CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT|TRACE) (\/[^?]*)(?:\?(.*))?$/s

function http(row: Row, cut: Cutter) {
  const [operation] = row.tables
  const [, method, path, query] = HTTP_REQUEST.exec(row.statement) ?? []
  return {
    ...call(row, operation ?? (row.statement_kind === '' ? row.surface : row.statement_kind), cut),
    ...(path !== undefined && {
      http_request: present({
        uid: row.exchange_id,
        http_method: method,
        url: present({
          path: cut.text('http_request.url.path', path),
          query_string: cut.text('http_request.url.query_string', query ?? ''),
        }),
        body_length: row.request_bytes ?? undefined,
      }),
    }),
    ...(row.status !== null && {
      http_response: present({
        code: row.status,
        content_type: row.answer_type,
        length: row.byte_count ?? undefined,
        latency: row.first_byte_ms === null ? undefined : Math.round(row.first_byte_ms),
      }),
    }),
  }
}

function call(row: Row, operation: string, cut: Cutter) {
  const error = row.failure_code
  const response = present({
    code: row.status ?? undefined,
    error,
    error_message: cut.text('api.response.error_message', row.failure_message),
  })
  return {
    actor: actorOf(row, cut),
    src_endpoint: sourceOf(row, cut),
    ...targetOf(row),
    api: {
      operation: cut.text('api.operation', operation === '' ? 'unknown' : operation),
      service: { name: row.connection === '' ? 'sluice' : row.connection },
      request: { uid: row.exchange_id },
      ...(Object.keys(response).length > 0 && { response }),
    },
    ...resourcesOf(row, cut),
  }
}

function resourcesOf(row: Row, cut: Cutter): Readonly<Record<string, Json>> {
  if (row.hold_id !== '') return { resources: [{ uid: row.hold_id, type: 'hold' }] }
  if (row.tables.length === 0) return {}
  return {
    resources: cut.items(
      'resources',
      row.tables.map((name) =>
        present({ name: cut.text('resources', name), type: 'operation', namespace: row.connection }),
      ),
    ),
  }
}

function policyChange(row: Row, cut: Cutter) {
  const uid = row.policy === '' ? row.record_id : row.policy
  return {
    actor: actorOf(row, cut),
    src_endpoint: sourceOf(row, cut),
    entity: { uid, name: 'policies', type_id: 5, type: 'Policy', policy: { uid, name: 'policies', is_applied: true } },
    ...(row.note !== '' && { comment: cut.text('comment', row.note) }),
  }
}

function appOf(row: Row) {
  return { name: 'Sluice', vendor_name: 'Sluice', uid: row.writer }
}
