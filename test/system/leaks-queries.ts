/**
 * Queries made up at random over the shop and over `vault.made`, whose rows are made up as well. The answer to none of them
 * depends on the order of rows, so that the gateway's must be the mirror's, row by row.
 */
import fc from 'fast-check'

/** Text columns of `shop.customers` as `c`, masked and not, whole and part. */
const customerText = (c: string): fc.Arbitrary<string> =>
  fc.constantFrom(
    ...['email', 'ssn', 'phone', 'name', 'address.street', 'address.city', 'contacts[SAFE_OFFSET(0)].value'].map(
      (column) => `${c}.${column}`,
    ),
    `JSON_VALUE(${c}.metadata, '$.card')`,
    `JSON_VALUE(${c}.metadata, '$.plan')`,
    `CAST(${c}.birth_date AS STRING)`,
    `TO_JSON_STRING(${c}.address)`,
    `TO_JSON_STRING(${c}.contacts)`,
    `TO_JSON_STRING(${c}.metadata)`,
    `(SELECT STRING_AGG(v.value, ',' ORDER BY v.kind, v.value) FROM UNNEST(${c}.contacts) v)`,
    `(SELECT MAX(o.customer_email) FROM shop.orders o WHERE o.customer_id = ${c}.id)`,
    `(SELECT MIN(d.email) FROM shop.customer_directory d WHERE d.id = ${c}.id)`,
    `ARRAY_TO_STRING(ARRAY(SELECT v.value FROM UNNEST(${c}.contacts) v ORDER BY v.value), '+')`,
  )

/** The same of `vault.made`. */
const madeText = (c: string): fc.Arbitrary<string> =>
  fc.constantFrom(
    ...['txt', 'ends', 'mark', 'home.street', 'home.city', 'list[SAFE_OFFSET(0)].v', 'list[SAFE_OFFSET(1)].k'].map(
      (column) => `${c}.${column}`,
    ),
    ...['num', 'big', 'amt', 'day', 'moment'].map((column) => `CAST(${c}.${column} AS STRING)`),
    ...['$.card', '$.mail', '$.tail', '$.open', '$.deep[0]'].map((path) => `JSON_VALUE(${c}.doc, '${path}')`),
    `TO_JSON_STRING(${c}.doc)`,
    `TO_JSON_STRING(JSON_QUERY(${c}.doc, '$.card'))`,
    `TO_JSON_STRING(${c}.home)`,
    `TO_JSON_STRING(${c}.list)`,
    `TO_HEX(${c}.raw)`,
    `ARRAY_TO_STRING(${c}.words, '+', 'none')`,
    `(SELECT STRING_AGG(e.v, ',' ORDER BY e.k, e.v) FROM UNNEST(${c}.list) e)`,
  )

const CUSTOMERS: readonly string[] = [
  'shop.customers x',
  '`sluice-sandbox.shop.customers` AS x',
  '(SELECT * FROM shop.customers) AS x',
  '(SELECT * FROM shop.customers WHERE id < 900 UNION ALL SELECT * FROM shop.customers WHERE id > 1500) AS x',
  '(SELECT y.* FROM shop.customers y JOIN shop.orders o ON o.customer_email = y.email WHERE o.id < 2000) AS x',
  '(SELECT * FROM shop.customers WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY email ORDER BY id) = 1) AS x',
  '(SELECT * EXCEPT (tags) REPLACE (UPPER(name) AS name) FROM shop.customers) AS x',
  'UNNEST((SELECT ARRAY_AGG(y) FROM shop.customers y WHERE y.id < 300)) AS x',
  '(WITH w AS (SELECT * FROM shop.customers WHERE id > 1000) SELECT * FROM w) AS x',
  '(FROM shop.customers |> WHERE id < 700) AS x',
]

