/** What an agent without a permit learns of what exists: nothing, for neither catalog nor warehouse is asked. */
import { describe, expect, it } from 'vitest'
import { readFileSync } from 'node:fs'
import type { Principal, TablePath } from '../../src/exchange.ts'
import type { Failure } from '../../src/failure.ts'
import type { SqlConnection, InForce } from '../../src/journey.ts'
import { isProblems, loadPolicies } from '../../src/policy/index.ts'
import { createStatements } from '../../src/statement/index.ts'
import { state } from '../../src/stations/state.ts'

const BOUNDS = { maxRows: 10, timeoutMs: 1000, maxBytesBilled: 1000 }
const PLACES = ['shop.customers', 'shop.orders', 'shop.internal_notes', 'hr.salaries', 'crm.people']
const POLICY = `
policy: analysts
description: for tests
principals: { groups: [analysts] }
connections: [warehouse]
rules:
  - { id: read, effect: permit, actions: [read], resources: ['shop.*', '!shop.internal_*'], because: they may }
`

function pathOf(resource: string): TablePath {
  const [dataset = '', table = ''] = resource.split('.')
  return { project: 'own', dataset, table }
}

/** A connection that notes each question. */
function warehouse(asked: string[], over: Partial<SqlConnection['schemas']> = {}): SqlConnection {
  return {
    language: 'googlesql',
    connector: {
      defaults: { project: 'own' },
      async estimate() {
        asked.push('dry run')
        return { bytes: 1, kind: 'SELECT', tables: [], output: [] }
      },
    } as unknown as SqlConnection['connector'],
    schemas: {
      async table(path) {
        asked.push(`table ${path.dataset}.${path.table}`)
        const resource = `${path.dataset}.${path.table}`
        if (!PLACES.includes(resource) || path.project !== 'own') return undefined
        const columns = [{ name: 'email', type: { kind: 'STRING' }, nullable: true }] as const
        return { path, resource, kind: 'TABLE', columns, version: '1' }
      },
      async list() {
        asked.push('list')
        return PLACES.map(pathOf)
      },
      invalidate() {},
      ...over,
    },
    maxBytesBilled: 1000,
    whenAuditIsTight: 'block',
  }
}

async function asking(sql: string, groups: readonly string[], over: Partial<SqlConnection['schemas']> = {}) {
  const policies = await loadPolicies(
    [{ path: 'policies/a.yaml', text: POLICY }],
    { plugins: {}, obligations: {} },
    { expiresInMs: 1 },
  )
  if (isProblems(policies)) throw new Error('the policy is wrong')
  const principal: Principal = { issuer: 'corp', subject: 'a', kind: 'agent', plane: 'agents', groups }
  const force: InForce = { policies, plugins: () => [] }
  const statements = createStatements(new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm')))
  const asked: string[] = []
  const unstated = { id: '1', receivedAt: 0, surface: 'query' as const, principal, connection: 'warehouse' }
  const outcome = await state(
    unstated,
    { language: 'googlesql', sql, parameters: [], bounds: BOUNDS },
    warehouse(asked, over),
    force,
    { statements },
    AbortSignal.timeout(5000),
  ).catch((error: unknown) => error as Failure)
  return { outcome, asked }
}

describe('a name that policy does not open', () => {
  it.each([
    ['hr.salaries', ['analysts']],
    ['hr.no_such_table', ['analysts']],
    ['no_such_dataset.t', ['analysts']],
    ['`no-such-project.shop.customers`', ['analysts']],
    ['shop.internal_notes', ['analysts']],
    ['shop.internal_nothing', ['analysts']],
    ['shop.customers', []],
    ['shop.no_such_table', []],
    ['hr.INFORMATION_SCHEMA.TABLES', ['analysts']],
    ['`hr.sal_*`', ['analysts']],
  ])('%s by a member of %j is denied, and nobody is asked', async (name, groups) => {
    const { outcome, asked } = await asking(`SELECT no_such_column FROM ${name}`, groups)
    expect(asked).toEqual([])
    const resource = name.replaceAll('`', '')
    expect(outcome).toMatchObject({
      decision: { effect: 'deny', reasons: [{ code: 'no-permit', where: resource }] },
      statement: { tables: [], output: [] },
    })
  })

  it('beside one that it opens denies as well, before either is looked up', async () => {
    const { outcome, asked } = await asking('SELECT 1 FROM shop.custmers, hr.salaries', ['analysts'])
    expect(asked).toEqual([])
    expect(outcome).toMatchObject({ decision: { effect: 'deny' } })
  })
})

describe('a mistyped name', () => {
  it.each([
    ['shop.custmers', 'did you mean `shop.customers`?'],
    ['shop.order', 'did you mean `shop.orders`?'],
    // `shop.internal_notes` and `hr.salaries` are not for analysts.
    ['shop.intrnal_notes', 'look at the resources of this connection'],
    ['shop.salaries', 'look at the resources of this connection'],
  ])('%s: %s', async (name, fix) => {
    const { outcome, asked } = await asking(`SELECT 1 FROM ${name}`, ['analysts'])
    expect(outcome).toMatchObject({ code: 'resource-unknown', message: `\`${name}\` is not known`, detail: { fix } })
    expect(asked).toEqual([`table ${name}`, 'list'])
  })

  it('is told nothing where the warehouse cannot be asked for a list, and no error of it', async () => {
    const list = () => Promise.reject(new Error('permission denied on hr'))
    const { outcome } = await asking('SELECT 1 FROM shop.custmers', ['analysts'], { list })
    expect(outcome).toMatchObject({
      code: 'resource-unknown',
      detail: { fix: 'look at the resources of this connection' },
    })
  })

  it('of a column is told the nearest of the tables that the statement reads', async () => {
    const { outcome } = await asking('SELECT emial FROM shop.customers', ['analysts'])
    expect(outcome).toMatchObject({ code: 'resource-unknown', detail: { fix: 'did you mean `email`?' } })
  })
})
