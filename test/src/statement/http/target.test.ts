/** Targets: what is plain is read; what two servers could read in two ways is refused, with the place. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readTarget, TARGET_LIMITS } from '../../../../src/statement/http/target.ts'

test.each([
  ['/', [''], []],
  ['/customers', ['customers'], []],
  ['/customers/42', ['customers', '42'], []],
  ['/files/a%20b%C3%A9', ['files', 'a bé'], []],
  ["/v1/a:b@c!$&'()*+,=~_-.x", ['v1', "a:b@c!$&'()*+,=~_-.x"], []],
  ['/a/b...c', ['a', 'b...c'], []],
  [
    '/c?limit=5&cursor=',
    ['c'],
    [
      ['limit', '5'],
      ['cursor', ''],
    ],
  ],
  [
    '/c?q=a+b%20c%2fd%26&q=2',
    ['c'],
    [
      ['q', 'a b c/d&'],
      ['q', '2'],
    ],
  ],
  ['/c?flag', ['c'], [['flag', '']]],
  ['/c?filter[name]=x|y', ['c'], [['filter[name]', 'x|y']]],
  ['/c?', ['c'], []],
  ['/c?a=b?c/d', ['c'], [['a', 'b?c/d']]],
] as const)('%s', (text, segments, query) => {
  const path = text.split('?', 1)[0]
  expect(readTarget(text)).toEqual({ text, path, segments, query })
})

test.each([
  ['', 'the target does not begin with `/`', 0],
  ['*', 'the target does not begin with `/`', 0],
  ['http://169.254.169.254/latest', 'the target does not begin with `/`', 0],
  ['//evil.example/x', 'the path holds an empty part', 1],
  ['/a//b', 'the path holds an empty part', 3],
  ['/a/', 'the path holds an empty part', 3],
  ['/a/./b', 'the path holds a part `.`', 3],
  ['/a/../b', 'the path holds a part `..`', 3],
  ['/..', 'the path holds a part `..`', 1],
  ['/a/%2e%2e/b', 'the target holds a percent-encoding in small letters', 3],
  ['/a/%2E%2E/b', 'the path encodes a character that needs no encoding', 3],
  ['/a/.%2E/b', 'the path encodes a character that needs no encoding', 4],
  ['/a/%41', 'the path encodes a character that needs no encoding', 3],
  ['/a%2Fb', 'the path holds `%2F`, which servers read in different ways', 2],
  ['/a%2fb', 'the target holds a percent-encoding in small letters', 2],
  ['/a%5Cb', 'the path holds `%5C`, which servers read in different ways', 2],
  ['/a%3Bb', 'the path holds `%3B`, which servers read in different ways', 2],
  ['/a%252Fb', 'the path is encoded twice', 2],
  ['/a;v=1/b', 'the target holds a `;`, which some servers take for the beginning of a parameter', 2],
  ['/a\\b', 'the target holds a `\\`, which some servers take for a `/`', 2],
  ['/a#b', 'the target holds a fragment, which no server is sent', 2],
  ['/a?b#c', 'the target holds a fragment, which no server is sent', 4],
  ['/a b', 'the target holds a blank', 2],
  ['/a\tb', 'the target holds a byte that is no plain ASCII', 2],
  ['/é', 'the target holds a byte that is no plain ASCII', 1],
  ['/a\0', 'the target holds a byte that is no plain ASCII', 2],
  ['/a%00', 'the target holds an encoded control character', 2],
  ['/a?b=%00', 'the target holds an encoded control character', 5],
  ['/a?b=1%0d%0aX:y', 'the target holds an encoded control character', 6],
  ['/a%', 'the target holds a `%` that begins no percent-encoding', 2],
  ['/a%G0', 'the target holds a `%` that begins no percent-encoding', 2],
  ['/a?b=%2', 'the target holds a `%` that begins no percent-encoding', 5],
  ['/%C0%AE%C0%AE', 'the path holds bytes that are no UTF-8', 1],
  ['/a?b=%FF', 'the query holds bytes that are no UTF-8', 3],
  ['/a?b=1;c=2', 'the target holds a `;`, which some servers take for the beginning of a parameter', 6],
  ['/a{b}', 'the target holds a `{`', 2],
  ['/a"b', 'the target holds a `"`', 2],
  [`/${'a'.repeat(TARGET_LIMITS.characters)}`, 'the target is longer than 8192 characters', 0],
  ['/a'.repeat(65), 'the path has more than 64 parts', 0],
] as const)('%s is refused', (text, problem, at) => {
  expect(readTarget(text)).toMatchObject({ problem, at })
})

test('whatever passes means one thing: the URL standard reads the same path, and no part steps up', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          '/',
          'a',
          '.',
          '..',
          '%2E',
          '%2e',
          '%2F',
          '%20',
          '%C3%A9',
          ';',
          '\\',
          '?',
          '#',
          '=',
          '&',
          '%25',
          '%',
          ':',
          '@',
          '+',
        ),
        { maxLength: 12 },
      ),
      (parts) => {
        const text = `/${parts.join('')}`
        const target = readTarget(text)
        if ('problem' in target) return
        const url = new URL(text, 'http://upstream.example')
        expect(url.host).toBe('upstream.example')
        expect(url.pathname).toBe(target.path)
        expect(url.hash).toBe('')
        expect(target.segments.some((segment) => /^\.\.?$|[/\\;]/.test(segment))).toBe(false)
      },
    ),
    { numRuns: 5_000 },
  )
})
