import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { factorsOf, WEIGHTS, type SqlStated } from '../../../plugins/sql-risk/factors.ts'
import { kindOf } from '../../../plugins/sql-risk/functions.ts'
import { assess, sqlRisk } from '../../../plugins/sql-risk/index.ts'
import type { Action, Estimate, Past, SqlStatement, Stated, Table } from '../../../src/exchange.ts'
import { customers, statedOf, statementOf, tableOf } from '../support.ts'

const GIB = 2 ** 30
const TIB = 2 ** 40
const estimate = (bytes: number): Estimate => ({ bytes, kind: 'SELECT', tables: [], output: [] })
const orders = tableOf('shop.orders', { id: 'INT64', amount: 'NUMERIC' }, { rowCount: 100_000_000 })
const select = (more: Partial<SqlStatement> = {}) =>
  statementOf('SELECT id FROM shop.customers', [customers], { estimate: estimate(1000), ...more })
const changes = (action: Action, more: Partial<SqlStatement> = {}, table: Table = orders) =>
  select({ uses: [{ action, resource: table.resource }], tables: [table], ...more })

/** An agent that reads customers at nine, all year round. */
const PAST: Past = {
  since: 0,
  exchanges: 200,
  sameShape: 150,
  hours: Array.from({ length: 24 }, (_, hour) => (hour === 9 ? 200 : 0)),
  bytesP95: 50 * 2 ** 20,
  tables: ['shop.customers'],
}
const NINE = Date.UTC(2026, 0, 5, 9, 30)
const SHAPE = '0123456789abcdef'
const known = (statement: SqlStatement, past: Partial<Past> = {}, receivedAt = NINE): Stated => ({
  ...statedOf(statement),
  receivedAt,
  past: { ...PAST, ...past },
})
const stated = (of: SqlStatement | Stated): Stated => ('statement' in of ? of : statedOf(of))

const assessed = (of: SqlStatement | Stated) => assess(stated(of))
const risk = (of: SqlStatement | Stated) => assessed(of)[0]?.facts?.['risk']
const factors = (of: SqlStatement | Stated) => factorsOf(stated(of) as SqlStated, 6.25)
const told = (of: SqlStatement | Stated): readonly string[] =>
  factors(of)
    .filter(({ name }) => name !== 'no-history')
    .map(({ name, share, where = '', count = '' }) => `${name} ${Math.round(share * 100)}% ${where} ${count}`.trim())
const feature = (name: string) => select({ features: [{ name, at: '1:8' }] })

describe('sql-risk', () => {
  it('finds nothing in a small plain read', () => {
    expect(assessed(select())).toEqual([
      { kind: 'sql-risk/score', facts: { risk: { score: 0, factors: [], points: [], version: 2, costUsd: 0 } } },
    ])
  })

  it('names each factor, where it is, how many, and what it adds', () => {
    const statement = changes('write', {
      kind: 'DELETE',
      features: [{ name: 'always-true-where', at: '1:25', resource: 'shop.orders' }],
      estimate: estimate(2 * TIB),
    })
    expect(assessed(statement)).toEqual([
      {
        kind: 'sql-risk/score',
        facts: {
          risk: {
            score: 100,
            factors: ['write', 'no-where', 'rows', 'bytes', 'cost'],
            points: ['write 30', 'no-where 50', 'rows 20', 'bytes 24.8', 'cost 5.5'],
            version: 2,
            costUsd: 12.5,
          },
        },
      },
      { kind: 'sql-risk/write', where: 'shop.orders' },
      { kind: 'sql-risk/no-where', where: '1:25' },
      { kind: 'sql-risk/rows', where: 'shop.orders', count: 100_000_000 },
      { kind: 'sql-risk/bytes' },
      { kind: 'sql-risk/cost' },
    ])
  })

  it('promises the facts that it finds', () => {
    const promised = Object.keys(sqlRisk.facts?.['risk'] ?? {})
    expect(promised).toEqual(Object.keys(risk(select()) ?? {}))
    expect(Object.values(WEIGHTS).every((weight) => weight >= 0 && weight <= 100)).toBe(true)
  })
})

