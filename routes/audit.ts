/** `POST /v1/audit/query`. */
import { z, type OpenAPIHono } from '@hono/zod-openapi'
import type { Auditor } from '../src/auditor.ts'
import type { Runtime } from '../src/runtime.ts'
import { describe } from './describe.ts'
import { knocked } from './knock.ts'
import { formatOf } from './answer.ts'
import { readBody } from './read.ts'
import { AuditBody } from './schemas.ts'

export interface AuditRoutes {
  readonly runtime: Runtime
  readonly auditor: Auditor
  readonly maxBodyBytes: number
}

export function mountAudit(app: OpenAPIHono, { runtime, auditor, maxBodyBytes }: AuditRoutes): void {
  describe(app, {
    method: 'post',
    path: '/v1/audit/query',
    summary: 'Read-only ClickHouse SQL over the audit views, for auditors',
    body: AuditBody,
    answers: { 200: { description: "ClickHouse's JSON or JSONEachRow", shape: z.object({}).loose(), ndjson: true } },
  })
  app.post(
    '/v1/audit/query',
    knocked(runtime, 'audit', async (c, knock) => {
      const format = formatOf(c.req.header('Accept'))
      const { answer, done } = await auditor.query(knock, async (signal) => ({
        ...(await readBody(c, AuditBody, maxBodyBytes, signal)),
        format,
      }))
      return new Response(whenEnded(answer.body, done), { headers: { 'Content-Type': answer.contentType } })
    }),
  )
}

/** `body`, and `done` once it has ended in whatever way. */
function whenEnded(body: ReadableStream<Uint8Array>, done: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await reader.read()
          if (!next.done) return controller.enqueue(next.value)
          controller.close()
        } catch (error) {
          controller.error(error)
        }
        done()
      },
      async cancel(reason) {
        try {
          await reader.cancel(reason)
        } finally {
          done()
        }
      },
    },
    { highWaterMark: 0 },
  )
}
