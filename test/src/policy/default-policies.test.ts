/** The policies that lie in `policies/`: loaded, their cases run, and the promises of the sandbox asserted. */
import { readdirSync, readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { plugins } from '../../../plugins/index.ts'
import {
  isCasesFile,
  isProblems,
  loadPolicies,
  renderProblem,
  runCases,
  type LoadedPolicies,
  type Vocabulary,
} from '../../../src/policy/index.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { asking, HOUR, NOW } from './support.ts'

const files = readdirSync('policies')
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => ({ path: `policies/${file}`, text: readFileSync(`policies/${file}`, 'utf8') }))

/** What the installed plugins provide. Their keys open nothing here. */
async function installed(): Promise<Vocabulary> {
  const runtime = { secrets: { read: async () => 'a key that is long enough' } } as unknown as Runtime
  const made = await Promise.all(
    plugins.map(async (plugin) => plugin.create(plugin.options.parse(OPTIONS[plugin.name]), runtime)),
  )
  const fulfil = made.flatMap((hooks) => Object.entries(hooks.fulfil ?? {}))
  return {
    plugins: Object.fromEntries(plugins.map((plugin) => [plugin.name, plugin])),
    obligations: Object.fromEntries(
      fulfil.map(([name, { terms, guards = false }]) => [
        name,
        { parse: (input: unknown) => terms.parse(input), guards },
      ]),
    ),
  }
}

const OPTIONS: Readonly<Record<string, unknown>> = { 'mask-columns': { keys: { default: 'env:SLUICE_MASK_KEY' } } }

let policies: LoadedPolicies

beforeAll(async () => {
  const loaded = await loadPolicies(
    files.filter((file) => !isCasesFile(file.path)),
    await installed(),
    { expiresInMs: HOUR },
  )
  if (isProblems(loaded)) throw new Error(loaded.problems.map(renderProblem).join('\n'))
  policies = loaded
})

const MASKS = {
  columns: {
    'shop.customers.email': 'hash',
    'shop.orders.customer_email': 'hash',
    'shop.customers.ssn': 'redact',
    'shop.customers.phone': 'partial',
    'shop.customers.birth_date': 'year',
    'shop.customers.address.street': 'redact',
    'shop.customers.contacts.value': 'redact',
    'shop.customers.metadata.$.card': 'redact',
  },
}
const LIMITS = { rows: 2_000_000, bytesBilled: 10 * 2 ** 30, timeMs: 120_000 }
const PER_DAY = { queries: 500_000, rows: 1_000_000_000, bytesBilled: 10 * 2 ** 40 }

const calm = { facts: { risk: { score: 10 } } }
const agent = { ...calm, principal: { groups: ['analyst-agents'] } }
const writer = { ...calm, principal: { groups: ['writer-agents'] } }

test('their cases hold and reach every rule', () => {
  const report = runCases(
    policies,
    files.filter((file) => isCasesFile(file.path)),
  )
  expect({ ...report, cases: report.cases > 20 }).toEqual({ cases: true, failures: [], unreached: [], problems: [] })
})

describe.each([
  ['agent', agent, 'shop-analysts', { ...LIMITS, perDay: PER_DAY }],
  ['writer', writer, 'shop-writers', LIMITS],
])('%s', (_, who, policy, limits) => {
  test('reads the shop masked and limited', () => {
    const decision = policies.decide(asking(['read shop.customers'], who))
    expect(decision).toEqual({
      effect: 'permit',
      reasons: [{ code: `${policy}/read-shop`, because: expect.any(String), where: 'shop.customers' }],
      obligations: [
        { name: 'mask-columns', terms: [MASKS] },
        { name: 'limits', terms: [limits] },
      ],
    })
  })

  test('cannot read without the masks, by whatever name of the table', () => {
    for (const resource of ['shop.customers', 'shop.cust*', 'shop.*', 'shop.CUSTOMERS']) {
      const decision = policies.decide(asking([`read ${resource}`], who))
      const obligations = decision.effect === 'deny' ? [] : decision.obligations
      expect([decision.effect, obligations[0]?.terms]).toEqual(['permit', [MASKS]])
    }
  })

  test('waits for a data owner where a read looks risky', () => {
    const decision = policies.decide(asking(['read shop.customers'], { ...who, facts: { risk: { score: 80 } } }))
    expect(decision).toMatchObject({
      effect: 'hold',
      approvers: [{ groups: ['data-owners'], count: 1 }],
      expiresAt: NOW + HOUR,
      obligations: [{ name: 'mask-columns' }, { name: 'limits' }],
    })
  })

  test.each([
    [['read hr.salaries'], 'SELECT', ['no-hr']],
    [['read hr.INFORMATION_SCHEMA.COLUMNS'], 'SELECT', ['no-hr']],
    [['read HR.salaries'], 'SELECT', ['no-hr']],
    [['read hr.sal*'], 'SELECT', ['no-hr']],
    [['define hr'], 'CREATE_SCHEMA', ['no-hr']],
    [['write hr.salaries', 'read shop.orders'], 'INSERT', ['no-hr']],
    [['delete shop.leads'], 'DROP_TABLE', ['no-destruction']],
    [['execute shop.procedure'], 'CALL', ['no-code']],
    [['execute SCRIPT', 'read shop.orders'], 'SCRIPT', ['no-code']],
    [['delete shop.leads'], 'TRUNCATE_TABLE', ['no-destruction']],
    [['delete shop'], 'DROP_SCHEMA', ['no-destruction']],
    [['delete hr.salaries'], 'DROP_TABLE', ['no-hr', 'no-destruction']],
  ])('may not %j (%s), and that follows from the names', (uses, kind, rules) => {
    const codes = rules.map((rule) => `${policy}/${rule}`)
    const exchange = asking(uses, { ...who, kind })
    const { principal, connection } = exchange
    const decided = policies.decide(exchange)
    const named = policies.denyByName({ principal, connection, kind, uses: exchange.statement.uses })
    expect([decided.effect, decided.reasons.map(({ code }) => code)]).toEqual(['deny', codes])
    expect(named?.reasons.map(({ code }) => code)).toEqual(codes)
  })

  test.each([
    'read other-project.shop.customers',
    'read region-us.INFORMATION_SCHEMA.JOBS',
    'export shop.orders',
    'administer shop.orders',
    'define shop',
  ])('has no permit to %s', (text) => {
    expect(policies.decide(asking([text], who)).reasons.map(({ code }) => code)).toEqual(['no-permit'])
  })
})

test('only the writer may ask to write, and is held for a data owner', () => {
  for (const action of ['write', 'define']) {
    expect(policies.decide(asking([`${action} shop.leads`], { ...writer, kind: 'INSERT' }))).toMatchObject({
      effect: 'hold',
      reasons: [{ code: 'shop-writers/change-shop' }],
      approvers: [{ groups: ['data-owners'], count: 1 }],
      expiresAt: NOW + HOUR,
    })
    expect(policies.decide(asking([`${action} shop.leads`], agent)).effect).toBe('deny')
  }
})

test('a stranger reaches nothing', () => {
  const stranger = { ...calm, principal: { groups: [], subject: 'stranger' } }
  expect(policies.reaches(asking([], stranger).principal, 'warehouse')).toBe(false)
  expect(policies.decide(asking(['read shop.leads'], stranger)).effect).toBe('deny')
  expect(policies.decide(asking([], stranger)).effect).toBe('deny')
})
