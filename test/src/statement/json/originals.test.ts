/** A masker that tells what it replaces: the same bytes go out, and what is told is what stood there. */
import * as fc from 'fast-check'
import { JSONPath } from 'jsonpath-plus'
import { describe, expect, it } from 'vitest'
import { FormBody } from '../../../../src/statement/json/form.ts'
import { formMask } from '../../../../src/statement/json/form-mask.ts'
import { JsonMasker, JsonMasks, TOO_LONG, type JsonMask } from '../../../../src/statement/json/masker.ts'
import { parseJsonPath } from '../../../../src/statement/json/path.ts'

const REDACT: JsonMask = { constant: '"[redacted]"' }
const HASH: JsonMask = { instead: '"[object]"', scalar: (text) => JSON.stringify(`#${text.length}`) }

function masksOf(paths: readonly string[], mask: JsonMask): JsonMasks {
  const steps = paths.map((path) => {
    const parsed = parseJsonPath(path)
    if ('problem' in parsed) throw new Error(parsed.problem)
    return parsed.steps
  })
  return new JsonMasks(steps, () => mask)
}

type Told = readonly [path: string, text: string]

function run(paths: readonly string[], mask: JsonMask, text: string, size = 1 << 20, maxScalar = 65_536) {
  const told: Told[] = []
  const original = (found: readonly number[], value: string): void =>
    void told.push([found.map((at) => paths[at]).join(' '), value])
  const through = (more: object): string => {
    const masker = new JsonMasker(masksOf(paths, mask), { documents: 'one', maxScalar, ...more })
    const all = new TextEncoder().encode(text)
    const out: Uint8Array[] = []
    for (let at = 0; at < all.length; at += size) out.push(masker.push(all.slice(at, at + size)).slice())
    return Buffer.concat([...out, masker.end()]).toString()
  }
  const loud = through({ original })
  expect(loud).toBe(through({}))
  return { out: loud, told }
}

const TEXT = '{"a":{"b":[1,"two",{"three":"\\u0033"}],"c":null},"d":"ad\\na","e":[true,4.50]}'

describe('what is told', () => {
  it('of a mask of scalars: each of them, decoded; of an object its JSON', () => {
    for (const size of [1, 2, 7, 1 << 20]) {
      const { told } = run(['$.a.b', '$.d', '$.e'], HASH, TEXT, size)
      expect(told).toEqual([
        ['$.a.b', '1'],
        ['$.a.b', 'two'],
        ['$.a.b', '{"three":"\\u0033"}'],
        ['$.d', 'ad\na'],
        ['$.e', 'true'],
        ['$.e', '4.50'],
      ])
    }
  })

  it('of a constant: the scalar, or the JSON of all of the container; nothing of a null', () => {
    for (const size of [1, 3, 1 << 20]) {
      const { out, told } = run(['$.a.b', '$.a.c', '$.d', '$.e[1]'], REDACT, TEXT, size)
      expect(out).toBe('{"a":{"b":"[redacted]","c":null},"d":"[redacted]","e":[true,"[redacted]"]}')
      expect(told).toEqual([
        ['$.a.b', '[1,"two",{"three":"\\u0033"}]'],
        ['$.d', 'ad\na'],
        ['$.e[1]', '4.50'],
      ])
    }
  })

  it('of what is too long: that it is', () => {
    const long = `{"a":"${'x'.repeat(50)}","b":{"c":"${'y'.repeat(50)}"},"d":"z"}`
    for (const size of [1, 9, 1 << 20]) {
      expect(run(['$.a', '$.b', '$.d'], REDACT, long, size, 20).told).toEqual([
        ['$.a', TOO_LONG],
        ['$.b', TOO_LONG],
        ['$.d', 'z'],
      ])
    }
  })

  it('of any document: what goes out is the same, and what is told is what the path has', () => {
    const documents = fc.jsonValue({ maxDepth: 4 }).filter((it) => typeof it === 'object' && it !== null)
    fc.assert(
      fc.property(documents, fc.integer({ min: 1, max: 9 }), (document, size) => {
        const text = JSON.stringify(document)
        const { told } = run(['$.*'], REDACT, text, size)
        const there = (JSONPath({ path: '$.*', json: document as object }) as unknown[]).filter((it) => it !== null)
        expect(told).toEqual(there.map((it) => ['$.*', typeof it === 'string' ? it : JSON.stringify(it)]))
      }),
      { numRuns: 500 },
    )
  })

  it('of a form: the value', () => {
    const told: Told[] = []
    const paths = ['$.card']
    const form = new FormBody(formMask(masksOf(paths, REDACT), [], (_, value) => void told.push(['$.card', value])))
    const out = Buffer.concat([form.push(new TextEncoder().encode('card=4111+1&x=2')), form.end()]).toString()
    expect(out).toBe('card=%5Bredacted%5D&x=2')
    expect(told).toEqual([['$.card', '4111 1']])
  })
})

describe('an object whose keys are plain', () => {
  it('is masked member by member, as deep as it goes', () => {
    const { out } = run(['$[1]'], { ...HASH, keys: 'plain' }, '["a",{"b":"cc","d":[{"e":1},null],"f":{}},"g"]', 1)
    expect(out).toBe('["a",{"b":"#2","d":[{"e":"#1"},null],"f":{}},"g"]')
  })
})
