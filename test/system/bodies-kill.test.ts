/** Gateways killed while they record bodies: what a record says was kept is there, whole, once, and as it says. */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { configured, tidy } from '../support/attack.ts'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

const POLICY = `
policy: recorded
description: every answer of the warehouse and the CRM is kept
principals: { groups: [analyst-agents] }
connections: [warehouse, crm]
rules:
  - id: all
    effect: permit
    actions: [read]
    resources: ['shop.*', exportCustomers]
    because: the answers are evidence
    obligations:
      record-bodies: { request: full, answer: full, secrets: [shop.customers.id, $.id] }
`

afterAll(() => tidy())

interface Kept {
  readonly exchange_id: string
  readonly answer_kept_digest: string
  readonly answer_kept: string
}
interface Body {
  readonly exchange_id: string
  readonly digest: string
  readonly size: string
  readonly chunks: readonly string[]
  readonly is_whole: number
}

it('every answer that was given whole is recorded whole, over kills', { timeout: 120_000 }, async () => {
  const config = configured(['  retainDays: 400', '  retainDays: 400\n  bodies: { digestKey: env:SLUICE_DIGEST_KEY }'])
  writeFileSync(join(dirname(config), 'policies/recorded.yaml'), POLICY)
  const env = { SLUICE_DIGEST_KEY: 'a-digest-key-of-the-tests-0123456789' }
  const headers = { Authorization: `Bearer ${await tokenOf('agent')}`, 'Content-Type': 'application/json' }
  const whole = new Set<string>()
  let gateway: GatewayProcess = await startGateway({ config, env })
  const { data, database } = gateway
  for (let round = 0; round < 3; round++) {
    const { url } = gateway
    const over = new AbortController()
    const asking = Array.from({ length: 6 }, async (_, client) => {
      for (let n = 0; !over.signal.aborted; n++) {
        try {
          const sql = `SELECT id, name, email FROM shop.customers WHERE id > ${n % 50} ORDER BY id LIMIT 200`
          const answer =
            client % 2 === 0
              ? await fetch(`${url}/v1/query`, {
                  method: 'POST',
                  headers,
                  body: JSON.stringify({ connection: 'warehouse', sql }),
                })
              : await fetch(`${url}/proxy/crm/export?n=3000`, { headers })
          await answer.arrayBuffer()
          if (answer.status === 200) whole.add(answer.headers.get('Sluice-Exchange') ?? '')
        } catch {
          // The gateway is gone; the next life answers.
          return
        }
      }
    })
    const before = whole.size
    while (whole.size < before + 15) await new Promise((turn) => setTimeout(turn, 10))
    await gateway.stop('SIGKILL')
    over.abort()
    await Promise.all(asking)
    gateway = await startGateway({ config, env, data, database })
  }
  try {
    const kept = await gateway.audit<Kept>(
      `SELECT exchange_id, answer_kept_digest, toString(answer_kept) AS answer_kept FROM events ` +
        `WHERE kind = 'completed' AND answer_recorded = 'full' AND ending = 'whole'`,
      (rows) => [...whole].every((exchange) => rows.some((row) => row.exchange_id === exchange)),
    )
    expect(whole.size).toBeGreaterThan(20)
    const bodies = await gateway.audit<Body>(
      `SELECT exchange_id, lower(hex(SHA256(arrayStringConcat(arrayMap(p -> p.2, all))))) AS digest, ` +
        `toString(arraySum(arrayMap(p -> length(p.2), all))) AS size, arrayMap(p -> toString(p.1), all) AS chunks, is_whole ` +
        `FROM (SELECT exchange_id, arraySort(groupArray((chunk, content))) AS all, max(is_last) AS is_whole ` +
        `FROM payloads WHERE direction = 'answer' GROUP BY exchange_id)`,
      (rows) => kept.every((it) => rows.some((row) => row.exchange_id === it.exchange_id && row.is_whole)),
    )
    const wrong = kept.filter(({ exchange_id: exchange, answer_kept_digest: digest, answer_kept: size }) => {
      const body = bodies.find((it) => it.exchange_id === exchange)
      const isRight =
        body?.digest === digest && body.size === size && body.chunks.every((chunk, i) => Number(chunk) === i)
      return !isRight
    })
    expect(wrong).toEqual([])
  } finally {
    await gateway.stop()
  }
})
