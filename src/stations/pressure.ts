/**
 * Between 4 and 5: a journal that is filling up or slow. Nothing ever runs unrecorded; a connection stops, or stops to write,
 * while there is still room to record how what has begun ends.
 */
import type { AuditLog } from '../audit/contract.ts'
import type { Decided } from '../exchange.ts'
import { Failure } from '../failure.ts'
import type { Connection } from '../journey.ts'

/** Throws `audit-unavailable` where what was permitted must not begin now. */
export function mayBegin(
  { decision, statement }: Decided,
  { whenAuditIsTight }: Pick<Connection, 'whenAuditIsTight'>,
  audit: AuditLog,
): void {
  if (decision.effect !== 'permit' || !audit.status().tight) return
  if (whenAuditIsTight === 'read-only' && statement.uses.every(({ action }) => action === 'read')) return
  throw whenAuditIsTight === 'read-only'
    ? new Failure('audit-unavailable', 'the audit journal is filling up or slow: this connection only reads for now', {
        retryAfter: 30,
      })
    : new Failure('audit-unavailable', 'the audit journal is filling up or slow: nothing begins for now', {
        retryAfter: 30,
      })
}
