/** What the REST client puts on the wire, byte for byte, and what it does not. */
import { createServer } from 'node:net'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { FALSE_FRIENDS } from './false-friends.ts'
import { bytesOf, clientOf, outcome, pieces, RawUpstream, request, testRuntime } from './raw-upstream.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const never = new AbortController().signal

/** What every request carries, between its own headers and its end. */
const OWN = [
  'user-agent: sluice',
  'accept-encoding: identity',
  'via: 1.1 sluice',
  'x-request-id: 0190a5e5-1111-7abc-8def-1234567890ab',
  'traceparent: 00-0190a5e511117abc8def1234567890ab-8def1234567890ab-01',
]

/** Answers every request of a connection. */
async function obliging(answer = OK): Promise<RawUpstream> {
  return await RawUpstream.start((socket) => void socket.on('data', () => socket.write(answer)))
}

describe('a request', () => {
  test('is the target as it was judged, the headers on the list, and the gateway’s own', async () => {
    await using upstream = await obliging()
    await using client = clientOf(upstream.port, { baseUrl: `http://127.0.0.1:${upstream.port}/api/v2/` })
    const target = "/customers/a%20b%C3%A9~!$&'()*+,=:@?q=a+b&q=%2F&r=[1]|x"
    const headers = [
      ['Accept', 'application/json'],
      ['If-None-Match', '"a"'],
      ['If-None-Match', '"b"'],
    ] as const
    expect(await outcome(client, { target, headers })).toEqual({ status: 200, body: 'ok' })
    expect(upstream.received).toEqual([
      [
        `GET /api/v2${target} HTTP/1.1`,
        `host: 127.0.0.1:${upstream.port}`,
        'connection: keep-alive',
        'accept: application/json',
        'if-none-match: "a"',
        'if-none-match: "b"',
        ...OWN,
        '\r\n',
      ].join('\r\n'),
    ])
  })

  test('carries nothing that frames it anew, names a hop, forges an origin or speaks for us', async () => {
    await using upstream = await obliging()
    await using client = clientOf(upstream.port)
    expect(await outcome(client, { headers: FALSE_FRIENDS })).toEqual({ status: 200, body: 'ok' })
    expect(upstream.received).toEqual([
      [
        'GET /customers/42?fields=name HTTP/1.1',
        `host: 127.0.0.1:${upstream.port}`,
        'connection: keep-alive',
        ...OWN,
        '\r\n',
      ].join('\r\n'),
    ])
  })

  test('with a whole body has its length; with a stream, the length that is known, or chunks', async () => {
    await using upstream = await obliging()
    await using client = clientOf(upstream.port, { pool: { connections: 1 } })
    const sent = [
      { method: 'POST', body: new TextEncoder().encode('whole') },
      { method: 'PUT', body: { stream: pieces('str', 'eam'), length: 6 } },
      { method: 'PATCH', body: { stream: pieces('chu', 'nks') } },
      { method: 'POST' },
      { method: 'POST', body: { stream: pieces(), length: 0 } },
      { method: 'DELETE' },
    ]
    const framing: string[] = []
    for (const parts of sent) {
      await using one = await obliging()
      await using oneClient = clientOf(one.port)
      expect(await outcome(oneClient, { target: '/x', ...parts })).toMatchObject({ status: 200 })
      const [head = '', ...body] = (one.received[0] ?? '').split('\r\n\r\n')
      const lines = head.split('\r\n').filter((line) => /^(?:content-length|transfer-encoding|[A-Z]+ \/)/.test(line))
      framing.push([...lines, ...body].join(' · '))
    }
    expect(framing).toEqual([
      'POST /x HTTP/1.1 · content-length: 5 · whole',
      'PUT /x HTTP/1.1 · content-length: 6 · stream',
      'PATCH /x HTTP/1.1 · transfer-encoding: chunked · 3\r\nchu\r\n3\r\nnks\r\n0 · ',
      'POST /x HTTP/1.1 · content-length: 0 · ',
      'POST /x HTTP/1.1 · content-length: 0 · ',
      'DELETE /x HTTP/1.1 · ',
    ])
    expect(upstream.received).toEqual([])
    await client.close()
  })

  test.each([
    [{ method: 'TRACE' }, 'method-not-allowed'],
    [{ method: 'CONNECT' }, 'method-not-allowed'],
    [{ method: 'get' }, 'method-not-allowed'],
    [{ method: 'GET / HTTP/1.1\r\nx:' }, 'method-not-allowed'],
    [{ target: 'http://elsewhere.example/' }, 'bad-request'],
    [{ target: '@elsewhere.example/' }, 'bad-request'],
    [{ target: '/a b' }, 'bad-request'],
    [{ target: '/a\r\nx: y' }, 'bad-request'],
    [{ target: '/a/../b' }, 'bad-request'],
    [{ target: '/..' }, 'bad-request'],
    [{ target: '/a#b' }, 'bad-request'],
    [{ target: '/a\\b' }, 'bad-request'],
    [{ target: '/é' }, 'bad-request'],
  ])('that is none is not sent: %j', async (parts, code) => {
    await using upstream = await obliging()
    await using client = clientOf(upstream.port)
    expect(await outcome(client, parts)).toMatchObject({ code, unsent: true })
    expect(upstream.received).toEqual([])
  })
})

