/** What tests of the audit log have in common: records, ids, a clock, a folder, and a file system that fails when told. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { AuditRecord } from '../../../src/audit/contract.ts'
import type { Files } from '../../../src/audit/files.node.ts'
import type { Clock, Log } from '../../../src/runtime.ts'

export const clock: Clock = { now: () => Date.UTC(2026, 0, 5, 9, 30), monotonic: () => performance.now() }
export const quiet: Log = () => {}

/** UUIDv7-shaped ids in order. */
export function ids(): () => string {
  let next = 0
  return () => `01930000-0000-7000-8000-${String(++next).padStart(12, '0')}`
}

export const exchange = (n: number): string => `01940000-0000-7000-8000-${String(n).padStart(12, '0')}`

/** A small record that can be told from others by `n`. */
export function noted(n: number): AuditRecord {
  return { kind: 'policy', at: 1_767_605_400_000 + n, exchange: exchange(n), surface: 'gateway', note: `note ${n}` }
}

/** A decided record with every part. */
export const decidedFully: AuditRecord = {
  kind: 'decided',
  at: 1_767_605_400_123,
  exchange: exchange(1),
  surface: 'query',
  plane: 'agents',
  principal: {
    issuer: 'corp',
    subject: 'agent-7',
    kind: 'agent',
    plane: 'agents',
    groups: ['analyst-agents', 'Zürich'],
    actsFor: { issuer: 'corp', subject: 'ada' },
  },
  connection: 'warehouse',
  purpose: 'weekly report: “north”',
  statement: {
    language: 'googlesql',
    kind: 'SELECT',
    text: 'SELECT email\n\nFROM shop.customers WHERE id = @id',
    uses: [
      { action: 'read', resource: 'shop.customers' },
      { action: 'read', resource: 'shop.orders', via: 'shop.customer_directory' },
    ],
    parameters: ['@id INT64'],
    estimatedBytes: 4_294_967_296,
    shape: '0123456789abcdef',
  },
  findings: [{ kind: 'sql-risk/score', count: 1, facts: { risk: { score: 70 } } }],
  decision: {
    effect: 'permit',
    reasons: [{ code: 'agents/read', because: 'analysts may read the shop', where: 'shop.customers' }],
    obligations: [{ name: 'mask-columns', terms: [{ columns: ['email'], strategy: 'partial' }] }],
  },
  policy: `sha256:${'a'.repeat(64)}`,
}

export const completedFully: AuditRecord = {
  kind: 'completed',
  at: 1_767_605_401_000,
  exchange: exchange(1),
  surface: 'query',
  plane: 'agents',
  ...(decidedFully.principal && { principal: decidedFully.principal }),
  connection: 'warehouse',
  ...(decidedFully.statement && { statement: decidedFully.statement }),
  policy: `sha256:${'a'.repeat(64)}`,
  completion: {
    ran: 'SELECT email FROM (SELECT …)',
    job: 'sluice_1',
    rowCount: 12,
    byteCount: 3456,
    masked: [
      { resource: 'shop.customers', column: 'email', strategy: 'partial' },
      { resource: 'shop.customers', column: 'address.street', strategy: 'redact' },
    ],
    statistics: { bytesProcessed: 100, bytesBilled: 200, cacheHit: false, durationMs: 12.5 },
    ending: 'whole',
  },
}

/** A folder of the test's own, gone afterwards. */
export async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-audit-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

export interface Faults {
  /** Answers a write instead of the disk: throws, or says how many bytes are taken. */
  write?: ((bytes: Uint8Array) => number) | undefined
  sync?: (() => void | Promise<void>) | undefined
  create?: ((name: string) => void) | undefined
  syncFolder?: (() => void) | undefined
  remove?: ((name: string) => void) | undefined
}

/** The real files, but for what `faults` says at the time. */
export function faulty(files: Files, faults: Faults): Files {
  return {
    ...files,
    async create(name) {
      faults.create?.(name)
      const file = await files.create(name)
      return {
        ...file,
        write: async (bytes, position) => {
          const most = faults.write?.(bytes) ?? bytes.length
          return most === 0 ? 0 : file.write(bytes.subarray(0, most), position)
        },
        sync: async () => {
          await faults.sync?.()
          await file.sync()
        },
      }
    },
    async remove(name) {
      faults.remove?.(name)
      await files.remove(name)
    },
    async syncFolder() {
      faults.syncFolder?.()
      await files.syncFolder()
    },
  }
}

/** An error as the system makes it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code })
}
