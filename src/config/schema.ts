/** The shape of `sluice.yaml`, section by section, with every default and bound. */
import * as z from 'zod'
import { secret, values as valuesOver, type Env, type Values } from './values.ts'
import { restOptions } from '../connection/rest/options.ts'
import { ALGORITHMS } from '../identity/options.ts'
import { isLoopbackUrl } from '../url.ts'

/** What a configuration that says nothing gets, as it would be written. */
export const DEFAULTS = {
  data: '.sluice',
  policies: 'policies',
  listeners: {
    gateway: {
      host: '127.0.0.1',
      port: 8080,
      maxBodyBytes: '1MiB',
      requestTimeout: '10m',
      maxConcurrent: 256,
      maxConcurrentPerPrincipal: 128,
      shutdownGrace: '20s',
    },
  },
  issuer: { clockToleranceSeconds: 30 },
  connection: { pageRows: 20_000, metadataTtl: '5m', maximumBytesBilled: '100GiB', whenAuditIsTight: 'block' },
  rest: { maxKeptBytes: '256KiB', maxRecordedChars: 16_384, maxAnswerBytes: '1MiB' },
  query: {
    defaultMaxRows: 10_000,
    maxRows: 10_000_000,
    defaultTimeout: '1m',
    maxTimeout: '10m',
    inspectTimeout: '10s',
    idempotencyKeys: '24h',
  },
  holds: { expiresIn: '1h', maxWait: '5m', maxPendingPerPrincipal: 1_000 },
  audit: {
    journal: { maxBytes: '4GiB', segmentBytes: '16MiB' },
    retainDays: 400,
    bodies: { maxBytes: '4GiB', retainDays: 90 },
    checkpoints: { every: '1m', origin: 'sluice' },
  },
  clickhouse: { username: 'default', database: 'sluice', requestTimeout: '30s' },
  siem: { timeout: '10s', format: 'ndjson' },
  store: { schema: 'sluice' },
  auditors: { groups: ['auditors'] },
} as const

const NAME = /^[a-z][a-z0-9-]{0,62}$/
const NAME_WORDS = 'a name of small letters, digits and dashes that begins with a letter, at most 63'

/** An API key as it is configured: only the hash of its secret part. */
export const apiKey = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9]{1,32}$/, 'small letters and digits, at most 32'),
    hash: z.string().regex(/^[0-9a-f]{64}$/, 'the SHA-256 of the secret part, 64 hex digits'),
    subject: z.string().min(1).max(512),
    groups: z.array(z.string().min(1).max(512)).max(1_000).default([]),
    expires: z.iso
      .datetime({ error: () => 'a time such as `2027-01-31T00:00:00Z`' })
      .transform((time) => Date.parse(time))
      .exactOptional()
      .describe('When it ends, as `2027-01-31T00:00:00Z`.'),
    revoked: z.boolean().exactOptional(),
  })
  .transform((key) => ({ ...key, plane: 'agents' as const }))

/** The keys of services. */
export const apiKeyList = z.array(apiKey).max(10_000)

/** Where the gateway listens. */
function listeners(values: Values) {
  const { word, whole, bytes, duration } = values
  return z
    .strictObject({
      gateway: z
        .strictObject({
          host: word('an address to listen on')
            .prefault(DEFAULTS.listeners.gateway.host)
            .describe('Address to listen on.'),
          port: whole(0, 65_535).prefault(DEFAULTS.listeners.gateway.port).describe('Port; 0 picks a free one.'),
          maxBodyBytes: bytes('1KiB', '64MiB')
            .prefault(DEFAULTS.listeners.gateway.maxBodyBytes)
            .describe('Largest request body.'),
          requestTimeout: duration('1s', '1h')
            .prefault(DEFAULTS.listeners.gateway.requestTimeout)
            .describe('Longest time that one request may take, answer included.'),
          maxConcurrent: whole(1, 100_000)
            .prefault(DEFAULTS.listeners.gateway.maxConcurrent)
            .describe('Requests in flight at once; one more answers 503.'),
          maxConcurrentPerPrincipal: whole(1, 100_000)
            .prefault(DEFAULTS.listeners.gateway.maxConcurrentPerPrincipal)
            .describe('Of those, requests of any one principal; one more answers 429.'),
          shutdownGrace: duration('1s', '10m')
            .prefault(DEFAULTS.listeners.gateway.shutdownGrace)
            .describe('How long what is in flight may go on once the gateway is told to stop.'),
        })
        .prefault({}),
    })
    .prefault({})
}

