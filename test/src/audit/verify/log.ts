/** A log as a gateway would have written it, in memory, for tests to tamper with. */
import { createHash } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { packTar } from 'modern-tar'
import type { RecordedBodies } from '../../../../src/audit/contract.ts'
import { wholeSubtrees } from '../../../../src/audit/evidence/layout.ts'
import { checkpointText, damagedBytes, entryBytes, entryOf } from '../../../../src/audit/proof/entry.ts'
import {
  CompactRange,
  leafHash,
  proveConsistency,
  rangeRoot,
  storedIndex,
  type Sha256,
} from '../../../../src/audit/proof/merkle.ts'
import { renderNote, signerOf, signNote, type Signer } from '../../../../src/audit/proof/note.ts'
import { encodeRow, SCHEMA_VERSION, toRow } from '../../../../src/audit/record.ts'
import type { BodyPiece, Evidence, LogId, StoredSegment } from '../../../../src/audit/verify/contract.ts'

export const sha256: Sha256 = (...parts) => new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest())
export const signer = (): Promise<Signer> => signerOf(sha256, 'corp', new Uint8Array(32).fill(7))

export const DAY = 86_400_000
export const MINUTE = 60_000
/** When the log begins. A segment is sealed a minute. */
export const BEGIN = Date.UTC(2026, 5, 1)
export const LOG: LogId = {
  writer: 'c0ffee00-0000-4000-8000-000000000001',
  epoch: '01930000-0000-7000-8000-00000000e70c',
}
export const NAME = `${LOG.writer}/${LOG.epoch}`

/** What a store holds of one log. Plain and mutable: tests change it. */
export interface Store {
  segments: StoredSegment[]
  rows: Uint8Array[]
  notes: string[]
  bodies: BodyPiece[]
}

export interface Shape {
  /** Records of each segment; 0 of a segment: it was damaged. */
  readonly sizes: readonly number[]
  /** After how many segments heads are signed; the first may be 0. */
  readonly heads: readonly number[]
  readonly retainDays?: number
  /** Of every record, in every direction that it names. */
  readonly bodies?: RecordedBodies
}

export const exchangeOf = (seq: number): string => `01930000-0000-7000-8000-${seq.toString(16).padStart(12, '0')}`

/** The head of so many of these leaves, signed. */
export async function headOf(leaves: readonly Uint8Array[], time: number, by?: Signer, origin = `corp/${NAME}`) {
  const range = new CompactRange(sha256)
  for (const leaf of leaves) range.add(leaf)
  const text = checkpointText({ origin, size: range.size, root: range.root(), time, first: 1 })
  return renderNote(await signNote(text, [by ?? (await signer())]))
}

export function leafOf(segment: StoredSegment): Uint8Array {
  return leafHash(sha256, segment.root.length === 0 ? damagedBytes(segment) : entryBytes(sha256, segment))
}

export async function written({ sizes, heads, retainDays = 30, bodies }: Shape): Promise<Store> {
  const segments: StoredSegment[] = []
  const rows: Uint8Array[] = []
  let firstSeq = 1
  for (const [i, size] of sizes.entries()) {
    const segment = i + 1
    const sealedAt = BEGIN + segment * MINUTE
    const mine = Array.from({ length: size }, (_, at) =>
      rowOf(segment, firstSeq + at, sealedAt - 1000, retainDays, bodies),
    )
    const place = { segment, schema: SCHEMA_VERSION, firstSeq, records: Math.max(1, size) }
    const none = new Uint8Array(0)
    segments.push(
      size === 0
        ? { ...place, root: none, leaves: none, days: none, sealedAt: 0 }
        : { ...entryOf(sha256, place, mine), sealedAt },
    )
    rows.push(...mine)
    firstSeq += place.records
  }
  const leaves = segments.map(leafOf)
  const notes = await Promise.all(
    heads.map((size) => headOf(leaves.slice(0, size), BEGIN + size * MINUTE + MINUTE / 2)),
  )
  return { segments, rows, notes, bodies: [] }
}

export function rowOf(segment: number, seq: number, at: number, retainDays = 30, bodies?: RecordedBodies): Uint8Array {
  const row = toRow(
    {
      kind: 'completed',
      at,
      exchange: exchangeOf(seq),
      surface: 'query',
      completion: {
        ran: `SELECT ${seq}`,
        rowCount: seq,
        byteCount: 8,
        masked: [],
        statistics: { durationMs: 1 },
        ending: 'whole',
        ...(bodies && { bodies }),
      },
    },
    { recordId: exchangeOf(seq), ...LOG, retainDays },
  )
  return encodeRow({ ...row, segment, writer_seq: seq })
}

