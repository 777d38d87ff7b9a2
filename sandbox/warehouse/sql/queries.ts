/** Queries: WITH, set operations, SELECT and what follows it. */
import { invalidQuery, unsupported } from '../errors.ts'
import { structFields } from './catalog.ts'
import { Pipes } from './pipes.ts'
import { quote, type Item, type Named, type Scope, type Source } from './reader.ts'

export abstract class Queries extends Pipes {
  protected query(asValue = false): string {
    return this.deeper(() => {
      const withs = this.with.length
      const ctes = this.ctes.length
      let head = ''
      if (this.word('WITH')) {
        const recursive = this.word('RECURSIVE')
        const parts: string[] = []
        do {
          const name = this.name()
          if (recursive) this.ctes.push(new Set([name.toLowerCase()]))
          this.needWord('AS')
          const sql = `${quote(name)} AS (${this.inParens(() => this.query())})`
          parts.push(sql)
          if (!recursive) this.ctes.push(new Set([name.toLowerCase()]))
          this.with.push(sql)
        } while (this.mark(','))
        head = `WITH ${recursive ? 'RECURSIVE ' : ''}${parts.join(', ')} `
      }
      this.selected = undefined
      if (this.word('FROM')) {
        const start = this.newScope()
        const piped = this.pipes(start, this.fromList(start))
        this.with.length = withs
        this.ctes.length = ctes
        return head + piped
      }
      let sql = this.operand(asValue)
      // ORDER BY sees the tables of a lone SELECT.
      let scope = this.selected as Scope | undefined
      let chain: string | undefined
      while (this.opensSetOperator()) {
        const token = this.token
        const operator = this.setOperator()
        if (operator === undefined) break
        const kind = JSON.stringify([operator.name, operator.match, operator.on])
        if (chain !== undefined && chain !== kind) {
          throw invalidQuery(
            'Syntax error: Different set operations cannot be used in the same query without using parentheses for grouping',
            token,
          )
        }
        chain = kind
        scope = undefined
        sql = this.combined(sql, operator, this.operand(asValue))
      }
      sql += scope === undefined ? this.orderLimit() : this.within(scope, () => this.orderLimit())
      this.selected = undefined
      if (this.isMark('|>')) {
        if (asValue) throw unsupported('A pipe behind SELECT where one value is wanted', this.token)
        sql = this.pipes(this.single(sql, this.scope))
      }
      this.with.length = withs
      this.ctes.length = ctes
      return head + sql
    })
  }

  protected operand(asValue: boolean): string {
    if (this.isMark('(')) {
      const sql = `(${this.inParens(() => this.query(asValue))})`
      this.selected = undefined
      return sql
    }
    return this.select(asValue)
  }

  protected orderLimit(): string {
    let sql = this.order()
    if (this.word('LIMIT')) {
      sql += ` LIMIT ${this.count()}`
      if (this.word('OFFSET')) sql += ` OFFSET ${this.count()}`
    }
    return sql
  }

  /** Stands on the word asked for at this depth, or at the end of this query. */
  protected skipTo(...words: string[]): boolean {
    let depth = 0
    for (; this.token.kind !== 'end'; this.at++) {
      if (this.isMark('(') || this.isMark('[')) depth++
      else if (this.isMark(')') || this.isMark(']')) {
        if (depth === 0) return false
        depth--
      } else if (depth === 0) {
        if (this.isMark(';')) return false
        const distinct =
          this.tokens[this.at - 1]?.text.toUpperCase() === 'DISTINCT' &&
          /^(is|not)$/i.test(this.tokens[this.at - 2]?.text ?? '')
        const dotted = this.tokens[this.at - 1]?.text === '.'
        if (!dotted && words.some((word) => this.isWord(word)) && !(distinct && this.isWord('FROM'))) return true
        // The next operand of a set operation has a FROM of its own.
        if (this.isWord('UNION') || this.isWord('INTERSECT') || (this.isWord('EXCEPT') && !this.isMark('(', 1)))
          return false
      }
    }
    return false
  }

