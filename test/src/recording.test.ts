/** What policy wants recorded of an exchange's bodies: durable before it goes out, without its secrets, or nothing goes out. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { maskJson } from '../../plugins/mask-json/index.ts'
import { recordBodies } from '../../plugins/record-bodies/index.ts'
import { newAuditorKey, sealerOf, unsealed } from '../../src/audit/bodies/seal.ts'
import type { AuditRecord, PayloadLog } from '../../src/audit/contract.ts'
import type { HttpConnector, Reply } from '../../src/connection/contract.ts'
import type { Permit } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import { termsOf, type ActivePlugin } from '../../src/fulfil.ts'
import type { Answered, HttpConnection, HttpQuestion, Outcome } from '../../src/gateway.ts'
import { Health } from '../../src/health.ts'
import { Inflight } from '../../src/inflight.ts'
import type { Runtime } from '../../src/runtime.ts'
import { operationsOfList } from '../../src/statement/http/operations.ts'
import { journey, PERMIT, QUESTION, rows } from '../support/journey.ts'
import { FULL, payloads } from '../support/payloads.ts'

const sha = (text: string): string => createHash('sha256').update(text).digest('hex')
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
/** Not keyed, so that a test can read it. */
const digest = (text: string): string => `<${text}>`

const runtime = { secrets: { read: async () => 'a key of the tests' } } as unknown as Runtime
const plugins: readonly ActivePlugin[] = [
  { name: 'record-bodies', hooks: await recordBodies.create({}, runtime) },
  { name: 'mask-json', hooks: await maskJson.create(maskJson.options.parse(undefined), runtime) },
]

/** A permit that demands this. */
function demanding(record: object, more: Permit['obligations'] = []): Permit {
  const terms = recordBodies.options && [plugins[0]?.hooks.fulfil?.['record-bodies']?.terms.parse(record)]
  return { ...PERMIT, obligations: [...more, { name: 'record-bodies', terms }] }
}

type Broken = Parameters<typeof journey>[0]

function sql(record: object, log: PayloadLog | undefined, more: Broken = {}) {
  return journey({ ...more, decide: () => demanding(record), plugins, ...(log && { payloads: log }) })
}

async function readAll(outcome: Outcome): Promise<{ text: string; ending: string; cut: string | undefined }> {
  if (outcome.kind !== 'answer') throw new Error(outcome.kind)
  const { rows: batches } = outcome as Answered
  let text = ''
  for (;;) {
    const next = await batches.next()
    if (next.done === true) return { text, ending: next.value.ending, cut: next.value.cut }
    text += new TextDecoder().decode(next.value.bytes)
  }
}

const completionOf = (records: readonly AuditRecord[]) => records.find(({ kind }) => kind === 'completed')?.completion
const HEAD = '{"columns":[{"name":"id","type":"INT64"}]}\n'

