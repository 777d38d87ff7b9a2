/** Outcomes of the journey as HTTP: rows that stream, holds, denials. */
import {
  typeText,
  type Batch,
  type Completed,
  type Decided,
  type HttpStatement,
  type OutputColumn,
  type Statement,
  type Subject,
} from '../src/exchange.ts'
import { Failure } from '../src/failure.ts'
import type { Answered, Outcome, Replied } from '../src/gateway.ts'
import type { HoldDecision, HoldEntry, HoldState } from '../src/hold/contract.ts'
import { missing } from '../src/hold/quorum.ts'
import { asElements } from '../src/rows.ts'
import { denialAnswer } from './problem.ts'

export type Format = 'json' | 'ndjson'

/** The format that the header likes best (RFC 9110, 12.5.1). Throws `not-acceptable` where it takes neither. */
export function formatOf(accept: string | undefined): Format {
  const liked = (accept ?? '*/*')
    .split(',')
    .map(preferenceOf)
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight)
  for (const { type } of liked) {
    if (type === 'application/x-ndjson' || type === 'application/ndjson') return 'ndjson'
    if (type === 'application/json' || type === '*/*' || type === 'application/*') return 'json'
  }
  throw new Failure('not-acceptable', 'answers are `application/json` or `application/x-ndjson`', {
    fix: 'send `Accept: application/json`',
  })
}

/** `type;q=weight`; a weight that is none counts as 1, as one that is missing does. */
function preferenceOf(part: string): { type: string; weight: number } {
  const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase())
  const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
  return { type, weight: q !== undefined && /^[01](\.\d{0,3})?$/.test(q) ? Number(q) : 1 }
}

/** What the journey came to, as HTTP. */
export function outcomeAnswer(outcome: Outcome, format: Format): Response {
  switch (outcome.kind) {
    case 'denied':
      return denialAnswer(outcome.exchange)
    case 'held':
      return heldAnswer(outcome.hold)
    case 'reply':
      return replyAnswer(outcome)
    case 'answer':
      return new Response(format === 'json' ? jsonBody(outcome) : ndjsonBody(outcome), {
        headers: {
          'Content-Type': format === 'json' ? 'application/json' : 'application/x-ndjson',
          'Sluice-Exchange': outcome.exchange.id,
        },
      })
  }
}

/** An API's own answer, as it may pass. */
function replyAnswer({ exchange, status, headers, body, signal }: Replied): Response {
  const answer = new Headers(headers.map(([name, value]): [string, string] => [name, value]))
  answer.set('Sluice-Exchange', exchange.id)
  // A page of the API's is no page of the gateway's, though it comes from its origin: in a browser it may do nothing.
  answer.set('X-Content-Type-Options', 'nosniff')
  answer.set('Content-Security-Policy', "default-src 'none'; sandbox")
  if (body === undefined || body instanceof Uint8Array) {
    return new Response((body ?? null) as Uint8Array<ArrayBuffer> | null, { status, headers: answer })
  }
  return new Response(streamOf(body, signal), { status, headers: answer })
}

/** Pulled: nothing is read from the upstream that the client has not made room for. */
function streamOf(body: AsyncGenerator<Uint8Array, Completed, void>, signal: AbortSignal): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const stop = (): void => controller.error(signal.reason)
        if (signal.aborted) stop()
        else signal.addEventListener('abort', stop, { once: true })
      },
      async pull(controller) {
        const next = await body.next()
        if (next.done === true) controller.close()
        else controller.enqueue(next.value)
      },
      async cancel() {
        await body.return(undefined as never)
      },
    },
    { highWaterMark: 0 },
  )
}

/** A header line, one array per row, a trailer line. */
function ndjsonBody(answered: Answered): ReadableStream<Uint8Array> {
  return bodyOf(answered, {
    head: `${JSON.stringify({ ...headOf(answered) })}\n`,
    batch: (batch) => [batch.bytes],
    tail: (completed) => `${JSON.stringify(tailOf(completed))}\n`,
  })
}

function jsonBody(answered: Answered): ReadableStream<Uint8Array> {
  const head = JSON.stringify(headOf(answered))
  let first = true
  return bodyOf(answered, {
    head: `${head.slice(0, -1)},"rows":[`,
    batch(batch) {
      const elements = asElements(batch)
      if (first) {
        first = false
        return [elements]
      }
      return [COMMA, elements]
    },
    tail: (completed) => `],${JSON.stringify(tailOf(completed)).slice(1)}`,
  })
}

const COMMA = new TextEncoder().encode(',')

interface Writer {
  readonly head: string
  batch(batch: Batch): readonly Uint8Array[]
  tail(completed: Completed): string
}

/**
 * Pulled: nothing is read from the upstream that the client has not made room for. A client that leaves returns the rows
 * early, which cancels the job and records the cut. Should even the record fail, the body breaks off without its tail.
 */
