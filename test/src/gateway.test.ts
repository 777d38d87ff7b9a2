import { describe, expect, it } from 'vitest'
import type { Batch, Completed, Decision } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import type { ActivePlugin } from '../../src/fulfil.ts'
import type { Answered, Outcome } from '../../src/gateway.ts'
import type { Fulfilment } from '../../src/plugin.ts'
import { AGENT, BROKEN, DENY, journey, PERMIT, QUESTION, rows, STATEMENT } from '../support/journey.ts'

const read = async () => QUESTION

function answered(outcome: Outcome): Answered {
  if (outcome.kind !== 'answer') throw new Error(`expected an answer, got ${outcome.kind}`)
  return outcome
}

async function readAll({ rows }: Answered): Promise<{ batches: Batch[]; completed: Completed }> {
  const batches: Batch[] = []
  for (;;) {
    const next = await rows.next()
    if (next.done === true) return { batches, completed: next.value }
    batches.push(next.value)
  }
}

describe('the journey', () => {
  it('decides before it runs, records before it runs, and completes the record before the answer ends', async () => {
    const { gateway, events, records, knock, inflight } = journey({})
    const { batches, completed } = await readAll(answered(await gateway.handle(knock(), read)))
    expect(events).toEqual(['catalog', 'estimate', 'audit decided', 'run id-1', 'upstream returned', 'audit completed'])
    expect(batches).toEqual([rows(1, 2, 3)])
    expect(completed).toMatchObject({
      rowCount: 3,
      byteCount: 12,
      ending: 'whole',
      ran: STATEMENT.text,
      job: 'job-id-1',
    })
    expect(records[1]?.completion).toEqual({
      timings: { firstByteMs: 0, totalMs: 0 },
      ran: STATEMENT.text,
      job: 'job-id-1',
      rowCount: 3,
      byteCount: 12,
      masked: [],
      statistics: { durationMs: 5 },
      ending: 'whole',
    })
    expect(inflight.count).toBe(0)
  })

  it('runs nothing that cannot be recorded', async () => {
    const { gateway, events, knock, inflight } = journey({ append: () => Promise.reject(BROKEN) })
    await expect(gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'audit-unavailable' })
    expect(events).toEqual(['catalog', 'estimate'])
    expect(inflight.count).toBe(0)
  })

  it('cuts the answer whose completion cannot be recorded', async () => {
    const append = async (record: { kind: string }): Promise<void> => {
      if (record.kind === 'completed') throw BROKEN
    }
    const { gateway, knock, inflight } = journey({ append })
    const { rows: answer } = answered(await gateway.handle(knock(), read))
    expect((await answer.next()).value).toEqual(rows(1, 2, 3))
    await expect(answer.next()).rejects.toBe(BROKEN)
    expect(inflight.count).toBe(0)
  })

  it('asks neither catalog nor warehouse about names that policy denies', async () => {
    const { gateway, events, knock } = journey({ denyByName: () => DENY })
    const outcome = await gateway.handle(knock(), read)
    expect(outcome).toMatchObject({ kind: 'denied', exchange: { decision: DENY } })
    expect(events).toEqual(['audit decided'])
  })

  it('answers a denial with its reasons, recorded, and runs nothing', async () => {
    const { gateway, events, records, knock } = journey({ decide: () => DENY })
    expect(await gateway.handle(knock(), read)).toMatchObject({ kind: 'denied', exchange: { decision: DENY } })
    expect(events).toEqual(['catalog', 'estimate', 'audit decided'])
    expect(records[0]).toMatchObject({ kind: 'decided', decision: DENY, principal: AGENT })
  })

  it('refuses what is not proven and records the refusal', async () => {
    const refusal = new Failure('credential-refused', 'the token has expired')
    const { gateway, events, records, knock } = journey({ identify: () => Promise.reject(refusal) })
    await expect(gateway.handle(knock(), read)).rejects.toBe(refusal)
    expect(events).toEqual(['audit refused'])
    expect(records[0]).toMatchObject({ failure: { code: 'credential-refused', message: 'the token has expired' } })
  })

  it('does not read what a stranger sent', async () => {
    const { gateway, knock } = journey({
      identify: () => Promise.reject(new Failure('credential-missing', 'no token')),
    })
    const unread = () => Promise.reject(new Error('it was read'))
    await expect(gateway.handle(knock(), unread)).rejects.toMatchObject({ code: 'credential-missing' })
  })

  it('refuses a bearer token that comes with a cookie', async () => {
    const { gateway, knock } = journey({})
    const both = knock({ credentials: { authorization: 'Bearer x', cookie: true } })
    await expect(gateway.handle(both, read)).rejects.toMatchObject({ code: 'credential-refused' })
  })

  it.each([
    ['an unknown connection', { connection: 'warehose' }, 'connection-unknown'],
    ['more rows than are allowed', { maxRows: 1001 }, 'bad-request'],
    ['no rows', { maxRows: 0 }, 'bad-request'],
    ['more time than is allowed', { timeoutMs: 5001 }, 'bad-request'],
  ])('refuses %s', async (_, part, code) => {
    const { gateway, events, knock } = journey({})
    await expect(gateway.handle(knock(), async () => ({ ...QUESTION, ...part }))).rejects.toMatchObject({ code })
    expect(events).toEqual(['audit refused'])
  })

  it('refuses what is not understood, with its place', async () => {
    const refusal = { refused: true as const, code: 'unparseable', message: 'expected `FROM`', line: 2, column: 7 }
    const { gateway, knock } = journey({ statements: { parse: () => refusal } })
    await expect(gateway.handle(knock(), read)).rejects.toMatchObject({
      code: 'statement-refused',
      message: 'expected `FROM`',
      detail: { where: 'line 2, column 7 (unparseable)' },
    })
  })
})

