/**
 * The audit tables and views in ClickHouse, as migrations that only go forward. Each statement may be run again, by this
 * gateway or another at the same time, and changes nothing then.
 */
import { problemOf } from './problem.ts'
import { PAYLOAD_COLUMNS } from './payload.ts'
import { COLUMNS } from './record.ts'
import type { Codec } from './rowbinary.ts'
import { ASKED_AT, quote, viewSql, VIEWS } from './views.ts'

/** What migrating asks of ClickHouse. Its session's database MUST exist already: `default`. */
export interface Commander {
  command(sql: string, signal?: AbortSignal): Promise<void>
  query(request: { sql: string; format: string }, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>
}

/** Brings the database to the newest version. Rejects as ClickHouse does. */
export type Migrator = (signal: AbortSignal) => Promise<void>

export interface Migration {
  readonly version: number
  readonly name: string
  readonly statements: (database: string) => readonly string[]
}

/** Never edited once released: what a database has run, it does not run again. The views are made anew behind the last. */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'events and views', statements: (database) => [tableSql(database, tableOf('events'))] },
  { version: 2, name: 'shapes of statements', statements: (database) => additionsSql(database, 2) },
  { version: 3, name: 'HTTP requests', statements: (database) => additionsSql(database, 3) },
  {
    version: 4,
    name: 'bodies, segments and checkpoints',
    statements: (database) => [
      ...additionsSql(database, 4),
      tableSql(database, tableOf('payloads')),
      tableSql(database, tableOf('segments')),
      tableSql(database, tableOf('checkpoints')),
    ],
  },
  {
    version: 5,
    name: 'indexes and legal holds',
    statements: (database) => [
      ...NEW_INDEXES.map((index) => `ALTER TABLE \`${database}\`.events ADD INDEX IF NOT EXISTS ${index}`),
      ...TABLES.filter(({ since }) => since === 5).map((table) => tableSql(database, table)),
    ],
  },
]

/** The version of a database that has run everything. */
export const NEWEST = Math.max(...MIGRATIONS.map(({ version }) => version))

/** `database` MUST be a plain identifier. */
export function createMigrator(clickhouse: Commander, database: string): Migrator {
  if (!/^[A-Za-z_]\w{0,62}$/.test(database)) throw new Error('the audit database has no plain name')
  return async (signal) => {
    const done = await versionOf(clickhouse, database, signal)
    // Up to date: the gateway's user needs no right to define anything.
    if (done >= NEWEST && (await hasEvents(clickhouse, database, signal))) return
    await clickhouse.command(`CREATE DATABASE IF NOT EXISTS \`${database}\``, signal)
    await clickhouse.command(tableSql(database, tableOf('migrations')), signal)
    // A table that was dropped, while the record of its migration was not, is made again: empty is better than nowhere.
    await clickhouse.command(tableSql(database, tableOf('events')), signal)
    const open = MIGRATIONS.filter(({ version }) => version > done)
    for (const { statements } of open) {
      for (const statement of statements(database)) await clickhouse.command(statement, signal)
    }
    // Those of the newest version alone: one of an older would speak of what is not what it was.
    if (open.length > 0) for (const view of VIEWS) await clickhouse.command(viewSql(database, view), signal)
    for (const { version, name } of open) {
      await clickhouse.command(
        `INSERT INTO \`${database}\`.migrations SELECT ${version}, ${quote(name)}, now64(3, 'UTC')`,
        signal,
      )
    }
  }
}

/** The newest version that this database has run; 0 where it has run none, or there is no database. */
async function versionOf(clickhouse: Commander, database: string, signal: AbortSignal): Promise<number> {
  try {
    return await numberOf(clickhouse, `SELECT max(version) FROM \`${database}\`.migrations`, signal)
  } catch (error) {
    if (NOT_THERE.has(problemOf(error))) return 0
    throw error
  }
}
const NOT_THERE: ReadonlySet<string> = new Set(['UNKNOWN_DATABASE', 'UNKNOWN_TABLE'])

