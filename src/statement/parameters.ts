/**
 * Query parameters as a request writes them: an object by name or an array by position. A plain JSON value says its own
 * type where that is plain; `{"type": "NUMERIC", "value": "1.10"}` says it for every GoogleSQL type. Each value is checked
 * here and turned into the warehouse's wire text, so that what is decided on is what is sent.
 *
 * All of it is refused with `parameter-refused` and a place such as `params.ids[3]`; a value is never repeated.
 */
import type { Parameter, ParameterValue, ScalarType, SqlField, SqlType } from '../exchange.ts'
import { Failure } from '../failure.ts'

/** Most parameters of a statement. */
const MAX_PARAMETERS = 1_000
/** Most values of all parameters, elements and fields counted one by one. */
const MAX_VALUES = 100_000
/** Most text of all values, in UTF-16 code units. */
const MAX_TEXT = 4 * 1024 * 1024
/** Deepest nesting of a type. */
const MAX_DEPTH = 15
/** Longest type text, in UTF-16 code units. */
const MAX_TYPE_TEXT = 10_000

/**
 * The parameters of `json`, which is the `params` of a request. Plain values: string → STRING, integer → INT64, other
 * number → FLOAT64, boolean → BOOL, an array of one of these → ARRAY. Anything else needs its type.
 */
export function parseParameters(json: unknown): readonly Parameter[] {
  const tally: Tally = { values: 0, text: 0 }
  if (Array.isArray(json)) {
    bounded(json.length)
    return json.map((value: unknown, index) => parameterOf(value, `params[${index}]`, tally))
  }
  if (!isObject(json)) throw refused('params', 'parameters are an object by name or an array by position')
  const entries = Object.entries(json)
  bounded(entries.length)
  const names = new Set<string>()
  return entries.map(([name, value]) => {
    const where = checkName(name, names)
    return { name, ...parameterOf(value, where, tally) }
  })
}

interface Tally {
  values: number
  text: number
}

function bounded(count: number): void {
  if (count > MAX_PARAMETERS) throw refused('params', `there are more than ${MAX_PARAMETERS} parameters`)
}

/** The place of a parameter, once its name is one. */
function checkName(name: string, names: Set<string>): string {
  const lower = name.toLowerCase()
  if (!/^[a-z_][a-z0-9_]{0,127}$/.test(lower) || lower.length !== name.length) {
    throw refused(
      'params',
      'a parameter has a name that is none',
      'letters, digits and `_`, no digit first, at most 128',
    )
  }
  const where = `params.${name}`
  if (lower.startsWith('sluice_'))
    throw refused(where, 'names that start with `sluice_` are taken', 'name it otherwise')
  if (names.has(lower)) throw refused(where, 'two parameters have this name; case does not tell them apart')
  names.add(lower)
  return where
}

function parameterOf(json: unknown, where: string, tally: Tally): Omit<Parameter, 'name'> {
  const typed = isObject(json) ? explicit(json, where) : { type: inferred(json, where), value: json }
  return { type: typed.type, value: valueOf(typed.type, typed.value, where, tally) }
}

function explicit(json: Readonly<Record<string, unknown>>, where: string): { type: SqlType; value: unknown } {
  const { type, value } = json
  if (typeof type !== 'string' || value === undefined || Object.keys(json).length !== 2) {
    throw refused(
      where,
      'an object is a parameter with `type` and `value`, and nothing else',
      `write \`{"type": "INT64", "value": "5"}\`; ${STRUCT_FIX}`,
    )
  }
  return { type: typeOf(type, `${where}.type`), value }
}

const STRUCT_FIX = 'write a struct as `{"type": "STRUCT<a INT64>", "value": {"a": 1}}`'

/** The type that a plain JSON value has. */
function inferred(json: unknown, where: string): SqlType {
  switch (typeof json) {
    case 'string':
      return { kind: 'STRING' }
    case 'boolean':
      return { kind: 'BOOL' }
    case 'number':
      if (Number.isSafeInteger(json)) return { kind: 'INT64' }
      if (Number.isFinite(json) && !Number.isInteger(json)) return { kind: 'FLOAT64' }
      // Past 2^53 a JSON number has lost digits already, and nobody would notice.
      throw refused(where, 'this number is too large to be exact', 'write it as `{"type": "INT64", "value": "…"}`')
    default:
      if (Array.isArray(json)) return inferredArray(json, where)
      throw refused(where, 'null has no type', 'write it as `{"type": "STRING", "value": null}`')
  }
}

