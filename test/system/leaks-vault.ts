/**
 * Tables of canaries: a column for each type and strategy, every masked value a word that occurs nowhere else. Beside them
 * `mirror`, a dataset whose tables hold what the masks are promised to show, computed here and not by the gateway's SQL.
 */
import { createHmac } from 'node:crypto'

export const KEY = 'a-mask-key-of-the-tests-0123456789'

/** Rows of canaries in the vault; one more is all NULL. */
const ROWS = 6

type Value = string | number | bigint | boolean | null | readonly Value[] | { readonly [field: string]: Value }

/** As a policy writes it. */
type Mask = string | Readonly<Record<string, string | number>>

interface Column {
  readonly name: string
  /** GoogleSQL's type. */
  readonly type: string
  /** How policy masks it: by path within the column, `''` for the column itself. */
  readonly masks: Readonly<Record<string, Mask>>
  readonly value: (row: number) => Value
  readonly masked: (value: Value) => Value
}

/** A made-up order of numbers, the same at every run. */
function random(seed: string): () => number {
  let state = 2_166_136_261
  for (const unit of seed) state = Math.imul(state ^ unit.charCodeAt(0), 16_777_619) >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** A word that no one writes by chance. */
export function word(seed: string, length = 14): string {
  const next = random(seed)
  for (let skip = 0; skip < 5; skip++) next()
  return Array.from({ length }, () => 'qxzjvkw'[Math.floor(next() * 7)]).join('')
}

/** Fifteen digits, the first of them not 0. */
export function digits(seed: string, length = 15): string {
  const next = random(`digits ${seed}`)
  for (let skip = 0; skip < 5; skip++) next()
  return Array.from({ length }, (_, at) => (at === 0 ? 3 + Math.floor(next() * 6) : Math.floor(next() * 10))).join('')
}

/** A day between 1931 and 1968 that begins neither a year nor a month. */
function day(seed: string): string {
  const next = random(`day ${seed}`)
  for (let skip = 0; skip < 5; skip++) next()
  const two = (n: number): string => String(n).padStart(2, '0')
  return `${1931 + Math.floor(next() * 38)}-${two(2 + Math.floor(next() * 11))}-${two(3 + Math.floor(next() * 25))}`
}

/** A scalar as text. */
const plain = (value: Value): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))
const hmac = (text: string | Uint8Array): Buffer => createHmac('sha256', KEY).update(text).digest()
const hash = (value: Value): Value => (value === null ? null : hmac(plain(value)).toString('hex'))
const redacted = (value: Value): Value => (value === null ? null : '[redacted]')
const gone = (): Value => null
const partly =
  (keepFirst: number, keepLast: number) =>
  (value: Value): Value => {
    if (value === null) return null
    const characters = Array.from(plain(value))
    const length = characters.length
    const third = Math.floor(length / 3)
    const last = Math.min(keepLast, third)
    const first = Math.min(keepFirst, third - last)
    return [...characters.slice(0, first), '*'.repeat(length - first - last), ...characters.slice(length - last)].join(
      '',
    )
  }
const always =
  (constant: Value) =>
  (value: Value): Value =>
    value === null ? null : constant
const stepped =
  (step: bigint) =>
  (value: Value): Value =>
    value === null ? null : BigInt(plain(value)) - (BigInt(plain(value)) % step)

const text = (seed: string) => (row: number) => word(`${seed} ${row}`)
const number = (seed: string) => (row: number) => BigInt(digits(`${seed} ${row}`))

function column(
  name: string,
  type: string,
  mask: Mask,
  value: (row: number) => Value,
  masked: (value: Value) => Value,
): Column {
  return { name, type, masks: mask === '' ? {} : { '': mask }, value, masked }
}

const open = (name: string, type: string, value: (row: number) => Value): Column =>
  column(name, type, '', value, (same) => same)

const struct = (value: Value): Readonly<Record<string, Value>> => value as Readonly<Record<string, Value>>
const list = (value: Value): readonly Value[] => value as readonly Value[]
const within =
  (change: (fields: Readonly<Record<string, Value>>) => Value) =>
  (value: Value): Value =>
    value === null ? null : change(struct(value))
