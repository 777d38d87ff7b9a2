/**
 * The REST client over undici: one pool of connections to one origin. What is sent is made here, header by header; what
 * comes back passes a list. Nothing is followed, nothing is cached, and nothing is sent twice that may have arrived.
 */
import { buildConnector, Pool, type Dispatcher } from 'undici'
import { Failure } from '../../failure.ts'
import type { Runtime } from '../../runtime.ts'
import type { RestClient, RestReply, RestRequest } from './contract.ts'
import { createCredential, type Proof } from './credential.ts'
import { decoderFor } from './decode.node.ts'
import { RestFailure } from './failure.ts'
import { ForbiddenAddress, guardedLookup, type Resolve } from './guard.node.ts'
import {
  forwardable,
  headerRules,
  linkFor,
  locationFor,
  mediaTypeOf,
  returnable,
  type Header,
  type Mount,
} from './headers.ts'
import { Incoming, type Head } from './incoming.node.ts'
import { baseUrlOf, type RestOptions } from './options.ts'
import { Slots } from './slots.ts'
import { outgoing, tooLarge, type Outgoing } from './outgoing.ts'

/** Most bytes of an answer's headers, trailers included. */
const MAX_HEADER_BYTES = 32_768
/** Methods that may be sent again when nothing of them went out. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
/** Not `deflate`, though it is undone: half of the servers mean another format by it. */
const ENCODINGS = 'gzip, br, zstd'

