import type { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { eventOf, type OcsfEvent } from '../../../../src/audit/siem/ocsf.ts'
import { frameOf } from '../../../../src/audit/siem/syslog.ts'
import { createSyslog, type SyslogOptions } from '../../../../src/audit/siem/syslog.node.ts'
import { decodeRow } from '../../../../src/audit/record.ts'
import { clock, decidedFully, noted } from '../stage.ts'
import { CA, CLIENT, parseMessage, SyslogReceiver, unframe } from './receivers.ts'
import { segmentOf } from './segment.ts'

const sender = { writer: 'gateway-1', version: '0.1.0' }

function eventsOf(count: number): readonly OcsfEvent[] {
  const { rows } = segmentOf(Array.from({ length: count }, (_, n) => noted(n)))
  return rows.map((row) => eventOf(decodeRow(row), { version: '0.1.0', bounds: { chars: 4096, items: 50 } }))
}

function syslogTo(receiver: SyslogReceiver, more: Partial<SyslogOptions> = {}) {
  return createSyslog({
    host: 'localhost',
    port: receiver.port,
    tls: { ca: CA },
    timeoutMs: 10_000,
    clock,
    ...sender,
    ...more,
  })
}

const patient = (): AbortSignal => AbortSignal.timeout(20_000)
const codeOf = async (work: Promise<void>): Promise<unknown> =>
  work.then(
    () => 'delivered',
    (error: unknown) => Reflect.get(error as object, 'code') ?? (error as Error).message,
  )

describe('a message', () => {
  test('is RFC 5424, framed by its length in bytes', () => {
    const [event] = eventsOf(1)
    const frame = Buffer.from(frameOf(event!, sender))
    const { messages, rest } = unframe(frame)
    expect(rest).toHaveLength(0)
    expect(parseMessage(messages[0]!)).toEqual({
      priority: 13 * 8 + 5,
      timestamp: '2026-01-05T09:30:00.000Z',
      host: 'gateway-1',
      app: 'sluice',
      process: '-',
      id: 'policy',
      data: '[origin software="sluice" swVersion="0.1.0"][meta sequenceId="1"]',
      event,
    })
  })

  test('is ASCII and one line, whatever the record says', () => {
    const odd = { ...decidedFully, purpose: 'wöchentlich\r\n<13>1 a b c d e - forged \u2028 🦆 \u0000' }
    const { rows } = segmentOf([odd])
    const event = eventOf(decodeRow(rows[0]!), { version: '1.0.0 "x]\\ü', bounds: { chars: 4096, items: 50 } })
    const text = Buffer.from(frameOf(event, { writer: 'gate way\n', version: '1.0.0 "x]\\ü' })).toString('latin1')
    expect(text).toMatch(/^[ -~]+$/)
    const message = parseMessage(unframe(Buffer.from(text)).messages[0]!)
    expect(message.host).toBe('gateway')
    expect(message.event['unmapped']).toMatchObject({ purpose: odd.purpose })
  })

  test('is graver where the event is', () => {
    const [event] = eventsOf(1)
    const priorities = [1, 2, 3, 4, 5, 0].map((severity_id) => {
      const frame = Buffer.from(frameOf({ ...event!, severity_id }, sender))
      return parseMessage(unframe(frame).messages[0]!).priority - 13 * 8
    })
    expect(priorities).toEqual([6, 5, 4, 3, 2, 5])
  })
})

describe('a receiver over TLS', () => {
  test('is handed every record in order, and has read them when the segment counts', async () => {
    const receiver = await SyslogReceiver.open()
    const deliver = syslogTo(receiver)
    for (const segment of [1, 2]) {
      const { sealed, rows } = segmentOf([decidedFully, noted(1), noted(2)], segment, segment * 3 - 2)
      await deliver(sealed, rows, patient())
      expect(receiver.sequences).toHaveLength(segment * 3)
    }
    expect(receiver.sequences).toEqual([1, 2, 3, 4, 5, 6])
    expect(receiver.messages[0]?.event).toMatchObject({ class_uid: 6005, unmapped: { segment: 1 } })
  })

  test('is handed a large segment in parts', async () => {
    const receiver = await SyslogReceiver.open()
    const { sealed, rows } = segmentOf(Array.from({ length: 2000 }, () => decidedFully))
    await syslogTo(receiver)(sealed, rows, patient())
    expect(receiver.sequences).toEqual(Array.from({ length: 2000 }, (_, n) => n + 1))
    expect(receiver.connections).toBeGreaterThan(2)
  })

  test('that nobody vouches for is told nothing, whatever the environment says', async () => {
    const receiver = await SyslogReceiver.open()
    const { sealed, rows } = segmentOf([noted(1)])
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    try {
      expect(await codeOf(syslogTo(receiver, { tls: {} })(sealed, rows, patient()))).toBe(
        'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      )
      expect(await codeOf(syslogTo(receiver, { host: '127.0.0.1' })(sealed, rows, patient()))).not.toBe('delivered')
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
    }
    expect(receiver.messages).toEqual([])
  })

  test('that asks who we are is told by a certificate, and else told nothing', async () => {
    const receiver = await SyslogReceiver.open({ asking: true })
    const { sealed, rows } = segmentOf([noted(1)])
    const stranger = await codeOf(syslogTo(receiver)(sealed, rows, patient()))
    expect(stranger).toEqual(expect.stringMatching(/^(ERR_SSL_\w+|ECONNRESET|EPIPE|closed_early)$/))
    expect(receiver.sequences).toEqual([])
    await syslogTo(receiver, { tls: { ca: CA, own: CLIENT } })(sealed, rows, patient())
    expect(receiver.sequences).toEqual([1])
  })

  test('on loopback may do without TLS, where that is said', async () => {
    const receiver = await SyslogReceiver.open({ secure: false })
    const { sealed, rows } = segmentOf([noted(1)])
    await syslogTo(receiver, { tls: false })(sealed, rows, patient())
    expect(receiver.sequences).toEqual([1])
  })
})

describe('a segment does not count', () => {
  const { sealed, rows } = segmentOf(Array.from({ length: 500 }, () => decidedFully))

  type Mood = NonNullable<SyslogReceiver['mood']>
  const goodbye = (socket: Socket): undefined => {
    socket.end()
    socket.destroy()
  }
  const moods: readonly (readonly [string, Mood, string | RegExp])[] = [
    ['breaks off', (socket) => void socket.once('data', () => socket.destroy()), /ECONNRESET|EPIPE|closed_early/],
    ['is stopped with more unread', (socket) => void socket.once('data', () => goodbye(socket)), /ECONNRESET|EPIPE/],
    ['closes at once', goodbye, /ECONNRESET|EPIPE|closed_early/],
    ['never closes', (socket) => void socket.resume(), 'late'],
    ['reads nothing', (socket) => void socket.pause(), 'late'],
  ]

  test.each(moods)('with a receiver that %s, and is sent again once that is mended', async (_, mood, code) => {
    const receiver = await SyslogReceiver.open()
    const deliver = syslogTo(receiver, { timeoutMs: 300 })
    receiver.mood = mood
    expect(await codeOf(deliver(sealed, rows, patient()))).toEqual(expect.stringMatching(code))
    receiver.mood = undefined
    await deliver(sealed, rows, patient())
    expect(receiver.sequences).toEqual(Array.from({ length: 500 }, (_unused, n) => n + 1))
  })

  test('with a receiver that is away', async () => {
    const receiver = await SyslogReceiver.open()
    const deliver = syslogTo(receiver)
    await receiver.close()
    expect(await codeOf(deliver(sealed, rows, patient()))).toBe('ECONNREFUSED')
    await receiver.listen()
    await deliver(sealed, rows, patient())
    expect(receiver.sequences).toHaveLength(500)
  })

  test('where the gateway stops waiting', async () => {
    const receiver = await SyslogReceiver.open()
    receiver.mood = (socket) => void socket.resume()
    const stop = new AbortController()
    const delivering = codeOf(syslogTo(receiver)(sealed, rows, stop.signal))
    stop.abort(new Error('stopped'))
    expect(await delivering).toBe('stopped')
  })

  test('and of a large one only what was not read is sent again', async () => {
    const receiver = await SyslogReceiver.open()
    const large = segmentOf(Array.from({ length: 2000 }, () => decidedFully))
    const deliver = syslogTo(receiver)
    receiver.mood = (socket, n) => (n === 1 ? 'usual' : void socket.destroy())
    expect(await codeOf(deliver(large.sealed, large.rows, patient()))).not.toBe('delivered')
    const read = receiver.sequences.length
    expect(read).toBeGreaterThan(100)
    receiver.mood = undefined
    await deliver(large.sealed, large.rows, patient())
    expect(receiver.sequences).toEqual(Array.from({ length: 2000 }, (_, n) => n + 1))
  })
})
