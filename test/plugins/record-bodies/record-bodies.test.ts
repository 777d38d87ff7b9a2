/** The plugin as the gateway holds it: what policies write, what that asks for, and secrets that are not in the copy. */
import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recordBodies } from '../../../plugins/record-bodies/index.ts'
import type { Answers, Fulfilment, OutputColumn, Redacted, Secrets } from '../../../src/plugin.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { customers, statedOf, statementOf, typeOf } from '../support.ts'

const hooks = await recordBodies.create(recordBodies.options.parse(undefined), {} as Runtime)
const fulfilment = hooks.fulfil?.['record-bodies'] as Fulfilment

const parse = (input: unknown): unknown => fulfilment.terms.parse(input)
const recordingOf = (...terms: readonly unknown[]) =>
  fulfilment.record?.({ name: 'record-bodies', terms: terms.map(parse) })

const digest = (text: string): string => createHmac('sha256', 'key').update(text).digest('hex').slice(0, 32)
const hidden = (text: string): string => `hmac:${digest(text)}`
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function secrets(...names: readonly string[]): Required<Secrets> {
  const found = recordingOf({ answer: 'full', secrets: names })?.secrets
  if (found === undefined) throw new Error('no secrets')
  return found as Required<Secrets>
}

function together(pieces: Iterable<Redacted>): { text: string; digests: readonly string[] } {
  const all = [...pieces]
  return {
    text: Buffer.concat(all.map((piece) => piece.bytes)).toString(),
    digests: all.flatMap((piece) => piece.digests),
  }
}

/** Whole and byte by byte: both must be the same. */
function body(names: readonly string[], contentType: string, text: string) {
  const through = (size: number) => {
    const redactor = secrets(...names).body({ contentType, status: 200 }, digest)
    if (redactor === undefined) throw new Error('no redactor')
    const all = bytes(text)
    const pieces: Redacted[] = []
    for (let at = 0; at < all.length; at += size) {
      const { bytes: out, digests } = redactor.push(all.slice(at, at + size))
      pieces.push({ bytes: out.slice(), digests })
    }
    return together([...pieces, redactor.end()])
  }
  const whole = through(1 << 20)
  expect(through(1)).toEqual(whole)
  return whole
}

describe('terms', () => {
  it('say how much is kept of which body', () => {
    expect(recordingOf({ request: 'full', answer: { first: '64KiB' } })).toEqual({
      request: 'full',
      answer: { first: 65_536 },
      seal: false,
    })
  })

  it('of several rules: the most of each is kept, and the secrets of all', () => {
    const all = recordingOf(
      { answer: { first: 10 }, secrets: ['$.a'] },
      { answer: 'digest', request: { first: '1MiB' } },
      { request: 'digest', answer: { first: 4096 }, seal: true, secrets: ['$.b'] },
    )
    expect(all).toMatchObject({ request: { first: 1_048_576 }, answer: { first: 4096 }, seal: true })
    const redactor = all?.secrets?.body?.({ contentType: 'application/json', status: 200 }, digest)
    expect(new TextDecoder().decode(redactor?.push(bytes('{"a":1,"b":2,"c":3}')).bytes)).toBe(
      `{"a":"${hidden('1')}","b":"${hidden('2')}","c":3}`,
    )
    expect(recordingOf({ answer: 'full' }, { answer: { first: 1 } })).toMatchObject({ answer: 'full' })
  })

  it('that are parsed again are the same', () => {
    const once = parse({ answer: { first: '64KiB' }, secrets: ['shop.customers.email'], seal: true })
    expect(parse(once)).toEqual(once)
  })

  it('need a key where they name secrets, and auditors where they seal', () => {
    expect(fulfilment.needs?.(parse({ answer: 'full' }))).toEqual([])
    expect(fulfilment.needs?.(parse({ answer: 'full', secrets: [] }))).toEqual([])
    expect(fulfilment.needs?.(parse({ answer: 'full', secrets: ['$.a'] }))).toEqual(['digest-key'])
    expect(fulfilment.needs?.(parse({ seal: true }))).toEqual(['auditor-keys'])
  })

  it.each([
    [{}, 'at least one of'],
    [{ secrets: ['$.a'] }, 'at least one of'],
    [{ answer: 'all' }, '`full`, `digest`'],
    [{ answer: { first: 0 } }, 'bytes, such as'],
    [{ answer: { first: '64 KB' } }, 'bytes, such as'],
    [{ answer: { first: '2GiB' } }, 'at most `1GiB`'],
    [{ answer: 'full', secrets: ['$..'] }, 'a step such as'],
    [{ answer: 'full', secrets: ['@no way'] }, '`@*`'],
    [{ answer: 'full', secrets: ['a..b'] }, 'a column such as'],
    [{ answer: 'full', secrets: [''] }, ''],
    [{ answer: 'full', secret: ['$.a'] }, 'secret'],
  ])('refuse %j', (input, words) => {
    expect(() => parse(input)).toThrow(words)
  })
})

