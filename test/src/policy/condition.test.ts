import { describe, expect, test } from 'vitest'
import { loadPolicies } from '../../../src/policy/index.ts'
import { analysts, asking, HOUR, load, problemsOf, vocabulary, type Asking } from './support.ts'

const SOMETHING: Asking = {
  kind: 'SELECT',
  estimate: 2 ** 41,
  purpose: 'monthly report',
  principal: { groups: ['analyst-agents', 'eu'], actsFor: { issuer: 'corp', subject: 'wendy' } },
  facts: { risk: { score: 60, factors: ['select-star', 'no-limit'], reversible: true, level: 'high' } },
  statement: {
    functions: ['SUM', 'TO_HEX'],
    columnsRead: ['shop.customers.email', 'shop.orders.amount'],
    features: [{ name: 'select-star', at: '1:8' }],
    tables: [
      {
        path: { project: 'p', dataset: 'shop', table: 'orders' },
        resource: 'shop.orders',
        kind: 'TABLE',
        columns: [],
        version: '1',
      },
    ],
  },
}

const quoted = (condition: string) => JSON.stringify(condition)

/** `true` where the condition lets its rule match, `false` where not, `failed` where it breaks. */
async function outcome(condition: string, more: Asking = SOMETHING): Promise<boolean | 'failed'> {
  const policies = await load(analysts(`\n  - { id: r, effect: permit, when: ${quoted(condition)}, because: b }`))
  const decision = policies.decide(asking(['read shop.orders'], more))
  if (decision.effect === 'permit') return true
  return decision.reasons.some(({ code }) => code === 'condition-failed') ? 'failed' : false
}

describe('a condition', () => {
  test.each([
    ['risk.score >= 60 || estimate.bytes > 1099511627776', true],
    ['risk.score > 60', false],
    ['risk.score == 60', true],
    ['risk.score != 60', false],
    ['60 == risk.score', true],
    ['risk.score == 60.0', true],
    ['risk.score + 1 > 60', true],
    ['risk.score * 2 / 4 == 30', true],
    ['100 - risk.score < 40', false],
    ['-risk.score < 0', true],
    ['risk.reversible && risk.level == "high"', true],
    ['"select-star" in risk.factors', true],
    ['risk.factors.exists(factor, factor.startsWith("no-"))', true],
    ['size(risk.factors) > 2', false],
    ['estimate.known && estimate.bytes / 1099511627776 == 2', true],
    ['statement.kind == "SELECT" && "read" in statement.actions && "shop.orders" in statement.resources', true],
    ['"shop.orders" in statement.tables && "TO_HEX" in statement.functions', true],
    ['"shop.customers.email" in statement.columns', true],
    ['"select-star" in statement.features', true],
    ['principal.subject == "agent-7" && principal.issuer == "corp" && principal.kind == "agent"', true],
    ['"eu" in principal.groups && principal.actsFor == "wendy"', true],
    ['connection == "warehouse" && purpose.contains("report")', true],
  ])('%s: %s', async (condition, expected) => {
    expect(await outcome(condition)).toBe(expected)
  })

  test.each([
    ['risk.score >= 60', 'failed'],
    ['risk.score >= 60 || connection == "warehouse"', true],
    ['connection == "warehouse" || risk.score >= 60', true],
    ['risk.score >= 60 && connection == "other"', false],
    ['risk.score >= 60 || connection == "other"', 'failed'],
    ['estimate.bytes > 5', 'failed'],
    ['!estimate.known || estimate.bytes > 5', true],
    ['estimate.known && estimate.bytes > 5', false],
    ['principal.actsFor == "" && purpose == ""', true],
    ['statement.functions[0] == "SUM"', 'failed'],
  ])('without facts, %s: %s', async (condition, expected) => {
    expect(await outcome(condition, {})).toBe(expected)
  })

  test.each([
    ['risk.scor >= 60', 'a condition in CEL: No such key: scor (character 6), got a text'],
    ['cost.usd > 5', 'a condition in CEL: Unknown variable: cost (character 1), got a text'],
    ['risk.score >= "60"', 'a condition in CEL: no such overload: double >= string (character 1), got a text'],
    ['risk.score >=', 'a condition in CEL: Unexpected token: EOF (character 14), got a text'],
    ['now() > 5', "a condition in CEL: found no matching overload for 'now()' (character 1), got a text"],
    ['risk.score', 'a condition that is true or false; this one is a double, got a text'],
    ['dyn(risk.reversible)', 'a condition that is true or false; this one is a dyn, got a text'],
    [
      'purpose.matches("(a+)+$")',
      'no `matches`: a regular expression has no bound on its time (use `startsWith`, `endsWith` or `contains`), got a text',
    ],
    ['risk.factors.exists(a, risk.factors.exists(b, a == b))', 'no loop within a loop, got a text'],
    [
      'true && (connection == "x" ? risk.factors.all(a, [a].exists(b, b.matches("x"))) : false)',
      'no loop within a loop, got a text',
    ],
  ])('does not load as %s', async (condition, expected) => {
    const problems = await problemsOf(analysts(`\n  - { id: r, effect: deny, when: ${quoted(condition)}, because: b }`))
    expect(problems).toEqual([`policies/0.yaml:6:28 rules[0].when: expected ${expected}`.replace(', got a text', '')])
  })

  test('may be of bounded length and depth only', async () => {
    const long = `risk.score > 1${' || risk.score > 1'.repeat(200)}`
    const deep = `${'('.repeat(200)}true${')'.repeat(200)}`
    for (const condition of [long, deep]) {
      const problems = await problemsOf(
        analysts(`\n  - { id: r, effect: deny, when: ${quoted(condition)}, because: b }`),
      )
      expect(problems).toHaveLength(1)
      expect(problems[0]).toMatch(/^policies\/0\.yaml:6:28 rules\[0\]\.when: expected /)
    }
  })
})

describe('facts that clash', () => {
  const parse = { options: { parse: () => ({}) } }

  test.each([
    [
      { one: { ...parse, facts: { statement: { kind: 'string' } } } },
      'plugin `one` declares `statement`, which is taken',
    ],
    [{ one: { ...parse, facts: { purpose: { a: 'string' } } } }, 'plugin `one` declares `purpose`, which is taken'],
    [
      { one: { ...parse, facts: { x: { a: 'number' } } }, two: { ...parse, facts: { x: { b: 'number' } } } },
      'plugin `two` declares `x`, which is taken',
    ],
    [
      { one: { ...parse, facts: { x: { 'a b': 'number' } } } },
      'plugin `one` declares `x.a b`, which no condition could name',
    ],
    [
      { one: { ...parse, facts: { 'cost-usd': { a: 'number' } } } },
      'plugin `one` declares `cost-usd`, which no condition could name',
    ],
  ] as const)('refuse to load %#', async (plugins, words) => {
    const files = [{ path: 'a.yaml', text: analysts('\n  - { id: r, effect: deny, because: b }') }]
    expect(await loadPolicies(files, { ...vocabulary, plugins }, { expiresInMs: HOUR })).toEqual({
      problems: [{ file: 'plugins', line: 1, column: 1, key: '', expected: `facts with names of their own: ${words}` }],
    })
  })
})
