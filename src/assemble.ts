/**
 * Configuration → parts → gateway. Where concrete things meet; the one long import list. What only one machine can make
 * (files, databases, client libraries) it is handed as a `Machine`.
 */
import { Approvals } from './approvals.ts'
import type {
  AuditLog,
  AuditRecord,
  AuditReader,
  EvidenceExporter,
  HabitReader,
  PayloadLog,
  UnfinishedReader,
} from './audit/contract.ts'
import { Auditor } from './auditor.ts'
import { createCatalog } from './catalog/index.ts'
import type { BigQueryConfig, Config, RestConfig } from './config.ts'
import type { Connector } from './connection/contract.ts'
import { createRestConnector } from './connection/rest/connector.ts'
import type { RestClient } from './connection/rest/contract.ts'
import { forwardable, headerRules } from './connection/rest/headers.ts'
import { Directory } from './directory.ts'
import { recordable, sameDocuments, type Documents } from './documents.ts'
import { Door } from './door.ts'
import type { Principal } from './exchange.ts'
import { Exporter } from './exporter.ts'
import { Failure } from './failure.ts'
import { termsOf, type ActivePlugin, type Provided } from './fulfil.ts'
import { Gateway, type Connection, type InForce, type Limits } from './gateway.ts'
import { Health, type Probe } from './health.ts'
import { createHistory } from './history.ts'
import type { Store } from './hold/contract.ts'
import type { ApiKey } from './identity/api-key.ts'
import { createIdentity } from './identity/identity.ts'
import { Inflight } from './inflight.ts'
import type { Answers, Hooks, Plugin } from './plugin.ts'
import { isProblems, loadPolicies, renderProblem, type SourceFile, type Vocabulary } from './policy/index.ts'
import type { PolicySet } from './policy/contract.ts'
import type { Runtime } from './runtime.ts'
import { Settler } from './settle.ts'
import { operationsOfDocument, operationsOfList, type Operations } from './statement/http/operations.ts'
import { createStatements } from './statement/index.ts'
import type { TableLister } from './statement/third-reader.ts'

/** What the entry makes for its machine. */
export interface Machine {
  readonly runtime: Runtime
  /** The parser of GoogleSQL, compiled. */
  readonly parser: WebAssembly.Module
  /** The parser of the third reader, where there is one. */
  readonly listTables?: TableLister
  readonly plugins: readonly Plugin[]
  /** Names this gateway; the same after a restart over the same data. */
  readonly writer: string
  readonly version: string
  /** The policy documents as they are now. */
  readPolicies(): Promise<readonly SourceFile[]>
  /** The API keys as they are now. */
  readApiKeys(): Promise<readonly ApiKey[]>
  openStore(): Promise<Store>
  openAudit(): Promise<AuditLog>
  /** The log of bodies; absent where there is none. */
  openPayloads?(): Promise<PayloadLog>
  openReader(): Promise<OpenReader | undefined>
  connect(name: string, config: BigQueryConfig): Connector
  connectRest(name: string, config: RestConfig): RestClient
  /** The OpenAPI document that a connection names, JSON or YAML, read. */
  readOpenApi(path: string): Promise<unknown>
}

/** What is read of the store of evidence. */
export type OpenReader = AuditReader &
  HabitReader &
  UnfinishedReader & { readonly evidence: EvidenceExporter; close(): Promise<void> }

/** The gateway with all that serves it. */
export interface Assembled {
  readonly gateway: Gateway
  readonly approvals: Approvals
  readonly auditor: Auditor
  readonly exporter: Exporter
  readonly directory: Directory
  readonly health: Health
  /** Loads the policies and the API keys anew. Where anything is wrong with them the old ones stay; the answer says what. */
  reload(): Promise<{ readonly digest: string } | { readonly problems: readonly string[] }>
  /** Finishes or records what is under way, within the grace that the configuration gives, and closes every part. */
  close(): Promise<void>
}

/** The issuer of services that prove themselves by an API key. */
const API_KEY_ISSUER = 'keys'

/** How often what ran out of time is looked for. */
const EXPIRY_EVERY_MS = 1000

/** How often those who were turned away are counted into a record. */
const TURNED_AWAY_EVERY_MS = 5000

/** How often what a crash left open is asked after, while there is any. */
const SETTLE_EVERY_MS = 5000

