/** A request to an HTTP API on its way through the stations, and what fails closed on the way. */
import { describe, expect, it } from 'vitest'
import type { HttpConnector, Reply } from '../../src/connection/contract.ts'
import type { Completed, HttpStatement, Permit } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import type { ActivePlugin } from '../../src/fulfil.ts'
import type { HttpConnection, HttpQuestion, Outcome, Replied } from '../../src/gateway.ts'
import type { Fulfilment, Transform } from '../../src/plugin.ts'
import { operationsOfList } from '../../src/statement/http/operations.ts'
import { DENY, HOLD, journey, PERMIT } from '../support/journey.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (all: readonly Uint8Array[]): string => all.map((it) => new TextDecoder().decode(it)).join('')

async function* chunks(...parts: readonly string[]): AsyncGenerator<Uint8Array, void, void> {
  for (const part of parts) yield bytes(part)
}

interface Told {
  readonly sent: { statement: HttpStatement; body: string }[]
  closed: number
}

/** An API of three operations that answers as it is told. */
function api(reply: Partial<Reply> & { readonly parts?: AsyncGenerator<Uint8Array> } = {}) {
  const told: Told = { sent: [], closed: 0 }
  const connector: HttpConnector = {
    name: 'crm',
    type: 'rest',
    async send(statement, _exchange, body) {
      const parts: Uint8Array[] = []
      if (body instanceof Uint8Array) parts.push(body)
      else if (body !== undefined) for await (const part of body) parts.push(part)
      told.sent.push({ statement, body: text(parts) })
      const { parts: source = chunks('{"email":"ada@example.com"}'), ...rest } = reply
      return {
        status: 200,
        headers: [['content-type', 'application/json']],
        contentType: 'application/json',
        ...rest,
        body: watched(source, told),
      }
    },
    ready: async () => {},
    close: async () => {},
  }
  const connection: HttpConnection = {
    language: 'http',
    connector,
    operations: operationsOfList(['GET /customers/{id}', 'POST /customers', 'DELETE /customers/{id}']),
    forwardable: (headers) => headers.filter(([name]) => !name.startsWith('x-secret')),
    bodies: { maxRequestBytes: 100, maxKeptBytes: 20, maxRecordedChars: 5, maxAnswerBytes: 1_000 },
    whenAuditIsTight: 'block',
  }
  return { told, connection }
}

/** Closed once, at its end or when it is returned, also where nobody began to read it. */
function watched(source: AsyncGenerator<Uint8Array>, told: Told): AsyncIterable<Uint8Array> {
  let isOpen = true
  const close = (): void => {
    if (isOpen) told.closed += 1
    isOpen = false
  }
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const next = await source.next()
        if (next.done === true) close()
        return next
      },
      async return() {
        close()
        return { done: true, value: undefined }
      },
    }),
  }
}

const GET: HttpQuestion = {
  language: 'http',
  connection: 'crm',
  method: 'GET',
  target: '/customers/7',
  headers: [],
  waitMs: 0,
}
const post = (...parts: readonly string[]): HttpQuestion => ({
  ...GET,
  method: 'POST',
  target: '/customers',
  body: { type: 'application/json', chunks: chunks(...parts) },
})

function through({ connection }: ReturnType<typeof api>, more: Parameters<typeof journey>[0] = {}) {
  const made = journey({ ...more, more: [['crm', connection]] })
  const ask = (question: HttpQuestion = GET): Promise<Outcome> =>
    made.gateway.handle(made.knock(), async () => question)
  return { ...made, ask }
}

function replied(outcome: Outcome): Replied {
  if (outcome.kind !== 'reply') throw new Error(`expected a reply, got ${outcome.kind}`)
  return outcome
}

async function read(outcome: Outcome): Promise<string> {
  const { body } = replied(outcome)
  if (body === undefined || body instanceof Uint8Array) return text(body === undefined ? [] : [body])
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  return text(parts)
}

