/** That records of one exchange were written, as a document that anyone can check with the public key alone. Pure. */
import * as z from 'zod'
import { base64, fromBase64 } from '../../bytes.ts'
import { entryBytes, parseCheckpoint, type CheckpointBody } from '../proof/entry.ts'
import {
  CompactRange,
  equalBytes,
  inclusionRoot,
  leafHash,
  proveInclusion,
  storedIndex,
  type Sha256,
} from '../proof/merkle.ts'
import { MalformedNote, parseNote, signersOf, type VerifierKey } from '../proof/note.ts'
import { decodeRow, type Row } from '../record.ts'
import { MalformedBytes } from '../rowbinary.ts'
import type { Evidence, LogId, StoredSegment } from './contract.ts'
import { entryLeaf, isDamaged, leavesOf } from './records.ts'

const hashes = z.array(z.base64())
const whole = z.int().min(0)

const provenRecord = z.strictObject({
  writer: z.string(),
  epoch: z.uuid(),
  /** Base64 of the whole row, as ClickHouse's RowBinary. */
  row: z.base64(),
  segment: z.strictObject({
    segment: whole,
    schema: whole,
    firstSeq: whole,
    records: whole,
    root: z.base64(),
    days: z.base64(),
  }),
  /** In its segment, and of its segment's entry in the log. */
  inSegment: hashes,
  inLog: hashes,
  /** The signed head that it leads to. */
  checkpoint: z.string(),
})

export const exchangeProof = z.strictObject({
  format: z.literal('sluice-proof'),
  version: z.literal(1),
  exchange: z.uuid(),
  records: z.array(provenRecord).min(1).max(10_000),
})
export type ExchangeProof = z.infer<typeof exchangeProof>

/** A row of the exchange, and where it is. */
export interface FoundRow extends LogId {
  readonly row: Uint8Array
  readonly segment: number
  readonly seq: number
}

/** A record that was written, and the signed head that says so. */
export interface ProvenRow {
  readonly row: Row
  readonly head: CheckpointBody
}

export type Unproven = { readonly unproven: string }

/** The proof for these rows, which MUST be all of one exchange; or why there is none. */
export async function prove(
  evidence: Evidence,
  exchange: string,
  rows: readonly FoundRow[],
  keys: readonly VerifierKey[],
  sha256: Sha256,
): Promise<ExchangeProof | Unproven> {
  const records: z.infer<typeof provenRecord>[] = []
  const logs = Map.groupBy(rows, ({ writer, epoch }) => `${writer}/${epoch}`)
  for (const mine of logs.values()) {
    const [first] = mine
    if (first === undefined) continue
    const head = await newestHead(evidence, first, keys)
    if (head === undefined) return { unproven: 'no checkpoint of its log is signed by a key that is trusted' }
    const tree = await treeOf(evidence, first, head.body, new Set(mine.map(({ segment }) => segment)), sha256)
    if (tree === undefined)
      return { unproven: 'the segments here do not lead to the newest signed head: run `audit verify`' }
    for (const { writer, epoch, row, segment: number, seq } of mine) {
      const segment = tree.segments.get(number)
      const index = number - head.body.first
      if (segment === undefined || index >= head.body.size) {
        return { unproven: `segment ${number} is not under a signed head yet; try again in a minute` }
      }
      const leaves = leavesOf(segment.leaves)
      const { firstSeq, schema, records: count, root, days } = segment
      if (isDamaged(segment) || leaves.length !== count || !(seq >= firstSeq && seq < firstSeq + count)) {
        return { unproven: `record ${seq} is in no place that was ever signed: run \`audit verify\`` }
      }
      records.push({
        writer,
        epoch,
        row: base64(row),
        segment: { segment: number, schema, firstSeq, records: count, root: base64(root), days: base64(days) },
        inSegment: (await proveInclusion(sha256, nodesOf(sha256, leaves), count, seq - firstSeq)).map(base64),
        inLog: (await proveInclusion(sha256, tree.read, head.body.size, index)).map(base64),
        checkpoint: head.note,
      })
    }
  }
  if (records.length === 0) return { unproven: 'there is no record of this exchange' }
  return { format: 'sluice-proof', version: 1, exchange, records }
}

