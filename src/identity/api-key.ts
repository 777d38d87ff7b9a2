/** API keys for services: `sluice_<id>_<secret>`, kept as a hash, revocable. */
import { sha256Hex } from '../digest.ts'
import type { Principal } from '../exchange.ts'
import { Failure } from '../failure.ts'
import { equalInConstantTime } from './constant-time.ts'

/** An API key as it is kept. The key itself is shown once, when it is made, and is nowhere after that. */
export interface ApiKey {
  /** Lower-case letters and digits, at most 32. */
  readonly id: string
  /** SHA-256 of the secret part, 64 hex digits. A fast hash is right: the secret is 32 random bytes. */
  readonly hash: string
  readonly subject: string
  readonly groups: readonly string[]
  /** Keys are for services; people prove themselves to an issuer. */
  readonly plane: 'agents'
  /** Milliseconds since 1970 UTC. */
  readonly expires?: number
  readonly revoked?: boolean
}

/** What every API key starts with, so that a leaked one is found by scanners. */
export const API_KEY_PREFIX = 'sluice_'

const FORM = /^sluice_([a-z0-9]{1,32})_([A-Za-z0-9_-]{43})$/

// What an unknown id is compared with, so that it takes as long as a known one. Nothing hashes to it that we know of.
const NOBODY = '0'.repeat(64)

/** A fresh key and what to keep of it: `key` is for its holder, `id` and `hash` for the configuration. */
export async function newApiKey(): Promise<{ key: string; id: string; hash: string }> {
  const id = [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => (byte % 36).toString(36)).join('')
  const bytes = crypto.getRandomValues(new Uint8Array(32))
  const secret = btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
  return { key: `${API_KEY_PREFIX}${id}_${secret}`, id, hash: await sha256Hex(secret) }
}

/** Throws an Error that names the key's place and what was expected. */
export function checkApiKeys(keys: readonly ApiKey[]): void {
  const ids = new Set<string>()
  for (const [index, key] of keys.entries()) {
    const where = `apiKeys[${index}]`
    if (!/^[a-z0-9]{1,32}$/.test(key.id)) throw new Error(`${where}.id: expected at most 32 letters a-z and digits`)
    if (ids.has(key.id)) throw new Error(`${where}.id: \`${key.id}\` is taken`)
    if (!/^[0-9a-f]{64}$/.test(key.hash)) throw new Error(`${where}.hash: expected 64 lower-case hex digits`)
    if (key.subject === '') throw new Error(`${where}.subject: expected a name`)
    if (key.plane !== 'agents') throw new Error(`${where}.plane: API keys are for \`agents\` only`)
    ids.add(key.id)
  }
}

/** The service behind an API key. Rejects with `credential-refused`; why it is refused is told to its true holder only. */
export async function identifyApiKey(key: string, keys: ReadonlyMap<string, ApiKey>, now: number): Promise<Principal> {
  const [, id, secret] = FORM.exec(key) ?? []
  if (id === undefined || secret === undefined) throw new Failure('credential-refused', 'the API key is malformed')
  const kept = keys.get(id)
  const matches = equalInConstantTime(await sha256Hex(secret), kept?.hash ?? NOBODY)
  if (kept === undefined || !matches) throw new Failure('credential-refused', 'the API key is not known')
  if (kept.revoked === true) throw new Failure('credential-refused', 'the API key is revoked')
  if (kept.expires !== undefined && now >= kept.expires) {
    throw new Failure('credential-refused', 'the API key has expired')
  }
  return { issuer: 'keys', subject: kept.subject, kind: 'service', plane: 'agents', groups: [...kept.groups] }
}