const each =
  (change: (value: Value) => Value) =>
  (value: Value): Value =>
    value === null ? null : list(value).map(change)

export const COLUMNS: readonly Column[] = [
  open('id', 'INT64', (row) => row),
  open('label', 'STRING', (row) => `label-${row}`),
  open('grp', 'STRING', (row) => (row % 2 === 0 ? 'even' : 'odd')),
  column('s_redact', 'STRING', 'redact', text('s_redact'), redacted),
  column('s_null', 'STRING', 'null', text('s_null'), gone),
  column('s_hash', 'STRING', 'hash', text('s_hash'), hash),
  column('s_partial', 'STRING', 'partial', text('s_partial'), partly(0, 4)),
  column('s_ends', 'STRING', { strategy: 'partial', keepFirst: 1, keepLast: 2 }, text('s_ends'), partly(1, 2)),
  column('b_redact', 'BYTES', 'redact', text('b_redact'), always('')),
  column('b_hash', 'BYTES', 'hash', text('b_hash'), (value) =>
    value === null ? null : hmac(plain(value)).toString('latin1'),
  ),
  column('b_null', 'BYTES', 'null', text('b_null'), gone),
  column('i_redact', 'INT64', 'redact', number('i_redact'), always(0n)),
  column('i_hash', 'INT64', 'hash', number('i_hash'), (value) =>
    value === null ? null : BigInt(`0x${plain(hash(value)).slice(0, 15)}`),
  ),
  column('i_step', 'INT64', { strategy: 'truncate', step: 10 ** 12 }, number('i_step'), stepped(10n ** 12n)),
  column('n_redact', 'NUMERIC', 'redact', number('n_redact'), always(0n)),
  column('n_step', 'NUMERIC', { strategy: 'truncate', step: 10 ** 12 }, number('n_step'), stepped(10n ** 12n)),
  column('f_step', 'FLOAT64', { strategy: 'truncate', step: 10 ** 12 }, number('f_step'), stepped(10n ** 12n)),
  column('f_null', 'FLOAT64', 'null', number('f_null'), gone),
  column('ok', 'BOOL', 'redact', (row) => row % 3 === 0, always(false)),
  column(
    'd_year',
    'DATE',
    'year',
    (row) => day(`d_year ${row}`),
    (value) => (value === null ? null : `${plain(value).slice(0, 4)}-01-01`),
  ),
  column(
    'd_month',
    'DATE',
    { strategy: 'truncate', to: 'MONTH' },
    (row) => day(`d_month ${row}`),
    (value) => (value === null ? null : `${plain(value).slice(0, 7)}-01`),
  ),
  column('d_redact', 'DATE', 'redact', (row) => day(`d_redact ${row}`), always('1970-01-01')),
  column(
    'dt_year',
    'DATETIME',
    'year',
    (row) => `${day(`dt ${row}`)} 13:17:19`,
    (value) => (value === null ? null : `${plain(value).slice(0, 4)}-01-01 00:00:00`),
  ),
  column(
    'ts_year',
    'TIMESTAMP',
    'year',
    (row) => `${day(`ts ${row}`)} 13:17:19+00`,
    (value) => (value === null ? null : `${plain(value).slice(0, 4)}-01-01 00:00:00+00`),
  ),
  column('t_redact', 'TIME', 'redact', (row) => `13:17:1${row}`, always('00:00:00')),
  column('j_redact', 'JSON', 'redact', (row) => ({ a: word(`j_redact ${row}`) }), always('[redacted]')),
  column(
    'j_hash',
    'JSON',
    'hash',
    (row) => ({ a: word(`j_hash ${row}`) }),
    (value) => (value === null ? null : hash(JSON.stringify(value))),
  ),
  {
    name: 'doc',
    type: 'JSON',
    masks: {
      '$.card': 'redact',
      '$.mail': 'hash',
      '$.phone': 'partial',
      '$.gone': 'null',
      '$.deep.list[0]': 'redact',
    },
    value: (row) => ({
      card: word(`card ${row}`),
      deep: { list: [word(`deep ${row}`), 'second'] },
      gone: word(`gone ${row}`),
      mail: word(`s_hash ${row}`),
      phone: word(`phone ${row}`),
      plan: 'free',
    }),
    masked: within((doc) => ({
      ...doc,
      card: '[redacted]',
      deep: { list: ['[redacted]', 'second'] },
      gone: null,
      mail: hash(doc['mail'] ?? null),
      phone: partly(0, 4)(doc['phone'] ?? null),
    })),
  },
  {
    name: 'home',
    type: 'STRUCT<street STRING, city STRING, geo STRUCT<code STRING, floor INT64>>',
    masks: { street: 'redact', 'geo.code': 'hash', 'geo.floor': 'redact' },
    value: (row) => ({
      street: word(`street ${row}`),
      city: row % 2 === 0 ? 'Oslo' : 'Porto',
      geo: { code: word(`code ${row}`), floor: BigInt(digits(`floor ${row}`)) },
    }),
    masked: within(({ city, geo }) => ({
      street: '[redacted]',
      city: city ?? null,
      geo: { code: hash(struct(geo ?? null)['code'] ?? null), floor: 0n },
    })),
  },
  column(
    'whole',
    'STRUCT<a STRING, b INT64>',
    'redact',
    (row) => ({ a: word(`whole ${row}`), b: BigInt(digits(`whole ${row}`)) }),
    within(() => ({ a: '[redacted]', b: 0n })),
  ),
  column('marks', 'ARRAY<STRING>', 'hash', (row) => [word(`mark ${row}`), word(`mark2 ${row}`)], each(hash)),
  column('pins', 'ARRAY<INT64>', 'redact', (row) => [BigInt(digits(`pin ${row}`))], each(always(0n))),
  {
    name: 'links',
    type: 'ARRAY<STRUCT<kind STRING, value STRING, more ARRAY<STRUCT<v STRING>>>>',
    masks: { value: 'redact', 'more.v': 'partial' },
    value: (row) =>
      ['mail', 'chat'].map((kind) => ({
        kind,
        value: word(`link ${kind} ${row}`),
        more: [{ v: word(`more ${kind} ${row}`) }],
      })),
    masked: each((link) => ({
      ...struct(link),
      value: '[redacted]',
      more: list(struct(link)['more'] ?? null).map((more) => ({ v: partly(0, 4)(struct(more)['v'] ?? null) })),
    })),
  },
]

