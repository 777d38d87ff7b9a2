/** JSON as any two readers read it. What they could read differently is refused: of two members of one name, which counts? */

/** Nesting that is read; more is refused, not followed. */
export const JSON_DEPTH = 128

export type JsonRead = { readonly value: unknown } | { readonly problem: string; readonly at: number }

/**
 * Reads one document strictly (RFC 8259), in which no object names a member twice. Upper and lower case are no difference:
 * of `amount` and `Amount` Go's reader and others take the last for both.
 */
export function readJson(text: string): JsonRead {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { problem: 'the body is not JSON', at: 0 }
  }
  const twice = repeatedName(text)
  return twice ?? { value }
}

/** Where an object names a member for the second time. `text` MUST be JSON. */
function repeatedName(text: string): { readonly problem: string; readonly at: number } | undefined {
  /** Names of each object that is open; nothing for an array. */
  const open: (Set<string> | undefined)[] = []
  let isName = false
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === '{' || character === '[') {
      if (open.length === JSON_DEPTH) return { problem: `the body is nested deeper than ${JSON_DEPTH}`, at }
      open.push(character === '{' ? new Set() : undefined)
      isName = character === '{'
    } else if (character === '}' || character === ']') {
      open.pop()
      isName = false
    } else if (character === ',') isName = open.at(-1) !== undefined
    else if (character === ':') isName = false
    else if (character === '"') {
      const end = stringEnd(text, at)
      if (isName) {
        const name = JSON.parse(text.slice(at, end)) as string
        const names = open.at(-1)
        // Up, then down: `ſ` is an `s`, and the sign of Kelvin a `k`.
        const folded = name.toUpperCase().toLowerCase()
        if (names?.has(folded)) return { problem: 'the body names a member of an object twice', at }
        names?.add(folded)
      }
      at = end - 1
    }
  }
  return undefined
}

/** Behind the closing quote of the string that begins at `from`. */
function stringEnd(text: string, from: number): number {
  let at = from + 1
  while (text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1
  return at + 1
}
