/** The issuer's keys: fetched once, kept while it is down, never fetched in a storm. */
import { beforeAll, describe, expect, test } from 'vitest'
import { claims, ISSUER, refusal, sign, signingKey, stage, type SigningKey } from './stage.ts'

const MINUTE = 60_000
const DISCOVERY = `${ISSUER}/.well-known/openid-configuration`
const JWKS = `${ISSUER}/jwks`
const FETCH = [DISCOVERY, JWKS]

let first: SigningKey
let second: SigningKey
let token: string

beforeAll(async () => {
  first = await signingKey('RS256', 'k-1')
  second = await signingKey('RS256', 'k-2')
  token = await sign(first, claims({ exp: Math.floor(Date.UTC(2030, 0, 1) / 1000) }))
})

/** A token of this key that is new to every cache. */
const fresh = (key: SigningKey) =>
  sign(key, claims({ jti: crypto.randomUUID(), exp: Math.floor(Date.UTC(2030, 0, 1) / 1000) }))
const down = () => Promise.reject(new Error('connection refused'))
const ended = new AbortController().signal
const NO_KEY = 'credential-refused: issuer `corp` has no key for this token'
const UNAVAILABLE = 'identity-unavailable: the keys of issuer `corp` cannot be fetched'

describe('fetching', () => {
  test('a hundred first tokens at once fetch the keys once', async () => {
    const { identify, fetched } = stage([first.public])
    const tokens = await Promise.all(Array.from({ length: 100 }, () => fresh(first)))
    await Promise.all(tokens.map((token) => identify(token)))
    expect(fetched).toEqual(FETCH)
  })

  test('whoever asks while a fetch is under way joins it', async () => {
    const { identity, fetched, answer } = stage([first.public])
    const hanging = Promise.withResolvers<Response>()
    answer('jwks', () => hanging.promise)
    const asking = Array.from({ length: 100 }, () => identity.ready(ended))
    hanging.resolve(Response.json({ keys: [first.public] }))
    await Promise.all(asking)
    expect(fetched).toEqual(FETCH)
  })

  test('`ready` fetches them before any token, and says so when it cannot', async () => {
    const { identity, fetched, answer, pass } = stage([first.public])
    answer('jwks', down)
    expect(await refusal(identity.ready(ended))).toBe(UNAVAILABLE)
    answer('jwks', undefined)
    expect(await refusal(identity.ready(ended))).toBe(UNAVAILABLE)
    pass(1_000)
    await identity.ready(ended)
    expect(fetched).toEqual([...FETCH, ...FETCH])
  })

  test('a configured key address needs no discovery', async () => {
    const { identify, fetched } = stage([first.public], { jwksUri: JWKS })
    await identify(token)
    expect(fetched).toEqual([JWKS])
  })

  test('an issuer that never answers, or never ends, is given up at the deadline', async () => {
    const silent = (signal: AbortSignal) =>
      new Promise<Response>((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up'))))
    const dripping = (signal: AbortSignal) =>
      new Response(
        new ReadableStream({
          start: (stream) => signal.addEventListener('abort', () => stream.error(new Error('given up'))),
        }),
      )
    for (const answerer of [silent, dripping]) {
      const { identify, answer } = stage([first.public], {}, { keys: { deadlineMs: 5 } })
      answer('jwks', answerer)
      expect(await refusal(identify(token))).toBe(UNAVAILABLE)
    }
  })

  test('one who leaves does not end the fetch for the others', async () => {
    const { identity, answer, identify } = stage([first.public])
    const hanging = Promise.withResolvers<Response>()
    answer('jwks', () => hanging.promise)
    const leaver = new AbortController()
    const left = identity.identify(`Bearer ${token}`, 'agents', leaver.signal)
    const stays = identify(token)
    leaver.abort()
    expect(await refusal(left)).toBe('identity-unavailable: the issuer did not answer in time')
    hanging.resolve(Response.json({ keys: [first.public] }))
    expect((await stays).subject).toBe('agent-7')
  })

  test.each([
    [
      'a redirect',
      () => new Response(null, { status: 302, headers: { location: 'https://evil.example.com' } }),
      'the issuer answered with status 302',
    ],
    ['an error', () => new Response('no', { status: 500 }), 'the issuer answered with status 500'],
    ['no JSON', () => new Response('<html>'), 'the issuer did not answer with JSON'],
    ['no key set', () => Response.json(['keys']), 'the answer is no key set'],
    ['no keys', () => Response.json({ keys: [] }), 'the key set has no public key'],
    ['only secrets', () => Response.json({ keys: [{ kty: 'oct', k: 'AAAA' }] }), 'the key set has no public key'],
    [
      'keys without end',
      () => Response.json({ keys: Array.from({ length: 101 }, () => first.public) }),
      'the key set has over 100 keys',
    ],
    ['bytes without end', () => new Response(endless()), "the issuer's answer is over 262144 bytes"],
    ['text that is no UTF-8', () => new Response(new Uint8Array([0xff, 0xfe])), 'the issuer did not answer with JSON'],
  ])('%s instead of keys is refused and said in the log', async (_what, response, why) => {
    const { identify, answer, logged } = stage([first.public])
    answer('jwks', response)
    expect(await refusal(identify(token))).toBe(UNAVAILABLE)
    expect(logged).toEqual([`issuer keys not refreshed: ${JSON.stringify({ issuer: 'corp', why })}`])
  })

  test.each([
    [
      'another issuer',
      { issuer: 'https://evil.example.com', jwks_uri: JWKS },
      'the discovery document names another issuer',
    ],
    ['no address', { issuer: ISSUER }, 'the discovery document has no acceptable `jwks_uri`'],
    [
      'plain http',
      { issuer: ISSUER, jwks_uri: 'http://id.example.com/jwks' },
      'the discovery document has no acceptable `jwks_uri`',
    ],
    [
      'our own machine',
      { issuer: ISSUER, jwks_uri: 'http://127.0.0.1:8080/x' },
      'the discovery document has no acceptable `jwks_uri`',
    ],
    [
      'our own machine, https',
      { issuer: ISSUER, jwks_uri: 'https://localhost/x' },
      'the discovery document has no acceptable `jwks_uri`',
    ],
    [
      'a file',
      { issuer: ISSUER, jwks_uri: 'file:///etc/passwd' },
      'the discovery document has no acceptable `jwks_uri`',
    ],
  ])('a discovery document with %s is refused', async (_what, document, why) => {
    const { identify, answer, fetched, logged } = stage([first.public])
    answer('discovery', () => Response.json(document))
    expect(await refusal(identify(token))).toBe(UNAVAILABLE)
    expect(fetched).toEqual([DISCOVERY])
    expect(logged).toEqual([`issuer keys not refreshed: ${JSON.stringify({ issuer: 'corp', why })}`])
  })
})

describe('rotation', () => {
  test('a new key is found with the first token it signs, once the cooldown has passed', async () => {
    const { identify, publish, pass, fetched } = stage([first.public])
    await identify(token)
    publish(first.public, second.public)
    expect(await refusal(identify(await fresh(second)))).toBe(NO_KEY)
    pass(30_000)
    expect((await identify(await fresh(second))).subject).toBe('agent-7')
    expect(fetched).toEqual([...FETCH, ...FETCH])
  })

  test('a key that is taken back takes its remembered tokens with it', async () => {
    const { identify, publish, pass, settle } = stage([first.public])
    await identify(token)
    publish(second.public)
    pass(5 * MINUTE)
    // Old enough to be fetched behind: this one still passes.
    await identify(token)
    await settle()
    expect(await refusal(identify(token))).toBe(NO_KEY)
  })

  test('after a long silence keys are fetched before they are used', async () => {
    const { identify, publish, pass } = stage([first.public])
    await identify(token)
    publish(second.public)
    pass(10 * MINUTE)
    expect(await refusal(identify(token))).toBe(NO_KEY)
  })

  test('keys in use are fetched again in the background, and tokens remembered stay so when nothing changed', async () => {
    const { identify, pass, settle, fetched } = stage([first.public])
    const principal = await identify(token)
    for (let round = 0; round < 3; round++) {
      pass(5 * MINUTE)
      expect(await identify(token)).toBe(principal)
      await settle()
    }
    expect(fetched).toEqual([...FETCH, ...FETCH, ...FETCH, ...FETCH])
  })
})

describe('storms', () => {
  test('a thousand unknown key ids fetch at most once per cooldown', async () => {
    const { identify, fetched, pass } = stage([first.public])
    await identify(token)
    const strangers = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => sign(first, claims(), { kid: `unknown-${index}` })),
    )
    for (let round = 1; round <= 3; round++) {
      const refusals = await Promise.all(strangers.map((token) => refusal(identify(token))))
      expect(new Set(refusals)).toEqual(new Set([NO_KEY]))
      // The first round is within the cooldown of the first fetch.
      expect(fetched.length).toBe(FETCH.length * round)
      pass(30_000)
    }
    expect((await identify(token)).subject).toBe('agent-7')
  })

  test('an issuer that is down is not hammered', async () => {
    const { identify, fetched, answer, pass } = stage([first.public])
    answer('discovery', down)
    for (let round = 0; round < 20; round++) {
      expect(await refusal(identify(token))).toBe(UNAVAILABLE)
      pass(100)
    }
    expect(fetched).toEqual([DISCOVERY, DISCOVERY])
  })
})

