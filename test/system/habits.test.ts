/** What an agent does every day is known from the audit log, and what differs from it is found. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

interface Found {
  readonly kind: string
  readonly place: string
}

let gateway: GatewayProcess
/** What the first gateway said of a log that it could not read. */
let said: readonly string[]

const habits = (rows: readonly Found[]) =>
  rows.filter(({ kind }) => /new-|unusual-/.test(kind)).map(({ kind, place }) => `${kind} ${place}`)

/** The findings of the preflight of a statement. */
async function foreseen(as: string, sql: string): Promise<readonly Found[]> {
  const answer = await gateway.post('/v1/preflight', as, { connection: 'warehouse', sql })
  const exchange = answer.headers.get('Sluice-Exchange')
  expect([answer.status, exchange]).toEqual([200, expect.any(String)])
  return gateway.audit<Found>(
    `SELECT kind, place FROM findings WHERE exchange_id = '${exchange}' ORDER BY kind`,
    (rows) => rows.length > 0,
  )
}

beforeAll(async () => {
  const first = await startGateway()
  for (let id = 1; id <= 20; id++) {
    await first.query('agent', `SELECT status FROM shop.orders WHERE id = ${id} LIMIT 1`)
  }
  await first.audit<{ n: string; shapes: string }>(
    "SELECT count() AS n, uniqExact(shape) AS shapes FROM exchanges WHERE outcome = 'answered' AND shape != ''",
    ([row]) => Number(row?.n) === 20 && Number(row?.shapes) === 1,
  )
  said = first.logs.filter((line) => line.includes('what principals did before is not known'))
  await first.stop()
  // Another process remembers nothing, and has to ask.
  gateway = await startGateway({ data: first.data, database: first.database })
})
afterAll(() => gateway.stop())

test('a log that is not there yet is spoken of once, and waited for by no one', () => {
  expect(said.length).toBeLessThanOrEqual(1)
})

test('the same with another literal is nothing new', async () => {
  expect(habits(await foreseen('agent', 'select status FROM shop.orders -- again\nWHERE id = 99999 LIMIT 5'))).toEqual(
    [],
  )
})

test('another shape is new, and so is a table', async () => {
  expect(habits(await foreseen('agent', 'SELECT source FROM shop.leads LIMIT 1'))).toEqual([
    expect.stringMatching(/^sql-risk\/new-shape [0-9a-f]{16}$/),
    'sql-risk/new-table shop.leads',
  ])
})

test('foreseeing it makes it no habit, and another principal has habits of its own', async () => {
  expect(habits(await foreseen('agent', 'SELECT source FROM shop.leads LIMIT 2'))).toHaveLength(2)
  expect(habits(await foreseen('writer', 'SELECT source FROM shop.leads LIMIT 2'))).toEqual([])
})