const quoted = (text: string): string => `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`

const sqlOf = (value: Value, type: string): string => {
  if (value === null) return `CAST(NULL AS ${type})`
  switch (type.replace(/<.*/, '')) {
    case 'STRING':
      return quoted(plain(value))
    case 'BYTES':
      return `FROM_HEX('${Buffer.from(plain(value), 'latin1').toString('hex')}')`
    case 'JSON':
      return `JSON ${quoted(JSON.stringify(value))}`
    case 'DATE':
    case 'TIME':
    case 'DATETIME':
    case 'TIMESTAMP':
      return `${type} '${plain(value)}'`
    case 'NUMERIC':
      return `NUMERIC '${plain(value)}'`
    case 'FLOAT64':
      return `CAST(${plain(value)} AS FLOAT64)`
    case 'STRUCT':
      return `STRUCT(${fieldsOf(type)
        .map(({ name, type: inner }) => `${sqlOf(struct(value)[name] ?? null, inner)} AS ${name}`)
        .join(', ')})`
    case 'ARRAY':
      return `${type}[${list(value)
        .map((item) => sqlOf(item, type.slice(6, -1)))
        .join(', ')}]`
    default:
      return plain(value)
  }
}

/** `STRUCT<a STRING, b ARRAY<…>>`, field by field. */
function fieldsOf(type: string): readonly { readonly name: string; readonly type: string }[] {
  const parts: string[] = []
  let depth = 0
  let part = ''
  for (const unit of type.slice(7, -1)) {
    if (unit === '<') depth += 1
    if (unit === '>') depth -= 1
    if (unit === ',' && depth === 0) {
      parts.push(part.trim())
      part = ''
    } else part += unit
  }
  return [...parts, part.trim()].map((field) => {
    const space = field.indexOf(' ')
    return { name: field.slice(0, space), type: field.slice(space + 1) }
  })
}

