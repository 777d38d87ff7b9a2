/** Runs a recorded read again, through the gateway and with its masks, and compares what comes back with what came then. */
import { createHash } from 'node:crypto'
import { request } from 'undici'
import * as z from 'zod'
import { Refusal } from '../node.ts'
import type { RecordedRun } from './recorded.ts'
import { linesOf, RowTally, type RowsSeen } from './rows.ts'

export interface Gateway {
  /** Without a slash at its end. */
  readonly url: string
  readonly token: string
  readonly signal: AbortSignal
}

/** An answer of now. */
export interface Again {
  /** Of the re-execution itself; it has its own record. */
  readonly exchange: string
  readonly columns?: readonly unknown[]
  readonly rows?: RowsSeen
  readonly ending?: string
  /** Of an HTTP answer. */
  readonly status?: number
  readonly byteCount: number
  /** SHA-256 of the answer as the gateway records it in full, 64 hex digits. */
  readonly digest: string
}

/** Most of an answer that is no answer: a problem in words. */
const MOST_PROBLEM = 64 * 1024

/** How a record says why it was made. */
export function purposeOf(exchange: string): string {
  return `re-execution of ${exchange}`
}

/** Runs SQL. Throws a Refusal where the gateway does not answer with rows. */
export async function runSql(
  run: RecordedRun,
  asked: { readonly sql: string; readonly params: unknown; readonly maxRows: number | undefined },
  { url, token, signal }: Gateway,
): Promise<Again> {
  const { sql, params, maxRows } = asked
  const answer = await fetch(`${url}/v1/query`, {
    method: 'POST',
    signal,
    redirect: 'error',
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      Accept: 'application/x-ndjson',
    },
    body: JSON.stringify({
      connection: run.connection,
      sql,
      purpose: purposeOf(run.exchange),
      ...(params !== undefined && { params }),
      ...(maxRows !== undefined && { maxRows }),
    }),
  }).catch(unreachable(url))
  if (answer.status !== 200 || answer.body === null) throw await turnedAway(answer)
  return readRows(answer.body)
}

const headShape = z.looseObject({ exchange: z.string(), columns: z.array(z.json()) })
const tailShape = z.looseObject({ rowCount: z.number(), ending: z.string() })

/** A header line, a row a line, a trailer line. */
async function readRows(body: ReadableStream<Uint8Array>): Promise<Again> {
  const tally = new RowTally()
  const whole = createHash('sha256')
  let head: z.infer<typeof headShape> | undefined
  // One behind: the last line is no row.
  let line: string | undefined
  let byteCount = 0
  for await (const next of linesOf(body)) {
    if (head === undefined) {
      head = headShape.parse(JSON.parse(next))
      whole.update(`${JSON.stringify({ columns: head.columns })}\n`)
      continue
    }
    if (line !== undefined) {
      tally.add(line)
      whole.update(`${line}\n`)
      byteCount += Buffer.byteLength(line) + 1
    }
    line = next
  }
  const tail = tailShape.safeParse(line === undefined ? undefined : JSON.parse(line))
  if (head === undefined || !tail.success) throw new Refusal('the answer broke off: nothing can be compared')
  const { exchange, columns } = head
  return { exchange, columns, rows: tally.seen(), ending: tail.data.ending, byteCount, digest: whole.digest('hex') }
}

/** Sends a request to an API. Throws a Refusal where the gateway itself answers. */
export async function runHttp(
  run: RecordedRun,
  headers: readonly (readonly [name: string, value: string])[],
  { url, token, signal }: Gateway,
): Promise<Again> {
  const target = run.text.slice(run.kind.length + 1)
  // Not `fetch`, which adds headers of its own that the API would see.
  const answer = await request(`${url}/proxy/${run.connection}${target}`, {
    method: run.kind as 'GET',
    signal,
    headers: Object.fromEntries([
      ...headers,
      ['authorization', `Bearer ${token}`],
      ['sluice-purpose', purposeOf(run.exchange)],
    ]),
  }).catch(unreachable(url))
  const exchange = String(answer.headers['sluice-exchange'] ?? '')
  const whole = createHash('sha256')
  const beginning: Uint8Array[] = []
  let byteCount = 0
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    if (byteCount < MOST_PROBLEM) beginning.push(chunk)
    whole.update(chunk)
    byteCount += chunk.length
  }
  const { statusCode: status } = answer
  // An API has problems, and answers of status 202, of its own; the gateway's are of this exchange.
  const word = problemShape.safeParse(jsonOf(Buffer.concat(beginning).toString('utf8'))).data
  const isHeld = status === 202 && word?.hold !== undefined && word.hold.id === exchange
  if (exchange === '' || isHeld || (status >= 400 && word?.exchange === exchange)) {
    throw refusalOf(word ?? {}, status, exchange)
  }
  return { exchange, status, byteCount, digest: whole.digest('hex') }
}

function unreachable(url: string): (cause: Error) => never {
  return (cause) => {
    throw new Refusal(`the gateway at ${url} does not answer\nname another with --url`, { cause })
  }
}

const problemShape = z.looseObject({
  exchange: z.string().optional(),
  code: z.string().optional(),
  detail: z.string().optional(),
  reasons: z.array(z.looseObject({ because: z.string() })).optional(),
  hold: z.looseObject({ id: z.string() }).optional(),
})

/** The gateway's word for why it did not run. */
async function turnedAway(answer: Response): Promise<Refusal> {
  const text = (await answer.text()).slice(0, MOST_PROBLEM)
  const parsed = problemShape.safeParse(jsonOf(text))
  return refusalOf(parsed.data ?? {}, answer.status, answer.headers.get('Sluice-Exchange') ?? 'not recorded')
}

function refusalOf(problem: z.infer<typeof problemShape>, status: number, exchange: string): Refusal {
  const { code = `status ${status}`, detail, reasons = [], hold } = problem
  if (hold !== undefined) {
    return new Refusal(`it is held now: once it is approved, run it with POST /v1/holds/${hold.id}/run`)
  }
  const why = [code, detail, ...reasons.map(({ because }) => because)].filter((it) => it !== undefined)
  return new Refusal(`it did not run again: ${why.join(': ')} (${exchange})`)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
