/** An agent that wants what is masked: by every trick that we know, through every door that answers. */
import { BigQuery } from '@google-cloud/bigquery'
import fc from 'fast-check'
import { OAuth2Client } from 'google-auth-library'
import { createHash, createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configured, tidy } from '../support/attack.ts'
import { startGateway, type GatewayProcess } from '../support/gateway.ts'
import { several } from '../support/pool.ts'
import { CanaryWatch } from './leaks-canaries.ts'
import { evasions, type Evasion } from './leaks-generate.ts'
import { guesses } from './leaks-guesses.ts'
import { HUNTS } from './leaks-hunts.ts'
import { queries } from './leaks-queries.ts'
import { Tally } from './leaks-tally.ts'
import { ASKED } from './honest.ts'
import { canaries, KEY, mirrored, vaultPolicies, vaultSql } from './leaks-vault.ts'
import { done, leavesOf, notHere, type OwnWarehouse, startWarehouse, told, unordered } from './leaks-warehouse.ts'
import { DENIED_DML, EVASIONS, GUESSES, HONEST, HONEST_WRITES, SCHEMA_OF_HR } from './leaks.ts'
import { readingsOf, reversed, shapesIn } from './readings.ts'

/** How many statements are made up: more of them with `LEAKS_CASES=5000 npm run leaks`. */
const CASES = Number(process.env['LEAKS_CASES'] ?? 120)
const SEED = Number(process.env['LEAKS_SEED'] ?? 20_26)
/** How many queries are compared with the mirror alone. */
const QUERIES = Number(process.env['LEAKS_QUERIES'] ?? 100)
/** And how often each question of a guess is put, each time about another condition and column. */
const ROUNDS = Number(process.env['LEAKS_ROUNDS'] ?? 1)
/** Statements under way at once. */
const WIDTH = 6

interface Customer {
  readonly id: number
  readonly email: string | null
  readonly ssn: string | null
  readonly phone: string | null
  readonly born: string | null
  readonly street: string | null
  readonly card: string | null
  readonly contacts: readonly string[]
}

let gateway: GatewayProcess
let own: OwnWarehouse
let warehouse: BigQuery
let customers: readonly Customer[]
/** The real values, as they stand in the warehouse. */
const secrets = new Set<string>()
const watch = new CanaryWatch(canaries())
const tally = new Tally()

beforeAll(async () => {
  const config = configured()
  for (const [name, text] of Object.entries(vaultPolicies()))
    writeFileSync(join(dirname(config), 'policies', name), text)
  own = await startWarehouse()
  await done(vaultSql())
  gateway = await startGateway({ config, env: { SLUICE_SANDBOX_WAREHOUSE: own.url } })
  const authClient = new OAuth2Client()
  authClient.setCredentials({ access_token: 'sandbox' })
  warehouse = new BigQuery({ projectId: 'sluice-sandbox', apiEndpoint: own.url, authClient })
  customers = await rowsOf<Customer>(
    `SELECT id, email, ssn, phone, CAST(birth_date AS STRING) AS born, address.street AS street,
       JSON_VALUE(metadata, '$.card') AS card, ARRAY(SELECT v.value FROM UNNEST(contacts) v WHERE v.value IS NOT NULL) AS contacts
     FROM shop.customers`,
  )
  for (const { email, ssn, phone, born, street, card, contacts } of customers) {
    for (const secret of [email, ssn, phone, street, card, ...contacts]) if (secret !== null) secrets.add(secret)
    // The year is no secret.
    if (born !== null && !born.endsWith('-01-01')) secrets.add(born)
  }
  await mirrorShop()
})
afterAll(async () => {
  // Where it did not start, the reason of that is the one to read.
  await (gateway as GatewayProcess | undefined)?.stop()
  await (own as OwnWarehouse | undefined)?.stop()
  tidy()
  console.log(tally.report())
  const { leaks, refusals } = tally
  if (leaks.length > 0) throw new Error('a canary was seen')
  if (refusals.length > tally.of('honest') / 100) throw new Error('1 % and more of the honest statements are refused')
})

