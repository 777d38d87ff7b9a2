/** Recorded bodies, as an auditor meets them: over the real gateway, the sandbox's warehouse, its API and its ClickHouse. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newAuditorKey } from '../../src/audit/bodies/seal.ts'
import { configured, tidy } from '../support/attack.ts'
import { startGateway, tokenOf, type GatewayProcess } from '../support/gateway.ts'

const ROOT = join(import.meta.dirname, '../..')
const DIGEST_KEY = 'a-digest-key-of-the-tests-0123456789'

const POLICY = `
policy: recorded
description: what is recorded of what analyst agents ask
principals: { groups: [analyst-agents] }
connections: [warehouse, crm]
rules:
  - id: shop
    effect: permit
    actions: [read]
    resources: ['shop.*']
    because: the answers of the shop are evidence
    obligations:
      record-bodies: { request: full, answer: full, secrets: [shop.customers.id, shop.customers.name] }
  - id: crm
    effect: permit
    actions: [read]
    resources: [getCustomer, exportCustomers]
    because: the answers of the CRM are evidence
    obligations:
      record-bodies: { answer: { first: 1MiB }, secrets: [$.id], seal: true }
`
const CHANGES = `
policy: recorded-changes
description: what is recorded of what writer agents change
principals: { groups: [writer-agents] }
connections: [crm]
rules:
  - id: change
    effect: hold
    resources: [changeCustomer]
    because: a person looks at each change
    approvers: { groups: [data-owners] }
    obligations:
      record-bodies: { request: full, answer: full, secrets: [$.name] }
`

let config: string
let privateKey: string
let gateway: GatewayProcess
beforeAll(async () => {
  const auditor = await newAuditorKey()
  config = configured([
    '  retainDays: 400',
    '  retainDays: 400\n  bodies: { digestKey: env:SLUICE_DIGEST_KEY, sealTo: [auditor.jwk] }',
  ])
  writeFileSync(join(dirname(config), 'auditor.jwk'), JSON.stringify(auditor.publicKey))
  privateKey = join(dirname(config), 'private.jwk')
  writeFileSync(privateKey, JSON.stringify(auditor.privateKey))
  writeFileSync(join(dirname(config), 'policies/recorded.yaml'), POLICY)
  writeFileSync(join(dirname(config), 'policies/recorded-changes.yaml'), CHANGES)
  gateway = await startGateway({ config, env: { SLUICE_DIGEST_KEY: DIGEST_KEY } })
})
afterAll(async () => {
  await gateway.stop()
  tidy()
})

interface Piece {
  readonly direction: string
  readonly chunk: string
  readonly content: string
  readonly is_last: boolean
  readonly mark: string
  readonly digests: readonly string[]
}

/** The pieces of an exchange's bodies, one way, once they are all there. */
async function piecesOf(exchange: string, direction: string): Promise<readonly Piece[]> {
  return gateway.audit<Piece>(
    `SELECT direction, toString(chunk) AS chunk, content, is_last, mark, digests FROM payloads ` +
      `WHERE exchange_id = '${exchange}' AND direction = '${direction}' ORDER BY payloads.chunk`,
    (rows) => rows.at(-1)?.is_last === true,
  )
}

async function completedOf(exchange: string): Promise<Record<string, unknown>> {
  const [row] = await gateway.audit<Record<string, unknown>>(
    `SELECT answer_recorded, answer_bytes, answer_digest, answer_kept, answer_kept_digest, answer_type, request_recorded, ` +
      `request_kept_digest, first_byte_ms <= total_ms AS timed FROM events WHERE exchange_id = '${exchange}' AND kind = 'completed'`,
    (rows) => rows.length > 0,
  )
  return row ?? {}
}

const sha = (text: string): string => createHash('sha256').update(text).digest('hex')
const together = (pieces: readonly Piece[]): string => pieces.map(({ content }) => content).join('')

async function sluice(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, [join(ROOT, 'src/entry/cli.ts'), ...args, '--config', config], {
    cwd: ROOT,
    env: {
      ...process.env,
      SLUICE_MASK_KEY: 'a-mask-key-of-the-tests-0123456789',
      SLUICE_CRM_KEY: 'crm-sandbox-key',
      SLUICE_DIGEST_KEY: DIGEST_KEY,
      SLUICE_CRM_OPENAPI: join(ROOT, 'sandbox/crm/openapi.json'),
    },
  })
}

