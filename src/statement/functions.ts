/** What is known of built-in functions: their types, and which are worth a remark. */
import type { ScalarType, SqlType } from '../exchange.ts'
import type { Value } from './value.ts'

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/)
}

const FIXED: ReadonlyMap<string, ScalarType> = new Map<string, ScalarType>(
  (
    [
      [
        'INT64',
        `COUNT COUNTIF ROW_NUMBER RANK DENSE_RANK NTILE LENGTH CHAR_LENGTH CHARACTER_LENGTH BYTE_LENGTH OCTET_LENGTH
         STRPOS INSTR ASCII UNICODE FARM_FINGERPRINT APPROX_COUNT_DISTINCT DATE_DIFF DATETIME_DIFF TIMESTAMP_DIFF
         TIME_DIFF UNIX_SECONDS UNIX_MILLIS UNIX_MICROS UNIX_DATE ARRAY_LENGTH SIGN_INT BIT_COUNT GROUPING`,
      ],
      [
        'STRING',
        `TO_HEX TO_BASE64 TO_BASE32 TO_JSON_STRING FORMAT FORMAT_DATE FORMAT_DATETIME FORMAT_TIME FORMAT_TIMESTAMP
         STRING JSON_VALUE JSON_EXTRACT_SCALAR SESSION_USER SOUNDEX CHR INITCAP
         NORMALIZE NORMALIZE_AND_CASEFOLD CODE_POINTS_TO_STRING GENERATE_UUID JSON_TYPE SAFE_CONVERT_BYTES_TO_STRING`,
      ],
      ['BYTES', `FROM_HEX FROM_BASE64 FROM_BASE32 MD5 SHA1 SHA256 SHA512 CODE_POINTS_TO_BYTES`],
      [
        'BOOL',
        `STARTS_WITH ENDS_WITH REGEXP_CONTAINS CONTAINS_SUBSTR IS_NAN IS_INF LOGICAL_AND LOGICAL_OR ST_CONTAINS
         ST_INTERSECTS ST_DWITHIN ST_WITHIN`,
      ],
      [
        'FLOAT64',
        `RAND PERCENT_RANK CUME_DIST STDDEV STDDEV_POP STDDEV_SAMP VARIANCE VAR_POP
         VAR_SAMP CORR COVAR_POP COVAR_SAMP ST_DISTANCE IEEE_DIVIDE COSINE_DISTANCE EUCLIDEAN_DISTANCE`,
      ],
      ['DATE', `DATE CURRENT_DATE PARSE_DATE DATE_FROM_UNIX_DATE LAST_DAY`],
      ['DATETIME', `DATETIME CURRENT_DATETIME PARSE_DATETIME`],
      ['TIME', `TIME CURRENT_TIME PARSE_TIME TIME_ADD TIME_SUB TIME_TRUNC`],
      [
        'TIMESTAMP',
        `TIMESTAMP CURRENT_TIMESTAMP PARSE_TIMESTAMP TIMESTAMP_SECONDS TIMESTAMP_MILLIS TIMESTAMP_MICROS
         TIMESTAMP_ADD TIMESTAMP_SUB`,
      ],
      ['JSON', `PARSE_JSON TO_JSON JSON_QUERY_JSON JSON_SET JSON_REMOVE JSON_STRIP_NULLS JSON_OBJECT JSON_ARRAY`],
      ['NUMERIC', `PARSE_NUMERIC`],
      ['BIGNUMERIC', `PARSE_BIGNUMERIC`],
    ] as const
  ).flatMap(([type, names]) => words(names).map((name): [string, ScalarType] => [name, type])),
)

/** Of the type that all their typed arguments share. */
const SHARED = new Set(
  words(`MIN MAX ANY_VALUE COALESCE IFNULL NULLIF LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE GREATEST LEAST UPPER LOWER
    TRIM LTRIM RTRIM SUBSTR SUBSTRING REPLACE REVERSE REPEAT LPAD RPAD CONCAT LEFT RIGHT REGEXP_EXTRACT REGEXP_SUBSTR ABS
    MOD DATE_TRUNC DATETIME_TRUNC TIMESTAMP_TRUNC MAX_BY MIN_BY REGEXP_REPLACE TRANSLATE STRING_AGG`),
)
/** Those of `SHARED` that look at their first argument alone. */
const FIRST = new Set(
  words(`LAG LEAD NTH_VALUE SUBSTR SUBSTRING REPEAT LPAD RPAD LEFT RIGHT REGEXP_EXTRACT REGEXP_SUBSTR DATE_TRUNC
    DATETIME_TRUNC TIMESTAMP_TRUNC MAX_BY MIN_BY TRIM LTRIM RTRIM REPLACE REGEXP_REPLACE TRANSLATE STRING_AGG`),
)

