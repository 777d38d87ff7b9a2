/** What an answer of then and one of now have in common, as far as the record can tell. */
import { describe, expect, test } from 'vitest'
import {
  compareHttp,
  compareMasks,
  compareSql,
  isSameAnswer,
  type Then,
} from '../../../../src/entry/replay/difference.ts'
import type { Again } from '../../../../src/entry/replay/execute.ts'
import { linesOf, RowTally } from '../../../../src/entry/replay/rows.ts'

const COLUMNS = [
  { name: 'id', type: 'INT64' },
  { name: 'email', type: 'STRING', masked: 'hash' },
]

function seen(...rows: readonly string[]) {
  const tally = new RowTally()
  for (const row of rows) tally.add(row)
  return tally.seen()
}

function now(over: Partial<Again> = {}): Again {
  return { exchange: 'e', columns: COLUMNS, rows: seen('1', '2'), ending: 'whole', byteCount: 4, digest: 'd', ...over }
}

function then(over: Partial<Then['answer']> = {}, more: Partial<Then> = {}): Then {
  const answer = {
    rowCount: 2,
    byteCount: 4,
    status: null,
    ending: 'whole',
    masked: [],
    kept: 'full',
    type: '',
    digest: 'd',
  }
  return { answer: { ...answer, ...over }, isRedacted: false, ...more }
}

const told = (all: ReturnType<typeof compareSql>): string[] => all.map(({ what, came }) => `${what}: ${came}`)

describe('rows', () => {
  test('are the same by the digest of the whole answer, whether or not it is kept', () => {
    expect(told(compareSql(then({ kept: 'digest' }), now()))).toEqual([
      'columns: same',
      'row count: same',
      'rows: same',
    ])
  })

  test('in another order are the same rows', () => {
    const kept = { columns: COLUMNS, rows: seen('2', '1') }
    expect(told(compareSql(then({ digest: 'x' }, { kept }), now()))).toEqual([
      'columns: same',
      'row count: same',
      'rows: same in another order',
    ])
  })

  test('of which one is there twice are others', () => {
    const kept = { columns: COLUMNS, rows: seen('1', '1', '2') }
    const found = compareSql(then({ rowCount: 3, digest: 'x' }, { kept }), now({ rows: seen('1', '2', '2') }))
    expect(told(found)).toEqual(['columns: same', 'row count: same', 'rows: different'])
    expect(isSameAnswer(found)).toBe(false)
  })

  test('that are more are seen to be more', () => {
    const found = compareSql(then({ kept: '', digest: '' }), now({ rows: seen('1', '2', '3'), ending: 'cut' }))
    expect(found).toMatchObject([
      { came: 'unknown' },
      { came: 'different', detail: '2 then, 3 or more now' },
      { came: 'different' },
    ])
  })

  test('that are not kept are unknown, and no difference', () => {
    const found = compareSql(then({ kept: '', digest: '' }), now())
    expect(told(found)).toEqual(['columns: unknown', 'row count: same', 'rows: unknown'])
    expect(isSameAnswer(found)).toBe(true)
  })

  test('with digests in the place of secret values are not compared by a digest that is of those', () => {
    expect(told(compareSql(then({ digest: 'x' }, { isRedacted: true }), now()))).toEqual([
      'columns: unknown',
      'row count: same',
      'rows: unknown',
    ])
  })

  test('none then and none now', () => {
    const found = compareSql(then({ rowCount: 0, digest: 'of nothing' }), now({ rows: seen() }))
    expect(told(found)).toEqual(['columns: unknown', 'row count: same', 'rows: same'])
  })

  test('under another mask have other columns', () => {
    const kept = { columns: [COLUMNS[0], { name: 'email', type: 'STRING' }], rows: seen('1', '2') }
    expect(compareSql(then({ digest: 'x' }, { kept }), now())[0]).toEqual({
      what: 'columns',
      came: 'different',
      detail: 'id INT64, email STRING then, id INT64, email STRING (hash) now',
    })
  })
})

test('a body is compared by status and digest', () => {
  const http = { columns: undefined, rows: undefined, status: 200 } as unknown as Partial<Again>
  expect(told(compareHttp(then({ status: 200 }), now(http)))).toEqual(['status: same', 'body: same'])
  expect(told(compareHttp(then({ status: 404, digest: 'x' }), now(http)))).toEqual([
    'status: different',
    'body: different',
  ])
  expect(told(compareHttp(then({ status: 200, digest: '' }), now(http)))).toEqual(['status: same', 'body: unknown'])
  expect(told(compareHttp(then({ status: 200 }, { isRedacted: true }), now(http)))).toEqual([
    'status: same',
    'body: unknown',
  ])
})

test('masks are compared as the records of both tell them', () => {
  const email = 'shop.customers.email hash'
  expect(compareMasks([email], [email])).toEqual({ what: 'masks', came: 'same', detail: email })
  expect(compareMasks([email], [])).toEqual({ what: 'masks', came: 'different', detail: `${email} then, none now` })
  expect(compareMasks([email], undefined)).toMatchObject({ came: 'unknown' })
})

test('lines are whole wherever the pieces end, letters of several bytes too', async () => {
  const bytes = new TextEncoder().encode('["ä"]\n["😀"]\n["c"]')
  async function* pieces(size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  for (let size = 1; size <= bytes.length; size++) {
    const lines: string[] = []
    for await (const line of linesOf(pieces(size))) lines.push(line)
    expect(lines).toEqual(['["ä"]', '["😀"]', '["c"]'])
  }
})
