/** Budgets per day, through the front door. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

const ROOT = join(import.meta.dirname, '../..')
const MiB = 1_048_576

const gateways: GatewayProcess[] = []
const folders: string[] = []
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.stop()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

/** A gateway on a copy of the project's configuration where those whom `policy` concerns have this budget per day. */
async function gatewayWith(perDay: string, policy = 'shop-analysts', earlier?: { data: string; database: string }) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-budgets-'))
  folders.push(folder)
  cpSync(join(ROOT, 'sluice.yaml'), join(folder, 'sluice.yaml'))
  cpSync(join(ROOT, 'policies'), join(folder, 'policies'), { recursive: true })
  const path = join(folder, `policies/${policy}.yaml`)
  const limits = /      limits:\n        rows: 2000000\n(        .*\n)*/
  const text = readFileSync(path, 'utf8')
  if (!limits.test(text)) throw new Error(`${policy} has no such limits`)
  writeFileSync(path, text.replace(limits, `      limits: { rows: 2000000, perDay: ${perDay} }\n`))
  const gateway = await startGateway({ config: join(folder, 'sluice.yaml'), ...earlier })
  gateways.push(gateway)
  return gateway
}

const orders = (count: number): string => `SELECT id, status FROM shop.orders ORDER BY id LIMIT ${count}`

/** Seconds until midnight UTC. */
const untilMidnight = (): number => 86_400 - (Math.floor(Date.now() / 1000) % 86_400)

describe('a budget per day', () => {
  it('refuses what has no room, on record, and says what would fit', async () => {
    const gateway = await gatewayWith('{ rows: 100 }')
    const answer = await gateway.post('/v1/query', 'agent', { connection: 'warehouse', sql: orders(5) })
    expect(answer.status).toBe(429)
    expect(Math.abs(Number(answer.headers.get('Retry-After')) - untilMidnight())).toBeLessThan(60)
    const exchange = answer.headers.get('Sluice-Exchange')
    expect(await answer.json()).toEqual({
      type: 'urn:sluice:problem:budget-exhausted',
      title: 'the budget of the day has no room for this',
      status: 429,
      detail: 'your budget of `rows` on `warehouse` is 100 per day; 0 are used, and this request may take 10000',
      code: 'budget-exhausted',
      exchange,
      reasons: [],
      fix: 'ask for fewer rows with `maxRows`: 100 are left; or ask again after midnight UTC',
    })
    const [row] = await gateway.audit<object>(
      `SELECT effect, outcome, failure_code FROM exchanges WHERE exchange_id = '${exchange}'`,
      (rows) => (rows as { outcome: string }[]).some(({ outcome }) => outcome !== 'unknown'),
    )
    expect(row).toEqual({ effect: 'permit', outcome: 'failed', failure_code: 'budget-exhausted' })
    expect((await gateway.query('agent', orders(5), { maxRows: 100 })).status).toBe(200)
  })

  it('is spent by what was answered, not by what was asked for', async () => {
    const gateway = await gatewayWith('{ rows: 100 }')
    for (const maxRows of [100, 95, 90]) {
      const { status, body } = await gateway.query('agent', orders(5), { maxRows })
      expect([status, body.rowCount]).toEqual([200, 5])
    }
    const { status, body } = await gateway.query('agent', orders(5), { maxRows: 86 })
    expect([status, body.detail]).toEqual([429, expect.stringContaining('15 are used')])
  })

  it('is not spent by what is denied, refused or only foreseen', async () => {
    const gateway = await gatewayWith('{ queries: 1 }')
    expect((await gateway.query('agent', 'SELECT * FROM hr.salaries')).status).toBe(403)
    expect((await gateway.query('agent', 'SELEC 1')).status).toBe(400)
    const body = { connection: 'warehouse', sql: orders(5) }
    const foreseen = async () => (await (await gateway.post('/v1/preflight', 'agent', body)).json()).budgets
    expect(await foreseen()).toEqual([{ budget: 'queries', limit: 1, used: 0, takes: 1 }])
    expect((await gateway.query('agent', orders(5))).status).toBe(200)
    expect((await gateway.query('agent', orders(5))).status).toBe(429)
    expect(await foreseen()).toEqual([{ budget: 'queries', limit: 1, used: 1, takes: 1 }])
  })

  it('is spent once by a request that is sent again', async () => {
    const gateway = await gatewayWith('{ queries: 1, rows: 9 }')
    const again = { 'Idempotency-Key': 'budget-1' }
    const first = await gateway.query('agent', orders(9), { maxRows: 9 }, again)
    for (let i = 0; i < 3; i++) {
      const { status, body } = await gateway.query('agent', orders(9), { maxRows: 9 }, again)
      expect([status, body.rows]).toEqual([200, first.body.rows])
    }
    expect((await gateway.query('agent', orders(1), { maxRows: 1 })).status).toBe(429)
  })

  it('cannot be overspent by asking at once', async () => {
    const gateway = await gatewayWith('{ rows: 85 }')
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => gateway.query('agent', orders(10), { maxRows: 10 })),
    )
    const granted = answers.filter(({ status }) => status === 200)
    expect(granted.reduce((sum, { body }) => sum + body.rowCount, 0)).toBe(80)
    expect(answers.filter(({ body }) => body.code === 'budget-exhausted')).toHaveLength(12)
  })

  it('outlives the gateway, and touches nobody else', async () => {
    const first = await gatewayWith('{ queries: 1 }')
    await first.query('agent', orders(5))
    await first.stop('SIGKILL')
    const second = await gatewayWith('{ queries: 1 }', 'shop-analysts', first)
    expect((await second.query('agent', orders(5))).body.code).toBe('budget-exhausted')
    expect((await second.query('writer', orders(5))).status).toBe(200)
    rmSync(first.data, { recursive: true, force: true })
  })

  it('of bytes counts what the warehouse bills, and keeps nobody from asking a person', async () => {
    const gateway = await gatewayWith(`{ bytesBilled: ${15 * MiB} }`, 'shop-writers')
    expect((await gateway.query('writer', orders(5))).status).toBe(200)
    const { status, body } = await gateway.query('writer', orders(6))
    expect([status, body.detail, body.fix]).toEqual([
      429,
      // The warehouse bills no table less than 10 MiB.
      `your budget of \`bytesBilled\` on \`warehouse\` is ${15 * MiB} per day; ` +
        `${10 * MiB} are used, and this request may take ${10 * MiB}`,
      expect.stringContaining(`${5 * MiB} are left`),
    ])
    const change = "UPDATE shop.orders SET status = 'shipped' WHERE id = 7"
    expect((await gateway.query('writer', change)).status).toBe(202)
  })
})
