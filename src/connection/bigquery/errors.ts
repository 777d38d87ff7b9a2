/** What BigQuery refuses or breaks, in our words. */
import { Failure } from '../../failure.ts'
import type { ErrorProto } from './client.ts'

/**
 * An answer that is no success, or none at all. Clients make it of whatever their library throws and keep nothing
 * else of it: library errors carry requests, and requests carry credentials.
 */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  /** HTTP status; absent where the socket broke. */
  readonly status: number | undefined
  /** BigQuery's reason: `invalidQuery`, `notFound`, … */
  readonly reason: string | undefined
  /** BigQuery's message. It may quote the statement and, in errors of a running job, values of rows. */
  readonly words: string

  constructor(status: number | undefined, reason: string | undefined, words: string) {
    // Without `words`: messages of causes are logged.
    super(`bigquery: ${status ?? 'no answer'} ${reason ?? ''}`.trim())
    this.status = status
    this.reason = reason
    this.words = words
  }
}

/** The error that a job ended with. */
export function jobError(error: ErrorProto): UpstreamError {
  return new UpstreamError(undefined, error.reason ?? 'unknown', error.message ?? '')
}

/** Whether the same request may succeed a little later. Sending it again must be harmless. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof UpstreamError)) return false
  if (error.reason !== undefined && PASSING.has(error.reason)) return true
  return error.status === undefined ? error.reason === undefined : [408, 429, 500, 502, 503, 504].includes(error.status)
}

/** Whether a job with this id is there already. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof UpstreamError && error.status === 409
}

export function isAbsent(error: unknown): boolean {
  return error instanceof UpstreamError && error.status === 404
}

/** Whether BigQuery did not take the statement. */
export function isInvalid(error: unknown): boolean {
  return error instanceof UpstreamError && error.status === 400 && error.reason === 'invalidQuery'
}

const PASSING: ReadonlySet<string> = new Set([
  'rateLimitExceeded',
  'userRateLimitExceeded',
  'jobRateLimitExceeded',
  'backendError',
  'internalError',
  'jobBackendError',
  'jobInternalError',
])

/** Longest part of BigQuery's words that is passed on, in UTF-16 code units. */
const MAX_WORDS = 500

/**
 * The failure that a reader meets. `quiet` keeps BigQuery's words back: they may hold values of a masked column
 * (``Bad int64 value: 078-05-1120``), so only the reason and the position pass. So they are where they name what `text`, the
 * statement, does not. `signal` says who gave up, if anyone did.
 */
export function failureOf(error: unknown, signal: AbortSignal, quiet: boolean, text?: string): Failure {
  if (error instanceof Failure) return error
  if (signal.aborted) return abandoned(signal)
  if (!(error instanceof UpstreamError)) return new Failure('upstream-failed', 'the warehouse failed', { cause: error })
  const { status, reason } = error
  if (reason === 'timeout')
    return new Failure('upstream-late', 'the warehouse gave up on the statement', { cause: error })
  if (reason === 'stopped') return new Failure('upstream-failed', 'the job was cancelled upstream', { cause: error })
  if (reason === 'bytesBilledLimitExceeded') {
    return new Failure('upstream-refused', 'the statement would bill more bytes than it may', {
      cause: error,
      fix: 'name fewer columns, filter on the partition column, or have the limit raised',
    })
  }
  if (reason === 'quotaExceeded' || status === 429 || reason?.toLowerCase().endsWith('ratelimitexceeded') === true) {
    return new Failure('upstream-failed', 'the warehouse is asked too much', { cause: error, retryAfter: 30 })
  }
  if (isPassing(error) || status === 401 || (status ?? 0) >= 500) {
    return new Failure('upstream-failed', 'the warehouse failed', { cause: error })
  }
  if (quiet) return refused(error, QUIET_FIX)
  return refused(error, text !== undefined && tellsMore(said(error), text) ? FOREIGN_FIX : undefined)
}

/** Dotted names, as `p:shop.orders` and `shop.orders`, and addresses of accounts. */
const QUALIFIED = /[\w$@-]+(?:[:.][\w$@*-]+)+/g

/** Whether words name what `text` does not: a table behind a view, an account of ours. */
function tellsMore(words: string, text: string): boolean {
  const known = text.toLowerCase()
  const parts = (words.match(QUALIFIED) ?? []).flatMap((name) => name.split(/[:.]/))
  return parts.some((part) => !/^\d*$/.test(part) && !known.includes(part.toLowerCase()))
}

/** The part of BigQuery's words that may be passed on, on one line. */
function said({ words }: UpstreamError): string {
  return words.replaceAll(/\s+/g, ' ').trim().slice(0, MAX_WORDS)
}

/** `kept`: what to do, where BigQuery's words are kept back. */
function refused(error: UpstreamError, kept: string | undefined): Failure {
  const position = /\[(\d{1,7}):(\d{1,7})\]/.exec(error.words)
  const where = position === null ? {} : { where: `line ${position[1]}, column ${position[2]}` }
  const reason = /^\w{1,40}$/.test(error.reason ?? '') ? error.reason : 'unknown'
  const plain = `the warehouse refused the statement (\`${reason}\`)`
  const message = kept !== undefined || said(error) === '' ? '' : `: ${said(error)}`
  return new Failure('upstream-refused', `${plain}${message}`, {
    cause: error,
    ...where,
    // Its words may quote a parameter, or a value that only its requester may see.
    ...(message !== '' && {
      recorded: `${plain}${position === null ? '' : ` at line ${position[1]}, column ${position[2]}`}`,
    }),
    ...(kept === undefined ? {} : { fix: kept }),
  })
}

/** What is said where the warehouse's words are kept back. */
const QUIET_FIX =
  'its words are kept back, for they may quote masked values; look at types, casts and function names at this place, ' +
  'or try the expression without the masked tables'

const FOREIGN_FIX =
  'its words are kept back, for they name what the statement does not; look at this place, or ask the operator whether ' +
  'the gateway may read everything that the views here read'

/** Why we stopped waiting: our deadline, or the reader's leaving. */
export function abandoned(signal: AbortSignal): Failure {
  const reason: unknown = signal.reason
  if (reason instanceof Failure) return reason
  const late = reason instanceof Error && reason.name === 'TimeoutError'
  return late
    ? new Failure('upstream-late', 'the warehouse did not answer in time', { fix: 'ask for less, or for more time' })
    : new Failure('client-gone', 'the client closed the request')
}
