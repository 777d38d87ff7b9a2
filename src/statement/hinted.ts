/** Takes hints (`@{name = value}`, `@4`) out of the tokens. BigQuery has none, so a text that holds one is never bound. */
import { Stop } from './stop.ts'
import { refuse, type Token } from './lexer.ts'

/** In a hint, these could name a table or call code. */
const NAMING = new Set(['SELECT', 'FROM', 'JOIN', 'TABLE', 'MODEL', 'WITH', 'GRAPH', ';'])

/** All other tokens, and where the first hint stands. Throws Stop where a hint is not closed or holds more than values. */
export function withoutHints(text: string, all: readonly Token[]): { tokens: readonly Token[]; hint?: number } {
  const first = all.find(({ word }) => word === '@{' || word === '@')
  if (first === undefined) return { tokens: all }
  const tokens: Token[] = []
  for (let i = 0; i < all.length; i++) {
    const token = all[i]
    if (token === undefined) break
    if (token.word === '@{') i = endOf(text, all, i)
    else if (token.word === '@') i++
    else tokens.push(token)
  }
  return { tokens, hint: first.start }
}

/** The place of the `}`. */
function endOf(text: string, all: readonly Token[], from: number): number {
  let depth = 0
  for (let i = from + 1; i < all.length; i++) {
    const token = all[i]
    const before = all[i - 1]
    if (token === undefined || token.kind === 'end') break
    if (/^[([]$/.test(token.word)) depth++
    if (/^[)\]]$/.test(token.word)) depth--
    const isCall = token.word === '(' && /^(name|quoted)$/.test(before?.kind ?? '')
    if (depth < 0 || isCall || NAMING.has(token.word)) break
    if (token.word === '}' && depth === 0) return i
  }
  throw new Stop(
    refuse(text, all[from]?.start ?? 0, 'unparseable', 'a hint holds more than values here', 'leave it out'),
  )
}
