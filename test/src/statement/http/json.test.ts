/** JSON that is judged must be what the upstream reads: what two readers could take differently is refused. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JSON_DEPTH, readJson } from '../../../../src/statement/http/json.ts'

describe('a JSON body', () => {
  test.each<[string, unknown]>([
    ['{"a":1,"b":{"a":2}}', { a: 1, b: { a: 2 } }],
    ['[{"a":1},{"a":2}]', [{ a: 1 }, { a: 2 }]],
    ['{"a":"\\"b\\":1","b":"{\\"a\\":1,"}', { a: '"b":1', b: '{"a":1,' }],
    ['{"a":["a","a"]}', { a: ['a', 'a'] }],
    ['"a"', 'a'],
    [' null ', null],
  ])('%s is read', (text, value) => {
    expect(readJson(text)).toEqual({ value })
  })

  test.each<[string, number]>([
    ['{"a":1,"a":2}', 7],
    ['{"a":1,"\\u0061":2}', 7],
    ['[{"b":{"a":1,"c":[],"a":2}}]', 20],
    ['{"__proto__":1,"__proto__":2}', 15],
    ['{"amount":5,"Amount":5000}', 12],
    ['{"users":1,"uſers":2}', 11],
    ['{"key":1,"\u212aey":2}', 9],
  ])('%s names a member twice', (text, at) => {
    expect(readJson(text)).toEqual({ problem: 'the body names a member of an object twice', at })
  })

  test.each(['', '{', '{"a":1}}', "{'a':1}", '{"a":1,}', '\ufeff{}', 'NaN', '01'])('%j is no JSON', (text) => {
    expect(readJson(text)).toEqual({ problem: 'the body is not JSON', at: 0 })
  })

  test('has a depth that is followed', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(readJson(nested(JSON_DEPTH))).toHaveProperty('value')
    expect(readJson(nested(JSON_DEPTH + 1))).toMatchObject({ at: JSON_DEPTH })
  })

  test('of any value is read as it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        const read = readJson(text)
        // Names that differ in nothing but case come about by chance.
        if ('problem' in read) expect(read.problem).toBe('the body names a member of an object twice')
        else expect(read).toEqual({ value: JSON.parse(text) })
      }),
    )
  })
})
