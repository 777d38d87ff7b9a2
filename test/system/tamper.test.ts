/** What an owner of the store could do to the evidence, and that each of it is found and named. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createClient, type ClickHouseClient } from '@clickhouse/client'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { openClickHouse } from '../../src/audit/clickhouse.node.ts'
import { entryOf } from '../../src/audit/proof/entry.ts'
import { parseKey, signerOf, signNote, renderNote, parseNote, type VerifierKey } from '../../src/audit/proof/note.ts'
import { columnNames, SCHEMA_VERSION } from '../../src/audit/record.ts'
import { sha256 } from '../../src/audit/verify/hash.node.ts'
import { storedEvidence } from '../../src/audit/verify/store.ts'
import { verify, type VerifyOptions } from '../../src/audit/verify/verify.ts'
import { configured, tidy } from '../support/attack.ts'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

const ROOT = join(import.meta.dirname, '../..')
const RECORDED = `
policy: recorded
description: what is recorded of what analyst agents ask
principals: { groups: [analyst-agents] }
connections: [warehouse]
rules:
  - id: shop
    effect: permit
    actions: [read]
    resources: ['shop.*']
    because: the answers of the shop are evidence
    obligations:
      record-bodies: { request: full, answer: full }
`
/** That a configuration elsewhere names. */
const SECRETS = {
  SLUICE_MASK_KEY: 'a-mask-key-of-the-tests-0123456789',
  SLUICE_CRM_KEY: 'crm-sandbox-key',
  SLUICE_CRM_OPENAPI: join(ROOT, 'sandbox/crm/openapi.json'),
}
const data = mkdtempSync(join(tmpdir(), 'sluice-tamper-'))
const copies: string[] = []
let client: ClickHouseClient
let database: string
let key: VerifierKey
let vkey: string
let log: string
/** Checkpoints as they were kept elsewhere, the newest last. */
let kept: string[]

const run = (query: string): Promise<unknown> =>
  client.command({ query, clickhouse_settings: { mutations_sync: '2', wait_end_of_query: 1 } })
const rows = async <T>(query: string): Promise<T[]> =>
  (
    await client.query({
      query,
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    })
  ).json<T>()

/** Asks, and waits until ClickHouse has it: then the segment is sealed. */
async function ask(gateway: GatewayProcess, n: number): Promise<string> {
  const { exchange } = (await gateway.query('agent', `SELECT ${n} AS n`)).body
  await gateway.audit(
    `SELECT 1 AS x FROM events WHERE exchange_id = '${exchange}' AND kind = 'completed'`,
    (found) => found.length > 0,
  )
  return exchange
}

beforeAll(async () => {
  client = createClient({ url: inject('sandbox').clickhouse })
  const gateway = await startGateway({ data })
  database = gateway.database
  for (let n = 0; n < 4; n++) await ask(gateway, n)
  await gateway.stop()
  vkey = (await sluice('audit', 'key', 'show')).out.trim()
  key = parseKey(sha256, vkey)
  const [one] = await rows<{ log: string }>(
    `SELECT concat(writer, '/', toString(epoch)) AS log FROM ${database}.events LIMIT 1`,
  )
  log = one!.log
  kept = (await rows<{ note: string }>(`SELECT note FROM ${database}.checkpoints ORDER BY signed_at`)).map(
    ({ note }) => note,
  )
})

afterAll(async () => {
  for (const copy of copies) await run(`DROP DATABASE ${copy}`)
  await client.close()
  rmSync(data, { recursive: true, force: true })
})

/** The command, as an auditor runs it. */
function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return sluiceOf({ SLUICE_DATA: data, SLUICE_AUDIT_DATABASE: database }, ...args)
}

