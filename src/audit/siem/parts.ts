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

/** Cuts what is too long and remembers what it cut. One per event. */
export class Cutter {
  readonly #mostChars: number
  readonly #mostItems: number
  readonly #said = new Set<string>()

  constructor(mostChars: number, mostItems: number) {
    this.#mostChars = mostChars
    this.#mostItems = mostItems
  }

  /** What was cut, a line each. */
  get said(): readonly string[] {
    return [...this.#said]
  }

  /** `attribute` names it where it is cut. */
  text(attribute: string, text: string): string {
    if (text.length <= this.#mostChars) return text
    this.#said.add(`${attribute} is cut to ${this.#mostChars} characters`)
    const kept = text.slice(0, this.#mostChars)
    // Not amid a pair of surrogates.
    return /[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept
  }

  items<T>(attribute: string, items: readonly T[]): readonly T[] {
    if (items.length <= this.#mostItems) return items
    this.#said.add(`${attribute} is cut to ${this.#mostItems} of ${items.length} items`)
    return items.slice(0, this.#mostItems)
  }
}
