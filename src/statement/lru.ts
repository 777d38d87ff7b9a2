/** A map that holds the most recently used entries, up to a bound on the characters of their texts. */
export class Lru<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly size: number }>()
  readonly #most: number
  #size = 0

  constructor(most: number) {
    this.#most = most
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** Keeps the value, unless it alone is larger than the bound. */
  set(key: string, value: T): T {
    const size = key.length + 500
    this.#drop(key)
    if (size > this.#most) return value
    this.#entries.set(key, { value, size })
    this.#size += size
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= this.#most) break
      this.#drop(oldest)
    }
    return value
  }

  #drop(key: string): void {
    this.#size -= this.#entries.get(key)?.size ?? 0
    this.#entries.delete(key)
  }
}