describe('inspection', () => {
  it('denies when a plugin fails', async () => {
    const hooks = { inspect: () => Promise.reject(new Error('boom')) }
    const { gateway, events, knock } = journey({ plugins: [{ name: 'risk', hooks }] })
    expect(await gateway.handle(knock(), read)).toMatchObject({
      kind: 'denied',
      exchange: { decision: { effect: 'deny', reasons: [{ code: 'inspection-failed', where: 'risk' }] } },
    })
    expect(events).not.toContain('run id-1')
  })

  it('denies when a plugin never answers', async () => {
    const hooks = { inspect: () => new Promise<never>(() => {}) }
    const { gateway, knock } = journey({ plugins: [{ name: 'risk', hooks }] })
    expect(await gateway.handle(knock(), read)).toMatchObject({
      kind: 'denied',
      exchange: { decision: { effect: 'deny', reasons: [{ code: 'inspection-failed', where: 'risk' }] } },
    })
  })

  it('denies when the warehouse reads another statement than we do', async () => {
    const output = STATEMENT.output
    const estimate = async () => ({ bytes: 1, kind: 'DELETE', tables: ['hr.salaries'], output })
    const { gateway, knock } = journey({ connector: { estimate } })
    expect(await gateway.handle(knock(), read)).toMatchObject({
      kind: 'denied',
      exchange: {
        decision: {
          reasons: [
            { code: 'readers-disagree', where: 'kind SELECT or DELETE' },
            { code: 'readers-disagree', where: 'a table that the statement does not name' },
          ],
        },
      },
    })
  })
})

