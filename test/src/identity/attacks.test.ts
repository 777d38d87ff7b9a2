/** Tokens that must not pass, each with the reason that must be given, and honest ones beside them that must. */
import { exportSPKI, importJWK, SignJWT, UnsecuredJWT, CompactEncrypt } from 'jose'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { base64url, claims, ISSUER, NOW, refusal, sign, signingKey, signRaw, stage, type SigningKey } from './stage.ts'

let rsa: SigningKey
let ec: SigningKey
let stranger: SigningKey

beforeAll(async () => {
  rsa = await signingKey('RS256', 'rsa-1')
  ec = await signingKey('ES256', 'ec-1')
  stranger = await signingKey('RS256', 'rsa-1')
})

const published = () => stage([rsa.public, ec.public])

describe('an honest token', () => {
  test('under either algorithm names its principal', async () => {
    const { identify } = published()
    const principal = { issuer: 'corp', subject: 'agent-7', kind: 'agent', plane: 'agents', groups: ['analysts'] }
    expect(await identify(await sign(rsa, claims()))).toEqual(principal)
    expect(await identify(await sign(ec, claims()))).toEqual(principal)
  })

  test('on the people plane is a person', async () => {
    expect(await published().identify(await sign(ec, claims({ sub: 'ann', aud: 'sluice-people' })), 'people')).toEqual({
      issuer: 'corp',
      subject: 'ann',
      kind: 'person',
      plane: 'people',
      groups: ['analysts'],
    })
  })

  test('passes with other audiences beside ours, without groups, in any case of `typ`, with other time claims absent', async () => {
    const { identify } = published()
    const principal = { issuer: 'corp', subject: 'agent-7', kind: 'agent', plane: 'agents', groups: [] }
    const bare = claims({ aud: ['account', 'sluice-agents'], groups: undefined, iat: undefined, nbf: undefined })
    expect(await identify(await sign(rsa, bare, { typ: 'application/AT+JWT' }))).toEqual(principal)
    expect(await identify(await sign(rsa, bare, { typ: 'jwt' }))).toEqual(principal)
  })

  test('without `kid` is proven by trying the few keys that fit', async () => {
    const other = await signingKey('RS256', 'rsa-0')
    const { identify } = stage([other.public, rsa.public])
    expect((await identify(await sign(rsa, claims(), { kid: undefined }))).subject).toBe('agent-7')
    expect(await refusal(identify(await sign(stranger, claims(), { kid: undefined })))).toBe(
      'credential-refused: the signature of the token is not valid',
    )
  })
})

