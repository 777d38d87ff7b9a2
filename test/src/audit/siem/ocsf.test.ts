import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AuditRecord } from '../../../../src/audit/contract.ts'
import { COLUMNS, decodeRow, encodeRow, toRow, type Row } from '../../../../src/audit/record.ts'
import { ByteWriter } from '../../../../src/audit/rowbinary.ts'
import { eventOf, ocsfOf } from '../../../../src/audit/siem/ocsf.ts'
import { completedFully, decidedFully, exchange, noted } from '../stage.ts'
import { faultsOf } from './ocsf-schema.ts'

const EPOCH = '01920000-0000-7000-8000-000000000001'
const RECORD = '01930000-0000-7000-8000-000000000009'
const options = { version: '0.1.0', bounds: { chars: 2000, items: 100 } }

function rowOf(record: AuditRecord): Row {
  const stamp = { recordId: RECORD, writer: 'gateway-1', epoch: EPOCH, retainDays: 400 }
  return { ...toRow(record, stamp), segment: 3, writer_seq: 42 }
}

const event = (record: AuditRecord) => eventOf(rowOf(record), options)

const person = { issuer: 'corp', subject: 'grace', kind: 'person', plane: 'people', groups: ['approvers'] } as const
const at = 1_767_605_400_000

const httpDecided: AuditRecord = {
  kind: 'decided',
  at,
  receivedAt: at - 5,
  exchange: exchange(2),
  surface: 'proxy',
  plane: 'agents',
  ...(decidedFully.principal && { principal: decidedFully.principal }),
  connection: 'crm',
  statement: {
    language: 'http',
    kind: 'PATCH',
    text: 'PATCH /customers/42?notify=true',
    uses: [{ action: 'write', resource: 'updateCustomer' }],
    parameters: [],
    request: { type: 'application/json', bytes: 23, digest: 'd'.repeat(64), text: '{"email":"x@example.org"}' },
  },
  findings: [],
  decision: { effect: 'deny', reasons: [{ code: 'crm/no-writes', because: 'agents do not write' }] },
  policy: `sha256:${'a'.repeat(64)}`,
}
const httpCompleted: AuditRecord = {
  ...httpDecided,
  kind: 'completed',
  completion: {
    ran: 'PATCH /customers/42?notify=true',
    rowCount: 0,
    byteCount: 120,
    masked: [{ resource: 'updateCustomer', column: '$.email', strategy: 'redact', count: 3 }],
    statistics: { durationMs: 8 },
    status: 404,
    ending: 'whole',
    timings: { firstByteMs: 7.6, totalMs: 9.4 },
    bodies: {
      answer: {
        mode: 'full',
        type: 'application/json',
        bytes: 120,
        digest: 'b'.repeat(64),
        kept: 120,
        keptDigest: 'b'.repeat(64),
      },
    },
  },
}
const refused = (code: string): AuditRecord => ({
  kind: 'refused',
  at,
  exchange: exchange(3),
  surface: 'query',
  failure: { code, message: 'the bearer token is not accepted' },
})
const hold = (state: string): AuditRecord => ({
  kind: 'hold',
  at,
  exchange: exchange(4),
  surface: 'holds',
  plane: 'people',
  principal: person,
  connection: 'warehouse',
  hold: { id: exchange(4), state, comment: 'as agreed' },
})
const gateway = (kind: 'started' | 'stopped' | 'policy'): AuditRecord => ({
  kind,
  at,
  exchange: exchange(5),
  surface: 'gateway',
  note: 'the set of 3 documents',
  ...(kind === 'policy' && { policy: `sha256:${'c'.repeat(64)}` }),
  documents: { 'policies/agents.yaml': 'rules: []' },
})
const settled = (outcome: 'ran' | 'not-run' | 'unknown'): AuditRecord => ({
  kind: 'settled',
  at,
  exchange: exchange(1),
  surface: 'query',
  plane: 'agents',
  ...(decidedFully.principal && { principal: decidedFully.principal }),
  connection: 'warehouse',
  settled: { outcome, detail: 'as the job says', job: 'sluice_1' },
})
const auditQuery: AuditRecord = {
  kind: 'audit-query',
  at,
  exchange: exchange(6),
  surface: 'audit',
  plane: 'people',
  principal: person,
  statement: { language: 'clickhouse', kind: 'SELECT', text: 'SELECT 1', uses: [], parameters: [] },
}
const looked: AuditRecord = {
  kind: 'looked',
  at,
  exchange: exchange(7),
  surface: 'connections',
  plane: 'agents',
  ...(decidedFully.principal && { principal: decidedFully.principal }),
  note: '2 connections',
}
const failed: AuditRecord = {
  ...decidedFully,
  kind: 'failed',
  failure: { code: 'upstream-late', message: 'the upstream did not answer in time' },
}

