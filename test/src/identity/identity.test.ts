/** Claim mappings, remembered tokens, API keys and options. */
import { beforeAll, describe, expect, test } from 'vitest'
import { newApiKey, type ApiKey } from '../../../src/identity/api-key.ts'
import { createIdentity } from '../../../src/identity/identity.ts'
import type { IssuerOptions } from '../../../src/identity/options.ts'
import { claims, NOW, refusal, sign, signingKey, stage, type SigningKey } from './stage.ts'

let key: SigningKey

beforeAll(async () => {
  key = await signingKey('ES256')
})

describe('claim mappings', () => {
  test('nested paths, names with dots and the person acted for', async () => {
    const { identify } = stage([key.public], {
      claims: {
        subject: 'client_id',
        groups: ['https://example.com/groups', 'realm_access.roles'],
        actsFor: 'on_behalf_of.sub',
        kind: 'kind',
      },
    })
    const nested = { client_id: 'svc', realm_access: { roles: ['r'] }, on_behalf_of: { sub: 'ann' }, kind: 'service' }
    expect(await identify(await sign(key, claims(nested)))).toEqual({
      issuer: 'corp',
      subject: 'svc',
      kind: 'service',
      plane: 'agents',
      groups: ['r'],
      actsFor: { issuer: 'corp', subject: 'ann' },
    })
    const named = { ...nested, 'https://example.com/groups': ['g'], on_behalf_of: undefined, kind: undefined }
    expect(await identify(await sign(key, claims(named)))).toEqual({
      issuer: 'corp',
      subject: 'svc',
      kind: 'agent',
      plane: 'agents',
      groups: ['g'],
    })
  })

  test('RFC 8693: the actor is the agent and the subject the person, on the agents’ plane only', async () => {
    const { identify } = stage([key.public], { claims: { subject: ['act.sub', 'sub'], actsFor: 'sub' } })
    const delegated = claims({ sub: 'ann', act: { sub: 'agent-7' } })
    expect(await identify(await sign(key, delegated))).toEqual({
      issuer: 'corp',
      subject: 'agent-7',
      kind: 'agent',
      plane: 'agents',
      groups: ['analysts'],
      actsFor: { issuer: 'corp', subject: 'ann' },
    })
    expect(await identify(await sign(key, claims()))).not.toHaveProperty('actsFor')
    expect(await refusal(identify(await sign(key, { ...delegated, aud: 'sluice-people' }), 'people'))).toBe(
      'credential-refused: who acts for somebody else may not act as a person here',
    )
  })

  test('a kind that says agent does not come in among people, and an unknown kind nowhere', async () => {
    const { identify } = stage([key.public], { claims: { kind: 'kind' } })
    const people = (kind: string) => claims({ aud: 'sluice-people', kind })
    expect(await refusal(identify(await sign(key, people('agent')), 'people'))).toBe(
      'credential-refused: only a person may come in here',
    )
    expect((await identify(await sign(key, people('person')), 'people')).kind).toBe('person')
    expect(await refusal(identify(await sign(key, claims({ kind: 'root' }))))).toBe(
      'credential-refused: the kind in the token is not `agent`, `service` or `person`',
    )
  })

  test('a path does not reach into prototypes, arrays or texts', async () => {
    for (const subject of ['__proto__.x', 'constructor.name', 'groups.0', 'sub.length', 'toString']) {
      const { identify } = stage([key.public], { claims: { subject } })
      expect(await refusal(identify(await sign(key, claims())))).toBe('credential-refused: the token names no subject')
    }
  })
})

