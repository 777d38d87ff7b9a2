/** Evidence in an exported pack. Its members go to a folder of our own first, so that a pack of any size takes little memory. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { dirname, join, normalize, relative } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { createTarDecoder } from 'modern-tar'
import * as z from 'zod'
import { fromBase64 } from '../../bytes.ts'
import {
  CHECKPOINTS_PATH,
  LENGTH_BYTES,
  manifestText,
  NOTE_SEPARATOR,
  PACK_FORMAT,
  PROOFS_PATH,
  RECORDS_PATH,
  rootOfInclusion,
  SEGMENTS_PATH,
} from '../evidence/layout.ts'
import type { Sha256 } from '../proof/merkle.ts'
import { MalformedNote, parseNote, signersOf, type VerifierKey } from '../proof/note.ts'
import type { Evidence, Lead, LogId, Problem, StoredSegment } from './contract.ts'

/** A pack that is open, with what is wrong with its members. `close` removes what was unpacked. */
export interface OpenPack {
  readonly evidence: Evidence
  readonly problems: readonly Problem[]
  /** Whether whole segments are in it. */
  readonly verifiable: boolean
  close(): Promise<void>
}

/** Most members. */
const MOST_MEMBERS = 1_000_000
const MOST_ROW = 64 * 1024 * 1024

/** Paths of members: what could be shown as something else is none of them. */
const PLAIN = /^[A-Za-z0-9._/ -]{1,500}$/

const manifest = z.looseObject({
  format: z.literal(PACK_FORMAT),
  version: z.literal(1),
  verifiable: z.boolean(),
  signature: z.string().exactOptional(),
  files: z.array(z.looseObject({ path: z.string(), bytes: z.number(), sha256: z.string() })),
})

const packedSegment = z.looseObject({
  segment: z.number(),
  schema: z.number(),
  first_seq: z.number(),
  records: z.number(),
  root: z.string(),
  leaves: z.string(),
  days: z.string(),
  sealed_at: z.string(),
})

const packProofs = z.looseObject({
  first: z.number(),
  size: z.number(),
  root: z.string(),
  inclusion: z
    .looseObject({ from: z.number(), to: z.number(), left: z.array(z.string()), right: z.array(z.string()) })
    .exactOptional(),
  consistency: z.array(z.looseObject({ from: z.number(), to: z.number(), hashes: z.array(z.string()) })),
})

/** Throws a plain Error, in words, where the file is no pack. Without `keys` nobody's signature of its manifest is asked for. */
export async function openPack(path: string, sha256: Sha256, keys?: readonly VerifierKey[]): Promise<OpenPack> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-pack-'))
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true })
  try {
    const { digests, twice } = await unpack(path, folder)
    // As it was written: members in their order, those that we do not know too.
    const raw = JSON.parse(await manifestIn(folder)) as Record<string, unknown>
    const said = manifest.parse(raw)
    const { signature: _, ...rest } = raw
    const problems = [...twice.map(thereTwice), ...changed(said.files, digests)]
    const unsigned = keys === undefined ? undefined : await whyUnsigned(rest, said.signature, keys, sha256)
    if (unsigned !== undefined) problems.push({ code: 'pack-changed', words: unsigned })
    const files = await all(folder)
    return { evidence: evidenceIn(folder, files, sha256), problems, verifiable: said.verifiable, close }
  } catch (cause) {
    await close()
    throw new Error(`${path} is no evidence pack of this version`, { cause })
  }
}

/** Longest manifest, in bytes. */
const MOST_MANIFEST = 256 * 1024 * 1024

async function manifestIn(folder: string): Promise<string> {
  const path = join(folder, 'manifest.json')
  if ((await stat(path)).size > MOST_MANIFEST) throw new Error('its manifest is too long')
  return readFile(path, 'utf8')
}

