/** Answers of any size: flat memory, back-pressure, a client that leaves. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway.stop())

const MIB = 1024 * 1024

/** The most that the process ever had resident, in bytes. */
function peakResident(pid: number): number {
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

async function ask(sql: string, more: object = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${gateway.url}/v1/query`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${await tokenOf('agent')}`,
      'Content-Type': 'application/json',
      Accept: 'application/x-ndjson',
    },
    body: JSON.stringify({ connection: 'warehouse', sql, ...more }),
    ...(signal && { signal }),
  })
}

describe('a million rows', () => {
  it('arrive whole, in order, while the gateway stays under 300 MB', async () => {
    const answer = await ask('SELECT * FROM shop.metrics ORDER BY id', { maxRows: 1_000_000, timeoutMs: 300_000 })
    expect(answer.status).toBe(200)
    let lines = 0
    let rest = ''
    let last = ''
    const decoder = new TextDecoder()
    for await (const chunk of answer.body!) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = parts.pop()!
      lines += parts.length
      if (parts.length > 0) last = parts.at(-1)!
    }
    expect(lines).toBe(1_000_002)
    expect(JSON.parse(last)).toMatchObject({ rowCount: 1_000_000, ending: 'whole' })
    if (process.platform === 'linux') expect(peakResident(gateway.process.pid!)).toBeLessThan(300 * MIB)
  }, 300_000)
})

describe('a client that leaves in the middle', () => {
  it('cancels what is under way and is on record as cut', async () => {
    const leave = new AbortController()
    const answer = await ask('SELECT * FROM shop.metrics', { maxRows: 1_000_000 }, leave.signal)
    const exchange = answer.headers.get('Sluice-Exchange')
    await answer.body!.getReader().read()
    leave.abort()
    const [row] = await gateway.audit<{ ending: string; cut: string; row_count: string }>(
      `SELECT ending, cut, row_count FROM events WHERE kind = 'completed' AND exchange_id = '${exchange}'`,
      (found) => found.length === 1,
    )
    expect(row).toMatchObject({ ending: 'cut', cut: 'client-gone' })
    expect(Number(row?.row_count)).toBeLessThan(1_000_000)
  })

  it('before the job is done: the job is cancelled, and nothing stays under way', async () => {
    const leave = new AbortController()
    const slow = 'SELECT COUNT(*) FROM shop.metrics a CROSS JOIN shop.metrics b WHERE a.value * b.value < 0.5'
    const asked = ask(slow, {}, leave.signal).catch((error: Error) => error.name)
    for (;;) {
      const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
      if (/^sluice_inflight 1$/m.test(metrics)) break
    }
    leave.abort()
    expect(await asked).toBe('AbortError')
    for (;;) {
      const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
      if (/^sluice_inflight 0$/m.test(metrics)) break
    }
  })
})
