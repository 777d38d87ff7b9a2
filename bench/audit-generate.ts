/**
 * Audit records as a gateway of some size writes them: agents of a company that ask a warehouse and a CRM over some days,
 * what was denied and what a person approved. Made from a seed, so that two runs make the same.
 *
 * Shapes and lengths are those of records that the sandbox's gateway wrote; names, literals, ids and times differ from one
 * exchange to the next as they do in life, because what repeats costs nothing to store.
 */
import type { Decision, Finding, Masked, Principal, ResourceUse } from '../src/exchange.ts'
import type { AuditRecord, RecordedStatement } from '../src/audit/contract.ts'
import { Dice } from './dice.ts'

export interface Generated {
  readonly record: AuditRecord
  readonly recordId: string
}

export interface GenerateOptions {
  /** About how many records; exchanges are made whole. */
  readonly records: number
  /** Milliseconds since 1970 UTC; `to` exclusive. */
  readonly from: number
  readonly to: number
  readonly seed?: number
}

/** A table of the company, and a statement's word that is looked for in texts. */
export const TABLE = 'finance.salaries'
export const NEEDLE = 'reconciliation'

const DAY_MS = 86_400_000
const RECORDS_PER_EXCHANGE = 2.06

/** In the order of their times, but for what people do hours later to holds. */
export function* generate({ records, from, to, seed = 1 }: GenerateOptions): Generator<Generated> {
  const dice = new Dice(seed)
  const people = Array.from({ length: 60 }, (_, n) => person(n))
  const agents = Array.from({ length: 400 }, (_, n) => agent(n, people))
  const step = ((to - from) / records) * RECORDS_PER_EXCHANGE
  const later: Generated[] = []
  let at = from
  while (at < to) {
    // A working day has its hours; so much and no more depends on them.
    const hour = (at % DAY_MS) / 3_600_000
    const pace = hour > 7 && hour < 19 ? 1.6 : 0.4
    at += -Math.log(1 - dice.number()) * (step / pace)
    const due = later.findIndex(({ record }) => record.at > at)
    yield* later.splice(0, due === -1 ? later.length : due)
    for (const next of exchange(dice, at, agents, people)) {
      if (next.record.at - at < 60_000) yield next
      else insert(later, next)
    }
  }
}

function insert(later: Generated[], next: Generated): void {
  const before = later.findIndex(({ record }) => record.at > next.record.at)
  later.splice(before === -1 ? later.length : before, 0, next)
}

// ── who ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const FIRST = 'ada grace alan edsger barbara donald frances john katherine niklaus radia tony'.split(' ')
const LAST = 'bauer castillo dubois eriksen fischer garcia hoffmann ivanova jensen kowalski'.split(' ')

function person(n: number): Principal {
  const subject = `${FIRST[n % FIRST.length]}.${LAST[Math.floor(n / FIRST.length) % LAST.length]}${n}@example.com`
  const groups = n % 6 === 0 ? ['staff', 'data-owners'] : ['staff']
  return { issuer: 'corp', subject, kind: 'person', plane: 'people', groups }
}

function agent(n: number, people: readonly Principal[]): Principal {
  const kinds = ['analyst', 'support', 'finance', 'forecast', 'crm-sync']
  const kind = kinds[n % kinds.length] ?? 'analyst'
  const of = people[n % people.length]
  return {
    issuer: 'corp',
    subject: `agent-${kind}-${n}`,
    kind: 'agent',
    plane: 'agents',
    groups: kind === 'crm-sync' ? ['writer-agents'] : ['analyst-agents', `team-${n % 12}`],
    ...(n % 3 === 0 && of !== undefined && { actsFor: { issuer: 'corp', subject: of.subject } }),
  }
}

// ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Shape {
  readonly id: string
  readonly kind: string
  readonly uses: readonly ResourceUse[]
  readonly masked: readonly Masked[]
  readonly weighed: string
  readonly text: (dice: Dice) => string
  readonly ran: (text: string) => string
}

const DATASETS = ['shop', 'finance', 'support', 'web', 'ops', 'marketing']
const NOUNS = ['orders', 'customers', 'invoices', 'tickets', 'sessions', 'shipments', 'refunds', 'campaigns', 'stock']
const COLUMNS = ['id', 'created_at', 'amount', 'status', 'country', 'email', 'phone', 'channel', 'quantity', 'score']
const WORDS =
  'weekly report north churn cohort margin backlog escalation onboarding renewal forecast pipeline variance audit'.split(
    ' ',
  )

