/** Statements around queries: DML and DDL, as far as a policy must know what they touch. Everything else is refused. */
import type { Action } from '../exchange.ts'
import type { Refusal } from './contract.ts'
import type { Grammar } from './grammar.ts'
import { remarkOn } from './functions.ts'
import { hintForStatement } from './hints.ts'
import { refuse, type Token } from './lexer.ts'
import { scanNames } from './scan.ts'
import { Stop } from './stop.ts'
import type { Expression, Name, OpaqueName, TempFunction, Tree } from './syntax.ts'
import { Ddl } from './grammar-ddl.ts'
import { isComputing, paths, word } from './grammar-parts.ts'

const SCRIPT = new Set(
  'BEGIN START DECLARE SET CALL EXECUTE IF LOOP WHILE REPEAT FOR CASE RAISE RETURN BREAK LEAVE CONTINUE ITERATE COMMIT ROLLBACK'.split(
    ' ',
  ),
)

/** Temporary functions before one query. */
const FUNCTIONS = 100

/** Reads exactly one statement. */
export function readStatement(grammar: Grammar): Tree {
  return new StatementGrammar(grammar).statement()
}

class StatementGrammar extends Ddl {
  statement(): Tree {
    const g = this.g
    if (g.peek().kind === 'end') g.stop(0, 'unparseable', 'the text holds no statement')
    try {
      return this.whole()
    } catch (error) {
      const opaque = error instanceof Stop ? this.opaque(error.refusal) : undefined
      if (opaque === undefined) throw error
      return opaque
    }
  }

  protected whole(): Tree {
    const g = this.g
    const functions: TempFunction[] = []
    while (isTempFunction(g)) {
      if (functions.length >= FUNCTIONS) g.stop(g.peek().start, 'too-large', `more than ${FUNCTIONS} functions`)
      functions.push(this.tempFunction())
    }
    const tree = functions.length === 0 ? this.one() : this.queryBehind(functions)
    g.take(';')
    if (g.peek().kind === 'end') return tree
    return g.unexpected('the end of the statement')
  }

  /** BigQuery takes temporary functions with one query behind them for a query, not for a script. */
  protected queryBehind(functions: readonly TempFunction[]): Tree {
    const g = this.g
    const { start } = g.peek()
    if (!g.opensQuery()) g.unsupported('script', 'a script')
    const tree = this.tree(start, 'SELECT', { does: { is: 'query', query: g.query(), exports: false }, functions })
    if (functions.every((f) => f.body !== undefined)) return tree
    return { ...tree, targets: [{ path: word('JAVASCRIPT'), actions: ['execute'], object: 'raw' }] }
  }

  /** `CREATE TEMP FUNCTION f(a INT64) RETURNS INT64 AS (a + 1);` */
  protected tempFunction(): TempFunction {
    const g = this.g
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
    const parameters = this.parameters()
    if (g.take('RETURNS')) g.type()
    const isCode = g.take('LANGUAGE')
    if (isCode) g.need('JS')
    if (isCode && g.take('OPTIONS')) this.skipGroup()
    g.need('AS')
    const body = isCode ? this.code() : this.body()
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

  protected parameters(): Name[] {
    const g = this.g
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

  protected body(): Expression {
    const g = this.g
    g.need('(')
    const body = g.expression()
    g.need(')')
    return body
  }

  protected code(): undefined {
    if (this.g.peek().kind !== 'string') this.g.unexpected('a string')
    this.g.next()
  }

  /** A statement that is not read, with its kind and every name in it; `undefined` where it could be a query or DML. */
  protected opaque(refusal: Refusal): Tree | undefined {
    const g = this.g
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
    // `d.t .1` and `p-1.q-2.d.t` are one path each in ZetaSQL, and not here: the name would be another's.
    const ends = new Set(names.map(({ path }) => path.end))
    const isCut = ({ kind, word, start }: Token, before: Token | undefined): boolean =>
      ((kind === 'number' && g.text[start] === '.') || (word === '-' && before?.end === start)) &&
      ends.has(before?.end ?? -1)
    if (g.tokens.some((token, i) => isCut(token, g.tokens[i - 1]))) return undefined
    // What names nothing is judged by its kind.
    const own = kind === 'SCRIPT' || kind === 'CREATE_CONSTANT' || names.length === 0
    const action: Action = kind === 'SCRIPT' ? 'execute' : 'administer'
    const targets: Tree['targets'] = own ? [{ path: word(kind), actions: [action], object: 'raw' }] : []
    const why = hasSeveral(g) ? severalStatements(g) : refusal
    return { start, kind, does: { is: 'opaque', names, refusal: why }, targets, copies: [], features: this.features }
  }

  protected script(what: string): never {
    return this.g.stop(
      this.g.peek().start,
      'unsupported-script',
      `${what} is not supported`,
      'send one statement at a time',
    )
  }

  protected one(): Tree {
    const g = this.g
    const { start, word } = g.peek()
    if (g.opensQuery()) return this.tree(start, 'SELECT', { does: { is: 'query', query: g.query(), exports: false } })
    if (SCRIPT.has(word)) this.script(word === 'CALL' || word === 'EXECUTE' ? `\`${word}\`` : 'a script')
    if (word === 'GRANT' || word === 'REVOKE') return this.grant(start, word)
    if (word === 'LOAD') return this.load(start)
    if (word === 'UNDROP') return this.undrop(start)
    if (word === 'ANALYZE') return this.analyze(start)
    if (word === 'CLONE') return this.clone(start)
    switch (word) {
      case 'INSERT':
        return this.insert(start)
      case 'UPDATE':
        return this.update(start)
      case 'DELETE':
        return this.delete(start)
      case 'MERGE':
        return this.merge(start)
      case 'TRUNCATE':
        return this.truncate(start)
      case 'CREATE':
        return this.create(start)
      case 'DROP':
        return this.drop(start)
      case 'ALTER':
        return this.alter(start)
      case 'EXPORT':
        return this.export(start)
      default:
        if (g.peek().kind === 'name') g.unsupported('statement', `\`${word}\` as a statement`, hintForStatement(word))
        return g.unexpected('a statement')
    }
  }
}

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
