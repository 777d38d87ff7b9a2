/** SHA-256 as the Node entry gives it. */
import { createHash } from 'node:crypto'
import type { Hasher } from '../../src/runtime.ts'

export function nodeHasher(): Hasher {
  const hash = createHash('sha256')
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') }
}