describe('a credential', () => {
  const sentWith = async (credential: object, target = '/x?a=1', answer = OK) => {
    await using upstream = await obliging(answer)
    await using client = clientOf(upstream.port, { credential, headers: { request: ['x-api-key'] }, redirects: 'pass' })
    const reply = await client.send(request({ target, headers: [['x-api-key', 'forged']] }), never)
    await bytesOf(reply.body)
    const lines = (upstream.received[0] ?? '').split('\r\n')
    return { lines: lines.filter((line) => /^(?:GET|authorization|x-api-key)/.test(line)), headers: reply.headers }
  }

  test.each([
    [
      { type: 'bearer', token: 'env:KEY' },
      ['GET /x?a=1 HTTP/1.1', 'x-api-key: forged', 'authorization: Bearer k3y-of-the-upstream'],
    ],
    [
      { type: 'basic', username: 'sluice', password: 'env:KEY' },
      ['GET /x?a=1 HTTP/1.1', 'x-api-key: forged', `authorization: Basic ${btoa('sluice:k3y-of-the-upstream')}`],
    ],
    [{ type: 'header', name: 'X-API-Key', key: 'env:KEY' }, ['GET /x?a=1 HTTP/1.1', 'x-api-key: k3y-of-the-upstream']],
    [
      { type: 'query', name: 'api_key', key: 'env:KEY' },
      ['GET /x?a=1&api_key=k3y-of-the-upstream HTTP/1.1', 'x-api-key: forged'],
    ],
  ])('%j', async (credential, lines) => {
    expect((await sentWith(credential)).lines).toEqual(lines)
  })

  test('that an upstream repeats in a header reaches nobody', async () => {
    const echo = (header: string): string => `HTTP/1.1 302 Found\r\n${header}\r\ncontent-length: 0\r\n\r\n`
    const query = { type: 'query', name: 'api_key', key: 'env:KEY' }
    const location = 'location: /y?api_key=k3y-of-the-upstream&b=2'
    expect((await sentWith(query, '/x', echo(location))).headers).toEqual([['location', '/proxy/crm/y?b=2']])
    expect(
      (await sentWith(query, '/x', echo('location: https://log.example/?seen=k3y-of-the-upstream'))).headers,
    ).toEqual([])
    const bearer = { type: 'bearer', token: 'env:KEY' }
    expect((await sentWith(bearer, '/x', echo('etag: "Bearer k3y-of-the-upstream"'))).headers).toEqual([])
  })

  test('in the query is not for the caller to set: of two keys a server takes either', async () => {
    await using upstream = await obliging()
    await using client = clientOf(upstream.port, { credential: { type: 'query', name: 'api_key', key: 'env:KEY' } })
    for (const target of ['/x?api_key=mine', '/x?API_KEY=mine', '/x?api%5Fkey=mine', '/x?a=1&api_key']) {
      expect(await outcome(client, { target })).toMatchObject({ code: 'parameter-refused', unsent: true })
    }
    expect(upstream.received).toEqual([])
  })

  test.each(['env:NONE', 'env:BLANK'])('that cannot be had or sent: nothing goes out (%s)', async (token) => {
    await using upstream = await obliging()
    await using client = clientOf(upstream.port, { credential: { type: 'bearer', token } })
    expect(await outcome(client)).toEqual({
      code: 'upstream-refused',
      message: 'the credential for the upstream cannot be had',
      at: 'head',
      unsent: true,
    })
    expect(upstream.received).toEqual([])
  })
})

describe('an answer', () => {
  test('passes the headers on the list and no others', async () => {
    const head = [
      'HTTP/1.1 201 Created',
      'Content-Type: Application/Problem+JSON; Charset="UTF-8"',
      'ETag: W/"1"',
      'Location: /customers/43',
      'Link: </customers?page=2>; rel="next", <https://internal.example/x>; rel="last"',
      'Retry-After: 3',
      'X-Total-Count: 9',
      'X-Secret-Hop: 1',
      'Connection: x-secret-hop, retry-after',
      'Set-Cookie: session=1',
      'Server: Apache',
      'Cache-Control: public',
      'WWW-Authenticate: Basic',
      'Access-Control-Allow-Origin: *',
      'Sluice-Exchange: forged',
      'Content-Length: 2',
    ].join('\r\n')
    await using upstream = await obliging(`${head}\r\n\r\n{}`)
    await using client = clientOf(upstream.port, { headers: { response: ['X-Total-Count', 'x-secret-hop'] } })
    const { body, ...reply } = await client.send(request(), never)
    expect((await bytesOf(body)).toString()).toBe('{}')
    expect(reply).toEqual({
      status: 201,
      headers: [
        ['content-type', 'Application/Problem+JSON; Charset="UTF-8"'],
        ['etag', 'W/"1"'],
        ['location', '/proxy/crm/customers/43'],
        ['link', '</proxy/crm/customers?page=2>; rel="next"'],
        ['x-total-count', '9'],
      ],
      contentType: 'application/problem+json',
      charset: 'utf-8',
      length: 2,
    })
  })

  test('that redirects is not followed', async () => {
    await using elsewhere = await obliging()
    const redirect = `HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:${elsewhere.port}/\r\ncontent-length: 0\r\n\r\n`
    await using upstream = await obliging(redirect)
    await using client = clientOf(upstream.port)
    const reply = await client.send(request(), never)
    expect([reply.status, reply.headers]).toEqual([307, []])
    await bytesOf(reply.body)
    expect(elsewhere.received).toEqual([])
  })
})

