/** A REST connection as `sluice.yaml` describes it. */
import * as z from 'zod'
import { forbiddenHeader } from './headers.ts'

/** The builders of values that the configuration has. */
export interface Builders {
  readonly text: (words: string, accepts?: (value: string) => boolean) => z.ZodType<string>
  readonly word: (what: string) => z.ZodType<string>
  readonly whole: (min: number, max: number) => z.ZodType<number>
  readonly bytes: (min: string, max: string) => z.ZodType<number>
  readonly duration: (min: string, max: string) => z.ZodType<number>
  readonly url: () => z.ZodType<string>
  readonly secret: () => z.ZodType<string>
}

/** What a connection that says nothing gets, as it would be written. */
export const REST_DEFAULTS = {
  timeouts: { connect: '5s', headers: '30s', body: '30s', keepAlive: '4s' },
  pool: { connections: 64, waiting: 256 },
  maxRequestBytes: '64MiB',
  maxResponseBytes: '1GiB',
} as const

const HEADER = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?$/
const RESERVED =
  /^(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-.*|accept-encoding|via|traceparent|x-request-id|user-agent)$/i

/** How the gateway proves itself to the upstream. Secrets are references. */
function credential({ text, word, url, secret }: Builders) {
  return z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('none') }).describe('No credential.'),
    z.strictObject({ type: z.literal('bearer'), token: secret() }).describe('`Authorization: Bearer …`.'),
    z
      .strictObject({ type: z.literal('basic'), username: word('a user name'), password: secret() })
      .describe('`Authorization: Basic …`.'),
    z
      .strictObject({
        type: z.literal('header'),
        name: text('a header name that is not reserved', (name) => HEADER.test(name) && !RESERVED.test(name)),
        key: secret(),
      })
      .describe('An API key in a header.'),
    z
      .strictObject({
        type: z.literal('query'),
        name: text('the name of a query parameter', (name) => /^[A-Za-z0-9._-]{1,64}$/.test(name)),
        key: secret(),
      })
      .describe('An API key in the query. It is in no record, error or `Location`.'),
    z
      .strictObject({
        type: z.literal('oauth'),
        tokenUrl: url(),
        clientId: word('a client id'),
        clientSecret: secret(),
        scope: word('scopes').exactOptional(),
        audience: word('an audience').exactOptional(),
      })
      .describe('OAuth 2 client credentials; the token is kept and renewed before it ends.'),
  ])
}

/** The shape of a REST connection over the configuration's builders of values. */
export function restOptions(builders: Builders) {
  const { whole, bytes, duration, text, secret } = builders
  const headerList = (direction: 'request' | 'response') =>
    z
      .array(
        z.string().superRefine((name, ctx) => {
          const problem = forbiddenHeader(name, direction)
          if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem })
        }),
      )
      .max(64)
      .default([])
  return z.strictObject({
    type: z.literal('rest'),
    baseUrl: text(
      'an http or https URL without password, query or fragment',
      (value) => baseUrlOf(value) !== undefined,
    ).describe('All that is asked lies under it.'),
    credential: credential(builders),
    timeouts: z
      .strictObject({
        connect: duration('10ms', '1m')
          .prefault(REST_DEFAULTS.timeouts.connect)
          .describe('Until a connection is open, waiting for a free one included.'),
        headers: duration('10ms', '1h')
          .prefault(REST_DEFAULTS.timeouts.headers)
          .describe('From the request to the end of the headers of its answer.'),
        body: duration('10ms', '1h').prefault(REST_DEFAULTS.timeouts.body).describe('Between two pieces of an answer.'),
        keepAlive: duration('10ms', '10m')
          .prefault(REST_DEFAULTS.timeouts.keepAlive)
          .describe('How long an idle connection is kept.'),
      })
      .prefault({}),
    pool: z
      .strictObject({
        connections: whole(1, 4_096).prefault(REST_DEFAULTS.pool.connections).describe('Connections at most.'),
        waiting: whole(0, 100_000)
          .prefault(REST_DEFAULTS.pool.waiting)
          .describe('Requests that may wait for a free one; one more fails.'),
      })
      .prefault({}),
    tls: z
      .strictObject({
        ca: secret().exactOptional().describe('Certificates (PEM) that are trusted instead of the system’s.'),
        cert: secret().exactOptional().describe('Client certificate, PEM.'),
        key: secret().exactOptional().describe('Its private key, PEM.'),
        servername: text('a host name', (name) => /^[A-Za-z0-9.-]{1,253}$/.test(name))
          .exactOptional()
          .describe('Name that the certificate must carry. Absent: the host of `baseUrl`.'),
      })
      .refine((it) => (it.cert === undefined) === (it.key === undefined), '`cert` and `key` together')
      .exactOptional(),
    headers: z
      .strictObject({ request: headerList('request'), response: headerList('response') })
      .prefault({})
      .describe('Headers that pass beside those that always do.'),
    redirects: z
      .enum(['drop', 'pass'])
      .default('drop')
      .describe('What becomes of a `Location` that leads out of `baseUrl`. None is ever followed.'),
    allowPrivate: z
      .boolean()
      .default(false)
      .describe('Whether the host of `baseUrl` may resolve to a private address.'),
    maxRequestBytes: bytes('1KiB', '64GiB')
      .prefault(REST_DEFAULTS.maxRequestBytes)
      .describe('Largest request body that is sent.'),
    maxResponseBytes: bytes('1KiB', '1TiB')
      .prefault(REST_DEFAULTS.maxResponseBytes)
      .describe('Largest answer, as it travels and decoded.'),
  })
}

/** A configured REST connection: durations in milliseconds, sizes in bytes. */
export type RestOptions = z.output<ReturnType<typeof restOptions>>
export type CredentialOptions = RestOptions['credential']

/** The URL under which everything lies; `undefined` where the text is none. */
export function baseUrlOf(text: string): URL | undefined {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  if (url.username !== '' || url.password !== '' || /[?#\s\\]/.test(text)) return undefined
  return url
}
