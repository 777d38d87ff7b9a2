import { expect, test } from 'vitest'
import { parseJsonPath } from '../../../../src/statement/json/path.ts'
import { neverMatches } from '../../../../src/statement/json/schema.ts'

const customer = {
  type: 'object',
  properties: {
    email: { type: 'string' },
    address: { type: ['object', 'null'], properties: { street: { type: 'string' } } },
    cards: { type: 'array', items: { $ref: '#/card' } },
    parent: { $ref: '#/customer' },
    labels: { type: 'object', additionalProperties: { type: 'object', properties: { value: {} } } },
    closed: { type: 'object', properties: { a: {} }, additionalProperties: false },
    open: { type: 'object' },
    anything: {},
    list: { type: 'array' },
    pair: { prefixItems: [{ type: 'object', properties: { left: {} } }, false] },
    patterns: { type: 'object', patternProperties: { '^x-': { type: 'string' } } },
    gone: { $ref: '#/gone' },
    one: {
      oneOf: [
        { type: 'object', properties: { b: {} } },
        { allOf: [{ type: 'object', properties: { c: {} } }, { properties: { d: {} } }] },
      ],
    },
  },
}
const card = { type: 'object', properties: { number: { type: 'string' } } }
const resolve = (ref: string): unknown => ({ '#/customer': customer, '#/card': card })[ref]

test.each([
  '$',
  '$.email',
  '$.*',
  '$.address.street',
  '$.cards[*].number',
  '$.cards[0].number',
  '$.cards[0:2].number',
  '$..number',
  '$..left',
  '$.parent.parent.parent.email',
  '$.labels.any.value',
  '$.labels..value',
  '$.closed.a',
  '$.open.what.ever',
  '$.anything[0].x',
  '$.list[3].x',
  '$.pair[0].left',
  '$.patterns.x-a',
  '$.gone.x',
  '$.one.b',
  '$.one.c',
  '$.one.d',
])('%s may match', (path) => {
  expect(neverMatches([steps(path)], customer, resolve)).toEqual([])
})

test.each([
  '$.emial',
  '$.email.x',
  '$.email[0]',
  '$.address.city',
  '$.cards.number',
  '$.cards[*].nummer',
  '$[0]',
  '$.parent.emial',
  '$.labels.any.other',
  '$.closed.b',
  '$.pair[0].right',
  '$.patterns.x.y',
  '$.one.e',
  '$.address.street..x',
])('%s can never match', (path) => {
  expect(neverMatches([steps('$.email'), steps(path)], customer, resolve)).toEqual([1])
})

test('a schema that leads only back to itself has no place for anything', () => {
  const loop = { $ref: '#/loop' }
  expect(neverMatches([steps('$.a')], loop, () => loop)).toEqual([0])
})

test('a typo at any depth is not found where a member may be anything', () => {
  expect(neverMatches([steps('$..nummer')], customer, resolve)).toEqual([])
  expect(neverMatches([steps('$..nummer')], card, resolve)).toEqual([0])
})

function steps(path: string) {
  const parsed = parseJsonPath(path)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed.steps
}
