/** A decision is made again from its record: through the bytes of the row, the same documents decide the same. */
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { plugins } from '../../../plugins/index.ts'
import { decided } from '../../../src/audit/entries.ts'
import { decodeRow, encodeRow, toRow, type Row } from '../../../src/audit/record.ts'
import type { Column, HttpStatement, Inspected, SqlStatement, SqlType, Table } from '../../../src/exchange.ts'
import {
  inspectedOf,
  isCasesFile,
  isProblems,
  loadPolicies,
  runCases,
  weighedOf,
  type LoadedPolicies,
  type Recalled,
  type Vocabulary,
} from '../../../src/policy/index.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { canonicalJson } from '../../../src/policy/canonical.ts'
import { sqlStatement } from '../../support/statement.ts'
import { AGENT, analysts, asking, HOUR, load, NOW } from './support.ts'

const STAMP = {
  recordId: '019b7d5c-0000-7000-8000-00000000000a',
  writer: 'w',
  epoch: '019b7d5c-0000-7000-8000-00000000000b',
  retainDays: 30,
}

/** The row of the exchange's decision, as ClickHouse has it. */
function rowOf(exchange: Inspected, policies: LoadedPolicies): Row {
  const decision = policies.decide(exchange)
  const record = decided({ ...exchange, decision, policy: policies.digest }, NOW + 5, weighedOf(exchange))
  return decodeRow(
    encodeRow({ ...toRow({ ...record, receivedAt: exchange.receivedAt }, STAMP), segment: 1, writer_seq: 1 }),
  )
}

function recalled(row: Row): Recalled {
  const found = inspectedOf(row)
  if ('missing' in found) throw new Error(found.missing)
  return found
}

/** What the same policies decide on the exchange, and on what its record tells of it. */
function both(exchange: Inspected, policies: LoadedPolicies) {
  const there = { ...exchange, id: '019b7d5c-0000-7000-8000-000000000001' }
  const { exchange: again, missed } = recalled(rowOf(there, policies))
  return { first: policies.explain(there), again: policies.explain(again), missed: [...missed] }
}

const files = readdirSync('policies')
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => ({ path: `policies/${file}`, text: readFileSync(`policies/${file}`, 'utf8') }))

