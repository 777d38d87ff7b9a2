/** An upstream made of bare sockets: it sees the bytes of a request, and answers whatever bytes a test likes. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { secret, values } from '../../../src/config/values.ts'
import { createRestClient } from '../../../src/connection/rest/client.node.ts'
import type { RestClient, RestReply, RestRequest } from '../../../src/connection/rest/contract.ts'
import { isUnsent } from '../../../src/connection/rest/failure.ts'
import type { Resolve } from '../../../src/connection/rest/guard.node.ts'
import { restOptions } from '../../../src/connection/rest/options.ts'
import { Failure } from '../../../src/failure.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { nodeHasher } from '../../support/hasher.ts'

/** Called once for each connection; `seen` resolves as soon as what came in holds `text`. */
export type Script = (
  socket: Socket,
  seen: (text: string) => Promise<string>,
  connection: number,
) => void | Promise<void>

export class RawUpstream implements AsyncDisposable {
  /** What came in, by connection, as latin-1. */
  readonly received: string[] = []
  /** Resolves when the connection of that number is closed. */
  readonly closed: Promise<void>[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(script: Script) {
    this.#server = createServer((socket) => {
      const number = this.received.push('') - 1
      this.#sockets.add(socket)
      socket.on('error', () => {})
      this.closed.push(new Promise((resolve) => socket.once('close', () => resolve())))
      let waiting: (() => void)[] = []
      socket.on('data', (chunk) => {
        this.received[number] += chunk.toString('latin1')
        for (const wake of waiting.splice(0)) wake()
      })
      const seen = async (text: string): Promise<string> => {
        while (!(this.received[number] ?? '').includes(text)) {
          await new Promise<void>((resolve) => waiting.push(resolve))
        }
        return this.received[number] ?? ''
      }
      void script(socket, seen, number)
    })
  }

  static async start(script: Script): Promise<RawUpstream> {
    const upstream = new RawUpstream(script)
    upstream.#server.listen(0, '127.0.0.1')
    await once(upstream.#server, 'listening')
    return upstream
  }

  /** Answers the first request of each connection with these bytes; `end` closes after them. */
  static async answering(answer: string | Uint8Array, end = false): Promise<RawUpstream> {
    return await RawUpstream.start(async (socket, seen) => {
      await seen('\r\n\r\n')
      if (end) socket.end(answer)
      else socket.write(answer)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

const SECRETS: Readonly<Record<string, string>> = { 'env:KEY': 'k3y-of-the-upstream', 'env:BLANK': 'two\r\nlines' }

/** A runtime whose secrets are those above. */
export function testRuntime(more: Partial<Runtime> = {}): Runtime {
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    newId: () => '',
    hasher: nodeHasher,
    secrets: {
      read: async (reference) => {
        const found = SECRETS[reference]
        if (found === undefined) throw new Failure('internal', `the secret \`${reference}\` is not set`)
        return found
      },
    },
    fetch: globalThis.fetch,
    log: () => {},
    background: () => {},
    ...more,
  }
}

/** A client of that port with these options beside the base URL. */
export function clientOf(
  port: number,
  options: Record<string, unknown> = {},
  { runtime = testRuntime(), resolve }: { runtime?: Runtime; resolve?: Resolve } = {},
): RestClient & AsyncDisposable {
  const parsed = restOptions({ ...values(() => undefined), secret }).parse({
    type: 'rest',
    baseUrl: `http://127.0.0.1:${port}`,
    credential: { type: 'none' },
    ...options,
  })
  const client = createRestClient('crm', parsed, runtime, resolve)
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() })
}

export const EXCHANGE = '0190a5e5-1111-7abc-8def-1234567890ab'

/** A request with these parts. */
export function request(parts: Partial<RestRequest> = {}): RestRequest {
  return {
    method: 'GET',
    target: '/customers/42?fields=name',
    headers: [],
    principal: { plane: 'agents', issuer: 'keys', subject: 'agent', groups: [] } as unknown as RestRequest['principal'],
    exchange: EXCHANGE,
    plain: true,
    ...parts,
  }
}

/** The whole body. */
export async function bytesOf(body: RestReply['body']): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Status and body, or the failure: its code, message and whether it is certain that nothing was sent. */
export async function outcome(client: RestClient, parts: Partial<RestRequest> = {}, signal?: AbortSignal) {
  let reply: RestReply | undefined
  try {
    reply = await client.send(request(parts), signal ?? new AbortController().signal)
    return { status: reply.status, body: (await bytesOf(reply.body)).toString('latin1') }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const at = reply === undefined ? 'head' : 'body'
    return { code: error.code, message: error.message, at, unsent: isUnsent(error) }
  }
}

/** A stream of these pieces. */
export async function* pieces(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? new TextEncoder().encode(part) : part
}
