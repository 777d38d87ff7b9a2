/**
 * BigQuery's functions as DuckDB macros, where DuckDB's own differ. A macro may have an overload for each argument type,
 * which is how LENGTH knows STRING from BYTES. All are made afresh when the warehouse starts.
 */

const NUM = 'DECIMAL(38,9)'

/**
 * Failures that TRY must be able to catch are conversions that cannot work: `error()` counts as volatile, which TRY refuses.
 * Their texts come back in DuckDB's message.
 */
export const FAILURES = [
  'division by zero',
  'Floating point error in function: LN',
  'Floating point error in function: SQRT',
  'Third argument in SUBSTR() cannot be negative',
]

/** `typeof` is constant for an expression, so the other branches of such a CASE are never computed. */
const STRING_OF = `CASE typeof(x)
  WHEN 'BLOB' THEN decode(TRY_CAST(x AS BLOB))
  WHEN 'DOUBLE' THEN bq_float_text(TRY_CAST(x AS DOUBLE))
  WHEN 'TIMESTAMP' THEN replace(bq_datetime_text(TRY_CAST(x AS TIMESTAMP)), 'T', ' ')
  WHEN 'TIMESTAMP WITH TIME ZONE' THEN replace(bq_datetime_text(TRY_CAST(x AS TIMESTAMP)), 'T', ' ') || '+00'
  WHEN 'TIME' THEN bq_time_text(TRY_CAST(x AS TIME))
  WHEN 'INTERVAL' THEN bq_interval_text(TRY_CAST(x AS INTERVAL))
  ELSE CASE WHEN typeof(x) LIKE 'DECIMAL(%' THEN bq_decimal_text(CAST(x AS VARCHAR)) ELSE CAST(x AS VARCHAR) END END`

const FRACTION = `CASE WHEN microsecond(x) % 1000000 = 0 THEN ''
  ELSE '.' || lpad(CAST(microsecond(x) % 1000000 AS VARCHAR), 6, '0') END`

const UNSCALED = (x: string): string => `CAST(CAST(${x} AS ${NUM}) * 1000000000 AS HUGEINT)`

/** What separates the digits of an unscaled NUMERIC that stay from those that go. */
const POWER = 'CAST(pow(10, 9 - n) AS HUGEINT)'

/** What parts words for INITCAP. */
const WORD_END = String.raw`[\s\[\](){}/|<>!?@"^#$&~_,.:;*%+-]`

