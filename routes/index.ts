/** Every door, mounted. */
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Approvals } from '../src/approvals.ts'
import type { Auditor } from '../src/auditor.ts'
import type { Directory } from '../src/directory.ts'
import type { Exporter } from '../src/exporter.ts'
import { Failure } from '../src/failure.ts'
import type { Gateway } from '../src/gateway.ts'
import type { Health } from '../src/health.ts'
import type { Runtime } from '../src/runtime.ts'
import { mountAudit } from './audit.ts'
import { mountConnections } from './connections.ts'
import { mountEvidence } from './evidence.ts'
import { mountHealth } from './health.ts'
import { mountHolds } from './holds.ts'
import { failureAnswer, notFoundAnswer } from './problem.ts'
import { mountProxy } from './proxy.ts'
import { mountQuery } from './query.ts'

export interface Services {
  readonly runtime: Runtime
  readonly gateway: Gateway
  readonly approvals: Approvals
  readonly auditor: Auditor
  readonly exporter: Exporter
  readonly directory: Directory
  readonly health: Health
  readonly version: string
  readonly maxBodyBytes: number
  readonly maxWaitSeconds: number
  /** Connections by the host names under which they are asked for. */
  readonly hosts: ReadonlyMap<string, string>
}

/** The HTTP surface as one `fetch`. */
export function createApp(services: Services): OpenAPIHono {
  const { runtime } = services
  const app = new OpenAPIHono()
  mountProxy(app, services)
  mountQuery(app, services)
  mountHolds(app, services)
  mountAudit(app, services)
  mountEvidence(app, services)
  mountConnections(app, runtime, services.directory)
  mountHealth(app, services.health)
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'Sluice', version: services.version, description: 'A gateway between AI agents and data' },
  })
  for (const [path, methods] of methodsByPath(app)) {
    app.all(path, (c) =>
      failureAnswer(
        new Failure('method-not-allowed', `\`${c.req.path}\` takes ${methods.join(', ')}, not ${c.req.method}`),
        runtime.newId(),
      ),
    )
  }
  app.notFound((c) => notFoundAnswer(c, runtime.newId()))
  app.onError((error) => {
    runtime.log('error', 'a route failed', {}, error)
    return failureAnswer(error, runtime.newId())
  })
  return app
}

function methodsByPath(app: OpenAPIHono): Map<string, string[]> {
  const methods = new Map<string, string[]>()
  for (const { path, method } of app.routes) {
    if (method !== 'ALL') methods.set(path, [...new Set([...(methods.get(path) ?? []), method])])
  }
  return methods
}
