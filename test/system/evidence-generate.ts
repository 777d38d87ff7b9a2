/** Weeks of an imagined company's records, put into a store as gateways would have: by segment, with what each hashes to. */
import { createHash } from 'node:crypto'
import type { AuditRecord } from '../../src/audit/contract.ts'
import type { ClickHouse } from '../../src/audit/reader/contract.ts'
import { blob, ByteWriter, count, millis, text, uuid, word, type Codec } from '../../src/audit/rowbinary.ts'
import {
  COLUMN_NAMES,
  columnNames,
  COLUMNS,
  encodeRow,
  SCHEMA_VERSION,
  toRow,
  type Row,
} from '../../src/audit/record.ts'
import { checkpointText, damagedBytes, entryBytes } from '../../src/audit/proof/entry.ts'
import { CompactRange, leafHash, type Sha256 } from '../../src/audit/proof/merkle.ts'
import { renderNote, signerOf, signNote, type Signer } from '../../src/audit/proof/note.ts'
import { createMigrator, SEGMENT_COLUMNS } from '../../src/audit/schema.ts'
import type { Principal } from '../../src/exchange.ts'

const DAY = 86_400_000
const HOUR = 3_600_000

/** The same numbers for the same seed. */
function chances(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

let made = 0
/** A UUIDv7 of this moment; counted, so that a run is like the one before. */
export function idAt(at: number): string {
  const time = Math.floor(at).toString(16).padStart(12, '0')
  const count = (++made).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${count}`
}

const person = (subject: string, groups: readonly string[]): Principal => ({
  issuer: 'corp',
  subject,
  kind: 'person',
  plane: 'people',
  groups,
})
const agent = (subject: string, groups: readonly string[], person?: string): Principal => ({
  issuer: 'corp',
  subject,
  kind: 'agent',
  plane: 'agents',
  groups,
  ...(person !== undefined && { actsFor: { issuer: 'corp', subject: person } }),
})

const AGENTS = [
  agent('reporting-agent', ['analyst-agents'], 'ada'),
  agent('reporting-agent', ['analyst-agents'], 'grace'),
  agent('support-copilot', ['support-agents'], 'linus'),
  agent('support-copilot', ['support-agents'], 'margaret'),
  agent('etl-service', ['pipelines']),
  agent('finance-bot', ['finance-agents'], 'edsger'),
]
const APPROVERS = [person('barbara', ['data-owners']), person('ken', ['data-owners', 'finance-leads'])]

const TABLES = [
  ['warehouse', 'shop.orders', 'SELECT status, count(*) FROM shop.orders GROUP BY status', []],
  [
    'warehouse',
    'shop.customers',
    "SELECT id, email, city FROM shop.customers WHERE city = 'Zürich'",
    ['email', 'name'],
  ],
  ['warehouse', 'hr.employees', 'SELECT id, salary, iban FROM hr.employees', ['iban', 'salary']],
  ['crm', 'GET /v1/contacts', 'GET /v1/contacts?limit=50', ['phone', 'email']],
] as const

const DIGESTS = ['a', 'b', 'c'].map((letter) => `sha256:${letter.repeat(64)}`)

/** Every record of `days` days up to `until`, in the order of time. */
export function company(until: number, days: number, perDay: number): readonly AuditRecord[] {
  const chance = chances(42)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(chance() * from.length)] as T
  const records: AuditRecord[] = []
  const gateway = (at: number, kind: 'started' | 'policy', note: string, policy: string) =>
    records.push({
      kind,
      at,
      exchange: idAt(at),
      surface: 'gateway',
      note,
      policy,
      documents: {
        'policies/analysts.yaml': `# ${policy.slice(7, 9)}\npolicy: analysts\nrules:\n  - permit: read\n`,
        'policies/../../etc/passwd': 'a path that climbs\n',
        'access.json': JSON.stringify({
          issuers: [{ name: 'corp' }],
          auditors: { groups: ['auditors', policy.slice(7, 9)] },
        }),
      },
    })
  const begin = until - days * DAY
  gateway(begin, 'started', 'version 0.1.0', DIGESTS[0] ?? '')
  for (let day = 0; day < days; day++) {
    const start = begin + day * DAY
    if (day === Math.floor(days / 3)) gateway(start + 10 * HOUR, 'policy', 'policies changed', DIGESTS[1] ?? '')
    if (day === Math.floor((days * 2) / 3)) gateway(start + 15 * HOUR, 'policy', 'policies changed', DIGESTS[2] ?? '')
    const policy = DIGESTS[Math.min(2, Math.floor((day * 3) / days))] ?? ''
    const weekend = [0, 6].includes(new Date(start).getUTCDay())
    const many = Math.round(perDay * (weekend ? 0.25 : 0.8 + chance() * 0.5) * (1 + day / days))
    for (let i = 0; i < many; i++) {
      const at = start + Math.floor((weekend ? chance() * 24 : 6 + (chance() + chance()) * 7) * HOUR)
      const [connection, table, text, columns] = pick(TABLES)
      const principal = pick(AGENTS)
      const exchange = idAt(at)
      const lot = chance()
      const language = connection === 'crm' ? 'http' : 'googlesql'
      const common = {
        exchange,
        surface: 'query',
        plane: 'agents',
        principal,
        connection,
        purpose: 'weekly report',
        policy,
      } as const
      if (lot < 0.035) {
        const code = lot < 0.015 ? 'credential-refused' : lot < 0.02 ? 'credential-missing' : 'statement-refused'
        records.push({
          kind: 'refused',
          at,
          exchange,
          surface: 'query',
          ...(code === 'statement-refused' && { principal, plane: 'agents', connection }),
          statement: {
            language,
            kind: 'UNKNOWN',
            text: 'SELECT * FROM ‮evil <script>alert(1)</script>',
            uses: [],
            parameters: [],
          },
          failure: {
            code,
            message:
              code === 'statement-refused' ? 'the statement is not understood' : 'the bearer token is not accepted',
          },
        })
        continue
      }
      const writes = lot > 0.93
      const statement = {
        language,
        kind: writes ? 'UPDATE' : 'SELECT',
        text: writes ? `UPDATE ${table} SET status = 'x' WHERE id = ${i}` : `${text} -- ${i}`,
        uses: [{ action: writes ? 'write' : 'read', resource: table }] as const,
        parameters: [],
        shape: '0123456789abcdef',
      }
      const findings =
        chance() < 0.3
          ? [{ kind: pick(['sql-risk/score', 'sql-risk/new-table', 'sql-risk/unusual-hour']), count: 1 }]
          : []
      const decided = { kind: 'decided', at, ...common, statement, findings } as const
      if (writes) {
        const reasons = [{ code: 'writes/ask-owner', because: 'an owner of the data must agree to changes' }]
        records.push({
          ...decided,
          decision: {
            effect: 'hold',
            reasons,
            obligations: [],
            approvers: [{ rule: 'writes/ask-owner', groups: ['data-owners'], count: 1 }] as never,
            expiresAt: at + DAY,
          },
        })
        const person = pick(APPROVERS)
        const approved = chance() < 0.8
        const move = (after: number, state: string, by?: Principal, comment?: string) =>
          records.push({
            kind: 'hold',
            at: at + after,
            exchange,
            surface: 'holds',
            principal: by ?? principal,
            plane: (by ?? principal).plane,
            connection,
            hold: { id: exchange, state, ...(comment !== undefined && { comment }) },
          })
        move(5, 'pending')
        const waited = Math.floor(60_000 + chance() ** 3 * 6 * HOUR)
        move(
          waited,
          approved ? 'approved' : 'rejected',
          person,
          approved ? 'checked with the owner, ticket OPS-12 “fine”' : 'not without a filter',
        )
        if (!approved) continue
        records.push({
          ...decided,
          at: at + waited + 50,
          decision: {
            effect: 'permit',
            reasons: [{ code: 'writes/approved', because: 'a person approved it' }],
            obligations: [],
          },
        })
        records.push({
          kind: 'completed',
          at: at + waited + 900,
          ...common,
          statement,
          completion: {
            ran: statement.text,
            job: `job_${i}`,
            rowCount: 0,
            byteCount: 0,
            masked: [],
            statistics: { durationMs: 812, rowsAffected: 3 },
            ending: 'whole',
          },
        })
        continue
      }
      if (lot < 0.12) {
        const [code, because] =
          table === 'hr.employees'
            ? ['people-data/no-agents', 'agents do not read salaries']
            : ['analysts/with-filter', 'reads must name a date']
        records.push({
          ...decided,
          decision: { effect: 'deny', reasons: [{ code, because, fix: 'ask for a view' }] } as never,
        })
        continue
      }
      records.push({
        ...decided,
        decision: {
          effect: 'permit',
          reasons: [{ code: 'analysts/read', because: 'analysts may read the shop' }],
          obligations: [],
        },
      })
      if (lot < 0.122) continue
      if (lot < 0.13) {
        records.push({
          kind: 'failed',
          at: at + 400,
          ...common,
          statement,
          failure: { code: 'upstream-failed', message: 'the upstream did not answer' },
        })
        continue
      }
      const masked = columns.map((column) => ({
        resource: table,
        column,
        strategy: column === 'email' ? 'partial' : 'redact',
        ...(connection === 'crm' && { count: 50 }),
      }))
      const cut = lot > 0.925
      records.push({
        kind: 'completed',
        at: at + 300,
        ...common,
        statement,
        completion: {
          ran: statement.text,
          job: `job_${i}`,
          rowCount: Math.floor(chance() * 400),
          byteCount: Math.floor(chance() * 90_000),
          masked,
          statistics: { bytesProcessed: 1_000_000, durationMs: 250 },
          ending: cut ? 'cut' : 'whole',
          ...(cut && { cut: 'client-gone' }),
        },
      })
    }
    const at = start + 17 * HOUR
    if (day % 5 === 0) {
      records.push({
        kind: 'audit-query',
        at,
        exchange: idAt(at),
        surface: 'audit',
        plane: 'people',
        principal: person('hedy', ['auditors']),
        statement: {
          language: 'clickhouse',
          kind: 'SELECT',
          text: 'SELECT count() FROM exchanges',
          uses: [],
          parameters: [],
        },
      })
    }
  }
  return records.toSorted((a, b) => a.at - b.at)
}

