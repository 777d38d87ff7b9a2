/** `/healthz`, `/readyz`, `/metrics`: for operators; no data, no names of people. */
import { z, type OpenAPIHono } from '@hono/zod-openapi'
import type { Health } from '../src/health.ts'
import { describe } from './describe.ts'
import { ReadinessShape } from './schemas.ts'

export function mountHealth(app: OpenAPIHono, health: Health): void {
  describe(app, {
    method: 'get',
    path: '/healthz',
    summary: 'The process lives',
    open: true,
    answers: { 200: { description: 'it does', shape: z.object({ status: z.literal('ok') }) } },
  })
  app.get('/healthz', (c) => c.json({ status: 'ok' }))

  describe(app, {
    method: 'get',
    path: '/readyz',
    summary: 'Every part is ready; says which is not',
    open: true,
    answers: {
      200: { description: 'all are', shape: ReadinessShape },
      503: { description: 'some are not', shape: ReadinessShape },
    },
  })
  app.get('/readyz', async (c) => {
    const state = await health.check()
    return c.json(state, state.status === 'ready' ? 200 : 503)
  })

  app.get('/metrics', (c) => c.body(health.metrics(), 200, { 'Content-Type': 'text/plain; version=0.0.4' }))
}
