/** Failures and denials as RFC 9457 problem documents. The one place that renders them. */
import type { Context } from 'hono'
import type { Denied, Reason } from '../src/exchange.ts'
import { asFailure, FAILURES, type FailureCode } from '../src/failure.ts'

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: FailureCode
  readonly exchange: string
  readonly reasons: readonly Reason[]
  readonly fix?: string
  readonly where?: string
}

/** What is thrown, as a problem. What is no Failure of ours says nothing of itself: `internal`. */
export function problemOf(error: unknown, exchange: string): Problem & { readonly retryAfter?: number } {
  const failure = asFailure(error)
  const { fix, where, retryAfter } = failure.detail
  return {
    type: `urn:sluice:problem:${failure.code}`,
    title: FAILURES[failure.code].title,
    status: failure.status,
    detail: failure.message,
    code: failure.code,
    exchange,
    reasons: [],
    ...(fix !== undefined && { fix }),
    ...(where !== undefined && { where }),
    ...(retryAfter !== undefined && { retryAfter }),
  }
}

export function failureAnswer(error: unknown, exchange: string): Response {
  const { retryAfter, ...problem } = problemOf(error, exchange)
  return answer(problem, {
    ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
    ...(problem.status === 401 && { 'WWW-Authenticate': 'Bearer realm="sluice"' }),
  })
}

/** Policy said no: each reason with its rule, and what would help. */
export function denialAnswer({ id, decision }: Denied): Response {
  const { title, status } = FAILURES.denied
  const detail = decision.reasons.map((reason) => reason.because).join('; ')
  const fix = decision.reasons.find((reason) => reason.fix !== undefined)?.fix
  return answer({
    type: 'urn:sluice:problem:denied',
    title,
    status,
    detail,
    code: 'denied',
    exchange: id,
    reasons: decision.reasons,
    ...(fix !== undefined && { fix }),
  })
}

export function notFoundAnswer(c: Context, exchange: string): Response {
  const problem: Problem = {
    type: 'urn:sluice:problem:not-found',
    title: FAILURES['not-found'].title,
    status: 404,
    detail: `nothing answers \`${c.req.method} ${c.req.path.slice(0, 200)}\``,
    code: 'not-found',
    exchange,
    reasons: [],
    fix: 'GET /openapi.json describes every call',
  }
  return answer(problem)
}

function answer(problem: Problem, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { 'Content-Type': 'application/problem+json', 'Sluice-Exchange': problem.exchange, ...headers },
  })
}
