/** Starts parts of the sandbox as child processes. Used by `npm start`, by tests and by benches. */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type PartName = 'warehouse' | 'clickhouse' | 'issuer' | 'crm'

export interface Part {
  readonly name: PartName
  readonly url: string
  readonly process: ChildProcess
  /** Resolves when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Longest time a part may take until it is ready. */
const READY_MS = 60_000

/**
 * Starts `sandbox/<name>/main.ts` and resolves once it serves. `port` 0 picks a free one; `data` is the part's own
 * folder. Rejects with what the part wrote to standard error if it ends or is late.
 */
export async function startPart(name: PartName, options: { port: number; data: string }): Promise<Part> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, name, 'main.ts'), '--port', String(options.port), '--data', options.data],
    // UV_THREADPOOL_SIZE: the embedded engines hold a libuv thread for as long as a query runs.
    // detached: Ctrl-C goes to the terminal's whole process group, and the parts must outlive the gateway's last record.
    { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: { ...process.env, UV_THREADPOOL_SIZE: '16' } },
  )
  const errors: string[] = []
  child.stderr.on('data', (chunk: Buffer) => {
    errors.push(chunk.toString())
    if (errors.length > 50) errors.shift()
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await ended
  }
  const lines = createInterface({ input: child.stdout })
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`sandbox part ${name} ${why}\n${errors.join('')}`.trim()))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`was not ready within ${READY_MS / 1000} s`)
    }, READY_MS)
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      fail(`ended with ${signal ?? `exit code ${code}`}`)
    })
    lines.on('line', (line) => {
      const said = parseReady(line)
      if (said === undefined) return
      clearTimeout(timer)
      resolve(said)
    })
  })
  return { name, url, process: child, stop }
}

function parseReady(line: string): string | undefined {
  if (!line.startsWith('{"part"')) return undefined
  return (JSON.parse(line) as { url: string }).url
}
