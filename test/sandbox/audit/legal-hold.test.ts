/** Legal holds on the sandbox's ClickHouse: what fits is copied once, whole, and outlives what is held of it. */
import { randomUUID } from 'node:crypto'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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

describe('from the command line', () => {
  const CLI = join(import.meta.dirname, '../../../src/entry/cli.ts')

  async function sluice(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
    const config = join(data, 'sluice.yaml')
    const connection = 'type: bigquery, project: shop-prod, location: US, credentials: { type: none }'
    await writeFile(
      config,
      [
        `data: ${join(data, 'gateway')}`,
        'issuers: [{ name: corp, issuer: https://login.example.com, algorithms: [ES256], audiences: { agents: a } }]',
        `connections: { warehouse: { ${connection}, apiEndpoint: 'http://127.0.0.1:1' } }`,
        `audit: { clickhouse: { url: '${part.url}', database: held } }`,
      ].join('\n'),
    )
    try {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [CLI, ...args, '--config', config])
      return { code: 0, out: stdout, err: stderr }
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
      return { code, out: stdout, err: stderr }
    }
  }

  test('a hold is added, listed and released, and all of it is in the record', async () => {
    await write(at(decidedFully, now, 10))
    const added = await sluice('audit', 'hold', 'add', 'case-10', '--principal', 'ada', '--reason', 'a dispute')
    expect(added).toMatchObject({ code: 0, err: expect.stringContaining('`audit.legalHolds`') as string })
    expect(JSON.parse(added.out)).toMatchObject({ hold: 'case-10', state: 'held', scope: { principals: ['ada'] } })
    const listed = await sluice('audit', 'hold', 'list')
    expect(listed.out.split('\n').filter((line) => line.includes('case-10'))).toEqual([added.out.trim()])
    const released = await sluice('audit', 'hold', 'release', 'case-10', '--reason', 'it is settled')
    expect(JSON.parse(released.out)).toMatchObject({ hold: 'case-10', state: 'released', records: 0 })
    const notes = await text(
      "SELECT note FROM held.events WHERE surface = 'audit' AND issuer = 'os' AND note LIKE '%case-10%' ORDER BY ts",
    )
    expect(notes.trim().split('\n')).toEqual([
      'legal hold case-10 of principals ada: begun. a dispute',
      'legal hold case-10: 1 records and 0 pieces of bodies are kept',
      'legal hold case-10 of principals ada, 1 records: released. it is settled',
      'legal hold case-10: its copies are gone',
    ])
    expect(await text("SELECT count() FROM held.segments WHERE endsWith(writer, '-holds')")).not.toBe('0\n')
  })

  test('another scope under a name that is taken is refused', async () => {
    const scope = { principals: ['ada'] }
    await holds.keep({ hold: 'case-13', actor: 'lea', reason: 'so', at: now }, scope, signal)
    expect(await sluice('audit', 'hold', 'add', 'case-13', '--principal', 'bob', '--reason', 'so')).toMatchObject({
      code: 1,
      err: expect.stringContaining('there is a hold `case-13` of principals ada') as string,
    })
  })

  test.each([
    ['no name', ['add', '--principal', 'ada', '--reason', 'so'], 'a legal hold has one name'],
    ['no reason', ['add', 'case-11', '--principal', 'ada'], 'why?'],
    ['a hold of everything', ['add', 'case-11', '--reason', 'so'], 'what is held?'],
    ['a time that is none', ['add', 'case-11', '--from', 'soon', '--reason', 'so'], '--from is `soon`'],
    ['a release of what is not held', ['release', 'case-12', '--reason', 'so'], 'there is no legal hold `case-12`'],
  ])('%s is refused', async (_, args, words) => {
    expect(await sluice('audit', 'hold', ...args)).toMatchObject({
      code: 1,
      err: expect.stringContaining(words) as string,
    })
  })
})
