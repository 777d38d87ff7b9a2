/** What is evidence besides queries, and what happens when the journal is in trouble. */
import { describe, expect, it } from 'vitest'
import { recordable, sameDocuments } from '../../src/documents.ts'
import type { Read, SqlQuestion } from '../../src/gateway.ts'
import type { Store } from '../../src/hold/contract.ts'
import type { Statements } from '../../src/statement/contract.ts'
import { sqlStatement } from '../support/statement.ts'
import { AGENT, BROKEN, journey, QUESTION, STATEMENT } from '../support/journey.ts'

const read: Read = async () => QUESTION as SqlQuestion
const WRITE = sqlStatement({
  ...STATEMENT,
  kind: 'INSERT',
  uses: [
    { action: 'read', resource: 'shop.customers' },
    { action: 'write', resource: 'shop.leads' },
  ],
})
const writes = {
  statements: { bind: async () => WRITE } as Partial<Statements>,
  connector: {
    estimate: async () => ({ bytes: 10, kind: 'INSERT', tables: ['shop.customers', 'shop.leads'], output: [] }),
  },
}

describe('a journal that is filling up or slow', () => {
  it('stops a connection that blocks, before anything is decided on record or runs', async () => {
    const { gateway, events, records, knock } = journey({ tight: true })
    await expect(gateway.handle(knock(), read)).rejects.toMatchObject({
      code: 'audit-unavailable',
      message: 'the audit journal is filling up or slow: nothing begins for now',
      detail: { retryAfter: 30 },
    })
    expect(events).toEqual(['catalog', 'estimate', 'audit refused'])
    expect(records[0]?.failure?.code).toBe('audit-unavailable')
  })

  it('lets a connection go on reading that may, and records it; what writes is stopped', async () => {
    const reading = journey({ tight: true, whenAuditIsTight: 'read-only' })
    expect(await reading.gateway.handle(reading.knock(), read)).toMatchObject({ kind: 'answer' })
    expect(reading.events).toEqual(['catalog', 'estimate', 'audit decided', 'run id-1'])
    const writing = journey({ tight: true, whenAuditIsTight: 'read-only', ...writes })
    await expect(writing.gateway.handle(writing.knock(), read)).rejects.toMatchObject({
      code: 'audit-unavailable',
      message: 'the audit journal is filling up or slow: this connection only reads for now',
    })
    expect(writing.events).not.toContain('run id-1')
  })

  it('does not matter while there is room', async () => {
    const { gateway, events, knock } = journey(writes)
    await gateway.handle(knock(), read)
    expect(events).toContain('run id-1')
  })
})

describe('those for whom there was no room', () => {
  it('are in one record by kind, with how many they were; nobody is counted twice', async () => {
    const { gateway, door, records, knock } = journey({ inflight: 0 })
    for (let i = 0; i < 3; i++) {
      await expect(gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'overloaded' })
    }
    expect(records).toEqual([])
    await door.recordTurnedAway()
    await door.recordTurnedAway()
    expect(records.map(({ kind, surface, failure }) => ({ kind, surface, ...failure }))).toEqual([
      {
        kind: 'refused',
        surface: 'gateway',
        code: 'overloaded',
        message: '3 requests were turned away since the last of these records',
      },
    ])
  })

  it('are not forgotten while nothing can be recorded', async () => {
    let broken = true
    const append = async (): Promise<void> => {
      if (broken) throw BROKEN
    }
    const { gateway, door, records, knock } = journey({ inflight: 0, append })
    await expect(gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'overloaded' })
    await expect(door.recordTurnedAway()).rejects.toBe(BROKEN)
    broken = false
    await door.recordTurnedAway()
    expect(records.at(-1)?.failure?.message).toMatch(/^1 requests/)
  })
})

describe('who looks at what the gateway holds', () => {
  it('is recorded before anything is told', async () => {
    const { approvals, records, knock } = journey({ store: { holds: async () => [] } as Partial<Store> as Store })
    expect(await approvals.list(knock({ surface: 'holds' }))).toEqual([])
    expect(records).toEqual([
      {
        kind: 'looked',
        at: 1_000_000,
        exchange: 'id-1',
        surface: 'holds',
        plane: 'agents',
        principal: AGENT,
        note: 'a list of 0 holds',
      },
    ])
  })

  it('is told nothing where that cannot be recorded', async () => {
    const store: Partial<Store> = { holds: async () => [] }
    const { approvals, knock } = journey({ store, append: () => Promise.reject(BROKEN) })
    await expect(approvals.list(knock({ surface: 'holds' }))).rejects.toMatchObject({ code: 'audit-unavailable' })
  })
})

describe('the documents in force', () => {
  it('are recorded as they are; one that is too long by its digest', async () => {
    const long = 'x'.repeat(512 * 1024 + 1)
    expect(await recordable({ 'a.yaml': 'policy: a', 'b.yaml': long })).toEqual({
      'a.yaml': 'policy: a',
      'b.yaml': expect.stringMatching(/^\(too long to be recorded; sha256 [0-9a-f]{64}\)$/),
    })
  })

  it('differ by any text or name', () => {
    expect(sameDocuments({ a: '1', b: '2' }, { b: '2', a: '1' })).toBe(true)
    expect(sameDocuments({ a: '1' }, { a: '2' })).toBe(false)
    expect(sameDocuments({ a: '1' }, { b: '1' })).toBe(false)
    expect(sameDocuments({ a: '1' }, { a: '1', b: '2' })).toBe(false)
  })
})
