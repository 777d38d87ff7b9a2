/**
 * The sandbox's identity provider: OpenID discovery, keys, client credentials, authorization code with PKCE, and
 *
 *   GET  /dev/identities            who exists
 *   GET  /dev/token/owner           a token for anybody: { access_token, token_type, expires_in }
 *   POST /dev/token                 the same for {"identity": "owner"}
 *
 * `node sandbox/issuer/main.ts --port 9052 --data DIR`
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Provider } from 'oidc-provider'
import { listen, partOptions, ready } from '../part.ts'
import { readBody, send } from './http.ts'
import { audienceOf, IDENTITIES, identityNamed } from './identities.ts'
import { keptKeys } from './keys.ts'
import { login } from './login.ts'
import { createProvider, mintToken, TOKEN_SECONDS } from './provider.ts'

const options = partOptions()
const keys = await keptKeys(options.data)

// The issuer's URL is where it listens, which is known once it listens; nobody is told before it is ready.
let serve = (_request: IncomingMessage, response: ServerResponse): void => send(response, 503, { error: 'starting' })
const { server, url } = await listen((request, response) => serve(request, response), options.port)
const provider = createProvider(url, keys)
provider.on('server_error', (_context, error) => console.error('issuer:', error))
const oidc = provider.callback()

serve = (request, response) => {
  route(provider, request, response).catch((error: unknown) => {
    console.error('issuer:', error)
    if (!response.headersSent) send(response, 400, { error: 'bad_request' })
    else response.destroy()
  })
}

async function route(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, host } = new URL(request.url ?? '/', `http://${request.headers.host ?? 'nowhere'}`)
  // A web page that points its own name at 127.0.0.1 would otherwise be handed tokens.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)) return send(response, 421, { error: 'misdirected_request' })
  if (pathname.startsWith('/login/')) return login(provider, request, response)
  if (pathname === '/dev/identities') return send(response, 200, listed())
  if (pathname === '/dev/token' && request.method === 'POST') {
    const body: unknown = JSON.parse(await readBody(request))
    const name = typeof body === 'object' && body !== null && 'identity' in body ? String(body.identity) : ''
    return sendToken(provider, name, response)
  }
  const [, name] = /^\/dev\/token\/([a-z0-9-]+)$/.exec(pathname) ?? []
  if (name !== undefined) return sendToken(provider, name, response)
  await oidc(request, response)
}

async function sendToken(provider: Provider, name: string, response: ServerResponse): Promise<void> {
  const identity = identityNamed(name)
  if (identity === undefined) return send(response, 404, { error: 'unknown_identity', identities: listed() })
  const token = await mintToken(provider, identity)
  send(response, 200, { access_token: token, token_type: 'Bearer', expires_in: TOKEN_SECONDS })
}

function listed(): unknown {
  return IDENTITIES.map((identity) => ({ ...identity, audience: audienceOf(identity) }))
}

ready('issuer', url, () => {
  server.close()
  server.closeAllConnections()
})
