/** What events are made of: JSON without empty parts, and texts and lists with an end. */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined }

type Fields = Readonly<Record<string, Json | undefined>>

/** The fields that say something: no empty text, no empty list, nothing undefined. */
export function present<F extends Fields>(fields: F): F {
  const said = Object.entries(fields).filter(
    ([, value]) => value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0),
  )
  return Object.fromEntries(said) as F
}

/** How large an event may become. */
export interface Bounds {
  /** Characters of a text. */
  readonly chars: number
  /** Entries of a list. */
  readonly items: number
}

/** Cuts what is too long and remembers what it cut. One per event. */
export class Cutter {
  readonly #bounds: Bounds
  readonly #said = new Set<string>()

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  /** What was cut, a line each. */
  get said(): readonly string[] {
    return [...this.#said]
  }

  /** `attribute` names it where it is cut. */
  text(attribute: string, text: string): string {
    const { chars } = this.#bounds
    if (text.length <= chars) return text
    this.#said.add(`${attribute} is cut to ${chars} characters`)
    const kept = text.slice(0, chars)
    // Not amid a pair of surrogates.
    return /[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept
  }

  items<T>(attribute: string, items: readonly T[]): readonly T[] {
    const most = this.#bounds.items
    if (items.length <= most) return items
    this.#said.add(`${attribute} is cut to ${most} of ${items.length} items`)
    return items.slice(0, most)
  }
}
