/** The REST client against upstreams that do not behave. */
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { bytesOf, clientOf, outcome, pieces, RawUpstream, request } from './raw-upstream.ts'

const FAILED = { code: 'upstream-failed', message: 'the upstream failed', at: 'head', unsent: false }
const CUT = { ...FAILED, at: 'body' }
const never = new AbortController().signal

describe('an answer that two readers could read in two ways is not read at all', () => {
  test.each([
    ['a length and chunks', 'content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', FAILED],
    ['chunks and a length', 'transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n', FAILED],
    ['two lengths that differ', 'content-length: 3\r\ncontent-length: 5\r\n\r\nabcde', FAILED],
    ['two lengths alike', 'content-length: 3\r\ncontent-length: 3\r\n\r\nabc', FAILED],
    ['a list of lengths', 'content-length: 3, 3\r\n\r\nabc', FAILED],
    ['a negative length', 'content-length: -3\r\n\r\nabc', FAILED],
    ['a length with a sign', 'content-length: +3\r\n\r\nabc', FAILED],
    ['a length in hex', 'content-length: 0x3\r\n\r\nabc', FAILED],
    ['a length beyond all numbers', 'content-length: 99999999999999999999999\r\n\r\nabc', FAILED],
    ['a blank before the colon', 'content-length : 3\r\n\r\nabc', FAILED],
    ['a chunk size that is none', 'transfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n', CUT],
    ['a negative chunk size', 'transfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n', CUT],
    ['a chunk size beyond all numbers', 'transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc', CUT],
    ['a chunk longer than it says', 'transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n', CUT],
    ['a chunk that ends in a bare line feed', 'transfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n', CUT],
    ['a NUL in a header', 'x: a\0b\r\ncontent-length: 3\r\n\r\nabc', FAILED],
    ['a bare carriage return in a header', 'x: a\rb: c\r\ncontent-length: 3\r\n\r\nabc', FAILED],
    ['a header without a colon', 'no colon\r\ncontent-length: 3\r\n\r\nabc', FAILED],
  ])('%s', async (_, rest, expected) => {
    await using upstream = await RawUpstream.answering(`HTTP/1.1 200 OK\r\n${rest}`, true)
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toEqual(expected)
  })

  test.each([
    ['gzip, chunked', 'the upstream answered in a transfer coding that is not understood'],
    ['chunked, identity', 'the upstream answered in a transfer coding that is not understood'],
    ['identity', 'the upstream answered in a transfer coding that is not understood'],
  ])('the transfer coding `%s`', async (coding, message) => {
    const answer = `HTTP/1.1 200 OK\r\ntransfer-encoding: ${coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n`
    await using upstream = await RawUpstream.answering(answer, true)
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toEqual({ ...FAILED, message })
  })

  test('two content types, of which one would be masked', async () => {
    const answer =
      'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'
    await using upstream = await RawUpstream.answering(answer)
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toEqual({ ...FAILED, message: 'the upstream answered with two content types' })
  })

  test('a part, where the whole was asked: what is masked is not where it stands in the whole', async () => {
    const answer = 'HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-8/20\r\ncontent-length: 3\r\n\r\n"x"'
    await using upstream = await RawUpstream.answering(answer, true)
    await using client = clientOf(upstream.port, { headers: { request: ['range'] } })
    const message = 'the upstream answered a part of what was asked'
    expect(await outcome(client, { headers: [['range', 'bytes=5-8']] })).toEqual({ ...FAILED, message })
    expect(await outcome(client, { plain: false })).toEqual({ ...FAILED, message })
    expect(await outcome(client, { plain: false, headers: [['range', 'bytes=5-8']] })).toEqual({
      status: 206,
      body: '"x"',
    })
    expect(upstream.received.map((text) => text.includes('range: '))).toEqual([false, false, true])
  })

  test('a status that is none', async () => {
    await using upstream = await RawUpstream.answering('HTTP/1.1 777 Odd\r\ncontent-length: 0\r\n\r\n')
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toEqual({ ...FAILED, message: 'the upstream answered with no status of HTTP' })
  })

  test('no HTTP at all', async () => {
    await using upstream = await RawUpstream.answering('220 mail.example ESMTP\r\n')
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toEqual(FAILED)
  })

  test('a second answer behind the first, for a request that nobody made, reaches nobody', async () => {
    const first = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst'
    const ghost = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nghost'
    await using upstream = await RawUpstream.start(async (socket, seen, connection) => {
      await seen('\r\n\r\n')
      socket.write(connection === 0 ? first + ghost : first)
    })
    await using client = clientOf(upstream.port, { pool: { connections: 1 } })
    expect(await outcome(client)).toEqual({ status: 200, body: 'first' })
    expect(await outcome(client)).toEqual({ status: 200, body: 'first' })
    expect(upstream.received).toHaveLength(2)
  })
})

