/** The tree's file and what can happen to it: crashes, full disks, loss, other journals' files, hands that change it. */
import { copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { filesIn } from '../../../../src/audit/files.node.ts'
import { problemOf } from '../../../../src/audit/problem.ts'
import { Failure } from '../../../../src/failure.ts'
import { faulty, systemError, tempDir, type Faults } from '../stage.ts'
import { chainIn, changed, extendBy, Kept, rootOver, segmentOf, segments, signedHead } from './stage.ts'

/** What a head says that is signed now. */
async function headOf(dir: string, more: Parameters<typeof chainIn>[1] = {}) {
  const kept = new Kept()
  const chain = await chainIn(dir, { sinks: [kept], ...more })
  chain.start()
  await chain.close(1000)
  return signedHead(kept.last!.note)
}

/** A folder in which a chain has this many segments; nothing was signed. */
async function grown(size: number): Promise<string> {
  const dir = await tempDir()
  const chain = await chainIn(dir)
  await extendBy(chain, segments(1, size))
  await chain.close(100)
  return dir
}

async function refused(work: Promise<unknown>, message: string): Promise<void> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  expect(error).toBeInstanceOf(Failure)
  expect(error).toMatchObject({ code: 'audit-unavailable', message: expect.stringContaining(message) })
  if (!message.includes('`checkpoint`')) expect(problemOf(error)).toBe('TREE_REFUSED')
}

test('a tree that is opened again goes on where it was, and its root is that of the definition', async () => {
  const dir = await tempDir()
  for (let n = 1; n <= 20; n++) {
    const chain = await chainIn(dir)
    expect(chain.reached()).toBe(n - 1)
    await extendBy(chain, [segmentOf(n)])
    await chain.close(100)
  }
  expect(await headOf(dir)).toEqual({ size: 20, root: rootOver(segments(1, 20)) })
})

describe('a write that a crash cut short', () => {
  const BEFORE = 7
  // The eighth entry completes three subtrees: its write is four hashes.
  const WHOLE = 4 * 32

  test('is written again, wherever it was cut', async () => {
    const dir = await grown(BEFORE + 1)
    const path = join(dir, 'tree')
    const { length } = await readFile(path)
    for (let lost = 0; lost <= WHOLE; lost += 4) {
      await truncate(path, length - lost)
      const chain = await chainIn(dir)
      expect(chain.reached()).toBe(lost === 0 ? BEFORE + 1 : BEFORE)
      await extendBy(chain, segments(chain.reached() + 1, BEFORE + 1))
      await chain.close(100)
      expect(await headOf(dir)).toEqual({ size: BEFORE + 1, root: rootOver(segments(1, BEFORE + 1)) })
      await rm(join(dir, 'checkpoint'))
    }
  })

  test('is written again where the file has its length but not its bytes', async () => {
    for (let kept = 0; kept < WHOLE; kept += 16) {
      const dir = await grown(BEFORE + 1)
      const path = join(dir, 'tree')
      const bytes = await readFile(path)
      await writeFile(path, bytes.fill(0, bytes.length - WHOLE + kept))
      const chain = await chainIn(dir)
      expect(chain.reached()).toBe(BEFORE)
      await extendBy(chain, segments(BEFORE + 1, 12))
      await chain.close(100)
      expect(await headOf(dir)).toEqual({ size: 12, root: rootOver(segments(1, 12)) })
    }
  })
})

test('killed after the tree was written and before anyone knew: the segment is in it once', async () => {
  const dir = await grown(5)
  const again = await chainIn(dir, { extended: 4 })
  await extendBy(again, segments(4, 6))
  await again.close(100)
  expect(await headOf(dir)).toEqual({ size: 6, root: rootOver(segments(1, 6)) })
})

