/** The auditors' SQL against a real engine: what auditors ask for works, and each known attack is refused for its reason. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openClickHouse } from '../../../src/audit/clickhouse.node.ts'
import type { AuditQuery, AuditReader } from '../../../src/audit/contract.ts'
import type { ClickHouse } from '../../../src/audit/reader/contract.ts'
import { createReader } from '../../../src/audit/reader/index.ts'
import { stage } from './stage.ts'

const it = stage()
const signal = new AbortController().signal
let client: ClickHouse
let reader: AuditReader

beforeAll(async () => {
  const admin = openClickHouse({ url: it.url, database: 'default', requestTimeoutMs: 30_000 })
  for (const sql of [
    'CREATE DATABASE sluice',
    'CREATE DATABASE other',
    `CREATE TABLE sluice.records (id UInt64, kind LowCardinality(String), at DateTime64(3, 'UTC'), tables Array(String), body String)
     ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100`,
    'CREATE VIEW sluice.exchanges AS SELECT id, kind FROM sluice.records',
    'CREATE TABLE other.secrets (id UInt64) ENGINE = MergeTree ORDER BY id',
    `INSERT INTO sluice.records SELECT number, if(number % 2 = 0, 'decided', 'completed'), toDateTime64('2026-01-02', 3) + number,
     [concat('t', toString(number % 3))], toJSONString(map('n', number)) FROM numbers(10)`,
    'INSERT INTO other.secrets VALUES (42)',
  ]) {
    await admin.command(sql)
  }
  await admin.close()
  client = openClickHouse({ url: it.url, database: 'sluice', requestTimeoutMs: 30_000 })
  reader = createReader({ client, database: 'sluice', limits: { seconds: 5, rows: 1000, rowsRead: 100_000_000 } })
})
afterAll(() => client.close())

async function ask(sql: string, params: AuditQuery['params'] = {}, format: AuditQuery['format'] = 'ndjson') {
  const { body } = await reader.query({ sql, params, format }, signal)
  return new Response(body).text()
}

describe('what auditors ask for', () => {
  test('JSON with meta and data, numbers beyond 2^53 whole', async () => {
    const answer: unknown = JSON.parse(
      await ask('SELECT max(id) + 9007199254740993 AS big, count() AS n FROM exchanges', {}, 'json'),
    )
    expect(answer).toMatchObject({
      meta: [
        { name: 'big', type: 'UInt64' },
        { name: 'n', type: 'UInt64' },
      ],
      data: [{ big: '9007199254741002', n: '10' }],
      rows: 1,
    })
  })

  test('NDJSON, with parameters', async () => {
    const sql = 'SELECT id, kind FROM sluice.exchanges WHERE kind = {kind:String} AND id < {most:UInt64} ORDER BY id'
    expect(await ask(sql, { kind: 'decided', most: 3 })).toBe(
      '{"id":"0","kind":"decided"}\n{"id":"2","kind":"decided"}\n',
    )
    expect(await ask(sql, { kind: "decided' OR 1 = 1 --", most: 3 })).toBe('')
  })

  test.each([
    'SELECT kind, count(), countIf(id > 3), uniqExact(id), quantile(0.9)(id), argMax(id, at) FROM records GROUP BY kind HAVING count() > 1',
    'WITH big AS (SELECT * FROM records WHERE id > 5) SELECT b.id, r.kind FROM big AS b LEFT JOIN records r ON r.id = b.id',
    'SELECT toStartOfHour(at) AS hour, sum(count()) OVER (ORDER BY hour) FROM records GROUP BY hour ORDER BY hour WITH FILL LIMIT 5',
    `SELECT arrayMap(x -> upper(x), tables), JSONExtractInt(body, 'n'), body ILIKE '%n%' FROM records ARRAY JOIN tables AS t`,
    'SELECT * EXCEPT (body), row_number() OVER (PARTITION BY kind ORDER BY at DESC) FROM records QUALIFY row_number() OVER (ORDER BY id) < 3',
    'SELECT id FROM records WHERE id IN (SELECT id FROM exchanges) UNION ALL SELECT number FROM numbers(3);',
    `SELECT CASE WHEN id BETWEEN 1 AND 2 THEN 'a' ELSE 'b' END, CAST(id AS String), id::Int8, INTERVAL 1 DAY + at, -id FROM records -- end`,
    "SELECT SHA256(concat(unhex('00'), formatRow('RowBinary', id, kind))) FROM records ORDER BY id",
    `SELECT 'Function file (children 1)', 'a; DROP TABLE records', '\n TableIdentifier system.tables'`,
  ])('%s', async (sql) => {
    expect(await ask(sql)).toMatch(/^\{/)
  })

  test('an unknown name is told with its name', async () => {
    await expect(ask('SELECT nope FROM records')).rejects.toMatchObject({
      code: 'upstream-refused',
      message: /^ClickHouse refused it with `UNKNOWN_IDENTIFIER`: .*nope/,
    })
    await expect(ask('SELECT * FROM nowhere')).rejects.toMatchObject({ code: 'upstream-refused', message: /nowhere/ })
    await expect(ask('SELECT {p:String}')).rejects.toMatchObject({ code: 'statement-refused', message: /`p`/ })
    await expect(ask('SELEC 1')).rejects.toMatchObject({ code: 'statement-refused', message: /position 1 / })
  })
})

describe('attacks', () => {
  const file = join(it.data, 'outside.txt')

  test.each<[string, string]>([
    // other statements
    ['INSERT INTO records VALUES (1)', 'SYNTAX_ERROR|`INSERT`|plain `SELECT`'],
    ['INSERT INTO records SELECT * FROM records', '`INSERT`|SYNTAX_ERROR|plain `SELECT`'],
    ['DROP TABLE records', '`DROP`|plain `SELECT`'],
    ['ALTER TABLE records DELETE WHERE 1', '`ALTER`|plain `SELECT`'],
    ['TRUNCATE TABLE records', 'other than `SELECT`'],
    ['CREATE TABLE x (a Int8) ENGINE = Memory', '`CREATE`'],
    ['CREATE TEMPORARY TABLE x (a Int8)', '`CREATE`'],
    ['SYSTEM SHUTDOWN', 'other than `SELECT`|plain `SELECT`'],
    ['SET readonly = 0', '`SETTINGS`'],
    ['USE other', 'other than `SELECT`|plain `SELECT`'],
    ['KILL QUERY WHERE 1', '`KILL`|other than|plain'],
    ['SHOW TABLES', 'other than `SELECT`'],
    ['DESCRIBE TABLE records', 'other than `SELECT`'],
    ['EXPLAIN SELECT 1', '`EXPLAIN`'],
    ['EXECUTE AS somebody SELECT 1', 'other than `SELECT`'],
    ['SELECT 1 PARALLEL WITH SELECT 2', 'other than `SELECT`|plain `SELECT`'],
    ['', 'SYNTAX_ERROR'],
    // several statements
    ['SELECT 1; DROP TABLE records', 'SYNTAX_ERROR'],
    ['SELECT 1;;SELECT 2', 'SYNTAX_ERROR'],
    ['SELECT 1 /* */ ; /* */ SYSTEM SHUTDOWN', 'SYNTAX_ERROR'],
    // clauses
    ['SELECT 1 SETTINGS readonly = 0', '`READONLY`|`SETTINGS`'],
    ['SELECT 1 SETTINGS max_execution_time = 0', '`READONLY`|`SETTINGS`'],
    ['SELECT * FROM (SELECT 1 SETTINGS max_rows_to_read = 0)', '`SETTINGS`'],
    ['SELECT 1 FORMAT JSON', '`FORMAT`|plain `SELECT`'],
    ['SELECT 1 FORMAT TSVRaw', '`FORMAT`|plain `SELECT`'],
    [`SELECT 1 INTO OUTFILE '${file}'`, '`INTO OUTFILE`|plain `SELECT`|SYNTAX'],
    [`SELECT 1 INTO OUTFILE '${file}' TRUNCATE FORMAT TSVRaw`, '`INTO OUTFILE`|plain `SELECT`|SYNTAX'],
    // files, network, processes
    [`SELECT file('/etc/passwd')`, 'the function `file`'],
    [`SELECT FILE('/etc/passwd')`, 'the function `FILE`|`file`'],
    ["SELECT `file`('/etc/passwd')", 'the function `file`'],
    [`SELECT /* x */ file /* y */ ('/etc/passwd')`, 'the function `file`'],
    [`SELECT * FROM file('/etc/passwd', 'LineAsString')`, 'the table function `file`'],
    [`SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')`, 'the table function `url`'],
    [`SELECT * FROM remote('127.0.0.1', system.one)`, 'the table function `remote`'],
    [`SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV')`, 'the table function `s3`'],
    [`SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')`, 'the table function `mysql`'],
    [`SELECT * FROM executable('x.sh', CSV, 'a String')`, 'the table function `executable`'],
    [`SELECT 1 WHERE 1 IN (SELECT * FROM file('/etc/passwd', 'LineAsString'))`, 'the table function `file`'],
    [`SELECT arrayMap(x -> file(x), ['/etc/passwd'])`, 'the function `file`'],
    [`SELECT * APPLY(file) FROM (SELECT '/etc/passwd')`, '`APPLY`'],
    [`WITH file('/etc/passwd') AS x SELECT x`, 'the function `file`'],
    [`SELECT 1 ORDER BY file('/etc/passwd')`, 'the function `file`'],
    [`SELECT count() OVER (ORDER BY file('/etc/passwd'))`, 'the function `file`'],
    [`SELECT catboostEvaluate('/x', 1)`, 'the function `catboostEvaluate`'],
    // other tables
    ['SELECT * FROM other.secrets', 'the table `other.secrets`'],
    ['SELECT * FROM `other`.`secrets`', 'the table `other.secrets`'],
    ['SELECT * FROM {db:Identifier}.secrets', 'the table `other.secrets`'],
    ['SELECT * FROM records JOIN other.secrets USING (id)', 'the table `other.secrets`'],
    ['SELECT 42 IN other.secrets', 'the table `other.secrets`'],
    ['SELECT 42 NOT IN other.secrets', 'the table `other.secrets`'],
    ['SELECT in(42, other.secrets)', 'the table `other.secrets`'],
    ['SELECT (SELECT max(id) FROM other.secrets)', 'the table `other.secrets`'],
    ['WITH s AS (SELECT * FROM other.secrets) SELECT * FROM s', 'the table `other.secrets`'],
    ['SELECT 1 UNION ALL SELECT id FROM other.secrets', 'the table `other.secrets`'],
    ['SELECT 1 EXCEPT SELECT id FROM other.secrets', 'the table `other.secrets`'],
    ['SELECT * FROM view(SELECT * FROM other.secrets)', 'the table function `view`'],
    [`SELECT * FROM merge('other', '.*')`, 'the table function `merge`'],
    [`SELECT * FROM dictionary('d')`, 'the table function `dictionary`'],
    [`SELECT joinGet('other.j', 'a', 1)`, 'the function `joinGet`'],
    [`SELECT dictGet('d', 'a', 1)`, 'the function `dictGet`'],
    [`SELECT hasColumnInTable('other', 'secrets', 'id')`, 'the function `hasColumnInTable`'],
    [`SELECT * FROM mergeTreeIndex('sluice', 'records')`, 'the table function `mergeTreeIndex`'],
    [`SELECT * FROM cluster('default', other.secrets)`, 'the table function `cluster`'],
    ['SELECT * FROM system.tables', 'the table `system.tables`'],
    ['SELECT * FROM system.processes', 'the table `system.processes`'],
    ['SELECT * FROM information_schema.tables', 'the table `information_schema.tables`'],
    // the server itself
    [`SELECT getSetting('readonly')`, 'the function `getSetting`'],
    ['SELECT hostName()', 'the function `hostName`'],
    ['SELECT currentUser()', 'the function `currentUser`'],
    ['SELECT @@version', 'the function `globalVariable`'],
    ['SELECT sleep(3)', 'the function `sleep`'],
    [`SELECT throwIf(1, body) FROM records`, 'the function `throwIf`'],
    // names that look like trees
    ['SELECT id AS `x)\n TableIdentifier records (alias y` FROM records', 'plain `SELECT`'],
    ["SELECT 1 AS `x) (children 1)\n     Identifier y (alias z`, file('/etc/passwd')", 'plain `SELECT`|`file`'],
    ['SELECT * FROM `other.secrets\n`', 'plain `SELECT`|the table'],
  ])('%s', async (sql, why) => {
    await expect(ask(sql, { db: 'other' })).rejects.toMatchObject({
      code: 'statement-refused',
      message: expect.stringMatching(new RegExp(why)),
    })
    expect(existsSync(file)).toBe(false)
  })

  test('the second lock holds on its own: read-only, and limits that stay', async () => {
    const settings = { readonly: 1, max_execution_time: 5 }
    for (const sql of [
      'INSERT INTO records (id) SELECT 1',
      'DROP TABLE records',
      'CREATE TABLE x (a Int8) ENGINE = Memory',
      'SELECT 1 SETTINGS max_execution_time = 0',
      `SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')`,
    ]) {
      await expect(client.query({ sql, format: 'TSVRaw', settings }, signal)).rejects.toMatchObject({
        code: 'upstream-refused',
      })
    }
    expect(await ask('SELECT count() AS n FROM records')).toBe('{"n":"10"}\n')
  })
})