/** The connection `name`. Throws `internal` where its options cannot be meant; `resolve` stands in for the system's resolver. */
export function createRestClient(name: string, options: RestOptions, runtime: Runtime, resolve?: Resolve): RestClient {
  const base = baseUrlOf(options.baseUrl)
  if (base === undefined) throw new Failure('internal', `the \`baseUrl\` of the connection \`${name}\` is no base URL`)
  const rules = headerRules(options.headers)
  const credential = createCredential(options.credential, runtime)
  const mount: Mount = {
    base,
    at: `/proxy/${name}`,
    elsewhere: options.redirects,
    ...(credential.parameter === undefined ? {} : { secretParameter: credential.parameter }),
  }
  const connect = connectorOf(options, runtime, resolve)
  const pool = new Pool(base.origin, {
    connect,
    connections: options.pool.connections,
    pipelining: 1,
    allowH2: false,
    useMilo: false,
    strictContentLength: true,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: options.timeouts.headers,
    bodyTimeout: options.timeouts.body,
    keepAliveTimeout: options.timeouts.keepAlive,
    keepAliveMaxTimeout: options.timeouts.keepAlive,
  })
  const slots = new Slots(options.pool.connections, options.pool.waiting)
  const root = base.pathname.replace(/\/$/, '')

  /** Sends it once; resolves with the head of the answer. The connection has to be open by `deadline`. */
  const attempt = async (
    request: Dispatcher.DispatchOptions,
    body: Outgoing | undefined,
    signal: AbortSignal,
    deadline: number,
  ) => {
    const left = (): number => Math.max(1, deadline - runtime.clock.monotonic())
    let release: () => void
    try {
      release = await slots.take(left(), signal)
    } catch (error) {
      body?.stop()
      throw error instanceof Failure ? error : abandoned(signal, true)
    }
    const gaveUp = (): void => incoming.abort(abandoned(signal, !incoming.started))
    const incoming: Incoming = new Incoming({
      started: () => clearTimeout(timer),
      done: () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', gaveUp)
        body?.stop()
      },
      // Not before: what undici still holds takes its place.
      released: release,
      failure: (cause) => failureOf(cause, !incoming.started),
      most: options.maxResponseBytes,
      tooLong,
    })
    const timer = setTimeout(
      () => incoming.abort(new RestFailure('upstream-late', 'no connection to the upstream in time', true)),
      left(),
    )
    signal.addEventListener('abort', gaveUp, { once: true })
    if (signal.aborted) {
      gaveUp()
      release()
    } else pool.dispatch(request, incoming)
    return { incoming, head: await incoming.head }
  }

  return {
    async send(request, signal) {
      const target = targetOf(request)
      const proof = await proofOf(signal)
      const headers = headersOf(request, proof)
      const sending: Dispatcher.DispatchOptions = {
        method: request.method,
        path: root + withParameter(target, proof),
        headers: headers.flat(),
      }
      const deadline = runtime.clock.monotonic() + options.timeouts.connect
      const { incoming, head } = await attemptTwice(sending, request, signal, deadline)
      if (head.status === 401) credential.refused(proof)
      try {
        return replyOf(request, head, incoming, proof)
      } catch (error) {
        incoming.abort(error)
        throw failureOf(error, false)
      }
    },

    async ready(signal) {
      signal.throwIfAborted()
      await new Promise<void>((done, fail) => {
        const { hostname, host, protocol, port } = base
        connect({ hostname: bare(hostname), host, protocol, port }, (error, socket) => {
          if (error !== null) return fail(failureOf(error, true))
          socket.destroy()
          done()
        })
        signal.addEventListener('abort', () => fail(abandoned(signal, true)), { once: true })
      })
    },

    close: () => pool.destroy(),
  }

  async function attemptTwice(
    sending: Dispatcher.DispatchOptions,
    request: RestRequest,
    signal: AbortSignal,
    deadline: number,
  ): Promise<{ readonly incoming: Incoming; readonly head: Head }> {
    const body = bodyOf(request, options.maxRequestBytes)
    const whole = { ...sending, ...(body === undefined ? {} : { body: 'stop' in body ? body.body : body }) }
    const streamed = body !== undefined && 'stop' in body ? body : undefined
    try {
      return await attempt(whole as Dispatcher.DispatchOptions, streamed, signal, deadline)
    } catch (error) {
      if (streamed !== undefined || !isWorthAnother(error, request.method)) throw error
      if (signal.aborted || runtime.clock.monotonic() >= deadline) throw error
      return await attempt(whole as Dispatcher.DispatchOptions, undefined, signal, deadline)
    }
  }

  async function proofOf(signal: AbortSignal): Promise<Proof> {
    try {
      return await credential.prove(signal)
    } catch (error) {
      if (signal.aborted) throw abandoned(signal, true)
      throw error
    }
  }

  function targetOf({ method, target }: RestRequest): string {
    if (!/^[A-Z]{1,32}$/.test(method) || method === 'CONNECT' || method === 'TRACE') {
      throw new RestFailure('method-not-allowed', 'the method is not sent to an upstream', true)
    }
    // Judged before; looked at once more, for this is the last place before the wire.
    if (!/^\/[!-~]*$/.test(target) || /[#\\]/.test(target) || /\/\.\.?(?:[/?]|$)/.test(target.replace(/\?.*/, '?'))) {
      throw new RestFailure('bad-request', 'the target could be read in more than one way', true)
    }
    const name = credential.parameter
    if (name === undefined) return target
    const asked = new URLSearchParams(target.slice(target.indexOf('?') + 1 || target.length))
    // Of two keys servers choose as they like; ours is to count.
    if ([...asked.keys()].some((key) => key.toLowerCase() === name.toLowerCase())) {
      throw new RestFailure('parameter-refused', `the parameter \`${name}\` is the gateway's to set`, true)
    }
    return target
  }

  function headersOf(request: RestRequest, proof: Proof): readonly Header[] {
    const own = proof.header
    const { length } = request.body instanceof Uint8Array ? { length: undefined } : (request.body ?? {})
    const trace = request.exchange.replaceAll('-', '')
    return [
      ...forwardable(request.headers, rules).filter(
        ([name]) => name !== own?.[0] && !(request.plain && (name === 'range' || name === 'if-range')),
      ),
      ['user-agent', 'sluice'],
      ['accept-encoding', request.plain ? 'identity' : ENCODINGS],
      ['via', '1.1 sluice'],
      ['x-request-id', request.exchange],
      ...(/^[0-9a-f]{32}$/.test(trace) ? [['traceparent', `00-${trace}-${trace.slice(16)}-01`] as const] : []),
      ...(own === undefined ? [] : [own]),
      ...(length === undefined || length === 0 ? [] : [['content-length', String(length)] as const]),
    ]
  }

  function replyOf(request: RestRequest, head: Head, incoming: Incoming, proof: Proof): RestReply {
    const { status, headers } = head
    const all = (name: string): readonly string[] => headers.filter(([key]) => key === name).map(([, value]) => value)
    if (status > 599) throw broken('the upstream answered with no status of HTTP')
    if (all('transfer-encoding').some((value) => value.toLowerCase() !== 'chunked')) {
      throw broken('the upstream answered in a transfer coding that is not understood')
    }
    if (all('content-type').length > 1) throw broken('the upstream answered with two content types')
    const asksRange = request.headers.some(([name]) => name === 'range')
    if (status === 206 && (request.plain || !asksRange)) throw broken('the upstream answered a part of what was asked')
    const bodiless = request.method === 'HEAD' || status === 204 || status === 304
    const encoding = all('content-encoding').join(',')
    const decode = bodiless ? undefined : decoderFor(encoding)
    const declared = all('content-length')[0]
    if (!bodiless && declared !== undefined && Number(declared) > options.maxResponseBytes) throw tooLong()
    const { type, charset } = mediaTypeOf(all('content-type')[0] ?? '')
    const isPlain = encoding === '' || encoding.toLowerCase() === 'identity'
    return {
      status,
      headers: headersBack(headers, request.target, proof),
      contentType: type,
      ...(charset === undefined ? {} : { charset }),
      ...(declared === undefined || !isPlain ? {} : { length: Number(declared) }),
      body: decode === undefined ? incoming : readOnce(bounded(decode(incoming), options.maxResponseBytes), incoming),
    }
  }

  function headersBack(headers: readonly Header[], target: string, proof: Proof): readonly Header[] {
    const back: Header[] = []
    for (const [name, value] of returnable(headers, rules)) {
      const shown =
        name === 'location'
          ? locationFor(value, target, mount)
          : name === 'link'
            ? linkFor(value, target, mount)
            : value
      // An upstream that repeats the credential it was sent repeats it to nobody else.
      if (shown === undefined || repeats(shown, proof)) continue
      back.push([name, shown])
    }
    return back
  }
}