describe('rows', () => {
  it('are recorded behind a line with their columns, durable before the record that names them', async () => {
    const events: string[] = []
    const { log, text } = payloads({ events })
    const made = sql({ answer: 'full' }, log, { append: async ({ kind }) => void events.push(kind) })
    const answer = await readAll(await made.gateway.handle(made.knock(), async () => QUESTION))
    expect(answer).toEqual({ text: '[1]\n[2]\n[3]\n', ending: 'whole', cut: undefined })
    expect(text('answer')).toBe(`${HEAD}[1]\n[2]\n[3]\n`)
    expect(events).toEqual(['decided', 'body answer whole', 'completed'])
    const all = `${HEAD}[1]\n[2]\n[3]\n`
    expect(completionOf(made.records)).toMatchObject({
      timings: { firstByteMs: 0, totalMs: 0 },
      bodies: {
        answer: {
          mode: 'full',
          type: 'application/x-ndjson',
          bytes: all.length,
          digest: sha(all),
          kept: all.length,
          keptDigest: sha(all),
        },
      },
    })
  })

  it('have digests where policy names secrets; what goes out is not touched', async () => {
    const { log, text, rows: recorded } = payloads({ digest })
    const made = sql({ answer: { first: 20 }, secrets: ['shop.customers.id'] }, log)
    const answer = await readAll(await made.gateway.handle(made.knock(), async () => QUESTION))
    expect(answer.text).toBe('[1]\n[2]\n[3]\n')
    expect(text('answer')).toBe(HEAD.slice(0, 20))
    // "Was this ever returned?" has an answer though the rows are not kept.
    expect(recorded.flatMap((row) => row.digests)).toEqual(['<1>', '<2>', '<3>'])
  })

  it('of which it is not known what flows into them are not kept where policy names secrets', async () => {
    const { log, rows: recorded } = payloads({ digest })
    const run = async () => ({
      job: 'job',
      columns: [],
      batches: (async function* () {
        yield rows(7)
      })(),
      statistics: () => ({ durationMs: 1 }),
    })
    const made = sql({ answer: 'full', secrets: ['shop.customers.id'] }, log, { connector: { run } })
    await readAll(await made.gateway.handle(made.knock(), async () => QUESTION))
    expect(recorded).toMatchObject([{ content: new Uint8Array(), mark: expect.stringContaining('not known which') }])
    expect(completionOf(made.records)?.bodies?.answer).toMatchObject({ mode: 'digest', kept: 0 })
  })

  it('are cut where they cannot be recorded, before the batch that could not be', async () => {
    let broken = false
    const { log } = payloads({ append: async () => (broken ? Promise.reject(FULL) : undefined) })
    async function* batches() {
      yield rows(1)
      broken = true
      for (let i = 0; i < 10; i++) yield { rowCount: 1, bytes: bytes(`["${'x'.repeat(262_140)}"]\n`) }
    }
    const made = sql({ answer: 'full' }, log, { batches })
    const answer = await readAll(await made.gateway.handle(made.knock(), async () => QUESTION))
    expect(answer).toMatchObject({ ending: 'cut', cut: 'audit-unavailable' })
    expect(answer.text.split('\n').length).toBeLessThan(6)
    // The record says that it was cut, and claims nothing of a body that is not all there.
    expect(completionOf(made.records)).toMatchObject({ ending: 'cut', cut: 'audit-unavailable' })
    expect(completionOf(made.records)?.bodies).toBeUndefined()
  })

  it('that are cut only at their end say so, too', async () => {
    const { log } = payloads({ append: () => Promise.reject(FULL) })
    const made = sql({ answer: 'full' }, log)
    const answer = await readAll(await made.gateway.handle(made.knock(), async () => QUESTION))
    expect(answer).toMatchObject({ ending: 'cut', cut: 'audit-unavailable' })
  })

  it('of a client that left are recorded as far as they went', async () => {
    const { log, rows: recorded } = payloads()
    const made = sql({ answer: 'full' }, log)
    const outcome = (await made.gateway.handle(made.knock(), async () => QUESTION)) as Answered
    await outcome.rows.next()
    await outcome.rows.return(undefined as never)
    expect(recorded.at(-1)).toMatchObject({ is_last: true, mark: 'client-gone' })
    expect(completionOf(made.records)).toMatchObject({
      ending: 'cut',
      cut: 'client-gone',
      bodies: { answer: { mode: 'full' } },
    })
  })
})

describe('parameters', () => {
  const parameters = [{ name: 'id', type: { kind: 'INT64' as const }, value: '42' }]
  it('are recorded before anything runs, and secret ones by their digest', async () => {
    const { log, text } = payloads({ digest })
    const made = sql({ request: 'full', secrets: ['@id'] }, log, {
      connector: {
        run: () => {
          expect(text('request')).toBe('{"params":[{"name":"id","type":"INT64","value":"hmac:<42>"}]}')
          return Promise.reject(new Failure('upstream-refused', 'no'))
        },
      },
    })
    const asked = made.gateway.handle(made.knock(), async () => ({ ...QUESTION, parameters }))
    await expect(asked).rejects.toMatchObject({ code: 'upstream-refused' })
    const failed = made.records.find(({ kind }) => kind === 'failed')
    expect(failed?.broken).toMatchObject({ timings: { totalMs: 0 }, bodies: { request: { mode: 'full', bytes: 61 } } })
  })

  it('that cannot be recorded do not run', async () => {
    const { log } = payloads({ append: () => Promise.reject(FULL) })
    const made = sql({ request: 'full' }, log)
    const asked = made.gateway.handle(made.knock(), async () => ({ ...QUESTION, parameters }))
    await expect(asked).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(made.events.filter((event) => event.startsWith('run'))).toEqual([])
  })
})

