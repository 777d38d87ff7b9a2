/** The audit log against the sandbox's ClickHouse: exactly once, over restarts of both, and the views auditors read. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startPart, type Part } from '../../../sandbox/parts.ts'
import { openClickHouse } from '../../../src/audit/clickhouse.node.ts'
import type { AuditLog, AuditRecord } from '../../../src/audit/contract.ts'
import { openAuditLog } from '../../../src/audit/log.node.ts'
import { createHabits, HABIT_LIMITS } from '../../../src/audit/history.ts'
import { encodePayload, PAYLOAD_NAMES, type UnplacedPayload } from '../../../src/audit/payload.ts'
import { COLUMN_NAMES, columnNames, decodeRows, SCHEMA_VERSION, type Row } from '../../../src/audit/record.ts'
import type { ClickHouse } from '../../../src/audit/reader/contract.ts'
import { createMigrator } from '../../../src/audit/schema.ts'
import { createStorage } from '../../../src/audit/storage.ts'
import { VIEWS } from '../../../src/audit/views.ts'
import { killedWriter } from '../../src/audit/killed-writer.ts'
import { completedFully, decidedFully, exchange, noted } from '../../src/audit/stage.ts'

let data: string
let part: Part
let port: number
let reader: ClickHouse

const connect = (): ClickHouse => openClickHouse({ url: part.url, database: 'default', requestTimeoutMs: 20_000 })

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-audit-'))
  part = await startPart('clickhouse', { port: 0, data: join(data, 'clickhouse') })
  port = Number(new URL(part.url).port)
  reader = connect()
})

afterAll(async () => {
  await reader.close()
  await part.stop()
  await rm(data, { recursive: true, force: true })
})

async function bytesOf(sql: string, format: string): Promise<Uint8Array> {
  const answer = new Response(await reader.query({ sql, format }, AbortSignal.timeout(20_000)))
  return new Uint8Array(await answer.arrayBuffer())
}

async function rowsOf(sql: string): Promise<readonly Record<string, unknown>[]> {
  const text = new TextDecoder().decode(await bytesOf(sql, 'JSONEachRow'))
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

function open(name: string, database: string, clickhouse: ClickHouse = connect()): Promise<AuditLog> {
  return openAuditLog({
    dir: join(data, name),
    writer: name,
    database,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    newId: randomUUID,
    log: () => {},
    clickhouse,
    limits: { sealAfterMs: 20, pauseMs: 20, maxPauseMs: 200, tryMs: 5000 },
  })
}

async function delivered(log: AuditLog): Promise<void> {
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0), { timeout: 60_000, interval: 50 })
}

/** A record of today: what is older than its retention ClickHouse removes. */
const today = (record: AuditRecord): AuditRecord => ({ ...record, at: Date.now() })

