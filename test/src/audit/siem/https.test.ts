import { describe, expect, test } from 'vitest'
import { createHttps, type HttpsOptions } from '../../../../src/audit/siem/https.ts'
import type { OcsfEvent } from '../../../../src/audit/siem/ocsf.ts'
import { clock, decidedFully, noted } from '../stage.ts'
import { HttpsReceiver } from './receivers.ts'
import { segmentOf } from './segment.ts'

const upTo = (count: number, from = 1): readonly number[] => Array.from({ length: count }, (_, n) => n + from)
const patient = (): AbortSignal => AbortSignal.timeout(20_000)
const codeOf = async (work: Promise<void>): Promise<unknown> =>
  work.then(
    () => 'delivered',
    (error: unknown) => {
      for (let at = error; at instanceof Error; at = at.cause) {
        const code: unknown = Reflect.get(at, 'code')
        if (typeof code === 'string') return code
      }
      return (error as Error).name
    },
  )

function httpsTo(receiver: HttpsReceiver, more: Partial<HttpsOptions> = {}) {
  return createHttps({
    url: receiver.url,
    format: 'ndjson',
    timeoutMs: 10_000,
    authorization: async () => 'Bearer siem-secret',
    fetch: receiver.fetch,
    clock,
    writer: 'gateway-1',
    version: '0.1.0',
    ...more,
  })
}

describe('a SIEM over HTTPS', () => {
  test('is handed events as NDJSON, with its credential', async () => {
    const receiver = await HttpsReceiver.open()
    const { sealed, rows } = segmentOf([decidedFully, noted(1)])
    await httpsTo(receiver)(sealed, rows, patient())
    expect(receiver.taken).toHaveLength(1)
    expect(receiver.taken[0]?.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      authorization: 'Bearer siem-secret',
      'user-agent': 'sluice',
    })
    expect(receiver.events.map(({ class_uid, metadata }) => [class_uid, metadata.sequence])).toEqual([
      [6005, 1],
      [3004, 2],
    ])
  })

  test('or as one JSON array', async () => {
    const receiver = await HttpsReceiver.open()
    const { sealed, rows } = segmentOf([noted(1), noted(2)])
    await httpsTo(receiver, { format: 'json' })(sealed, rows, patient())
    expect(receiver.taken[0]?.headers['content-type']).toBe('application/json')
    const events = JSON.parse(receiver.taken[0]!.body) as readonly OcsfEvent[]
    expect(events.map(({ metadata }) => metadata.sequence)).toEqual([1, 2])
  })

  test('is handed a large segment in batches, one after the other', async () => {
    const receiver = await HttpsReceiver.open()
    const { sealed, rows } = segmentOf(Array.from({ length: 2500 }, () => decidedFully))
    await httpsTo(receiver)(sealed, rows, patient())
    expect(receiver.sequences).toEqual(upTo(2500))
    expect(receiver.taken.length).toBeGreaterThan(2)
    expect(Math.max(...receiver.taken.map(({ body }) => body.length))).toBeLessThanOrEqual(1024 * 1024 + 1000)
  })

  test('that nobody vouches for is told nothing', async () => {
    const receiver = await HttpsReceiver.open()
    const { sealed, rows } = segmentOf([noted(1)])
    expect(await codeOf(httpsTo(receiver, { fetch: globalThis.fetch })(sealed, rows, patient()))).toBe(
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    )
    expect(receiver.asked).toEqual([])
  })

  test('is asked with a credential that was renewed', async () => {
    const receiver = await HttpsReceiver.open()
    let secret = 'old'
    const deliver = httpsTo(receiver, { authorization: async () => secret })
    for (const [at, next] of ['old', 'new'].entries()) {
      secret = next
      const { sealed, rows } = segmentOf([noted(1)], at + 1)
      await deliver(sealed, rows, patient())
    }
    expect(receiver.taken.map(({ headers }) => headers.authorization)).toEqual(['old', 'new'])
  })
})

