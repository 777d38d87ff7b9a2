/** Bounded answers. */
import { Failure } from '../../failure.ts'
import { concatenated } from '../../bytes.ts'

/** All of it as text. Rejects where it is longer than `most` characters, or no UTF-8. */
export async function textOf(body: ReadableStream<Uint8Array>, most: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let whole = ''
  for await (const chunk of body) {
    whole += decoder.decode(chunk, { stream: true })
    if (whole.length > most) throw new Failure('upstream-refused', 'the answer is too long')
  }
  return whole + decoder.decode()
}

/** All of it. Rejects where it is longer than `most`. */
export async function bytesOf(body: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > most) throw new Failure('upstream-refused', 'the answer is too long')
    parts.push(chunk)
  }
  return concatenated(parts)
}
