/** One answer as it comes in from undici: its head once, its body piece by piece, no faster than it is read. */
import type { Dispatcher } from 'undici'
import type { Header } from './headers.ts'

export interface Head {
  readonly status: number
  /** Lower-case names, in order, as they came. */
  readonly headers: readonly Header[]
}

/** Bytes that may wait to be read before the socket is paused. */
const HIGH_WATER = 131_072
/** Interim answers (1xx) before the real one. */
const MOST_INTERIM = 8

/** What an `Incoming` tells and asks of whoever sends the request. */
export interface Sender {
  /** The request begins to be written. */
  started(): void
  /** Nothing more will come, however it ended. */
  done(): void
  /** Undici has let go of it: later than `done` where it was given up before it had a connection. May be told twice. */
  released(): void
  /** What readers meet where `cause` broke it. */
  failure(cause: unknown): Error
  /** Most bytes of a body, as they travel. */
  readonly most: number
  /** What readers meet where there are more. */
  tooLong(): Error
}

interface Reader {
  readonly resolve: (result: IteratorResult<Uint8Array, undefined>) => void
  readonly reject: (error: Error) => void
}

/** Receives one answer. `head` settles once; the body is read once, by iterating. Returning early closes the connection. */
export class Incoming implements Dispatcher.DispatchHandler, AsyncIterableIterator<Uint8Array, undefined> {
  readonly head: Promise<Head>
  /** The request began to be written: from now on the upstream may have seen it. */
  started = false
  readonly #sender: Sender
  #resolve: (head: Head) => void = () => {}
  #reject: (error: Error) => void = () => {}
  #controller: Dispatcher.DispatchController | undefined
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #bytes = 0
  #interim = 0
  #ended = false
  #error: Error | undefined
  #reader: Reader | undefined

  constructor(sender: Sender) {
    this.#sender = sender
    this.head = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever waits for the head sees its error; nobody may be waiting any more.
    this.head.catch(() => {})
  }

  /** Gives up: the socket is closed, and whoever reads meets `cause`, or what is made of it. */
  abort(cause: unknown): void {
    if (this.#ended || this.#error !== undefined) return
    this.#fail(cause)
    const controller = this.#controller
    // Not at once: undici's parser may be in the middle of the very piece that told us to.
    if (controller !== undefined) queueMicrotask(() => controller.abort(new Error('given up')))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#error !== undefined) return controller.abort(new Error('given up before it was sent'))
    this.#controller = controller
    this.started = true
    this.#sender.started()
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController): void {
    controller.abort(new Error('a change of protocol'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) {
      this.#interim += 1
      if (this.#interim > MOST_INTERIM) this.abort(new Error('too many interim answers'))
      return
    }
    this.#resolve({ status, headers: readHeaders(controller.rawHeaders) })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#error !== undefined) return
    this.#bytes += chunk.length
    if (this.#bytes > this.#sender.most) return this.abort(this.#sender.tooLong())
    const reader = this.#reader
    if (reader !== undefined) {
      this.#reader = undefined
      return reader.resolve({ done: false, value: chunk })
    }
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (this.#queuedBytes >= HIGH_WATER) controller.pause()
  }

  /** Trailers are not kept: nobody judged them. */
  onResponseEnd(): void {
    this.#sender.released()
    if (this.#ended || this.#error !== undefined) return
    this.#ended = true
    this.#reader?.resolve({ done: true, value: undefined })
    this.#reader = undefined
    this.#sender.done()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#sender.released()
    this.#fail(error)
  }

  #fail(cause: unknown): void {
    if (this.#ended || this.#error !== undefined) return
    this.#error = this.#sender.failure(cause)
    // What was not read yet goes too: an answer that broke is not worth its beginning.
    this.#queue = []
    this.#reject(this.#error)
    this.#reader?.reject(this.#error)
    this.#reader = undefined
    this.#sender.done()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#error !== undefined) throw this.#error
    const chunk = this.#queue.shift()
    if (chunk !== undefined) {
      this.#queuedBytes -= chunk.length
      return { done: false, value: chunk }
    }
    if (this.#ended) return { done: true, value: undefined }
    if (this.#reader !== undefined) throw new Error('an answer has one reader')
    return await new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
      this.#controller?.resume()
    })
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.abort(new Error('the answer was not read to its end'))
    this.#queue = []
    return { done: true, value: undefined }
  }
}

function readHeaders(raw: Dispatcher.DispatchController['rawHeaders']): readonly Header[] {
  if (!Array.isArray(raw)) throw new Error('no raw headers')
  const headers: Header[] = []
  for (let at = 0; at + 1 < raw.length; at += 2)
    headers.push([latin1(raw[at]).toLowerCase(), latin1(raw[at + 1]).trim()])
  return headers
}

function latin1(part: Buffer | string | undefined): string {
  return typeof part === 'string' ? part : (part?.toString('latin1') ?? '')
}
