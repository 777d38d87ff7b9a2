/** The plugin as the gateway holds it: terms in, bodies through. */
import { createHmac } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { maskJson } from '../../../plugins/mask-json/index.ts'
import type { HttpStatement, Permitted } from '../../../src/exchange.ts'
import type { BodyHead, Fulfilment, Transform } from '../../../src/plugin.ts'
import type { Runtime } from '../../../src/runtime.ts'

const KEY = 'a key of at least sixteen bytes'
const runtime = { secrets: { read: () => Promise.resolve(KEY) } } as unknown as Runtime
const hashed = (text: string): string => createHmac('sha256', KEY).update(text).digest('hex')
const exchange = {} as Permitted

const statement: HttpStatement = {
  language: 'http',
  kind: 'GET',
  text: 'GET /customers/42',
  uses: [{ action: 'read', resource: 'getCustomer' }],
  operation: 'getCustomer',
  template: '/customers/{id}',
  target: '/customers/42',
  path: { id: '42' },
  query: [],
  headers: [],
  bounds: { maxRows: 1, timeoutMs: 1, maxBytesBilled: 1 },
  masks: [],
}

let fulfilment: Fulfilment
beforeAll(async () => {
  fulfilment = await load({ keys: { default: 'env:KEY' } })
})

async function load(options?: unknown): Promise<Fulfilment> {
  const hooks = await maskJson.create(maskJson.options.parse(options), runtime)
  const found = hooks.fulfil?.['mask-json']
  if (found === undefined) throw new Error('no fulfilment')
  return found
}

function transformOf(terms: readonly unknown[], head: Partial<BodyHead>, way: 'answer' | 'request' = 'answer') {
  return fulfilment[way]?.(
    { ...(way === 'answer' && { status: 200 }), contentType: 'application/json', ...head },
    { name: 'mask-json', terms: terms.map((term) => fulfilment.terms.parse(term)) },
    exchange,
  )
}

function through(transform: unknown, text: string | Uint8Array, size = 1 << 20): string {
  if (transform === undefined || typeof transform !== 'object' || transform === null || !('push' in transform)) {
    throw new Error(`no transform: ${JSON.stringify(transform)}`)
  }
  const { bytes, it } = { bytes: Buffer.from(text), it: transform as Transform }
  const out: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size)
    out.push(it.push(Uint8Array.from(bytes.subarray(at, at + size))).slice())
  return Buffer.concat([...out, it.end()]).toString()
}

/** `text` under `response`, whole and in the smallest pieces: both must be the same. */
function masked(response: Readonly<Record<string, unknown>>, text: string, contentType = 'application/json'): string {
  const whole = through(transformOf([{ response }], { contentType }), text)
  expect(through(transformOf([{ response }], { contentType }), text, 1)).toBe(whole)
  return whole
}

describe('strategies on JSON values', () => {
  const values = '{"v":["Ann Arbor",12.50,true,null,{"a":1},["deep"]]}'
  it.each([
    ['redact', '{"v":"[redacted]"}'],
    ['null', '{"v":null}'],
    [
      'hash',
      `{"v":["${hashed('Ann Arbor')}","${hashed('12.50')}","${hashed('true')}",null,"[redacted]",["${hashed('deep')}"]]}`,
    ],
    ['partial', '{"v":["******bor","****0","[redacted]",null,"[redacted]",["***p"]]}'],
    [{ strategy: 'truncate', step: 10 }, '{"v":["[redacted]",10,"[redacted]",null,"[redacted]",["[redacted]"]]}'],
    ['year', '{"v":["[redacted]","[redacted]","[redacted]",null,"[redacted]",["[redacted]"]]}'],
  ])('%o', (strategy, expected) => {
    expect(masked({ '$.v': strategy }, values)).toBe(expected)
  })

  it.each([
    ['2024-05-06', 'year', '2024-01-01'],
    ['2024-05-06', { strategy: 'truncate', to: 'MONTH' }, '2024-05-01'],
    ['2024-05-06T10:11:12.345', 'year', '2024-01-01T00:00:00'],
    ['2024-12-31T23:30:00-05:00', 'year', '2025-01-01T00:00:00Z'],
    ['2024-05-06 10:11Z', { strategy: 'truncate', to: 'MONTH' }, '2024-05-01T00:00:00Z'],
    ['6 May 2024', 'year', '[redacted]'],
    ['2024-13-01', 'year', '[redacted]'],
    ['2024-05-06; Ann', 'year', '[redacted]'],
  ])('the date %s under %o', (date, strategy, expected) => {
    expect(masked({ '$.d': strategy }, JSON.stringify({ d: date }))).toBe(JSON.stringify({ d: expected }))
  })

  it.each([
    ['12345678901234567890123', 1000, '12345678901234567890000'],
    ['-129.99', 10, '-120'],
    ['-0.5', 10, '0'],
    ['1e9', 10, '"[redacted]"'],
  ])('the number %s by steps of %d', (number, step, expected) => {
    expect(masked({ '$.n': { strategy: 'truncate', step } }, `{"n":${number}}`)).toBe(`{"n":${expected}}`)
  })

  it('partial counts characters, and keeps both ends only as far as a third reaches', () => {
    const strategy = { strategy: 'partial', keepFirst: 2, keepLast: 1 }
    expect(masked({ '$.n': strategy }, '{"n":"\\ud83d\\ude00éabcdefg"}')).toBe('{"n":"😀é******g"}')
  })
})

