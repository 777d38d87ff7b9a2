/**
 * Where two readers of one statement disagree: our own analysis, and the warehouse's dry run. Neither alone decides:
 * the dry run is blind to scripts and dynamic SQL, and we may have misread a text. Disagreement is a finding that denies.
 */
import {
  typeText,
  type Estimate,
  type Finding,
  type OutputColumn,
  type SqlField,
  type SqlStatement,
  type SqlType,
} from './exchange.ts'

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
  // Without their names: who may not read them need not learn of them. The operational log has them.
  if (foreign(statement).length > 0) disagree('a table that the statement does not name')
  // DML and DDL answer with no columns, and a `*` over a table function has those that the dry run tells.
  const told = statement.kind === 'SELECT' || estimate.output.length > 0
  if (told && statement.output.length > 0 && estimate.output.length !== statement.output.length) {
    disagree('the number of columns')
  } else {
    const odd = estimate.output.findIndex((theirs, i) => !isSame(statement.output[i] ?? theirs, theirs))
    const [ours, theirs] = [statement.output[odd], estimate.output[odd]]
    if (ours !== undefined && theirs !== undefined) disagree(`column ${odd + 1}, ${words(ours)} or ${words(theirs)}`)
  }
  return findings
}

/**
 * Our columns under the names and types of the dry run, position by position, where it does not contradict ours. A
 * position that it does contradict stays as it is, for `disagreements` to tell.
 */
export function settled(ours: readonly OutputColumn[], { output }: Estimate): readonly OutputColumn[] {
  if (ours.length !== output.length) return ours
  return ours.map((column, i) => {
    const theirs = output[i]
    if (theirs === undefined || !isSameName(ours, i, theirs.name) || !fits(column.type, theirs.type)) return column
    return { ...column, name: theirs.name, type: theirs.type }
  })
}

function isSame(ours: SqlField, theirs: SqlField): boolean {
  return ours.name === theirs.name && typeText(ours.type) === typeText(theirs.type)
}

/** As the warehouse names columns that have no name. */
const UNNAMED = /^f\d+_$/

/** Letter case is the warehouse's, and so are the number of a column without a name, and the number behind a name that came before: `id`, `id_1`. */
function isSameName(ours: readonly OutputColumn[], at: number, theirs: string): boolean {
  const name = ours[at]?.name.toLowerCase() ?? ''
  if (theirs.toLowerCase() === name || (UNNAMED.test(name) && UNNAMED.test(theirs))) return true
  const isRepeated = ours.slice(0, at).some((column) => column.name.toLowerCase() === name)
  return isRepeated && theirs.toLowerCase().startsWith(`${name}_`) && /^\d+$/.test(theirs.slice(name.length + 1))
}

/** Whether a type may be ours: equal, or unknown to us, in whole or in part. Anonymous fields have names in an answer. */
function fits(ours: SqlType, theirs: SqlType): boolean {
  if (ours.kind === 'STRUCT' && ours.fields.length === 0) return true
  if (ours.kind === 'ARRAY' && theirs.kind === 'ARRAY') return fits(ours.of, theirs.of)
  if (ours.kind !== 'STRUCT' || theirs.kind !== 'STRUCT') return typeText(ours) === typeText(theirs)
  return (
    ours.fields.length === theirs.fields.length &&
    ours.fields.every(({ name, type }, i) => {
      const field = theirs.fields[i]
      return field !== undefined && isField(name, field.name) && fits(type, field.type)
    })
  )
}

function isField(ours: string, theirs: string): boolean {
  return ours === '' ? theirs === '' || /^_field_\d+$/.test(theirs) : ours.toLowerCase() === theirs.toLowerCase()
}

function words({ name, type }: SqlField): string {
  return `\`${name}\` ${typeText(type)}`
}

/** Tables that the dry run names and we do not. */
export function foreign({ uses, estimate }: SqlStatement): readonly string[] {
  return (estimate?.tables ?? []).filter((table) => !uses.some(({ resource }) => covers(resource, table)))
}

/** A wildcard table `shop.events_*` covers its shards; anything else covers itself. */
function covers(resource: string, table: string): boolean {
  return resource.endsWith('*') ? table.startsWith(resource.slice(0, -1)) : resource === table
}
