import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isCard, isLuhn, isSsn } from '../../../plugins/mask-patterns/digits.ts'
import { find, KINDS } from '../../../plugins/mask-patterns/find.ts'
import { CORPUS } from './corpus.ts'

const shown = (text: string) => find(text, KINDS).map(({ kind, start, end }) => `${kind}:${text.slice(start, end)}`)

describe('what is found', () => {
  it.each(CORPUS.map((sample) => [sample.text, sample] as const))('in %j', (text, { found }) => {
    expect(shown(text)).toEqual(found.map(({ kind, start, end }) => `${kind}:${text.slice(start, end)}`))
  })

  it('any card number with a right check digit, with single separators where they may be, in any surroundings', () => {
    const surroundings = fc.stringMatching(/^[a-z ,:;()"]{0,12}$/)
    fc.assert(
      fc.property(
        fc.constantFrom('4', '51', '55', '2221', '2720', '6011', '65'),
        fc.stringMatching(/^\d{15}$/),
        fc.constantFrom('', ' ', '-', '.', '\u00a0'),
        surroundings,
        surroundings,
        (prefix, filler, separator, before, after) => {
          const body = (prefix + filler).slice(0, 15)
          const check = Array.from('0123456789').find((it) => isLuhn(body + it)) ?? ''
          const written = (body + check).replaceAll(/\d{4}(?=\d)/g, `$&${separator}`)
          if (!isCard(body + check)) return
          expect(find(before + written + after, ['card'])).toEqual([
            { kind: 'card', start: before.length, end: before.length + written.length },
          ])
        },
      ),
    )
  })

  it('only kinds that are asked for', () => {
    expect(find('4111111111111111 a@example.com', ['email'])).toEqual([{ kind: 'email', start: 17, end: 30 }])
  })

  it('two that overlap are one, of the longer’s kind', () => {
    expect(shown('4111111111111111@example.com')).toEqual(['email:4111111111111111@example.com'])
  })

  it('no number that nobody has', () => {
    expect(['0'.repeat(16), '4111111111111112', '1234567890123452', '4'.repeat(16)].filter(isCard)).toEqual([])
    expect(['000121234', '666121234', '900121234', '123001234', '123120000'].filter(isSsn)).toEqual([])
  })
})

describe('hostile texts', () => {
  const PIECES = [
    '@',
    'a@',
    '@a.',
    '.',
    '-',
    ' ',
    '+',
    '+1',
    '(',
    '0',
    '01 ',
    '4111 ',
    '41',
    'eyJ',
    'eyJ.',
    'AKIA',
    'AIza',
    'xoxb-',
    'SG.',
    'SG.aaaaaaaaaaaaaaaa.',
    '-----BEGIN ',
    '-----BEGIN PRIVATE KEY-----',
    'DE89',
    'GB29 ',
    'ssn ',
    'social ',
    '１',
    'sk_live_',
    'ghp_',
    'a'.repeat(300),
    '1'.repeat(300),
    '123-45-',
    '(415) ',
    'é',
    '\u{1f600}',
  ]
  const repeated = (pieces: readonly string[], length: number) =>
    pieces
      .join('')
      .repeat(Math.ceil(length / pieces.join('').length))
      .slice(0, length)
  /** The best of three, in milliseconds. */
  const cost = (text: string): number =>
    Math.min(
      ...[1, 2, 3].map(() => {
        const start = performance.now()
        find(text, KINDS)
        return performance.now() - start
      }),
    )

  it('cost in proportion to their length, whatever they repeat', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 4 }), (pieces) => {
        // Quadratic would be minutes here.
        expect(cost(repeated(pieces, 200_000))).toBeLessThan(5_000)
      }),
      { numRuns: 40, examples: PIECES.map((piece) => [[piece]]) },
    )
  }, 60_000)
})
