/** Registers a call in `/openapi.json`, from the very schemas that parse its body. */
import type { OpenAPIHono, z } from '@hono/zod-openapi'
import { ProblemShape } from './schemas.ts'

export interface Call {
  readonly method: 'get' | 'post'
  /** With `{name}` for what varies. */
  readonly path: string
  readonly summary: string
  readonly body?: z.ZodType
  /** Name → what it is for. */
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  /** Absent: anyone may call. */
  readonly open?: boolean
  readonly answers: Readonly<
    Record<
      number,
      {
        readonly description: string
        readonly shape: z.ZodType
        readonly ndjson?: boolean
        /** Of an answer that is not JSON. */
        readonly type?: string
      }
    >
  >
}

export function describe(app: OpenAPIHono, call: Call): void {
  const parameters = [
    ...named('header', call.headers),
    ...named('query', call.query),
    ...[...call.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name: name ?? '',
      in: 'path' as const,
      required: true,
      schema: { type: 'string' as const },
    })),
  ]
  const responses = Object.fromEntries(
    Object.entries(call.answers).map(([status, { description, shape, ndjson, type = 'application/json' }]) => [
      status,
      {
        description,
        content: {
          [type]: { schema: shape },
          ...(ndjson === true && { 'application/x-ndjson': { schema: { type: 'string' as const } } }),
        },
      },
    ]),
  )
  app.openAPIRegistry.registerPath({
    method: call.method,
    path: call.path,
    summary: call.summary,
    ...(call.open !== true && { security: [{ bearer: [] }] }),
    parameters,
    request: { ...(call.body && { body: { content: { 'application/json': { schema: call.body } } } }) },
    responses: {
      ...responses,
      default: { description: 'a problem', content: { 'application/problem+json': { schema: ProblemShape } } },
    },
  })
}

function named(place: 'header' | 'query', entries: Readonly<Record<string, string>> = {}) {
  return Object.entries(entries).map(([name, description]) => ({
    name,
    in: place,
    required: false,
    description,
    schema: { type: 'string' as const },
  }))
}