describe('secrets of a body', () => {
  it('are digests in the copy, the same for a number and its text, and listed', () => {
    const { text, digests } = body(
      ['$.customer.id', '$.items[*].card'],
      'application/json',
      '{"customer":{"id":42,"name":"Ada"},"items":[{"card":"4111"},{"card":null},{"card":"42"}]}',
    )
    expect(text).toBe(
      `{"customer":{"id":"${hidden('42')}","name":"Ada"},"items":[{"card":"${hidden('4111')}"},{"card":null},{"card":"${hidden('42')}"}]}`,
    )
    expect(digests).toEqual([digest('42'), digest('4111'), digest('42')])
  })

  it('that are objects are withheld, for their keys may tell; a value that is too long is, too', () => {
    expect(body(['$.by_email'], 'application/json', '{"by_email":{"ada@example.com":1}}').text).toBe(
      '{"by_email":"[secret]"}',
    )
    const long = body(['$.text'], 'application/json', `{"text":"${'x'.repeat(70_000)}"}`)
    expect(long).toEqual({ text: '{"text":"[secret]"}', digests: [] })
  })

  it('are found in lines, events and forms', () => {
    expect(body(['$.id'], 'application/x-ndjson', '{"id":1}\n{"id":"1"}\n').text).toBe(
      `{"id":"${hidden('1')}"}\n{"id":"${hidden('1')}"}\n`,
    )
    expect(body(['$.id'], 'text/event-stream', 'data: {"id":1}\n\n').text).toBe(`data: {"id":"${hidden('1')}"}\n\n`)
    expect(body(['$.id'], 'application/x-www-form-urlencoded', 'id=1&x=2').text).toBe(
      `id=${encodeURIComponent(hidden('1'))}&x=2`,
    )
  })

  it('are found by nobody in a body of another type', () => {
    expect(secrets('$.id').body({ contentType: 'text/html', status: 200 }, digest)).toBeUndefined()
    expect(
      secrets('$.id').body({ contentType: 'application/json', charset: 'utf-16', status: 200 }, digest),
    ).toBeUndefined()
    // Columns and parameters are not looked for in bodies, nor paths in rows.
    expect(Object.keys(secrets('shop.customers.id', '@id'))).toEqual(['rows', 'parameters'])
    expect(Object.keys(secrets('$.id'))).toEqual(['body'])
  })

  it('of any document: no secret is in the copy, and all else is as it was', () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null))
    const document = fc.array(fc.record({ id: value, secret: value, more: fc.jsonValue() }), { maxLength: 5 })
    fc.assert(
      fc.property(document, (all) => {
        const { text } = body(['$[*].secret'], 'application/json', JSON.stringify(all))
        const expected = all.map((it) => ({
          ...it,
          secret:
            it.secret === null
              ? null
              : hidden(typeof it.secret === 'string' ? canonical(it.secret) : String(it.secret === 0 ? 0 : it.secret)),
        }))
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(expected)))
      }),
      { numRuns: 200 },
    )
  })
})

/** Of texts that happen to be decimal numbers. */
function canonical(text: string): string {
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) ? String(Number(text) === 0 ? 0 : Number(text)) : text
}

const column = (name: string, type: string, ...sources: readonly string[]): OutputColumn => ({
  name,
  type: typeOf(type),
  sources,
})
const columns = [
  column('id', 'INT64', 'shop.customers.id'),
  column('contact', 'STRUCT<email STRING, phones ARRAY<STRING>>', 'shop.customers.email', 'shop.customers.phone'),
  column('total', 'NUMERIC'),
]