async function installed(): Promise<Vocabulary> {
  const runtime = { secrets: { read: async () => 'a key that is long enough' } } as unknown as Runtime
  const options: Record<string, unknown> = { 'mask-columns': { keys: { default: 'env:K' } } }
  const made = await Promise.all(plugins.map(async (it) => it.create(it.options.parse(options[it.name]), runtime)))
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

test("every case of this project's policies is decided again as it was", async () => {
  const loaded = await loadPolicies(
    files.filter(({ path }) => !isCasesFile(path)),
    await installed(),
    { expiresInMs: HOUR },
  )
  if (isProblems(loaded)) throw new Error('the policies are not in order')
  const exchanges: Inspected[] = []
  const watching: LoadedPolicies = {
    ...loaded,
    explain(exchange) {
      exchanges.push(exchange)
      return loaded.explain(exchange)
    },
  }
  runCases(
    watching,
    files.filter(({ path }) => isCasesFile(path)),
  )
  expect(exchanges.length).toBeGreaterThan(15)
  for (const exchange of exchanges) {
    // A case's body has no text; a request that came over the wire does.
    const { again, first, missed } = both(sent(exchange), loaded)
    expect([again, missed]).toEqual([first, []])
  }
})

/** The body as text, as the gateway records it. */
function sent(exchange: Inspected): Inspected {
  const { statement } = exchange
  if (statement.language !== 'http' || statement.body === undefined || !('json' in statement.body)) return exchange
  const excerpt = JSON.stringify(statement.body.json)
  const length = new TextEncoder().encode(excerpt).length
  return { ...exchange, statement: { ...statement, body: { ...statement.body, excerpt, length } } }
}

const RULES = analysts(`
  - { id: shop, effect: permit, resources: ['shop.*', '!shop.secret*'], because: a, obligations: { limits: { rows: 9 } } }
  - { id: masked, effect: permit, actions: [read], resources: ['shop.customers'], because: b,
      obligations: { mask-columns: { columns: { shop.customers.email: hash } } } }
  - { id: tagged, effect: deny, tags: [pii], because: c }
  - { id: part, effect: hold, columns: ['**.street'], because: d, approvers: { groups: [g] }, expiresIn: 2h }
  - { id: called, effect: hold, functions: ['ML.*', SESSION_USER], because: e, approvers: { groups: [h] } }
  - { id: costly, effect: deny, when: estimate.known && estimate.bytes > 1000, because: f }
  - { id: star, effect: hold, when: "'select-star' in statement.features", because: g, approvers: { groups: [g] } }
  - { id: many, effect: deny, when: size(statement.tables) > 3 || size(statement.columns) > 6, because: h }
  - { id: tags, effect: hold, when: "statement.tags.exists(t, t == 'money')", because: i, approvers: { groups: [k] } }
  - { id: risk, effect: deny, actions: [write], when: risk.score > 50, because: j }
  - { id: whom, effect: deny, when: "principal.actsFor == 'eve' || purpose == 'mischief'", because: k }
  - { id: api, effect: permit, resources: [pay, look], because: l }
  - { id: api-query, effect: deny, resources: [pay, look], when: "'all' in http.query && http.query.all.exists(v, v == '1')", because: m }
  - { id: api-path, effect: deny, resources: [pay], when: "'id' in http.path && http.path.id == 'x'", because: n }
  - { id: api-body, effect: deny, resources: [pay], when: "http.body == null || (has(http.body.amount) && http.body.amount > 5)", because: o }
  - { id: api-type, effect: hold, resources: [look], when: "http.contentType != '' || 'accept' in http.headers && http.headers.accept == 'x'", because: p, approvers: { groups: [g] } }
`)

const name = fc.constantFrom('email', 'address', 'street', 'zip', 'Email', 'id')
const scalar = fc.constantFrom<SqlType>({ kind: 'STRING' }, { kind: 'INT64' })
const { type } = fc.letrec<{ type: SqlType }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.record({ kind: fc.constant('ARRAY' as const), of: tie('type') }),
    fc.record({
      kind: fc.constant('STRUCT' as const),
      fields: fc.array(fc.record({ name, type: tie('type') }), { maxLength: 3 }),
    }),
  ),
}))
const tags = fc.uniqueArray(fc.constantFrom('pii', 'money', 'x'), { maxLength: 2 })
const column: fc.Arbitrary<Column> = fc.record(
  {
    name,
    type,
    nullable: fc.boolean(),
    tags,
    fieldTags: fc.dictionary(fc.constantFrom('street', 'address.street', '__proto__'), tags, { maxKeys: 2 }),
  },
  { requiredKeys: ['name', 'type', 'nullable'] },
)
const resource = fc.constantFrom(
  'shop.customers',
  'shop.orders',
  'SHOP.Customers',
  'shop.secret_a',
  'other.shop.orders',
  'shop.customers.x',
)
const table: fc.Arbitrary<Table> = fc.record({
  path: fc.constant({ project: 'p', dataset: 'd', table: 't' }),
  resource,
  kind: fc.constantFrom('TABLE' as const, 'VIEW' as const),
  columns: fc.array(column, { maxLength: 4 }),
  version: fc.constant('1'),
})
const use = fc.record({ action: fc.constantFrom('read' as const, 'write' as const, 'execute' as const), resource })
const sql: fc.Arbitrary<SqlStatement> = fc
  .record({
    kind: fc.constantFrom('SELECT', 'INSERT'),
    uses: fc.array(use, { maxLength: 3 }),
    tables: fc.array(table, { maxLength: 4 }),
    columnsRead: fc.array(
      fc.tuple(resource, fc.array(name, { minLength: 1, maxLength: 4 })).map(([of, path]) => [of, ...path].join('.')),
      { maxLength: 8 },
    ),
    functions: fc.array(fc.constantFrom('SUM', 'ML.PREDICT', 'SESSION_USER'), { maxLength: 2 }),
    features: fc.array(fc.constantFrom({ name: 'select-star', at: '1:1' }, { name: 'no-where' }), { maxLength: 3 }),
    bytes: fc.option(fc.integer({ min: 0, max: 2000 })),
  })
  .map(({ bytes, ...it }) =>
    sqlStatement({ ...it, ...(bytes !== null && { estimate: { bytes, kind: it.kind, tables: [], output: [] } }) }),
  )