/** Shorter ones are found in any text. */
const LEAST_SECRET = 8

function repeats(text: string, { secrets }: Proof): boolean {
  return secrets.some((secret) => secret.length >= LEAST_SECRET && text.includes(secret))
}

/** A target with the parameter that proves us. */
function withParameter(target: string, { parameter }: Proof): string {
  if (parameter === undefined) return target
  const mark = target.includes('?') ? (/[?&]$/.test(target) ? '' : '&') : '?'
  return `${target}${mark}${encodeURIComponent(parameter[0])}=${encodeURIComponent(parameter[1])}`
}

function bodyOf(request: RestRequest, most: number): Uint8Array | Outgoing | undefined {
  const { body } = request
  if (body === undefined) return undefined
  const length = body instanceof Uint8Array ? body.length : body.length
  if (length !== undefined && length > most) throw tooLarge(most, true)
  if (body instanceof Uint8Array) return body
  return outgoing(body.stream, most)
}

function isWorthAnother(error: unknown, method: string): boolean {
  return error instanceof RestFailure && error.unsent && error.code === 'upstream-failed' && IDEMPOTENT.has(method)
}

/** The address of a host in a URL: without the brackets of IPv6. */
function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

/** Connects to what the guard lets pass. Certificates and keys are read when they are first needed, and then kept. */
function connectorOf(options: RestOptions, runtime: Runtime, resolve: Resolve | undefined): buildConnector.connector {
  const { tls, timeouts } = options
  const lookup = guardedLookup(options.allowPrivate, resolve)
  let made: Promise<buildConnector.connector> | undefined
  const make = async (): Promise<buildConnector.connector> => {
    const read = async (reference: string | undefined) =>
      reference === undefined ? undefined : await runtime.secrets.read(reference)
    const [ca, cert, key] = await Promise.all([read(tls?.ca), read(tls?.cert), read(tls?.key)])
    return buildConnector({
      allowH2: false,
      timeout: timeouts.connect,
      lookup,
      // Said, so that no variable of the environment says otherwise.
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(tls?.servername === undefined ? {} : { servername: tls.servername }),
    })
  }
  return (target, callback) => {
    made ??= make()
    made.then(
      (connect) => connect(target, callback),
      (cause: unknown) => {
        made = undefined
        callback(new RestFailure('upstream-refused', 'the keys of the connection cannot be had', true, { cause }), null)
      },
    )
  }
}

/** Returning before the first piece closes the connection too: a generator that never began would not notice. */
function readOnce(body: AsyncGenerator<Uint8Array>, incoming: Incoming): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => body.next(),
      return: async () => {
        incoming.abort(new Error('the answer was not read to its end'))
        return await body.return(undefined)
      },
    }),
  }
}

async function* bounded(source: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Uint8Array> {
  let length = 0
  for await (const chunk of source) {
    length += chunk.length
    if (length > most) throw tooLong()
    yield chunk
  }
}

function tooLong(): RestFailure {
  return broken('the answer of the upstream is longer than it may be')
}

function broken(message: string): RestFailure {
  return new RestFailure('upstream-failed', message, false)
}

/** Why we stopped waiting: our deadline, or the reader's leaving. */
function abandoned(signal: AbortSignal, unsent: boolean): Failure {
  const reason: unknown = signal.reason
  if (reason instanceof Failure) return reason
  const late = reason instanceof Error && reason.name === 'TimeoutError'
  return late
    ? new RestFailure('upstream-late', 'the upstream did not answer in time', unsent)
    : new RestFailure('client-gone', 'the client closed the request', unsent)
}

const LATE = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'])

/** What broke, in our words: those of others may quote what was sent. */
function failureOf(error: unknown, unsent: boolean): Failure {
  if (error instanceof Failure) return error
  if (error instanceof ForbiddenAddress) {
    return new RestFailure('upstream-refused', 'the address of the upstream is not one that may be reached', true, {
      cause: error,
      fix: 'tell the operator: a name resolves to an address that is not public, and `allowPrivate` is not set',
    })
  }
  const code = (error as { readonly code?: unknown } | null)?.code
  if (typeof code === 'string' && LATE.has(code)) {
    return new RestFailure('upstream-late', 'the upstream did not answer in time', unsent, { cause: error })
  }
  return new RestFailure('upstream-failed', unsent ? 'the upstream cannot be reached' : 'the upstream failed', unsent, {
    cause: error,
  })
}
