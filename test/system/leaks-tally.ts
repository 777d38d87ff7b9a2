/** What was asked and what came of it: the two rates that the suite prints. */

export class Tally {
  readonly #counts = new Map<string, number>()
  readonly #refusals: string[] = []
  readonly #leaks: string[] = []
  readonly #elsewhere: string[] = []

  count(what: string, by = 1): void {
    this.#counts.set(what, this.of(what) + by)
  }

  of(what: string): number {
    return this.#counts.get(what) ?? 0
  }

  leak(about: string): void {
    this.#leaks.push(about)
  }

  /** An honest statement that was not answered, and why. */
  refusal(sql: string, why: string): void {
    this.#refusals.push(`${sql}\n      ${why}`)
  }

  /** The sandbox cannot run it: what the gateway would have done is not known. */
  elsewhere(sql: string, why: string): void {
    this.#elsewhere.push(`${why.replace(/ at \[.*/, '')}: ${sql}`)
  }

  get refusals(): readonly string[] {
    return this.#refusals
  }

  get leaks(): readonly string[] {
    return this.#leaks
  }

  /** The last words of the suite. */
  report(): string {
    const asked = this.of('evasions')
    const honest = this.of('honest')
    const share = (n: number, of: number): string => (of === 0 ? 'none asked' : `${((100 * n) / of).toFixed(2)} %`)
    const others = [...this.#counts].filter(([what]) => what !== 'evasions' && what !== 'honest')
    return [
      '',
      `  leaks           ${this.#leaks.length}/${asked} evasions  (${share(this.#leaks.length, asked)}; aim: 0)`,
      `  false refusals  ${this.#refusals.length}/${honest} honest statements  (${share(this.#refusals.length, honest)}; aim: below 1 %)`,
      `  not run here    ${this.#elsewhere.length}  (the sandbox lacks what they need)`,
      ...others.map(([what, n]) => `  ${what}: ${n}`),
      ...this.#leaks.map((leak) => `    leak: ${leak}`),
      ...this.#elsewhere.toSorted().map((why) => `    not run here: ${why.slice(0, 200)}`),
      ...this.#refusals.map((refusal) => `    refused: ${refusal}`),
      '',
    ].join('\n')
  }
}
