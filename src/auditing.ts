/**
 * What every door of auditors shares: who may see what of the log, that what they ask is recorded before it is answered, and
 * that what was answered is recorded before the last of it leaves.
 */
import type { AuditLog, AuditRecord, RecordedStatement } from './audit/contract.ts'
import type { Knock, Room } from './door.ts'
import type { Principal } from './exchange.ts'
import { asFailure, Failure } from './failure.ts'
import { orAbort, type Runtime } from './runtime.ts'

/** People in any of these groups may audit the records of these connections alone. */
export interface AuditScope {
  readonly groups: readonly string[]
  readonly connections: readonly string[]
}

/** Who may audit. */
export interface Auditors {
  /** Groups whose people may audit everything. */
  readonly groups: readonly string[]
  readonly scopes: readonly AuditScope[]
}

/** What of the log is a principal's: without `connections`, everything. Throws `not-auditor`. */
export function scopeOf(
  principal: Principal,
  { groups, scopes }: Auditors,
): { readonly connections?: readonly string[] } {
  const within = (some: readonly string[]): boolean => some.some((group) => principal.groups.includes(group))
  if (principal.kind === 'person' && within(groups)) return {}
  const mine = principal.kind === 'person' ? scopes.filter((scope) => within(scope.groups)) : []
  if (mine.length === 0) {
    throw new Failure(
      'not-auditor',
      `only people in ${groups.map((group) => `\`${group}\``).join(', ')} may see the audit log`,
    )
  }
  return { connections: [...new Set(mine.flatMap(({ connections }) => connections))] }
}

/** Somebody who has been let in, and what they ask, as it is recorded. */
export interface Admitted {
  readonly knock: Knock
  readonly principal: Principal
  readonly statement: RecordedStatement & { readonly language: 'clickhouse' | 'audit' }
}

/** The bytes of an answer on their way, and how many rows they are. */
export interface Outgoing {
  readonly body: ReadableStream<Uint8Array>
  rows(): number
  /** For pieces that go out at once, all but the last: whether what was read is that. Absent: each goes one behind. */
  isLast?(): boolean
}

export interface AuditingParts {
  readonly runtime: Runtime
  readonly audit: AuditLog
}

/** That it was asked. */
export function askedRecord({ runtime }: AuditingParts, { knock, principal, statement }: Admitted): AuditRecord {
  return {
    kind: 'audit-query',
    at: runtime.clock.now(),
    receivedAt: knock.receivedAt,
    exchange: knock.id,
    surface: 'audit',
    plane: principal.plane,
    principal,
    statement,
  }
}

/** How much was answered, and why not all of it. */
export function endedRecord(
  parts: AuditingParts,
  admitted: Admitted,
  came: { readonly rows: number; readonly bytes: number; readonly cut?: string },
): AuditRecord {
  const asked = askedRecord(parts, admitted)
  const totalMs = Math.max(0, asked.at - admitted.knock.receivedAt)
  return {
    ...asked,
    kind: 'completed',
    completion: {
      ran: admitted.statement.text,
      rowCount: came.rows,
      byteCount: came.bytes,
      masked: [],
      statistics: { durationMs: totalMs },
      ending: came.cut === undefined ? 'whole' : 'cut',
      ...(came.cut !== undefined && { cut: came.cut }),
      timings: { totalMs },
    },
  }
}

/** The bytes, one piece behind: the last goes out once the end is recorded. `signal` ends it, whoever reads. */
export function recordedBody(
  parts: AuditingParts,
  admitted: Admitted,
  outgoing: Outgoing,
  signal: AbortSignal,
  leave: () => void,
): ReadableStream<Uint8Array> {
  const { audit, runtime } = parts
  const reader = outgoing.body.getReader()
  let held: Uint8Array | undefined
  let bytes = 0
  let ending: Promise<void> | undefined
  const end = (cut?: string): Promise<void> => {
    ending ??= (async () => {
      try {
        const came = { rows: outgoing.rows(), bytes, ...(cut !== undefined && { cut }) }
        await audit.append(endedRecord(parts, admitted, came))
      } finally {
        leave()
      }
    })()
    return ending
  }
  return new ReadableStream<Uint8Array>(
    {
      start(into) {
        // An auditor who reads nothing keeps no place for ever.
        const stop = (): void => {
          const failure = endOf(signal.reason, admitted.knock.signal)
          runtime.background('audit answer given up', end(failure.code))
          into.error(failure)
        }
        if (signal.aborted) stop()
        else signal.addEventListener('abort', stop, { once: true })
      },
      async pull(into) {
        try {
          for (;;) {
            const next = await orAbort(reader.read(), signal)
            const ready = outgoing.isLast?.() === false ? next.value : held
            if (ready !== next.value) held = next.value
            bytes += ready?.length ?? 0
            if (next.done) {
              await end()
              if (ready !== undefined) into.enqueue(ready)
              return into.close()
            }
            if (ready !== undefined) return into.enqueue(ready)
          }
        } catch (error) {
          const failure = endOf(error, admitted.knock.signal)
          await end(failure.code).catch(() => {})
          if (failure.status >= 500) {
            runtime.log('warn', 'an audit answer broke off', { exchange: admitted.knock.id, code: failure.code })
          }
          into.error(failure)
        }
      },
      async cancel(reason) {
        runtime.background('audit answer left', end('client-gone'))
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

/** Why an answer ended early: of what is no Failure of ours, whether `client` left, or the time was up. */
function endOf(error: unknown, client: AbortSignal): Failure {
  if (client.aborted) return asFailure(error, 'client-gone')
  const isLate = error instanceof DOMException && error.name === 'TimeoutError'
  return isLate ? asFailure(error, 'upstream-late', 'the answer took longer than it may') : asFailure(error)
}

/** Leaves the room, and does `leave`. */
export function both(room: Room, leave: () => void): () => void {
  const stay = room.stay()
  return () => {
    leave()
    stay()
  }
}
