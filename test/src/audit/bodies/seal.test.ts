/** What the gateway seals it cannot read; each auditor can, with their own key. */
import { generateKeyPair, exportJWK } from 'jose'
import { describe, expect, it } from 'vitest'
import { newAuditorKey, sealerOf, unsealed } from '../../../../src/audit/bodies/seal.ts'

const plain = (exchange: string, ...values: readonly string[]): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({ exchange, originals: values.map((value) => ({ where: '$.email', value })) }),
  )
const line = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

async function rsa() {
  const pair = await generateKeyPair('RSA-OAEP-256', { extractable: true })
  return { publicKey: await exportJWK(pair.publicKey), privateKey: await exportJWK(pair.privateKey) }
}
async function x25519() {
  const pair = await generateKeyPair('ECDH-ES+A256KW', { crv: 'X25519', extractable: true })
  return { publicKey: await exportJWK(pair.publicKey), privateKey: await exportJWK(pair.privateKey) }
}

describe('sealed originals', () => {
  it('open with the key of any auditor, whatever its kind, and hold nothing in plain', async () => {
    const auditors = [await newAuditorKey(), await rsa(), await x25519()]
    const seal = await sealerOf([{ keys: [auditors[0]?.publicKey] }, auditors[1]?.publicKey, auditors[2]?.publicKey])
    const sealed = line(await seal(plain('x1', 'ada@example.com'), 'x1'))
    expect(sealed).not.toContain('ada')
    expect(sealed.trimEnd()).not.toContain('\n')
    for (const { privateKey } of auditors) {
      expect(await unsealed(sealed, privateKey)).toEqual([
        { exchange: 'x1', where: '$.email', value: 'ada@example.com' },
      ])
    }
  })

  it('open with no other key, and not once they were changed or moved to another exchange', async () => {
    const [auditor, other] = [await newAuditorKey(), await newAuditorKey()]
    const seal = await sealerOf([auditor.publicKey])
    const sealed = line(await seal(plain('x1', 'ada'), 'x1'))
    await expect(unsealed(sealed, other.privateKey)).rejects.toThrow()
    const parsed = JSON.parse(sealed) as { aad: string; ciphertext: string }
    const moved = { ...parsed, aad: Buffer.from('x2').toString('base64url') }
    await expect(unsealed(JSON.stringify(moved), auditor.privateKey)).rejects.toThrow()
    const changed = { ...parsed, ciphertext: `A${parsed.ciphertext.slice(1)}` }
    if (changed.ciphertext !== parsed.ciphertext) {
      await expect(unsealed(JSON.stringify(changed), auditor.privateKey)).rejects.toThrow()
    }
    const untrue = line(await seal(plain('x2', 'ada'), 'x1'))
    await expect(unsealed(untrue, auditor.privateKey)).rejects.toThrow('of another exchange')
  })

  it('are not sealed to what the gateway could read, or nobody could', async () => {
    const { privateKey, publicKey } = await newAuditorKey()
    await expect(sealerOf([privateKey])).rejects.toThrow('holds its private half (`d`)')
    await expect(sealerOf([])).rejects.toThrow('names no key')
    await expect(sealerOf(['key'])).rejects.toThrow('a JWK or a JWK set')
    await expect(sealerOf([{ kty: 'oct', k: 'c2VjcmV0' }])).rejects.toThrow('private half (`k`)')
    await expect(sealerOf([{ ...publicKey, use: 'sig' }])).rejects.toThrow('not for encryption')
    await expect(sealerOf([{ ...publicKey, x: 'AAAA' }])).rejects.toThrow()
    await expect(sealerOf([{ kty: 'OKP', crv: 'Ed25519', x: publicKey.x }])).rejects.toThrow('X25519')
    const weak = await generateKeyPair('RSA-OAEP-256', { extractable: true, modulusLength: 2048 })
    const { n = '', ...rest } = await exportJWK(weak.publicKey)
    await expect(sealerOf([{ ...rest, n: n.slice(0, 171) }])).rejects.toThrow('at least 2048')
  })
})
