/**
 * The client over `@google-cloud/bigquery`, which brings the job API and Google's ways of authenticating. Its retries
 * and its conversion of rows are left aside: ours know what is idempotent, and lose nothing.
 */
import { isAbsolute, join } from 'node:path'
import { BigQuery } from '@google-cloud/bigquery'
import { GoogleAuth, Impersonated, PassThroughClient } from 'google-auth-library'
import type { Principal } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Connector } from '../contract.ts'
import type { BigQueryApi, BigQueryClients, JobResource, QueryJob } from './client.ts'
import { createBigQueryConnector } from './connector.ts'
import { UpstreamError } from './errors.ts'
import { isLoopbackUrl } from '../../url.ts'

/** How the gateway proves itself to BigQuery. */
export type Credentials =
  /** Application Default Credentials. */
  | { readonly type: 'adc' }
  /** A service account's key file. */
  | { readonly type: 'keyFile'; readonly path: string }
  /** No credential at all: for a sandbox on loopback. */
  | { readonly type: 'none' }
  /** Group → service account. The first of these groups that a principal is in decides; in none, nothing runs. */
  | { readonly type: 'impersonate'; readonly accounts: Readonly<Record<string, string>>; readonly keyFile?: string }

export interface ClientOptions {
  readonly project: string
  readonly location?: string
  /** Origin of the API; absent: Google's. */
  readonly apiEndpoint?: string
  /** Origin of the IAM credentials API, which lends service accounts; absent: Google's. */
  readonly iamEndpoint?: string
  readonly credentials: Credentials
  /** Longest that a request about a job may take, in milliseconds. Default 30,000. */
  readonly controlMs?: number
}

type Interceptor = BigQuery['interceptors'][number]

const SCOPE = 'https://www.googleapis.com/auth/bigquery'
const CONTROL_MS = 30_000
/** Longest that one read may take, in milliseconds. */
const READ_MS = 120_000
/** Service accounts whose clients, with their tokens, are kept. */
const MAX_CLIENTS = 256

/** A connection as `sluice.yaml` describes it. */
export interface BigQueryConnection {
  readonly project: string
  readonly location?: string
  readonly apiEndpoint?: string
  readonly defaultDataset?: string
  readonly credentials: Credentials
  readonly labels?: Readonly<Record<string, string>>
  /** The most rows that a page is asked to hold. */
  readonly pageRows?: number
  readonly quietErrors?: boolean
}

/** The connector of a configured connection. Paths of key files start from the folder `base`. */
export function connectBigQuery(name: string, connection: BigQueryConnection, base: string): Connector {
  const { project, location, apiEndpoint, defaultDataset, labels, pageRows, quietErrors } = connection
  const clients = createBigQueryClients({
    project,
    credentials: within(base, connection.credentials),
    ...(location === undefined ? {} : { location }),
    ...(apiEndpoint === undefined ? {} : { apiEndpoint }),
  })
  return createBigQueryConnector(
    {
      name,
      project,
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      ...(location === undefined ? {} : { location }),
      ...(defaultDataset === undefined ? {} : { dataset: defaultDataset }),
      ...(labels === undefined ? {} : { labels }),
      ...(quietErrors === undefined ? {} : { quietErrors }),
      ...(pageRows === undefined ? {} : { paging: { maxPageRows: pageRows } }),
    },
    clients,
  )
}

function within(base: string, credentials: Credentials): Credentials {
  const from = (path: string): string => (isAbsolute(path) ? path : join(base, path))
  if (credentials.type === 'keyFile') return { ...credentials, path: from(credentials.path) }
  if (credentials.type !== 'impersonate' || credentials.keyFile === undefined) return credentials
  return { ...credentials, keyFile: from(credentials.keyFile) }
}

