/** Events of a replay in a terminal: lines as they are, and nothing that a terminal obeys. */
import { expect, test } from 'vitest'
import { createPainter } from '../../../../src/entry/replay/paint.ts'

const EVIL = '\u001B]0;owned\u0007\u001B[2J\u202Etxt.exe\r\u0000'

test('a body goes on over pieces, and a line that is not ended is ended by what follows', () => {
  const painter = createPainter(false)
  const chunk = { event: 'chunk', direction: 'answer', offset: 0, type: 'text/plain' }
  const painted = [
    painter.paint({ at: 1, ...chunk, text: 'one\ntw' }),
    painter.paint({ at: 2, ...chunk, text: 'o\nthree' }),
    painter.paint({ at: 3, ...chunk, text: '' }),
    painter.paint({ at: 1500, event: 'end' }),
  ]
  expect(painted.join('')).toBe(
    [
      '   +0.001s  answer body  text/plain',
      '            │ one',
      '            │ two',
      '            │ three',
      '   +1.500s  end      ',
      '',
    ].join('\n'),
  )
})

test.each([false, true])('nothing of what was recorded is obeyed (colours: %s)', (colours) => {
  const painter = createPainter(colours)
  const deep = { issuer: EVIL, subject: EVIL, actsFor: { issuer: EVIL, subject: EVIL } }
  const painted = [
    { event: 'request', surface: EVIL, connection: EVIL, purpose: EVIL, principal: deep, statement: { text: EVIL } },
    { event: 'decided', decision: { effect: EVIL, reasons: [{ code: EVIL, because: EVIL }] } },
    { event: 'columns', columns: [{ name: EVIL, type: EVIL, masked: EVIL }] },
    { event: 'chunk', direction: EVIL, type: EVIL, text: `${EVIL}\n${EVIL}`, mark: EVIL, digests: [EVIL] },
    { event: 'chunk', direction: EVIL, base64: EVIL },
    { event: 'hold', hold: { state: EVIL, comment: EVIL }, by: deep },
    { event: 'failed', failure: { code: EVIL, message: EVIL } },
    { event: 'refused', failure: { code: EVIL, message: EVIL } },
    { event: 'settled', outcome: EVIL, note: EVIL },
    {
      event: 'completed',
      completion: {
        ending: EVIL,
        cut: EVIL,
        ran: EVIL + EVIL,
        masked: [{ table: EVIL, column: EVIL, strategy: EVIL }],
      },
      bodies: { answer: { mode: EVIL } },
    },
    { event: EVIL, note: EVIL },
    { event: 'request', principal: null, statement: [1], purpose: { a: EVIL } },
    { event: 'columns', columns: 'x' },
    { event: 'completed' },
  ].map((event) => painter.paint({ at: 0, ...event }))
  // Its own colours are all that it may say to the terminal.
  const own = [0, 1, 2, 31, 32, 33].reduce((so, code) => so.replaceAll(`\u001B[${code}m`, ''), painted.join(''))
  expect(own).not.toMatch(/[^\P{C}\n]/u)
  expect(own).not.toContain('undefined')
})
