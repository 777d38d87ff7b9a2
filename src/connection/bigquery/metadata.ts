/** Datasets, tables and views as BigQuery describes them. */
import { sha256Hex } from '../../digest.ts'
import type { Table, TablePath } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Metadata } from '../contract.ts'
import type { BigQueryApi, QueryJob, TableReference } from './client.ts'
import { failureOf, isAbsent, isInvalid, isPassing } from './errors.ts'
import { schemaColumns, type TableSchema } from './schema.ts'
import { retrying, type Retry } from './wait.ts'

/** `Table` of the REST API, as far as we read it. */
interface TableResource {
  readonly etag?: string
  readonly lastModifiedTime?: string
  readonly type?: string
  readonly tableReference?: TableReference
  readonly schema?: TableSchema
  readonly view?: { readonly query?: string; readonly useLegacySql?: boolean }
  readonly materializedView?: { readonly query?: string }
  readonly cloneDefinition?: object
  readonly timePartitioning?: { readonly field?: string }
  readonly rangePartitioning?: { readonly field?: string }
  readonly numRows?: string
  readonly numBytes?: string
}

interface ListResource {
  readonly nextPageToken?: string
  readonly datasets?: readonly { readonly datasetReference?: { readonly datasetId?: string } }[]
  readonly tables?: readonly { readonly tableReference?: TableReference }[]
}

/** Largest description of a table or page of a list, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024
/** Pages of a list that are read; more than `PAGE_SIZE` times these fail. */
const MAX_PAGES = 50
const PAGE_SIZE = '1000'
/** Longest that a dry run may take upstream. */
const DRY_RUN_MS = 30_000

/** Reads the metadata of `project`, whose jobs run in `location`, and of whatever other projects are named. */
export function createMetadata(
  api: BigQueryApi,
  project: string,
  location: string | undefined,
  retry: Retry,
): Metadata {
  const read = async <T>(path: readonly string[], query: Record<string, string>, signal: AbortSignal): Promise<T> => {
    const bytes = await retrying(
      () => api.get(path, { ...query, prettyPrint: 'false' }, MAX_BYTES, signal),
      isPassing,
      retry,
      signal,
    )
    return parse(bytes) as T
  }

  const list = async <T>(
    path: readonly string[],
    items: (page: ListResource) => readonly T[],
    signal: AbortSignal,
  ): Promise<readonly T[]> => {
    const found: T[] = []
    let pageToken: string | undefined
    for (let page = 0; page < MAX_PAGES; page++) {
      const query = { maxResults: PAGE_SIZE, ...(pageToken === undefined ? {} : { pageToken }) }
      const answer = await read<ListResource>(path, query, signal)
      found.push(...items(answer))
      pageToken = answer.nextPageToken
      if (pageToken === undefined || pageToken === '') return found
    }
    throw new Failure('upstream-failed', 'the warehouse lists more than can be read')
  }

  const failing = async <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
    try {
      return await work
    } catch (error) {
      throw failureOf(error, signal, false)
    }
  }

  /** What reading it whole would give. Nothing runs. */
  const foreseen = async (path: TablePath, query: string, signal: AbortSignal): Promise<Table> => {
    const job: QueryJob = {
      query,
      labels: {},
      maximumBytesBilled: String(Number.MAX_SAFE_INTEGER),
      jobTimeoutMs: DRY_RUN_MS,
      dryRun: true,
      useQueryCache: false,
      ...(location === undefined ? {} : { location }),
    }
    const { statistics } = await retrying(() => api.insert(job), isPassing, retry, signal)
    const schema = statistics?.query?.schema
    const columns = schemaColumns(schema)
    return {
      path,
      resource: resourceName(path, project),
      kind: 'OTHER',
      columns,
      version: await sha256Hex(JSON.stringify(schema ?? null)),
    }
  }

  return {
    async table(path, signal) {
      const query = computedQuery(path)
      if (query !== undefined) {
        try {
          return await foreseen(path, query, signal)
        } catch (error) {
          // A wildcard that matches nothing, a view that INFORMATION_SCHEMA lacks.
          if (isAbsent(error) || isInvalid(error)) return undefined
          throw failureOf(error, signal, false)
        }
      }
      const segments = ['projects', path.project, 'datasets', path.dataset, 'tables', path.table]
      try {
        return tableOf(await read<TableResource>(segments, {}, signal), path, project)
      } catch (error) {
        if (isAbsent(error)) return undefined
        throw failureOf(error, signal, false)
      }
    },
    datasets(signal) {
      const names = (page: ListResource): readonly string[] =>
        (page.datasets ?? []).flatMap((dataset) => dataset.datasetReference?.datasetId ?? [])
      return failing(list(['projects', project, 'datasets'], names, signal), signal)
    },
    tables(dataset, signal) {
      const paths = (page: ListResource): readonly TablePath[] =>
        (page.tables ?? []).flatMap(({ tableReference }) => {
          const table = tableReference?.tableId
          return table === undefined ? [] : [{ project, dataset, table }]
        })
      return failing(list(['projects', project, 'datasets', dataset, 'tables'], paths, signal), signal)
    },
  }
}

