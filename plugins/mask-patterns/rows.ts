/** The same in rows of SQL: in the columns that a policy names, or in all of them. */
import type { Batch, Masked, Obligation, OutputColumn } from '../../src/plugin.ts'
import { Patterns, type Hashers } from './patterns.ts'
import { asked } from './terms.ts'

/** The batch with the texts of its columns masked. Numbers, days and moments are texts in rows, too. */
export function maskRows(
  { rowCount, bytes }: Batch,
  { terms }: Obligation,
  columns: readonly OutputColumn[],
  hashers: Hashers,
): Batch {
  const known = new Map<number, Patterns>()
  const patternsOf = (at: number): Patterns => {
    const patterns = known.get(at) ?? new Patterns(asked(terms, 'response', columns[at]).masks, hashers)
    known.set(at, patterns)
    return patterns
  }
  const lines = new TextDecoder().decode(bytes).split('\n')
  const masked = lines.map((line) => {
    if (line === '') return line
    const row = JSON.parse(line) as readonly unknown[]
    return JSON.stringify(row.map((value, at) => within(value, patternsOf(at))))
  })
  return {
    rowCount,
    bytes: new TextEncoder().encode(masked.join('\n')),
    masked: [...known].flatMap(([at, patterns]) => countsOf(patterns, columns[at])),
  }
}

/** Every text in a value: of an array, of the fields of a STRUCT. */
function within(value: unknown, patterns: Patterns): unknown {
  if (typeof value === 'string') return patterns.text(value) ?? value
  if (Array.isArray(value)) return value.map((item) => within(item, patterns))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, within(item, patterns)]))
}

function countsOf(patterns: Patterns, column: OutputColumn | undefined): readonly Masked[] {
  const resource = column === undefined || column.sources.length === 0 ? 'answer' : column.sources.join('+')
  return patterns.counts().map((it) => ({ resource, ...it }))
}
