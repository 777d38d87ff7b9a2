/** `POST /v1/query` and `POST /v1/preflight`. */
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { OutputColumn, Statement } from '../src/exchange.ts'
import type { Gateway, Question } from '../src/gateway.ts'
import type { Runtime } from '../src/runtime.ts'
import { parseParameters } from '../src/statement/parameters.ts'
import { columnBody, decisionBody, estimated, formatOf, outcomeAnswer } from './answer.ts'
import { describe } from './describe.ts'
import { knocked } from './knock.ts'
import { preferredWait, readBody, readIdempotencyKey } from './read.ts'
import { AnswerShape, HeldShape, PreflightShape, QueryBody } from './schemas.ts'

export interface QueryRoutes {
  readonly runtime: Runtime
  readonly gateway: Gateway
  readonly maxBodyBytes: number
  readonly maxWaitSeconds: number
}

export function mountQuery(app: OpenAPIHono, { runtime, gateway, maxBodyBytes, maxWaitSeconds }: QueryRoutes): void {
  const read = async (c: Context, signal: AbortSignal): Promise<Question> => {
    const { params, ...body } = await readBody(c, QueryBody, maxBodyBytes, signal)
    const key = readIdempotencyKey(c.req.header('Idempotency-Key'))
    return {
      language: 'googlesql',
      connection: body.connection,
      sql: body.sql,
      parameters: params === undefined ? [] : parseParameters(params),
      waitMs: preferredWait(c.req.header('Prefer'), maxWaitSeconds),
      ...(body.maxRows !== undefined && { maxRows: body.maxRows }),
      ...(body.timeoutMs !== undefined && { timeoutMs: body.timeoutMs }),
      ...(body.purpose !== undefined && { purpose: body.purpose }),
      ...(key !== undefined && { idempotencyKey: key }),
    }
  }

  describe(app, {
    method: 'post',
    path: '/v1/query',
    summary: 'Run one statement',
    body: QueryBody,
    headers: {
      'Idempotency-Key': 'sent again with the same key, a request is answered with what the first one came to',
      Prefer: '`wait=N`: wait up to N seconds for an approval in this call',
    },
    answers: {
      200: { description: 'rows, as JSON or NDJSON', shape: AnswerShape, ndjson: true },
      202: { description: 'a person must approve first', shape: HeldShape },
    },
  })
  app.post(
    '/v1/query',
    knocked(runtime, 'query', async (c, knock) => {
      const format = formatOf(c.req.header('Accept'))
      const outcome = await gateway.handle(knock, (signal) => read(c, signal))
      return outcomeAnswer(outcome, format)
    }),
  )

  describe(app, {
    method: 'post',
    path: '/v1/preflight',
    summary: 'What would be decided; runs nothing',
    body: QueryBody,
    answers: { 200: { description: 'decision, findings, masks, estimate', shape: PreflightShape } },
  })
  app.post(
    '/v1/preflight',
    knocked(runtime, 'preflight', async (c, knock) => {
      const foreseen = await gateway.preflight(knock, (signal) => read(c, signal))
      return Response.json(foreseenBody(foreseen))
    }),
  )
}

function foreseenBody({ exchange, narrowed, standing }: Awaited<ReturnType<Gateway['preflight']>>) {
  const { statement, findings, decision } = exchange
  return {
    exchange: exchange.id,
    decision: decisionBody(exchange),
    statement: { kind: statement.kind, uses: statement.uses },
    columns: decision.effect === 'deny' ? [] : outputOf(narrowed ?? statement).map(columnBody),
    masks: narrowed?.masks ?? [],
    findings,
    ...(decision.effect !== 'deny' && estimated(statement)),
    ...(decision.effect === 'hold' && { approvers: decision.approvers }),
    ...(standing.length > 0 && { budgets: standing }),
  }
}

function outputOf(statement: Statement): readonly OutputColumn[] {
  return statement.language === 'googlesql' ? statement.output : []
}
