/**
 * Every failure code with its HTTP status, and the one Error that we throw on purpose.
 *
 * A denial is not a failure: policy said no, and that is a value (`Decision`). A failure is something that was refused
 * before it could be decided (bad input, no proof of identity) or that broke on our side or upstream.
 */

/** Code → HTTP status and title (RFC 9457). `docs/errors.md` lists the same codes; a test compares the two. */
export const FAILURES = {
  // refused: not understood, or not proven
  'bad-request': { status: 400, title: 'the request is not understood' },
  'statement-refused': { status: 400, title: 'the statement is not understood' },
  'target-refused': { status: 400, title: 'the path could be read in more than one way' },
  'upgrade-refused': { status: 501, title: 'a change of protocol is not supported' },
  'parameter-refused': { status: 400, title: 'a query parameter is not understood' },
  'credential-missing': { status: 401, title: 'a bearer token is needed' },
  'credential-refused': { status: 401, title: 'the bearer token is not accepted' },
  'wrong-plane': { status: 403, title: 'the token is for another audience' },
  'not-found': { status: 404, title: 'there is no such thing' },
  'connection-unknown': { status: 404, title: 'there is no such connection' },
  'resource-unknown': { status: 404, title: 'there is no such resource' },
  'method-not-allowed': { status: 405, title: 'the method is not allowed here' },
  'not-acceptable': { status: 406, title: 'no such representation' },
  conflict: { status: 409, title: 'the state has moved on' },
  'idempotency-conflict': { status: 422, title: 'the idempotency key was used for another request' },
  'body-too-large': { status: 413, title: 'the request body is too large' },
  'unsupported-media-type': { status: 415, title: 'the content type is not supported' },
  // denied: policy said no. `denied` renders a Decision; it is never thrown
  denied: { status: 403, title: 'policy denies this' },
  'not-auditor': { status: 403, title: 'you are not an auditor' },
  'not-approver': { status: 403, title: 'you may not decide on this hold' },
  'too-many-requests': { status: 429, title: 'you have too much under way' },
  'budget-exhausted': { status: 429, title: 'the budget of the day has no room for this' },
  // failed: we or the upstream broke
  'upstream-refused': { status: 400, title: 'the upstream refused the statement' },
  'upstream-failed': { status: 502, title: 'the upstream failed' },
  'upstream-differs': { status: 502, title: 'the upstream did something else than was decided' },
  'answer-refused': { status: 502, title: 'the answer cannot be shown as policy demands' },
  'upstream-late': { status: 504, title: 'the upstream did not answer in time' },
  'audit-unavailable': { status: 503, title: 'what cannot be recorded does not run' },
  'store-unavailable': { status: 503, title: 'the state store does not answer' },
  'identity-unavailable': { status: 503, title: 'the issuer cannot be reached' },
  overloaded: { status: 503, title: 'the gateway is busy' },
  'shutting-down': { status: 503, title: 'the gateway is shutting down' },
  'client-gone': { status: 499, title: 'the client closed the request' },
  internal: { status: 500, title: 'the gateway failed' },
} as const satisfies Record<string, { status: number; title: string }>

export type FailureCode = keyof typeof FAILURES

export interface FailureDetail {
  /** What broke underneath. Only the operational log sees it; it never reaches an answer. */
  readonly cause?: unknown
  /** How to mend it, in words that an agent can act on. */
  readonly fix?: string
  /** Seconds after which another try makes sense (`Retry-After`). */
  readonly retryAfter?: number
  /** Where in a statement, document or body: `line 3, column 7`, `rows[2].name`. Never a value. */
  readonly where?: string
  /** What the record says in the place of the message, where the upstream's own words in it may quote a value. */
  readonly recorded?: string
}

/**
 * The one error that is thrown on purpose. Messages: lower case, no full stop, the reader's own words in backticks,
 * never a credential or a row value.
 */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly code: FailureCode
  readonly detail: FailureDetail

  constructor(code: FailureCode, message: string, detail: FailureDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.code = code
    this.detail = detail
  }

  get status(): number {
    return FAILURES[this.code].status
  }
}

/** `error` if it is a Failure already, else one with `code` and `error` as its cause. */
export function asFailure(
  error: unknown,
  code: FailureCode = 'internal',
  message: string = FAILURES[code].title,
): Failure {
  return error instanceof Failure ? error : new Failure(code, message, { cause: error })
}
