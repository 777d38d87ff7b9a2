import { appendFile, copyFile, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { filesIn } from '../../../src/audit/files.node.ts'
import { Journal, JOURNAL_LIMITS, type JournalLimits } from '../../../src/audit/journal.node.ts'
import { SCHEMA_VERSION } from '../../../src/audit/record.ts'
import { encodeFrames, encodeHeader, HEADER_BYTES, RECORDS } from '../../../src/audit/segment.node.ts'
import { clock, faulty, ids, quiet, systemError, tempDir, type Faults } from './stage.ts'

interface Written {
  readonly text: string
  readonly segment: number
  readonly seq: number
}

async function openJournal(dir: string, limits: Partial<JournalLimits> = {}, faults: Faults = {}): Promise<Journal> {
  const files = faulty(await filesIn(dir), faults)
  const all = { ...JOURNAL_LIMITS, sealAfterMs: 60_000, probeMs: 5, maxProbeMs: 20, ...limits }
  return Journal.open({ files, kind: RECORDS, newEpoch: ids(), clock, log: quiet, limits: all })
}

/** A row is any bytes; these tests write texts of one length. */
const row = (n: number): Uint8Array => Buffer.from(`row-${String(n).padStart(6, '0')}`)
const ROW = 10
const FRAME = ROW + 16 + 8

async function sealedRows(journal: Journal): Promise<readonly Written[]> {
  const all: Written[] = []
  for (let sealed = journal.next(0); sealed !== undefined; sealed = journal.next(0)) {
    const bytes = Buffer.concat((await journal.read(sealed))!)
    for (let at = 0; at < bytes.length; at += ROW + 16) {
      all.push({
        text: bytes.toString('utf8', at, at + ROW),
        segment: Number(bytes.readBigUInt64LE(at + ROW)),
        seq: Number(bytes.readBigUInt64LE(at + ROW + 8)),
      })
    }
    await journal.delivered(sealed)
  }
  return all
}

/** Opens the folder anew and reads what it holds. */
async function recovered(dir: string): Promise<readonly Written[]> {
  const journal = await openJournal(dir)
  const rows = await sealedRows(journal)
  await journal.close()
  return rows
}

const textsOf = (rows: readonly Written[]): readonly string[] => rows.map(({ text }) => text)
const numbered = (count: number, from = 1): readonly string[] =>
  Array.from({ length: count }, (_, i) => `row-${String(from + i).padStart(6, '0')}`)

describe('what was acknowledged is there', () => {
  test('after closing and opening again, in order and numbered without a gap', async () => {
    const dir = await tempDir()
    const journal = await openJournal(dir)
    await Promise.all(Array.from({ length: 50 }, (_, n) => journal.append(row(n + 1), false)))
    await journal.close()
    const again = await openJournal(dir)
    await again.append(row(51), false)
    expect(again.status()).toEqual({
      writable: true,
      tight: false,
      backlogRecords: 51,
      backlogBytes: 51 * FRAME,
      damaged: 0,
    })
    await again.close()
    const rows = await recovered(dir)
    expect(textsOf(rows)).toEqual(numbered(51))
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 51 }, (_, i) => i + 1))
    expect(new Set(rows.map(({ segment }) => segment)).size).toBe(2)
  })

  test('those that wait together share one sync', async () => {
    let syncs = 0
    const journal = await openJournal(await tempDir(), {}, { sync: () => void syncs++ })
    const before = syncs
    await Promise.all(Array.from({ length: 200 }, (_, n) => journal.append(row(n), false)))
    expect(syncs - before).toBe(1)
    await journal.close()
  })

  test('nothing resolves before the sync does', async () => {
    const gate = Promise.withResolvers<void>()
    const faults: Faults = {}
    const journal = await openJournal(await tempDir(), {}, faults)
    const syncing = Promise.withResolvers<void>()
    faults.sync = () => (syncing.resolve(), gate.promise)
    const resolved = vi.fn()
    const appended = journal.append(row(1), false).then(resolved)
    await syncing.promise
    expect(resolved).not.toHaveBeenCalled()
    gate.resolve()
    await appended
    expect(resolved).toHaveBeenCalledOnce()
    await journal.close()
  })

  test('a segment is sealed once its first record is old enough', async () => {
    const journal = await openJournal(await tempDir(), { sealAfterMs: 1 })
    const sealed = new Promise<void>((resolve) => (journal.onSealed = resolve))
    await journal.append(row(1), false)
    await sealed
    expect(textsOf(await sealedRows(journal))).toEqual(numbered(1))
    await journal.close()
  })

  test('segments are sealed by size, and removed once delivered', async () => {
    const dir = await tempDir()
    const journal = await openJournal(dir, { segmentBytes: HEADER_BYTES + 3 * FRAME, batchBytes: FRAME })
    await Promise.all(Array.from({ length: 7 }, (_, n) => journal.append(row(n + 1), false)))
    await journal.seal()
    const rows = await sealedRows(journal)
    expect(rows.map(({ segment }) => segment)).toEqual([1, 1, 1, 2, 2, 2, 3])
    expect(textsOf(rows)).toEqual(numbered(7))
    expect(await readdir(dir)).toEqual(['seg-000000000004'])
    expect(journal.status().backlogRecords).toBe(0)
    await journal.close()
    // The numbers go on, though every file that had them is gone.
    const again = await openJournal(dir)
    await again.append(row(8), false)
    await again.seal()
    expect(await sealedRows(again)).toEqual([{ text: 'row-000008', segment: 4, seq: 8 }])
    await again.close()
  })
})