/** A plugin that fulfils `mask` by starring every `a`. */
function masking(over: Partial<Fulfilment> = {}): readonly ActivePlugin[] {
  const star = (): Transform => {
    let count = 0
    return {
      push: (chunk) => chunk.map((byte) => (byte === 0x61 ? ((count += 1), 0x2a) : byte)),
      end: () => new Uint8Array(),
      counts: () => [{ column: '$.email', strategy: 'star', count }],
    }
  }
  const fulfilment: Fulfilment = { language: 'http', terms: { parse: (it) => it }, answer: star, ...over }
  return [{ name: 'masks', hooks: { fulfil: { mask: fulfilment } } }]
}
const MASKED: Permit = { ...PERMIT, obligations: [{ name: 'mask', terms: [] }] }

describe('an answer', () => {
  it('is on record before the last of it is given, whole', async () => {
    const crm = api()
    const { ask, events, records } = through(crm)
    const outcome = replied(await ask())
    expect(text([outcome.body as Uint8Array])).toBe('{"email":"ada@example.com"}')
    expect(events).toEqual(['audit decided', 'audit completed'])
    expect(records.at(-1)?.completion).toMatchObject({
      ran: 'GET /customers/7',
      status: 200,
      byteCount: 27,
      ending: 'whole',
    })
    expect(crm.told.closed).toBe(1)
  })

  it('is not given where it cannot be put on record', async () => {
    const append = async ({ kind }: { kind: string }): Promise<void> => {
      if (kind === 'completed') throw new Failure('audit-unavailable', 'full')
    }
    const small = through(api(), { append })
    await expect(small.ask()).rejects.toMatchObject({ code: 'audit-unavailable' })
    const long = api({ parts: chunks('x'.repeat(70_000), 'y') })
    const outcome = await through(long, { append }).ask()
    // It breaks off: nobody can take it for whole.
    await expect(read(outcome)).rejects.toMatchObject({ code: 'audit-unavailable' })
  })

  it('streams where it is long or live, and is recorded at its end', async () => {
    for (const reply of [{ parts: chunks('x'.repeat(70_000), 'tail') }, { contentType: 'text/event-stream' }]) {
      const crm = api(reply)
      const { ask, events, inflight } = through(crm)
      const outcome = await ask()
      expect(replied(outcome).body).not.toBeInstanceOf(Uint8Array)
      expect(events).toEqual(['audit decided'])
      await read(outcome)
      expect([events, inflight.count]).toEqual([['audit decided', 'audit completed'], 0])
    }
  })

  it('that breaks off is cut, on record as cut, and is not taken for whole', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes('x'.repeat(70_000))
      throw new Failure('upstream-failed', 'gone')
    }
    const { ask, records, inflight } = through(api({ parts: broken() }))
    await expect(read(await ask())).rejects.toMatchObject({ code: 'upstream-failed' })
    expect(records.at(-1)?.completion).toMatchObject({ ending: 'cut', cut: 'upstream-failed', byteCount: 70_000 })
    expect(inflight.count).toBe(0)
  })

  it('that nobody reads on is closed upstream, and recorded', async () => {
    const crm = api({ parts: chunks('x'.repeat(70_000), 'y', 'z') })
    const { ask, records } = through(crm)
    const { body } = replied(await ask())
    const stream = body as AsyncGenerator<Uint8Array, Completed, void>
    await stream.next()
    await stream.return(undefined as never)
    expect([crm.told.closed, records.at(-1)?.completion]).toMatchObject([1, { ending: 'cut', cut: 'client-gone' }])
  })

  it('to HEAD, and one of a status without a body, has none', async () => {
    expect(replied(await through(api()).ask({ ...GET, method: 'HEAD' })).body).toBeUndefined()
    expect(replied(await through(api({ status: 204 })).ask({ ...GET, method: 'DELETE' })).body).toBeUndefined()
  })
})

