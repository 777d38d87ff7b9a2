/** A SIEM, as it meets the whole gateway: what agents and people did arrives as OCSF, and no value of an answer with it. */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { OcsfEvent } from '../../src/audit/siem/ocsf.ts'
import { faultsOf } from '../src/audit/siem/ocsf-schema.ts'
import { CA, SyslogReceiver } from '../src/audit/siem/receivers.ts'
import { configured, folder, tidy } from '../support/attack.ts'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'

/** In `data`: a gateway that may be followed by another. */
async function watched(receiver: SyslogReceiver, data?: string): Promise<GatewayProcess> {
  const siem = `siem: [{ name: soc, type: syslog, address: '${receiver.address}', ca: ca.pem }]`
  const config = configured(['  retainDays: 400', `  retainDays: 400\n  ${siem}`])
  onTestFinished(tidy)
  writeFileSync(join(dirname(config), 'ca.pem'), CA)
  const gateway = await startGateway({ config, ...(data !== undefined && { data }) })
  onTestFinished(async () => void (await gateway.stop()))
  return gateway
}

const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 30_000 })

/** What a person at the SIEM would look at first. */
const brief = ({ type_name, status, action, severity }: OcsfEvent) => [type_name, status, action, severity]

it('sees who asked for what, what was decided and what came of it', async () => {
  const soc = await SyslogReceiver.open()
  const gateway = await watched(soc)
  const events = (): readonly OcsfEvent[] => soc.messages.map(({ event }) => event)
  const of = (exchange: string): readonly OcsfEvent[] =>
    events().filter(({ metadata }) => metadata['correlation_uid'] === exchange)

  const read = await gateway.query('agent', 'SELECT id, name, email FROM shop.customers WHERE id = 1', {
    purpose: 'the weekly report',
  })
  await soon(() => expect(of(read.body.exchange).map(brief)).toHaveLength(2))
  expect(of(read.body.exchange).map(brief)).toEqual([
    ['Datastore Activity: Query', 'Permitted', 'Allowed', expect.any(String)],
    ['Datastore Activity: Query', 'Success', 'Allowed', expect.any(String)],
  ])
  expect(of(read.body.exchange)[1]).toMatchObject({
    database: { name: 'warehouse' },
    table: { name: 'shop.customers' },
    unmapped: {
      purpose: 'the weekly report',
      row_count: 1,
      ending: 'whole',
      masked: expect.arrayContaining([
        { resource: 'shop.customers', column: 'email', strategy: 'hash', count: expect.any(Number) },
      ]),
    },
  })

  const denied = await gateway.query('agent', 'SELECT * FROM hr.salaries')
  const called = await gateway.get('/proxy/crm/customers/1', 'agent')
  await called.text()
  const unknown = await fetch(`${gateway.url}/v1/query`, {
    method: 'POST',
    headers: { Authorization: 'Bearer no.such.token', 'Content-Type': 'application/json' },
    body: '{}',
  })
  const held = await gateway.query('writer', `UPDATE shop.orders SET status = 'shipped' WHERE id = 7`, { purpose: 'x' })
  const { id } = held.body.hold
  await gateway.post(`/v1/holds/${id}/approve`, 'owner', { comment: 'go ahead' })
  const header = (answer: Response): string => answer.headers.get('Sluice-Exchange') ?? ''
  await soon(() => expect(of(id).length).toBeGreaterThanOrEqual(2))

  expect(of(denied.body.exchange).map(brief)).toEqual([
    ['Datastore Activity: Query', 'Failure', 'Denied', expect.any(String)],
  ])
  expect(of(header(called))).toMatchObject([
    { type_name: 'API Activity: Read', api: { service: { name: 'crm' } }, http_request: { http_method: 'GET' } },
    { type_name: 'API Activity: Read', http_response: { code: 200 } },
  ])
  expect(of(header(unknown)).map(brief)).toEqual([['Authentication: Logon', 'Failure', 'Denied', 'Low']])
  expect(of(id).map(({ unmapped, disposition }) => [(unmapped as any).hold?.state, disposition])).toContainEqual([
    'approved',
    'Approved',
  ])

  expect(await gateway.stop()).toBe(0)
  expect(events().at(0)).toMatchObject({ type_name: 'Application Lifecycle: Start' })
  expect(events().at(-1)).toMatchObject({ type_name: 'Application Lifecycle: Stop' })
  expect(soc.sequences).toEqual(soc.sequences.map((_, at) => at + 1))
  expect(events().flatMap(faultsOf)).toEqual([])
  const [, name, hash] = read.body.rows[0]
  const text = JSON.stringify(events())
  for (const value of [name, hash]) expect(text).not.toContain(value)
})

it('that was away is told what it missed once it is back, by the next gateway', async () => {
  const soc = await SyslogReceiver.open()
  await soc.close()
  const data = folder()
  const gateway = await watched(soc, data)
  const { body } = await gateway.query('agent', 'SELECT COUNT(*) FROM shop.orders')
  await soon(() => expect(gateway.logs.join('\n')).toContain('"for":"siem-soc","problem":"ECONNREFUSED"'))
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
  expect(metrics).toMatch(/^sluice_audit_destination_problem\{destination="siem-soc"\} 1$/m)
  await gateway.stop()
  await soc.listen()
  await watched(soc, data)
  await soon(() => expect(soc.messages.map(({ event }) => event.metadata['correlation_uid'])).toContain(body.exchange))
  expect(soc.sequences).toEqual(soc.sequences.map((_, at) => at + 1))
})
