/** JSON as it must be in a token: two readers may never see two different claims. */

/**
 * Whether some object in a valid JSON text names a member twice. `JSON.parse` takes the last, other readers the first;
 * a token that means two things is no proof.
 */
export function hasDuplicateNames(json: string): boolean {
  // One set of names per open object; `null` for an open array.
  const open: (Set<string> | null)[] = []
  const strings = /"(?:[^"\\]|\\.)*"|[{}[\]]/gs
  for (const { 0: token, index } of json.matchAll(strings)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(null)
    else if (token === '}' || token === ']') open.pop()
    else if (isName(json, index + token.length)) {
      const names = open.at(-1)
      const name = String(JSON.parse(token))
      if (names?.has(name) === true) return true
      names?.add(name)
    }
  }
  return false
}

/** In valid JSON a string is a member's name if and only if a colon follows it. */
function isName(json: string, end: number): boolean {
  let at = end
  while (' \t\r\n'.includes(json[at] ?? '.')) at++
  return json[at] === ':'
}
