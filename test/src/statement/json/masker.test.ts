/** The streaming masker against parse → mask → stringify, over documents, paths and chunkings that nobody thought of. */
import fc from 'fast-check'
import { JSONPath } from 'jsonpath-plus'
import { expect, test } from 'vitest'
import { JsonMasker, JsonMasks, MalformedJson, type JsonMask } from '../../../../src/statement/json/masker.ts'
import { parseJsonPath, type JsonPath } from '../../../../src/statement/json/path.ts'

const REDACT: JsonMask = { constant: '"[redacted]"' }
/** Shows what it was given, so that a test sees it. */
const SHOUT: JsonMask = {
  instead: '"[object]"',
  scalar: (text, kind) => JSON.stringify(`${kind}:${text.toUpperCase()}`),
}

function pathOf(text: string): JsonPath {
  const parsed = parseJsonPath(text)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed.steps
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

interface Asked {
  readonly paths: readonly string[]
  readonly masks?: readonly JsonMask[]
  readonly documents?: 'one' | 'many'
  readonly maxScalar?: number
}

/** `text` in pieces of these sizes, again and again. */
function masked(text: string | Uint8Array, asked: Asked, sizes: readonly number[] = [1 << 20]): string {
  return run(text, asked, sizes).text
}

function run(
  text: string | Uint8Array,
  { paths, masks = paths.map(() => REDACT), documents = 'one', maxScalar = 65_536 }: Asked,
  sizes: readonly number[] = [1 << 20],
): { readonly text: string; readonly counts: readonly number[] } {
  const known = new JsonMasks(paths.map(pathOf), (at) => masks[at[0] ?? 0] ?? REDACT)
  const masker = new JsonMasker(known, { documents, maxScalar })
  const all = typeof text === 'string' ? bytes(text) : text
  const out: Uint8Array[] = []
  let at = 0
  for (let turn = 0; at < all.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1)
    // A chunk of its own memory, which is overwritten afterwards: nothing may be kept of it.
    const chunk = all.slice(at, at + size)
    out.push(masker.push(chunk).slice())
    chunk.fill(0x7a)
    at += size
  }
  out.push(masker.end())
  return { text: Buffer.concat(out).toString(), counts: masker.counts }
}

test.each([
  ['a member', '{"email":"a@b.c","name":"Ann"}', ['$.email'], '{"email":"[redacted]","name":"Ann"}'],
  ['a member below', '{"a":{"email":"x"},"email":"y"}', ['$.a.email'], '{"a":{"email":"[redacted]"},"email":"y"}'],
  [
    'every element',
    '{"a":[{"b":1},{"b":2},{"c":3}]}',
    ['$.a[*].b'],
    '{"a":[{"b":"[redacted]"},{"b":"[redacted]"},{"c":3}]}',
  ],
  ['one element', '[10,11,12]', ['$[1]'], '[10,"[redacted]",12]'],
  ['a range of elements', '[0,1,2,3,4,5]', ['$[1:5:2]'], '[0,"[redacted]",2,"[redacted]",4,5]'],
  [
    'at any depth',
    '{"a":{"b":[{"ssn":1}]},"ssn":2}',
    ['$..ssn'],
    '{"a":{"b":[{"ssn":"[redacted]"}]},"ssn":"[redacted]"}',
  ],
  ['a whole object', '{"a":{"b":{"c":[1,"}"]}},"d":1}', ['$.a'], '{"a":"[redacted]","d":1}'],
  ['the whole document', ' {"a":1} ', ['$'], ' "[redacted]" '],
  ['a number at the very end', '42', ['$'], '"[redacted]"'],
  ['not a null', '{"a":null,"b":[null]}', ['$.a', '$.b[*]'], '{"a":null,"b":[null]}'],
  ['a name with a blank', `{"a b":1,"ab":2}`, [`$['a b']`], '{"a b":"[redacted]","ab":2}'],
  ['a member whose name is a number', '{"0":1,"1":2}', ['$[0]'], '{"0":"[redacted]","1":2}'],
  ['a key that occurs twice', '{"a":1,"a":2}', ['$.a'], '{"a":"[redacted]","a":"[redacted]"}'],
  [
    'a key that is written otherwise',
    String.raw`{"em\u0061il":1,"\u0065mail":2}`,
    ['$.email'],
    String.raw`{"em\u0061il":"[redacted]","\u0065mail":"[redacted]"}`,
  ],
  ['nothing where there is no such path', '{"a":1}', ['$.b', '$.a.b', '$[0]'], '{"a":1}'],
  [
    'nothing else: spaces, order, numbers',
    '{ "z" : 1.50e+3 ,\t"a":-0.0,\n"n":12345678901234567890 }',
    ['$.b'],
    '{ "z" : 1.50e+3 ,\t"a":-0.0,\n"n":12345678901234567890 }',
  ],
])('masks %s', (_, text, paths, expected) => {
  expect(masked(text, { paths })).toBe(expected)
  expect(masked(text, { paths }, [1])).toBe(expected)
})

