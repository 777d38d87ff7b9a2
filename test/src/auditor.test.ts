/** The auditors' door: nothing is read that is not recorded, nothing ends unrecorded, and nobody keeps a place for ever. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type {
  AuditLog,
  AuditQuery,
  AuditReader,
  AuditRecord,
  ExchangeAsked,
  ReplayEvent,
} from '../../src/audit/contract.ts'
import { Auditor } from '../../src/auditor.ts'
import { Door, type Knock } from '../../src/door.ts'
import type { Principal } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import { Inflight } from '../../src/inflight.ts'
import type { Runtime } from '../../src/runtime.ts'
import { nodeHasher } from '../support/hasher.ts'

const ID = '01930000-0000-7000-8000-000000000001'
const HEDY: Principal = { issuer: 'corp', subject: 'hedy', kind: 'person', plane: 'people', groups: ['auditors'] }
const unwritable = new Failure('audit-unavailable', 'the disk is full')

interface Given {
  readonly principal?: Principal
  /** Throws what the log rejects with. */
  readonly append?: (record: AuditRecord) => void
  readonly events?: readonly ReplayEvent[]
  readonly body?: ReadableStream<Uint8Array>
  readonly mostMs?: number
}

function stage(given: Given = {}) {
  const records: AuditRecord[] = []
  const asked: (AuditQuery | ExchangeAsked)[] = []
  const inflight = new Inflight(100, given.mostMs ?? 60_000)
  const audit: AuditLog = {
    async append(record) {
      given.append?.(record)
      records.push(record)
    },
    status: () => ({ writable: true, tight: false, backlogRecords: 0, backlogBytes: 0 }),
    close: async () => {},
  }
  const runtime: Runtime = {
    clock: { now: () => 1000, monotonic: () => performance.now() },
    newId: () => ID,
    hasher: nodeHasher,
    secrets: { read: async () => 'secret' },
    fetch: () => Promise.reject(new Error('no network here')),
    log: () => {},
    background: (_, work) => void work.catch(() => {}),
  }
  const identity = { identify: async () => given.principal ?? HEDY, ready: async () => {} }
  const door = new Door({ runtime, identity, audit, inflight })
  const reader: AuditReader = {
    async query(request) {
      asked.push(request)
      return { contentType: 'text/plain', body: given.body ?? bodyOf('one', 'two'), rows: () => 2 }
    },
    async exchange(request) {
      asked.push(request)
      return request.exchange === ID ? { exchange: ID, records: [{}], bodies: [] } : undefined
    },
    async replay(request) {
      asked.push(request)
      return request.exchange === ID ? events(given.events ?? []) : undefined
    },
    ready: async () => {},
  }
  const scopes = [{ groups: ['crm-auditors'], connections: ['crm'] }]
  const auditor = new Auditor({ runtime, door, audit, reader, groups: ['auditors'], scopes })
  return { auditor, records, asked, inflight, kinds: () => records.map(({ kind }) => kind) }
}

async function* events(list: readonly ReplayEvent[]): AsyncGenerator<ReplayEvent> {
  yield* list
}

function bodyOf(...pieces: readonly string[]): ReadableStream<Uint8Array> {
  return new Blob([...pieces]).stream()
}

function knock(signal = new AbortController().signal): Knock {
  return { id: ID, receivedAt: 990, surface: 'audit', credentials: { authorization: 'x', cookie: false }, signal }
}

const SQL = async () => ({ sql: 'SELECT 1', params: { a: 1 }, format: 'ndjson' }) as const

