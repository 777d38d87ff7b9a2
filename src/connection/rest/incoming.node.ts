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

/** Receives one answer. `head` settles once; the body is read once, by iterating. */
export class Incoming implements Dispatcher.DispatchHandler, AsyncIterable<Uint8Array> {
  readonly head: Promise<Head>
  /** The request began to be written: from now on the upstream may have seen it. */
  started = false
  readonly #onStart: () => void
  readonly #onDone: () => void
  #resolve: (head: Head) => void = () => {}
  #reject: (error: unknown) => void = () => {}
  #controller: Dispatcher.DispatchController | undefined
  #queue: Uint8Array[] = []
  #waitingBytes = 0
  #interim = 0
  #ended = false
  #error: { readonly cause: unknown } | undefined
  #wake: (() => void) | undefined

  /** `onStart` is called when the request begins to be written, `onDone` when nothing more will come, however it ended. */
  constructor(onStart: () => void, onDone: () => void) {
    this.#onStart = onStart
    this.#onDone = onDone
    this.head = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever waits for the head sees its error; nobody may be waiting any more.
    this.head.catch(() => {})
  }

  /** Gives up: the socket is closed, and whoever reads meets `cause`. */
  abort(cause: unknown): void {
    if (this.#ended || this.#error !== undefined) return
    this.#fail(cause)
    this.#controller?.abort(cause instanceof Error ? cause : new Error('given up'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#error !== undefined) return controller.abort(new Error('given up before it was sent'))
    this.#controller = controller
    this.started = true
    this.#onStart()
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
    this.#queue.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes >= HIGH_WATER) controller.pause()
    this.#wake?.()
  }

  /** Trailers are not kept: nobody judged them. */
  onResponseEnd(): void {
    this.#ended = true
    this.#onDone()
    this.#wake?.()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error)
  }

  #fail(cause: unknown): void {
    if (this.#ended || this.#error !== undefined) return
    this.#error = { cause }
    this.#queue = []
    this.#reject(cause)
    this.#onDone()
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#error !== undefined) throw this.#error.cause
        const chunk = this.#queue.shift()
        if (chunk !== undefined) {
          this.#waitingBytes -= chunk.length
          yield chunk
          continue
        }
        if (this.#ended) return
        const woken = new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#controller?.resume()
        await woken
        this.#wake = undefined
      }
    } finally {
      this.abort(new Error('the answer was not read to its end'))
    }
  }
}

const LATIN1 = new TextDecoder('latin1')

function readHeaders(raw: Dispatcher.DispatchController['rawHeaders']): readonly Header[] {
  if (!Array.isArray(raw)) throw new Error('no raw headers')
  const texts = raw.map((part) => (typeof part === 'string' ? part : LATIN1.decode(part)))
  const headers: Header[] = []
  for (let at = 0; at + 1 < texts.length; at += 2) {
    headers.push([(texts[at] ?? '').toLowerCase(), (texts[at + 1] ?? '').trim()])
  }
  return headers
}
