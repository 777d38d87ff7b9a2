import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadPolicies, renderProblem } from '../../../src/policy/index.ts'
import { analysts, HOUR, load, problemsOf, vocabulary } from './support.ts'

const GOOD = analysts(`
  - id: read
    effect: permit
    resources: ['shop.*']
    because: reading is fine
    obligations: { limits: { rows: 10 } }
  - id: ask
    effect: hold
    resources: ['crm.*']
    because: ask first
    approvers: { groups: [owners] }
    expiresIn: 30m
`)

describe('a document with a mistake names file, line, key and what was expected', () => {
  test.each([
    [
      'because',
      'becuase',
      [
        '6:5 rules[0].because: expected a text, got nothing',
        '9:5 rules[0].becuase: expected a known key (did you mean `because`?), got an unknown key',
      ],
    ],
    [
      'effect: permit',
      'effect: allow',
      ['7:5 rules[0].effect: expected an `effect` of `permit`, `hold` or `deny`, got a text'],
    ],
    [
      "resources: ['shop.*']",
      'resources: []',
      [
        '8:5 rules[0].resources: expected at least 1 entry, got a list',
        '8:5 rules[0].resources: expected at least one pattern without `!`, got a list',
      ],
    ],
    [
      "resources: ['shop.*']",
      "resources: ['!shop.*']",
      ['8:5 rules[0].resources: expected at least one pattern without `!`, got a list'],
    ],
    [
      "resources: ['shop.*']",
      "resources: ['a`b']",
      ['8:17 rules[0].resources[0]: expected a resource pattern such as `shop.*` or `!shop.internal_*`, got a text'],
    ],
    [
      "resources: ['shop.*']",
      'actions: [reed]',
      [
        '8:15 rules[0].actions[0]: expected one of `read`, `write`, `define`, `delete`, `export`, `execute`, `administer`, got a text',
      ],
    ],
    [
      "resources: ['shop.*']",
      'statements: [select]',
      ['8:18 rules[0].statements[0]: expected a kind of statement such as `DROP_TABLE` or `DROP_*`, got a text'],
    ],
    ['because: reading is fine', "because: ''", ['9:5 rules[0].because: expected at least 1 character, got a text']],
    ['rows: 10', 'rows: -1', ['10:30 rules[0].obligations.limits.rows: expected more than 0, got -1']],
    [
      'rows: 10',
      'row: 10',
      [
        '10:20 rules[0].obligations.limits.rows: expected a number, got nothing',
        '10:30 rules[0].obligations.limits.row: expected no such key here, got an unknown key',
      ],
    ],
    [
      'limits: {',
      'limit: {',
      ['10:20 rules[0].obligations.limit: expected an obligation that a plugin fulfils (did you mean `limits`?)'],
    ],
    [
      'limits: {',
      'constructor: {',
      ['10:20 rules[0].obligations.constructor: expected an obligation that a plugin fulfils'],
    ],
    ['id: ask', 'id: read', ['11:5 rules[1].id: expected an id that no other rule has']],
    [
      'id: ask',
      'id: Ask Me',
      ['11:5 rules[1].id: expected a name of small letters, digits and dashes, at most 63, got a text'],
    ],
    [
      '    approvers: { groups: [owners] }\n',
      '',
      ['11:5 rules[1].approvers: expected a map with `groups`, or a list of such maps, got nothing'],
    ],
    [
      'groups: [owners]',
      'group: [owners]',
      [
        '15:5 rules[1].approvers.groups: expected a list, got nothing',
        '15:18 rules[1].approvers.group: expected a known key (did you mean `groups`?), got an unknown key',
      ],
    ],
    [
      'expiresIn: 30m',
      'expiresIn: 5s',
      ['16:5 rules[1].expiresIn: expected a duration from `1m` to `30d`, such as `1h`, got a text'],
    ],
    [
      'expiresIn: 30m',
      'expiresIn: 31d',
      ['16:5 rules[1].expiresIn: expected a duration from `1m` to `30d`, such as `1h`, got a text'],
    ],
    [
      'expiresIn: 30m',
      'expiresIn: 1800',
      ['16:5 rules[1].expiresIn: expected a duration from `1m` to `30d`, such as `1h`, got 1800'],
    ],
    [
      'effect: hold',
      'effect: deny',
      [
        '15:5 rules[1].approvers: expected one of `id`, `actions`, `resources`, `statements`, `when`, `because`, `fix`, `functions`, `tags`, `columns`, `effect`, got an unknown key',
        '16:5 rules[1].expiresIn: expected one of `id`, `actions`, `resources`, `statements`, `when`, `because`, `fix`, `functions`, `tags`, `columns`, `effect`, got an unknown key',
      ],
    ],
    ['policy: analysts', 'policy: 7', ['1:1 policy: expected a text, got 7']],
    [
      'principals: { groups: [analyst-agents] }',
      'principals: {}',
      ['3:1 principals: expected at least one of `groups`, `subjects`, `issuers`, `kinds`, got a map of keys'],
    ],
    ['connections: [warehouse]', 'connections: warehouse', ['4:1 connections: expected a list, got a text']],
    [
      'connections: [warehouse]',
      'conections: [warehouse]',
      [
        '1:1 connections: expected a list, got nothing',
        '4:1 conections: expected a known key (did you mean `connections`?), got an unknown key',
      ],
    ],
    [
      'connections: [warehouse]',
      'connections: [warehouse]\nplugins: { sql-risc: {} }',
      ['5:12 plugins.sql-risc: expected a plugin that is installed (did you mean `sql-risk`?)'],
    ],
    [
      'connections: [warehouse]',
      'connections: [warehouse]\nplugins: { sql-risk: { weights: { a: x } } }',
      ['5:35 plugins.sql-risk.weights.a: expected a number, got a text'],
    ],
    ['connections: [warehouse]', 'connections: [warehouse]\nconnections: [other]', ['5:1: expected each key once']],
    [
      '[analyst-agents]',
      '[&a analyst-agents, *a]',
      ['1:1: expected YAML without aliases and without very deep nesting'],
    ],
    ['policy: analysts', 'policy: !!js/function x', ['1:9: expected a value without a tag (`!…`)']],
    [
      'policy: analysts',
      '__proto__: {}\npolicy: analysts',
      ['1:1 __proto__: expected another key: this name is reserved'],
    ],
  ])('%s → %s', async (right, wrong, expected) => {
    const problems = await problemsOf(GOOD.replace(right, wrong))
    expect(problems).toEqual(expected.map((problem) => `policies/0.yaml:${problem}`))
  })

  test.each([
    ['', '1:1: expected a map of keys, got an empty value'],
    ['[]', '1:1: expected a map of keys, got a list'],
    ['a: b\n---\na: b', '2:1: expected one document in the file'],
    ['x'.repeat(1_048_577), '1:1: expected at most 1048576 characters in one file'],
  ])('as a whole: %#', async (text, expected) => {
    expect(await problemsOf(text)).toEqual([`policies/0.yaml:${expected}`])
  })

  test('whatever the text is, in problems and not by throwing', async () => {
    for (const text of ['[['.repeat(60_000), 'a: [', '\u0000', '"\\x"', '? {}', '- '.repeat(50_000), '%YAML 9']) {
      expect((await problemsOf(text)).length).toBeGreaterThan(0)
    }
  })

  test('whatever stands in whatever place', async () => {
    const places = pathsOf(parse(GOOD) as unknown)
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...places), fc.jsonValue({ maxDepth: 2 }), async (place, value) => {
        const text = JSON.stringify(replaced(parse(GOOD) as unknown, place, value))
        const loaded = await loadPolicies([{ path: 'a.yaml', text }], vocabulary, { expiresInMs: HOUR })
        const problems = 'problems' in loaded ? loaded.problems : []
        expect(problems.filter(({ expected, line, column }) => expected === '' || line < 1 || column < 1)).toEqual([])
      }),
      { numRuns: 400 },
    )
  })

  test('without any text that somebody wrote as a value', async () => {
    const secret = 'hunter2-hunter2'
    const text = GOOD.replace('effect: permit', `effect: ${secret}`).replace('30m', secret).replace('[owners]', secret)
    expect((await problemsOf(text)).join('\n')).not.toContain(secret)
  })
})

