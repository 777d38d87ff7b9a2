/** Budgets as the gateway keeps them, over the embedded store. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { mostOf } from '../../src/budget.ts'
import type { Amounts, Permit, Principal } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import { budgetsOf, type ActivePlugin } from '../../src/fulfil.ts'
import type { Outcome, SqlQuestion } from '../../src/gateway.ts'
import type { Store } from '../../src/hold/contract.ts'
import { openSqliteStore } from '../../src/hold/sqlite.node.ts'
import { AGENT, HOLD, journey, PERMIT, QUESTION, rows, STATEMENT } from '../support/journey.ts'

const NOON = Date.UTC(2026, 0, 2, 12)
const DAY = 86_400_000

const LIMITED: Permit = { ...PERMIT, obligations: [{ name: 'limits', terms: [] }] }

let folder: string
let store: Store
let time: number
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-budget-'))
  time = NOON
  const clock = { now: () => time, monotonic: () => time }
  store = await openSqliteStore({ path: join(folder, 'state.db'), clock, writer: 'w1' })
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

function limiting(budgets: Amounts, name = 'limits'): ActivePlugin {
  const fulfil = { [name]: { terms: { parse: (input: unknown) => input }, budgets: () => budgets } }
  return { name, hooks: { fulfil } }
}

/** A gateway whose principals may spend `budgets` per day; each answer has three rows. */
function under(budgets: Amounts, more: Parameters<typeof journey>[0] = {}) {
  const made = journey({ decide: () => LIMITED, plugins: [limiting(budgets)], store, now: () => time, ...more })
  const ask = (part: Partial<SqlQuestion> = {}): Promise<Outcome> =>
    made.gateway.handle(made.knock(), async () => ({ ...QUESTION, ...part }))
  const read = async (part: Partial<SqlQuestion> = {}): Promise<number> => {
    const outcome = await ask(part)
    if (outcome.kind !== 'answer') throw new Error(`expected an answer, got ${outcome.kind}`)
    let count = 0
    for await (const batch of outcome.rows) count += batch.rowCount
    return count
  }
  const runs = () => made.events.filter((event) => event.startsWith('run ')).length
  return { ...made, ask, read, runs }
}

/** What is used of a budget today, as a request for too much of it is told. */
async function used(budget: keyof Amounts, day = '2026-01-02', owner: Partial<Principal> = {}): Promise<number> {
  const { issuer, subject } = { ...AGENT, ...owner }
  const probe = {
    owner: { issuer, subject },
    connection: 'warehouse',
    job: 'probe',
    reader: 'probe',
    day,
    keepUntil: 0,
  }
  const answer = await store.reserve({ ...probe, amounts: { [budget]: 1e12 }, limits: { [budget]: 1 } })
  return answer.granted ? Number.NaN : answer.used
}

