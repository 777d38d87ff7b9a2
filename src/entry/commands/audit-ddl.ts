/** `sluice audit ddl` and `audit schema`: the audit tables for whoever runs ClickHouse, and for whoever asks it. */
import { clusterFile } from '../../audit/ddl.ts'
import { schemaPage } from '../../audit/schema-page.ts'
import { Refusal } from '../node.ts'
import { argumentsOf, type Command } from './command.ts'

export const auditDdl: Command = {
  name: 'audit ddl',
  takes: '--cluster NAME [--database sluice] [--sharded]',
  about: 'print the statements that make the audit tables on a ClickHouse cluster',
  run(args) {
    const { values, positionals } = argumentsOf(args, {
      cluster: { type: 'string' },
      database: { type: 'string', default: 'sluice' },
      sharded: { type: 'boolean', default: false },
    })
    const { cluster, database, sharded } = values
    if (positionals.length > 0 || cluster === undefined) {
      throw new Refusal('which cluster?\nname it as `remote_servers` does: sluice audit ddl --cluster NAME')
    }
    for (const name of [cluster, database]) {
      if (!/^[A-Za-z_]\w{0,62}$/.test(name)) throw new Refusal(`\`${name}\` is no plain name`)
    }
    process.stdout.write(clusterFile({ cluster, database, sharded }))
    return Promise.resolve(0)
  },
}

export const auditSchema: Command = {
  name: 'audit schema',
  about: 'print what every view, table and column of the audit database says',
  run(args) {
    argumentsOf(args, {})
    console.log(schemaPage())
    return Promise.resolve(0)
  },
}