/** Why the manifest, and with it what only it vouches for, cannot be believed. */
async function whyUnsigned(
  rest: object,
  signature: string | undefined,
  keys: readonly VerifierKey[],
  sha256: Sha256,
): Promise<string | undefined> {
  const believed = 'so its report, readable records, approvals and policies may be anybody’s'
  if (signature === undefined) return `the manifest is not signed, ${believed}`
  try {
    const note = parseNote(signature)
    if (note.text !== manifestText(sha256, JSON.stringify(rest, null, 2))) {
      return `the manifest is not the one that was signed, ${believed}`
    }
    return (await signersOf(note, keys)).length > 0
      ? undefined
      : `no key that is trusted signed the manifest, ${believed}`
  } catch (error) {
    if (!(error instanceof MalformedNote)) throw error
    return `the manifest's signature is none, ${believed}`
  }
}

function thereTwice(path: string): Problem {
  return { code: 'pack-changed', words: `\`${path}\` is there twice: which of them is read is up to the reader` }
}

/** Each member's digest, by its path; and the paths that more than one member has. */
async function unpack(
  path: string,
  folder: string,
): Promise<{ readonly digests: ReadonlyMap<string, string>; readonly twice: readonly string[] }> {
  const digests = new Map<string, string>()
  const twice: string[] = []
  const bytes = Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>
  for await (const { header, body } of bytes.pipeThrough(createTarDecoder())) {
    const to = normalize(join(folder, header.name))
    const isPlain = PLAIN.test(header.name) && !relative(folder, to).startsWith('..')
    if (!isPlain || digests.size >= MOST_MEMBERS) throw new Error('a member out of place')
    if (digests.has(header.name)) twice.push(header.name)
    if (header.type !== 'file' && header.type !== undefined) {
      await body.cancel()
      continue
    }
    await mkdir(dirname(to), { recursive: true })
    const hash = createHash('sha256')
    const through = new Transform({
      transform(chunk: Uint8Array, _, done) {
        hash.update(chunk)
        done(null, chunk)
      },
    })
    await pipeline(body, through, createWriteStream(to, { mode: 0o600 }))
    digests.set(header.name, hash.digest('hex'))
  }
  return { digests, twice }
}

/** Members that are not what the manifest says. */
function changed(files: z.infer<typeof manifest>['files'], digests: ReadonlyMap<string, string>): readonly Problem[] {
  const wrong = files.flatMap(({ path, sha256 }): Problem[] => {
    const digest = digests.get(path)
    if (digest === sha256) return []
    return [
      { code: 'pack-changed', words: `\`${path}\` is ${digest === undefined ? 'missing' : 'not as it was made'}` },
    ]
  })
  const known = new Set([...files.map(({ path }) => path), 'manifest.json'])
  const more = [...digests.keys()].filter((path) => !known.has(path))
  return [
    ...wrong,
    ...more.map((path): Problem => ({ code: 'pack-changed', words: `\`${path}\` is not in its manifest` })),
  ]
}

async function all(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}

interface Member {
  readonly path: string
  readonly log: LogId
  readonly first: number
  readonly last: number
  readonly piece: number
}

function members(files: readonly string[], pattern: RegExp): readonly Member[] {
  return files
    .flatMap((path): Member[] => {
      const groups = pattern.exec(path)?.groups
      if (groups === undefined) return []
      const { writer = '', epoch = '', first = '0', last = '0', piece = '0' } = groups
      const log = { writer, epoch }
      return [{ path, log, first: Number(first), last: Number(last), piece: Number(piece) }]
    })
    .toSorted((a, b) => a.first - b.first || a.piece - b.piece)
}