describe('an issuer that is down', () => {
  test('is done without for a day, and no longer', async () => {
    const { identify, answer, pass, settle, logged } = stage([first.public])
    await identify(token)
    answer('discovery', down)
    for (let hour = 0; hour < 23; hour++) {
      pass(60 * MINUTE)
      expect((await identify(await fresh(first))).subject).toBe('agent-7')
      expect((await identify(token)).subject).toBe('agent-7')
      await settle()
    }
    pass(60 * MINUTE)
    expect(await refusal(identify(await fresh(first)))).toBe(UNAVAILABLE)
    expect(await refusal(identify(token))).toBe(UNAVAILABLE)
    expect(new Set(logged)).toEqual(
      new Set(['issuer keys not refreshed: {"issuer":"corp","why":"the issuer did not answer with JSON"}']),
    )
    answer('discovery', undefined)
    pass(1_000)
    expect((await identify(token)).subject).toBe('agent-7')
  })

  test('is waited for once: the next requests pass while it is asked behind them', async () => {
    const { identify, answer, pass, settle } = stage([first.public])
    await identify(token)
    answer('jwks', down)
    pass(10 * MINUTE)
    await identify(token)
    const hanging = Promise.withResolvers<Response>()
    answer('jwks', () => hanging.promise)
    pass(MINUTE)
    // Answered while the fetch still hangs: nobody waited for it.
    expect((await identify(await fresh(first))).subject).toBe('agent-7')
    hanging.resolve(Response.json({ keys: [first.public] }))
    await settle()
  })

  test('with a key id that nobody knows it is our fault, not the token’s', async () => {
    const { identify, answer, pass } = stage([first.public])
    await identify(token)
    answer('jwks', down)
    pass(MINUTE)
    expect(await refusal(identify(await fresh(second)))).toBe(UNAVAILABLE)
  })
})

/** A body that never ends. */
function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024).fill(0x20)) })
}
