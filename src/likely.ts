/** Names for whoever mistyped one: only of tables that this principal may read. */
import type { InForce, SqlConnection, Unstated } from './journey.ts'
import type { Schemas } from './statement/contract.ts'

/** Tables that are looked at. */
const LOOKED_AT = 2000
/** Longest that a hint may take, in milliseconds. */
const HINT_MS = 2000

/** The schemas, with names that the policies in force let this principal read as far as names alone tell. */
export function seenBy(
  { principal, connection }: Unstated,
  { schemas, connector }: SqlConnection,
  { policies }: InForce,
): Schemas {
  const mayRead = (resource: string): boolean => {
    const uses = [{ action: 'read' as const, resource }]
    return policies.denyByName({ principal, connection, kind: 'SELECT', uses }) === undefined
  }
  return {
    table: (path, signal) => schemas.table(path, signal),
    async like({ project, dataset }, signal) {
      if (project !== connector.defaults.project) return []
      try {
        const all = await schemas.list(AbortSignal.any([signal, AbortSignal.timeout(HINT_MS)]))
        // Its own dataset first: most slips are in the last word.
        const near = [...all.filter((at) => at.dataset === dataset), ...all.filter((at) => at.dataset !== dataset)]
        return near
          .slice(0, LOOKED_AT)
          .map((at) => `${at.dataset}.${at.table}`)
          .filter(mayRead)
      } catch {
        return [] // A hint is all that is lost.
      }
    },
  }
}
