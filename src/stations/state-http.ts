/** Station 2 for HTTP: the request read strictly, matched to an operation, its body kept as far as it may be. */
import { base64, concatenated } from '../bytes.ts'
import { sha256HexOf } from '../digest.ts'
import type { Denied, HttpBody, HttpStatement, Stated } from '../exchange.ts'
import { asFailure, Failure } from '../failure.ts'
import type { BodyLimits, Body, HttpAsked, HttpConnection, Incoming, InForce, Unstated } from '../journey.ts'
import { orAbort } from '../runtime.ts'
import { unknownConnection } from '../unknown.ts'
import { readJson } from '../statement/http/json.ts'
import type { Operation } from '../statement/http/operations.ts'
import { readTarget, type Target } from '../statement/http/target.ts'

/** The exchange with its statement, or the denial that the operation alone brings about. Throws `target-refused`, `resource-unknown`. */
export function stateHttp(
  unstated: Unstated,
  asked: HttpAsked,
  { operations, forwardable, bodies }: HttpConnection,
  { policies }: InForce,
): Stated | Denied {
  const { method, bounds, body } = asked
  const target = readTarget(asked.target)
  if ('problem' in target) {
    throw new Failure('target-refused', target.problem, {
      where: `character ${target.at + 1}`,
      ...(target.fix !== undefined && { fix: target.fix }),
    })
  }
  // Whom no policy opens it to is not told what the API has.
  if (!policies.reaches(unstated.principal, unstated.connection)) throw unknownConnection(unstated.connection)
  const matched = operations.match(method, target.segments)
  if (matched === undefined) throw unknownOperation(method, operations.methodsOf(target.segments))
  const { operation, path } = matched
  const other = operations.otherCase(matched, target.segments)
  if (other !== undefined) {
    throw new Failure(
      'target-refused',
      `some servers take the path for \`${other}\`, for they mind no upper and lower case`,
    )
  }
  mustNameOnce(target.query, operation.parameters)
  const statement: HttpStatement = {
    language: 'http',
    kind: method,
    text: `${method} ${target.text}`,
    uses: [{ action: operation.action, resource: operation.resource }],
    operation: operation.resource,
    template: operation.template,
    target: target.text,
    path,
    query: target.query,
    headers: forwardable(asked.headers),
    ...(body !== undefined && { body: described(body, bodies.maxRecordedChars) }),
    bounds,
    masks: [],
  }
  const decision = policies.denyByName({ ...unstated, kind: method, uses: statement.uses })
  return decision === undefined
    ? { ...unstated, statement }
    : { ...unstated, statement, findings: [], decision, policy: policies.digest }
}

/** Some servers mind no upper and lower case in the names of parameters, and a condition about `limit` does: no name is said in two ways. */
function mustNameOnce(query: Target['query'], declared: Operation['parameters']): void {
  const known = declared.filter((parameter) => parameter.in === 'query').map((parameter) => parameter.name)
  const meant = new Map(known.map((name) => [name.toLowerCase(), name]))
  for (const [name] of query) {
    if (known.includes(name)) continue
    const other = meant.get(name.toLowerCase()) ?? name
    if (other !== name) {
      throw new Failure('target-refused', 'a parameter differs from another in nothing but upper and lower case', {
        where: name.slice(0, 64),
        ...(known.includes(other) && { fix: `write \`${other}\`` }),
      })
    }
    meant.set(name.toLowerCase(), name)
  }
}

function unknownOperation(method: string, methods: readonly string[]): Failure {
  return methods.length === 0
    ? new Failure('resource-unknown', 'the API has no such path', {
        fix: 'GET /v1/connections/{connection}/resources lists its operations',
      })
    : new Failure('method-not-allowed', `this path takes ${methods.join(', ')}, not ${method}`)
}

