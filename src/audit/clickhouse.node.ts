/**
 * ClickHouse over HTTP through the official client. What goes wrong becomes a Failure here: `upstream-refused` where
 * the server did not like the statement, `upstream-late` and `upstream-failed` where it did not answer.
 */
import { Readable } from 'node:stream'
import { ClickHouseError, ClickHouseLogLevel, createClient, type ClickHouseClient } from '@clickhouse/client'
import { Failure } from '../failure.ts'
import type { ClickHouse, ClickHouseQuery } from './reader/contract.ts'
import { wholeOrBroken } from './reader/exception.ts'

export interface ClickHouseOptions {
  readonly url: string
  readonly username?: string
  readonly password?: string
  readonly database: string
  /** Milliseconds without an answer, or without progress of one, after which a request fails. */
  readonly requestTimeoutMs: number
}

/** Connections to ClickHouse at once. */
const MAX_CONNECTIONS = 10

/** Opens nothing yet: the first request connects. */
export function openClickHouse(options: ClickHouseOptions): ClickHouse {
  const client = createClient({
    url: options.url,
    username: options.username ?? 'default',
    password: options.password ?? '',
    database: options.database,
    request_timeout: options.requestTimeoutMs,
    max_open_connections: MAX_CONNECTIONS,
    // It would write statements, which may hold what must not be logged, to the console.
    log: { level: ClickHouseLogLevel.OFF },
    application: 'sluice',
  })
  return {
    insertRowBinary: (table, columns, bytes, token, signal) =>
      guarded(signal, () => insertRowBinary(client, table, columns, bytes, token, signal)),
    query: (request, signal) => guarded(signal, () => query(client, request, signal)),
    command: (sql, signal) =>
      guarded(signal, async () => {
        await client.command({ query: sql, ...(signal && { abort_signal: signal }) })
      }),
    ping: (signal) =>
      guarded(signal, async () => {
        const answer = await client.ping({ select: false, abort_signal: signal })
        if (!answer.success) throw answer.error
      }),
    close: () => client.close(),
  }
}

async function insertRowBinary(
  client: ClickHouseClient,
  table: string,
  columns: readonly string[],
  bytes: Uint8Array,
  token: string,
  signal: AbortSignal,
): Promise<void> {
  const { stream } = await client.exec({
    query: `INSERT INTO ${quoted(table)} (${columns.map(quoted).join(', ')}) FORMAT RowBinary`,
    values: Readable.from([bytes], { objectMode: false }),
    abort_signal: signal,
    // async_insert would answer before the rows are in a part, and would not see the token.
    clickhouse_settings: { async_insert: 0, wait_end_of_query: 1, insert_deduplication_token: token },
  })
  // Success is only what the whole answer says.
  for await (const _ of stream) signal.throwIfAborted()
}

async function query(
  client: ClickHouseClient,
  { sql, format, params, settings }: ClickHouseQuery,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  // `exec` sends the text as it is; the format travels beside it and never in it.
  const { stream, response_headers } = await client.exec({
    query: sql,
    abort_signal: signal,
    http_headers: { 'X-ClickHouse-Format': format },
    ...(params && { query_params: { ...params } }),
    clickhouse_settings: { ...settings, cancel_http_readonly_queries_on_client_close: 1 },
  })
  const tag = response_headers['x-clickhouse-exception-tag']
  const body = webStream(stream, signal)
  return typeof tag === 'string' ? body.pipeThrough(wholeOrBroken(tag)) : body
}

/** Pulls one chunk for each that is read; leaving or aborting destroys the connection, which ends the query. */
function webStream(stream: Readable, signal: AbortSignal): ReadableStream<Uint8Array> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array>
  const abort = (): void => {
    stream.destroy(new Failure('client-gone', 'the query was given up'))
  }
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  const done = (): void => signal.removeEventListener('abort', abort)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done: ended, value } = await chunks.next()
          if (ended !== true) return controller.enqueue(value)
          done()
          controller.close()
        } catch (error) {
          done()
          controller.error(asUpstream(error, signal))
        }
      },
      cancel() {
        done()
        stream.destroy()
      },
    },
    { highWaterMark: 0 },
  )
}

async function guarded<Value>(signal: AbortSignal | undefined, work: () => Promise<Value>): Promise<Value> {
  try {
    signal?.throwIfAborted()
    return await work()
  } catch (error) {
    throw asUpstream(error, signal)
  }
}

/**
 * By code, because the client reads an error's name out of its text and can be misled by it. These are the errors whose text
 * speaks of the statement, never of what is in a row.
 */
const ABOUT_THE_STATEMENT: Readonly<Record<string, string>> = {
  42: 'NUMBER_OF_ARGUMENTS_DOESNT_MATCH',
  43: 'ILLEGAL_TYPE_OF_ARGUMENT',
  46: 'UNKNOWN_FUNCTION',
  47: 'UNKNOWN_IDENTIFIER',
  50: 'UNKNOWN_TYPE',
  60: 'UNKNOWN_TABLE',
  62: 'SYNTAX_ERROR',
  63: 'UNKNOWN_AGGREGATE_FUNCTION',
  81: 'UNKNOWN_DATABASE',
  164: 'READONLY',
  179: 'MULTIPLE_EXPRESSIONS_FOR_ALIAS',
  184: 'ILLEGAL_AGGREGATION',
  207: 'AMBIGUOUS_IDENTIFIER',
  215: 'NOT_AN_AGGREGATE',
  352: 'AMBIGUOUS_COLUMN_NAME',
  386: 'NO_COMMON_TYPE',
  452: 'SETTING_CONSTRAINT_VIOLATION',
  456: 'UNKNOWN_QUERY_PARAMETER',
}

/** Errors that say which bound was met. */
const BOUNDS: Readonly<Record<string, string>> = {
  158: 'it reads more rows than a query may',
  159: 'it takes longer than a query may',
  160: 'it takes longer than a query may',
  241: 'it takes more memory than a query may',
  307: 'it reads more bytes than a query may',
  396: 'it answers with more than a query may',
}

/** Longest text of the server's that is passed on. */
const MESSAGE_CHARACTERS = 500

function asUpstream(error: unknown, signal: AbortSignal | undefined): Failure {
  if (error instanceof Failure) return error
  if (error instanceof ClickHouseError) return refusal(error)
  if (signal?.aborted === true) {
    const late = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
    return late
      ? new Failure('upstream-late', 'ClickHouse did not answer in time', { cause: error })
      : new Failure('client-gone', 'the query was given up', { cause: error })
  }
  if (error instanceof Error && /timeout/i.test(error.message)) {
    return new Failure('upstream-late', 'ClickHouse did not answer in time', { cause: error })
  }
  return new Failure('upstream-failed', 'ClickHouse did not answer', { cause: error })
}

/** The server's own words may quote row values, so only those that cannot are repeated. */
function refusal(error: ClickHouseError): Failure {
  const bound = BOUNDS[error.code]
  if (bound !== undefined) {
    return new Failure('upstream-refused', bound, { cause: error, fix: 'ask for a shorter time or fewer columns' })
  }
  const name = ABOUT_THE_STATEMENT[error.code]
  if (name === undefined) {
    return new Failure('upstream-refused', `ClickHouse refused it with code ${error.code}`, { cause: error })
  }
  const words = error.message.slice(0, MESSAGE_CHARACTERS).trim()
  return new Failure('upstream-refused', `ClickHouse refused it with \`${name}\`: ${words}`, { cause: error })
}

/** A ClickHouse identifier, or several with dots between. */
function quoted(name: string): string {
  return name
    .split('.')
    .map((part) => `\`${part.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``)
    .join('.')
}