/** 32 secret bytes that are none. */
const SEED = new Uint8Array(32).fill(7)

export const sha256: Sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

export const signer = (): Promise<Signer> => signerOf(sha256, 'corp.example/audit', SEED)

export interface Written {
  readonly writer: string
  readonly epoch: string
  /** That are in the store. */
  readonly rows: readonly Row[]
}

export interface How {
  readonly writer: string
  readonly epoch: string
  /** Records of a segment. */
  readonly each: number
  /** The first segment of the log. */
  readonly first?: number
  /** Segments below this are of schema version 3. */
  readonly upgraded?: number
  /** Segments that were damaged before they could be delivered. */
  readonly damaged?: readonly number[]
}

/** Puts `records` into the tables as a gateway's journal would have handed them over. */
export async function write(
  clickhouse: Pick<ClickHouse, 'command' | 'insertRowBinary' | 'query'>,
  database: string,
  records: readonly AuditRecord[],
  { writer, epoch, each, first = 1, upgraded = 0, damaged = [] }: How,
): Promise<Written> {
  await createMigrator(clickhouse, database)(AbortSignal.timeout(60_000))
  const all: Row[] = records.map((record, i) => ({
    ...toRow(record, { recordId: idAt(record.at), writer, epoch, retainDays: 400 }),
    segment: Math.floor(i / each) + first,
    writer_seq: i + 1,
  }))
  const insert = async (table: string, columns: readonly string[], pieces: readonly Uint8Array[]): Promise<void> => {
    const CHUNK = 20_000
    for (let at = 0; at < pieces.length; at += CHUNK) {
      const bytes = Buffer.concat(pieces.slice(at, at + CHUNK))
      const token = `${epoch}:${table}:${columns.length}:${at}`
      await clickhouse.insertRowBinary(`${database}.${table}`, columns, bytes, token, AbortSignal.timeout(120_000))
    }
  }
  const rows = all.filter(({ segment }) => !damaged.includes(segment))
  const old = rows.filter(({ segment }) => segment < upgraded)
  await insert(
    'events',
    columnNames(3),
    old.map((row) => encoded(row, 3)),
  )
  await insert('events', COLUMN_NAMES, rows.slice(old.length).map(encodeRow))
  const entries: { at: number; leaf: Uint8Array }[] = []
  const lines: Uint8Array[] = []
  for (const [segment, of] of Map.groupBy(all, (row) => row.segment)) {
    const schema = segment < upgraded ? 3 : SCHEMA_VERSION
    const lost = damaged.includes(segment)
    const leaves = lost ? [] : of.map((row) => Buffer.from(leafHash(sha256, encoded(row, schema))))
    const days = Buffer.alloc(leaves.length * 2)
    for (const i of leaves.keys()) days.writeUInt16LE(of[i]?.retain_until ?? 0, i * 2)
    const place = { segment, schema, firstSeq: of[0]?.writer_seq ?? 0, records: of.length }
    const at = Math.floor((of.at(-1)?.ts ?? 0) / 1000)
    const root = rootOf(leaves)
    const entry = lost ? damagedBytes(place) : entryBytes(sha256, { ...place, root, days })
    entries.push({ at, leaf: leafHash(sha256, entry) })
    const to = new ByteWriter()
    word.write(to, writer)
    uuid.write(to, epoch)
    count.write(to, segment)
    to.byte(schema)
    count.write(to, place.firstSeq)
    count.write(to, place.records)
    text.write(to, lost ? '' : root.toString('hex'))
    blob.write(to, Buffer.concat(leaves))
    blob.write(to, days)
    millis.write(to, at)
    lines.push(to.done())
  }
  await insert(
    'segments',
    SEGMENT_COLUMNS.map(([name]) => name),
    lines,
  )
  await checkpoints(clickhouse, database, { writer, epoch, first }, entries)
  return { writer, epoch, rows }
}

