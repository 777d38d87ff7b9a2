/** An auditor of some connections against the real schema in a real engine: nothing of the others comes out, by whatever way. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openClickHouse } from '../../../src/audit/clickhouse.node.ts'
import type { AuditReader, AuditRecord } from '../../../src/audit/contract.ts'
import type { ClickHouse } from '../../../src/audit/reader/contract.ts'
import { createReader } from '../../../src/audit/reader/index.ts'
import { encodePayload, PAYLOAD_NAMES } from '../../../src/audit/payload.ts'
import { COLUMN_NAMES, encodeUnplaced, toRow } from '../../../src/audit/record.ts'
import { createMigrator } from '../../../src/audit/schema.ts'
import { VIEWS } from '../../../src/audit/views.ts'
import { concatenated } from '../../../src/bytes.ts'
import { decidedFully, exchange, ids } from '../../src/audit/stage.ts'
import { stage } from './stage.ts'

const it = stage()
const signal = new AbortController().signal
const EPOCH = '01930000-0000-7000-8000-0000000000ee'
let client: ClickHouse
let reader: AuditReader

/** What must never come out: it stands in every field of a record that may hold words. */
const SECRET = 'thesecretofmars'

/** Of two connections by turns, and of none. */
const CONNECTIONS = ['venus', 'mars', undefined]

function recordsOf(n: number): readonly AuditRecord[] {
  const connection = CONNECTIONS[n % 3]
  const word = connection === 'venus' ? 'open' : SECRET
  const { connection: _, ...rest } = decidedFully
  const common: AuditRecord = {
    ...rest,
    exchange: exchange(n),
    at: decidedFully.at + n,
    purpose: word,
    statement: { ...decidedFully.statement!, text: `SELECT ${word}`, uses: [{ action: 'read', resource: word }] },
    ...(connection !== undefined && { connection }),
  }
  const { decision: _decision, findings: _findings, ...ended } = common
  return [
    common,
    {
      ...ended,
      kind: 'completed',
      completion: {
        ran: word,
        rowCount: n,
        byteCount: n,
        masked: [{ resource: word, column: word, strategy: 'hash' }],
        statistics: { durationMs: 1 },
        ending: 'whole',
      },
    },
    { ...ended, kind: 'hold', hold: { id: exchange(n), state: 'approved', comment: word } },
    { ...ended, kind: 'refused', failure: { code: 'denied', message: word } },
  ]
}

beforeAll(async () => {
  const admin = openClickHouse({ url: it.url, database: 'default', requestTimeoutMs: 30_000 })
  await createMigrator(admin, 'evidence')(signal)
  const newId = ids()
  const rows = Array.from({ length: 30 }, (_, n) => recordsOf(n)).flat()
  const stamp = { writer: 'w', epoch: EPOCH, retainDays: 100_000 }
  const placed = rows.map((record, i) =>
    concatenated([encodeUnplaced(toRow(record, { ...stamp, recordId: newId() })), place(i)]),
  )
  await admin.insertRowBinary('evidence.events', COLUMN_NAMES, concatenated(placed), 'e', signal)
  const pieces = Array.from({ length: 30 }, (_, n) => {
    const connection = CONNECTIONS[n % 3] ?? ''
    const content = new TextEncoder().encode(connection === 'venus' ? 'open\n' : `${SECRET}\n`)
    const row = { ts: (decidedFully.at + n) * 1000, exchange_id: exchange(n), direction: 'answer', chunk: 0, offset: 0 }
    const more = {
      type: 'text/plain',
      content,
      is_last: true,
      mark: '',
      digests: [],
      issuer: 'corp',
      subject: 'agent-7',
    }
    const rest = { ...row, ...more, connection, writer: 'w', epoch: EPOCH, retain_until: 65_000 }
    return concatenated([encodePayload(rest), place(n)])
  })
  await admin.insertRowBinary('evidence.payloads', PAYLOAD_NAMES, concatenated(pieces), 'p', signal)
  await admin.command(
    `INSERT INTO evidence.segments SELECT 'w', toUUID('${EPOCH}'), 1, 4, 0, 120, '${SECRET}', '', '', now64(3)`,
  )
  await admin.close()
  client = openClickHouse({ url: it.url, database: 'evidence', requestTimeoutMs: 30_000 })
  reader = createReader({ client, database: 'evidence' })
})
afterAll(() => client.close())

/** Segment 1 and a sequence number. */
function place(seq: number): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, 1n, true)
  view.setBigUint64(8, BigInt(seq), true)
  return bytes
}

async function ask(sql: string, connections: readonly string[] | undefined = ['venus']): Promise<string> {
  const scope = connections === undefined ? {} : { connections }
  const { body } = await reader.query({ sql, params: {}, format: 'ndjson', ...scope }, signal)
  return new Response(body).text()
}