const wide = tableOf('shop.wide', Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`c${n}`, 'STRING'])))
const columns = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ name: `c${n}`, type: { kind: 'STRING' }, sources: [] }) as const)
const star = { features: [{ name: 'select-star', at: '1:8' }] }
const tagged: Table = {
  ...customers,
  columns: customers.columns.map((column) => {
    if (column.name === 'email' || column.name === 'ssn') return { ...column, tags: ['pii'] }
    if (column.name === 'address') return { ...column, fieldTags: { street: ['home', 'pii'] } }
    return column
  }),
}
const reads = (...paths: readonly string[]) =>
  select({ tables: [tagged], columnsRead: paths.map((path) => `shop.customers.${path}`) })

/** What is seen, and beside it the same without what matters. */
const SEEN: readonly (readonly [string, SqlStatement | Stated, readonly string[], SqlStatement | Stated])[] = [
  ['destroy', changes('delete'), ['destroy 100% shop.orders', 'rows 100% shop.orders 100000000'], changes('read')],
  ['administer', changes('administer'), ['administer 100% shop.orders'], changes('read')],
  ['execute', changes('execute'), ['execute 100% shop.orders'], changes('read')],
  ['export', changes('export'), ['export 100% shop.orders'], changes('read')],
  ['export by feature', feature('export'), ['export 100% 1:8'], feature('dml')],
  ['define', changes('define'), ['define 100% shop.orders'], changes('read')],
  ['write', changes('write'), ['write 100% shop.orders'], changes('read')],
  ['irreversible', select({ kind: 'DROP_VIEW' }), ['irreversible 100% DROP_VIEW'], select({ kind: 'DROP_TABLE' })],
  ['irreversible export', select({ kind: 'EXPORT_DATA' }), ['irreversible 100% EXPORT_DATA'], select()],
  ['or-replace', feature('or-replace'), ['or-replace 100% 1:8'], feature('ddl')],
  [
    'or-replace, not destroy',
    select({
      kind: 'CREATE_TABLE_AS_SELECT',
      uses: (['define', 'delete'] as const).map((action) => ({ action, resource: 'shop.x' })),
      features: [{ name: 'or-replace', at: '1:1' }],
    }),
    ['define 100% shop.x', 'or-replace 100% 1:1'],
    select(),
  ],
  ['no-where', feature('no-where'), ['no-where 100% 1:8'], feature('dml')],
  ['always true', feature('always-true-where'), ['no-where 100% 1:8'], feature('dml')],
  ['constant', feature('constant-where'), ['no-where 100% 1:8'], feature('dml')],
  ['bytes', select({ estimate: estimate(32 * GIB) }), ['bytes 38%'], select({ estimate: estimate(GIB) })],
  [
    'cost',
    select({ estimate: estimate(1.6 * TIB) }),
    ['bytes 80%', 'cost 50%'],
    select({ estimate: estimate(GIB / 2) }),
  ],
  ['full-scan', feature('partition-unfiltered'), ['full-scan 100% 1:8'], select()],
  ['cross-join', feature('cross-join'), ['cross-join 100% 1:8'], select()],
  ['comma-join', feature('comma-join'), ['comma-join 100% 1:8'], select()],
  [
    'wildcard',
    select({ uses: [{ action: 'read', resource: 'shop.events_*' }] }),
    ['wildcard 100% shop.events_*'],
    select({ uses: [{ action: 'read', resource: 'shop.events_1' }] }),
  ],
  ['wildcard-whole', feature('wildcard-unfiltered'), ['wildcard-whole 100% 1:8'], select()],
  ['select-star', select(star), ['select-star 100% 1:8'], select()],
  [
    'wide-star',
    select({ ...star, output: columns(21) }),
    ['select-star 100% 1:8', 'wide-star 100% 1:8 21'],
    select({ output: columns(21) }),
  ],
  [
    'wide-star that is written',
    changes('read', star, wide),
    ['select-star 100% 1:8', 'wide-star 100% 1:8 21'],
    changes('read', {}, wide),
  ],
  ['unbounded', feature('no-limit'), ['unbounded 100% 1:8'], select()],
  ['subquery-depth', feature('subquery-depth'), ['subquery-depth 100% 1:8'], select()],
  ['tagged-columns', reads('email', 'ssn'), ['tagged-columns 100% pii 2'], reads('name')],
  [
    'a tagged field',
    reads('address.street'),
    ['tagged-columns 100% home 1', 'tagged-columns 100% pii 1'],
    reads('address.city'),
  ],
  ['all fields', reads('address'), ['tagged-columns 100% home 1', 'tagged-columns 100% pii 1'], reads('id')],
  [
    'information-schema',
    select({ uses: [{ action: 'read', resource: 'shop.INFORMATION_SCHEMA.TABLES' }] }),
    ['information-schema 100% shop.INFORMATION_SCHEMA.TABLES'],
    select({ uses: [{ action: 'read', resource: 'shop.MY_INFORMATION_SCHEMA' }] }),
  ],
  ['model', select({ functions: ['ML.PREDICT'] }), ['model 100% ML.PREDICT'], select({ functions: ['SUM'] })],
  [
    'a model, no code',
    select({ functions: ['ML.PREDICT'], uses: [{ action: 'execute', resource: 'shop.churn' }] }),
    ['model 100% ML.PREDICT'],
    select(),
  ],
  [
    'code beside a model',
    select({ functions: ['ML.PREDICT', 'DEMO.SHOP.F'], uses: [{ action: 'execute', resource: 'shop.f' }] }),
    ['execute 100% shop.f', 'model 100% ML.PREDICT', 'unknown-function 100% DEMO.SHOP.F'],
    select(),
  ],
  [
    'a routine called as BigQuery calls its own',
    select({ functions: ['SHOP.APPENDS'], uses: [{ action: 'execute', resource: 'shop.APPENDS' }] }),
    ['execute 100% shop.APPENDS', 'unknown-function 100% SHOP.APPENDS'],
    select({ functions: ['APPENDS'], uses: [{ action: 'execute', resource: 'APPENDS' }] }),
  ],
  [
    'a routine of a dataset called ml',
    select({ functions: ['ML.MINE'], uses: [{ action: 'execute', resource: 'ml.mine' }] }),
    ['execute 100% ml.mine', 'unknown-function 100% ML.MINE'],
    select(),
  ],
  ['unknown', select({ functions: ['shop.F'] }), ['unknown-function 100% shop.F'], select({ functions: ['LOWER'] })],
  ['comment-trick', feature('comment-trick'), ['comment-trick 100% 1:8'], feature('comment')],
  ['encoded-literal', feature('encoded-literal'), ['encoded-literal 100% 1:8'], select()],
  ['encoding', feature('encoding-function'), ['encoding 100% 1:8'], select()],
  ['stacked', feature('stacked-statements'), ['stacked 100% 1:8'], select()],
  ['readers-differ', feature('advisory-reader'), ['readers-differ 100% 1:8'], select()],
  ['other-feature', feature('brand-new'), ['other-feature 100% 1:8'], feature('ddl')],
  ['not a property', feature('constructor'), ['other-feature 100% 1:8'], feature('unknown-function')],
  [
    'new-shape',
    known(select({ shape: SHAPE }), { sameShape: 0 }),
    [`new-shape 100% ${SHAPE}`],
    known(select({ shape: SHAPE }), { sameShape: 1 }),
  ],
  [
    'new-table',
    known(changes('read')),
    ['new-table 100% shop.orders 1'],
    known(changes('read'), { tables: ['shop.orders'] }),
  ],
  ['unusual-hour', known(select(), {}, NINE + 3 * 3_600_000), ['unusual-hour 100% 12:00 UTC'], known(select())],
  [
    'unusual-volume',
    known(select({ estimate: estimate(GIB) })),
    ['unusual-volume 100%'],
    known(select({ estimate: estimate(GIB) }), { bytesP95: GIB / 10 }),
  ],
]

