/** FROM: tables, joins, arrays, subqueries, wildcards, and which names they give. */
import { invalidQuery, notFound, unsupported } from '../errors.ts'
import { informationSchema, PROJECT, structFields, type Relation } from './catalog.ts'
import { Expressions } from './expressions.ts'
import { type Token } from './lexer.ts'
import { quote, tableName, text, type Reference, type Scope } from './reader.ts'

export abstract class From extends Expressions {
  protected newScope(): Scope {
    return { parent: this.scope, aliases: new Set(), implicit: new Map(), sources: [], from: '', using: false }
  }

  protected within<T>(scope: Scope, inner: (scope: Scope) => T): T {
    const before = this.scope
    this.scope = scope
    try {
      return inner(scope)
    } finally {
      this.scope = before
    }
  }

  protected fromList(scope: Scope): void {
    this.within(scope, () => {
      this.joins(scope)
      while (this.mark(',')) {
        scope.from += ', '
        this.joins(scope)
      }
    })
  }

  protected joins(scope: Scope): void {
    this.fromItem(scope)
    for (;;) {
      if (this.word('CROSS', 'JOIN')) {
        scope.from += ' CROSS JOIN '
        this.fromItem(scope)
        continue
      }
      const kind = this.word('INNER') ? 'INNER' : (['LEFT', 'RIGHT', 'FULL'].find((word) => this.word(word)) ?? '')
      if (kind !== '' && kind !== 'INNER') this.word('OUTER')
      if (!this.word('JOIN')) {
        if (kind !== '') throw this.unexpected('Expected keyword JOIN')
        return
      }
      const before = scope.from
      scope.from += ', '
      const start = scope.from.length
      this.fromItem(scope)
      const joined = scope.from.slice(start)
      scope.from = `${before} ${kind} JOIN ${joined}`
      if (this.word('ON')) scope.from += ` ON ${this.expression().sql}`
      else if (this.word('USING')) {
        scope.using = true
        scope.from += ` USING (${this.inParens(() => this.list(() => quote(this.name()))).join(', ')})`
      } else if (joined.startsWith('unnest(')) scope.from += ' ON TRUE'
      else throw this.unexpected('Expected keyword ON or keyword USING')
    }
  }

  protected fromItem(scope: Scope): void {
    this.deeper(() => this.fromItemInner(scope))
    for (const word of ['PIVOT', 'UNPIVOT', 'TABLESAMPLE', 'MATCH_RECOGNIZE']) {
      if (this.isWord(word)) throw unsupported(word, this.token)
    }
    if (this.isWord('FOR')) throw unsupported('FOR SYSTEM_TIME AS OF', this.token)
  }

  protected fromItemInner(scope: Scope): void {
    if (this.word('UNNEST')) {
      const array = this.inParens(() => this.expression())
      this.unnest(scope, array.sql, this.alias())
      return
    }
    if (this.isMark('(')) {
      const inner = this.peek(1)
      if (/^(select|with|from)$/i.test(inner.text) && inner.kind === 'name') {
        // A subquery does not see its neighbours.
        const before = this.scope
        this.scope = scope.parent
        const sql = this.inParens(() => this.query())
        this.scope = before
        this.add(scope, `(${sql})`, this.alias() ?? `_t${this.unique++}`)
        return
      }
      const before = scope.from
      scope.from = ''
      this.need('(')
      this.joins(scope)
      this.need(')')
      scope.from = `${before}(${scope.from})`
      return
    }
    const start = this.token
    if (this.isWord('LATERAL')) throw this.unexpected()
    const path = this.path()
    if (this.isMark('(')) throw unsupported('A table function', start)
    if (this.isArrayPath(path)) {
      this.unnest(scope, this.column(path).sql, this.alias() ?? path.at(-1))
      return
    }
    const alias = this.alias()
    const found = this.relation(path, start)
    this.add(scope, found.sql, alias ?? found.name, found.hidden)
  }

  protected add(scope: Scope, sql: string, alias: string, hidden = false): void {
    if (scope.aliases.has(alias.toLowerCase()))
      throw invalidQuery(`Duplicate table alias ${alias} in the same FROM clause`, this.token)
    scope.aliases.add(alias.toLowerCase())
    scope.from += `${sql} AS ${quote(alias)}`
    const star = `${quote(alias)}.*`
    scope.sources.push({ alias, star: hidden ? `${star} EXCLUDE (_TABLE_SUFFIX)` : star, plain: !hidden })
  }