async function hasEvents(clickhouse: Commander, database: string, signal: AbortSignal): Promise<boolean> {
  return (await numberOf(clickhouse, `EXISTS TABLE \`${database}\`.events`, signal)) === 1
}

async function numberOf(clickhouse: Commander, sql: string, signal: AbortSignal): Promise<number> {
  const text = (await textOf(await clickhouse.query({ sql, format: 'TSVRaw' }, signal))).trim()
  const value = Number(text)
  // Nothing is assumed of an answer that is no number: an older version would run again what was run.
  if (text === '' || !Number.isInteger(value)) throw new Error('the schema version cannot be read')
  return value
}

/** Most bytes of an answer that is one line. */
const MAX_ANSWER = 65_536

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MAX_ANSWER) throw new Error('the answer is too long')
  }
  return text
}

/** Columns that sort or count well are stored as differences. */
const STORAGE: Readonly<Record<string, string>> = {
  ts: 'Delta(8), ZSTD(1)',
  segment: 'Delta(8), ZSTD(1)',
  writer_seq: 'Delta(8), ZSTD(1)',
  statement: 'ZSTD(3)',
  ran: 'ZSTD(3)',
  content: 'ZSTD(3)',
}

interface StoredColumn {
  readonly name: string
  readonly codec: Pick<Codec<unknown>, 'type'>
  readonly comment: string
}

function columnSql({ name, codec, comment }: StoredColumn): string {
  return `\`${name}\` ${codec.type} COMMENT ${quote(comment)} CODEC(${STORAGE[name] ?? 'ZSTD(1)'})`
}

/** The columns that a version brought. Rows from before have its type's empty value. */
function additionsSql(database: string, version: number): readonly string[] {
  return COLUMNS.filter(({ since }) => since === version).map(
    (column) => `ALTER TABLE \`${database}\`.events ADD COLUMN IF NOT EXISTS ${columnSql(column)}`,
  )
}

/** Of each sealed segment, what its rows hash to: so that a row that is gone is missed, and one that expired is not. */
export const SEGMENT_COLUMNS = [
  ['writer', 'LowCardinality(String)', 'the gateway that wrote it'],
  ['epoch', 'UUID', 'of its journal'],
  ['segment', 'UInt64', 'of the journal; the first is 1'],
  ['schema', 'UInt8', 'the version of the schema that its rows have'],
  ['first_seq', 'UInt64', 'the `writer_seq` of its first record'],
  ['records', 'UInt64', 'how many records it has'],
  [
    'root',
    'String',
    'the Merkle root over its rows (RFC 6962, SHA-256), 64 hex digits; empty: it was damaged before it was shipped',
  ],
  ['leaves', 'String', 'the leaf hash of each row, 32 bytes each, in order'],
  ['days', 'String', 'the day of `retain_until` of each row, 2 bytes each, little-endian, in order'],
  ['sealed_at', "DateTime64(3, 'UTC')", 'when its last record was written; 1970 where it has none that can be read'],
] as const

/** Signed tree heads, as they were exported. */
export const CHECKPOINT_COLUMNS = [
  ['origin', 'LowCardinality(String)', 'the log: the first line of the checkpoint'],
  ['writer', 'LowCardinality(String)', 'the gateway that signed it'],
  ['epoch', 'UUID', 'of its journal'],
  ['size', 'UInt64', 'how many segments it covers'],
  ['root', 'String', 'the Merkle root over their entries, base64'],
  ['signed_at', "DateTime64(3, 'UTC')", 'when it was signed'],
  ['note', 'String', 'the whole signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses'],
] as const

/** Copies of what must not expire, each under the name of its hold. */
const HOLD_COLUMN = `\`hold\` LowCardinality(String) COMMENT 'the name of the legal hold' CODEC(ZSTD(1))`

