/** The SIEMs of a configuration, each as a follower of the journal. */
import type { Clock, Secrets } from '../../runtime.ts'
import type { Follower } from '../log.node.ts'
import { createHttps } from './https.ts'
import { createSyslog } from './syslog.node.ts'

/** One destination, as it is configured. */
export type SiemDestination = HttpsDestination | SyslogDestination

export interface HttpsDestination {
  readonly type: 'https'
  /** Small letters, digits and dashes; names how far it has come. */
  readonly name: string
  /** https, or http on loopback. */
  readonly url: string
  readonly format: 'ndjson' | 'json'
  /** Milliseconds. */
  readonly timeout: number
  /** A reference to the value of the `Authorization` header. */
  readonly authorization?: string
}

export interface SyslogDestination {
  readonly type: 'syslog'
  readonly name: string
  /** `siem.example.com:6514` */
  readonly address: string
  /** False on loopback only. */
  readonly tls: boolean
  /** Milliseconds. */
  readonly timeout: number
  /** Certificates that vouch for it, in PEM. */
  readonly ca?: string
  /** The certificate by which it knows us, in PEM. */
  readonly cert?: string
  /** A reference to its private key. */
  readonly key?: string
}

export interface SiemParts {
  readonly secrets: Secrets
  readonly fetch: typeof globalThis.fetch
  readonly clock: Clock
  /** This gateway's name in the records. */
  readonly writer: string
  /** Of the gateway. */
  readonly version: string
}

/** Rejects, as `secrets` does, where a secret cannot be had. */
export async function createSiem(
  destinations: readonly SiemDestination[],
  parts: SiemParts,
): Promise<readonly Follower[]> {
  return Promise.all(destinations.map((destination) => followerOf(destination, parts)))
}

async function followerOf(destination: SiemDestination, parts: SiemParts): Promise<Follower> {
  const deliver = destination.type === 'https' ? await httpsOf(destination, parts) : await syslogOf(destination, parts)
  return {
    // Of its own, so that none can stand for another destination of the journal.
    name: `siem-${destination.name}`,
    deliver,
    // One event, made of a row that cannot be read, stands for all of them.
    damaged: (sealed, signal) => deliver(sealed, [new Uint8Array(0)], signal),
    // Connections end with what they carry.
    close: async () => {},
  }
}

async function httpsOf({ url, format, timeout, authorization }: HttpsDestination, parts: SiemParts) {
  const { secrets, fetch, clock, writer, version } = parts
  const proof = authorization === undefined ? undefined : () => secrets.read(authorization)
  // A secret that is not there stops the start, not the first delivery.
  await proof?.()
  return createHttps({
    url,
    format,
    timeoutMs: timeout,
    ...(proof !== undefined && { authorization: proof }),
    fetch,
    clock,
    writer,
    version,
  })
}

async function syslogOf({ address, tls, timeout, ca, cert, key }: SyslogDestination, parts: SiemParts) {
  const { secrets, clock, writer, version } = parts
  const own = cert === undefined || key === undefined ? undefined : { cert, key: await secrets.read(key) }
  const at = address.lastIndexOf(':')
  return createSyslog({
    host: address.slice(0, at),
    port: Number(address.slice(at + 1)),
    tls: tls && { ...(ca !== undefined && { ca }), ...(own !== undefined && { own }) },
    timeoutMs: timeout,
    clock,
    writer,
    version,
  })
}
