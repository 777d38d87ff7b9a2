/** The body of a request as it goes out: no longer than it may be, and left alone once nobody wants it. */
import { RestFailure } from './failure.ts'

export interface Outgoing {
  readonly body: AsyncIterable<Uint8Array>
  /** Ends it: the source is told, and whoever reads meets an error. */
  stop(): void
}

/** `source` within `most` bytes; reading more throws `body-too-large`. */
export function outgoing(source: AsyncIterable<Uint8Array>, most: number): Outgoing {
  const iterator = source[Symbol.asyncIterator]()
  let stopped = false
  let stop = (): void => {}
  const stopping = new Promise<'stopped'>((resolve) => {
    stop = () => resolve('stopped')
  })
  const body = async function* (): AsyncGenerator<Uint8Array> {
    let sent = 0
    for (;;) {
      const next = await Promise.race([stopping, iterator.next()])
      if (next === 'stopped') throw new Error('the body is not wanted any more')
      if (next.done === true) return
      sent += next.value.length
      if (sent > most) throw tooLarge(most, false)
      yield next.value
    }
  }
  return {
    body: body(),
    stop: () => {
      if (stopped) return
      stopped = true
      stop()
      // A source that is read to its end already takes no harm; one that fails to end is nobody's concern any more.
      iterator.return?.().then(undefined, () => {})
    },
  }
}

export function tooLarge(most: number, unsent: boolean): RestFailure {
  return new RestFailure(
    'body-too-large',
    `the body is larger than the ${most} bytes that the upstream is sent`,
    unsent,
  )
}
