/**
 * Which headers pass, in both directions: those on a list and no others. What frames a message, names a hop, proves an
 * identity or speaks for the gateway is on no list, and cannot be put on one.
 */
import { Failure } from '../../failure.ts'

export type Header = readonly [name: string, value: string]

/** The lists of one connection; made once, by `headerRules`. */
export interface HeaderRules {
  /** Lower-case names that pass to the upstream. */
  readonly request: ReadonlySet<string>
  /** Lower-case names that pass back to the caller. */
  readonly response: ReadonlySet<string>
}

/** What an agent may say about its request. Ranges are not here: a part of a document hides where its values stand. */
const REQUEST = [
  'accept',
  'accept-language',
  'content-type',
  'content-language',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
]

/**
 * What an upstream may say about its answer. What caches obey is not here: an answer is masked for one principal, and an
 * upstream's `public` would have it kept for all.
 */
const RESPONSE = [
  'content-type',
  'content-language',
  'content-disposition',
  'content-range',
  'etag',
  'last-modified',
  'location',
  'link',
  'retry-after',
  'allow',
  'accept-patch',
  'accept-post',
  'deprecation',
  'sunset',
  'ratelimit',
  'ratelimit-policy',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
]

/** Headers of one connection between two parties, and those that frame a message. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
  'content-length',
  'content-encoding',
  'accept-encoding',
  'host',
  'via',
  'date',
]

/** Who asks, and for whom: the gateway says it, or nobody does. */
const IDENTITY = [
  'authorization',
  'cookie',
  'cookie2',
  'forwarded',
  'x-forwarded',
  'remote-user',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'x-rewrite-url',
  'x-host',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'traceparent',
  'tracestate',
  'x-request-id',
  'user-agent',
]

/** What a server says of itself or demands of a browser. The gateway's origin is not the upstream's. */
const SERVER = [
  'set-cookie',
  'set-cookie2',
  'server',
  'x-powered-by',
  'www-authenticate',
  'authentication-info',
  'authorization',
  'cache-control',
  'expires',
  'age',
  'vary',
  'content-location',
  // Of the bytes before they were masked: they would let a masked value be guessed, and fit no other bytes.
  'content-md5',
  'content-digest',
  'repr-digest',
  'digest',
  'strict-transport-security',
  'content-security-policy',
  'content-security-policy-report-only',
  'alt-svc',
  'clear-site-data',
  'refresh',
  'service-worker-allowed',
]

const NEVER_REQUEST = new Set([...HOP_BY_HOP, ...IDENTITY])
const NEVER_RESPONSE = new Set([...HOP_BY_HOP, ...SERVER])
const NEVER_PREFIX = [
  'proxy-',
  'sluice-',
  'sec-',
  'x-forwarded-',
  'x-original-',
  'x-envoy-',
  'x-remote-',
  'x-auth-request-',
]
const NEVER_RESPONSE_PREFIX = ['access-control-', 'cross-origin-']

/** A list of values is no harm in these; of any other header there is one, or nobody knows which counts. */
const LISTS = new Set(['accept', 'accept-language', 'content-language', 'if-match', 'if-none-match', 'link', 'allow'])

/** Lower case; no underscore, which some servers take for a dash. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/

/** Why a header cannot be put on the list of `direction`; `undefined` where it can. */
export function forbiddenHeader(name: string, direction: 'request' | 'response'): string | undefined {
  const lower = name.toLowerCase()
  if (!NAME.test(lower)) return 'a header name of letters, digits and dashes'
  const never = direction === 'request' ? NEVER_REQUEST : NEVER_RESPONSE
  const prefixes = direction === 'request' ? NEVER_PREFIX : [...NEVER_PREFIX, ...NEVER_RESPONSE_PREFIX]
  if (never.has(lower) || prefixes.some((prefix) => lower.startsWith(prefix))) {
    return `a header that may pass: \`${lower}\` never does`
  }
  return undefined
}

/** The lists, with what a configuration adds to them. Throws `internal` where it adds what may never pass. */
export function headerRules(
  more: { readonly request?: readonly string[]; readonly response?: readonly string[] } = {},
): HeaderRules {
  return {
    request: extended(REQUEST, more.request ?? [], 'request'),
    response: extended(RESPONSE, more.response ?? [], 'response'),
  }
}

function extended(
  names: readonly string[],
  more: readonly string[],
  direction: 'request' | 'response',
): ReadonlySet<string> {
  for (const name of more) {
    if (forbiddenHeader(name, direction) !== undefined) {
      throw new Failure('internal', `the header \`${name}\` may never be put on the list of a ${direction}`)
    }
  }
  return new Set([...names, ...more.map((name) => name.toLowerCase())])
}

/**
 * Those of a request's headers that may pass, with lower-case names, in order. What is not on the list is left out, so is
 * what `Connection` names. Throws `bad-request` where a header on the list is said twice or holds what no header may.
 */
