import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { STRENGTH, strategyName, strongest, type Mask } from '../../../src/statement/strategy.ts'

const mask: fc.Arbitrary<Mask> = fc.oneof(
  fc.constantFrom<Mask>({ strategy: 'null' }, { strategy: 'redact' }),
  fc.record({ strategy: fc.constant('hash' as const), key: fc.constantFrom('a', 'b') }),
  fc.record({ strategy: fc.constant('partial' as const), keepFirst: fc.nat(6), keepLast: fc.nat(6) }),
  fc.record({ strategy: fc.constant('truncate' as const), to: fc.constantFrom('YEAR' as const, 'MONTH' as const) }),
  fc.record({ strategy: fc.constant('truncate' as const), step: fc.integer({ min: 1, max: 1e12 }) }),
)
const strength = (it: Mask): number => STRENGTH.indexOf(it.strategy)

/** Which characters of a text of `length` a partial mask shows. */
function shown({ keepFirst, keepLast }: { keepFirst: number; keepLast: number }, length: number): Set<number> {
  const third = Math.floor(length / 3)
  const last = Math.min(keepLast, third)
  const first = Math.min(keepFirst, third - last)
  return new Set([
    ...Array.from({ length: first }, (_, i) => i),
    ...Array.from({ length: last }, (_, i) => length - 1 - i),
  ])
}

describe('which of two masks wins', () => {
  it('does not depend on the order of rules', () => {
    fc.assert(
      fc.property(mask, mask, (a, b) => {
        expect(strongest(a, b)).toEqual(strongest(b, a))
      }),
    )
  })

  it('is never weaker than either', () => {
    fc.assert(
      fc.property(mask, mask, (a, b) => {
        expect(strength(strongest(a, b))).toBeLessThanOrEqual(Math.min(strength(a), strength(b)))
      }),
    )
  })

  it('is itself between equals', () => {
    fc.assert(
      fc.property(mask, (a) => {
        expect(strongest(a, { ...a })).toEqual(a)
      }),
    )
  })

  it('shows of a text no character that either would hide', () => {
    const partial = fc.record({ strategy: fc.constant('partial' as const), keepFirst: fc.nat(6), keepLast: fc.nat(6) })
    fc.assert(
      fc.property(partial, partial, fc.nat(40), (a, b, length) => {
        const both = strongest(a, b)
        if (both.strategy !== 'partial') throw new Error('two partial masks meet in a third')
        const [inA, inB] = [shown(a, length), shown(b, length)]
        expect([...shown(both, length)].filter((at) => !inA.has(at) || !inB.has(at))).toEqual([])
      }),
    )
  })

  it('puts numbers into steps that both would', () => {
    expect(strongest({ strategy: 'truncate', step: 10 }, { strategy: 'truncate', step: 15 })).toEqual({
      strategy: 'truncate',
      step: 30,
    })
    expect(strongest({ strategy: 'truncate', step: 1e12 }, { strategy: 'truncate', step: 1e12 - 1 })).toEqual({
      strategy: 'null',
    })
  })

  it('shows nothing where a date and a number are asked of one column', () => {
    expect(strongest({ strategy: 'truncate', step: 10 }, { strategy: 'truncate', to: 'YEAR' })).toEqual({
      strategy: 'null',
    })
  })

  it('is named as policies write it', () => {
    expect(strategyName({ strategy: 'truncate', to: 'YEAR' })).toBe('year')
    expect(strategyName({ strategy: 'truncate', to: 'MONTH' })).toBe('truncate')
    expect(strategyName({ strategy: 'hash', key: 'a' })).toBe('hash')
  })
})