/** A store of this one log. */
export function evidenceOf(store: Store): Evidence {
  const placeOf = (row: Uint8Array): number =>
    Number(new DataView(row.buffer, row.byteOffset).getBigUint64(row.byteLength - 16, true))
  return {
    logs: async () => [LOG],
    checkpoints: async () => store.notes,
    async *segments() {
      yield* store.segments
    },
    async *rows(_, segments) {
      const wanted = new Set(segments.map(({ segment }) => segment))
      yield* store.rows.filter((row) => wanted.has(placeOf(row)))
    },
    async surplus() {
      return [...Map.groupBy(store.rows, placeOf)].flatMap(([segment, rows]) => {
        const known = store.segments.find((each) => each.segment === segment)
        const records = rows.length - (known?.records ?? 0)
        return records > 0 ? [{ segment, records, isKnown: known !== undefined, newest: BEGIN }] : []
      })
    },
    async *bodies(exchanges) {
      yield* store.bodies.filter(({ exchange }) => exchanges.includes(exchange))
    },
  }
}

/** Where the parts of a pack are. */
export const PATHS = {
  records: (a: number, b: number) => `records/${NAME}/segments-${a}-${b}.rowbinary.gz`,
  segments: (a: number, b: number) => `segments/${NAME}/${a}-${b}.ndjson`,
  checkpoints: `checkpoints/${NAME}.txt`,
  proofs: `proofs/${NAME}.json`,
} as const

/** The members of a pack of the segments `a` to `b` but for its manifest. */
export async function membersOf(
  store: Store,
  a: number,
  b: number,
  heads: readonly number[],
): Promise<Map<string, Buffer>> {
  const leaves = store.segments.map(leafOf)
  const size = heads.at(-1) ?? 0
  const range = new CompactRange(sha256)
  const nodes = leaves.slice(0, size).flatMap((leaf) => range.add(leaf))
  const read = (level: number, index: number): Uint8Array => nodes[storedIndex(level, index)]!
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  const roots = async (from: number, to: number): Promise<string[]> =>
    Promise.all(
      wholeSubtrees(from, to).map(async ({ start, end }) => base64(await rangeRoot(sha256, read, start, end))),
    )
  const consistency = await Promise.all(
    heads.slice(1).map(async (to, i) => ({
      from: heads[i]!,
      to,
      hashes: (await proveConsistency(sha256, read, heads[i]!, to)).map(base64),
    })),
  )
  const packed = store.segments.filter(({ segment }) => segment >= a && segment <= b)
  const rows = store.rows.filter((row) => {
    const segment = Number(new DataView(row.buffer, row.byteOffset).getBigUint64(row.byteLength - 16, true))
    return segment >= a && segment <= b
  })
  const to = Math.min(b, size)
  return new Map([
    [PATHS.records(a, b), packedRows(rows)],
    [
      PATHS.segments(a, b),
      Buffer.from(packed.map((segment) => `${JSON.stringify(packedSegment(segment))}\n`).join('')),
    ],
    [
      PATHS.checkpoints,
      Buffer.from(
        (await Promise.all(heads.map((n) => headOf(leaves.slice(0, n), BEGIN + n * MINUTE + MINUTE / 2)))).join(
          '---\n',
        ),
      ),
    ],
    [
      PATHS.proofs,
      Buffer.from(
        JSON.stringify({
          ...LOG,
          first: 1,
          size,
          root: base64(range.root()),
          inclusion: { from: a - 1, to, left: await roots(0, a - 1), right: await roots(to, size) },
          consistency,
        }),
      ),
    ],
  ])
}

export function packedRows(rows: readonly Uint8Array[]): Buffer {
  return gzipSync(
    Buffer.concat(
      rows.flatMap((row) => {
        const length = Buffer.alloc(4)
        length.writeUInt32LE(row.length)
        return [length, row]
      }),
    ),
  )
}

export function packedSegment({ root, leaves, days, ...rest }: StoredSegment) {
  return {
    ...LOG,
    segment: rest.segment,
    schema: rest.schema,
    first_seq: rest.firstSeq,
    records: rest.records,
    root: Buffer.from(root).toString('hex'),
    leaves: Buffer.from(leaves).toString('base64'),
    days: Buffer.from(days).toString('base64'),
    sealed_at: new Date(rest.sealedAt).toISOString(),
  }
}

/** The pack as a file. Its manifest fits its members, as whoever tampers would make it. */
export async function packFile(members: ReadonlyMap<string, Buffer>, manifest: object = {}): Promise<string> {
  const files = [...members].map(([path, bytes]) => ({
    path,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }))
  const last = Buffer.from(
    JSON.stringify({ format: 'sluice-evidence', version: 1, verifiable: true, files, ...manifest }),
  )
  const tar = await packTar(
    [...members, ['manifest.json', last] as const].map(([name, body]) => ({
      header: { name, size: body.length, type: 'file' as const },
      body: new Uint8Array(body),
    })),
  )
  const path = join(mkdtempSync(join(tmpdir(), 'sluice-pack-test-')), 'pack.tar')
  writeFileSync(path, tar)
  return path
}
