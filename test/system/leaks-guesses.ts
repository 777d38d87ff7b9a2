/**
 * Blind search: an agent that may not see a value asks whether it is this one. Right and wrong guesses must be answered
 * alike in every way: rows, counts, columns, codes, words, bytes, estimates.
 */
import { canaries, digits, word } from './leaks-vault.ts'

export interface Guess {
  readonly sql: string
  /** The type of `@guess`. */
  readonly type: string
  readonly right: string
  readonly wrong: readonly string[]
}

/** Conditions on `%`, which is masked, by `@guess`. */
const TEXT_CONDITIONS: readonly string[] = [
  '% = @guess',
  '% != @guess',
  "% LIKE CONCAT(SUBSTR(@guess, 1, 4), '%%')",
  "% LIKE CONCAT('%%', SUBSTR(@guess, 3, 5), '%%')",
  '% BETWEEN @guess AND @guess',
  "% >= @guess AND % <= CONCAT(@guess, '~')",
  '% IN (@guess)',
  'STARTS_WITH(%, SUBSTR(@guess, 1, 1))',
  'STRPOS(%, SUBSTR(@guess, 2, 4)) > 0',
  'REGEXP_CONTAINS(%, SUBSTR(@guess, 1, 6))',
  'MD5(%) = MD5(@guess)',
  'TO_HEX(SHA256(%)) = TO_HEX(SHA256(@guess))',
  'REVERSE(%) = REVERSE(@guess)',
  'CONTAINS_SUBSTR(%, @guess)',
  '% IS NOT DISTINCT FROM @guess',
  '@guess IN UNNEST([%])',
  "COALESCE(%, 'x') = @guess",
  'ASCII(SUBSTR(%, 1)) = ASCII(@guess)',
  'TO_JSON_STRING(STRUCT(% AS v)) = TO_JSON_STRING(STRUCT(@guess AS v))',
]

/** Questions that put a condition to the table `t`. */
const QUESTIONS: readonly string[] = [
  'SELECT COUNT(*) FROM vault.people t WHERE CONDITION',
  'SELECT t.id FROM vault.people t WHERE CONDITION ORDER BY t.id',
  'SELECT t.label FROM vault.people t ORDER BY IF(CONDITION, 0, 1), t.id LIMIT 1',
  'SELECT t.grp, COUNTIF(CONDITION) FROM vault.people t GROUP BY t.grp ORDER BY t.grp',
  'SELECT t.grp FROM vault.people t GROUP BY t.grp HAVING LOGICAL_OR(CONDITION) ORDER BY t.grp',
  'SELECT MAX(IF(CONDITION, t.label, NULL)) FROM vault.people t',
  'SELECT 1 / COUNTIF(CONDITION) FROM vault.people t',
  'SELECT 1 / (1 - COUNTIF(CONDITION)) FROM vault.people t',
  "SELECT IF(COUNTIF(CONDITION) > 0, ERROR('yes'), 'no') FROM vault.people t",
  "SELECT IF(CONDITION, CAST('x' AS INT64), 1) FROM vault.people t",
  'SELECT t.id, CASE WHEN CONDITION THEN REPEAT(t.label, 100) END AS v FROM vault.people t ORDER BY t.id',
  'SELECT u.id FROM vault.uses u WHERE EXISTS (SELECT 1 FROM vault.people t WHERE t.id = u.id AND CONDITION) ORDER BY u.id',
  'SELECT u.id FROM vault.uses u JOIN vault.people t ON t.id = u.id AND CONDITION ORDER BY u.id',
  'SELECT u.id FROM vault.uses u LEFT JOIN vault.people t ON CONDITION ORDER BY u.id, t.id',
  'SELECT COUNT(*) FROM (SELECT 1 FROM vault.people t WHERE CONDITION UNION ALL SELECT 2)',
  'SELECT t.id FROM vault.people t WHERE TRUE QUALIFY RANK() OVER (ORDER BY IF(CONDITION, 0, 1)) = 1 ORDER BY t.id',
  'WITH w AS (SELECT t.label FROM vault.people t WHERE CONDITION) SELECT * FROM w ORDER BY label',
  'SELECT SUM(m.value) FROM shop.metrics m WHERE m.id < 100 AND (SELECT COUNTIF(CONDITION) FROM vault.people t) > 0',
  'SELECT ARRAY(SELECT t.id FROM vault.people t WHERE CONDITION ORDER BY t.id)',
  'SELECT (SELECT t.label FROM vault.people t WHERE CONDITION LIMIT 1)',
  'SELECT t.id FROM vault.card t WHERE t.plain = @guess OR t.home.street = @guess ORDER BY t.id',
  'SELECT COUNT(*) FROM vault.log_1 t WHERE t.who = @guess',
  'FROM vault.people AS t |> WHERE CONDITION |> AGGREGATE COUNT(*) AS n',
]

