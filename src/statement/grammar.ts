/**
 * GoogleSQL's grammar, as far as we stand for it: tokens → typed tree. What no rule here names is refused where it stands;
 * every token is consumed by exactly one rule.
 */
import type { ScalarType, SqlField, SqlType } from '../exchange.ts'
import type { Refusal } from './contract.ts'
import { hintForToken } from './hints.ts'
import { refuse, type Token } from './lexer.ts'
import type {
  Aliased,
  Argument,
  Body,
  ByName,
  Call,
  Cte,
  Expression,
  FromItem,
  FunctionItem,
  Item,
  JoinItem,
  Name,
  Path,
  Pipe,
  Pivot,
  Query,
  Select,
  Star,
  Window,
} from './syntax.ts'
import { Stop } from './stop.ts'
import { JOIN_WORDS, NAMESPACES, RESERVED, TYPES } from './words.ts'

export { Stop } from './stop.ts'

/** Fields of fields, elements of elements: BigQuery's own types nest 15 deep. */
const FIELDS = 50
/** Levels of expression and query inside one another. Below what the stack of Node and workerd bears, by far. */
const DEPTH = 400

/** Constructs, found in our tree, that `bq2cst` is known not to read. */
export type Beyond =
  | 'pipe query in brackets'
  | 'pipe operator'
  | 'COLLATE'
  | 'SELECT WITH'
  | 'set operation by name'
  | 'set operation in brackets'
  | 'bracketed INSERT query'
  | 'DDL'
  | 'chained call'
  | 'nested join'
  | 'never bound'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Reads queries and expressions from tokens. `Statements` (grammar-statement.ts) reads what stands around them. */
export class Grammar {
  readonly text: string
  readonly tokens: readonly Token[]
  #at = 0
  #depth = 0
  /** Positional parameters met so far. */
  positional = 0
  /** What the second reader is known not to read, and what it is shown in its place: no table can stand in these spans. */
  readonly hidden: { readonly start: number; readonly end: number; readonly shown: string }[] = []

  /** What the second reader cannot read at all; see docs/sql.md. Where it is empty, both readers must agree. */
  readonly beyond: Beyond[] = []
  /** Why the statement may be judged by its names, and is never bound: the first of the reasons. */
  unbound: Refusal | undefined
  #queries = 0

  constructor(text: string, tokens: readonly Token[]) {
    this.text = text
    this.tokens = tokens
  }

