/** What stands behind FROM: tables, joins, calls that yield rows, arrays, PIVOT. */
import type { Aliased, Argument, Expression, FromItem, FunctionItem, JoinItem, Name, Path, Pivot } from './syntax.ts'
import { JOIN_WORDS } from './words.ts'
import { Expressions, NO_EXPRESSION } from './grammar-expressions.ts'
import type { Mutable } from './grammar-tokens.ts'

/** Joins inside joins, and whatever else `bq2cst` does not read. */
const JOINS = 1000

/** A join whose left side is what stands before it. */
type Joined = Mutable<Omit<JoinItem, 'is' | 'left'>>

/** `from` is what stands behind the word, `source` one item of it. */
export abstract class From extends Expressions {
  /** Commas and joins bind alike, from the left: `a, b JOIN c ON …` may name `a` in its condition. */
  from(commas = true): FromItem {
    return this.nest(() => {
      const first = this.primaryItem()
      const joins: Joined[] = []
      for (;;) {
        const { start } = this.peek()
        if (commas && this.take(',')) joins.push({ start, kind: ',', right: this.primaryItem(), using: [] })
        else if (this.isAny(...JOIN_WORDS) && !this.opensSet()) joins.push(this.joined())
        else if (joins.length > 0 && this.isAny('ON', 'USING') && this.peek(1).word !== 'CONFLICT') this.nested(joins)
        else break
      }
      for (const join of joins) this.needsCondition(join)
      return joins.reduce<FromItem>((left, join) => ({ is: 'join', left, ...join }), first)
    })
  }

  /** `a JOIN b JOIN c ON x ON y` is `a JOIN (b JOIN c ON x) ON y`: `y` is next, and belongs to the last join without one. */
  protected nested(joins: Joined[]): void {
    const open = joins.findLastIndex(({ kind, on, using }) => /^(,|CROSS)$/.test(kind) || isOpen(on, using))
    const last = joins.findLastIndex(({ kind, on, using }) => !/^(,|CROSS)$/.test(kind) && isOpen(on, using))
    const comma = joins.findLastIndex(({ kind }) => kind === ',')
    const join = joins[last]
    if (open === -1 || join === undefined || last < comma) return this.unexpected('another join')
    this.beyond.push('nested join')
    if (this.beyond.length > JOINS) this.stop(this.peek().start, 'too-deep', `more than ${JOINS} joins inside joins`)
    const inside = joins.splice(last + 1)
    for (const inner of inside) this.needsCondition(inner)
    join.right = inside.reduce<FromItem>((left, inner) => ({ is: 'join', left, ...inner }), join.right)
    this.condition(join)
  }

  protected needsCondition({ start, kind, on, using }: Joined): void {
    // `FROM t JOIN t.items`: a join with an array path or UNNEST needs no condition.
    if (!isOpen(on, using) || !/^(RIGHT|FULL)$/.test(kind)) return
    this.stop(start, 'unparseable', `a \`${kind} JOIN\` needs \`ON\` or \`USING\``)
  }

  protected condition(join: Joined): void {
    if (this.take('ON')) join.on = this.expression()
    else if (this.take('USING')) join.using = this.names()
  }

  protected joined(): Joined {
    const { start } = this.peek()
    const join: Joined = { start, kind: this.joinKind(), right: this.primaryItem(), using: [] }
    if (join.kind !== 'CROSS') this.condition(join)
    return join
  }

  protected join(left: FromItem): JoinItem {
    const join = this.joined()
    this.needsCondition(join)
    return { is: 'join', left, ...join }
  }

  protected joinKind(): string {
    if (this.take('CROSS')) {
      this.need('JOIN')
      return 'CROSS'
    }
    let kind = 'INNER'
    const { start } = this.peek()
    if (this.take('NATURAL')) this.never(start, 'join', '`NATURAL JOIN`', 'name the columns: `USING (…)`')
    if (this.isAny('LEFT', 'RIGHT', 'FULL')) {
      kind = this.next().word
      this.take('OUTER')
    } else this.take('INNER')
    if (this.take('HASH') || this.take('LOOKUP')) this.never(start, 'join', 'a hint about a join', 'leave it out')
    this.need('JOIN')
    return kind
  }

  /** One table, subquery, call or array, without joins. */
  source(): FromItem {
    return this.primaryItem()
  }

  protected primaryItem(): FromItem {
    const { start } = this.peek()
    if (this.is('LATERAL')) this.unsupported('join', '`LATERAL`')
    if (this.is('UNNEST')) return this.unnest()
    if (this.is('(')) return this.bracketed(start)
    return this.tableItem()
  }