describe('what auditors read', () => {
  const hold = {
    effect: 'hold',
    reasons: [{ code: 'writers/insert', because: 'writes need a data owner' }],
    obligations: [],
    approvers: [{ groups: ['data-owners'], count: 1 }],
    expiresAt: Date.now() + 3_600_000,
  } as const
  const moved = (state: string, more: Partial<AuditRecord> = {}): AuditRecord => ({
    ...decidedFully,
    kind: 'hold',
    exchange: exchange(2),
    hold: { id: exchange(2), state },
    ...more,
  })
  const owner = { issuer: 'corp', subject: 'olga', kind: 'person', plane: 'people', groups: ['data-owners'] } as const
  const story: readonly AuditRecord[] = [
    decidedFully,
    completedFully,
    { ...decidedFully, exchange: exchange(2), decision: hold },
    moved('pending'),
    moved('approved', {
      principal: owner,
      plane: 'people',
      hold: { id: exchange(2), state: 'approved', comment: 'go' },
    }),
    { ...decidedFully, exchange: exchange(2) },
    {
      ...decidedFully,
      exchange: exchange(3),
      decision: { effect: 'deny', reasons: [{ code: 'no-permit', because: 'no' }] },
    },
    {
      kind: 'refused',
      at: 0,
      exchange: exchange(4),
      surface: 'query',
      failure: { code: 'credential-refused', message: 'the token has expired' },
    },
    { ...decidedFully, exchange: exchange(5), surface: 'preflight' },
    { ...decidedFully, exchange: exchange(6) },
    { ...completedFully, kind: 'failed', exchange: exchange(6), failure: { code: 'upstream-failed', message: 'gone' } },
    { ...decidedFully, exchange: exchange(7) },
    {
      ...completedFully,
      exchange: exchange(7),
      completion: { ...completedFully.completion!, ending: 'cut', cut: 'the client left', rowCount: 3 },
    },
  ]

  const sent: Uint8Array[] = []

  beforeAll(async () => {
    const client = connect()
    const log = await open('story', 'story', {
      ...client,
      insertRowBinary: (table, columns, bytes, token, signal) => {
        sent.push(bytes)
        return client.insertRowBinary(table, columns, bytes, token, signal)
      },
    })
    for (const record of story) await log.append(today(record))
    await delivered(log)
    await log.close()
  })

  test('exchanges: one row each, with how it ended', async () => {
    const rows = await rowsOf('SELECT * FROM story.exchanges ORDER BY exchange_id')
    expect(rows.map((row) => [row['exchange_id'], row['effect'], row['outcome'], row['outcome_unknown']])).toEqual([
      [exchange(1), 'permit', 'answered', false],
      [exchange(2), 'permit', 'unknown', true],
      [exchange(3), 'deny', 'denied', false],
      [exchange(4), '', 'refused', false],
      [exchange(5), 'permit', 'foreseen', false],
      [exchange(6), 'permit', 'failed', false],
      [exchange(7), 'permit', 'cut', false],
    ])
    expect(rows[0]).toMatchObject({
      principal: 'agent-7',
      acts_for: 'ada',
      groups: ['analyst-agents', 'Zürich'],
      connection: 'warehouse',
      statement: 'SELECT email\n\nFROM shop.customers WHERE id = @id',
      tables: ['shop.customers', 'shop.orders'],
      reason_codes: ['agents/read'],
      masked: ['shop.customers.email partial', 'shop.customers.address.street redact'],
      row_count: 12,
      ran: 'SELECT email FROM (SELECT …)',
    })
    expect(rows[1]).toMatchObject({ principal: 'agent-7', hold_state: 'approved' })
    expect(rows[3]).toMatchObject({ failure_code: 'credential-refused', failure_message: 'the token has expired' })
  })

  test('holds and approvals: who asked, who decided, in their words', async () => {
    expect(await rowsOf('SELECT * EXCEPT (asked_at, expires_at) FROM story.holds')).toEqual([
      {
        hold_id: exchange(2),
        exchange_id: exchange(2),
        state: 'approved',
        principal: 'agent-7',
        acts_for: 'ada',
        connection: 'warehouse',
        statement: decidedFully.statement?.text,
        reason_codes: ['writers/insert'],
        reason_texts: ['writes need a data owner'],
        approver_groups: '[{"count":1,"groups":["data-owners"]}]',
        decided_by: 'olga',
        comment: 'go',
      },
    ])
    expect(await rowsOf('SELECT * EXCEPT (at) FROM story.approvals')).toEqual([
      {
        hold_id: exchange(2),
        exchange_id: exchange(2),
        state: 'approved',
        issuer: 'corp',
        principal: 'olga',
        groups: ['data-owners'],
        comment: 'go',
      },
    ])
  })

  test('decisions, denials, findings, resources and masked columns', async () => {
    expect(await rowsOf('SELECT effect, count() AS n FROM story.decisions GROUP BY effect ORDER BY effect')).toEqual([
      { effect: 'deny', n: 1 },
      { effect: 'hold', n: 1 },
      { effect: 'permit', n: 5 },
    ])
    expect(await rowsOf('SELECT exchange_id, turned_away, codes FROM story.denials ORDER BY exchange_id')).toEqual([
      { exchange_id: exchange(3), turned_away: 'denied', codes: ['no-permit'] },
      { exchange_id: exchange(4), turned_away: 'refused', codes: ['credential-refused'] },
    ])
    const one = `exchange_id = '${exchange(1)}'`
    expect(await rowsOf(`SELECT kind, place, times, facts, effect FROM story.findings WHERE ${one}`)).toEqual([
      { kind: 'sql-risk/score', place: '', times: 1, facts: '{"risk":{"score":70}}', effect: 'permit' },
    ])
    expect(await rowsOf(`SELECT action, resource, via FROM story.resources WHERE ${one} ORDER BY resource`)).toEqual([
      { action: 'read', resource: 'shop.customers', via: '' },
      { action: 'read', resource: 'shop.orders', via: 'shop.customer_directory' },
    ])
    expect(
      await rowsOf(`SELECT \`table\`, \`column\`, strategy FROM story.masked_columns WHERE ${one} ORDER BY \`column\``),
    ).toEqual([
      { table: 'shop.customers', column: 'address.street', strategy: 'redact' },
      { table: 'shop.customers', column: 'email', strategy: 'partial' },
    ])
  })

  test('exchanges that a crash left open: what was found out, and how long others took', async () => {
    const client = connect()
    const log = await open('settled', 'settled')
    const settled = (n: number, outcome: 'ran' | 'not-run' | 'unknown'): AuditRecord => ({
      kind: 'settled',
      at: 0,
      exchange: exchange(n),
      surface: 'query',
      settled: { outcome, detail: `the upstream says ${outcome}`, job: `job-${n}` },
    })
    const digest = 'd'.repeat(64)
    const answer = {
      mode: 'first',
      type: 'application/x-ndjson',
      bytes: 900,
      digest,
      kept: 512,
      keptDigest: digest,
    } as const
    for (const record of [
      { ...decidedFully, exchange: exchange(1) },
      settled(1, 'ran'),
      { ...decidedFully, exchange: exchange(2) },
      settled(2, 'unknown'),
      { ...decidedFully, exchange: exchange(3) },
      {
        ...completedFully,
        exchange: exchange(3),
        completion: { ...completedFully.completion!, timings: { firstByteMs: 12, totalMs: 40.5 }, bodies: { answer } },
      },
      {
        kind: 'policy' as const,
        at: 0,
        exchange: exchange(4),
        surface: 'gateway',
        policy: 'sha256:1',
        documents: { 'policies/a.yaml': 'policy: "a"\n', 'access.json': '{}' },
      },
    ]) {
      await log.append(today(record))
    }
    await delivered(log)
    await log.close()
    expect(
      await rowsOf(
        `SELECT exchange_id, outcome, outcome_unknown, settled, settled_note, job, first_byte_ms, total_ms,
          answer_recorded, answer_bytes, answer_kept, request_recorded FROM settled.exchanges ORDER BY exchange_id`,
      ),
    ).toEqual([
      {
        exchange_id: exchange(1),
        outcome: 'ran',
        outcome_unknown: false,
        settled: 'ran',
        settled_note: 'the upstream says ran',
        job: 'job-1',
        first_byte_ms: null,
        total_ms: null,
        answer_recorded: '',
        answer_bytes: null,
        answer_kept: null,
        request_recorded: '',
      },
      {
        exchange_id: exchange(2),
        outcome: 'unknown',
        outcome_unknown: true,
        settled: 'unknown',
        settled_note: 'the upstream says unknown',
        job: 'job-2',
        first_byte_ms: null,
        total_ms: null,
        answer_recorded: '',
        answer_bytes: null,
        answer_kept: null,
        request_recorded: '',
      },
      {
        exchange_id: exchange(3),
        outcome: 'answered',
        outcome_unknown: false,
        settled: '',
        settled_note: '',
        job: 'sluice_1',
        first_byte_ms: 12,
        total_ms: 40.5,
        answer_recorded: 'first',
        answer_bytes: 900,
        answer_kept: 512,
        request_recorded: '',
      },
    ])
    expect(await rowsOf('SELECT policy, path, document FROM settled.policies ORDER BY path')).toEqual([
      { policy: 'sha256:1', path: 'access.json', document: '{}' },
      { policy: 'sha256:1', path: 'policies/a.yaml', document: 'policy: "a"\n' },
    ])
    await client.close()
  })

  test('bodies: what is kept of each, without its content', async () => {
    const piece = (chunk: number, content: string, last: boolean, mark: string): UnplacedPayload => ({
      ts: Date.now() * 1000,
      exchange_id: exchange(1),
      direction: 'answer',
      chunk,
      offset: 0,
      type: 'application/json',
      content: new TextEncoder().encode(content),
      is_last: last,
      mark,
      digests: last ? [] : ['a'.repeat(32), 'b'.repeat(32)],
      connection: 'crm',
      issuer: 'corp',
      subject: 'agent-7',
      writer: 'w',
      epoch: exchange(99),
      retain_until: 40_000,
    })
    const place = (seq: number): Uint8Array => new Uint8Array(new BigUint64Array([1n, BigInt(seq)]).buffer)
    const rows = [piece(0, '{"a":1}\n\nDROP', false, ''), piece(1, 'xyz', true, 'cut at 17 bytes')]
    const bytes = Buffer.concat(rows.flatMap((row, n) => [encodePayload(row), place(n + 1)]))
    await reader.insertRowBinary('story.payloads', PAYLOAD_NAMES, bytes, 'p1', AbortSignal.timeout(10_000))
    expect(await rowsOf('SELECT * EXCEPT (asked_at, begun_at, ended_at) FROM story.bodies')).toEqual([
      {
        exchange_id: exchange(1),
        direction: 'answer',
        type: 'application/json',
        pieces: 2,
        bytes: 16,
        ended: true,
        mark: 'cut at 17 bytes',
        digests: 2,
        issuer: 'corp',
        principal: 'agent-7',
        connection: 'crm',
        kept_until: '2079-07-08',
      },
    ])
  })

  test.each([
    ['the time it was asked', 'exchanges WHERE asked_at >= now() - INTERVAL 1 DAY', 'ix_asked'],
    ['the id of an exchange', `exchanges WHERE exchange_id = '${exchange(1)}'`, 'ix_asked'],
    ['the id of an exchange, in a table', `events WHERE exchange_id = '${exchange(1)}'`, 'ix_exchange'],
    ['a word of a statement', "decisions WHERE hasToken(statement, 'email')", 'ix_statement'],
    ['a table', "decisions WHERE has(tables, 'shop.orders')", 'ix_touched'],
    ['a principal', "decisions WHERE principal = 'agent-7'", 'ix_subject'],
    ['a segment', 'events WHERE segment BETWEEN 1 AND 2', 'ix_segment'],
  ])('a filter by %s is served by an index', async (_, from, index) => {
    const plan = new TextDecoder().decode(
      await bytesOf(`EXPLAIN indexes = 1 SELECT count() FROM story.${from}`, 'TSVRaw'),
    )
    expect(plan).toContain(`Name: ${index}`)
  })

  test('every column of every view says what it means', async () => {
    const silent = await rowsOf("SELECT table, name FROM system.columns WHERE database = 'story' AND comment = ''")
    expect(silent).toEqual([])
  })

  test('ClickHouse gives back the bytes that were written', async () => {
    const columns = COLUMN_NAMES.map((name) => `\`${name}\``).join(', ')
    const bytes = await bytesOf(`SELECT ${columns} FROM story.events ORDER BY writer_seq`, 'RowBinary')
    expect(Buffer.from(bytes).equals(Buffer.concat(sent))).toBe(true)
    const rows = decodeRows(bytes)
    expect(rows.map(({ kind }) => kind)).toEqual(story.map(({ kind }) => kind))
    expect(rows.map(({ writer_seq }) => writer_seq)).toEqual(story.map((_, index) => index + 1))
    expect(rows[0]).toMatchObject({ purpose: 'weekly report: “north”', estimated_bytes: 4_294_967_296 })
  })
})

