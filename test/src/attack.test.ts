/** Parts that fail between one station and the next: what was decided still comes to an end on record. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { oneByOne } from '../../src/assemble.ts'
import type { Decision, Held } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import { Health } from '../../src/health.ts'
import type { HoldEntry, KeyClaim, KeyState, Store } from '../../src/hold/contract.ts'
import { openSqliteStore } from '../../src/hold/sqlite.node.ts'
import { Inflight } from '../../src/inflight.ts'
import { AGENT, BROKEN, HOLD, journey, PERMIT, QUESTION, STATEMENT } from '../support/journey.ts'

const KEYED = async () => ({ ...QUESTION, idempotencyKey: 'k' })
const DOWN = new Failure('store-unavailable', 'the state store does not answer')

function entryOf(exchange: Held, state: HoldEntry['state'] = 'pending'): HoldEntry {
  return { id: exchange.id, state, exchange, createdAt: 0, expiresAt: 2_000_000, decisions: [] }
}
const HELD = {
  id: 'id-0',
  receivedAt: 0,
  surface: 'query',
  principal: AGENT,
  connection: 'warehouse',
  statement: STATEMENT,
  findings: [],
  decision: HOLD,
  policy: 'sha256:1',
} as Held

describe('a held request that comes to nothing', () => {
  it.each([
    ['its key is of another request', { claimKey: async () => ({ state: 'conflict', exchange: 'x' }) as const }],
    ['the store takes no hold', { openHold: () => Promise.reject(DOWN) }],
  ])('is on record as failed, not as waiting, when %s', async (_, store: Partial<Store>) => {
    const { gateway, records, knock } = journey({ decide: () => HOLD, store: { ...keys(), ...store } })
    await expect(gateway.handle(knock(), KEYED)).rejects.toBeInstanceOf(Failure)
    expect(records.map(({ kind }) => kind)).toEqual(['decided', 'failed'])
  })

  it('is the hold of the request that was faster, where both have one key', async () => {
    const first = entryOf({ ...HELD, id: 'id-0' })
    let looked = 0
    const store: Partial<Store> = {
      ...keys({ state: 'taken', exchange: 'id-0', outcome: { kind: 'held', hold: 'id-0' } }),
      hold: async () => (looked++ === 0 ? undefined : first),
      openHold: () => Promise.reject(new Failure('conflict', 'hold `id-0` is there already')),
    }
    const { gateway, records, knock } = journey({ decide: () => HOLD, store })
    expect(await gateway.handle(knock(), KEYED)).toMatchObject({ kind: 'held', hold: { id: 'id-0' } })
    expect(records.map(({ kind }) => kind)).toEqual(['decided'])
  })
})

describe('a permitted request whose key belongs to a hold', () => {
  it('is answered with the hold and leaves no permit without an end', async () => {
    const store = {
      ...keys({ state: 'taken', exchange: 'id-0', outcome: { kind: 'held', hold: 'id-0' } }),
      hold: async () => entryOf(HELD),
    }
    const { gateway, records, events, knock, inflight } = journey({ store })
    expect(await gateway.handle(knock(), KEYED)).toMatchObject({ kind: 'held', hold: { id: 'id-0' } })
    expect(records.map(({ kind, failure }) => [kind, failure?.code])).toEqual([
      ['decided', undefined],
      ['failed', 'conflict'],
    ])
    expect([events.some((event) => event.startsWith('run')), inflight.count]).toEqual([false, 0])
  })
})

describe('an approved hold whose completion cannot be recorded', () => {
  it('is done all the same, and never stays running', async () => {
    const ends: unknown[] = []
    const approved = entryOf(HELD, 'approved')
    const store: Partial<Store> = {
      hold: async () => approved,
      startHold: async () => ({ moved: true, entry: { ...approved, state: 'running' } }),
      endHold: async (id, to) => {
        ends.push([id, to])
        return { moved: true, entry: { ...approved, state: to } }
      },
    }
    const append = async ({ kind }: { kind: string }): Promise<void> => {
      if (kind === 'completed') throw BROKEN
    }
    const { gateway, knock } = journey({ store, append, decide: () => PERMIT })
    const outcome = await gateway.resume(knock(), 'id-0')
    if (outcome.kind !== 'answer') throw new Error(outcome.kind)
    await expect(async () => {
      for await (const _ of outcome.rows);
    }).rejects.toBe(BROKEN)
    expect(ends).toEqual([['id-0', 'done']])
  })
})

describe('a word on a hold while nothing can be recorded', () => {
  it('moves nothing', async () => {
    const moves: string[] = []
    const store: Partial<Store> = {
      hold: async () => entryOf(HELD),
      decideHold: async (id) => {
        moves.push('decided')
        return { moved: true, entry: { ...entryOf(HELD), id, state: 'approved' } }
      },
    }
    const owner = { ...AGENT, subject: 'owner', kind: 'person', plane: 'people', groups: ['data-owners'] } as const
    const { approvals, knock } = journey({ store: store as Store, identify: async () => owner, writable: false })
    const word = approvals.decide(knock(), 'id-0', 'approve', async () => ({ comment: '' }))
    await expect(word).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(moves).toEqual([])
  })
})

describe('holds whose time runs out while nothing can be recorded', () => {
  it('are moved once it can, and one record that fails loses none of the others', async () => {
    let sweeps = 0
    const late = ['a', 'b', 'c'].map((id) => entryOf({ ...HELD, id }, 'expired'))
    const expireHolds = async () => (sweeps++, late)
    await journey({ store: { expireHolds }, writable: false }).approvals.expire()
    expect(sweeps).toBe(0)
    const append = async ({ exchange }: { exchange: string }): Promise<void> => {
      if (exchange === 'a') throw BROKEN
    }
    const { approvals, records } = journey({ store: { expireHolds }, append })
    await expect(approvals.expire()).rejects.toBe(BROKEN)
    expect(records.map(({ hold }) => hold)).toEqual([
      { id: 'b', state: 'expired' },
      { id: 'c', state: 'expired' },
    ])
  })
})

describe('a journal with a damaged part', () => {
  it('shows in the figures: evidence that is missing is no secret', () => {
    const figure = (deliveryProblem?: string): string | undefined => {
      const status = () => ({
        writable: true,
        tight: false,
        backlogRecords: 0,
        backlogBytes: 0,
        ...(deliveryProblem && { deliveryProblem }),
      })
      const audit = { append: async () => {}, status, close: async () => {} }
      return /^sluice_audit_delivery_problem (.*)$/m.exec(new Health([], audit, new Inflight(1, 1000)).metrics())?.[1]
    }
    expect([figure(), figure('segment-damaged')]).toEqual(['0', '1'])
  })
})

describe('callers who wait for a person', () => {
  it('take no place from those who work, and are bounded themselves', async () => {
    let decide = (): void => {}
    const decided = new Promise<void>((resolve) => (decide = resolve))
    let begun = (): void => {}
    const store: Partial<Store> = {
      hold: async () => entryOf({ ...HELD, principal: AGENT }),
      openHold: async (exchange) => entryOf(exchange),
      waitHold: async () => {
        begun()
        await decided
        return entryOf(HELD, 'rejected')
      },
    }
    let effect: Decision = HOLD
    const { approvals, gateway, knock, inflight } = journey({ store, inflight: 1, decide: () => effect })
    const waiting: Promise<unknown>[] = []
    /** Resolves when the caller waits. */
    const waits = async (call: () => Promise<unknown>): Promise<void> => {
      const there = new Promise<void>((resolve) => (begun = resolve))
      waiting.push(call())
      await there
    }
    await waits(() => approvals.see(knock(), 'id-0', 60_000))
    await waits(() => gateway.handle(knock(), async () => ({ ...QUESTION, waitMs: 60_000 })))
    effect = PERMIT
    const outcome = await gateway.handle(knock(), async () => QUESTION)
    if (outcome.kind !== 'answer') throw new Error(outcome.kind)
    await outcome.rows.return(undefined as never)
    expect(inflight.count).toBe(2)

    for (let n = 2; n < 16; n++) await waits(() => approvals.see(knock(), 'id-0', 60_000))
    await expect(approvals.see(knock(), 'id-0', 60_000)).rejects.toMatchObject({ code: 'overloaded' })
    expect(inflight.count).toBe(16)
    decide()
    await Promise.all(waiting)
    expect(inflight.count).toBe(0)
  })
})

