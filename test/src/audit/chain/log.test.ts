/** The audit log with its chain: whatever happens to the process, the table, the tree and the heads tell one story. */
import { spawn } from 'node:child_process'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openChain } from '../../../../src/audit/chain/chain.node.ts'
import type { Chain, CheckpointSink } from '../../../../src/audit/chain/contract.ts'
import { sha256 } from '../../../../src/audit/chain/keys.node.ts'
import type { AuditLog } from '../../../../src/audit/contract.ts'
import { openAuditLog, type AuditClickHouse, type AuditLogOptions } from '../../../../src/audit/log.node.ts'
import {
  damagedBytes,
  entryBytes,
  entryOf,
  parseCheckpoint,
  type SegmentPlace,
} from '../../../../src/audit/proof/entry.ts'
import { CompactRange, leafHash } from '../../../../src/audit/proof/merkle.ts'
import { parseNote, signersOf } from '../../../../src/audit/proof/note.ts'
import { decodeRows, encodeRow, type Row } from '../../../../src/audit/record.ts'
import { blob, ByteReader, byte, count, millis, text, uuid, word } from '../../../../src/audit/rowbinary.ts'
import { clock, ids, noted, quiet, systemError, tempDir } from '../stage.ts'
import { Kept, signer } from './stage.ts'

interface SegmentRow extends SegmentPlace {
  readonly writer: string
  readonly epoch: string
  readonly root: string
  readonly leaves: Uint8Array
  readonly days: Uint8Array
  readonly sealedAt: number
}

function decodeSegment(bytes: Uint8Array): SegmentRow {
  const from = new ByteReader(bytes)
  const row = {
    writer: word.read(from),
    epoch: uuid.read(from),
    segment: count.read(from),
    schema: byte.read(from),
    firstSeq: count.read(from),
    records: count.read(from),
    root: text.read(from),
    leaves: blob.read(from),
    days: blob.read(from),
    sealedAt: millis.read(from),
  }
  expect(from.ended).toBe(true)
  return row
}

/** Keeps rows of both tables, once for each token, and fails when told. */
class Tables implements AuditClickHouse {
  readonly events: Row[] = []
  readonly segments: SegmentRow[] = []
  readonly #tokens = new Set<string>()
  refuse: ((table: string) => void) | undefined

