/** How long what is kept. */
import { describe, expect, test } from 'vitest'
import { bodyRetentionOf, HELD_DAYS, retentionOf, type RetentionRules } from '../../../src/audit/retention.ts'
import type { Principal } from '../../../src/exchange.ts'

const agent: Principal = {
  issuer: 'corp',
  subject: 'agent-7',
  kind: 'agent',
  plane: 'agents',
  groups: [],
  actsFor: { issuer: 'corp', subject: 'ada' },
}

const rules: RetentionRules = {
  retainDays: 400,
  retain: [
    { kinds: ['looked'], days: 30 },
    { connections: ['crm'], kinds: ['decided', 'completed', 'payload'], days: 90 },
    { connections: ['crm'], days: 60 },
    { connections: ['ledger'], days: 3650 },
  ],
  bodies: { retainDays: 14 },
  legalHolds: [],
}

describe('records', () => {
  const days = retentionOf(rules)

  test.each([
    ['no rule fits', { kind: 'decided', connection: 'warehouse' }, 400],
    ['a rule of the kind, whatever the connection', { kind: 'looked', connection: 'ledger' }, 30],
    ['a rule of the kind, without a connection', { kind: 'looked' }, 30],
    ['a rule of both: the first that fits', { kind: 'completed', connection: 'crm' }, 90],
    ['a rule of the connection', { kind: 'failed', connection: 'crm' }, 60],
    ['for ten years', { kind: 'hold', connection: 'ledger' }, 3650],
    ['a record of no connection is of none that is named', { kind: 'started' }, 400],
  ] as const)('%s', (_, record, expected) => {
    expect(days(record)).toBe(expected)
  })

  test('a kind that there is none of is refused, not ignored', () => {
    expect(() => retentionOf({ ...rules, retain: [{ kinds: ['complete'], days: 1 }] })).toThrow(
      /^`audit\.retain` names `complete`, which is no kind of record; there are refused, decided, .*, payload$/,
    )
  })
})

test('bodies: only a rule that names them', () => {
  const days = bodyRetentionOf(rules)
  expect(days({ connection: 'crm' })).toBe(90)
  expect(days({ connection: 'ledger' })).toBe(14)
  expect(days({ connection: 'warehouse', principal: agent })).toBe(14)
})

describe('a legal hold', () => {
  const held = (hold: RetentionRules['legalHolds'][number]) => ({ ...rules, legalHolds: [hold] })
  const record = { kind: 'completed', connection: 'crm', principal: agent } as const

  test.each([
    ['of an agent by name', { principals: ['agent-7'] }, true],
    ['of an agent as its issuer names it', { principals: ['corp:agent-7'] }, true],
    ['of the person for whom it acts', { principals: ['ada'] }, true],
    ['of the same name at another issuer', { principals: ['keys:agent-7'] }, false],
    ['of another', { principals: ['agent-8'] }, false],
    ['of a connection', { connections: ['crm'] }, true],
    ['of another connection', { connections: ['warehouse'] }, false],
    ['of both, of which one does not fit', { principals: ['ada'], connections: ['warehouse'] }, false],
    ['of everything', {}, true],
  ])('%s', (_, hold, isHeld) => {
    expect(retentionOf(held(hold))(record)).toBe(isHeld ? HELD_DAYS : 90)
    expect(bodyRetentionOf(held(hold))(record)).toBe(isHeld ? HELD_DAYS : 90)
  })

  test('of a principal is none of a record without one', () => {
    expect(retentionOf(held({ principals: ['ada'] }))({ kind: 'started' })).toBe(400)
  })
})
