/**
 * The vocabulary. An agent's request is an exchange: a plain, serialisable, readonly value that walks one way through
 * the stations of `gateway.ts` and is widened at each, never changed. This file imports nothing.
 */

// ── who ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The agents' plane asks for data; the people's plane decides and audits. A token of one is refused on the other. */
export type Plane = 'agents' | 'people'

/** Whom an identity names: the issuer's configured name (`keys` for API keys) and the subject there. */
export interface Subject {
  readonly issuer: string
  readonly subject: string
}

/** Who asks, after proof. The credential has no place in it. */
export interface Principal extends Subject {
  readonly kind: 'agent' | 'service' | 'person'
  readonly plane: Plane
  readonly groups: readonly string[]
  /** The person for whom an agent acts (`act`, on-behalf-of). They may never approve what was asked for them. */
  readonly actsFor?: Subject
}

// ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What is done to a resource. `write` changes rows; `define` creates or alters; `delete` destroys a table, view or
 * dataset, or all rows of one (DROP, TRUNCATE); `execute` runs code we cannot see into; `administer` changes rights.
 */
export type Action = 'read' | 'write' | 'define' | 'delete' | 'export' | 'execute' | 'administer'

/** One action on one resource. */
export interface ResourceUse {
  readonly action: Action
  /** `dataset.table` in the connection's own project, `project.dataset.table` elsewhere. */
  readonly resource: string
  /** The view through which it is touched, if it is not named in the text itself. */
  readonly via?: string
}

/** Where a table lives, each part as the warehouse spells it. */
export interface TablePath {
  readonly project: string
  readonly dataset: string
  readonly table: string
}

/** BigQuery's scalar types by their GoogleSQL names. */
export type ScalarType =
  | 'BOOL'
  | 'INT64'
  | 'FLOAT64'
  | 'NUMERIC'
  | 'BIGNUMERIC'
  | 'STRING'
  | 'BYTES'
  | 'JSON'
  | 'GEOGRAPHY'
  | 'INTERVAL'
  | 'DATE'
  | 'TIME'
  | 'DATETIME'
  | 'TIMESTAMP'

/** A GoogleSQL type. */
export type SqlType =
  | { readonly kind: ScalarType }
  | { readonly kind: 'ARRAY'; readonly of: SqlType }
  | { readonly kind: 'RANGE'; readonly of: SqlType }
  | { readonly kind: 'STRUCT'; readonly fields: readonly SqlField[] }

/** A field of a STRUCT, or a column of a table or result. An anonymous field has the name ''. */
export interface SqlField {
  readonly name: string
  readonly type: SqlType
}

/** A type in GoogleSQL: `ARRAY<STRUCT<kind STRING, value STRING>>`. */
export function typeText(type: SqlType): string {
  switch (type.kind) {
    case 'ARRAY':
    case 'RANGE':
      return `${type.kind}<${typeText(type.of)}>`
    case 'STRUCT':
      return `STRUCT<${type.fields.map((f) => (f.name === '' ? '' : `${f.name} `) + typeText(f.type)).join(', ')}>`
    default:
      return type.kind
  }
}

/** A column as the catalog knows it. */
export interface Column extends SqlField {
  readonly nullable: boolean
  readonly description?: string
  /** What the warehouse or the configuration says of its content: `pii`. Sorted, each once. */
  readonly tags?: readonly string[]
  /** The same of single fields in it, by their dotted path within the column: `{ street: ['pii'] }`. */
  readonly fieldTags?: Readonly<Record<string, readonly string[]>>
}

/** What is known of a table or view when the statement is analysed. */
export interface Table {
  readonly path: TablePath
  /** Its name as policies write it; see `ResourceUse.resource`. */
  readonly resource: string
  readonly kind: 'TABLE' | 'VIEW' | 'MATERIALIZED_VIEW' | 'EXTERNAL' | 'SNAPSHOT' | 'CLONE' | 'OTHER'
  readonly columns: readonly Column[]
  /** The GoogleSQL text of a view. */
  readonly definition?: string
  /** Changes whenever the schema or definition changes. */
  readonly version: string
  readonly rowCount?: number
  readonly byteCount?: number
  /** The column (or `_PARTITIONTIME`) by which it is partitioned. */
  readonly partitionedBy?: string
}

