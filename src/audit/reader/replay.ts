/**
 * An exchange as it happened: what its records say and the bodies that are kept, as events in the order of time. Pure but for
 * the pieces, which are read as the events are.
 */
import type { ReplayEvent } from '../contract.ts'
import type { PayloadRow } from '../payload.ts'
import type { Row } from '../record.ts'
import { plainEvent, type Plain } from './plain.ts'

/** An event whose time is in microseconds since 1970 UTC. */
interface Timed {
  readonly ts: number
  readonly event: string
  readonly facts: Plain
}

/** `rows`: at least one, in the order of time, as are the pieces. The last event is `end`. */
export async function* replayed(rows: readonly Row[], pieces: AsyncIterable<PayloadRow>): AsyncGenerator<ReplayEvent> {
  const begin = beginOf(rows)
  const recorded = rows.flatMap((row, i) => eventsOf(row, i === 0, begin))
  let last = begin
  for await (const { ts, event, facts } of merged(recorded, bodyEvents(rows, pieces))) {
    // A clock that was set back does not turn the order around.
    last = Math.max(last, ts)
    yield { at: (last - begin) / 1000, event, ...facts }
  }
  yield { at: (last - begin) / 1000, event: 'end' }
}

/** When the request came; where that is not recorded, the first record. */
function beginOf(rows: readonly Row[]): number {
  const received = rows.flatMap(({ received_at: at }) => (at === null ? [] : [at]))
  return Math.min(...received, ...rows.slice(0, 1).map(({ ts }) => ts))
}

/** Facts that say the same in each record of an exchange: told once, with the request. */
const OF_THE_REQUEST = ['surface', 'plane', 'connection', 'purpose', 'statement'] as const

/** A record as events: the first tells of the request, too. */
function eventsOf(row: Row, isFirst: boolean, begin: number): readonly Timed[] {
  const facts = plainEvent(row)
  const { kind, principal, ...rest } = facts
  const asked = Object.fromEntries(OF_THE_REQUEST.flatMap((name) => (name in facts ? [[name, facts[name]]] : [])))
  const told = Object.fromEntries(Object.entries(rest).filter(([name]) => !(name in asked)))
  // A hold is moved by others than whoever asked.
  const by = row.kind === 'hold' && principal !== undefined ? { by: principal } : {}
  const own = { ts: row.ts, event: String(kind), facts: { ...told, ...by } }
  if (!isFirst) return [own]
  return [{ ts: begin, event: 'request', facts: { ...(principal !== undefined && { principal }), ...asked } }, own]
}

/** Both in the order of time; of a record that says how a body ended and a piece of it, the piece comes first. */
async function* merged(recorded: readonly Timed[], bodies: AsyncIterable<Timed>): AsyncGenerator<Timed> {
  let at = 0
  for await (const body of bodies) {
    for (let next = recorded[at]; next !== undefined && next.ts < body.ts; next = recorded[at]) {
      yield next
      at += 1
    }
    yield body
  }
  yield* recorded.slice(at)
}

async function* bodyEvents(rows: readonly Row[], pieces: AsyncIterable<PayloadRow>): AsyncGenerator<Timed> {
  const isSql = rows.some(({ language }) => language === 'googlesql')
  for await (const piece of pieces) {
    const { ts, direction, chunk } = piece
    const columns = isSql && direction === 'answer' && chunk === 0 ? columnsOf(piece.content) : undefined
    if (columns !== undefined) yield { ts, event: 'columns', facts: { columns: columns.columns } }
    const content = piece.content.subarray(columns?.bytes ?? 0)
    if (content.length > 0 || piece.mark !== '' || piece.is_last) {
      yield { ts, event: 'chunk', facts: chunkOf(piece, content) }
    }
  }
}

function chunkOf(
  { direction, offset, chunk, type, mark, is_last: isLast, digests }: PayloadRow,
  content: Uint8Array,
): Plain {
  return {
    direction,
    ...(chunk === 0 && { type }),
    offset,
    ...written(content),
    ...(digests.length > 0 && { digests }),
    ...(isLast && { last: true }),
    ...(mark !== '' && { mark }),
  }
}

/** As text where it is some, and else, as where a character goes on in the next piece, as base64. */
function written(content: Uint8Array): Plain {
  try {
    return { text: UTF8.decode(content) }
  } catch {
    return { base64: base64(content) }
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function base64(bytes: Uint8Array): string {
  const parts: string[] = []
  for (let at = 0; at < bytes.length; at += 8_192) parts.push(String.fromCharCode(...bytes.subarray(at, at + 8_192)))
  return btoa(parts.join(''))
}

const LF = 0x0a

/** The first line of a recorded SQL answer names its columns. */
function columnsOf(content: Uint8Array): { readonly columns: unknown; readonly bytes: number } | undefined {
  const end = content.indexOf(LF)
  if (end === -1) return undefined
  try {
    const head: unknown = JSON.parse(UTF8.decode(content.subarray(0, end)))
    if (typeof head !== 'object' || head === null || !('columns' in head)) return undefined
    return { columns: head.columns, bytes: end + 1 }
  } catch {
    return undefined
  }
}
