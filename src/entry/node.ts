/** Sluice on Node: reads files, makes the machine, serves, stops in order. */
import { randomUUID } from 'node:crypto'
import { watch } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { createApp } from '../../routes/index.ts'
import { plugins } from '../../plugins/index.ts'
import { assemble, type Assembled, type Machine } from '../assemble.ts'
import { openChain } from '../audit/chain/chain.node.ts'
import type { Chain } from '../audit/chain/contract.ts'
import { keptKey, sha256, signerOfKey } from '../audit/chain/keys.node.ts'
import { clickHouseSink, fileSink, lineSink } from '../audit/chain/sinks.node.ts'
import { createWitness } from '../audit/chain/witness.ts'
import { openClickHouse } from '../audit/clickhouse.node.ts'
import type { Files } from '../audit/files.node.ts'
import { createExporter } from '../audit/evidence/index.ts'
import { openAuditLog, type ChainedJournal } from '../audit/log.node.ts'
import { renderKey, type Signer } from '../audit/proof/note.ts'
import type { ClickHouse } from '../audit/reader/contract.ts'
import { createMigrator } from '../audit/schema.ts'
import { createHabits } from '../audit/history.ts'
import { createReader } from '../audit/reader/index.ts'
import { retentionOf } from '../audit/retention.ts'
import { createUnfinished } from '../audit/unfinished.ts'
import {
  isProblems,
  parseApiKeys,
  parseConfig,
  parseForeign,
  renderProblem,
  type ApiKeyConfig,
  type Config,
} from '../config.ts'
import { connectBigQuery } from '../connection/bigquery/client.node.ts'
import { createRestClient } from '../connection/rest/client.node.ts'
import type { Store } from '../hold/contract.ts'
import { openPostgresStore } from '../hold/postgres.node.ts'
import { openSqliteStore } from '../hold/sqlite.node.ts'
import { isCasesFile, type SourceFile } from '../policy/index.ts'
import type { LogLevel, Runtime } from '../runtime.ts'
import { nodeSqlParser } from '../statement/node-sql-parser.ts'
import { openBodies } from './bodies.ts'
import { createRuntime } from './runtime.ts'
import { openSiem } from './siem.ts'

/** A configuration file, read and checked, and the folder that its relative paths start from. */
export interface Loaded {
  readonly config: Config
  readonly base: string
}

/** Words for whoever has to mend a file; printed without a stack. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}

/** Largest configuration, policy or key file. */
const FILE_MOST = 4 * 1024 * 1024

/** In which a request's headers, and the whole of it, must have come: who trickles holds a place that others need. */
const HEADERS_MS = 15_000
const RECEIVE_MS = 30_000

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** What a head takes, once it is due, until it is in the store. */
const HEAD_MARGIN_MS = 30_000

/** How long after the last change of a policy file the set is loaded anew. */
const SETTLE_MS = 200

export async function loadConfig(path: string): Promise<Loaded> {
  const text = await readText(path).catch((error: Error) => {
    throw new Refusal(`${error.message}\nname the configuration with --config`, { cause: error })
  })
  const config = parseConfig(text, path, (name) => process.env[name], parsers())
  if (isProblems(config)) throw new Refusal(config.problems.map(renderProblem).join('\n'))
  return { config, base: dirname(resolve(path)) }
}

/** The policy documents and cases of the configured folder, by path. */
export async function readPolicyFiles({ config, base }: Loaded): Promise<readonly SourceFile[]> {
  const folder = resolve(base, config.policies)
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (cause) {
    throw new Refusal(`the policies folder ${folder} cannot be read`, { cause })
  }
  const files = names.filter((name) => /\.ya?ml$/.test(name)).toSorted()
  return Promise.all(
    files.map(async (name) => ({ path: join(config.policies, name), text: await readText(join(folder, name)) })),
  )
}

export interface Serving {
  readonly url: string
  /** Loads policies and API keys anew; what is wrong with them is logged, and the old ones stay. Never rejects. */
  reload(): Promise<void>
  /** Takes nothing new, finishes or records what is under way, closes. */
  stop(): Promise<void>
}

/** What a test may put in the place of the machine's own. */
export interface Instead {
  /** The file system under the journals. */
  readonly files?: (dir: string) => Promise<Files>
}

