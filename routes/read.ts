/** Reading requests: bodies within bounds, and what was wrong with them in words. */
import type { Context } from 'hono'
import type { z } from '@hono/zod-openapi'
import { asFailure, Failure } from '../src/failure.ts'
import { orAbort } from '../src/runtime.ts'

/**
 * A JSON body of `schema`, at most `mostBytes` long, that has come before `signal` aborts. An absent body reads as `{}`
 * where the schema takes that.
 */
export async function readBody<T extends z.ZodType>(
  c: Context,
  schema: T,
  mostBytes: number,
  signal: AbortSignal,
): Promise<z.output<T>> {
  const bytes = await readBytes(c, mostBytes, signal)
  if (bytes.byteLength > 0) checkType(c)
  const parsed = schema.safeParse(parseJson(bytes))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue?.path.map(String).join('.') ?? ''
  const got =
    issue?.code === 'unrecognized_keys' ? `unknown key \`${issue.keys.join('`, `')}\`` : (issue?.message ?? '')
  throw new Failure('bad-request', `${where === '' ? 'the body' : `\`${where}\``}: ${got.toLowerCase()}`, {
    ...(where !== '' && { where }),
    fix: 'GET /openapi.json describes the body',
  })
}

/** JSON in UTF-8, as it is: what is declared to be anything else is not guessed at. */
function checkType(c: Context): void {
  const [type, ...parameters] = (c.req.header('Content-Type') ?? '').split(';').map((part) => part.trim().toLowerCase())
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length)
  const encoding = c.req.header('Content-Encoding')?.trim().toLowerCase() ?? 'identity'
  const utf8 = charset === undefined || /^"?utf-?8"?$/.test(charset)
  if (type === 'application/json' && utf8 && encoding === 'identity') return
  const got = type === '' ? 'of no type' : type
  const what =
    encoding !== 'identity' ? `encoded as \`${encoding}\`` : `\`${utf8 ? got : `${got}; charset=${charset}`}\``
  throw new Failure('unsupported-media-type', `the body is ${what}`, {
    fix: 'send `Content-Type: application/json`, in UTF-8 and not compressed',
  })
}

/** A whole number of seconds of `Prefer: wait=N` or `?wait=N`, no more than `most`; 0 where there is none. */
export function readWait(text: string | undefined, most: number): number {
  if (text === undefined) return 0
  if (!/^\d{1,6}$/.test(text))
    throw new Failure('bad-request', `\`wait\` is whole seconds, not \`${text.slice(0, 20)}\``)
  return Math.min(Number(text), most) * 1000
}

/** `wait` of a `Prefer` header (RFC 7240); other preferences are let be. */
export function preferredWait(header: string | undefined, most: number): number {
  const wait = header
    ?.split(',')
    .map((preference) => preference.trim().split('=', 2))
    .find(([name]) => name?.trim().toLowerCase() === 'wait')
  return wait === undefined ? 0 : readWait(wait[1]?.trim(), most)
}

/** A printable key of 1 to 255 characters, or nothing. */
export function readIdempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(header)) {
    throw new Failure('bad-request', '`Idempotency-Key` takes 1 to 255 printable characters without spaces')
  }
  return header
}

async function readBytes(c: Context, mostBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const tooLarge = (): Failure =>
    new Failure('body-too-large', `the body is larger than ${mostBytes} bytes`, { fix: 'send a smaller statement' })
  if (Number(c.req.header('Content-Length') ?? 0) > mostBytes) throw tooLarge()
  const { body } = c.req.raw
  if (body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = body.getReader()
  for (;;) {
    const next = await orAbort(reader.read(), signal).catch((cause: unknown) => {
      // A body breaks off for one reason only: the connection is gone.
      throw asFailure(cause, 'client-gone')
    })
    if (next.done) break
    length += next.value.byteLength
    if (length > mostBytes) throw tooLarge()
    chunks.push(next.value)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

function parseJson(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) return {}
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    // The parser's own message quotes the body; it stays in the cause.
    throw new Failure('bad-request', 'the body is not JSON in UTF-8', { cause })
  }
}
