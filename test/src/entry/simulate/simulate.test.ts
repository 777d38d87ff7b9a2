/** Recorded decisions, made again: under the policies of their time they come out as they are recorded, under others not. */
import { describe, expect, test } from 'vitest'
import { decided } from '../../../../src/audit/entries.ts'
import { decodeRow, encodeRow, toRow } from '../../../../src/audit/record.ts'
import { check, simulate, type InForce } from '../../../../src/entry/simulate/simulate.ts'
import type { RecordedDecision } from '../../../../src/entry/simulate/store.ts'
import { renderCheck, renderSimulation } from '../../../../src/entry/simulate/render.ts'
import type { Decision, HttpStatement, Inspected, SqlStatement } from '../../../../src/exchange.ts'
import { weighedOf, type LoadedPolicies } from '../../../../src/policy/index.ts'
import { analysts, asking, load, NOW, type Asking } from '../../policy/support.ts'

const STAMP = { recordId: id(900), writer: 'w', epoch: id(901), retainDays: 30 }

function id(n: number): string {
  return `019b7d5c-0000-7000-8000-${String(n).padStart(12, '0')}`
}

/** An exchange that was analysed, not only named. */
function asked(n: number, uses: readonly string[], more: Asking = {}): Inspected {
  const statement = { shape: '0123456789abcdef', ...more.statement }
  return { ...asking(uses, { ...more, statement }), id: id(n) }
}

/** The record of a decision, as it comes out of ClickHouse. */
function record(exchange: Inspected, decision: Decision, policy: string): RecordedDecision {
  const entry = decided({ ...exchange, decision, policy }, NOW + 5, weighedOf(exchange))
  const bytes = encodeRow({ ...toRow(entry, STAMP), segment: 1, writer_seq: 1 })
  return decodeRow(bytes) as unknown as RecordedDecision
}

/** The record that a gateway under `policies` writes. */
function recordUnder(policies: LoadedPolicies, exchange: Inspected): RecordedDecision {
  return record(exchange, policies.decide(exchange), policies.digest)
}

async function* each(...records: readonly RecordedDecision[]): AsyncGenerator<RecordedDecision> {
  yield* records
}

function only(...sets: readonly LoadedPolicies[]): InForce {
  return async (digest) => sets.find((set) => set.digest === digest)
}

const MASKED = 'obligations: { mask-columns: { columns: { shop.customers.ssn: redact, shop.customers.email: hash } } }'
const OLD = analysts(`
  - { id: read, effect: permit, actions: [read], resources: ['shop.*'], because: a, ${MASKED} }
  - { id: risky, effect: hold, when: risk.score >= 60, because: b, approvers: { groups: [owners] } }
  - { id: change, effect: hold, actions: [write], resources: ['shop.*'], because: c, approvers: { groups: [owners] } }
`)
const NEW = analysts(`
  - { id: read, effect: permit, actions: [read], resources: ['shop.*', 'hr.pay'], because: a,
      obligations: { mask-columns: { columns: { shop.customers.email: hash } }, limits: { rows: 10 } } }
  - { id: change, effect: permit, actions: [write], resources: ['shop.*'], because: c }
  - { id: pii, effect: deny, columns: ['shop.orders.note'], because: d }
`)
const SCORE = { facts: { risk: { score: 10 } } }
const SSN: Partial<SqlStatement> = { columnsRead: ['shop.customers.ssn'] }

async function both(): Promise<{ old: LoadedPolicies; next: LoadedPolicies }> {
  return { old: await load(OLD), next: await load(NEW) }
}

