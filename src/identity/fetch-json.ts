/** Fetches a small JSON document, bounded in time and size, following nothing. */
import { asFailure, Failure } from '../failure.ts'

export interface FetchBounds {
  /** Milliseconds for the whole answer. */
  readonly deadlineMs: number
  readonly maxBytes: number
}

/** The parsed document. Rejects with `identity-unavailable`; the message says what was wrong with the answer. */
export async function fetchJson(url: string, bounds: FetchBounds, fetch: typeof globalThis.fetch): Promise<unknown> {
  try {
    // A redirect is refused, not followed: whoever may redirect the issuer's address could hand us their own keys.
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(bounds.deadlineMs),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Failure('identity-unavailable', `the issuer answered with status ${response.status}`)
    }
    return JSON.parse(await readText(response, bounds.maxBytes))
  } catch (error) {
    throw asFailure(error, 'identity-unavailable', 'the issuer did not answer with JSON')
  }
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let size = 0
  // Leaving the loop by throwing cancels the body.
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > maxBytes) throw new Failure('identity-unavailable', `the issuer's answer is over ${maxBytes} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
