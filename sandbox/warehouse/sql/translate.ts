/**
 * GoogleSQL to DuckDB's SQL, by recursive descent: what the grammar below does not know is refused with its place.
 * Names are resolved as far as it takes to tell a table from an array and a struct's field from a column; everything else
 * DuckDB's binder checks.
 */
import { invalidQuery, notFound, unsupported } from '../errors.ts'
import { aggregate, isWindow, scalar, structSql, type Expression } from './functions.ts'
import { tokens, type Token } from './lexer.ts'
import { OVERLOADED, overload } from './macros.ts'
import { informationSchema, PROJECT, structFields, type Catalog, type Relation } from './catalog.ts'

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

/** Thrown to ask for the DuckDB type of this query's only column; the caller finds it and translates again. */
export class TypeWanted {
  readonly sql: string
  constructor(sql: string) {
    this.sql = sql
  }
}

export interface Context {
  readonly catalog: Catalog
  readonly parameters: Parameters
  readonly defaultDataset?: string | undefined
  /** Answers to `TypeWanted`; an empty text where DuckDB could not tell. */
  readonly types: ReadonlyMap<string, string>
}

interface Source {
  readonly alias: string
  /** What `*` means for it. */
  readonly star: string
  readonly plain: boolean
}

interface Scope {
  readonly parent: Scope | undefined
  readonly aliases: Set<string>
  readonly implicit: Map<string, string>
  readonly sources: Source[]
  from: string
  using: boolean
}

interface Item {
  readonly expression?: Expression
  readonly star?: {
    readonly base?: string
    readonly except: readonly string[]
    readonly replace: readonly { name: string; sql: string }[]
  }
}

const MAX_DEPTH = 200