const MADE: readonly string[] = [
  'vault.made x',
  '`vault.made` AS x',
  '(SELECT * FROM vault.made) AS x',
  '(SELECT * FROM vault.made WHERE id < 20 UNION ALL SELECT * FROM vault.made WHERE id >= 15) AS x',
  '(SELECT * FROM vault.made WHERE id < 20 UNION ALL BY NAME SELECT * FROM vault.made WHERE id >= 15) AS x',
  '(SELECT x FROM vault.made x)',
  'UNNEST(ARRAY(SELECT AS STRUCT * FROM vault.made)) AS x',
  '(SELECT y.* FROM vault.made y JOIN vault.made z ON y.mark = z.mark) AS x',
  '(FROM vault.made |> WHERE id > 5 |> EXTEND id + 1 AS more) AS x',
]

interface Table {
  readonly sources: readonly string[]
  readonly text: (c: string) => fc.Arbitrary<string>
  /** A condition with a subquery of its own. */
  readonly within: string
  /** An array of STRUCTs and two of its fields. */
  readonly list: readonly [array: string, key: string, value: string]
}

const TABLES: readonly Table[] = [
  {
    sources: CUSTOMERS,
    text: customerText,
    within: 'x.email IN (SELECT o.customer_email FROM shop.orders o WHERE o.amount > 300)',
    list: ['contacts', 'kind', 'value'],
  },
  {
    sources: MADE,
    text: madeText,
    within: 'x.mark IN (SELECT m.mark FROM vault.made m WHERE MOD(m.id, 2) = 0)',
    list: ['list', 'k', 'v'],
  },
]

/** Queries over one of the tables. */
export function queries(): fc.Arbitrary<string> {
  return fc.oneof(...TABLES.map((table) => queriesOver(table)))
}

