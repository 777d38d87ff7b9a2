/** SHA-256 by web crypto, which Node and the edge both have. */

/** 64 hex digits over the UTF-8 bytes of `text`. */
export async function sha256Hex(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
  let hex = ''
  for (const byte of hash) hex += byte.toString(16).padStart(2, '0')
  return hex
}
