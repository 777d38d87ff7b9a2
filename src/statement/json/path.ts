/** JSON paths of masks: the part of jsonpath-plus' syntax that needs no script, no parent and no count from the end. */

/** One step down: into a member by name, an element by index or range, or any of both. */
export type JsonStep = {
  /** `..`: at any depth below. */
  readonly descends: boolean
} & (
  | { readonly is: 'any' }
  /** A name that is a number takes an element as well as a member, as jsonpath-plus does. */
  | { readonly is: 'name'; readonly name: string }
  /** `[from:to:by]`; `to` is left out. */
  | { readonly is: 'range'; readonly from: number; readonly to: number; readonly by: number }
)

export type JsonPath = readonly JsonStep[]

/** Bounds on one path. */
export const PATH_LIMITS = { characters: 1_024, steps: 32 } as const

const NAME = /[\p{L}_$][\p{L}\p{N}_$-]*/uy
const BRACKET =
  /\[(?:(?<any>\*)|(?<range>\d{1,9}?:\d{0,9}(?::\d{1,9})?|:\d{1,9}(?::\d{1,9})?)|(?<index>\d{1,9})|'(?<quoted>[^'\\`]{1,256})')\]/y

/** The steps of a path, or what is wrong with it in words. `$` alone is the whole document. */
export function parseJsonPath(text: string): { readonly steps: JsonPath } | { readonly problem: string } {
  if (text.length > PATH_LIMITS.characters) return no(`at most ${PATH_LIMITS.characters} characters`)
  if (!text.startsWith('$')) return no('a path that begins with `$`, such as `$.customer.email`')
  const steps: JsonStep[] = []
  let at = 1
  while (at < text.length) {
    if (steps.length === PATH_LIMITS.steps) return no(`at most ${PATH_LIMITS.steps} steps`)
    const descends = text.startsWith('..', at)
    const dots = descends ? 2 : text[at] === '.' ? 1 : 0
    const step = stepAt(text, at + dots, dots, descends)
    if (step === undefined)
      return no(`a step such as \`.name\`, \`[0]\`, \`[*]\`, \`['a b']\` or \`..name\` at character ${at + 1}`)
    steps.push(step.step)
    at = step.end
  }
  return { steps }
}

function no(expected: string): { readonly problem: string } {
  return { problem: expected }
}

function stepAt(
  text: string,
  at: number,
  dots: number,
  descends: boolean,
): { step: JsonStep; end: number } | undefined {
  if (dots > 0 && text[at] === '*') return { step: { is: 'any', descends }, end: at + 1 }
  const name = dots > 0 ? match(NAME, text, at) : undefined
  if (name !== undefined) return { step: { is: 'name', name: name[0], descends }, end: at + name[0].length }
  // `.[` is none of ours: two writers would read it in two ways.
  const bracket = dots === 1 ? undefined : match(BRACKET, text, at)
  if (bracket === undefined) return undefined
  const end = at + bracket[0].length
  const { any, range, index, quoted } = bracket.groups ?? {}
  if (any !== undefined) return { step: { is: 'any', descends }, end }
  if (quoted !== undefined) return { step: { is: 'name', name: quoted, descends }, end }
  if (index !== undefined) return { step: { is: 'name', name: String(Number(index)), descends }, end }
  const [from = '', to = '', by = ''] = range?.split(':') ?? []
  const step = {
    from: from === '' ? 0 : Number(from),
    to: to === '' ? Number.MAX_SAFE_INTEGER : Number(to),
    by: by === '' ? 1 : Number(by),
  }
  return step.by === 0 ? undefined : { step: { is: 'range', ...step, descends }, end }
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at
  return pattern.exec(text) ?? undefined
}
