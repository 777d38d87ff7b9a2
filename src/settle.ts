/**
 * After a crash: what became of exchanges that were permitted and whose end nobody wrote down. The job's id was fixed before
 * it was sent, so the warehouse itself answers whether it ran. Nothing is run again.
 */
import { holdMoved, settled } from './audit/entries.ts'
import type { AuditLog, SettledEnd, Unfinished, UnfinishedReader } from './audit/contract.ts'
import { asFailure } from './failure.ts'
import type { Store } from './hold/contract.ts'
import type { Connection } from './journey.ts'
import type { Runtime } from './runtime.ts'

/** How far back an exchange is looked for: a statement may not run as long as this. */
const BACK_MS = 7 * 86_400_000

/** How long a job that still runs is asked after. */
const RUNNING_MS = 86_400_000

/** For one question to an upstream or to ClickHouse. */
const ASK_MS = 30_000

export interface SettlerParts {
  readonly runtime: Runtime
  readonly audit: AuditLog
  readonly unfinished: UnfinishedReader
  readonly connections: ReadonlyMap<string, Connection>
  readonly store: Pick<Store, 'hold' | 'settleHold'>
  readonly writer: string
  /** The record of this start: everything from before it is another life's. */
  readonly started: { readonly id: string; readonly at: number }
}

export class Settler {
  readonly #parts: SettlerParts
  readonly #settled = new Set<string>()
  #isDone = false

  constructor(parts: SettlerParts) {
    this.#parts = parts
  }

  /** Settles what can be settled by now. Called now and then; does nothing once all is. Rejects where the log cannot be read. */
  async round(): Promise<void> {
    if (this.#isDone) return
    const { unfinished, writer, started, runtime } = this.#parts
    const signal = AbortSignal.timeout(ASK_MS)
    // Once this start is in the store, so is all that was written before it: what has no end there has none.
    if (!(await unfinished.arrived(started.id, signal))) return
    const open = await unfinished.unfinished({ writer, since: started.at - BACK_MS, before: started.at }, signal)
    const left = open.filter(({ exchange }) => !this.#settled.has(exchange))
    let running = 0
    for (const each of left) {
      const end = await this.#endOf(each, runtime.clock.now() - started.at > RUNNING_MS)
      if (end === undefined) running++
      else await this.#record(each, end)
    }
    this.#isDone = running === 0
  }

  async #record(each: Unfinished, end: SettledEnd): Promise<void> {
    const { audit, runtime } = this.#parts
    await audit.append(settled(each, runtime.clock.now(), end))
    await this.#settleHold(each.exchange, end)
    this.#settled.add(each.exchange)
    runtime.log('info', 'an exchange of before a crash was settled', { exchange: each.exchange, outcome: end.outcome })
  }

  /** A hold whose run was cut short by a crash is done, or failed, once the upstream has said so. */
  async #settleHold(exchange: string, { outcome, detail }: SettledEnd): Promise<void> {
    const { store, audit, runtime } = this.#parts
    if (outcome === 'unknown' || (await store.hold(exchange))?.state !== 'unknown') return
    const to = outcome === 'ran' ? 'done' : 'failed'
    const { moved, entry } = await store.settleHold(exchange, to, { code: 'settled', detail })
    if (moved) await audit.append(holdMoved(entry.exchange, runtime.clock.now(), to, undefined, detail))
  }

  /** Nothing while it still runs. */
  async #endOf(
    { exchange, connection: name, principal }: Unfinished,
    isLate: boolean,
  ): Promise<SettledEnd | undefined> {
    const connection = this.#parts.connections.get(name)
    if (connection === undefined) {
      return { outcome: 'unknown', detail: 'its connection is configured no more, so nobody can be asked' }
    }
    if (connection.language === 'http') {
      const detail = `ask the API whether it did it; it was sent with X-Request-Id ${exchange}, if it was sent`
      return { outcome: 'unknown', detail }
    }
    const job = connection.connector.jobId(exchange)
    try {
      const found = await connection.connector.settle(exchange, principal, AbortSignal.timeout(ASK_MS))
      if (found.outcome === 'not-run') return { outcome: 'not-run', detail: 'the warehouse has no job of it', job }
      if (found.outcome === 'running') {
        return isLate ? { outcome: 'unknown', detail: 'its job had not ended a day later', job } : undefined
      }
      const { text, failure, statistics } = found
      const detail =
        failure === undefined
          ? 'its job ran to its end; whether its answer arrived is not known'
          : `its job ran and failed with ${failure}`
      return { outcome: 'ran', detail, job, statistics, ...(text !== undefined && { ran: text }) }
    } catch (error) {
      const { code } = asFailure(error, 'upstream-failed')
      this.#parts.runtime.log('warn', 'a job could not be asked after', { exchange, code }, error)
      return isLate ? { outcome: 'unknown', detail: `the warehouse could not be asked: ${code}`, job } : undefined
    }
  }
}
