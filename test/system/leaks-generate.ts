/**
 * Evasions by composition: a secret, carried by an expression, read through a form of query, spelled in some way. Every
 * one of them is good GoogleSQL that an honest agent might send as well, so that each must be answered, with masked values.
 */

export interface Evasion {
  readonly sql: string
  readonly form: string
  readonly carrier: string
}

/** A number below `n`, the same at every run. */
export type Dice = (n: number) => number

export function dice(seed: number): Dice {
  let state = seed >>> 0
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % n
  }
}

/** Each masked column of `vault.people`, as a STRING, of the table that is called `t`. */
const SECRETS: readonly string[] = [
  ...['s_redact', 's_null', 's_hash', 's_partial', 's_ends', 'home.street', 'home.geo.code', 'whole.a'].map(
    (column) => `t.${column}`,
  ),
  'SAFE_CONVERT_BYTES_TO_STRING(t.b_redact)',
  'SAFE_CONVERT_BYTES_TO_STRING(t.b_null)',
  'TO_HEX(t.b_hash)',
  ...[
    'i_redact',
    'i_hash',
    'i_step',
    'n_redact',
    'n_step',
    'f_step',
    'f_null',
    'ok',
    'd_year',
    'd_month',
    'd_redact',
  ].map((column) => `CAST(t.${column} AS STRING)`),
  ...['dt_year', 'ts_year', 't_redact', 'home.geo.floor', 'whole.b', 'pins[SAFE_OFFSET(0)]'].map(
    (column) => `CAST(t.${column} AS STRING)`,
  ),
  ...['j_redact', 'j_hash', 'doc', 'home', 'links', 'marks', 'whole', 'doc.deep'].map(
    (column) => `TO_JSON_STRING(t.${column})`,
  ),
  ...['card', 'mail', 'phone', 'gone', 'deep.list[0]', 'plan'].map((path) => `JSON_VALUE(t.doc, '$.${path}')`),
  'JSON_VALUE(t.doc.card)',
  `t.marks[SAFE_OFFSET(0)]`,
  't.links[SAFE_OFFSET(0)].value',
  't.links[SAFE_OFFSET(1)].more[SAFE_OFFSET(0)].v',
  "ARRAY_TO_STRING(t.marks, ',')",
  "(SELECT STRING_AGG(e.value, ',' ORDER BY e.kind) FROM UNNEST(t.links) e)",
  "(SELECT STRING_AGG(m.v, ',' ORDER BY e.kind) FROM UNNEST(t.links) e, UNNEST(e.more) m)",
  "FORMAT('%t', t.s_redact)",
  "FORMAT_DATE('%Y%m%d', t.d_year)",
  'TO_JSON_STRING(t)',
]