describe('algorithms', () => {
  const notAllowed = 'credential-refused: the algorithm of the token is not one that issuer `corp` may use'

  test('`none` in any spelling is refused', async () => {
    const { identify, fetched } = published()
    const header = { typ: 'at+jwt' }
    const payload = base64url(JSON.stringify(claims()))
    expect(await refusal(identify(new UnsecuredJWT(claims()).encode()))).toBe(notAllowed)
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      const token = `${base64url(JSON.stringify({ ...header, alg }))}.${payload}.`
      expect(await refusal(identify(token))).toBe(notAllowed)
    }
    expect(await refusal(identify(`${base64url(JSON.stringify(header))}.${payload}.`))).toBe(notAllowed)
    expect(fetched).toEqual([])
  })

  test('HS256 under the public RSA key, as PEM or as JWK bytes, is refused', async () => {
    const { identify, fetched } = published()
    const pem = await exportSPKI((await importJWK(rsa.public, 'RS256')) as CryptoKey)
    const secrets = [pem, pem.trim(), JSON.stringify(rsa.public), rsa.public.n!]
    for (const secret of secrets) {
      const token = await new SignJWT(claims())
        .setProtectedHeader({ alg: 'HS256', kid: rsa.kid, typ: 'at+jwt' })
        .sign(new TextEncoder().encode(secret))
      expect(await refusal(identify(token))).toBe(notAllowed)
    }
    expect(fetched).toEqual([])
  })

  test('a good algorithm that this issuer may not use is refused, and so is one that does not fit the key', async () => {
    const ps = await signingKey('PS256', 'ps-1')
    const { identify } = stage([rsa.public, ec.public, ps.public])
    expect(await refusal(identify(await sign(ps, claims())))).toBe(notAllowed)
    const noKey = 'credential-refused: issuer `corp` has no key for this token'
    expect(
      await refusal(
        identify(await signRaw(rsa, '{"alg":"ES256","kid":"rsa-1","typ":"JWT"}', '{"iss":"https://id.example.com"}')),
      ),
    ).toBe(noKey)
    expect(await refusal(identify(await sign(ec, claims(), { kid: 'rsa-1' })))).toBe(noKey)
    expect(
      await refusal(
        identify(await signRaw(ec, '{"alg":"RS256","kid":"ec-1","typ":"JWT"}', '{"iss":"https://id.example.com"}')),
      ),
    ).toBe(noKey)
  })

  test('a symmetric or private key in the key set verifies nothing', async () => {
    const secret = crypto.getRandomValues(new Uint8Array(32))
    const oct = { kty: 'oct', k: Buffer.from(secret).toString('base64url'), kid: 'oct-1', alg: 'HS256' }
    const { identify } = stage([oct, { ...stranger.public, d: 'private', kid: 'leaked' }, rsa.public])
    const noKey = 'credential-refused: issuer `corp` has no key for this token'
    expect(await refusal(identify(await sign(stranger, claims(), { kid: 'leaked' })))).toBe(noKey)
    const hs = await new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'oct-1', typ: 'JWT' }).sign(secret)
    expect(await refusal(identify(hs))).toBe(notAllowed)
  })
})

describe('keys', () => {
  test('a token signed by somebody else under our key id is refused', async () => {
    expect(await refusal(published().identify(await sign(stranger, claims())))).toBe(
      'credential-refused: the signature of the token is not valid',
    )
  })

  test('a changed payload, header or signature is refused', async () => {
    const { identify } = published()
    const [header, payload, signature] = (await sign(rsa, claims())).split('.') as [string, string, string]
    const invalid = 'credential-refused: the signature of the token is not valid'
    const other = base64url(JSON.stringify(claims({ sub: 'admin' })))
    expect(await refusal(identify(`${header}.${other}.${signature}`))).toBe(invalid)
    const relabelled = base64url(JSON.stringify({ alg: 'RS256', kid: 'rsa-1', typ: 'JWT' }))
    expect(await refusal(identify(`${relabelled}.${payload}.${signature}`))).toBe(invalid)
    const cut = await refusal(identify(`${header}.${payload}.${signature.slice(0, -2)}`))
    expect(cut).toBe(invalid)
    expect(await refusal(identify(`${header}.${payload}.`))).toBe(invalid)
  })

  test('`jku`, `x5u` and `jwk` in the header are never fetched nor believed', async () => {
    const { identify, fetched } = published()
    for (const kid of ['rsa-1', 'evil']) {
      const evil = {
        kid,
        jku: 'https://evil.example.com/jwks',
        x5u: 'https://evil.example.com/x5u',
        jwk: stranger.public,
      }
      await expect(identify(await sign(stranger, claims(), evil))).rejects.toThrow(/signature|no key/)
    }
    expect(new Set(fetched)).toEqual(new Set([`${ISSUER}/.well-known/openid-configuration`, `${ISSUER}/jwks`]))
  })

  test('a `kid` that is a path, a query or no text is only compared', async () => {
    const { identify, fetched } = published()
    for (const kid of ['../../etc/passwd', '/dev/null', "' OR 1=1 --", 'https://evil.example.com', '__proto__', '']) {
      expect(await refusal(identify(await sign(rsa, claims(), { kid })))).toBe(
        'credential-refused: issuer `corp` has no key for this token',
      )
    }
    const numeric = await signRaw(rsa, '{"alg":"RS256","kid":1,"typ":"JWT"}', JSON.stringify(claims()))
    expect(await refusal(identify(numeric))).toBe('credential-refused: the `kid` of the token is not a text')
    expect(new Set(fetched).size).toBe(2)
  })
})

