/** The least that a proxy can do: undici.stream from the upstream in the first argument into the answer. Prints its URL. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'

const pool = new Pool(process.argv[2] ?? '', { connections: 64 })
const server = createServer((request, response) => {
  const { method = 'GET', url: path = '/' } = request
  pool
    .stream({ method, path, opaque: response }, ({ statusCode, headers, opaque }) => {
      opaque.writeHead(statusCode, headers as Record<string, string>)
      return opaque
    })
    .catch(() => response.destroy())
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