function shapes(): readonly Shape[] {
  const dice = new Dice(7)
  return Array.from({ length: 240 }, (_, n) => shape(dice, n, `${dice.pick(DATASETS)}.${dice.pick(NOUNS)}`))
}

function shape(dice: Dice, n: number, table: string): Shape {
  const other = n % 3 === 0 ? `${dice.pick(DATASETS)}.${dice.pick(NOUNS)}` : undefined
  const columns = [...new Set(Array.from({ length: 3 + (n % 5) }, () => dice.pick(COLUMNS)))]
  const resources = other === undefined || other === table ? [table] : [table, other].toSorted()
  const masks = resources.flatMap((resource) =>
    MASKS.map(([column, strategy]): Masked => ({ resource, column, strategy })),
  )
  const alias = `t${n % 4}`
  return {
    id: dice.hex(16),
    kind: 'SELECT',
    uses: resources.map((resource) => ({ action: 'read', resource })),
    masked: masks,
    weighed: JSON.stringify({
      columns: columns.map((name) => `${table}.${name}`).toSorted(),
      features: n % 2 === 0 ? ['no-limit'] : [],
      functions: n % 4 === 0 ? ['COUNT', 'SUM'] : [],
      language: 'googlesql',
      tables: resources.map((resource) => ({ resource })),
    }),
    text: (with_) =>
      [
        n % 4 === 0
          ? `SELECT ${alias}.${columns[0]}, COUNT(*) AS n, SUM(${alias}.amount) AS total`
          : `SELECT ${columns.map((name) => `${alias}.${name}`).join(', ')}`,
        `FROM ${table} AS ${alias}`,
        ...(resources.length > 1 ? [`JOIN ${other} AS o ON o.customer_id = ${alias}.id`] : []),
        `WHERE ${alias}.created_at >= '2026-${two(1 + with_.whole(12))}-${two(1 + with_.whole(28))}'`,
        `  AND ${alias}.id BETWEEN ${with_.whole(10_000_000)} AND ${with_.whole(10_000_000)}`,
        ...(with_.number() < 0.3 ? [`  AND ${alias}.country = '${with_.pick(COUNTRIES)}'`] : []),
        ...(with_.number() < 0.1 ? [`-- ${with_.pick(WORDS)} ${with_.pick(WORDS)} ${with_.hex(6)}`] : []),
        ...(with_.number() < 0.0002 ? [`-- ${NEEDLE} of the ledger`] : []),
        ...(n % 4 === 0 ? [`GROUP BY ${alias}.${columns[0]}`] : []),
        ...(n % 2 === 1 ? ['LIMIT 500'] : []),
      ].join('\n'),
    ran: (text) => resources.reduce((ran, resource) => ran.replace(resource, maskedSource(resource)), text),
  }
}

const COUNTRIES = ['DE', 'FR', 'PL', 'SE', 'US', 'BR', 'JP', 'IN', 'NG', 'NZ']
const MASKS = [
  ['email', 'hash'],
  ['phone', 'partial'],
] as const

/** As the rewriter writes it, less its length. */
function maskedSource(resource: string): string {
  return (
    '(SELECT * REPLACE (IF(sluice_t1.`email` IS NULL, NULL, TO_HEX(SHA256(CONCAT(@sluice_k1_opad, SHA256(CONCAT(' +
    '@sluice_k1_ipad, CAST(sluice_t1.`email` AS BYTES))))))) AS `email`, IF(sluice_t1.`phone` IS NULL, NULL, CONCAT(' +
    "REPEAT('*', CHAR_LENGTH(sluice_t1.`phone`) - LEAST(4, DIV(CHAR_LENGTH(sluice_t1.`phone`), 3))), SUBSTR(sluice_t1." +
    '`phone`, CHAR_LENGTH(sluice_t1.`phone`) - LEAST(4, DIV(CHAR_LENGTH(sluice_t1.`phone`), 3)) + 1))) AS `phone`) ' +
    `FROM \`example-company.${resource}\` AS sluice_t1)`
  )
}

const SHAPES: readonly Shape[] = shapes()
/** The one about `TABLE`, and how often it is asked. */
const RARE = shape(new Dice(8), SHAPES.length, TABLE)
const SELDOM = 0.0003

/** Statements of the CRM. */
const CALLS = [
  { kind: 'GET', operation: 'getCustomer', template: '/customers/{id}', action: 'read' },
  { kind: 'GET', operation: 'listOrders', template: '/customers/{id}/orders', action: 'read' },
  { kind: 'PATCH', operation: 'changeCustomer', template: '/customers/{id}', action: 'write' },
] as const

