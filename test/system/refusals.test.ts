/** What is not understood or not proven, through the front door: each refusal with its status, code and words. */
import { createServer, request } from 'node:http'
import { generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway.stop())

const QUERY = { connection: 'warehouse', sql: 'SELECT 1 AS one' }

/** Status and code of a call with exactly these headers. */
async function call(headers: Record<string, string>, body: string | undefined = JSON.stringify(QUERY)) {
  const answer = await fetch(`${gateway.url}/v1/query`, {
    method: 'POST',
    headers,
    ...(body !== undefined && { body }),
  })
  const problem = await answer.json()
  return { status: answer.status, code: problem.code, detail: problem.detail, type: answer.headers.get('Content-Type') }
}

async function asAgent(body: unknown, headers: Record<string, string> = {}) {
  const Authorization = `Bearer ${await tokenOf('agent')}`
  return call(
    { Authorization, 'Content-Type': 'application/json', ...headers },
    typeof body === 'string' ? body : JSON.stringify(body),
  )
}

describe('a credential', () => {
  it('must be there, and the answer says how', async () => {
    const answer = await fetch(`${gateway.url}/v1/query`, { method: 'POST', body: '{}' })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('WWW-Authenticate')).toMatch(/^Bearer/)
    expect(await answer.json()).toMatchObject({ code: 'credential-missing', status: 401, reasons: [] })
  })

  it.each([
    ['Basic', 'Basic YWdlbnQ6cHc='],
    ['no token', 'Bearer '],
    ['two tokens', 'Bearer a b'],
    ['not a token', 'Bearer abc'],
    ['alg none', 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZ2VudCJ9.'],
  ])('that is %s is refused', async (_, Authorization) => {
    expect((await call({ Authorization })).status).toBe(401)
  })

  it('signed by a key that is not the issuer’s is refused', async () => {
    const { privateKey } = await generateKeyPair('ES256')
    const forged = await new SignJWT({ groups: ['analyst-agents'] })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'mine' })
      .setIssuer(inject('sandbox').issuer)
      .setSubject('agent')
      .setAudience('sluice-agents')
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey)
    expect(await call({ Authorization: `Bearer ${forged}` })).toMatchObject({ status: 401, code: 'credential-refused' })
  })

  it('of a person is refused on the agents’ plane', async () => {
    const Authorization = `Bearer ${await tokenOf('owner')}`
    expect(await call({ Authorization })).toMatchObject({ status: 403, code: 'wrong-plane' })
  })

  it('beside a cookie is refused', async () => {
    expect(await asAgent(QUERY, { Cookie: 'session=1' })).toMatchObject({ status: 401, code: 'credential-refused' })
  })
})

describe('a body', () => {
  it.each([
    ['not JSON', '{', 'bad-request'],
    ['an array', '[]', 'bad-request'],
    ['without sql', { connection: 'warehouse' }, 'bad-request'],
    ['with an unknown key', { ...QUERY, sqll: 'x' }, 'bad-request'],
    ['with a number for sql', { ...QUERY, sql: 5 }, 'bad-request'],
    ['with half a row', { ...QUERY, maxRows: 1.5 }, 'bad-request'],
    ['with no rows', { ...QUERY, maxRows: 0 }, 'bad-request'],
    ['with too many rows', { ...QUERY, maxRows: 1e12 }, 'bad-request'],
    ['with a bad parameter', { ...QUERY, params: { x: { type: 'INT64', value: 'five' } } }, 'parameter-refused'],
    ['with a reserved parameter', { ...QUERY, params: { sluice_k1: 'x' } }, 'parameter-refused'],
    [
      'with a number that JSON rounds',
      '{"connection":"warehouse","sql":"SELECT @x","params":{"x":9007199254740993}}',
      'parameter-refused',
    ],
    ['for no connection', { ...QUERY, connection: 'warehose' }, 'connection-unknown'],
    ['with SQL that does not parse', { ...QUERY, sql: 'SELEC 1' }, 'statement-refused'],
    ['with two statements', { ...QUERY, sql: 'SELECT 1; SELECT 2' }, 'denied'],
    ['with a table that is not there', { ...QUERY, sql: 'SELECT * FROM shop.custommers' }, 'resource-unknown'],
    ['with a column that is not there', { ...QUERY, sql: 'SELECT emial FROM shop.customers' }, 'resource-unknown'],
  ])('%s is refused as %s', async (_, body, code) => {
    const refused = await asAgent(body)
    expect([refused.code, refused.type]).toEqual([code, 'application/problem+json'])
  })

  it('that is too large is refused before it is read', async () => {
    expect(await asAgent({ ...QUERY, purpose: 'x'.repeat(2_000_000) })).toMatchObject({
      status: 413,
      code: 'body-too-large',
    })
  })

  it('of another type is refused', async () => {
    expect(await asAgent(QUERY, { 'Content-Type': 'text/plain' })).toMatchObject({ status: 415 })
  })

  it('for another representation is refused', async () => {
    expect(await asAgent(QUERY, { Accept: 'text/csv' })).toMatchObject({ status: 406, code: 'not-acceptable' })
  })

  it('names the nearest column, never a value', async () => {
    const refused = await asAgent({ ...QUERY, sql: `SELECT emial FROM shop.customers WHERE ssn = '123-45-6789'` })
    expect(refused.detail).toContain('emial')
    expect(JSON.stringify(refused)).not.toContain('123-45-6789')
  })
})

