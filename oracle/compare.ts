/** Two lists of tables, ours and ZetaSQL's. */
import type { Defaults, Parsed } from '../src/statement/contract.ts'

/** Where names without a dataset or project stand. No seed or corpus uses these. */
export const DEFAULTS: Defaults = { project: 'own', dataset: 'd' }

export interface Difference {
  /** What ZetaSQL names and we do not: each is a hole. */
  readonly missing: readonly string[]
  /** Tables read or written that we alone name: each costs somebody a refusal, no more. */
  readonly more: readonly string[]
}

export function difference(parsed: Parsed, theirs: readonly string[]): Difference {
  const ours = new Set(parsed.uses.map(({ resource }) => resource.toLowerCase()))
  const named = new Set(theirs.map(resourceOf))
  const tables = parsed.uses.filter(({ action }) => action === 'read' || action === 'write')
  return {
    missing: [...named].filter((table) => !ours.has(table)),
    more: [...new Set(tables.map(({ resource }) => resource.toLowerCase()))].filter((table) => !named.has(table)),
  }
}

/** A dotted name as our resources are written. */
function resourceOf(dotted: string): string {
  // Behind a part with a dash, the extractor leaves the backticks of the next part in its name: p-1.`d`.t.
  const name = dotted.replaceAll('`', '')
  const parts = name.split('.')
  if (parts.length === 1) return `d.${name}`
  const isOwn = parts[0] === 'own' && (parts.length === 3 || parts[2] === 'information_schema')
  return isOwn ? parts.slice(1).join('.') : name
}