  protected bracketed(start: number): FromItem {
    if (this.bracketsQuery(0)) {
      this.need('(')
      const query = this.query()
      this.need(')')
      const alias = this.alias()
      return this.sampled(this.pivoted({ is: 'subquery', start, query, ...(alias !== undefined && { alias }) }))
    }
    this.need('(')
    const item = this.from(false)
    this.need(')')
    return this.sampled(item)
  }

  /** BigQuery takes samples of tables only. */
  protected sampled(item: FromItem): FromItem {
    const { start } = this.peek()
    if (!this.take('TABLESAMPLE')) return item
    this.never(start, 'tablesample', 'a sample of what is no table')
    this.sample()
    return item
  }

  protected unnest(): FromItem {
    const { start } = this.need('UNNEST')
    this.need('(')
    const of = this.zipped(this.expression())
    this.need(')')
    const alias = this.alias()
    const offset = this.offset()
    this.noPivot()
    return this.sampled({
      is: 'unnest',
      start,
      of,
      ...(alias !== undefined && { alias }),
      ...(offset !== undefined && { offset }),
    })
  }

  /** `UNNEST(a AS x, b AS y, mode => 'PAD')`, behind the first array. */
  protected zipped(first: Expression): Expression {
    const { start } = this.peek()
    if (!this.is(',') && !this.is('AS')) return first
    this.never(start, 'unnest', '`UNNEST` of several arrays', 'join them by `WITH OFFSET`')
    if (this.take('AS')) this.name('an alias')
    const items = [first]
    while (this.take(',')) {
      if (this.peek(1).word === '=>') {
        this.name('an argument')
        this.next()
      }
      items.push(this.expression())
      if (this.take('AS')) this.name('an alias')
    }
    return { is: 'array', start, items, type: undefined }
  }

  /** `WITH OFFSET [AS o]`; its name is `offset` where none is given. */
  protected offset(): Name | undefined {
    const { start, end } = this.peek()
    if (!this.take('WITH', 'OFFSET')) return undefined
    if (this.is('OFFSET')) return this.name('an alias')
    return this.alias() ?? { text: 'offset', quoted: false, start, end }
  }

  protected tableItem(): FromItem {
    const path = this.path()
    if (this.is('(')) return this.sampled(this.pivoted(this.tableFunction(path)))
    const aliasEarly = this.alias()
    const offset = this.offset()
    const extra: Expression[] = []
    const clauses: { start: number; end: number }[] = []
    let fixed: string | undefined
    let { start } = this.peek()
    const clause = (): number => clauses.push({ start, end: this.tokens[this.at - 1]?.end ?? start })
    if (this.take('FOR')) {
      fixed = 'time-travel'
      extra.push(this.asOf())
      clause()
    }
    const alias = aliasEarly ?? (fixed === undefined ? undefined : this.alias())
    start = this.peek().start
    if (this.take('TABLESAMPLE')) {
      fixed ??= 'tablesample'
      this.sample()
      clause()
    }
    return this.pivoted({
      is: 'table',
      start: path.start,
      path,
      extra,
      ...(alias !== undefined && { alias }),
      ...(offset !== undefined && { offset }),
      ...(fixed !== undefined && { fixed, clauses }),
    })
  }

  /** A call in the place of a table; its opening bracket is next. */
  protected tableFunction(path: Path): FunctionItem {
    this.need('(')
    const given: Argument[] = []
    if (!this.is(')')) {
      do given.push(this.argument())
      while (this.take(','))
    }
    this.need(')')
    const alias = this.alias()
    const name = path.names.map((part) => part.text.toUpperCase()).join('.')
    const item: FunctionItem = { is: 'function', start: path.start, path, name, arguments: given }
    return alias === undefined ? item : { ...item, alias }
  }

  protected argument(): Argument {
    if (this.peek(1).word === '=>') {
      this.name('an argument')
      this.next()
    }
    // What else may stand behind these words, another reader takes for a table.
    if (this.is('INPUT', 'TABLE')) return { is: 'value', value: this.inputTable() }
    if (this.isAny('TABLE', 'MODEL')) {
      const is = this.next().word === 'TABLE' ? 'table' : 'model'
      return { is, path: this.path() }
    }
    if (this.isAny('CONNECTION', 'DESCRIPTOR') && !this.endsArgument(1)) return { is: 'value', value: this.handle() }
    if (this.isAny('SELECT', 'WITH', 'FROM')) this.unsupported('call', 'a query without brackets as an argument')
    if (this.bracketsQuery(0)) return { is: 'query', query: this.bracketedQuery() }
    return { is: 'value', value: this.expression() }
  }

