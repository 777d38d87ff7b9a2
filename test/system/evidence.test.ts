/** Evidence packs over a month of records: what is in them, and that all of it leads to a signed head. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { unpackTar } from 'modern-tar'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { openClickHouse } from '../../src/audit/clickhouse.node.ts'
import type { AuditRecord, EvidenceRequest } from '../../src/audit/contract.ts'
import { createExporter } from '../../src/audit/evidence/index.ts'
import {
  NOTE_SEPARATOR,
  RECORDS_PATH,
  rootOfInclusion,
  SEGMENTS_PATH,
  type Manifest,
  type PackedSegment,
  type PackProofs,
} from '../../src/audit/evidence/layout.ts'
import { damagedBytes, entryBytes, parseCheckpoint } from '../../src/audit/proof/entry.ts'
import { isConsistent, leafHash } from '../../src/audit/proof/merkle.ts'
import { parseNote, signersOf } from '../../src/audit/proof/note.ts'
import { decodeRow, type Row } from '../../src/audit/record.ts'
import type { ClickHouse } from '../../src/audit/reader/contract.ts'
import { verify } from '../../src/audit/verify/verify.ts'
import { openPack } from '../../src/audit/verify/pack.node.ts'
import { company, encoded, idAt, rootOf, sha256, signer, write, type How, type Written } from './evidence-generate.ts'

const DAY = 86_400_000
const UNTIL = Date.UTC(2026, 9, 1)
const NOW = UNTIL + DAY
const DATABASE = 'audit_evidence'
/** An ordinary log, and one that began late and was upgraded in the middle. */
const PLAIN: How = {
  writer: 'c0ffee00-0000-4000-8000-000000000001',
  epoch: '01930000-0000-7000-8000-00000000e70c',
  each: 40,
}
const ODD: How = {
  writer: 'c0ffee00-0000-4000-8000-000000000002',
  epoch: '01930000-0000-7000-8000-00000000e70d',
  each: 7,
  first: 12,
  upgraded: 50,
}

const isOdd = ({ surface }: AuditRecord, i: number): boolean => i % 5 === 0 && surface !== 'gateway'

let client: ClickHouse
let written: readonly Written[]

beforeAll(async () => {
  const options = { url: inject('sandbox').clickhouse, requestTimeoutMs: 60_000 }
  const root = openClickHouse({ ...options, database: 'default' })
  await root.command(`DROP DATABASE IF EXISTS ${DATABASE}`)
  const records = company(UNTIL, 20, 40)
  const odd = records.filter(isOdd)
  // Its clock was set back, and forth again: a record whose neighbours in the journal are days away.
  const jumped = odd.with(330, { ...odd[330], at: (odd[330]?.at ?? 0) - 3 * DAY } as AuditRecord)
  written = [
    await write(
      root,
      DATABASE,
      records.filter((record, i) => !isOdd(record, i)),
      PLAIN,
    ),
    await write(root, DATABASE, jumped, ODD),
  ]
  await root.close()
  client = openClickHouse({ ...options, database: DATABASE })
}, 120_000)
afterAll(() => client.close())

interface Pack {
  readonly tar: Uint8Array
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly manifest: Manifest
  readonly records: number
  text(path: string): string
}

const REQUEST: EvidenceRequest = {
  from: UNTIL - 10 * DAY,
  to: UNTIL,
  format: 'ndjson',
  controls: [],
  by: { issuer: 'corp', subject: 'hedy' },
  exchange: 'the exchange',
}

/** The pack of `REQUEST`, made once. */
let ordinary: Promise<Pack> | undefined

function packOf(more?: Partial<EvidenceRequest>): Promise<Pack> {
  if (more !== undefined) return makePack(more)
  ordinary ??= makePack({})
  return ordinary
}

async function makePack(more: Partial<EvidenceRequest>): Promise<Pack> {
  const exporter = createExporter({ client, verifierKeys: ['the key'], version: '0.1.0', sha256, now: () => NOW })
  const pack = await exporter.export({ ...REQUEST, ...more }, AbortSignal.timeout(60_000))
  const tar = await new Response(pack.body).bytes()
  const entries = await unpackTar(tar, { strict: true })
  const files = new Map(entries.map(({ header, data }) => [header.name, data ?? new Uint8Array()]))
  expect(files.size).toBe(entries.length)
  const text = (path: string): string => new TextDecoder('utf-8', { fatal: true }).decode(files.get(path))
  expect([...files.keys()].at(-1)).toBe('manifest.json')
  return { tar, files, manifest: JSON.parse(text('manifest.json')) as Manifest, records: pack.records, text }
}

