/**
 * The bytes of one journal file.
 *
 *     header  'SLUICEJ' and the schema's version ‖ segment ‖ first sequence number ‖ trusted length of the file before ‖ epoch ‖ crc32
 *     frame   length of the payload ‖ crc32 of the payload ‖ payload
 *     payload a row but for its place ‖ segment ‖ sequence number
 *
 * Numbers are little-endian; lengths and checksums 32 bits, the others 64. The header of a file says how much of the
 * file before it counts: that is where a segment's end is fixed before it is shipped.
 */
import { crc32 } from 'node:zlib'
import { MalformedBytes } from './rowbinary.ts'
import { PAYLOAD_VERSION } from './payload.ts'
import { PLACE_BYTES, SCHEMA_VERSION } from './record.ts'

/** What the rows of a journal are. */
export interface JournalKind {
  /** The first 7 bytes of each file. Then one digit: the schema's version. Rows of a newer one are not ours to ship, nor to begin a file behind. */
  readonly magic: string
  /** The newest version of the schema of its rows: what is written now. */
  readonly version: number
}

/** Audit records. */
export const RECORDS: JournalKind = { magic: 'SLUICEJ', version: SCHEMA_VERSION }
/** Pieces of recorded bodies. */
export const PAYLOADS: JournalKind = { magic: 'SLUICEP', version: PAYLOAD_VERSION }

const MAGIC_BYTES = 7
const EPOCH_BYTES = 36
export const HEADER_BYTES = MAGIC_BYTES + 1 + 3 * 8 + EPOCH_BYTES + 4
const FRAME_HEAD_BYTES = 8

export interface SegmentHeader {
  readonly segment: number
  /** The version of the schema that the rows of this file have. */
  readonly schema: number
  /** Of the first record in this file. */
  readonly firstSeq: number
  /** Bytes of the file before this one that count. 0 where there is none. */
  readonly previousLength: number
  /** The journal's: a UUID that changes only when a journal begins anew. */
  readonly epoch: string
}

export function encodeHeader(header: SegmentHeader, { magic }: JournalKind): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.write(`${magic}${header.schema}`, 0, 'latin1')
  bytes.writeBigUInt64LE(BigInt(header.segment), 8)
  bytes.writeBigUInt64LE(BigInt(header.firstSeq), 16)
  bytes.writeBigUInt64LE(BigInt(header.previousLength), 24)
  bytes.write(header.epoch, 32, EPOCH_BYTES, 'latin1')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4)
  return bytes
}

/** Throws `MalformedBytes` where these bytes do not begin with a whole header. */
export function decodeHeader(raw: Uint8Array, { magic, version }: JournalKind): SegmentHeader {
  if (raw.length < HEADER_BYTES) throw new MalformedBytes('a journal file is too short')
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, HEADER_BYTES)
  const schema = (bytes[MAGIC_BYTES] ?? 0) - '0'.charCodeAt(0)
  const sound =
    bytes.toString('latin1', 0, MAGIC_BYTES) === magic &&
    schema >= 1 &&
    schema <= version &&
    bytes.readUInt32LE(HEADER_BYTES - 4) === crc32(bytes.subarray(0, HEADER_BYTES - 4))
  if (!sound) throw new MalformedBytes('a journal file has no sound header')
  return {
    segment: Number(bytes.readBigUInt64LE(8)),
    schema,
    firstSeq: Number(bytes.readBigUInt64LE(16)),
    previousLength: Number(bytes.readBigUInt64LE(24)),
    epoch: bytes.toString('latin1', 32, 32 + EPOCH_BYTES),
  }
}

/** Bytes that a row takes in a file. */
export function frameBytes(unplaced: Uint8Array): number {
  return FRAME_HEAD_BYTES + unplaced.length + PLACE_BYTES
}

/** The frames of these rows, one behind the other, numbered from `firstSeq`. */
export function encodeFrames(rows: readonly Uint8Array[], segment: number, firstSeq: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(rows.reduce((sum, row) => sum + frameBytes(row), 0))
  let at = 0
  for (const [index, row] of rows.entries()) {
    const payload = bytes.subarray(at + FRAME_HEAD_BYTES, at + frameBytes(row))
    payload.set(row)
    payload.writeBigUInt64LE(BigInt(segment), row.length)
    payload.writeBigUInt64LE(BigInt(firstSeq + index), row.length + 8)
    bytes.writeUInt32LE(payload.length, at)
    bytes.writeUInt32LE(crc32(payload), at + 4)
    at += frameBytes(row)
  }
  return bytes
}

export interface Scanned {
  readonly header: SegmentHeader
  /** Whole rows, as they go to ClickHouse. */
  readonly rows: readonly Uint8Array[]
  /** Bytes from the start of the file through the last sound frame. */
  readonly length: number
}

/** Reads frames for as long as they are sound and in sequence. Throws `MalformedBytes` where there is no header. */
export function scan(raw: Uint8Array, kind: JournalKind): Scanned {
  const header = decodeHeader(raw, kind)
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
  const rows: Uint8Array[] = []
  let at = HEADER_BYTES
  for (;;) {
    const payload = frameAt(bytes, at)
    if (payload.length === 0) break
    const placed =
      payload.readBigUInt64LE(payload.length - 16) === BigInt(header.segment) &&
      payload.readBigUInt64LE(payload.length - 8) === BigInt(header.firstSeq + rows.length)
    if (!placed) break
    rows.push(payload)
    at += FRAME_HEAD_BYTES + payload.length
  }
  return { header, rows, length: at }
}

/** The payload of the frame that begins there; empty where none does. */
function frameAt(bytes: Buffer, at: number): Buffer {
  const none = bytes.subarray(0, 0)
  if (at + FRAME_HEAD_BYTES > bytes.length) return none
  const length = bytes.readUInt32LE(at)
  const start = at + FRAME_HEAD_BYTES
  if (length < PLACE_BYTES || start + length > bytes.length) return none
  const payload = bytes.subarray(start, start + length)
  return crc32(payload) === bytes.readUInt32LE(at + 4) ? payload : none
}
