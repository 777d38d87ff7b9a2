/** Whether each part is ready, and figures for Prometheus. */
import type { AuditLog, AuditStatus, DestinationStatus, PayloadLog } from './audit/contract.ts'
import { asFailure, type Failure } from './failure.ts'
import type { Inflight } from './inflight.ts'

/** A part's name and its own way of finding out: resolves when it is ready. */
export interface Probe {
  readonly name: string
  readonly ready: (signal: AbortSignal) => Promise<void>
}

export interface Readiness {
  readonly status: 'ready' | 'not-ready'
  readonly parts: Readonly<Record<string, { readonly ready: boolean; readonly problem?: string }>>
}

/** Longest that one part may take to answer. */
const PROBE_MS = 2000

export class Health {
  readonly #probes: readonly Probe[]
  readonly #audit: AuditLog
  readonly #inflight: Inflight
  readonly #payloads: Pick<PayloadLog, 'status'> | undefined
  #checking: Promise<Readiness> | undefined

  constructor(probes: readonly Probe[], audit: AuditLog, inflight: Inflight, payloads?: Pick<PayloadLog, 'status'>) {
    this.#probes = probes
    this.#audit = audit
    this.#inflight = inflight
    this.#payloads = payloads
  }

  /** Anybody may ask, and each probe goes upstream: callers share the check that is under way. */
  check(): Promise<Readiness> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  async #check(): Promise<Readiness> {
    const checked = await Promise.all(
      this.#probes.map(async ({ name, ready }) => {
        const problem = await problemOf(ready, AbortSignal.timeout(PROBE_MS))
        return [name, problem === undefined ? { ready: true } : { ready: false, problem: problem.message }] as const
      }),
    )
    const journal = this.#audit.status().writable
      ? { ready: true }
      : { ready: false, problem: 'the audit journal takes no writes' }
    const parts = { ...Object.fromEntries(checked), journal }
    return { status: Object.values(parts).every((part) => part.ready) ? 'ready' : 'not-ready', parts }
  }

  /** In Prometheus' text format. */
  metrics(): string {
    const status = this.#audit.status()
    const { writable, tight, backlogRecords, backlogBytes, deliveredAt, deliveryProblem } = status
    const gauges: readonly (readonly [string, string, number])[] = [
      ['sluice_inflight', 'requests under way', this.#inflight.count],
      ['sluice_audit_journal_writable', '1 while the journal takes records', writable ? 1 : 0],
      ['sluice_audit_journal_tight', '1 while the journal is filling up or slow', tight ? 1 : 0],
      [
        'sluice_audit_backlog_records',
        'records that are durable here and that ClickHouse, or a SIEM, does not have',
        backlogRecords,
      ],
      ['sluice_audit_backlog_bytes', 'bytes of them', backlogBytes],
      [
        'sluice_audit_delivery_problem',
        '1 while records do not reach ClickHouse, or once part of the journal was found damaged',
        deliveryProblem === undefined ? 0 : 1,
      ],
      ['sluice_audit_delivered_timestamp_seconds', 'time of the last delivery', (deliveredAt ?? 0) / 1000],
    ]
    const plain = [...gauges, ...this.#bodies()].map(([name, help, value]) => `${head(name, help)}${name} ${value}\n`)
    return [...plain, ...byDestination(status), ...ofHeads(status)].join('')
  }

  /** Of the log of bodies, which only those requests need whose bodies are recorded. */
  #bodies(): readonly (readonly [string, string, number])[] {
    if (this.#payloads === undefined) return []
    const { writable, backlogBytes, deliveryProblem } = this.#payloads.status()
    return [
      ['sluice_bodies_journal_writable', '1 while the journal takes recorded bodies', writable ? 1 : 0],
      ['sluice_bodies_backlog_bytes', 'bytes of bodies that are durable here and not yet in ClickHouse', backlogBytes],
      [
        'sluice_bodies_delivery_problem',
        '1 while bodies do not reach ClickHouse, or once part of their journal was found damaged',
        deliveryProblem === undefined ? 0 : 1,
      ],
    ]
  }
}

/** One figure each for everyone who is handed records; their names are of small letters, digits and dashes. */
function byDestination({ destinations = [] }: AuditStatus): readonly string[] {
  const figures: readonly (readonly [string, string, (of: DestinationStatus) => number])[] = [
    ['lag_records', 'records that are durable here and that it does not have', ({ lagRecords }) => lagRecords],
    ['problem', '1 while records do not reach it', ({ problem }) => (problem === undefined ? 0 : 1)],
    ['delivered_timestamp_seconds', 'time of the last delivery', ({ deliveredAt = 0 }) => deliveredAt / 1000],
  ]
  if (destinations.length === 0) return []
  return figures.map(([figure, help, value]) => {
    const name = `sluice_audit_destination_${figure}`
    const lines = destinations.map((of) => `${name}{destination="${of.name}"} ${value(of)}\n`)
    return `${head(name, help)}${lines.join('')}`
  })
}

/** Of the signed heads of the log: whom the last did not reach; their names are those of the configuration. */
function ofHeads({ chain }: AuditStatus): readonly string[] {
  if (chain === undefined) return []
  const gauges = [
    ['sluice_audit_log_segments', 'segments in the tree over all records', chain.size],
    ['sluice_audit_signed_timestamp_seconds', 'time of the last signed head', (chain.signedAt ?? 0) / 1000],
  ] as const
  const name = 'sluice_audit_checkpoint_problem'
  const problems = Object.keys(chain.problems).map((at) => `${name}{at="${at.replaceAll(/["\\\n]/g, '_')}"} 1\n`)
  const missed = `${head(name, '1 while signed heads do not reach it')}${problems.join('')}`
  return [...gauges.map(([gauge, help, value]) => `${head(gauge, help)}${gauge} ${value}\n`), missed]
}

function head(name: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n`
}

async function problemOf(ready: Probe['ready'], signal: AbortSignal): Promise<Failure | undefined> {
  const late = new Promise<Failure>((resolve) => {
    signal.addEventListener('abort', () => resolve(asFailure(undefined, 'upstream-late')), { once: true })
  })
  try {
    return await Promise.race([ready(signal).then(() => undefined), late])
  } catch (error) {
    return asFailure(error, 'upstream-failed')
  }
}
