/** The shape of policy documents and of the cases beside them. */
import * as z from 'zod'
import { parseDuration } from './duration.ts'
import { MAX_CONDITION_LENGTH } from './condition.ts'
import { PATTERN } from './pattern.ts'

/** Shortest and longest time that a hold may wait, in milliseconds. */
export const HOLD_EXPIRY = { min: 60_000, max: 30 * 86_400_000 } as const

/** A duration from `min` to `max` milliseconds, both of which `words` names: `a duration from 1m to 30d`. */
function duration(min: number, max: number, words: string) {
  return z
    .string({ error: () => words })
    .refine((text) => {
      const value = parseDuration(text)
      return value !== undefined && value >= min && value <= max
    }, words)
    .transform((text) => parseDuration(text) ?? 0)
}

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const name = z.string().regex(NAME, 'a name of small letters, digits and dashes, at most 63')
const word = z.string().min(1).max(512)
const text = z.string().min(1).max(1_000)

/** Not a list: an absent key means all, so an empty list would be easy to misread. */
const listOf = <T extends z.ZodType>(item: T) => z.array(item).min(1).max(1_000)

const actions = z.enum(['read', 'write', 'define', 'delete', 'export', 'execute', 'administer'])
const principalKinds = z.enum(['agent', 'service', 'person'])

const principals = z
  .strictObject({
    groups: listOf(word).exactOptional().describe('Any of these groups.'),
    subjects: listOf(word)
      .exactOptional()
      .describe('Any of these: `issuer:subject`, or a subject without a colon under any issuer.'),
    issuers: listOf(word)
      .exactOptional()
      .describe('Any of these issuers, by their names in `sluice.yaml`; `keys` for API keys.'),
    kinds: listOf(principalKinds).exactOptional().describe('Any of these kinds.'),
  })
  .refine((value) => Object.keys(value).length > 0, 'at least one of `groups`, `subjects`, `issuers`, `kinds`')
  .describe('To whom the document applies: any of each list, all of the lists.')

const resources = listOf(z.string().regex(PATTERN, 'a resource pattern such as `shop.*` or `!shop.internal_*`'))
  .refine((list) => list.some((pattern) => !pattern.startsWith('!')), 'at least one pattern without `!`')
  .describe('Patterns: `*` within one dotted part, `**` across parts, `!` takes away.')

const functions = listOf(
  z.string().regex(/^[\w*.$-]{1,256}$/, 'the name of a function such as `ML.*` or `SESSION_USER`'),
).describe(
  'The statement calls any of these functions, models or routines: patterns as those of resources, in upper or lower case.',
)

const tags = listOf(word).describe('The statement reads a column that bears any of these tags.')

const columns = listOf(z.string().regex(PATTERN, 'a column pattern such as `shop.customers.ssn` or `*.*.password*`'))
  .refine((list) => list.some((pattern) => !pattern.startsWith('!')), 'at least one pattern without `!`')
  .describe('The statement reads a column (`dataset.table.column`) that any of these patterns names, or a part of one.')

/** What narrows a deny or a hold. A permit by these would consent to all else that the statement does. */
const narrowing = {
  functions: functions.exactOptional(),
  tags: tags.exactOptional(),
  columns: columns.exactOptional(),
}

function notOfPermits(key: string) {
  const words = `no \`${key}\` in a permit: it narrows a deny or a hold. Permit \`resources\`, and deny by \`${key}\` beside it`
  return z.never({ error: () => words }).exactOptional()
}

const matching = {
  id: name.describe('Unique within the document; `<policy>/<id>` is the code of its reasons.'),
  actions: listOf(actions).exactOptional().describe('Absent: every action.'),
  resources: resources.exactOptional(),
  statements: listOf(z.string().regex(/^[A-Z_*]{1,64}$/, 'a kind of statement such as `DROP_TABLE` or `DROP_*`'))
    .exactOptional()
    .describe("BigQuery's kinds of statement, `*` for any characters. Absent: every kind."),
  when: z.string().min(1).max(MAX_CONDITION_LENGTH).exactOptional().describe('A condition in CEL over facts.'),
  because: text.describe('Why, in words for whoever meets it.'),
  fix: text.exactOptional().describe('What would help.'),
}

const obligations = z
  .record(name, z.unknown())
  .exactOptional()
  .describe('By obligation name, the terms that bind when the rule matches.')

const permit = z.strictObject({
  ...matching,
  effect: z.literal('permit'),
  functions: notOfPermits('functions'),
  tags: notOfPermits('tags'),
  columns: notOfPermits('columns'),
  obligations,
})
/** One entry of a quorum. */
const approver = z.strictObject({
  groups: listOf(word).describe('Members of any of these groups may approve.'),
  count: z
    .int({ error: () => 'a whole number from 1 to 20' })
    .min(1)
    .max(20)
    .prefault(1)
    .describe('How many different people. One person counts once over all entries.'),
  comment: z
    .literal('required', { error: () => '`required`' })
    .exactOptional()
    .describe('They must say why.'),
})
/** One, or several that must all be satisfied. */
const approvers = z.union([z.array(approver).min(1).max(20), approver.transform((one) => [one])], {
  error: () => 'a map with `groups`, or a list of such maps',
})

