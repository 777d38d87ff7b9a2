/** SHA-256 by web crypto, which Node and the edge both have. */

/** 64 hex digits over the UTF-8 bytes of `text`. */
export function sha256Hex(text: string): Promise<string> {
  return sha256HexOf(new TextEncoder().encode(text))
}

/** 64 hex digits over `bytes`. */
export async function sha256HexOf(bytes: Uint8Array): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)))
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Two digits a byte. */
export function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte] ?? ''
  return text
}