test('gateway and ClickHouse restart in turns: every record is there exactly once', async () => {
  let written = 0
  for (let round = 0; round < 4; round++) {
    const log = await open('turns', 'turns')
    const some = Array.from({ length: 200 }, () => log.append(today(noted(++written))))
    if (round === 1) {
      // Killed with inserts under way, and away while more is recorded.
      await part.stop('SIGKILL')
      await Promise.all(Array.from({ length: 300 }, () => log.append(today(noted(++written)))))
      await vi.waitUntil(() => log.status().deliveryProblem !== undefined, { timeout: 20_000 })
      part = await startPart('clickhouse', { port, data: join(data, 'clickhouse') })
    }
    await Promise.all(some)
    if (round === 2) await part.stop('SIGKILL')
    else await delivered(log)
    const restarted = round === 2 ? startPart('clickhouse', { port, data: join(data, 'clickhouse') }) : part
    await log.close()
    part = await restarted
  }
  const [sum] = await rowsOf(
    'SELECT count() AS n, uniqExact(note) AS notes, min(writer_seq) AS first, max(writer_seq) AS last FROM turns.events',
  )
  expect(sum).toEqual({ n: written, notes: written, first: 1, last: written })
})

test('writers killed while they ship: ClickHouse has what was acknowledged exactly once', async () => {
  const acknowledged: number[] = []
  for (let round = 0; round < 4; round++) {
    const more = await killedWriter(join(data, 'killed'), round * 1_000_000, 1500 + round * 900, [part.url, 'killed'])
    acknowledged.push(...more)
  }
  const log = await open('killed', 'killed')
  await delivered(log)
  await log.close()
  const rows = await rowsOf('SELECT note, writer_seq FROM killed.events ORDER BY writer_seq')
  const kept = new Set(rows.map(({ note }) => Number(note)))
  expect(acknowledged.filter((n) => !kept.has(n))).toEqual([])
  expect(kept.size).toBe(rows.length)
  expect(rows.map((row) => row['writer_seq'])).toEqual(rows.map((_, index) => index + 1))
})