describe('a torn tail', () => {
  test('is cut at every byte at which a write can end, and what came before stays', async () => {
    const dir = await tempDir()
    const journal = await openJournal(dir)
    for (let n = 1; n <= 3; n++) await journal.append(row(n), false)
    const file = join(dir, 'seg-000000000001')
    const whole = (await readFile(file)).length
    expect(whole).toBe(HEADER_BYTES + 3 * FRAME)
    for (let end = HEADER_BYTES; end <= whole; end++) {
      const copy = join(dir, `cut-${end}`)
      await mkdir(copy)
      await copyFile(file, join(copy, 'seg-000000000001'))
      await truncate(join(copy, 'seg-000000000001'), end)
      const kept = Math.floor((end - HEADER_BYTES) / FRAME)
      const again = await openJournal(copy)
      await again.append(row(kept + 1), false)
      await again.seal()
      const rows = await sealedRows(again)
      await again.close()
      expect(textsOf(rows)).toEqual(numbered(kept + 1))
      expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: kept + 1 }, (_, i) => i + 1))
    }
    await journal.close()
  }, 120_000)

  test('of zeros, or with a flipped bit, is cut too', async () => {
    for (const harm of ['zeros', 'flip'] as const) {
      const dir = await tempDir()
      const journal = await openJournal(dir)
      await journal.append(row(1), false)
      await journal.append(row(2), false)
      const file = join(dir, 'seg-000000000001')
      const copy = join(dir, 'copy')
      await mkdir(copy)
      const bytes = await readFile(file)
      if (harm === 'flip') bytes[bytes.length - 20]! ^= 1
      await writeFile(join(copy, 'seg-000000000001'), bytes)
      if (harm === 'zeros') await appendFile(join(copy, 'seg-000000000001'), Buffer.alloc(500))
      expect(textsOf(await recovered(copy))).toEqual(numbered(harm === 'flip' ? 1 : 2))
      await journal.close()
    }
  })

  test('longer than any write is kept as evidence, and said', async () => {
    const dir = await tempDir()
    const journal = await openJournal(dir)
    await journal.append(row(1), false)
    await journal.close()
    // The last file is empty; the damage is in it.
    await appendFile(join(dir, 'seg-000000000002'), Buffer.alloc(3000, 7))
    const again = await openJournal(dir, { batchBytes: 1000, recordBytes: 1000 })
    expect(again.status().damaged).toBe(1)
    expect(await readdir(dir)).toContain('seg-000000000002.damaged')
    await again.close()
  })

  test('a file without a sound header, or a missing one, is not opened over', async () => {
    const dir = await tempDir()
    const journal = await openJournal(dir)
    for (let n = 1; n <= 3; n++) {
      await journal.append(row(n), false)
      await journal.seal()
    }
    await journal.close()
    const bytes = await readFile(join(dir, 'seg-000000000002'))
    bytes[20]! ^= 1
    await writeFile(join(dir, 'seg-000000000002'), bytes)
    await expect(openJournal(dir)).rejects.toMatchObject({
      code: 'audit-unavailable',
      message: 'the journal file `seg-000000000002` is damaged or missing',
    })
  })
})

