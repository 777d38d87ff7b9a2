/** An HTTP API behind the gateway, as an agent, an approver and an auditor meet it: over the sandbox's CRM. */
import { createHash, createHmac } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { configured, dial, inflight, tidy, until } from '../support/attack.ts'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

const POLICY = `
policy: more-of-the-crm
description: what the tests need beside the CRM’s own policy
principals: { groups: [analyst-agents] }
connections: [crm]
rules:
  - { id: all-else, effect: permit, resources: [upload, fail, redirect], because: for the tests }
  - id: small-changes
    effect: permit
    resources: [createCustomer]
    when: "http.body.name.startsWith('Tess')"
    because: a Tess may come in
  - id: no-ssn
    effect: deny
    resources: [createCustomer]
    when: has(http.body.ssn)
    because: nobody writes a social security number
  - id: deletes
    effect: hold
    resources: [deleteCustomer]
    because: what is gone is gone
    approvers: { groups: [data-owners] }
  - id: big
    effect: hold
    resources: [upload]
    when: "http.contentType == 'text/x-held'"
    because: somebody looks at these
    approvers: { groups: [data-owners] }
`

let gateway: GatewayProcess
beforeAll(async () => {
  const config = configured()
  const policies = join(dirname(config), 'policies')
  writeFileSync(join(policies, 'more.yaml'), POLICY)
  const own = readFileSync(join(policies, 'crm-agents.yaml'), 'utf8')
  writeFileSync(join(policies, 'crm-agents.yaml'), own.replace('[createCustomer, changeCustomer]', '[changeCustomer]'))
  gateway = await startGateway({ config })
})
afterAll(async () => {
  await gateway.stop()
  tidy()
})

interface Sent {
  readonly method?: string
  readonly as?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>
}

async function call(path: string, { method = 'GET', as = 'agent', headers = {}, body }: Sent = {}) {
  const answer = await fetch(`${gateway.url}/proxy/crm${path}`, {
    method,
    redirect: 'manual',
    headers: { ...(as !== '' && { Authorization: `Bearer ${await tokenOf(as)}` }), ...headers },
    ...(body !== undefined && { body: body as BodyInit, duplex: 'half' }),
  } as RequestInit)
  return answer
}

const JSON_TYPE = { 'Content-Type': 'application/json' }

async function problem(answer: Response): Promise<string> {
  const { code, detail } = (await answer.json()) as { code: string; detail: string }
  return `${answer.status} ${code}: ${detail}`
}

/** The exchange's last record of a kind. */
async function record(exchange: string, outcome: string) {
  const [row] = await gateway.audit<Record<string, unknown>>(
    `SELECT * FROM exchanges WHERE exchange_id = '${exchange}' AND outcome = '${outcome}'`,
    (rows) => rows.length > 0,
  )
  return row ?? {}
}

