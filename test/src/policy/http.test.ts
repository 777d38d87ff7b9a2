/** Policies over requests to an HTTP API: conditions on what is asked, and cases that say so. */
import { describe, expect, test } from 'vitest'
import type { HttpStatement, Inspected } from '../../../src/exchange.ts'
import { runCases } from '../../../src/policy/index.ts'
import { AGENT, analysts, load, NOW, problemsOf } from './support.ts'

const REQUEST: HttpStatement = {
  language: 'http',
  kind: 'POST',
  text: 'POST /payments/7?dry=1',
  uses: [{ action: 'write', resource: 'pay' }],
  operation: 'pay',
  template: '/payments/{id}',
  target: '/payments/7?dry=1',
  path: { id: '7' },
  query: [
    ['dry', '1'],
    ['tag', 'a'],
    ['tag', 'b'],
  ],
  headers: [['x-tenant', 'north']],
  body: {
    type: 'application/json',
    length: 2,
    content: '',
    json: { amount: 150.5, to: { iban: 'x' }, lines: [{ n: 1 }] },
  },
  bounds: { maxRows: 0, timeoutMs: 1, maxBytesBilled: 0 },
  masks: [],
}

function asking(over: Partial<HttpStatement> = {}): Inspected {
  return {
    id: 'x',
    receivedAt: NOW,
    surface: 'proxy',
    principal: AGENT,
    connection: 'warehouse',
    statement: { ...REQUEST, ...over },
    findings: [],
  }
}

async function decided(when: string, over: Partial<HttpStatement> = {}): Promise<string> {
  const policies = await load(
    analysts(`
  - { id: pay, effect: permit, resources: [pay], because: they may, when: ${JSON.stringify(when)} }`),
  )
  const { effect, reasons } = policies.decide(asking(over))
  return `${effect} ${reasons.map(({ code }) => code).join(' ')}`
}

describe('a condition', () => {
  test.each([
    "http.method == 'POST' && http.operation == 'pay' && http.template == '/payments/{id}'",
    "http.path.id == '7'",
    "http.query.dry[0] == '1' && http.query.tag.exists(t, t == 'b')",
    "!('limit' in http.query)",
    "http.headers['x-tenant'] == 'north'",
    "http.contentType == 'application/json'",
    'http.body.amount > 150 && http.body.amount < 150.6',
    "http.body.to.iban == 'x' && !has(http.body.note)",
    'http.body.lines.all(l, l.n == 1)',
    "statement.kind == 'POST' && statement.actions == ['write'] && statement.tables == []",
    '!estimate.known',
  ])('%s is met', async (when) => {
    expect(await decided(when)).toBe('permit analysts/pay')
  })

  test.each([
    ['http.body.amount < 100', 'deny no-permit'],
    ["http.headers['x-other'] == 'north'", 'deny condition-failed'],
    ["http.path.other == '7'", 'deny condition-failed'],
    ['http.body.to.amount > 1', 'deny condition-failed'],
    ['http.body.__proto__ == 1', 'deny condition-failed'],
    ['risk.score < 60', 'deny condition-failed'],
  ])('%s is not', async (when, decision) => {
    expect((await decided(when)).split(' ').slice(0, 2).join(' ')).toBe(decision)
  })

  test('on a body of which nobody knows what it says never lets it through', async () => {
    const permitsAnything = 'http.body.amount < 100 || !has(http.body.admin)'
    const policies = await load(
      analysts(`
  - { id: pay, effect: permit, resources: [pay], because: they may, when: "${permitsAnything}" }`),
    )
    for (const statement of [
      { ...REQUEST, body: { type: 'text/plain', content: 'eA==' } },
      { ...REQUEST, body: { type: 'application/json', length: 10_000_000 } },
    ]) {
      expect(policies.decide({ ...asking(), statement })).toMatchObject({
        effect: 'deny',
        reasons: expect.arrayContaining([expect.objectContaining({ code: 'condition-failed' })]),
      })
    }
  })

  test('that names what there is not is refused when it is loaded', async () => {
    const [problem] = await problemsOf(
      analysts(`
  - { id: pay, effect: permit, because: they may, when: "http.nope == 1" }`),
    )
    expect(problem).toContain('nope')
  })
})

test('a rule by columns, functions or tags is about SQL alone', async () => {
  const policies = await load(
    analysts(`
  - { id: pay, effect: permit, resources: [pay], because: they may }
  - { id: secrets, effect: deny, columns: ['**'], because: nobody reads these }
  - { id: calls, effect: deny, functions: ['**'], because: nobody calls these }`),
  )
  expect(policies.decide(asking()).effect).toBe('permit')
})

test('masks of tables do not bind requests that their rule is not about', async () => {
  const policies = await load(
    analysts(`
  - { id: pay, effect: permit, resources: [pay], because: they may }
  - id: read
    effect: permit
    resources: ['shop.*']
    because: they may
    obligations: { mask-columns: { columns: { shop.a.b: hash } } }`),
  )
  expect(policies.decide(asking())).toMatchObject({ effect: 'permit', obligations: [] })
})

describe('a case', () => {
  test('gives a request in place of SQL', async () => {
    const policies = await load(
      analysts(`
  - { id: pay, effect: permit, resources: [pay], because: they may, when: http.body.amount < 100 }
  - { id: other, effect: hold, resources: [pay], because: somebody looks, when: "http.path.id == '8'", approvers: { groups: [x] } }`),
    )
    const request = (amount: number, id: string, effect: string, reasons: string) => `
- name: pays ${amount} to ${id}
  given:
    principal: { groups: [analyst-agents] }
    connection: warehouse
    uses: [{ action: write, resource: pay }]
    http: { method: POST, operation: pay, template: '/payments/{id}', path: { id: '${id}' }, body: { amount: ${amount} } }
  expect: { effect: ${effect}, reasons: [${reasons}] }`
    const text =
      request(50, '7', 'permit', 'analysts/pay') +
      request(500, '7', 'deny', 'no-permit') +
      request(50, '8', 'hold', 'analysts/other')
    expect(runCases(policies, [{ path: 'policies/0.cases.yaml', text }])).toMatchObject({
      cases: 3,
      failures: [],
      unreached: [],
      problems: [],
    })
  })
})
