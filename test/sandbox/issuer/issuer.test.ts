/** The issuer, as its own process: what a real OpenID client sees of it, and that tokens of it are proven. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { base64url, createRemoteJWKSet, decodeProtectedHeader, jwtVerify, type JWTPayload } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IDENTITIES } from '../../../sandbox/issuer/identities.ts'
import { startPart, type Part } from '../../../sandbox/parts.ts'

interface Discovery {
  readonly issuer: string
  readonly jwks_uri: string
  readonly token_endpoint: string
  readonly authorization_endpoint: string
  readonly code_challenge_methods_supported: string[]
}

let issuer: Part
let data: string
let discovery: Discovery

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'sluice-issuer-'))
  issuer = await startPart('issuer', { port: 0, data })
  const response = await fetch(`${issuer.url}/.well-known/openid-configuration`)
  discovery = (await response.json()) as Discovery
})
afterAll(async () => {
  await issuer.stop()
  rmSync(data, { recursive: true })
})

/** Proves a token as a gateway would and gives its claims without times and ids, beside its algorithm. */
async function proven(token: string): Promise<{ alg: string | undefined; claims: JWTPayload }> {
  const keys = createRemoteJWKSet(new URL(discovery.jwks_uri))
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer: issuer.url,
    algorithms: ['RS256', 'ES256'],
    typ: 'at+jwt',
    requiredClaims: ['exp', 'iat', 'jti'],
  })
  const { exp, iat, jti: _jti, iss: _iss, ...claims } = payload
  expect((exp ?? 0) - (iat ?? 0)).toBe(3600)
  return { alg: protectedHeader.alg, claims }
}

async function devToken(name: string): Promise<string> {
  const response = await fetch(`${issuer.url}/dev/token/${name}`)
  return ((await response.json()) as { access_token: string }).access_token
}

const WRITER = {
  sub: 'writer',
  aud: 'sluice-agents',
  client_id: 'writer',
  kind: 'agent',
  groups: ['writer-agents'],
  on_behalf_of: { sub: 'wendy' },
}
const OWNER = {
  sub: 'owner',
  aud: 'sluice-people',
  client_id: 'sluice-console',
  kind: 'person',
  groups: ['data-owners'],
}

test('it says who it is and publishes public keys only', async () => {
  expect(discovery).toMatchObject({
    issuer: issuer.url,
    jwks_uri: `${issuer.url}/jwks`,
    token_endpoint: `${issuer.url}/token`,
    code_challenge_methods_supported: ['S256'],
  })
  const { keys } = (await (await fetch(discovery.jwks_uri)).json()) as { keys: Record<string, string>[] }
  expect(keys.map((key) => [key['kty'], key['alg'], key['use'], 'd' in key])).toEqual([
    ['RSA', 'RS256', 'sig', false],
    ['EC', 'ES256', 'sig', false],
  ])
})

describe('agents', () => {
  const credentials = (name: string, secret: string, more: Record<string, string> = {}) =>
    fetch(discovery.token_endpoint, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${name}:${secret}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...more }),
    })

  test('get a token by client credentials, with the person for whom they act', async () => {
    const response = await credentials('writer', 'writer-sandbox-secret')
    const body = (await response.json()) as { access_token: string; token_type: string; expires_in: number }
    expect([body.token_type, body.expires_in]).toEqual(['Bearer', 3600])
    expect(await proven(body.access_token)).toEqual({ alg: 'RS256', claims: WRITER })
  })

  test('do not with a wrong secret, nor for the people’s plane', async () => {
    const wrong = await credentials('writer', 'agent-sandbox-secret')
    expect([wrong.status, await wrong.json()]).toEqual([
      401,
      { error: 'invalid_client', error_description: 'client authentication failed' },
    ])
    const people = await credentials('writer', 'writer-sandbox-secret', { resource: 'urn:sluice-people' })
    expect([people.status, await people.json()]).toEqual([
      400,
      { error: 'invalid_target', error_description: 'the client may not have tokens for this resource' },
    ])
  })
})

