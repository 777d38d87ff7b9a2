/**
 * The rows of a finished query, page by page: while one page is read by whoever pulls, the next is under way, and no
 * more than that.
 */
import type { Batch, SqlField } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { Page } from './page.ts'
import { RowReader, shapesOf, type Scratch } from './transcode.ts'

/** How rows are fetched and handed on. */
export interface Paging {
  /** What a page should weigh, in bytes. */
  readonly pageBytes: number
  /** The most rows that a page is asked to hold. */
  readonly maxPageRows: number
  /** About what a batch weighs, in bytes. */
  readonly batchBytes: number
  /** Rows of the first page, when their weight is not known. */
  readonly firstRows: number
}

/** Asks for a page. `signal` aborts when it is no longer wanted. */
export type Fetch = (pageToken: string, maxResults: number, signal: AbortSignal) => Promise<Uint8Array>

export interface Rows {
  readonly first: Page
  /** The number of rows that `first` was asked to hold. */
  readonly asked: number
  readonly columns: readonly SqlField[]
  readonly totalRows: number | undefined
  /** More than these will not be pulled; so many are not fetched ahead. */
  readonly maxRows: number
}

/** Yields every row once, in order. Throws `upstream-failed` when there are fewer than BigQuery said. */
export async function* readRows(rows: Rows, fetch: Fetch, paging: Paging, scratch: Scratch): AsyncGenerator<Batch> {
  const unwanted = new AbortController()
  const shapes = shapesOf(rows.columns)
  let page = rows.first
  let asked = rows.asked
  let delivered = 0
  try {
    for (;;) {
      const token = nextToken(page)
      const wanted = rows.maxRows + 1 - delivered - asked
      const size = pageRows(paging, page.bytes.length / asked)
      const ask = (most: number): Promise<Page> => {
        asked = Math.min(size, Math.max(1, most))
        return fetch(token ?? '', asked, unwanted.signal).then((bytes) => new Page(bytes, ['pageToken']))
      }
      const ahead = token !== undefined && wanted > 0 ? ask(wanted) : undefined
      // Its failure is met when its turn comes; until then it is not unhandled.
      ahead?.catch(() => {})
      for (const batch of readPage(page, shapes, paging, scratch)) {
        delivered += batch.rowCount
        yield batch
      }
      if (token === undefined) break
      page = await (ahead ?? ask(rows.maxRows + 1 - delivered))
    }
    if (rows.totalRows !== undefined && rows.totalRows !== delivered) {
      throw new Failure('upstream-failed', 'the warehouse sent another number of rows than it said')
    }
  } finally {
    unwanted.abort()
  }
}

function* readPage(
  page: Page,
  shapes: ReturnType<typeof shapesOf>,
  paging: Paging,
  scratch: Scratch,
): Generator<Batch> {
  if (page.rowsAt === undefined) return
  const reader = new RowReader(page.bytes, page.rowsAt, shapes, scratch)
  for (let batch = reader.read(paging.batchBytes); batch !== undefined; batch = reader.read(paging.batchBytes)) {
    // Before the last rows leave: a page that breaks off behind them is no whole page.
    if (reader.ended) page.finish(reader.end)
    yield batch
  }
}

function nextToken(page: Page): string | undefined {
  const token = page.envelope['pageToken']
  return typeof token === 'string' && token !== '' ? token : undefined
}

/** Rows that fill a page, when one row weighs `rowBytes` on the wire. */
function pageRows(paging: Paging, rowBytes: number): number {
  return Math.max(1, Math.min(paging.maxPageRows, Math.floor(paging.pageBytes / Math.max(1, rowBytes))))
}
