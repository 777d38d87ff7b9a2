/** Finds well-known kinds of values by their content. Each scan is linear in the text, whatever stands in it. */
import { digitAt, digitsFrom, isCard, isSsn, type Digits } from './digits.ts'
import { ibans } from './iban.ts'

export const KINDS = ['card', 'ssn', 'email', 'iban', 'phone', 'jwt', 'key'] as const
export type Kind = (typeof KINDS)[number]

/** Where a value stands: `text.slice(start, end)`. */
export interface Found {
  readonly kind: Kind
  readonly start: number
  readonly end: number
}

/** What a text has, counted in one pass. */
interface Has {
  readonly digits: number
  readonly at: boolean
}

/** Whether a text may hold such a value at all: most texts hold none, and are asked no more than this. */
const POSSIBLE: Readonly<Record<Kind, (has: Has, text: string) => boolean>> = {
  card: ({ digits }) => digits >= 13,
  ssn: ({ digits }) => digits >= 9,
  email: ({ at }) => at,
  // Norway's are the shortest, and nobody's have fewer digits than the check digits.
  iban: ({ digits }, { length }) => digits >= 2 && length >= 15,
  phone: ({ digits }) => digits >= 8,
  jwt: (_, text) => text.includes('eyJ'),
  key: (_, text) => text.length >= 18 && KEY_BEGINNING.test(text),
}

function has(text: string): Has {
  let [digits, at] = [0, false]
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x40) at = true
    // Whatever is beyond ASCII may be a digit.
    else if ((code >= 0x30 && code <= 0x39) || code >= 0x660) digits++
  }
  return { digits, at }
}

const FINDERS: Readonly<Record<Kind, (text: string) => readonly Stretch[]>> = {
  card: (text) => blocks(text).flatMap((block) => cards(text, block)),
  ssn: (text) => blocks(text).flatMap((block) => ssns(text, block)),
  email: emails,
  iban: ibans,
  phone: phones,
  jwt: jwts,
  key: keys,
}

type Stretch = readonly [start: number, end: number]

/** In the order of the text, none within another: where two overlap, they are one, of the longer's kind. */
export function find(text: string, kinds: readonly Kind[]): readonly Found[] {
  const content = has(text)
  const all: Found[] = []
  for (const kind of kinds) {
    if (!POSSIBLE[kind](content, text)) continue
    for (const [start, end] of FINDERS[kind](text)) all.push({ kind, start, end })
  }
  if (all.length < 2) return all
  all.sort((a, b) => a.start - b.start || b.end - a.end)
  const merged: Found[] = []
  for (const found of all) {
    const last = merged.at(-1)
    if (last === undefined || found.start >= last.end) merged.push(found)
    else {
      const { kind } = found.end - found.start > last.end - last.start ? found : last
      merged[merged.length - 1] = { kind, start: last.start, end: Math.max(last.end, found.end) }
    }
  }
  return merged
}

// ── digits ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Every stretch of digits with single separators, once. */
function blocks(text: string): readonly Digits[] {
  const all: Digits[] = []
  for (let i = 0; i < text.length; i++) {
    if (digitAt(text, i) < 0) continue
    const block = digitsFrom(text, i)
    if (block.digits.length >= 9) all.push(block)
    i = block.at.at(-1) ?? i
  }
  return all
}

const CARD_MOST = 19
const CARD_LEAST = 13

/** From where a run begins to where one ends, the longest first. */
function cards(text: string, { digits, at, runs }: Digits): readonly Stretch[] {
  const found: Stretch[] = []
  const ends = new Set([...runs, digits.length])
  let free = 0
  for (const from of runs) {
    if (from < free) continue
    for (let to = Math.min(from + CARD_MOST, digits.length); to >= from + CARD_LEAST; to--) {
      if (!ends.has(to) || !isCard(digits.slice(from, to))) continue
      const [start, end] = stretch(at, from, to)
      // The digits behind a decimal point are a number's.
      if (end - start === to - from && text[start - 1] === '.' && digitAt(text, start - 2) >= 0) continue
      found.push([start, end])
      free = to
      break
    }
  }
  return found
}

/** Words that say what nine bare digits behind them are. */
const SSN_WORD = /(?:ssn|social\s{1,3}security)[^\d]{0,16}$/i

function ssns(text: string, { digits, at, runs }: Digits): readonly Stretch[] {
  return runs.flatMap((from, i): readonly Stretch[] => {
    const [second, third, end] = [1, 2, 3].map((n) => runs[i + n] ?? (i + n === runs.length ? digits.length : -1))
    const isWritten = second === from + 3 && third === from + 5 && end === from + 9
    const isBare = (runs[i + 1] ?? digits.length) === from + 9
    if ((!isWritten && !isBare) || !isSsn(digits.slice(from, from + 9))) return []
    const whole = stretch(at, from, from + 9)
    return isWritten || SSN_WORD.test(text.slice(Math.max(0, whole[0] - 40), whole[0])) ? [whole] : []
  })
}

function stretch(at: readonly number[], from: number, to: number): Stretch {
  return [at[from] ?? 0, (at[to - 1] ?? 0) + 1]
}

// ── e-mail ───────────────────────────────────────────────────────────────────────────────────────────────────────

const LOCAL = /[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]/u
const DOMAIN = /[\p{L}\p{N}.-]/u
const LOCAL_MOST = 64
const DOMAIN_MOST = 253
const TOP = /\.(?:[\p{L}]{2,63}|xn--[a-z0-9-]{1,59})$/iu