/** `%` is the secret: what is done to it, a value a row. */
const CARRIERS: readonly string[] = [
  '%',
  "CONCAT('<', %, '>')",
  '% || %',
  "FORMAT('%%s', %)",
  'TO_HEX(CAST(% AS BYTES))',
  'TO_BASE64(CAST(% AS BYTES))',
  'CAST(% AS BYTES)',
  'REVERSE(%)',
  'TO_CODE_POINTS(%)',
  'SHA256(%)',
  'MD5(%)',
  'SHA1(%)',
  'SUBSTR(%, 1, 4)',
  'SUBSTR(%, -5)',
  'LEFT(%, 6)',
  "STRPOS(%, 'q')",
  'ASCII(%)',
  'UNICODE(SUBSTR(%, 2))',
  'LENGTH(%)',
  'BYTE_LENGTH(%)',
  "REGEXP_EXTRACT(%, r'^(..)')",
  "REGEXP_REPLACE(%, r'(.)', r'\\1-')",
  "REGEXP_EXTRACT_ALL(%, r'[a-z0-9]')",
  'UPPER(%)',
  'INITCAP(%)',
  "TRANSLATE(%, 'qxzjvkw', '0123456')",
  "LPAD(%, 40, '.')",
  "REPLACE(%, 'q', '_')",
  "SPLIT(%, 'q')",
  "SPLIT(%, 'q')[SAFE_OFFSET(0)]",
  'TO_JSON_STRING(STRUCT(% AS v))',
  'TO_JSON(%)',
  '[%, %]',
  'STRUCT(% AS v, t.label AS l)',
  "COALESCE(%, 'none')",
  "NULLIF(%, '')",
  "IF(% > 'k', 'high', 'low')",
  "CASE WHEN % LIKE 'q%' THEN 1 WHEN % LIKE 'z%' THEN 2 ELSE 3 END",
  "% < 'n'",
  "% BETWEEN 'j' AND 'v'",
  "STARTS_WITH(%, 'z')",
  "CONTAINS_SUBSTR(%, 'zz')",
  "REGEXP_CONTAINS(%, r'[qx]')",
  '% IS NULL',
  'SAFE_CAST(% AS INT64)',
  'CAST(% AS INT64)',
  'CAST(% AS DATE)',
  'PARSE_JSON(%)',
  'ERROR(%)',
  "IF(% LIKE 'q%', ERROR('yes'), 'no')",
  "1 / IF(% LIKE 'z%', 0, 1)",
  'GREATEST(%, t.label)',
  'SOUNDEX(%)',
  'FARM_FINGERPRINT(%)',
  'TO_BASE32(CAST(% AS BYTES))',
  'CODE_POINTS_TO_STRING(TO_CODE_POINTS(%))',
  'NORMALIZE(%)',
]

/** The same, one value of many rows. */
const AGGREGATES: readonly string[] = [
  'MIN(%)',
  'MAX(%)',
  'ARRAY_AGG(% IGNORE NULLS ORDER BY t.id)',
  "STRING_AGG(%, '|' ORDER BY t.id)",
  "STRING_AGG(SUBSTR(%, 1, 4), '' ORDER BY t.id)",
  'COUNT(DISTINCT %)',
  "COUNTIF(% LIKE 'q%')",
  "LOGICAL_OR(% > 'k')",
  'MAX_BY(%, t.id)',
  'ANY_VALUE(% HAVING MAX t.id)',
  'ARRAY_AGG(STRUCT(t.id, % AS v) ORDER BY t.id)',
  'SUM(LENGTH(%))',
  'TO_JSON_STRING(ARRAY_AGG(% IGNORE NULLS ORDER BY t.id))',
  'APPROX_COUNT_DISTINCT(%)',
  'MIN(IF(t.id = 3, %, NULL))',
  'APPROX_QUANTILES(%, 2)',
  'APPROX_TOP_COUNT(%, 1)',
]

const P = 'vault.people'