/** An issuer of tokens. */
function issuer(values: Values) {
  const { text, word, whole, url } = values
  const claimPath = z.union(
    [word('a claim'), z.array(word('a claim')).min(1).max(10)],
    'the path of a claim, or a list of them',
  )
  return z
    .strictObject({
      name: text(NAME_WORDS, (value) => NAME.test(value) && value !== 'keys').describe('Its name in policies.'),
      issuer: url().describe('Exactly what its tokens say in `iss`.'),
      jwksUri: url().exactOptional().describe('Where its keys are. Absent: discovered.'),
      algorithms: z.array(z.enum(ALGORITHMS)).min(1).describe('The signatures that are accepted, and no others.'),
      audiences: z
        .strictObject({
          agents: word('an audience').exactOptional().describe('`aud` of tokens that ask for data.'),
          people: word('an audience').exactOptional().describe('`aud` of tokens that approve and audit.'),
        })
        .refine((it) => it.agents !== undefined || it.people !== undefined, 'at least one of `agents`, `people`')
        .refine((it) => it.agents !== it.people, 'two audiences that differ')
        .describe('A plane without an audience is closed to this issuer.'),
      claims: z
        .strictObject({
          subject: claimPath.exactOptional().describe('Default `sub`.'),
          groups: claimPath.exactOptional().describe('Default `groups`.'),
          actsFor: claimPath
            .exactOptional()
            .describe('The person for whom an agent acts. Absent: such tokens are refused.'),
          kind: claimPath.exactOptional().describe('`agent`, `service` or `person`. Absent: the audience says.'),
        })
        .exactOptional()
        .describe('Where in the token each fact is: `sub`, `realm_access.roles`, `act.sub`.'),
      clockToleranceSeconds: whole(0, 300)
        .prefault(DEFAULTS.issuer.clockToleranceSeconds)
        .describe('How far its clock may be from ours.'),
      types: z
        .array(z.string().max(64))
        .min(1)
        .max(10)
        .exactOptional()
        .describe('Accepted `typ` headers. Default `at+jwt`, `JWT`.'),
    })
    .describe('An OpenID issuer whose tokens are accepted.')
}

/** How the gateway proves itself to BigQuery. */
function credentials(values: Values) {
  const { text, path } = values
  return z.discriminatedUnion(
    'type',
    [
      z.strictObject({ type: z.literal('adc') }).describe('Application Default Credentials.'),
      z.strictObject({ type: z.literal('none') }).describe('No credential; for an endpoint on loopback only.'),
      z.strictObject({ type: z.literal('keyFile'), path: path() }).describe("A service account's key file."),
      z
        .strictObject({
          type: z.literal('impersonate'),
          accounts: z
            .record(
              z.string().min(1).max(512),
              text('the e-mail address of a service account', (value) => /^[^@\s]+@[^@\s]+$/.test(value)),
            )
            .refine((it) => Object.keys(it).length > 0, 'at least one group'),
        })
        .describe('Per group, the service account that its members run as. Who is in none of the groups runs nothing.'),
    ],
    {
      error: (issue) =>
        issue.code === 'invalid_union' ? 'a `type` of `adc`, `none`, `keyFile` or `impersonate`' : undefined,
    },
  )
}

/** A resource and a column, and fields within it. */
const COLUMN_PATTERN = /^(?=.{1,1024}$)[^\s`!.]+(?:\.[^\s`!.]+){2,}$/u
const POLICY_TAG_WORDS = 'the resource name of a policy tag: `projects/…/locations/…/taxonomies/…/policyTags/…`'