describe('each factor', () => {
  it.each(SEEN)('%s: is seen, and not otherwise', (_, seen, expected, plain) => {
    expect(told(seen)).toEqual(expected)
    expect(told(plain)).toEqual([])
  })

  it('is among those above', () => {
    const seen = SEEN.flatMap(([, it]) => told(it).map((line) => line.split(' ')[0]))
    const all = Object.keys(WEIGHTS)
    expect(all.filter((name) => !seen.includes(name))).toEqual(['bytes-unknown', 'no-history'])
  })

  it('counts once though two signs tell of it, the stronger; unknown functions and tags three times at most', () => {
    const uses = [{ action: 'read', resource: 'shop.events_*' }] as const
    expect(told(select({ uses, features: [{ name: 'wildcard-table', at: '1:15' }] }))).toHaveLength(1)
    const small = { ...orders, resource: 'shop.small', rowCount: 10_000 }
    const both = [orders, small].map(({ resource }) => ({ action: 'delete', resource }) as const)
    expect(risk(select({ uses: both, tables: [small, orders] }))?.['points']).toEqual(['destroy 80', 'rows 20'])
    const functions = ['CONCAT', 'SAFE.SUBSTR', 'shop.F', 'A.B', 'C', 'D']
    expect(risk(select({ functions }))).toMatchObject({ score: 30, points: ['unknown-function 30'] })
  })

  it('does not depend on the order of what was found', () => {
    const features = ['select-star', 'cross-join', 'no-limit', 'no-where', 'brand-new', 'always-true-where'].map(
      (name, index) => ({ name, at: `1:${index}` }),
    )
    const uses = (['read', 'write', 'delete', 'export'] as const).map((action) => ({ action, resource: 'shop.orders' }))
    const functions = ['Z', 'B', 'ML.PREDICT', 'A', 'AI.GENERATE', 'C']
    const whole = select({ features, uses, functions, tables: [orders, tagged], columnsRead: ['shop.customers.ssn'] })
    fc.assert(
      fc.property(fc.shuffledSubarray(features, { minLength: 6 }), (shuffled) => {
        const turned = { ...whole, features: shuffled, uses: uses.toReversed(), functions: functions.toReversed() }
        expect(assessed({ ...turned, tables: [tagged, orders] })).toEqual(assessed(whole))
      }),
    )
  })
})