/**
 * A statement that reads the whole of a wildcard table (`events_*`) or of a view of INFORMATION_SCHEMA: `tables.get` knows
 * neither. `undefined` for all other tables.
 */
function computedQuery({ project, dataset, table }: TablePath): string | undefined {
  if (![project, dataset].every((part) => /^[\w.:-]+$/.test(part))) return undefined
  if (dataset === 'INFORMATION_SCHEMA' && /^\w+$/.test(table)) {
    return `SELECT * FROM \`${project}\`.INFORMATION_SCHEMA.${table}`
  }
  const inSchema = /^INFORMATION_SCHEMA\.(\w+)$/.exec(table)?.[1]
  if (inSchema !== undefined) return `SELECT * FROM \`${project}.${dataset}\`.INFORMATION_SCHEMA.${inSchema}`
  return /^[\w-]+\*$/.test(table) ? `SELECT * FROM \`${project}.${dataset}.${table}\`` : undefined
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new Failure('upstream-failed', 'the warehouse sent metadata that cannot be read', { cause: error })
  }
}

function tableOf(resource: TableResource, asked: TablePath, project: string): Table {
  const path = {
    project: resource.tableReference?.projectId ?? asked.project,
    dataset: resource.tableReference?.datasetId ?? asked.dataset,
    table: resource.tableReference?.tableId ?? asked.table,
  }
  const version = resource.etag ?? resource.lastModifiedTime
  if (version === undefined) throw new Failure('upstream-failed', 'the warehouse gives a table no version')
  const { kind, definition } = kindOf(resource)
  const partition =
    resource.timePartitioning === undefined
      ? resource.rangePartitioning?.field
      : (resource.timePartitioning.field ?? '_PARTITIONTIME')
  return {
    path,
    resource: resourceName(path, project),
    kind,
    columns: schemaColumns(resource.schema),
    version,
    ...(definition === undefined ? {} : { definition }),
    ...(resource.numRows === undefined ? {} : { rowCount: Number(resource.numRows) }),
    ...(resource.numBytes === undefined ? {} : { byteCount: Number(resource.numBytes) }),
    ...(partition === undefined ? {} : { partitionedBy: partition }),
  }
}

/** `dataset.table` in `project`, with the project in front elsewhere. */
export function resourceName(path: TablePath, project: string): string {
  const name = `${path.dataset}.${path.table}`
  return path.project === project ? name : `${path.project}.${name}`
}

function kindOf(resource: TableResource): { readonly kind: Table['kind']; readonly definition?: string } {
  switch (resource.type) {
    case 'TABLE':
      return { kind: resource.cloneDefinition === undefined ? 'TABLE' : 'CLONE' }
    case 'VIEW':
      // The API's own default is legacy SQL, which nobody here can read: such a view is opaque.
      return resource.view?.useLegacySql === false && resource.view.query !== undefined
        ? { kind: 'VIEW', definition: resource.view.query }
        : { kind: 'OTHER' }
    case 'MATERIALIZED_VIEW':
      return resource.materializedView?.query === undefined
        ? { kind: 'OTHER' }
        : { kind: 'MATERIALIZED_VIEW', definition: resource.materializedView.query }
    case 'EXTERNAL':
    case 'SNAPSHOT':
      return { kind: resource.type }
    default:
      return { kind: 'OTHER' }
  }
}
