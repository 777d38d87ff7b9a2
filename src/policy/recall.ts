/**
 * Decisions from the record: what `decide` weighs of a statement, as text beside the columns of its record, and the
 * exchange again from both. Pure.
 */
import * as z from 'zod'
import type {
  Action,
  Column,
  Finding,
  HttpBody,
  HttpStatement,
  Inspected,
  Principal,
  SqlStatement,
  SqlType,
  Table,
} from '../exchange.ts'

/** Longest text of what was weighed, in UTF-16 code units. Beyond it the decision cannot be made again. */
export const MAX_WEIGHED = 512 * 1024

/**
 * Values of these are recorded, and of no other header: whatever else a connection lets through may be somebody's
 * credential.
 */
const PLAIN_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'accept-language',
  'content-type',
  'content-language',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
])

/** The columns of a `decided` record from which its exchange is recalled. A row of `events` is one. */
export interface Recorded {
  readonly exchange_id: string
  /** Microseconds since 1970 UTC. */
  readonly ts: number
  readonly received_at: number | null
  readonly surface: string
  readonly plane: string
  readonly issuer: string
  readonly subject: string
  readonly principal_kind: string
  readonly groups: readonly string[]
  readonly acts_for_issuer: string
  readonly acts_for_subject: string
  readonly connection: string
  readonly purpose: string
  readonly language: string
  readonly statement_kind: string
  readonly statement: string
  readonly actions: readonly string[]
  readonly tables: readonly string[]
  readonly vias: readonly string[]
  readonly estimated_bytes: number | null
  readonly shape: string
  /** JSON */
  readonly findings: string
  /** As `weighedOf` made it. */
  readonly weighed: string
  readonly request_type: string
  readonly request_bytes: number | null
  readonly request_body: string
}

/** An exchange as far as a decision needs it. */
export interface Recalled {
  readonly exchange: Inspected
  /**
   * What a condition has asked for since and no record holds: the body where it was cut, values of headers. A decision
   * that needed any of it is none. Filled while `decide` runs.
   */
  readonly missed: ReadonlySet<string>
  /** Only the names in the statement are known: it was denied for them, and nothing else was looked up. */
  readonly namesOnly: boolean
}

/** Why there is nothing to decide over. */
export interface NotRecalled {
  readonly missing: string
}

const OMITTED = 'omitted'

/** What a decision weighs of the statement and the columns of its record do not hold, as canonical JSON; bounded. */
export function weighedOf({ statement }: Pick<Inspected, 'statement'>): string {
  // Made with sorted keys, so that nobody has to sort them: one text for one statement.
  const text = JSON.stringify(statement.language === 'http' ? weighedHttp(statement) : weighedSql(statement))
  return text.length <= MAX_WEIGHED ? text : JSON.stringify({ [OMITTED]: `${text.length} characters` })
}

/**
 * The exchange of which `recorded` is the decision, as far as `decide` can tell: the same documents decide the same. What
 * came of its obligations is not in it. Never throws.
 */
export function inspectedOf(recorded: Recorded): Recalled | NotRecalled {
  if (recorded.weighed === '') return { missing: 'the record is of a version that does not say what was weighed' }
  const weighed = parsed(recorded.weighed, weighedShape)
  const findings = parsed(recorded.findings, findingsShape)
  const who = principalOf(recorded)
  const uses = usesOf(recorded)
  if (weighed === undefined || findings === undefined || who === undefined || uses === undefined) {
    return { missing: 'the record does not read as one of this gateway' }
  }
  if (OMITTED in weighed) return { missing: 'what was weighed was too long to be recorded' }
  const missed = new Set<string>()
  const statement =
    weighed.language === 'http'
      ? httpOf(recorded, uses, weighed, (what) => missed.add(what))
      : sqlOf(recorded, uses, weighed)
  if (statement.language !== recorded.language) return { missing: 'the record does not read as one of this gateway' }
  return {
    exchange: {
      id: recorded.exchange_id,
      receivedAt: (recorded.received_at ?? recorded.ts) / 1000,
      surface: recorded.surface === 'preflight' || recorded.surface === 'proxy' ? recorded.surface : 'query',
      principal: who,
      connection: recorded.connection,
      ...(recorded.purpose !== '' && { purpose: recorded.purpose }),
      statement,
      findings,
    },
    missed,
    namesOnly: recorded.language === 'googlesql' && recorded.shape === '',
  }
}

// ── the shapes ───────────────────────────────────────────────────────────────────────────────────────────────────

