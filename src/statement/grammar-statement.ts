/** Statements around queries: DML and DDL, as far as a policy must know what they touch. Everything else is refused. */
import type { Action } from '../exchange.ts'
import type { Refusal } from './contract.ts'
import { Grammar, Stop } from './grammar.ts'
import { remarkOn } from './functions.ts'
import { refuse } from './lexer.ts'
import { scanNames } from './scan.ts'
import type {
  Assignment,
  ChangeAction,
  Expression,
  Name,
  OpaqueName,
  Path,
  Query,
  TempFunction,
  Tree,
} from './syntax.ts'
import { NAMESPACES } from './words.ts'
import { hintForStatement } from './hints.ts'

type Copy = Tree['copies'][number]
type TreeFeature = Tree['features'][number]
type When = { source: boolean; target: boolean; values: Expression[]; row?: boolean }

const SCRIPT = new Set(
  'BEGIN START DECLARE SET CALL EXECUTE IF LOOP WHILE REPEAT FOR CASE RAISE RETURN BREAK LEAVE CONTINUE ITERATE COMMIT ROLLBACK'.split(
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
  readonly #arrays: Path[] = []
  #isConnected = false

  constructor(grammar: Grammar) {
    this.#g = grammar
  }

  statement(): Tree {
    const g = this.#g
    if (g.peek().kind === 'end') g.stop(0, 'unparseable', 'the text holds no statement')
    try {
      return this.#whole()
    } catch (error) {
      const opaque = error instanceof Stop ? this.#opaque(error.refusal) : undefined
      if (opaque === undefined) throw error
      return opaque
    }
  }

  #whole(): Tree {
    const g = this.#g
    const functions: TempFunction[] = []
    while (isTempFunction(g)) {
      if (functions.length >= FUNCTIONS) g.stop(g.peek().start, 'too-large', `more than ${FUNCTIONS} functions`)
      functions.push(this.#tempFunction())
    }
    const tree = functions.length === 0 ? this.#one() : this.#queryBehind(functions)
    g.take(';')
    if (g.peek().kind === 'end') return tree
    return g.unexpected('the end of the statement')
  }

  /** BigQuery takes temporary functions with one query behind them for a query, not for a script. */
  #queryBehind(functions: readonly TempFunction[]): Tree {
    const g = this.#g
    const { start } = g.peek()
    if (!g.opensQuery()) g.unsupported('script', 'a script')
    const tree = this.#tree(start, 'SELECT', { does: { is: 'query', query: g.query(), exports: false }, functions })
    if (functions.every((f) => f.body !== undefined)) return tree
    return { ...tree, targets: [{ path: word('JAVASCRIPT'), actions: ['execute'], object: 'raw' }] }
  }

  /** `CREATE TEMP FUNCTION f(a INT64) RETURNS INT64 AS (a + 1);` */
  #tempFunction(): TempFunction {
    const g = this.#g
    const { start } = g.need('CREATE')
    g.next()
    g.need('FUNCTION')
    const name = g.name('the name of a function')
    // Masks are written with BigQuery's own functions, and types are known of them: none may be redefined.
    if (remarkOn(name.text.toUpperCase()) !== 'unknown-function') {
      g.stop(
        name.start,
        'unsupported-routine',
        `\`${name.text}\` is a function of BigQuery's own`,
        'give it another name',
      )
    }
    const parameters = this.#parameters()
    if (g.take('RETURNS')) g.type()
    const isCode = g.take('LANGUAGE')
    if (isCode) g.need('JS')
    if (isCode && g.take('OPTIONS')) this.#skipGroup()
    g.need('AS')
    const body = isCode ? this.#code() : this.#body()
    const end = g.need(';').start
    const inside = g.tokens.filter((token) => token.start >= start && token.end <= end)
    const pathAt = paths({ text: g.text, tokens: inside })
    const named = scanNames(inside.slice(3)).find((n) => n.role !== 'execute' || !isComputing(pathAt(n.start)))
    const [parameter] = inside.filter((token) => token.kind === 'parameter')
    const at = named?.start ?? parameter?.start
    if (at !== undefined)
      g.stop(at, 'unsupported-routine', 'a function that names a table, a routine or a parameter is not supported')
    return { name, parameters, ...(body !== undefined && { body }) }
  }

  #parameters(): Name[] {
    const g = this.#g
    const names: Name[] = []
    g.need('(')
    while (!g.is(')')) {
      names.push(g.name('the name of an argument'))
      if (!g.take('ANY', 'TYPE')) g.type()
      if (!g.is(')')) g.need(',')
    }
    g.need(')')
    return names
  }

  #body(): Expression {
    const g = this.#g
    g.need('(')
    const body = g.expression()
    g.need(')')
    return body
  }

  #code(): undefined {
    if (this.#g.peek().kind !== 'string') this.#g.unexpected('a string')
    this.#g.next()
  }

  /** A statement that is not read, with its kind and every name in it; `undefined` where it could be a query or DML. */
  #opaque(refusal: Refusal): Tree | undefined {
    const g = this.#g
    if (refusal.code === 'too-deep' || refusal.code === 'too-large') return undefined
    g.rewind()
    const { start } = g.peek()
    const kind = opaqueKind(g)
    if (kind === undefined) return undefined
    const pathAt = paths(g)
    const names = scanNames(g.tokens).flatMap(({ start: at, role }): OpaqueName[] => {
      const path = pathAt(at)
      return role === 'execute' && isComputing(path) ? [] : [{ path, action: role }]
    })
    // What names nothing is judged by its kind.
    const own = kind === 'SCRIPT' || kind === 'CREATE_CONSTANT' || names.length === 0
    const action: Action = kind === 'SCRIPT' ? 'execute' : 'administer'
    const targets: Tree['targets'] = own ? [{ path: word(kind), actions: [action], object: 'raw' }] : []
    const why = hasSeveral(g) ? severalStatements(g) : refusal
    return { start, kind, does: { is: 'opaque', names, refusal: why }, targets, copies: [], features: this.#features }
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
    if (word === 'GRANT' || word === 'REVOKE') return this.#grant(start, word)
    if (word === 'LOAD') return this.#load(start)
    if (word === 'UNDROP') return this.#undrop(start)
    if (word === 'ANALYZE') return this.#analyze(start)
    if (word === 'CLONE') return this.#clone(start)
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
        if (g.peek().kind === 'name') g.unsupported('statement', `\`${word}\` as a statement`, hintForStatement(word))
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
    g.insertOr()
    g.take('INTO')
    const targets = this.#target(g.path(), 'write')
    const columns = g.is('(') && !g.opensQuery() ? g.names() : []
    const kind = 'INSERT'
    if (!g.take('VALUES')) {
      if (g.is('(')) g.beyond.push('bracketed INSERT query')
      if (!g.opensQuery()) g.unexpected('`VALUES` or a query')
      const query = g.query()
      g.dmlTail()
      return this.#tree(start, kind, { targets, does: { is: 'insert', columns, query, values: [] } })
    }
    const values: Expression[] = []
    do values.push(...this.#row())
    while (g.take(','))
    g.dmlTail()
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
      if (g.is('(')) {
        set.push({ target: [], value: this.#nestedDml() })
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
  #nestedDml(): Expression {
    const g = this.#g
    const { start } = g.need('(')
    const verb = g.next().word
    g.never(start, 'update', 'a statement inside an `UPDATE`', 'write the whole array')
    if (!/^(INSERT|UPDATE|DELETE)$/.test(verb)) g.unexpected('`INSERT`, `UPDATE` or `DELETE`')
    if (verb === 'DELETE') g.take('FROM')
    if (verb === 'INSERT') g.take('INTO')
    this.#arrays.push(g.path())
    const operands: Expression[] = []
    if (verb === 'INSERT') {
      if (g.is('(') && !g.opensQuery()) g.names()
      if (g.take('VALUES')) {
        do operands.push(...this.#row())
        while (g.take(','))
      } else {
        const at = g.peek().start
        operands.push({ is: 'subquery', start: at, as: 'array', query: this.#query() })
      }
    } else {
      g.alias()
      if (g.take('WITH', 'OFFSET')) g.alias()
      if (verb === 'UPDATE') {
        g.need('SET')
        operands.push(...this.#assignments().map((assignment) => assignment.value))
      }
      operands.push(this.#where(verb))
    }
    g.dmlTail()
    g.need(')')
    return { is: 'operator', start, operator: 'DML', operands }
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
    g.dmlTail()
    return this.#tree(start, 'UPDATE', {
      targets,
      ...(this.#arrays.length > 0 && { arrays: this.#arrays }),
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
    g.dmlTail()
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
    if (g.take('ROW')) return { ...when, row: true }
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
    if (g.take('EXTERNAL', 'SCHEMA')) return this.#schema(start, 'CREATE_SCHEMA', actions)
    const snapshot = g.take('SNAPSHOT', 'TABLE')
    if (g.is('TABLE', 'FUNCTION')) return g.unsupported('statement', '`CREATE TABLE FUNCTION`')
    if (snapshot || g.take('TABLE')) return this.#createTable(start, snapshot, actions)
    if (g.take('EXTERNAL', 'TABLE')) return this.#external(start, actions)
    const materialized = g.take('MATERIALIZED')
    if (g.take('VIEW')) return this.#createView(start, materialized, actions)
    if (g.take('MODEL')) return this.#model(start, actions)
    if (g.is('FUNCTION') || g.is('AGGREGATE', 'FUNCTION')) return this.#function(start, actions)
    if (g.isAny('ROW', 'SEARCH', 'VECTOR', 'INDEX', 'UNIQUE', 'NULL_FILTERED')) return this.#about(start, 'CREATE')
    if (RESERVED_CAPACITY.has(g.peek().word)) return this.#raw(start, 'CREATE')
    return g.unsupported('statement', `\`CREATE ${g.peek().word}\``)
  }

  #external(start: number, actions: readonly ChangeAction[]): Tree {
    const g = this.#g
    g.take('IF', 'NOT', 'EXISTS')
    const targets = this.#target(g.path(), ...actions)
    this.#skipRest()
    return this.#tree(start, 'CREATE_EXTERNAL_TABLE', { targets })
  }

  /** `CREATE MODEL m OPTIONS (…) AS SELECT …` */
  #model(start: number, actions: readonly ChangeAction[]): Tree {
    const g = this.#g
    g.take('IF', 'NOT', 'EXISTS')
    const targets: Tree['targets'] = [{ path: g.path(), actions, object: 'unlisted' }]
    this.#skipRest(['AS'])
    if (this.#isConnected) g.beyond.push('DDL')
    if (!g.take('AS')) return this.#tree(start, 'CREATE_MODEL', { targets })
    // `AS (training_data AS (…), holidays AS (…))` is none.
    return this.#tree(start, 'CREATE_MODEL', { targets, does: { is: 'define', query: this.#query() } })
  }

  /** A function whose body is an expression or a text in another language. A body that names a table is not read. */
  #function(start: number, actions: readonly ChangeAction[]): Tree {
    const g = this.#g
    g.take('AGGREGATE')
    g.need('FUNCTION')
    g.take('IF', 'NOT', 'EXISTS')
    const path = g.path()
    this.#skipGroup()
    const inside = scanNames(g.tokens.slice(g.tokens.indexOf(g.peek())))
    const pathAt = paths(g)
    const named = inside.find(({ start: at, role }) => role !== 'execute' || !isComputing(pathAt(at)))
    if (named !== undefined)
      g.stop(named.start, 'unsupported-routine', 'a function that names a table or a routine is not supported')
    while (g.peek().kind !== 'end' && !g.is(';')) g.next()
    this.#g.beyond.push('DDL')
    return this.#tree(start, 'CREATE_FUNCTION', { targets: [{ path, actions, object: 'unlisted' }] })
  }

  /** Row access policies and indexes: the table that they are about. */
  #about(start: number, verb: string): Tree {
    const g = this.#g
    if (g.is('ROW', 'POLICY') || g.is('ALL', 'ROW', 'POLICIES')) return this.#rowPolicy(start, verb)
    if (g.isAny('INDEX', 'UNIQUE', 'NULL_FILTERED')) return this.#index(start, verb)
    const isPolicy = g.take('ROW', 'ACCESS', 'POLICY') || g.take('ALL', 'ROW', 'ACCESS', 'POLICIES')
    const what = isPolicy ? 'ROW_ACCESS_POLICY' : `${g.next().word}_INDEX`
    if (!isPolicy) g.need('INDEX')
    g.take('IF', 'NOT', 'EXISTS')
    g.take('IF', 'EXISTS')
    if (!g.is('ON')) g.name('a name')
    g.need('ON')
    const targets = this.#target(g.path(), isPolicy ? 'administer' : 'define')
    this.#skipRest()
    g.beyond.push('DDL')
    return this.#tree(start, `${verb}_${what}`, { targets })
  }

  /** ZetaSQL's own row policies; BigQuery's are `ROW ACCESS POLICY`. */
  #rowPolicy(start: number, verb: string): Tree {
    const g = this.#g
    g.never(g.peek().start, 'statement', '`ROW POLICY`', 'write `ROW ACCESS POLICY`')
    g.take('ALL')
    g.need('ROW')
    g.next()
    g.take('IF', 'NOT', 'EXISTS')
    g.take('IF', 'EXISTS')
    if (!g.is('ON')) g.name('a name')
    g.need('ON')
    const targets = this.#target(g.path(), 'administer')
    this.#skipRest()
    return this.#tree(start, `${verb}_ROW_POLICY`, { targets })
  }

  /** `CREATE INDEX i ON t (a) STORING (b)`: BigQuery has search and vector indexes only. */
  #index(start: number, verb: string): Tree {
    const g = this.#g
    g.never(g.peek().start, 'statement', '`INDEX`', 'BigQuery has `SEARCH INDEX` and `VECTOR INDEX`')
    g.take('UNIQUE')
    g.take('NULL_FILTERED')
    g.need('INDEX')
    g.take('IF', 'NOT', 'EXISTS')
    g.path()
    g.need('ON')
    const targets = this.#target(g.path(), 'define')
    g.inert(() => {
      while (g.peek().kind !== 'end' && !g.is(';')) g.next()
    })
    return this.#tree(start, `${verb}_INDEX`, { targets })
  }

  /** `ANALYZE OPTIONS (…) t (a, b), t2` */
  #analyze(start: number): Tree {
    const g = this.#g
    g.need('ANALYZE')
    g.never(start, 'statement', '`ANALYZE`')
    if (g.is('OPTIONS', '(')) {
      g.next()
      g.group()
    }
    const targets: Target[] = []
    if (g.peek().kind !== 'end' && !g.is(';')) {
      do {
        targets.push(...this.#target(g.path(), 'administer'))
        if (g.is('(')) g.group()
      } while (g.take(','))
    }
    if (targets.length === 0) targets.push({ path: word('ANALYZE'), actions: ['administer'], object: 'raw' })
    return this.#tree(start, 'ANALYZE', { targets })
  }

  /** `CLONE DATA INTO t FROM a WHERE … UNION ALL b` */
  #clone(start: number): Tree {
    const g = this.#g
    g.need('CLONE', 'DATA', 'INTO')
    g.never(start, 'statement', '`CLONE DATA`', 'use `INSERT`')
    const targets = this.#target(g.path(), 'write')
    g.need('FROM')
    const copies: Copy[] = []
    do {
      const path = g.path()
      const extra = g.take('FOR') ? [g.asOf()] : []
      if (g.take('WHERE')) extra.push(g.expression())
      copies.push({ path, extra })
    } while (g.take('UNION', 'ALL'))
    return this.#tree(start, 'CLONE_DATA', { targets, copies })
  }

  /** Reservations and the like: no data is named. */
  #raw(start: number, verb: string): Tree {
    const g = this.#g
    const what = g.next().word
    g.take('IF', 'NOT', 'EXISTS')
    g.take('IF', 'EXISTS')
    const named = /^(name|quoted)$/.test(g.peek().kind) && !g.is('SET') ? g.next().value : what
    this.#skipRest()
    g.beyond.push('DDL')
    return this.#tree(start, `${verb}_${what}`, {
      targets: [{ path: word(named), actions: ['administer'], object: 'raw' }],
    })
  }

  #grant(start: number, verb: string): Tree {
    const g = this.#g
    g.next()
    do g.next()
    while (g.take(','))
    g.need('ON')
    const isSchema = g.isAny('SCHEMA', 'DATASET')
    if (!g.isAny('TABLE', 'VIEW', 'SCHEMA', 'DATASET', 'EXTERNAL')) g.unexpected('`TABLE`, `VIEW` or `SCHEMA`')
    if (g.next().word === 'EXTERNAL') g.need('TABLE')
    const path = g.path()
    if (!g.take('TO')) g.need('FROM')
    do {
      if (g.peek().kind !== 'string') g.unexpected('a string')
      g.next()
    } while (g.take(','))
    return this.#tree(start, verb, { targets: [{ path, actions: ['administer'], ...(isSchema && { dataset: true }) }] })
  }

  /** `LOAD DATA INTO t (…) FROM FILES (…)` */
  #load(start: number): Tree {
    const g = this.#g
    g.need('LOAD', 'DATA')
    const overwrites = g.take('OVERWRITE')
    if (!overwrites) g.need('INTO')
    if (g.isAny('TEMP', 'TEMPORARY')) g.unsupported('statement', 'a temporary table')
    const targets = [{ path: g.path(), actions: overwrites ? (['write', 'delete'] as const) : (['write'] as const) }]
    this.#skipRest(['FROM'])
    g.need('FROM', 'FILES')
    this.#skipGroup()
    while (g.take('WITH')) this.#skipPart()
    g.beyond.push('DDL')
    return this.#tree(start, 'LOAD_DATA', { targets: targets.map((t) => ({ ...t, object: 'unlisted' as const })) })
  }

  /** `PARTITION COLUMNS (…)`, `CONNECTION c` */
  #skipPart(): void {
    const g = this.#g
    if (g.take('CONNECTION')) return void g.path()
    g.need('PARTITION', 'COLUMNS')
    if (g.is('(')) this.#skipGroup()
  }

  #undrop(start: number): Tree {
    const g = this.#g
    g.need('UNDROP', 'SCHEMA')
    g.beyond.push('DDL')
    return this.#schema(start, 'UNDROP_SCHEMA', ['define'])
  }

  #createTable(start: number, snapshot: boolean, actions: readonly ChangeAction[]): Tree {
    const g = this.#g
    g.take('IF', 'NOT', 'EXISTS')
    const targets = [...this.#target(g.path(), ...actions)]
    const copies: Copy[] = []
    if (g.isAny('LIKE', 'COPY', 'CLONE')) {
      g.next()
      const path = g.path()
      const extra = g.take('FOR') ? [g.asOf()] : []
      copies.push({ path, extra })
    }
    if (snapshot && copies.length === 0) g.unexpected('`CLONE`')
    targets.push(...this.#skipRest(['AS']))
    if (this.#isConnected) g.beyond.push('DDL')
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
    if (g.isAny('ROW', 'ALL', 'SEARCH', 'VECTOR')) return this.#about(start, 'DROP')
    if (RESERVED_CAPACITY.has(g.peek().word)) return this.#raw(start, 'DROP')
    const routine = ROUTINES.find((kind) => g.is(...kind.split(' ')))
    if (routine !== undefined) return this.#routine(start, 'DROP', routine, 'delete')
    const what = this.#what(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SNAPSHOT TABLE', 'EXTERNAL TABLE', 'SCHEMA'])
    const kind = `DROP_${what.replace(' ', '_')}`
    if (what === 'SCHEMA') return this.#schema(start, kind, ['delete'])
    if (what === 'SNAPSHOT TABLE') g.beyond.push('DDL')
    g.take('IF', 'EXISTS')
    return this.#tree(start, kind, { targets: this.#target(g.path(), 'delete') })
  }

  #alter(start: number): Tree {
    const g = this.#g
    g.need('ALTER')
    if (g.isAny('PROJECT', 'ORGANIZATION') || RESERVED_CAPACITY.has(g.peek().word)) return this.#raw(start, 'ALTER')
    if (g.isAny('VECTOR', 'SEARCH')) return this.#about(start, 'ALTER')
    const routine = ROUTINES.find((kind) => g.is(...kind.split(' ')))
    if (routine !== undefined) return this.#routine(start, 'ALTER', routine, 'define')
    const what = this.#what(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SCHEMA'])
    const kind = `ALTER_${what.replace(' ', '_')}`
    if (what === 'SCHEMA') return this.#schema(start, kind, ['define'])
    g.take('IF', 'EXISTS')
    const path = g.path()
    const targets: Target[] = [{ path, actions: ['define'] }]
    if (g.take('RENAME', 'TO')) {
      // The new name takes the old one's place in its dataset.
      const { start: at, end, names } = g.path()
      if (names.length !== 1) g.stop(at, 'unparseable', 'a new name without its dataset is expected here')
      targets.push({
        path: { start: at, end, names: [...path.names.slice(0, -1), ...names] },
        actions: ['define'],
        derived: true,
      })
      return this.#tree(start, kind, { targets })
    }
    targets.push(...this.#skipRest())
    return this.#tree(start, kind, { targets })
  }

  /** Functions, procedures, models: no tables, so not looked up. */
  #routine(start: number, verb: string, what: string, action: ChangeAction): Tree {
    const g = this.#g
    g.need(...what.split(' '))
    g.take('IF', 'EXISTS')
    const path = g.path()
    this.#skipRest()
    g.beyond.push('DDL')
    const targets: Tree['targets'] = [{ path, actions: [action], object: 'unlisted' }]
    return this.#tree(start, `${verb}_${what.replace(' ', '_')}`, { targets })
  }

  #what(kinds: readonly string[]): string {
    const found = kinds.find((kind) => this.#g.take(...kind.split(' ')))
    return found ?? this.#g.unsupported('statement', `\`${this.#g.peek().word}\` here`)
  }

  #export(start: number): Tree {
    const g = this.#g
    g.need('EXPORT')
    if (g.take('MODEL')) {
      const targets: Tree['targets'] = [{ path: g.path(), actions: ['export'], object: 'unlisted' }]
      this.#skipRest()
      g.beyond.push('DDL')
      return this.#tree(start, 'EXPORT_MODEL', { targets })
    }
    if (!g.take('DATA')) g.unsupported('statement', '`EXPORT` of anything but data')
    if (g.take('WITH', 'CONNECTION')) g.path()
    g.need('OPTIONS')
    this.#skipGroup()
    g.need('AS')
    return this.#tree(start, 'EXPORT_DATA', { does: { is: 'query', query: this.#query(), exports: true } })
  }

  /** Column lists, options, partitioning: no query may hide in them. Answers with the tables that foreign keys name. */
  #skipRest(until: readonly string[] = []): Target[] {
    const g = this.#g
    const mentioned: Target[] = []
    while (g.peek().kind !== 'end' && !g.is(';') && !g.isAny(...until)) {
      if (g.is('(')) mentioned.push(...this.#skipGroup())
      else mentioned.push(...this.#skipOne())
    }
    return mentioned
  }

  #skipGroup(): Target[] {
    const g = this.#g
    const mentioned: Target[] = []
    g.need('(')
    for (let depth = 1; depth > 0;) {
      if (g.peek().kind === 'end') g.unexpected('`)`')
      if (g.is('(')) depth++
      if (g.is(')')) depth--
      mentioned.push(...this.#skipOne())
    }
    return mentioned
  }

  #skipOne(): Target[] {
    const g = this.#g
    if (g.take('REFERENCES')) return [{ path: g.path(), actions: ['read'], object: 'unlisted' }]
    if (g.take('WITH', 'CONNECTION')) {
      if (!g.take('DEFAULT')) g.path()
      this.#isConnected = true
      return []
    }
    if (g.take('WITH', 'PARTITION', 'COLUMNS')) return []
    if (g.is('CHECK', '(')) g.never(g.peek().start, 'clause', 'a `CHECK` constraint')
    if (SUSPECT.has(g.peek().word)) g.unsupported('clause', `\`${g.peek().word}\` in this place`)
    // A new name for a table, another default, a remote service: names that we do not follow.
    if (g.is('RENAME', 'TO') || g.is('REPLICA')) g.unsupported('clause', `\`${g.peek().word}\``)
    // A call by a dotted name is code.
    if (g.is('.') && g.peek(2).word === '(') g.unsupported('clause', 'a call by a dotted name in this place')
    g.next()
    return []
  }
}

