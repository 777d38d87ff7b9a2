/** Expressions and calls. */
import type { ScalarType, SqlType } from '../exchange.ts'
import type { Token } from './lexer.ts'
import type { Aliased, Call, Expression, Name, Path, Query, Window } from './syntax.ts'
import { NAMESPACES, RESERVED, TYPES } from './words.ts'
import { FIELDS, type Mutable, splitQuoted } from './grammar-tokens.ts'
import { Types } from './grammar-types.ts'

/** Operators by their rank, from OR down; what needs a query asks `query`. */
export abstract class Expressions extends Types {
  abstract query(): Query

  /** A number or a parameter. No tree holds it, so it may not hold more. */
  protected constant(): void {
    const from = this.at
    const { start, kind } = this.peek()
    if (kind === 'string' || kind === 'bytes') this.unexpected('a number or a parameter')
    this.inert(() => this.expression())
    if (this.at !== from + 1 || (kind !== 'number' && kind !== 'parameter'))
      this.never(start, 'limit', 'a number that is computed here', 'write a number or a parameter')
  }

  protected groupBy(): Expression[] {
    this.need('BY')
    if (this.take('ALL')) return []
    const items: Expression[] = []
    do items.push(...this.grouping())
    while (this.take(','))
    return items
  }

  protected grouping(): Expression[] {
    if (this.take('(', ')')) return []
    const sets = this.take('GROUPING', 'SETS')
    if (!sets && !(this.isAny('ROLLUP', 'CUBE') && this.peek(1).word === '(')) return [this.expression()]
    if (!sets) this.next()
    this.need('(')
    const items: Expression[] = []
    do {
      items.push(...this.grouping())
    } while (this.take(','))
    this.need(')')
    return items
  }

  protected ordered(): Expression[] {
    const items: Expression[] = []
    do {
      items.push(this.expression())
      if (this.take('COLLATE')) {
        this.beyond.push('COLLATE')
        const { kind } = this.peek()
        if (kind !== 'string' && kind !== 'parameter') this.unexpected('a string or a parameter')
        this.primary()
      }
      this.direction()
    } while (this.take(','))
    return items
  }

  /** The rows before `|> CALL f(INPUT TABLE)`. */
  protected inputTable(): Expression {
    const { start } = this.need('INPUT', 'TABLE')
    this.never(start, 'call', 'an `INPUT TABLE` argument')
    if (!this.endsArgument(0)) this.unexpected('`,` or `)`')
    return NO_EXPRESSION
  }

  expression(): Expression {
    return this.nest(() => this.or())
  }

