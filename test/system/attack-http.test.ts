/** The HTTP surface under malformed, odd and hostile requests: each is told what is wrong, none is a failure of ours. */
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asked, dial, folder, head, inflight, tidy, until } from '../support/attack.ts'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

let gateway: GatewayProcess
beforeAll(async () => {
  gateway = await startGateway({ data: folder() })
})
afterAll(async () => {
  await gateway.stop()
  tidy()
})

const ONE = { connection: 'warehouse', sql: 'SELECT 1 AS n' }

/** Status and code of one query whose body and headers are as they are given. */
async function query(body: string | Uint8Array, headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(`${gateway.url}/v1/query`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${await tokenOf('agent')}`, 'Content-Type': 'application/json', ...headers },
    body: body as BodyInit,
  })
  const text = await answer.text()
  const { code } = JSON.parse(text.split('\n')[0] ?? '') as { code?: string }
  return `${answer.status} ${code ?? answer.headers.get('Content-Type')}`
}

describe('a body', () => {
  const deep = (n: number): string => '['.repeat(n) + ']'.repeat(n)
  it.each<[string, string, string]>([
    ['nested 200,000 deep', deep(200_000), '400 bad-request'],
    [
      'with parameters 20,000 deep',
      JSON.stringify({ ...ONE, params: 0 }).replace(':0', `:${deep(20_000)}`),
      '400 parameter-refused',
    ],
    [
      'with brackets 20,000 deep in its SQL',
      JSON.stringify({ ...ONE, sql: `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)}` }),
      '400 statement-refused',
    ],
    ['that sets a prototype', '{"connection":"warehouse","sql":"SELECT 1","__proto__":{"x":1}}', '400 bad-request'],
    ['that names a prototype', '{"connection":"__proto__","sql":"SELECT 1"}', '404 connection-unknown'],
    ['that is no object', 'null', '400 bad-request'],
    ['that breaks off', '{"connection":"ware', '400 bad-request'],
    ['with half a character', JSON.stringify({ ...ONE, sql: "SELECT '\ud800'" }), '400 statement-refused'],
    ['with NUL in its SQL', JSON.stringify({ ...ONE, sql: "SELECT '\0'" }), '400 statement-refused'],
    ['with an infinite bound', '{"connection":"warehouse","sql":"SELECT 1","maxRows":1e999}', '400 bad-request'],
    ['larger than may be', ' '.repeat(1_048_577), '413 body-too-large'],
  ])('%s is refused in words', async (_, body, answer) => {
    expect(await query(body)).toBe(answer)
  })

  it('that is compressed or in another alphabet is not guessed at', async () => {
    const text = JSON.stringify(ONE)
    expect(await query(gzipSync(text), { 'Content-Encoding': 'gzip' })).toBe('415 unsupported-media-type')
    expect(await query(text, { 'Content-Encoding': 'identity' })).toBe('200 application/json')
    const charset = (name: string) => ({ 'Content-Type': `application/json; charset=${name}` })
    expect(await query(Buffer.from(text, 'utf16le'), charset('utf-16'))).toBe('415 unsupported-media-type')
    expect(await query(text, charset('UTF-8'))).toBe('200 application/json')
  })
})

describe('a header', () => {
  const one = JSON.stringify(ONE)
  it.each<[string, string, string]>([
    ['Accept', 'application/x-ndjson;q=0', '406 not-acceptable'],
    ['Accept', 'application/x-ndjson;q=0, application/json', '200 application/json'],
    ['Accept', 'application/json;q=0.1, application/x-ndjson', '200 application/x-ndjson'],
    ['Accept', ';;;,q=x,*/*;q=NaN', '200 application/json'],
    ['Accept', 'text/html', '406 not-acceptable'],
    ['Prefer', 'wait=1e9', '400 bad-request'],
    ['Prefer', 'wait=-1', '400 bad-request'],
    ['Prefer', ',,;;=', '200 application/json'],
    ['Idempotency-Key', 'k'.repeat(256), '400 bad-request'],
    ['Idempotency-Key', 'a b', '400 bad-request'],
    ['Cookie', 'session=x', '401 credential-refused'],
    ['Authorization', 'Bearer  two-spaces', '401 credential-refused'],
    ['Authorization', 'Basic eDp5', '401 credential-missing'],
  ])('%s: %s is answered %s', async (name, value, answer) => {
    expect(await query(one, { [name]: value })).toBe(answer)
  })
})

describe('raw bytes', () => {
  it('that are no HTTP are closed, those that lie about their length are refused, and nothing stays', async () => {
    const agent = await head('agent', '/v1/query', ['Connection: close'])
    const whole = await asked('agent', { sql: 'SELECT 1 AS n' }, ['Connection: close'])
    const sent = [
      '\0\x01\x02GET\r\n\r\n',
      'GET / HTTP/1.1\r\n\r\n',
      'GET ftp://%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      'GET /v1/holds/%00%0d%0aX:%20y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      'CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n',
      whole.replace(/Content-Length: \d+/, 'Content-Length: -1'),
      whole.replace(/Content-Length: \d+/, 'Content-Length: 20'),
      whole.replace('Content-Type', 'Transfer-Encoding: chunked\r\nContent-Type'),
      agent.replace('Content-Type', 'Transfer-Encoding: chunked\r\nContent-Type') + 'zz\r\n',
      agent.replace('Content-Type', `X: ${'x'.repeat(40_000)}\r\nContent-Type`),
    ]
    for (const bytes of sent) {
      const { said, ended } = await dial(gateway, bytes)
      await ended
      expect(said().replace(/^$/, 'HTTP/1.1 4')).toMatch(/^HTTP\/1\.1 4/)
      expect(said()).not.toMatch(/^X: y/im)
    }
    await until(async () => (await inflight(gateway)) === 0)
  })
})

describe('far more requests than there are places', () => {
  it('are answered early with when to come back, and leave nothing behind', async () => {
    const token = await tokenOf('agent')
    const ask = async (n: number): Promise<string> => {
      const answer = await fetch(`${gateway.url}/v1/query`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ ...ONE, sql: `SELECT ${n} AS n` }),
      })
      const { code } = (await answer.json()) as { code?: string }
      return `${answer.status} ${code ?? ''} ${answer.headers.get('Retry-After') ?? ''}`.trim()
    }
    const answers = new Set(await Promise.all(Array.from({ length: 600 }, (_, n) => ask(n))))
    // Which of the two bounds is met first, that of the gateway or that of one principal, is chance.
    expect(answers).toContain('200')
    const early = [...answers].filter((it) => it !== '200')
    expect(early.length).toBeGreaterThan(0)
    expect(['429 too-many-requests 1', '503 overloaded 1']).toEqual(expect.arrayContaining(early))
    await until(async () => (await inflight(gateway)) === 0)
  })
})

describe('the operational log', () => {
  it('tells of none of this as a failure, and holds no token, text or value', async () => {
    const secret = 'a-literal-that-no-log-may-hold'
    await gateway.query('agent', `SELECT '${secret}' AS s, ERROR('${secret}') AS e`)
    await gateway.query('agent', `SELEC '${secret}'`)
    const all = gateway.logs.join('\n')
    expect(all).not.toContain('"level":"error"')
    expect(all).not.toContain(secret)
    expect(all).not.toMatch(/eyJ[\w-]{10,}/)
  })
})