  async insertRowBinary(table: string, _columns: readonly string[], bytes: Uint8Array, token: string): Promise<void> {
    this.refuse?.(table)
    if (this.#tokens.has(token)) return
    this.#tokens.add(token)
    if (table.endsWith('.segments')) this.segments.push(decodeSegment(bytes))
    else this.events.push(...decodeRows(bytes))
  }

  command = async (): Promise<void> => {}
  query = async (): Promise<ReadableStream<Uint8Array>> => new Blob(['1\n']).stream()
  close = async (): Promise<void> => {}
}

/** Recomputes every entry from the rows of `events`; whatever differs from `segments` fails. Root by size. */
function rootsOf({ events, segments }: Tables): readonly string[] {
  const range = new CompactRange(sha256)
  const roots = [Buffer.from(range.root()).toString('base64')]
  for (const kept of segments.toSorted((a, b) => a.segment - b.segment)) {
    const rows = events
      .filter(({ segment }) => segment === kept.segment)
      .toSorted((a, b) => a.writer_seq - b.writer_seq)
      .map(encodeRow)
    const entry = entryOf(sha256, kept, rows)
    if (kept.root === '') {
      range.add(leafHash(sha256, damagedBytes(kept)))
    } else {
      expect([Buffer.from(entry.root).toString('hex'), entry.records]).toEqual([kept.root, kept.records])
      expect(Buffer.from(kept.leaves)).toEqual(Buffer.from(entry.leaves))
      expect(Buffer.from(kept.days)).toEqual(Buffer.from(entry.days))
      range.add(leafHash(sha256, entryBytes(sha256, entry)))
    }
    roots.push(Buffer.from(range.root()).toString('base64'))
  }
  return roots
}

/** Each head is signed, and is of a tree that the rows lead to; sizes never fall. */
async function expectOneStory(tables: Tables, notes: readonly string[]): Promise<void> {
  const roots = rootsOf(tables)
  let before = 0
  for (const note of notes) {
    const parsed = parseNote(note)
    expect(await signersOf(parsed, [signer.verifier])).toHaveLength(1)
    const { size, root } = parseCheckpoint(parsed.text)
    expect(Buffer.from(root).toString('base64')).toBe(roots[size])
    expect(size).toBeGreaterThanOrEqual(before)
    before = size
  }
}

async function open(
  dir: string,
  clickhouse: AuditClickHouse,
  sinks: readonly CheckpointSink[],
  more: Partial<AuditLogOptions> = {},
): Promise<AuditLog> {
  const shared = { writer: 'gateway-1', clock, log: quiet }
  const chain: AuditLogOptions['chain'] = (journal): Promise<Chain> =>
    openChain({
      ...journal,
      ...shared,
      sha256,
      origin: 'sluice',
      signers: [signer],
      everyMs: 10,
      sinks,
      witnesses: [],
    })
  const log = await openAuditLog({
    dir,
    ...shared,
    newId: ids(),
    clickhouse,
    chain,
    lastDeliveryMs: 2_000,
    ...more,
    limits: { sealAfterMs: 3, pauseMs: 1, maxPauseMs: 5, tryMs: 1000, ...more.limits },
  })
  onTestFinished(() => log.close())
  return log
}

const notesOf = (kept: Kept): readonly string[] => kept.checkpoints.map(({ note }) => note)

test('over restarts, each row leads to every head that was signed', async () => {
  const [dir, tables, kept] = [await tempDir(), new Tables(), new Kept()]
  for (let round = 0; round < 4; round++) {
    const log = await open(dir, tables, [kept])
    for (let n = 0; n < 12; n++) {
      await Promise.all(Array.from({ length: 5 }, (_, i) => log.append(noted(round * 100 + n * 5 + i))))
      if (n % 4 === 0) await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
    }
    await log.close()
  }
  expect(tables.events).toHaveLength(240)
  expect(tables.segments.length).toBeGreaterThan(8)
  await expectOneStory(tables, notesOf(kept))
  expect(kept.last?.size).toBe(tables.segments.length)
})

test('ClickHouse that takes the rows and not their hashes is handed both again, and keeps each once', async () => {
  const [dir, tables, kept] = [await tempDir(), new Tables(), new Kept()]
  let refusals = 3
  tables.refuse = (table) => {
    if (table.endsWith('.segments') && refusals-- > 0) throw systemError('ECONNRESET')
  }
  const log = await open(dir, tables, [kept])
  for (let n = 0; n < 5; n++) await log.append(noted(n))
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  await log.close()
  expect(tables.events).toHaveLength(5)
  await expectOneStory(tables, notesOf(kept))
})

test('a ClickHouse that is away holds up neither the tree nor its heads', async () => {
  const [dir, tables, kept] = [await tempDir(), new Tables(), new Kept()]
  tables.refuse = () => {
    throw systemError('ECONNREFUSED')
  }
  const log = await open(dir, tables, [kept], { lastDeliveryMs: 20 })
  for (let n = 0; n < 5; n++) await log.append(noted(n))
  await vi.waitFor(() => expect(kept.last?.size).toBeGreaterThan(0))
  await log.close()
  tables.refuse = undefined
  const back = await open(dir, tables, [kept])
  await vi.waitFor(() => expect(back.status().backlogRecords).toBe(0))
  await back.close()
  await expectOneStory(tables, notesOf(kept))
})

test('killed between the tree and the cursor, or with the cursor lost: no segment is in the tree twice', async () => {
  const [dir, tables, kept] = [await tempDir(), new Tables(), new Kept()]
  tables.refuse = () => {
    throw systemError('ECONNREFUSED')
  }
  for (const lost of ['nothing', 'the cursor', 'all but the epoch']) {
    const log = await open(dir, tables, [kept], { lastDeliveryMs: 20 })
    for (let n = 0; n < 5; n++) await log.append(noted(n))
    await vi.waitFor(async () => expect(kept.last?.size).toBeGreaterThan(0))
    const cursor = join(dir, 'cursor-chain')
    await vi.waitFor(() => readFile(cursor))
    await log.close()
    if (lost === 'the cursor') await rm(cursor)
    if (lost === 'all but the epoch') await writeFile(cursor, (await readFile(cursor, 'utf8')).split(' ')[0]!)
  }
  tables.refuse = undefined
  const log = await open(dir, tables, [kept])
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  await log.close()
  expect(tables.events).toHaveLength(15)
  await expectOneStory(tables, notesOf(kept))
})

test('a segment that was damaged before it was in the tree is damaged for ever, in the tree and in the table', async () => {
  const [dir, tables, kept] = [await tempDir(), new Tables(), new Kept()]
  // Without a chain nothing is taken out of the journal but what ClickHouse has: it has nothing.
  const before = await openAuditLog({ dir, writer: 'gateway-1', clock, newId: ids(), log: quiet })
  for (let n = 0; n < 3; n++) await before.append(noted(n))
  await before.close()
  const [name = ''] = (await readdir(dir)).filter((each) => each.startsWith('seg-')).toSorted()
  const bytes = await readFile(join(dir, name))
  bytes[150]! ^= 1
  await writeFile(join(dir, name), bytes)
  const log = await open(dir, tables, [kept])
  await log.append(noted(3))
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
  await log.close()
  expect(tables.segments.map(({ segment, records, root }) => [segment, records, root === ''])).toEqual([
    [1, 3, true],
    [2, 1, false],
  ])
  expect(tables.events).toHaveLength(1)
  await expectOneStory(tables, notesOf(kept))
})

test('rows that are changed in the journal after they are in the tree are not shipped as if they were the same', async () => {
  const [dir, tables, kept] = [await tempDir(), new Tables(), new Kept()]
  tables.refuse = () => {
    throw systemError('ECONNREFUSED')
  }
  const log = await open(dir, tables, [kept], { lastDeliveryMs: 20 })
  await log.append(noted(1))
  await vi.waitFor(() => expect(kept.last?.size).toBe(1))
  await log.close()
  const [name = ''] = (await readdir(dir)).filter((each) => each.startsWith('seg-')).toSorted()
  const path = join(dir, name)
  const bytes = await readFile(path)
  const at = bytes.indexOf('note 1')
  bytes.write('note 2', at)
  await writeFile(path, bytes)
  tables.refuse = undefined
  const back = await open(dir, tables, [kept])
  await back.append(noted(9))
  await vi.waitFor(() => expect(back.status().backlogRecords).toBe(0))
  await back.close()
  // Its checksum no longer fits: it is set aside, and the tree still says what it was.
  expect(tables.events.map(({ note }) => note)).toEqual(['note 9'])
  expect(tables.segments.map(({ segment, root }) => [segment, root === ''])).toEqual([
    [1, true],
    [2, false],
  ])
  const { size, root } = parseCheckpoint(parseNote(kept.last!.note).text)
  expect([size, Buffer.from(root).toString('base64') === rootsOf(tables)[2]]).toEqual([2, false])
})

test('a journal that was put back from a backup loses nothing: what it writes under used numbers is there beside', async () => {
  const [dir, tables] = [await tempDir(), new Tables()]
  const write = async (in_: string, from: number): Promise<void> => {
    const log = await open(in_, tables, [])
    for (let n = from; n < from + 3; n++) await log.append(noted(n))
    await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0))
    await log.close()
  }
  await write(dir, 0)
  const backup = await tempDir()
  await cp(dir, backup, { recursive: true })
  await write(dir, 10)
  await write(backup, 20)
  const notes = tables.events.map(({ note }) => Number(note.slice('note '.length)))
  expect(notes.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 10, 11, 12, 20, 21, 22])
  // And the numbers tell: each of the second three is there twice.
  const numbers = tables.events.map(({ writer_seq }) => writer_seq)
  expect(numbers.length - new Set(numbers).size).toBe(3)
})