/** Makes everything and starts it. Rejects, with what is wrong in words, before anything is served. */
export async function assemble(config: Config, machine: Machine): Promise<Assembled> {
  const { runtime, writer } = machine
  const workshop = await Workshop.open(config, machine)
  const files = await machine.readPolicies()
  const first = await workshop.load(files)
  if ('problems' in first) throw new Failure('internal', `the policies are refused\n${first.problems.join('\n')}`)
  let force: InForce = first

  const apiKeys = await machine.readApiKeys()
  const identity = createIdentity({ issuers: config.issuers, apiKeys }, runtime)
  const audit = await machine.openAudit()
  const payloads = await machine.openPayloads?.()
  const store = await machine.openStore()
  const reader = await machine.openReader()
  const connections = new Map<string, Connection>()
  for (const [name, options] of Object.entries(config.connections)) {
    const operations = workshop.operations.get(name)
    if (options.type === 'bigquery') connections.set(name, connect(machine, name, options))
    else if (operations !== undefined) connections.set(name, connectRest(machine, name, options, operations))
  }
  const statements = createStatements(machine.parser, machine.listTables)
  const { maxConcurrent, requestTimeout, maxConcurrentPerPrincipal } = config.listeners.gateway
  const inflight = new Inflight(maxConcurrent, requestTimeout, maxConcurrentPerPrincipal)
  const door = new Door({ runtime, identity, audit, inflight })
  const limits = limitsOf(config)
  const inForce = (): InForce => force
  const history = reader && createHistory(reader, runtime)
  const shared = {
    runtime,
    door,
    audit,
    store,
    statements,
    connections,
    inForce,
    limits,
    ...(history && { history }),
    ...(payloads && { payloads }),
  }

  const approvals = new Approvals(shared)
  let documents = await documentsOf(config, files, apiKeys)
  const started = gatewayRecord(runtime, 'started', `sluice ${machine.version} with policies ${force.policies.digest}`)
  await appendInTime(audit, runtime, { ...started, policy: force.policies.digest, documents })
  await approvals.recover(writer)
  const settler =
    reader && new Settler({ ...shared, unfinished: reader, writer, started: { id: started.exchange, at: started.at } })
  const chores = [
    repeat(runtime, 'expire holds', EXPIRY_EVERY_MS, () => approvals.expire()),
    repeat(runtime, 'record who was turned away', TURNED_AWAY_EVERY_MS, () => door.recordTurnedAway()),
    ...(settler === undefined ? [] : [repeat(runtime, 'settle', SETTLE_EVERY_MS, () => settler.round())]),
  ]

  // One by one: a slow round that read the old files must not replace what a later one has read.
  const reload = async (): ReturnType<Assembled['reload']> => {
    // First: a key that is taken back must not outlive a policy that is written wrong.
    const keys = await machine.readApiKeys()
    identity.replaceApiKeys(keys)
    const files = await machine.readPolicies()
    const next = await workshop.load(files)
    if ('problems' in next) return next
    const now = await documentsOf(config, files, keys)
    if (next.policies.digest !== force.policies.digest || !sameDocuments(now, documents)) {
      // Recorded before it decides anything; what cannot be recorded does not come into force.
      const record = gatewayRecord(runtime, 'policy', `policies ${next.policies.digest} in force`)
      await audit.append({ ...record, policy: next.policies.digest, documents: now })
    }
    documents = now
    force = next
    return { digest: next.policies.digest }
  }

  return {
    gateway: new Gateway({ ...shared, writer }),
    approvals,
    auditor: new Auditor({ ...shared, ...config.auditors, ...(reader && { reader }) }),
    exporter: new Exporter({ ...shared, ...config.auditors, ...(reader && { evidence: reader.evidence }) }),
    directory: new Directory(shared),
    health: new Health(probes(identity, store, connections, reader), audit, inflight, payloads),
    reload: oneByOne(reload),
    async close() {
      await inflight.drain(config.listeners.gateway.shutdownGrace)
      await Promise.all(chores.map((stop) => stop()))
      await door.recordTurnedAway()
      await audit.append(gatewayRecord(runtime, 'stopped', 'as told'))
      await audit.close()
      await payloads?.close()
      await Promise.all([store.close(), reader?.close(), ...[...connections.values()].map((c) => c.connector.close())])
    },
  }
}

/** Makes plugins, and policy sets with the plugins that they configure. */
export class Workshop {
  readonly #machine: Pick<Machine, 'plugins' | 'runtime'>
  readonly #usual: ReadonlyMap<string, Hooks>
  readonly #config: Config
  readonly vocabulary: Vocabulary
  /** Of each HTTP API that is configured. */
  readonly operations: ReadonlyMap<string, Operations>

  private constructor(
    config: Config,
    machine: Pick<Machine, 'plugins' | 'runtime'>,
    usual: ReadonlyMap<string, Hooks>,
    operations: ReadonlyMap<string, Operations>,
  ) {
    this.#config = config
    this.#machine = machine
    this.#usual = usual
    this.vocabulary = vocabularyOf(config, machine.plugins, usual, operations)
    this.operations = operations
  }

