/**
 * What the connector asks of a BigQuery client. `client.node.ts` makes one of `@google-cloud/bigquery`; tests and other
 * runtimes may make their own. Every method rejects with an `UpstreamError`, or with the reason of `signal`.
 */
import type { Principal } from '../../exchange.ts'
import type { TableSchema } from './schema.ts'
import type { WireParameter } from './wire.ts'

/** A query to run as a job; the members of `JobConfigurationQuery` and `JobConfiguration` that we set. */
export interface QueryJob {
  readonly query: string
  readonly jobId?: string
  readonly location?: string
  readonly labels: Readonly<Record<string, string>>
  readonly maximumBytesBilled: string
  readonly jobTimeoutMs: number
  readonly dryRun?: boolean
  readonly useQueryCache?: boolean
  readonly defaultDataset?: { readonly projectId: string; readonly datasetId: string }
  readonly parameterMode?: 'NAMED' | 'POSITIONAL'
  readonly queryParameters?: readonly WireParameter[]
}

/** `TableReference` of the REST API. */
export interface TableReference {
  readonly projectId?: string
  readonly datasetId?: string
  readonly tableId?: string
}

/** `ErrorProto` of the REST API. */
export interface ErrorProto {
  readonly reason?: string
  readonly message?: string
  readonly location?: string
}

/** `Job` of the REST API, as far as we read it. INT64 members are decimal text. */
export interface JobResource {
  readonly jobReference?: { readonly jobId?: string; readonly location?: string }
  readonly configuration?: { readonly dryRun?: boolean; readonly query?: { readonly query?: string } }
  readonly status?: { readonly state?: string; readonly errorResult?: ErrorProto }
  readonly statistics?: {
    readonly creationTime?: string
    readonly startTime?: string
    readonly endTime?: string
    readonly totalBytesProcessed?: string
    readonly query?: {
      readonly statementType?: string
      readonly totalBytesProcessed?: string
      readonly totalBytesBilled?: string
      readonly cacheHit?: boolean
      readonly numDmlAffectedRows?: string
      readonly referencedTables?: readonly TableReference[]
      readonly schema?: TableSchema
    }
  }
}

/** One identity's view of the API. */
export interface BigQueryApi {
  /** `POST jobs`. Sent once; what it answers, whatever becomes of the caller, is the caller's to wait for. */
  insert(job: QueryJob): Promise<JobResource>
  /** `GET jobs/{id}` */
  job(id: string, location: string | undefined): Promise<JobResource>
  /** `POST jobs/{id}/cancel` */
  cancel(id: string, location: string | undefined): Promise<void>
  /** `GET` of a path below the API's root, each segment encoded here; the body as it came, at most `maxBytes`. */
  get(
    path: readonly string[],
    query: Readonly<Record<string, string>>,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array>
}

export interface BigQueryClients {
  /** The gateway's own identity, which reads schemas. */
  readonly own: BigQueryApi
  /** The identity under which this principal's statements run. Throws `upstream-refused` where there is none. */
  as(principal: Principal): BigQueryApi
  close(): Promise<void>
}
