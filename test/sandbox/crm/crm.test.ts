/** The CRM, each path of it, as its own process. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { customer, order, type Customer, type Order } from '../../../sandbox/crm/data.ts'
import { startPart, type Part } from '../../../sandbox/parts.ts'

const KEY = { 'x-api-key': 'crm-sandbox-key' }
let crm: Part
let data: string

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'sluice-crm-'))
  crm = await startPart('crm', { port: 0, data })
})
afterAll(async () => {
  await crm.stop()
  rmSync(data, { recursive: true })
})

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`${crm.url}${path}`, { ...init, headers: { ...KEY, ...(init.headers as Record<string, string>) } })
const json = async (path: string, init: RequestInit = {}) => {
  const response = await ask(path, init)
  return { status: response.status, body: (await response.json()) as unknown }
}
const sent = (method: string, body: unknown): RequestInit => ({ method, body: JSON.stringify(body) })

test('without the key, or with another, nothing is told', async () => {
  const refusal = { error: 'the header `X-Api-Key` is missing or wrong' }
  for (const headers of [{}, { 'x-api-key': 'CRM-SANDBOX-KEY' }]) {
    for (const path of ['/customers/1', '/openapi.json', '/nowhere']) {
      const response = await fetch(crm.url + path, { headers: headers as Record<string, string> })
      expect([response.status, await response.json()]).toEqual([401, refusal])
    }
  }
})

describe('customers', () => {
  test('one customer is nested, and the same at every start', async () => {
    expect(await json('/customers/1')).toEqual({
      status: 200,
      body: {
        id: 1,
        name: 'Grace Novak',
        email: 'grace.novak.1@example.com',
        ssn: '113-03-4001',
        phone: '+1-555-037-7919',
        address: { street: '1 Harbour Road', city: 'Porto', zip: '00097' },
        contacts: [
          { kind: 'email', value: 'grace.novak.1@example.com' },
          { kind: 'phone', value: '+1-555-037-7919' },
        ],
        payment: { card: { number: '4111111111110001', expires: '12/30' } },
        created_at: '2025-01-02T00:00:00.000Z',
      },
    })
    expect(await json('/customers/63')).toEqual({ status: 200, body: { ...customer(63), phone: null, payment: null } })
  })

  test('are listed page by page until there are no more', async () => {
    const seen: Customer[] = []
    let cursor: string | null = '0'
    const sizes: number[] = []
    while (cursor !== null) {
      const { body } = await json(`/customers?limit=40&cursor=${cursor}`)
      const page = body as { items: Customer[]; next_cursor: string | null }
      seen.push(...page.items)
      sizes.push(page.items.length)
      cursor = page.next_cursor
    }
    expect(sizes).toEqual([40, 40, 20])
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => customer(index + 1)))
  })

  test.each(['limit=0', 'limit=101', 'limit=x', 'cursor=-1', 'limit=1e1', 'cursor=1.5'])(
    '%s is refused',
    async (query) => {
      expect(await json(`/customers?${query}`)).toEqual({ status: 400, body: { error: 'a bad `limit` or `cursor`' } })
    },
  )

  test('are made, changed and deleted', async () => {
    const response = await ask(
      '/customers',
      sent('POST', { id: 7, name: 'Nina', email: 'nina@example.com', role: 'admin' }),
    )
    const made = (await response.json()) as Customer
    expect([response.status, response.headers.get('location')]).toEqual([201, `/customers/${made.id}`])
    expect(made).toMatchObject({ name: 'Nina', email: 'nina@example.com', phone: null, contacts: [] })
    expect(made.id).toBeGreaterThan(100)
    expect(made).not.toHaveProperty('role')
    const path = `/customers/${made.id}`
    expect(await json(path, sent('PATCH', { phone: '1', id: 1 }))).toEqual({
      status: 200,
      body: { ...made, phone: '1' },
    })
    expect((await ask(path, { method: 'DELETE' })).status).toBe(204)
    const missing = { status: 404, body: { error: 'no such customer' } }
    expect(await json(path)).toEqual(missing)
    expect(await json(path, sent('PATCH', {}))).toEqual(missing)
    expect(await json(path, { method: 'DELETE' })).toEqual(missing)
  })

  test('are not made of anything else than a JSON object with a name', async () => {
    const refusal = { status: 400, body: { error: 'expected a JSON object with a `name`' } }
    for (const body of [[], 'text', null, {}, { email: 'x' }]) {
      expect(await json('/customers', sent('POST', body))).toEqual(refusal)
    }
    expect(await json('/customers', { method: 'POST', body: '{' })).toEqual(refusal)
    expect(await json('/customers/1', { method: 'PATCH', body: '[1]' })).toEqual({
      status: 400,
      body: { error: 'expected a JSON object' },
    })
  })
})

test('orders are listed, with the email of their customer', async () => {
  const { body } = await json('/orders?limit=2&cursor=298')
  expect(body).toEqual({ items: [order(299), order(300)], next_cursor: null })
  expect((body as { items: Order[] }).items[0]?.customer_email).toBe(customer(order(299).customer_id).email)
})

test('events come as a stream of server-sent events', async () => {
  const response = await ask('/events?n=2')
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const data = (id: number) => JSON.stringify({ id, name: customer(id + 1).name, email: customer(id + 1).email })
  expect(await response.text()).toBe(
    `event: customer\ndata: ${data(1)}\nid: 1\n\nevent: customer\ndata: ${data(2)}\nid: 2\n\n`,
  )
})

test('an export streams as many lines as asked, and stops when nobody reads', async () => {
  const response = await ask('/export?n=1201')
  expect(response.headers.get('content-type')).toBe('application/x-ndjson')
  const lines = (await response.text()).split('\n')
  expect(lines.length).toBe(1202)
  expect(lines.at(-1)).toBe('')
  expect(JSON.parse(lines[1200] ?? '')).toEqual(customer(1201))
  const leaver = new AbortController()
  const endless = await ask('/export?n=10000000', { signal: leaver.signal })
  const reader = endless.body!.getReader()
  expect((await reader.read()).done).toBe(false)
  leaver.abort()
  expect((await json('/export?n=x')).status).toBe(400)
})

test('uploads of bytes and of forms are answered with their digest and size', async () => {
  const bytes = new Uint8Array(1_000_003).map((_, index) => index)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const type = 'application/octet-stream'
  expect(await json('/uploads', { method: 'POST', body: bytes, headers: { 'content-type': type } })).toEqual({
    status: 201,
    body: { digest, size: 1_000_003, type },
  })
  const form = new FormData()
  form.set('file', new Blob(['hello']), 'hello.txt')
  const { status, body } = await json('/uploads', { method: 'POST', body: form })
  expect([status, body]).toEqual([
    201,
    {
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
      size: expect.any(Number) as number,
      type: expect.stringMatching(/^multipart\/form-data; boundary=/) as string,
    },
  ])
})

test('errors come as asked and quote a person, as backends do', async () => {
  const { email } = customer(1)
  for (const status of [400, 404, 429, 500, 503]) {
    expect(await json(`/errors/${status}`)).toEqual({
      status,
      body: { error: `as you wished, ${email}`, status, email },
    })
  }
  expect(await json('/errors/200')).toEqual({ status: 400, body: { error: 'expected 400 to 599' } })
})

test('a redirect goes where it is told', async () => {
  for (const [path, to] of [
    ['/redirect', '/customers/1'],
    ['/redirect?to=http://169.254.169.254/', 'http://169.254.169.254/'],
  ] as const) {
    const response = await ask(path, { redirect: 'manual' })
    expect([response.status, response.headers.get('location')]).toEqual([302, to])
  }
})

test('it describes itself, every path and no other', async () => {
  const { body } = await json('/openapi.json')
  const document = body as { openapi: string; servers: unknown; paths: Record<string, Record<string, unknown>> }
  expect([document.openapi, document.servers]).toEqual(['3.1.0', [{ url: crm.url }]])
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of Object.keys(methods).filter((name) => name !== 'parameters')) {
      const url = path.replace('{id}', '100000').replace('{status}', '418')
      const response = await ask(url, { method: method.toUpperCase(), redirect: 'manual' })
      expect(await response.text()).not.toContain('no such path')
    }
  }
  expect(await json('/nowhere')).toEqual({ status: 404, body: { error: 'no such path' } })
})