describe('what is not taken is sent again', () => {
  test.each([400, 401, 403, 404, 409, 429, 500, 502, 503, 302, 307])('after a status of %i', async (status) => {
    const receiver = await HttpsReceiver.open()
    const deliver = httpsTo(receiver)
    const { sealed, rows } = segmentOf([noted(1), noted(2)])
    receiver.mood = () => ({ status, headers: { location: 'https://elsewhere.example/' } })
    expect(await codeOf(deliver(sealed, rows, patient()))).toBe(`http_${status}`)
    expect(receiver.asked).toHaveLength(1)
    receiver.mood = undefined
    await deliver(sealed, rows, patient())
    expect(receiver.sequences).toEqual([1, 2])
  })

  test('after silence, in the time that one batch has', async () => {
    const receiver = await HttpsReceiver.open()
    const deliver = httpsTo(receiver, { timeoutMs: 100 })
    const { sealed, rows } = segmentOf([noted(1)])
    receiver.mood = () => 'silence'
    expect(await codeOf(deliver(sealed, rows, patient()))).toBe('TimeoutError')
    receiver.mood = undefined
    await httpsTo(receiver)(sealed, rows, patient())
    expect(receiver.sequences).toEqual([1])
  })

  test('but not what was taken of the same segment before', async () => {
    const receiver = await HttpsReceiver.open()
    const deliver = httpsTo(receiver)
    const { sealed, rows } = segmentOf(Array.from({ length: 2500 }, () => decidedFully))
    receiver.mood = () => (receiver.taken.length === 1 ? { status: 500 } : undefined)
    expect(await codeOf(deliver(sealed, rows, patient()))).toBe('http_500')
    const before = receiver.sequences.length
    expect(before).toBeGreaterThan(0)
    receiver.mood = undefined
    await deliver(sealed, rows, patient())
    expect(receiver.sequences).toEqual(upTo(2500))
  })

  test('and the rows of another segment are never taken for those', async () => {
    const receiver = await HttpsReceiver.open()
    const deliver = httpsTo(receiver)
    for (const segment of [1, 2]) {
      const { sealed, rows } = segmentOf([noted(1), noted(2)], segment, segment * 2 - 1)
      await deliver(sealed, rows, patient())
    }
    expect(receiver.sequences).toEqual([1, 2, 3, 4])
  })
})

describe('a receiver that asks to wait', () => {
  test.each([
    ['seconds', '30', 30_000],
    ['a date', new Date(clock.now() + 45_000).toUTCString(), 45_000],
    ['longer than an hour', '999999', 3_600_000],
    ['nothing that can be read', 'soon', 0],
  ])('for %s is not asked before', async (_, retryAfter, waits) => {
    const receiver = await HttpsReceiver.open()
    let monotonic = 5000
    const deliver = httpsTo(receiver, { clock: { now: () => clock.now(), monotonic: () => monotonic } })
    const { sealed, rows } = segmentOf([noted(1)])
    receiver.mood = () => ({ status: 429, headers: { 'retry-after': retryAfter } })
    expect(await codeOf(deliver(sealed, rows, patient()))).toBe('http_429')
    receiver.mood = undefined
    if (waits > 0) {
      monotonic += waits - 1
      expect(await codeOf(deliver(sealed, rows, patient()))).toBe('http_429')
      expect(receiver.asked).toHaveLength(1)
      monotonic += 1
    }
    await deliver(sealed, rows, patient())
    expect(receiver.sequences).toEqual([1])
  })
})

describe('a receiver that finds a batch too large', () => {
  const atMost = (receiver: HttpsReceiver, bytes: number): void => {
    receiver.mood = ({ body }) => (body.length > bytes ? { status: 413 } : undefined)
  }

  test('is handed smaller ones, and then no large ones again', async () => {
    const receiver = await HttpsReceiver.open()
    atMost(receiver, 20_000)
    const { sealed, rows } = segmentOf(Array.from({ length: 300 }, () => decidedFully))
    await httpsTo(receiver)(sealed, rows, patient())
    expect(receiver.sequences).toEqual(upTo(300))
    const refusals = receiver.asked.length - receiver.taken.length
    expect(refusals).toBeLessThan(8)
  })

  test('is handed an event that is too large with its texts cut, which the event says', async () => {
    const receiver = await HttpsReceiver.open()
    atMost(receiver, 4000)
    const long = { ...decidedFully, statement: { ...decidedFully.statement!, text: `SELECT ${'1,'.repeat(5000)}1` } }
    const { sealed, rows } = segmentOf([noted(1), long, noted(2)])
    await httpsTo(receiver)(sealed, rows, patient())
    expect(receiver.sequences).toEqual([1, 2, 3])
    expect(receiver.events[1]?.metadata['debug']).toEqual(['query_info.query_string is cut to 256 characters'])
  })

  test('and takes nothing at all is a problem that is shown, not an event that is dropped', async () => {
    const receiver = await HttpsReceiver.open()
    atMost(receiver, 10)
    const { sealed, rows } = segmentOf([noted(1)])
    const deliver = httpsTo(receiver)
    expect(await codeOf(deliver(sealed, rows, patient()))).toBe('http_413')
    receiver.mood = undefined
    await deliver(sealed, rows, patient())
    expect(receiver.sequences).toEqual([1])
  })
})