describe('a path', () => {
  it('that nothing answers says where to look', async () => {
    const answer = await fetch(`${gateway.url}/v1/querry`)
    expect([answer.status, (await answer.json()).code]).toEqual([404, 'not-found'])
    expect(answer.headers.get('Sluice-Exchange')).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('called by another method says which it takes', async () => {
    const answer = await fetch(`${gateway.url}/v1/query`)
    expect([answer.status, (await answer.json()).code]).toEqual([405, 'method-not-allowed'])
  })
})

describe('the operators’ doors', () => {
  it('tell that every part is ready', async () => {
    const answer = await fetch(`${gateway.url}/readyz`)
    expect(await answer.json()).toEqual({
      status: 'ready',
      parts: {
        identity: { ready: true },
        store: { ready: true },
        'connection crm': { ready: true },
        'connection warehouse': { ready: true },
        clickhouse: { ready: true },
        journal: { ready: true },
      },
    })
  })

  it('describe every call', async () => {
    const document = await (await fetch(`${gateway.url}/openapi.json`)).json()
    expect(Object.keys(document.paths).toSorted()).toEqual([
      '/healthz',
      '/readyz',
      '/v1/audit/exchanges/{id}',
      '/v1/audit/exchanges/{id}/replay',
      '/v1/audit/export',
      '/v1/audit/query',
      '/v1/connections',
      '/v1/connections/{connection}/resources',
      '/v1/holds',
      '/v1/holds/{id}',
      '/v1/holds/{id}/approve',
      '/v1/holds/{id}/reject',
      '/v1/holds/{id}/run',
      '/v1/holds/{id}/withdraw',
      '/v1/preflight',
      '/v1/query',
    ])
    expect(document.paths['/v1/query'].post.requestBody.content['application/json'].schema).toEqual({
      $ref: '#/components/schemas/Query',
    })
  })

  it('say which part is not ready', async () => {
    const dead = createServer()
    await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve))
    const { port } = dead.address() as { port: number }
    dead.close()
    const lonely = await startGateway({ env: { SLUICE_SANDBOX_WAREHOUSE: `http://127.0.0.1:${port}` } })
    const answer = await fetch(`${lonely.url}/readyz`)
    const body = await answer.json()
    expect([answer.status, body.parts['connection warehouse'].ready, body.parts.store.ready]).toEqual([
      503,
      false,
      true,
    ])
    await lonely.stop()
  })
})

describe('the operational log', () => {
  it('holds no token, no statement and no literal', async () => {
    const token = await tokenOf('agent')
    await asAgent({ ...QUERY, sql: `SELECT 'a-very-secret-literal' FROM shop.nothing_here` })
    await call({ Authorization: `Bearer ${token}x` })
    await new Promise<void>((resolve) => {
      request(`${gateway.url}/healthz`, (answer) => answer.resume().on('end', resolve)).end()
    })
    const text = gateway.logs.join('\n')
    expect(text).not.toContain(token)
    expect(text).not.toContain('a-very-secret-literal')
  })
})
