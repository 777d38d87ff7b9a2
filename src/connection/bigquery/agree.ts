/**
 * What a finished job says of itself, against what was decided about. The dry run was of the text as it was asked; what
 * ran carries masks, and a table may have changed in between. So this is asked of the job, before its first row leaves.
 */
import { typeText, type SqlField, type SqlStatement } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { JobResource } from './client.ts'
import { resourceName } from './metadata.ts'

/** Throws `upstream-differs`, naming what differs; a table's name only where the statement named it. */
export function mustAgree(
  job: JobResource,
  schema: readonly SqlField[],
  ran: SqlStatement,
  decided: SqlStatement,
  project: string,
): void {
  const query = job.statistics?.query
  // An answer from BigQuery's cache has no list of tables, and may have no kind: both were those of the job that filled it.
  const kind = query?.statementType ?? (query?.cacheHit === true ? ran.kind : undefined)
  if (kind !== ran.kind) throw differs('another kind of statement ran')
  for (const { projectId, datasetId, tableId } of query?.referencedTables ?? []) {
    const path = { project: projectId ?? project, dataset: datasetId ?? '', table: tableId ?? '' }
    const resource = resourceName(path, project)
    if (!decided.uses.some((use) => covers(use.resource, resource))) throw differs('it read another table')
  }
  if (ran.kind !== 'SELECT' || ran.output.length === 0) return
  if (schema.length !== ran.output.length) throw differs('its answer has another number of columns')
  for (const [i, { name, type }] of ran.output.entries()) {
    const theirs = schema[i]
    if (theirs === undefined || theirs.name !== name || typeText(theirs.type) !== typeText(type)) {
      throw differs('its answer has another column', `column ${i + 1} (\`${name}\`)`)
    }
  }
}

/** A wildcard table `shop.events_*` covers its shards; anything else covers itself. */
function covers(resource: string, table: string): boolean {
  return resource.endsWith('*') ? table.startsWith(resource.slice(0, -1)) : resource === table
}

function differs(what: string, where?: string): Failure {
  return new Failure('upstream-differs', `what ran is not what was decided: ${what}`, {
    fix: 'send it again in case a table has just changed; nothing of the answer was given',
    ...(where !== undefined && { where }),
  })
}
