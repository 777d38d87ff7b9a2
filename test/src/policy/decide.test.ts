import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AGENT, analysts, asking, HOUR, load, NOW, use } from './support.ts'

const READ_SHOP = `
  - id: read-shop
    effect: permit
    actions: [read]
    resources: ['shop.*', '!shop.internal_*']
    because: analysts read the shop
`
const NO_PERMIT = {
  code: 'no-permit',
  because: 'no rule permits `read` on this resource',
  fix: 'leave it out of the statement, or ask whoever keeps the policies for access to it',
}
const PERMITTED = {
  effect: 'permit',
  reasons: [{ code: 'analysts/read-shop', because: 'analysts read the shop', where: 'shop.orders' }],
  obligations: [],
}

describe('a permit', () => {
  test('covers what it names, and says why', async () => {
    const policies = await load(analysts(READ_SHOP))
    expect(policies.decide(asking(['read shop.orders']))).toEqual(PERMITTED)
  })

  test('does not cover another resource, action, part or project', async () => {
    const policies = await load(analysts(READ_SHOP))
    for (const resource of [
      'hr.salaries',
      'shop.internal_notes',
      'shop',
      'other.shop.orders',
      'SHOP.orders',
      'shop.a.b',
    ]) {
      expect(policies.decide(asking([`read ${resource}`]))).toEqual({
        effect: 'deny',
        reasons: [{ ...NO_PERMIT, where: resource }],
      })
    }
    expect(policies.decide(asking(['write shop.orders']))).toEqual({
      effect: 'deny',
      reasons: [{ ...NO_PERMIT, because: 'no rule permits `write` on this resource', where: 'shop.orders' }],
    })
  })

  test('must cover every use: one that is left over denies, and is named', async () => {
    const policies = await load(analysts(READ_SHOP))
    expect(policies.decide(asking(['read shop.orders', 'read hr.salaries', 'read hr.reviews']))).toEqual({
      effect: 'deny',
      reasons: [
        { ...NO_PERMIT, where: 'hr.salaries' },
        { ...NO_PERMIT, where: 'hr.reviews' },
      ],
    })
  })

  test('may share the uses with other permits, and all of their obligations bind, in order', async () => {
    const policies = await load(
      analysts(`
  - id: orders
    effect: permit
    resources: [shop.orders]
    because: orders
    obligations: { limits: { rows: 10 }, tagged: {} }
  - id: unmatched
    effect: permit
    resources: [shop.leads]
    because: leads
    obligations: { limits: { rows: 1 } }
`),
      analysts(
        `
  - id: customers
    effect: permit
    resources: [shop.customers]
    because: customers
    fix: none needed
    obligations: { mask-columns: { columns: { shop.customers.email: hash } }, limits: { rows: 5 } }
`,
        'more',
      ),
    )
    expect(policies.decide(asking(['read shop.customers', 'read shop.orders']))).toEqual({
      effect: 'permit',
      reasons: [
        { code: 'analysts/orders', because: 'orders', where: 'shop.orders' },
        { code: 'more/customers', because: 'customers', fix: 'none needed', where: 'shop.customers' },
      ],
      obligations: [
        { name: 'limits', terms: [{ rows: 10 }, { rows: 5 }] },
        { name: 'tagged', terms: [{ tag: 'plain' }] },
        { name: 'mask-columns', terms: [{ columns: { 'shop.customers.email': 'hash' } }] },
      ],
    })
  })

  test('is only for its kinds of statement', async () => {
    const policies = await load(
      analysts(`
  - { id: create, effect: permit, statements: ['CREATE_*', SELECT], resources: ['shop.*'], because: making }
`),
    )
    expect(policies.decide(asking(['define shop.copy'], { kind: 'CREATE_TABLE' })).effect).toBe('permit')
    expect(policies.decide(asking(['read shop.copy'], { kind: 'SELECT' })).effect).toBe('permit')
    expect(policies.decide(asking(['define shop.copy'], { kind: 'ALTER_TABLE' })).effect).toBe('deny')
    expect(policies.decide(asking(['define shop.copy'], { kind: 'XCREATE_TABLE' })).effect).toBe('deny')
  })
})

