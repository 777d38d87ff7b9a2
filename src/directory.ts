/** What a principal can reach: connections, and their tables with types and masks as this principal would see them. */
import { Failure } from './failure.ts'
import { fulfil } from './fulfil.ts'
import type { Door, Knock } from './door.ts'
import type { Inspected, OutputColumn, Principal, TablePath } from './exchange.ts'
import type { Connection, InForce, Limits } from './gateway.ts'
import type { Runtime } from './runtime.ts'
import type { Statements } from './statement/contract.ts'

/** A table that may be read, with the columns that reading it would give. */
export interface Reachable {
  readonly resource: string
  readonly kind: string
  /** `hold`: a person must approve first. */
  readonly effect: 'permit' | 'hold'
  readonly columns: readonly OutputColumn[]
}

export interface DirectoryParts {
  readonly runtime: Runtime
  readonly door: Door
  readonly statements: Statements
  readonly connections: ReadonlyMap<string, Connection>
  readonly inForce: () => InForce
  readonly limits: Limits
}

/** Most tables that one listing looks at. */
const TABLES_MOST = 1000

export class Directory {
  readonly #parts: DirectoryParts

  constructor(parts: DirectoryParts) {
    this.#parts = parts
  }

  /** The connections that some policy opens to this principal. */
  connections(knock: Knock): Promise<readonly { readonly name: string; readonly type: string }[]> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents'], signal))
      const { policies } = this.#parts.inForce()
      return [...this.#parts.connections]
        .filter(([name]) => policies.reaches(principal, name))
        .map(([name, { connector }]) => ({ name, type: connector.type }))
    })
  }

  /** The tables of a connection that this principal may read. What it may not is not listed at all. */
  resources(knock: Knock, name: string): Promise<readonly Reachable[]> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents'], signal))
      seen.connection = name
      const connection = this.#parts.connections.get(name)
      if (connection === undefined || !this.#parts.inForce().policies.reaches(principal, name)) {
        throw new Failure('connection-unknown', `no connection \`${name}\``, {
          fix: 'GET /v1/connections lists yours',
        })
      }
      const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#parts.limits.defaultTimeoutMs)])
      const paths = await connection.schemas.list(limited)
      const found: Reachable[] = []
      for (const path of paths.slice(0, TABLES_MOST)) {
        const reachable = await this.#reachable(principal, name, connection, path, knock, limited)
        if (reachable !== undefined) found.push(reachable)
      }
      return found
    })
  }

  /** Reading a table whole, taken through the same analysis, decision and obligations as any query. */
  async #reachable(
    principal: Principal,
    name: string,
    { connector, schemas, maxBytesBilled }: Connection,
    path: TablePath,
    knock: Knock,
    signal: AbortSignal,
  ): Promise<Reachable | undefined> {
    const { statements, inForce, limits } = this.#parts
    const force = inForce()
    const { defaults } = connector
    const parsed = statements.parse(`SELECT * FROM \`${path.project}.${path.dataset}.${path.table}\``, defaults)
    if (parsed.refused) return undefined
    const asked = { principal, connection: name }
    if (force.policies.denyByName({ ...asked, kind: parsed.kind, uses: parsed.uses }) !== undefined) return undefined
    const bounds = { maxRows: limits.defaultMaxRows, timeoutMs: limits.defaultTimeoutMs, maxBytesBilled }
    const statement = await statements.bind(parsed, defaults, schemas, [], bounds, signal)
    if ('refused' in statement) return undefined
    const plugins = force.plugins(principal, name)
    const stated = { ...asked, id: knock.id, receivedAt: knock.receivedAt, surface: 'preflight' as const, statement }
    const findings = (
      await Promise.all(plugins.map(async ({ hooks }) => (await hooks.inspect?.(stated, signal)) ?? []))
    ).flat()
    const inspected: Inspected = { ...stated, findings }
    const decision = force.policies.decide(inspected)
    if (decision.effect === 'deny') return undefined
    const narrowed = await fulfil(inspected, decision.obligations, plugins, statements, defaults)
    if ('unfulfilled' in narrowed) return undefined
    const table = statement.tables.find((t) => t.path.dataset === path.dataset && t.path.table === path.table)
    return {
      resource: table?.resource ?? `${path.dataset}.${path.table}`,
      kind: table?.kind ?? 'TABLE',
      effect: decision.effect,
      columns: narrowed.output,
    }
  }
}
