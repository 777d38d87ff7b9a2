/** The door of evidence packs: whoever may audit takes one, and that is itself recorded before it begins and when it ended. */
import type { AuditLog, AuditRecord, EvidenceExporter, EvidencePack, EvidenceRequest } from './audit/contract.ts'
import type { Door, Knock, Room } from './door.ts'
import type { Principal } from './exchange.ts'
import { asFailure, Failure } from './failure.ts'
import type { Runtime } from './runtime.ts'

/** People in any of these groups may audit the records of these connections alone. */
export interface AuditScope {
  readonly groups: readonly string[]
  readonly connections: readonly string[]
}

export interface ExporterParts {
  readonly runtime: Runtime
  readonly door: Door
  readonly audit: AuditLog
  /** Absent where no ClickHouse is configured. */
  readonly evidence?: EvidenceExporter
  /** Groups whose people may audit everything. */
  readonly groups: readonly string[]
  readonly scopes: readonly AuditScope[]
}

/** What is asked for: `connections` may only narrow what the auditor may see. */
export type ExportAsked = Pick<EvidenceRequest, 'from' | 'to' | 'format' | 'controls' | 'connections'>

/** Packs that are made at once: each keeps the store busy. */
const MOST_AT_ONCE = 2

/** Longest that one may take: months of records, read by somebody far away. */
const MOST_MS = 6 * 3_600_000

export class Exporter {
  readonly #parts: ExporterParts
  #underWay = 0

  constructor(parts: ExporterParts) {
    this.#parts = parts
  }

  /**
   * A pack for a person of the auditors' groups. Its body MUST be read or cancelled. What the last of it ends with is recorded
   * before it is handed out: where that cannot be, the body breaks off.
   */
  export(knock: Knock, asked: () => ExportAsked): Promise<EvidencePack> {
    const { door, evidence } = this.#parts
    return door.enter(knock, async (seen, signal, room) => {
      const principal = (seen.principal = await door.identify(knock, ['people'], signal))
      const scope = this.#scopeOf(principal)
      const wanted = asked()
      const connections = narrowed(scope, wanted.connections)
      seen.text = described(wanted, connections)
      seen.language = 'http'
      if (evidence === undefined) {
        throw new Failure('upstream-failed', 'no ClickHouse is configured, so there is nothing to export', {
          fix: 'set `audit.clickhouse` in sluice.yaml',
        })
      }
      const done = this.#begin()
      try {
        await this.#parts.audit.append(this.#asked(knock, principal, seen.text))
        const own = patient(signal, knock.signal)
        const request = {
          ...wanted,
          by: { issuer: principal.issuer, subject: principal.subject },
          exchange: knock.id,
        }
        const pack = await evidence.export(connections === undefined ? request : { ...request, connections }, own)
        return { ...pack, body: this.#recorded(pack, knock, principal, seen.text, leaving(room, done)) }
      } catch (error) {
        done()
        throw error
      }
    })
  }

  /** The connections of which a person may see records; `undefined`: all. Throws `not-auditor`. */
  #scopeOf(principal: Principal): readonly string[] | undefined {
    const { groups, scopes } = this.#parts
    const within = (some: readonly string[]): boolean => some.some((group) => principal.groups.includes(group))
    if (principal.kind === 'person' && within(groups)) return undefined
    const mine = principal.kind === 'person' ? scopes.filter((scope) => within(scope.groups)) : []
    if (mine.length === 0) throw new Failure('not-auditor', 'only auditors may export evidence')
    return [...new Set(mine.flatMap(({ connections }) => connections))]
  }

  #begin(): () => void {
    if (this.#underWay >= MOST_AT_ONCE) {
      throw new Failure('overloaded', `${MOST_AT_ONCE} packs are being made already`, { retryAfter: 60 })
    }
    this.#underWay++
    let done = false
    return () => {
      if (!done) this.#underWay--
      done = true
    }
  }

  #asked(knock: Knock, principal: Principal, text: string): AuditRecord {
    return {
      kind: 'audit-query',
      at: this.#parts.runtime.clock.now(),
      receivedAt: knock.receivedAt,
      exchange: knock.id,
      surface: 'audit',
      plane: principal.plane,
      principal,
      statement: { language: 'evidence', kind: 'EXPORT', text, uses: [], parameters: [] },
    }
  }

  /** The end of an export: how much of it left, and why no more of it did. */
  #ended(knock: Knock, principal: Principal, text: string, bytes: number, records: number, cut?: string): AuditRecord {
    const { clock } = this.#parts.runtime
    const at = clock.now()
    return {
      ...this.#asked(knock, principal, text),
      kind: 'completed',
      at,
      completion: {
        ran: text,
        rowCount: records,
        byteCount: bytes,
        masked: [],
        statistics: { durationMs: Math.max(0, at - knock.receivedAt) },
        ending: cut === undefined ? 'whole' : 'cut',
        ...(cut !== undefined && { cut }),
        timings: { totalMs: Math.max(0, at - knock.receivedAt) },
      },
    }
  }

  /** The pack's bytes, one piece behind: the last goes out once the end is recorded. */
  #recorded(
    { body, records }: EvidencePack,
    knock: Knock,
    principal: Principal,
    text: string,
    leave: () => void,
  ): ReadableStream<Uint8Array> {
    const { audit, runtime } = this.#parts
    const reader = body.getReader()
    let held: Uint8Array | undefined
    let bytes = 0
    let ended = false
    const end = async (cut?: string): Promise<void> => {
      if (ended) return
      ended = true
      try {
        await audit.append(this.#ended(knock, principal, text, bytes, records, cut))
      } finally {
        leave()
      }
    }
    return new ReadableStream<Uint8Array>(
      {
        async pull(into) {
          try {
            for (;;) {
              const next = await reader.read()
              if (next.done) {
                if (held !== undefined) bytes += held.length
                await end()
                if (held !== undefined) into.enqueue(held)
                return into.close()
              }
              const before = held
              held = next.value
              if (before === undefined) continue
              bytes += before.length
              return into.enqueue(before)
            }
          } catch (error) {
            const failure = asFailure(error)
            await end(failure.code).catch(() => {})
            if (failure.status >= 500) {
              runtime.log('error', 'an export broke off', { exchange: knock.id, code: failure.code }, failure.cause)
            }
            into.error(failure)
          }
        },
        async cancel(reason) {
          runtime.background('export left', end('client-gone'))
          await reader.cancel(reason)
        },
      },
      { highWaterMark: 0 },
    )
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

/**
 * Ends when the client leaves, when the gateway shuts down, or after `MOST_MS`; not when the time of an ordinary request is
 * up: a pack takes longer.
 */
function patient(signal: AbortSignal, client: AbortSignal): AbortSignal {
  const own = new AbortController()
  const heed = (): void => {
    const { reason } = signal as { reason: unknown }
    if (!(reason instanceof Failure && reason.code === 'upstream-late')) own.abort(reason)
  }
  if (signal.aborted) heed()
  else signal.addEventListener('abort', heed, { once: true })
  return AbortSignal.any([own.signal, client, AbortSignal.timeout(MOST_MS)])
}

function leaving(room: Room, done: () => void): () => void {
  const leave = room.stay()
  return () => {
    done()
    leave()
  }
}
