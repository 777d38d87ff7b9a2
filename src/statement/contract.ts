/** What the gateway asks of statement analysis. */
import type { Bounds, Feature, Parameter, SqlStatement, Table, TablePath, ResourceUse } from '../exchange.ts'

/** Where unqualified names resolve. */
export interface Defaults {
  readonly project: string
  readonly dataset?: string
}

/** The schemas that analysis needs, which the catalog happens to satisfy. */
export interface Schemas {
  /** `undefined` where there is no such table. Rejects when the warehouse cannot be asked. */
  table(path: TablePath, signal: AbortSignal): Promise<Table | undefined>
  /** Resources that the writer may read, for whoever mistyped one: the likeliest first. Absent: none are told. Never rejects. */
  like?(path: TablePath, signal: AbortSignal): Promise<readonly string[]>
}

/** Why a text is not understood. `code` can be counted: `unparseable`, `too-large`, `too-deep`, `unsupported-…`. */
export interface Refusal {
  readonly refused: true
  readonly code: string
  /** Lower case, no full stop, the writer's words in backticks; never a literal's value. */
  readonly message: string
  /** 1-based. */
  readonly line: number
  readonly column: number
  readonly fix?: string
}

/** A parsed text before anything is known of its tables: enough to ask a policy about names. */
export interface Parsed {
  readonly refused: false
  /** BigQuery's name for the kind. */
  readonly kind: string
  /** Re-emitted from the analysed tokens, without comments. */
  readonly text: string
  /** What the text names, before views are expanded. Sorted, each once. */
  readonly uses: readonly ResourceUse[]
  /** The tables it names (not those it creates). */
  readonly paths: readonly TablePath[]
}

export interface Statements {
  /** Pure and bounded in time and memory; never throws on any input. */
  parse(sql: string, defaults: Defaults): Parsed | Refusal
  /**
   * `advisory-reader` where a third reader, often wrong, takes another table from a text that `parse` gave. Advice for whoever
   * weighs risk: it opens nothing, and silence means nothing. Synchronous, some tens of milliseconds at most, once per text;
   * never throws. Absent where the runtime has no third reader.
   */
  advise?(parsed: Parsed): readonly Feature[]
  /**
   * Resolves every name against `schemas`, expands views, and says what flows where. A Refusal where a table or
   * column is unknown, or where a construct cannot be proven.
   */
  bind(
    parsed: Parsed,
    defaults: Defaults,
    schemas: Schemas,
    parameters: readonly Parameter[],
    bounds: Bounds,
    signal: AbortSignal,
  ): Promise<SqlStatement | Refusal>

  /**
   * The second lock, after every obligation has rewritten: parses `narrowed` again and answers with a Refusal unless it
   * names no table that `original` did not, each reference to a table with masked columns lies inside its wrapper, and
   * kind, output names and output types are unchanged.
   */
  verify(original: SqlStatement, narrowed: SqlStatement, defaults: Defaults): Refusal | undefined
}