describe('columns', () => {
  const fewer = async () => ({ bytes: 1, kind: 'SELECT', tables: ['shop.customers'], output: [] })

  it('that the dry run does not tell of a query are a disagreement', async () => {
    const { gateway, knock } = journey({ connector: { estimate: fewer } })
    expect(await gateway.handle(knock(), read)).toMatchObject({
      kind: 'denied',
      exchange: { decision: { reasons: [{ code: 'readers-disagree', where: 'the number of columns' }] } },
    })
  })

  it('that do not line up with what was masked are not given', async () => {
    const masks = [{ resource: 'shop.customers', column: 'id', strategy: 'redact' }]
    const before = async (s: typeof STATEMENT) => ({ ...s, masks })
    const answer = { job: 'j', columns: [], batches: (async function* () {})(), statistics: () => ({ durationMs: 1 }) }
    const { gateway, knock, inflight } = journey({
      decide: () => ({ ...PERMIT, obligations: [{ name: 'mask', terms: [{}] }] }),
      plugins: [{ name: 'mask', hooks: { fulfil: { mask: { terms: { parse: (x: unknown) => x }, before } } } }],
      connector: { run: async () => answer },
    })
    await expect(gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'internal' })
    expect(inflight.count).toBe(0)
  })
})

describe('a schema that changed under us', () => {
  it('is forgotten once the warehouse reads the statement otherwise, so that the next request meets the new one', async () => {
    const table = { path: { project: 'p', dataset: 'shop', table: 'customers' }, resource: 'shop.customers' }
    const bound = { ...STATEMENT, tables: [{ ...table, kind: 'TABLE' as const, columns: [], version: '1' }] }
    const output = STATEMENT.output
    const estimate = async () => ({ bytes: 1, kind: 'SELECT', tables: ['shop.orders'], output })
    const { gateway, events, knock } = journey({ statements: { bind: async () => bound }, connector: { estimate } })
    expect(await gateway.handle(knock(), read)).toMatchObject({ kind: 'denied' })
    expect(events).toEqual(['forget customers', 'audit decided'])
  })

  it('is kept while both agree', async () => {
    const { gateway, events, knock } = journey({})
    await readAll(answered(await gateway.handle(knock(), read)))
    expect(events.filter((event) => event.startsWith('forget'))).toEqual([])
  })
})

describe('obligations', () => {
  const permit = { ...PERMIT, obligations: [{ name: 'mask', terms: [{}] }] }
  const plugin = (before: (s: typeof STATEMENT) => unknown) => [
    { name: 'mask', hooks: { fulfil: { mask: { terms: { parse: (x: unknown) => x }, before: before as never } } } },
  ]

  it('runs what they leave, not what was asked', async () => {
    const ran: string[] = []
    const { gateway, knock } = journey({
      decide: () => permit,
      plugins: plugin((s) => ({ ...s, text: 'SELECT NULL AS id' })),
      connector: {
        async run(statement) {
          ran.push(statement.text)
          throw new Failure('upstream-failed', 'enough seen')
        },
      },
    })
    await expect(gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'upstream-failed' })
    expect(ran).toEqual(['SELECT NULL AS id'])
  })

  it.each([
    ['nobody can fulfil', [], 'obligation-unknown'],
    [
      'cannot be fulfilled here',
      plugin(() => ({ unfulfilled: { code: 'mask-unprovable', because: 'no' } })),
      'mask-unprovable',
    ],
    ['would change the kind', plugin((s) => ({ ...s, kind: 'DELETE' })), 'obligation-widens'],
    [
      'would add a table',
      plugin((s) => ({ ...s, uses: [{ action: 'read', resource: 'hr.salaries' }] })),
      'obligation-widens',
    ],
    ['would raise a bound', plugin((s) => ({ ...s, bounds: { ...s.bounds, maxRows: 101 } })), 'obligation-widens'],
    [
      'would unset a bound',
      plugin((s) => ({ ...s, bounds: { ...s.bounds, maxRows: Number.NaN } })),
      'obligation-widens',
    ],
    ['would drop a column', plugin((s) => ({ ...s, output: [] })), 'obligation-widens'],
  ])('denies when one %s', async (_, plugins, code) => {
    const { gateway, events, knock } = journey({ decide: () => permit, plugins })
    expect(await gateway.handle(knock(), read)).toMatchObject({
      kind: 'denied',
      exchange: { decision: { effect: 'deny', reasons: [{ code }] } },
    })
    expect(events).toEqual(['catalog', 'estimate', 'audit decided'])
  })

  it('denies when the rewritten text cannot be proven', async () => {
    const refusal = {
      refused: true as const,
      code: 'unwrapped',
      message: 'a masked table is bare',
      line: 1,
      column: 16,
    }
    const { gateway, knock } = journey({
      decide: () => permit,
      plugins: plugin((s) => s),
      statements: { verify: () => refusal },
    })
    expect(await gateway.handle(knock(), read)).toMatchObject({
      kind: 'denied',
      exchange: {
        decision: { reasons: [{ code: 'obligation-unproven', because: 'a masked table is bare', where: '1:16' }] },
      },
    })
  })
})

