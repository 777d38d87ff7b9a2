/** A sealed segment as the journal hands it on. */
import type { AuditRecord } from '../../../../src/audit/contract.ts'
import { encodeRow, SCHEMA_VERSION, toRow } from '../../../../src/audit/record.ts'
import type { SealedRows } from '../../../../src/audit/ship.ts'
import { exchange, ids } from '../stage.ts'

export interface Segment {
  readonly sealed: SealedRows
  readonly rows: readonly Uint8Array[]
}

export function segmentOf(records: readonly AuditRecord[], segment = 1, firstSeq = 1): Segment {
  const newId = ids()
  const rows = records.map((record, at) => {
    const stamp = { recordId: newId(), writer: 'gateway-1', epoch: exchange(0), retainDays: 400 }
    return encodeRow({ ...toRow(record, stamp), segment, writer_seq: firstSeq + at })
  })
  return { sealed: { segment, schema: SCHEMA_VERSION, firstSeq, records: rows.length }, rows }
}