describe('a budget', () => {
  it('is spent by what was truly answered, and then says what is left and until when', async () => {
    const { read, runs, events, records, inflight } = under({ rows: 105 })
    expect([await read(), await read()]).toEqual([3, 3])
    expect(await used('rows')).toBe(6)
    const refusal = expect.objectContaining({
      code: 'budget-exhausted',
      status: 429,
      message: 'your budget of `rows` on `warehouse` is 105 per day; 6 are used, and this request may take 100',
      detail: {
        fix: 'ask for fewer rows with `maxRows`: 99 are left; or ask again after midnight UTC',
        retryAfter: 43_200,
      },
    })
    await expect(read()).rejects.toEqual(refusal)
    expect(runs()).toBe(2)
    expect(events.slice(-2)).toEqual(['audit decided', 'audit failed'])
    expect(records.at(-1)).toMatchObject({ kind: 'failed', failure: { code: 'budget-exhausted' } })
    expect(await read({ maxRows: 99 })).toBe(3)
    expect(inflight.count).toBe(0)
  })

  it('is new the next day', async () => {
    const { read } = under({ queries: 1 })
    await read()
    await expect(read()).rejects.toMatchObject({
      code: 'budget-exhausted',
      detail: { fix: 'ask again after midnight UTC' },
    })
    time = Math.ceil(time / DAY) * DAY - 1
    await expect(read()).rejects.toMatchObject({ code: 'budget-exhausted', detail: { retryAfter: 1 } })
    time += 1
    expect(await read()).toBe(3)
  })

  it('of one principal is not that of another', async () => {
    const { read } = under({ queries: 1 })
    await read()
    const other = under({ queries: 1 }, { identify: async () => ({ ...AGENT, subject: 'other' }) })
    const namesake = under({ queries: 1 }, { identify: async () => ({ ...AGENT, issuer: 'other' }) })
    expect([await other.read(), await namesake.read()]).toEqual([3, 3])
    await expect(read()).rejects.toMatchObject({ code: 'budget-exhausted' })
  })

  it('cannot be overspent by asking at once', async () => {
    const { ask, runs } = under({ rows: 350 }, { inflight: 100 })
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => ask()))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    expect(runs()).toBe(3)
  })

  it('is set aside while the answer is on its way', async () => {
    const { ask, read } = under({ rows: 150 })
    const first = await ask()
    await expect(read()).rejects.toMatchObject({ code: 'budget-exhausted' })
    if (first.kind === 'answer') await first.rows.return(undefined as never)
    expect(await read()).toBe(3)
  })

  it('counts what was read of an answer that was left early', async () => {
    async function* many() {
      for (;;) yield rows(1, 2, 3)
    }
    const { ask } = under({ rows: 1_000, bytesBilled: 5_000 }, { batches: many })
    const outcome = await ask()
    if (outcome.kind !== 'answer') throw new Error('no answer')
    await outcome.rows.next()
    await outcome.rows.next()
    await outcome.rows.return(undefined as never)
    // Nobody said what was billed: all that was set aside counts.
    expect([await used('rows'), await used('bytesBilled')]).toEqual([6, 1_000])
  })

  it.each([
    ['what was billed', { bytesBilled: 2_500 }, 2_500],
    ['nothing for an answer from the cache', { cacheHit: true }, 0],
    ['all that was set aside where nobody says', {}, 1_000],
  ])('of bytes counts %s', async (_, statistics, bytes) => {
    const { read } = under({ bytesBilled: 5_000 }, { statistics })
    await read()
    expect(await used('bytesBilled')).toBe(bytes)
  })

  it('is not spent by what is denied, held or foreseen', async () => {
    const denied = under({ queries: 1 }, { denyByName: () => ({ effect: 'deny', reasons: [] }) })
    expect(await denied.ask()).toMatchObject({ kind: 'denied' })
    const held = under(
      { queries: 1 },
      { decide: () => ({ ...HOLD, obligations: LIMITED.obligations, expiresAt: NOON + DAY }) },
    )
    expect(await held.ask()).toMatchObject({ kind: 'held' })
    const { gateway, knock, read } = under({ queries: 1 })
    expect(await gateway.preflight(knock(), async () => QUESTION)).toMatchObject({
      standing: [{ budget: 'queries', limit: 1, used: 0, takes: 1 }],
    })
    expect(await used('queries')).toBe(0)
    expect(await read()).toBe(3)
  })

  it('counts a statement that the warehouse refused as asked, and nothing else of it', async () => {
    const run = () => Promise.reject(new Failure('upstream-refused', 'no'))
    const { ask } = under({ queries: 5, rows: 1_000, bytesBilled: 5_000 }, { connector: { run } })
    await expect(ask()).rejects.toMatchObject({ code: 'upstream-refused' })
    expect([await used('queries'), await used('rows'), await used('bytesBilled')]).toEqual([1, 0, 0])
  })

  it('counts the bytes of what broke, for they may be billed', async () => {
    const run = () => Promise.reject(new Failure('upstream-failed', 'it broke'))
    const { ask } = under({ rows: 1_000, bytesBilled: 5_000 }, { connector: { run } })
    await expect(ask()).rejects.toMatchObject({ code: 'upstream-failed' })
    expect([await used('rows'), await used('bytesBilled')]).toEqual([0, 1_000])
  })

  it('that the store cannot count lets nothing run', async () => {
    const { ask, runs, records, inflight } = under({ queries: 5 })
    await store.close()
    await expect(ask()).rejects.toMatchObject({ code: 'store-unavailable' })
    expect([runs(), records.at(-1)?.kind, inflight.count]).toEqual([0, 'failed', 0])
  })

  it('that the store cannot tell is left out of what is foreseen', async () => {
    const { gateway, knock, events } = under({ queries: 5 })
    await store.close()
    expect(await gateway.preflight(knock(), async () => QUESTION)).toMatchObject({ standing: [] })
    expect(events.slice(-1)).toEqual(['audit decided'])
  })

  it('that cannot be settled stays set aside, and the answer is given', async () => {
    const broken: Partial<Store> = {
      reserve: (reservation) => store.reserve(reservation),
      settle: () => Promise.reject(new Failure('store-unavailable', 'no disk')),
    }
    const { read } = under({ rows: 1_000 }, { store: broken })
    expect(await read()).toBe(3)
    expect(await used('rows')).toBe(100)
  })
})

