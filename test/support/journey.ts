/** A gateway whose parts are small, honest and breakable: for tests of the order of stations and of what fails closed. */
import { Approvals } from '../../src/approvals.ts'
import type { AuditLog, AuditRecord, PayloadLog } from '../../src/audit/contract.ts'
import type { Answer, Connector } from '../../src/connection/contract.ts'
import { Door, type Knock } from '../../src/door.ts'
import type { Batch, Decision, Deny, Permit, Principal, Statistics } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import type { ActivePlugin } from '../../src/fulfil.ts'
import { Gateway, type Connection, type Parts, type SqlQuestion } from '../../src/gateway.ts'
import type { Store } from '../../src/hold/contract.ts'
import { Inflight } from '../../src/inflight.ts'
import type { PolicySet } from '../../src/policy/contract.ts'
import type { Runtime } from '../../src/runtime.ts'
import type { Statements } from '../../src/statement/contract.ts'
import { nodeHasher } from './hasher.ts'
import { sqlStatement } from './statement.ts'

export const AGENT: Principal = {
  issuer: 'sandbox',
  subject: 'agent',
  kind: 'agent',
  plane: 'agents',
  groups: ['analysts'],
}
export const PERMIT: Permit = { effect: 'permit', reasons: [{ code: 'p/read', because: 'they may' }], obligations: [] }
export const DENY: Deny = { effect: 'deny', reasons: [{ code: 'p/no', because: 'they may not' }] }
export const HOLD: Decision = {
  effect: 'hold',
  reasons: [{ code: 'p/hold', because: 'a person decides' }],
  obligations: [],
  approvers: [{ groups: ['data-owners'], count: 1 }],
  expiresAt: 2_000_000,
}

export const STATEMENT = sqlStatement({
  text: 'SELECT id FROM shop.customers',
  uses: [{ action: 'read', resource: 'shop.customers' }],
  output: [{ name: 'id', type: { kind: 'INT64' }, sources: ['shop.customers.id'] }],
  bounds: { maxRows: 100, timeoutMs: 1000, maxBytesBilled: 1000 },
})

export const QUESTION: SqlQuestion = {
  language: 'googlesql',
  connection: 'warehouse',
  sql: STATEMENT.text,
  parameters: [],
  waitMs: 0,
}

export function rows(...values: readonly number[]): Batch {
  return { rowCount: values.length, bytes: new TextEncoder().encode(values.map((v) => `[${v}]\n`).join('')) }
}

export interface Journey {
  readonly gateway: Gateway
  readonly approvals: Approvals
  readonly door: Door
  /** What happened, in order: `audit decided`, `catalog`, `estimate`, `run`, … */
  readonly events: string[]
  readonly records: AuditRecord[]
  readonly inflight: Inflight
  knock(more?: Partial<Knock>): Knock
}

