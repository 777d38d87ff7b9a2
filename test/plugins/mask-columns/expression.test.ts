import { describe, expect, it } from 'vitest'
import { planTables, wrappedTable } from '../../../plugins/mask-columns/plan.ts'
import { columnMasks } from '../../../plugins/mask-columns/terms.ts'
import { statementOf, tableOf } from '../support.ts'

const pads = () => ({ inner: '@i', outer: '@o' })

/** What takes the place of `x` in table `d.t`, whose only masked column it is. */
function maskedAs(type: string, strategy: unknown, path = 'x'): string {
  const table = tableOf('d.t', { id: 'INT64', x: type })
  const plans = planTables(
    statementOf('SELECT 1 FROM d.t', [table]),
    columnMasks([{ columns: { [`d.t.${path}`]: strategy } }]),
  )
  if ('because' in plans) return `${plans.code}: ${plans.because}`
  const [before, after] = ['SELECT * REPLACE (', ' AS `x`) FROM `demo.d.t` AS sluice_t1']
  const sql = wrappedTable(plans.get('d.t')!, pads)
  expect([sql.slice(0, before.length), sql.slice(-after.length)]).toEqual([before, after])
  return sql.slice(before.length, -after.length).replaceAll('sluice_t1.`x`', 'x')
}

const refused = (type: string, problem: string) =>
  `mask-type: \`d.t.x\` cannot be masked as policy asks: ${problem} does not fit ${type}`

describe('redact keeps the type', () => {
  it.each([
    ['STRING', "'[redacted]'"],
    ['BYTES', "b''"],
    ['BOOL', 'FALSE'],
    ['INT64', '0'],
    ['FLOAT64', 'CAST(0 AS FLOAT64)'],
    ['NUMERIC', 'CAST(0 AS NUMERIC)'],
    ['BIGNUMERIC', 'CAST(0 AS BIGNUMERIC)'],
    ['DATE', "DATE '1970-01-01'"],
    ['TIME', "TIME '00:00:00'"],
    ['DATETIME', "DATETIME '1970-01-01 00:00:00'"],
    ['TIMESTAMP', "TIMESTAMP '1970-01-01 00:00:00+00'"],
    ['JSON', "TO_JSON('[redacted]')"],
  ])('%s', (type, constant) => {
    expect(maskedAs(type, 'redact')).toBe(`IF(x IS NULL, NULL, ${constant})`)
  })

  it.each(['GEOGRAPHY', 'INTERVAL', 'RANGE<DATE>'])('%s has no constant worth having', (type) => {
    expect(maskedAs(type, 'redact')).toBe(`CAST(NULL AS ${type})`)
  })
})

describe('null', () => {
  it.each(['STRING', 'INT64', 'JSON', 'GEOGRAPHY', 'RANGE<TIMESTAMP>'])('%s', (type) => {
    expect(maskedAs(type, 'null')).toBe(`CAST(NULL AS ${type})`)
  })
  it.each(['ARRAY<STRING>', 'STRUCT<a STRING>', 'ARRAY<STRUCT<a STRING>>'])('%s', (type) => {
    expect(maskedAs(type, 'null')).toBe('IF(FALSE, x, NULL)')
  })
})

describe('hash is HMAC-SHA256 with its padded key as parameters', () => {
  const hmac = (bytes: string) => `SHA256(CONCAT(@o, SHA256(CONCAT(@i, ${bytes}))))`
  it.each([
    ['STRING', `TO_HEX(${hmac('CAST(x AS BYTES)')})`],
    ['BYTES', hmac('x')],
    ['INT64', `CAST(CONCAT('0x', SUBSTR(TO_HEX(${hmac('CAST(CAST(x AS STRING) AS BYTES)')}), 1, 15)) AS INT64)`],
    ['JSON', `TO_JSON(TO_HEX(${hmac('CAST(TO_JSON_STRING(x) AS BYTES)')}))`],
  ])('%s', (type, value) => {
    expect(maskedAs(type, 'hash')).toBe(`IF(x IS NULL, NULL, ${value})`)
  })
  it.each(['FLOAT64', 'NUMERIC', 'BOOL', 'DATE', 'TIMESTAMP', 'GEOGRAPHY'])('refuses %s', (type) => {
    expect(maskedAs(type, 'hash')).toBe(refused(type, 'hash'))
  })
})