describe('header', () => {
  test('`crit` is refused, whatever it names', async () => {
    const { identify } = published()
    const message = 'credential-refused: the token demands an extension (`crit`), and none is understood'
    for (const crit of ['["b64"],"b64":false', '["exp"],"exp":1', '[]', '["urn:evil"],"urn:evil":1']) {
      const token = await signRaw(
        rsa,
        `{"alg":"RS256","kid":"rsa-1","typ":"JWT","crit":${crit}}`,
        JSON.stringify(claims()),
      )
      expect(await refusal(identify(token))).toBe(message)
    }
  })

  test('another `typ`, or none, is refused unless the issuer is configured so', async () => {
    const message = 'credential-refused: the type (`typ`) of the token is not accepted'
    const { identify } = published()
    for (const typ of ['id_token', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', undefined]) {
      expect(await refusal(identify(await sign(rsa, claims(), { typ })))).toBe(message)
    }
    const open = stage([rsa.public], { types: [''] })
    expect((await open.identify(await sign(rsa, claims(), { typ: undefined }))).subject).toBe('agent-7')
    expect(await refusal(open.identify(await sign(rsa, claims())))).toBe(message)
  })

  test('members that are said twice are refused, in header and claims, escaped or nested', async () => {
    const { identify } = published()
    const head = '{"alg":"RS256","kid":"rsa-1","typ":"JWT"}'
    const twice = (json: string): string => json.replace('{', '{"sub":"admin",')
    const good = JSON.stringify(claims())
    const message = 'credential-refused: the claims of the token says something twice'
    expect(await refusal(identify(await signRaw(rsa, head, twice(good))))).toBe(message)
    expect(await refusal(identify(await signRaw(rsa, head, good.replace('{', '{"s\\u0075b":"admin",'))))).toBe(message)
    expect(await refusal(identify(await signRaw(rsa, head, good.replace('{', '{"a":[{"b":{"x":1,"x" : 2}}],'))))).toBe(
      message,
    )
    expect(
      await refusal(identify(await signRaw(rsa, '{"alg":"none","alg":"RS256","kid":"rsa-1","typ":"JWT"}', good))),
    ).toBe('credential-refused: the header of the token says something twice')
    const alike = good.replace('{', '{"note":"sub: {\\"sub\\":","list":["sub","sub"],"act2":{"sub":"x"},')
    expect((await identify(await signRaw(rsa, head, alike))).subject).toBe('agent-7')
  })
})

describe('claims', () => {
  const seconds = NOW / 1000

  test.each([
    [
      'another issuer',
      { iss: 'https://evil.example.com' },
      'credential-refused: the token is of an issuer that is not trusted here',
    ],
    [
      'the issuer with a slash',
      { iss: `${ISSUER}/` },
      'credential-refused: the token is of an issuer that is not trusted here',
    ],
    ['no issuer', { iss: undefined }, 'credential-refused: the token is of an issuer that is not trusted here'],
    ['a list of issuers', { iss: [ISSUER] }, 'credential-refused: the token is of an issuer that is not trusted here'],
    ['expired', { exp: seconds - 31 }, 'credential-refused: the token has expired'],
    ['no expiry', { exp: undefined }, 'credential-refused: the token has no `exp`'],
    ['expiry as text', { exp: '9999999999' }, 'credential-refused: the `exp` of the token is not acceptable'],
    ['not valid yet', { nbf: seconds + 31 }, 'credential-refused: the token is not valid yet'],
    ['issued in the future', { iat: seconds + 31 }, 'credential-refused: the token was issued in the future'],
    ['no audience', { aud: undefined }, 'credential-refused: the token has no `aud`'],
    ['another audience', { aud: 'warehouse' }, 'credential-refused: the token is for another audience'],
    ['almost our audience', { aud: 'sluice-agents ' }, 'credential-refused: the token is for another audience'],
    ['an empty list', { aud: [] }, 'credential-refused: the token is for another audience'],
    ['an audience that is an object', { aud: { a: 1 } }, 'credential-refused: the audience of the token is malformed'],
    [
      'both audiences',
      { aud: ['sluice-agents', 'sluice-people'] },
      'credential-refused: the token is for both planes; a token is for one',
    ],
    ['the other plane', { aud: 'sluice-people' }, 'wrong-plane: this is for agents and the token is for people'],
    ['no subject', { sub: undefined }, 'credential-refused: the token names no subject'],
    ['an empty subject', { sub: '' }, 'credential-refused: the subject claim of the token is not a name'],
    [
      'a subject with a line break',
      { sub: 'a\nb' },
      'credential-refused: the subject claim of the token is not a name',
    ],
    [
      'a subject that is too long',
      { sub: 'a'.repeat(257) },
      'credential-refused: the subject claim of the token is not a name',
    ],
    [
      'a subject that is an object',
      { sub: { x: 1 } },
      'credential-refused: the subject claim of the token is not a name',
    ],
    [
      'groups in one text',
      { groups: 'analysts admins' },
      'credential-refused: the groups in the token are not a list of names',
    ],
    [
      'a group that is a number',
      { groups: ['a', 1] },
      'credential-refused: the groups in the token are not a list of names',
    ],
    [
      'too many groups',
      { groups: Array.from({ length: 1001 }, () => 'g') },
      'credential-refused: the token has over 1000 groups',
    ],
    [
      'a token bound to a key',
      { cnf: { jkt: 'x' } },
      'credential-refused: the token is bound to a key (`cnf`), which cannot be checked here',
    ],
    [
      'a delegation that nobody explained',
      { act: { sub: 'x' } },
      'credential-refused: the token says who acts for whom, and the gateway is not told how to read it',
    ],
  ])('%s is refused', async (_what, changed: Record<string, unknown>, reason) => {
    expect(await refusal(published().identify(await sign(rsa, claims(changed))))).toBe(reason)
  })

  test('an expiry that never comes is refused', async () => {
    const json = JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e999')
    const token = await signRaw(rsa, '{"alg":"RS256","kid":"rsa-1","typ":"JWT"}', json)
    expect(await refusal(published().identify(token))).toMatch(/^credential-refused: the `exp` of the token is no/)
  })

  test('clocks may differ by the tolerance and no more', async () => {
    const { identify } = published()
    const late = claims({ exp: seconds - 29, nbf: seconds + 30, iat: seconds + 30 })
    expect((await identify(await sign(rsa, late))).subject).toBe('agent-7')
    const strict = stage([rsa.public], { clockToleranceSeconds: 0 })
    expect(await refusal(strict.identify(await sign(rsa, claims({ exp: seconds }))))).toBe(
      'credential-refused: the token has expired',
    )
  })

  test('the agents’ token is refused on the people plane', async () => {
    expect(await refusal(published().identify(await sign(rsa, claims()), 'people'))).toBe(
      'wrong-plane: this is for people and the token is for agents',
    )
  })

  test('an issuer without an audience for a plane is closed to it', async () => {
    const { identify } = stage([rsa.public], { audiences: { agents: 'sluice-agents' } })
    expect(await refusal(identify(await sign(rsa, claims({ aud: 'sluice-people' })), 'people'))).toBe(
      'credential-refused: the token is for another audience',
    )
  })
})

describe('form', () => {
  const run = (authorization: string | undefined) =>
    refusal(published().identity.identify(authorization, 'agents', new AbortController().signal))
  const form = 'credential-refused: the `Authorization` header is not `Bearer`, one space and one token'

  test.each([
    [undefined, 'credential-missing: the request has no `Authorization` header'],
    ['', 'credential-missing: the request has no `Authorization` header'],
    ['Basic dXNlcjpwYXNz', 'credential-missing: the `basic` scheme is not accepted'],
    ['DPoP abc', 'credential-missing: the `dpop` scheme is not accepted'],
    ['Bearer', form],
    ['Bearer ', form],
    ['Bearer  abc', form],
    ['Bearer abc ', form],
    [' Bearer abc', form],
    ['Bearer\tabc', form],
    ['Bearer abc, Bearer def', form],
    ['Bearer abc def', form],
    ['Bearer a"b', form],
    ['Bearer äbc', form],
    ['Bearer abc\n', form],
    ['Bearer ya29.a0AfH6SM', 'credential-refused: this is a Google access token, which only Google can read'],
    ['Bearer abc', 'credential-refused: the token is not a JWT'],
    ['Bearer a.b.c', 'credential-refused: the token is not base64url as it must be written'],
    ['Bearer YQ.YQ.YQ', 'credential-refused: the header of the token cannot be read'],
    ['Bearer ..', 'credential-refused: the header of the token cannot be read'],
  ])('%j', async (authorization, reason) => {
    expect(await run(authorization)).toBe(reason)
  })

  test('a header over 8 KiB is refused unread', async () => {
    const tooLong = 'credential-refused: the `Authorization` header is longer than 8192 bytes'
    expect(await run(`Bearer ${'a'.repeat(8_186)}`)).toBe(tooLong)
    expect(await run(`Bearer ${'a'.repeat(8_185)}`)).toBe('credential-refused: the token is not a JWT')
  })

  test('the scheme is read in any case', async () => {
    const token = await sign(rsa, claims())
    for (const scheme of ['bearer', 'BEARER', 'Bearer']) {
      const principal = await published().identity.identify(
        `${scheme} ${token}`,
        'agents',
        new AbortController().signal,
      )
      expect(principal.subject).toBe('agent-7')
    }
  })

  test('a token of 8 KiB with deep JSON costs no stack', async () => {
    const token = await signRaw(
      rsa,
      '{"alg":"RS256","kid":"rsa-1","typ":"JWT"}',
      `{"a":${'['.repeat(2_500)}${']'.repeat(2_500)}}`,
    )
    expect(await run(`Bearer ${token}`)).toBe('credential-refused: the token is of an issuer that is not trusted here')
  })

  test('an encrypted token is refused', async () => {
    const key = (await importJWK(rsa.public, 'RSA-OAEP')) as CryptoKey
    const jwe = await new CompactEncrypt(new TextEncoder().encode('{}'))
      .setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A256GCM' })
      .encrypt(await importJWK({ ...rsa.public, alg: 'RSA-OAEP', use: 'enc' }, 'RSA-OAEP').catch(() => key))
    expect(await run(`Bearer ${jwe}`)).toBe('credential-refused: the token is encrypted')
  })

  test('a token with any one character changed, dropped or doubled is refused, never misread', async () => {
    const { identify } = published()
    const token = await sign(rsa, claims())
    const characters = 'ABCabc019-_.=~+/'.split('')
    const changed = fc.record({
      at: fc.nat(token.length - 1),
      cut: fc.nat(1),
      put: fc.constantFrom('', ...characters, token),
    })
    await fc.assert(
      fc.asyncProperty(changed, async ({ at, cut, put }) => {
        const other = token.slice(0, at) + put + token.slice(at + cut)
        fc.pre(other !== token)
        expect(await refusal(identify(other))).toMatch(/^credential-refused: /)
      }),
      { numRuns: 500 },
    )
  })

  test('any header at all is answered with a reason', async () => {
    const { identity } = published()
    const scheme = fc.constantFrom('', 'Bearer ', 'bearer ', 'Bearer sluice_', 'Bearer ya29.', 'Bearer eyJ')
    await fc.assert(
      fc.asyncProperty(scheme, fc.string({ unit: 'binary' }), async (scheme, text) => {
        const identified = identity.identify(scheme + text, 'agents', new AbortController().signal)
        expect(await refusal(identified)).toMatch(/^credential-(missing|refused): /)
      }),
      { numRuns: 500 },
    )
  })

  test('no refusal quotes the token or carries it as a cause', async () => {
    const { identify } = published()
    const secret = 'very-secret-subject'
    for (const changed of [{ exp: 1 }, { aud: secret }, { iss: secret }, { groups: secret }, { nbf: NOW }]) {
      const token = await sign(rsa, claims({ sub: secret, ...changed }))
      const error = (await identify(token).catch((error: unknown) => error)) as Error
      const said = JSON.stringify([error.message, error.cause, error.stack, Object.entries(error)])
      expect(said).not.toContain(secret)
      expect(said).not.toContain(token.split('.')[2])
    }
  })
})
