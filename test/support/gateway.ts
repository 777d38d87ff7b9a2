/** The real gateway in a process of its own, over the sandbox that the global setup started. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { inject } from 'vitest'

export interface GatewayProcess {
  readonly url: string
  readonly data: string
  readonly database: string
  readonly process: ChildProcess
  /** Every operational log line so far. */
  readonly logs: readonly string[]
  /** `POST path` as this identity; the answer as it came. */
  post(path: string, as: string, body: unknown, headers?: Record<string, string>): Promise<Response>
  get(path: string, as: string, headers?: Record<string, string>): Promise<Response>
  /** One query as JSON. */
  query(
    as: string,
    sql: string,
    more?: object,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: any }>
  /** Rows of an audit query, once `enough` says so. */
  audit<T>(sql: string, enough: (rows: T[]) => boolean): Promise<T[]>
  /** SIGTERM by default; resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export interface GatewayOptions {
  /** A data folder of an earlier gateway; a new one by default. */
  readonly data?: string
  readonly database?: string
  readonly env?: Record<string, string>
  /** Another configuration file than the project's. */
  readonly config?: string
}

const ROOT = join(import.meta.dirname, '../..')

/** A fresh token of the sandbox's issuer. */
export async function tokenOf(identity: string): Promise<string> {
  const answer = await fetch(`${inject('sandbox').issuer}/dev/token/${identity}`)
  const { access_token: token } = (await answer.json()) as { access_token: string }
  return token
}

/** Starts it and resolves once it listens; rejects with what it said if it ends first. */
export async function startGateway(options: GatewayOptions = {}): Promise<GatewayProcess> {
  const sandbox = inject('sandbox')
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'sluice-gateway-'))
  const database = options.database ?? `audit_${randomUUID().replaceAll('-', '').slice(0, 12)}`
  const config = options.config === undefined ? [] : ['--config', options.config]
  const child = spawn(process.execPath, [join(ROOT, 'src/entry/cli.ts'), 'serve', '--with-parent', ...config], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...process.env,
      SLUICE_PORT: '0',
      SLUICE_DATA: data,
      SLUICE_SANDBOX_WAREHOUSE: sandbox.warehouse,
      SLUICE_SANDBOX_CLICKHOUSE: sandbox.clickhouse,
      SLUICE_SANDBOX_ISSUER: sandbox.issuer,
      SLUICE_SANDBOX_CRM: sandbox.crm,
      SLUICE_CRM_KEY: 'crm-sandbox-key',
      // For configurations that were copied elsewhere.
      SLUICE_CRM_OPENAPI: join(ROOT, 'sandbox/crm/openapi.json'),
      SLUICE_AUDIT_DATABASE: database,
      SLUICE_MASK_KEY: 'a-mask-key-of-the-tests-0123456789',
      ...options.env,
    },
  })
  const logs: string[] = []
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => logs.push(line))
    createInterface({ input: child.stderr }).on('line', (line) => {
      logs.push(line)
      const listening = /"message":"listening".*"url":"([^"]+)"/.exec(line)?.[1]
      if (listening !== undefined) resolve(listening)
    })
    child.once('exit', (code, signal) => {
      reject(new Error(`the gateway ended with ${signal ?? code}\n${logs.join('\n')}`))
    })
  })
  const call = async (method: string, path: string, as: string, body?: unknown, headers: object = {}) =>
    fetch(`${url}${path}`, {
      method,
      headers: {
        ...(as !== '' && { Authorization: `Bearer ${await tokenOf(as)}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  const gateway: GatewayProcess = {
    url,
    data,
    database,
    process: child,
    logs,
    post: (path, as, body, headers) => call('POST', path, as, body, headers),
    get: (path, as, headers) => call('GET', path, as, undefined, headers),
    async query(as, sql, more = {}, headers = {}) {
      const answer = await call('POST', '/v1/query', as, { connection: 'warehouse', sql, ...more }, headers)
      return { status: answer.status, body: await answer.json() }
    },
    async audit<T>(sql: string, enough: (rows: T[]) => boolean) {
      const deadline = Date.now() + 30_000
      for (;;) {
        const answer = await call('POST', '/v1/audit/query', 'auditor', { sql })
        const body = (await answer.json()) as { data?: T[] }
        if (body.data !== undefined && enough(body.data)) return body.data
        if (Date.now() > deadline)
          throw new Error(`the audit never said enough: ${JSON.stringify(body).slice(0, 2000)}`)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    },
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.kill(signal)
        await ended
      }
      if (options.data === undefined && signal === 'SIGTERM') rmSync(data, { recursive: true, force: true })
      return child.exitCode
    },
  }
  return gateway
}
