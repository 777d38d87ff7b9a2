/** PIVOT and UNPIVOT: what each makes of one table, as a query over it. */
import { invalidQuery, unsupported } from '../errors.ts'
import { googleType } from './catalog.ts'
import { emptyScope, From } from './from.ts'
import { aggregate } from './functions.ts'
import { type Token } from './lexer.ts'
import { quote, same, text, type Named, type Scope } from './reader.ts'

interface Call {
  readonly start: number
  readonly alias: string | undefined
}

interface Group {
  readonly columns: readonly Named[]
  readonly label: string
}

/** Aggregates that do not see NULL, so that a row of another value is as good as none. */
const PIVOTED =
  /^(?:COUNT|COUNTIF|SUM|AVG|MIN|MAX|ANY_VALUE|LOGICAL_AND|LOGICAL_OR|STRING_AGG|APPROX_COUNT_DISTINCT|STDDEV\w*|VAR\w*|BIT_\w+)$/
const MAX_CELLS = 1_000

export abstract class Pivots extends From {
  /** The query that PIVOT or UNPIVOT makes of this scope's only table, and the alias behind it. */
  protected pivoted(scope: Scope): { sql: string; alias: string | undefined } {
    const [source] = scope.sources
    if (scope.sources.length !== 1 || !source?.plain) throw unsupported('PIVOT or UNPIVOT of this', this.token)
    const sql = this.within(scope, () => (this.word('PIVOT') ? this.pivot(scope) : this.unpivot(scope)))
    return { sql, alias: this.alias() }
  }

  /** `PIVOT(SUM(a) AS s, … FOR b IN (1 AS one, …))`: the columns that it does not name group the rows. */
  protected pivot(scope: Scope): string {
    this.need('(')
    const named = new Set<string>()
    const before = this.seen
    this.seen = named
    const calls = this.list(() => this.pivotCall())
    this.needWord('FOR')
    const token = this.token
    const by = this.simple(() => this.binary(0).sql)
    this.seen = before
    this.needWord('IN')
    const type = this.typeOf(by, scope)
    const values = this.inParens(() => this.list(() => this.pivotValue(type, scope)))
    this.need(')')
    if (calls.length > 1 && calls.some((call) => call.alias === undefined))
      throw invalidQuery('PIVOT expression must have an alias when there is more than one', token)
    if (values.length * calls.length > MAX_CELLS) throw unsupported('A PIVOT of this many columns', token)
    const after = this.at
    const groups = this.groups(scope, named)
    const cells = values.flatMap(({ sql, name }) =>
      calls.map((call) => {
        this.at = call.start
        this.only = `(${by}) IS NOT DISTINCT FROM ${sql}`
        const cell = this.expression().sql
        this.only = undefined
        return { sql: cell, name: call.alias === undefined ? name : `${call.alias}_${name}` }
      }),
    )
    this.at = after
    const tail = groups.length === 0 ? '' : ` GROUP BY ${groups.map((_, at) => at + 1).join(', ')}`
    return `SELECT ${this.listOf([...groups, ...cells])} FROM ${scope.from}${tail}`
  }

  protected listOf(columns: readonly Named[]): string {
    const names = new Set<string>()
    return columns
      .map(({ name, sql }) => {
        if (names.has(name.toLowerCase()))
          throw invalidQuery(`Duplicate column names in the result are not supported. Found duplicate(s): ${name}`)
        names.add(name.toLowerCase())
        return `${sql} AS ${quote(name)}`
      })
      .join(', ')
  }

  /** Reads what holds no subquery. */
  protected simple<T>(inner: () => T): T {
    const start = this.at
    const value = inner()
    const inside = this.tokens.slice(start, this.at)
    if (inside.some((one) => one.kind === 'name' && /^(SELECT|FROM|WITH|OVER|RESPECT|IGNORE|HAVING)$/i.test(one.text)))
      throw unsupported('This expression in PIVOT', this.token)
    return value
  }

  protected pivotCall(): Call {
    const start = this.at
    const token = this.token
    const word = token.text.toUpperCase()
    if (token.kind !== 'name' || !this.isMark('(', 1) || aggregate(word) === undefined || this.isRoutine(token.text))
      throw invalidQuery('PIVOT expression must be an aggregate function call', token)
    if (!PIVOTED.test(word)) throw unsupported(`${word} in PIVOT`, token)
    this.simple(() => this.primary())
    const behind = this.token
    if (!this.isWord('FOR') && !this.isMark(',') && !this.isWord('AS') && !/^(name|quoted)$/.test(behind.kind))
      throw invalidQuery('PIVOT expression must be an aggregate function call', token)
    return { start, alias: this.alias() }
  }

  /** A value of PIVOT's list, and how BigQuery names its columns. */
  protected pivotValue(type: string, scope: Scope): Named {
    const token = this.token
    const start = this.at
    const { sql } = this.within({ ...emptyScope(scope.parent), closed: true }, () =>
      this.simple(() => this.expression()),
    )
    const written = this.tokens.slice(start, this.at)
    if (sql !== 'NULL') {
      const found = this.typeOf(sql, undefined)
      if (type === '' || found === '' || googleType(found) !== googleType(type))
        throw unsupported('A value in PIVOT of another type than its column', token)
    }
    const name = this.alias() ?? pivotName(written)
    if (name === undefined) throw unsupported('This value in PIVOT without an alias', token)
    return { sql, name }
  }