type Target = Tree['targets'][number]

const RESERVED_CAPACITY = new Set(['CAPACITY', 'RESERVATION', 'ASSIGNMENT'])
const ROUTINES = ['TABLE FUNCTION', 'FUNCTION', 'PROCEDURE', 'MODEL']

function isTempFunction(g: Grammar): boolean {
  return g.is('CREATE', 'TEMP', 'FUNCTION') || g.is('CREATE', 'TEMPORARY', 'FUNCTION')
}

function severalStatements({ text, tokens }: Grammar): Refusal {
  const at = tokens.find((token) => token.word === ';')?.end ?? 0
  const message = 'several statements in one text are not supported'
  return refuse(text, at, 'unsupported-script', message, 'send one statement at a time')
}

function hasSeveral({ tokens }: Grammar): boolean {
  return tokens.some((token, i) => token.word === ';' && tokens[i + 1]?.kind !== 'end')
}

/** BigQuery's name for the kind, by the first words; `undefined` for what is no DDL and no script. */
function opaqueKind(g: Grammar): string | undefined {
  const { word: verb } = g.peek()
  if (hasSeveral(g)) return 'SCRIPT'
  if (verb === 'CALL') return 'CALL'
  if (SCRIPT.has(verb)) return 'SCRIPT'
  if (verb === 'GRANT' || verb === 'REVOKE' || verb === 'ASSERT') return verb
  if (verb === 'LOAD') return 'LOAD_DATA'
  if (verb === 'EXPORT') return g.peek(1).word === 'MODEL' ? 'EXPORT_MODEL' : 'EXPORT_DATA'
  if (!/^(CREATE|ALTER|DROP|UNDROP)$/.test(verb)) return undefined
  g.next()
  g.take('OR', 'REPLACE')
  if (!g.take('TEMP')) g.take('TEMPORARY')
  g.take('AGGREGATE')
  const what = OBJECTS.find((words) => g.take(...words.split(' ')))
  if (what === undefined) return undefined
  return `${verb}_${what.replaceAll(' ', '_')}`
}

