/** Proof of a token: whose it is, by what key and algorithm, and whether now is its time. */
import { base64url, errors, jwtVerify, type CryptoKey, type JWSHeaderParameters } from 'jose'
import { Failure } from '../failure.ts'
import { hasDuplicateNames } from './json.ts'
import type { IssuerOptions } from './options.ts'

type Json = Readonly<Record<string, unknown>>

/** A token taken apart. Nothing in it is proven. */
export interface UnprovenToken {
  readonly header: JWSHeaderParameters
  readonly claims: Json
}

const DEFAULT_TYPES = ['at+jwt', 'JWT']
const DEFAULT_TOLERANCE_SECONDS = 30

/** Takes a compact JWS apart. Throws `credential-refused`. */
export function parseToken(token: string): UnprovenToken {
  const parts = token.split('.')
  if (parts.length === 5) throw refused('the token is encrypted', 'ask for a signed token')
  const [header, claims, signature] = parts
  if (parts.length !== 3 || header === undefined || claims === undefined || signature === undefined) {
    throw refused('the token is not a JWT', 'send a JWT of a configured issuer or an API key')
  }
  // The last character has bits that mean nothing: one token, one spelling.
  if (!parts.every(isCanonical)) throw refused('the token is not base64url as it must be written')
  return { header: parsePart(header, 'header'), claims: parsePart(claims, 'claims') }
}

function isCanonical(part: string): boolean {
  try {
    return base64url.encode(base64url.decode(part)) === part
  } catch {
    return false
  }
}

function parsePart(part: string, what: string): Json {
  let json: string
  let value: unknown
  try {
    json = new TextDecoder('utf-8', { fatal: true }).decode(base64url.decode(part))
    value = JSON.parse(json)
  } catch {
    // Not as a cause: the parser's message quotes the text.
    throw refused(`the ${what} of the token cannot be read`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refused(`the ${what} of the token cannot be read`)
  }
  if (hasDuplicateNames(json)) throw refused(`the ${what} of the token says something twice`)
  return value as Json
}

/** Checks what can be said of a header before any key is looked for. Throws `credential-refused`. */
export function checkHeader(header: JWSHeaderParameters, issuer: IssuerOptions): void {
  const { alg, typ, kid } = header
  if (!issuer.algorithms.some((algorithm) => algorithm === alg)) {
    throw refused(
      `the algorithm of the token is not one that issuer \`${issuer.name}\` may use`,
      `allowed are ${issuer.algorithms.join(', ')}`,
    )
  }
  if (header.crit !== undefined) throw refused('the token demands an extension (`crit`), and none is understood')
  if (kid !== undefined && typeof kid !== 'string') throw refused('the `kid` of the token is not a text')
  const types = issuer.types ?? DEFAULT_TYPES
  if (!types.some((type) => plainType(type) === plainType(typ ?? ''))) {
    throw refused('the type (`typ`) of the token is not accepted', `accepted are ${types.join(', ')}`)
  }
}

/** RFC 7515 section 4.1.9: no regard to case; `application/` may be left out. */
function plainType(type: unknown): string | undefined {
  return typeof type === 'string' ? type.toLowerCase().replace(/^application\//, '') : undefined
}

/**
 * The token's claims, proven under one of the keys at `now` (milliseconds since 1970), and until when they hold, with
 * the tolerance. Rejects with `credential-refused`.
 */
export async function proveToken(
  token: string,
  keys: readonly CryptoKey[],
  issuer: IssuerOptions,
  now: number,
): Promise<{ claims: Json; until: number }> {
  const tolerance = issuer.clockToleranceSeconds ?? DEFAULT_TOLERANCE_SECONDS
  const claims = await verifyUnderOne(token, keys, {
    algorithms: [...issuer.algorithms],
    issuer: issuer.issuer,
    requiredClaims: ['exp', 'aud'],
    clockTolerance: tolerance,
    currentDate: new Date(now),
  })
  const { exp, iat } = claims
  // JSON can write 1e999, which is a number and never comes.
  if (typeof exp !== 'number' || !Number.isSafeInteger(Math.trunc(exp)))
    throw refused('the `exp` of the token is no time')
  if (iat !== undefined && (typeof iat !== 'number' || iat > now / 1000 + tolerance)) {
    throw refused('the token was issued in the future', 'compare the clocks of issuer and gateway')
  }
  return { claims, until: (exp + tolerance) * 1000 }
}

async function verifyUnderOne(
  token: string,
  keys: readonly CryptoKey[],
  options: Parameters<typeof jwtVerify>[2],
): Promise<Json> {
  let last: unknown
  for (const key of keys) {
    try {
      return (await jwtVerify(token, key, options)).payload
    } catch (error) {
      last = error
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break
    }
  }
  throw explain(last)
}

/** In our words, without the error itself: jose's errors carry the claims. */
function explain(error: unknown): Failure {
  if (error instanceof errors.JWTExpired) return refused('the token has expired', 'fetch a fresh token')
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused('the signature of the token is not valid')
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return refused(`the token has no \`${error.claim}\``)
    if (error.claim === 'nbf') return refused('the token is not valid yet', 'compare the clocks of issuer and gateway')
    return refused(`the \`${error.claim}\` of the token is not acceptable`)
  }
  return refused('the token is not acceptable')
}

function refused(message: string, fix?: string): Failure {
  return new Failure('credential-refused', message, fix === undefined ? {} : { fix })
}