describe('an answer of the warehouse', () => {
  it('is recorded as it went out, without its secrets, and bound to its record', async () => {
    const sql = 'SELECT id, name, email FROM shop.customers WHERE id <= @most ORDER BY id'
    const { body } = await gateway.query('agent', sql, { params: { most: 3 } })
    expect(body.rows).toHaveLength(3)
    const answer = together(await piecesOf(body.exchange, 'answer'))
    const [head, ...rows] = answer.trimEnd().split('\n')
    expect(JSON.parse(head ?? '')).toEqual({ columns: body.columns })
    // What was masked is masked here, too; what is secret is a digest.
    const digest = expect.stringMatching(/^hmac:[0-9a-f]{32}$/)
    expect(rows.map((row) => JSON.parse(row))).toEqual(body.rows.map((row: unknown[]) => [digest, digest, row[2]]))
    const request = together(await piecesOf(body.exchange, 'request'))
    expect(JSON.parse(request)).toEqual({ params: [{ name: 'most', type: 'INT64', value: '3' }] })
    expect(await completedOf(body.exchange)).toMatchObject({
      answer_recorded: 'full',
      answer_type: 'application/x-ndjson',
      answer_digest: sha(answer),
      answer_kept_digest: sha(answer),
      request_recorded: 'full',
      request_kept_digest: sha(request),
      timed: 1,
    })
  })

  it('has no secret in its copy by whatever way it flowed there', async () => {
    const named = await gateway.query('agent', 'SELECT name FROM shop.customers WHERE id <= 40')
    const names: readonly string[] = named.body.rows.flat()
    for (const sql of [
      'SELECT c.name AS innocent FROM shop.customers c WHERE id <= 40',
      'SELECT UPPER(name) FROM shop.customers WHERE id <= 40',
      'SELECT ARRAY_AGG(STRUCT(name AS n, city AS c)) FROM (SELECT name, address.city AS city FROM shop.customers WHERE id <= 40)',
      'WITH a AS (SELECT name AS x FROM shop.customers WHERE id <= 40) SELECT x FROM a UNION ALL SELECT "nobody"',
      'SELECT TO_JSON_STRING(STRUCT(name)) FROM shop.customers WHERE id <= 40',
      'SELECT (SELECT MAX(name) FROM shop.customers WHERE id <= 40) AS most, COUNT(*) AS n FROM shop.orders',
      'SELECT name FROM shop.customer_directory WHERE id <= 40',
      'SELECT CONCAT("-", name) || "!" FROM shop.customers WHERE id <= 40 ORDER BY 1',
    ]) {
      const { body, status } = await gateway.query('agent', sql)
      expect({ sql, status }).toEqual({ sql, status: 200 })
      const answered = JSON.stringify(body.rows).toLowerCase()
      const recorded = together(await piecesOf(body.exchange, 'answer')).toLowerCase()
      const there = names.filter((name) => answered.includes(name.toLowerCase()))
      expect({ sql, isHonest: there.length > 0 }).toEqual({ sql, isHonest: true })
      expect({ sql, told: names.filter((name) => recorded.includes(name.toLowerCase())) }).toEqual({ sql, told: [] })
    }
  })

  it('tells whether a secret value was ever returned, and where', async () => {
    const { body } = await gateway.query('agent', 'SELECT id FROM shop.customers WHERE id IN (17, 18)')
    await piecesOf(body.exchange, 'answer')
    const { stdout, stderr } = await sluice('audit', 'digest', '17')
    const sql = /SELECT [^]*ORDER BY at/.exec(stderr)?.[0].replace('FROM sluice.', 'FROM ') ?? ''
    expect(sql).toContain(stdout.trim())
    const found = await gateway.audit<{ exchange_id: string }>(sql, (rows) => rows.length > 0)
    expect(found.map((row) => row.exchange_id)).toContain(body.exchange)
    const other = await sluice('audit', 'digest', '1017')
    const nothing = await gateway.audit(sql.replace(stdout.trim(), other.stdout.trim()), () => true)
    expect(nothing).toEqual([])
  })
})

describe('an answer of an API', () => {
  it('is recorded as it went out; what was masked in it only the auditor can read', async () => {
    const answer = await fetch(`${gateway.url}/proxy/crm/customers/7`, {
      headers: { Authorization: `Bearer ${await tokenOf('agent')}` },
    })
    const text = await answer.text()
    const exchange = answer.headers.get('Sluice-Exchange') ?? ''
    const recorded = together(await piecesOf(exchange, 'answer'))
    expect(recorded).toBe(text.replace('"id":7', `"id":"hmac:${(await sluice('audit', 'digest', '7')).stdout.trim()}"`))
    expect(await completedOf(exchange)).toMatchObject({ answer_recorded: 'first', answer_digest: sha(recorded) })
    const sealed = together(await piecesOf(exchange, 'sealed'))
    const path = join(dirname(config), 'sealed')
    writeFileSync(path, sealed)
    const { stdout } = await sluice('audit', 'unseal', '--key', privateKey, path)
    const originals = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(originals).toContainEqual({ exchange, where: '$..email', value: expect.stringContaining('@') })
    for (const { value } of originals) expect(text).not.toContain(value)
    const wrong = await newAuditorKey()
    writeFileSync(join(dirname(config), 'wrong.jwk'), JSON.stringify(wrong.privateKey))
    await expect(sluice('audit', 'unseal', '--key', join(dirname(config), 'wrong.jwk'), path)).rejects.toMatchObject({
      stderr: expect.stringContaining('line 1 cannot be opened with this key'),
    })
  })

  it('that is long is kept by its beginning, and says how long it was', async () => {
    const answer = await fetch(`${gateway.url}/proxy/crm/export?n=5000`, {
      headers: { Authorization: `Bearer ${await tokenOf('agent')}` },
    })
    await answer.text()
    const exchange = answer.headers.get('Sluice-Exchange') ?? ''
    const pieces = await piecesOf(exchange, 'answer')
    expect(Buffer.byteLength(together(pieces))).toBe(1_048_576)
    expect(pieces.at(-1)?.mark).toMatch(/^1048576 of \d{7} bytes are kept$/)
    expect(pieces.flatMap(({ digests }) => digests)).toHaveLength(5000)
  })
})

