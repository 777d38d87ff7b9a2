/** How long records and bodies are kept: what the configuration says of connections and kinds, and what a legal hold keeps. */
import type { AuditRecord, RecordKind } from './contract.ts'

/** The part of the configuration that says it. */
export interface RetentionRules {
  /** Days for every record of which no rule speaks. */
  readonly retainDays: number
  /** The first that fits counts. */
  readonly retain: readonly RetentionRule[]
  readonly bodies: { readonly retainDays: number }
  readonly legalHolds: readonly HeldBack[]
}

export interface RetentionRule {
  /** Absent: all. */
  readonly connections?: readonly string[] | undefined
  /** Kinds of records, or `payload` for bodies. Absent: all kinds of records. */
  readonly kinds?: readonly string[] | undefined
  readonly days: number
}

/** Of whom, and on which connections, nothing that is recorded from now on expires. What is absent fits all. */
export interface HeldBack {
  /** A subject, or `issuer:subject`; they, or whoever acts for them. */
  readonly principals?: readonly string[] | undefined
  readonly connections?: readonly string[] | undefined
}

/** What is asked about. */
export type Kept = Pick<AuditRecord, 'connection' | 'principal'>

/** Long enough for any proceeding; a day that ClickHouse's `Date` still holds. */
export const HELD_DAYS = 36_500

const KINDS: Readonly<Record<RecordKind, true>> = {
  refused: true,
  decided: true,
  completed: true,
  failed: true,
  settled: true,
  hold: true,
  looked: true,
  'audit-query': true,
  policy: true,
  started: true,
  stopped: true,
}
const PAYLOAD = 'payload'

/**
 * How many days a record is kept. Throws an error in the operator's words where a rule names a kind that there is none of:
 * it would keep nothing, and nobody would notice.
 */
export function retentionOf(rules: RetentionRules): (record: Kept & Pick<AuditRecord, 'kind'>) => number {
  const { retainDays, retain, legalHolds } = rules
  for (const kind of retain.flatMap(({ kinds }) => kinds ?? [])) {
    if (kind === PAYLOAD || Object.hasOwn(KINDS, kind)) continue
    const known = [...Object.keys(KINDS), PAYLOAD].join(', ')
    throw new Error(`\`audit.retain\` names \`${kind}\`, which is no kind of record; there are ${known}`)
  }
  return (record) => {
    const { kind, connection } = record
    if (isHeld(legalHolds, record)) return HELD_DAYS
    return (
      retain.find((rule) => (rule.kinds?.includes(kind) ?? true) && fits(rule.connections, connection))?.days ??
      retainDays
    )
  }
}

/** How many days bodies are kept. Only rules that name `payload` speak of them: bodies are row data, kept no longer than said. */
export function bodyRetentionOf(rules: RetentionRules): (body: Kept) => number {
  const { retain, bodies, legalHolds } = rules
  const about = retain.filter(({ kinds }) => kinds?.includes(PAYLOAD) === true)
  return (body) => {
    if (isHeld(legalHolds, body)) return HELD_DAYS
    return about.find(({ connections }) => fits(connections, body.connection))?.days ?? bodies.retainDays
  }
}

function isHeld(holds: readonly HeldBack[], { connection, principal }: Kept): boolean {
  const names = [principal, principal?.actsFor].flatMap((who) =>
    who === undefined ? [] : [who.subject, `${who.issuer}:${who.subject}`],
  )
  return holds.some(
    ({ principals, connections }) =>
      (principals === undefined || principals.some((name) => names.includes(name))) && fits(connections, connection),
  )
}

/** A record of no connection fits only where none is asked for. */
function fits(connections: readonly string[] | undefined, connection: string | undefined): boolean {
  return connections === undefined || (connection !== undefined && connections.includes(connection))
}