describe('the answer', () => {
  it('ends at maxRows and says so', async () => {
    const batches = async function* () {
      yield rows(1, 2)
      yield rows(3, 4)
    }
    const { gateway, knock } = journey({ batches })
    const outcome = await gateway.handle(knock(), async () => ({ ...QUESTION, maxRows: 3 }))
    const { batches: got, completed } = await readAll(answered(outcome))
    expect(got).toEqual([rows(1, 2), rows(3)])
    expect(completed).toMatchObject({ rowCount: 3, ending: 'cut', cut: 'max-rows' })
  })

  it('is whole when it has just as many rows as were asked for', async () => {
    const { gateway, knock } = journey({})
    const outcome = await gateway.handle(knock(), async () => ({ ...QUESTION, maxRows: 3 }))
    expect((await readAll(answered(outcome))).completed).toMatchObject({ rowCount: 3, ending: 'whole' })
  })

  it('is cut, recorded and its upstream released when the client leaves in the middle', async () => {
    const { gateway, events, records, knock, inflight } = journey({})
    const { rows: answer } = answered(await gateway.handle(knock(), read))
    await answer.next()
    await answer.return(undefined as never)
    expect(events.slice(-2)).toEqual(['upstream returned', 'audit completed'])
    expect(records.at(-1)?.completion).toMatchObject({ rowCount: 3, ending: 'cut', cut: 'client-gone' })
    expect(inflight.count).toBe(0)
  })

  it('is recorded as cut when the client leaves before the first row', async () => {
    const { gateway, records, knock, inflight } = journey({})
    const { rows: answer } = answered(await gateway.handle(knock(), read))
    await answer.return(undefined as never)
    expect(records.at(-1)?.completion).toMatchObject({ rowCount: 0, ending: 'cut', cut: 'client-gone' })
    expect(inflight.count).toBe(0)
  })

  it('is cut when the upstream breaks off, and the record says why', async () => {
    const batches = async function* () {
      yield rows(1)
      throw new Failure('upstream-late', 'no answer in time')
    }
    const { gateway, records, knock } = journey({ batches })
    const { completed } = await readAll(answered(await gateway.handle(knock(), read)))
    expect(completed).toMatchObject({ rowCount: 1, ending: 'cut', cut: 'upstream-late' })
    expect(records.at(-1)?.completion).toMatchObject({ ending: 'cut', cut: 'upstream-late' })
  })

  it('is a recorded failure when the upstream never begins', async () => {
    const run = () => Promise.reject(new Failure('upstream-refused', 'no such function'))
    const { gateway, events, records, knock, inflight } = journey({ connector: { run } })
    await expect(gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'upstream-refused' })
    expect(events).toEqual(['catalog', 'estimate', 'audit decided', 'audit failed'])
    expect(records.at(-1)?.failure).toEqual({ code: 'upstream-refused', message: 'no such function' })
    expect(inflight.count).toBe(0)
  })
})

describe('a job that did something else than was decided', () => {
  it('answers with no row, and is on record', async () => {
    const differs = new Failure('upstream-differs', 'what ran is not what was decided: it read another table')
    const { gateway, events, records, knock, inflight } = journey({ connector: { run: () => Promise.reject(differs) } })
    await expect(gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'upstream-differs', status: 502 })
    expect(events).toEqual(['catalog', 'estimate', 'audit decided', 'audit failed'])
    expect(records.at(-1)).toMatchObject({ failure: { code: 'upstream-differs', message: differs.message } })
    expect(inflight.count).toBe(0)
  })
})

