/** GoogleSQL text to tokens. Comments and white space are dropped; each token knows where it stood. */
import { invalidQuery } from '../errors.ts'

export interface Token {
  readonly kind:
    | 'name'
    | 'quoted'
    | 'string'
    | 'bytes'
    | 'integer'
    | 'float'
    | 'parameter'
    | 'position'
    | 'mark'
    | 'end'
  /** A name as written, a string's decoded value, bytes as hex, a number's text, a parameter's name, a mark. */
  readonly text: string
  readonly start: number
  readonly end: number
  readonly line: number
  readonly column: number
}

const MARKS = ['<=>', '=>', '<>', '!=', '<=', '>=', '||', '<<', '>>', '@@', '|>', '+=', '-=']

/** Cuts the text into tokens, the last of them of kind `end`. Throws 400 `invalidQuery` at what is no token. */
export function tokens(text: string): Token[] {
  const found: Token[] = []
  let at = 0
  let line = 1
  let lineStart = 0
  const place = (from: number): { line: number; column: number } => ({ line, column: from - lineStart + 1 })
  const newLines = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      if (text[i] === '\n') {
        line++
        lineStart = i + 1
      }
    }
  }
  while (at < text.length) {
    const rest = text.slice(at, at + 512)
    const space = /^(?:\s+|--[^\n]*|#[^\n]*)/.exec(rest)
    if (space) {
      newLines(at, at + space[0].length)
      at += space[0].length
      continue
    }
    if (rest.startsWith('/*')) {
      const end = text.indexOf('*/', at + 2)
      if (end < 0) throw invalidQuery('Syntax error: Unclosed comment', place(at))
      newLines(at, end + 2)
      at = end + 2
      continue
    }
    const start = at
    const where = place(start)
    const push = (kind: Token['kind'], value: string, end: number): void => {
      found.push({ kind, text: value, start, end, ...where })
      newLines(start, end)
      at = end
    }
    const prefix = /^(rb|br|r|b)?(?=["'])/i.exec(rest)
    if (prefix) {
      const flags = prefix[0].toLowerCase()
      const literal = quoted(text, at + flags.length, flags.includes('r'), flags.includes('b'), where)
      push(flags.includes('b') ? 'bytes' : 'string', literal.value, literal.end)
      continue
    }
    if (rest[0] === '`') {
      const literal = quoted(text, at, false, false, where)
      if (literal.value === '') throw invalidQuery('Syntax error: Invalid empty identifier', where)
      push('quoted', literal.value, literal.end)
      continue
    }
    const number = /^(?:0x[0-9a-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/i.exec(rest)
    if (number && (/^\d/.test(rest) || !followsName(found.at(-1), start))) {
      push(/^(?:0x[0-9a-f]+|\d+)$/i.test(number[0]) ? 'integer' : 'float', number[0], at + number[0].length)
      continue
    }
    const name = /^[a-z_][a-z0-9_]*/i.exec(text.slice(at, at + 1024))
    if (name) {
      push('name', name[0], at + name[0].length)
      continue
    }
    const parameter = /^@(?:`([^`]+)`|([a-z_][a-z0-9_]*))/i.exec(rest)
    if (parameter) {
      push('parameter', parameter[1] ?? parameter[2] ?? '', at + parameter[0].length)
      continue
    }
    if (rest[0] === '?') {
      push('position', '?', at + 1)
      continue
    }
    const mark = MARKS.find((candidate) => rest.startsWith(candidate)) ?? rest.slice(0, 1)
    if (!/^[-+*/=<>!|&^~%.,;:()[\]{}@]/.test(mark)) {
      throw invalidQuery(`Syntax error: Illegal input character ${JSON.stringify(mark)}`, where)
    }
    push('mark', mark, at + mark.length)
  }
  found.push({ kind: 'end', text: 'end of query', start: at, end: at, ...place(at) })
  return found
}

/** After a name or a closing bracket, `.5` is a path and not a number. */
function followsName(before: Token | undefined, start: number): boolean {
  if (before === undefined || before.end !== start) return false
  return before.kind === 'name' || before.kind === 'quoted' || before.text === ')' || before.text === ']'
}

function quoted(
  text: string,
  from: number,
  raw: boolean,
  bytes: boolean,
  where: { line: number; column: number },
): { value: string; end: number } {
  const mark = text[from] ?? ''
  const triple = mark !== '`' && text.startsWith(mark.repeat(3), from)
  const close = triple ? mark.repeat(3) : mark
  let at = from + close.length
  const out: string[] = []
  while (!text.startsWith(close, at)) {
    const unit = text[at]
    if (unit === undefined || (!triple && unit === '\n'))
      throw invalidQuery('Syntax error: Unclosed string literal', where)
    if (unit !== '\\') {
      out.push(unit)
      at++
      continue
    }
    if (raw) {
      out.push(text.slice(at, at + 2))
      at += 2
      continue
    }
    const escape = decodeEscape(text.slice(at, at + 10), bytes)
    if (escape === undefined) throw invalidQuery('Syntax error: Illegal escape sequence', where)
    out.push(escape.value)
    at += escape.length
  }
  const joined = out.join('')
  return { value: bytes ? hexOf(joined) : joined, end: at + close.length }
}

/** Bytes travel as text in which an escape's byte stands as U+F700 + byte, so that `é` and `\xe9` stay apart. */
const BYTE = 0xf700

function hexOf(text: string): string {
  const parts: string[] = []
  for (const unit of text) {
    const code = unit.codePointAt(0) ?? 0
    parts.push(
      code >= BYTE && code < BYTE + 256
        ? (code - BYTE).toString(16).padStart(2, '0')
        : Buffer.from(unit).toString('hex'),
    )
  }
  return parts.join('')
}

const SIMPLE: Record<string, string> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '?': '?',
  '"': '"',
  "'": "'",
  '`': '`',
  '\n': '\n',
}

function decodeEscape(text: string, bytes: boolean): { value: string; length: number } | undefined {
  const simple = SIMPLE[text[1] ?? '']
  if (simple !== undefined) return { value: simple, length: 2 }
  const coded = /^\\(?:[xX]([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(text)
  if (!coded) return undefined
  const byte = coded[1] !== undefined || coded[2] !== undefined
  const code =
    coded[2] === undefined ? Number.parseInt(coded[1] ?? coded[3] ?? coded[4] ?? '', 16) : Number.parseInt(coded[2], 8)
  if (code > 0x10ffff || (bytes && !byte)) return undefined
  return { value: String.fromCodePoint(bytes ? BYTE + code : code), length: coded[0].length }
}
