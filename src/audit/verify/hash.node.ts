/** SHA-256 for those who verify; nothing that signs is here. */
import { createHash } from 'node:crypto'
import type { Sha256 } from '../proof/merkle.ts'
import type { BodyHasher } from './bodies.ts'

export const sha256: Sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

export function hasher(): BodyHasher {
  const hash = createHash('sha256')
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') }
}
