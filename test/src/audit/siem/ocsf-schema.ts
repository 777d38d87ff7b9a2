/**
 * The part of OCSF 1.5.0 that events may use, written down from the schema's own definitions (classes, objects, dictionary,
 * the profile `security_control`): which attributes there are, which of them must be, their types, the meaning of each
 * number, and which of several must be there. Strict: what is not in the schema is a mistake.
 */
import * as z from 'zod'

/** A text that says something. */
const text = z.string().min(1)
const whole = z.int().nonnegative()

/** An `…_id` and its caption, which must be the schema's own unless the number is 99. */
function pair(id: string, caption: string, captions: Readonly<Record<number, string>>) {
  return (event: Readonly<Record<string, unknown>>): boolean => {
    const number = event[id]
    if (number === undefined) return event[caption] === undefined
    return number === 99 ? typeof event[caption] === 'string' : event[caption] === captions[number as number]
  }
}

const atLeastOne =
  (...names: readonly string[]) =>
  (object: Readonly<Record<string, unknown>>): boolean =>
    names.some((name) => object[name] !== undefined)

const group = z.strictObject({ name: text.optional(), uid: text.optional() }).refine(atLeastOne('name', 'uid'))
const USER_TYPES = { 0: 'Unknown', 1: 'User', 2: 'Admin', 3: 'System' }
const user = z
  .strictObject({
    name: text.optional(),
    uid: text.optional(),
    domain: text.optional(),
    groups: z.array(group).optional(),
    type: text.optional(),
    type_id: z.literal([0, 1, 2, 3, 99]).optional(),
  })
  .refine(atLeastOne('account', 'name', 'uid'))
  .refine(pair('type_id', 'type', USER_TYPES))
const idp = z.strictObject({ name: text.optional(), uid: text.optional() })
const actor = z
  .strictObject({ user: user.optional(), idp: idp.optional(), app_name: text.optional(), app_uid: text.optional() })
  .refine(atLeastOne('process', 'user', 'invoked_by', 'session', 'app_name', 'app_uid'))
const endpoint = z
  .strictObject({
    name: text.optional(),
    uid: text.optional(),
    hostname: text.optional(),
    ip: text.optional(),
    svc_name: text.optional(),
    type: text.optional(),
    type_id: z.literal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 99]).optional(),
  })
  .refine(atLeastOne('ip', 'uid', 'name', 'hostname', 'svc_name', 'instance_uid', 'interface_uid', 'interface_name'))
const product = z
  .strictObject({ name: text.optional(), uid: text.optional(), vendor_name: text.optional(), version: text.optional() })
  .refine(atLeastOne('name', 'uid'))
const metadata = z.strictObject({
  version: z.literal('1.5.0'),
  product,
  uid: text.optional(),
  correlation_uid: text.optional(),
  event_code: text.optional(),
  log_name: text.optional(),
  log_provider: text.optional(),
  sequence: whole.optional(),
  profiles: z.array(z.literal('security_control')).optional(),
  debug: z.array(text).optional(),
})
const service = z.strictObject({ name: text.optional(), uid: text.optional() }).refine(atLeastOne('name', 'uid'))
const policy = z
  .strictObject({ name: text.optional(), uid: text.optional(), is_applied: z.boolean().optional() })
  .refine(atLeastOne('name', 'uid'))
const url = z
  .strictObject({ path: text.optional(), query_string: text.optional(), url_string: text.optional() })
  .refine(atLeastOne('url_string', 'path'))