describe('what cannot be recorded', () => {
  test('is not asked', async () => {
    const { auditor, asked, inflight } = stage({
      append() {
        throw unwritable
      },
    })
    await expect(auditor.query(knock(), SQL)).rejects.toMatchObject({ code: 'audit-unavailable' })
    await expect(auditor.exchange(knock(), () => ID)).rejects.toMatchObject({ code: 'audit-unavailable' })
    const replay = auditor.replay(knock(), () => ({ id: ID, speed: 'max' }))
    await expect(replay).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect([asked, inflight.count]).toEqual([[], 0])
  })

  test('as it ended, does not end: the last piece stays behind', async () => {
    const { auditor, kinds, inflight } = stage({
      append({ kind }) {
        if (kind === 'completed') throw unwritable
      },
      events: [
        { at: 0, event: 'request' },
        { at: 0, event: 'end' },
      ],
    })
    const { body } = await auditor.query(knock(), SQL)
    const read: string[] = []
    const whole = (async () => {
      for await (const piece of body) read.push(new TextDecoder().decode(piece))
    })()
    await expect(whole).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(read.join('')).not.toBe('onetwo')
    const replay = await auditor.replay(knock(), () => ({ id: ID, speed: 'max' }))
    await expect(new Response(replay).text()).rejects.toThrow()
    await expect(auditor.exchange(knock(), () => ID)).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(kinds()).toEqual(['audit-query', 'audit-query', 'audit-query', 'refused'])
    expect(inflight.count).toBe(0)
  })
})

test('a query is recorded with its text and the names of its parameters, and with what came of it', async () => {
  const { auditor, records, inflight } = stage()
  const { body } = await auditor.query(knock(), SQL)
  expect(await new Response(body).text()).toBe('onetwo')
  const statement = { language: 'clickhouse', kind: 'SELECT', text: 'SELECT 1', uses: [], parameters: ['a'] }
  const common = {
    at: 1000,
    receivedAt: 990,
    exchange: ID,
    surface: 'audit',
    plane: 'people',
    principal: HEDY,
    statement,
  }
  expect(records).toEqual([
    { kind: 'audit-query', ...common },
    {
      kind: 'completed',
      ...common,
      completion: {
        ran: 'SELECT 1',
        rowCount: 2,
        byteCount: 6,
        masked: [],
        statistics: { durationMs: 10 },
        ending: 'whole',
        timings: { totalMs: 10 },
      },
    },
  ])
  expect(inflight.count).toBe(0)
})

describe('who may ask', () => {
  test('an auditor of one connection asks of it alone, whatever they ask', async () => {
    const { auditor, asked } = stage({ principal: { ...HEDY, groups: ['crm-auditors'] } })
    await auditor.query(knock(), SQL)
    await auditor.exchange(knock(), () => ID)
    await auditor.replay(knock(), () => ({ id: ID, speed: 'max' }))
    expect(asked.map(({ connections }) => connections)).toEqual([['crm'], ['crm'], ['crm']])
  })

  test.each<[string, Principal]>([
    ['a person of no such group', { ...HEDY, groups: ['others'] }],
    ['an agent in the group', { ...HEDY, kind: 'agent' }],
    ['a service in the group', { ...HEDY, kind: 'service' }],
  ])('%s may not', async (_, principal) => {
    const { auditor, asked, records } = stage({ principal })
    await expect(auditor.query(knock(), SQL)).rejects.toMatchObject({ code: 'not-auditor' })
    await expect(auditor.exchange(knock(), () => ID)).rejects.toMatchObject({ code: 'not-auditor' })
    const replay = auditor.replay(knock(), () => ({ id: ID, speed: 1 }))
    await expect(replay).rejects.toMatchObject({ code: 'not-auditor' })
    expect(asked).toEqual([])
    expect(records.map(({ kind, failure }) => [kind, failure?.code])).toEqual(
      Array.from({ length: 3 }, () => ['refused', 'not-auditor']),
    )
  })

  test('of what is not there, or not theirs, one answer', async () => {
    const { auditor, kinds } = stage()
    const other = '01930000-0000-7000-8000-000000000002'
    await expect(auditor.exchange(knock(), () => other)).rejects.toMatchObject({ code: 'not-found' })
    const replay = auditor.replay(knock(), () => ({ id: other, speed: 1 }))
    await expect(replay).rejects.toMatchObject({ code: 'not-found' })
    expect(kinds()).toEqual(['audit-query', 'refused', 'audit-query', 'refused'])
  })
})

