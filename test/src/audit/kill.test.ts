import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { openAuditLog, type AuditClickHouse } from '../../../src/audit/log.node.ts'
import { decodeRows, type Row } from '../../../src/audit/record.ts'
import { clock, ids, quiet, tempDir } from './stage.ts'

/** Runs a writer until it has acknowledged `enough` records, kills it in the middle of more, and says which they were. */
async function killedWriter(dir: string, first: number, enough: number): Promise<readonly number[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'writer.child.ts'), dir, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  let lines = 0
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    for (const byte of chunk) if (byte === 10) lines++
    if (lines >= enough) child.kill('SIGKILL')
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  expect(code).toBeNull()
  return said.slice(0, said.lastIndexOf('\n')).split('\n').map(Number)
}

test('writers killed under load: nothing acknowledged is lost, nothing is doubled, no number is missing', async () => {
  const dir = await tempDir()
  const acknowledged: number[] = []
  for (let round = 0; round < 5; round++) {
    acknowledged.push(...(await killedWriter(dir, round * 1_000_000, 500 + round * 777)))
  }
  const rows: Row[] = []
  const clickhouse: AuditClickHouse = {
    insertRowBinary: async (_table, _columns, bytes) => void rows.push(...decodeRows(bytes)),
    command: async () => {},
    query: async () => new Blob(['1\n']).stream(),
    close: async () => {},
  }
  const log = await openAuditLog({ dir, writer: 'reader', clock, newId: ids(), log: quiet, clickhouse })
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0), { timeout: 20_000 })
  await log.close()

  const notes = rows.map(({ note }) => Number(note))
  const kept = new Set(notes)
  expect(acknowledged.length).toBeGreaterThan(5 * 500)
  expect(acknowledged.filter((n) => !kept.has(n))).toEqual([])
  expect(kept.size).toBe(notes.length)
  expect(rows.map(({ writer_seq }) => writer_seq)).toEqual(rows.map((_, index) => index + 1))
  expect(new Set(rows.map(({ epoch }) => epoch)).size).toBe(1)
})