// ── how it went ──────────────────────────────────────────────────────────────────────────────────────────────────

const POLICY = `sha256:${'667f56d9fdf03bf2b723bd8f0799601d'.repeat(2)}`

const OBLIGATIONS = [
  {
    name: 'mask-columns',
    terms: [
      {
        columns: Object.fromEntries(
          DATASETS.slice(0, 4).flatMap((dataset) => [
            [`${dataset}.customers.email`, 'hash'],
            [`${dataset}.customers.phone`, 'partial'],
            [`${dataset}.orders.customer_email`, 'hash'],
          ]),
        ),
      },
    ],
  },
  {
    name: 'limits',
    terms: [{ rows: 2_000_000, bytesBilled: 10_737_418_240, timeMs: 120_000, perDay: { queries: 500_000 } }],
  },
]

function* exchange(
  dice: Dice,
  at: number,
  agents: readonly Principal[],
  people: readonly Principal[],
): Generator<Generated> {
  // Few agents ask for most.
  const principal = dice.often(agents)
  const base = {
    exchange: dice.uuidv7(at),
    surface: 'query',
    plane: principal.plane,
    principal,
    connection: 'warehouse',
    ...(dice.number() < 0.4 && { purpose: `${dice.pick(WORDS)} ${dice.pick(WORDS)} ${dice.whole(5000)}` }),
  }
  const receivedAt = Math.floor(at)
  const kind = dice.number()
  if (kind < 0.03) {
    yield placed(dice, {
      kind: 'refused',
      at: receivedAt + 2,
      ...base,
      statement: { language: 'googlesql', kind: 'UNKNOWN', text: misspelt(dice), uses: [], parameters: [] },
      failure: { code: 'resource-unknown', message: `\`${dice.pick(COLUMNS)}_x\` is not known here` },
    })
    return
  }
  const isHttp = kind > 0.7
  const statement = isHttp ? call(dice) : select(dice)
  const { weighed, ...recorded } = statement.recorded
  const common = { ...base, ...(isHttp && { surface: 'proxy', connection: 'crm' }), receivedAt }
  const decision = decisionOf(dice, statement.recorded, receivedAt)
  const decidedAt = receivedAt + 3 + dice.whole(20)
  const decided = (how: Decision, when: number): Generated =>
    placed(dice, {
      kind: 'decided',
      at: when,
      ...common,
      statement: { ...recorded, ...(weighed !== undefined && { weighed }) },
      findings: isHttp ? [] : findingsOf(dice),
      decision: how,
      policy: POLICY,
    })
  yield decided(decision, decidedAt)
  if (decision.effect === 'deny') return
  let runAt = decidedAt
  if (decision.effect === 'hold') {
    const approver = dice.pick(people.filter(({ groups }) => groups.includes('data-owners')))
    const moved = (state: string, when: number, by: Principal, comment?: string): Generated =>
      placed(dice, {
        kind: 'hold',
        at: when,
        ...base,
        surface: 'holds',
        plane: by.plane,
        principal: by,
        hold: { id: base.exchange, state, ...(comment !== undefined && { comment }) },
      })
    yield moved('pending', decidedAt + 1, principal)
    const decidedBy = decidedAt + 60_000 + dice.whole(8 * 3_600_000)
    const approved = dice.number() < 0.8
    const comment = `${dice.pick(WORDS)} ${dice.pick(WORDS)}, ticket ${dice.whole(100_000)}`
    yield moved(approved ? 'approved' : 'rejected', decidedBy, approver, comment)
    if (!approved) return
    runAt = decidedBy + 5000
    yield decided({ effect: 'permit', reasons: decision.reasons, obligations: OBLIGATIONS }, runAt)
    yield moved('running', runAt + 1, principal)
  }
  const tookMs = 20 + Math.round(-Math.log(1 - dice.number()) * 400)
  const endedAt = runAt + tookMs
  if (dice.number() < 0.01) {
    const failure = { code: 'upstream-failed', message: 'the warehouse did not answer' }
    yield placed(dice, { kind: 'failed', at: endedAt, ...common, statement: recorded, policy: POLICY, failure })
    return
  }
  const rowCount = Math.round(10 ** (dice.number() * 4))
  yield placed(dice, {
    kind: 'completed',
    at: endedAt,
    ...common,
    statement: recorded,
    policy: POLICY,
    completion: {
      ran: statement.ran,
      rowCount: isHttp ? 0 : rowCount,
      byteCount: rowCount * (60 + dice.whole(80)),
      masked: statement.masked,
      statistics: isHttp
        ? { durationMs: tookMs }
        : {
            bytesProcessed: dice.whole(1e9),
            bytesBilled: 10_485_760,
            cacheHit: dice.number() < 0.1,
            durationMs: tookMs,
          },
      ending: 'whole',
      timings: { firstByteMs: tookMs, totalMs: tookMs + dice.whole(30) },
      ...(isHttp ? { status: 200 } : { job: `sluice_${base.exchange.replaceAll('-', '')}` }),
    },
  })
  if (decision.effect === 'hold') {
    yield placed(dice, {
      kind: 'hold',
      at: endedAt + 1,
      ...base,
      surface: 'holds',
      hold: { id: base.exchange, state: 'done' },
    })
  }
}

