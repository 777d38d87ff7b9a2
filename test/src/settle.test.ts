/** What a crash left open is asked after, once, and never run again. */
import { describe, expect, it } from 'vitest'
import type { AuditRecord, Unfinished } from '../../src/audit/contract.ts'
import type { Connector, Settlement } from '../../src/connection/contract.ts'
import type { Principal } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import type { Connection } from '../../src/journey.ts'
import type { Runtime } from '../../src/runtime.ts'
import { Settler } from '../../src/settle.ts'

const AGENT: Principal = { issuer: 'corp', subject: 'agent-7', kind: 'agent', plane: 'agents', groups: [] }
const STARTED = { id: 'start', at: 1_000_000_000_000 }
const open = (exchange: string, connection = 'warehouse'): Unfinished => {
  return { exchange, surface: 'query', connection, principal: AGENT }
}

interface Scene {
  readonly left: readonly Unfinished[]
  readonly answer?: (exchange: string) => Settlement
  readonly arrived?: () => boolean
  readonly now?: () => number
}

function scene({ left, answer = () => ({ outcome: 'not-run' }), arrived = () => true, now = () => STARTED.at }: Scene) {
  const records: AuditRecord[] = []
  const asked: string[] = []
  const connector = {
    jobId: (id: string) => `job-${id}`,
    async settle(exchange: string) {
      asked.push(exchange)
      return answer(exchange)
    },
  } as unknown as Connector
  const connections = new Map([
    ['warehouse', { language: 'googlesql', connector } as unknown as Connection],
    ['crm', { language: 'http' } as unknown as Connection],
  ])
  const settler = new Settler({
    runtime: { clock: { now, monotonic: () => 0 }, log: () => {} } as unknown as Runtime,
    audit: {
      append: async (record) => void records.push(record),
      status: () => ({ writable: true, tight: false, backlogRecords: 0, backlogBytes: 0 }),
      close: async () => {},
    },
    unfinished: {
      arrived: async () => arrived(),
      unfinished: async () => left,
    },
    connections,
    store: { hold: async () => undefined, settleHold: async () => Promise.reject(new Error('no hold')) },
    writer: 'gateway-1',
    started: STARTED,
  })
  return { settler, records, asked }
}

const ends = (records: readonly AuditRecord[]) => records.map(({ exchange, settled }) => ({ exchange, ...settled }))

describe('an exchange that a crash left open', () => {
  it('ran, where its job says so: the record has the text, the job and what it took', async () => {
    const statistics = { bytesProcessed: 10, rowsAffected: 3, durationMs: 5 }
    const { settler, records } = scene({
      left: [open('x')],
      answer: () => ({ outcome: 'ran', text: 'UPDATE t SET a = 1', statistics }),
    })
    await settler.round()
    expect(records).toEqual([
      {
        kind: 'settled',
        at: STARTED.at,
        exchange: 'x',
        surface: 'query',
        plane: 'agents',
        principal: AGENT,
        connection: 'warehouse',
        settled: {
          outcome: 'ran',
          detail: 'its job ran to its end; whether its answer arrived is not known',
          job: 'job-x',
          ran: 'UPDATE t SET a = 1',
          statistics,
        },
      },
    ])
  })

  it('did not run, where there is no such job; failed, where the job did', async () => {
    const { settler, records } = scene({
      left: [open('none'), open('bad')],
      answer: (exchange) =>
        exchange === 'none'
          ? { outcome: 'not-run' }
          : { outcome: 'ran', failure: 'invalidQuery', statistics: { durationMs: 1 } },
    })
    await settler.round()
    expect(ends(records)).toEqual([
      { exchange: 'none', outcome: 'not-run', detail: 'the warehouse has no job of it', job: 'job-none' },
      {
        exchange: 'bad',
        outcome: 'ran',
        detail: 'its job ran and failed with invalidQuery',
        job: 'job-bad',
        statistics: { durationMs: 1 },
      },
    ])
  })

  it('stays unknown where nobody can say: an HTTP API, a connection that is gone', async () => {
    const { settler, records, asked } = scene({ left: [open('h', 'crm'), open('g', 'gone')] })
    await settler.round()
    expect(asked).toEqual([])
    expect(ends(records)).toEqual([
      {
        exchange: 'h',
        outcome: 'unknown',
        detail: 'ask the API whether it did it; it was sent with X-Request-Id h, if it was sent',
      },
      { exchange: 'g', outcome: 'unknown', detail: 'its connection is configured no more, so nobody can be asked' },
    ])
  })

  it('is asked after again while it runs or the warehouse is away, and once only when it is settled', async () => {
    const answers: Settlement[] = [{ outcome: 'running' }, { outcome: 'ran', statistics: { durationMs: 1 } }]
    const { settler, records, asked } = scene({
      left: [open('x')],
      answer() {
        const next = asked.length === 1 ? undefined : answers.shift()
        if (next === undefined) throw new Failure('upstream-failed', 'away')
        return next
      },
    })
    for (let i = 0; i < 5; i++) await settler.round()
    expect([asked.length, ends(records).map(({ outcome }) => outcome)]).toEqual([3, ['ran']])
  })

  it('is given up a day later, and says why', async () => {
    const { settler, records } = scene({
      left: [open('slow'), open('away')],
      now: () => STARTED.at + 86_400_001,
      answer(exchange) {
        if (exchange === 'slow') return { outcome: 'running' }
        throw new Failure('upstream-failed', 'away')
      },
    })
    await settler.round()
    expect(ends(records)).toEqual([
      { exchange: 'slow', outcome: 'unknown', detail: 'its job had not ended a day later', job: 'job-slow' },
      {
        exchange: 'away',
        outcome: 'unknown',
        detail: 'the warehouse could not be asked: upstream-failed',
        job: 'job-away',
      },
    ])
  })

  it('is not looked for before everything that was written earlier is in the store', async () => {
    let there = false
    const { settler, records } = scene({ left: [open('x')], arrived: () => there })
    await settler.round()
    expect(records).toEqual([])
    there = true
    await settler.round()
    expect(records).toHaveLength(1)
  })
})