describe('what cannot be recorded at all', () => {
  it.each([
    ['there is no log of bodies', { answer: 'full' }, undefined, 'no log takes them'],
    ['there is no key for secrets', { answer: 'full', secrets: ['id'] }, payloads().log, 'digestKey'],
    ['there is no auditor to seal for', { seal: true }, payloads().log, 'sealTo'],
  ])('is denied where %s', async (_, record, log, words) => {
    const made = sql(record, log)
    const outcome = await made.gateway.handle(made.knock(), async () => QUESTION)
    expect(outcome).toMatchObject({
      kind: 'denied',
      exchange: { decision: { reasons: [{ code: 'recording-unavailable' }] } },
    })
    expect(JSON.stringify(outcome)).toContain(words)
    expect(made.events).toEqual(['catalog', 'estimate', 'audit decided'])
  })

  it('does not run where the log takes no more', async () => {
    const full = payloads({ status: () => ({ writable: false, tight: true, backlogRecords: 1, backlogBytes: 1 }) })
    for (const record of [{ request: 'full' }, { answer: 'full' }]) {
      const made = sql(record, full.log)
      const asked = made.gateway.handle(made.knock(), async () => QUESTION)
      await expect(asked).rejects.toMatchObject({ code: 'audit-unavailable' })
      expect(made.events.filter((event) => event.startsWith('run'))).toEqual([])
      expect(made.records.map(({ kind }) => kind)).toEqual(['decided', 'failed'])
    }
  })

  it('is cut where the log is full only when the answer begins', async () => {
    const { log } = payloads({
      open: () => {
        throw FULL
      },
    })
    const made = sql({ answer: 'full' }, log)
    const answer = await readAll(await made.gateway.handle(made.knock(), async () => QUESTION))
    expect(answer).toEqual({ text: '', ending: 'cut', cut: 'audit-unavailable' })
  })

  it('refuses the policy that asks for it when it is loaded', () => {
    const fulfilment = plugins[0]?.hooks.fulfil?.['record-bodies']
    if (fulfilment === undefined) throw new Error('no fulfilment')
    const secret = { answer: 'full', secrets: ['$.id'] }
    expect(() => termsOf(fulfilment, {}).parse(secret)).toThrow('`audit.bodies.digestKey`, which is not configured')
    expect(() => termsOf(fulfilment, { digest: 'env:KEY' }).parse({ ...secret, seal: true })).toThrow(
      '`audit.bodies.sealTo`',
    )
    expect(termsOf(fulfilment, { digest: 'env:KEY' }).parse(secret)).toEqual(secret)
    expect(termsOf(fulfilment, {}).parse({ answer: 'full' })).toEqual({ answer: 'full' })
  })
})

// ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function* chunks(...parts: readonly string[]): AsyncGenerator<Uint8Array, void, void> {
  for (const part of parts) yield bytes(part)
}

