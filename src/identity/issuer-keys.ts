/**
 * The public keys of one issuer: fetched when first needed, fetched again while in use, at most once per cooldown, by
 * one fetch at a time; the last good ones serve while the issuer does not answer, up to `maxStaleMs`.
 *
 *   age 0 ── refreshAfter ──────── maxAge ───────────────────────────── maxStale
 *     use     use, fetch behind     fetch, then use (last failed: behind)   fetch or fail
 */
import { createLocalJWKSet, errors, type CryptoKey, type JWK, type JWSHeaderParameters, type LocalJWKSet } from 'jose'
import { asFailure, Failure } from '../failure.ts'
import type { Runtime } from '../runtime.ts'
import { fetchJson } from './fetch-json.ts'
import { isLoopbackUrl, isSafeUrl } from '../url.ts'
import type { IssuerOptions, KeyOptions } from './options.ts'

/** More keys than any issuer rotates through. */
const MAX_KEYS = 100

/** A token without `kid` may fit several keys; no more than these are tried. */
const MAX_CANDIDATES = 4

/** Kinds of key that can verify for others without being able to sign. */
const PUBLIC_KINDS = ['RSA', 'EC', 'OKP']

interface KeySet {
  readonly find: LocalJWKSet
  /** Changes when the keys do. */
  readonly content: string
  readonly fetchedAt: number
}

/** Keys that may have signed, and the set (its `content`) they are of. */
export interface Candidates {
  readonly keys: readonly CryptoKey[]
  readonly content: string
}

export class IssuerKeys {
  readonly #issuer: IssuerOptions
  readonly #options: KeyOptions
  readonly #runtime: Runtime
  #keys: KeySet | undefined
  #attempt: { readonly startedAt: number; failure?: Failure } | undefined
  #flight: Promise<void> | undefined

  constructor(issuer: IssuerOptions, options: KeyOptions, runtime: Runtime) {
    this.#issuer = issuer
    this.#options = options
    this.#runtime = runtime
  }

