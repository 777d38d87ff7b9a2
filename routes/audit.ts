/** `POST /v1/audit/query`, `GET /v1/audit/exchanges/{id}` and its replay. */
import { z, type OpenAPIHono } from '@hono/zod-openapi'
import type { AuditQuery } from '../src/audit/contract.ts'
import type { Auditor, Speed } from '../src/auditor.ts'
import { Failure } from '../src/failure.ts'
import type { Runtime } from '../src/runtime.ts'
import { describe } from './describe.ts'
import { knocked } from './knock.ts'
import { readBody } from './read.ts'
import { AuditBody, RecordedExchangeShape } from './schemas.ts'

export interface AuditRoutes {
  readonly runtime: Runtime
  readonly auditor: Auditor
  readonly maxBodyBytes: number
}

const ANSWER =
  "ClickHouse's JSON; by `Accept` also NDJSON (`application/x-ndjson`), CSV (`text/csv`) or Parquet (`application/vnd.apache.parquet`)"

export function mountAudit(app: OpenAPIHono, { runtime, auditor, maxBodyBytes }: AuditRoutes): void {
  describe(app, {
    method: 'post',
    path: '/v1/audit/query',
    summary: 'Read-only ClickHouse SQL over the audit views, for auditors',
    body: AuditBody,
    answers: { 200: { description: ANSWER, shape: z.object({}).loose(), ndjson: true } },
  })
  app.post(
    '/v1/audit/query',
    knocked(runtime, 'audit', async (c, knock) => {
      const format = auditFormatOf(c.req.header('Accept'))
      const { body, contentType } = await auditor.query(knock, async (signal) => ({
        ...(await readBody(c, AuditBody, maxBodyBytes, signal)),
        format,
      }))
      return new Response(body, { headers: { 'Content-Type': contentType, 'X-Content-Type-Options': 'nosniff' } })
    }),
  )
  describe(app, {
    method: 'get',
    path: '/v1/audit/exchanges/{id}',
    summary: 'Everything that is recorded of an exchange, for auditors',
    answers: {
      200: { description: 'its records in order, and what is kept of its bodies', shape: RecordedExchangeShape },
    },
  })
  app.get(
    '/v1/audit/exchanges/:id',
    knocked(runtime, 'audit', async (c, knock) => {
      const found = await auditor.exchange(knock, () => idOf(c.req.param('id')))
      return c.json(found)
    }),
  )
  describe(app, {
    method: 'get',
    path: '/v1/audit/exchanges/{id}/replay',
    summary: 'An exchange as it happened, event by event, at the pace at which it happened; for auditors',
    query: { speed: 'so many times as fast: `1` as it was (the default), `10`, `0.5`; `0` or `max`: without waiting' },
    answers: { 200: { description: 'a JSON object in each line', shape: z.object({}).loose(), ndjson: true } },
  })
  app.get(
    '/v1/audit/exchanges/:id/replay',
    knocked(runtime, 'audit', async (c, knock) => {
      const body = await auditor.replay(knock, () => ({
        id: idOf(c.req.param('id')),
        speed: speedOf(new URL(c.req.url).searchParams),
      }))
      return new Response(body, {
        headers: { 'Content-Type': 'application/x-ndjson', 'X-Content-Type-Options': 'nosniff' },
      })
    }),
  )
}

const FORMATS: Readonly<Record<string, AuditQuery['format']>> = {
  'application/json': 'json',
  'application/*': 'json',
  '*/*': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'text/csv': 'csv',
  'text/*': 'csv',
  'application/vnd.apache.parquet': 'parquet',
}

/** The format that the header likes best (RFC 9110, 12.5.1). Throws `not-acceptable` where it takes none. */
function auditFormatOf(accept = '*/*'): AuditQuery['format'] {
  const liked = accept
    .split(',')
    .map((part) => part.split(';').map((piece) => piece.trim().toLowerCase()))
    .map(([type = '', ...parameters]) => ({ type, weight: weightOf(parameters) }))
    .toSorted((a, b) => b.weight - a.weight)
  for (const { type, weight } of liked) {
    const format = Object.hasOwn(FORMATS, type) ? FORMATS[type] : undefined
    if (format !== undefined && weight > 0) return format
  }
  throw new Failure('not-acceptable', 'answers are JSON, NDJSON, CSV or Parquet', {
    fix: 'send `Accept: application/json`, `application/x-ndjson`, `text/csv` or `application/vnd.apache.parquet`',
  })
}

/** A weight that is none counts as 1, as one that is missing does. */
function weightOf(parameters: readonly string[]): number {
  const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
  return q !== undefined && /^[01](\.\d{0,3})?$/.test(q) ? Number(q) : 1
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function idOf(id: string | undefined): string {
  const lower = id?.toLowerCase() ?? ''
  if (UUID.test(lower)) return lower
  throw new Failure('bad-request', 'an exchange is named by its id', {
    fix: 'it is the `Sluice-Exchange` header of the answer, a UUID',
  })
}

const FASTEST = 1000
const SLOWEST = 0.01

function speedOf(query: URLSearchParams): Speed {
  const names = [...query.keys()]
  const odd = names.find((name, i) => name !== 'speed' || i > 0)
  if (odd !== undefined) {
    throw new Failure('parameter-refused', `\`${odd.slice(0, 64)}\` is not known here, or given twice`, {
      fix: 'the parameter is `speed`',
    })
  }
  const text = query.get('speed') ?? '1'
  if (text === 'max') return 'max'
  const speed = /^\d{1,4}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN
  if (speed === 0) return 'max'
  if (speed >= SLOWEST && speed <= FASTEST) return speed
  throw new Failure('parameter-refused', `\`speed\` is \`max\` or a number from ${SLOWEST} to ${FASTEST}`)
}
