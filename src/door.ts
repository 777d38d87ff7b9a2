/**
 * The door that every surface shares: proves who asks, bounds how much is under way, and records what is refused
 * before it became an exchange.
 */
import { refused } from './audit/entries.ts'
import type { AuditLog } from './audit/contract.ts'
import type { Language, Plane, Principal } from './exchange.ts'
import { asFailure, Failure } from './failure.ts'
import type { Identity } from './identity/contract.ts'
import type { Inflight, Place } from './inflight.ts'
import type { Runtime } from './runtime.ts'

/** A knock: what is known of a request before anything in it is believed. */
export interface Knock {
  /** UUIDv7; the id of the exchange that this may become. */
  readonly id: string
  /** Milliseconds since 1970 UTC. */
  readonly receivedAt: number
  /** `query`, `preflight`, `holds`, `audit`, `connections`. */
  readonly surface: string
  /** The `Authorization` header, and whether a cookie came too. Ends in `identity/`. */
  readonly credentials: { readonly authorization: string | undefined; readonly cookie: boolean }
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal
}

/** What the record of a refusal may tell, filled in as it becomes known. */
export interface Seen {
  principal?: Principal
  connection?: string
  purpose?: string
  text?: string
  /** Of `text`. */
  language?: Language | 'clickhouse' | 'audit'
}

/** What work may do with its place: keep it beyond its own end, and leave it to others while a person is waited for. */
export interface Room {
  /** Keeps it; the answer leaves it. */
  readonly stay: () => () => void
  readonly aside: Place['aside']
  /** Aborts when the client leaves or the gateway shuts down, and not when the time of an ordinary request is up. */
  readonly patient: AbortSignal
}

export interface DoorParts {
  readonly runtime: Runtime
  readonly identity: Identity
  readonly audit: AuditLog
  readonly inflight: Inflight
}

export class Door {
  readonly #parts: DoorParts
  readonly #places = new WeakMap<Knock, Place>()
  /** How many were turned away since it was last recorded, by code. */
  #turnedAway = new Map<string, number>()

  constructor(parts: DoorParts) {
    this.#parts = parts
  }

  /**
   * The principal, who MUST hold a token of one of `planes`; the place of this knock is theirs from then on. A bearer
   * token beside a cookie is refused, and so is one request more than a principal may have under way.
   */
  async identify(knock: Knock, planes: readonly Plane[], signal: AbortSignal): Promise<Principal> {
    const principal = await this.#prove(knock, planes, signal)
    const place = this.#places.get(knock)
    if (place === undefined) throw new Failure('internal', 'nobody is identified who has not entered')
    try {
      place.claim(principal)
    } catch (error) {
      // As cheap as that of a gateway that is full: recorded with others of its kind.
      throw error instanceof Failure && error.code === 'too-many-requests' ? this.#countAway(error) : error
    }
    return principal
  }

  async #prove(knock: Knock, planes: readonly Plane[], signal: AbortSignal): Promise<Principal> {
    const { authorization, cookie } = knock.credentials
    if (cookie && authorization !== undefined) {
      throw new Failure('credential-refused', 'send a bearer token or a cookie, never both', {
        fix: 'drop the `Cookie` header',
      })
    }
    const { identity } = this.#parts
    const [first, ...others] = planes
    if (first === undefined) throw new Failure('internal', 'a surface without a plane')
    try {
      return await identity.identify(authorization, first, signal)
    } catch (error) {
      const [second] = others
      if (second === undefined || !(error instanceof Failure && error.code === 'wrong-plane')) throw error
      return await identity.identify(authorization, second, signal)
    }
  }

  /**
   * Runs `work` with a place among what is under way; what it throws is recorded as refused and thrown on as a Failure.
   * `work` may keep the place (for an answer that streams): then it MUST leave it itself.
   */
  async enter<T>(knock: Knock, work: (seen: Seen, signal: AbortSignal, room: Room) => Promise<T>): Promise<T> {
    const place = this.#enter(knock)
    const { signal, patient, leave, aside } = place
    this.#places.set(knock, place)
    const seen: Seen = {}
    let stays = false
    try {
      const stay = (): (() => void) => {
        stays = true
        return leave
      }
      return await work(seen, signal, { stay, aside, patient })
    } catch (error) {
      stays = false
      throw await this.#refuse(knock, seen, error)
    } finally {
      if (!stays) leave()
    }
  }

  /**
   * Records how many were turned away because there was no room, since this was last called: one record for all, because each
   * must be cheap. Rejects, and forgets nothing, where that cannot be recorded.
   */
  async recordTurnedAway(): Promise<void> {
    const { audit, runtime } = this.#parts
    const counted = this.#turnedAway
    this.#turnedAway = new Map()
    for (const [code, times] of counted) {
      try {
        const message = `${times} requests were turned away since the last of these records`
        const at = runtime.clock.now()
        await audit.append(refused({ exchange: runtime.newId(), at, surface: 'gateway' }, { code, message }))
        counted.delete(code)
      } catch (error) {
        for (const [again, more] of counted) this.#turnedAway.set(again, (this.#turnedAway.get(again) ?? 0) + more)
        throw error
      }
    }
  }

  #enter(knock: Knock): Place {
    try {
      return this.#parts.inflight.enter(knock.signal)
    } catch (error) {
      throw error instanceof Failure ? this.#countAway(error) : error
    }
  }

  #countAway(failure: Failure): Failure {
    this.#turnedAway.set(failure.code, (this.#turnedAway.get(failure.code) ?? 0) + 1)
    return RecordedFailure.of(failure)
  }

  /** Records a refusal; the failure to answer with, which is `audit-unavailable` where it could not be recorded. */
  async #refuse(knock: Knock, seen: Seen, error: unknown): Promise<Failure> {
    if (error instanceof RecordedFailure) return error
    const failure = isOfLeaving(error, knock.signal) ? asFailure(undefined, 'client-gone') : asFailure(error)
    if (failure.code === 'internal') {
      this.#parts.runtime.log(
        'error',
        'a request failed',
        { exchange: knock.id, surface: knock.surface },
        failure.cause,
      )
    }
    try {
      const { id, receivedAt, surface } = knock
      await this.#parts.audit.append(refused({ exchange: id, at: receivedAt, surface, ...seen }, failure))
      return failure
    } catch (unrecorded) {
      return asFailure(unrecorded, 'audit-unavailable')
    }
  }
}

/** A client that left is no failure of ours or of the upstream's, whatever its leaving broke off. */
function isOfLeaving(error: unknown, client: AbortSignal): boolean {
  return client.aborted && (error === client.reason || (error instanceof Failure && error.status >= 500))
}

/** A failure whose record is written already, or that has none: the door does not write one. */
export class RecordedFailure extends Failure {
  static of(failure: Failure): RecordedFailure {
    return new RecordedFailure(failure.code, failure.message, failure.detail)
  }
}
