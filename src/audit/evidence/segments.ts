/** Whole segments, as they were written: what a verifier hashes again. */
import * as z from 'zod'
import { Failure } from '../../failure.ts'
import { columnNames, SCHEMA_VERSION } from '../record.ts'
import { LENGTH_BYTES, MEMBER_BYTES, type PackedSegment } from './layout.ts'
import { Cutter } from './cutter.ts'
import { gzipped, pathPart, text, type Member } from './pack.ts'
import type { Parameters, Store } from './store.ts'

/** One journal of one gateway, and which of its segments have a record in the span. */
export interface Log {
  readonly writer: string
  readonly epoch: string
  readonly first: number
  readonly last: number
  /** Groups of `BLOCK` segments, by their number, with what they hold. */
  readonly blocks: readonly Block[]
}

interface Block {
  readonly block: number
  readonly records: number
  /** Milliseconds since 1970 UTC. */
  readonly from: number
  readonly to: number
}

/** Segments that one question is about. */
const BLOCK = 256

/** Most blocks of an export: with one segment a second and writer, about a year of ten writers. */
const MOST_BLOCKS = 1_500_000

/** How far from its neighbours a record of the same segment is looked for, before it is looked for everywhere. */
const NEAR_MS = 3_600_000

/** Rows of `segments` in one member. */
const SEGMENT_ROWS = 4096
/** What a line of it takes, and each row of the segment in it: a leaf and a day in base64. */
const LINE_BYTES = 512
const ROW_BYTES = 46

const OF_LOG = 'writer = {writer:String} AND epoch = {epoch:UUID}'

const logRow = z.object({
  writer: z.string(),
  epoch: z.string(),
  block: z.number(),
  first: z.number(),
  last: z.number(),
  records: z.number(),
  begun: z.number(),
  ended: z.number(),
})

/** Every log with records in the span, the oldest first. */
export async function logsOf(store: Store, signal: AbortSignal): Promise<readonly Log[]> {
  const rows = await store.rows(
    logRow,
    `SELECT writer, toString(epoch) AS epoch, intDiv(segment, ${BLOCK}) AS block, min(segment) AS first,
      max(segment) AS last, count() AS records, toUnixTimestamp64Milli(min(ts)) AS begun,
      toUnixTimestamp64Milli(max(ts)) AS ended
    FROM ${store.events} GROUP BY writer, epoch, block ORDER BY writer, epoch, block LIMIT ${MOST_BLOCKS + 1}`,
    {},
    signal,
  )
  if (rows.length > MOST_BLOCKS) {
    throw new Failure('bad-request', 'there are more segments than one pack can take', {
      fix: 'ask for a shorter time',
    })
  }
  return [...Map.groupBy(rows, ({ writer, epoch }) => `${writer}\n${epoch}`).values()].map((of) => ({
    writer: of[0]?.writer ?? '',
    epoch: of[0]?.epoch ?? '',
    first: of[0]?.first ?? 0,
    last: of.at(-1)?.last ?? 0,
    blocks: of.map(({ block, records, begun, ended }) => ({ block, records, from: begun, to: ended })),
  }))
}

const aheadRow = z.object({ segment: z.number(), records: z.number() })

const segmentRow = z.object({
  segment: z.number(),
  schema: z.number(),
  first_seq: z.number(),
  records: z.number(),
  root: z.string(),
  leaves: z.string(),
  days: z.string(),
  sealed_at: z.string(),
})

