/** Questions to the audit store that an export asks: each bounded in time, memory and the size of its answer. */
import type * as z from 'zod'
import { concatenated } from '../../bytes.ts'
import { Failure } from '../../failure.ts'
import type { ClickHouse } from '../reader/contract.ts'

/** What an export is of. */
export interface Span {
  /** Milliseconds since 1970 UTC. */
  readonly from: number
  /** Exclusive. */
  readonly to: number
  /** Absent: of all connections. */
  readonly connections?: readonly string[]
}

export type Parameters = Readonly<Record<string, string | number>>

export interface StoreLimits {
  /** For one question. */
  readonly seconds: number
  readonly memoryBytes: number
  /** Above this a sort goes to the store's disk. */
  readonly sortBytes: number
}

export const STORE_LIMITS: StoreLimits = { seconds: 120, memoryBytes: 4 * 1024 ** 3, sortBytes: 512 * 1024 ** 2 }

/** Most bytes of an answer that is read as rows. */
const ROWS_BYTES = 64 * 1024 * 1024

/** Names of connections, as the configuration allows them: none holds what stands between them here. */
const CONNECTION = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

export class Store {
  readonly #client: Pick<ClickHouse, 'query'>
  readonly #settings: Readonly<Record<string, string | number>>
  readonly span: Span

  /** `client`'s own database MUST be the audit database. */
  constructor(client: Pick<ClickHouse, 'query'>, span: Span, limits: StoreLimits = STORE_LIMITS) {
    const { connections } = span
    // An empty list would be taken for the name of what has no connection.
    if (
      connections !== undefined &&
      (connections.length === 0 || !connections.every((name) => CONNECTION.test(name)))
    ) {
      throw new Failure('bad-request', 'a connection has no plain name, or there is none')
    }
    this.#client = client
    this.span = span
    this.#settings = {
      readonly: 1,
      max_execution_time: limits.seconds,
      timeout_overflow_mode: 'throw',
      max_memory_usage: limits.memoryBytes,
      max_bytes_before_external_sort: limits.sortBytes,
      output_format_json_quote_64bit_integers: 0,
      output_format_json_escape_forward_slashes: 0,
      date_time_output_format: 'iso',
    }
  }

  /** `events AS e` of the span, and nothing else: what every question is asked of. */
  get events(): string {
    return this.#source('ts >= {span_from} AND ts < {span_to}')
  }

  /** `events AS e` from before the span on, for what began earlier. */
  get eventsUntil(): string {
    return this.#source('ts < {span_to}')
  }

  /** `events AS e` from the span and after it, for what ended later. */
  get eventsFrom(): string {
    return this.#source('ts >= {span_from}')
  }

  #source(time: string): string {
    const bounds = time.replaceAll(
      /\{(span_from|span_to)\}/g,
      (_, name) => `fromUnixTimestamp64Milli({${name}:Int64}, 'UTC')`,
    )
    const scope = this.span.connections === undefined ? '' : " AND has(splitByChar(',', {scope:String}), connection)"
    return `(SELECT * FROM events WHERE ${bounds}${scope}) AS e`
  }

  #parameters(more: Parameters): Parameters {
    const { from, to, connections } = this.span
    return {
      span_from: Math.round(from),
      span_to: Math.round(to),
      ...(connections !== undefined && { scope: connections.join(',') }),
      ...more,
    }
  }

  /** The rows of an answer, each checked. Rejects where there are more than a few megabytes of them. */
  async rows<Row>(shape: z.ZodType<Row>, sql: string, params: Parameters, signal: AbortSignal): Promise<Row[]> {
    const bytes = await this.bytes(sql, params, 'JSONEachRow', ROWS_BYTES, signal)
    if (bytes === undefined) throw new Failure('upstream-refused', 'the answer is larger than an export takes')
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.split('\n').flatMap((line) => (line === '' ? [] : [shape.parse(JSON.parse(line))]))
  }

  /** The whole answer; `undefined` where it is larger than `most`. */
  async bytes(
    sql: string,
    params: Parameters,
    format: string,
    most: number,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const parts: Uint8Array[] = []
    let length = 0
    for await (const part of await this.stream(sql, params, format, signal)) {
      length += part.length
      if (length > most) return undefined
      parts.push(part)
    }
    return concatenated(parts) as Uint8Array<ArrayBuffer>
  }

  /** The answer as it comes. Leaving ends the question. */
  stream(sql: string, params: Parameters, format: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    return this.#client.query({ sql, params: this.#parameters(params), format, settings: this.#settings }, signal)
  }
}
