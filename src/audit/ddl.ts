/** The audit tables and views of a cluster, as statements for whoever may define them there. Pure; from the same tables as one server's. */
import { MIGRATIONS, NEWEST, TABLES, tableSql, type Table } from './schema.ts'
import { quote, viewSql, VIEWS } from './views.ts'

export interface ClusterOptions {
  /** A plain identifier. */
  readonly database: string
  /** Its name in the servers' `remote_servers`. */
  readonly cluster: string
  /** Rows are spread over shards; otherwise every replica has them all. */
  readonly sharded: boolean
}

/** How long a segment that is sent again is known by its token, in seconds: longer than any outage. */
const TOKEN_SECONDS = 30 * 86_400

/** In the order in which they are run, once, on any of the servers. Throws where a name is none. */
export function clusterSql({ database, cluster, sharded }: ClusterOptions): readonly string[] {
  for (const name of [database, cluster]) {
    if (!/^[A-Za-z_]\w{0,62}$/.test(name)) throw new Error(`\`${name}\` is no plain name`)
  }
  const on = `ON CLUSTER \`${cluster}\``
  return [
    `CREATE DATABASE IF NOT EXISTS \`${database}\` ${on}`,
    ...TABLES.flatMap((table) => [
      replicated(database, table, on, sharded),
      ...(sharded ? [distributed(database, table, cluster, on)] : []),
    ]),
    ...VIEWS.map((view) => viewSql(database, view, on)),
    ...MIGRATIONS.map(
      ({ version, name }) =>
        `INSERT INTO \`${database}\`.migrations SELECT ${version}, ${quote(name)}, now64(3, 'UTC') ` +
        `WHERE ${version} NOT IN (SELECT version FROM \`${database}\`.migrations)`,
    ),
  ]
}

/** The whole file. */
export function clusterFile(options: ClusterOptions): string {
  const { sharded, cluster, database } = options
  const head = [
    `-- Made by \`sluice audit ddl --cluster ${cluster} --database ${database}${sharded ? ' --sharded' : ''}\`, schema ${NEWEST}. Do not edit.`,
    '-- Run by a user that may define tables: clickhouse-client --multiquery < this file. Running it again changes nothing.',
  ]
  return `${head.join('\n')}\n\n${clusterSql(options).join(';\n\n')};\n`
}

function replicated(database: string, table: Table, on: string, sharded: boolean): string {
  const { name, engine, settings } = table
  const kept = settings.filter((setting) => !setting.startsWith('non_replicated_deduplication_window'))
  const tokens = settings.length - kept.length > 0
  return tableSql(database, table, {
    on,
    name: sharded ? `${name}_local` : name,
    // Without shards every server is a replica of the same table, whatever its `{shard}` is.
    engine: `Replicated${engine}('/clickhouse/tables/${sharded ? '{shard}/' : ''}${database}/${name}', '{replica}')`,
    settings: [
      ...(tokens
        ? [
            `replicated_deduplication_window = ${tokensOf(settings)}`,
            `replicated_deduplication_window_seconds = ${TOKEN_SECONDS}`,
          ]
        : []),
      ...kept,
    ],
  })
}

function tokensOf(settings: readonly string[]): string {
  return settings.find((setting) => setting.startsWith('non_replicated'))?.split(' = ')[1] ?? '10000'
}

function distributed(database: string, { name, shardBy, comment }: Table, cluster: string, on: string): string {
  return [
    `CREATE TABLE IF NOT EXISTS \`${database}\`.\`${name}\` ${on} AS \`${database}\`.\`${name}_local\``,
    `ENGINE = Distributed(${quote(cluster)}, ${quote(database)}, ${quote(`${name}_local`)}, ${shardBy})`,
    `COMMENT ${quote(comment)}`,
  ].join('\n')
}
