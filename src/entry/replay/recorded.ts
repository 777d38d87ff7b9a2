/** What the audit database holds of one exchange that is to be run again. */
import * as z from 'zod'
import type { ClickHouse } from '../../audit/reader/contract.ts'
import { rowsOf } from '../simulate/store.ts'
import { linesOf, RowTally, type RowsSeen } from './rows.ts'

/** The decision on an exchange and what came of it, as far as running it again needs them. */
export interface RecordedRun {
  readonly exchange: string
  /** When it was decided, milliseconds since 1970 UTC. */
  readonly at: number
  readonly surface: string
  readonly issuer: string
  readonly subject: string
  readonly actsFor: string
  readonly connection: string
  readonly language: string
  readonly kind: string
  readonly text: string
  readonly actions: readonly string[]
  readonly vias: readonly string[]
  /** Names and types. */
  readonly parameters: readonly string[]
  readonly weighed: string
  readonly policy: string
  /** Absent where no answer is recorded. */
  readonly answer?: RecordedAnswer
}

export interface RecordedAnswer {
  readonly rowCount: number | null
  readonly byteCount: number | null
  readonly status: number | null
  readonly ending: string
  /** `shop.customers.email hash`, sorted. */
  readonly masked: readonly string[]
  /** How it is kept: `full`, `first`, `digest`, or '' where it is not. */
  readonly kept: string
  readonly type: string
  readonly digest: string
}

const words = z.array(z.string())
const count = z.number().int().min(0)

const decidedShape = z.strictObject({
  exchange: z.string(),
  at: z.number(),
  surface: z.string(),
  issuer: z.string(),
  subject: z.string(),
  actsFor: z.string(),
  connection: z.string(),
  language: z.string(),
  kind: z.string(),
  text: z.string(),
  actions: words,
  vias: words,
  parameters: words,
  weighed: z.string(),
  policy: z.string(),
})

const answerShape = z.strictObject({
  rowCount: count.nullable(),
  byteCount: count.nullable(),
  status: count.nullable(),
  ending: z.string(),
  masked: words,
  kept: z.string(),
  type: z.string(),
  digest: z.string(),
})

/** `undefined` where no decision on it is recorded. `client`'s own database MUST be the audit database. */
export async function recordedRun(
  client: Pick<ClickHouse, 'query'>,
  id: string,
  signal: AbortSignal,
): Promise<RecordedRun | undefined> {
  const params = { id }
  const decided = `SELECT toString(e.exchange_id) AS exchange, toUnixTimestamp64Micro(e.ts) / 1000 AS at, e.surface AS surface,
      e.issuer AS issuer, e.subject AS subject, e.acts_for_subject AS actsFor, e.connection AS connection,
      e.language AS language, e.statement_kind AS kind, e.statement AS text, e.actions AS actions, e.vias AS vias,
      e.parameters AS parameters, e.weighed AS weighed, e.policy AS policy
    FROM events AS e WHERE e.exchange_id = {id:UUID} AND e.kind = 'decided' ORDER BY e.ts DESC LIMIT 1`
  const [run] = await all(rowsOf(client, { sql: decided, params }, decidedShape, signal))
  if (run === undefined) return undefined
  const completed = `SELECT e.row_count AS rowCount, e.byte_count AS byteCount, e.status AS status, e.ending AS ending,
      arraySort(arrayMap((t, c, s) -> concat(t, '.', c, ' ', s), e.masked_tables, e.masked_columns, e.masked_strategies)) AS masked,
      e.answer_recorded AS kept, e.answer_type AS type, e.answer_digest AS digest
    FROM events AS e WHERE e.exchange_id = {id:UUID} AND e.kind = 'completed' ORDER BY e.ts DESC LIMIT 1`
  const [answer] = await all(rowsOf(client, { sql: completed, params }, answerShape, signal))
  return { ...run, ...(answer && { answer }) }
}

/** A recorded body: what of it is kept, in order. */
const pieceShape = z.strictObject({ content: z.string(), secrets: count, mark: z.string() })