  /** `CONNECTION c`, `DESCRIPTOR(a, b)`: neither names data. */
  protected handle(): Expression {
    const { start, word } = this.next()
    this.never(start, 'call', `a \`${word}\` argument`)
    if (word === 'DESCRIPTOR') this.group()
    else if (!this.take('DEFAULT')) this.path()
    return NO_EXPRESSION
  }

  /** With what pivots it, if anything does. */
  protected pivoted(of: FromItem): FromItem {
    const { start } = this.peek()
    if (this.is('MATCH_RECOGNIZE', '(')) return this.matched(of)
    if (!this.opensPivot()) {
      this.noPivot()
      return of
    }
    const pivot = this.pivot()
    const alias = this.alias()
    this.noPivot()
    return { is: 'pivot', start, of, pivot, ...(alias !== undefined && { alias }) }
  }

  /** `t MATCH_RECOGNIZE (…) AS m`: nothing of `t` is in view behind it. */
  protected matched(of: FromItem): FromItem {
    const { start } = this.next()
    this.never(start, 'match-recognize', '`MATCH_RECOGNIZE`')
    this.group()
    const alias = this.alias()
    const pivot: Pivot = { is: 'pivot', start, aggregates: [], for: NO_EXPRESSION, values: [] }
    return { is: 'pivot', start, of, pivot, ...(alias !== undefined && { alias }) }
  }

  protected opensPivot(): boolean {
    const behind = this.peek(1).word
    return (this.is('PIVOT') && behind === '(') || (this.is('UNPIVOT') && /^(\(|INCLUDE|EXCLUDE)$/.test(behind))
  }

  protected pivot(): Pivot {
    const { start } = this.peek()
    if (this.next().word === 'UNPIVOT') return this.unpivot(start)
    this.need('(')
    const aggregates = this.list(() => this.aliased())
    this.need('FOR')
    // Not a whole expression: IN belongs to PIVOT.
    const by = this.bitOr()
    this.need('IN', '(')
    if (this.isAny('SELECT', 'WITH', 'FROM', 'ANY')) this.unsupported('pivot', 'a query in `PIVOT`')
    const values = this.list(() => this.aliased())
    this.need(')', ')')
    return { is: 'pivot', start, aggregates, for: by, values }
  }

  protected aliased(): Aliased {
    const value = this.expression()
    const alias = this.alias()
    return alias === undefined ? { value } : { value, alias }
  }

  protected unpivot(start: number): Pivot {
    if (this.isAny('INCLUDE', 'EXCLUDE')) {
      this.next()
      this.need('NULLS')
    }
    this.need('(')
    const columns = this.is('(') ? this.names() : [this.name('a column')]
    this.need('FOR')
    const name = this.name('a column')
    this.need('IN', '(')
    const groups = this.list(() => {
      const of = this.is('(') ? this.names() : [this.name('a column')]
      const labelled = this.take('AS') || /^(string|number)$/.test(this.peek().kind)
      return { columns: of, label: labelled ? this.label() : undefined }
    })
    this.need(')', ')')
    if (groups.some((group) => group.columns.length !== columns.length)) {
      this.stop(start, 'unparseable', '`UNPIVOT` takes as many columns as it makes')
    }
    return { is: 'unpivot', start, columns, name, groups }
  }

  protected label(): Expression {
    if (!/^(string|number)$/.test(this.peek().kind)) this.unexpected('a string or a number')
    return this.primary()
  }

  /** Behind `FOR`. */
  asOf(): Expression {
    if (!this.take('SYSTEM_TIME')) this.need('SYSTEM', 'TIME')
    this.need('AS', 'OF')
    return this.expression()
  }

  protected sample(): void {
    const { start } = this.peek()
    let isPlain = this.name('`SYSTEM`').text.toUpperCase() === 'SYSTEM'
    this.need('(')
    this.constant()
    if (this.take('ROWS')) isPlain = false
    else this.need('PERCENT')
    if (this.take('PARTITION', 'BY')) {
      isPlain = false
      this.inert(() => this.list(() => this.expression()))
    }
    this.need(')')
    if (this.take('WITH', 'WEIGHT')) {
      isPlain = false
      this.alias()
    }
    if (this.take('REPEATABLE')) {
      isPlain = false
      this.need('(')
      this.constant()
      this.need(')')
    }
    if (!isPlain) this.never(start, 'tablesample', 'a sample of this kind', 'write `TABLESAMPLE SYSTEM (n PERCENT)`')
  }

  protected noPivot(): void {
    const { word } = this.peek()
    if (/^(UN)?PIVOT$/.test(word)) this.unsupported('pivot', `\`${word}\``, 'use conditional aggregation instead')
  }
}

/** A join that has no condition, as yet. */
function isOpen(on: Expression | undefined, using: readonly Name[]): boolean {
  return on === undefined && using.length === 0
}
