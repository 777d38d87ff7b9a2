/** One body on its way into pieces: what is kept of it, what is said of the rest, and that nothing is lost in between. */
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PIECE_BYTES, PieceTape, type TapeParts } from '../../../../src/audit/bodies/tape.ts'
import type { UnplacedPayload } from '../../../../src/audit/payload.ts'
import type { Keep } from '../../../../src/exchange.ts'
import { Failure } from '../../../../src/failure.ts'
import { nodeHasher } from '../../../support/hasher.ts'
import { AGENT } from '../../../support/journey.ts'
import { exchange } from '../stage.ts'

const sha = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (rows: readonly UnplacedPayload[]): string => Buffer.concat(rows.map(({ content }) => content)).toString()

function tape(keep: Keep, over: Partial<TapeParts> = {}) {
  const rows: UnplacedPayload[] = []
  const time = { now: 1_767_605_400_000 }
  const made = new PieceTape({
    body: {
      exchange: { id: exchange(1), connection: 'crm', principal: AGENT },
      direction: 'answer',
      type: 'application/json',
      keep,
    },
    writer: 'w1',
    epoch: exchange(9),
    retainUntil: 20_000,
    append: async (piece) => void rows.push(piece),
    hasher: nodeHasher,
    now: () => time.now,
    ...over,
  })
  return { tape: made, rows, time }
}

