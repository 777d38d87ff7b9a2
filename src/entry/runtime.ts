/** The Node side of `Runtime`. */
import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Agent, fetch as undiciFetch } from 'undici'
import { Failure } from '../failure.ts'
import type { Log, LogLevel, Runtime } from '../runtime.ts'

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** Most bytes that a secret may have. */
const SECRET_MOST = 65_536

/** `base` is the folder that `file:` references are relative to; logs below `level` are dropped. */
export function createRuntime({ base, level }: { base: string; level: LogLevel }): Runtime {
  const log = createLog(level, (line) => process.stderr.write(line))
  const dispatcher = new Agent({ connections: 64, headersTimeout: 30_000, bodyTimeout: 30_000, maxHeaderSize: 32_768 })
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    newId: createUuidV7(() => Date.now()),
    secrets: { read: (reference) => readSecret(reference, base) },
    // The types of undici's own fetch and of the global one differ in name only.
    fetch: ((input: string | URL, init?: RequestInit) =>
      undiciFetch(input, { ...(init as object), dispatcher })) as unknown as typeof globalThis.fetch,
    hasher() {
      const hash = createHash('sha256')
      return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') }
    },
    log,
    background(name, work) {
      work.catch((error: unknown) => log('error', 'background work failed', { work: name }, error))
    },
  }
}

async function readSecret(reference: string, base: string): Promise<string> {
  const [scheme, ...rest] = reference.split(':')
  const name = rest.join(':')
  if (scheme === 'env') {
    const value = process.env[name]
    if (value !== undefined && value !== '') return value
    throw new Failure('internal', `the secret \`${reference}\` is not set`, {
      fix: `set the environment variable ${name}`,
    })
  }
  if (scheme === 'file') {
    try {
      const bytes = await readFile(resolve(base, name))
      if (bytes.byteLength > 0 && bytes.byteLength <= SECRET_MOST) return bytes.toString('utf8').trimEnd()
    } catch (cause) {
      throw new Failure('internal', `the secret \`${reference}\` cannot be read`, { cause })
    }
    throw new Failure('internal', `the secret \`${reference}\` is empty or longer than ${SECRET_MOST} bytes`)
  }
  throw new Failure('internal', 'a secret is `env:NAME` or `file:path`')
}

/**
 * One JSON object a line. Of an error that is not ours only its name, code and places in the code are written: its
 * message may quote a statement, a row or a credential.
 */
export function createLog(level: LogLevel, write: (line: string) => void, now: () => Date = () => new Date()): Log {
  const least = LEVELS.indexOf(level)
  return (at, message, fields = {}, cause) => {
    if (LEVELS.indexOf(at) < least) return
    const entry = { time: now().toISOString(), level: at, message, ...fields, ...causeOf(cause) }
    write(`${JSON.stringify(entry)}\n`)
  }
}

function causeOf(cause: unknown): object {
  if (cause === undefined) return {}
  if (cause instanceof Failure) {
    // The warehouse's own words may quote what the principal may read, and the log may not.
    const message = cause.code === 'upstream-refused' ? {} : { message: cause.message }
    return { cause: { code: cause.code, ...message }, ...under(cause.detail.cause) }
  }
  return { cause: errorShape(cause) }
}

function under(cause: unknown): object {
  return cause === undefined ? {} : { under: errorShape(cause) }
}

function errorShape(error: unknown): object {
  if (!(error instanceof Error)) return { name: typeof error }
  const { code } = error as { code?: unknown }
  const places = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return {
    name: error.name,
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    at: places.slice(0, 5).map((line) => line.trim()),
  }
}

/** Bytes of randomness that are asked for at once: 256 ids. */
const POOL = 4_096

/**
 * RFC 9562 version 7: 48 bits of milliseconds, then a counter that keeps ids of one process in order within a
 * millisecond, then random bits.
 */
export function createUuidV7(now: () => number): () => string {
  let last = 0
  let counter = 0
  // One call of the system's source of randomness for many ids.
  let pool = Buffer.alloc(0)
  let used = 0
  return () => {
    const time = now()
    if (time > last) {
      last = time
      counter = randomBytes(2).readUInt16BE() & 0x7ff
    } else if (++counter > 0xfff) {
      last += 1 // the counter is used up, or the clock went back: go on in the next millisecond
      counter = 0
    }
    if (used === pool.length) {
      pool = randomBytes(POOL)
      used = 0
    }
    const bytes = Buffer.from(pool.subarray(used, used + 16))
    used += 16
    bytes.writeUIntBE(last, 0, 6)
    bytes.writeUInt16BE(0x7000 | counter, 6)
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
    const hex = bytes.toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }
}