export const MACROS: readonly string[] = [
  // Text of values, on the wire and by CAST(… AS STRING).
  `bq_float_text(x) AS CASE WHEN isnan(x) THEN 'NaN' WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END
    ELSE CAST(x AS VARCHAR) END`,
  `bq_decimal_text(x) AS CASE WHEN contains(x, '.') THEN rtrim(rtrim(x, '0'), '.') ELSE x END`,
  `bq_datetime_text(x) AS strftime(x, '%Y-%m-%dT%H:%M:%S') || ${FRACTION}`,
  `bq_time_text(x) AS substr(CAST(x AS VARCHAR), 1, 8) || ${FRACTION}`,
  `bq_interval_text(x) AS concat(
    CASE WHEN year(x) < 0 OR month(x) < 0 THEN '-' ELSE '' END, abs(year(x)), '-', abs(month(x)), ' ', day(x), ' ',
    CASE WHEN epoch_us(x - to_years(CAST(year(x) AS INTEGER)) - to_months(CAST(month(x) AS INTEGER)) - to_days(CAST(day(x) AS INTEGER))) < 0 THEN '-' ELSE '' END,
    abs(hour(x)), ':', abs(minute(x)), ':', abs(second(x)),
    CASE WHEN microsecond(x) % 1000000 = 0 THEN '' ELSE '.' || lpad(CAST(abs(microsecond(x) % 1000000) AS VARCHAR), 6, '0') END)`,
  `bq_string(x) AS ${STRING_OF}`,
  // Not overloaded: DuckDB cannot choose for a column of an outer query, and masks of fields are correlated.
  `bq_bytes(x) AS CASE WHEN typeof(x) = 'BLOB' THEN TRY_CAST(x AS BLOB) ELSE encode(CAST(x AS VARCHAR)) END`,
  `bq_int(x DOUBLE) AS CAST(round(x) AS BIGINT), (x ${NUM}) AS CAST(round(x, 0) AS BIGINT), (x BIGINT) AS x, (x BOOLEAN) AS CAST(x AS BIGINT),
    (x VARCHAR) AS CASE WHEN regexp_matches(x, '^\\s*[+-]?([0-9]+|0[xX][0-9a-fA-F]+)\\s*$') OR x IS NULL THEN CAST(x AS BIGINT) ELSE CAST('Bad int64 value: ' || x AS BIGINT) END`,
  `bq_bool(x BOOLEAN) AS x, (x BIGINT) AS x <> 0,
    (x VARCHAR) AS CASE lower(x) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE ELSE CASE WHEN x IS NULL THEN NULL ELSE CAST('Bad bool value: ' || x AS BOOLEAN) END END`,
  // Strings and bytes.
  `bq_length(x) AS CASE WHEN typeof(x) = 'BLOB' THEN octet_length(TRY_CAST(x AS BLOB)) ELSE length(CAST(x AS VARCHAR)) END`,
  `bq_byte_length(x VARCHAR) AS strlen(x), (x BLOB) AS octet_length(x)`,
  // A slice is of characters or of bytes, as the value is: not overloaded, as above. DuckDB pastes arguments as often as they
  // are named here, and masks nest: each is named once.
  `bq_substr(x, p) AS x[p:],
    (x, p, n) AS x[p:][1:CASE WHEN n < 0 THEN CAST('Third argument in SUBSTR() cannot be negative' AS BIGINT) ELSE n END]`,
  `bq_left(x VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN error('Second argument in LEFT() cannot be negative') ELSE left(x, n) END`,
  `bq_right(x VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN error('Second argument in RIGHT() cannot be negative') ELSE right(x, n) END`,
  `bq_trim(x VARCHAR) AS regexp_replace(x, '^\\s+|\\s+$', '', 'g'), (x VARCHAR, c VARCHAR) AS trim(x, c)`,
  `bq_ltrim(x VARCHAR) AS regexp_replace(x, '^\\s+', ''), (x VARCHAR, c VARCHAR) AS ltrim(x, c)`,
  `bq_rtrim(x VARCHAR) AS regexp_replace(x, '\\s+$', ''), (x VARCHAR, c VARCHAR) AS rtrim(x, c)`,
  `bq_lpad(x VARCHAR, n BIGINT) AS lpad(x, CAST(n AS INTEGER), ' '), (x VARCHAR, n BIGINT, p VARCHAR) AS lpad(x, CAST(n AS INTEGER), p)`,
  `bq_rpad(x VARCHAR, n BIGINT) AS rpad(x, CAST(n AS INTEGER), ' '), (x VARCHAR, n BIGINT, p VARCHAR) AS rpad(x, CAST(n AS INTEGER), p)`,
  `bq_repeat(x VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN error('Second argument in REPEAT() cannot be negative') ELSE repeat(x, n) END`,
  `bq_reverse(x VARCHAR) AS reverse(x)`,
  `bq_initcap(x VARCHAR) AS array_to_string(list_transform(regexp_extract_all(lower(x), '${WORD_END}+|${WORD_END.replace('[', '[^')}+'),
    lambda w: upper(w[1]) || w[2:]), '')`,
  `bq_hash_md5(x) AS unhex(md5(x))`,
  `bq_hash_sha1(x) AS unhex(sha1(x))`,
  `bq_hash_sha256(x) AS unhex(sha256(x))`,
  `bq_to_hex(x BLOB) AS lower(hex(x))`,
  `bq_regexp_extract(x, r, g) AS CASE WHEN regexp_matches(x, r) THEN regexp_extract(x, r, g) ELSE NULL END`,
  // Numbers.
  `bq_numeric_div(a, b) AS CASE WHEN b = 0 THEN CAST('division by zero' AS BIGINT) ELSE
    CAST(CAST((${UNSCALED('a')} * 1000000000 + sign(${UNSCALED('a')}) * abs(${UNSCALED('b')}) // 2) // ${UNSCALED('b')} AS DECIMAL(38,0))
      * 0.000000001::DECIMAL(10,9) AS ${NUM}) END`,
  `bq_div(a BIGINT, b BIGINT) AS CASE WHEN b = 0 THEN CAST('division by zero' AS BIGINT) ELSE a / b END,
    (a DOUBLE, b DOUBLE) AS CASE WHEN b = 0 THEN CAST('division by zero' AS BIGINT) ELSE a / b END,
    (a ${NUM}, b ${NUM}) AS bq_numeric_div(a, b)`,
  `bq_int_div(a BIGINT, b BIGINT) AS CASE WHEN b = 0 THEN CAST('division by zero' AS BIGINT) ELSE a // b END`,
  `bq_mod(a BIGINT, b BIGINT) AS CASE WHEN b = 0 THEN CAST('division by zero' AS BIGINT) ELSE a % b END,
    (a ${NUM}, b ${NUM}) AS CASE WHEN b = 0 THEN CAST('division by zero' AS BIGINT) ELSE a % b END`,
  `bq_avg(x BIGINT) AS avg(x), (x DOUBLE) AS avg(x), (x ${NUM}) AS bq_numeric_div(sum(x), CASE WHEN count(x) = 0 THEN NULL ELSE count(x) END)`,
  `bq_floor(x DOUBLE) AS floor(x), (x BIGINT) AS CAST(x AS DOUBLE), (x ${NUM}) AS CAST(floor(x) AS ${NUM})`,
  `bq_ceil(x DOUBLE) AS ceil(x), (x BIGINT) AS CAST(x AS DOUBLE), (x ${NUM}) AS CAST(ceil(x) AS ${NUM})`,
  `bq_round(x DOUBLE) AS round(x), (x BIGINT) AS CAST(x AS DOUBLE), (x ${NUM}) AS CAST(round(x, 0) AS ${NUM}),
    (x DOUBLE, n BIGINT) AS round(x, CAST(n AS INTEGER)), (x BIGINT, n BIGINT) AS round(CAST(x AS DOUBLE), CAST(n AS INTEGER)),
    (x ${NUM}, n BIGINT) AS CASE WHEN n BETWEEN 0 AND 9
      THEN CAST((${UNSCALED('x')} + sign(${UNSCALED('x')}) * (${POWER} // 2)) // ${POWER} * ${POWER} AS DECIMAL(38,0)) * 0.000000001::DECIMAL(10,9)
      ELSE error('ROUND of NUMERIC outside 0 to 9 digits is not supported in the sandbox') END`,
  `bq_trunc(x DOUBLE) AS trunc(x), (x BIGINT) AS CAST(x AS DOUBLE), (x ${NUM}) AS CAST(trunc(x) AS ${NUM}),
    (x DOUBLE, n BIGINT) AS trunc(x * pow(10, n)) / pow(10, n), (x BIGINT, n BIGINT) AS trunc(x * pow(10, n)) / pow(10, n),
    (x ${NUM}, n BIGINT) AS CASE WHEN n BETWEEN 0 AND 9
      THEN CAST(${UNSCALED('x')} // ${POWER} * ${POWER} AS DECIMAL(38,0)) * 0.000000001::DECIMAL(10,9)
      ELSE error('TRUNC of NUMERIC outside 0 to 9 digits is not supported in the sandbox') END`,
  `bq_pow(x DOUBLE, y DOUBLE) AS pow(x, y)`,
  `bq_ln(x DOUBLE) AS CASE WHEN x <= 0 THEN CAST('Floating point error in function: LN' AS DOUBLE) ELSE ln(x) END`,
  `bq_sqrt(x DOUBLE) AS CASE WHEN x < 0 THEN CAST('Floating point error in function: SQRT' AS DOUBLE) ELSE sqrt(x) END`,
  `bq_sign(x BIGINT) AS CAST(sign(x) AS BIGINT), (x DOUBLE) AS CAST(sign(x) AS DOUBLE), (x ${NUM}) AS CAST(sign(x) AS ${NUM})`,
  // Dates and times.
  `bq_add(x DATE, i) AS CAST(x + i AS DATE), (x TIMESTAMP, i) AS x + i, (x TIMESTAMPTZ, i) AS x + i, (x TIME, i) AS x + i`,
  `bq_datetime(x TIMESTAMPTZ, y VARCHAR) AS timezone(y, x), (x DATE, y TIME) AS x + y`,
  `bq_plus(x BIGINT, y BIGINT) AS x + y`,
  `bq_sunday(x DATE) AS CAST(x - CAST(dayofweek(x) AS INTEGER) AS DATE)`,
  `bq_like_date(x DATE, t) AS CAST(t AS DATE), (x TIMESTAMP, t) AS CAST(t AS TIMESTAMP), (x TIMESTAMPTZ, t) AS CAST(t AS TIMESTAMPTZ)`,
  `bq_date_trunc(x DATE, p) AS CAST(date_trunc(p, x) AS DATE), (x TIMESTAMP, p) AS date_trunc(p, x), (x TIMESTAMPTZ, p) AS date_trunc(p, x)`,
  `bq_week_trunc(x DATE, s) AS CAST(x - CAST((dayofweek(x) - s + 7) % 7 AS INTEGER) AS DATE),
    (x TIMESTAMP, s) AS date_trunc('day', x) - to_days(CAST((dayofweek(x) - s + 7) % 7 AS INTEGER)),
    (x TIMESTAMPTZ, s) AS date_trunc('day', x) - to_days(CAST((dayofweek(x) - s + 7) % 7 AS INTEGER))`,
  // Geography: longitude and latitude as the text that ST_ASTEXT shows.
  `bq_point(x DOUBLE, y DOUBLE) AS CASE WHEN x IS NULL OR y IS NULL THEN NULL
    WHEN abs(y) > 90 THEN error('Latitude must be between -90 and 90 degrees')
    ELSE struct_pack(_wkt := printf('POINT(%.15g %.15g)', x, y)) END`,
  // JSON and arrays.
  `bq_json(x JSON) AS x, (x VARCHAR) AS TRY_CAST(x AS JSON)`,
  `bq_json_value(x, p) AS CASE WHEN json_type(TRY_CAST(x AS JSON), p) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL ELSE json_extract_string(TRY_CAST(x AS JSON), p) END`,
  `bq_json_query(x JSON, p) AS json_extract(x, p), (x VARCHAR, p) AS CAST(json_extract(TRY_CAST(x AS JSON), p) AS VARCHAR)`,
  `bq_json_list(x, p) AS CASE WHEN json_type(TRY_CAST(x AS JSON), p) = 'ARRAY' THEN CAST(json_extract(TRY_CAST(x AS JSON), p) AS JSON[]) END`,
  `bq_json_array(x JSON, p) AS bq_json_list(x, p),
    (x VARCHAR, p) AS list_transform(bq_json_list(x, p), lambda _j: CAST(_j AS VARCHAR))`,
  `bq_json_texts(x, p) AS CASE WHEN len(list_filter(bq_json_list(x, p), lambda _j: json_type(_j) IN ('OBJECT', 'ARRAY'))) > 0 THEN NULL
    ELSE list_transform(bq_json_list(x, p), lambda _j: json_extract_string(_j, '$')) END`,
  `bq_json_type(x JSON) AS CASE WHEN json_type(x) IN ('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE') THEN 'number'
    WHEN json_type(x) = 'VARCHAR' THEN 'string' ELSE lower(json_type(x)) END`,
  `bq_to_json(x) AS CASE WHEN regexp_matches(typeof(x), 'TIMESTAMP|TIME|BLOB|INTERVAL|DECIMAL')
    THEN error('TO_JSON of this type is not supported in the sandbox') ELSE to_json(x) END`,
  `bq_json_scalar(x JSON, kinds) AS CASE WHEN x IS NULL OR json_type(x) = 'NULL' AND FALSE THEN NULL
    WHEN list_contains(kinds, json_type(x)) THEN json_extract_string(x, '$') ELSE error('The provided JSON input is not of the asked type') END`,
  `bq_text(x JSON) AS bq_json_scalar(x, ['VARCHAR']), (x DATE) AS bq_string(x), (x TIMESTAMP) AS bq_string(x), (x TIMESTAMPTZ) AS bq_string(x)`,
  `bq_array(x) AS CASE WHEN suffix(typeof(x), ']') THEN x ELSE error('A subscript on this type is not supported in the sandbox') END`,
  `bq_at(x, i) AS CASE WHEN NOT suffix(typeof(x), ']') THEN error('A subscript on this type is not supported in the sandbox')
    WHEN i < 0 OR i >= len(x) THEN error('Array index is out of bounds') ELSE x[i + 1] END`,
  `bq_at_safe(x, i) AS CASE WHEN NOT suffix(typeof(x), ']') THEN error('A subscript on this type is not supported in the sandbox')
    WHEN i < 0 OR i >= len(x) THEN NULL ELSE x[i + 1] END`,
  `bq_in_array(v, x) AS CASE WHEN x IS NULL OR len(x) = 0 THEN FALSE WHEN v IS NULL THEN NULL WHEN list_contains(x, v) THEN TRUE
    WHEN list_count(x) < len(x) THEN NULL ELSE FALSE END`,
  `bq_range(a BIGINT, b BIGINT, s BIGINT) AS CASE WHEN s = 0 THEN error('Sequence step cannot be 0') ELSE generate_series(a, b, s) END`,
]

