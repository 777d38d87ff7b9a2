/**
 * YAML documents with positions: read one, check it against a zod schema, and say of each mistake in which line, under
 * which key, and what was expected. The only file that imports `yaml`.
 */
import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument, type Document, type YAMLMap } from 'yaml'
import * as z from 'zod'
import type { Problem } from './problem.ts'

/** Longest text of one document, in UTF-16 code units. */
export const MAX_DOCUMENT_LENGTH = 1_048_576

/** One slip in YAML makes many faults; the first few are the ones to read. */
const MAX_FAULTS = 3

export type Path = readonly (string | number)[]

/** A text that is YAML, as plain values, with the place of each key. */
export interface YamlDocument {
  readonly file: string
  readonly value: unknown
  /** A problem at the key or item that `path` names, or at the nearest parent that exists. */
  problem(path: Path, expected: string, got?: string): Problem
}

/** Reads one YAML 1.2 document without aliases, tags or repeated keys. */
export function readYaml(file: string, text: string): YamlDocument | readonly Problem[] {
  const at = (line: number, column: number, expected: string): readonly Problem[] => [
    { file, line, column, key: '', expected },
  ]
  if (text.length > MAX_DOCUMENT_LENGTH) return at(1, 1, `at most ${MAX_DOCUMENT_LENGTH} characters in one file`)
  const lines = new LineCounter()
  try {
    const parsed = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      logLevel: 'error',
    })
    const faults = [...parsed.errors, ...parsed.warnings]
    if (faults.length > 0) {
      return faults.slice(0, MAX_FAULTS).map((fault) => {
        const place = lines.linePos(fault.pos[0])
        return {
          file,
          line: place.line,
          column: place.col,
          key: '',
          expected: YAML_WORDS[fault.code] ?? `well-formed YAML (${fault.code})`,
        }
      })
    }
    const value: unknown = parsed.toJS({ maxAliasCount: 0 })
    const document: YamlDocument = {
      file,
      value,
      problem(path, expected, got) {
        const place = lines.linePos(offsetOf(parsed, path))
        const base = { file, line: place.line, column: place.col, key: renderPath(path), expected }
        return got === undefined ? base : { ...base, got }
      },
    }
    const forbidden = forbiddenKey(value, [])
    return forbidden === undefined ? document : [document.problem(forbidden, 'another key: this name is reserved')]
  } catch {
    // An alias, or nesting beyond what the parser's stack takes: neither has a place in a document of ours.
    return at(1, 1, 'YAML without aliases and without very deep nesting')
  }
}

const YAML_WORDS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'each key once',
  MULTIPLE_DOCS: 'one document in the file',
  TAG_RESOLVE_FAILED: 'a value without a tag (`!…`)',
  TAB_AS_INDENT: 'spaces, not tabs, to indent',
}

/** `rules[2].obligations.mask-columns` */
export function renderPath(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += text === '' ? step : `.${step}`
  }
  return text
}

/** The document's value through `schema`, or everything that is wrong with it. */
export function check<S extends z.ZodType>(
  document: YamlDocument,
  schema: S,
): { readonly value: z.output<S> } | readonly Problem[] {
  const result = schema.safeParse(document.value, { error: (issue) => expectation(issue) })
  if (result.success) return { value: result.data }
  return issuesToProblems(document, [], result.error.issues, () =>
    z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }),
  )
}

/** Problems of a foreign parser (a plugin's options, an obligation's terms) that read the value under `base`. */
export function foreignProblems(document: YamlDocument, base: Path, error: unknown): readonly Problem[] {
  if (error instanceof z.core.$ZodError) {
    return issuesToProblems(document, base, error.issues, () => undefined)
  }
  return [
    document.problem(
      base,
      error instanceof Error ? `what its plugin takes: ${error.message}` : 'what its plugin takes',
    ),
  ]
}

function issuesToProblems(
  document: YamlDocument,
  base: Path,
  issues: readonly z.core.$ZodIssue[],
  jsonSchema: () => unknown,
): readonly Problem[] {
  const problems: Problem[] = []
  for (const issue of issues) {
    const path = [...base, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))]
    const meant = issue.code === 'invalid_union' ? meantBranch(issue) : undefined
    if (meant !== undefined) problems.push(...issuesToProblems(document, base, meant, jsonSchema))
    else if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(jsonSchema(), issue.path, document.value)
      for (const key of issue.keys)
        problems.push(document.problem([...path, key], unknownKey(key, known), 'an unknown key'))
    } else {
      // A schema of a plugin may leave zod's own words; ours say what was expected.
      const words = /^(?:Invalid|Too) /.test(issue.message) ? (expectation(issue) ?? issue.message) : issue.message
      problems.push(document.problem(path, lowerFirst(words), describe(valueAt(document.value, path))))
    }
  }
  return problems
}

