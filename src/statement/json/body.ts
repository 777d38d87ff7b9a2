/** Bodies in which JSON masks can be put: which they are, and how each is read. */

/** Bytes in, bytes out, as `Transform` of the plugins' contract. Throws where a body is not what its head says. */
export interface Bytes {
  push(chunk: Uint8Array): Uint8Array
  end(): Uint8Array
}

/** `document`: one JSON text. `documents`: many, in lines or a sequence. `events`: server-sent ones. `form`: names and values. */
export type BodyForm = 'document' | 'documents' | 'events' | 'form'

const FORMS: ReadonlyMap<string, BodyForm> = new Map([
  ['application/json', 'document'],
  ['text/json', 'document'],
  ['application/x-ndjson', 'documents'],
  ['application/ndjson', 'documents'],
  ['application/jsonl', 'documents'],
  ['application/x-jsonlines', 'documents'],
  ['application/json-seq', 'documents'],
  ['text/event-stream', 'events'],
  ['application/x-www-form-urlencoded', 'form'],
])

/** `application/problem+json` */
const JSON_SUFFIX = /^[\w.!#$&^-]+\/[\w.!#$&^+-]+\+json$/

/** Of a type in small letters without parameters; `undefined` where no mask can be put in it. */
export function formOf(contentType: string): BodyForm | undefined {
  return FORMS.get(contentType) ?? (JSON_SUFFIX.test(contentType) ? 'document' : undefined)
}

/** Whether a body of this charset is read as UTF-8, as JSON is where nothing is said. Small letters. */
export function isUtf8(charset: string | undefined): boolean {
  return charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii'
}

/** A body of no type, which has to be empty. */
export const NOTHING: Bytes = {
  push(chunk) {
    if (chunk.length > 0) throw new MalformedBody('a body of no content type')
    return chunk
  },
  end: () => new Uint8Array(),
}

/** Bytes that are not what their content type says. The body's own text is in no word of it. */
export class MalformedBody extends Error {
  override readonly name = 'MalformedBody'
}

/** Pieces as one. */
export function concatenated(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces
  if (only !== undefined && pieces.length === 1) return only
  const whole = new Uint8Array(pieces.reduce((size, { length }) => size + length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