const PARTS: Record<string, string> = {
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

const WEEKDAYS = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY']

const TYPES: Record<string, string> = {
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

const AGGREGATED =
  /\b(?:count|sum|avg|bq_avg|min|max|any_value|approx_count_distinct|bool_and|bool_or|stddev_\w+|var_\w+|corr|covar_\w+|bit_\w+|max_by|min_by|list)\(/

/** Words that end an expression or a table, and so are no alias without AS. */
const RESERVED = new Set(
  `ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT DEFAULT DEFINE DESC DISTINCT ELSE END
  ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT
  INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO
  QUALIFY RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN WHERE
  WINDOW WITH WITHIN`.split(/\s+/),
)

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
export const tableName = (dataset: string, table: string): string => `wh.${quote(dataset)}.${quote(table)}`

/** Translates one statement. Throws `WarehouseError` for what is wrong or not supported, `TypeWanted` to ask. */
export function translate(source: string, context: Context): Translated {
  return new Translator(source, context).statement()
}

class Translator {
  readonly #source: string
  readonly #context: Context
  readonly #tokens: Token[]
  #at = 0
  #depth = 0
  #unique = 0
  #positions = 0
  #scope: Scope | undefined
  /** The scope of the SELECT that was just read. */
  #selected: Scope | undefined
  #ctes: ReadonlySet<string>[] = []
  #with: string[] = []
  readonly #references = new Map<string, Reference>()
  readonly #words: Set<string>

  constructor(source: string, context: Context) {
    this.#source = source
    this.#context = context
    this.#tokens = tokens(source)
    this.#words = new Set(
      this.#tokens.flatMap((token, at) =>
        token.kind === 'name' || token.kind === 'quoted'
          ? [token.text.toLowerCase()]
          : token.text === '*' && !this.#countStar(at)
            ? ['*']
            : [],
      ),
    )
  }

  #countStar(at: number): boolean {
    const before = this.#tokens[at - 1]
    return before?.text === '(' || before?.kind === 'integer' || before?.text === ')'
  }

  // Tokens.

  get #token(): Token {
    return this.#tokens[this.#at] ?? (this.#tokens.at(-1) as Token)
  }

  #peek(ahead: number): Token {
    return this.#tokens[this.#at + ahead] ?? (this.#tokens.at(-1) as Token)
  }

  #isWord(word: string, ahead = 0): boolean {
    const token = this.#peek(ahead)
    return token.kind === 'name' && token.text.toUpperCase() === word
  }

  #isWords(...words: string[]): boolean {
    return words.every((word, ahead) => this.#isWord(word, ahead))
  }

  #isMark(mark: string, ahead = 0): boolean {
    const token = this.#peek(ahead)
    return token.kind === 'mark' && token.text === mark
  }

  #word(...words: string[]): boolean {
    if (!this.#isWords(...words)) return false
    this.#at += words.length
    return true
  }

  #mark(mark: string): boolean {
    if (!this.#isMark(mark)) return false
    this.#at++
    return true
  }

  #need(mark: string): void {
    if (!this.#mark(mark)) throw this.#unexpected(`Expected "${mark}"`)
  }

  #needWord(...words: string[]): void {
    if (!this.#word(...words)) throw this.#unexpected(`Expected keyword ${words.join(' ')}`)
  }

  #unexpected(expected?: string): Error {
    const token = this.#token
    const got =
      token.kind === 'end'
        ? 'end of script'
        : token.kind === 'name' && RESERVED.has(token.text.toUpperCase())
          ? `keyword ${token.text.toUpperCase()}`
          : token.kind === 'name' || token.kind === 'quoted'
            ? `identifier ${JSON.stringify(token.text)}`
            : JSON.stringify(this.#source.slice(token.start, token.end))
    return invalidQuery(
      `Syntax error: ${expected === undefined ? `Unexpected ${got}` : `${expected} but got ${got}`}`,
      token,
    )
  }

  #name(): string {
    const token = this.#token
    if (token.kind === 'quoted' || (token.kind === 'name' && !RESERVED.has(token.text.toUpperCase()))) {
      this.#at++
      return token.text
    }
    throw this.#unexpected('Expected an identifier')
  }

  /** After a dot, and for a field, reserved words are names too. */
  #field(): string {
    const token = this.#token
    if (token.kind !== 'quoted' && token.kind !== 'name') throw this.#unexpected('Expected an identifier')
    this.#at++
    return token.text
  }

  #list<T>(item: () => T): T[] {
    const items = [item()]
    while (this.#mark(',')) items.push(item())
    return items
  }

  #inParens<T>(inner: () => T): T {
    this.#need('(')
    const value = inner()
    this.#need(')')
    return value
  }

  #deeper<T>(inner: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw unsupported(`A query nested deeper than ${MAX_DEPTH}`, this.#token)
    try {
      return inner()
    } finally {
      this.#depth--
    }
  }

  // Statements.

  statement(): Translated {
    const done = this.#statement()
    this.#mark(';')
    if (this.#token.kind !== 'end') {
      if (this.#tokens[this.#at - 1]?.text === ';') throw unsupported('A script of several statements', this.#token)
      throw this.#unexpected()
    }
    return { ...done, references: [...this.#references.values()], words: this.#words }
  }

  #statement(): Omit<Translated, 'references' | 'words'> {
    if (this.#isWord('SELECT') || this.#isWord('WITH') || this.#isMark('(')) {
      const sql = this.#query()
      return { type: 'SELECT', kind: 'query', sql, check: sql }
    }
    if (this.#word('INSERT')) return this.#insert()
    if (this.#word('UPDATE')) return this.#update()
    if (this.#word('DELETE')) return this.#delete()
    if (this.#word('MERGE')) return this.#merge()
    if (this.#word('CREATE')) return this.#create()
    if (this.#word('DROP')) return this.#drop()
    if (this.#word('TRUNCATE')) {
      this.#needWord('TABLE')
      const target = this.#existing('table')
      const sql = `DELETE FROM ${tableName(target.dataset, target.table)}`
      return { type: 'TRUNCATE_TABLE', kind: 'dml', sql, target, check: sql }
    }
    const token = this.#token
    if (token.kind !== 'name') throw this.#unexpected()
    throw unsupported(`The statement ${token.text.toUpperCase()}`, token)
  }

  #insert(): Omit<Translated, 'references' | 'words'> {
    this.#word('INTO')
    const target = this.#existing('table')
    const columns =
      this.#isMark('(') && !this.#isWord('SELECT', 1) ? this.#inParens(() => this.#list(() => quote(this.#name()))) : []
    const list = columns.length > 0 ? ` (${columns.join(', ')})` : ''
    const rows = this.#word('VALUES') ? `VALUES ${this.#rows()}` : this.#query()
    const sql = `INSERT INTO ${tableName(target.dataset, target.table)}${list} ${rows}`
    return { type: 'INSERT', kind: 'dml', sql, target, check: sql }
  }

  #rows(): string {
    return this.#list(() => `(${this.#inParens(() => this.#list(() => this.#orDefault())).join(', ')})`).join(', ')
  }

  #orDefault(): string {
    return this.#word('DEFAULT') ? 'DEFAULT' : this.#expression().sql
  }

  #dmlScope(target: Reference, alias: string): Scope {
    const scope = this.#newScope()
    scope.aliases.add(alias.toLowerCase())
    scope.from = `${tableName(target.dataset, target.table)} AS ${quote(alias)}`
    scope.sources.push({ alias, star: `${quote(alias)}.*`, plain: true })
    return scope
  }

  #update(): Omit<Translated, 'references' | 'words'> {
    const target = this.#existing('table')
    const alias = this.#alias() ?? target.table
    return this.#within(this.#dmlScope(target, alias), (scope) => {
      this.#needWord('SET')
      // FROM is read first: the values may name its tables.
      const values = this.#at
      this.#skipTo('FROM', 'WHERE')
      let from = ''
      if (this.#word('FROM')) {
        const before = scope.from
        scope.from = ''
        this.#fromList(scope)
        from = ` FROM ${scope.from}`
        scope.from = `${before}, ${scope.from}`
      }
      const after = this.#at
      this.#at = values
      const set = this.#list(() => this.#assignment(alias))
      this.#at = after
      this.#needWord('WHERE')
      const where = this.#expression().sql
      const sql = `UPDATE ${tableName(target.dataset, target.table)} AS ${quote(alias)} SET ${set.join(', ')}${from} WHERE ${where}`
      return { type: 'UPDATE', kind: 'dml', sql, target, check: sql }
    })
  }

  #assignment(alias: string): string {
    const path = [this.#field()]
    while (this.#mark('.')) path.push(this.#field())
    if (path.length > 1 && path[0]?.toLowerCase() === alias.toLowerCase()) path.shift()
    this.#need('=')
    const value = this.#orDefault()
    const [column = '', ...fields] = path
    if (fields.length > 1) throw unsupported('UPDATE of a field of a field', this.#token)
    if (fields.length === 0) return `${quote(column)} = ${value}`
    return `${quote(column)} = struct_update(${quote(alias)}.${quote(column)}, ${quote(fields[0] ?? '')} := ${value})`
  }

  #delete(): Omit<Translated, 'references' | 'words'> {
    this.#word('FROM')
    const target = this.#existing('table')
    const alias = this.#alias() ?? target.table
    return this.#within(this.#dmlScope(target, alias), () => {
      this.#needWord('WHERE')
      const sql = `DELETE FROM ${tableName(target.dataset, target.table)} AS ${quote(alias)} WHERE ${this.#expression().sql}`
      return { type: 'DELETE', kind: 'dml', sql, target, check: sql }
    })
  }

  #merge(): Omit<Translated, 'references' | 'words'> {
    this.#word('INTO')
    const target = this.#existing('table')
    const alias = this.#alias() ?? target.table
    return this.#within(this.#dmlScope(target, alias), (scope) => {
      this.#needWord('USING')
      const into = scope.from
      scope.from = ''
      this.#fromItem(scope)
      const using = scope.from
      scope.from = `${into}, ${using}`
      this.#needWord('ON')
      const on = this.#expression().sql
      const whens: string[] = []
      while (this.#word('WHEN')) whens.push(this.#when(alias))
      if (whens.length === 0) throw this.#unexpected('Expected keyword WHEN')
      const sql = `MERGE INTO ${into} USING ${using} ON ${on} ${whens.join(' ')}`
      return { type: 'MERGE', kind: 'dml', sql, target, check: sql }
    })
  }

  #when(alias: string): string {
    let matched = 'MATCHED'
    if (this.#word('NOT')) {
      matched = 'NOT MATCHED'
      this.#needWord('MATCHED')
      if (this.#word('BY', 'SOURCE')) matched = 'NOT MATCHED BY SOURCE'
      else this.#word('BY', 'TARGET')
    } else this.#needWord('MATCHED')
    const condition = this.#word('AND') ? ` AND ${this.#expression().sql}` : ''
    this.#needWord('THEN')
    const head = `WHEN ${matched}${condition} THEN`
    if (this.#word('DELETE')) return `${head} DELETE`
    if (this.#word('UPDATE')) {
      this.#needWord('SET')
      return `${head} UPDATE SET ${this.#list(() => this.#assignment(alias)).join(', ')}`
    }
    this.#needWord('INSERT')
    if (this.#word('ROW')) return `${head} INSERT BY POSITION`
    const columns = this.#isMark('(')
      ? ` (${this.#inParens(() => this.#list(() => quote(this.#name()))).join(', ')})`
      : ''
    if (this.#word('ROW')) throw unsupported('INSERT (columns) ROW', this.#token)
    this.#needWord('VALUES')
    return `${head} INSERT${columns} VALUES (${this.#inParens(() => this.#list(() => this.#orDefault())).join(', ')})`
  }

  #create(): Omit<Translated, 'references' | 'words'> {
    const replace = this.#word('OR', 'REPLACE')
    if (this.#word('SCHEMA')) {
      const ifExists = this.#word('IF', 'NOT', 'EXISTS')
      const parts = this.#path()
      const dataset = this.#dataset(parts)
      this.#options()
      if (this.#context.catalog.has(dataset) && !ifExists) throw this.#already('Dataset', `${PROJECT}:${dataset}`)
      return { type: 'CREATE_SCHEMA', kind: 'ddl', sql: `CREATE SCHEMA IF NOT EXISTS wh.${quote(dataset)}`, ifExists }
    }
    const view = this.#word('VIEW')
    if (!view && !this.#word('TABLE')) throw unsupported(`CREATE ${this.#token.text.toUpperCase()}`, this.#token)
    const ifExists = this.#word('IF', 'NOT', 'EXISTS')
    const target = this.#target()
    const found = this.#context.catalog.get(target.dataset)?.get(target.table)
    if (found && !replace && !ifExists) throw this.#already('Table', `${PROJECT}:${target.dataset}.${target.table}`)
    if (found && replace && (found.kind === 'view') !== view)
      throw unsupported('Replacing a table by a view or a view by a table')
    const columns = this.#isMark('(') ? this.#columns(view) : undefined
    if (this.#word('PARTITION', 'BY')) this.#expression()
    if (this.#word('CLUSTER', 'BY')) this.#list(() => this.#path())
    this.#options()
    const head = `CREATE ${replace ? 'OR REPLACE ' : ''}${view ? 'VIEW' : 'TABLE'} ${ifExists ? 'IF NOT EXISTS ' : ''}`
    const name = tableName(target.dataset, target.table)
    if (this.#word('AS')) {
      if (columns) throw unsupported('CREATE with columns and a query', this.#token)
      const start = this.#token.start
      const sql = this.#query()
      const end = this.#tokens[this.#at - 1]?.end ?? start
      return {
        type: view ? 'CREATE_VIEW' : 'CREATE_TABLE_AS_SELECT',
        kind: 'ddl',
        sql: `${head}${name} AS ${sql}`,
        target,
        query: { sql, source: this.#source.slice(start, end) },
        check: sql,
        ifExists,
      }
    }
    if (view || columns === undefined) throw this.#unexpected('Expected keyword AS')
    const list = columns.map((column) => `${quote(column.name)} ${column.type}${column.required ? ' NOT NULL' : ''}`)
    return { type: 'CREATE_TABLE', kind: 'ddl', sql: `${head}${name} (${list.join(', ')})`, target, columns, ifExists }
  }

  #columns(view: boolean): { name: string; type: string; required: boolean }[] {
    if (view) throw unsupported('A view with a column list', this.#token)
    return this.#inParens(() =>
      this.#list(() => {
        const name = this.#name()
        const type = this.#type()
        const required = this.#word('NOT', 'NULL')
        if (this.#isWord('DEFAULT')) throw unsupported('A column default', this.#token)
        this.#options()
        return { name, type, required }
      }),
    )
  }

  #options(): void {
    if (!this.#word('OPTIONS')) return
    this.#inParens(() => {
      if (this.#isMark(')')) return
      this.#list(() => {
        this.#name()
        this.#need('=')
        this.#expression()
      })
    })
  }

  #already(kind: string, name: string): Error {
    return Object.assign(invalidQuery(`Already Exists: ${kind} ${name}`), { status: 409, reason: 'duplicate' })
  }

  #drop(): Omit<Translated, 'references' | 'words'> {
    if (this.#word('SCHEMA')) {
      const ifExists = this.#word('IF', 'EXISTS')
      const dataset = this.#dataset(this.#path())
      const cascade = this.#word('CASCADE') ? ' CASCADE' : ''
      if (!this.#context.catalog.has(dataset) && !ifExists) throw notFound('Dataset', `${PROJECT}:${dataset}`)
      return { type: 'DROP_SCHEMA', kind: 'ddl', sql: `DROP SCHEMA IF EXISTS wh.${quote(dataset)}${cascade}`, ifExists }
    }
    const view = this.#word('VIEW')
    if (!view && !this.#word('TABLE')) throw unsupported(`DROP ${this.#token.text.toUpperCase()}`, this.#token)
    const ifExists = this.#word('IF', 'EXISTS')
    const target = this.#target()
    const found = this.#context.catalog.get(target.dataset)?.get(target.table)
    if (!found && !ifExists) throw notFound('Table', `${PROJECT}:${target.dataset}.${target.table}`)
    if (found && (found.kind === 'view') !== view)
      throw invalidQuery(
        `Cannot drop ${found.kind} ${target.dataset}.${target.table} with DROP ${view ? 'VIEW' : 'TABLE'}`,
      )
    const sql = `DROP ${view ? 'VIEW' : 'TABLE'} IF EXISTS ${tableName(target.dataset, target.table)}`
    return { type: view ? 'DROP_VIEW' : 'DROP_TABLE', kind: 'ddl', sql, target, ifExists }
  }

  // Queries.

  #newScope(): Scope {
    return { parent: this.#scope, aliases: new Set(), implicit: new Map(), sources: [], from: '', using: false }
  }

  #within<T>(scope: Scope, inner: (scope: Scope) => T): T {
    const before = this.#scope
    this.#scope = scope
    try {
      return inner(scope)
    } finally {
      this.#scope = before
    }
  }

  #query(asValue = false): string {
    return this.#deeper(() => {
      const withs = this.#with.length
      const ctes = this.#ctes.length
      let head = ''
      if (this.#word('WITH')) {
        const recursive = this.#word('RECURSIVE')
        const parts: string[] = []
        do {
          const name = this.#name()
          if (recursive) this.#ctes.push(new Set([name.toLowerCase()]))
          this.#needWord('AS')
          const sql = `${quote(name)} AS (${this.#inParens(() => this.#query())})`
          parts.push(sql)
          if (!recursive) this.#ctes.push(new Set([name.toLowerCase()]))
          this.#with.push(sql)
        } while (this.#mark(','))
        head = `WITH ${recursive ? 'RECURSIVE ' : ''}${parts.join(', ')} `
      }
      this.#selected = undefined
      let sql = this.#operand(asValue)
      // ORDER BY sees the tables of a lone SELECT.
      let scope = this.#selected as Scope | undefined
      for (;;) {
        const operator = this.#setOperator()
        if (operator === undefined) break
        scope = undefined
        sql = `${sql} ${operator} ${this.#operand(asValue)}`
      }
      sql += scope === undefined ? this.#orderLimit() : this.#within(scope, () => this.#orderLimit())
      this.#selected = undefined
      this.#with.length = withs
      this.#ctes.length = ctes
      if (this.#isMark('|>')) throw unsupported('Pipe syntax', this.#token)
      return head + sql
    })
  }

  #setOperator(): string | undefined {
    const operator = ['UNION', 'INTERSECT', 'EXCEPT'].find((word) => this.#word(word))
    if (operator === undefined) return undefined
    if (this.#word('ALL')) return `${operator} ALL`
    this.#needWord('DISTINCT')
    return operator
  }

  #operand(asValue: boolean): string {
    if (this.#isMark('(')) {
      const sql = `(${this.#inParens(() => this.#query(asValue))})`
      this.#selected = undefined
      return sql
    }
    return this.#select(asValue)
  }

  #orderLimit(): string {
    let sql = this.#order()
    if (this.#word('LIMIT')) {
      sql += ` LIMIT ${this.#count()}`
      if (this.#word('OFFSET')) sql += ` OFFSET ${this.#count()}`
    }
    return sql
  }

  #order(): string {
    return this.#word('ORDER', 'BY') ? ` ORDER BY ${this.#list(() => this.#orderItem()).join(', ')}` : ''
  }

  #orderItem(): string {
    let sql = this.#ordinal()
    if (this.#word('DESC')) sql += ' DESC'
    else if (this.#word('ASC')) sql += ' ASC'
    if (this.#word('NULLS')) {
      if (this.#word('FIRST')) sql += ' NULLS FIRST'
      else {
        this.#needWord('LAST')
        sql += ' NULLS LAST'
      }
    }
    return sql
  }

  /** A bare number here is a column's position. */
  #ordinal(): string {
    const token = this.#token
    const after = this.#peek(1)
    if (
      token.kind === 'integer' &&
      (after.kind === 'end' || after.kind === 'name' || [',', ')', ';'].includes(after.text))
    ) {
      this.#at++
      return token.text
    }
    return this.#expression().sql
  }

  #count(): string {
    const token = this.#token
    if (token.kind === 'integer') {
      this.#at++
      return token.text
    }
    if (token.kind === 'parameter' || token.kind === 'position') return this.#primary().sql
    throw this.#unexpected('Expected an integer literal or a parameter')
  }

  /** Stands on the word asked for at this depth, or at the end of this query. */
  #skipTo(...words: string[]): boolean {
    let depth = 0
    for (; this.#token.kind !== 'end'; this.#at++) {
      if (this.#isMark('(') || this.#isMark('[')) depth++
      else if (this.#isMark(')') || this.#isMark(']')) {
        if (depth === 0) return false
        depth--
      } else if (depth === 0) {
        if (this.#isMark(';')) return false
        const distinct =
          this.#tokens[this.#at - 1]?.text.toUpperCase() === 'DISTINCT' &&
          /^(is|not)$/i.test(this.#tokens[this.#at - 2]?.text ?? '')
        const dotted = this.#tokens[this.#at - 1]?.text === '.'
        if (!dotted && words.some((word) => this.#isWord(word)) && !(distinct && this.#isWord('FROM'))) return true
        // The next operand of a set operation has a FROM of its own.
        if (this.#isWord('UNION') || this.#isWord('INTERSECT') || (this.#isWord('EXCEPT') && !this.#isMark('(', 1)))
          return false
      }
    }
    return false
  }

  #select(asValue: boolean): string {
    this.#needWord('SELECT')
    return this.#within(this.#newScope(), (scope) => {
      const distinct = this.#word('DISTINCT')
      if (!distinct) this.#word('ALL')
      let struct = false
      if (this.#word('AS')) {
        if (this.#word('STRUCT')) struct = true
        else {
          this.#needWord('VALUE')
          if (!asValue) throw unsupported('SELECT AS VALUE outside ARRAY and scalar subqueries', this.#token)
        }
      }
      const list = this.#at
      // FROM is read first: what a name or `*` means depends on it.
      let after = -1
      if (this.#skipTo('FROM')) {
        this.#at++
        this.#fromList(scope)
        after = this.#at
      }
      this.#at = list
      const items: Item[] = []
      do {
        if (items.length > 0 && (this.#isWord('FROM') || this.#token.kind === 'end' || this.#isMark(')'))) break
        items.push(this.#item())
      } while (this.#mark(','))
      if (after >= 0) {
        this.#needWord('FROM')
        this.#at = after
      }
      let tail = scope.from === '' ? '' : ` FROM ${scope.from}`
      if (this.#word('WHERE')) tail += ` WHERE ${this.#expression().sql}`
      if (this.#word('GROUP', 'BY')) tail += ` GROUP BY ${this.#grouping()}`
      if (this.#word('HAVING')) tail += ` HAVING ${this.#expression().sql}`
      if (this.#word('QUALIFY')) tail += ` QUALIFY ${this.#expression().sql}`
      if (this.#isWord('WINDOW')) {
        this.#at++
        tail += ` WINDOW ${this.#list(() => {
          const name = this.#name()
          this.#needWord('AS')
          return `${quote(name)} AS ${this.#window()}`
        }).join(', ')}`
      }
      const head = `SELECT ${distinct ? 'DISTINCT ' : ''}`
      if (struct && asValue) {
        const sql = this.#structQuery(items, head, tail)
        this.#selected = scope
        return sql
      }
      const sql = `${head}${this.#items(items)}${tail}`
      // In ORDER BY, what SELECT names comes before what FROM names.
      for (const { expression } of items)
        if (expression?.name !== undefined) scope.implicit.delete(expression.name.toLowerCase())
      this.#selected = scope
      return sql
    })
  }

  #grouping(): string {
    if (this.#word('ALL')) return 'ALL'
    return this.#list(() => {
      for (const word of ['ROLLUP', 'CUBE']) {
        if (this.#isWord(word) && this.#isMark('(', 1)) {
          this.#at++
          return `${word} (${this.#inParens(() => this.#list(() => this.#expression().sql)).join(', ')})`
        }
      }
      if (this.#word('GROUPING', 'SETS')) {
        return `GROUPING SETS (${this.#inParens(() => this.#list(() => this.#groupingSet())).join(', ')})`
      }
      return this.#ordinal()
    }).join(', ')
  }

  /** `(a, b)`, `()` or one expression. */
  #groupingSet(): string {
    if (!this.#isMark('(')) return this.#expression().sql
    const parts = this.#inParens(() => (this.#isMark(')') ? [] : this.#list(() => this.#expression().sql)))
    return `(${parts.join(', ')})`
  }

  #item(): Item {
    if (this.#mark('*')) return { star: this.#starTail(undefined) }
    // `path.*`
    let ahead = 0
    while ((this.#peek(ahead).kind === 'name' || this.#peek(ahead).kind === 'quoted') && this.#isMark('.', ahead + 1))
      ahead += 2
    if (ahead > 0 && this.#isMark('*', ahead)) {
      const path = [this.#field()]
      while (this.#mark('.') && !this.#isMark('*')) path.push(this.#field())
      this.#need('*')
      return { star: this.#starTail(this.#column(path).sql) }
    }
    const expression = this.#expression()
    if (this.#isMark('.') && this.#isMark('*', 1)) throw unsupported('.* after an expression', this.#token)
    const alias = this.#alias()
    return { expression: alias === undefined ? expression : { ...expression, name: alias } }
  }

  #starTail(base: string | undefined): NonNullable<Item['star']> {
    const except =
      this.#isWord('EXCEPT') && this.#isMark('(', 1) && (this.#at++, true)
        ? this.#inParens(() => this.#list(() => this.#field()))
        : []
    const replace =
      this.#isWord('REPLACE') && this.#isMark('(', 1) && (this.#at++, true)
        ? this.#inParens(() =>
            this.#list(() => {
              const { sql } = this.#expression()
              this.#word('AS')
              return { sql, name: this.#field() }
            }),
          )
        : []
    return { ...(base === undefined ? {} : { base }), except, replace }
  }

  #items(items: readonly Item[]): string {
    let unnamed = 0
    const names = new Set<string>()
    return items
      .map((item) => {
        if (item.star) return this.#star(item.star)
        const name = item.expression?.name ?? `f${unnamed++}_`
        if (names.has(name.toLowerCase()) && this.#scope?.parent === undefined && this.#with.length === 0) {
          throw invalidQuery(`Duplicate column names in the result are not supported. Found duplicate(s): ${name}`)
        }
        names.add(name.toLowerCase())
        return `${item.expression?.sql} AS ${quote(name)}`
      })
      .join(', ')
  }

  #star(star: NonNullable<Item['star']>): string {
    const tail =
      (star.except.length > 0 ? ` EXCLUDE (${star.except.map(quote).join(', ')})` : '') +
      (star.replace.length > 0
        ? ` REPLACE (${star.replace.map((item) => `${item.sql} AS ${quote(item.name)}`).join(', ')})`
        : '')
    const sources = this.#scope?.sources ?? []
    if (star.base !== undefined) {
      const source = sources.find((source) => quote(source.alias) === star.base)
      if (source && !source.plain) {
        if (tail !== '') throw unsupported('EXCEPT or REPLACE on this .*', this.#token)
        return source.star
      }
      return `${star.base}.*${tail}`
    }
    if (sources.length === 0) throw invalidQuery('SELECT * must have a FROM clause')
    if (sources.every((source) => source.plain)) return `*${tail}`
    if (tail !== '' || this.#scope?.using)
      throw unsupported(
        'EXCEPT, REPLACE or USING with * over an array of structs, an offset or a wildcard table',
        this.#token,
      )
    return sources.map((source) => source.star).join(', ')
  }

  /** `SELECT AS STRUCT` where one value is wanted: a query of one column that holds the struct. */
  #structQuery(items: readonly Item[], head: string, tail: string): string {
    const stars = items.filter((item) => item.star)
    const [first] = items
    if (stars.length === 0) {
      const fields = items.map(
        (item, at) => `${quote(item.expression?.name ?? `_field_${at + 1}`)} := ${item.expression?.sql}`,
      )
      return `${head}struct_pack(${fields.join(', ')})${tail}`
    }
    const star = first?.star
    if (stars.length === 1 && star?.base !== undefined && star.except.length === 0) {
      const added = items.slice(1).map((item) => `${quote(item.expression?.name ?? '')} := ${item.expression?.sql}`)
      if (items.slice(1).every((item) => item.expression?.name !== undefined)) {
        const replaced = star.replace.map((item) => `${quote(item.name)} := ${item.sql}`)
        let sql = star.base
        if (replaced.length > 0) sql = `struct_update(${sql}, ${replaced.join(', ')})`
        if (added.length > 0) sql = `struct_insert(${sql}, ${added.join(', ')})`
        return `${head}${sql}${tail}`
      }
    }
    if (tail === '') {
      // Without FROM, DuckDB expands a struct only where its value is a column.
      if (star?.base === undefined || items.length > 1) throw unsupported('This SELECT AS STRUCT', this.#token)
      return `SELECT _r FROM (SELECT ${this.#star({ ...star, base: '_b._v' })} FROM (SELECT ${star.base} AS _v) AS _b) AS _r`
    }
    return `SELECT _r FROM (${head}${this.#items(items)}${tail}${this.#orderLimit()}) AS _r`
  }

  // FROM.

  #fromList(scope: Scope): void {
    this.#within(scope, () => {
      this.#joins(scope)
      while (this.#mark(',')) {
        scope.from += ', '
        this.#joins(scope)
      }
    })
  }

  #joins(scope: Scope): void {
    this.#fromItem(scope)
    for (;;) {
      if (this.#word('CROSS', 'JOIN')) {
        scope.from += ' CROSS JOIN '
        this.#fromItem(scope)
        continue
      }
      const kind = this.#word('INNER') ? 'INNER' : (['LEFT', 'RIGHT', 'FULL'].find((word) => this.#word(word)) ?? '')
      if (kind !== '' && kind !== 'INNER') this.#word('OUTER')
      if (!this.#word('JOIN')) {
        if (kind !== '') throw this.#unexpected('Expected keyword JOIN')
        return
      }
      const before = scope.from
      scope.from += ', '
      const start = scope.from.length
      this.#fromItem(scope)
      const joined = scope.from.slice(start)
      scope.from = `${before} ${kind} JOIN ${joined}`
      if (this.#word('ON')) scope.from += ` ON ${this.#expression().sql}`
      else if (this.#word('USING')) {
        scope.using = true
        scope.from += ` USING (${this.#inParens(() => this.#list(() => quote(this.#name()))).join(', ')})`
      } else if (joined.startsWith('unnest(')) scope.from += ' ON TRUE'
      else throw this.#unexpected('Expected keyword ON or keyword USING')
    }
  }

  #fromItem(scope: Scope): void {
    this.#deeper(() => this.#fromItemInner(scope))
    for (const word of ['PIVOT', 'UNPIVOT', 'TABLESAMPLE', 'MATCH_RECOGNIZE']) {
      if (this.#isWord(word)) throw unsupported(word, this.#token)
    }
    if (this.#isWord('FOR')) throw unsupported('FOR SYSTEM_TIME AS OF', this.#token)
  }

  #fromItemInner(scope: Scope): void {
    if (this.#word('UNNEST')) {
      const array = this.#inParens(() => this.#expression())
      this.#unnest(scope, array.sql, this.#alias())
      return
    }
    if (this.#isMark('(')) {
      const inner = this.#peek(1)
      if (/^(select|with)$/i.test(inner.text) && inner.kind === 'name') {
        // A subquery does not see its neighbours.
        const before = this.#scope
        this.#scope = scope.parent
        const sql = this.#inParens(() => this.#query())
        this.#scope = before
        this.#add(scope, `(${sql})`, this.#alias() ?? `_t${this.#unique++}`)
        return
      }
      const before = scope.from
      scope.from = ''
      this.#need('(')
      this.#joins(scope)
      this.#need(')')
      scope.from = `${before}(${scope.from})`
      return
    }
    const start = this.#token
    if (this.#isWord('LATERAL')) throw this.#unexpected()
    const path = this.#path()
    if (this.#isMark('(')) throw unsupported('A table function', start)
    if (this.#isArrayPath(path)) {
      this.#unnest(scope, this.#column(path).sql, this.#alias() ?? path.at(-1))
      return
    }
    const alias = this.#alias()
    const found = this.#relation(path, start)
    this.#add(scope, found.sql, alias ?? found.name, found.hidden)
  }

  #add(scope: Scope, sql: string, alias: string, hidden = false): void {
    if (scope.aliases.has(alias.toLowerCase()))
      throw invalidQuery(`Duplicate table alias ${alias} in the same FROM clause`, this.#token)
    scope.aliases.add(alias.toLowerCase())
    scope.from += `${sql} AS ${quote(alias)}`
    const star = `${quote(alias)}.*`
    scope.sources.push({ alias, star: hidden ? `${star} EXCLUDE (_TABLE_SUFFIX)` : star, plain: !hidden })
  }

  #isArrayPath(path: readonly string[]): boolean {
    const [first = ''] = path
    if (path.length < 2) return false
    for (let scope = this.#scope; scope; scope = scope.parent) if (scope.aliases.has(first.toLowerCase())) return true
    return false
  }

  /** An array in FROM, after its alias: `[WITH OFFSET [AS o]]`. */
  #unnest(scope: Scope, array: string, before: string | undefined): void {
    let offset: string | undefined
    if (this.#word('WITH', 'OFFSET')) offset = this.#alias() ?? 'offset'
    const id = this.#unique++
    const value = before ?? `_v${id}`
    const table = `_u${id}`
    const type = this.#typeOf(`unnest(${array})`, scope)
    const element = quote(value)
    // The table's own name would win over the column in `element.field`, so it is another one.
    scope.from += `unnest(${array})${offset === undefined ? '' : ' WITH ORDINALITY'} AS ${quote(table)}(${element}${offset === undefined ? '' : `, ${quote(`_o${id}`)}`})`
    const column = `${quote(table)}.${element}`
    scope.aliases.add(value.toLowerCase())
    scope.implicit.set(value.toLowerCase(), column)
    const fields = structFields(type)
    let star =
      fields === undefined
        ? `${column} AS ${element}`
        : fields.map((field) => `${column}.${quote(field)} AS ${quote(field)}`).join(', ')
    for (const field of fields ?? []) {
      if (!scope.implicit.has(field.toLowerCase())) scope.implicit.set(field.toLowerCase(), `${column}.${quote(field)}`)
    }
    if (offset !== undefined) {
      const number = `(${quote(table)}.${quote(`_o${id}`)} - 1)`
      scope.implicit.set(offset.toLowerCase(), number)
      star += `, ${number} AS ${quote(offset)}`
    }
    scope.sources.push({ alias: value, star, plain: false })
  }

  /** The DuckDB type of an expression in this place, or an empty text where DuckDB cannot tell. */
  #typeOf(sql: string, scope: Scope | undefined): string {
    const froms: string[] = []
    for (let at = scope; at; at = at.parent) {
      const from = at.from.replace(/(,|(?:CROSS|INNER|LEFT|RIGHT|FULL)? ?JOIN)\s*$/, '').trim()
      if (from !== '') froms.unshift(from)
    }
    const head = this.#with.length > 0 ? `WITH RECURSIVE ${this.#with.join(', ')} ` : ''
    const asked = `${head}SELECT ${sql} AS _x${froms.length > 0 ? ` FROM ${froms.join(', ')}` : ''}`
    const known = this.#context.types.get(asked)
    if (known === undefined) throw new TypeWanted(asked)
    return known
  }

  #alias(): string | undefined {
    if (this.#word('AS')) return this.#field()
    const token = this.#token
    if (token.kind === 'quoted') return this.#name()
    if (token.kind !== 'name' || RESERVED.has(token.text.toUpperCase())) return undefined
    if (/^(PIVOT|UNPIVOT|TABLESAMPLE|MATCH_RECOGNIZE|WINDOW|VALUES)$/i.test(token.text)) return undefined
    return this.#name()
  }

  /** A table's path: names between dots, each of which may hold dots in backticks and, for a project, dashes. */
  #path(): string[] {
    const parts: string[] = []
    do {
      const token = this.#token
      let part = parts.length > 0 ? this.#field() : this.#name()
      if (token.kind === 'name') {
        while (
          this.#isMark('-') &&
          this.#token.start === (this.#tokens[this.#at - 1]?.end ?? -1) &&
          this.#peek(1).start === this.#token.end
        ) {
          this.#at++
          part += `-${this.#token.text}`
          this.#at++
        }
      }
      parts.push(...(token.kind === 'quoted' ? part.split('.') : [part]))
    } while (this.#mark('.'))
    return parts
  }

  #dataset(parts: readonly string[]): string {
    const [dataset = '', extra] = parts[0] === PROJECT ? parts.slice(1) : parts
    if (
      extra !== undefined ||
      !/^\w{1,1024}$/.test(dataset) ||
      dataset.startsWith('_') ||
      /^(main|information_schema|pg_catalog)$/i.test(dataset)
    ) {
      throw invalidQuery(`Invalid dataset ID ${JSON.stringify(parts.join('.'))}`)
    }
    return dataset
  }

  /** Project, dataset and table of a path; the first from the query's place, the second from its default. */
  #qualified(parts: readonly string[], at?: Token): Reference {
    let rest = [...parts]
    if (rest.length > 2) {
      const project = rest.shift()
      if (project !== PROJECT) {
        throw Object.assign(
          invalidQuery(
            `Access Denied: Table ${project}:${rest.join('.')}: User does not have permission to query table ${project}:${rest.join('.')}, or perhaps it does not exist.`,
          ),
          { status: 403, reason: 'accessDenied' },
        )
      }
    }
    if (rest.length === 1 && this.#context.defaultDataset !== undefined) rest = [this.#context.defaultDataset, ...rest]
    const [dataset, table, ...more] = rest
    if (dataset === undefined || table === undefined || more.length > 0) {
      throw invalidQuery(
        `Table ${JSON.stringify(parts.join('.'))} must be qualified with a dataset (e.g. dataset.table).`,
        at,
      )
    }
    return { dataset, table }
  }

  #target(): Reference {
    const parts = this.#path()
    const reference = this.#qualified(parts)
    if (!this.#context.catalog.has(reference.dataset)) throw notFound('Dataset', `${PROJECT}:${reference.dataset}`)
    if (!/^[\p{L}\p{N}_-]{1,1024}$/u.test(reference.table))
      throw invalidQuery(`Invalid table ID ${JSON.stringify(reference.table)}`)
    return reference
  }

  /** A table that is there, for DML to write. */
  #existing(kind: Relation['kind']): Reference {
    const target = this.#target()
    const found = this.#context.catalog.get(target.dataset)?.get(target.table)
    if (!found) throw notFound('Table', `${PROJECT}:${target.dataset}.${target.table}`)
    if (found.kind !== kind)
      throw invalidQuery(`${target.dataset}.${target.table} is a ${found.kind} and cannot be written`)
    this.#refer(target)
    return target
  }

  #refer(reference: Reference): void {
    this.#references.set(`${reference.dataset}.${reference.table}`, reference)
  }

  #relation(path: readonly string[], at: Token): { sql: string; name: string; hidden: boolean } {
    const [first = ''] = path
    if (path.length === 1 && this.#ctes.some((names) => names.has(first.toLowerCase()))) {
      return { sql: quote(first), name: first, hidden: false }
    }
    const schemaAt = path.findIndex((part) => part.toUpperCase() === 'INFORMATION_SCHEMA')
    if (schemaAt >= 0) {
      const sql = informationSchema(this.#context.catalog, path.slice(0, schemaAt), path.slice(schemaAt + 1))
      return { sql, name: path.at(-1) ?? '', hidden: false }
    }
    const reference = this.#qualified(path, at)
    const tables = this.#context.catalog.get(reference.dataset)
    if (!tables) throw notFound('Dataset', `${PROJECT}:${reference.dataset}`)
    if (reference.table.endsWith('*')) return this.#wildcard(reference, tables)
    if (!tables.has(reference.table)) throw notFound('Table', `${PROJECT}:${reference.dataset}.${reference.table}`)
    this.#refer(reference)
    return { sql: tableName(reference.dataset, reference.table), name: reference.table, hidden: false }
  }

  #wildcard(
    reference: Reference,
    tables: ReadonlyMap<string, Relation>,
  ): { sql: string; name: string; hidden: boolean } {
    const prefix = reference.table.slice(0, -1)
    const matching = [...tables.values()].filter((table) => table.kind === 'table' && table.name.startsWith(prefix))
    if (matching.length === 0)
      throw invalidQuery(`${PROJECT}:${reference.dataset}.${reference.table} does not match any table.`)
    const selects = matching.map((table) => {
      this.#refer({ dataset: reference.dataset, table: table.name })
      return `SELECT *, ${text(table.name.slice(prefix.length))} AS _TABLE_SUFFIX FROM ${tableName(reference.dataset, table.name)}`
    })
    return { sql: `(${selects.join(' UNION ALL BY NAME ')})`, name: reference.table, hidden: true }
  }

  // Expressions.

  #expression(): Expression {
    return this.#deeper(() => this.#or())
  }

  #or(): Expression {
    let left = this.#and()
    while (this.#word('OR')) left = { sql: `(${left.sql} OR ${this.#and().sql})` }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.#word('AND')) left = { sql: `(${left.sql} AND ${this.#not().sql})` }
    return left
  }

  #not(): Expression {
    if (this.#word('NOT')) return this.#deeper(() => ({ sql: `(NOT ${this.#not().sql})` }))
    return this.#comparison()
  }

  #comparison(): Expression {
    let left = this.#binary(0)
    for (;;) {
      const mark = ['=', '<>', '!=', '<=', '>=', '<', '>'].find((candidate) => this.#mark(candidate))
      if (mark !== undefined) {
        left = { sql: `(${left.sql} ${mark} ${this.#binary(0).sql})` }
        continue
      }
      if (this.#word('IS')) {
        const not = this.#word('NOT') ? 'NOT ' : ''
        if (this.#word('DISTINCT', 'FROM'))
          left = { sql: `(${left.sql} IS ${not}DISTINCT FROM ${this.#binary(0).sql})` }
        else {
          const what = ['NULL', 'TRUE', 'FALSE'].find((word) => this.#word(word))
          if (what === undefined) throw this.#unexpected('Expected NULL, TRUE, FALSE or DISTINCT FROM')
          left = { sql: `(${left.sql} IS ${not}${what})` }
        }
        continue
      }
      const not =
        this.#isWord('NOT') && ['IN', 'LIKE', 'BETWEEN'].some((word) => this.#isWord(word, 1))
          ? (this.#at++, 'NOT ')
          : ''
      if (this.#word('BETWEEN')) {
        const low = this.#binary(0).sql
        this.#needWord('AND')
        left = { sql: `(${left.sql} ${not}BETWEEN ${low} AND ${this.#binary(0).sql})` }
      } else if (this.#word('LIKE')) {
        const of = ['ANY', 'ALL', 'SOME'].find((word) => this.#isWord(word))
        if (of !== undefined) left = this.#likeEach(left, not, of)
        else left = { sql: `(${left.sql} ${not}LIKE ${this.#binary(0).sql} ESCAPE '\\')` }
      } else if (this.#word('IN')) left = this.#in(left, not)
      else return left
    }
  }

  #in(left: Expression, not: string): Expression {
    if (this.#word('UNNEST')) {
      const array = this.#inParens(() => this.#expression())
      return { sql: `(${not}bq_in_array(${left.sql}, ${array.sql}))` }
    }
    const right = this.#inParens(() =>
      this.#isWord('SELECT') || this.#isWord('WITH')
        ? this.#query(true)
        : this.#list(() => this.#expression().sql).join(', '),
    )
    return { sql: `(${left.sql} ${not}IN (${right}))` }
  }

  /** `|`, `^`, `&`, shifts, sums, products: from loose to tight. */
  #binary(level: number): Expression {
    const marks = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '||']][level]
    if (marks === undefined) return this.#unary()
    let left = this.#binary(level + 1)
    for (;;) {
      const mark = marks.find((candidate) => this.#mark(candidate))
      if (mark === undefined) return left
      const right = this.#binary(level + 1)
      if (mark === '/') left = { sql: this.#chosen(`bq_div(${left.sql}, ${right.sql})`, [left.sql, right.sql]) }
      else if (mark === '-') left = this.#minus(left, right)
      else if (mark === '+' && this.#isDays(left, right))
        left = { sql: `(${left.sql} + CAST(${right.sql} AS INTEGER))` }
      else if (mark === '^') left = { sql: `xor(${left.sql}, ${right.sql})` }
      else left = { sql: `(${left.sql} ${mark} ${right.sql})` }
    }
  }

  /** Names the overload itself where an argument holds an aggregate: there DuckDB cannot choose. */
  #chosen(sql: string, args: readonly string[]): string {
    if (!args.some((arg) => AGGREGATED.test(arg))) return sql
    const list = `(${args.join(', ')})`
    for (const macro of OVERLOADED) {
      if (!sql.includes(macro + list)) continue
      const name = overload(
        macro,
        args.map((arg) => this.#typeOf(arg, this.#scope)),
      )
      if (name !== undefined) return sql.replace(macro + list, () => name + list)
    }
    return sql
  }

  /** Whether this is a DATE and a number of days: DuckDB knows no BIGINT of them. */
  #isDays(left: Expression, right: Expression): boolean {
    if (left.literal !== undefined || this.#typeOf(left.sql, this.#scope) !== 'DATE') return false
    return right.literal !== undefined ? /^\d+$/.test(right.literal) : this.#typeOf(right.sql, this.#scope) === 'BIGINT'
  }

  /** `LIKE ANY ('a%', 'b%')` and `LIKE ALL (…)`. */
  #likeEach(left: Expression, not: string, of: string): Expression {
    this.#at++
    if (!this.#isMark('(')) throw unsupported(`LIKE ${of} without a list`, this.#token)
    const patterns = this.#inParens(() => this.#list(() => this.#expression().sql))
    const each = patterns.map((pattern) => `${left.sql} LIKE ${pattern} ESCAPE '\\'`)
    return { sql: `(${not}(${each.join(of === 'ALL' ? ' AND ' : ' OR ')}))` }
  }

  /** DATE - DATE is an INTERVAL in BigQuery and a number in DuckDB, so the types are asked for. */
  #minus(left: Expression, right: Expression): Expression {
    if (this.#isDays(left, right)) return { sql: `(${left.sql} - CAST(${right.sql} AS INTEGER))` }
    const written = left.literal !== undefined || right.literal !== undefined
    if (!written && this.#typeOf(right.sql, this.#scope) === 'DATE' && this.#typeOf(left.sql, this.#scope) === 'DATE') {
      return { sql: `to_days(CAST(${left.sql} - ${right.sql} AS INTEGER))` }
    }
    return { sql: `(${left.sql} - ${right.sql})` }
  }

  #unary(): Expression {
    if (this.#isMark('-')) {
      const number = this.#peek(1)
      if (number.kind === 'integer' || number.kind === 'float') {
        this.#at += 2
        return this.#postfix(this.#number(number, '-'))
      }
      this.#at++
      return this.#deeper(() => ({ sql: `(- ${this.#unary().sql})` }))
    }
    if (this.#mark('+')) return this.#deeper(() => this.#unary())
    if (this.#mark('~')) return this.#deeper(() => ({ sql: `(~ ${this.#unary().sql})` }))
    return this.#postfix(this.#primary())
  }

  #number(token: Token, sign: string): Expression {
    if (token.kind === 'float') return { sql: `CAST('${sign}${token.text}' AS DOUBLE)`, literal: sign + token.text }
    const value = BigInt(token.text) * (sign === '-' ? -1n : 1n)
    if (value > 9223372036854775807n || value < -9223372036854775808n)
      throw invalidQuery(`Invalid integer literal: ${sign}${token.text}`, token)
    return { sql: `CAST(${value < 0n ? `'${value}'` : String(value)} AS BIGINT)`, literal: String(value) }
  }

  #postfix(start: Expression): Expression {
    let value = start
    for (;;) {
      if (this.#isMark('.') && !this.#isMark('*', 1)) {
        this.#at++
        const name = this.#field()
        value = { sql: `(${value.sql}).${quote(name)}`, name }
      } else if (this.#mark('[')) {
        value = this.#subscript(value)
        this.#need(']')
      } else return value
    }
  }

  #subscript(value: Expression): Expression {
    for (const [word, shift, safe] of [
      ['OFFSET', 0, ''],
      ['SAFE_OFFSET', 0, '_safe'],
      ['ORDINAL', 1, ''],
      ['SAFE_ORDINAL', 1, '_safe'],
    ] as const) {
      if (this.#isWord(word) && this.#isMark('(', 1)) {
        this.#at++
        const index = this.#inParens(() => this.#expression()).sql
        return { sql: `bq_at${safe}(${value.sql}, ${shift === 0 ? index : `${index} - 1`})` }
      }
    }
    const index = this.#expression()
    if (this.#tokens[this.#at - 1]?.kind === 'string')
      return { sql: `json_extract(bq_json(${value.sql}), ${text(`$."${index.literal}"`)})` }
    return { sql: `bq_at(${value.sql}, ${index.sql})` }
  }

  #primary(): Expression {
    const token = this.#token
    switch (token.kind) {
      case 'integer':
      case 'float':
        this.#at++
        return this.#number(token, '')
      case 'string': {
        this.#at++
        return { sql: stringSql(token.text), literal: token.text }
      }
      case 'bytes':
        this.#at++
        return { sql: `unhex('${token.text}')` }
      case 'parameter': {
        this.#at++
        const found = this.#context.parameters.named.get(token.text.toLowerCase())
        if (!found) throw invalidQuery(`Query parameter '${token.text}' not found`, token)
        return found
      }
      case 'position': {
        this.#at++
        const found = this.#context.parameters.positional[this.#positions++]
        if (!found) throw invalidQuery(`Query parameter number ${this.#positions} is not defined`, token)
        return found
      }
      case 'mark':
        if (token.text === '(') return this.#parenthesis()
        if (token.text === '[') return this.#array('')
        throw this.#unexpected()
      case 'quoted':
        return this.#named()
      case 'name':
        return this.#keyword(token.text.toUpperCase(), token) ?? this.#named()
      case 'end':
        throw this.#unexpected()
    }
  }

  #parenthesis(): Expression {
    this.#need('(')
    if (this.#isWord('SELECT') || this.#isWord('WITH')) {
      const sql = this.#query(true)
      this.#need(')')
      return { sql: `(${sql})` }
    }
    const first = this.#expression()
    if (!this.#isMark(',')) {
      this.#need(')')
      return { ...first, sql: `(${first.sql})` }
    }
    const fields = [{ sql: first.sql, name: undefined as string | undefined }]
    while (this.#mark(',')) fields.push({ sql: this.#expression().sql, name: undefined })
    this.#need(')')
    return { sql: structSql(fields), fields }
  }

  #array(type: string): Expression {
    this.#need('[')
    const values = this.#isMark(']') ? [] : this.#list(() => this.#expression())
    this.#need(']')
    const first = values.find((value) => value.fields !== undefined)?.fields
    const names = type === '' ? (first ?? []).map((field) => field.name) : (structFields(type.slice(0, -2)) ?? [])
    const items = values.map(({ sql, fields }) => {
      if (fields === undefined || (first?.length ?? 0) === fields.length) return fields ? structSql(fields, names) : sql
      throw invalidQuery('Array elements of types that do not go together', this.#token)
    })
    const sql = `[${items.join(', ')}]`
    return { sql: type === '' ? (items.length === 0 ? `CAST([] AS BIGINT[])` : sql) : `CAST(${sql} AS ${type})` }
  }

  #keyword(word: string, token: Token): Expression | undefined {
    const next = this.#peek(1)
    switch (word) {
      case 'NULL':
      case 'TRUE':
      case 'FALSE':
        this.#at++
        return { sql: word }
      case 'CASE':
        this.#at++
        return this.#case()
      case 'CAST':
      case 'SAFE_CAST':
        this.#at++
        return this.#cast(word === 'SAFE_CAST')
      case 'EXISTS':
        this.#at++
        return { sql: `EXISTS (${this.#inParens(() => this.#query())})` }
      case 'ARRAY':
        this.#at++
        if (this.#isMark('(')) return { sql: `ARRAY(${this.#inParens(() => this.#query(true))})` }
        if (this.#isMark('[')) return this.#array('')
        this.#at--
        return this.#array(this.#type())
      case 'STRUCT':
        return this.#struct()
      case 'EXTRACT':
        this.#at++
        return this.#extract()
      case 'INTERVAL':
        this.#at++
        return { sql: this.#interval() }
      case 'CURRENT_DATE':
      case 'CURRENT_TIMESTAMP':
      case 'CURRENT_DATETIME':
      case 'CURRENT_TIME':
        if (next.text === '(') return undefined
        this.#at++
        return { sql: scalar(word, [], token) }
      case 'IF':
      case 'LEFT':
      case 'RIGHT':
        if (next.text === '(') return this.#call([word], token)
        throw this.#unexpected()
      default:
        break
    }
    if (next.kind === 'string') {
      const types = ['DATE', 'TIMESTAMP', 'DATETIME', 'TIME', 'NUMERIC', 'BIGNUMERIC', 'JSON', 'DECIMAL', 'BIGDECIMAL']
      if (types.includes(word)) {
        this.#at += 2
        return { sql: `CAST(${text(next.text)} AS ${TYPES[word]})` }
      }
      if (word === 'RANGE') throw unsupported('RANGE', token)
    }
    if (RESERVED.has(word)) throw this.#unexpected()
    return undefined
  }

  #case(): Expression {
    const subject = this.#isWord('WHEN') ? '' : ` ${this.#expression().sql}`
    const whens: string[] = []
    while (this.#word('WHEN')) {
      const when = this.#expression().sql
      this.#needWord('THEN')
      whens.push(` WHEN ${when} THEN ${this.#expression().sql}`)
    }
    if (whens.length === 0) throw this.#unexpected('Expected keyword WHEN')
    const otherwise = this.#word('ELSE') ? ` ELSE ${this.#expression().sql}` : ''
    this.#needWord('END')
    return { sql: `CASE${subject}${whens.join('')}${otherwise} END` }
  }

  #cast(safe: boolean): Expression {
    return this.#inParens(() => {
      const value = this.#expression()
      this.#needWord('AS')
      const type = this.#type()
      if (this.#isWord('FORMAT')) throw unsupported('CAST with FORMAT', this.#token)
      if (value.fields) return { sql: `CAST(${structSql(value.fields, structFields(type) ?? [])} AS ${type})` }
      const sql =
        type === 'VARCHAR'
          ? `bq_string(${value.sql})`
          : type === 'BLOB'
            ? `bq_bytes(${value.sql})`
            : type === 'BIGINT' && value.sql !== 'NULL'
              ? `bq_int(${value.sql})`
              : type === 'BOOLEAN' && value.sql !== 'NULL'
                ? `bq_bool(${value.sql})`
                : `CAST(${value.sql} AS ${type})`
      return {
        sql:
          value.sql === 'NULL'
            ? `CAST(NULL AS ${type})`
            : safe
              ? `TRY(${this.#chosen(sql, [value.sql])})`
              : this.#chosen(sql, [value.sql]),
      }
    })
  }

  #type(): string {
    return this.#deeper(() => {
      const token = this.#token
      const word = this.#field().toUpperCase()
      if (word === 'ARRAY') {
        this.#need('<')
        const inner = this.#type()
        this.#closeAngle()
        return `${inner}[]`
      }
      if (word === 'STRUCT') {
        this.#need('<')
        const fields = this.#list(() => `${quote(this.#field())} ${this.#type()}`)
        this.#closeAngle()
        return `STRUCT(${fields.join(', ')})`
      }
      const type = Object.hasOwn(TYPES, word) ? TYPES[word] : undefined
      if (type === undefined) throw unsupported(`The type ${word}`, token)
      if (this.#isMark('(')) {
        const [precision = 0, scale = 0] = this.#inParens(() => this.#list(() => Number(this.#count())))
        if (word === 'NUMERIC' || word === 'DECIMAL') {
          if (scale > 9 || precision - scale > 29)
            throw invalidQuery(`Invalid type NUMERIC(${precision},${scale})`, token)
          return type
        }
        if (word !== 'STRING' && word !== 'BYTES') throw unsupported(`The type ${word} with parameters`, token)
      }
      return type
    })
  }

  /** `>>` closes two. */
  #closeAngle(): void {
    const token = this.#token
    if (token.text === '>>') {
      this.#tokens.splice(
        this.#at,
        1,
        { ...token, text: '>', end: token.end - 1 },
        { ...token, text: '>', start: token.start + 1 },
      )
    }
    this.#need('>')
  }

  #struct(): Expression {
    this.#at++
    if (this.#isMark('<')) {
      this.#at--
      const type = this.#type()
      const values = this.#inParens(() => this.#list(() => this.#expression().sql))
      const names = structFields(type.replaceAll(/BIGINT|DOUBLE/g, 'X')) ?? []
      if (names.length !== values.length)
        throw invalidQuery('STRUCT type has another number of fields than the values', this.#token)
      return {
        sql: `CAST(struct_pack(${values.map((value, at) => `${quote(names[at] ?? '')} := ${value}`).join(', ')}) AS ${type})`,
      }
    }
    const fields = this.#inParens(() =>
      this.#list(() => {
        const value = this.#expression()
        return { sql: value.sql, name: this.#word('AS') ? this.#field() : value.name }
      }),
    )
    return { sql: structSql(fields), fields }
  }

  // Dates.

  #part(): { part: string; start: number } {
    const token = this.#token
    const word = this.#field().toUpperCase()
    if (word === 'WEEK' && this.#isMark('(')) {
      const day = WEEKDAYS.indexOf(this.#inParens(() => this.#field()).toUpperCase())
      if (day < 0) throw invalidQuery('A valid date part argument is required', token)
      return { part: 'WEEK', start: day }
    }
    return { part: word, start: word === 'ISOWEEK' ? 1 : 0 }
  }

  #knownPart(part: string, token: Token): string {
    const known = Object.hasOwn(PARTS, part) ? PARTS[part] : undefined
    if (known === undefined || known === 'isoyear') throw unsupported(`The date part ${part}`, token)
    return known
  }

  #interval(): string {
    const token = this.#token
    const value = this.#expressionNoAlias()
    const { part } = this.#part()
    if (this.#isWord('TO')) throw unsupported('INTERVAL with a range of parts', token)
    const number = token.kind === 'string' ? `CAST(${value} AS BIGINT)` : value
    return intervalSql(number, this.#knownPart(part, token))
  }

  #expressionNoAlias(): string {
    return this.#binary(0).sql
  }

  #extract(): Expression {
    return this.#inParens(() => {
      const token = this.#token
      const { part, start } = this.#part()
      this.#needWord('FROM')
      let value = this.#expression().sql
      if (this.#word('AT')) {
        this.#needWord('TIME', 'ZONE')
        value = `timezone(${this.#expression().sql}, ${value})`
      }
      const sql = ((): string => {
        switch (part) {
          case 'DAYOFWEEK':
            return `(dayofweek(${value}) + 1)`
          case 'DAYOFYEAR':
            return `dayofyear(${value})`
          case 'MILLISECOND':
            return `(millisecond(${value}) % 1000)`
          case 'MICROSECOND':
            return `(microsecond(${value}) % 1000000)`
          case 'ISOWEEK':
            return `week(${value})`
          case 'ISOYEAR':
            return `isoyear(${value})`
          case 'WEEK':
            if (start > 1) throw unsupported('WEEK(day) other than SUNDAY and MONDAY', token)
            return `CAST(strftime(${value}, '${start === 0 ? '%U' : '%W'}') AS BIGINT)`
          case 'DATE':
            return `CAST(${value} AS DATE)`
          case 'TIME':
            return `CAST(${value} AS TIME)`
          case 'DATETIME':
            return `CAST(${value} AS TIMESTAMP)`
          default:
            return `date_part('${this.#knownPart(part, token)}', ${value})`
        }
      })()
      return { sql }
    })
  }

  #dated(word: string, token: Token): Expression | undefined {
    const [family = '', verb = ''] = word.split('_')
    if (
      !['DATE', 'DATETIME', 'TIMESTAMP', 'TIME'].includes(family) ||
      !['ADD', 'SUB', 'DIFF', 'TRUNC'].includes(verb) ||
      word.split('_').length > 2
    )
      return undefined
    return this.#inParens(() => {
      const value = this.#expression().sql
      this.#need(',')
      if (verb === 'ADD' || verb === 'SUB') {
        this.#needWord('INTERVAL')
        const interval = this.#interval()
        return { sql: `bq_add(${value}, ${verb === 'SUB' ? `-(${interval})` : interval})` }
      }
      if (verb === 'DIFF') {
        const other = this.#expression().sql
        this.#need(',')
        const { part, start } = this.#part()
        return { sql: this.#difference(family, value, other, part, start, token) }
      }
      const { part, start } = this.#part()
      const zone = this.#mark(',') ? this.#expression().sql : undefined
      const inner = zone === undefined ? value : `timezone(${zone}, ${value})`
      if (family === 'TIME') throw unsupported('TIME_TRUNC', token)
      const sql =
        part === 'WEEK' || part === 'ISOWEEK'
          ? `bq_week_trunc(${inner}, ${start})`
          : part === 'ISOYEAR'
            ? `bq_like_date(${inner}, date_trunc('isoyear', ${inner}))`
            : `bq_date_trunc(${inner}, '${this.#knownPart(part, token)}')`
      return { sql: zone === undefined ? sql : `timezone(${zone}, ${sql})` }
    })
  }

  #difference(family: string, a: string, b: string, part: string, start: number, token: Token): string {
    if (part === 'WEEK' || part === 'ISOWEEK') {
      if (family === 'TIMESTAMP') throw unsupported('TIMESTAMP_DIFF by WEEK', token)
      const week = (value: string): string => `bq_week_trunc(CAST(${value} AS DATE), ${start})`
      return `CAST(date_diff('day', ${week(b)}, ${week(a)}) // 7 AS BIGINT)`
    }
    const known = this.#knownPart(part, token)
    if (family !== 'TIMESTAMP') return `date_diff('${known}', ${b}, ${a})`
    if (!['microsecond', 'millisecond', 'second', 'minute', 'hour', 'day'].includes(known))
      throw unsupported(`TIMESTAMP_DIFF by ${part}`, token)
    const micros = {
      microsecond: '1',
      millisecond: '1000',
      second: '1000000',
      minute: '60000000',
      hour: '3600000000',
      day: '86400000000',
    }[known]
    return `((epoch_us(CAST(${a} AS TIMESTAMPTZ)) - epoch_us(CAST(${b} AS TIMESTAMPTZ))) // CAST(${micros} AS BIGINT))`
  }

  // Names and calls.

  #named(): Expression {
    const token = this.#token
    // A call's name may be a path: SAFE.SUBSTR.
    if (token.kind === 'name') {
      if (this.#isMark('(', 1)) return this.#call([token.text.toUpperCase()], token)
      if (token.text.toUpperCase() === 'SAFE' && this.#isMark('.', 1) && this.#isMark('(', 3)) {
        this.#at += 2
        return { sql: `TRY(${this.#call([this.#token.text.toUpperCase()], this.#token).sql})` }
      }
    }
    if (token.kind === 'quoted' && this.#isMark('(', 1)) throw unsupported(`The function ${token.text}`, token)
    const path = [this.#name()]
    while (this.#isMark('.') && !this.#isMark('*', 1)) {
      if (this.#isMark('(', 2)) throw unsupported('A function with a path', token)
      this.#at++
      path.push(this.#field())
    }
    return this.#column(path)
  }

  #column(path: readonly string[]): Expression {
    const [first = '', ...rest] = path
    const name = path.at(-1) ?? first
    for (let scope = this.#scope; scope; scope = scope.parent) {
      const implicit = scope.implicit.get(first.toLowerCase())
      if (implicit !== undefined)
        return { sql: rest.reduce((sql, field) => `(${sql}).${quote(field)}`, implicit), name }
      if (scope.aliases.has(first.toLowerCase())) break
    }
    const head = path.slice(0, 2).map(quote).join('.')
    return { sql: path.slice(2).reduce((sql, field) => `(${sql}).${quote(field)}`, head), name }
  }

  #call(names: readonly [string], token: Token): Expression {
    const [name] = names
    this.#at++
    const dated = this.#dated(name, token)
    if (dated) return dated
    if (name === 'GENERATE_DATE_ARRAY' || name === 'GENERATE_TIMESTAMP_ARRAY')
      return this.#generateDates(name === 'GENERATE_DATE_ARRAY')
    if (name === 'LAST_DAY') return this.#lastDay()
    const duck = aggregate(name)
    if (duck !== undefined) return this.#aggregate(name, duck, token)
    if (isWindow(name)) return this.#windowCall(name)
    const args = this.#inParens(() => (this.#isMark(')') ? [] : this.#list(() => this.#argument())))
    if (this.#isWord('OVER')) throw unsupported(`${name} OVER`, this.#token)
    return {
      sql: this.#chosen(
        scalar(name, args, token),
        args.map((arg) => arg.sql),
      ),
    }
  }

  #argument(): Expression {
    if (this.#token.kind === 'name' && this.#isMark('=>', 1)) {
      const argument = this.#field().toLowerCase()
      this.#need('=>')
      return { sql: this.#expression().sql, argument }
    }
    return this.#expression()
  }

  #generateDates(dates: boolean): Expression {
    return this.#inParens(() => {
      const from = this.#expression().sql
      this.#need(',')
      const to = this.#expression().sql
      let step = "INTERVAL '1 day'"
      if (this.#mark(',')) {
        this.#needWord('INTERVAL')
        step = this.#interval()
      } else if (!dates) throw this.#unexpected('Expected ","')
      const type = dates ? 'DATE' : 'TIMESTAMPTZ'
      const list = `generate_series(CAST(${from} AS ${type}), CAST(${to} AS ${type}), ${step})`
      return { sql: dates ? `list_transform(${list}, lambda _e: CAST(_e AS DATE))` : list }
    })
  }

  #lastDay(): Expression {
    return this.#inParens(() => {
      const value = this.#expression().sql
      if (this.#mark(',') && this.#part().part !== 'MONTH')
        throw unsupported('LAST_DAY of another part than MONTH', this.#token)
      return { sql: `last_day(${value})` }
    })
  }

  #aggregate(name: string, duck: string, token: Token): Expression {
    this.#need('(')
    if (name === 'COUNT' && this.#mark('*')) {
      this.#need(')')
      return { sql: `count(*)${this.#over()}` }
    }
    const distinct = this.#word('DISTINCT') ? 'DISTINCT ' : ''
    const args = this.#list(() => this.#expression())
    const value = args[0]?.sql ?? 'NULL'
    let filter = ''
    if (this.#word('IGNORE', 'NULLS')) filter = ` FILTER (WHERE ${value} IS NOT NULL)`
    else this.#word('RESPECT', 'NULLS')
    if (this.#isWord('HAVING')) throw unsupported('HAVING in an aggregate', this.#token)
    const order = this.#order()
    if (order !== '' && name !== 'ARRAY_AGG' && name !== 'STRING_AGG' && name !== 'ARRAY_CONCAT_AGG')
      throw unsupported(`ORDER BY in ${name}`, token)
    const limit = this.#word('LIMIT') ? this.#count() : undefined
    this.#need(')')
    const quantiles = name === 'APPROX_QUANTILES'
    const wants =
      quantiles || name === 'MAX_BY' || name === 'MIN_BY' || name === 'CORR' || name.startsWith('COVAR') ? 2 : 1
    if (name !== 'STRING_AGG' && args.length !== wants)
      throw unsupported(`${name} with ${args.length} arguments`, token)
    if (limit !== undefined && name !== 'ARRAY_AGG' && name !== 'STRING_AGG')
      throw unsupported(`LIMIT in ${name}`, token)
    const over = this.#over()
    switch (name) {
      case 'COUNTIF':
        return { sql: `count(${distinct}CASE WHEN ${value} THEN TRUE END)${over}` }
      case 'AVG':
        if (over === '' && distinct === '') return { sql: `bq_avg(${value})` }
        return {
          sql: `CASE WHEN typeof(${value}) LIKE 'DECIMAL%' THEN error('AVG of NUMERIC with DISTINCT or OVER is not supported in the sandbox') ELSE avg(${distinct}${value})${over} END`,
        }
      case 'ARRAY_AGG': {
        const list = `list(${distinct}${value}${order})${filter}${over}`
        return { sql: limit === undefined ? list : `(${list})[1:${limit}]` }
      }
      case 'APPROX_QUANTILES': {
        // Exact where BigQuery is approximate.
        const parts = Number(args[1]?.literal)
        if (
          distinct !== '' ||
          filter !== '' ||
          over !== '' ||
          !(Number.isInteger(parts) && parts >= 1 && parts <= 1000)
        )
          throw unsupported('This form of APPROX_QUANTILES', token)
        const points = Array.from({ length: parts + 1 }, (_, at) => String(at / parts))
        return { sql: `quantile_disc(${value}, [${points.join(', ')}])` }
      }
      case 'ARRAY_CONCAT_AGG':
        return { sql: `flatten(list(${value}${order}) FILTER (WHERE ${value} IS NOT NULL)${over})` }
      case 'STRING_AGG': {
        const separator = args[1]?.sql ?? "','"
        const list = `list(${distinct}${value}${order}) FILTER (WHERE ${value} IS NOT NULL)${over}`
        return { sql: `array_to_string(${limit === undefined ? list : `(${list})[1:${limit}]`}, ${separator})` }
      }
      default:
        return { sql: `${duck}(${distinct}${args.map((arg) => arg.sql).join(', ')})${filter}${over}` }
    }
  }

  #windowCall(name: string): Expression {
    this.#need('(')
    const args = this.#isMark(')') ? [] : this.#list(() => this.#expression().sql)
    const nulls = this.#word('IGNORE', 'NULLS') ? ' IGNORE NULLS' : this.#word('RESPECT', 'NULLS') ? '' : ''
    this.#need(')')
    const over = this.#over()
    if (over === '') throw invalidQuery(`${name} must have an OVER clause`, this.#token)
    if (name.startsWith('PERCENTILE_')) {
      if (args.length !== 2) throw unsupported(`${name} with ${args.length} arguments`, this.#token)
      return { sql: `quantile_${name.slice(-4).toLowerCase()}(${args.join(', ')})${over}` }
    }
    return { sql: `${name.toLowerCase()}(${args.join(', ')}${nulls})${over}` }
  }

  #over(): string {
    if (!this.#word('OVER')) return ''
    return ` OVER ${this.#isMark('(') ? this.#window() : quote(this.#name())}`
  }

  #window(): string {
    return this.#inParens(() => {
      const parts: string[] = []
      if (
        (this.#token.kind === 'name' && !RESERVED.has(this.#token.text.toUpperCase())) ||
        this.#token.kind === 'quoted'
      )
        parts.push(quote(this.#name()))
      if (this.#word('PARTITION', 'BY'))
        parts.push(`PARTITION BY ${this.#list(() => this.#expression().sql).join(', ')}`)
      const order = this.#order()
      if (order !== '') parts.push(order.trim())
      const frame = this.#word('ROWS') ? 'ROWS' : this.#word('RANGE') ? 'RANGE' : ''
      if (frame !== '') {
        if (this.#word('BETWEEN')) {
          const from = this.#bound()
          this.#needWord('AND')
          parts.push(`${frame} BETWEEN ${from} AND ${this.#bound()}`)
        } else parts.push(`${frame} ${this.#bound()}`)
      }
      return `(${parts.join(' ')})`
    })
  }

  #bound(): string {
    if (this.#word('CURRENT', 'ROW')) return 'CURRENT ROW'
    const amount = this.#word('UNBOUNDED') ? 'UNBOUNDED' : this.#binary(0).sql
    if (this.#word('PRECEDING')) return `${amount} PRECEDING`
    this.#needWord('FOLLOWING')
    return `${amount} FOLLOWING`
  }
}

/** A string as DuckDB reads it; NUL cannot stand in DuckDB's query text. */
export function stringSql(value: string): string {
  return value.includes('\0') ? `decode(unhex('${Buffer.from(value).toString('hex')}'))` : text(value)
}

function intervalSql(number: string, part: string): string {
  switch (part) {
    case 'microsecond':
    case 'millisecond':
      return `to_${part}s(${number})`
    case 'second':
      return `to_seconds(${number})`
    case 'minute':
    case 'hour':
      return `to_${part}s(${number})`
    default:
      return `to_${part}s(CAST(${number} AS INTEGER))`
  }
}