/** Of these a text in quotes may be given for a date. */
const TRUNC = /^(?:DATE|DATETIME|TIMESTAMP)_TRUNC$/

/** Built-in, of a type that we do not derive. */
const OTHER = new Set(
  words(`IF SUM AVG ARRAY_AGG ARRAY_CONCAT ARRAY_CONCAT_AGG ARRAY_REVERSE ARRAY_TO_STRING SPLIT ROUND TRUNC CEIL CEILING
    FLOOR DIV POW POWER SIGN SAFE_DIVIDE SAFE_ADD SAFE_SUBTRACT SAFE_MULTIPLY SAFE_NEGATE DATE_ADD DATE_SUB DATETIME_ADD
    DATETIME_SUB GENERATE_ARRAY GENERATE_DATE_ARRAY GENERATE_TIMESTAMP_ARRAY APPROX_QUANTILES APPROX_TOP_COUNT
    APPROX_TOP_SUM PERCENTILE_CONT PERCENTILE_DISC JSON_QUERY JSON_EXTRACT JSON_QUERY_ARRAY JSON_VALUE_ARRAY
    JSON_EXTRACT_ARRAY JSON_EXTRACT_STRING_ARRAY JSON_KEYS INT64 FLOAT64 BOOL LAX_STRING LAX_INT64 LAX_BOOL LAX_FLOAT64
    REGEXP_EXTRACT_ALL REGEXP_INSTR TO_CODE_POINTS BIT_AND BIT_OR BIT_XOR OFFSET ORDINAL SAFE_OFFSET SAFE_ORDINAL ERROR
    RANGE MAKE_INTERVAL JUSTIFY_DAYS JUSTIFY_HOURS JUSTIFY_INTERVAL SIN COS TAN ASIN ACOS ATAN ATAN2 SINH COSH TANH CBRT
    ARRAY_FILTER ARRAY_FIND ARRAY_FIND_ALL ARRAY_INCLUDES ARRAY_OFFSET ARRAY_OFFSETS ARRAY_TRANSFORM
    SQRT EXP LN LOG LOG10 WEEK TIMESTAMP_BUCKET DATE_BUCKET DATETIME_BUCKET RANGE_BUCKET GROUPING EDIT_DISTANCE COLLATE`),
)

/**
 * BigQuery's own functions that reach out of the query: to a model, a table that they are handed, or a remote service. A
 * name that is not here could be a routine of a dataset called `ml`, which may read anything.
 */
const SYSTEM = new Set([
  ...words(`PREDICT FORECAST EVALUATE EXPLAIN_FORECAST EXPLAIN_PREDICT GLOBAL_EXPLAIN WEIGHTS ADVANCED_WEIGHTS CENTROIDS
    CONFUSION_MATRIX ROC_CURVE FEATURE_INFO FEATURE_IMPORTANCE TRAINING_INFO TRIAL_INFO RECOMMEND DETECT_ANOMALIES
    ARIMA_EVALUATE ARIMA_COEFFICIENTS HOLIDAY_INFO PRINCIPAL_COMPONENTS PRINCIPAL_COMPONENT_INFO RECONSTRUCTION_LOSS
    GENERATE_TEXT GENERATE_EMBEDDING GENERATE_TEXT_EMBEDDING UNDERSTAND_TEXT TRANSLATE ANNOTATE_IMAGE PROCESS_DOCUMENT
    TRANSCRIBE TRANSFORM VALIDATE_DATA_SKEW VALIDATE_DATA_DRIFT TFDV_DESCRIBE TFDV_VALIDATE DESCRIBE_DATA
    FEATURES_AT_TIME ENTITY_FEATURES_AT_TIME DISTANCE LP_NORM NORMALIZER BAG_OF_WORDS TF_IDF NGRAMS BUCKETIZE
    QUANTILE_BUCKETIZE HASH_BUCKETIZE FEATURE_CROSS POLYNOMIAL_EXPAND MIN_MAX_SCALER MAX_ABS_SCALER ROBUST_SCALER
    STANDARD_SCALER ONE_HOT_ENCODER MULTI_HOT_ENCODER LABEL_ENCODER IMPUTER DECODE_IMAGE RESIZE_IMAGE CONVERT_COLOR_SPACE
    CONVERT_IMAGE_TYPE`).map((name) => `ML.${name}`),
  ...words(`GENERATE GENERATE_BOOL GENERATE_INT GENERATE_DOUBLE GENERATE_TABLE GENERATE_TEXT GENERATE_EMBEDDING FORECAST
    EVALUATE DETECT_ANOMALIES IF CLASSIFY SCORE EMBED SIMILARITY SEARCH AGG`).map((name) => `AI.${name}`),
  ...words('FETCH_METADATA GET_ACCESS_URL GET_READ_URL MAKE_REF').map((name) => `OBJ.${name}`),
  ...words('APPENDS CHANGES GAP_FILL RANGE_SESSIONIZE VECTOR_SEARCH EXTERNAL_OBJECT_TRANSFORM'),
])

