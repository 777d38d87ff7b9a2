/** What identity is configured with, checked once at the start: a mistake here must stop the gateway, never open it. */
import type { Plane } from '../exchange.ts'
import type { ApiKey } from './api-key.ts'
import { isSafeUrl } from '../url.ts'

/** JWS algorithms that an issuer may be allowed: asymmetric ones only, so that a public key can never become a secret. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

export type Algorithm = (typeof ALGORITHMS)[number]

/**
 * Where in the token a claim is: `sub`, `realm_access.roles`, `act.sub`, `https://example.com/groups`. A claim with
 * exactly that name comes first, then the path at its dots. Of several, the first that is present counts.
 */
export type ClaimPath = string | readonly string[]

/** How an issuer's claims are read. */
export interface ClaimMapping {
  /** Default `sub`. RFC 8693 tokens, where `sub` is the person: `['act.sub', 'sub']`, with `actsFor: 'sub'`. */
  readonly subject?: ClaimPath
  /** An array of strings. Default `groups`; absent from a token, it belongs to no group. */
  readonly groups?: ClaimPath
  /** The person for whom an agent acts. Without it a token that carries `act` is refused: it cannot be read safely. */
  readonly actsFor?: ClaimPath
  /** `agent`, `service` or `person`. Without it the plane says: agent or person. */
  readonly kind?: ClaimPath
}

/** An OpenID issuer that is trusted for the audiences named, and for nothing else. */
export interface IssuerOptions {
  /** Its name here: the `issuer` of every principal that it proves. */
  readonly name: string
  /** Exactly what its tokens say in `iss`. https, but for loopback. */
  readonly issuer: string
  /** Where its keys are. Without it they are discovered at `<issuer>/.well-known/openid-configuration`. */
  readonly jwksUri?: string
  readonly algorithms: readonly Algorithm[]
  /** The exact `aud` of each plane. A plane without one is closed to this issuer. */
  readonly audiences: Readonly<Partial<Record<Plane, string>>>
  readonly claims?: ClaimMapping
  /** How far its clock may be from ours. Default 30, at most 300. */
  readonly clockToleranceSeconds?: number
  /** Accepted `typ` headers, without regard to case and `application/`; `''` is a token without one. Default `at+jwt`, `JWT`. */
  readonly types?: readonly string[]
}

/** How the keys of issuers are fetched and kept. All in milliseconds, but for the size. */
export interface KeyOptions {
  /** Keys are fetched again in the background once they are this old and in use. Default 5 min. */
  readonly refreshAfterMs: number
  /** Once this old they are fetched again before they are used, unless the issuer did not answer the last time. Default 10 min. */
  readonly maxAgeMs: number
  /** How long the last good keys serve while the issuer does not answer. Default 24 h. */
  readonly maxStaleMs: number
  /** At least this long between two fetches, whatever tokens say. Default 30 s. */
  readonly cooldownMs: number
  /** The same while there are no keys at all. Default 1 s. */
  readonly retryMs: number
  /** Deadline of one fetch, discovery and keys each. Default 5 s. */
  readonly deadlineMs: number
  /** Largest discovery document or key set. Default 256 KiB. */
  readonly maxBytes: number
}

export const KEY_DEFAULTS: KeyOptions = {
  refreshAfterMs: 5 * 60_000,
  maxAgeMs: 10 * 60_000,
  maxStaleMs: 24 * 3_600_000,
  cooldownMs: 30_000,
  retryMs: 1_000,
  deadlineMs: 5_000,
  maxBytes: 256 * 1024,
}

export interface IdentityOptions {
  readonly issuers: readonly IssuerOptions[]
  readonly apiKeys?: readonly ApiKey[]
  readonly keys?: Partial<KeyOptions>
  /** Verified tokens remembered at most. Default 10,000; 0 remembers none. */
  readonly cacheSize?: number
}

/** Throws an Error that names the key and what was expected. */
export function checkIssuers(issuers: readonly IssuerOptions[]): void {
  const names = new Set<string>()
  const urls = new Set<string>()
  for (const [index, issuer] of issuers.entries()) {
    const where = `issuers[${index}]`
    if (!/^[a-z][a-z0-9-]{0,63}$/.test(issuer.name)) throw new Error(`${where}.name: expected kebab-case`)
    if (issuer.name === 'keys') throw new Error(`${where}.name: \`keys\` is the name of API keys`)
    if (names.has(issuer.name)) throw new Error(`${where}.name: \`${issuer.name}\` is taken`)
    if (urls.has(issuer.issuer)) throw new Error(`${where}.issuer: another issuer has it`)
    names.add(issuer.name)
    urls.add(issuer.issuer)
    checkUrl(issuer.issuer, `${where}.issuer`)
    if (issuer.jwksUri !== undefined) checkUrl(issuer.jwksUri, `${where}.jwksUri`)
    checkTerms(issuer, where)
  }
}

function checkTerms(issuer: IssuerOptions, where: string): void {
  if (issuer.algorithms.length === 0) throw new Error(`${where}.algorithms: name at least one`)
  const unknown = issuer.algorithms.find((algorithm) => !ALGORITHMS.includes(algorithm))
  if (unknown !== undefined) {
    throw new Error(`${where}.algorithms: \`${unknown}\` is not one of ${ALGORITHMS.join(', ')}`)
  }
  const { agents, people } = issuer.audiences
  if (agents === undefined && people === undefined) throw new Error(`${where}.audiences: name \`agents\` or \`people\``)
  if (agents === '' || people === '') throw new Error(`${where}.audiences: an audience is not empty`)
  if (agents === people) throw new Error(`${where}.audiences: the two planes must differ`)
  const tolerance = issuer.clockToleranceSeconds ?? 0
  if (!(tolerance >= 0 && tolerance <= 300)) throw new Error(`${where}.clockToleranceSeconds: expected 0 to 300`)
  if (issuer.types?.length === 0) throw new Error(`${where}.types: name at least one`)
}

function checkUrl(text: string, where: string): void {
  if (!isSafeUrl(text)) throw new Error(`${where}: expected an https URL (http only on loopback)`)
}