describe('several rules', () => {
  it('are all satisfied: the strongest wins at each value, by whatever path', () => {
    const terms = [
      { response: { '$.email': 'partial', '$.a[*].b': 'hash' } },
      { response: { '$.email': 'hash', '$..b': 'null' } },
    ]
    const text = '{"email":"a@b.c","a":[{"b":"x"}]}'
    const expected = `{"email":"${hashed('a@b.c')}","a":[{"b":null}]}`
    expect(through(transformOf(terms, {}), text)).toBe(expected)
    expect(through(transformOf(terms.toReversed(), {}), text)).toBe(expected)
  })

  it('let pass only what each of them lets pass', () => {
    const one = { response: { $: 'redact' }, passTypes: ['image/png', 'text/html'] }
    const two = { response: { $: 'redact' }, passTypes: ['image/png'] }
    expect(transformOf([one, two], { contentType: 'image/png' })).toBe(undefined)
    expect(transformOf([one, two], { contentType: 'text/html' })).toMatchObject({
      unfulfilled: { code: 'mask-content-type' },
    })
    expect(transformOf([one, { request: { $: 'redact' } }], { contentType: 'text/html' })).toBe(undefined)
  })
})

describe('types of bodies', () => {
  const response = { '$.email': 'redact' }

  it.each(['application/json', 'text/json', 'application/problem+json', 'application/vnd.api+json'])(
    '%s is one document',
    (type) => {
      expect(masked(response, '{"email":"a"}', type)).toBe('{"email":"[redacted]"}')
      expect(() => masked(response, '{"email":"a"}{"email":"b"}', type)).toThrow('more than one document')
    },
  )

  it.each(['application/x-ndjson', 'application/jsonl', 'application/json-seq'])('%s is many documents', (type) => {
    const rs = type === 'application/json-seq' ? '\u001e' : ''
    expect(masked(response, `${rs}{"email":"a"}\n${rs}{"x":1}\n`, type)).toBe(
      `${rs}{"email":"[redacted]"}\n${rs}{"x":1}\n`,
    )
  })

  it('a record separator has no place in any other', () => {
    expect(() => masked(response, '\u001e{}')).toThrow('something else than a value')
  })

  it('events: each one’s data, however its lines are told apart', () => {
    const asked =
      '\ufeff: hello a@b.c\r\nevent: change\r\nid: 7\r\nretry: 1000\r\ncolour: a@b.c\r\ndata: {"email":\r\ndata:  "a@b.c"}\r\n\r\n' +
      'data:{"x":1}\n\ndata\n\rdata: [DONE]\r\r'
    expect(masked(response, asked, 'text/event-stream')).toBe(
      ':\nevent: change\nid: 7\nretry: 1000\ndata: {"email":\ndata:  "[redacted]"}\n\ndata: {"x":1}\n\ndata: \n\ndata: [DONE]\n\n',
    )
  })

  it('events: what is no JSON, or too large, is cut', () => {
    expect(() => masked(response, 'data: a@b.c\n\n', 'text/event-stream')).toThrow('something else than a value')
    expect(() => masked(response, 'data: {"email":"a@b.c"\n\n', 'text/event-stream')).toThrow('before the end')
    expect(() =>
      through(transformOf([{ response }], { contentType: 'text/event-stream' }), 'x'.repeat(2 << 20), 65_536),
    ).toThrow('an event of more than 1048576 bytes')
  })

  it('events: one that the stream breaks off in is masked too', () => {
    expect(masked(response, 'data: {"email":"a@b.c"}', 'text/event-stream')).toBe('data: {"email":"[redacted]"}\n')
  })

  it.each([
    ['email=a%40b.c&name=Ann+B', 'email=%5Bredacted%5D&name=Ann+B'],
    ['e%6Dail=a', 'email=%5Bredacted%5D'],
    ['email', 'email=%5Bredacted%5D'],
    ['', ''],
    ['&&a=1&', '&&a=1&'],
  ])('the form %s', (text, expected) => {
    expect(masked(response, text, 'application/x-www-form-urlencoded')).toBe(expected)
  })

  it.each([
    ['$.card.number', 'card[number]=1&card.number=2&card=3', 'card[number]', 'card.number'],
    ['$.card', 'card[number]=1&card.number=2&card=3', 'card', 'card[number]', 'card.number'],
    ['$.tags[*]', 'tags=1&tags[]=2&tags[0]=3&tag=4', 'tags', 'tags[]', 'tags[0]'],
    ['$.tags[1]', 'tags=1&tags=2&tags[1]=3', 'tags', 'tags[1]'],
    ['$..email', 'user[0][email]=1&email=2&to.email=3', 'user[0][email]', 'email', 'to.email'],
    ['$.a[*].b', 'a[0].b=1&a[][b]=2', 'a[0].b', 'a[][b]'],
  ])('a form’s names as frameworks nest them: %s', (path, text, ...names) => {
    const out = new URLSearchParams(masked({ [path]: 'redact' }, text, 'application/x-www-form-urlencoded'))
    const hidden = [...out].filter(([, value]) => value === '[redacted]').map(([key]) => key)
    expect(new Set(hidden)).toEqual(new Set(names))
  })

  it.each(['a=%', 'a=%zz', 'a=%ff', 'a=1;email=b'])('the form %s could be read in two ways', (text) => {
    expect(() => masked(response, text, 'application/x-www-form-urlencoded')).toThrow('a form with')
  })

  it.each(['text/html', 'application/xml', 'multipart/form-data', 'text/plain', 'application/octet-stream', 'json'])(
    '%s is refused before a byte of it goes out',
    (contentType) => {
      expect(transformOf([{ response }], { contentType })).toEqual({
        unfulfilled: {
          code: 'mask-content-type',
          because: `a body of type \`${contentType}\` cannot be masked`,
          fix: `ask for JSON, or have the policy owner list \`${contentType}\` under \`passTypes\` if it holds nothing to mask`,
        },
      })
    },
  )

  it('a body of no type has to be empty', () => {
    expect(masked(response, '', '')).toBe('')
    expect(() => masked(response, '{}', '')).toThrow('a body of no content type')
    expect(transformOf([{ request: response }], { contentType: '' }, 'request')).toMatchObject({
      unfulfilled: { code: 'mask-content-type' },
    })
  })

  it('another charset than UTF-8 is refused', () => {
    expect(transformOf([{ response }], { charset: 'utf-16' })).toEqual({
      unfulfilled: {
        code: 'mask-charset',
        because: 'a body in charset `utf-16` cannot be masked',
        fix: 'have it sent in UTF-8',
      },
    })
    expect(transformOf([{ response }], { charset: 'utf-8' })).toHaveProperty('push')
  })

  it('an empty body passes, and half a document is cut', () => {
    expect(masked(response, '')).toBe('')
    expect(() => masked(response, '{"email":"a@b.c"')).toThrow('before the end of the document')
  })

  it('errors are masked like answers', () => {
    expect(through(transformOf([{ response }], { status: 500 }), '{"email":"a"}')).toBe('{"email":"[redacted]"}')
  })
})

