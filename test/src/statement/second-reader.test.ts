/** The second reading: it outlives traps, and finds where the first one differs. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Bq2cst } from '../../../src/statement/bq2cst.ts'
import { lex } from '../../../src/statement/lexer.ts'
import { SecondReader } from '../../../src/statement/second-reader.ts'

const wasm = new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm'))

function read(
  text: string,
  kind: string,
  sources: readonly string[],
  shown = text,
  reader = new SecondReader(wasm),
): string {
  const lexed = lex(shown)
  if ('refused' in lexed) throw new Error(lexed.code)
  const spans = sources.map((source) => ({ start: text.indexOf(source), end: text.indexOf(source) + source.length }))
  const tokens = lexed.tokens.filter((token) => token.kind !== 'end')
  const first = { kind, tokens, sources: spans, functions: 0, hidden: [] }
  return reader.disagreement(text, first)?.message ?? 'agreed'
}

test('a parser that trapped is replaced', () => {
  const parser = new Bq2cst(wasm)
  expect(parser.parse(`SELECT ${'('.repeat(2000)}1${')'.repeat(2000)}`)).toBeUndefined()
  expect(parser.parse('SELECT 1')?.map((node) => node.node_type)).toEqual(['SelectStatement', 'EOF'])
})

test('a parser that refused goes on', () => {
  const parser = new Bq2cst(wasm)
  expect(parser.parse('SELECT FROM FROM')).toBeUndefined()
  expect(parser.parse("SELECT 'é'")).toHaveLength(2)
})

test.each([
  ['SELECT 1 FROM a.b, c.d', 'SELECT', ['a.b', 'c.d'], 'agreed'],
  ['SELECT 1 FROM a.b, c.d', 'SELECT', ['a.b'], 'a second parser reads other tables'],
  ['SELECT 1 FROM a.b, c.d', 'SELECT', ['c.d', 'a.b'], 'a second parser reads another table here'],
  ['SELECT 1 FROM a.b', 'INSERT', ['a.b'], 'a second parser reads another kind of statement'],
  ['SELECT 1 FROM a.b; SELECT 2', 'SELECT', ['a.b'], 'a second parser does not read this as one statement'],
  ['a + b', 'SELECT', [], 'a second parser does not understand a part of this statement'],
] as const)('%s as %s over %j: %s', (text, kind, sources, expected) => {
  expect(read(text, kind, sources)).toBe(expected)
})

test('what agreed once in another shape is no proof for this one', () => {
  const reader = new SecondReader(wasm)
  const again = (text: string, sources: readonly string[], shown = text): string =>
    read(text, 'SELECT', sources, shown, reader)
  expect(again("SELECT 1 FROM a.b, c.d WHERE e = 'x'", ['a.b', 'c.d'])).toBe('agreed')
  expect(again("SELECT 23 FROM a.b, c.d WHERE e = 'yz'", ['a.b', 'c.d'])).toBe('agreed')
  expect(again("SELECT 23 FROM a.b, c.d WHERE e = 'yz'", ['a.b'])).toBe('a second parser reads other tables')
  // Words of the same kind, and blanks between them, count.
  expect(again("SELECT 1 FROM a.b, a.b WHERE e = 'x'", ['a.b', 'c.d'])).toBe('a second parser reads another table here')
  expect(again('SELECT 1 FROM a-b.c', ['a-b.c'])).toBe('agreed')
  expect(again('SELECT 1 FROM a - b.c', ['a - b.c'])).toBe(
    'a second parser does not understand a part of this statement',
  )
})
