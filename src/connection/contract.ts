/** What the gateway asks of a connector: the code that speaks one upstream's protocol, and alone holds its credential. */
import type {
  Batch,
  Estimate,
  HttpStatement,
  Permitted,
  Principal,
  SqlField,
  SqlStatement,
  Statistics,
  Table,
  TablePath,
} from '../exchange.ts'
import type { RestReply } from './rest/contract.ts'

export { isUnsent } from './rest/failure.ts'
export { mediaTypeOf } from './rest/headers.ts'

/** Speaks to a warehouse. */
export interface Connector {
  /** As configured: `warehouse`. */
  readonly name: string
  readonly type: string
  /** Where unqualified names resolve. */
  readonly defaults: { readonly project: string; readonly dataset?: string }
  /** What the upstream says it would do and cost; runs nothing. Rejects with `upstream-refused` when it would not run. */
  estimate(statement: SqlStatement, principal: Principal, signal: AbortSignal): Promise<Estimate>
  /**
   * Runs it as job `jobId(exchange.id)`. An undecided or denied exchange does not compile. Aborting `signal` cancels the
   * upstream job. `statement` is what obligations made of `exchange.statement`. Before a row leaves, the finished job is asked
   * what it did: kind, tables and columns must be those that were decided. Rejects with `upstream-differs` where they are not.
   */
  run(statement: SqlStatement, exchange: Permitted, signal: AbortSignal): Promise<Answer>
  /** Reads the answer of a job that was run before for this exchange, running nothing. */
  attach(statement: SqlStatement, exchange: Permitted, signal: AbortSignal): Promise<Answer>
  /** What became of the job of an exchange whose end was not written down. Rejects where nobody can say now. */
  settle(exchange: string, principal: Principal, signal: AbortSignal): Promise<Settlement>
  /** The id under which an exchange runs upstream; fixed before it is sent, so that it can be looked up afterwards. */
  jobId(exchange: string): string
  readonly metadata: Metadata
  /** Resolves when the upstream answers. */
  ready(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** `running`: not at its end yet. */
export type Settlement =
  | { readonly outcome: 'not-run' }
  | { readonly outcome: 'running' }
  | {
      readonly outcome: 'ran'
      /** The text that ran. */
      readonly text?: string
      /** BigQuery's reason where the job failed. */
      readonly failure?: string
      readonly statistics: Statistics
    }

/** Speaks to an HTTP API. */
export interface HttpConnector {
  /** As configured: `crm`. */
  readonly name: string
  readonly type: string
  /**
   * Sends it, once, with the credential. `statement` is what obligations made of `exchange.statement`; `body` is what they
   * made of its body, whole or on its way. Aborting `signal` breaks off what is under way. Rejects with `upstream-refused`
   * where nothing was sent, with another failure where the upstream may have done it.
   */
  send(
    statement: HttpStatement,
    exchange: Permitted,
    body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
    signal: AbortSignal,
  ): Promise<Reply>
  /** Resolves when the upstream answers. */
  ready(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** An HTTP answer as the upstream delivers it. */
export type Reply = RestReply

/** Rows as the upstream delivers them. */
export interface Answer {
  readonly job: string
  /** Names as they appear in rows: anonymous and repeated struct fields renamed. */
  readonly columns: readonly SqlField[]
  /** Total rows, where the upstream says so before they are read. */
  readonly totalRows?: number
  /** Pulled one at a time; not pulling is back-pressure. Returning early cancels what is still under way upstream. */
  readonly batches: AsyncIterable<Batch>
  /** Known once `batches` has ended, as far as it was known before. */
  statistics(): Statistics
}

/** Schemas as the upstream holds them, uncached. */
export interface Metadata {
  table(path: TablePath, signal: AbortSignal): Promise<Table | undefined>
  /** Dataset names of the connection's project. */
  datasets(signal: AbortSignal): Promise<readonly string[]>
  tables(dataset: string, signal: AbortSignal): Promise<readonly TablePath[]>
}
