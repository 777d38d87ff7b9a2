/** A strategy on a JSON value. What a masked value becomes is JSON text; the README of mask-json has the table. */
import type { TextHasher } from '../hmac.ts'
import type { Mask } from '../strategy.ts'
import type { JsonMask } from './masker.ts'

export const REDACTED = '[redacted]'
const REDACTED_JSON = JSON.stringify(REDACTED)

/** `hash` is of the mask's key; needed for strategy `hash` only. Throws where it is missing: nothing may go out in its place. */
export function jsonMask(mask: Mask, hash: TextHasher | undefined): JsonMask {
  switch (mask.strategy) {
    case 'null':
      return { constant: 'null' }
    case 'redact':
      return { constant: REDACTED_JSON }
    case 'hash': {
      if (hash === undefined) throw new Error(`no mask key \`${mask.key}\``)
      // Hex digits need no escaping.
      return { instead: REDACTED_JSON, scalar: (text) => `"${hash(text)}"` }
    }
    case 'partial':
      return {
        instead: REDACTED_JSON,
        scalar: (text, kind) => (kind === 'boolean' ? REDACTED_JSON : JSON.stringify(partial(mask, text))),
      }
    case 'truncate':
      return { instead: REDACTED_JSON, scalar: 'to' in mask ? dates(mask.to) : numbers(mask.step) }
  }
}

const SURROGATE = /[\ud800-\udfff]/

/** The kept ends, at most a third of the characters together (the end before the beginning), stars between. */
export function partial(
  { keepFirst, keepLast }: { readonly keepFirst: number; readonly keepLast: number },
  text: string,
): string {
  // Without surrogates a character is a unit, and the text is cut as it is.
  const chars = SURROGATE.test(text) ? Array.from(text) : undefined
  const { length } = chars ?? text
  const third = Math.floor(length / 3)
  const last = Math.min(keepLast, third)
  const first = Math.min(keepFirst, third - last)
  const cut = (from: number, to: number): string => chars?.slice(from, to).join('') ?? text.slice(from, to)
  return cut(0, first) + '*'.repeat(length - first - last) + cut(length - last, length)
}

/** ISO 8601's date, or date and time with or without an offset. */
const DATE =
  /^(?<year>\d{4})-(?<month>0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?<time>[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?(?<zone>Z|[+-]\d{2}:\d{2})?)?$/i

/** The first moment of its year or month; of a time with an offset, in UTC. What is no date is redacted. */
function dates(to: 'YEAR' | 'MONTH'): (text: string, kind: string) => string {
  return (text, kind) => {
    const found = kind === 'string' ? DATE.exec(text)?.groups : undefined
    if (found === undefined) return REDACTED_JSON
    let { year = '', month = '' } = found
    const { time, zone } = found
    if (zone !== undefined) {
      const moment = Date.parse(text.replace(' ', 'T').replace(',', '.'))
      if (Number.isNaN(moment)) return REDACTED_JSON
      const iso = new Date(moment).toISOString()
      if (!/^\d{4}-/.test(iso)) return REDACTED_JSON
      year = iso.slice(0, 4)
      month = iso.slice(5, 7)
    }
    const date = `${year}-${to === 'YEAR' ? '01' : month}-01`
    return JSON.stringify(time === undefined ? date : `${date}T00:00:00${zone === undefined ? '' : 'Z'}`)
  }
}

/** Digits of a number that are reckoned with exactly. */
const NUMBER = /^(?<whole>-?\d{1,38})(?:\.\d{1,38})?$/

/** Towards zero to a multiple of `step`. A number with an exponent, and what is no number, is redacted. */
function numbers(step: number): (text: string, kind: string) => string {
  const by = BigInt(step)
  return (text, kind) => {
    const whole = kind === 'number' ? NUMBER.exec(text)?.groups?.['whole'] : undefined
    if (whole === undefined) return REDACTED_JSON
    const value = BigInt(whole)
    return String(value - (value % by))
  }
}
