/** The shapes of the HTTP surface: each body is parsed by the schema that `/openapi.json` shows. */
import { z } from '@hono/zod-openapi'

/** Longest statement that is read, in characters; analysis has its own bound. */
const SQL_MOST = 262_144

export const QueryBody = z
  .strictObject({
    connection: z
      .string()
      .min(1)
      .max(128)
      .openapi({ description: 'a connection of GET /v1/connections', example: 'warehouse' }),
    sql: z
      .string()
      .min(1)
      .max(SQL_MOST)
      .openapi({ description: 'one statement', example: 'SELECT name FROM shop.customers LIMIT 3' }),
    params: z
      .union([z.record(z.string(), z.unknown()), z.array(z.unknown())], 'an object by name or an array by position')
      .optional()
      .openapi({
        description:
          'named (`{"id": 5}`) or positional (`[5]`) parameters; `{"type": "NUMERIC", "value": "1.10"}` gives a type that JSON lacks; docs/encodings.md has them all',
      }),
    maxRows: z.int().optional().openapi({ description: 'rows to answer with at the most' }),
    timeoutMs: z.int().optional().openapi({ description: 'milliseconds that the whole answer may take' }),
    purpose: z.string().max(2000).optional().openapi({ description: 'why; approvers and auditors read it' }),
  })
  .openapi('Query')

export const CommentBody = z
  .strictObject({ comment: z.string().max(4000).default('').openapi({ description: 'why; it is recorded' }) })
  .openapi('Comment')

export const AuditBody = z
  .strictObject({
    sql: z.string().min(1).max(SQL_MOST).openapi({ description: 'one read-only statement over the audit views' }),
    params: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .default({})
      .openapi({ description: 'values for `{name:Type}` in the statement' }),
  })
  .openapi('AuditQuery')

export const RecordedExchangeShape = z
  .object({
    exchange: z.string(),
    records: z
      .array(
        z
          .object({
            at: z.string().openapi({ description: 'when it was written, UTC' }),
            kind: z.string(),
            record: z.string().openapi({ description: 'its own id' }),
            log: z
              .object({
                writer: z.string(),
                epoch: z.string(),
                segment: z.int(),
                seq: z.int(),
                retainUntil: z.string(),
              })
              .openapi({ description: 'where in the log it stands' }),
          })
          .loose(),
      )
      .openapi({ description: 'in the order in which they were written; what is empty is left out' }),
    bodies: z
      .array(
        z.object({
          direction: z.string(),
          type: z.string(),
          pieces: z.int(),
          bytes: z.int(),
          ended: z.boolean(),
          mark: z.string().optional().openapi({ description: 'why it is not whole' }),
        }),
      )
      .openapi({ description: 'what the table `payloads` holds of it' }),
  })
  .openapi('RecordedExchange')

export const ReasonShape = z
  .object({
    code: z.string(),
    because: z.string(),
    fix: z.string().optional(),
    where: z.string().optional(),
  })
  .openapi('Reason')

export const ProblemShape = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    exchange: z.string(),
    reasons: z.array(ReasonShape),
    fix: z.string().optional(),
    where: z.string().optional(),
  })
  .openapi('Problem')

export const ColumnShape = z
  .object({
    name: z.string(),
    type: z.string().openapi({ description: 'in GoogleSQL', example: 'ARRAY<STRUCT<kind STRING, value STRING>>' }),
    masked: z.string().optional().openapi({ description: 'the strategy that its values went through' }),
  })
  .openapi('Column')

export const StatisticsShape = z
  .object({
    bytesProcessed: z.number().optional(),
    bytesBilled: z.number().optional(),
    cacheHit: z.boolean().optional(),
    rowsAffected: z.number().optional(),
    durationMs: z.number(),
  })
  .openapi('Statistics')

export const DecisionShape = z
  .object({ effect: z.enum(['permit', 'hold', 'deny']), reasons: z.array(ReasonShape), policy: z.string() })
  .openapi('Decision')

