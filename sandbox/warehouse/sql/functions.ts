/**
 * The functions that the sandbox knows to answer as BigQuery does: an allow-list. A name that is not here is refused, for
 * a wrong answer is worse than none.
 */
import { unsupported } from '../errors.ts'

/** A translated expression. `literal` is the value of a string or number that was written out, or of a parameter. */
export interface Expression {
  readonly sql: string
  /** What BigQuery would call the column. */
  readonly name?: string
  readonly literal?: string
  /** `=>` arguments. */
  readonly argument?: string
  /** The fields of a STRUCT that was written out; they go by position where another struct gives the names. */
  readonly fields?: readonly { readonly sql: string; readonly name: string | undefined }[]
}

/** A struct's SQL; fields without a name get the one that BigQuery's REST shows. */
export function structSql(
  fields: NonNullable<Expression['fields']>,
  names: readonly (string | undefined)[] = [],
): string {
  const parts = fields.map((field, at) => {
    const name = names[at] ?? field.name ?? `_field_${at + 1}`
    return `"${name.replaceAll('"', '""')}" := ${field.sql}`
  })
  return `struct_pack(${parts.join(', ')})`
}

type Emit = (args: readonly Expression[]) => string

/** [fewest arguments, most arguments, how] */
type Known = readonly [number, number, Emit]

const s = (args: readonly Expression[]): string => args.map((arg) => arg.sql).join(', ')
const call =
  (name: string): Emit =>
  (args) =>
    `${name}(${s(args)})`
const a0 = (args: readonly Expression[]): string => args[0]?.sql ?? ''
const a1 = (args: readonly Expression[]): string => args[1]?.sql ?? ''
const a2 = (args: readonly Expression[]): string => args[2]?.sql ?? ''
const nullSafe =
  (name: string): Emit =>
  (args) =>
    `CASE WHEN ${args.map((arg) => `${arg.sql} IS NULL`).join(' OR ')} THEN NULL ELSE ${name}(${s(args)}) END`
const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
const MANY = 1000

/** A JSON path written out: `$.a.b[0]`, `$['a']`, `$."a"`, as DuckDB writes it. */
export function jsonPath(arg: Expression | undefined): string {
  if (arg === undefined) return "'$'"
  if (arg.literal === undefined) throw unsupported('A JSON path that is not a literal')
  return text(
    `$${jsonSteps(arg.literal)
      .map((step) => (typeof step === 'number' ? `[${step}]` : `."${step}"`))
      .join('')}`,
  )
}

/** The steps of a JSON path, or 400. */
export function jsonSteps(path: string): (string | number)[] {
  if (!path.startsWith('$')) throw unsupported(`The JSON path ${JSON.stringify(path)}`)
  const steps: (string | number)[] = []
  let rest = path.slice(1)
  while (rest !== '') {
    const step = /^(?:\.([A-Za-z_][\w-]*)|\."([^"\\]*)"|\[(\d+)\]|\['([^'\\"]*)'\]|\["([^'\\"]*)"\])/.exec(rest)
    if (!step) throw unsupported(`The JSON path ${JSON.stringify(path)}`)
    steps.push(step[3] === undefined ? (step[1] ?? step[2] ?? step[4] ?? step[5] ?? '') : Number(step[3]))
    rest = rest.slice(step[0].length)
  }
  return steps
}

function groups(pattern: Expression | undefined): number {
  if (pattern?.literal === undefined)
    throw unsupported('A regular expression with REGEXP_EXTRACT that is not a literal')
  const found =
    pattern.literal
      .replace(/\\./g, '')
      .replace(/\[[^\]]*\]/g, '')
      .match(/\((?!\?[^P])/g)?.length ?? 0
  if (found > 1) throw unsupported('REGEXP_EXTRACT with more than one capturing group')
  return found
}

