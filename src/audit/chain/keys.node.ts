/** The keys that sign checkpoints. */
import { hash, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Failure } from '../../failure.ts'
import type { Sha256 } from '../proof/merkle.ts'
import { signerOf, type Signer } from '../proof/note.ts'

const NOTHING = new Uint8Array(0)

export const sha256: Sha256 = (...parts) => {
  // In one go: for what is as short as a record, an object that is fed takes longer than the hashing.
  return new Uint8Array(hash('sha256', parts.length === 1 ? (parts[0] ?? NOTHING) : Buffer.concat(parts), 'buffer'))
}

const PREFIX = 'sluice-checkpoint-key:'

/** A new private key, as a secret reference holds it. */
export function newCheckpointKey(): string {
  return `${PREFIX}${randomBytes(32).toString('base64url')}`
}

/** The signer of a key as `newCheckpointKey` wrote it. Throws `internal` where it is none; the words never quote it. */
export function signerOfKey(origin: string, key: string): Promise<Signer> {
  const [, encoded = ''] = /^sluice-checkpoint-key:([A-Za-z0-9_-]{43})$/.exec(key.trim()) ?? []
  const seed = new Uint8Array(Buffer.from(encoded, 'base64url'))
  if (seed.length !== 32) {
    throw new Failure('internal', 'the checkpoint key is none: make one with `sluice audit key new`')
  }
  return signerOf(sha256, origin, seed)
}

/** The key in this file, which is made where there is none, and its folder with it. */
export async function keptKey(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const key = newCheckpointKey()
  const draft = `${path}.${randomBytes(8).toString('hex')}`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(draft, `${key}\n`, { mode: 0o600, flush: true })
  await rename(draft, path)
  // What it signs must still be checkable by its public half after the power has failed.
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
  return key
}
