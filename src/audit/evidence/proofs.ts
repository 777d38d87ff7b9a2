import type { Member } from './pack.ts'
import type { Log } from './segments.ts'
import type { Store } from './store.ts'
/** What ties a log of the pack to a signed head. */
export interface Head {
  readonly writer: string
  readonly epoch: string
  /** Segments with records in the span. */
  readonly first: number
  readonly last: number
  readonly checkpoints: number
  /** Of the newest checkpoint; absent where there is none. */
  readonly size?: number
  readonly signedAt?: string
  /** Whether it covers the last segment. */
  readonly covered: boolean
}
export async function* proofMembers(
  _s: Store,
  _l: readonly Log[],
  _g: AbortSignal,
): AsyncGenerator<Member, readonly Head[]> {
  yield* []
  return []
}
