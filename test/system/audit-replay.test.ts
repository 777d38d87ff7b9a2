/** Replay, as an auditor meets it: over the real gateway, by HTTP and in a terminal. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configured, tidy } from '../support/attack.ts'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

const ROOT = join(import.meta.dirname, '../..')

const POLICY = `
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

let gateway: GatewayProcess
let answered: { exchange: string; columns: unknown; rows: unknown[][] }
const SQL = 'SELECT id, name, email FROM shop.customers WHERE id <= @most ORDER BY id'

beforeAll(async () => {
  const config = configured()
  writeFileSync(join(dirname(config), 'policies/recorded.yaml'), POLICY)
  gateway = await startGateway({ config })
  const { body } = await gateway.query('agent', SQL, { params: { most: 3 }, purpose: 'to see it again' })
  answered = body
  await gateway.audit(
    `SELECT kind FROM events WHERE exchange_id = '${answered.exchange}' AND kind = 'completed'`,
    (rows) => rows.length > 0,
  )
  await gateway.audit(
    `SELECT chunk FROM payloads WHERE exchange_id = '${answered.exchange}' AND is_last`,
    (rows) => rows.length >= 2,
  )
})
afterAll(async () => {
  await gateway.stop()
  tidy()
})

interface Event {
  readonly at: number
  readonly event: string
  readonly [fact: string]: any
}

async function replayOf(id: string, speed = 'max'): Promise<readonly Event[]> {
  const answer = await gateway.get(`/v1/audit/exchanges/${id}/replay?speed=${speed}`, 'auditor')
  expect([answer.status, answer.headers.get('Content-Type')]).toEqual([200, 'application/x-ndjson'])
  const text = await answer.text()
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event)
}

describe('GET /v1/audit/exchanges/{id}', () => {
  it('tells everything that is recorded, and where in the log it stands', async () => {
    const answer = await gateway.get(`/v1/audit/exchanges/${answered.exchange}`, 'auditor')
    expect(answer.status).toBe(200)
    const { exchange, records, bodies } = await answer.json()
    expect(exchange).toBe(answered.exchange)
    expect(records.map(({ kind }: Event) => kind)).toEqual(['decided', 'completed'])
    const [decided, completed] = records
    expect(decided).toMatchObject({
      surface: 'query',
      principal: { kind: 'agent' },
      connection: 'warehouse',
      purpose: 'to see it again',
      statement: { language: 'googlesql', kind: 'SELECT', text: SQL, parameters: ['@most INT64'] },
      decision: { effect: 'permit' },
    })
    expect(completed).toMatchObject({
      completion: { rowCount: 3, ending: 'whole' },
      bodies: { request: { mode: 'full' }, answer: { mode: 'full', type: 'application/x-ndjson' } },
    })
    expect(completed.completion.masked).toContainEqual(
      expect.objectContaining({ table: 'shop.customers', column: 'email', strategy: 'hash' }),
    )
    expect(completed.log.seq).toBeGreaterThan(decided.log.seq)
    expect(completed.log.writer).toBe(decided.log.writer)
    expect(bodies.map((body: any) => [body.direction, body.ended])).toEqual([
      ['request', true],
      ['answer', true],
    ])
    expect(Object.keys(completed)).not.toContain('hold')
  })

  it('is recorded itself, before it is told and when it ended', async () => {
    const rows = await gateway.audit<{ kind: string; statement: string; subject: string }>(
      `SELECT kind, statement, subject FROM events WHERE surface = 'audit' AND statement = 'exchange ${answered.exchange}' ORDER BY ts, writer_seq`,
      (found) => found.length >= 2,
    )
    expect(rows.map(({ kind }) => kind)).toEqual(['audit-query', 'completed'])
    expect(rows.map(({ subject }) => subject)).toEqual([rows[0]?.subject, rows[0]?.subject])
  })

  it('is for auditors, and of an exchange that there is', async () => {
    const other = await gateway.get(`/v1/audit/exchanges/${answered.exchange}`, 'owner')
    expect([other.status, (await other.json()).code]).toEqual([403, 'not-auditor'])
    const agent = await gateway.get(`/v1/audit/exchanges/${answered.exchange}`, 'agent')
    expect([agent.status, (await agent.json()).code]).toEqual([403, 'wrong-plane'])
    const none = await gateway.get('/v1/audit/exchanges/01930000-0000-7000-8000-000000000000', 'auditor')
    expect([none.status, (await none.json()).code]).toEqual([404, 'not-found'])
    for (const id of ['1', "'%20OR%201=1", '01930000-0000-7000-8000-00000000000g']) {
      const odd = await gateway.get(`/v1/audit/exchanges/${id}`, 'auditor')
      expect([id, odd.status, (await odd.json()).code]).toEqual([id, 400, 'bad-request'])
    }
  })
})

describe('GET /v1/audit/exchanges/{id}/replay', () => {
  it('tells it as it happened: asked, decided, parameters, columns, rows, end', async () => {
    const events = await replayOf(answered.exchange)
    expect(events.map(({ event }) => event)).toEqual([
      'request',
      ...events.slice(1, -2).map(({ event }) => event),
      'completed',
      'end',
    ])
    expect(events.map(({ event }) => event).toSorted()).toEqual(
      ['request', 'decided', 'chunk', 'columns', 'chunk', 'completed', 'end'].toSorted(),
    )
    expect(events.map(({ at }) => at)).toEqual(events.map(({ at }) => at).toSorted((a, b) => a - b))
    expect(events[0]).toMatchObject({ at: 0, statement: { text: SQL }, purpose: 'to see it again' })
    expect(events.find(({ event }) => event === 'columns')).toMatchObject({ columns: answered.columns })
    const text = (direction: string): string =>
      events
        .filter((event) => event.event === 'chunk' && event['direction'] === direction)
        .map((event) => event['text'])
        .join('')
    expect(
      text('answer')
        .trimEnd()
        .split('\n')
        .map((row) => JSON.parse(row)),
    ).toEqual(answered.rows)
    expect(JSON.parse(text('request'))).toEqual({ params: [{ name: 'most', type: 'INT64', value: '3' }] })
  })

  it('keeps the recorded pace, or a multiple of it', async () => {
    const events = await replayOf(answered.exchange)
    const took = events.at(-1)?.at ?? 0
    const begun = performance.now()
    expect(await replayOf(answered.exchange, '1')).toEqual(events)
    expect(performance.now() - begun).toBeGreaterThanOrEqual(took - 5)
  })

  it('refuses a speed that is none', async () => {
    for (const query of ['speed=-1', 'speed=fast', 'speed=1e9', 'speed=1&speed=2', 'sped=1', 'speed=0.001']) {
      const answer = await gateway.get(`/v1/audit/exchanges/${answered.exchange}/replay?${query}`, 'auditor')
      expect([query, answer.status, (await answer.json()).code]).toEqual([query, 400, 'parameter-refused'])
    }
  })

  it('tells of what was refused, too', async () => {
    const { body } = await gateway.query('agent', 'SELECT 1 FROM')
    await gateway.audit(`SELECT kind FROM events WHERE exchange_id = '${body.exchange}'`, (rows) => rows.length > 0)
    const events = await replayOf(body.exchange)
    expect(events.map(({ event }) => event)).toEqual(['request', 'refused', 'end'])
    expect(events[1]).toMatchObject({ failure: { code: 'statement-refused' } })
  })

  it('ends when the auditor leaves, and says so in the record', async () => {
    const leaving = new AbortController()
    const answer = await fetch(`${gateway.url}/v1/audit/exchanges/${answered.exchange}/replay?speed=0.01`, {
      headers: { Authorization: `Bearer ${await tokenOf('auditor')}` },
      signal: leaving.signal,
    })
    const id = answer.headers.get('Sluice-Exchange') ?? ''
    const reader = answer.body?.getReader()
    expect((await reader?.read())?.done).toBe(false)
    leaving.abort()
    await reader?.cancel().catch(() => {})
    const [end] = await gateway.audit<{ ending: string; cut: string }>(
      `SELECT ending, cut FROM events WHERE exchange_id = '${id}' AND kind = 'completed'`,
      (rows) => rows.length > 0,
    )
    expect(end).toEqual({ ending: 'cut', cut: 'client-gone' })
  })
})

describe('sluice replay', () => {
  const run = async (args: readonly string[], token?: string) =>
    promisify(execFile)(process.execPath, [join(ROOT, 'src/entry/cli.ts'), 'replay', ...args], {
      cwd: ROOT,
      env: { ...process.env, SLUICE_TOKEN: token ?? (await tokenOf('auditor')) },
    })

  it('shows it in a terminal', async () => {
    const { stdout } = await run([answered.exchange, '--url', gateway.url, '--speed', 'max'])
    expect(stdout).toMatch(/^ {3}\+0\.000s {2}request {4}query by \S+:\S+ on warehouse, because: to see it again\n/)
    expect(stdout).toContain(`│ ${SQL}\n`)
    expect(stdout).toContain('decided    permit\n')
    expect(stdout).toContain('columns    id INT64, name STRING, email STRING (hash)\n')
    for (const row of answered.rows) expect(stdout).toContain(`│ ${JSON.stringify(row)}\n`)
    expect(stdout).toMatch(/completed {2}whole, 3 rows, \d+ bytes, kept: full\n/)
    expect(stdout).toContain('│ masked shop.customers.email: hash\n')
    expect(stdout).toMatch(/\+\d+\.\d{3}s {2}end {6}\n$/)
  })

  it('gives the events as they came with --json', async () => {
    const { stdout } = await run([answered.exchange, '--url', gateway.url, '--speed', 'max', '--json'])
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(await replayOf(answered.exchange))
  })

  it('says what is wrong in words', async () => {
    await expect(run(['x'])).rejects.toMatchObject({ stderr: expect.stringContaining('name one exchange') })
    await expect(run([answered.exchange, '--url', gateway.url], ' ')).rejects.toMatchObject({
      stderr: expect.stringContaining("an auditor's token is needed"),
    })
    const agent = await tokenOf('agent')
    await expect(run([answered.exchange, '--url', gateway.url], agent)).rejects.toMatchObject({
      stderr: expect.stringContaining('the gateway answered 403'),
    })
  })
})
