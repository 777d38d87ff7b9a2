import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { plugins as installed } from '../../../plugins/index.ts'
import { DEFAULTS, isProblems, parseApiKeys, parseConfig, renderProblem, type Env } from '../../../src/config.ts'

const nothing: Env = () => undefined
const from =
  (variables: Record<string, string>): Env =>
  (name) =>
    variables[name]

const plugins = {
  'mask-columns': { options: z.strictObject({ keys: z.record(z.string(), z.string().startsWith('env:')) }) },
}

/** The least that a gateway can be configured with. */
const LEAST = `issuers:
  - name: corp
    issuer: https://login.example.com
    algorithms: [ES256]
    audiences: { agents: sluice-agents }
connections:
  warehouse:
    type: bigquery
    project: my-project
    location: EU
    credentials: { type: adc }
`

function problemsOf(text: string, env: Env = nothing): readonly string[] {
  const parsed = parseConfig(text, 'sluice.yaml', env, plugins)
  return isProblems(parsed) ? parsed.problems.map(renderProblem) : []
}

/** The value at a dotted path of a configuration that must be right. */
function valueOf(text: string, path: string, env: Env = nothing): unknown {
  const parsed = parseConfig(text, 'sluice.yaml', env, plugins)
  if (isProblems(parsed)) throw new Error(parsed.problems.map(renderProblem).join('\n'))
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], parsed)
}

