/** FROM: tables, joins, arrays, subqueries, wildcards, and which names they give. */
import { invalidQuery, notFound, unsupported } from '../errors.ts'
import { fieldsOf, informationSchema, PROJECT, structFields, type Relation } from './catalog.ts'
import { type Token } from './lexer.ts'
import { Routines } from './routines.ts'
import { quote, same, tableName, text, type Named, type Reference, type Scope, type Source } from './reader.ts'

export function emptyScope(parent: Scope | undefined): Scope {
  return { parent, aliases: new Set(), implicit: new Map(), sources: [], from: '', columns: () => [] }
}

/** More JOINs in one FROM are refused at the next word. */
const MAX_JOINS = 1_000

/** The columns of two tables side by side. */
function beside(left: Scope['columns'], right: Scope['columns']): Scope['columns'] {
  return () => [...left(), ...right()]
}

/** The columns of JOIN … USING: the named ones once and first, then the others of the left, then of the right. */
function merged(
  left: Scope['columns'],
  right: Scope['columns'],
  names: readonly string[],
  kind: string,
): Scope['columns'] {
  return () => {
    const all = [left(), right()] as const
    const shared = names.map((name) => {
      const [of, to] = all.map((columns, at) => {
        const found = columns.filter((column) => same(column.name, name))
        if (found.length === 1) return found[0]?.sql ?? ''
        const side = at === 0 ? 'left' : 'right'
        throw invalidQuery(
          `Column ${name} in USING clause ${found.length === 0 ? 'not found' : 'is ambiguous'} on ${side} side of join`,
        )
      }) as [string, string]
      return { name, sql: kind === 'RIGHT' ? to : kind === 'FULL' ? `coalesce(${of}, ${to})` : of }
    })
    const others = all.flat().filter((column) => !names.some((name) => same(name, column.name)))
    return [...shared, ...others]
  }
}

const INGESTED = (table: string): string => `(SELECT *, CAST(_PARTITIONTIME AS DATE) AS _PARTITIONDATE FROM ${table})`

interface Related {
  readonly sql: string
  readonly name: string
  /** Columns that `*` leaves out. */
  readonly hidden: readonly string[]
  /** A table of the warehouse itself: no view, no wildcard, no WITH. */
  readonly table?: Reference
}

export abstract class From extends Routines {
  protected abstract opensSetOperator(): boolean
  protected abstract pivoted(scope: Scope): { sql: string; alias: string | undefined }