function sluiceOf(of: Record<string, string>, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { ...process.env, SLUICE_SANDBOX_CLICKHOUSE: inject('sandbox').clickhouse, ...of }
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'src/entry/cli.ts'), ...args], { cwd: ROOT, env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

/** A copy of the evidence, for one test to tamper with. */
async function copied(): Promise<string> {
  const copy = `tamper_${randomUUID().replaceAll('-', '').slice(0, 12)}`
  copies.push(copy)
  await run(`CREATE DATABASE ${copy}`)
  for (const table of ['events', 'segments', 'checkpoints']) {
    await run(`CREATE TABLE ${copy}.${table} AS ${database}.${table}`)
    await run(`INSERT INTO ${copy}.${table} SELECT * FROM ${database}.${table}`)
  }
  return copy
}

async function verified(copy: string, more: Partial<VerifyOptions> = {}) {
  const store = openClickHouse({ url: inject('sandbox').clickhouse, database: copy, requestTimeoutMs: 30_000 })
  try {
    const evidence = storedEvidence(store, AbortSignal.timeout(30_000))
    return await verify(evidence, { sha256, keys: [key], now: Date.now(), graceMs: 0, ...more })
  } finally {
    await store.close()
  }
}
const found = async (copy: string, more: Partial<VerifyOptions> = {}) => (await verified(copy, more)).problems

/** A record in the middle of the log. */
async function middle(copy: string): Promise<{ segment: number; seq: number }> {
  const [row] = await rows<{ segment: number; seq: number }>(
    `SELECT segment, writer_seq AS seq FROM ${copy}.events WHERE kind = 'completed' ORDER BY writer_seq LIMIT 1 OFFSET 1`,
  )
  return row!
}

describe('evidence that nobody has touched', () => {
  it('is verified: every record, every segment, under heads that the key has signed', async () => {
    const { logs, problems } = await verified(database, { kept, writers: [log.split('/')[0]!] })
    const [counts] = await rows<{ records: number; segments: number }>(
      `SELECT count() AS records, uniqExact(segment) AS segments FROM ${database}.events`,
    )
    expect(problems).toEqual([])
    expect(logs).toEqual([
      expect.objectContaining({ records: counts!.records, expired: 0, pending: 0, checkpoints: kept.length * 2 }),
    ])
    expect(logs[0]!.signedSize).toBe(logs[0]!.segments)
    expect(counts!.segments).toBeGreaterThan(3)
  })

  it('is verified by the command, and by nobody who trusts another key', async () => {
    expect(await sluice('audit', 'verify', '--key', vkey)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/\nverified\n$/),
    })
    const other = (await sluice('audit', 'key', 'new')).err.trim().split('\n').at(-1)!.trim()
    const { code, out } = await sluice('audit', 'verify', '--key', other)
    expect([code, out.includes('not-signed'), out.endsWith('NOT VERIFIED\n')]).toEqual([1, true, true])
    for (const none of [[], ['--key', '']]) {
      const refused = await sluice('audit', 'verify', ...none)
      expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('--key VKEY') })
    }
  })

  it('is verified of a span alone, which signed heads bound', async () => {
    const span = await sluice('audit', 'verify', '--key', vkey, '--from', '2100-01-01', '--json')
    const { logs, problems } = JSON.parse(span.out)
    expect([span.code, problems, logs[0].records, logs[0].segments]).toEqual([0, [], 0, logs[0].signedSize])
    expect(await sluice('audit', 'verify', '--key', vkey, '--to', 'soon')).toMatchObject({
      code: 1,
      err: '--to is `soon`; it is a time, such as 2026-10-01T12:00:00Z\n',
    })
  })

  it('allows what is gone because its time was over, and nothing else', async () => {
    const copy = await copied()
    await run(`ALTER TABLE ${copy}.events DELETE WHERE writer_seq % 2 = 0`)
    const later = Date.now() + 1000 * 86_400_000
    const { logs, problems } = await verified(copy, { now: later })
    expect(problems).toEqual([])
    expect(logs[0]!.expired).toBeGreaterThan(3)
    expect((await found(copy)).map(({ code }) => code)).toContain('record-missing')
  })
})