describe('people', () => {
  const verifier = 'v'.repeat(43)
  const redirect = 'http://127.0.0.1:45678/console/callback'

  async function challenge(): Promise<string> {
    return base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))))
  }

  /** A browser, as far as a login needs one: it keeps cookies and follows redirects on the issuer. */
  async function logIn(
    person: string,
    changed: Record<string, string> = {},
    cookies = new Map<string, string>(),
  ): Promise<URL> {
    const visit = async (url: string, init: RequestInit = {}): Promise<Response> => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(url, { ...init, redirect: 'manual', headers: { cookie } })
      for (const set of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
        cookies.set(name, value)
      }
      return response
    }
    const asked = new URL(discovery.authorization_endpoint)
    asked.search = new URLSearchParams({
      client_id: 'sluice-console',
      response_type: 'code',
      scope: 'openid',
      redirect_uri: redirect,
      state: 'state-1',
      code_challenge: await challenge(),
      code_challenge_method: 'S256',
      ...changed,
    }).toString()
    const begun = await visit(asked.href)
    const loginPage = new URL(begun.headers.get('location') ?? 'about:blank', issuer.url)
    if (!loginPage.pathname.startsWith('/login/')) return loginPage
    const page = await visit(loginPage.href)
    expect([...(await page.text()).matchAll(/value="([^"]+)"/g)].map(([, name]) => name)).toEqual(
      IDENTITIES.filter(({ kind }) => kind === 'person').map(({ name }) => name),
    )
    const chosen = await visit(loginPage.href, { method: 'POST', body: new URLSearchParams({ person }) })
    if (chosen.status !== 303) throw new Error(`the login answered ${chosen.status}`)
    let next = chosen
    for (let step = 0; step < 5; step++) {
      const to = new URL(next.headers.get('location') ?? 'about:blank', issuer.url)
      if (next.status === 303 && to.origin !== issuer.url) return to
      next = next.status === 303 ? await visit(to.href) : await submitForm(await next.text(), visit)
    }
    throw new Error('the login does not end')
  }

  /** Who logs in as somebody else is first logged out, by a form that submits itself. */
  function submitForm(html: string, visit: (url: string, init: RequestInit) => Promise<Response>): Promise<Response> {
    const [, action = ''] = /<form [^>]*action="([^"]+)"/.exec(html) ?? []
    const fields = [...html.matchAll(/<input [^>]*name="([^"]+)" value="([^"]*)"/g)].map(
      ([, name = '', value = '']) => [name, value],
    )
    return visit(action, { method: 'POST', body: new URLSearchParams(fields) })
  }

  const exchange = (code: string, code_verifier: string) =>
    fetch(discovery.token_endpoint, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: 'sluice-console',
        redirect_uri: redirect,
        code,
        code_verifier,
      }),
    })

  test('log in with authorization code and PKCE, on any loopback port', async () => {
    const back = await logIn('owner')
    expect([back.origin + back.pathname, back.searchParams.get('state'), back.searchParams.get('iss')]).toEqual([
      redirect,
      'state-1',
      issuer.url,
    ])
    const code = back.searchParams.get('code') ?? ''
    const body = (await (await exchange(code, verifier)).json()) as { access_token: string; id_token: string }
    expect(await proven(body.access_token)).toEqual({ alg: 'ES256', claims: OWNER })
    expect(decodeProtectedHeader(body.id_token).alg).toBe('RS256')
    expect(((await (await exchange(code, verifier)).json()) as { error: string }).error).toBe('invalid_grant')
  })

  test('may be somebody else the next time, in the same browser', async () => {
    const cookies = new Map<string, string>()
    for (const person of ['owner', 'owner2', 'auditor', 'owner']) {
      const code = (await logIn(person, {}, cookies)).searchParams.get('code') ?? ''
      const body = (await (await exchange(code, verifier)).json()) as { access_token: string }
      expect((await proven(body.access_token)).claims.sub).toBe(person)
    }
  })

  test('get nothing with another verifier', async () => {
    const code = (await logIn('owner')).searchParams.get('code') ?? ''
    expect(((await (await exchange(code, 'w'.repeat(43))).json()) as { error: string }).error).toBe('invalid_grant')
  })

  test('are not sent anywhere else, nor without PKCE', async () => {
    expect((await logIn('owner', { redirect_uri: 'https://evil.example.com/console/callback' })).href).toBe(
      'about:blank',
    )
    expect((await logIn('owner', { redirect_uri: 'http://127.0.0.1:45678/other' })).href).toBe('about:blank')
    const back = await logIn('owner', { code_challenge: '', code_challenge_method: '' })
    expect(back.searchParams.get('error')).toBe('invalid_request')
  })

  test('are people: an agent does not log in', async () => {
    await expect(logIn('agent')).rejects.toThrow('the login answered 400')
  })
})

