/**
 * A third reading, by a parser that is often wrong, as advice: a table that it alone sees is a reason to look twice. It
 * never authorises anything, and where it does not understand a text, that means nothing. It runs on whoever asks, so only
 * texts that cost it little are shown to it: what it
 * takes for one token is multiplied by each bracket around it.
 */
import type { Feature } from '../exchange.ts'
import type { Token } from './lexer.ts'

/** The names that a parser by other hands takes for tables, each as its dotted parts. Throws where it understands nothing. */
export type TableLister = (text: string) => readonly (readonly string[])[]

/** Longest text, in UTF-16 code units, and deepest nesting of brackets. */
const LONGEST = 20_480
const DEEPEST = 8
/** Most that the tokens of a text may weigh: 1 each, and more in brackets, by what stands in front of them. */
const HEAVIEST = 1000
const BRACKET = 1.5
/** Of these the parser tries every reading of what is inside, again at each level. */
const DOUBTFUL = 4
const IS_DOUBTFUL = /^(?:CAST|SAFE_CAST|STRUCT|ARRAY|\w+_AGG|>)$/

/** What was read first: the text, its tokens, and each place where a table, a common table expression or an array stands. */
export interface Read {
  readonly text: string
  readonly tokens: readonly Token[]
  readonly places: readonly { readonly start: number; readonly end: number }[]
}

/** `advisory-reader` where `list` names a table that was not read; nothing where it agrees, fails or is not asked. */
export function advice({ text, tokens, places }: Read, list: TableLister): readonly Feature[] {
  if (!isCheap(text, tokens)) return []
  let theirs: readonly (readonly string[])[]
  try {
    theirs = list(text)
  } catch {
    return []
  }
  const ours = places.map(({ start, end }) => partsOf(text.slice(start, end)))
  const odd = theirs
    .map((parts) => parts.flatMap(partsOf))
    // ``DELETE FROM `t` ``: it takes the reserved word for the table's name.
    .filter((parts) => parts.join() !== 'from' && !ours.some((own) => isOf(parts, own)))
  return odd.length === 0 ? [] : [{ name: 'advisory-reader' }]
}

/** Whether reading it can take no longer than some tens of milliseconds. */
export function isCheap(text: string, tokens: readonly Token[]): boolean {
  if (text.length > LONGEST) return false
  const open: number[] = []
  let weight = 1
  let total = 0
  for (const [i, { word }] of tokens.entries()) {
    if (word === '(' || word === '[') {
      open.push(weight)
      if (open.length > DEEPEST) return false
      weight *= word === '[' || IS_DOUBTFUL.test(tokens[i - 1]?.word ?? '') ? DOUBTFUL : BRACKET
    } else if (word === ')' || word === ']') {
      weight = open.pop() ?? 1
      // It cannot read a field of what brackets give, and takes long to find out.
      if (tokens[i + 1]?.word === '.') return false
    }
    total += word === 'NOT' || word === 'CASE' ? 2 * weight : weight
    if (total > HEAVIEST) return false
  }
  return true
}

/** `` `own`.shop.`t` `` → own, shop, t */
function partsOf(name: string): readonly string[] {
  return name
    .replaceAll(/[\s`]/g, '')
    .toLowerCase()
    .split('.')
    .filter((part) => part !== '')
}

/** The same last part, and the others in the same order: this parser loses parts of long names. */
function isOf(theirs: readonly string[], ours: readonly string[]): boolean {
  if (theirs.at(-1) !== ours.at(-1)) return false
  let at = 0
  for (const part of theirs) {
    at = ours.indexOf(part, at) + 1
    if (at === 0) return false
  }
  return true
}
