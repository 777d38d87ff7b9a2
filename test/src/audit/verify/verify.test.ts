/** What is verified of a log that is all here, and that no single change of it goes unseen. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryOf } from '../../../../src/audit/proof/entry.ts'
import { signerOf } from '../../../../src/audit/proof/note.ts'
import { SCHEMA_VERSION } from '../../../../src/audit/record.ts'
import { hasher } from '../../../../src/audit/verify/hash.node.ts'
import { verify, type VerifyOptions } from '../../../../src/audit/verify/verify.ts'
import {
  BEGIN,
  DAY,
  evidenceOf,
  exchangeOf,
  headOf,
  leafOf,
  LOG,
  MINUTE,
  NAME,
  rowOf,
  sha256,
  signer,
  written,
  type Store,
} from './log.ts'

const NOW = BEGIN + DAY
const SHAPE = { sizes: [1, 3, 2, 5, 1, 4], heads: [1, 4, 6] }

async function verified(store: Store, more: Partial<VerifyOptions> = {}) {
  const { verifier } = await signer()
  return verify(evidenceOf(store), { sha256, keys: [verifier], now: NOW, graceMs: 0, ...more })
}
const codes = async (store: Store, more: Partial<VerifyOptions> = {}): Promise<string[]> =>
  (await verified(store, more)).problems.map(({ code, segment, seq }) =>
    [code, segment, seq].filter((each) => each !== undefined).join(' '),
  )

describe('a log that is as it was written', () => {
  it('is verified under its newest head', async () => {
    expect(await verified(await written(SHAPE))).toEqual({
      logs: [
        {
          ...LOG,
          segments: 6,
          records: 16,
          expired: 0,
          pending: 0,
          signedSize: 6,
          signedAt: BEGIN + 6 * MINUTE + MINUTE / 2,
          checkpoints: 3,
        },
      ],
      problems: [],
    })
  })

  it('of any shape', async () => {
    const shape = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }).chain((sizes) =>
      fc.record({
        sizes: fc.constant(sizes),
        heads: fc
          .uniqueArray(fc.integer({ min: 0, max: sizes.length }), { maxLength: 5 })
          .map((heads) => [...new Set([...heads, sizes.length])].toSorted((a, b) => a - b)),
      }),
    )
    await fc.assert(
      fc.asyncProperty(shape, async (each) => {
        expect((await verified(await written(each))).problems).toEqual([])
      }),
      { numRuns: 30 },
    )
  })

  it('may have lost what was to be kept until yesterday, and no more', async () => {
    const store = await written({ ...SHAPE, retainDays: 30 })
    store.rows = store.rows.slice(4)
    const { logs, problems } = await verified(store, { now: BEGIN + 30 * DAY })
    expect([logs[0]!.records, logs[0]!.expired, problems]).toEqual([12, 4, []])
    expect(await codes(store, { now: BEGIN + 30 * DAY - 1 })).toEqual([
      'record-missing 1 1',
      'record-missing 2 2',
      'record-missing 2 3',
      'record-missing 2 4',
    ])
  })

  it('whose gateway put a damaged segment on record says so, and nobody else can', async () => {
    const store = await written({ sizes: [2, 0, 3], heads: [1, 3] })
    expect(await codes(store)).toEqual(['segment-damaged 2'])
    store.rows.push(rowOf(2, 3, BEGIN))
    expect(await codes(store)).toEqual(['record-inserted 2 3', 'segment-damaged 2'])

    const other = await written(SHAPE)
    const none = new Uint8Array(0)
    other.segments[2] = { ...other.segments[2]!, root: none, leaves: none, days: none }
    other.rows = other.rows.filter((_, i) => i < 4 || i >= 6)
    expect(await codes(other)).toEqual(['segment-changed 3'])
  })
})

describe('a change', () => {
  it('of any one byte of any row is named by its record', async () => {
    const store = await written(SHAPE)
    await fc.assert(
      fc.asyncProperty(
        fc.nat(15),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 1, max: 255 }),
        async (i, where, by) => {
          const row = Uint8Array.from(store.rows[i]!)
          // The last 16 bytes say which record it is.
          row[Math.floor(where * (row.length - 16))]! ^= by
          const changed = { ...store, rows: store.rows.with(i, row) }
          const seq = i + 1
          const { segment } = store.segments.findLast(({ firstSeq }) => firstSeq <= seq)!
          expect(await codes(changed)).toEqual([`record-changed ${segment} ${seq}`])
        },
      ),
      { numRuns: 100 },
    )
  })

  it('of any field of any segment is found', async () => {
    const store = await written(SHAPE)
    const flip = (bytes: Uint8Array, at: number): Uint8Array =>
      bytes.with(at % bytes.length, bytes[at % bytes.length]! ^ 1)
    const change = fc.constantFrom(
      'root',
      'leaves',
      'days',
      'records',
      'firstSeq',
      'schema',
      'gone',
      'twice',
      'swapped',
    )
    await fc.assert(
      fc.asyncProperty(fc.nat(5), fc.nat(), change, async (i, at, what) => {
        const { segments } = store
        const segment = segments[i]!
        const of = (more: object) => segments.with(i, { ...segment, ...more })
        const changed = {
          root: () => of({ root: flip(segment.root, at) }),
          leaves: () => of({ leaves: flip(segment.leaves, at) }),
          days: () => of({ days: flip(segment.days, at) }),
          records: () => of({ records: segment.records + 1 + (at % 3) }),
          firstSeq: () => of({ firstSeq: segment.firstSeq + 1 }),
          schema: () => of({ schema: segment.schema - 1 }),
          gone: () => segments.toSpliced(i, 1),
          twice: () => segments.toSpliced(i, 0, segment),
          swapped: () => segments.with(i, segments[(i + 1) % 6]!).with((i + 1) % 6, segment),
        }[what]()
        expect(await codes({ ...store, segments: changed })).not.toEqual([])
      }),
      { numRuns: 150 },
    )
  })

  it('that makes a segment say whatever its rows now are is found at the next head', async () => {
    const store = await written(SHAPE)
    const row = rowOf(4, 8, BEGIN + 7)
    const rows = store.rows.with(7, row)
    const entry = entryOf(sha256, store.segments[3]!, rows.slice(6, 11))
    const segments = store.segments.with(3, { ...store.segments[3]!, ...entry })
    expect(await verified({ ...store, rows, segments })).toMatchObject({
      problems: [
        {
          code: 'checkpoint-mismatch',
          log: NAME,
          segment: 2,
          words: 'segments 2 to 4 hash to another head than was signed at 2026-06-01T00:04:30.000Z',
        },
      ],
    })
  })

  it('of how long a record is to be kept is found: the days are under the head', async () => {
    const store = await written(SHAPE)
    const days = Uint8Array.from(store.segments[0]!.days).fill(1)
    const changed = {
      ...store,
      rows: store.rows.slice(1),
      segments: store.segments.with(0, { ...store.segments[0]!, days }),
    }
    expect(await codes(changed)).toEqual(['checkpoint-mismatch 1'])
  })

  it('of a number so that it means very many is no reason to work for ever', async () => {
    const store = await written(SHAPE)
    const last = store.segments[5]!
    expect(await codes({ ...store, segments: store.segments.with(5, { ...last, segment: 1e15 }) })).toEqual(
      expect.arrayContaining(['segment-missing 6', 'truncated 6', 'record-inserted 6']),
    )
    expect(await codes({ ...store, segments: store.segments.with(5, { ...last, records: 1e15 }) })).toEqual([
      'segment-changed 6',
      'checkpoint-mismatch 5',
    ])
  })
})

describe('heads', () => {
  it('of another log, another key, or with another text', async () => {
    const store = await written(SHAPE)
    const leaves = store.segments.map(leafOf)
    const elsewhere = `corp/${LOG.writer}/01930000-0000-7000-8000-0000000000ff`
    store.notes = [
      await headOf(leaves, NOW, undefined, elsewhere),
      await headOf(leaves, NOW, await signerOf(sha256, 'corp', new Uint8Array(32).fill(8))),
      store.notes[2]!.replace('\n6\n', '\n5\n'),
      'nothing at all',
    ]
    expect(await codes(store)).toEqual([
      'checkpoint-forged',
      'checkpoint-unsigned',
      'checkpoint-forged',
      'checkpoint-forged',
      'not-signed',
    ])
  })

  it('that contradict each other: a log that was taken back', async () => {
    const store = await written(SHAPE)
    const fork = store.segments.map(leafOf).with(5, new Uint8Array(32))
    const kept = [await headOf(fork, BEGIN + 7 * MINUTE)]
    expect(await codes(store, { kept })).toEqual(['rolled-back', 'checkpoint-mismatch 7'])
    // And one that is smaller than an earlier one.
    store.notes.push(await headOf(store.segments.slice(0, 2).map(leafOf), NOW))
    expect(await codes(store)).toEqual(['rolled-back'])
  })

  it('that cover what is not here, or do not cover what is', async () => {
    const store = await written(SHAPE)
    const cut = { ...store, segments: store.segments.slice(0, 4), rows: store.rows.slice(0, 11) }
    expect(await codes(cut)).toEqual(['truncated 5'])
    expect(await codes({ ...cut, notes: store.notes.slice(0, 2) })).toEqual([])
    expect(await codes({ ...cut, notes: store.notes.slice(0, 2) }, { kept: store.notes })).toEqual(['truncated 5'])
    expect(await codes({ ...store, notes: store.notes.slice(0, 2) })).toEqual(['not-signed 5'])
  })

  it('that are on their way, for a while', async () => {
    const store = await written(SHAPE)
    const now = BEGIN + 7 * MINUTE
    const open = { ...store, notes: store.notes.slice(0, 2) }
    expect((await verified(open, { now, graceMs: 5 * MINUTE })).logs[0]).toMatchObject({ pending: 2, signedSize: 4 })
    expect(await codes(open, { now, graceMs: MINUTE / 2 })).toEqual(['not-signed 5'])
  })

  it('that are old: silence, of the writer and not of each log it began', async () => {
    const store = await written(SHAPE)
    expect(await codes(store, { aliveMs: DAY })).toEqual([])
    expect(await verified(store, { aliveMs: MINUTE })).toMatchObject({
      problems: [
        {
          code: 'silent',
          words: `no checkpoint of the gateway \`${LOG.writer}\` is recent: the newest is of 2026-06-01T00:06:30.000Z`,
        },
      ],
    })
    expect(await codes(store, { aliveMs: MINUTE, writers: ['another'] })).toEqual(['writer-missing'])
  })
})

describe('a span', () => {
  it('is of the segments between signed heads, whatever the store says of when they were sealed', async () => {
    const store = await written(SHAPE)
    store.segments = store.segments.map((segment) => ({ ...segment, sealedAt: 1 }))
    const span = { from: BEGIN + 6 * MINUTE }
    const { logs, problems } = await verified(store, { span })
    // The head after the fourth segment was signed more than a minute before.
    expect([logs[0]!.records, problems]).toEqual([5, []])
    const changed = { ...store, rows: store.rows.with(0, rowOf(1, 1, 1)).with(15, rowOf(6, 16, 1)) }
    expect(await codes(changed, { span })).toEqual(['record-changed 6 16'])
    expect(await codes(changed, { span: { to: BEGIN } })).toEqual(['record-changed 1 1'])
    expect(SCHEMA_VERSION).toBe(store.segments[0]!.schema)
  })
})

describe('bodies', () => {
  const text = 'id,name\n1,ada\n'
  const digest = Buffer.from(sha256(Buffer.from(text))).toString('hex')
  const answer = {
    mode: 'full',
    type: 'text/csv',
    bytes: text.length,
    digest,
    kept: text.length,
    keptDigest: digest,
  } as const
  const options = { bodies: { hasher, retainDays: () => 7 } }
  const recorded = async (): Promise<Store> => {
    const store = await written({ sizes: [2, 1], heads: [2], bodies: { answer } })
    store.bodies = [1, 2, 3].flatMap((seq) =>
      [text.slice(0, 5), text.slice(5)].map((part) => ({
        exchange: exchangeOf(seq),
        direction: 'answer',
        content: Buffer.from(part),
      })),
    )
    return store
  }

  it('are what their records say', async () => {
    const { logs, problems } = await verified(await recorded(), options)
    expect([logs[0]!.bodies, problems]).toEqual([{ whole: 3, expired: 0, pending: 0 }, []])
  })

  it('that were changed, cut, put into another order or deleted', async () => {
    const store = await recorded()
    const [first, second, third] = [store.bodies[0]!, store.bodies[1]!, store.bodies[2]!]
    const of = (...bodies: Store['bodies']) =>
      codes({ ...store, bodies: [...bodies, ...store.bodies.slice(4)] }, options)
    expect(await of(first, { ...second, content: Buffer.from(',name\n1,bob\n') }, third)).toEqual([
      'body-changed 1 1',
      'body-changed 1 2',
    ])
    expect(await of(second, first)).toEqual(['body-changed 1 1', 'body-missing 1 2'])
    expect(await of(first)).toEqual(['body-changed 1 1', 'body-missing 1 2'])
  })

  it('may be late for a while, and then are short of what is to come', async () => {
    const store = await recorded()
    const now = { ...options, now: BEGIN + 2 * MINUTE, graceMs: 5 * MINUTE }
    const { logs, problems } = await verified({ ...store, bodies: store.bodies.slice(0, 3) }, now)
    expect([logs[0]!.bodies, problems]).toEqual([{ whole: 1, expired: 0, pending: 2 }, []])
    store.bodies[0] = { ...store.bodies[0]!, content: Buffer.from('ID,na') }
    expect(await codes(store, now)).toEqual(['body-changed 1 1'])
  })

  it('may be gone when their time is over', async () => {
    const store = await recorded()
    const { logs, problems } = await verified({ ...store, bodies: [] }, { ...options, now: BEGIN + 7 * DAY })
    expect([logs[0]!.bodies, problems]).toEqual([{ whole: 0, expired: 3, pending: 0 }, []])
  })

  it('of a record that is not as it was written are not looked at: it binds nothing', async () => {
    const store = await recorded()
    store.rows[0] = rowOf(1, 1, BEGIN, 30, { answer: { ...answer, keptDigest: 'f'.repeat(64) } })
    expect(await codes(store, options)).toEqual(['record-changed 1 1'])
  })
})