/** A value in the warehouse's wire text: `"5"`, `"true"`, base64 for BYTES; arrays and structs nest, in field order. */
export type ParameterValue = null | string | readonly ParameterValue[]

/** A query parameter with its type. Without a name it is positional. */
export interface Parameter {
  readonly name?: string
  readonly type: SqlType
  readonly value: ParameterValue
}

/** What an obligation masks: `shop.customers`, `address.street` or `metadata.$.card`; `getCustomer`, `$.email`; and how. */
export interface Masked {
  readonly resource: string
  readonly column: string
  readonly strategy: string
  /** How many values were masked, where they were seen one by one. */
  readonly count?: number
}

/** A column of the answer, from which table columns its value is derived, and the mask its values carry. */
export interface OutputColumn extends SqlField {
  /** `shop.customers.email`: every table column whose value flows into it. Sorted. */
  readonly sources: readonly string[]
  /** The strategy, or several joined by `+`. Absent: nothing masked flows into it. */
  readonly masked?: string
}

/** What may be spent. Every obligation may only lower it. */
export interface Bounds {
  readonly maxRows: number
  readonly timeoutMs: number
  readonly maxBytesBilled: number
}

/** What may be limited per day, for each principal on each connection: requests that ran, rows answered, bytes billed. */
export const BUDGETS = ['queries', 'rows', 'bytesBilled'] as const
export type Budget = (typeof BUDGETS)[number]

/** Whole numbers by budget; none for a budget that is not limited. */
export type Amounts = { readonly [B in Budget]?: number }

/** What the warehouse's dry run says. */
export interface Estimate {
  readonly bytes: number
  /** BigQuery's own name for the kind of statement. */
  readonly kind: string
  /** Base tables, views expanded. */
  readonly tables: readonly string[]
  /** The output schema; empty for statements that return no rows. */
  readonly output: readonly SqlField[]
}

/** Something in a text that a person weighing risk would want to know: `select-star`, `no-where`, `cross-join`. */
export interface Feature {
  readonly name: string
  /** `line:column` in the text. */
  readonly at?: string
  readonly resource?: string
}

/** A place in a text where a table or view is named as a source or target. */
export interface Reference {
  readonly resource: string
  /** Offsets in UTF-16 code units of the path itself, without alias or clauses behind it: `text.slice(start, end)`. */
  readonly start: number
  readonly end: number
  /** The implied alias: what must be written behind a subquery that takes its place. Absent where the text gives one. */
  readonly alias?: string
  /** Why no subquery may stand here: `target`, `copied`, `table-function`, … Absent where one may. */
  readonly fixed?: string
  /** Clauses behind the path that go where it goes: `FOR SYSTEM_TIME AS OF …`, `TABLESAMPLE …`. */
  readonly clauses?: readonly Span[]
  /** Its pseudo-columns that are used, each by its name in capitals, and where the name stands. */
  readonly pseudo?: readonly { readonly name: string; readonly at: readonly Span[] }[]
  /** Where a `*` stands for its columns, if `pseudo` is there: right behind it, or behind the last name of its EXCEPT. */
  readonly stars?: readonly { readonly at: number; readonly isList: boolean }[]
}

/** Offsets in UTF-16 code units. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A view that the statement reads, with the places in its definition where it reads in turn. */
export interface View {
  readonly resource: string
  readonly text: string
  readonly references: readonly Reference[]
}

