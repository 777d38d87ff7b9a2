/** Legal holds on the sandbox's ClickHouse: what fits is copied once, whole, and outlives what is held of it. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPart, type Part } from '../../../sandbox/parts.ts'
import { openClickHouse } from '../../../src/audit/clickhouse.node.ts'
import type { AuditRecord } from '../../../src/audit/contract.ts'
import { createLegalHolds, type LegalHolds } from '../../../src/audit/legal-hold.ts'
import { encodePayload, PAYLOAD_NAMES } from '../../../src/audit/payload.ts'
import type { ClickHouse } from '../../../src/audit/reader/contract.ts'
import { COLUMN_NAMES, encodeRow, toRow } from '../../../src/audit/record.ts'
import { createMigrator } from '../../../src/audit/schema.ts'
import { concatenated } from '../../../src/bytes.ts'
import { completedFully, decidedFully, exchange } from '../../src/audit/stage.ts'

const EPOCH = '01930000-0000-7000-8000-000000000001'
const signal = AbortSignal.timeout(60_000)
const hour = 3_600_000
const now = Date.now()

let data: string
let part: Part
let client: ClickHouse
let holds: LegalHolds
let next = 0

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-hold-'))
  part = await startPart('clickhouse', { port: 0, data })
  client = openClickHouse({ url: part.url, database: 'default', requestTimeoutMs: 20_000 })
  await createMigrator(client, 'held')(signal)
  holds = createLegalHolds(client, 'held')
})

afterAll(async () => {
  await client.close()
  await part.stop()
  await rm(data, { recursive: true, force: true })
})

async function write(...records: readonly AuditRecord[]): Promise<void> {
  const rows = records.map((record) =>
    encodeRow({
      ...toRow(record, { recordId: randomUUID(), writer: 'w', epoch: EPOCH, retainDays: 400 }),
      segment: 1,
      writer_seq: ++next,
    }),
  )
  await client.insertRowBinary('held.events', COLUMN_NAMES, concatenated(rows), randomUUID(), signal)
}

async function writePiece(of: string): Promise<void> {
  const bytes = encodePayload({
    ts: now * 1000,
    exchange_id: of,
    direction: 'answer',
    chunk: 0,
    offset: 0,
    type: 'application/json',
    content: new TextEncoder().encode('{"a":1}\n\nDROP TABLE held.events'),
    is_last: true,
    mark: '',
    digests: [],
    connection: 'warehouse',
    issuer: 'corp',
    subject: 'agent-7',
    writer: 'w',
    epoch: EPOCH,
    retain_until: 30_000,
  })
  const place = new DataView(new ArrayBuffer(16))
  place.setBigUint64(0, 1n, true)
  place.setBigUint64(8, BigInt(++next), true)
  const whole = concatenated([bytes, new Uint8Array(place.buffer)])
  await client.insertRowBinary('held.payloads', PAYLOAD_NAMES, whole, randomUUID(), signal)
}

async function text(sql: string): Promise<string> {
  return new Response(await client.query({ sql, format: 'TSVRaw' }, signal)).text()
}

const agent = decidedFully.principal
const other = { issuer: 'corp', subject: "o'neil", kind: 'agent', plane: 'agents', groups: [] } as const
const at = (record: AuditRecord, ms: number, n: number): AuditRecord => ({ ...record, at: ms, exchange: exchange(n) })

test('a hold of a principal copies every record of their exchanges and their bodies, byte for byte, and once', async () => {
  await write(
    at(decidedFully, now - 2 * hour, 1),
    at(completedFully, now - 2 * hour, 1),
    // Somebody else's record of the same exchange.
    {
      ...at({ ...decidedFully, principal: other }, now - hour, 1),
      kind: 'hold',
      hold: { id: exchange(1), state: 'approved' },
    },
    at({ ...decidedFully, principal: other }, now - hour, 2),
  )
  await writePiece(exchange(1))
  await writePiece(exchange(2))
  const act = { hold: 'case-7', actor: 'lea', reason: "a subpoena: 'Doe'", at: now }

  // They are named as the person for whom the agent acted.
  const scope = { principals: ['corp:ada'] }
  expect(agent?.actsFor).toEqual({ issuer: 'corp', subject: 'ada' })
  expect(await holds.keep(act, scope, signal)).toEqual({ ...act, state: 'held', scope, records: 3, pieces: 1 })
  const columns = COLUMN_NAMES.map((name) => `\`${name}\``).join(', ')
  const bytes = `SELECT hex(formatRow('RowBinary', ${columns})) FROM held`
  expect(await text(`${bytes}.held_events WHERE hold = 'case-7' ORDER BY writer_seq`)).toBe(
    await text(`${bytes}.events WHERE exchange_id = '${exchange(1)}' ORDER BY writer_seq`),
  )

  await write(at(decidedFully, now, 3))
  expect(await holds.keep({ ...act, at: now + 1000 }, scope, signal)).toMatchObject({ records: 4, pieces: 1 })
  expect(await text("SELECT count() FROM held.held_events WHERE hold = 'case-7'")).toBe('4\n')
})

test('copies stay when the records are gone, and go when they are let go; both are told', async () => {
  const act = { hold: 'case-8', actor: 'lea', reason: 'a dispute', at: now + 2000 }
  const scope = { connections: ['warehouse'], from: now - hour - 1, to: now - 1 }
  expect(await holds.keep(act, scope, signal)).toMatchObject({ records: 4, pieces: 2 })
  await client.command('TRUNCATE TABLE held.events')
  expect(await text('SELECT hold, count() FROM held.held_events GROUP BY hold ORDER BY hold')).toBe(
    'case-7\t4\ncase-8\t4\n',
  )
  const done = { ...act, at: now + 3000, reason: 'it is settled' }
  expect(await holds.release(done, scope, signal)).toMatchObject({ state: 'released', records: 0, pieces: 0 })
  expect(await text('SELECT hold, count() FROM held.held_events GROUP BY hold')).toBe('case-7\t4\n')
  expect((await holds.list(signal)).map(({ hold, state, reason, records }) => [hold, state, reason, records])).toEqual([
    ['case-7', 'held', "a subpoena: 'Doe'", 4],
    ['case-8', 'released', 'it is settled', 0],
  ])
})

test('a hold of everything, and one whose name is none, are refused', async () => {
  const act = { hold: 'case-9', actor: 'lea', reason: 'so', at: now }
  await expect(holds.keep(act, {}, signal)).rejects.toThrow('a legal hold says what it holds')
  await expect(holds.keep({ ...act, hold: "x'); DROP" }, { connections: ['a'] }, signal)).rejects.toThrow(
    'a legal hold has a name of small letters, digits and dashes',
  )
  expect(await holds.list(signal)).toHaveLength(2)
})
