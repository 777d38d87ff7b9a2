/** Station 7 for HTTP: the answer on its way out, masked piece by piece, and the record of how it ended. */
import { completed, completion } from '../audit/entries.ts'
import type { Reply } from '../connection/contract.ts'
import type { Completed, Masked } from '../exchange.ts'
import { asFailure, Failure } from '../failure.ts'
import { chained, transformsOf, type ActivePlugin } from '../fulfil.ts'
import { base64, concatenated } from '../bytes.ts'
import type { KeptAnswer } from '../hold/contract.ts'
import type { HttpReady, Replied } from '../journey.ts'
import type { Transform } from '../plugin.ts'
import type { BodyWriter } from './recording.ts'
import { reasonOf, type Ends, type ReturnParts } from './return.ts'

/** Answers up to this size are read whole, so that what cannot be masked is a problem and not a cut. */
const WHOLE_BYTES = 65_536

/** Answers that come as things happen: nobody waits for the next of them. */
const LIVE: ReadonlySet<string> = new Set(['text/event-stream', 'application/x-ndjson', 'application/jsonl'])

/** Names of the answer's headers that tell what a masked body was: a digest of it is as good as a guess at it. */
const TELLING: ReadonlySet<string> = new Set([
  'etag',
  'last-modified',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
])

/** Statuses whose answers have no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304])

/** What is known of a run besides its answer. */
export interface Run {
  readonly durationMs: () => number
  /** Of an upload that streamed. */
  readonly sent: () => Completed['sent']
  /** What was masked on the way in. */
  readonly masked: () => readonly Masked[]
}

/** `keep`: bytes up to which an answer is kept for whoever ends it. */
type RelayEnds = Ends & { readonly keep: number }

/** The answer, begun. Throws `answer-refused` where an obligation cannot be carried out on it; nothing of it goes out then. */
export async function relay(
  ready: HttpReady,
  reply: Reply,
  plugins: readonly ActivePlugin[],
  run: Run,
  signal: AbortSignal,
  parts: ReturnParts,
  ends: RelayEnds,
): Promise<Replied> {
  const { exchange, narrowed } = ready
  const { status, contentType, charset } = reply
  const body = reply.body[Symbol.asyncIterator]()
  try {
    const isBodiless = narrowed.kind === 'HEAD' || BODILESS.has(status)
    const head = { status, contentType, ...(charset !== undefined && { charset }) }
    const { recorder } = ends
    const transforms = isBodiless ? [] : transformsOf('answer', head, exchange, plugins, recorder.originals)
    if ('unfulfilled' in transforms) {
      const { because, fix } = transforms.unfulfilled
      throw new Failure('answer-refused', because, fix === undefined ? {} : { fix })
    }
    const isMasked = transforms.length > 0 || narrowed.masks.length > 0
    const headers = reply.headers.filter(([name]) => !(isMasked && TELLING.has(name)))
    const copy = isBodiless ? undefined : recorder.body('answer', head)
    const passage = new Passage(ready, { status, headers }, transforms, copy, run, parts, ends)
    const answer = { kind: 'reply', exchange, status, headers, signal } as const
    if (isBodiless) {
      await body.return?.()
      await passage.close(undefined)
      return { ...answer, body: undefined }
    }
    const first = await beginning(body, isLive(reply))
    if (first.isWhole) {
      const whole = await passage.all(first.chunks)
      await passage.close(undefined)
      return { ...answer, body: whole }
    }
    const chunks = passage.stream(first.chunks, body, signal)
    await chunks.next() // past the empty first piece, into what closes itself
    const end = (): void => parts.runtime.background('end an answer', chunks.return(undefined as never))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
    return { ...answer, body: chunks }
  } catch (error) {
    await body.return?.()
    throw error
  }
}

function isLive({ contentType, length }: Reply): boolean {
  return LIVE.has(contentType) || (length !== undefined && length > WHOLE_BYTES)
}

/** As much of a body as may be the whole of it. */
async function beginning(
  body: AsyncIterator<Uint8Array>,
  isLiveBody: boolean,
): Promise<{ readonly chunks: readonly Uint8Array[]; readonly isWhole: boolean }> {
  const chunks: Uint8Array[] = []
  if (isLiveBody) return { chunks, isWhole: false }
  let size = 0
  while (size <= WHOLE_BYTES) {
    const next = await body.next()
    if (next.done === true) return { chunks, isWhole: true }
    chunks.push(next.value)
    size += next.value.byteLength
  }
  return { chunks, isWhole: false }
}

/** One answer on its way through its masks, and its one completion. */
class Passage {
  readonly #ready: HttpReady
  readonly #head: Pick<Replied, 'status' | 'headers'>
  readonly #masks: Transform
  readonly #copy: BodyWriter | undefined
  readonly #run: Run
  readonly #parts: ReturnParts
  readonly #ends: RelayEnds
  #byteCount = 0
  /** What was answered, as far as it may be kept. */
  #kept: Uint8Array[] | undefined = []