const everything = async (sql: string): Promise<string> => {
  const { body } = await reader.query({ sql, params: {}, format: 'ndjson' }, signal)
  return new Response(body).text()
}

const TABLES = ['events', 'payloads', ...VIEWS.map(({ name }) => name)]

describe('what is of other connections does not come out', () => {
  test('of any table or view', async () => {
    for (const table of TABLES) {
      const known = await everything(`SELECT * FROM ${table}`)
      const seen = await ask(`SELECT * FROM ${table}`)
      expect([table, seen.includes(SECRET), seen.includes('mars')]).toEqual([table, false, false])
      // Of something that is there, and is seen where it may be.
      if (known !== '') expect([table, known.length > seen.length]).toEqual([table, true])
    }
    expect(await ask('SELECT count() AS n, uniqExact(exchange_id) AS x FROM events')).toBe('{"n":"40","x":"10"}\n')
    expect(await ask('SELECT count() AS n FROM events', [])).toBe('{"n":"0"}\n')
    expect(await ask('SELECT count() AS n FROM events', ['venus', 'mars'])).toBe('{"n":"80"}\n')
    expect(await ask('SELECT count() AS n FROM events', ["' OR 1 = 1 OR connection = '"])).toBe('{"n":"0"}\n')
    expect(await ask('SELECT count() AS n FROM events', ["\\'}', 'x"])).toBe('{"n":"0"}\n')
  })

  test.each([
    'SELECT * FROM evidence.events',
    'SELECT * FROM events AS `evidence.segments`',
    'SELECT e.* FROM events AS events_of_mine, events AS e',
    'SELECT p.content FROM exchanges x RIGHT JOIN payloads p ON x.exchange_id = p.exchange_id',
    'SELECT p.content, e.statement FROM events e FULL JOIN payloads p ON e.exchange_id = p.exchange_id',
    'SELECT p.content FROM numbers(1) n LEFT JOIN payloads p ON n.number = 0 AND p.chunk = n.number',
    'SELECT * FROM events e ANY LEFT JOIN payloads p USING (exchange_id)',
    'SELECT * FROM events e ASOF JOIN payloads p ON e.exchange_id = p.exchange_id AND e.ts <= p.ts',
    'SELECT * FROM (SELECT * FROM (SELECT * FROM exchanges))',
    'WITH x AS (SELECT * FROM decisions) SELECT * FROM x UNION ALL SELECT * FROM x',
    'WITH (SELECT groupArray(statement) FROM events) AS x SELECT x',
    'SELECT (SELECT groupUniqArray(purpose) FROM exchanges) AS x',
    'SELECT groupArray(number) FROM numbers(30) WHERE number IN (SELECT toUInt64(row_count) FROM events WHERE row_count % 3 != 0)',
    `SELECT 1 WHERE exists(SELECT 1 FROM events WHERE statement LIKE '%${SECRET.slice(0, 4)}%')`,
    `SELECT 1 WHERE 'mars' IN (SELECT connection FROM events)`,
    `WITH RECURSIVE r AS (SELECT 0 AS n, CAST('' AS String) AS c UNION ALL SELECT n + 1, e.statement FROM r, events e WHERE n < 2) SELECT DISTINCT c FROM r`,
    'SELECT statement FROM events EXCEPT SELECT 1::String',
    'SELECT statement FROM events INTERSECT SELECT statement FROM exchanges',
    "SELECT 'venus' AS connection, e.statement FROM events e",
    "SELECT statement FROM (SELECT 'venus' AS connection, statement FROM events) WHERE connection = 'venus'",
    'SELECT max(statement), any(statement), argMax(statement, row_count), topK(50)(statement) FROM events',
    'SELECT statement, count() FROM events GROUP BY statement WITH ROLLUP',
    'SELECT first_value(statement) OVER (ORDER BY ts DESC) FROM events',
    'SELECT lagInFrame(statement) OVER (ORDER BY ts) FROM events',
    'SELECT statement FROM events ORDER BY ts WITH FILL LIMIT 1000',
    'SELECT statement FROM events LIMIT 1 BY statement',
    "SELECT COLUMNS('^st') FROM events",
    'SELECT t FROM events ARRAY JOIN tables AS t',
    'SELECT arrayJoin(tables) FROM events',
    'SELECT * EXCEPT (connection) FROM events',
    "SELECT * REPLACE ('venus' AS connection) FROM events",
  ])('%s', async (sql) => {
    const seen = await ask(sql)
    expect(seen).not.toContain(SECRET)
    expect(seen).not.toContain('mars')
    // Without the scope it would, or would say more.
    expect(await everything(sql)).not.toBe(seen)
  })

  test('not by an error that only a hidden row gives', async () => {
    const breaks = `intDiv(1, if(statement LIKE '%${SECRET}%', 0, 1))`
    for (const sql of [
      `SELECT count() AS n FROM events WHERE ${breaks} = 1`,
      `SELECT count() AS n FROM events WHERE connection = 'mars' AND ${breaks} = 1`,
      `SELECT sum(${breaks}) AS n FROM events`,
      `SELECT count() AS n FROM exchanges WHERE ${breaks} = 1`,
      `SELECT count() AS n FROM exchanges HAVING ${breaks.replace('statement', 'max(statement)')} = 1`,
      `SELECT count() AS n FROM (SELECT * FROM decisions) WHERE ${breaks} = 1`,
      `SELECT count() AS n FROM events e JOIN (SELECT 1 AS one) o ON o.one = ${breaks}`,
      `SELECT ${breaks} AS n FROM events ORDER BY ${breaks} LIMIT 1`,
      `SELECT count() AS n FROM events GROUP BY ${breaks}`,
      `SELECT count() AS n FROM events e RIGHT JOIN (SELECT 1 AS one) o ON o.one = ${breaks}`,
      `SELECT count() AS n FROM (SELECT 1 AS one) o JOIN events e ON o.one = ${breaks}`,
      `SELECT count() AS n FROM events e, (SELECT 1 AS one) o WHERE o.one = ${breaks}`,
      `SELECT count() AS n FROM events WHERE ${breaks} IN (SELECT 1)`,
      `SELECT count() AS n FROM events ARRAY JOIN [${breaks}] AS t`,
      `SELECT count() AS n FROM (SELECT DISTINCT ${breaks} FROM events)`,
      `SELECT max(CAST(if(statement LIKE '%${SECRET}%', 'x', '1') AS UInt8)) AS n FROM events`,
      `SELECT max(length(repeat('x', if(statement LIKE '%${SECRET}%', 100000000, 1)))) AS n FROM events`,
    ]) {
      expect(await ask(sql)).toMatch(/^\{"n":"?\d+"?\}\n$/)
      await expect(everything(sql)).rejects.toMatchObject({
        code: expect.stringMatching(/^upstream-(?:refused|failed)$/),
      })
    }
  })

  test.each([
    ['SELECT count() FROM events PREWHERE intDiv(1, row_count) = 1', 'the word `PREWHERE`'],
    ['SELECT count() FROM events prewhere 1', 'the word `PREWHERE`'],
    ['SELECT * FROM segments', 'the table `segments`'],
    ['SELECT * FROM evidence.checkpoints', 'the table `evidence.checkpoints`'],
    ['SELECT 1 IN (SELECT segment FROM segments)', 'the table `segments`'],
    ['SELECT 1 IN segments', 'the table `segments`'],
    ['SELECT * FROM migrations', 'the table `migrations`'],
    ['WITH segments AS (SELECT 1) SELECT * FROM segments', 'the table `segments`'],
    ['SELECT _part, _part_offset FROM events', 'the column `_part`'],
    ['SELECT e._part_offset FROM events AS e', 'the column `e._part_offset`'],
    ['SELECT `_part_uuid` FROM events', 'the column `_part_uuid`'],
    ['SELECT count() FROM events SETTINGS additional_table_filters = {}', '`SETTINGS`|READONLY'],
  ])('%s is refused', async (sql, why) => {
    await expect(ask(sql)).rejects.toMatchObject({ code: 'statement-refused', message: expect.stringMatching(why) })
  })

  test('nor how many there are: no count of rows that were read', async () => {
    const { body } = await reader.query(
      { sql: 'SELECT count() AS n FROM events', params: {}, format: 'json', connections: ['venus'] },
      signal,
    )
    expect(Object.keys((await new Response(body).json()) as object)).toEqual(['meta', 'data', 'rows'])
  })

  test('nor where a table came that nobody foresaw', async () => {
    const admin = openClickHouse({ url: it.url, database: 'evidence', requestTimeoutMs: 30_000 })
    await admin.command(`CREATE TABLE notes (note String) ENGINE = MergeTree ORDER BY note`)
    await admin.command(`CREATE TABLE late (connection String, note String) ENGINE = MergeTree ORDER BY note`)
    await admin.command(`CREATE TABLE held (connection String, note String) ENGINE = Memory`)
    await admin.command(`CREATE VIEW gathered AS SELECT note FROM notes`)
    for (const table of ['late', 'held'])
      await admin.command(`INSERT INTO ${table} VALUES ('mars', '${SECRET}'), ('venus', 'open')`)
    await admin.command(`INSERT INTO notes VALUES ('${SECRET}')`)
    await admin.close()
    expect(await ask('SELECT note FROM late')).toBe('{"note":"open"}\n')
    expect(await ask('SELECT note FROM gathered')).toBe('')
    await expect(ask('SELECT note FROM notes')).rejects.toMatchObject({ code: 'statement-refused' })
    await expect(ask('SELECT note FROM held')).rejects.toMatchObject({ code: 'statement-refused' })
    expect(await everything('SELECT note FROM gathered')).toContain(SECRET)
  })
})

