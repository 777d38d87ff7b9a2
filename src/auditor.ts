/**
 * The auditors' door: read-only SQL over the audit views, single exchanges, and replay. Whatever is asked is recorded before it
 * runs, and how much was answered when it ends: who watches the record is in it.
 */
import type {
  AuditAnswer,
  AuditLog,
  AuditQuery,
  AuditReader,
  AuditRecord,
  ExchangeAsked,
  RecordedExchange,
  RecordedStatement,
  ReplayEvent,
} from './audit/contract.ts'
import type { Door, Knock, Room, Seen } from './door.ts'
import type { Principal } from './exchange.ts'
import type { AuditScope } from './exporter.ts'
import { asFailure, Failure } from './failure.ts'
import { orAbort, type Runtime } from './runtime.ts'

export interface AuditorParts {
  readonly runtime: Runtime
  readonly door: Door
  readonly audit: AuditLog
  /** Absent where no ClickHouse is configured. */
  readonly reader?: AuditReader
  /** Groups whose people may audit everything. */
  readonly groups: readonly string[]
  /** Groups whose people may audit the records of some connections. */
  readonly scopes: readonly AuditScope[]
}

/** How fast an exchange is replayed: so many times as it was, or without waiting. */
export type Speed = number | 'max'

/** Replays under way at once: each keeps a place. */
const MOST_REPLAYS = 20

/** Longest wait between two events, in milliseconds: nobody sits through the day that an approval took. */
const MOST_PAUSE_MS = 10_000

/** Longest replay, in milliseconds. */
const MOST_REPLAY_MS = 3_600_000

/** Somebody who has been let in, and what they ask, as it is recorded. */
interface Admitted {
  readonly knock: Knock
  readonly principal: Principal
  readonly statement: RecordedStatement
}

/** The bytes of an answer on their way, and how many rows they are. */
interface Outgoing {
  readonly body: ReadableStream<Uint8Array>
  rows(): number
  /** For pieces that go out at once, all but the last: whether what was read is that. Absent: each goes one behind. */
  isLast?(): boolean
}

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
      const statement = { language: 'clickhouse', kind: 'SELECT', text, uses: [], parameters: Object.keys(params) }
      const admitted = { knock, principal, statement }
      const reader = await this.#record(admitted, seen)
      const answer = await reader.query({ ...asked, ...scope }, signal)
      return { contentType: answer.contentType, body: this.#recorded(admitted, answer, signal, room.stay()) }
    })
  }

  /** Everything that is recorded of an exchange. Throws `not-found` where that is nothing, or not for this auditor. */
  exchange(knock: Knock, id: () => string): Promise<RecordedExchange> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const { admitted, reader, asked } = await this.#one('EXCHANGE', knock, seen, signal, id)
      const found = await reader.exchange(asked, signal)
      if (found === undefined) throw nothingOf(asked.exchange)
      await this.#parts.audit.append(this.#ended(admitted, { rows: found.records.length, bytes: 0 }))
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
        const until = AbortSignal.any([patient(signal), knock.signal, own.signal, AbortSignal.timeout(MOST_REPLAY_MS)])
        const events = await reader.replay(asked, until)
        if (events === undefined) throw nothingOf(asked.exchange)
        const outgoing = linesOf(paced(events, speed, this.#parts.runtime, until), () => own.abort())
        return this.#recorded(admitted, outgoing, until, both(room, leave))
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
    const statement = { language: 'audit', kind, text: `${kind.toLowerCase()} ${exchange}`, uses: [], parameters: [] }
    const admitted: Admitted = { knock, principal, statement }
    const asked: ExchangeAsked = { exchange, ...scope }
    return { admitted, asked, reader: await this.#record(admitted, seen) }
  }

  /** Who knocks, and what of the log is theirs: a scope without connections is everything. Throws `not-auditor`. */
  async #admit(knock: Knock, seen: Seen, signal: AbortSignal) {
    const { door, groups, scopes } = this.#parts
    const principal = (seen.principal = await door.identify(knock, ['people'], signal))
    const within = (some: readonly string[]): boolean => some.some((group) => principal.groups.includes(group))
    if (principal.kind === 'person' && within(groups)) return { principal, scope: {} }
    const mine = principal.kind === 'person' ? scopes.filter((scope) => within(scope.groups)) : []
    if (mine.length === 0) {
      throw new Failure(
        'not-auditor',
        `only people in ${groups.map((g) => `\`${g}\``).join(', ')} may query the audit log`,
      )
    }
    return { principal, scope: { connections: [...new Set(mine.flatMap(({ connections }) => connections))] } }
  }

  /** Records what is asked, durably, before anything of it is read; the reader that may then read. */
  async #record(admitted: Admitted, seen: Seen): Promise<AuditReader> {
    const { audit, reader } = this.#parts
    seen.text = admitted.statement.text
    seen.language = 'clickhouse'
    if (reader === undefined) {
      throw new Failure('upstream-failed', 'no ClickHouse is configured, so there is nothing to query', {
        fix: 'set `audit.clickhouse` in sluice.yaml',
      })
    }
    await audit.append(this.#asked(admitted))
    return reader
  }

  #asked({ knock, principal, statement }: Admitted): AuditRecord {
    return {
      kind: 'audit-query',
      at: this.#parts.runtime.clock.now(),
      receivedAt: knock.receivedAt,
      exchange: knock.id,
      surface: 'audit',
      plane: principal.plane,
      principal,
      statement,
    }
  }

  /** How much was answered, and why not all of it. */
  #ended(admitted: Admitted, came: { rows: number; bytes: number; cut?: string }): AuditRecord {
    const asked = this.#asked(admitted)
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

  /** The bytes, one piece behind: the last goes out once the end is recorded. `signal` ends it, whoever reads. */
  #recorded(
    admitted: Admitted,
    outgoing: Outgoing,
    signal: AbortSignal,
    leave: () => void,
  ): ReadableStream<Uint8Array> {
    const { audit, runtime } = this.#parts
    const reader = outgoing.body.getReader()
    let held: Uint8Array | undefined
    let bytes = 0
    let ending: Promise<void> | undefined
    const end = (cut?: string): Promise<void> => {
      ending ??= (async () => {
        try {
          const came = { rows: outgoing.rows(), bytes, ...(cut !== undefined && { cut }) }
          await audit.append(this.#ended(admitted, came))
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
}

/** Why an answer ended early: of what is no Failure of ours, whether `client` left, or the time was up. */
function endOf(error: unknown, client: AbortSignal): Failure {
  if (client.aborted) return asFailure(error, 'client-gone')
  const isLate = error instanceof DOMException && error.name === 'TimeoutError'
  return isLate ? asFailure(error, 'upstream-late', 'the answer took longer than it may') : asFailure(error)
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

/** Aborts as `signal` does, but not because the time of an ordinary request is up. */
function patient(signal: AbortSignal): AbortSignal {
  const own = new AbortController()
  const heed = (): void => {
    const { reason } = signal as { reason: unknown }
    if (!(reason instanceof Failure && reason.code === 'upstream-late')) own.abort(reason)
  }
  if (signal.aborted) heed()
  else signal.addEventListener('abort', heed, { once: true })
  return own.signal
}

function both(room: Room, leave: () => void): () => void {
  const stay = room.stay()
  return () => {
    leave()
    stay()
  }
}