describe('a configuration', () => {
  test('that says the least gets every default', () => {
    expect(parseConfig(LEAST, 'sluice.yaml', nothing)).toEqual({
      data: '.sluice',
      policies: 'policies',
      listeners: {
        gateway: {
          host: '127.0.0.1',
          port: 8080,
          maxBodyBytes: 2 ** 20,
          requestTimeout: 600_000,
          maxConcurrent: 256,
          maxConcurrentPerPrincipal: 128,
          shutdownGrace: 20_000,
        },
      },
      issuers: [
        {
          name: 'corp',
          issuer: 'https://login.example.com',
          algorithms: ['ES256'],
          audiences: { agents: 'sluice-agents' },
          clockToleranceSeconds: 30,
        },
      ],
      apiKeys: {},
      connections: {
        warehouse: {
          type: 'bigquery',
          project: 'my-project',
          location: 'EU',
          credentials: { type: 'adc' },
          maximumBytesBilled: 100 * 2 ** 30,
          labels: {},
          pageRows: 20_000,
          metadataTtl: 300_000,
          whenAuditIsTight: 'block',
          columnTags: {},
          policyTagNames: {},
        },
      },
      plugins: {},
      query: {
        defaultMaxRows: 10_000,
        maxRows: 10_000_000,
        defaultTimeout: 60_000,
        maxTimeout: 600_000,
        inspectTimeout: 10_000,
        idempotencyKeys: 86_400_000,
      },
      store: { type: 'sqlite' },
      holds: { expiresIn: 3_600_000, maxWait: 300_000, maxPendingPerPrincipal: 1_000 },
      audit: {
        journal: { maxBytes: 4 * 2 ** 30, segmentBytes: 2 ** 24 },
        retainDays: 400,
        retain: [],
        legalHolds: [],
        bodies: { maxBytes: 4 * 2 ** 30, retainDays: 90 },
        checkpoints: {
          every: 60_000,
          origin: 'sluice',
          previousKeys: [],
          stdout: false,
          witnesses: [],
        },
        siem: [],
      },
      auditors: { groups: ['auditors'], scopes: [] },
    })
  })

  test('of the sandbox is right as it lies there, with nothing in the environment', () => {
    const text = readFileSync('sluice.yaml', 'utf8')
    const real = Object.fromEntries(installed.map((plugin) => [plugin.name, plugin]))
    const parsed = parseConfig(text, 'sluice.yaml', nothing, real)
    expect('problems' in parsed ? parsed.problems : []).toEqual([])
    expect(parsed).toMatchObject({
      connections: { warehouse: { apiEndpoint: 'http://127.0.0.1:9050' }, crm: { baseUrl: 'http://127.0.0.1:9053' } },
      audit: { clickhouse: { url: 'http://127.0.0.1:9051' } },
      issuers: [{ issuer: 'http://127.0.0.1:9052' }],
    })
    expect(parsed).toMatchObject({ plugins: { 'mask-columns': { keys: { default: 'env:SLUICE_MASK_KEY' } } } })
    const elsewhere = from({
      SLUICE_SANDBOX_WAREHOUSE: 'http://127.0.0.1:1',
      SLUICE_PORT: '9',
      SLUICE_MASK_KEY: 'hunter2',
    })
    const moved = parseConfig(text, 'sluice.yaml', elsewhere, real)
    expect(moved).toMatchObject({
      connections: { warehouse: { apiEndpoint: 'http://127.0.0.1:1' } },
      listeners: { gateway: { port: 9 } },
    })
    expect(JSON.stringify(moved)).not.toContain('hunter2')
  })

  test.each([
    ['data: /var/lib/sluice', 'data', '/var/lib/sluice'],
    [
      'listeners: { gateway: { port: 0, maxBodyBytes: 64KiB, requestTimeout: 90s } }',
      'listeners.gateway.requestTimeout',
      90_000,
    ],
    ['listeners: { gateway: { maxBodyBytes: 64KiB } }', 'listeners.gateway.maxBodyBytes', 65_536],
    ['listeners: { gateway: { maxBodyBytes: 5000 } }', 'listeners.gateway.maxBodyBytes', 5_000],
    ['holds: { expiresIn: 7d }', 'holds.expiresIn', 604_800_000],
    ['apiKeys: { file: keys.yaml }', 'apiKeys', { file: 'keys.yaml' }],
    [
      'audit: { clickhouse: { url: https://ch.example.com, password: env:CH } }',
      'audit.clickhouse',
      {
        url: 'https://ch.example.com',
        username: 'default',
        password: 'env:CH',
        database: 'sluice',
        requestTimeout: 30_000,
      },
    ],
    [
      'audit: { clickhouse: { url: https://ch.example.com, password: file:/run/secrets/ch } }',
      'audit.clickhouse.password',
      'file:/run/secrets/ch',
    ],
  ])('takes %s', (line, path, value) => {
    expect(valueOf(`${LEAST}${line}\n`, path)).toEqual(value)
  })

  test.each([
    ['{ type: keyFile, path: /etc/key.json }', { type: 'keyFile', path: '/etc/key.json' }],
    [
      '{ type: impersonate, accounts: { analysts: a@p.iam.gserviceaccount.com } }',
      { type: 'impersonate', accounts: { analysts: 'a@p.iam.gserviceaccount.com' } },
    ],
    ['{ type: none }\n    apiEndpoint: http://localhost:9050', { type: 'none' }],
  ])('takes the credentials %s', (credentials, expected) => {
    const text = LEAST.replace('{ type: adc }', credentials)
    expect(valueOf(text, 'connections.warehouse.credentials')).toEqual(expected)
  })
})

