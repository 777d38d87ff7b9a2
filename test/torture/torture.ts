/**
 * The promise that nothing acknowledged is lost and nothing is recorded twice, attacked: load, and meanwhile SIGKILL of the
 * gateway and of ClickHouse, a full disk, syncs that fail or are slow, a network that is slow, breaks, lies or swallows. Then
 * every exchange that was answered whole is looked up, and the evidence is verified.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { createClient, type ClickHouseClient } from '@clickhouse/client'
import { startPart, type Part } from '../../sandbox/parts.ts'
import { newApiKey } from '../../src/identity/api-key.ts'
import { openWire, type Wire } from './network.ts'

export interface TortureOptions {
  /** Exchanges that must be acknowledged before it ends. */
  readonly exchanges: number
  /** SIGKILLs, of the gateway and of ClickHouse by turns, that must have happened. */
  readonly kills: number
  /** Clients at once. */
  readonly clients: number
  /** Same seed, same order of faults. */
  readonly seed: number
  readonly say?: (words: string) => void
}

export interface TortureReport {
  readonly acknowledged: number
  readonly kills: { readonly gateway: number; readonly clickhouse: number }
  /** How often each other fault was made. */
  readonly faults: Readonly<Record<string, number>>
  /** Requests that met a gateway that was away, or refused because nothing could be recorded. */
  readonly turnedAway: number
  /** Acknowledged, and not both decided and completed in ClickHouse. */
  readonly lost: readonly string[]
  /** Records that ClickHouse holds twice. */
  readonly doubled: number
  /** Places in the sequence of a writer and epoch where a number is missing. */
  readonly gaps: number
  readonly records: number
  /** What `sluice audit verify` said, and its exit code. */
  readonly verified: { readonly code: number; readonly said: string }
  readonly seconds: number
}

const ROOT = join(import.meta.dirname, '../..')
const DATABASE = 'torture'

/** Between two faults, and how long each lasts. */
const PAUSE_MS = [200, 900] as const
const LASTS_MS = [150, 900] as const

/** Until everything has reached ClickHouse at the end. */
const CATCH_UP_MS = 120_000

export async function torture(options: TortureOptions): Promise<TortureReport> {
  const { say = () => {} } = options
  const began = performance.now()
  const stage = await Stage.open(options)
  try {
    const tally = await stage.run()
    say(`${tally.acknowledged.length} acknowledged; waiting until ClickHouse has everything`)
    await stage.catchUp()
    const found = await stage.look(tally.acknowledged)
    const verified = await stage.verify()
    const { kills, faults, turnedAway } = tally
    const seconds = Math.round((performance.now() - began) / 1000)
    return { acknowledged: tally.acknowledged.length, kills, faults, turnedAway, ...found, verified, seconds }
  } finally {
    await stage.close()
  }
}

interface Tally {
  readonly acknowledged: string[]
  readonly kills: { gateway: number; clickhouse: number }
  readonly faults: Record<string, number>
  turnedAway: number
}

class Stage {
  readonly #options: TortureOptions
  readonly #folder: string
  readonly #upstream: Server
  readonly #wire: Wire
  readonly #key: string
  readonly #random: () => number
  readonly #dispatcher = new Agent({ connections: 64, bodyTimeout: 20_000, headersTimeout: 20_000 })
  readonly #tally: Tally = { acknowledged: [], kills: { gateway: 0, clickhouse: 0 }, faults: {}, turnedAway: 0 }
  readonly #port: number
  #clickhouse: Part
  #gateway: { readonly process: ChildProcess; readonly url: string } | undefined
  #isOver = false

  private constructor(
    options: TortureOptions,
    made: { folder: string; upstream: Server; wire: Wire; key: string; clickhouse: Part; port: number },
  ) {
    this.#options = options
    this.#folder = made.folder
    this.#upstream = made.upstream
    this.#wire = made.wire
    this.#key = made.key
    this.#clickhouse = made.clickhouse
    this.#port = made.port
    this.#random = mulberry(options.seed)
  }

