/** What a principal did before: asked once, remembered for a while, never waited for long, and never an error. */
import { describe, expect, test, vi } from 'vitest'
import type { Habits, HabitReader } from '../../src/audit/contract.ts'
import type { Principal } from '../../src/exchange.ts'
import { createHistory, HISTORY_LIMITS, type HistoryLimits } from '../../src/history.ts'
import type { InForce } from '../../src/journey.ts'
import { state } from '../../src/stations/state.ts'
import { AGENT, STATEMENT } from '../support/journey.ts'
import { sqlStatement } from '../support/statement.ts'

const NOW = Date.UTC(2026, 0, 31)
const hours = Array.from({ length: 24 }, (_, hour) => (hour === 9 ? 40 : 0))
const HABITS: Habits = {
  exchanges: 40,
  hours,
  shapes: new Map([
    ['aaaaaaaaaaaaaaaa', 30],
    ['bbbbbbbbbbbbbbbb', 10],
  ]),
  tables: new Set(['shop.orders', 'shop.leads']),
  bytesP95: 1000,
}
const statement = sqlStatement({
  shape: 'bbbbbbbbbbbbbbbb',
  uses: [
    { action: 'write', resource: 'shop.orders' },
    { action: 'read', resource: 'shop.customers' },
    { action: 'read', resource: 'shop.orders' },
  ],
})
const PAST = {
  since: NOW - 30 * 86_400_000,
  exchanges: 40,
  sameShape: 10,
  hours,
  bytesP95: 1000,
  tables: ['shop.orders'],
}
const about = (subject = 'agent', more: Partial<Principal> = {}) => ({
  principal: { ...AGENT, subject, ...more },
  connection: 'warehouse',
})

function scene(habits: HabitReader['habits'] = async () => HABITS, limits: Partial<HistoryLimits> = {}) {
  const asked: string[] = []
  const logged: string[] = []
  const clock = { at: 0, now: () => NOW, monotonic: () => clock.at }
  const reader: HabitReader = {
    habits(of, signal) {
      asked.push(`${of.principal.subject} ${of.principal.actsFor?.subject ?? '-'} ${of.connection}`)
      return habits(of, signal)
    },
  }
  const log = (level: string, message: string): void => void logged.push(`${level} ${message}`)
  const history = createHistory(reader, { clock, log }, { ...HISTORY_LIMITS, ...limits })
  const past = (of = about(), its = statement) => history.past(of, its, AbortSignal.timeout(10_000))
  return { asked, logged, clock, past }
}

describe('the past of a principal', () => {
  test('tells what concerns the statement', async () => {
    const { past } = scene()
    expect(await past()).toEqual(PAST)
    expect(await past(about(), sqlStatement({ shape: 'cccccccccccccccc' }))).toEqual({
      ...PAST,
      sameShape: 0,
      tables: [],
    })
    expect(await past(about(), sqlStatement())).toEqual({ ...PAST, sameShape: 0, tables: [] })
  })

  test('is read once by all who ask at the same time, and anew after a minute', async () => {
    const { asked, clock, past } = scene()
    await Promise.all([past(), past(), past()])
    clock.at = 59_999
    await past()
    expect(asked).toEqual(['agent - warehouse'])
    clock.at = 60_000
    await past()
    expect(asked).toHaveLength(2)
  })

  test('is of one principal, for one person, on one connection', async () => {
    const { asked, past } = scene()
    await past(about('a'))
    await past(about('b'))
    await past(about('a', { actsFor: { issuer: 'corp', subject: 'ada' } }))
    await past({ ...about('a'), connection: 'archive' })
    await past(about('a'))
    expect(asked).toEqual(['a - warehouse', 'b - warehouse', 'a ada warehouse', 'a - archive'])
  })

  test('is remembered of so many, and forgets first what was read first', async () => {
    const { asked, past } = scene(undefined, { entries: 2 })
    for (const subject of ['a', 'b', 'c', 'b', 'a']) await past(about(subject))
    expect(asked).toEqual(['a', 'b', 'c', 'a'].map((subject) => `${subject} - warehouse`))
  })
})

