import type { Refusal } from './contract.ts'

/** Carries a Refusal out of the grammar or the binder; never leaves this folder. */
export class Stop extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}