const OBJECTS = [
  'SCHEMA',
  'EXTERNAL SCHEMA',
  'SNAPSHOT TABLE',
  'EXTERNAL TABLE',
  'TABLE FUNCTION',
  'TABLE',
  'MATERIALIZED VIEW',
  'VIEW',
  'FUNCTION',
  'PROCEDURE',
  'MODEL',
  'ROW ACCESS POLICY',
  'SEARCH INDEX',
  'VECTOR INDEX',
  'CAPACITY',
  'RESERVATION',
  'ASSIGNMENT',
  'PROJECT',
  'ORGANIZATION',
  'CONNECTION',
  'ROW POLICY',
  'INDEX',
  'CONSTANT',
  'SEQUENCE',
]

/** More than any path has. */
const PATH_TOKENS = 60
/** Temporary functions before one query. */
const FUNCTIONS = 100

/** Reads the path that begins at an offset. */
function paths({ text, tokens }: Pick<Grammar, 'text' | 'tokens'>): (at: number) => Path {
  const index = new Map(tokens.map((token, i) => [token.start, i]))
  return (at) => {
    const from = index.get(at) ?? 0
    return new Grammar(text, tokens.slice(from, from + PATH_TOKENS)).path()
  }
}

/** `NET.HOST(…)`: a built-in function that computes and no more. */
function isComputing({ names }: Path): boolean {
  const [first] = names
  return first !== undefined && (NAMESPACES.has(first.text.toUpperCase()) || first.text.toUpperCase() === 'SAFE')
}

/** A word in the place of a path. */
function word(text: string): Path {
  const name: Name = { text, quoted: true, start: 0, end: 0 }
  return { start: 0, end: 0, names: [name] }
}

function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V })
}
