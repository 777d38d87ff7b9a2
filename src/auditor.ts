/**
 * The auditors' door: read-only SQL over the audit views, single exchanges, and replay. Whatever is asked is recorded before it
 * runs, and how much was answered when it ends: who watches the record is in it.
 */
import type {
  AuditAnswer,
  AuditLog,
  AuditQuery,
  AuditReader,
  ExchangeAsked,
  RecordedExchange,
  ReplayEvent,
} from './audit/contract.ts'
import {
  askedRecord,
  both,
  endedRecord,
  recordedBody,
  scopeOf,
  type Admitted,
  type Auditors,
  type Outgoing,
} from './auditing.ts'
import type { Door, Knock, Seen } from './door.ts'
import { Failure } from './failure.ts'
import { orAbort, type Runtime } from './runtime.ts'

export interface AuditorParts extends Auditors {
  readonly runtime: Runtime
  readonly door: Door
  readonly audit: AuditLog
  /** Absent where no ClickHouse is configured. */
  readonly reader?: AuditReader
}

/** How fast an exchange is replayed: so many times as it was, or without waiting. */
export type Speed = number | 'max'

/** Replays under way at once: each keeps a place. */
const MOST_REPLAYS = 20

/** Longest wait between two events, in milliseconds: nobody sits through the day that an approval took. */
const MOST_PAUSE_MS = 10_000

/** Longest replay, in milliseconds. */
const MOST_REPLAY_MS = 3_600_000

export class Auditor {
  readonly #parts: AuditorParts
  #replays = 0

  constructor(parts: AuditorParts) {
    this.#parts = parts
  }

  /** Runs one query for an auditor. The answer streams; its body MUST be read or cancelled. */
  query(
    knock: Knock,
    read: (signal: AbortSignal) => Promise<Omit<AuditQuery, 'connections'>>,
  ): Promise<Pick<AuditAnswer, 'contentType' | 'body'>> {
    return this.#parts.door.enter(knock, async (seen, signal, room) => {
      const { principal, scope } = await this.#admit(knock, seen, signal)
      const asked = await read(signal)
      const { sql: text, params } = asked
      const parameters = Object.keys(params)
      const statement = { language: 'clickhouse', kind: 'SELECT', text, uses: [], parameters } as const
      const admitted = { knock, principal, statement }
      const reader = await this.#record(admitted, seen)
      const answer = await reader.query({ ...asked, ...scope }, signal)
      return { contentType: answer.contentType, body: recordedBody(this.#parts, admitted, answer, signal, room.stay()) }
    })
  }

  /** Everything that is recorded of an exchange. Throws `not-found` where that is nothing, or not for this auditor. */
  exchange(knock: Knock, id: () => string): Promise<RecordedExchange> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const { admitted, reader, asked } = await this.#one('EXCHANGE', knock, seen, signal, id)
      const found = await reader.exchange(asked, signal)
      if (found === undefined) throw nothingOf(asked.exchange)
      await this.#parts.audit.append(endedRecord(this.#parts, admitted, { rows: found.records.length, bytes: 0 }))
      return found
    })
  }

  /** An exchange as it happened, in lines of JSON, at its own pace. The body MUST be read or cancelled. */
  replay(knock: Knock, read: () => { id: string; speed: Speed }): Promise<ReadableStream<Uint8Array>> {
    return this.#parts.door.enter(knock, async (seen, signal, room) => {
      let speed: Speed = 'max'
      const { admitted, reader, asked } = await this.#one('REPLAY', knock, seen, signal, () => {
        const given = read()
        speed = given.speed
        return given.id
      })
      const leave = this.#begin()
      try {
        const own = new AbortController()
        const until = AbortSignal.any([room.patient, own.signal, AbortSignal.timeout(MOST_REPLAY_MS)])
        const events = await reader.replay(asked, until)
        if (events === undefined) throw nothingOf(asked.exchange)
        const outgoing = linesOf(paced(events, speed, this.#parts.runtime, until), () => own.abort())
        return recordedBody(this.#parts, admitted, outgoing, until, both(room, leave))
      } catch (error) {
        leave()
        throw error
      }
    })
  }

  /** Lets an auditor in to one exchange. */
  async #one(kind: string, knock: Knock, seen: Seen, signal: AbortSignal, read: () => string) {
    const { principal, scope } = await this.#admit(knock, seen, signal)
    const exchange = read()
    const text = `${kind.toLowerCase()} ${exchange}`
    const statement = { language: 'audit', kind, text, uses: [], parameters: [] } as const
    const admitted: Admitted = { knock, principal, statement }
    const asked: ExchangeAsked = { exchange, ...scope }
    return { admitted, asked, reader: await this.#record(admitted, seen) }
  }

  /** Who knocks, and what of the log is theirs: a scope without connections is everything. Throws `not-auditor`. */
  async #admit(knock: Knock, seen: Seen, signal: AbortSignal) {
    const { door } = this.#parts
    const principal = (seen.principal = await door.identify(knock, ['people'], signal))
    return { principal, scope: scopeOf(principal, this.#parts) }
  }

  /** Records what is asked, durably, before anything of it is read; the reader that may then read. */
  async #record(admitted: Admitted, seen: Seen): Promise<AuditReader> {
    const { audit, reader } = this.#parts
    seen.text = admitted.statement.text
    seen.language = admitted.statement.language
    if (reader === undefined) {
      throw new Failure('upstream-failed', 'no ClickHouse is configured, so there is nothing to query', {
        fix: 'set `audit.clickhouse` in sluice.yaml',
      })
    }
    await audit.append(askedRecord(this.#parts, admitted))
    return reader
  }

  #begin(): () => void {
    if (this.#replays >= MOST_REPLAYS) {
      throw new Failure('overloaded', `${MOST_REPLAYS} exchanges are being replayed already`, { retryAfter: 10 })
    }
    this.#replays += 1
    let done = false
    return () => {
      if (!done) this.#replays -= 1
      done = true
    }
  }
}

function nothingOf(exchange: string): Failure {
  return new Failure('not-found', `nothing is recorded of \`${exchange}\` that you may see`, {
    fix: 'records reach the store a moment after they are written; ask again',
  })
}

/** Events as they come due: `speed` times as fast as they came, and no pause longer than a person waits. */
async function* paced(
  events: AsyncIterable<ReplayEvent>,
  speed: Speed,
  { clock }: Runtime,
  signal: AbortSignal,
): AsyncGenerator<ReplayEvent> {
  let before = 0
  let due = clock.monotonic()
  for await (const event of events) {
    signal.throwIfAborted()
    if (speed !== 'max') {
      due += Math.min(MOST_PAUSE_MS, Math.max(0, event.at - before) / speed)
      before = event.at
      await pause(due - clock.monotonic(), signal)
    }
    yield event
  }
}

/** Waits. Rejects with the signal's reason when that aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0) return
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    await orAbort(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))), signal)
  } finally {
    clearTimeout(timer)
  }
}

/** A line of JSON for each event; `stop` is called where nobody reads on. */
function linesOf(events: AsyncGenerator<ReplayEvent>, stop: () => void): Outgoing {
  const encoder = new TextEncoder()
  let rows = 0
  let last = false
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(into) {
        const next = await events.next()
        if (next.done === true) return into.close()
        rows += 1
        last = next.value.event === 'end'
        into.enqueue(encoder.encode(`${JSON.stringify(next.value)}\n`))
      },
      async cancel() {
        stop()
        await events.return(undefined).catch(() => {})
      },
    },
    { highWaterMark: 0 },
  )
  return { body, rows: () => rows, isLast: () => last }
}
