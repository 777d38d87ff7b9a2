/** What a SIEM is to us: a syslog receiver over TLS and an HTTPS endpoint, each with moods. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { Agent, fetch as undiciFetch } from 'undici'
import { onTestFinished } from 'vitest'
import type { OcsfEvent } from '../../../../src/audit/siem/ocsf.ts'

/** What `tls/make.sh` made. */
const pem = (name: string): string => readFileSync(join(import.meta.dirname, 'tls', name), 'utf8')

export const CA = pem('ca.pem')
/** By which a receiver may know the gateway. */
export const CLIENT = { cert: pem('sluice.pem'), key: pem('sluice.key') }
const keys = { key: pem('siem.key'), cert: pem('siem.pem') }

/** One syslog message, taken apart as RFC 5424 writes it. */
export interface SyslogMessage {
  readonly priority: number
  readonly timestamp: string
  readonly host: string
  readonly app: string
  readonly process: string
  readonly id: string
  readonly data: string
  readonly event: OcsfEvent
}

const MESSAGE =
  /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) ((?:\[[!-~]+(?: [!-~]+="(?:[^"\\\]]|\\["\\\]])*")*\])+) ([ -~]*)$/

export function parseMessage(text: string): SyslogMessage {
  const [, priority, timestamp, host, app, process, id, data, event] = MESSAGE.exec(text) ?? []
  if (event === undefined) throw new Error(`no message of RFC 5424: ${text.slice(0, 200)}`)
  return {
    priority: Number(priority),
    timestamp: timestamp!,
    host: host!,
    app: app!,
    process: process!,
    id: id!,
    data: data!,
    event: JSON.parse(event) as OcsfEvent,
  }
}

/** The messages of a stream framed by octet counting; what is left of a frame that has not come whole. */
export function unframe(bytes: Buffer): { readonly messages: readonly string[]; readonly rest: Buffer } {
  const messages: string[] = []
  let at = 0
  for (;;) {
    const blank = bytes.indexOf(0x20, at)
    if (blank === -1) break
    const length = bytes.toString('latin1', at, blank)
    if (!/^[1-9]\d{0,8}$/.test(length)) throw new Error(`no length: ${length.slice(0, 20)}`)
    const end = blank + 1 + Number(length)
    if (end > bytes.length) break
    messages.push(bytes.toString('utf8', blank + 1, end))
    at = end
  }
  return { messages, rest: bytes.subarray(at) }
}

/** A syslog receiver. It keeps what it read of connections that came to their end. */
export class SyslogReceiver {
  readonly messages: SyslogMessage[] = []
  connections = 0
  port = 0
  /** Does something else with a connection than to read it to its end; `n` counts from 1. */
  mood: ((socket: Socket, n: number) => 'usual' | undefined) | undefined
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()
  readonly #secure: boolean
  readonly #asking: boolean

  private constructor(secure: boolean, asking: boolean) {
    this.#secure = secure
    this.#asking = asking
  }

  /** `asking`: whoever cannot prove who it is is told nothing. */
  static async open({ secure = true, asking = false, port = 0 } = {}): Promise<SyslogReceiver> {
    const receiver = new SyslogReceiver(secure, asking)
    await receiver.listen(port)
    onTestFinished(() => receiver.close())
    return receiver
  }

  get address(): string {
    return `localhost:${this.port}`
  }

  get sequences(): readonly number[] {
    return this.messages.map(({ event }) => event.metadata.sequence)
  }

  async listen(port = this.port): Promise<void> {
    const take = (socket: Socket): void => this.#take(socket)
    this.#server = this.#secure
      ? createTlsServer({ ...keys, ...(this.#asking && { ca: CA, requestCert: true }), allowHalfOpen: true }, take).on(
          'tlsClientError',
          () => {},
        )
      : createTcpServer({ allowHalfOpen: true }, take)
    // Also those that never come to be secure.
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    this.#server.listen(port, 'localhost')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #take(socket: Socket): void {
    this.connections++
    socket.on('error', () => {})
    if (this.mood !== undefined && this.mood(socket, this.connections) !== 'usual') return
    const pieces: Buffer[] = []
    socket.on('data', (piece: Buffer) => pieces.push(piece))
    socket.on('end', () => {
      const { messages, rest } = unframe(Buffer.concat(pieces))
      if (rest.length > 0) throw new Error('a frame was cut')
      this.messages.push(...messages.map(parseMessage))
      socket.end()
    })
  }
}

export interface Posted {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What a SIEM answers; `undefined`: 200. */
export type Mood = (
  posted: Posted,
) => { readonly status: number; readonly headers?: Readonly<Record<string, string>> } | 'silence' | undefined

/** An HTTPS endpoint. It keeps what it answered with 200. */
export class HttpsReceiver {
  readonly taken: Posted[] = []
  readonly asked: Posted[] = []
  mood: Mood | undefined
  url = ''
  readonly #server: Server
  /** Trusts the authority of the tests and nobody else. */
  readonly fetch: typeof globalThis.fetch

  private constructor() {
    this.#server = createHttpsServer(keys, (request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        const posted = { headers: request.headers, body: Buffer.concat(pieces).toString('utf8') }
        this.asked.push(posted)
        const answer = this.mood?.(posted)
        if (answer === 'silence') return
        if (answer === undefined) this.taken.push(posted)
        response.writeHead(answer?.status ?? 200, answer?.headers).end('{"took":1}')
      })
    })
    const dispatcher = new Agent({ connect: { ca: CA } })
    onTestFinished(() => dispatcher.destroy())
    this.fetch = ((input: string | URL, init?: RequestInit) =>
      undiciFetch(input, { ...(init as object), dispatcher })) as unknown as typeof globalThis.fetch
  }

  static async open(): Promise<HttpsReceiver> {
    const receiver = new HttpsReceiver()
    receiver.#server.listen(0, 'localhost')
    await once(receiver.#server, 'listening')
    receiver.url = `https://localhost:${(receiver.#server.address() as AddressInfo).port}/ingest?source=sluice`
    onTestFinished(() => receiver.close())
    return receiver
  }

  /** Of NDJSON. */
  get events(): readonly OcsfEvent[] {
    return this.taken.flatMap(({ body }) =>
      body
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as OcsfEvent),
    )
  }

  get sequences(): readonly number[] {
    return this.events.map(({ metadata }) => metadata.sequence)
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    ;(this.#server as unknown as { closeAllConnections(): void }).closeAllConnections()
    await closed
  }
}
