/** `ANY /proxy/{connection}/{path}`: an HTTP API behind the gateway; and the same under a host name of its own. */
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { Failure } from '../src/failure.ts'
import type { Gateway, HttpQuestion, Incoming } from '../src/gateway.ts'
import type { Runtime } from '../src/runtime.ts'
import { outcomeAnswer } from './answer.ts'
import { knocked } from './knock.ts'
import { failureAnswer } from './problem.ts'
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

export function mountProxy(app: OpenAPIHono, { runtime, gateway, maxWaitSeconds, hosts }: ProxyRoutes): void {
  const proxied = (connection: string, target: string): ((c: Context) => Promise<Response>) =>
    knocked(runtime, 'proxy', async (c, knock) => {
      const body = bodyOf(c)
      try {
        const outcome = await gateway.handle(knock, async () => {
          const raw = rawOf(c)
          mustNotUpgrade(raw.headers)
          mustBePlain(raw.headers)
          return questionOf(connection, target, c, raw, body, maxWaitSeconds)
        })
        return closing(outcomeAnswer(outcome, 'json'), body)
      } catch (error) {
        return closing(failureAnswer(error, knock.id), body)
      }
    })

  app.use(async (c, next) => {
    const raw = rawOf(c)
    const connection = hosts.size === 0 ? undefined : hosts.get(hostOf(raw.headers))
    // Under its own name nothing but the API is to be had.
    if (connection !== undefined) return proxied(connection, raw.target)(c).then((answer) => atRoot(answer, connection))
    const place = placeOf(raw.target)
    return place === undefined ? next() : proxied(place.connection, place.target)(c)
  })
}

/** An answer whose links lead where the API has a host of its own. One that would lead to another host is left out. */
function atRoot(answer: Response, connection: string): Response {
  const { headers } = answer
  for (const name of ['Location', 'Link']) {
    const value = headers.get(name)
    if (value === null) continue
    const start = name === 'Link' ? '<' : '^'
    const moved = value.replaceAll(new RegExp(`(${start})/proxy/${connection}(?:/|(?=[?#>]|$))`, 'g'), '$1/')
    if (new RegExp(`${start}/[/\\\\]`).test(moved)) headers.delete(name)
    else headers.set(name, moved)
  }
  return answer
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

/** What is compressed can be neither weighed nor masked, and its length says nothing of its size. */
function mustBePlain(headers: Raw['headers']): void {
  const encodings = headers.filter(([name]) => name.toLowerCase() === 'content-encoding').map(([, value]) => value)
  if (encodings.every((value) => value.trim().toLowerCase() === 'identity')) return
  throw new Failure('unsupported-media-type', 'a request body is not taken compressed', {
    fix: 'send it plain, without `Content-Encoding`',
  })
}

function questionOf(
  connection: string,
  target: string,
  c: Context,
  raw: Raw,
  body: Body | undefined,
  maxWaitSeconds: number,
): HttpQuestion {
  const key = readIdempotencyKey(c.req.header('Idempotency-Key'))
  const purpose = c.req.header('Sluice-Purpose')
  if (purpose !== undefined && purpose.length > PURPOSE_MOST) {
    throw new Failure('bad-request', `\`Sluice-Purpose\` takes at most ${PURPOSE_MOST} characters`)
  }
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

/** A body, and whether it was read to its end. */
type Body = Incoming & { readonly isRead: () => boolean }

/** What is answered before all of a body came leaves a connection of which nobody knows where the next request begins. */
function closing(answer: Response, body: Body | undefined): Response {
  if (body !== undefined && !body.isRead()) answer.headers.set('Connection', 'close')
  return answer
}

function bodyOf(c: Context): Body | undefined {
  const { body } = c.req.raw
  if (body === null) return undefined
  const declared = c.req.header('Content-Length')
  let isRead = false
  return {
    type: c.req.header('Content-Type') ?? '',
    ...(declared !== undefined && /^\d{1,15}$/.test(declared) && { length: Number(declared) }),
    chunks: chunks(),
    isRead: () => isRead,
  }

  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    yield* body as unknown as AsyncIterable<Uint8Array>
    isRead = true
  }
}
