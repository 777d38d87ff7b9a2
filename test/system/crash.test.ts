/** What survives: SIGKILL in the middle of traffic, ClickHouse away, a journal that cannot be written, a plain stop. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startPart } from '../../sandbox/parts.ts'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

/** Asks until the gateway is gone; the exchanges that were answered whole. */
async function askUntilGone(gateway: GatewayProcess, token: string, answered: string[]): Promise<void> {
  for (let n = 0; ; n++) {
    try {
      const answer = await fetch(`${gateway.url}/v1/query`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ connection: 'warehouse', sql: `SELECT ${n} AS n` }),
      })
      const body = (await answer.json()) as { exchange: string; ending?: string }
      if (body.ending === 'whole') answered.push(body.exchange)
    } catch {
      return
    }
  }
}

describe('SIGKILL in the middle of traffic', () => {
  it('loses no exchange that was answered, and records none twice', async () => {
    const data = mkdtempSync(join(tmpdir(), 'sluice-crash-'))
    const first = await startGateway({ data })
    const token = await tokenOf('agent')
    const answered: string[] = []
    const clients = Array.from({ length: 4 }, () => askUntilGone(first, token, answered))
    while (answered.length < 60) await new Promise((resolve) => setImmediate(resolve))
    await first.stop('SIGKILL')
    await Promise.all(clients)

    const second = await startGateway({ data, database: first.database })
    const rows = await second.audit<{ id: string; kind: string; n: string }>(
      `SELECT toString(exchange_id) AS id, kind, count() AS n FROM events WHERE kind IN ('decided', 'completed') GROUP BY id, kind LIMIT 10000`,
      (found) => answered.every((id) => found.some((row) => row.id === id && row.kind === 'completed')),
    )
    const counts = new Map(rows.map((row) => [`${row.id} ${row.kind}`, Number(row.n)]))
    const wrong = answered.filter((id) => counts.get(`${id} decided`) !== 1 || counts.get(`${id} completed`) !== 1)
    expect(wrong).toEqual([])
    expect([...counts.values()].every((n) => n === 1)).toBe(true)
    await second.stop()
    rmSync(data, { recursive: true, force: true })
  })

  it('settles what it left open: the job itself says whether it ran', async () => {
    const data = mkdtempSync(join(tmpdir(), 'sluice-crash-'))
    const first = await startGateway({ data })
    const answer = await first.post(
      '/v1/query',
      'agent',
      { connection: 'warehouse', sql: 'SELECT * FROM shop.metrics', maxRows: 50_000 },
      { Accept: 'application/x-ndjson' },
    )
    const exchange = answer.headers.get('Sluice-Exchange')
    const reader = answer.body!.getReader()
    await reader.read()
    await first.stop('SIGKILL')
    await reader.cancel().catch(() => {})

    const second = await startGateway({ data, database: first.database })
    const [settled] = await second.audit<object>(
      `SELECT outcome, note, job, ran != '' AS tells, subject, connection FROM events
       WHERE kind = 'settled' AND exchange_id = '${exchange}'`,
      (found) => found.length > 0,
    )
    expect(settled).toEqual({
      outcome: 'ran',
      note: 'its job ran to its end; whether its answer arrived is not known',
      job: `sluice_${exchange!.replaceAll('-', '')}`,
      tells: 1,
      subject: 'agent',
      connection: 'warehouse',
    })
    await second.stop()
    rmSync(data, { recursive: true, force: true })
  })

  it('leaves a hold as it was, and one that was running as unknown, never run again by itself', async () => {
    const data = mkdtempSync(join(tmpdir(), 'sluice-crash-'))
    const first = await startGateway({ data })
    const ask = async (source: string): Promise<string> => {
      const sql = `INSERT INTO shop.leads (email, source) VALUES ('k@example.com', '${source}')`
      return (await first.query('writer', sql)).body.hold.id
    }
    const [pending, approved] = [await ask('kill-pending'), await ask('kill-approved')]
    await first.post(`/v1/holds/${approved}/approve`, 'owner', { comment: 'ok' })
    await first.stop('SIGKILL')

    const second = await startGateway({ data, database: first.database })
    const state = async (id: string): Promise<string> => {
      return ((await (await second.get(`/v1/holds/${id}`, 'writer')).json()) as { state: string }).state
    }
    expect([await state(pending), await state(approved)]).toEqual(['pending', 'approved'])
    expect((await second.post(`/v1/holds/${approved}/run`, 'writer', {})).status).toBe(200)
    expect((await second.post(`/v1/holds/${approved}/run`, 'writer', {})).status).toBe(409)
    await second.stop()
    rmSync(data, { recursive: true, force: true })
  })
})

describe('ClickHouse away', () => {
  it('loses nothing: exchanges go on, and every one is there once it is back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-clickhouse-'))
    const clickhouse = await startPart('clickhouse', { port: 0, data: folder })
    const port = Number(new URL(clickhouse.url).port)
    const gateway = await startGateway({ env: { SLUICE_SANDBOX_CLICKHOUSE: clickhouse.url } })
    const ask = async (): Promise<string> => (await gateway.query('agent', 'SELECT 1 AS n')).body.exchange
    const before = await ask()
    await clickhouse.stop('SIGKILL')
    const during = await Promise.all(Array.from({ length: 20 }, ask))
    const readyz = await fetch(`${gateway.url}/readyz`)
    expect([readyz.status, (await readyz.json()).parts.clickhouse.ready]).toEqual([503, false])

    const back = await startPart('clickhouse', { port, data: folder })
    const after = await ask()
    const all = [before, ...during, after]
    const rows = await gateway.audit<{ id: string; n: string }>(
      `SELECT toString(exchange_id) AS id, count() AS n FROM events WHERE kind = 'completed' GROUP BY id`,
      (found) => all.every((id) => found.some((row) => row.id === id)),
    )
    expect(rows.filter((row) => Number(row.n) !== 1)).toEqual([])
    await gateway.stop()
    await back.stop()
    rmSync(folder, { recursive: true, force: true })
  })
})

describe('a plain stop', () => {
  it('finishes what is under way, records it, and exits with 0', async () => {
    const gateway = await startGateway()
    const token = await tokenOf('agent')
    const answer = await fetch(`${gateway.url}/v1/query`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', Accept: 'application/x-ndjson' },
      body: JSON.stringify({ connection: 'warehouse', sql: 'SELECT * FROM shop.metrics', maxRows: 50_000 }),
    })
    const reader = answer.body!.getReader()
    await reader.read()
    const stopped = gateway.stop()
    const decoder = new TextDecoder()
    let tail = ''
    for (;;) {
      const next = await reader.read()
      if (next.done) break
      tail = (tail + decoder.decode(next.value, { stream: true })).slice(-500)
    }
    expect(JSON.parse(tail.trimEnd().split('\n').at(-1)!)).toMatchObject({
      rowCount: 50_000,
      ending: 'cut',
      cut: 'max-rows',
    })
    expect(await stopped).toBe(0)
  })
})
