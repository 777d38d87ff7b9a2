/** Statements that make, alter and drop objects, that grant, load and export. */
import { scanNames } from './scan.ts'
import type { ChangeAction, Tree } from './syntax.ts'
import { Dml } from './grammar-dml.ts'
import { type Copy, type Target, isComputing, paths, word } from './grammar-parts.ts'

const RESERVED_CAPACITY = new Set(['CAPACITY', 'RESERVATION', 'ASSIGNMENT'])
const ROUTINES = ['TABLE FUNCTION', 'FUNCTION', 'PROCEDURE', 'MODEL']

/** CREATE, ALTER, DROP and their like: each begins at its verb. */
export class Ddl extends Dml {
  protected create(start: number): Tree {
    const g = this.g
    g.need('CREATE')
    const replaces = g.take('OR', 'REPLACE')
    if (replaces) this.features.push({ name: 'or-replace', start })
    if (g.isAny('TEMP', 'TEMPORARY')) g.unsupported('statement', 'a temporary object', 'use `WITH` in the query')
    const actions: ChangeAction[] = replaces ? ['define', 'delete'] : ['define']
    if (g.take('SCHEMA')) return this.schema(start, 'CREATE_SCHEMA', actions)
    if (g.take('EXTERNAL', 'SCHEMA')) return this.schema(start, 'CREATE_SCHEMA', actions)
    const snapshot = g.take('SNAPSHOT', 'TABLE')
    if (g.is('TABLE', 'FUNCTION')) return g.unsupported('statement', '`CREATE TABLE FUNCTION`')
    if (snapshot || g.take('TABLE')) return this.createTable(start, snapshot, actions)
    if (g.take('EXTERNAL', 'TABLE')) return this.external(start, actions)
    const materialized = g.take('MATERIALIZED')
    if (g.take('VIEW')) return this.createView(start, materialized, actions)
    if (g.take('MODEL')) return this.model(start, actions)
    if (g.is('FUNCTION') || g.is('AGGREGATE', 'FUNCTION')) return this.function(start, actions)
    if (g.isAny('ROW', 'SEARCH', 'VECTOR', 'INDEX', 'UNIQUE', 'NULL_FILTERED')) return this.about(start, 'CREATE')
    if (RESERVED_CAPACITY.has(g.peek().word)) return this.raw(start, 'CREATE')
    return g.unsupported('statement', `\`CREATE ${g.peek().word}\``)
  }

  protected external(start: number, actions: readonly ChangeAction[]): Tree {
    const g = this.g
    g.take('IF', 'NOT', 'EXISTS')
    const targets = this.target(g.path(), ...actions)
    this.skipRest()
    return this.tree(start, 'CREATE_EXTERNAL_TABLE', { targets })
  }

  /** `CREATE MODEL m OPTIONS (…) AS SELECT …` */
  protected model(start: number, actions: readonly ChangeAction[]): Tree {
    const g = this.g
    g.take('IF', 'NOT', 'EXISTS')
    const targets: Tree['targets'] = [{ path: g.path(), actions, object: 'unlisted' }]
    this.skipRest(['AS'])
    if (this.isConnected) g.beyond.push('DDL')
    if (!g.take('AS')) return this.tree(start, 'CREATE_MODEL', { targets })
    // `AS (training_data AS (…), holidays AS (…))` is none.
    return this.tree(start, 'CREATE_MODEL', { targets, does: { is: 'define', query: this.query() } })
  }

  /** A function whose body is an expression or a text in another language. A body that names a table is not read. */
  protected function(start: number, actions: readonly ChangeAction[]): Tree {
    const g = this.g
    g.take('AGGREGATE')
    g.need('FUNCTION')
    g.take('IF', 'NOT', 'EXISTS')
    const path = g.path()
    this.skipGroup()
    const inside = scanNames(g.tokens.slice(g.tokens.indexOf(g.peek())))
    const pathAt = paths(g)
    const named = inside.find(({ start: at, role }) => role !== 'execute' || !isComputing(pathAt(at)))
    if (named !== undefined)
      g.stop(named.start, 'unsupported-routine', 'a function that names a table or a routine is not supported')
    while (g.peek().kind !== 'end' && !g.is(';')) g.next()
    this.g.beyond.push('DDL')
    return this.tree(start, 'CREATE_FUNCTION', { targets: [{ path, actions, object: 'unlisted' }] })
  }

  /** Row access policies and indexes: the table that they are about. */
  protected about(start: number, verb: string): Tree {
    const g = this.g
    if (g.is('ROW', 'POLICY') || g.is('ALL', 'ROW', 'POLICIES')) return this.rowPolicy(start, verb)
    if (g.isAny('INDEX', 'UNIQUE', 'NULL_FILTERED')) return this.index(start, verb)
    const isPolicy = g.take('ROW', 'ACCESS', 'POLICY') || g.take('ALL', 'ROW', 'ACCESS', 'POLICIES')
    const what = isPolicy ? 'ROW_ACCESS_POLICY' : `${g.next().word}_INDEX`
    if (!isPolicy) g.need('INDEX')
    g.take('IF', 'NOT', 'EXISTS')
    g.take('IF', 'EXISTS')
    if (!g.is('ON')) g.name('a name')
    g.need('ON')
    const targets = this.target(g.path(), isPolicy ? 'administer' : 'define')
    this.skipRest()
    g.beyond.push('DDL')
    return this.tree(start, `${verb}_${what}`, { targets })
  }

