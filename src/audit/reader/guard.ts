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
  'ColumnsReplaceTransformer::Replacement',
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

/** Casts, by the names that the parser gives them. Their type must be a word, not something that computes one. */
const CASTS = /^(?:_cast|cast|accuratecast(?:ornull|ordefault)?)$/i

/** What a statement may name. */
interface Reach {
  readonly database: string
  /** Of that database, out of reach; with them, each table's own columns (`_part`, …). Absent: nothing is. */
  readonly hidden: ReadonlySet<string> | undefined
}

/**
 * Throws `statement-refused` unless the statement only reads tables of `database`, none of them `hidden`, and computes. With
 * `hidden`, columns that tell of rows that are not seen (`_part_offset`, …) are out of reach, too.
 */
export function guard(root: Node, database: string, hidden?: ReadonlySet<string>): void {
  if (root.type !== 'SelectWithUnionQuery') throw refuse(WORDS[root.type] ?? 'a statement other than `SELECT`')
  if (root.children.length !== 1) throw refuse('a `FORMAT` or `INTO OUTFILE` clause')
  walk(root, undefined, { database, hidden })
}

function walk(node: Node, parent: Node | undefined, reach: Reach): void {
  if (!PARTS.has(node.type)) throw refuse(WORDS[node.type] ?? `\`${node.type}\``)
  if (node.type === 'TableIdentifier') inReach(node.text, reach)
  if (node.type === 'Function') callable(node, parent, reach)
  if (node.type === 'Literal' && /aggregatefunction/i.test(node.text)) throw refuse('a state of an aggregate function')
  if (reach.hidden !== undefined && isOfTheTable(node)) throw refuse(`the column \`${shown(node.text)}\``)
  // Only the root has a format or a file behind its list of SELECTs, and the root has been looked at.
  if (node.type === 'SelectWithUnionQuery' && node.children.length !== 1) throw refuse('a clause behind the `SELECT`')
  for (const child of node.children) walk(child, node, reach)
}

/** ClickHouse's own columns of a table, which no view of ours has. */
function isOfTheTable({ type, text }: Node): boolean {
  return type === 'Identifier' && /(?:^|\.)_/.test(text)
}

function callable(node: Node, parent: Node | undefined, reach: Reach): void {
  const name = node.text
  if (parent?.type === 'TableExpression') {
    if (!isAllowedTableFunction(name)) throw refuse(`the table function \`${shown(name)}\``)
    return
  }
  if (!isAllowedFunction(name)) throw refuse(`the function \`${shown(name)}\``)
  const [, second] = node.children[0]?.children ?? []
  if (CASTS.test(name) && second?.type !== 'Literal') throw refuse('a cast to a type that is computed')
  if (MEMBERSHIP.test(name) && second?.type === 'Identifier') inReach(second.text, reach)
}

/** A name without a database is a table of the audit database, where the query runs, or one that the query itself defines. */
function inReach(name: string, { database, hidden }: Reach): void {
  const parts = /^(?:([A-Za-z_]\w*)\.)?([A-Za-z_]\w*)$/.exec(name)
  if (parts === null || (parts[1] !== undefined && parts[1] !== database)) {
    throw refuse(`the table \`${shown(name)}\``, `read tables and views of \`${database}\` only`)
  }
  if (hidden?.has(parts[2] ?? '') === true) {
    throw refuse(`the table \`${shown(name)}\``, 'it is for auditors of every connection')
  }
}

function refuse(what: string, fix = 'send one read-only `SELECT` over the audit views'): Failure {
  return new Failure('statement-refused', `${what} is not allowed in audit queries`, { fix })
}

function shown(name: string): string {
  return name.replaceAll(/[^\w.]/g, '?').slice(0, 100)
}
