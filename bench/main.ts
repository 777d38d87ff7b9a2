/** `npm run bench -- <name>`: what we measure ourselves against. */
import { parseArgs } from 'node:util'
import { startGateway } from './gateway.ts'
import { benchQuery } from './query.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    sql: { type: 'string', default: 'SELECT * FROM shop.metrics' },
  },
})
const [name] = positionals
const rounds = Number(values.rounds)

if (name !== 'query' || positionals.length !== 1 || !Number.isInteger(rounds) || rounds < 1) {
  console.error('npm run bench -- query [--rounds 5] [--sql "SELECT …"]')
  process.exitCode = 1
} else {
  await benchQuery({ rounds, sql: values.sql, startGateway })
}
