/**
 * Where two readers of one statement disagree: our own analysis, and the warehouse's dry run. Neither alone decides:
 * the dry run is blind to scripts and dynamic SQL, and we may have misread a text. Disagreement is a finding that denies.
 */
import type { Finding, SqlStatement } from './exchange.ts'

/** The kinds of finding that deny before any policy is asked. */
export const BARRING = ['gateway/inspection-failed', 'gateway/readers-disagree'] as const

export type Barring = (typeof BARRING)[number]

/** What the dry run saw and we did not, or saw otherwise. Empty where both agree. */
export function disagreements(statement: SqlStatement): readonly Finding[] {
  const { estimate } = statement
  if (estimate === undefined) return []
  const findings: Finding[] = []
  const disagree = (where: string): void => void findings.push({ kind: 'gateway/readers-disagree', where })
  if (estimate.kind !== statement.kind) disagree(`kind ${statement.kind} or ${estimate.kind}`)
  const known = statement.uses.map((use) => use.resource)
  for (const table of estimate.tables) {
    if (!known.some((resource) => covers(resource, table))) disagree(table)
  }
  // DML and DDL answer with no columns, and a `*` over a table function has those that the dry run tells.
  const told = statement.kind === 'SELECT' || estimate.output.length > 0
  if (told && statement.output.length > 0 && estimate.output.length !== statement.output.length) {
    disagree('the number of columns')
  }
  return findings
}

/** A wildcard table `shop.events_*` covers its shards; anything else covers itself. */
function covers(resource: string, table: string): boolean {
  return resource.endsWith('*') ? table.startsWith(resource.slice(0, -1)) : resource === table
}
