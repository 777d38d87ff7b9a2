/** The log of bodies over the real journal: what survives, what waits, what it does to memory, what reaches ClickHouse. */
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openPayloadLog, type PayloadLogOptions } from '../../../../src/audit/bodies/log.node.ts'
import { Room } from '../../../../src/audit/bodies/room.ts'
import type { PayloadLog, TapedBody } from '../../../../src/audit/contract.ts'
import { filesIn } from '../../../../src/audit/files.node.ts'
import type { AuditClickHouse } from '../../../../src/audit/log.node.ts'
import { decodePayload, PAYLOAD_NAMES, type PayloadRow } from '../../../../src/audit/payload.ts'
import { PAYLOADS, scan } from '../../../../src/audit/segment.node.ts'
import { nodeHasher } from '../../../support/hasher.ts'
import { AGENT } from '../../../support/journey.ts'
import { clock, exchange, faulty, ids, quiet, systemError, tempDir, type Faults } from '../stage.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function bodyOf(n: number, over: Partial<TapedBody> = {}): TapedBody {
  const whose = { id: exchange(n), connection: 'crm', principal: AGENT }
  return { exchange: whose, direction: 'answer', type: 'text/plain', keep: 'full', ...over }
}

async function open(dir: string, more: Partial<PayloadLogOptions> = {}): Promise<PayloadLog> {
  const log = await openPayloadLog({
    dir,
    writer: 'gateway-1',
    clock,
    newId: ids(),
    hasher: nodeHasher,
    log: quiet,
    retainDays: ({ connection }) => (connection === 'crm' ? 7 : 90),
    lastDeliveryMs: 50,
    ...more,
    limits: { sealAfterMs: 5, pauseMs: 1, maxPauseMs: 5, tryMs: 1000, ...more.limits },
  })
  onTestFinished(() => log.close())
  return log
}

/** Every row in a journal's folder, in order. */
async function rowsIn(dir: string): Promise<readonly PayloadRow[]> {
  const names = (await readdir(dir)).filter((name) => /^seg-\d{12}$/.test(name)).toSorted()
  const files = await filesIn(dir)
  const all: PayloadRow[] = []
  for (const name of names) {
    const raw = await files.read(name)
    const rows = scan(raw, PAYLOADS).rows.map(decodePayload)
    all.push(...rows.map((row) => ({ ...row, content: Uint8Array.from(row.content) })))
  }
  return all
}

/** A ClickHouse that keeps what it is sent, once per token. */
class FakeClickHouse implements AuditClickHouse {
  readonly tokens: string[] = []
  readonly asked = new Set<string>()
  sizes: number[] = []
  isDown = false
  async insertRowBinary(table: string, columns: readonly string[], rows: Uint8Array, token: string): Promise<void> {
    if (this.isDown) throw systemError('ECONNREFUSED')
    this.asked.add(`${table}(${columns.join()})`)
    if (this.tokens.includes(token)) return
    this.tokens.push(token)
    this.sizes.push(rows.length)
  }
  async command(): Promise<void> {}
  async query(): Promise<ReadableStream<Uint8Array>> {
    return new Blob(['0\n']).stream()
  }
  async close(): Promise<void> {}
}

