/** The auditors' door: read-only SQL over the audit views, itself recorded before it runs. */
import type { AuditAnswer, AuditLog, AuditQuery, AuditReader } from './audit/contract.ts'
import type { Door, Knock } from './door.ts'
import { Failure } from './failure.ts'
import type { Runtime } from './runtime.ts'

export interface AuditorParts {
  readonly runtime: Runtime
  readonly door: Door
  readonly audit: AuditLog
  /** Absent where no ClickHouse is configured. */
  readonly reader?: AuditReader
  /** Groups whose people may audit. */
  readonly groups: readonly string[]
}

export class Auditor {
  readonly #parts: AuditorParts

  constructor(parts: AuditorParts) {
    this.#parts = parts
  }

  /** Runs one query for a person of the auditors' groups. The answer streams; `done` MUST be called when it has ended. */
  query(
    knock: Knock,
    read: (signal: AbortSignal) => Promise<AuditQuery>,
  ): Promise<{ answer: AuditAnswer; done: () => void }> {
    return this.#parts.door.enter(knock, async (seen, signal, room) => {
      const { door, audit, runtime, reader, groups } = this.#parts
      const principal = (seen.principal = await door.identify(knock, ['people'], signal))
      if (principal.kind !== 'person' || !groups.some((group) => principal.groups.includes(group))) {
        throw new Failure(
          'not-auditor',
          `only people in ${groups.map((g) => `\`${g}\``).join(', ')} may query the audit log`,
        )
      }
      const query = await read(signal)
      seen.text = query.sql
      if (reader === undefined) {
        throw new Failure('upstream-failed', 'no ClickHouse is configured, so there is nothing to query', {
          fix: 'set `audit.clickhouse` in sluice.yaml',
        })
      }
      await audit.append({
        kind: 'audit-query',
        at: runtime.clock.now(),
        exchange: knock.id,
        surface: 'audit',
        plane: principal.plane,
        principal,
        statement: {
          language: 'clickhouse',
          kind: 'SELECT',
          text: query.sql,
          uses: [],
          parameters: Object.keys(query.params),
        },
      })
      const answer = await reader.query(query, signal)
      const done = room.stay()
      // An auditor who reads nothing keeps no place for ever.
      if (signal.aborted) done()
      else signal.addEventListener('abort', done, { once: true })
      return { answer, done }
    })
  }
}