describe('tampering with records', () => {
  it('one that was edited', async () => {
    const copy = await copied()
    const { segment, seq } = await middle(copy)
    await run(`ALTER TABLE ${copy}.events UPDATE row_count = 7 WHERE writer_seq = ${seq}`)
    expect(await found(copy)).toEqual([
      { code: 'record-changed', log, segment, seq, words: 'it is not what was written' },
    ])
  })

  it('one that was deleted', async () => {
    const copy = await copied()
    const { segment, seq } = await middle(copy)
    await run(`ALTER TABLE ${copy}.events DELETE WHERE writer_seq = ${seq}`)
    expect(await found(copy)).toEqual([
      { code: 'record-missing', log, segment, seq, words: 'it is gone before its time' },
    ])
  })

  it('one that was inserted: at a place that there is not, or at one that is taken', async () => {
    const copy = await copied()
    const { segment, seq } = await middle(copy)
    const copyRow = (change: string): Promise<unknown> =>
      run(
        `INSERT INTO ${copy}.events SELECT * REPLACE (${change}) FROM ${copy}.events WHERE writer_seq = ${seq} LIMIT 1`,
      )
    await copyRow('toUInt64(writer_seq + 100000) AS writer_seq')
    await copyRow("'forged' AS purpose")
    await copyRow('toUInt64(4000) AS segment')
    const codes = (await found(copy)).map(({ code, segment: at }) => `${code} ${at}`)
    expect(new Set(codes)).toEqual(
      new Set([
        `record-inserted ${segment}`,
        'record-inserted 4000',
        ...codes.filter((c) => c.startsWith('record-changed')),
      ]),
    )
    expect(codes.filter((each) => each.startsWith('record-inserted')).length).toBeGreaterThanOrEqual(3)
  })

  it('two that changed places', async () => {
    const copy = await copied()
    const [a, b] = await rows<{ seq: number }>(
      `SELECT writer_seq AS seq FROM ${copy}.events WHERE segment = (SELECT segment FROM ${copy}.events GROUP BY segment HAVING count() > 1 LIMIT 1)
       ORDER BY writer_seq LIMIT 2`,
    )
    await run(
      `ALTER TABLE ${copy}.events UPDATE writer_seq = if(writer_seq = ${a!.seq}, ${b!.seq}, ${a!.seq}) WHERE writer_seq IN (${a!.seq}, ${b!.seq})`,
    )
    expect((await found(copy)).map(({ code, seq }) => `${code} ${seq}`)).toEqual([
      `record-changed ${a!.seq}`,
      `record-changed ${b!.seq}`,
    ])
  })

  it('one that was given to another gateway', async () => {
    const copy = await copied()
    const { segment, seq } = await middle(copy)
    await run(`ALTER TABLE ${copy}.events UPDATE writer = 'somebody-else' WHERE writer_seq = ${seq}`)
    const problems = await found(copy)
    expect(problems).toContainEqual({ code: 'record-missing', log, segment, seq, words: 'it is gone before its time' })
    expect(problems.filter(({ log: of }) => of !== log).map(({ code }) => code)).toContain('not-signed')
  })

  it('one that was edited together with all that the store says of its segment', async () => {
    const copy = await copied()
    const { segment, seq } = await middle(copy)
    await run(`ALTER TABLE ${copy}.events UPDATE row_count = 7 WHERE writer_seq = ${seq}`)
    await forge(copy, segment)
    const [problem, ...others] = await found(copy)
    expect([problem!.code, others]).toEqual(['checkpoint-mismatch', []])
    // The head that was signed before it was right: what is wrong begins behind it.
    expect(problem!.segment).toBeLessThanOrEqual(segment)
    expect(Number(/to (\d+)/.exec(problem!.words)![1])).toBeGreaterThanOrEqual(segment)
  })
})

/** Has `segments` say of a segment what its records are now, as an owner of the store would. */
async function forge(copy: string, segment: number): Promise<void> {
  const columns = columnNames(SCHEMA_VERSION).join(', ')
  const [place] = await rows<{ first_seq: number; records: number }>(
    `SELECT first_seq, records FROM ${copy}.segments WHERE segment = ${segment}`,
  )
  const found = await rows<{ row: string }>(
    `SELECT base64Encode(formatRow('RowBinary', ${columns})) AS row FROM ${copy}.events WHERE segment = ${segment} ORDER BY writer_seq`,
  )
  const { root, leaves, days } = entryOf(
    sha256,
    { segment, schema: SCHEMA_VERSION, firstSeq: place!.first_seq, records: found.length },
    found.map(({ row }) => new Uint8Array(Buffer.from(row, 'base64'))),
  )
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  await run(
    `ALTER TABLE ${copy}.segments UPDATE root = '${hex(root)}', leaves = unhex('${hex(leaves)}'), days = unhex('${hex(days)}'),
     records = ${found.length} WHERE segment = ${segment}`,
  )
}

