/**
 * What every part of the sandbox has in common: a process of its own on the loopback interface, started with
 * `node sandbox/<part>/main.ts --port 0 --data DIR`, that prints one JSON line when it is ready and ends with its parent.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'

export interface PartOptions {
  /** 0 picks a free one. */
  readonly port: number
  /** A folder of the part's own, made if it is not there. */
  readonly data: string
}

/** Reads `--port` and `--data`; the folder is made. */
export function partOptions(): PartOptions {
  const { values } = parseArgs({
    options: { port: { type: 'string', default: '0' }, data: { type: 'string', default: '.sluice/sandbox' } },
  })
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`--port takes 0 to 65535, not ${values.port}`)
  mkdirSync(values.data, { recursive: true, mode: 0o700 })
  return { port, data: values.data }
}

/** Listens on 127.0.0.1 and resolves with the server and its base URL. */
export async function listen(listener: RequestListener, port: number): Promise<{ server: Server; url: string }> {
  const server = createServer(listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/**
 * Says that the part is ready and runs `stop` once, at SIGTERM, SIGINT or when standard input ends: a part whose parent
 * was killed has nobody left to serve.
 */
export function ready(part: string, url: string, stop: () => Promise<void> | void): void {
  let stopping = false
  const end = (): void => {
    if (stopping) return
    stopping = true
    Promise.resolve(stop()).then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  process.stdin.on('end', end).on('error', end).resume()
  process.stdout.write(`${JSON.stringify({ part, url })}\n`)
}