describe('secrets of rows', () => {
  const rows = '["42",{"email":"ada@example.com","phones":["1","2"]},12.50]\n[null,null,9007199254740993.10]\n'
  const redact = (...names: readonly string[]) =>
    together(secrets(...names).rows(columns, digest, [])({ rowCount: 2, bytes: bytes(rows) }))

  it('are those of columns by their name, and of every column into which one flows, within structs and lists', () => {
    const person = `{"email":"${hidden('ada@example.com')}","phones":["${hidden('1')}","${hidden('2')}"]}`
    expect(redact('shop.customers.phone').text).toBe(`["42",${person},12.50]\n[null,null,9007199254740993.10]\n`)
    expect(redact('ID').text).toBe(rows.replace('"42"', `"${hidden('42')}"`))
    expect(redact('Total').text).toBe(
      rows.replace('12.50', `"${hidden('12.5')}"`).replace('9007199254740993.10', `"${hidden('9007199254740993.1')}"`),
    )
    expect(redact('total', 'id').digests).toEqual([digest('42'), digest('12.5'), digest('9007199254740993.1')])
  })

  it('named by a bare name are columns of that name in any table, whatever the answer calls them', () => {
    expect(redact('email').text).toContain(hidden('ada@example.com'))
    expect(redact('EMAIL').text).not.toContain('ada@')
    expect(redact('emai').text).toBe(rows)
  })

  it('are named with or without the project, by a parent or a field, in any case', () => {
    for (const name of ['demo.shop.customers.id', 'SHOP.customers.ID', 'shop.customers', 'shop.customers.id.part']) {
      expect({ name, text: redact(name).text }).toEqual({ name, text: expect.stringContaining(hidden('42')) })
    }
    for (const name of ['shop.orders.id', 'customers.id', 'other.shop.customers2.id', 'shop.customers.identity']) {
      expect({ name, text: redact(name).text }).toEqual({ name, text: rows })
    }
  })

  it('are all of an answer whose statement was sent a secret parameter: nobody can say where it flows', () => {
    const token = { name: 'Token', type: { kind: 'STRING' }, value: 'x' } as const
    const of = (name: string) =>
      together(secrets(name).rows(columns, digest, [token])({ rowCount: 2, bytes: bytes(rows) }))
    expect(of('@token').text).toContain(hidden('42'))
    expect(of('@*').text).not.toContain('ada@')
    expect(of('@other').text).toBe(rows)
  })

  it('that nobody named leave the bytes as they are', () => {
    const given = { rowCount: 2, bytes: bytes(rows) }
    const [piece] = secrets('shop.orders.id').rows(columns, digest, [])(given)
    expect(piece?.bytes).toBe(given.bytes)
  })

  it('come in pieces of moderate size, each digest beside its bytes', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => `["${i}",null,1]\n`).join('')
    const pieces = [...secrets('id').rows(columns, digest, [])({ rowCount: 20_000, bytes: bytes(many) })]
    expect(pieces.length).toBeGreaterThan(3)
    for (const { bytes: out, digests } of pieces) {
      const found = [
        ...Buffer.from(out)
          .toString()
          .matchAll(/hmac:([0-9a-f]{32})/g),
      ].map(([, it]) => it)
      expect(digests).toEqual(found)
    }
    expect(pieces.flatMap((piece) => piece.digests)).toHaveLength(20_000)
  })
})

describe('secrets of parameters', () => {
  const given = [
    { name: 'Email', type: typeOf('STRING'), value: 'ada@example.com' },
    { name: 'ids', type: typeOf('ARRAY<INT64>'), value: ['1', null, '2'] },
    { type: typeOf('STRING'), value: 'nameless' },
  ]
  it('are named with an @, in any case; all of them by @*', () => {
    const one = secrets('@email').parameters(given, digest)
    expect(one.parameters.map(({ value }) => value)).toEqual([hidden('ada@example.com'), ['1', null, '2'], 'nameless'])
    const all = secrets('@*').parameters(given, digest)
    expect(all.parameters.map(({ value }) => value)).toEqual([
      hidden('ada@example.com'),
      [hidden('1'), null, hidden('2')],
      hidden('nameless'),
    ])
    expect(all.digests).toEqual(['ada@example.com', '1', '2', 'nameless'].map(digest))
  })
})

describe('a slip in a secret', () => {
  const before = (...names: readonly string[]) =>
    fulfilment.before?.(
      statementOf('SELECT * FROM shop.customers', [customers]),
      { name: 'record-bodies', terms: [parse({ answer: 'full', secrets: names })] },
      statedOf(statementOf('', [])),
    )

  it('denies where the statement reads the table, for the value would be recorded in plain', () => {
    for (const slip of [
      'shop.customers.emial',
      'demo.shop.customers.emial',
      'shop.customers.address.stret',
      'shop.customers.id.x',
    ]) {
      expect(before('shop.customers.email', slip)).toMatchObject({
        unfulfilled: {
          code: 'secret-unknown',
          because: `policy calls \`${slip}\` secret, and \`shop.customers\` has no such column`,
        },
      })
    }
  })

  it('denies where a bare name is that of a field: its column would be recorded with it', () => {
    expect(before('street')).toMatchObject({
      unfulfilled: {
        code: 'secret-unknown',
        because: 'policy calls `street` secret, and in `shop.customers` that is the field `address.street`',
        fix: 'ask the policy owner to name it whole: `shop.customers.address.street`',
      },
    })
  })

  it('is none where the name is right, or of another table, or of an answer', () => {
    for (const right of [
      'shop.customers.EMAIL',
      'demo.shop.customers.email',
      'shop.customers.address.street',
      'shop.customers.contacts.value',
      'shop.customers.metadata.card',
      'shop.customers._PARTITIONTIME',
      'shop.customers',
      'shop.orders.emial',
      'emial',
      '$.emial',
      '@emial',
    ]) {
      expect({ right, came: before(right) }).toEqual({ right, came: expect.objectContaining({ kind: 'SELECT' }) })
    }
  })

  it('in a JSON path is told when the policy is loaded, where the answers are described', () => {
    const answers: Answers = {
      schemas: [{ type: 'object', properties: { id: { type: 'integer' } }, additionalProperties: false }],
      resolve: () => undefined,
    }
    const told = (input: unknown) => fulfilment.misfits?.(parse(input), answers)
    expect(told({ answer: 'full', secrets: ['$.id', '$.di', 'shop.t.c'] })).toEqual([
      'a path that some answer of the API has a place for; `$.di` has none in any that this rule is about',
    ])
    expect(told({ answer: 'full', request: 'full', secrets: ['$.di'] })).toEqual([])
    expect(told({ request: 'full', secrets: ['$.di'] })).toEqual([])
  })
})
