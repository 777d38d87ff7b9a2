/** What auditors ask over HTTP: in four formats, within their scope, and recorded, over the real gateway and its store. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configured, tidy } from '../support/attack.ts'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess
/** Exchanges of two connections. */
let ofWarehouse: string
let ofCrm: string

beforeAll(async () => {
  // `owner` is a person who owns the CRM's data, and may see who reads it.
  const config = configured([
    '  groups: [auditors]',
    '  groups: [auditors]\n  scopes: [{ groups: [data-owners], connections: [crm] }]',
  ])
  gateway = await startGateway({ config })
  ofWarehouse = (await gateway.query('agent', 'SELECT COUNT(*) AS n FROM shop.customers')).body.exchange
  const answer = await fetch(`${gateway.url}/proxy/crm/customers/7`, {
    headers: { Authorization: `Bearer ${await tokenOf('agent')}` },
  })
  await answer.text()
  ofCrm = answer.headers.get('Sluice-Exchange') ?? ''
  await gateway.audit(
    `SELECT exchange_id FROM events WHERE exchange_id IN ('${ofWarehouse}', '${ofCrm}') AND kind = 'completed'`,
    (rows) => rows.length === 2,
  )
})
afterAll(async () => {
  await gateway.stop()
  tidy()
})

async function ask(sql: string, accept = 'application/json', as = 'auditor'): Promise<Response> {
  return gateway.post('/v1/audit/query', as, { sql }, { Accept: accept })
}

/** What the records say of a question, once its end is there. */
async function recordsOf(exchange: string): Promise<readonly Record<string, unknown>[]> {
  return gateway.audit(
    `SELECT kind, surface, language, statement, subject, toInt64(row_count) AS row_count, toInt64(byte_count) AS byte_count, ending, cut, failure_code
     FROM events WHERE exchange_id = '${exchange}' ORDER BY ts, writer_seq`,
    (rows: Record<string, unknown>[]) => rows.some(({ kind }) => kind !== 'audit-query'),
  )
}

describe('formats', () => {
  const sql = `SELECT number AS n, concat('a"', char(10), 'b') AS s FROM numbers(3)`

  it.each([
    ['application/json', 'application/json'],
    ['*/*', 'application/json'],
    ['text/csv;q=0.5, application/x-ndjson', 'application/x-ndjson'],
    ['text/csv', 'text/csv; charset=utf-8; header=present'],
    ['application/vnd.apache.parquet', 'application/vnd.apache.parquet'],
  ])('%s: the record counts rows and bytes as they left', async (accept, type) => {
    const answer = await ask(sql, accept)
    const bytes = new Uint8Array(await answer.arrayBuffer())
    expect([answer.status, answer.headers.get('Content-Type')]).toEqual([200, type])
    const text = new TextDecoder().decode(bytes)
    if (type === 'application/json') expect(JSON.parse(text)).toMatchObject({ rows: 3, data: [{ n: '0' }, {}, {}] })
    if (type === 'application/x-ndjson') expect(text.split('\n')[2]).toBe(String.raw`{"n":"2","s":"a\"\nb"}`)
    if (type.startsWith('text/csv')) expect(text).toBe('"n","s"\n0,"a""\nb"\n1,"a""\nb"\n2,"a""\nb"\n')
    if (type.endsWith('parquet')) expect([text.slice(0, 4), text.slice(-4)]).toEqual(['PAR1', 'PAR1'])
    const asked = { surface: 'audit', language: 'clickhouse', statement: sql, subject: 'auditor', failure_code: '' }
    expect(await recordsOf(answer.headers.get('Sluice-Exchange') ?? '')).toEqual([
      { ...asked, kind: 'audit-query', row_count: null, byte_count: null, ending: '', cut: '' },
      { ...asked, kind: 'completed', row_count: '3', byte_count: String(bytes.length), ending: 'whole', cut: '' },
    ])
  })

  it('says what it can not give', async () => {
    const answer = await ask(sql, 'text/html')
    expect([answer.status, (await answer.json()).code]).toEqual([406, 'not-acceptable'])
  })
})