/** A connection to BigQuery. */
function bigquery(values: Values) {
  const { text, whole, bytes, duration, url } = values
  return z
    .strictObject({
      type: z.literal('bigquery'),
      project: text('the id of a project', (value) => /^[a-z][a-z0-9.:-]{2,127}$/.test(value)).describe(
        'Project that runs and pays for jobs.',
      ),
      location: text('a location such as `US` or `europe-west1`', (value) => /^[A-Za-z0-9-]{1,64}$/.test(value)),
      apiEndpoint: url().exactOptional().describe("Absent: Google's own."),
      defaultDataset: text('a dataset', (value) => /^\w{1,1024}$/.test(value))
        .exactOptional()
        .describe('Where a table name without a dataset is found.'),
      credentials: credentials(values),
      maximumBytesBilled: bytes('10MiB', '1024TiB')
        .prefault(DEFAULTS.connection.maximumBytesBilled)
        .describe('No query may be billed for more.'),
      labels: z
        .record(
          z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/, 'a label of small letters, digits, `_` and `-`'),
          text('a label value', (value) => /^[a-z0-9_-]{0,63}$/.test(value)),
        )
        .default({})
        .describe('Put on every job, beside those that name the exchange.'),
      pageRows: whole(100, 100_000)
        .prefault(DEFAULTS.connection.pageRows)
        .describe('Rows that one page of a result may have.'),
      metadataTtl: duration('1s', '1h')
        .prefault(DEFAULTS.connection.metadataTtl)
        .describe('How long schemas are remembered.'),
      columnTags: z
        .record(
          z.string().min(1).max(512),
          z
            .array(z.string().regex(COLUMN_PATTERN, 'a column such as `shop.customers.email` or `shop.*.email`'))
            .min(1)
            .max(1_000),
        )
        .default({})
        .describe('By tag, the columns that bear it beside those of BigQuery; `*` within one dotted part.'),
      whenAuditIsTight: whenTight(),
      policyTagNames: z
        .record(
          z
            .string()
            .regex(/^projects\/[^/\s]+\/locations\/[^/\s]+\/taxonomies\/\d+\/policyTags\/\d+$/, POLICY_TAG_WORDS),
          z.string().min(1).max(512),
        )
        .default({})
        .describe('By the resource name of a policy tag of BigQuery, the name that policies may use as well.'),
    })
    .refine((it) => it.credentials.type !== 'none' || isLoopbackUrl(it.apiEndpoint ?? ''), {
      path: ['credentials', 'type'],
      error: '`adc`, `keyFile` or `impersonate`: `none` is for an `apiEndpoint` on loopback',
    })
}