/** Serves the configuration until `stop`. Rejects with a Refusal where the operator has something to mend. */
export async function serve(loaded: Loaded, instead: Instead = {}): Promise<Serving> {
  const { config, base } = loaded
  const { host, port, requestTimeout, maxBodyBytes } = config.listeners.gateway
  const runtime = createRuntime({ base, level: logLevel() })
  const machine = await nodeMachine(loaded, runtime, instead)
  const assembled = await assemble(config, machine).catch(mendable)
  const app = createApp({
    ...assembled,
    runtime,
    version: machine.version,
    maxBodyBytes,
    maxWaitSeconds: Math.floor(config.holds.maxWait / 1000),
    hosts: hostsOf(config),
  })
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  const server = createServer(
    {
      // Node's word for the time in which a request must have come, body and all.
      requestTimeout: Math.min(requestTimeout, RECEIVE_MS),
      headersTimeout: Math.min(requestTimeout, HEADERS_MS),
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 30_000,
      maxHeaderSize: 32_768,
    },
    (incoming, outgoing) => runtime.background('answer', answer(incoming, outgoing)),
  )
  const url = await listen(server, host, port).catch(async (error: unknown) => {
    await assembled.close()
    throw error
  })
  const unwatch = watchFiles(watched(loaded), runtime, () => reload(assembled, runtime))
  runtime.log('info', 'listening', { url, writer: machine.writer, version: machine.version })
  return {
    url,
    reload: () => reload(assembled, runtime),
    async stop() {
      unwatch()
      // No new connections; what is under way goes on until `close` has drained it.
      const closed = new Promise<void>((done) => server.close(() => done()))
      await assembled.close()
      server.closeIdleConnections()
      server.closeAllConnections()
      await closed
      runtime.log('info', 'stopped', { writer: machine.writer })
    },
  }
}

/** Where holds are kept, as the configuration has it. */
async function openStore(
  store: Config['store'],
  data: string,
  writer: string,
  { clock, log, secrets }: Runtime,
): Promise<Store> {
  if (store.type === 'sqlite') return openSqliteStore({ path: join(data, 'state.db'), clock, writer })
  return openPostgresStore({ url: await secrets.read(store.url), schema: store.schema, clock, log, writer })
}

/** Connections by the host names under which they are asked for. */
function hostsOf({ connections }: Config): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(connections).flatMap(([name, it]) =>
      it.type === 'rest' ? it.hosts.map((host) => [host, name] as const) : [],
    ),
  )
}

/**
 * A plain error of a start is a plugin's word about what the operator gave it (a key that is too short), for plugins have
 * no other; our own mistakes are errors of another kind.
 */
function mendable(error: unknown): never {
  if (error instanceof Error && error.constructor === Error) throw new Refusal(error.message, { cause: error })
  throw error
}

/** Loads policies and API keys anew and says what came of it. */
async function reload(assembled: Assembled, runtime: Runtime): Promise<void> {
  try {
    const result = await assembled.reload()
    if ('digest' in result) runtime.log('info', 'policies loaded', { policy: result.digest })
    else for (const problem of result.problems) runtime.log('error', 'policies refused; the old ones stay', { problem })
  } catch (error) {
    runtime.log('error', 'policies and keys could not be loaded; the old ones stay', {}, error)
  }
}