describe('limits', () => {
  test('rows of the answer', async () => {
    await expect(ask('SELECT number FROM numbers(100000)', {}, 'json')).rejects.toMatchObject({
      code: 'upstream-refused',
      message: 'it answers with more than a query may',
    })
  })

  test('rows read', async () => {
    await expect(ask('SELECT count() FROM numbers(200000000) WHERE number > 1')).rejects.toMatchObject({
      code: 'upstream-refused',
      message: 'it reads more rows than a query may',
    })
  })

  test('time', async () => {
    const hasty = createReader({ client, database: 'sluice', limits: { seconds: 1, rowsRead: 10 ** 15 } })
    const sql = 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1'
    await expect(hasty.query({ sql, params: {}, format: 'ndjson' }, signal)).rejects.toMatchObject({
      code: 'upstream-refused',
      message: 'it takes longer than a query may',
    })
  })

  test('an auditor who leaves stops the query', async () => {
    const patient = createReader({
      client,
      database: 'sluice',
      limits: { rowsRead: 10 ** 15, rows: 10 ** 9, bytes: 10 ** 12 },
    })
    const leaving = new AbortController()
    const sql = 'SELECT number, hex(SHA256(toString(number))) AS h FROM numbers(1000000000)'
    const { body } = await patient.query({ sql, params: {}, format: 'ndjson' }, leaving.signal)
    const pieces = body.getReader()
    expect((await pieces.read()).done).toBe(false)
    leaving.abort()
    const rest = async (): Promise<void> => {
      while (!(await pieces.read()).done);
    }
    await expect(rest()).rejects.toMatchObject({ code: 'client-gone' })
    await expect.poll(() => running(), { timeout: 20_000 }).toBe('0\n')
  })

  test('a text that is too long', async () => {
    await expect(ask(`SELECT '${'x'.repeat(100_000)}'`)).rejects.toMatchObject({ code: 'statement-refused' })
  })

  async function running(): Promise<string> {
    const sql = `SELECT count() FROM system.processes WHERE query LIKE '%numbers(1000000000)%' AND query NOT LIKE '%processes%'`
    return new Response(await client.query({ sql, format: 'TSVRaw' }, signal)).text()
  }
})

