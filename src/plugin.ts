/** The plugin contract: all that a plugin may import. */
import type {
  Amounts,
  Batch,
  Fact,
  Finding,
  Keep,
  Language,
  Obligation,
  OutputColumn,
  Parameter,
  Permitted,
  Reason,
  Stated,
  Statement,
} from './exchange.ts'
import type { Runtime } from './runtime.ts'

export type * from './exchange.ts'
export type { Runtime } from './runtime.ts'

/** A plugin finds facts and carries out obligations. It decides nothing: policies do. */
export interface Plugin<Options = unknown> {
  /** kebab-case; first half of every kind it names: `mask-columns/partial`. */
  readonly name: string
  /** Parsed once, when the gateway starts. `parse(undefined)` gives the defaults or throws. */
  readonly options: { parse(input: unknown): Options }
  /** Facts it promises in every exchange it inspects. A condition that names any other fact refuses to start. */
  readonly facts?: Readonly<Record<string, Readonly<Record<string, FactType>>>>
  /** Everything that can be wrong is built here, once: regexes, tables, keys. */
  create(options: Options, runtime: Runtime): Hooks | Promise<Hooks>
}

/** What a CEL condition may do with a fact. */
export type FactType = 'number' | 'boolean' | 'string' | 'list'

export interface Hooks {
  /** MUST answer before `signal` aborts; an error or a late answer denies. */
  inspect?(exchange: Stated, signal: AbortSignal): readonly Finding[] | Promise<readonly Finding[]>
  /** By obligation name. */
  readonly fulfil?: Readonly<Record<string, Fulfilment>>
}

export interface Fulfilment {
  /** Checks a policy's terms when the policy is loaded. Throws with words that name the key and what was expected. */
  readonly terms: { parse(input: unknown): unknown }
  /**
   * It guards what tables hold. A rule's guarding obligations bind its principals also in statements that do more than
   * read, or that read `INFORMATION_SCHEMA`, whether the rule is about them or not: by another action nobody gets around it.
   */
  readonly guards?: true
  /** What it can be demanded of. Absent: of any statement. Demanded of another, it denies. */
  readonly language?: Language
  /**
   * What of a policy's terms the answers of an API can never have a place for, in words for the operator: a slip in a path
   * masks nothing. Asked when the policy is loaded, where the schemas of all answers are known.
   */
  readonly misfits?: (term: unknown, answers: Answers) => readonly string[]
  /**
   * Before it runs. MAY only narrow: the kind stays, no resource is added, no bound grows. MUST be deterministic: it
   * is called to see whether the obligation can be fulfilled, and again when it is.
   */
  before?(
    statement: Statement,
    obligation: Obligation,
    exchange: Stated,
  ): Statement | Unfulfilled | Promise<Statement | Unfulfilled>
  /**
   * What a principal may spend on a connection in one UTC day. Pure. The gateway counts, and of several obligations the
   * lowest of each counts.
   */
  budgets?(obligation: Obligation): Amounts
  /** On each batch of an answer of SQL, whose columns are `exchange.statement.output`. MAY only take away: as many rows stay. */
  after?(batch: Batch, obligation: Obligation, exchange: Permitted): Batch | Promise<Batch>
  /**
   * On the body of an HTTP answer. Nothing: this body has nothing for it. MAY only take away. Pure but for what it counts,
   * and what it tells: `originals` is there where what is masked is to be sealed for the auditors.
   */
  answer?(
    head: BodyHead,
    obligation: Obligation,
    exchange: Permitted,
    originals?: Originals,
  ): Transform | Unfulfilled | undefined
  /** The same on the body of an HTTP request as it is forwarded. */
  request?(
    head: BodyHead,
    obligation: Obligation,
    exchange: Permitted,
    originals?: Originals,
  ): Transform | Unfulfilled | undefined
  /** What of the bodies of an exchange is recorded. Pure. One obligation of a decision may say. */
  record?(obligation: Obligation): Recording
  /** What the configuration must provide for a policy's term; asked when the policy is loaded. */
  readonly needs?: (term: unknown) => readonly Need[]
}

/** A key under which secret values are recorded as digests; keys of auditors to whom originals are sealed. */
export type Need = 'digest-key' | 'auditor-keys'

/** Takes what a mask is about to replace: where it stood, or of what kind it is, and its text. */
export type Originals = (where: string, text: string) => void

/** What of the bodies of an exchange is recorded. Absent: nothing. */
export interface Recording {
  readonly request?: Keep
  readonly answer?: Keep
  /** Takes secret values out of what is recorded. Absent: there are none. */
  readonly secrets?: Secrets
  /** Whether the originals of what is masked in HTTP bodies are encrypted for the auditors. */
  readonly seal: boolean
}

/**
 * Puts digests in the place of secret values. `digest` is keyed: 32 hex digits of a value's canonical text. A member that is
 * absent has none to look for.
 */
export interface Secrets {
  /** Of an HTTP body. `undefined`: nobody can find values in a body like this. */
  body?(head: BodyHead, digest: Digest): Redactor | undefined
  /** Of rows with these columns, in pieces of moderate size; `parameters` are those of their statement. */
  rows?(
    columns: readonly OutputColumn[],
    digest: Digest,
    parameters: readonly Parameter[],
  ): (batch: Batch) => Iterable<Redacted>
  /** Of the parameters of SQL. */
  parameters?(parameters: readonly Parameter[], digest: Digest): RedactedParameters
}

export type Digest = (canonical: string) => string

/** A piece of a body without its secrets, and the digests that are in it. */
export interface Redacted {
  readonly bytes: Uint8Array
  readonly digests: readonly string[]
}

export interface RedactedParameters {
  readonly parameters: readonly Parameter[]
  readonly digests: readonly string[]
}

/** A body, piece by piece. Throws where it is not what its head says. */
export interface Redactor {
  push(chunk: Uint8Array): Redacted
  /** What is left behind the last piece. */
  end(): Redacted
}

/** JSON Schemas of the answers that a rule is about. */
export interface Answers {
  readonly schemas: readonly unknown[]
  /** What a `$ref` in them points to; `undefined` where nobody can say. */
  readonly resolve: (ref: string) => unknown
}

/** What is known of a body before its first byte. */
export interface BodyHead {
  /** Of an answer; absent for the body of a request. */
  readonly status?: number
  /** Small letters, without parameters; '' where none is declared. */
  readonly contentType: string
  /** Small letters. */
  readonly charset?: string
}

/** Changes a body on its way, piece by piece. Throws where it is not what its head says: it is cut then. */
export interface Transform {
  push(chunk: Uint8Array): Uint8Array
  /** What is left behind the last piece. */
  end(): Uint8Array
  /** What was masked so far: a path or kind, how, and how often. */
  counts(): readonly { readonly column: string; readonly strategy: string; readonly count: number }[]
}

/** The obligation cannot be carried out on this statement: the exchange is denied for this reason. */
export interface Unfulfilled {
  readonly unfulfilled: Reason
}

export type { Fact }
