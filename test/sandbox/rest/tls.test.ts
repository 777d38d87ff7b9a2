/** TLS to an upstream: who it is has to be proven, and nothing switches that off. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createServer, type TlsOptions, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Failure } from '../../../src/failure.ts'
import { clientOf, outcome, testRuntime } from './raw-upstream.ts'

/** What `tls/make.sh` made: an authority, a server and a client. */
const at = (name: string): string => join(import.meta.dirname, 'tls', name)

afterEach(() => vi.unstubAllEnvs())

const runtime = testRuntime({
  secrets: {
    read: async (reference) => {
      try {
        return readFileSync(at(reference.replace('file:', '')), 'utf8')
      } catch (cause) {
        throw new Failure('internal', `the secret \`${reference}\` cannot be read`, { cause })
      }
    },
  },
})

/** What a client with these options gets of an upstream with those, and what the upstream saw. */
async function meet(options: object, upstream: TlsOptions = {}, host = 'crm.example') {
  const seen: { readonly protocol: string | false | null; readonly client: string | undefined }[] = []
  const requests: string[] = []
  const server = createServer(
    {
      key: readFileSync(at('crm.key')),
      cert: readFileSync(at('crm.pem')),
      ALPNProtocols: ['h2', 'http/1.1'],
      ...upstream,
    },
    (socket: TLSSocket) => {
      socket.on('error', () => {})
      const name: unknown = socket.getPeerCertificate().subject?.CN
      seen.push({ protocol: socket.alpnProtocol, client: typeof name === 'string' ? name : undefined })
      socket.on('data', (chunk) => {
        requests.push(chunk.toString('latin1').split('\r\n')[0] ?? '')
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      })
    },
  )
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await using client = clientOf(
    port,
    { baseUrl: `https://${host}:${port}`, allowPrivate: true, ...options },
    { runtime, resolve: (_, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) },
  )
  try {
    return { ...(await outcome(client, { method: 'POST', target: '/x' })), seen, requests }
  } finally {
    await client.close()
    server.close()
  }
}

const ca = 'file:ca.pem'
const plain = { protocol: 'http/1.1', client: undefined }

describe('an upstream over TLS', () => {
  test('that proves its name is spoken to, over HTTP/1.1', async () => {
    expect(await meet({ tls: { ca } })).toEqual({
      status: 200,
      body: 'ok',
      seen: [plain],
      requests: ['POST /x HTTP/1.1'],
    })
  })

  test.each([
    ['is vouched for by nobody', {}, 'crm.example'],
    ['proves another name', { tls: { ca } }, 'other.example'],
    ['does not prove the name that was asked for', { tls: { ca, servername: 'other.example' } }, 'crm.example'],
  ])('that %s is sent nothing, whatever the environment says', async (_, options, host) => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    expect(await meet(options, {}, host)).toMatchObject({ code: 'upstream-failed', unsent: true, requests: [] })
  })

  test('may be reached by another name than it proves, where that is said', async () => {
    expect(await meet({ tls: { ca, servername: 'crm.example' } }, {}, 'other.example')).toMatchObject({ status: 200 })
  })

  test('that asks who we are is told by a certificate', async () => {
    const asking: TlsOptions = { ca: readFileSync(at('ca.pem')), requestCert: true, rejectUnauthorized: true }
    const tls = { ca, cert: 'file:sluice.pem', key: 'file:sluice.key' }
    expect(await meet({ tls }, asking)).toMatchObject({ status: 200, seen: [{ ...plain, client: 'sluice' }] })
    expect(await meet({ tls: { ca } }, asking)).toMatchObject({ code: 'upstream-failed', requests: [] })
  })

  test('that speaks an old version only is sent nothing', async () => {
    const old: TlsOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }
    expect(await meet({ tls: { ca } }, old)).toMatchObject({ code: 'upstream-failed', unsent: true, requests: [] })
  })

  test('is sent nothing where our own keys cannot be read', async () => {
    expect(await meet({ tls: { ca, cert: 'file:none.pem', key: 'file:none.key' } })).toEqual({
      code: 'upstream-refused',
      message: 'the keys of the connection cannot be had',
      at: 'head',
      unsent: true,
      seen: [],
      requests: [],
    })
  })
})
