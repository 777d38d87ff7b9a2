/** `/openapi.json` is true: what is really answered has the described shape, and nothing that is not described. */
import type * as z from 'zod'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  AnswerShape,
  HeldShape,
  HoldShape,
  PreflightShape,
  ProblemShape,
  ReachableShape,
  ReadinessShape,
} from '../../routes/schemas.ts'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway.stop())

/** Parsing leaves out what a shape does not describe, so equality is truth both ways. */
function fits(shape: z.ZodType, body: unknown): void {
  expect(shape.parse(body)).toEqual(body)
}

const READ = 'SELECT id, email, address FROM shop.customers LIMIT 2'
const WRITE = `UPDATE shop.orders SET status = 'shipped' WHERE id = 9`

describe('the described shape', () => {
  it('of an answer, whole and cut', async () => {
    fits(AnswerShape, (await gateway.query('agent', READ)).body)
    fits(AnswerShape, (await gateway.query('agent', READ, { maxRows: 1 })).body)
  })

  it('of a hold, from the asking to the end, and of the answer of its run', async () => {
    const { body } = await gateway.query('writer', WRITE, { purpose: 'to see its shape' })
    fits(HeldShape, body)
    const path = `/v1/holds/${body.hold.id}`
    fits(HoldShape, await (await gateway.get(path, 'writer')).json())
    fits(HoldShape, await (await gateway.post(`${path}/approve`, 'owner', { comment: 'yes' })).json())
    fits(AnswerShape, await (await gateway.post(`${path}/run`, 'writer', {})).json())
    fits(HoldShape, await (await gateway.get(path, 'owner')).json())
  })

  it.each([
    ['permitted', 'agent', READ],
    ['held', 'writer', WRITE],
    ['denied', 'agent', 'SELECT * FROM hr.salaries'],
  ])('of a preflight that is %s', async (_, identity, sql) => {
    fits(PreflightShape, await (await gateway.post('/v1/preflight', identity, { connection: 'warehouse', sql })).json())
  })

  it('of every kind of problem', async () => {
    fits(ProblemShape, (await gateway.query('agent', 'SELECT * FROM hr.salaries')).body)
    fits(ProblemShape, (await gateway.query('agent', 'SELEC 1')).body)
    fits(ProblemShape, (await gateway.query('agent', 'SELECT nothing FROM shop.orders')).body)
    fits(ProblemShape, await (await fetch(`${gateway.url}/v1/query`, { method: 'POST' })).json())
    fits(ProblemShape, await (await fetch(`${gateway.url}/nowhere`)).json())
  })

  it('of what can be reached, and of readiness', async () => {
    const { resources } = (await (await gateway.get('/v1/connections/warehouse/resources', 'agent')).json()) as {
      resources: unknown[]
    }
    expect(resources.length).toBeGreaterThan(5)
    for (const resource of resources) fits(ReachableShape, resource)
    fits(ReadinessShape, await (await fetch(`${gateway.url}/readyz`)).json())
  })
})