describe('a call through the gateway', () => {
  it('gets the API’s own answer, and the upstream sees the gateway’s credential and nothing of the agent', async () => {
    const answer = await call('/customers/7?fields=all')
    const headers = ['Content-Type', 'Cache-Control', 'X-Content-Type-Options', 'Content-Security-Policy']
    expect([answer.status, ...headers.map((name) => answer.headers.get(name))]).toEqual([
      200,
      'application/json',
      'no-store',
      'nosniff',
      "default-src 'none'; sandbox",
    ])
    expect(await answer.json()).toMatchObject({ id: 7, name: 'Frances Novak' })
    expect(await record(answer.headers.get('Sluice-Exchange') ?? '', 'answered')).toMatchObject({
      surface: 'proxy',
      principal: 'agent',
      connection: 'crm',
      statement_kind: 'GET',
      statement: 'GET /customers/7?fields=all',
      tables: ['getCustomer'],
      effect: 'permit',
      status: '200',
      ending: 'whole',
    })
  })

  it('passes what the API says of itself: no such thing, a failure, an empty answer', async () => {
    expect((await call('/customers/7000')).status).toBe(404)
    const failed = await call('/errors/503')
    expect([failed.status, failed.headers.get('Content-Type')]).toEqual([503, 'application/json'])
    const head = await call('/customers/7', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  it('streams a long answer whole, and leaves nothing behind when the client leaves it half', async () => {
    const answer = await call('/export?n=5000')
    expect((await answer.text()).split('\n')).toHaveLength(5001)
    const endless = await call('/export?n=10000000')
    const reader = endless.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    await until(async () => (await inflight(gateway)) === 0)
    expect(await record(endless.headers.get('Sluice-Exchange') ?? '', 'cut')).toMatchObject({ cut: 'client-gone' })
  })

  it('gets events as they come', async () => {
    const answer = await call('/events?n=3')
    expect(answer.headers.get('Content-Type')).toBe('text/event-stream')
    expect((await answer.text()).match(/^event: customer$/gm)).toHaveLength(3)
  })

  it('follows no redirect: one within the API leads back through the gateway, one out of it is not told', async () => {
    const inside = await call('/redirect?to=/customers/1')
    expect([inside.status, inside.headers.get('Location')]).toEqual([302, '/proxy/crm/customers/1'])
    const outside = await call('/redirect?to=http://169.254.169.254/latest/')
    expect([outside.status, outside.headers.get('Location')]).toEqual([302, null])
  })
})

describe('personal data of the API', () => {
  /** As mask-columns hashes it in a table, under the key of the tests. */
  const hashed = (text: string) => createHmac('sha256', 'a-mask-key-of-the-tests-0123456789').update(text).digest('hex')

  it('is masked in one document, key by key, and the rest is byte for byte the API’s', async () => {
    const direct = await fetch(`${inject('sandbox').crm}/customers/8`, { headers: { 'X-Api-Key': 'crm-sandbox-key' } })
    const customer = (await direct.json()) as Record<string, any>
    const answer = await call('/customers/8')
    expect(await answer.text()).toBe(
      JSON.stringify({
        ...customer,
        email: hashed(customer['email']),
        ssn: '[redacted]',
        phone: `***********${customer['phone'].slice(-4)}`,
        address: { ...customer['address'], street: '[redacted]' },
        contacts: customer['contacts'].map((it: object) => ({ ...it, value: '[redacted]' })),
        payment: {
          card: { ...customer['payment'].card, number: `************${customer['payment'].card.number.slice(-4)}` },
        },
      }),
    )
    expect(await record(answer.headers.get('Sluice-Exchange') ?? '', 'answered')).toMatchObject({
      masked: expect.arrayContaining(['getCustomer.$..email hash', 'getCustomer.$..ssn redact']),
    })
  })

  it('is masked in pages, lines and events alike', async () => {
    for (const path of ['/customers?limit=100', '/export?n=3000', '/events?n=50', '/orders?limit=100']) {
      const text = await (await call(path)).text()
      expect([path, text.includes('@example.com'), /\d{3}-\d{2}-\d{4}/.test(text)]).toEqual([path, false, false])
      expect(text).toMatch(/"(customer_)?email":"[0-9a-f]{64}"/)
    }
  })

  it('is masked in what comes back from a write, and cannot be asked for by what it was', async () => {
    const answer = await call('/customers/8', { headers: { 'If-None-Match': '"abc"' } })
    expect(await problem(answer)).toBe(
      '403 denied: the answer is masked, and `if-none-match` would tell what is behind the mask',
    )
    expect((await call('/customers/8', { headers: { Range: 'bytes=0-10' } })).status).toBe(200)
  })

  it('is listed as masked for whoever may call', async () => {
    const answer = await gateway.get('/v1/connections/crm/resources', 'agent')
    const { resources } = (await answer.json()) as { resources: { resource: string; masks: object[] }[] }
    expect(resources.find(({ resource }) => resource === 'getCustomer')?.masks).toContainEqual({
      resource: 'getCustomer',
      column: '$..ssn',
      strategy: 'redact',
    })
  })
})

describe('a policy weighs', () => {
  it('the operation: what no rule permits is denied, and what the API does not have is said so', async () => {
    expect(await problem(await call('/customers/7', { method: 'DELETE', as: 'writer' }))).toBe(
      '403 denied: no rule permits `delete` on this resource',
    )
    expect(await problem(await call('/nothing/here'))).toBe('404 resource-unknown: the API has no such path')
    expect(await problem(await call('/customers/7', { method: 'PUT' }))).toBe(
      '405 method-not-allowed: this path takes GET, HEAD, PATCH, DELETE, not PUT',
    )
  })

  it('the query', async () => {
    expect((await call('/customers?limit=100')).status).toBe(200)
    expect(await problem(await call('/customers?limit=1000'))).toBe('403 denied: pages have at most 100 customers')
  })

  it('the body, field by field', async () => {
    const create = (body: unknown, headers: Record<string, string> = JSON_TYPE) =>
      call('/customers', {
        method: 'POST',
        headers,
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
    const made = await create({ name: 'Tess Tester' })
    expect([made.status, made.headers.get('Location')?.startsWith('/proxy/crm/customers/')]).toEqual([201, true])
    expect(await problem(await create({ name: 'Tess', ssn: '1' }))).toBe(
      '403 denied: nobody writes a social security number',
    )
    // Two of one name: whichever the policy weighs, the API may take the other.
    expect(await problem(await create('{"name":"Tess","name":"Eve"}'))).toBe(
      '400 bad-request: the body names a member of an object twice',
    )
    expect(await problem(await create('{"name":"Tess"'))).toBe('400 bad-request: the body is not JSON')
    // A body of which nobody knows what it says: the conditions that weigh it fail, and nothing goes through.
    expect(await problem(await create('{"name":"Tess"}', { 'Content-Type': 'text/plain' }))).toMatch(/^403 denied/)
  })

  it('who asks: a stranger is not told what the API has', async () => {
    for (const path of ['/customers/7', '/nothing/here']) {
      expect(await problem(await call(path, { as: 'stranger' }))).toBe('404 connection-unknown: no connection `crm`')
    }
    expect(await problem(await call('/customers/7', { as: '' }))).toMatch(/^401 credential-missing/)
    expect(await problem(await call('/customers/7', { as: 'owner' }))).toMatch(/^403 wrong-plane/)
  })
})

describe('a target that two servers could read in two ways', () => {
  it.each([
    '/customers/..%2forders',
    '/customers/../orders',
    '/customers/.%2e/orders',
    '/customers/%2e%2e/orders',
    '//customers/7',
    '/customers//7',
    '/customers/7;x=1',
    '/customers/7%00',
    '/customers%5c7',
    '/customers/7%',
    '/customers/%c0%ae',
    '/customers/7#x',
    '/customers/%37',
  ])('%s is refused, not repaired', async (path) => {
    const token = await tokenOf('agent')
    const request = `GET /proxy/crm${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`
    const { said, ended } = await dial(gateway, request)
    await ended
    expect(said()).toMatch(/^HTTP\/1\.1 400 /)
    expect(said()).toContain('target-refused')
  })

  it('is not reached by another way to write the gateway’s own path', async () => {
    const token = await tokenOf('agent')
    for (const target of [
      '/v1/../proxy/crm/customers/7',
      '/%70roxy/crm/customers/7',
      'http://elsewhere/proxy/crm/customers/7',
      '/proxy/crm%2fcustomers/7',
    ]) {
      const { said, ended } = await dial(
        gateway,
        `GET ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
      )
      await ended
      expect([target, said().slice(0, 12)]).toEqual([target, 'HTTP/1.1 404'])
    }
  })
})

describe('a request that would speak with two tongues', () => {
  const send = async (lines: readonly string[], body = ''): Promise<string> => {
    const token = await tokenOf('agent')
    const head = [...lines, 'Host: x', `Authorization: Bearer ${token}`, 'Connection: close']
    const { said, ended } = await dial(gateway, `${head.join('\r\n')}\r\n\r\n${body}`)
    await ended
    return said()
  }

  it('is refused where it changes the protocol, and that is on record', async () => {
    const said = await send([
      'GET /proxy/crm/customers/7 HTTP/1.1',
      'Upgrade: websocket',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ])
    expect(said).toMatch(/^HTTP\/1\.1 501 /)
    const exchange = /sluice-exchange: (\S+)/i.exec(said)?.[1] ?? ''
    expect(await record(exchange, 'refused')).toMatchObject({ failure_code: 'upgrade-refused', surface: 'proxy' })
  })

  it.each([
    ['two lengths', ['Content-Length: 2', 'Content-Length: 3'], '{}'],
    ['a length and chunks', ['Content-Length: 2', 'Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n'],
    ['chunks that are none', ['Transfer-Encoding: chunked'], 'zz\r\n{}\r\n0\r\n\r\n'],
    ['an encoding on top of chunks', ['Transfer-Encoding: gzip, chunked'], '2\r\n{}\r\n0\r\n\r\n'],
  ])('is refused for %s', async (_, lines, body) => {
    expect(await send(['POST /proxy/crm/customers HTTP/1.1', ...JSON_LINES, ...lines], body)).toMatch(
      /^HTTP\/1\.1 4\d\d /,
    )
  })
  const JSON_LINES = ['Content-Type: application/json']

  it('gets a body that expects a 100 sent on its way', async () => {
    const body = JSON.stringify({ name: 'Tess Expected' })
    const said = await send(
      ['POST /proxy/crm/customers HTTP/1.1', ...JSON_LINES, `Content-Length: ${body.length}`, 'Expect: 100-continue'],
      body,
    )
    expect(said).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /)
  })

  it('has no compressed body taken', async () => {
    expect(
      await problem(
        await call('/customers', { method: 'POST', headers: { ...JSON_TYPE, 'Content-Encoding': 'gzip' }, body: 'x' }),
      ),
    ).toBe('415 unsupported-media-type: a request body is not taken compressed')
  })
})

describe('an upload', () => {
  it('streams past, and its digest and size are on record', async () => {
    const megabyte = new Uint8Array(1_048_576).fill(7)
    const digest = createHash('sha256').update(megabyte).update(megabyte).digest('hex')
    let left = 2
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left-- > 0) controller.enqueue(megabyte)
        else controller.close()
      },
    })
    const answer = await call('/uploads', {
      method: 'POST',
      headers: { 'Content-Type': 'application/octet-stream' },
      body,
    })
    expect([answer.status, await answer.json()]).toEqual([
      201,
      { digest: `sha256:${digest}`, size: 2_097_152, type: 'application/octet-stream' },
    ])
    expect(await record(answer.headers.get('Sluice-Exchange') ?? '', 'answered')).toMatchObject({
      request_type: 'application/octet-stream',
      request_bytes: '2097152',
      request_digest: digest,
      request_body: '',
    })
  })

  it('that is text is recorded as it was sent, cut with a mark where it is long', async () => {
    const text = 'words '.repeat(5_000)
    const answer = await call('/uploads', { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: text })
    const { request_body: kept } = await record(answer.headers.get('Sluice-Exchange') ?? '', 'answered')
    expect(kept).toBe(`${text.slice(0, 16_384)}… (cut: 30000 characters)`)
  })

  it('that a person must look at is not held where it is too large to be kept', async () => {
    const headers = { 'Content-Type': 'text/x-held' }
    const held = await call('/uploads', { method: 'POST', headers, body: 'small' })
    expect(held.status).toBe(202)
    const large = await call('/uploads', { method: 'POST', headers, body: 'x'.repeat(300_000) })
    expect(await problem(large)).toBe(
      '403 denied: a person must approve it, and its body is too large to be kept until then',
    )
  })
})

describe('a request that a person must approve', () => {
  const decide = async (id: string, effect: string, as = 'owner') =>
    gateway.post(`/v1/holds/${id}/${effect}`, as, { comment: 'looked at' })

  it('is stored whole, shown to the approver, sent once, and its answer is there for who lost it', async () => {
    const body = JSON.stringify({ name: 'Grace Approved' })
    const asked = await call('/customers/11', { method: 'PATCH', as: 'writer', headers: JSON_TYPE, body })
    const { hold } = (await asked.json()) as { hold: { id: string; request: object } }
    expect([asked.status, asked.headers.get('Location')]).toEqual([202, `/v1/holds/${hold.id}`])
    expect(hold.request).toEqual({
      method: 'PATCH',
      operation: 'changeCustomer',
      target: '/customers/11',
      headers: expect.objectContaining({ 'content-type': 'application/json' }),
      body: {
        type: 'application/json',
        bytes: body.length,
        digest: createHash('sha256').update(body).digest('hex'),
        json: { name: 'Grace Approved' },
      },
    })
    expect(JSON.stringify(hold)).not.toMatch(/bearer|x-api-key|crm-sandbox-key/i)
    const run = () => gateway.post(`/v1/holds/${hold.id}/run`, 'writer', {})
    expect(await problem(await run())).toBe('409 conflict: the hold is pending, not approved')
    expect((await decide(hold.id, 'approve', 'writer')).status).toBe(403)
    expect((await decide(hold.id, 'approve')).status).toBe(200)
    const [first, ...others] = await Promise.all([run(), run(), run()])
    const answers = await Promise.all([first, ...others].map((it) => it?.text()))
    // One of them sent it; whoever came while it ran is told so, whoever came later gets the same answer.
    expect(answers.some((it) => it?.includes('Grace Approved'))).toBe(true)
    const again = await run()
    expect([again.status, await again.json()]).toEqual([
      200,
      expect.objectContaining({ id: 11, name: 'Grace Approved' }),
    ])
    const sent = await gateway.audit(
      `SELECT exchange_id FROM exchanges WHERE statement = 'PATCH /customers/11' AND outcome = 'answered'`,
      (rows) => rows.length > 0,
    )
    expect(sent).toHaveLength(1)
  })

  it('is not sent once it is rejected', async () => {
    const asked = await call('/customers/12', { method: 'DELETE' })
    const { hold } = (await asked.json()) as { hold: { id: string } }
    await decide(hold.id, 'reject')
    expect(await problem(await gateway.post(`/v1/holds/${hold.id}/run`, 'agent', {}))).toBe(
      '409 conflict: the hold is rejected, not approved',
    )
    expect((await call('/customers/12')).status).toBe(200)
  })

  it('is one hold for one key', async () => {
    const headers = { ...JSON_TYPE, 'Idempotency-Key': 'patch-13' }
    const ask = async () => {
      const answer = await call('/customers/13', { method: 'PATCH', as: 'writer', headers, body: '{"name":"Once"}' })
      return ((await answer.json()) as { hold: { id: string } }).hold.id
    }
    expect(await ask()).toBe(await ask())
  })
})

describe('what an agent may call', () => {
  it('is listed with parameters and effects; what it may not is not', async () => {
    const answer = await gateway.get('/v1/connections/crm/resources', 'agent')
    const { resources } = (await answer.json()) as { resources: { resource: string; effect: string }[] }
    expect(resources.map(({ resource, effect }) => `${resource} ${effect}`)).toEqual([
      'changeCustomer hold',
      'createCustomer depends',
      'deleteCustomer hold',
      'exportCustomers permit',
      'fail permit',
      'getCustomer permit',
      'listCustomers permit',
      'listOrders permit',
      'redirect permit',
      'streamEvents permit',
      'upload permit',
    ])
    expect(resources.find(({ resource }) => resource === 'getCustomer')).toMatchObject({
      kind: 'OPERATION',
      method: 'GET',
      template: '/customers/{id}',
      action: 'read',
      parameters: [{ name: 'id', in: 'path', required: true }],
    })
    expect(await problem(await gateway.post('/v1/query', 'agent', { connection: 'crm', sql: 'SELECT 1' }))).toBe(
      '400 bad-request: `crm` takes HTTP requests, not SQL',
    )
    expect(inject('sandbox').crm).toBeDefined()
  })
})
