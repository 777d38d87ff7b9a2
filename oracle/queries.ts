/**
 * Queries over `schema.ts` that mostly mean something, the same for the same seed: names in scope are known as a query is
 * written, so that columns are found through CTEs, stars, fields, arrays, rows and set operations.
 */
import { type SqlField, type SqlType, typeText } from '../src/exchange.ts'
import { type Mutant, randomness } from './mutate.ts'
import { TABLES, VIEWS } from './schema.ts'

/** What FROM puts in scope. */
interface Relation {
  readonly alias: string
  readonly columns: readonly SqlField[]
  /** The element of an array: a value, and a row only if it is a STRUCT. */
  readonly value?: SqlType
}

interface Query {
  readonly sql: string
  readonly columns: readonly SqlField[]
}

interface Expression {
  readonly sql: string
  readonly type: SqlType
}

type Cte = { readonly name: string; readonly columns: readonly SqlField[] }

const STRING: SqlType = { kind: 'STRING' }
const INT64: SqlType = { kind: 'INT64' }
const BOOL: SqlType = { kind: 'BOOL' }

/** Names that hide others. */
const ALIASES = 'a b c t u x customers orders shop hr address email id name salaries leads lines'.split(' ')

/** Queries without an end. */
export function* queries(seed: number): Generator<Mutant, never> {
  const writer = new Writer(randomness(seed))
  while (true) yield { sql: writer.statement(), by: ['written'] }
}

class Writer {
  readonly #random: () => number
  #fresh = 0

  constructor(random: () => number) {
    this.#random = random
  }

  statement(): string {
    this.#fresh = 0
    return this.#is(5) ? this.#change() : this.#query(3, [], []).sql
  }