describe('a request that is sent again', () => {
  it("is answered from the first one's job and spends nothing more", async () => {
    const { read, events } = under({ queries: 1, rows: 100 })
    expect([await read({ idempotencyKey: 'k' }), await read({ idempotencyKey: 'k' })]).toEqual([3, 3])
    expect(events.filter((event) => event.startsWith('run '))).toEqual(['run id-1', 'run id-1'])
    expect([await used('queries'), await used('rows')]).toEqual([1, 3])
    await expect(read({ idempotencyKey: 'other' })).rejects.toMatchObject({ code: 'budget-exhausted' })
  })

  it('does not run because the first could not', async () => {
    const { read, runs } = under({ queries: 1 })
    await read()
    for (let i = 0; i < 3; i++) {
      await expect(read({ idempotencyKey: 'k' })).rejects.toMatchObject({ code: 'budget-exhausted' })
    }
    expect(runs()).toBe(1)
    time += DAY
    expect(await read({ idempotencyKey: 'k' })).toBe(3)
  })

  it('reads for nothing only what the first was charged', async () => {
    const { ask, read } = under({ rows: 103 })
    const first = await ask({ idempotencyKey: 'k' })
    if (first.kind === 'answer') await first.rows.return(undefined as never)
    await read()
    await read({ maxRows: 90 })
    expect(await used('rows')).toBe(6)
    await expect(read({ idempotencyKey: 'k' })).rejects.toMatchObject({ code: 'budget-exhausted' })
  })
})

describe('an approved hold', () => {
  it('whose run finds no room ends as failed: nothing ran', async () => {
    const decide = () => ({ ...HOLD, obligations: LIMITED.obligations, expiresAt: NOON + DAY })
    const { ask, gateway, knock, runs } = under({ rows: 50 }, { decide })
    const outcome = await ask()
    if (outcome.kind !== 'held') throw new Error('it is not held')
    const by = { issuer: 'sandbox', subject: 'owner' }
    await store.decideHold(
      outcome.hold.id,
      { by, groups: ['data-owners'], effect: 'approve', comment: '', at: time },
      () => 'approved',
    )
    await expect(gateway.resume(knock(), outcome.hold.id)).rejects.toMatchObject({ code: 'budget-exhausted' })
    expect([runs(), await used('rows')]).toEqual([0, 0])
    expect(await store.hold(outcome.hold.id)).toMatchObject({
      state: 'failed',
      outcome: { code: 'budget-exhausted', detail: 'nothing ran' },
    })
  })
})

describe('what is set aside', () => {
  const of = (more: Partial<typeof STATEMENT>) => mostOf({ ...STATEMENT, bounds, ...more })
  const bounds = { maxRows: 100, timeoutMs: 1, maxBytesBilled: 1e9 }
  const estimate = { bytes: 30_000_000, kind: 'SELECT', tables: ['a'], output: [] }
  const MiB = 1_048_576

  it('is the most that it may come to', () => {
    expect(of({ estimate })).toEqual({ queries: 1, rows: 100, bytesBilled: 29 * MiB })
    expect(of({ estimate: { ...estimate, bytes: 0, tables: [] } }).bytesBilled).toBe(0)
    expect(of({ estimate: { ...estimate, bytes: 1, tables: ['a', 'b'] } }).bytesBilled).toBe(20 * MiB)
    expect(of({ estimate: { ...estimate, bytes: 1e12 } }).bytesBilled).toBe(1e9)
  })

  it('is all that is allowed where nobody can say', () => {
    expect(of({})).toEqual({ queries: 1, rows: 100, bytesBilled: 1e9 })
    expect(of({ estimate, kind: 'SCRIPT' })).toEqual({ queries: 1, rows: 100, bytesBilled: 1e9 })
  })

  it('is no row for a statement that answers none', () => {
    expect(of({ estimate, kind: 'INSERT' }).rows).toBe(0)
  })
})

describe('budgets of several obligations', () => {
  it('are the lowest of each', () => {
    const plugins = [limiting({ rows: 5, queries: 2 }), limiting({ rows: 3, bytesBilled: 9 }, 'other')]
    const obligations = ['limits', 'other', 'unknown'].map((name) => ({ name, terms: [] }))
    expect(budgetsOf(obligations, plugins)).toEqual({ queries: 2, rows: 3, bytesBilled: 9 })
  })

  it.each([Number.NaN, -1, 0.5, Infinity])('that are no numbers (%s) are refused', (limit) => {
    const plugins = [limiting({ rows: limit })]
    expect(() => budgetsOf([{ name: 'limits', terms: [] }], plugins)).toThrow('no whole number')
  })
})
