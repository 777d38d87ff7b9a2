/** `ANY /proxy/{connection}/{path}`: an HTTP API behind the gateway; and the same under a host name of its own. */
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { Failure } from '../src/failure.ts'
import type { Gateway, HttpQuestion, Incoming } from '../src/gateway.ts'
import type { Runtime } from '../src/runtime.ts'
import { outcomeAnswer } from './answer.ts'
import { knocked } from './knock.ts'
import { preferredWait, readIdempotencyKey } from './read.ts'

export interface ProxyRoutes {
  readonly runtime: Runtime
  readonly gateway: Gateway
  readonly maxWaitSeconds: number
  /** Connections by the host names under which they are asked for. */
  readonly hosts: ReadonlyMap<string, string>
}

/** Most characters of the words that say why. */
const PURPOSE_MOST = 1_000

/** The answer to a request for an API, or nothing where it is for the gateway itself. */
export type Proxy = (c: Context) => Promise<Response> | undefined

export function mountProxy(app: OpenAPIHono, { runtime, gateway, maxWaitSeconds, hosts }: ProxyRoutes): void {
  const proxied = (connection: string, target: string): ((c: Context) => Promise<Response>) =>
    knocked(runtime, 'proxy', async (c, knock) => {
      const outcome = await gateway.handle(knock, async () => {
        const raw = rawOf(c)
        mustNotUpgrade(raw.headers)
        return questionOf(connection, target, c, raw, maxWaitSeconds)
      })
      return outcomeAnswer(outcome, 'json')
    })

  app.use(async (c, next) => {
    const raw = rawOf(c)
    const connection = hosts.size === 0 ? undefined : hosts.get(hostOf(raw.headers))
    // Under its own name nothing but the API is to be had.
    if (connection !== undefined) return proxied(connection, raw.target)(c)
    const place = placeOf(raw.target)
    return place === undefined ? next() : proxied(place.connection, place.target)(c)
  })
}

/** The request as it was sent: what a URL makes of a target is another one already. */
interface Raw {
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

function rawOf(c: Context): Raw {
  const { incoming } = (c.env ?? {}) as { incoming?: { url?: string; rawHeaders?: readonly string[] } }
  if (incoming?.url !== undefined && incoming.rawHeaders !== undefined) {
    const { url, rawHeaders } = incoming
    const headers = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? ''] as const] : []))
    return { target: url, headers }
  }
  // Where nothing is known of the bytes, the runtime has read the target strictly, and what it made of it is what is sent.
  const { pathname, search } = new URL(c.req.raw.url)
  return { target: pathname + search, headers: [...c.req.raw.headers] }
}

function hostOf(headers: Raw['headers']): string {
  const hosts = headers.filter(([name]) => name.toLowerCase() === 'host')
  return hosts.length === 1 ? (hosts[0]?.[1] ?? '').toLowerCase() : ''
}

/** `/proxy/crm/customers/42?x=y` → crm, `/customers/42?x=y`. */
function placeOf(target: string): { readonly connection: string; readonly target: string } | undefined {
  const match = /^\/proxy\/([^/?]*)([^]*)$/.exec(target)
  if (match === null) return undefined
  const [, connection = '', rest = ''] = match
  return { connection, target: rest.startsWith('/') ? rest : `/${rest}` }
}

function mustNotUpgrade(headers: Raw['headers']): void {
  if (!headers.some(([name]) => name.toLowerCase() === 'upgrade')) return
  throw new Failure('upgrade-refused', 'WebSocket and other changes of protocol are not supported', {
    fix: 'drop the `Upgrade` header',
  })
}

function questionOf(connection: string, target: string, c: Context, raw: Raw, maxWaitSeconds: number): HttpQuestion {
  const key = readIdempotencyKey(c.req.header('Idempotency-Key'))
  const purpose = c.req.header('Sluice-Purpose')
  if (purpose !== undefined && purpose.length > PURPOSE_MOST) {
    throw new Failure('bad-request', `\`Sluice-Purpose\` takes at most ${PURPOSE_MOST} characters`)
  }
  const body = bodyOf(c)
  return {
    language: 'http',
    connection,
    method: c.req.method,
    target,
    headers: raw.headers,
    waitMs: preferredWait(c.req.header('Prefer'), maxWaitSeconds),
    ...(body !== undefined && { body }),
    ...(purpose !== undefined && { purpose }),
    ...(key !== undefined && { idempotencyKey: key }),
  }
}

function bodyOf(c: Context): Incoming | undefined {
  const { body } = c.req.raw
  if (body === null) return undefined
  const declared = c.req.header('Content-Length')
  return {
    type: c.req.header('Content-Type') ?? '',
    ...(declared !== undefined && /^\d{1,15}$/.test(declared) && { length: Number(declared) }),
    chunks: body as unknown as AsyncIterable<Uint8Array>,
  }
}
