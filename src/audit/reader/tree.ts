/**
 * ClickHouse's own tree of a statement, read from the text of `EXPLAIN AST`. Depth and number of children are checked line by
 * line: a name with a line break in it, made to look like another tree, does not add up and is refused.
 */
import { Failure } from '../../failure.ts'

export interface Node {
  readonly type: string
  /** What stands behind the type, without alias: a function's name, a table's path, a literal. */
  readonly text: string
  readonly children: readonly Node[]
}

/** Types that have no children; their text may hold anything, so it is not searched for a number of children. */
const LEAVES: ReadonlySet<string> = new Set(['Identifier', 'TableIdentifier', 'Literal'])

const MOST_LINES = 50_000
const DEEPEST = 500

/** The tree. Throws `statement-refused` where the text is none. */
export function parseTree(text: string): Node {
  const lines = text.replace(/\n+$/, '').split('\n')
  if (lines.length > MOST_LINES) throw new Failure('statement-refused', 'the statement is too large')
  const reader = { lines, at: 0 }
  const root = node(reader, 0)
  if (reader.at !== lines.length) throw unreadable()
  return root
}

function node(reader: { readonly lines: readonly string[]; at: number }, depth: number): Node {
  const line = reader.lines[reader.at]
  reader.at += 1
  if (line === undefined || depth > DEEPEST) throw unreadable()
  const [, indent = '', type = '', rest = ''] = /^( *)([A-Za-z]+(?:::[A-Za-z]+)?)(?: (.*))?$/.exec(line) ?? []
  if (type === '' || indent.length !== depth) throw unreadable()
  if (LEAVES.has(type)) return { type, text: withoutAlias(rest), children: [] }
  const [, head = '', count = '0'] = /^(.*?)(?:(?:^| )\(children (\d+)\))?$/.exec(rest) ?? []
  const children: Node[] = []
  for (let i = 0; i < Number(count); i += 1) children.push(node(reader, depth + 1))
  return { type, text: withoutAlias(head), children }
}

function withoutAlias(text: string): string {
  return text.replace(/(?:^| )\(alias .*\)$/, '')
}

function unreadable(): Failure {
  return new Failure('statement-refused', 'the statement is not a plain `SELECT`', {
    fix: 'send one `SELECT` without `FORMAT`, `SETTINGS` or `INTO OUTFILE`, and with plain names',
  })
}
