import { BigQuery, type Query } from '@google-cloud/bigquery'
import { OAuth2Client } from 'google-auth-library'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPart, type Part } from '../../../sandbox/parts.ts'

export interface Warehouse {
  readonly part: Part
  readonly data: string
  readonly client: BigQuery
  /** Rows as arrays of the wire's texts: a struct is an object, a repeated field an array. */
  rows(query: string, options?: Partial<Query>): Promise<unknown[][]>
  /** The only value of the only row. */
  value(query: string, options?: Partial<Query>): Promise<unknown>
  /** `reason: message` of what the query is refused with. */
  refusal(query: string, options?: Partial<Query>): Promise<string>
  stop(): Promise<void>
}

interface WireField {
  name: string
  mode: string
  fields?: WireField[]
}

function plain(field: WireField, cell: unknown): unknown {
  if (cell === null) return null
  if (field.mode === 'REPEATED') return (cell as { v: unknown }[]).map((item) => plain({ ...field, mode: '' }, item.v))
  if (!field.fields) return cell
  const inner = (cell as { f: { v: unknown }[] }).f
  return Object.fromEntries(field.fields.map((child, at) => [child.name, plain(child, inner[at]?.v)]))
}

export function connect(url: string): BigQuery {
  const authClient = new OAuth2Client()
  authClient.setCredentials({ access_token: 'sandbox' })
  return new BigQuery({ projectId: 'sluice-sandbox', apiEndpoint: url, authClient })
}

export async function startWarehouse(data = mkdtempSync(join(tmpdir(), 'warehouse-'))): Promise<Warehouse> {
  const part = await startPart('warehouse', { port: 0, data })
  const client = connect(part.url)
  const rows = async (query: string, options: Partial<Query> = {}): Promise<unknown[][]> => {
    const [job] = await client.createQueryJob({ query, ...options })
    const answer = await fetch(
      `${part.url}/projects/sluice-sandbox/queries/${job.id}?formatOptions.useInt64Timestamp=true`,
    )
    const body = (await answer.json()) as {
      error?: { message: string; errors: { reason: string }[] }
      schema: { fields: WireField[] }
      rows?: { f: { v: unknown }[] }[]
    }
    if (body.error) throw Object.assign(new Error(body.error.message), { errors: body.error.errors })
    return (body.rows ?? []).map((row) => body.schema.fields.map((field, at) => plain(field, row.f[at]?.v)))
  }
  return {
    part,
    data,
    client,
    rows,
    value: async (query, options) => {
      const found = await rows(query, options)
      if (found.length !== 1 || found[0]?.length !== 1) throw new Error(`not one value: ${JSON.stringify(found)}`)
      return found[0][0]
    },
    refusal: async (query, options) => {
      try {
        await rows(query, options)
      } catch (error) {
        const known = error as { message: string; errors?: { reason?: string; message?: string }[] }
        return `${known.errors?.[0]?.reason}: ${known.errors?.[0]?.message ?? known.message}`
      }
      throw new Error('the query was not refused')
    },
    stop: async () => {
      await part.stop()
      rmSync(data, { recursive: true, force: true })
    },
  }
}
