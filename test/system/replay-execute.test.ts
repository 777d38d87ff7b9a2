/** `sluice replay ID --execute`: a recorded read runs again, as its principal and through the gateway. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

const ROOT = join(import.meta.dirname, '../..')

let gateway: GatewayProcess
let folder: string

interface Ran {
  readonly code: number
  readonly report: any
  readonly error: string
}

/** The command line, with the token of an identity. */
async function again(id: string, as: string, ...args: readonly string[]): Promise<Ran> {
  const sandbox = inject('sandbox')
  const env = {
    ...process.env,
    SLUICE_SANDBOX_CLICKHOUSE: sandbox.clickhouse,
    SLUICE_AUDIT_DATABASE: gateway.database,
    SLUICE_TOKEN: as === '' ? '' : await tokenOf(as),
  }
  const config = ['--config', join(folder, 'sluice.yaml'), '--url', gateway.url]
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(ROOT, 'src/entry/cli.ts'), 'replay', id, '--execute', '--json', ...config, ...args],
      { cwd: folder, env },
      (problem, out, error) =>
        resolve({
          code: typeof problem?.code === 'number' ? problem.code : 0,
          report: out === '' ? undefined : JSON.parse(out),
          error,
        }),
    )
  })
}

/** Runs it as the agent; resolves with its exchange once its end, and what is kept of its answer, is in the database. */
async function ran(sql: string, params?: object): Promise<string> {
  const { status, body } = await gateway.query('agent', sql, params === undefined ? {} : { params })
  expect([status, body.reasons ?? []]).toEqual([200, []])
  await arrived(body.exchange)
  return body.exchange
}

async function arrived(exchange: string): Promise<void> {
  const pieces = `SELECT count() AS n FROM payloads WHERE exchange_id = '${exchange}' AND direction = 'answer' AND is_last`
  await gateway.audit<{ n: unknown }>(pieces, ([row]) => Number(row?.n) > 0)
  const ended = `SELECT count() AS n FROM events WHERE exchange_id = '${exchange}' AND kind = 'completed'`
  await gateway.audit<{ n: unknown }>(ended, ([row]) => Number(row?.n) > 0)
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-replay-'))
  await cp(join(ROOT, 'policies'), join(folder, 'policies'), { recursive: true })
  const bodies = '\n    obligations:\n      record-bodies: { request: full, answer: full }'
  for (const name of ['shop-analysts.yaml', 'crm-agents.yaml']) {
    const path = join(folder, 'policies', name)
    await writeFile(path, (await readFile(path, 'utf8')).replace('\n    obligations:', bodies))
  }
  await cp(join(ROOT, 'sluice.yaml'), join(folder, 'sluice.yaml'))
  gateway = await startGateway({ config: join(folder, 'sluice.yaml') })
})
afterAll(async () => {
  await gateway.stop()
  await rm(folder, { recursive: true, force: true })
})

describe('a recorded read', () => {
  it('runs again over the tables as they were, with the same masks, and comes to the same', async () => {
    const exchange = await ran('SELECT c.id, c.email, c.ssn FROM shop.customers AS c WHERE c.id <= 5 ORDER BY c.id')
    const { code, report } = await again(exchange, 'agent')
    expect(report).toMatchObject({
      exchange,
      tables: expect.stringMatching(/^as of 20/),
      principal: expect.stringMatching(/^sandbox:agent/),
      policy: 'the same policies',
      compared: [
        { what: 'columns', came: 'same' },
        { what: 'row count', came: 'same', detail: '5 then, 5 now' },
        { what: 'rows', came: 'same' },
        { what: 'masks', came: 'same', detail: expect.stringContaining('shop.customers.ssn redact') },
      ],
    })
    expect(code).toBe(0)
    const [record] = await gateway.audit<{ purpose: string; ran: string }>(
      `SELECT purpose, ran FROM exchanges WHERE exchange_id = '${report.again}'`,
      ([row]) => (row?.ran ?? '') !== '',
    )
    expect(record?.purpose).toBe(`re-execution of ${exchange}`)
    expect(record?.ran).toContain('FOR SYSTEM_TIME AS OF')
  })

  it('runs with the parameters that it had', async () => {
    const sql = 'SELECT COUNT(*) AS n FROM shop.customers WHERE id <= @most AND name IS NOT NULL = @named'
    const exchange = await ran(sql, { most: 7, named: true })
    expect(await again(exchange, 'agent')).toMatchObject({
      code: 0,
      report: { compared: [{}, {}, { came: 'same' }, {}] },
    })
    const other = ['--params', '{"most": 3, "named": true}']
    expect(await again(exchange, 'agent', ...other)).toMatchObject({
      code: 4,
      report: { compared: [{ came: 'same' }, { came: 'same' }, { what: 'rows', came: 'different' }, {}] },
    })
  })

  it('through a view is read as it is now, and says so; rows in no order may come in another', async () => {
    const exchange = await ran('SELECT id FROM shop.customer_directory WHERE id < 4')
    const { code, report } = await again(exchange, 'agent')
    expect(report.tables).toBe('as of now: `shop.customer_directory` is a view')
    expect([report.compared[2].came, code]).toEqual([expect.stringMatching(/^same/), 0])
  })

  it('by another principal is compared, and told to be another’s', async () => {
    const exchange = await ran('SELECT id, email FROM shop.customers WHERE id = 1')
    const { report } = await again(exchange, 'writer')
    expect(report).toMatchObject({
      principal: 'ANOTHER than it was: sandbox:agent then, sandbox:writer for wendy now',
      policy: 'the same policies',
      compared: [
        { what: 'columns' },
        { what: 'row count', came: 'same' },
        { what: 'rows' },
        { what: 'masks', came: 'same' },
      ],
    })
  })

  it('of an API is sent again', async () => {
    const answer = await gateway.get('/proxy/crm/customers/7', 'agent', { Accept: 'application/json' })
    await answer.text()
    const exchange = answer.headers.get('Sluice-Exchange') ?? ''
    await arrived(exchange)
    expect(await again(exchange, 'agent')).toMatchObject({
      code: 0,
      report: {
        compared: [
          { what: 'status', came: 'same' },
          { what: 'body', came: 'same' },
          { what: 'masks', came: 'same' },
        ],
      },
    })
  })
})

describe('nothing runs again', () => {
  it('that is not there, was denied, or has no token', async () => {
    const nobody = '01940000-0000-7000-8000-000000000000'
    expect(await again(nobody, 'agent')).toMatchObject({
      code: 1,
      error: `there is no decision on ${nobody} in the audit database\n`,
    })
    const denied = await gateway.query('agent', 'SELECT * FROM hr.salaries')
    await gateway.audit<{ n: unknown }>(
      `SELECT count() AS n FROM decisions WHERE exchange_id = '${denied.body.exchange}'`,
      ([row]) => Number(row?.n) > 0,
    )
    expect(await again(denied.body.exchange, 'agent')).toMatchObject({
      code: 1,
      error: expect.stringContaining('there is nothing to compare with'),
    })
    expect(await again(nobody, '')).toMatchObject({ code: 1, error: expect.stringContaining('SLUICE_TOKEN') })
  })

  it('with a token that the gateway does not take', async () => {
    const exchange = await ran('SELECT 1 AS one FROM shop.orders LIMIT 1')
    const { code, error } = await again(exchange, 'stranger')
    expect(error).toMatch(/^it did not run again: .*no policy applies to you/)
    expect(code).toBe(1)
  })
})