describe('advice of a third reader', () => {
  const doubtful = { advise: () => [{ name: 'advisory-reader' }] }

  it('is a feature of the statement, for policies and plugins to weigh', async () => {
    const { gateway, knock } = journey({ statements: doubtful })
    const { exchange } = answered(await gateway.handle(knock(), read))
    expect(exchange.statement).toMatchObject({ features: [{ name: 'advisory-reader' }] })
  })

  it('is not asked for a statement that names alone deny', async () => {
    const advise = () => {
      throw new Error('it was asked')
    }
    const { gateway, knock } = journey({ denyByName: () => DENY, statements: { advise } })
    expect(await gateway.handle(knock(), read)).toMatchObject({ kind: 'denied' })
  })
})

describe('a busy gateway', () => {
  it('refuses early what is over its bound, and takes the next once there is room', async () => {
    const { gateway, events, knock, inflight } = journey({ inflight: 1 })
    const { rows: answer } = answered(await gateway.handle(knock(), read))
    await expect(async () => gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'overloaded' })
    expect(events.filter((event) => event.startsWith('audit'))).toEqual(['audit decided'])
    await answer.return(undefined as never)
    expect(answered(await gateway.handle(knock(), read)).kind).toBe('answer')
    expect(inflight.count).toBe(1)
  })

  it('cuts and records what outlives its patience at shutdown, and takes nothing new', async () => {
    let release = (): void => {}
    const { gateway, knock, inflight, records } = journey({
      connector: {
        run: (_statement, _exchange, signal) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error))
            release()
          }),
      },
    })
    const running = new Promise<void>((resolve) => (release = resolve))
    const outcome = gateway.handle(knock(), read)
    await running
    const drained = inflight.drain(1)
    await expect(outcome).rejects.toMatchObject({ code: 'shutting-down' })
    await drained
    expect(records.at(-1)).toMatchObject({ kind: 'failed', failure: { code: 'shutting-down' } })
    await expect(async () => gateway.handle(knock(), read)).rejects.toMatchObject({ code: 'shutting-down' })
  })
})

describe('an obligation on the rows of an answer', () => {
  const obligations = [{ name: 'seal', terms: [] }]
  const permit = (): Decision => ({ ...PERMIT, obligations })
  const sealing = (after: Fulfilment['after']): readonly ActivePlugin[] => [
    { name: 'seals', hooks: { fulfil: { seal: { terms: { parse: (it: unknown) => it }, ...(after && { after }) } } } },
  ]

  it('changes each batch, and what it masked is counted in the record', async () => {
    const masked = [{ resource: 'shop.customers', column: 'email', strategy: 'seal', count: 2 }]
    const after: Fulfilment['after'] = (batch) => ({ ...batch, bytes: batch.bytes.map((it) => it ^ 0), masked })
    const batches = async function* () {
      yield rows(1, 2)
      yield rows(3)
    }
    const { gateway, knock, records } = journey({ decide: permit, plugins: sealing(after), batches })
    const outcome = answered(await gateway.handle(knock(), read))
    let count = 0
    for await (const batch of outcome.rows) count += batch.rowCount
    expect(count).toBe(3)
    expect(records.at(-1)?.completion?.masked).toEqual([{ ...masked[0], count: 4 }])
  })

  it('that fails, or makes rows come or go, cuts the answer before they leave', async () => {
    const broken: NonNullable<Fulfilment['after']>[] = [
      () => {
        throw new Error('it broke')
      },
      (batch) => ({ ...batch, rowCount: batch.rowCount + 1 }),
    ]
    for (const after of broken) {
      const { gateway, knock, records } = journey({ decide: permit, plugins: sealing(after) })
      const outcome = answered(await gateway.handle(knock(), read))
      let count = 0
      for await (const batch of outcome.rows) count += batch.rowCount
      expect([count, records.at(-1)?.completion?.ending]).toEqual([0, 'cut'])
    }
  })
})
