/** However a request ends, its place on the way to the upstream is free again. */
import { expect, test } from 'vitest'
import { clientOf, outcome, RawUpstream, request } from './raw-upstream.ts'

const never = new AbortController().signal
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** One connection, nobody in the line: a place that is not given back refuses everything that follows. */
const ONE = { pool: { connections: 1, waiting: 0 } }

test('read, not read, broken, left, refused: the next request passes', async () => {
  const scripts = [OK, 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', 'nonsense\r\n\r\n', undefined]
  let asked = 0
  await using upstream = await RawUpstream.start((socket) => {
    socket.on('data', () => {
      const answer = scripts[asked++ % scripts.length]
      if (answer === undefined) socket.destroy()
      else socket.write(answer)
    })
  })
  await using client = clientOf(upstream.port, ONE)
  for (let round = 0; round < 5; round += 1) {
    expect(await outcome(client)).toEqual({ status: 200, body: 'ok' })
    const half = await client.send(request(), never)
    await half.body[Symbol.asyncIterator]().return?.()
    expect(await outcome(client)).toMatchObject({ code: 'upstream-failed' })
    expect(await outcome(client)).toMatchObject({ code: 'upstream-failed' })
    expect(await outcome(client, {}, AbortSignal.abort())).toMatchObject({ code: 'client-gone', unsent: true })
  }
  expect(asked).toBe(20)
})

test('many who leave while they wait keep nobody out', async () => {
  const arrived = Promise.withResolvers<() => void>()
  await using upstream = await RawUpstream.start(async (socket, seen) => {
    await seen('\r\n\r\n')
    arrived.resolve(() => void socket.write(OK))
  })
  await using client = clientOf(upstream.port, { pool: { connections: 1, waiting: 4 } })
  const first = outcome(client)
  for (let wave = 0; wave < 8; wave += 1) {
    const leaving = new AbortController()
    const left = Array.from({ length: 4 }, () => outcome(client, {}, leaving.signal))
    leaving.abort()
    for (const one of left) expect(await one).toMatchObject({ code: 'client-gone', unsent: true })
  }
  const answer = await arrived.promise
  answer()
  expect(await first).toEqual({ status: 200, body: 'ok' })
  expect(upstream.received).toHaveLength(1)
})