const httpRequest = z.strictObject({
  uid: text.optional(),
  http_method: z.enum(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE']).optional(),
  url: url.optional(),
  body_length: whole.optional(),
})
const httpResponse = z.strictObject({
  code: whole,
  content_type: text.optional(),
  length: whole.optional(),
  latency: whole.optional(),
})

const SEVERITIES = { 0: 'Unknown', 1: 'Informational', 2: 'Low', 3: 'Medium', 4: 'High', 5: 'Critical', 6: 'Fatal' }
const STATUSES = { 0: 'Unknown', 1: 'Success', 2: 'Failure' }
const ACTIONS = { 0: 'Unknown', 1: 'Allowed', 2: 'Denied' }
const DISPOSITIONS = {
  0: 'Unknown',
  1: 'Allowed',
  2: 'Blocked',
  8: 'Approved',
  14: 'Delayed',
  16: 'No Action',
  25: 'Rejected',
  26: 'Unauthorized',
  27: 'Error',
}
const RISKS = { 0: 'Info', 1: 'Low', 2: 'Medium', 3: 'High', 4: 'Critical' }

const base = {
  activity_id: whole,
  activity_name: text,
  category_uid: whole,
  category_name: text,
  class_uid: whole,
  class_name: text,
  type_uid: whole,
  type_name: text,
  severity_id: z.literal([0, 1, 2, 3, 4, 5, 6, 99]),
  severity: text,
  status_id: z.literal([0, 1, 2, 99]).optional(),
  status: text.optional(),
  status_code: text.optional(),
  status_detail: text.optional(),
  time: whole,
  start_time: whole.optional(),
  end_time: whole.optional(),
  duration: whole.optional(),
  message: text.optional(),
  metadata,
  unmapped: z.record(z.string(), z.unknown()).optional(),
  // the profile `security_control`
  action_id: z.literal([0, 1, 2]).optional(),
  action: text.optional(),
  disposition_id: whole.optional(),
  disposition: text.optional(),
  is_alert: z.boolean().optional(),
  policy: policy.optional(),
  risk_score: whole.optional(),
  risk_level_id: z.literal([0, 1, 2, 3, 4]).optional(),
  risk_level: text.optional(),
}

/** What holds of every class: its numbers, names and captions agree. */
function classOf(
  of: { readonly category: readonly [number, string]; readonly class: readonly [number, string] },
  activities: Readonly<Record<number, string>>,
  shape: z.core.$ZodLooseShape,
) {
  return (
    z
      .strictObject({ ...base, ...shape })
      .refine((it) => it.category_uid === of.category[0] && it.category_name === of.category[1])
      .refine((it) => it.class_uid === of.class[0] && it.class_name === of.class[1])
      .refine((it) => it.type_uid === it.class_uid * 100 + it.activity_id)
      .refine((it) => it.type_name === `${it.class_name}: ${it.activity_name}`)
      .refine((it) => it.activity_id === 99 || activities[it.activity_id] === it.activity_name)
      .refine(pair('severity_id', 'severity', SEVERITIES))
      .refine(pair('status_id', 'status', STATUSES))
      .refine(pair('action_id', 'action', ACTIONS))
      .refine(pair('disposition_id', 'disposition', DISPOSITIONS))
      .refine(pair('risk_level_id', 'risk_level', RISKS))
      // Attributes of a profile are allowed to whoever names it.
      .refine((it) => it.action_id === undefined || it.metadata.profiles?.includes('security_control'))
  )
}

const IAM = [3, 'Identity & Access Management'] as const
const APPLICATION = [6, 'Application Activity'] as const

/** By `class_uid`. */
export const CLASSES: Readonly<Record<number, z.ZodType>> = {
  0: classOf({ category: [0, 'Uncategorized'], class: [0, 'Base Event'] }, { 0: 'Unknown' }, {}),
  3002: classOf(
    { category: IAM, class: [3002, 'Authentication'] },
    { 0: 'Unknown', 1: 'Logon', 2: 'Logoff', 3: 'Authentication Ticket', 4: 'Service Ticket Request' },
    {
      user,
      actor: actor.optional(),
      service: service.optional(),
      src_endpoint: endpoint.optional(),
      dst_endpoint: endpoint.optional(),
      auth_protocol_id: z.literal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 99]).optional(),
      auth_protocol: text.optional(),
      is_remote: z.boolean().optional(),
    },
  ).refine((it) => atLeastOne('service', 'dst_endpoint')(it)),
  3004: classOf(
    { category: IAM, class: [3004, 'Entity Management'] },
    { 0: 'Unknown', 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete' },
    {
      actor: actor.optional(),
      src_endpoint: endpoint.optional(),
      comment: text.optional(),
      entity: z.strictObject({
        name: text.optional(),
        uid: text.optional(),
        type_id: z.literal(5),
        type: z.literal('Policy'),
        policy,
      }),
    },
  ),
  6002: classOf(
    { category: APPLICATION, class: [6002, 'Application Lifecycle'] },
    { 0: 'Unknown', 1: 'Install', 2: 'Remove', 3: 'Start', 4: 'Stop', 5: 'Restart' },
    { app: product },
  ),
  6003: classOf(
    { category: APPLICATION, class: [6003, 'API Activity'] },
    { 0: 'Unknown', 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete' },
    {
      actor,
      src_endpoint: endpoint,
      dst_endpoint: endpoint.optional(),
      api: z.strictObject({
        operation: text,
        service: service.optional(),
        request: z.strictObject({ uid: text }).optional(),
        response: z
          .strictObject({ code: whole.optional(), error: text.optional(), error_message: text.optional() })
          .optional(),
      }),
      http_request: httpRequest.optional(),
      http_response: httpResponse.optional(),
      resources: z
        .array(
          z
            .strictObject({
              name: text.optional(),
              uid: text.optional(),
              type: text.optional(),
              namespace: text.optional(),
            })
            .refine(atLeastOne('name', 'uid')),
        )
        .optional(),
    },
  ),
  6005: classOf(
    { category: APPLICATION, class: [6005, 'Datastore Activity'] },
    { 0: 'Unknown', 1: 'Read', 2: 'Update', 3: 'Connect', 4: 'Query', 5: 'Write', 6: 'Create', 7: 'Delete', 8: 'List' },
    {
      actor,
      src_endpoint: endpoint,
      dst_endpoint: endpoint.optional(),
      type_id: z.literal([0, 1, 2, 3, 99]).optional(),
      type: text.optional(),
      database: z
        .strictObject({
          name: text.optional(),
          uid: text.optional(),
          type_id: z.literal([0, 1, 2, 3, 4, 5, 6, 99]),
          type: text.optional(),
        })
        .refine(atLeastOne('name', 'uid'))
        .optional(),
      table: z.strictObject({ name: text.optional(), uid: text.optional() }).optional(),
      query_info: z
        .strictObject({ query_string: text, uid: text.optional(), bytes: whole.optional(), name: text.optional() })
        .optional(),
    },
  ).refine((it) => atLeastOne('database', 'databucket', 'table')(it)),
}

/** What is wrong with it; nothing: it is an event of OCSF. */
export function faultsOf(event: { readonly class_uid: number }): readonly string[] {
  const schema = CLASSES[event.class_uid]
  if (schema === undefined) return [`no class ${event.class_uid}`]
  const { error } = schema.safeParse(event)
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}
