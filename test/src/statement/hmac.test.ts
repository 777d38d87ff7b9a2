import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasherOf, pads } from '../../../src/statement/hmac.ts'

test('the blocks of a key hash as the key does, whatever its length and the text', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 16, maxLength: 200 }),
      fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }),
      async (key, texts) => {
        const hash = hasherOf(await pads(Uint8Array.from(key)))
        for (const text of texts) expect(hash(text)).toBe(createHmac('sha256', key).update(text).digest('hex'))
      },
    ),
  )
})
