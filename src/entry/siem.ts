/** The SIEMs of a configuration: their certificates and secrets read, their names set. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Follower } from '../audit/log.node.ts'
import { createSiem } from '../audit/siem/index.node.ts'
import type { Config } from '../config.ts'
import type { Runtime } from '../runtime.ts'

export interface SiemOptions {
  readonly siem: Config['audit']['siem']
  /** The folder that relative paths of the configuration start from. */
  readonly base: string
  readonly runtime: Pick<Runtime, 'secrets' | 'fetch' | 'clock'>
  /** This gateway's name in the records. */
  readonly writer: string
  /** Of the gateway. */
  readonly version: string
}

/** Followers of the journal. Rejects with words for the operator where a certificate or secret cannot be read. */
export async function openSiem({ siem, base, runtime, writer, version }: SiemOptions): Promise<readonly Follower[]> {
  const { secrets, fetch, clock } = runtime
  const destinations = await Promise.all(
    siem.map(async (destination) => {
      if (destination.type === 'https') return destination
      const { ca, cert, ...rest } = destination
      return {
        ...rest,
        ...(ca !== undefined && { ca: await certificatesIn(resolve(base, ca)) }),
        ...(cert !== undefined && { cert: await certificatesIn(resolve(base, cert)) }),
      }
    }),
  )
  return createSiem(destinations, { secrets, fetch, clock, writer, version })
}

async function certificatesIn(path: string): Promise<string> {
  const pem = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new Error(`\`audit.siem\`: the certificates in ${path} cannot be read`, { cause })
  })
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  throw new Error(`\`audit.siem\`: ${path} holds no certificate in PEM`)
}
