/** The whole gateway, with identity, policy and audit on, in a process of its own over parts of its own. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startPart } from '../sandbox/parts.ts'
import type { Contender } from './query.ts'

const ROOT = join(import.meta.dirname, '..')
const NEWLINE = 0x0a

/** Starts issuer, ClickHouse and gateway over the warehouse given; the agent's NDJSON rows are what is counted. */
export async function startGateway(warehouse: string): Promise<Contender> {
  const data = mkdtempSync(join(tmpdir(), 'sluice-bench-gateway-'))
  const [issuer, clickhouse] = await Promise.all([
    startPart('issuer', { port: 0, data: join(data, 'issuer') }),
    startPart('clickhouse', { port: 0, data: join(data, 'clickhouse') }),
  ])
  const child = spawn(process.execPath, [join(ROOT, 'src/entry/cli.ts'), 'serve', '--with-parent'], {
    cwd: ROOT,
    stdio: ['pipe', 'ignore', 'pipe'],
    env: {
      ...process.env,
      SLUICE_PORT: '0',
      SLUICE_DATA: data,
      SLUICE_SANDBOX_WAREHOUSE: warehouse,
      SLUICE_SANDBOX_CLICKHOUSE: clickhouse.url,
      SLUICE_SANDBOX_ISSUER: issuer.url,
      SLUICE_CRM_KEY: 'crm-sandbox-key',
      SLUICE_MASK_KEY: 'a-mask-key-of-the-bench-0123456789',
    },
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the gateway ended with exit code ${code}`)))
    createInterface({ input: child.stderr }).on('line', (line) => {
      const listening = /"message":"listening".*"url":"([^"]+)"/.exec(line)?.[1]
      if (listening !== undefined) resolve(listening)
    })
  })
  return {
    name: 'gateway',
    rows: async (sql) => countRows(url, await tokenOf(issuer.url), sql),
    peakRss: () => peakResident(child.pid ?? 0),
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
      await Promise.all([issuer.stop(), clickhouse.stop()])
      rmSync(data, { recursive: true, force: true })
    },
  }
}

async function tokenOf(issuer: string): Promise<string> {
  const answer = await fetch(`${issuer}/dev/token/agent`)
  const { access_token: token } = (await answer.json()) as { access_token: string }
  return token
}

/** Rows are the lines between header and trailer; the trailer must say that they are all. */
async function countRows(url: string, token: string, sql: string): Promise<number> {
  const answer = await fetch(`${url}/v1/query`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      Accept: 'application/x-ndjson',
    },
    body: JSON.stringify({ connection: 'warehouse', sql, maxRows: 10_000_000, timeoutMs: 300_000 }),
  })
  if (!answer.ok || answer.body === null) throw new Error(`the gateway answered ${answer.status}`)
  let lines = 0
  let tail = ''
  const decoder = new TextDecoder()
  for await (const chunk of answer.body) {
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1
    tail = (tail + decoder.decode(chunk.subarray(-500))).slice(-1000)
  }
  if (!tail.includes('"ending":"whole"')) throw new Error('the answer was cut')
  return lines - 2
}

/** The most that a process ever had resident, in bytes; 0 where the system does not tell. */
function peakResident(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