/** SQL, parsed, resolved and bound. What runs is `text`, re-emitted from the tokens that were analysed. */
export interface SqlStatement {
  readonly language: 'googlesql'
  /** BigQuery's name: `SELECT`, `INSERT`, `CREATE_TABLE_AS_SELECT`, … */
  readonly kind: string
  readonly text: string
  /** 16 hex digits, equal for texts that differ in literals, case and comments only. Absent where only names are known. */
  readonly shape?: string
  /** Every action on every resource, views expanded; sorted, each once. */
  readonly uses: readonly ResourceUse[]
  /** The tables and views named, and those that named views read. */
  readonly tables: readonly Table[]
  /** In the order of the text. */
  readonly references: readonly Reference[]
  /** Each view reached, directly or through others, once. */
  readonly views: readonly View[]
  /** `shop.customers.email`, `shop.customers.address.street`: every column whose value is used anywhere, filters and DML
   * targets included (not those that are only assigned). A parent stands for all its fields. Sorted. */
  readonly columnsRead: readonly string[]
  /** As `columnsRead`, but of a view only what chooses its rows and what flows into the columns that are used of it; those
   * columns of the view (`shop.directory.email`), too. Absent where it is the same. */
  readonly columnsUsed?: readonly string[]
  readonly output: readonly OutputColumn[]
  readonly parameters: readonly Parameter[]
  /** Functions called, upper case, sorted, each once. */
  readonly functions: readonly string[]
  readonly features: readonly Feature[]
  readonly bounds: Bounds
  /** Masks that the text already carries. Empty until `mask-columns` has fulfilled. */
  readonly masks: readonly Masked[]
  readonly estimate?: Estimate
}

/** The body of an HTTP request as it is forwarded. */
export interface HttpBody {
  /** Its `Content-Type`, as it was sent. */
  readonly type: string
  /** Bytes, where that is known. */
  readonly length?: number
  /** Of the whole body, in base64. Absent where it is too large to be kept: then it streams, and can be neither weighed nor held. */
  readonly content?: string
  /** SHA-256 of the whole body, 64 hex digits; there where `content` is. */
  readonly digest?: string
  /** For the record: the beginning of a text, with a mark where it was cut. */
  readonly excerpt?: string
  /** What it says, where it is whole and JSON: what conditions weigh. */
  readonly json?: unknown
  /** What records say in the place of `excerpt` and `digest`, where policy calls values in it secret. */
  readonly recorded?: { readonly excerpt?: string; readonly digest?: string }
}

/** An HTTP request, read strictly and matched to an operation of the API. What is judged is byte for byte what is forwarded. */
export interface HttpStatement {
  readonly language: 'http'
  /** The method: `GET`. */
  readonly kind: string
  /** Method and target: `GET /customers/42?fields=name`. */
  readonly text: string
  /** One action on one operation. */
  readonly uses: readonly ResourceUse[]
  /** As `ResourceUse.resource`: `getCustomer`, or `GET /customers/{id}` where it has no name. */
  readonly operation: string
  /** `/customers/{id}` */
  readonly template: string
  /** Path and query as they are forwarded. */
  readonly target: string
  /** Parameters in the path by name, decoded. */
  readonly path: Readonly<Record<string, string>>
  /** Parameters in the query, decoded, in order. */
  readonly query: readonly (readonly [name: string, value: string])[]
  /** Those of the request's headers that may be forwarded, with names in small letters. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body?: HttpBody
  readonly bounds: Bounds
  /** Masks that its answer will carry. Empty until obligations have fulfilled. */
  readonly masks: readonly Masked[]
}

/** What is asked, parsed. */
export type Statement = SqlStatement | HttpStatement

/** How a statement is written; also what a connection speaks. */
export type Language = Statement['language']

// ── the exchange and its states ──────────────────────────────────────────────────────────────────────────────────

/** The door it came in by. */
export type Surface = 'query' | 'preflight' | 'proxy'

export interface Stated {
  /** UUIDv7. */
  readonly id: string
  /** Milliseconds since 1970 UTC. */
  readonly receivedAt: number
  readonly surface: Surface
  readonly principal: Principal
  readonly connection: string
  /** Why, in the requester's words. Evidence for approvers; a policy may ask that there is one, not what it says. */
  readonly purpose?: string
  readonly statement: Statement
  /** Absent where nobody could say. */
  readonly past?: Past
}

/** What the principal was answered on this connection in the days before, as the audit log tells; not what is under way. */
export interface Past {
  /** From when on, milliseconds since 1970 UTC. */
  readonly since: number
  /** Statements that were answered. */
  readonly exchanges: number
  /** Of those, of this statement's shape. */
  readonly sameShape: number
  /** 24 numbers: of those, in each hour of the day, UTC. */
  readonly hours: readonly number[]
  /** What all but the largest twentieth of them would at most read. Absent where no estimate is recorded. */
  readonly bytesP95?: number
  /** Of the tables and views that this statement touches, those that they touched. Sorted. */
  readonly tables: readonly string[]
}