/** `shop.customers` and `shop.orders` as their masks show them. */
async function mirrorShop(): Promise<void> {
  const hash = (value: string): string => createHmac('sha256', KEY).update(value).digest('hex')
  const partly = (value: string): string => '*'.repeat(value.length - 4) + value.slice(-4)
  const emails = new Map(customers.flatMap(({ email }) => (email === null ? [] : [[email, hash(email)] as const])))
  const pairs = [...emails].map(([email, hashed]) => `('${email}', '${hashed}')`)
  const phones = customers.flatMap(({ phone }) => (phone === null ? [] : [`('${phone}', '${partly(phone)}')`]))
  const pairTable = (list: readonly string[]): string =>
    `(SELECT p.a, p.b FROM UNNEST(ARRAY<STRUCT<a STRING, b STRING>>[${list.join(', ')}]) p)`
  await warehouse.query(`CREATE TABLE mirror.customers AS
      SELECT c.id, c.name, e.b AS email, IF(c.ssn IS NULL, NULL, '[redacted]') AS ssn, f.b AS phone,
        DATE_TRUNC(c.birth_date, YEAR) AS birth_date,
        IF(c.address IS NULL, NULL, STRUCT(IF(c.address.street IS NULL, NULL, '[redacted]') AS street,
          c.address.city AS city, c.address.zip AS zip)) AS address,
        c.tags,
        ARRAY(SELECT AS STRUCT v.kind AS kind, IF(v.value IS NULL, NULL, '[redacted]') AS value
          FROM UNNEST(c.contacts) v WITH OFFSET AS o ORDER BY o) AS contacts,
        IF(JSON_VALUE(c.metadata, '$.card') IS NULL, c.metadata,
          PARSE_JSON(REPLACE(TO_JSON_STRING(c.metadata), JSON_VALUE(c.metadata, '$.card'), '[redacted]'))) AS metadata,
        c.created_at
      FROM shop.customers c LEFT JOIN ${pairTable(pairs)} e ON e.a = c.email LEFT JOIN ${pairTable(phones)} f ON f.a = c.phone`)
  await warehouse.query(`CREATE TABLE mirror.orders AS
      SELECT o.id, o.customer_id, e.b AS customer_email, o.amount, o.status, o.placed_at, o.items
      FROM shop.orders o LEFT JOIN ${pairTable(pairs)} e ON e.a = o.customer_email`)
  await done([
    'CREATE VIEW mirror.customer_directory AS SELECT id, name, email, address.city AS city FROM `sluice-sandbox.mirror.customers`',
  ])
}

async function rowsOf<Row>(sql: string): Promise<Row[]> {
  const [rows] = await warehouse.query(sql)
  return rows as Row[]
}

/** What `text` tells of a secret, in the clear, reversed or encoded; of what the agent said itself, nothing counts. */
function leaksIn(text: string, said = ''): string[] {
  const own = new Set(readingsOf(said).flatMap(shapesIn))
  const found = readingsOf(text).flatMap(shapesIn)
  return [...new Set(found)].filter((shape) => !own.has(shape) && isSecret(shape))
}

/** A whole secret, or four characters and more of an end of one that its mask hides. */
function isSecret(shape: string): boolean {
  return secrets.has(shape) || shape.startsWith('piece:')
}

async function everything(answer: Response): Promise<string> {
  return `${answer.status}\n${JSON.stringify([...answer.headers])}\n${await answer.text()}`
}

