/** What the journey's rooms hand each other: what is asked, what is in force, what a request came to. Types only. */
import type { AuditLog } from './audit/contract.ts'
import type { Connector } from './connection/contract.ts'
import type { Door } from './door.ts'
import type {
  Amounts,
  Batch,
  Bounds,
  Completed,
  Decided,
  Denied,
  Held,
  OutputColumn,
  Parameter,
  Permitted,
  Principal,
  SqlStatement,
  Stated,
  TablePath,
} from './exchange.ts'
import type { ActivePlugin } from './fulfil.ts'
import type { History } from './history.ts'
import type { HoldEntry, Store } from './hold/contract.ts'
import type { PolicySet } from './policy/contract.ts'
import type { Runtime } from './runtime.ts'
import type { Schemas, Statements } from './statement/contract.ts'

/** What an agent asks, read from a body that was checked for shape. */
export interface Question {
  readonly connection: string
  readonly sql: string
  readonly parameters: readonly Parameter[]
  readonly maxRows?: number
  readonly timeoutMs?: number
  readonly purpose?: string
  readonly idempotencyKey?: string
  /** How long the caller waits for an approval in this very call; 0: not at all. */
  readonly waitMs: number
}

/** Reads a question; gives up when `signal` aborts. */
export type Read = (signal: AbortSignal) => Promise<Question>

/** A connection with the schemas it serves. */
export interface Connection {
  readonly connector: Connector
  readonly schemas: Schemas & {
    /** Every table of the connection's own project. */
    list(signal: AbortSignal): Promise<readonly TablePath[]>
    /** Forgets a table, so that it is asked for anew. */
    invalidate(path: TablePath): void
  }
  readonly maxBytesBilled: number
}

/** One policy set and the plugins made for it. A reload swaps both at once; an exchange keeps what it began with. */
export interface InForce {
  readonly policies: PolicySet
  plugins(principal: Principal, connection: string): readonly ActivePlugin[]
}

export interface Limits {
  readonly defaultMaxRows: number
  readonly maxRows: number
  readonly defaultTimeoutMs: number
  readonly maxTimeoutMs: number
  /** For all plugins together, milliseconds. */
  readonly inspectMs: number
  /** How long an idempotency key is remembered, milliseconds. */
  readonly keyMs: number
  /** Holds that one principal may have pending at once. */
  readonly maxPendingHolds: number
}

export interface Parts {
  readonly runtime: Runtime
  readonly door: Door
  readonly statements: Statements
  readonly connections: ReadonlyMap<string, Connection>
  readonly inForce: () => InForce
  readonly audit: AuditLog
  /** Absent where no audit log can be asked: then nothing is known of anyone's past. */
  readonly history?: History
  readonly store: Store
  /** Names this gateway in holds that it runs. */
  readonly writer: string
  readonly limits: Limits
}

/** An answer on its way. `rows` MUST be read to its end or returned early: both record how it ended. */
export interface Answered {
  readonly kind: 'answer'
  readonly exchange: Permitted
  readonly columns: readonly OutputColumn[]
  readonly rows: AsyncGenerator<Batch, Completed, void>
  /** Aborts when the answer must end, read or not: out of time, client gone, gateway told to stop. */
  readonly signal: AbortSignal
}
export interface HeldOutcome {
  readonly kind: 'held'
  readonly exchange: Held
  readonly hold: HoldEntry
}
export interface DeniedOutcome {
  readonly kind: 'denied'
  readonly exchange: Denied
}
export type Outcome = Answered | HeldOutcome | DeniedOutcome

/** What would happen: the decision, and the statement as obligations would leave it. */
export interface Foreseen {
  readonly exchange: Decided
  readonly narrowed?: SqlStatement
  /** What its principal may spend per day, by what it demands. There where `narrowed` is. */
  readonly budgets?: Amounts
}

/** Permitted, with the statement that may run. */
export interface Ready extends Foreseen {
  readonly exchange: Permitted
  readonly narrowed: SqlStatement
  readonly budgets: Amounts
}

/** What is known of an exchange before its statement is understood. */
export type Unstated = Omit<Stated, 'statement'>

/** The text that is asked, with what belongs to it. */
export interface Asked {
  readonly sql: string
  readonly parameters: readonly Parameter[]
  readonly bounds: Bounds
}

/** How a run ended, as far as is known: `unknown` where the upstream may have done it all the same. */
export interface Ending {
  readonly state: 'done' | 'failed' | 'unknown'
  /** Why it did not end whole. */
  readonly cut?: string
}
