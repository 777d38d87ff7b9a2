/** Tokens one after another, names and paths: what every room of the grammar stands on. */
import type { Refusal } from './contract.ts'
import { hintForToken } from './hints.ts'
import { refuse, type Token } from './lexer.ts'
import { Stop } from './stop.ts'
import type { Name, Path } from './syntax.ts'
import { RESERVED } from './words.ts'

/** Fields of fields, elements of elements: BigQuery's own types nest 15 deep. */
export const FIELDS = 50

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

export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Reads tokens and names. What no rule takes is refused where it stands. */
export class Tokens {
  readonly text: string
  readonly tokens: readonly Token[]
  protected at = 0
  protected depth = 0
  /** Positional parameters met so far. */
  positional = 0
  /** What the second reader is known not to read, and what it is shown in its place: no table can stand in these spans. */
  readonly hidden: { readonly start: number; readonly end: number; readonly shown: string }[] = []
  /** What the second reader cannot read at all; see docs/sql.md. Where it is empty, both readers must agree. */
  readonly beyond: Beyond[] = []
  /** Why the statement may be judged by its names, and is never bound: the first of the reasons. */
  unbound: Refusal | undefined
  protected queries = 0
  constructor(text: string, tokens: readonly Token[]) {
    this.text = text
    this.tokens = tokens
  }

  /** The token `ahead` of the next one; the last is `end`, for ever. */
  peek(ahead = 0): Token {
    const token = this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)]
    if (token === undefined) throw new Error('a text has no tokens')
    return token
  }

  /** Back to the first token, and nothing remembered. */
  rewind(): void {
    this.at = 0
    this.depth = 0
    this.queries = 0
    this.positional = 0
    this.hidden.length = 0
    this.beyond.length = 0
    this.unbound = undefined
  }

  next(): Token {
    const token = this.peek()
    if (token.kind !== 'end') this.at++
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
    this.at += words.length
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
    const from = this.at
    const value = read()
    for (let i = from; i < this.at; i++) {
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
    const fix = hintForToken(this.tokens[this.at - 1], token, this.peek(1))
    return this.stop(token.start, 'unparseable', `${said} stands where ${expected} is expected`, fix)
  }

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
    if (explicit) return this.plain(this.name('an alias'))
    if (token.kind === 'quoted') {
      // ``FROM c`p.d.t` ``: one reader sees a path where the other sees an alias.
      if (this.at > 0 && this.tokens[this.at - 1]?.end === token.start) {
        this.stop(token.start, 'unparseable', 'an alias is glued to what it names', 'put `AS` between them')
      }
      return this.plain(this.name())
    }
    if (token.kind !== 'name' || RESERVED.has(token.word) || this.opensClause(token)) return undefined
    return this.name()
  }

  protected opensClause(token: Token): boolean {
    const bracket = this.peek(1).word === '('
    if (bracket && /^(UN)?PIVOT$|^MATCH_RECOGNIZE$/.test(token.word)) return true
    return token.word === 'OFFSET' || (token.word === 'UNPIVOT' && /^(INCLUDE|EXCLUDE)$/.test(this.peek(1).word))
  }

  /** Aliases with points could pass for paths. */
  protected plain(name: Name): Name {
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
    const parts = [this.firstPart()]
    while (this.take('.')) parts.push(this.name('a name', true))
    const end = this.tokens[this.at - 1]?.end ?? start
    const names = parts.flatMap((part) => (part.quoted ? splitQuoted(part) : [part]))
    if (names.length > FIELDS || names.some((name) => name.text === '')) {
      this.stop(start, 'unparseable', `\`${shorten(this.text.slice(start, end))}\` is not a table's path`)
    }
    return { start, end, names }
  }

  protected firstPart(): Name {
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

  protected nest<T>(read: () => T): T {
    if (++this.depth > DEPTH) this.stop(this.peek().start, 'too-deep', `the statement nests deeper than ${DEPTH}`)
    const value = read()
    this.depth--
    return value
  }

  /** Whether a query, bracketed or not, is next. */
  opensQuery(): boolean {
    return this.isAny('SELECT', 'WITH', 'FROM') || this.bracketsQuery(0)
  }

  /**
   * Whether the bracket `ahead` holds a query, and not an expression or join that begins with one:
   * `((SELECT 1) UNION ALL …)` does, `((SELECT 1) + 1)` and `((SELECT 1) JOIN t)` do not.
   */
  protected bracketsQuery(ahead: number): boolean {
    if (this.peek(ahead).word !== '(') return false
    if (/^(SELECT|WITH|FROM)$/.test(this.peek(ahead + 1).word)) return true
    if (!this.bracketsQuery(ahead + 1)) return false
    let close = ahead + 1
    for (let depth = 0; this.peek(close).kind !== 'end'; close++) {
      const { word } = this.peek(close)
      if (word === '(') depth++
      if (word === ')' && --depth === 0) break
    }
    return /^(UNION|INTERSECT|EXCEPT|ORDER|LIMIT|\|>|\))$/.test(this.peek(close + 1).word)
  }

  protected direction(): void {
    if (!this.take('ASC')) this.take('DESC')
    if (this.take('NULLS') && !this.take('FIRST')) this.need('LAST')
  }

  /** One or more, with commas; one may stand behind the last where an operator or the end follows. */
  protected list<T>(read: () => T): T[] {
    const items = [read()]
    while (this.take(',') && !this.isAny('|>', ')', ';') && this.peek().kind !== 'end') items.push(read())
    return items
  }

  /** `UNION`, `LEFT OUTER UNION`, … */
  protected opensSet(ahead = 0): boolean {
    const { word } = this.peek(ahead)
    if (/^(UNION|INTERSECT|EXCEPT)$/.test(word)) return true
    if (!/^(FULL|LEFT|INNER|OUTER)$/.test(word)) return false
    return /^(UNION|INTERSECT|EXCEPT)$/.test(this.peek(ahead + (this.peek(ahead + 1).word === 'OUTER' ? 2 : 1)).word)
  }

  /** The words from a token up to the next one. */
  protected words(from: number): string {
    return this.tokens
      .slice(from, this.at)
      .map((token) => token.word || token.value)
      .join(' ')
  }

  protected endsArgument(ahead: number): boolean {
    return /^[,)]$/.test(this.peek(ahead).word)
  }
}

/** Words that lead to a table, a model or a query. */
const NAMING = new Set(['SELECT', 'FROM', 'TABLE', 'MODEL', 'JOIN', 'GRAPH', 'GRAPH_TABLE', ';'])

/** What a message shows of a name. */
export function shorten(name: string): string {
  return name.length > 200 ? `${name.slice(0, 200)}…` : name
}

/** `` `p.d.t` `` names three things; a domain-scoped project (`example.com:p`) keeps its point. */
export function splitQuoted(name: Name): Name[] {
  const colon = name.text.indexOf(':')
  const scope = colon === -1 ? '' : name.text.slice(0, colon + 1)
  const parts = name.text.slice(scope.length).split('.')
  return parts.map((text, i) => ({ ...name, text: i === 0 ? scope + text : text }))
}
