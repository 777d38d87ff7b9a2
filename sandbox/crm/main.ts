/** The sandbox's CRM: `node sandbox/crm/main.ts --port 9053 --data DIR`. It keeps nothing on disk. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { listen, partOptions, ready } from '../part.ts'
import { createCrm } from './app.ts'

const options = partOptions()

// It describes itself by its URL, which is known once it listens; nobody is told before it is ready.
let serve = (_request: IncomingMessage, response: ServerResponse): void => void response.writeHead(503).end()
const { server, url } = await listen((request, response) => serve(request, response), options.port)
const answer = getRequestListener(createCrm(url).fetch)
serve = (request, response) => {
  answer(request, response).catch(() => response.destroy())
}

ready('crm', url, () => {
  server.close()
  server.closeAllConnections()
})