test('a disk that fails: what was not written is not in the tree, is not signed, and is added once it can be', async () => {
  const dir = await tempDir()
  const faults: Faults = {}
  const reopened = faultyReopen(await filesIn(dir), faults)
  const kept = new Kept()
  const chain = await chainIn(dir, { files: reopened, sinks: [kept] })
  await extendBy(chain, segments(1, 3))
  for (const fault of [
    { write: () => fail('ENOSPC') },
    { sync: () => fail('EIO') },
    { write: (bytes: Uint8Array) => Math.min(40, bytes.length), sync: () => fail('EIO') },
  ]) {
    Object.assign(faults, { write: undefined, sync: undefined }, fault)
    await expect(extendBy(chain, [segmentOf(4)])).rejects.toThrow()
    expect(chain.status().size).toBe(3)
  }
  Object.assign(faults, { write: undefined, sync: undefined })
  await extendBy(chain, segments(4, 5))
  chain.start()
  await chain.close(1000)
  expect(await signedHead(kept.last!.note)).toEqual({ size: 5, root: rootOver(segments(1, 5)) })
  expect(await headOf(dir)).toEqual({ size: 5, root: rootOver(segments(1, 5)) })
})

describe('a journal from before there was a tree', () => {
  test('has its tree begin at its oldest segment, and the head says so', async () => {
    const dir = await tempDir()
    const kept = new Kept()
    const chain = await chainIn(dir, { oldest: 41, sinks: [kept] })
    await extendBy(chain, segments(41, 43))
    chain.start()
    await chain.close(1000)
    expect(await signedHead(kept.last!.note)).toEqual({ size: 3, root: rootOver(segments(41, 43)) })
    expect(kept.last!.note).toContain('\nfirst 41\n')
  })
})

describe('a tree that lost what it had', () => {
  test('grows again from segments that the journal still has, and is signed once it is what was signed', async () => {
    const dir = await grown(9)
    const before = await headOf(dir)
    await truncate(join(dir, 'tree'), 64 + 32 * 5)
    const kept = new Kept()
    const chain = await chainIn(dir, { extended: 9, sinks: [kept] })
    expect(chain.reached()).toBe(3)
    chain.start()
    await extendBy(chain, segments(4, 8))
    // Eight were signed never, nine were: a smaller head would look like a log that was taken back.
    expect(kept.checkpoints).toEqual([])
    await extendBy(chain, [segmentOf(9)])
    await chain.close(1000)
    expect(await signedHead(kept.last!.note)).toEqual(before)
  })

  test('is refused for good where what grows again is not what was signed', async () => {
    const dir = await grown(9)
    await headOf(dir)
    await truncate(join(dir, 'tree'), 64 + 32 * 5)
    const kept = new Kept()
    const chain = await chainIn(dir, { extended: 9, sinks: [kept] })
    chain.start()
    await extendBy(chain, [...segments(4, 7), changed(segmentOf(8))])
    await refused(extendBy(chain, [segmentOf(9)]), 'not the one that was signed at 9 segments')
    await refused(extendBy(chain, [segmentOf(9)]), 'not the one that was signed at 9 segments')
    await refused(extendBy(chain, [segmentOf(10)]), 'not the one that was signed at 9 segments')
    await chain.close(100)
    expect(kept.checkpoints).toEqual([])
  })

  test('is refused where the journal does not have it any more', async () => {
    const dir = await grown(9)
    await truncate(join(dir, 'tree'), 64 + 32 * 5)
    await refused(chainIn(dir, { oldest: 7, extended: 9 }), 'ends before segment 4, which is gone')
  })

  test('is refused where all of it is gone, and grows again where the journal has all of it', async () => {
    const dir = await grown(3)
    await rm(join(dir, 'tree'))
    await refused(chainIn(dir, { oldest: 4, extended: 3 }), 'the file `tree` of the audit journal is gone')
    const chain = await chainIn(dir, { oldest: 1, extended: 3 })
    await extendBy(chain, segments(1, 3))
    await chain.close(100)
    expect(await headOf(dir)).toEqual({ size: 3, root: rootOver(segments(1, 3)) })
  })
})

