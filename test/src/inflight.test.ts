/** What is under way at once: of all, and of one principal. */
import { describe, expect, it } from 'vitest'
import { Failure } from '../../src/failure.ts'
import { Inflight } from '../../src/inflight.ts'
import { AGENT, HOLD, journey, QUESTION } from '../support/journey.ts'

const never = new AbortController().signal
const principal = (subject: string, issuer = 'sandbox') => ({ issuer, subject })
const tooMany = { code: 'too-many-requests', status: 429 }

describe('places', () => {
  it('of one principal are bounded; those of others are not touched', () => {
    const inflight = new Inflight(10, 60_000, 2)
    const places = [0, 1, 2].map(() => inflight.enter(never))
    places[0]!.claim(principal('agent'))
    places[1]!.claim(principal('agent'))
    expect(() => places[2]!.claim(principal('agent'))).toThrow(expect.objectContaining(tooMany))
    places[2]!.claim(principal('agent', 'elsewhere'))
    inflight.enter(never).claim(principal('other'))
  })

  it('are had again once they are left, those that were refused too', () => {
    const inflight = new Inflight(10, 60_000, 1)
    const first = inflight.enter(never)
    first.claim(principal('agent'))
    const second = inflight.enter(never)
    expect(() => second.claim(principal('agent'))).toThrow(expect.objectContaining(tooMany))
    second.leave()
    first.leave()
    expect(inflight.count).toBe(0)
    inflight.enter(never).claim(principal('agent'))
  })

  it('have one principal', () => {
    const place = new Inflight(10, 60_000, 1).enter(never)
    place.claim(principal('agent'))
    expect(() => place.claim(principal('other'))).toThrow(expect.objectContaining({ code: 'internal' }))
  })

  it('are free while a person is waited for, up to a bound', async () => {
    const inflight = new Inflight(100, 60_000, 2)
    const waits: (() => void)[] = []
    for (let i = 0; i < 32; i++) {
      const place = inflight.enter(never)
      place.claim(principal('agent'))
      void place.aside(() => new Promise<void>((resolve) => waits.push(resolve)))
    }
    expect(() => inflight.enter(never).claim(principal('agent'))).toThrow(expect.objectContaining(tooMany))
    inflight.enter(never).claim(principal('other'))
  })
})

describe('a principal', () => {
  it('who fills its share is refused early, off the record, and leaves room for others', async () => {
    const held = Promise.withResolvers<typeof QUESTION>()
    let subject = 'agent'
    const { gateway, knock, events, inflight } = journey({
      inflight: 3,
      each: 2,
      identify: async () => ({ ...AGENT, subject }),
    })
    const busy = [0, 1].map(() => gateway.handle(knock(), () => held.promise))
    await Promise.resolve()
    const unread = () => Promise.reject(new Error('it was read'))
    await expect(gateway.handle(knock(), unread)).rejects.toMatchObject({
      ...tooMany,
      message: 'you have 2 requests under way already',
    })
    expect(events).toEqual([])
    subject = 'other'
    expect(await gateway.handle(knock(), async () => QUESTION)).toMatchObject({ kind: 'answer' })
    held.resolve(QUESTION)
    expect((await Promise.all(busy)).map(({ kind }) => kind)).toEqual(['answer', 'answer'])
    expect(inflight.count).toBe(3)
  })

  it('with too many holds pending is refused, on the record', async () => {
    const opened: (number | undefined)[] = []
    const openHold = (_: unknown, most?: number) => {
      opened.push(most)
      return Promise.reject(new Failure('too-many-requests', '10 of your requests wait for a person already'))
    }
    const { gateway, knock, events, records } = journey({
      decide: () => HOLD,
      store: { openHold, hold: async () => undefined },
    })
    await expect(gateway.handle(knock(), async () => QUESTION)).rejects.toMatchObject(tooMany)
    expect([opened, events.slice(-2)]).toEqual([[10], ['audit decided', 'audit failed']])
    expect(records.at(-1)).toMatchObject({ failure: { code: 'too-many-requests' } })
  })
})
