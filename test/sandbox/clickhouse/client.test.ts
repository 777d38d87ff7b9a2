/** The unmodified official client against the sandbox's ClickHouse. */
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { ClickHouseLogLevel, createClient, type ClickHouseClient } from '@clickhouse/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPart } from '../../../sandbox/parts.ts'
import { stage } from './stage.ts'

const it = stage()
let client: ClickHouseClient

beforeAll(() => {
  client = createClient(quiet())
})
afterAll(() => client.close())

const count = async (table: string): Promise<number> => {
  const result = await client.query({ query: `SELECT count() AS n FROM ${table}`, format: 'JSONEachRow' })
  return Number((await result.json<{ n: string }>())[0]?.n)
}

describe('queries', () => {
  test('a ping, any user and password, and the version', async () => {
    expect(await client.ping()).toEqual({ success: true })
    const other = createClient({ ...quiet(), username: 'sluice', password: 'anything' })
    const result = await other.query({ query: 'SELECT version() AS v' })
    expect((await result.json<{ v: string }>()).data[0]?.v).toMatch(/^2\d\.\d+/)
    await other.close()
  })

  test('parameters of several types arrive as values and never as text of the statement', async () => {
    const result = await client.query({
      query:
        'SELECT {s:String} AS s, {n:UInt64} AS n, {a:Array(String)} AS a, {z:Nullable(String)} AS z, {d:Date} AS d',
      query_params: { s: "it's\n\\ '; DROP TABLE t --", n: 7, a: ["x'", 'y'], z: null, d: '2026-01-02' },
      format: 'JSONEachRow',
    })
    expect(await result.json()).toEqual([
      { s: "it's\n\\ '; DROP TABLE t --", n: 7, a: ["x'", 'y'], z: null, d: '2026-01-02' },
    ])
  })

  test('settings hold for their request only', async () => {
    const settings = async (): Promise<unknown> => {
      const result = await client.query({ query: "SELECT getSetting('max_threads') AS n", format: 'JSONEachRow' })
      return result.json()
    }
    const before = await settings()
    const set = await client.query({
      query: "SELECT getSetting('max_threads') AS n",
      format: 'JSONEachRow',
      clickhouse_settings: { max_threads: 3 },
    })
    expect(await set.json()).toEqual([{ n: 3 }])
    expect(await settings()).toEqual(before)
  })

  test('every format that auditors are answered in', async () => {
    const query = "SELECT number AS n, concat('a\"', char(10)) AS s FROM numbers(2)"
    const read = async (format: string): Promise<string> => {
      const { stream } = await client.exec({ query, http_headers: { 'X-ClickHouse-Format': format } })
      return Buffer.concat(await stream.toArray()).toString('latin1')
    }
    expect(await read('CSVWithNames')).toBe('"n","s"\n0,"a""\n"\n1,"a""\n"\n')
    expect(await read('JSONEachRow')).toBe('{"n":0,"s":"a\\"\\n"}\n{"n":1,"s":"a\\"\\n"}\n')
    expect(await read('Parquet')).toMatch(/^PAR1[^]*PAR1$/)
    const json = JSON.parse(await read('JSON')) as { meta: unknown; rows: number }
    expect([json.meta, json.rows]).toEqual([
      [
        { name: 'n', type: 'UInt64' },
        { name: 's', type: 'String' },
      ],
      2,
    ])
  })

  test('a format in the text wins over that of the header, as on a server', async () => {
    const { stream } = await client.exec({
      query: 'SELECT 1 AS a FORMAT TSVWithNames',
      http_headers: { 'X-ClickHouse-Format': 'JSON' },
    })
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('a\n1\n')
  })

  test('an id of our own comes back, and headers say what the answer is', async () => {
    const id = randomUUID()
    const {
      stream,
      query_id: answered,
      response_headers: headers,
      summary,
    } = await client.exec({
      query: 'SELECT number FROM numbers(3)',
      query_id: id,
      http_headers: { 'X-ClickHouse-Format': 'JSON' },
    })
    await stream.toArray()
    expect(answered).toBe(id)
    expect(headers).toMatchObject({
      'x-clickhouse-query-id': id,
      'x-clickhouse-format': 'JSON',
      'x-clickhouse-timezone': 'UTC',
      'x-clickhouse-exception-tag': expect.stringMatching(/^[0-9a-f]{16}$/),
      'content-type': 'application/json; charset=UTF-8',
    })
    expect(summary).toMatchObject({ read_rows: '3' })
  })

  test('a row that looks like the mark of an error is a row: each answer has a tag of its own', async () => {
    const forged = "concat(char(13), char(10), '__exception__', char(13), char(10), 'abcdefabcdefabcd')"
    const result = await client.query({ query: `SELECT ${forged} AS s FROM numbers(3)`, format: 'TabSeparatedRaw' })
    expect((await result.text()).split('__exception__')).toHaveLength(4)
    const tags = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const { stream, response_headers: headers } = await client.exec({ query: 'SELECT 1' })
        await stream.toArray()
        return headers['x-clickhouse-exception-tag']
      }),
    )
    expect(new Set(tags).size).toBe(5)
  })

  test('rows out of Parquet go in', async () => {
    await client.command({ query: 'CREATE TABLE parquet (a UInt32, b String) ENGINE = MergeTree ORDER BY a' })
    const { stream } = await client.exec({ query: "SELECT toUInt32(1) AS a, 'x\n\ny' AS b FORMAT Parquet" })
    const bytes = Buffer.concat(await stream.toArray())
    await client.exec({
      query: 'INSERT INTO parquet FORMAT Parquet',
      values: Readable.from([bytes], { objectMode: false }),
    })
    const result = await client.query({ query: 'SELECT * FROM parquet', format: 'JSONEachRow' })
    expect(await result.json()).toEqual([{ a: 1, b: 'x\n\ny' }])
  })

  test('read-only holds, whatever is set beside it, and filters of tables with it', async () => {
    await client.command({ query: 'CREATE TABLE walled (a UInt32) ENGINE = MergeTree ORDER BY a' })
    await client.insert({ table: 'walled', values: [{ a: 1 }, { a: 2 }], format: 'JSONEachRow' })
    const asText = { readonly: '1', additional_table_filters: "{'default.walled': 'a = 1'}" as never } as const
    const result = await client.query({
      query: 'SELECT a FROM walled',
      format: 'JSONEachRow',
      clickhouse_settings: asText,
    })
    expect(await result.json()).toEqual([{ a: 1 }])
    for (const query of [
      'SELECT a FROM walled SETTINGS additional_table_filters = {}',
      'SELECT a FROM walled SETTINGS readonly = 0',
      'SET readonly = 0',
      'INSERT INTO walled SELECT 3',
    ]) {
      await expect(client.command({ query, clickhouse_settings: asText })).rejects.toMatchObject({ code: '164' })
    }
  })

  test('gzip both ways', async () => {
    const zipped = createClient({ ...quiet(), compression: { request: true, response: true } })
    await zipped.command({ query: 'CREATE TABLE zipped (a UInt32) ENGINE = MergeTree ORDER BY a' })
    await zipped.insert({ table: 'zipped', values: [{ a: 1 }, { a: 2 }], format: 'JSONEachRow' })
    const result = await zipped.query({ query: 'SELECT a FROM zipped ORDER BY a', format: 'JSONEachRow' })
    expect(await result.json()).toEqual([{ a: 1 }, { a: 2 }])
    await zipped.close()
  })

  test('errors carry code, type and status', async () => {
    await expect(client.query({ query: 'SELECT nope' })).rejects.toMatchObject({
      code: '47',
      type: 'UNKNOWN_IDENTIFIER',
    })
    await expect(client.query({ query: 'SELEC 1' })).rejects.toMatchObject({ code: '62' })
    await expect(client.query({ query: 'SELECT 1', clickhouse_settings: { nope: 1 } })).rejects.toMatchObject({
      code: '115',
      type: 'UNKNOWN_SETTING',
    })
    const raw = await fetch(`${it.url}/?query=SELECT+nope`)
    expect([raw.headers.get('x-clickhouse-exception-code'), raw.ok]).toEqual(['47', false])
  })

  test('an error midway is told in the stream', async () => {
    const result = await client.query({
      query: 'SELECT throwIf(number = 3000000) FROM numbers(5000000)',
      format: 'JSONEachRow',
      clickhouse_settings: { max_threads: 1 },
    })
    const read = async (): Promise<void> => {
      for await (const rows of result.stream()) expect(rows.length).toBeGreaterThan(0)
    }
    await expect(read()).rejects.toMatchObject({ type: 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO' })
  })

  test('the answer waits for a slow reader', async () => {
    const pid = it.part.process.pid ?? 0
    const result = await client.query({
      query: "SELECT number, repeat('x', 500) AS pad FROM numbers(1000000)",
      format: 'JSONEachRow',
      clickhouse_settings: { max_threads: 2 },
    })
    let rows = 0
    let peak = 0
    for await (const batch of result.stream()) {
      rows += batch.length
      if (rows % 50_000 < batch.length) peak = Math.max(peak, statusKilobytes(pid, 'VmRSS'))
    }
    expect(rows).toBe(1_000_000)
    // 520 MB went by.
    expect(peak).toBeLessThan(900_000)
  })

  test('giving up ends the statement', async () => {
    const given = new AbortController()
    const slow = client.query({
      query: 'SELECT count() FROM numbers_mt(1000000000000) WHERE sipHash64(number) = 1',
      abort_signal: given.signal,
    })
    await until(async () => (await running('1000000000000')) === 1)
    given.abort()
    await expect(slow).rejects.toThrow(/abort/i)
    await until(async () => (await running('1000000000000')) === 0)
  })

  async function running(text: string): Promise<number> {
    const result = await client.query({
      query: `SELECT count() AS n FROM system.processes WHERE query LIKE '%' || {t:String} || '%' AND query LIKE '%sipHash64%' AND query NOT LIKE '%system.processes%'`,
      query_params: { t: text },
      format: 'JSONEachRow',
    })
    return Number((await result.json<{ n: string }>())[0]?.n)
  }
})