/** Each string and number of a value, down to the last. */
function leavesOf(value: Value): readonly string[] {
  if (value === null || typeof value === 'boolean') return []
  if (typeof value === 'object') return Object.values(value).flatMap(leavesOf)
  return [plain(value)]
}

const rowsOf = (columns: readonly Column[], rows: number): readonly (readonly Value[])[] => [
  ...Array.from({ length: rows }, (_, at) => columns.map(({ value }) => value(at + 1))),
  columns.map(({ name }) => (name === 'id' ? BigInt(rows + 1) : null)),
]

interface Table {
  readonly name: string
  readonly columns: readonly Column[]
}

const PEOPLE: Table = { name: 'people', columns: COLUMNS }

/** Joins with people on hashed values. */
const USES: Table = {
  name: 'uses',
  columns: [
    open('id', 'INT64', (row) => row),
    column('mail', 'STRING', 'hash', (row) => word(`s_hash ${1 + (row % 3)}`), hash),
    open('amount', 'INT64', (row) => BigInt(row * 10)),
    open('seen', 'TIMESTAMP', (row) => `2026-01-0${row} 00:00:00+00`),
  ],
}

const LOG_COLUMNS = [
  open('id', 'INT64', (row) => row),
  column('who', 'STRING', 'redact', text('who'), redacted),
  open('event', 'STRING', (row) => (row % 2 === 0 ? 'view' : 'buy')),
]

/** Shards of a wildcard table. */
const LOGS: readonly Table[] = ['log_1', 'log_2'].map((name) => ({ name, columns: LOG_COLUMNS }))

/** A roll of the dice for a row of `made`. */
const rolled = (seed: string, row: number): (() => number) => {
  const next = random(`made ${seed} ${row}`)
  for (let skip = 0; skip < 5; skip++) next()
  return next
}

const UNITS = ['a', 'b', 'Z', '7', '1', '-', '@', '.', ' ', '*', "'", '\\', '"', '%', 'é', 'ß', '漢', '🙂', '[', ',']

/** Now and then nothing, or a text of none to twenty characters. */
const anyText =
  (seed: string) =>
  (row: number): Value => {
    const next = rolled(seed, row)
    if (next() < 0.15) return null
    return Array.from({ length: Math.floor(next() * 21) }, () => UNITS[Math.floor(next() * UNITS.length)]).join('')
  }

/** Of few, so that rows meet. */
const fewTexts = (seed: string) => (row: number) => {
  const next = rolled(seed, row)
  return next() < 0.15 ? null : (['', 'one', 'twö', 'three@x', '🙂'][Math.floor(next() * 5)] ?? null)
}

const anyNumber =
  (seed: string, magnitude: number) =>
  (row: number): Value => {
    const next = rolled(seed, row)
    return next() < 0.15 ? null : BigInt(Math.floor((next() * 2 - 1) * magnitude))
  }

const anyDay =
  (seed: string) =>
  (row: number): Value => {
    const next = rolled(seed, row)
    if (next() < 0.15) return null
    return new Date(Math.floor((next() * 2 - 0.8) * 60 * 365) * 86_400_000).toISOString().slice(0, 10)
  }

/** Anything that may stand at a place of a document; `undefined` where nothing stands. */
function anyPlace(next: () => number): Value | undefined {
  return [undefined, null, '', 'kärd 41', '4111', 7, -12, true, ['x', 1], { a: 'b' }][Math.floor(next() * 10)]
}

function anyDocument(row: number): Value {
  const next = rolled('doc', row)
  const shape = next()
  if (shape < 0.1) return null
  if (shape < 0.2) return ['card', { card: 'inside' }]
  if (shape < 0.25) return 'card'
  // Keys in the order in which BigQuery writes them.
  const entries = ['card', 'deep', 'mail', 'open', 'tail'].map((key) => [
    key,
    key === 'deep' && next() < 0.5 ? [anyPlace(next) ?? 0, 'last'] : anyPlace(next),
  ])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Value
}

