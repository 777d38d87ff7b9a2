/** Who must still approve. One person counts once over all entries, for whichever of them needs them. Pure. */
import type { Approvers } from '../exchange.ts'

/** Somebody who has approved, with the groups they had then. */
export interface Approval {
  readonly groups: readonly string[]
}

/** What of the quorum is still missing: the entries with how many people each still needs; none once it is complete. */
export function missing(quorum: readonly Approvers[], approvals: readonly Approval[]): readonly Approvers[] {
  const places = quorum.flatMap((entry, index) => Array.from({ length: entry.count }, () => ({ entry, index })))
  const taken = matched(
    places.map(({ entry }) => entry),
    approvals,
  )
  return quorum.flatMap((entry, index) => {
    const left = places.filter((place, i) => place.index === index && !taken.has(i)).length
    return left === 0 ? [] : [{ ...entry, count: left }]
  })
}

/** Whether one more approval, by somebody of these groups, brings the quorum nearer. */
export function isWanted(
  quorum: readonly Approvers[],
  approvals: readonly Approval[],
  groups: readonly string[],
): boolean {
  return people(missing(quorum, [...approvals, { groups }])) < people(missing(quorum, approvals))
}

/** How many people a quorum asks for. */
export function people(quorum: readonly Approvers[]): number {
  return quorum.reduce((sum, { count }) => sum + count, 0)
}

/** Whether somebody of these groups is asked at all. */
export function isAsked(quorum: readonly Approvers[], groups: readonly string[]): boolean {
  return quorum.some((entry) => fits(entry, groups))
}

function fits(entry: Approvers, groups: readonly string[]): boolean {
  return entry.groups.some((group) => groups.includes(group))
}

/** The largest assignment of people to places (augmenting paths): place by person. */
function matched(places: readonly Approvers[], approvals: readonly Approval[]): ReadonlyMap<number, number> {
  const byPlace = new Map<number, number>()
  const assign = (person: number, seen: Set<number>): boolean => {
    const groups = approvals[person]?.groups ?? []
    for (const [place, entry] of places.entries()) {
      if (seen.has(place) || !fits(entry, groups)) continue
      seen.add(place)
      const other = byPlace.get(place)
      if (other !== undefined && !assign(other, seen)) continue
      byPlace.set(place, person)
      return true
    }
    return false
  }
  for (const person of approvals.keys()) assign(person, new Set())
  return byPlace
}
