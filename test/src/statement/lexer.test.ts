/** The lexer, over texts that nobody thought of. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { emit, lex, type Token } from '../../../src/statement/lexer.ts'

const pieces = fc.constantFrom(
  'SELECT',
  'a',
  '`q.r`',
  "'s'",
  '"t"',
  "'''u\n'''",
  "r'\\\\'",
  "b'v'",
  '1',
  '.5',
  '0x1F',
  '1e-3',
  '@p',
  '?',
  '(',
  ')',
  ',',
  '.',
  '+',
  '-',
  '*',
  '||',
  '<=',
  '>',
  '>',
  '[',
  ']',
  '-- c\n',
  '# c\n',
  '/* c */',
  '/* \n */',
  ' ',
  '\n',
  '\r\n',
)
const texts = fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join(''))

function tokensOf(sql: string): readonly Token[] | undefined {
  const lexed = lex(sql)
  return 'refused' in lexed ? undefined : lexed.tokens
}

test('what is re-emitted lexes to the same tokens at the same places', () => {
  fc.assert(
    fc.property(texts, (sql) => {
      const tokens = tokensOf(sql)
      if (tokens === undefined) return
      const again = tokensOf(emit(sql, tokens))
      expect(again?.slice(0, -1)).toEqual(tokens.slice(0, -1))
    }),
    { numRuns: 2000 },
  )
})

test('what is re-emitted holds no comment', () => {
  fc.assert(
    fc.property(texts, (sql) => {
      const tokens = tokensOf(sql)
      if (tokens === undefined) return
      const again = lex(emit(sql, tokens))
      expect('refused' in again ? again : again.comments).toBe(0)
    }),
    { numRuns: 2000 },
  )
})

test('any text is lexed or refused at a place in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (sql) => {
      const lexed = lex(sql)
      if (!('refused' in lexed)) return
      expect(lexed.line).toBeLessThanOrEqual(sql.split('\n').length)
      expect(lexed.column).toBeGreaterThanOrEqual(1)
    }),
    { numRuns: 2000 },
  )
})

test('tokens and blanks are all that a text holds', () => {
  const sql = 'SELECT `a.b` , r"\\"" FROM x-y -- end'
  const tokens = tokensOf(sql) ?? []
  expect(tokens.map(({ kind, start, end }) => `${kind} ${sql.slice(start, end)}`)).toEqual([
    'name SELECT',
    'quoted `a.b`',
    'symbol ,',
    'string r"\\""',
    'name FROM',
    'name x',
    'symbol -',
    'name y',
    'end ',
  ])
})