/** Where rows called `t` come from, with every column of the table. */
const SOURCES: Readonly<Record<string, string | readonly [before: string, source: string]>> = {
  table: `${P} t`,
  alias: `${P} AS t`,
  quoted: '`sluice-sandbox.vault.people` AS t',
  'quoted apart': '`sluice-sandbox`.`vault`.`people` `t`',
  subquery: `(SELECT * FROM ${P}) AS t`,
  nested: `(SELECT * FROM (SELECT * FROM (SELECT p.* FROM ${P} p) AS q)) t`,
  CTE: [`WITH c AS (SELECT * FROM ${P})`, 'c AS t'],
  'CTE of a CTE': [`WITH c AS (SELECT * FROM ${P}), d AS (SELECT * FROM c WHERE id > 0)`, 'd AS t'],
  'CTE that hides the table': [`WITH people AS (SELECT * FROM ${P})`, 'people AS t'],
  'inner CTE': `(WITH c AS (SELECT * FROM ${P}) SELECT * FROM c) AS t`,
  'recursive CTE': [
    `WITH RECURSIVE r AS (SELECT * FROM ${P} WHERE id = 1 UNION ALL SELECT p.* FROM ${P} p JOIN r ON p.id = r.id + 1)`,
    'r AS t',
  ],
  'set operation': `(SELECT * FROM ${P} WHERE id < 3 UNION ALL SELECT * FROM ${P} WHERE id >= 3) AS t`,
  'set operation by name': `(SELECT * FROM ${P} WHERE id < 3 UNION ALL BY NAME SELECT * FROM ${P} WHERE id >= 3) AS t`,
  'join using': `${P} t JOIN vault.uses u USING (id)`,
  'join on a mask': `${P} t JOIN vault.uses u ON u.mail = t.s_hash`,
  'left join': `vault.uses u LEFT JOIN ${P} t ON t.id = u.id`,
  'comma join': `vault.uses u, ${P} t`,
  'self join': `${P} t JOIN ${P} b ON t.s_hash = b.s_hash`,
  'unnested rows': `UNNEST((SELECT ARRAY_AGG(p) FROM ${P} p)) AS t`,
  'unnested structs': `UNNEST(ARRAY(SELECT AS STRUCT * FROM ${P})) AS t`,
  'row as a column': `(SELECT p AS t FROM ${P} p)`,
  'row in a struct': `(SELECT s.inner.t FROM (SELECT STRUCT(STRUCT(p AS t) AS \`inner\`) AS s FROM ${P} p))`,
  'aggregated rows': `(SELECT ANY_VALUE(p) AS t FROM ${P} p GROUP BY p.id)`,
  'array paths': `${P} t, t.links e, e.more f`,
  'array unnested': `${P} t CROSS JOIN UNNEST(t.links) AS e WITH OFFSET o`,
  qualify: `(SELECT * FROM ${P} WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY s_hash ORDER BY id) = 1) AS t`,
  'star except replace': `(SELECT * EXCEPT (label) REPLACE (UPPER(grp) AS grp), label FROM ${P}) AS t`,
  'select distinct on rows': `(SELECT * FROM ${P} WHERE id IN (SELECT DISTINCT id FROM ${P})) AS t`,
  pipes: `(FROM ${P} |> WHERE id > 0) AS t`,
  'pipes that extend': `(FROM ${P} |> EXTEND REVERSE(s_redact) AS r |> DROP r |> WHERE id > 0) AS t`,
  tablesample: `${P} t TABLESAMPLE SYSTEM (100 PERCENT)`,
  'time travel': `${P} AS t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()`,
}

/** Forms of a query over `source`: `value` has what was carried, `secret` the secret itself. */
interface Parts {
  readonly before: string
  readonly source: string
  readonly secret: string
  readonly value: string
  readonly total: string
}