/** Everything permits and works, but for what `broken` replaces. */
export function journey(broken: {
  decide?: () => Decision
  denyByName?: () => Deny | undefined
  plugins?: readonly ActivePlugin[]
  append?: (record: AuditRecord) => Promise<void>
  statements?: Partial<Statements>
  connector?: Partial<Connector>
  batches?: () => AsyncIterable<Batch>
  statistics?: Partial<Statistics>
  identify?: () => Promise<Principal>
  store?: Partial<Store>
  limits?: Partial<Parts['limits']>
  inflight?: number
  each?: number
  writable?: boolean
  tight?: boolean
  whenAuditIsTight?: 'block' | 'read-only'
  now?: () => number
  payloads?: PayloadLog
  /** Connections beside the warehouse. */
  more?: readonly (readonly [string, Connection])[]
}): Journey {
  const events: string[] = []
  const records: AuditRecord[] = []
  const audit: AuditLog = {
    async append(record) {
      await broken.append?.(record)
      events.push(`audit ${record.kind}`)
      records.push(record)
    },
    status: () => ({
      writable: broken.writable ?? true,
      tight: broken.tight ?? false,
      backlogRecords: 0,
      backlogBytes: 0,
    }),
    close: async () => {},
  }
  let ids = 0
  const runtime: Runtime = {
    clock: { now: broken.now ?? (() => 1_000_000), monotonic: () => 0 },
    newId: () => `id-${++ids}`,
    hasher: nodeHasher,
    secrets: { read: async () => 'secret' },
    fetch: () => Promise.reject(new Error('no network here')),
    log: () => {},
    background: () => {},
  }
  const inflight = new Inflight(broken.inflight ?? 10, 60_000, broken.each)
  const identify = broken.identify ?? (async () => AGENT)
  const door = new Door({ runtime, identity: { identify, ready: async () => {} }, audit, inflight })
  const connector: Connector = {
    name: 'warehouse',
    type: 'bigquery',
    defaults: { project: 'p' },
    async estimate() {
      events.push('estimate')
      return {
        bytes: 10,
        kind: 'SELECT',
        tables: ['shop.customers'],
        output: [{ name: 'id', type: { kind: 'INT64' } }],
      }
    },
    async run(statement, exchange): Promise<Answer> {
      events.push(`run ${exchange.id}`)
      return {
        job: `job-${exchange.id}`,
        columns: statement.output,
        batches: broken.batches?.() ?? oneBatch(events),
        statistics: () => ({ durationMs: 5, ...broken.statistics }),
      }
    },
    attach: () => Promise.reject(new Error('not used')),
    settle: () => Promise.reject(new Error('not used')),
    jobId: (id) => `job-${id}`,
    metadata: { table: async () => undefined, datasets: async () => [], tables: async () => [] },
    ready: async () => {},
    close: async () => {},
    ...broken.connector,
  }
  const statements: Statements = {
    parse: () => ({ refused: false, kind: 'SELECT', text: STATEMENT.text, uses: STATEMENT.uses, paths: [] }),
    async bind(_parsed, _defaults, _schemas, parameters, bounds) {
      events.push('catalog')
      return { ...STATEMENT, parameters, bounds }
    },
    verify: () => undefined,
    ...broken.statements,
  }
  const policies: PolicySet = {
    digest: 'sha256:1',
    decide: broken.decide ?? (() => PERMIT),
    denyByName: broken.denyByName ?? (() => undefined),
    pluginOptions: () => new Map(),
    configured: [],
    reaches: () => true,
  }
  const gateway = new Gateway({
    runtime,
    door,
    statements,
    connections: new Map<string, Connection>([
      ...(broken.more ?? []),
      [
        'warehouse',
        {
          language: 'googlesql',
          connector,
          schemas: {
            table: async () => undefined,
            list: async () => [],
            invalidate: (path) => void events.push(`forget ${path.table}`),
          },
          maxBytesBilled: 1000,
          whenAuditIsTight: broken.whenAuditIsTight ?? 'block',
        },
      ],
    ]),
    inForce: () => ({ policies, plugins: () => broken.plugins ?? [] }),
    audit,
    ...(broken.payloads && { payloads: broken.payloads }),
    store: broken.store as Store,
    writer: 'w1',
    limits: {
      defaultMaxRows: 100,
      maxRows: 1000,
      defaultTimeoutMs: 1000,
      maxTimeoutMs: 5000,
      inspectMs: 50,
      keyMs: 1000,
      maxPendingHolds: 10,
      ...broken.limits,
    },
  })
  const knock = (more: Partial<Knock> = {}): Knock => ({
    id: runtime.newId(),
    receivedAt: 1_000_000,
    surface: 'query',
    credentials: { authorization: 'Bearer x', cookie: false },
    signal: new AbortController().signal,
    ...more,
  })
  const approvals = new Approvals({ runtime, door, store: broken.store as Store, audit })
  return { gateway, approvals, door, events, records, inflight, knock }
}

async function* oneBatch(events: string[]): AsyncGenerator<Batch> {
  try {
    yield rows(1, 2, 3)
  } finally {
    events.push('upstream returned')
  }
}

/** A failure of our own, for whatever is to break. */
export const BROKEN = new Failure('audit-unavailable', 'the disk is full')
