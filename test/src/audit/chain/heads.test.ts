/** When heads are signed, and that whoever does not take one holds up nobody else. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Heads, type HeadsParts } from '../../../../src/audit/chain/heads.node.ts'
import { keptKey, newCheckpointKey, sha256, signerOfKey } from '../../../../src/audit/chain/keys.node.ts'
import { fileSink, lineSink } from '../../../../src/audit/chain/sinks.node.ts'
import { parseCheckpoint } from '../../../../src/audit/proof/entry.ts'
import { parseKey, parseNote, renderKey, signersOf } from '../../../../src/audit/proof/note.ts'
import type { AuditStatus } from '../../../../src/audit/contract.ts'
import { Health } from '../../../../src/health.ts'
import { Inflight } from '../../../../src/inflight.ts'
import type { LogFields } from '../../../../src/runtime.ts'
import { systemError, tempDir } from '../stage.ts'
import { EPOCH, Kept, signer, WRITER } from './stage.ts'

const START = Date.UTC(2026, 0, 5, 9, 30)

/** Heads over a tree of which only the size is told. */
function opened(more: Partial<HeadsParts> = {}) {
  const tree = { size: 0 }
  const kept = new Kept()
  const notes: string[] = []
  const logged: { message: string; fields: LogFields | undefined }[] = []
  const heads = new Heads({
    writer: WRITER,
    epoch: EPOCH,
    origin: 'sluice',
    signers: [signer],
    everyMs: 60_000,
    sinks: [kept],
    witnesses: [],
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    log: (_, message, fields) => logged.push({ message, fields }),
    head: () => ({ size: tree.size, root: sha256(Uint8Array.of(tree.size)), first: 1 }),
    read: () => sha256(),
    keep: async (note) => void notes.push(note),
    ...more,
  })
  onTestFinished(() => heads.close(100))
  return { heads, tree, kept, notes, logged }
}

const sizes = (kept: Kept): readonly (readonly [number, string])[] =>
  kept.checkpoints.map(({ size, signedAt }) => [size, new Date(signedAt).toISOString().slice(11, 23)])

