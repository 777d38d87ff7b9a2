/** JSON Schemas of everything that operators write, for their editors. */
import * as z from 'zod'
import { configSchema } from './schema.ts'
import { casesSchema, policySchema } from '../policy/schema.ts'

/** File name under `schemas/` → JSON Schema (draft 2020-12). */
export function jsonSchemas(): Readonly<Record<string, object>> {
  const of = (schema: z.ZodType): object => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return {
    'sluice.schema.json': of(configSchema(() => undefined)),
    'policy.schema.json': of(policySchema),
    'cases.schema.json': of(casesSchema),
  }
}