describe('a journal that an older gateway began', () => {
  const epoch = '01920000-0000-7000-8000-000000000001'
  /** Two files of another schema, the first sealed with two rows, the second with as many as are given. */
  async function left(schema: number, last: readonly Uint8Array[]): Promise<string> {
    const dir = await tempDir()
    const frames = encodeFrames([row(1), row(2)], 1, 1)
    const first = { segment: 1, schema, firstSeq: 1, previousLength: 0, epoch }
    const second = { segment: 2, schema, firstSeq: 3, previousLength: HEADER_BYTES + frames.length, epoch }
    await writeFile(join(dir, 'seg-000000000001'), Buffer.concat([encodeHeader(first, RECORDS), frames]))
    await writeFile(
      join(dir, 'seg-000000000002'),
      Buffer.concat([encodeHeader(second, RECORDS), encodeFrames(last, 2, 3)]),
    )
    return dir
  }
  async function schemas(dir: string): Promise<readonly string[]> {
    const journal = await openJournal(dir)
    await journal.append(row(9), false)
    await journal.seal()
    const found: string[] = []
    for (let sealed = journal.next(0); sealed !== undefined; sealed = journal.next(0)) {
      found.push(`${sealed.segment}: ${sealed.records} of schema ${sealed.schema}`)
      expect(Buffer.concat((await journal.read(sealed))!)).toHaveLength(sealed.records * (ROW + 16))
      await journal.delivered(sealed)
    }
    await journal.close()
    return found
  }

  test('keeps its rows as the columns there were; what comes now is of the newest', async () => {
    expect(SCHEMA_VERSION).toBe(4)
    expect(await schemas(await left(1, [row(3)]))).toEqual(['1: 2 of schema 1', '2: 1 of schema 1', '3: 1 of schema 4'])
  })

  test('begins its last file anew where nothing is in it', async () => {
    expect(await schemas(await left(1, []))).toEqual(['1: 2 of schema 1', '2: 1 of schema 4'])
  })

  test('of a newer one is not opened over', async () => {
    for (const schema of [0, SCHEMA_VERSION + 1, 9]) {
      await expect(openJournal(await left(schema, []))).rejects.toMatchObject({ code: 'audit-unavailable' })
    }
  })
})

