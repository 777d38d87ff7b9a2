/** The state store over a real PostgreSQL: the contract of every store, and what several gateways need of one. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Store } from '../../../src/hold/contract.ts'
import { openPostgresStore } from '../../../src/hold/postgres.node.ts'
import { startPostgres, type Postgres } from '../../support/postgres.ts'
import { storeContract } from '../../src/hold/contract.ts'
import { heldExchange } from '../../src/hold/exchanges.ts'

let server: Postgres
const clock = { now: () => Date.now(), monotonic: () => performance.now() }
const log = (): void => {}
const fresh = (): string => `s_${randomUUID().replaceAll('-', '')}`

beforeAll(async () => {
  server = await startPostgres()
}, 120_000)
afterAll(() => server.stop())

const open = (schema: string, writer = 'w1', time = clock): Promise<Store> =>
  openPostgresStore({ url: server.url, schema, clock: time, log, writer, connections: 5 })

storeContract('PostgreSQL', (time) => open(fresh(), 'w1', time))

describe('several gateways over one PostgreSQL', () => {
  test('bring its tables up to date at once, and each finds them done', async () => {
    const schema = fresh()
    const stores = await Promise.all(Array.from({ length: 6 }, (_, i) => open(schema, `w${i}`)))
    await stores[0]!.openHold(heldExchange('h1', Date.now() + 60_000))
    expect((await stores[5]!.hold('h1'))?.state).toBe('pending')
    await Promise.all(stores.map((store) => store.close()))
  })

  test('of fifty racing words on five of them, one moves a hold, and every waiter on every one is woken', async () => {
    const schema = fresh()
    const stores = await Promise.all(Array.from({ length: 5 }, (_, i) => open(schema, `w${i}`)))
    await stores[0]!.openHold(heldExchange('h1', Date.now() + 60_000))
    const waits = stores.map((store) => store.waitHold('h1', 'pending', 30_000, new AbortController().signal))
    const words = Array.from({ length: 50 }, (_, i) =>
      stores[i % 5]!.decideHold(
        'h1',
        {
          by: { issuer: 'sandbox', subject: `o${i}` },
          groups: [],
          effect: i % 2 ? 'reject' : 'approve',
          comment: '',
          at: Date.now(),
        },
        () => (i % 2 ? 'rejected' : 'approved'),
      ),
    )
    const moved = (await Promise.all(words)).filter((word) => word.moved)
    expect(moved).toHaveLength(1)
    const states = (await Promise.all(waits)).map((entry) => entry?.state)
    expect(new Set(states)).toEqual(new Set([moved[0]!.entry.state]))
    await Promise.all(stores.map((store) => store.close()))
  })

  test('start an approved hold once', async () => {
    const schema = fresh()
    const stores = await Promise.all(Array.from({ length: 4 }, (_, i) => open(schema, `w${i}`)))
    await stores[0]!.openHold(heldExchange('h1', Date.now() + 60_000))
    const by = { issuer: 'sandbox', subject: 'owner' }
    await stores[1]!.decideHold(
      'h1',
      { by, groups: [], effect: 'approve', comment: '', at: Date.now() },
      () => 'approved',
    )
    const starts = await Promise.all(
      Array.from({ length: 40 }, (_, i) => stores[i % 4]!.startHold('h1', Date.now(), `w${i % 4}`)),
    )
    expect(starts.filter((start) => start.moved)).toHaveLength(1)
    await Promise.all(stores.map((store) => store.close()))
  })

  test('say that they are away while it is, and go on when it is back', async () => {
    const own = await startPostgres()
    const store = await openPostgresStore({
      url: own.url,
      schema: 'sluice',
      clock,
      log,
      writer: 'w1',
      statementMs: 2_000,
    })
    await store.openHold(heldExchange('h1', Date.now() + 60_000))
    await own.kill()
    await expect(store.hold('h1')).rejects.toMatchObject({ code: 'store-unavailable' })
    await own.restart()
    await expect
      .poll(
        () =>
          store.hold('h1').then(
            (entry) => entry?.state,
            () => 'away',
          ),
        { timeout: 20_000 },
      )
      .toBe('pending')
    await store.close()
    await own.stop()
  }, 120_000)

  test('refuse one that a newer version wrote, and an address where nobody is', async () => {
    const schema = fresh()
    const store = await open(schema)
    const { default: postgres } = await import('postgres')
    const sql = postgres(server.url)
    await sql.unsafe(`INSERT INTO ${schema}.migrations (version) VALUES (99)`)
    await sql.end()
    await expect(open(schema)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: 'the state store was written by a newer version of Sluice',
    })
    await store.close()
    const nobody = { url: 'postgres://sluice@127.0.0.1:1/postgres', schema: 'sluice', clock, log, writer: 'w1' }
    await expect(openPostgresStore(nobody)).rejects.toMatchObject({ code: 'store-unavailable' })
  })
})
