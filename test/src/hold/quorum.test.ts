/** Who must still approve. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Approvers } from '../../../src/exchange.ts'
import { isAsked, isWanted, missing, people } from '../../../src/hold/quorum.ts'

const OWNERS: Approvers = { groups: ['owners'], count: 2 }
const SECURITY: Approvers = { groups: ['security'], count: 1 }
const by = (...groups: string[]) => ({ groups })

describe('a quorum of two owners and one of security', () => {
  const quorum = [OWNERS, SECURITY]

  test('is missing what nobody has filled yet', () => {
    expect(missing(quorum, [])).toEqual(quorum)
    expect(missing(quorum, [by('owners')])).toEqual([{ groups: ['owners'], count: 1 }, SECURITY])
    expect(missing(quorum, [by('owners'), by('owners')])).toEqual([SECURITY])
    expect(missing(quorum, [by('owners'), by('security'), by('owners')])).toEqual([])
  })

  test('counts one person once, wherever they are needed', () => {
    const both = by('owners', 'security')
    expect(missing(quorum, [both, both])).toHaveLength(1)
    expect(people(missing(quorum, [both, both]))).toBe(1)
    // Whoever comes later moves them to where the other cannot be.
    expect(missing(quorum, [both, by('owners'), by('owners')])).toEqual([])
    expect(missing(quorum, [both, both, by('security')])).toEqual([])
  })

  test('wants nobody whose place is taken, and asks nobody else', () => {
    expect(isWanted(quorum, [by('security')], ['security'])).toBe(false)
    expect(isWanted(quorum, [by('security')], ['security', 'owners'])).toBe(true)
    expect(isWanted(quorum, [], ['strangers'])).toBe(false)
    expect([isAsked(quorum, ['security']), isAsked(quorum, ['strangers']), isAsked([], ['owners'])]).toEqual([
      true,
      false,
      false,
    ])
  })
})

test('the order of approvals does not matter, and no assignment fills more places than ours', () => {
  const group = fc.constantFrom('a', 'b', 'c', 'd')
  const quorum = fc.array(
    fc.record({ groups: fc.uniqueArray(group, { minLength: 1 }), count: fc.integer({ min: 1, max: 2 }) }),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  const approvals = fc.array(fc.record({ groups: fc.uniqueArray(group) }), { maxLength: 5 })
  fc.assert(
    fc.property(quorum, approvals, (entries, given) => {
      const left = people(missing(entries, given))
      expect(people(missing(entries, given.toReversed()))).toBe(left)
      const places = entries.flatMap((entry) => Array.from({ length: entry.count }, () => entry.groups))
      expect(places.length - left).toBe(
        best(
          places,
          given.map(({ groups }) => groups),
        ),
      )
    }),
  )
})

/** The most places that can be filled, by trying everything. */
function best(places: readonly (readonly string[])[], given: readonly (readonly string[])[]): number {
  const [first, ...rest] = given
  if (first === undefined) return 0
  const tries = places.flatMap((place, i) =>
    place.some((group) => first.includes(group)) ? [1 + best(places.toSpliced(i, 1), rest)] : [],
  )
  return Math.max(best(places, rest), ...tries)
}
