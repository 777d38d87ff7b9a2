/** Hash keys: read once at start, kept only as the two padded blocks of HMAC-SHA256. */
import type { Runtime } from '../../src/plugin.ts'

/** The blocks in base64, as BYTES parameters travel. */
export interface Pads {
  readonly inner: string
  readonly outer: string
}

const BLOCK_BYTES = 64
const KEY_BYTES_LEAST = 16

/** Reads each key. Rejects, and so stops the start, where one is missing or shorter than 16 bytes. */
export async function readKeys(
  references: Readonly<Record<string, string>>,
  runtime: Runtime,
): Promise<ReadonlyMap<string, Pads>> {
  const entries = Object.entries(references).map(async ([name, reference]) => {
    const key = new TextEncoder().encode(await runtime.secrets.read(reference))
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

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}