test('a mask of scalars sees texts decoded and numbers as written; arrays element by element; objects are replaced', () => {
  const text = String.raw`{"a":["x\n\u00e9",1.50,true,null,[2],{"k":"secret"}]}`
  const expected = String.raw`{"a":["string:X\nÉ","number:1.50","boolean:TRUE",null,["number:2"],"[object]"]}`
  expect(masked(text, { paths: ['$.a'], masks: [SHOUT] })).toBe(expected)
  expect(masked(text, { paths: ['$.a'], masks: [SHOUT] }, [1])).toBe(expected)
})

test('a scalar longer than may be held is replaced, not passed', () => {
  const text = JSON.stringify({ a: 'x'.repeat(100), b: 'y' })
  for (const size of [1, 7, 1000]) {
    const out = masked(text, { paths: ['$.a', '$.b'], masks: [SHOUT, SHOUT], maxScalar: 50 }, [size])
    expect(out).toBe('{"a":"[object]","b":"string:Y"}')
  }
})

test('where several paths end at one value, all are asked for one mask', () => {
  const asked: string[] = []
  const of = (paths: readonly string[], text: string): readonly string[] => {
    asked.length = 0
    const resolve = (at: readonly number[]): JsonMask => {
      asked.push(at.map((path) => paths[path]).join(' and '))
      return SHOUT
    }
    new JsonMasker(new JsonMasks(paths.map(pathOf), resolve), { documents: 'one' }).push(bytes(text))
    return asked
  }
  expect(of(['$..b', '$.a', '$.a.b'], '{"b":{"a":1},"a":{"b":1}}')).toEqual(['$..b', '$.a'])
  expect(of(['$..b', '$.a.b'], '{"a":{"b":1}}')).toEqual(['$..b and $.a.b'])
  // An array under a mask hands it down to its elements, where others may join it.
  expect(of(['$.a', '$..[0]'], '{"a":[[1]]}')).toEqual(['$.a', '$.a and $..[0]'])
})

test('counts what each path has masked', () => {
  const { counts } = run('{"a":[1,2,null],"b":{"c":1}}', { paths: ['$.a[*]', '$.b', '$.x'] })
  expect(counts).toEqual([2, 1, 0])
})

test('NDJSON is masked line by line; one document is one', () => {
  const text = '{"a":1}\n{"a":2}\n'
  expect(masked(text, { paths: ['$.a'], documents: 'many' }, [3])).toBe('{"a":"[redacted]"}\n{"a":"[redacted]"}\n')
  expect(() => masked(text, { paths: ['$.a'] })).toThrow(new MalformedJson('more than one document', 8))
})

test.each([
  ['', 'ok'],
  ['{"a":1', 'the end of the bytes before the end of the document at byte 6'],
  ['{"a":1}}', 'more than one document at byte 7'],
  ['{a:1}', 'something else than a key at byte 1'],
  [`{'a':1}`, 'something else than a key at byte 1'],
  ['{"a":1,}', 'something else than a key at byte 7'],
  ['[1,]', 'something else than a value at byte 3'],
  ['[1 2]', 'something else than a comma or an end at byte 3'],
  ['[1}', 'something else than a comma or an end at byte 2'],
  ['{"a" 1}', 'something else than a colon at byte 5'],
  ['[01]', 'something else than a comma or an end at byte 2'],
  ['[1.]', 'a number that JSON does not have at byte 3'],
  ['[-]', 'a number that JSON does not have at byte 2'],
  ['[1e]', 'a number that JSON does not have at byte 3'],
  ['[+1]', 'something else than a value at byte 1'],
  ['[NaN]', 'something else than a value at byte 1'],
  ['[truE]', 'a word that JSON does not have at byte 4'],
  ['["\u0001"]', 'a control character in a string at byte 2'],
  [String.raw`["\x"]`, 'an escape that JSON does not have at byte 3'],
  [String.raw`["\u12g4"]`, 'an escape that JSON does not have at byte 6'],
  ['// a\n1', 'something else than a value at byte 0'],
  ['\ufeff1', 'something else than a value at byte 0'],
  ['"abc', 'the end of the bytes before the end of the document at byte 4'],
])('%j is cut', (text, problem) => {
  for (const size of [1, 2, 100]) {
    const outcome = (): string => {
      masked(text, { paths: ['$.secret'] }, [size])
      return 'ok'
    }
    if (problem === 'ok') expect(outcome()).toBe('ok')
    else expect(outcome).toThrow(problem)
  }
})