describe('the means of these tests', () => {
  it('see a secret that leaks, however it is written', () => {
    const [{ ssn, email, phone, street } = raise()] = customers.filter((c) => c.id === 1)
    for (const secret of [ssn, email, phone, street]) {
      const bytes = Buffer.from(secret ?? raise())
      for (const written of [
        secret,
        reversed(secret ?? raise()),
        bytes.toString('hex'),
        bytes.toString('hex').toUpperCase(),
        bytes.toString('base64'),
        JSON.stringify([...bytes].map(String)),
      ]) {
        expect([secret, written, leaksIn(JSON.stringify({ rows: [[written]] })).length > 0]).toEqual([
          secret,
          written,
          true,
        ])
      }
    }
    for (const piece of [ssn?.slice(0, 5), phone?.slice(0, 10), email?.slice(-12), street?.slice(-12)]) {
      expect([piece, leaksIn(`{"rows":[["${piece}"]]}`).length]).not.toEqual([piece, 0])
    }
  })

  it('see a canary, however it is written', () => {
    const secret = canaries().find(({ column }) => column === 's_redact')?.secret ?? raise()
    const bytes = Buffer.from(secret)
    const [a, b] = [secret.slice(0, 7), secret.slice(7)]
    for (const written of [
      secret,
      secret.toUpperCase(),
      reversed(secret),
      secret.slice(0, 4),
      secret.slice(-5),
      secret.slice(3, 8),
      bytes.toString('hex'),
      `0x${bytes.toString('hex')}`,
      bytes.toString('base64'),
      Buffer.from(`x${secret}`).toString('base64url'),
      [...bytes].join(', '),
      JSON.stringify([...bytes].map(String)),
      Array.from(secret)
        .map((unit) => `%${unit.charCodeAt(0).toString(16)}`)
        .join(''),
      Array.from(secret)
        .map((unit) => `\\u00${unit.charCodeAt(0).toString(16)}`)
        .join(''),
      createHash('md5').update(secret).digest('hex'),
      createHash('sha256').update(secret).digest('base64'),
      `[redacted]${a} and ${b}`,
    ]) {
      expect([written, watch.seenIn(`{"rows":[["${written}"]]}`).length > 0]).toEqual([written, true])
    }
    const scattered = Array.from(secret, (unit, at) => [String(at), unit])
    expect(watch.seenIn(JSON.stringify({ rows: scattered }))).toHaveLength(1)
    const number = canaries().find(({ column }) => column === 'i_redact')?.secret ?? raise()
    for (const written of [number, number.slice(0, 8), number.slice(-8), BigInt(number).toString(16)]) {
      expect([written, watch.seenIn(`{"rows":[["${written}"]]}`)]).toEqual([written, [`i_redact: ${number}`]])
    }
    const born = canaries().find(({ column }) => column === 'd_year')?.secret ?? raise()
    expect(watch.seenIn(`{"rows":[["${born.replaceAll('-', '')}"]]}`)).toHaveLength(1)
    expect(watch.seenIn('{"rows":[["[redacted]","**********","what work is quick"]]}')).toEqual([])
  })

  it('do not see what is no secret', async () => {
    const { body } = await gateway.query('agent', 'SELECT name, created_at, tags, address.city FROM shop.customers')
    expect(leaksIn(JSON.stringify(body))).toEqual([])
  })
})

