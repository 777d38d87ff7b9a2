/** Idempotency keys: a request that is sent again is answered with what the first one came to, and runs nothing twice. */
import { sha256Hex } from './digest.ts'
import type { Decided, Held, Permitted, Stated } from './exchange.ts'
import { Failure } from './failure.ts'
import type { HoldEntry, KeyOutcome, Store } from './hold/contract.ts'
import type { Clock } from './runtime.ts'

/**
 * `fresh`: go on, under the id of the first exchange with this key (one's own where it is the first): the upstream job
 * bears it, so that a job which ran already is found instead of run again. `held`: this hold waits already.
 */
export type FirstOfKey =
  | { readonly kind: 'fresh'; readonly id: string }
  | { readonly kind: 'held'; readonly hold: HoldEntry }

export class Once {
  readonly #store: Store
  readonly #clock: Clock
  readonly #keyMs: number

  constructor(store: Store, clock: Clock, keyMs: number) {
    this.#store = store
    this.#clock = clock
    this.#keyMs = keyMs
  }

  /** Throws `idempotency-conflict` for a key of another request, and where policy has changed since the first. */
  async claim(exchange: Permitted | Held, key: string | undefined): Promise<FirstOfKey> {
    if (key === undefined) return { kind: 'fresh', id: exchange.id }
    const { issuer, subject } = exchange.principal
    const at = this.#clock.now()
    const claimed = await this.#store.claimKey({
      owner: { issuer, subject },
      key,
      requestDigest: await digestOf(exchange),
      exchange: exchange.id,
      outcome: outcomeOf(exchange),
      at,
      expiresAt: at + this.#keyMs,
    })
    switch (claimed.state) {
      case 'fresh':
        return { kind: 'fresh', id: exchange.id }
      case 'taken':
        return this.#repeat(exchange, key, claimed.outcome)
      case 'conflict':
        throw new Failure('idempotency-conflict', `the key \`${key}\` belongs to another request`, {
          fix: 'send a new `Idempotency-Key` with a new request',
        })
    }
  }

  async #repeat(exchange: Permitted | Held, key: string, outcome: KeyOutcome): Promise<FirstOfKey> {
    if (outcome.kind === 'held') {
      const hold = await this.#store.hold(outcome.hold)
      // Where the key was claimed and the hold never opened, this request is the first that can.
      return hold === undefined ? { kind: 'fresh', id: outcome.hold } : { kind: 'held', hold }
    }
    // Other masks or bounds than the first answer had: giving that answer again would go round today's policy.
    if (isPermitted(exchange) && sameTerms(outcome.exchange, exchange))
      return { kind: 'fresh', id: outcome.exchange.id }
    throw new Failure('idempotency-conflict', `policy has changed since the first request with the key \`${key}\``, {
      fix: 'send a new `Idempotency-Key`',
    })
  }
}

function outcomeOf(exchange: Permitted | Held): KeyOutcome {
  return isPermitted(exchange) ? { kind: 'ran', exchange } : { kind: 'held', hold: exchange.id }
}

function isPermitted(exchange: Decided): exchange is Permitted {
  return exchange.decision.effect === 'permit'
}

function sameTerms(a: Permitted, b: Permitted): boolean {
  return a.policy === b.policy && JSON.stringify(a.decision.obligations) === JSON.stringify(b.decision.obligations)
}

/** Over what makes two requests the same. */
export function digestOf({ connection, statement }: Stated): Promise<string> {
  const { text, bounds } = statement
  const rest = statement.language === 'http' ? [statement.headers, statement.body ?? null] : statement.parameters
  return sha256Hex(JSON.stringify([connection, text, rest, bounds]))
}
