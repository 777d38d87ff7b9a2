/**
 * Says what of the bodies of an exchange is recorded, and takes the values out of it that policy calls secret. The gateway
 * records; what goes to the requester is not changed by any of it.
 */
import * as z from 'zod'
import type { Need, Obligation, Plugin, Recording } from '../../src/plugin.ts'
import { secretsOf } from './secrets.ts'
import { asked, terms } from './terms.ts'

export const recordBodies: Plugin<Record<string, never>> = {
  name: 'record-bodies',
  options: z.strictObject({}).default({}),
  create: () => ({ fulfil: { 'record-bodies': { terms, needs, record } } }),
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

function needs(term: unknown): readonly Need[] {
  const { secrets = [], seal = false } = terms.parse(term)
  return [...(secrets.length > 0 ? (['digest-key'] as const) : []), ...(seal ? (['auditor-keys'] as const) : [])]
}