describe('a masked answer', () => {
  it('is changed on its way, and how often is on record', async () => {
    for (const parts of [chunks('{"email":"a', 'da"}'), chunks('a'.repeat(70_000), 'a')]) {
      const { ask, records } = through(api({ parts }), { decide: () => MASKED, plugins: masking() })
      expect(await read(await ask())).not.toContain('a')
      const [masked] = records.at(-1)?.completion?.masked ?? []
      expect(masked).toMatchObject({ resource: 'GET /customers/{id}', column: '$.email', strategy: 'star' })
      expect([2, 3, 70_001]).toContain(masked?.count)
    }
  })

  it('tells nothing of what was masked by its headers', async () => {
    const headers = [
      ['content-type', 'application/json'],
      ['etag', '"5d41"'],
      ['last-modified', 'x'],
      ['allow', 'GET'],
    ] as const
    const plain = await through(api({ headers })).ask()
    expect(replied(plain).headers).toEqual(headers)
    const masked = await through(api({ headers }), { decide: () => MASKED, plugins: masking() }).ask()
    expect(replied(masked).headers.map(([name]) => name)).toEqual(['content-type', 'allow'])
  })

  it('cannot be asked for in part, or by what it was', async () => {
    for (const name of ['if-none-match', 'if-match', 'range', 'if-modified-since']) {
      const crm = api()
      const { ask } = through(crm, { decide: () => MASKED, plugins: masking() })
      expect(await ask({ ...GET, headers: [[name, '"5d41"']] })).toMatchObject({
        kind: 'denied',
        exchange: { decision: { reasons: [{ code: 'conditional-under-mask', fix: `leave \`${name}\` out` }] } },
      })
      expect(crm.told.sent).toEqual([])
    }
  })

  it('of a type that cannot be masked is not given at all, though the API did it', async () => {
    const unfulfilled = { code: 'x', because: '`text/csv` cannot be masked' }
    const crm = api({ contentType: 'text/csv' })
    const { ask, records, inflight } = through(crm, {
      decide: () => MASKED,
      plugins: masking({ answer: () => ({ unfulfilled }) }),
    })
    await expect(ask()).rejects.toMatchObject({ code: 'answer-refused', message: '`text/csv` cannot be masked' })
    expect(records.map(({ kind }) => kind)).toEqual(['decided', 'failed'])
    expect([crm.told.closed, inflight.count]).toEqual([1, 0])
  })

  it('that is not what it says is not given, and is cut where it has begun', async () => {
    const answer = (): Transform => ({
      push(chunk) {
        if (text([chunk]).includes('!')) throw new Error('the value was hunter2')
        return chunk
      },
      end: () => new Uint8Array(),
      counts: () => [],
    })
    const plugins = masking({ answer })
    await expect(through(api({ parts: chunks('x!') }), { decide: () => MASKED, plugins }).ask()).rejects.toMatchObject({
      code: 'answer-refused',
      message: 'the answer is not what its content type says, so it cannot be masked',
    })
    const long = through(api({ parts: chunks('x'.repeat(70_000), '!') }), { decide: () => MASKED, plugins })
    await expect(read(await long.ask())).rejects.toThrow('the answer was cut')
    expect(JSON.stringify(long.records)).not.toContain('hunter2')
  })

  it('is denied where nothing can mask it: an obligation of SQL, or of nobody', async () => {
    for (const [plugins, code] of [
      [masking({ language: 'googlesql' }), 'obligation-elsewhere'],
      [[], 'obligation-unknown'],
    ] as const) {
      const crm = api()
      expect(await through(crm, { decide: () => MASKED, plugins }).ask()).toMatchObject({
        exchange: { decision: { effect: 'deny', reasons: [{ code }] } },
      })
      expect(crm.told.sent).toEqual([])
    }
  })

  it('may not be made of another request', async () => {
    const before: Fulfilment['before'] = (statement) =>
      statement.language === 'http' ? { ...statement, target: '/customers/8' } : statement
    const crm = api()
    expect(await through(crm, { decide: () => MASKED, plugins: masking({ before }) }).ask()).toMatchObject({
      exchange: { decision: { reasons: [{ code: 'obligation-widens' }] } },
    })
    expect(crm.told.sent).toEqual([])
  })
})

