/**
 * What recording costs an exchange: the gateway's journey over parts that cost nothing, with the whole audit log behind it
 * (journal on this disk, tree and checkpoints, delivery to the sandbox's ClickHouse) and with one that forgets, in turns.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPart } from '../sandbox/parts.ts'
import { openChain } from '../src/audit/chain/chain.node.ts'
import { newCheckpointKey, sha256, signerOfKey } from '../src/audit/chain/keys.node.ts'
import { clickHouseSink } from '../src/audit/chain/sinks.node.ts'
import { openClickHouse } from '../src/audit/clickhouse.node.ts'
import type { AuditLog } from '../src/audit/contract.ts'
import { openAuditLog } from '../src/audit/log.node.ts'
import { createMigrator } from '../src/audit/schema.ts'
import type { Clock } from '../src/runtime.ts'
import { journey, QUESTION, STATEMENT, type Journey } from '../test/support/journey.ts'
import { Dice } from './dice.ts'

export interface Cost {
  readonly name: string
  /** Milliseconds, over all rounds. */
  readonly p50: number
  readonly p99: number
  /** Microseconds of this process for each exchange: all of its threads, delivery too. */
  readonly cpu: number
  readonly exchanges: number
}

export interface CostOptions {
  readonly rounds: number
  readonly seconds: number
  readonly perSecond: number
}

const DATABASE = 'cost'
const WRITER = 'bench'
const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }

/** Measures; the first is without. */
export async function measureCost(options: CostOptions): Promise<readonly [off: Cost, on: Cost]> {
  const data = mkdtempSync(join(tmpdir(), 'sluice-bench-audit-'))
  const clickhouse = await startPart('clickhouse', { port: 0, data: join(data, 'clickhouse') })
  const dice = new Dice(3)
  const log = await openLog(join(data, 'journal'), clickhouse.url, dice)
  try {
    const off = contender('off', { append: async () => {} })
    const on = contender('on', log)
    // Round 0 warms up.
    for (let round = 0; round <= options.rounds; round++) {
      for (const each of [off, on])
        await each.round(round === 0 ? { ...options, seconds: 2 } : options, round > 0, dice)
    }
    return [off.cost(), on.cost()]
  } finally {
    await log.close()
    await clickhouse.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

function openLog(dir: string, url: string, dice: Dice): Promise<AuditLog> {
  const store = openClickHouse({ url, database: 'default', requestTimeoutMs: 60_000 })
  const quiet = (): void => {}
  return openAuditLog({
    dir,
    writer: WRITER,
    clock,
    newId: () => dice.uuidv7(Date.now()),
    log: quiet,
    clickhouse: store,
    database: DATABASE,
    lastDeliveryMs: 60_000,
    chain: async (journal) =>
      openChain({
        ...journal,
        writer: WRITER,
        origin: 'bench',
        signers: [await signerOfKey('bench', newCheckpointKey())],
        everyMs: 60_000,
        sinks: [clickHouseSink(store, createMigrator(store, DATABASE), DATABASE)],
        witnesses: [],
        sha256,
        clock,
        log: quiet,
      }),
  })
}

interface Contender {
  round(options: CostOptions, counts: boolean, dice: Dice): Promise<void>
  cost(): Cost
}

function contender(name: string, log: Pick<AuditLog, 'append'>): Contender {
  const latencies: number[] = []
  let cpuMicros = 0
  let exchanges = 0
  return {
    async round({ seconds, perSecond }, counts, dice) {
      // Made anew: it keeps what it did.
      const over = gatewayOver(log)
      const ask = async (): Promise<number> => {
        const began = performance.now()
        const now = Date.now()
        const outcome = await over.gateway.handle(
          over.knock({ id: dice.uuidv7(now), receivedAt: now }),
          async () => QUESTION,
        )
        if (outcome.kind !== 'answer') throw new Error(`the gateway said ${outcome.kind}`)
        for (;;) if ((await outcome.rows.next()).done === true) break
        return performance.now() - began
      }
      const cpu = process.cpuUsage()
      const took = await paced(ask, seconds, perSecond)
      // What it wrote is delivered within its own time.
      await sleep(1000)
      const { user, system } = process.cpuUsage(cpu)
      if (!counts) return
      for (const each of took) latencies.push(each)
      exchanges += took.length
      cpuMicros += user + system
    },
    cost() {
      const sorted = latencies.toSorted((a, b) => a - b)
      const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
      return { name, p50: at(0.5), p99: at(0.99), cpu: cpuMicros / exchanges, exchanges }
    },
  }
}

/** A statement of the usual length; everything else is at hand. */
function gatewayOver(log: Pick<AuditLog, 'append'>): Journey {
  const text = `SELECT id, email, amount, status FROM shop.orders WHERE ${'region = "north" AND '.repeat(12)} id > 7`
  return journey({
    now: () => Date.now(),
    append: (record) => log.append(record),
    inflight: 10_000,
    each: 10_000,
    statements: {
      bind: (_parsed, _defaults, _schemas, parameters, bounds) =>
        Promise.resolve({ ...STATEMENT, text, shape: '93dd0ea41557f7c8', parameters, bounds }),
    },
  })
}

/** Begins `perSecond` of them a second whatever becomes of those before, and resolves with how long each took. */
async function paced(ask: () => Promise<number>, seconds: number, perSecond: number): Promise<readonly number[]> {
  const began = performance.now()
  const asked: Promise<number>[] = []
  while (asked.length < seconds * perSecond) {
    const due = Math.min(seconds * perSecond, ((performance.now() - began) / 1000) * perSecond)
    while (asked.length < due) asked.push(ask())
    await sleep(1)
  }
  return Promise.all(asked)
}