describe('a recorded body', () => {
  it('is in the journal when its end is told, with how long its connection keeps it', async () => {
    const dir = await tempDir()
    const log = await open(dir)
    const tape = log.open(bodyOf(1))
    await tape.push(bytes('hello '))
    await tape.push(bytes('world'))
    await tape.end()
    const rows = await rowsIn(dir)
    const today = Math.floor(clock.now() / 86_400_000)
    expect(rows).toMatchObject([
      {
        exchange_id: exchange(1),
        direction: 'answer',
        content: bytes('hello world'),
        is_last: true,
        writer: 'gateway-1',
        retain_until: today + 7,
        writer_seq: 1,
      },
    ])
  })

  it('survives whatever ends the process; one that was under way has no end', async () => {
    const dir = await tempDir()
    const log = await open(dir)
    const whole = log.open(bodyOf(1))
    await whole.push(bytes('whole'))
    await whole.end()
    const half = log.open(bodyOf(2))
    await half.push(randomBytes(300_000))
    await half.push(randomBytes(300_000))
    await log.close()
    const again = await open(dir)
    expect(again.status().backlogRecords).toBe((await rowsIn(dir)).length)
    expect((await rowsIn(dir)).map((row) => [row.exchange_id, row.is_last])).toEqual([
      [exchange(1), true],
      [exchange(2), false],
      [exchange(2), false],
      [exchange(2), false],
    ])
  })

  it('goes to ClickHouse once, under a token of its own, and out of the journal', async () => {
    const dir = await tempDir()
    const clickhouse = new FakeClickHouse()
    clickhouse.isDown = true
    const log = await open(dir, { clickhouse, database: 'sluice' })
    const tape = log.open(bodyOf(1))
    await tape.push(bytes('hello'))
    await tape.end()
    await vi.waitFor(() => expect(log.status().deliveryProblem).toBe('ECONNREFUSED'))
    expect(log.status()).toMatchObject({ writable: true, backlogRecords: 1 })
    clickhouse.isDown = false
    await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
    expect(clickhouse.asked).toEqual(new Set([`sluice.payloads(${PAYLOAD_NAMES.join()})`]))
    expect(clickhouse.tokens).toEqual([expect.stringMatching(/:1:payloads$/)])
    expect(await rowsIn(dir)).toEqual([])
  })
})

describe('what is not written', () => {
  it('a disk that takes no more breaks the tapes, and no more begin', async () => {
    const dir = await tempDir()
    const faults: Faults = {}
    const log = await open(dir, { files: faulty(await filesIn(dir), faults) })
    const tape = log.open(bodyOf(1))
    faults.write = () => {
      throw systemError('ENOSPC')
    }
    await tape.push(bytes('hello'))
    await expect(tape.end()).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(() => log.open(bodyOf(2))).toThrow('the log of bodies takes no more')
  })

  it('a journal that is full lets what has begun go on to its bound, and nothing begin', async () => {
    const dir = await tempDir()
    const log = await open(dir, { limits: { maxBytes: 1_000_000, segmentBytes: 100_000 } })
    const tape = log.open(bodyOf(1))
    for (let i = 0; i < 4; i++) await tape.push(randomBytes(230_000))
    const late = log.open(bodyOf(2))
    await late.push(bytes('x'))
    await tape.end()
    expect(() => log.open(bodyOf(3))).toThrow('takes no more')
    const more = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) await late.push(randomBytes(230_000))
    }
    await expect(more()).rejects.toMatchObject({ code: 'audit-unavailable' })
  })

  it('another process may not have the folder', async () => {
    const dir = await tempDir()
    await open(dir)
    await expect(open(dir)).rejects.toMatchObject({ code: 'audit-unavailable' })
  })
})

describe('many bytes', () => {
  it('200 MB of one answer, and many answers at once, take little memory: who pushes waits', async () => {
    const dir = await tempDir()
    const clickhouse = new FakeClickHouse()
    const log = await open(dir, { clickhouse })
    const chunk = randomBytes(65_536)
    const before = process.memoryUsage().rss
    let most = before
    const watching = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5)
    const one = async (n: number, megabytes: number): Promise<number> => {
      const tape = log.open(bodyOf(n))
      for (let i = 0; i < megabytes * 16; i++) await tape.push(chunk)
      return (await tape.end()).kept
    }
    const kept = [await one(1, 200), ...(await Promise.all(Array.from({ length: 100 }, (_, i) => one(i + 2, 1))))]
    clearInterval(watching)
    expect(kept).toEqual([200 * 1_048_576, ...Array.from({ length: 100 }, () => 1_048_576)])
    // Segments on their way to ClickHouse are in it, too.
    expect((most - before) / 1_048_576).toBeLessThan(250)
    await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0), 20_000)
  }, 60_000)

  it('bytes that wait for the disk have a bound, and whoever asked first goes first', async () => {
    const room = new Room(10)
    const order: number[] = []
    const take = (n: number, size: number): Promise<void> => room.take(size).then(() => void order.push(n))
    await take(1, 8)
    const waiting = [take(2, 5), take(3, 1), take(4, 20)]
    await Promise.resolve()
    expect(order).toEqual([1])
    room.give(8)
    await Promise.all(waiting.slice(0, 2))
    expect(order).toEqual([1, 2, 3])
    room.give(5)
    room.give(1)
    await waiting[2]
    expect(order).toEqual([1, 2, 3, 4])
  })
})
