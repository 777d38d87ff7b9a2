/**
 * GoogleSQL's grammar, as far as we stand for it: tokens → typed tree. What no rule here names is refused where it stands;
 * every token is consumed by exactly one rule. Each room stands on the one before: tokens, types, expressions, FROM, queries,
 * and here pipes, and what queries and DML share.
 */
import type { Aliased, Expression, Item, Name, Pipe } from './syntax.ts'
import { JOIN_WORDS } from './words.ts'
import { NO_EXPRESSION } from './grammar-expressions.ts'
import { Queries } from './grammar-queries.ts'

export { DATE_PARTS } from './grammar-expressions.ts'
export type { Beyond } from './grammar-tokens.ts'
export { Stop } from './stop.ts'

/** Reads queries and expressions from tokens. `Statements` (grammar-statement.ts) reads what stands around them. */
export class Grammar extends Queries {
  protected pipes(): Pipe[] {
    const pipes: Pipe[] = []
    while (this.take('|>')) pipes.push(this.pipe())
    return pipes
  }

  protected pipe(): Pipe {
    const { start, word } = this.peek()
    switch (word) {
      case 'SELECT': {
        const select = this.selectHead()
        if (this.take('WINDOW')) select.windows = this.windows()
        return { is: 'project', start, select }
      }
      case 'WINDOW':
        this.beyond.push('pipe operator')
        this.next()
        return { is: 'extend', start, items: this.items(), windows: [] }
      case 'EXTEND': {
        this.next()
        const items = this.items()
        return { is: 'extend', start, items, windows: this.take('WINDOW') ? this.windows() : [] }
      }
      case 'SET':
        return this.pipeSet(start)
      case 'DROP':
        this.next()
        return { is: 'drop', start, names: this.list(() => this.name('a column')) }
      case 'RENAME':
        this.next()
        return { is: 'rename', start, items: this.list(() => this.renamed()) }
      case 'AS':
        this.next()
        return { is: 'as', start, alias: this.plain(this.name('an alias')) }
      case 'WHERE':
        this.next()
        return { is: 'where', start, of: this.expression() }
      case 'AGGREGATE':
        return this.aggregate(start)
      case 'ORDER':
        this.need('ORDER', 'BY')
        return { is: 'order', start, by: this.ordered() }
      case 'LIMIT':
        this.next()
        this.limit()
        return { is: 'limit', start }
      case 'DISTINCT':
        this.next()
        return { is: 'distinct', start }
      case 'TABLESAMPLE':
        this.next()
        this.sample()
        return { is: 'limit', start }
      case 'WITH': {
        this.beyond.push('pipe operator')
        this.next()
        return { is: 'with', start, ctes: this.ctes() }
      }
      case 'PIVOT':
      case 'UNPIVOT': {
        const pivot = this.pivot()
        const alias = this.alias()
        return { is: 'pivot', start, pivot, ...(alias !== undefined && { alias }) }
      }
      case 'ASSERT':
        this.next()
        this.never(start, 'pipe', 'the pipe operator `ASSERT`')
        return { is: 'order', start, by: this.list(() => this.expression()) }
      case 'STATIC_DESCRIBE':
      case 'DESCRIBE':
        this.next()
        this.never(start, 'pipe', `the pipe operator \`${word}\``)
        return { is: 'limit', start }
      case 'CALL': {
        this.next()
        return { is: 'call', start, function: this.tableFunction(this.path()) }
      }
      default:
        return this.pipeOfTwo(start, word)
    }
  }

  /** Joins and set operations: what brings in another table. */
  protected pipeOfTwo(start: number, word: string): Pipe {
    if (this.opensSet()) {
      const { byName } = this.setOperator()
      const arms = this.list(() => {
        if (!this.is('(')) this.unexpected('a query in brackets')
        return this.bracketedQuery()
      })
      return { is: 'union', start, arms, ...(byName !== undefined && { byName }) }
    }
    if (this.isAny(...JOIN_WORDS)) {
      const { is: _, left: __, ...join } = this.join({ is: 'unnest', start, of: NO_EXPRESSION })
      return { is: 'join', start, join }
    }
    if (this.isAny('FORK', 'TEE', 'IF', 'CREATE', 'INSERT', 'EXPORT', 'MATCH_RECOGNIZE', 'ALIGN'))
      return this.branch(start)
    return this.unsupported('pipe', word === '' ? 'this pipe operator' : `the pipe operator \`${word}\``)
  }