  protected chain(words: readonly string[], operand: () => Expression): Expression {
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

  protected or(): Expression {
    return this.chain(['OR'], () => this.chain(['AND'], () => this.not()))
  }

  protected not(): Expression {
    const { start } = this.peek()
    if (!this.take('NOT')) return this.comparison()
    return { is: 'operator', start, operator: 'NOT', operands: [this.nest(() => this.not())] }
  }

  protected comparison(): Expression {
    const { start } = this.peek()
    let left = this.bitOr()
    for (;;) {
      if (this.isAny('=', '<', '>', '<=', '>=', '<>', '!=')) {
        const operator = this.next().word
        left = { is: 'operator', start, operator, operands: [left, this.bitOr()] }
      } else if (this.take('IS')) left = { is: 'operator', start, operator: 'IS', operands: [left, ...this.isTail()] }
      else if (
        this.isAny('LIKE', 'BETWEEN', 'IN') ||
        (this.is('NOT') && /^(LIKE|BETWEEN|IN)$/.test(this.peek(1).word))
      ) {
        this.take('NOT')
        left = this.membership(start, left)
      } else return left
    }
  }

  protected isTail(): Expression[] {
    this.take('NOT')
    if (this.take('DISTINCT', 'FROM')) return [this.bitOr()]
    if (!this.isAny('NULL', 'TRUE', 'FALSE', 'UNKNOWN')) this.unexpected('`NULL`, `TRUE`, `FALSE` or `DISTINCT FROM`')
    this.next()
    return []
  }

  protected membership(start: number, left: Expression): Expression {
    const operator = this.next().word
    if (operator === 'BETWEEN') {
      const low = this.bitOr()
      this.need('AND')
      return { is: 'operator', start, operator, operands: [left, low, this.bitOr()] }
    }
    if (operator === 'LIKE' && !this.isAny('ANY', 'SOME', 'ALL')) {
      return { is: 'operator', start, operator, operands: [left, this.bitOr()] }
    }
    if (operator === 'LIKE') this.next()
    if (this.take('UNNEST')) {
      this.need('(')
      const array = this.expression()
      this.need(')')
      return { is: 'operator', start, operator, operands: [left, array] }
    }
    if (this.is('(') && this.bracketsQuery(0)) {
      this.need('(')
      const query = this.query()
      this.need(')')
      return { is: 'in', start, of: left, query }
    }
    return { is: 'operator', start, operator, operands: [left, ...this.bracketedList()] }
  }

  protected bracketedList(): Expression[] {
    this.need('(')
    const items = [this.expression()]
    while (this.take(',')) items.push(this.expression())
    this.need(')')
    return items
  }

  protected bitOr(): Expression {
    return this.chain(['|'], () => this.chain(['^'], () => this.chain(['&'], () => this.shift())))
  }

  protected shift(): Expression {
    const { start } = this.peek()
    let left = this.sum()
    for (;;) {
      // `>>` is two tokens, as in `ARRAY<STRUCT<a INT64>>`.
      const right = this.is('>', '>') && this.peek().end === this.peek(1).start
      if (!right && !this.is('<<')) return left
      this.next()
      if (right) this.next()
      left = { is: 'operator', start, operator: right ? '>>' : '<<', operands: [left, this.sum()] }
    }
  }

  protected sum(): Expression {
    return this.chain(['+', '-'], () => this.chain(['*', '/', '||'], () => this.unary()))
  }

  protected unary(): Expression {
    const { start } = this.peek()
    if (!this.isAny('-', '+', '~')) return this.postfix()
    const operator = this.next().word
    return { is: 'operator', start, operator: `unary ${operator}`, operands: [this.nest(() => this.unary())] }
  }

  protected postfix(): Expression {
    let of = this.primary()
    for (let count = 0; ; count++) {
      const { start } = this.peek()
      if (count > FIELDS) this.stop(start, 'too-deep', `a path has more than ${FIELDS} parts`)
      if (this.is('.') && this.peek(1).word !== '*') {
        this.next()
        const names = this.is('(') ? this.chainedName() : [this.name('a field', true)]
        const [name] = names
        if (name === undefined || this.is('(')) of = this.call(of.start, names, of)
        else of = { is: 'field', start: of.start, of, name }
      } else if (this.take('[')) {
        const index = this.expression()
        this.need(']')
        of = { is: 'element', start: of.start, of, index }
      } else return of
    }
  }

  /** `.(NET.HOST)` before the brackets of its call. */
  protected chainedName(): Name[] {
    this.need('(')
    const names = [this.name('a function')]
    while (this.take('.')) names.push(this.name('a function', true))
    this.need(')')
    if (!this.is('(')) this.unexpected('`(`')
    return names
  }

  protected primary(): Expression {
    const token = this.peek()
    switch (token.kind) {
      case 'number':
        this.next()
        return this.literal(token, literalType(token))
      case 'string':
      case 'bytes':
        this.next()
        this.moreText(token.kind)
        return this.literal(token, literalType(token))
      case 'parameter':
        this.next()
        if (token.value === '') this.positional++
        return { is: 'parameter', start: token.start, name: token.value === '' ? undefined : token.value }
      case 'quoted':
        return this.pathOrCall()
      case 'name':
        return this.word(token)
      default:
        return this.symbol(token)
    }
  }

  /** `'a' 'b'` is one literal in ZetaSQL. */
  protected moreText(kind: Token['kind']): void {
    const { start } = this.peek()
    // Glued (`'don''t'`), it is another dialect's way to write a quote.
    if (this.peek().kind !== kind || this.tokens[this.at - 1]?.end === start) return
    while (this.peek().kind === kind) this.next()
    this.never(start, 'literal', 'a literal in several parts', 'join them by `||`')
  }

  protected symbol(token: Token): Expression {
    if (this.take('@@')) {
      this.never(token.start, 'variable', 'a system variable')
      this.name('a variable', true)
      return NO_EXPRESSION
    }
    if (this.is('[')) return this.array(token.start, undefined)
    if (!this.is('(')) this.unexpected('an expression')
    if (this.bracketsQuery(0)) {
      return { is: 'subquery', start: token.start, as: 'scalar', query: this.bracketedQuery() }
    }
    const items = this.bracketedList()
    const [only] = items
    if (items.length === 1 && only !== undefined) return only
    return {
      is: 'struct',
      start: token.start,
      items: items.map((value) => ({ value })),
      type: undefined,
      isTuple: true,
    }
  }

  protected bracketedQuery(): Query {
    this.need('(')
    const query = this.query()
    this.need(')')
    return query
  }

  protected literal(token: Token, type: SqlType | undefined, truth?: boolean): Expression {
    const text = this.text.slice(token.start, token.end)
    return { is: 'literal', start: token.start, type, text, ...(truth !== undefined && { truth }) }
  }

  /** What begins with a bare word: literals, special forms, typed literals; else a path or a call. */
  protected word(token: Token): Expression {
    const { start, word } = token
    const behind = this.peek(1)
    switch (word) {
      case 'NULL':
        this.next()
        return this.literal(token, undefined)
      case 'TRUE':
      case 'FALSE':
        this.next()
        return this.literal(token, { kind: 'BOOL' }, word === 'TRUE')
      case 'CASE':
        return this.case(start)
      case 'CAST':
      case 'SAFE_CAST':
        if (behind.word === '(') return this.cast(start)
        break
      case 'EXTRACT':
        if (behind.word === '(') return this.extract(start)
        break
      case 'EXISTS':
        this.next()
        return { is: 'subquery', start, as: 'exists', query: this.bracketedQuery() }
      case 'INTERVAL':
        return this.interval(start)
      case 'ARRAY':
        return this.arrayWord(start)
      case 'STRUCT':
        return this.struct(start)
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
      this.moreText('string')
      return { is: 'literal', start, type: { kind: type }, text: '' }
    }
    return this.pathOrCall()
  }

  protected case(start: number): Expression {
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

  protected cast(start: number): Expression {
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

  protected extract(start: number): Expression {
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

  protected interval(start: number): Expression {
    this.need('INTERVAL')
    const of = this.expression()
    this.part()
    if (this.take('TO')) this.part()
    return { is: 'interval', start, of }
  }

  protected part(): void {
    if (!DATE_PARTS.has(this.peek().word)) this.unexpected('a date part')
    this.next()
  }

  protected arrayWord(start: number): Expression {
    this.need('ARRAY')
    if (this.is('(')) return { is: 'subquery', start, as: 'array', query: this.bracketedQuery() }
    let type: SqlType | undefined
    if (this.take('<')) {
      type = { kind: 'ARRAY', of: this.type() }
      this.need('>')
    }
    return this.array(start, type)
  }

  protected array(start: number, type: SqlType | undefined): Expression {
    this.need('[')
    const items: Expression[] = []
    if (!this.is(']')) {
      do items.push(this.expression())
      while (this.take(','))
    }
    this.need(']')
    return { is: 'array', start, items, type }
  }

  protected struct(start: number): Expression {
    this.need('STRUCT')
    const type = this.is('<') ? this.structType() : undefined
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

  protected pathOrCall(): Expression {
    const { start, word } = this.peek()
    if (RESERVED.has(word) && !(CALLABLE.has(word) && this.peek(1).word === '(')) this.unexpected('an expression')
    const token = this.next()
    const names: Name[] = [{ text: token.value, quoted: token.kind === 'quoted', start, end: token.end }]
    while (this.is('.') && (this.peek(1).kind === 'name' || this.peek(1).kind === 'quoted')) {
      this.next()
      if (names.length > FIELDS) this.stop(start, 'too-deep', `a path has more than ${FIELDS} parts`)
      names.push(this.name('a field', true))
      if (this.is('(')) return this.call(start, names)
    }
    if (this.is('(')) return this.call(start, names)
    // A column of this name; the second reader takes what follows for a table.
    if (word === 'TABLE' && names.length === 1) this.hidden.push({ start, end: token.end, shown: 'F' })
    return { is: 'path', start, names }
  }

  /** `of` is the value that a chained call begins with. */
  protected call(start: number, names: readonly Name[], of?: Expression): Call {
    let name = names.map((n) => n.text.toUpperCase()).join('.')
    const routine = this.routine(start, names)
    if (name.startsWith('SAFE.')) name = name.slice('SAFE.'.length)
    const [only, member] = names
    // Good calls that the second reader takes for something else. No table can stand in a name.
    if (name === 'RANGE' && only !== undefined) this.hidden.push({ start: only.start, end: only.end, shown: 'F' })
    if (member?.text.toUpperCase() === 'EXTRACT') this.hidden.push({ start: member.start, end: member.end, shown: 'F' })
    this.need('(')
    const call: Mutable<Call> = { is: 'call', start, name, arguments: [], extra: [] }
    if (routine !== undefined) call.routine = routine
    const from = this.at
    this.take('DISTINCT')
    const given = of === undefined ? [] : [of]
    const hasStar = this.take('*')
    if (hasStar ? this.take(',') : !this.endsArguments()) given.push(...this.arguments(name))
    call.arguments = given
    call.extra = this.callExtra()
    if (of !== undefined && given.length === 1 && this.at > from) this.beyond.push('chained call')
    this.need(')')
    if (this.is('WITH', 'GROUP') || this.is('WITHIN')) this.unsupported('call', `\`${this.peek().word}\``)
    if (this.take('OVER')) call.over = this.window()
    return call
  }

  /** The path of what is called, unless it is a built-in function that computes and no more. */
  protected routine(start: number, names: readonly Name[]): Path | undefined {
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
    return { start, end: this.tokens[this.at - 1]?.end ?? start, names: parts }
  }

  protected endsArguments(): boolean {
    if (this.is('LIMIT')) return /^(number|parameter)$/.test(this.peek(1).kind)
    return this.isAny(')', 'IGNORE', 'RESPECT', 'HAVING', 'ORDER', 'WITH')
  }

  protected arguments(name: string): Expression[] {
    const items: Expression[] = []
    do {
      // `name => value`; a date part is a path that the binder knows by the function.
      if (this.peek(1).word === '=>') {
        this.name('an argument')
        this.next()
      }
      if (this.isAny('SELECT', 'WITH')) this.unsupported('call', 'a query without brackets as an argument')
      if (this.is('INPUT', 'TABLE')) {
        items.push(this.inputTable())
        continue
      }
      if (this.isAny('TABLE', 'MODEL', 'DESCRIPTOR')) this.unsupported('call', `a \`${this.peek().word}\` argument`)
      const { start } = this.peek()
      const value = this.opensLambda() ? this.lambda(name) : this.expression()
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
  protected opensLambda(): boolean {
    if (!this.is('(')) return this.peek(1).word === '->'
    let ahead = 1
    while (/^(name|quoted)$/.test(this.peek(ahead).kind) || this.peek(ahead).word === ',') ahead++
    return this.peek(ahead).word === ')' && this.peek(ahead + 1).word === '->'
  }

  protected lambda(of: string): Expression {
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

  protected callExtra(): Expression[] {
    const extra: Expression[] = []
    const { start, word } = this.peek()
    if (word === 'WITH' || word === 'CLAMPED') {
      this.next()
      if (word === 'CLAMPED') extra.push(...this.clamp())
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
      if (this.take('GROUP')) extra.push(...this.groupBy())
      if (this.take('HAVING')) extra.push(this.expression())
    } else if (this.take('HAVING')) {
      if (!this.take('MAX')) this.need('MIN')
      extra.push(this.expression())
    }
    if (this.take('ORDER', 'BY')) extra.push(...this.ordered())
    if (this.take('LIMIT')) extra.push(this.expression())
    return extra
  }

  protected clamp(): Expression[] {
    this.need('BETWEEN')
    const low = this.bitOr()
    this.need('AND')
    return [low, this.bitOr()]
  }

  protected window(): Window {
    if (!this.is('(')) return { name: this.name('a window'), parts: [] }
    this.need('(')
    const window: { name?: Name; parts: Expression[] } = { parts: [] }
    if (!this.isAny('PARTITION', 'ORDER', 'ROWS', 'RANGE', ')')) window.name = this.name('a window')
    if (this.take('PARTITION', 'BY')) {
      do window.parts.push(this.expression())
      while (this.take(','))
    }
    if (this.take('ORDER', 'BY')) window.parts.push(...this.ordered())
    if (this.isAny('ROWS', 'RANGE')) window.parts.push(...this.frame())
    this.need(')')
    return window
  }

  protected frame(): Expression[] {
    this.next()
    if (!this.take('BETWEEN')) return this.bound()
    const start = this.bound()
    this.need('AND')
    return [...start, ...this.bound()]
  }

  protected bound(): Expression[] {
    if (this.take('CURRENT', 'ROW')) return []
    const distance = this.take('UNBOUNDED') ? [] : [this.bitOr()]
    if (!this.take('PRECEDING')) this.need('FOLLOWING')
    return distance
  }
}

/** In the place of what stands before a pipe operator. */
export const NO_EXPRESSION: Expression = { is: 'literal', start: 0, type: undefined, text: '' }

/** Reserved words that are functions too. */
const CALLABLE = new Set(['IF', 'LEFT', 'RIGHT', 'RANGE', 'COLLATE', 'GROUPING', 'ANY'])

const LITERAL_TYPES = new Set<ScalarType>(['DATE', 'TIME', 'DATETIME', 'TIMESTAMP', 'NUMERIC', 'BIGNUMERIC', 'JSON'])

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
