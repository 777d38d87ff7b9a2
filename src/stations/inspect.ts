/** Station 3, inspect: every plugin looks, and what fails to look leaves a finding that denies. */
import type { Finding, Inspected, Stated } from '../exchange.ts'
import type { ActivePlugin } from '../fulfil.ts'
import { orAbort, type Log } from '../runtime.ts'
import { disagreements, foreign } from '../second-opinion.ts'

/** A plugin that throws, or has not answered when `signal` aborts, is no consent: silence denies. Never rejects. */
export async function inspect(
  stated: Stated,
  plugins: readonly ActivePlugin[],
  log: Log,
  signal: AbortSignal,
): Promise<Inspected> {
  const found = await Promise.all(
    plugins.map(async ({ name, hooks }): Promise<readonly Finding[]> => {
      if (hooks.inspect === undefined) return []
      try {
        return await orAbort(hooks.inspect(stated, signal), signal)
      } catch (error) {
        log('warn', 'an inspection failed', { plugin: name, exchange: stated.id }, error)
        return [{ kind: 'gateway/inspection-failed', where: name }]
      }
    }),
  )
  const { statement } = stated
  if (statement.language !== 'googlesql') return { ...stated, findings: found.flat() }
  const tables = foreign(statement)
  if (tables.length > 0)
    log('warn', 'the dry run names other tables', { exchange: stated.id, tables: tables.join(' ') })
  return { ...stated, findings: [...disagreements(statement), ...found.flat()] }
}

/** Whether our analysis and the warehouse read the statement differently. */
export function disagreed({ findings }: Inspected): boolean {
  return findings.some((finding) => finding.kind === 'gateway/readers-disagree')
}