describe('an answer that nobody takes', () => {
  const endless = (): ReadableStream<Uint8Array> =>
    new ReadableStream({ pull: (into) => into.enqueue(new Uint8Array(10)) }, { highWaterMark: 0 })

  test('ends with its client, recorded as cut', async () => {
    const { auditor, records, inflight } = stage({ body: endless() })
    const client = new AbortController()
    const { body } = await auditor.query(knock(client.signal), SQL)
    await body.getReader().read()
    client.abort()
    await vi.waitFor(() => expect(inflight.count).toBe(0))
    expect(records.at(-1)?.completion).toMatchObject({ ending: 'cut', cut: 'client-gone', byteCount: 10 })
  })

  test('ends when its time is up, recorded as cut', async () => {
    const { auditor, records, inflight } = stage({ body: endless(), mostMs: 30 })
    const { body } = await auditor.query(knock(), SQL)
    await vi.waitFor(() => expect(inflight.count).toBe(0))
    await expect(body.getReader().read()).rejects.toMatchObject({ code: 'upstream-late' })
    expect(records.at(-1)?.completion).toMatchObject({ ending: 'cut', cut: 'upstream-late' })
  })
})

describe('replay', () => {
  test('waits as long as it took, in parts of it, and never longer than a person would', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const day = 86_400_000
    const { auditor } = stage({
      events: [
        { at: 0, event: 'request' },
        { at: 500, event: 'decided' },
        { at: day, event: 'hold' },
        { at: day + 1000, event: 'completed' },
        { at: day + 1000, event: 'end' },
      ],
    })
    const replay = await auditor.replay(knock(), () => ({ id: ID, speed: 2 }))
    const begun = performance.now()
    const came: [number, string][] = []
    const reading = (async () => {
      const decoder = new TextDecoder()
      for await (const line of replay) {
        const { event } = JSON.parse(decoder.decode(line)) as ReplayEvent
        came.push([performance.now() - begun, event])
      }
    })()
    await vi.advanceTimersByTimeAsync(11_000)
    await reading
    expect(came).toEqual([
      [0, 'request'],
      [250, 'decided'],
      [10_250, 'hold'],
      [10_750, 'completed'],
      [10_750, 'end'],
    ])
  })

  test('outlasts the time of an ordinary request, and ends at the shutdown', async () => {
    const { auditor, records, inflight } = stage({
      mostMs: 20,
      events: [
        { at: 0, event: 'request' },
        { at: 50, event: 'decided' },
        { at: 60_000, event: 'completed' },
      ],
    })
    const lines = (await auditor.replay(knock(), () => ({ id: ID, speed: 1 }))).getReader()
    expect((await lines.read()).done).toBe(false)
    expect(new TextDecoder().decode((await lines.read()).value)).toContain('decided')
    const third = lines.read()
    await Promise.all([inflight.drain(1), expect(third).rejects.toMatchObject({ code: 'shutting-down' })])
    expect(records.at(-1)).toMatchObject({ kind: 'completed', completion: { ending: 'cut', cut: 'shutting-down' } })
  })

  test('is bounded in number, and a place is free again once one ended', async () => {
    const { auditor } = stage({ events: [{ at: 0, event: 'end' }] })
    const begin = () => auditor.replay(knock(), () => ({ id: ID, speed: 'max' }))
    const all = await Promise.all(Array.from({ length: 20 }, begin))
    await expect(begin()).rejects.toMatchObject({ code: 'overloaded', detail: { retryAfter: 10 } })
    await all[0]?.cancel()
    await vi.waitFor(async () => expect(await begin()).toBeInstanceOf(ReadableStream))
  })
})