function piecesOf(
  client: Pick<ClickHouse, 'query'>,
  id: string,
  direction: 'request' | 'answer',
  signal: AbortSignal,
): AsyncGenerator<z.infer<typeof pieceShape>> {
  const sql = `SELECT base64Encode(p.content) AS content, length(p.digests) AS secrets, p.mark AS mark
    FROM payloads AS p WHERE p.exchange_id = {id:UUID} AND p.direction = {direction:String} ORDER BY p.chunk`
  return rowsOf(client, { sql, params: { id, direction } }, pieceShape, signal)
}

/**
 * Whether the digest of a recorded body is of what went out: no digest stands in the place of a secret value. Where its
 * pieces are gone nobody can say, and it is taken not to be.
 */
export async function isWhatWentOut(
  client: Pick<ClickHouse, 'query'>,
  id: string,
  direction: 'request' | 'answer',
  signal: AbortSignal,
): Promise<boolean> {
  const sql = `SELECT count() AS pieces, countIf(notEmpty(p.digests)) AS redacted FROM payloads AS p
    WHERE p.exchange_id = {id:UUID} AND p.direction = {direction:String}`
  const shape = z.strictObject({ pieces: count, redacted: count })
  const [row] = await all(rowsOf(client, { sql, params: { id, direction } }, shape, signal))
  return row !== undefined && row.pieces > 0 && row.redacted === 0
}

/** Longest recorded request that is read. */
const MOST_REQUEST = 8 * 1024 * 1024

/** The parameters of a recorded request as a request gives them; `undefined` where they are not kept whole. */
export async function recordedParameters(
  client: Pick<ClickHouse, 'query'>,
  id: string,
  signal: AbortSignal,
): Promise<unknown> {
  const parts: Buffer[] = []
  let length = 0
  for await (const { content, secrets, mark } of piecesOf(client, id, 'request', signal)) {
    const bytes = Buffer.from(content, 'base64')
    length += bytes.length
    if (secrets > 0 || mark !== '' || length > MOST_REQUEST) return undefined
    parts.push(bytes)
  }
  const parsed = parametersShape.safeParse(jsonOf(Buffer.concat(parts).toString('utf8')))
  if (!parsed.success) return undefined
  const { params } = parsed.data
  // Fields of structs have their names in the type alone.
  if (params.some(({ type }) => /STRUCT/i.test(type))) return undefined
  const named = params.flatMap(({ name, type, value }) =>
    name === undefined ? [] : [[name, { type, value }] as const],
  )
  if (named.length === params.length) return Object.fromEntries(named)
  return named.length === 0 ? params.map(({ type, value }) => ({ type, value })) : undefined
}

const parametersShape = z.strictObject({
  params: z.array(z.strictObject({ name: z.string().exactOptional(), type: z.string(), value: z.json() })),
})

/** The columns and rows of a recorded answer; `undefined` where they are not whole, or secrets are taken out of them. */
export async function recordedRows(
  client: Pick<ClickHouse, 'query'>,
  id: string,
  signal: AbortSignal,
): Promise<{ readonly columns: unknown; readonly rows: RowsSeen } | undefined> {
  if (!(await isWhatWentOut(client, id, 'answer', signal))) return undefined
  const tally = new RowTally()
  let columns: unknown
  for await (const line of linesOf(contents(piecesOf(client, id, 'answer', signal)))) {
    if (columns !== undefined) tally.add(line)
    else {
      const head = headShape.safeParse(jsonOf(line))
      if (!head.success) return undefined
      columns = head.data.columns
    }
  }
  return columns === undefined ? undefined : { columns, rows: tally.seen() }
}

const headShape = z.strictObject({ columns: z.array(z.json()) })

async function* contents(pieces: AsyncIterable<{ readonly content: string }>): AsyncGenerator<Uint8Array> {
  for await (const { content } of pieces) yield Buffer.from(content, 'base64')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function all<T>(rows: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const row of rows) found.push(row)
  return found
}
