/**
 * What a proxied call costs, measured in one run over one upstream, each proxy a process of its own:
 *
 *     bare      undici.stream into the answer, and nothing else
 *     fastify   @fastify/http-proxy with nothing on (where `npm ci --prefix bench/proxy` was run)
 *     nginx     proxy_pass with kept connections (where it is installed)
 *     gateway   authentication, policy, three masks and the journal on
 *
 * Rounds are interleaved. Throughput and latency as a client sees them, CPU of the proxy's own process per request, and the
 * gateway's memory while an answer of 1 GB goes through it.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Pool } from 'undici'
import { startPart } from '../sandbox/parts.ts'

const ROOT = join(import.meta.dirname, '..')
const HERE = join(import.meta.dirname, 'proxy')

interface Contender {
  readonly name: string
  readonly process: ChildProcess
  readonly origin: string
  /** Stands before a path. */
  readonly prefix: string
  readonly headers: Readonly<Record<string, string>>
}

interface Kind {
  readonly name: string
  readonly path: string
  readonly requests: number
  readonly width: number
}

const KINDS: readonly Kind[] = [
  { name: '2 KB', path: '/small', requests: 6_000, width: 32 },
  { name: '10 MB', path: '/large', requests: 24, width: 4 },
]

interface Round {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Milliseconds. */
  readonly cpu: number
}

/** Measures and prints a table per kind of answer. `megabytes`: of the one long answer; 0: none. */
export async function benchProxy(rounds: number, megabytes: number): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'sluice-bench-proxy-'))
  const children: { stop(): Promise<void> }[] = []
  try {
    const upstream = await started(['bench/proxy/upstream.ts'], children)
    const contenders = [
      await started(['bench/proxy/bare.ts', upstream.origin], children, 'bare'),
      ...(existsSync(join(HERE, 'node_modules'))
        ? [await started(['bench/proxy/fastify.js', upstream.origin], children, 'fastify')]
        : []),
      ...(await nginx(upstream.origin, data, children)),
      await gateway(upstream.origin, data, children),
    ]
    if (!contenders.some(({ name }) => name === 'fastify')) console.log('fastify: npm ci --prefix bench/proxy')
    for (const kind of KINDS) await compare(kind, contenders, rounds)
    if (megabytes > 0) await memory(contenders.at(-1), megabytes)
  } finally {
    await Promise.all(children.map((child) => child.stop()))
    rmSync(data, { recursive: true, force: true })
  }
}

async function compare(kind: Kind, contenders: readonly Contender[], rounds: number): Promise<void> {
  const results = new Map(contenders.map(({ name }) => [name, [] as Round[]]))
  for (const contender of contenders) await round(contender, { ...kind, requests: Math.ceil(kind.requests / 3) })
  for (let i = 0; i < rounds; i++) {
    for (const contender of contenders) results.get(contender.name)?.push(await round(contender, kind))
  }
  const medians = new Map(
    Array.from(results, ([name, all]) => {
      const of = (key: keyof Round): number => median(all.map((it) => it[key]))
      return [name, { perSecond: of('perSecond'), p50: of('p50'), p99: of('p99'), cpu: of('cpu') }]
    }),
  )
  const bare = medians.get('bare')
  console.log(`\n${kind.name}: ${kind.requests} requests, ${kind.width} at once, median of ${rounds} rounds`)
  console.table(
    Array.from(medians, ([name, it]) => ({
      name,
      'requests/s': Math.round(it.perSecond),
      'of bare': ratio(it.perSecond, bare?.perSecond),
      'p50 ms': round2(it.p50),
      'p99 ms': round2(it.p99),
      'CPU ms': round2(it.cpu),
      'CPU of bare': ratio(it.cpu, bare?.cpu),
    })),
  )
}

async function round({ process: child, origin, prefix, headers }: Contender, kind: Kind): Promise<Round> {
  const pool = new Pool(origin, { connections: kind.width })
  const times: number[] = []
  const cpu = cpuOf(child.pid)
  const since = performance.now()
  let left = kind.requests
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const begun = performance.now()
      const { statusCode, body } = await pool.request({ method: 'GET', path: prefix + kind.path, headers })
      await body.dump({ limit: Number.MAX_SAFE_INTEGER })
      if (statusCode !== 200) throw new Error(`${origin} answered ${statusCode}`)
      times.push(performance.now() - begun)
    }
  }
  await Promise.all(Array.from({ length: kind.width }, one))
  const seconds = (performance.now() - since) / 1000
  const spent = cpuOf(child.pid) - cpu
  await pool.close()
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return { perSecond: kind.requests / seconds, p50: at(0.5), p99: at(0.99), cpu: spent / kind.requests }
}