describe('a disk that fails', () => {
  const failures: readonly { name: string; faults: (faults: Faults) => void }[] = [
    {
      name: 'EIO at a sync',
      faults: (it) =>
        (it.sync = () => {
          throw systemError('EIO')
        }),
    },
    {
      name: 'ENOSPC at a write',
      faults: (it) =>
        (it.write = () => {
          throw systemError('ENOSPC')
        }),
    },
    { name: 'a write that takes nothing', faults: (it) => (it.write = () => 0) },
  ]
  test.each(failures)(
    '$name: everything rejects until a new file was synced, then goes on without a gap',
    async ({ faults: set }) => {
      const dir = await tempDir()
      const faults: Faults = {}
      const journal = await openJournal(dir, {}, faults)
      await journal.append(row(1), false)
      set(faults)
      const lost = await Promise.allSettled([journal.append(row(901), false), journal.append(row(902), false)])
      expect(lost.map((it) => it.status === 'rejected' && it.reason.code)).toEqual([
        'audit-unavailable',
        'audit-unavailable',
      ])
      await expect(journal.append(row(903), true)).rejects.toMatchObject({ code: 'audit-unavailable' })
      expect(journal.status().writable).toBe(false)
      faults.sync = faults.write = undefined
      await vi.waitFor(() => expect(journal.status().writable).toBe(true))
      await journal.append(row(2), false)
      await journal.close()
      const rows = await recovered(dir)
      expect(textsOf(rows)).toEqual(numbered(2))
      expect(rows.map(({ segment, seq }) => [segment, seq])).toEqual([
        [1, 1],
        [2, 2],
      ])
    },
  )

  test('after a failed sync the file is not believed, even if it can be read', async () => {
    const dir = await tempDir()
    const faults: Faults = {}
    const journal = await openJournal(dir, {}, faults)
    await journal.append(row(1), false)
    faults.sync = () => {
      throw systemError('EIO')
    }
    await expect(journal.append(row(901), false)).rejects.toMatchObject({ code: 'audit-unavailable' })
    faults.sync = undefined
    await vi.waitFor(() => expect(journal.status().writable).toBe(true))
    // The whole frame is there to be read; the next file's header says that it does not count.
    expect((await readFile(join(dir, 'seg-000000000001'))).length).toBe(HEADER_BYTES + 2 * FRAME)
    expect(textsOf(await sealedRows(journal))).toEqual(numbered(1))
    await journal.close()
  })

  test('a write that takes a part is continued', async () => {
    const dir = await tempDir()
    const journal = await openJournal(dir, {}, { write: (bytes) => Math.max(1, bytes.length >> 1) })
    await journal.append(row(1), false)
    await journal.append(row(2), false)
    await journal.close()
    expect(textsOf(await recovered(dir))).toEqual(numbered(2))
  })

  test('a sync that never ends is given up, and nothing is written until it has ended', async () => {
    const dir = await tempDir()
    const faults: Faults = {}
    const journal = await openJournal(dir, { ioTimeoutMs: 30 }, faults)
    const stuck = Promise.withResolvers<void>()
    faults.sync = () => stuck.promise
    await expect(journal.append(row(901), false)).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(journal.status().writable).toBe(false)
    faults.sync = undefined
    stuck.resolve()
    await vi.waitFor(() => expect(journal.status().writable).toBe(true))
    await journal.append(row(1), false)
    await journal.close()
    expect(textsOf(await recovered(dir))).toEqual(numbered(1))
  })

  test('a folder that cannot be synced seals nothing, and loses nothing', async () => {
    const dir = await tempDir()
    const faults: Faults = {}
    const journal = await openJournal(dir, {}, faults)
    await journal.append(row(1), false)
    faults.syncFolder = () => {
      throw systemError('EIO')
    }
    await journal.seal()
    expect(journal.next(0)).toBeUndefined()
    faults.syncFolder = undefined
    await vi.waitFor(() => expect(journal.status().writable).toBe(true))
    await journal.append(row(2), false)
    await journal.close()
    expect(textsOf(await recovered(dir))).toEqual(numbered(2))
  })

  test('that fails while it opens does not open', async () => {
    const dir = await tempDir()
    const faults: Faults = {
      sync: () => {
        throw systemError('EIO')
      },
    }
    await expect(openJournal(dir, {}, faults)).rejects.toMatchObject({
      code: 'audit-unavailable',
      message: 'the audit journal cannot be opened',
    })
  })
})

describe('bounds', () => {
  test('a full disk refuses beginnings first, then all, and takes them again once ClickHouse has some', async () => {
    const diskBytes = 2 * HEADER_BYTES + 20 * FRAME
    const journal = await openJournal(await tempDir(), { diskBytes })
    onTestFinished(() => journal.close())
    const begin = async (n: number): Promise<number> => {
      await journal.append(row(n), false)
      return begin(n + 1)
    }
    await expect(begin(1)).rejects.toMatchObject({
      code: 'audit-unavailable',
      message: 'the audit journal is full: its records wait for ClickHouse',
    })
    await journal.append(row(100), true)
    const finish = async (n: number): Promise<number> => {
      await journal.append(row(n), true)
      return finish(n + 1)
    }
    await expect(finish(101)).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(journal.status().writable).toBe(false)
    await journal.seal()
    await journal.delivered(journal.next(0)!)
    expect(journal.status().writable).toBe(true)
    await journal.append(row(200), false)
  })

  test('a queue that is full rejects at once', async () => {
    const gate = Promise.withResolvers<void>()
    const faults: Faults = {}
    const journal = await openJournal(await tempDir(), { queueRecords: 10 }, faults)
    faults.sync = () => gate.promise
    const accepted = Array.from({ length: 9 }, (_, n) => journal.append(row(n), false))
    await expect(journal.append(row(99), false)).rejects.toMatchObject({
      code: 'audit-unavailable',
      message: 'the audit journal is behind',
    })
    gate.resolve()
    await Promise.all(accepted)
    await journal.close()
  })

  test('a record that is too large is refused, and the next is not', async () => {
    const journal = await openJournal(await tempDir(), { recordBytes: 100 })
    await expect(journal.append(new Uint8Array(200), false)).rejects.toMatchObject({
      message: 'the record is too large for the audit journal',
    })
    await journal.append(row(1), false)
    await journal.close()
    await expect(journal.append(row(2), false)).rejects.toMatchObject({ message: 'the audit journal is closed' })
  })
})
