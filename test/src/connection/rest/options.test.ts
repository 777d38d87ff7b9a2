/** A REST connection as it may be configured, and as it may not. */
import { describe, expect, test } from 'vitest'
import { secret, values } from '../../../../src/config/values.ts'
import { restOptions } from '../../../../src/connection/rest/options.ts'

const schema = restOptions({ ...values(() => undefined), secret })
const LEAST = { type: 'rest', baseUrl: 'http://crm.internal/api', credential: { type: 'none' } }

test('what is not said has a bound', () => {
  expect(schema.parse(LEAST)).toEqual({
    ...LEAST,
    timeouts: { connect: 5_000, headers: 30_000, body: 30_000, keepAlive: 4_000 },
    pool: { connections: 64, waiting: 256 },
    headers: { request: [], response: [] },
    redirects: 'drop',
    allowPrivate: false,
    maxRequestBytes: 2 ** 26,
    maxResponseBytes: 2 ** 30,
  })
})

describe('what cannot be meant is refused', () => {
  test.each([
    [{ baseUrl: 'ftp://crm.internal' }, 'baseUrl'],
    [{ baseUrl: 'http://user:password@crm.internal' }, 'baseUrl'],
    [{ baseUrl: 'http://crm.internal?key=x' }, 'baseUrl'],
    [{ baseUrl: 'http://crm.internal/#x' }, 'baseUrl'],
    [{ baseUrl: 'crm.internal' }, 'baseUrl'],
    [{ credential: undefined }, 'credential'],
    [{ credential: { type: 'bearer', token: 'sk-written-down' } }, 'credential.token'],
    [{ credential: { type: 'header', name: 'host', key: 'env:K' } }, 'credential.name'],
    [{ credential: { type: 'header', name: 'x\r\ny', key: 'env:K' } }, 'credential.name'],
    [{ credential: { type: 'header', name: 'Content-Type', key: 'env:K' } }, 'credential.name'],
    [{ credential: { type: 'query', name: 'a&b', key: 'env:K' } }, 'credential.name'],
    [
      { credential: { type: 'oauth', tokenUrl: 'http://login.example', clientId: 'a', clientSecret: 'env:K' } },
      'credential.tokenUrl',
    ],
    [{ headers: { request: ['cookie'] } }, 'headers.request.0'],
    [{ headers: { response: ['set-cookie'] } }, 'headers.response.0'],
    [{ tls: { cert: 'file:cert.pem' } }, 'tls'],
    [{ tls: { rejectUnauthorized: false } }, 'tls'],
    [{ redirects: 'follow' }, 'redirects'],
    [{ timeouts: { headers: '0s' } }, 'timeouts.headers'],
    [{ maxResponseBytes: 0 }, 'maxResponseBytes'],
    [{ retries: 3 }, ''],
  ])('%j', (more, path) => {
    const { error } = schema.safeParse({ ...LEAST, ...more })
    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
  })
})
