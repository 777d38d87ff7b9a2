/** A form under JSON paths: an object of strings, whose names may themselves spell a way down. */
import type { Pair } from './form.ts'
import { MalformedBody } from './body.ts'
import type { JsonMaskerOptions, JsonMasks } from './masker.ts'

/** Names whose occurrences are counted. */
const NAMES = 10_000

/**
 * What masks one form. `card.number` and `card[number]` are members by that very name, and `number` within `card`; a name
 * that occurs again, or ends in `[]`, is an element as well. A mask on a parent covers what is in it. `original` is told
 * what is replaced, as `JsonMasker` tells it.
 */
export function formMask(
  masks: JsonMasks,
  counts: number[] = [],
  original?: JsonMaskerOptions['original'],
): (pair: Pair) => Pair | undefined {
  const seen = new Map<string, number>()
  const { automaton } = masks
  return ({ name, value }) => {
    const occurrence = seen.get(name) ?? 0
    if (seen.size >= NAMES && occurrence === 0) throw new MalformedBody('a form of too many names')
    seen.set(name, occurrence + 1)
    const ends = new Set(automaton.root.ends)
    for (const segments of spellings(name)) {
      let place = automaton.root
      for (const segment of [...segments, '']) {
        const isElement = segment === '' || /^\d{1,9}$/.test(segment)
        // A digit is an element's index here or a member's name there: a mask for either takes it.
        if (isElement && segment !== '') for (const end of automaton.member(place, segment).ends) ends.add(end)
        place = isElement
          ? automaton.element(place, segment === '' ? occurrence : Number(segment))
          : automaton.member(place, segment)
        for (const end of place.ends) ends.add(end)
      }
    }
    if (ends.size === 0) return undefined
    const paths = [...ends].sort((a, b) => a - b)
    const { constant, scalar } = masks.at(paths)
    original?.(paths, value)
    for (const path of paths) counts[path] = (counts[path] ?? 0) + 1
    const json = scalar === undefined ? new TextDecoder().decode(constant) : scalar(value, 'string')
    const masked: unknown = JSON.parse(json)
    return { name, value: typeof masked === 'string' ? masked : masked === null ? '' : json }
  }
}

/** The ways in which frameworks read a name. */
function spellings(name: string): readonly (readonly string[])[] {
  const all = [[name]]
  if (/[[.]/.test(name)) {
    all.push(name.replaceAll(']', '').split(/[[.]/))
    if (name.includes('[') && name.includes('.')) all.push(name.replaceAll(']', '').split('['))
  }
  // PHP skips blanks before a name, ends it at a NUL, and reads nothing behind a bracket that closes.
  const [, first = '', parts = ''] = /^ *([^[\0]*)((?:\[[^\]\0]*\])*)/.exec(name) ?? []
  const php = [first, ...Array.from(parts.matchAll(/\[([^\]]*)\]/g), ([, part = '']) => part)]
  if (!all.some((spelling) => spelling.join('[') === php.join('['))) all.push(php)
  return all
}