describe('a head', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: START })
  })
  afterEach(() => {
    vi.useRealTimers()
  })
  const after = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

  test('is signed at the start, soon after the tree has grown, and when it has not', async () => {
    const { heads, tree, kept } = opened()
    heads.start()
    await after(1)
    await vi.waitUntil(() => kept.checkpoints.length === 1)
    tree.size = 2
    heads.grown()
    tree.size = 3
    heads.grown()
    await after(5_000)
    await vi.waitUntil(() => kept.checkpoints.length === 2)
    for (const n of [3, 4, 5]) {
      await after(60_001)
      await vi.waitUntil(() => kept.checkpoints.length === n)
    }
    expect(sizes(kept).map(([size]) => size)).toEqual([0, 3, 3, 3, 3])
    const times = kept.checkpoints.map(({ signedAt }) => signedAt)
    expect(times[1]! - times[0]!).toBeLessThan(6_000)
    for (const n of [2, 3, 4]) expect(times[n]! - times[n - 1]!).toBeGreaterThanOrEqual(60_000)
    expect(heads.signedAt).toBe(times[4])
  })

  test('has a time after the one before it, though the clock is set back', async () => {
    const { heads, kept } = opened({ lastAt: START + 30_000 })
    heads.start()
    await after(1)
    await vi.waitUntil(() => kept.checkpoints.length === 1)
    vi.setSystemTime(START - 60_000)
    await heads.close(100)
    expect(sizes(kept)).toEqual([
      [0, '09:30:30.001'],
      [0, '09:30:30.002'],
    ])
  })

  test('that could not be kept here is handed to nobody, and tried again soon', async () => {
    let refuse = true
    const { heads, kept, logged } = opened({
      keep: async () => {
        if (refuse) throw systemError('ENOSPC')
      },
    })
    heads.start()
    await after(1)
    await vi.waitUntil(() => 'signing' in heads.problems)
    expect(heads.problems).toEqual({ signing: 'ENOSPC' })
    expect([kept.checkpoints, heads.signedAt]).toEqual([[], undefined])
    expect(logged).toEqual([
      {
        message: 'a checkpoint of the audit log did not arrive',
        fields: { for: 'signing', problem: 'ENOSPC' },
      },
    ])
    refuse = false
    await after(5_001)
    await vi.waitUntil(() => kept.checkpoints.length === 1)
    expect(heads.problems).toEqual({})
  })

  test('that a sink did not take is not lost to it: it gets a newer one, sooner than is due', async () => {
    let refuse = true
    const away = new (class extends Kept {
      override async take(checkpoint: Parameters<Kept['take']>[0]): Promise<void> {
        if (refuse) throw systemError('ECONNREFUSED')
        return super.take(checkpoint)
      }
    })('away')
    const { heads, kept, logged } = opened({ sinks: [away, new Kept()], everyMs: 86_400_000 })
    heads.start()
    await after(1)
    await vi.waitUntil(() => 'away' in heads.problems)
    await after(5_001)
    refuse = false
    await after(10_001)
    await vi.waitUntil(() => away.checkpoints.length === 1)
    expect(heads.problems).toEqual({})
    expect(logged).toHaveLength(1)
    expect(kept.checkpoints).toEqual([])
  })

  test('goes to everyone else though a witness and a sink hang', async () => {
    const hangs = { name: 'hangs', take: () => new Promise<void>(() => {}) }
    const mute = { name: 'mute', cosign: () => new Promise<never>(() => {}) }
    const kept = new Kept()
    const { heads, tree } = opened({ sinks: [hangs, kept], witnesses: [mute] })
    tree.size = 1
    heads.start()
    await after(1)
    await vi.waitUntil(() => heads.signedAt !== undefined)
    await after(5_001)
    await vi.waitUntil(() => kept.checkpoints.length === 1)
    await after(10_001)
    await vi.waitUntil(() => 'hangs' in heads.problems)
    expect(heads.problems).toEqual({ hangs: 'late', 'witness-mute': 'late' })
  })

  test('is signed once more at the end, within its bound, whatever hangs', async () => {
    const hangs = { name: 'hangs', take: () => new Promise<void>(() => {}) }
    const kept = new Kept()
    const { heads, tree } = opened({ sinks: [kept, hangs] })
    heads.start()
    await after(1)
    await vi.waitUntil(() => kept.checkpoints.length === 1)
    tree.size = 9
    const closing = heads.close(1_000)
    await after(1_001)
    await vi.waitUntil(() => kept.checkpoints.length === 2)
    await after(1_001)
    await closing
    expect(kept.last?.size).toBe(9)
    tree.size = 10
    heads.grown()
    await after(120_000)
    expect(kept.checkpoints).toHaveLength(2)
  })

  test('is not signed while nothing may be', async () => {
    const { heads, kept, notes } = opened({ head: () => undefined })
    heads.start()
    await after(60_001)
    await heads.close(10)
    expect([kept.checkpoints, notes, heads.signedAt]).toEqual([[], [], undefined])
  })
})

test('while one key takes over from another, both sign, and a verifier needs one', async () => {
  const [old, next] = [await signerOfKey('acme', newCheckpointKey()), await signerOfKey('acme', newCheckpointKey())]
  const { heads, kept } = opened({ origin: 'acme', signers: [next, old] })
  heads.start()
  await vi.waitUntil(() => kept.checkpoints.length === 1)
  const note = parseNote(kept.last!.note)
  for (const { verifier } of [old, next]) {
    expect(await signersOf(note, [parseKey(sha256, renderKey(verifier))])).toEqual([verifier])
  }
  expect(await signersOf(note, [signer.verifier])).toEqual([])
})

