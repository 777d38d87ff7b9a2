import { describe, expect, test } from 'vitest'
import { sha256Hex } from '../../../src/digest.ts'
import { lex } from '../../../src/statement/lexer.ts'
import { marksOf, shapeOf, shapeText } from '../../../src/statement/shape.ts'

const tokensOf = (sql: string) => {
  const lexed = lex(sql)
  if ('refused' in lexed) throw new Error(lexed.message)
  return lexed.tokens
}
const shape = (sql: string): string => shapeText(tokensOf(sql))
const marks = (sql: string) => marksOf(sql, tokensOf(sql)).map(({ name, start }) => `${name} ${start}`)

describe('the shape of a text', () => {
  test('is what is left without literals, comments, blanks and letter case', () => {
    expect(shape("select Id -- which\nfrom shop.orders /* all */ WHERE status = 'paid' AND amount > -5.5e3")).toBe(
      'SELECT ID FROM SHOP . ORDERS WHERE STATUS = ? AND AMOUNT > ?',
    )
  })

  test.each([
    ["SELECT a FROM t WHERE b = 'x'", 'SELECT a FROM t WHERE b = "y\\n"'],
    ["SELECT a FROM t WHERE b = b'x'", 'SELECT a FROM t WHERE b = @name'],
    ['SELECT a FROM t WHERE b = 1', 'SELECT a FROM t WHERE b = ?'],
    ['SELECT a FROM t WHERE b = 1', 'SELECT a FROM t WHERE b = -1'],
    ['SELECT a FROM t WHERE b IN (1)', 'SELECT a FROM t WHERE b IN (3, -4, 5)'],
    ['SELECT a FROM t WHERE b IN UNNEST([1])', 'SELECT a FROM t WHERE b IN UNNEST([1, 2])'],
    ["INSERT t (a, b) VALUES (1, 'x')", "INSERT t (a, b) VALUES (2, 'y'), (3, 'z'), (4, 'w')"],
  ])('%s ≡ %s', (a, b) => expect(shape(a)).toBe(shape(b)))

  test.each([
    ['SELECT a FROM t', 'SELECT a, a FROM t'],
    ['SELECT a FROM t', 'SELECT a FROM u'],
    ['SELECT 1', 'SELECT 1, 2'],
    ['SELECT a - 1 FROM t', 'SELECT a FROM t'],
    ['SELECT a FROM `T`', 'SELECT a FROM `t`'],
    ['SELECT a FROM `b.c`', 'SELECT a FROM b.c'],
    ['SELECT a FROM my-project-1.d.t', 'SELECT a FROM my-project-2.d.t'],
    ['SELECT f(a, 1)', 'SELECT f(a, 1, 2)'],
    ["SELECT a FROM t WHERE b = 'x'", 'SELECT a FROM t WHERE b = x'],
  ])('%s ≢ %s', (a, b) => expect(shape(a)).not.toBe(shape(b)))

  test('is told as 16 hex digits of its SHA-256', async () => {
    const whole = await sha256Hex('SELECT ?')
    expect(shapeOf(tokensOf('select 42'))).toBe(whole.slice(0, 16))
  })
})

describe('marks of hiding', () => {
  test.each([
    ['SELECT/**/email FROM t', ['comment-trick 6']],
    ['SELECT email FROM shop/*x*/.customers', ['comment-trick 22']],
    ["SELECT 1 /* ' OR 1=1 */ + 2", ['comment-trick 8']],
    ['SELECT 1 /*! UNION */ + 2', ['comment-trick 8']],
    ['SELECT 1 -- /* \n + 2 -- */', ['comment-trick 8']],
    ["SELECT FROM_HEX('73736e')", ['encoded-literal 7']],
    ['SELECT CODE_POINTS_TO_STRING([115, 115])', ['encoded-literal 7']],
    ['SELECT CHR(115)', ['encoded-literal 7']],
    ["SELECT a FROM t WHERE b = '\\x65'", ['encoded-literal 26']],
    ["SELECT a FROM t WHERE b = '\\u0065'", ['encoded-literal 26']],
    ["SELECT a FROM t WHERE b = '\\145'", ['encoded-literal 26']],
    ['SELECT 1; SELECT 2', ['stacked-statements 10']],
  ])('%s', (sql, expected) => expect(marks(sql)).toEqual(expected))

  test.each([
    "-- it's the users' table; drop nothing\nSELECT 1",
    "SELECT a, -- don't\n  b /* what's \"b\"? */\nFROM t # 'quoted'",
    'SELECT COUNT(*) /* all */ FROM t',
    'SELECT COUNT(*)/* all */, 2 FROM t',
    "/* header: it's; -- */ SELECT 1",
    'SELECT \'/* no comment */\', "-- nor this"',
    "SELECT CONCAT(a, CHR(10)), FROM_HEX(b), 'caf\\u00e9\\n', r'\\x65'",
    'SELECT 1;',
    'SELECT 1 ; ; ',
  ])('none in %s', (sql) => expect(marks(sql)).toEqual([]))
})
