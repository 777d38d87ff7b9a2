/** Keyed digests of values: equal for equal values, however they are written, and worth nothing without the key. */
import { hasherOf, pads } from '../hmac.ts'

/** What marks a digest in the place of a value. */
export const DIGEST_MARK = 'hmac:'

/** Hex digits of a digest: 128 bits. */
export const DIGEST_DIGITS = 32

const KEY_BYTES_LEAST = 16

/** Digests under a key: 32 hex digits of the HMAC-SHA-256 of a canonical text. Rejects where the key is too short. */
export async function digesterOf(key: string): Promise<(canonical: string) => string> {
  const bytes = new TextEncoder().encode(key)
  if (bytes.length < KEY_BYTES_LEAST) throw new Error(`a key for digests has at least ${KEY_BYTES_LEAST} bytes`)
  const hash = hasherOf(await pads(bytes))
  return (canonical) => hash(canonical).slice(0, DIGEST_DIGITS)
}

/** A decimal number as JSON writes it, but for its exponent. Digits are few enough to be reckoned with. */
const DECIMAL = /^(?<sign>-?)(?<whole>0|[1-9]\d{0,99})(?:\.(?<fraction>\d{1,100}))?$/
const EXPONENT = /^(?<mantissa>-?\d{1,100}(?:\.\d{1,100})?)[eE](?<exponent>[+-]?\d{1,3})$/

/**
 * One text for all the ways in which the same value is written: `42`, `"42"`, `42.0` and `4.2e1` are one, as are `true` and
 * `"true"`. `"007"` is not 7: a text is a number only where JSON would write it so, without an exponent.
 */
export function canonicalText(text: string, kind: 'string' | 'number' | 'boolean'): string {
  const decimal = kind === 'number' ? withoutExponent(text) : text
  const found = DECIMAL.exec(decimal)?.groups
  if (found === undefined) return text
  const { sign = '', whole = '', fraction = '' } = found
  const rest = fraction.replace(/0+$/, '')
  const value = rest === '' ? whole : `${whole}.${rest}`
  return value === '0' ? '0' : sign + value
}

/** `1.5e3` as `1500`; what is written without an exponent, or with one that is too large, stays. */
function withoutExponent(text: string): string {
  const found = EXPONENT.exec(text)?.groups
  if (found === undefined) return text
  const { mantissa = '', exponent = '' } = found
  const sign = mantissa.startsWith('-') ? '-' : ''
  const [whole = '', fraction = ''] = mantissa.slice(sign.length).split('.')
  const point = whole.length + Number(exponent)
  if (Math.abs(Number(exponent)) > 100) return text
  const digits = whole + fraction
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0')
  const at = Math.max(point, 1)
  const integer = padded.slice(0, at).replace(/^0+(?=\d)/, '')
  return sign + (padded.length > at ? `${integer}.${padded.slice(at)}` : integer)
}
