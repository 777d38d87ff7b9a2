/**
 * What DuckDB says of a value that does not convert, in BigQuery's words. BigQuery's hold the value, and so do these: who
 * reads them is shown a row's content, which is what a gateway before a warehouse has to know of.
 */
import { FAILURES } from './sql/macros.ts'

/** BigQuery's limit is not known; a message is not to be a page of data. */
const MAX_VALUE = 1_000

const CONVERSIONS: readonly (readonly [RegExp, (value: string) => string])[] = [
  [/Could not convert string '((?:Bad int64 value|Bad bool value): .*)' to \w+/s, (text) => text],
  [/Could not convert string ['"](.*)['"] to (?:INT|UINT|HUGEINT)\d*/s, (value) => `Bad int64 value: ${value}`],
  [/Could not convert string ['"](.*)['"] to (?:DOUBLE|FLOAT)/s, (value) => `Bad double value: ${value}`],
  [/Could not convert string ['"](.*)['"] to DECIMAL/s, (value) => `Invalid NUMERIC value: ${value}`],
  [/\bdate field (?:format|value out of range): "(.*?)"(?:,| when|$)/s, (value) => `Invalid date: '${value}'`],
  [
    /\btimestamp field (?:format|value out of range): "(.*?)"(?:,| when|$)/s,
    (value) => `Invalid timestamp: '${value}'`,
  ],
  [/\btime field (?:format|value out of range): "(.*?)"(?:,| when|$)/s, (value) => `Invalid time string "${value}"`],
  [
    /Could not parse string "(.*)" according to format specifier/s,
    (value) => `Failed to parse input string "${value}"`,
  ],
  [
    /Malformed JSON at byte \d+ of input: .*? {2}Input: "(.*)"/s,
    (value) => `syntax error while parsing value - invalid literal; last read: '${value.slice(0, 1)}'`,
  ],
  [
    /^Conversion Error: Type \w+ with value (.*?) can't be cast because the value is out of range for the destination type INT64/s,
    (value) => `int64 out of range: ${value}`,
  ],
  [/^Conversion Error: Failure in decode/, () => 'Invalid cast of bytes to UTF8 string'],
  [/Overflow in \w+ of INT64 \((.*)\)!/s, (sum) => `int64 overflow: ${sum}`],
  [
    /^Invalid Input Error: More than one row returned by a subquery used as an expression/,
    () => 'Scalar subquery produced more than one element',
  ],
]

/** BigQuery's message for DuckDB's, or undefined where it is not one of a value. */
export function complaintOf(message: string): string | undefined {
  const [head = ''] = message.split('\n\nLINE ')
  const failure = FAILURES.find((one) => head.includes(`'${one}'`))
  if (failure !== undefined) return failure
  for (const [pattern, words] of CONVERSIONS) {
    const found = pattern.exec(head)
    if (found !== null) return words((found[1] ?? '').slice(0, MAX_VALUE))
  }
  return /Conversion Error/.test(head) ? 'Bad value in a conversion' : undefined
}