/** Throws `internal` where the options cannot be meant. Nothing is asked of Google before the first request. */
export function createBigQueryClients(options: ClientOptions): BigQueryClients {
  // The library obeys this variable above its own options, and would send our tokens wherever it points.
  if (process.env['BIGQUERY_EMULATOR_HOST'] !== undefined) {
    throw new Failure('internal', '`BIGQUERY_EMULATOR_HOST` is set: name the endpoint in the configuration instead')
  }
  const { credentials } = options
  if (credentials.type === 'none' && !isLoopbackUrl(options.apiEndpoint ?? '')) {
    throw new Failure('internal', 'credentials `none` are for an `apiEndpoint` on loopback only')
  }
  const source = ownAuth(credentials)
  const own = apiOf(options, source)
  if (credentials.type !== 'impersonate') return { own, as: () => own, close: async () => {} }

  const accounts = new Map(Object.entries(credentials.accounts))
  const impersonating = new Map<string, BigQueryApi>()
  const asAccount = (account: string): BigQueryApi => {
    const known = impersonating.get(account)
    if (known !== undefined) return known
    if (impersonating.size >= MAX_CLIENTS) impersonating.delete(impersonating.keys().next().value ?? '')
    const made = impersonated(options, source, account)
    impersonating.set(account, made)
    return made
  }
  return {
    own,
    as: (principal) => asAccount(accountFor(principal, accounts)),
    close: async () => impersonating.clear(),
  }
}

/** The service account that a principal runs as. Never the gateway's own: whom nobody mapped, nobody meant. */
function accountFor(principal: Principal, accounts: ReadonlyMap<string, string>): string {
  for (const [group, account] of accounts) if (principal.groups.includes(group)) return account
  throw new Failure('upstream-refused', 'no service account is configured for any of your groups', {
    fix: 'have one of your groups mapped to a service account in this connection',
  })
}

function ownAuth(credentials: Credentials): GoogleAuth {
  if (credentials.type === 'none') return new GoogleAuth({ authClient: new PassThroughClient() })
  const keyFile = credentials.type === 'keyFile' ? credentials.path : undefined
  const impersonator = credentials.type === 'impersonate' ? credentials.keyFile : undefined
  // To impersonate, the source needs more than BigQuery's scope.
  const scopes = credentials.type === 'impersonate' ? [SCOPE, 'https://www.googleapis.com/auth/cloud-platform'] : SCOPE
  const keyFilename = keyFile ?? impersonator
  return new GoogleAuth({ scopes, ...(keyFilename === undefined ? {} : { keyFilename }) })
}

/** An API as `account`, whose source of tokens is found when it is first used. */
function impersonated(options: ClientOptions, source: GoogleAuth, account: string): BigQueryApi {
  let made: Promise<BigQueryApi> | undefined
  const ready = async (): Promise<BigQueryApi> => {
    try {
      made ??= source.getClient().then((sourceClient) => {
        const target = new Impersonated({
          sourceClient,
          targetPrincipal: account,
          targetScopes: [SCOPE],
          lifetime: 3600,
          ...(options.iamEndpoint === undefined ? {} : { endpoint: options.iamEndpoint }),
        })
        return apiOf(options, new GoogleAuth({ authClient: target }))
      })
      return await made
    } catch (error) {
      made = undefined
      throw upstreamError(error)
    }
  }
  return {
    insert: async (job) => (await ready()).insert(job),
    job: async (id, location) => (await ready()).job(id, location),
    cancel: async (id, location) => (await ready()).cancel(id, location),
    get: async (path, query, maxBytes, signal) => (await ready()).get(path, query, maxBytes, signal),
  }
}