/** A connection to an HTTP API: the client's options, the API's operations, and what the gateway does with bodies. */
function rest(values: Values) {
  const { bytes, path, text } = values
  return restOptions({ ...values, secret })
    .extend({
      openapi: path()
        .exactOptional()
        .describe('An OpenAPI 3 document, JSON or YAML: its operations are the resources.'),
      operations: z
        .array(
          z
            .string()
            .regex(/^[A-Z]{1,16} \/[^\s?#]{0,1024}$/, 'a method and a path template, such as `GET /customers/{id}`'),
        )
        .min(1)
        .max(2_000)
        .exactOptional()
        .describe('The same as a list, where there is no such document: `GET /customers/{id}`.'),
      actions: z
        .record(
          z.string().min(1).max(1_100),
          z.enum(['read', 'write', 'define', 'delete', 'export', 'execute', 'administer']),
        )
        .default({})
        .describe('By operation, what it does, where its method does not say: `{ searchCustomers: read }`.'),
      hosts: z
        .array(text('a host name', (value) => /^[a-z0-9.-]{1,253}(:\d{1,5})?$/.test(value)))
        .max(20)
        .default([])
        .describe('Names under which the gateway is asked for this API without `/proxy/…`.'),
      maxKeptBytes: bytes('1KiB', '16MiB')
        .prefault(DEFAULTS.rest.maxKeptBytes)
        .describe('Largest request body that conditions may weigh and that may be held; larger ones stream past.'),
      maxRecordedChars: values
        .whole(0, 1_048_576)
        .prefault(DEFAULTS.rest.maxRecordedChars)
        .describe('Characters of a request body that the record keeps, where it is text; its digest is always kept.'),
      whenAuditIsTight: whenTight(),
      maxAnswerBytes: bytes('1KiB', '16MiB')
        .prefault(DEFAULTS.rest.maxAnswerBytes)
        .describe('Largest answer that is kept for the requester of a hold.'),
    })
    .refine((it) => (it.openapi === undefined) !== (it.operations === undefined), {
      path: ['operations'],
      error: 'either `openapi` or `operations`: what is not listed cannot be permitted',
    })
}

/** What begins while the journal is filling up or slow. */
function whenTight() {
  return z
    .enum(['block', 'read-only'])
    .prefault(DEFAULTS.connection.whenAuditIsTight)
    .describe(
      'What begins while the audit journal is filling up (from three quarters on) or slow: nothing, or what only reads. Once it is full or broken nothing does.',
    )
}

/** A connection, by its type. */
function connection(values: Values) {
  return z.discriminatedUnion('type', [bigquery(values), rest(values)], {
    error: (issue) => (issue.code === 'invalid_union' ? 'a `type` of `bigquery` or `rest`' : undefined),
  })
}

/** What any query may spend. */
function query(values: Values) {
  const { whole, duration } = values
  return z
    .strictObject({
      defaultMaxRows: whole(1, 1_000_000_000)
        .prefault(DEFAULTS.query.defaultMaxRows)
        .describe('`maxRows` of a request that names none.'),
      maxRows: whole(1, 1_000_000_000).prefault(DEFAULTS.query.maxRows).describe('Most rows that any answer may have.'),
      defaultTimeout: duration('1s', '1h')
        .prefault(DEFAULTS.query.defaultTimeout)
        .describe('`timeoutMs` of a request that names none.'),
      maxTimeout: duration('1s', '1h')
        .prefault(DEFAULTS.query.maxTimeout)
        .describe('Longest time that any query may take.'),
      inspectTimeout: duration('100ms', '1m')
        .prefault(DEFAULTS.query.inspectTimeout)
        .describe('For all plugins together; late is denied.'),
      idempotencyKeys: duration('1m', '30d')
        .prefault(DEFAULTS.query.idempotencyKeys)
        .describe('How long an idempotency key is remembered.'),
    })
    .refine((it) => it.defaultMaxRows <= it.maxRows, { path: ['defaultMaxRows'], error: 'no more than `maxRows`' })
    .refine((it) => it.defaultTimeout <= it.maxTimeout, {
      path: ['defaultTimeout'],
      error: 'no more than `maxTimeout`',
    })
    .prefault({})
}

/** What holds do when their rule does not say. */
function holds(values: Values) {
  const { whole, duration } = values
  return z
    .strictObject({
      expiresIn: duration('1m', '30d')
        .prefault(DEFAULTS.holds.expiresIn)
        .describe('How long a hold waits when its rule does not say.'),
      maxWait: duration('1s', '1h')
        .prefault(DEFAULTS.holds.maxWait)
        .describe('Longest `Prefer: wait=N` that is honoured.'),
      maxPendingPerPrincipal: whole(1, 1_000_000)
        .prefault(DEFAULTS.holds.maxPendingPerPrincipal)
        .describe('Holds of any one principal that may wait at once; one more answers 429.'),
    })
    .prefault({})
}

/** Where the evidence goes. */
function audit(values: Values) {
  const { whole, bytes, word, path, duration, url } = values
  return z
    .strictObject({
      journal: z
        .strictObject({
          maxBytes: bytes('16MiB', '64TiB')
            .prefault(DEFAULTS.audit.journal.maxBytes)
            .describe('Most that may wait for ClickHouse; then nothing runs.'),
          segmentBytes: bytes('64KiB', '1GiB')
            .prefault(DEFAULTS.audit.journal.segmentBytes)
            .describe('Size of one file of the journal.'),
        })
        .refine((it) => it.segmentBytes * 2 <= it.maxBytes, {
          path: ['segmentBytes'],
          error: 'at most half of `maxBytes`',
        })
        .prefault({}),
      retainDays: whole(1, 36_500).prefault(DEFAULTS.audit.retainDays).describe('How long ClickHouse keeps records.'),
      retain: z
        .array(
          z.strictObject({
            connections: z.array(word('a connection')).min(1).max(1000).exactOptional(),
            kinds: z.array(word('a kind of record, or `payload`')).min(1).max(20).exactOptional(),
            days: whole(1, 36_500),
          }),
        )
        .max(1000)
        .default([])
        .describe(
          'Other times for some connections and kinds of records (`payload`: bodies); the first that fits counts.',
        ),
      legalHolds: z
        .array(
          z.strictObject({
            name: word('the name of the hold'),
            principals: z.array(word('a principal')).min(1).max(1000).exactOptional(),
            connections: z.array(word('a connection')).min(1).max(1000).exactOptional(),
          }),
        )
        .max(100)
        .default([])
        .describe(
          'What is recorded of these principals (`ada` or `corp:ada`, and whoever acts for them) on these connections does not expire. What is there already: `sluice audit hold add`.',
        ),
      bodies: z
        .strictObject({
          maxBytes: bytes('16MiB', '64TiB')
            .prefault(DEFAULTS.audit.bodies.maxBytes)
            .describe(
              'Most of recorded bodies that may wait for ClickHouse; then what a policy wants recorded does not run.',
            ),
          retainDays: whole(1, 36_500).prefault(DEFAULTS.audit.bodies.retainDays).describe('How long bodies are kept.'),
          digestKey: secret()
            .exactOptional()
            .describe('Under which secret values are recorded as keyed digests. At least 16 bytes.'),
          sealTo: z
            .array(path())
            .min(1)
            .max(20)
            .exactOptional()
            .describe(
              'Files with the public keys (JWK) of auditors, to whom originals of masked values are encrypted.',
            ),
        })
        .prefault({})
        .describe('Bodies of requests and answers, where a policy demands `record-bodies`.'),
      checkpoints: z
        .strictObject({
          every: duration('1s', '1d')
            .prefault(DEFAULTS.audit.checkpoints.every)
            .describe('How often at least a head is signed.'),
          origin: word('the name of the log, without spaces or `+`')
            .prefault(DEFAULTS.audit.checkpoints.origin)
            .describe('The first part of the name of each log; writer and epoch follow.'),
          key: secret()
            .exactOptional()
            .describe(
              'The Ed25519 signing key, as `sluice audit key new` prints it. Absent: one is made and kept with the data.',
            ),
          previousKeys: z
            .array(secret())
            .max(20)
            .default([])
            .describe('Keys that sign beside it while verifiers learn the new one.'),
          files: path().exactOptional().describe('A folder where signed checkpoints are appended, one file per day.'),
          stdout: z.boolean().default(false).describe('Print each signed checkpoint as a line of JSON.'),
          witnesses: z
            .array(z.strictObject({ name: word('a name'), url: url(), key: word('a verifier key of the witness') }))
            .max(10)
            .default([])
            .describe('HTTP witnesses (C2SP tlog-witness) whose cosignatures are asked for.'),
        })
        .prefault({})
        .describe('Signed heads of the tree over all records.'),
      siem: z
        .array(siem(values))
        .max(10)
        .default([])
        .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'names that differ')
        .describe('Where every record is sent as OCSF JSON, at least once, whether or not ClickHouse is there.'),
      clickhouse: clickhouse(values)
        .exactOptional()
        .describe('Where records go. Absent: they stay in the journal, and auditors cannot query.'),
    })
    .prefault({})
}

/** Where holds, keys and budgets are kept. */
function store({ text }: Values) {
  return z
    .discriminatedUnion(
      'type',
      [
        z
          .strictObject({ type: z.literal('sqlite') })
          .describe('A file with the data: for one gateway, or several of one machine.'),
        z
          .strictObject({
            type: z.literal('postgres'),
            url: secret().describe('A reference to `postgres://user:password@host/database?sslmode=verify-full`.'),
            schema: text('a schema of small letters, digits and `_`', (value) =>
              /^[a-z_][a-z0-9_]{0,62}$/.test(value),
            ).prefault(DEFAULTS.store.schema),
          })
          .describe('For several gateways.'),
      ],
      { error: (issue) => (issue.code === 'invalid_union' ? 'a `type` of `sqlite` or `postgres`' : undefined) },
    )
    .prefault({ type: 'sqlite' })
    .describe('Where holds, idempotency keys and budgets are kept.')
}

/** One destination of records as OCSF. */
function siem({ duration, url, text, path }: Values) {
  const name = text(NAME_WORDS, (value) => NAME.test(value)).describe('Names how far it has come: keep it.')
  const timeout = duration('1s', '20s').prefault(DEFAULTS.siem.timeout)
  return z.discriminatedUnion(
    'type',
    [
      z.strictObject({
        name,
        type: z.literal('https'),
        url: url(),
        format: z
          .enum(['ndjson', 'json'])
          .prefault(DEFAULTS.siem.format)
          .describe('A batch is one event a line, or one JSON array.'),
        timeout: timeout.describe('Longest that a batch may take to be answered.'),
        authorization: secret().exactOptional().describe('The value of the `Authorization` header.'),
      }),
      z
        .strictObject({
          name,
          type: z.literal('syslog'),
          address: text('a host and port such as `siem.example.com:6514`', isAddress),
          timeout: timeout.describe("Longest that connecting, writing and the receiver's close may each take."),
          tls: z.boolean().default(true).describe('`false` only for an address on loopback.'),
          ca: path()
            .exactOptional()
            .describe('A PEM file with the certificates that vouch for it; absent: those of the system.'),
          cert: path()
            .exactOptional()
            .describe('A PEM file with the certificate by which the gateway is known to it; needs `key`.'),
          key: secret().exactOptional().describe('Its private key, in PEM.'),
        })
        .refine((it) => (it.cert === undefined) === (it.key === undefined), {
          path: ['key'],
          error: '`cert` and `key`, or neither',
        })
        .refine((it) => it.tls || isLoopbackUrl(`http://${it.address}`), {
          path: ['tls'],
          error: '`true`: only an `address` on loopback may do without',
        }),
    ],
    { error: (issue) => (issue.code === 'invalid_union' ? 'a `type` of `https` or `syslog`' : undefined) },
  )
}

function isAddress(value: string): boolean {
  const port = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?:(\d{1,5})$/.exec(value)?.[1]
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}

/** The ClickHouse of audit records. */
function clickhouse(values: Values) {
  const { text, word, duration, url } = values
  return z.strictObject({
    url: url(),
    username: word('a user').prefault(DEFAULTS.clickhouse.username),
    password: secret().exactOptional(),
    database: text('a database', (value) => /^[a-z_]\w{0,62}$/i.test(value)).prefault(DEFAULTS.clickhouse.database),
    requestTimeout: duration('1s', '10m').prefault(DEFAULTS.clickhouse.requestTimeout),
    reader: z
      .strictObject({ username: word('a user'), password: secret().exactOptional() })
      .exactOptional()
      .describe('Who reads for auditors, so that `username` needs no right but to insert. Absent: the same.'),
  })
}

/** The schema over one environment. */
export function configSchema(env: Env) {
  const values = valuesOver(env)
  const { word, path } = values
  return z
    .strictObject({
      data: path().prefault(DEFAULTS.data).describe('Folder for the journal and the state store.'),
      policies: path().prefault(DEFAULTS.policies).describe('Folder of policy documents.'),
      listeners: listeners(values),
      issuers: z.array(issuer(values)).max(50).default([]).describe('Whose tokens are accepted.'),
      store: store(values),
      apiKeys: z
        .strictObject({
          file: path().exactOptional().describe('A YAML file with a list of keys, of the same shape as `list`.'),
          list: apiKeyList.exactOptional(),
        })
        .default({})
        .describe('Keys of services: hashes only.'),
      connections: z
        .record(z.string().regex(NAME, NAME_WORDS), connection(values))
        .refine((it) => Object.keys(it).length > 0, 'at least one connection')
        .describe('By the name that agents and policies use.'),
      plugins: z
        .record(z.string(), z.unknown())
        .default({})
        .describe(
          'Options per plugin; a policy document may set others for its principals. Secrets are references here too.',
        ),
      query: query(values),
      holds: holds(values),
      audit: audit(values),
      auditors: z
        .strictObject({
          groups: z
            .array(word('the name of a group'))
            .min(1)
            .max(100)
            .prefault([...DEFAULTS.auditors.groups])
            .describe('People in any of these groups may audit.'),
          scopes: z
            .array(
              z.strictObject({
                groups: z.array(word('the name of a group')).min(1).max(100),
                connections: z.array(word('a connection')).min(1).max(1000),
              }),
            )
            .max(1000)
            .default([])
            .describe('People in any of these groups may audit the records of these connections alone.'),
        })
        .prefault({}),
    })
    .refine((it) => new Set(it.issuers.map(({ name }) => name)).size === it.issuers.length, {
      path: ['issuers'],
      error: 'names that differ',
    })
    .refine((it) => new Set(it.issuers.map(({ issuer }) => issuer)).size === it.issuers.length, {
      path: ['issuers'],
      error: 'issuers that differ',
    })
    .refine((it) => it.issuers.length > 0 || it.apiKeys.file !== undefined || it.apiKeys.list !== undefined, {
      path: ['issuers'],
      error: 'at least one issuer, or `apiKeys`: nobody could prove who they are',
    })
    .describe('The configuration of a Sluice gateway.')
}
