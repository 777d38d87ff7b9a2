/** The tokens of a statement and where its reader stands: what every room of the translator shares. */
import { invalidQuery, unsupported } from '../errors.ts'
import { type Expression } from './functions.ts'
import { tokens, type Token } from './lexer.ts'
import { type Catalog } from './catalog.ts'

export interface Reference {
  readonly dataset: string
  readonly table: string
}

/** A parameter's value as DuckDB's SQL; `literal` when it is a string or a number. */
export interface Parameters {
  readonly named: ReadonlyMap<string, Expression>
  readonly positional: readonly Expression[]
}

export interface Translated {
  /** BigQuery's `statementType`. */
  readonly type: string
  readonly kind: 'query' | 'dml' | 'ddl'
  readonly sql: string
  /** Tables and views as the statement names them. */
  readonly references: readonly Reference[]
  /** What a definition or DML writes. */
  readonly target?: Reference
  /** The query of CREATE TABLE AS and CREATE VIEW, in DuckDB's SQL and as it was written. */
  readonly query?: { readonly sql: string; readonly source: string }
  /** What to prepare to check the statement without running it; nothing for a definition without a query. */
  readonly check?: string
  readonly columns?: readonly { readonly name: string; readonly type: string; readonly required: boolean }[]
  readonly ifExists?: boolean
  /** Names that the text uses, in lower case; `*` among them. For the estimate of bytes. */
  readonly words: ReadonlySet<string>
}

/**
 * Thrown to ask for the DuckDB type of this query's only column, or for its only value as text; the caller finds it and
 * translates again.
 */
export class TypeWanted {
  readonly sql: string
  readonly isValue: boolean
  constructor(sql: string, isValue = false) {
    this.sql = sql
    this.isValue = isValue
  }
}

export interface Context {
  readonly catalog: Catalog
  readonly parameters: Parameters
  readonly defaultDataset?: string | undefined
  /** Answers to `TypeWanted`; an empty text where DuckDB could not tell. */
  readonly types: ReadonlyMap<string, string>
  /** Since when a table is as it is now, in milliseconds since 1970. */
  readonly unchangedSince: (table: Reference) => number
}

/** A column that `*` stands for: its name, and its SQL where the tables of FROM are in sight. */
export interface Named {
  readonly name: string
  readonly sql: string
  /** DuckDB's type, of a table's columns. */
  readonly type?: string
}

export interface Source {
  readonly alias: string
  /** Whether `alias.*` means in DuckDB what it means in BigQuery. */
  readonly plain: boolean
  /** A table with columns that its row does not show. */
  readonly hidden: boolean
  /** The columns of `*`, asked of DuckDB only where they matter. */
  readonly columns: () => readonly Named[]
  /** A table of the warehouse itself. */
  readonly table?: true
}

export interface Scope {
  readonly parent: Scope | undefined
  readonly aliases: Set<string>
  readonly implicit: Map<string, string>
  readonly sources: Source[]
  from: string
  /** What `*` over all of FROM means, in BigQuery's order. */
  columns: () => readonly Named[]
  /** The body of a function: it sees its parameters and nothing around it. */
  readonly closed?: true
}

export interface Item {
  readonly expression?: Expression
  readonly star?: {
    readonly base?: string
    readonly except: readonly string[]
    readonly replace: readonly { name: string; sql: string }[]
  }
}

const MAX_DEPTH = 200

export const PARTS: Record<string, string> = {
  MICROSECOND: 'microsecond',
  MILLISECOND: 'millisecond',
  SECOND: 'second',
  MINUTE: 'minute',
  HOUR: 'hour',
  DAY: 'day',
  WEEK: 'week',
  ISOWEEK: 'week',
  MONTH: 'month',
  QUARTER: 'quarter',
  YEAR: 'year',
  ISOYEAR: 'isoyear',
}

export const WEEKDAYS = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY']

