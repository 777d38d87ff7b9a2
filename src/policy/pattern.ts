/**
 * Resource patterns. A table is dotted: `shop.orders`, `other-project.shop.orders`, `shop.INFORMATION_SCHEMA.TABLES`; an
 * operation of an API has a name, or is a method and a path template: `getCustomer`, `GET /customers/{id}`.
 *
 * - `*` stands for any characters within one part, between dots or slashes; `**` for any characters at all.
 * - A leading `!` takes away: a list matches what any plain pattern matches and no `!` pattern does. Order is nothing.
 * - The empty pattern stands for a statement that names no resource, such as `SELECT 1`; no other pattern does.
 * - Upper and lower case differ in what is covered, as they do in BigQuery. They do not in what is touched or taken away:
 *   a dataset can be made to ignore case, and another spelling must be no way around a deny.
 *
 * A wildcard table (`shop.events_*`) is one use that stands for many tables. Whoever permits it must permit them all;
 * whoever denies, holds or takes away one of them has denied, held or taken away the use.
 */

/** A pattern is refused when it holds anything else. */
export const PATTERN = /^!?[^\p{C}!`]{0,1024}$/u

interface Glob {
  readonly tokens: readonly Token[]
  /** Whether all that `resource` stands for is matched: a `*` in it is a character that only a wildcard matches. */
  matches(resource: string): boolean
}

/** A list of patterns, compiled once. */
export interface Patterns {
  /** All that `resource` stands for is matched: what a permit needs. */
  covers(resource: string): boolean
  /** Something that `resource` stands for is matched: enough for a deny or a hold. */
  touches(resource: string): boolean
}

/** Compiles a list that has at least one plain pattern. */
export function compilePatterns(list: readonly string[]): Patterns {
  const plain = list.filter((pattern) => !pattern.startsWith('!'))
  const without = list.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1))
  const exact = { plain: plain.map(glob), without: without.map(glob) }
  const loose = { plain: plain.map(lower).map(glob), without: without.map(lower).map(glob) }
  return {
    covers: (resource) =>
      exact.plain.some((pattern) => pattern.matches(resource)) &&
      !loose.without.some((pattern) => overlaps(pattern, lower(resource))),
    touches: (resource) =>
      // Taken away only where all of it is, in that very spelling: part of a wildcard table may be left.
      loose.plain.some((pattern) => overlaps(pattern, lower(resource))) &&
      !exact.without.some((pattern) => pattern.matches(resource)),
  }
}

function lower(text: string): string {
  return text.toLowerCase()
}

/** A name with `*` for any characters, such as `DROP_*`. */
export function compileName(pattern: string): RegExp {
  return new RegExp(`^${pattern.split('*').map(escape).join('.*')}$`)
}

function glob(text: string): Glob {
  if (text === '') return { tokens: [], matches: (resource) => resource === '' }
  const parts = text.split(/(\*+)/)
  const pattern = parts.flatMap((part): readonly Token[] =>
    part.startsWith('*') ? [{ any: part.length > 1 ? 'all' : 'part' }] : characters(part),
  )
  if (parts.length > 5)
    return { tokens: pattern, matches: (resource) => resource !== '' && meet(pattern, characters(resource)) }
  // At most two wildcards: a regular expression is faster, and cannot backtrack worse than quadratically.
  const source = parts
    .map((part) => (part.startsWith('*') ? (part.length > 1 ? '.*' : '[^./]*') : escape(part)))
    .join('')
  const regex = new RegExp(`^${source}$`, 'su')
  return { tokens: pattern, matches: (resource) => resource !== '' && regex.test(resource) }
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)
}

/** Whether the pattern matches something that the resource stands for. A `*` in a resource is a run within one part. */
function overlaps(pattern: Glob, resource: string): boolean {
  if (!resource.includes('*')) return pattern.matches(resource)
  return meet(
    pattern.tokens,
    characters(resource).map((token): Token => (token.char === '*' ? { any: 'part' } : token)),
  )
}

type Token = { readonly any: 'part' | 'all'; readonly char?: never } | { readonly any?: never; readonly char: string }

function characters(text: string): readonly Token[] {
  return Array.from(text, (char) => ({ char }))
}

/** What ends a part. No name in BigQuery holds a slash. */
function isEdge(char: string): boolean {
  return char === '.' || char === '/'
}

/** Whether two globs have a text in common: reachability over pairs of positions, so quadratic and no more. */
function meet(a: readonly Token[], b: readonly Token[]): boolean {
  const width = b.length + 1
  const seen = new Set<number>([0])
  const open = [0]
  const reach = (i: number, j: number): void => {
    const key = i * width + j
    if (seen.has(key)) return
    seen.add(key)
    open.push(key)
  }
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    const i = Math.floor(key / width)
    const j = key % width
    const left = a[i]
    const right = b[j]
    if (left === undefined && right === undefined) return true
    if (left?.any !== undefined) {
      reach(i + 1, j)
      if (right !== undefined && (right.any !== undefined || left.any === 'all' || !isEdge(right.char))) reach(i, j + 1)
    }
    if (right?.any !== undefined) {
      reach(i, j + 1)
      if (left !== undefined && (left.any !== undefined || right.any === 'all' || !isEdge(left.char))) reach(i + 1, j)
    }
    if (left?.char !== undefined && right?.char !== undefined && left.char === right.char) reach(i + 1, j + 1)
  }
  return false
}
