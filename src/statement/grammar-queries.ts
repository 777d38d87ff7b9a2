/** SELECT, set operations, common table expressions. */
import type { Body, ByName, Cte, Expression, Item, Name, Pipe, Query, Select, Star, Window } from './syntax.ts'
import { From } from './grammar-from.ts'
import type { Mutable } from './grammar-tokens.ts'

/** A query with all that belongs to it, but for its pipes. */
export abstract class Queries extends From {
  protected abstract pipes(): Pipe[]

  query(): Query {
    return this.nest(() => {
      const { start } = this.peek()
      this.queries++
      const recursive = this.is('WITH', 'RECURSIVE')
      const ctes = this.take('WITH') ? this.ctes() : []
      const body = this.setBody()
      const plain = body.is !== 'from'
      const orderBy = plain && this.take('ORDER', 'BY') ? this.ordered() : []
      const isLimited = plain && this.take('LIMIT')
      if (isLimited) this.limit()
      if (this.is('FOR', 'UPDATE')) this.unsupported('clause', '`FOR UPDATE`')
      const behind = orderBy.length > 0 || isLimited
      if (body.is === 'set' && behind && body.arms.at(-1)?.is === 'nested')
        this.beyond.push('set operation in brackets')
      if (this.queries > 1 && (!plain || this.is('|>'))) this.beyond.push('pipe query in brackets')
      const named = body.is === 'nested' && this.is('AS') ? [this.namedQuery()] : []
      const pipes = [...named, ...this.pipes()]
      this.queries--
      const limited = isLimited || pipes.some((pipe) => pipe.is === 'limit')
      return { start, recursive, ctes, body, orderBy, limited, pipes }
    })
  }

  /** `(SELECT …) AS t |> …` */
  protected namedQuery(): Pipe {
    if (this.peek(2).word !== '|>') this.unexpected('the end of the query')
    const { start } = this.need('AS')
    const alias = this.plain(this.name('an alias'))
    this.hidden.push({ start, end: alias.end, shown: '' })
    return { is: 'as', start, alias }
  }

  protected limit(): void {
    if (!this.take('ALL')) this.constant()
    if (this.take('OFFSET')) this.constant()
  }

  protected ctes(): Cte[] {
    this.take('RECURSIVE')
    const ctes: Cte[] = []
    do {
      const name = this.plain(this.name('the name of a common table expression'))
      this.need('AS')
      this.need('(')
      ctes.push({ name, query: this.query() })
      this.need(')')
      if (this.is('WITH', 'DEPTH')) this.unsupported('clause', '`WITH DEPTH`')
    } while (this.take(',') && !this.is('|>'))
    return ctes
  }

  protected setBody(): Body {
    const { start } = this.peek()
    const arms = [this.arm()]
    let operator: string | undefined
    let byName: ByName | undefined
    while (this.opensSet()) {
      const next = this.setOperator()
      if (operator !== undefined && operator !== next.operator) {
        this.stop(
          start,
          'unparseable',
          'different set operations stand side by side',
          'put brackets around one of them',
        )
      }
      operator = next.operator
      byName = next.byName
      arms.push(this.arm())
    }
    const [only] = arms
    if (arms.length === 1 && only !== undefined) return only
    if (arms.some((arm) => arm.is === 'from'))
      this.stop(start, 'unparseable', '`FROM` cannot be a side of a set operation')
    return { is: 'set', start, arms, ...(byName !== undefined && { byName }) }
  }

  protected setOperator(): { operator: string; byName?: ByName } {
    const from = this.at
    const side = this.isAny('FULL', 'LEFT', 'INNER') ? this.next().word : this.is('OUTER') ? 'FULL' : undefined
    this.take('OUTER')
    this.next()
    if (!this.isAny('ALL', 'DISTINCT')) this.unexpected('`ALL` or `DISTINCT`')
    this.next()
    const strict = this.take('STRICT')
    const corresponding = this.take('CORRESPONDING')
    const named = !corresponding && this.take('BY', 'NAME')
    if (!corresponding && !named) {
      if (side !== undefined || strict) this.unexpected('`CORRESPONDING` or `BY NAME`')
      return { operator: this.words(from) }
    }
    const listed = this.isAny('ON', 'BY')
    if (listed) this.next()
    const names = listed ? this.names() : undefined
    if (side !== undefined || !named || listed) this.beyond.push('set operation by name')
    const keeps =
      side === 'FULL'
        ? 'all'
        : side === 'LEFT'
          ? 'first'
          : side === 'INNER'
            ? 'shared'
            : named || strict
              ? 'same'
              : 'shared'
    return { operator: this.words(from), byName: { keeps, ...(names !== undefined && { names }) } }
  }