describe('what is not known', () => {
  it('takes bytes that are unknown for no good sign', () => {
    const { estimate: _, ...unknown } = select()
    expect(told(unknown)).toEqual(['bytes-unknown 100%'])
    expect(told({ ...unknown, tables: [] })).toEqual([])
    for (const bytes of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      expect(told(select({ estimate: estimate(bytes) }))[0]).toBe('bytes 100%')
    }
  })

  it('prices what is unknown at the most that it may read', () => {
    const bounds = { maxRows: 1, timeoutMs: 1, maxBytesBilled: TIB }
    const { estimate: _, ...unknown } = select({ bounds })
    const costs = [unknown, select({ bounds, estimate: estimate(Number.NaN) }), select({ estimate: estimate(TIB / 2) })]
    expect(costs.map((it) => risk(it)?.['costUsd'])).toEqual([6.25, 6.25, 3.125])
    expect(risk({ ...unknown, tables: [] })?.['costUsd']).toBe(0)
  })

  it('takes rows that nobody counted for many', () => {
    const { rowCount: _, ...uncounted } = orders
    expect(told(changes('delete', {}, uncounted))).toEqual(['destroy 100% shop.orders', 'rows 100% shop.orders'])
    expect(told(changes('delete', {}, { ...orders, rowCount: Number.NaN }))[1]).toBe('rows 100% shop.orders')
    expect(told(changes('delete', { tables: [] }))[1]).toBe('rows 100% shop.orders')
    expect(told(changes('delete', {}, { ...orders, rowCount: 1000 }))).toEqual(['destroy 100% shop.orders'])
    expect(told(changes('write', {}, uncounted))).toEqual(['write 100% shop.orders'])
    expect(told(changes('delete', { kind: 'DROP_MATERIALIZED_VIEW' }, uncounted))).toContain('rows 100% shop.orders')
    expect(told(changes('delete', { kind: 'DROP_VIEW' }, uncounted))).not.toContain('rows 100% shop.orders')
    // Replaced is only what is also made.
    const other = changes('delete', { kind: 'CREATE_TABLE', features: [{ name: 'or-replace' }] })
    expect(told(other)).toContain('destroy 100% shop.orders')
  })

  it('knows no function that it was not told of', () => {
    expect(['SUM', 'SAFE.SUBSTR', 'ST_AREA', 'NET.HOST', 'HLL_COUNT.INIT'].map(kindOf)).toEqual(Array(5).fill('known'))
    expect(['ML.PREDICT', 'AI.GENERATE', 'OBJ.MAKE_REF', 'VECTOR_SEARCH'].map(kindOf)).toEqual(Array(4).fill('model'))
    const strange = [
      'EXTERNAL_QUERY',
      'SESSION_USER',
      'KEYS.NEW_KEYSET',
      'AEAD.DECRYPT_STRING',
      'SHOP.F',
      '',
      'toString',
    ]
    expect(strange.filter((name) => kindOf(name) !== 'unknown')).toEqual([])
  })
})

