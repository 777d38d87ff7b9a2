import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  canonicalJson,
  COLUMN_NAMES,
  decodeRow,
  decodeRows,
  encodeRow,
  encodeUnplaced,
  toRow,
  type Row,
} from '../../../src/audit/record.ts'
import { MalformedBytes } from '../../../src/audit/rowbinary.ts'
import { completedFully, decidedFully, exchange, noted } from './stage.ts'

const stamp = {
  recordId: '01930000-0000-7000-8000-000000000009',
  writer: 'gateway-1',
  epoch: '01920000-0000-7000-8000-000000000001',
  retainDays: 400,
}
const place = { segment: 3, writer_seq: 42 }
const rowOf = (record: Parameters<typeof toRow>[0]): Row => ({ ...toRow(record, stamp), ...place })

describe('a record becomes one row', () => {
  test('a decision, with every part at its place', () => {
    expect(rowOf(decidedFully)).toEqual({
      ts: 1_767_605_400_123_000,
      record_id: stamp.recordId,
      exchange_id: exchange(1),
      kind: 'decided',
      surface: 'query',
      plane: 'agents',
      issuer: 'corp',
      subject: 'agent-7',
      principal_kind: 'agent',
      groups: ['analyst-agents', 'Zürich'],
      acts_for_issuer: 'corp',
      acts_for_subject: 'ada',
      connection: 'warehouse',
      purpose: 'weekly report: “north”',
      language: 'googlesql',
      statement_kind: 'SELECT',
      statement: 'SELECT email\n\nFROM shop.customers WHERE id = @id',
      actions: ['read', 'read'],
      tables: ['shop.customers', 'shop.orders'],
      vias: ['', 'shop.customer_directory'],
      parameters: ['@id INT64'],
      estimated_bytes: 4_294_967_296,
      effect: 'permit',
      reason_codes: ['agents/read'],
      reason_texts: ['analysts may read the shop'],
      reasons: '[{"because":"analysts may read the shop","code":"agents/read","where":"shop.customers"}]',
      obligations: '[{"name":"mask-columns","terms":[{"columns":["email"],"strategy":"partial"}]}]',
      approver_groups: '[]',
      hold_expires_at: null,
      findings: '[{"count":1,"facts":{"risk":{"score":70}},"kind":"sql-risk/score"}]',
      policy: `sha256:${'a'.repeat(64)}`,
      failure_code: '',
      failure_message: '',
      ran: '',
      job: '',
      row_count: null,
      byte_count: null,
      masked_tables: [],
      masked_columns: [],
      masked_strategies: [],
      ending: '',
      cut: '',
      bytes_processed: null,
      bytes_billed: null,
      cache_hit: null,
      rows_affected: null,
      duration_ms: null,
      hold_id: '',
      hold_state: '',
      hold_comment: '',
      note: '',
      writer: 'gateway-1',
      epoch: stamp.epoch,
      retain_until: 20_458 + 400,
      shape: '0123456789abcdef',
      status: null,
      masked_counts: [],
      request_type: '',
      request_bytes: null,
      request_digest: '',
      request_body: '',
      received_at: null,
      first_byte_ms: null,
      total_ms: null,
      weighed: '',
      request_recorded: '',
      request_kept: null,
      request_kept_digest: '',
      answer_type: '',
      answer_recorded: '',
      answer_bytes: null,
      answer_digest: '',
      answer_kept: null,
      answer_kept_digest: '',
      outcome: '',
      documents: '',
      ...place,
    })
  })

  test('a completion, with masks side by side and what the upstream said', () => {
    expect(rowOf(completedFully)).toMatchObject({
      kind: 'completed',
      ran: 'SELECT email FROM (SELECT …)',
      row_count: 12,
      byte_count: 3456,
      masked_tables: ['shop.customers', 'shop.customers'],
      masked_columns: ['email', 'address.street'],
      masked_strategies: ['partial', 'redact'],
      masked_counts: [0, 0],
      ending: 'whole',
      cache_hit: false,
      rows_affected: null,
      duration_ms: 12.5,
    })
  })

  test('a hold says who may approve and until when', () => {
    const row = rowOf({
      ...noted(1),
      kind: 'decided',
      decision: {
        effect: 'hold',
        reasons: [],
        obligations: [],
        approvers: [{ groups: ['data-owners'], count: 1 }],
        expiresAt: 1_767_609_000_000,
      },
    })
    expect([row.effect, row.approver_groups, row.hold_expires_at]).toEqual([
      'hold',
      '[{"count":1,"groups":["data-owners"]}]',
      1_767_609_000_000,
    ])
  })

  test('a number of the upstream that is no count is absent, and the record stands', () => {
    const { completion } = completedFully
    const odd = { ...completion!, statistics: { bytesProcessed: -1, bytesBilled: Number.NaN, durationMs: Infinity } }
    expect(rowOf({ ...completedFully, completion: odd })).toMatchObject({
      bytes_processed: null,
      bytes_billed: null,
      duration_ms: null,
    })
  })
})

describe('a row is its bytes', () => {
  test('what was written is read again, alone and one behind the other', () => {
    const rows = [rowOf(decidedFully), rowOf(completedFully), rowOf(noted(1))]
    expect(rows.map(encodeRow).map((bytes) => decodeRow(bytes))).toEqual(rows)
    expect(decodeRows(Buffer.concat(rows.map(encodeRow)))).toEqual(rows)
  })

  test('its place is its last 16 bytes', () => {
    const bytes = Buffer.from(encodeRow(rowOf(decidedFully)))
    expect(bytes.subarray(0, -16)).toEqual(Buffer.from(encodeUnplaced(toRow(decidedFully, stamp))))
    expect([bytes.readBigUInt64LE(bytes.length - 16), bytes.readBigUInt64LE(bytes.length - 8)]).toEqual([3n, 42n])
    expect(COLUMN_NAMES.slice(-2)).toEqual(['segment', 'writer_seq'])
  })

  test('texts of any length and content survive; a row cut anywhere does not', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 400 }),
        fc.array(fc.string(), { maxLength: 200 }),
        (text, words) => {
          const row: Row = { ...rowOf(noted(1)), note: text.toWellFormed(), parameters: words }
          expect(decodeRow(encodeRow(row))).toEqual(row)
        },
      ),
    )
    const bytes = encodeRow(rowOf(decidedFully))
    for (let end = 0; end < bytes.length; end++) {
      expect(() => decodeRow(bytes.subarray(0, end))).toThrow(MalformedBytes)
    }
    expect(() => decodeRow(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('a row ends too late')
  })

  test('what has no canonical form is refused', () => {
    const cycle: unknown[] = []
    cycle.push(cycle)
    expect(() => canonicalJson(cycle)).toThrow('nested too deeply')
    expect(() => canonicalJson({ n: Number.NaN })).toThrow('no JSON form')
    expect(() => canonicalJson([() => 1])).toThrow('no JSON form')
    expect(() => encodeRow(rowOf({ ...noted(1), exchange: 'not-a-uuid' }))).toThrow('an id is not a UUID')
    expect(canonicalJson({ b: [1, { d: 'x', c: null }], a: undefined })).toBe('{"b":[1,{"c":null,"d":"x"}]}')
  })
})
