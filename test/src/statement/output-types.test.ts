/** Types that the analysis gives columns: the dry run must give the same, or the statement is denied. Unknown is no mistake. */
import { expect, test } from 'vitest'
import { typeText } from '../../../src/exchange.ts'
import { bound } from './support.ts'

const UNKNOWN = 'STRUCT<>'

test.each([
  ["LAST_DAY(DATETIME '2026-01-01 00:00:00')", 'DATE'],
  ['LAST_DAY(CURRENT_DATE(), MONTH)', 'DATE'],
  ["REGEXP_REPLACE(b'a', b'b', b'c')", 'BYTES'],
  ["REGEXP_REPLACE(email, 'b', 'c')", 'STRING'],
  ["TRANSLATE(MD5(email), b'b', b'c')", 'BYTES'],
  ["STRING_AGG(MD5(email), b',')", 'BYTES'],
  // Of NUMERIC they are NUMERIC, of anything else FLOAT64.
  ['SQRT(4)', UNKNOWN],
  ["LOG10(NUMERIC '1')", UNKNOWN],
  // Of the type that both have in common.
  ['NULLIF(1, 0.5)', UNKNOWN],
  ['NULLIF(1, 0)', 'INT64'],
  // A text in quotes is taken for a date.
  ["DATE_TRUNC('2026-01-01', MONTH)", UNKNOWN],
  ['DATE_TRUNC(CURRENT_DATE(), MONTH)', 'DATE'],
  ['COALESCE(NULL, 1)', 'INT64'],
  ['IF(TRUE, NULL, NULL)', UNKNOWN],
  ['IF(TRUE, NULL, [1])', 'ARRAY<INT64>'],
  ['IF(TRUE, 1, 2.5)', UNKNOWN],
  ["CURRENT_DATE() + INTERVAL '1' DAY", UNKNOWN],
])('%s is %s', async (expression, type) => {
  const isTable = expression.includes('email')
  const { output } = await bound(`SELECT ${expression} AS v${isTable ? ' FROM shop.leads' : ''}`)
  expect(output.map((column) => typeText(column.type))).toEqual([type])
})