describe('the key', () => {
  test('that is made where none is configured is the same at the next start, and nobody else may read it', async () => {
    const path = join(await tempDir(), 'checkpoint-key')
    const made = await keptKey(path)
    const again = await keptKey(path)
    expect((await signerOfKey('sluice', again)).verifier).toEqual((await signerOfKey('sluice', made)).verifier)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test.each([
    '',
    'secret-that-must-not-be-shown',
    'sluice-checkpoint-key:AAAA',
    `sluice-checkpoint-key:${'!'.repeat(43)}`,
  ])('that is none is refused without being shown: %j', async (key) => {
    const error: unknown = await (async () => signerOfKey('sluice', key))().catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'internal', message: expect.stringContaining('the checkpoint key is none') })
    if (key !== '') expect(JSON.stringify(error) + String(error)).not.toContain(key)
  })

  test('that was lost on the disk, but whose file is there, is not made anew', async () => {
    const path = join(await tempDir(), 'checkpoint-key')
    await writeFile(path, '')
    await expect((async () => signerOfKey('sluice', await keptKey(path)))()).rejects.toThrow(
      'the checkpoint key is none',
    )
  })
})

describe('a sink', () => {
  test('of files has one a day, to which is only added', async () => {
    const dir = join(await tempDir(), 'heads')
    const sink = fileSink(dir)
    const checkpoint = { origin: 'o', writer: WRITER, epoch: EPOCH, size: 1, root: '', note: 'a\n\n— b c\n' }
    const signal = AbortSignal.timeout(1_000)
    await sink.take({ ...checkpoint, signedAt: Date.UTC(2026, 0, 5, 23, 59) }, signal)
    await sink.take({ ...checkpoint, signedAt: Date.UTC(2026, 0, 5, 23, 59, 30), note: 'd\n\n— e f\n' }, signal)
    await sink.take({ ...checkpoint, signedAt: Date.UTC(2026, 0, 6) }, signal)
    expect(await readdir(dir)).toEqual(['checkpoints-2026-01-05.txt', 'checkpoints-2026-01-06.txt'])
    expect(await readFile(join(dir, 'checkpoints-2026-01-05.txt'), 'utf8')).toBe('a\n\n— b c\n---\nd\n\n— e f\n---\n')
    // A crash in the middle of one spoils none behind it.
    await writeFile(join(dir, 'checkpoints-2026-01-06.txt'), 'a\n\n— b')
    await sink.take({ ...checkpoint, signedAt: Date.UTC(2026, 0, 6) }, signal)
    expect((await readFile(join(dir, 'checkpoints-2026-01-06.txt'), 'utf8')).split('---\n')).toEqual([
      'a\n\n— b\n',
      'a\n\n— b c\n',
      '',
    ])
  })

  test('of files that cannot be written says so', async () => {
    const dir = await tempDir()
    await writeFile(join(dir, 'file'), '')
    const { heads } = opened({ sinks: [fileSink(join(dir, 'file'))] })
    heads.start()
    await vi.waitUntil(() => 'checkpoint-files' in heads.problems)
    expect(heads.problems).toEqual({ 'checkpoint-files': 'EEXIST' })
  })

  test('of lines writes JSON with the whole note', async () => {
    const lines: string[] = []
    const { heads } = opened({ sinks: [lineSink((line) => lines.push(line))] })
    heads.start()
    await vi.waitUntil(() => lines.length === 1)
    const { checkpoint } = JSON.parse(lines[0]!) as { checkpoint: { note: string; size: number } }
    expect(parseCheckpoint(parseNote(checkpoint.note).text).size).toBe(checkpoint.size)
  })
})

test('operators see how large the log is, when it was signed last, and whom that did not reach', () => {
  const chain = { size: 7, signedAt: START, problems: { 'witness-w1': 'HTTP_404' } }
  const status: AuditStatus = { writable: true, tight: false, backlogRecords: 0, backlogBytes: 0, chain }
  const audit = { append: async () => {}, status: () => status, close: async () => {} }
  const lines = new Health([], audit, new Inflight(1, 1000))
    .metrics()
    .split('\n')
    .filter((line) => /^sluice_audit_(log|signed|checkpoint)/.test(line))
  expect(lines).toEqual([
    'sluice_audit_log_segments 7',
    `sluice_audit_signed_timestamp_seconds ${START / 1000}`,
    'sluice_audit_checkpoint_problem{at="witness-w1"} 1',
  ])
})