  static async open(options: TortureOptions): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-torture-'))
    const upstream = createServer((_, answer) => {
      answer.setHeader('Content-Type', 'application/json')
      answer.end('{"ok":true}')
    })
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    const clickhouse = await startPart('clickhouse', { port: 0, data: join(folder, 'clickhouse') })
    const wire = await openWire(new URL(clickhouse.url))
    const { key, id, hash } = await newApiKey()
    await mkdir(join(folder, 'policies'))
    await writeFile(join(folder, 'sluice.yaml'), configOf(folder, upstream, wire, id, hash))
    await writeFile(join(folder, 'policies/all.yaml'), POLICY)
    const port = Number(new URL(clickhouse.url).port)
    const stage = new Stage(options, { folder, upstream, wire, key, clickhouse, port })
    await stage.#startGateway()
    return stage
  }

  /** Load and faults, until there was enough of both. */
  async run(): Promise<Tally> {
    const { exchanges, kills, clients, say = () => {} } = this.#options
    const isEnough = (): boolean =>
      this.#tally.acknowledged.length >= exchanges && this.#tally.kills.gateway + this.#tally.kills.clickhouse >= kills
    const load = Array.from({ length: clients }, (_, n) => this.#ask(n, isEnough))
    let said = performance.now()
    while (!isEnough()) {
      await wait(this.#between(PAUSE_MS))
      await this.#harm()
      if (performance.now() - said < 10_000) continue
      said = performance.now()
      const { acknowledged, kills: done } = this.#tally
      if (acknowledged.length === 0) throw new Error('nothing is acknowledged at all')
      say(`${acknowledged.length} acknowledged, ${done.gateway} + ${done.clickhouse} kills`)
    }
    this.#isOver = true
    await Promise.all(load)
    this.#wire.fault = 'none'
    this.#tell('well')
    return this.#tally
  }

  async #ask(client: number, isEnough: () => boolean): Promise<void> {
    for (let n = 0; !this.#isOver && !isEnough(); n++) {
      const at = this.#gateway
      if (at === undefined) {
        await wait(20)
        continue
      }
      try {
        const { statusCode, headers, body } = await request(`${at.url}/proxy/echo/things/${client}-${n}`, {
          dispatcher: this.#dispatcher,
          headers: { Authorization: `Bearer ${this.#key}` },
        })
        await body.text()
        // Acknowledged: the whole answer has come.
        if (statusCode === 200) this.#tally.acknowledged.push(String(headers['sluice-exchange']))
        else {
          this.#tally.turnedAway++
          await wait(10)
        }
      } catch {
        this.#tally.turnedAway++
        await wait(10)
      }
    }
  }

  /** One fault, begun, borne and ended. */
  async #harm(): Promise<void> {
    const { kills } = this.#tally
    const left = this.#options.kills - kills.gateway - kills.clickhouse
    const kind = this.#pick(
      left > 0
        ? [
            'kill gateway',
            'kill gateway',
            'kill clickhouse',
            'disk full',
            'disk eio',
            'disk slow',
            'slow',
            'cut',
            'error',
            'black-hole',
          ]
        : ['disk full', 'disk eio', 'disk slow', 'slow', 'cut', 'error', 'black-hole'],
    )
    if (kind === 'kill gateway') return this.#killGateway()
    if (kind === 'kill clickhouse') return this.#killClickHouse()
    this.#tally.faults[kind] = (this.#tally.faults[kind] ?? 0) + 1
    if (kind.startsWith('disk ')) this.#tell(kind.slice('disk '.length))
    else this.#wire.fault = kind as Wire['fault']
    await wait(this.#between(LASTS_MS))
    this.#tell('well')
    this.#wire.fault = 'none'
  }

  async #killGateway(): Promise<void> {
    const gateway = this.#gateway
    this.#gateway = undefined
    if (gateway === undefined) throw new Error('the gateway is not there to be killed')
    const ended = new Promise((resolve) => gateway.process.once('exit', resolve))
    gateway.process.kill('SIGKILL')
    await ended
    this.#tally.kills.gateway++
    await this.#startGateway()
  }

  async #killClickHouse(): Promise<void> {
    await this.#clickhouse.stop('SIGKILL')
    this.#tally.kills.clickhouse++
    await wait(this.#between(LASTS_MS))
    this.#clickhouse = await startPart('clickhouse', { port: this.#port, data: join(this.#folder, 'clickhouse') })
  }

  async #startGateway(): Promise<void> {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'gateway.child.ts'), join(this.#folder, 'sluice.yaml')],
      { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, SLUICE_LOG: 'error' } },
    )
    const errors: string[] = []
    child.stdin.on('error', () => {})
    child.stderr.on('data', (chunk: Buffer) => {
      errors.push(chunk.toString())
      if (errors.length > 50) errors.shift()
    })
    const url = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`the gateway did not start\n${errors.join('')}`)))
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('listening ')) resolve(line.slice('listening '.length))
      })
    })
    this.#gateway = { process: child, url }
  }

  #tell(disk: string): void {
    this.#gateway?.process.stdin?.write(`${disk}\n`)
  }

  /** Waits until the gateway says that nothing waits any more, and stops it as an operator would. */
  async catchUp(): Promise<void> {
    const deadline = performance.now() + CATCH_UP_MS
    for (;;) {
      const gateway = this.#gateway
      const waiting = gateway === undefined ? 'no gateway' : await backlogOf(gateway.url)
      if (waiting === '0') break
      if (performance.now() > deadline) throw new Error(`ClickHouse never had everything: ${waiting} records wait`)
      await wait(100)
    }
    const child = this.#gateway?.process
    const ended = new Promise((resolve) => child?.once('exit', resolve))
    child?.kill('SIGTERM')
    await ended
    this.#gateway = undefined
  }

  /** What ClickHouse has of what was acknowledged. */
  async look(acknowledged: readonly string[]): Promise<Pick<TortureReport, 'lost' | 'doubled' | 'gaps' | 'records'>> {
    const client = createClient({ url: this.#clickhouse.url, database: DATABASE })
    try {
      const whole = new Set<string>()
      const rows = await client.query({
        query: `SELECT toString(exchange_id) AS id FROM events WHERE kind IN ('decided', 'completed')
          GROUP BY id HAVING countIf(kind = 'decided') = 1 AND countIf(kind = 'completed') = 1`,
        format: 'JSONCompactEachRow',
      })
      for await (const batch of rows.stream<[string]>()) for (const row of batch) whole.add(row.json()[0])
      const [records, doubled, gaps] = await Promise.all([
        numberOf(client, 'SELECT count() FROM events'),
        numberOf(client, 'SELECT count() - uniqExact(writer, epoch, writer_seq) FROM events'),
        numberOf(
          client,
          `SELECT sum(most - least + 1 - n) FROM (SELECT max(writer_seq) AS most, min(writer_seq) AS least,
            uniqExact(writer_seq) AS n FROM events GROUP BY writer, epoch)`,
        ),
      ])
      return { lost: acknowledged.filter((id) => !whole.has(id)), doubled, gaps, records }
    } finally {
      await client.close()
    }
  }

  /** As an auditor would: by the command, with the public key. */
  async verify(): Promise<TortureReport['verified']> {
    const config = ['--config', join(this.#folder, 'sluice.yaml')]
    const key = await sluice(['audit', 'key', 'show', ...config])
    const { code, out, said } = await sluice(['audit', 'verify', '--key', key.out.trim(), ...config])
    return { code, said: code === 0 ? out : said }
  }

  async close(): Promise<void> {
    this.#gateway?.process.kill('SIGKILL')
    await this.#clickhouse.stop('SIGKILL')
    await this.#wire.close()
    await this.#dispatcher.destroy()
    this.#upstream.closeAllConnections()
    await new Promise<void>((resolve) => this.#upstream.close(() => resolve()))
    await rm(this.#folder, { recursive: true, force: true })
  }

  #between([least, most]: readonly [number, number]): number {
    return least + this.#random() * (most - least)
  }

  #pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.#random() * of.length)] as T
  }
}

function configOf(folder: string, upstream: Server, wire: Wire, id: string, hash: string): string {
  const { port } = upstream.address() as AddressInfo
  return `
data: ${join(folder, 'data')}
policies: ${join(folder, 'policies')}
listeners: { gateway: { host: 127.0.0.1, port: 0 } }
apiKeys: { list: [{ id: ${id}, hash: ${hash}, subject: tormentor, groups: [tormentors] }] }
connections:
  echo: { type: rest, baseUrl: 'http://127.0.0.1:${port}', credential: { type: none }, operations: ['GET /things/{n}'] }
audit:
  journal: { segmentBytes: 1MiB, maxBytes: 1GiB }
  checkpoints: { every: 1s }
  clickhouse: { url: '${wire.url}', database: ${DATABASE}, requestTimeout: 5s }
`
}

const POLICY = `
policy: all
description: the tormentors may read
principals: { groups: [tormentors] }
connections: [echo]
rules:
  - { id: read, effect: permit, actions: [read], resources: ['GET /things/{n}'], because: the test asks }
`

async function backlogOf(url: string): Promise<string> {
  try {
    const { body } = await request(`${url}/metrics`)
    const text = await body.text()
    return /^sluice_audit_backlog_records (\d+)$/m.exec(text)?.[1] ?? 'unknown'
  } catch {
    return 'unknown'
  }
}

async function numberOf(client: ClickHouseClient, query: string): Promise<number> {
  return Number((await (await client.query({ query, format: 'TabSeparatedRaw' })).text()).trim())
}

function sluice(args: readonly string[]): Promise<{ code: number; out: string; said: string }> {
  return new Promise((resolve) => {
    const path = join(ROOT, 'src/entry/cli.ts')
    execFile(process.execPath, [path, ...args], { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, said: `${out}${err}` })
    })
  })
}

/** A small generator of numbers from 0 to 1, the same for the same seed. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
