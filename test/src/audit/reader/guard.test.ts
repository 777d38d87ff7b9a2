/** The auditors' guard over trees as the engine prints them, and over texts that only look like trees. */
import { describe, expect, test } from 'vitest'
import { isAllowedFunction, isAllowedTableFunction } from '../../../../src/audit/reader/functions.ts'
import { guard } from '../../../../src/audit/reader/guard.ts'
import { createReader } from '../../../../src/audit/reader/index.ts'
import { parseTree } from '../../../../src/audit/reader/tree.ts'

const select = (...columns: string[]): string =>
  [
    'SelectWithUnionQuery (children 1)',
    ' ExpressionList (children 1)',
    '  SelectQuery (children 1)',
    `   ExpressionList (children ${columns.length})`,
    ...columns.map((column) => `    ${column}`),
    '',
  ].join('\n')

const check = (text: string): void => guard(parseTree(text), 'sluice')

describe('the tree', () => {
  test('is read with types, texts and children, aliases left out', () => {
    expect(parseTree(select("Literal 'a (children 9)'", 'Identifier id (alias x (alias y))'))).toEqual({
      type: 'SelectWithUnionQuery',
      text: '',
      children: [
        {
          type: 'ExpressionList',
          text: '',
          children: [
            {
              type: 'SelectQuery',
              text: '',
              children: [
                {
                  type: 'ExpressionList',
                  text: '',
                  children: [
                    { type: 'Literal', text: "'a (children 9)'", children: [] },
                    { type: 'Identifier', text: 'id', children: [] },
                  ],
                },
              ],
            },
          ],
        },
      ],
    })
  })

  test.each([
    ['nothing', ''],
    ['JSON', '{"explain":"SelectWithUnionQuery (children 1)"}'],
    ['one child too few', 'SelectWithUnionQuery (children 2)\n ExpressionList'],
    ['one line too many', 'SelectWithUnionQuery (children 1)\n ExpressionList\n Identifier x'],
    ['a child that is too deep', 'SelectWithUnionQuery (children 1)\n   ExpressionList'],
    ['a leaf with children', select('Identifier a (alias x) (children 1)', ' Identifier y')],
    ['an empty line', 'SelectWithUnionQuery (children 1)\n\n ExpressionList'],
  ])('is refused: %s', (_, text) => {
    expect(() => parseTree(text)).toThrow(
      expect.objectContaining({ code: 'statement-refused', message: 'the statement is not a plain `SELECT`' }),
    )
  })

  test('has an end', () => {
    const deep = Array.from({ length: 600 }, (_, i) => `${' '.repeat(i)}Subquery (children 1)`).join('\n')
    expect(() => parseTree(deep)).toThrow('the statement is not a plain `SELECT`')
    expect(() => parseTree('x\n'.repeat(60_000))).toThrow('the statement is too large')
  })
})

describe('the guard', () => {
  test('lets through what reads and computes', () => {
    check(select('Function upper (alias file) (children 1)\n     ExpressionList (children 1)\n      Identifier id'))
  })

  test.each([
    ['Function file', 'the function `file` is not allowed in audit queries'],
    ['Function brandNewFunction', 'the function `brandNewFunction` is not allowed in audit queries'],
    ['TableIdentifier system.tables', 'the table `system.tables` is not allowed in audit queries'],
    ['TableIdentifier sluice.a.b', 'the table `sluice.a.b` is not allowed in audit queries'],
    ['TableIdentifier we ird', 'the table `we?ird` is not allowed in audit queries'],
    ['Set', 'a `SETTINGS` clause is not allowed in audit queries'],
    ['BrandNewClause', '`BrandNewClause` is not allowed in audit queries'],
  ])('refuses %s', (node, message) => {
    expect(() => check(select(node))).toThrow(expect.objectContaining({ code: 'statement-refused', message }))
  })
})

test('functions are allowed by name, aggregates with what modifies them', () => {
  for (const name of [
    'count',
    'uniqExactIf',
    'sumOrNullIf',
    'quantileTDigestArray',
    'toStartOfHour',
    'JSONExtractString',
  ]) {
    expect([name, isAllowedFunction(name)]).toEqual([name, true])
  }
  for (const name of [
    'file',
    'fileIf',
    'If',
    'sleep',
    'sleepEachRow',
    'getMacro',
    'dictGetString',
    'url',
    '',
    'countFile',
  ]) {
    expect([name, isAllowedFunction(name)]).toEqual([name, name === 'If'])
  }
  expect(['numbers', 'values', 'file', 'format', 'upper'].map(isAllowedTableFunction)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
})

test('nothing runs that was not let through, and it runs as it was sent', async () => {
  const ran: string[] = []
  const reader = createReader({
    database: 'sluice',
    client: {
      ping: () => Promise.resolve(),
      query: ({ sql, settings }) => {
        ran.push(`${sql} ${settings?.['readonly']}`)
        const body = sql.startsWith('EXPLAIN AST ')
          ? select(sql.includes('file') ? 'Function file' : 'Identifier id')
          : '{}\n'
        return Promise.resolve(new Blob([body]).stream())
      },
    },
  })
  const ask = (sql: string): Promise<unknown> =>
    reader.query({ sql, params: {}, format: 'ndjson' }, new AbortController().signal)
  await expect(ask('SELECT file(1)')).rejects.toMatchObject({ code: 'statement-refused' })
  expect(await ask('SELECT id -- x')).toMatchObject({ contentType: 'application/x-ndjson' })
  expect(ran).toEqual(['EXPLAIN AST SELECT file(1) 1', 'EXPLAIN AST SELECT id -- x 1', 'SELECT id -- x 1'])
})
