/** Stored JSON, parsed and checked when it is read: what another program wrote, or a disk spoilt, never passes as ours. */
import * as z from 'zod'
import { BUDGETS, type Held, type Permitted } from '../exchange.ts'
import { Failure } from '../failure.ts'
import type { HoldDecision, HoldEntry, KeyOutcome } from './contract.ts'
import type { Account } from './ledger.ts'

export const HOLD_STATES = [
  'pending',
  'approved',
  'rejected',
  'expired',
  'withdrawn',
  'running',
  'done',
  'failed',
  'unknown',
  'voided',
] as const

const subject = z.strictObject({ issuer: z.string(), subject: z.string() })

const principal = z.strictObject({
  ...subject.shape,
  kind: z.enum(['agent', 'service', 'person']),
  plane: z.enum(['agents', 'people']),
  groups: z.array(z.string()),
  actsFor: subject.exactOptional(),
})

const reason = z.strictObject({
  code: z.string(),
  because: z.string(),
  fix: z.string().exactOptional(),
  where: z.string().exactOptional(),
})
const obligation = z.strictObject({ name: z.string(), terms: z.array(z.unknown()) })

const permit = z.strictObject({
  effect: z.literal('permit'),
  reasons: z.array(reason),
  obligations: z.array(obligation),
})
const hold = z.strictObject({
  effect: z.literal('hold'),
  reasons: z.array(reason),
  obligations: z.array(obligation),
  // Before there were quorums each entry asked for one.
  approvers: z.array(
    z.strictObject({
      groups: z.array(z.string()),
      count: z.int().min(1).default(1),
      comment: z.literal('required').exactOptional(),
    }),
  ),
  expiresAt: z.number(),
})

const finding = z.strictObject({
  kind: z.string(),
  where: z.string().exactOptional(),
  count: z.number().exactOptional(),
  facts: z
    .record(z.string(), z.record(z.string(), z.union([z.number(), z.boolean(), z.string(), z.array(z.string())])))
    .exactOptional(),
})

/** What decides and what runs is checked field by field; what only describes, by its outer shape. */
const bounds = z.strictObject({ maxRows: z.number(), timeoutMs: z.number(), maxBytesBilled: z.number() })
const masks = z.array(z.strictObject({ resource: z.string(), column: z.string(), strategy: z.string() }))

const sql = z.looseObject({
  language: z.literal('googlesql'),
  kind: z.string(),
  text: z.string(),
  uses: z.array(z.looseObject({ action: z.string(), resource: z.string() })),
  tables: z.array(z.looseObject({ resource: z.string() })),
  references: z.array(z.looseObject({ resource: z.string(), start: z.number(), end: z.number() })),
  views: z.array(z.looseObject({ resource: z.string() })),
  columnsRead: z.array(z.string()),
  output: z.array(z.looseObject({ name: z.string() })),
  parameters: z.array(z.looseObject({ type: z.looseObject({ kind: z.string() }), value: z.unknown() })),
  functions: z.array(z.string()),
  features: z.array(z.looseObject({ name: z.string() })),
  bounds,
  masks,
})

const pairs = z.array(z.tuple([z.string(), z.string()]))

/** All of it decides what is sent. */
const http = z.strictObject({
  language: z.literal('http'),
  kind: z.string(),
  text: z.string(),
  uses: z.array(z.strictObject({ action: z.string(), resource: z.string() })),
  operation: z.string(),
  template: z.string(),
  target: z.string(),
  path: z.record(z.string(), z.string()),
  query: pairs,
  headers: pairs,
  body: z
    .strictObject({
      type: z.string(),
      length: z.number().exactOptional(),
      content: z.string().exactOptional(),
      digest: z.string().exactOptional(),
      excerpt: z.string().exactOptional(),
      json: z.unknown().optional(),
      recorded: z
        .strictObject({ excerpt: z.string().exactOptional(), digest: z.string().exactOptional() })
        .exactOptional(),
    })
    .exactOptional(),
  bounds,
  masks,
})

const statement = z.discriminatedUnion('language', [sql, http])

const inspected = {
  id: z.string(),
  receivedAt: z.number(),
  surface: z.enum(['query', 'preflight', 'proxy']),
  principal,
  connection: z.string(),
  purpose: z.string().exactOptional(),
  statement,
  findings: z.array(finding),
  policy: z.string(),
}

const held = z.strictObject({ ...inspected, decision: hold })
const permitted = z.strictObject({ ...inspected, decision: permit })

const decisions = z.array(
  z.strictObject({
    by: subject,
    groups: z.array(z.string()).default([]),
    effect: z.enum(['approve', 'reject', 'withdraw']),
    comment: z.string(),
    at: z.number(),
  }),
)
const answer = z.strictObject({
  status: z.number(),
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.string().exactOptional(),
  policy: z.string(),
})
const outcome = z.strictObject({ code: z.string(), detail: z.string(), answer: answer.exactOptional() })
const state = z.enum(HOLD_STATES)

/** A row of `holds` as the database gives it, by column name. */
export type HoldRow = Readonly<Record<string, unknown>>

/** The entry of a row; `store-unavailable` where it is not one. */
export function holdEntry(row: HoldRow): HoldEntry {
  return checked('hold', () => {
    const exchange = held.parse(parsed(row['exchange'])) as unknown as Held
    if (exchange.id !== row['id']) throw new Error('the exchange is of another hold')
    const entry = {
      id: exchange.id,
      state: state.parse(row['state']),
      exchange,
      createdAt: z.number().parse(row['created_at']),
      expiresAt: z.number().parse(row['expires_at']),
      decisions: decisions.parse(parsed(row['decisions'])) as readonly HoldDecision[],
    }
    return row['outcome'] === null ? entry : { ...entry, outcome: outcome.parse(parsed(row['outcome'])) }
  })
}

const keyOutcome = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ran'), exchange: permitted }),
  z.strictObject({ kind: z.literal('held'), hold: z.string() }),
])

/** What a key came to; `store-unavailable` where the text is no such thing. */
export function storedOutcome(text: unknown): KeyOutcome {
  return checked('idempotency key', () => {
    const stored = keyOutcome.parse(parsed(text))
    return stored.kind === 'held' ? stored : { kind: 'ran', exchange: stored.exchange as unknown as Permitted }
  })
}

const amount = z.int().min(0).exactOptional()
const amounts = z.strictObject(Object.fromEntries(BUDGETS.map((budget) => [budget, amount])))
const account = z.strictObject({ charged: amounts, spent: amounts, readers: z.array(z.string()), whole: z.boolean() })

/** A row of `reservations`. */
export interface AccountRow {
  readonly issuer: string
  readonly subject: string
  readonly connection: string
  readonly day: string
  readonly account: Account
  readonly keepUntil: number
}

/** What a job was charged; `store-unavailable` where the row does not say so. */
export function accountRow(row: Readonly<Record<string, unknown>>): AccountRow {
  return checked('reservation', () => ({
    issuer: z.string().parse(row['issuer']),
    subject: z.string().parse(row['subject']),
    connection: z.string().parse(row['connection']),
    day: z.string().parse(row['day']),
    account: account.parse(parsed(row['account'])) as Account,
    keepUntil: z.number().parse(row['keep_until']),
  }))
}

function parsed(text: unknown): unknown {
  if (typeof text !== 'string') throw new Error('not a text')
  return JSON.parse(text)
}

function checked<Value>(what: string, read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    // Neither zod's nor JSON's message goes further than the cause: they may quote what is stored.
    throw new Failure('store-unavailable', `a stored ${what} is damaged`, { cause: error })
  }
}
