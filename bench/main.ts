/** `npm run bench -- <name>`: what we measure ourselves against. */
import { parseArgs } from 'node:util'
import { benchBodies } from './bodies.ts'
import { benchAudit } from './audit.ts'
import { measureCorpus } from './corpus.ts'
import { startGateway } from './gateway.ts'
import { benchJson } from './json.ts'
import { benchProxy } from './proxy.ts'
import { benchQuery } from './query.ts'
import { measureRisk } from './risk.ts'
import { benchSql } from './sql.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    sql: { type: 'string', default: 'SELECT * FROM shop.metrics' },
    why: { type: 'string' },
    only: { type: 'string' },
    megabytes: { type: 'string', default: '1024' },
    records: { type: 'string', default: '10000000' },
  },
})
const [name, file, ...more] = positionals
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
const isCounted = rounds === undefined || (Number.isInteger(rounds) && rounds >= 1)

if (name === 'query' && file === undefined && isCounted) {
  await benchQuery({ rounds: rounds ?? 5, sql: values.sql, startGateway })
} else if (name === 'sql' && file === undefined && isCounted) {
  await benchSql(rounds ?? 100)
} else if (name === 'proxy' && file === undefined && isCounted) {
  await benchProxy(rounds ?? 5, Number(values.megabytes))
} else if (name === 'bodies' && file === undefined) {
  await benchBodies(Math.min(200, Number(values.megabytes)))
} else if (name === 'json' && file === undefined && isCounted) {
  await benchJson(rounds ?? 9)
} else if (name === 'audit' && file === undefined && (isCounted || rounds === 0)) {
  await benchAudit({ rounds: rounds ?? 3, seconds: 10, perSecond: 1000, records: Number(values.records) })
} else if (name === 'corpus' && file !== undefined && more.length === 0) {
  const { why, only } = values
  measureCorpus({ file, ...(why !== undefined && { why }), ...(only !== undefined && { only }) })
} else if (name === 'risk' && file !== undefined && more.length === 0) {
  const { only } = values
  await measureRisk({ file, ...(only !== undefined && { only }) })
} else {
  console.error('npm run bench -- query [--rounds 5] [--sql "SELECT …"]')
  console.error('npm run bench -- sql [--rounds 100]')
  console.error('npm run bench -- proxy [--rounds 5] [--megabytes 1024]')
  console.error('npm run bench -- json [--rounds 9]')
  console.error('npm run bench -- bodies [--megabytes 200]')
  console.error('npm run bench -- audit [--rounds 3] [--records 10000000]')
  console.error('npm run bench -- corpus FILE [--only GROUP] [--why CODE]')
  console.error('npm run bench -- risk FILE [--only GROUP]')
  process.exitCode = 1
}
