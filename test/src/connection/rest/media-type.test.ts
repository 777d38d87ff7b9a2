/** What an answer says that it is. */
import { describe, expect, test } from 'vitest'
import { forbiddenHeader, headerRules, mediaTypeOf } from '../../../../src/connection/rest/headers.ts'

describe('a content type', () => {
  test.each([
    ['application/json', { type: 'application/json' }],
    ['Application/JSON; Charset="UTF-8"', { type: 'application/json', charset: 'utf-8' }],
    ['text/plain;charset=utf-8;', { type: 'text/plain', charset: 'utf-8' }],
    ['text/plain; charset=utf-8; charset=UTF-8', { type: 'text/plain', charset: 'utf-8' }],
    ['text/plain; x="; charset=utf-8"; charset=utf-16', { type: 'text/plain', charset: 'utf-16' }],
    ['text/plain; charset=utf-8; charset=utf-16', { type: 'text/plain', charset: 'utf-8,utf-16' }],
    ['text/plain; charset="utf-8', { type: 'text/plain', charset: 'utf-8' }],
    ['', { type: '' }],
    [';', { type: '' }],
  ])('%j', (value, expected) => {
    expect(mediaTypeOf(value)).toEqual(expected)
  })
})

describe('a header that no configuration can let pass', () => {
  test.each(['X-Forwarded', 'X-Original-URL', 'X-Remote-User', 'Remote-User', 'X-Envoy-Peer', 'X-Auth-Request-User'])(
    'says who asks, or for what: `%s`',
    (name) => {
      expect(forbiddenHeader(name, 'request')).toEqual(expect.any(String))
      expect(() => headerRules({ request: [name] })).toThrow(/may never be put on the list of a request/)
    },
  )

  test.each(['Content-MD5', 'Digest', 'Content-Digest', 'Repr-Digest'])('tells what a mask hides: `%s`', (name) => {
    expect(forbiddenHeader(name, 'response')).toEqual(expect.any(String))
    expect(() => headerRules({ response: [name] })).toThrow(/may never be put on the list of a response/)
  })
})
