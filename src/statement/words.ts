/** GoogleSQL's words. */
import type { ScalarType } from '../exchange.ts'

/** Reserved: a name only in backticks or behind a point. */
export const RESERVED: ReadonlySet<string> = new Set(
  (
    'ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE CURRENT ' +
    'DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM FULL ' +
    'GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOOKUP ' +
    'MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING PROTO QUALIFY RANGE RECURSIVE ' +
    'RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN ' +
    'WHERE WINDOW WITH WITHIN'
  ).split(' '),
)

export const JOIN_WORDS = ['JOIN', 'INNER', 'LEFT', 'RIGHT', 'FULL', 'CROSS', 'NATURAL', 'HASH', 'LOOKUP'] as const

/** First parts of built-in functions' names. Not `ML`, `AI`, `OBJ`: those reach out of the query. */
export const NAMESPACES: ReadonlySet<string> = new Set([
  'NET',
  'HLL_COUNT',
  'KEYS',
  'AEAD',
  'KLL_QUANTILES',
  'D3A_COUNT',
])

/** Type names and their synonyms. */
export const TYPES: ReadonlyMap<string, ScalarType> = new Map<string, ScalarType>([
  ...(
    ['BOOL', 'INT64', 'FLOAT64', 'NUMERIC', 'BIGNUMERIC', 'STRING', 'BYTES', 'JSON', 'GEOGRAPHY', 'INTERVAL'] as const
  ).map((kind): [string, ScalarType] => [kind, kind]),
  ...(['DATE', 'TIME', 'DATETIME', 'TIMESTAMP'] as const).map((kind): [string, ScalarType] => [kind, kind]),
  ['BOOLEAN', 'BOOL'],
  ...['INT', 'INTEGER', 'SMALLINT', 'BIGINT', 'TINYINT', 'BYTEINT'].map((kind): [string, ScalarType] => [
    kind,
    'INT64',
  ]),
  ['DECIMAL', 'NUMERIC'],
  ['BIGDECIMAL', 'BIGNUMERIC'],
])
