/** Station 6 for HTTP: the request on its way out, its body masked where a policy says so, and counted. */
import { concatenated } from '../bytes.ts'
import type { Completed, HttpStatement, Masked, Permitted } from '../exchange.ts'
import { Failure } from '../failure.ts'
import { bodyHead, chained, transformsOf, type ActivePlugin } from '../fulfil.ts'
import type { Body, HttpConnection, HttpReady, Replied } from '../journey.ts'
import type { Originals, Transform } from '../plugin.ts'
import type { Hasher } from '../runtime.ts'
import type { BodyWriter, Recorder } from './recording.ts'
import { relay } from './relay.ts'
import type { Ends, ReturnParts } from './return.ts'

/** Sends it, once. `upload` is of this exchange. */
export async function send(
  ready: HttpReady,
  upload: Upload,
  { connector, bodies }: HttpConnection,
  signal: AbortSignal,
  parts: ReturnParts,
  ends: Ends,
): Promise<Replied> {
  const { exchange, narrowed, plugins } = ready
  const { clock } = parts.runtime
  const since = clock.monotonic()
  const reply = await connector.send(upload.described(narrowed), exchange, upload.body, signal)
  const run = { durationMs: () => clock.monotonic() - since, sent: () => upload.sent(), masked: () => upload.masked() }
  return relay(ready, reply, plugins, run, signal, parts, {
    ...ends,
    keep: ends.keeps === true ? bodies.maxAnswerBytes : 0,
  })
}

/** A request's body through its masks. */
export class Upload {
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined
  readonly #operation: string
  readonly #masks: Transform | undefined
  readonly #hasher: Hasher
  readonly #copy: BodyWriter | undefined
  readonly #shown: (digest: string) => string
  /** The body, where it is here. */
  readonly #all: Uint8Array | undefined
  #bytes = 0
  #digest: string | undefined

  /** Throws `bad-request` where the body is not what it says: nothing was sent then. */
  constructor({ exchange, narrowed, plugins }: HttpReady, body: Body | undefined, hasher: Hasher, recorder: Recorder) {
    this.#operation = narrowed.operation
    this.#hasher = hasher
    this.#shown = (digest) => recorder.shown(digest)
    const transforms = body === undefined ? [] : requestTransforms(body.type, exchange, plugins, recorder.originals)
    this.#masks = transforms.length === 0 ? undefined : chained(transforms)
    this.#copy = body === undefined ? undefined : recorder.body('request', bodyHead(body.type))
    this.#all = body !== undefined && 'whole' in body ? this.#whole(body.whole) : undefined
    this.body = body !== undefined && 'stream' in body ? this.#stream(body.stream) : this.#all
  }

  /** Resolves when a body that is here is recorded, as far as it is to be. */
  async recorded(): Promise<void> {
    if (this.#all === undefined) return
    await this.#copy?.push(this.#all)
    await this.#copy?.close()
  }

  /** Of what streamed or was changed; what was sent as it came is on record already. */
  sent(): Completed['sent'] {
    return this.#digest === undefined ? undefined : { bytes: this.#bytes, digest: this.#digest }
  }

  masked(): readonly Masked[] {
    return (this.#masks?.counts() ?? []).map((count) => ({ resource: this.#operation, ...count }))
  }

  /** As it goes out: of a body that is masked on its way nobody knows the length, least of all who sent it. */
  described(statement: HttpStatement): HttpStatement {
    const { body } = statement
    if (body === undefined || this.#masks === undefined) return statement
    const { length: _, ...rest } = body
    return { ...statement, body: rest }
  }

  #whole(bytes: Uint8Array): Uint8Array {
    if (this.#masks === undefined) return bytes
    let out: Uint8Array
    try {
      out = concatenated([this.#masks.push(bytes), this.#masks.end()])
    } catch (cause) {
      throw new Failure('bad-request', 'the body is not what its content type says, so it cannot be masked', { cause })
    }
    this.#count(out)
    this.#digest = this.#shown(this.#hasher.hex())
    return out
  }

  async *#stream(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of chunks) {
      yield await this.#copied(this.#masks?.push(chunk) ?? chunk)
    }
    if (this.#masks !== undefined) yield await this.#copied(this.#masks.end())
    await this.#copy?.close()
    this.#digest = this.#shown(this.#hasher.hex())
  }

  /** Recorded before it goes out. */
  async #copied(bytes: Uint8Array): Promise<Uint8Array> {
    await this.#copy?.push(bytes)
    return this.#count(bytes)
  }

  #count(bytes: Uint8Array): Uint8Array {
    this.#bytes += bytes.byteLength
    this.#hasher.update(bytes)
    return bytes
  }
}

function requestTransforms(
  type: string,
  exchange: Permitted,
  plugins: readonly ActivePlugin[],
  originals: Originals | undefined,
): readonly Transform[] {
  const transforms = transformsOf('request', bodyHead(type), exchange, plugins, originals)
  // It was asked before the decision.
  if ('unfulfilled' in transforms) throw new Failure('internal', transforms.unfulfilled.because)
  return transforms
}