/** The structure of a type, of which only names of fields are weighed: '' for a scalar, else an array's, or the fields'. */
type Structure = '' | { readonly of: Structure } | readonly (readonly [string, Structure])[]

const structure: z.ZodType<Structure> = z.lazy(() =>
  z.union([z.literal(''), z.strictObject({ of: structure }), z.array(z.tuple([z.string(), structure]))]),
)

const names = z.array(z.string())
const pairs = z.array(z.tuple([z.string(), z.string()]))

const columnShape = z.strictObject({
  name: z.string(),
  type: structure.exactOptional(),
  tags: names.exactOptional(),
  /** By path; pairs, as a path may have any name. */
  fieldTags: z.array(z.tuple([z.string(), names])).exactOptional(),
})
const sqlShape = z.strictObject({
  language: z.literal('googlesql'),
  tables: z.array(z.strictObject({ resource: z.string(), columns: z.array(columnShape).exactOptional() })),
  columns: names,
  functions: names,
  features: names,
})
const httpShape = z.strictObject({
  language: z.literal('http'),
  operation: z.string(),
  template: z.string(),
  path: pairs,
  query: pairs,
  /** Without its value where that is not recorded. */
  headers: z.array(z.union([z.tuple([z.string(), z.string()]), z.tuple([z.string()])])),
  /** Whether there is a body, and one whose JSON was weighed. */
  body: z.enum(['json', 'other']).exactOptional(),
})
const weighedShape = z.union([sqlShape, httpShape, z.strictObject({ [OMITTED]: z.string() })])

type WeighedSql = z.output<typeof sqlShape>
type WeighedHttp = z.output<typeof httpShape>

const fact = z.union([z.number(), z.boolean(), z.string(), names])
const findingsShape: z.ZodType<readonly Finding[]> = z.array(
  z.strictObject({
    kind: z.string(),
    where: z.string().exactOptional(),
    count: z.number().exactOptional(),
    facts: z.record(z.string(), z.record(z.string(), fact)).exactOptional(),
  }),
)

const ACTIONS: ReadonlySet<string> = new Set<Action>([
  'read',
  'write',
  'define',
  'delete',
  'export',
  'execute',
  'administer',
])

function parsed<T>(text: string, shape: z.ZodType<T>): T | undefined {
  try {
    return shape.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

// ── SQL ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function weighedSql({ tables, columnsRead, functions, features }: SqlStatement): WeighedSql {
  return {
    columns: [...columnsRead],
    features: [...new Set(features.map(({ name }) => name))],
    functions: [...functions],
    language: 'googlesql',
    tables: tables.map((table) => {
      const columns = weighedColumns(table, columnsRead)
      return columns.length > 0 ? { columns, resource: table.resource } : { resource: table.resource }
    }),
  }
}

/** The columns of a table that a name in `read` may mean, and of which more than the name counts: tags and fields. */
function weighedColumns({ resource, columns }: Table, read: readonly string[]): WeighedColumn[] {
  const prefix = `${resource.toLowerCase()}.`
  const wanted = new Set<string>()
  for (const name of read) {
    const lower = name.toLowerCase()
    if (lower.startsWith(prefix)) wanted.add(lower.slice(prefix.length).split('.', 1)[0] ?? '')
  }
  return columns.flatMap((column) => {
    // The first of a name: the one that a reader of columns finds.
    if (!wanted.delete(column.name.toLowerCase())) return []
    const { tags = [], fieldTags = {} } = column
    const fields = Object.entries(fieldTags)
    const type = structureOf(column.type)
    if (tags.length === 0 && fields.length === 0 && type === '') return []
    return {
      ...(fields.length > 0 && { fieldTags: fields.map(([path, its]): [string, string[]] => [path, [...its]]) }),
      name: column.name,
      ...(tags.length > 0 && { tags: [...tags] }),
      ...(type !== '' && { type }),
    }
  })
}
type WeighedColumn = z.output<typeof columnShape>

function structureOf(type: SqlType): Structure {
  if (type.kind === 'STRUCT') return type.fields.map((field) => [field.name, structureOf(field.type)] as const)
  const of = type.kind === 'ARRAY' ? structureOf(type.of) : ''
  return of === '' ? '' : { of }
}

function typeOf(is: Structure): SqlType {
  if (is === '') return { kind: 'STRING' }
  if ('of' in is) return { kind: 'ARRAY', of: typeOf(is.of) }
  return { kind: 'STRUCT', fields: is.map(([name, type]) => ({ name, type: typeOf(type) })) }
}

function sqlOf(recorded: Recorded, uses: SqlStatement['uses'], weighed: WeighedSql): SqlStatement {
  const { statement_kind: kind, estimated_bytes: bytes, shape } = recorded
  return {
    language: 'googlesql',
    kind,
    text: recorded.statement,
    ...(shape !== '' && { shape }),
    uses,
    tables: weighed.tables.map(({ resource, columns = [] }) => ({
      path: { project: '', dataset: '', table: '' },
      resource,
      kind: 'OTHER',
      columns: columns.map(columnOf),
      version: '',
    })),
    references: [],
    views: [],
    columnsRead: weighed.columns,
    output: [],
    parameters: [],
    functions: weighed.functions,
    features: weighed.features.map((name) => ({ name })),
    bounds: NO_BOUNDS,
    masks: [],
    ...(bytes !== null && { estimate: { bytes, kind, tables: [], output: [] } }),
  }
}

/** Nothing of a recalled exchange can be run. */
const NO_BOUNDS = { maxRows: 0, timeoutMs: 0, maxBytesBilled: 0 }

function columnOf({ name, type = '', tags, fieldTags }: WeighedColumn): Column {
  return {
    name,
    type: typeOf(type),
    nullable: true,
    ...(tags && { tags }),
    ...(fieldTags && { fieldTags: Object.fromEntries(fieldTags) }),
  }
}

// ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function weighedHttp({ operation, template, path, query, headers, body }: HttpStatement): WeighedHttp {
  return {
    ...(body !== undefined && { body: 'json' in body ? 'json' : 'other' }),
    headers: headers.map(([name, value]) => (PLAIN_HEADERS.has(name) ? [name, value] : [name])),
    language: 'http',
    operation,
    path: Object.entries(path),
    query: query.map(([name, value]) => [name, value]),
    template,
  }
}