  // ── tokens ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The token `ahead` of the next one; the last is `end`, for ever. */
  peek(ahead = 0): Token {
    const token = this.tokens[Math.min(this.#at + ahead, this.tokens.length - 1)]
    if (token === undefined) throw new Error('a text has no tokens')
    return token
  }

  /** Back to the first token, and nothing remembered. */
  rewind(): void {
    this.#at = 0
    this.#depth = 0
    this.#queries = 0
    this.positional = 0
    this.hidden.length = 0
    this.beyond.length = 0
    this.unbound = undefined
  }

  next(): Token {
    const token = this.peek()
    if (token.kind !== 'end') this.#at++
    return token
  }

  is(...words: readonly string[]): boolean {
    return words.every((word, i) => this.peek(i).word === word)
  }

  isAny(...words: readonly string[]): boolean {
    return this.peek().word !== '' && words.includes(this.peek().word)
  }

  /** Consumes these words if they are next. */
  take(...words: readonly string[]): boolean {
    if (!this.is(...words)) return false
    this.#at += words.length
    return true
  }

  need(...words: readonly string[]): Token {
    const token = this.peek()
    if (!this.take(...words)) this.unexpected(words.map((word) => `\`${word}\``).join(' '))
    return token
  }

  stop(at: number, code: string, message: string, fix?: string): never {
    throw new Stop(refuse(this.text, at, code, message, fix))
  }

  unsupported(code: string, what: string, fix?: string): never {
    return this.stop(this.peek().start, `unsupported-${code}`, `${what} is not supported`, fix)
  }

  /**
   * Notes what ZetaSQL reads and we (or BigQuery) do not follow: a statement that holds it is judged by its names, all of
   * which must be in the tree, and then refused.
   */
  never(at: number, code: string, what: string, fix?: string): void {
    this.unbound ??= refuse(this.text, at, `unsupported-${code}`, `${what} is not supported`, fix)
    this.beyond.push('never bound')
  }

  /** Reads what no tree holds: no table can be named in it, and no code. */
  inert<T>(read: () => T): T {
    const from = this.#at
    const value = read()
    for (let i = from; i < this.#at; i++) {
      const [token, next, behind] = [this.tokens[i], this.tokens[i + 1], this.tokens[i + 2]]
      const isCode = (token?.kind === 'quoted' && next?.word === '(') || (token?.word === '.' && behind?.word === '(')
      if (token !== undefined && (NAMING.has(token.word) || isCode))
        this.stop(token.start, 'unsupported-clause', 'a table or a routine in this place is not supported')
    }
    return value
  }

  /** Whatever stands in brackets. */
  group(): void {
    this.inert(() => {
      this.need('(')
      for (let depth = 1; depth > 0;) {
        if (this.peek().kind === 'end') this.unexpected('`)`')
        if (this.is('(')) depth++
        if (this.is(')')) depth--
        this.next()
      }
    })
  }

  unexpected(expected: string): never {
    const token = this.peek()
    if (token.kind === 'end')
      return this.stop(token.start, 'unparseable', `the text ends where ${expected} is expected`)
    const shown = token.kind === 'string' || token.kind === 'bytes' || token.kind === 'number' ? 'a literal' : undefined
    const said = shown ?? `\`${this.text.slice(token.start, token.end)}\``
    const fix = hintForToken(this.tokens[this.#at - 1], token, this.peek(1))
    return this.stop(token.start, 'unparseable', `${said} stands where ${expected} is expected`, fix)
  }

  // ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A name that is no reserved word, unless quoted or behind a point. */
  name(expected = 'a name', afterPoint = false): Name {
    const token = this.peek()
    const bare = token.kind === 'name' && (afterPoint || !RESERVED.has(token.word))
    if (!bare && token.kind !== 'quoted') this.unexpected(expected)
    this.next()
    if (token.kind === 'name' && /^[0-9]/.test(token.value)) {
      this.hidden.push({ start: token.start, end: token.end, shown: `F${token.value.slice(1)}` })
    }
    return { text: token.value, quoted: token.kind === 'quoted', start: token.start, end: token.end }
  }

  /** An alias, with or without `AS`; `stops` are words that may not be one without `AS`. */
  alias(): Name | undefined {
    const explicit = this.take('AS')
    const token = this.peek()
    if (explicit) return this.#plain(this.name('an alias'))
    if (token.kind === 'quoted') {
      // ``FROM c`p.d.t` ``: one reader sees a path where the other sees an alias.
      if (this.#at > 0 && this.tokens[this.#at - 1]?.end === token.start) {
        this.stop(token.start, 'unparseable', 'an alias is glued to what it names', 'put `AS` between them')
      }
      return this.#plain(this.name())
    }
    if (token.kind !== 'name' || RESERVED.has(token.word) || this.#opensClause(token)) return undefined
    return this.name()
  }

  #opensClause(token: Token): boolean {
    const bracket = this.peek(1).word === '('
    if (bracket && /^(UN)?PIVOT$|^MATCH_RECOGNIZE$/.test(token.word)) return true
    return token.word === 'OFFSET' || (token.word === 'UNPIVOT' && /^(INCLUDE|EXCLUDE)$/.test(this.peek(1).word))
  }

  /** Aliases with points could pass for paths. */
  #plain(name: Name): Name {
    if (/[.`]/.test(name.text))
      this.stop(name.start, 'unsupported-alias', 'an alias with a point in it is not supported')
    return name
  }

  names(): Name[] {
    this.need('(')
    const names = [this.name()]
    while (this.take(',')) names.push(this.name())
    this.need(')')
    return names
  }

  /**
   * A table's path: `a.b`, `` `p-1.d.t` ``, `p-1.d.t`. Quoted parts are split at their points; a dashed first part must be
   * bare throughout and without blanks.
   */
  path(): Path {
    const start = this.peek().start
    const parts = [this.#firstPart()]
    while (this.take('.')) parts.push(this.name('a name', true))
    const end = this.tokens[this.#at - 1]?.end ?? start
    const names = parts.flatMap((part) => (part.quoted ? splitQuoted(part) : [part]))
    if (names.length > FIELDS || names.some((name) => name.text === '')) {
      this.stop(start, 'unparseable', `\`${this.text.slice(start, end)}\` is not a table's path`)
    }
    return { start, end, names }
  }

  #firstPart(): Name {
    const first = this.name('a table')
    if (first.quoted || !this.is('-')) return first
    let end = first.end
    let text = first.text
    while (this.is('-') && this.peek().start === end) {
      const part = this.peek(1)
      if ((part.kind !== 'name' && part.kind !== 'number') || part.start !== end + 1 || !/^\w+$/.test(part.value)) {
        this.next()
        this.unexpected('the rest of a dashed name without blanks (or write the path in backticks)')
      }
      this.next()
      this.next()
      text += `-${part.value}`
      end = part.end
    }
    return { text, quoted: false, start: first.start, end }
  }

  // ── queries ────────────────────────────────────────────────────────────────────────────────────────────────────

  #nest<T>(read: () => T): T {
    if (++this.#depth > DEPTH) this.stop(this.peek().start, 'too-deep', `the statement nests deeper than ${DEPTH}`)
    const value = read()
    this.#depth--
    return value
  }

  /** Whether a query, bracketed or not, is next. */
  opensQuery(): boolean {
    return this.isAny('SELECT', 'WITH', 'FROM') || this.#bracketsQuery(0)
  }

  /**
   * Whether the bracket `ahead` holds a query, and not an expression or join that begins with one:
   * `((SELECT 1) UNION ALL …)` does, `((SELECT 1) + 1)` and `((SELECT 1) JOIN t)` do not.
   */
  #bracketsQuery(ahead: number): boolean {
    if (this.peek(ahead).word !== '(') return false
    if (/^(SELECT|WITH|FROM)$/.test(this.peek(ahead + 1).word)) return true
    if (!this.#bracketsQuery(ahead + 1)) return false
    let close = ahead + 1
    for (let depth = 0; this.peek(close).kind !== 'end'; close++) {
      const { word } = this.peek(close)
      if (word === '(') depth++
      if (word === ')' && --depth === 0) break
    }
    return /^(UNION|INTERSECT|EXCEPT|ORDER|LIMIT|\|>|\))$/.test(this.peek(close + 1).word)
  }

  query(): Query {
    return this.#nest(() => {
      const { start } = this.peek()
      this.#queries++
      const recursive = this.is('WITH', 'RECURSIVE')
      const ctes = this.take('WITH') ? this.#ctes() : []
      const body = this.#set()
      const plain = body.is !== 'from'
      const orderBy = plain && this.take('ORDER', 'BY') ? this.#ordered() : []
      const isLimited = plain && this.take('LIMIT')
      if (isLimited) this.#limit()
      if (this.is('FOR', 'UPDATE')) this.unsupported('clause', '`FOR UPDATE`')
      const behind = orderBy.length > 0 || isLimited
      if (body.is === 'set' && behind && body.arms.at(-1)?.is === 'nested')
        this.beyond.push('set operation in brackets')
      if (this.#queries > 1 && (!plain || this.is('|>'))) this.beyond.push('pipe query in brackets')
      const named = body.is === 'nested' && this.is('AS') ? [this.#namedQuery()] : []
      const pipes = [...named, ...this.#pipes()]
      this.#queries--
      const limited = isLimited || pipes.some((pipe) => pipe.is === 'limit')
      return { start, recursive, ctes, body, orderBy, limited, pipes }
    })
  }

  // ── pipes ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** `(SELECT …) AS t |> …` */
  #namedQuery(): Pipe {
    if (this.peek(2).word !== '|>') this.unexpected('the end of the query')
    const { start } = this.need('AS')
    const alias = this.#plain(this.name('an alias'))
    this.hidden.push({ start, end: alias.end, shown: '' })
    return { is: 'as', start, alias }
  }

  #pipes(): Pipe[] {
    const pipes: Pipe[] = []
    while (this.take('|>')) pipes.push(this.#pipe())
    return pipes
  }

  #pipe(): Pipe {
    const { start, word } = this.peek()
    switch (word) {
      case 'SELECT': {
        const select = this.#selectHead()
        if (this.take('WINDOW')) select.windows = this.#windows()
        return { is: 'project', start, select }
      }
      case 'WINDOW':
        this.beyond.push('pipe operator')
        this.next()
        return { is: 'extend', start, items: this.#items(), windows: [] }
      case 'EXTEND': {
        this.next()
        const items = this.#items()
        return { is: 'extend', start, items, windows: this.take('WINDOW') ? this.#windows() : [] }
      }
      case 'SET':
        return this.#pipeSet(start)
      case 'DROP':
        this.next()
        return { is: 'drop', start, names: this.#list(() => this.name('a column')) }
      case 'RENAME':
        this.next()
        return { is: 'rename', start, items: this.#list(() => this.#renamed()) }
      case 'AS':
        this.next()
        return { is: 'as', start, alias: this.#plain(this.name('an alias')) }
      case 'WHERE':
        this.next()
        return { is: 'where', start, of: this.expression() }
      case 'AGGREGATE':
        return this.#aggregate(start)
      case 'ORDER':
        this.need('ORDER', 'BY')
        return { is: 'order', start, by: this.#ordered() }
      case 'LIMIT':
        this.next()
        this.#limit()
        return { is: 'limit', start }
      case 'DISTINCT':
        this.next()
        return { is: 'distinct', start }
      case 'TABLESAMPLE':
        this.next()
        this.#sample()
        return { is: 'limit', start }
      case 'WITH': {
        this.beyond.push('pipe operator')
        this.next()
        return { is: 'with', start, ctes: this.#ctes() }
      }
      case 'PIVOT':
      case 'UNPIVOT': {
        const pivot = this.#pivot()
        const alias = this.alias()
        return { is: 'pivot', start, pivot, ...(alias !== undefined && { alias }) }
      }
      case 'ASSERT':
        this.next()
        this.never(start, 'pipe', 'the pipe operator `ASSERT`')
        return { is: 'order', start, by: this.#list(() => this.expression()) }
      case 'STATIC_DESCRIBE':
      case 'DESCRIBE':
        this.next()
        this.never(start, 'pipe', `the pipe operator \`${word}\``)
        return { is: 'limit', start }
      case 'CALL': {
        this.next()
        return { is: 'call', start, function: this.#tableFunction(this.path()) }
      }
      default:
        return this.#pipeOfTwo(start, word)
    }
  }

  /** Joins and set operations: what brings in another table. */
  #pipeOfTwo(start: number, word: string): Pipe {
    if (this.#opensSet()) {
      const { byName } = this.#setOperator()
      const arms = this.#list(() => {
        if (!this.is('(')) this.unexpected('a query in brackets')
        return this.#bracketedQuery()
      })
      return { is: 'union', start, arms, ...(byName !== undefined && { byName }) }
    }
    if (this.isAny(...JOIN_WORDS)) {
      const { is: _, left: __, ...join } = this.#join({ is: 'unnest', start, of: NO_EXPRESSION })
      return { is: 'join', start, join }
    }
    if (this.isAny('FORK', 'TEE', 'IF', 'CREATE', 'INSERT', 'EXPORT', 'MATCH_RECOGNIZE', 'ALIGN'))
      return this.#branch(start)
    return this.unsupported('pipe', word === '' ? 'this pipe operator' : `the pipe operator \`${word}\``)
  }

  /** What ends a pipe query elsewhere than in an answer. */
  #branch(start: number): Pipe {
    this.beyond.push('pipe operator')
    const name = this.next().word
    this.never(start, 'pipe', `the pipe operator \`${name}\``)
    switch (name) {
      case 'FORK':
      case 'TEE':
        return { is: 'branch', start, name, branches: this.is('(') ? this.#list(() => this.#subpipes()) : [] }
      case 'IF':
        return this.#pipeIf(start)
      case 'MATCH_RECOGNIZE':
      case 'ALIGN':
        this.group()
        this.alias()
        return { is: 'branch', start, name, branches: [] }
      case 'EXPORT':
        this.#exportOptions()
        return { is: 'branch', start, name, branches: [] }
      case 'INSERT': {
        this.insertOr()
        this.take('INTO')
        const path = this.path()
        if (this.is('(')) this.names()
        this.dmlTail()
        return { is: 'branch', start, name, branches: [], target: { path, action: 'write' } }
      }
    }
    this.take('OR', 'REPLACE')
    if (!this.take('TEMP')) this.take('TEMPORARY')
    this.need('TABLE')
    return { is: 'branch', start, name, branches: [], target: { path: this.path(), action: 'define' } }
  }

  #subpipes(): Pipe[] {
    this.need('(')
    const pipes = this.#pipes()
    this.need(')')
    return pipes
  }

  /** Behind IF: `x THEN (|> …) ELSEIF y THEN (|> …) ELSE (|> …)` */
  #pipeIf(start: number): Pipe {
    const conditions: Expression[] = []
    const branches: Pipe[][] = []
    do {
      conditions.push(this.expression())
      this.need('THEN')
      branches.push(this.#subpipes())
    } while (this.take('ELSEIF'))
    if (this.take('ELSE')) branches.push(this.#subpipes())
    return { is: 'branch', start, name: 'IF', branches, conditions }
  }

  #exportOptions(): void {
    this.need('DATA')
    if (this.take('WITH', 'CONNECTION') && !this.take('DEFAULT')) this.path()
    if (this.take('OPTIONS')) this.group()
  }

  // ── what stands around DML ─────────────────────────────────────────────────────────────────────────────────────

  /** `INSERT OR IGNORE` */
  insertOr(): void {
    const { start } = this.peek()
    if (!this.take('OR')) return
    if (!this.isAny('IGNORE', 'REPLACE', 'UPDATE')) this.unexpected('`IGNORE`, `REPLACE` or `UPDATE`')
    this.never(start, 'clause', `\`INSERT OR ${this.next().word}\``, 'use `MERGE`')
  }

  /** `ON CONFLICT …`, `ASSERT_ROWS_MODIFIED n`, `THEN RETURN …`: no part of BigQuery's DML. */
  dmlTail(): void {
    for (;;) {
      const { start, word } = this.peek()
      if (this.take('ON', 'CONFLICT')) this.inert(() => this.#conflict())
      else if (this.take('ASSERT_ROWS_MODIFIED')) this.inert(() => this.expression())
      else if (this.take('THEN', 'RETURN')) {
        this.inert(() => {
          if (this.take('WITH', 'ACTION') && this.take('AS')) this.name('an alias')
          this.#items()
        })
      } else return
      this.never(start, 'clause', `\`${word}\` in this place`, 'leave it out')
    }
  }

  #conflict(): void {
    if (this.take('ON', 'UNIQUE', 'CONSTRAINT')) this.name('a constraint')
    else if (this.is('(')) this.names()
    this.need('DO')
    if (this.take('NOTHING')) return
    this.need('UPDATE')
    this.#pipeSet(this.peek().start)
    if (this.take('WHERE')) this.expression()
  }

  #pipeSet(start: number): Pipe {
    this.need('SET')
    const items = this.#list(() => {
      const name = this.name('a column')
      this.need('=')
      return { name, value: this.expression() }
    })
    return { is: 'set', start, items }
  }

  #renamed(): { from: Name; to: Name } {
    const from = this.name('a column')
    this.take('AS')
    return { from, to: this.name('a new name') }
  }

  /** `AGGREGATE SUM(a) AS s DESC GROUP AND ORDER BY b AS c` */
  #aggregate(start: number): Pipe {
    this.need('AGGREGATE')
    const items: Item[] = []
    while (!this.isAny('GROUP', '|>', ')', ';') && this.peek().kind !== 'end') {
      items.push(this.#item())
      this.#direction()
      if (!this.take(',')) break
    }
    if (items.length === 0) this.beyond.push('pipe operator')
    if (!this.take('GROUP')) return { is: 'aggregate', start, items, groupBy: [] }
    this.take('AND', 'ORDER')
    this.need('BY')
    const groupBy: Aliased[] = []
    do {
      if (this.isAny('|>', ')', ';') || this.peek().kind === 'end') break
      for (const value of this.#grouping()) {
        const alias = this.alias()
        groupBy.push(alias === undefined ? { value } : { value, alias })
      }
      this.#direction()
    } while (this.take(','))
    return { is: 'aggregate', start, items, groupBy }
  }

  #direction(): void {
    if (!this.take('ASC')) this.take('DESC')
    if (this.take('NULLS') && !this.take('FIRST')) this.need('LAST')
  }

