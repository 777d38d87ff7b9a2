/** Rules by tag, column and function, from the configuration and a policy's file to the agent's answer. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

const POLICY = `
policy: tagged
description: for tests
principals: { groups: [analyst-agents] }
connections: [warehouse]
rules:
  - { id: read, effect: permit, actions: [read], resources: ['shop.*'], because: analysts read the shop }
  - { id: no-pii, effect: deny, tags: [pii], because: no agent reads personal data }
  - { id: no-notes, effect: deny, columns: ['*.*.*amount*'], because: no agent reads amounts }
  - { id: no-digests, effect: deny, functions: ['md*', 'SHA*'], because: nobody needs these }
  - id: phones
    effect: hold
    tags: [phone]
    because: a data owner looks first
    approvers: { groups: [data-owners] }
`

let gateway: GatewayProcess
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-tags-'))
  writeFileSync(join(folder, 'tagged.yaml'), POLICY)
  const config = readFileSync('sluice.yaml', 'utf8')
    .replace(/^policies: .*$/m, `policies: ${folder}`)
    .replace(
      /^( +)location: US$/m,
      "$1location: US\n$1columnTags: { pii: ['shop.*.email', shop.customers.address.street], phone: [shop.*.phone] }",
    )
  writeFileSync(join(folder, 'sluice.config'), config)
  gateway = await startGateway({ config: join(folder, 'sluice.config') })
})
afterAll(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('a column tag', () => {
  it.each([
    ['SELECT email FROM shop.customers', 'shop.customers.email'],
    ['SELECT COUNT(*) AS n FROM shop.customers WHERE EMAIL IS NULL', 'shop.customers.email'],
    ['SELECT TO_JSON_STRING(c) AS j FROM shop.customers AS c', 'shop.customers.address'],
    ['SELECT address.street FROM shop.customers', 'shop.customers.address.street'],
    ['SELECT * FROM shop.customer_directory', 'shop.customers.email'],
    ['SELECT * EXCEPT (email) FROM shop.customers', 'shop.customers.address'],
  ])('denies %s', async (sql, where) => {
    const { status, body } = await gateway.query('agent', sql)
    expect([status, body.reasons]).toMatchObject([
      403,
      [{ code: 'tagged/no-pii', where, fix: `leave \`${where}\` out of the statement` }],
    ])
  })

  it.each(['SELECT address.city FROM shop.customers LIMIT 1', 'SELECT COUNT(*) AS n FROM shop.customers'])(
    'lets through %s',
    async (sql) => {
      expect((await gateway.query('agent', sql)).status).toBe(200)
    },
  )

  it('holds', async () => {
    const { status, body } = await gateway.query('agent', 'SELECT phone FROM shop.customers LIMIT 1')
    expect([status, body.hold.reasons]).toMatchObject([202, [{ code: 'tagged/phones', where: 'shop.customers.phone' }]])
  })
})

it('a column pattern denies', async () => {
  const { status, body } = await gateway.query('agent', 'SELECT id FROM shop.orders ORDER BY amount LIMIT 1')
  expect([status, body.reasons]).toMatchObject([403, [{ code: 'tagged/no-notes', where: 'shop.orders.amount' }]])
})

it('a function denies', async () => {
  const { status, body } = await gateway.query('agent', "SELECT TO_HEX(Md5('a')) AS c FROM shop.customers LIMIT 1")
  expect([status, body.reasons]).toMatchObject([403, [{ code: 'tagged/no-digests', where: 'MD5' }]])
})
