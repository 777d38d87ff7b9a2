/** A recorded read over tables as they were: `FOR SYSTEM_TIME AS OF` behind each of them. Pure. */
import type { Defaults } from '../../statement/contract.ts'
import { analyse } from '../../statement/parse.ts'

/** BigQuery's time travel. */
const DAYS = 7
const DAY_MS = 86_400_000

/** The text, or why tables cannot be read as they were, in words. */
export type AsOf = { readonly sql: string; readonly instead?: never } | { readonly instead: string }

/**
 * `sql` at the time `at`, milliseconds since 1970 UTC; `now` is the time in which it runs. `vias`: the views through which
 * the record says that tables were read; a view cannot be read as of a time.
 */
export function asOf(sql: string, at: number, now: number, defaults: Defaults, vias: readonly string[]): AsOf {
  const view = vias.find((via) => via !== '')
  if (view !== undefined) return { instead: `\`${view}\` is a view` }
  if (now - at >= DAYS * DAY_MS) return { instead: `it was asked more than ${DAYS} days ago` }
  const analysed = analyse(sql, defaults)
  if (analysed.refused) return { instead: 'the recorded text is not understood any more' }
  if (analysed.kind !== 'SELECT') return { instead: `it is no SELECT but a ${analysed.kind}` }
  const { names, text } = analysed
  const places: number[] = []
  let found = 0
  for (const [item, meaning] of names.meanings) {
    if (meaning.is !== 'table') continue
    found += 1
    const { resource, fixed } = meaning.table
    if (/\*$|(?:^|\.)INFORMATION_SCHEMA(?:\.|$)/i.test(resource)) {
      return { instead: `\`${resource}\` is not one table with a past` }
    }
    const isTimed = item.fixed === 'time-travel'
    if (isTimed) continue
    if (fixed !== undefined && fixed !== 'tablesample')
      return { instead: `\`${resource}\` stands where no time may be said` }
    places.push(Math.max(item.path.end, item.alias?.end ?? 0, item.offset?.end ?? 0))
  }
  // Tables that are named elsewhere (a table function's argument) would be read as they are now.
  if (found !== names.tables.length) return { instead: 'a table stands where no time may be said' }
  const clause = ` FOR SYSTEM_TIME AS OF TIMESTAMP '${new Date(at).toISOString()}'`
  const out = places
    .toSorted((a, b) => b - a)
    .reduce((so, place) => `${so.slice(0, place)}${clause}${so.slice(place)}`, text)
  return { sql: out }
}
