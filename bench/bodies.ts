/**
 * `npm run bench -- bodies [--megabytes 200]`: what recording bodies costs: of a long answer by how much of it is kept, of many
 * short ones, and of secrets in rows. The journal is on this machine's disk; ClickHouse has no part in it.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { recordBodies } from '../plugins/record-bodies/index.ts'
import { openPayloadLog } from '../src/audit/bodies/log.node.ts'
import type { PayloadLog, Tape } from '../src/audit/contract.ts'
import type { Keep, OutputColumn, Principal } from '../src/exchange.ts'
import type { Runtime } from '../src/runtime.ts'
import { digesterOf } from '../src/statement/json/digest.ts'

const CHUNK = randomBytes(65_536)
const PRINCIPAL: Principal = { issuer: 'bench', subject: 'agent', kind: 'agent', plane: 'agents', groups: [] }

/** Prints milliseconds of wall clock and of this process' CPU. */
export async function benchBodies(megabytes: number): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const log = await openPayloadLog({
    dir,
    writer: 'bench',
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    newId: randomUUID,
    hasher() {
      const hash = createHash('sha256')
      return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') }
    },
    log: () => {},
    retainDays: () => 1,
    limits: { maxBytes: 64 * 1024 ** 3 },
  })
  try {
    await longAnswers(log, megabytes)
    await shortAnswers(log)
    await secretsOfRows()
  } finally {
    await log.close()
    await rm(dir, { recursive: true })
  }
}

async function longAnswers(log: PayloadLog, megabytes: number): Promise<void> {
  for (const keep of ['full', { first: 65_536 }, 'digest'] as const satisfies readonly Keep[]) {
    const { wall, cpu } = await timed(async () => {
      const tape = begun(log, keep)
      for (let i = 0; i < megabytes * 16; i++) await tape.push(CHUNK)
      await tape.end()
    })
    const words = typeof keep === 'string' ? keep : `first ${keep.first} bytes`
    console.log(`${megabytes} MiB, ${words}: ${wall.toFixed()} ms, ${(cpu / megabytes).toFixed(2)} ms of CPU per MiB`)
  }
}

async function shortAnswers(log: PayloadLog): Promise<void> {
  for (const clients of [1, 50]) {
    const each = 2_000 / clients
    const took: number[] = []
    const { cpu } = await timed(async () => {
      const client = async (): Promise<void> => {
        for (let i = 0; i < each; i++) {
          const since = performance.now()
          const tape = begun(log, 'full')
          await tape.push(CHUNK.subarray(0, 2_000))
          await tape.end()
          took.push(performance.now() - since)
        }
      }
      await Promise.all(Array.from({ length: clients }, client))
    })
    took.sort((a, b) => a - b)
    const at = (share: number): string => (took[Math.floor(took.length * share)] ?? 0).toFixed(2)
    console.log(
      `2 kB, ${clients} at once: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${((cpu * 1000) / took.length).toFixed()} µs of CPU each`,
    )
  }
}

async function secretsOfRows(): Promise<void> {
  const hooks = await recordBodies.create({}, {} as Runtime)
  const terms = [{ answer: 'full', secrets: ['shop.customers.id'] }]
  const { secrets } = hooks.fulfil?.['record-bodies']?.record?.({ name: 'record-bodies', terms }) ?? {}
  const digest = await digesterOf('a key of at least sixteen bytes')
  const columns: readonly OutputColumn[] = [
    { name: 'id', type: { kind: 'INT64' }, sources: ['shop.customers.id'] },
    { name: 'note', type: { kind: 'STRING' }, sources: [] },
  ]
  const lines = Array.from({ length: 20_000 }, (_, i) => `["${i}","some text of a usual length, ada@example.com"]\n`)
  const batch = { rowCount: lines.length, bytes: new TextEncoder().encode(lines.join('')) }
  const pieces = secrets?.rows?.(columns, digest, [])
  if (pieces === undefined) throw new Error('no secrets')
  const rounds = 10
  // The first warms up.
  for (const _ of pieces(batch));
  const { cpu } = await timed(async () => {
    for (let round = 0; round < rounds; round++) for (const _ of pieces(batch));
  })
  console.log(`rows with one secret: ${((cpu * 1000) / rounds / lines.length).toFixed(2)} µs of CPU each`)
}

function begun(log: PayloadLog, keep: Keep): Tape {
  const exchange = { id: '01940000-0000-7000-8000-000000000001', connection: 'bench', principal: PRINCIPAL }
  return log.open({ exchange, direction: 'answer', type: 'application/octet-stream', keep })
}

async function timed(work: () => Promise<void>): Promise<{ readonly wall: number; readonly cpu: number }> {
  const [since, before] = [performance.now(), process.cpuUsage()]
  await work()
  const { user, system } = process.cpuUsage(before)
  return { wall: performance.now() - since, cpu: (user + system) / 1000 }
}
