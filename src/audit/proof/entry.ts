/**
 * What the log's tree is made of: one entry per sealed segment, over the bytes of its rows as they are in ClickHouse, and the
 * checkpoint over all entries. Pure.
 */
import { base64, concatenated, fromBase64 } from '../../bytes.ts'
import { retainDayOf } from '../record.ts'
import { leafHash, rootOf, type Sha256 } from './merkle.ts'
import { MalformedNote } from './note.ts'

/** A sealed segment as the tree knows it. */
export interface SegmentEntry {
  readonly segment: number
  /** The version of the schema that its rows have. */
  readonly schema: number
  readonly firstSeq: number
  readonly records: number
  /** RFC 6962 root over its rows, 32 bytes. */
  readonly root: Uint8Array
  /** The leaf hash of each row, 32 bytes each. */
  readonly leaves: Uint8Array
  /** The day of `retain_until` of each row, 2 bytes each, little-endian: until then it must be there. */
  readonly days: Uint8Array
}

/** What is known of a segment besides its rows. */
export type SegmentPlace = Pick<SegmentEntry, 'segment' | 'schema' | 'firstSeq' | 'records'>

/** The entry of a segment with these rows. Throws where a row is none. */
export function entryOf(sha256: Sha256, place: SegmentPlace, rows: readonly Uint8Array[]): SegmentEntry {
  const { leaves, days } = rowsHashed(sha256, place.schema, rows)
  return entryFrom(sha256, place, leaves, days)
}

/** Rows that are hashed in one go: what waits behind them waits for a fraction of a millisecond. */
const AT_ONCE = 64

/** The same of a segment of any size, without holding up whatever else is to be done: `pause` lets that go first. */
export async function entryInPieces(
  sha256: Sha256,
  place: SegmentPlace,
  rows: readonly Uint8Array[],
  pause: () => Promise<void>,
): Promise<SegmentEntry> {
  const leaves: Uint8Array[] = []
  const days: Uint8Array[] = []
  for (let at = 0; at < rows.length; at += AT_ONCE) {
    if (at > 0) await pause()
    const hashed = rowsHashed(sha256, place.schema, rows.slice(at, at + AT_ONCE))
    leaves.push(...hashed.leaves)
    days.push(hashed.days)
  }
  return entryFrom(sha256, place, leaves, concatenated(days))
}

function rowsHashed(sha256: Sha256, schema: number, rows: readonly Uint8Array[]) {
  const leaves = rows.map((row) => leafHash(sha256, row))
  const days = new Uint8Array(rows.length * 2)
  const view = new DataView(days.buffer)
  for (const [i, row] of rows.entries()) view.setUint16(i * 2, retainDayOf(row, schema), true)
  return { leaves, days }
}

function entryFrom(
  sha256: Sha256,
  { segment, schema, firstSeq }: SegmentPlace,
  leaves: readonly Uint8Array[],
  days: Uint8Array,
): SegmentEntry {
  const root = rootOf(sha256, leaves)
  return { segment, schema, firstSeq, records: leaves.length, root, leaves: concatenated(leaves), days }
}

/** The bytes that are a leaf of the log's tree. */
export function entryBytes(sha256: Sha256, entry: Omit<SegmentEntry, 'leaves'>): Uint8Array {
  const { segment, schema, firstSeq, records, root, days } = entry
  return lines('sluice-segment v1', segment, schema, firstSeq, records, base64(root), base64(sha256(days)))
}

/** The same of a segment whose rows could not be read any more when it was added. */
export function damagedBytes({ segment, schema, firstSeq, records }: SegmentPlace): Uint8Array {
  return lines('sluice-segment v1 damaged', segment, schema, firstSeq, records)
}

function lines(...parts: readonly (string | number)[]): Uint8Array {
  return new TextEncoder().encode(parts.map((part) => `${part}\n`).join(''))
}

/** The head of a log: C2SP tlog-checkpoint. */
export interface CheckpointBody {
  /** `<name>/<writer>/<epoch>` */
  readonly origin: string
  /** Entries in the tree. */
  readonly size: number
  /** 32 bytes. */
  readonly root: Uint8Array
  /** Milliseconds since 1970 UTC. */
  readonly time: number
  /** The segment of the tree's first entry. */
  readonly first: number
}

/** The text that is signed. */
export function checkpointText({ origin, size, root, time, first }: CheckpointBody): string {
  const rest = first === 1 ? '' : `first ${first}\n`
  return `${origin}\n${size}\n${base64(root)}\ntime ${new Date(time).toISOString()}\n${rest}`
}

/** Throws `MalformedNote` where the text is no checkpoint of ours. */
export function parseCheckpoint(text: string): CheckpointBody {
  const [origin = '', size = '', root = '', ...extensions] = text.split('\n').slice(0, -1)
  const time = extensions.find((line) => line.startsWith('time '))?.slice('time '.length)
  const first = extensions.find((line) => line.startsWith('first '))?.slice('first '.length) ?? '1'
  const at = Date.parse(time ?? '')
  if (!isCount(size) || !isCount(first) || origin === '' || Number.isNaN(at)) {
    throw new MalformedNote('not a checkpoint of a Sluice log')
  }
  let bytes: Uint8Array
  try {
    bytes = fromBase64(root)
  } catch (cause) {
    throw new MalformedNote('a checkpoint whose root is no base64', { cause })
  }
  if (bytes.length !== 32) throw new MalformedNote('a checkpoint whose root is no SHA-256')
  return { origin, size: Number(size), root: bytes, time: at, first: Number(first) }
}

function isCount(text: string): boolean {
  return /^(0|[1-9]\d{0,15})$/.test(text)
}

/** `<name>/<writer>/<epoch>` taken apart; `undefined` where it is another log's. */
export function originParts(
  origin: string,
): { readonly name: string; readonly writer: string; readonly epoch: string } | undefined {
  const [, name, writer, epoch] = /^(.+)\/([^/]+)\/([0-9a-f-]{36})$/.exec(origin) ?? []
  return name === undefined || writer === undefined || epoch === undefined ? undefined : { name, writer, epoch }
}