function inferredArray(json: readonly unknown[], where: string): SqlType {
  const fix = 'write it as `{"type": "ARRAY<INT64>", "value": […]}`'
  const kinds = new Set<SqlType['kind']>()
  for (const [index, element] of json.entries()) {
    if (typeof element === 'object') throw refused(`${where}[${index}]`, 'this element has no type of its own', fix)
    kinds.add(inferred(element, `${where}[${index}]`).kind)
  }
  // JSON has one kind of number: `[1, 2.5]` is a list of them.
  if (kinds.size === 2 && kinds.has('INT64') && kinds.has('FLOAT64')) return { kind: 'ARRAY', of: { kind: 'FLOAT64' } }
  const [kind] = kinds
  if (kind === undefined) throw refused(where, 'an empty array has no type', fix)
  if (kinds.size > 1) throw refused(where, 'the elements are not of one type', fix)
  return { kind: 'ARRAY', of: { kind: kind as ScalarType } }
}

// ── types ────────────────────────────────────────────────────────────────────────────────────────────────────────

const SCALARS: ReadonlyMap<string, ScalarType> = new Map<string, ScalarType>([
  ...(
    [
      'BOOL',
      'INT64',
      'FLOAT64',
      'NUMERIC',
      'BIGNUMERIC',
      'STRING',
      'BYTES',
      'JSON',
      'GEOGRAPHY',
      'INTERVAL',
      'DATE',
      'TIME',
      'DATETIME',
      'TIMESTAMP',
    ] as const
  ).map((kind): [string, ScalarType] => [kind, kind]),
  // GoogleSQL's own aliases.
  ['BOOLEAN', 'BOOL'],
  ['INT', 'INT64'],
  ['INTEGER', 'INT64'],
  ['BIGINT', 'INT64'],
  ['SMALLINT', 'INT64'],
  ['TINYINT', 'INT64'],
  ['BYTEINT', 'INT64'],
  ['DECIMAL', 'NUMERIC'],
  ['BIGDECIMAL', 'BIGNUMERIC'],
])

/** A GoogleSQL type: `INT64`, `ARRAY<STRUCT<sku STRING, price NUMERIC>>`, `RANGE<DATE>`. */
function typeOf(text: string, where: string): SqlType {
  if (text.length > MAX_TYPE_TEXT) throw refused(where, 'the type is too long')
  if (text.includes('(')) {
    throw refused(where, 'the type of a parameter has no length or precision', 'leave out the parentheses')
  }
  const tokens = text.match(/[A-Za-z_]\w*|[<>,]|\S/g) ?? []
  let at = 0
  const next = (expected?: string): string => {
    const token = tokens[at++]
    if (token === undefined || (expected !== undefined && token !== expected)) throw notAType(where)
    return token
  }
  const read = (depth: number): SqlType => {
    if (depth > MAX_DEPTH) throw refused(where, `the type is nested deeper than ${MAX_DEPTH}`)
    const word = next().toUpperCase()
    if (word === 'ARRAY' || word === 'RANGE') {
      next('<')
      const of = read(depth + 1)
      next('>')
      if (word === 'ARRAY' && of.kind === 'ARRAY') throw refused(where, 'GoogleSQL has no arrays of arrays')
      if (word === 'RANGE' && !['DATE', 'DATETIME', 'TIMESTAMP'].includes(of.kind)) {
        throw refused(where, 'a RANGE is of DATE, DATETIME or TIMESTAMP')
      }
      return { kind: word, of }
    }
    if (word === 'STRUCT') return { kind: 'STRUCT', fields: fields(depth) }
    const kind = SCALARS.get(word)
    if (kind === undefined) throw notAType(where)
    return { kind }
  }
  const fields = (depth: number): readonly SqlField[] => {
    next('<')
    const found: SqlField[] = []
    const names = new Set<string>()
    do {
      const name = next()
      const follows = tokens[at]
      if (!/^[A-Za-z_]\w*$/.test(name) || follows === undefined || !/^[A-Za-z]/.test(follows)) {
        throw refused(where, 'every field of a STRUCT has a name and a type here', STRUCT_FIX)
      }
      if (names.has(name.toLowerCase())) throw refused(where, 'two fields of a STRUCT have the same name')
      names.add(name.toLowerCase())
      found.push({ name, type: read(depth + 1) })
      if (tokens[at] !== ',') break
      at++
    } while (at < tokens.length)
    next('>')
    return found
  }
  const type = read(1)
  if (at !== tokens.length) throw notAType(where)
  return type
}