  constructor(
    ready: HttpReady,
    head: Pick<Replied, 'status' | 'headers'>,
    transforms: readonly Transform[],
    copy: BodyWriter | undefined,
    run: Run,
    parts: ReturnParts,
    ends: RelayEnds,
  ) {
    this.#ready = ready
    this.#head = head
    this.#masks = chained(transforms)
    this.#copy = copy
    this.#run = run
    this.#parts = parts
    this.#ends = ends
  }

  /** A body that is here. Throws `answer-refused` where it is not what its head says. */
  async all(chunks: readonly Uint8Array[]): Promise<Uint8Array> {
    const out: Uint8Array[] = []
    try {
      for (const chunk of chunks) this.#add(out, this.#masks.push(chunk))
      this.#add(out, this.#masks.end())
    } catch (error) {
      throw new Failure('answer-refused', 'the answer is not what its content type says, so it cannot be masked', {
        cause: error,
      })
    }
    for (const piece of out) await this.#copy?.push(piece)
    await this.#copy?.close()
    return concatenated(out)
  }

  /** Piece by piece. Its end follows the record; a body that cannot be masked to its end breaks off. */
  async *stream(
    first: readonly Uint8Array[],
    rest: AsyncIterator<Uint8Array>,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, Completed, void> {
    const { runtime } = this.#parts
    let closed: Completed | undefined
    let cut: string | undefined
    try {
      yield EMPTY
      try {
        for (const chunk of first) yield* this.#copied(this.#masks.push(chunk))
        for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
          yield* this.#copied(this.#masks.push(next.value))
        }
        yield* this.#copied(this.#masks.end())
        await this.#copy?.close()
      } catch (error) {
        const { code, cause } = asFailure(error, 'upstream-failed')
        runtime.log('warn', 'an answer was cut', { exchange: this.#ready.exchange.id, code }, cause)
        cut = code
      }
      closed = await this.#record(cut)
      // Only a connection that breaks off tells the client that this is not all of it.
      if (closed.ending === 'cut') throw new Failure('upstream-failed', 'the answer was cut')
      return closed
    } finally {
      try {
        await rest.return?.()
        if (closed === undefined) await this.#record(reasonOf(signal))
      } finally {
        this.#ends.leave()
      }
    }
  }

  /** For a body that is here, or that there is none of. */
  async close(cut: string | undefined): Promise<void> {
    this.#ends.recorder.began()
    // Nothing has gone out yet: what cannot be recorded is a problem and not a cut.
    const { failure } = await this.#ends.recorder.end(cut)
    if (failure !== undefined) throw failure
    await this.#record(cut)
    this.#ends.leave()
  }

  async #record(cutBefore: string | undefined): Promise<Completed> {
    const { runtime, audit } = this.#parts
    // Durable before the record that names them; where they could not be made so, the answer is cut.
    const { failure, ...recorded } = await this.#ends.recorder.end(cutBefore)
    const cut = failure?.code ?? cutBefore
    const { exchange, narrowed } = this.#ready
    const sent = this.#run.sent()
    const done = {
      ...completion(exchange, narrowed, {
        rowCount: 0,
        byteCount: this.#byteCount,
        statistics: { durationMs: this.#run.durationMs() },
        ...(cut !== undefined && { cut }),
      }),
      status: this.#head.status,
      masked: [...this.#run.masked(), ...this.#masked()],
      ...(sent !== undefined && { sent }),
    }
    try {
      await audit.append(completed(done, runtime.clock.now(), recorded))
    } finally {
      await this.#ends.spending.settle({ rows: 0, bytesBilled: 0 }, cut === undefined)
      await this.#ends.ended(cut === undefined ? { state: 'done', ...this.#answer() } : { state: 'done', cut })
    }
    return done
  }

  #answer(): { readonly answer?: KeptAnswer } {
    if (this.#kept === undefined || this.#ends.keep === 0) return {}
    const { status, headers } = this.#head
    const body = base64(concatenated(this.#kept))
    return { answer: { status, headers, body, policy: this.#ready.exchange.policy } }
  }

  #masked(): readonly Masked[] {
    const resource = this.#ready.narrowed.operation
    return this.#masks.counts().map((it) => ({ resource, ...it }))
  }

  #add(out: Uint8Array[], bytes: Uint8Array): void {
    this.#count(bytes)
    if (bytes.byteLength > 0) out.push(bytes)
  }

  /** Recorded before it goes out. */
  async *#copied(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    if (bytes.byteLength === 0) return
    await this.#copy?.push(bytes)
    this.#count(bytes)
    this.#ends.recorder.began()
    yield bytes
  }

  #count(bytes: Uint8Array): void {
    this.#byteCount += bytes.byteLength
    if (this.#byteCount > this.#ends.keep) this.#kept = undefined
    else this.#kept?.push(bytes)
  }
}

const EMPTY = new Uint8Array()