function placed(dice: Dice, record: AuditRecord): Generated {
  return { record, recordId: dice.uuidv7(record.at) }
}

interface Stated {
  readonly recorded: RecordedStatement
  readonly ran: string
  readonly masked: readonly Masked[]
}

function select(dice: Dice): Stated {
  // The table of the question is touched seldom.
  const made = dice.number() < SELDOM ? RARE : dice.often(SHAPES)
  const { id, kind, uses, masked, weighed, text, ran } = made
  const words = text(dice)
  return {
    recorded: {
      language: 'googlesql',
      kind,
      text: words,
      uses,
      parameters: [],
      estimatedBytes: dice.whole(1e9),
      shape: id,
      weighed,
    },
    ran: ran(words),
    masked,
  }
}

function call(dice: Dice): Stated {
  const { kind, operation, template, action } = dice.number() < 0.9 ? dice.pick(CALLS.slice(0, 2)) : CALLS[2]
  const id = String(dice.whole(2_000_000))
  const text = `${kind} ${template.replace('{id}', id)}`
  const body = JSON.stringify({ status: dice.pick(WORDS), note: `${dice.pick(WORDS)} ${dice.hex(8)}` })
  return {
    recorded: {
      language: 'http',
      kind,
      text,
      uses: [{ action, resource: operation }],
      parameters: ['header accept', 'header user-agent'],
      ...(kind === 'PATCH' && {
        request: { type: 'application/json', bytes: body.length, digest: dice.hex(64), text: body },
      }),
      weighed: JSON.stringify({
        headers: [['accept', '*/*'], ['user-agent']],
        language: 'http',
        operation,
        path: [['id', id]],
        query: [],
        template,
      }),
    },
    ran: text,
    masked: [
      { resource: operation, column: '$..email', strategy: 'hash', count: 1 + dice.whole(20) },
      { resource: operation, column: '$..phone', strategy: 'partial', count: 1 + dice.whole(20) },
    ],
  }
}

function misspelt(dice: Dice): string {
  return `SELECT ${dice.pick(COLUMNS)}_x FROM ${dice.pick(DATASETS)}.${dice.pick(NOUNS)} WHERE id = ${dice.whole(1e6)}`
}

function findingsOf(dice: Dice): readonly Finding[] {
  const score = dice.whole(30)
  return [
    {
      kind: 'sql-risk/score',
      facts: { risk: { costUsd: 0, factors: ['unbounded'], points: [`unbounded ${score}`], score, version: 2 } },
    },
    { kind: 'sql-risk/unbounded', where: '1:1' },
  ]
}

function decisionOf(dice: Dice, statement: RecordedStatement, at: number): Decision {
  const where = statement.uses[0]?.resource ?? ''
  const roll = dice.number()
  if (roll < 0.04) {
    return {
      effect: 'deny',
      reasons: [{ code: 'shop-analysts/no-hr', because: 'no agent reads personnel data', where }],
    }
  }
  if (roll < 0.045 || statement.kind === 'PATCH') {
    return {
      effect: 'hold',
      reasons: [{ code: 'crm-agents/change', because: 'a data owner looks at each change of a customer', where }],
      obligations: OBLIGATIONS,
      approvers: [{ groups: ['data-owners'], count: 1 }],
      expiresAt: at + DAY_MS,
    }
  }
  const because = 'analyst agents read the shop with personal data masked'
  return { effect: 'permit', reasons: [{ code: 'shop-analysts/read-shop', because, where }], obligations: OBLIGATIONS }
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}