  /**
   * Resolves when keys are at hand that may be used, with what tells one set of keys from another: what was verified
   * under one set need not hold under the next. Rejects with `identity-unavailable`.
   */
  async usable(signal: AbortSignal): Promise<string> {
    const kept = this.#fresh()
    if (kept !== undefined && this.#age(kept) < this.#options.maxAgeMs) {
      if (this.#age(kept) >= this.#options.refreshAfterMs) this.#refreshBehind()
      return kept.content
    }
    // An issuer that did not answer the last time is asked behind the requests' backs: they do not wait for it again.
    if (kept !== undefined && this.#attempt?.failure !== undefined) {
      this.#refreshBehind()
      return kept.content
    }
    if (this.#mayFetch()) await orAborted(this.#refresh(), signal)
    const now = this.#fresh()
    if (now === undefined) throw this.#unavailable()
    return now.content
  }

  /**
   * The keys that may have signed under this header, usually one. Rejects with `credential-refused` when there is
   * none, even after a fetch if the cooldown allows one, and with `identity-unavailable`.
   */
  async matching(header: JWSHeaderParameters, signal: AbortSignal): Promise<Candidates> {
    await this.usable(signal)
    const found = await this.#find(header)
    if (found.keys.length > 0) return found
    if (this.#flight !== undefined || this.#mayFetch()) await orAborted(this.#refresh(), signal)
    const again = await this.#find(header)
    if (again.keys.length > 0) return again
    // The key may be newer than what we have, and the issuer cannot be asked: not the token's fault.
    if (this.#attempt?.failure !== undefined) throw this.#unavailable()
    throw new Failure('credential-refused', `issuer \`${this.#issuer.name}\` has no key for this token`, {
      fix: 'fetch a fresh token; if the issuer has just rotated its keys, try again in half a minute',
    })
  }

  async #find(header: JWSHeaderParameters): Promise<Candidates> {
    const set = this.#fresh()
    if (set === undefined) throw this.#unavailable()
    const { content } = set
    try {
      return { keys: [await set.find(header)], content }
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return { keys: [], content }
      if (error instanceof errors.JWKSMultipleMatchingKeys) return { keys: await firstOf(error), content }
      throw new Failure('credential-refused', `issuer \`${this.#issuer.name}\` has no usable key for this token`)
    }
  }

  /** The keys, unless they are too old to be trusted. */
  #fresh(): KeySet | undefined {
    return this.#keys !== undefined && this.#age(this.#keys) < this.#options.maxStaleMs ? this.#keys : undefined
  }

  #age(keys: KeySet): number {
    return this.#runtime.clock.monotonic() - keys.fetchedAt
  }

  #mayFetch(): boolean {
    if (this.#flight !== undefined || this.#attempt === undefined) return true
    const pause = this.#fresh() === undefined ? this.#options.retryMs : this.#options.cooldownMs
    return this.#runtime.clock.monotonic() - this.#attempt.startedAt >= pause
  }

  #refreshBehind(): void {
    if (this.#flight === undefined && this.#mayFetch()) this.#runtime.background('issuer-keys', this.#refresh())
  }

  /** Joins the fetch under way or starts one. Never rejects: what went wrong is in `#attempt`. */
  #refresh(): Promise<void> {
    this.#flight ??= this.#fetchOnce().finally(() => {
      this.#flight = undefined
    })
    return this.#flight
  }

  async #fetchOnce(): Promise<void> {
    const startedAt = this.#runtime.clock.monotonic()
    try {
      const keys = publicKeys(await this.#fetchKeys())
      // Dated from before the fetch: what the issuer changed meanwhile must not count as seen.
      const content = JSON.stringify(keys)
      const same = this.#keys?.content === content ? this.#keys : { find: createLocalJWKSet({ keys }), content }
      this.#keys = { ...same, fetchedAt: startedAt }
      this.#attempt = { startedAt }
    } catch (error) {
      const failure = asFailure(error, 'identity-unavailable', 'the answer is no key set')
      this.#attempt = { startedAt, failure }
      const { name } = this.#issuer
      this.#runtime.log(
        'warn',
        'issuer keys not refreshed',
        { issuer: name, why: failure.message },
        failure.detail.cause,
      )
    }
  }

  async #fetchKeys(): Promise<unknown> {
    return this.#fetch(this.#issuer.jwksUri ?? (await this.#discover()))
  }

  /** `jwks_uri` of the discovery document, which must be the issuer's own. */
  async #discover(): Promise<string> {
    const base = this.#issuer.issuer
    const document = await this.#fetch(`${base.replace(/\/$/, '')}/.well-known/openid-configuration`)
    if (typeof document !== 'object' || document === null || !('issuer' in document) || document.issuer !== base) {
      throw new Failure('identity-unavailable', 'the discovery document names another issuer')
    }
    const uri = 'jwks_uri' in document ? document.jwks_uri : undefined
    if (typeof uri !== 'string' || !isSafeUrl(uri) || (isLoopbackUrl(uri) && !isLoopbackUrl(base))) {
      throw new Failure('identity-unavailable', 'the discovery document has no acceptable `jwks_uri`')
    }
    return uri
  }

  #fetch(url: string): Promise<unknown> {
    return fetchJson(url, this.#options, this.#runtime.fetch)
  }

  #unavailable(): Failure {
    const why = this.#attempt?.failure
    return new Failure('identity-unavailable', `the keys of issuer \`${this.#issuer.name}\` cannot be fetched`, {
      retryAfter: Math.max(1, Math.ceil(this.#options.retryMs / 1000)),
      ...(why === undefined ? {} : { cause: why }),
    })
  }
}

/** The public, asymmetric keys of a key set. A symmetric or private key in it is no key to trust. */
function publicKeys(document: unknown): JWK[] {
  const listed = typeof document === 'object' && document !== null && 'keys' in document ? document.keys : undefined
  if (!Array.isArray(listed)) throw new Failure('identity-unavailable', 'the answer is no key set')
  if (listed.length > MAX_KEYS) throw new Failure('identity-unavailable', `the key set has over ${MAX_KEYS} keys`)
  const keys = listed.filter(isPublicKey)
  if (keys.length === 0) throw new Failure('identity-unavailable', 'the key set has no public key')
  return keys
}

function isPublicKey(key: unknown): key is JWK {
  if (typeof key !== 'object' || key === null || !('kty' in key)) return false
  return PUBLIC_KINDS.includes(String(key.kty)) && !('d' in key) && !('k' in key)
}

async function firstOf(candidates: AsyncIterable<CryptoKey>): Promise<readonly CryptoKey[]> {
  const keys: CryptoKey[] = []
  for await (const key of candidates) {
    keys.push(key)
    if (keys.length === MAX_CANDIDATES) break
  }
  return keys
}

/** `work`, or `identity-unavailable` once the signal aborts. The work itself goes on: others wait for it too. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const late = (): Failure =>
    new Failure('identity-unavailable', 'the issuer did not answer in time', { cause: signal.reason })
  if (signal.aborted) throw late()
  const ended = new AbortController()
  try {
    return await Promise.race([
      work,
      new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(late()), { once: true, signal: ended.signal })
      }),
    ])
  } finally {
    ended.abort()
  }
}