function bodyOf({ rows, signal }: Answered, writer: Writer): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let started = false
  let pulling = false
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // Under way, the rows end with a tail that says why. A client that makes no room is cut off.
        const cutOff = (): void => {
          if (!pulling) controller.error(signal.reason)
        }
        if (signal.aborted) cutOff()
        else signal.addEventListener('abort', cutOff, { once: true })
      },
      async pull(controller) {
        if (!started) {
          started = true
          controller.enqueue(encoder.encode(writer.head))
          return
        }
        pulling = true
        const next = await rows.next()
        pulling = false
        if (next.done === true) {
          // Ended from elsewhere between two reads: there is nothing to tell but that it broke off.
          if ((next.value as Completed | undefined) === undefined) return controller.error(signal.reason)
          controller.enqueue(encoder.encode(writer.tail(next.value)))
          controller.close()
          return
        }
        for (const bytes of writer.batch(next.value)) controller.enqueue(bytes)
      },
      async cancel() {
        await rows.return(undefined as never)
      },
    },
    { highWaterMark: 0 },
  )
}

function headOf({ exchange, columns }: Answered) {
  return { exchange: exchange.id, columns: columns.map(columnBody), decision: decisionBody(exchange) }
}

function tailOf({ rowCount, ending, cut, statistics }: Completed) {
  return { rowCount, ending, ...(cut !== undefined && { cut }), statistics }
}

export function columnBody({ name, type, masked }: OutputColumn) {
  return { name, type: typeText(type), ...(masked !== undefined && { masked }) }
}

export function decisionBody({ decision, policy }: Decided) {
  return { effect: decision.effect, reasons: decision.reasons, policy }
}

/** 202: where to look, when, and what happens next. */
function heldAnswer(hold: HoldEntry): Response {
  const { id } = hold
  return new Response(JSON.stringify({ exchange: id, hold: holdBody(hold) }), {
    status: 202,
    headers: {
      'Content-Type': 'application/json',
      Location: `/v1/holds/${id}`,
      'Retry-After': '5',
      'Sluice-Exchange': id,
    },
  })
}

export function holdBody({ id, state, exchange, createdAt, expiresAt, decisions, outcome }: HoldEntry) {
  const { principal, statement, decision, connection, purpose } = exchange
  return {
    id,
    state,
    connection,
    requester: subjectText(principal),
    ...(principal.actsFor && { actsFor: subjectText(principal.actsFor) }),
    ...(purpose !== undefined && { purpose }),
    statement: { kind: statement.kind, text: statement.text, uses: statement.uses },
    ...estimated(statement),
    ...(statement.language === 'http' && { request: requestBody(statement) }),
    reasons: decision.reasons,
    approvers: decision.approvers,
    ...(state === 'pending' && { missing: missing(decision.approvers, decisions.filter(isApproval)) }),
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
    decisions: decisions.map(({ by, effect, comment, at }) => ({
      by: subjectText(by),
      effect,
      comment,
      at: new Date(at).toISOString(),
    })),
    ...(outcome && { outcome }),
    next: nextOf(id, state),
  }
}

function isApproval({ effect }: HoldDecision): boolean {
  return effect === 'approve'
}

/** What a SQL statement would read, where that is known. */
export function estimated(statement: Statement): { readonly estimatedBytes?: number } {
  if (statement.language !== 'googlesql' || statement.estimate === undefined) return {}
  return { estimatedBytes: statement.estimate.bytes }
}

/** All of a request that an approver approves. */
function requestBody({ kind, operation, target, headers, body }: HttpStatement) {
  return {
    method: kind,
    operation,
    target,
    headers: Object.fromEntries(headers),
    ...(body !== undefined && {
      body: {
        type: body.type,
        ...(body.length !== undefined && { bytes: body.length }),
        ...(body.digest !== undefined && { digest: body.digest }),
        ...(body.json !== undefined ? { json: body.json } : { base64: body.content }),
      },
    }),
  }
}

function nextOf(id: string, state: HoldState): string {
  switch (state) {
    case 'pending':
      return `a person decides; wait with GET /v1/holds/${id}?wait=25, then POST /v1/holds/${id}/run once it is approved`
    case 'approved':
      return `run it, once: POST /v1/holds/${id}/run`
    case 'running':
      return 'it runs now; the call that started it gets the answer'
    case 'done':
      return 'it ran; an approval is good for one run'
    case 'rejected':
      return 'an approver said no; read their comment before you ask for something else'
    case 'expired':
      return 'nobody decided in time; ask again if it still matters: POST /v1/query'
    case 'withdrawn':
      return 'it was taken back; nothing ran'
    case 'failed':
      return 'it was approved and the upstream refused it; nothing ran'
    case 'voided':
      return 'what was approved is no longer what would run; its outcome says why. Ask again: POST /v1/query'
    case 'unknown':
      return 'it was started and its end was not seen; look up the job before asking again'
  }
}

function subjectText({ issuer, subject }: Subject): string {
  return `${issuer}:${subject}`
}
