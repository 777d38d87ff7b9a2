/** What statements around queries have in common, and how the parts of them that are not read are skipped. */
import { Grammar } from './grammar.ts'
import type { ChangeAction, Name, Path, Query, Tree } from './syntax.ts'
import { NAMESPACES } from './words.ts'

export type Copy = Tree['copies'][number]
export type Target = Tree['targets'][number]
type TreeFeature = Tree['features'][number]

/** Words that may not stand in the unread rest of a DDL statement: a query or a routine could hide there. */
const SUSPECT = new Set(
  'SELECT FROM WITH UNION JOIN CALL EXECUTE MERGE INSERT UPDATE DELETE AS LIKE COPY CLONE'.split(' '),
)

/** What each statement's reader stands on. Reads with `g`; `tree` gathers what was noted on the way. */
export class Parts {
  protected readonly g: Grammar
  protected readonly features: TreeFeature[] = []
  protected readonly arrays: Path[] = []
  protected isConnected = false

  constructor(grammar: Grammar) {
    this.g = grammar
  }

  protected tree(start: number, kind: string, rest: Partial<Tree>): Tree {
    return { start, kind, does: { is: 'define' }, targets: [], copies: [], features: this.features, ...rest }
  }

  protected target(path: Path, ...actions: readonly ChangeAction[]): Tree['targets'] {
    return [{ path, actions }]
  }

  protected query(): Query {
    return this.g.opensQuery() ? this.g.query() : this.g.unexpected('a query')
  }

  /** Column lists, options, partitioning: no query may hide in them. Answers with the tables that foreign keys name. */
  protected skipRest(until: readonly string[] = []): Target[] {
    const g = this.g
    const mentioned: Target[] = []
    while (g.peek().kind !== 'end' && !g.is(';') && !g.isAny(...until)) {
      if (g.is('(')) mentioned.push(...this.skipGroup())
      else mentioned.push(...this.skipOne())
    }
    return mentioned
  }

  protected skipGroup(): Target[] {
    const g = this.g
    const mentioned: Target[] = []
    g.need('(')
    for (let depth = 1; depth > 0;) {
      if (g.peek().kind === 'end') g.unexpected('`)`')
      if (g.is('(')) depth++
      if (g.is(')')) depth--
      mentioned.push(...this.skipOne())
    }
    return mentioned
  }

  protected skipOne(): Target[] {
    const g = this.g
    if (g.take('REFERENCES')) return [{ path: g.path(), actions: ['read'], object: 'unlisted' }]
    if (g.take('WITH', 'CONNECTION')) {
      if (!g.take('DEFAULT')) g.path()
      this.isConnected = true
      return []
    }
    if (g.take('WITH', 'PARTITION', 'COLUMNS')) return []
    if (g.is('CHECK', '(')) g.never(g.peek().start, 'clause', 'a `CHECK` constraint')
    if (SUSPECT.has(g.peek().word)) g.unsupported('clause', `\`${g.peek().word}\` in this place`)
    // A new name for a table, another default, a remote service: names that we do not follow.
    if (g.is('RENAME', 'TO') || g.is('REPLICA')) g.unsupported('clause', `\`${g.peek().word}\``)
    // A call by a dotted name is code.
    if (g.is('.') && g.peek(2).word === '(') g.unsupported('clause', 'a call by a dotted name in this place')
    g.next()
    return []
  }
}

/** More than any path has. */
const PATH_TOKENS = 60

/** Reads the path that begins at an offset. */
export function paths({ text, tokens }: Pick<Grammar, 'text' | 'tokens'>): (at: number) => Path {
  const index = new Map(tokens.map((token, i) => [token.start, i]))
  return (at) => {
    const from = index.get(at) ?? 0
    return new Grammar(text, tokens.slice(from, from + PATH_TOKENS)).path()
  }
}

/** `NET.HOST(…)`: a built-in function that computes and no more. */
export function isComputing({ names }: Path): boolean {
  const [first] = names
  return first !== undefined && (NAMESPACES.has(first.text.toUpperCase()) || first.text.toUpperCase() === 'SAFE')
}

/** A word in the place of a path. */
export function word(text: string): Path {
  const name: Name = { text, quoted: true, start: 0, end: 0 }
  return { start: 0, end: 0, names: [name] }
}

export function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V })
}