/** A masked text, and the column whose canary it is; none of them keeps an end that a guess could meet. */
const TEXTS: readonly (readonly [expression: string, column: string])[] = [
  ['t.s_redact', 's_redact'],
  ['t.s_hash', 's_hash'],
  ['t.s_null', 's_null'],
  ['t.home.street', 'home'],
  ['t.whole.a', 'whole'],
  ['t.links[SAFE_OFFSET(0)].value', 'links'],
  ['t.marks[SAFE_OFFSET(1)]', 'marks'],
  ["JSON_VALUE(t.doc, '$.card')", 'doc'],
  ["JSON_VALUE(t.doc, '$.deep.list[0]')", 'doc'],
  ['SAFE_CONVERT_BYTES_TO_STRING(t.b_redact)', 'b_redact'],
]

/** A masked number or moment, the type of the guess, and how its last part is made. */
const VALUES: readonly (readonly [expression: string, column: string, type: string])[] = [
  ['t.i_redact', 'i_redact', 'INT64'],
  ['t.i_hash', 'i_hash', 'INT64'],
  ['t.i_step', 'i_step', 'INT64'],
  ['t.n_redact', 'n_redact', 'NUMERIC'],
  ['t.n_step', 'n_step', 'NUMERIC'],
  ['t.home.geo.floor', 'home', 'INT64'],
  ['t.pins[SAFE_OFFSET(0)]', 'pins', 'INT64'],
  ['t.d_year', 'd_year', 'DATE'],
  ['t.d_month', 'd_month', 'DATE'],
  ['t.d_redact', 'd_redact', 'DATE'],
]

const VALUE_CONDITIONS: readonly string[] = [
  '% = @guess',
  '% BETWEEN @guess AND @guess',
  'CAST(% AS STRING) = CAST(@guess AS STRING)',
  '% IN (@guess)',
  '% IS NOT DISTINCT FROM @guess',
]

const secretOf = (column: string, pattern: RegExp): string => {
  const found = canaries().find((canary) => canary.column === column && pattern.test(canary.secret))
  if (found === undefined) throw new Error(`no canary in ${column}`)
  return found.secret
}

const put = (condition: string, expression: string): string =>
  condition
    .replaceAll('%%', '\u0000')
    .replaceAll('%', () => expression)
    .replaceAll('\u0000', '%')

/** Every question `rounds` times, each with the next condition and column. */
export function guesses(rounds: number): readonly Guess[] {
  const made: Guess[] = []
  for (let at = 0; at < QUESTIONS.length * rounds; at++) {
    const question = QUESTIONS[at % QUESTIONS.length] ?? ''
    const condition = TEXT_CONDITIONS[(at * 5 + 1) % TEXT_CONDITIONS.length] ?? ''
    const [expression, column] = TEXTS[(at * 3) % TEXTS.length] ?? ['', '']
    const right = secretOf(column, /^[a-z]+$/)
    const wrong = [word(`wrong ${at}`), `${right.slice(0, 7)}${word(`half ${at}`, 7)}`]
    made.push({ sql: question.replaceAll('CONDITION', () => put(condition, expression)), type: 'STRING', right, wrong })
  }
  for (const [at, [expression, column, type]] of VALUES.entries()) {
    for (let turn = 0; turn < Math.min(rounds, 2); turn++) {
      const question = QUESTIONS[(at * 2 + turn) % 20] ?? ''
      const condition = VALUE_CONDITIONS[(at + turn) % VALUE_CONDITIONS.length] ?? ''
      const right = secretOf(column, type === 'DATE' ? /^\d{4}-/ : /^\d+$/)
      // The same step and month, which the mask shows.
      const wrong =
        type === 'DATE'
          ? [right.endsWith('05') ? `${right.slice(0, 8)}06` : `${right.slice(0, 8)}05`]
          : [right.slice(0, 3) + digits(`wrong ${at}`, 12)]
      made.push({ sql: question.replaceAll('CONDITION', () => put(condition, expression)), type, right, wrong })
    }
  }
  return made
}