async function nodeMachine(loaded: Loaded, runtime: Runtime, { files }: Instead): Promise<Machine> {
  const { config, base } = loaded
  const data = resolve(base, config.data)
  await mkdir(data, { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    throw new Refusal(`the data folder ${data} cannot be made: ${cause.code}\nset SLUICE_DATA to another`, { cause })
  })
  const writer = await writerOf(data)
  const version = await versionOf()
  const { clickhouse, journal } = config.audit
  const clickhouseOptions = clickhouse && {
    url: clickhouse.url,
    username: clickhouse.username,
    database: clickhouse.database,
    requestTimeoutMs: clickhouse.requestTimeout,
    ...(clickhouse.password !== undefined && { password: await runtime.secrets.read(clickhouse.password) }),
  }
  return {
    runtime,
    writer,
    parser: await parserModule(),
    listTables: nodeSqlParser(),
    plugins,
    version,
    readPolicies: async () => (await readPolicyFiles(loaded)).filter((file) => !isCasesFile(file.path)),
    readApiKeys: () => readApiKeys(loaded),
    openStore: () => openStore(config.store, data, writer, runtime),
    async openAudit() {
      // `default` is always there: the audit's own database may still have to be made.
      const store = clickhouseOptions && openClickHouse({ ...clickhouseOptions, database: 'default' })
      const database = clickhouseOptions?.database
      const chain = await chainOf(loaded, data, runtime, writer, store && database ? { store, database } : undefined)
      return openAuditLog({
        dir: join(data, 'journal'),
        chain,
        ...(files && { files: await files(join(data, 'journal')) }),
        writer,
        clock: runtime.clock,
        newId: () => runtime.newId(),
        log: runtime.log,
        limits: { maxBytes: journal.maxBytes, segmentBytes: journal.segmentBytes },
        retention: retentionOf(config.audit),
        followers: await openSiem({ siem: config.audit.siem, base, runtime, writer, version }),
        ...(store && database && { clickhouse: store, database }),
      })
    },
    openPayloads: () =>
      openBodies({
        audit: config.audit,
        base,
        data,
        writer,
        runtime,
        ...(clickhouseOptions && { clickhouse: openClickHouse({ ...clickhouseOptions, database: 'default' }) }),
      }),
    async openReader() {
      if (clickhouseOptions === undefined) return undefined
      const client = openClickHouse({ ...clickhouseOptions, ...(await readerOf(config, runtime.secrets)) })
      const reader = createReader({ client, database: clickhouseOptions.database })
      const signers = await checkpointSigners(loaded, data, runtime.secrets)
      const evidence = createExporter({
        client,
        verifierKeys: signers.map(({ verifier }) => renderKey(verifier)),
        signers,
        sha256,
        version,
        now: () => runtime.clock.now(),
        // The next head covers what is newest now.
        headMs: config.audit.checkpoints.every + HEAD_MARGIN_MS,
      })
      return { ...reader, ...createHabits(client), ...createUnfinished(client), evidence, close: () => client.close() }
    },
    connect: (name, options) => connectBigQuery(name, options, base),
    connectRest: (name, options) => createRestClient(name, options, runtime),
    readOpenApi: (path) => readOpenApi(resolve(base, path)),
  }
}

/** As whom the audit database is read, where that is another than writes it. */
export async function readerOf(
  { audit }: Config,
  secrets: Runtime['secrets'],
): Promise<{ readonly username?: string; readonly password?: string }> {
  const reader = audit.clickhouse?.reader
  if (reader === undefined) return {}
  // Never the writer's password for want of one.
  return {
    username: reader.username,
    password: reader.password === undefined ? '' : await secrets.read(reader.password),
  }
}

/** Makes the chain over the journal as the configuration has it. */
export async function chainOf(
  { config, base }: Loaded,
  data: string,
  runtime: Runtime,
  writer: string,
  clickhouse: { readonly store: ClickHouse; readonly database: string } | undefined,
): Promise<(journal: ChainedJournal) => Promise<Chain>> {
  const { origin, every, files, stdout, witnesses } = config.audit.checkpoints
  const signers = await checkpointSigners({ config, base }, data, runtime.secrets)
  runtime.log('debug', 'checkpoints are signed', { keys: signers.map(({ verifier }) => renderKey(verifier)).join(' ') })
  const sinks = [
    ...(files === undefined ? [] : [fileSink(resolve(base, files))]),
    ...(stdout ? [lineSink((line) => process.stdout.write(`${line}\n`))] : []),
    ...(clickhouse === undefined
      ? []
      : [clickHouseSink(clickhouse.store, createMigrator(clickhouse.store, clickhouse.database), clickhouse.database)]),
  ]
  const asked = witnesses.map((each) => createWitness(each, sha256, runtime.fetch))
  const { clock, log } = runtime
  const shared = { writer, origin, signers, everyMs: every, sinks, witnesses: asked, sha256, clock, log }
  return (journal) => openChain({ ...journal, ...shared })
}

/** Those that sign checkpoints: the configured keys, or one that is made and kept with the data. */
export async function checkpointSigners(
  { config }: Loaded,
  data: string,
  secrets: Runtime['secrets'],
): Promise<readonly Signer[]> {
  const { origin, key, previousKeys } = config.audit.checkpoints
  const first = key === undefined ? await keptKey(join(data, 'checkpoint-key')) : await secrets.read(key)
  const others = await Promise.all(previousKeys.map((each) => secrets.read(each)))
  return Promise.all([first, ...others].map((each) => signerOfKey(origin, each)))
}

/** A document that a configuration names, JSON or YAML. */
export async function readOpenApi(path: string): Promise<unknown> {
  const document = parseForeign(await readText(path), path)
  if (typeof document === 'object' && document !== null && isProblems(document)) {
    throw new Refusal(document.problems.map(renderProblem).join('\n'))
  }
  return document
}