describe('a value from the environment', () => {
  const text = `${LEAST}data: env:HOME_OF_DATA\npolicies: env:POLICIES:-here\n`

  test('is what the variable says, else the default', () => {
    expect(valueOf(text, 'data', from({ HOME_OF_DATA: '/d' }))).toBe('/d')
    expect(valueOf(text, 'policies', from({ HOME_OF_DATA: '/d' }))).toBe('here')
    expect(valueOf(text, 'policies', from({ HOME_OF_DATA: '/d', POLICIES: 'there' }))).toBe('there')
    expect(valueOf(text, 'policies', from({ HOME_OF_DATA: '/d', POLICIES: '' }))).toBe('here')
  })

  test('must be set when it has no default, and is checked like any other', () => {
    expect(problemsOf(text)).toEqual([
      'sluice.yaml:12:1 data: expected the variable `HOME_OF_DATA` to be set, got a text',
    ])
    expect(problemsOf(`${LEAST}data: 'env:not a name'\n`)).toEqual([
      'sluice.yaml:12:1 data: expected `env:NAME` or `env:NAME:-default`, got a text',
    ])
    const port = `${LEAST}listeners: { gateway: { port: env:PORT } }\n`
    const words = 'sluice.yaml:12:25 listeners.gateway.port: expected a whole number from 0 to 65535, got a text'
    for (const value of ['80a', '-1', '70000', '1e3', ' 80', '0x50']) {
      expect(problemsOf(port, from({ PORT: value }))).toEqual([words])
    }
    expect(valueOf(port, 'listeners.gateway.port', from({ PORT: '8081' }))).toBe(8081)
  })

  test('never stands for a secret, nor within another text', () => {
    const env = from({ CH: 'hunter2', A: 'x' })
    const secret = `${LEAST}audit: { clickhouse: { url: https://ch.example.com, password: env:CH } }\n`
    expect(valueOf(secret, 'audit.clickhouse.password', env)).toBe('env:CH')
    expect(valueOf(`${LEAST}data: a/env:A\n`, 'data', env)).toBe('a/env:A')
  })

  test('does not show in a problem', () => {
    const env = from({ URL: 'https://user:hunter2@ch.example.com' })
    expect(problemsOf(`${LEAST}audit: { clickhouse: { url: env:URL } }\n`, env)).toEqual([
      'sluice.yaml:12:24 audit.clickhouse.url: expected an https URL without a password in it (http on loopback only), got a text',
    ])
  })
})

