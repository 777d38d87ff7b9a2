/**
 * Records to a SIEM as syslog over TLS.
 *
 * Syslog has no acknowledgement. So a part of a segment has a connection of its own, which we close for writing behind the
 * last message; the part counts when the receiver, having read to that end, closes its own side without an error. One that
 * breaks off, is reset, is closed early or not in time is sent again.
 */
import { once } from 'node:events'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Deliver, SealedRows } from '../ship.ts'
import { eventAt, Progress, type Source } from './events.ts'
import { frameOf } from './syslog.ts'
import { Undelivered } from './undelivered.ts'

export interface SyslogOptions extends Source {
  readonly host: string
  readonly port: number
  /** False: on loopback only. `ca`: certificates in PEM that vouch for it; absent: the system's. */
  readonly tls: false | { readonly ca?: string }
  /** Longest that connecting, each wait for room, and the receiver's close may take, in milliseconds. */
  readonly timeoutMs: number
}

/** Most characters of a text in an event: many receivers cut messages of more than 8 KiB. */
const MOST_CHARS = 4096

/** Bytes that one connection carries, the last message aside: what is sent again where it breaks. */
const PART_BYTES = 1024 * 1024

/** Hands segments to a SIEM as syslog. Rejects with the system's error, or `Undelivered`. */
export function createSyslog(options: SyslogOptions): Deliver<SealedRows> {
  const progress = new Progress()
  return async (sealed, rows, signal) => {
    for (let from = progress.rowsOf(sealed); from < rows.length; from = progress.rowsOf(sealed)) {
      const frames = partOf(sealed, rows, from, options)
      await carry(Buffer.concat(frames), options, signal)
      progress.took(sealed, from + frames.length)
    }
  }
}

function partOf(
  sealed: SealedRows,
  rows: readonly Uint8Array[],
  from: number,
  options: SyslogOptions,
): readonly Uint8Array[] {
  const frames: Uint8Array[] = []
  let size = 0
  for (let at = from; at < rows.length && size < PART_BYTES; at++) {
    const frame = frameOf(eventAt(sealed, rows, at, options, MOST_CHARS), options)
    frames.push(frame)
    size += frame.length
  }
  return frames
}

/** Resolves when the receiver has read all of it. */
async function carry(bytes: Uint8Array, options: SyslogOptions, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { tls, timeoutMs } = options
  const socket = socketTo(options)
  const broken = breakOf(socket)
  // Nobody may be waiting for it at the moment.
  broken.catch(() => {})
  const abort = (): void => void socket.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await within(timeoutMs, 'the connection', broken, once(socket, tls === false ? 'connect' : 'secureConnect'))
    const written = new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
    await within(timeoutMs, 'room to write', broken, written)
    const closed = once(socket, 'close')
    socket.end()
    await within(timeoutMs, 'the receiver to close', broken, closed)
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}

function socketTo({ host, port, tls }: SyslogOptions): Socket {
  if (tls === false) return connectTcp({ host, port })
  return connectTls({
    host,
    port,
    // An address has no name to ask for; what it proves is compared with `host` either way.
    ...(isIP(host) === 0 && { servername: host }),
    minVersion: 'TLSv1.2',
    // Whatever the environment says.
    rejectUnauthorized: true,
    ...(tls.ca !== undefined && { ca: tls.ca }),
  })
}

/** Rejects when the connection breaks, or the receiver closes before it has read our end. Never resolves. */
function breakOf(socket: Socket): Promise<never> {
  return new Promise((_, reject) => {
    socket.on('error', reject)
    socket.on('end', () => {
      if (!socket.writableFinished) reject(new Undelivered('closed_early', 'the receiver closed before the end'))
    })
    // What it says, if anything, is of no use; it is read so that its end is seen.
    socket.resume()
  })
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