function http(
  permit: Permit,
  log: PayloadLog,
  reply: Partial<Omit<Reply, 'body'>> & { readonly parts?: AsyncIterable<Uint8Array> } = {},
  more: Broken = {},
) {
  const sent: string[] = []
  const connector: HttpConnector = {
    name: 'crm',
    type: 'rest',
    async send(_statement, _exchange, body) {
      const parts: Uint8Array[] = []
      if (body instanceof Uint8Array) parts.push(body)
      else if (body !== undefined) for await (const part of body) parts.push(part)
      sent.push(Buffer.concat(parts).toString())
      const { parts: given = chunks('{"email":"ada@example.com","id":7}'), ...rest } = reply
      return { status: 200, headers: [], contentType: 'application/json', ...rest, body: given }
    },
    ready: async () => {},
    close: async () => {},
  }
  const connection: HttpConnection = {
    language: 'http',
    connector,
    operations: operationsOfList(['GET /customers/{id}', 'POST /customers']),
    forwardable: (headers) => headers,
    bodies: { maxRequestBytes: 1_000_000, maxKeptBytes: 20, maxRecordedChars: 5, maxAnswerBytes: 1_000 },
    whenAuditIsTight: 'block',
  }
  const made = journey({
    limits: { maxTimeoutMs: 60_000 },
    ...more,
    decide: () => permit,
    plugins,
    payloads: log,
    more: [['crm', connection]],
  })
  const ask = (question: HttpQuestion): Promise<Outcome> => made.gateway.handle(made.knock(), async () => question)
  return { ...made, sent, ask }
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

async function bodyOf(outcome: Outcome): Promise<string> {
  if (outcome.kind !== 'reply') throw new Error(outcome.kind)
  const { body } = outcome
  if (body === undefined || body instanceof Uint8Array) return Buffer.from(body ?? []).toString()
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  return Buffer.concat(parts).toString()
}

const MASK = { name: 'mask-json', terms: [{ response: { '$.email': 'redact' } }] }

describe('bodies of an API', () => {
  it('are recorded as they went out: masked, and without secrets', async () => {
    const { log, text } = payloads({ digest })
    const { ask, records } = http(demanding({ request: 'full', answer: 'full', secrets: ['$.id'] }, [MASK]), log)
    expect(await bodyOf(await ask(post('{"id":', '"42"}')))).toBe('{"email":"[redacted]","id":7}')
    expect(text('request')).toBe('{"id":"hmac:<42>"}')
    expect(text('answer')).toBe('{"email":"[redacted]","id":"hmac:<7>"}')
    // Nor does a record hold the secret, or a digest that could be guessed at.
    expect(records[0]?.statement?.request).toEqual({
      type: 'application/json',
      bytes: 11,
      text: '(withheld: policy calls values in it secret)',
      digest: `hmac:<${sha('{"id":"42"}')}>`,
    })
    expect(JSON.stringify(records)).not.toContain('\\"42\\"')
    const { bodies } = completionOf(records) ?? {}
    expect(bodies?.request).toMatchObject({ digest: sha('{"id":"hmac:<42>"}') })
    expect(bodies?.answer).toMatchObject({ digest: sha('{"email":"[redacted]","id":"hmac:<7>"}') })
  })

  it('that stream are recorded piece by piece, each before it goes out', async () => {
    const events: string[] = []
    const { log, text } = payloads({ events })
    const parts = chunks(`"${'x'.repeat(200_000)}`, `${'y'.repeat(100_000)}"`)
    const { ask, records } = http(
      demanding({ answer: 'full' }),
      log,
      { parts },
      { append: async ({ kind }) => void events.push(kind) },
    )
    const answer = await bodyOf(await ask(GET))
    expect(text('answer')).toBe(answer)
    expect(events).toEqual(['decided', 'body answer', 'body answer whole', 'completed'])
    expect(completionOf(records)?.bodies?.answer).toMatchObject({ bytes: 300_002, kept: 300_002 })
  })

  it('that stream in are recorded before they are forwarded', async () => {
    const { log, text } = payloads()
    const { ask, sent } = http(demanding({ request: { first: 10 } }), log)
    await bodyOf(await ask(post('{"note":"', 'a'.repeat(50), '"}')))
    expect(sent).toEqual([`{"note":"${'a'.repeat(50)}"}`])
    expect(text('request')).toBe('{"note":"a')
  })

  it('that cannot be recorded do not go out: a problem where nothing has, a cut behind that', async () => {
    const { log } = payloads({ append: () => Promise.reject(FULL) })
    const small = http(demanding({ answer: 'full' }), log)
    await expect(small.ask(GET)).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(small.records.map(({ kind }) => kind)).toEqual(['decided', 'failed'])
    const parts = chunks(...Array.from({ length: 8 }, () => 'x'.repeat(200_000)))
    const long = http(demanding({ answer: 'full' }), log, { parts, contentType: 'text/plain' })
    await expect(bodyOf(await long.ask(GET))).rejects.toThrow('the answer was cut')
    expect(completionOf(long.records)).toMatchObject({ ending: 'cut', cut: 'audit-unavailable' })
    const request = http(demanding({ request: 'full' }), log)
    await expect(request.ask(post('{"a":1}'))).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(request.sent).toEqual([])
  })

  it('in which nobody can find a secret are recorded by their digest alone, and marked', async () => {
    const { log, rows: recorded } = payloads({ digest })
    const { ask, records } = http(demanding({ answer: 'full', secrets: ['$.id'] }), log, {
      contentType: 'text/html',
      parts: chunks('<b>7</b>'),
    })
    expect(await bodyOf(await ask(GET))).toBe('<b>7</b>')
    expect(recorded).toMatchObject([
      { content: new Uint8Array(), is_last: true, mark: expect.stringContaining('none can be found') },
    ])
    expect(completionOf(records)?.bodies?.answer).toMatchObject({ mode: 'digest', bytes: 8, kept: 0 })
  })

  it('that are not what they say are kept up to where secrets could be found', async () => {
    const { log, rows: recorded, text } = payloads({ digest })
    const parts = chunks('{"id":7,', 'what?', '"secret":8}')
    const { ask } = http(demanding({ answer: 'full', secrets: ['$.id', '$.secret'] }), log, { parts })
    expect(await bodyOf(await ask(GET))).toBe('{"id":7,what?"secret":8}')
    expect(text('answer')).toBe('{"id":"hmac:<7>",')
    expect(recorded.at(-1)?.mark).toContain('could not be found')
  })

  it('without a body have none recorded', async () => {
    const { log, rows: recorded } = payloads()
    const { ask, records } = http(demanding({ answer: 'full', request: 'full' }), log, { status: 204, parts: chunks() })
    expect(await bodyOf(await ask(GET))).toBe('')
    expect(recorded).toEqual([])
    expect(completionOf(records)?.bodies).toBeUndefined()
  })
})

describe('a request with secrets that streams', () => {
  it('has no digest in its record that could be guessed at', async () => {
    const { log } = payloads({ digest })
    const { ask, records } = http(demanding({ request: 'digest', secrets: ['$.note'] }), log)
    const sent = `{"note":"${'a'.repeat(50)}"}`
    await bodyOf(await ask(post(sent)))
    expect(completionOf(records)).toMatchObject({ sent: { bytes: sent.length, digest: `hmac:<${sha(sent)}>` } })
    expect(JSON.stringify(records)).not.toContain(`"${sha(sent)}"`)
  })
})

describe('originals of masked values', () => {
  it('are sealed for the auditors, who alone can read them; nothing else holds them', async () => {
    const auditor = await newAuditorKey()
    const { log, text, rows: recorded } = payloads({ seal: await sealerOf([auditor.publicKey]) })
    const masks = [
      { name: 'mask-json', terms: [{ response: { '$.email': 'redact' }, request: { '$.card': 'redact' } }] },
    ]
    const { ask, records, sent } = http(demanding({ answer: 'full', seal: true }, masks), log)
    expect(await bodyOf(await ask(post('{"card":"4111"}')))).toBe('{"email":"[redacted]","id":7}')
    expect(sent).toEqual(['{"card":"[redacted]"}'])
    const lines = text('sealed').trimEnd().split('\n')
    const opened = (await Promise.all(lines.map((line) => unsealed(line, auditor.privateKey)))).flat()
    const { exchange } = records[0] ?? {}
    expect(opened).toEqual([
      { exchange, where: '$.card', value: '4111' },
      { exchange, where: '$.email', value: 'ada@example.com' },
    ])
    expect(
      JSON.stringify([recorded.map((row) => [row.mark, Buffer.from(row.content).toString()]), records]),
    ).not.toMatch(/ada@|4111/)
  })

  it('that cannot be sealed cut the answer', async () => {
    const { log } = payloads({ seal: () => Promise.reject(new Error('no such key')) })
    const { ask, records } = http(demanding({ seal: true }, [MASK]), log)
    await expect(ask(GET)).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(records.map(({ kind }) => kind)).toEqual(['decided', 'failed'])
  })

  it('are bounded, and the rest is counted', async () => {
    const auditor = await newAuditorKey()
    const { log, rows: recorded } = payloads({ seal: await sealerOf([auditor.publicKey]) })
    const one = `{"email":"${'\\u0001'.repeat(10_000)}"}`
    const long = `{"email":"${'e'.repeat(20_000)}"}`
    const parts = chunks(`[${long}`, ...Array.from({ length: 599 }, () => `,${one}`), ']')
    const masks = [{ name: 'mask-json', terms: [{ response: { '$[*].email': 'null' } }] }]
    const { ask } = http(demanding({ seal: true }, masks), log, { parts })
    await bodyOf(await ask(GET))
    // Each piece holds whole lines: however they are fetched, they can be opened.
    for (const { content } of recorded) expect(content.at(-1)).toBe(10)
    const sealed = recorded.filter((row) => row.direction === 'sealed')
    expect(sealed.at(-1)?.mark).toMatch(/^\d+ more originals are not kept$/)
    const text = Buffer.concat(sealed.map((row) => row.content)).toString()
    const opened = (
      await Promise.all(
        text
          .trimEnd()
          .split('\n')
          .map((line) => unsealed(line, auditor.privateKey)),
      )
    ).flat()
    expect(opened.length).toBeGreaterThan(200)
    expect(opened[0]).toMatchObject({ where: '$[*].email', value: 'e'.repeat(16_384), cut: true })
    expect(opened.length + Number(sealed.at(-1)?.mark.split(' ')[0])).toBe(600)
  })
})

it('how far the log of bodies is behind is a metric', () => {
  const status = () => ({
    writable: false,
    tight: true,
    backlogRecords: 2,
    backlogBytes: 300,
    deliveryProblem: 'ECONNREFUSED',
  })
  const { log } = payloads({ status })
  const audit = { append: async () => {}, status: log.status, close: async () => {} }
  const metrics = new Health([], audit, new Inflight(1, 1000), log).metrics()
  expect(metrics.match(/^sluice_bodies_\w+ \d+$/gm)).toEqual([
    'sluice_bodies_journal_writable 0',
    'sluice_bodies_backlog_bytes 300',
    'sluice_bodies_delivery_problem 1',
  ])
})
