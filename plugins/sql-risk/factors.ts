/** The named factors of a statement's risk. The README has the table; `VERSION` changes whenever a score would. */
import type { SqlStatement } from '../../src/plugin.ts'

/** Of the factors below and their default weights. */
export const VERSION = 1

/** Points that each factor adds at most. What is not listed under `features` counts as `other-feature`. */
export const WEIGHTS = {
  /** DROP, TRUNCATE: rows or whole tables are gone. */
  destroy: 60,
  /** Rights are changed. */
  administer: 70,
  /** Code runs that we cannot see into. */
  execute: 50,
  /** Rows leave the warehouse by another way than the answer. */
  export: 50,
  /** A table or view is created or altered. */
  define: 25,
  /** Rows are changed. */
  write: 30,
  /** DML without WHERE, or with one that is always true: every row. */
  'no-where': 40,
  /** A CREATE OR REPLACE: what was there before is gone. */
  'or-replace': 30,
  /** Bytes that it would read, from none at 1 GiB to all points at 10 TiB, by the logarithm. */
  bytes: 30,
  /** Nobody could say how many bytes it would read. */
  'bytes-unknown': 10,
  'cross-join': 15,
  'select-star': 5,
  /** An answer of rows without a LIMIT. */
  unbounded: 5,
  /** Subqueries within subqueries within subqueries, and deeper. */
  'subquery-depth': 5,
  wildcard: 5,
  'information-schema': 10,
  /** Per function whose effect is not known here, up to three times. */
  'unknown-function': 10,
  /** Anything else that the analysis calls remarkable. */
  'other-feature': 5,
} as const

export type FactorName = keyof typeof WEIGHTS
export type Weights = Readonly<Record<FactorName, number>>

/** One reason for the score. */
export interface Factor {
  readonly name: FactorName
  /** Of the weight: 0 to 1. */
  readonly share: number
  /** A resource, function or `line:column`. */
  readonly where?: string
}

const GIB = 2 ** 30
const TEN_TIB = 10 * 2 ** 40

/** Every factor that applies, in the order of the table. Pure: equal statements score equally. */
export function factorsOf(statement: SqlStatement): readonly Factor[] {
  const found = [...ofUses(statement), ...ofBytes(statement), ...ofFeatures(statement), ...ofFunctions(statement)]
  // A thing counts once, however often and by whichever sign it is seen. Unknown functions count each.
  const factors = found.filter(
    ({ name }, index) => name === 'unknown-function' || found.findIndex((factor) => factor.name === name) === index,
  )
  const order = Object.keys(WEIGHTS)
  return factors.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
}

const ACTIONS = {
  delete: 'destroy',
  administer: 'administer',
  execute: 'execute',
  export: 'export',
  define: 'define',
  write: 'write',
} as const

function ofUses({ uses }: SqlStatement): readonly Factor[] {
  return uses.flatMap(({ action, resource }): readonly Factor[] => {
    const factors: Factor[] = action === 'read' ? [] : [{ name: ACTIONS[action], share: 1, where: resource }]
    if (/(^|\.)INFORMATION_SCHEMA(\.|$)/i.test(resource)) {
      factors.push({ name: 'information-schema', share: 1, where: resource })
    }
    if (resource.endsWith('*')) factors.push({ name: 'wildcard', share: 1, where: resource })
    return factors
  })
}

function ofBytes({ estimate, tables }: SqlStatement): readonly Factor[] {
  if (estimate === undefined) return tables.length === 0 ? [] : [{ name: 'bytes-unknown', share: 1 }]
  const share = Math.log(estimate.bytes / GIB) / Math.log(TEN_TIB / GIB)
  // A NaN is no small number.
  if (Number.isNaN(share)) return [{ name: 'bytes', share: 1 }]
  return share > 0 ? [{ name: 'bytes', share: Math.min(1, share) }] : []
}

/** Names of `SqlStatement.features` that are factors. */
const FEATURES: Readonly<Record<string, FactorName>> = {
  'no-where': 'no-where',
  'always-true-where': 'no-where',
  'or-replace': 'or-replace',
  'cross-join': 'cross-join',
  'select-star': 'select-star',
  'no-limit': 'unbounded',
  'wildcard-table': 'wildcard',
  'information-schema': 'information-schema',
  'subquery-depth': 'subquery-depth',
  export: 'export',
}

/** Features that the actions tell better, or that are no risk: a comment does not reach the warehouse. */
const UNWEIGHED = new Set(['dml', 'ddl', 'comment'])

function ofFeatures({ features }: SqlStatement): readonly Factor[] {
  return features
    .filter((feature) => !UNWEIGHED.has(feature.name))
    .map((feature): Factor => {
      const name = (Object.hasOwn(FEATURES, feature.name) && FEATURES[feature.name]) || 'other-feature'
      const where = feature.at ?? feature.resource
      return { name, share: 1, ...(where !== undefined && { where }) }
    })
}

