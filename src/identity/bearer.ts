/** The one way in: `Authorization: Bearer <token>`. */
import { Failure } from '../failure.ts'

/** Longest `Authorization` header, in characters (which are bytes: anything else is refused). */
const MAX_LENGTH = 8 * 1024

// RFC 9110: the scheme without regard to case, one space, one token68.
const BEARER = /^bearer ([A-Za-z0-9\-._~+/]+=*)$/i

/** The token of an `Authorization` header. Throws `credential-missing` or `credential-refused`. */
export function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined || authorization === '') {
    throw new Failure('credential-missing', 'the request has no `Authorization` header', {
      fix: 'send `Authorization: Bearer <token>`',
    })
  }
  if (authorization.length > MAX_LENGTH) {
    throw new Failure('credential-refused', `the \`Authorization\` header is longer than ${MAX_LENGTH} bytes`, {
      fix: 'ask the issuer for a token with fewer claims',
    })
  }
  const token = BEARER.exec(authorization)?.[1]
  if (token === undefined) throw notBearer(authorization)
  if (token.startsWith('ya29.')) {
    throw new Failure('credential-refused', 'this is a Google access token, which only Google can read', {
      fix: 'send a token of a configured issuer; the gateway itself holds the credentials for BigQuery',
    })
  }
  return token
}

function notBearer(authorization: string): Failure {
  const scheme = /^(basic|digest|negotiate|dpop|aws4-hmac-sha256) /i.exec(authorization)?.[1]
  if (scheme !== undefined) {
    return new Failure('credential-missing', `the \`${scheme.toLowerCase()}\` scheme is not accepted`, {
      fix: 'send `Authorization: Bearer <token>`',
    })
  }
  return new Failure('credential-refused', 'the `Authorization` header is not `Bearer`, one space and one token', {
    fix: 'send `Authorization: Bearer <token>`, once',
  })
}
