/** What the gateway asks of identity. The credential ends here; no later type has a place for it. */
import type { Plane, Principal } from '../exchange.ts'

export interface Identity {
  /**
   * The principal behind an `Authorization` header. Rejects with `credential-missing`, `credential-refused`,
   * `wrong-plane` or `identity-unavailable`; the message says what is wrong with the token, never what it contains.
   */
  identify(authorization: string | undefined, plane: Plane, signal: AbortSignal): Promise<Principal>
  /** Resolves when each issuer's keys are at hand. */
  ready(signal: AbortSignal): Promise<void>
}
