/** A stand-in for BigQuery's API over HTTP that answers as it is told and remembers what it was asked. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Permitted } from '../../../../src/exchange.ts'
import { sqlStatement } from '../../../support/statement.ts'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: Record<string, string>
  readonly authorization: string | undefined
  readonly body: Record<string, unknown> | undefined
}

export type Said = { status?: number; body: unknown } | 'hang' | 'break'

export interface Fake {
  readonly url: string
  readonly asked: Asked[]
  close(): Promise<void>
}

/** `answer` says what comes back, by request and how many requests to the same method and path came before it. */
export async function fakeBigQuery(answer: (asked: Asked, before: number) => Said | Promise<Said>): Promise<Fake> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? '/', 'http://fake')
      const body = await text(request)
      const one: Asked = {
        method: request.method ?? '',
        path: url.pathname.replace('/bigquery/v2/projects/p', ''),
        authorization: request.headers.authorization,
        query: Object.fromEntries(url.searchParams),
        body: body.startsWith('{') ? (JSON.parse(body) as Record<string, unknown>) : undefined,
      }
      const before = asked.filter(({ method, path }) => method === one.method && path === one.path).length
      asked.push(one)
      const said = await answer(one, before)
      if (said === 'hang') return
      if (said === 'break') return void request.socket.destroy()
      response.writeHead(said.status ?? 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(said.body))
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function text(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  return body
}

export function refusal(status: number, reason: string, message: string): Said {
  return { status, body: { error: { code: status, message, errors: [{ reason, message, domain: 'global' }] } } }
}

export const ID = '01890a5d-ac96-774b-bcce-b302099a8057'
export const JOB = 'sluice_01890a5dac96774bbcceb302099a8057'

export function permitted(over: Partial<Permitted> = {}): Permitted {
  return {
    id: ID,
    receivedAt: 0,
    surface: 'query',
    principal: { issuer: 'dev', subject: 'agent', kind: 'agent', plane: 'agents', groups: ['analyst-agents'] },
    connection: 'warehouse',
    statement: sqlStatement(),
    findings: [],
    decision: { effect: 'permit', reasons: [], obligations: [] },
    policy: 'sha256:0',
    ...over,
  }
}
