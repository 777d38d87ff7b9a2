/** Statements around queries: DML and DDL, as far as a policy must know what they touch. Everything else is refused. */
import { Grammar } from './grammar.ts'
import type { Assignment, ChangeAction, Expression, Path, Query, Tree } from './syntax.ts'

type Copy = Tree['copies'][number]
type TreeFeature = Tree['features'][number]
type When = { source: boolean; target: boolean; values: Expression[] }

const SCRIPT = new Set(
  'BEGIN DECLARE SET CALL EXECUTE IF LOOP WHILE REPEAT FOR CASE RAISE RETURN BREAK LEAVE CONTINUE ITERATE COMMIT ROLLBACK'.split(
    ' ',
  ),
)

/** Words that may not stand in the unread rest of a DDL statement: a query or a routine could hide there. */
const SUSPECT = new Set(
  'SELECT FROM WITH UNION JOIN CALL EXECUTE MERGE INSERT UPDATE DELETE AS LIKE COPY CLONE'.split(' '),
)

/** Reads exactly one statement. */
export function readStatement(grammar: Grammar): Tree {
  return new StatementGrammar(grammar).statement()
}

class StatementGrammar {
  readonly #g: Grammar
  readonly #features: TreeFeature[] = []

  constructor(grammar: Grammar) {
    this.#g = grammar
  }

  statement(): Tree {
    const g = this.#g
    if (g.peek().kind === 'end') g.stop(0, 'unparseable', 'the text holds no statement')
    const tree = this.#one()
    g.take(';')
    if (g.peek().kind === 'end') return tree
    if (g.tokens.some((token, i) => token.word === ';' && g.tokens[i + 1]?.kind !== 'end')) {
      this.#script('several statements in one text')
    }
    return g.unexpected('the end of the statement')
  }

