/** Text → what it names and does, or why it is not understood. */
import type { Defaults, Parsed, Refusal } from './contract.ts'
import { Grammar, Stop } from './grammar.ts'
import { readStatement } from './grammar-statement.ts'
import { withoutHints } from './hinted.ts'
import { emit, lex, type Token } from './lexer.ts'
import { marksOf, type Mark } from './shape.ts'
import { resolveNames, type Names } from './names.ts'
import type { Tree } from './syntax.ts'

/** A parsed text with the tree behind it, for the binder. */
export interface Analysed extends Parsed {
  readonly tree: Tree
  readonly names: Names
  readonly grammar: Grammar
  readonly comments: number
  /** What in the text as it was sent looks like hiding. */
  readonly suspicions: readonly Mark[]
  /** `@name` and `?`, in order. */
  readonly marks: readonly Token[]
}

/** Parses with our own grammar alone. Pure; never throws on any input. */
export function analyse(sql: string, defaults: Defaults): Analysed | Refusal {
  try {
    const lexed = lex(sql)
    if ('refused' in lexed) return lexed
    const text = emit(sql, lexed.tokens).replace(/(\s*;)+$/, '')
    const { tokens, hint } = withoutHints(text, lexed.tokens)
    const grammar = new Grammar(text, tokens)
    const tree = readStatement(grammar)
    if (hint !== undefined) grammar.never(hint, 'hint', 'a hint', 'leave it out')
    const names = resolveNames(tree, grammar, defaults)
    const { uses, paths } = names
    const marks = lexed.tokens.filter((token) => token.kind === 'parameter')
    return {
      refused: false,
      kind: tree.kind,
      text,
      uses,
      paths,
      tree,
      names,
      grammar,
      marks,
      comments: lexed.comments,
      suspicions: marksOf(sql, lexed.tokens),
    }
  } catch (error) {
    if (error instanceof Stop) return error.refusal
    throw error
  }
}
