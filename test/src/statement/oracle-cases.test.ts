/**
 * What the real ZetaSQL found that we had missed (`npm run oracle -- fuzz`), each made as small as it goes, and what it sees
 * otherwise for a reason.
 */
import { expect, test } from 'vitest'
import { statements } from './support.ts'

/** `read d.a, write d.t`, or the code of a refusal. */
function uses(sql: string): string {
  const parsed = statements().parse(sql, { project: 'own', dataset: 'd' })
  if (parsed.refused) return parsed.code
  return parsed.uses.map(({ action, resource }) => `${action} ${resource}`).join(', ')
}

test('each table that CLONE DATA takes rows from is named, in a script too', () => {
  expect(uses('CLONE DATA INTO t FROM a UNION ALL b')).toBe('read d.a, read d.b, write d.t')
  expect(uses('CLONE DATA INTO t FROM a WHERE x UNION ALL s.b UNION ALL c; SELECT 1')).toBe(
    'execute SCRIPT, read d.a, read d.c, write d.t, read s.b',
  )
})

test('the mode of a set operation is no table', () => {
  const both = 'read d.a, read d.b'
  expect(uses('SELECT x FROM a UNION ALL CORRESPONDING SELECT x FROM b')).toBe(both)
  expect(uses('SELECT x FROM a UNION ALL BY NAME SELECT x FROM b')).toBe(both)
  expect(uses('FROM a |> UNION ALL (FROM b)')).toBe(both)
  expect(uses('SELECT 1; SELECT x FROM a UNION ALL STRICT CORRESPONDING SELECT x FROM b')).toBe(
    `execute SCRIPT, ${both}`,
  )
})

test('a path in one pair of backticks is called by its last part, as BigQuery does and ZetaSQL does not', () => {
  expect(uses('SELECT e FROM `s.t`, t.elements AS e')).toBe('read s.t')
  expect(uses('SELECT e FROM s.t AS u, t.elements AS e')).toBe('read s.t, read t.elements')
})