describe('partial shows at most a third', () => {
  it('of the end, unless told otherwise', () => {
    expect(maskedAs('STRING', 'partial')).toBe(
      "IF(x IS NULL, NULL, CONCAT(REPEAT('*', CHAR_LENGTH(x) - LEAST(4, DIV(CHAR_LENGTH(x), 3))), " +
        'SUBSTR(x, CHAR_LENGTH(x) - LEAST(4, DIV(CHAR_LENGTH(x), 3)) + 1)))',
    )
  })
  it('of the beginning', () => {
    expect(maskedAs('STRING', { strategy: 'partial', keepFirst: 2 })).toBe(
      'IF(x IS NULL, NULL, CONCAT(SUBSTR(x, 1, LEAST(2, DIV(CHAR_LENGTH(x), 3))), ' +
        "REPEAT('*', CHAR_LENGTH(x) - LEAST(2, DIV(CHAR_LENGTH(x), 3)))))",
    )
  })
  it('or nothing', () => {
    expect(maskedAs('STRING', { strategy: 'partial', keepLast: 0 })).toBe(
      "IF(x IS NULL, NULL, REPEAT('*', CHAR_LENGTH(x)))",
    )
  })
  it.each(['INT64', 'BYTES', 'DATE', 'JSON'])('refuses %s', (type) => {
    expect(maskedAs(type, 'partial')).toBe(refused(type, 'partial'))
  })
})

describe('truncate', () => {
  it.each([
    ['DATE', 'year', 'DATE_TRUNC(x, YEAR)'],
    ['DATETIME', 'year', 'DATETIME_TRUNC(x, YEAR)'],
    ['TIMESTAMP', { strategy: 'truncate', to: 'MONTH' }, 'TIMESTAMP_TRUNC(x, MONTH)'],
    ['INT64', { strategy: 'truncate', step: 10 }, 'x - MOD(x, 10)'],
    ['NUMERIC', { strategy: 'truncate', step: 10 }, 'x - MOD(x, CAST(10 AS NUMERIC))'],
    ['BIGNUMERIC', { strategy: 'truncate', step: 10 }, 'x - MOD(x, CAST(10 AS BIGNUMERIC))'],
    ['FLOAT64', { strategy: 'truncate', step: 10 }, 'TRUNC(x / 10) * 10'],
  ])('%s by %j', (type, strategy, sql) => {
    expect(maskedAs(type, strategy)).toBe(sql)
  })
  it.each([
    ['STRING', 'year'],
    ['INT64', 'year'],
    ['TIME', 'year'],
    ['DATE', { strategy: 'truncate', step: 10 }],
  ])('refuses %s by %j', (type, strategy) => {
    expect(maskedAs(type, strategy)).toBe(refused(type, 'truncate'))
  })
})

