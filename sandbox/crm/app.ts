/** The CRM's REST service. */
import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { customer, CUSTOMER_COUNT, order, ORDER_COUNT, type Customer } from './data.ts'
import { openapi } from './openapi.ts'

/** The key of its one client, the gateway. Public and worthless: it opens a sandbox on the loopback interface. */
export const API_KEY = 'crm-sandbox-key'

const MAX_LIMIT = 100
const MAX_ROWS = 10_000_000
const MAX_EVENTS = 10_000
const ROWS_PER_CHUNK = 500
const WRITABLE = ['name', 'email', 'ssn', 'phone', 'address', 'contacts', 'payment'] as const

/** A fresh service with its own copy of the data; `url` is where it says it is. */
export function createCrm(url: string): Hono {
  const customers = new Map(range(CUSTOMER_COUNT).map((id) => [id, customer(id)]))
  let nextId = CUSTOMER_COUNT + 1
  const app = new Hono()

  app.use(async (c, next) => {
    if (c.req.header('x-api-key') !== API_KEY)
      return c.json({ error: 'the header `X-Api-Key` is missing or wrong' }, 401)
    return next()
  })

  app.get('/openapi.json', (c) => c.json(openapi(url)))

  app.get('/customers', (c) => {
    const page = pageOf([...customers.values()], c.req.query('limit'), c.req.query('cursor'))
    return page === undefined ? c.json({ error: 'a bad `limit` or `cursor`' }, 400) : c.json(page)
  })

  app.get('/customers/:id', (c) => {
    const found = customers.get(Number(c.req.param('id')))
    return found === undefined ? c.json({ error: 'no such customer' }, 404) : c.json(found)
  })

  app.post('/customers', async (c) => {
    const written = await writtenFields(c.req.raw)
    if (written?.name === undefined) return c.json({ error: 'expected a JSON object with a `name`' }, 400)
    const made = { ...blank(nextId), ...written }
    nextId += 1
    customers.set(made.id, made)
    return c.json(made, 201, { location: `/customers/${made.id}` })
  })

  app.patch('/customers/:id', async (c) => {
    const before = customers.get(Number(c.req.param('id')))
    if (before === undefined) return c.json({ error: 'no such customer' }, 404)
    const written = await writtenFields(c.req.raw)
    if (written === undefined) return c.json({ error: 'expected a JSON object' }, 400)
    const after = { ...before, ...written }
    customers.set(after.id, after)
    return c.json(after)
  })

  app.delete('/customers/:id', (c) => {
    return customers.delete(Number(c.req.param('id'))) ? c.body(null, 204) : c.json({ error: 'no such customer' }, 404)
  })

  app.get('/orders', (c) => {
    const page = pageOf(range(ORDER_COUNT).map(order), c.req.query('limit'), c.req.query('cursor'))
    return page === undefined ? c.json({ error: 'a bad `limit` or `cursor`' }, 400) : c.json(page)
  })

  app.get('/events', (c) => {
    const count = wholeNumber(c.req.query('n') ?? '5', MAX_EVENTS)
    if (count === undefined) return c.json({ error: 'a bad `n`' }, 400)
    return streamSSE(c, async (stream) => {
      for (let id = 1; id <= count && !stream.aborted; id++) {
        const { name, email } = customer(1 + (id % CUSTOMER_COUNT))
        await stream.writeSSE({ id: String(id), event: 'customer', data: JSON.stringify({ id, name, email }) })
      }
    })
  })

  app.get('/export', (c) => {
    const count = wholeNumber(c.req.query('n') ?? '1000', MAX_ROWS)
    if (count === undefined) return c.json({ error: 'a bad `n`' }, 400)
    return c.body(exported(count), 200, { 'content-type': 'application/x-ndjson' })
  })

  app.post('/uploads', async (c) => {
    const { digest, size } = await digestOf(c.req.raw.body)
    return c.json({ digest: `sha256:${digest}`, size, type: c.req.header('content-type') ?? null }, 201)
  })

  app.get('/errors/:status', (c) => {
    const status = Number(c.req.param('status'))
    if (!Number.isInteger(status) || status < 400 || status > 599) return c.json({ error: 'expected 400 to 599' }, 400)
    // Backends quote what they were given: a proxy has to mask errors too.
    const { email } = customer(1)
    return new Response(JSON.stringify({ error: `as you wished, ${email}`, status, email }), {
      status,
      headers: { 'content-type': 'application/json' },
    })
  })

  app.get('/redirect', (c) => c.redirect(c.req.query('to') ?? '/customers/1', 302))

  app.notFound((c) => c.json({ error: 'no such path' }, 404))
  app.onError((_error, c) => c.json({ error: 'the crm failed' }, 500))
  return app
}

interface Page<T> {
  readonly items: readonly T[]
  /** Of the next page; `null` on the last one. */
  readonly next_cursor: string | null
}

/** The cursor is the last id seen, so that pages stay right while rows come and go. */
function pageOf<T extends { id: number }>(all: readonly T[], limit = '20', cursor = '0'): Page<T> | undefined {
  const size = wholeNumber(limit, MAX_LIMIT)
  const after = wholeNumber(cursor, Number.MAX_SAFE_INTEGER)
  if (size === undefined || size === 0 || after === undefined) return undefined
  const rest = all.filter((item) => item.id > after)
  const items = rest.slice(0, size)
  return { items, next_cursor: rest.length > size ? String(items.at(-1)?.id) : null }
}

async function writtenFields(request: Request): Promise<Partial<Customer> | undefined> {
  const body: unknown = await request.json().catch(() => undefined)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  return Object.fromEntries(Object.entries(body).filter(([name]) => WRITABLE.some((field) => field === name)))
}

function blank(id: number): Customer {
  const address = { street: '', city: '', zip: '' }
  const created = '2026-01-01T00:00:00.000Z'
  return { id, name: '', email: '', ssn: '', phone: null, address, contacts: [], payment: null, created_at: created }
}

/** Rows are made as they are read: an export of any length takes no memory. */
function exported(count: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let id = 0
  return new ReadableStream({
    pull(controller) {
      const end = Math.min(id + ROWS_PER_CHUNK, count)
      let chunk = ''
      while (id < end) chunk += `${JSON.stringify(customer(++id))}\n`
      if (chunk !== '') controller.enqueue(encoder.encode(chunk))
      if (id >= count) controller.close()
    },
  })
}

async function digestOf(body: ReadableStream<Uint8Array> | null): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of body ?? []) {
    hash.update(chunk)
    size += chunk.byteLength
  }
  return { digest: hash.digest('hex'), size }
}

function wholeNumber(text: string, max: number): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return value <= max ? value : undefined
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