/** Whether a name (upper case) is one of BigQuery's own that read what they are handed, and nothing else. */
export function isSystemFunction(name: string): boolean {
  return SYSTEM.has(name)
}

/** Functions that make values harder to recognise. */
const ENCODING = new Set(
  words(`TO_HEX FROM_HEX TO_BASE64 FROM_BASE64 TO_BASE32 FROM_BASE32 TO_CODE_POINTS CODE_POINTS_TO_STRING
    CODE_POINTS_TO_BYTES CHR ASCII UNICODE REVERSE TRANSLATE SOUNDEX MD5 SHA1 SHA256 SHA512 FARM_FINGERPRINT`),
)

/** At which argument a function takes a date part or mode in place of a value. */
const PART_AT: ReadonlyMap<string, number> = new Map([
  ...words('DATE_TRUNC DATETIME_TRUNC TIMESTAMP_TRUNC TIME_TRUNC LAST_DAY NORMALIZE NORMALIZE_AND_CASEFOLD').map(
    (name): [string, number] => [name, 1],
  ),
  ...words('DATE_DIFF DATETIME_DIFF TIMESTAMP_DIFF TIME_DIFF').map((name): [string, number] => [name, 2]),
])

/** Callable without brackets. */
export const CONSTANTS: ReadonlySet<string> = new Set(
  words('CURRENT_DATE CURRENT_DATETIME CURRENT_TIME CURRENT_TIMESTAMP'),
)

export function isPartAt(name: string, index: number): boolean {
  return PART_AT.get(name) === index
}

export function remarkOn(name: string): 'encoding-function' | 'unknown-function' | undefined {
  if (ENCODING.has(name)) return 'encoding-function'
  const known = FIXED.has(name) || SHARED.has(name) || OTHER.has(name) || name.includes('.') || name.startsWith('ST_')
  return known ? undefined : 'unknown-function'
}

/** The type of a call, `undefined` where we do not derive it. */
export function callType(name: string, given: readonly Value[]): SqlType | undefined {
  const fixed = FIXED.get(name)
  if (fixed !== undefined) return { kind: fixed }
  const [first] = given
  if (TRUNC.test(name) && first?.type?.kind === 'STRING') return undefined
  if (SHARED.has(name)) return FIRST.has(name) ? first?.type : sharedType(given)
  if (name === 'IF') return sharedType(given.slice(1))
  if (name === 'SUM' || name === 'AVG') return numeric(name, first?.type)
  if (name === 'ARRAY_AGG') return first?.type === undefined ? undefined : { kind: 'ARRAY', of: first.type }
  return undefined
}

function numeric(name: 'SUM' | 'AVG', type: SqlType | undefined): SqlType | undefined {
  switch (type?.kind) {
    case 'INT64':
      return { kind: name === 'SUM' ? 'INT64' : 'FLOAT64' }
    case 'FLOAT64':
    case 'NUMERIC':
    case 'BIGNUMERIC':
    case 'INTERVAL':
      return type
    default:
      return undefined
  }
}

/** The one type of all of them but NULL; `undefined` where one is unknown or they differ. */
export function sharedType(values: readonly Value[]): SqlType | undefined {
  const [first, ...rest] = values.filter((value) => value.isNull === undefined).map((value) => value.type)
  const text = JSON.stringify(first)
  return rest.every((type) => JSON.stringify(type) === text) ? first : undefined
}
