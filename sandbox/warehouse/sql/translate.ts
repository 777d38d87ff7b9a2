/**
 * GoogleSQL to DuckDB's SQL, by recursive descent: what the grammar below does not know is refused with its place.
 * Names are resolved as far as it takes to tell a table from an array and a struct's field from a column; everything else
 * DuckDB's binder checks.
 */
import { invalidQuery, notFound, unsupported } from '../errors.ts'
import { PROJECT } from './catalog.ts'
import { Queries } from './queries.ts'
import { quote, tableName, type Context, type Reference, type Scope, type Translated } from './reader.ts'

export { quote, stringSql, tableName, text, TypeWanted } from './reader.ts'
export type { Context, Parameters, Reference, Translated } from './reader.ts'

/** Translates one statement. Throws `WarehouseError` for what is wrong or not supported, `TypeWanted` to ask. */
export function translate(source: string, context: Context): Translated {
  return new Translator(source, context).statement()
}

class Translator extends Queries {
  statement(): Translated {
    const done = this.one()
    this.mark(';')
    if (this.token.kind !== 'end') {
      if (this.tokens[this.at - 1]?.text === ';') throw unsupported('A script of several statements', this.token)
      throw this.unexpected()
    }
    return { ...done, references: [...this.references.values()], words: this.words }
  }

  protected one(): Omit<Translated, 'references' | 'words'> {
    if (this.isTempFunction()) {
      // With one query behind them, BigQuery takes them for that query and not for a script.
      while (this.isTempFunction()) this.tempFunction()
      if (!['SELECT', 'WITH', 'FROM'].some((word) => this.isWord(word)) && !this.isMark('('))
        throw unsupported('A function without a query behind it', this.token)
    }
    if (this.isWord('SELECT') || this.isWord('WITH') || this.isWord('FROM') || this.isMark('(')) {
      const sql = this.query()
      return { type: 'SELECT', kind: 'query', sql, check: sql }
    }
    if (this.word('INSERT')) return this.insert()
    if (this.word('UPDATE')) return this.update()
    if (this.word('DELETE')) return this.delete()
    if (this.word('MERGE')) return this.merge()
    if (this.word('CREATE')) return this.create()
    if (this.word('DROP')) return this.drop()
    if (this.word('TRUNCATE')) {
      this.needWord('TABLE')
      const target = this.existing('table')
      const sql = `DELETE FROM ${tableName(target.dataset, target.table)}`
      return { type: 'TRUNCATE_TABLE', kind: 'dml', sql, target, check: sql }
    }
    const token = this.token
    if (token.kind !== 'name') throw this.unexpected()
    throw unsupported(`The statement ${token.text.toUpperCase()}`, token)
  }

  protected insert(): Omit<Translated, 'references' | 'words'> {
    this.word('INTO')
    const target = this.existing('table')
    const columns =
      this.isMark('(') && !this.isWord('SELECT', 1) ? this.inParens(() => this.list(() => quote(this.name()))) : []
    const list = columns.length > 0 ? ` (${columns.join(', ')})` : ''
    const rows = this.word('VALUES') ? `VALUES ${this.rows()}` : this.query()
    const sql = `INSERT INTO ${tableName(target.dataset, target.table)}${list} ${rows}`
    return { type: 'INSERT', kind: 'dml', sql, target, check: sql }
  }

  protected rows(): string {
    return this.list(() => `(${this.inParens(() => this.list(() => this.orDefault())).join(', ')})`).join(', ')
  }

  protected orDefault(): string {
    return this.word('DEFAULT') ? 'DEFAULT' : this.expression().sql
  }

  protected dmlScope(target: Reference, alias: string): Scope {
    const scope = this.newScope()
    scope.aliases.add(alias.toLowerCase())
    scope.from = `${tableName(target.dataset, target.table)} AS ${quote(alias)}`
    scope.sources.push({ alias, plain: true, hidden: false, columns: () => [] })
    return scope
  }