describe('what is recorded', () => {
  it('a question that is refused, with its text and why', async () => {
    const answer = await ask(`SELECT * FROM file('/etc/passwd', 'LineAsString')`)
    const { code, exchange } = await answer.json()
    expect([answer.status, code]).toEqual([400, 'statement-refused'])
    const records = await recordsOf(exchange)
    expect(records.map(({ kind, language, failure_code: why }) => [kind, language, why])).toEqual([
      ['audit-query', 'clickhouse', ''],
      ['refused', 'clickhouse', 'statement-refused'],
    ])
  })

  it('somebody who is no auditor', async () => {
    const answer = await ask('SELECT 1', '*/*', 'nobody')
    const { code, exchange } = await answer.json()
    expect([answer.status, code]).toEqual([403, 'not-auditor'])
    expect(await recordsOf(exchange)).toMatchObject([{ kind: 'refused', failure_code: 'not-auditor' }])
  })

  it('an auditor who leaves in the middle: the query ends in the engine, and the record says that it was cut', async () => {
    const leaving = new AbortController()
    const sql = 'SELECT number, hex(SHA256(toString(number))) AS h FROM numbers(900000)'
    const answer = await fetch(`${gateway.url}/v1/audit/query`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${await tokenOf('auditor')}`,
        'Content-Type': 'application/json',
        Accept: 'application/x-ndjson',
      },
      body: JSON.stringify({ sql }),
      signal: leaving.signal,
    })
    const reader = answer.body?.getReader()
    expect((await reader?.read())?.done).toBe(false)
    leaving.abort()
    await reader?.cancel().catch(() => {})
    const records = await recordsOf(answer.headers.get('Sluice-Exchange') ?? '')
    expect(records.at(-1)).toMatchObject({ kind: 'completed', ending: 'cut', cut: 'client-gone' })
    expect(Number(records.at(-1)?.['row_count'])).toBeLessThan(900_000)
  })
})

describe('an auditor of one connection', () => {
  const within = async (sql: string): Promise<Record<string, string>[]> => {
    const answer = await ask(sql, 'application/json', 'owner')
    const body = await answer.json()
    if (answer.status !== 200) throw new Error(JSON.stringify(body))
    return body.data
  }

  it('sees its records, in every view, and those of no other', async () => {
    for (const table of ['events', 'exchanges', 'decisions', 'resources', 'masked_columns', 'findings', 'denials']) {
      const rows = await within(`SELECT DISTINCT connection FROM ${table} WHERE connection != 'crm'`)
      expect([table, rows]).toEqual([table, []])
    }
    expect(await within('SELECT exchange_id FROM exchanges')).toEqual([{ exchange_id: ofCrm }])
    expect(await within(`SELECT count() AS n FROM events WHERE exchange_id = '${ofWarehouse}'`)).toEqual([{ n: '0' }])
    // Nothing of the gateway itself, nor of who else asks.
    expect(await within(`SELECT DISTINCT kind FROM events ORDER BY kind`)).toEqual([
      { kind: 'completed' },
      { kind: 'decided' },
    ])
  })

  it('does not reach what has no connection', async () => {
    for (const table of ['segments', 'checkpoints', 'migrations']) {
      const answer = await ask(`SELECT count() FROM ${table}`, '*/*', 'owner')
      const { code, detail } = await answer.json()
      expect([code, detail]).toEqual(['statement-refused', `the table \`${table}\` is not allowed in audit queries`])
    }
  })

  it('sees single exchanges of it, and replays them; of others it is not even told that they are', async () => {
    const own = await gateway.get(`/v1/audit/exchanges/${ofCrm}`, 'owner')
    expect((await own.json()).records.map(({ connection }: any) => connection)).toEqual(['crm', 'crm'])
    const replayed = await gateway.get(`/v1/audit/exchanges/${ofCrm}/replay?speed=max`, 'owner')
    expect(await replayed.text()).toContain('"event":"completed"')
    const nowhere = '01930000-0000-7000-8000-000000000000'
    for (const path of ['', '/replay']) {
      const told = await Promise.all(
        [ofWarehouse, nowhere].map(async (id) => {
          const answer = await gateway.get(`/v1/audit/exchanges/${id}${path}`, 'owner')
          const { code, detail } = await answer.json()
          return [answer.status, code, detail.replace(id, 'ID')]
        }),
      )
      expect(told[0]).toEqual(told[1])
      expect(told[0]?.[0]).toBe(404)
    }
  })
})
