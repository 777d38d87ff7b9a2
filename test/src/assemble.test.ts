/** What policies may say of an API, told when they are loaded: a slip in a path masks nothing, and nobody would notice. */
import { describe, expect, test } from 'vitest'
import { plugins } from '../../plugins/index.ts'
import { Workshop } from '../../src/assemble.ts'
import { isProblems, parseConfig, type Config } from '../../src/config.ts'
import { nodeHasher } from '../support/hasher.ts'

const CONFIG = `
issuers: [{ name: corp, issuer: https://issuer.example, algorithms: [ES256], audiences: { agents: a } }]
connections:
  crm: { type: rest, baseUrl: https://crm.example, credential: { type: none }, openapi: crm.json }
  plain: { type: rest, baseUrl: https://crm.example, credential: { type: none }, operations: ['GET /customers/{id}'] }
`

const json = (schema: unknown) => ({ content: { 'application/json': { schema } } })
const DOCUMENT = {
  openapi: '3.1.0',
  paths: {
    '/customers/{id}': {
      get: { operationId: 'getCustomer', responses: { 200: json({ $ref: '#/components/schemas/Customer' }), 204: {} } },
      patch: { operationId: 'changeCustomer', responses: { 200: json({ $ref: '#/components/schemas/Customer' }) } },
    },
    '/orders': {
      get: {
        operationId: 'listOrders',
        responses: { 200: json({ type: 'array', items: { properties: { total: { type: 'number' } } } }) },
      },
    },
    '/free': { get: { operationId: 'free', responses: { 200: { content: { 'application/json': {} } } } } },
  },
  components: {
    schemas: {
      Customer: {
        type: 'object',
        properties: { email: { type: 'string' }, home: { properties: { street: { type: 'string' } } } },
      },
    },
  },
}

async function problems(connection: string, resources: string, path: string): Promise<readonly string[]> {
  const config = parseConfig(CONFIG, 'sluice.yaml', () => undefined)
  if (isProblems(config)) throw new Error(JSON.stringify(config))
  const runtime = {
    clock: { now: () => 0, monotonic: () => 0 },
    newId: () => '',
    secrets: { read: async () => 'secret' },
    fetch,
    hasher: nodeHasher,
    log: () => {},
    background: () => {},
  }
  const workshop = await Workshop.open(config as Config, { plugins, runtime, readOpenApi: async () => DOCUMENT })
  const text = `policy: p
description: d
principals: { groups: [agents] }
connections: [${connection}]
rules:
  - id: read
    effect: permit
    resources: [${resources}]
    because: they may
    obligations: { mask-json: { response: { '${path}': redact } } }
`
  const loaded = await workshop.load([{ path: 'policies/p.yaml', text }])
  return 'problems' in loaded ? loaded.problems : []
}

describe('a path under a mask', () => {
  test.each([
    ['crm', 'getCustomer', '$.email'],
    ['crm', 'getCustomer', '$.home.street'],
    ['crm', "'*Customer'", '$..street'],
    ['crm', 'getCustomer, listOrders', '$[*].total'],
    // Nobody knows what these answer.
    ['crm', 'getCustomer, free', '$.nothing'],
    ['plain', "'**'", '$.nothing'],
  ])('on %s, of %s: %s may match', async (connection, resources, path) => {
    expect(await problems(connection, resources, path)).toEqual([])
  })

  test.each([
    ['getCustomer', '$.e-mail'],
    ['getCustomer', '$.customer.email'],
    ['getCustomer', '$[*].total'],
    ["'*Customer', listOrders", '$..card'],
  ])('of %s: %s can never match, and is refused', async (resources, path) => {
    expect(await problems('crm', resources, path)).toEqual([
      `policies/p.yaml:10:20 rules[0].obligations.mask-json: expected a path that some answer of the API has a place for; \`${path}\` has none in any that this rule is about`,
    ])
  })
})