describe('names of the configuration', () => {
  const named = (principals: string, connections: string) =>
    GOOD.replace('{ groups: [analyst-agents] }', principals).replace('[warehouse]', connections)
  const known = { ...vocabulary, connections: ['warehouse', 'archive'], issuers: ['corp'] }

  test('are checked where they are known', async () => {
    const text = named("{ issuers: [corp, crop], subjects: ['corp:a', 'keys:b', 'evil:c', d] }", '[warehose, archive]')
    const loaded = await loadPolicies([{ path: 'a.yaml', text }], known, { expiresInMs: HOUR })
    expect('problems' in loaded ? loaded.problems.map(renderProblem) : []).toEqual([
      'a.yaml:4:15 connections[0]: expected a connection of the configuration (did you mean `warehouse`?)',
      'a.yaml:3:31 principals.issuers[1]: expected an issuer of the configuration (did you mean `corp`?)',
      'a.yaml:3:69 principals.subjects[2]: expected an issuer of the configuration',
    ])
  })

  test('load where they are right, and where nothing is known of them', async () => {
    const right = named("{ issuers: [corp, keys], subjects: ['corp:a'] }", "[warehouse, '*']")
    expect('rules' in (await loadPolicies([{ path: 'a.yaml', text: right }], known, { expiresInMs: HOUR }))).toBe(true)
    const other = named('{ issuers: [elsewhere] }', '[somewhere]')
    expect((await load(other)).rules).toEqual(['analysts/read', 'analysts/ask'])
  })

  test('are no patterns', async () => {
    expect(await problemsOf(GOOD.replace('[warehouse]', "['ware*']"))).toEqual([
      'policies/0.yaml:4:15 connections[0]: expected the name of a connection, or `*` for all, got a text',
    ])
  })
})

