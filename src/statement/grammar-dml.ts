/** Statements that change rows. */
import type { Assignment, Expression, Tree } from './syntax.ts'
import { given, Parts, type Copy } from './grammar-parts.ts'

type When = { source: boolean; target: boolean; values: Expression[]; row?: boolean }

/** INSERT, UPDATE, DELETE, MERGE, TRUNCATE, CLONE DATA: each begins at its verb. */
export class Dml extends Parts {
  protected insert(start: number): Tree {
    const g = this.g
    g.need('INSERT')
    g.insertOr()
    g.take('INTO')
    const targets = this.target(g.path(), 'write')
    const columns = g.is('(') && !g.opensQuery() ? g.names() : []
    const kind = 'INSERT'
    if (!g.take('VALUES')) {
      if (g.is('(')) g.beyond.push('bracketed INSERT query')
      if (!g.opensQuery()) g.unexpected('`VALUES` or a query')
      const query = g.query()
      g.dmlTail()
      return this.tree(start, kind, { targets, does: { is: 'insert', columns, query, values: [] } })
    }
    const values: Expression[] = []
    do values.push(...this.row())
    while (g.take(','))
    g.dmlTail()
    return this.tree(start, kind, { targets, does: { is: 'insert', columns, values } })
  }

  /** `(1, DEFAULT, 'x')` */
  protected row(): Expression[] {
    const g = this.g
    const values: Expression[] = []
    g.need('(')
    do {
      const { start, end } = g.peek()
      if (g.take('DEFAULT')) g.hidden.push({ start, end, shown: 'NULL' })
      else values.push(g.expression())
    } while (g.take(','))
    g.need(')')
    return values
  }

  protected assignments(): Assignment[] {
    const g = this.g
    const set: Assignment[] = []
    do {
      if (g.is('(')) {
        set.push({ target: [], value: this.nestedDml() })
        continue
      }
      const target = [g.name('a column')]
      for (;;) {
        const { start: at } = g.peek()
        if (g.take('.')) target.push(g.name('a field', true))
        else if (g.take('[')) {
          g.never(at, 'update', 'one element of an array as a target', 'write the whole array')
          set.push({ target: [], value: g.expression() })
          g.need(']')
        } else break
      }
      g.need('=')
      const { start, end } = g.peek()
      if (g.take('DEFAULT')) g.hidden.push({ start, end, shown: 'NULL' })
      else set.push({ target, value: g.expression() })
    } while (g.take(','))
    return set
  }

  /** `SET (DELETE t.items i WHERE i.n = 0)`: all expressions in it, as one. */
  protected nestedDml(): Expression {
    const g = this.g
    const { start } = g.need('(')
    const verb = g.next().word
    g.never(start, 'update', 'a statement inside an `UPDATE`', 'write the whole array')
    if (!/^(INSERT|UPDATE|DELETE)$/.test(verb)) g.unexpected('`INSERT`, `UPDATE` or `DELETE`')
    if (verb === 'DELETE') g.take('FROM')
    if (verb === 'INSERT') g.take('INTO')
    this.arrays.push(g.path())
    const operands: Expression[] = []
    if (verb === 'INSERT') {
      if (g.is('(') && !g.opensQuery()) g.names()
      if (g.take('VALUES')) {
        do operands.push(...this.row())
        while (g.take(','))
      } else {
        const at = g.peek().start
        operands.push({ is: 'subquery', start: at, as: 'array', query: this.query() })
      }
    } else {
      g.alias()
      if (g.take('WITH', 'OFFSET')) g.alias()
      if (verb === 'UPDATE') {
        g.need('SET')
        operands.push(...this.assignments().map((assignment) => assignment.value))
      }
      operands.push(this.where(verb))
    }
    g.dmlTail()
    g.need(')')
    return { is: 'operator', start, operator: 'DML', operands }
  }

  protected update(start: number): Tree {
    const g = this.g
    g.need('UPDATE')
    const targets = this.target(g.path(), 'write')
    const alias = g.alias()
    g.need('SET')
    const set = this.assignments()
    const from = g.take('FROM') ? g.from() : undefined
    const where = this.where('UPDATE')
    g.dmlTail()
    return this.tree(start, 'UPDATE', {
      targets,
      ...(this.arrays.length > 0 && { arrays: this.arrays }),
      does: { is: 'update', set, ...given('alias', alias), where, ...given('from', from) },
    })
  }

  protected delete(start: number): Tree {
    const g = this.g
    g.need('DELETE')
    g.take('FROM')
    const targets = this.target(g.path(), 'write')
    const alias = g.alias()
    const where = this.where('DELETE')
    g.dmlTail()
    return this.tree(start, 'DELETE', {
      targets,
      does: { is: 'delete', where, ...given('alias', alias) },
    })
  }

  /** BigQuery wants one, and so do we: forgetting it must not empty a table. */
  protected where(what: string): Expression {
    const g = this.g
    if (g.take('WHERE')) return g.expression()
    return g.stop(g.peek().start, 'no-where', `\`${what}\` needs a \`WHERE\``, 'to mean every row, write `WHERE TRUE`')
  }

  protected merge(start: number): Tree {
    const g = this.g
    g.need('MERGE')
    g.take('INTO')
    const targets = this.target(g.path(), 'write')
    const alias = g.alias()
    g.need('USING')
    // One item only: a comma or a join behind it is no part of MERGE.
    const source = g.source()
    g.need('ON')
    const on = g.expression()
    const whens: When[] = []
    do whens.push(this.when())
    while (g.is('WHEN'))
    return this.tree(start, 'MERGE', { targets, does: { is: 'merge', source, on, whens, ...given('alias', alias) } })
  }

  protected when(): When {
    const g = this.g
    g.need('WHEN')
    const missing = g.take('NOT')
    g.need('MATCHED')
    const bySource = missing && g.take('BY', 'SOURCE')
    if (missing && !bySource && g.take('BY')) g.need('TARGET')
    const values = g.take('AND') ? [g.expression()] : []
    g.need('THEN')
    const when = { source: !bySource, target: !missing || bySource, values }
    if (g.take('DELETE')) return when
    if (g.take('UPDATE')) {
      g.need('SET')
      values.push(...this.assignments().map((assignment) => assignment.value))
      return when
    }
    g.need('INSERT')
    if (g.is('(')) g.names()
    if (g.take('ROW')) return { ...when, row: true }
    g.need('VALUES')
    values.push(...this.row())
    return when
  }

  protected truncate(start: number): Tree {
    this.g.need('TRUNCATE', 'TABLE')
    return this.tree(start, 'TRUNCATE_TABLE', { targets: this.target(this.g.path(), 'delete') })
  }

  /** `CLONE DATA INTO t FROM a WHERE … UNION ALL b` */
  protected clone(start: number): Tree {
    const g = this.g
    g.need('CLONE', 'DATA', 'INTO')
    g.never(start, 'statement', '`CLONE DATA`', 'use `INSERT`')
    const targets = this.target(g.path(), 'write')
    g.need('FROM')
    const copies: Copy[] = []
    do {
      const path = g.path()
      const extra = g.take('FOR') ? [g.asOf()] : []
      if (g.take('WHERE')) extra.push(g.expression())
      copies.push({ path, extra })
    } while (g.take('UNION', 'ALL'))
    return this.tree(start, 'CLONE_DATA', { targets, copies })
  }
}
