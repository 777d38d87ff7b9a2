/** The CRM described: OpenAPI 3.1. */

const text = { type: 'string' }
const nullableText = { type: ['string', 'null'] }
const whole = { type: 'integer' }

const card = { type: 'object', properties: { number: text, expires: text }, required: ['number', 'expires'] }

const Customer = {
  type: 'object',
  required: ['id', 'name', 'email', 'ssn', 'phone', 'address', 'contacts', 'payment', 'created_at'],
  properties: {
    id: whole,
    name: text,
    email: text,
    ssn: text,
    phone: nullableText,
    address: { type: 'object', properties: { street: text, city: text, zip: text } },
    contacts: { type: 'array', items: { type: 'object', properties: { kind: text, value: text } } },
    payment: { type: ['object', 'null'], properties: { card } },
    created_at: { type: 'string', format: 'date-time' },
  },
}

const Order = {
  type: 'object',
  required: ['id', 'customer_id', 'customer_email', 'amount', 'status'],
  properties: {
    id: whole,
    customer_id: whole,
    customer_email: text,
    amount: text,
    status: { enum: ['open', 'paid', 'shipped', 'returned'] },
  },
}

const json = (schema: object): object => ({ 'application/json': { schema } })
const answer = (schema: object, description = 'as asked'): object => ({ description, content: json(schema) })
const failed = (description: string): object => answer({ $ref: '#/components/schemas/Error' }, description)
const query = (name: string, schema: object): object => ({ name, in: 'query', required: false, schema })
const path = (name: string): object => ({ name, in: 'path', required: true, schema: whole })
const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` })
const page = (of: string): object => ({
  type: 'object',
  required: ['items', 'next_cursor'],
  properties: { items: { type: 'array', items: ref(of) }, next_cursor: nullableText },
})

const PAGING = [query('limit', { ...whole, minimum: 1, maximum: 100, default: 20 }), query('cursor', text)]
const MISSING = failed('no such customer')
const BAD = failed('the request is not understood')
const BODY = { required: true, content: json(ref('Customer')) }

/** The document, for a service at `url`. */
export function openapi(url: string): object {
  return {
    openapi: '3.1.0',
    info: { title: 'Sandbox CRM', version: '1.0.0', description: 'Invented customers, for trying a gateway on.' },
    servers: [{ url }],
    security: [{ key: [] }],
    paths: {
      '/customers': {
        get: {
          operationId: 'listCustomers',
          parameters: PAGING,
          responses: { 200: answer(page('Customer')), 400: BAD },
        },
        post: {
          operationId: 'createCustomer',
          requestBody: BODY,
          responses: { 201: answer(ref('Customer')), 400: BAD },
        },
      },
      '/customers/{id}': {
        parameters: [path('id')],
        get: { operationId: 'getCustomer', responses: { 200: answer(ref('Customer')), 404: MISSING } },
        patch: {
          operationId: 'changeCustomer',
          requestBody: BODY,
          responses: { 200: answer(ref('Customer')), 400: BAD, 404: MISSING },
        },
        delete: { operationId: 'deleteCustomer', responses: { 204: { description: 'deleted' }, 404: MISSING } },
      },
      '/orders': {
        get: { operationId: 'listOrders', parameters: PAGING, responses: { 200: answer(page('Order')), 400: BAD } },
      },
      '/events': {
        get: {
          operationId: 'streamEvents',
          parameters: [query('n', whole)],
          responses: { 200: { description: 'server-sent events', content: { 'text/event-stream': {} } }, 400: BAD },
        },
      },
      '/export': {
        get: {
          operationId: 'exportCustomers',
          parameters: [query('n', whole)],
          responses: { 200: { description: 'a customer per line', content: { 'application/x-ndjson': {} } }, 400: BAD },
        },
      },
      '/uploads': {
        post: {
          operationId: 'upload',
          requestBody: { content: { 'application/octet-stream': {}, 'multipart/form-data': {} } },
          responses: { 201: answer({ type: 'object', properties: { digest: text, size: whole, type: nullableText } }) },
        },
      },
      '/errors/{status}': {
        get: {
          operationId: 'fail',
          parameters: [path('status')],
          responses: { default: failed('the status asked for') },
        },
      },
      '/redirect': {
        get: {
          operationId: 'redirect',
          parameters: [query('to', text)],
          responses: { 302: { description: 'elsewhere' } },
        },
      },
    },
    components: {
      securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-Api-Key' } },
      schemas: { Customer, Order, Error: { type: 'object', required: ['error'], properties: { error: text } } },
    },
  }
}
