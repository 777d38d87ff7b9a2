/** What became of it, in the words of OCSF: severity, status, action and disposition, risk. Pure. */
import type { Row } from '../record.ts'
import type { Cutter } from './parts.ts'

export const SEVERITIES: Readonly<Record<number, string>> = {
  0: 'Unknown',
  1: 'Informational',
  2: 'Low',
  3: 'Medium',
  4: 'High',
  5: 'Critical',
}

const INFORMATIONAL = 1
const LOW = 2
const MEDIUM = 3
const HIGH = 4

/** From these scores of `sql-risk` on. */
const RISK_LEVELS = [
  { from: 80, severity: HIGH, level: 3, name: 'High' },
  { from: 60, severity: MEDIUM, level: 2, name: 'Medium' },
  { from: 30, severity: LOW, level: 1, name: 'Low' },
  { from: 0, severity: INFORMATIONAL, level: 0, name: 'Info' },
] as const

/** The worse of what happened and of the risk that was seen in it. */
export function severityOf(row: Row): number {
  const score = scoreOf(row)
  const risk = score === undefined ? INFORMATIONAL : (levelOf(score)?.severity ?? HIGH)
  return Math.max(risk, ofEvent(row))
}

function ofEvent(row: Row): number {
  switch (row.kind) {
    case 'refused':
      return row.failure_code === 'wrong-plane' ? MEDIUM : LOW
    case 'failed':
      return row.failure_code === 'audit-unavailable' ? HIGH : LOW
    case 'settled':
      return row.outcome === 'unknown' ? MEDIUM : LOW
    case 'decided':
      return row.effect === 'permit' ? INFORMATIONAL : LOW
    case 'completed':
      return row.ending === 'cut' ? LOW : INFORMATIONAL
    case 'hold':
      return row.hold_state === 'unknown' ? MEDIUM : INFORMATIONAL
    case 'policy':
      return LOW
    default:
      return row.failure_code === '' ? INFORMATIONAL : LOW
  }
}

/** `status_id`: 1 success, 2 failure, 0 unknown, 99 in a word of ours. */
export function statusOf(row: Row, cut: Cutter) {
  const code = row.failure_code !== '' ? row.failure_code : row.status !== null ? String(row.status) : ''
  const detail = row.failure_message !== '' ? row.failure_message : row.reason_texts.join('; ')
  return {
    ...endOf(row),
    ...(code !== '' && { status_code: code }),
    ...(detail !== '' && { status_detail: cut.text('status_detail', detail) }),
  }
}

const SUCCESS = { status_id: 1, status: 'Success' }
const FAILURE = { status_id: 2, status: 'Failure' }
const UNKNOWN = { status_id: 0, status: 'Unknown' }

function endOf(row: Row): { readonly status_id: number; readonly status: string } {
  if (row.failure_code !== '') return FAILURE
  switch (row.kind) {
    case 'decided':
      // It has not run yet: neither a success nor, where it is held, a failure.
      if (row.effect === 'deny') return FAILURE
      return { status_id: 99, status: row.effect === 'hold' ? 'Held' : 'Permitted' }
    case 'audit-query':
      return { status_id: 99, status: 'Permitted' }
    case 'completed':
      if (row.ending === 'cut') return { status_id: 99, status: 'Cut' }
      return row.status !== null && row.status >= 400 ? FAILURE : SUCCESS
    case 'settled':
      return row.outcome === 'ran' ? SUCCESS : row.outcome === 'not-run' ? FAILURE : UNKNOWN
    case 'hold':
      return row.hold_state === 'unknown' ? UNKNOWN : row.hold_state === 'failed' ? FAILURE : SUCCESS
    default:
      return SUCCESS
  }
}

const ALLOWED = { action_id: 1, action: 'Allowed' }
const DENIED = { action_id: 2, action: 'Denied' }
/** Neither: it waits for a person, or was withdrawn. */
const UNDECIDED = { action_id: 0, action: 'Unknown' }

const UNAUTHENTICATED = new Set(['credential-missing', 'credential-refused', 'wrong-plane'])

/** Whether it was the gateway's doing that nobody was proven. */
export function isUnauthenticated(row: Pick<Row, 'kind' | 'failure_code'>): boolean {
  return row.kind === 'refused' && UNAUTHENTICATED.has(row.failure_code)
}

const MOVES: Readonly<Record<string, { readonly action_id: number; readonly [name: string]: string | number }>> = {
  pending: { ...UNDECIDED, disposition_id: 14, disposition: 'Delayed' },
  approved: { ...ALLOWED, disposition_id: 8, disposition: 'Approved' },
  rejected: { ...DENIED, disposition_id: 25, disposition: 'Rejected' },
  expired: { ...DENIED, disposition_id: 2, disposition: 'Blocked' },
  withdrawn: { ...UNDECIDED, disposition_id: 16, disposition: 'No Action' },
  running: { ...ALLOWED, disposition_id: 1, disposition: 'Allowed' },
  done: { ...ALLOWED, disposition_id: 1, disposition: 'Allowed' },
  failed: { ...ALLOWED, disposition_id: 27, disposition: 'Error' },
}

/** The profile `security_control`: what the gateway did about it, and under which policies. */
export function actionOf(row: Row, cut: Cutter) {
  const done = doneOf(row)
  const [first] = row.reason_codes
  return {
    ...done,
    is_alert: severityOf(row) >= HIGH,
    ...(row.policy !== '' && {
      policy: {
        uid: row.policy,
        is_applied: true,
        ...(first !== undefined && { name: cut.text('policy.name', first) }),
      },
    }),
  }
}

function doneOf(row: Row) {
  switch (row.kind) {
    case 'decided':
      if (row.effect === 'permit') return { ...ALLOWED, disposition_id: 1, disposition: 'Allowed' }
      if (row.effect === 'hold') return MOVES['pending']
      return { ...DENIED, disposition_id: 2, disposition: 'Blocked' }
    case 'refused':
      return isUnauthenticated(row)
        ? { ...DENIED, disposition_id: 26, disposition: 'Unauthorized' }
        : { ...DENIED, disposition_id: 25, disposition: 'Rejected' }
    case 'audit-query':
    case 'completed':
      return { ...ALLOWED, disposition_id: 1, disposition: 'Allowed' }
    case 'failed':
      return { ...ALLOWED, disposition_id: 27, disposition: 'Error' }
    case 'hold':
      return MOVES[row.hold_state] ?? { ...UNDECIDED, disposition_id: 0, disposition: 'Unknown' }
    default:
      return {}
  }
}

/** The score of `sql-risk`, if it weighed this. */
export function riskOf(row: Row) {
  const score = scoreOf(row)
  if (score === undefined) return {}
  const level = levelOf(score)
  return { risk_score: Math.round(score), risk_level_id: level?.level ?? 3, risk_level: level?.name ?? 'High' }
}

function levelOf(score: number) {
  return RISK_LEVELS.find(({ from }) => score >= from)
}

interface Scored {
  readonly kind?: unknown
  readonly facts?: { readonly risk?: { readonly score?: unknown } }
}

function scoreOf({ findings }: Row): number | undefined {
  if (!findings.includes('"sql-risk/score"')) return undefined
  try {
    const all = JSON.parse(findings) as readonly Scored[]
    const score = all.find(({ kind }) => kind === 'sql-risk/score')?.facts?.risk?.score
    return typeof score === 'number' && Number.isFinite(score) ? score : undefined
  } catch {
    return undefined
  }
}