function described(body: Body, recorded: number): HttpBody {
  const { type } = body
  if ('stream' in body) return { type, ...(body.length !== undefined && { length: body.length }) }
  const { whole, digest } = body
  if (isJson(type) && !isUtf8(type)) {
    throw new Failure('unsupported-media-type', 'a JSON body is taken in UTF-8 alone', {
      fix: 'leave out the `charset`',
    })
  }
  const json = isJson(type) && whole.byteLength > 0 ? { json: jsonOf(whole) } : {}
  const excerpt = isText(type) ? { excerpt: excerptOf(whole, recorded) } : {}
  return { type, length: whole.byteLength, content: base64(whole), digest, ...excerpt, ...json }
}

function isText(type: string): boolean {
  return /^(?:text\/|application\/(?:[\w.+-]*json|x-www-form-urlencoded|graphql|xml|[\w.+-]+\+xml))/i.test(type)
}

/** Text as it was sent, up to so many characters. */
function excerptOf(bytes: Uint8Array, most: number): string {
  const text = new TextDecoder().decode(bytes)
  return text.length <= most ? text : `${text.slice(0, most)}… (cut: ${text.length} characters)`
}

function isJson(type: string): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type)
}

/** Whether a type names no other charset. Some servers read JSON in UTF-7 where it says so, and other members in it than we do. */
function isUtf8(type: string): boolean {
  const charsets = type.split(';').filter((part, i) => i > 0 && /charset/i.test(part))
  return charsets.every((part) => /^\s*charset\s*=\s*"?utf-?8"?\s*$/i.test(part))
}

/** Refused where the upstream might read something else in it than we do. */
function jsonOf(bytes: Uint8Array): unknown {
  let text: string
  try {
    // A byte order mark is no JSON (RFC 8259), though many readers skip it.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new Failure('bad-request', 'the body is not UTF-8', { cause })
  }
  const read = readJson(text)
  if ('value' in read) return read.value
  throw new Failure('bad-request', read.problem, { where: `character ${read.at + 1} of the body` })
}

/**
 * Reads a body as far as it may be kept: whole where it fits, else on its way, within its bound. Throws `body-too-large`;
 * so does the stream.
 */
export async function readIncoming(
  incoming: Incoming,
  { maxRequestBytes, maxKeptBytes }: BodyLimits,
  signal: AbortSignal,
): Promise<Body | undefined> {
  const { type, length } = incoming
  if (length !== undefined && length > maxRequestBytes) throw tooLarge(maxRequestBytes)
  const chunks = incoming.chunks[Symbol.asyncIterator]()
  const kept: Uint8Array[] = []
  let size = 0
  // What is declared too large to be kept is not waited for.
  const most = (length ?? 0) > maxKeptBytes ? -1 : maxKeptBytes
  while (size <= most) {
    const next = await orAbort(chunks.next(), signal).catch((cause: unknown) => {
      throw asFailure(cause, 'client-gone')
    })
    if (next.done === true) {
      const whole = concatenated(kept)
      return size === 0 && type === '' ? undefined : { type, whole, digest: await sha256HexOf(whole) }
    }
    kept.push(next.value)
    size += next.value.byteLength
    if (size > maxRequestBytes) throw tooLarge(maxRequestBytes)
  }
  return { type, stream: bounded(kept, size, chunks, maxRequestBytes), ...(length !== undefined && { length }) }
}

/** What was read already, and then the rest. */
async function* bounded(
  kept: readonly Uint8Array[],
  read: number,
  rest: AsyncIterator<Uint8Array>,
  most: number,
): AsyncGenerator<Uint8Array, void, void> {
  let size = read
  try {
    yield* kept
    for (;;) {
      const next = await rest.next().catch((cause: unknown) => {
        throw asFailure(cause, 'client-gone')
      })
      if (next.done === true) return
      size += next.value.byteLength
      if (size > most) throw tooLarge(most)
      yield next.value
    }
  } finally {
    await rest.return?.()
  }
}

function tooLarge(most: number): Failure {
  return new Failure('body-too-large', `the body is larger than ${most} bytes`)
}