describe('a body that is kept', () => {
  it('whole is one row where it is small, and the record gets its size and digest', async () => {
    const { tape: it, rows } = tape('full')
    await it.push(bytes('{"a":'), ['0'.repeat(32)])
    await it.push(bytes('1}'))
    expect(await it.end()).toEqual({
      mode: 'full',
      type: 'application/json',
      bytes: 7,
      digest: sha('{"a":1}'),
      kept: 7,
      keptDigest: sha('{"a":1}'),
    })
    expect(rows).toEqual([
      {
        ts: 1_767_605_400_000_000,
        exchange_id: exchange(1),
        direction: 'answer',
        chunk: 0,
        offset: 0,
        type: 'application/json',
        content: bytes('{"a":1}'),
        is_last: true,
        mark: '',
        digests: ['0'.repeat(32)],
        connection: 'crm',
        issuer: 'sandbox',
        subject: 'agent',
        writer: 'w1',
        epoch: exchange(9),
        retain_until: 20_000,
      },
    ])
  })

  it('with nothing in it is a row that says so', async () => {
    const { tape: it, rows } = tape('full')
    expect(await it.end()).toMatchObject({ bytes: 0, kept: 0, digest: sha('') })
    expect(rows).toMatchObject([{ chunk: 0, is_last: true, mark: '' }])
  })

  it('by its beginning says how much is missing', async () => {
    const { tape: it, rows } = tape({ first: 4 })
    await it.push(bytes('abc'))
    await it.push(bytes('def'))
    expect(await it.end('client-gone')).toEqual({
      mode: 'first',
      type: 'application/json',
      bytes: 6,
      digest: sha('abcdef'),
      kept: 4,
      keptDigest: sha('abcd'),
    })
    expect(text(rows)).toBe('abcd')
    expect(rows.at(-1)?.mark).toBe('client-gone; 4 of 6 bytes are kept')
  })

  it('by its digest alone leaves no row, but for the digests of secrets that were in it', async () => {
    const silent = tape('digest')
    await silent.tape.push(bytes('abc'))
    expect(await silent.tape.end()).toMatchObject({ mode: 'digest', bytes: 3, digest: sha('abc'), kept: 0 })
    expect(silent.rows).toEqual([])
    const found = tape('digest')
    await found.tape.push(bytes('abc'), ['1'.repeat(32)])
    expect(await found.tape.end()).toMatchObject({ kept: 0, keptDigest: sha('') })
    expect(found.rows).toMatchObject([
      { content: new Uint8Array(), digests: ['1'.repeat(32)], is_last: true, mark: 'none of 3 bytes are kept' },
    ])
  })

  it('lists a digest behind what is kept, and each but once in a piece', async () => {
    const { tape: it, rows } = tape({ first: 1 })
    await it.push(bytes('ab'), ['1'.repeat(32), '1'.repeat(32)])
    await it.push(bytes('cd'), ['2'.repeat(32)])
    await it.end()
    expect(rows.map(({ digests }) => digests)).toEqual([['1'.repeat(32), '2'.repeat(32)]])
  })

  it('comes in pieces no larger than a piece, and no longer than a moment', async () => {
    const { tape: it, rows, time } = tape('full')
    await it.push(new Uint8Array(2 * PIECE_BYTES + 5))
    time.now += 100
    await it.push(bytes('together'))
    time.now += 1000
    await it.push(bytes('apart'))
    await it.end()
    expect(rows.map(({ chunk, offset, content, ts }) => [chunk, offset, content.length, ts % 1e9])).toEqual([
      [0, 0, PIECE_BYTES, 400_000_000],
      [1, PIECE_BYTES, PIECE_BYTES, 400_000_000],
      [2, 2 * PIECE_BYTES, 13, 400_000_000],
      [3, 2 * PIECE_BYTES + 13, 5, 401_100_000],
    ])
  })

  it('as any pushes of any sizes is what was pushed, in order, up to what is kept', async () => {
    const keep = fc.oneof(
      fc.constantFrom<Keep>('full', 'digest'),
      fc.record({ first: fc.integer({ min: 1, max: 700_000 }) }),
    )
    const sizes = fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(keep, sizes, async (kept, all) => {
        const { tape: it, rows } = tape(kept)
        const parts = all.map((size, i) => new Uint8Array(size).fill(i + 1))
        for (const part of parts) await it.push(part)
        const whole = Buffer.concat(parts)
        const most = kept === 'full' ? whole.length : kept === 'digest' ? 0 : kept.first
        const expected = whole.subarray(0, most)
        const told = await it.end()
        const content = Buffer.concat(rows.map((row) => row.content))
        expect(content.equals(expected)).toBe(true)
        expect(told).toMatchObject({ bytes: whole.length, digest: sha(whole), kept: expected.length })
        expect(told.keptDigest).toBe(sha(expected))
        expect(rows.filter((row) => row.is_last)).toHaveLength(kept === 'digest' ? 0 : 1)
        expect(rows.every((row) => row.content.length <= PIECE_BYTES)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })
})

describe('what waits and what breaks', () => {
  it('a push waits while the piece before the last is not durable', async () => {
    const waiting: (() => void)[] = []
    const { tape: it } = tape('full', { append: () => new Promise((done) => waiting.push(done)) })
    const piece = new Uint8Array(PIECE_BYTES)
    let pushed = 0
    const pushing = (async () => {
      for (let i = 0; i < 5; i++) {
        await it.push(piece)
        pushed++
      }
    })()
    await new Promise((turn) => setImmediate(turn))
    expect([pushed, waiting.length]).toEqual([2, 1])
    const draining = setInterval(() => waiting.shift()?.(), 0)
    await pushing
    await it.end()
    clearInterval(draining)
    expect(pushed).toBe(5)
  })

  it('a piece that cannot be written breaks every push behind it, and the end: nothing is claimed', async () => {
    const full = new Failure('audit-unavailable', 'the disk is full')
    const { tape: it } = tape('full', { append: () => Promise.reject(full) })
    await it.push(new Uint8Array(PIECE_BYTES))
    await it.push(new Uint8Array(PIECE_BYTES))
    await expect(it.push(new Uint8Array(PIECE_BYTES))).rejects.toBe(full)
    await expect(it.push(bytes('more'))).rejects.toMatchObject({ code: 'audit-unavailable' })
    await expect(it.end()).rejects.toMatchObject({ code: 'audit-unavailable' })
  })

  it('the end waits for what is durable and hears of what is not', async () => {
    const full = new Failure('audit-unavailable', 'the disk is full')
    const { tape: it } = tape('full', { append: () => Promise.reject(full) })
    await it.push(bytes('a'))
    await expect(it.end()).rejects.toBe(full)
  })

  it('takes nothing behind its end', async () => {
    const { tape: it } = tape('full')
    await it.end()
    await expect(it.push(bytes('late'))).rejects.toMatchObject({ code: 'audit-unavailable' })
  })
})