describe('a set', () => {
  test('says every problem of every document, and loads nothing', async () => {
    const problems = await problemsOf(GOOD.replace('because:', 'why:'), GOOD, GOOD.replace('rows: 10', 'rows: 0'))
    expect(problems).toEqual([
      'policies/0.yaml:6:5 rules[0].because: expected a text, got nothing',
      'policies/0.yaml:9:5 rules[0].why: expected a known key (did you mean `when`?), got an unknown key',
      'policies/2.yaml:1:1 policy: expected a name that policies/1.yaml does not have',
      'policies/2.yaml:10:30 rules[0].obligations.limits.rows: expected more than 0, got 0',
    ])
  })

  test('of no document is refused', async () => {
    expect(await problemsOf()).toEqual(['policies:1:1: expected at least one policy document'])
  })

  test('lists its rules in the order of paths, whatever the order of files', async () => {
    const files = [
      { path: 'b.yaml', text: GOOD.replace('policy: analysts', 'policy: b') },
      { path: 'a.yaml', text: GOOD.replace('policy: analysts', 'policy: z') },
    ]
    const loaded = await loadPolicies(files, vocabulary, { expiresInMs: HOUR })
    expect(loaded).toMatchObject({ rules: ['z/read', 'z/ask', 'b/read', 'b/ask'] })
  })

  test('has a digest that changes with what is decided and with nothing else', async () => {
    const { digest } = await load(GOOD)
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
    const same = [
      `# a comment\n${GOOD}`,
      GOOD.replace('expiresIn: 30m', 'expiresIn: 1800s'),
      GOOD.replace('id: read\n    effect: permit', 'effect: permit\n    id: read'),
    ]
    const other = [
      GOOD.replace('rows: 10', 'rows: 11'),
      GOOD.replace('shop.*', 'shop.**'),
      GOOD.replace('expiresIn: 30m', 'expiresIn: 31m'),
      GOOD.replace('reading is fine', 'reading is good'),
      GOOD.replace('[analyst-agents]', '[analyst-agents, b]'),
    ]
    for (const text of same) expect((await load(text)).digest).toBe(digest)
    const digests = await Promise.all(other.map(async (text) => (await load(text)).digest))
    expect(new Set([digest, ...digests]).size).toBe(other.length + 1)
  })

  test('has another digest where the default expiry of its holds is another', async () => {
    const text = GOOD.replace('    expiresIn: 30m\n', '')
    const files = [{ path: 'a.yaml', text }]
    const short = await loadPolicies(files, vocabulary, { expiresInMs: 60_000 })
    const long = await loadPolicies(files, vocabulary, { expiresInMs: HOUR })
    expect('digest' in short && 'digest' in long && short.digest !== long.digest).toBe(true)
  })
})

type Place = readonly (string | number)[]

/** Every place in a value, itself included. */
function pathsOf(value: unknown): readonly Place[] {
  if (typeof value !== 'object' || value === null) return [[]]
  const inner = Object.entries(value).flatMap(([key, item]) =>
    pathsOf(item).map((path) => [Array.isArray(value) ? Number(key) : key, ...path]),
  )
  return [[], ...inner]
}

function replaced(value: unknown, [step, ...rest]: Place, by: unknown): unknown {
  if (step === undefined) return by
  if (Array.isArray(value))
    return value.map((item, index) => (index === step ? replaced(item, rest, by) : (item as unknown)))
  const record = value as Record<string, unknown>
  return { ...record, [step]: replaced(record[step], rest, by) }
}