  /** One or more, with commas; one may stand behind the last where an operator or the end follows. */
  #list<T>(read: () => T): T[] {
    const items = [read()]
    while (this.take(',') && !this.isAny('|>', ')', ';') && this.peek().kind !== 'end') items.push(read())
    return items
  }

  // ── parts of queries ───────────────────────────────────────────────────────────────────────────────────────────

  #limit(): void {
    if (!this.take('ALL')) this.#constant()
    if (this.take('OFFSET')) this.#constant()
  }

  /** A number or a parameter. No tree holds it, so it may not hold more. */
  #constant(): void {
    const from = this.#at
    const { start, kind } = this.peek()
    if (kind === 'string' || kind === 'bytes') this.unexpected('a number or a parameter')
    this.inert(() => this.expression())
    if (this.#at !== from + 1 || (kind !== 'number' && kind !== 'parameter'))
      this.never(start, 'limit', 'a number that is computed here', 'write a number or a parameter')
  }

  #ctes(): Cte[] {
    this.take('RECURSIVE')
    const ctes: Cte[] = []
    do {
      const name = this.#plain(this.name('the name of a common table expression'))
      this.need('AS')
      this.need('(')
      ctes.push({ name, query: this.query() })
      this.need(')')
      if (this.is('WITH', 'DEPTH')) this.unsupported('clause', '`WITH DEPTH`')
    } while (this.take(',') && !this.is('|>'))
    return ctes
  }

  #set(): Body {
    const { start } = this.peek()
    const arms = [this.#arm()]
    let operator: string | undefined
    let byName: ByName | undefined
    while (this.#opensSet()) {
      const next = this.#setOperator()
      if (operator !== undefined && operator !== next.operator) {
        this.stop(
          start,
          'unparseable',
          'different set operations stand side by side',
          'put brackets around one of them',
        )
      }
      operator = next.operator
      byName = next.byName
      arms.push(this.#arm())
    }
    const [only] = arms
    if (arms.length === 1 && only !== undefined) return only
    if (arms.some((arm) => arm.is === 'from'))
      this.stop(start, 'unparseable', '`FROM` cannot be a side of a set operation')
    return { is: 'set', start, arms, ...(byName !== undefined && { byName }) }
  }

  /** `UNION`, `LEFT OUTER UNION`, … */
  #opensSet(ahead = 0): boolean {
    const { word } = this.peek(ahead)
    if (/^(UNION|INTERSECT|EXCEPT)$/.test(word)) return true
    if (!/^(FULL|LEFT|INNER|OUTER)$/.test(word)) return false
    return /^(UNION|INTERSECT|EXCEPT)$/.test(this.peek(ahead + (this.peek(ahead + 1).word === 'OUTER' ? 2 : 1)).word)
  }

  #setOperator(): { operator: string; byName?: ByName } {
    const from = this.#at
    const side = this.isAny('FULL', 'LEFT', 'INNER') ? this.next().word : this.is('OUTER') ? 'FULL' : undefined
    this.take('OUTER')
    this.next()
    if (!this.isAny('ALL', 'DISTINCT')) this.unexpected('`ALL` or `DISTINCT`')
    this.next()
    const strict = this.take('STRICT')
    const corresponding = this.take('CORRESPONDING')
    const named = !corresponding && this.take('BY', 'NAME')
    if (!corresponding && !named) {
      if (side !== undefined || strict) this.unexpected('`CORRESPONDING` or `BY NAME`')
      return { operator: this.#words(from) }
    }
    const listed = this.isAny('ON', 'BY')
    if (listed) this.next()
    const names = listed ? this.names() : undefined
    if (side !== undefined || !named || listed) this.beyond.push('set operation by name')
    const keeps =
      side === 'FULL'
        ? 'all'
        : side === 'LEFT'
          ? 'first'
          : side === 'INNER'
            ? 'shared'
            : named || strict
              ? 'same'
              : 'shared'
    return { operator: this.#words(from), byName: { keeps, ...(names !== undefined && { names }) } }
  }

  /** The words from a token up to the next one. */
  #words(from: number): string {
    return this.tokens
      .slice(from, this.#at)
      .map((token) => token.word || token.value)
      .join(' ')
  }

  #arm(): Body {
    const { start } = this.peek()
    if (this.take('(')) {
      const query = this.query()
      this.need(')')
      return { is: 'nested', start, query }
    }
    if (this.take('FROM')) return { is: 'from', start, from: this.from() }
    if (!this.is('SELECT')) this.unexpected('`SELECT`')
    return this.#select()
  }

  #select(): Select {
    const select = this.#selectHead()
    if (this.take('FROM')) select.from = this.from()
    if (this.take('WHERE')) select.where = this.expression()
    if (this.take('GROUP')) select.groupBy = this.#groupBy()
    if (this.take('HAVING')) select.having = this.expression()
    if (this.take('QUALIFY')) select.qualify = this.expression()
    if (this.take('WINDOW')) select.windows = this.#windows()
    return select
  }

  /** `SELECT DISTINCT AS STRUCT a, b` */
  #selectHead(): Mutable<Select> {
    const { start } = this.need('SELECT')
    const clause = this.is('WITH') ? this.#selectWith() : undefined
    const distinct = this.take('DISTINCT')
    if (!distinct) this.take('ALL')
    const as = this.is('AS') ? this.#selectAs() : undefined
    const select: Mutable<Select> = { is: 'select', start, distinct, items: this.#items(), groupBy: [], windows: [] }
    if (as !== undefined) select.as = as
    if (clause !== undefined) select.with = clause
    return select
  }

  /** `WITH DIFFERENTIAL_PRIVACY OPTIONS (…)` */
  #selectWith(): string {
    this.need('WITH')
    this.beyond.push('SELECT WITH')
    const name = this.name('the name of a clause').text
    if (this.is('OPTIONS', '(', ')')) this.take('OPTIONS', '(', ')')
    else if (this.take('OPTIONS')) {
      this.need('(')
      do {
        this.name('the name of an option')
        this.need('=')
        if (this.peek().kind === 'number' || this.peek().kind === 'string') this.#primary()
        else this.name('a value')
      } while (this.take(','))
      this.need(')')
    }
    return name
  }

  #selectAs(): 'STRUCT' | 'VALUE' {
    this.need('AS')
    if (this.take('STRUCT')) return 'STRUCT'
    if (this.take('VALUE')) return 'VALUE'
    const { start } = this.peek()
    this.path()
    this.never(start, 'type', 'a type of this name', 'write `AS STRUCT` or `AS VALUE`')
    return 'STRUCT'
  }

  #items(): Item[] {
    const items = [this.#item()]
    // A comma may stand behind the last item.
    while (this.take(',') && !this.isAny('FROM', ')', ';', '|>') && this.peek().kind !== 'end') items.push(this.#item())
    return items
  }

  #item(): Item {
    const { start } = this.peek()
    if (this.take('*')) return this.#star(start)
    const value = this.expression()
    if (this.take('.', '*')) return this.#star(start, value)
    const alias = this.alias()
    return alias === undefined ? { is: 'value', value } : { is: 'value', value, alias }
  }

  #star(start: number, of?: Expression): Star {
    const from = this.peek().start
    const asterisk = this.tokens[this.#at - 1]?.end ?? from
    const except = this.take('EXCEPT') ? this.names() : []
    const behind = except.at(-1)?.end ?? asterisk
    const end = this.tokens[this.#at - 1]?.end ?? from
    if (except.length > 0 && this.is('REPLACE')) this.hidden.push({ start: from, end, shown: '' })
    const replace: { value: Expression; alias: Name }[] = []
    if (this.take('REPLACE')) {
      this.need('(')
      do {
        const value = this.expression()
        this.need('AS')
        replace.push({ value, alias: this.name('the column to replace') })
      } while (this.take(','))
      this.need(')')
    }
    return { is: 'star', start, behind, except, replace, ...(of !== undefined && { of }) }
  }

  #groupBy(): Expression[] {
    this.need('BY')
    if (this.take('ALL')) return []
    const items: Expression[] = []
    do items.push(...this.#grouping())
    while (this.take(','))
    return items
  }

  #grouping(): Expression[] {
    if (this.take('(', ')')) return []
    const sets = this.take('GROUPING', 'SETS')
    if (!sets && !(this.isAny('ROLLUP', 'CUBE') && this.peek(1).word === '(')) return [this.expression()]
    if (!sets) this.next()
    this.need('(')
    const items: Expression[] = []
    do {
      items.push(...this.#grouping())
    } while (this.take(','))
    this.need(')')
    return items
  }

  #windows(): { name: Name; window: Window }[] {
    const windows: { name: Name; window: Window }[] = []
    do {
      const name = this.name('the name of a window')
      this.need('AS')
      windows.push({ name, window: this.#window() })
    } while (this.take(','))
    return windows
  }

  #ordered(): Expression[] {
    const items: Expression[] = []
    do {
      items.push(this.expression())
      if (this.take('COLLATE')) {
        this.beyond.push('COLLATE')
        const { kind } = this.peek()
        if (kind !== 'string' && kind !== 'parameter') this.unexpected('a string or a parameter')
        this.#primary()
      }
      this.#direction()
    } while (this.take(','))
    return items
  }

  // ── FROM ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Commas and joins bind alike, from the left: `a, b JOIN c ON …` may name `a` in its condition. */
  from(commas = true): FromItem {
    return this.#nest(() => {
      const first = this.#primaryItem()
      const joins: Joined[] = []
      for (;;) {
        const { start } = this.peek()
        if (commas && this.take(',')) joins.push({ start, kind: ',', right: this.#primaryItem(), using: [] })
        else if (this.isAny(...JOIN_WORDS) && !this.#opensSet()) joins.push(this.#joined())
        else if (joins.length > 0 && this.isAny('ON', 'USING') && this.peek(1).word !== 'CONFLICT') this.#nested(joins)
        else break
      }
      for (const join of joins) this.#needsCondition(join)
      return joins.reduce<FromItem>((left, join) => ({ is: 'join', left, ...join }), first)
    })
  }

  /** `a JOIN b JOIN c ON x ON y` is `a JOIN (b JOIN c ON x) ON y`: `y` is next, and belongs to the last join without one. */
  #nested(joins: Joined[]): void {
    const open = joins.findLastIndex(({ kind, on, using }) => /^(,|CROSS)$/.test(kind) || isOpen(on, using))
    const last = joins.findLastIndex(({ kind, on, using }) => !/^(,|CROSS)$/.test(kind) && isOpen(on, using))
    const comma = joins.findLastIndex(({ kind }) => kind === ',')
    const join = joins[last]
    if (open === -1 || join === undefined || last < comma) return this.unexpected('another join')
    this.beyond.push('nested join')
    const inside = joins.splice(last + 1)
    for (const inner of inside) this.#needsCondition(inner)
    join.right = inside.reduce<FromItem>((left, inner) => ({ is: 'join', left, ...inner }), join.right)
    this.#condition(join)
  }

  #needsCondition({ start, kind, on, using }: Joined): void {
    // `FROM t JOIN t.items`: a join with an array path or UNNEST needs no condition.
    if (!isOpen(on, using) || !/^(RIGHT|FULL)$/.test(kind)) return
    this.stop(start, 'unparseable', `a \`${kind} JOIN\` needs \`ON\` or \`USING\``)
  }

  #condition(join: Joined): void {
    if (this.take('ON')) join.on = this.expression()
    else if (this.take('USING')) join.using = this.names()
  }

  #joined(): Joined {
    const { start } = this.peek()
    const join: Joined = { start, kind: this.#joinKind(), right: this.#primaryItem(), using: [] }
    if (join.kind !== 'CROSS') this.#condition(join)
    return join
  }

  #join(left: FromItem): JoinItem {
    const join = this.#joined()
    this.#needsCondition(join)
    return { is: 'join', left, ...join }
  }

  #joinKind(): string {
    if (this.take('CROSS')) {
      this.need('JOIN')
      return 'CROSS'
    }
    let kind = 'INNER'
    const { start } = this.peek()
    if (this.take('NATURAL')) this.never(start, 'join', '`NATURAL JOIN`', 'name the columns: `USING (…)`')
    if (this.isAny('LEFT', 'RIGHT', 'FULL')) {
      kind = this.next().word
      this.take('OUTER')
    } else this.take('INNER')
    if (this.take('HASH') || this.take('LOOKUP')) this.never(start, 'join', 'a hint about a join', 'leave it out')
    this.need('JOIN')
    return kind
  }

  /** One table, subquery, call or array, without joins. */
  source(): FromItem {
    return this.#primaryItem()
  }

  #primaryItem(): FromItem {
    const { start } = this.peek()
    if (this.is('LATERAL')) this.unsupported('join', '`LATERAL`')
    if (this.is('UNNEST')) return this.#unnest()
    if (this.is('(')) return this.#bracketed(start)
    return this.#tableItem()
  }

  #bracketed(start: number): FromItem {
    if (this.#bracketsQuery(0)) {
      this.need('(')
      const query = this.query()
      this.need(')')
      const alias = this.alias()
      return this.#sampled(this.#pivoted({ is: 'subquery', start, query, ...(alias !== undefined && { alias }) }))
    }
    this.need('(')
    const item = this.from(false)
    this.need(')')
    return this.#sampled(item)
  }

  /** BigQuery takes samples of tables only. */
  #sampled(item: FromItem): FromItem {
    const { start } = this.peek()
    if (!this.take('TABLESAMPLE')) return item
    this.never(start, 'tablesample', 'a sample of what is no table')
    this.#sample()
    return item
  }

  #unnest(): FromItem {
    const { start } = this.need('UNNEST')
    this.need('(')
    const of = this.#zipped(this.expression())
    this.need(')')
    const alias = this.alias()
    const offset = this.#offset()
    this.#noPivot()
    return this.#sampled({
      is: 'unnest',
      start,
      of,
      ...(alias !== undefined && { alias }),
      ...(offset !== undefined && { offset }),
    })
  }

  /** `UNNEST(a AS x, b AS y, mode => 'PAD')`, behind the first array. */
  #zipped(first: Expression): Expression {
    const { start } = this.peek()
    if (!this.is(',') && !this.is('AS')) return first
    this.never(start, 'unnest', '`UNNEST` of several arrays', 'join them by `WITH OFFSET`')
    if (this.take('AS')) this.name('an alias')
    const items = [first]
    while (this.take(',')) {
      if (this.peek(1).word === '=>') {
        this.name('an argument')
        this.next()
      }
      items.push(this.expression())
      if (this.take('AS')) this.name('an alias')
    }
    return { is: 'array', start, items, type: undefined }
  }

  /** `WITH OFFSET [AS o]`; its name is `offset` where none is given. */
  #offset(): Name | undefined {
    const { start, end } = this.peek()
    if (!this.take('WITH', 'OFFSET')) return undefined
    if (this.is('OFFSET')) return this.name('an alias')
    return this.alias() ?? { text: 'offset', quoted: false, start, end }
  }

  #tableItem(): FromItem {
    const path = this.path()
    if (this.is('(')) return this.#sampled(this.#pivoted(this.#tableFunction(path)))
    const aliasEarly = this.alias()
    const offset = this.#offset()
    const extra: Expression[] = []
    const clauses: { start: number; end: number }[] = []
    let fixed: string | undefined
    let { start } = this.peek()
    const clause = (): number => clauses.push({ start, end: this.tokens[this.#at - 1]?.end ?? start })
    if (this.take('FOR')) {
      fixed = 'time-travel'
      extra.push(this.asOf())
      clause()
    }
    const alias = aliasEarly ?? (fixed === undefined ? undefined : this.alias())
    start = this.peek().start
    if (this.take('TABLESAMPLE')) {
      fixed ??= 'tablesample'
      this.#sample()
      clause()
    }
    return this.#pivoted({
      is: 'table',
      start: path.start,
      path,
      extra,
      ...(alias !== undefined && { alias }),
      ...(offset !== undefined && { offset }),
      ...(fixed !== undefined && { fixed, clauses }),
    })
  }

  /** A call in the place of a table; its opening bracket is next. */
  #tableFunction(path: Path): FunctionItem {
    this.need('(')
    const given: Argument[] = []
    if (!this.is(')')) {
      do given.push(this.#argument())
      while (this.take(','))
    }
    this.need(')')
    const alias = this.alias()
    const name = path.names.map((part) => part.text.toUpperCase()).join('.')
    const item: FunctionItem = { is: 'function', start: path.start, path, name, arguments: given }
    return alias === undefined ? item : { ...item, alias }
  }

  #argument(): Argument {
    if (this.peek(1).word === '=>') {
      this.name('an argument')
      this.next()
    }
    // What else may stand behind these words, another reader takes for a table.
    if (this.is('INPUT', 'TABLE')) return { is: 'value', value: this.#inputTable() }
    if (this.isAny('TABLE', 'MODEL')) {
      const is = this.next().word === 'TABLE' ? 'table' : 'model'
      return { is, path: this.path() }
    }
    if (this.isAny('CONNECTION', 'DESCRIPTOR') && !this.#endsArgument(1)) return { is: 'value', value: this.#handle() }
    if (this.isAny('SELECT', 'WITH', 'FROM')) this.unsupported('call', 'a query without brackets as an argument')
    if (this.#bracketsQuery(0)) return { is: 'query', query: this.#bracketedQuery() }
    return { is: 'value', value: this.expression() }
  }

  #endsArgument(ahead: number): boolean {
    return /^[,)]$/.test(this.peek(ahead).word)
  }

  /** The rows before `|> CALL f(INPUT TABLE)`. */
  #inputTable(): Expression {
    const { start } = this.need('INPUT', 'TABLE')
    this.never(start, 'call', 'an `INPUT TABLE` argument')
    if (!this.#endsArgument(0)) this.unexpected('`,` or `)`')
    return NO_EXPRESSION
  }

  /** `CONNECTION c`, `DESCRIPTOR(a, b)`: neither names data. */
  #handle(): Expression {
    const { start, word } = this.next()
    this.never(start, 'call', `a \`${word}\` argument`)
    if (word === 'DESCRIPTOR') this.group()
    else if (!this.take('DEFAULT')) this.path()
    return NO_EXPRESSION
  }

  /** With what pivots it, if anything does. */
  #pivoted(of: FromItem): FromItem {
    const { start } = this.peek()
    if (this.is('MATCH_RECOGNIZE', '(')) return this.#matched(of)
    if (!this.#opensPivot()) {
      this.#noPivot()
      return of
    }
    const pivot = this.#pivot()
    const alias = this.alias()
    this.#noPivot()
    return { is: 'pivot', start, of, pivot, ...(alias !== undefined && { alias }) }
  }

  /** `t MATCH_RECOGNIZE (…) AS m`: nothing of `t` is in view behind it. */
  #matched(of: FromItem): FromItem {
    const { start } = this.next()
    this.never(start, 'match-recognize', '`MATCH_RECOGNIZE`')
    this.group()
    const alias = this.alias()
    const pivot: Pivot = { is: 'pivot', start, aggregates: [], for: NO_EXPRESSION, values: [] }
    return { is: 'pivot', start, of, pivot, ...(alias !== undefined && { alias }) }
  }

  #opensPivot(): boolean {
    const behind = this.peek(1).word
    return (this.is('PIVOT') && behind === '(') || (this.is('UNPIVOT') && /^(\(|INCLUDE|EXCLUDE)$/.test(behind))
  }

  #pivot(): Pivot {
    const { start } = this.peek()
    if (this.next().word === 'UNPIVOT') return this.#unpivot(start)
    this.need('(')
    const aggregates = this.#list(() => this.#aliased())
    this.need('FOR')
    // Not a whole expression: IN belongs to PIVOT.
    const by = this.#bitOr()
    this.need('IN', '(')
    if (this.isAny('SELECT', 'WITH', 'FROM', 'ANY')) this.unsupported('pivot', 'a query in `PIVOT`')
    const values = this.#list(() => this.#aliased())
    this.need(')', ')')
    return { is: 'pivot', start, aggregates, for: by, values }
  }

  #aliased(): Aliased {
    const value = this.expression()
    const alias = this.alias()
    return alias === undefined ? { value } : { value, alias }
  }

  #unpivot(start: number): Pivot {
    if (this.isAny('INCLUDE', 'EXCLUDE')) {
      this.next()
      this.need('NULLS')
    }
    this.need('(')
    const columns = this.is('(') ? this.names() : [this.name('a column')]
    this.need('FOR')
    const name = this.name('a column')
    this.need('IN', '(')
    const groups = this.#list(() => {
      const of = this.is('(') ? this.names() : [this.name('a column')]
      const labelled = this.take('AS') || /^(string|number)$/.test(this.peek().kind)
      return { columns: of, label: labelled ? this.#label() : undefined }
    })
    this.need(')', ')')
    if (groups.some((group) => group.columns.length !== columns.length)) {
      this.stop(start, 'unparseable', '`UNPIVOT` takes as many columns as it makes')
    }
    return { is: 'unpivot', start, columns, name, groups }
  }

  #label(): Expression {
    if (!/^(string|number)$/.test(this.peek().kind)) this.unexpected('a string or a number')
    return this.#primary()
  }

  /** Behind `FOR`. */
  asOf(): Expression {
    if (!this.take('SYSTEM_TIME')) this.need('SYSTEM', 'TIME')
    this.need('AS', 'OF')
    return this.expression()
  }

  #sample(): void {
    const { start } = this.peek()
    let isPlain = this.name('`SYSTEM`').text.toUpperCase() === 'SYSTEM'
    this.need('(')
    this.#constant()
    if (this.take('ROWS')) isPlain = false
    else this.need('PERCENT')
    if (this.take('PARTITION', 'BY')) {
      isPlain = false
      this.inert(() => this.#list(() => this.expression()))
    }
    this.need(')')
    if (this.take('WITH', 'WEIGHT')) {
      isPlain = false
      this.alias()
    }
    if (this.take('REPEATABLE')) {
      isPlain = false
      this.need('(')
      this.#constant()
      this.need(')')
    }
    if (!isPlain) this.never(start, 'tablesample', 'a sample of this kind', 'write `TABLESAMPLE SYSTEM (n PERCENT)`')
  }

  #noPivot(): void {
    const { word } = this.peek()
    if (/^(UN)?PIVOT$/.test(word)) this.unsupported('pivot', `\`${word}\``, 'use conditional aggregation instead')
  }

  // ── expressions ────────────────────────────────────────────────────────────────────────────────────────────────

  expression(): Expression {
    return this.#nest(() => this.#or())
  }

  #chain(words: readonly string[], operand: () => Expression): Expression {
    const { start } = this.peek()
    const operands = [operand()]
    let operator = ''
    while (this.isAny(...words)) {
      operator = this.next().word
      operands.push(operand())
    }
    const [only] = operands
    return operands.length === 1 && only !== undefined ? only : { is: 'operator', start, operator, operands }
  }

  #or(): Expression {
    return this.#chain(['OR'], () => this.#chain(['AND'], () => this.#not()))
  }

  #not(): Expression {
    const { start } = this.peek()
    if (!this.take('NOT')) return this.#comparison()
    return { is: 'operator', start, operator: 'NOT', operands: [this.#nest(() => this.#not())] }
  }

  #comparison(): Expression {
    const { start } = this.peek()
    let left = this.#bitOr()
    for (;;) {
      if (this.isAny('=', '<', '>', '<=', '>=', '<>', '!=')) {
        const operator = this.next().word
        left = { is: 'operator', start, operator, operands: [left, this.#bitOr()] }
      } else if (this.take('IS')) left = { is: 'operator', start, operator: 'IS', operands: [left, ...this.#is()] }
      else if (
        this.isAny('LIKE', 'BETWEEN', 'IN') ||
        (this.is('NOT') && /^(LIKE|BETWEEN|IN)$/.test(this.peek(1).word))
      ) {
        this.take('NOT')
        left = this.#membership(start, left)
      } else return left
    }
  }

  #is(): Expression[] {
    this.take('NOT')
    if (this.take('DISTINCT', 'FROM')) return [this.#bitOr()]
    if (!this.isAny('NULL', 'TRUE', 'FALSE', 'UNKNOWN')) this.unexpected('`NULL`, `TRUE`, `FALSE` or `DISTINCT FROM`')
    this.next()
    return []
  }

  #membership(start: number, left: Expression): Expression {
    const operator = this.next().word
    if (operator === 'BETWEEN') {
      const low = this.#bitOr()
      this.need('AND')
      return { is: 'operator', start, operator, operands: [left, low, this.#bitOr()] }
    }
    if (operator === 'LIKE' && !this.isAny('ANY', 'SOME', 'ALL')) {
      return { is: 'operator', start, operator, operands: [left, this.#bitOr()] }
    }
    if (operator === 'LIKE') this.next()
    if (this.take('UNNEST')) {
      this.need('(')
      const array = this.expression()
      this.need(')')
      return { is: 'operator', start, operator, operands: [left, array] }
    }
    if (this.is('(') && this.#bracketsQuery(0)) {
      this.need('(')
      const query = this.query()
      this.need(')')
      return { is: 'in', start, of: left, query }
    }
    return { is: 'operator', start, operator, operands: [left, ...this.#bracketedList()] }
  }

  #bracketedList(): Expression[] {
    this.need('(')
    const items = [this.expression()]
    while (this.take(',')) items.push(this.expression())
    this.need(')')
    return items
  }

  #bitOr(): Expression {
    return this.#chain(['|'], () => this.#chain(['^'], () => this.#chain(['&'], () => this.#shift())))
  }

  #shift(): Expression {
    const { start } = this.peek()
    let left = this.#sum()
    for (;;) {
      // `>>` is two tokens, as in `ARRAY<STRUCT<a INT64>>`.
      const right = this.is('>', '>') && this.peek().end === this.peek(1).start
      if (!right && !this.is('<<')) return left
      this.next()
      if (right) this.next()
      left = { is: 'operator', start, operator: right ? '>>' : '<<', operands: [left, this.#sum()] }
    }
  }

  #sum(): Expression {
    return this.#chain(['+', '-'], () => this.#chain(['*', '/', '||'], () => this.#unary()))
  }

  #unary(): Expression {
    const { start } = this.peek()
    if (!this.isAny('-', '+', '~')) return this.#postfix()
    const operator = this.next().word
    return { is: 'operator', start, operator: `unary ${operator}`, operands: [this.#nest(() => this.#unary())] }
  }

  #postfix(): Expression {
    let of = this.#primary()
    for (let count = 0; ; count++) {
      const { start } = this.peek()
      if (count > FIELDS) this.stop(start, 'too-deep', `a path has more than ${FIELDS} parts`)
      if (this.is('.') && this.peek(1).word !== '*') {
        this.next()
        const names = this.is('(') ? this.#chainedName() : [this.name('a field', true)]
        const [name] = names
        if (name === undefined || this.is('(')) of = this.#call(of.start, names, of)
        else of = { is: 'field', start: of.start, of, name }
      } else if (this.take('[')) {
        const index = this.expression()
        this.need(']')
        of = { is: 'element', start: of.start, of, index }
      } else return of
    }
  }

  /** `.(NET.HOST)` before the brackets of its call. */
  #chainedName(): Name[] {
    this.need('(')
    const names = [this.name('a function')]
    while (this.take('.')) names.push(this.name('a function', true))
    this.need(')')
    if (!this.is('(')) this.unexpected('`(`')
    return names
  }

  #primary(): Expression {
    const token = this.peek()
    switch (token.kind) {
      case 'number':
        this.next()
        return this.#literal(token, literalType(token))
      case 'string':
      case 'bytes':
        this.next()
        this.#moreText(token.kind)
        return this.#literal(token, literalType(token))
      case 'parameter':
        this.next()
        if (token.value === '') this.positional++
        return { is: 'parameter', start: token.start, name: token.value === '' ? undefined : token.value }
      case 'quoted':
        return this.#pathOrCall()
      case 'name':
        return this.#word(token)
      default:
        return this.#symbol(token)
    }
  }

  /** `'a' 'b'` is one literal in ZetaSQL. */
  #moreText(kind: Token['kind']): void {
    const { start } = this.peek()
    // Glued (`'don''t'`), it is another dialect's way to write a quote.
    if (this.peek().kind !== kind || this.tokens[this.#at - 1]?.end === start) return
    while (this.peek().kind === kind) this.next()
    this.never(start, 'literal', 'a literal in several parts', 'join them by `||`')
  }

  #symbol(token: Token): Expression {
    if (this.take('@@')) {
      this.never(token.start, 'variable', 'a system variable')
      this.name('a variable', true)
      return NO_EXPRESSION
    }
    if (this.is('[')) return this.#array(token.start, undefined)
    if (!this.is('(')) this.unexpected('an expression')
    if (this.#bracketsQuery(0)) {
      return { is: 'subquery', start: token.start, as: 'scalar', query: this.#bracketedQuery() }
    }
    const items = this.#bracketedList()
    const [only] = items
    if (items.length === 1 && only !== undefined) return only
    return { is: 'struct', start: token.start, items: items.map((value) => ({ value })), type: undefined }
  }

  #bracketedQuery(): Query {
    this.need('(')
    const query = this.query()
    this.need(')')
    return query
  }

  #literal(token: Token, type: SqlType | undefined, truth?: boolean): Expression {
    const text = this.text.slice(token.start, token.end)
    return { is: 'literal', start: token.start, type, text, ...(truth !== undefined && { truth }) }
  }

  /** What begins with a bare word: literals, special forms, typed literals; else a path or a call. */
  #word(token: Token): Expression {
    const { start, word } = token
    const behind = this.peek(1)
    switch (word) {
      case 'NULL':
        this.next()
        return this.#literal(token, undefined)
      case 'TRUE':
      case 'FALSE':
        this.next()
        return this.#literal(token, { kind: 'BOOL' }, word === 'TRUE')
      case 'CASE':
        return this.#case(start)
      case 'CAST':
      case 'SAFE_CAST':
        if (behind.word === '(') return this.#cast(start)
        break
      case 'EXTRACT':
        if (behind.word === '(') return this.#extract(start)
        break
      case 'EXISTS':
        this.next()
        return { is: 'subquery', start, as: 'exists', query: this.#bracketedQuery() }
      case 'INTERVAL':
        return this.#interval(start)
      case 'ARRAY':
        return this.#arrayWord(start)
      case 'STRUCT':
        return this.#struct(start)
      case 'NEW':
        return this.unsupported('new', '`NEW`')
      case 'RANGE':
        if (behind.word === '<') return this.unsupported('range', 'a RANGE literal', 'use `RANGE(a, b)`')
        break
    }
    const type = TYPES.get(word)
    if (type !== undefined && behind.kind === 'string' && LITERAL_TYPES.has(type)) {
      this.next()
      this.next()
      this.#moreText('string')
      return { is: 'literal', start, type: { kind: type }, text: '' }
    }
    return this.#pathOrCall()
  }

  #case(start: number): Expression {
    this.need('CASE')
    const tests = this.is('WHEN') ? [] : [this.expression()]
    const results: Expression[] = []
    if (!this.is('WHEN')) this.unexpected('`WHEN`')
    while (this.take('WHEN')) {
      tests.push(this.expression())
      this.need('THEN')
      results.push(this.expression())
    }
    if (this.take('ELSE')) results.push(this.expression())
    this.need('END')
    return { is: 'case', start, tests, results }
  }

  #cast(start: number): Expression {
    this.next()
    this.need('(')
    const of = this.expression()
    this.need('AS')
    const to = this.type()
    const extra = this.take('FORMAT') ? [this.expression()] : []
    if (this.take('AT', 'TIME', 'ZONE')) extra.push(this.expression())
    this.need(')')
    return { is: 'cast', start, of, to, extra }
  }

  #extract(start: number): Expression {
    this.next()
    this.need('(')
    const part = this.name('a date part').text.toUpperCase()
    if (this.is('(')) {
      this.need('(')
      this.name('a weekday')
      this.need(')')
    }
    this.need('FROM')
    const of = this.expression()
    const extra = this.take('AT', 'TIME', 'ZONE') ? [this.expression()] : []
    this.need(')')
    return { is: 'extract', start, part, of, extra }
  }

  #interval(start: number): Expression {
    this.need('INTERVAL')
    const of = this.expression()
    this.#part()
    if (this.take('TO')) this.#part()
    return { is: 'interval', start, of }
  }

  #part(): void {
    if (!DATE_PARTS.has(this.peek().word)) this.unexpected('a date part')
    this.next()
  }

  #arrayWord(start: number): Expression {
    this.need('ARRAY')
    if (this.is('(')) return { is: 'subquery', start, as: 'array', query: this.#bracketedQuery() }
    let type: SqlType | undefined
    if (this.take('<')) {
      type = { kind: 'ARRAY', of: this.type() }
      this.need('>')
    }
    return this.#array(start, type)
  }

  #array(start: number, type: SqlType | undefined): Expression {
    this.need('[')
    const items: Expression[] = []
    if (!this.is(']')) {
      do items.push(this.expression())
      while (this.take(','))
    }
    this.need(']')
    return { is: 'array', start, items, type }
  }

  #struct(start: number): Expression {
    this.need('STRUCT')
    const type = this.is('<') ? this.#structType() : undefined
    this.need('(')
    const items: Aliased[] = []
    if (!this.is(')')) {
      do {
        const value = this.expression()
        const alias = this.take('AS') ? this.name('the name of a field') : undefined
        items.push(alias === undefined ? { value } : { value, alias })
      } while (this.take(','))
    }
    this.need(')')
    return { is: 'struct', start, items, type }
  }

  // ── paths and calls ────────────────────────────────────────────────────────────────────────────────────────────

  #pathOrCall(): Expression {
    const { start, word } = this.peek()
    if (RESERVED.has(word) && !(CALLABLE.has(word) && this.peek(1).word === '(')) this.unexpected('an expression')
    const token = this.next()
    const names: Name[] = [{ text: token.value, quoted: token.kind === 'quoted', start, end: token.end }]
    while (this.is('.') && (this.peek(1).kind === 'name' || this.peek(1).kind === 'quoted')) {
      this.next()
      if (names.length > FIELDS) this.stop(start, 'too-deep', `a path has more than ${FIELDS} parts`)
      names.push(this.name('a field', true))
      if (this.is('(')) return this.#call(start, names)
    }
    if (this.is('(')) return this.#call(start, names)
    // A column of this name; the second reader takes what follows for a table.
    if (word === 'TABLE' && names.length === 1) this.hidden.push({ start, end: token.end, shown: 'F' })
    return { is: 'path', start, names }
  }

  /** `of` is the value that a chained call begins with. */
  #call(start: number, names: readonly Name[], of?: Expression): Call {
    let name = names.map((n) => n.text.toUpperCase()).join('.')
    const routine = this.#routine(start, names)
    if (name.startsWith('SAFE.')) name = name.slice('SAFE.'.length)
    const [only, member] = names
    // Good calls that the second reader takes for something else. No table can stand in a name.
    if (name === 'RANGE' && only !== undefined) this.hidden.push({ start: only.start, end: only.end, shown: 'F' })
    if (member?.text.toUpperCase() === 'EXTRACT') this.hidden.push({ start: member.start, end: member.end, shown: 'F' })
    this.need('(')
    const call: Mutable<Call> = { is: 'call', start, name, arguments: [], extra: [] }
    if (routine !== undefined) call.routine = routine
    const from = this.#at
    this.take('DISTINCT')
    const given = of === undefined ? [] : [of]
    const hasStar = this.take('*')
    if (hasStar ? this.take(',') : !this.#endsArguments()) given.push(...this.#arguments(name))
    call.arguments = given
    call.extra = this.#callExtra()
    if (of !== undefined && given.length === 1 && this.#at > from) this.beyond.push('chained call')
    this.need(')')
    if (this.is('WITH', 'GROUP') || this.is('WITHIN')) this.unsupported('call', `\`${this.peek().word}\``)
    if (this.take('OVER')) call.over = this.#window()
    return call
  }

  /** The path of what is called, unless it is a built-in function that computes and no more. */
  #routine(start: number, names: readonly Name[]): Path | undefined {
    const [first] = names
    const isQuoted = names.some((name) => name.quoted)
    const space = first?.text.toUpperCase() ?? ''
    const isSafe = !isQuoted && names.length === 2 && space === 'SAFE'
    if (!isQuoted && (names.length === 1 || isSafe || (names.length === 2 && NAMESPACES.has(space)))) return undefined
    if (!isQuoted && names.length === 3 && space === 'SAFE' && NAMESPACES.has(names[1]?.text.toUpperCase() ?? '')) {
      return undefined
    }
    const parts = names.flatMap((part) => (part.quoted ? splitQuoted(part) : [part]))
    if (parts.length < 2 || parts.length > 3 || parts.some((part) => part.text === '')) {
      this.stop(start, 'unsupported-routine', 'a call by this name is not supported', 'write it as `dataset.routine`')
    }
    return { start, end: this.tokens[this.#at - 1]?.end ?? start, names: parts }
  }

  #endsArguments(): boolean {
    if (this.is('LIMIT')) return /^(number|parameter)$/.test(this.peek(1).kind)
    return this.isAny(')', 'IGNORE', 'RESPECT', 'HAVING', 'ORDER', 'WITH')
  }

  #arguments(name: string): Expression[] {
    const items: Expression[] = []
    do {
      // `name => value`; a date part is a path that the binder knows by the function.
      if (this.peek(1).word === '=>') {
        this.name('an argument')
        this.next()
      }
      if (this.isAny('SELECT', 'WITH')) this.unsupported('call', 'a query without brackets as an argument')
      if (this.is('INPUT', 'TABLE')) {
        items.push(this.#inputTable())
        continue
      }
      if (this.isAny('TABLE', 'MODEL', 'DESCRIPTOR')) this.unsupported('call', `a \`${this.peek().word}\` argument`)
      const { start } = this.peek()
      const value = this.#opensLambda() ? this.#lambda(name) : this.expression()
      if (this.is('->')) this.unsupported('lambda', 'a lambda of this form')
      if (this.take('AS')) {
        this.never(start, 'call', 'an argument with an alias')
        this.name('an alias')
      }
      items.push(value)
    } while (this.take(','))
    return items
  }

  /** `e -> `, `(e, i) -> `, `() -> ` */
  #opensLambda(): boolean {
    if (!this.is('(')) return this.peek(1).word === '->'
    let ahead = 1
    while (/^(name|quoted)$/.test(this.peek(ahead).kind) || this.peek(ahead).word === ',') ahead++
    return this.peek(ahead).word === ')' && this.peek(ahead + 1).word === '->'
  }

  #lambda(of: string): Expression {
    const { start } = this.peek()
    if (!WITH_LAMBDA.has(of)) this.never(start, 'lambda', 'a lambda in a call of this function')
    const parameters: Name[] = []
    if (this.is('(', ')')) this.take('(', ')')
    else if (this.is('(')) parameters.push(...this.names())
    else parameters.push(this.name('the name of an argument'))
    const { end } = this.need('->')
    // Names of arguments and no more: the second reader is shown the body alone.
    this.hidden.push({ start, end, shown: '' })
    return { is: 'lambda', start, parameters, body: this.expression() }
  }

  #callExtra(): Expression[] {
    const extra: Expression[] = []
    const { start, word } = this.peek()
    if (word === 'WITH' || word === 'CLAMPED') {
      this.next()
      if (word === 'CLAMPED') extra.push(...this.#clamp())
      else {
        this.need('REPORT')
        if (this.is('(')) this.group()
      }
      this.never(start, 'call', `\`${word}\` in a call`)
    }
    if (this.isAny('IGNORE', 'RESPECT')) {
      this.next()
      this.need('NULLS')
    }
    if (this.isAny('WHERE', 'GROUP')) {
      this.never(this.peek().start, 'call', `\`${this.peek().word}\` in a call`, 'aggregate in a subquery')
      if (this.take('WHERE')) extra.push(this.expression())
      if (this.take('GROUP')) extra.push(...this.#groupBy())
      if (this.take('HAVING')) extra.push(this.expression())
    } else if (this.take('HAVING')) {
      if (!this.take('MAX')) this.need('MIN')
      extra.push(this.expression())
    }
    if (this.take('ORDER', 'BY')) extra.push(...this.#ordered())
    if (this.take('LIMIT')) extra.push(this.expression())
    return extra
  }

  #clamp(): Expression[] {
    this.need('BETWEEN')
    const low = this.#bitOr()
    this.need('AND')
    return [low, this.#bitOr()]
  }

  #window(): Window {
    if (!this.is('(')) return { name: this.name('a window'), parts: [] }
    this.need('(')
    const window: { name?: Name; parts: Expression[] } = { parts: [] }
    if (!this.isAny('PARTITION', 'ORDER', 'ROWS', 'RANGE', ')')) window.name = this.name('a window')
    if (this.take('PARTITION', 'BY')) {
      do window.parts.push(this.expression())
      while (this.take(','))
    }
    if (this.take('ORDER', 'BY')) window.parts.push(...this.#ordered())
    if (this.isAny('ROWS', 'RANGE')) window.parts.push(...this.#frame())
    this.need(')')
    return window
  }

  #frame(): Expression[] {
    this.next()
    if (!this.take('BETWEEN')) return this.#bound()
    const start = this.#bound()
    this.need('AND')
    return [...start, ...this.#bound()]
  }

  #bound(): Expression[] {
    if (this.take('CURRENT', 'ROW')) return []
    const distance = this.take('UNBOUNDED') ? [] : [this.#bitOr()]
    if (!this.take('PRECEDING')) this.need('FOLLOWING')
    return distance
  }

  // ── types ──────────────────────────────────────────────────────────────────────────────────────────────────────

  type(): SqlType {
    return this.#nest(() => {
      const token = this.peek()
      if (token.word === 'STRUCT') {
        this.next()
        return this.#structType()
      }
      if (token.word === 'ARRAY' || (token.word === 'RANGE' && this.peek(1).word === '<')) {
        this.next()
        this.need('<')
        const of = this.type()
        this.need('>')
        return { kind: token.word, of }
      }
      const kind: ScalarType | undefined = TYPES.get(token.word)
      if (kind === undefined || this.peek(1).word === '.') return this.#foreignType(token)
      this.next()
      if (this.is('(')) this.#sizes()
      this.#collation()
      return { kind }
    })
  }

  #collation(): void {
    const { start } = this.peek()
    if (!this.take('COLLATE')) return
    if (this.peek().kind !== 'string') this.unexpected('a string')
    this.next()
    this.never(start, 'type', 'a type with a collation')
  }

  /** One that BigQuery lacks: `INT32`, `DOUBLE`, a protocol buffer's name. */
  #foreignType(token: Token): SqlType {
    if (token.kind !== 'name' && token.kind !== 'quoted') this.unexpected('a type')
    const { names } = this.path()
    const name = names.map(({ text }) => text).join('.')
    const known = SAME_TYPE[name.toUpperCase()]
    this.never(token.start, 'type', `the type \`${name}\``, known === undefined ? undefined : `write \`${known}\``)
    if (this.is('(')) this.#sizes()
    this.#collation()
    return { kind: 'STRING' }
  }

  /** `STRING(10)`, `NUMERIC(10, 2)`: sizes are no part of our types. */
  #sizes(): void {
    this.need('(')
    do {
      if (this.peek().kind !== 'number') this.unexpected('a number')
      this.next()
    } while (this.take(','))
    this.need(')')
  }

  #structType(): SqlType {
    this.need('<')
    const fields: SqlField[] = []
    if (!this.is('>')) {
      do {
        const named = /^(name|quoted)$/.test(this.peek(1).kind) && !this.isAny('ARRAY', 'STRUCT')
        const name = named ? this.name('the name of a field').text : ''
        fields.push({ name, type: this.type() })
      } while (this.take(','))
    }
    this.need('>')
    return { kind: 'STRUCT', fields }
  }
}