const EVERY: readonly (readonly [string, AuditRecord])[] = [
  ['a decision on SQL', decidedFully],
  ['an end of SQL', completedFully],
  ['a failure', failed],
  ['a decision on HTTP', httpDecided],
  ['an end of HTTP', httpCompleted],
  ...['credential-missing', 'credential-refused', 'wrong-plane', 'bad-request', 'statement-refused'].map(
    (code) => [`a refusal: ${code}`, refused(code)] as const,
  ),
  ...['pending', 'approved', 'rejected', 'expired', 'withdrawn', 'running', 'done', 'failed', 'unknown'].map(
    (state) => [`a hold that is ${state}`, hold(state)] as const,
  ),
  ...(['ran', 'not-run', 'unknown'] as const).map((outcome) => [`settled: ${outcome}`, settled(outcome)] as const),
  ['an audit query', auditQuery],
  ['somebody who looked', looked],
  ['another policy set', gateway('policy')],
  ['a start', gateway('started')],
  ['a stop', gateway('stopped')],
  ['little more than a kind', noted(1)],
]

describe('every record is an event of OCSF 1.5', () => {
  test.each(EVERY)('%s', (_, record) => {
    expect(faultsOf(event(record))).toEqual([])
  })

  test('whatever its columns hold', () => {
    const word = fc.constantFrom('', 'permit', 'refused', 'http', 'googlesql', 'credential-refused', 'x'.repeat(3000))
    const odd = fc.record({
      kind: fc.constantFrom('refused', 'decided', 'completed', 'failed', 'settled', 'hold', 'looked', 'policy', 'new'),
      surface: fc.constantFrom('query', 'proxy', 'holds', 'audit', 'gateway', ''),
      language: word,
      effect: word,
      failure_code: word,
      failure_message: fc.string(),
      subject: fc.string(),
      connection: fc.constantFrom('', 'warehouse'),
      statement: fc.constantFrom('', 'GET /x?', 'GET ?', 'SELECT 1', '\uD800'),
      statement_kind: fc.constantFrom('', 'GET', 'TRACE', 'SELECT', 'UNKNOWN', 'EXPORT_DATA'),
      findings: fc.constantFrom('', '{', '[]', '[null]', '[{"kind":"sql-risk/score","facts":{"risk":{"score":1e9}}}]'),
      hold_state: word,
      outcome: word,
      reason_codes: fc.array(fc.constantFrom('a/b', 'no-permit'), { maxLength: 150 }),
      status: fc.option(fc.nat(999)),
      total_ms: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
    })
    const empty = Object.fromEntries(COLUMNS.map(({ name, codec }) => [name, codec.empty])) as unknown as Row
    const row = { ...empty, record_id: RECORD, exchange_id: exchange(1), writer: 'gateway-1', writer_seq: 1 }
    fc.assert(
      fc.property(odd, (columns) => {
        expect(faultsOf(eventOf({ ...row, ...columns }, options))).toEqual([])
      }),
      { numRuns: 2000 },
    )
  })
})

