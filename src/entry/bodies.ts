/** The log of bodies of a configuration: its keys read, its folder opened. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openPayloadLog } from '../audit/bodies/log.node.ts'
import { sealerOf } from '../audit/bodies/seal.ts'
import type { PayloadLog } from '../audit/contract.ts'
import type { AuditClickHouse } from '../audit/log.node.ts'
import { bodyRetentionOf } from '../audit/retention.ts'
import type { Config } from '../config.ts'
import type { Runtime } from '../runtime.ts'
import { digesterOf } from '../statement/json/digest.ts'

export interface BodiesOptions {
  readonly audit: Config['audit']
  /** The folder that relative paths of the configuration start from. */
  readonly base: string
  /** The data folder. */
  readonly data: string
  readonly writer: string
  readonly runtime: Runtime
  /** Absent: bodies stay in the journal. */
  readonly clickhouse?: AuditClickHouse
}

/** Rejects with a plain error, in words for the operator, where a key cannot be read or is none. */
export async function openBodies(options: BodiesOptions): Promise<PayloadLog> {
  const { audit, base, data, writer, runtime, clickhouse } = options
  const { digestKey, sealTo, maxBytes } = audit.bodies
  const digest = digestKey === undefined ? undefined : await digestOf(await runtime.secrets.read(digestKey))
  const seal = sealTo === undefined ? undefined : await sealOf(sealTo.map((path) => resolve(base, path)))
  return openPayloadLog({
    dir: join(data, 'bodies'),
    writer,
    clock: runtime.clock,
    newId: () => runtime.newId(),
    hasher: () => runtime.hasher(),
    log: runtime.log,
    limits: { maxBytes },
    retainDays: bodyRetentionOf(audit),
    ...(clickhouse && { clickhouse }),
    ...(audit.clickhouse && { database: audit.clickhouse.database }),
    ...(digest && { digest }),
    ...(seal && { seal }),
  })
}

function digestOf(key: string): ReturnType<typeof digesterOf> {
  return digesterOf(key).catch((cause: Error) => {
    throw new Error(`\`audit.bodies.digestKey\`: ${cause.message}`, { cause })
  })
}

async function sealOf(paths: readonly string[]): ReturnType<typeof sealerOf> {
  const keys = await Promise.all(paths.map(readKey))
  return sealerOf(keys).catch((cause: Error) => {
    throw new Error(`\`audit.bodies.sealTo\`: ${cause.message}`, { cause })
  })
}

async function readKey(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new Error(`\`audit.bodies.sealTo\`: ${path} is no file with a JWK`, { cause })
  }
}