describe('an agent that reads', () => {
  it.concurrent.each(EVASIONS)('learns nothing by %s', async (sql) => {
    tally.count('evasions')
    for (const path of ['/v1/query', '/v1/preflight']) {
      const answer = await gateway.post(path, 'agent', { connection: 'warehouse', sql, maxRows: 2000 })
      const { status } = answer
      const text = await everything(answer)
      if (leaksIn(text, sql).length > 0) tally.leak(sql)
      expect([path, leaksIn(text, sql)]).toEqual([path, []])
      const body = JSON.parse(text.slice(text.lastIndexOf('\n') + 1))
      if (status === 200) continue
      expect([400, 403, 404]).toContain(status)
      expect(body.detail).toMatch(/\w/)
      if (body.code === 'denied') expect(body.reasons[0].because).toMatch(/\w/)
    }
  })

  it.each(EVASIONS.slice(0, 12))('learns nothing line by line, by %s', async (sql) => {
    const asked = { connection: 'warehouse', sql }
    const answer = await gateway.post('/v1/query', 'agent', asked, { Accept: 'application/x-ndjson' })
    expect(leaksIn(await everything(answer), sql)).toEqual([])
  })

  it('learns nothing from the list of resources', async () => {
    const text = await everything(await gateway.get('/v1/connections/warehouse/resources', 'agent'))
    expect(text).toContain('shop.customers')
    expect(leaksIn(text)).toEqual([])
    expect(text).not.toContain('salar')
  })

  it.each(SCHEMA_OF_HR)('learns nothing of hr by %s', async (sql) => {
    const { status, body } = await gateway.query('agent', sql)
    expect([400, 403, 404]).toContain(status)
    expect(body).not.toHaveProperty('rows')
    expect(JSON.stringify(body)).not.toMatch(/employee_id|NUMERIC/)
  })
})

/** An answer without what differs from one time to another: its id, its milliseconds, the day's budgets, habits. */
function alike(text: string): string {
  const { exchange: _, statistics, budgets: _1, findings, ...rest } = bodyIn(text) as any
  const { durationMs: _2, ...spent } = statistics ?? {}
  const lasting = (findings ?? []).filter(({ kind }: any) => !/score$|history$|new-|unusual/.test(kind))
  return JSON.stringify([text.slice(0, 3), rest, spent, lasting])
}

describe('a guess', () => {
  it.each(GUESSES)('counts the same right and wrong: %s', async (sql, column) => {
    const told = new Set<string>()
    const victim = customers.find((c) => c[column] !== null && c.contacts.length > 1) ?? raise()
    const right = column === 'contacts' ? (victim.contacts[0] ?? raise()) : String(victim[column])
    for (const guess of [right, `${right}0`, reversed(right)]) {
      const { status, body } = await gateway.query('agent', sql, { params: { guess } })
      told.add(JSON.stringify([status, body.code, body.rows, body.rowCount]))
    }
    expect([...told]).toHaveLength(1)
  })

  it('of a canary is answered alike, right and wrong: rows, counts, columns, words, bytes, estimates', async () => {
    const different: string[] = []
    await several(guesses(ROUNDS), WIDTH, async ({ sql, type, right, wrong }) => {
      tally.count('evasions')
      const told = new Set<string>()
      for (const guess of [right, ...wrong]) {
        const asked = { connection: 'warehouse', sql, params: { guess: { type, value: guess } } }
        const [query, preflight] = [
          await everything(await gateway.post('/v1/query', 'agent', asked)),
          await everything(await gateway.post('/v1/preflight', 'agent', asked)),
        ]
        expect([sql, watch.seenIn(query), watch.seenIn(preflight)]).toEqual([sql, [], []])
        told.add(alike(query) + alike(preflight))
      }
      if (told.size === 1) return
      tally.leak(`a guess: ${sql}`)
      different.push(`${sql}\n${[...told].join('\n')}`)
    })
    expect(different).toEqual([])
  }, 600_000)

  it('of a birthday finds the year alone', async () => {
    const [{ born } = raise()] = customers.filter((c) => c.id === 3)
    const count = async (condition: string): Promise<string> => {
      const sql = `SELECT COUNT(*) FROM shop.customers WHERE id = 3 AND ${condition}`
      return (await gateway.query('agent', sql)).body.rows[0][0]
    }
    expect(await count(`birth_date = DATE '${born}'`)).toBe('0')
    expect(await count(`birth_date = DATE '${born?.slice(0, 4)}-01-01'`)).toBe('1')
    expect(await count(`EXTRACT(DAYOFYEAR FROM birth_date) > 1`)).toBe('0')
  })
})

/**
 * What each of them came to, beside the mirror; `leaks` and `wrong` are to be empty. `good` says that an honest agent might
 * send every one of them.
 */