test('a permit of SQL, whole', () => {
  expect(event(decidedFully)).toEqual({
    category_uid: 6,
    category_name: 'Application Activity',
    class_uid: 6005,
    class_name: 'Datastore Activity',
    activity_id: 4,
    activity_name: 'Query',
    type_uid: 600504,
    type_name: 'Datastore Activity: Query',
    severity_id: 3,
    severity: 'Medium',
    status_id: 99,
    status: 'Permitted',
    status_detail: 'analysts may read the shop',
    action_id: 1,
    action: 'Allowed',
    disposition_id: 1,
    disposition: 'Allowed',
    is_alert: false,
    policy: { uid: `sha256:${'a'.repeat(64)}`, is_applied: true, name: 'agents/read' },
    risk_score: 70,
    risk_level_id: 2,
    risk_level: 'Medium',
    time: 1_767_605_400_123,
    message: 'permit: SELECT by agent-7 on warehouse',
    actor: {
      user: {
        uid: 'agent-7',
        name: 'agent-7',
        domain: 'corp',
        type_id: 99,
        type: 'Agent',
        groups: [{ name: 'analyst-agents' }, { name: 'Zürich' }],
      },
      idp: { name: 'corp' },
    },
    src_endpoint: { name: 'agent-7', type_id: 0, type: 'Unknown' },
    dst_endpoint: { svc_name: 'warehouse' },
    type_id: 1,
    type: 'Database',
    database: { name: 'warehouse', type_id: 1, type: 'Relational' },
    table: { name: 'shop.customers' },
    query_info: { uid: exchange(1), query_string: 'SELECT email\n\nFROM shop.customers WHERE id = @id' },
    unmapped: {
      surface: 'query',
      plane: 'agents',
      connection: 'warehouse',
      purpose: 'weekly report: “north”',
      acts_for: { issuer: 'corp', subject: 'ada' },
      shape: '0123456789abcdef',
      effect: 'permit',
      reasons: [{ code: 'agents/read', because: 'analysts may read the shop' }],
      findings: [{ kind: 'sql-risk/score', count: 1 }],
      policy: `sha256:${'a'.repeat(64)}`,
      resources: [
        { name: 'shop.customers', action: 'read' },
        { name: 'shop.orders', action: 'read', via: 'shop.customer_directory' },
      ],
      estimated_bytes: 4_294_967_296,
      writer: 'gateway-1',
      epoch: EPOCH,
      segment: 3,
    },
    metadata: {
      version: '1.5.0',
      product: { name: 'Sluice', vendor_name: 'Sluice', version: '0.1.0' },
      uid: RECORD,
      correlation_uid: exchange(1),
      event_code: 'decided',
      log_name: 'audit',
      log_provider: 'gateway-1',
      sequence: 42,
      profiles: ['security_control'],
    },
  })
})

describe('what happened can be told', () => {
  const told = (record: AuditRecord) => {
    const { type_uid, severity, status, action, disposition } = event(record)
    return { type_uid, severity, status, action, disposition }
  }

  test.each([
    ['nobody was proven', refused('credential-refused'), [300_201, 'Low', 'Failure', 'Denied', 'Unauthorized']],
    ['a token of the other plane', refused('wrong-plane'), [300_201, 'Medium', 'Failure', 'Denied', 'Unauthorized']],
    ['not understood', refused('statement-refused'), [600_500, 'Low', 'Failure', 'Denied', 'Rejected']],
    ['denied', httpDecided, [600_303, 'Low', 'Failure', 'Denied', 'Blocked']],
    ['answered with an error', httpCompleted, [600_303, 'Informational', 'Failure', 'Allowed', 'Allowed']],
    ['answered', completedFully, [600_504, 'Informational', 'Success', 'Allowed', 'Allowed']],
    ['permitted, then broke', failed, [600_504, 'Medium', 'Failure', 'Allowed', 'Error']],
    ['held', hold('pending'), [600_303, 'Informational', 'Success', 'Unknown', 'Delayed']],
    ['approved', hold('approved'), [600_303, 'Informational', 'Success', 'Allowed', 'Approved']],
    ['rejected', hold('rejected'), [600_303, 'Informational', 'Success', 'Denied', 'Rejected']],
    ['nobody knows whether it ran', settled('unknown'), [600_500, 'Medium', 'Unknown', undefined, undefined]],
    ['another policy set', gateway('policy'), [300_403, 'Low', 'Success', undefined, undefined]],
    ['started', gateway('started'), [600_203, 'Informational', 'Success', undefined, undefined]],
    ['an auditor asked', auditQuery, [600_504, 'Informational', 'Permitted', 'Allowed', 'Allowed']],
  ] as const)('%s', (_, record, [type_uid, severity, status, action, disposition]) => {
    expect(told(record)).toEqual({ type_uid, severity, status, action, disposition })
  })

  test('a risk of 80 is High, an alert, and not hidden by a permit', () => {
    const risky = { ...decidedFully, findings: [{ kind: 'sql-risk/score', facts: { risk: { score: 80 } } }] }
    expect(event(risky)).toMatchObject({ severity: 'High', is_alert: true, risk_score: 80, risk_level: 'High' })
  })

  test('who approved is the actor, and the hold is named', () => {
    expect(event(hold('approved'))).toMatchObject({
      actor: { user: { uid: 'grace', type: 'User', type_id: 1 } },
      api: { operation: 'hold.approved' },
      resources: [{ uid: exchange(4), type: 'hold' }],
      unmapped: { hold: { id: exchange(4), state: 'approved', comment: 'as agreed' } },
    })
  })

  test('what was masked, by column, strategy and count', () => {
    expect(event(httpCompleted)).toMatchObject({
      http_request: { http_method: 'PATCH', url: { path: '/customers/42', query_string: 'notify=true' } },
      http_response: { code: 404, content_type: 'application/json', length: 120, latency: 8 },
      duration: 9,
      unmapped: { masked: [{ resource: 'updateCustomer', column: '$.email', strategy: 'redact', count: 3 }] },
    })
  })
})

