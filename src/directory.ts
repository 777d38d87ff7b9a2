/** What a principal can reach: connections, and their tables with types and masks as this principal would see them. */
import { Failure } from './failure.ts'
import type { Knock } from './door.ts'
import type { OutputColumn, TablePath } from './exchange.ts'
import type { Connection, Parts, Unstated } from './journey.ts'
import { decide } from './stations/decide.ts'
import { inspect } from './stations/inspect.ts'

/** A table that may be read, with the columns that reading it would give. */
export interface Reachable {
  readonly resource: string
  readonly kind: string
  /** `hold`: a person must approve first. */
  readonly effect: 'permit' | 'hold'
  readonly columns: readonly OutputColumn[]
}

export type DirectoryParts = Pick<Parts, 'runtime' | 'door' | 'statements' | 'connections' | 'inForce' | 'limits'>

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
      const { id, receivedAt } = knock
      const unstated: Unstated = { id, receivedAt, surface: 'preflight', principal, connection: name }
      const found: Reachable[] = []
      for (const path of paths.slice(0, TABLES_MOST)) {
        const reachable = await this.#reachable(unstated, connection, path, limited)
        if (reachable !== undefined) found.push(reachable)
      }
      return found
    })
  }

  /** Reading a table whole, through the stations that any query walks, but for the dry run and the record. */
  async #reachable(
    unstated: Unstated,
    connection: Connection,
    path: TablePath,
    signal: AbortSignal,
  ): Promise<Reachable | undefined> {
    const { statements, inForce, limits, runtime } = this.#parts
    const force = inForce()
    const { defaults } = connection.connector
    const sql = `SELECT * FROM \`${path.project}.${path.dataset}.${path.table}\``
    const bounds = {
      maxRows: limits.defaultMaxRows,
      timeoutMs: limits.defaultTimeoutMs,
      maxBytesBilled: connection.maxBytesBilled,
    }
    const parsed = statements.parse(sql, defaults)
    if (parsed.refused) return undefined
    if (force.policies.denyByName({ ...unstated, kind: parsed.kind, uses: parsed.uses }) !== undefined) return undefined
    const schemas = connection.schemas
    const statement = await statements.bind(parsed, defaults, schemas, [], bounds, signal)
    if ('refused' in statement) return undefined
    const plugins = force.plugins(unstated.principal, unstated.connection)
    const inspected = await inspect({ ...unstated, statement }, plugins, runtime.log, signal)
    const { exchange, narrowed } = await decide(inspected, force.policies, plugins, statements, defaults)
    const { effect } = exchange.decision
    if (effect === 'deny' || narrowed === undefined) return undefined
    const table = statement.tables.find((t) => t.path.dataset === path.dataset && t.path.table === path.table)
    return {
      resource: table?.resource ?? `${path.dataset}.${path.table}`,
      kind: table?.kind ?? 'TABLE',
      effect,
      columns: narrowed.output,
    }
  }
}