test('gateways killed under load: every head that was exported before, at any time, is of the tree at the end', async () => {
  const [dir, heads] = [await tempDir(), await tempDir()]
  for (let round = 0; round < 6; round++) await killed(dir, heads, 300 + round * 211)
  const [tables, kept] = [new Tables(), new Kept()]
  const log = await open(dir, tables, [kept])
  await vi.waitFor(() => expect(log.status().backlogRecords).toBe(0), { timeout: 30_000 })
  await log.close()
  const exported = (
    await Promise.all((await readdir(heads)).toSorted().map((name) => readFile(join(heads, name), 'utf8')))
  )
    .join('')
    // A kill may have cut the last one short: what is not whole is none.
    .split('---\n')
    .filter((note) => note.startsWith('sluice/') && note.endsWith('\n'))
  expect(exported.length).toBeGreaterThan(6)
  expect(tables.events.map(({ writer_seq }) => writer_seq)).toEqual(tables.events.map((_, i) => i + 1))
  await expectOneStory(tables, [...exported, ...notesOf(kept)])
}, 60_000)

/** A process that appends until it has said `enough` records are durable, and is killed in the middle of more. */
async function killed(dir: string, heads: string, enough: number): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'chained.child.ts'), dir, heads], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let lines = 0
  child.stdout.on('data', (chunk: Buffer) => {
    for (const each of chunk) if (each === 10) lines++
    if (lines >= enough) child.kill('SIGKILL')
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== null) throw new Error(`the writer ended by itself with ${code}`)
}