/** The rows of `segments` from the first to the last of a log: those between them too, so that the chain has no hole. */
export async function* segmentMembers(store: Store, log: Log, signal: AbortSignal): AsyncGenerator<Member> {
  const { writer, epoch } = log
  for (let next = log.first; next <= log.last;) {
    const ahead = await store.rows(
      aheadRow,
      `SELECT segment, records FROM segments FINAL WHERE ${OF_LOG} AND segment BETWEEN {next:UInt64} AND {last:UInt64}
      ORDER BY segment LIMIT ${SEGMENT_ROWS}`,
      { writer, epoch, next, last: log.last },
      signal,
    )
    const end = fitting(ahead)
    if (end === undefined) return
    const rows = await store.rows(
      segmentRow,
      `SELECT segment, schema, first_seq, records, root, base64Encode(leaves) AS leaves, base64Encode(days) AS days,
        sealed_at
      FROM segments FINAL WHERE ${OF_LOG} AND segment BETWEEN {next:UInt64} AND {end:UInt64} ORDER BY segment`,
      { writer, epoch, next, end },
      signal,
    )
    const lines = rows.map((row): PackedSegment => ({ writer, epoch, ...row }))
    const path = `segments/${pathPart(writer)}/${epoch}/${rows[0]?.segment ?? next}-${end}.ndjson`
    yield text(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    next = end + 1
  }
}

/** The last segment of those that fit into one member; at least the first. */
function fitting(ahead: readonly z.infer<typeof aheadRow>[]): number | undefined {
  let room = MEMBER_BYTES
  let end: number | undefined
  for (const { segment, records } of ahead) {
    room -= LINE_BYTES + records * ROW_BYTES
    if (room < 0 && end !== undefined) return end
    end = segment
  }
  return end
}

const sizeRow = z.object({ segment: z.number(), records: z.number(), bytes: z.number() })
type Size = z.infer<typeof sizeRow>
const schemaRow = z.object({ segment: z.number(), schema: z.number(), records: z.number() })

/** Segments that go into one member together, or one that takes several. */
interface Batch {
  readonly schema: number
  readonly bytes: number
  readonly segments: readonly number[]
}

/** Every row of each segment of which a row is in the span. */
export async function* recordMembers(store: Store, log: Log, signal: AbortSignal): AsyncGenerator<Member> {
  for (const block of log.blocks) {
    const { batches, where } = await batchesOf(store, log, block, signal)
    for (const batch of batches) yield* await batchMembers(store, log, batch, where, signal)
  }
}

const NEAR = `AND ts >= fromUnixTimestamp64Milli({near_from:Int64}, 'UTC')
  AND ts <= fromUnixTimestamp64Milli({near_to:Int64}, 'UTC')`
const EVERYWHERE: Parameters = { near_from: 0, near_to: 4_000_000_000_000 }

/** The batches of a block, and where in time all their rows are. */
async function batchesOf(
  store: Store,
  { writer, epoch, first, last }: Log,
  block: Block,
  signal: AbortSignal,
): Promise<{ batches: readonly Batch[]; where: Parameters }> {
  // What came in since the log was looked at is not of this pack: `segments/` does not have it either.
  const high = Math.min(last, (block.block + 1) * BLOCK - 1)
  const params = { writer, epoch, low: Math.max(first, block.block * BLOCK), high }
  const rows = await store.rows(
    schemaRow,
    `SELECT segment, schema, records FROM segments FINAL
    WHERE ${OF_LOG} AND segment BETWEEN {low:UInt64} AND {high:UInt64}`,
    params,
    signal,
  )
  const known = new Map(rows.map((row) => [row.segment, row]))
  const sizes = (where: Parameters): Promise<readonly Size[]> =>
    store.rows(
      sizeRow,
      `SELECT segment, count() AS records,
        sum(${LENGTH_BYTES} + length(formatRow('RowBinary', ${columnNames(SCHEMA_VERSION).join(', ')}))) AS bytes
      FROM events WHERE ${OF_LOG} AND segment BETWEEN {low:UInt64} AND {high:UInt64} ${NEAR}
      GROUP BY segment
      HAVING countIf(ts >= fromUnixTimestamp64Milli({span_from:Int64}, 'UTC')
        AND ts < fromUnixTimestamp64Milli({span_to:Int64}, 'UTC')) > 0
      ORDER BY segment`,
      { ...params, ...where },
      signal,
    )
  const near = { near_from: block.from - NEAR_MS, near_to: block.to + NEAR_MS }
  const found = await sizes(near)
  // A clock that jumped: a row of a segment may stand far from the others.
  const whole = found.every(({ segment, records }) => records >= (known.get(segment)?.records ?? records))
  if (whole) return { batches: batched(found, known), where: near }
  return { batches: batched(await sizes(EVERYWHERE), known), where: EVERYWHERE }
}

function batched(sizes: readonly Size[], known: ReadonlyMap<number, z.infer<typeof schemaRow>>): readonly Batch[] {
  const batches: Batch[] = []
  for (const { segment, bytes } of sizes) {
    const schema = known.get(segment)?.schema ?? SCHEMA_VERSION
    const last = batches.at(-1)
    if (last !== undefined && last.schema === schema && last.bytes + bytes <= MEMBER_BYTES / 2) {
      batches[batches.length - 1] = {
        schema,
        bytes: last.bytes + bytes,
        segments: [...last.segments, segment],
      }
    } else {
      batches.push({ schema, bytes, segments: [segment] })
    }
  }
  return batches
}

/** All of them are read before the first goes out: nobody who reads slowly keeps a question open. */
async function batchMembers(
  store: Store,
  { writer, epoch }: Log,
  { schema, segments }: Batch,
  where: Parameters,
  signal: AbortSignal,
): Promise<readonly Member[]> {
  const first = segments[0] ?? 0
  const last = segments.at(-1) ?? first
  const sql = `SELECT formatRow('RowBinary', ${columnNames(schema).join(', ')}) FROM events
    WHERE ${OF_LOG} AND segment BETWEEN {first:UInt64} AND {last:UInt64} AND segment IN (${segments.join(', ')}) ${NEAR}
    ORDER BY segment, writer_seq`
  const params = { writer, epoch, first, last, ...where }
  const pieces: Uint8Array<ArrayBuffer>[] = []
  const cutter = new Cutter(MEMBER_BYTES)
  for await (const chunk of await store.stream(sql, params, 'RowBinary', signal)) {
    cutter.push(chunk)
    if (cutter.full) pieces.push(await gzipped(cutter.take()))
  }
  if (!cutter.ended) throw new Failure('upstream-failed', 'ClickHouse broke off in the middle of a record')
  if (!cutter.empty) pieces.push(await gzipped(cutter.take()))
  const stem = `records/${pathPart(writer)}/${epoch}/segments-${first}-${last}`
  return pieces.map((bytes, i) => ({ path: `${stem}${pieces.length === 1 ? '' : `.${i + 1}`}.rowbinary.gz`, bytes }))
}
