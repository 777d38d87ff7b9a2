/** Which headers may pass, and where the URLs in them lead. */
import { describe, expect, test } from 'vitest'
import {
  forbiddenHeader,
  forwardable,
  headerRules,
  linkFor,
  locationFor,
  returnable,
  type Header,
  type Mount,
} from '../../../../src/connection/rest/headers.ts'

const rules = headerRules()

describe('forwardable', () => {
  test('keeps order and lower-cases names', () => {
    expect(
      forwardable(
        [
          ['If-Match', '"a"'],
          ['ACCEPT', 'a/b'],
          ['accept', 'c/d'],
          ['x', 'y'],
        ],
        rules,
      ),
    ).toEqual([
      ['if-match', '"a"'],
      ['accept', 'a/b'],
      ['accept', 'c/d'],
    ])
  })

  test('leaves out what `Connection` names, however it is written', () => {
    const headers: Header[] = [
      ['Accept-Language', 'de'],
      ['connection', 'keep-alive,\tACCEPT-language '],
      ['Connection', 'if-match'],
      ['If-Match', '"a"'],
    ]
    expect(forwardable(headers, rules)).toEqual([])
  })

  test.each([
    [
      [
        ['content-type', 'a/b'],
        ['Content-Type', 'c/d'],
      ],
      'the header `content-type` is sent twice',
    ],
    [[['accept', 'a\r\nx: y']], 'the header `accept` holds what no header may hold'],
    [[['accept', 'a\0']], 'the header `accept` holds what no header may hold'],
    [[['accept', 'ä']], 'the header `accept` holds what no header may hold'],
    [[['accept', '\u0130']], 'the header `accept` holds what no header may hold'],
  ] as const)('refuses %j', (headers, message) => {
    expect(() => forwardable(headers, rules)).toThrow(expect.objectContaining({ code: 'bad-request', message }))
  })

  test('what is configured passes as well', () => {
    const more = headerRules({ request: ['Prefer', 'x-tenant'] })
    expect(
      forwardable(
        [
          ['prefer', 'a'],
          ['X-Tenant', 'b'],
          ['x_tenant', 'c'],
        ],
        more,
      ),
    ).toEqual([
      ['prefer', 'a'],
      ['x-tenant', 'b'],
    ])
  })
})

describe('what may never be put on a list', () => {
  test.each([
    'Authorization',
    'cookie',
    'Host',
    'connection',
    'TE',
    'Trailer',
    'Expect',
    'Upgrade',
    'Transfer-Encoding',
    'content-length',
    'content-encoding',
    'accept-encoding',
    'proxy-anything',
    'X-Forwarded-Anything',
    'forwarded',
    'via',
    'sluice-exchange',
    'traceparent',
    'x_forwarded_for',
    'x tenant',
    '',
    'x-http-method-override',
    'sec-fetch-site',
  ])('of requests: %s', (name) => {
    expect(forbiddenHeader(name, 'request')).toBeTypeOf('string')
    expect(() => headerRules({ request: [name] })).toThrow(expect.objectContaining({ code: 'internal' }))
  })

  test.each([
    'set-cookie',
    'Server',
    'transfer-encoding',
    'content-length',
    'content-encoding',
    'www-authenticate',
    'proxy-x',
    'sluice-exchange',
    'access-control-allow-origin',
    'cache-control',
    'strict-transport-security',
    'refresh',
    'x_y',
    'content-security-policy',
    'alt-svc',
    'cross-origin-opener-policy',
  ])('of answers: %s', (name) => {
    expect(forbiddenHeader(name, 'response')).toBeTypeOf('string')
    expect(() => headerRules({ response: [name] })).toThrow(expect.objectContaining({ code: 'internal' }))
  })

  test('of those that may, none is refused', () => {
    for (const name of ['prefer', 'range', 'X-Tenant', 'idempotency-key', 'x-api-version']) {
      expect(forbiddenHeader(name, 'request')).toBeUndefined()
      expect(forbiddenHeader(name, 'response')).toBeUndefined()
    }
  })
})

