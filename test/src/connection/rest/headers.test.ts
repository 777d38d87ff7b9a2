/** Which headers pass, and what becomes of URLs in them. */
import { describe, expect, test } from 'vitest'
import {
  forbiddenHeader,
  forwardable,
  headerRules,
  linkFor,
  locationFor,
  mediaTypeOf,
  returnable,
  type Header,
  type Mount,
} from '../../../../src/connection/rest/headers.ts'

const rules = headerRules()

describe('a request', () => {
  test('keeps what an agent may say, in order, with small letters', () => {
    const asked: Header[] = [
      ['Accept', 'application/json'],
      ['X-Unknown', 'no'],
      ['Content-Type', 'application/json; charset=utf-8'],
      ['Accept', 'text/plain'],
      ['If-Match', '"a"'],
    ]
    expect(forwardable(asked, rules)).toEqual([
      ['accept', 'application/json'],
      ['content-type', 'application/json; charset=utf-8'],
      ['accept', 'text/plain'],
      ['if-match', '"a"'],
    ])
  })

  test.each([
    'Connection',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Content-Length',
    'Content-Encoding',
    'Accept-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    'Expect',
    'Host',
    'Via',
    'Authorization',
    'Proxy-Authorization',
    'Proxy-Connection',
    'Cookie',
    'Forwarded',
    'X-Forwarded',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Real-IP',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-HTTP-Method-Override',
    'X-Remote-User',
    'Remote-User',
    'X-Request-Id',
    'Traceparent',
    'Tracestate',
    'User-Agent',
    'Sluice-Purpose',
    'Sec-Fetch-Site',
    'x_forwarded_for',
    'content_type',
    'accept_',
    'Range ',
    ':authority',
    'x y',
    '',
  ])('`%s` does not pass, and no configuration lets it', (name) => {
    expect(forwardable([[name, 'x']], rules)).toEqual([])
    expect(forbiddenHeader(name, 'request')).toEqual(expect.any(String))
    expect(() => headerRules({ request: [name] })).toThrow(/may never be put on the list of a request/)
  })

  test('what `Connection` names is left out, even where it is on the list', () => {
    const asked: Header[] = [
      ['connection', 'close, Content-Type'],
      ['CONNECTION', ' if-match '],
      ['content-type', 'text/plain'],
      ['if-match', '"a"'],
      ['accept', '*/*'],
    ]
    expect(forwardable(asked, rules)).toEqual([['accept', '*/*']])
  })

  test('a header of which there can be one is refused when there are two', () => {
    const twice: Header[] = [
      ['content-type', 'application/json'],
      ['Content-Type', 'text/plain'],
    ]
    expect(() => forwardable(twice, rules)).toThrow('the header `content-type` is sent twice')
  })

  test.each(['a\r\nx: y', 'a\nb', 'a\0b', 'café', '日本', 'a\u007f', 'a\u0085b'])('no header holds %j', (value) => {
    expect(() => forwardable([['accept', value]], rules)).toThrow('the header `accept` holds what no header may hold')
    expect(forwardable([['x-other', value]], rules)).toEqual([])
  })

  test('a configuration adds to the list', () => {
    const more = headerRules({ request: ['Prefer'], response: ['X-Total-Count'] })
    expect(forwardable([['prefer', 'return=minimal']], more)).toEqual([['prefer', 'return=minimal']])
    expect(returnable([['x-total-count', '7']], more)).toEqual([['x-total-count', '7']])
    expect(returnable([['prefer', 'x']], more)).toEqual([])
  })
})

describe('an answer', () => {
  test.each([
    'set-cookie',
    'server',
    'x-powered-by',
    'www-authenticate',
    'proxy-authenticate',
    'connection',
    'transfer-encoding',
    'content-length',
    'content-encoding',
    'trailer',
    'cache-control',
    'vary',
    'strict-transport-security',
    'content-security-policy',
    'access-control-allow-origin',
    'clear-site-data',
    'refresh',
    'content-location',
    'content-digest',
    'content-md5',
    'sluice-exchange',
    'x_total',
  ])('`%s` does not pass, and no configuration lets it', (name) => {
    expect(returnable([[name, 'x']], rules)).toEqual([])
    expect(() => headerRules({ response: [name] })).toThrow(/may never be put on the list of an? (response|answer)/)
  })

  test('keeps what is on the list, the first of two, and nothing that breaks a header', () => {
    const came: Header[] = [
      ['etag', '"1"'],
      ['etag', '"2"'],
      ['connection', 'retry-after'],
      ['retry-after', '5'],
      ['last-modified', 'a\u0000b'],
      ['allow', 'GET'],
      ['allow', 'PUT'],
    ]
    expect(returnable(came, rules)).toEqual([
      ['etag', '"1"'],
      ['allow', 'GET'],
      ['allow', 'PUT'],
    ])
  })

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
  ])('%j is of this type', (value, expected) => {
    expect(mediaTypeOf(value)).toEqual(expected)
  })
})