function evidenceIn(folder: string, files: readonly string[], sha256: Sha256): Evidence {
  const records = members(files, RECORDS_PATH)
  const segmentFiles = members(files, SEGMENTS_PATH)
  const checkpoints = members(files, CHECKPOINTS_PATH)
  const proofs = members(files, PROOFS_PATH)
  const of = (found: readonly Member[], log: LogId): readonly Member[] =>
    found.filter((each) => each.log.writer === log.writer && each.log.epoch === log.epoch)
  return {
    async logs() {
      const logs = [...records, ...segmentFiles, ...checkpoints].map(({ log }) => log)
      return [...new Map(logs.map((log) => [`${log.writer}/${log.epoch}`, log])).values()]
    },
    async checkpoints(log) {
      const notes: string[] = []
      for (const { path } of of(checkpoints, log)) {
        const text = await readFile(join(folder, path), 'utf8')
        notes.push(...text.split(NOTE_SEPARATOR).filter((note) => note.trim() !== ''))
      }
      return notes
    },
    async *segments(log) {
      for (const { path } of of(segmentFiles, log)) {
        for await (const line of createInterface({ input: createReadStream(join(folder, path)) })) {
          yield segmentOf(packedSegment.parse(JSON.parse(line)))
        }
      }
    },
    async *rows(log, segments) {
      const [from, to] = [segments[0]?.segment ?? 0, segments.at(-1)?.segment ?? -1]
      const wanted = new Set(segments.map(({ segment }) => segment))
      for (const { path, first, last } of of(records, log)) {
        if (last < from || first > to) continue
        for await (const row of rowsIn(join(folder, path))) {
          const place = new DataView(row.buffer, row.byteOffset, row.byteLength)
          const segment = Number(place.getBigUint64(row.byteLength - 16, true))
          // One that is in a member of others is never asked for by its own number: it is handed on to be named.
          if (wanted.has(segment) || segment < first || segment > last) yield row
        }
      }
    },
    async surplus(log) {
      // A segment in `records/` that `segments/` does not know.
      const known = of(segmentFiles, log)
      return of(records, log)
        .filter(({ first, last }) => !known.some((each) => each.first <= first && last <= each.last))
        .map(({ first }) => ({ segment: first, records: 1, isKnown: false, newest: 0 }))
    },
    async proofs(log) {
      const [member] = of(proofs, log)
      if (member === undefined) return undefined
      const { first, size, inclusion, consistency } = packProofs.parse(
        JSON.parse(await readFile(join(folder, member.path), 'utf8')),
      )
      const lead: Lead = {
        first,
        size,
        from: inclusion?.from ?? 0,
        to: inclusion?.to ?? 0,
        root: (leaves) => rootOfInclusion(sha256, { size, ...(inclusion && { inclusion }) }, leaves),
        rootThen(leaves) {
          if (inclusion === undefined) return undefined
          const then = inclusion.from + leaves.length
          return rootOfInclusion(sha256, { size: then, inclusion: { ...inclusion, to: then, right: [] } }, leaves)
        },
        consistency: consistency.map(({ from, to, hashes }) => ({ from, to, hashes: hashes.map(fromBase64) })),
      }
      return lead
    },
  }
}

function segmentOf(row: z.infer<typeof packedSegment>): StoredSegment {
  return {
    segment: row.segment,
    schema: row.schema,
    firstSeq: row.first_seq,
    records: row.records,
    root: new Uint8Array(Buffer.from(row.root, 'hex')),
    leaves: fromBase64(row.leaves),
    days: fromBase64(row.days),
    sealedAt: Date.parse(row.sealed_at),
  }
}

/** Each row of a member: its length in front. */
async function* rowsIn(path: string): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path).pipe(createGunzip()) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (at + LENGTH_BYTES <= rest.length) {
      const length = rest.readUInt32LE(at)
      if (length > MOST_ROW || length < 16) throw new Error('a record of no such length')
      if (at + LENGTH_BYTES + length > rest.length) break
      yield new Uint8Array(rest.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length))
      at += LENGTH_BYTES + length
    }
    rest = rest.subarray(at)
  }
  if (rest.length > 0) throw new Error('a member ends in the middle of a record')
}
