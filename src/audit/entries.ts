/** Audit records of exchanges: which parts of an exchange are evidence, and which never leave it. Pure. */
import {
  typeText,
  type Completed,
  type Decided,
  type HttpStatement,
  type Language,
  type Masked,
  type Parameter,
  type Principal,
  type Statement,
  type Stated,
  type Statistics,
} from '../exchange.ts'
import type { AuditRecord, RecordedBodies, RecordedStatement, SettledEnd, Timings, Unfinished } from './contract.ts'

/** What is known of a request that never became an exchange. */
export interface Refused {
  readonly exchange: string
  readonly at: number
  readonly surface: string
  readonly principal?: Principal
  readonly connection?: string
  readonly purpose?: string
  /** The text as it was sent: a refused statement is evidence too. */
  readonly text?: string
  /** Of the text; GoogleSQL where nothing is said. */
  readonly language?: Language | 'clickhouse' | 'audit'
}

/** A failure as its record tells it. */
interface Told {
  readonly code: string
  readonly message: string
  readonly detail?: { readonly recorded?: string }
}

/** Not proven, or not understood. */
export function refused(asked: Refused, failure: Told): AuditRecord {
  const { text, language = 'googlesql', ...rest } = asked
  return {
    kind: 'refused',
    ...rest,
    ...(asked.principal && { plane: asked.principal.plane }),
    ...(text !== undefined && {
      statement: { language, kind: 'UNKNOWN', text, uses: [], parameters: [] },
    }),
    failure: { code: failure.code, message: failure.detail?.recorded ?? failure.message },
  }
}

/** Permit, hold or deny, as it was decided; `weighed` is what policies weighed of the statement, as JSON. */
export function decided(exchange: Decided, at: number, weighed: string): AuditRecord {
  return {
    kind: 'decided',
    at,
    receivedAt: exchange.receivedAt,
    ...common(exchange),
    statement: { ...recorded(exchange.statement), weighed },
    findings: exchange.findings,
    decision: exchange.decision,
    policy: exchange.policy,
  }
}

/** How long an exchange took, and what is kept of its bodies. */
export interface Close {
  readonly timings?: Timings
  readonly bodies?: RecordedBodies
}

/** Ran and answered, whole or cut. */
export function completed(exchange: Completed, at: number, how: Close = {}): AuditRecord {
  const { ran, job, rowCount, byteCount, masked, statistics, ending, cut, status, sent } = exchange
  return {
    kind: 'completed',
    at,
    receivedAt: exchange.receivedAt,
    ...common(exchange),
    statement: recorded(exchange.statement),
    policy: exchange.policy,
    completion: {
      ran,
      rowCount,
      byteCount,
      masked,
      statistics,
      ending,
      ...(job !== undefined && { job }),
      ...(cut !== undefined && { cut }),
      ...(status !== undefined && { status }),
      ...(sent !== undefined && { sent }),
      ...close(how),
    },
  }
}

/** Permitted, then broke before anything was answered. */
export function failed(exchange: Decided, at: number, failure: Told, broken?: Close): AuditRecord {
  return {
    kind: 'failed',
    at,
    receivedAt: exchange.receivedAt,
    ...(broken !== undefined && { broken: close(broken) }),
    ...common(exchange),
    statement: recorded(exchange.statement),
    policy: exchange.policy,
    failure: { code: failure.code, message: failure.detail?.recorded ?? failure.message },
  }
}

function close({ timings, bodies }: Close): Close {
  return { ...(timings !== undefined && { timings }), ...(bodies !== undefined && { bodies }) }
}

/** A hold moved to `state`; `principal` moved it, or nobody did and time ran out. */
export function holdMoved(
  exchange: Stated,
  at: number,
  state: string,
  principal?: Principal,
  comment?: string,
): AuditRecord {
  const { principal: requester, ...rest } = common(exchange)
  return {
    kind: 'hold',
    at,
    ...rest,
    surface: 'holds',
    ...(principal === undefined ? { principal: requester } : { principal, plane: principal.plane }),
    hold: { id: exchange.id, state, ...(comment !== undefined && { comment }) },
  }
}

/** The end of an exchange that a crash left open, as it was found out. */
export function settled(
  { exchange, surface, connection, principal }: Unfinished,
  at: number,
  end: SettledEnd,
): AuditRecord {
  return { kind: 'settled', at, exchange, surface, plane: principal.plane, principal, connection, settled: end }
}

/** Somebody was told what the gateway itself holds: connections, schemas, holds. */
export function looked(
  knock: { readonly id: string; readonly surface: string },
  at: number,
  principal: Principal,
  note: string,
  connection?: string,
): AuditRecord {
  const { id: exchange, surface } = knock
  const about = connection === undefined ? {} : { connection }
  return { kind: 'looked', at, exchange, surface, plane: principal.plane, principal, note, ...about }
}

/** The completion of an exchange from what came of its run. */
export function completion(
  exchange: Decided & { decision: { effect: 'permit' } },
  ran: Statement,
  came: {
    counted?: readonly Masked[]
    job?: string
    rowCount: number
    byteCount: number
    statistics: Statistics
    cut?: string
  },
): Completed {
  const masked: readonly Masked[] = [...ran.masks, ...(came.counted ?? [])]
  const { job, rowCount, byteCount, statistics, cut } = came
  return {
    ...(exchange as Completed),
    ran: ran.text,
    ...(job !== undefined && { job }),
    rowCount,
    byteCount,
    masked,
    statistics,
    ending: cut === undefined ? 'whole' : 'cut',
    ...(cut !== undefined && { cut }),
  }
}

function common(exchange: Stated) {
  return {
    exchange: exchange.id,
    surface: exchange.surface as string,
    plane: exchange.principal.plane,
    principal: exchange.principal,
    connection: exchange.connection,
    ...(exchange.purpose !== undefined && { purpose: exchange.purpose }),
  }
}

function recorded(statement: Statement): RecordedStatement {
  if (statement.language === 'http') return recordedHttp(statement)
  return {
    language: statement.language,
    kind: statement.kind,
    text: statement.text,
    uses: statement.uses,
    parameters: statement.parameters.map(describeParameter),
    ...(statement.estimate && { estimatedBytes: statement.estimate.bytes }),
    ...(statement.shape !== undefined && { shape: statement.shape }),
  }
}

function recordedHttp({ language, kind, text, uses, headers, body }: HttpStatement): RecordedStatement {
  const { digest, excerpt } = body?.recorded ?? body ?? {}
  return {
    language,
    kind,
    text,
    uses,
    parameters: headers.map(([name]) => `header ${name}`),
    ...(body !== undefined && {
      request: {
        type: body.type,
        ...(body.length !== undefined && { bytes: body.length }),
        ...(digest !== undefined && { digest }),
        ...(excerpt !== undefined && { text: excerpt }),
      },
    }),
  }
}

/** `@id INT64`, `? STRING`: name and type, never the value. */
function describeParameter(parameter: Parameter): string {
  return `${parameter.name === undefined ? '?' : `@${parameter.name}`} ${typeText(parameter.type)}`
}