test.each([
  ['a continuation alone', [0x80]],
  ['an overlong quote', [0xc0, 0xa2]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
  ['a cut character', [0xe2, 0x82]],
])('%s is no UTF-8', (_, wrong) => {
  expect(() => masked(Uint8Array.from([0x22, ...wrong, 0x22]), { paths: ['$.a'] }, [1])).toThrow(
    'bytes that are no UTF-8',
  )
})

test('nesting is bounded', () => {
  const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  expect(masked(deep(512), { paths: ['$.a'] })).toBe(deep(512))
  expect(() => masked(deep(513), { paths: ['$.a'] })).toThrow('nesting that is too deep at byte 512')
})

// ── properties ─────────────────────────────────────────────────────────────────────────────────────────────────────

const NAMES = ['a', 'b', 'c', 'email', 'é', 'a b', '0', '1', '', 'emai', 'email2']
const name = fc.constantFrom(...NAMES)
const document = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string(),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value

const step = fc.oneof(
  fc.constantFrom('.a', '.b', '.c', '.email', '.é', `['a b']`, '[0]', '[1]', '.*', '[*]', '[0:2]', '[1:]'),
  fc.constantFrom('..a', '..b', '..email', '..*', '..[0]', '..é'),
)
const path = fc.array(step, { minLength: 1, maxLength: 4 }).map((steps) => `$${steps.join('')}`)
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })

/** What jsonpath-plus finds, as JSON pointers. */
function found(value: unknown, paths: readonly string[]): Set<string> {
  const pointers = paths.flatMap((it) => {
    if (typeof value !== 'object' || value === null) return []
    return JSONPath({ path: it, json: value, resultType: 'pointer', eval: false }) as string[]
  })
  return new Set(pointers)
}

function expected(value: unknown, pointers: ReadonlySet<string>, at = ''): unknown {
  if (pointers.has(at) && value !== null) return '[redacted]'
  if (Array.isArray(value)) return value.map((item, i) => expected(item, pointers, `${at}/${i}`))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([key, item]) => {
    const escaped = key.replaceAll('~', '~0').replaceAll('/', '~1')
    return [key, expected(item, pointers, `${at}/${escaped}`)]
  })
  return Object.fromEntries(members) as unknown
}

test('for any document, paths and chunks: what streams out is what parse → mask → stringify gives', () => {
  fc.assert(
    fc.property(document, fc.array(path, { minLength: 1, maxLength: 4 }), sizes, (value, paths, chunks) => {
      const whole = JSON.stringify(expected(value, found(value, paths)))
      expect(masked(JSON.stringify(value), { paths }, chunks)).toBe(whole)
    }),
    { numRuns: 3_000 },
  )
})

test('for any bytes: what the masker lets through is JSON, and what is JSON it lets through', () => {
  const texts = fc.oneof(
    document.map((value) => JSON.stringify(value, null, 1)),
    fc
      .array(
        fc.constantFrom(
          '{',
          '}',
          '[',
          ']',
          ',',
          ':',
          '"',
          '"a"',
          '1',
          '-',
          '.',
          'e',
          'true',
          'null',
          ' ',
          '\\',
          'u0041',
          'é',
        ),
        { maxLength: 12 },
      )
      .map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(texts, sizes, (text, chunks) => {
      if (text.trim() === '') return
      let isJson = true
      try {
        JSON.parse(text)
      } catch {
        isJson = false
      }
      let passed = true
      try {
        expect(masked(text, { paths: ['$..zz'] }, chunks)).toBe(text)
      } catch (error) {
        if (!(error instanceof MalformedJson)) throw error
        passed = false
      }
      expect(passed).toBe(isJson)
    }),
    { numRuns: 5_000 },
  )
})

test('no byte of a masked value leaves', () => {
  fc.assert(
    fc.property(document, sizes, (value, chunks) => {
      const text = JSON.stringify({ keep: 1, secret: ['CANARY', value, { CANARY: 'CANARY' }] })
      expect(masked(text, { paths: ['$.secret'] }, chunks)).toBe('{"keep":1,"secret":"[redacted]"}')
      expect(
        masked(text, { paths: ['$.secret'], masks: [{ instead: '"x"', scalar: () => '"y"' }] }, chunks),
      ).not.toContain('CANARY')
    }),
    { numRuns: 500 },
  )
})
