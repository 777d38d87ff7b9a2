/** `sluice policy simulate` over what a real gateway recorded. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'
import { ASKED } from './honest.ts'

const ROOT = join(import.meta.dirname, '../..')

let gateway: GatewayProcess
let folder: string
/** Decisions that are recorded. */
let asked: number

interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}

/** The command line, over the audit database of the gateway. */
async function sluice(...args: readonly string[]): Promise<Ran> {
  const sandbox = inject('sandbox')
  const env = {
    ...process.env,
    SLUICE_SANDBOX_CLICKHOUSE: sandbox.clickhouse,
    SLUICE_AUDIT_DATABASE: gateway.database,
  }
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(ROOT, 'src/entry/cli.ts'), ...args],
      { cwd: ROOT, env, maxBuffer: 64 * 1024 * 1024 },
      (problem, out, error) => resolve({ code: typeof problem?.code === 'number' ? problem.code : 0, out, error }),
    )
  })
}

/** The project's policies, with one text in the place of another. */
async function policiesWith(name: string, changes: readonly (readonly [from: string, to: string])[]): Promise<string> {
  const copy = join(folder, name)
  await cp(join(ROOT, 'policies'), copy, { recursive: true })
  for (const [from, to] of changes) {
    const path = join(copy, 'shop-analysts.yaml')
    const text = await readFile(path, 'utf8')
    expect(text).toContain(from)
    await writeFile(path, text.replaceAll(from, to))
  }
  return copy
}

/** Another set comes into force: what was decided before is to be made again under the one before. */
async function otherPolicies(): Promise<void> {
  const path = join(folder, 'policies', 'shop-analysts.yaml')
  await writeFile(path, `${await readFile(path, 'utf8')}# reworded\n`.replace(/^description: /m, 'description: Now, '))
  await gateway.audit<{ n: unknown }>(
    "SELECT count() AS n FROM events WHERE kind IN ('started', 'policy') AND documents != ''",
    ([row]) => Number(row?.n) >= 2,
  )
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-simulate-'))
  await cp(join(ROOT, 'policies'), join(folder, 'policies'), { recursive: true })
  await cp(join(ROOT, 'sluice.yaml'), join(folder, 'sluice.yaml'))
  gateway = await startGateway({ config: join(folder, 'sluice.yaml') })
  for (const sql of [
    'SELECT id, ssn, email FROM shop.customers ORDER BY id LIMIT 3',
    'SELECT id, name FROM shop.customers ORDER BY id LIMIT 3',
    'SELECT COUNT(*) AS n FROM shop.orders',
    'SELECT * FROM hr.salaries',
    'SELECT 1 AS one',
  ]) {
    await gateway.query('agent', sql)
  }
  const crm = (path: string): Promise<Response> => gateway.get(`/proxy/crm${path}`, 'agent')
  for (const path of ['/customers/7', '/customers?limit=1000']) await (await crm(path)).text()
  const body = { name: 'Ada' }
  await fetch(`${gateway.url}/proxy/crm/customers/7`, {
    method: 'PATCH',
    headers: { Authorization: `Bearer ${await tokenOf('agent')}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  asked = 8
  const held = await gateway.query('writer', 'UPDATE shop.orders SET status = status WHERE id = 9')
  await gateway.post(`/v1/holds/${held.body.hold.id}/approve`, 'owner', { comment: 'go ahead' })
  const ran = await gateway.post(`/v1/holds/${held.body.hold.id}/run`, 'writer', {})
  if (ran.status !== 200) throw new Error(await ran.text())
  await ran.text()
  asked += 2
  await otherPolicies()
  // Whatever analysts ask: a decision that weighed anything else than what is recorded would come out otherwise.
  for (const sql of ASKED) {
    for (const as of ['agent', 'writer']) {
      const { status } = await gateway.post('/v1/preflight', as, { connection: 'warehouse', sql })
      // Else it was refused, and nothing was decided.
      if (status === 200) asked += 1
    }
  }
  await gateway.audit<{ n: unknown }>('SELECT count() AS n FROM decisions', ([row]) => Number(row?.n) >= asked)
})
afterAll(async () => {
  await gateway.stop()
  await rm(folder, { recursive: true, force: true })
})

describe('policy simulate', () => {
  it('makes every decision again, and under the same policies comes to the same', async () => {
    const ran = await sluice('policy', 'simulate', '--check', '--json')
    expect(JSON.parse(ran.out)).toMatchObject({ records: asked, agreed: asked, disagreed: 0, undecided: [] })
    expect(ran.code).toBe(0)
    const same = await sluice('policy', 'simulate', '--policies', 'policies', '--json')
    expect(JSON.parse(same.out)).toMatchObject({ records: asked, same: asked, groups: [], undecided: [] })
    expect(same.code).toBe(0)
  })

  it('says first what a mask that falls away would show, and to whom', async () => {
    const looser = await policiesWith('looser', [['shop.customers.ssn: redact', 'shop.customers.ssn_old: redact']])
    const { code, out } = await sluice(
      'policy',
      'simulate',
      '--policies',
      looser,
      '--since',
      '1h',
      '--connection',
      'warehouse',
    )
    expect(out).toMatch(
      /^LETS MORE THROUGH \(\d+ of \d+ decisions\)\n\s+\d+ {2}mask of shop\.customers\.ssn: redact → none\n/,
    )
    expect(out).toContain('shop-analysts/read-shop')
    expect(code).toBe(3)
  })

  it('does not take for a yes what it could not decide again', async () => {
    const rules = 'principals:\n'
    const others = await policiesWith('others', [[rules, `plugins: { sql-risk: { weights: { bytes: 1 } } }\n${rules}`]])
    const { code, out } = await sluice('policy', 'simulate', '--policies', others, '--principal', 'sandbox:agent')
    expect(out).toContain('`sql-risk` has other options than it had, and would state other facts')
    expect(code).toBe(5)
  })

  it('reads only what it is asked for', async () => {
    const only = async (...args: string[]): Promise<number> => {
      const { out } = await sluice('policy', 'simulate', '--check', '--json', ...args)
      return (JSON.parse(out) as { records: number }).records
    }
    expect(await only('--connection', 'crm')).toBe(3)
    expect(await only('--principal', 'nobody')).toBe(0)
    expect(await only('--until', '1h', '--since', '2h')).toBe(0)
    expect(await only('--limit', '2')).toBe(2)
  })

  it('says what it does not understand', async () => {
    expect(await sluice('policy', 'simulate')).toMatchObject({ code: 1, error: expect.stringContaining('--policies') })
    expect(await sluice('policy', 'simulate', '--check', '--since', 'yesterday')).toMatchObject({
      code: 1,
      error: expect.stringContaining('--since is `yesterday`'),
    })
    expect(await sluice('policy', 'simulate', '--policies', '/nowhere')).toMatchObject({
      code: 1,
      error: expect.stringContaining('the policies folder /nowhere cannot be read'),
    })
  })
})