  protected update(): Omit<Translated, 'references' | 'words'> {
    const target = this.existing('table')
    const alias = this.alias() ?? target.table
    return this.within(this.dmlScope(target, alias), (scope) => {
      this.needWord('SET')
      // FROM is read first: the values may name its tables.
      const values = this.at
      this.skipTo('FROM', 'WHERE')
      let from = ''
      if (this.word('FROM')) {
        const before = scope.from
        scope.from = ''
        this.fromList(scope)
        from = ` FROM ${scope.from}`
        scope.from = `${before}, ${scope.from}`
      }
      const after = this.at
      this.at = values
      const set = this.list(() => this.assignment(alias))
      this.at = after
      this.needWord('WHERE')
      const where = this.expression().sql
      const sql = `UPDATE ${tableName(target.dataset, target.table)} AS ${quote(alias)} SET ${set.join(', ')}${from} WHERE ${where}`
      return { type: 'UPDATE', kind: 'dml', sql, target, check: sql }
    })
  }

  protected assignment(alias: string): string {
    const path = [this.field()]
    while (this.mark('.')) path.push(this.field())
    if (path.length > 1 && path[0]?.toLowerCase() === alias.toLowerCase()) path.shift()
    this.need('=')
    const value = this.orDefault()
    const [column = '', ...fields] = path
    if (fields.length > 1) throw unsupported('UPDATE of a field of a field', this.token)
    if (fields.length === 0) return `${quote(column)} = ${value}`
    return `${quote(column)} = struct_update(${quote(alias)}.${quote(column)}, ${quote(fields[0] ?? '')} := ${value})`
  }

  protected delete(): Omit<Translated, 'references' | 'words'> {
    this.word('FROM')
    const target = this.existing('table')
    const alias = this.alias() ?? target.table
    return this.within(this.dmlScope(target, alias), () => {
      this.needWord('WHERE')
      const sql = `DELETE FROM ${tableName(target.dataset, target.table)} AS ${quote(alias)} WHERE ${this.expression().sql}`
      return { type: 'DELETE', kind: 'dml', sql, target, check: sql }
    })
  }

  protected merge(): Omit<Translated, 'references' | 'words'> {
    this.word('INTO')
    const target = this.existing('table')
    const alias = this.alias() ?? target.table
    return this.within(this.dmlScope(target, alias), (scope) => {
      this.needWord('USING')
      const into = scope.from
      scope.from = ''
      this.fromItem(scope)
      const using = scope.from
      scope.from = `${into}, ${using}`
      this.needWord('ON')
      const on = this.expression().sql
      const whens: string[] = []
      while (this.word('WHEN')) whens.push(this.when(alias))
      if (whens.length === 0) throw this.unexpected('Expected keyword WHEN')
      const sql = `MERGE INTO ${into} USING ${using} ON ${on} ${whens.join(' ')}`
      return { type: 'MERGE', kind: 'dml', sql, target, check: sql }
    })
  }

  protected when(alias: string): string {
    let matched = 'MATCHED'
    if (this.word('NOT')) {
      matched = 'NOT MATCHED'
      this.needWord('MATCHED')
      if (this.word('BY', 'SOURCE')) matched = 'NOT MATCHED BY SOURCE'
      else this.word('BY', 'TARGET')
    } else this.needWord('MATCHED')
    const condition = this.word('AND') ? ` AND ${this.expression().sql}` : ''
    this.needWord('THEN')
    const head = `WHEN ${matched}${condition} THEN`
    if (this.word('DELETE')) return `${head} DELETE`
    if (this.word('UPDATE')) {
      this.needWord('SET')
      return `${head} UPDATE SET ${this.list(() => this.assignment(alias)).join(', ')}`
    }
    this.needWord('INSERT')
    if (this.word('ROW')) return `${head} INSERT BY POSITION`
    const columns = this.isMark('(') ? ` (${this.inParens(() => this.list(() => quote(this.name()))).join(', ')})` : ''
    if (this.word('ROW')) throw unsupported('INSERT (columns) ROW', this.token)
    this.needWord('VALUES')
    return `${head} INSERT${columns} VALUES (${this.inParens(() => this.list(() => this.orDefault())).join(', ')})`
  }

