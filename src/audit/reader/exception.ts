/**
 * ClickHouse says `200` before it knows how a query ends. When one breaks midway, the body ends with
 * `\r\n__exception__\r\n<tag>\r\n…`, under a tag that is random for each answer and named in a header, so that no row can forge it.
 */
import { Failure } from '../../failure.ts'

/** Passes bytes on and errors with `upstream-failed` where the server says that the answer broke off. */
export function wholeOrBroken(tag: string): TransformStream<Uint8Array, Uint8Array> {
  const marker = new TextEncoder().encode(`\r\n__exception__\r\n${tag}`)
  // Bytes that may be the beginning of a marker that the next chunk ends.
  let kept = new Uint8Array(0)
  return new TransformStream({
    transform(chunk, controller) {
      const bytes = joined(kept, chunk)
      if (indexOf(bytes, marker) !== -1) {
        controller.error(new Failure('upstream-failed', 'the answer broke off: ClickHouse met an error on the way'))
        return
      }
      const safe = bytes.length - beginning(bytes, marker)
      kept = bytes.slice(safe)
      if (safe > 0) controller.enqueue(bytes.subarray(0, safe))
    },
    flush(controller) {
      if (kept.length > 0) controller.enqueue(kept)
    },
  })
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

function indexOf(bytes: Uint8Array, marker: Uint8Array): number {
  const [first = 0] = marker
  for (let at = bytes.indexOf(first); at !== -1; at = bytes.indexOf(first, at + 1)) {
    if (at + marker.length > bytes.length) return -1
    if (marker.every((byte, i) => bytes[at + i] === byte)) return at
  }
  return -1
}

/** How many bytes at the end are the beginning of `marker`. */
function beginning(bytes: Uint8Array, marker: Uint8Array): number {
  for (let length = Math.min(bytes.length, marker.length - 1); length > 0; length -= 1) {
    const from = bytes.length - length
    let same = true
    for (let i = 0; same && i < length; i += 1) same = bytes[from + i] === marker[i]
    if (same) return length
  }
  return 0
}
