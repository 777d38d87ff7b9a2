/** A process that appends records as fast as it may and says which were acknowledged, until it is killed. */
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { openClickHouse } from '../../../src/audit/clickhouse.node.ts'
import { openAuditLog } from '../../../src/audit/log.node.ts'

const [dir, first, url, database] = process.argv.slice(2)
const log = await openAuditLog({
  dir: dir!,
  writer: 'child',
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  newId: randomUUID,
  log: () => {},
  limits: { segmentBytes: 65_536, sealAfterMs: 20, pauseMs: 20, maxPauseMs: 100 },
  ...(url !== undefined && {
    clickhouse: openClickHouse({ url, database: 'default', requestTimeoutMs: 10_000 }),
    ...(database !== undefined && { database }),
  }),
})
let next = Number(first)
async function appendForever(): Promise<never> {
  for (;;) {
    const n = next++
    await log.append({ kind: 'policy', at: Date.now(), exchange: randomUUID(), surface: 'gateway', note: String(n) })
    // Straight to the pipe: what was said to be acknowledged is said even if the process dies in the next moment.
    writeSync(1, `${n}\n`)
  }
}
await Promise.all(Array.from({ length: 32 }, appendForever))