  /** Every plugin with the options of `sluice.yaml`, or its defaults. */
  static async open(config: Config, machine: Pick<Machine, 'plugins' | 'runtime' | 'readOpenApi'>): Promise<Workshop> {
    const usual = new Map<string, Hooks>()
    for (const plugin of machine.plugins) {
      const options = plugin.options.parse(config.plugins[plugin.name])
      usual.set(plugin.name, await plugin.create(options, machine.runtime))
    }
    return new Workshop(config, machine, usual, await operationsOf(config, machine))
  }

  /** A set with every plugin instance that it may ask for, made before it decides anything. */
  async load(files: readonly SourceFile[]): Promise<InForce | { readonly problems: readonly string[] }> {
    const loaded = await loadPolicies(files, this.vocabulary, { expiresInMs: this.#config.holds.expiresIn })
    if (isProblems(loaded)) return { problems: loaded.problems.map(renderProblem) }
    const made = new Map<string, Hooks>()
    for (const { plugin: name, options } of loaded.configured) {
      const plugin = this.#machine.plugins.find((candidate) => candidate.name === name)
      if (plugin === undefined) return { problems: [`no plugin \`${name}\``] }
      made.set(`${name} ${options.key}`, await plugin.create(options.options, this.#machine.runtime))
    }
    return { policies: loaded, plugins: (principal, connection) => this.#active(loaded, made, principal, connection) }
  }

  #active(
    policies: PolicySet,
    made: ReadonlyMap<string, Hooks>,
    principal: Principal,
    connection: string,
  ): readonly ActivePlugin[] {
    const chosen = policies.pluginOptions(principal, connection)
    return [...this.#usual].map(([name, usual]) => {
      const options = chosen.get(name)
      const hooks = options === undefined ? usual : made.get(`${name} ${options.key}`)
      if (hooks === undefined) throw new Failure('internal', `the plugin \`${name}\` was not made for these options`)
      return { name, hooks }
    })
  }
}

/** What policy documents may name: what the configuration and the plugins provide. A name of neither is a mistake. */
function vocabularyOf(
  { connections, issuers, audit }: Pick<Config, 'connections' | 'issuers' | 'audit'>,
  plugins: readonly Plugin[],
  usual: ReadonlyMap<string, Hooks>,
  operations: ReadonlyMap<string, Operations>,
): Vocabulary {
  const obligations = [...usual.values()].flatMap((hooks) => Object.entries(hooks.fulfil ?? {}))
  const provided: Provided = { digest: audit.bodies.digestKey, seal: audit.bodies.sealTo }
  return {
    connections: Object.keys(connections),
    issuers: [...issuers.map(({ name }) => name), API_KEY_ISSUER],
    plugins: Object.fromEntries(
      plugins.map(({ name, options, facts }) => [name, { options, ...(facts !== undefined && { facts }) }]),
    ),
    obligations: Object.fromEntries(
      obligations.map(([name, fulfilment]) => {
        const { guards = false, misfits } = fulfilment
        return [name, { ...termsOf(fulfilment, provided), guards, ...(misfits && { misfits }) }]
      }),
    ),
    answersOf: (connection, isMeant) => answersOf(operations.get(connection), isMeant),
  }
}

/** Schemas of the operations that are meant; nothing where one of them may answer what nobody has described. */
function answersOf(operations: Operations | undefined, isMeant: (resource: string) => boolean): Answers | undefined {
  const meant = operations?.all.filter(({ resource }) => isMeant(resource)) ?? []
  const schemas = meant.flatMap(({ answers }) => answers ?? [])
  if (operations === undefined || meant.length === 0 || !meant.every(({ answers }) => answers)) return undefined
  return { schemas, resolve: operations.resolve }
}

/** The operations of each API that is configured. Throws, with the connection's name, where one cannot be understood. */
async function operationsOf(
  { connections }: Pick<Config, 'connections'>,
  { readOpenApi }: Pick<Machine, 'readOpenApi'>,
): Promise<ReadonlyMap<string, Operations>> {
  const found = new Map<string, Operations>()
  for (const [name, config] of Object.entries(connections)) {
    if (config.type !== 'rest') continue
    const { openapi, operations = [], actions } = config
    const hints = Object.entries(actions).map(([resource, action]) => ({ resource, action }))
    const document = openapi === undefined ? undefined : await readOpenApi(openapi)
    found.set(
      name,
      named(name, () =>
        document === undefined ? operationsOfList(operations, hints) : operationsOfDocument(document, hints),
      ),
    )
  }
  return found
}

function connectRest(machine: Machine, name: string, config: RestConfig, operations: Operations): Connection {
  const { headers, maxRequestBytes, maxKeptBytes, maxRecordedChars, maxAnswerBytes } = config
  const rules = headerRules(headers)
  return {
    language: 'http',
    connector: createRestConnector(name, machine.connectRest(name, config)),
    operations,
    forwardable: (all) => forwardable(all, rules),
    bodies: { maxRequestBytes, maxKeptBytes, maxRecordedChars, maxAnswerBytes },
    whenAuditIsTight: config.whenAuditIsTight,
  }
}

/** What an operator has to mend, with the connection that it is about. */
function named<T>(connection: string, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new Error(`connections.${connection}: ${(cause as Error).message}`, { cause })
  }
}

function connect(machine: Machine, name: string, config: BigQueryConfig): Connection {
  const connector = machine.connect(name, config)
  const schemas = createCatalog(connector.metadata, {
    ttlMs: config.metadataTtl,
    clock: machine.runtime.clock,
    columnTags: config.columnTags,
    tagNames: config.policyTagNames,
  })
  const { maximumBytesBilled: maxBytesBilled, whenAuditIsTight } = config
  return { language: 'googlesql', connector, schemas, maxBytesBilled, whenAuditIsTight }
}

function limitsOf({ query, holds }: Config): Limits {
  return {
    defaultMaxRows: query.defaultMaxRows,
    maxRows: query.maxRows,
    defaultTimeoutMs: query.defaultTimeout,
    maxTimeoutMs: query.maxTimeout,
    inspectMs: query.inspectTimeout,
    keyMs: query.idempotencyKeys,
    maxPendingHolds: holds.maxPendingPerPrincipal,
  }
}

function probes(
  identity: { ready(signal: AbortSignal): Promise<void> },
  store: Store,
  connections: ReadonlyMap<string, Connection>,
  reader: AuditReader | undefined,
): readonly Probe[] {
  return [
    { name: 'identity', ready: (signal) => identity.ready(signal) },
    { name: 'store', ready: (signal) => store.ready(signal) },
    ...[...connections].map(([name, { connector }]): Probe => {
      return { name: `connection ${name}`, ready: (signal) => connector.ready(signal) }
    }),
    ...(reader === undefined ? [] : [{ name: 'clickhouse', ready: (signal: AbortSignal) => reader.ready(signal) }]),
  ]
}

/** Longest that a start waits for room in a journal that an earlier life has filled. */
const ROOM_MS = 300_000

/** Nothing is served before the start is on record. A full journal empties as ClickHouse takes what waits: that is waited for. */
async function appendInTime(audit: AuditLog, runtime: Runtime, record: AuditRecord): Promise<void> {
  const until = runtime.clock.monotonic() + ROOM_MS
  for (;;) {
    try {
      return await audit.append(record)
    } catch (error) {
      const { backlogRecords } = audit.status()
      if (backlogRecords === 0 || runtime.clock.monotonic() > until) throw error
      runtime.log('warn', 'the start waits for room in the audit journal', { backlogRecords })
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
  }
}

/** The policies, and who may do what: names, groups and hashes that were never secret. */
function documentsOf(
  { issuers, auditors, connections, holds, audit }: Config,
  files: readonly SourceFile[],
  apiKeys: readonly ApiKey[],
): Promise<Documents> {
  const access = {
    issuers: issuers.map(({ name, issuer, audiences }) => ({ name, issuer, audiences })),
    apiKeys: apiKeys.map(({ id, subject, groups, expires, revoked }) => ({ id, subject, groups, expires, revoked })),
    auditors,
    connections: Object.entries(connections).map(([name, { type }]) => ({ name, type })),
    holds,
    retention: { days: audit.retainDays, other: audit.retain, bodies: audit.bodies.retainDays },
  }
  return recordable({
    ...Object.fromEntries(files.map(({ path, text }) => [path, text])),
    'access.json': `${JSON.stringify(access, null, 2)}\n`,
  })
}

function gatewayRecord(runtime: Runtime, kind: 'started' | 'stopped' | 'policy', note: string) {
  return { kind, at: runtime.clock.now(), exchange: runtime.newId(), surface: 'gateway', note } as const
}

/** `work`, never twice at once: who asks while a round is under way shares the next, which begins when this one is over. */
export function oneByOne<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> | undefined
  let waiting: Promise<T> | undefined
  const round = (): Promise<T> => {
    waiting = undefined
    const mine = work().finally(() => {
      if (running === mine) running = undefined
    })
    running = mine
    return mine
  }
  return () => {
    if (running === undefined) return round()
    waiting ??= running.then(round, round)
    return waiting
  }
}

/** Runs `work` again and again, never twice at once; the answer stops it and waits for what is under way. */
function repeat(runtime: Runtime, name: string, everyMs: number, work: () => Promise<void>): () => Promise<void> {
  let stopped = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let running = Promise.resolve()
  const round = (): void => {
    running = work()
      .catch((error: unknown) => runtime.log('warn', 'background work failed', { work: name }, error))
      .then(() => {
        if (!stopped) timer = setTimeout(round, everyMs)
      })
  }
  timer = setTimeout(round, everyMs)
  return async () => {
    stopped = true
    clearTimeout(timer)
    await running
  }
}
