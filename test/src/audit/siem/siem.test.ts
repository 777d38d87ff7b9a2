/** From the journal to the SIEM: what is durable arrives, whatever breaks in between. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { AuditLog } from '../../../../src/audit/contract.ts'
import { openAuditLog, type AuditLogOptions } from '../../../../src/audit/log.node.ts'
import { createSiem, type SiemDestination } from '../../../../src/audit/siem/index.node.ts'
import { Failure } from '../../../../src/failure.ts'
import { Health } from '../../../../src/health.ts'
import { Inflight } from '../../../../src/inflight.ts'
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
    lastDeliveryMs: 200,
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
    // What was under way when the gateway stopped may have arrived: at least once.
    await soon(() => expect([...new Set(lake.sequences)]).toEqual([1, 2, 3]))
    expect(lake.sequences.filter((sequence) => sequence === 1)).toHaveLength(1)
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

  test('also for long: what is recorded later does not wait with what the one has not taken', async () => {
    const soc = await SyslogReceiver.open()
    const lake = await HttpsReceiver.open()
    lake.mood = () => ({ status: 500 })
    const log = await open(await tempDir(), [syslog(soc), https(lake)], { fetch: lake.fetch })
    for (let n = 1; n <= 15; n++) {
      await log.append(noted(n))
      await soon(() => expect(soc.sequences).toEqual(upTo(n)))
    }
    lake.mood = undefined
    await soon(() => expect(lake.sequences).toEqual(upTo(15)))
  })
})

describe('how far each is', () => {
  test('is told by the status and as metrics', async () => {
    const soc = await SyslogReceiver.open()
    const lake = await HttpsReceiver.open()
    lake.mood = () => ({ status: 403 })
    const log = await open(await tempDir(), [syslog(soc), https(lake)], { fetch: lake.fetch })
    for (let n = 1; n <= 3; n++) await log.append(noted(n))
    await soon(() =>
      expect(log.status().destinations).toEqual([
        { name: 'siem-soc', lagRecords: 0, deliveredAt: clock.now() },
        { name: 'siem-lake', lagRecords: 3, problem: 'http_403' },
      ]),
    )
    const metrics = new Health([], log, new Inflight(1, 1)).metrics()
    expect(metrics.match(/^sluice_audit_destination_.*$/gm)).toEqual([
      'sluice_audit_destination_lag_records{destination="siem-soc"} 0',
      'sluice_audit_destination_lag_records{destination="siem-lake"} 3',
      'sluice_audit_destination_problem{destination="siem-soc"} 0',
      'sluice_audit_destination_problem{destination="siem-lake"} 1',
      `sluice_audit_destination_delivered_timestamp_seconds{destination="siem-soc"} ${clock.now() / 1000}`,
      'sluice_audit_destination_delivered_timestamp_seconds{destination="siem-lake"} 0',
    ])
  })

  test('a part of the journal that is damaged is an event, so that no record is missing in silence', async () => {
    const dir = await tempDir()
    for (const first of [1, 3]) {
      const log = await open(dir, [], { limits: { sealAfterMs: 60_000 } })
      await log.append(noted(first))
      await log.append(noted(first + 1))
      await log.close()
    }
    const [damaged = ''] = (await readdir(dir)).filter((name) => name.startsWith('seg-'))
    const bytes = await readFile(join(dir, damaged))
    bytes[bytes.length - 30]! ^= 1
    await writeFile(join(dir, damaged), bytes)

    const soc = await SyslogReceiver.open()
    await open(dir, [syslog(soc)])
    await soon(() => expect(soc.sequences).toEqual([1, 3, 4]))
    expect(soc.messages[0]?.event).toMatchObject({
      class_uid: 0,
      severity: 'High',
      message: '2 audit records cannot be read',
      unmapped: { records: 2 },
    })
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