/** Of alternatives that take different kinds of value, what is wrong by the one that takes the kind which is there. */
function meantBranch(issue: z.core.$ZodIssueInvalidUnion): readonly z.core.$ZodIssue[] | undefined {
  const [first, ...others] = issue.errors.filter(
    (branch) => !branch.some(({ code, path }) => code === 'invalid_type' && path.length === 0),
  )
  if (first === undefined || others.length > 0) return undefined
  return first.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known)
  if (near !== undefined) return `a known key (did you mean \`${near}\`?)`
  return known.length === 0 ? 'no such key here' : `one of ${known.map((name) => `\`${name}\``).join(', ')}`
}

/** The known name that is closest to `name`, if one is close enough to be what was meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase().slice(0, 64), candidate.toLowerCase().slice(0, 64))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}

/** Words for what a zod issue of ours expected. Messages written in a schema come first; these are for the rest. */
function expectation(issue: z.core.$ZodRawIssue | z.core.$ZodIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return TYPE_WORDS[issue.expected] ?? issue.expected
    case 'invalid_value':
      return `one of ${issue.values.map((value) => `\`${String(value)}\``).join(', ')}`
    case 'too_small':
      return size(issue.origin, issue.inclusive === false ? 'more than' : 'at least', Number(issue.minimum))
    case 'too_big':
      return size(issue.origin, issue.inclusive === false ? 'less than' : 'at most', Number(issue.maximum))
    case 'unrecognized_keys':
      return 'known keys only'
    case 'invalid_key':
      return issue.issues[0]?.message ?? 'another name as a key'
    default:
      return undefined
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  object: 'a map of keys',
  record: 'a map of keys',
  array: 'a list',
}

function size(origin: string, bound: string, limit: number): string {
  if (origin === 'array' || origin === 'set') return `${bound} ${limit} ${limit === 1 ? 'entry' : 'entries'}`
  if (origin === 'string') return `${bound} ${limit} ${limit === 1 ? 'character' : 'characters'}`
  return `${bound} ${limit}`
}

/** The kind of a value, in words; the value of a number, because bounds are about it; never a text. */
function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'an empty value'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return 'a text'
  if (typeof value === 'number') return String(value)
  if (typeof value === 'boolean') return String(value)
  return 'a map of keys'
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}

function valueAt(value: unknown, path: Path): unknown {
  let current = value
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined
    current = (current as Record<string | number, unknown>)[step]
  }
  return current
}

/** The key of the map entry, or the item of the list, at `path`; else the nearest parent's. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
  for (const step of path) {
    if (isMap(node)) {
      const pair = pairOf(node, String(step))
      if (pair === undefined) return offset
      offset = isNode(pair.key) ? (pair.key.range?.[0] ?? offset) : offset
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(step)]
      if (!isNode(item)) return offset
      offset = item.range?.[0] ?? offset
      node = item
    } else return offset
  }
  return offset
}

function pairOf(map: YAMLMap, key: string): { readonly key: unknown; readonly value: unknown } | undefined {
  return map.items.find((pair) => isPair(pair) && isScalar(pair.key) && String(pair.key.value) === key)
}

/** `__proto__` is skipped by schema libraries without a word; nothing may be skipped without a word. */
function forbiddenKey(value: unknown, path: Path): Path | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, item] of Object.entries(value)) {
    const next = [...path, Array.isArray(value) ? Number(key) : key]
    if (key === '__proto__') return next
    const found = forbiddenKey(item, next)
    if (found !== undefined) return found
  }
  return undefined
}

/** The keys that a JSON Schema knows at `path`, over the alternatives that the document's value does not rule out. */
function knownKeys(schema: unknown, path: readonly PropertyKey[], value: unknown): readonly string[] {
  let current = value
  let nodes = alternatives(schema, current)
  for (const step of path) {
    current = valueAt(current, [typeof step === 'number' ? step : String(step)])
    nodes = nodes.flatMap((node) => alternatives(descend(node, step), current))
  }
  return [...new Set(nodes.flatMap((node) => Object.keys(isRecord(node['properties']) ? node['properties'] : {})))]
}

function descend(node: Record<string, unknown>, step: PropertyKey): unknown {
  if (typeof step === 'number') return node['items']
  const properties = node['properties']
  const key = String(step)
  if (isRecord(properties) && Object.hasOwn(properties, key)) return properties[key]
  return node['additionalProperties']
}

function alternatives(node: unknown, value: unknown): readonly Record<string, unknown>[] {
  if (!isRecord(node) || isAnother(node, value)) return []
  const found = [node]
  for (const word of ['anyOf', 'oneOf', 'allOf']) {
    const inner = node[word]
    if (Array.isArray(inner)) found.push(...inner.flatMap((each) => alternatives(each, value)))
  }
  return found
}

/** Whether the value's tag (`effect`, `type`) says that it is another alternative than this. */
function isAnother(node: Record<string, unknown>, value: unknown): boolean {
  if (!isRecord(value) || !isRecord(node['properties'])) return false
  return Object.entries(node['properties']).some(
    ([key, schema]) =>
      isRecord(schema) && 'const' in schema && Object.hasOwn(value, key) && value[key] !== schema['const'],
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