describe('what is nested', () => {
  it('a field of a struct', () => {
    expect(maskedAs('STRUCT<a STRING, b INT64>', 'redact', 'x.a')).toBe(
      "IF(x IS NULL, NULL, (SELECT AS STRUCT x.* REPLACE (IF(x.`a` IS NULL, NULL, '[redacted]') AS `a`)))",
    )
  })
  it('a masked parent covers every field, each by its type', () => {
    expect(maskedAs('STRUCT<a STRING, b STRUCT<c INT64>>', 'redact')).toBe(
      "IF(x IS NULL, NULL, (SELECT AS STRUCT x.* REPLACE (IF(x.`a` IS NULL, NULL, '[redacted]') AS `a`, " +
        'IF(x.`b` IS NULL, NULL, (SELECT AS STRUCT x.`b`.* REPLACE (IF(x.`b`.`c` IS NULL, NULL, 0) AS `c`))) AS `b`)))',
    )
  })
  it('elements of an array, in order', () => {
    expect(maskedAs('ARRAY<STRING>', 'redact')).toBe(
      "IF(x IS NULL, NULL, ARRAY(SELECT IF(sluice_e1 IS NULL, NULL, '[redacted]') " +
        'FROM UNNEST(x) AS sluice_e1 WITH OFFSET AS sluice_o1 ORDER BY sluice_o1))',
    )
  })
  it('a field of an array of structs, by aliases that no field has', () => {
    expect(maskedAs('ARRAY<STRUCT<sluice_e1 STRING, Sluice_O1 INT64>>', 'redact', 'x.sluice_e1')).toBe(
      "IF(x IS NULL, NULL, ARRAY(SELECT AS STRUCT sluice_e2.* REPLACE (IF(sluice_e2.`sluice_e1` IS NULL, NULL, '[redacted]') AS `sluice_e1`) " +
        'FROM UNNEST(x) AS sluice_e2 WITH OFFSET AS sluice_o2 ORDER BY sluice_o2))',
    )
  })
  it('an array within a struct within an array', () => {
    expect(maskedAs('ARRAY<STRUCT<a STRUCT<b ARRAY<STRING>>>>', 'redact', 'x.a.b')).toBe(
      'IF(x IS NULL, NULL, ARRAY(SELECT AS STRUCT sluice_e1.* REPLACE (' +
        'IF(sluice_e1.`a` IS NULL, NULL, (SELECT AS STRUCT sluice_e1.`a`.* REPLACE (' +
        "IF(sluice_e1.`a`.`b` IS NULL, NULL, ARRAY(SELECT IF(sluice_e2 IS NULL, NULL, '[redacted]') " +
        'FROM UNNEST(sluice_e1.`a`.`b`) AS sluice_e2 WITH OFFSET AS sluice_o2 ORDER BY sluice_o2)) AS `b`))) AS `a`) ' +
        'FROM UNNEST(x) AS sluice_e1 WITH OFFSET AS sluice_o1 ORDER BY sluice_o1))',
    )
  })
  it('an array whose elements could only be NULL goes as a whole', () => {
    expect(maskedAs('ARRAY<GEOGRAPHY>', 'redact')).toBe('IF(FALSE, x, NULL)')
  })
  it('a path in JSON: missing stays missing, null stays null', () => {
    expect(maskedAs('JSON', 'redact', 'x.$.card')).toBe(
      "JSON_SET(x, '$.card', IF(TO_JSON_STRING(JSON_QUERY(x, '$.card')) = 'null', NULL, '[redacted]'), create_if_missing => FALSE)",
    )
    expect(maskedAs('JSON', 'hash', 'x.$.a-b[0]')).toBe(
      `JSON_SET(x, '$."a-b"[0]', IF(TO_JSON_STRING(JSON_QUERY(x, '$."a-b"[0]')) = 'null', NULL, ` +
        'TO_HEX(SHA256(CONCAT(@o, SHA256(CONCAT(@i, CAST(COALESCE(JSON_VALUE(x, \'$."a-b"[0]\'), ' +
        `TO_JSON_STRING(JSON_QUERY(x, '$."a-b"[0]'))) AS BYTES))))))), create_if_missing => FALSE)`,
    )
    expect(maskedAs('JSON', 'null', 'x.$.card')).toBe(
      "JSON_SET(x, '$.card', CAST(NULL AS STRING), create_if_missing => FALSE)",
    )
  })
  it('a path in what is no JSON, and a date in JSON, are refused', () => {
    expect(maskedAs('STRING', 'redact', 'x.$.card')).toBe(refused('STRING', 'a JSON path'))
    expect(maskedAs('JSON', 'year', 'x.$.born')).toBe(refused('JSON', 'truncate'))
    expect(maskedAs('STRUCT<a STRING, b DATE>', 'partial')).toBe(refused('DATE', 'partial'))
  })
})

describe('names', () => {
  it('are quoted, as odd as they may be', () => {
    const table = tableOf('p`q.d.t', { 'a`b\\': 'STRING' })
    const plans = planTables(statementOf('', [table]), columnMasks([{ columns: { 'p`q.d.t.a`b\\': 'redact' } }]))
    if ('because' in plans) throw new Error(plans.because)
    expect([...plans.values()].map((plan) => wrappedTable(plan, pads))).toEqual([
      "SELECT * REPLACE (IF(sluice_t1.`a\\`b\\\\` IS NULL, NULL, '[redacted]') AS `a\\`b\\\\`) FROM `p\\`q.d.t` AS sluice_t1",
    ])
  })
})
