/**
 * How many rows a second an answer streams at, measured in one run over one sandbox warehouse:
 *
 *     library    @google-cloud/bigquery's createQueryStream, reading the warehouse directly
 *     connector  our connector's batches of NDJSON, in this process
 *     gateway    the whole gateway over HTTP as NDJSON, where one is given
 *
 * Rounds are interleaved, so that whatever else the machine does meets all alike; what is reported are medians.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BigQuery } from '@google-cloud/bigquery'
import { PassThroughClient } from 'google-auth-library'
import { startPart } from '../sandbox/parts.ts'
import { connectBigQuery } from '../src/connection/bigquery/client.node.ts'
import type { Permitted, SqlStatement } from '../src/exchange.ts'
import { sqlStatement } from '../test/support/statement.ts'

/** A way of reading every row of a query: resolves with how many there were. */
export interface Contender {
  readonly name: string
  rows(sql: string): Promise<number>
  /** Highest resident memory in bytes, for one that runs in a process of its own. */
  peakRss?(): number
  close?(): Promise<void>
}

/** The gateway over the warehouse at `warehouse`, as something to measure; `undefined` where it cannot be had. */
export type StartGateway = (warehouse: string) => Promise<Contender | undefined>

export interface QueryBenchOptions {
  readonly rounds: number
  readonly sql: string
  readonly startGateway?: StartGateway
}

export interface Measured {
  readonly name: string
  readonly rows: number
  /** Rows a second, median over the rounds. */
  readonly median: number
  /** Of each round. */
  readonly each: readonly number[]
  /** Highest resident memory of this process in its first round, in bytes; of those before it too, where they were heavier. */
  readonly peakRss: number
}

export const PROJECT = 'sluice-sandbox'

/** Starts a warehouse, measures, prints a table and answers with what it printed. */
export async function benchQuery(options: QueryBenchOptions): Promise<readonly Measured[]> {
  const data = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const warehouse = await startPart('warehouse', { port: 0, data })
  const contenders: Contender[] = []
  try {
    contenders.push(connector(warehouse.url), library(warehouse.url))
    const gateway = await options.startGateway?.(warehouse.url)
    if (gateway !== undefined) contenders.push(gateway)
    const measured = await interleaved(contenders, options)
    console.log(report(measured, options))
    return measured
  } finally {
    for (const contender of contenders) await contender.close?.()
    await warehouse.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

async function interleaved(contenders: readonly Contender[], options: QueryBenchOptions): Promise<Measured[]> {
  const found = contenders.map(({ name }) => ({ name, rows: 0, each: [] as number[], peakRss: 0 }))
  // Round 0 warms up and is not timed. Memory is read in it: what one contender leaves behind weighs on the next, and
  // the lightest goes first.
  for (let round = 0; round <= options.rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const memory = watchMemory()
      const since = performance.now()
      const rows = await contender.rows(options.sql)
      const seconds = (performance.now() - since) / 1000
      const peakRss = memory.stop()
      const one = found[index]
      if (one === undefined) continue
      if (round > 0) one.each.push(rows / seconds)
      if (contender.peakRss !== undefined) one.peakRss = contender.peakRss()
      else if (round === 0) one.peakRss = peakRss
      one.rows = rows
      // Let the other process settle.
      await sleep(100)
    }
  }
  return found.map((one) => ({ ...one, median: median(one.each) }))
}

/** What `@google-cloud/bigquery` itself does with rows: an object per row, a value per cell. */
function library(url: string): Contender {
  const bigquery = new BigQuery({
    projectId: PROJECT,
    apiEndpoint: url,
    ...({ authClient: new PassThroughClient() } as object),
  })
  return {
    name: 'library',
    async rows(sql) {
      let rows = 0
      for await (const _ of bigquery.createQueryStream({ query: sql, useQueryCache: false })) rows++
      return rows
    },
  }
}

function connector(url: string): Contender {
  const made = connectBigQuery(
    'warehouse',
    { project: PROJECT, apiEndpoint: url, credentials: { type: 'none' } },
    process.cwd(),
  )
  return {
    name: 'connector',
    async rows(sql) {
      const statement = statementOf(sql)
      const answer = await made.run(statement, permittedOf(statement), AbortSignal.timeout(300_000))
      let rows = 0
      for await (const batch of answer.batches) rows += batch.rowCount
      return rows
    },
    close: () => made.close(),
  }
}

function statementOf(text: string): SqlStatement {
  return sqlStatement({ text, bounds: { maxRows: 1_000_000_000, timeoutMs: 300_000, maxBytesBilled: 1e12 } })
}

function permittedOf(statement: SqlStatement): Permitted {
  return {
    id: randomUUID(),
    receivedAt: Date.now(),
    surface: 'query',
    principal: { issuer: 'bench', subject: 'bench', kind: 'service', plane: 'agents', groups: [] },
    connection: 'warehouse',
    statement,
    findings: [],
    decision: { effect: 'permit', reasons: [], obligations: [] },
    policy: 'sha256:bench',
  }
}

function watchMemory(): { stop(): number } {
  let peak = process.memoryUsage.rss()
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 20)
  return {
    stop() {
      clearInterval(timer)
      return Math.max(peak, process.memoryUsage.rss())
    },
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}

function report(measured: readonly Measured[], options: QueryBenchOptions): string {
  const baseline = measured.find(({ name }) => name === 'library')
  const lines = measured.map(({ name, rows, median, each, peakRss }) =>
    [
      name.padEnd(10),
      `${rows.toLocaleString('en')} rows`.padStart(16),
      `${Math.round(median).toLocaleString('en')} rows/s`.padStart(18),
      `${(median / (baseline?.median ?? median)).toFixed(2)}×`.padStart(8),
      `peak ${Math.round(peakRss / 1024 / 1024)} MiB`.padStart(14),
      `  (${each.map((value) => Math.round(value / 1000)).join(', ')} k)`,
    ].join(''),
  )
  return [`query: ${options.sql}, median of ${options.rounds} rounds`, ...lines].join('\n')
}
