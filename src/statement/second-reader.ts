/**
 * A second reading of the same text by `bq2cst`, a parser by other hands. A statement passes only when both read the same
 * kind of statement, the same tokens and the same tables at the same places: two parsers seldom share a mistake.
 */
import type { Refusal } from './contract.ts'
import { refuse, type Token } from './lexer.ts'
import { Lru } from './lru.ts'
import { Bq2cst, type CstNode } from './bq2cst.ts'

/** Characters of shapes whose agreement is remembered. */
const REMEMBERED = 1_000_000

/** Nodes that stand for text which `bq2cst` took without understanding it. */
const LOOSE = /^(StandAloneExpr|Unknown|Template.*)$/

const STATEMENT: Readonly<Record<string, string>> = {
  SELECT: 'SelectStatement|SetOperator|GroupedStatement|WithClause|FromStatement|PipeStatement',
  INSERT: 'InsertStatement',
  UPDATE: 'UpdateStatement',
  DELETE: 'DeleteStatement',
  MERGE: 'MergeStatement',
  TRUNCATE_TABLE: 'TruncateStatement',
  EXPORT_DATA: 'ExportDataStatement',
}

/** The first reader's view: the kind, its tokens, and each name behind FROM or as a target of DML, in the text's order. */
export interface FirstReading {
  readonly kind: string
  readonly tokens: readonly Token[]
  readonly sources: readonly { readonly start: number; readonly end: number }[]
  /** How many temporary functions stand before the statement. */
  readonly functions: number
  /** What is shown in the place of spans that `bq2cst` is known not to read. */
  readonly hidden: readonly { readonly start: number; readonly end: number; readonly shown: string }[]
}

export class SecondReader {
  readonly #parser: Bq2cst
  /** Shapes of texts on which both readings agreed. */
  readonly #agreed = new Lru<true>(REMEMBERED)

  constructor(wasm: WebAssembly.Module) {
    this.#parser = new Bq2cst(wasm)
  }

  /** `undefined` where both readings agree. A text that differs from an earlier one in plain literals only is not read again. */
  disagreement(text: string, first: FirstReading): Refusal | undefined {
    const shape = shapeOf(text, first)
    if (this.#agreed.get(shape) === true) return undefined
    const refusal = this.#read(text, first)
    if (refusal === undefined) this.#agreed.set(shape, true)
    return refusal
  }

  #read(text: string, first: FirstReading): Refusal | undefined {
    const no = (at: number, message: string): Refusal =>
      refuse(text, at, 'unproven', message, 'write the statement in a simpler form')
    const shown = hide(text, first.hidden)
    const nodes = this.#parser.parse(shown)
    if (nodes === undefined) return no(0, 'a second parser does not understand this statement')
    const before = nodes.filter((node) => node.node_type !== 'EOF')
    const root = before.pop()
    const isOne = before.length === first.functions && before.every((n) => n.node_type === 'CreateFunctionStatement')
    if (root === undefined || !isOne) return no(0, 'a second parser does not read this as one statement')
    const reading = new Reading([...before, root])
    if (reading.loose) return no(0, 'a second parser does not understand a part of this statement')
    const expected = STATEMENT[first.kind] ?? `${title(first.kind)}Statement`
    if (!new RegExp(`^(${expected})$`).test(root.node_type))
      return no(0, 'a second parser reads another kind of statement')
    const ours = first.tokens.map(({ start, end }) => shown.slice(start, end).trim()).join('')
    if (ours !== reading.text()) return no(0, 'a second parser reads other words')
    const theirs = reading.sources()
    for (const [i, { start, end }] of first.sources.entries()) {
      const words = shown.slice(start, end).replace(/\s/g, '')
      if (theirs[i] !== words) return no(start, 'a second parser reads another table here')
    }
    if (theirs.length !== first.sources.length) return no(0, 'a second parser reads other tables')
    return undefined
  }
}

/** Literals that nobody can read wrong: digits, and quoted words without quotes, escapes or anything beyond ASCII. */
const PLAIN =
  /^(?:[0-9]+(?:\.[0-9]+)?|'[\x20\x21\x23-\x26\x28-\x5b\x5d-\x5f\x61-\x7e]*'|"[\x20\x21\x23-\x26\x28-\x5b\x5d-\x5f\x61-\x7e]*")$/

/** All that a reading depends on: each token, and whether it touches the one before; of plain literals the kind alone. */
function shapeOf(text: string, { kind, tokens, sources, functions, hidden }: FirstReading): string {
  let shape = `${kind}\0${functions}`
  for (const { start, end } of sources) shape += `\0${text.slice(start, end)}`
  for (const { start, end, shown } of hidden) shape += `\0${shown}\0${text.slice(start, end)}`
  shape += '\0'
  let before = -1
  for (const token of tokens) {
    const words = text.slice(token.start, token.end)
    const literal = token.kind === 'number' || token.kind === 'string'
    // `a-b` is a name where `a - b` is none.
    shape += before === token.start ? '\0' : '\0 '
    shape += literal && PLAIN.test(words) ? `<${token.kind}>` : words
    before = token.end
  }
  return shape
}

