import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { AuditLog } from '../../../src/audit/contract.ts'
import { openAuditLog, type AuditClickHouse, type AuditLogOptions } from '../../../src/audit/log.node.ts'
import { COLUMN_NAMES, decodeRows, type Row } from '../../../src/audit/record.ts'
import { Failure } from '../../../src/failure.ts'
import { filesIn } from '../../../src/audit/files.node.ts'
import { clock, decidedFully, faulty, ids, noted, quiet, systemError, tempDir } from './stage.ts'

/** A ClickHouse that keeps what it is sent, once per token, and fails as it is told. */
class FakeClickHouse implements AuditClickHouse {
  readonly tokens: string[] = []
  readonly rows: Row[] = []
  readonly commands: string[] = []
  readonly asked = new Set<string>()
  tries = 0
  closed = false
  /** Before the rows are kept. */
  refuse: (() => void | Promise<void>) | undefined
  /** After they are kept: the answer is lost. */
  lose: (() => void) | undefined

  async insertRowBinary(table: string, columns: readonly string[], bytes: Uint8Array, token: string): Promise<void> {
    this.tries++
    await this.refuse?.()
    this.asked.add(`${table}(${columns.join()})`)
    if (!this.tokens.includes(token)) {
      this.tokens.push(token)
      this.rows.push(...decodeRows(bytes))
    }
    this.lose?.()
  }

  async command(sql: string): Promise<void> {
    this.commands.push(sql)
  }

  async query(): Promise<ReadableStream<Uint8Array>> {
    return new Blob(['0\n']).stream()
  }

  async close(): Promise<void> {
    this.closed = true
  }

  get notes(): readonly string[] {
    return this.rows.map(({ note }) => note)
  }
}

async function open(
  dir: string,
  clickhouse: AuditClickHouse | undefined,
  more: Partial<AuditLogOptions> = {},
): Promise<AuditLog> {
  const log = await openAuditLog({
    dir,
    writer: 'gateway-1',
    clock,
    newId: ids(),
    log: quiet,
    lastDeliveryMs: 50,
    ...(clickhouse && { clickhouse }),
    ...more,
    limits: { sealAfterMs: 5, pauseMs: 1, maxPauseMs: 5, tryMs: 1000, ...more.limits },
  })
  onTestFinished(() => log.close())
  return log
}

test('a clock that is set back turns no order around; one that was far ahead is not followed', async () => {
  const clickhouse = new FakeClickHouse()
  const log = await open(await tempDir(), clickhouse)
  const at = 1_767_605_400_000
  for (const [n, back] of [0, 30_000, -1, 3_600_000].entries()) await log.append({ ...noted(n), at: at - back })
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  expect(clickhouse.rows.map(({ ts, writer_seq }) => [writer_seq, (ts / 1000 - at) | 0])).toEqual([
    [1, 0],
    [2, 0],
    [3, 1],
    [4, -3_600_000],
  ])
})

test('what is appended reaches ClickHouse, in order, and leaves the journal', async () => {
  const dir = await tempDir()
  const clickhouse = new FakeClickHouse()
  const log = await open(dir, clickhouse)
  for (let n = 1; n <= 5; n++) await log.append(noted(n))
  await log.append(decidedFully)
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  expect(log.status()).toEqual({
    writable: true,
    tight: false,
    backlogRecords: 0,
    backlogBytes: 0,
    deliveredAt: clock.now(),
    destinations: [{ name: 'clickhouse', lagRecords: 0, deliveredAt: clock.now() }],
  })
  expect(clickhouse.notes).toEqual(['note 1', 'note 2', 'note 3', 'note 4', 'note 5', ''])
  expect(clickhouse.rows.map(({ writer_seq }) => writer_seq)).toEqual([1, 2, 3, 4, 5, 6])
  expect(new Set(clickhouse.rows.map(({ record_id }) => record_id)).size).toBe(6)
  expect([...clickhouse.asked]).toEqual([`audit.events(${COLUMN_NAMES.join()})`])
  expect(clickhouse.commands[0]).toBe('CREATE DATABASE IF NOT EXISTS `audit`')
})

test('closing seals and delivers what is left, and closes the client', async () => {
  const dir = await tempDir()
  const clickhouse = new FakeClickHouse()
  const log = await open(dir, clickhouse, { limits: { sealAfterMs: 60_000 }, lastDeliveryMs: 5000 })
  await log.append(noted(1))
  await log.close()
  expect(clickhouse.notes).toEqual(['note 1'])
  expect(clickhouse.closed).toBe(true)
  await expect(log.append(noted(2))).rejects.toMatchObject({ code: 'audit-unavailable' })
})

test('ClickHouse that is down is tried for as long as it takes; the problem is a code, and nothing is lost', async () => {
  const dir = await tempDir()
  const clickhouse = new FakeClickHouse()
  clickhouse.refuse = () => {
    throw new Failure('upstream-failed', 'ClickHouse did not answer', { cause: systemError('ECONNREFUSED') })
  }
  const log = await open(dir, clickhouse)
  for (let n = 1; n <= 3; n++) await log.append(noted(n))
  await vi.waitFor(() => expect(clickhouse.tries).toBeGreaterThan(3))
  expect(log.status()).toMatchObject({ writable: true, backlogRecords: 3, deliveryProblem: 'ECONNREFUSED' })
  clickhouse.refuse = undefined
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  expect(log.status()).not.toHaveProperty('deliveryProblem')
  expect(clickhouse.notes).toEqual(['note 1', 'note 2', 'note 3'])
})

