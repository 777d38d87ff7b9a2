/**
 * HMAC-SHA256 (RFC 2104) of keys that are kept only as their two padded blocks: the warehouse computes it from them as
 * parameters, the gateway with `hasherOf`. Both give the same, so that what they hash can be joined.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { base64, fromBase64 } from '../bytes.ts'
import { hex } from '../digest.ts'

/** The key's blocks in base64, as BYTES parameters travel. */
export interface Pads {
  readonly inner: string
  readonly outer: string
}

/** What is needed of the machine to read a key. */
interface Secrets {
  read(reference: string): Promise<string>
}

const BLOCK_BYTES = 64
const KEY_BYTES_LEAST = 16

/** Reads each key. Rejects, and so stops the start, where one is missing or shorter than 16 bytes. */
export async function readKeys(
  references: Readonly<Record<string, string>>,
  { secrets }: { readonly secrets: Secrets },
): Promise<ReadonlyMap<string, Pads>> {
  const entries = Object.entries(references).map(async ([name, reference]) => {
    const key = new TextEncoder().encode(await secrets.read(reference))
    if (key.length < KEY_BYTES_LEAST) {
      throw new Error(`mask key \`${name}\` (\`${reference}\`) is shorter than ${KEY_BYTES_LEAST} bytes`)
    }
    return [name, await pads(key)] as const
  })
  return new Map(await Promise.all(entries))
}

/** RFC 2104: the key, hashed where it is longer than a block, zero-filled to one, xor 0x36 and 0x5c. */
export async function pads(key: Uint8Array<ArrayBuffer>): Promise<Pads> {
  const block = new Uint8Array(BLOCK_BYTES)
  block.set(key.length > BLOCK_BYTES ? new Uint8Array(await crypto.subtle.digest('SHA-256', key)) : key)
  return { inner: base64(block.map((byte) => byte ^ 0x36)), outer: base64(block.map((byte) => byte ^ 0x5c)) }
}

/** 64 hex digits over a text's UTF-8 bytes. */
export type TextHasher = (text: string) => string

/** The blocks are hashed once, here; each text then starts from where they end. */
export function hasherOf({ inner, outer }: Pads): TextHasher {
  const [innerBlock, outerBlock] = [
    sha256.create().update(fromBase64(inner)),
    sha256.create().update(fromBase64(outer)),
  ]
  const encoder = new TextEncoder()
  return (text) => {
    const digest = innerBlock.clone().update(encoder.encode(text)).digest()
    return hex(outerBlock.clone().update(digest).digest())
  }
}