export const AnswerShape = z
  .object({
    exchange: z.string(),
    columns: z.array(ColumnShape),
    rows: z
      .array(z.array(z.unknown()))
      .openapi({ description: 'one array per row; docs/encodings.md says how each type is written' }),
    rowCount: z.int(),
    ending: z.enum(['whole', 'cut']),
    cut: z.string().optional().openapi({ description: 'why it was cut: `max-rows`, or a failure code' }),
    statistics: StatisticsShape,
    decision: DecisionShape,
  })
  .openapi('Answer')

const ApproverShape = z.object({
  groups: z.array(z.string()),
  count: z.number().openapi({ description: 'different people of these groups' }),
  comment: z.literal('required').optional(),
})

export const HoldShape = z
  .object({
    id: z.string(),
    state: z.enum([
      'pending',
      'approved',
      'rejected',
      'expired',
      'withdrawn',
      'running',
      'done',
      'failed',
      'unknown',
      'voided',
    ]),
    connection: z.string(),
    requester: z.string(),
    actsFor: z.string().optional(),
    purpose: z.string().optional(),
    statement: z.object({
      kind: z.string(),
      text: z.string(),
      uses: z.array(z.object({ action: z.string(), resource: z.string() })),
    }),
    estimatedBytes: z.number().optional(),
    reasons: z.array(ReasonShape),
    approvers: z.array(ApproverShape).openapi({ description: 'all must be satisfied; one person counts once' }),
    missing: z.array(ApproverShape).optional().openapi({ description: 'who must still approve' }),
    createdAt: z.string(),
    expiresAt: z.string(),
    decisions: z.array(z.object({ by: z.string(), effect: z.string(), comment: z.string(), at: z.string() })),
    outcome: z.object({ code: z.string(), detail: z.string() }).optional(),
    next: z.string().openapi({ description: 'what happens next, in words' }),
  })
  .openapi('Hold')

export const HeldShape = z.object({ exchange: z.string(), hold: HoldShape }).openapi('Held')

export const PreflightShape = z
  .object({
    exchange: z.string(),
    decision: DecisionShape,
    statement: z.object({ kind: z.string(), uses: z.array(z.object({ action: z.string(), resource: z.string() })) }),
    columns: z.array(ColumnShape),
    masks: z.array(z.object({ resource: z.string(), column: z.string(), strategy: z.string() })),
    findings: z.array(
      z.object({ kind: z.string(), where: z.string().optional(), count: z.number().optional() }).loose(),
    ),
    estimatedBytes: z.number().optional(),
    approvers: z.array(ApproverShape).optional(),
    budgets: z
      .array(z.object({ budget: z.string(), limit: z.number(), used: z.number(), takes: z.number() }))
      .optional()
      .openapi({ description: 'of today, on this connection, and the most that this request may take' }),
  })
  .openapi('Preflight')

export const ReachableShape = z
  .object({
    resource: z.string(),
    kind: z.string(),
    effect: z.enum(['permit', 'hold']),
    columns: z.array(ColumnShape),
  })
  .openapi('Resource')

export const OperationShape = z
  .object({
    resource: z.string(),
    kind: z.literal('OPERATION'),
    method: z.string(),
    template: z.string(),
    action: z.string(),
    summary: z.string().optional(),
    parameters: z.array(z.object({ name: z.string(), in: z.enum(['path', 'query']), required: z.boolean() })),
    effect: z.enum(['permit', 'hold', 'depends']),
    masks: z.array(z.object({ resource: z.string(), column: z.string(), strategy: z.string() })),
  })
  .openapi('Operation')

export const ReadinessShape = z
  .object({
    status: z.enum(['ready', 'not-ready']),
    parts: z.record(z.string(), z.object({ ready: z.boolean(), problem: z.string().optional() })),
  })
  .openapi('Readiness')
