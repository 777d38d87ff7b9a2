/** Encrypts for auditors what the gateway itself must not be able to read again: JWE (RFC 7516), one recipient per key. */
import {
  calculateJwkThumbprint,
  exportJWK,
  generalDecrypt,
  GeneralEncrypt,
  generateKeyPair,
  type GeneralJWE,
  type JWK,
} from 'jose'
import type { PayloadLog } from '../contract.ts'

/** A public key with its name and how the content's key is wrapped for it. */
interface Recipient {
  readonly key: JWK
  readonly kid: string
  readonly alg: string
}

const CURVES: ReadonlySet<string> = new Set(['P-256', 'P-384', 'P-521', 'X25519'])

/** Bits that an RSA key has at least, in base64url characters of its modulus. */
const RSA_LEAST = 341

/** Members of a JWK that only whoever can read has. */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/**
 * Seals to all of these keys: parsed JWKs or JWK sets, public halves alone. Rejects in words for the operator where one is no
 * public key to which can be encrypted, or is a private one: who holds that can read, and the gateway must not.
 */
export async function sealerOf(keys: readonly unknown[]): Promise<NonNullable<PayloadLog['seal']>> {
  const recipients = await Promise.all(keys.flatMap(keysIn).map(recipientOf))
  if (recipients.length === 0) throw new Error('`audit.bodies.sealTo` names no key')
  const seal = async (plaintext: Uint8Array, exchange: string): Promise<Uint8Array> => {
    const jwe = new GeneralEncrypt(plaintext)
      .setProtectedHeader({ enc: 'A256GCM', cty: 'json' })
      .setAdditionalAuthenticatedData(encoder.encode(exchange))
    for (const { key, kid, alg } of recipients) jwe.addRecipient(key).setUnprotectedHeader({ alg, kid })
    return encoder.encode(`${JSON.stringify(await jwe.encrypt())}\n`)
  }
  // A key that cannot be encrypted to shows at the start, not in the middle of an answer.
  await seal(new Uint8Array(), '')
  return seal
}

/** A key pair to which can be sealed, as JWKs. */
export async function newAuditorKey(): Promise<{ readonly publicKey: JWK; readonly privateKey: JWK }> {
  const pair = await generateKeyPair('ECDH-ES+A256KW', { crv: 'P-256', extractable: true })
  const shown = await exportJWK(pair.publicKey)
  const about = { kid: await calculateJwkThumbprint(shown), use: 'enc' }
  return { publicKey: { ...shown, ...about }, privateKey: { ...(await exportJWK(pair.privateKey)), ...about } }
}

/** An original of a masked value. */
export interface Unsealed {
  readonly exchange: string
  readonly where: string
  readonly value: string
  /** It was longer. */
  readonly cut?: true
}

/** The originals in one line that `seal` gave. Rejects where the private key is none of its recipients', or it was changed. */
export async function unsealed(line: string, key: JWK): Promise<readonly Unsealed[]> {
  const jwe = JSON.parse(line) as GeneralJWE
  const { plaintext, additionalAuthenticatedData } = await generalDecrypt(jwe, key)
  const exchange = decoder.decode(additionalAuthenticatedData)
  const opened = JSON.parse(decoder.decode(plaintext)) as {
    readonly exchange: string
    readonly originals: readonly Omit<Unsealed, 'exchange'>[]
  }
  if (opened.exchange !== exchange) throw new Error('the originals are of another exchange than the seal says')
  return opened.originals.map((original) => ({ exchange, ...original }))
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function keysIn(parsed: unknown): readonly JWK[] {
  if (typeof parsed !== 'object' || parsed === null) throw new Error('a key of an auditor is a JWK or a JWK set')
  const keys: unknown = 'keys' in parsed ? parsed.keys : [parsed]
  if (!Array.isArray(keys)) throw new Error('a JWK set has a list of `keys`')
  return keys as readonly JWK[]
}

async function recipientOf(key: JWK): Promise<Recipient> {
  if (typeof key !== 'object' || key === null) throw new Error('a key of an auditor is a JWK')
  const secret = PRIVATE.find((member) => Object.hasOwn(key, member))
  if (secret !== undefined) {
    throw new Error(`a key of an auditor holds its private half (\`${secret}\`); give the gateway the public one alone`)
  }
  if (key.use !== undefined && key.use !== 'enc') throw new Error('a key of an auditor is not for encryption')
  return { key, kid: key.kid ?? (await calculateJwkThumbprint(key)), alg: algOf(key) }
}

function algOf({ kty, crv, n }: JWK): string {
  if ((kty === 'EC' || kty === 'OKP') && crv !== undefined && CURVES.has(crv)) return 'ECDH-ES+A256KW'
  if (kty === 'RSA' && (n?.length ?? 0) >= RSA_LEAST) return 'RSA-OAEP-256'
  throw new Error('a key of an auditor is EC (P-256, P-384, P-521), X25519, or RSA of at least 2048 bits')
}
