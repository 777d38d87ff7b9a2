/** Station 2, state: the text parsed, judged by its names, resolved, bound and estimated. */
import type { Denied, SqlStatement, Stated } from '../exchange.ts'
import { Failure } from '../failure.ts'
import type { Asked, Connection, InForce, Parts, SqlAsked, SqlConnection, Unstated } from '../journey.ts'
import { seenBy } from '../likely.ts'
import { settled } from '../second-opinion.ts'
import type { Parsed, Refusal } from '../statement/contract.ts'
import { stateHttp } from './state-http.ts'

/** The exchange with its statement, in whichever language; or the denial that names alone bring about. */
export async function state(
  unstated: Unstated,
  asked: Asked,
  connection: Connection,
  force: InForce,
  parts: Pick<Parts, 'statements' | 'history'>,
  signal: AbortSignal,
): Promise<Stated | Denied> {
  if (asked.language === 'googlesql' && connection.language === 'googlesql') {
    return stateSql(unstated, asked, connection, force, parts, signal)
  }
  if (asked.language === 'http' && connection.language === 'http') return stateHttp(unstated, asked, connection, force)
  throw new Failure('internal', 'the connection speaks another language than it is asked in')
}

/**
 * The exchange with its statement and what its principal did before, or the denial that its names alone bring about:
 * names are judged before the catalog or the warehouse is asked, so that neither tells a stranger what exists. Throws `statement-refused`, `resource-unknown`,
 * and what the warehouse throws.
 */
async function stateSql(
  unstated: Unstated,
  asked: SqlAsked,
  connection: SqlConnection,
  force: InForce,
  { statements, history }: Pick<Parts, 'statements' | 'history'>,
  signal: AbortSignal,
): Promise<Stated | Denied> {
  const { connector } = connection
  const { policies } = force
  const parsed = understood(statements.parse(asked.sql, connector.defaults))
  const decision = policies.denyByName({ ...unstated, kind: parsed.kind, uses: parsed.uses })
  if (decision !== undefined) {
    return { ...unstated, statement: namedOnly(parsed, asked), findings: [], decision, policy: policies.digest }
  }
  const { parameters, bounds } = asked
  const schemas = seenBy(unstated, connection, force)
  const statement = understood(await statements.bind(parsed, connector.defaults, schemas, parameters, bounds, signal))
  const [estimate, past, advice] = await Promise.all([
    connector.estimate(statement, unstated.principal, signal),
    history?.past(unstated, statement, signal),
    aside(() => statements.advise?.(parsed) ?? []),
  ])
  return {
    ...unstated,
    statement: {
      ...statement,
      estimate,
      output: settled(statement.output, estimate),
      features: advice.length === 0 ? statement.features : [...statement.features, ...advice],
    },
    ...(past !== undefined && { past }),
  }
}

/** Runs `work` once what was asked before it is on its way: the warehouse takes far longer to answer. */
async function aside<T>(work: () => T): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, 0))
  return work()
}

/** The parsed or bound text; a refusal is thrown with its place. */
function understood(result: Parsed | Refusal): Parsed
function understood(result: SqlStatement | Refusal): SqlStatement
function understood(result: Parsed | SqlStatement | Refusal): Parsed | SqlStatement {
  if (!('refused' in result) || !result.refused) return result
  const { code, message, line, column, fix } = result
  const unknown = code === 'unknown-table' || code === 'unknown-column'
  throw new Failure(unknown ? 'resource-unknown' : 'statement-refused', message, {
    where: `line ${line}, column ${column} (${code})`,
    ...(fix !== undefined && { fix }),
  })
}

/** A statement of which only names are known: enough to record why it was denied. */
function namedOnly({ kind, text, uses }: Parsed, { parameters, bounds }: SqlAsked): SqlStatement {
  return {
    language: 'googlesql',
    kind,
    text,
    uses,
    parameters,
    bounds,
    tables: [],
    references: [],
    views: [],
    columnsRead: [],
    output: [],
    functions: [],
    features: [],
    masks: [],
  }
}
