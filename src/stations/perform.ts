/** Station 6, perform: what was permitted runs, once; or its failure is on record. */
import { failed, type Close } from '../audit/entries.ts'
import { NO_SPENDING, type Treasury } from '../budget.ts'
import type { AuditLog, PayloadLog } from '../audit/contract.ts'
import { isUnsent } from '../connection/contract.ts'
import { RecordedFailure } from '../door.ts'
import type { Decided } from '../exchange.ts'
import { asFailure, Failure } from '../failure.ts'
import type { Answered, Asked, Connection, HeldOutcome, HttpReady, Ready, Replied, SqlReady } from '../journey.ts'
import type { Once } from '../once.ts'
import type { Runtime } from '../runtime.ts'
import { Recorder } from './recording.ts'
import { begin, type Ends } from './return.ts'
import { send, Upload } from './send.ts'

export interface PerformParts {
  readonly runtime: Runtime
  readonly audit: AuditLog
  /** Absent: nothing runs whose bodies are to be recorded. */
  readonly payloads?: PayloadLog
  readonly once: Once
  readonly treasury: Treasury
}

/** What runs it, what was asked with it, and the idempotency key. */
export interface Way {
  readonly connection: Connection
  readonly asked: Asked
  readonly key?: string
}

/** How a permitted request ends on record whose key belongs to a hold that was opened under earlier policies. */
const ANSWERED_WITH_HOLD = { code: 'conflict', message: 'answered with the hold of the first request with its key' }

/**
 * Runs what is ready. SQL runs as the job of the first exchange of its idempotency key: a repeated request finds that job
 * and reads its answer. Whatever is thrown has its record already.
 */
export async function perform(
  ready: Ready,
  { connection, asked, key }: Way,
  signal: AbortSignal,
  parts: PerformParts,
  ends: Omit<Ends, 'spending' | 'recorder'>,
): Promise<Answered | Replied | HeldOutcome> {
  const { exchange, narrowed } = ready
  const limited = AbortSignal.any([signal, AbortSignal.timeout(narrowed.bounds.timeoutMs)])
  let spending = NO_SPENDING
  let recorder: Recorder | undefined
  let sent = false
  try {
    recorder = new Recorder(exchange, ready.plugins, parts)
    // An HTTP answer is nowhere to be read again: a key is the upstream's own affair, and that of a hold.
    const first = await parts.once.claim(exchange, isHttp(ready) ? undefined : key)
    if (first.kind === 'held') {
      await parts.audit.append(failed(exchange, parts.runtime.clock.now(), ANSWERED_WITH_HOLD))
      ends.leave()
      return { kind: 'held', exchange: first.hold.exchange, hold: first.hold }
    }
    // Under the id of the first: what it spent is not spent again, and what it could not spend nobody spends for it.
    spending = await parts.treasury.reserve(ready, first.id, key !== undefined)
    const whole = { ...ends, spending, recorder }
    if (isHttp(ready) && asked.language === 'http' && connection.language === 'http') {
      const upload = new Upload(ready, asked.body, parts.runtime.hasher(), recorder)
      await upload.recorded()
      sent = true
      return await send(ready, upload, connection, limited, parts, whole)
    }
    if (!isSql(ready) || connection.language !== 'googlesql') throw new Failure('internal', 'nothing runs this')
    await recorder.parameters(
      ready.exchange.statement.language === 'googlesql' ? ready.exchange.statement.parameters : [],
    )
    sent = true
    const answer = await connection.connector.run(ready.narrowed, { ...exchange, id: first.id }, limited)
    return await begin(ready, answer, limited, parts, whole)
  } catch (error) {
    const failure = asFailure(error, 'upstream-failed')
    // Only a refusal is proof that nothing ran; whatever else went wrong, the upstream may have done it.
    const ran = sent && failure.code !== 'upstream-refused' && !isUnsent(error)
    await spending.settle({ rows: 0, ...(!ran && { bytesBilled: 0 }) }, false)
    ends.leave()
    const recorded = await recorder?.end(failure.code)
    const ended = (cut: string): Promise<void> => ends.ended({ state: ran ? 'unknown' : 'failed', cut })
    throw await recordFailure(exchange, failure, parts, ended, recorded)
  }
}

function isHttp(ready: Ready): ready is HttpReady {
  return ready.narrowed.language === 'http'
}
function isSql(ready: Ready): ready is SqlReady {
  return ready.narrowed.language === 'googlesql'
}

/** The failure to answer with, once its record is written. */
export async function recordFailure(
  exchange: Decided,
  failure: Failure,
  { runtime, audit }: Pick<PerformParts, 'runtime' | 'audit'>,
  ended: (code: string) => Promise<void> = async () => {},
  recorded?: Close,
): Promise<Failure> {
  runtime.log('warn', 'an exchange failed', { exchange: exchange.id, code: failure.code }, failure.cause)
  try {
    await audit.append(failed(exchange, runtime.clock.now(), failure, recorded))
    await ended(failure.code)
    return RecordedFailure.of(failure)
  } catch (unrecorded) {
    return RecordedFailure.of(asFailure(unrecorded, 'audit-unavailable'))
  }
}
