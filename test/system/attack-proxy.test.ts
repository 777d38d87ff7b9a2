/** Requests and answers on which two readers differ, through the gateway to an upstream that counts what reaches it. */
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { brotliCompressSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { configured, dial, tidy } from '../support/attack.ts'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

const POLICY = `
policy: odd
description: an API for attackers
principals: { groups: [analyst-agents] }
connections: [odd]
rules:
  - { id: read, effect: permit, resources: ['GET /things/{id}', 'GET /links'], because: for the tests }
  - { id: no-export, effect: deny, resources: ['GET /things/export'], because: nobody takes everything }
  - id: small
    effect: permit
    resources: ['POST /payments']
    when: http.body.amount < 100
    because: small sums are paid
  - id: uploads
    effect: permit
    resources: ['POST /uploads']
    because: for the tests
    obligations: { mask-json: { request: { $..email: redact } } }
`

const LINES = Buffer.from('one line of many\n'.repeat(100))
const TWICE: Readonly<Record<string, Buffer>> = {
  zstd: Buffer.concat([zstdCompressSync(LINES), zstdCompressSync(LINES)]),
  br: Buffer.concat([brotliCompressSync(LINES), brotliCompressSync(LINES)]),
}

let upstream: Server
let gateway: GatewayProcess
const reached: string[] = []
let sent = ''

beforeAll(async () => {
  upstream = createServer((request, response) => {
    const { method = '', url = '' } = request
    reached.push(`${method} ${url}`)
    request.setEncoding('utf8').on('data', (text: string) => (sent += text))
    if (url === '/uploads') {
      request.on('end', () => response.writeHead(201, { 'Content-Type': 'application/json' }).end('{}'))
      return
    }
    const coding = url.slice('/things/'.length)
    const body = TWICE[coding]
    if (body !== undefined) {
      response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': coding }).end(body)
    } else if (url === '/links') {
      const headers = { Location: '/things/1', Link: '</things/2>; rel="next", <//127.0.0.1/x>; rel="up"' }
      response.writeHead(200, headers).end()
    } else if (url === '/links?away') {
      const { port } = upstream.address() as AddressInfo
      response.writeHead(200, { Location: `http://127.0.0.1:${port}//elsewhere.example/x` }).end()
    } else response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const { port } = upstream.address() as AddressInfo
  const config = configured([
    '\n  crm:\n',
    `
  odd:
    type: rest
    baseUrl: http://127.0.0.1:${port}
    credential: { type: none }
    operations: ['GET /things/{id}', 'GET /things/export', 'GET /links', 'POST /payments', 'POST /uploads']
    hosts: [odd.example]

  crm:
`,
  ])
  writeFileSync(join(dirname(config), 'policies', 'odd.yaml'), POLICY)
  gateway = await startGateway({ config })
})
afterAll(async () => {
  await gateway.stop()
  upstream.close()
  tidy()
})
beforeEach(() => {
  reached.length = 0
  sent = ''
})

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { Authorization: `Bearer ${await tokenOf('agent')}`, ...(init.headers as Record<string, string>) }
  return await fetch(`${gateway.url}/proxy/odd${path}`, { redirect: 'manual', ...init, headers })
}

async function pay(body: string, type = 'application/json'): Promise<number> {
  return (await call('/payments', { method: 'POST', body, headers: { 'Content-Type': type } })).status
}

describe('a body that servers read differently is not sent', () => {
  it('in a charset that hides members from whoever reads UTF-8', async () => {
    const hidden = '{"amount":5,"x":"+ACI-,+ACI-amount+ACI-:5000,+ACI-y+ACI-:+ACI-"}'
    expect(await pay(hidden, 'application/json; charset=utf-7')).toBe(415)
    for (const charset of ["charset*=utf-8''utf-7", 'charset=utf-8; charset=utf-7', 'charset="us-ascii"']) {
      expect(await pay('{"amount":5}', `application/json; ${charset}`)).toBe(415)
    }
    expect(reached).toEqual([])
    expect(await pay('{"amount":5}', 'application/json; charset="UTF-8"')).toBe(200)
  })

  it('with a member in two cases', async () => {
    expect(await pay('{"amount":5,"Amount":5000}')).toBe(400)
    expect(await pay('{"amount":5,"AMOUNT":5000}')).toBe(400)
    expect(reached).toEqual([])
  })

  it('without the type by which it was judged', async () => {
    const body = '{"amount":5}'
    const { ended, said } = await dial(
      gateway,
      `POST /proxy/odd/payments HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${await tokenOf('agent')}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close, Content-Type\r\n\r\n${body}`,
    )
    await ended
    expect(said()).toMatch(/^HTTP\/1\.1 400 /)
    expect(reached).toEqual([])
  })
})

it('a body too large to be kept is masked on its way, though its length is not what was said', async () => {
  const filler = 'x'.repeat(400_000)
  const body = JSON.stringify({ filler, email: 'ada@example.com' })
  const headers = { 'Content-Type': 'application/json' }
  expect((await call('/uploads', { method: 'POST', body, headers })).status).toBe(201)
  expect(JSON.parse(sent)).toEqual({ filler, email: '[redacted]' })
})

it('a form is masked by the names that PHP reads', async () => {
  const names = ['%20email', '+email', 'email%00x', 'email%00%5Ba', 'a[email]x', 'a[b][email]x[y', '+a[email]', 'b[]']
  const body = names.map((name) => `${name}=ada@example.com`).join('&')
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
  expect((await call('/uploads', { method: 'POST', body, headers })).status).toBe(201)
  expect(sent.split('&').map((pair) => decodeURIComponent(pair.split('=')[1] ?? ''))).toEqual([
    ...Array.from({ length: names.length - 1 }, () => '[redacted]'),
    'ada@example.com',
  ])
})

it('a path that is another operation where case does not count is not sent', async () => {
  expect((await call('/things/export')).status).toBe(403)
  const answer = await call('/things/EXPORT')
  expect(answer.status).toBe(400)
  expect(await answer.json()).toMatchObject({ code: 'target-refused' })
  expect(reached).toEqual([])
  expect((await call('/things/Exports')).status).toBe(200)
})

it('a parameter whose name differs in nothing but case is not sent', async () => {
  expect((await call('/things/1?page=1&Page=2')).status).toBe(400)
  // The CRM's document declares `limit`.
  const crm = async (query: string): Promise<number> =>
    (await gateway.get(`/proxy/crm/customers${query}`, 'agent')).status
  expect(await crm('?Limit=500')).toBe(400)
  expect(await crm('?limit=1&LIMIT=500')).toBe(400)
  expect(reached).toEqual([])
  expect(await crm('?limit=1')).toBe(200)
  expect((await call('/things/1?page=1&page=2&Size=3')).status).toBe(200)
})

it.each(['zstd', 'br'])('an answer of two parts in %s is no whole of one part', async (coding) => {
  const answer = await call(`/things/${coding}`)
  expect(`${answer.status} ${((await answer.json()) as { code: string }).code}`).toBe('502 upstream-failed')
})

it('links lead to where they can be asked for', async () => {
  const asked = async (target: string, host: string): Promise<string> => {
    const lines = [`GET ${target} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${await tokenOf('agent')}`]
    const { ended, said } = await dial(gateway, `${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`)
    await ended
    return (said().match(/^(?:location|link): .*$/gim) ?? []).sort().join('\n')
  }
  expect(await asked('/links', 'odd.example')).toBe('link: </things/2>; rel="next"\nlocation: /things/1')
  expect(await asked('/proxy/odd/links', 'gateway')).toBe(
    'link: </proxy/odd/things/2>; rel="next"\nlocation: /proxy/odd/things/1',
  )
  expect(await asked('/links?away', 'odd.example')).toBe('')
})
