/** Bodies in which JSON masks can be put: which they are, and how each is read. */
import { concatenated } from '../../bytes.ts'
import type { Reason } from '../../exchange.ts'

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

/** How a body of this type is read; or why it cannot be masked. */
export function readingOf(contentType: string, charset: string | undefined): BodyForm | Reason {
  const form = formOf(contentType)
  if (form === undefined) return contentType === '' ? UNTYPED : untold(contentType)
  if (isUtf8(charset)) return form
  const because = `a body in charset \`${charset}\` cannot be masked`
  return { code: 'mask-charset', because, fix: 'have it sent in UTF-8' }
}

const UNTYPED: Reason = {
  code: 'mask-content-type',
  because: 'a body without a content type cannot be masked',
  fix: 'send `Content-Type: application/json`',
}

function untold(contentType: string): Reason {
  return {
    code: 'mask-content-type',
    because: `a body of type \`${contentType}\` cannot be masked`,
    fix: `ask for JSON, or have the policy owner list \`${contentType}\` under \`passTypes\` if it holds nothing to mask`,
  }
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

const MARK: readonly number[] = [0xef, 0xbb, 0xbf]

/** Leaves out a byte order mark at the beginning: some servers write one, and JSON has no place for it (RFC 8259, 8.1). */
export function withoutMark(bytes: Bytes): Bytes {
  let met = 0
  let isBehind = false
  const begun = (chunk: Uint8Array): Uint8Array => {
    let at = 0
    while (at < chunk.length && met < MARK.length && chunk[at] === MARK[met]) {
      at += 1
      met += 1
    }
    if (met === MARK.length || at < chunk.length) isBehind = true
    // Half a mark is none: what was met of it stands there.
    const half = isBehind && met < MARK.length ? Uint8Array.from(MARK.slice(0, met)) : new Uint8Array()
    return concatenated([half, chunk.subarray(at)])
  }
  return {
    push: (chunk) => bytes.push(isBehind ? chunk : begun(chunk)),
    end() {
      const left = isBehind || met === 0 || met === MARK.length ? new Uint8Array() : Uint8Array.from(MARK.slice(0, met))
      return concatenated([left.length === 0 ? left : bytes.push(left), bytes.end()])
    },
  }
}