/** A join whose left side is what stands before it. */
type Joined = Mutable<Omit<JoinItem, 'is' | 'left'>>

/** A join that has no condition, as yet. */
function isOpen(on: Expression | undefined, using: readonly Name[]): boolean {
  return on === undefined && using.length === 0
}

/** Words that lead to a table, a model or a query. */
const NAMING = new Set(['SELECT', 'FROM', 'TABLE', 'MODEL', 'JOIN', 'GRAPH', 'GRAPH_TABLE', ';'])

/** Functions of which we know what their lambdas are given: elements of the array, and their places in it. */
const WITH_LAMBDA = new Set([
  'ARRAY_FILTER',
  'ARRAY_FIND',
  'ARRAY_FIND_ALL',
  'ARRAY_INCLUDES',
  'ARRAY_OFFSET',
  'ARRAY_OFFSETS',
  'ARRAY_TRANSFORM',
])

/** BigQuery's names for types of other dialects. */
const SAME_TYPE: Readonly<Record<string, string>> = {
  INT32: 'INT64',
  UINT32: 'INT64',
  UINT64: 'INT64',
  LONG: 'INT64',
  FLOAT: 'FLOAT64',
  FLOAT32: 'FLOAT64',
  DOUBLE: 'FLOAT64',
  REAL: 'FLOAT64',
  TEXT: 'STRING',
  CHAR: 'STRING',
  VARCHAR: 'STRING',
}