describe('tampering with segments and heads', () => {
  it('a segment whose row was edited alone', async () => {
    const copy = await copied()
    const { segment } = await middle(copy)
    await run(`ALTER TABLE ${copy}.segments UPDATE root = '${'0'.repeat(64)}' WHERE segment = ${segment}`)
    const codes = (await found(copy)).map(({ code, segment: at }) => `${code} ${at}`)
    expect(codes[0]).toBe(`segment-changed ${segment}`)
    expect(codes[1]).toMatch(/^checkpoint-mismatch /)
  })

  it('records in a segment from before the log began, with a row that vouches for them', async () => {
    const copy = await copied()
    await run(
      `INSERT INTO ${copy}.events SELECT * REPLACE (toUInt64(0) AS segment) FROM ${copy}.events AS e WHERE e.segment = 1`,
    )
    await run(
      `INSERT INTO ${copy}.segments SELECT * REPLACE (toUInt64(0) AS segment) FROM ${copy}.segments AS s WHERE s.segment = 1`,
    )
    expect((await found(copy)).map(({ code, segment: at }) => `${code} ${at}`)).toContain('segment-changed 0')
  })

  it('a segment of which nothing is left', async () => {
    const copy = await copied()
    const { segment } = await middle(copy)
    await run(`ALTER TABLE ${copy}.events DELETE WHERE segment = ${segment}`)
    await run(`ALTER TABLE ${copy}.segments DELETE WHERE segment = ${segment}`)
    expect(await found(copy)).toEqual([{ code: 'segment-missing', log, segment, words: 'nothing of it is here' }])
  })

  it('an end that was cut off, heads and all: a head that was kept elsewhere tells', async () => {
    const copy = await copied()
    const { segment } = await middle(copy)
    for (const table of ['events', 'segments'])
      await run(`ALTER TABLE ${copy}.${table} DELETE WHERE segment >= ${segment}`)
    expect((await found(copy)).map(({ code, segment: at }) => [code, at])).toEqual([['truncated', segment]])
    await run(`ALTER TABLE ${copy}.checkpoints DELETE WHERE size >= ${segment}`)
    // Nothing that is left here can tell of it …
    expect((await found(copy)).map(({ code }) => code)).not.toContain('truncated')
    // … but whoever kept the newest head can, and whoever knows that the gateway was alive.
    expect((await found(copy, { kept: kept.slice(-1) })).map(({ code }) => code)).toContain('truncated')
    const silent = await found(copy, { now: Date.now() + 3_600_000, aliveMs: 600_000 })
    expect(silent.map(({ code }) => code)).toContain('silent')
  })

  it('heads that another key has signed, or whose text was changed', async () => {
    const copy = await copied()
    const forger = await signerOf(sha256, key.name, new Uint8Array(32).fill(7))
    const { text } = parseNote(kept.at(-1)!)
    await run(`ALTER TABLE ${copy}.checkpoints DELETE WHERE 1`)
    const insert = (note: string): Promise<unknown> =>
      client.insert({
        table: `${copy}.checkpoints`,
        values: [
          {
            origin: 'x',
            writer: log.split('/')[0],
            epoch: log.split('/')[1],
            size: 1,
            root: '',
            signed_at: '2026-01-01 00:00:00',
            note,
          },
        ],
        format: 'JSONEachRow',
      })
    await insert(renderNote(await signNote(text, [forger])))
    await insert(kept.at(-1)!.replace(/\n\d+\n/, '\n3\n'))
    expect((await found(copy)).map(({ code }) => code).toSorted()).toEqual([
      'checkpoint-forged',
      'checkpoint-unsigned',
      'not-signed',
    ])
  })

  it('a gateway of which nothing is left', async () => {
    const copy = await copied()
    for (const table of ['events', 'segments', 'checkpoints']) await run(`TRUNCATE TABLE ${copy}.${table}`)
    expect(await found(copy, { kept: kept.slice(-1), writers: [log.split('/')[0]!] })).toEqual([
      { code: 'log-missing', log, words: 'a checkpoint of it was kept, and nothing of it is left' },
      { code: 'writer-missing', words: `there is no record of the gateway \`${log.split('/')[0]}\`` },
    ])
  })

  it('a log that was taken back to an earlier state and written on', async () => {
    const folders = [mkdtempSync(join(tmpdir(), 'sluice-fork-')), mkdtempSync(join(tmpdir(), 'sluice-fork-'))]
    for (const folder of folders) cpSync(data, folder, { recursive: true })
    const copy = await copied()
    // The one that was left behind knows more; the one that was taken back signs a smaller head afterwards.
    for (const [i, folder] of folders.entries()) {
      const gateway = await startGateway({ data: folder, database: copy })
      for (const n of i === 0 ? [0, 1] : []) await ask(gateway, n)
      await gateway.stop()
    }
    expect((await found(copy)).map(({ code }) => code)).toContain('rolled-back')
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })
})

