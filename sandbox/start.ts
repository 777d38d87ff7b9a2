/**
 * `npm start`: the sandbox's parts and the gateway over them, each a process of its own, until Ctrl-C.
 *
 * Data stays in `.sluice/` (`SLUICE_DATA`); the gateway listens on 8080 (`SLUICE_PORT`). The parts take the ports that
 * `sluice.yaml` names as defaults, or free ones where those are taken.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { API_KEY } from './crm/app.ts'
import { describeIdentities } from './issuer/identities.ts'
import { startPart, type Part, type PartName } from './parts.ts'

/** The ports that `sluice.yaml` and `npm run token` expect. */
const PORTS: Readonly<Record<PartName, number>> = { warehouse: 9050, clickhouse: 9051, issuer: 9052, crm: 9053 }

const root = resolve(import.meta.dirname, '..')
const data = resolve(process.env['SLUICE_DATA'] ?? '.sluice')
const sandboxData = join(data, 'sandbox')

if (Number(process.versions.node.split('.')[0]) < 22) {
  console.error(`this is Node ${process.versions.node}; start with \`npm start\`, which brings its own Node 24`)
  process.exit(1)
}
mkdirSync(sandboxData, { recursive: true, mode: 0o700 })

const parts: Part[] = []
let gateway: ChildProcess | undefined
let stopping = false

process.on('SIGINT', () => void stop(0))
process.on('SIGTERM', () => void stop(0))

try {
  console.log('starting the sandbox …')
  const started = await Promise.allSettled(
    (Object.keys(PORTS) as PartName[]).map(async (name) => {
      const part = await startPart(name, { port: await portFor(name), data: join(sandboxData, name) })
      parts.push(part)
      return part
    }),
  )
  const broken = started.find((result) => result.status === 'rejected')
  if (broken !== undefined) {
    console.error(`if another \`npm start\` has ${data}: stop that one, or set SLUICE_DATA to another folder`)
    throw broken.reason
  }
  const env = environment()
  // For `npm run token`, which has to find the issuer.
  writeFileSync(join(sandboxData, 'urls.json'), JSON.stringify(Object.fromEntries(parts.map((p) => [p.name, p.url]))))
  const url = await startGateway(env)
  console.log(welcome(url))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  await stop(1)
}

function environment(): NodeJS.ProcessEnv {
  const urls = Object.fromEntries(parts.map((part) => [`SLUICE_SANDBOX_${part.name.toUpperCase()}`, part.url]))
  return { ...process.env, ...urls, SLUICE_MASK_KEY: maskKey(), SLUICE_CRM_KEY: API_KEY, SLUICE_DATA: data }
}

/** A key of this sandbox's own, kept so that hashes stay joinable over restarts. */
function maskKey(): string {
  const path = join(sandboxData, 'mask.key')
  if (!existsSync(path)) writeFileSync(path, randomBytes(32).toString('hex'), { mode: 0o600 })
  return readFileSync(path, 'utf8').trim()
}

/** The gateway's base URL once it listens. Its end is ours. */
async function startGateway(env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(process.execPath, [join(root, 'src/entry/cli.ts'), 'serve', '--with-parent'], {
    cwd: root,
    env,
    stdio: ['pipe', 'inherit', 'pipe'],
    detached: true,
  })
  gateway = child
  child.once('exit', (code, signal) => {
    if (stopping) return
    console.error(`the gateway ended with ${signal ?? `exit code ${code}`}`)
    void stop(code ?? 1)
  })
  return new Promise<string>((resolveUrl) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      const listening = /"message":"listening".*"url":"([^"]+)"/.exec(line)?.[1]
      if (listening !== undefined) resolveUrl(listening)
      else console.error(line)
    })
  })
}

/** The gateway first, so that it can finish and record what is under way; then the parts. */
async function stop(code: number): Promise<void> {
  if (stopping) return
  stopping = true
  if (gateway !== undefined && gateway.exitCode === null && gateway.signalCode === null) {
    const ended = new Promise((resolveEnd) => gateway?.once('exit', resolveEnd))
    gateway.kill('SIGTERM')
    await ended
  }
  await Promise.all(parts.map((part) => part.stop()))
  process.exit(code)
}

/** The usual port, or 0 (a free one) where it is taken. */
async function portFor(name: PartName): Promise<number> {
  const usual = PORTS[name]
  const probe = createServer()
  return new Promise<number>((resolvePort) => {
    probe.once('error', () => resolvePort(0))
    probe.listen(usual, '127.0.0.1', () => probe.close(() => resolvePort(usual)))
  })
}

function welcome(url: string): string {
  // `npm run token` finds the issuer by the data folder; other commands must be told what is not where it usually is.
  const where = process.env['SLUICE_DATA'] === undefined ? '' : `SLUICE_DATA='${data}' `
  const token = `${where}npm run -s token --`
  const clickhouse = parts.find(({ name }) => name === 'clickhouse')?.url ?? ''
  const isUsual = clickhouse.endsWith(`:${PORTS.clickhouse}`)
  const sluice = `${where}${isUsual ? '' : `SLUICE_SANDBOX_CLICKHOUSE='${clickhouse}' `}npm run -s sluice --`
  return `
Sluice is ready at ${url}      stop: Ctrl-C      data: ${data}

Identities (a fresh token of each: ${token} NAME)
${describeIdentities()}

In another terminal, try:

  AGENT=$(${token} agent)
  curl -s ${url}/v1/query -H "Authorization: Bearer $AGENT" -H 'Content-Type: application/json' \\
    -d '{"connection": "warehouse", "sql": "SELECT id, name, email FROM shop.customers ORDER BY id LIMIT 3"}'

  WRITER=$(${token} writer)
  curl -si ${url}/v1/query -H "Authorization: Bearer $WRITER" -H 'Content-Type: application/json' \\
    -d '{"connection": "warehouse", "sql": "UPDATE shop.orders SET status = '"'shipped'"' WHERE id = 7", "purpose": "order 7 left the house"}'

  AUDITOR=$(${token} auditor)
  curl -s ${url}/v1/audit/query -H "Authorization: Bearer $AUDITOR" -H 'Content-Type: application/json' \\
    -H 'Accept: application/x-ndjson' \\
    -d '{"sql": "SELECT asked_at, principal, effect, outcome, statement FROM exchanges ORDER BY asked_at DESC LIMIT 5"}'
  ${sluice} audit verify --key "$(${where}npm run -s sluice -- audit key show)"

README.md takes you further: approving what the writer asked, streaming, policies, your own BigQuery.`
}