describe('the past', () => {
  const strange = select({ shape: SHAPE, uses: [{ action: 'read', resource: 'hr.salaries' }], estimate: estimate(TIB) })
  const night = NINE + 12 * 3_600_000
  const habits = ['new-shape', 'new-table', 'unusual-hour', 'unusual-volume', 'no-history']
  const ofHabits = (of: Stated) =>
    factors(of)
      .map(({ name }) => name)
      .filter((name) => habits.includes(name))

  it('counts only where there is one', () => {
    expect(ofHabits(known(strange, { sameShape: 0 }, night))).toEqual(habits.slice(0, 4))
    expect(ofHabits(statedOf(strange))).toEqual(['no-history'])
    expect(ofHabits(known(strange, { sameShape: 0, exchanges: 19 }, night))).toEqual(['no-history'])
    expect(ofHabits(known(strange, { sameShape: 0, exchanges: 49 }, night))).not.toContain('unusual-hour')
    expect(ofHabits(known(strange, { exchanges: Number.NaN }, night))).toEqual(['no-history'])
  })

  it('only ever adds', () => {
    const score = (of: SqlStatement | Stated) => Number(risk(of)?.['score'])
    expect(score(known(strange, { sameShape: 0 }, night))).toBe(score(strange) + 5 + 10 + 10 + 15)
    expect(score(known(select()))).toBe(score(select()))
  })

  it('is no matter of the hour next to a usual one, nor of little that is read', () => {
    const hours = [8, 9, 10].map((hour) => Date.UTC(2026, 0, 5, hour))
    expect(hours.flatMap((at) => ofHabits(known(select(), {}, at)))).toEqual([])
    expect(ofHabits(known(select(), { hours: [] }))).toEqual(['unusual-hour'])
    const midnight = { hours: Array.from({ length: 24 }, (_, hour) => (hour === 23 ? 200 : 0)) }
    expect(ofHabits(known(select(), midnight, Date.UTC(2026, 0, 5, 0, 10)))).toEqual([])
    expect(ofHabits(known(select({ estimate: estimate(100 * 2 ** 20) }), { bytesP95: 1 }))).toEqual([])
    expect(ofHabits(known(select({ estimate: estimate(Number.NaN) })))).toEqual(['unusual-volume'])
    const { bytesP95: _, ...unmeasured } = PAST
    expect(ofHabits({ ...known(strange), past: { ...unmeasured, tables: ['hr.salaries'] } })).toEqual([])
  })

  it('where it is absent weighs what the operator says, and nothing by default', () => {
    const options = sqlRisk.options.parse({ weights: { 'no-history': 20 } })
    expect(risk(select())?.['factors']).toEqual([])
    expect(assess(statedOf(select()), options)).toMatchObject([
      { facts: { risk: { score: 20, factors: ['no-history'] } } },
      { kind: 'sql-risk/no-history' },
    ])
  })
})