describe('a statement that names no resource', () => {
  const nothing = asking([])

  test('is denied by default, with a reason of its own', async () => {
    const policies = await load(analysts(READ_SHOP))
    expect(policies.decide(nothing)).toEqual({
      effect: 'deny',
      reasons: [
        {
          code: 'no-permit',
          because: 'no rule permits a statement that names no table',
          fix: 'name a table that you may read',
        },
      ],
    })
  })

  test('is matched by a rule without resources, and by the empty pattern', async () => {
    const whole = await load(analysts(`\n  - { id: any, effect: permit, actions: [read], because: any }`))
    const empty = await load(
      analysts(`\n  - { id: any, effect: permit, actions: [read], resources: [''], because: any }`),
    )
    const decision = { effect: 'permit', reasons: [{ code: 'analysts/any', because: 'any' }], obligations: [] }
    expect(whole.decide(nothing)).toEqual(decision)
    expect(empty.decide(nothing)).toEqual(decision)
    expect(empty.decide(asking(['read shop.orders'])).effect).toBe('deny')
  })

  test('is not matched by a wildcard, nor by a rule for another action', async () => {
    const wildcard = await load(analysts(`\n  - { id: any, effect: permit, resources: ['**', '*'], because: any }`))
    const writing = await load(analysts(`\n  - { id: any, effect: permit, actions: [write], because: any }`))
    expect(wildcard.decide(nothing).effect).toBe('deny')
    expect(writing.decide(nothing).effect).toBe('deny')
  })
})

describe('a deny', () => {
  const NO_PII = `
  - id: no-pii
    effect: deny
    resources: [shop.customers]
    because: customers are personal
    fix: read shop.orders
`

  test('wins over permits and holds, whichever document and order they are in', async () => {
    const hold = `
  - { id: ask, effect: hold, because: ask, approvers: { groups: [owners] } }
`
    for (const texts of [
      [analysts(READ_SHOP + NO_PII + hold)],
      [analysts(NO_PII + READ_SHOP + hold)],
      [analysts(READ_SHOP + hold), analysts(NO_PII, 'pii')],
    ]) {
      const decision = (await load(...texts)).decide(asking(['read shop.orders', 'read shop.customers']))
      const code = texts.length === 1 ? 'analysts/no-pii' : 'pii/no-pii'
      expect(decision).toEqual({
        effect: 'deny',
        reasons: [{ code, because: 'customers are personal', fix: 'read shop.orders', where: 'shop.customers' }],
      })
    }
  })

  test('is not got around by another spelling, where a dataset may ignore case', async () => {
    const policies = await load(analysts(READ_SHOP + NO_PII))
    expect(policies.decide(asking(['read shop.CUSTOMERS']))).toEqual({
      effect: 'deny',
      reasons: [
        {
          code: 'analysts/no-pii',
          because: 'customers are personal',
          fix: 'read shop.orders',
          where: 'shop.CUSTOMERS',
        },
      ],
    })
    expect(policies.decide(asking(['read shop.INTERNAL_notes'])).effect).toBe('deny')
  })

  test('does not reach a statement that leaves its resource out', async () => {
    const policies = await load(analysts(READ_SHOP + NO_PII))
    expect(policies.decide(asking(['read shop.orders']))).toEqual(PERMITTED)
  })

  test('speaks for the uses that it names; the rest still needs a permit', async () => {
    const policies = await load(analysts(READ_SHOP + NO_PII))
    expect(policies.decide(asking(['read hr.salaries', 'read shop.customers']))).toEqual({
      effect: 'deny',
      reasons: [
        {
          code: 'analysts/no-pii',
          because: 'customers are personal',
          fix: 'read shop.orders',
          where: 'shop.customers',
        },
        { ...NO_PERMIT, where: 'hr.salaries' },
      ],
    })
  })
})

