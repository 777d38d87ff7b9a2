/** The body of a request as it goes out: no longer than it may be, and left alone once nobody wants it. */
import { Failure } from '../../failure.ts'
import { RestFailure } from './failure.ts'

export interface Outgoing {
  /** Read once. */
  readonly body: AsyncIterable<Uint8Array>
  /** Ends it: the source is told, and whoever is reading meets an error. */
  stop(): void
}

/** `source` within `most` bytes: reading more throws `body-too-large`, and a source that breaks is a `bad-request`. */
export function outgoing(source: AsyncIterable<Uint8Array>, most: number): Outgoing {
  const iterator = source[Symbol.asyncIterator]()
  let isStopped = false
  let interrupt: (error: Error) => void = () => {}
  /** The next piece, or an error as soon as nobody wants it: a source may be as slow as it likes. */
  const next = async (): Promise<IteratorResult<Uint8Array>> =>
    await new Promise((resolve, reject) => {
      if (isStopped) return reject(unwanted())
      interrupt = reject
      iterator.next().then(resolve, (error: unknown) => reject(brokenOff(error)))
    })
  const body = async function* (): AsyncGenerator<Uint8Array> {
    let sent = 0
    for (;;) {
      const piece = await next()
      if (piece.done === true) return
      sent += piece.value.length
      if (sent > most) throw tooLarge(most, false)
      yield piece.value
    }
  }
  return {
    body: body(),
    stop() {
      if (isStopped) return
      isStopped = true
      interrupt(unwanted())
      // A source that was read to its end takes no harm; how one ends that nobody reads is nobody's concern.
      iterator.return?.().then(undefined, () => {})
    },
  }
}

function unwanted(): Error {
  return new Error('the body is not wanted any more')
}

/** Half a body must never look like a whole one: the connection is closed on any error here. */
function brokenOff(error: unknown): Failure {
  if (error instanceof Failure) return error
  return new RestFailure('bad-request', 'the body of the request broke off', false, { cause: error })
}

/** `most`, in bytes; `unsent` as in `RestFailure`. */
export function tooLarge(most: number, unsent: boolean): RestFailure {
  return new RestFailure(
    'body-too-large',
    `the body is larger than the ${most} bytes that the upstream is sent`,
    unsent,
  )
}