  /** ZetaSQL's own row policies; BigQuery's are `ROW ACCESS POLICY`. */
  protected rowPolicy(start: number, verb: string): Tree {
    const g = this.g
    g.never(g.peek().start, 'statement', '`ROW POLICY`', 'write `ROW ACCESS POLICY`')
    g.take('ALL')
    g.need('ROW')
    g.next()
    g.take('IF', 'NOT', 'EXISTS')
    g.take('IF', 'EXISTS')
    if (!g.is('ON')) g.name('a name')
    g.need('ON')
    const targets = this.target(g.path(), 'administer')
    this.skipRest()
    return this.tree(start, `${verb}_ROW_POLICY`, { targets })
  }

  /** `CREATE INDEX i ON t (a) STORING (b)`: BigQuery has search and vector indexes only. */
  protected index(start: number, verb: string): Tree {
    const g = this.g
    g.never(g.peek().start, 'statement', '`INDEX`', 'BigQuery has `SEARCH INDEX` and `VECTOR INDEX`')
    g.take('UNIQUE')
    g.take('NULL_FILTERED')
    g.need('INDEX')
    g.take('IF', 'NOT', 'EXISTS')
    g.path()
    g.need('ON')
    const targets = this.target(g.path(), 'define')
    g.inert(() => {
      while (g.peek().kind !== 'end' && !g.is(';')) g.next()
    })
    return this.tree(start, `${verb}_INDEX`, { targets })
  }

  /** `ANALYZE OPTIONS (…) t (a, b), t2` */
  protected analyze(start: number): Tree {
    const g = this.g
    g.need('ANALYZE')
    g.never(start, 'statement', '`ANALYZE`')
    if (g.is('OPTIONS', '(')) {
      g.next()
      g.group()
    }
    const targets: Target[] = []
    if (g.peek().kind !== 'end' && !g.is(';')) {
      do {
        targets.push(...this.target(g.path(), 'administer'))
        if (g.is('(')) g.group()
      } while (g.take(','))
    }
    if (targets.length === 0) targets.push({ path: word('ANALYZE'), actions: ['administer'], object: 'raw' })
    return this.tree(start, 'ANALYZE', { targets })
  }

  /** Reservations and the like: no data is named. */
  protected raw(start: number, verb: string): Tree {
    const g = this.g
    const what = g.next().word
    g.take('IF', 'NOT', 'EXISTS')
    g.take('IF', 'EXISTS')
    const named = /^(name|quoted)$/.test(g.peek().kind) && !g.is('SET') ? g.next().value : what
    this.skipRest()
    g.beyond.push('DDL')
    return this.tree(start, `${verb}_${what}`, {
      targets: [{ path: word(named), actions: ['administer'], object: 'raw' }],
    })
  }

  protected grant(start: number, verb: string): Tree {
    const g = this.g
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
    return this.tree(start, verb, { targets: [{ path, actions: ['administer'], ...(isSchema && { dataset: true }) }] })
  }

  /** `LOAD DATA INTO t (…) FROM FILES (…)` */
  protected load(start: number): Tree {
    const g = this.g
    g.need('LOAD', 'DATA')
    const overwrites = g.take('OVERWRITE')
    if (!overwrites) g.need('INTO')
    if (g.isAny('TEMP', 'TEMPORARY')) g.unsupported('statement', 'a temporary table')
    const targets = [{ path: g.path(), actions: overwrites ? (['write', 'delete'] as const) : (['write'] as const) }]
    this.skipRest(['FROM'])
    g.need('FROM', 'FILES')
    this.skipGroup()
    while (g.take('WITH')) this.skipPart()
    g.beyond.push('DDL')
    return this.tree(start, 'LOAD_DATA', { targets: targets.map((t) => ({ ...t, object: 'unlisted' as const })) })
  }

  /** `PARTITION COLUMNS (…)`, `CONNECTION c` */
  protected skipPart(): void {
    const g = this.g
    if (g.take('CONNECTION')) return void g.path()
    g.need('PARTITION', 'COLUMNS')
    if (g.is('(')) this.skipGroup()
  }

  protected undrop(start: number): Tree {
    const g = this.g
    g.need('UNDROP', 'SCHEMA')
    g.beyond.push('DDL')
    return this.schema(start, 'UNDROP_SCHEMA', ['define'])
  }

