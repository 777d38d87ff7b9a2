/** A request in ClickHouse's HTTP dialect, taken apart: what is the statement, what are its settings, what is data. */
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { Transform, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { randomUUID } from 'node:crypto'
import { EngineError, literal } from './engine.ts'

export interface Asked {
  readonly id: string
  readonly sql: string
  /** `SET …` statements, in the order in which they must run. */
  readonly preparations: readonly string[]
  /** What to answer in where the statement does not say. */
  readonly format: string
  /** Answer only once all of it is known. */
  readonly whole: boolean
  readonly gzip: boolean
  /** Data of an INSERT, in a file of ours, with its length in bytes. */
  readonly data?: { readonly path: string; readonly bytes: number }
}

/** Longest statement, in bytes, and most data of one INSERT. */
const STATEMENT_BYTES = 16 * 1024 * 1024
const DATA_BYTES = 4 * 1024 * 1024 * 1024

/** Parameters that mean something to the HTTP interface and are no settings. */
const OURS: ReadonlySet<string> = new Set([
  'buffer_size',
  'close_session',
  'compress',
  'database',
  'decompress',
  'default_format',
  'password',
  'query',
  'query_id',
  'quota_key',
  'role',
  'session_check',
  'session_timeout',
  'stacktrace',
  'user',
  'wait_end_of_query',
])

/** Reads the whole request. Data of an INSERT goes to a file in `temporary`, which the caller MUST remove. */
export async function readAsked(request: IncomingMessage, temporary: string): Promise<Asked> {
  const url = new URL(request.url ?? '/', 'http://sandbox')
  const parameters = new Map(url.searchParams)
  if (parameters.has('session_id')) throw refused(48, 'sessions are not in the sandbox', 'NOT_IMPLEMENTED')
  const inUrl = parameters.get('query') ?? ''
  let sql = inUrl
  let data: Asked['data']
  if (request.headers['content-type']?.startsWith('multipart/form-data') === true) {
    sql = await readForm(request, parameters)
  } else if (isInsert(inUrl)) {
    data = await keepData(request, temporary)
  } else {
    sql = `${inUrl}${(await buffer(bounded(request, STATEMENT_BYTES))).toString('utf8')}`
  }
  return {
    id: parameters.get('query_id') ?? randomUUID(),
    sql: sql.trim(),
    preparations: preparations(parameters),
    format: header(request, 'x-clickhouse-format') ?? parameters.get('default_format') ?? 'TabSeparated',
    whole: parameters.get('wait_end_of_query') === '1',
    gzip:
      parameters.get('enable_http_compression') === '1' && /\bgzip\b/.test(header(request, 'accept-encoding') ?? ''),
    ...(data && { data }),
  }
}

export function isInsert(sql: string): boolean {
  return /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*insert\s/i.test(sql)
}

/** An error of ours in the engine's shape. */
export function refused(code: number, message: string, name: string): EngineError {
  return new EngineError(code, `Code: ${code}. DB::Exception: ${message}. (${name})`)
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/**
 * `readonly` comes last: nothing may be set after it. A parameter's value becomes a string literal of a `SET`, so it
 * never stands in the statement.
 */
function preparations(parameters: ReadonlyMap<string, string>): string[] {
  const database = parameters.get('database')
  const names = [...parameters.keys()].filter((name) => !OURS.has(name))
  for (const name of names) {
    if (!/^[A-Za-z_][A-Za-z0-9_.]*$/.test(name)) throw refused(115, `Unknown setting '${name}'`, 'UNKNOWN_SETTING')
  }
  const ordered = [...names.filter((name) => name !== 'readonly'), ...names.filter((name) => name === 'readonly')]
  return [
    ...(database === undefined ? [] : [`USE \`${database.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``]),
    ...ordered.map((name) => `SET ${name} = ${literal(parameters.get(name) ?? '')}`),
  ]
}

async function readForm(request: IncomingMessage, parameters: Map<string, string>): Promise<string> {
  const bytes = await buffer(bounded(request, STATEMENT_BYTES))
  const form = await new Response(bytes, {
    headers: { 'content-type': request.headers['content-type'] ?? '' },
  }).formData()
  for (const [name, value] of form) {
    if (typeof value === 'string' && (name.startsWith('param_') || name === 'query')) parameters.set(name, value)
  }
  return parameters.get('query') ?? ''
}

async function keepData(request: IncomingMessage, temporary: string): Promise<Asked['data']> {
  const path = join(temporary, randomUUID())
  const file = createWriteStream(path, { mode: 0o600, flags: 'wx' })
  try {
    await pipeline(bounded(request, DATA_BYTES), file)
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
  return { path, bytes: file.bytesWritten }
}

function bounded(request: IncomingMessage, most: number): Readable {
  let seen = 0
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length
      if (seen > most) done(refused(307, `the body is larger than ${most} bytes`, 'TOO_MANY_BYTES'))
      else done(null, chunk)
    },
  })
  const steps = [request, ...decoders(header(request, 'content-encoding')), counted] as const
  // What goes wrong in any step destroys the last one, which the caller reads.
  pipeline(steps).catch(() => undefined)
  return counted
}

function decoders(encoding: string | undefined): Transform[] {
  switch (encoding) {
    case undefined:
    case '':
    case 'identity':
      return []
    case 'gzip':
      return [createGunzip()]
    case 'deflate':
      return [createInflate()]
    case 'br':
      return [createBrotliDecompress()]
    case 'zstd':
      return [createZstdDecompress()]
    default:
      throw refused(89, `Unknown compression method ${encoding}`, 'UNKNOWN_COMPRESSION_METHOD')
  }
}