describe('requests', () => {
  it('are masked by their own paths only', () => {
    const terms = [{ request: { '$.ssn': 'null' } }]
    expect(through(transformOf(terms, {}, 'request'), '{"ssn":"1"}')).toBe('{"ssn":null}')
    expect(transformOf(terms, {}, 'answer')).toBe(undefined)
    expect(transformOf([{ response: { '$.ssn': 'null' } }], {}, 'request')).toBe(undefined)
  })
})

describe('what is told', () => {
  const terms = [{ response: { '$..b': 'year', '$.a': 'hash', '$.c': 'null' }, request: { '$.z': 'null' } }]

  it('before: the masks that the answer will carry', () => {
    expect(fulfilment.before?.(statement, { name: 'mask-json', terms }, exchange)).toEqual({
      ...statement,
      masks: [
        { resource: 'getCustomer', column: '$..b', strategy: 'year' },
        { resource: 'getCustomer', column: '$.a', strategy: 'hash' },
        { resource: 'getCustomer', column: '$.c', strategy: 'null' },
      ],
    })
  })

  it('after: how many values of each were masked', () => {
    const transform = transformOf(terms, { contentType: 'text/event-stream' }) as Transform
    through(transform, 'data: {"a":"x","q":[{"b":1},{"b":2}]}\n\ndata: {"a":"y"}\n\n')
    expect(transform.counts()).toEqual([
      { column: '$..b', strategy: 'year', count: 2 },
      { column: '$.a', strategy: 'hash', count: 2 },
    ])
  })

  it('a key that nobody configured denies, and passes nothing', async () => {
    const keyless = await load()
    const obligation = { name: 'mask-json', terms: [{ response: { '$.a': { strategy: 'hash', key: 'other' } } }] }
    const unfulfilled = {
      code: 'mask-key-unknown',
      because: 'policy hashes with key `other`, which is not configured',
      fix: 'ask the policy owner to set `plugins.mask-json.keys.other`',
    }
    expect(keyless.before?.(statement, obligation, exchange)).toEqual({ unfulfilled })
    expect(keyless.answer?.({ status: 200, contentType: 'application/json' }, obligation, exchange)).toEqual({
      unfulfilled,
    })
    expect(keyless.request?.({ contentType: 'application/json' }, obligation, exchange)).toEqual({ unfulfilled })
  })
})

