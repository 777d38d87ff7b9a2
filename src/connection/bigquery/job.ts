/** A query job's life: sent under a fixed id, waited for, cancelled when nobody wants it any more. */
import { sha256Hex } from '../../digest.ts'
import type { Principal, SqlStatement } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { BigQueryApi, JobResource, QueryJob } from './client.ts'
import { isDuplicate, isPassing, jobError } from './errors.ts'
import { Page } from './page.ts'
import { orAbort } from '../../runtime.ts'
import { atMost, pause, retrying, type Retry } from './wait.ts'
import { toWire } from './wire.ts'

/** The id under which an exchange runs upstream. */
export function jobIdOf(exchange: string): string {
  return `sluice_${exchange.replaceAll('-', '')}`
}

/** Where statements run, and what is told of who asked. */
export interface Place {
  readonly project: string
  readonly dataset?: string
  readonly location?: string
}

/** The members that every job of ours has. */
export function queryJob(statement: SqlStatement, place: Place, labels: Readonly<Record<string, string>>): QueryJob {
  const { maxBytesBilled, timeoutMs } = statement.bounds
  return {
    query: statement.text,
    labels,
    maximumBytesBilled: String(Math.floor(Math.min(Math.max(maxBytesBilled, 1), Number.MAX_SAFE_INTEGER))),
    jobTimeoutMs: Math.ceil(timeoutMs),
    ...(place.location === undefined ? {} : { location: place.location }),
    ...(place.dataset === undefined ? {} : { defaultDataset: { projectId: place.project, datasetId: place.dataset } }),
    ...toWire(statement.parameters),
  }
}

/**
 * Who asked, as labels: they go to billing exports, so a principal is a hash there. BigQuery takes lower case letters,
 * digits, `_` and `-`, at most 63.
 */
export async function labelsOf(principal: Principal, exchange?: string): Promise<Readonly<Record<string, string>>> {
  const hex = await sha256Hex(`${principal.issuer}\n${principal.subject}`)
  return {
    sluice_principal: hex.slice(0, 16),
    ...(exchange === undefined ? {} : { sluice_exchange: labelText(exchange) }),
  }
}

function labelText(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '_')
    .slice(0, 63)
}

/** A job that is under way, or was. */
export interface Started {
  readonly id: string
  readonly location: string | undefined
}

/**
 * Sends `job`, whose id is fixed, so that sending it twice runs it once: a duplicate is an earlier try of ours that got
 * through, and is joined if it is the same query. When `signal` aborts, the job is cancelled, however far it is.
 */
export async function start(
  api: BigQueryApi,
  job: QueryJob & { readonly jobId: string },
  retry: Retry,
  cancelMs: number,
  signal: AbortSignal,
): Promise<Started> {
  let sent: Promise<JobResource> | undefined
  try {
    const made = await retrying(() => orAbort((sent = api.insert(job)), signal), isPassing, retry, signal)
    return accepted(job, made)
  } catch (error) {
    if (isDuplicate(error)) return join(api, job, retry, signal)
    // It may run although we were not told so: a broken socket says nothing about what it carried.
    if (signal.aborted || isPassing(error)) await withdraw(api, job, sent, cancelMs)
    throw error
  }
}

/** Cancels a job that may or may not be there, once the request that makes it has come back. */
async function withdraw(
  api: BigQueryApi,
  job: QueryJob & { readonly jobId: string },
  sent: Promise<unknown> | undefined,
  cancelMs: number,
): Promise<void> {
  if (sent === undefined) return
  const cancelled = sent.catch(() => {}).then(() => api.cancel(job.jobId, job.location))
  await atMost(cancelled, cancelMs)
}

/** The job of that id, if it runs the same query. */
async function join(
  api: BigQueryApi,
  job: QueryJob & { readonly jobId: string },
  retry: Retry,
  signal: AbortSignal,
): Promise<Started> {
  const there = await find(api, job.jobId, job.location, retry, signal)
  if (there.configuration?.query?.query !== job.query) {
    throw anotherJob()
  }
  return accepted(job, there)
}

export function anotherJob(): Failure {
  return new Failure('upstream-failed', 'another job has the id of this exchange')
}

/** The job as it stands. */
export function find(
  api: BigQueryApi,
  id: string,
  location: string | undefined,
  retry: Retry,
  signal: AbortSignal,
): Promise<JobResource> {
  return retrying(() => orAbort(api.job(id, location), signal), isPassing, retry, signal)
}

function accepted(job: { readonly jobId: string; readonly location?: string }, made: JobResource): Started {
  const failed = made.status?.errorResult
  if (failed !== undefined) throw jobError(failed)
  return { id: job.jobId, location: made.jobReference?.location ?? job.location }
}

/** Longest that one request waits upstream, in milliseconds. */
const LONG_POLL_MS = 10_000
/** Shortest time between two polls, in milliseconds: an upstream that answers at once must not be asked at once. */
const POLL_MS = 100

/** Waits until the job is done and answers with its first page of at most `maxResults` rows. */
export async function finished(
  fetch: (query: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<Uint8Array>,
  maxResults: number,
  signal: AbortSignal,
): Promise<Page> {
  const query = { timeoutMs: String(LONG_POLL_MS), maxResults: String(maxResults) }
  for (;;) {
    const page = new Page(await fetch(query, signal), ['schema', 'pageToken', 'jobComplete'])
    if (page.envelope['jobComplete'] === true) return page
    if (page.envelope['jobComplete'] !== false) {
      throw new Failure('upstream-failed', 'the warehouse does not say whether the job is done')
    }
    await pause(POLL_MS, signal)
  }
}
