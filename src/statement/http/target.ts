/**
 * The target of an HTTP request, read strictly. What two servers could take for two things is refused, never repaired: the
 * string that is judged is the string that is forwarded.
 */

export interface Target {
  /** As it is forwarded: `/customers/42?fields=name`. */
  readonly text: string
  /** Its path, as it is forwarded. */
  readonly path: string
  /** The path's parts between slashes, decoded; one empty part for `/`. */
  readonly segments: readonly string[]
  /** Names and values of the query, decoded, in order. A `+` is a blank. */
  readonly query: readonly (readonly [name: string, value: string])[]
}

/** Why a target is refused. The message quotes nothing of the target but single characters. */
export interface BadTarget {
  readonly problem: string
  readonly fix?: string
  /** Characters before the place. */
  readonly at: number
}

/** Bounds on a target. */
export const TARGET_LIMITS = { characters: 8_192, segments: 64, parameters: 256 } as const

/** Reads an origin-form target (`/path?query`), byte for byte as it came. */
export function readTarget(text: string): Target | BadTarget {
  if (text.length > TARGET_LIMITS.characters) {
    return { problem: `the target is longer than ${TARGET_LIMITS.characters} characters`, at: 0 }
  }
  if (!text.startsWith('/')) return { problem: 'the target does not begin with `/`', at: 0 }
  const mark = text.indexOf('?')
  const path = mark < 0 ? text : text.slice(0, mark)
  const inPath = wrongCharacter(path, 0, PATH) ?? wrongEscape(path, 0, true)
  if (inPath !== undefined) return inPath
  const segments = readSegments(path)
  if ('problem' in segments) return segments
  if (mark < 0) return { text, path, segments, query: [] }
  const inQuery = wrongCharacter(text, mark + 1, QUERY) ?? wrongEscape(text, mark + 1, false)
  if (inQuery !== undefined) return inQuery
  const query = readQuery(text, mark + 1)
  return 'problem' in query ? query : { text, path, segments, query: query.parameters }
}

const PATH = /[A-Za-z0-9\-._~!$&'()*+,=:@/%]/
const QUERY = /[A-Za-z0-9\-._~!$&'()*+,=:@/?%[\]|]/

const WORDS: Readonly<Record<string, string>> = {
  ';': 'a `;`, which some servers take for the beginning of a parameter',
  '\\': 'a `\\`, which some servers take for a `/`',
  '#': 'a fragment, which no server is sent',
  ' ': 'a blank',
}

function wrongCharacter(text: string, from: number, allowed: RegExp): BadTarget | undefined {
  for (let at = from; at < text.length; at++) {
    const character = text.charAt(at)
    if (allowed.test(character)) continue
    const code = character.charCodeAt(0)
    const what =
      WORDS[character] ?? (code < 0x21 || code > 0x7e ? 'a byte that is no plain ASCII' : `a \`${character}\``)
    return { problem: `the target holds ${what}`, at, fix: 'percent-encode it, where it is part of a value' }
  }
  return undefined
}

/** Never plain in a path, however they are written: what ends a part, begins a parameter, ends a string or steps up. */
const NEVER = new Set(['2F', '5C', '3B', '7F'])
const UNRESERVED = /[A-Za-z0-9\-._~]/

function wrongEscape(text: string, from: number, inPath: boolean): BadTarget | undefined {
  for (let at = text.indexOf('%', from); at >= 0; at = text.indexOf('%', at + 1)) {
    const digits = text.slice(at + 1, at + 3)
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) {
      return { problem: 'the target holds a `%` that begins no percent-encoding', at, fix: 'write `%25` for a `%`' }
    }
    const code = Number.parseInt(digits, 16)
    if (code < 0x20) return { problem: 'the target holds an encoded control character', at }
    if (!inPath) continue
    if (digits !== digits.toUpperCase()) {
      return { problem: 'the target holds a percent-encoding in small letters', at, fix: 'write it in capital letters' }
    }
    if (NEVER.has(digits)) return { problem: `the path holds \`%${digits}\`, which servers read in different ways`, at }
    if (UNRESERVED.test(String.fromCharCode(code))) {
      return { problem: 'the path encodes a character that needs no encoding', at, fix: 'write the character itself' }
    }
    if (digits === '25' && /^[0-9A-Fa-f]{2}/.test(text.slice(at + 3))) {
      return { problem: 'the path is encoded twice', at }
    }
  }
  return undefined
}

function readSegments(path: string): readonly string[] | BadTarget {
  const parts = path.slice(1).split('/')
  if (parts.length > TARGET_LIMITS.segments) {
    return { problem: `the path has more than ${TARGET_LIMITS.segments} parts`, at: 0 }
  }
  const segments: string[] = []
  let at = 1
  for (const [i, part] of parts.entries()) {
    if (part === '.' || part === '..') return { problem: `the path holds a part \`${part}\``, at }
    if (part === '' && (i < parts.length - 1 || i > 0)) {
      return { problem: 'the path holds an empty part', at, fix: 'drop the `/` that is too many' }
    }
    const segment = decoded(part)
    if (segment === undefined) return { problem: 'the path holds bytes that are no UTF-8', at }
    segments.push(segment)
    at += part.length + 1
  }
  return segments
}

function readQuery(text: string, from: number): { readonly parameters: Target['query'] } | BadTarget {
  const parameters: (readonly [string, string])[] = []
  let at = from
  for (const part of text.slice(from).split('&')) {
    const equals = part.indexOf('=')
    const [name, value] = equals < 0 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)]
    const decodedName = decoded(name.replaceAll('+', ' '))
    const decodedValue = decoded(value.replaceAll('+', ' '))
    if (decodedName === undefined || decodedValue === undefined) {
      return { problem: 'the query holds bytes that are no UTF-8', at }
    }
    if (part !== '') parameters.push([decodedName, decodedValue])
    if (parameters.length > TARGET_LIMITS.parameters) {
      return { problem: `the query has more than ${TARGET_LIMITS.parameters} parameters`, at }
    }
    at += part.length + 1
  }
  return { parameters }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
