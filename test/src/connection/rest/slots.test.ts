/** Places on the way to the upstream, and the line before them. */
import { expect, test } from 'vitest'
import { Slots } from '../../../../src/connection/rest/slots.ts'

const never = new AbortController().signal
const LONG = 60_000

test('a place that is given back is for the first in the line, and is given back once', async () => {
  const slots = new Slots(1, 2)
  const entered: string[] = []
  const first = await slots.take(LONG, never)
  const take = async (name: string): Promise<() => void> => {
    const release = await slots.take(LONG, never)
    entered.push(name)
    return release
  }
  const [second, third] = [take('second'), take('third')]
  first()
  first()
  const releaseSecond = await second
  expect(entered).toEqual(['second'])
  releaseSecond()
  ;(await third)()
  expect(entered).toEqual(['second', 'third'])
  ;(await slots.take(LONG, never))()
})

test('a full line turns away at once; who leaves makes room', async () => {
  const slots = new Slots(1, 1)
  const release = await slots.take(LONG, never)
  const leaving = new AbortController()
  const gone = slots.take(LONG, leaving.signal)
  await expect(slots.take(LONG, never)).rejects.toMatchObject({ code: 'overloaded', unsent: true })
  leaving.abort(new Error('left'))
  await expect(gone).rejects.toThrow('left')
  const next = slots.take(LONG, never)
  release()
  ;(await next)()
  ;(await slots.take(LONG, never))()
})

test('nobody waits longer than may be, and nobody enters who has left already', async () => {
  const slots = new Slots(1, 1)
  const release = await slots.take(LONG, never)
  await expect(slots.take(1, never)).rejects.toMatchObject({
    code: 'upstream-late',
    message: 'no connection to the upstream in time',
    unsent: true,
  })
  release()
  await expect(slots.take(LONG, AbortSignal.abort(new Error('left')))).rejects.toThrow('left')
  ;(await slots.take(LONG, never))()
})