  protected groups(scope: Scope, named: ReadonlySet<string>): Named[] {
    const [source] = scope.sources
    const alias = source?.alias ?? ''
    const columns = scope.columns()
    if ([...named].some((name) => same(name, alias)) && columns.some((column) => same(column.name, alias)))
      throw unsupported('PIVOT of a table with a column of its name', this.token)
    return columns.filter((column) => {
      if (named.has(column.name.toLowerCase())) return false
      if (/^STRUCT\(|\]$|^JSON$/.test(column.type ?? ''))
        throw invalidQuery(`Column ${column.name} of a type that cannot be grouped is not named in PIVOT`)
      return true
    })
  }

  /** `UNPIVOT(v FOR name IN (a, b AS 'x'))`: all other columns, then the values, then their names. */
  protected unpivot(scope: Scope): string {
    this.needWord('UNPIVOT')
    const nulls = this.word('INCLUDE', 'NULLS')
    if (!nulls) this.word('EXCLUDE', 'NULLS')
    const columns = scope.columns()
    return this.inParens(() => {
      const values = this.isMark('(') ? this.inParens(() => this.list(() => this.name())) : [this.name()]
      this.needWord('FOR')
      const name = this.name()
      this.needWord('IN')
      const groups = this.inParens(() => this.list(() => this.unpivotGroup(columns, values.length)))
      const labels = new Set(groups.map(({ label }) => label.startsWith("'")))
      if (labels.size > 1) throw unsupported('UNPIVOT with labels of two types', this.token)
      const gone = new Set(groups.flatMap((group) => group.columns.map((column) => column.name.toLowerCase())))
      if (gone.size < groups.length * values.length) throw invalidQuery('A column stands in UNPIVOT more than once')
      const number = `_n${this.unique++}`
      const choose = (of: (group: Group) => string): string =>
        `CASE ${number}._k ${groups.map((group, at) => `WHEN ${at} THEN ${of(group)}`).join(' ')} END`
      const made = values.map((value, i) => {
        const types = new Set(groups.map((group) => group.columns[i]?.type ?? ''))
        if (types.size > 1) throw unsupported('UNPIVOT of columns of several types', this.token)
        return { name: value, sql: choose((group) => group.columns[i]?.sql ?? 'NULL') }
      })
      const list = this.listOf([
        ...columns.filter((column) => !gone.has(column.name.toLowerCase())),
        ...made,
        { name, sql: choose(({ label }) => label) },
      ])
      const rows = groups.map((_, at) => `(${at})`).join(', ')
      const where = nulls ? '' : ` WHERE ${notNull(made.map(({ sql }) => sql))}`
      return `SELECT ${list} FROM ${scope.from}, (VALUES ${rows}) AS ${number}(_k)${where}`
    })
  }

  protected unpivotGroup(columns: readonly Named[], width: number): Group {
    const token = this.token
    const names = this.isMark('(') ? this.inParens(() => this.list(() => this.name())) : [this.name()]
    if (names.length !== width) throw invalidQuery('UNPIVOT column groups must be as wide as its values', token)
    const found = names.map((name) => {
      const column = columns.find((one) => same(one.name, name))
      if (column === undefined) throw invalidQuery(`Unrecognized name: ${name}`, token)
      return column
    })
    const labelled = this.word('AS')
    const label = this.token
    if (label.kind === 'string' || label.kind === 'integer') {
      this.at++
      return { columns: found, label: label.kind === 'string' ? text(label.text) : `CAST(${label.text} AS BIGINT)` }
    }
    if (labelled) throw unsupported('This label in UNPIVOT', label)
    // Whether the label would be as written or as the column is called is not known.
    if (found.some((column, at) => column.name !== names[at]))
      throw unsupported('A column in UNPIVOT in other letters than its own', token)
    return { columns: found, label: text(names.join('_')) }
  }
}

/** Rows whose values are all NULL are dropped; what BigQuery does where some are is not known. */
function notNull(values: readonly string[]): string {
  const [first = 'NULL'] = values
  if (values.length === 1) return `(${first}) IS NOT NULL`
  const all = values.map((value) => `(${value}) IS NULL`)
  return `CASE WHEN ${all.join(' AND ')} THEN FALSE WHEN ${all.join(' OR ')} THEN error('UNPIVOT of values of which some are NULL is not supported in the sandbox') ELSE TRUE END`
}

/** The name that BigQuery gives a value's column, as far as it is known. */
function pivotName(tokens: readonly Token[]): string | undefined {
  const [first, second, third] = tokens
  const word = first?.kind === 'name' ? first.text.toUpperCase() : ''
  if (first === undefined || third !== undefined) return undefined
  if (second === undefined) {
    if (first.kind === 'integer' && /^\d+$/.test(first.text)) return `_${BigInt(first.text)}`
    if (first.kind === 'string' && /^[A-Za-z_]\w*$/.test(first.text)) return first.text
    return /^(TRUE|FALSE|NULL)$/.test(word) ? word : undefined
  }
  if (first.text === '-' && second.kind === 'integer' && /^[1-9]\d*$/.test(second.text)) return `minus_${second.text}`
  if (word === 'DATE' && second.kind === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(second.text))
    return `_${second.text.replaceAll('-', '_')}`
  return undefined
}