describe('the address that is connected to', () => {
  test('is the one that was checked, and every one of a name is', async () => {
    await using upstream = await obliging()
    const baseUrl = `http://crm.example:${upstream.port}`
    const answers = [['127.0.0.1'], ['93.184.215.14', '10.0.0.1'], ['::ffff:127.0.0.1'], ['169.254.169.254']]
    let asked = 0
    await using client = clientOf(
      upstream.port,
      { baseUrl },
      {
        resolve: (_, done) => {
          const addresses = answers[asked++ % answers.length] ?? []
          done(
            null,
            addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
          )
        },
      },
    )
    const refused = {
      code: 'upstream-refused',
      message: 'the address of the upstream is not one that may be reached',
      at: 'head',
      unsent: true,
    }
    for (const _ of answers) expect(await outcome(client)).toEqual(refused)
    expect(asked).toBe(answers.length)
    expect(upstream.received).toEqual([])
  })

  test('may be private where that is said; a name is looked up once for a connection', async () => {
    await using upstream = await obliging()
    let asked = 0
    await using client = clientOf(
      upstream.port,
      { baseUrl: `http://crm.example:${upstream.port}`, allowPrivate: true },
      {
        resolve: (_, done) => {
          asked += 1
          done(null, [{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }])
        },
      },
    )
    expect(await outcome(client)).toEqual({ status: 200, body: 'ok' })
    expect(asked).toBe(1)
    expect(upstream.received[0]).toContain(`host: crm.example:${upstream.port}\r\n`)
  })
})

describe('sending again', () => {
  /** A port where nobody listens until `open` is called. */
  const closedPort = async (): Promise<number> => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    return port
  }
  const unreachable = { code: 'upstream-failed', message: 'the upstream cannot be reached', at: 'head', unsent: true }

  test.each([
    ['GET', 2],
    ['HEAD', 2],
    ['PUT', 2],
    ['DELETE', 2],
    ['OPTIONS', 2],
    ['POST', 1],
    ['PATCH', 1],
  ])('%s without a connection is tried %i times', async (method, times) => {
    const port = await closedPort()
    let looked = 0
    await using client = clientOf(
      port,
      { baseUrl: `http://crm.example:${port}`, allowPrivate: true },
      {
        resolve: (_, done) => {
          looked += 1
          done(null, [{ address: '127.0.0.1', family: 4 }])
        },
      },
    )
    expect(await outcome(client, { method })).toEqual(unreachable)
    expect(looked).toBe(times)
  })

  test('what went out is never sent again, whatever its method', async () => {
    await using upstream = await RawUpstream.start(async (socket, seen) => {
      await seen('\r\n\r\n')
      socket.destroy()
    })
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toMatchObject({ code: 'upstream-failed', unsent: false })
    expect(upstream.received).toHaveLength(1)
  })

  test('a kept connection that the upstream closed meanwhile is left for a new one', async () => {
    await using upstream = await RawUpstream.start(async (socket, seen) => {
      await seen('\r\n\r\n')
      socket.end(OK)
    })
    await using client = clientOf(upstream.port, { pool: { connections: 1 } })
    expect(await outcome(client, { method: 'POST' })).toEqual({ status: 200, body: 'ok' })
    await upstream.closed[0]
    expect(await outcome(client, { method: 'POST' })).toEqual({ status: 200, body: 'ok' })
    expect(upstream.received.map((text) => text.split(' ')[0])).toEqual(['POST', 'POST'])
  })
})

describe('readiness', () => {
  test('is a connection that can be opened', async () => {
    await using upstream = await RawUpstream.start(() => {})
    await using client = clientOf(upstream.port)
    await client.ready(never)
    await upstream.closed[0]
    await using refusing = clientOf(
      1,
      { baseUrl: 'http://crm.example' },
      { resolve: (_, done) => done(null, []), runtime: testRuntime() },
    )
    await expect(refusing.ready(never)).rejects.toMatchObject({ code: 'upstream-refused' })
  })
})