describe('single exchanges', () => {
  test('of an own connection are told whole, of others not at all', async () => {
    const [own, other, none] = [exchange(0), exchange(1), exchange(2)]
    const connections = ['venus']
    const told = await reader.exchange({ exchange: own, connections }, signal)
    expect(told?.records.map(({ kind }) => kind)).toEqual(['decided', 'completed', 'hold', 'refused'])
    expect(told?.bodies).toEqual([{ direction: 'answer', type: 'text/plain', pieces: 1, bytes: 5, ended: true }])
    expect(await reader.exchange({ exchange: own }, signal)).toEqual(told)
    for (const hidden of [other, none]) {
      expect(await reader.exchange({ exchange: hidden, connections }, signal)).toBeUndefined()
      expect(await reader.replay({ exchange: hidden, connections }, signal)).toBeUndefined()
      expect(await reader.exchange({ exchange: hidden }, signal)).toMatchObject({ exchange: hidden })
    }
    expect(await reader.exchange({ exchange: own, connections: [] }, signal)).toBeUndefined()
  })

  test('that have expired are told from their copies under a legal hold, once', async () => {
    const admin = openClickHouse({ url: it.url, database: 'evidence', requestTimeoutMs: 30_000 })
    const whole = await reader.exchange({ exchange: exchange(3) }, signal)
    for (const [hold, kind] of [
      ['h1', '%'],
      ['h2', 'decided'],
    ]) {
      const events = COLUMN_NAMES.join(', ')
      await admin.command(
        `INSERT INTO held_events (hold, ${events}) SELECT '${hold}', ${events} FROM events WHERE exchange_id = '${exchange(3)}' AND kind LIKE '${kind}'`,
      )
      const payloads = PAYLOAD_NAMES.join(', ')
      await admin.command(
        `INSERT INTO held_payloads (hold, ${payloads}) SELECT '${hold}', ${payloads} FROM payloads WHERE exchange_id = '${exchange(3)}'`,
      )
    }
    expect(await reader.exchange({ exchange: exchange(3) }, signal)).toEqual(whole)
    for (const table of ['events', 'payloads']) {
      await admin.command(
        `ALTER TABLE ${table} DELETE WHERE exchange_id = '${exchange(3)}' SETTINGS mutations_sync = 2`,
      )
    }
    await admin.close()
    expect(await reader.exchange({ exchange: exchange(3), connections: ['venus'] }, signal)).toEqual(whole)
    expect(await reader.exchange({ exchange: exchange(3), connections: ['mars'] }, signal)).toBeUndefined()
    const replayed: string[] = []
    for await (const { event } of (await reader.replay({ exchange: exchange(3) }, signal)) ?? []) replayed.push(event)
    expect(replayed.filter((event) => event === 'chunk')).toHaveLength(1)
  })

  test('of many pieces are replayed page by page, in order and whole', async () => {
    const admin = openClickHouse({ url: it.url, database: 'default', requestTimeoutMs: 30_000 })
    const begin = decidedFully.at * 1000
    const pieces = Array.from({ length: 100 }, (_, chunk) => {
      const content = new TextEncoder().encode(`line ${chunk}\n`)
      // Several in one moment, as many as no page holds.
      const row = {
        ts: begin + Math.floor(chunk / 40),
        exchange_id: exchange(0),
        direction: 'request',
        chunk,
        offset: 0,
      }
      const more = {
        type: 'text/plain',
        content,
        is_last: chunk === 99,
        mark: '',
        digests: [],
        issuer: '',
        subject: '',
      }
      const rest = { ...row, ...more, connection: 'venus', writer: 'w', epoch: EPOCH, retain_until: 65_000 }
      return concatenated([encodePayload(rest), place(chunk)])
    })
    await admin.insertRowBinary('evidence.payloads', PAYLOAD_NAMES, concatenated(pieces), 'many', signal)
    await admin.close()
    const events = await reader.replay({ exchange: exchange(0), connections: ['venus'] }, signal)
    const text: unknown[] = []
    for await (const event of events ?? []) if (event['direction'] === 'request') text.push(event['text'])
    expect(text).toEqual(Array.from({ length: 100 }, (_, chunk) => `line ${chunk}\n`))
  })
})
