/** Through the front door: names tell an agent nothing that it may not read, and a table that changed is met anew. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway.stop())

/** Status, headers and body, with ids and the asked name taken out. */
async function shapeOf(path: string, as: string, sql: string, name: string): Promise<unknown> {
  const answer = await gateway.post(path, as, { connection: 'warehouse', sql })
  const id = answer.headers.get('Sluice-Exchange') ?? ''
  const headers = [...answer.headers].filter(([key]) => !['date', 'sluice-exchange', 'content-length'].includes(key))
  const body = (await answer.text()).replaceAll(id, 'ID').replaceAll(name, 'NAME')
  return { status: answer.status, headers, body }
}

describe('what a principal may not read', () => {
  it.each([
    ['agent', '/v1/query', ['other.salaries', 'other.nothing', 'nowhere.nothing']],
    ['agent', '/v1/preflight', ['other.salaries', 'other.nothing', 'nowhere.nothing']],
    ['agent', '/v1/query', ['hr.salaries', 'hr.nothing']],
    ['agent', '/v1/preflight', ['hr.salaries', 'hr.nothing']],
    ['stranger', '/v1/query', ['shop.customers', 'shop.nothing', 'hr.salaries', 'a-project.shop.customers']],
    ['stranger', '/v1/preflight', ['shop.customers', 'shop.nothing', 'hr.salaries', 'a-project.shop.customers']],
  ])('%s at %s is answered alike whether it exists or not: %j', async (as, path, names) => {
    const shapes = await Promise.all(
      names.flatMap((name) =>
        ['*', 'name', 'no_such_column'].map((column) => shapeOf(path, as, `SELECT ${column} FROM \`${name}\``, name)),
      ),
    )
    const [first] = shapes as { status: number; body: string }[]
    expect(first?.status).toBe(path === '/v1/query' ? 403 : 200)
    expect(first?.body).toMatch(/no-permit|shop-analysts\/no-hr/)
    // A preflight shows the statement's names; the column is in none of it.
    for (const shape of shapes) expect(shape).toEqual(first)
  })
})

describe('a mistyped table', () => {
  it('is told the nearest that this principal may read', async () => {
    const { status, body } = await gateway.query('agent', 'SELECT id FROM shop.custmers')
    expect([status, body.code, body.fix]).toEqual([404, 'resource-unknown', 'did you mean `shop.customers`?'])
  })
})

describe('a table that changes between two requests', () => {
  /** Past the gateway: what some other tool does to the warehouse. */
  async function outside(query: string): Promise<void> {
    const answer = await fetch(`${inject('sandbox').warehouse}/bigquery/v2/projects/sluice-sandbox/queries`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query, useLegacySql: false, timeoutMs: 10_000 }),
    })
    expect([answer.status, await answer.json()]).toMatchObject([200, { jobComplete: true }])
  }

  it('is met by the dry run: once denied, then analysed as it is now', async () => {
    await outside('CREATE TABLE shop.changing AS SELECT 1 AS a, 2 AS b')
    try {
      const before = await gateway.query('agent', 'SELECT * FROM shop.changing')
      expect([before.status, before.body.rows]).toEqual([200, [['1', '2']]])

      await outside("CREATE OR REPLACE TABLE shop.changing AS SELECT 1 AS a, 'x' AS b")
      const during = await gateway.query('agent', 'SELECT * FROM shop.changing')
      expect([during.status, during.body.reasons]).toMatchObject([
        403,
        [{ code: 'readers-disagree', where: 'column 2, `b` INT64 or `b` STRING' }],
      ])
      const after = await gateway.query('agent', 'SELECT * FROM shop.changing')
      expect([after.status, after.body.rows]).toEqual([200, [['1', 'x']]])

      await outside("CREATE OR REPLACE TABLE shop.changing AS SELECT 1 AS a, 'x' AS b, TRUE AS c")
      const wider = await gateway.query('agent', 'SELECT * FROM shop.changing')
      expect([wider.status, wider.body.reasons]).toMatchObject([
        403,
        [{ code: 'readers-disagree', where: 'the number of columns' }],
      ])
      const now = await gateway.query('agent', 'SELECT * FROM shop.changing')
      expect([now.status, now.body.rows]).toEqual([200, [['1', 'x', true]]])
    } finally {
      await outside('DROP TABLE shop.changing')
    }
  })
})