describe('the score', () => {
  it('is 80 or more for what destroys, gives rights away or carries off', () => {
    const whole = { features: [{ name: 'always-true-where' }] }
    const statements = [
      changes('delete', { kind: 'DROP_TABLE' }),
      changes('delete', { kind: 'TRUNCATE_TABLE' }),
      changes('write', { kind: 'DELETE', ...whole }),
      changes('write', { kind: 'UPDATE', ...whole }, { ...orders, rowCount: 1 }),
      changes('administer', { kind: 'GRANT' }),
      changes('export', { kind: 'EXPORT_DATA' }),
    ]
    expect(statements.map((it) => Number(risk(it)?.['score']) >= 80)).toEqual(Array(6).fill(true))
  })

  it('is a whole number from 0 to 100, whatever is found', () => {
    const uses = (['delete', 'administer', 'execute', 'export'] as const).map((action) => ({ action, resource: 'a.b' }))
    expect(risk(select({ uses }))?.['score']).toBe(100)
    fc.assert(
      fc.property(
        fc.double(),
        fc.double(),
        fc.subarray(Object.keys(WEIGHTS)),
        fc.constantFrom('read', 'write', 'delete'),
        (bytes, rowCount, names, action) => {
          const its = changes(
            action,
            { estimate: estimate(bytes), features: names.map((name) => ({ name })) },
            {
              ...orders,
              rowCount,
            },
          )
          const { score, costUsd } = risk(its) as { score: number; costUsd: number }
          expect(Number.isInteger(score) && score >= 0 && score <= 100).toBe(true)
          expect(Number.isFinite(costUsd) && costUsd >= 0).toBe(true)
        },
      ),
    )
  })

  it('takes weights and a price per identity; a factor without weight is not named', async () => {
    const options = sqlRisk.options.parse({ weights: { 'select-star': 0, 'cross-join': 40 }, usdPerTib: 8 })
    const hooks = await sqlRisk.create(options, {} as never)
    const statement = select({
      estimate: estimate(TIB / 8),
      features: [
        { name: 'select-star', at: '1:8' },
        { name: 'cross-join', at: '1:20' },
      ],
    })
    expect(await hooks.inspect?.(statedOf(statement), AbortSignal.timeout(1000))).toEqual([
      {
        kind: 'sql-risk/score',
        facts: {
          risk: {
            score: 56,
            factors: ['bytes', 'cross-join'],
            points: ['bytes 15.8', 'cross-join 40'],
            version: 2,
            costUsd: 1,
          },
        },
      },
      { kind: 'sql-risk/bytes' },
      { kind: 'sql-risk/cross-join', where: '1:20' },
    ])
    expect(() => sqlRisk.options.parse({ weights: { 'no-such': 1 } })).toThrow('no-such')
    expect(() => sqlRisk.options.parse({ weights: { bytes: 101 } })).toThrow('100')
    expect(() => sqlRisk.options.parse({ usdPerTib: -1 })).toThrow('0')
    expect(sqlRisk.options.parse(undefined)).toEqual({ weights: {}, usdPerTib: 6.25 })
  })
})