describe('a body where none can be is no part of the answer, nor of the next', () => {
  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nghost', 200],
    ['GET', 'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nghost', 204],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nghost', 304],
    ['GET', 'HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n5\r\nghost\r\n0\r\n\r\n', 204],
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-encoding: who-knows\r\n\r\n', 200],
  ])('%s: %j', async (method, answer, status) => {
    await using upstream = await RawUpstream.start(async (socket, seen, connection) => {
      await seen('\r\n\r\n')
      socket.write(connection === 0 ? answer : 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext')
    })
    await using client = clientOf(upstream.port, { pool: { connections: 1 } })
    expect(await outcome(client, { method })).toEqual({ status, body: '' })
    expect(await outcome(client)).toEqual({ status: 200, body: 'next' })
  })

  test('the length of an answer to HEAD is said, that of an encoded one is not', async () => {
    await using upstream = await RawUpstream.answering('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n')
    await using client = clientOf(upstream.port)
    expect((await client.send(request({ method: 'HEAD' }), never)).length).toBe(5)
    const encoded = 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\n'
    await using other = await RawUpstream.answering(encoded)
    await using otherClient = clientOf(other.port)
    expect((await otherClient.send(request({ method: 'HEAD' }), never)).length).toBeUndefined()
  })
})

describe('an answer that comes apart', () => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n'
  test.each([
    ['before a byte', '', FAILED],
    ['within the status line', 'HTTP/1.1 20', FAILED],
    ['within the headers', head, FAILED],
    ['before the body', `${head}\r\n`, CUT],
    ['within the body', `${head}\r\nabc`, CUT],
    ['within a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab', CUT],
    ['before the last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n', CUT],
    ['within the trailers', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx: y', CUT],
  ])('%s is never taken for a whole one', async (_, answer, expected) => {
    for (const cut of ['end', 'reset'] as const) {
      await using upstream = await RawUpstream.start(async (socket, seen) => {
        await seen('\r\n\r\n')
        const close = (): void => void (cut === 'end' ? socket.end() : socket.resetAndDestroy())
        if (answer === '') return close()
        socket.write(answer, close)
      })
      await using client = clientOf(upstream.port)
      const got = await outcome(client)
      // A reset may overtake what was written before it.
      expect(cut === 'reset' && 'at' in got ? { ...got, at: expected.at } : got).toEqual(expected)
      expect(upstream.received).toHaveLength(1)
    }
  })

  test('headers without an end are cut off at 32 KiB', async () => {
    await using upstream = await RawUpstream.start(async (socket, seen) => {
      await seen('\r\n\r\n')
      socket.write('HTTP/1.1 200 OK\r\n')
      const more = (): void => {
        while (!socket.destroyed && socket.write(`x-${'a'.repeat(100)}: ${'b'.repeat(900)}\r\n`));
      }
      socket.on('drain', more)
      more()
    })
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toEqual(FAILED)
    await upstream.closed[0]
  })

  test('trailers are read and left out, and are bounded', async () => {
    const chunks = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n'
    await using upstream = await RawUpstream.start(async (socket, seen, connection) => {
      await seen('\r\n\r\n')
      socket.write(`${chunks}set-cookie: a=b\r\nx: ${'y'.repeat(connection === 0 ? 10 : 40_000)}\r\n\r\n`)
    })
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toEqual({ status: 200, body: 'ab' })
    await client.close()
    await using again = clientOf(upstream.port)
    expect(await outcome(again)).toEqual(CUT)
  })

  test('a change of protocol that nobody asked for', async () => {
    const answer = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw'
    await using upstream = await RawUpstream.answering(answer)
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toEqual(FAILED)
    await upstream.closed[0]
  })

  test('interim answers are passed over, but not for ever', async () => {
    const hint = 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'
    const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
    await using few = await RawUpstream.answering(hint.repeat(8) + answer)
    await using fewClient = clientOf(few.port)
    expect(await outcome(fewClient)).toEqual({ status: 200, body: 'ok' })
    await using many = await RawUpstream.answering(hint.repeat(9) + answer)
    await using manyClient = clientOf(many.port)
    expect(await outcome(manyClient)).toEqual(FAILED)
    await many.closed[0]
  })
})