test('the same segment sent twice is kept once', async () => {
  const log = await open('twice', 'twice')
  await log.append(today(noted(1)))
  await delivered(log)
  await log.close()
  const columns = COLUMN_NAMES.map((name) => `\`${name}\``).join(', ')
  const bytes = await bytesOf(`SELECT ${columns} FROM twice.events`, 'RowBinary')
  const [{ epoch, segment, writer_seq: firstSeq }] = decodeRows(bytes) as readonly [Row]
  const shared = { inserter: reader, database: 'twice', migrator: async () => {}, epoch }
  const deliver = createStorage({ ...shared, table: 'events', columns: columnNames })
  await deliver({ segment, schema: SCHEMA_VERSION, firstSeq, records: 1 }, [bytes], AbortSignal.timeout(10_000))
  expect(await rowsOf('SELECT count() AS n FROM twice.events')).toEqual([{ n: 1 }])
})

test('tables that vanish are made again, and what is recorded next is delivered', async () => {
  const log = await open('vanished', 'vanished')
  await log.append(today(noted(1)))
  await delivered(log)
  await reader.command('DROP DATABASE vanished')
  await log.append(today(noted(2)))
  await delivered(log)
  await log.close()
  expect(await rowsOf('SELECT note FROM vanished.exchanges RIGHT JOIN vanished.events USING exchange_id')).toEqual([
    { note: 'note 2' },
  ])
})

