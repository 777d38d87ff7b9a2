/** What attackers need: raw sockets, and the project's configuration with lines of it changed. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tokenOf, type GatewayProcess } from './gateway.ts'

const ROOT = join(import.meta.dirname, '../..')
const folders: string[] = []
const sockets: Socket[] = []

/** Closes what was opened and removes what was made. */
export function tidy(): void {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sluice-attack-'))
  folders.push(path)
  return path
}

/** A copy of `sluice.yaml` and its policies; each pair of `changes` replaces one text by another. */
export function configured(...changes: readonly (readonly [from: string, to: string])[]): string {
  const path = folder()
  cpSync(join(ROOT, 'policies'), join(path, 'policies'), { recursive: true })
  const text = readFileSync(join(ROOT, 'sluice.yaml'), 'utf8')
  const changed = changes.reduce((so, [from, to]) => {
    if (!so.includes(from)) throw new Error(`sluice.yaml has no ${from}`)
    return so.replace(from, to)
  }, text)
  writeFileSync(join(path, 'sluice.yaml'), changed)
  return join(path, 'sluice.yaml')
}

export interface Dialled {
  readonly socket: Socket
  /** Everything that it was answered so far. */
  said(): string
  readonly ended: Promise<void>
}

/** A connection that has sent `bytes`. */
export async function dial(gateway: GatewayProcess, bytes: string | Uint8Array): Promise<Dialled> {
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  sockets.push(socket)
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
  socket.on('error', () => {})
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  return { socket, said: () => answer, ended }
}

/** The first bytes of a POST, up to its body. */
export async function head(as: string, path: string, more: readonly string[] = []): Promise<string> {
  const who = as === '' ? [] : [`Authorization: Bearer ${await tokenOf(as)}`]
  const lines = [`POST ${path} HTTP/1.1`, 'Host: gateway', ...who, 'Content-Type: application/json', ...more]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** A whole `POST /v1/query`. */
export async function asked(as: string, body: object, more: readonly string[] = []): Promise<string> {
  const text = JSON.stringify({ connection: 'warehouse', ...body })
  return (await head(as, '/v1/query', [`Content-Length: ${Buffer.byteLength(text)}`, ...more])) + text
}

/** Requests under way, as the gateway counts them. */
export async function inflight(gateway: GatewayProcess): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text()
  return Number(/^sluice_inflight (\d+)$/m.exec(text)?.[1])
}

export async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setImmediate(resolve))
}