describe('an upstream that takes its time', () => {
  const late = { code: 'upstream-late', message: 'the upstream did not answer in time', unsent: false }
  const timeouts = { headers: '100ms', body: '100ms' }

  test('no headers', async () => {
    await using upstream = await RawUpstream.start(() => {})
    await using client = clientOf(upstream.port, { timeouts })
    expect(await outcome(client)).toEqual({ ...late, at: 'head' })
    await upstream.closed[0]
  })

  test('half of the headers', async () => {
    await using upstream = await RawUpstream.answering('HTTP/1.1 200 OK\r\ncontent-le')
    await using client = clientOf(upstream.port, { timeouts })
    expect(await outcome(client)).toEqual({ ...late, at: 'head' })
    await upstream.closed[0]
  })

  test('half of the body', async () => {
    await using upstream = await RawUpstream.answering('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')
    await using client = clientOf(upstream.port, { timeouts })
    expect(await outcome(client)).toEqual({ ...late, at: 'body' })
    await upstream.closed[0]
  })

  test('the deadline of whoever asks', async () => {
    await using upstream = await RawUpstream.start(() => {})
    await using client = clientOf(upstream.port)
    expect(await outcome(client, {}, AbortSignal.timeout(50))).toEqual({ ...late, at: 'head' })
    await upstream.closed[0]
  })

  test('whoever asks leaves while the body comes: the connection is closed', async () => {
    await using upstream = await RawUpstream.answering('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')
    await using client = clientOf(upstream.port)
    const leaving = new AbortController()
    const reply = await client.send(request(), leaving.signal)
    const body = reply.body[Symbol.asyncIterator]()
    expect(Buffer.from((await body.next()).value as Uint8Array).toString()).toBe('abc')
    leaving.abort()
    await expect(body.next()).rejects.toMatchObject({ code: 'client-gone' })
    await upstream.closed[0]
  })

  test.each(['before the first piece', 'after it'])(
    'a body that is returned early, %s, closes the connection',
    async (when) => {
      await using upstream = await RawUpstream.answering('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')
      await using client = clientOf(upstream.port)
      const reply = await client.send(request(), never)
      const body = reply.body[Symbol.asyncIterator]()
      if (when === 'after it') await body.next()
      await body.return?.()
      await upstream.closed[0]
    },
  )

  test('a pool that is full answers no later than a connection may take, and says that nothing was sent', async () => {
    await using upstream = await RawUpstream.start(() => {})
    await using client = clientOf(upstream.port, {
      pool: { connections: 1, waiting: 1 },
      timeouts: { connect: '100ms' },
    })
    const first = outcome(client)
    const second = outcome(client)
    const third = outcome(client)
    expect(await third).toMatchObject({ code: 'overloaded', unsent: true })
    expect(await second).toEqual({
      code: 'upstream-late',
      message: 'no connection to the upstream in time',
      at: 'head',
      unsent: true,
    })
    await client.close()
    expect(await first).toMatchObject({ code: 'upstream-failed', unsent: false })
    expect(upstream.received).toHaveLength(1)
  })
})

