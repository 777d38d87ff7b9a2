/** The embedded store: its contract, and what only several processes, crashes and broken disks show. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, test } from 'vitest'
import type { Store } from '../../../src/hold/contract.ts'
import { openSqliteStore } from '../../../src/hold/sqlite.node.ts'
import { MIGRATIONS } from '../../../src/hold/schema.ts'
import { storeContract } from './contract.ts'
import { HandClock, heldExchange } from './exchanges.ts'

const folders: string[] = []
function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-store-'))
  folders.push(folder)
  return join(folder, 'state.db')
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

const realClock = { now: () => Date.now(), monotonic: () => performance.now() }
const open = (path: string): Promise<Store> => openSqliteStore({ path, clock: realClock, writer: 'test' })
const later = (): number => Date.now() + 3_600_000

storeContract('node:sqlite', (clock) => openSqliteStore({ path: newPath(), clock, writer: 'test' }))

describe('several processes on one file', () => {
  test('fifty holds, each decided by three racing processes at once: one is heard each time', async () => {
    const path = newPath()
    const store = await open(path)
    const ids = Array.from({ length: 50 }, (_, i) => `h${i}`)
    for (const id of ids) await store.openHold(heldExchange(id, later()))
    const racers = ['a', 'b', 'c'].map((name) => new Worker(path, name, 'race'))
    await Promise.all(racers.map((racer) => racer.until((lines) => lines.includes('ready'))))
    for (const racer of racers) racer.process.stdin.write(`${ids.join('\n')}\n`)
    await Promise.all(racers.map((racer) => racer.until((lines) => lines.length === 51)))
    const moved = racers.flatMap((racer) => racer.lines.filter((line) => line.startsWith('moved')))
    expect(moved.toSorted()).toEqual(ids.map((id) => `moved ${id}`).toSorted())
    for (const entry of await store.holds({ limit: 100 })) {
      expect([entry.state, entry.decisions.length]).toEqual(['approved', 1])
    }
    await Promise.all(racers.map((racer) => racer.kill()))
    await store.close()
  })

  test('a wait ends when another process decides', async () => {
    const path = newPath()
    const store = await open(path)
    await store.openHold(heldExchange('h1', later()))
    const wait = store.waitHold('h1', 'pending', 60_000, new AbortController().signal)
    const other = new Worker(path, 'other', 'race')
    other.process.stdin.write('h1\n')
    expect(await wait).toMatchObject({ state: 'approved', decisions: [{ by: { subject: 'other' } }] })
    await other.kill()
    await store.close()
  })

  test('killed in the middle of writing, they lose nothing that was acknowledged', async () => {
    const path = newPath()
    const writers = ['a', 'b', 'c'].map((name) => new Worker(path, name, 'write'))
    await Promise.all(writers.map((writer) => writer.until((lines) => lines.length > 100)))
    await Promise.all(writers.map((writer) => writer.kill()))
    const acknowledged = writers.flatMap((writer) => writer.lines.filter((line) => line.startsWith('opened ')))
    const store = await open(path)
    for (const line of acknowledged) {
      const id = line.slice('opened '.length)
      expect((await store.hold(id))?.id).toBe(id)
    }
    await store.close()
    const database = new DatabaseSync(path)
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    database.close()
  })
})

describe('budgets of one file', () => {
  const reservation = (job: string, amount: number) => ({
    owner: { issuer: 'sandbox', subject: 'agent' },
    connection: 'warehouse',
    job,
    reader: job,
    day: '2026-01-02',
    amounts: { rows: amount },
    limits: { rows: 1_000 },
    keepUntil: later(),
  })

  test('two gateways that race on it grant together what fits', async () => {
    const path = newPath()
    const stores = [await open(path), await open(path)]
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => stores[i % 2]!.reserve(reservation(`e${i}`, 30))),
    )
    expect(answers.filter(({ granted }) => granted)).toHaveLength(33)
    await Promise.all(stores.map((store) => store.close()))
  })

  test('three processes that race on it grant together what fits', async () => {
    const path = newPath()
    const store = await open(path)
    const racers = ['a', 'b', 'c'].map((name) => new Worker(path, name, 'spend'))
    await Promise.all(racers.map((racer) => racer.until((lines) => lines.includes('ready'))))
    for (const racer of racers) racer.process.stdin.write(`${JSON.stringify(reservation('', 7))}\n`.repeat(60))
    await Promise.all(racers.map((racer) => racer.until((lines) => lines.length === 61)))
    const granted = racers.flatMap((racer) => racer.lines.filter((line) => line === 'granted true'))
    expect(granted).toHaveLength(142)
    await Promise.all(racers.map((racer) => racer.kill()))
    expect(await store.reserve(reservation('rest', 7))).toMatchObject({ granted: false, used: 994 })
    await store.close()
  })

  test('what a killed gateway had set aside stands', async () => {
    const path = newPath()
    const killed = new Worker(path, 'killed', 'spend')
    killed.process.stdin.write(`${JSON.stringify(reservation('', 600))}\n`)
    await killed.until((lines) => lines.includes('granted true'))
    await killed.kill()
    const store = await open(path)
    expect(await store.reserve(reservation('next', 500))).toMatchObject({ granted: false, used: 600 })
    await store.close()
  })

  test.each([`account = '{}'`, `account = 'no json'`, `account = json_set(account, '$.charged.rows', -5)`])(
    'a reservation with damage (%s) is refused',
    async (damage) => {
      const path = newPath()
      const store = await open(path)
      await store.reserve(reservation('e1', 10))
      spoil(path, `UPDATE reservations SET ${damage}`)
      const damaged = { code: 'store-unavailable', message: 'a stored reservation is damaged' }
      await expect(store.reserve(reservation('e1', 10))).rejects.toMatchObject(damaged)
      await expect(store.settle({ job: 'e1', reader: 'e1', spent: {}, whole: true })).rejects.toMatchObject(damaged)
      await store.close()
    },
  )

  test('a counter that is no number grants nothing', async () => {
    const path = newPath()
    const store = await open(path)
    await store.reserve(reservation('e1', 10))
    spoil(path, `UPDATE budgets SET used = 'much'`)
    expect(await store.reserve(reservation('e2', 10))).toMatchObject({ granted: false })
    await store.close()
  })
})

describe('what breaks', () => {
  test('a disk that is full: what does not fit is refused, and what was acknowledged is there', async () => {
    const path = newPath()
    // No file may grow beyond 600 KiB: the write fails as it does on a full disk.
    const filler = new Worker(path, 'filler', 'fill', 600)
    await filler.ended
    const opened = filler.lines.filter((line) => line.startsWith('opened '))
    expect(opened.length).toBeGreaterThan(10)
    expect(filler.lines.at(-1)).toBe('refused store-unavailable')
    const store = await open(path)
    const kept = (await store.holds({ limit: 1_000 })).map(({ id }) => `opened ${id}`)
    expect(kept.toSorted()).toEqual(opened.toSorted())
    await store.close()
  })

  test('changes of one transaction that fails have one fate', async () => {
    const path = newPath()
    const store = await open(path)
    await store.openHold(heldExchange('before', later()))
    spoil(path, `CREATE TRIGGER breaks BEFORE INSERT ON holds BEGIN SELECT RAISE(ROLLBACK, 'it broke'); END`)
    const decision = {
      by: { issuer: 'sandbox', subject: 'owner' },
      groups: [],
      effect: 'approve' as const,
      comment: '',
      at: 0,
    }
    const refused = await Promise.allSettled([
      store.decideHold('before', decision, () => 'approved'),
      store.openHold(heldExchange('h1', later())),
    ])
    const refusal = expect.objectContaining({
      status: 'rejected',
      reason: expect.objectContaining({ code: 'store-unavailable' }),
    })
    expect(refused).toEqual([refusal, refusal])
    expect((await store.hold('before'))?.state).toBe('pending')
    spoil(path, 'DROP TRIGGER breaks')
    await store.openHold(heldExchange('h1', later()))
    await store.close()
  })

  test('a change that is refused takes nothing of its neighbours with it', async () => {
    const store = await open(newPath())
    await store.openHold(heldExchange('twice', later()))
    const settled = await Promise.allSettled(['a', 'twice', 'b'].map((id) => store.openHold(heldExchange(id, later()))))
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await store.holds({ limit: 9 })).toHaveLength(3)
    await store.close()
  })

  test('a file in a folder that is not there', async () => {
    await expect(open(join(newPath(), 'nowhere', 'state.db'))).rejects.toMatchObject({ code: 'store-unavailable' })
  })

  const damages = [
    `exchange = '{"id":"h1"}'`,
    `exchange = 'no json'`,
    `exchange = replace(exchange, '"id":"h1"', '"id":"h2"')`,
    `exchange = json_set(exchange, '$.decision.effect', 'permit')`,
    `exchange = json_remove(exchange, '$.decision.approvers')`,
    `exchange = json_set(exchange, '$.principal.admin', 1)`,
    `decisions = '[{"by":"me"}]'`,
    `outcome = '{}'`,
  ]
  test.each(damages)('an entry with damage (%s) is refused, and is never run', async (damage) => {
    const path = newPath()
    const store = await open(path)
    await store.openHold(heldExchange('h1', later()))
    spoil(path, `UPDATE holds SET state = 'approved', ${damage}`)
    const damaged = { code: 'store-unavailable', message: 'a stored hold is damaged' }
    await expect(store.hold('h1')).rejects.toMatchObject(damaged)
    await expect(store.holds({ limit: 5 })).rejects.toMatchObject(damaged)
    await expect(store.startHold('h1', Date.now(), 'w')).rejects.toMatchObject(damaged)
    expect(peek(path)).toBe('approved')
    await store.close()
  })

  test('a state that there is not is no state', async () => {
    const path = newPath()
    const store = await open(path)
    await store.openHold(heldExchange('h1', later()))
    spoil(path, `UPDATE holds SET state = 'fine'`)
    await expect(store.hold('h1')).rejects.toMatchObject({ code: 'store-unavailable' })
    await store.close()
  })

  test('a store of an earlier version is brought up to date, damage and all', async () => {
    const path = newPath()
    for (const step of MIGRATIONS.slice(0, 2)) spoil(path, step)
    spoil(path, 'PRAGMA user_version = 2')
    const json = JSON.stringify(heldExchange('h1', later())).replaceAll("'", "''")
    const row = (id: string, exchange: string) =>
      spoil(
        path,
        `INSERT INTO holds (id, state, exchange, created_at, expires_at)
                   VALUES ('${id}', 'pending', '${exchange}', 1, ${later()})`,
      )
    row('h1', json)
    row('h2', 'no json')
    const store = await open(path)
    expect(await store.hold('h1')).toMatchObject({ state: 'pending' })
    await expect(store.hold('h2')).rejects.toMatchObject({ code: 'store-unavailable' })
    await expect(store.openHold(heldExchange('h3', later()), 1)).rejects.toMatchObject({ code: 'too-many-requests' })
    await store.close()
  })

  test('a store of a newer version is left alone', async () => {
    const path = newPath()
    await (await open(path)).close()
    spoil(path, 'PRAGMA user_version = 99')
    await expect(open(path)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('newer version'),
    })
  })

  test('a folder that is not there, and a file that is no store', async () => {
    await expect(open('/nowhere/state.db')).rejects.toMatchObject({ code: 'store-unavailable' })
    await expect(open(import.meta.filename.replace(/[^/]+$/, ''))).rejects.toMatchObject({ code: 'store-unavailable' })
  })

  test('a file that another process keeps locked', async () => {
    const path = newPath()
    const store = await openSqliteStore({ path, clock: realClock, writer: 'w', busyTimeoutMs: 10 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(store.openHold(heldExchange('h1', later()))).rejects.toMatchObject({ code: 'store-unavailable' })
    other.exec('ROLLBACK')
    other.close()
    await store.openHold(heldExchange('h1', later()))
    await store.close()
  })

  test('more changes than may wait are refused, and those that were taken are kept', async () => {
    const store = await openSqliteStore({ path: newPath(), clock: new HandClock(), writer: 'w' })
    const opened = await Promise.allSettled(
      Array.from({ length: 10_005 }, () => store.ready(new AbortController().signal)),
    )
    expect(opened.filter(({ status }) => status === 'rejected')).toHaveLength(5)
    await store.close()
  })

  test('the file is for its owner only', async () => {
    const path = newPath()
    const store = await open(path)
    expect([path, `${path}-wal`].map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600])
    await store.close()
  })
})

class Worker {
  readonly lines: string[] = []
  readonly process: ChildProcessWithoutNullStreams
  #look = (): void => undefined

  readonly ended: Promise<void>

  /** `limit`: the largest file that it may write, in KiB. */
  constructor(path: string, name: string, mode: 'race' | 'write' | 'fill' | 'spend', limit?: number) {
    const script = `${limit === undefined ? '' : `ulimit -f ${limit}; `}exec "$@"`
    const command = [process.execPath, join(import.meta.dirname, 'worker.ts'), path, name, mode]
    this.process = spawn('bash', ['-c', script, 'bash', ...command])
    this.ended = new Promise((resolve) => this.process.once('close', () => resolve()))
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.lines.push(line)
      this.#look()
    })
  }

  until(condition: (lines: readonly string[]) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (condition(this.lines)) resolve()
      }
      this.#look()
    })
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.ended
  }
}

function spoil(path: string, sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

function peek(path: string): unknown {
  const database = new DatabaseSync(path)
  const row = database.prepare('SELECT state FROM holds').get()
  database.close()
  return row?.['state']
}
