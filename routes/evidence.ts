/** `GET /v1/audit/export`: an evidence pack, as a tar that streams. */
import { z, type OpenAPIHono } from '@hono/zod-openapi'
import type { ExportAsked, Exporter } from '../src/exporter.ts'
import { Failure } from '../src/failure.ts'
import type { Runtime } from '../src/runtime.ts'
import { describe } from './describe.ts'
import { knocked } from './knock.ts'

export interface EvidenceRoutes {
  readonly runtime: Runtime
  readonly exporter: Exporter
}

const QUERY = {
  from: 'required; the first moment: `2026-09-01` or `2026-09-01T00:00:00Z`',
  to: 'the moment behind the last; now where it is left out',
  format: 'of the records for people: `ndjson` (the default) or `parquet`',
  controls: 'Trust Services Criteria that the report is about, with commas: `CC6.1,CC7.2`; all where it is left out',
  connections: 'only the records of these connections, with commas; such a pack cannot be verified',
} as const

export function mountEvidence(app: OpenAPIHono, { runtime, exporter }: EvidenceRoutes): void {
  describe(app, {
    method: 'get',
    path: '/v1/audit/export',
    summary: 'An evidence pack of a span of time, for auditors: a tar, streamed',
    query: QUERY,
    answers: {
      200: { description: 'a tar whose last member is `manifest.json`', shape: z.string(), type: 'application/x-tar' },
    },
  })
  app.get(
    '/v1/audit/export',
    knocked(runtime, 'audit', async (c, knock) => {
      const query = new URL(c.req.url).searchParams
      const pack = await exporter.export(knock, () => askedOf(query, runtime.clock.now()))
      return new Response(pack.body, {
        headers: {
          'Content-Type': pack.contentType,
          'Content-Disposition': `attachment; filename="${pack.name}"`,
          'Sluice-Export-Records': String(pack.records),
          'X-Content-Type-Options': 'nosniff',
        },
      })
    }),
  )
}

/** Throws `parameter-refused` at what is not known, given twice, or not of its kind. */
function askedOf(query: URLSearchParams, now: number): ExportAsked {
  const names = [...query.keys()]
  const odd = names.find((name, i) => !Object.hasOwn(QUERY, name) || names.indexOf(name) !== i)
  if (odd !== undefined) {
    throw new Failure('parameter-refused', `\`${odd.slice(0, 64)}\` is not known here, or given twice`, {
      fix: `the parameters are ${Object.keys(QUERY).join(', ')}`,
    })
  }
  const from = query.get('from')
  if (from === null) throw new Failure('parameter-refused', '`from` is missing', { fix: QUERY.from })
  const to = query.get('to')
  const format = query.get('format') ?? 'ndjson'
  if (format !== 'ndjson' && format !== 'parquet') {
    throw new Failure('parameter-refused', '`format` is `ndjson` or `parquet`')
  }
  const connections = listOf('connections', query.get('connections'))
  return {
    from: momentOf('from', from),
    to: to === null ? now : momentOf('to', to),
    format,
    controls: listOf('controls', query.get('controls')) ?? [],
    ...(connections !== undefined && { connections }),
  }
}

const MOMENT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?Z)?$/

function momentOf(name: string, text: string): number {
  const at = MOMENT.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) throw new Failure('parameter-refused', `\`${name}\` is not a moment`, { fix: QUERY.from })
  return at
}

/** Words with commas between them; none of them empty. */
function listOf(name: string, text: string | null): readonly string[] | undefined {
  if (text === null) return undefined
  const words = text.split(',')
  if (words.length > 1000 || words.some((word) => !/^[\w.-]{1,128}$/.test(word))) {
    throw new Failure('parameter-refused', `\`${name}\` is words with commas between them`)
  }
  return words
}