describe('remembered tokens', () => {
  test('are forgotten when they expire', async () => {
    const { identify, pass } = stage([key.public])
    const token = await sign(key, claims())
    const principal = await identify(token)
    expect(await identify(token)).toBe(principal)
    pass(600_000 + 29_000)
    expect((await identify(token)).subject).toBe('agent-7')
    pass(1_000)
    expect(await refusal(identify(token))).toBe('credential-refused: the token has expired')
  })

  test('are remembered for the plane on which they were proven', async () => {
    const { identify } = stage([key.public])
    const token = await sign(key, claims())
    await identify(token)
    expect(await refusal(identify(token, 'people'))).toBe('wrong-plane: this is for people and the token is for agents')
    expect((await identify(token)).plane).toBe('agents')
  })

  test('are as many as configured: the one unused for longest goes first', async () => {
    const { identify } = stage([key.public], {}, { cacheSize: 2 })
    const named = (sub: string) => sign(key, claims({ sub }))
    const [a, b, c] = [await named('a'), await named('b'), await named('c')] as const
    const first = await identify(a)
    const second = await identify(b)
    expect(await identify(a)).toBe(first)
    await identify(c)
    expect(await identify(a)).toBe(first)
    expect(await identify(b)).not.toBe(second)
  })

  test('cannot be promoted by whoever got the principal first', async () => {
    const made = await newApiKey()
    const apiKey: ApiKey = { id: made.id, hash: made.hash, subject: 's', groups: ['a'], plane: 'agents' }
    const { identify } = stage([key.public], { claims: { actsFor: 'for' } }, { apiKeys: [apiKey] })
    for (const credential of [await sign(key, claims({ for: 'ann' })), made.key]) {
      const principal = await identify(credential)
      expect(() => (principal.groups as string[]).push('admins')).toThrow(TypeError)
      expect(() => Object.assign(principal, { kind: 'person' })).toThrow(TypeError)
      expect(principal.actsFor === undefined || Object.isFrozen(principal.actsFor)).toBe(true)
    }
  })

  test('a refused token is not remembered', async () => {
    const { identify, pass } = stage([key.public])
    const early = await sign(key, claims({ nbf: NOW / 1000 + 60, iat: undefined }))
    expect(await refusal(identify(early))).toBe('credential-refused: the token is not valid yet')
    pass(60_000)
    expect((await identify(early)).subject).toBe('agent-7')
  })
})

describe('API keys', () => {
  const kept = (made: { id: string; hash: string }, more: Partial<ApiKey> = {}): ApiKey => ({
    id: made.id,
    hash: made.hash,
    subject: 'nightly-report',
    groups: ['services'],
    plane: 'agents',
    ...more,
  })

  test('a fresh key names its service, and nothing kept contains it', async () => {
    const made = await newApiKey()
    expect(made.key).toMatch(/^sluice_[a-z0-9]{1,32}_[A-Za-z0-9_-]{43}$/)
    expect(JSON.stringify(kept(made))).not.toContain(made.key.slice(`sluice_${made.id}_`.length))
    const { identify, fetched } = stage([key.public], {}, { apiKeys: [kept(made)] })
    expect(await identify(made.key)).toEqual({
      issuer: 'keys',
      subject: 'nightly-report',
      kind: 'service',
      plane: 'agents',
      groups: ['services'],
    })
    expect(fetched).toEqual([])
  })

  test('another secret, another id, a malformed, revoked or expired key is refused, and so is the people plane', async () => {
    const [made, other, revoked, expired] = await Promise.all([newApiKey(), newApiKey(), newApiKey(), newApiKey()])
    const apiKeys = [kept(made), kept(revoked, { revoked: true }), kept(expired, { expires: NOW + 1_000 })]
    const { identify, pass } = stage([key.public], {}, { apiKeys })
    const unknown = 'credential-refused: the API key is not known'
    const secretOfOther = other.key.slice(`sluice_${other.id}_`.length)
    expect(await refusal(identify(`sluice_${made.id}_${secretOfOther}`))).toBe(unknown)
    expect(await refusal(identify(other.key))).toBe(unknown)
    expect(await refusal(identify(`sluice_constructor_${secretOfOther}`))).toBe(unknown)
    expect(await refusal(identify(made.key.slice(0, -1)))).toBe('credential-refused: the API key is malformed')
    expect(await refusal(identify(`${made.key}.a.b`))).toBe('credential-refused: the API key is malformed')
    expect(await refusal(identify(revoked.key))).toBe('credential-refused: the API key is revoked')
    expect((await identify(expired.key)).subject).toBe('nightly-report')
    pass(1_000)
    expect(await refusal(identify(expired.key))).toBe('credential-refused: the API key has expired')
    expect(await refusal(identify(made.key, 'people'))).toBe(
      'wrong-plane: this is for people and the API key is for agents',
    )
    expect(await refusal(identify(other.key, 'people'))).toBe(unknown)
  })

  test('a key is revoked at once, and a broken list changes nothing', async () => {
    const made = await newApiKey()
    const { identify, identity } = stage([key.public], {}, { apiKeys: [kept(made)] })
    await identify(made.key)
    expect(() => identity.replaceApiKeys([kept(made, { hash: 'oops' })])).toThrow(
      'apiKeys[0].hash: expected 64 lower-case hex digits',
    )
    await identify(made.key)
    identity.replaceApiKeys([])
    expect(await refusal(identify(made.key))).toBe('credential-refused: the API key is not known')
  })
})

