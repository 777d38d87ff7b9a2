/** Credential → principal. The credential ends here. */
import type { Plane, Principal } from '../exchange.ts'
import { Failure } from '../failure.ts'
import type { Runtime } from '../runtime.ts'
import { API_KEY_PREFIX, checkApiKeys, identifyApiKey, type ApiKey } from './api-key.ts'
import { bearerToken } from './bearer.ts'
import { checkAudience, principalOf } from './claims.ts'
import type { Identity } from './contract.ts'
import { IssuerKeys } from './issuer-keys.ts'
import { Lru } from './lru.ts'
import { checkIssuers, KEY_DEFAULTS, type IdentityOptions, type IssuerOptions } from './options.ts'
import { checkHeader, parseToken, proveToken } from './token.ts'

interface TrustedIssuer {
  readonly options: IssuerOptions
  readonly keys: IssuerKeys
}

/** A verified token, remembered by its digest. */
interface Proven {
  readonly principal: Principal
  readonly issuer: TrustedIssuer
  /** Milliseconds since 1970 UTC. */
  readonly until: number
  /** The issuer's keys when it was proven: a key that the issuer takes back takes its tokens with it. */
  readonly keys: string
}

/** Identity whose API keys can be replaced while it serves, so that one can be revoked at once. */
export interface ManagedIdentity extends Identity {
  /** Replaces all API keys. Throws as at the start, and then the old ones stay. */
  replaceApiKeys(keys: readonly ApiKey[]): void
}

const DEFAULT_CACHE_SIZE = 10_000

/**
 * Identity by OIDC bearer tokens of the issuers named and by API keys. Throws an Error naming the key and what was
 * expected when the options are wrong; fetches nothing until `ready` or the first token.
 */
export function createIdentity(options: IdentityOptions, runtime: Runtime): ManagedIdentity {
  checkIssuers(options.issuers)
  const keyOptions = { ...KEY_DEFAULTS, ...options.keys }
  const issuers = new Map<unknown, TrustedIssuer>(
    options.issuers.map((issuer) => [
      issuer.issuer,
      { options: issuer, keys: new IssuerKeys(issuer, keyOptions, runtime) },
    ]),
  )
  const cache = new Lru<Proven>(options.cacheSize ?? DEFAULT_CACHE_SIZE)
  const encoder = new TextEncoder()
  let apiKeys = indexed(options.apiKeys ?? [])

  async function identifyToken(token: string, plane: Plane, signal: AbortSignal): Promise<Principal> {
    // The digest, not the token: what is remembered opens nothing.
    const hasher = runtime.hasher()
    hasher.update(encoder.encode(token))
    const key = `${plane} ${hasher.hex()}`
    const known = cache.get(key)
    if (known !== undefined && (await holds(known, signal))) return known.principal
    cache.delete(key)
    const proven = await prove(token, plane, signal)
    cache.set(key, proven)
    return proven.principal
  }

  async function holds(known: Proven, signal: AbortSignal): Promise<boolean> {
    return runtime.clock.now() < known.until && known.keys === (await known.issuer.keys.usable(signal))
  }

  async function prove(token: string, plane: Plane, signal: AbortSignal): Promise<Proven> {
    const unproven = parseToken(token)
    // Unproven, and good for nothing but choosing whose keys must prove it.
    const issuer = issuers.get(unproven.claims['iss'])
    if (issuer === undefined)
      throw new Failure('credential-refused', 'the token is of an issuer that is not trusted here')
    checkHeader(unproven.header, issuer.options)
    const candidates = await issuer.keys.matching(unproven.header, signal)
    const { claims, until } = await proveToken(token, candidates.keys, issuer.options, runtime.clock.now())
    checkAudience(claims, plane, issuer.options)
    // Frozen: it is shared by every request with this token, and nobody may promote themselves for the next one.
    const principal = frozen(principalOf(claims, plane, issuer.options))
    return { principal, issuer, until, keys: candidates.content }
  }

  return {
    async identify(authorization, plane, signal) {
      const token = bearerToken(authorization)
      if (!token.startsWith(API_KEY_PREFIX)) return identifyToken(token, plane, signal)
      const principal = await identifyApiKey(token, apiKeys, runtime.clock.now())
      if (plane === 'people') throw new Failure('wrong-plane', 'this is for people and the API key is for agents')
      return frozen(principal)
    },
    async ready(signal) {
      await Promise.all([...issuers.values()].map((issuer) => issuer.keys.usable(signal)))
    },
    replaceApiKeys(keys) {
      apiKeys = indexed(keys)
    },
  }
}

function indexed(keys: readonly ApiKey[]): ReadonlyMap<string, ApiKey> {
  checkApiKeys(keys)
  return new Map(keys.map((key) => [key.id, key]))
}

function frozen(principal: Principal): Principal {
  Object.freeze(principal.groups)
  if (principal.actsFor !== undefined) Object.freeze(principal.actsFor)
  return Object.freeze(principal)
}
