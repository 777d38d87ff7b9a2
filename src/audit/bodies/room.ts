/** A number of bytes that may be taken at once; who asks for more waits, in the order of asking. */
export class Room {
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = []
  readonly #most: number
  #taken = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Resolves when they are taken. More than there is at all is given when nothing else is taken. */
  take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#taken += bytes
      return Promise.resolve()
    }
    return new Promise((enter) => this.#waiting.push({ bytes, enter }))
  }

  give(bytes: number): void {
    this.#taken -= bytes
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#taken += next.bytes
      next.enter()
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#most
  }
}