test('bodies, policy documents, the rewritten text and what policies weighed stay in the record', () => {
  const secret = 'x@example.org'
  const weighed = { ...decidedFully.statement, weighed: '{"columns":["ssn"]}' } as AuditRecord['statement']
  const all = [
    event(httpCompleted),
    event(gateway('policy')),
    event({ ...decidedFully, ...(weighed && { statement: weighed }) }),
    event(completedFully),
  ]
  const text = JSON.stringify(all)
  for (const hidden of [secret, 'rules: []', 'FROM (SELECT', 'ssn']) expect(text).not.toContain(hidden)
})

test('what is too long is cut, and the event says so', () => {
  const long = { ...decidedFully, purpose: `${'p'.repeat(1999)}🦆`, statement: { ...decidedFully.statement! } }
  const uses = Array.from({ length: 150 }, (_, n) => ({ action: 'read' as const, resource: `t.t${n}` }))
  const cut = event({ ...long, statement: { ...long.statement, text: 'S'.repeat(5000), uses } })
  expect(cut).toMatchObject({
    query_info: { query_string: 'S'.repeat(2000) },
    unmapped: { purpose: 'p'.repeat(1999) },
    metadata: {
      debug: [
        'query_info.query_string is cut to 2000 characters',
        'unmapped.purpose is cut to 2000 characters',
        'unmapped.resources is cut to 100 of 150 items',
      ],
    },
  })
  expect(faultsOf(cut)).toEqual([])
})

test('the largest of records is a small event, where that is asked for', () => {
  const long = (of: string): string => of.repeat(4000)
  const many = <T>(of: (n: number) => T): T[] => Array.from({ length: 1000 }, (_, n) => of(n))
  const huge: AuditRecord = {
    ...completedFully,
    purpose: long('p'),
    principal: { ...person, subject: long('s'), groups: many((n) => long(`g${n}`)) },
    statement: {
      ...decidedFully.statement!,
      text: long('S'),
      uses: many((n) => ({ action: 'read', resource: long(`t${n}`) })),
    },
    findings: many((n) => ({ kind: `sql-risk/${n}`, where: long('w') })),
    decision: { effect: 'deny', reasons: many((n) => ({ code: `r/${n}`, because: long('b') })) },
    completion: {
      ...completedFully.completion!,
      masked: many((n) => ({ resource: long('r'), column: long(`c${n}`), strategy: 'redact' })),
    },
  }
  const small = eventOf(rowOf(huge), { version: '0.1.0', bounds: { chars: 256, items: 5 } })
  expect(JSON.stringify(small).length).toBeLessThan(24_000)
  expect(faultsOf(small)).toEqual([])
})

describe('a row in the journal', () => {
  const place = { writer: 'gateway-1', segment: 7, sequence: 99, lost: 1, now: at }

  test('is read by the version of its schema', () => {
    const row = rowOf(decidedFully)
    expect(ocsfOf(encodeRow(row), 4, place, options)).toEqual(eventOf(decodeRow(encodeRow(row)), options))
  })

  test.each([1, 2, 3])('that an older gateway left, of version %i, is an event', (version) => {
    const old = new ByteWriter()
    const row = rowOf(decidedFully) as unknown as Readonly<Record<string, never>>
    for (const { name, codec, since } of COLUMNS) if (since <= version) codec.write(old, row[name] as never)
    const read = ocsfOf(old.done(), version, place, options)
    expect(faultsOf(read)).toEqual([])
    expect(read).toMatchObject({ class_uid: 6005, metadata: { uid: RECORD } })
  })

  test('that cannot be read is an event that says where it is', () => {
    const unreadable = ocsfOf(new Uint8Array([1, 2, 3]), 4, place, options)
    expect(faultsOf(unreadable)).toEqual([])
    expect(unreadable).toMatchObject({
      class_uid: 0,
      severity: 'High',
      message: 'an audit record cannot be read',
      metadata: { sequence: 99, log_provider: 'gateway-1' },
      unmapped: { segment: 7, records: 1 },
    })
  })
})