  protected newScope(): Scope {
    return emptyScope(this.scope)
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

  /** Reads what stands behind FROM into the scope; true where commas join it. */
  protected fromList(scope: Scope): boolean {
    return this.within(scope, () => {
      let commas = false
      let columns = this.joins(scope)
      while (this.mark(',')) {
        commas = true
        scope.from += ', '
        columns = beside(columns, this.joins(scope))
      }
      scope.columns = columns
      return commas
    })
  }

  protected joins(scope: Scope): Scope['columns'] {
    return this.joinsBehind(scope, this.fromItem(scope))
  }

  /** JOINs behind what a scope has already, at most so many. */
  protected joinsBehind(scope: Scope, behind: Scope['columns'], most = MAX_JOINS): Scope['columns'] {
    let columns = behind
    for (let count = 0; count < most; count++) {
      if (this.word('CROSS', 'JOIN')) {
        scope.from += ' CROSS JOIN '
        columns = beside(columns, this.fromItem(scope))
        continue
      }
      if (this.opensSetOperator()) return columns
      const kind = this.word('INNER') ? 'INNER' : (['LEFT', 'RIGHT', 'FULL'].find((word) => this.word(word)) ?? '')
      if (kind !== '' && kind !== 'INNER') this.word('OUTER')
      if (!this.word('JOIN')) {
        if (kind !== '') throw this.unexpected('Expected keyword JOIN')
        return columns
      }
      const before = scope.from
      scope.from += ', '
      const start = scope.from.length
      const right = this.fromItem(scope)
      const joined = scope.from.slice(start)
      scope.from = `${before} ${kind} JOIN ${joined}`
      if (this.isWord('USING')) {
        this.at++
        const names = this.inParens(() => this.list(() => this.name()))
        scope.from += ` USING (${names.map(quote).join(', ')})`
        columns = merged(columns, right, names, kind)
        continue
      }
      columns = beside(columns, right)
      if (this.word('ON')) scope.from += ` ON ${this.expression().sql}`
      else if (joined.startsWith('unnest(')) scope.from += ' ON TRUE'
      else throw this.unexpected('Expected keyword ON or keyword USING')
    }
    return columns
  }

  protected fromItem(scope: Scope): Scope['columns'] {
    const before = scope.sources.length
    const start = scope.from.length
    let columns = this.deeper(() => this.fromItemInner(scope))
    if (this.isWord('MATCH_RECOGNIZE')) throw unsupported('MATCH_RECOGNIZE', this.token)
    if (this.isWord('PIVOT') || this.isWord('UNPIVOT')) {
      const sources = scope.sources.splice(before)
      const aliases = sources.map((source) => source.alias.toLowerCase())
      for (const alias of aliases) scope.aliases.delete(alias)
      const own = { ...emptyScope(scope.parent), from: scope.from.slice(start), aliases: new Set(aliases) }
      const { sql, alias } = this.pivoted({ ...own, sources, columns })
      scope.from = scope.from.slice(0, start)
      columns = this.add(scope, `(${sql})`, alias ?? `_t${this.unique++}`)
    }
    const made = scope.sources.length - before === 1 ? scope.sources.at(-1) : undefined
    if (this.isWord('TABLESAMPLE')) this.sample(made)
    if (this.isWord('FOR')) throw unsupported('FOR SYSTEM_TIME AS OF anything but a table', this.token)
    return columns
  }

  /**
   * `TABLESAMPLE SYSTEM (n PERCENT)`. BigQuery samples blocks of about a gigabyte and says that a smaller table is read
   * whole; all tables here are smaller.
   */
  protected sample(source: Source | undefined): void {
    const token = this.token
    this.needWord('TABLESAMPLE')
    if (source?.table !== true) throw unsupported('TABLESAMPLE of anything but a table', token)
    if (!this.word('SYSTEM')) throw unsupported('TABLESAMPLE other than SYSTEM', token)
    this.inParens(() => {
      const amount = this.primary().literal
      const percent = amount === undefined || amount.trim() === '' ? Number.NaN : Number(amount)
      if (!(percent >= 0 && percent <= 100))
        throw invalidQuery('TABLESAMPLE percent value must be in the range [0, 100]', token)
      if (percent === 0) throw unsupported('TABLESAMPLE of 0 PERCENT', token)
      this.needWord('PERCENT')
    })
  }

  /** `FOR SYSTEM_TIME AS OF …` behind a table: nothing older than its last change is known. */
  protected asOf(reference: Reference): string {
    const token = this.token
    this.needWord('FOR')
    if (!this.word('SYSTEM_TIME')) this.needWord('SYSTEM', 'TIME')
    this.needWord('AS', 'OF')
    const start = this.at
    const written = this.token.kind === 'string'
    const { sql } = this.within({ ...emptyScope(this.scope), closed: true }, () => this.expression())
    const inside = this.tokens.slice(start, this.at)
    if (inside.some((one) => one.kind === 'name' && (/^(SELECT|RAND)$/i.test(one.text) || this.isRoutine(one.text))))
      throw unsupported('FOR SYSTEM_TIME AS OF an expression that is not constant', token)
    // A text that is written out is read as a TIMESTAMP, as elsewhere.
    const isTime = this.typeOf(sql, undefined) === 'TIMESTAMP WITH TIME ZONE' || (written && this.at === start + 1)
    if (!isTime) throw invalidQuery('FOR SYSTEM_TIME AS OF expression must be of type TIMESTAMP', token)
    const millis = this.valueOf(`epoch_ms(CAST(${sql} AS TIMESTAMPTZ))`)
    const table = `${PROJECT}:${reference.dataset}.${reference.table}`
    if (millis === '') throw invalidQuery('FOR SYSTEM_TIME AS OF expression evaluates to NULL', token)
    const since = this.context.unchangedSince(reference)
    if (Number(millis) < since)
      throw invalidQuery(`Invalid snapshot time ${millis} for table ${table}@${millis}. Cannot read before ${since}`)
    if (Number(millis) > Date.now())
      throw invalidQuery(`Invalid snapshot time ${millis} for table ${table}@${millis}. Cannot read from the future`)
    return millis
  }

  protected fromItemInner(scope: Scope): Scope['columns'] {
    if (this.word('UNNEST')) {
      const array = this.inParens(() => this.expression())
      return this.unnest(scope, array.sql, this.alias())
    }
    if (this.isMark('(')) {
      const inner = this.peek(1)
      if (/^(select|with|from)$/i.test(inner.text) && inner.kind === 'name') {
        // A subquery does not see its neighbours.
        const before = this.scope
        this.scope = scope.parent
        const sql = this.inParens(() => this.query())
        this.scope = before
        return this.add(scope, `(${sql})`, this.alias() ?? `_t${this.unique++}`)
      }
      const before = scope.from
      scope.from = ''
      this.need('(')
      const columns = this.joins(scope)
      this.need(')')
      scope.from = `${before}(${scope.from})`
      return columns
    }
    const start = this.token
    if (this.isWord('LATERAL')) throw this.unexpected()
    const path = this.path()
    if (this.isMark('(')) throw unsupported('A table function', start)
    if (this.isArrayPath(path)) {
      return this.unnest(scope, this.column(path).sql, this.alias() ?? path.at(-1))
    }
    const alias = this.alias()
    const found = this.relation(path, start)
    if (found.table !== undefined) {
      const moment = this.isWord('FOR') ? this.asOf(found.table) : 'now'
      const key = `${found.table.dataset}.${found.table.table}`
      if ((this.moments.get(key) ?? moment) !== moment)
        throw unsupported(`A statement that reads ${key} as of more than one time`, start)
      this.moments.set(key, moment)
    }
    return this.add(scope, found.sql, alias ?? found.name, found.hidden, found.table !== undefined)
  }

  /** As of when the statement reads a table: BigQuery knows one time for each. */
  protected readonly moments = new Map<string, string>()

  protected add(
    scope: Scope,
    sql: string,
    alias: string,
    hidden: readonly string[] = [],
    table = false,
  ): Scope['columns'] {
    if (scope.aliases.has(alias.toLowerCase()))
      throw invalidQuery(`Duplicate table alias ${alias} in the same FROM clause`, this.token)
    scope.aliases.add(alias.toLowerCase())
    scope.from += `${sql} AS ${quote(alias)}`
    const columns = (): Named[] =>
      this.rowOf(sql, scope.parent)
        .filter(({ name }) => !hidden.includes(name))
        .map(({ name, type }) => ({ name, type, sql: `${quote(alias)}.${quote(name)}` }))
    scope.sources.push({
      alias,
      plain: hidden.length === 0,
      hidden: hidden.length > 0,
      columns,
      ...(table && { table }),
    })
    return columns
  }

  /** The names of the columns of a table or a subquery as FROM would name it. */
  protected rowOf(sql: string, parent: Scope | undefined): { name: string; type: string }[] {
    // An alias that is no column: else the row's type would be the column's.
    const row = '_the_whole_row'
    const scope = { ...emptyScope(parent), from: `${sql} AS ${row}` }
    const type = this.typeOf(row, scope)
    if (structFields(type) === undefined) throw unsupported('* over this table', this.token)
    return fieldsOf(type)
  }

  protected isArrayPath(path: readonly string[]): boolean {
    const [first = ''] = path
    if (path.length < 2) return false
    for (let scope = this.scope; scope; scope = scope.parent) if (scope.aliases.has(first.toLowerCase())) return true
    return false
  }

  /** An array in FROM, after its alias: `[WITH OFFSET [AS o]]`. */
  protected unnest(scope: Scope, array: string, before: string | undefined): Scope['columns'] {
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
    const columns: Named[] =
      fields === undefined
        ? [{ name: value, sql: column }]
        : fields.map((field) => ({ name: field, sql: `${column}.${quote(field)}` }))
    for (const field of fields ?? []) {
      if (!scope.implicit.has(field.toLowerCase())) scope.implicit.set(field.toLowerCase(), `${column}.${quote(field)}`)
    }
    if (offset !== undefined) {
      const number = `(${quote(table)}.${quote(`_o${id}`)} - 1)`
      scope.implicit.set(offset.toLowerCase(), number)
      columns.push({ name: offset, sql: number })
    }
    scope.sources.push({ alias: value, plain: false, hidden: false, columns: () => columns })
    return () => columns
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
    // Which partition BigQuery would write is not known.
    if (found.ingested) throw unsupported('Writing a table that is partitioned by ingestion time')
    this.refer(target)
    return target
  }

  protected refer(reference: Reference): void {
    this.references.set(`${reference.dataset}.${reference.table}`, reference)
  }

  protected relation(path: readonly string[], at: Token): Related {
    const [first = ''] = path
    if (path.length === 1 && this.ctes.some((names) => names.has(first.toLowerCase()))) {
      return { sql: quote(first), name: first, hidden: [] }
    }
    const schemaAt = path.findIndex((part) => part.toUpperCase() === 'INFORMATION_SCHEMA')
    if (schemaAt >= 0) {
      const sql = informationSchema(this.context.catalog, path.slice(0, schemaAt), path.slice(schemaAt + 1))
      return { sql, name: path.at(-1) ?? '', hidden: [] }
    }
    const reference = this.qualified(path, at)
    const tables = this.context.catalog.get(reference.dataset)
    if (!tables) throw notFound('Dataset', `${PROJECT}:${reference.dataset}`)
    if (reference.table.endsWith('*')) return this.wildcard(reference, tables)
    const known = tables.get(reference.table)
    if (!known) throw notFound('Table', `${PROJECT}:${reference.dataset}.${reference.table}`)
    this.refer(reference)
    const sql = tableName(reference.dataset, reference.table)
    if (known.ingested)
      return {
        sql: INGESTED(sql),
        name: reference.table,
        hidden: ['_PARTITIONTIME', '_PARTITIONDATE'],
        table: reference,
      }
    return { sql, name: reference.table, hidden: [], ...(known.kind === 'table' && { table: reference }) }
  }

  protected wildcard(reference: Reference, tables: ReadonlyMap<string, Relation>): Related {
    const prefix = reference.table.slice(0, -1)
    const matching = [...tables.values()].filter((table) => table.kind === 'table' && table.name.startsWith(prefix))
    if (matching.length === 0)
      throw invalidQuery(`${PROJECT}:${reference.dataset}.${reference.table} does not match any table.`)
    const selects = matching.map((table) => {
      if (table.ingested) throw unsupported('A wildcard over a table that is partitioned by ingestion time')
      this.refer({ dataset: reference.dataset, table: table.name })
      return `SELECT *, ${text(table.name.slice(prefix.length))} AS _TABLE_SUFFIX FROM ${tableName(reference.dataset, table.name)}`
    })
    return { sql: `(${selects.join(' UNION ALL BY NAME ')})`, name: reference.table, hidden: ['_TABLE_SUFFIX'] }
  }
}