test('rows go in as RowBinary, the same token once', async () => {
  // id 77, kind 'x', at 0, tables [], body ''
  const row = Uint8Array.from([77, 0, 0, 0, 0, 0, 0, 0, 1, 120, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  const columns = ['id', 'kind', 'at', 'tables', 'body']
  for (const token of ['w:1:1', 'w:1:1', 'w:1:2']) {
    await client.insertRowBinary('sluice.records', columns, row, token, signal)
  }
  expect(await ask('SELECT id, kind FROM records WHERE id = 77')).toBe('{"id":"77","kind":"x"}\n'.repeat(2))
  await expect(
    client.insertRowBinary('sluice.records', columns, row.subarray(0, 9), 'w:1:3', signal),
  ).rejects.toMatchObject({ code: 'upstream-refused' })
})

test('a server that is not there is a failure, and a ping says so', async () => {
  const nobody = openClickHouse({ url: 'http://127.0.0.1:1', database: 'x', requestTimeoutMs: 1_000 })
  await expect(nobody.ping(signal)).rejects.toMatchObject({ code: 'upstream-failed' })
  await expect(nobody.query({ sql: 'SELECT 1', format: 'JSON' }, signal)).rejects.toMatchObject({
    code: 'upstream-failed',
  })
  await nobody.close()
  await reader.ready(signal)
})
