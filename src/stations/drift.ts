/** What was approved, and whether it is still what would run. An approval is for one exchange as the approvers saw it. */
import type { Decided, Held, SqlStatement, Statement } from '../exchange.ts'

/** Why what was approved is not what would run now; `undefined` where it is. */
export function driftOf(
  { statement: then, ...held }: Held,
  { statement: now, ...exchange }: Decided,
): string | undefined {
  if (exchange.policy !== held.policy) return 'the policies have changed since it was asked'
  const lost = held.principal.groups.find((group) => !exchange.principal.groups.includes(group))
  if (lost !== undefined) return `the requester is no longer in \`${lost}\``
  if (now.text !== then.text || now.language !== then.language) return 'the request reads differently now'
  if (now.language !== 'googlesql' || then.language !== 'googlesql') return undefined
  const changed = changedTable(then, now)
  if (changed !== undefined) return `\`${changed}\` has changed since it was asked`
  const [ceiling, bytes] = [ceilingOf(then), now.estimate?.bytes]
  if (ceiling !== undefined && !(bytes !== undefined && bytes <= ceiling)) {
    return `it would read ${bytes ?? 'nobody knows how many'} bytes; at most ${ceiling} were approved`
  }
  return undefined
}

/** Tables grow between the request and the run; so much more than was estimated is still what was approved. */
const GROWTH = 1.1
/** BigQuery bills no less per table. */
const LEAST_PER_TABLE = 10 * 1024 * 1024

/** The most bytes that approvers of a statement consent to, and that BigQuery is told to bill; `undefined` where nobody estimated. */
export function ceilingOf(statement: Statement): number | undefined {
  if (statement.language !== 'googlesql' || statement.estimate === undefined) return undefined
  const { estimate, tables } = statement
  return Math.max(Math.ceil(estimate.bytes * GROWTH), LEAST_PER_TABLE * Math.max(1, tables.length))
}

/** The statement with no higher bound than was approved. */
export function withinCeiling<S extends Statement>(statement: S, approved: Statement): S {
  const ceiling = ceilingOf(approved)
  if (ceiling === undefined) return statement
  const { bounds } = statement
  return { ...statement, bounds: { ...bounds, maxBytesBilled: Math.min(bounds.maxBytesBilled, ceiling) } }
}

/** A table whose schema or definition is another than it was. */
function changedTable(then: SqlStatement, now: SqlStatement): string | undefined {
  const versions = new Map(then.tables.map(({ resource, version }) => [resource, version]))
  const changed = now.tables.find(({ resource, version }) => versions.get(resource) !== version)
  if (changed !== undefined) return changed.resource
  const left = new Set(now.tables.map(({ resource }) => resource))
  return then.tables.find(({ resource }) => !left.has(resource))?.resource
}
