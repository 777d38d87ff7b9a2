/** Digits, as people and forms write them. Every function looks at a bounded stretch, so that a scan stays linear. */

/** The value of a decimal digit: ASCII, full-width, Arabic-Indic; -1 for anything else. */
export function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  if (code < 0x660) return -1
  if (code <= 0x669) return code - 0x660
  if (code >= 0x6f0 && code <= 0x6f9) return code - 0x6f0
  if (code >= 0xff10 && code <= 0xff19) return code - 0xff10
  return -1
}

/** Digits that belong together: runs with single separators between. */
export interface Digits {
  /** Only the digits, in ASCII. */
  readonly digits: string
  /** Where each digit stands. */
  readonly at: readonly number[]
  /** Positions in `digits` at which a run begins, behind a separator; 0 is one. */
  readonly runs: readonly number[]
}

const SEPARATORS = ' -./_\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013\u2014\u2212'

export function isSeparator(text: string, at: number): boolean {
  return at < text.length && SEPARATORS.includes(text.charAt(at))
}

/** Beginning at `start`, which holds a digit. */
export function digitsFrom(text: string, start: number): Digits {
  let digits = ''
  const at: number[] = []
  const runs = [0]
  for (let i = start; i < text.length; i++) {
    const digit = digitAt(text, i)
    if (digit >= 0) {
      digits += String(digit)
      at.push(i)
    } else if (isSeparator(text, i) && digitAt(text, i + 1) >= 0) runs.push(digits.length)
    else break
  }
  return { digits, at, runs }
}

/** ISO/IEC 7812-1 annex B, over ASCII digits. */
export function isLuhn(digits: string): boolean {
  let sum = 0
  for (let i = digits.length - 1, isSecond = false; i >= 0; i--, isSecond = !isSecond) {
    const digit = digits.charCodeAt(i) - 0x30
    const value = isSecond ? 2 * digit : digit
    sum += value > 9 ? value - 9 : value
  }
  return sum % 10 === 0
}

/** First and last of a range of issuers' prefixes, and the lengths of their card numbers. */
type Range = readonly [from: number, to: number, least: number, most: number]

const RANGES: readonly Range[] = [
  [4, 4, 13, 13], // Visa
  [4, 4, 16, 16],
  [4, 4, 19, 19],
  [51, 55, 16, 16], // Mastercard
  [2221, 2720, 16, 16], // Mastercard
  [34, 34, 15, 15], // American Express
  [37, 37, 15, 15],
  [300, 305, 14, 19], // Diners Club
  [3095, 3095, 14, 19],
  [36, 36, 14, 19],
  [38, 39, 14, 19],
  [3528, 3589, 16, 19], // JCB
  [6011, 6011, 16, 19], // Discover
  [644, 659, 16, 19],
  [62, 62, 16, 19], // UnionPay
  [81, 81, 16, 19], // UnionPay, RuPay
  [60, 60, 16, 16], // RuPay
  [508, 508, 16, 16],
  [2200, 2204, 16, 19], // Mir
  [5018, 5018, 13, 19], // Maestro
  [5020, 5020, 13, 19],
  [5038, 5038, 13, 19],
  [5893, 5893, 13, 19],
  [6304, 6304, 13, 19],
  [6759, 6759, 13, 19],
  [6761, 6763, 13, 19],
  [9792, 9792, 16, 16], // Troy
  [506_099, 506_198, 16, 19], // Verve
]

/** Whether digits are a payment card's number: an issuer's prefix, its length, and the check digit. */
export function isCard(digits: string): boolean {
  const { length } = digits
  // The cheap questions first: a hostile text asks them at every digit. No issuer's prefix begins with 0, 1 or 7.
  if (length < 13 || length > 19 || '017'.includes(digits.charAt(0)) || !isLuhn(digits)) return false
  const isIssued = RANGES.some(([from, to, least, most]) => {
    const prefix = Number(digits.slice(0, String(from).length))
    return prefix >= from && prefix <= to && length >= least && length <= most
  })
  // One digit all along passes the check, and is nobody's card.
  return isIssued && !/^(\d)\1+$/.test(digits)
}

/** Whether digits are a US social security number that may have been given out. */
export function isSsn(digits: string): boolean {
  if (digits.length !== 9) return false
  const area = digits.slice(0, 3)
  if (area === '000' || area === '666' || area.startsWith('9')) return false
  return digits.slice(3, 5) !== '00' && digits.slice(5) !== '0000'
}