/** What was held, by whom, and what was let go. */
export const LEGAL_HOLD_COLUMNS = [
  ['hold', 'String', 'its name'],
  ['at', "DateTime64(3, 'UTC')", 'when this was done, UTC'],
  ['state', 'LowCardinality(String)', 'held: begun, or what is new was copied; released: its copies are gone'],
  ['actor', 'String', 'who did it, as the operating system names them'],
  ['reason', 'String', 'why, in their words'],
  ['scope', 'String', 'what it holds, as JSON: principals, connections, from, to'],
  ['records', 'UInt64', 'copies in `held_events` afterwards'],
  ['pieces', 'UInt64', 'copies in `held_payloads` afterwards'],
] as const

const MIGRATION_COLUMNS = [
  ['version', 'UInt32', 'of the schema'],
  ['name', 'String', 'what it brought'],
  ['applied_at', "DateTime64(3, 'UTC')", 'UTC'],
] as const

/**
 * Indexes that version 5 brought. A database from before has them for what is recorded since; `MATERIALIZE INDEX` builds
 * them for the rest.
 */
const NEW_INDEXES = [
  // An exchange's id begins with its time, so a filter on either reads the granules of that time.
  `ix_asked ${ASKED_AT} TYPE minmax GRANULARITY 1`,
  'ix_segment segment TYPE minmax GRANULARITY 1',
  `ix_touched tables TYPE text(tokenizer = 'array')`,
  `ix_statement statement TYPE text(tokenizer = 'splitByNonAlpha')`,
]

/** One table as it is made; what differs between one server and a cluster is the name and the engine. */
export interface Table {
  readonly name: string
  readonly comment: string
  /** The version of the schema that brought it. */
  readonly since: number
  readonly columns: readonly string[]
  readonly indexes: readonly string[]
  readonly engine: 'MergeTree' | 'ReplacingMergeTree'
  /** What stands behind the engine, settings aside. */
  readonly layout: string
  readonly settings: readonly string[]
  /** How rows spread over shards, where there are several. */
  readonly shardBy: string
}

/** A segment that is sent again is known by its token, for so many inserts. */
const TOKENS = 10_000

/**
 * First the kind: decisions, ends and approvals are asked for apart from each other. Granules are small, because rows are
 * wide and what is asked for is often one exchange.
 */
const EVENTS: Table = {
  name: 'events',
  comment: 'every audit record as it was written',
  since: 1,
  columns: COLUMNS.map(columnSql),
  indexes: [
    'ix_exchange exchange_id TYPE bloom_filter(0.01) GRANULARITY 1',
    'ix_subject subject TYPE bloom_filter(0.01) GRANULARITY 1',
    ...NEW_INDEXES,
  ],
  engine: 'MergeTree',
  layout: 'PARTITION BY toYYYYMM(ts) ORDER BY (kind, ts, record_id) TTL retain_until DELETE',
  settings: [`non_replicated_deduplication_window = ${TOKENS}`, 'index_granularity = 2048'],
  shardBy: 'sipHash64(exchange_id)',
}

const PAYLOADS: Table = {
  name: 'payloads',
  comment: 'bodies of requests and answers as they went out, piece by piece',
  since: 4,
  columns: PAYLOAD_COLUMNS.map(([name, codec, comment]) => columnSql({ name, codec, comment })),
  indexes: ['ix_digests digests TYPE bloom_filter(0.01) GRANULARITY 1'],
  engine: 'MergeTree',
  layout: 'PARTITION BY toYYYYMM(ts) ORDER BY (exchange_id, direction, chunk) TTL retain_until DELETE',
  settings: [`non_replicated_deduplication_window = ${TOKENS}`],
  shardBy: 'sipHash64(exchange_id)',
}