test('a database that is up to date is left alone, and an events table that is gone comes back', async () => {
  const commands: string[] = []
  const client = connect()
  const migrate = createMigrator(
    {
      query: (request, signal) => client.query(request, signal),
      command: (sql, signal) => {
        commands.push(sql.split('\n')[0] ?? '')
        return client.command(sql, signal)
      },
    },
    'steps',
  )
  const signal = AbortSignal.timeout(20_000)
  await migrate(signal)
  expect(commands[0]).toBe('CREATE DATABASE IF NOT EXISTS `steps`')
  commands.length = 0
  await migrate(signal)
  expect(commands).toEqual([])
  await client.command('DROP TABLE steps.events')
  await migrate(signal)
  expect(await rowsOf('SELECT count() AS n FROM steps.exchanges')).toEqual([{ n: 0 }])
  expect(await rowsOf('SELECT version, name FROM steps.migrations ORDER BY version')).toEqual([
    { version: 1, name: 'events and views' },
    { version: 2, name: 'shapes of statements' },
    { version: 3, name: 'HTTP requests' },
    { version: 4, name: 'bodies, segments and checkpoints' },
    { version: 5, name: 'indexes and legal holds' },
  ])
  await client.close()
})

describe('what a principal did before', () => {
  const agent = { issuer: 'corp', subject: "o'neil\t\\7", kind: 'agent', plane: 'agents', groups: [] } as const
  const since = Date.UTC(2026, 0, 1)
  const signal = AbortSignal.timeout(60_000)
  const answered = (n: number, at: number, shape: string, bytes?: number, more: Partial<AuditRecord> = {}) => ({
    ...completedFully,
    at,
    exchange: exchange(n),
    principal: agent,
    statement: { ...completedFully.statement!, shape, ...(bytes !== undefined && { estimatedBytes: bytes }) },
    ...more,
  })

  test('is told from what was answered since then, to them, on that connection, and from nothing else', async () => {
    const log = await open('habits', 'habits')
    const nine = Date.UTC(2026, 10, 2, 9, 59, 59)
    const records: readonly AuditRecord[] = [
      ...Array.from({ length: 19 }, (_, n) => answered(n, nine + n, 'a'.repeat(16), 100 + n)),
      answered(30, Date.UTC(2026, 10, 3, 23), 'b'.repeat(16), 1_000_000),
      // None of these is theirs, or was answered, or is of that time.
      answered(40, since - 1, 'c'.repeat(16), 5),
      answered(41, nine, 'c'.repeat(16), 5, { connection: 'archive' }),
      answered(42, nine, 'c'.repeat(16), 5, { principal: { ...agent, subject: 'other' } }),
      answered(43, nine, 'c'.repeat(16), 5, { principal: { ...agent, issuer: 'elsewhere' } }),
      answered(44, nine, 'c'.repeat(16), 5, {
        principal: { ...agent, actsFor: { issuer: 'corp', subject: 'ada' } },
      }),
      { ...answered(45, nine, 'c'.repeat(16), 5), kind: 'decided' },
      { ...answered(46, nine, 'c'.repeat(16), 5), kind: 'failed' },
    ]
    for (const record of records) await log.append(record)
    await delivered(log)
    await log.close()
    const client = openClickHouse({ url: part.url, database: 'habits', requestTimeoutMs: 20_000 })
    const reader = createHabits(client)
    const told = await reader.habits({ principal: agent, connection: 'warehouse', since }, signal)
    const hours = Array.from({ length: 24 }, () => 0)
    hours[9] = 19
    hours[23] = 1
    expect(told).toEqual({
      exchanges: 20,
      hours,
      shapes: new Map([
        ['a'.repeat(16), 19],
        ['b'.repeat(16), 1],
      ]),
      tables: new Set(['shop.customers', 'shop.orders']),
      bytesP95: 1_000_000,
    })

    const nobody = { issuer: 'corp', subject: 'nobody' }
    expect(await reader.habits({ principal: nobody, connection: 'warehouse', since }, signal)).toEqual({
      exchanges: 0,
      hours: Array.from({ length: 24 }, () => 0),
      shapes: new Map(),
      tables: new Set(),
    })
    const few = createHabits(client, { ...HABIT_LIMITS, shapes: 1 })
    const one = await few.habits({ principal: agent, connection: 'warehouse', since }, signal)
    expect(one.shapes).toEqual(new Map([['a'.repeat(16), 19]]))
    const narrow = createHabits(client, { ...HABIT_LIMITS, rowsRead: 1 })
    await expect(narrow.habits({ principal: agent, connection: 'warehouse', since }, signal)).rejects.toMatchObject({
      code: 'upstream-refused',
    })
    await client.close()
  })

  test('a log of the schema before has no shapes, and journal files of it are delivered as what they are', async () => {
    const client = connect()
    // As version 1 left it: no later column, and a migration on record.
    const first = columnNames(1)
    const later = COLUMN_NAMES.filter((name) => !first.includes(name))
    await createMigrator(client, 'older')(signal)
    for (const { name } of VIEWS) await client.command(`DROP VIEW older.${name}`)
    for (const name of later) await client.command(`ALTER TABLE older.events DROP COLUMN ${name}`)
    await client.command('ALTER TABLE older.migrations DELETE WHERE version > 1 SETTINGS mutations_sync = 1')
    const log = await open('older', 'older')
    await log.append(today(decidedFully))
    await delivered(log)
    await log.close()
    expect(await rowsOf('SELECT shape FROM older.decisions')).toEqual([{ shape: '0123456789abcdef' }])
    expect(await rowsOf('SELECT max(version) AS version FROM older.migrations')).toEqual([{ version: 5 }])

    const bytes = await bytesOf(`SELECT ${first.join(', ')} FROM older.events`, 'RowBinary')
    await client.insertRowBinary('older.events', columnNames(1), bytes, 'an older one', signal)
    expect(later).toContain('shape')
    expect(await rowsOf('SELECT shape FROM older.events ORDER BY shape')).toEqual([
      { shape: '' },
      { shape: '0123456789abcdef' },
    ])
    await client.close()
  })
})