describe('the proof of one exchange', () => {
  it('is checked anywhere with the key alone, and proves nothing else', async () => {
    const [{ exchange }] = (await rows<{ exchange: string }>(
      `SELECT toString(exchange_id) AS exchange FROM ${database}.events WHERE kind = 'completed' LIMIT 1`,
    )) as [{ exchange: string }]
    const { code, out, err } = await sluice('audit', 'prove', '--key', vkey, exchange)
    expect([code, err]).toEqual([0, ''])
    const folder = mkdtempSync(join(tmpdir(), 'sluice-proof-'))
    const path = join(folder, 'proof.json')
    writeFileSync(path, out)
    const checked = await sluice('audit', 'verify', '--key', vkey, path)
    expect(checked).toMatchObject({ code: 0, out: expect.stringContaining(`records of exchange ${exchange}`) })
    const proof = JSON.parse(out)
    const row = Buffer.from(proof.records[0].row, 'base64')
    row[row.indexOf('SELECT')]! ^= 1
    proof.records[0].row = row.toString('base64')
    writeFileSync(path, JSON.stringify(proof))
    expect(await sluice('audit', 'verify', '--key', vkey, path)).toMatchObject({
      code: 1,
      out: 'not proven: record 1: it does not lead to the root of its segment\n',
    })
    rmSync(folder, { recursive: true, force: true })
  })
})

describe('recorded bodies', () => {
  it('are held against their records, which bind them', async () => {
    const config = configured()
    writeFileSync(join(dirname(config), 'policies/recorded.yaml'), RECORDED)
    const own = mkdtempSync(join(tmpdir(), 'sluice-bodies-'))
    const gateway = await startGateway({ config, data: own })
    const { exchange } = (await gateway.query('agent', 'SELECT status FROM shop.orders LIMIT 3')).body
    await gateway.audit(
      `SELECT 1 AS x FROM payloads WHERE exchange_id = '${exchange}' AND is_last`,
      (pieces) => pieces.length === 2,
    )
    await gateway.stop()
    const env = { SLUICE_DATA: own, SLUICE_AUDIT_DATABASE: gateway.database, ...SECRETS }
    const trusted = (await sluiceOf(env, 'audit', 'key', 'show', '--config', config)).out.trim()
    const check = (...more: string[]) =>
      sluiceOf(env, 'audit', 'verify', '--key', trusted, '--bodies', '--config', config, ...more)
    expect(await check()).toMatchObject({
      code: 0,
      out: expect.stringContaining('\n  2 bodies are what was recorded\n'),
    })
    // A body is row data of one exchange: its owner could change it, and its record would not fit it any more.
    await run(
      `ALTER TABLE ${gateway.database}.payloads UPDATE content = replaceOne(content, '"', '_') WHERE direction = 'answer'`,
    )
    expect(await check()).toMatchObject({
      code: 1,
      out: expect.stringMatching(/\nbody-changed: \S+ segment \d+ record \d+: its answer is not what was recorded\n/),
    })
    await run(`TRUNCATE TABLE ${gateway.database}.payloads`)
    expect((await check('--grace', '0')).out.match(/^body-missing/gm)).toHaveLength(2)
    await run(`DROP DATABASE ${gateway.database}`)
    rmSync(own, { recursive: true, force: true })
    tidy()
  })
})

it('the verifier imports nothing that writes evidence', () => {
  const folder = join(ROOT, 'src/audit/verify')
  const imports = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/from '(\.\.?\/[^']+)'/g)].map(([, path]) => path!),
  )
  const allowed =
    /^(\.\/|\.\.\/proof\/|\.\.\/record\.ts|\.\.\/rowbinary\.ts|\.\.\/reader\/contract\.ts|\.\.\/evidence\/layout\.ts|\.\.\/\.\.\/bytes\.ts)/
  expect(imports.filter((path) => !allowed.test(path))).toEqual([])
})
