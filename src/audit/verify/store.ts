/** Evidence in a live ClickHouse, read as it lies there. */
import type { ClickHouse } from '../reader/contract.ts'
import { columnNames } from '../record.ts'
import { ByteReader, MalformedBytes } from '../rowbinary.ts'
import type { Evidence, LogId, StoredSegment, Surplus } from './contract.ts'

/** How far from its neighbours, in milliseconds, a record is looked for before it is looked for everywhere. */
const NEAR_MS = 3_600_000

/** Segments that are read at once. */
const PAGE = 512

const OF_LOG = 'writer = {writer:String} AND epoch = {epoch:UUID}'
const SETTINGS = { readonly: 1, max_memory_usage: 8 * 1024 ** 3, max_bytes_before_external_sort: 1024 ** 3 }

type Params = Readonly<Record<string, string | number>>

/** `client`'s own database MUST be the audit database. */
export function storedEvidence(client: Pick<ClickHouse, 'query'>, signal: AbortSignal): Evidence {
  const ask = (sql: string, params: Params): Promise<ReadableStream<Uint8Array>> =>
    client.query({ sql, params, format: 'RowBinary', settings: SETTINGS }, signal)
  const of = ({ writer, epoch }: LogId): Params => ({ writer, epoch })

  async function* rowsNear(log: LogId, segments: readonly StoredSegment[], near: Params): AsyncGenerator<Uint8Array> {
    const [first, last] = [segments[0]?.segment ?? 0, segments.at(-1)?.segment ?? 0]
    const columns = columnNames(segments[0]?.schema ?? 1).map((name) => `\`${name}\``)
    const sql = `SELECT formatRow('RowBinary', ${columns.join(', ')}) FROM events
      WHERE ${OF_LOG} AND segment BETWEEN {first:UInt64} AND {last:UInt64}
        AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
      ORDER BY segment, writer_seq`
    yield* texts(await ask(sql, { ...of(log), first, last, ...near }))
  }

  return {
    async logs() {
      const logs: LogId[] = []
      const sql = `SELECT DISTINCT writer, toString(epoch) FROM (SELECT writer, epoch FROM events
        UNION ALL SELECT writer, epoch FROM segments UNION ALL SELECT writer, epoch FROM checkpoints) ORDER BY 1, 2`
      const fields = texts(await ask(sql, {}))
      for (let writer = await fields.next(); writer.done !== true; writer = await fields.next()) {
        const epoch = await fields.next()
        if (epoch.done === true) throw new MalformedBytes('an answer ends too early')
        logs.push({ writer: utf8(writer.value), epoch: utf8(epoch.value) })
      }
      return logs
    },

    async checkpoints(log) {
      const notes: string[] = []
      const sql = `SELECT note FROM checkpoints WHERE ${OF_LOG} ORDER BY signed_at`
      for await (const note of texts(await ask(sql, of(log)))) notes.push(utf8(note))
      return notes
    },

    async *segments(log) {
      // By pages: an answer that is left half read while records are hashed would hold the server up.
      const sql = `SELECT segment, schema, first_seq, records, unhex(root), leaves, days, toUnixTimestamp64Milli(sealed_at)
        FROM segments FINAL WHERE ${OF_LOG} AND segment >= {next:UInt64} ORDER BY segment LIMIT ${PAGE}`
      for (let next = 0; ;) {
        const page: StoredSegment[] = []
        for await (const segment of records(await ask(sql, { ...of(log), next }), segmentFrom)) page.push(segment)
        yield* page
        const last = page.at(-1)
        if (last === undefined || page.length < PAGE) return
        next = last.segment + 1
      }
    },

    async *rows(log, segments) {
      const sealed = segments.map(({ sealedAt }) => sealedAt).filter((at) => at > 0)
      const from = Math.min(...sealed) - NEAR_MS
      const to = Math.max(...sealed) + NEAR_MS
      const expected = segments.reduce((sum, each) => sum + each.records, 0)
      const near: Uint8Array[] = []
      if (sealed.length > 0) for await (const row of rowsNear(log, segments, { from, to })) near.push(row)
      // One that stands elsewhere in time has been moved there, or its clock jumped: then all of time is looked through.
      if (sealed.length > 0 && near.length >= expected) yield* near
      else yield* rowsNear(log, segments, { from: 0, to: 4_000_000_000_000 })
    },

    async surplus(log) {
      const sql = `SELECT e.segment, toUInt64(e.n - least(e.n, ifNull(s.records, 0))), toUInt8(s.known = 1), e.newest
        FROM (SELECT segment, count() AS n, toUnixTimestamp64Milli(max(ts)) AS newest FROM events WHERE ${OF_LOG} GROUP BY segment) AS e
        LEFT JOIN (SELECT segment, records, 1 AS known FROM segments FINAL WHERE ${OF_LOG}) AS s ON e.segment = s.segment
        WHERE s.known != 1 OR e.n > s.records ORDER BY e.segment LIMIT 100`
      const found: Surplus[] = []
      const each = records(await ask(sql, of(log)), (from) => ({
        segment: Number(from.u64()),
        records: Number(from.u64()),
        isKnown: from.byte() === 1,
        newest: Number(from.i64()),
      }))
      for await (const surplus of each) found.push(surplus)
      return found
    },

    async *bodies(exchanges) {
      const sql = `SELECT toString(exchange_id), direction, content FROM payloads
        WHERE exchange_id IN (SELECT toUUID(arrayJoin(splitByChar(',', {exchanges:String}))))
        ORDER BY payloads.exchange_id, direction, chunk`
      yield* records(await ask(sql, { exchanges: exchanges.join(',') }), (from) => ({
        exchange: from.text(),
        direction: from.text(),
        content: from.bytes(),
      }))
    },
  }
}

function segmentFrom(from: ByteReader): StoredSegment {
  return {
    segment: Number(from.u64()),
    schema: from.byte(),
    firstSeq: Number(from.u64()),
    records: Number(from.u64()),
    root: from.bytes(),
    leaves: from.bytes(),
    days: from.bytes(),
    sealedAt: Number(from.i64()),
  }
}

/** Each text of an answer of texts. */
async function* texts(answer: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* records(answer, (from) => from.bytes())
}

/** Each record of an answer, as soon as all of it is there. */
async function* records<T>(answer: ReadableStream<Uint8Array>, read: (from: ByteReader) => T): AsyncGenerator<T> {
  let rest: Uint8Array = new Uint8Array(0)
  for await (const chunk of answer) {
    const bytes = new Uint8Array(rest.length + chunk.length)
    bytes.set(rest)
    bytes.set(chunk, rest.length)
    const from = new ByteReader(bytes)
    let at = 0
    const found: T[] = []
    while (!from.ended) {
      try {
        found.push(read(from))
        at = from.at
      } catch (error) {
        // The next chunk has the rest of it.
        if (!(error instanceof MalformedBytes)) throw error
        break
      }
    }
    rest = bytes.subarray(at)
    yield* found
  }
  if (rest.length > 0) throw new MalformedBytes('an answer ends in the middle of a record')
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })
function utf8(bytes: Uint8Array): string {
  return UTF8.decode(bytes)
}