  #script(what: string): never {
    return this.#g.stop(
      this.#g.peek().start,
      'unsupported-script',
      `${what} is not supported`,
      'send one statement at a time',
    )
  }

  #one(): Tree {
    const g = this.#g
    const { start, word } = g.peek()
    if (g.opensQuery()) return this.#tree(start, 'SELECT', { does: { is: 'query', query: g.query(), exports: false } })
    if (SCRIPT.has(word)) this.#script(word === 'CALL' || word === 'EXECUTE' ? `\`${word}\`` : 'a script')
    switch (word) {
      case 'INSERT':
        return this.#insert(start)
      case 'UPDATE':
        return this.#update(start)
      case 'DELETE':
        return this.#delete(start)
      case 'MERGE':
        return this.#merge(start)
      case 'TRUNCATE':
        return this.#truncate(start)
      case 'CREATE':
        return this.#create(start)
      case 'DROP':
        return this.#drop(start)
      case 'ALTER':
        return this.#alter(start)
      case 'EXPORT':
        return this.#export(start)
      default:
        if (g.peek().kind === 'name') g.unsupported('statement', `\`${word}\` as a statement`)
        return g.unexpected('a statement')
    }
  }

  #tree(start: number, kind: string, rest: Partial<Tree>): Tree {
    return { start, kind, does: { is: 'define' }, targets: [], copies: [], features: this.#features, ...rest }
  }

  // ── DML ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #target(path: Path, ...actions: readonly ChangeAction[]): Tree['targets'] {
    return [{ path, actions }]
  }

  #insert(start: number): Tree {
    const g = this.#g
    g.need('INSERT')
    g.take('INTO')
    const targets = this.#target(g.path(), 'write')
    const columns = g.is('(') && !g.opensQuery() ? g.names() : []
    const kind = 'INSERT'
    if (!g.take('VALUES')) {
      if (!g.opensQuery()) g.unexpected('`VALUES` or a query')
      return this.#tree(start, kind, { targets, does: { is: 'insert', columns, query: g.query(), values: [] } })
    }
    const values: Expression[] = []
    do values.push(...this.#row())
    while (g.take(','))
    return this.#tree(start, kind, { targets, does: { is: 'insert', columns, values } })
  }

  /** `(1, DEFAULT, 'x')` */
  #row(): Expression[] {
    const g = this.#g
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

  #assignments(): Assignment[] {
    const g = this.#g
    const set: Assignment[] = []
    do {
      const target = [g.name('a column')]
      while (g.take('.')) target.push(g.name('a field', true))
      g.need('=')
      if (g.is('DEFAULT')) g.next()
      else set.push({ target, value: g.expression() })
    } while (g.take(','))
    return set
  }

  #update(start: number): Tree {
    const g = this.#g
    g.need('UPDATE')
    const targets = this.#target(g.path(), 'write')
    const alias = g.alias()
    g.need('SET')
    const set = this.#assignments()
    const from = g.take('FROM') ? g.from() : undefined
    const where = this.#where('UPDATE')
    return this.#tree(start, 'UPDATE', {
      targets,
      does: { is: 'update', set, ...given('alias', alias), where, ...given('from', from) },
    })
  }

  #delete(start: number): Tree {
    const g = this.#g
    g.need('DELETE')
    g.take('FROM')
    const targets = this.#target(g.path(), 'write')
    const alias = g.alias()
    const where = this.#where('DELETE')
    return this.#tree(start, 'DELETE', {
      targets,
      does: { is: 'delete', where, ...given('alias', alias) },
    })
  }

  /** BigQuery wants one, and so do we: forgetting it must not empty a table. */
  #where(what: string): Expression {
    const g = this.#g
    if (g.take('WHERE')) return g.expression()
    return g.stop(g.peek().start, 'no-where', `\`${what}\` needs a \`WHERE\``, 'to mean every row, write `WHERE TRUE`')
  }

  #merge(start: number): Tree {
    const g = this.#g
    g.need('MERGE')
    g.take('INTO')
    const targets = this.#target(g.path(), 'write')
    const alias = g.alias()
    g.need('USING')
    // One item only: a comma or a join behind it is no part of MERGE.
    const source = g.source()
    g.need('ON')
    const on = g.expression()
    const whens: When[] = []
    do whens.push(this.#when())
    while (g.is('WHEN'))
    return this.#tree(start, 'MERGE', { targets, does: { is: 'merge', source, on, whens, ...given('alias', alias) } })
  }

  #when(): When {
    const g = this.#g
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
      values.push(...this.#assignments().map((assignment) => assignment.value))
      return when
    }
    g.need('INSERT')
    if (g.is('(')) g.names()
    if (g.is('ROW')) g.unsupported('merge', '`INSERT ROW`', 'name the columns and values')
    g.need('VALUES')
    values.push(...this.#row())
    return when
  }

  #truncate(start: number): Tree {
    this.#g.need('TRUNCATE', 'TABLE')
    return this.#tree(start, 'TRUNCATE_TABLE', { targets: this.#target(this.#g.path(), 'delete') })
  }

  // ── DDL ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #create(start: number): Tree {
    const g = this.#g
    g.need('CREATE')
    const replaces = g.take('OR', 'REPLACE')
    if (replaces) this.#features.push({ name: 'or-replace', start })
    if (g.isAny('TEMP', 'TEMPORARY')) g.unsupported('statement', 'a temporary object', 'use `WITH` in the query')
    const actions: ChangeAction[] = replaces ? ['define', 'delete'] : ['define']
    if (g.take('SCHEMA')) return this.#schema(start, 'CREATE_SCHEMA', actions)
    const snapshot = g.take('SNAPSHOT', 'TABLE')
    if (snapshot || g.take('TABLE')) return this.#createTable(start, snapshot, actions)
    const materialized = g.take('MATERIALIZED')
    if (g.take('VIEW')) return this.#createView(start, materialized, actions)
    return g.unsupported('statement', `\`CREATE ${g.peek().word}\``)
  }

  #createTable(start: number, snapshot: boolean, actions: readonly ChangeAction[]): Tree {
    const g = this.#g
    g.take('IF', 'NOT', 'EXISTS')
    const targets = this.#target(g.path(), ...actions)
    const copies: Copy[] = []
    if (g.isAny('LIKE', 'COPY', 'CLONE')) {
      g.next()
      const path = g.path()
      const extra = g.take('FOR') ? [g.asOf()] : []
      copies.push({ path, extra })
    }
    if (snapshot && copies.length === 0) g.unexpected('`CLONE`')
    this.#skipRest(['AS'])
    const kind = snapshot ? 'CREATE_SNAPSHOT_TABLE' : 'CREATE_TABLE'
    if (!g.take('AS')) return this.#tree(start, kind, { targets, copies })
    const query = this.#query()
    return this.#tree(start, 'CREATE_TABLE_AS_SELECT', { targets, copies, does: { is: 'define', query } })
  }

  #createView(start: number, materialized: boolean, actions: readonly ChangeAction[]): Tree {
    const g = this.#g
    g.take('IF', 'NOT', 'EXISTS')
    const targets = this.#target(g.path(), ...actions)
    this.#skipRest(['AS'])
    g.need('AS')
    const kind = materialized ? 'CREATE_MATERIALIZED_VIEW' : 'CREATE_VIEW'
    return this.#tree(start, kind, { targets, does: { is: 'define', query: this.#query() } })
  }

  #query(): Query {
    return this.#g.opensQuery() ? this.#g.query() : this.#g.unexpected('a query')
  }

  #schema(start: number, kind: string, actions: readonly ChangeAction[]): Tree {
    const g = this.#g
    g.take('IF', 'NOT', 'EXISTS')
    g.take('IF', 'EXISTS')
    const path = g.path()
    this.#skipRest()
    return this.#tree(start, kind, { targets: [{ path, actions, dataset: true }] })
  }

  #drop(start: number): Tree {
    const g = this.#g
    g.need('DROP')
    const what = this.#what(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SNAPSHOT TABLE', 'EXTERNAL TABLE', 'SCHEMA'])
    const kind = `DROP_${what.replace(' ', '_')}`
    if (what === 'SCHEMA') return this.#schema(start, kind, ['delete'])
    g.take('IF', 'EXISTS')
    return this.#tree(start, kind, { targets: this.#target(g.path(), 'delete') })
  }

  #alter(start: number): Tree {
    const g = this.#g
    g.need('ALTER')
    const what = this.#what(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SCHEMA'])
    const kind = `ALTER_${what.replace(' ', '_')}`
    if (what === 'SCHEMA') return this.#schema(start, kind, ['define'])
    g.take('IF', 'EXISTS')
    const targets = [{ path: g.path(), actions: ['define'] as ChangeAction[] }]
    this.#skipRest()
    return this.#tree(start, kind, { targets })
  }

  #what(kinds: readonly string[]): string {
    const found = kinds.find((kind) => this.#g.take(...kind.split(' ')))
    return found ?? this.#g.unsupported('statement', `\`${this.#g.peek().word}\` here`)
  }

  #export(start: number): Tree {
    const g = this.#g
    g.need('EXPORT')
    if (!g.take('DATA')) g.unsupported('statement', '`EXPORT` of anything but data')
    if (g.is('WITH')) g.unsupported('statement', '`EXPORT DATA` by a connection')
    g.need('OPTIONS')
    this.#skipGroup()
    g.need('AS')
    return this.#tree(start, 'EXPORT_DATA', { does: { is: 'query', query: this.#query(), exports: true } })
  }

  /** Column lists, options, partitioning: no name in them is a table, and no query may hide in them. */
  #skipRest(until: readonly string[] = []): void {
    const g = this.#g
    while (g.peek().kind !== 'end' && !g.is(';') && !g.isAny(...until)) {
      if (g.is('(')) this.#skipGroup()
      else this.#skipOne()
    }
  }

  #skipGroup(): void {
    const g = this.#g
    g.need('(')
    for (let depth = 1; depth > 0;) {
      if (g.peek().kind === 'end') g.unexpected('`)`')
      if (g.is('(')) depth++
      if (g.is(')')) depth--
      this.#skipOne()
    }
  }

  #skipOne(): void {
    const g = this.#g
    if (SUSPECT.has(g.peek().word)) g.unsupported('clause', `\`${g.peek().word}\` in this place`)
    // A foreign key, another default, a rename: names of other tables or routines.
    if (g.isAny('REFERENCES', 'RENAME', 'REPLICA', 'CONNECTION')) g.unsupported('clause', `\`${g.peek().word}\``)
    g.next()
  }
}

function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V })
}