describe('content codings', () => {
  const encode = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }
  const answer = (coding: string, body: Uint8Array): Uint8Array =>
    Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\ncontent-length: ${body.length}\r\n\r\n`),
      body,
    ])

  test.each(Object.entries(encode))('%s is undone, whole or not at all', async (coding, compress) => {
    const text = JSON.stringify({ names: Array.from({ length: 5_000 }, (_, i) => `name-${i}`) })
    const body = compress(text)
    await using upstream = await RawUpstream.answering(answer(coding, body))
    await using client = clientOf(upstream.port)
    const reply = await client.send(request(), never)
    expect(reply.headers).toEqual([])
    expect(reply.length).toBeUndefined()
    expect((await bytesOf(reply.body)).toString()).toBe(text)

    await using cut = await RawUpstream.answering(answer(coding, body.subarray(0, body.length - 9)))
    await using cutClient = clientOf(cut.port)
    const wrong = { ...CUT, message: 'the answer of the upstream is not encoded as it says' }
    expect(await outcome(cutClient)).toEqual(wrong)

    await using lying = await RawUpstream.answering(answer(coding, Buffer.from('{"name":"plain"}')))
    await using lyingClient = clientOf(lying.port)
    expect(await outcome(lyingClient)).toEqual(wrong)
  })

  test.each(Object.entries(encode))('a bomb of %s is cut before it unfolds', async (coding, compress) => {
    const bomb = compress(Buffer.alloc(64 * 2 ** 20))
    await using upstream = await RawUpstream.answering(answer(coding, bomb))
    await using client = clientOf(upstream.port)
    const reply = await client.send(request(), never)
    let unfolded = 0
    const read = async (): Promise<void> => {
      for await (const chunk of reply.body) unfolded += chunk.length
    }
    await expect(read()).rejects.toMatchObject({
      code: 'upstream-failed',
      message: 'the answer of the upstream unfolds to far more than was sent',
    })
    expect(unfolded).toBeLessThanOrEqual(Math.max(2 ** 20, bomb.length * 100))
    await client.close()
  })

  test.each(['gzip, gzip', 'gzip, br', 'compress', 'aes128gcm', 'gzip, identity', 'constructor'])(
    '`%s` is not undone, and not passed either',
    async (coding) => {
      await using upstream = await RawUpstream.answering(answer(coding, gzipSync('{}')))
      await using client = clientOf(upstream.port)
      expect(await outcome(client)).toEqual({
        ...FAILED,
        message: 'the upstream answered in an encoding that is not understood',
      })
    },
  )

  test('codings on two lines are a chain too', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n'
    await using upstream = await RawUpstream.answering(head)
    await using client = clientOf(upstream.port)
    expect(await outcome(client)).toMatchObject({ code: 'upstream-failed', at: 'head' })
  })

  test('an empty body needs no undoing', async () => {
    for (const coding of Object.keys(encode)) {
      await using upstream = await RawUpstream.answering(answer(coding, new Uint8Array()))
      await using client = clientOf(upstream.port)
      expect(await outcome(client)).toEqual({ status: 200, body: '' })
    }
  })
})

describe('sizes', () => {
  const tooLong = { ...FAILED, message: 'the answer of the upstream is longer than it may be' }

  test.each([
    ['as it says', `HTTP/1.1 200 OK\r\ncontent-length: 1025\r\n\r\n${'a'.repeat(1_025)}`, 'head'],
    [
      'in chunks',
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n401\r\n${'a'.repeat(1_025)}\r\n0\r\n\r\n`,
      'body',
    ],
    ['until the connection ends', `HTTP/1.0 200 OK\r\n\r\n${'a'.repeat(1_025)}`, 'body'],
  ])('an answer that is too long, %s', async (_, answer, at) => {
    await using upstream = await RawUpstream.answering(answer)
    await using client = clientOf(upstream.port, { maxResponseBytes: '1KiB' })
    expect(await outcome(client)).toEqual({ ...tooLong, at })
  })

  test('an answer that is too long once it is undone', async () => {
    const body = gzipSync('a'.repeat(1_025))
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`
    await using upstream = await RawUpstream.answering(Buffer.concat([Buffer.from(head), body]))
    await using client = clientOf(upstream.port, { maxResponseBytes: '1KiB' })
    expect(await outcome(client)).toEqual({ ...tooLong, at: 'body' })
  })

  test('a body that is too long is not begun where that is known, and broken off where it is not', async () => {
    await using upstream = await RawUpstream.start(() => {})
    await using client = clientOf(upstream.port, { maxRequestBytes: '1KiB' })
    const big = new Uint8Array(1_025)
    const refused = {
      code: 'body-too-large',
      message: 'the body is larger than the 1024 bytes that the upstream is sent',
    }
    expect(await outcome(client, { method: 'POST', body: big })).toEqual({ ...refused, at: 'head', unsent: true })
    expect(await outcome(client, { method: 'POST', body: { stream: pieces(big), length: 1_025 } })).toEqual({
      ...refused,
      at: 'head',
      unsent: true,
    })
    expect(upstream.received).toEqual([])
    const half = new Uint8Array(600)
    expect(await outcome(client, { method: 'POST', body: { stream: pieces(half, half) } })).toEqual({
      ...refused,
      at: 'head',
      unsent: false,
    })
    await upstream.closed[0]
    expect(upstream.received[0]).not.toContain('\r\n0\r\n\r\n')
  })

  test('back-pressure reaches the upstream: what nobody reads is not fetched', async () => {
    const length = 64 * 2 ** 20
    let written = 0
    await using upstream = await RawUpstream.start(async (socket, seen) => {
      await seen('\r\n\r\n')
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`)
      const piece = Buffer.alloc(65_536)
      const more = (): void => {
        while (written < length && !socket.destroyed) {
          written += piece.length
          if (!socket.write(piece)) return
        }
      }
      socket.on('drain', more)
      more()
    })
    await using client = clientOf(upstream.port)
    const reply = await client.send(request(), never)
    const body = reply.body[Symbol.asyncIterator]()
    await body.next()
    // A second request over another connection: whatever the first was to fetch meanwhile, it has had the time.
    await client.ready(never)
    expect(written).toBeLessThan(length / 2)
    let read = 65_536
    for (let next = await body.next(); next.done !== true; next = await body.next()) read += next.value.length
    expect(read).toBeGreaterThanOrEqual(length)
  })
})

