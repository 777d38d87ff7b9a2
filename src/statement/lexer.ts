/**
 * GoogleSQL's lexical rules, strictly. What is analysed and what runs are the same tokens: `emit` writes them back with
 * blanks in place of comments, each token where it stood, so a position in the one text is a position in the other.
 */
import type { Refusal } from './contract.ts'
import { RESERVED } from './words.ts'

export type TokenKind = 'name' | 'quoted' | 'string' | 'bytes' | 'number' | 'parameter' | 'symbol' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** As written; without the backticks for `quoted`, without the `@` for `parameter` (`?` has none). */
  readonly value: string
  /** Upper case for `name`, the text itself for `symbol`, else ''. What the grammar compares with. */
  readonly word: string
  /** Offsets in UTF-16 code units. */
  readonly start: number
  readonly end: number
}

/** Bounds on a text. Nesting counts open brackets of any kind. */
export const LIMITS = { bytes: 256 * 1024, nesting: 100, tokens: 40_000 } as const

export interface Lexed {
  readonly tokens: readonly Token[]
  /** Comments left out. */
  readonly comments: number
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/y
const DIGITS = /[0-9]+/y
/** A part of a path, behind a point. */
const DIGIT_NAME = /[0-9][A-Za-z0-9_]*/y
const HINT = /@\s*\{/y
const PREFIXED = /(?:[rR][bB]?|[bB][rR]?)?(?:"""|'''|"|')/y
const SYMBOLS = [
  '||',
  '|>',
  '<=',
  '>=',
  '<>',
  '!=',
  '<<',
  '=>',
  '->',
  ...'( ) [ ] , . ; + - * / ~ ^ & | = < > :'.split(' '),
]
const OPEN = '(['
const CLOSE = ')]'

/** A refusal at an offset of a text. */
export function refuse(text: string, at: number, code: string, message: string, fix?: string): Refusal {
  const before = text.slice(0, at)
  const line = before.split('\n').length
  const column = before.length - before.lastIndexOf('\n')
  return { refused: true, code, message, line, column, ...(fix !== undefined && { fix }) }
}

/** Splits a text into tokens, the last of which is `end`. A Refusal for all that GoogleSQL or a bound does not allow. */
export function lex(text: string): Lexed | Refusal {
  if (text.length > LIMITS.bytes || new TextEncoder().encode(text).length > LIMITS.bytes) {
    return refuse('', 0, 'too-large', `the text is larger than ${LIMITS.bytes / 1024} KB`, 'send a shorter statement')
  }
  return new Lexer(text).run()
}

/** The tokens' text with every comment blanked; offsets are those of `text`. */
export function emit(text: string, tokens: readonly Token[]): string {
  let out = ''
  let at = 0
  for (const { start, end } of tokens) {
    out += text.slice(at, start).replace(/[^\n]/g, ' ') + text.slice(start, end)
    at = end
  }
  return out.trimEnd()
}

class Lexer {
  readonly #text: string
  readonly #tokens: Token[] = []
  #at = 0
  #depth = 0
  #comments = 0
  #isHint = false

  constructor(text: string) {
    this.#text = text
  }

  run(): Lexed | Refusal {
    const text = this.#text
    const stray = /\r(?!\n)|\0/.exec(text)
    if (stray !== null) return this.#no(stray.index, 'a bare carriage return or NUL stands in the text')
    // A lone surrogate has no UTF-8 form: what we read and what is sent would differ.
    if (!text.isWellFormed()) return this.#no(0, 'the text is not well-formed Unicode')
    for (;;) {
      const skipped = this.#skip()
      if (skipped !== undefined) return skipped
      if (this.#at >= text.length) break
      if (this.#tokens.length >= LIMITS.tokens) {
        return refuse(text, this.#at, 'too-large', `the text has more than ${LIMITS.tokens} tokens`)
      }
      const refused = this.#token()
      if (refused !== undefined) return refused
    }
    const end = text.length
    this.#tokens.push({ kind: 'end', value: '', word: '', start: end, end })
    return { tokens: this.#tokens, comments: this.#comments }
  }

  /** Blanks and comments. Block comments do not nest; a line comment ends at the line feed. */
  #skip(): Refusal | undefined {
    const text = this.#text
    for (;;) {
      const c = text[this.#at]
      if (c === ' ' || c === '\n' || c === '\t' || c === '\r') this.#at++
      else if (c === '#' || text.startsWith('--', this.#at)) {
        const end = text.indexOf('\n', this.#at)
        this.#at = end === -1 ? text.length : end
        this.#comments++
      } else if (text.startsWith('/*', this.#at)) {
        const end = text.indexOf('*/', this.#at + 2)
        if (end === -1) return this.#no(this.#at, 'a comment is not closed')
        this.#at = end + 2
        this.#comments++
      } else return undefined
    }
  }

  #token(): Refusal | undefined {
    const text = this.#text
    const c = text[this.#at] ?? ''
    const quote = this.#match(PREFIXED)
    if (quote !== undefined) return this.#string(quote)
    if (c === '`') return this.#quoted()
    const name = this.#match(NAME)
    if (name !== undefined) return this.#push('name', name, name.toUpperCase(), name.length)
    if (/[0-9]/.test(c) || (c === '.' && /[0-9]/.test(text[this.#at + 1] ?? ''))) return this.#number(c)
    if (c === '?') return this.#push('parameter', '', '', 1)
    if (c === '@') return this.#parameter()
    if (c === '}' && this.#isHint) {
      this.#isHint = false
      return this.#push('symbol', '}', '}', 1)
    }
    const symbol = SYMBOLS.find((s) => text.startsWith(s, this.#at))
    if (symbol === undefined) return this.#stray(c)
    return this.#bracket(symbol) ?? this.#push('symbol', symbol, symbol, symbol.length)
  }

  #bracket(symbol: string): Refusal | undefined {
    if (OPEN.includes(symbol)) this.#depth++
    if (CLOSE.includes(symbol)) this.#depth--
    if (this.#depth < 0) return this.#no(this.#at, `\`${symbol}\` closes nothing`)
    if (this.#depth <= LIMITS.nesting) return undefined
    const message = `brackets nest deeper than ${LIMITS.nesting}`
    return refuse(this.#text, this.#at, 'too-deep', message, 'use `WITH` to flatten the statement')
  }

  #string(quote: string): Refusal | undefined {
    const text = this.#text
    const mark = quote.replace(/^[rRbB]+/, '')
    let at = this.#at + quote.length
    for (; !text.startsWith(mark, at); at++) {
      if (text[at] === '\\') at++
      if (text[at] === '\n' && mark.length === 1) return this.#no(this.#at, 'a string is not closed on its line')
      if (at >= text.length) return this.#no(this.#at, 'a string is not closed')
    }
    const end = at + mark.length
    const kind = /^[rR]?[bB]/.test(quote) ? 'bytes' : 'string'
    return this.#push(kind, text.slice(this.#at, end), '', end - this.#at)
  }

  #quoted(): Refusal | undefined {
    const end = this.#text.indexOf('`', this.#at + 1)
    const value = this.#text.slice(this.#at + 1, end)
    if (end === -1 || value.includes('\n')) return this.#no(this.#at, 'a backtick is not closed on its line')
    if (value === '') return this.#no(this.#at, 'a quoted name is empty')
    if (value.includes('\\')) return this.#no(this.#at, 'a backslash stands in a quoted name')
    return this.#push('quoted', value, '', end + 1 - this.#at)
  }

  #number(first: string): Refusal | undefined {
    const last = this.#tokens.at(-1)
    const glued = last?.end === this.#at
    if (first === '.' && glued && this.#isPart(last)) {
      // `dataset.2024`: behind a point, a name may begin with a digit.
      this.#push('symbol', '.', '.', 1)
      const name = this.#match(DIGIT_NAME) ?? ''
      return this.#push('name', name, name.toUpperCase(), name.length)
    }
    if (first === '.' && glued && last !== undefined && /name|quoted|number/.test(last.kind)) {
      return this.#no(this.#at, 'a name begins with a digit', 'write it in backticks')
    }
    // `my-project-12.shop.customers`: the point belongs to the path.
    const digits = glued && last?.word === '-' ? this.#match(DIGITS) : undefined
    const dashed = digits !== undefined && /\.[A-Za-z_`]/.test(this.#text.slice(this.#at + digits.length).slice(0, 2))
    const number = dashed ? digits : (this.#match(NUMBER) ?? first)
    const next = this.#text[this.#at + number.length] ?? ''
    if (/[A-Za-z0-9_`]/.test(next)) {
      return this.#no(this.#at, 'a number runs into a name', 'put a blank between them, or the name in backticks')
    }
    return this.#push('number', number, '', number.length)
  }

  /** Whether a point behind it leads to another part of a path. */
  #isPart(last: Token | undefined): boolean {
    if (last?.kind === 'quoted') return true
    return last?.kind === 'name' && (!RESERVED.has(last.word) || this.#tokens.at(-2)?.word === '.')
  }

  #parameter(): Refusal | undefined {
    const ahead = this.#text.slice(this.#at, this.#at + 3)
    if (/^@@[A-Za-z_`]/.test(ahead)) return this.#push('symbol', '@@', '@@', 2)
    const hint = this.#isHint ? undefined : this.#match(HINT)
    if (hint !== undefined) {
      this.#isHint = true
      return this.#push('symbol', '@{', '@{', hint.length)
    }
    if (/^@[0-9]/.test(ahead)) return this.#push('symbol', '@', '@', 1)
    this.#at++
    const name = this.#match(NAME)
    this.#at--
    if (name === undefined) return this.#no(this.#at, 'a parameter, a hint or a system variable has no name here')
    return this.#push('parameter', name, '', name.length + 1)
  }

  #stray(c: string): Refusal {
    const shown = /[!-~]/.test(c) ? `\`${c}\`` : 'a character outside ASCII'
    return this.#no(this.#at, `${shown} cannot stand here`, 'only strings and quoted names may hold other characters')
  }

  #push(kind: TokenKind, value: string, word: string, length: number): undefined {
    const end = this.#at + length
    this.#tokens.push({ kind, value, word, start: this.#at, end })
    this.#at = end
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)?.[0]
  }

  #no(at: number, message: string, fix?: string): Refusal {
    return refuse(this.#text, at, 'unparseable', message, fix)
  }
}