describe('under other policies', () => {
  test('what lets more through comes first, by what it is, by rule and principal', async () => {
    const { old, next } = await both()
    const found = await simulate(
      each(
        recordUnder(old, asked(1, ['read shop.customers'], { ...SCORE, statement: SSN })),
        recordUnder(old, asked(2, ['read shop.customers'], { ...SCORE, statement: SSN, principal: { subject: 'b' } })),
        recordUnder(old, asked(3, ['read hr.pay'], SCORE)),
        recordUnder(old, asked(4, ['read shop.orders'], { facts: { risk: { score: 70 } } })),
        recordUnder(old, asked(5, ['write shop.orders'], SCORE)),
        recordUnder(
          old,
          asked(6, ['read shop.orders'], { ...SCORE, statement: { columnsRead: ['shop.orders.note'] } }),
        ),
        recordUnder(old, asked(7, ['read elsewhere.x'], SCORE)),
      ),
      next,
      only(old),
    )
    expect(found).toMatchObject({
      records: 7,
      same: 1,
      loosened: 5,
      tightened: 1,
      changed: 0,
      undecided: [],
      untold: 0,
    })
    expect(
      found.groups.map(({ direction, what, was, is, principal, exchanges }) =>
        [direction, what, was.join(), is.join(), principal, ...exchanges.map((it) => Number(it.slice(-4)))].join(' · '),
      ),
    ).toEqual([
      'loosened · deny → permit · no-permit · analysts/read · corp:agent-7 · 3',
      'loosened · hold → permit · analysts/risky · analysts/read · corp:agent-7 · 4',
      'loosened · hold → permit · analysts/change · analysts/change · corp:agent-7 · 5',
      'loosened · mask of shop.customers.ssn: redact → none · analysts/read · analysts/read · corp:agent-7 · 1',
      'loosened · mask of shop.customers.ssn: redact → none · analysts/read · analysts/read · corp:b · 2',
      'tightened · limit of rows: none → 10 · analysts/read · analysts/read · corp:agent-7 · 1',
      'tightened · limit of rows: none → 10 · analysts/read · analysts/read · corp:b · 2',
      'tightened · limit of rows: none → 10 · analysts/risky · analysts/read · corp:agent-7 · 4',
      'tightened · permit → deny · analysts/read · analysts/pii · corp:agent-7 · 6',
    ])
    expect(renderSimulation(found).split('\n')[0]).toBe('LETS MORE THROUGH (5 of 7 decisions)')
  })

  test('the same policies change nothing', async () => {
    const { old } = await both()
    const exchange = asked(1, ['read shop.customers'], { ...SCORE, statement: SSN })
    expect(await simulate(each(recordUnder(old, exchange)), old, only(old))).toMatchObject({ same: 1, groups: [] })
  })

  test('what people approved is compared as the hold that it was', async () => {
    const { old, next } = await both()
    const exchange = asked(1, ['write shop.orders'], SCORE)
    const held = old.decide(exchange)
    if (held.effect !== 'hold') throw new Error('it is held')
    const reasons = [...held.reasons, { code: 'approved', because: 'approved by corp:ada' }]
    const permit: Decision = { effect: 'permit', reasons, obligations: held.obligations }
    const run = record(exchange, permit, old.digest)
    expect(await simulate(each(run), old, only(old))).toMatchObject({ same: 1 })
    expect((await simulate(each(run), next, only(old))).groups).toMatchObject([{ what: 'hold → permit' }])
    expect(await check(each(run), only(old))).toMatchObject({ agreed: 1 })
  })

  test('what was denied by its names alone may come to anything once they are not denied', async () => {
    const { old, next } = await both()
    const { shape: _, ...statement } = asked(1, ['read hr.pay']).statement as SqlStatement
    const exchange = { ...asked(1, []), statement }
    const { principal, connection } = exchange
    const byName = old.denyByName({ principal, connection, kind: 'SELECT', uses: statement.uses })
    const denied = record(exchange, byName ?? old.decide(exchange), old.digest)
    expect((await simulate(each(denied), next, only(old))).groups).toMatchObject([
      { direction: 'loosened', what: 'deny → not denied by its names; nothing else of it is recorded' },
    ])
    expect(await simulate(each(denied), old, only(old))).toMatchObject({ same: 1 })
    expect(await check(each(denied), only(old))).toMatchObject({ agreed: 1 })
  })

  test('what could not be masked could be masked no better, unless policy consents to it in another way', async () => {
    const { old, next } = await both()
    const exchange = asked(1, ['read shop.customers'], { ...SCORE, statement: SSN })
    const denied: Decision = { effect: 'deny', reasons: [{ code: 'obligation-unproven', because: 'x' }] }
    const unfulfilled = record(exchange, denied, old.digest)
    expect(await simulate(each(unfulfilled), old, only(old))).toMatchObject({ same: 1 })
    expect((await simulate(each(unfulfilled), next, only(old))).groups[0]).toMatchObject({ direction: 'loosened' })
    // Where nobody knows what policy had said, it was a denial.
    expect((await simulate(each(unfulfilled), old, only())).groups).toMatchObject([{ what: 'deny → permit' }])
    expect(await check(each(unfulfilled), only(old))).toMatchObject({ agreed: 1 })
  })

  test('no policy lets through what two readers read differently', async () => {
    const { old, next } = await both()
    const exchange = asked(1, ['read hr.pay'], { findings: [{ kind: 'gateway/readers-disagree', where: 'kind' }] })
    const denied: Decision = { effect: 'deny', reasons: [{ code: 'readers-disagree', because: 'x', where: 'kind' }] }
    const barred = record(exchange, denied, old.digest)
    expect(await simulate(each(barred), next, only(old))).toMatchObject({ same: 1, groups: [] })
    expect(await check(each(barred), only(old))).toMatchObject({ agreed: 1 })
  })

  test('a decision is not made on facts that would be others, nor on what no record holds', async () => {
    const { old } = await both()
    const weights = (n: number): Promise<LoadedPolicies> =>
      load(OLD.replace('rules:', `plugins: { sql-risk: { weights: { bytes: ${n} } } }\nrules:`))
    const [one, two] = await Promise.all([weights(1), weights(2)])
    const exchange = asked(1, ['read shop.orders'], SCORE)
    const why = '`sql-risk` has other options than it had, and would state other facts'
    for (const [then, next, inForce] of [
      [one, two, only(one)],
      [one, old, only(one)],
      [old, one, only(old)],
      [old, one, only()],
    ] as const) {
      const { undecided } = await simulate(each(recordUnder(then, exchange)), next, inForce)
      expect(undecided).toEqual([{ why, count: 1, exchanges: [exchange.id] }])
    }
    expect(await simulate(each(recordUnder(one, exchange)), one, only(one))).toMatchObject({ same: 1 })
    const body: HttpStatement['body'] = {
      type: 'application/json',
      length: 9_999,
      content: '',
      excerpt: '{',
      json: { n: 1 },
    }
    const post: HttpStatement = {
      ...asked(2, []).statement,
      language: 'http',
      kind: 'POST',
      text: 'POST /x',
      uses: [{ action: 'read', resource: 'shop.api' }],
      operation: 'shop.api',
      template: '/x',
      target: '/x',
      path: {},
      query: [],
      headers: [],
      body,
    }
    const weighs = await load(`${OLD}  - { id: body, effect: deny, when: http.body.n == 1, because: x }\n`)
    const { undecided } = await simulate(
      each(recordUnder(old, { ...asked(2, [], SCORE), statement: post })),
      weighs,
      only(old),
    )
    expect(undecided).toMatchObject([
      { why: expect.stringMatching(/^a condition weighs what the record does not hold/) },
    ])
  })
})