describe('a hold', () => {
  const CHANGE = `
  - id: change
    effect: hold
    actions: [write]
    resources: ['shop.*']
    because: an owner approves changes
    approvers: { groups: [owners] }
    expiresIn: 30m
    obligations: { limits: { rows: 3 } }
`
  const RISKY = `
  - id: risky
    effect: hold
    when: risk.score >= 60
    because: it looks risky
    approvers: { groups: [security, owners] }
`

  test('that names the resource consents to it, asks its approvers and ends in its time', async () => {
    const policies = await load(analysts(CHANGE))
    expect(policies.decide(asking(['write shop.leads']))).toEqual({
      effect: 'hold',
      reasons: [{ code: 'analysts/change', because: 'an owner approves changes', where: 'shop.leads' }],
      obligations: [{ name: 'limits', terms: [{ rows: 3 }] }],
      approvers: [{ groups: ['owners'], count: 1 }],
      expiresAt: NOW + HOUR / 2,
    })
  })

  test('that names none escalates what others permit, with their obligations', async () => {
    const policies = await load(analysts(`${READ_SHOP}    obligations: { limits: { rows: 9 } }\n${RISKY}`))
    expect(policies.decide(asking(['read shop.orders'], { facts: { risk: { score: 60 } } }))).toEqual({
      effect: 'hold',
      reasons: [{ code: 'analysts/risky', because: 'it looks risky' }],
      obligations: [{ name: 'limits', terms: [{ rows: 9 }] }],
      approvers: [{ groups: ['security', 'owners'], count: 1 }],
      expiresAt: NOW + HOUR,
    })
    expect(policies.decide(asking(['read shop.orders'], { facts: { risk: { score: 59.9 } } })).effect).toBe('permit')
  })

  test('that names none opens nothing', async () => {
    const policies = await load(analysts(RISKY))
    expect(policies.decide(asking(['read shop.orders'], { facts: { risk: { score: 99 } } }))).toEqual({
      effect: 'deny',
      reasons: [{ ...NO_PERMIT, where: 'shop.orders' }],
    })
  })

  test('with another asks both, and waits for the shorter time', async () => {
    const policies = await load(analysts(CHANGE + RISKY))
    expect(policies.decide(asking(['write shop.leads'], { facts: { risk: { score: 90 } } }))).toEqual({
      effect: 'hold',
      reasons: [
        { code: 'analysts/change', because: 'an owner approves changes', where: 'shop.leads' },
        { code: 'analysts/risky', because: 'it looks risky' },
      ],
      obligations: [{ name: 'limits', terms: [{ rows: 3 }] }],
      approvers: [
        { groups: ['owners'], count: 1 },
        { groups: ['security', 'owners'], count: 1 },
      ],
      expiresAt: NOW + HOUR / 2,
    })
  })

  test('whose condition is false consents to nothing', async () => {
    const policies = await load(
      analysts(`
  - { id: some, effect: hold, resources: ['shop.*'], when: risk.score > 5, because: b, approvers: { groups: [o] } }
`),
    )
    expect(policies.decide(asking(['write shop.leads'], { facts: { risk: { score: 5 } } })).effect).toBe('deny')
    expect(policies.decide(asking(['write shop.leads'], { facts: { risk: { score: 6 } } })).effect).toBe('hold')
  })
})

