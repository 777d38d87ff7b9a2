/** What the audit folder asks of ClickHouse: little enough that Node's client, the edge's and a test's all give it. */

export interface ClickHouse {
  /**
   * Inserts `bytes`, whole rows of RowBinary in the order of `columns`. `token` makes a repeat of the same bytes a
   * no-op. Resolves when the server has taken them.
   */
  insertRowBinary(
    table: string,
    columns: readonly string[],
    bytes: Uint8Array,
    token: string,
    signal: AbortSignal,
  ): Promise<void>
  /** Runs one statement, exactly as written, and streams its answer. Aborting `signal`, or cancelling the stream, ends it. */
  query(request: ClickHouseQuery, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>
  /** Runs a statement that answers nothing. */
  command(sql: string, signal?: AbortSignal): Promise<void>
  ping(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface ClickHouseQuery {
  readonly sql: string
  /** For a statement that names no format of its own: `JSON`, `JSONEachRow`, `RowBinary`, `TSVRaw`, … */
  readonly format: string
  /** For `{name:Type}` in the text. */
  readonly params?: Readonly<Record<string, string | number | boolean | null>>
  readonly settings?: Readonly<Record<string, string | number>>
}
