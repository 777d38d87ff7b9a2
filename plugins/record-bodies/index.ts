/**
 * Says what of the bodies of an exchange is recorded, and takes the values out of it that policy calls secret. The gateway
 * records; what goes to the requester is not changed by any of it.
 */
import * as z from 'zod'
import type { Answers, Need, Obligation, Plugin, Recording, Statement, Unfulfilled } from '../../src/plugin.ts'
import { neverMatches } from '../../src/statement/json/schema.ts'
import { slipIn } from './columns.ts'
import { secretsOf } from './secrets.ts'
import { asked, terms } from './terms.ts'

export const recordBodies: Plugin<Record<string, never>> = {
  name: 'record-bodies',
  options: z.strictObject({}).default({}),
  create: () => ({ fulfil: { 'record-bodies': { terms, needs, misfits, before, record } } }),
}

function record({ terms: all }: Obligation): Recording {
  const what = asked(all)
  const secrets = secretsOf(what)
  return {
    ...(what.request !== undefined && { request: what.request }),
    ...(what.answer !== undefined && { answer: what.answer }),
    ...(secrets !== undefined && { secrets }),
    seal: what.seal,
  }
}

/** A secret that is written wrong would be recorded in plain. */
function before(statement: Statement, { terms: all }: Obligation): Statement | Unfulfilled {
  const slip = statement.language === 'googlesql' ? slipIn(asked(all).columns, statement.tables) : undefined
  if (slip === undefined) return statement
  return {
    unfulfilled: {
      code: 'secret-unknown',
      because:
        slip.field === undefined
          ? `policy calls \`${slip.secret}\` secret, and \`${slip.table}\` has no such column`
          : `policy calls \`${slip.secret}\` secret, and in \`${slip.table}\` that is the field \`${slip.field}\``,
      fix:
        slip.field === undefined
          ? 'ask the policy owner to name the column as it is'
          : `ask the policy owner to name it whole: \`${slip.table}.${slip.field}\``,
    },
  }
}

/** JSON paths for which no answer has a place; where requests are recorded, too, they may be meant for those. */
function misfits(term: unknown, { schemas, resolve }: Answers): readonly string[] {
  const { request, answer, secrets = [] } = terms.parse(term)
  if (answer === undefined || request !== undefined || schemas.length === 0) return []
  const names = [...new Set(secrets)].sort().filter((it) => it.startsWith('$'))
  const { paths } = asked([term])
  const never = schemas.map((schema) => new Set(neverMatches(paths, schema, resolve)))
  return names
    .filter((_, i) => never.every((positions) => positions.has(i)))
    .map(
      (path) =>
        `a path that some answer of the API has a place for; \`${path}\` has none in any that this rule is about`,
    )
}

function needs(term: unknown): readonly Need[] {
  const { secrets = [], seal = false } = terms.parse(term)
  return [...(secrets.length > 0 ? (['digest-key'] as const) : []), ...(seal ? (['auditor-keys'] as const) : [])]
}
