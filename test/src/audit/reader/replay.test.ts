/** An exchange as events, from rows and pieces: order, clocks, bytes that are no text, and what is left out. */
import { expect, test } from 'vitest'
import type { PayloadRow } from '../../../../src/audit/payload.ts'
import { plainRecord } from '../../../../src/audit/reader/plain.ts'
import { replayed } from '../../../../src/audit/reader/replay.ts'
import { toRow, type Row } from '../../../../src/audit/record.ts'
import type { AuditRecord } from '../../../../src/audit/contract.ts'
import { decidedFully, noted } from '../stage.ts'

const STAMP = { recordId: '01930000-0000-7000-8000-000000000001', writer: 'w', epoch: '', retainDays: 1 }
const BEGIN = decidedFully.at

function row(record: AuditRecord, seq = 0): Row {
  return { ...toRow(record, STAMP), segment: 1, writer_seq: seq }
}

function piece(
  atMs: number,
  direction: string,
  chunk: number,
  content: Uint8Array | string,
  more: object = {},
): PayloadRow {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  const known = { ts: (BEGIN + atMs) * 1000, exchange_id: decidedFully.exchange, direction, chunk, offset: 0 }
  const rest = { type: 'application/x-ndjson', content: bytes, is_last: false, mark: '', digests: [], connection: '' }
  const whole = { ...known, ...rest, issuer: '', subject: '', writer: 'w', epoch: '', retain_until: 0, ...more }
  return { ...whole, segment: 1, writer_seq: 0 }
}

async function* each<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values
}

async function eventsOf(rows: readonly Row[], pieces: readonly PayloadRow[] = []): Promise<readonly any[]> {
  const events: unknown[] = []
  for await (const event of replayed(rows, each(pieces))) events.push(event)
  return events
}

const received = { receivedAt: BEGIN - 20 }
const { decision: _, findings: __, ...ended } = decidedFully
const completed: AuditRecord = {
  ...ended,
  ...received,
  kind: 'completed',
  at: BEGIN + 100,
  completion: {
    ran: 'SELECT 1',
    rowCount: 2,
    byteCount: 9,
    masked: [],
    statistics: { durationMs: 5 },
    ending: 'whole',
    timings: { totalMs: 120 },
  },
}

test('records and bodies come in the order of time, from when the request came', async () => {
  const rows = [row({ ...decidedFully, ...received }), row(completed, 1)]
  const events = await eventsOf(rows, [
    piece(-1, 'request', 0, '{"params":[]}', { type: 'application/json', is_last: true }),
    piece(50, 'answer', 0, '{"columns":[{"name":"a","type":"INT64"}]}\n["1"]\n'),
    piece(100, 'answer', 1, '["2"]\n', { offset: 60, is_last: true, mark: '9 of 12 bytes are kept', digests: ['ab'] }),
  ])
  expect(events.map(({ at, event }) => [at, event])).toEqual([
    [0, 'request'],
    [19, 'chunk'],
    [20, 'decided'],
    [70, 'columns'],
    [70, 'chunk'],
    [120, 'chunk'],
    [120, 'completed'],
    [120, 'end'],
  ])
  expect(events[0]).toMatchObject({
    surface: 'query',
    principal: { issuer: 'corp', subject: 'agent-7', actsFor: { issuer: 'corp', subject: 'ada' } },
    statement: { kind: 'SELECT' },
  })
  expect(events[2]).not.toHaveProperty('statement')
  expect(events[3]).toEqual({ at: 70, event: 'columns', columns: [{ name: 'a', type: 'INT64' }] })
  expect(events[4]).toMatchObject({ direction: 'answer', type: 'application/x-ndjson', text: '["1"]\n' })
  expect(events[5]).toEqual({
    at: 120,
    event: 'chunk',
    direction: 'answer',
    offset: 60,
    text: '["2"]\n',
    digests: ['ab'],
    last: true,
    mark: '9 of 12 bytes are kept',
  })
  expect(events[6]).toMatchObject({ completion: { rowCount: 2, ending: 'whole' }, timings: { totalMs: 120 } })
})

test('a clock that was set back turns nothing around and gives no time before the request', async () => {
  const rows = [row({ ...decidedFully, ...received }), row({ ...completed, at: BEGIN - 60_000 }, 1)]
  const events = await eventsOf(rows, [piece(10, 'answer', 0, '["1"]\n')])
  expect(events.map(({ at, event }) => [at, event])).toEqual([
    [0, 'request'],
    [20, 'decided'],
    [20, 'completed'],
    [30, 'chunk'],
    [30, 'end'],
  ])
})

test('what is no text, or half a character, comes as base64', async () => {
  const bytes = Uint8Array.from({ length: 20_000 }, (_each, i) => i % 256)
  const half = new TextEncoder().encode('ü').subarray(0, 1)
  const events = await eventsOf([row(decidedFully)], [piece(1, 'answer', 0, bytes), piece(2, 'answer', 1, half)])
  const chunks = events.filter(({ event }) => event === 'chunk')
  expect(Buffer.from(chunks[0].base64, 'base64')).toEqual(Buffer.from(bytes))
  expect(chunks[1]).toMatchObject({ base64: 'ww==' })
})

test('a byte order mark and odd first lines stay what they are', async () => {
  const rows = [row(decidedFully)]
  for (const text of ['\uFEFF{"columns":[]}\n', '{"columns"', 'null\n', '[]\n', '{"rows":1}\n', '{"columns":\n']) {
    const events = await eventsOf(rows, [piece(1, 'answer', 0, text)])
    expect(events.filter(({ event }) => event === 'chunk').map((chunk) => chunk.text)).toEqual([text])
  }
})

test('a record of no exchange is told, too', async () => {
  expect(await eventsOf([row(noted(1))])).toEqual([
    { at: 0, event: 'request', surface: 'gateway' },
    { at: 0, event: 'policy', note: 'note 1' },
    { at: 0, event: 'end' },
  ])
})

test('a hold tells who moved it', async () => {
  const owner = { issuer: 'corp', subject: 'olga', kind: 'person', plane: 'people', groups: [] } as const
  const moved: AuditRecord = {
    ...ended,
    kind: 'hold',
    at: BEGIN + 5,
    principal: owner,
    plane: 'people',
    hold: { id: decidedFully.exchange, state: 'approved', comment: 'go on' },
  }
  const events = await eventsOf([row(decidedFully), row(moved, 1)])
  expect(events.find(({ event }) => event === 'hold')).toMatchObject({
    at: 5,
    hold: { state: 'approved', comment: 'go on' },
    by: { subject: 'olga' },
  })
})

test('a plain record leaves out what is empty, and keeps what is not JSON as text', () => {
  const plain = plainRecord({ ...row(noted(7), 9), findings: '{broken', reasons: '' })
  expect(plain).toEqual({
    kind: 'policy',
    surface: 'gateway',
    note: 'note 7',
    findings: '{broken',
    at: '2026-01-05T09:30:00.007000Z',
    record: STAMP.recordId,
    log: { writer: 'w', epoch: '', segment: 1, seq: 9, retainUntil: '2026-01-06' },
  })
})