/** `bq2cst`'s grammar as a WebAssembly module: read here because its own glue reads files. */
async function parserModule(): Promise<WebAssembly.Module> {
  const require = createRequire(import.meta.url)
  const path = join(dirname(require.resolve('bq2cst')), 'bq2cst_bg.wasm')
  return WebAssembly.compile(await readFile(path))
}

/** A name of this gateway's own, kept with its data. */
export async function writerOf(data: string): Promise<string> {
  const path = join(data, 'writer')
  const kept = (await readFile(path, 'utf8').catch(unlessMissing(path))).trim()
  if (UUID.test(kept)) return kept
  // Empty: an earlier start was killed before it had written. Anything else is not ours to write over.
  if (kept !== '') throw new Refusal(`${path} holds no name of a gateway (a UUID); put it back or remove it`)
  const writer = randomUUID()
  const draft = `${path}.${writer}`
  await writeFile(draft, writer, { mode: 0o600, flush: true })
  await rename(draft, path)
  return writer
}

/** Nothing, where there is no such file. */
function unlessMissing(path: string): (cause: NodeJS.ErrnoException) => string {
  return (cause) => {
    if (cause.code === 'ENOENT') return ''
    throw new Refusal(`${path} cannot be read: ${cause.code}`, { cause })
  }
}

/** The keys of the configuration and of the file that it names. */
export async function readApiKeys({ config, base }: Loaded): Promise<readonly ApiKeyConfig[]> {
  const { file, list = [] } = config.apiKeys
  if (file === undefined) return list
  const keys = parseApiKeys(await readText(resolve(base, file)), file)
  if (isProblems(keys)) throw new Refusal(keys.problems.map(renderProblem).join('\n'))
  return [...list, ...keys]
}

async function versionOf(): Promise<string> {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { version } = JSON.parse(await readFile(join(import.meta.dirname, path), 'utf8')) as { version: string }
      return version
    } catch {
      continue // one folder deeper once it is built
    }
  }
  return 'unknown'
}

async function readText(path: string): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    const { code = 'unknown reason' } = cause as NodeJS.ErrnoException
    throw new Refusal(code === 'ENOENT' ? `there is no file ${path}` : `${path} cannot be read: ${code}`, { cause })
  }
  if (bytes.byteLength > FILE_MOST) throw new Refusal(`${path} is larger than ${FILE_MOST} bytes`)
  return bytes.toString('utf8')
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const words =
        error.code === 'EADDRINUSE' ? `port ${port} is taken` : `cannot listen on ${host}:${port}: ${error.code}`
      fail(
        new Refusal(`${words}; set SLUICE_${error.code === 'EADDRNOTAVAIL' ? 'HOST' : 'PORT'} to another`, {
          cause: error,
        }),
      )
    })
    server.listen(port, host, done)
  })
  const address = server.address() as AddressInfo
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}

interface Watched {
  readonly folder: string
  readonly concerns: (name: string) => boolean
}

/** The policies and the file of API keys: whatever takes force without a restart. */
function watched({ config, base }: Loaded): readonly Watched[] {
  const policies = { folder: resolve(base, config.policies), concerns: (name: string) => /\.ya?ml$/.test(name) }
  if (config.apiKeys.file === undefined) return [policies]
  // Its folder, not the file: editors put a new file in the old one's place.
  const keys = resolve(base, config.apiKeys.file)
  return [policies, { folder: dirname(keys), concerns: (name) => name === basename(keys) }]
}

/** Calls `changed` a moment after the last change that concerns it. */
function watchFiles(files: readonly Watched[], runtime: Runtime, changed: () => Promise<void>): () => void {
  let timer: NodeJS.Timeout | undefined
  const watchers = files.map(({ folder, concerns }) => {
    const watcher = watch(folder, (_, name) => {
      if (name !== null && !concerns(name)) return
      clearTimeout(timer)
      timer = setTimeout(() => runtime.background('reload', changed()), SETTLE_MS)
    })
    watcher.on('error', (error) => runtime.log('warn', 'a folder is no longer watched', { folder }, error))
    return watcher
  })
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  }
}

/** The installed plugins' option schemas, for checking `sluice.yaml`. */
function parsers() {
  return Object.fromEntries(plugins.map(({ name, options }) => [name, { options }]))
}

function logLevel(): LogLevel {
  const level = process.env['SLUICE_LOG'] ?? 'info'
  if (level === 'debug' || level === 'info' || level === 'warn' || level === 'error') return level
  throw new Refusal(`SLUICE_LOG is \`${level}\`; it may be debug, info, warn or error`)
}