describe('inserts', () => {
  test('arrays, streams, columns and bytes', async () => {
    await client.command({ query: 'CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a' })
    await client.insert({ table: 't', values: [{ a: 1, b: 'x' }], format: 'JSONEachRow' })
    await client.insert({ table: 't', values: [[2, 'y']], format: 'JSONCompactEachRow', columns: ['a', 'b'] })
    await client.insert({
      table: 't',
      values: Readable.from([{ a: 3, b: 'z\n\n;' }], { objectMode: true }),
      format: 'JSONEachRow',
    })
    await client.exec({
      query: 'INSERT INTO t (a, b) FORMAT RowBinary',
      values: Readable.from([Buffer.from([4, 0, 0, 0, 3, 10, 10, 59])], { objectMode: false }),
    })
    await client.command({ query: "INSERT INTO t VALUES (5, 'v')" })
    await client.insert({ table: 't', values: [] })
    const result = await client.query({ query: 'SELECT * FROM t ORDER BY a', format: 'JSONEachRow' })
    expect(await result.json()).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'y' },
      { a: 3, b: 'z\n\n;' },
      { a: 4, b: '\n\n;' },
      { a: 5, b: 'v' },
    ])
    expect(readdirSync(join(it.data, 'incoming'))).toEqual([])
    expect(statSync(join(it.data, 'incoming')).mode & 0o777).toBe(0o700)
  })

  test('data after a blank line is data, or is refused; it is never run', async () => {
    await client.command({ query: 'CREATE TABLE victim (a UInt32) ENGINE = MergeTree ORDER BY a' })
    const attack = '{"a":1}\n\nDROP TABLE victim'
    await expect(
      client.exec({
        query: 'INSERT INTO victim FORMAT JSONEachRow',
        values: Readable.from([Buffer.from(attack)], { objectMode: false }),
      }),
    ).rejects.toMatchObject({ code: '27' })
    for (const sql of [
      `INSERT INTO victim FORMAT JSONEachRow ${attack}`,
      'INSERT INTO victim VALUES (1)\n\nDROP TABLE victim',
      'INSERT INTO victim VALUES (1); DROP TABLE victim',
      'SELECT 1; DROP TABLE victim',
    ]) {
      await expect(client.command({ query: sql })).rejects.toMatchObject({ code: '62' })
    }
    expect(await count('victim')).toBe(0)
  })

  test('data that breaks off is not inserted, and nothing of it stays', async () => {
    await client.command({ query: 'CREATE TABLE broken (a UInt32) ENGINE = MergeTree ORDER BY a' })
    const incoming = (): string[] => readdirSync(join(it.data, 'incoming'))
    const sending = request(`${it.url}/?query=INSERT+INTO+broken+FORMAT+JSONEachRow`, { method: 'POST' })
    const failed = new Promise((resolve) => sending.once('error', resolve))
    sending.write('{"a":1}\n{"a":2}\n')
    await until(() => Promise.resolve(incoming().length === 1))
    sending.destroy()
    await failed
    await until(() => Promise.resolve(incoming().length === 0))
    expect(await count('broken')).toBe(0)
  })

  test('parameters in a form', async () => {
    const result = await client.query({
      query: 'SELECT {s:String} AS s',
      query_params: { s: "it's long" },
      format: 'JSONEachRow',
      use_multipart_params: true,
    })
    expect(await result.json()).toEqual([{ s: "it's long" }])
  })

  test('more at once than the engine has threads', async () => {
    const asked = Array.from({ length: 100 }, async (_, i) => {
      const result = await client.query({
        query: `SELECT ${i} AS n, sum(number) AS s FROM numbers(100000)`,
        format: 'JSONEachRow',
      })
      return (await result.json<{ n: number }>())[0]?.n
    })
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  test('the same token twice inserts once', async () => {
    await client.command({
      query:
        'CREATE TABLE once (a UInt32) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100',
    })
    const insert = (token: string): Promise<unknown> =>
      client.insert({
        table: 'once',
        values: [{ a: 1 }],
        format: 'JSONEachRow',
        clickhouse_settings: { insert_deduplication_token: token },
      })
    await insert('w:1')
    await insert('w:1')
    expect(await count('once')).toBe(1)
    await insert('w:2')
    expect(await count('once')).toBe(2)
  })

  test('a database of its own', async () => {
    await client.command({ query: 'CREATE DATABASE audit2' })
    const inside = createClient({ ...quiet(), database: 'audit2' })
    await inside.command({ query: 'CREATE TABLE e (a UInt32) ENGINE = MergeTree ORDER BY a' })
    await inside.insert({ table: 'e', values: [{ a: 1 }], format: 'JSONEachRow' })
    expect(await count('audit2.e')).toBe(1)
    await inside.close()
    const nowhere = createClient({ ...quiet(), database: 'nowhere' })
    await expect(nowhere.query({ query: 'SELECT 1' })).rejects.toMatchObject({ type: 'UNKNOWN_DATABASE' })
    await nowhere.close()
  })
})

test('killed and started again at once, it has what it acknowledged', async () => {
  await client.command({ query: 'CREATE TABLE kept (a UInt32) ENGINE = MergeTree ORDER BY a' })
  await client.insert({ table: 'kept', values: [{ a: 1 }], format: 'JSONEachRow' })
  await client.close()
  await it.part.stop('SIGKILL')
  it.part = await startPart('clickhouse', { port: 0, data: it.data })
  client = createClient(quiet())
  expect(await count('kept')).toBe(1)
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not come to pass within 20 s')
    await new Promise(setImmediate)
  }
}

function statusKilobytes(pid: number, field: string): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

/** Where it is; and the client's own log, which would print each expected error, off. */
function quiet(): { url: string; log: { level: ClickHouseLogLevel } } {
  return { url: it.url, log: { level: ClickHouseLogLevel.OFF } }
}
