/** Evidence packs checked without any store, and what whoever hands one over could do to it. */
import { rmSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { entryOf } from '../../../../src/audit/proof/entry.ts'
import { openPack } from '../../../../src/audit/verify/pack.node.ts'
import { verify, type VerifyOptions } from '../../../../src/audit/verify/verify.ts'
import {
  BEGIN,
  DAY,
  headOf,
  leafOf,
  LOG,
  membersOf,
  MINUTE,
  NAME,
  packedRows,
  packedSegment,
  packFile,
  PATHS,
  rowOf,
  sha256,
  signer,
  written,
  type Store,
} from './log.ts'

const SHAPE = { sizes: [1, 3, 2, 5, 1, 4, 2, 1, 3], heads: [] }
const HEADS = [2, 3, 5, 8]
const [A, B] = [3, 7]

async function verified(
  members: ReadonlyMap<string, Buffer>,
  more: Partial<VerifyOptions> = {},
  manifest: object = {},
) {
  const path = await packFile(members, manifest)
  onTestFinished(() => rmSync(path))
  const pack = await openPack(path, sha256)
  onTestFinished(() => pack.close())
  const { verifier } = await signer()
  const report = await verify(pack.evidence, {
    sha256,
    keys: [verifier],
    now: BEGIN + DAY,
    graceMs: 5 * MINUTE,
    ...more,
  })
  return { ...report, problems: [...pack.problems, ...report.problems] }
}
const codes = async (...args: Parameters<typeof verified>): Promise<string[]> =>
  (await verified(...args)).problems.map(({ code, segment, seq }) =>
    [code, segment, seq].filter((each) => each !== undefined).join(' '),
  )

async function pack(): Promise<{ store: Store; members: Map<string, Buffer> }> {
  const store = await written(SHAPE)
  return { store, members: await membersOf(store, A, B, HEADS) }
}
const json = (members: ReadonlyMap<string, Buffer>, path: string): Record<string, unknown> =>
  JSON.parse(members.get(path)!.toString())

/** A record of segment 4 is another, and the segment says so too. */
async function forged(): Promise<{ store: Store; members: Map<string, Buffer> }> {
  const { store, members } = await pack()
  store.rows[8] = rowOf(4, 9, 12_345)
  store.segments[3] = { ...store.segments[3]!, ...entryOf(sha256, store.segments[3]!, store.rows.slice(6, 11)) }
  const again = await membersOf(store, A, B, HEADS)
  for (const path of [PATHS.records(A, B), PATHS.segments(A, B)]) members.set(path, again.get(path)!)
  return { store, members }
}

describe('a pack as it was made', () => {
  it('is verified, and says from when to when nothing is left out', async () => {
    const { members } = await pack()
    const head = (size: number): number => BEGIN + size * MINUTE + MINUTE / 2
    expect(await verified(members)).toEqual({
      logs: [
        {
          ...LOG,
          segments: 5,
          records: 14,
          expired: 0,
          pending: 0,
          signedSize: 8,
          signedAt: head(8),
          checkpoints: 4,
          complete: { from: head(2), to: head(5) },
        },
      ],
      problems: [],
    })
  })

  it('says of a damaged segment that it was', async () => {
    const store = await written({ sizes: [1, 3, 2, 0, 1, 4], heads: [] })
    expect(await codes(await membersOf(store, 2, 5, [1, 6]))).toEqual(['segment-damaged 4'])
  })
})

describe('a pack that was changed', () => {
  it('in a member, or by one more or one less, and its manifest left alone', async () => {
    const { members } = await pack()
    const files = [...members].map(([path, bytes]) => ({ path, bytes: bytes.length, sha256: 'as it was' }))
    expect(new Set(await codes(members, {}, { files }))).toEqual(new Set(['pack-changed']))
    const said = await verified(members, {}, { files: [] })
    expect(said.problems.map(({ words }) => words)).toContain(`\`${PATHS.proofs}\` is not in its manifest`)
  })

  it('in a record', async () => {
    const { store, members } = await pack()
    members.set(PATHS.records(A, B), packedRows(store.rows.slice(4, 18).with(4, rowOf(4, 9, 12_345))))
    expect(await codes(members)).toEqual(['record-changed 4 9'])
    members.set(PATHS.records(A, B), packedRows(store.rows.slice(5, 18)))
    expect(await codes(members)).toEqual(['record-missing 3 5'])
    members.set(PATHS.records(A, B), packedRows([...store.rows.slice(4, 18), store.rows[6]!]))
    expect(await codes(members)).toEqual(['record-inserted 4 7'])
  })

  it('by a record of a segment that is not in it', async () => {
    const { store, members } = await pack()
    members.set(PATHS.records(A, B), packedRows([...store.rows.slice(4, 18), rowOf(999, 9999, 1)]))
    expect(await codes(members)).toEqual(['record-inserted 999 9999'])
    members.set(PATHS.records(A, B), packedRows(store.rows.slice(4, 18)))
    members.set(PATHS.records(999, 999), packedRows([rowOf(999, 9999, 1)]))
    expect(await codes(members)).toEqual(['record-inserted 999'])
  })

  it('in a record and in its segment, with whatever proof one likes', async () => {
    const { store, members } = await forged()
    expect(await codes(members)).toEqual([`checkpoint-mismatch ${A}`])
    const proofs = json(members, PATHS.proofs)
    const { inclusion, ...without } = proofs
    const says = async (proof: object): Promise<string[]> =>
      codes(new Map(members).set(PATHS.proofs, Buffer.from(JSON.stringify(proof))))
    // Nothing is claimed of the segments …
    expect(await says(without)).toContain('not-signed 1')
    expect(await says({ ...proofs, inclusion: { ...(inclusion as object), to: A - 1 } })).toContain(`not-signed ${A}`)
    // … or of those alone that are right …
    const of = await membersOf(await written(SHAPE), A, 3, HEADS)
    expect(await says(json(of, PATHS.proofs))).toContain('not-signed 4')
    // … or of a tree that nobody signed …
    expect(await says({ ...proofs, size: 7 })).toContain('not-signed')
    // … or of the forged one.
    expect(await says(json(await membersOf(store, A, B, HEADS), PATHS.proofs))).toContain(`checkpoint-mismatch ${A}`)
    members.delete(PATHS.proofs)
    expect(await codes(members)).toEqual(['not-signed'])
  })

  it('in its heads: by another key, of another log, or of two logs of which each is right', async () => {
    const { store, members } = await pack()
    const leaves = store.segments.map(leafOf)
    const head = (from: readonly Uint8Array[], n: number): Promise<string> =>
      headOf(from.slice(0, n), BEGIN + n * MINUTE + MINUTE / 2)
    const set = async (...notes: Promise<string>[]): Promise<string[]> =>
      codes(new Map(members).set(PATHS.checkpoints, Buffer.from((await Promise.all(notes)).join('---\n'))))
    expect(await set(head(leaves, 2), head(leaves, 3), head(leaves, 5), head(leaves, 8))).toEqual([])
    const fork = leaves.with(1, new Uint8Array(32))
    expect(await set(head(fork, 2), head(leaves, 8))).toEqual(['rolled-back', 'rolled-back'])
    // The gateway did sign it; that it grew out of the one before cannot be shown.
    expect(await set(head(fork, 4), head(leaves, 8))).toEqual(['rolled-back', 'rolled-back'])
    const other = await headOf(leaves, BEGIN, undefined, `corp/${LOG.writer}/01930000-0000-7000-8000-0000000000ff`)
    expect(await set(Promise.resolve(other))).toEqual(['checkpoint-forged', 'not-signed', 'not-signed'])
  })

  it('by leaving out segments', async () => {
    const { store, members } = await pack()
    const lines = members.get(PATHS.segments(A, B))!.toString().split('\n').slice(0, -1)
    members.set(
      PATHS.segments(A, B),
      Buffer.from([...lines.slice(0, 2), ...lines.slice(3)].map((l) => `${l}\n`).join('')),
    )
    members.set(PATHS.records(A, B), packedRows([...store.rows.slice(4, 11), ...store.rows.slice(12, 18)]))
    expect(await codes(members)).toEqual(['segment-missing 5', `checkpoint-mismatch ${A}`])
    // A shorter one is right in itself; it says of how little it can tell that nothing is left out.
    const short = await membersOf(store, 3, 4, [3, 8])
    expect((await verified(short)).logs[0]!.complete).toBeUndefined()
    expect(JSON.stringify(packedSegment(store.segments[4]!))).toBe(lines[2])
  })

  it('is held against heads that were kept elsewhere', async () => {
    const { store, members } = await pack()
    const leaves = store.segments.map(leafOf)
    const kept = [await headOf(leaves.slice(0, 4), BEGIN + 4 * MINUTE + 1)]
    expect(await codes(members, { kept })).toEqual([])
    const fork = [await headOf(leaves.slice(0, 4).with(3, new Uint8Array(32)), BEGIN + 4 * MINUTE + 1)]
    expect(await verified(members, { kept: fork })).toMatchObject({
      problems: [
        {
          code: 'rolled-back',
          log: NAME,
          words: 'the head of 2026-06-01T00:04:00.001Z is of another log of 4 segments',
        },
      ],
    })
  })
})

it('a file that is no pack is refused in words', async () => {
  const path = await packFile(new Map(), { format: 'another' })
  onTestFinished(() => rmSync(path))
  await expect(openPack(path, sha256)).rejects.toThrow(`${path} is no evidence pack of this version`)
})

it('a member that climbs out of the pack is refused', async () => {
  const path = await packFile(new Map([['../../climbs', Buffer.from('x')]]))
  onTestFinished(() => rmSync(path))
  await expect(openPack(path, sha256)).rejects.toThrow('is no evidence pack of this version')
})
