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
      message: expect.stringMatching(/^ClickHouse refused it with `UNKNOWN_IDENTIFIER`: .*nope/),
    })
    await expect(ask('SELECT * FROM nowhere')).rejects.toMatchObject({
      code: 'upstream-refused',
      message: expect.stringMatching(/nowhere/),
    })
    await expect(ask('SELECT {p:String}')).rejects.toMatchObject({
      code: 'statement-refused',
      message: expect.stringMatching(/`p`/),
    })
    await expect(ask('SELEC 1')).rejects.toMatchObject({
      code: 'statement-refused',
      message: expect.stringMatching(/position 7 /),
    })
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
    ['SELECT version(), uptime(), timezone()', 'the function `version`'],
    ['SELECT queryID()', 'the function `queryID`'],
    ['SELECT serverUUID()', 'the function `serverUUID`'],
    ['SELECT tcpPort()', 'the function `tcpPort`'],
    ['SELECT fqdn()', 'the function `fqdn`|`FQDN`'],
    ['SELECT currentDatabase()', 'the function `currentDatabase`'],
    ['SELECT currentRoles()', 'the function `currentRoles`'],
    [`SELECT getMacro('shard')`, 'the function `getMacro`'],
    [`SELECT getServerSetting('max_concurrent_queries')`, 'the function `getServerSetting`'],
    [`SELECT getClientHTTPHeader('authorization')`, 'the function `getClientHTTPHeader`'],
    [`SELECT getOSKernelVersion()`, 'the function `getOSKernelVersion`'],
    [`SELECT filesystemAvailable()`, 'the function `filesystemAvailable`'],
    [`SELECT addressToSymbol(1)`, 'the function `addressToSymbol`'],
    [`SELECT demangle('x')`, 'the function `demangle`'],
    ['SELECT sleepEachRow(1) FROM numbers(10)', 'the function `sleepEachRow`'],
    [`SELECT initializeAggregation('countState')`, 'the function `initializeAggregation`'],
    [`SELECT evalMLMethod(1)`, 'the function `evalMLMethod`'],
    [`SELECT executable('x')`, 'the function `executable`'],
    [`SELECT aes_decrypt_mysql('aes-128-ecb', 'x', 'y')`, 'the function'],
    [`SELECT generateUUIDv4()`, 'the function `generateUUIDv4`'],
    // whatever tells of tables without reading them
    [`SELECT * FROM loop(records)`, 'the table function `loop`'],
    [`SELECT * FROM loop('other', 'secrets')`, 'the table function `loop`'],
    [`SELECT * FROM clusterAllReplicas('default', other.secrets)`, 'the table function `clusterAllReplicas`'],
    [`SELECT * FROM remoteSecure('127.0.0.1', other.secrets)`, 'the table function `remoteSecure`'],
    [`SELECT * FROM mergeTreeProjection('sluice', 'records', 'p')`, 'the table function `mergeTreeProjection`'],
    [`SELECT * FROM mergeTreeAnalyzeIndexes('sluice', 'records')`, 'the table function'],
    [
      `SELECT * FROM viewIfPermitted(SELECT * FROM other.secrets ELSE null('id UInt64'))`,
      'plain `SELECT`|the table function',
    ],
    [`SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))`, 'the table function `viewExplain`'],
    [`SELECT * FROM (EXPLAIN SELECT * FROM other.secrets)`, 'the table function `viewExplain`|`EXPLAIN`'],
    [`SELECT * FROM (DESCRIBE other.secrets)`, 'SYNTAX_ERROR|not allowed'],
    [`SELECT * FROM input('a String')`, 'the table function `input`'],
    [`SELECT * FROM null('a String')`, 'the table function `null`'],
    [`SELECT * FROM generateRandom('a String')`, 'the table function `generateRandom`'],
    [`SELECT * FROM fuzzQuery('SELECT 1')`, 'the table function `fuzzQuery`'],
    [`SELECT * FROM format(JSONEachRow, '{"a":1}')`, 'the table function `format`'],
    [`SELECT * FROM sqlite('/etc/passwd', 't')`, 'the table function `sqlite`'],
    [`SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')`, 'the table function `postgresql`'],
    [`SELECT * FROM mongodb('127.0.0.1:1', 'd', 't', 'u', 'p', 'a String')`, 'the table function `mongodb`'],
    [`SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')`, 'the table function `redis`'],
    [`SELECT * FROM jdbc('x', 'y', 'z')`, 'the table function `jdbc`'],
    [`SELECT * FROM odbc('x', 'y', 'z')`, 'the table function `odbc`'],
    [`SELECT * FROM hdfs('hdfs://x/y', 'CSV')`, 'the table function `hdfs`'],
    [`SELECT * FROM azureBlobStorage('x', 'y', 'z')`, 'the table function `azureBlobStorage`'],
    [`SELECT * FROM gcs('http://127.0.0.1:1/b/k', 'CSV')`, 'the table function `gcs`'],
    [`SELECT * FROM deltaLake('http://127.0.0.1:1/b')`, 'the table function `deltaLake`'],
    [`SELECT * FROM iceberg('http://127.0.0.1:1/b')`, 'the table function `iceberg`'],
    [`SELECT * FROM icebergLocal('/etc')`, 'the table function `icebergLocal`'],
    [`SELECT * FROM urlCluster('default', 'http://127.0.0.1:1/', CSV, 'a String')`, 'the table function `urlCluster`'],
    [`SELECT * FROM fileCluster('default', '/etc/passwd', CSV, 'a String')`, 'the table function `fileCluster`'],
    [`SELECT * FROM timeSeriesData('sluice', 'x')`, 'the table function `timeSeriesData`'],
    [`SELECT * FROM python('x')`, 'the table function|SYNTAX'],
    [`SELECT * FROM INFORMATION_SCHEMA.COLUMNS`, 'the table `INFORMATION_SCHEMA.COLUMNS`'],
    // tables by parameters, and parameters that are more than values
    ['SELECT * FROM {db:Identifier}.{t:Identifier}', 'the table `other.secrets`'],
    ['SELECT 42 IN {t:Identifier}.secrets', 'not allowed|SYNTAX|plain'],
    ['SELECT {f:Identifier}(1)', 'SYNTAX_ERROR|not allowed|the function'],
    // words of bytes that the engine would take for its own state
    [`SELECT CAST('x', 'AggregateFunction(groupArray, String)')`, 'states of aggregate functions'],
    [`SELECT unhex('ffff')::AggregateFunction(uniq, UInt64)`, 'states of aggregate functions'],
    [`SELECT CAST('x', 'Aggregate\\x46unction(count)')`, 'a state of an aggregate function'],
    [`SELECT CAST('x', concat('Aggregate', 'Function(count)'))`, 'a cast to a type that is computed'],
    [`WITH concat('Aggregate', 'Function(count)') AS t SELECT CAST('x', t)`, 'a cast to a type that is computed'],
    [`SELECT {state:AggregateFunction(groupArray, String)}`, 'states of aggregate functions'],
    [`SELECT uniqMerge(x) FROM (SELECT uniqState(1) AS x)`, 'the function `uniqMerge`|`uniqState`'],
    [`SELECT finalizeAggregation('x')`, 'the function `finalizeAggregation`'],
    // comments and letters
    [`SELECT 1 -- \n; DROP TABLE records\n; DROP TABLE records`, 'SYNTAX_ERROR'],
    [`SELECT/**/*/**/FROM/**/system.one`, 'the table `system.one`'],
    ['SELECT * FROM system . one', 'the table `system.one`'],
    ['SELECT * FROM "system"."one"', 'the table `system.one`'],
    ['SELECT * FROM \u0000system.one', 'holds a NUL'],
    ['SELECT 1\u0000; DROP TABLE records', 'holds a NUL'],
    ["SELECT 'x' INTO OUTFILE '/tmp/x' AND STDOUT", '`INTO OUTFILE`|plain `SELECT`|SYNTAX'],
    ['FROM system.one SELECT 1', 'the table `system.one`'],
    ['(SELECT 1) FORMAT JSON', '`FORMAT`|plain'],
    ['graph = 1 SELECT 1', 'SYNTAX_ERROR|plain'],
    ['BACKUP TABLE records TO File(1)', 'other than `SELECT`|plain|SYNTAX'],
    ['GRANT SELECT ON *.* TO x', 'other than `SELECT`|plain|SYNTAX'],
    ['CHECK TABLE records', 'other than `SELECT`|plain'],
    ['EXISTS TABLE records', 'other than `SELECT`|plain'],
    ['OPTIMIZE TABLE records FINAL', 'other than `SELECT`|plain'],
    ['RENAME TABLE records TO x', 'other than `SELECT`|plain'],
    ['ATTACH TABLE x', '`CREATE`|other than `SELECT`|plain'],
    ['WATCH records', 'other than `SELECT`|plain|SYNTAX'],
    ['BEGIN TRANSACTION', 'other than `SELECT`|plain'],
    ['SELECT sleep(3)', 'the function `sleep`'],
    [`SELECT throwIf(1, body) FROM records`, 'the function `throwIf`'],
    // names that look like trees
    ['SELECT id AS `x)\n TableIdentifier records (alias y` FROM records', 'plain `SELECT`'],
    ["SELECT 1 AS `x) (children 1)\n     Identifier y (alias z`, file('/etc/passwd')", 'plain `SELECT`|`file`'],
    ['SELECT * FROM `other.secrets\n`', 'plain `SELECT`|the table'],
  ])('%s', async (sql, why) => {
    await expect(ask(sql, { db: 'other', t: 'secrets', f: 'file', state: 'x' })).rejects.toMatchObject({
      code: 'statement-refused',
      message: expect.stringMatching(new RegExp(why)),
    })
    expect(existsSync(file)).toBe(false)
  })

  test.each([
    'SELECT §',
    'SELECT DISTINCT ON (§) 1',
    'SELECT 1 AS x FROM records WHERE § = 1',
    'SELECT 1 FROM records PREWHERE § = 1',
    'SELECT count() FROM records GROUP BY §',
    'SELECT count() FROM records GROUP BY GROUPING SETS ((§), (id))',
    'SELECT count() FROM records GROUP BY id WITH TOTALS HAVING § = 1',
    'SELECT id FROM records ORDER BY §',
    'SELECT id FROM records ORDER BY id WITH FILL FROM §',
    'SELECT id FROM records ORDER BY id WITH FILL FROM 1 TO §',
    'SELECT id FROM records ORDER BY id WITH FILL FROM 1 TO 9 STEP §',
    'SELECT id FROM records ORDER BY id WITH FILL STALENESS §',
    'SELECT id, kind FROM records ORDER BY id WITH FILL INTERPOLATE (kind AS §)',
    'SELECT id FROM records LIMIT §',
    'SELECT id FROM records LIMIT 1 OFFSET §',
    'SELECT id FROM records LIMIT 1 BY §',
    'SELECT id FROM records LIMIT § BY id',
    'SELECT id FROM records LIMIT 1, § BY id',
    'SELECT row_number() OVER (PARTITION BY §) FROM records',
    'SELECT row_number() OVER (ORDER BY §) FROM records',
    'SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN § PRECEDING AND CURRENT ROW) FROM records',
    'SELECT sum(id) OVER w FROM records WINDOW w AS (PARTITION BY §)',
    'SELECT id FROM records QUALIFY § = 1',
    'SELECT * FROM records ARRAY JOIN [§] AS a',
    'SELECT * FROM records a JOIN records b ON a.id = b.id AND § = 1',
    'SELECT * FROM records a, (SELECT § AS f) b',
    'SELECT * EXCEPT (id) REPLACE (§ AS kind) FROM records',
    'SELECT COLUMNS(id, kind) REPLACE (§ AS kind) FROM records',
    'SELECT quantile(§)(id) FROM records',
    'SELECT sum(id) FILTER (WHERE § = 1) FROM records',
    'SELECT CASE § WHEN 1 THEN 2 END',
    'SELECT id BETWEEN § AND 2 FROM records',
    'SELECT [1, 2][§]',
    'SELECT (1, 2).1 + §',
    'SELECT INTERVAL § DAY + now()',
    'SELECT x -> §',
    'SELECT arrayMap(x -> §, [1])',
    "SELECT * FROM values('a String', §)",
    'SELECT * FROM numbers(§)',
    'WITH § AS x SELECT x',
    'WITH x AS (SELECT §) SELECT * FROM x',
    'WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT § FROM x) SELECT * FROM x',
    'SELECT 1 UNION DISTINCT SELECT §',
    'SELECT 1 INTERSECT SELECT §',
    'SELECT 1 IN (SELECT §)',
    'SELECT 1 = ANY (SELECT §)',
    'SELECT EXISTS (SELECT §)',
    'SELECT {x:String} || §',
  ])('a function that reads files is seen wherever it stands: %s', async (sql) => {
    await expect(ask(sql.replace('§', `file('/etc/passwd')`), { x: 'x' })).rejects.toMatchObject({
      code: 'statement-refused',
      message: expect.stringMatching(/the function `file`|SYNTAX_ERROR|plain|is not allowed in audit queries/),
    })
    // With what may be called in its place, the guard is no hindrance.
    const harmless = await ask(sql.replace('§', 'length(toString(1))'), { x: 'x' }).catch(String)
    expect(harmless).not.toContain('not allowed in audit queries')
    expect(harmless).not.toContain('plain `SELECT`')
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

  test.each([
    ['a million numbers in memory', 'SELECT groupArray(repeat(toString(number), 1000)) FROM numbers(1000000)'],
    ['a range that is too long', 'SELECT arraySum(range(2000000000))'],
    ['text that doubles', `SELECT length(repeat(repeat(repeat('x', 100000), 10000), 10))`],
    ['recursion without end', 'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r'],
    [
      'names that double',
      `WITH ${Array.from({ length: 30 }, (_, i) => `${i === 0 ? '1' : `x${i - 1} + x${i - 1}`} AS x${i}`).join(', ')} SELECT x29`,
    ],
    ['brackets without end', `SELECT ${'('.repeat(3000)}1${')'.repeat(3000)}`],
    ['arrays without end', `SELECT ${'['.repeat(2000)}1${']'.repeat(2000)}`],
    ['signs without end', `SELECT ${'-'.repeat(1)}${'(-'.repeat(900)}1${')'.repeat(900)}`],
    [
      'joins of everything',
      'SELECT count() FROM numbers(100000) a, numbers(100000) b, numbers(1000) c WHERE sipHash64(a.number, b.number, c.number) = 1',
    ],
  ])('%s', async (_, sql) => {
    const tight = createReader({
      client,
      database: 'sluice',
      limits: { seconds: 2, memoryBytes: 128 * 1024 ** 2, rowsRead: 10 ** 15 },
    })
    const asked = tight.query({ sql, params: {}, format: 'ndjson' }, signal)
    const answered = asked.then(({ body }) => new Response(body).text())
    await expect(answered).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:statement|upstream)-(?:refused|failed)$/),
    })
    expect(await ask('SELECT 1 AS alive')).toBe('{"alive":1}\n')
  })

  test('a text that is too long', async () => {
    await expect(ask(`SELECT '${'x'.repeat(100_000)}'`)).rejects.toMatchObject({ code: 'statement-refused' })
  })

  async function running(): Promise<string> {
    const sql = `SELECT count() FROM system.processes WHERE query LIKE '%numbers(1000000000)%' AND query NOT LIKE '%processes%'`
    return new Response(await client.query({ sql, format: 'TSVRaw' }, signal)).text()
  }
})

test('data with blank lines and SQL in it is data', async () => {
  const text = `x\n\nDROP TABLE records\n\n; DROP TABLE records;\nSELECT file('/etc/passwd')\n\n`
  const written = new TextEncoder().encode(text)
  const row = Uint8Array.from([78, 0, 0, 0, 0, 0, 0, 0, 1, 120, 0, 0, 0, 0, 0, 0, 0, 0, 0, written.length, ...written])
  await client.insertRowBinary(
    'sluice.records',
    ['id', 'kind', 'at', 'tables', 'body'],
    row,
    `w:\n\nDROP TABLE records`,
    signal,
  )
  expect(JSON.parse(await ask('SELECT body FROM records WHERE id = 78'))).toEqual({ body: text })
  expect(await ask('SELECT {body:String} AS body', { body: text })).toBe(
    `${JSON.stringify({ body: text }).replaceAll('/', String.raw`\/`)}\n`,
  )
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