export function forwardable(headers: Iterable<Header>, rules: HeaderRules): readonly Header[] {
  const all = [...headers].map(([name, value]): Header => [name.toLowerCase(), value])
  const hop = namedByConnection(all)
  // The body is judged by its type: it is not sent without.
  if (hop.has('content-type')) throw new Failure('bad-request', '`Connection` names `content-type`')
  const seen = new Set<string>()
  const passing: Header[] = []
  for (const [name, value] of all) {
    if (!rules.request.has(name) || hop.has(name)) continue
    if (seen.has(name) && !LISTS.has(name)) throw new Failure('bad-request', `the header \`${name}\` is sent twice`)
    if (!isPlainText(value)) throw new Failure('bad-request', `the header \`${name}\` holds what no header may hold`)
    seen.add(name)
    passing.push([name, value])
  }
  return passing
}

/**
 * Those of an answer's headers that may pass, with lower-case names, in order, but for `location` and `link`, which
 * `locationFor` and `linkFor` make anew. A value that holds what no header may hold is left out.
 */
export function returnable(headers: readonly Header[], rules: HeaderRules): readonly Header[] {
  const hop = namedByConnection(headers)
  const seen = new Set<string>()
  const passing: Header[] = []
  for (const [name, value] of headers) {
    if (!rules.response.has(name) || hop.has(name) || !isText(value)) continue
    if (seen.has(name) && !LISTS.has(name)) continue
    seen.add(name)
    passing.push([name, value])
  }
  return passing
}

/** The media type of a `Content-Type`, lower case, and its `charset`; several charsets are named all, and so are none. */
export function mediaTypeOf(value: string): { readonly type: string; readonly charset?: string } {
  const [type = '', ...parameters] = value.match(/(?:"(?:[^"\\]|\\.)*"|[^;"]|")+/g) ?? []
  const charsets = parameters.flatMap((parameter) => {
    const match = /^\s*charset\s*=\s*"?([^"]*?)"?\s*$/i.exec(parameter)
    return match === null ? [] : [(match[1] ?? '').slice(0, 64).toLowerCase()]
  })
  const charset = [...new Set(charsets)].join(',')
  return { type: type.trim().toLowerCase(), ...(charset === '' ? {} : { charset }) }
}

function namedByConnection(headers: readonly Header[]): ReadonlySet<string> {
  const names = headers.filter(([name]) => name === 'connection').flatMap(([, value]) => value.split(','))
  return new Set(names.map((name) => name.trim().toLowerCase()))
}

/** Visible ASCII, blanks and tabs. */
function isPlainText(value: string): boolean {
  return /^[\t\u0020-\u007e]*$/.test(value)
}

/** What a header of HTTP may hold: no control character, nothing beyond latin-1. */
function isText(value: string): boolean {
  return /^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(value)
}

/** Where answers point to, and where that is for whoever asked the gateway. */
export interface Mount {
  /** The upstream's base URL; its path ends in no slash. */
  readonly base: URL
  /** Where it hangs in the gateway: `/proxy/crm`. */
  readonly at: string
  /** What becomes of a URL that leads elsewhere. An internal host name is a secret, unless it is said to be none. */
  readonly elsewhere: 'drop' | 'pass'
  /** Name of the query parameter that carries the credential: no URL that leaves has it. */
  readonly secretParameter?: string
}

/**
 * A URL of an answer to `target` as the caller can use it: back into the upstream it leads through the gateway, and any
 * other is passed or dropped. `undefined`: dropped.
 */
export function locationFor(value: string, target: string, mount: Mount): string | undefined {
  const root = mount.base.pathname.replace(/\/$/, '')
  const url = URL.parse(value, `${mount.base.origin}${root}${target}`)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  const query = withoutParameter(url.search, mount.secretParameter)
  if (url.origin !== mount.base.origin || !isUnder(url.pathname, root)) {
    return mount.elsewhere === 'pass' ? `${url.origin}${url.pathname}${query}${url.hash}` : undefined
  }
  return `${mount.at}${url.pathname.slice(root.length)}${query}${url.hash}`
}

function isUnder(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`)
}

/** A query such as `?a=1&b=2` without the parameter of that name, however it is written. */
function withoutParameter(query: string, name: string | undefined): string {
  if (name === undefined || query === '') return query
  const kept = query
    .slice(1)
    .split('&')
    .filter((part) => !new URLSearchParams(part).has(name))
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

const LINK = /[ \t]*<([^<>\s]*)>((?:[ \t]*;[ \t]*[A-Za-z0-9*_-]+(?:=(?:"[^"\\]*"|[^\s",;"]*))?)*)[ \t]*(?:,|$)/y

/** A `Link` header with each URL as `locationFor` makes it; links that lead elsewhere are left out. */
export function linkFor(value: string, target: string, mount: Mount): string | undefined {
  const links: string[] = []
  LINK.lastIndex = 0
  while (LINK.lastIndex < value.length) {
    const link = LINK.exec(value)
    if (link === null) return undefined // not understood: it may name anything
    const url = locationFor(link[1] ?? '', target, mount)
    const parameters = link[2] ?? ''
    if (url !== undefined && !/anchor/i.test(parameters)) links.push(`<${url}>${parameters}`)
  }
  return links.length === 0 ? undefined : links.join(', ')
}
