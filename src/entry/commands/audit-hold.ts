/** `sluice audit hold …`: what must outlive its day. Each of these is recorded, before and after, in a journal of its own. */
import { mkdir, readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { openClickHouse } from '../../audit/clickhouse.node.ts'
import type { AuditLog, AuditRecord } from '../../audit/contract.ts'
import { createLegalHolds, HOLD_NAME, type HoldScope, type LegalHold, type LegalHolds } from '../../audit/legal-hold.ts'
import { openAuditLog } from '../../audit/log.node.ts'
import { HELD_DAYS } from '../../audit/retention.ts'
import { createMigrator } from '../../audit/schema.ts'
import { chainOf, loadConfig, Refusal, writerOf, type Loaded } from '../node.ts'
import { createRuntime } from '../runtime.ts'
import { argumentsOf, type Command } from './command.ts'

/** Longest that one of these may take. */
const MOST_MS = 4 * 3_600_000

const CREDENTIALS = { user: { type: 'string' }, 'password-file': { type: 'string' } } as const

export const auditHoldAdd: Command = {
  name: 'audit hold add',
  takes: 'NAME --reason WHY [--principal P]… [--connection C]… [--from T] [--to T]',
  about: 'copy records and bodies to where they do not expire; run again, what came since',
  async run(args) {
    const { values, positionals } = argumentsOf(args, {
      ...CREDENTIALS,
      reason: { type: 'string' },
      principal: { type: 'string', multiple: true },
      connection: { type: 'string', multiple: true },
      from: { type: 'string' },
      to: { type: 'string' },
    })
    const hold = nameOf(positionals)
    const reason = reasonOf(values.reason)
    const { principal: principals, connection: connections } = values
    const scope: HoldScope = {
      ...(principals !== undefined && { principals }),
      ...(connections !== undefined && { connections }),
      ...(values.from !== undefined && { from: timeOf('--from', values.from) }),
      ...(values.to !== undefined && { to: timeOf('--to', values.to) }),
    }
    if (Object.keys(scope).length === 0) {
      throw new Refusal('what is held?\nname --principal, --connection, --from or --to')
    }
    return withHolds(values, async ({ holds, act, record }) => {
      const known = (await holds.list(AbortSignal.timeout(MOST_MS))).find((each) => each.hold === hold)
      if (known?.state === 'held' && JSON.stringify(known.scope) !== JSON.stringify(scope)) {
        throw new Refusal(`there is a hold \`${hold}\` of ${wordsOf(known.scope)}\ngive this one another name`)
      }
      await record(`legal hold ${hold} of ${wordsOf(scope)}: begun. ${reason}`)
      const kept = await holds.keep({ ...act(), hold, reason }, scope, AbortSignal.timeout(MOST_MS))
      await record(`legal hold ${hold}: ${kept.records} records and ${kept.pieces} pieces of bodies are kept`)
      console.log(lineOf(kept))
      console.error(
        `what is recorded from now on expires on its day: name the hold under \`audit.legalHolds\` in sluice.yaml, or run this again`,
      )
    })
  },
}

export const auditHoldRelease: Command = {
  name: 'audit hold release',
  takes: 'NAME --reason WHY',
  about: 'remove the copies of a legal hold',
  async run(args) {
    const { values, positionals } = argumentsOf(args, { ...CREDENTIALS, reason: { type: 'string' } })
    const hold = nameOf(positionals)
    const reason = reasonOf(values.reason)
    return withHolds(values, async ({ holds, act, record }) => {
      const known = (await holds.list(AbortSignal.timeout(MOST_MS))).find((each) => each.hold === hold)
      if (known?.state !== 'held') throw new Refusal(`there is no legal hold \`${hold}\` to release`)
      await record(`legal hold ${hold} of ${wordsOf(known.scope)}, ${known.records} records: released. ${reason}`)
      const released = await holds.release({ ...act(), hold, reason }, known.scope, AbortSignal.timeout(MOST_MS))
      await record(`legal hold ${hold}: its copies are gone`)
      console.log(lineOf(released))
    })
  },
}

export const auditHoldList: Command = {
  name: 'audit hold list',
  about: 'legal holds: what is held, by whom and why',
  async run(args) {
    const { values, positionals } = argumentsOf(args, CREDENTIALS)
    if (positionals.length > 0) throw new Refusal(`\`${positionals[0]}\` is not understood here`)
    return withHolds(values, async ({ holds, record }) => {
      const all = await holds.list(AbortSignal.timeout(MOST_MS))
      await record(`legal holds were listed: ${all.length}`)
      for (const each of all) console.log(lineOf(each))
    })
  },
}

interface At {
  readonly holds: LegalHolds
  readonly act: () => { readonly actor: string; readonly at: number }
  /** Resolves when it is durable: what cannot be recorded is not done. */
  readonly record: (note: string) => Promise<void>
}

interface Called {
  readonly config: string
  readonly user?: string
  readonly 'password-file'?: string
}

async function withHolds(called: Called, work: (at: At) => Promise<void>): Promise<number> {
  const loaded = await loadConfig(called.config)
  const { clickhouse } = loaded.config.audit
  if (clickhouse === undefined) throw new Refusal('no ClickHouse is configured\nset `audit.clickhouse`')
  const { secrets } = createRuntime({ base: loaded.base, level: 'error' })
  const file = called['password-file']
  const password =
    file === undefined ? clickhouse.password && (await secrets.read(clickhouse.password)) : await lineIn(file)
  const client = openClickHouse({
    url: clickhouse.url,
    username: called.user ?? clickhouse.username,
    database: 'default',
    requestTimeoutMs: MOST_MS,
    ...(password !== undefined && { password }),
  })
  const signal = AbortSignal.timeout(clickhouse.requestTimeout)
  try {
    await createMigrator(client, clickhouse.database)(signal)
    const log = await openOwnLog(loaded)
    try {
      await work({ holds: createLegalHolds(client, clickhouse.database), ...recorder(log, actorOf()) })
    } finally {
      await log.close()
    }
  } finally {
    await client.close()
  }
  return 0
}

/** The gateway's journal is the gateway's while it runs, so what is done here goes to one beside it, under a name of its own. */
async function openOwnLog(loaded: Loaded): Promise<AuditLog> {
  const { config, base } = loaded
  const data = resolve(base, config.data)
  const dir = join(data, 'holds-journal')
  await mkdir(data, { recursive: true, mode: 0o700 })
  const runtime = createRuntime({ base, level: 'error' })
  const writer = `${await writerOf(data)}-holds`
  const { clickhouse } = config.audit
  if (clickhouse === undefined) throw new Refusal('no ClickHouse is configured\nset `audit.clickhouse`')
  const store = openClickHouse({
    url: clickhouse.url,
    username: clickhouse.username,
    database: 'default',
    requestTimeoutMs: clickhouse.requestTimeout,
    ...(clickhouse.password !== undefined && { password: await runtime.secrets.read(clickhouse.password) }),
  })
  return openAuditLog({
    dir,
    chain: await chainOf(loaded, data, runtime, writer, { store, database: clickhouse.database }),
    writer,
    clock: runtime.clock,
    newId: () => runtime.newId(),
    log: runtime.log,
    retention: () => HELD_DAYS,
    clickhouse: store,
    database: clickhouse.database,
  })
}

function recorder(log: AuditLog, actor: string): Pick<At, 'act' | 'record'> {
  const runtime = createRuntime({ base: '.', level: 'error' })
  const principal: AuditRecord['principal'] = {
    issuer: 'os',
    subject: actor,
    kind: 'person',
    plane: 'people',
    groups: [],
  }
  return {
    act: () => ({ actor, at: runtime.clock.now() }),
    record: (note) =>
      log.append({
        kind: 'looked',
        at: runtime.clock.now(),
        exchange: runtime.newId(),
        surface: 'audit',
        plane: 'people',
        principal,
        note,
      }),
  }
}

function actorOf(): string {
  const { SUDO_USER } = process.env
  const { username } = userInfo()
  return SUDO_USER === undefined ? username : `${SUDO_USER} as ${username}`
}

async function lineIn(path: string): Promise<string> {
  try {
    return (await readFile(resolve(path), 'utf8')).trim()
  } catch (cause) {
    throw new Refusal(`the password file ${path} cannot be read`, { cause })
  }
}

function nameOf([name, ...more]: readonly string[]): string {
  if (name === undefined || more.length > 0 || !HOLD_NAME.test(name)) {
    throw new Refusal('a legal hold has one name, of small letters, digits and dashes')
  }
  return name
}

function reasonOf(reason: string | undefined): string {
  if (reason === undefined || reason.trim() === '') throw new Refusal('why?\nsay it with --reason')
  return reason
}

function timeOf(option: string, text: string): number {
  const at = /^\d{4}-\d\d-\d\d(?:T|$)/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(at)) return at
  throw new Refusal(`${option} is \`${text}\`; it may be a time such as \`2026-01-31\` or \`2026-01-31T12:00:00Z\``)
}

function wordsOf({ principals, connections, from, to }: HoldScope): string {
  const time = (ms: number): string => new Date(ms).toISOString()
  return [
    ...(principals === undefined ? [] : [`principals ${principals.join(', ')}`]),
    ...(connections === undefined ? [] : [`connections ${connections.join(', ')}`]),
    ...(from === undefined ? [] : [`from ${time(from)}`]),
    ...(to === undefined ? [] : [`to ${time(to)}`]),
  ].join(' ')
}

function lineOf({ hold, state, at, actor, reason, scope, records, pieces }: LegalHold): string {
  return JSON.stringify({ hold, state, at: new Date(at).toISOString(), actor, reason, scope, records, pieces })
}
