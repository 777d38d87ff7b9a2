/** `GET /v1/connections` and `GET /v1/connections/{c}/resources`. */
import { z, type OpenAPIHono } from '@hono/zod-openapi'
import type { Directory } from '../src/directory.ts'
import type { Runtime } from '../src/runtime.ts'
import { describe } from './describe.ts'
import { knocked } from './knock.ts'
import { columnBody } from './answer.ts'
import { OperationShape, ReachableShape } from './schemas.ts'

export function mountConnections(app: OpenAPIHono, runtime: Runtime, directory: Directory): void {
  describe(app, {
    method: 'get',
    path: '/v1/connections',
    summary: 'Connections that you can reach',
    answers: {
      200: {
        description: 'connections',
        shape: z.object({ connections: z.array(z.object({ name: z.string(), type: z.string() })) }),
      },
    },
  })
  app.get(
    '/v1/connections',
    knocked(runtime, 'connections', async (_, knock) =>
      Response.json({ connections: await directory.connections(knock) }),
    ),
  )

  describe(app, {
    method: 'get',
    path: '/v1/connections/{connection}/resources',
    summary: 'Tables that you may read, with types and masks; or operations that you may call',
    answers: {
      200: {
        description: 'tables, or operations',
        shape: z.object({ resources: z.array(z.union([ReachableShape, OperationShape])) }),
      },
    },
  })
  app.get(
    '/v1/connections/:connection/resources',
    knocked(runtime, 'connections', async (c, knock) => {
      const resources = await directory.resources(knock, c.req.param('connection') ?? '')
      return Response.json({
        resources: resources.map((it) => ('columns' in it ? { ...it, columns: it.columns.map(columnBody) } : it)),
      })
    }),
  )
}
