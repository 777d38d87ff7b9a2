/** `/v1/holds`: what waits for a person, their word on it, and its one run. */
import { z, type OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Approvals } from '../src/approvals.ts'
import { Failure } from '../src/failure.ts'
import type { Gateway } from '../src/gateway.ts'
import type { HoldState } from '../src/hold/contract.ts'
import type { Runtime } from '../src/runtime.ts'
import { formatOf, holdBody, outcomeAnswer } from './answer.ts'
import { describe } from './describe.ts'
import { knocked } from './knock.ts'
import { readBody, readWait } from './read.ts'
import { AnswerShape, CommentBody, HoldShape } from './schemas.ts'

export interface HoldRoutes {
  readonly runtime: Runtime
  readonly gateway: Gateway
  readonly approvals: Approvals
  readonly maxBodyBytes: number
  readonly maxWaitSeconds: number
}

const ONE = '/v1/holds/:id{[0-9a-fA-F-]{36}}'

export function mountHolds(app: OpenAPIHono, routes: HoldRoutes): void {
  const { runtime, gateway, approvals, maxBodyBytes, maxWaitSeconds } = routes
  const comment = (c: Context, signal: AbortSignal) => readBody(c, CommentBody, maxBodyBytes, signal)
  const idOf = (c: Context): string => c.req.param('id') ?? ''

  describe(app, {
    method: 'get',
    path: '/v1/holds',
    summary: 'Holds that you asked for or may decide on, newest first',
    query: { state: 'only these, comma-separated' },
    answers: { 200: { description: 'holds', shape: z.object({ holds: z.array(HoldShape) }) } },
  })
  app.get(
    '/v1/holds',
    knocked(runtime, 'holds', async (c, knock) => {
      const holds = await approvals.list(knock, statesOf(c.req.query('state')))
      return Response.json({ holds: holds.map(holdBody) })
    }),
  )

  describe(app, {
    method: 'get',
    path: '/v1/holds/{id}',
    summary: 'One hold; with `wait`, once its state has changed',
    query: { wait: 'seconds to wait for a change' },
    answers: { 200: { description: 'the hold', shape: HoldShape } },
  })
  app.get(
    ONE,
    knocked(runtime, 'holds', async (c, knock) => {
      const waitMs = readWait(c.req.query('wait'), maxWaitSeconds)
      return Response.json(holdBody(await approvals.see(knock, idOf(c), waitMs)))
    }),
  )

  for (const effect of ['approve', 'reject'] as const) {
    describe(app, {
      method: 'post',
      path: `/v1/holds/{id}/${effect}`,
      summary: `An approver's word: ${effect}`,
      body: CommentBody,
      answers: { 200: { description: 'the hold as it is now', shape: HoldShape } },
    })
    app.post(
      `${ONE}/${effect}`,
      knocked(runtime, 'holds', async (c, knock) =>
        Response.json(holdBody(await approvals.decide(knock, idOf(c), effect, (signal) => comment(c, signal)))),
      ),
    )
  }

  describe(app, {
    method: 'post',
    path: '/v1/holds/{id}/withdraw',
    summary: 'The requester takes it back',
    body: CommentBody,
    answers: { 200: { description: 'the hold as it is now', shape: HoldShape } },
  })
  app.post(
    `${ONE}/withdraw`,
    knocked(runtime, 'holds', async (c, knock) =>
      Response.json(holdBody(await approvals.withdraw(knock, idOf(c), (signal) => comment(c, signal)))),
    ),
  )

  describe(app, {
    method: 'post',
    path: '/v1/holds/{id}/run',
    summary: 'Runs what was approved, once, and streams the answer',
    answers: { 200: { description: 'rows, as JSON or NDJSON', shape: AnswerShape, ndjson: true } },
  })
  app.post(
    `${ONE}/run`,
    knocked(runtime, 'holds', async (c, knock) => {
      const format = formatOf(c.req.header('Accept'))
      return outcomeAnswer(await gateway.resume(knock, idOf(c)), format)
    }),
  )
}

const STATES: readonly string[] = HoldShape.shape.state.options

function statesOf(text: string | undefined): readonly HoldState[] | undefined {
  if (text === undefined) return undefined
  const states = text.split(',')
  const unknown = states.find((state) => !STATES.includes(state))
  if (unknown !== undefined) {
    throw new Failure('bad-request', `no state \`${unknown.slice(0, 40)}\``, { fix: `one of ${STATES.join(', ')}` })
  }
  return states as HoldState[]
}