const lines = <T>(text: string): T[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
const within = (row: Row): boolean => row.ts >= (UNTIL - 10 * DAY) * 1000 && row.ts < UNTIL * 1000

/** Each row of a member of `records/`, as it was written. */
function rowsOf(member: Uint8Array): Uint8Array[] {
  const bytes = gunzipSync(member)
  const rows: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at)
    rows.push(new Uint8Array(bytes.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return rows
}

test('the manifest lists every other member with its size and digest, and says for whom it was made', async () => {
  const { files, manifest, records } = await packOf()
  const { files: listed, counts, ...rest } = manifest
  expect(listed).toEqual(
    [...files].slice(0, -1).map(([path, bytes]) => ({
      path,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })),
  )
  expect(rest).toEqual({
    format: 'sluice-evidence',
    version: 1,
    from: '2026-09-21T00:00:00.000Z',
    to: '2026-10-01T00:00:00.000Z',
    made_at: '2026-10-02T00:00:00.000Z',
    by: { issuer: 'corp', subject: 'hedy' },
    exchange: 'the exchange',
    connections: null,
    verifiable: true,
    controls: expect.arrayContaining(['CC6.1', 'CC7.2', 'C1.1']),
    verifierKeys: ['the key'],
    notes: expect.any(Array),
  })
  const expected = written.flatMap(({ rows }) => rows).filter(within).length
  expect([records, counts['records'], counts['logs']]).toEqual([expected, expected, 2])
})

test('whole segments are in it, byte for byte, and lead to the signed head', async () => {
  const { files, text } = await packOf()
  for (const { writer, epoch, rows } of written) {
    const touched = new Set(rows.filter(within).map(({ segment }) => segment))
    const segments = [...files.keys()]
      .filter((path) => SEGMENTS_PATH.exec(path)?.groups?.['writer'] === writer)
      .flatMap((path) => lines<PackedSegment>(text(path)))
    const [low, high] = [Math.min(...touched), Math.max(...touched)]
    expect(segments.map(({ segment }) => segment)).toEqual(Array.from({ length: high - low + 1 }, (_, i) => low + i))

    const members = [...files].filter(([path]) => RECORDS_PATH.exec(path)?.groups?.['writer'] === writer)
    const schemas = new Map(segments.map(({ segment, schema }) => [segment, schema]))
    const packed = members.flatMap(([path, bytes]) => {
      const schema = schemas.get(Number(RECORDS_PATH.exec(path)?.groups?.['first'])) ?? 0
      return rowsOf(bytes).map((row) => ({ bytes: row, row: decodeRow(row, schema) }))
    })
    expect(packed.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).toEqual(
      rows
        .filter(({ segment }) => touched.has(segment))
        .map((row) => Buffer.from(encoded(row, schemas.get(row.segment) ?? 0)).toString('hex')),
    )
    const bySegment = Map.groupBy(packed, ({ row }) => row.segment)
    for (const { segment, root, leaves } of segments) {
      const hashes = (bySegment.get(segment) ?? []).map(({ bytes }) => Buffer.from(leafHash(sha256, bytes)))
      expect([segment, Buffer.concat(hashes).toString('base64'), rootOf(hashes).toString('hex')]).toEqual([
        segment,
        leaves,
        root,
      ])
    }

    const proofs = JSON.parse(text(`proofs/${writer}/${epoch}.json`)) as PackProofs
    const entries = segments.map(leafOf)
    const root = rootOfInclusion(sha256, proofs, entries)
    expect(Buffer.from(root ?? []).toString('base64')).toBe(proofs.root)
    // One entry that is another, or is not there, leads elsewhere.
    expect(rootOfInclusion(sha256, proofs, entries.with(3, entries[0] as Uint8Array))).not.toEqual(root)
    expect(rootOfInclusion(sha256, proofs, entries.slice(1))).toBeUndefined()
  }
})

function leafOf({ segment, schema, first_seq: firstSeq, records, root, days }: PackedSegment): Uint8Array {
  const place = { segment, schema, firstSeq, records }
  if (root === '') return leafHash(sha256, damagedBytes(place))
  return leafHash(
    sha256,
    entryBytes(sha256, { ...place, root: Buffer.from(root, 'hex'), days: Buffer.from(days, 'base64') }),
  )
}

/** What the verifier, which knows nothing of the writer, says of a pack. */
async function verified(pack: Uint8Array) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-evidence-'))
  writeFileSync(join(folder, 'pack.tar'), pack)
  const opened = await openPack(join(folder, 'pack.tar'), sha256)
  onTestFinished(async () => {
    await opened.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const { verifier } = await signer()
  const { problems } = await verify(opened.evidence, { sha256, keys: [verifier], now: NOW, graceMs: 0 })
  return [...opened.problems, ...problems].map(({ code, segment }) => [code, segment])
}

test('the verifier finds it in order', async () => {
  expect(await verified((await packOf()).tar)).toEqual([])
})

test('each checkpoint is signed, and grew out of the one before', async () => {
  const { text } = await packOf()
  const { verifier } = await signer()
  for (const { writer, epoch } of written) {
    const notes = text(`checkpoints/${writer}/${epoch}.txt`)
      .split(`\n${NOTE_SEPARATOR}`)
      .map((note) => (note.endsWith('\n') ? note : `${note}\n`))
    const heads = notes.map((note) => parseCheckpoint(parseNote(note).text))
    for (const note of notes) expect(await signersOf(parseNote(note), [verifier])).toEqual([verifier])
    const proofs = JSON.parse(text(`proofs/${writer}/${epoch}.json`)) as PackProofs
    const last = heads.at(-1)
    expect([proofs.size, proofs.root]).toEqual([last?.size, Buffer.from(last?.root ?? []).toString('base64')])
    expect(heads.length).toBeGreaterThan(20)
    expect(proofs.consistency.map(({ from, to }) => [from, to])).toEqual(
      heads.slice(1).map(({ size }, i) => [heads[i]?.size, size]),
    )
    for (const [i, { from, to, hashes }] of proofs.consistency.entries()) {
      const proof = hashes.map((hash) => new Uint8Array(Buffer.from(hash, 'base64')))
      const [old, next] = [heads[i]?.root ?? new Uint8Array(), heads[i + 1]?.root ?? new Uint8Array()]
      expect(isConsistent(sha256, from, old, to, next, proof)).toBe(true)
    }
  }
})

test('the records are in it once more for people: as JSON lines by day, in order', async () => {
  const { files } = await packOf()
  const readable = [...files].filter(([path]) => path.startsWith('readable/'))
  expect(readable.map(([path]) => path)).toEqual(
    Array.from({ length: 10 }, (_, day) => `readable/2026-09-${21 + day}-0001.ndjson.gz`),
  )
  const records = readable.flatMap(([path, bytes]) =>
    lines<{ ts: string; record_id: string }>(gunzipSync(bytes).toString()).map((record) => ({ path, ...record })),
  )
  const expected = written.flatMap(({ rows }) => rows).filter(within)
  expect(new Set(records.map(({ record_id: id }) => id))).toEqual(new Set(expected.map(({ record_id: id }) => id)))
  expect(records.length).toBe(expected.length)
  expect(records.every(({ path, ts }) => path.includes(ts.slice(0, 10)))).toBe(true)
  expect(records.map(({ ts }) => ts)).toEqual(records.map(({ ts }) => ts).toSorted())
})

test('as Parquet too', async () => {
  const { files } = await packOf({ format: 'parquet' })
  const parts = [...files].filter(([path]) => path.endsWith('.parquet'))
  expect(parts.length).toBe(10)
  for (const [, bytes] of parts) expect(Buffer.from(bytes.subarray(0, 4)).toString()).toBe('PAR1')
})

test('who approved what, for whom, when and why', async () => {
  const { text } = await packOf()
  const approvals = lines<Record<string, unknown>>(text('approvals.ndjson'))
  const moves = written
    .flatMap(({ rows }) => rows)
    .filter((row) => within(row) && row.kind === 'hold' && row.hold_state !== 'pending')
  expect(approvals.length).toBe(moves.length)
  const approved = approvals.find(({ state }) => state === 'approved')
  expect(approved).toMatchObject({
    principal_kind: 'person',
    comment: 'checked with the owner, ticket OPS-12 “fine”',
    reason_codes: ['writes/ask-owner'],
    reason_texts: ['an owner of the data must agree to changes'],
    statement: expect.stringMatching(/^UPDATE /),
    policy: expect.stringMatching(/^sha256:/),
  })
  expect(['barbara', 'ken']).toContain(approved?.['principal'])
  expect(String(approved?.['held_at']) < String(approved?.['at'])).toBe(true)
})

test('policies in force are in it by digest, also the one from before; no path climbs out of its folder', async () => {
  const { files, text } = await packOf()
  const policies = [...files.keys()].filter((path) => path.startsWith('policies/'))
  // The second took force on the seventh day of twenty, the third on the fourteenth: within these ten.
  expect(policies.toSorted()).toEqual(
    ['b', 'c'].flatMap((letter) => [
      `policies/${letter.repeat(64)}/policies/_../_../etc/passwd`,
      `policies/${letter.repeat(64)}/policies/analysts.yaml`,
    ]),
  )
  expect(JSON.parse(text('access.json'))).toEqual([
    expect.objectContaining({ access: expect.objectContaining({ auditors: { groups: ['auditors', 'bb'] } }) }),
    expect.objectContaining({ access: expect.objectContaining({ auditors: { groups: ['auditors', 'cc'] } }) }),
  ])
})

test('masked columns are counted by day, with exchanges to look at', async () => {
  const { text } = await packOf()
  const masked = lines<Record<string, string | number | string[]>>(text('masked-columns.ndjson'))
  const answers = written
    .flatMap(({ rows }) => rows)
    .filter((row) => within(row) && row.kind === 'completed' && row.masked_columns.includes('iban'))
  const ibans = masked.filter(({ column }) => column === 'iban')
  expect(ibans.reduce((sum, { answers: n }) => sum + Number(n), 0)).toBe(answers.length)
  expect(ibans[0]).toMatchObject({ connection: 'warehouse', table: 'hr.employees', strategy: 'redact' })
  expect(answers.map(({ exchange_id: id }) => id)).toContain((ibans[0]?.['samples'] as string[] | undefined)?.[0])
})

test('the report says what was counted, escapes every value, and loads nothing', async () => {
  const { text } = await packOf({ controls: ['CC6.1', 'CC8.1', 'P6.2'] })
  const report = text('report.html')
  expect([...report.matchAll(/<section class="criterion" id="([^"]+)"/g)].map(([, code]) => code)).toEqual([
    'CC6.1',
    'CC8.1',
    'P6.2',
  ])
  expect(report).not.toMatch(/<script|javascript:|https?:|<img|<link|@import|url\(/)
  // A statement with markup and a mark that turns the reading around.
  const whole = (await packOf()).text('report.html')
  expect(whole).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  expect(whole).not.toContain('<script>')
  expect(whole).not.toContain('‮')
  const all = written.flatMap(({ rows }) => rows).filter(within)
  const exchanges = new Set(
    all.filter(({ kind }) => kind === 'decided' || kind === 'refused').map(({ exchange_id: id }) => id),
  )
  expect(whole).toMatch(new RegExp(`<b>${exchanges.size.toLocaleString('en')}</b>\\s*<span>exchanges</span>`))
})

test('an auditor of one connection gets its records alone: no whole segment, no policy, no other name', async () => {
  const { files, manifest, text } = await packOf({ connections: ['crm'] })
  expect([manifest.connections, manifest.verifiable, manifest.verifierKeys]).toEqual([['crm'], false, []])
  expect(manifest.notes.at(-1)).toMatch(/^Made for an auditor of some connections alone/)
  const paths = [...files.keys()].map((path) => path.replace(/\d{4}-\d{2}-\d{2}-\d+/, 'day'))
  expect(new Set(paths)).toEqual(
    new Set([
      'README.txt',
      'readable/day.ndjson.gz',
      'approvals.ndjson',
      'masked-columns.ndjson',
      'access.json',
      'report.html',
      'manifest.json',
    ]),
  )
  expect(JSON.parse(text('access.json'))).toEqual([])
  for (const [path, bytes] of files) {
    const content = path.endsWith('.gz') ? gunzipSync(bytes).toString() : Buffer.from(bytes).toString()
    expect([path, /warehouse|hr\.employees|shop\.|iban/.exec(content)?.[0]]).toEqual([path, undefined])
  }
})

test('a name of a connection that could end a list is refused, and so is a span that is none', async () => {
  await expect(packOf({ connections: ["crm','warehouse"] })).rejects.toMatchObject({ code: 'bad-request' })
  await expect(packOf({ connections: [] })).rejects.toMatchObject({ code: 'bad-request' })
  await expect(packOf({ connections: [''] })).rejects.toMatchObject({ code: 'bad-request' })
  await expect(packOf({ from: UNTIL, to: UNTIL })).rejects.toMatchObject({
    code: 'bad-request',
    message: '`from` must be before `to`',
  })
  await expect(packOf({ from: NOW, to: NOW + DAY })).rejects.toMatchObject({ message: '`from` is in the future' })
  await expect(packOf({ controls: ['CC9.9'] })).rejects.toMatchObject({ code: 'bad-request' })
})

test('a span without records is a pack that says so', async () => {
  const { manifest, text } = await packOf({ from: UNTIL - 100 * DAY, to: UNTIL - 99 * DAY })
  expect(manifest.counts).toMatchObject({ records: 0, logs: 0 })
  expect(text('approvals.ndjson')).toBe('')
  expect(text('report.html')).toContain('none in this span')
})

test('a reader who leaves ends the questions', async () => {
  const left = new AbortController()
  const exporter = createExporter({ client, verifierKeys: [], version: '0.1.0', sha256, now: () => NOW })
  const { body } = await exporter.export(REQUEST, left.signal)
  const reader = body.getReader()
  expect((await reader.read()).done).toBe(false)
  left.abort(new Error('gone'))
  await expect(
    (async () => {
      while (!(await reader.read()).done);
    })(),
  ).rejects.toThrow()
})

/** A pack of another database, into which `records` were written. */
async function packOfOwn(database: string, records: readonly AuditRecord[], how: How) {
  const options = { url: inject('sandbox').clickhouse, requestTimeoutMs: 60_000 }
  const root = openClickHouse({ ...options, database: 'default' })
  await root.command(`DROP DATABASE IF EXISTS ${database}`)
  const { rows } = await write(root, database, records, how)
  await root.close()
  const own = openClickHouse({ ...options, database })
  onTestFinished(() => own.close())
  const exporter = createExporter({ client: own, verifierKeys: [], version: '0.1.0', sha256, now: () => NOW })
  const { body } = await exporter.export(REQUEST, AbortSignal.timeout(60_000))
  const tar = await new Response(body).bytes()
  const entries = await unpackTar(tar, { strict: true })
  return { tar, rows, files: new Map(entries.map(({ header, data }) => [header.name, data ?? new Uint8Array()])) }
}

const note = (i: number, bytes: number): AuditRecord => {
  const at = UNTIL - DAY + i
  return { kind: 'policy', at, exchange: idAt(at), surface: 'gateway', note: 'x'.repeat(bytes) }
}

test('a segment that was damaged before it was delivered has its place in the log, and no records', async () => {
  const records = Array.from({ length: 60 }, (_, i) => note(i * 60_000, 5))
  const { tar, files } = await packOfOwn('audit_evidence_damaged', records, { ...PLAIN, each: 6, damaged: [4] })
  const folder = `${PLAIN.writer}/${PLAIN.epoch}`
  const decoded = (path: string): string => new TextDecoder().decode(files.get(path))
  const segments = lines<PackedSegment>(decoded(`segments/${folder}/1-10.ndjson`))
  expect(segments.map(({ segment, root }) => [segment, root === ''])).toEqual(
    Array.from({ length: 10 }, (_, i) => [i + 1, i === 3]),
  )
  expect([...files.keys()].filter((path) => path.startsWith('records/'))).toEqual([
    `records/${folder}/segments-1-10.rowbinary.gz`,
  ])
  const proofs = JSON.parse(decoded(`proofs/${folder}.json`)) as PackProofs
  expect(Buffer.from(rootOfInclusion(sha256, proofs, segments.map(leafOf)) ?? []).toString('base64')).toBe(proofs.root)
  expect(await verified(tar)).toEqual([['segment-damaged', 4]])
})

test('a segment and a record that are larger than a member may be are in it whole', async () => {
  const records = [0.1, 17, 0.1].map((megabytes, i) => note(i, megabytes * 1_000_000))
  const { rows, files } = await packOfOwn('audit_evidence_large', records, { ...PLAIN, each: 3 })
  const lengths = rows.map((row) => row.note.length)
  const pieces = [...files].filter(([path]) => path.startsWith('records/'))
  const stem = `records/${PLAIN.writer}/${PLAIN.epoch}/segments-1-1`
  expect(pieces.map(([path]) => path)).toEqual([1, 2].map((piece) => `${stem}.${piece}.rowbinary.gz`))
  expect(pieces.flatMap(([, data]) => rowsOf(data)).map((row) => decodeRow(row).note.length)).toEqual(lengths)
  const readable = [...files].filter(([path]) => path.startsWith('readable/'))
  const notes = readable.flatMap(([, data]) => lines<{ note: string }>(gunzipSync(data).toString()))
  expect(notes.map((record) => record.note.length)).toEqual(lengths)
})
