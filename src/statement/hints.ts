/** What to write instead, where a text uses the words of another dialect: for agents that mend their own SQL. */
import type { Token } from './lexer.ts'
import { nearest } from './nearest.ts'

/** Words that begin a statement, for whoever mistyped one. */
const BEGINNINGS = [
  'SELECT',
  'WITH',
  'FROM',
  'INSERT',
  'UPDATE',
  'DELETE',
  'MERGE',
  'TRUNCATE',
  'CREATE',
  'DROP',
  'ALTER',
  'EXPORT',
]

const SCHEMA = 'read `dataset.INFORMATION_SCHEMA.TABLES` or `dataset.INFORMATION_SCHEMA.COLUMNS`'

const STATEMENTS: Readonly<Record<string, string>> = {
  SHOW: SCHEMA,
  DESCRIBE: SCHEMA,
  DESC: SCHEMA,
  USE: 'name each table as `dataset.table`',
  EXPLAIN: 'POST /v1/preflight tells what a statement would do and read',
  VALUES: 'write `SELECT * FROM UNNEST([STRUCT(1 AS a, 2 AS b)])`',
}

/** Where a word stands that GoogleSQL lacks: itself, or with the token before it. */
const WORDS: Readonly<Record<string, string>> = {
  ILIKE: 'write `LOWER(x) LIKE LOWER(pattern)`',
  RLIKE: 'write `REGEXP_CONTAINS(x, pattern)`',
  REGEXP: 'write `REGEXP_CONTAINS(x, pattern)`',
  FETCH: 'write `LIMIT n`',
  MINUS: 'write `EXCEPT DISTINCT`',
  RETURNING: 'leave it out: GoogleSQL answers with the number of rows changed',
}

/** For a statement that begins with `word` (upper case), which none of ours does. */
export function hintForStatement(word: string): string | undefined {
  const known = STATEMENTS[word]
  if (known !== undefined) return known
  const near = nearest(word, BEGINNINGS)
  return near === undefined ? undefined : `did you mean \`${near}\`?`
}

/** For a token that stands where it may not, with the one before it and the one behind it. */
export function hintForToken(before: Token | undefined, token: Token, after: Token): string | undefined {
  if (token.word === ':' && after.word === ':') return 'write `CAST(x AS STRING)` for `x::STRING`'
  if (token.kind === 'number' && before?.word === 'TOP') return 'write `LIMIT n` at the end for `TOP n`'
  if (token.word === ',' && before?.kind === 'number') return 'for `LIMIT skip, count` write `LIMIT count OFFSET skip`'
  if (token.word === 'VALUES') return STATEMENTS['VALUES']
  return WORDS[token.word]
}