const word = fc.constantFrom('id', 'all', 'x', '1', '__proto__', 'constructor')
const http: fc.Arbitrary<HttpStatement> = fc
  .record({
    kind: fc.constantFrom('GET', 'POST'),
    operation: fc.constantFrom('pay', 'look'),
    path: fc.array(fc.tuple(word, word), { maxLength: 2 }).map((pairs) => Object.fromEntries(pairs)),
    query: fc.array(fc.tuple(word, word), { maxLength: 3 }),
    headers: fc.array(fc.tuple(fc.constantFrom('accept', 'if-match'), word), { maxLength: 2 }),
    body: fc.option(fc.oneof(fc.json(), fc.constantFrom('{"amount":9}', '{"amount":1}', 'null'))),
  })
  .map(({ body, operation, kind, ...it }) => ({
    ...it,
    language: 'http',
    kind,
    operation,
    template: '/x',
    text: `${kind} /x?y=1`,
    target: '/x?y=1',
    uses: [{ action: kind === 'GET' ? 'read' : 'write', resource: operation }],
    ...(body !== null && {
      body: {
        type: 'application/json',
        length: new TextEncoder().encode(body).length,
        content: '',
        excerpt: body,
        json: JSON.parse(body) as unknown,
      },
    }),
    bounds: { maxRows: 0, timeoutMs: 1, maxBytesBilled: 0 },
    masks: [],
  }))
const exchange: fc.Arbitrary<Inspected> = fc
  .record({
    statement: fc.oneof(sql, http),
    purpose: fc.option(fc.constantFrom('mischief', 'a report')),
    actsFor: fc.option(fc.constantFrom('eve', 'ada')),
    score: fc.option(fc.constantFrom(0, 49.5, 51)),
  })
  .map(({ statement, purpose, actsFor, score }) => ({
    id: 'x',
    receivedAt: NOW,
    surface: statement.language === 'http' ? 'proxy' : 'query',
    principal: { ...AGENT, ...(actsFor !== null && { actsFor: { issuer: 'corp', subject: actsFor } }) },
    connection: 'warehouse',
    ...(purpose !== null && { purpose }),
    statement,
    findings: score === null ? [] : [{ kind: 'sql-risk/score', facts: { risk: { score } } }],
  }))

test('any exchange is decided again as it was, by the same rules in the same order', async () => {
  const policies = await load(RULES)
  const seen = new Set<string>()
  fc.assert(
    fc.property(exchange, (it) => {
      const { first, again, missed } = both(it, policies)
      expect([again, missed]).toEqual([first, []])
      expect(weighedOf(it)).toBe(canonicalJson(JSON.parse(weighedOf(it))))
      for (const code of [first.decision.effect, ...first.matched]) seen.add(code)
    }),
    { numRuns: 1500 },
  )
  // Or it would say nothing.
  expect(['permit', 'hold', 'deny', ...policies.rules].filter((code) => !seen.has(code))).toEqual([])
})

