/** How the gateway proves itself to a REST upstream. Secrets are read when they are needed, and are in no error. */
import { base64 } from '../../bytes.ts'
import { orAbort, type Runtime } from '../../runtime.ts'
import { RestFailure } from './failure.ts'
import type { Header } from './headers.ts'
import type { CredentialOptions } from './options.ts'

/** What one request carries as proof. */
export interface Proof {
  readonly header?: Header
  /** Name and value, not encoded. */
  readonly parameter?: readonly [name: string, value: string]
  /** Texts that no header of an answer may hold. */
  readonly secrets: readonly string[]
}

export interface Credential {
  /** Lower-case name of the header that it sets. */
  readonly header?: string
  /** Name of the query parameter that it adds. */
  readonly parameter?: string
  /** Rejects with `upstream-refused` where the proof cannot be had. */
  prove(signal: AbortSignal): Promise<Proof>
  /** The upstream answered 401 to `proof`. */
  refused(proof: Proof): void
}

/** Longest that a secret which was read is kept, in milliseconds: files are rotated. */
const SECRET_MS = 30_000
/** Longest that the issuer of tokens may take, in milliseconds. */
const TOKEN_MS = 10_000
/** Most bytes of its answer. */
const TOKEN_BYTES = 65_536
/** A token that says nothing lasts so long, in seconds; RFC 6749 leaves it open. */
const TOKEN_SECONDS = 300
/** A token is renewed so long before it ends, at most, in milliseconds. */
const RENEW_MS = 60_000
/** A token younger than this is not thrown away for a 401, and a failure to get one stands so long, in milliseconds. */
const PATIENCE_MS = 1_000
const YOUNG_MS = 10_000

/** The credential of a connection. Nothing is read before it is first needed. */
export function createCredential(options: CredentialOptions, runtime: Runtime): Credential {
  switch (options.type) {
    case 'none':
      return { prove: async () => ({ secrets: [] }), refused: () => {} }
    case 'bearer':
      return fixed('authorization', options.token, runtime, (token) => ({
        header: ['authorization', `Bearer ${token}`],
        secrets: [token],
      }))
    case 'basic':
      return fixed('authorization', options.password, runtime, (password) => {
        const pair = base64Of(`${options.username}:${password}`)
        return { header: ['authorization', `Basic ${pair}`], secrets: [password, pair] }
      })
    case 'header':
      return fixed(options.name.toLowerCase(), options.key, runtime, (key) => ({
        header: [options.name.toLowerCase(), key],
        secrets: [key],
      }))
    case 'query': {
      const { header: _, ...kept } = fixed('', options.key, runtime, (key) => ({
        parameter: [options.name, key],
        secrets: [key, encodeURIComponent(key)],
      }))
      return { ...kept, parameter: options.name }
    }
    case 'oauth':
      return oauth(options, runtime)
  }
}

/** A proof made of one secret. */
function fixed(header: string, reference: string, runtime: Runtime, proofOf: (secret: string) => Proof): Credential {
  let kept: { readonly proof: Promise<Proof>; readonly since: number } | undefined
  return {
    header,
    async prove(signal) {
      const now = runtime.clock.monotonic()
      if (kept === undefined || now - kept.since > SECRET_MS) {
        kept = { proof: readSecret(reference, runtime).then(proofOf), since: now }
      }
      const { proof } = kept
      try {
        return await orAbort(proof, signal)
      } catch (error) {
        if (!signal.aborted && kept?.proof === proof) kept = undefined
        throw error
      }
    },
    refused: () => {
      kept = undefined
    },
  }
}

/** Rejects with `upstream-refused`; what the secret is read from, the operational log has in the cause. */
async function readSecret(reference: string, runtime: Runtime): Promise<string> {
  let secret: string
  try {
    secret = await runtime.secrets.read(reference)
  } catch (cause) {
    throw unavailable(cause)
  }
  // A header cannot carry it, and part of it would be what a header ends with.
  if (!/^[\u0020-\u007e]+$/.test(secret) || secret !== secret.trim()) {
    throw unavailable(new Error('a secret is not one line of plain ASCII'))
  }
  return secret
}

