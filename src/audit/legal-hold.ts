/**
 * Legal holds: what is recorded of somebody, or on a connection, must outlive its day. Rows are never changed, for they are
 * evidence; they are copied, with every column that their hashes are over, to tables that nothing expires from. Whoever
 * runs this needs more rights in ClickHouse than a gateway has: to read the records and to write the copies.
 */
import * as z from 'zod'
import { PAYLOAD_NAMES } from './payload.ts'
import type { ClickHouse } from './reader/contract.ts'
import { COLUMN_NAMES } from './record.ts'
import { quote } from './views.ts'

/** What a hold keeps: what fits all that is said. Every record of an exchange of which one fits. */
export interface HoldScope {
  /** Subjects, or `issuer:subject`; they, or those for whom somebody acted. */
  readonly principals?: readonly string[] | undefined
  readonly connections?: readonly string[] | undefined
  /** Milliseconds since 1970 UTC; `to` exclusive. */
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** A hold as it stands. */
export interface LegalHold {
  readonly hold: string
  readonly state: 'held' | 'released'
  /** When it was last brought up to date or released, milliseconds since 1970 UTC. */
  readonly at: number
  readonly actor: string
  readonly reason: string
  readonly scope: HoldScope
  /** Copies there are. */
  readonly records: number
  readonly pieces: number
}

/** Who does something to a hold, and when. */
export interface Act {
  readonly hold: string
  readonly actor: string
  readonly reason: string
  /** Milliseconds since 1970 UTC. */
  readonly at: number
}

export interface LegalHolds {
  /** Copies what fits and is not copied yet. Run again, it copies what came since. Resolves with the hold as it stands. */
  keep(act: Act, scope: HoldScope, signal: AbortSignal): Promise<LegalHold>
  /** Removes the copies; the originals go by their own days. */
  release(act: Act, scope: HoldScope, signal: AbortSignal): Promise<LegalHold>
  /** Every hold that there ever was, as it stands. */
  list(signal: AbortSignal): Promise<readonly LegalHold[]>
}

/** Names of holds: they name partitions too. */
export const HOLD_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/

const LIMITS = { seconds: 3600, memoryBytes: 4 * 1024 ** 3 }
const SETTINGS = {
  max_execution_time: LIMITS.seconds,
  timeout_overflow_mode: 'throw',
  max_memory_usage: LIMITS.memoryBytes,
  max_partitions_per_insert_block: 100,
} as const

/** Most holds that are listed, and characters of the list. */
const MOST = 10_000
const MOST_TEXT = 16 * 1024 * 1024

const scopeShape = z.strictObject({
  principals: z.array(z.string()).exactOptional(),
  connections: z.array(z.string()).exactOptional(),
  from: z.number().exactOptional(),
  to: z.number().exactOptional(),
})
const counted = z.strictObject({ records: z.number().int(), pieces: z.number().int() })
const listed = z.strictObject({
  hold: z.string(),
  state: z.enum(['held', 'released']),
  at: z.number(),
  actor: z.string(),
  reason: z.string(),
  scope: z.string(),
  records: z.number().int(),
  pieces: z.number().int(),
})

/** `database` MUST be a plain identifier. Everything rejects as the client does. */
export function createLegalHolds(client: Pick<ClickHouse, 'query' | 'command'>, database: string): LegalHolds {
  const table = (name: string): string => `\`${database}\`.\`${name}\``

  const run = async (sql: string, params: Params, signal: AbortSignal): Promise<readonly unknown[]> => {
    const settings = { ...SETTINGS, output_format_json_quote_64bit_integers: 0 }
    const text = await textOf(await client.query({ sql, params, format: 'JSONEachRow', settings }, signal))
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown]))
  }

  /** Copies are told by where in a journal they were written. */
  const copy = async (
    { from, to, columns }: { from: string; to: string; columns: readonly string[] },
    params: Params,
    scope: HoldScope,
    signal: AbortSignal,
  ): Promise<void> => {
    const names = columns.map((name) => `\`${name}\``).join(', ')
    await run(
      `INSERT INTO ${table(to)} (hold, ${names}) SELECT {hold:String} AS hold, ${columns.map((name) => `e.\`${name}\``).join(', ')}
        FROM ${table(from)} AS e
        WHERE e.exchange_id IN (SELECT exchange_id FROM ${table('events')} WHERE ${conditions(scope)})
          AND (e.writer, e.epoch, e.writer_seq) NOT IN
            (SELECT writer, epoch, writer_seq FROM ${table(to)} WHERE hold = {hold:String})`,
      params,
      signal,
    )
  }

  const note = async (
    act: Act,
    state: LegalHold['state'],
    scope: HoldScope,
    signal: AbortSignal,
  ): Promise<LegalHold> => {
    const { hold, actor, reason, at } = act
    const [found] = await run(
      `SELECT (SELECT count() FROM ${table('held_events')} FINAL WHERE hold = {hold:String}) AS records,
        (SELECT count() FROM ${table('held_payloads')} FINAL WHERE hold = {hold:String}) AS pieces`,
      { hold },
      signal,
    )
    const { records, pieces } = counted.parse(found)
    await run(
      `INSERT INTO ${table('legal_holds')} (hold, at, state, actor, reason, scope, records, pieces)
        SELECT {hold:String}, fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {state:String}, {actor:String}, {reason:String},
          {scope:String}, {records:UInt64}, {pieces:UInt64}`,
      { hold, at: Math.round(at), state, actor, reason, scope: JSON.stringify(scope), records, pieces },
      signal,
    )
    return { hold, state, at: Math.round(at), actor, reason, scope, records, pieces }
  }

  return {
    async keep(act, scope, signal) {
      const params = { hold: named(act.hold), ...paramsOf(scope) }
      await copy({ from: 'events', to: 'held_events', columns: COLUMN_NAMES }, params, scope, signal)
      await copy({ from: 'payloads', to: 'held_payloads', columns: PAYLOAD_NAMES }, params, scope, signal)
      return note(act, 'held', scope, signal)
    },
    async release(act, scope, signal) {
      const hold = quote(named(act.hold))
      for (const name of ['held_events', 'held_payloads']) {
        await client.command(`ALTER TABLE ${table(name)} DROP PARTITION ${hold}`, signal)
      }
      return note(act, 'released', scope, signal)
    },
    async list(signal) {
      const rows = await run(
        `SELECT l.hold AS hold, argMax(l.state, l.at) AS state, toUnixTimestamp64Milli(max(l.at)) AS at, argMax(l.actor, l.at) AS actor,
            argMax(l.reason, l.at) AS reason, argMax(l.scope, l.at) AS scope, argMax(l.records, l.at) AS records,
            argMax(l.pieces, l.at) AS pieces
          FROM ${table('legal_holds')} AS l GROUP BY l.hold ORDER BY l.hold LIMIT ${MOST}`,
        {},
        signal,
      )
      return rows.map((row) => {
        const { scope, ...rest } = listed.parse(row)
        return { ...rest, scope: scopeShape.parse(JSON.parse(scope)) }
      })
    },
  }
}

type Params = Readonly<Record<string, string | number>>

/** A hold of everything is none that anybody meant. */
function conditions({ principals, connections, from, to }: HoldScope): string {
  const all = [
    ...(principals === undefined
      ? []
      : [
          `arrayExists(p -> p IN (subject, concat(issuer, ':', subject), acts_for_subject,
            concat(acts_for_issuer, ':', acts_for_subject)), JSONExtract({principals:String}, 'Array(String)'))`,
        ]),
    ...(connections === undefined ? [] : [`has(JSONExtract({connections:String}, 'Array(String)'), connection)`]),
    ...(from === undefined ? [] : [`ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')`]),
    ...(to === undefined ? [] : [`ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')`]),
  ]
  if (all.length === 0) throw new Error('a legal hold says what it holds')
  return all.join(' AND ')
}

function paramsOf({ principals, connections, from, to }: HoldScope): Params {
  return {
    ...(principals !== undefined && { principals: JSON.stringify(principals) }),
    ...(connections !== undefined && { connections: JSON.stringify(connections) }),
    ...(from !== undefined && { from: Math.round(from) }),
    ...(to !== undefined && { to: Math.round(to) }),
  }
}

function named(hold: string): string {
  if (!HOLD_NAME.test(hold)) throw new Error('a legal hold has a name of small letters, digits and dashes')
  return hold
}

async function textOf(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let whole = ''
  for await (const chunk of body) {
    whole += decoder.decode(chunk, { stream: true })
    if (whole.length > MOST_TEXT) throw new Error('the list of legal holds is too long')
  }
  return whole + decoder.decode()
}
