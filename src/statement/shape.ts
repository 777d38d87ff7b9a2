/** What is left of a text when its literals are gone, and the marks that a text bears of someone hiding something. Pure. */
import { sha256 } from '@noble/hashes/sha2.js'
import { hex } from '../digest.ts'
import type { Token } from './lexer.ts'

const SHAPE_DIGITS = 16

/**
 * 16 hex digits that are equal for texts which differ only in literals, parameters, the length of lists of them, letter
 * case of unquoted words, blanks and comments.
 */
export function shapeOf(tokens: readonly Token[]): string {
  // Here and now: handing so few bytes to another thread and back takes longer than the rest of the analysis.
  const digest = sha256(new TextEncoder().encode(shapeText(tokens)))
  return hex(digest.subarray(0, SHAPE_DIGITS / 2))
}

/** `SELECT a FROM t WHERE b IN (1, 2, 3)` → `SELECT A FROM T WHERE B IN ( ? )` */
export function shapeText(tokens: readonly Token[]): string {
  const words: string[] = []
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'end') continue
    const word = wordOf(token, tokens[index - 1], tokens[index + 1])
    // `-5` is a literal where nothing stands before it that it could be taken from.
    if (word === '?' && /^[+-]$/.test(words.at(-1) ?? '') && isSign(words.at(-2))) words.pop()
    words.push(word)
    if (word === ']' || word === ')') collapse(words)
  }
  return words.join(' ')
}

function wordOf(token: Token, before: Token | undefined, after: Token | undefined): string {
  switch (token.kind) {
    case 'name':
      return token.word
    case 'quoted':
      return `\`${token.value}\``
    case 'symbol':
      return token.word
    case 'number':
      // `my-project-12.shop`: part of a name.
      return before?.word === '-' && before.end === token.start && after?.word === '.' ? token.value : '?'
    default:
      return '?'
  }
}

/** Whether a `-` behind it is a sign and no subtraction. */
function isSign(before: string | undefined): boolean {
  return (
    before === undefined ||
    /^(\(|\[|,|=|<|>|<=|>=|<>|!=|=>|\+|-|\*|\/|SELECT|BETWEEN|AND|THEN|ELSE|LIMIT)$/.test(before)
  )
}

/** A list that ends in the last word and holds nothing but literals becomes one; a row equal to the one before it goes. */
function collapse(words: string[]): void {
  const close = words.length - 1
  let open = close - 1
  while (words[open] === '?' || words[open] === ',') open--
  const isList = close - open > 1 && (words[open] === '(' || words[open] === '[')
  if (!isList) return
  words.splice(open + 1, close - open - 1, '?')
  // `( ? ) , ( ? )`: rows of VALUES, however many.
  const row = words.slice(-4 - 3)
  if (row.join(' ') === `${words[open]} ? ${words.at(-1)} , ${words[open]} ? ${words.at(-1)}`) words.splice(-4)
}

/** A mark at an offset of the text. */
export interface Mark {
  readonly name: 'comment-trick' | 'encoded-literal' | 'stacked-statements'
  readonly start: number
}

/** Each kind of mark once, where it is first seen. `sql` is the text as it was sent, comments and all. */
export function marksOf(sql: string, tokens: readonly Token[]): readonly Mark[] {
  const found = new Map<Mark['name'], number>()
  const note = (name: Mark['name'], start: number): void => void (found.has(name) || found.set(name, start))
  let end = 0
  for (const [index, token] of tokens.entries()) {
    const [gap, next] = [sql.slice(end, token.start), tokens[index + 1]]
    if (/[#*-]/.test(gap) && isTrick(gap, tokens[index - 1], token)) note('comment-trick', end)
    if (token.word === ';' && next !== undefined && next.kind !== 'end' && next.word !== ';') {
      note('stacked-statements', next.start)
    }
    if (isEncoded(token, next, tokens[index + 2])) note('encoded-literal', token.start)
    end = token.end
  }
  return [...found].map(([name, start]) => ({ name, start }))
}

/** Tokens that would run into each other without a blank, and the point between parts of a name. */
const WORDS = new Set<Token['kind'] | undefined>(['name', 'quoted', 'number', 'string', 'bytes'])
const isWord = (token: Token | undefined): boolean => WORDS.has(token?.kind) || token?.word === '.'

/**
 * Comments that do more than comment: one that stands in place of a blank within words, one within a line that holds a
 * quote or the end of a statement, and one with the marks of another, which readers take for different things.
 */
function isTrick(gap: string, before: Token | undefined, after: Token): boolean {
  if (isWord(before) && isWord(after) && /^\/\*[^]*\*\/$/.test(gap)) return true
  for (const [comment] of gap.matchAll(/\/\*[^]*?\*\/|(?:#|--)[^\n]*/g)) {
    const isBlock = comment.startsWith('/*')
    const inner = isBlock ? comment.slice(2, -2) : comment.replace(/^(?:#+|-+)/, '')
    if (inner.startsWith('!') || inner.includes('/*') || inner.includes('*/')) return true
    const isInline = isBlock && before !== undefined && after.kind !== 'end' && !gap.includes('\n')
    if (isInline && /['"`;\\]|--|#/.test(inner)) return true
  }
  return false
}

const DECODERS = new Set([
  'CHR',
  'CODE_POINTS_TO_BYTES',
  'CODE_POINTS_TO_STRING',
  'FROM_BASE32',
  'FROM_BASE64',
  'FROM_HEX',
])

/** A literal whose words cannot be read off it: decoded by a function, or plain letters written as escapes. */
function isEncoded(token: Token, next: Token | undefined, argument: Token | undefined): boolean {
  if (token.kind === 'string' || token.kind === 'bytes') return isEscaped(token.value)
  if (token.kind !== 'name' || !DECODERS.has(token.word) || next?.word !== '(') return false
  // CHR(10) is how a line feed is written.
  if (token.word === 'CHR') return argument?.kind === 'number' && !/^(9|10|13)$/.test(argument.value)
  return argument?.word === '[' || argument?.kind === 'string' || argument?.kind === 'bytes'
}

/** `\x65`, `\u0065`, `\145` for `e`: letters and digits need no escape. */
function isEscaped(literal: string): boolean {
  if (/^[bB]?[rR]/.test(literal)) return false
  const escapes = /\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|[^])/g
  for (const [, hex, short, long, octal] of literal.matchAll(escapes)) {
    const code = octal === undefined ? Number.parseInt(hex ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8)
    if (/^[A-Za-z0-9]$/.test(String.fromCharCode(code))) return true
  }
  return false
}