/** The bytes of a row as a version of the schema has them. */
export function encoded(row: Row, version: number): Uint8Array {
  if (version === SCHEMA_VERSION) return encodeRow(row)
  const to = new ByteWriter()
  for (const { name, codec, since } of COLUMNS) {
    if (since <= version) (codec as Codec<unknown>).write(to, row[name])
  }
  return to.done()
}

/** A head a quarter of an hour at the most, whenever the tree has grown. */
async function checkpoints(
  clickhouse: Pick<ClickHouse, 'command'>,
  database: string,
  { writer, epoch, first }: { writer: string; epoch: string; first: number },
  entries: readonly { at: number; leaf: Uint8Array }[],
): Promise<void> {
  const tree = new CompactRange(sha256)
  const own = await signer()
  const lines: string[] = []
  let signedAt = 0
  for (const [i, { at, leaf }] of entries.entries()) {
    tree.add(leaf)
    if (at - signedAt < HOUR / 4 && i !== entries.length - 1) continue
    signedAt = at
    const origin = `corp.example/audit/${writer}/${epoch}`
    const body = { origin, size: tree.size, root: tree.root(), time: at, first }
    const note = renderNote(await signNote(checkpointText(body), [own]))
    const root = Buffer.from(body.root).toString('base64')
    lines.push(
      `('${origin}', '${writer}', '${epoch}', ${tree.size}, '${root}', fromUnixTimestamp64Milli(${at}), '${note.replaceAll('\n', '\\n')}')`,
    )
  }
  for (let at = 0; at < lines.length; at += 200) {
    await clickhouse.command(`INSERT INTO ${database}.checkpoints VALUES ${lines.slice(at, at + 200).join(', ')}`)
  }
}

/** RFC 6962, plainly: what is tested is not asked. */
export function rootOf(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return createHash('sha256').digest()
  if (hashes.length === 1) return hashes[0] as Buffer
  let half = 1
  while (half * 2 < hashes.length) half *= 2
  const [left, right] = [rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half))]
  return createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest()
}