describe('a body', () => {
  it('is sent as it was judged, with the headers that may pass', async () => {
    const crm = api()
    await through(crm).ask({
      ...post('{"n":', '1}'),
      headers: [
        ['accept', '*/*'],
        ['x-secret', 's'],
      ],
    })
    const [sent] = crm.told.sent
    expect(sent).toMatchObject({ body: '{"n":1}', statement: { headers: [['accept', '*/*']], target: '/customers' } })
    expect(sent?.statement.body).toMatchObject({
      type: 'application/json',
      length: 7,
      excerpt: '{"n":… (cut: 7 characters)',
      json: { n: 1 },
    })
  })

  it('that is long streams past; what was sent is on record at the end', async () => {
    const crm = api()
    const { ask, records } = through(crm)
    await ask(post('x'.repeat(15), 'y'.repeat(15)))
    expect(crm.told.sent[0]).toMatchObject({ body: 'x'.repeat(15) + 'y'.repeat(15) })
    expect(crm.told.sent[0]?.statement.body).toEqual({ type: 'application/json' })
    expect(records.at(-1)?.completion?.sent).toEqual({ bytes: 30, digest: expect.stringMatching(/^[0-9a-f]{64}$/) })
  })

  it('that is too large is refused, declared or not', async () => {
    const crm = api()
    const { ask } = through(crm)
    const declared: HttpQuestion = { ...post(), body: { type: 'text/plain', length: 101, chunks: chunks('x') } }
    await expect(ask(declared)).rejects.toMatchObject({ code: 'body-too-large' })
    await expect(ask(post('x'.repeat(101)))).rejects.toMatchObject({ code: 'body-too-large' })
    await expect(ask(post('x'.repeat(60), 'x'.repeat(60)))).rejects.toMatchObject({ code: 'body-too-large' })
    expect(crm.told.sent).toEqual([])
  })

  it('may be masked on its way as well', async () => {
    const request: Fulfilment['request'] = () => ({
      push: (chunk) => bytes(text([chunk]).toUpperCase()),
      end: () => bytes('.'),
      counts: () => [{ column: '$.n', strategy: 'upper', count: 1 }],
    })
    const { answer: _, ...rest } = masking({ request })[0]?.hooks.fulfil?.['mask'] ?? { terms: { parse: () => 0 } }
    const plugins: readonly ActivePlugin[] = [{ name: 'm', hooks: { fulfil: { mask: rest } } }]
    for (const parts of [['"abc"'], ['"abc', 'd'.repeat(30), '"']]) {
      const crm = api()
      const { ask, records } = through(crm, { decide: () => MASKED, plugins })
      await ask(post(...parts))
      expect(crm.told.sent[0]?.body).toBe(`${parts.join('').toUpperCase()}.`)
      expect(records.at(-1)?.completion).toMatchObject({
        masked: [{ strategy: 'upper' }],
        sent: { bytes: parts.join('').length + 1 },
      })
    }
  })
})

describe('a request', () => {
  it('that is denied by its name is not inspected, and none is sent', async () => {
    const crm = api()
    const { ask, events } = through(crm, { denyByName: () => DENY })
    expect(await ask()).toMatchObject({ kind: 'denied' })
    expect([events, crm.told.sent]).toEqual([['audit decided'], []])
  })

  it('is not held where its body is too large to be kept', async () => {
    const { ask } = through(api(), { decide: () => HOLD })
    expect(await ask(post('x'.repeat(30)))).toMatchObject({
      kind: 'denied',
      exchange: { decision: { reasons: [{ code: 'too-large-to-hold' }] } },
    })
  })

  it('that fails upstream has its failure on record, and is known not to have been sent only where that is certain', async () => {
    const crm = api()
    const send = async (): Promise<never> => Promise.reject(new Failure('upstream-late', 'no answer'))
    const { ask, records, inflight } = through({
      ...crm,
      connection: { ...crm.connection, connector: { ...crm.connection.connector, send } },
    })
    await expect(ask()).rejects.toMatchObject({ code: 'upstream-late' })
    expect(records.map(({ kind }) => kind)).toEqual(['decided', 'failed'])
    expect(inflight.count).toBe(0)
  })

  it('in another language than the connection speaks is told where it belongs', async () => {
    const { gateway, knock, ask } = through(api())
    await expect(ask({ ...GET, connection: 'warehouse' })).rejects.toMatchObject({ code: 'bad-request' })
    const sql = { language: 'googlesql', connection: 'crm', sql: 'SELECT 1', parameters: [], waitMs: 0 } as const
    await expect(gateway.handle(knock(), async () => sql)).rejects.toMatchObject({
      code: 'bad-request',
      detail: { fix: 'send them to /proxy/crm/…' },
    })
  })
})
