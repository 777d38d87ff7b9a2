/**
 * Many JSON paths followed at once: a place says how far each path has come, and a step from it is one look-up. Places are
 * made when they are first reached; there are as many as the shapes of documents need, not as many as documents have values.
 */
import type { JsonPath, JsonStep } from './path.ts'

/** How far each path has come at one value. */
export interface Place {
  /** Paths that end here, by their position in the list. */
  readonly ends: readonly number[]
  /** No path goes on from here. */
  readonly isLast: boolean
  /** Whether a member's name decides where it leads. */
  readonly hasNames: boolean
}

/** Places that are remembered; where paths and documents make more, they are made again. */
const REMEMBERED = 4_096

/** More steps than any path has. */
const WIDTH = 64

export class Automaton {
  readonly #paths: readonly JsonPath[]
  readonly #places = new Map<string, Node>()
  /** At the whole document. */
  readonly root: Place
  /** Bytes of the longest name that any path has. */
  readonly longest: number

  constructor(paths: readonly JsonPath[]) {
    this.#paths = paths
    const names = paths.flat().flatMap((step) => (step.is === 'name' ? [utf8(step.name).length] : []))
    this.longest = Math.max(0, ...names)
    this.root = this.#place(paths.map((_, path) => path * WIDTH))
  }

  /** The member whose name is written in `bytes` from `start` to `end`, without escapes. */
  memberAt(from: Place, bytes: Uint8Array, start: number, end: number): Place {
    const place = from as Node
    next: for (const known of place.names) {
      const { bytes: name } = known
      if (name.length !== end - start) continue
      for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) continue next
      return this.#named(place, known)
    }
    return this.other(place)
  }

  member(from: Place, name: string): Place {
    const place = from as Node
    const known = place.names.find((it) => it.name === name)
    return known === undefined ? this.other(place) : this.#named(place, known)
  }

  /** A member of which no path has the name. */
  other(from: Place): Place {
    const place = from as Node
    return (place.other ??= this.#after(place, (step) => step.is === 'any'))
  }

  element(from: Place, index: number): Place {
    const place = from as Node
    if (!place.countsElements) return this.other(place)
    return this.#after(place, (step) => takesElement(step, index))
  }

  #named(place: Node, known: Node['names'][number]): Node {
    return (known.to ??= this.#after(place, (step) => takesMember(step, known.name)))
  }

  #stepAt(pair: number): JsonStep | undefined {
    return this.#paths[Math.floor(pair / WIDTH)]?.[pair % WIDTH]
  }

  /** Where one step down leads. */
  #after({ open }: Node, takes: (step: JsonStep) => boolean): Node {
    const next = new Set<number>()
    for (const pair of open) {
      const step = this.#stepAt(pair)
      if (step?.descends === true) next.add(pair)
      if (step !== undefined && takes(step)) next.add(pair + 1)
    }
    return this.#place([...next].sort((a, b) => a - b))
  }

  /** `open` are (path, step) pairs that are reached, as sorted numbers. */
  #place(open: readonly number[]): Node {
    const key = open.join()
    const known = this.#places.get(key)
    if (known !== undefined) return known
    if (this.#places.size >= REMEMBERED) this.#places.clear()
    const place = this.#made(open)
    this.#places.set(key, place)
    return place
  }

  #made(open: readonly number[]): Node {
    const steps = open.flatMap((pair) => this.#stepAt(pair) ?? [])
    const names = [...new Set(steps.flatMap((step) => (step.is === 'name' ? [step.name] : [])))]
    return {
      open,
      ends: open.filter((pair) => this.#stepAt(pair) === undefined).map((pair) => Math.floor(pair / WIDTH)),
      isLast: steps.length === 0,
      hasNames: names.length > 0,
      countsElements: steps.some((step) => step.is === 'range') || names.some((name) => INDEX.test(name)),
      names: names.map((name) => ({ name, bytes: utf8(name), to: undefined })),
      other: undefined,
    }
  }
}

interface Node extends Place {
  readonly open: readonly number[]
  readonly names: readonly { readonly name: string; readonly bytes: Uint8Array; to: Node | undefined }[]
  /** Whether an element's index decides where it leads. */
  readonly countsElements: boolean
  other: Node | undefined
}

const INDEX = /^(?:0|[1-9]\d*)$/

function takesMember(step: JsonStep, name: string): boolean {
  return step.is === 'any' || (step.is === 'name' && step.name === name)
}

function takesElement(step: JsonStep, index: number): boolean {
  if (step.is === 'range') return index >= step.from && index < step.to && (index - step.from) % step.by === 0
  return step.is === 'any' || step.name === String(index)
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
