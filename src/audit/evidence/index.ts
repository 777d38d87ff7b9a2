/** Evidence packs: what happened in a span of time, what was in force, and what ties it to signed heads, as one tar. */
import type { EvidenceExporter, EvidencePack, EvidenceRequest } from '../contract.ts'
import type { Sha256 } from '../proof/merkle.ts'
import type { ClickHouse } from '../reader/contract.ts'
import { Failure } from '../../failure.ts'
import { CRITERIA, criteriaOf } from './criteria.ts'
import { manifestText, PACK_FORMAT, PACK_VERSION, type Manifest, type PackedFile } from './layout.ts'
import { renderNote, signNote, type Signer } from '../proof/note.ts'
import { measure } from './measure.ts'
import { json, listed, packed, text, type Member } from './pack.ts'
import { approvalMembers, maskedMembers, policyMembers, type InForce } from './people.ts'
import { awaitHeads, proofMembers, type Head } from './proofs.ts'
import { readableMembers } from './readable.ts'
import { README } from './readme.ts'
import { reportHtml } from './report/page.ts'
import { logsOf, recordMembers, segmentMembers, type Log } from './segments.ts'
import { Store, type StoreLimits } from './store.ts'

export interface ExporterOptions {
  readonly client: Pick<ClickHouse, 'query'>
  /** Of checkpoints, as vkeys of signed notes; what verifies the pack, for whoever trusts where they came from. */
  readonly verifierKeys: readonly string[]
  readonly sha256: Sha256
  /** Sign the manifest. */
  readonly signers?: readonly Signer[]
  /** For the report: how this gateway calls itself. */
  readonly version: string
  readonly now: () => number
  /** How long after a record there is a head over it, in milliseconds; for a pack that ends just now. */
  readonly headMs?: number
  readonly limits?: StoreLimits
}

/** A little more than the time between two heads where nothing else is configured. */
const HEAD_MS = 90_000

/** Longest span: what is older than this is in another pack. */
const MOST_DAYS = 800

/** `client`'s own database MUST be the audit database. Rejects as ClickHouse does, and with `bad-request`. */
export function createExporter(options: ExporterOptions): EvidenceExporter {
  return {
    async export(request, signal): Promise<EvidencePack> {
      const at = options.now()
      const span = spanOf(request, at)
      const controls = criteriaOf(request.controls)
      const store = new Store(options.client, span, options.limits)
      const logs = await logsOf(store, signal)
      const records = logs.flatMap(({ blocks }) => blocks).reduce((sum, block) => sum + block.records, 0)
      const members = membersOf({ ...options, request, store, logs, records, at, controls }, signal)
      return {
        contentType: 'application/x-tar',
        name: `sluice-evidence-${stamp(span.from)}-${stamp(span.to)}.tar`,
        records,
        body: packed(members, at, signal),
      }
    },
  }
}

/** The span, whole and not of the future: what has not happened yet is no evidence. */
function spanOf({ from, to, connections }: EvidenceRequest, now: number) {
  if (!(from < to)) throw new Failure('bad-request', '`from` must be before `to`')
  if (from >= now) throw new Failure('bad-request', '`from` is in the future')
  if (to - from > MOST_DAYS * 86_400_000) {
    throw new Failure('bad-request', `a pack is of at most ${MOST_DAYS} days`, { fix: 'ask for several packs' })
  }
  return { from, to: Math.min(to, now), ...(connections !== undefined && { connections }) }
}

interface Making extends ExporterOptions {
  readonly request: EvidenceRequest
  readonly store: Store
  readonly logs: readonly Log[]
  readonly records: number
  readonly at: number
  readonly controls: readonly string[]
}

/** Every member in order; the manifest, which lists them, is the last. */
async function* membersOf(making: Making, signal: AbortSignal): AsyncGenerator<Member> {
  const files: PackedFile[] = []
  for await (const member of contentOf(making, signal)) {
    files.push(await listed(member))
    yield member
  }
  yield json('manifest.json', await signed(making, manifestOf(making, files)))
}

/** With the gateway's signature over all of it: what people read in a pack is bound to it by its digests. */
async function signed({ signers = [], sha256 }: Making, manifest: Manifest): Promise<Manifest> {
  if (signers.length === 0) return manifest
  const note = await signNote(manifestText(sha256, JSON.stringify(manifest, null, 2)), signers)
  return { ...manifest, signature: renderNote(note) }
}

async function* contentOf(making: Making, signal: AbortSignal): AsyncGenerator<Member> {
  const { store, request, at, controls, version } = making
  yield text('README.txt', README)
  const inForce: InForce[] = []
  const measures = await measure(store, signal)
  yield* readableMembers(store, request.format, signal)
  yield* approvalMembers(store, signal)
  yield* maskedMembers(store, signal)
  yield* policyMembers(store, signal, (one) => inForce.push(one))
  const heads = wholeOf(making) ? yield* verifiableOf(making, signal) : []
  const { by, exchange, connections } = request
  yield text(
    'report.html',
    reportHtml({ span: store.span, at, by, exchange, version, controls, measures, inForce, heads, connections }),
  )
}

/** What a verifier hashes again. It comes late, so that there is a head over the newest records by then. */
async function* verifiableOf(
  { store, logs, sha256, now, headMs = HEAD_MS }: Making,
  signal: AbortSignal,
): AsyncGenerator<Member, readonly Head[]> {
  await awaitHeads(store, logs, { now, mostMs: headMs }, signal)
  for (const log of logs) {
    yield* recordMembers(store, log, signal)
    yield* segmentMembers(store, log, signal)
  }
  return yield* proofMembers(store, logs, sha256, signal)
}

/** Whole segments hold the records of every connection. */
function wholeOf({ request }: Making): boolean {
  return request.connections === undefined
}

function manifestOf(making: Making, files: readonly PackedFile[]): Manifest {
  const { request, store, at, records, logs, controls, verifierKeys } = making
  const scoped = request.connections !== undefined
  return {
    format: PACK_FORMAT,
    version: PACK_VERSION,
    from: new Date(store.span.from).toISOString(),
    to: new Date(store.span.to).toISOString(),
    made_at: new Date(at).toISOString(),
    by: request.by,
    exchange: request.exchange,
    connections: request.connections ?? null,
    verifiable: !scoped,
    controls,
    counts: { records, logs: logs.length, files: files.length },
    verifierKeys: scoped ? [] : verifierKeys,
    notes: scoped ? [...NOTES, SCOPED_NOTE] : NOTES,
    files,
  }
}

const NOTES: readonly string[] = [
  'Records that reached the store after `made_at` are not in it; a gateway whose store does not answer keeps them in its journal until it does.',
  'Records whose retention had ended when the pack was made are not in it; `segments/` says which those are.',
]
const SCOPED_NOTE =
  'Made for an auditor of some connections alone: without whole segments, checkpoints, proofs, policies and access lists, so that it cannot be checked against a signed head.'

function stamp(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replaceAll(/[-:]/g, '').replace('T', '-')
}

/** Every code of a criterion that a report can be about. */
export const CONTROLS: readonly string[] = CRITERIA.map(({ code }) => code)