/** One long answer, and the most memory that it took. */
async function memory(contender: Contender | undefined, megabytes: number): Promise<void> {
  if (contender === undefined) return
  const { process: child, origin, prefix, headers } = contender
  const pool = new Pool(origin, { bodyTimeout: 0 })
  const before = rssOf(child.pid)
  const since = performance.now()
  const { body } = await pool.request({ method: 'GET', path: `${prefix}/endless?mb=${megabytes}`, headers })
  let peak = 0
  let bytes = 0
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length
    peak = Math.max(peak, rssOf(child.pid))
  }
  const seconds = (performance.now() - since) / 1000
  await pool.close()
  const mib = (n: number): number => Math.round(n / 1_048_576)
  console.log(
    `\n${mib(bytes)} MB of lines, masked: ${Math.round(bytes / 1_048_576 / seconds)} MB/s; resident ${mib(before)} MB before, ${mib(peak)} MB at most`,
  )
}

/** A child that prints its URL. */
async function started(args: readonly string[], children: { stop(): Promise<void> }[], name = ''): Promise<Contender> {
  const child = spawn(process.execPath, [...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push({ stop: () => ended(child) })
  const origin = await line(child, (text) => text)
  return { name, process: child, origin, prefix: '', headers: {} }
}

async function nginx(upstream: string, data: string, children: { stop(): Promise<void> }[]): Promise<Contender[]> {
  if (spawnSync('nginx', ['-v']).error !== undefined) {
    console.log('nginx: not installed here')
    return []
  }
  const port = await freePort()
  const config = join(data, 'nginx.conf')
  const { host } = new URL(upstream)
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${data}/nginx.pid; error_log /dev/null;
events { worker_connections 1024; }
http { access_log off; upstream api { server ${host}; keepalive 64; }
server { listen 127.0.0.1:${port}; location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; } } }`,
  )
  const child = spawn('nginx', ['-c', config, '-p', data], { stdio: 'ignore' })
  children.push({ stop: () => ended(child) })
  return [{ name: 'nginx', process: child, origin: `http://127.0.0.1:${port}`, prefix: '', headers: {} }]
}

async function gateway(upstream: string, data: string, children: { stop(): Promise<void> }[]): Promise<Contender> {
  const issuer = await startPart('issuer', { port: 0, data: join(data, 'issuer') })
  children.push({ stop: () => issuer.stop() })
  mkdirSync(join(data, 'policies'))
  writeFileSync(join(data, 'policies', 'bench.yaml'), POLICY)
  const config = join(data, 'sluice.yaml')
  writeFileSync(config, configOf(upstream, issuer.url, data))
  const child = spawn(
    process.execPath,
    [join(ROOT, 'src/entry/cli.ts'), 'serve', '--with-parent', '--config', config],
    {
      cwd: ROOT,
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, SLUICE_LOG: 'info', SLUICE_MASK_KEY: 'a-mask-key-of-the-bench-0123456789' },
    },
  )
  children.push({ stop: () => ended(child) })
  const origin = await line(child, (text) => /"message":"listening".*"url":"([^"]+)"/.exec(text)?.[1])
  const token = (await (await fetch(`${issuer.url}/dev/token/agent`)).json()) as { access_token: string }
  const headers = { authorization: `Bearer ${token.access_token}` }
  return { name: 'gateway', process: child, origin, prefix: '/proxy/api', headers }
}

const POLICY = `policy: bench
description: three masks
principals: { groups: [analyst-agents] }
connections: [api]
rules:
  - id: read
    effect: permit
    because: it is measured
    obligations:
      mask-json:
        response: { $..email: hash, $..ssn: redact, $..phone: { strategy: partial, keepLast: 4 } }
`

const configOf = (upstream: string, issuer: string, data: string): string => `
data: ${data}/gateway
policies: policies
listeners: { gateway: { port: 0 } }
issuers:
  - { name: sandbox, issuer: '${issuer}', algorithms: [RS256, ES256], audiences: { agents: sluice-agents } }
connections:
  api:
    type: rest
    baseUrl: ${upstream}
    credential: { type: none }
    maxResponseBytes: 4GiB
    operations: ['GET /small', 'GET /large', 'GET /endless']
plugins:
  mask-json: { keys: { default: 'env:SLUICE_MASK_KEY' } }
`

/** The first line, of what a child prints, that says something. */
async function line(child: ChildProcess, read: (text: string) => string | undefined): Promise<string> {
  const stream = child.stderr ?? child.stdout
  if (stream === null) throw new Error('a child that says nothing')
  return new Promise((resolve, reject) => {
    const lines: string[] = []
    child.once('exit', (code) => reject(new Error(`it ended with ${code}\n${lines.join('\n')}`)))
    createInterface({ input: stream }).on('line', (text) => {
      lines.push(text)
      const found = read(text)
      if (found !== undefined) resolve(found)
    })
  })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await exit
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

/** Milliseconds of CPU that a process has had: user and system, of /proc. */
function cpuOf(pid = 0): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function rssOf(pid = 0): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function ratio(value: number, of: number | undefined): string {
  return of === undefined || of === 0 ? '' : (value / of).toFixed(2)
}

function round2(value: number): number {
  return Math.round(value * 100) / 100
}
