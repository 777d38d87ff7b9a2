/** A request as a knock: an id of its own, its credentials, its end. Every answer carries the id. */
import type { Context } from 'hono'
import type { Knock } from '../src/door.ts'
import type { Runtime } from '../src/runtime.ts'
import { failureAnswer } from './problem.ts'

/** A handler of one surface: whatever it throws is answered as a problem under the exchange's id. */
export function knocked(
  runtime: Runtime,
  surface: string,
  handle: (c: Context, knock: Knock) => Promise<Response>,
): (c: Context) => Promise<Response> {
  return async function answerKnock(c) {
    const knock: Knock = {
      id: runtime.newId(),
      receivedAt: runtime.clock.now(),
      surface,
      credentials: { authorization: c.req.header('Authorization'), cookie: c.req.header('Cookie') !== undefined },
      signal: c.req.raw.signal,
    }
    try {
      const answer = await handle(c, knock)
      if (!answer.headers.has('Sluice-Exchange')) answer.headers.set('Sluice-Exchange', knock.id)
      answer.headers.set('Cache-Control', 'no-store')
      return answer
    } catch (error) {
      return failureAnswer(error, knock.id)
    }
  }
}
