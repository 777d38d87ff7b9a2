/** Clients that mean harm, or die: whatever they do at whichever station, their request ends, once on record. */
import { afterEach, describe, expect, it } from 'vitest'
import { asked, configured, dial, folder, head, inflight, tidy, until } from '../support/attack.ts'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess

afterEach(async () => {
  await gateway.stop('SIGKILL')
  tidy()
})

describe('told to stop', () => {
  const start = async (data = folder(), database?: string): Promise<void> => {
    const config = configured(['# maxConcurrent: 256', 'shutdownGrace: 1s'])
    gateway = await startGateway({ config, data, ...(database !== undefined && { database }) })
  }

  it('ends though a client trickles its body', async () => {
    await start()
    const { said, ended } = await dial(gateway, await head('agent', '/v1/query', ['Content-Length: 1000']))
    await until(async () => (await inflight(gateway)) === 1)
    expect(await gateway.stop()).toBe(0)
    await ended
    expect(said()).toMatch(/^HTTP\/1\.1 503 /)
    expect(said()).toContain('"code":"shutting-down"')
  }, 20_000)

  it('ends though a client reads nothing of a long answer, and records the cut', async () => {
    await start()
    const sql = 'SELECT * FROM shop.metrics'
    const more = ['Accept: application/x-ndjson']
    const { socket } = await dial(gateway, await asked('agent', { sql, maxRows: 1_000_000 }, more))
    await new Promise((resolve) => socket.once('data', resolve))
    socket.pause()
    const { data, database } = gateway
    expect(await gateway.stop()).toBe(0)
    await start(data, database)
    const [row] = await gateway.audit<{ outcome: string; cut: string }>(
      `SELECT outcome, cut FROM exchanges WHERE statement = '${sql}' AND surface = 'query'`,
      (rows) => rows.length > 0,
    )
    expect(row).toEqual({ outcome: 'cut', cut: 'shutting-down' })
  }, 30_000)

  it('ends once however often it is told, and a caller that waits for an approval is answered', async () => {
    await start()
    const sql = "UPDATE shop.orders SET status = 'attack' WHERE id = 7"
    const { said, ended } = await dial(gateway, await asked('writer', { sql }, ['Prefer: wait=60']))
    await until(async () => (await inflight(gateway)) === 1)
    for (let n = 0; n < 3; n++) gateway.process.kill('SIGTERM')
    expect(await gateway.stop()).toBe(0)
    await ended
    expect(said()).toMatch(/^HTTP\/1\.1 202 /)
  }, 20_000)
})

describe('out of time', () => {
  const start = async (most: string): Promise<void> => {
    gateway = await startGateway({
      config: configured(['# requestTimeout: 10m', `requestTimeout: ${most}`]),
      data: folder(),
    })
  }

  it('is a body that does not come: its place is free again, and nothing was a failure of ours', async () => {
    await start('1s')
    const { said, ended } = await dial(gateway, await head('agent', '/v1/query', ['Content-Length: 1000']))
    await ended
    expect(said()).toMatch(/^HTTP\/1\.1 (408|504) /)
    expect(await inflight(gateway)).toBe(0)
    expect(gateway.logs.filter((line) => line.includes('"level":"error"'))).toEqual([])
  })

  it('is an answer that nobody reads: cut off, on record, its place free', async () => {
    // More than sockets hold on the way, and ready long before the time is up.
    await start('10s')
    const sql = 'SELECT * FROM shop.metrics WHERE id <= 100000'
    const more = ['Accept: application/x-ndjson']
    const { socket } = await dial(gateway, await asked('agent', { sql, maxRows: 1_000_000 }, more))
    await new Promise((resolve) => socket.once('data', resolve))
    socket.pause()
    await until(async () => (await inflight(gateway)) === 0)
    const [row] = await gateway.audit<{ outcome: string; cut: string }>(
      `SELECT outcome, cut FROM exchanges WHERE statement = '${sql}' AND surface = 'query'`,
      (rows) => rows.some(({ outcome }) => outcome !== 'unknown'),
    )
    expect(row).toEqual({ outcome: 'cut', cut: 'upstream-late' })
  })
})

describe('a client that hangs up', () => {
  it('leaves no place taken at any station, is no failure of ours, and is on record once', async () => {
    gateway = await startGateway({ data: folder() })
    const texts: string[] = []
    const told = async (): Promise<boolean> => (await inflight(gateway)) > 0
    const leave = async (name: string, bytes: string, when: (said: () => string) => Promise<void>): Promise<void> => {
      texts.push(name)
      const { socket, said } = await dial(gateway, bytes)
      await when(said)
      socket.destroy()
    }
    // In the middle of the body; during the dry run; in the middle of the rows; while it waits for an approval.
    await leave('body', await head('agent', '/v1/query', ['Content-Length: 1000']), () => until(told))
    await until(async () => (await inflight(gateway)) === 0)
    await leave('dry run', await asked('agent', { sql: 'SELECT id AS gone FROM shop.customers' }), () => until(told))
    await until(async () => (await inflight(gateway)) === 0)
    const rows = { sql: 'SELECT * FROM shop.metrics', maxRows: 1_000_000 }
    await leave('rows', await asked('agent', rows), (said) => until(() => said().length > 100_000))
    await until(async () => (await inflight(gateway)) === 0)
    const write = { sql: "UPDATE shop.orders SET status = 'gone' WHERE id = 7" }
    await leave('approval', await asked('writer', write, ['Prefer: wait=60']), () => until(told))
    await until(async () => (await inflight(gateway)) === 0)

    expect(gateway.logs.filter((line) => line.includes('"level":"error"'))).toEqual([])
    const found = await gateway.audit<{ outcome: string; code: string; cut: string }>(
      `SELECT outcome, failure_code AS code, cut FROM exchanges ORDER BY asked_at`,
      (all) => all.length >= texts.length && all.every(({ outcome }) => outcome !== 'unknown'),
    )
    expect(found).toHaveLength(texts.length)
    expect(found[0]).toEqual({ outcome: 'refused', code: 'client-gone', cut: '' })
    expect(found[2]).toEqual({ outcome: 'cut', code: '', cut: 'client-gone' })
  })
})
