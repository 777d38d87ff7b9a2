/**
 * Texts made of other texts, the same for the same seed: tokens moved, doubled, dropped, quoted, hidden in comments, names made
 * to hide one another. Most are no SQL; those that two readers take in two ways are what we look for. Its tokens are cut by a
 * rule of its own, so that a mistake of our lexer is not repeated here.
 */

/** Numbers from 0 up to 1, as good as is needed here (mulberry32). */
export function randomness(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const TOKEN =
  /\s+|--[^\n]*|#[^\n]*|\/\*[^]*?\*\/|(?:r|b|rb|br)?(?:"""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|`[^`\n]*`|[A-Za-z_]\w*|\d[\w.]*|\|>|=>|->|<=|>=|<>|!=|\|\||<<|>>|@@|[^]/giy

export function tokensOf(sql: string): string[] {
  return sql.match(TOKEN) ?? []
}

const WORD = /^[A-Za-z_]\w*$/
const SPACE = /^\s+$/

/** What stands between tokens, or in place of one. */
const INSERTED = [
  '(',
  ')',
  '[',
  ']',
  ',',
  '.',
  ';',
  '*',
  '-',
  '`',
  "'",
  '"',
  '"""',
  "'''",
  '\\',
  '@',
  '@@',
  '=>',
  '->',
  '|>',
  '<',
  '>',
  '{',
  '}',

  '--',
  '-- x\n',
  '#',
  '# x\n',
  '/*',
  '*/',
  '/* x */',
  '/* /* */',
  '--\r',
  '\r',
  '\n',
  '\t',
  '\0',
  '\u00a0',
  '\u200b',
  '\u2028',
  '\ufeff',

  'AS',
  'FROM',
  'JOIN',
  'CROSS JOIN',
  'ON TRUE',
  'USING (id)',
  'WHERE',
  'UNNEST',
  'SELECT',
  'SELECT * FROM',
  'WITH',
  'RECURSIVE',
  'LATERAL',

  'UNION ALL',
  'EXCEPT DISTINCT',
  'TABLE',
  'MODEL',
  'OFFSET',
  'WITH OFFSET',
  'STRUCT',
  'ARRAY',
  'EXISTS',
  'IN',
  'LIKE',
  'NOT',
  'CASE',
  'END',

  'QUALIFY',
  'WINDOW',
  'OVER ()',
  'LIMIT 1',
  'ORDER BY 1',
  'GROUP BY ALL',
  'TABLESAMPLE SYSTEM (1 PERCENT)',
  'FOR SYSTEM_TIME AS OF x',

  'PIVOT(MAX(a) FOR b IN (1))',
  'UNPIVOT(a FOR b IN (c, d))',
  '@{x=1}',
  '@5',
  'r',
  'b',
  'rb',
  'SAFE',
  'INTERVAL',
  'EXTRACT',
  'DATE',
  'RANGE',

  'REPLACE (1 AS a)',
  'EXCEPT (a)',
  '.*',
  'INTO',
  'VALUES',
  'SET',
  'MERGE',
  'DEFAULT',
  'IGNORE NULLS',
  'DISTINCT',
  'ALL',
  'NULL',
  '0',
  '1',
  '1.',
  '.1',
  "''",

  ', secret.s',
  ', (SELECT 1 FROM secret.s)',
  '(SELECT x FROM secret.s)',
  'ARRAY(SELECT x FROM secret.s)',
  'JOIN secret.s',
  '`secret.s`',
  'secret.s',
]

/** Letters that look like others, or that a careless reader folds into them. */
const ALIKE: Readonly<Record<string, string>> = {
  a: 'а',
  e: 'е',
  o: 'о',
  i: 'ı',
  s: 'ſ',
  k: 'K',
  '.': '․',
  "'": '’',
  '`': 'ˋ',
  '-': '‐',
  '(': '(',
}

/** A word of these stands where another of these would. */
const KEYWORDS =
  'select from where join on using as with union except intersect group order limit offset unnest array struct case when end in exists table model over window qualify having replace distinct all and or not like between is null lateral recursive pivot unpivot values set rows range extract date interval if cast left right full inner outer cross natural by for system_time of insert update delete merge create view temp function drop'.split(
    ' ',
  )

export interface Mutant {
  readonly sql: string
  /** The seeds of which it is made, and what was done to them, in order. */
  readonly by: readonly string[]
}

type Change = (tokens: string[], tools: Tools) => void

interface Tools {
  /** A whole number from 0 up to, and without, `below`. */
  readonly upTo: (below: number) => number
  readonly one: <T>(of: readonly T[]) => T | undefined
  /** The tokens of any seed. */
  readonly other: () => string[]
}

const solid = (tokens: readonly string[]): number[] => tokens.flatMap((token, i) => (SPACE.test(token) ? [] : [i]))
const words = (tokens: readonly string[]): number[] => tokens.flatMap((token, i) => (WORD.test(token) ? [i] : []))
const names = (tokens: readonly string[]): number[] =>
  words(tokens).filter((i) => !KEYWORDS.includes((tokens[i] ?? '').toLowerCase()))

/** The start and the number of tokens of a path, `a.b-c.d`, around a word. */
function pathAt(tokens: readonly string[], at: number): readonly [number, number] {
  const isPart = (i: number): boolean => /^([A-Za-z_]\w*|`[^`]*`|\.|-|\d+)$/.test(tokens[i] ?? '')
  let start = at
  let end = at + 1
  while (start > 0 && isPart(start - 1) && (tokens[start] === '.' || tokens[start - 1] === '.')) start--
  while (end < tokens.length && isPart(end) && (tokens[end] === '.' || tokens[end - 1] === '.')) end++
  return [start, end - start]
}

/** Where the first bracket at or behind `open` has closed. */
export function closing(tokens: readonly string[], open: number): number {
  let depth = 0
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i] === '(') depth++
    else if (tokens[i] === ')' && --depth === 0) return i + 1
  }
  return tokens.length
}

/** By name, so that a finding says what was done. */
export const CHANGES: Readonly<Record<string, Change>> = {
  drop(tokens, { one }) {
    const at = one(solid(tokens))
    if (at !== undefined) tokens.splice(at, 1)
  },
  dropSome(tokens, { upTo }) {
    tokens.splice(upTo(tokens.length), 1 + upTo(6))
  },
  double(tokens, { one }) {
    const at = one(solid(tokens))
    if (at !== undefined) tokens.splice(at, 0, tokens[at] ?? '', ' ')
  },
  doubleSome(tokens, { upTo }) {
    const at = upTo(tokens.length)
    const some = tokens.slice(at, at + 2 + upTo(8))
    tokens.splice(at, 0, ...some, ' ')
  },
  swap(tokens, { one }) {
    const [a, b] = [one(solid(tokens)), one(solid(tokens))]
    if (a !== undefined && b !== undefined) [tokens[a], tokens[b]] = [tokens[b] ?? '', tokens[a] ?? '']
  },
  swapNext(tokens, { upTo }) {
    const places = solid(tokens)
    const nth = upTo(Math.max(1, places.length - 1))
    const [a, b] = [places[nth], places[nth + 1]]
    if (a !== undefined && b !== undefined) [tokens[a], tokens[b]] = [tokens[b] ?? '', tokens[a] ?? '']
  },
  move(tokens, { upTo }) {
    const some = tokens.splice(upTo(tokens.length), 1 + upTo(8))
    tokens.splice(upTo(tokens.length + 1), 0, ' ', ...some, ' ')
  },
  insert(tokens, { upTo, one }) {
    tokens.splice(upTo(tokens.length + 1), 0, ' ', one(INSERTED) ?? '', ' ')
  },
  insertTight(tokens, { upTo, one }) {
    tokens.splice(upTo(tokens.length + 1), 0, one(INSERTED) ?? '')
  },
  replace(tokens, { one }) {
    const at = one(solid(tokens))
    if (at !== undefined) tokens[at] = one(INSERTED) ?? ''
  },
  replaceByOther(tokens, { one, other }) {
    const theirs = other()
    const from = one(solid(theirs))
    const at = one(solid(tokens))
    if (at !== undefined && from !== undefined) tokens[at] = theirs[from] ?? ''
  },
  keywordAsName(tokens, { one }) {
    const at = one(names(tokens))
    if (at !== undefined) tokens[at] = one(KEYWORDS) ?? ''
  },
  nameAsKeyword(tokens, { one }) {
    const at = one(words(tokens))
    const from = one(names(tokens))
    if (at !== undefined && from !== undefined) tokens[at] = tokens[from] ?? ''
  },
  keyword(tokens, { one }) {
    const at = one(words(tokens).filter((i) => !names(tokens).includes(i)))
    if (at !== undefined) tokens[at] = one(KEYWORDS) ?? ''
  },
  splice(tokens, { upTo, other }) {
    const theirs = other()
    const at = upTo(tokens.length)
    tokens.splice(at, tokens.length - at, ' ', ...theirs.slice(upTo(theirs.length)))
  },
  graft(tokens, { upTo, other }) {
    const theirs = other()
    const from = upTo(theirs.length)
    tokens.splice(upTo(tokens.length), upTo(10), ' ', ...theirs.slice(from, from + 2 + upTo(16)), ' ')
  },
  bracketOfOther(tokens, { one, other }) {
    const open = (of: readonly string[]): number[] => of.flatMap((token, i) => (token === '(' ? [i] : []))
    const theirs = other()
    const from = one(open(theirs))
    const at = one(open(tokens))
    if (from === undefined || at === undefined) return
    tokens.splice(at, closing(tokens, at) - at, ...theirs.slice(from, closing(theirs, from)))
  },
  subquery(tokens, { one, other }) {
    const at = one(names(tokens))
    if (at === undefined) return
    const [start, count] = pathAt(tokens, at)
    tokens.splice(start, count, '(', ...other(), ')')
  },
  wrap(tokens, { upTo }) {
    const at = upTo(tokens.length)
    tokens.splice(at, 0, '(')
    tokens.splice(Math.min(tokens.length, at + 2 + upTo(12)), 0, ')')
  },
  unwrap(tokens, { one }) {
    const at = one(tokens.flatMap((token, i) => (token === '(' ? [i] : [])))
    if (at === undefined) return
    tokens.splice(closing(tokens, at) - 1, 1)
    tokens.splice(at, 1)
  },
  quote(tokens, { one }) {
    const at = one(words(tokens))
    if (at !== undefined) tokens[at] = `\`${tokens[at]}\``
  },
  quotePath(tokens, { one }) {
    const at = one(names(tokens))
    if (at === undefined) return
    const [start, count] = pathAt(tokens, at)
    tokens.splice(
      start,
      count,
      `\`${tokens
        .slice(start, start + count)
        .join('')
        .replaceAll('`', '')}\``,
    )
  },
  quoteSome(tokens, { upTo, one }) {
    const at = upTo(tokens.length)
    const mark = one(['`', "'", '"', '"""', "'''", "r'", 'b"']) ?? '`'
    tokens.splice(at, 0, mark)
    tokens.splice(Math.min(tokens.length, at + 2 + upTo(8)), 0, mark.replace(/^[rb]/, ''))
  },
  unquote(tokens, { one }) {
    const at = one(tokens.flatMap((token, i) => (token.startsWith('`') ? [i] : [])))
    if (at !== undefined) tokens[at] = (tokens[at] ?? '').replaceAll('`', '')
  },
  comment(tokens, { upTo, one }) {
    const at = upTo(tokens.length)
    const end = Math.min(tokens.length, at + 1 + upTo(6))
    const [open, close] = one([
      ['/*', '*/'],
      ['-- ', '\n'],
      ['# ', '\n'],
      ['--', '\r'],
      ['/*/', '*/'],
      ["'''", "'''"],
    ]) ?? ['/*', '*/']
    tokens.splice(end, 0, close ?? '')
    tokens.splice(at, 0, open ?? '')
  },
  glue(tokens, { one }) {
    const at = one(tokens.flatMap((token, i) => (SPACE.test(token) ? [i] : [])))
    if (at !== undefined) tokens.splice(at, 1)
  },
  dash(tokens, { one }) {
    const at = one(names(tokens))
    if (at !== undefined) tokens[at] = `${tokens[at]}-${one(['x', '1', '1a', '-', '`y`', ' z']) ?? ''}`
  },
  longer(tokens, { one }) {
    const at = one(names(tokens))
    if (at !== undefined) tokens[at] = `${one(['proj.', 'p-1.', 'secret.', '`p`.', 'own.', 't.']) ?? ''}${tokens[at]}`
  },
  shorter(tokens, { one }) {
    const at = one(tokens.flatMap((token, i) => (token === '.' ? [i] : [])))
    if (at !== undefined) tokens.splice(at, 2)
  },
  letterCase(tokens, { one }) {
    const at = one(words(tokens))
    if (at === undefined) return
    const word = tokens[at] ?? ''
    tokens[at] = one([word.toUpperCase(), word.toLowerCase(), word[0]?.toUpperCase() + word.slice(1)]) ?? word
  },
  alike(tokens, { one }) {
    const at = one(
      solid(tokens).filter((i) => Array.from(tokens[i] ?? '').some((letter) => ALIKE[letter] !== undefined)),
    )
    if (at === undefined) return
    const letter = one(Array.from(tokens[at] ?? '').filter((letter) => ALIKE[letter] !== undefined)) ?? ''
    tokens[at] = (tokens[at] ?? '').replace(letter, ALIKE[letter] ?? '')
  },
  oneName(tokens, { one }) {
    // One name becomes another of the same text: aliases, datasets, tables and columns hide each other.
    const [a, b] = [one(names(tokens)), one(names(tokens))]
    if (a !== undefined && b !== undefined) tokens[a] = tokens[b] ?? ''
  },
  renameAll(tokens, { one }) {
    const [a, b] = [one(names(tokens)), one(names(tokens))]
    if (a === undefined || b === undefined) return
    const [from, to] = [tokens[a], tokens[b] ?? '']
    for (const i of names(tokens)) if (tokens[i] === from) tokens[i] = to
  },
  aliasAs(tokens, { one }) {
    const [a, b] = [one(names(tokens)), one(names(tokens))]
    if (a === undefined || b === undefined) return
    const [start, count] = pathAt(tokens, a)
    tokens.splice(start + count, 0, one([' ', ' AS ']) ?? ' ', tokens[b] ?? '', ' ')
  },
  hiddenByCte(tokens, { one }) {
    const at = one(names(tokens))
    if (at === undefined) return
    const [start, count] = pathAt(tokens, at)
    const path = tokens.slice(start, start + count)
    const name = one([tokens[at] ?? '', path[0] ?? '', `\`${path.join('').replaceAll('`', '')}\``]) ?? ''
    const body =
      one(['SELECT 1 AS a', `SELECT * FROM ${path.join('')}`, `SELECT * FROM ${name}`, 'SELECT x FROM secret.s']) ?? ''
    tokens.unshift('WITH ', one(['', 'RECURSIVE ']) ?? '', name, ' AS (', body, ') ')
  },
  correlated(tokens, { one }) {
    const [a, b] = [one(names(tokens)), one(names(tokens))]
    if (a === undefined || b === undefined) return
    const [start, count] = pathAt(tokens, a)
    const join = one([', ', ' CROSS JOIN ', ' LEFT JOIN ', ' JOIN UNNEST(']) ?? ', '
    tokens.splice(start + count, 0, join, tokens[start] ?? '', '.', tokens[b] ?? '', join.endsWith('(') ? ')' : '', ' ')
  },
  hint(tokens, { upTo, one }) {
    tokens.splice(
      upTo(tokens.length),
      0,
      one(['@{a=1}', '@{a=(SELECT x FROM secret.s)}', '@7 ', '@{x.y=1, z=@p}']) ?? '',
    )
  },
  second(tokens, { other, one }) {
    tokens.push(one(['; ', ';', ' ', '\n;\n', ' UNION ALL ', ' -- x\n; ']) ?? ';', ...other())
  },
}

const NAMES = Object.keys(CHANGES)

/** Mutants without an end, from texts (at least one). */
export function* mutants(seeds: readonly string[], seed: number): Generator<Mutant, never> {
  const random = randomness(seed)
  const upTo = (below: number): number => Math.floor(random() * below)
  const one = <T>(of: readonly T[]): T | undefined => of[upTo(of.length)]
  const cut = seeds.map(tokensOf)
  const other = (): string[] => [...(one(cut) ?? [])]
  const tools: Tools = { upTo, one, other }
  while (true) {
    const nth = upTo(cut.length)
    const tokens = [...(cut[nth] ?? [])]
    const by = [`seed ${nth}`]
    for (let left = 1 + upTo(3); left > 0; left--) {
      const name = one(NAMES) ?? 'drop'
      CHANGES[name]?.(tokens, tools)
      by.push(name)
    }
    yield { sql: tokens.join(''), by }
  }
}
