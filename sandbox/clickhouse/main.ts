/**
 * The sandbox's ClickHouse: its HTTP interface over chDB, good enough for the official client. Loopback only; any user
 * and password is let in.
 *
 * `node sandbox/clickhouse/main.ts --port 9051 --data DIR`
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { listen, partOptions, ready } from '../part.ts'
import { Engine } from './engine.ts'
import { Server } from './serve.ts'

const options = partOptions()
const temporary = join(resolve(options.data), 'incoming')

const engine = await Engine.open(resolve(options.data))
// Left by a process that was killed. Only now: before, another process could still be at work here.
rmSync(temporary, { recursive: true, force: true })
mkdirSync(temporary, { recursive: true, mode: 0o700 })
const clickhouse = new Server(engine, temporary)

const { server, url } = await listen((request, response) => {
  route(request, response).catch((error: unknown) => {
    console.error('clickhouse:', error)
    response.destroy()
  })
}, options.port)
// Longer than clients keep an idle connection.
server.keepAliveTimeout = 10_000

async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, host } = new URL(request.url ?? '/', `http://${request.headers.host ?? 'nowhere'}`)
  // A web page that points its own name at 127.0.0.1 would otherwise run SQL.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)) return void response.writeHead(421).end()
  if (pathname === '/ping' || (pathname === '/' && request.method === 'GET' && !request.url?.includes('?'))) {
    return void response.writeHead(200, { 'Content-Type': 'text/plain; charset=UTF-8' }).end('Ok.\n')
  }
  if (pathname !== '/') return void response.writeHead(404).end('There is no handle for it\n')
  await clickhouse.serve(request, response)
}

ready('clickhouse', url, async () => {
  server.close()
  server.closeAllConnections()
  await engine.close()
})