describe('a tree that somebody changed', () => {
  test.each([
    // An entry alone has nothing that it could be checked against, until the tree is as large as it was.
    ['with one byte of its first entry changed', 64, 'refused'],
    ['with one byte of a later entry changed', 64 + 32, 'grows'],
    ['with one byte of a subtree changed', 64 + 32 * 2, 'grows'],
    ['with one byte of the last entry changed', 64 + 32 * 17, 'grows'],
  ])('%s never leads to another head', async (_, at, outcome) => {
    const dir = await grown(10)
    const before = await headOf(dir)
    const path = join(dir, 'tree')
    const bytes = await readFile(path)
    bytes[at]! ^= 1
    await writeFile(path, bytes)
    const chain = await chainIn(dir, { extended: 10 })
    const growing = extendBy(chain, segments(chain.reached() + 1, 10))
    if (outcome === 'refused') return refused(growing, 'not the one that was signed at 10 segments')
    await growing
    await chain.close(100)
    expect(await headOf(dir)).toEqual(before)
  })

  test('beyond what the journal still has is refused at once', async () => {
    const dir = await grown(200)
    await headOf(dir)
    const path = join(dir, 'tree')
    const bytes = await readFile(path)
    // The root of the first 128 entries.
    bytes[64 + 32 * 254]! ^= 1
    await writeFile(path, bytes)
    await refused(chainIn(dir, { oldest: 200, extended: 199 }), 'not the one that was signed at 200 segments')
  })

  test('by taking it back, and the journal with it, is refused: a larger one was signed', async () => {
    const dir = await grown(5)
    await copyFile(join(dir, 'tree'), join(dir, 'tree.backup'))
    const chain = await chainIn(dir)
    await extendBy(chain, segments(6, 9))
    await chain.close(100)
    await headOf(dir)
    await rename(join(dir, 'tree.backup'), join(dir, 'tree'))
    // The journal goes on with other segments than those that were signed.
    const back = await chainIn(dir, { oldest: 6, extended: 5 })
    await extendBy(back, segments(6, 8))
    await refused(extendBy(back, [changed(segmentOf(9))]), 'not the one that was signed at 9 segments')
  })

  test('for that of another journal is refused', async () => {
    const dir = await grown(3)
    await refused(chainIn(dir, { epoch: '01930000-0000-7000-8000-00000000ffff' }), 'is of another journal, or damaged')
    await truncate(join(dir, 'tree'), 20)
    await refused(chainIn(dir), 'is of another journal, or damaged')
  })

  test('and whose last head was changed with it is refused', async () => {
    const dir = await grown(3)
    await headOf(dir)
    await writeFile(join(dir, 'checkpoint'), 'nothing\n')
    await refused(chainIn(dir), 'the file `checkpoint` of the audit journal is damaged')
  })
})

describe('a segment', () => {
  test('that is not the next is refused', async () => {
    const chain = await chainIn(await tempDir())
    await extendBy(chain, segments(1, 2))
    await refused(extendBy(chain, [segmentOf(4)]), "segment 3 is missing in the audit log's tree")
    expect(chain.status().size).toBe(2)
  })

  test('that is handed again with other rows is refused; with the same, it changes nothing', async () => {
    const chain = await chainIn(await tempDir())
    await extendBy(chain, segments(1, 3))
    await extendBy(chain, [segmentOf(2)])
    await refused(extendBy(chain, [changed(segmentOf(2))]), 'segment 2 of the journal is not the one')
    expect(chain.status().size).toBe(3)
  })

  test('that cannot be read any more is in the tree as that; one that was in it before stays what it was', async () => {
    const dir = await tempDir()
    const chain = await chainIn(dir)
    await extendBy(chain, segments(1, 2))
    await chain.extendDamaged(segmentOf(2).sealed)
    await chain.extendDamaged(segmentOf(3).sealed)
    await extendBy(chain, [segmentOf(4)])
    await chain.close(100)
    expect(await headOf(dir)).toEqual({ size: 4, root: rootOver(segments(1, 4), [3]) })
  })

  test('of no records, and one of many, are entries like any other', async () => {
    const dir = await tempDir()
    const chain = await chainIn(dir)
    const parts = [segmentOf(1, 0), { ...segmentOf(2, 1500) }, segmentOf(3, 0)]
    await extendBy(chain, parts)
    await chain.close(100)
    expect(await headOf(dir)).toEqual({ size: 3, root: rootOver(parts) })
  })
})

/** Faults of files that are opened again too. */
function faultyReopen(files: Awaited<ReturnType<typeof filesIn>>, faults: Faults) {
  return {
    ...files,
    reopen: async (name: string) =>
      faulty({ ...files, create: () => files.reopen(name) }, { ...faults, ...live(faults) }).create(name),
  }
}

/** Read at each call, not when the file is opened. */
function live(faults: Faults): Faults {
  return { write: (bytes) => faults.write?.(bytes) ?? bytes.length, sync: () => faults.sync?.() }
}

function fail(code: string): never {
  throw systemError(code)
}