interface Overload {
  /** The macro of this overload alone, its parameters without types. */
  readonly name: string
  readonly types: readonly string[]
}

/**
 * DuckDB cannot choose an overload where an argument holds an aggregate. For those calls each overload has a macro of its
 * own, among which `overload` chooses by types.
 */
const SINGLE: { readonly sql: string; readonly macro: string; readonly overload: Overload }[] = MACROS.flatMap(
  (macro) => {
    const name = /^\w+/.exec(macro)?.[0] ?? ''
    const parts = splitOverloads(macro.slice(name.length))
    if (parts.length < 2) return []
    return parts.map((part, at) => {
      const [, list = '', body = ''] = /^\(((?:[^()]|\([^()]*\))*)\) AS ([\s\S]*)$/.exec(part) ?? []
      const parameters = list.split(/,\s*(?=[a-z]\b)/).map((one) => one.trim().split(/ (.*)/s))
      const alone = `${name}__${at}`
      return {
        macro: name,
        sql: `${alone}(${parameters.map(([parameter]) => parameter).join(', ')}) AS ${body}`,
        overload: { name: alone, types: parameters.map(([, type]) => type ?? '') },
      }
    })
  },
)

export const SINGLE_MACROS: readonly string[] = SINGLE.map((one) => one.sql)
export const OVERLOADED: ReadonlySet<string> = new Set(SINGLE.map((one) => one.macro))