/** The rows that the proof proves; or what is wrong with it. */
export async function checkProof(
  proof: ExchangeProof,
  keys: readonly VerifierKey[],
  sha256: Sha256,
): Promise<readonly ProvenRow[] | Unproven> {
  try {
    return await checked(proof, keys, sha256)
  } catch (error) {
    if (error instanceof MalformedNote || error instanceof MalformedBytes) return { unproven: error.message }
    throw error
  }
}

async function checked(
  proof: ExchangeProof,
  keys: readonly VerifierKey[],
  sha256: Sha256,
): Promise<readonly ProvenRow[] | Unproven> {
  const found: ProvenRow[] = []
  for (const [i, record] of proof.records.entries()) {
    const wrong = (what: string): Unproven => ({ unproven: `record ${i + 1}: ${what}` })
    const note = parseNote(record.checkpoint)
    if ((await signersOf(note, keys)).length === 0) return wrong('its head is signed by no key that is trusted')
    const head = parseCheckpoint(note.text)
    if (!head.origin.endsWith(`/${record.writer}/${record.epoch}`)) return wrong('its head is of another log')
    const bytes = fromBase64(record.row)
    const { segment, schema, firstSeq, records } = record.segment
    const [root, days] = [fromBase64(record.segment.root), fromBase64(record.segment.days)]
    const row = decodeRow(bytes, schema)
    if (row.exchange_id !== proof.exchange) return wrong('it is of another exchange')
    if (row.segment !== segment || row.writer !== record.writer || row.epoch !== record.epoch) {
      return wrong('it says that it was written elsewhere')
    }
    const inSegment = record.inSegment.map(fromBase64)
    const led = inclusionRoot(sha256, leafHash(sha256, bytes), row.writer_seq - firstSeq, records, inSegment)
    if (led === undefined || !equalBytes(led, root)) return wrong('it does not lead to the root of its segment')
    const entry = leafHash(sha256, entryBytes(sha256, { segment, schema, firstSeq, records, root, days }))
    const inLog = inclusionRoot(sha256, entry, segment - head.first, head.size, record.inLog.map(fromBase64))
    if (inLog === undefined || !equalBytes(inLog, head.root))
      return wrong('its segment does not lead to the signed head')
    found.push({ row, head })
  }
  return found
}

async function newestHead(
  evidence: Evidence,
  log: LogId,
  keys: readonly VerifierKey[],
): Promise<{ readonly note: string; readonly body: CheckpointBody } | undefined> {
  let newest: { note: string; body: CheckpointBody } | undefined
  for (const text of await evidence.checkpoints(log)) {
    try {
      const note = parseNote(text)
      const body = parseCheckpoint(note.text)
      const isSigned = body.origin.endsWith(`/${log.writer}/${log.epoch}`) && (await signersOf(note, keys)).length > 0
      if (isSigned && (newest === undefined || body.size >= newest.body.size)) newest = { note: text, body }
    } catch (error) {
      // One that is none proves nothing; `verify` names it.
      if (!(error instanceof MalformedNote)) throw error
    }
  }
  return newest
}

/** The nodes of the log's tree under a head, and those segments that are asked for. */
async function treeOf(
  evidence: Evidence,
  log: LogId,
  head: CheckpointBody,
  wanted: ReadonlySet<number>,
  sha256: Sha256,
) {
  const range = new CompactRange(sha256)
  const nodes: Uint8Array[] = []
  const segments = new Map<number, StoredSegment>()
  for await (const segment of evidence.segments(log)) {
    if (range.size === head.size) break
    nodes.push(...range.add(entryLeaf(sha256, segment)))
    if (wanted.has(segment.segment)) segments.set(segment.segment, segment)
  }
  if (range.size !== head.size || !equalBytes(range.root(), head.root)) return undefined
  return { segments, read: (level: number, index: number): Uint8Array => at(nodes, level, index) }
}

function nodesOf(sha256: Sha256, leaves: readonly Uint8Array[]) {
  const range = new CompactRange(sha256)
  const nodes = leaves.flatMap((leaf) => range.add(leaf))
  return (level: number, index: number): Uint8Array => at(nodes, level, index)
}

function at(nodes: readonly Uint8Array[], level: number, index: number): Uint8Array {
  const node = nodes[storedIndex(level, index)]
  if (node === undefined) throw new Error('a tree without one of its nodes')
  return node
}
