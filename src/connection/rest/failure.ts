/** How a request to a REST upstream comes to nothing. */
import { Failure, type FailureCode, type FailureDetail } from '../../failure.ts'

/** A failure that knows whether the upstream may have seen the request. */
export class RestFailure extends Failure {
  /** No byte of the request went out. */
  readonly unsent: boolean

  constructor(code: FailureCode, message: string, unsent: boolean, detail: FailureDetail = {}) {
    super(code, message, detail)
    this.unsent = unsent
  }
}

/** Whether it is certain that the upstream saw nothing of a request that failed with `error`. */
export function isUnsent(error: unknown): boolean {
  return error instanceof RestFailure && error.unsent
}
