/**
 * What of an exchange's bodies is recorded, on its way to the log of bodies: without its secrets, and durable before the
 * record that names it. What cannot be recorded does not go out.
 */
import type { Close } from '../audit/entries.ts'
import type { KeptBody, PayloadLog, Tape, TapedBody } from '../audit/contract.ts'
import {
  typeText,
  type Batch,
  type Decided,
  type Keep,
  type OutputColumn,
  type Parameter,
  type Permitted,
} from '../exchange.ts'
import { asFailure, Failure } from '../failure.ts'
import { lackOf, recordingOf, type ActivePlugin } from '../fulfil.ts'
import type { BodyHead, Originals, Recording, Redactor } from '../plugin.ts'
import type { Runtime } from '../runtime.ts'
import { Sealer } from './sealing.ts'

export interface RecordingParts {
  readonly runtime: Runtime
  /** Absent: no body can be recorded, and nothing runs whose bodies are to be. */
  readonly payloads?: PayloadLog
}

/** How the recording of an exchange ended: what is kept, how long it took, and whether it broke. Nothing is then claimed of a body that broke. */
export interface Recorded extends Required<Pick<Close, 'timings'>>, Pick<Close, 'bodies'> {
  readonly failure?: Failure
}

/** Takes a body on its way, before it goes out. Rejects with `audit-unavailable`; then nothing more may go out. */
export interface BodyWriter {
  push(bytes: Uint8Array): Promise<void>
  /** The last of it has come. Resolves when all of it is durable. */
  close(): Promise<void>
}

type Way = 'request' | 'answer'

/** The bodies of one exchange. */
export class Recorder {
  readonly #exchange: Permitted
  readonly #recording: Recording | undefined
  readonly #payloads: PayloadLog | undefined
  readonly #runtime: Runtime
  readonly #sealer: Sealer | undefined
  readonly #tapes = new Map<Way, Taped>()
  #beganAt: number | undefined
  #ended: Promise<Recorded> | undefined

