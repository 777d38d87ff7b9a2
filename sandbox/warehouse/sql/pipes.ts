/**
 * Pipe operators. Each makes the query before it the only table of the next one. Aliases of tables reach as far as a
 * WHERE; past another operator they are unknown, which refuses what BigQuery would run but never answers it wrongly.
 */
import { invalidQuery, unsupported } from '../errors.ts'
import { emptyScope } from './from.ts'
import { quote, type Item, type Scope } from './reader.ts'
import { Sets } from './sets.ts'

export abstract class Pipes extends Sets {
  protected abstract item(): Item
  protected abstract items(items: readonly Item[]): string

  /** The operators behind a FROM; the query that they come to. */
  protected pipes(scope: Scope, commas = false): string {
    let at = scope
    let wheres: string[] = []
    let last = ''
    let isList = commas
    const withs: string[] = []
    const all = (): string =>
      this.within(at, () => `SELECT ${this.items([{ star: { except: [], replace: [] } }])}${from()}`)
    const done = (sql: string): string =>
      withs.length === 0 ? sql : `SELECT * FROM (WITH ${withs.join(', ')} ${sql}) AS _p${this.unique++}`
    const from = (): string => ` FROM ${at.from}${wheres.length === 0 ? '' : ` WHERE ${wheres.join(' AND ')}`}`
    while (this.mark('|>')) {
      if (this.word('WHERE')) {
        wheres.push(this.within(at, () => this.expression().sql))
        last = ''
        continue
      }
      if (this.isWord('TABLESAMPLE')) {
        this.sample(at.sources.length === 1 && wheres.length === 0 ? at.sources[0] : undefined)
        last = ''
        continue
      }
      if (this.word('WITH')) {
        withs.push(...this.list(() => this.pipeWith(scope.parent)))
        continue
      }
      if (this.opensJoin()) {
        // JOIN binds tighter than a comma, and a WHERE before it is not one behind it.
        if (isList || wheres.length > 0) at = this.single(all(), scope.parent)
        isList = false
        wheres = []
        const left = at
        left.columns = this.within(left, () => this.joinsBehind(left, left.columns, 1))
        last = ''
        continue
      }
      last = this.within(at, () => this.pipe(at, from()))
      at = this.single(last, scope.parent, this.given)
      wheres = []
      isList = false
    }
    return done(last === '' ? all() : last)
  }

  protected opensJoin(): boolean {
    if (this.opensSetOperator()) return false
    return ['JOIN', 'INNER', 'LEFT', 'RIGHT', 'FULL', 'CROSS'].some((word) => this.isWord(word))
  }

  /** `a AS (…)`, for the operators behind it: earlier ones would see it too, so a name may not mean two things. */
  protected pipeWith(parent: Scope | undefined): string {
    if (this.isWord('RECURSIVE')) throw unsupported('A recursive WITH in a pipe', this.token)
    const token = this.token
    const name = this.name()
    if (this.ctes.some((names) => names.has(name.toLowerCase())))
      throw unsupported('A WITH in a pipe of a name that is taken', token)
    this.needWord('AS')
    const sql = `${quote(name)} AS (${this.inParens(() => this.around(parent, () => this.query()))})`
    this.ctes.push(new Set([name.toLowerCase()]))
    this.with.push(sql)
    return sql
  }

  /** In an outer query's place. */
  protected around<T>(scope: Scope | undefined, inner: () => T): T {
    const before = this.scope
    this.scope = scope
    try {
      return inner()
    } finally {
      this.scope = before
    }
  }

  /** The alias that the operator AS just gave. */
  protected given: string | undefined

  protected single(sql: string, parent: Scope | undefined, alias = `_p${this.unique++}`): Scope {
    const scope = emptyScope(parent)
    scope.columns = this.add(scope, `(${sql})`, alias)
    return scope
  }