const PRINTF = /^%([-+ 0#]*)(\d*)(?:\.(\d+))?([sdiuxXoeEgGftT%])/

const format: Emit = (args) => {
  const pattern = args[0]?.literal
  if (pattern === undefined) throw unsupported('FORMAT with a pattern that is not a literal')
  const values: string[] = []
  let next = 1
  const out: string[] = []
  for (let at = 0; at < pattern.length;) {
    if (pattern[at] !== '%') {
      out.push(pattern[at] ?? '')
      at++
      continue
    }
    const spec = PRINTF.exec(pattern.slice(at))
    if (!spec) throw unsupported('This FORMAT pattern')
    at += spec[0].length
    const kind = spec[4] ?? ''
    if (kind === '%') {
      out.push('%%')
      continue
    }
    const value = args[next++]
    if (value === undefined || kind === 'T') throw unsupported('This FORMAT pattern')
    out.push(spec[0].slice(0, -1) + (kind === 't' ? 's' : kind === 'i' || kind === 'u' ? 'd' : kind))
    values.push(
      kind === 't'
        ? `coalesce(bq_string(${value.sql}), 'NULL')`
        : 'eEgGf'.includes(kind)
          ? `CAST(${value.sql} AS DOUBLE)`
          : value.sql,
    )
  }
  if (next !== args.length) throw unsupported('FORMAT with unused arguments')
  return `printf(${[text(out.join('')), ...values].join(', ')})`
}

const STRFTIME = new Map(
  Object.entries({
    Y: '%Y',
    m: '%m',
    d: '%d',
    H: '%H',
    M: '%M',
    S: '%S',
    y: '%y',
    b: '%b',
    h: '%b',
    B: '%B',
    a: '%a',
    A: '%A',
    j: '%j',
    p: '%p',
    I: '%I',
    F: '%Y-%m-%d',
    T: '%H:%M:%S',
    R: '%H:%M',
    D: '%m/%d/%y',
    u: '%u',
    U: '%U',
    W: '%W',
    V: '%V',
    G: '%G',
    n: '\n',
    t: '\t',
    '%': '%%',
  }),
)

function timeFormat(arg: Expression | undefined): string {
  if (arg?.literal === undefined) throw unsupported('A date format that is not a literal')
  return text(
    arg.literal.replace(/%(E[0-9*]?S|E4Y|.?)/g, (_, spec: string) => {
      const known = spec === 'E4Y' ? '%Y' : spec === 'E6S' ? '%S.%f' : STRFTIME.get(spec)
      if (known === undefined) throw unsupported(`The date format element %${spec}`)
      return known
    }),
  )
}

const parsed =
  (type: string): Emit =>
  (args) =>
    `CAST(strptime(${a1(args)}, ${timeFormat(args[0])}) AS ${type})`
const formatted: Emit = (args) => `strftime(${a1(args)}, ${timeFormat(args[0])})`

const jsonSet: Emit = (args) => {
  const named = args.find((arg) => arg.argument !== undefined)
  if (named !== undefined && named.argument !== 'create_if_missing') throw unsupported(`The argument ${named.argument}`)
  const pairs = args.slice(1).filter((arg) => arg.argument === undefined)
  if (pairs.length === 0 || pairs.length % 2 === 1) throw unsupported('JSON_SET with this number of arguments')
  let json = `CAST(${a0(args)} AS VARCHAR)`
  for (let i = 0; i < pairs.length; i += 2) {
    jsonPath(pairs[i])
    const steps = JSON.stringify(jsonSteps(pairs[i]?.literal ?? '$'))
    // A NULL value sets JSON null.
    json = `bq_json_set(${json}, ${text(steps)}, coalesce(CAST(bq_to_json(${pairs[i + 1]?.sql}) AS VARCHAR), 'null'), ${named?.sql ?? 'TRUE'})`
  }
  return `CAST(${json} AS JSON)`
}

const arrayText: Emit = (args) =>
  args.length === 2
    ? `array_to_string(list_filter(list_transform(${a0(args)}, lambda _e: bq_string(_e)), lambda _e: _e IS NOT NULL), ${a1(args)})`
    : `array_to_string(list_transform(${a0(args)}, lambda _e: coalesce(bq_string(_e), ${a2(args)})), ${a1(args)})`

const FUNCTIONS: Record<string, Known> = {
  // Conditions.
  IF: [3, 3, (args) => `CASE WHEN ${a0(args)} THEN ${a1(args)} ELSE ${a2(args)} END`],
  IFNULL: [2, 2, call('coalesce')],
  COALESCE: [1, MANY, call('coalesce')],
  NULLIF: [2, 2, call('nullif')],
  GREATEST: [1, MANY, nullSafe('greatest')],
  LEAST: [1, MANY, nullSafe('least')],
  ERROR: [1, 1, call('error')],
  // Strings and bytes.
  CONCAT: [1, MANY, (args) => `(${args.map((arg) => arg.sql).join(' || ')})`],
  LENGTH: [1, 1, call('bq_length')],
  // Of characters alone.
  CHAR_LENGTH: [1, 1, call('length')],
  CHARACTER_LENGTH: [1, 1, call('length')],
  BYTE_LENGTH: [1, 1, call('bq_byte_length')],
  OCTET_LENGTH: [1, 1, call('bq_byte_length')],
  SUBSTR: [2, 3, call('bq_substr')],
  SUBSTRING: [2, 3, call('bq_substr')],
  LEFT: [2, 2, call('bq_left')],
  RIGHT: [2, 2, call('bq_right')],
  UPPER: [1, 1, call('upper')],
  LOWER: [1, 1, call('lower')],
  INITCAP: [1, 1, call('bq_initcap')],
  REVERSE: [1, 1, call('bq_reverse')],
  REPLACE: [3, 3, call('replace')],
  TRIM: [1, 2, call('bq_trim')],
  LTRIM: [1, 2, call('bq_ltrim')],
  RTRIM: [1, 2, call('bq_rtrim')],
  LPAD: [2, 3, call('bq_lpad')],
  RPAD: [2, 3, call('bq_rpad')],
  REPEAT: [2, 2, call('bq_repeat')],
  STRPOS: [2, 2, call('strpos')],
  INSTR: [2, 2, call('strpos')],
  SPLIT: [1, 2, (args) => `string_split(${a0(args)}, ${args.length === 1 ? "','" : a1(args)})`],
  STARTS_WITH: [2, 2, call('starts_with')],
  ENDS_WITH: [2, 2, call('ends_with')],
  CONTAINS_SUBSTR: [2, 2, (args) => `contains(lower(${a0(args)}), lower(${a1(args)}))`],
  ASCII: [1, 1, call('ascii')],
  UNICODE: [1, 1, call('unicode')],
  CHR: [1, 1, (args) => `chr(CAST(${a0(args)} AS INTEGER))`],
  TRANSLATE: [3, 3, call('translate')],
  REGEXP_CONTAINS: [2, 2, call('regexp_matches')],
  REGEXP_REPLACE: [3, 3, (args) => `regexp_replace(${s(args)}, 'g')`],
  REGEXP_EXTRACT: [2, 2, (args) => `bq_regexp_extract(${s(args)}, ${groups(args[1])})`],
  REGEXP_SUBSTR: [2, 2, (args) => `bq_regexp_extract(${s(args)}, ${groups(args[1])})`],
  REGEXP_EXTRACT_ALL: [2, 2, (args) => `regexp_extract_all(${s(args)}, ${groups(args[1])})`],
  FORMAT: [1, MANY, format],
  TO_HEX: [1, 1, call('bq_to_hex')],
  FROM_HEX: [1, 1, call('unhex')],
  TO_BASE64: [1, 1, call('to_base64')],
  FROM_BASE64: [1, 1, call('from_base64')],
  MD5: [1, 1, call('bq_hash_md5')],
  SHA1: [1, 1, call('bq_hash_sha1')],
  SHA256: [1, 1, call('bq_hash_sha256')],
  SAFE_CONVERT_BYTES_TO_STRING: [1, 1, (args) => `TRY(decode(${a0(args)}))`],
  GENERATE_UUID: [0, 0, () => 'CAST(uuid() AS VARCHAR)'],
  // Numbers.
  ABS: [1, 1, call('abs')],
  SIGN: [1, 1, call('bq_sign')],
  ROUND: [1, 2, call('bq_round')],
  TRUNC: [1, 2, call('bq_trunc')],
  FLOOR: [1, 1, call('bq_floor')],
  CEIL: [1, 1, call('bq_ceil')],
  CEILING: [1, 1, call('bq_ceil')],
  MOD: [2, 2, call('bq_mod')],
  DIV: [2, 2, call('bq_int_div')],
  POW: [2, 2, call('bq_pow')],
  POWER: [2, 2, call('bq_pow')],
  SQRT: [1, 1, call('bq_sqrt')],
  EXP: [1, 1, call('exp')],
  LN: [1, 1, call('bq_ln')],
  LOG: [1, 2, (args) => (args.length === 1 ? `bq_ln(${a0(args)})` : `(bq_ln(${a0(args)}) / bq_ln(${a1(args)}))`)],
  LOG10: [1, 1, call('log10')],
  SAFE_DIVIDE: [2, 2, (args) => `CASE WHEN ${a1(args)} = 0 THEN NULL ELSE bq_div(${s(args)}) END`],
  SAFE_ADD: [2, 2, (args) => `TRY(${a0(args)} + ${a1(args)})`],
  SAFE_SUBTRACT: [2, 2, (args) => `TRY(${a0(args)} - ${a1(args)})`],
  SAFE_MULTIPLY: [2, 2, (args) => `TRY(${a0(args)} * ${a1(args)})`],
  SAFE_NEGATE: [1, 1, (args) => `TRY(-(${a0(args)}))`],
  IS_NAN: [1, 1, (args) => `isnan(CAST(${a0(args)} AS DOUBLE))`],
  IS_INF: [1, 1, (args) => `isinf(CAST(${a0(args)} AS DOUBLE))`],
  RAND: [0, 0, () => 'random()'],
  BIT_COUNT: [1, 1, call('bit_count')],
  // Dates and times. DATE_ADD, EXTRACT and their like have a grammar of their own.
  CURRENT_DATE: [0, 1, (args) => `CAST(${args.length === 0 ? 'now()' : `timezone(${a0(args)}, now())`} AS DATE)`],
  CURRENT_TIMESTAMP: [0, 0, () => 'now()'],
  CURRENT_DATETIME: [0, 1, (args) => (args.length === 0 ? 'CAST(now() AS TIMESTAMP)' : `timezone(${a0(args)}, now())`)],
  CURRENT_TIME: [0, 0, () => 'CAST(now() AS TIME)'],
  DATE: [
    1,
    3,
    (args) =>
      args.length === 3
        ? `make_date(${s(args)})`
        : args.length === 2
          ? `CAST(timezone(${a1(args)}, CAST(${a0(args)} AS TIMESTAMPTZ)) AS DATE)`
          : `CAST(${a0(args)} AS DATE)`,
  ],
  DATETIME: [
    1,
    6,
    (args) => {
      if (args.length === 6) return `make_timestamp(${s(args)})`
      if (args.length === 1) return `CAST(${a0(args)} AS TIMESTAMP)`
      if (args.length === 2) return `bq_datetime(${s(args)})`
      throw unsupported('DATETIME with this number of arguments')
    },
  ],
  TIMESTAMP: [
    1,
    2,
    (args) =>
      args.length === 1 ? `CAST(${a0(args)} AS TIMESTAMPTZ)` : `timezone(${a1(args)}, CAST(${a0(args)} AS TIMESTAMP))`,
  ],
  TIME: [
    1,
    3,
    (args) => {
      if (args.length === 2) throw unsupported('TIME with two arguments')
      return args.length === 3
        ? `make_time(${a0(args)}, ${a1(args)}, CAST(${a2(args)} AS DOUBLE))`
        : `CAST(${a0(args)} AS TIME)`
    },
  ],
  UNIX_SECONDS: [1, 1, (args) => `CAST(floor(epoch_us(${a0(args)}) / 1000000) AS BIGINT)`],
  UNIX_MILLIS: [1, 1, (args) => `CAST(floor(epoch_us(${a0(args)}) / 1000) AS BIGINT)`],
  UNIX_MICROS: [1, 1, call('epoch_us')],
  UNIX_DATE: [1, 1, (args) => `date_diff('day', DATE '1970-01-01', CAST(${a0(args)} AS DATE))`],
  TIMESTAMP_SECONDS: [1, 1, (args) => `make_timestamptz(${a0(args)} * 1000000)`],
  TIMESTAMP_MILLIS: [1, 1, (args) => `make_timestamptz(${a0(args)} * 1000)`],
  TIMESTAMP_MICROS: [1, 1, call('make_timestamptz')],
  DATE_FROM_UNIX_DATE: [1, 1, (args) => `(DATE '1970-01-01' + CAST(${a0(args)} AS INTEGER))`],
  FORMAT_DATE: [2, 2, formatted],
  FORMAT_DATETIME: [2, 2, formatted],
  FORMAT_TIMESTAMP: [
    2,
    3,
    (args) =>
      args.length === 2
        ? formatted(args)
        : `strftime(timezone(${a2(args)}, CAST(${a1(args)} AS TIMESTAMPTZ)), ${timeFormat(args[0])})`,
  ],
  PARSE_DATE: [2, 2, parsed('DATE')],
  PARSE_DATETIME: [2, 2, parsed('TIMESTAMP')],
  PARSE_TIMESTAMP: [2, 2, (args) => `timezone('UTC', ${parsed('TIMESTAMP')(args)})`],
  // JSON.
  JSON_VALUE: [1, 2, (args) => `bq_json_value(${a0(args)}, ${jsonPath(args[1])})`],
  JSON_EXTRACT_SCALAR: [1, 2, (args) => `bq_json_value(${a0(args)}, ${jsonPath(args[1])})`],
  JSON_QUERY: [1, 2, (args) => `bq_json_query(${a0(args)}, ${jsonPath(args[1])})`],
  JSON_EXTRACT: [1, 2, (args) => `bq_json_query(${a0(args)}, ${jsonPath(args[1])})`],
  JSON_QUERY_ARRAY: [1, 2, (args) => `bq_json_array(${a0(args)}, ${jsonPath(args[1])})`],
  JSON_EXTRACT_ARRAY: [1, 2, (args) => `bq_json_array(${a0(args)}, ${jsonPath(args[1])})`],
  JSON_VALUE_ARRAY: [1, 2, (args) => `bq_json_texts(${a0(args)}, ${jsonPath(args[1])})`],
  JSON_EXTRACT_STRING_ARRAY: [1, 2, (args) => `bq_json_texts(${a0(args)}, ${jsonPath(args[1])})`],
  JSON_TYPE: [1, 1, call('bq_json_type')],
  JSON_SET: [3, MANY, jsonSet],
  JSON_REMOVE: [
    2,
    MANY,
    (args) =>
      `CAST(${args.slice(1).reduce((json, arg) => `bq_json_remove(${json}, ${text(JSON.stringify(jsonSteps(arg.literal ?? '')))})`, `CAST(${a0(args)} AS VARCHAR)`)} AS JSON)`,
  ],
  PARSE_JSON: [1, 1, (args) => `CAST(CAST(${a0(args)} AS VARCHAR) AS JSON)`],
  TO_JSON: [1, 1, call('bq_to_json')],
  TO_JSON_STRING: [1, 1, (args) => `coalesce(CAST(bq_to_json(${a0(args)}) AS VARCHAR), 'null')`],
  STRING: [1, 1, call('bq_text')],
  BOOL: [1, 1, (args) => `CAST(bq_json_scalar(${a0(args)}, ['BOOLEAN']) AS BOOLEAN)`],
  INT64: [1, 1, (args) => `CAST(bq_json_scalar(${a0(args)}, ['BIGINT', 'UBIGINT']) AS BIGINT)`],
  FLOAT64: [1, 1, (args) => `CAST(bq_json_scalar(${a0(args)}, ['BIGINT', 'UBIGINT', 'DOUBLE']) AS DOUBLE)`],
  // Arrays.
  ARRAY_LENGTH: [1, 1, (args) => `len(bq_array(${a0(args)}))`],
  ARRAY_CONCAT: [1, MANY, (args) => args.slice(1).reduce((sql, arg) => `list_concat(${sql}, ${arg.sql})`, a0(args))],
  ARRAY_REVERSE: [1, 1, call('list_reverse')],
  ARRAY_TO_STRING: [2, 3, arrayText],
  ARRAY_FIRST: [1, 1, (args) => `bq_at(${a0(args)}, 0)`],
  ARRAY_LAST: [1, 1, (args) => `bq_at(${a0(args)}, len(${a0(args)}) - 1)`],
  GENERATE_ARRAY: [2, 3, (args) => `bq_range(${a0(args)}, ${a1(args)}, ${args.length === 2 ? '1' : a2(args)})`],
  // Geography travels as well-known text; nothing else of it is known.
  ST_GEOGFROMTEXT: [1, 1, (args) => `struct_pack(_wkt := CAST(${a0(args)} AS VARCHAR))`],
  ST_GEOGPOINT: [2, 2, call('bq_point')],
  ST_ASTEXT: [1, 1, (args) => `struct_extract(${a0(args)}, '_wkt')`],
}

const AGGREGATES: Record<string, string> = {
  COUNT: 'count',
  SUM: 'sum',
  AVG: 'avg',
  MIN: 'min',
  MAX: 'max',
  ANY_VALUE: 'any_value',
  APPROX_COUNT_DISTINCT: 'approx_count_distinct',
  LOGICAL_AND: 'bool_and',
  LOGICAL_OR: 'bool_or',
  STDDEV: 'stddev_samp',
  STDDEV_SAMP: 'stddev_samp',
  STDDEV_POP: 'stddev_pop',
  VARIANCE: 'var_samp',
  VAR_SAMP: 'var_samp',
  VAR_POP: 'var_pop',
  CORR: 'corr',
  COVAR_POP: 'covar_pop',
  COVAR_SAMP: 'covar_samp',
  BIT_AND: 'bit_and',
  BIT_OR: 'bit_or',
  BIT_XOR: 'bit_xor',
  MAX_BY: 'arg_max_null',
  MIN_BY: 'arg_min_null',
  ARRAY_AGG: 'list',
  STRING_AGG: 'string_agg',
  COUNTIF: 'count',
  ARRAY_CONCAT_AGG: 'list',
  APPROX_QUANTILES: 'quantile_disc',
}

const WINDOWS = new Set([
  'ROW_NUMBER',
  'RANK',
  'DENSE_RANK',
  'PERCENT_RANK',
  'CUME_DIST',
  'NTILE',
  'LAG',
  'LEAD',
  'FIRST_VALUE',
  'LAST_VALUE',
  'NTH_VALUE',
  'PERCENTILE_CONT',
  'PERCENTILE_DISC',
])

/** DuckDB's name of an aggregate function, if it is one. */
export function aggregate(name: string): string | undefined {
  return Object.hasOwn(AGGREGATES, name) ? AGGREGATES[name] : undefined
}

export function isWindow(name: string): boolean {
  return WINDOWS.has(name)
}

/** Functions with a grammar of their own. */
const SPECIAL =
  /^(?:(?:DATE|DATETIME|TIMESTAMP|TIME)_(?:ADD|SUB|DIFF|TRUNC)|GENERATE_(?:DATE|TIMESTAMP)_ARRAY|LAST_DAY|CAST|SAFE_CAST|EXTRACT|GROUPING|SAFE)$/

/** Whether BigQuery has a function of this name that the sandbox knows. */
export function isBuiltIn(name: string): boolean {
  return Object.hasOwn(FUNCTIONS, name) || aggregate(name) !== undefined || isWindow(name) || SPECIAL.test(name)
}

/** Translates a call of a scalar function; throws 400 for one that is not on the list. */
export function scalar(name: string, args: readonly Expression[], at: { line: number; column: number }): string {
  const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined
  if (known === undefined) throw unsupported(`The function ${name}`, at)
  const [fewest, most, emit] = known
  const stray = name === 'JSON_SET' ? undefined : args.find((arg) => arg.argument !== undefined)
  if (stray !== undefined) throw unsupported(`The argument ${stray.argument} of ${name}`, at)
  if (args.length < fewest || args.length > most) throw unsupported(`${name} with ${args.length} arguments`, at)
  return emit(args)
}