describe('tokens for a terminal', () => {
  test('are as real as the others, for everybody', async () => {
    for (const { name, kind, groups, actsFor } of IDENTITIES) {
      const { alg, claims } = await proven(await devToken(name))
      expect({ alg, claims }).toEqual({
        alg: kind === 'person' ? 'ES256' : 'RS256',
        claims: {
          sub: name,
          aud: kind === 'person' ? 'sluice-people' : 'sluice-agents',
          client_id: kind === 'person' ? 'sluice-console' : name,
          kind,
          groups,
          ...(actsFor === undefined ? {} : { on_behalf_of: { sub: actsFor } }),
        },
      })
    }
  })

  test('are asked for by POST too', async () => {
    const ask = (body: string) => fetch(`${issuer.url}/dev/token`, { method: 'POST', body })
    const { access_token: token } = (await (await ask('{"identity":"owner"}')).json()) as { access_token: string }
    expect(await proven(token)).toEqual({ alg: 'ES256', claims: OWNER })
    expect((await ask('{"identity":"root"}')).status).toBe(404)
    expect((await ask('{"identity":')).status).toBe(400)
  })

  test('are not given to a page that points its own name here', async () => {
    const { request } = await import('node:http')
    const status = await new Promise((resolve, reject) => {
      const asked = request(`${issuer.url}/dev/token/owner`, { headers: { host: 'evil.example.com' } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      asked.on('error', reject).end()
    })
    expect(status).toBe(421)
  })

  test('outlive a restart', async () => {
    const token = await devToken('agent')
    const port = Number(new URL(issuer.url).port)
    await issuer.stop('SIGKILL')
    issuer = await startPart('issuer', { port, data })
    expect((await proven(token)).claims.sub).toBe('agent')
  })
})

describe('npm run -s token', () => {
  const run = (args: string[], url: string): Promise<{ code: number | null; out: string; err: string }> => {
    const script = join(import.meta.dirname, '../../../sandbox/token.ts')
    const child = spawn(process.execPath, [script, ...args], { env: { ...process.env, SLUICE_SANDBOX_ISSUER: url } })
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
  }

  test('prints the token and nothing else', async () => {
    const { code, out, err } = await run(['writer'], issuer.url)
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    expect((await proven(out.trim())).claims).toEqual(WRITER)
  })

  test('without a name, or with one that nobody has, lists who exists', async () => {
    for (const [args, problem] of [
      [[], 'say whose token: '],
      [['root'], 'no identity `root`: '],
    ] as const) {
      const { code, out, err } = await run([...args], issuer.url)
      expect([code, out]).toEqual([2, ''])
      expect(err.startsWith(`${problem}npm run -s token -- <identity>\n`)).toBe(true)
      for (const { name, description } of IDENTITIES)
        expect(err).toMatch(new RegExp(`^ +${name} .*${description}$`, 'm'))
    }
  })

  test('says to start the sandbox when it does not run', async () => {
    expect(await run(['agent'], 'http://127.0.0.1:1')).toEqual({
      code: 1,
      out: '',
      err: 'the issuer at http://127.0.0.1:1 does not answer; start the sandbox first: npm start\n',
    })
  })
})