describe('under the policies that decided it', () => {
  test('every record comes out as it is, and one that was changed does not', async () => {
    const { old, next } = await both()
    const exchanges = [
      asked(1, ['read shop.customers'], { ...SCORE, statement: SSN }),
      asked(2, ['write shop.orders'], SCORE),
      asked(3, ['read hr.pay']),
    ]
    const records = exchanges.flatMap((it) => [recordUnder(old, it), recordUnder(next, it)])
    expect(await check(each(...records), only(old, next))).toEqual({
      records: 6,
      agreed: 6,
      disagreed: 0,
      examples: [],
      undecided: [],
    })
    const [first] = records
    if (first === undefined) throw new Error('there is one')
    for (const changed of [
      { obligations: '[]' },
      { effect: 'deny' as const, obligations: '[]' },
      { reasons: '[]' },
      { subject: 'b', groups: [] },
      { tables: ['hr.pay'] },
    ]) {
      const found = await check(each({ ...first, ...changed }), only(old, next))
      expect(found).toMatchObject({ agreed: 0, disagreed: 1, examples: [{ exchange: id(1) }] })
      expect(renderCheck(found)).toContain(`${id(1)} comes out otherwise than it is recorded`)
    }
    expect(await check(each({ ...first, reasons: '{' }), only(old))).toMatchObject({ undecided: [{ count: 1 }] })
    expect(await check(each(first), only(next))).toMatchObject({
      undecided: [{ why: expect.stringMatching(/^the policies that decided it are not recorded whole/), count: 1 }],
    })
  })
})