describe('a wildcard table', () => {
  test('is permitted only where all that it stands for is', async () => {
    const policies = await load(
      analysts(
        `\n  - { id: e, effect: permit, resources: ['shop.events_2026*', 'crm.*', '!crm.events_secret'], because: b }`,
      ),
    )
    expect(policies.decide(asking(['read shop.events_2026*'])).effect).toBe('permit')
    expect(policies.decide(asking(['read shop.events_20260*'])).effect).toBe('permit')
    expect(policies.decide(asking(['read shop.events_*'])).effect).toBe('deny')
    expect(policies.decide(asking(['read crm.events_*'])).effect).toBe('deny')
    expect(policies.decide(asking(['read crm.orders_*'])).effect).toBe('permit')
  })

  test('is denied where one that it stands for is', async () => {
    const policies = await load(
      analysts(`${READ_SHOP}
  - { id: no, effect: deny, resources: [shop.events_secret], because: secret }`),
    )
    expect(policies.decide(asking(['read shop.events_*']))).toEqual({
      effect: 'deny',
      reasons: [{ code: 'analysts/no', because: 'secret', where: 'shop.events_*' }],
    })
    expect(policies.decide(asking(['read shop.events_2*'])).effect).toBe('permit')
  })

  test('carries the obligations of one that it stands for', async () => {
    const policies = await load(
      analysts(`${READ_SHOP}
  - id: masked
    effect: permit
    resources: [shop.events_raw]
    because: masked
    obligations: { mask-columns: { columns: { shop.events_raw.user: hash } } }`),
    )
    expect(policies.decide(asking(['read shop.events_*']))).toMatchObject({
      effect: 'permit',
      obligations: [{ name: 'mask-columns', terms: [{ columns: { 'shop.events_raw.user': 'hash' } }] }],
    })
    expect(policies.decide(asking(['read shop.orders']))).toEqual(PERMITTED)
  })
})

describe('a condition that breaks', () => {
  const failure = (code: string) => ({
    code: 'condition-failed',
    because: 'a condition could not be evaluated: a fact that it weighs is missing or has no such part',
    where: code,
  })

  test.each([
    ['deny', ''],
    ['hold', 'approvers: { groups: [o] }, '],
    ['permit', ''],
  ])('denies, when it is that of a %s', async (effect, more) => {
    const policies = await load(
      analysts(`${READ_SHOP}
  - { id: weighs, effect: ${effect}, ${more}when: risk.score >= 60, because: b }`),
    )
    const denied = { effect: 'deny', reasons: [failure('analysts/weighs')] }
    expect(policies.decide(asking(['read shop.orders']))).toEqual(denied)
    expect(policies.decide(asking(['read shop.orders'], { facts: { risk: { factors: [] } } }))).toEqual(denied)
    expect(policies.decide(asking(['read shop.orders'], { facts: { risk: { score: 1 } } })).effect).toBe('permit')
  })

  test('does nothing when its rule is not concerned', async () => {
    const policies = await load(
      analysts(`${READ_SHOP}
  - { id: weighs, effect: deny, actions: [write], when: risk.score >= 60, because: b }`),
    )
    expect(policies.decide(asking(['read shop.orders']))).toEqual(PERMITTED)
  })

  test('is the reason where its rule alone could have permitted', async () => {
    const policies = await load(
      analysts(`
  - { id: weighs, effect: permit, resources: ['shop.*'], when: risk.score < 60, because: b }`),
    )
    expect(policies.decide(asking(['read shop.orders', 'read hr.salaries']))).toEqual({
      effect: 'deny',
      reasons: [{ ...NO_PERMIT, where: 'hr.salaries' }, failure('analysts/weighs')],
    })
  })

  test('is named beside the rules that deny', async () => {
    const policies = await load(
      analysts(`
  - { id: no, effect: deny, because: no }
  - { id: weighs, effect: permit, when: "statement.functions[3] == 'X'", because: b }`),
    )
    expect(policies.decide(asking(['read shop.orders']))).toEqual({
      effect: 'deny',
      reasons: [{ code: 'analysts/no', because: 'no' }, failure('analysts/weighs')],
    })
  })
})

