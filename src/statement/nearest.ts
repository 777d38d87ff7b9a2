/** The nearest of known names, for a writer who mistyped one. */

/** `undefined` where none is near. Looks at a thousand names at most. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase().slice(0, 64)
  let best: string | undefined
  let least = Math.min(3, Math.floor((wanted.length + 1) / 2)) + 0.5
  for (const candidate of known.slice(0, 1000)) {
    const d = distance(wanted, candidate.toLowerCase().slice(0, 64))
    if (d < least) [best, least] = [candidate, d]
  }
  return best
}

/** Levenshtein's: how many letters to add, drop or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
