/**
 * A piece of a recorded body as one row of `audit.payloads`: its columns, and their bytes. Pure.
 *
 * Bodies have a log of their own, of the same make as that of the records, because they are large, are kept for a shorter
 * time and are read by fewer people. What binds them to the evidence is the digest in the record of their exchange.
 */
import {
  blob,
  bool,
  ByteReader,
  ByteWriter,
  count,
  day,
  list,
  MalformedBytes,
  micros,
  text,
  uuid,
  word,
  type Codec,
} from './rowbinary.ts'

/** The version of `PAYLOAD_COLUMNS`. */
export const PAYLOAD_VERSION = 1

/** Every column in the order of the bytes: name, codec, what it says. The last two say where in its log the row was written. */
export const PAYLOAD_COLUMNS = [
  ['ts', micros, 'when this piece went out or came in, UTC'],
  ['exchange_id', uuid, 'of the exchange it belongs to'],
  ['direction', word, 'request, answer or sealed: originals of masked values, encrypted for the auditors'],
  ['chunk', count, 'counts from 0 within the exchange and direction'],
  ['offset', count, 'of its first byte in the body'],
  ['type', word, 'the content type of the body'],
  ['content', blob, 'the bytes, with keyed digests in the place of secret values'],
  ['is_last', bool, 'no piece follows'],
  ['mark', text, 'on the last piece: why the body is not whole; empty where it is'],
  ['digests', list(text), 'keyed digests of the secret values in this piece, 32 hex digits each'],
  ['connection', word, 'the upstream by its configured name'],
  ['issuer', word, 'who vouched for the principal'],
  ['subject', word, 'the principal'],
  ['writer', word, 'the gateway that wrote it'],
  ['epoch', uuid, 'of its payload log'],
  ['retain_until', day, 'kept until then'],
  ['segment', count, 'of the payload log'],
  ['writer_seq', count, 'position in the payload log'],
] as const

type Columns = (typeof PAYLOAD_COLUMNS)[number]

/** One row, by column name. */
export type PayloadRow = { readonly [C in Columns as C[0]]: C[1] extends Codec<infer T> ? T : never }

/** A row that has no place in a log yet. */
export type UnplacedPayload = Omit<PayloadRow, 'segment' | 'writer_seq'>

/** Column names in the order of the bytes. */
export const PAYLOAD_NAMES: readonly string[] = PAYLOAD_COLUMNS.map(([name]) => name)

/** The bytes of a row but for its place, which the journal adds. */
export function encodePayload(row: UnplacedPayload): Uint8Array {
  const to = new ByteWriter()
  for (const [name, codec] of PAYLOAD_COLUMNS.slice(0, -2)) {
    ;(codec as Codec<unknown>).write(to, row[name as keyof UnplacedPayload])
  }
  return to.done()
}

/** The row that these bytes are, no byte more. Throws `MalformedBytes`. */
export function decodePayload(bytes: Uint8Array): PayloadRow {
  const from = new ByteReader(bytes)
  const row = Object.fromEntries(PAYLOAD_COLUMNS.map(([name, codec]) => [name, codec.read(from)]))
  if (!from.ended) throw new MalformedBytes('a row ends too late')
  return row as unknown as PayloadRow
}