describe('a fact', () => {
  const refused = (where: string) => ({
    effect: 'deny',
    reasons: [
      {
        code: 'fact-refused',
        because: 'a plugin stated a fact that it does not declare, in another type, or twice and differently',
        where,
      },
    ],
  })

  test.each([
    ['of an unknown plugin', [{ kind: 'stranger/x', facts: { risk: { score: 0 } } }], 'risk.score'],
    ['that its plugin does not declare', [{ kind: 'silent/x', facts: { risk: { score: 0 } } }], 'risk.score'],
    [
      'under a name that only objects have',
      [{ kind: 'sql-risk/x', facts: { risk: { constructor: 0 } } }],
      'risk.constructor',
    ],
    ['in another type', [{ kind: 'sql-risk/x', facts: { risk: { score: '0' } } }], 'risk.score'],
    ['that is no number', [{ kind: 'sql-risk/x', facts: { risk: { score: Number.NaN } } }], 'risk.score'],
    [
      'stated twice and differently',
      [
        { kind: 'sql-risk/x', facts: { risk: { score: 0 } } },
        { kind: 'sql-risk/y', facts: { risk: { score: 90 } } },
      ],
      'risk.score',
    ],
    ['of the engine itself', [{ kind: 'sql-risk/x', facts: { principal: { subject: 'root' } } }], 'principal.subject'],
  ])('%s denies', async (_, findings, where) => {
    const policies = await load(analysts(READ_SHOP))
    expect(policies.decide(asking(['read shop.orders'], { findings }))).toEqual(refused(where))
  })

  test('stated twice and equally is fine, and so are findings without facts', async () => {
    const policies = await load(analysts(READ_SHOP))
    const findings = [
      { kind: 'sql-risk/score', facts: { risk: { score: 1, factors: ['a'], reversible: true, level: 'low' } } },
      { kind: 'sql-risk/again', facts: { risk: { score: 1, factors: ['a'] } } },
      { kind: 'anything/else', where: 'shop.orders', count: 3 },
    ]
    expect(policies.decide(asking(['read shop.orders'], { findings }))).toEqual(PERMITTED)
  })
})

describe('to whom a document applies', () => {
  const document = (principals: string, connections = '[warehouse]') => `policy: p
description: d
principals: ${principals}
connections: ${connections}
rules: [{ id: all, effect: permit, because: b }]`

  test.each([
    ['{ groups: [a, analyst-agents] }', true],
    ['{ groups: [a] }', false],
    ['{ subjects: [agent-7] }', true],
    ["{ subjects: ['corp:agent-7'] }", true],
    ["{ subjects: ['other:agent-7'] }", false],
    ['{ issuers: [corp] }', true],
    ['{ issuers: [other] }', false],
    ['{ kinds: [agent, service] }', true],
    ['{ kinds: [person] }', false],
    ['{ groups: [analyst-agents], issuers: [corp], kinds: [agent], subjects: [agent-7] }', true],
    ['{ groups: [analyst-agents], issuers: [other] }', false],
    ['{ groups: [analyst-agents], kinds: [person] }', false],
  ])('%s: %s', async (principals, applies) => {
    const policies = await load(document(principals))
    expect(policies.reaches(AGENT, 'warehouse')).toBe(applies)
    expect(policies.decide(asking(['read shop.orders'])).effect).toBe(applies ? 'permit' : 'deny')
  })

  test('a subject that reads like another issuer and subject is not that one', async () => {
    const policies = await load(document("{ subjects: ['corp:admin'] }"))
    expect(policies.reaches({ ...AGENT, issuer: 'evil', subject: 'corp:admin' }, 'warehouse')).toBe(false)
    expect(policies.reaches({ ...AGENT, issuer: 'corp', subject: 'admin' }, 'warehouse')).toBe(true)
  })

  test('a connection by its exact name, or all of them', async () => {
    const one = await load(document('{ kinds: [agent] }'))
    const all = await load(document('{ kinds: [agent] }', "['*']"))
    expect([one.reaches(AGENT, 'warehouse'), one.reaches(AGENT, 'warehouse2')]).toEqual([true, false])
    expect([all.reaches(AGENT, 'warehouse'), all.reaches(AGENT, 'warehouse2')]).toEqual([true, true])
  })

  test('nobody: the reason says so, not that a table is closed', async () => {
    const policies = await load(document('{ groups: [others] }'))
    expect(policies.decide(asking(['read shop.orders']))).toEqual({
      effect: 'deny',
      reasons: [
        {
          code: 'no-permit',
          because: 'no policy applies to you on this connection',
          fix: 'ask whoever keeps the policies for access to this connection',
          where: 'shop.orders',
        },
      ],
    })
  })
})