/** A value that a policy may weigh. Codes and numbers; never a row value. */
export type Fact = number | boolean | string | readonly string[]

/** A fact that a plugin saw: kind, where, how many. It has no field for the value found. */
export interface Finding {
  /** `<plugin>/<kind>` */
  readonly kind: string
  /** A resource, column or position. */
  readonly where?: string
  readonly count?: number
  /** What CEL conditions see, by variable name: `{ risk: { score: 70 } }`. */
  readonly facts?: Readonly<Record<string, Readonly<Record<string, Fact>>>>
}

export interface Inspected extends Stated {
  readonly findings: readonly Finding[]
}

/** Why, as data: a code that can be counted, the rule and its `because`, and what would help. */
export interface Reason {
  /** `<policy>/<rule>` for a rule's own reason, else a code of ours such as `no-permit`. */
  readonly code: string
  readonly because: string
  /** What to change so that it would pass: ``drop column `ssn` ``. */
  readonly fix?: string
  /** A resource, column or position. */
  readonly where?: string
}

/** What a permit still demands. `terms` are those of every matching rule, in order; the fulfilment must satisfy all. */
export interface Obligation {
  /** The name under which a plugin fulfils it. */
  readonly name: string
  readonly terms: readonly unknown[]
}

/** A quorum: `count` different people, each a member of any of `groups`. Never the requester, nor whom it acts for. */
export interface Approvers {
  readonly groups: readonly string[]
  readonly count: number
  /** They must say why. */
  readonly comment?: 'required'
}

export interface Permit {
  readonly effect: 'permit'
  readonly reasons: readonly Reason[]
  readonly obligations: readonly Obligation[]
}
export interface Hold {
  readonly effect: 'hold'
  readonly reasons: readonly Reason[]
  /** These bind once approved. */
  readonly obligations: readonly Obligation[]
  /** Each must be satisfied, and one person counts once over all. Rules that ask the same groups share an entry. */
  readonly approvers: readonly Approvers[]
  /** Milliseconds since 1970 UTC. */
  readonly expiresAt: number
}
export interface Deny {
  readonly effect: 'deny'
  readonly reasons: readonly Reason[]
}
export type Decision = Permit | Hold | Deny

/** `sha256:` and 64 hex digits over the canonical policy documents. */
export type PolicyDigest = string

export interface Decided<D extends Decision = Decision> extends Inspected {
  readonly decision: D
  readonly policy: PolicyDigest
}
export type Permitted = Decided<Permit>
export type Held = Decided<Hold>
export type Denied = Decided<Deny>

/** What came of a run. */
export interface Completed extends Permitted {
  /** The text that truly ran, masks and all; a hash key is in its parameters, never in its text. */
  readonly ran: string
  /** The upstream's job id. */
  readonly job?: string
  readonly rowCount: number
  readonly byteCount: number
  /** The status of an HTTP answer. */
  readonly status?: number
  /** What was sent of a body that streamed: known only now. */
  readonly sent?: { readonly bytes: number; readonly digest: string }
  readonly masked: readonly Masked[]
  readonly statistics: Statistics
  /** `cut`: the client left, a bound was reached, or the upstream broke off. */
  readonly ending: 'whole' | 'cut'
  /** Why it was cut. */
  readonly cut?: string
}

/** How much of a body is recorded: all, its first bytes, or its digest alone. */
export type Keep = 'full' | 'digest' | { readonly first: number }

/** What the upstream says it took. */
export interface Statistics {
  readonly bytesProcessed?: number
  readonly bytesBilled?: number
  readonly cacheHit?: boolean
  /** Rows that DML changed. */
  readonly rowsAffected?: number
  readonly durationMs: number
}

/** Rows on their way out: NDJSON, one JSON array per row, each ended by `\n`; no other `\n` occurs in it. */
export interface Batch {
  readonly rowCount: number
  readonly bytes: Uint8Array
  /** What an obligation masked in it, counted. */
  readonly masked?: readonly Masked[]
}
