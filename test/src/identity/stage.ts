/** A stage for identity: a clock that is handed in, and an issuer whose answers tests choose and count. */
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
} from 'jose'
import type { Plane, Principal } from '../../../src/exchange.ts'
import { Failure } from '../../../src/failure.ts'
import { createIdentity, type ManagedIdentity } from '../../../src/identity/identity.ts'
import type { IdentityOptions, IssuerOptions } from '../../../src/identity/options.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { nodeHasher } from '../../support/hasher.ts'

export const ISSUER = 'https://id.example.com'
export const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)

export interface SigningKey {
  readonly alg: string
  readonly kid: string
  readonly private: CryptoKey
  readonly public: JWK
}

export async function signingKey(alg: string, kid?: string): Promise<SigningKey> {
  const pair = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(pair.publicKey)
  const name = kid ?? (await calculateJwkThumbprint(jwk))
  return { alg, kid: name, private: pair.privateKey, public: { ...jwk, alg, kid: name, use: 'sig' } }
}

/** What an issuer says; it is told when the asker gives up. */
type Answer = (signal: AbortSignal) => Response | Promise<Response>

export interface Stage {
  readonly identity: ManagedIdentity
  readonly runtime: Runtime
  /** URLs fetched, in order. */
  readonly fetched: string[]
  readonly logged: string[]
  /** What the issuer publishes. */
  readonly publish: (...keys: JWK[]) => void
  /** Replaces an answer; `undefined` restores it. */
  readonly answer: (path: 'discovery' | 'jwks', response: Answer | undefined) => void
  /** Moves the clock. */
  readonly pass: (milliseconds: number) => void
  /** Waits for work in the background. */
  readonly settle: () => Promise<void>
  /** Identifies a bearer token. */
  readonly identify: (token: string, plane?: Plane) => Promise<Principal>
}

export function stage(
  keys: readonly JWK[],
  issuer: Partial<IssuerOptions> = {},
  more: Partial<IdentityOptions> = {},
): Stage {
  let published = [...keys]
  let elapsed = 0
  const answers = new Map<string, Answer>()
  const fetched: string[] = []
  const logged: string[] = []
  const background: Promise<unknown>[] = []
  const runtime: Runtime = {
    clock: { now: () => NOW + elapsed, monotonic: () => elapsed },
    newId: () => 'id',
    hasher: nodeHasher,
    secrets: { read: () => Promise.reject(new Error('no secret')) },
    fetch: async (input, init) => {
      if (typeof input !== 'string') throw new Error('a fetch of something else than a text')
      const url = input
      fetched.push(url)
      if (init?.redirect !== 'manual' || init.signal == null) throw new Error('a fetch without bounds')
      await Promise.resolve()
      const discovery = url === `${ISSUER}/.well-known/openid-configuration`
      const chosen = answers.get(discovery ? 'discovery' : 'jwks')
      if (chosen !== undefined) return chosen(init.signal)
      if (discovery) return Response.json({ issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` })
      if (url === `${ISSUER}/jwks`) return Response.json({ keys: published })
      throw new Error(`nobody may fetch ${url}`)
    },
    log: (_level, message, fields) => void logged.push(`${message}: ${JSON.stringify(fields)}`),
    background: (_name, work) => void background.push(work),
  }
  const options: IssuerOptions = {
    name: 'corp',
    issuer: ISSUER,
    algorithms: ['RS256', 'ES256'],
    audiences: { agents: 'sluice-agents', people: 'sluice-people' },
    ...issuer,
  }
  const identity = createIdentity({ issuers: [options], ...more }, runtime)
  return {
    identity,
    runtime,
    fetched,
    logged,
    publish: (...next) => {
      published = next
    },
    answer: (path, response) => {
      if (response === undefined) answers.delete(path)
      else answers.set(path, response)
    },
    pass: (milliseconds) => {
      elapsed += milliseconds
    },
    settle: async () => {
      await Promise.all(background.splice(0))
    },
    identify: (token, plane = 'agents') => identity.identify(`Bearer ${token}`, plane, new AbortController().signal),
  }
}

/** The claims of an ordinary token. */
export function claims(more: Record<string, unknown> = {}): JWTPayload {
  const seconds = NOW / 1000
  return {
    iss: ISSUER,
    sub: 'agent-7',
    aud: 'sluice-agents',
    groups: ['analysts'],
    iat: seconds - 10,
    nbf: seconds - 10,
    exp: seconds + 600,
    ...more,
  }
}

/** Signs `payload`; `header` overrides the ordinary one. */
export function sign(key: SigningKey, payload: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
  const ordinary = { alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header }
  const said = Object.fromEntries(Object.entries(ordinary).filter(([, value]) => value !== undefined))
  return new SignJWT(payload).setProtectedHeader(said as JWTHeaderParameters).sign(key.private)
}

/** Signs exactly these texts with RS256 or ES256, whatever they say. */
export async function signRaw(key: SigningKey, header: string, payload: string): Promise<string> {
  const input = `${base64url(header)}.${base64url(payload)}`
  const algorithm = key.alg === 'RS256' ? { name: 'RSASSA-PKCS1-v1_5' } : { name: 'ECDSA', hash: 'SHA-256' }
  const signature = await crypto.subtle.sign(algorithm, key.private, new TextEncoder().encode(input))
  return `${input}.${Buffer.from(signature).toString('base64url')}`
}

export function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}

/** `code: message` of what a promise rejects with; fails when it resolves or when it is no Failure. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => new Error('it was accepted'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof Failure)) throw error
  return `${error.code}: ${error.message}`
}
