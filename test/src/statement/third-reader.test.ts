/** The advisory reader: what it may say, what it may not, and what it is never shown. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createStatements } from '../../../src/statement/index.ts'
import { lex } from '../../../src/statement/lexer.ts'
import { nodeSqlParser } from '../../../src/statement/node-sql-parser.ts'
import { isCheap, type TableLister } from '../../../src/statement/third-reader.ts'
import { DEFAULTS, statements } from './support.ts'

const wasm = new WebAssembly.Module(readFileSync('node_modules/bq2cst/bq2cst_bg.wasm'))

/** The names of the features that a text is given, by a reader that lists as `list` does. */
function advised(sql: string, list: TableLister): readonly string[] {
  const by = createStatements(wasm, list)
  const parsed = by.parse(sql, DEFAULTS)
  if (parsed.refused) throw new Error(parsed.message)
  return by.advise?.(parsed).map(({ name }) => name) ?? []
}

const sees =
  (...names: string[]): TableLister =>
  () =>
    names.map((name) => name.split('.'))

describe('a table that the advisory reader names', () => {
  const SQL = `WITH c AS (SELECT 1 AS x) SELECT * FROM \`own.shop.customers\` AS k, k.tags AS t, c JOIN shop.orders ON TRUE`

  it.each([
    ['own.shop.customers'],
    ['SHOP.Customers'],
    // It loses parts of long names.
    ['own.customers'],
    ['customers'],
    ['`shop`.`orders`'],
    ['c'],
    ['k.tags'],
  ])('%s is one that we read, a common table expression or an array', (name) => {
    expect(advised(SQL, sees(name))).toEqual([])
  })

  it.each([['hr.salaries'], ['shop.leads'], ['hr.customers'], ['customers.shop'], ['k'], ['shop.customers.tags']])(
    '%s is another: advice',
    (name) => {
      expect(advised(SQL, sees('shop.orders', name))).toEqual(['advisory-reader'])
    },
  )

  it('is no more than advice: the statement is read as without it', async () => {
    const by = createStatements(wasm, sees('hr.salaries'))
    const [ours, others] = [by.parse('SELECT 1', DEFAULTS), statements().parse('SELECT 1', DEFAULTS)]
    expect(ours).toEqual(others)
  })
})

describe('what it does not understand', () => {
  it('means nothing', () => {
    const fails: TableLister = () => {
      throw new Error('unexpected token')
    }
    expect(advised('SELECT 1', fails)).toEqual([])
  })

  it('is not told of where there is none', () => {
    const by = statements()
    const parsed = by.parse('SELECT 1', DEFAULTS)
    expect(parsed.refused ? undefined : by.advise?.(parsed)).toEqual([])
  })

  it('is asked once per text', () => {
    let asked = 0
    const by = createStatements(wasm, () => {
      asked++
      return []
    })
    for (let i = 0; i < 3; i++) {
      const parsed = by.parse('SELECT 1', DEFAULTS)
      if (!parsed.refused) by.advise?.(parsed)
    }
    expect(asked).toBe(1)
  })
})

describe('what it is shown', () => {
  const shown = (sql: string): boolean => {
    const lexed = lex(sql)
    if ('refused' in lexed) throw new Error(lexed.message)
    return isCheap(
      sql,
      lexed.tokens.filter((token) => token.kind !== 'end'),
    )
  }
  const nested = (open: string, close: string, depth: number): string =>
    `SELECT ${open.repeat(depth)}1${close.repeat(depth)}`

  it.each([
    ['an ordinary report', 'SELECT a, SUM(IF(b > 1, c, 0)) AS s FROM t JOIN u USING (a) GROUP BY a ORDER BY s', true],
    ['eight brackets', nested('(', ')', 8), true],
    ['nine brackets', nested('(', ')', 9), false],
    ['three casts', nested('CAST(', ' AS STRING)', 3), true],
    // Each level doubles what it takes: fourteen are a quarter of a second, thirty more than a minute.
    ['four casts', nested('CAST(', ' AS STRING)', 4), false],
    ['six arrays', nested('[', ']', 6), false],
    ['six aggregates', nested('STRING_AGG(', ')', 6), false],
    ['a field of what brackets give', 'SELECT STRUCT(1 AS x).x', false],
    ['a long list', `SELECT ${'a, '.repeat(600)}1`, false],
    ['a long text', `SELECT '${'a'.repeat(20_480)}'`, false],
  ])('%s', (_, sql, isShown) => {
    expect(shown(sql)).toBe(isShown)
  })
})

describe('node-sql-parser', () => {
  const list = nodeSqlParser()

  it.each([
    ['SELECT a FROM shop.orders'],
    ['SELECT a FROM `own.shop.orders` o, o.tags t WHERE id IN (SELECT id FROM shop.leads)'],
    ['WITH c AS (SELECT email FROM shop.customers) SELECT * FROM c'],
    ['DELETE FROM `shop.orders` WHERE TRUE'],
    ['INSERT INTO shop.orders (id) SELECT id FROM shop.leads'],
    // What it gets wrong or does not read.
    ['SELECT l.email FROM shop.orders a JOIN shop.orders b ON a.id = b.id, shop.leads l'],
    ['FROM shop.orders |> SELECT id'],
  ])('agrees, or says nothing: %s', (sql) => {
    expect(advised(sql, list)).toEqual([])
  })

  it('marks a text that was written to be read in two ways', () => {
    const sql = "SELECT '''x' FROM shop.orders -- ''' AS y FROM shop.leads"
    expect(advised(sql, list)).toEqual(['advisory-reader'])
  })
})