  protected isArrayPath(path: readonly string[]): boolean {
    const [first = ''] = path
    if (path.length < 2) return false
    for (let scope = this.scope; scope; scope = scope.parent) if (scope.aliases.has(first.toLowerCase())) return true
    return false
  }

  /** An array in FROM, after its alias: `[WITH OFFSET [AS o]]`. */
  protected unnest(scope: Scope, array: string, before: string | undefined): void {
    let offset: string | undefined
    if (this.word('WITH', 'OFFSET')) offset = this.alias() ?? 'offset'
    const id = this.unique++
    const value = before ?? `_v${id}`
    const table = `_u${id}`
    const type = this.typeOf(`unnest(${array})`, scope)
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

  protected dataset(parts: readonly string[]): string {
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
  protected qualified(parts: readonly string[], at?: Token): Reference {
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
    if (rest.length === 1 && this.context.defaultDataset !== undefined) rest = [this.context.defaultDataset, ...rest]
    const [dataset, table, ...more] = rest
    if (dataset === undefined || table === undefined || more.length > 0) {
      throw invalidQuery(
        `Table ${JSON.stringify(parts.join('.'))} must be qualified with a dataset (e.g. dataset.table).`,
        at,
      )
    }
    return { dataset, table }
  }

  protected target(): Reference {
    const parts = this.path()
    const reference = this.qualified(parts)
    if (!this.context.catalog.has(reference.dataset)) throw notFound('Dataset', `${PROJECT}:${reference.dataset}`)
    if (!/^[\p{L}\p{N}_-]{1,1024}$/u.test(reference.table))
      throw invalidQuery(`Invalid table ID ${JSON.stringify(reference.table)}`)
    return reference
  }

  /** A table that is there, for DML to write. */
  protected existing(kind: Relation['kind']): Reference {
    const target = this.target()
    const found = this.context.catalog.get(target.dataset)?.get(target.table)
    if (!found) throw notFound('Table', `${PROJECT}:${target.dataset}.${target.table}`)
    if (found.kind !== kind)
      throw invalidQuery(`${target.dataset}.${target.table} is a ${found.kind} and cannot be written`)
    this.refer(target)
    return target
  }

  protected refer(reference: Reference): void {
    this.references.set(`${reference.dataset}.${reference.table}`, reference)
  }

  protected relation(path: readonly string[], at: Token): { sql: string; name: string; hidden: boolean } {
    const [first = ''] = path
    if (path.length === 1 && this.ctes.some((names) => names.has(first.toLowerCase()))) {
      return { sql: quote(first), name: first, hidden: false }
    }
    const schemaAt = path.findIndex((part) => part.toUpperCase() === 'INFORMATION_SCHEMA')
    if (schemaAt >= 0) {
      const sql = informationSchema(this.context.catalog, path.slice(0, schemaAt), path.slice(schemaAt + 1))
      return { sql, name: path.at(-1) ?? '', hidden: false }
    }
    const reference = this.qualified(path, at)
    const tables = this.context.catalog.get(reference.dataset)
    if (!tables) throw notFound('Dataset', `${PROJECT}:${reference.dataset}`)
    if (reference.table.endsWith('*')) return this.wildcard(reference, tables)
    if (!tables.has(reference.table)) throw notFound('Table', `${PROJECT}:${reference.dataset}.${reference.table}`)
    this.refer(reference)
    return { sql: tableName(reference.dataset, reference.table), name: reference.table, hidden: false }
  }

  protected wildcard(
    reference: Reference,
    tables: ReadonlyMap<string, Relation>,
  ): { sql: string; name: string; hidden: boolean } {
    const prefix = reference.table.slice(0, -1)
    const matching = [...tables.values()].filter((table) => table.kind === 'table' && table.name.startsWith(prefix))
    if (matching.length === 0)
      throw invalidQuery(`${PROJECT}:${reference.dataset}.${reference.table} does not match any table.`)
    const selects = matching.map((table) => {
      this.refer({ dataset: reference.dataset, table: table.name })
      return `SELECT *, ${text(table.name.slice(prefix.length))} AS _TABLE_SUFFIX FROM ${tableName(reference.dataset, table.name)}`
    })
    return { sql: `(${selects.join(' UNION ALL BY NAME ')})`, name: reference.table, hidden: true }
  }
}
