/** The strategies, and which of two for one column wins. */

/** How a value is masked. `year` is written for `truncate` to `YEAR`. */
export type Mask =
  | { readonly strategy: 'null' }
  | { readonly strategy: 'redact' }
  | { readonly strategy: 'hash'; readonly key: string }
  | { readonly strategy: 'partial'; readonly keepFirst: number; readonly keepLast: number }
  | { readonly strategy: 'truncate'; readonly to: 'YEAR' | 'MONTH' }
  | { readonly strategy: 'truncate'; readonly step: number }

/** From the strongest to the weakest: how little of the value is left. */
export const STRENGTH = ['null', 'redact', 'hash', 'partial', 'truncate'] as const

/** Above this a common step of two numbers shows nothing worth having, and stays exact in a double. */
const STEP_MOST = 1e15

/** A strategy as a policy writes it: a word, or a word with its options. */
export type WrittenMask =
  | 'redact'
  | 'null'
  | 'partial'
  | 'hash'
  | 'year'
  | { readonly strategy: 'redact' | 'null' | 'year' }
  | { readonly strategy: 'hash'; readonly key?: string }
  | { readonly strategy: 'partial'; readonly keepFirst?: number; readonly keepLast?: number }
  | { readonly strategy: 'truncate'; readonly to?: 'YEAR' | 'MONTH'; readonly step?: number }

/** What is meant by it, with nothing left out. */
export function maskOf(written: WrittenMask): Mask {
  const value = typeof written === 'string' ? { strategy: written } : written
  switch (value.strategy) {
    case 'redact':
    case 'null':
      return { strategy: value.strategy }
    case 'hash':
      return { strategy: 'hash', key: ('key' in value && value.key) || 'default' }
    case 'year':
      return { strategy: 'truncate', to: 'YEAR' }
    case 'truncate':
      if (value.step !== undefined) return { strategy: 'truncate', step: value.step }
      return { strategy: 'truncate', to: value.to ?? 'YEAR' }
    case 'partial': {
      const { keepFirst, keepLast } = { keepFirst: undefined, keepLast: undefined, ...value }
      // Four at the end is what people expect of a card or phone number; saying one end means not the other.
      if (keepFirst === undefined && keepLast === undefined) return { strategy: 'partial', keepFirst: 0, keepLast: 4 }
      return { strategy: 'partial', keepFirst: keepFirst ?? 0, keepLast: keepLast ?? 0 }
    }
  }
}

/** The name that an answer's `masked` carries. */
export function strategyName(mask: Mask): string {
  return mask.strategy === 'truncate' && 'to' in mask && mask.to === 'YEAR' ? 'year' : mask.strategy
}

/**
 * One mask that satisfies both: it shows nothing that either would hide. Commutative, so that the order of rules does
 * not matter. The stronger strategy wins; two of one strategy meet in what both show.
 */
export function strongest(a: Mask, b: Mask): Mask {
  const difference = STRENGTH.indexOf(a.strategy) - STRENGTH.indexOf(b.strategy)
  if (difference !== 0) return difference < 0 ? a : b
  // Two keys show equally little, and both names are the policy writer's: the first by name, so that it is stable.
  if (a.strategy === 'hash' && b.strategy === 'hash') return a.key <= b.key ? a : b
  if (a.strategy === 'partial' && b.strategy === 'partial') return meetPartial(a, b)
  if (a.strategy === 'truncate' && b.strategy === 'truncate') return meetTruncate(a, b)
  return a
}

type Partial = Extract<Mask, { strategy: 'partial' }>
type Truncate = Extract<Mask, { strategy: 'truncate' }>

/** Both ends share one third of the length, so only masks that keep the same single end can be compared. */
function meetPartial(a: Partial, b: Partial): Mask {
  if (a.keepFirst === b.keepFirst && a.keepLast === b.keepLast) return a
  const oneEnd = (a.keepFirst === 0 && b.keepFirst === 0) || (a.keepLast === 0 && b.keepLast === 0)
  if (!oneEnd) return { strategy: 'partial', keepFirst: 0, keepLast: 0 }
  return {
    strategy: 'partial',
    keepFirst: Math.min(a.keepFirst, b.keepFirst),
    keepLast: Math.min(a.keepLast, b.keepLast),
  }
}

/** Buckets of 10 and of 15 together tell more than either; those of 30 tell no more than each. */
function meetTruncate(a: Truncate, b: Truncate): Mask {
  if ('to' in a && 'to' in b) return a.to === 'YEAR' ? a : b
  if ('step' in a && 'step' in b) {
    const step = (a.step / gcd(a.step, b.step)) * b.step
    return step <= STEP_MOST ? { strategy: 'truncate', step } : { strategy: 'null' }
  }
  return { strategy: 'null' }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}