function apiOf(options: ClientOptions, auth: GoogleAuth): BigQueryApi {
  const limitMs = options.controlMs ?? CONTROL_MS
  const bigquery = new BigQuery({
    projectId: options.project,
    ...(options.location === undefined ? {} : { location: options.location }),
    ...(options.apiEndpoint === undefined ? {} : { apiEndpoint: options.apiEndpoint }),
    // `Service` takes a GoogleAuth too; the type of `BigQueryOptions` only knows the narrower one.
    ...({ authClient: auth } as object),
    userAgent: 'sluice',
    autoRetry: false,
  })
  // The library fills `{{projectId}}` into every string of a body that it serialises itself, statements and their
  // parameters included. What runs must be what was decided, so bodies are serialised here, before it sees them.
  bigquery.interceptors.push({ request: serialised as (request: object) => ReturnType<Interceptor['request']> })
  return {
    async insert(job: QueryJob) {
      try {
        const [made] = await inTime(bigquery.createQueryJob(job as Parameters<BigQuery['createQueryJob']>[0]), limitMs)
        return made.metadata as JobResource
      } catch (error) {
        // `status.errors` may be mere warnings; only `errorResult` says that a job failed.
        const made = (error as { response?: JobResource } | undefined)?.response
        if (made?.status?.state !== undefined && made.jobReference !== undefined) return made
        throw upstreamError(error)
      }
    },
    async job(id, location) {
      try {
        const [metadata] = await inTime(bigquery.job(id, place(location)).getMetadata(), limitMs)
        return metadata as JobResource
      } catch (error) {
        throw upstreamError(error)
      }
    },
    async cancel(id, location) {
      try {
        await inTime(bigquery.job(id, place(location)).cancel(), limitMs)
      } catch (error) {
        throw upstreamError(error)
      }
    },
    async get(path, query, maxBytes, signal) {
      const url = `${bigquery.baseUrl}/${path.map(segment).join('/')}?${new URLSearchParams(query).toString()}`
      try {
        const { status, data } = await bigquery.authClient.request<AsyncIterable<Uint8Array>>({
          url,
          // Longer than any long poll; a connection that says nothing for so long is given up and tried again.
          signal: AbortSignal.any([signal, AbortSignal.timeout(READ_MS)]),
          responseType: 'stream',
          retry: false,
          maxRedirects: 0,
          // The library meets a 401 with a fresh token; the rest it would only wrap, request and all.
          validateStatus: (code) => code !== 401,
        })
        const body = await collect(data, maxBytes)
        if (status !== 200) throw upstreamError({ response: { status, data: Buffer.from(body).toString('utf8') } })
        return body
      } catch (error) {
        signal.throwIfAborted()
        throw error instanceof Failure ? error : upstreamError(error)
      }
    },
  }
}

function place(location: string | undefined): { location?: string } {
  return location === undefined ? {} : { location }
}

/** What `work` comes to, if that is within `ms` milliseconds: the library's own timeout does not reach the socket. */
async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UpstreamError(undefined, undefined, '')), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
    // Its end is nobody's any more, however it ends.
    work.catch(() => {})
  }
}

/** The same request with its body as text. */
function serialised(request: { readonly json?: unknown; readonly headers?: object }): object {
  const { json, ...rest } = request
  if (json === undefined) return request
  return { ...rest, body: JSON.stringify(json), headers: { ...rest.headers, 'Content-Type': 'application/json' } }
}

function segment(text: string): string {
  if (text === '' || text === '.' || text === '..') throw new Failure('bad-request', 'a name in a path is not a name')
  return encodeURIComponent(text)
}

async function collect(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of stream) {
    length += chunk.length
    if (length > maxBytes) throw new Failure('upstream-failed', 'the warehouse sent more than can be held')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

/** What both of Google's libraries throw, by shape; nothing of the request is kept. */
interface LibraryError {
  readonly code?: unknown
  readonly status?: unknown
  readonly message?: unknown
  readonly errors?: readonly { readonly reason?: unknown; readonly message?: unknown }[]
  readonly response?: { readonly status?: unknown; readonly data?: unknown; readonly statusCode?: unknown }
}

function upstreamError(error: unknown): UpstreamError {
  if (error instanceof UpstreamError) return error
  const thrown = (typeof error === 'object' && error !== null ? error : {}) as LibraryError
  const body = errorBody(thrown.response?.data)
  const status = [thrown.response?.status, thrown.response?.statusCode, thrown.code, thrown.status, body?.code]
    .map(Number)
    .find((code) => code >= 400 && code <= 599)
  const first = body?.errors?.[0] ?? thrown.errors?.[0]
  const reason = typeof first?.reason === 'string' ? first.reason : undefined
  const words = [first?.message, body?.message, status === undefined ? '' : thrown.message].find(
    (text): text is string => typeof text === 'string',
  )
  return new UpstreamError(status, reason, words ?? '')
}

interface ErrorBody {
  readonly code?: number
  readonly message?: string
  readonly errors?: readonly { readonly reason?: string; readonly message?: string }[]
}

function errorBody(data: unknown): ErrorBody | undefined {
  const parsed = typeof data === 'string' ? parse(data) : data
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { error } = parsed as { error?: unknown }
  return typeof error === 'object' && error !== null ? error : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
