/** Held exchanges to test stores with. */
import type { Held, Permitted } from '../../../src/exchange.ts'

const T0 = Date.UTC(2026, 0, 2, 3, 4, 5)

/** A clock that a test moves. */
export class HandClock {
  time = T0

  now(): number {
    return this.time
  }

  monotonic(): number {
    return this.time
  }
}

export function heldExchange(id: string, expiresAt: number = T0 + 60_000): Held {
  return {
    ...asked(id),
    decision: {
      effect: 'hold',
      reasons: [{ code: 'writes/held', because: 'writes need a look' }],
      obligations: [{ name: 'limit-rows', terms: [{ rows: 10 }] }],
      approvers: [{ groups: ['data-owners'], count: 1 }],
      expiresAt,
    },
  }
}

export function permittedExchange(id: string): Permitted {
  const decision = { effect: 'permit' as const, reasons: [{ code: 'p/r', because: 'it may' }], obligations: [] }
  return { ...asked(id), decision }
}

function asked(id: string): Omit<Held, 'decision'> {
  return {
    id,
    receivedAt: T0,
    surface: 'query',
    principal: {
      issuer: 'sandbox',
      subject: 'writer',
      kind: 'agent',
      plane: 'agents',
      groups: ['writers'],
      actsFor: { issuer: 'sandbox', subject: 'owner' },
    },
    connection: 'warehouse',
    purpose: 'order 7 “left” the house',
    statement: {
      language: 'googlesql',
      kind: 'UPDATE',
      text: "UPDATE shop.orders SET status = 'shipped' WHERE id = @id",
      uses: [{ action: 'write', resource: 'shop.orders' }],
      tables: [
        {
          path: { project: 'p', dataset: 'shop', table: 'orders' },
          resource: 'shop.orders',
          kind: 'TABLE',
          columns: [{ name: 'id', type: { kind: 'INT64' }, nullable: false }],
          version: 'v1',
        },
      ],
      references: [{ resource: 'shop.orders', start: 7, end: 18, fixed: 'dml-target' }],
      views: [],
      columnsRead: ['shop.orders.id'],
      output: [],
      parameters: [{ name: 'id', type: { kind: 'INT64' }, value: '7' }],
      functions: [],
      features: [],
      bounds: { maxRows: 10, timeoutMs: 1000, maxBytesBilled: 5 },
      masks: [],
    },
    findings: [{ kind: 'sql-risk/score', count: 1, facts: { risk: { score: 70, factors: ['write'] } } }],
    policy: `sha256:${'0'.repeat(64)}`,
  }
}