  protected create(): Omit<Translated, 'references' | 'words'> {
    const replace = this.word('OR', 'REPLACE')
    if (this.word('SCHEMA')) {
      const ifExists = this.word('IF', 'NOT', 'EXISTS')
      const parts = this.path()
      const dataset = this.dataset(parts)
      this.options()
      if (this.context.catalog.has(dataset) && !ifExists) throw this.already('Dataset', `${PROJECT}:${dataset}`)
      return { type: 'CREATE_SCHEMA', kind: 'ddl', sql: `CREATE SCHEMA IF NOT EXISTS wh.${quote(dataset)}`, ifExists }
    }
    const view = this.word('VIEW')
    if (!view && !this.word('TABLE')) throw unsupported(`CREATE ${this.token.text.toUpperCase()}`, this.token)
    const ifExists = this.word('IF', 'NOT', 'EXISTS')
    const target = this.target()
    const found = this.context.catalog.get(target.dataset)?.get(target.table)
    if (found && !replace && !ifExists) throw this.already('Table', `${PROJECT}:${target.dataset}.${target.table}`)
    if (found && replace && (found.kind === 'view') !== view)
      throw unsupported('Replacing a table by a view or a view by a table')
    const columns = this.isMark('(') ? this.columns(view) : undefined
    if (this.word('PARTITION', 'BY')) this.expression()
    if (this.word('CLUSTER', 'BY')) this.list(() => this.path())
    this.options()
    const head = `CREATE ${replace ? 'OR REPLACE ' : ''}${view ? 'VIEW' : 'TABLE'} ${ifExists ? 'IF NOT EXISTS ' : ''}`
    const name = tableName(target.dataset, target.table)
    if (this.word('AS')) {
      if (columns) throw unsupported('CREATE with columns and a query', this.token)
      const start = this.token.start
      const sql = this.query()
      const end = this.tokens[this.at - 1]?.end ?? start
      return {
        type: view ? 'CREATE_VIEW' : 'CREATE_TABLE_AS_SELECT',
        kind: 'ddl',
        sql: `${head}${name} AS ${sql}`,
        target,
        query: { sql, source: this.source.slice(start, end) },
        check: sql,
        ifExists,
      }
    }
    if (view || columns === undefined) throw this.unexpected('Expected keyword AS')
    const list = columns.map((column) => `${quote(column.name)} ${column.type}${column.required ? ' NOT NULL' : ''}`)
    return { type: 'CREATE_TABLE', kind: 'ddl', sql: `${head}${name} (${list.join(', ')})`, target, columns, ifExists }
  }

  protected columns(view: boolean): { name: string; type: string; required: boolean }[] {
    if (view) throw unsupported('A view with a column list', this.token)
    return this.inParens(() =>
      this.list(() => {
        const name = this.name()
        const type = this.type()
        const required = this.word('NOT', 'NULL')
        if (this.isWord('DEFAULT')) throw unsupported('A column default', this.token)
        this.options()
        return { name, type, required }
      }),
    )
  }

  protected options(): void {
    if (!this.word('OPTIONS')) return
    this.inParens(() => {
      if (this.isMark(')')) return
      this.list(() => {
        this.name()
        this.need('=')
        this.expression()
      })
    })
  }

  protected already(kind: string, name: string): Error {
    return Object.assign(invalidQuery(`Already Exists: ${kind} ${name}`), { status: 409, reason: 'duplicate' })
  }

  protected drop(): Omit<Translated, 'references' | 'words'> {
    if (this.word('SCHEMA')) {
      const ifExists = this.word('IF', 'EXISTS')
      const dataset = this.dataset(this.path())
      const cascade = this.word('CASCADE') ? ' CASCADE' : ''
      if (!this.context.catalog.has(dataset) && !ifExists) throw notFound('Dataset', `${PROJECT}:${dataset}`)
      return { type: 'DROP_SCHEMA', kind: 'ddl', sql: `DROP SCHEMA IF EXISTS wh.${quote(dataset)}${cascade}`, ifExists }
    }
    const view = this.word('VIEW')
    if (!view && !this.word('TABLE')) throw unsupported(`DROP ${this.token.text.toUpperCase()}`, this.token)
    const ifExists = this.word('IF', 'EXISTS')
    const target = this.target()
    const found = this.context.catalog.get(target.dataset)?.get(target.table)
    if (!found && !ifExists) throw notFound('Table', `${PROJECT}:${target.dataset}.${target.table}`)
    if (found && (found.kind === 'view') !== view)
      throw invalidQuery(
        `Cannot drop ${found.kind} ${target.dataset}.${target.table} with DROP ${view ? 'VIEW' : 'TABLE'}`,
      )
    const sql = `DROP ${view ? 'VIEW' : 'TABLE'} IF EXISTS ${tableName(target.dataset, target.table)}`
    return { type: view ? 'DROP_VIEW' : 'DROP_TABLE', kind: 'ddl', sql, target, ifExists }
  }
}
