/** Operations: one request is one operation, or none. */
import { expect, test } from 'vitest'
import { operationsOfDocument, operationsOfList } from '../../../../src/statement/http/operations.ts'

const LIST = [
  'GET /customers',
  'GET /customers/{id}',
  'GET /customers/me',
  'POST /customers',
  'DELETE /customers/{id}',
  'GET /',
]

test.each([
  ['GET', ['customers'], 'GET /customers', {}],
  ['GET', ['customers', '42'], 'GET /customers/{id}', { id: '42' }],
  ['GET', ['customers', 'me'], 'GET /customers/me', {}],
  ['GET', ['customers', 'ME'], 'GET /customers/{id}', { id: 'ME' }], // refused: see `otherCase`
  ['HEAD', ['customers', '42'], 'GET /customers/{id}', { id: '42' }],
  ['DELETE', ['customers', 'me'], 'DELETE /customers/{id}', { id: 'me' }],
  ['GET', [''], 'GET /', {}],
] as const)('%s %j is %s', (method, segments, resource, path) => {
  const matched = operationsOfList(LIST).match(method, segments)
  expect(matched).toMatchObject({ operation: { resource }, path })
})

test.each([
  ['PUT', ['customers', '42']],
  ['GET', ['customers', '42', 'orders']],
  ['GET', ['Customers']],
  ['GET', ['customers', '']],
  ['HEAD', ['orders']],
  ['get', ['customers']],
] as const)('%s %j is none', (method, segments) => {
  expect(operationsOfList(LIST).match(method, segments)).toBeUndefined()
})

test('says which methods a path takes', () => {
  expect(operationsOfList(LIST).methodsOf(['customers'])).toEqual(['GET', 'HEAD', 'POST'])
  expect(operationsOfList(LIST).methodsOf(['orders'])).toEqual([])
})

test('an action follows from the method, unless the configuration says otherwise', () => {
  const { all } = operationsOfList(
    ['GET /a', 'POST /search', 'PUT /a', 'DELETE /a'],
    [{ resource: 'POST /search', action: 'read' }],
  )
  expect(all.map(({ resource, action }) => `${resource}: ${action}`)).toEqual([
    'DELETE /a: delete',
    'GET /a: read',
    'POST /search: read',
    'PUT /a: write',
  ])
})

test.each([
  [['customers'], '`customers` is not a method and a path template, such as `GET /customers/{id}`'],
  [['TRACE /a'], '`TRACE /a` is not a method and a path template, such as `GET /customers/{id}`'],
  [['GET /a/{b'], '`/a/{b` is not a path template such as `/customers/{id}`'],
  [['GET /a//b'], '`/a//b` is not a path template such as `/customers/{id}`'],
  [['GET /a/x{b}'], '`/a/x{b}` is not a path template such as `/customers/{id}`'],
  [['GET /{a}/{a}'], '`/{a}/{a}` is not a path template that names each parameter once'],
  [['GET /a/{b}', 'GET /a/{c}'], '`GET /a/{c}` and `GET /a/{b}` are one request'],
  [['GET /a', 'GET /a'], 'two operations are called `GET /a`'],
])('%j is refused', (list, problem) => {
  expect(() => operationsOfList(list)).toThrow(new Error(problem))
})

test('an action for what is no operation is a mistake', () => {
  expect(() => operationsOfList(['GET /a'], [{ resource: 'GET /b', action: 'read' }])).toThrow(
    'an action is given for `GET /b`, which is no operation',
  )
})

test('an OpenAPI document: names, parameters of path and operation, references', () => {
  const document = {
    openapi: '3.1.0',
    paths: {
      '/customers/{id}': {
        parameters: [{ $ref: '#/components/parameters/id' }],
        get: {
          operationId: 'getCustomer',
          summary: 'One customer',
          parameters: [
            { name: 'fields', in: 'query' },
            { name: 'X-Trace', in: 'header' },
          ],
        },
        delete: {},
      },
    },
    components: { parameters: { id: { name: 'id', in: 'path', required: true } } },
  }
  const id = { name: 'id', in: 'path', required: true }
  expect(operationsOfDocument(document).all).toEqual([
    {
      resource: 'DELETE /customers/{id}',
      method: 'DELETE',
      template: '/customers/{id}',
      action: 'delete',
      parameters: [id],
    },
    {
      resource: 'getCustomer',
      method: 'GET',
      template: '/customers/{id}',
      action: 'read',
      summary: 'One customer',
      parameters: [id, { name: 'fields', in: 'query', required: false }],
    },
  ])
})

test.each([
  [{}, 'the document is no OpenAPI 3'],
  [{ swagger: '2.0', paths: {} }, 'the document is no OpenAPI 3'],
  [{ openapi: '3.0.0', paths: {} }, 'the document describes no operation'],
  [{ openapi: '3.0.0', paths: [] }, 'the document is not as OpenAPI 3 has it'],
  [
    { openapi: '3.0.0', paths: { '/a': { $ref: 'other.yaml#/a' } } },
    'the document refers to another one: bundle it into one file',
  ],
  [{ openapi: '3.0.0', paths: { '/a': { get: 1 } } }, 'the document is not as OpenAPI 3 has it'],
  [
    { openapi: '3.0.0', paths: { '/a': { get: { operationId: 'x' } }, '/b': { get: { operationId: 'x' } } } },
    'two operations are called `x`',
  ],
])('%j is refused', (document, problem) => {
  expect(() => operationsOfDocument(document)).toThrow(new Error(problem))
})
