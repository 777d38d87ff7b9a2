import { describe, expect, test } from 'vitest'
import { isClean, renderProblem, runCases } from '../../../src/policy/index.ts'
import { isCasesFile } from '../../../src/policy/load.ts'
import { analysts, load } from './support.ts'

const POLICY = analysts(`
  - id: read
    effect: permit
    actions: [read]
    resources: ['shop.*']
    because: reading is fine
    obligations: { limits: { rows: 10 } }
  - id: risky
    effect: hold
    when: risk.score >= 60 || (estimate.known && estimate.bytes > 100)
    because: risky
    approvers: { groups: [owners] }
`)

const READ = `
- name: a read
  given:
    principal: { groups: [analyst-agents] }
    connection: warehouse
    uses: [{ action: read, resource: shop.orders }]
    facts: { risk: { score: 10 } }
  expect: { effect: permit, reasons: [analysts/read], obligations: [limits] }
`
const RISKY = `
- name: a risky read
  given:
    principal: { groups: [analyst-agents] }
    connection: warehouse
    uses: [{ action: read, resource: shop.orders }]
    facts: { risk: { score: 10 }, estimate: { bytes: 101 } }
  expect: { effect: hold, reasons: [analysts/risky], approvers: [owners] }
`

const run = async (text: string) => runCases(await load(POLICY), [{ path: 'policies/a.cases.yaml', text }])

describe('cases', () => {
  test('that all hold and reach every rule leave nothing to say', async () => {
    const report = await run(READ + RISKY)
    expect(report).toEqual({ cases: 2, failures: [], unreached: [], problems: [] })
    expect(isClean(report)).toBe(true)
  })

  test('name every rule that none of them reached', async () => {
    const report = await run(READ)
    expect(report).toEqual({ cases: 1, failures: [], unreached: ['analysts/risky'], problems: [] })
    expect(isClean(report)).toBe(false)
  })

  test('that do not hold say what was expected and what came', async () => {
    const report = await run(READ + RISKY.replace('101', '99'))
    expect(report).toEqual({
      cases: 2,
      failures: [
        {
          file: 'policies/a.cases.yaml',
          line: 10,
          name: 'a risky read',
          expected: { effect: 'hold', reasons: ['analysts/risky'], approvers: ['owners'] },
          got: { effect: 'permit', reasons: ['analysts/read'], approvers: [] },
        },
      ],
      unreached: ['analysts/risky'],
      problems: [],
    })
  })

  test('compare reasons, obligations and approvers whole', async () => {
    for (const [right, wrong] of [
      ['[analysts/read]', '[]'],
      ['[analysts/read]', '[analysts/read, analysts/risky]'],
      ['obligations: [limits]', 'obligations: []'],
      ['obligations: [limits]', 'obligations: [limits, tagged]'],
    ] as const) {
      expect((await run(READ.replace(right, wrong) + RISKY)).failures).toHaveLength(1)
    }
    expect((await run(READ + RISKY.replace('[owners]', '[others]'))).failures).toHaveLength(1)
  })

  test('a fact that is not given is missing, so that its condition fails', async () => {
    const report = await run(READ.replace('facts: { risk: { score: 10 } }', 'facts: {}'))
    expect(report.failures.map(({ got }) => got)).toEqual([
      { effect: 'deny', reasons: ['condition-failed'], obligations: [] },
    ])
  })

  test.each([
    [
      'risk: { score: 10 }',
      'risc: { score: 10 }',
      '7:14 [0].given.facts.risc: expected a fact that a plugin declares (did you mean `risk`?)',
    ],
    [
      'risk: { score: 10 }',
      'risk: { scor: 10 }',
      '7:22 [0].given.facts.risk.scor: expected one of `score`, `factors`, `reversible`, `level`',
    ],
    [
      'risk: { score: 10 }',
      'estimate: { kilobytes: 10 }',
      '7:14 [0].given.facts.estimate: expected `bytes` with a number, and nothing else',
    ],
    [
      'action: read',
      'action: reed',
      '6:14 [0].given.uses[0].action: expected one of `read`, `write`, `define`, `delete`, `export`, `execute`, `administer`, got a text',
    ],
    [
      'connection:',
      'conection:',
      '5:5 [0].given.conection: expected a known key (did you mean `connection`?), got an unknown key',
    ],
    ['effect: permit', 'effect: allow', '8:13 [0].expect.effect: expected one of `permit`, `hold`, `deny`, got a text'],
  ])('with %s → %s is a problem', async (right, wrong, problem) => {
    const report = await run(READ.replace(right, wrong))
    expect(report.problems.map(renderProblem)).toContain(`policies/a.cases.yaml:${problem}`)
    expect(isClean(report)).toBe(false)
  })

  test('that are not even YAML are a problem', async () => {
    expect((await run('a: [')).problems).toHaveLength(1)
    expect((await run('')).problems).toHaveLength(1)
  })

  test('are told from policies by the name of their file', () => {
    expect(['a.cases.yaml', 'p/a.cases.yml', 'a.yaml', 'cases.yaml', 'a.cases.yaml.bak'].map(isCasesFile)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ])
  })
})

describe('by tag and column', () => {
  const TAGGED = analysts(`
  - id: read
    effect: permit
    resources: ['shop.*', 'crm.*']
    because: reading is fine
  - id: personal
    effect: deny
    tags: [pii]
    because: nobody reads personal data
  - id: secret
    effect: deny
    columns: ['**.password*']
    because: nobody reads these
  - id: remote
    effect: deny
    functions: ['NET.*']
    when: "'pii' in statement.tags || statement.tables == ['shop.orders', 'crm.people']"
    because: no network
`)
  const given = (more: string, reasons: string): string => `
- name: a case
  given:
    principal: { groups: [analyst-agents] }
    connection: warehouse
    uses: [{ action: read, resource: shop.orders }]
    ${more}
  expect: { effect: ${reasons === 'analysts/read' ? 'permit' : 'deny'}, reasons: [${reasons}] }
`
  test.each([
    ['columns: [shop.orders.amount]', 'analysts/read'],
    ['tags: { pii: [shop.orders.email] }', 'analysts/personal'],
    ['tags: { pii: [shop.orders.address.street], other: [shop.orders.address.street] }', 'analysts/personal'],
    ['tags: { other: [shop.orders.email] }', 'analysts/read'],
    ['columns: [shop.orders.login.password_hash]', 'analysts/secret'],
    ['functions: [NET.HOST]', 'analysts/read'],
    // The table of a tagged column is read, too.
    ['{ functions: [NET.HOST], tags: { other: [crm.people.email] } }', 'analysts/remote'],
  ])('%s', async (more, reasons) => {
    const text = given(more.replace(/^\{ (functions.*\]), (tags.*) \}$/, '$1\n    $2'), reasons)
    const report = runCases(await load(TAGGED), [{ path: 'policies/a.cases.yaml', text }])
    expect(report.problems.map(renderProblem)).toEqual([])
    expect(report.failures).toEqual([])
  })

  test('a tag without a column is a mistake', async () => {
    const text = given('tags: { pii: [] }', 'analysts/read')
    const report = runCases(await load(TAGGED), [{ path: 'policies/a.cases.yaml', text }])
    expect(report.problems.map(renderProblem)).toEqual([
      'policies/a.cases.yaml:7:13 [0].given.tags.pii: expected at least 1 entry, got a list',
    ])
  })
})