/** A scalar as JSON_VALUE tells it; else the text of the JSON. */
const scalarText = (value: Value): string | undefined =>
  typeof value === 'object' ? undefined : typeof value === 'string' ? value : String(value)

function maskedDocument(value: Value): Value {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value
  const at: Readonly<Record<string, (place: Value) => Value>> = {
    card: redacted,
    mail: (place) => hash(scalarText(place) ?? JSON.stringify(place)),
    tail: (place) => {
      const text = scalarText(place)
      return text === undefined ? '[redacted]' : partly(0, 4)(text)
    },
    deep: (place) => (Array.isArray(place) && place[0] !== null ? ['[redacted]', ...place.slice(1)] : place),
  }
  const masked = ([key, place]: [string, Value]): [string, Value] => [
    key,
    place === null ? null : (at[key]?.(place) ?? place),
  ]
  return Object.fromEntries(Object.entries(struct(value)).map(masked))
}

/** Rows of which nothing is known: texts of all lengths and scripts, NULLs, documents of every shape. */
export const MADE: Table = {
  name: 'made',
  columns: [
    open('id', 'INT64', (row) => row),
    column('txt', 'STRING', 'partial', anyText('txt'), partly(0, 4)),
    column('ends', 'STRING', { strategy: 'partial', keepFirst: 2, keepLast: 3 }, anyText('ends'), partly(2, 3)),
    column('mark', 'STRING', 'hash', fewTexts('mark'), hash),
    column('num', 'INT64', 'hash', anyNumber('num', 1000), (value) =>
      value === null ? null : BigInt(`0x${plain(hash(value)).slice(0, 15)}`),
    ),
    column('big', 'INT64', { strategy: 'truncate', step: 7 }, anyNumber('big', 1e12), stepped(7n)),
    column('amt', 'NUMERIC', { strategy: 'truncate', step: 10 }, anyNumber('amt', 1e6), stepped(10n)),
    column('day', 'DATE', { strategy: 'truncate', to: 'MONTH' }, anyDay('day'), (value) =>
      value === null ? null : `${plain(value).slice(0, 7)}-01`,
    ),
    column(
      'moment',
      'TIMESTAMP',
      'year',
      (row) => {
        const at = anyDay('moment')(row)
        return at === null ? null : `${plain(at)} 23:59:59.999999+00`
      },
      (value) => (value === null ? null : `${plain(value).slice(0, 4)}-01-01 00:00:00+00`),
    ),
    column(
      'raw',
      'BYTES',
      'hash',
      (row) => (row % 7 === 0 ? null : 'abc'.slice(row % 4)),
      (value) => (value === null ? null : hmac(plain(value)).toString('latin1')),
    ),
    {
      name: 'doc',
      type: 'JSON',
      masks: { '$.card': 'redact', '$.mail': 'hash', '$.tail': 'partial', '$.deep[0]': 'redact' },
      value: anyDocument,
      masked: maskedDocument,
    },
    {
      name: 'home',
      type: 'STRUCT<street STRING, city STRING>',
      masks: { street: 'partial' },
      value: (row) => (row % 9 === 0 ? null : { street: anyText('street')(row), city: fewTexts('city')(row) }),
      masked: within(({ street, city }) => ({ street: partly(0, 4)(street ?? null), city: city ?? null })),
    },
    {
      name: 'list',
      type: 'ARRAY<STRUCT<k STRING, v STRING>>',
      masks: { v: 'hash' },
      value: (row) =>
        Array.from({ length: row % 4 }, (_, at) => ({ k: fewTexts(`k${at}`)(row), v: fewTexts(`v${at}`)(row) })),
      masked: each(within(({ k, v }) => ({ k: k ?? null, v: hash(v ?? null) }))),
    },
    {
      name: 'words',
      type: 'ARRAY<STRING>',
      masks: { '': 'redact' },
      value: (row) => Array.from({ length: row % 3 }, (_, at) => `w${at}`),
      masked: each(redacted),
    },
  ],
}

/** Rows of `made`. */
const MADE_ROWS = 40

const TABLES = [PEOPLE, USES, ...LOGS]

