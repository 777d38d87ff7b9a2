/** What of a parsed statement is allowed. Everything that is not named here is refused, with its name. */
import { Failure } from '../../failure.ts'
import { isAllowedFunction, isAllowedTableFunction } from './functions.ts'
import type { Node } from './tree.ts'

/** Parts of a SELECT. `ColumnsApplyTransformer`, which calls a function by name, and `Set`, SETTINGS, are not among them. */
const PARTS: ReadonlySet<string> = new Set([
  'ArrayJoin',
  'Asterisk',
  'ColumnsExceptTransformer',
  'ColumnsListMatcher',
  'ColumnsRegexpMatcher',
  'ColumnsReplaceTransformer',
  'ColumnsTransformerList',
  'ExpressionList',
  'Function',
  'Identifier',
  'InterpolateElement',
  'Literal',
  'OrderByElement',
  'QualifiedAsterisk',
  'SampleRatio',
  'SelectIntersectExceptQuery',
  'SelectQuery',
  'SelectWithUnionQuery',
  'Subquery',
  'TableExpression',
  'TableIdentifier',
  'TableJoin',
  'TablesInSelectQuery',
  'TablesInSelectQueryElement',
  'WindowDefinition',
  'WindowListElement',
  'WithElement',
])

/** What their nodes mean to who wrote them. */
const WORDS: Readonly<Record<string, string>> = {
  Set: 'a `SETTINGS` clause',
  ColumnsApplyTransformer: '`APPLY`',
  Explain: '`EXPLAIN`',
  InsertQuery: '`INSERT`',
  CreateQuery: '`CREATE`',
  DropQuery: '`DROP`',
  AlterQuery: '`ALTER`',
  KillQueryQuery: '`KILL`',
}

/** Their second argument may be the bare name of a table. */
const MEMBERSHIP = /^(?:global)?(?:not)?(?:null)?in(?:ignoreset)?$|^notnullin/i

/** Throws `statement-refused` unless the statement only reads tables of `database` and computes. */
export function guard(root: Node, database: string): void {
  if (root.type !== 'SelectWithUnionQuery') throw refuse(WORDS[root.type] ?? 'a statement other than `SELECT`')
  if (root.children.length !== 1) throw refuse('a `FORMAT` or `INTO OUTFILE` clause')
  walk(root, undefined, database)
}

function walk(node: Node, parent: Node | undefined, database: string): void {
  if (!PARTS.has(node.type)) throw refuse(WORDS[node.type] ?? `\`${node.type}\``)
  if (node.type === 'TableIdentifier') inDatabase(node.text, database)
  if (node.type === 'Function') callable(node, parent, database)
  // Only the root has a format or a file behind its list of SELECTs, and the root has been looked at.
  if (node.type === 'SelectWithUnionQuery' && node.children.length !== 1) throw refuse('a clause behind the `SELECT`')
  for (const child of node.children) walk(child, node, database)
}

function callable(node: Node, parent: Node | undefined, database: string): void {
  const name = node.text
  if (parent?.type === 'TableExpression') {
    if (!isAllowedTableFunction(name)) throw refuse(`the table function \`${shown(name)}\``)
    return
  }
  if (!isAllowedFunction(name)) throw refuse(`the function \`${shown(name)}\``)
  if (!MEMBERSHIP.test(name)) return
  const [, set] = node.children[0]?.children ?? []
  if (set?.type === 'Identifier') inDatabase(set.text, database)
}

/** A name without a database is a table of the audit database, where the query runs, or one that the query itself defines. */
function inDatabase(name: string, database: string): void {
  const parts = /^(?:([A-Za-z_]\w*)\.)?[A-Za-z_]\w*$/.exec(name)
  if (parts === null || (parts[1] !== undefined && parts[1] !== database)) {
    throw refuse(`the table \`${shown(name)}\``, `read tables and views of \`${database}\` only`)
  }
}

function refuse(what: string, fix = 'send one read-only `SELECT` over the audit views'): Failure {
  return new Failure('statement-refused', `${what} is not allowed in audit queries`, { fix })
}

function shown(name: string): string {
  return name.replaceAll(/[^\w.]/g, '?').slice(0, 100)
}