export const TYPES: Record<string, string> = {
  INT64: 'BIGINT',
  INT: 'BIGINT',
  INTEGER: 'BIGINT',
  BIGINT: 'BIGINT',
  SMALLINT: 'BIGINT',
  TINYINT: 'BIGINT',
  BYTEINT: 'BIGINT',
  FLOAT64: 'DOUBLE',
  NUMERIC: 'DECIMAL(38,9)',
  DECIMAL: 'DECIMAL(38,9)',
  BIGNUMERIC: 'DECIMAL(38,20)',
  BIGDECIMAL: 'DECIMAL(38,20)',
  BOOL: 'BOOLEAN',
  BOOLEAN: 'BOOLEAN',
  STRING: 'VARCHAR',
  BYTES: 'BLOB',
  DATE: 'DATE',
  TIME: 'TIME',
  DATETIME: 'TIMESTAMP',
  TIMESTAMP: 'TIMESTAMPTZ',
  INTERVAL: 'INTERVAL',
  JSON: 'JSON',
  GEOGRAPHY: 'STRUCT(_wkt VARCHAR)',
}

export const AGGREGATED =
  /\b(?:count|sum|avg|bq_avg|min|max|any_value|approx_count_distinct|bool_and|bool_or|stddev_\w+|var_\w+|corr|covar_\w+|bit_\w+|arg_max_null|arg_min_null|list)\(/

/** Words that end an expression or a table, and so are no alias without AS. */
export const RESERVED = new Set(
  `ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT DEFAULT DEFINE DESC DISTINCT ELSE END
  ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT
  INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO
  QUALIFY RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN WHERE
  WINDOW WITH WITHIN`.split(/\s+/),
)

/** Whether two names are one to BigQuery. */
export const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
export const tableName = (dataset: string, table: string): string => `wh.${quote(dataset)}.${quote(table)}`

export abstract class Reader {
  protected readonly source: string
  protected readonly context: Context
  protected readonly tokens: Token[]
  protected at = 0
  protected depth = 0
  protected unique = 0
  protected scope: Scope | undefined
  /** The first two names of each column's path that is read, in lower case, while somebody asks. */
  protected seen: Set<string> | undefined
  /** In PIVOT: which rows an aggregate is of. */
  protected only: string | undefined
  /** Where the query of an EXISTS begins: nobody sees its columns' names. */
  protected exists = -1
  /** The scope of the SELECT that was just read. */
  protected selected: Scope | undefined
  protected ctes: ReadonlySet<string>[] = []
  protected with: string[] = []
  protected readonly references = new Map<string, Reference>()
  protected readonly words: Set<string>
  #structs: ReadonlySet<string> | undefined

  constructor(source: string, context: Context) {
    this.source = source
    this.context = context
    this.tokens = tokens(source)
    this.words = new Set(
      this.tokens.flatMap((token, at) =>
        token.kind === 'name' || token.kind === 'quoted'
          ? [token.text.toLowerCase()]
          : token.text === '*' && !this.countStar(at)
            ? ['*']
            : [],
      ),
    )
  }

  /** Names of columns of tables that are STRUCTs, in lower case. */
  protected get structs(): ReadonlySet<string> {
    this.#structs ??= new Set(
      [...this.context.catalog.values()]
        .flatMap((tables) => [...tables.values()])
        .flatMap((table) => table.columns.filter((column) => column.type.startsWith('STRUCT(')))
        .map((column) => column.name.toLowerCase()),
    )
    return this.#structs
  }

  protected countStar(at: number): boolean {
    const before = this.tokens[at - 1]
    return before?.text === '(' || before?.kind === 'integer' || before?.text === ')'
  }

  protected get token(): Token {
    return this.tokens[this.at] ?? (this.tokens.at(-1) as Token)
  }

  protected peek(ahead: number): Token {
    return this.tokens[this.at + ahead] ?? (this.tokens.at(-1) as Token)
  }

  protected isWord(word: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === 'name' && token.text.toUpperCase() === word
  }

  protected isWords(...words: string[]): boolean {
    return words.every((word, ahead) => this.isWord(word, ahead))
  }

  protected isMark(mark: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token.kind === 'mark' && token.text === mark
  }

  protected word(...words: string[]): boolean {
    if (!this.isWords(...words)) return false
    this.at += words.length
    return true
  }

  protected mark(mark: string): boolean {
    if (!this.isMark(mark)) return false
    this.at++
    return true
  }

  protected need(mark: string): void {
    if (!this.mark(mark)) throw this.unexpected(`Expected "${mark}"`)
  }

  protected needWord(...words: string[]): void {
    if (!this.word(...words)) throw this.unexpected(`Expected keyword ${words.join(' ')}`)
  }

  protected unexpected(expected?: string): Error {
    const token = this.token
    const got =
      token.kind === 'end'
        ? 'end of script'
        : token.kind === 'name' && RESERVED.has(token.text.toUpperCase())
          ? `keyword ${token.text.toUpperCase()}`
          : token.kind === 'name' || token.kind === 'quoted'
            ? `identifier ${JSON.stringify(token.text)}`
            : JSON.stringify(this.source.slice(token.start, token.end))
    return invalidQuery(
      `Syntax error: ${expected === undefined ? `Unexpected ${got}` : `${expected} but got ${got}`}`,
      token,
    )
  }

  protected name(): string {
    const token = this.token
    if (token.kind === 'quoted' || (token.kind === 'name' && !RESERVED.has(token.text.toUpperCase()))) {
      this.at++
      return token.text
    }
    throw this.unexpected('Expected an identifier')
  }

  /** After a dot, and for a field, reserved words are names too. */
  protected field(): string {
    const token = this.token
    if (token.kind !== 'quoted' && token.kind !== 'name') throw this.unexpected('Expected an identifier')
    this.at++
    return token.text
  }

  protected list<T>(item: () => T): T[] {
    const items = [item()]
    while (this.mark(',')) items.push(item())
    return items
  }

  protected inParens<T>(inner: () => T): T {
    this.need('(')
    const value = inner()
    this.need(')')
    return value
  }

  protected deeper<T>(inner: () => T): T {
    if (++this.depth > MAX_DEPTH) throw unsupported(`A query nested deeper than ${MAX_DEPTH}`, this.token)
    try {
      return inner()
    } finally {
      this.depth--
    }
  }

  /** The DuckDB type of an expression in this place, or an empty text where DuckDB cannot tell. */
  protected typeOf(sql: string, scope: Scope | undefined): string {
    const froms: string[] = []
    for (let at = scope; at; at = at.parent) {
      const from = at.from.replace(/(,|(?:CROSS|INNER|LEFT|RIGHT|FULL)? ?JOIN)\s*$/, '').trim()
      if (from !== '') froms.unshift(from)
    }
    const head = this.with.length > 0 ? `WITH RECURSIVE ${this.with.join(', ')} ` : ''
    const asked = `${head}SELECT ${sql} AS _x${froms.length > 0 ? ` FROM ${froms.join(', ')}` : ''}`
    const known = this.context.types.get(asked)
    if (known === undefined) throw new TypeWanted(asked)
    return known
  }

  /** The value of an expression that names no column, as DuckDB's text; empty for NULL. */
  protected valueOf(sql: string): string {
    const asked = `SELECT CAST(${sql} AS VARCHAR) AS _value`
    const known = this.context.types.get(asked)
    if (known === undefined) throw new TypeWanted(asked, true)
    return known
  }

  protected alias(): string | undefined {
    if (this.word('AS')) return this.field()
    const token = this.token
    if (token.kind === 'quoted') return this.name()
    if (token.kind !== 'name' || RESERVED.has(token.text.toUpperCase())) return undefined
    if (/^(PIVOT|UNPIVOT|TABLESAMPLE|MATCH_RECOGNIZE|WINDOW|VALUES)$/i.test(token.text)) return undefined
    return this.name()
  }

  /** A table's path: names between dots, each of which may hold dots in backticks and, for a project, dashes. */
  protected path(): string[] {
    const parts: string[] = []
    do {
      const token = this.token
      let part = parts.length > 0 ? this.field() : this.name()
      if (token.kind === 'name') {
        while (
          this.isMark('-') &&
          this.token.start === (this.tokens[this.at - 1]?.end ?? -1) &&
          this.peek(1).start === this.token.end
        ) {
          this.at++
          part += `-${this.token.text}`
          this.at++
        }
      }
      parts.push(...(token.kind === 'quoted' ? part.split('.') : [part]))
    } while (this.mark('.'))
    return parts
  }
}

/** A string as DuckDB reads it; NUL cannot stand in DuckDB's query text. */
export function stringSql(value: string): string {
  return value.includes('\0') ? `decode(unhex('${Buffer.from(value).toString('hex')}'))` : text(value)
}