async function composed(all: readonly Evasion[], good = true): Promise<{ leaks: string[]; wrong: string[] }> {
  const leaks: string[] = []
  const wrong: string[] = []
  let turn = 0
  await several(all, WIDTH, async ({ sql, form }) => {
    tally.count('evasions')
    const answer = await gateway.post('/v1/query', 'agent', { connection: 'warehouse', sql })
    const texts = [await everything(answer)]
    if (turn++ % 4 === 0) {
      texts.push(await everything(await gateway.post('/v1/preflight', 'agent', { connection: 'warehouse', sql })))
    }
    const body = bodyIn(texts[0] ?? '')
    const mirror = await told(mirrored(sql))
    const same = mirror.rows !== undefined && body.rows !== undefined && equal(leavesOf(body.rows), mirror.rows)
    // Rows that are the mirror's, which has no secrets, tell none, though four letters of a code meet by chance: the base64
    // of `[redacted]` has them. What stands beside such rows, and every other answer, is searched whole.
    if (same) texts[0] = (texts[0] ?? '').replace(JSON.stringify(body.rows), '[]')
    const seen = texts.flatMap((text) => watch.seenIn(text))
    if (seen.length > 0) {
      tally.leak(`${form}: ${sql}`)
      leaks.push(`${sql}\n${seen.join('\n')}`)
    }
    if (answer.status === 200) {
      // What the masks are promised to show, and nothing else.
      if (good) tally.count('honest')
      if (same) tally.count('answered as the mirror is')
      else
        wrong.push(
          `${form}: ${sql}\n${JSON.stringify(body.rows).slice(0, 500)}\n${JSON.stringify(mirror).slice(0, 500)}`,
        )
      return
    }
    const why = notHere(mirror.error)
    if (body.code === 'statement-refused' || body.code === 'denied' || answer.status === 404) {
      // A refusal of good GoogleSQL is a false one.
      if (good) tally.count('honest')
      if (good) tally.refusal(sql, `${body.code}: ${body.detail}`)
    } else if (why !== undefined) tally.elsewhere(sql, why)
    else if (mirror.error !== undefined) tally.count('failed as on the mirror')
    // What no analyst writes may fail at the warehouse, masked; the list says so.
    else if (!good && body.rows === undefined) tally.elsewhere(sql, 'runs on the mirror alone')
    else wrong.push(`${form}: ${sql}\n${answer.status} ${body.detail}`)
  })
  return { leaks, wrong }
}

const equal = (a: readonly (readonly string[])[], b: readonly (readonly string[])[]): boolean =>
  unordered(a).join('\n') === unordered(b).join('\n')

interface Body {
  readonly code?: string
  readonly detail?: string
  readonly rows?: readonly (readonly unknown[])[]
  readonly hold?: { readonly id: string; readonly state: string }
}

function bodyIn(text: string): Body {
  return JSON.parse(text.slice(text.lastIndexOf('\n') + 1)) as Body
}

const MADE_UP = Map.groupBy(evasions(CASES, SEED), ({ form }) => form.split(' / ')[0] ?? '')

