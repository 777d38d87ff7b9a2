/** `sluice replay ID --execute`: a recorded read, run again through the gateway. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import * as z from 'zod'
import type { ClickHouse } from '../../audit/reader/contract.ts'
import type { Config } from '../../config.ts'
import { asOf } from '../replay/as-of.ts'
import { compareHttp, compareMasks, compareSql, isSameAnswer, type Compared, type Then } from '../replay/difference.ts'
import { runHttp, runSql, type Again, type Gateway } from '../replay/execute.ts'
import { isWhatWentOut, recordedParameters, recordedRows, recordedRun, type RecordedRun } from '../replay/recorded.ts'
import { loadConfig, Refusal, type Loaded } from '../node.ts'
import { openStore } from '../simulate/store.ts'
import { argumentsOf, type Command } from './command.ts'

/** Something came back otherwise. */
const DIFFERENT = 4

const MOST_MS = 3_600_000
/** How long its own record may take to reach the database. */
const ARRIVAL_MS = 20_000
const ARRIVAL_EVERY_MS = 250

const OPTIONS = {
  execute: { type: 'boolean', default: false },
  url: { type: 'string' },
  'token-file': { type: 'string' },
  params: { type: 'string' },
  now: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const

export const replayExecute: Command = {
  name: 'replay --execute',
  takes: 'ID [--now] [--url URL]',
  about: 'run a recorded read again as its principal (SLUICE_TOKEN); compare the answers (4: they differ)',
  run: executeAgain,
}

/** What is told of a run. */
interface Report {
  readonly exchange: string
  readonly again: string
  /** The time as of which tables were read, or why they were read as they are now. */
  readonly tables: string
  readonly principal: string
  readonly policy: string
  readonly compared: readonly Compared[]
}

/** Arguments as of `replay`, `--execute` among them. */
export async function executeAgain(args: readonly string[]): Promise<number> {
  const { values, positionals } = argumentsOf(args, OPTIONS)
  const [id] = positionals
  if (id === undefined || positionals.length > 1 || !UUID.test(id)) {
    throw new Refusal('name one exchange: sluice replay ID --execute')
  }
  const loaded = await loadConfig(values.config)
  const token = await tokenOf(values['token-file'])
  const signal = AbortSignal.timeout(MOST_MS)
  const client = await openStore(loaded)
  try {
    const run = await recordedRun(client, id, signal)
    const answer = mustBeRead(id, run)
    const gateway = { url: values.url?.replace(/\/$/, '') ?? urlOf(loaded), token, signal }
    const ran = await (answer.language === 'http'
      ? againHttp(client, answer, gateway)
      : againSql(client, answer, loaded, gateway, values))
    const now = await arrived(client, ran.again.exchange, signal)
    const compared = [...ran.compared, compareMasks(answer.answer.masked, now?.answer?.masked)]
    const { tables } = ran
    const report: Report = { exchange: id, again: ran.again.exchange, tables, ...underWhom(answer, now), compared }
    console.log(values.json ? JSON.stringify(report, null, 2) : rendered(report))
    return isSameAnswer(compared) ? 0 : DIFFERENT
  } finally {
    await client.close()
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A run with its answer. */
type Answered = RecordedRun & Required<Pick<RecordedRun, 'answer'>>

/** Only what read something and was answered is run again. */
function mustBeRead(id: string, run: RecordedRun | undefined): Answered {
  if (run === undefined) throw new Refusal(`there is no decision on ${id} in the audit database`)
  if (run.answer === undefined) throw new Refusal(`no answer to ${id} is recorded: there is nothing to compare with`)
  const other = run.actions.find((action) => action !== 'read')
  const isRead = run.language === 'http' ? run.kind === 'GET' || run.kind === 'HEAD' : run.kind === 'SELECT'
  if (other !== undefined || !isRead) {
    throw new Refusal(`it is a ${run.kind} that does more than read (${other ?? run.kind}): only reads are run again`)
  }
  return { ...run, answer: run.answer }
}

interface Ran {
  readonly again: Again
  readonly tables: string
  readonly compared: readonly Compared[]
}

async function againSql(
  client: ClickHouse,
  run: Answered,
  loaded: Loaded,
  gateway: Gateway,
  { params: given, now }: { readonly params?: string; readonly now: boolean },
): Promise<Ran> {
  const { signal } = gateway
  const params = await parametersOf(client, run, given, signal)
  const timed = now ? { instead: 'so it was asked' } : timedOf(run, loaded.config)
  const { answer } = run
  const isFull = answer.kept === 'full'
  const kept = isFull ? await recordedRows(client, run.exchange, signal) : undefined
  const isRedacted = answer.kept !== '' && !(await isWhatWentOut(client, run.exchange, 'answer', signal))
  const maxRows = maxRowsOf(answer.rowCount, answer.ending, loaded.config)
  const sql = timed.instead === undefined ? timed.sql : run.text
  const again = await runSql(run, { sql, params, maxRows }, gateway)
  const then: Then = { answer, isRedacted, ...(kept && { kept }) }
  const tables = timed.instead === undefined ? `as of ${new Date(run.at).toISOString()}` : `as of now: ${timed.instead}`
  return { again, tables, compared: compareSql(then, again) }
}

/** As many as there were and one more, so that more are seen to be more. */
function maxRowsOf(rowCount: number | null, ending: string, { query }: Config): number | undefined {
  if (rowCount === null) return undefined
  return Math.min(query.maxRows, Math.max(1, ending === 'whole' ? rowCount + 1 : rowCount))
}

function timedOf(run: RecordedRun, { connections }: Config): ReturnType<typeof asOf> {
  const connection = connections[run.connection]
  if (connection?.type !== 'bigquery') return { instead: 'the connection is no warehouse that tells of the past' }
  const { project, defaultDataset: dataset } = connection
  return asOf(run.text, run.at, Date.now(), { project, ...(dataset !== undefined && { dataset }) }, run.vias)
}

async function parametersOf(
  client: ClickHouse,
  run: RecordedRun,
  given: string | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  if (given !== undefined) {
    try {
      return JSON.parse(given) as unknown
    } catch (cause) {
      throw new Refusal('--params is no JSON', { cause })
    }
  }
  if (run.parameters.length === 0) return undefined
  const recorded = await recordedParameters(client, run.exchange, signal)
  if (recorded !== undefined) return recorded
  throw new Refusal(
    `the values of its parameters are not recorded whole (${run.parameters.join(', ')})\n` +
      "give them with --params, as `params` of POST /v1/query; a policy's `record-bodies: { request: full }` keeps them",
  )
}

async function againHttp(client: ClickHouse, run: Answered, gateway: Gateway): Promise<Ran> {
  const { headers } = weighedShape.parse(JSON.parse(run.weighed))
  const lost = headers.find(([, value]) => value === undefined)?.[0]
  if (lost !== undefined) throw new Refusal(`the value of its header \`${lost}\` is not recorded`)
  const sent = headers.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  const isRedacted = run.answer.kept !== '' && !(await isWhatWentOut(client, run.exchange, 'answer', gateway.signal))
  const again = await runHttp(run, sent, gateway)
  return {
    again,
    tables: 'as of now: an API tells nothing of the past',
    compared: compareHttp({ answer: run.answer, isRedacted }, again),
  }
}

const weighedShape = z.looseObject({
  headers: z.array(z.union([z.tuple([z.string(), z.string()]), z.tuple([z.string()])])),
})

/** Whose record the re-execution is, and under which policies: another principal may see other values. */
function underWhom(then: RecordedRun, now: RecordedRun | undefined): Pick<Report, 'principal' | 'policy'> {
  if (now === undefined) return { principal: 'not known yet: its record has not come in', policy: 'not known yet' }
  const name = ({ issuer, subject, actsFor }: RecordedRun): string =>
    `${issuer}:${subject}${actsFor === '' ? '' : ` for ${actsFor}`}`
  const isSame = name(now) === name(then)
  return {
    principal: isSame ? name(now) : `ANOTHER than it was: ${name(then)} then, ${name(now)} now`,
    policy: now.policy === then.policy ? 'the same policies' : 'other policies than then',
  }
}

/** Its record, once it is there from the decision to the end; what there is of it after a while. */
async function arrived(client: ClickHouse, id: string, signal: AbortSignal): Promise<RecordedRun | undefined> {
  const until = Date.now() + ARRIVAL_MS
  for (;;) {
    const found = await recordedRun(client, id, signal)
    if (found?.answer !== undefined || Date.now() > until) return found
    await new Promise((resolveSoon) => setTimeout(resolveSoon, ARRIVAL_EVERY_MS))
  }
}

/** A credential is no argument: other users of a machine see those. */
async function tokenOf(path: string | undefined): Promise<string> {
  const token =
    path === undefined ? process.env['SLUICE_TOKEN'] : await readFile(resolve(path), 'utf8').catch(unreadable)
  if (token === undefined || token.trim() === '') {
    throw new Refusal("it runs as its principal: put that one's token into SLUICE_TOKEN, or name a --token-file")
  }
  return token.trim()
}

function unreadable(cause: Error): never {
  throw new Refusal('the token file cannot be read', { cause })
}

function urlOf({ config }: Loaded): string {
  const { host, port } = config.listeners.gateway
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

function rendered({ exchange, again, tables, principal, policy, compared }: Report): string {
  return [
    `${exchange} ran again as ${again}`,
    `  principal   ${principal.replaceAll(/\p{C}/gu, '?')}`,
    `  policies    ${policy}`,
    `  tables      ${tables}`,
    ...compared.map(({ what, came, detail }) => `  ${what.padEnd(11)} ${came}: ${detail.replaceAll(/\p{C}/gu, '?')}`),
  ].join('\n')
}