/** Every table of the newest schema. */
export const TABLES: readonly Table[] = [
  EVENTS,
  PAYLOADS,
  {
    name: 'segments',
    comment: 'what each sealed segment of the journal hashes to',
    since: 4,
    columns: plainColumns(SEGMENT_COLUMNS),
    indexes: [],
    engine: 'ReplacingMergeTree',
    layout: 'ORDER BY (writer, epoch, segment)',
    settings: [`non_replicated_deduplication_window = ${TOKENS}`],
    shardBy: 'sipHash64(writer)',
  },
  {
    name: 'checkpoints',
    comment: 'signed tree heads of the journals',
    since: 4,
    columns: plainColumns(CHECKPOINT_COLUMNS),
    indexes: [],
    engine: 'MergeTree',
    layout: 'ORDER BY (writer, epoch, signed_at)',
    settings: [`non_replicated_deduplication_window = ${TOKENS}`],
    shardBy: 'sipHash64(writer)',
  },
  {
    name: 'held_events',
    comment: 'copies of records under a legal hold: they do not expire',
    since: 5,
    columns: [HOLD_COLUMN, ...EVENTS.columns],
    indexes: [],
    // A hold that is brought up to date may copy what it has: of equal rows one stays.
    engine: 'ReplacingMergeTree',
    layout: 'PARTITION BY hold ORDER BY (hold, ts, record_id)',
    settings: [],
    shardBy: 'sipHash64(exchange_id)',
  },
  {
    name: 'held_payloads',
    comment: 'copies of pieces of bodies under a legal hold: they do not expire',
    since: 5,
    columns: [HOLD_COLUMN, ...PAYLOADS.columns],
    indexes: [],
    engine: 'ReplacingMergeTree',
    layout: 'PARTITION BY hold ORDER BY (hold, exchange_id, direction, chunk, writer_seq)',
    settings: [],
    shardBy: 'sipHash64(exchange_id)',
  },
  {
    name: 'legal_holds',
    comment: 'what was put under a legal hold and what was let go, by whom and why',
    since: 5,
    columns: plainColumns(LEGAL_HOLD_COLUMNS),
    indexes: [],
    engine: 'MergeTree',
    layout: 'ORDER BY (hold, at)',
    settings: [],
    shardBy: 'sipHash64(hold)',
  },
  {
    name: 'migrations',
    comment: 'versions of this schema',
    since: 0,
    columns: plainColumns(MIGRATION_COLUMNS),
    indexes: [],
    engine: 'MergeTree',
    layout: 'ORDER BY version',
    settings: [],
    shardBy: 'version',
  },
]

function tableOf(name: string): Table {
  const table = TABLES.find((one) => one.name === name)
  if (table === undefined) throw new Error(`there is no table ${name}`)
  return table
}

/** How a table is made elsewhere than on one server. */
export interface Elsewhere {
  /** Stands behind the name: `ON CLUSTER audit`. */
  readonly on: string
  readonly name: string
  readonly engine: string
  readonly settings: readonly string[]
}

/** The statement that makes a table in `database`, a plain identifier. */
export function tableSql(database: string, table: Table, elsewhere?: Elsewhere): string {
  const { name, engine, on, settings } = elsewhere ?? { ...table, on: '' }
  return [
    `CREATE TABLE IF NOT EXISTS \`${database}\`.\`${name}\`${on === '' ? '' : ` ${on}`} (`,
    [...table.columns, ...table.indexes.map((index) => `INDEX ${index}`)].map((line) => `  ${line}`).join(',\n'),
    `) ENGINE = ${engine} ${table.layout}`,
    ...(settings.length === 0 ? [] : [`SETTINGS ${settings.join(', ')}`]),
    `COMMENT ${quote(table.comment)}`,
  ].join('\n')
}

function plainColumns(columns: readonly (readonly [name: string, type: string, comment: string])[]): readonly string[] {
  return columns.map(([name, type, comment]) => `\`${name}\` ${type} COMMENT ${quote(comment)}`)
}