  protected select(asValue: boolean): string {
    const unseen = this.exists === this.at
    this.needWord('SELECT')
    return this.within(this.newScope(), (scope) => {
      const distinct = this.word('DISTINCT')
      if (!distinct) this.word('ALL')
      let struct = false
      if (this.word('AS')) {
        if (this.word('STRUCT')) struct = true
        else {
          this.needWord('VALUE')
          if (!asValue) throw unsupported('SELECT AS VALUE outside ARRAY and scalar subqueries', this.token)
        }
      }
      const list = this.at
      // FROM is read first: what a name or `*` means depends on it.
      let after = -1
      let length = 0
      if (this.skipTo('FROM')) {
        this.at++
        this.fromList(scope)
        after = this.at
        length = this.tokens.length
      }
      this.at = list
      const items: Item[] = []
      do {
        if (items.length > 0 && (this.isWord('FROM') || this.token.kind === 'end' || this.isMark(')'))) break
        items.push(this.item())
      } while (this.mark(','))
      if (after >= 0) {
        this.needWord('FROM')
        // A `>>` in the list may have become two tokens.
        this.at = after + this.tokens.length - length
      }
      let tail = scope.from === '' ? '' : ` FROM ${scope.from}`
      if (this.word('WHERE')) tail += ` WHERE ${this.expression().sql}`
      if (this.word('GROUP', 'BY')) tail += ` GROUP BY ${this.grouping()}`
      if (this.word('HAVING')) tail += ` HAVING ${this.expression().sql}`
      if (this.word('QUALIFY')) tail += ` QUALIFY ${this.expression().sql}`
      if (this.isWord('WINDOW')) {
        this.at++
        tail += ` WINDOW ${this.list(() => {
          const name = this.name()
          this.needWord('AS')
          return `${quote(name)} AS ${this.window()}`
        }).join(', ')}`
      }
      const head = `SELECT ${distinct ? 'DISTINCT ' : ''}`
      if (struct && asValue) {
        const sql = this.structQuery(items, head, tail)
        this.selected = scope
        return sql
      }
      const sql = `${head}${this.items(items, unseen)}${tail}`
      // In ORDER BY, what SELECT names comes before what FROM names.
      for (const { expression } of items)
        if (expression?.name !== undefined) scope.implicit.delete(expression.name.toLowerCase())
      this.selected = scope
      return sql
    })
  }

  protected grouping(): string {
    if (this.word('ALL')) return 'ALL'
    return this.list(() => {
      for (const word of ['ROLLUP', 'CUBE']) {
        if (this.isWord(word) && this.isMark('(', 1)) {
          this.at++
          return `${word} (${this.inParens(() => this.list(() => this.expression().sql)).join(', ')})`
        }
      }
      if (this.word('GROUPING', 'SETS')) {
        return `GROUPING SETS (${this.inParens(() => this.list(() => this.groupingSet())).join(', ')})`
      }
      return this.ordinal()
    }).join(', ')
  }

  /** `(a, b)`, `()` or one expression. */
  protected groupingSet(): string {
    if (!this.isMark('(')) return this.expression().sql
    const parts = this.inParens(() => (this.isMark(')') ? [] : this.list(() => this.expression().sql)))
    return `(${parts.join(', ')})`
  }

  protected item(): Item {
    if (this.mark('*')) return { star: this.starTail(undefined) }
    // `path.*`
    let ahead = 0
    while ((this.peek(ahead).kind === 'name' || this.peek(ahead).kind === 'quoted') && this.isMark('.', ahead + 1))
      ahead += 2
    if (ahead > 0 && this.isMark('*', ahead)) {
      const path = [this.field()]
      while (this.mark('.') && !this.isMark('*')) path.push(this.field())
      this.need('*')
      return { star: this.starTail(this.column(path).sql) }
    }
    const expression = this.expression()
    if (this.isMark('.') && this.isMark('*', 1)) throw unsupported('.* after an expression', this.token)
    const alias = this.alias()
    return { expression: alias === undefined ? expression : { ...expression, name: alias } }
  }

  protected starTail(base: string | undefined): NonNullable<Item['star']> {
    const except =
      this.isWord('EXCEPT') && this.isMark('(', 1) && (this.at++, true)
        ? this.inParens(() => this.list(() => this.field()))
        : []
    const replace =
      this.isWord('REPLACE') && this.isMark('(', 1) && (this.at++, true)
        ? this.inParens(() =>
            this.list(() => {
              const { sql } = this.expression()
              this.word('AS')
              return { sql, name: this.field() }
            }),
          )
        : []
    return { ...(base === undefined ? {} : { base }), except, replace }
  }