function unavailable(cause: unknown): RestFailure {
  return new RestFailure('upstream-refused', 'the credential for the upstream cannot be had', true, {
    cause,
    fix: 'tell the operator; nothing was sent',
  })
}

interface Token {
  readonly proof: Proof
  readonly since: number
  readonly renewAt: number
  readonly endsAt: number
}

/** OAuth 2 client credentials (RFC 6749, 4.4): one token for all, asked for once at a time. */
function oauth(options: Extract<CredentialOptions, { type: 'oauth' }>, runtime: Runtime): Credential {
  const now = (): number => runtime.clock.monotonic()
  let token: Token | undefined
  let asking: Promise<Token> | undefined
  let failed: { readonly error: unknown; readonly until: number } | undefined

  const renew = async (): Promise<Token> => {
    try {
      token = await askToken(options, runtime)
      failed = undefined
      return token
    } catch (error) {
      failed = { error, until: now() + PATIENCE_MS }
      // An old token that still stands is better than none.
      if (token !== undefined && now() < token.endsAt) return token
      throw error
    } finally {
      asking = undefined
    }
  }

  return {
    header: 'authorization',
    async prove(signal) {
      if (token !== undefined && now() < token.renewAt) return token.proof
      if (failed !== undefined && now() < failed.until) {
        if (token !== undefined && now() < token.endsAt) return token.proof
        throw failed.error
      }
      asking ??= renew()
      return (await orAbort(asking, signal)).proof
    },
    refused(proof) {
      // A fresh token that is refused as well would be refused again: asking anew for each request helps nobody.
      if (token?.proof === proof && now() - token.since > YOUNG_MS) token = undefined
    },
  }
}

async function askToken(options: Extract<CredentialOptions, { type: 'oauth' }>, runtime: Runtime): Promise<Token> {
  const secret = await readSecret(options.clientSecret, runtime)
  const asked = runtime.clock.monotonic()
  let answer: unknown
  try {
    answer = await postForm(options, secret, runtime)
  } catch (error) {
    // Neither the words of the issuer nor those of the client library: both may quote the request.
    throw unavailable(new Error(`the token endpoint failed (${error instanceof Error ? error.name : 'unknown'})`))
  }
  const { access_token: text, token_type: type, expires_in: seconds } = answer as Record<string, unknown>
  if (typeof text !== 'string' || !/^[\u0021-\u007e]{1,16384}$/.test(text)) throw unavailable(new Error('no token'))
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') throw unavailable(new Error('no bearer token'))
  const lasts = (typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, 86_400) : TOKEN_SECONDS) * 1_000
  return {
    proof: { header: ['authorization', `Bearer ${text}`], secrets: [text] },
    since: runtime.clock.monotonic(),
    renewAt: asked + lasts - Math.min(RENEW_MS, lasts / 5),
    endsAt: asked + lasts,
  }
}

async function postForm(
  options: Extract<CredentialOptions, { type: 'oauth' }>,
  secret: string,
  runtime: Runtime,
): Promise<object> {
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(options.scope === undefined ? {} : { scope: options.scope }),
    ...(options.audience === undefined ? {} : { audience: options.audience }),
  })
  const pair = base64Of(`${formEncoded(options.clientId)}:${formEncoded(secret)}`)
  const response = await runtime.fetch(options.tokenUrl, {
    method: 'POST',
    headers: {
      authorization: `Basic ${pair}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    },
    body: body.toString(),
    redirect: 'error',
    signal: AbortSignal.timeout(TOKEN_MS),
  })
  const text = await boundedText(response)
  if (response.status !== 200) throw new Error('refused')
  const answer: unknown = JSON.parse(text)
  if (typeof answer !== 'object' || answer === null) throw new Error('no object')
  return answer
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > TOKEN_BYTES) throw new Error('too long')
  }
  return text + decoder.decode()
}

/** As RFC 6749, 2.3.1 wants a client's name and secret. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

function base64Of(text: string): string {
  return base64(new TextEncoder().encode(text))
}
