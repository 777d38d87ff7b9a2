/** What a principal can reach: connections, and their tables with types and masks as this principal would see them. */
import { looked } from './audit/entries.ts'
import { Failure } from './failure.ts'
import type { Verify } from './fulfil.ts'
import type { Knock } from './door.ts'
import type { Action, HttpStatement, Masked, OutputColumn, Principal, TablePath } from './exchange.ts'
import type { HttpConnection, Parts, SqlConnection, Unstated } from './journey.ts'
import type { OperationParameter } from './statement/http/operations.ts'
import { unknownConnection } from './unknown.ts'
import { decide } from './stations/decide.ts'
import { inspect } from './stations/inspect.ts'

/** A table that may be read, with the columns that reading it would give. */
export interface ReachableTable {
  readonly resource: string
  readonly kind: string
  /** `hold`: a person must approve first. */
  readonly effect: 'permit' | 'hold'
  readonly columns: readonly OutputColumn[]
}

/** An operation that may be called. */
export interface ReachableOperation {
  readonly resource: string
  readonly kind: 'OPERATION'
  readonly method: string
  readonly template: string
  readonly action: Action
  readonly summary?: string
  readonly parameters: readonly OperationParameter[]
  /** `depends`: on what the request says. */
  readonly effect: 'permit' | 'hold' | 'depends'
  /** What of its answer would be masked, as far as that is known without asking. */
  readonly masks: readonly Masked[]
}

export type Reachable = ReachableTable | ReachableOperation

export type DirectoryParts = Pick<
  Parts,
  'runtime' | 'door' | 'audit' | 'payloads' | 'statements' | 'connections' | 'inForce' | 'limits'
>

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
      await this.#look(knock, principal, 'the connections')
      return [...this.#parts.connections]
        .filter(([name]) => policies.reaches(principal, name))
        .map(([name, { connector }]) => ({ name, type: connector.type }))
    })
  }

  /** The tables of a connection that this principal may read, or the operations that it may call. What it may not is not listed at all. */
  resources(knock: Knock, name: string): Promise<readonly Reachable[]> {
    return this.#parts.door.enter(knock, async (seen, signal) => {
      const principal = (seen.principal = await this.#parts.door.identify(knock, ['agents'], signal))
      seen.connection = name
      const connection = this.#parts.connections.get(name)
      if (connection === undefined || !this.#parts.inForce().policies.reaches(principal, name)) {
        throw unknownConnection(name)
      }
      const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#parts.limits.defaultTimeoutMs)])
      const { id, receivedAt } = knock
      const unstated: Unstated = { id, receivedAt, surface: 'preflight', principal, connection: name }
      await this.#look(knock, principal, 'the resources of a connection', name)
      if (connection.language === 'http') return this.#callable(unstated, connection, limited)
      const paths = await connection.schemas.list(limited)
      const found: Reachable[] = []
      for (const path of paths.slice(0, TABLES_MOST)) {
        const reachable = await this.#reachable(unstated, connection, path, limited)
        if (reachable !== undefined) found.push(reachable)
      }
      return found
    })
  }

  /** Recorded before it is told. */
  async #look(knock: Knock, principal: Principal, what: string, connection?: string): Promise<void> {
    const { audit, runtime } = this.#parts
    await audit.append(looked(knock, runtime.clock.now(), principal, what, connection))
  }

  /** Reading a table whole, through the stations that any query walks, but for the dry run and the record. */
  async #reachable(
    unstated: Unstated,
    connection: SqlConnection,
    path: TablePath,
    signal: AbortSignal,
  ): Promise<ReachableTable | undefined> {
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
    const verify: Verify = (original, after) => statements.verify(original, after, defaults)
    const { exchange, narrowed } = await decide(inspected, force.policies, plugins, verify, this.#parts.payloads)
    const { effect } = exchange.decision
    if (effect === 'deny' || narrowed?.language !== 'googlesql') return undefined
    const table = statement.tables.find((t) => t.path.dataset === path.dataset && t.path.table === path.table)
    return {
      resource: table?.resource ?? `${path.dataset}.${path.table}`,
      kind: table?.kind ?? 'TABLE',
      effect,
      columns: narrowed.output,
    }
  }

  async #callable(
    unstated: Unstated,
    { operations }: HttpConnection,
    signal: AbortSignal,
  ): Promise<readonly ReachableOperation[]> {
    const { inForce, runtime } = this.#parts
    const force = inForce()
    const plugins = force.plugins(unstated.principal, unstated.connection)
    const found: ReachableOperation[] = []
    for (const { resource, method, template, action, summary, parameters } of operations.all) {
      const statement: HttpStatement = {
        language: 'http',
        kind: method,
        text: `${method} ${template}`,
        uses: [{ action, resource }],
        operation: resource,
        template,
        target: template,
        path: {},
        query: [],
        headers: [],
        bounds: { maxRows: 0, timeoutMs: 0, maxBytesBilled: 0 },
        masks: [],
      }
      if (force.policies.denyByName({ ...unstated, kind: method, uses: statement.uses }) !== undefined) continue
      const inspected = await inspect({ ...unstated, statement }, plugins, runtime.log, signal)
      const { exchange, narrowed } = await decide(inspected, force.policies, plugins, noSql, this.#parts.payloads)
      const { effect } = exchange.decision
      found.push({
        resource,
        kind: 'OPERATION',
        method,
        template,
        action,
        ...(summary !== undefined && { summary }),
        parameters,
        // Its name is not denied, so that a denial is one of a condition that this request without anything in it does not meet.
        effect: effect === 'deny' ? 'depends' : effect,
        masks: narrowed?.masks ?? [],
      })
    }
    return found
  }
}

function noSql(): never {
  throw new Failure('internal', 'SQL on a connection that speaks none')
}
