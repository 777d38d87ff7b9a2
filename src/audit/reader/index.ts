/**
 * Read-only SQL for auditors. ClickHouse parses the statement, we read its tree and allow what we know; then it runs
 * as it was parsed, read-only and within limits. Either lock alone would have to hold; both do.
 */
import { Failure } from '../../failure.ts'
import type { AuditAnswer, AuditQuery, AuditReader } from '../contract.ts'
import type { ClickHouse } from './contract.ts'
import { rowCounter, type RowCounter } from './count.ts'
import { createExchanges } from './exchanges.ts'
import { guard } from './guard.ts'
import { scopeOf } from './scope.ts'
import { textOf } from './text.ts'
import { parseTree } from './tree.ts'

export interface ReaderLimits {
  readonly seconds: number
  /** Of the answer. */
  readonly rows: number
  readonly bytes: number
  readonly memoryBytes: number
  readonly rowsRead: number
}

export const READER_LIMITS: ReaderLimits = {
  seconds: 30,
  rows: 1_000_000,
  bytes: 1024 ** 3,
  memoryBytes: 2 * 1024 ** 3,
  rowsRead: 1_000_000_000,
}

export interface ReaderOptions {
  readonly client: Pick<ClickHouse, 'query' | 'ping'>
  /** The audit database: the client's own, where names without a database resolve. */
  readonly database: string
  readonly limits?: Partial<ReaderLimits>
}

const FORMATS = {
  json: { name: 'JSON', contentType: 'application/json' },
  ndjson: { name: 'JSONEachRow', contentType: 'application/x-ndjson' },
  csv: { name: 'CSVWithNames', contentType: 'text/csv; charset=utf-8; header=present' },
  parquet: { name: 'Parquet', contentType: 'application/vnd.apache.parquet' },
} as const

const EXPLAIN = 'EXPLAIN AST '

/** Longest statement in characters, and most bytes of its tree. */
const MOST_TEXT = 100_000
const MOST_TREE = 8 * 1024 * 1024

/** Answers with `statement-refused` for what is not allowed and `upstream-refused` for what ClickHouse does not take. */
export function createReader({ client, database, limits }: ReaderOptions): AuditReader {
  const settings = settingsOf({ ...READER_LIMITS, ...limits })
  return {
    async query(request: AuditQuery, signal: AbortSignal): Promise<AuditAnswer> {
      const { sql, params, connections } = request
      plain(sql, connections !== undefined)
      const [tree, scope] = await Promise.all([
        explained(client, request, settings, signal),
        connections && scopeOf(client, database, connections, signal),
      ])
      guard(parseTree(tree), database, scope?.hidden)
      const { name, contentType } = FORMATS[request.format]
      const all = { ...settings, ...scope?.settings }
      const body = await client.query({ sql, params, format: name, settings: all }, signal)
      const counter = rowCounter(request.format)
      return { contentType, body: body.pipeThrough(counted(counter)), rows: () => counter.rows() }
    },
    ...createExchanges(client),
    ready: (signal) => client.ping(signal),
  }
}

/**
 * What is refused by its words alone, before ClickHouse reads it. A state of an aggregate that is made of bytes is for its
 * own servers to read, and a parameter of that type would be read before there is a tree to look at.
 */
function plain(sql: string, scoped: boolean): void {
  if (sql.length > MOST_TEXT) {
    throw new Failure('statement-refused', `the statement is longer than ${MOST_TEXT} characters`)
  }
  // Some readers stop there, others go on.
  if (sql.includes('\0')) throw new Failure('statement-refused', 'the statement holds a NUL')
  if (/aggregatefunction/i.test(sql)) {
    throw new Failure('statement-refused', 'states of aggregate functions are not allowed in audit queries')
  }
  if (scoped && /prewhere/i.test(sql)) {
    // Such a condition is asked of rows before they are filtered, and its errors tell what is in them.
    throw new Failure('statement-refused', 'the word `PREWHERE` is not allowed in your audit queries', {
      fix: 'use `WHERE`',
    })
  }
}

function counted(counter: RowCounter): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream(
    {
      transform(chunk, controller) {
        counter.push(chunk)
        controller.enqueue(chunk)
      },
    },
    { highWaterMark: 1 },
    { highWaterMark: 0 },
  )
}

function settingsOf(limits: ReaderLimits): Readonly<Record<string, string | number>> {
  return {
    readonly: 1,
    max_execution_time: limits.seconds,
    timeout_overflow_mode: 'throw',
    max_result_rows: limits.rows,
    max_result_bytes: limits.bytes,
    result_overflow_mode: 'throw',
    max_memory_usage: limits.memoryBytes,
    max_rows_to_read: limits.rowsRead,
    read_overflow_mode: 'throw',
    // A number beyond 2^53 stays what it is.
    output_format_json_quote_64bit_integers: 1,
  }
}

/** The text of the statement's tree, with the parameters that it will run with. */
async function explained(
  client: ReaderOptions['client'],
  { sql, params }: AuditQuery,
  settings: Readonly<Record<string, string | number>>,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await textOf(
      await client.query({ sql: `${EXPLAIN}${sql}`, params, format: 'TSVRaw', settings }, signal),
      MOST_TREE,
    )
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'upstream-refused') throw error
    const message = error.message.replaceAll(/position (\d+)/g, (_, at) => `position ${Number(at) - EXPLAIN.length}`)
    throw new Failure('statement-refused', message, { cause: error })
  }
}