test('an answer’s header that is said twice counts once, and one that cannot be said again is left out', () => {
  const headers: Header[] = [
    ['etag', '"a"'],
    ['etag', '"b"'],
    ['link', '</a>'],
    ['link', '</b>'],
    ['retry-after', '3\u0001'],
    ['connection', 'last-modified'],
    ['last-modified', 'x'],
  ]
  expect(returnable(headers, rules)).toEqual([
    ['etag', '"a"'],
    ['link', '</a>'],
    ['link', '</b>'],
  ])
})

const mount: Mount = {
  base: new URL('https://crm.internal/api'),
  at: '/proxy/crm',
  elsewhere: 'drop',
  secretParameter: 'key',
}

describe('a URL of an answer', () => {
  test.each([
    ['https://crm.internal/api/customers/1', '/proxy/crm/customers/1'],
    ['https://CRM.internal:443/api/customers/1?a=b#c', '/proxy/crm/customers/1?a=b#c'],
    ['/api/customers/1', '/proxy/crm/customers/1'],
    ['//crm.internal/api/x', '/proxy/crm/x'],
    ['43', '/proxy/crm/customers/43'],
    ['?page=2', '/proxy/crm/customers/42?page=2'],
    ['', '/proxy/crm/customers/42?fields=name'],
    ['/api', '/proxy/crm'],
    ['/api//evil.example', '/proxy/crm//evil.example'],
    ['/api/x?key=secret', '/proxy/crm/x'],
    ['/api/x?a=1&k%65y=secret&b=2', '/proxy/crm/x?a=1&b=2'],
    // elsewhere
    ['/login', undefined],
    ['/apiary', undefined],
    ['/api/../login', undefined],
    ['/api/%2e%2e/login', undefined],
    ['http://crm.internal/api/x', undefined],
    ['https://crm.internal:8443/api/x', undefined],
    ['https://crm.internal.evil.example/api/x', undefined],
    ['https://user:password@crm.internal/api/x', undefined],
    ['https://crm.internal@evil.example/api/x', undefined],
    ['//evil.example/api/x', undefined],
    ['\\\\evil.example/api/x', undefined],
    ['javascript:alert(1)', undefined],
    ['data:text/html,x', undefined],
    ['https://[', undefined],
  ])('%s → %s', (value, expected) => {
    expect(locationFor(value, '/customers/42?fields=name', mount)).toBe(expected)
  })

  test('that leads elsewhere passes where that is said, whole and without the credential', () => {
    const passing: Mount = { ...mount, elsewhere: 'pass' }
    expect(locationFor('/login?next=%2F&key=secret', '/x', passing)).toBe('https://crm.internal/login?next=%2F')
    expect(locationFor('http://files.example/a#b', '/x', passing)).toBe('http://files.example/a#b')
    expect(locationFor('javascript:alert(1)', '/x', passing)).toBeUndefined()
    expect(locationFor('https://a:b@files.example/', '/x', passing)).toBeUndefined()
  })

  test('under a base URL without a path', () => {
    const root: Mount = { ...mount, base: new URL('http://crm.internal:8080') }
    expect(locationFor('/login', '/x', root)).toBe('/proxy/crm/login')
    expect(locationFor('http://crm.internal:8080//evil.example', '/x', root)).toBe('/proxy/crm//evil.example')
  })
})

describe('a `Link` header', () => {
  test.each([
    ['</api/c?page=2>; rel="next"', '</proxy/crm/c?page=2>; rel="next"'],
    ['<?page=2>;rel=next , <https://elsewhere.example/>; rel="last"', '</proxy/crm/c?page=2>;rel=next'],
    ['</api/a>; rel="a, b"; title="x", </api/b>', '</proxy/crm/a>; rel="a, b"; title="x", </proxy/crm/b>'],
    ['<https://elsewhere.example/>; rel="last"', undefined],
    ['</api/a>; anchor="https://crm.internal/login"', undefined],
    ['</api/a> rel=next, <b', undefined],
    ['no link', undefined],
    ['', undefined],
  ])('%s → %s', (value, expected) => {
    expect(linkFor(value, '/c?page=1', mount)).toBe(expected)
  })

  test('that is made to be slow is read in no time', () => {
    expect(linkFor(`<a>${'; a'.repeat(8_000)} "`, '/c', mount)).toBeUndefined()
    expect(linkFor(`<a>${' \t'.repeat(12_000)}x`, '/c', mount)).toBeUndefined()
  })
})