/** First dotted parts and names of functions that compute, and touch nothing outside the row or the statement. */
const KNOWN = new Set(
  (
    'ABS ACOS ANY_VALUE APPROX_COUNT_DISTINCT APPROX_QUANTILES APPROX_TOP_COUNT APPROX_TOP_SUM ARRAY ARRAY_AGG ' +
    'ARRAY_CONCAT ARRAY_CONCAT_AGG ARRAY_FIRST ARRAY_LAST ARRAY_LENGTH ARRAY_REVERSE ARRAY_SLICE ARRAY_TO_STRING ' +
    'ASCII ASIN ATAN ATAN2 AVG BIT_AND BIT_COUNT BIT_OR BIT_XOR BOOL BYTE_LENGTH CAST CEIL CEILING CHAR_LENGTH ' +
    'CHARACTER_LENGTH CHR COALESCE CODE_POINTS_TO_BYTES CODE_POINTS_TO_STRING CONCAT CONTAINS_SUBSTR CORR COS COT ' +
    'COUNT COUNTIF COVAR_POP COVAR_SAMP CUME_DIST CURRENT_DATE CURRENT_DATETIME CURRENT_TIME CURRENT_TIMESTAMP DATE ' +
    'DATE_ADD DATE_BUCKET DATE_DIFF DATE_FROM_UNIX_DATE DATE_SUB DATE_TRUNC DATETIME DATETIME_ADD DATETIME_BUCKET ' +
    'DATETIME_DIFF DATETIME_SUB DATETIME_TRUNC DENSE_RANK DIV EDIT_DISTANCE ENDS_WITH EXP EXTRACT FARM_FINGERPRINT ' +
    'FIRST_VALUE FLOAT64 FLOOR FORMAT FORMAT_DATE FORMAT_DATETIME FORMAT_TIME FORMAT_TIMESTAMP FROM_BASE32 ' +
    'FROM_BASE64 FROM_HEX GENERATE_ARRAY GENERATE_DATE_ARRAY GENERATE_TIMESTAMP_ARRAY GENERATE_UUID GREATEST ' +
    'GROUPING IEEE_DIVIDE IF IFNULL INITCAP INSTR INT64 IS_INF IS_NAN JSON_ARRAY JSON_EXTRACT JSON_EXTRACT_ARRAY ' +
    'JSON_EXTRACT_SCALAR JSON_EXTRACT_STRING_ARRAY JSON_KEYS JSON_OBJECT JSON_QUERY JSON_QUERY_ARRAY JSON_REMOVE ' +
    'JSON_SET JSON_STRIP_NULLS JSON_TYPE JSON_VALUE JSON_VALUE_ARRAY JUSTIFY_DAYS JUSTIFY_HOURS JUSTIFY_INTERVAL LAG ' +
    'LAST_DAY LAST_VALUE LAX_BOOL LAX_FLOAT64 LAX_INT64 LAX_STRING LEAD LEAST LEFT LENGTH LN LOG LOG10 LOGICAL_AND ' +
    'LOGICAL_OR LOWER LPAD LTRIM MAKE_INTERVAL MAX MAX_BY MD5 MIN MIN_BY MOD NORMALIZE NORMALIZE_AND_CASEFOLD ' +
    'NTH_VALUE NTILE NULLIF OCTET_LENGTH OFFSET ORDINAL PARSE_BIGNUMERIC PARSE_DATE PARSE_DATETIME PARSE_JSON ' +
    'PARSE_NUMERIC PARSE_TIME PARSE_TIMESTAMP PERCENT_RANK PERCENTILE_CONT PERCENTILE_DISC POW POWER RAND RANGE ' +
    'RANGE_BUCKET RANK REGEXP_CONTAINS REGEXP_EXTRACT REGEXP_EXTRACT_ALL REGEXP_INSTR REGEXP_REPLACE REGEXP_SUBSTR ' +
    'REPEAT REPLACE REVERSE RIGHT ROUND ROW_NUMBER RPAD RTRIM SAFE_ADD SAFE_CAST SAFE_DIVIDE SAFE_MULTIPLY ' +
    'SAFE_NEGATE SAFE_OFFSET SAFE_ORDINAL SAFE_SUBTRACT SHA1 SHA256 SHA512 SIGN SIN SOUNDEX SPLIT SQRT STARTS_WITH ' +
    'STDDEV STDDEV_POP STDDEV_SAMP STRING STRING_AGG STRPOS STRUCT SUBSTR SUBSTRING SUM TAN TIME TIME_ADD TIME_DIFF ' +
    'TIME_SUB TIME_TRUNC TIMESTAMP TIMESTAMP_ADD TIMESTAMP_BUCKET TIMESTAMP_DIFF TIMESTAMP_MICROS TIMESTAMP_MILLIS ' +
    'TIMESTAMP_SECONDS TIMESTAMP_SUB TIMESTAMP_TRUNC TO_BASE32 TO_BASE64 TO_CODE_POINTS TO_HEX TO_JSON ' +
    'TO_JSON_STRING TRANSLATE TRIM TRUNC UNICODE UNIX_DATE UNIX_MICROS UNIX_MILLIS UNIX_SECONDS UNNEST UPPER VAR_POP ' +
    'VAR_SAMP VARIANCE'
  ).split(' '),
)

function ofFunctions({ functions }: SqlStatement): readonly Factor[] {
  const unknown = functions.filter((name) => !KNOWN.has(name.replace(/^SAFE\./, '')) && !name.startsWith('ST_'))
  return unknown.slice(0, 3).map((name) => ({ name: 'unknown-function', share: 1, where: name }))
}

/** 0 to 100, whole: the sum of what each factor adds. */
export function scoreOf(factors: readonly Factor[], weights: Weights): number {
  const sum = factors.reduce((total, { name, share }) => total + weights[name] * share, 0)
  return Math.min(100, Math.round(sum))
}
