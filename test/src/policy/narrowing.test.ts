/** Rules by function, column tag and column pattern: deny and hold without a word of CEL. */
import { describe, expect, test } from 'vitest'
import type { SqlStatement, Table } from '../../../src/exchange.ts'
import { analysts, asking, load, NOW, problemsOf, use, AGENT } from './support.ts'

const READ = `
  - id: read
    effect: permit
    actions: [read, execute]
    resources: ['shop.*', 'ML.*']
    because: analysts read the shop
`

const CUSTOMERS: Table = {
  path: { project: 'own', dataset: 'shop', table: 'customers' },
  resource: 'shop.customers',
  kind: 'TABLE',
  version: '1',
  columns: [
    { name: 'id', type: { kind: 'INT64' }, nullable: false },
    { name: 'email', type: { kind: 'STRING' }, nullable: true, tags: ['contact', 'pii'] },
    {
      name: 'address',
      type: {
        kind: 'STRUCT',
        fields: [
          { name: 'street', type: { kind: 'STRING' } },
          { name: 'city', type: { kind: 'STRING' } },
        ],
      },
      nullable: true,
      fieldTags: { street: ['pii'] },
    },
  ],
}

/** Reads these columns of customers. */
function reading(columns: readonly string[], more: Partial<SqlStatement> = {}) {
  const columnsRead = columns.map((column) => `shop.customers.${column}`)
  return asking(['read shop.customers'], { statement: { tables: [CUSTOMERS], columnsRead, ...more } })
}

/** The place that denies, `permit` where nothing does. */
async function verdict(rule: string, exchange: ReturnType<typeof reading>): Promise<string | undefined> {
  const rules = `${READ}  - { id: no, effect: deny, because: not for agents, ${rule} }\n`
  const decision = (await load(analysts(rules))).decide(exchange)
  return decision.effect === 'deny'
    ? decision.reasons.map((reason) => `${reason.code} ${reason.where}`).join()
    : 'permit'
}

describe('by column', () => {
  test.each([
    ['shop.customers.email', ['email'], 'shop.customers.email'],
    ['shop.customers.email', ['id'], undefined],
    ['SHOP.Customers.EMAIL', ['email'], 'shop.customers.email'],
    ["'*.*.e*'", ['id', 'email'], 'shop.customers.email'],
    // What contains it and what it contains are read with it.
    ['shop.customers.address', ['address.street'], 'shop.customers.address.street'],
    ['shop.customers.address.street', ['address'], 'shop.customers.address'],
    ['shop.customers.address.street', ['address.city'], undefined],
    ["'shop.customers.*', '!shop.customers.id'", ['id'], undefined],
    ["'shop.customers.**', '!shop.customers.address.city'", ['address.city'], undefined],
    ["'shop.customers.**', '!shop.customers.address.city'", ['address'], 'shop.customers.address'],
    ["'shop.customers.**', '!shop.customers.address'", ['address.city'], undefined],
    ["'shop.customers.address.*', '!shop.customers.address.city'", ['address'], 'shop.customers.address'],
  ])('%s: reading %j meets %s', async (patterns, columns, where) => {
    const expected = where === undefined ? 'permit' : `analysts/no ${where}`
    expect(await verdict(`columns: [${patterns}]`, reading(columns))).toBe(expected)
  })

  test('of any shard that a wildcard table stands for', async () => {
    const table = { ...CUSTOMERS, resource: 'shop.events_*' }
    const columnsRead = ['shop.events_*.name']
    const exchange = asking(['read shop.events_*'], { statement: { tables: [table], columnsRead } })
    expect(await verdict('columns: [shop.events_20260101.name]', exchange)).toBe('analysts/no shop.events_*.name')
    expect(await verdict('columns: [shop.orders.name]', exchange)).toBe('permit')
  })

  test('of a table that nothing is known of', async () => {
    const exchange = asking(['read shop.leads'], { statement: { columnsRead: ['shop.leads.email'] } })
    expect(await verdict('columns: [shop.leads.email]', exchange)).toBe('analysts/no shop.leads.email')
  })
})

describe('by tag', () => {
  test.each([
    ['pii', ['id'], undefined],
    ['pii', ['id', 'email'], 'shop.customers.email'],
    ['pii', ['address'], 'shop.customers.address'],
    ['pii', ['address.STREET'], 'shop.customers.address.STREET'],
    ['pii', ['address.city'], undefined],
    ['secret, contact', ['email'], 'shop.customers.email'],
    // Tags are compared as they are written.
    ['PII', ['email'], undefined],
  ])('%s: reading %j meets %s', async (tags, columns, where) => {
    const expected = where === undefined ? 'permit' : `analysts/no ${where}`
    expect(await verdict(`tags: [${tags}]`, reading(columns))).toBe(expected)
  })

  test('and conditions see the tags of what is read, sorted', async () => {
    const rule = "when: \"statement.tags == ['contact', 'pii']\""
    expect(await verdict(rule, reading(['email', 'address']))).toBe('analysts/no undefined')
    expect(await verdict(rule, reading(['address']))).toBe('permit')
  })
})

