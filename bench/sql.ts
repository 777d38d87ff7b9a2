/**
 * `npm run bench -- sql`: what analysis of a statement costs, beside the plain parse of node-sql-parser, over the same texts
 * in the same run. Cold: a statement of a new shape each time, with names that were never met (lexed, parsed, scanned, read a
 * second time, bound); repeated: a shape that was met with other literals, as an agent asks; cached: the same text again.
 */
import { readFileSync } from 'node:fs'
import NodeSqlParser from 'node-sql-parser/build/bigquery.js'
import type { Bounds, SqlType, Table, TablePath } from '../src/exchange.ts'
import type { Schemas, Statements } from '../src/statement/contract.ts'
import { createStatements } from '../src/statement/index.ts'
import { nodeSqlParser } from '../src/statement/node-sql-parser.ts'

const DEFAULTS = { project: 'own' }
const BOUNDS: Bounds = { maxRows: 1000, timeoutMs: 1000, maxBytesBilled: 1 }

const COLUMNS: Readonly<Record<string, SqlType>> = {
  id: { kind: 'INT64' },
  customer_id: { kind: 'INT64' },
  email: { kind: 'STRING' },
  name: { kind: 'STRING' },
  status: { kind: 'STRING' },
  amount: { kind: 'NUMERIC' },
  placed_at: { kind: 'TIMESTAMP' },
  tags: { kind: 'ARRAY', of: { kind: 'STRING' } },
}

/** As a catalog that has seen them all. */
const TABLES = new Map<string, Table>()
const schemas: Schemas = {
  table: (path) => {
    const key = `${path.dataset}.${path.table}`
    const table = TABLES.get(key) ?? tableAt(path)
    TABLES.set(key, table)
    return Promise.resolve(table)
  },
}

function tableAt(path: TablePath): Table {
  const columns = Object.entries(COLUMNS).map(([name, type]) => ({ name, type, nullable: true }))
  return { path, resource: `${path.dataset}.${path.table}`, kind: 'TABLE', columns, version: '1' }
}

/** Written for this bench, `{n}` being another number each time, and `{s}` making tables of another name: what agents ask, from a look at a table to a report. */
const TEXTS: readonly string[] = [
  'SELECT {n} AS answer{s}',
  'SELECT * FROM shop{s}.orders LIMIT {n}',
  "SELECT id, email FROM shop{s}.customers WHERE status = 'open' ORDER BY id DESC LIMIT {n}",
  'SELECT status, COUNT(*) AS n, SUM(amount) AS total FROM shop{s}.orders GROUP BY status HAVING n > {n} ORDER BY total DESC',
  'SELECT c.name, o.amount FROM shop{s}.customers AS c JOIN shop{s}.orders AS o ON o.customer_id = c.id WHERE o.amount > {n}',
  "SELECT DATE_TRUNC(DATE(placed_at), MONTH) AS month, AVG(amount) FROM shop{s}.orders WHERE placed_at >= TIMESTAMP '2026-01-01' AND amount > {n} GROUP BY month ORDER BY month",
  'SELECT tag, COUNT(*) AS n FROM shop{s}.customers, UNNEST(tags) AS tag GROUP BY tag ORDER BY n DESC LIMIT {n}',
  'WITH big AS (SELECT customer_id, SUM(amount) AS total FROM shop{s}.orders GROUP BY customer_id) SELECT c.name, big.total FROM big JOIN shop{s}.customers AS c ON c.id = big.customer_id ORDER BY big.total DESC LIMIT {n}',
  'SELECT name, RANK() OVER (PARTITION BY status ORDER BY amount DESC) AS place FROM shop{s}.orders LIMIT {n}',
  "SELECT id, CASE WHEN amount > {n} THEN 'big' WHEN amount > 10 THEN 'middle' ELSE 'small' END AS size FROM shop{s}.orders",
  "SELECT id FROM shop{s}.customers WHERE email LIKE '%@example.com' AND id IN (SELECT customer_id FROM shop{s}.orders WHERE status = 'open' AND id > {n})",
  'SELECT status FROM shop{s}.orders UNION DISTINCT SELECT status FROM shop{s}.customers WHERE id > {n}',
  `WITH monthly AS (
     SELECT customer_id, DATE_TRUNC(DATE(placed_at), MONTH) AS month, SUM(amount) AS total, COUNT(*) AS n
     FROM shop{s}.orders WHERE status != 'void' GROUP BY customer_id, month
   ), ranked AS (
     SELECT *, ROW_NUMBER() OVER (PARTITION BY month ORDER BY total DESC) AS place,
       LAG(total) OVER (PARTITION BY customer_id ORDER BY month) AS before
     FROM monthly
   )
   SELECT r.month, r.place, c.name, r.total, SAFE_DIVIDE(r.total - r.before, r.before) AS growth
   FROM ranked AS r JOIN shop{s}.customers AS c ON c.id = r.customer_id
   WHERE r.place <= {n} ORDER BY r.month, r.place`,
  `SELECT c.status, COUNT(DISTINCT c.id) AS customers, COUNTIF(o.amount > {n}) AS large,
     APPROX_QUANTILES(o.amount, 4)[OFFSET(2)] AS median, MAX(c.name) AS last,
     ARRAY_AGG(STRUCT(o.id AS id, o.amount AS amount) ORDER BY o.amount DESC LIMIT 3) AS top
   FROM shop{s}.customers AS c LEFT JOIN shop{s}.orders AS o ON o.customer_id = c.id
   WHERE c.email IS NOT NULL AND o.placed_at BETWEEN TIMESTAMP '2026-01-01' AND TIMESTAMP '2026-02-01'
   GROUP BY c.status`,
]