describe('a URL of an answer', () => {
  const mount: Mount = { base: new URL('https://crm.internal/api/v2'), at: '/proxy/crm', elsewhere: 'drop' }
  const keyed: Mount = { ...mount, secretParameter: 'api_key' }

  test.each([
    ['https://crm.internal/api/v2/customers/7', '/proxy/crm/customers/7'],
    ['https://crm.internal:443/api/v2/customers/7', '/proxy/crm/customers/7'],
    ['/api/v2/customers/7?a=b#c', '/proxy/crm/customers/7?a=b#c'],
    ['7', '/proxy/crm/customers/7'],
    ['../orders', '/proxy/crm/orders'],
    ['?page=2', '/proxy/crm/customers/?page=2'],
    ['https://crm.internal/api/v2', '/proxy/crm'],
    ['https://crm.internal/api/v2x/customers', undefined],
    ['https://crm.internal/admin', undefined],
    ['../../../admin', undefined],
    ['/api/v2/../admin', undefined],
    ['//evil.example/api/v2/x', undefined],
    ['\\\\evil.example/api/v2/x', undefined],
    ['https://evil.example/api/v2/x', undefined],
    ['http://crm.internal/api/v2/x', undefined],
    ['https://crm.internal:8443/api/v2/x', undefined],
    ['https://user:pass@crm.internal/api/v2/x', undefined],
    ['javascript:alert(1)', undefined],
    ['https://', undefined],
  ])('%s leads to %s', (value, expected) => {
    expect(locationFor(value, '/customers/', mount)).toBe(expected)
  })

  test('elsewhere passes where the configuration says so, but no password and no script', () => {
    const open: Mount = { ...mount, elsewhere: 'pass' }
    expect(locationFor('https://cdn.example/x?y#z', '/', open)).toBe('https://cdn.example/x?y#z')
    expect(locationFor('//cdn.example/x', '/', open)).toBe('https://cdn.example/x')
    expect(locationFor('https://user:pass@cdn.example/x', '/', open)).toBeUndefined()
    expect(locationFor('data:text/html,x', '/', open)).toBeUndefined()
  })

  test.each([
    ['/api/v2/x?api_key=secret&page=2', '/proxy/crm/x?page=2'],
    ['/api/v2/x?page=2&api%5Fkey=secret', '/proxy/crm/x?page=2'],
    ['/api/v2/x?api_key=secret', '/proxy/crm/x'],
    ['/api/v2/x?api_key=a&api_key=b&q=%20', '/proxy/crm/x?q=%20'],
  ])('the key of the gateway is taken out of %s', (value, expected) => {
    expect(locationFor(value, '/', keyed)).toBe(expected)
  })

  test('links are made anew one by one; those that lead elsewhere or are not understood are left out', () => {
    const next = '<https://crm.internal/api/v2/customers?page=2&api_key=s>; rel="next"'
    expect(linkFor(`${next}, <https://evil.example/>; rel=prev`, '/', keyed)).toBe(
      '</proxy/crm/customers?page=2>; rel="next"',
    )
    expect(linkFor('<https://evil.example/>; rel=prev', '/', keyed)).toBeUndefined()
    expect(linkFor('https://crm.internal/api/v2/x; rel=next', '/', keyed)).toBeUndefined()
    expect(linkFor(`${next}; title="a, <https://evil.example/>"`, '/', keyed)).toBe(
      '</proxy/crm/customers?page=2>; rel="next"; title="a, <https://evil.example/>"',
    )
    expect(linkFor('</api/v2/x>; rel=next; anchor="https://secret.internal/"', '/', keyed)).toBeUndefined()
  })
})