describe('an agent that floods the approvers with holds', () => {
  it('does not push those of others out of their listing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-flood-'))
    const clock = { now: () => 1_000_000, monotonic: () => 0 }
    const store = await openSqliteStore({ path: join(folder, 'state.db'), clock, writer: 'w1' })
    const other = { ...HELD.principal, subject: 'other' }
    await store.openHold({ ...HELD, id: '0-mine' })
    await Promise.all(
      Array.from({ length: 1200 }, (_, n) => store.openHold({ ...HELD, id: `flood-${n}`, principal: other })),
    )
    const { approvals, knock } = journey({ store })
    expect((await approvals.list(knock())).map(({ id }) => id)).toEqual(['0-mine'])
    expect((await approvals.list(knock(), ['pending'])).map(({ id }) => id)).toEqual(['0-mine'])
    expect(await approvals.list(knock(), ['approved'])).toEqual([])
    await store.close()
    rmSync(folder, { recursive: true })
  })
})

describe('a storm of readiness checks', () => {
  it('asks the upstreams once', async () => {
    let asked = 0
    const probe = { name: 'warehouse', ready: async () => void asked++ }
    const status = () => ({ writable: true, tight: false, backlogRecords: 0, backlogBytes: 0 })
    const health = new Health([probe], { append: async () => {}, status, close: async () => {} }, new Inflight(1, 1000))
    const all = await Promise.all(Array.from({ length: 100 }, () => health.check()))
    expect([asked, new Set(all.map(({ status: ready }) => ready))]).toEqual([1, new Set(['ready'])])
    await health.check()
    expect(asked).toBe(2)
  })
})

describe('work that is asked for again while it is under way', () => {
  it('runs one by one: what was read first never wins over what was read last, and a storm is two rounds', async () => {
    const gates: (() => void)[] = []
    let running = 0
    const rounds: number[] = []
    const load = oneByOne(async () => {
      rounds.push(++running)
      await new Promise<void>((resolve) => gates.push(resolve))
      return running--
    })
    const storm = Array.from({ length: 50 }, () => load())
    await Promise.resolve()
    for (let n = 0; n < 2; n++) {
      while (gates.length === 0) await new Promise((resolve) => setImmediate(resolve))
      gates.pop()?.()
    }
    await Promise.all(storm)
    expect(rounds).toEqual([1, 1])
  })

  it('goes on after a round that failed', async () => {
    let round = 0
    const load = oneByOne(async () => {
      if (++round === 1) throw BROKEN
      return round
    })
    const [first, second] = [load(), load()]
    await expect(first).rejects.toBe(BROKEN)
    expect(await second).toBe(2)
  })
})

/** A store of keys that knows one answer. */
function keys(state: KeyState = { state: 'fresh' }): Partial<Store> {
  return {
    claimKey: async (_claim: KeyClaim) => state,
    openHold: async (exchange) => entryOf(exchange),
  }
}