interface Spread {
  readonly mean: number
  readonly p50: number
  readonly p99: number
}

type Row = 'parser' | 'cold' | 'advice' | 'repeated' | 'cached'

const TITLES: Readonly<Record<Row, string>> = {
  parser: 'node-sql-parser, parse alone',
  cold: 'Sluice, cold',
  advice: 'Sluice, third reader (while the dry run is under way)',
  repeated: 'Sluice, repeated shape',
  cached: 'Sluice, cached',
}

/** Prints microseconds; answers with them, for whoever compares. */
export async function benchSql(rounds: number): Promise<Readonly<Record<Row, Spread>>> {
  const wasm = new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm'))
  const parser = new NodeSqlParser.Parser()
  const statements = createStatements(wasm, nodeSqlParser())
  const times: Record<Row, number[]> = { parser: [], cold: [], advice: [], repeated: [], cached: [] }
  // The first rounds warm the engine and are not counted.
  for (let round = -rounds; round < rounds; round++) {
    for (const [i, text] of TEXTS.entries()) {
      const n = 1_000_000 + (round + rounds) * TEXTS.length + i
      // A shape that was not seen before: nothing of it is in a cache, nor are its tables.
      const fresh = text.replaceAll('{s}', String(n)).replace('{n}', String(n))
      const again = text.replaceAll('{s}', String(n)).replace('{n}', String(n + 1))
      const took = {
        parser: timed(() => parser.astify(fresh, { database: 'bigquery' })),
        cold: await timedAsync(() => analyse(statements, fresh)),
        advice: timedAdvice(statements, fresh),
        repeated: await timedAsync(() => analyse(statements, again)),
        cached: await timedAsync(() => analyse(statements, again)),
      }
      if (round < 0) continue
      for (const row of Object.keys(TITLES) as Row[]) times[row].push(took[row])
    }
  }
  const result = {
    parser: spread(times.parser),
    cold: spread(times.cold),
    advice: spread(times.advice),
    repeated: spread(times.repeated),
    cached: spread(times.cached),
  }
  const ratio = (part: Spread, key: keyof Spread): string => `${(part[key] / result.parser[key]).toFixed(3)} ×`
  const lines = (Object.keys(TITLES) as Row[]).map((row) => {
    const part = result[row]
    const ratios = { 'of mean': ratio(part, 'mean'), 'of p50': ratio(part, 'p50'), 'of p99': ratio(part, 'p99') }
    return [TITLES[row], { ...rounded(part), ...ratios }] as const
  })
  console.table(Object.fromEntries(lines))
  console.log(`microseconds over ${times.cold.length} texts; node ${process.version}`)
  return result
}

async function analyse(statements: Statements, sql: string): Promise<void> {
  const parsed = statements.parse(sql, DEFAULTS)
  if (parsed.refused) throw new Error(`${parsed.code}: ${parsed.message} in ${sql}`)
  const bound = await statements.bind(parsed, DEFAULTS, schemas, [], BOUNDS, new AbortController().signal)
  if ('refused' in bound) throw new Error(`${bound.code}: ${bound.message} in ${sql}`)
}

function timedAdvice(statements: Statements, sql: string): number {
  const parsed = statements.parse(sql, DEFAULTS)
  return parsed.refused ? 0 : timed(() => statements.advise?.(parsed))
}

function timed(work: () => unknown): number {
  const start = process.hrtime.bigint()
  work()
  return Number(process.hrtime.bigint() - start) / 1000
}

async function timedAsync(work: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - start) / 1000
}

function spread(times: readonly number[]): Spread {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { mean: times.reduce((sum, time) => sum + time, 0) / times.length, p50: at(0.5), p99: at(0.99) }
}

function rounded({ mean, p50, p99 }: Spread): Spread {
  const round = (value: number): number => Math.round(value * 10) / 10
  return { mean: round(mean), p50: round(p50), p99: round(p99) }
}