  /** One operator over `FROM … WHERE …`. */
  protected pipe(scope: Scope, from: string): string {
    this.given = undefined
    const all: Item = { star: { except: [], replace: [] } }
    const whole = (): string => this.items([all])
    if (this.word('SELECT')) {
      const distinct = this.word('DISTINCT') ? 'DISTINCT ' : ''
      if (!distinct) this.word('ALL')
      return `SELECT ${distinct}${this.items(this.listed())}${from}`
    }
    // WINDOW is what EXTEND with window functions was called.
    if (this.word('EXTEND') || this.word('WINDOW')) {
      const items = this.listed()
      const columns = this.columnsOf(scope)
      for (const { expression, star } of items) {
        if (star !== undefined || expression?.name === undefined) throw unsupported('EXTEND without a name', this.token)
        this.free(columns, expression.name)
        columns.add(expression.name.toLowerCase())
      }
      return `SELECT ${whole()}, ${this.items(items)}${from}`
    }
    if (this.word('SET')) {
      const replace = this.list(() => {
        const name = this.name()
        this.need('=')
        return { name, sql: this.expression().sql }
      })
      return `SELECT ${this.items([{ star: { except: [], replace } }])}${from}`
    }
    if (this.word('DROP')) {
      return `SELECT ${this.items([{ star: { except: this.list(() => this.name()), replace: [] } }])}${from}`
    }
    if (this.word('RENAME')) return this.renaming(scope, from)
    if (this.word('AS')) {
      this.given = this.name()
      return `SELECT ${whole()}${from}`
    }
    if (this.word('DISTINCT')) return `SELECT DISTINCT ${whole()}${from}`
    if (this.isWords('ORDER', 'BY')) return `SELECT ${whole()}${from}${this.order()}`
    if (this.word('LIMIT')) {
      const limit = this.count()
      return `SELECT ${whole()}${from} LIMIT ${limit}${this.word('OFFSET') ? ` OFFSET ${this.count()}` : ''}`
    }
    if (this.word('AGGREGATE')) return this.aggregation(from)
    const operator = this.setOperator()
    if (operator !== undefined) {
      const input = `SELECT ${whole()}${from}`
      return this.around(scope.parent, () =>
        this.list(() => `(${this.inParens(() => this.query())})`).reduce(
          (left, right) => this.combined(left, operator, right),
          input,
        ),
      )
    }
    if (this.isWord('PIVOT') || this.isWord('UNPIVOT')) {
      // Its own aliases are in sight where nothing stands between.
      const own = from === ` FROM ${scope.from}` && scope.sources.length === 1
      const { sql, alias } = this.pivoted(own ? scope : this.single(`SELECT ${whole()}${from}`, scope.parent))
      this.given = alias
      return sql
    }
    throw unsupported(`The pipe operator ${this.token.text.toUpperCase()}`, this.token)
  }

  protected listed(): Item[] {
    const items = [this.item()]
    while (this.mark(',') && !this.isMark('|>') && !this.isMark(')') && this.token.kind !== 'end')
      items.push(this.item())
    return items
  }

  protected columnsOf(scope: Scope): Set<string> {
    return new Set(scope.columns().map(({ name }) => name.toLowerCase()))
  }

  protected free(columns: ReadonlySet<string>, name: string): void {
    if (columns.has(name.toLowerCase()))
      throw invalidQuery(`Duplicate column names in the result are not supported. Found duplicate(s): ${name}`)
  }

  protected renaming(scope: Scope, from: string): string {
    const columns = this.columnsOf(scope)
    const renamed = new Map<string, string>()
    this.list(() => {
      const old = this.name()
      this.word('AS')
      const name = this.name()
      if (!columns.delete(old.toLowerCase())) throw invalidQuery(`Column ${old} not found in the input table`)
      renamed.set(old.toLowerCase(), name)
    })
    for (const name of renamed.values()) {
      this.free(columns, name)
      columns.add(name.toLowerCase())
    }
    const list = scope.columns().map(({ name, sql }) => ({
      expression: { sql, name: renamed.get(name.toLowerCase()) ?? name },
    }))
    return `SELECT ${this.items(list)}${from}`
  }

  /** `AGGREGATE SUM(a) AS s GROUP BY b AS c`: the groups' columns come first. */
  protected aggregation(from: string): string {
    const items = this.isWord('GROUP') ? [] : this.listed()
    const groups = this.word('GROUP', 'BY') ? this.list(() => this.item()) : []
    for (const { star } of [...items, ...groups])
      if (star !== undefined) throw unsupported('* in AGGREGATE', this.token)
    if (this.isWord('GROUP') || this.isWord('ASC') || this.isWord('DESC'))
      throw unsupported('An order in AGGREGATE', this.token)
    // Positions, for a group that is a literal would else be one.
    const by = groups.map((_, at) => at + 1).join(', ')
    return `SELECT ${this.items([...groups, ...items])}${from}${by === '' ? '' : ` GROUP BY ${by}`}`
  }
}
