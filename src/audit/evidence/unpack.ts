/** A pack read as a stream: each member with its size and digest, and whether the manifest says the same of all of them. */
import { createTarDecoder } from 'modern-tar'
import * as z from 'zod'
import { concatenated } from '../../bytes.ts'
import { Failure } from '../../failure.ts'
import type { Hasher } from '../../runtime.ts'
import { PACK_FORMAT, PACK_VERSION, type PackedFile } from './layout.ts'

/** What a pack says of itself, once every member was found to be as its manifest says. */
export interface CheckedPack {
  readonly from: string
  readonly to: string
  readonly verifiable: boolean
  readonly counts: Readonly<Record<string, number>>
  readonly files: readonly PackedFile[]
}

/** Longest manifest: some hundred thousand members. */
const MOST_MANIFEST = 256 * 1024 * 1024

const manifest = z.object({
  format: z.literal(PACK_FORMAT),
  version: z.literal(PACK_VERSION),
  from: z.string(),
  to: z.string(),
  verifiable: z.boolean(),
  counts: z.record(z.string(), z.number()),
  files: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })),
})

/**
 * Reads all of `pack`; `seen` is told of each member when it has come. Rejects where the tar breaks off, where its manifest is
 * not its last member, or where any member is not as the manifest says.
 */
export async function checkPack(
  pack: ReadableStream<Uint8Array>,
  startHash: () => Hasher,
  seen: (file: PackedFile) => void,
): Promise<CheckedPack> {
  const files: PackedFile[] = []
  let last: Uint8Array | undefined
  for await (const { header, body } of pack.pipeThrough(createTarDecoder({ strict: true }))) {
    if (last !== undefined) throw broken('something follows the manifest')
    if (header.type !== 'file') throw broken('a member is not a file')
    const isManifest = header.name === 'manifest.json'
    const { file, kept } = await memberOf(header.name, body, startHash, isManifest)
    if (isManifest) last = kept
    else files.push(file)
    seen(file)
  }
  if (last === undefined) throw broken('the manifest is missing, so the pack is not whole')
  const said = parse(last)
  if (JSON.stringify(said.files) !== JSON.stringify(files)) throw broken('its members are not those of its manifest')
  return said
}

async function memberOf(
  path: string,
  body: ReadableStream<Uint8Array>,
  startHash: () => Hasher,
  keep: boolean,
): Promise<{ file: PackedFile; kept: Uint8Array }> {
  const hash = startHash()
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body) {
    hash.update(part)
    bytes += part.length
    if (keep && bytes > MOST_MANIFEST) throw broken('its manifest is too long')
    if (keep) parts.push(part.slice())
  }
  return { file: { path, bytes, sha256: hash.hex() }, kept: concatenated(parts) }
}

function parse(bytes: Uint8Array): CheckedPack {
  try {
    return manifest.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
  } catch (cause) {
    throw broken('its manifest is not one', cause)
  }
}

function broken(what: string, cause?: unknown): Failure {
  return new Failure('upstream-failed', `the pack is not in order: ${what}`, cause === undefined ? {} : { cause })
}
