/** Who waits for a hold to change. A wait is registered before the row is read, so that no change falls in between. */
export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Calls `wake` whenever the hold may have changed, until the function that this returns is called. */
  add(id: string, wake: () => void): () => void {
    const wakes = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, wakes)
    wakes.add(wake)
    return () => {
      wakes.delete(wake)
      if (wakes.size === 0 && this.#waiting.get(id) === wakes) this.#waiting.delete(id)
    }
  }

  wake(id: string): void {
    for (const wake of this.#waiting.get(id) ?? []) wake()
  }

  wakeAll(): void {
    for (const id of this.ids()) this.wake(id)
  }

  ids(): readonly string[] {
    return [...this.#waiting.keys()]
  }

  get size(): number {
    return this.#waiting.size
  }
}