const FORMS: Readonly<Record<string, (parts: Parts) => string>> = {
  select: ({ before, source, value }) => `${before} SELECT t.id, ${value} AS v FROM ${source}`,
  'select star': ({ before, source, value }) =>
    `${before} SELECT * FROM (SELECT t.id AS k, ${value} AS v FROM ${source}) AS w`,
  'as struct': ({ before, source, value }) =>
    `${before} SELECT w.s.v FROM (SELECT STRUCT(${value} AS v) AS s FROM ${source}) AS w`,
  array: ({ before, source, secret }) => `${before} SELECT ARRAY(SELECT ${secret} FROM ${source} ORDER BY 1)`,
  aggregate: ({ before, source, total }) => `${before} SELECT ${total} AS v FROM ${source}`,
  grouped: ({ before, source, total }) => `${before} SELECT t.grp, ${total} AS v FROM ${source} GROUP BY t.grp`,
  'grouped by it': ({ before, source, secret }) =>
    `${before} SELECT ${secret} AS k, COUNT(*) AS n FROM ${source} GROUP BY k`,
  'grouping sets': ({ before, source, secret }) =>
    `${before} SELECT k, COUNT(*) FROM (SELECT ${secret} AS k FROM ${source}) AS w GROUP BY ROLLUP (k)`,
  having: ({ before, source, secret }) =>
    `${before} SELECT t.grp FROM ${source} GROUP BY t.grp HAVING MAX(${secret}) > 'k'`,
  where: ({ before, source, secret }) => `${before} SELECT t.label FROM ${source} WHERE ${secret} LIKE 'q%'`,
  'where between': ({ before, source, secret }) =>
    `${before} SELECT COUNT(*) FROM ${source} WHERE ${secret} BETWEEN 'k' AND 'x' OR ${secret} < '5'`,
  'order by': ({ before, source, secret }) => `${before} SELECT t.id FROM ${source} ORDER BY ${secret}, t.id LIMIT 3`,
  window: ({ before, source, secret }) =>
    `${before} SELECT t.id, RANK() OVER (ORDER BY ${secret}) AS r, LAG(${secret}) OVER (ORDER BY t.id) AS l FROM ${source}`,
  'window of windows': ({ before, source, secret }) =>
    `${before} SELECT id, FIRST_VALUE(v) OVER w AS f, COUNT(*) OVER (PARTITION BY v) AS n FROM (SELECT t.id, ${secret} AS v FROM ${source}) AS q WINDOW w AS (PARTITION BY v ORDER BY id)`,
  qualify: ({ before, source, secret }) =>
    `${before} SELECT t.id FROM ${source} WHERE TRUE QUALIFY DENSE_RANK() OVER (ORDER BY ${secret} DESC) <= 2`,
  distinct: ({ before, source, value }) => `${before} SELECT DISTINCT TO_JSON_STRING(${value}) AS v FROM ${source}`,
  'union by position': ({ before, source, secret }) =>
    `${before} SELECT label, grp FROM vault.card WHERE id = 0 UNION ALL SELECT ${secret}, t.grp FROM ${source}`,
  'union by name': ({ before, source, secret }) =>
    `${before} SELECT 'x' AS a, 'y' AS b UNION ALL BY NAME SELECT ${secret} AS b, t.grp AS a FROM ${source}`,
  except: ({ before, source, secret }) => `${before} SELECT ${secret} AS v FROM ${source} EXCEPT DISTINCT SELECT 'x'`,
  'scalar subquery': ({ before, source, secret }) =>
    `${before} SELECT (SELECT ${secret} FROM ${source} ORDER BY t.id, 1 LIMIT 1) AS v`,
  correlated: ({ before, source, secret }) =>
    `${before} SELECT o.id, (SELECT MAX(${secret}) FROM ${source} WHERE t.id = o.id) AS v FROM vault.log_1 o`,
  exists: ({ before, source, secret }) =>
    `${before} SELECT o.id FROM vault.log_1 o WHERE EXISTS (SELECT 1 FROM ${source} WHERE t.id = o.id AND ${secret} > 'k')`,
  'in subquery': ({ before, source, secret }) =>
    `${before} SELECT o.id FROM vault.log_1 o WHERE o.who IN (SELECT ${secret} FROM ${source}) OR o.id = 1`,
  'join on it': ({ before, source, secret }) =>
    `${before} SELECT w.id, o.id AS o FROM (SELECT t.id, ${secret} AS v FROM ${source}) AS w JOIN vault.log_2 o ON o.who = w.v`,
  pivot: ({ before, source, secret }) =>
    `${before} SELECT * FROM (SELECT t.id, ${secret} AS v FROM ${source}) PIVOT (MAX(v) FOR id IN (1 AS a, 2 AS b, 3 AS c))`,
  unpivot: ({ before, source, secret }) =>
    `${before} SELECT * FROM (SELECT t.id, ${secret} AS a, t.label AS b FROM ${source}) UNPIVOT (v FOR k IN (a, b))`,
  'temp function': ({ before, source, secret }) =>
    `CREATE TEMP FUNCTION twist(x STRING) AS (REVERSE(x)); ${before} SELECT t.id, twist(${secret}) AS v FROM ${source}`,
  'piped select': ({ before, source, value }) =>
    `${before} FROM ${source} |> WHERE t.id > 0 |> SELECT t.id, ${value} AS v |> LIMIT 100`,
  'piped extend': ({ before, source, secret }) =>
    `${before} FROM ${source} |> EXTEND ${secret} AS carried |> AGGREGATE MAX(carried) AS m, COUNT(*) AS n GROUP BY carried`,
  'piped aggregate': ({ before, source, total }) => `${before} FROM ${source} |> AGGREGATE ${total} AS v`,
}