  protected arm(): Body {
    const { start } = this.peek()
    if (this.take('(')) {
      const query = this.query()
      this.need(')')
      return { is: 'nested', start, query }
    }
    if (this.take('FROM')) return { is: 'from', start, from: this.from() }
    if (!this.is('SELECT')) this.unexpected('`SELECT`')
    return this.select()
  }

  protected select(): Select {
    const select = this.selectHead()
    if (this.take('FROM')) select.from = this.from()
    if (this.take('WHERE')) select.where = this.expression()
    if (this.take('GROUP')) select.groupBy = this.groupBy()
    if (this.take('HAVING')) select.having = this.expression()
    if (this.take('QUALIFY')) select.qualify = this.expression()
    if (this.take('WINDOW')) select.windows = this.windows()
    return select
  }

  /** `SELECT DISTINCT AS STRUCT a, b` */
  protected selectHead(): Mutable<Select> {
    const { start } = this.need('SELECT')
    const clause = this.is('WITH') ? this.selectWith() : undefined
    const distinct = this.take('DISTINCT')
    if (!distinct) this.take('ALL')
    const as = this.is('AS') ? this.selectAs() : undefined
    const select: Mutable<Select> = { is: 'select', start, distinct, items: this.items(), groupBy: [], windows: [] }
    if (as !== undefined) select.as = as
    if (clause !== undefined) select.with = clause
    return select
  }

  /** `WITH DIFFERENTIAL_PRIVACY OPTIONS (…)` */
  protected selectWith(): string {
    this.need('WITH')
    this.beyond.push('SELECT WITH')
    const name = this.name('the name of a clause').text
    if (this.is('OPTIONS', '(', ')')) this.take('OPTIONS', '(', ')')
    else if (this.take('OPTIONS')) {
      this.need('(')
      do {
        this.name('the name of an option')
        this.need('=')
        if (this.peek().kind === 'number' || this.peek().kind === 'string') this.primary()
        else this.name('a value')
      } while (this.take(','))
      this.need(')')
    }
    return name
  }

  protected selectAs(): 'STRUCT' | 'VALUE' {
    this.need('AS')
    if (this.take('STRUCT')) return 'STRUCT'
    if (this.take('VALUE')) return 'VALUE'
    const { start } = this.peek()
    this.path()
    this.never(start, 'type', 'a type of this name', 'write `AS STRUCT` or `AS VALUE`')
    return 'STRUCT'
  }

  protected items(): Item[] {
    const items = [this.item()]
    // A comma may stand behind the last item.
    while (this.take(',') && !this.isAny('FROM', ')', ';', '|>') && this.peek().kind !== 'end') items.push(this.item())
    return items
  }

  protected item(): Item {
    const { start } = this.peek()
    if (this.take('*')) return this.star(start)
    const value = this.expression()
    if (this.take('.', '*')) return this.star(start, value)
    const alias = this.alias()
    return alias === undefined ? { is: 'value', value } : { is: 'value', value, alias }
  }

  protected star(start: number, of?: Expression): Star {
    const from = this.peek().start
    const asterisk = this.tokens[this.at - 1]?.end ?? from
    const except = this.take('EXCEPT') ? this.names() : []
    const behind = except.at(-1)?.end ?? asterisk
    const end = this.tokens[this.at - 1]?.end ?? from
    if (except.length > 0 && this.is('REPLACE')) this.hidden.push({ start: from, end, shown: '' })
    const replace: { value: Expression; alias: Name }[] = []
    if (this.take('REPLACE')) {
      this.need('(')
      do {
        const value = this.expression()
        this.need('AS')
        replace.push({ value, alias: this.name('the column to replace') })
      } while (this.take(','))
      this.need(')')
    }
    return { is: 'star', start, behind, except, replace, ...(of !== undefined && { of }) }
  }

  protected windows(): { name: Name; window: Window }[] {
    const windows: { name: Name; window: Window }[] = []
    do {
      const name = this.name('the name of a window')
      this.need('AS')
      windows.push({ name, window: this.window() })
    } while (this.take(','))
    return windows
  }
}