describe('a mistake names file, line, key and what was expected', () => {
  const SECRET = 'expected a reference to a secret, `env:NAME` or `file:path`, never the secret itself, got a text'
  const URL_WORDS = 'expected an https URL without a password in it (http on loopback only), got a text'

  test.each([
    [
      'a literal secret',
      'audit: { clickhouse: { url: https://a.b, password: hunter2 } }',
      [`12:42 audit.clickhouse.password: ${SECRET}`],
    ],
    [
      'a secret with a default',
      "audit: { clickhouse: { url: https://a.b, password: 'env:A:-hunter2' } }",
      [`12:42 audit.clickhouse.password: ${SECRET}`],
    ],
    [
      'an unknown key',
      'polices: here',
      ['12:1 polices: expected a known key (did you mean `policies`?), got an unknown key'],
    ],
    [
      'an unknown key within',
      'query: { maxRow: 5 }',
      ['12:10 query.maxRow: expected a known key (did you mean `maxRows`?), got an unknown key'],
    ],
    [
      'an unknown plugin',
      'plugins: { mask-colums: {} }',
      ['12:12 plugins.mask-colums: expected a plugin that is installed (did you mean `mask-columns`?)'],
    ],
    [
      'options that a plugin refuses',
      'plugins: { mask-columns: { keys: { default: 7 } } }',
      ['12:36 plugins.mask-columns.keys.default: expected a text, got 7'],
    ],
    [
      'a number out of bounds',
      'query: { maxRows: 0 }',
      ['12:10 query.maxRows: expected a whole number from 1 to 1000000000, got 0'],
    ],
    [
      'a broken number',
      'query: { maxRows: 1.5 }',
      ['12:10 query.maxRows: expected a whole number from 1 to 1000000000, got 1.5'],
    ],
    [
      'bounds that contradict',
      'query: { maxRows: 5 }',
      ['12:1 query.defaultMaxRows: expected no more than `maxRows`, got nothing'],
    ],
    [
      'a duration without unit',
      'holds: { expiresIn: 3600 }',
      ['12:10 holds.expiresIn: expected a duration from 1m to 30d, such as `30s`, `5m` or `1h`, got 3600'],
    ],
    [
      'a duration out of bounds',
      'holds: { expiresIn: 59s }',
      ['12:10 holds.expiresIn: expected a duration from 1m to 30d, such as `30s`, `5m` or `1h`, got a text'],
    ],
    [
      'a size out of bounds',
      'listeners: { gateway: { maxBodyBytes: 1GiB } }',
      [
        '12:25 listeners.gateway.maxBodyBytes: expected a size from 1KiB to 64MiB, such as `512KiB` or `10GiB`, got a text',
      ],
    ],
    [
      'a journal of one segment',
      'audit: { journal: { maxBytes: 16MiB } }',
      ['12:10 audit.journal.segmentBytes: expected at most half of `maxBytes`, got nothing'],
    ],
    [
      'a URL with a password',
      'audit: { clickhouse: { url: https://u:p@a.b } }',
      [`12:24 audit.clickhouse.url: ${URL_WORDS}`],
    ],
    [
      'plain http elsewhere',
      'audit: { clickhouse: { url: http://a.b } }',
      [`12:24 audit.clickhouse.url: ${URL_WORDS}`],
    ],
    [
      'a host that only looks like loopback',
      'audit: { clickhouse: { url: http://127.0.0.1.a.b } }',
      [`12:24 audit.clickhouse.url: ${URL_WORDS}`],
    ],
    [
      'an empty list of auditors',
      'auditors: { groups: [] }',
      ['12:13 auditors.groups: expected at least 1 entry, got a list'],
    ],
    [
      'a key hash that is none',
      'apiKeys: { list: [{ id: a, hash: b, subject: s }] }',
      ['12:28 apiKeys.list[0].hash: expected the SHA-256 of the secret part, 64 hex digits, got a text'],
    ],
  ])('%s', (_, line, expected) => {
    expect(problemsOf(`${LEAST}${line}\n`)).toEqual(expected.map((each) => `sluice.yaml:${each}`))
  })

  test.each([
    [
      'algorithms: [ES256]',
      'algorithms: [HS256]',
      /^sluice\.yaml:4:18 issuers\[0\]\.algorithms\[0\]: expected one of `RS256`, .*, got a text$/,
    ],
    ['algorithms: [ES256]', 'algorithms: [none]', /^sluice\.yaml:4:18 issuers\[0\]\.algorithms\[0\]: expected one of /],
    [
      '{ agents: sluice-agents }',
      '{}',
      /^sluice\.yaml:5:5 issuers\[0\]\.audiences: expected at least one of `agents`, `people`, got a map of keys$/,
    ],
    [
      '{ agents: sluice-agents }',
      '{ agents: a, people: a }',
      /^sluice\.yaml:5:5 issuers\[0\]\.audiences: expected two audiences that differ, got a map of keys$/,
    ],
    ['name: corp', 'name: keys', /^sluice\.yaml:2:5 issuers\[0\]\.name: expected a name of small letters/],
    ['https://login', 'http://login', /^sluice\.yaml:3:5 issuers\[0\]\.issuer: expected an https URL/],
    [
      'type: bigquery',
      'type: bigtable',
      /^sluice\.yaml:8:5 connections\.warehouse\.type: expected a `type` of `bigquery` or `rest`, got a text$/,
    ],
    [
      'location: EU',
      'locaton: EU',
      /^sluice\.yaml:7:3 connections\.warehouse\.location: expected a location such as `US` or `europe-west1`, got nothing$/,
    ],
    [
      '{ type: adc }',
      '{ type: none }',
      /^sluice\.yaml:11:20 connections\.warehouse\.credentials\.type: expected `adc`, `keyFile` or `impersonate`: `none` is for an `apiEndpoint` on loopback, got a text$/,
    ],
    [
      '{ type: adc }',
      '{ type: none }\n    apiEndpoint: https://bigquery.googleapis.com',
      /`none` is for an `apiEndpoint` on loopback/,
    ],
    [
      '{ type: adc }',
      '{ type: impersonate, accounts: {} }',
      /^sluice\.yaml:11:39 connections\.warehouse\.credentials\.accounts: expected at least one group/,
    ],
    [
      '{ type: adc }',
      '{ type: adc, path: x }',
      /^sluice\.yaml:11:31 connections\.warehouse\.credentials\.path: expected /,
    ],
    ['  warehouse:', '  Warehouse:', /^sluice\.yaml:7:3 connections\.Warehouse: expected a name of small letters/],
  ])('%s → %s', (right, wrong, expected) => {
    expect(problemsOf(LEAST.replace(right, wrong))[0]).toMatch(expected)
  })

  test('two issuers of one name, or of one URL', () => {
    const issuer = LEAST.slice(LEAST.indexOf('  - name'), LEAST.indexOf('connections:'))
    const two = (other: string) => LEAST.replace('connections:', `${other}connections:`)
    expect(problemsOf(two(issuer.replace('https://login', 'https://other')))).toEqual([
      'sluice.yaml:1:1 issuers: expected names that differ, got a list',
    ])
    expect(problemsOf(two(issuer.replace('name: corp', 'name: other')))).toEqual([
      'sluice.yaml:1:1 issuers: expected issuers that differ, got a list',
    ])
    const different = issuer.replace('name: corp', 'name: other').replace('https://login', 'https://other')
    expect(problemsOf(two(different))).toEqual([])
  })

  test('nobody who could prove who they are', () => {
    expect(problemsOf(LEAST.slice(LEAST.indexOf('connections:')))).toEqual([
      'sluice.yaml:1:1 issuers: expected at least one issuer, or `apiKeys`: nobody could prove who they are, got nothing',
    ])
  })

  test('all at once', () => {
    const text = `${LEAST.replace('EU', '7').replace('ES256', 'RS257')}plugin: {}\nplugins: { nope: {} }\n`
    expect(problemsOf(text)).toHaveLength(4)
  })

  test('whatever the text is, without throwing', () => {
    for (const text of ['', '[]', 'a: [', '[['.repeat(60_000), '&a [*a]', 'null', `${LEAST}---\n${LEAST}`]) {
      expect(problemsOf(text).length).toBeGreaterThan(0)
    }
  })
})