function notAType(where: string): Failure {
  return refused(
    where,
    'this is no GoogleSQL type that a parameter may have',
    'for example `NUMERIC` or `ARRAY<STRING>`',
  )
}

// ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────

function valueOf(type: SqlType, json: unknown, where: string, tally: Tally): ParameterValue {
  if (++tally.values > MAX_VALUES) throw refused('params', `there are more than ${MAX_VALUES} values`)
  if (json === null) return null
  switch (type.kind) {
    case 'ARRAY': {
      if (!Array.isArray(json)) throw refused(where, 'the value of an ARRAY is an array', 'for example `["1", "2"]`')
      return json.map((element: unknown, index) => valueOf(type.of, element, `${where}[${index}]`, tally))
    }
    case 'STRUCT':
      return structOf(type.fields, json, where, tally)
    case 'RANGE':
      return rangeOf(type.of, json, where, tally)
    default:
      return scalarOf(type.kind, json, where, tally)
  }
}

function structOf(fields: readonly SqlField[], json: unknown, where: string, tally: Tally): ParameterValue {
  if (!isObject(json)) throw refused(where, 'the value of a STRUCT is an object', STRUCT_FIX)
  const given = new Map(Object.entries(json))
  const values = fields.map(({ name, type }) => {
    if (!given.has(name)) throw refused(where, `the field \`${name}\` is missing`, 'give it, or give it as null')
    const value = valueOf(type, given.get(name), `${where}.${name}`, tally)
    given.delete(name)
    return value
  })
  if (given.size > 0)
    throw refused(where, 'there are fields that the type does not name', 'name each field in the type')
  return values
}

/** `"[2026-01-01, 2026-02-01)"` or `{"start": "2026-01-01", "end": null}`; no bound is `UNBOUNDED`, `NULL` or null. */
function rangeOf(of: SqlType, json: unknown, where: string, tally: Tally): ParameterValue {
  const { start, end } = rangeBounds(json, where)
  const bound = (value: unknown, side: string): string => {
    if (value === null || (typeof value === 'string' && /^(?:unbounded|null)$/i.test(value))) return 'UNBOUNDED'
    return scalarOf(of.kind as ScalarType, value, `${where}.${side}`, tally)
  }
  return `[${bound(start, 'start')}, ${bound(end, 'end')})`
}

function rangeBounds(json: unknown, where: string): { start: unknown; end: unknown } {
  if (typeof json === 'string') {
    const parts = /^\[\s*([^,[\]()]+?)\s*,\s*([^,[\]()]+?)\s*\)$/.exec(json.slice(0, 200))
    if (parts === null || json.length > 200)
      throw refused(where, 'a RANGE is written `[start, end)`', 'for example `[2026-01-01, UNBOUNDED)`')
    return { start: parts[1], end: parts[2] }
  }
  if (!isObject(json) || Object.keys(json).some((key) => key !== 'start' && key !== 'end')) {
    throw refused(where, 'a RANGE is `[start, end)`, or an object with `start` and `end`')
  }
  return { start: json['start'] ?? null, end: json['end'] ?? null }
}

/** How a scalar is checked: from what JSON holds to the wire text, or `undefined` where it is none. */
const SCALAR_FORMS: Readonly<
  Record<ScalarType, { readonly read: (text: string) => string | undefined; readonly words: string }>
> = {
  STRING: { read: (text) => text, words: 'text' },
  BOOL: { read: (text) => (/^(?:true|false)$/.test(text) ? text : undefined), words: 'true or false' },
  INT64: { read: int64, words: 'an integer between -2^63 and 2^63 - 1' },
  FLOAT64: { read: float64, words: 'a number, `NaN`, `Infinity` or `-Infinity`' },
  NUMERIC: {
    read: (text) => decimal(text, 9, 10n ** 38n - 1n, -(10n ** 38n) + 1n),
    words: 'a decimal number as text, with at most 29 digits before the point and 9 behind',
  },
  BIGNUMERIC: {
    read: (text) => decimal(text, 38, 2n ** 255n - 1n, -(2n ** 255n)),
    words: 'a decimal number as text, with at most 38 digits before the point and 38 behind',
  },
  BYTES: { read: (text) => (isBase64(text) ? text : undefined), words: 'base64 with padding' },
  JSON: { read: (text) => (isJson(text) ? text : undefined), words: 'JSON as text, such as `"{\\"a\\": 1}"`' },
  GEOGRAPHY: { read: (text) => (text.trim() === '' ? undefined : text), words: 'WKT or GeoJSON as text' },
  INTERVAL: { read: interval, words: 'an interval such as `1-2 3 4:5:6.5`' },
  DATE: { read: date, words: 'a date such as `2026-01-31`' },
  TIME: { read: time, words: 'a time such as `23:59:59.999999`' },
  DATETIME: { read: datetime, words: 'a date and time such as `2026-01-31T23:59:59`' },
  TIMESTAMP: { read: timestamp, words: 'a time with its offset such as `2026-01-31T23:59:59Z`' },
}

