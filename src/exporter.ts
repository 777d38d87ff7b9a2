/** The door of evidence packs: whoever may audit takes one, and that is itself recorded before it begins and when it ended. */
import type { EvidenceExporter, EvidencePack, EvidenceRequest } from './audit/contract.ts'
import {
  askedRecord,
  both,
  recordedBody,
  scopeOf,
  type Admitted,
  type AuditingParts,
  type Auditors,
} from './auditing.ts'
import type { Door, Knock } from './door.ts'
import { Failure } from './failure.ts'

export interface ExporterParts extends AuditingParts, Auditors {
  readonly door: Door
  /** Absent where no ClickHouse is configured. */
  readonly evidence?: EvidenceExporter
}

/** What is asked for: `connections` may only narrow what the auditor may see. */
export type ExportAsked = Pick<EvidenceRequest, 'from' | 'to' | 'format' | 'controls' | 'connections'>

/** Packs that are made at once: each keeps the store busy. */
const MOST_AT_ONCE = 2

/** Longest that one may take, in milliseconds: months of records, read by somebody far away. */
const MOST_MS = 6 * 3_600_000

export class Exporter {
  readonly #parts: ExporterParts
  #underWay = 0

  constructor(parts: ExporterParts) {
    this.#parts = parts
  }

  /** A pack for an auditor. Its body streams, and MUST be read or cancelled. */
  export(knock: Knock, asked: () => ExportAsked): Promise<EvidencePack> {
    const { door, audit, evidence } = this.#parts
    return door.enter(knock, async (seen, signal, room) => {
      const principal = (seen.principal = await door.identify(knock, ['people'], signal))
      const scope = scopeOf(principal, this.#parts)
      const wanted = { ...asked() }
      const connections = narrowed(scope.connections, wanted.connections)
      const text = (seen.text = described(wanted, connections))
      seen.language = 'audit'
      if (evidence === undefined) {
        throw new Failure('upstream-failed', 'no ClickHouse is configured, so there is nothing to export', {
          fix: 'set `audit.clickhouse` in sluice.yaml',
        })
      }
      const statement = { language: 'audit', kind: 'EXPORT', text, uses: [], parameters: [] } as const
      const admitted: Admitted = { knock, principal, statement }
      const done = this.#begin()
      try {
        await audit.append(askedRecord(this.#parts, admitted))
        const until = AbortSignal.any([room.patient, AbortSignal.timeout(MOST_MS)])
        const by = { issuer: principal.issuer, subject: principal.subject }
        const request = { ...wanted, by, exchange: knock.id, ...(connections !== undefined && { connections }) }
        const pack = await evidence.export(request, until)
        const outgoing = { body: pack.body, rows: () => pack.records }
        return { ...pack, body: recordedBody(this.#parts, admitted, outgoing, until, both(room, done)) }
      } catch (error) {
        done()
        throw error
      }
    })
  }

  #begin(): () => void {
    if (this.#underWay >= MOST_AT_ONCE) {
      throw new Failure('overloaded', `${MOST_AT_ONCE} packs are being made already`, { retryAfter: 60 })
    }
    this.#underWay += 1
    let done = false
    return () => {
      if (!done) this.#underWay -= 1
      done = true
    }
  }
}

/** What is both within a scope and asked for. Throws `not-auditor` where something is asked for that is not within. */
function narrowed(scope: readonly string[] | undefined, asked: readonly string[] | undefined) {
  if (asked === undefined) return scope
  const beyond = asked.find((name) => scope !== undefined && !scope.includes(name))
  if (beyond !== undefined) throw new Failure('not-auditor', `you may not audit the connection \`${beyond}\``)
  return asked
}

/** What was asked for, as the record tells it. */
function described({ from, to, format, controls }: ExportAsked, connections: readonly string[] | undefined): string {
  const span = [from, to].map((ms) => new Date(ms).toISOString()).join(' to ')
  const of = connections === undefined ? 'all connections' : connections.join(', ')
  return `export ${span}, ${format}, of ${of}; controls ${controls.length === 0 ? 'all' : controls.join(', ')}`
}
