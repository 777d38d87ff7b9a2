/** Holds in bad company: killed at each step, with the wrong people, against a full journal. Never run twice, never unseen. */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, inject, it } from 'vitest'
import { startPart } from '../../sandbox/parts.ts'
import { configured, folder, inflight, tidy, until } from '../support/attack.ts'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess
const servers: Server[] = []

afterEach(async () => {
  await gateway.stop('SIGKILL')
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
  tidy()
})

interface Stalling {
  readonly url: string
  /** Where the next job that is no dry run stops: before it reaches the warehouse, or when its answer comes back. */
  at: 'nowhere' | 'insert' | 'answer'
  /** Jobs that were inserted, by id. */
  readonly jobs: string[]
  stalled: number
}

/** The warehouse behind a wire that can be cut on either side of a job's insertion. */
async function stalling(): Promise<Stalling> {
  const upstream = new URL(inject('sandbox').warehouse)
  const it: Stalling = { url: '', at: 'nowhere', jobs: [], stalled: 0 }
  const server = createServer((incoming, outgoing) => void pass(incoming, outgoing))
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const job = incoming.method === 'POST' && /\/jobs\b/.test(incoming.url ?? '') ? JSON.parse(body.toString()) : {}
    const runs = job.configuration !== undefined && job.configuration.dryRun !== true
    if (runs) it.jobs.push(job.jobReference.jobId)
    if (runs && it.at === 'insert') return void it.stalled++
    const { hostname, port } = upstream
    const { method, url, headers } = incoming
    const forward = request({ hostname, port, method, path: url, headers: { ...headers, host: upstream.host } })
    forward.on('response', (answer) => {
      if (runs && it.at === 'answer') return void it.stalled++
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    forward.on('error', () => outgoing.destroy())
    forward.end(body)
  }
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  servers.push(server)
  return Object.assign(it, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

async function leads(source: string): Promise<number> {
  const { body } = await gateway.query('agent', `SELECT COUNT(*) AS n FROM shop.leads WHERE source = '${source}'`)
  return Number(body.rows[0][0])
}

async function held(source: string, as = 'writer'): Promise<string> {
  const sql = `INSERT INTO shop.leads (email, source) VALUES ('k@example.com', '${source}')`
  const { status, body } = await gateway.query(as, sql)
  if (status !== 202) throw new Error(JSON.stringify(body))
  return body.hold.id
}

async function state(id: string, as = 'writer'): Promise<string> {
  return ((await (await gateway.get(`/v1/holds/${id}`, as)).json()) as { state: string }).state
}

const run = async (id: string, as = 'writer'): Promise<number> =>
  (await gateway.post(`/v1/holds/${id}/run`, as, {})).status
const approve = async (id: string, as = 'owner'): Promise<number> =>
  (await gateway.post(`/v1/holds/${id}/approve`, as, { comment: '' })).status

describe('SIGKILL while an approved hold runs', () => {
  it.each([
    ['before its job reaches the warehouse', 'insert', 0, 'failed', 'the warehouse has no job of it'],
    [
      'after its job ran and before its answer came',
      'answer',
      1,
      'done',
      'its job ran to its end; whether its answer arrived is not known',
    ],
  ] as const)('%s leaves it unknown, run once at most, until the warehouse says', async (_, at, ran, end, why) => {
    const warehouse = await stalling()
    const env = { SLUICE_SANDBOX_WAREHOUSE: warehouse.url }
    const source = `killed-${at}-${process.pid}`
    gateway = await startGateway({ data: folder(), env })
    const { data, database } = gateway
    const id = await held(source)
    expect(await approve(id)).toBe(200)
    warehouse.at = at
    const running = run(id).catch(() => 'gone')
    await until(() => warehouse.stalled === 1)
    expect(await state(id)).toBe('running')
    await gateway.stop('SIGKILL')
    expect(await running).toBe('gone')

    warehouse.at = 'nowhere'
    gateway = await startGateway({ data, database, env })
    expect(['unknown', end]).toContain(await state(id))
    expect([await run(id), await run(id), await approve(id)]).toEqual([409, 409, 409])
    expect(new Set(warehouse.jobs.filter((job) => job.includes(id.replaceAll('-', '')) || job.includes(id))).size).toBe(
      1,
    )
    expect(await leads(source)).toBe(ran)
    await until(async () => (await state(id)) === end)
    const rows = await gateway.audit<{ state: string }>(
      `SELECT hold_state AS state, hold_comment AS why FROM events WHERE exchange_id = '${id}' AND kind = 'hold'
       ORDER BY writer_seq DESC LIMIT 2`,
      (found) => found[0]?.state === end,
    )
    expect(rows).toEqual([
      { state: end, why },
      { state: 'unknown', why: '' },
    ])
    expect(await leads(source)).toBe(ran)
  })
})

describe('what changes between asking and running', () => {
  it('is obeyed: a policy that denies by now wins over an approval, and the hold stays as it was', async () => {
    const config = configured()
    const policy = join(config, '../policies/shop-writers.yaml')
    gateway = await startGateway({ config, data: folder() })
    const id = await held(`policy-${process.pid}`)
    expect(await approve(id)).toBe(200)
    const text = readFileSync(policy, 'utf8')
    writeFileSync(policy, text.replaceAll('writer-agents', 'nobody-at-all'))
    gateway.process.kill('SIGHUP')
    await until(() => gateway.logs.some((line) => line.includes('policies loaded')))
    expect([await run(id), await state(id), await leads(`policy-${process.pid}`)]).toEqual([403, 'approved', 0])
    writeFileSync(policy, text)
    const loaded = gateway.logs.length
    gateway.process.kill('SIGHUP')
    await until(() => gateway.logs.slice(loaded).some((line) => line.includes('policies loaded')))
    expect([await run(id), await run(id), await leads(`policy-${process.pid}`)]).toEqual([200, 409, 1])
  })

  it('is told to who waits: time that runs out answers the call, and nobody can approve or run it then', async () => {
    gateway = await startGateway({ data: folder() })
    const sql = "UPDATE shop.orders SET status = 'late' WHERE id = 11"
    const waiting = gateway.query('writer', sql, {}, { Prefer: 'wait=60' })
    const store = new DatabaseSync(join(gateway.data, 'state.db'), { timeout: 5000 })
    const pending = store.prepare("SELECT id FROM holds WHERE state = 'pending'")
    await until(() => pending.get() !== undefined)
    store.prepare('UPDATE holds SET expires_at = ?').run(Date.now())
    store.close()
    const { status, body } = await waiting
    expect([status, body.hold.state]).toEqual([202, 'expired'])
    const { id } = body.hold
    expect([await approve(id), await run(id), await state(id)]).toEqual([409, 409, 'expired'])
    const [row, ...more] = await gateway.audit<object>(
      `SELECT outcome, hold_state FROM exchanges WHERE exchange_id = '${id}'`,
      (rows) => (rows as { hold_state: string }[]).some(({ hold_state }) => hold_state === 'expired'),
    )
    expect([row, more]).toEqual([{ outcome: 'held', hold_state: 'expired' }, []])
  })
})

describe('many callers of one hold', () => {
  it('move it once each step, and it runs once', async () => {
    gateway = await startGateway({ data: folder() })
    const source = `raced-${process.pid}`
    const id = await held(source)
    const words = await Promise.all(
      ['approve', 'reject', 'approve', 'reject', 'withdraw'].map(async (word) => {
        const as = word === 'withdraw' ? 'writer' : 'owner'
        return (await gateway.post(`/v1/holds/${id}/${word}`, as, { comment: word })).status
      }),
    )
    expect(words.toSorted()).toEqual([200, 409, 409, 409, 409])
    const other = await held(source)
    await approve(other)
    const runs = await Promise.all(Array.from({ length: 12 }, () => run(other)))
    expect(runs.toSorted()).toEqual([200, ...Array.from({ length: 11 }, () => 409)])
    expect(await leads(source)).toBe(1)
    const moves = await gateway.audit<{ hold_state: string; n: string }>(
      `SELECT hold_state, count() AS n FROM events WHERE kind = 'hold' AND hold_id = '${other}' GROUP BY hold_state ORDER BY hold_state`,
      (rows) => rows.length === 3,
    )
    expect(moves.map(({ hold_state, n }) => [hold_state, Number(n)])).toEqual([
      ['approved', 1],
      ['done', 1],
      ['pending', 1],
    ])
  })

  it('with one key, at once: one hold', async () => {
    gateway = await startGateway({ data: folder() })
    const sql = "UPDATE shop.orders SET status = 'keyed' WHERE id = 9"
    const answers = await Promise.all(
      Array.from({ length: 24 }, () => gateway.query('writer', sql, {}, { 'Idempotency-Key': 'one' })),
    )
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.hold?.id}`)).size).toBe(1)
    // Another principal's key is another key.
    const other = await gateway.query('writer-for-owner', sql, {}, { 'Idempotency-Key': 'one' })
    expect([other.status, other.body.hold.id === answers[0]?.body.hold.id]).toEqual([202, false])
  })

  it('finds the wrong ones turned away, whoever they are', async () => {
    gateway = await startGateway({ data: folder() })
    const id = await held(`wrong-${process.pid}`, 'writer-for-owner')
    const tried = async (...as: string[]): Promise<number[]> => Promise.all(as.map((who) => approve(id, who)))
    expect(await tried('writer-for-owner', 'agent', 'owner', 'nobody', 'auditor', '')).toEqual([
      403, 403, 403, 404, 404, 401,
    ])
    expect(await approve(id, 'owner2')).toBe(200)
    expect(await Promise.all(['writer', 'agent', 'owner2', 'owner', ''].map((as) => run(id, as)))).toEqual([
      404, 404, 403, 403, 401,
    ])
    expect(await state(id, 'writer-for-owner')).toBe('approved')
  })
})

describe('a journal that is full', () => {
  it('is no reason not to start again: what waits is delivered, and then requests are taken', async () => {
    const path = folder()
    const clickhouse = await startPart('clickhouse', { port: 0, data: path })
    const port = Number(new URL(clickhouse.url).port)
    const config = configured(
      ['maxBytes: 4GiB', 'maxBytes: 16MiB'],
      ['segmentBytes: 16MiB', 'segmentBytes: 1MiB'],
      ['location: US', 'location: US\n    whenAuditIsTight: read-only'],
    )
    const env = { SLUICE_SANDBOX_CLICKHOUSE: clickhouse.url }
    const first = await startGateway({ config, data: folder(), env })
    await clickhouse.stop('SIGKILL')
    const long = (): string => `SELECT '${randomBytes(120_000).toString('hex')}' AS n`
    let status = 200
    for (let n = 0; status === 200 && n < 400; n++) status = (await first.query('agent', long())).status
    expect(status).toBe(503)
    await first.stop('SIGKILL')

    gateway = await startGateway({ config, data: first.data, database: first.database, env })
    expect((await gateway.query('agent', long())).status).toBe(503)
    const back = await startPart('clickhouse', { port, data: path })
    await until(async () => (await gateway.query('agent', 'SELECT 1 AS n')).status === 200)
    await gateway.stop()
    await back.stop()
  })

  it('stops everything, says so, moves nothing, and takes records again once ClickHouse has taken them', async () => {
    const path = folder()
    const clickhouse = await startPart('clickhouse', { port: 0, data: path })
    const port = Number(new URL(clickhouse.url).port)
    const config = configured(
      ['maxBytes: 4GiB', 'maxBytes: 16MiB'],
      ['segmentBytes: 16MiB', 'segmentBytes: 1MiB'],
      // Else nothing begins long before it is full.
      ['location: US', 'location: US\n    whenAuditIsTight: read-only'],
    )
    gateway = await startGateway({ config, data: folder(), env: { SLUICE_SANDBOX_CLICKHOUSE: clickhouse.url } })
    const id = await held(`full-${process.pid}`)
    await clickhouse.stop('SIGKILL')
    // Random and never the same, because the journal compresses.
    const long = (): string => `SELECT '${randomBytes(120_000).toString('hex')}' AS n`
    const statuses: number[] = []
    while (!statuses.includes(503) && statuses.length < 400)
      statuses.push((await gateway.query('agent', long())).status)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))

    const refused = [
      await gateway.query('agent', long()),
      await gateway.query('stranger', long()),
      await gateway.query('', long()),
    ].map(({ status, body }) => `${status} ${body.code}`)
    expect(new Set(refused)).toEqual(new Set(['503 audit-unavailable']))
    const ready = await fetch(`${gateway.url}/readyz`)
    const { parts } = (await ready.json()) as { parts: Record<string, { ready: boolean; problem?: string }> }
    expect([ready.status, parts['journal']]).toEqual([
      503,
      { ready: false, problem: 'the audit journal takes no writes' },
    ])
    expect([await approve(id), await inflight(gateway)]).toEqual([503, 0])

    const back = await startPart('clickhouse', { port, data: path })
    await until(async () => (await gateway.query('agent', 'SELECT 1 AS n')).status === 200)
    expect([await state(id), await approve(id)]).toEqual(['pending', 200])
    // What writes begins once there is room again.
    await until(async () => (await run(id)) === 200)
    expect(await state(id)).toBe('done')
    await gateway.stop()
    await back.stop()
  })
})