const VIEWS: Readonly<Record<string, string>> = {
  card: `SELECT id, label, grp, s_redact AS plain, s_hash, s_partial, i_redact, d_year, home, links, doc, marks FROM DATASET.people`,
  card2: `SELECT id, grp, plain AS deeper, s_hash AS h, home.street AS street, doc FROM DATASET.card WHERE id < 100`,
}

/** The statements that make the datasets `vault` and `mirror`. */
export function vaultSql(): readonly string[] {
  const made = (dataset: string, { name, columns }: Table, masked: boolean): string[] => {
    const rows = rowsOf(columns, name === MADE.name ? MADE_ROWS : ROWS).map((row) =>
      columns.map(({ name: as, type, masked: mask }, at) => {
        const value = row[at] ?? null
        return `${sqlOf(masked ? mask(value) : value, type)} AS ${as}`
      }),
    )
    return [`CREATE TABLE ${dataset}.${name} AS ${rows.map((row) => `SELECT ${row.join(', ')}`).join(' UNION ALL ')}`]
  }
  return ['vault', 'mirror'].flatMap((dataset) => [
    `CREATE SCHEMA ${dataset}`,
    ...[...TABLES, MADE].flatMap((table) => made(dataset, table, dataset === 'mirror')),
    ...Object.entries(VIEWS).map(
      ([name, sql]) =>
        `CREATE VIEW ${dataset}.${name} AS ${sql.replaceAll(/DATASET\.(\w+)/g, `\`sluice-sandbox.${dataset}.$1\``)}`,
    ),
  ])
}

/** The same statement over the mirror. */
export function mirrored(sql: string): string {
  return sql
    .replaceAll(/vault/gi, 'mirror')
    .replaceAll(/\bshop(`?\s*\.\s*`?(?:customers|orders|customer_directory)\b)/gi, 'mirror$1')
}

/** What a mask hides, and what it shows of it. */
export interface Canary {
  readonly column: string
  readonly secret: string
  readonly shown: string
}

export function canaries(): readonly Canary[] {
  return TABLES.flatMap(({ columns }) =>
    columns
      .filter(({ masks }) => Object.keys(masks).length > 0)
      .flatMap(({ name, value, masked }) =>
        Array.from({ length: ROWS }, (_, at) => at + 1).flatMap((row) => {
          const shown = leavesOf(masked(value(row)))
          return leavesOf(value(row))
            .filter((secret) => !shown.includes(secret))
            .map((secret) => ({ column: name, secret, shown: shown.join(' ') }))
        }),
      ),
  )
}

/** Policy documents by file name: agents read the vault masked; a writer's reading of it waits for an owner. */
export function vaultPolicies(): Readonly<Record<string, string>> {
  const masked = [
    { resource: 'people', columns: COLUMNS },
    { resource: 'uses', columns: USES.columns },
    { resource: 'log_*', columns: LOG_COLUMNS },
    { resource: 'made', columns: MADE.columns },
  ]
  const columns = Object.fromEntries(
    masked.flatMap(({ resource, columns: all }) =>
      all.flatMap(({ name, masks }) =>
        Object.entries(masks).map(([path, mask]) => [
          `vault.${resource}.${name}${path === '' ? '' : `.${path}`}`,
          mask,
        ]),
      ),
    ),
  )
  const policy = (name: string, group: string, rule: object): string =>
    // JSON is YAML.
    JSON.stringify({
      policy: name,
      description: 'canaries',
      principals: { groups: [group] },
      connections: ['warehouse'],
      rules: [
        {
          id: 'read',
          ...rule,
          actions: ['read'],
          resources: ['vault.*'],
          because: 'the vault is read masked',
          obligations: { 'mask-columns': { columns } },
        },
        {
          id: 'mirror',
          effect: 'permit',
          actions: ['read'],
          resources: ['mirror.*'],
          because: 'it holds what masks show',
        },
      ],
    })
  return {
    'leaks-agents.yaml': policy('leaks-agents', 'analyst-agents', { effect: 'permit' }),
    'leaks-writers.yaml': policy('leaks-writers', 'writer-agents', {
      effect: 'hold',
      approvers: { groups: ['data-owners'] },
    }),
  }
}
