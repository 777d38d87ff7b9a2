/** One value, one digest, however it is written; and no two values with one. */
import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalText, digesterOf } from '../../../../src/statement/json/digest.ts'

describe('a canonical text', () => {
  it.each([
    ['42', 'number', '42'],
    ['42', 'string', '42'],
    ['42.0', 'number', '42'],
    ['42.00', 'string', '42'],
    ['4.2e1', 'number', '42'],
    ['420E-1', 'number', '42'],
    ['-0', 'number', '0'],
    ['-0.0', 'number', '0'],
    ['-12.50', 'string', '-12.5'],
    ['1e-3', 'number', '0.001'],
    ['9007199254740993', 'string', '9007199254740993'],
    ['9007199254740993', 'number', '9007199254740993'],
    ['1e400', 'number', '1e400'],
    // Texts that are no numbers stay as they are.
    ['007', 'string', '007'],
    ['4.2e1', 'string', '4.2e1'],
    ['+42', 'string', '+42'],
    [' 42', 'string', ' 42'],
    ['', 'string', ''],
    ['ada@example.com', 'string', 'ada@example.com'],
    ['true', 'boolean', 'true'],
    ['true', 'string', 'true'],
  ] as const)('of %s as a %s is %s', (text, kind, canonical) => {
    expect(canonicalText(text, kind)).toBe(canonical)
  })

  it('is the same for any number and the same number as a text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer()), (value) => {
        const canonical = canonicalText(JSON.stringify(value), 'number')
        expect(Number(canonical)).toBe(value === 0 ? 0 : value)
        expect(canonicalText(canonical, 'number')).toBe(canonical)
        if (!canonical.includes('e')) expect(canonicalText(canonical, 'string')).toBe(canonical)
      }),
    )
  })
})

describe('a digest', () => {
  it('is the beginning of the HMAC under the key', async () => {
    const digest = await digesterOf('a key of the tests')
    expect(digest('42')).toBe(createHmac('sha256', 'a key of the tests').update('42').digest('hex').slice(0, 32))
  })

  it('is not made under a key that can be guessed', async () => {
    await expect(digesterOf('short')).rejects.toThrow('at least 16 bytes')
  })
})