/** Every other token stays where it stands. */
function hide(text: string, hidden: FirstReading['hidden']): string {
  return hidden.reduce(
    (out, { start, end, shown }) => out.slice(0, start) + shown.padEnd(end - start) + out.slice(end),
    text,
  )
}

/** `CREATE_TABLE_AS_SELECT` → `Create…`: DDL's node types begin with the verb; sources and words must agree too. */
function title(kind: string): string {
  const verb = kind.split('_')[0] ?? ''
  const camel = verb.slice(0, 1) + verb.slice(1).toLowerCase()
  return `${camel}[A-Za-z]*`
}

/** What a text of `bq2cst` holds, in the text's order. */
class Reading {
  loose = false
  readonly #tokens: { line: number; column: number; literal: string }[] = []
  readonly #sources: { line: number; column: number; text: string }[] = []

  constructor(statements: readonly CstNode[]) {
    const stack: CstNode[] = [...statements]
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (LOOSE.test(node.node_type)) this.loose = true
      if (node.node_type !== 'Comment' && node.token !== null) this.#tokens.push(node.token)
      this.#collect(node)
      stack.push(...childrenOf(node))
    }
  }

  text(): string {
    return this.#tokens
      .sort(inOrder)
      .map((token) => token.literal)
      .join('')
  }

  sources(): string[] {
    return this.#sources.sort(inOrder).map((source) => source.text)
  }

  #collect(node: CstNode): void {
    const from = child(node, 'from')
    if (from?.node_type === 'KeywordWithExpr') this.#from(child(from, 'expr'))
    if (node.node_type === 'FromStatement') this.#from(child(node, 'expr'))
    if (node.node_type === 'JoinPipeOperator') this.#from(node.children['exprs']?.NodeVec?.[0])
    if (node.node_type === 'CallingTableFunction') this.#arguments(node)
    if (node.node_type === 'BasePipeOperator' && /^call$/i.test(node.token?.literal ?? '')) {
      const [call] = node.children['exprs']?.NodeVec ?? []
      if (call !== undefined) this.#arguments(call)
    }
    const using = node.node_type === 'MergeStatement' ? child(node, 'using') : undefined
    if (using !== undefined) this.#from(child(using, 'expr'))
    if (/^(Update|Delete|Merge|Truncate)Statement$/.test(node.node_type)) this.#from(child(node, 'table_name'))
    if (node.node_type === 'InsertStatement') this.#from(child(node, 'target_name'))
  }

  /** `TABLE t` in the brackets of a call that yields rows. */
  #arguments(call: CstNode): void {
    for (const given of call.children['args']?.NodeVec ?? []) {
      const isTable = given.node_type === 'UnaryOperator' && /^table$/i.test(given.token?.literal ?? '')
      if (isTable) this.#from(child(given, 'right'))
    }
  }

  #from(node: CstNode | undefined): void {
    switch (node?.node_type) {
      case undefined:
      case 'CallingUnnest':
      case 'CallingTableFunction':
      case 'GroupedStatement':
        return
      case 'JoinOperator':
        this.#from(child(node, 'left'))
        this.#from(child(node, 'right'))
        return
      case 'GroupedExpr':
        this.#from(child(node, 'expr'))
        return
      case 'Identifier':
      case 'MultiTokenIdentifier':
      case 'DotOperator': {
        const tokens = pathTokens(node).sort(inOrder)
        const [first] = tokens
        if (first !== undefined) this.#sources.push({ ...first, text: tokens.map((t) => t.literal).join('') })
        return
      }
      default:
        this.loose = true
    }
  }
}

function inOrder(a: { line: number; column: number }, b: { line: number; column: number }): number {
  return a.line - b.line || a.column - b.column
}

function pathTokens(node: CstNode): { line: number; column: number; literal: string }[] {
  const parts = [child(node, 'left'), child(node, 'right'), ...(node.children['trailing_idents']?.NodeVec ?? [])]
  const inner = parts.flatMap((part) => (part === undefined ? [] : pathTokens(part)))
  return node.token === null ? inner : [node.token, ...inner]
}

function child(node: CstNode, slot: string): CstNode | undefined {
  return node.children[slot]?.Node
}

function childrenOf({ children }: CstNode): CstNode[] {
  const found: CstNode[] = []
  for (const slot in children) {
    if (slot.endsWith('_comments')) continue
    const { Node, NodeVec } = children[slot] ?? {}
    if (Node !== undefined) found.push(Node)
    if (NodeVec !== undefined) for (const node of NodeVec) found.push(node)
  }
  return found
}
