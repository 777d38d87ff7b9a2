/** Two gateways over one PostgreSQL: what is asked of one may be approved and run at the other. */
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'
import { startPostgres, type Postgres } from '../support/postgres.ts'

const ROOT = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'sluice-replicas-'))
let postgres: Postgres
let one: GatewayProcess
let other: GatewayProcess

beforeAll(async () => {
  postgres = await startPostgres()
  const text = readFileSync(join(ROOT, 'sluice.yaml'), 'utf8')
  const config = join(folder, 'sluice.yaml')
  const store = '# store: { type: postgres, url: env:SLUICE_STORE_URL }'
  if (!text.includes(store)) throw new Error('sluice.yaml does not say how gateways share a store')
  writeFileSync(config, text.replace(store, store.slice(2)))
  cpSync(join(ROOT, 'policies'), join(folder, 'policies'), { recursive: true })
  copyFileSync(join(ROOT, 'sandbox/crm/openapi.json'), join(folder, 'openapi.json'))
  const env = { SLUICE_STORE_URL: postgres.url }
  one = await startGateway({ config, env })
  other = await startGateway({ config, env, database: one.database })
}, 120_000)
afterAll(async () => {
  await Promise.all([one.stop(), other.stop()])
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
})

it('who waits at one is woken by an approval at the other, and what was approved runs once', async () => {
  const source = `replicas-${process.pid}`
  const sql = `INSERT INTO shop.leads (email, source) VALUES ('r@example.com', '${source}')`
  const waiting = one.query('writer', sql, {}, { Prefer: 'wait=60' })
  const pending = async (): Promise<string | undefined> => {
    const { holds } = (await (await other.get('/v1/holds?state=pending', 'owner')).json()) as {
      holds: { id: string }[]
    }
    return holds[0]?.id
  }
  await expect.poll(pending, { timeout: 20_000 }).toBeDefined()
  const id = (await pending()) ?? ''
  expect((await other.post(`/v1/holds/${id}/approve`, 'owner', { comment: 'from the other' })).status).toBe(200)
  const { status, body } = await waiting
  expect([status, body.ending, body.statistics.rowsAffected]).toEqual([200, 'whole', 1])
  expect((await other.post(`/v1/holds/${id}/run`, 'writer', {})).status).toBe(409)
  const held = (await (await other.get(`/v1/holds/${id}`, 'writer')).json()) as { state: string }
  expect(held.state).toBe('done')
})

it('the same request asked of both has one hold', async () => {
  const sql = `INSERT INTO shop.leads (email, source) VALUES ('r@example.com', 'same-${process.pid}')`
  const first = (await one.query('writer', sql)).body.hold.id
  expect((await other.query('writer', sql)).body.hold.id).toBe(first)
})