/** The name of the overload that takes arguments of these DuckDB types, if one does. */
export function overload(macro: string, types: readonly string[]): string | undefined {
  const ranked = SINGLE.filter((one) => one.macro === macro && one.overload.types.length === types.length)
    .map(({ overload }) => ({
      name: overload.name,
      cost: overload.types.reduce((sum, type, at) => sum + distance(types[at] ?? '', type), 0),
    }))
    .filter((one) => Number.isFinite(one.cost))
    .sort((a, b) => a.cost - b.cost)
  return ranked[0]?.name
}

function distance(from: string, to: string): number {
  const type = /^(U?(TINY|SMALL|BIG|HUGE)INT|INTEGER)$/.test(from)
    ? 'BIGINT'
    : from.startsWith('DECIMAL')
      ? NUM
      : from === 'TIMESTAMP WITH TIME ZONE'
        ? 'TIMESTAMPTZ'
        : from
  if (to === '' || type === to || type === '"NULL"') return 0
  if (type === 'BIGINT' && to === NUM) return 1
  if ((type === 'BIGINT' || type === NUM) && to === 'DOUBLE') return 2
  return Number.POSITIVE_INFINITY
}

function splitOverloads(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "'") quoted = !quoted
    if (quoted) continue
    if (text[at] === '(') depth++
    else if (text[at] === ')') depth--
    else if (text[at] === ',' && depth === 0) {
      parts.push(text.slice(start, at).trim())
      start = at + 1
    }
  }
  parts.push(text.slice(start).trim())
  return parts
}