describe('options that are wrong stop the start', () => {
  const good: IssuerOptions = {
    name: 'corp',
    issuer: 'https://id.example.com',
    algorithms: ['RS256'],
    audiences: { agents: 'a', people: 'p' },
  }
  const start =
    (...issuers: object[]) =>
    () =>
      createIdentity({ issuers: issuers.map((issuer) => ({ ...good, ...issuer })) }, stage([key.public]).runtime)

  test.each([
    [{ algorithms: [] }, 'issuers[0].algorithms: name at least one'],
    [{ algorithms: ['HS256'] }, 'issuers[0].algorithms: `HS256` is not one of'],
    [{ algorithms: ['RS256', 'none'] }, 'issuers[0].algorithms: `none` is not one of'],
    [{ issuer: 'http://id.example.com' }, 'issuers[0].issuer: expected an https URL (http only on loopback)'],
    [{ issuer: 'http://127.0.0.1.example.com' }, 'issuers[0].issuer: expected an https URL (http only on loopback)'],
    [
      { issuer: 'https://user:word@id.example.com' },
      'issuers[0].issuer: expected an https URL (http only on loopback)',
    ],
    [{ jwksUri: 'ftp://x/y' }, 'issuers[0].jwksUri: expected an https URL (http only on loopback)'],
    [{ name: 'keys' }, 'issuers[0].name: `keys` is the name of API keys'],
    [{ name: 'Corp!' }, 'issuers[0].name: expected kebab-case'],
    [{ audiences: {} }, 'issuers[0].audiences: name `agents` or `people`'],
    [{ audiences: { agents: '' } }, 'issuers[0].audiences: an audience is not empty'],
    [{ audiences: { agents: 'a', people: 'a' } }, 'issuers[0].audiences: the two planes must differ'],
    [{ clockToleranceSeconds: -1 }, 'issuers[0].clockToleranceSeconds: expected 0 to 300'],
    [{ clockToleranceSeconds: Number.NaN }, 'issuers[0].clockToleranceSeconds: expected 0 to 300'],
    [{ types: [] }, 'issuers[0].types: name at least one'],
  ])('%j', (changed, message) => {
    expect(start(changed)).toThrow(message)
  })

  test('two issuers of one name or one address', () => {
    expect(start({}, { issuer: 'https://other.example.com' })).toThrow('issuers[1].name: `corp` is taken')
    expect(start({}, { name: 'other' })).toThrow('issuers[1].issuer: another issuer has it')
  })

  test('http on loopback is accepted', () => {
    expect(start({ issuer: 'http://127.0.0.1:9052' })).not.toThrow()
  })
})