function httpOf(
  recorded: Recorded,
  uses: HttpStatement['uses'],
  weighed: WeighedHttp,
  miss: (what: string) => void,
): HttpStatement {
  const { statement_kind: kind, statement: text } = recorded
  const { operation, template } = weighed
  const known = weighed.headers.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  const body = weighed.body && bodyOf(recorded, weighed.body, miss)
  return {
    language: 'http',
    kind,
    text,
    uses,
    operation,
    template,
    target: text.slice(kind.length + 1),
    path: Object.fromEntries(weighed.path),
    query: weighed.query,
    get headers() {
      if (known.length < weighed.headers.length) throw missing('values of headers', miss)
      return known
    },
    ...(body !== undefined && { body }),
    bounds: NO_BOUNDS,
    masks: [],
  }
}

function bodyOf(recorded: Recorded, form: 'json' | 'other', miss: (what: string) => void): HttpBody {
  const { request_type: type, request_bytes: length } = recorded
  if (form === 'other') return { type, ...(length !== null && { length }) }
  return {
    type,
    ...(length !== null && { length }),
    get json() {
      const said = jsonOf(recorded)
      if (said === undefined) throw missing('the body, of which only the beginning is recorded', miss)
      return said.json
    },
  }
}

/** What the recorded text says, if it is the whole of what was sent; boxed, as a body may say `null`. */
function jsonOf({ request_body: text, request_bytes: bytes }: Recorded): { readonly json: unknown } | undefined {
  if (bytes === null || new TextEncoder().encode(text).length !== bytes) return undefined
  try {
    return { json: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

/** Notes it and gives what stops whoever asked: a condition that throws has failed. */
function missing(what: string, miss: (what: string) => void): Error {
  miss(what)
  return new Error(`the record does not hold ${what}`)
}

// ── who, and what is done to what ────────────────────────────────────────────────────────────────────────────────

function principalOf(recorded: Recorded): Principal | undefined {
  const { issuer, subject, principal_kind: kind, plane, groups } = recorded
  if (kind !== 'agent' && kind !== 'service' && kind !== 'person') return undefined
  if (plane !== 'agents' && plane !== 'people') return undefined
  const actsFor = { issuer: recorded.acts_for_issuer, subject: recorded.acts_for_subject }
  const isAlone = actsFor.issuer === '' && actsFor.subject === ''
  return { issuer, subject, kind, plane, groups, ...(!isAlone && { actsFor }) }
}

function usesOf({ actions, tables, vias }: Recorded): Inspected['statement']['uses'] | undefined {
  if (actions.length !== tables.length || vias.length !== tables.length) return undefined
  if (!actions.every(isAction)) return undefined
  return actions.map((action, i) => {
    const via = vias[i] ?? ''
    return { action: action as Action, resource: tables[i] ?? '', ...(via !== '' && { via }) }
  })
}

function isAction(text: string): boolean {
  return ACTIONS.has(text)
}