describe('a request whose body is still on its way', () => {
  test('is answered early: the answer passes, the rest of the body is not asked for', async () => {
    await using upstream = await RawUpstream.start(async (socket, seen) => {
      await seen('first')
      socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig')
    })
    await using client = clientOf(upstream.port)
    let isTold = false
    const stream: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => {
        let count = 0
        return {
          next: async () =>
            count++ === 0
              ? { done: false, value: new TextEncoder().encode('first') }
              : await new Promise<IteratorResult<Uint8Array>>(() => {}),
          return: async () => {
            isTold = true
            return { done: true, value: undefined }
          },
        }
      },
    }
    expect(await outcome(client, { method: 'POST', body: { stream } })).toEqual({ status: 413, body: 'big' })
    expect(isTold).toBe(true)
    await upstream.closed[0]
  })

  test('breaks off: the upstream never takes half of it for the whole', async () => {
    await using upstream = await RawUpstream.start(() => {})
    await using client = clientOf(upstream.port)
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode('first')
      throw new Error('the agent left')
    }
    const brokenOff = { code: 'bad-request', message: 'the body of the request broke off', at: 'head', unsent: false }
    expect(await outcome(client, { method: 'POST', body: { stream: stream() } })).toEqual(brokenOff)
    await upstream.closed[0]
    expect(upstream.received[0]).not.toContain('0\r\n\r\n')
  })

  test.each([
    ['shorter', ['abc'], 5],
    ['longer', ['abc', 'GET /admin HTTP/1.1\r\n\r\n'], 5],
  ])(
    'is %s than it says: no byte beyond its length goes out, and no less is taken for it',
    async (_, parts, length) => {
      await using upstream = await RawUpstream.start(() => {})
      await using client = clientOf(upstream.port)
      const body = { stream: pieces(...parts), length }
      expect(await outcome(client, { method: 'POST', body })).toMatchObject({ unsent: false, at: 'head' })
      await upstream.closed[0]
      expect(upstream.received[0]?.split('\r\n\r\n')[1]).toBe('abc')
    },
  )

  test('an upstream that resets it', async () => {
    await using upstream = await RawUpstream.start(async (socket, seen) => {
      await seen('\r\n\r\n')
      socket.resetAndDestroy()
    })
    await using client = clientOf(upstream.port)
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) yield new Uint8Array(65_536)
    }
    expect(await outcome(client, { method: 'PUT', body: { stream: stream() } })).toEqual(FAILED)
    expect(upstream.received).toHaveLength(1)
  })
})
