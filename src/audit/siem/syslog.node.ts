/**
 * Records to a SIEM as syslog over TLS.
 *
 * Syslog has no acknowledgement. So a part of a segment has a connection of its own, which we close for writing behind the
 * last message; the part counts when the receiver, having read to that end, closes its own side without an error. One that
 * breaks off, is reset, is closed early or not in time is sent again.
 */
import { once } from 'node:events'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { Deliver, SealedRows } from '../ship.ts'
import { eventAt, partOf, Progress, type Source } from './events.ts'
import type { Bounds } from './parts.ts'
import { frameOf } from './syslog.ts'
import { Undelivered } from './undelivered.ts'

export interface SyslogOptions extends Source {
  readonly host: string
  readonly port: number
  /** False: on loopback only. */
  readonly tls: false | SyslogKeys
  /** Longest that connecting, each wait for room, and the receiver's close may take, in milliseconds. */
  readonly timeoutMs: number
}

/** All in PEM. */
export interface SyslogKeys {
  /** Certificates that vouch for the receiver; absent: the system's. */
  readonly ca?: string
  /** By which it knows us. */
  readonly own?: { readonly cert: string; readonly key: string }
}

/** Of an event: many receivers cut messages of more than 8 KiB. */
const USUAL: Bounds = { chars: 4096, items: 50 }

/** What one connection carries, and is sent again where it breaks. */
const PART_MESSAGES = 1000
const PART_BYTES = 1024 * 1024

/** Hands segments to a SIEM as syslog. Rejects with the system's error, or `Undelivered`. */
export function createSyslog(options: SyslogOptions): Deliver<SealedRows> {
  const progress = new Progress()
  return async (sealed, rows, signal) => {
    for (let from = progress.rowsOf(sealed); from < rows.length; from = progress.rowsOf(sealed)) {
      const make = (at: number): Uint8Array => frameOf(eventAt(sealed, rows, at, options, USUAL), options)
      const frames = await partOf(rows, from, make, { most: PART_MESSAGES, length: PART_BYTES })
      await carry(Buffer.concat(frames), options, signal)
      progress.took(sealed, from + frames.length)
    }
  }
}

/** Resolves when the receiver has read all of it. */
async function carry(bytes: Uint8Array, options: SyslogOptions, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { host, port, tls, timeoutMs } = options
  const line = connectTcp({ host, port, allowHalfOpen: true })
  const broken = breakOf(line)
  const abort = (): void => void line.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  let socket: Socket = line
  try {
    await within(timeoutMs, 'the connection', broken, once(line, 'connect'))
    if (tls !== false) socket = await securely(line, host, tls, timeoutMs, broken)
    const read = new Promise<void>((resolve) => line.once('end', resolve))
    // What it says, if anything, is of no use; it is read so that its end is seen.
    socket.resume()
    const written = new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
    await within(timeoutMs, 'room to write', broken, written)
    socket.end()
    await within(timeoutMs, 'the receiver to close', broken, read)
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
    line.destroy()
  }
}

/** TLS over the line, once the receiver has proven its name. */
async function securely(
  line: Socket,
  host: string,
  { ca, own }: SyslogKeys,
  timeoutMs: number,
  broken: Promise<never>,
): Promise<Socket> {
  const socket = connectTls({
    socket: carriedBy(line),
    host,
    // An address has no name to ask for; what it proves is compared with `host` either way.
    ...(isIP(host) === 0 && { servername: host }),
    minVersion: 'TLSv1.2',
    // Whatever the environment says.
    rejectUnauthorized: true,
    ...(ca !== undefined && { ca }),
    ...own,
  })
  socket.on('error', (error) => line.destroy(error))
  try {
    await within(timeoutMs, 'a secure connection', broken, once(socket, 'secureConnect'))
  } catch (error) {
    socket.destroy()
    throw error
  }
  return socket
}

/**
 * The line as TLS sees it. TLS is done when the receiver says goodbye; we are when the line ends behind that: one that says
 * goodbye with messages unread, as a receiver does that is stopped, resets the line instead.
 */
function carriedBy(line: Socket): Duplex {
  const carried = new Duplex({
    read: () => void line.resume(),
    write: (bytes: Uint8Array, _encoding, done) => void line.write(bytes, done),
    final: (done) => void line.end(done),
    // The line outlives it.
    destroy: (_error, done) => done(null),
  })
  line.on('data', (bytes: Buffer) => {
    if (!carried.destroyed) carried.push(bytes)
  })
  line.on('end', () => {
    if (!carried.destroyed) carried.push(null)
  })
  return carried
}

/** Rejects when the line breaks, or the receiver ends it before it can have read our end. Never resolves. */
function breakOf(line: Socket): Promise<never> {
  const broken = new Promise<never>((_, reject) => {
    line.on('error', reject)
    line.on('end', () => {
      if (!line.writableFinished) reject(new Undelivered('closed_early', 'the receiver closed before the end'))
    })
  })
  // Nobody may be waiting for it at the moment.
  broken.catch(() => {})
  return broken
}

async function within(ms: number, what: string, broken: Promise<never>, wait: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Undelivered('late', `waited too long for ${what}`)), ms)
  })
  try {
    await Promise.race([wait, broken, late])
  } finally {
    clearTimeout(timer)
  }
}
