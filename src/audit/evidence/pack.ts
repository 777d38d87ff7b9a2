/** Members → one tar, as a stream that is pulled: nothing is asked of the store before the reader has room for it. */
import { createTarPacker } from 'modern-tar'
import { sha256HexOf } from '../../digest.ts'
import type { PackedFile } from './layout.ts'

/** A file of the pack, whole in memory: members are bounded. */
export interface Member {
  readonly path: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

/**
 * The tar of `members`, in their order, all of them made `at` (milliseconds since 1970 UTC). Cancelling it, or aborting
 * `signal`, ends `members`; an error of theirs breaks it off without an end, so that no reader takes it for whole.
 */
export function packed(members: AsyncIterable<Member>, at: number, signal: AbortSignal): ReadableStream<Uint8Array> {
  const { readable, controller } = createTarPacker()
  const mtime = new Date(at)
  const left = new AbortController()
  const write = async (): Promise<void> => {
    try {
      for await (const { path, bytes } of members) {
        signal.throwIfAborted()
        left.signal.throwIfAborted()
        const writer = controller.add({ name: path, size: bytes.length, mtime, mode: 0o644, type: 'file' }).getWriter()
        await writer.write(bytes)
        await writer.close()
      }
      controller.finalize()
    } catch (error) {
      controller.error(error)
    }
  }
  const reader = readable.getReader()
  let writing: Promise<void> | undefined
  return new ReadableStream<Uint8Array>(
    {
      async pull(into) {
        writing ??= write()
        const { done, value } = await reader.read()
        if (done) into.close()
        else into.enqueue(value)
      },
      async cancel(reason) {
        left.abort(reason)
        await reader.cancel(reason)
        await writing
      },
    },
    { highWaterMark: 0 },
  )
}

/** A member's line of the manifest. */
export async function listed({ path, bytes }: Member): Promise<PackedFile> {
  return { path, bytes: bytes.length, sha256: await sha256HexOf(bytes) }
}

export async function gzipped(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

export function text(path: string, content: string): Member {
  return { path, bytes: new TextEncoder().encode(content) }
}

export function json(path: string, content: unknown): Member {
  return text(path, `${JSON.stringify(content, null, 2)}\n`)
}

/** A name from a record as one part of a path: no separator, nothing that climbs. */
export function pathPart(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 100)
  return /^\.*$/.test(plain) ? `_${plain}` : plain
}