  // ── DML ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #change(): string {
    const { sql, relation } = this.#target()
    switch (this.#upTo(4)) {
      case 0:
        return this.#insertion(sql, relation)
      case 1:
        return `DELETE ${sql} WHERE ${this.#condition([relation], 2, [])}`
      case 2: {
        const from = this.#is(2) ? this.#from(1, [], []) : undefined
        const scope = [relation, ...(from?.relations ?? [])]
        const text = from === undefined ? '' : ` FROM ${from.sql}`
        return `UPDATE ${sql} SET ${this.#assignment(relation, scope)}${text} WHERE ${this.#condition(scope, 2, [])}`
      }
      default:
        return this.#merging(sql, relation)
    }
  }

  #target(): { sql: string; relation: Relation } {
    const [name, columns] = this.#one(Object.entries(TABLES)) ?? ['shop.leads', []]
    if (this.#is(3)) return { sql: name, relation: { alias: name.split('.')[1] ?? name, columns } }
    return this.#aliased(name, columns)
  }

  #insertion(sql: string, { columns }: Relation): string {
    const path = sql.split(' ')[0] ?? sql
    const some = columns.filter(() => this.#is(2))
    const [first] = columns
    const into = some.length > 0 || first === undefined ? some : [first]
    const names = into.map(({ name }) => name).join(', ')
    if (this.#is(2)) {
      const values = into.map(({ type }) => this.#expression(type, [], 2, []).sql)
      return `INSERT ${path} (${names}) VALUES (${values.join(', ')})`
    }
    const { sql: from, relations } = this.#from(2, [], [])
    const values = into.map(({ type }) => this.#expression(type, relations, 2, []).sql)
    return `INSERT INTO ${path} (${names}) SELECT ${values.join(', ')} FROM ${from}`
  }

  #assignment({ columns, alias }: Relation, scope: readonly Relation[]): string {
    const [first] = columns
    const { name, type } = this.#one(columns) ?? first ?? { name: 'id', type: INT64 }
    return `${this.#is(2) ? `${alias}.` : ''}${name} = ${this.#expression(type, scope, 2, []).sql}`
  }

  #merging(sql: string, target: Relation): string {
    const source = this.#source(2, [], [], [])
    const both = [target, source.relation]
    const clauses: string[] = []
    for (let left = 1 + this.#upTo(2); left > 0; left--) {
      const and = (scope: readonly Relation[]): string => (this.#is(2) ? ` AND ${this.#condition(scope, 2, [])}` : '')
      const [column] = target.columns
      const value = this.#expression(column?.type ?? INT64, [source.relation], 2, []).sql
      clauses.push(
        this.#one([
          () => `WHEN MATCHED${and(both)} THEN DELETE`,
          () => `WHEN MATCHED${and(both)} THEN UPDATE SET ${this.#assignment(target, both)}`,
          () => `WHEN NOT MATCHED BY SOURCE${and([target])} THEN UPDATE SET ${this.#assignment(target, [target])}`,
          () => `WHEN NOT MATCHED${and([source.relation])} THEN INSERT (${column?.name}) VALUES (${value})`,
        ])?.() ?? '',
      )
    }
    return `MERGE ${sql} USING ${source.sql} ON ${this.#condition(both, 1, [])} ${clauses.join(' ')}`
  }

  #upTo(below: number): number {
    return Math.floor(this.#random() * below)
  }

  #one<T>(of: readonly T[]): T | undefined {
    return of[this.#upTo(of.length)]
  }

  #is(oneOf: number): boolean {
    return this.#upTo(oneOf) === 0
  }

  /** Mostly new, so that few queries are ambiguous. */
  #alias(): string {
    return this.#is(2) ? `v${this.#fresh++}` : (this.#one(ALIASES) ?? 'a')
  }

  // ── queries ────────────────────────────────────────────────────────────────────────────────────────────────────

  #query(depth: number, outer: readonly Relation[], ctes: readonly Cte[]): Query {
    if (depth > 1 && this.#is(5)) return this.#with(depth, outer, ctes)
    const query = this.#is(6) ? this.#operation(depth, outer, ctes) : this.#select(depth, outer, ctes)
    const order = this.#is(8) ? ` ORDER BY ${1 + this.#upTo(query.columns.length)}` : ''
    return { ...query, sql: query.sql + order + (this.#is(8) ? ' LIMIT 5' : '') }
  }

  #with(depth: number, outer: readonly Relation[], ctes: readonly Cte[]): Query {
    const made: Cte[] = []
    const texts: string[] = []
    const isRecursive = this.#is(5)
    for (let left = 1 + this.#upTo(2); left > 0; left--) {
      const name = this.#alias()
      if (made.some((cte) => cte.name === name)) continue
      const visible = [...ctes, ...made]
      const { sql, columns } = isRecursive
        ? this.#recursion(name, depth - 1, visible)
        : this.#query(depth - 1, outer, visible)
      texts.push(`${name} AS (${sql})`)
      made.push({ name, columns })
    }
    const visible = [...ctes, ...made]
    const body = this.#is(5) ? this.#operation(depth - 1, outer, visible) : this.#select(depth - 1, outer, visible)
    return { ...body, sql: `WITH ${isRecursive ? 'RECURSIVE ' : ''}${texts.join(', ')} ${body.sql}` }
  }

  #recursion(name: string, depth: number, ctes: readonly Cte[]): Query {
    const first = this.#select(depth, [], ctes)
    const relation: Relation = { alias: name, columns: first.columns }
    const next = first.columns.map(({ type }) => this.#expression(type, [relation], 1, ctes).sql)
    return { ...first, sql: `(${first.sql}) UNION ALL SELECT ${next.join(', ')} FROM ${name} WHERE FALSE` }
  }

  #operation(depth: number, outer: readonly Relation[], ctes: readonly Cte[]): Query {
    const first = this.#select(depth, outer, ctes)
    const { sql: from, relations } = this.#from(depth - 1, outer, ctes)
    const scope = [...relations, ...outer]
    const second = first.columns.map(({ type }) => this.#expression(type, scope, 1, ctes).sql)
    const how = this.#one(['UNION ALL', 'UNION ALL', 'UNION DISTINCT', 'EXCEPT DISTINCT', 'INTERSECT DISTINCT'])
    return { ...first, sql: `(${first.sql}) ${how} SELECT ${second.join(', ')} FROM ${from}` }
  }

  #select(depth: number, outer: readonly Relation[], ctes: readonly Cte[]): Query {
    const { sql: from, relations } = this.#from(depth, outer, ctes)
    const scope = [...relations, ...outer]
    if (this.#is(6)) return this.#grouped(from, scope, ctes)
    const items: string[] = []
    const columns: SqlField[] = []
    for (let left = 1 + this.#upTo(3); left > 0; left--) {
      const item = this.#is(3) ? this.#star(relations, scope, ctes) : this.#named(scope, depth, ctes)
      items.push(item.sql)
      columns.push(...item.columns)
    }
    const where = this.#is(3) ? ` WHERE ${this.#condition(scope, depth, ctes)}` : ''
    const value = this.#is(12) ? this.#expression(STRING, relations, 1, ctes).sql : ''
    const window = value === '' ? '' : ` QUALIFY ROW_NUMBER() OVER (ORDER BY ${value}) = 1`
    const distinct = this.#is(12) ? 'DISTINCT ' : ''
    return { sql: `SELECT ${distinct}${items.join(', ')} FROM ${from}${where}${window}`, columns }
  }

  #grouped(from: string, scope: readonly Relation[], ctes: readonly Cte[]): Query {
    const key = this.#expression(STRING, scope, 0, ctes)
    const value = this.#expression(STRING, scope, 0, ctes)
    const whole = this.#expression(INT64, scope, 0, ctes)
    const [made, type] = this.#one<readonly [string, SqlType]>([
      [`MAX(${value.sql})`, STRING],
      [`COUNT(DISTINCT ${value.sql})`, INT64],
      [`COUNTIF(${value.sql} = 'x')`, INT64],
      [`STRING_AGG(${value.sql} ORDER BY ${whole.sql})`, STRING],
      [`ARRAY_AGG(${value.sql} IGNORE NULLS LIMIT 3)[SAFE_OFFSET(0)]`, STRING],
      [`ARRAY_AGG(STRUCT(${value.sql} AS s, ${whole.sql} AS n) LIMIT 3)[OFFSET(0)].n`, INT64],
      [`ANY_VALUE(STRUCT(${value.sql} AS s, ${whole.sql} AS n)).s`, STRING],
      [`ANY_VALUE(${value.sql} HAVING MAX ${whole.sql})`, STRING],
      [`SUM(${whole.sql})`, INT64],
    ]) ?? ['COUNT(*)', INT64]
    const having = this.#is(4) ? ` HAVING MIN(${this.#expression(STRING, scope, 0, ctes).sql}) > 'a'` : ''
    const by = this.#one(['1', 'k', 'ROLLUP(1)', key.sql])
    const columns = [
      { name: 'k', type: STRING },
      { name: 'm', type },
    ]
    return { sql: `SELECT ${key.sql} AS k, ${made} AS m FROM ${from} GROUP BY ${by}${having}`, columns }
  }

  // ── items of SELECT ────────────────────────────────────────────────────────────────────────────────────────────

  #named(scope: readonly Relation[], depth: number, ctes: readonly Cte[]): Query {
    const some = this.#any(scope, depth, ctes)
    const word = /\.?(\w+)$/.exec(some.sql)?.[1]
    if (word !== undefined && this.#is(3)) return { sql: some.sql, columns: [{ name: word, type: some.type }] }
    const name = this.#is(3) ? (this.#one(ALIASES) ?? 'a') : `c${this.#fresh++}`
    return { sql: `${some.sql}${this.#is(2) ? ' AS' : ''} ${name}`, columns: [{ name, type: some.type }] }
  }

  #star(relations: readonly Relation[], scope: readonly Relation[], ctes: readonly Cte[]): Query {
    const relation = this.#one(relations)
    const rows = this.#paths(scope).filter(({ type }) => type.kind === 'STRUCT')
    const row = this.#is(3) ? this.#one(rows) : undefined
    const columns = row?.type.kind === 'STRUCT' ? row.type.fields : (relation?.columns ?? [])
    if (relations.length > 1 && this.#is(3)) return { sql: '*', columns: allOf(relations) }
    const all = row === undefined && relations.length === 1 && this.#is(2) ? '*' : `${row?.sql ?? relation?.alias}.*`
    const column = this.#one(columns)
    if (column === undefined || columns.length < 2 || this.#is(2)) return { sql: all, columns }
    if (this.#is(2)) return { sql: `${all} EXCEPT (${column.name})`, columns: columns.filter((c) => c !== column) }
    const other = this.#expression(column.type, scope, 1, ctes)
    return { sql: `${all} REPLACE (${other.sql} AS ${column.name})`, columns }
  }

  // ── FROM ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #from(depth: number, outer: readonly Relation[], ctes: readonly Cte[]): { sql: string; relations: Relation[] } {
    const first = this.#source(depth, outer, [], ctes)
    let { sql } = first
    const relations = [first.relation]
    for (let left = this.#upTo(3); left > 0; left--) {
      const next = this.#source(depth - 1, outer, relations, ctes)
      const isTaken = relations.some(({ alias }) => alias === next.relation.alias)
      if (isTaken) continue
      sql += this.#join(next.sql, relations, next.relation, ctes)
      relations.push(next.relation)
    }
    return {
      sql:
        relations.length > 1 && relations.every(({ value }) => value === undefined) && this.#is(8) ? `(${sql})` : sql,
      relations,
    }
  }

  #join(sql: string, left: readonly Relation[], right: Relation, ctes: readonly Cte[]): string {
    if (right.value !== undefined || this.#is(3)) return `${this.#is(5) ? ', ' : ' CROSS JOIN '}${sql}`
    const join = this.#one([' JOIN ', ' LEFT JOIN ', ' RIGHT JOIN ', ' FULL JOIN '])
    const names = left.length === 1 ? (left[0]?.columns ?? []).map(({ name }) => name) : []
    const shared = right.columns.filter(({ name, type }) => names.includes(name) && isGroupable(type))
    const using = this.#one(shared)
    if (using !== undefined && this.#is(2)) return `${join}${sql} USING (${using.name})`
    return `${join}${sql} ON ${this.#condition([...left, right], 0, ctes)}`
  }

  /** One item of FROM. */
  #source(
    depth: number,
    outer: readonly Relation[],
    left: readonly Relation[],
    ctes: readonly Cte[],
  ): { sql: string; relation: Relation } {
    const scope = [...left, ...outer]
    const arrays = this.#paths(scope).filter(({ type, sql }) => type.kind === 'ARRAY' && sql.includes('.'))
    if (arrays.length > 0 && this.#is(3)) {
      const array = this.#one(arrays)
      if (array?.type.kind === 'ARRAY') return this.#elements(array.sql, array.type.of, true)
    }
    if (depth > 0 && this.#is(4)) {
      const { sql, columns } = this.#query(depth - 1, outer, ctes)
      return this.#aliased(`(${sql})`, columns)
    }
    if (depth > 0 && this.#is(8)) return this.#array(scope, depth, ctes)
    if (depth > 0 && this.#is(10)) return this.#rows(depth, outer, ctes)
    const cte = this.#is(2) ? this.#one(ctes) : undefined
    if (cte !== undefined)
      return this.#is(2)
        ? this.#aliased(cte.name, cte.columns)
        : { sql: cte.name, relation: { alias: cte.name, columns: cte.columns } }
    return this.#table(ctes)
  }

  /** A subquery of rows: as STRUCT, as VALUE, or gathered and taken apart again. */
  #rows(depth: number, outer: readonly Relation[], ctes: readonly Cte[]): { sql: string; relation: Relation } {
    const { sql: from, relations } = this.#from(depth - 1, outer, ctes)
    const relation = this.#one(relations)
    const { alias = 'a', columns = [], value } = relation ?? {}
    if (value !== undefined && value.kind !== 'STRUCT')
      return this.#aliased(`(SELECT AS STRUCT ${alias} AS e FROM ${from})`, [{ name: 'e', type: value }])
    return this.#aliased(
      this.#one([
        `(SELECT AS VALUE ${alias} FROM ${from})`,
        `(SELECT AS STRUCT ${alias}.* FROM ${from})`,
        `(SELECT AS VALUE STRUCT(${columns.map(({ name }) => `${alias}.${name}`).join(', ')}) FROM ${from})`,
        `UNNEST((SELECT ARRAY_AGG(${alias}) FROM ${from}))`,
        `UNNEST([(SELECT AS STRUCT ${alias}.* FROM ${from} LIMIT 1)])`,
        `UNNEST(ARRAY(SELECT AS VALUE ${alias} FROM ${from}))`,
      ]) ?? from,
      columns,
    )
  }

  #table(ctes: readonly Cte[]): { sql: string; relation: Relation } {
    if (this.#is(8)) return this.#view()
    const [name, columns] = this.#one(Object.entries(TABLES)) ?? ['shop.leads', []]
    const isQuoted = this.#is(4)
    const short = name.startsWith('shop.') && this.#is(3) ? name.slice('shop.'.length) : name
    const sql = isQuoted ? `\`${short}\`` : short === name && this.#is(3) ? `own.${name}` : short
    // A CTE of that name stands before the table.
    const hidden = ctes.findLast((cte) => cte.name === short)
    if (hidden !== undefined) return this.#aliased(sql, hidden.columns)
    const strings = columns.filter(({ type }) => type.kind === 'STRING').map(({ name }) => name)
    const [a, b] = strings
    if (a !== undefined && b !== undefined && this.#is(10)) return this.#turned(sql, columns, a, b)
    // Without an alias, ZetaSQL calls a path in one pair of backticks by all of it, BigQuery by its last part.
    if (isQuoted || this.#is(2)) return this.#aliased(sql, columns)
    return { sql, relation: { alias: name.split('.')[1] ?? name, columns } }
  }

  #view(): { sql: string; relation: Relation } {
    const [name, { columns }] = this.#one(Object.entries(VIEWS)) ?? ['v_pay', { columns: [] }]
    const sql = this.#one([name, `shop.${name}`, `own.shop.${name}`]) ?? name
    return this.#is(2) ? this.#aliased(sql, columns) : { sql, relation: { alias: name, columns } }
  }

  /** PIVOT or UNPIVOT of two columns. */
  #turned(sql: string, columns: readonly SqlField[], a: string, b: string): { sql: string; relation: Relation } {
    const rest = columns.filter(({ name }) => name !== a && name !== b)
    if (this.#is(2)) {
      const added = [
        { name: 'val', type: STRING },
        { name: 'key', type: STRING },
      ]
      return this.#aliased(`${sql} UNPIVOT (val FOR key IN (${a}, ${b} AS 'two'))`, [...rest, ...added])
    }
    const added = ['p1', 'p2'].map((name) => ({ name, type: STRING }))
    const simple = rest.filter(({ type }) => isGroupable(type))
    const inner = `(SELECT ${[...simple.map(({ name }) => name), a, b].join(', ')} FROM ${sql})`
    return this.#aliased(`${inner} PIVOT (MAX(${a}) FOR ${b} IN ('x' AS p1, 'y' AS p2))`, [...simple, ...added])
  }

  #array(scope: readonly Relation[], depth: number, ctes: readonly Cte[]): { sql: string; relation: Relation } {
    if (this.#is(2)) {
      const [a, b] = [this.#any(scope, 0, ctes), this.#any(scope, 0, ctes)]
      const fields = [
        { name: 'p', type: a.type },
        { name: 'q', type: b.type },
      ]
      return this.#elements(`[STRUCT(${a.sql} AS p, ${b.sql} AS q)]`, { kind: 'STRUCT', fields }, false)
    }
    const { sql, columns } = this.#query(depth - 1, scope, ctes)
    return this.#elements(`ARRAY(SELECT AS STRUCT * FROM (${sql}))`, { kind: 'STRUCT', fields: columns }, false)
  }

  #elements(array: string, of: SqlType, isPath: boolean): { sql: string; relation: Relation } {
    const alias = this.#alias()
    const text = isPath && this.#is(2) ? array : `UNNEST(${array})`
    const relation = { alias, columns: of.kind === 'STRUCT' ? of.fields : [], value: of }
    return {
      sql: `${text}${this.#is(2) ? ' AS' : ''} ${alias}${this.#is(6) ? ` WITH OFFSET o${this.#fresh++}` : ''}`,
      relation,
    }
  }

  #aliased(sql: string, columns: readonly SqlField[]): { sql: string; relation: Relation } {
    const alias = this.#alias()
    return { sql: `${sql}${this.#is(2) ? ' AS' : ''} ${alias}`, relation: { alias, columns } }
  }

  // ── expressions ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Every path that a scope gives, to three fields deep. Columns of inner relations hide others: those are written too. */
  #paths(scope: readonly Relation[]): Expression[] {
    const found: Expression[] = []
    const count = new Map<string, number>()
    for (const { columns } of scope) for (const { name } of columns) count.set(name, (count.get(name) ?? 0) + 1)
    for (const { alias, columns, value } of scope) {
      if (value !== undefined) found.push({ sql: alias, type: value })
      for (const { name, type } of columns) {
        const sql = count.get(name) === 1 && this.#is(2) ? name : `${alias}.${name}`
        found.push(...below({ sql, type }))
      }
    }
    return found
  }

  #any(scope: readonly Relation[], depth: number, ctes: readonly Cte[]): Expression {
    const path = this.#one(this.#paths(scope))
    const relation = this.#one(scope)
    if (path === undefined || relation === undefined) return { sql: "'x'", type: STRING }
    if (this.#is(2)) return path
    if (this.#is(4)) return this.#row(scope, relation, path)
    return this.#expression(this.#one([path.type, STRING, INT64]) ?? STRING, scope, depth, ctes)
  }

  /** A whole row, a STRUCT, an array of them, or a text of any of them. */
  #row(scope: readonly Relation[], { alias, columns, value }: Relation, path: Expression): Expression {
    const other = this.#one(this.#paths(scope)) ?? path
    const fields = [
      { name: 'p', type: path.type },
      { name: 'q', type: other.type },
    ]
    const whole = { sql: alias, type: value ?? ({ kind: 'STRUCT', fields: columns } as const) }
    const made = { sql: `STRUCT(${path.sql} AS p, ${other.sql} AS q)`, type: { kind: 'STRUCT', fields } as const }
    const one = this.#one<Expression>([whole, made, path]) ?? whole
    return (
      this.#one<Expression>([
        one,
        { sql: `TO_JSON_STRING(${one.sql})`, type: STRING },
        { sql: `FORMAT('%T', ${one.sql})`, type: STRING },
        { sql: `${made.sql}.q`, type: other.type },
        ...(path.type.kind === 'ARRAY'
          ? []
          : [{ sql: `[${path.sql}]`, type: { kind: 'ARRAY', of: path.type } } as const]),
      ]) ?? one
    )
  }

  #expression(type: SqlType, scope: readonly Relation[], depth: number, ctes: readonly Cte[]): Expression {
    const text = typeText(type)
    const fitting = this.#paths(scope).filter((path) => typeText(path.type) === text)
    const path = this.#one(fitting)
    if (path !== undefined && this.#is(3)) return path
    const again = (): string => this.#expression(type, scope, 0, ctes).sql
    if (depth <= 0) {
      if (path !== undefined) return path
      return { sql: type.kind === 'STRING' ? "'x'" : type.kind === 'INT64' ? '1' : `CAST(NULL AS ${text})`, type }
    }
    const inner = (): string => this.#subquery(type, scope, depth, ctes)
    const choices: (() => string)[] = [
      () => `IF(${this.#condition(scope, 0, ctes)}, ${again()}, ${again()})`,
      () => `COALESCE(${again()}, ${again()})`,
      () => `CASE WHEN ${this.#condition(scope, 0, ctes)} THEN ${again()} ELSE ${again()} END`,
      inner,
      inner,
      () => `ANY_VALUE(${again()}) OVER (PARTITION BY ${this.#expression(STRING, scope, 0, ctes).sql})`,
      () => `FIRST_VALUE(${again()}) OVER (ORDER BY ${this.#expression(INT64, scope, 0, ctes).sql})`,
    ]
    if (type.kind !== 'ARRAY')
      choices.push(
        () => `[${again()}, ${again()}][SAFE_OFFSET(1)]`,
        () => `ARRAY(${inner()})[SAFE_OFFSET(0)]`,
      )
    const holder = this.#one(scope.filter(({ columns }) => columns.some((column) => typeText(column.type) === text)))
    const held = holder?.columns.find((column) => typeText(column.type) === text)
    if (holder !== undefined && held !== undefined) {
      const { alias } = holder
      choices.push(
        () => `(SELECT AS STRUCT ${alias}.*).${held.name}`,
        () => `IF(TRUE, ${alias}, NULL).${held.name}`,
        () => `(SELECT ARRAY_AGG(w) FROM (SELECT ${alias} AS w))[OFFSET(0)].${held.name}`,
        () => `(SELECT w.${held.name} FROM UNNEST([${alias}]) AS w)`,
        () => `(SELECT ${held.name} FROM UNNEST([${alias}]))`,
      )
    }
    if (type.kind === 'STRING') {
      choices.push(
        () => `UPPER(${again()})`,
        () => `CONCAT(${again()}, ${again()})`,
        () => `${again()} || ${again()}`,
        () => `CAST(${this.#expression(INT64, scope, 0, ctes).sql} AS STRING)`,
        () => `SUBSTR(${again()}, ${this.#expression(INT64, scope, 0, ctes).sql})`,
      )
    }
    if (type.kind === 'INT64') {
      choices.push(
        () => `LENGTH(${this.#expression(STRING, scope, 0, ctes).sql})`,
        () => `${again()} + ${again()}`,
        () => `ROW_NUMBER() OVER (ORDER BY ${again()})`,
        () => `(SELECT COUNT(*) FROM ${this.#from(0, scope, ctes).sql})`,
      )
    }
    return { sql: this.#one(choices)?.() ?? again(), type }
  }

  /** `(SELECT …)` of one column. */
  #subquery(type: SqlType, scope: readonly Relation[], depth: number, ctes: readonly Cte[]): string {
    const { sql, relations } = this.#from(depth - 1, scope, ctes)
    const one = this.#expression(type, [...relations, ...scope], depth - 1, ctes)
    return `(SELECT ${one.sql} FROM ${sql} LIMIT 1)`
  }

  #condition(scope: readonly Relation[], depth: number, ctes: readonly Cte[]): string {
    const text = (): string => this.#expression(STRING, scope, 0, ctes).sql
    const choices = [
      () => `${text()} = ${text()}`,
      () => `${this.#expression(INT64, scope, 0, ctes).sql} > 1`,
      () => `${this.#expression(BOOL, scope, 0, ctes).sql} IS NOT TRUE`,
    ]
    const array = this.#one(this.#paths(scope).filter(({ type }) => typeText(type) === 'ARRAY<STRING>'))
    if (array !== undefined) choices.push(() => `${text()} IN UNNEST(${array.sql})`)
    if (depth > 0) {
      choices.push(
        () => `EXISTS (SELECT 1 FROM ${this.#from(depth - 1, scope, ctes).sql})`,
        () => `${text()} IN ${this.#subquery(STRING, scope, depth - 1, ctes)}`,
      )
    }
    return this.#one(choices)?.() ?? 'TRUE'
  }
}

/** What `*` stands for, each name once: USING makes one of two, and of others only the first can be named. */
function allOf(relations: readonly Relation[]): SqlField[] {
  const found = new Map<string, SqlField>()
  for (const { alias, columns, value } of relations) {
    const own = value === undefined || value.kind === 'STRUCT' ? columns : [{ name: alias, type: value }]
    for (const column of own) if (!found.has(column.name)) found.set(column.name, column)
  }
  return [...found.values()]
}

function below(path: Expression, depth = 3): Expression[] {
  const { sql, type } = path
  if (type.kind !== 'STRUCT' || depth === 0) return [path]
  return [
    path,
    ...type.fields.flatMap((f) => (f.name === '' ? [] : below({ sql: `${sql}.${f.name}`, type: f.type }, depth - 1))),
  ]
}

const isGroupable = ({ kind }: SqlType): boolean => /^(INT64|STRING|DATE|BOOL|NUMERIC|TIMESTAMP)$/.test(kind)
