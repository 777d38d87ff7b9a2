/** What BigQuery would answer instead of a result: an HTTP status and one of BigQuery's reasons. */
export class WarehouseError extends Error {
  readonly status: number
  readonly reason: string
  readonly location: string | undefined

  constructor(status: number, reason: string, message: string, location?: string) {
    super(message)
    this.status = status
    this.reason = reason
    this.location = location
  }
}

/** 400 `invalidQuery`, with BigQuery's `at [line:column]` when the place is known. */
export function invalidQuery(message: string, at?: { line: number; column: number }): WarehouseError {
  return new WarehouseError(400, 'invalidQuery', at ? `${message} at [${at.line}:${at.column}]` : message, 'query')
}

/** 400 `invalidQuery` for GoogleSQL that the sandbox is not known to answer rightly. */
export function unsupported(what: string, at?: { line: number; column: number }): WarehouseError {
  return invalidQuery(`${what} is not supported in the sandbox`, at)
}

/** 404 `notFound`, in BigQuery's words. */
export function notFound(kind: string, name: string): WarehouseError {
  return new WarehouseError(
    404,
    'notFound',
    `Not found: ${kind} ${name}${kind === 'Table' ? ' was not found in location US' : ''}`,
  )
}

/** The HTTP status that BigQuery gives with a reason. */
export function statusOf(reason: string): number {
  const statuses: Record<string, number> = {
    accessDenied: 403,
    backendError: 503,
    billingNotEnabled: 403,
    duplicate: 409,
    internalError: 500,
    jobBackendError: 400,
    jobInternalError: 400,
    notFound: 404,
    notImplemented: 501,
    policyViolation: 403,
    quotaExceeded: 403,
    rateLimitExceeded: 403,
    responseTooLarge: 403,
    timeout: 400,
  }
  return statuses[reason] ?? 400
}
