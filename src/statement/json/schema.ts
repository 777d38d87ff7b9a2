/** Which paths a schema of an API's description rules out: a mistyped mask is told at the start, not by a leak. */
import type { JsonPath, JsonStep } from './path.ts'

/** What a `$ref` points to; `undefined` where nobody can say. */
export type Resolve = (ref: string) => unknown

/**
 * The positions in `paths` of those that no value of the schema has a place for. An object whose schema lists `properties`
 * and says nothing of others has no others: a description is taken at its word. What a schema leaves open, and what is not
 * understood of it, may match.
 */
export function neverMatches(paths: readonly JsonPath[], schema: unknown, resolve: Resolve): readonly number[] {
  return paths.flatMap((path, i) => (new Search(path, resolve).from(schema, 0) ? [] : [i]))
}

/** Schemas that are looked at for one path; with more, it may match. */
const MOST = 20_000

type Schema = Readonly<Record<string, unknown>>

class Search {
  readonly #path: JsonPath
  readonly #resolve: Resolve
  /** Where it has been: a schema that leads back to itself adds nothing. */
  readonly #seen = new Map<object, Set<number>>()
  #looked = 0

  constructor(path: JsonPath, resolve: Resolve) {
    this.#path = path
    this.#resolve = resolve
  }

  /** Whether the path, from `step` on, may lead to a value of the schema. */
  from(schema: unknown, step: number): boolean {
    if (schema === false) return false
    const next = this.#path[step]
    if (next === undefined || !isSchema(schema)) return true
    const seen = this.#seen.get(schema) ?? new Set()
    if (seen.has(step)) return false
    this.#seen.set(schema, seen.add(step))
    if (++this.#looked > MOST) return true
    const { $ref: ref } = schema
    if (typeof ref === 'string') {
      const target = this.#resolve(ref)
      return target === undefined || this.from(target, step) || this.#composed(schema, step)
    }
    return this.#composed(schema, step) || this.#inside(schema, next, step)
  }

  /** `allOf` adds members as `anyOf` and `oneOf` offer them: what any of them has room for may be. */
  #composed(schema: Schema, step: number): boolean {
    return ['allOf', 'anyOf', 'oneOf', 'then', 'else'].some((word) => {
      const parts = schema[word]
      return Array.isArray(parts)
        ? parts.some((part) => this.from(part, step))
        : isSchema(parts) && this.from(parts, step)
    })
  }

  #inside(schema: Schema, next: JsonStep, step: number): boolean {
    return (
      (mayBe(schema, 'object') && this.#inObject(schema, next, step)) ||
      (mayBe(schema, 'array') && this.#inArray(schema, next, step))
    )
  }

  /** One step down to `child`, which the step takes or (where it descends) passes by. */
  #down(child: unknown, takes: boolean, next: JsonStep, step: number): boolean {
    return (takes && this.from(child, step + 1)) || (next.descends && this.from(child, step))
  }

  #inObject(schema: Schema, next: JsonStep, step: number): boolean {
    const { properties, patternProperties, additionalProperties: others } = schema
    const takes = (name: string): boolean => next.is === 'any' || (next.is === 'name' && next.name === name)
    const listed = isSchema(properties) ? Object.entries(properties) : []
    if (listed.some(([name, child]) => this.#down(child, takes(name), next, step))) return true
    // Of a member that is not listed, the name may be any: a range takes none.
    const isOpen = next.is !== 'range' && !(next.is === 'name' && listed.some(([name]) => name === next.name))
    if (isSchema(patternProperties)) {
      if (Object.values(patternProperties).some((child) => this.#down(child, isOpen, next, step))) return true
    }
    if (others !== undefined) return this.#down(others, isOpen, next, step)
    const isSilent = !isComposed(schema) && properties === undefined && patternProperties === undefined
    return isSilent && mayHold(schema, 'object')
  }

  #inArray(schema: Schema, next: JsonStep, step: number): boolean {
    const { prefixItems, items } = schema
    const isElement = next.is !== 'name' || /^(?:0|[1-9]\d*)$/.test(next.name)
    const listed: readonly unknown[] = Array.isArray(prefixItems) ? prefixItems : []
    if (listed.some((child) => this.#down(child, isElement, next, step))) return true
    if (items !== undefined) return this.#down(items, isElement, next, step)
    // Those behind the listed ones are open.
    const isBehind = isElement && (next.is !== 'name' || Number(next.name) >= listed.length)
    return mayHold(schema, 'array') && (isBehind || next.descends)
  }
}

/** Words that say what is within an object or array: they stand for a `type` where none is written. */
const WITHIN = {
  object: ['properties', 'patternProperties', 'additionalProperties', 'required'],
  array: ['items', 'prefixItems'],
} as const

function mayBe(schema: Schema, type: 'object' | 'array'): boolean {
  const { type: types } = schema
  if (typeof types === 'string') return types === type
  if (Array.isArray(types)) return types.includes(type)
  const other = type === 'object' ? 'array' : 'object'
  return WITHIN[type].some((word) => word in schema) || !WITHIN[other].some((word) => word in schema)
}

/** Where the schema says nothing of what is within: an open one holds anything. */
function mayHold(schema: Schema, type: 'object' | 'array'): boolean {
  return (
    'type' in schema ||
    (!isComposed(schema) && !WITHIN[type === 'object' ? 'array' : 'object'].some((it) => it in schema))
  )
}

function isComposed(schema: Schema): boolean {
  return 'allOf' in schema || 'anyOf' in schema || 'oneOf' in schema || '$ref' in schema
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