function scalarOf(kind: ScalarType, json: unknown, where: string, tally: Tally): string {
  const { read, words } = SCALAR_FORMS[kind]
  const text = textOf(kind, json)
  const wire = text === undefined ? undefined : read(text)
  if (wire === undefined || !wire.isWellFormed()) throw refused(where, `this is no ${kind}`, `write ${words}`)
  tally.text += wire.length
  if (tally.text > MAX_TEXT) throw refused('params', 'the parameters are too large')
  return wire
}

/** What JSON says, as text: strings for every type, numbers where they are exact, booleans for BOOL. */
function textOf(kind: ScalarType, json: unknown): string | undefined {
  if (typeof json === 'string') return json
  if (typeof json === 'boolean') return kind === 'BOOL' ? String(json) : undefined
  if (typeof json !== 'number') return undefined
  if (kind === 'FLOAT64') return String(json)
  const exact = kind === 'INT64' || kind === 'NUMERIC' || kind === 'BIGNUMERIC'
  return exact && Number.isSafeInteger(json) ? String(json) : undefined
}

function int64(text: string): string | undefined {
  if (!/^[+-]?\d{1,19}$/.test(text)) return undefined
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  return BigInt.asIntN(64, value) === value ? value.toString() : undefined
}

function float64(text: string): string | undefined {
  const special = /^([+-]?)(?:(nan)|inf(?:inity)?)$/i.exec(text)
  if (special !== null) return special[2] === undefined ? `${special[1] === '-' ? '-' : ''}Infinity` : 'NaN'
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?$/.test(text) || text.length > 400) return undefined
  const value = Number(text)
  if (!Number.isFinite(value)) return undefined
  return Object.is(value, -0) ? '-0.0' : String(value)
}

function decimal(text: string, scale: number, most: bigint, least: bigint): string | undefined {
  const parts = /^([+-]?)0*(\d{1,39})(?:\.(\d{1,38}))?$/.exec(text.slice(0, 200))
  if (parts === null || text.length > 200) return undefined
  const [, sign = '', whole = '0', fraction = ''] = parts
  if (fraction.length > scale) return undefined
  const magnitude = BigInt(whole + fraction.padEnd(scale, '0'))
  const value = sign === '-' ? -magnitude : magnitude
  if (value > most || value < least) return undefined
  return `${sign === '-' ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

function date(text: string): string | undefined {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)
  if (parts === null) return undefined
  const [year, month, day] = parts.slice(1).map(Number) as [number, number, number]
  if (year < 1 || month < 1 || month > 12 || day < 1) return undefined
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const days = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
  return day <= days ? text : undefined
}

function time(text: string): string | undefined {
  return /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?$/.test(text) ? text : undefined
}

function datetime(text: string): string | undefined {
  if (!/^.{10}[Tt ]/.test(text)) return undefined
  const [day, clock] = [date(text.slice(0, 10)), time(text.slice(11))]
  return day === undefined || clock === undefined ? undefined : `${day}T${clock}`
}

/** Without an offset it is UTC, as in GoogleSQL. */
function timestamp(text: string): string | undefined {
  const parts = /^(.{19}(?:\.\d{1,6})?) ?(?:([Zz]|UTC)|([+-](?:0\d|1[0-4])(?::[0-5]\d)?))?$/.exec(text)
  const local = parts === null ? undefined : datetime(parts[1] ?? '')
  const offset = parts?.[3]
  if (local === undefined) return undefined
  return `${local}${offset === undefined ? 'Z' : offset.length === 3 ? `${offset}:00` : offset}`
}

/** GoogleSQL's canonical form: years-months days hours:minutes:seconds. */
function interval(text: string): string | undefined {
  const form = /^[+-]?\d{1,5}-\d{1,6} [+-]?\d{1,7} [+-]?\d{1,8}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?$/
  return form.test(text) ? text : undefined
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refused(where: string, message: string, fix?: string): Failure {
  return new Failure('parameter-refused', message, { where, ...(fix === undefined ? {} : { fix }) })
}
