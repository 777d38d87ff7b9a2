/** Tables divided by a column or into shards: whether a filter chooses a part of them. */
import { expect, test } from 'vitest'
import type { Schemas } from '../../../src/statement/contract.ts'
import { BOUNDS, DEFAULTS, schemas, statements } from './support.ts'

/** Orders divided by `status`, and others by the time at which rows came. */
const divided: Schemas = {
  async table(path, signal) {
    const table = await schemas.table(path, signal)
    if (table === undefined || path.table === 'customers') return table
    return { ...table, partitionedBy: path.table === 'orders' ? 'status' : '_PARTITIONTIME' }
  },
}

async function whole(sql: string): Promise<readonly string[]> {
  const by = statements()
  const parsed = by.parse(sql, DEFAULTS)
  if (parsed.refused) throw new Error(parsed.message)
  const statement = await by.bind(parsed, DEFAULTS, divided, [], BOUNDS, AbortSignal.timeout(10_000))
  if ('refused' in statement) throw new Error(statement.message)
  return statement.features
    .filter(({ name }) => name.endsWith('-unfiltered'))
    .map(({ name, at, resource }) => `${name} ${at} ${resource}`)
}

const ORDERS = 'partition-unfiltered'

test.each([
  ['SELECT id FROM shop.orders', [`${ORDERS} 1:16 shop.orders`]],
  ['SELECT status FROM shop.orders WHERE id = 1', [`${ORDERS} 1:20 shop.orders`]],
  ["SELECT id FROM shop.orders WHERE status = 'paid' OR 1 = 1", [`${ORDERS} 1:16 shop.orders`]],
  ['SELECT id FROM shop.orders ORDER BY status', [`${ORDERS} 1:16 shop.orders`]],
  ['SELECT c.id FROM shop.customers AS c JOIN shop.orders AS o ON o.id = c.id', [`${ORDERS} 1:43 shop.orders`]],
  ['SELECT email FROM shop.leads', [`${ORDERS} 1:19 shop.leads`]],
  [
    'SELECT name FROM `shop.events_*` WHERE DATE(_PARTITIONTIME) = "2024-01-01"',
    ['wildcard-unfiltered 1:18 shop.events_*'],
  ],
])('%s reads all of it', async (sql, expected) => expect(await whole(sql)).toEqual(expected))

test.each([
  'SELECT id FROM shop.customers',
  "SELECT id FROM shop.orders WHERE STATUS = 'paid'",
  "SELECT n FROM (SELECT id AS n, status AS s FROM shop.orders) WHERE s = 'paid'",
  "FROM shop.orders |> WHERE status = 'paid' |> SELECT id",
  "SELECT email FROM shop.leads WHERE _PARTITIONDATE = '2024-01-01'",
  "SELECT name FROM `shop.events_*` WHERE _PARTITIONTIME > '2024-01-01' AND _TABLE_SUFFIX = '1'",
])('%s reads a part of it', async (sql) => expect(await whole(sql)).toEqual([]))
