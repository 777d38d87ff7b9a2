/** What is asked of a connection, in its language and within its bounds. */
import { fromBase64 } from './bytes.ts'
import type { Bounds, Statement } from './exchange.ts'
import { Failure } from './failure.ts'
import type { Asked, Body, Connection, HttpAsked, Limits, Question, SqlQuestion } from './journey.ts'
import { readIncoming } from './stations/state-http.ts'

/** The question, its bounds checked and its body read as far as it may be kept. Throws `bad-request`, `body-too-large`. */
export async function askedOf(
  question: Question,
  connection: Connection,
  limits: Limits,
  signal: AbortSignal,
): Promise<Asked> {
  if (question.language === 'googlesql' && connection.language === 'googlesql') {
    const { language, sql, parameters } = question
    return { language, sql, parameters, bounds: boundsOf(question, connection.maxBytesBilled, limits) }
  }
  if (question.language === 'http' && connection.language === 'http') {
    const { language, method, target, headers, body: incoming } = question
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(limits.defaultTimeoutMs)])
    const body = incoming && (await readIncoming(incoming, connection.bodies, inTime))
    return { language, method, target, headers, bounds: httpBounds(limits), ...(body !== undefined && { body }) }
  }
  throw elsewhere(question)
}

/** What a held statement asks, from what was stored of it: never bytes that a client sends a second time. */
export function askedAgain(statement: Statement): Asked {
  const { bounds } = statement
  if (statement.language === 'googlesql') {
    return { language: 'googlesql', sql: statement.text, parameters: statement.parameters, bounds }
  }
  const { kind: method, target, headers, body } = statement
  const asked: HttpAsked = { language: 'http', method, target, headers, bounds }
  return body === undefined ? asked : { ...asked, body: storedBody(body) }
}

function storedBody({ type, content, digest }: NonNullable<Extract<Statement, { language: 'http' }>['body']>): Body {
  if (content === undefined || digest === undefined) {
    throw new Failure('internal', 'a request was held without the body that it has')
  }
  return { type, whole: fromBase64(content), digest }
}

/** An HTTP answer has no rows, and nobody bills for its bytes. */
function httpBounds({ maxTimeoutMs }: Limits): Bounds {
  return { maxRows: 0, timeoutMs: maxTimeoutMs, maxBytesBilled: 0 }
}

function boundsOf(question: SqlQuestion, maxBytesBilled: number, limits: Limits): Bounds {
  const { defaultMaxRows, maxRows, defaultTimeoutMs, maxTimeoutMs } = limits
  const within = (name: string, asked: number | undefined, usual: number, most: number): number => {
    if (asked === undefined) return usual
    if (asked >= 1 && asked <= most) return asked
    throw new Failure('bad-request', `\`${name}\` is ${asked}; it may be 1 to ${most}`, { where: name })
  }
  return {
    maxRows: within('maxRows', question.maxRows, defaultMaxRows, maxRows),
    timeoutMs: within('timeoutMs', question.timeoutMs, defaultTimeoutMs, maxTimeoutMs),
    maxBytesBilled,
  }
}

function elsewhere({ language, connection }: Question): Failure {
  return language === 'http'
    ? new Failure('bad-request', `\`${connection}\` takes SQL, not HTTP requests`, { fix: 'POST /v1/query' })
    : new Failure('bad-request', `\`${connection}\` takes HTTP requests, not SQL`, {
        fix: `send them to /proxy/${connection}/…`,
        where: 'connection',
      })
}
