/** What tests of the chain have in common: segments with real rows, a chain over a folder, sinks, a signer. */
import { onTestFinished } from 'vitest'
import { openChain, type ChainOptions } from '../../../../src/audit/chain/chain.node.ts'
import type { Chain, Checkpoint, CheckpointSink } from '../../../../src/audit/chain/contract.ts'
import { sha256 } from '../../../../src/audit/chain/keys.node.ts'
import { filesIn } from '../../../../src/audit/files.node.ts'
import { damagedBytes, entryBytes, entryOf, parseCheckpoint } from '../../../../src/audit/proof/entry.ts'
import { leafHash, rootOf } from '../../../../src/audit/proof/merkle.ts'
import { parseNote, signerOf, signersOf, type Signer } from '../../../../src/audit/proof/note.ts'
import { decodeRow, encodeRow, encodeUnplaced, SCHEMA_VERSION, toRow } from '../../../../src/audit/record.ts'
import type { SealedRows } from '../../../../src/audit/ship.ts'
import { clock, noted, quiet } from '../stage.ts'

export const EPOCH = '01930000-0000-7000-8000-00000000e000'
export const WRITER = 'gateway-1'
export const ORIGIN = `sluice/${WRITER}/${EPOCH}`
export const signer: Signer = await signerOf(sha256, 'sluice', new Uint8Array(32).fill(7))

export interface Segment {
  readonly sealed: SealedRows
  readonly rows: readonly Uint8Array[]
}

/** Segment `n` of a journal whose segments have `records` records each. */
export function segmentOf(n: number, records = 3): Segment {
  const firstSeq = (n - 1) * records + 1
  const rows = Array.from({ length: records }, (_, i) => rowOf(n, firstSeq + i))
  return { sealed: { segment: n, schema: SCHEMA_VERSION, firstSeq, records }, rows }
}

function rowOf(segment: number, seq: number): Uint8Array {
  const stamp = { recordId: `01930000-0000-7000-8000-${String(seq).padStart(12, '0')}`, writer: WRITER, epoch: EPOCH }
  const bytes = encodeUnplaced(toRow(noted(seq), { ...stamp, retainDays: 400 }))
  const place = new Uint8Array(16)
  const view = new DataView(place.buffer)
  view.setBigUint64(0, BigInt(segment), true)
  view.setBigUint64(8, BigInt(seq), true)
  return new Uint8Array([...bytes, ...place])
}

/** The same segment, with the note of its first record changed. */
export function changed({ sealed, rows }: Segment): Segment {
  const [first, ...rest] = rows
  return { sealed, rows: [encodeRow({ ...decodeRow(first!), note: 'never happened' }), ...rest] }
}

/** The root over these segments as the design defines it, without any file. `damaged`: by number. */
export function rootOver(segments: readonly Segment[], damaged: readonly number[] = []): string {
  const leaves = segments.map(({ sealed, rows }) => {
    const isDamaged = damaged.includes(sealed.segment)
    return leafHash(sha256, isDamaged ? damagedBytes(sealed) : entryBytes(sha256, entryOf(sha256, sealed, rows)))
  })
  return Buffer.from(rootOf(sha256, leaves)).toString('base64')
}

/** `from` to `to`, both included. */
export function segments(from: number, to: number): readonly Segment[] {
  return Array.from({ length: to - from + 1 }, (_, i) => segmentOf(from + i))
}

/** Keeps what it is handed. */
export class Kept implements CheckpointSink {
  readonly name: string
  readonly checkpoints: Checkpoint[] = []

  constructor(name = 'kept') {
    this.name = name
  }

  async take(checkpoint: Checkpoint): Promise<void> {
    this.checkpoints.push(checkpoint)
  }

  get last(): Checkpoint | undefined {
    return this.checkpoints.at(-1)
  }
}

/** A chain over this folder, closed after the test. */
export async function chainIn(dir: string, more: Partial<ChainOptions> = {}): Promise<Chain> {
  const chain = await openChain({
    files: await filesIn(dir),
    sha256,
    epoch: EPOCH,
    oldest: 1,
    extended: 0,
    writer: WRITER,
    origin: 'sluice',
    signers: [signer],
    everyMs: 60_000,
    sinks: [],
    witnesses: [],
    clock,
    log: quiet,
    ...more,
  })
  onTestFinished(() => chain.close(100))
  return chain
}

/** Adds these, in order. */
export async function extendBy(chain: Chain, added: readonly Segment[]): Promise<void> {
  for (const { sealed, rows } of added) await chain.extend(sealed, rows)
}

/** Size and root of a head that our key has signed; throws where it has not. */
export async function signedHead(note: string): Promise<{ readonly size: number; readonly root: string }> {
  const parsed = parseNote(note)
  const by = await signersOf(parsed, [signer.verifier])
  if (by.length === 0) throw new Error('not signed by our key')
  const { origin, size, root } = parseCheckpoint(parsed.text)
  if (origin !== ORIGIN) throw new Error(`of another log: ${origin}`)
  return { size, root: Buffer.from(root).toString('base64') }
}
