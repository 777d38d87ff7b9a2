/** What a simulation or a check found, for people. Pure. */
import type { Direction } from './obligations.ts'
import type { Check, Group, Simulation, Unknown } from './simulate.ts'

/** Lines of each kind of change; the rest is counted. */
const MOST_LINES = 50

const TITLES: Readonly<Record<Direction, string>> = {
  loosened: 'LETS MORE THROUGH',
  tightened: 'lets less through',
  changed: 'otherwise different',
}

/** What lets more through comes first. */
export function renderSimulation(found: Simulation): string {
  const { records, same, loosened, tightened, changed, groups, untold, undecided } = found
  const sections = (['loosened', 'tightened', 'changed'] as const).flatMap((direction) => {
    const mine = groups.filter((group) => group.direction === direction)
    if (mine.length === 0) return []
    const more = mine.length - MOST_LINES
    return [
      `${TITLES[direction]} (${found[direction]} of ${records} decisions)`,
      ...mine.slice(0, MOST_LINES).flatMap(groupLines),
      ...(more > 0 ? [`  … and ${more} more kinds of change: --json has them all`] : []),
      '',
    ]
  })
  return [
    ...sections,
    ...(untold > 0 ? [`${untold} changes are of more kinds than are told apart`] : []),
    ...unknownLines(undecided),
    `${records} decisions: ${same} stay, ${loosened} let more through, ${tightened} less, ${changed} differ otherwise, ` +
      `${sum(undecided)} could not be made again`,
  ].join('\n')
}

/** The newest few that do not come out as they are recorded, and the count. */
export function renderCheck({ records, agreed, disagreed, examples, undecided }: Check): string {
  return [
    ...examples.flatMap(({ exchange, recorded, again }) => [
      `${exchange} comes out otherwise than it is recorded`,
      `  recorded ${JSON.stringify(recorded)}`,
      `  again    ${JSON.stringify(again)}`,
    ]),
    ...unknownLines(undecided),
    `${records} decisions: ${agreed} come out as they are recorded, ${disagreed} do not, ` +
      `${sum(undecided)} could not be made again`,
  ].join('\n')
}

function groupLines({ what, was, is, principal, connection, count, exchanges }: Group): readonly string[] {
  const codes = was.join(' ') === is.join(' ') ? is.join(' ') : `${was.join(' ')} → ${is.join(' ')}`
  return [
    `  ${String(count).padStart(7)}  ${what}`,
    `           ${plain(`${principal} on ${connection}`)}  ${plain(codes)}`,
    `           e.g. ${exchanges.join(' ')}`,
  ]
}

function unknownLines(undecided: readonly Unknown[]): readonly string[] {
  if (undecided.length === 0) return []
  return [
    'could not be made again',
    ...undecided.flatMap(({ why, count, exchanges }) => [
      `  ${String(count).padStart(7)}  ${why}`,
      `           e.g. ${exchanges.join(' ')}`,
    ]),
    '',
  ]
}

function sum(undecided: readonly Unknown[]): number {
  return undecided.reduce((all, { count }) => all + count, 0)
}

/** Names come from tokens: nothing in them may move a cursor. */
function plain(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?')
}