function emails(text: string): readonly Stretch[] {
  const found: Stretch[] = []
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    let start = at
    while (start > 0 && at - start < LOCAL_MOST && LOCAL.test(text[start - 1] ?? '')) start--
    let end = at + 1
    while (end < text.length && end - at <= DOMAIN_MOST && DOMAIN.test(text[end] ?? '')) end++
    // A full stop or dash at the end is the sentence's.
    while (end > at + 1 && /[.-]/.test(text[end - 1] ?? '')) end--
    if (start < at && TOP.test(text.slice(at + 1, end))) found.push([start, end])
  }
  return found
}

// ── phone ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Each takes a bounded stretch and has one way to read it. */
const INTERNATIONAL = /\+[1-9](?:[ .\-()/\u00a0]{0,2}\d){7,14}(?!\d)/y
const DIALLED = /00[1-9](?:[ .\-/\u00a0]?\d){8,13}(?!\d)/y
const AMERICAN = /(?:1[ .-])?(?:\([2-9]\d{2}\)[ -]?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\d.-]*\d)/y
const NATIONAL = /\(?0[1-9](?:[ .\-/()\u00a0]{0,2}\d){8,9}(?![ .-]?\d)/y
const DAY = /^\d{2}[./-]\d{2}[./-]\d{2}/

function phones(text: string): readonly Stretch[] {
  const found: Stretch[] = []
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    const isDigit = char >= 0x30 && char <= 0x39
    if (!isDigit && char !== 0x2b && char !== 0x28) continue
    const before = text[i - 1] ?? ' '
    const length = /[\p{L}\p{N}+]/u.test(before) ? 0 : phoneAt(text, i)
    if (length > 0) found.push([i, i + length])
    if (length > 0) i += length - 1
    // The rest of a run of digits begins no number.
    else if (isDigit) while (/\d/.test(text[i + 1] ?? '')) i++
  }
  return found
}

function phoneAt(text: string, at: number): number {
  const international = matched(INTERNATIONAL, text, at)
  if (international !== '') return international.length
  const before = text.slice(Math.max(0, at - 2), at)
  if (/\d[.-]$/.test(before)) return 0
  const american = matched(AMERICAN, text, at)
  if (american !== '') return american.length
  // A nought within a longer number begins none of its own.
  if (/\d[ /]$/.test(before)) return 0
  for (const pattern of [DIALLED, NATIONAL]) {
    const written = matched(pattern, text, at)
    if (/\D/.test(written) && !DAY.test(written)) return written.length
  }
  return 0
}

function matched(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}

// ── tokens and keys ──────────────────────────────────────────────────────────────────────────────────────────────

/** A JOSE header in base64url, which begins with `{"`; then two parts of a signed token, or four of an encrypted one. */
function jwts(text: string): readonly Stretch[] {
  const found: Stretch[] = []
  for (let at = text.indexOf('eyJ'); at >= 0;) {
    let end = at
    let dots = 0
    while (end < text.length && (isBase64url(text.charCodeAt(end)) || (text[end] === '.' && dots < 4))) {
      if (text[end] === '.') dots++
      end++
    }
    const parts = text.slice(at, end).split('.')
    const isToken = dots >= 2 && (parts[0] ?? '').length >= 10 && (dots === 4 || (parts[1] ?? '').length >= 2)
    if (isToken) found.push([at, text[end - 1] === '.' && dots > 2 ? end - 1 : end])
    at = text.indexOf('eyJ', end)
  }
  return found
}

function isBase64url(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x61 && code <= 0x7a) ||
    code === 0x2d ||
    code === 0x5f
  )
}

/** Keys that tell by their beginning what they open. */
const KEYS = new RegExp(
  `(?<![A-Za-z0-9])(?:${[
    '(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])', // AWS
    String.raw`AIza[\w-]{35}`, // Google
    'gh[pousr]_[A-Za-z0-9]{36,255}', // GitHub
    String.raw`github_pat_\w{22,255}`,
    String.raw`glpat-[\w-]{20,64}`, // GitLab
    'xox[abeoprs]-[A-Za-z0-9-]{10,255}', // Slack
    'xapp-[0-9]-[A-Za-z0-9-]{10,255}',
    '[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}', // Stripe
    'whsec_[A-Za-z0-9+/]{24,64}',
    String.raw`sk-(?:ant|proj)-[\w-]{20,255}`, // Anthropic, OpenAI
    String.raw`SG\.[\w-]{16,64}\.[\w-]{16,64}`, // SendGrid
    'npm_[A-Za-z0-9]{36}',
  ].join('|')})`,
  'g',
)
/** One of them is in each. */
const KEY_BEGINNING =
  /A[KS]IA|AIza|gh[pousr]_|github_pat_|glpat-|xox|xapp-|k_live_|k_test_|whsec_|sk-|SG\.|npm_|-----BEGIN/
const PRIVATE_KEY = /-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/g
const PRIVATE_KEY_END = '-----END '

function keys(text: string): readonly Stretch[] {
  const found = [...text.matchAll(KEYS)].map((match): Stretch => [match.index, match.index + match[0].length])
  let free = 0
  for (const { index } of text.matchAll(PRIVATE_KEY)) {
    if (index < free) continue
    // One that does not end goes on to the end of the text.
    const last = text.indexOf(PRIVATE_KEY_END, index)
    const dashes = last < 0 ? -1 : text.indexOf('-----', last + PRIVATE_KEY_END.length)
    free = dashes < 0 ? text.length : dashes + 5
    found.push([index, free])
  }
  return found
}