describe('an agent that composes a source, a form, an expression and a spelling', () => {
  it.each([...MADE_UP.keys()])(
    'gets from `%s` what a table with masked values would give',
    async (form) => {
      expect(await composed(MADE_UP.get(form) ?? [])).toEqual({ leaks: [], wrong: [] })
    },
    600_000,
  )

  it('gets no more by what no composition makes', async () => {
    const hunts = HUNTS.map((sql) => ({ sql, form: 'by hand', carrier: '' }))
    expect(await composed(hunts, false)).toEqual({ leaks: [], wrong: [] })
  }, 600_000)

  it('sees no more of it held, and run once approved', async () => {
    const found: string[] = []
    await several(evasions(24, SEED + 1), WIDTH, async ({ sql }) => {
      const asked = { connection: 'warehouse', sql, purpose: 'to look' }
      const texts = [await everything(await gateway.post('/v1/query', 'writer', asked))]
      const hold = bodyIn(texts[0] ?? '').hold
      tally.count('evasions')
      if (hold !== undefined) {
        tally.count('held, approved and run')
        const path = `/v1/holds/${hold.id}`
        for (const who of ['owner', 'writer']) texts.push(await everything(await gateway.get(path, who)))
        texts.push(await everything(await gateway.post(`${path}/approve`, 'owner', { comment: 'fine' })))
        const ran = await everything(await gateway.post(`${path}/run`, 'writer', {}))
        texts.push(ran)
        const rows = bodyIn(ran).rows
        const mirror = await told(mirrored(sql))
        if (rows !== undefined && (mirror.rows === undefined || !equal(leavesOf(rows), mirror.rows))) found.push(sql)
      }
      const seen = texts.flatMap((text) => watch.seenIn(text))
      if (seen.length > 0) {
        tally.leak(`held: ${sql}`)
        found.push(`${sql}\n${seen.join('\n')}`)
      }
    })
    expect(found).toEqual([])
    expect(tally.of('held, approved and run')).toBeGreaterThan(5)
  })
})

describe('a writer', () => {
  it.each(DENIED_DML)('neither stores nor counts by a masked value: %s', async (sql) => {
    const answer = await gateway.post('/v1/query', 'writer', { connection: 'warehouse', sql, purpose: 'theft' })
    const text = await everything(answer)
    expect(leaksIn(text, sql)).toEqual([])
    const { code, reasons, detail } = JSON.parse(text.slice(text.lastIndexOf('\n') + 1))
    expect([answer.status, code, detail]).toEqual([403, 'denied', expect.stringMatching(/masked|masks/)])
    expect(['mask-unprovable', 'masked-value-write']).toContain(reasons[0].code)
    const preflight = await gateway.post('/v1/preflight', 'writer', { connection: 'warehouse', sql })
    expect(leaksIn(await everything(preflight), sql)).toEqual([])
  })

  it.each(HONEST_WRITES)('is held, not denied, for what tells nothing: %s', async (sql) => {
    const { status, body } = await gateway.query('writer', sql)
    expect([status, body.detail, body.hold?.state]).toEqual([202, undefined, 'pending'])
    const hold = await gateway.get(`/v1/holds/${body.hold.id}`, 'owner')
    expect(leaksIn(await everything(hold), sql)).toEqual([])
  })

  it('finds a view that changed while its write was held refused, not run', async () => {
    const view = 'shop.leaks_moving'
    await warehouse.query(`CREATE VIEW ${view} AS SELECT email, source FROM \`sluice-sandbox.shop.leads\``)
    try {
      const sql = `INSERT INTO shop.leads (email, source) SELECT email, 'moved' FROM ${view} LIMIT 1`
      const { body } = await gateway.query('writer', sql)
      await warehouse.query(
        `CREATE OR REPLACE VIEW ${view} AS SELECT ssn AS email, name AS source FROM \`sluice-sandbox.shop.customers\``,
      )
      await gateway.post(`/v1/holds/${body.hold.id}/approve`, 'owner', { comment: 'fine' })
      const ran = await gateway.post(`/v1/holds/${body.hold.id}/run`, 'writer', {})
      expect([ran.status, leaksIn(await everything(ran))]).toEqual([403, []])
      const read = await gateway.post('/v1/query', 'agent', { connection: 'warehouse', sql: `SELECT * FROM ${view}` })
      expect(leaksIn(await everything(read))).toEqual([])
      expect(await rowsOf(`SELECT email FROM shop.leads WHERE source = 'moved'`)).toEqual([])
    } finally {
      await warehouse.query(`DROP VIEW ${view}`)
    }
  })
})