test('a delivery whose answer was lost is sent again as it was, and kept once', async () => {
  const clickhouse = new FakeClickHouse()
  let losses = 3
  clickhouse.lose = () => {
    if (losses-- > 0) throw new Failure('upstream-late', 'ClickHouse did not answer in time')
  }
  const log = await open(await tempDir(), clickhouse)
  await Promise.all([log.append(noted(1)), log.append(noted(2))])
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  expect(clickhouse.tries).toBe(4)
  expect(clickhouse.notes).toEqual(['note 1', 'note 2'])
})

test('a segment whose file cannot be removed is sent again under its token, and kept once', async () => {
  const dir = await tempDir()
  const clickhouse = new FakeClickHouse()
  let refusals = 2
  const files = faulty(await filesIn(dir), {
    remove: () => {
      if (refusals-- > 0) throw systemError('EIO')
    },
  })
  const log = await open(dir, clickhouse, { files })
  await log.append(noted(1))
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  expect([clickhouse.tries, clickhouse.notes]).toEqual([3, ['note 1']])
})

test('a try that never ends is given up', async () => {
  const clickhouse = new FakeClickHouse()
  clickhouse.refuse = () => new Promise(() => {})
  const log = await open(await tempDir(), clickhouse, { limits: { tryMs: 20 } })
  await log.append(noted(1))
  await vi.waitFor(() => expect(log.status().deliveryProblem).toBe('late'))
  clickhouse.refuse = undefined
  await vi.waitFor(() => expect(clickhouse.notes).toEqual(['note 1']))
})

test('what one process left, the next one delivers', async () => {
  const dir = await tempDir()
  const down = new FakeClickHouse()
  down.refuse = () => {
    throw systemError('ECONNREFUSED')
  }
  const log = await open(dir, down)
  for (let n = 1; n <= 4; n++) await log.append(noted(n))
  await log.close()
  const clickhouse = new FakeClickHouse()
  const again = await open(dir, clickhouse)
  expect(again.status().backlogRecords).toBe(4)
  await again.append(noted(5))
  await vi.waitFor(() => expect(again.status().backlogRecords).toBe(0))
  expect(clickhouse.rows.map(({ note, writer_seq }) => [note, writer_seq])).toEqual(
    [1, 2, 3, 4, 5].map((n) => [`note ${n}`, n]),
  )
})

test('a damaged segment is set aside and said; those behind it are delivered', async () => {
  const dir = await tempDir()
  const log = await open(dir, undefined, { limits: { sealAfterMs: 60_000 } })
  await log.append(noted(1))
  await log.close()
  const next = await open(dir, undefined, { limits: { sealAfterMs: 60_000 } })
  await next.append(noted(2))
  await next.close()
  const [first = ''] = (await readdir(dir)).filter((name) => name.startsWith('seg-'))
  const bytes = await readFile(join(dir, first))
  bytes[bytes.length - 30]! ^= 1
  await writeFile(join(dir, first), bytes)
  const clickhouse = new FakeClickHouse()
  const last = await open(dir, clickhouse)
  await vi.waitFor(() => expect(last.status().backlogRecords).toBe(0))
  expect(clickhouse.notes).toEqual(['note 2'])
  expect(last.status().deliveryProblem).toBe('segment-damaged')
  expect(await readdir(dir)).toContain(`${first}.damaged`)
})

test('many waiting segments make the next ones larger, not more', async () => {
  const dir = await tempDir()
  const clickhouse = new FakeClickHouse()
  clickhouse.refuse = () => {
    throw systemError('ECONNREFUSED')
  }
  const log = await open(dir, clickhouse, { limits: { sealAfterMs: 1 } })
  const segments = async (): Promise<number> => (await readdir(dir)).filter((name) => name.startsWith('seg-')).length
  for (let n = 1; n <= 8; n++) {
    await log.append(noted(n))
    await vi.waitFor(async () => expect(await segments()).toBe(n + 1))
  }
  for (let n = 9; n <= 40; n++) await log.append(noted(n))
  expect(await segments()).toBe(9)
  clickhouse.refuse = undefined
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  expect(clickhouse.notes).toEqual(Array.from({ length: 40 }, (_, i) => `note ${i + 1}`))
  expect(clickhouse.tokens).toHaveLength(9)
})

test('without ClickHouse, records stay in the journal, and the log says so', async () => {
  const said: string[] = []
  const log = await open(await tempDir(), undefined, { log: (_level, message) => void said.push(message) })
  await log.append(noted(1))
  expect(log.status()).toMatchObject({ writable: true, backlogRecords: 1, deliveryProblem: 'no-clickhouse' })
  expect(said).toEqual(['no ClickHouse is configured: audit records stay in the journal'])
})

test('a folder has one log at a time', async () => {
  const dir = await tempDir()
  const log = await open(dir, undefined)
  await expect(open(dir, undefined)).rejects.toMatchObject({
    code: 'audit-unavailable',
    message: `the audit journal in \`${dir}\` is in use by another process`,
  })
  await log.close()
  await (await open(dir, undefined)).close()
})

test('a record without a canonical form is refused as unrecordable', async () => {
  const log = await open(await tempDir(), undefined)
  await expect(log.append({ ...noted(1), exchange: 'x' })).rejects.toMatchObject({
    code: 'audit-unavailable',
    message: 'the record has no canonical form',
  })
  await log.append(noted(1))
})