const SPELLINGS: readonly ((sql: string) => string)[] = [
  (sql) => sql,
  (sql) => sql.replaceAll(/\b([sbindf]_\w+|home|links|marks|doc|whole)\b/g, (name) => name.toUpperCase()),
  (sql) => sql.replaceAll(/\bt\.([a-z]\w*)/g, 't.`$1`'),
  (sql) => outside(sql, (text) => text.replaceAll(' ', ' /* , x -- */ ')),
  (sql) => outside(sql, (text) => text.replaceAll(' FROM ', ' -- FROM x\n FROM ').replaceAll(' AS ', '\n# as\nAS\t')),
  (sql) =>
    outside(sql, (text) => text.replaceAll(/\b(SELECT|FROM|WHERE|AS|UNION|ALL|JOIN|ON)\b/g, (w) => w.toLowerCase())),
  (sql) =>
    outside(sql, (text) =>
      text.replaceAll(
        /\b(select|from|where|as|max|to_hex|concat)\b/gi,
        (w) => `${w.slice(0, 1).toLowerCase()}${w.slice(1).toUpperCase()}`,
      ),
    ),
  (sql) => outside(sql, (text) => text.replaceAll('vault.people', '`vault.people`')),
  (sql) => outside(sql, (text) => text.replaceAll('vault.people', '`vault`.people')),
  (sql) => outside(sql, (text) => text.replaceAll('vault.people', '`sluice-sandbox`.vault.people')),
  (sql) => outside(sql, (text) => text.replaceAll('vault.people', 'vault . /**/ people')),
  (sql) => `${sql} ;`,
  (sql) => `/* SELECT s_redact FROM vault.people */ ${sql} -- ;`,
]

/** Changes what stands outside of strings and backticks. */
function outside(sql: string, change: (text: string) => string): string {
  return sql
    .split(/(r?'(?:[^'\\]|\\.)*'|`[^`]*`)/)
    .map((part, at) => (at % 2 === 0 ? change(part) : part))
    .join('')
}

const pick = <T>(from: readonly T[], roll: Dice): T => from[roll(from.length)] as T

/** `count` different evasions; every form, source, carrier and secret takes its turn. */
export function evasions(count: number, seed = 20_26): readonly Evasion[] {
  const roll = dice(seed)
  const forms = Object.keys(FORMS)
  const sources = Object.keys(SOURCES)
  const seen = new Set<string>()
  const found: Evasion[] = []
  for (let at = 0; found.length < count; at++) {
    const form = forms[at % forms.length] ?? ''
    const sourceName = at < sources.length * 4 ? (sources[at % sources.length] ?? '') : pick(sources, roll)
    const source = SOURCES[sourceName] ?? ''
    const secret = at % 3 === 0 ? (SECRETS[Math.floor(at / 3) % SECRETS.length] ?? '') : pick(SECRETS, roll)
    const carrier = at % 2 === 0 ? (CARRIERS[Math.floor(at / 2) % CARRIERS.length] ?? '') : pick(CARRIERS, roll)
    const aggregate = pick(AGGREGATES, roll)
    const carry = (how: string): string =>
      how
        .replaceAll('%%', '\u0000')
        .replaceAll(/%(?!')/g, () => secret)
        .replaceAll('\u0000', '%')
    const [before, from] = typeof source === 'string' ? ['', source] : source
    const sql =
      FORMS[form]?.({ before, source: from, secret, value: carry(carrier), total: carry(aggregate) }).trim() ?? ''
    const spelled = pick(SPELLINGS, roll)(sql)
    if (seen.has(spelled)) continue
    seen.add(spelled)
    found.push({ sql: spelled, form: `${form} / ${sourceName}`, carrier })
  }
  return found
}
