/** Tokens by OAuth client credentials: asked for once, kept, renewed before they end. */
import { describe, expect, test } from 'vitest'
import { createCredential } from '../../../../src/connection/rest/credential.ts'
import type { Runtime } from '../../../../src/runtime.ts'
import { nodeHasher } from '../../../support/hasher.ts'

const OPTIONS = {
  type: 'oauth',
  tokenUrl: 'https://login.example/token',
  clientId: 'sluice & co',
  clientSecret: 'env:SECRET',
  scope: 'read write',
} as const
const never = new AbortController().signal

/** An issuer that answers what it is told, a clock that is set by hand. */
function world(answer: (count: number) => Response | Promise<Response>) {
  const asked: { url: string; init: RequestInit }[] = []
  const time = { ms: 1_000_000 }
  const runtime: Runtime = {
    clock: { now: () => time.ms, monotonic: () => time.ms },
    newId: () => '',
    hasher: nodeHasher,
    secrets: { read: async () => 'p:a+ss' },
    fetch: async (url, init) => {
      asked.push({ url: url as string, init: init ?? {} })
      return await answer(asked.length)
    },
    log: () => {},
    background: () => {},
  }
  return { asked, time, credential: createCredential(OPTIONS, runtime) }
}

const token = (count: number, more: object = {}): Response =>
  Response.json({ access_token: `token-${count}`, token_type: 'bearer', expires_in: 3_600, ...more })
const header = (count: number): readonly string[] => ['authorization', `Bearer token-${count}`]

describe('a token', () => {
  test('is asked for as RFC 6749 says', async () => {
    const { asked, credential } = world(token)
    expect((await credential.prove(never)).header).toEqual(header(1))
    const { url, init } = asked[0] ?? { url: '', init: {} }
    expect({ ...init, url, signal: undefined }).toEqual({
      url: 'https://login.example/token',
      method: 'POST',
      headers: {
        authorization: `Basic ${btoa('sluice+%26+co:p%3Aa%2Bss')}`,
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
      },
      body: 'grant_type=client_credentials&scope=read+write',
      redirect: 'error',
      signal: undefined,
    })
    expect(init.signal).toBeInstanceOf(AbortSignal)
  })

  test('is asked for once by many', async () => {
    let give: (response: Response) => void = () => {}
    const { asked, credential } = world(async () => await new Promise<Response>((resolve) => (give = resolve)))
    const many = Array.from({ length: 20 }, async () => (await credential.prove(never)).header)
    await expect.poll(() => asked.length).toBe(1)
    give(token(1))
    expect(await Promise.all(many)).toEqual(Array.from({ length: 20 }, () => header(1)))
    expect(asked).toHaveLength(1)
  })

  test('one who leaves does not take it from the others', async () => {
    let give: (response: Response) => void = () => {}
    const { asked, credential } = world(async () => await new Promise<Response>((resolve) => (give = resolve)))
    const leaving = new AbortController()
    const left = credential.prove(leaving.signal)
    const stayed = credential.prove(never)
    await expect.poll(() => asked.length).toBe(1)
    leaving.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    give(token(1))
    expect((await stayed).header).toEqual(header(1))
  })

  test('is kept, and renewed a minute before it ends', async () => {
    const { asked, time, credential } = world(token)
    await credential.prove(never)
    time.ms += 3_539_999
    expect((await credential.prove(never)).header).toEqual(header(1))
    time.ms += 1
    expect((await credential.prove(never)).header).toEqual(header(2))
    expect(asked).toHaveLength(2)
  })

  test('that cannot be renewed is used until it ends, and no longer', async () => {
    const { asked, time, credential } = world((count) => (count === 1 ? token(1) : new Response('no', { status: 500 })))
    await credential.prove(never)
    time.ms += 3_599_000
    expect((await credential.prove(never)).header).toEqual(header(1))
    expect((await credential.prove(never)).header).toEqual(header(1))
    expect(asked).toHaveLength(2)
    time.ms += 1_000
    await expect(credential.prove(never)).rejects.toMatchObject({ code: 'upstream-refused', unsent: true })
  })

  test('that the upstream refuses is thrown away, but not again and again', async () => {
    const { asked, time, credential } = world(token)
    const proof = await credential.prove(never)
    time.ms += 10_001
    credential.refused(proof)
    const second = await credential.prove(never)
    expect(second.header).toEqual(header(2))
    credential.refused(second)
    credential.refused(proof)
    expect((await credential.prove(never)).header).toEqual(header(2))
    expect(asked).toHaveLength(2)
  })

  test.each([
    ['is refused', () => new Response('{"error":"invalid_client"}', { status: 401 })],
    ['redirects', () => new Response(null, { status: 302, headers: { location: 'https://evil.example' } })],
    ['answers no JSON', () => new Response('<p>token</p>')],
    ['answers a list', () => Response.json([])],
    ['answers no token', () => Response.json({ token_type: 'bearer' })],
    ['answers another kind of token', () => Response.json({ access_token: 'x', token_type: 'mac' })],
    ['answers a token with a line break', () => Response.json({ access_token: 'x\r\ny: z', token_type: 'bearer' })],
    ['answers without end', () => new Response(' '.repeat(100_000))],
    [
      'cannot be reached',
      () => {
        throw new TypeError('fetch failed: p:a+ss')
      },
    ],
  ])('whose issuer %s is none, and nothing secret is said', async (_, answer) => {
    const { asked, credential } = world(answer)
    const error: unknown = await credential.prove(never).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'upstream-refused',
      message: 'the credential for the upstream cannot be had',
      unsent: true,
    })
    const said = JSON.stringify([error, (error as Error).stack, String((error as Error).cause)])
    expect(said).not.toMatch(/p:a|p%3Aa/)
    await expect(credential.prove(never)).rejects.toBe(error)
    expect(asked).toHaveLength(1)
  })
})
