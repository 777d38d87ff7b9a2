/**
 * The audit tables and views in ClickHouse, as migrations that only go forward. Each statement may be run again, by this
 * gateway or another at the same time, and changes nothing then.
 */
import { problemOf } from './problem.ts'
import { PAYLOAD_COLUMNS } from './payload.ts'
import { COLUMNS } from './record.ts'
import type { Codec } from './rowbinary.ts'
import { quote, viewSql, VIEWS } from './views.ts'

/** What migrating asks of ClickHouse. Its session's database MUST exist already: `default`. */
export interface Commander {
  command(sql: string, signal?: AbortSignal): Promise<void>
  query(request: { sql: string; format: string }, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>
}

/** Brings the database to the newest version. Rejects as ClickHouse does. */
export type Migrator = (signal: AbortSignal) => Promise<void>

interface Migration {
  readonly version: number
  readonly name: string
  readonly statements: (database: string) => readonly string[]
}

/** Never edited once released: what a database has run, it does not run again. The views are made anew behind the last. */
const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'events and views', statements: (database) => [eventsSql(database)] },
  { version: 2, name: 'shapes of statements', statements: (database) => additionsSql(database, 2) },
  { version: 3, name: 'HTTP requests', statements: (database) => additionsSql(database, 3) },
  {
    version: 4,
    name: 'bodies, segments and checkpoints',
    statements: (database) => [
      ...additionsSql(database, 4),
      payloadsSql(database),
      segmentsSql(database),
      checkpointsSql(database),
    ],
  },
]

const NEWEST = Math.max(...MIGRATIONS.map(({ version }) => version))

/** `database` MUST be a plain identifier. */
export function createMigrator(clickhouse: Commander, database: string): Migrator {
  if (!/^[A-Za-z_]\w{0,62}$/.test(database)) throw new Error('the audit database has no plain name')
  return async (signal) => {
    const done = await versionOf(clickhouse, database, signal)
    // Up to date: the gateway's user needs no right to define anything.
    if (done >= NEWEST && (await hasEvents(clickhouse, database, signal))) return
    await clickhouse.command(`CREATE DATABASE IF NOT EXISTS \`${database}\``, signal)
    await clickhouse.command(migrationsSql(database), signal)
    // A table that was dropped, while the record of its migration was not, is made again: empty is better than nowhere.
    await clickhouse.command(eventsSql(database), signal)
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

function migrationsSql(database: string): string {
  return [
    `CREATE TABLE IF NOT EXISTS \`${database}\`.migrations`,
    `(version UInt32 COMMENT 'of the schema', name String COMMENT 'what it brought',`,
    `applied_at DateTime64(3, 'UTC') COMMENT 'UTC') ENGINE = MergeTree ORDER BY version`,
    `COMMENT 'versions of this schema'`,
  ].join(' ')
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

function eventsSql(database: string): string {
  const columns = COLUMNS.map(columnSql)
  return [
    `CREATE TABLE IF NOT EXISTS \`${database}\`.events (`,
    [
      ...columns,
      'INDEX ix_exchange exchange_id TYPE bloom_filter(0.01) GRANULARITY 1',
      'INDEX ix_subject subject TYPE bloom_filter(0.01) GRANULARITY 1',
      'INDEX ix_tables tables TYPE bloom_filter(0.01) GRANULARITY 1',
    ].join(',\n'),
    ') ENGINE = MergeTree PARTITION BY toYYYYMM(ts) ORDER BY (ts, record_id) TTL retain_until DELETE',
    'SETTINGS non_replicated_deduplication_window = 10000',
    `COMMENT 'every audit record as it was written'`,
  ].join('\n')
}

function payloadsSql(database: string): string {
  const columns = PAYLOAD_COLUMNS.map(([name, codec, comment]) => columnSql({ name, codec, comment }))
  return [
    `CREATE TABLE IF NOT EXISTS \`${database}\`.payloads (`,
    [...columns, 'INDEX ix_digests digests TYPE bloom_filter(0.01) GRANULARITY 1'].join(',\n'),
    ') ENGINE = MergeTree PARTITION BY toYYYYMM(ts) ORDER BY (exchange_id, direction, chunk) TTL retain_until DELETE',
    'SETTINGS non_replicated_deduplication_window = 10000',
    `COMMENT 'bodies of requests and answers as they went out, piece by piece'`,
  ].join('\n')
}

/** Of each sealed segment, what its rows hash to: so that a row that is gone is missed, and one that expired is not. */
export const SEGMENT_COLUMNS = [
  ['writer', 'LowCardinality(String)', 'the gateway that wrote it'],
  ['epoch', 'UUID', 'of its journal'],
  ['segment', 'UInt64', 'of the journal; the first is 1'],
  ['schema', 'UInt8', 'the version of the schema that its rows have'],
  ['first_seq', 'UInt64', 'the `writer_seq` of its first record'],
  ['records', 'UInt64', 'how many records it has'],
  ['root', 'String', 'the Merkle root over its rows (RFC 6962, SHA-256), 64 hex digits'],
  ['leaves', 'String', 'the leaf hash of each row, 32 bytes each, in order'],
  ['days', 'String', 'the day of `retain_until` of each row, 2 bytes each, little-endian, in order'],
  ['sealed_at', "DateTime64(3, 'UTC')", 'when it was sealed'],
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

function segmentsSql(database: string): string {
  return [
    `CREATE TABLE IF NOT EXISTS \`${database}\`.segments (${plainColumns(SEGMENT_COLUMNS)})`,
    'ENGINE = ReplacingMergeTree ORDER BY (writer, epoch, segment)',
    'SETTINGS non_replicated_deduplication_window = 10000',
    `COMMENT 'what each sealed segment of the journal hashes to'`,
  ].join('\n')
}

function checkpointsSql(database: string): string {
  return [
    `CREATE TABLE IF NOT EXISTS \`${database}\`.checkpoints (${plainColumns(CHECKPOINT_COLUMNS)})`,
    'ENGINE = MergeTree ORDER BY (writer, epoch, signed_at)',
    'SETTINGS non_replicated_deduplication_window = 10000',
    `COMMENT 'signed tree heads of the journals'`,
  ].join('\n')
}

function plainColumns(columns: readonly (readonly [name: string, type: string, comment: string])[]): string {
  return columns.map(([name, type, comment]) => `\`${name}\` ${type} COMMENT ${quote(comment)}`).join(', ')
}
