/**
 * A process of its own on a store: `node worker.ts PATH NAME race|write|fill|spend`.
 * `race` decides each hold that standard input names; `spend` makes each reservation that it gives, as a job of its own;
 * `write` opens holds until it is killed, `fill` until it is refused. Each acknowledged change is a line.
 */
import { createInterface } from 'node:readline'
import { Failure } from '../../../src/failure.ts'
import type { Reservation } from '../../../src/hold/contract.ts'
import { openSqliteStore } from '../../../src/hold/sqlite.node.ts'
import { heldExchange } from './exchanges.ts'

const [path = '', name = '', mode = ''] = process.argv.slice(2)
const clock = { now: () => Date.now(), monotonic: () => performance.now() }
const store = await openSqliteStore({ path, clock, writer: name, busyTimeoutMs: 20_000 })
const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function decide(id: string): Promise<void> {
  const by = { issuer: 'sandbox', subject: name }
  const decision = { by, groups: [], effect: 'approve' as const, comment: '', at: Date.now() }
  const { moved } = await store.decideHold(id, decision, () => 'approved')
  say(`${moved ? 'moved' : 'late'} ${id}`)
}

async function write(lane: number): Promise<void> {
  for (let i = 0; ; i += 1) {
    const id = `${name}-${lane}-${i}`
    await store.openHold(heldExchange(id, Date.now() + 3_600_000))
    say(`opened ${id}`)
  }
}

async function fill(): Promise<void> {
  try {
    await write(0)
  } catch (error) {
    say(`refused ${error instanceof Failure ? error.code : String(error)}`)
  }
}

let jobs = 0
async function spend(line: string): Promise<void> {
  const job = `${name}-${(jobs += 1)}`
  const { granted } = await store.reserve({ ...(JSON.parse(line) as Reservation), job, reader: job })
  say(`granted ${granted}`)
}

say('ready')
if (mode === 'write') await Promise.all([0, 1, 2, 3].map(write))
else if (mode === 'fill') await fill()
else {
  const heard = mode === 'spend' ? spend : decide
  for await (const line of createInterface({ input: process.stdin })) void heard(line)
}