describe('where nobody can say', () => {
  test('the past is absent; that is said once, and again when it works', async () => {
    let broken = true
    const { asked, logged, clock, past } = scene(async () => {
      if (broken) throw new Error('gone')
      return HABITS
    })
    expect([await past(), await past(about('b'))]).toEqual([undefined, undefined])
    broken = false
    clock.at = 9_999
    expect(await past()).toBeUndefined()
    expect(asked).toHaveLength(2)
    clock.at = 10_000
    expect(await past()).toEqual(PAST)
    expect(logged).toEqual([
      'warn what principals did before is not known; risk is weighed without it',
      'info what principals did before is known again',
    ])
  })

  test('one that is late is not waited for, and serves the next', async () => {
    const { promise, resolve } = Promise.withResolvers<Habits>()
    const { asked, past } = scene(() => promise, { waitMs: 5 })
    expect(await past()).toBeUndefined()
    resolve(HABITS)
    await vi.waitFor(async () => expect(await past()).toEqual(PAST))
    expect(asked).toEqual(['agent - warehouse'])
  })

  test('one that never answers is given up, even if it does not heed its signal', async () => {
    const { clock, past, asked } = scene(() => new Promise(() => {}), { waitMs: 5, readMs: 10 })
    expect(await past()).toBeUndefined()
    await vi.waitFor(async () => {
      clock.at += 10_000
      await past()
      expect(asked.length).toBeGreaterThan(1)
    })
  })

  test('no more is read at once than may be', async () => {
    const { asked, past } = scene(() => new Promise(() => {}), { waitMs: 1, readings: 2 })
    await Promise.all(['a', 'b', 'c', 'd'].map((subject) => past(about(subject))))
    expect(asked).toEqual(['a - warehouse', 'b - warehouse'])
  })

  test('being late again and again is said once a minute', async () => {
    const answers = new Map<string, PromiseWithResolvers<Habits>>()
    const { logged, clock, past } = scene(
      ({ principal }) => {
        const answer = Promise.withResolvers<Habits>()
        answers.set(principal.subject, answer)
        return answer.promise
      },
      { waitMs: 1 },
    )
    const late = async (subject: string): Promise<void> => {
      expect(await past(about(subject))).toBeUndefined()
      answers.get(subject)?.resolve(HABITS)
      await vi.waitFor(async () => expect(await past(about(subject))).toEqual(PAST))
    }
    await late('a')
    clock.at = 59_999
    await late('b')
    expect(logged.map((line) => line.split(' ')[0])).toEqual(['warn', 'info'])
    clock.at = 60_000
    await late('c')
    expect(logged.map((line) => line.split(' ')[0])).toEqual(['warn', 'info', 'warn', 'info'])
  })

  test('who has left waits no longer, and nothing is said of it', async () => {
    const { promise } = Promise.withResolvers<Habits>()
    const logged: string[] = []
    const log = (_: string, message: string): void => void logged.push(message)
    const history = createHistory({ habits: () => promise }, { clock: { now: () => NOW, monotonic: () => 0 }, log })
    expect(await history.past(about(), statement, AbortSignal.abort())).toBeUndefined()
    expect(logged).toEqual([])
  })
})

test('station 2 asks beside the dry run, and goes on without an answer', async () => {
  const events: string[] = []
  const parts = (past: typeof PAST | undefined) => ({
    statements: {
      parse: () => ({ refused: false, kind: 'SELECT', text: STATEMENT.text, uses: STATEMENT.uses, paths: [] }) as const,
      bind: async () => STATEMENT,
      verify: () => undefined,
    },
    history: {
      past: async () => {
        events.push('past')
        return past
      },
    },
  })
  const connection = {
    language: 'googlesql',
    connector: {
      defaults: { project: 'p' },
      estimate: async () => {
        events.push('estimate')
        await vi.waitFor(() => expect(events).toContain('past'))
        return { bytes: 1, kind: 'SELECT', tables: [], output: [] }
      },
    },
  } as never
  const force = { policies: { denyByName: () => undefined } } as unknown as InForce
  const unstated = { id: 'x', receivedAt: NOW, surface: 'query' as const, ...about() }
  const asked = { language: 'googlesql', sql: STATEMENT.text, parameters: [], bounds: STATEMENT.bounds } as const
  const signal = AbortSignal.timeout(10_000)
  expect(await state(unstated, asked, connection, force, parts(PAST), signal)).toMatchObject({ id: 'x', past: PAST })
  expect(await state(unstated, asked, connection, force, parts(undefined), signal)).not.toHaveProperty('past')
})
