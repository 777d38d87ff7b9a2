/** Why a SIEM did not take what it was handed: a code for people, shown in the status. Never what it said. */
export class Undelivered extends Error {
  override readonly name = 'Undelivered'
  /** `http_413`, `not_confirmed`, `ECONNREFUSED`. */
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