describe('what a record does not hold', () => {
  const pay = (over: Partial<HttpStatement>): Inspected => ({
    ...asking([]),
    surface: 'proxy',
    statement: {
      language: 'http',
      kind: 'POST',
      text: 'POST /pay',
      uses: [{ action: 'write', resource: 'pay' }],
      operation: 'pay',
      template: '/pay',
      target: '/pay',
      path: {},
      query: [],
      headers: [],
      bounds: { maxRows: 0, timeoutMs: 1, maxBytesBilled: 0 },
      masks: [],
      ...over,
    },
  })
  const long = { amount: 9, note: 'x'.repeat(50) }
  const cut = pay({
    body: {
      type: 'application/json',
      length: 74,
      content: '',
      excerpt: `${JSON.stringify(long).slice(0, 30)}… (cut)`,
      json: long,
    },
  })

  test('is asked for by a condition: the decision is none', async () => {
    const policies = await load(
      analysts(`
  - { id: pay, effect: permit, resources: [pay], because: a }
  - { id: much, effect: deny, resources: [pay], when: http.body.amount > 5, because: b }`),
    )
    const { again, first, missed } = both(cut, policies)
    expect(first.decision).toMatchObject({ effect: 'deny', reasons: [{ code: 'analysts/much' }] })
    expect(again.decision).toMatchObject({ effect: 'deny', reasons: [{ code: 'condition-failed' }] })
    expect(missed).toEqual(['the body, of which only the beginning is recorded'])
  })

  test('is asked for by a condition that would let it through without: that shows, too', async () => {
    const policies = await load(
      analysts(`
  - { id: pay, effect: permit, resources: [pay], because: a }
  - { id: much, effect: deny, resources: [pay], when: has(http.body.amount) && false, because: b }`),
    )
    expect(both(cut, policies).missed).toEqual(['the body, of which only the beginning is recorded'])
  })

  test('and nothing asks for: the decision is as good as any', async () => {
    const policies = await load(
      analysts(`
  - { id: pay, effect: permit, resources: [pay], when: "http.method == 'POST' && http.contentType == 'application/json'", because: a }`),
    )
    expect(both(cut, policies)).toMatchObject({ again: { decision: { effect: 'permit' } }, missed: [] })
  })

  test('values of headers that a connection lets through may be credentials: they are in no record', async () => {
    const policies = await load(
      analysts(`
  - { id: pay, effect: permit, resources: [pay], when: "http.headers['x-tenant'] == 'north'", because: a }`),
    )
    const exchange = pay({
      headers: [
        ['accept', 'text/csv'],
        ['x-tenant', 'north'],
      ],
    })
    expect(weighedOf(exchange)).not.toContain('north')
    const { first, missed } = both(exchange, policies)
    expect([first.decision.effect, missed]).toEqual(['permit', ['values of headers']])
  })

  test('a record of an older version, one too long, and one that was tampered with say so', async () => {
    const policies = await load(RULES)
    const row = rowOf(asking(['read shop.orders']), policies)
    const wide = asking([], {
      statement: { columnsRead: Array.from({ length: 40_000 }, (_, i) => `shop.customers.column_${i}`) },
    })
    expect(inspectedOf({ ...row, weighed: '' })).toEqual({
      missing: 'the record is of a version that does not say what was weighed',
    })
    expect(inspectedOf(rowOf(wide, policies))).toEqual({ missing: 'what was weighed was too long to be recorded' })
    for (const spoilt of [
      { weighed: '{"language":"googlesql"}' },
      { weighed: row.weighed.replace('googlesql', 'http') },
      { weighed: 'x' },
      { findings: '{}' },
      { vias: [] },
      { actions: ['look'] },
      { plane: '' },
      { principal_kind: 'god' },
      { language: 'http' },
    ]) {
      expect(inspectedOf({ ...row, ...spoilt })).toEqual({ missing: 'the record does not read as one of this gateway' })
    }
  })
})

test('of a statement that was denied by its names nothing else is known, and the recalled exchange says so', async () => {
  const policies = await load(RULES)
  const { shape: _, ...named } = sqlStatement({ shape: 'x' })
  expect(recalled(rowOf({ ...asking([]), statement: named }, policies)).namesOnly).toBe(true)
  const bound = sqlStatement({ shape: '0123456789abcdef' })
  expect(recalled(rowOf({ ...asking([]), statement: bound }, policies)).namesOnly).toBe(false)
})

test('a column is recalled with its tags and the fields in it, and no other column of the table', () => {
  const statement = sqlStatement({
    columnsRead: ['shop.customers.Address.street'],
    tables: [
      {
        path: { project: 'p', dataset: 'shop', table: 'customers' },
        resource: 'shop.customers',
        kind: 'TABLE',
        version: '7',
        columns: [
          { name: 'email', type: { kind: 'STRING' }, nullable: true, tags: ['pii'] },
          {
            name: 'address',
            nullable: true,
            type: { kind: 'ARRAY', of: { kind: 'STRUCT', fields: [{ name: 'street', type: { kind: 'STRING' } }] } },
            fieldTags: { street: ['pii'] },
          },
        ],
      },
    ],
  })
  expect(JSON.parse(weighedOf({ statement }))).toEqual({
    columns: ['shop.customers.Address.street'],
    features: [],
    functions: [],
    language: 'googlesql',
    tables: [
      {
        resource: 'shop.customers',
        columns: [{ name: 'address', type: { of: [['street', '']] }, fieldTags: [['street', ['pii']]] }],
      },
    ],
  })
})