describe('terms that are refused when a policy loads', () => {
  it.each([
    ['email', 'a path that begins with `$`'],
    ['$.a[?(@.b)]', 'a path without filters'],
    ['$.a[(@.length-1)]', 'a path without scripts'],
    ['$.a^', 'a path that goes down only'],
    ['$.a~', 'a path that goes down only'],
    ["$['a','b']", 'a path without unions'],
    ['$[0,1]', 'a path without unions'],
    ['$[-1:]', 'a path without places counted from the end'],
    ['$.a@string()', 'a path without types'],
    ['$.a[', 'a step such as'],
    ['$[007]', undefined],
    ['', 'a path that begins with `$`'],
  ])('the path %s', (path, problem) => {
    const parse = () => fulfilment.terms.parse({ response: { [path]: 'redact' } })
    if (problem === undefined) expect(parse).toThrow('a path that reads one way only')
    else expect(parse).toThrow(problem)
  })

  it.each([
    [{}, '`response` or `request`'],
    [{ response: {} }, 'at least one path'],
    [{ response: { '$.a': 'blur' } }, '`redact`, `null`, `partial`, `hash`, `year`'],
    [{ response: { '$.a': 'redact' }, passTypes: ['application/json'] }, 'a type that masks can be put in'],
    [{ response: { '$.a': 'redact' }, passTypes: ['*/*'] }, 'a content type such as'],
    [{ response: { '$.a': 'redact' }, colour: 1 }, 'colour'],
  ])('%o', (term, problem) => {
    expect(() => fulfilment.terms.parse(term)).toThrow(problem)
  })

  it('what was parsed parses to the same', () => {
    const term = { response: { '$.a': { strategy: 'partial', keepLast: 4 } }, passTypes: ['image/png'] }
    const parsed = fulfilment.terms.parse(term)
    expect(parsed).toEqual(term)
    expect(fulfilment.terms.parse(parsed)).toEqual(term)
  })
})