  /** What ends a pipe query elsewhere than in an answer. */
  protected branch(start: number): Pipe {
    this.beyond.push('pipe operator')
    const name = this.next().word
    this.never(start, 'pipe', `the pipe operator \`${name}\``)
    switch (name) {
      case 'FORK':
      case 'TEE':
        return { is: 'branch', start, name, branches: this.is('(') ? this.list(() => this.subpipes()) : [] }
      case 'IF':
        return this.pipeIf(start)
      case 'MATCH_RECOGNIZE':
      case 'ALIGN':
        this.group()
        this.alias()
        return { is: 'branch', start, name, branches: [] }
      case 'EXPORT':
        this.exportOptions()
        return { is: 'branch', start, name, branches: [] }
      case 'INSERT': {
        this.insertOr()
        this.take('INTO')
        const path = this.path()
        if (this.is('(')) this.names()
        this.dmlTail()
        return { is: 'branch', start, name, branches: [], target: { path, action: 'write' } }
      }
    }
    this.take('OR', 'REPLACE')
    if (!this.take('TEMP')) this.take('TEMPORARY')
    this.need('TABLE')
    return { is: 'branch', start, name, branches: [], target: { path: this.path(), action: 'define' } }
  }

  protected subpipes(): Pipe[] {
    this.need('(')
    const pipes = this.pipes()
    this.need(')')
    return pipes
  }

  /** Behind IF: `x THEN (|> …) ELSEIF y THEN (|> …) ELSE (|> …)` */
  protected pipeIf(start: number): Pipe {
    const conditions: Expression[] = []
    const branches: Pipe[][] = []
    do {
      conditions.push(this.expression())
      this.need('THEN')
      branches.push(this.subpipes())
    } while (this.take('ELSEIF'))
    if (this.take('ELSE')) branches.push(this.subpipes())
    return { is: 'branch', start, name: 'IF', branches, conditions }
  }

  protected exportOptions(): void {
    this.need('DATA')
    if (this.take('WITH', 'CONNECTION') && !this.take('DEFAULT')) this.path()
    if (this.take('OPTIONS')) this.group()
  }

  /** `INSERT OR IGNORE` */
  insertOr(): void {
    const { start } = this.peek()
    if (!this.take('OR')) return
    if (!this.isAny('IGNORE', 'REPLACE', 'UPDATE')) this.unexpected('`IGNORE`, `REPLACE` or `UPDATE`')
    this.never(start, 'clause', `\`INSERT OR ${this.next().word}\``, 'use `MERGE`')
  }

  /** `ON CONFLICT …`, `ASSERT_ROWS_MODIFIED n`, `THEN RETURN …`: no part of BigQuery's DML. */
  dmlTail(): void {
    for (;;) {
      const { start, word } = this.peek()
      if (this.take('ON', 'CONFLICT')) this.inert(() => this.conflict())
      else if (this.take('ASSERT_ROWS_MODIFIED')) this.inert(() => this.expression())
      else if (this.take('THEN', 'RETURN')) {
        this.inert(() => {
          if (this.take('WITH', 'ACTION') && this.take('AS')) this.name('an alias')
          this.items()
        })
      } else return
      this.never(start, 'clause', `\`${word}\` in this place`, 'leave it out')
    }
  }

  protected conflict(): void {
    if (this.take('ON', 'UNIQUE', 'CONSTRAINT')) this.name('a constraint')
    else if (this.is('(')) this.names()
    this.need('DO')
    if (this.take('NOTHING')) return
    this.need('UPDATE')
    this.pipeSet(this.peek().start)
    if (this.take('WHERE')) this.expression()
  }

  protected pipeSet(start: number): Pipe {
    this.need('SET')
    const items = this.list(() => {
      const name = this.name('a column')
      this.need('=')
      return { name, value: this.expression() }
    })
    return { is: 'set', start, items }
  }

  protected renamed(): { from: Name; to: Name } {
    const from = this.name('a column')
    this.take('AS')
    return { from, to: this.name('a new name') }
  }

  /** `AGGREGATE SUM(a) AS s DESC GROUP AND ORDER BY b AS c` */
  protected aggregate(start: number): Pipe {
    this.need('AGGREGATE')
    const items: Item[] = []
    while (!this.isAny('GROUP', '|>', ')', ';') && this.peek().kind !== 'end') {
      items.push(this.item())
      this.direction()
      if (!this.take(',')) break
    }
    if (items.length === 0) this.beyond.push('pipe operator')
    if (!this.take('GROUP')) return { is: 'aggregate', start, items, groupBy: [] }
    this.take('AND', 'ORDER')
    this.need('BY')
    const groupBy: Aliased[] = []
    do {
      if (this.isAny('|>', ')', ';') || this.peek().kind === 'end') break
      for (const value of this.grouping()) {
        const alias = this.alias()
        groupBy.push(alias === undefined ? { value } : { value, alias })
      }
      this.direction()
    } while (this.take(','))
    return { is: 'aggregate', start, items, groupBy }
  }
}