  /** Throws `audit-unavailable` where what is to be recorded cannot be. */
  constructor(exchange: Permitted, plugins: readonly ActivePlugin[], { runtime, payloads }: RecordingParts) {
    this.#exchange = exchange
    this.#runtime = runtime
    this.#payloads = payloads
    this.#recording = recordingOf(exchange.decision.obligations, plugins)
    const lack = this.#recording && lackOf(this.#recording, payloads)
    if (lack !== undefined) throw new Failure('audit-unavailable', lack.unfulfilled.because)
    // Now, and not once it ran: an answer that could not be recorded is one that nobody gets.
    if (this.#recording !== undefined && payloads?.status().writable !== true) {
      throw new Failure('audit-unavailable', 'its bodies are to be recorded, and the log of bodies takes no more', {
        retryAfter: 30,
      })
    }
    if (this.#recording?.seal === true && payloads !== undefined) this.#sealer = new Sealer(exchange, payloads)
  }

  /** Where masks tell what they replace; absent where nothing of that is kept. */
  get originals(): Originals | undefined {
    return this.#sealer?.tell
  }

  /** A digest of a request's body as it may be recorded. */
  shown(digest: string): string {
    return shownDigest(digest, this.#recording, this.#payloads)
  }

  /** The first byte of the answer goes out. */
  began(): void {
    this.#beganAt ??= this.#runtime.clock.now()
  }

  /** The parameters of SQL; durable when it resolves. */
  async parameters(given: readonly Parameter[]): Promise<void> {
    const keep = this.#recording?.request
    if (keep === undefined || this.#payloads === undefined) return
    const { secrets } = this.#recording ?? {}
    const { digest } = this.#payloads
    const { parameters, digests } =
      secrets?.parameters === undefined
        ? { parameters: given, digests: [] }
        : secrets.parameters(given, digestOf(digest))
    const params = parameters.map(({ name, type, value }) => ({ ...(name && { name }), type: typeText(type), value }))
    const taped = this.#taped('request', 'application/json', keep, this.#payloads)
    await taped.tape.push(encoder.encode(JSON.stringify({ params })), digests)
    await taped.end()
  }

  /** The body of an HTTP request as it is forwarded, or of its answer as it goes out. */
  body(way: Way, head: BodyHead): BodyWriter {
    const keep = this.#recording?.[way]
    const sealer = this.#sealer
    if (keep === undefined || this.#payloads === undefined) {
      return { push: () => sealer?.keep() ?? DONE, close: () => sealer?.keep() ?? DONE }
    }
    const { secrets } = this.#recording ?? {}
    const redactor = secrets?.body?.(head, digestOf(this.#payloads.digest))
    const isOpaque = secrets?.body !== undefined && redactor === undefined
    const type = head.charset === undefined ? head.contentType : `${head.contentType}; charset=${head.charset}`
    // In what nobody can read nobody can find a secret either.
    const taped = this.#taped(way, type, isOpaque ? 'digest' : keep, this.#payloads)
    taped.isUnder = true
    if (isOpaque) taped.mark = 'policy names secrets, and none can be found in a body of this type'
    return {
      async push(bytes) {
        await sealer?.keep()
        await taped.push(bytes, redactor)
      },
      async close() {
        await sealer?.keep()
        await taped.finish(redactor)
        await taped.end()
      },
    }
  }

  /**
   * Rows as they go out, behind a line with their columns. `parameters`: those that were sent. `isAnalysed`: what flows into each is known; else nobody can say
   * which of them are secret.
   */
  rows(
    columns: readonly OutputColumn[],
    parameters: readonly Parameter[],
    isAnalysed: boolean,
  ): (batch: Batch) => Promise<void> {
    const keep = this.#recording?.answer
    if (keep === undefined || this.#payloads === undefined) return () => DONE
    const { secrets } = this.#recording ?? {}
    const isOpaque = secrets?.rows !== undefined && !isAnalysed
    const taped = this.#taped('answer', 'application/x-ndjson', isOpaque ? 'digest' : keep, this.#payloads)
    if (isOpaque) taped.mark = 'policy names secrets, and of these columns it is not known which they are'
    const { tape } = taped
    const pieces = isOpaque ? undefined : secrets?.rows?.(columns, digestOf(this.#payloads.digest), parameters)
    const head = columns.map(({ name, type, masked }) => ({ name, type: typeText(type), ...(masked && { masked }) }))
    let isBegun = false
    return async (batch) => {
      if (!isBegun) {
        isBegun = true
        await tape.push(encoder.encode(`${JSON.stringify({ columns: head })}\n`))
      }
      if (batch.rowCount === 0) return
      if (pieces === undefined) return tape.push(batch.bytes)
      for (const { bytes, digests } of pieces(batch)) await tape.push(bytes, digests)
    }
  }

  /** Resolves when all of it is durable, or cannot be made so. `cut` says why the answer is not whole. Never rejects. */
  end(cut?: string): Promise<Recorded> {
    this.#ended ??= this.#end(cut)
    return this.#ended
  }

  async #end(cut: string | undefined): Promise<Recorded> {
    let failure: Failure | undefined
    const bodies: Partial<Record<Way, KeptBody>> = {}
    for (const [way, taped] of this.#tapes) {
      try {
        bodies[way] = await taped.end(cut)
      } catch (error) {
        failure = asFailure(error, 'audit-unavailable')
      }
    }
    try {
      await this.#sealer?.end(cut)
    } catch (error) {
      failure = asFailure(error, 'audit-unavailable')
    }
    if (failure !== undefined) {
      this.#runtime.log('error', 'a body could not be recorded', { exchange: this.#exchange.id }, failure)
    }
    return {
      timings: this.#timings(),
      ...((bodies.request ?? bodies.answer) && { bodies }),
      ...(failure && { failure }),
    }
  }

  #timings(): Required<Close>['timings'] {
    const since = (at: number): number => Math.max(0, at - this.#exchange.receivedAt)
    return {
      ...(this.#beganAt !== undefined && { firstByteMs: since(this.#beganAt) }),
      totalMs: since(this.#runtime.clock.now()),
    }
  }

  #taped(direction: Way, type: string, keep: Keep, payloads: PayloadLog): Taped {
    const body: TapedBody = { exchange: this.#exchange, direction, type, keep }
    const taped = new Taped(payloads.open(body))
    this.#tapes.set(direction, taped)
    return taped
  }
}

/**
 * The exchange with what its records may say of a request's body, where policy calls values in it secret: neither its
 * beginning nor a digest that could be guessed at.
 */
export function withheld<E extends Decided>(exchange: E, recording: Recording | undefined, log?: Provides): E {
  const { statement } = exchange
  if (statement.language !== 'http' || statement.body === undefined || recording?.secrets?.body === undefined)
    return exchange
  const { digest } = statement.body
  const recorded = {
    excerpt: '(withheld: policy calls values in it secret)',
    ...(digest !== undefined && { digest: shownDigest(digest, recording, log) }),
  }
  return { ...exchange, statement: { ...statement, body: { ...statement.body, recorded } } }
}

type Provides = Pick<PayloadLog, 'digest'>

function shownDigest(digest: string, recording: Recording | undefined, log: Provides | undefined): string {
  return recording?.secrets?.body === undefined ? digest : `hmac:${digestOf(log?.digest)(digest)}`
}

const encoder = new TextEncoder()
const DONE = Promise.resolve()

/** A tape with what is to be said at its end. */
class Taped {
  readonly tape: Tape
  mark = ''
  /** More of it is to come. */
  isUnder = false
  /** What came could not be read: nothing more of it is kept. */
  #isLost = false
  #kept: Promise<KeptBody> | undefined

  constructor(tape: Tape) {
    this.tape = tape
  }

  async push(bytes: Uint8Array, redactor: Redactor | undefined): Promise<void> {
    if (redactor === undefined) return this.tape.push(bytes)
    const out = this.#read(() => redactor.push(bytes))
    if (out !== undefined) await this.tape.push(out.bytes, out.digests)
  }

  /** What the redactor still holds. */
  async finish(redactor: Redactor | undefined): Promise<void> {
    this.isUnder = false
    const out = redactor && this.#read(() => redactor.end())
    if (out !== undefined) await this.tape.push(out.bytes, out.digests)
  }

  end(cut = ''): Promise<KeptBody> {
    const why = cut === '' && this.isUnder ? 'it did not come to its end' : cut
    this.#kept ??= this.tape.end([why, this.mark].filter((it) => it !== '').join('; '))
    return this.#kept
  }

  #read<T>(work: () => T): T | undefined {
    if (this.#isLost) return undefined
    try {
      return work()
    } catch {
      // The body goes where it goes; only its copy has to be free of secrets, and ends where that can no longer be said.
      this.#isLost = true
      this.mark = 'it is not what its content type says: secrets behind this could not be found'
      return undefined
    }
  }
}

/** Never missing: a recording with secrets does not begin without it. */
function digestOf(digest: PayloadLog['digest']): NonNullable<PayloadLog['digest']> {
  if (digest === undefined) throw new Failure('internal', 'there is no key for digests')
  return digest
}