/** In the place of what stands before a pipe operator. */
const NO_EXPRESSION: Expression = { is: 'literal', start: 0, type: undefined, text: '' }

/** Reserved words that are functions too. */
const CALLABLE = new Set(['IF', 'LEFT', 'RIGHT', 'RANGE', 'COLLATE', 'GROUPING', 'ANY'])

const LITERAL_TYPES = new Set<ScalarType>(['DATE', 'TIME', 'DATETIME', 'TIMESTAMP', 'NUMERIC', 'BIGNUMERIC', 'JSON'])

export const DATE_PARTS: ReadonlySet<string> = new Set(
  (
    'MICROSECOND MILLISECOND SECOND MINUTE HOUR DAY DAYOFWEEK DAYOFYEAR WEEK ISOWEEK MONTH QUARTER YEAR ISOYEAR ' +
    'NANOSECOND DATE TIME DATETIME'
  ).split(' '),
)

function literalType(token: Token): SqlType {
  if (token.kind === 'string') return { kind: 'STRING' }
  if (token.kind === 'bytes') return { kind: 'BYTES' }
  return { kind: /^(0[xX].*|[0-9]+)$/.test(token.value) ? 'INT64' : 'FLOAT64' }
}

/** `` `p.d.t` `` names three things; a domain-scoped project (`example.com:p`) keeps its point. */
function splitQuoted(name: Name): Name[] {
  const colon = name.text.indexOf(':')
  const scope = colon === -1 ? '' : name.text.slice(0, colon + 1)
  const parts = name.text.slice(scope.length).split('.')
  return parts.map((text, i) => ({ ...name, text: i === 0 ? scope + text : text }))
}