describe('by function', () => {
  test.each([
    ["'NET.*'", ['COUNT', 'NET.HOST'], 'NET.HOST'],
    ["'net.*'", ['NET.HOST'], 'NET.HOST'],
    ["'NET.*'", ['COUNT'], undefined],
    ["'NET'", ['NET.HOST'], undefined],
    ['SESSION_USER', ['SESSION_USER'], 'SESSION_USER'],
  ])('%s: calling %j meets %s', async (patterns, functions, where) => {
    const expected = where === undefined ? 'permit' : `analysts/no ${where}`
    expect(await verdict(`functions: [${patterns}]`, reading(['id'], { functions }))).toBe(expected)
  })

  test('models and routines, which are uses, are met as well', async () => {
    const exchange = asking(['read shop.customers', 'execute ML.PREDICT', 'execute shop.churn'])
    expect(await verdict("functions: ['ml.*']", exchange)).toBe('analysts/no ML.PREDICT')
    expect(await verdict('functions: [shop.churn]', exchange)).toBe('analysts/no shop.churn')
  })
})

describe('together', () => {
  test('every key must be met, and name and tag by the same column', async () => {
    const both = reading(['id', 'email'], { functions: ['TO_HEX'] })
    expect(await verdict('tags: [pii], functions: [TO_HEX]', both)).toBe('analysts/no shop.customers.email')
    expect(await verdict('tags: [pii], functions: [MD5]', both)).toBe('permit')
    expect(await verdict('tags: [pii], columns: [shop.customers.id]', both)).toBe('permit')
    expect(await verdict('tags: [pii], columns: [shop.customers.email]', both)).toBe('analysts/no shop.customers.email')
    expect(await verdict('tags: [pii], statements: [INSERT]', both)).toBe('permit')
    expect(await verdict('tags: [pii], resources: [shop.orders]', both)).toBe('permit')
  })

  test('a hold waits for what they meet, and for nothing else', async () => {
    const policies = await load(
      analysts(`${READ}
  - id: ask
    effect: hold
    tags: [pii]
    because: a data owner looks at personal data first
    approvers: { groups: [owners] }
`),
    )
    expect(policies.decide(reading(['email']))).toEqual({
      effect: 'hold',
      reasons: [
        {
          code: 'analysts/ask',
          because: 'a data owner looks at personal data first',
          fix: 'leave `shop.customers.email` out of the statement',
          where: 'shop.customers.email',
        },
      ],
      obligations: [],
      approvers: [{ groups: ['owners'], count: 1 }],
      expiresAt: NOW + 3_600_000,
    })
    expect(policies.decide(reading(['id']))).toMatchObject({ effect: 'permit' })
  })

  test('a hold with resources consents only to a statement that its keys meet', async () => {
    const policies = await load(
      analysts(`
  - id: ask
    effect: hold
    resources: ['shop.*']
    functions: [SESSION_USER]
    because: ask first
    approvers: { groups: [owners] }
`),
    )
    expect(policies.decide(reading(['id'], { functions: ['SESSION_USER'] }))).toMatchObject({ effect: 'hold' })
    expect(policies.decide(reading(['id']))).toMatchObject({ effect: 'deny', reasons: [{ code: 'no-permit' }] })
  })

  test('names alone are not enough: what is called and read is known later', async () => {
    const rules = `${READ}  - { id: no, effect: deny, because: never, functions: [MD5] }\n`
    const policies = await load(analysts(rules))
    const named = { principal: AGENT, connection: 'warehouse', kind: 'SELECT', uses: [use('read shop.orders')] }
    expect(policies.denyByName(named)).toBeUndefined()
  })
})

test.each(['functions: [MD5]', 'tags: [pii]', 'columns: [shop.customers.email]'])(
  'a permit has no %s',
  async (rule) => {
    const key = rule.slice(0, rule.indexOf(':'))
    expect(await problemsOf(analysts(`\n  - { id: a, effect: permit, because: b, ${rule} }\n`))).toEqual([
      `policies/0.yaml:6:42 rules[0].${key}: expected no \`${key}\` in a permit: it narrows a deny or a hold. ` +
        `Permit \`resources\`, and deny by \`${key}\` beside it, got a list`,
    ])
  },
)