describe('a request that was approved', () => {
  it('is recorded when it is sent, and its secrets are in none of its records', async () => {
    const body = { name: 'Grace Secret', city: 'Lausanne' }
    const asked = await fetch(`${gateway.url}/proxy/crm/customers/11`, {
      method: 'PATCH',
      headers: { Authorization: `Bearer ${await tokenOf('writer')}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    const { hold } = (await asked.json()) as { hold: { id: string; request: { body: { json: unknown } } } }
    // Whoever approves it sees it whole.
    expect(hold.request.body.json).toEqual(body)
    await gateway.post(`/v1/holds/${hold.id}/approve`, 'owner', { comment: 'looked at' })
    const ran = await gateway.post(`/v1/holds/${hold.id}/run`, 'writer', {})
    expect(await ran.json()).toMatchObject({ name: 'Grace Secret' })
    const digest = (await sluice('audit', 'digest', 'Grace Secret')).stdout.trim()
    const request = together(await piecesOf(hold.id, 'request'))
    expect(JSON.parse(request)).toEqual({ name: `hmac:${digest}`, city: 'Lausanne' })
    expect(together(await piecesOf(hold.id, 'answer'))).toContain(`"name":"hmac:${digest}"`)
    const records = await gateway.audit<Record<string, unknown>>(
      `SELECT * FROM events WHERE exchange_id = '${hold.id}' ORDER BY ts`,
      (rows) => rows.some(({ kind }) => kind === 'completed'),
    )
    expect(records.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['decided', 'hold', 'completed']))
    expect(JSON.stringify(records)).not.toContain('Grace Secret')
    for (const { kind, request_body: text, request_digest: shown } of records) {
      if (kind !== 'decided' && kind !== 'completed') continue
      expect([text, shown]).toEqual(['(withheld: policy calls values in it secret)', expect.stringMatching(/^hmac:/)])
    }
    const replay = await gateway.get(`/v1/audit/exchanges/${hold.id}/replay?speed=max`, 'auditor')
    const replayed = await replay.text()
    expect(replayed).toContain('Lausanne')
    expect(replayed).not.toContain('Grace Secret')
  })
})

describe('a gateway that cannot keep what a policy wants kept', () => {
  it('does not start where there is no key for secrets, or a key that can be guessed', async () => {
    const bare = configured()
    writeFileSync(join(dirname(bare), 'policies/recorded.yaml'), POLICY)
    await expect(startGateway({ config: bare })).rejects.toThrow(
      '`secrets` are recorded under `audit.bodies.digestKey`',
    )
    await expect(startGateway({ config, env: { SLUICE_DIGEST_KEY: 'short' } })).rejects.toThrow('at least 16 bytes')
  })

  it('does not start with the private key of an auditor', async () => {
    const other = configured([
      '  retainDays: 400',
      `  retainDays: 400\n  bodies: { sealTo: [${JSON.stringify(privateKey)}] }`,
    ])
    await expect(startGateway({ config: other })).rejects.toThrow('holds its private half')
  })
})

it('what was recorded when the gateway was killed is there afterwards, without an end', async () => {
  const first = await startGateway({ config, env: { SLUICE_DIGEST_KEY: DIGEST_KEY } })
  const answer = await fetch(`${first.url}/proxy/crm/export?n=10000000`, {
    headers: { Authorization: `Bearer ${await tokenOf('agent')}` },
  })
  const exchange = answer.headers.get('Sluice-Exchange') ?? ''
  const reader = answer.body?.getReader()
  let received = 0
  while (received < 700_000) received += (await reader?.read())?.value?.length ?? Infinity
  await first.stop('SIGKILL')
  await reader?.cancel().catch(() => {})
  const again = await startGateway({
    config,
    data: first.data,
    database: first.database,
    env: { SLUICE_DIGEST_KEY: DIGEST_KEY },
  })
  try {
    const pieces = await again.audit<{ at: string; size: string; is_last: boolean }>(
      `SELECT toString(offset) AS at, toString(length(content)) AS size, is_last FROM payloads ` +
        `WHERE exchange_id = '${exchange}' AND direction = 'answer' ORDER BY chunk`,
      (rows) => rows.length >= 2,
    )
    const sizes = pieces.map(({ size }) => Number(size))
    expect(pieces.map(({ at }) => Number(at))).toEqual(
      sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0)),
    )
    expect(pieces.map(({ is_last: isLast }) => isLast)).toEqual(pieces.map(() => false))
  } finally {
    await again.stop()
  }
})
