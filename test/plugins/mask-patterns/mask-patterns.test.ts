/** The plugin as the gateway holds it: terms in, bodies through. */
import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { maskJson } from '../../../plugins/mask-json/index.ts'
import { maskPatterns } from '../../../plugins/mask-patterns/index.ts'
import type { HttpStatement, Permitted } from '../../../src/exchange.ts'
import type { BodyHead, Fulfilment, Plugin, Transform } from '../../../src/plugin.ts'
import type { Runtime } from '../../../src/runtime.ts'

const KEY = 'a key of at least sixteen bytes'
const runtime = { secrets: { read: () => Promise.resolve(KEY) } } as unknown as Runtime
const hashed = (text: string): string => createHmac('sha256', KEY).update(text).digest('hex')
const exchange = {} as Permitted
const CARD = '4111111111111111'

let patterns: Fulfilment
let paths: Fulfilment
beforeAll(async () => {
  patterns = await load(maskPatterns as Plugin)
  paths = await load(maskJson as Plugin)
})

async function load(plugin: Plugin, options: unknown = { keys: { default: 'env:KEY' } }): Promise<Fulfilment> {
  const hooks = await plugin.create(plugin.options.parse(options), runtime)
  const found = hooks.fulfil?.[plugin.name]
  if (found === undefined) throw new Error('no fulfilment')
  return found
}

function transformOf(terms: readonly unknown[], head: Partial<BodyHead> = {}, way: 'answer' | 'request' = 'answer') {
  const parsed = terms.map((term) => patterns.terms.parse(term))
  const given = { ...(way === 'answer' && { status: 200 }), contentType: 'application/json', ...head }
  return patterns[way]?.(given, { name: 'mask-patterns', terms: parsed }, exchange)
}

function through(transform: unknown, text: string, sizes: readonly number[] = [1 << 20]): string {
  const it = transform as Transform
  const bytes = Buffer.from(text)
  const out: Uint8Array[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1)
    const chunk = Uint8Array.from(bytes.subarray(at, at + size))
    out.push(it.push(chunk).slice())
    chunk.fill(0x7a)
    at += size
  }
  return Buffer.concat([...out, it.end()]).toString()
}

function masked(term: unknown, text: string, contentType = 'application/json'): string {
  const whole = through(transformOf([term], { contentType }), text)
  expect(through(transformOf([term], { contentType }), text, [1])).toBe(whole)
  return whole
}

const ALL = { kinds: 'all' }

describe('JSON', () => {
  it('texts are masked within, names and bare numbers too; all else leaves as it came', () => {
    expect(
      masked(ALL, `{ "note":"card ${CARD}, mail a@example.com" ,"a@example.com":[1.50, ${CARD}, 1e9],"n":"\\u00e9"}`),
    ).toBe('{ "note":"card [redacted], mail [redacted]" ,"[redacted]":[1.50, "[redacted]", 1e9],"n":"\\u00e9"}')
  })

  it('escapes hide nothing', () => {
    expect(masked(ALL, '"\\u0034111\\u00201111 1111 1111 \\u0040"')).toBe('"[redacted] @"')
    expect(masked(ALL, '"ann\\u0040example\\u002ecom"')).toBe('"[redacted]"')
  })

  it('what stays of a text is escaped as JSON demands', () => {
    expect(masked(ALL, `"a\\n\\"b\\" ${CARD}\\\\"`)).toBe('"a\\n\\"b\\" [redacted]\\\\"')
  })

  it('keys without a digit are found too', () => {
    expect(masked(ALL, JSON.stringify(['AKIA', 'ABCDEFGHIJKLMNOP'].join('')))).toBe('"[redacted]"')
  })

  it('malformed JSON is cut', () => {
    expect(() => masked(ALL, `{"a":"${CARD}"`)).toThrow('before the end of the document')
    expect(() => masked(ALL, `{a:"${CARD}"}`)).toThrow('something else than a key')
  })

  it('a text too long to be looked at is replaced, and told', () => {
    const transform = transformOf([ALL]) as Transform
    expect(through(transform, JSON.stringify({ a: 'x'.repeat(1 << 20) + CARD, b: 'y' }), [65_536])).toBe(
      '{"a":"[redacted]","b":"y"}',
    )
    expect(transform.counts()).toEqual([{ column: 'too-long', strategy: 'redact', count: 1 }])
  })

  it('for any document and chunks: what streams out is what each text becomes', () => {
    const text = fc.oneof(
      fc.constantFrom(CARD, 'a@example.com', '078-05-1120', '+1 415 555 2671', 'x"\\\n', 'é😀'),
      fc.string({ unit: 'grapheme', maxLength: 12 }),
    )
    const document = fc.jsonValue().chain((value) =>
      fc.record({
        value: fc.constant(value),
        texts: fc.array(
          fc.tuple(text, text).map((it) => it.join(' ')),
          { maxLength: 6 },
        ),
      }),
    )
    fc.assert(
      fc.property(document, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (value, sizes) => {
        const json = JSON.stringify(value)
        const out = through(transformOf([ALL]), json, sizes)
        expect(out).toBe(through(transformOf([ALL]), json))
        for (const secret of [CARD, 'a@example.com', '078-05-1120', '555 2671']) expect(out).not.toContain(secret)
        expect(JSON.parse(out)).toBeDefined()
      }),
    )
  })
})