  protected items(items: readonly Item[], unseen = false): string {
    let unnamed = 0
    const names = new Set<string>()
    const take = (name: string): void => {
      if (names.has(name.toLowerCase()) && !unseen)
        throw invalidQuery(`Duplicate column names in the result are not supported. Found duplicate(s): ${name}`)
      names.add(name.toLowerCase())
    }
    return items
      .map((item) => {
        if (item.star) {
          if (items.length > 1 && !unseen) for (const { name } of this.starColumns(item.star)) take(name)
          return this.star(item.star, unseen)
        }
        const name = item.expression?.name ?? `f${unnamed++}_`
        take(name)
        return `${item.expression?.sql} AS ${quote(name)}`
      })
      .join(', ')
  }

  /** A table of this or an outer query, as `alias.*` names it. */
  protected sourceOf(base: string): Source | undefined {
    for (let scope = this.scope; scope; scope = scope.parent) {
      const found = scope.sources.find((source) => quote(source.alias).toLowerCase() === base.toLowerCase())
      if (found !== undefined) return found
    }
    return undefined
  }

  /** What a `*` stands for, with its EXCEPT and REPLACE. */
  protected starColumns({ base, except, replace }: NonNullable<Item['star']>): Named[] {
    let columns: readonly Named[]
    const source = base === undefined ? undefined : this.sourceOf(base)
    if (base === undefined) columns = this.scope?.columns() ?? []
    else if (source !== undefined) columns = source.columns()
    else {
      const fields = structFields(this.typeOf(base, this.scope))
      if (fields === undefined) throw unsupported('This .* beside other columns', this.token)
      columns = fields.map((name) => ({ name, sql: `(${base}).${quote(name)}` }))
    }
    const has = (name: string): boolean => columns.some((column) => column.name.toLowerCase() === name.toLowerCase())
    for (const name of except)
      if (!has(name)) throw invalidQuery(`Column ${name} in SELECT * EXCEPT list does not exist`)
    for (const { name } of replace)
      if (!has(name)) throw invalidQuery(`Column ${name} in SELECT * REPLACE list does not exist`)
    const dropped = new Set(except.map((name) => name.toLowerCase()))
    const replaced = new Map(replace.map(({ name, sql }) => [name.toLowerCase(), sql]))
    return columns
      .filter(({ name }) => !dropped.has(name.toLowerCase()))
      .map(({ name, sql }) => ({ name, sql: replaced.get(name.toLowerCase()) ?? sql }))
  }

  protected star(star: NonNullable<Item['star']>, unseen = false): string {
    const sources = this.scope?.sources ?? []
    if (star.base === undefined) {
      if (sources.length === 0) throw invalidQuery('SELECT * must have a FROM clause')
      // A lone table's columns have names of their own, and their order is the table's.
      if ((sources.length > 1 || !sources.every((source) => source.plain)) && !unseen) return this.expanded(star)
      return `*${starTailSql(star)}`
    }
    if (this.sourceOf(star.base)?.plain === false) return this.expanded(star)
    return `${star.base}.*${starTailSql(star)}`
  }

  /** The columns of a `*` one by one: DuckDB would show two of one name, and those of USING at another place. */
  protected expanded(star: NonNullable<Item['star']>): string {
    const names = new Set<string>()
    return this.starColumns(star)
      .map(({ name, sql }) => {
        if (names.has(name.toLowerCase()))
          throw invalidQuery(`Duplicate column names in the result are not supported. Found duplicate(s): ${name}`)
        names.add(name.toLowerCase())
        return `${sql} AS ${quote(name)}`
      })
      .join(', ')
  }

  /** `SELECT AS STRUCT` where one value is wanted: a query of one column that holds the struct. */
  protected structQuery(items: readonly Item[], head: string, tail: string): string {
    const stars = items.filter((item) => item.star)
    if (stars.some(({ star }) => star?.base !== undefined && this.sourceOf(star.base)?.hidden))
      throw unsupported('A whole row of a table with pseudo-columns', this.token)
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
      if (star?.base === undefined || items.length > 1) throw unsupported('This SELECT AS STRUCT', this.token)
      return `SELECT _r FROM (SELECT ${this.star({ ...star, base: '_b._v' })} FROM (SELECT ${star.base} AS _v) AS _b) AS _r`
    }
    return `SELECT _r FROM (${head}${this.items(items)}${tail}${this.orderLimit()}) AS _r`
  }
}

function starTailSql({ except, replace }: NonNullable<Item['star']>): string {
  return (
    (except.length > 0 ? ` EXCLUDE (${except.map(quote).join(', ')})` : '') +
    (replace.length > 0 ? ` REPLACE (${replace.map((item) => `${item.sql} AS ${quote(item.name)}`).join(', ')})` : '')
  )
}
