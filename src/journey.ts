/** What the journey's rooms hand each other: what is asked, what is in force, what a request came to. Types only. */
import type { AuditLog, PayloadLog } from './audit/contract.ts'
import type { Connector, HttpConnector } from './connection/contract.ts'
import type { Door } from './door.ts'
import type {
  Amounts,
  Batch,
  Bounds,
  Completed,
  Decided,
  Denied,
  Held,
  HttpStatement,
  OutputColumn,
  Parameter,
  Permitted,
  Principal,
  SqlStatement,
  Stated,
  Statement,
  TablePath,
} from './exchange.ts'
import type { ActivePlugin } from './fulfil.ts'
import type { History } from './history.ts'
import type { HoldEntry, KeptAnswer, Store } from './hold/contract.ts'
import type { PolicySet } from './policy/contract.ts'
import type { Runtime } from './runtime.ts'
import type { Schemas, Statements } from './statement/contract.ts'
import type { Operations } from './statement/http/operations.ts'

/** What an agent asks, whatever the language. */
interface AnyQuestion {
  readonly connection: string
  readonly purpose?: string
  readonly idempotencyKey?: string
  /** How long the caller waits for an approval in this very call; 0: not at all. */
  readonly waitMs: number
}

/** SQL, read from a body that was checked for shape. */
export interface SqlQuestion extends AnyQuestion {
  readonly language: 'googlesql'
  readonly sql: string
  readonly parameters: readonly Parameter[]
  readonly maxRows?: number
  readonly timeoutMs?: number
}

/** An HTTP request, as it came. */
export interface HttpQuestion extends AnyQuestion {
  readonly language: 'http'
  readonly method: string
  /** What is behind the connection's own place, byte for byte: `/customers/42?fields=name`. */
  readonly target: string
  /** All of them, as they were sent. */
  readonly headers: Headers
  readonly body?: Incoming
}

/** A request body on its way in. */
export interface Incoming {
  readonly type: string
  /** As declared. */
  readonly length?: number
  readonly chunks: AsyncIterable<Uint8Array>
}

/** Names and values in the order of the request, each as often as it was sent. */
export type Headers = readonly (readonly [name: string, value: string])[]

export type Question = SqlQuestion | HttpQuestion

/** Reads a question; gives up when `signal` aborts. */
export type Read = (signal: AbortSignal) => Promise<Question>

/** A warehouse with the schemas it serves. */
export interface SqlConnection {
  readonly language: 'googlesql'
  readonly connector: Connector
  readonly schemas: Schemas & {
    /** Every table of the connection's own project. */
    list(signal: AbortSignal): Promise<readonly TablePath[]>
    /** Forgets a table, so that it is asked for anew. */
    invalidate(path: TablePath): void
  }
  readonly maxBytesBilled: number
  readonly whenAuditIsTight: WhenTight
}

/** What begins while the audit journal is filling up or slow: nothing, or what only reads. */
export type WhenTight = 'block' | 'read-only'

/** An HTTP API with the operations it serves. */
export interface HttpConnection {
  readonly language: 'http'
  readonly connector: HttpConnector
  readonly operations: Operations
  /** Which of a request's headers go on. Throws a Failure for one that must not be sent at all. */
  readonly forwardable: (headers: Headers) => Headers
  readonly bodies: BodyLimits
  readonly whenAuditIsTight: WhenTight
}

/** Bytes that bodies may have. */
export interface BodyLimits {
  /** Of a request. */
  readonly maxRequestBytes: number
  /** Of a request that a policy may weigh or hold: larger ones stream past. */
  readonly maxKeptBytes: number
  /** Characters of a request's text that the record keeps. */
  readonly maxRecordedChars: number
  /** Of an answer that is kept for the requester of a hold. */
  readonly maxAnswerBytes: number
}

export type Connection = SqlConnection | HttpConnection

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
  /** Absent: no body can be recorded, and what a policy wants recorded is denied. */
  readonly payloads?: PayloadLog
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
/** An HTTP answer on its way. `body` MUST be read to its end or returned early: both record how it ended. */
export interface Replied {
  readonly kind: 'reply'
  readonly exchange: Permitted
  readonly status: number
  /** Those that may pass, with names in small letters. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Whole, and on record, or on its way. `undefined` where an answer of this status has none. */
  readonly body: Uint8Array | AsyncGenerator<Uint8Array, Completed, void> | undefined
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
export type Outcome = Answered | Replied | HeldOutcome | DeniedOutcome

/** What would happen: the decision, and the statement as obligations would leave it. */
export interface Foreseen {
  readonly exchange: Decided
  readonly narrowed?: Statement
  /** What its principal may spend per day, by what it demands. There where `narrowed` is. */
  readonly budgets?: Amounts
  /** Those in force when it was decided: they carry out what is left to do. There where `narrowed` is. */
  readonly plugins?: readonly ActivePlugin[]
}

/** Permitted, with the statement that may run. */
export interface Ready<S extends Statement = Statement> extends Foreseen {
  readonly exchange: Permitted
  readonly narrowed: S
  readonly budgets: Amounts
  readonly plugins: readonly ActivePlugin[]
}
export type SqlReady = Ready<SqlStatement>
export type HttpReady = Ready<HttpStatement>

/** What is known of an exchange before its statement is understood. */
export type Unstated = Omit<Stated, 'statement'>

/** The text that is asked, with what belongs to it. */
export interface SqlAsked {
  readonly language: 'googlesql'
  readonly sql: string
  readonly parameters: readonly Parameter[]
  readonly bounds: Bounds
}

/** The request that is asked, its body read as far as it may be kept. */
export interface HttpAsked {
  readonly language: 'http'
  readonly method: string
  readonly target: string
  readonly headers: Headers
  readonly body?: Body
  readonly bounds: Bounds
}

/** A request body: whole, or on its way within its bound. */
export type Body = { readonly type: string } & (
  | { readonly whole: Uint8Array; readonly digest: string }
  | { readonly stream: AsyncIterable<Uint8Array>; readonly length?: number }
)

export type Asked = SqlAsked | HttpAsked

/** How a run ended, as far as is known: `unknown` where the upstream may have done it all the same. */
export interface Ending {
  readonly state: 'done' | 'failed' | 'unknown'
  /** Why it did not end whole. */
  readonly cut?: string
  /** What a hold's requester may be given again. */
  readonly answer?: KeptAnswer
}