describe('a file of API keys', () => {
  const hash = 'ab'.repeat(32)

  test('is a list of hashes', () => {
    const text = `- { id: k1, hash: ${hash}, subject: etl, groups: [loaders], expires: 2027-01-31T00:00:00Z }
- { id: k2, hash: ${hash}, subject: old, revoked: true }
`
    expect(parseApiKeys(text, 'keys.yaml')).toEqual([
      { id: 'k1', hash, subject: 'etl', groups: ['loaders'], expires: Date.UTC(2027, 0, 31), plane: 'agents' },
      { id: 'k2', hash, subject: 'old', groups: [], revoked: true, plane: 'agents' },
    ])
  })

  test('holds no key itself, and no time that is none', () => {
    const text = `- { id: k1, key: sluice_k1_hunter2, subject: etl, expires: tomorrow }\n`
    const parsed = parseApiKeys(text, 'keys.yaml')
    expect('problems' in parsed ? parsed.problems.map(renderProblem) : []).toEqual([
      'keys.yaml:1:3 [0].hash: expected a text, got nothing',
      'keys.yaml:1:51 [0].expires: expected a time such as `2027-01-31T00:00:00Z`, got a text',
      'keys.yaml:1:13 [0].key: expected one of `id`, `hash`, `subject`, `groups`, `expires`, `revoked`, got an unknown key',
    ])
  })
})

test('the exported defaults are the ones that apply', () => {
  const written = `${LEAST}data: ${DEFAULTS.data}
policies: ${DEFAULTS.policies}
listeners: ${JSON.stringify(DEFAULTS.listeners)}
query: ${JSON.stringify(DEFAULTS.query)}
holds: ${JSON.stringify(DEFAULTS.holds)}
audit: ${JSON.stringify(DEFAULTS.audit)}
auditors: ${JSON.stringify(DEFAULTS.auditors)}
`
  expect(parseConfig(written, 'sluice.yaml', nothing)).toEqual(parseConfig(LEAST, 'sluice.yaml', nothing))
})
