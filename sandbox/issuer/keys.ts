/** The issuer's signing keys, kept in its folder so that tokens outlive a restart. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, type JWK } from 'jose'

/** What the issuer must remember. */
export interface KeptKeys {
  /** One RS256 and one ES256 private key. */
  readonly signing: { readonly keys: readonly JWK[] }
  /** Signs the login page's cookies. */
  readonly cookie: string
}

/** Reads the keys of folder `data`, or makes them the first time. */
export async function keptKeys(data: string): Promise<KeptKeys> {
  const path = join(data, 'keys.json')
  try {
    return JSON.parse(await readFile(path, 'utf8')) as KeptKeys
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const kept: KeptKeys = {
    signing: { keys: await Promise.all([signingKey('RS256'), signingKey('ES256')]) },
    cookie: crypto.randomUUID(),
  }
  // Whole or not at all: a half-written file would keep the sandbox from starting again.
  await writeFile(`${path}.new`, JSON.stringify(kept), { mode: 0o600 })
  await rename(`${path}.new`, path)
  return kept
}

async function signingKey(alg: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return {
    ...(await exportJWK(privateKey)),
    alg,
    use: 'sig',
    kid: `sandbox-${alg.toLowerCase()}-${crypto.randomUUID()}`,
  }
}