describe('a denial by name', () => {
  const named = (uses: readonly string[], kind = 'SELECT') => ({
    principal: AGENT,
    connection: 'warehouse',
    kind,
    uses: uses.map(use),
  })

  test('follows from a deny without condition and from what no rule could cover', async () => {
    const policies = await load(
      analysts(`${READ_SHOP}
  - { id: no-drop, effect: deny, statements: ['DROP_*'], because: nothing is dropped }`),
    )
    expect(policies.denyByName(named(['delete shop.orders'], 'DROP_TABLE'))).toEqual({
      effect: 'deny',
      reasons: [{ code: 'analysts/no-drop', because: 'nothing is dropped' }],
    })
    expect(policies.denyByName(named(['read shop.orders', 'read hr.salaries']))).toEqual({
      effect: 'deny',
      reasons: [{ ...NO_PERMIT, where: 'hr.salaries' }],
    })
    expect(policies.denyByName({ ...named(['read shop.orders']), principal: { ...AGENT, groups: [] } })?.effect).toBe(
      'deny',
    )
  })

  test('does not follow from what facts may still change', async () => {
    const policies = await load(
      analysts(`${READ_SHOP}
  - { id: maybe-no, effect: deny, when: risk.score > 5, because: b }
  - { id: maybe-yes, effect: permit, resources: ['crm.*'], when: risk.score < 5, because: b }
  - { id: ask, effect: hold, resources: ['ops.*'], when: risk.score < 5, because: b, approvers: { groups: [o] } }
  - { id: escalate, effect: hold, because: b, approvers: { groups: [o] } }`),
    )
    expect(policies.denyByName(named(['read shop.orders']))).toBeUndefined()
    expect(policies.denyByName(named(['read crm.people', 'read ops.jobs']))).toBeUndefined()
    expect(policies.denyByName(named(['read hr.salaries']))).toEqual({
      effect: 'deny',
      reasons: [{ ...NO_PERMIT, where: 'hr.salaries' }],
    })
  })

  test('is never met by a request that would have been permitted or held', async () => {
    const rule = fc.record({
      effect: fc.constantFrom('permit', 'hold', 'deny'),
      actions: fc.subarray(['read', 'write'], { minLength: 1 }),
      resources: fc.option(fc.subarray(['a.*', 'a.x', 'b.**', '!a.y', '!b.x'], { minLength: 1 })),
      when: fc.option(fc.constantFrom('risk.score > 5', 'risk.score <= 5')),
    })
    const uses = fc.subarray(['read a.x', 'read a.y', 'write b.x', 'read b.y', 'read a.*'])
    await fc.assert(
      fc.asyncProperty(
        fc.array(rule, { minLength: 1, maxLength: 6 }),
        uses,
        fc.constantFrom(1, 9),
        async (rules, asked, score) => {
          const text = rules
            .map((each, index) => {
              const plain = each.resources?.some((pattern) => !pattern.startsWith('!'))
              return `  - ${JSON.stringify({
                id: `r${index}`,
                effect: each.effect,
                because: 'b',
                actions: each.actions,
                ...(each.resources !== null && plain === true ? { resources: each.resources } : {}),
                ...(each.when === null ? {} : { when: each.when }),
                ...(each.effect === 'hold' ? { approvers: { groups: ['o'] } } : {}),
              })}`
            })
            .join('\n')
          const policies = await load(analysts(text))
          const facts = { risk: { score } }
          const rank = { permit: 0, hold: 1, deny: 2 }
          const decided = rank[policies.decide(asking(asked, { facts })).effect]
          const byName = policies.denyByName(named(asked)) === undefined ? 0 : 2
          expect(decided).toBeGreaterThanOrEqual(byName)
          // And what is decided never gets better by one rule that holds more, nor by asking for more.
          const stricter = await load(
            analysts(`${text}\n  - { id: more, effect: hold, because: b, approvers: { groups: [o] } }`),
          )
          expect(rank[stricter.decide(asking(asked, { facts })).effect]).toBeGreaterThanOrEqual(decided)
          const more = asked.length === 0 ? 2 : rank[policies.decide(asking([...asked, 'write a.x'], { facts })).effect]
          expect(more).toBeGreaterThanOrEqual(decided)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('plugin options', () => {
  const configuring = (name: string, groups: string, plugins: string) => `policy: ${name}
description: d
principals: { groups: [${groups}] }
connections: [warehouse]
plugins: ${plugins}
rules: [{ id: all, effect: permit, because: b }]`

  test('are those of the first applicable document that names the plugin, parsed', async () => {
    const policies = await load(
      configuring('none', 'others', '{ sql-risk: { weights: { a: 9 } } }'),
      configuring('first', 'analyst-agents', '{ sql-risk: {} }'),
      configuring('second', 'analyst-agents', '{ sql-risk: { weights: { a: 2 } }, silent: {} }'),
    )
    expect(policies.pluginOptions(AGENT, 'warehouse')).toEqual(
      new Map([
        ['sql-risk', { key: 'sql-risk {}', options: { weights: {} } }],
        ['silent', { key: 'silent {}', options: {} }],
      ]),
    )
    expect(policies.pluginOptions(AGENT, 'other')).toEqual(new Map())
  })

  test('have equal keys when they are equal, in whatever order they are written', async () => {
    const policies = await load(
      configuring('a', 'x', '{ sql-risk: { weights: { a: 1, b: 2 } } }'),
      configuring('b', 'y', '{ sql-risk: { weights: { b: 2, a: 1 } } }'),
      configuring('c', 'z', '{ sql-risk: { weights: { b: 2, a: 2 } } }'),
    )
    const key = (group: string) =>
      policies.pluginOptions({ ...AGENT, groups: [group] }, 'warehouse').get('sql-risk')?.key
    expect(key('x')).toBe(key('y'))
    expect(key('x')).not.toBe(key('z'))
  })
})

describe('an obligation that guards', () => {
  const rules = `
  - id: read-masked
    effect: permit
    actions: [read]
    resources: ['shop.*']
    statements: [SELECT]
    when: purpose != 'none'
    because: analysts read the shop masked
    obligations:
      mask-columns: { columns: { 'shop.customers.email': hash } }
      limits: { rows: 5 }
  - id: shape
    effect: permit
    actions: [read, define, administer, export]
    resources: ['shop.*', '**.INFORMATION_SCHEMA.**']
    statements: ['CREATE_*', 'ALTER_*', GRANT, EXPORT_DATA]
    because: analysts shape the shop
  - id: look-around
    effect: permit
    actions: [read]
    resources: ['**.INFORMATION_SCHEMA.**']
    because: analysts look around
`
  const MASKED = [{ name: 'mask-columns', terms: [{ columns: { 'shop.customers.email': 'hash' } }] }]

  test.each([
    ['ALTER_TABLE', ['define shop.customers', 'define shop.plain']],
    ['CREATE_VIEW', ['define shop.v', 'read shop.customers']],
    ['EXPORT_DATA', ['read shop.customers', 'export shop.customers']],
    ['GRANT', ['administer shop.customers']],
    ['SELECT', ['read region-eu.INFORMATION_SCHEMA.JOBS']],
  ])(
    'binds %s of %s, though the rule is about neither; what does not guard stays with its rule',
    async (kind, uses) => {
      const policies = await load(analysts(rules))
      const decision = policies.decide(asking(uses, { statement: { kind } }))
      expect(decision).toMatchObject({ effect: 'permit', obligations: MASKED })
    },
  )

  test('stays with its rule where a statement reads tables', async () => {
    const policies = await load(analysts(rules.replace("resources: ['shop.*']", "resources: ['shop.customers']")))
    expect(policies.decide(asking(['read shop.customers']))).toMatchObject({
      effect: 'permit',
      obligations: [...MASKED, { name: 'limits', terms: [{ rows: 5 }] }],
    })
  })
})
