/** The tour: an agent reads masked, is denied, is held; a person approves; an auditor sees it all. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway.stop())

describe('an agent that reads', () => {
  it('gets rows whose personal data is masked at the source', async () => {
    const sql = 'SELECT id, name, email, ssn, phone, birth_date FROM shop.customers WHERE id = 1'
    const answer = await gateway.post('/v1/query', 'agent', { connection: 'warehouse', sql })
    const body = await answer.json()
    expect(answer.status).toBe(200)
    expect(answer.headers.get('Sluice-Exchange')).toBe(body.exchange)
    expect(body.columns.map((c: any) => [c.name, c.type, c.masked !== undefined])).toEqual([
      ['id', 'INT64', false],
      ['name', 'STRING', false],
      ['email', 'STRING', true],
      ['ssn', 'STRING', true],
      ['phone', 'STRING', true],
      ['birth_date', 'DATE', true],
    ])
    expect(body).toMatchObject({ rowCount: 1, ending: 'whole', decision: { effect: 'permit' } })
    const [id, name, email, ssn] = body.rows[0]
    expect(id).toBe('1')
    expect(name).toMatch(/\w/)
    expect(email).not.toContain('@')
    expect(ssn).not.toMatch(/\d{3}-\d{2}-\d{4}/)
  })

  it('finds nothing by guessing at a masked value: right and wrong guesses count the same', async () => {
    const count = async (guess: string): Promise<string> => {
      const { body } = await gateway.query('agent', 'SELECT COUNT(*) AS n FROM shop.customers WHERE ssn LIKE @guess', {
        params: { guess },
      })
      return body.rows[0][0]
    }
    expect(await count('%-%-%')).toBe(await count('no such ssn'))
  })

  it('can still join on a hashed column', async () => {
    const { status, body } = await gateway.query(
      'agent',
      `SELECT COUNT(*) AS n FROM shop.orders o JOIN shop.customers c ON o.customer_email = c.email`,
    )
    expect([status, body.reasons]).toEqual([200, undefined])
    expect(Number(body.rows[0][0])).toBeGreaterThan(0)
  })

  it('streams NDJSON: a header, a row a line, a trailer', async () => {
    const answer = await gateway.post(
      '/v1/query',
      'agent',
      {
        connection: 'warehouse',
        sql: 'SELECT id, source FROM (SELECT 1 AS id, "web" AS source) UNION ALL SELECT 2, "ads" ORDER BY 1',
      },
      { Accept: 'application/x-ndjson' },
    )
    expect(answer.headers.get('Content-Type')).toBe('application/x-ndjson')
    const lines = (await answer.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines[0].columns).toEqual([
      { name: 'id', type: 'INT64' },
      { name: 'source', type: 'STRING' },
    ])
    expect(lines.slice(1, -1)).toEqual([
      ['1', 'web'],
      ['2', 'ads'],
    ])
    expect(lines.at(-1)).toMatchObject({ rowCount: 2, ending: 'whole' })
  })

  it('says that rows were left out at maxRows', async () => {
    const { body } = await gateway.query('agent', 'SELECT id FROM shop.customers ORDER BY id', { maxRows: 2 })
    expect(body).toMatchObject({ rows: [['1'], ['2']], rowCount: 2, ending: 'cut', cut: 'max-rows' })
  })

  it('foresees a decision and its masks without running it', async () => {
    const sql = 'SELECT email FROM shop.customers'
    const answer = await gateway.post('/v1/preflight', 'agent', { connection: 'warehouse', sql })
    const body = await answer.json()
    expect(body.decision.effect).toBe('permit')
    expect(body.masks).toContainEqual({ resource: 'shop.customers', column: 'email', strategy: 'hash' })
    expect(body.estimatedBytes).toBeGreaterThan(0)
    expect(body).not.toHaveProperty('rows')
  })

  it('sees the tables it may read, with masks, and nothing of hr', async () => {
    const answer = await gateway.get('/v1/connections/warehouse/resources', 'agent')
    const { resources } = await answer.json()
    const customers = resources.find((r: any) => r.resource === 'shop.customers')
    expect(customers.columns.find((c: any) => c.name === 'email')).toEqual({
      name: 'email',
      type: 'STRING',
      masked: 'hash',
    })
    expect(resources.filter((r: any) => !r.resource.startsWith('shop.'))).toEqual([])
  })
})

describe('what policy forbids', () => {
  it.each([
    ['agent', 'SELECT * FROM hr.salaries', 'shop-analysts/no-hr'],
    ['agent', 'SELECT c.name FROM shop.customers c JOIN hr.salaries s ON s.name = c.name', 'shop-analysts/no-hr'],
    ['agent', 'DROP TABLE shop.leads', 'shop-analysts/no-destruction'],
    ['writer', 'TRUNCATE TABLE shop.leads', 'shop-writers/no-destruction'],
    ['writer', 'SELECT * FROM hr.salaries', 'shop-writers/no-hr'],
    ['agent', 'DELETE FROM shop.leads WHERE email IS NULL', 'no-permit'],
    ['stranger', 'SELECT 1', 'no-permit'],
    ['stranger', 'SELECT * FROM shop.no_such_table', 'no-permit'],
  ])('%s: %s', async (identity, sql, code) => {
    const { status, body } = await gateway.query(identity, sql)
    expect([status, body.code, body.reasons.map((r: any) => r.code)]).toEqual([403, 'denied', [code]])
  })
})

describe('a write that is sent again', () => {
  it('finds the hold that waits for it, and one of its own once that has ended', async () => {
    const sql = `INSERT INTO shop.leads (email, source) VALUES ('again@example.com', 'again-${process.pid}')`
    const first = (await gateway.query('writer', sql)).body.hold.id as string
    expect((await gateway.query('writer', sql)).body.hold.id).toBe(first)
    expect((await gateway.query('writer', sql, {}, { 'Idempotency-Key': `again-${first}` })).body.hold.id).not.toBe(
      first,
    )
    await gateway.post(`/v1/holds/${first}/reject`, 'owner', { comment: 'no' })
    expect((await gateway.query('writer', sql)).body.hold.id).not.toBe(first)
  })
})

describe('a write', () => {
  it('waits for a person, runs once as it was held, and is on record from the asking to the end', async () => {
    const sql = `UPDATE shop.orders SET status = 'shipped' WHERE id = 7`
    const asked = await gateway.post('/v1/query', 'writer', {
      connection: 'warehouse',
      sql,
      purpose: 'it left the house',
    })
    const { hold } = await asked.json()
    expect(asked.status).toBe(202)
    expect(asked.headers.get('Location')).toBe(`/v1/holds/${hold.id}`)
    expect(hold).toMatchObject({
      state: 'pending',
      purpose: 'it left the house',
      approvers: [{ groups: ['data-owners'], count: 1 }],
    })

    const early = await gateway.post(`/v1/holds/${hold.id}/run`, 'writer', {})
    expect([early.status, (await early.json()).code]).toEqual([409, 'conflict'])

    const approved = await gateway.post(`/v1/holds/${hold.id}/approve`, 'owner', { comment: 'go ahead' })
    expect((await approved.json()).state).toBe('approved')

    const ran = await gateway.post(`/v1/holds/${hold.id}/run`, 'writer', {})
    expect(await ran.json()).toMatchObject({ ending: 'whole', statistics: { rowsAffected: 1 } })
    const again = await gateway.post(`/v1/holds/${hold.id}/run`, 'writer', {})
    expect([again.status, (await again.json()).code]).toEqual([409, 'conflict'])

    const { body } = await gateway.query('agent', 'SELECT status FROM shop.orders WHERE id = 7')
    expect(body.rows).toEqual([['shipped']])
  })

  it('runs in the same call when the approval comes while it waits', async () => {
    const sql = `INSERT INTO shop.leads (email, source) VALUES ('a@example.com', 'prefer-wait')`
    const waiting = gateway.query('writer', sql, {}, { Prefer: 'wait=30' })
    const hold = await pendingHold('prefer-wait')
    await gateway.post(`/v1/holds/${hold}/approve`, 'owner2', { comment: 'fine' })
    expect(await waiting).toMatchObject({ status: 200, body: { ending: 'whole', statistics: { rowsAffected: 1 } } })
  })

  it('is not approved by whom the writer acts for, by another agent, or by somebody in no group', async () => {
    const sql = `INSERT INTO shop.leads (email, source) VALUES ('b@example.com', 'acts-for')`
    const { body } = await gateway.query('writer-for-owner', sql)
    const approve = async (as: string): Promise<[number, string]> => {
      const answer = await gateway.post(`/v1/holds/${body.hold.id}/approve`, as, { comment: '' })
      return [answer.status, (await answer.json()).code]
    }
    expect(await approve('owner')).toEqual([403, 'not-approver'])
    expect(await approve('writer-for-owner')).toEqual([403, 'wrong-plane'])
    expect(await approve('nobody')).toEqual([404, 'not-found'])
    expect(await approve('auditor')).toEqual([404, 'not-found'])
  })

  it('does not run once it is rejected or withdrawn', async () => {
    const ask = async (): Promise<string> => {
      const sql = `INSERT INTO shop.leads (email, source) VALUES ('c@example.com', 'never')`
      return (await gateway.query('writer', sql)).body.hold.id
    }
    const rejected = await ask()
    await gateway.post(`/v1/holds/${rejected}/reject`, 'owner', { comment: 'no' })
    const withdrawn = await ask()
    await gateway.post(`/v1/holds/${withdrawn}/withdraw`, 'writer', { comment: 'never mind' })
    for (const id of [rejected, withdrawn]) {
      expect((await gateway.post(`/v1/holds/${id}/run`, 'writer', {})).status).toBe(409)
      expect((await gateway.post(`/v1/holds/${id}/approve`, 'owner', {})).status).toBe(409)
    }
    const { body } = await gateway.query('agent', `SELECT COUNT(*) FROM shop.leads WHERE source = 'never'`)
    expect(body.rows).toEqual([['0']])
  })

  it('is approved once when approvals race, and runs once when runs race', async () => {
    const sql = `INSERT INTO shop.leads (email, source) VALUES ('d@example.com', 'race')`
    const { body } = await gateway.query('writer', sql)
    const { id } = body.hold
    const statuses = async (calls: Promise<Response>[]): Promise<number[]> =>
      (await Promise.all(calls)).map((a) => a.status)
    const approvals = Array.from({ length: 10 }, (_, i) =>
      gateway.post(`/v1/holds/${id}/approve`, i % 2 === 0 ? 'owner' : 'owner2', { comment: 'me first' }),
    )
    expect((await statuses(approvals)).toSorted()).toEqual([200, ...Array.from({ length: 9 }, () => 409)])
    const runs = Array.from({ length: 10 }, () => gateway.post(`/v1/holds/${id}/run`, 'writer', {}))
    expect((await statuses(runs)).toSorted()).toEqual([200, ...Array.from({ length: 9 }, () => 409)])
    const { body: count } = await gateway.query('agent', `SELECT COUNT(*) FROM shop.leads WHERE source = 'race'`)
    expect(count.rows).toEqual([['1']])
  })

  async function pendingHold(source: string): Promise<string> {
    for (;;) {
      const answer = await gateway.get('/v1/holds?state=pending', 'owner')
      const { holds } = await answer.json()
      const hold = holds.find((h: any) => h.statement.text.includes(source))
      if (hold !== undefined) return hold.id
    }
  }
})

describe('a repeated request', () => {
  it('with the same key is answered as the first was, and runs nothing twice', async () => {
    const headers = { 'Idempotency-Key': 'read-1' }
    const sql = 'SELECT GENERATE_UUID() AS id'
    const first = await gateway.query('agent', sql, {}, headers)
    const second = await gateway.query('agent', sql, {}, headers)
    expect([first.status, second.body.rows]).toEqual([200, first.body.rows])
    const other = await gateway.query('agent', 'SELECT 2 AS other', {}, headers)
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-conflict'])
    const stranger = await gateway.query('writer', 'SELECT 1 AS mine', {}, headers)
    expect(stranger.status).toBe(200)
  })

  it('of a held write comes to the same hold', async () => {
    const headers = { 'Idempotency-Key': 'write-1' }
    const sql = `INSERT INTO shop.leads (email, source) VALUES ('e@example.com', 'same hold')`
    const first = await gateway.query('writer', sql, {}, headers)
    const second = await gateway.query('writer', sql, {}, headers)
    expect([first.status, second.status, second.body.hold.id]).toEqual([202, 202, first.body.hold.id])
  })
})

describe('the audit log', () => {
  it('tells an auditor who asked what, what was decided and what ran, and nobody else', async () => {
    const { body } = await gateway.query('agent', 'SELECT email FROM shop.customers WHERE id = 2', {
      purpose: 'audit me',
    })
    const rows = await gateway.audit<any>(
      `SELECT kind, subject, connection, effect, row_count FROM events WHERE exchange_id = '${body.exchange}' ORDER BY ts`,
      (found) => found.length === 2,
    )
    expect(rows.map((r) => [r.kind, r.subject, r.connection, r.effect, Number(r.row_count)])).toEqual([
      ['decided', 'agent', 'warehouse', 'permit', 0],
      ['completed', 'agent', 'warehouse', '', 1],
    ])
    for (const [identity, code] of [
      ['agent', 'wrong-plane'],
      ['owner', 'not-auditor'],
    ] as const) {
      const answer = await gateway.post('/v1/audit/query', identity, { sql: 'SELECT 1' })
      expect([answer.status, (await answer.json()).code]).toEqual([403, code])
    }
  })
})