function queriesOver({ sources, text, within, list: [array, key, value] }: Table): fc.Arbitrary<string> {
  const from = fc.constantFrom(...sources)
  const dressed = fc
    .tuple(
      fc.constantFrom(
        '%',
        '%',
        'UPPER(%)',
        'REVERSE(%)',
        'SUBSTR(%, 3, 6)',
        'RIGHT(%, 3)',
        "CONCAT('<', %, '>')",
        "IFNULL(%, 'none')",
        'TO_HEX(MD5(%))',
        "REPLACE(%, '*', '.')",
        "SPLIT(%, '@')[SAFE_OFFSET(0)]",
      ),
      text('x'),
    )
    .map(([shape, inner]) => shape.replace('%', () => inner))
  const number = fc.oneof(
    dressed.map((inner) => `LENGTH(${inner})`),
    dressed.map((inner) => `STRPOS(${inner}, '1')`),
    fc.constantFrom('x.id', `ARRAY_LENGTH(x.${array})`),
  )
  const condition = fc.oneof(
    fc
      .tuple(text('x'), fc.constantFrom('1%', '%@%', '%a%', '[%', '%7', '%-%', '*%'))
      .map(([e, like]) => `${e} LIKE '${like}'`),
    fc.tuple(text('x'), fc.constantFrom('5', 'b', '[redacted]', 'm')).map(([e, than]) => `${e} < '${than}'`),
    fc.tuple(text('x'), text('x')).map(([a, b]) => `${a} >= ${b}`),
    number.map((e) => `MOD(${e}, 3) = 1`),
    text('x').map((e) => `${e} IS NULL`),
    fc.constant(`EXISTS (SELECT 1 FROM UNNEST(x.${array}) v WHERE v.${value} LIKE '%1%' OR v.${key} = 'chat')`),
    fc.constant(within),
  )
  const where = fc
    .tuple(condition, condition, fc.constantFrom('AND', 'OR', 'AND NOT'))
    .map(([a, b, op]) => `(${a}) ${op} (${b})`)
  return fc.oneof(
    fc
      .tuple(fc.array(fc.oneof(dressed, number), { minLength: 1, maxLength: 4 }), from, where)
      .map(([columns, f, w]) => `SELECT ${columns.map((c, at) => `${c} AS c${at}`).join(', ')} FROM ${f} WHERE ${w}`),
    fc
      .tuple(dressed, number, dressed, from, where)
      .map(
        ([k, n, other, f, w]) =>
          `SELECT ${k} AS k, COUNT(*), SUM(${n}), MIN(${other}), MAX(${other}), COUNT(DISTINCT ${other}) FROM ${f} WHERE ${w} GROUP BY k`,
      ),
    fc
      .tuple(dressed, number, dressed, from)
      .map(
        ([k, n, other, f]) =>
          `SELECT ${k} AS k, SUM(${n}) AS n FROM ${f} GROUP BY k HAVING MAX(${other}) > 'c' OR COUNT(*) > 1`,
      ),
    fc
      .tuple(dressed, number, from)
      .map(
        ([k, n, f]) =>
          `WITH w AS (SELECT ${k} AS k, ${n} AS n, x.id AS id FROM ${f}) SELECT k, RANK() OVER (PARTITION BY k ORDER BY n), MAX(k) OVER (PARTITION BY n), LAG(k) OVER (ORDER BY id, k, n) FROM w WHERE id < 300`,
      ),
    fc
      .tuple(dressed, number, from)
      .map(
        ([k, n, f]) =>
          `SELECT k, n FROM (SELECT ${k} AS k, ${n} AS n FROM ${f}) AS w WHERE TRUE QUALIFY DENSE_RANK() OVER (ORDER BY k) <= 5`,
      ),
    fc
      .tuple(dressed, from, where)
      .map(([k, f, w]) => `SELECT ${k} AS k, v.${key} AS a, v.${value} AS b FROM ${f}, x.${array} v WHERE ${w}`)
      .filter((sql) => !sql.includes('UNNEST((')),
    fc
      .tuple(dressed, from)
      .map(
        ([k, f]) =>
          `SELECT v.${key} AS a, COUNT(v.${value}), MIN(v.${value}), MAX(${k}) FROM ${f} LEFT JOIN UNNEST(x.${array}) AS v GROUP BY a`,
      ),
    fc
      .tuple(
        dressed,
        dressed,
        from,
        from,
        fc.constantFrom('UNION ALL', 'UNION DISTINCT', 'EXCEPT DISTINCT', 'INTERSECT DISTINCT'),
      )
      .map(([a, b, f, g, op]) => `SELECT ${a} AS v FROM ${f} ${op} SELECT ${b} FROM ${g}`),
    fc
      .tuple(dressed, number, from, from)
      .map(
        ([a, n, f, g]) =>
          `SELECT ${a} AS v, ${n} AS n FROM ${f} UNION ALL BY NAME SELECT ${n} AS n, ${a} AS v FROM ${g}`,
      ),
    fc
      .tuple(dressed, from, from)
      .map(
        ([k, f, g]) =>
          `SELECT COUNT(*), MIN(a.k), MAX(b.k) FROM (SELECT ${k} AS k FROM ${f} WHERE x.id < 40) AS a JOIN (SELECT ${k} AS k FROM ${g} WHERE x.id < 40) AS b USING (k)`,
      ),
    fc
      .tuple(dressed, from)
      .map(
        ([k, f]) =>
          `SELECT * FROM (SELECT MOD(x.id, 3) AS m, ${k} AS v FROM ${f}) PIVOT (MAX(v) FOR m IN (0 AS a, 1 AS b, 2 AS c))`,
      ),
    fc
      .tuple(dressed, dressed, from)
      .map(([a, b, f]) => `SELECT * FROM (SELECT x.id, ${a} AS a, ${b} AS b FROM ${f}) UNPIVOT (v FOR name IN (a, b))`),
    fc
      .tuple(dressed, number, from, where)
      .map(
        ([k, n, f, w]) =>
          `FROM ${f} |> WHERE ${w} |> EXTEND ${k} AS k, ${n} AS n |> AGGREGATE COUNT(*) AS c, SUM(n) AS s GROUP BY k`,
      ),
    fc
      .tuple(dressed, from, where)
      .map(([k, f, w]) => `FROM ${f} |> WHERE ${w} |> SELECT x.id, ${k} AS k |> ORDER BY id, k |> LIMIT 50`),
    fc
      .tuple(dressed, condition, from)
      .map(
        ([k, c, f]) =>
          `SELECT o.status, ${k} AS k, COUNT(*) FROM shop.orders o LEFT JOIN ${f} ON o.id = x.id AND (${c}) WHERE o.id < 500 GROUP BY 1, 2`,
      )
      .filter((sql) => !/x\.email IN|x\.mark IN|EXISTS/.test(sql)),
  )
}
