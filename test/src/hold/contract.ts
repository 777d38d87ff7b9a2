/** What every state store must do, whatever it is made of. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Failure } from '../../../src/failure.ts'
import type { HoldDecision, HoldEntry, KeyClaim, Reservation, Store } from '../../../src/hold/contract.ts'
import { HandClock, heldExchange, permittedExchange } from './exchanges.ts'

/** Holds a store to its contract. `open` gives an empty one that takes its time from `clock`. */
export function storeContract(name: string, open: (clock: HandClock) => Promise<Store>): void {
  describe(`state store: ${name}`, () => {
    let clock: HandClock
    let store: Store

    beforeEach(async () => {
      clock = new HandClock()
      store = await open(clock)
    })
    afterEach(() => store.close())

    const approval = (subject = 'owner2'): HoldDecision => ({
      by: { issuer: 'sandbox', subject },
      groups: ['data-owners'],
      effect: 'approve',
      comment: 'go "on"',
      at: clock.now(),
    })
    const approved = async (id: string): Promise<HoldEntry> => {
      await store.openHold(heldExchange(id))
      return (await store.decideHold(id, approval(), () => 'approved')).entry
    }
    const never = new AbortController().signal

    describe('holds', () => {
      test('a hold is kept as it was asked', async () => {
        const opened = await store.openHold(heldExchange('h1'))
        expect(opened).toEqual({
          id: 'h1',
          state: 'pending',
          exchange: heldExchange('h1'),
          createdAt: clock.now(),
          expiresAt: clock.now() + 60_000,
          decisions: [],
        })
        expect(await store.hold('h1')).toEqual(opened)
        expect(await store.hold('h2')).toBeUndefined()
        await expect(store.openHold(heldExchange('h1'))).rejects.toMatchObject({ code: 'conflict' })
      })

      test('a principal has no more pending than it may; others, and what was decided, do not count', async () => {
        const open = (id: string, subject = 'writer') => {
          const held = heldExchange(id)
          return store.openHold({ ...held, principal: { ...held.principal, subject } }, 2)
        }
        const tooMany = { code: 'too-many-requests', message: '2 of your requests wait for a person already' }
        const racing = await Promise.allSettled(['a', 'b', 'c', 'd'].map((id) => open(id)))
        expect(racing.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
        await expect(open('e')).rejects.toMatchObject(tooMany)
        expect(await store.hold('e')).toBeUndefined()
        await expect(open('a')).rejects.toMatchObject({ code: 'conflict' })
        expect(await open('f', 'other')).toMatchObject({ state: 'pending' })
        await store.decideHold('a', approval(), () => 'approved')
        expect(await open('e')).toMatchObject({ state: 'pending' })
        await expect(open('g')).rejects.toMatchObject(tooMany)
        clock.time += 60_000
        const late = heldExchange('h', clock.now() + 1)
        expect(await store.openHold(late, 1)).toMatchObject({ state: 'pending' })
      })

      test('listed newest first, by state', async () => {
        for (const id of ['a', 'b', 'c']) {
          await store.openHold(heldExchange(id))
          clock.time += 1
        }
        await store.decideHold('b', approval(), () => 'approved')
        const ids = async (filter: Parameters<Store['holds']>[0]): Promise<string[]> =>
          (await store.holds(filter)).map(({ id }) => id)
        expect(await ids({ limit: 10 })).toEqual(['c', 'b', 'a'])
        expect(await ids({ limit: 2 })).toEqual(['c', 'b'])
        expect(await ids({ states: ['pending'], limit: 10 })).toEqual(['c', 'a'])
        expect(await ids({ states: ['approved', 'running'], limit: 10 })).toEqual(['b'])
        expect(await ids({ states: [], limit: 10 })).toEqual([])
      })

      test('approved once; the second word finds it decided', async () => {
        await store.openHold(heldExchange('h1'))
        const decision = approval()
        const first = await store.decideHold('h1', decision, () => 'approved')
        expect(first).toMatchObject({ moved: true, entry: { state: 'approved', decisions: [decision] } })
        expect(await store.decideHold('h1', approval('owner3'), () => 'approved')).toEqual({
          moved: false,
          entry: first.entry,
        })
        expect(await store.decideHold('h1', { ...approval(), effect: 'reject' }, () => 'rejected')).toEqual({
          moved: false,
          entry: first.entry,
        })
      })

      test('of fifty racing words one is heard', async () => {
        await store.openHold(heldExchange('h1'))
        const words = Array.from({ length: 50 }, (_, i) =>
          i % 2 === 0
            ? store.decideHold('h1', approval(`o${i}`), () => 'approved')
            : store.decideHold('h1', { ...approval(`o${i}`), effect: 'reject' }, () => 'rejected'),
        )
        const heard = (await Promise.all(words)).filter(({ moved }) => moved)
        expect(heard).toHaveLength(1)
        const entry = await store.hold('h1')
        expect(entry).toEqual(heard[0]?.entry)
        expect(entry?.decisions).toHaveLength(1)
      })

      test('each racing word is weighed behind the others: the fifth approval of five completes it, no earlier', async () => {
        await store.openHold(heldExchange('h1'))
        const words = Array.from({ length: 9 }, (_, i) =>
          store.decideHold('h1', approval(`o${i}`), (all) => (all.length < 5 ? 'pending' : 'approved')),
        )
        const moved = (await Promise.all(words)).filter((word) => word.moved)
        expect(moved.map(({ entry }) => [entry.state, entry.decisions.length]).toSorted()).toEqual([
          ['approved', 5],
          ['pending', 1],
          ['pending', 2],
          ['pending', 3],
          ['pending', 4],
        ])
        expect(await store.hold('h1')).toMatchObject({ state: 'approved', decisions: { length: 5 } })
      })

      test('a word that is one too many is taken back whole', async () => {
        await store.openHold(heldExchange('h1'))
        const tooMany = new Failure('conflict', 'you have approved this already')
        const refuse = (): never => {
          throw tooMany
        }
        await expect(store.decideHold('h1', approval(), refuse)).rejects.toBe(tooMany)
        expect(await store.hold('h1')).toMatchObject({ state: 'pending', decisions: [] })
        await expect(store.decideHold('none', approval(), () => 'approved')).rejects.toMatchObject({
          code: 'not-found',
        })
      })

      test('what is voided says why, and neither runs nor is decided; what runs or ran is not voided', async () => {
        const outcome = { code: 'voided', detail: 'the policies have changed' }
        await approved('h1')
        expect(await store.voidHold('h1', outcome)).toMatchObject({ moved: true, entry: { state: 'voided', outcome } })
        expect(await store.startHold('h1', clock.now(), 'w1')).toMatchObject({ moved: false })
        expect(await store.decideHold('h1', approval(), () => 'approved')).toMatchObject({ moved: false })
        await approved('h2')
        await store.startHold('h2', clock.now(), 'w1')
        expect(await store.voidHold('h2', outcome)).toMatchObject({ moved: false, entry: { state: 'running' } })
        await store.openHold(heldExchange('h3'))
        clock.time += 60_000
        expect(await store.voidHold('h3', outcome)).toMatchObject({ moved: false, entry: { state: 'expired' } })
      })

      test('the same request finds the hold that waits for it, or may run; another, or a later one, has its own', async () => {
        const open = (id: string, request?: string, subject = 'writer') => {
          const held = heldExchange(id)
          return store.openHold({ ...held, principal: { ...held.principal, subject } }, 10, request)
        }
        expect((await open('a', 'r1')).id).toBe('a')
        expect((await open('b', 'r1')).id).toBe('a')
        expect((await open('c', 'r2')).id).toBe('c')
        expect((await open('d', 'r1', 'other')).id).toBe('d')
        expect((await open('e')).id).toBe('e')
        expect((await open('f')).id).toBe('f')
        await store.decideHold('a', approval(), () => 'approved')
        expect(await open('g', 'r1')).toMatchObject({ id: 'a', state: 'approved' })
        await store.startHold('a', clock.now(), 'w1')
        expect((await open('h', 'r1')).id).toBe('h')
        const racing = await Promise.all(Array.from({ length: 20 }, (_, i) => open(`race${i}`, 'r3')))
        expect(new Set(racing.map(({ id }) => id)).size).toBe(1)
      })

      test('a request whose hold ran out of time has a new one, and the old one is swept as any', async () => {
        await store.openHold(heldExchange('a'), 10, 'r1')
        clock.time += 60_000
        const later = heldExchange('b', clock.now() + 60_000)
        expect(await store.openHold(later, 10, 'r1')).toMatchObject({ id: 'b', state: 'pending' })
        expect((await store.expireHolds(clock.now())).map(({ id }) => id)).toEqual(['a'])
      })

      test('what ended unknown can be settled, once; nothing else can', async () => {
        const outcome = { code: 'settled', detail: 'its job ran' }
        await approved('h1')
        await store.startHold('h1', clock.now(), 'w1')
        expect(await store.settleHold('h1', 'done', outcome)).toMatchObject({
          moved: false,
          entry: { state: 'running' },
        })
        await store.abandonRunning('w1')
        expect(await store.settleHold('h1', 'done', outcome)).toMatchObject({
          moved: true,
          entry: { state: 'done', outcome },
        })
        expect(await store.settleHold('h1', 'failed', outcome)).toMatchObject({
          moved: false,
          entry: { state: 'done' },
        })
      })

      test('runs once, and only what was approved', async () => {
        await store.openHold(heldExchange('h1'))
        expect(await store.startHold('h1', clock.now(), 'w1')).toMatchObject({
          moved: false,
          entry: { state: 'pending' },
        })
        await store.decideHold('h1', approval(), () => 'approved')
        const starts = await Promise.all(Array.from({ length: 20 }, () => store.startHold('h1', clock.now(), 'w1')))
        expect(starts.filter(({ moved }) => moved)).toHaveLength(1)
        const outcome = { code: 'done', detail: '1 row changed' }
        expect(await store.endHold('h1', 'done', outcome)).toMatchObject({
          moved: true,
          entry: { state: 'done', outcome },
        })
        expect(await store.endHold('h1', 'failed', outcome)).toMatchObject({ moved: false, entry: { state: 'done' } })
        expect(await store.startHold('h1', clock.now(), 'w1')).toMatchObject({ moved: false, entry: { state: 'done' } })
      })

      test('what was withdrawn or rejected does not run', async () => {
        await store.openHold(heldExchange('h1'))
        await store.openHold(heldExchange('h2'))
        await store.decideHold('h1', { ...approval(), effect: 'withdraw' }, () => 'withdrawn')
        await store.decideHold('h2', { ...approval(), effect: 'reject' }, () => 'rejected')
        for (const id of ['h1', 'h2']) {
          expect(await store.decideHold(id, approval(), () => 'approved')).toMatchObject({ moved: false })
          expect(await store.startHold(id, clock.now(), 'w1')).toMatchObject({ moved: false })
        }
        expect((await store.hold('h1'))?.state).toBe('withdrawn')
        expect((await store.hold('h2'))?.state).toBe('rejected')
      })

      test('a moment before its time it can be approved and run, at its time neither', async () => {
        await store.openHold(heldExchange('h1'))
        await store.openHold(heldExchange('h2'))
        clock.time += 59_999
        expect(await store.decideHold('h1', approval(), () => 'approved')).toMatchObject({ moved: true })
        clock.time += 1
        expect(await store.startHold('h1', clock.now(), 'w1')).toMatchObject({
          moved: false,
          entry: { state: 'expired' },
        })
        expect(await store.decideHold('h2', approval(), () => 'approved')).toMatchObject({
          moved: false,
          entry: { state: 'expired' },
        })
        // Nor with a time of before.
        expect(await store.startHold('h1', clock.now() - 1, 'w1')).toMatchObject({ moved: false })
        expect((await store.holds({ states: ['pending', 'approved'], limit: 9 })).length).toBe(0)
        expect((await store.holds({ states: ['expired'], limit: 9 })).length).toBe(2)
      })

      test('the sweep moves each once, and leaves what runs alone', async () => {
        await store.openHold(heldExchange('h1'))
        await approved('h2')
        await approved('h3')
        await store.startHold('h3', clock.now(), 'w1')
        expect(await store.expireHolds(clock.now())).toEqual([])
        clock.time += 60_000
        const moved = await store.expireHolds(clock.now())
        expect(moved.map(({ id, state }) => `${id} ${state}`).toSorted()).toEqual(['h1 expired', 'h2 expired'])
        expect(await store.expireHolds(clock.now())).toEqual([])
        expect((await store.hold('h3'))?.state).toBe('running')
      })

      test('what a gateway was running when it died is unknown, and does not run again', async () => {
        for (const id of ['h1', 'h2']) {
          await approved(id)
          await store.startHold(id, clock.now(), id === 'h1' ? 'w1' : 'w2')
        }
        expect((await store.abandonRunning('w1')).map(({ id, state }) => [id, state])).toEqual([['h1', 'unknown']])
        expect(await store.abandonRunning('w1')).toEqual([])
        expect((await store.hold('h1'))?.outcome?.code).toBe('gateway-ended')
        expect(await store.startHold('h1', clock.now(), 'w1')).toMatchObject({ moved: false })
        expect((await store.hold('h2'))?.state).toBe('running')
      })

      test('a change of what is not there is said to be so', async () => {
        await expect(store.decideHold('x', approval(), () => 'approved')).rejects.toMatchObject({ code: 'not-found' })
        await expect(store.startHold('x', clock.now(), 'w')).rejects.toMatchObject({ code: 'not-found' })
      })
    })

    describe('waiting', () => {
      test('ends at once where the state is another already, or there is no hold', async () => {
        const entry = await approved('h1')
        expect(await store.waitHold('h1', 'pending', 60_000, never)).toEqual(entry)
        expect(await store.waitHold('nowhere', 'pending', 60_000, never)).toBeUndefined()
      })

      test('ends at the decision, for everybody who waits', async () => {
        await store.openHold(heldExchange('h1'))
        const waits = Array.from({ length: 5 }, () => store.waitHold('h1', 'pending', 60_000, never))
        const { entry } = await store.decideHold('h1', approval(), () => 'approved')
        expect(await Promise.all(waits)).toEqual(Array.from({ length: 5 }, () => entry))
      })

      test('never misses a decision, whenever it comes', async () => {
        for (let i = 0; i < 50; i += 1) {
          await store.openHold(heldExchange(`h${i}`))
          const deciding = store.decideHold(`h${i}`, approval(), () => 'approved')
          for (let turn = 0; turn < i % 4; turn += 1) await Promise.resolve()
          const waited = await store.waitHold(`h${i}`, 'pending', 60_000, never)
          expect(waited?.state).toBe('approved')
          await deciding
        }
      })

      test('ends when the time is up, and when nobody waits any more, with the entry as it is', async () => {
        const entry = await store.openHold(heldExchange('h1'))
        expect(await store.waitHold('h1', 'pending', 5, never)).toEqual(entry)
        const leaving = new AbortController()
        const wait = store.waitHold('h1', 'pending', 60_000, leaving.signal)
        leaving.abort()
        expect(await wait).toEqual(entry)
        expect(await store.waitHold('h1', 'pending', 60_000, AbortSignal.abort())).toEqual(entry)
      })

      test('ends when the hold expires', async () => {
        await store.openHold(heldExchange('h1'))
        const wait = store.waitHold('h1', 'pending', 60_000, never)
        clock.time += 60_000
        expect((await wait)?.state).toBe('expired')
      })
    })

    describe('idempotency keys', () => {
      const owner = { issuer: 'sandbox', subject: 'agent' }
      const claim = (over: Partial<KeyClaim> = {}): KeyClaim => ({
        owner,
        key: 'k1',
        requestDigest: 'd1',
        exchange: 'e1',
        outcome: { kind: 'held', hold: 'e1' },
        at: clock.now(),
        expiresAt: clock.now() + 1_000,
        ...over,
      })

      test('a key is claimed once, and tells what the first request came to', async () => {
        const outcome = { kind: 'ran' as const, exchange: permittedExchange('e1') }
        expect(await store.claimKey(claim({ outcome }))).toEqual({ state: 'fresh' })
        expect(await store.claimKey(claim({ exchange: 'e2' }))).toEqual({ state: 'taken', exchange: 'e1', outcome })
        expect(await store.claimKey(claim({ exchange: 'e2', requestDigest: 'd2' }))).toEqual({
          state: 'conflict',
          exchange: 'e1',
        })
      })

      test('one of racing claims is fresh', async () => {
        const claims = Array.from({ length: 30 }, (_, i) => store.claimKey(claim({ exchange: `e${i}` })))
        expect((await Promise.all(claims)).filter(({ state }) => state === 'fresh')).toHaveLength(1)
      })

      test('keys of two principals have nothing to do with each other', async () => {
        await store.claimKey(claim())
        const other = { issuer: 'sandbox', subject: 'writer' }
        expect(await store.claimKey(claim({ owner: other }))).toEqual({ state: 'fresh' })
      })

      test('once it has run out, a key can be claimed again', async () => {
        await store.claimKey(claim())
        clock.time += 999
        expect(await store.claimKey(claim({ exchange: 'e2' }))).toMatchObject({ state: 'taken', exchange: 'e1' })
        clock.time += 1
        expect(await store.claimKey(claim({ requestDigest: 'd2', exchange: 'e3' }))).toEqual({ state: 'fresh' })
      })
    })

    describe('budgets', () => {
      const owner = { issuer: 'sandbox', subject: 'agent' }
      const reservation = (over: Partial<Reservation> = {}): Reservation => ({
        owner,
        connection: 'warehouse',
        job: 'e1',
        reader: over.job ?? 'e1',
        day: '2026-01-02',
        amounts: { queries: 1, rows: 100 },
        limits: { queries: 10, rows: 1_000 },
        keepUntil: clock.now(),
        ...over,
      })
      const granted = { granted: true }
      const settle = (job: string, rows: number | undefined, over: { reader?: string; whole?: boolean } = {}) =>
        store.settle({ job, reader: job, spent: rows === undefined ? {} : { rows }, whole: true, ...over })
      /** What is used, as the refusal of one that asks for far too much says. */
      const used = async (over: Partial<Reservation> = {}): Promise<number> => {
        const much = { amounts: { rows: 1e12 }, limits: { rows: 1_000 } }
        const answer = await store.reserve(reservation({ job: 'probe', ...much, ...over }))
        return answer.granted ? -1 : answer.used
      }

      test('what fits is granted, up to the last unit; what does not, says how much was used', async () => {
        for (let i = 0; i < 9; i++) expect(await store.reserve(reservation({ job: `e${i}` }))).toEqual(granted)
        expect(await store.reserve(reservation({ job: 'more', amounts: { queries: 1, rows: 101 } }))).toEqual({
          granted: false,
          budget: 'rows',
          limit: 1_000,
          used: 900,
          asked: 101,
        })
        expect(await store.reserve(reservation({ job: 'last' }))).toEqual(granted)
        expect(await store.reserve(reservation({ job: 'over', amounts: { queries: 1, rows: 0 } }))).toEqual({
          granted: false,
          budget: 'queries',
          limit: 10,
          used: 10,
          asked: 1,
        })
      })

      test('all or none: what one budget has no room for takes nothing of the others', async () => {
        const big = reservation({ job: 'big', amounts: { queries: 1, rows: 1_001 } })
        for (let i = 0; i < 20; i++) expect(await store.reserve(big)).toMatchObject({ granted: false, budget: 'rows' })
        const queries = reservation({ job: 'q', amounts: { queries: 11 }, limits: { queries: 10 } })
        expect(await store.reserve(queries)).toMatchObject({ granted: false, used: 0 })
      })

      test('of fifty racing reservations exactly as many are granted as fit', async () => {
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, i) =>
            store.reserve(reservation({ job: `e${i}`, amounts: { rows: 30 }, limits: { rows: 1_000 } })),
          ),
        )
        expect(answers.filter((answer) => answer.granted)).toHaveLength(33)
        expect(await used()).toBe(990)
      })

      test('the truth takes the place of what was set aside, more or less, and only once', async () => {
        await store.reserve(reservation({ job: 'less' }))
        await store.reserve(reservation({ job: 'more' }))
        expect(await used()).toBe(200)
        await settle('less', 7)
        await settle('less', 0)
        await settle('more', 150)
        await settle('more', 1_000)
        await settle('never reserved', 500)
        expect(await used()).toBe(157)
      })

      test('what is not told counts as it was set aside, and what is never settled stays', async () => {
        await store.reserve(reservation({ job: 'untold' }))
        await settle('untold', undefined)
        await store.reserve(reservation({ job: 'crashed' }))
        expect(await used()).toBe(200)
      })

      test('what is used can be asked for', async () => {
        expect(await store.used(owner, 'warehouse', '2026-01-02')).toEqual({})
        await store.reserve(reservation())
        expect(await store.used(owner, 'warehouse', '2026-01-02')).toEqual({ queries: 1, rows: 100 })
        await settle('e1', 40)
        expect(await store.used(owner, 'warehouse', '2026-01-02')).toEqual({ queries: 1, rows: 40 })
        expect(await store.used(owner, 'warehouse', '2026-01-03')).toEqual({})
        expect(await store.used({ ...owner, subject: 'writer' }, 'warehouse', '2026-01-02')).toEqual({})
      })

      test('other principals, connections and days have budgets of their own', async () => {
        const all = { amounts: { rows: 1_000 }, limits: { rows: 1_000 } }
        await store.reserve(reservation({ ...all, job: 'e1' }))
        for (const other of [
          { owner: { issuer: 'sandbox', subject: 'writer' } },
          { owner: { issuer: 'other', subject: 'agent' } },
          { connection: 'lake' },
          { day: '2026-01-03' },
        ]) {
          expect(await store.reserve(reservation({ ...all, job: JSON.stringify(other), ...other }))).toEqual(granted)
        }
        expect(await store.reserve(reservation({ ...all, job: 'again' }))).toMatchObject({ granted: false })
      })

      test('what is settled after midnight is of the day it was set aside on', async () => {
        await store.reserve(reservation({ job: 'late' }))
        clock.time += 86_400_000
        await settle('late', 40)
        expect(await used()).toBe(40)
        expect(await used({ day: '2026-01-03' })).toBe(0)
      })

      test('the job of a key that was read to its end can be read again for nothing', async () => {
        const kept = { keepUntil: clock.now() + 1_000 }
        await store.reserve(reservation(kept))
        await settle('e1', 60)
        await store.reserve(reservation({ job: 'rest', amounts: { rows: 940 }, limits: { rows: 1_000 } }))
        expect(await store.reserve(reservation({ ...kept, reader: 'again' }))).toEqual(granted)
        expect(await used()).toBe(1_000)
      })

      test('a job that was left early is charged for the rest when it is read again', async () => {
        const kept = { keepUntil: clock.now() + 1_000 }
        await store.reserve(reservation(kept))
        await settle('e1', 10, { whole: false })
        expect(await used()).toBe(10)
        await settle('e1', 90)
        expect(await used()).toBe(10)
        await store.reserve(reservation({ job: 'rest', amounts: { rows: 950 }, limits: { rows: 1_000 } }))
        expect(await store.reserve(reservation({ ...kept, reader: 'again' }))).toEqual({
          granted: false,
          budget: 'rows',
          limit: 1_000,
          used: 960,
          asked: 90,
        })
        await settle('rest', 900)
        expect(await store.reserve(reservation({ ...kept, reader: 'again' }))).toEqual(granted)
        expect(await used()).toBe(1_000)
        await settle('e1', 60, { reader: 'again' })
        expect(await used()).toBe(960)
      })

      test('one reader who leaves frees nothing while another still reads', async () => {
        await store.reserve(reservation())
        await store.reserve(reservation({ reader: 'second' }))
        expect(await used()).toBe(100)
        await settle('e1', 0, { whole: false })
        expect(await used()).toBe(100)
        await settle('e1', 80, { reader: 'second' })
        expect(await used()).toBe(80)
      })

      test("a job of another principal is nobody else's", async () => {
        await store.reserve(reservation())
        const thief = { owner: { issuer: 'sandbox', subject: 'thief' } }
        await expect(store.reserve(reservation(thief))).rejects.toMatchObject({ code: 'internal' })
      })

      test.each([Number.NaN, -1, 0.5, Infinity])('an amount of %s is refused', async (rows) => {
        await expect(store.reserve(reservation({ amounts: { rows } }))).rejects.toMatchObject({ code: 'internal' })
        await expect(store.reserve(reservation({ limits: { rows } }))).rejects.toMatchObject({ code: 'internal' })
        expect(await used()).toBe(0)
      })

      test('counters are swept once their day is long past', async () => {
        await store.reserve(reservation({ job: 'old' }))
        clock.time += 6 * 86_400_000
        await store.expireHolds(clock.now())
        expect(await used()).toBe(100)
        clock.time += 2 * 86_400_000
        await store.expireHolds(clock.now())
        expect(await used()).toBe(0)
        await settle('old', 5)
        expect(await used()).toBe(0)
      })
    })

    test('it is ready while it is open, and no longer', async () => {
      await store.ready(never)
      await store.close()
      await expect(store.ready(never)).rejects.toMatchObject({ code: 'store-unavailable' })
      await expect(store.openHold(heldExchange('late'))).rejects.toMatchObject({ code: 'store-unavailable' })
      await expect(store.hold('late')).rejects.toMatchObject({ code: 'store-unavailable' })
      const spent = { job: 'late', reader: 'late', spent: {}, whole: true }
      await expect(store.settle(spent)).rejects.toMatchObject({ code: 'store-unavailable' })
    })
  })
}