const hold = z.strictObject({
  ...matching,
  ...narrowing,
  effect: z.literal('hold'),
  obligations,
  approvers: approvers.describe(
    'Who must approve: different people, as many as each entry counts, each a member of any of its groups.',
  ),
  expiresIn: duration(HOLD_EXPIRY.min, HOLD_EXPIRY.max, 'a duration from `1m` to `30d`, such as `1h`')
    .exactOptional()
    .describe('How long it waits for approval. Absent: `holds.expiresIn` of `sluice.yaml`.'),
})
const deny = z.strictObject({ ...matching, ...narrowing, effect: z.literal('deny') })

/** One policy document. */
export const policySchema = z
  .strictObject({
    policy: name.describe('Unique among all documents.'),
    description: text,
    principals,
    connections: listOf(
      z.string().regex(/^(?:\*|[a-z][a-z0-9-]{0,62})$/, 'the name of a connection, or `*` for all'),
    ).describe("Names of connections, or `'*'` for all."),
    plugins: z
      .record(name, z.unknown())
      .exactOptional()
      .describe('Options per plugin for these principals on these connections.'),
    rules: z
      .array(
        z.discriminatedUnion('effect', [permit, hold, deny], {
          error: (issue) => (issue.code === 'invalid_union' ? 'an `effect` of `permit`, `hold` or `deny`' : undefined),
        }),
      )
      .min(1)
      .max(1_000),
  })
  .describe('A Sluice policy document.')

export type PolicyDocument = z.output<typeof policySchema>
export type Rule = PolicyDocument['rules'][number]

const strings = z.array(word).max(10_000)
const fact = z.union(
  [z.number(), z.boolean(), z.string(), strings],
  'a number, a text, `true`, `false` or a list of texts',
)

const given = z.strictObject({
  principal: z.strictObject({
    subject: word.default('somebody'),
    issuer: word.default('issuer'),
    kind: principalKinds.default('agent'),
    groups: strings.default([]),
    actsFor: z.strictObject({ issuer: word, subject: word }).exactOptional(),
  }),
  connection: word,
  kind: z
    .string()
    .regex(/^[A-Z_]{1,64}$/, 'a kind of statement such as `SELECT`')
    .default('SELECT'),
  uses: z
    .array(z.strictObject({ action: actions, resource: word, via: word.exactOptional() }))
    .max(1_000)
    .default([]),
  tables: strings.default([]).describe('Resources of tables read or written. Default: those of `uses`.'),
  functions: strings.default([]),
  columns: strings.default([]).describe('Columns read: `shop.customers.email`.'),
  tags: z
    .record(word, strings.min(1))
    .default({})
    .describe('By tag, columns that are read and bear it: `{ pii: [shop.customers.email] }`.'),
  features: strings.default([]),
  http: z
    .strictObject({
      method: z.string().regex(/^[A-Z]{1,16}$/, 'a method such as `GET`'),
      operation: word.describe('The resource: `getCustomer`, or `GET /customers/{id}`.'),
      template: word.default('/').describe('The path template: `/customers/{id}`.'),
      path: z.record(word, z.string()).default({}).describe('Parameters in the path.'),
      query: z.record(word, strings).default({}).describe('Parameters in the query, each with its values.'),
      headers: z.record(word, z.string()).default({}),
      body: z.unknown().optional().describe('The JSON of the body. Absent: there is none.'),
    })
    .exactOptional()
    .describe('A request to an HTTP API, in place of SQL. `uses` says what it does to the operation.'),
  purpose: z.string().max(1_000).exactOptional(),
  facts: z
    .record(z.string(), z.record(z.string(), fact))
    .default({})
    .describe('By variable and field: `{ risk: { score: 10 }, estimate: { bytes: 5 } }`.'),
})

const expected = z.strictObject({
  effect: z.enum(['permit', 'hold', 'deny']),
  reasons: z.array(word).describe('The codes of all reasons, in any order.'),
  obligations: z.array(name).exactOptional().describe('The names of all obligations, in any order.'),
  approvers: z.array(word).exactOptional().describe('The groups of all approvers, in any order.'),
})

/** The cases beside a policy document: `policies/<name>.cases.yaml`. */
export const casesSchema = z
  .array(z.strictObject({ name: text, given, expect: expected }))
  .min(1)
  .max(10_000)
  .describe('Cases of Sluice policies: what is given, and which decision is expected.')

export type Case = z.output<typeof casesSchema>[number]
