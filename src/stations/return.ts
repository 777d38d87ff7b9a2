/** Station 7, return: the rows on their way out, and the record of how they ended. */
import { completed, completion } from '../audit/entries.ts'
import type { AuditLog, PayloadLog } from '../audit/contract.ts'
import { spentOn, type Spending } from '../budget.ts'
import type { Answer } from '../connection/contract.ts'
import type { Batch, Completed, Masked, OutputColumn, Parameter, SqlStatement, Statement } from '../exchange.ts'
import { asFailure, Failure, type FailureCode } from '../failure.ts'
import { afterOf } from '../fulfil.ts'
import type { Answered, Ending, SqlReady } from '../journey.ts'
import { firstRows, NO_ROWS } from '../rows.ts'
import type { Runtime } from '../runtime.ts'
import type { Recorder } from './recording.ts'

export interface ReturnParts {
  readonly runtime: Runtime
  readonly audit: AuditLog
  /** Absent: no body can be recorded. */
  readonly payloads?: PayloadLog
}

/** What is told when the rows have ended, in whatever way. */
export interface Ends {
  /** Gives the place back. Called once, last. */
  readonly leave: () => void
  /** Called once the completion is on record, or could not be put there. */
  readonly ended: (how: Ending) => Promise<void>
  /** What was set aside for it. */
  readonly spending: Spending
  /** Takes what is recorded of the bodies. */
  readonly recorder: Recorder
  /** Whether an HTTP answer is told to `ended`, where it is small enough to be kept. */
  readonly keeps?: boolean
}

/**
 * The answer, begun: from here on, returning its rows early is recorded too, and they end with `signal` though nobody asks
 * for them: a client that reads nothing keeps nothing.
 */
export async function begin(
  ready: SqlReady,
  answer: Answer,
  signal: AbortSignal,
  parts: ReturnParts,
  ends: Ends,
): Promise<Answered> {
  const { exchange, narrowed } = ready
  const columns = labelled(answer.columns, narrowed)
  const rows = rowsOf(ready, answer, columns, signal, parts, ends)
  await rows.next() // past NO_ROWS, into what closes itself
  const end = (): void => parts.runtime.background('end an answer', rows.return(undefined as never))
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
  return { kind: 'answer', exchange, columns, rows, signal }
}

/** Batches up to the bound on rows. The completion is durable before the last of them is followed by an end. */
async function* rowsOf(
  { exchange, narrowed, plugins }: SqlReady,
  answer: Answer,
  columns: readonly OutputColumn[],
  signal: AbortSignal,
  { runtime, audit }: ReturnParts,
  { leave, ended, spending, recorder }: Ends,
): AsyncGenerator<Batch, Completed, void> {
  let rowCount = 0
  let byteCount = 0
  const after = afterOf(exchange, plugins)
  const masked = new Map<string, Masked>()
  let closed: Completed | undefined
  const close = async (cutBefore: string | undefined): Promise<Completed> => {
    // Durable before the record that names them; where they could not be made so, the answer is cut.
    const { failure, ...recorded } = await recorder.end(cutBefore)
    const cut = failure?.code ?? cutBefore
    const statistics = answer.statistics()
    const came = { job: answer.job, rowCount, byteCount, statistics, counted: [...masked.values()] }
    const whole = cut === undefined || cut === 'max-rows'
    closed = completion(exchange, narrowed, { ...came, ...(cut !== undefined && { cut }) })
    try {
      await audit.append(completed(closed, runtime.clock.now(), recorded))
    } finally {
      await spending.settle(spentOn(rowCount, statistics), whole)
      await ended(whole ? { state: 'done' } : { state: 'done', cut })
    }
    return closed
  }
  try {
    yield NO_ROWS
    let cut: string | undefined
    try {
      const isAnalysed = columns.length === narrowed.output.length
      const record = recorder.rows(columns, parametersOf(exchange.statement), isAnalysed)
      await record(NO_ROWS)
      for await (const batch of answer.batches) {
        const room = narrowed.bounds.maxRows - rowCount
        const some = batch.rowCount <= room ? batch : firstRows(batch, room)
        const kept = after === undefined || some.rowCount === 0 ? some : await after(some)
        count(kept.masked ?? [], masked)
        rowCount += kept.rowCount
        byteCount += kept.bytes.byteLength
        if (kept.rowCount > 0) {
          await record(kept)
          recorder.began()
          yield kept
        }
        if (some === batch) continue
        cut = 'max-rows'
        break
      }
    } catch (error) {
      const { code, cause } = asFailure(error, 'upstream-failed')
      runtime.log('warn', 'an answer was cut', { exchange: exchange.id, code }, cause)
      cut = code
    }
    return await close(cut)
  } finally {
    // Returned early: the client left, or reads too slowly. Its record is written all the same.
    try {
      if (closed === undefined) await close(reasonOf(signal))
    } finally {
      leave()
    }
  }
}

/** Those that the requester sent; those of masks are the gateway's own. */
function parametersOf(statement: Statement): readonly Parameter[] {
  return statement.language === 'googlesql' ? statement.parameters : []
}

/** Adds what was masked in a batch to what was masked before. */
function count(found: readonly Masked[], all: Map<string, Masked>): void {
  for (const each of found) {
    const key = JSON.stringify([each.resource, each.column, each.strategy])
    all.set(key, { ...each, count: (all.get(key)?.count ?? 0) + (each.count ?? 0) })
  }
}

/** The answer's columns, each with the mask its values carry. A masked answer whose columns do not line up is not given. */
function labelled(columns: readonly { name: string; type: OutputColumn['type'] }[], ran: SqlStatement): OutputColumn[] {
  if (ran.kind === 'SELECT' && ran.masks.length > 0 && columns.length !== ran.output.length) {
    throw new Failure('internal', 'the answer has other columns than were analysed')
  }
  return columns.map((column, i) => ({ sources: [], ...ran.output[i], ...column }))
}

/** Why an answer ended before its rows did, as the code that its record tells. */
export function reasonOf({ aborted, reason }: AbortSignal): FailureCode {
  if (aborted && reason instanceof Failure) return reason.code
  return aborted && reason instanceof DOMException && reason.name === 'TimeoutError' ? 'upstream-late' : 'client-gone'
}
