/** Single exchanges from the store: their records, and the bodies that are kept of them, page by page. */
import * as z from 'zod'
import { Failure } from '../../failure.ts'
import type { AuditReader, ExchangeAsked, StoredBody } from '../contract.ts'
import { PAYLOAD_COLUMNS, PAYLOAD_NAMES, type PayloadRow } from '../payload.ts'
import { COLUMN_NAMES, decodeRows, type Row } from '../record.ts'
import { ByteReader } from '../rowbinary.ts'
import type { ClickHouse } from './contract.ts'
import { plainRecord } from './plain.ts'
import { replayed } from './replay.ts'
import { onlyOf } from './scope.ts'
import { bytesOf, textOf } from './text.ts'

/** Most records of one exchange, and most bytes of them. */
const MOST_RECORDS = 10_000
const MOST_BYTES = 64 * 1024 * 1024

/** Pieces that are read at once, each up to 256 KiB. */
const PAGE = 16
const PAGE_BYTES = 32 * 1024 * 1024

const SETTINGS = {
  readonly: 1,
  max_execution_time: 30,
  timeout_overflow_mode: 'throw',
  max_memory_usage: 2 * 1024 ** 3,
  max_rows_to_read: 1_000_000_000,
  read_overflow_mode: 'throw',
}

/** Records may be of a moment that is a little earlier than their exchange's id: clocks are set. */
const EARLIER_MS = 3_600_000

/** `client`'s own database MUST be the audit database. */
export function createExchanges(client: Pick<ClickHouse, 'query'>): Pick<AuditReader, 'exchange' | 'replay'> {
  return {
    async exchange(asked, signal) {
      const [rows, bodies] = await Promise.all([recordsOf(client, asked, signal), bodiesOf(client, asked, signal)])
      if (rows.length === 0) return undefined
      return { exchange: asked.exchange, records: rows.map(plainRecord), bodies }
    },
    async replay(asked, signal) {
      const rows = await recordsOf(client, asked, signal)
      return rows.length === 0 ? undefined : replayed(rows, piecesOf(client, asked, signal))
    },
  }
}

async function recordsOf(
  client: Pick<ClickHouse, 'query'>,
  { exchange, connections }: ExchangeAsked,
  signal: AbortSignal,
): Promise<readonly Row[]> {
  const since = sinceOf(exchange)
  const where = `exchange_id = {exchange:UUID}${scoped(connections)} AND ts >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')`
  const sql = `${unionOf('events', COLUMN_NAMES, where)}
    ORDER BY ts, writer_seq LIMIT 1 BY record_id LIMIT ${MOST_RECORDS + 1}`
  const request = { sql, params: { exchange, since }, format: 'RowBinary', settings: SETTINGS }
  const rows = decodeRows(await bytesOf(await client.query(request, signal), MOST_BYTES))
  if (rows.length <= MOST_RECORDS) return rows
  throw new Failure('upstream-refused', `the exchange has more than ${MOST_RECORDS} records`, {
    fix: 'ask for them with `POST /v1/audit/query`',
  })
}

/** Rows of a table and of its copies under legal holds, which stay when the others have expired. */
function unionOf(table: 'events' | 'payloads', columns: readonly string[], where: string): string {
  const names = columns.join(', ')
  const from = [table, `held_${table}`].map((name) => `SELECT ${names} FROM ${name} WHERE ${where}`)
  return `SELECT ${names} FROM (${from.join(' UNION ALL ')})`
}

/** From when on there may be records: of a UUIDv7, a while before its own time, so that the rest need not be read. */
function sinceOf(exchange: string): number {
  if (exchange[14] !== '7') return 0
  return Math.max(0, Number.parseInt(exchange.replaceAll('-', '').slice(0, 12), 16) - EARLIER_MS)
}

function scoped(connections: readonly string[] | undefined): string {
  return connections === undefined ? '' : ` AND ${onlyOf(connections)}`
}

const stored = z.strictObject({
  direction: z.string(),
  type: z.string(),
  pieces: z.number(),
  bytes: z.number(),
  ended: z.number(),
  mark: z.string(),
})

async function bodiesOf(
  client: Pick<ClickHouse, 'query'>,
  { exchange, connections }: ExchangeAsked,
  signal: AbortSignal,
): Promise<readonly StoredBody[]> {
  const where = `exchange_id = {exchange:UUID}${scoped(connections)}`
  const sql = `SELECT direction, any(p.type) AS type, count() AS pieces, sum(length(content)) AS bytes,
      toUInt8(max(is_last)) AS ended, argMax(p.mark, chunk) AS mark
    FROM (${unionOf('payloads', PAYLOAD_NAMES, where)} LIMIT 1 BY direction, chunk) AS p
    GROUP BY direction ORDER BY direction = 'request' DESC, direction LIMIT 100`
  const settings = { ...SETTINGS, output_format_json_quote_64bit_integers: 0 }
  const bodies = await client.query({ sql, params: { exchange }, format: 'JSONEachRow', settings }, signal)
  const text = await textOf(bodies, 1024 * 1024)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { ended, mark, ...body } = stored.parse(JSON.parse(line))
      return { ...body, ended: ended === 1, ...(mark !== '' && { mark }) }
    })
}

/** Every piece in the order of time. The next page is asked for when the last is read: whoever reads slowly holds nothing open. */
async function* piecesOf(
  client: Pick<ClickHouse, 'query'>,
  { exchange, connections }: ExchangeAsked,
  signal: AbortSignal,
): AsyncGenerator<PayloadRow> {
  const where = `exchange_id = {exchange:UUID}${scoped(connections)} AND
    (toUnixTimestamp64Micro(ts), direction, chunk) > ({ts:Int64}, {direction:String}, {chunk:UInt64})`
  const sql = `${unionOf('payloads', PAYLOAD_NAMES, where)} ORDER BY ts, direction, chunk LIMIT 1 BY direction, chunk LIMIT ${PAGE}`
  let after = { ts: -1, direction: '', chunk: 0 }
  for (;;) {
    const request = { sql, params: { exchange, ...after }, format: 'RowBinary', settings: SETTINGS }
    const page = decodePayloads(await bytesOf(await client.query(request, signal), PAGE_BYTES))
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = { ts: last.ts, direction: last.direction, chunk: last.chunk }
  }
}

function decodePayloads(bytes: Uint8Array): readonly PayloadRow[] {
  const from = new ByteReader(bytes)
  const rows: PayloadRow[] = []
  while (!from.ended) {
    rows.push(
      Object.fromEntries(PAYLOAD_COLUMNS.map(([name, codec]) => [name, codec.read(from)])) as unknown as PayloadRow,
    )
  }
  return rows
}
