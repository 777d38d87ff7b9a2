/** `node-sql-parser` as the third reader's parser. Whoever leaves this file out has no third reader. */
import NodeSqlParser from 'node-sql-parser/build/bigquery.js'
import type { TableLister } from './third-reader.ts'

/** Names as it lists them: `select::shop::orders`, a dataset that is none being `null`. */
export function nodeSqlParser(): TableLister {
  const parser = new NodeSqlParser.Parser()
  return (text) =>
    parser.tableList(text, { database: 'bigquery' }).map((entry) => {
      const [, ...parts] = entry.split('::')
      return parts.filter((part) => part !== 'null')
    })
}