/** What of a statement changes from run to run, or is not the same of the mirror. */
const MOVES = /LIMIT|GENERATE_UUID|CURRENT_DATE|INFORMATION_SCHEMA|QUALIFY r|ORDER BY amount DESC|ANY_VALUE/

describe('an honest query', () => {
  /** Answered with the rows of a table that holds the masked values; or counted as refused, or as not run here. */
  async function answered(sql: string, exact: boolean): Promise<void> {
    const { status, body } = await gateway.query('agent', sql)
    if (status !== 200) return unanswered(sql, body)
    tally.count('honest')
    expect([sql, body.ending, leaksIn(JSON.stringify(body.rows), sql)]).toEqual([sql, 'whole', []])
    const mirror = /INFORMATION_SCHEMA/.test(sql) ? undefined : await told(mirrored(sql))
    if (mirror === undefined) return
    expect([sql, mirror.error]).toEqual([sql, undefined])
    if (exact) expect([sql, unordered(leavesOf(body.rows))]).toEqual([sql, unordered(mirror.rows ?? [])])
    else expect([sql, body.rows.length]).toEqual([sql, mirror.rows?.length])
  }

  async function unanswered(sql: string, { code, detail, reasons }: any): Promise<void> {
    const why = notHere((await told(mirrored(sql))).error)
    if (why !== undefined && code !== 'statement-refused') return tally.elsewhere(sql, why)
    tally.count('honest')
    tally.refusal(sql, `${code}: ${detail} ${JSON.stringify(reasons)}`)
  }

  it.concurrent.each(ASKED)('runs: %s', (sql) => answered(sql, true))
  it.concurrent.each(HONEST)('runs: %s', (sql) => answered(sql, !MOVES.test(sql)))
})

describe('a masked table', () => {
  it('answers any query as a table that holds the masked values would', async () => {
    const wrong: string[] = []
    await several([...new Set(fc.sample(queries(), { numRuns: QUERIES, seed: SEED }))], WIDTH, async (sql) => {
      const mirror = await told(mirrored(sql))
      const { status, body } = await gateway.query('agent', sql)
      const why = notHere(mirror.error)
      if (why !== undefined && body.code !== 'statement-refused') return tally.elsewhere(sql, why)
      tally.count('honest')
      tally.count('queries compared with the mirror')
      if (status === 200 && mirror.rows !== undefined) {
        if (!equal(leavesOf(body.rows), mirror.rows)) wrong.push(`${sql}\n${JSON.stringify(body.rows).slice(0, 300)}`)
      } else if (mirror.rows !== undefined || !String(body.code).startsWith('upstream-')) {
        tally.refusal(sql, `${body.code}: ${body.detail}`)
      }
    })
    // The shortest first: it tells most.
    expect(wrong.toSorted((a, b) => a.length - b.length)).toEqual([])
  }, 600_000)
})

describe('afterwards', () => {
  it('the operational log holds no secret', () => {
    const text = gateway.logs.join('\n')
    expect([leaksIn(text), watch.seenIn(text)]).toEqual([[], []])
  })

  it('the record of an exchange holds what was asked and no answer', async () => {
    const rows = await gateway.audit<Record<string, unknown>>(
      `SELECT * FROM exchanges WHERE principal = 'agent' AND outcome = 'answered' LIMIT 200`,
      (found) => found.length > 50,
    )
    const said = rows.map((row) => String(row['statement'])).join('\n')
    expect(leaksIn(JSON.stringify(rows), said)).toEqual([])
  })

  it('no audit view holds a canary', async () => {
    for (const view of ['exchanges', 'decisions', 'holds', 'approvals', 'masked_columns']) {
      const rows = await gateway.audit(`SELECT * FROM ${view}`, (found) => found.length > 10)
      expect([view, watch.seenIn(JSON.stringify(rows))]).toEqual([view, []])
    }
  })
})

function raise(): never {
  throw new Error('the seed has no such customer')
}
