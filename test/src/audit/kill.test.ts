import { expect, test, vi } from 'vitest'
import { openAuditLog, type AuditClickHouse } from '../../../src/audit/log.node.ts'
import { decodeRows, type Row } from '../../../src/audit/record.ts'
import { killedWriter } from './killed-writer.ts'
import { clock, ids, quiet, tempDir } from './stage.ts'

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