describe('other bodies', () => {
  it('NDJSON', () => {
    expect(masked(ALL, `{"a":"${CARD}"}\n${CARD}\n`, 'application/x-ndjson')).toBe('{"a":"[redacted]"}\n"[redacted]"\n')
  })
  it('events, their ids too', () => {
    expect(masked(ALL, `id: a@example.com\ndata: {"a":"${CARD}"}\n\n`, 'text/event-stream')).toBe(
      'id: [redacted]\ndata: {"a":"[redacted]"}\n\n',
    )
  })
  it('forms, their names too', () => {
    expect(masked(ALL, `q=a%40example.com&4111+1111+1111+1111=x&y=+`, 'application/x-www-form-urlencoded')).toBe(
      'q=%5Bredacted%5D&%5Bredacted%5D=x&y=+',
    )
  })
  it('are refused where nothing can be looked for in them, unless listed', () => {
    expect(transformOf([ALL], { contentType: 'text/plain' })).toMatchObject({
      unfulfilled: { code: 'mask-content-type' },
    })
    expect(transformOf([ALL], { charset: 'utf-16' })).toMatchObject({ unfulfilled: { code: 'mask-charset' } })
    expect(transformOf([{ ...ALL, passTypes: ['text/plain'] }], { contentType: 'text/plain' })).toBe(undefined)
    expect(through(transformOf([ALL], { contentType: '' }), '')).toBe('')
    expect(() => through(transformOf([ALL], { contentType: '' }), CARD)).toThrow('a body of no content type')
  })
  it('of requests, where a term says so', () => {
    expect(transformOf([ALL], {}, 'request')).toBe(undefined)
    expect(through(transformOf([{ ...ALL, bodies: ['request'] }], {}, 'request'), `"${CARD}"`)).toBe('"[redacted]"')
    expect(transformOf([{ ...ALL, bodies: ['request'] }])).toBe(undefined)
  })
})

describe('strategies', () => {
  it.each([
    ['redact', 'card [redacted]!'],
    ['partial', 'card ************1111!'],
    [{ strategy: 'partial', keepFirst: 1, keepLast: 2 }, 'card 4*************11!'],
    ['hash', `card ${hashed(CARD)}!`],
  ])('%o', (strategy, expected) => {
    expect(masked({ kinds: ['card'], strategy }, `"card ${CARD}!"`)).toBe(`"${expected}"`)
  })

  it('of several rules the strongest wins, kind by kind', () => {
    const terms = [
      { kinds: ['card', 'email'], strategy: 'partial' },
      { kinds: ['card'], strategy: 'redact' },
    ]
    const transform = transformOf(terms) as Transform
    expect(through(transform, `"${CARD} ann@example.com"`)).toBe('"[redacted] ***********.com"')
    expect(transform.counts()).toEqual([
      { column: 'card', strategy: 'redact', count: 1 },
      { column: 'email', strategy: 'partial', count: 1 },
    ])
  })

  it('the statement tells before it runs which kinds are masked', () => {
    const statement = { language: 'http', operation: 'getCustomer', masks: [] } as unknown as HttpStatement
    const terms = [{ kinds: ['email', 'card'], strategy: 'hash' }]
    expect(patterns.before?.(statement, { name: 'mask-patterns', terms }, exchange)).toEqual({
      ...statement,
      masks: [
        { resource: 'getCustomer', column: 'card', strategy: 'hash' },
        { resource: 'getCustomer', column: 'email', strategy: 'hash' },
      ],
    })
  })

  it('a key that nobody configured denies', async () => {
    const keyless = await load(maskPatterns as Plugin, {})
    const obligation = { name: 'mask-patterns', terms: [{ kinds: 'all', strategy: 'hash' }] }
    const expected = { unfulfilled: { code: 'mask-key-unknown' } }
    const statement = { language: 'http', operation: 'x', masks: [] } as unknown as HttpStatement
    expect(keyless.before?.(statement, obligation, exchange)).toMatchObject(expected)
    expect(keyless.answer?.({ status: 200, contentType: 'application/json' }, obligation, exchange)).toMatchObject(
      expected,
    )
  })

  it.each([
    [{ kinds: [] }, '>=1'],
    [{ kinds: ['face'] }, '`card`, `ssn`'],
    [{ kinds: 'all', strategy: 'null' }, '`redact`, `partial`, `hash`'],
    [{ kinds: 'all', passTypes: ['text/json'] }, 'a type that masks can be put in'],
  ])('the terms %o are refused', (term, words) => {
    expect(() => patterns.terms.parse(term)).toThrow(words)
  })
})

it('masks by place and by content on one body: each takes what the other leaves', () => {
  const head = { status: 200, contentType: 'application/json' }
  const byPlace = paths.answer?.(head, { name: 'mask-json', terms: [{ response: { '$.email': 'hash' } }] }, exchange)
  const byContent = transformOf([ALL])
  const text = `{"email":"ann@example.com","note":"${CARD}","name":"Ann"}`
  const expected = `{"email":"${hashed('ann@example.com')}","note":"[redacted]","name":"Ann"}`
  expect(through(byContent, through(byPlace, text))).toBe(expected)
})
