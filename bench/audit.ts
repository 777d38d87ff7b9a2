/**
 * The audit log in numbers: what recording adds to an exchange, how fast records go into ClickHouse, what one takes on its
 * disk, and how long auditors wait. Over generated records of 90 days.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPart } from '../sandbox/parts.ts'
import { openClickHouse } from '../src/audit/clickhouse.node.ts'
import type { ClickHouse } from '../src/audit/reader/contract.ts'
import { createReader } from '../src/audit/reader/index.ts'
import { measureCost, type CostOptions } from './audit-cost.ts'
import { loadAudit } from './audit-load.ts'
import { auditorQuestions } from './audit-queries.ts'

export interface AuditBenchOptions extends CostOptions {
  /** Generated; 0: none, and nothing is asked. */
  readonly records: number
}

const DATABASE = 'sluice'
const DAYS = 90
const ASKED = 7

/** Measures and prints. */
export async function benchAudit(options: AuditBenchOptions): Promise<void> {
  const { rounds, seconds, perSecond, records } = options
  console.log(machine())
  if (rounds > 0) {
    const [off, on] = await measureCost(options)
    console.log(`recording: ${perSecond} exchanges a second, ${rounds} rounds of ${seconds} s each way`)
    for (const { name, p50, p99, cpu, exchanges } of [off, on]) {
      console.log(`${name.padEnd(6)} p50 ${ms(p50)}  p99 ${ms(p99)}  CPU ${cpu.toFixed(0)} µs/exchange  (${exchanges})`)
    }
    console.log(
      `adds   p50 ${ms(on.p50 - off.p50)}  p99 ${ms(on.p99 - off.p99)}  CPU ${(on.cpu - off.cpu).toFixed(0)} µs`,
    )
  }
  if (records > 0) await benchStore(records)
}

async function benchStore(records: number): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'sluice-bench-audit-'))
  const part = await startPart('clickhouse', { port: 0, data })
  const loader = openClickHouse({ url: part.url, database: 'default', requestTimeoutMs: 300_000 })
  try {
    let told = 0
    const loaded = await loadAudit({
      client: loader,
      database: DATABASE,
      records,
      days: DAYS,
      progress(so) {
        if (so - told < records / 20) return
        told = so
        console.error(`${so.toLocaleString('en')} records`)
      },
    })
    const perSecond = Math.round(loaded.records / loaded.seconds).toLocaleString('en')
    console.log(
      `ingest: ${loaded.records.toLocaleString('en')} records in ${loaded.seconds.toFixed(0)} s, ${perSecond}/s, ` +
        `of which making and encoding them ${loaded.encodeSeconds.toFixed(0)} s; ${(loaded.wireBytes / loaded.records).toFixed(0)} bytes each on the wire`,
    )
    console.log(await askAll(part.url))
  } finally {
    await loader.close()
    await part.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

/** Asks a database that `loadAudit` filled, as auditors do: through the reader, guard and all. */
export async function askAll(url: string): Promise<string> {
  const client = openClickHouse({ url, database: DATABASE, requestTimeoutMs: 120_000 })
  try {
    const reader = createReader({ client, database: DATABASE })
    const ask = async (sql: string): Promise<number> => {
      const { body } = await reader.query({ sql, params: {}, format: 'ndjson' }, AbortSignal.timeout(120_000))
      return (await new Response(body).text()).split('\n').length - 1
    }
    const about = await aboutOf(client)
    const lines = [await sizeOf(client)]
    for (const { name, sql } of auditorQuestions(about)) {
      const took: number[] = []
      let rows = 0
      for (let i = 0; i <= ASKED; i++) {
        const began = performance.now()
        rows = await ask(sql)
        took.push(performance.now() - began)
      }
      const [first = 0, ...warm] = took
      const sorted = warm.toSorted((a, b) => a - b)
      const median = sorted[sorted.length >> 1] ?? 0
      lines.push(`${name.padEnd(56)} ${ms(median)} warm (best ${ms(sorted[0] ?? 0)}), ${ms(first)} first; ${rows} rows`)
    }
    return lines.join('\n')
  } finally {
    await client.close()
  }
}

async function sizeOf(client: ClickHouse): Promise<string> {
  const [rows = '0', bytes = '0'] = await cells(
    client,
    "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'events'",
  )
  const each = Number(bytes) / Number(rows)
  return `${Number(rows).toLocaleString('en')} records, ${each.toFixed(0)} bytes each on disk, indexes and all`
}

/** An exchange of some days ago, an agent, and when the newest record is from. */
async function aboutOf(client: ClickHouse): Promise<Parameters<typeof auditorQuestions>[0]> {
  const [now = ''] = await cells(client, 'SELECT max(ts) FROM events')
  const [exchange = '', principal = ''] = await cells(
    client,
    `SELECT exchange_id, subject FROM events WHERE kind = 'completed' AND language = 'googlesql'
      AND ts < toDateTime64('${now}', 6, 'UTC') - INTERVAL 20 DAY ORDER BY ts DESC LIMIT 1`,
  )
  return { now, exchange, principal }
}

async function cells(client: ClickHouse, sql: string): Promise<readonly string[]> {
  const answer = await client.query({ sql, format: 'TSVRaw' }, AbortSignal.timeout(120_000))
  return (await new Response(answer).text()).trim().split('\t')
}

/** Latencies on a machine that does something else too are those of that. */
function machine(): string {
  const [load = 0] = loadavg()
  return `${availableParallelism()} cores, load before this ${load.toFixed(1)}`
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`
}
