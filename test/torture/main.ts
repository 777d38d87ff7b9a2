/** `npm run torture`: the long form of the test. Exits with 1 where a promise was broken. */
import { parseArgs } from 'node:util'
import { torture } from './torture.ts'

const { values } = parseArgs({
  options: {
    exchanges: { type: 'string', default: '200000' },
    kills: { type: 'string', default: '30' },
    clients: { type: 'string', default: '64' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const [exchanges, kills, clients, seed] = [values.exchanges, values.kills, values.clients, values.seed].map(Number)
console.error(`seed ${seed}`)
const report = await torture({
  exchanges: exchanges ?? 200_000,
  kills: kills ?? 30,
  clients: clients ?? 64,
  seed: seed ?? 1,
  say: (words) => console.error(words),
})
console.log(JSON.stringify({ ...report, lost: report.lost.length }, null, 2))
for (const id of report.lost.slice(0, 20)) console.log(`lost: ${id}`)
const isKept = report.lost.length === 0 && report.doubled === 0 && report.gaps === 0 && report.verified.code === 0
process.exitCode = isKept ? 0 : 1