  protected createTable(start: number, snapshot: boolean, actions: readonly ChangeAction[]): Tree {
    const g = this.g
    g.take('IF', 'NOT', 'EXISTS')
    const targets = [...this.target(g.path(), ...actions)]
    const copies: Copy[] = []
    if (g.isAny('LIKE', 'COPY', 'CLONE')) {
      g.next()
      const path = g.path()
      const extra = g.take('FOR') ? [g.asOf()] : []
      copies.push({ path, extra })
    }
    if (snapshot && copies.length === 0) g.unexpected('`CLONE`')
    targets.push(...this.skipRest(['AS']))
    if (this.isConnected) g.beyond.push('DDL')
    const kind = snapshot ? 'CREATE_SNAPSHOT_TABLE' : 'CREATE_TABLE'
    if (!g.take('AS')) return this.tree(start, kind, { targets, copies })
    const query = this.query()
    return this.tree(start, 'CREATE_TABLE_AS_SELECT', { targets, copies, does: { is: 'define', query } })
  }

  protected createView(start: number, materialized: boolean, actions: readonly ChangeAction[]): Tree {
    const g = this.g
    g.take('IF', 'NOT', 'EXISTS')
    const targets = this.target(g.path(), ...actions)
    this.skipRest(['AS'])
    g.need('AS')
    const kind = materialized ? 'CREATE_MATERIALIZED_VIEW' : 'CREATE_VIEW'
    return this.tree(start, kind, { targets, does: { is: 'define', query: this.query() } })
  }

  protected schema(start: number, kind: string, actions: readonly ChangeAction[]): Tree {
    const g = this.g
    g.take('IF', 'NOT', 'EXISTS')
    g.take('IF', 'EXISTS')
    const path = g.path()
    this.skipRest()
    return this.tree(start, kind, { targets: [{ path, actions, dataset: true }] })
  }

  protected drop(start: number): Tree {
    const g = this.g
    g.need('DROP')
    if (g.isAny('ROW', 'ALL', 'SEARCH', 'VECTOR')) return this.about(start, 'DROP')
    if (RESERVED_CAPACITY.has(g.peek().word)) return this.raw(start, 'DROP')
    const routine = ROUTINES.find((kind) => g.is(...kind.split(' ')))
    if (routine !== undefined) return this.routine(start, 'DROP', routine, 'delete')
    const what = this.what(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SNAPSHOT TABLE', 'EXTERNAL TABLE', 'SCHEMA'])
    const kind = `DROP_${what.replace(' ', '_')}`
    if (what === 'SCHEMA') return this.schema(start, kind, ['delete'])
    if (what === 'SNAPSHOT TABLE') g.beyond.push('DDL')
    g.take('IF', 'EXISTS')
    return this.tree(start, kind, { targets: this.target(g.path(), 'delete') })
  }

  protected alter(start: number): Tree {
    const g = this.g
    g.need('ALTER')
    if (g.isAny('PROJECT', 'ORGANIZATION') || RESERVED_CAPACITY.has(g.peek().word)) return this.raw(start, 'ALTER')
    if (g.isAny('VECTOR', 'SEARCH')) return this.about(start, 'ALTER')
    const routine = ROUTINES.find((kind) => g.is(...kind.split(' ')))
    if (routine !== undefined) return this.routine(start, 'ALTER', routine, 'define')
    const what = this.what(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SCHEMA'])
    const kind = `ALTER_${what.replace(' ', '_')}`
    if (what === 'SCHEMA') return this.schema(start, kind, ['define'])
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
      return this.tree(start, kind, { targets })
    }
    targets.push(...this.skipRest())
    return this.tree(start, kind, { targets })
  }

  /** Functions, procedures, models: no tables, so not looked up. */
  protected routine(start: number, verb: string, what: string, action: ChangeAction): Tree {
    const g = this.g
    g.need(...what.split(' '))
    g.take('IF', 'EXISTS')
    const path = g.path()
    this.skipRest()
    g.beyond.push('DDL')
    const targets: Tree['targets'] = [{ path, actions: [action], object: 'unlisted' }]
    return this.tree(start, `${verb}_${what.replace(' ', '_')}`, { targets })
  }

  protected what(kinds: readonly string[]): string {
    const found = kinds.find((kind) => this.g.take(...kind.split(' ')))
    return found ?? this.g.unsupported('statement', `\`${this.g.peek().word}\` here`)
  }

  protected export(start: number): Tree {
    const g = this.g
    g.need('EXPORT')
    if (g.take('MODEL')) {
      const targets: Tree['targets'] = [{ path: g.path(), actions: ['export'], object: 'unlisted' }]
      this.skipRest()
      g.beyond.push('DDL')
      return this.tree(start, 'EXPORT_MODEL', { targets })
    }
    if (!g.take('DATA')) g.unsupported('statement', '`EXPORT` of anything but data')
    if (g.take('WITH', 'CONNECTION')) g.path()
    g.need('OPTIONS')
    this.skipGroup()
    g.need('AS')
    return this.tree(start, 'EXPORT_DATA', { does: { is: 'query', query: this.query(), exports: true } })
  }
}
