/** From the journal to the SIEM: what is durable arrives, whatever breaks in between. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { AuditLog } from '../../../../src/audit/contract.ts'
import { openAuditLog, type AuditLogOptions } from '../../../../src/audit/log.node.ts'
import { createSiem, type SiemDestination } from '../../../../src/audit/siem/index.node.ts'
import { Failure } from '../../../../src/failure.ts'
import { clock, decidedFully, ids, noted, quiet, tempDir } from '../stage.ts'
import { CA, HttpsReceiver, SyslogReceiver } from './receivers.ts'

const parts = {
  secrets: { read: async (reference: string) => `the secret of ${reference}` },
  fetch: globalThis.fetch,
  clock,
  writer: 'gateway-1',
  version: '0.1.0',
}

const syslog = (receiver: SyslogReceiver): SiemDestination => ({
  type: 'syslog',
  name: 'soc',
  address: receiver.address,
  tls: true,
  timeout: 5000,
  ca: CA,
})
const https = (receiver: HttpsReceiver): SiemDestination => ({
  type: 'https',
  name: 'lake',
  url: receiver.url,
  format: 'ndjson',
  timeout: 5000,
  authorization: 'env:SIEM',
})

async function open(
  dir: string,
  destinations: readonly SiemDestination[],
  more: Partial<AuditLogOptions> & { readonly fetch?: typeof globalThis.fetch } = {},
): Promise<AuditLog> {
  const { fetch = globalThis.fetch, ...options } = more
  const log = await openAuditLog({
    dir,
    writer: 'gateway-1',
    clock,
    newId: ids(),
    log: quiet,
    lastDeliveryMs: 2000,
    followers: await createSiem(destinations, { ...parts, fetch }),
    ...options,
    limits: { sealAfterMs: 5, pauseMs: 1, maxPauseMs: 5, tryMs: 5000, ...options.limits },
  })
  onTestFinished(() => log.close())
  return log
}

/** The machine may be busy. */
const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000 })

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n + 1)

describe('records reach the SIEM without a ClickHouse', () => {
  test('as syslog and over HTTPS at once, and are kept for the store', async () => {
    const soc = await SyslogReceiver.open()
    const lake = await HttpsReceiver.open()
    const log = await open(await tempDir(), [syslog(soc), https(lake)], { fetch: lake.fetch })
    await log.append(decidedFully)
    for (let n = 1; n < 20; n++) await log.append(noted(n))
    await soon(() => {
      expect(soc.sequences).toEqual(upTo(20))
      expect(lake.sequences).toEqual(upTo(20))
    })
    expect(lake.taken[0]?.headers.authorization).toBe('the secret of env:SIEM')
    expect(lake.events.map(({ metadata }) => metadata.uid)).toEqual(soc.messages.map(({ event }) => event.metadata.uid))
    expect(log.status().backlogRecords).toBe(20)
  })

  test('after the receiver was away, and without a second time what it has', async () => {
    const soc = await SyslogReceiver.open()
    const log = await open(await tempDir(), [syslog(soc)])
    await log.append(noted(1))
    await soon(() => expect(soc.sequences).toEqual([1]))
    await soc.close()
    await log.append(noted(2))
    await log.append(noted(3))
    await soc.listen()
    await soon(() => expect(soc.sequences).toEqual([1, 2, 3]))
  })

  test('from where it was, after the gateway was stopped and started', async () => {
    const lake = await HttpsReceiver.open()
    const dir = await tempDir()
    const first = await open(dir, [https(lake)], { fetch: lake.fetch })
    await first.append(noted(1))
    await soon(() => expect(lake.sequences).toEqual([1]))
    lake.mood = () => ({ status: 503 })
    await first.append(noted(2))
    await first.close()
    lake.mood = undefined
    const second = await open(dir, [https(lake)], { fetch: lake.fetch })
    await second.append(noted(3))
    await soon(() => expect(lake.sequences).toEqual([1, 2, 3]))
  })

  test('one that is away holds up neither the other nor what is recorded', async () => {
    const soc = await SyslogReceiver.open()
    const lake = await HttpsReceiver.open()
    lake.mood = () => ({ status: 500 })
    const log = await open(await tempDir(), [syslog(soc), https(lake)], { fetch: lake.fetch })
    for (let n = 1; n <= 5; n++) await log.append(noted(n))
    await soon(() => expect(soc.sequences).toEqual(upTo(5)))
    expect(lake.taken).toEqual([])
    lake.mood = undefined
    await soon(() => expect(lake.sequences).toEqual(upTo(5)))
  })
})

test('names of destinations are never those of the journal', async () => {
  const named = await createSiem(
    ['clickhouse', 'chain'].map((name) => ({
      type: 'https',
      name,
      url: 'https://siem.example/',
      format: 'json',
      timeout: 1000,
    })),
    parts,
  )
  expect(named.map(({ name }) => name)).toEqual(['siem-clickhouse', 'siem-chain'])
})

test('a secret that cannot be had stops the start', async () => {
  const lake = await HttpsReceiver.open()
  const secrets = { read: () => Promise.reject(new Failure('internal', 'the secret `env:SIEM` is not set')) }
  await expect(createSiem([https(lake)], { ...parts, secrets })).rejects.toThrow('the secret `env:SIEM` is not set')
})
